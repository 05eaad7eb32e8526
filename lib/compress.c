/*
 * compress.c - zstd streams, by libzstd
 */
#include <config.h>

#include "compress.h"

#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <zstd.h>

#include "memory.h"

enum {
    BUFFER = 128 << 10,
    WORKERS = 2,    /* each holds some 8 MiB at the default level */
    MAX_WINDOW = 27 /* bits, 128 MiB: what the zstd tool takes by itself */
};

#define ALWAYS                                                                 \
    ((uint64_t)1 << 30) /* bytes that are fine whatever the input              \
                         */
#define MANY 64

/* ---- Compressing ---------------------------------------------------------
 */

struct dfx_compressor {
    ZSTD_CCtx *context;
    int fd;
    uint64_t at; /* in the file */
    unsigned char out[BUFFER];
};

dfx_status
dfx_compressor_new(int fd, uint64_t size, int level, dfx_compressor **out,
                   dfx_error *err)
{
    dfx_compressor *made = calloc(1, sizeof *made);

    if (made == NULL)
        return dfx_fail_nomem(err);
    made->fd = fd;
    made->context = ZSTD_createCCtx();
    if (made->context == NULL) {
        free(made);
        return dfx_fail_nomem(err);
    }
    (void)ZSTD_CCtx_setParameter(made->context, ZSTD_c_compressionLevel,
                                 level != 0 ? level : ZSTD_CLEVEL_DEFAULT);
    (void)ZSTD_CCtx_setParameter(made->context, ZSTD_c_checksumFlag, 1);
    /* With workers the frame is cut into jobs, so there are always some; a
       library that was built without has none, and other bytes. */
    (void)ZSTD_CCtx_setParameter(made->context, ZSTD_c_nbWorkers, WORKERS);
    (void)ZSTD_CCtx_setPledgedSrcSize(made->context, size);
    *out = made;
    return DFX_OK;
}

static dfx_status
write_out(dfx_compressor *c, size_t size, dfx_error *err)
{
    const unsigned char *data = c->out;

    while (size > 0) {
        ssize_t n = pwrite(c->fd, data, size, (off_t)c->at);
        char reason[128];

        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0)
            return dfx_fail(err, DFX_RULE_OUT_WRITE, c->at,
                            "cannot be written: %s",
                            strerror_r(errno, reason, sizeof reason));
        data += n;
        size -= (size_t)n;
        c->at += (uint64_t)n;
    }
    return DFX_OK;
}

/* Takes all of the input; with ZSTD_e_end until the frame is complete. */
static dfx_status
feed(dfx_compressor *c, ZSTD_inBuffer *in, ZSTD_EndDirective how,
     dfx_error *err)
{
    size_t left;

    do {
        ZSTD_outBuffer out = {c->out, BUFFER, 0};

        left = ZSTD_compressStream2(c->context, &out, in, how);
        if (ZSTD_isError(left))
            return dfx_fail(err, DFX_RULE_OUT_WRITE, c->at, "zstd: %s",
                            ZSTD_getErrorName(left));
        DFX_TRY(write_out(c, out.pos, err));
    } while (how == ZSTD_e_end ? left > 0 : in->pos < in->size);
    return DFX_OK;
}

dfx_status
dfx_compressor_write(dfx_compressor *c, const void *data, size_t size,
                     dfx_error *err)
{
    ZSTD_inBuffer in = {data, size, 0};

    return feed(c, &in, ZSTD_e_continue, err);
}

dfx_status
dfx_compressor_end(dfx_compressor *c, dfx_error *err)
{
    ZSTD_inBuffer in = {NULL, 0, 0};

    return feed(c, &in, ZSTD_e_end, err);
}

void
dfx_compressor_free(dfx_compressor *c)
{
    if (c == NULL)
        return;
    ZSTD_freeCCtx(c->context);
    free(c);
}

/* ---- Expanding -----------------------------------------------------------
 */

/* An expansion on its way. */
typedef struct expansion {
    ZSTD_DCtx *context;
    const dfx_io *io;
    uint64_t at, limit, made;
    size_t pending; /* what the frame still wants; 0: it is complete */
    dfx_spool *spool;
    unsigned char in[BUFFER], out[BUFFER];
} expansion;

static dfx_status
expand_block(expansion *e, ZSTD_inBuffer *in, dfx_error *err)
{
    while (in->pos < in->size) {
        ZSTD_outBuffer out = {e->out, BUFFER, 0};

        e->pending = ZSTD_decompressStream(e->context, &out, in);
        if (ZSTD_isError(e->pending))
            return dfx_fail(err, DFX_RULE_ZS_FRAME, e->at, "zstd: %s",
                            ZSTD_getErrorName(e->pending));
        if (out.pos > e->limit - e->made)
            return dfx_fail(err, DFX_RULE_ZS_LIMIT, e->at,
                            "expands to more than %" PRIu64 " bytes", e->limit);
        e->made += out.pos;
        DFX_TRY(dfx_spool_write(e->spool, e->out, out.pos, err));
    }
    return DFX_OK;
}

static dfx_status
expand_all(expansion *e, dfx_error *err)
{
    uint64_t size = dfx_io_size(e->io);

    e->pending = 1; /* no frame at all is no frame */
    while (e->at < size) {
        size_t n = size - e->at < BUFFER ? (size_t)(size - e->at) : BUFFER;
        ZSTD_inBuffer in = {e->in, n, 0};

        DFX_TRY(dfx_io_read_at(e->io, e->at, e->in, n, err));
        DFX_TRY(expand_block(e, &in, err));
        e->at += n;
    }
    if (e->pending != 0)
        return dfx_fail(err, DFX_RULE_ZS_FRAME, size,
                        "the file ends in the middle of a frame");
    return DFX_OK;
}

static dfx_status
run(expansion *e, const char *temp, dfx_error *err)
{
    e->context = ZSTD_createDCtx();
    if (e->context == NULL)
        return dfx_fail_nomem(err);
    (void)ZSTD_DCtx_setParameter(e->context, ZSTD_d_windowLogMax, MAX_WINDOW);
    DFX_TRY(dfx_spool_new(temp, &e->spool, err));
    return expand_all(e, err);
}

dfx_status
dfx_expand(const dfx_io *io, uint64_t limit, const char *temp, const char *name,
           dfx_io **out, dfx_error *err)
{
    expansion *e = calloc(1, sizeof *e);
    uint64_t size = dfx_io_size(io);
    dfx_status status;

    if (e == NULL)
        return dfx_fail_nomem(err);
    e->io = io;
    e->limit = limit;
    if (limit == 0)
        e->limit = size > ALWAYS / MANY ? size * MANY : ALWAYS;
    status = run(e, temp, err);
    ZSTD_freeDCtx(e->context);
    if (status == DFX_OK)
        status = dfx_spool_finish(e->spool, name, out, err);
    else
        dfx_spool_free(e->spool);
    free(e);
    return status;
}
