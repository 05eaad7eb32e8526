/*
 * compress.h - zstd streams
 */
#ifndef DFX_COMPRESS_H
#define DFX_COMPRESS_H

#include "spool.h"

/* What becomes of bytes that are compressed on their way into a file. */
typedef struct dfx_compressor dfx_compressor;

/*
 * size is that of all bytes to come; level 0 is zstd's default. Which bytes
 * come out depends on those that go in, the level and the library, not on how
 * many threads there are.
 */
DFX_CHECKED dfx_status dfx_compressor_new(int fd, uint64_t size, int level,
                                          dfx_compressor **out, dfx_error *err);
DFX_CHECKED dfx_status dfx_compressor_write(dfx_compressor *c, const void *data,
                                            size_t size, dfx_error *err);
/* The end of the frame. */
DFX_CHECKED dfx_status dfx_compressor_end(dfx_compressor *c, dfx_error *err);
void dfx_compressor_free(dfx_compressor *c); /* NULL is fine */

/*
 * All frames of io, to at most limit bytes; 0: 1 GiB or 64 times the size,
 * whichever is more. *out is owned and called name. Rules ZS_FRAME, ZS_LIMIT.
 */
DFX_CHECKED dfx_status dfx_expand(const dfx_io *io, uint64_t limit,
                                  const char *temp, const char *name,
                                  dfx_io **out, dfx_error *err);

#endif
