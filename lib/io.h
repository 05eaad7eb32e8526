/*
 * io.h - bytes at an offset, wherever they are
 *
 * A file, memory, a slice of another io, or a view that rearranges the bytes of
 * one as they are read. There is no cursor, so any number of threads may read
 * one io at once.
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

/*
 * A slice whose CRC-32 is known: once reads have covered it whole, in whatever
 * order and pieces, the last of them fails with rule if it is another, naming
 * what (a member of an archive; copied). Ranges read twice or never leave it
 * unchecked. No file descriptor is shown, so that the kernel does not copy it
 * unseen.
 */
DFX_CHECKED dfx_status dfx_io_open_checked(const dfx_io *base, uint64_t offset,
                                           uint64_t size, uint32_t crc,
                                           dfx_rule rule, const char *what,
                                           dfx_io **io, dfx_error *err);

/* Elements of a tensor as PyTorch keeps it: strides over a storage. */
typedef struct dfx_strided {
    dfx_type type; /* of whole bytes */
    uint32_t rank;
    const uint64_t *shape;
    const uint64_t *stride; /* in elements */
    uint64_t offset;        /* in elements */
    bool big_endian;        /* stored so; a complex number is two */
    bool conjugate;         /* imaginary parts change sign */
    bool negate;
} dfx_strided;

/*
 * The bytes of a view of base: its elements row-major, little-endian, packed.
 * All that the view reaches lies inside base (the caller has checked; else
 * USAGE). Borrows base, copies the rest.
 */
DFX_CHECKED dfx_status dfx_io_open_strided(const dfx_io *base,
                                           const dfx_strided *view, dfx_io **io,
                                           dfx_error *err);

void dfx_io_close(dfx_io *io); /* NULL is fine */

uint64_t dfx_io_size(const dfx_io *io);
const char *dfx_io_name(const dfx_io *io);

/* Exactly size bytes; fewer there is DFX_RULE_IO_SHORT. Thread-safe. */
DFX_CHECKED dfx_status dfx_io_read_at(const dfx_io *io, uint64_t offset,
                                      void *buf, size_t size, dfx_error *err);

/*
 * The file descriptor behind the io and where the io starts in it, for
 * copy_file_range; -1 if there is none (memory, views). Borrowed.
 */
int dfx_io_fd(const dfx_io *io, uint64_t *base);

/* Reads of neighbouring bytes reach far apart: the larger, the better. */
bool dfx_io_is_scattered(const dfx_io *io);

/* The bytes themselves if they are in memory, else NULL. Borrowed. */
const void *dfx_io_memory(const dfx_io *io);

#endif
