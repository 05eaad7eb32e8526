/*
 * spool.c - bytes in memory, and in a nameless file when they are many
 */
#include <config.h>

#include "spool.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "io_kind.h"
#include "memory.h"

enum {
    IN_MEMORY = 256 << 10, /* at most */
    FIRST = 4 << 10
};

struct dfx_spool {
    unsigned char *data; /* owned; NULL once there is a file */
    size_t capacity;
    int fd; /* -1: none yet */
    uint64_t size;
    char folder[];
};

dfx_status
dfx_spool_new(const char *folder, dfx_spool **spool, dfx_error *err)
{
    const char *where = folder != NULL ? folder : P_tmpdir;
    size_t room = strlen(where) + 1;
    dfx_spool *made = calloc(1, sizeof *made + room);

    if (made == NULL)
        return dfx_fail_nomem(err);
    made->data = malloc(FIRST); /* never NULL: an io may be made of nothing */
    if (made->data == NULL) {
        free(made);
        return dfx_fail_nomem(err);
    }
    made->capacity = FIRST;
    made->fd = -1;
    memcpy(made->folder, where, room);
    *spool = made;
    return DFX_OK;
}

void
dfx_spool_free(dfx_spool *spool)
{
    if (spool == NULL)
        return;
    if (spool->fd >= 0)
        close(spool->fd);
    free(spool->data);
    free(spool);
}

uint64_t
dfx_spool_size(const dfx_spool *spool)
{
    return spool->size;
}

static dfx_status
fail_write(const dfx_spool *spool, const char *what, dfx_error *err)
{
    char reason[128];
    dfx_status status =
        dfx_fail(err, DFX_RULE_OUT_WRITE, DFX_NO_OFFSET, "%s: %s", what,
                 strerror_r(errno, reason, sizeof reason));

    dfx_error_in_file(err, spool->folder);
    return status;
}

/* Where a file system has no files without names, one that loses it. */
static int
open_nameless(const char *folder)
{
    int fd = open(folder, O_TMPFILE | O_RDWR | O_EXCL | O_CLOEXEC, 0600);
    dfx_text path = {0};

    if (fd >= 0 || (errno != EOPNOTSUPP && errno != EISDIR && errno != EINVAL))
        return fd;
    dfx_text_printf(&path, "%s/.dfx-XXXXXX.tmp", folder);
    if (path.failed) {
        errno = ENOMEM;
        return -1;
    }
    fd = mkostemps(path.data, sizeof ".tmp" - 1, O_CLOEXEC);
    if (fd >= 0)
        unlink(path.data);
    dfx_text_fini(&path);
    return fd;
}

static dfx_status
write_all(const dfx_spool *spool, const unsigned char *data, size_t size,
          dfx_error *err)
{
    while (size > 0) {
        ssize_t n = write(spool->fd, data, size);

        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0)
            return fail_write(spool, "what is decompressed cannot be kept here",
                              err);
        data += n;
        size -= (size_t)n;
    }
    return DFX_OK;
}

/* From memory to a file. */
static dfx_status
move_out(dfx_spool *spool, dfx_error *err)
{
    spool->fd = open_nameless(spool->folder);
    if (spool->fd < 0)
        return fail_write(spool, "no temporary file can be made here", err);
    DFX_TRY(write_all(spool, spool->data, (size_t)spool->size, err));
    free(spool->data);
    spool->data = NULL;
    return DFX_OK;
}

/* Room for size more bytes in memory, which stay below IN_MEMORY. */
static bool
reserve(dfx_spool *spool, size_t size)
{
    size_t wanted = (size_t)spool->size + size;
    size_t room = spool->capacity;
    unsigned char *grown;

    if (wanted <= room)
        return true;
    while (room < wanted)
        room *= 2;
    grown = realloc(spool->data, room);
    if (grown == NULL)
        return false;
    spool->data = grown;
    spool->capacity = room;
    return true;
}

dfx_status
dfx_spool_write(dfx_spool *spool, const void *data, size_t size, dfx_error *err)
{
    if (size == 0)
        return DFX_OK;
    if (spool->fd < 0 && size > IN_MEMORY - (size_t)spool->size)
        DFX_TRY(move_out(spool, err));
    if (spool->fd >= 0) {
        DFX_TRY(write_all(spool, data, size, err));
    } else {
        if (!reserve(spool, size))
            return dfx_fail_nomem(err);
        memcpy(spool->data + spool->size, data, size);
    }
    spool->size += size;
    return DFX_OK;
}

dfx_status
dfx_spool_finish(dfx_spool *spool, const char *name, dfx_io **io,
                 dfx_error *err)
{
    dfx_io *made = dfx_io_new_owner(spool->data, spool->fd, spool->size, name);

    if (made != NULL) {
        spool->data = NULL;
        spool->fd = -1;
    }
    dfx_spool_free(spool);
    if (made == NULL)
        return dfx_fail_nomem(err);
    *io = made;
    return DFX_OK;
}
