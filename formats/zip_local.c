/*
 * zip_local.c - the headers before the members of a zip, and the bytes between
 *
 * Loaders take a member's place from its local header and everything else from
 * the directory, or the other way round, so both must say the same.
 */
#include <config.h>

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "zip_parse.h"

enum { LOCAL_SIZE = 30, LOCAL_SIGNATURE = 0x04034b50 };

#define TELL(...) DFX_TRY(dfx_zip_tell(__VA_ARGS__))

/* ---- One header ----------------------------------------------------------
 */

/* Zeros where a descriptor has the values; else they are the directory's. */
static bool
agrees(uint64_t local, uint64_t central, bool has_descriptor)
{
    return local == central || (has_descriptor && local == 0);
}

/* local has name, flags, method, CRC and sizes of the local header. */
static dfx_status
compare_headers(const dfx_zip_parse *p, const dfx_zip_member *m,
                const dfx_zip_member *local)
{
    bool late = (local->flags & DFX_ZIP_DESCRIPTOR) != 0;
    unsigned new_flags = local->flags & ~(unsigned)m->flags;
    uint64_t at = m->header;

    if (local->name_size != m->name_size ||
        memcmp(local->name, m->name, m->name_size) != 0)
        TELL(p, DFX_ZIP_MISMATCH, m, at,
             "its local header gives another name: \"%.*s\"",
             (int)(local->name_size < 200 ? local->name_size : 200),
             local->name);
    DFX_TRY(dfx_zip_flags(p, m, new_flags, at));
    if (((local->flags ^ m->flags) & (DFX_ZIP_DESCRIPTOR | DFX_ZIP_UTF8)) != 0)
        TELL(p, DFX_ZIP_MISMATCH, m, at,
             "its flags are %04x in the local header and %04x in the directory",
             local->flags, m->flags);
    if (local->method != m->method)
        TELL(p, DFX_ZIP_METHOD, m, at,
             "its method is %u in the local header and %u in the directory",
             local->method, m->method);
    if (!agrees(local->crc, m->crc, late))
        TELL(p, DFX_ZIP_MISMATCH, m, at,
             "its CRC-32 is %08" PRIx32 " in the local header and %08" PRIx32
             " in the directory",
             local->crc, m->crc);
    if (!agrees(local->size, m->size, late) ||
        !agrees(local->packed, m->packed, late))
        TELL(p, DFX_ZIP_MISMATCH, m, at,
             "its sizes are %" PRIu64 " and %" PRIu64
             " in the local header, %" PRIu64 " and %" PRIu64
             " in the directory",
             local->packed, local->size, m->packed, m->size);
    return DFX_OK;
}

/* Name and extra fields of the header at fixed, in rest. */
static dfx_status
parse_header(const dfx_zip_parse *p, dfx_zip_member *m, const uint8_t *fixed,
             const uint8_t *rest)
{
    size_t name_size = dfx_zip_u16(fixed + 26);
    size_t extra_size = dfx_zip_u16(fixed + 28);
    dfx_zip_member local = {
        .name = m->name, /* in messages, and in a Unicode path field */
        .name_size = m->name_size,
        .flags = (uint16_t)dfx_zip_u16(fixed + 6),
        .method = (uint16_t)dfx_zip_u16(fixed + 8),
        .crc = dfx_zip_u32(fixed + 14),
        .packed = dfx_zip_u32(fixed + 18),
        .size = dfx_zip_u32(fixed + 22),
        .header = m->header == UINT32_MAX ? 0 : m->header,
    };

    DFX_TRY(dfx_zip_extras(p, &local, rest + name_size, extra_size,
                           m->header + LOCAL_SIZE + name_size));
    local.name = (const char *)rest;
    local.name_size = name_size;
    DFX_TRY(compare_headers(p, m, &local));
    m->data = m->header + LOCAL_SIZE + name_size + extra_size;
    return DFX_OK;
}

static dfx_status
read_header(const dfx_zip_parse *p, dfx_zip_member *m)
{
    const dfx_io *io = p->zip->io;
    uint64_t size = dfx_io_size(io);
    uint8_t fixed[LOCAL_SIZE];
    uint8_t *rest;
    size_t rest_size;
    dfx_status status;

    if (dfx_ckd_add(&m->header, m->header, p->zip->base) || m->header > size ||
        size - m->header < LOCAL_SIZE) {
        TELL(p, DFX_ZIP_OFFSET, m, p->zip->directory,
             "its local header would be at byte %" PRIu64 " of %" PRIu64,
             m->header, size);
        return DFX_OK;
    }
    DFX_TRY(dfx_io_read_at(io, m->header, fixed, sizeof fixed, p->err));
    if (dfx_zip_u32(fixed) != LOCAL_SIGNATURE) {
        TELL(p, DFX_ZIP_SIGNATURE, m, m->header,
             "there is no local header where the directory says");
        return DFX_OK;
    }
    rest_size = (size_t)dfx_zip_u16(fixed + 26) + dfx_zip_u16(fixed + 28);
    if (size - m->header - LOCAL_SIZE < rest_size) {
        TELL(p, DFX_ZIP_OFFSET, m, m->header,
             "its local header is longer than the file");
        return DFX_OK;
    }
    rest = malloc(rest_size + 1);
    if (rest == NULL)
        return dfx_fail_nomem(p->err);
    status =
        dfx_io_read_at(io, m->header + LOCAL_SIZE, rest, rest_size, p->err);
    if (status == DFX_OK)
        status = parse_header(p, m, fixed, rest);
    free(rest);
    return status;
}

