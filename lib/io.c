/*
 * io.c - files, memory, and slices of whatever there is
 *
 * Files are read with pread and never mapped: mapped pages count as resident,
 * and memory is bounded whatever the size of a model.
 */
#include <config.h>

#include "io.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "io_kind.h"

/* ---- Reading ------------------------------------------------------------ */

static dfx_status
fail_short(const dfx_io *io, uint64_t offset, size_t missing, dfx_error *err)
{
    dfx_status status = dfx_fail(err, DFX_RULE_IO_SHORT, offset,
                                 "the file ends %zu bytes too early", missing);

    dfx_error_in_file(err, io->name);
    return status;
}

static dfx_status
read_file(const dfx_io *io, uint64_t offset, void *buf, size_t size,
          dfx_error *err)
{
    unsigned char *p = buf;

    while (size > 0) {
        ssize_t n = pread(io->fd, p, size, (off_t)(io->start + offset));

        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0) {
            dfx_status status =
                dfx_fail_io(err, errno, "cannot read at byte %" PRIu64, offset);

            dfx_error_in_file(err, io->name);
            return status;
        }
        if (n == 0)
            return fail_short(io, offset, size, err);
        p += n;
        offset += (uint64_t)n;
        size -= (size_t)n;
    }
    return DFX_OK;
}

static dfx_status
read_memory(const dfx_io *io, uint64_t offset, void *buf, size_t size,
            dfx_error *err)
{
    (void)err;
    if (size > 0)
        memcpy(buf, io->data + io->start + offset, size);
    return DFX_OK;
}

static dfx_status
read_slice(const dfx_io *io, uint64_t offset, void *buf, size_t size,
           dfx_error *err)
{
    return dfx_io_read_at(io->base, io->start + offset, buf, size, err);
}

dfx_status
dfx_io_read_at(const dfx_io *io, uint64_t offset, void *buf, size_t size,
               dfx_error *err)
{
    if (offset > io->size || size > io->size - offset) {
        uint64_t left = offset > io->size ? 0 : io->size - offset;

        return fail_short(io, offset, size - (size_t)left, err);
    }
    return io->kind->read(io, offset, buf, size, err);
}

/* ---- Opening and closing ------------------------------------------------ */

static const dfx_io_kind file_kind = {.read = read_file};
static const dfx_io_kind memory_kind = {.read = read_memory};
/* Of an io that is neither: those of files and memory are the same kind. */
static const dfx_io_kind slice_kind = {.read = read_slice};
static const dfx_io_kind scattered_slice_kind = {.read = read_slice,
                                                 .is_scattered = true};

static dfx_io *
io_new(const dfx_io_kind *kind, const char *name)
{
    size_t room = strlen(name) + 1;
    dfx_io *io = calloc(1, sizeof *io + room);

    if (io == NULL)
        return NULL;
    io->kind = kind;
    io->fd = -1;
    memcpy(io->name, name, room);
    return io;
}

dfx_io *
dfx_io_new(const dfx_io_kind *kind, const dfx_io *base, uint64_t start,
           uint64_t size, void *state)
{
    dfx_io *io = io_new(kind, base->name);

    if (io == NULL)
        return NULL;
    io->base = base;
    io->start = start;
    io->size = size;
    io->state = state;
    return io;
}

dfx_io *
dfx_io_new_owner(void *data, int fd, uint64_t size, const char *name)
{
    dfx_io *io = io_new(data != NULL ? &memory_kind : &file_kind, name);

    if (io == NULL)
        return NULL;
    io->data = io->owned = data;
    if (data == NULL) {
        io->fd = fd;
        io->owns_fd = true;
    }
    io->size = size;
    return io;
}

static dfx_status
fail_open(dfx_error *err, const char *path, const char *why)
{
    dfx_status status =
        dfx_fail(err, DFX_RULE_IO_OPEN, DFX_NO_OFFSET, "%s", why);

    dfx_error_in_file(err, path);
    return status;
}

