/*
 * out.h - outputs that appear whole or not at all
 *
 * A file is written as .dfx-XXXXXX.tmp beside its target and renamed; a folder
 * is built as a folder of such a name and renamed whole (with force, the old
 * one is exchanged for it and then removed). Whatever ends the process, the
 * target is what it was or complete.
 */
#ifndef DFX_OUT_H
#define DFX_OUT_H

#include "memory.h"

typedef struct dfx_out dfx_out;

/*
 * Checks the target (it does not exist, or force; force replaces a file by a
 * file, and a folder by a folder only if that is empty or one that diffusers or
 * dfx could have written: it has model_index.json or a config.json or weights
 * at its top) and makes the temporary.
 */
DFX_CHECKED dfx_status dfx_out_begin(const char *dst, bool is_folder,
                                     bool force, dfx_out **out,
                                     dfx_error *err);
/* A file to write, of its final size. path as in the plan. *fd is the out's. */
DFX_CHECKED dfx_status dfx_out_file(dfx_out *out, const char *path,
                                    uint64_t size, int *fd, dfx_error *err);
/* Renames; after this the target is there. Frees out, also on failure. */
DFX_CHECKED dfx_status dfx_out_commit(dfx_out *out, dfx_error *err);
/* Removes the temporary if it is still ours, and frees out. NULL is fine. */
void dfx_out_abort(dfx_out *out);

#endif
