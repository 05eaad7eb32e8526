/*
 * spool.h - bytes of unknown number, to be read at any offset
 *
 * What comes out of a decompressor is kept in memory while it is little, and
 * else in a file without a name, which is gone when the io is closed, however
 * the process ends.
 */
#ifndef DFX_SPOOL_H
#define DFX_SPOOL_H

#include "io.h"

typedef struct dfx_spool dfx_spool;

/* folder: of the file; NULL: /tmp, as P_tmpdir says. Copied. */
DFX_CHECKED dfx_status dfx_spool_new(const char *folder, dfx_spool **spool,
                                     dfx_error *err);
/* No space left is OUT_WRITE, naming the folder. */
DFX_CHECKED dfx_status dfx_spool_write(dfx_spool *spool, const void *data,
                                       size_t size, dfx_error *err);
uint64_t dfx_spool_size(const dfx_spool *spool);
/* Turns it into an io that owns the bytes; name is for messages. Frees the
   spool, also on failure. */
DFX_CHECKED dfx_status dfx_spool_finish(dfx_spool *spool, const char *name,
                                        dfx_io **io, dfx_error *err);
void dfx_spool_free(dfx_spool *spool); /* NULL is fine */

#endif
