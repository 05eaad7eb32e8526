/*
 * written.h - what a plan has written, read again
 */
#ifndef DFX_WRITTEN_H
#define DFX_WRITTEN_H

#include "plan.h"

/* An output of a plan that was run, expanded if it was compressed. *io is the
   caller's and called by its path. */
DFX_CHECKED dfx_status dfx_written_open(const dfx_plan *plan, size_t output,
                                        dfx_io **io, dfx_error *err);

#endif