/* ---- Where a member ends -------------------------------------------------
 */

/* Bytes of the descriptor at data, which may have a signature and 32 or 64 bits
   of size; 0: none of them. */
static size_t
descriptor_size(const dfx_zip_member *m, const uint8_t *data, size_t size)
{
    for (size_t signature = 0; signature <= 4; signature += 4) {
        const uint8_t *crc = data + 4 - signature;
        size_t start = 4 - signature, left;

        if (size < start ||
            (start == 4 && (size < 4 || dfx_zip_u32(data) != 0x08074b50)))
            continue;
        left = size - start;
        /* Of an empty member both may fit: the longer one, if it is zeros. */
        if (left >= 20 && dfx_zip_u32(crc) == m->crc &&
            dfx_zip_u64(crc + 4) == m->packed &&
            dfx_zip_u64(crc + 12) == m->size)
            return start + 20;
        if (left >= 12 && dfx_zip_u32(crc) == m->crc &&
            dfx_zip_u32(crc + 4) == m->packed &&
            dfx_zip_u32(crc + 8) == m->size)
            return start + 12;
    }
    return 0;
}

static dfx_status
find_end(const dfx_zip_parse *p, dfx_zip_member *m)
{
    uint64_t size = dfx_io_size(p->zip->io);
    uint8_t data[24];
    size_t there, used;

    if (dfx_ckd_add(&m->end, m->data, m->packed) || m->end > size) {
        TELL(p, DFX_ZIP_SIZE, m, m->data,
             "has %" PRIu64 " bytes, and the file %" PRIu64 " from there on",
             m->packed, size - m->data);
        m->end = m->data = UINT64_MAX;
        return DFX_OK;
    }
    if ((m->flags & DFX_ZIP_DESCRIPTOR) == 0)
        return DFX_OK;
    there = size - m->end < sizeof data ? (size_t)(size - m->end) : sizeof data;
    DFX_TRY(dfx_io_read_at(p->zip->io, m->end, data, there, p->err));
    used = descriptor_size(m, data, there);
    if (used == 0)
        TELL(p, DFX_ZIP_MISMATCH, m, m->end,
             "no data descriptor with the directory's values follows it");
    m->end += used;
    return DFX_OK;
}

/* ---- Between the members -------------------------------------------------
 */

static int
compare_offsets(const void *a, const void *b)
{
    const dfx_zip_member *x = *(const dfx_zip_member *const *)a;
    const dfx_zip_member *y = *(const dfx_zip_member *const *)b;

    if (x->header != y->header)
        return x->header < y->header ? -1 : 1;
    return x < y ? -1 : x > y;
}

/* A header that no entry of the directory leads to. */
static bool
is_header(const dfx_zip_parse *p, uint64_t at)
{
    uint8_t start[4];

    return dfx_io_read_at(p->zip->io, at, start, sizeof start, NULL) ==
               DFX_OK &&
           dfx_zip_u32(start) == LOCAL_SIGNATURE;
}

/* The members lie end to end from the start of the archive to the directory. */
static dfx_status
check_order(const dfx_zip_parse *p, const dfx_zip_member *const *order,
            size_t count)
{
    uint64_t at = p->zip->base;

    for (size_t i = 0; i < count; i++) {
        const dfx_zip_member *m = order[i];

        if (m->header < at)
            TELL(p, DFX_ZIP_OVERLAP, m, m->header,
                 "its bytes belong to the entry before it, too");
        else if (m->header > at && i == 0 && !is_header(p, at))
            TELL(p, DFX_ZIP_PREFIX, NULL, at,
                 "%" PRIu64 " bytes before the first entry", m->header - at);
        else if (m->header > at)
            TELL(p, DFX_ZIP_GAP, NULL, at,
                 "%" PRIu64 " bytes that no entry leads to", m->header - at);
        if (m->end > at)
            at = m->end;
    }
    if (at < p->zip->directory)
        TELL(p, DFX_ZIP_GAP, NULL, at, "%" PRIu64 " bytes before the directory",
             p->zip->directory - at);
    else if (at > p->zip->directory)
        TELL(p, DFX_ZIP_OVERLAP, count > 0 ? order[count - 1] : NULL, at,
             "an entry runs into the directory");
    return DFX_OK;
}

dfx_status
dfx_zip_locals(const dfx_zip_parse *p)
{
    dfx_zip *zip = p->zip;
    const dfx_zip_member **order =
        calloc(zip->count + 1, sizeof(dfx_zip_member *));
    dfx_status status = DFX_OK;
    size_t count = 0;

    if (order == NULL)
        return dfx_fail_nomem(p->err);
    for (size_t i = 0; status == DFX_OK && i < zip->count; i++) {
        dfx_zip_member *m = &zip->members[i];

        status = read_header(p, m);
        if (status == DFX_OK && m->data != UINT64_MAX)
            status = find_end(p, m);
        if (m->data != UINT64_MAX)
            order[count++] = m;
    }
    if (count > 0)
        qsort(order, count, sizeof(dfx_zip_member *), compare_offsets);
    if (status == DFX_OK)
        status = check_order(p, order, count);
    free(order);
    return status;
}
