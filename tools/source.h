/*
 * source.h - a model that a tool reads: its index and its identity
 */
#ifndef DFX_SOURCE_H
#define DFX_SOURCE_H

#include "dfx.h"
#include "report.h"

typedef struct dfx_source {
    const char *path;       /* borrowed */
    dfx_index *index;       /* owned */
    dfx_identity *identity; /* owned */
} dfx_source;

/* Both options may be NULL. */
DFX_CHECKED dfx_status dfx_source_open(dfx_source *source, const char *path,
                                       const dfx_open_options *open,
                                       const dfx_identify_options *identify,
                                       dfx_error *err);
void dfx_source_close(dfx_source *source); /* a zeroed one is fine */

/* Whether a path leads to a regular file (a folder has no hash of its own). */
bool dfx_is_file(const char *path);

/* What TMPDIR says; NULL: nothing. */
const char *dfx_temp_folder(void);

/* dfx_open_options.key of the argument of --key: "/" is everything. */
const char *dfx_key_of(const char *text);

/* Lists for the options of these names, as text or JSON, on stdout. */
void dfx_list_formats(bool json, const dfx_colours *colours);
void dfx_list_families(bool json, const dfx_colours *colours);
void dfx_list_rules(bool json, const dfx_colours *colours);

#endif
