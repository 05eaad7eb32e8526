/*
 * out.h - outputs that appear whole or not at all
 *
 * A file is written as .dfx-XXXXXX.tmp beside its target and renamed; a folder
 * is built as a folder of such a name and renamed whole (with force, the old
 * one is exchanged for it and then removed). Whatever ends the process, the
 * target is what it was or complete.
 *
 * That holds for crashes of the process without any waiting. A crash of the
 * machine is another matter: names can reach the disk before the bytes do, so
 * that a target may be there with zeros in it. With sync everything is on the
 * disk before the name is, and the name before dfx_out_commit returns; that
 * takes as long as the disk takes to write it all, which cp does not wait for.
 */
#ifndef DFX_OUT_H
#define DFX_OUT_H

#include "memory.h"

typedef struct dfx_out dfx_out;

typedef struct dfx_out_options {
    bool is_folder;
    /*
     * Replace what is there (else DFX_RULE_OUT_EXISTS): a file by a file, and a
     * folder by a folder only if is_ours says that the format could have
     * written it, or if its top holds nothing that files will not bring again.
     * A symbolic link is replaced, not followed.
     */
    bool force;
    bool (*is_ours)(const char *const *names, size_t count); /* registry.h */
    bool sync;
    const dfx_plan_file *files; /* borrowed: what a folder will hold */
    size_t file_count;
} dfx_out_options;

/* Checks the target and makes the temporary. */
DFX_CHECKED dfx_status dfx_out_begin(const char *dst,
                                     const dfx_out_options *options,
                                     dfx_out **out, dfx_error *err);
/*
 * A file to write, of its final size, full of zeros. path as in the plan.
 * Several threads may ask for different files. *fd is the caller's to close:
 * with dfx_out_close, which tells whether all was written.
 */
DFX_CHECKED dfx_status dfx_out_file(dfx_out *out, const char *path,
                                    uint64_t size, int *fd, dfx_error *err);
DFX_CHECKED dfx_status dfx_out_close(const dfx_out *out, int fd,
                                     dfx_error *err);
/* Says which output a fault is about: dst, and the path under it ("" if dst is
   the file). */
void dfx_error_in_output(dfx_error *err, const char *dst, const char *path);
/* Renames; after this the target is there. Frees out, also on failure. */
DFX_CHECKED dfx_status dfx_out_commit(dfx_out *out, dfx_error *err);
/* Removes the temporary if it is still ours, and frees out. NULL is fine. */
void dfx_out_abort(dfx_out *out);

/* Refuses a target that is an input, or a folder that holds one, by device and
   inode: replacing it would destroy what is being read. */
DFX_CHECKED dfx_status dfx_out_check_input(const char *dst, const char *input,
                                           dfx_error *err);

#endif
