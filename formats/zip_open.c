/*
 * zip_open.c - the bytes of a zip's members
 *
 * zlib inflates; finding the bytes is left to our own reader, so that there is
 * one opinion about where they are.
 */
#include <config.h>

#include "zip.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <zlib.h>

#include "crc.h"
#include "spool.h"

enum { BUFFER = 64 << 10 };

/* An inflation on its way. */
typedef struct inflation {
    z_stream stream;
    const dfx_io *io;
    uint64_t at, left; /* of packed bytes */
    uint64_t size;     /* so far */
    uint32_t crc;
    uint8_t in[BUFFER], out[BUFFER];
} inflation;

static dfx_status
fail(const dfx_zip_member *m, dfx_rule rule, dfx_error *err, const char *what)
{
    return dfx_fail(err, rule, m->header, "member \"%.200s\": %s", m->name,
                    what);
}

/* Inflates into the spool until the stream ends. */
static dfx_status
run(inflation *f, const dfx_zip_member *m, dfx_rule rule, uint64_t limit,
    dfx_spool *spool, dfx_error *err)
{
    int result = Z_OK;

    while (result != Z_STREAM_END) {
        size_t made;

        if (f->stream.avail_in == 0 && f->left > 0) {
            size_t n = f->left < BUFFER ? (size_t)f->left : BUFFER;

            DFX_TRY(dfx_io_read_at(f->io, f->at, f->in, n, err));
            f->stream.next_in = f->in;
            f->stream.avail_in = (uInt)n;
            f->at += n;
            f->left -= n;
        }
        f->stream.next_out = f->out;
        f->stream.avail_out = BUFFER;
        result = inflate(&f->stream, Z_NO_FLUSH);
        made = BUFFER - f->stream.avail_out;
        if (result == Z_MEM_ERROR)
            return dfx_fail_nomem(err);
        if (result != Z_OK && result != Z_STREAM_END)
            return fail(m, rule, err, "its deflated data is broken");
        if (made > m->size - f->size || made > limit - f->size)
            return fail(m, rule, err,
                        made > m->size - f->size
                            ? "it inflates to more than its size"
                            : "it inflates to more than is allowed");
        f->crc = dfx_crc(f->crc, f->out, made);
        f->size += made;
        DFX_TRY(dfx_spool_write(spool, f->out, made, err));
    }
    if (f->left > 0 || f->stream.avail_in > 0 || f->size != m->size)
        return fail(m, rule, err, "it does not inflate to its size");
    if (f->crc != m->crc)
        return fail(m, rule, err, "its CRC-32 is another than its header says");
    return DFX_OK;
}

static dfx_status
inflate_member(const dfx_zip *zip, const dfx_zip_member *m, dfx_rule rule,
               uint64_t limit, dfx_spool *spool, dfx_error *err)
{
    inflation *f = calloc(1, sizeof *f);
    dfx_status status;

    if (f == NULL)
        return dfx_fail_nomem(err);
    f->io = zip->io;
    f->at = m->data;
    f->left = m->packed;
    if (inflateInit2(&f->stream, -MAX_WBITS) != Z_OK) {
        free(f);
        return dfx_fail_nomem(err);
    }
    status = run(f, m, rule, limit, spool, err);
    inflateEnd(&f->stream);
    free(f);
    return status;
}

dfx_status
dfx_zip_peek(const dfx_zip *zip, const dfx_zip_member *member, uint64_t limit,
             const char *temp, dfx_io **io, dfx_error *err)
{
    dfx_spool *spool = NULL;
    dfx_error broken;
    dfx_status status;

    if (member->data == UINT64_MAX)
        return dfx_io_open_memory("", 0, member->name, io, err);
    if (member->method != Z_DEFLATED)
        return dfx_io_open_slice(zip->io, member->data, member->packed, io,
                                 err);
    DFX_TRY(dfx_spool_new(temp, &spool, err));
    status =
        inflate_member(zip, member, DFX_RULE_PT_ZIP_CRC, limit, spool, &broken);
    if (status == DFX_OK || strcmp(broken.rule, "pt.zip.crc") == 0)
        return dfx_spool_finish(spool, member->name, io, err);
    if (err != NULL)
        *err = broken;
    dfx_spool_free(spool);
    return status;
}

dfx_status
dfx_zip_open(const dfx_zip *zip, const dfx_zip_member *member, dfx_rule rule,
             uint64_t limit, const char *temp, dfx_io **io, dfx_error *err)
{
    dfx_spool *spool = NULL;
    dfx_status status;

    if (member->data == UINT64_MAX)
        return fail(member, rule, err, "it has no bytes in the file");
    if (member->method == 0 && member->size == member->packed)
        return dfx_io_open_checked(zip->io, member->data, member->size,
                                   member->crc, rule, member->name, io, err);
    if (member->method != Z_DEFLATED)
        return dfx_fail(err, rule, member->header,
                        "member \"%.200s\": method %u is not known",
                        member->name, member->method);
    DFX_TRY(dfx_spool_new(temp, &spool, err));
    status = inflate_member(zip, member, rule, limit, spool, err);
    if (status == DFX_OK)
        return dfx_spool_finish(spool, member->name, io, err);
    dfx_spool_free(spool);
    return status;
}
