/*
 * findings.h - every rule checked, and what is told of it
 */
#ifndef DFX_FINDINGS_H
#define DFX_FINDINGS_H

#include "report.h"

/*
 * dfx_validate of path. Prints a line for each finding, and "PATH: ok" if no
 * rule is broken; nothing of that if quiet. object != NULL: prints none, and
 * makes the document {schema, path, ok, findings: [{rule, ..., level}]}, which
 * the caller owns. Returns an exit status: YES, NO, or USAGE where it could not
 * tell, which it says on stderr.
 */
int dfx_findings(const char *tool, const char *path,
                 const dfx_open_options *options, bool quiet, cJSON **object);

#endif
