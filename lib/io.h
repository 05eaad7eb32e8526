/*
 * io.h - bytes at an offset, wherever they are
 *
 * A file, memory, or a slice of another io. There is no cursor, so any number
 * of threads may read one io at once.
 */
#ifndef DFX_IO_H
#define DFX_IO_H

#include "error.h"

/* Opens a regular file for reading. *io is owned. */
DFX_CHECKED dfx_status dfx_io_open_file(const char *path, dfx_io **io,
                                        dfx_error *err);
/* Borrows data, which outlives the io. name is copied, for messages. */
DFX_CHECKED dfx_status dfx_io_open_memory(const void *data, size_t size,
                                          const char *name, dfx_io **io,
                                          dfx_error *err);
/* Borrows base, which outlives the slice. The range must lie inside base. */
DFX_CHECKED dfx_status dfx_io_open_slice(const dfx_io *base, uint64_t offset,
                                         uint64_t size, dfx_io **io,
                                         dfx_error *err);
void dfx_io_close(dfx_io *io); /* NULL is fine */

uint64_t dfx_io_size(const dfx_io *io);
const char *dfx_io_name(const dfx_io *io);

/* Exactly size bytes; fewer there is DFX_RULE_IO_SHORT. Thread-safe. */
DFX_CHECKED dfx_status dfx_io_read_at(const dfx_io *io, uint64_t offset,
                                      void *buf, size_t size, dfx_error *err);

/*
 * The file descriptor behind the io and where the io starts in it, for
 * copy_file_range; -1 if there is none (memory). Borrowed.
 */
int dfx_io_fd(const dfx_io *io, uint64_t *base);

/* The bytes themselves if they are in memory, else NULL. Borrowed. */
const void *dfx_io_memory(const dfx_io *io);

#endif