dfx_status
dfx_io_open_file(const char *path, dfx_io **io, dfx_error *err)
{
    dfx_io *made = io_new(&file_kind, path);
    char reason[128];
    dfx_status status;
    struct stat st;

    if (made == NULL)
        return dfx_fail_nomem(err);
    made->owns_fd = true;
    /* Not blocking, or opening a FIFO would wait for a writer. */
    made->fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);
    if (made->fd < 0 || fstat(made->fd, &st) != 0) {
        status = fail_open(err, path, strerror_r(errno, reason, sizeof reason));
    } else if (!S_ISREG(st.st_mode)) {
        status = fail_open(err, path,
                           S_ISDIR(st.st_mode) ? "is a folder, not a file"
                                               : "is not a regular file");
    } else {
        made->size = (uint64_t)st.st_size; /* of a file: never negative */
        *io = made;
        return DFX_OK;
    }
    dfx_io_close(made);
    return status;
}

dfx_status
dfx_io_open_memory(const void *data, size_t size, const char *name, dfx_io **io,
                   dfx_error *err)
{
    dfx_io *made = io_new(&memory_kind, name);

    if (made == NULL)
        return dfx_fail_nomem(err);
    made->data = data != NULL ? data : (const unsigned char *)"";
    made->size = size;
    *io = made;
    return DFX_OK;
}

dfx_status
dfx_io_open_slice(const dfx_io *base, uint64_t offset, uint64_t size,
                  dfx_io **io, dfx_error *err)
{
    bool is_plain = base->kind == &file_kind || base->kind == &memory_kind;
    const dfx_io_kind *kind = is_plain                   ? base->kind
                              : base->kind->is_scattered ? &scattered_slice_kind
                                                         : &slice_kind;
    dfx_io *made;

    if (offset > base->size || size > base->size - offset)
        return dfx_fail_usage(err,
                              "bytes %" PRIu64 " + %" PRIu64
                              " are not inside the %" PRIu64 " of %s",
                              offset, size, base->size, base->name);
    made = dfx_io_new(kind, base, offset, size, NULL);
    if (made == NULL)
        return dfx_fail_nomem(err);
    if (is_plain) {
        made->base = NULL;
        made->fd = base->fd;
        made->data = base->data;
        made->start = base->start + offset; /* a slice of a slice is one */
    }
    *io = made;
    return DFX_OK;
}

void
dfx_io_close(dfx_io *io)
{
    if (io == NULL)
        return;
    if (io->owns_fd && io->fd >= 0)
        close(io->fd);
    if (io->kind->free_state != NULL)
        io->kind->free_state(io->state);
    free(io->owned);
    free(io);
}

/* ---- What there is to know ---------------------------------------------- */

uint64_t
dfx_io_size(const dfx_io *io)
{
    return io->size;
}

const char *
dfx_io_name(const dfx_io *io)
{
    return io->name;
}

int
dfx_io_fd(const dfx_io *io, uint64_t *base)
{
    *base = io->start;
    return io->fd;
}

bool
dfx_io_is_scattered(const dfx_io *io)
{
    return io->kind->is_scattered;
}

const void *
dfx_io_memory(const dfx_io *io)
{
    return io->data != NULL ? io->data + io->start : NULL;
}

const char *
dfx_extent_file(const dfx_extent *extent)
{
    return dfx_io_name(extent->io);
}

dfx_status
dfx_extent_read(const dfx_extent *extent, uint64_t offset, void *buf,
                size_t size, dfx_error *err)
{
    if (offset > extent->size || size > extent->size - offset)
        return dfx_fail_usage(err,
                              "bytes %" PRIu64 " + %zu are not inside the "
                              "%" PRIu64 " of the extent",
                              offset, size, extent->size);
    return dfx_io_read_at(extent->io, extent->offset + offset, buf, size, err);
}
