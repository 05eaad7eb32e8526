/*
 * zip_write.c - zip archives, laid out into a plan
 *
 * Everything about an archive but the CRCs of its members is known before a
 * byte of it is read, so offsets and the directory are laid out at once, and
 * the CRCs are pieces that show sums.
 */
#include <config.h>

#include "zip.h"

#include <string.h>

typedef struct entry {
    struct entry *next;
    const char *name;
    size_t name_size;
    uint64_t size, header;
    uint16_t flags;
    bool is_known; /* the CRC */
    uint32_t crc;
    size_t sum; /* of the plan's output, if it is not */
} entry;

struct dfx_zip_writer {
    dfx_plan *plan;
    size_t output;
    const dfx_zip_style *style;
    entry *first, *last;
    size_t count;
};

enum {
    LOCAL_SIZE = 30,
    CENTRAL_SIZE = 46,
    END_SIZE = 22,
    END64_SIZE = 56,
    LOCATOR_SIZE = 20,
    FIELD = 4, /* id and size of an extra field */
    DESCRIPTOR = 1 << 3,
    UTF8 = 1 << 11
};

/* ---- Bytes ---------------------------------------------------------------
 */

/* Puts size bytes of value at p and returns what comes after them. */
static uint8_t *
put(uint8_t *p, uint64_t value, unsigned size)
{
    for (unsigned i = 0; i < size; i++)
        *p++ = (uint8_t)(value >> 8 * i);
    return p;
}

static uint8_t *
room(dfx_zip_writer *w, size_t size)
{
    return dfx_arena_alloc(&w->plan->arena, size + 1);
}

/* Adds size bytes, which live in the arena. */
static dfx_status
add(dfx_zip_writer *w, const uint8_t *data, size_t size, dfx_error *err)
{
    const dfx_expr *x = NULL;

    DFX_TRY(dfx_expr_bytes(&w->plan->arena, data, size, &x, err));
    return dfx_plan_add_piece(w->plan, w->output, x, err);
}

/* Adds a header whose CRC stands at byte crc_at of it. */
static dfx_status
add_header(dfx_zip_writer *w, const entry *e, uint8_t *data, size_t size,
           size_t crc_at, dfx_error *err)
{
    if (e->is_known) {
        put(data + crc_at, e->crc, 4);
        return add(w, data, size, err);
    }
    DFX_TRY(add(w, data, crc_at, err));
    DFX_TRY(dfx_plan_add_sum_piece(w->plan, w->output, e->sum, err));
    return add(w, data + crc_at + 4, size - crc_at - 4, err);
}

static uint64_t
position(const dfx_zip_writer *w)
{
    return w->plan->outputs[w->output].view.size;
}

/* ---- Members -------------------------------------------------------------
 */

dfx_status
dfx_zip_begin(dfx_plan *plan, size_t output, const dfx_zip_style *style,
              dfx_zip_writer **writer, dfx_error *err)
{
    dfx_zip_writer *made = dfx_arena_alloc(&plan->arena, sizeof *made);

    if (made == NULL)
        return dfx_fail_nomem(err);
    *made = (dfx_zip_writer){.plan = plan, .output = output, .style = style};
    *writer = made;
    return DFX_OK;
}

static bool
is_ascii(const char *name)
{
    for (; *name != '\0'; name++)
        if ((unsigned char)*name > 127)
            return false;
    return true;
}

static dfx_status
new_entry(dfx_zip_writer *w, const char *name, uint64_t size, entry **out,
          dfx_error *err)
{
    entry *e = dfx_arena_alloc(&w->plan->arena, sizeof *e);

    if (e == NULL)
        return dfx_fail_nomem(err);
    *e = (entry){.name = dfx_arena_strdup(&w->plan->arena, name),
                 .name_size = strlen(name),
                 .size = size,
                 .header = position(w)};
    if (e->name == NULL)
        return dfx_fail_nomem(err);
    if (e->name_size > UINT16_MAX)
        return dfx_fail_usage(err, "a name of %zu bytes is too long for a zip",
                              e->name_size);
    if (w->style->utf8_always || !is_ascii(name))
        e->flags |= UTF8;
    if (w->style->descriptors && size > 0)
        e->flags |= DESCRIPTOR;
    if (w->last == NULL)
        w->first = e;
    else
        w->last->next = e;
    w->last = e;
    w->count++;
    *out = e;
    return DFX_OK;
}

/* The sizes of the local header are in a zip64 field. */
static bool
has_local_zip64(const dfx_zip_writer *w, const entry *e)
{
    return w->style->zip64_local || e->size >= UINT32_MAX;
}

/* The bytes in the field that aligns what comes after the header. */
static size_t
padding(const entry *e, size_t used, unsigned align)
{
    uint64_t at = e->header + LOCAL_SIZE + e->name_size + used + FIELD;

    return (size_t)((align - at % align) % align);
}

/* Everything before the member's bytes. */
static dfx_status
add_local(dfx_zip_writer *w, const entry *e, size_t extra_size, unsigned align,
          dfx_error *err)
{
    const dfx_zip_style *style = w->style;
    bool late = (e->flags & DESCRIPTOR) != 0, wide = has_local_zip64(w, e);
    uint64_t size = wide ? UINT32_MAX : late ? 0 : e->size;
    size_t whole = LOCAL_SIZE + e->name_size + extra_size;
    uint8_t *data = room(w, whole), *p = data;

    if (data == NULL)
        return dfx_fail_nomem(err);
    p = put(p, 0x04034b50, 4);
    p = put(p, style->needed_local, 2);
    p = put(p, e->flags, 2);
    p = put(p, 0, 4); /* stored; time */
    p = put(p, style->date, 2);
    p = put(p, 0, 4);
    p = put(put(p, size, 4), size, 4);
    p = put(p, e->name_size, 2);
    p = put(p, extra_size, 2);
    memcpy(p, e->name, e->name_size);
    p += e->name_size;
    if (wide) {
        p = put(put(p, 1, 2), 16, 2);
        p = put(put(p, e->size, 8), e->size, 8);
    }
    if (align > 1) {
        size_t left = whole - (size_t)(p - data) - FIELD;

        p = put(put(p, style->pad_id, 2), left, 2);
        memset(p, style->pad_byte, left);
    }
    return late ? add(w, data, whole, err)
                : add_header(w, e, data, whole, 14, err);
}

static dfx_status
begin(dfx_zip_writer *w, entry *e, unsigned align, dfx_error *err)
{
    size_t extra = has_local_zip64(w, e) ? FIELD + 16 : 0;
    uint64_t data;

    if (align > 1)
        extra += FIELD + padding(e, extra, align);
    data = e->header + LOCAL_SIZE + e->name_size + extra;
    if (!e->is_known)
        DFX_TRY(
            dfx_plan_add_sum(w->plan, w->output, data, e->size, &e->sum, err));
    return add_local(w, e, extra, align, err);
}

dfx_status
dfx_zip_member_begin(dfx_zip_writer *writer, const char *name, uint64_t size,
                     unsigned align, dfx_error *err)
{
    entry *e = NULL;

    DFX_TRY(new_entry(writer, name, size, &e, err));
    e->is_known = size == 0; /* it is 0 */
    return begin(writer, e, align, err);
}

dfx_status
dfx_zip_member_known(dfx_zip_writer *writer, const char *name, uint64_t size,
                     unsigned align, uint32_t crc, dfx_error *err)
{
    entry *e = NULL;

    DFX_TRY(new_entry(writer, name, size, &e, err));
    e->is_known = true;
    e->crc = crc;
    return begin(writer, e, align, err);
}

dfx_status
dfx_zip_member_end(dfx_zip_writer *writer, dfx_error *err)
{
    const entry *e = writer->last;
    unsigned wide = has_local_zip64(writer, e) ? 8 : 4;
    size_t size = 8 + 2 * wide;
    uint8_t *data;

    if ((e->flags & DESCRIPTOR) == 0)
        return DFX_OK;
    data = room(writer, size);
    if (data == NULL)
        return dfx_fail_nomem(err);
    put(put(put(put(data, 0x08074b50, 4), 0, 4), e->size, wide), e->size, wide);
    return add_header(writer, e, data, size, 4, err);
}

/* ---- The directory -------------------------------------------------------
 */

static dfx_status
add_central(dfx_zip_writer *w, const entry *e, dfx_error *err)
{
    const dfx_zip_style *style = w->style;
    bool wide = e->size > style->most32, far = e->header > style->most32;
    size_t values = (wide ? 16u : 0u) + (far ? 8u : 0u);
    size_t extra = values > 0 ? FIELD + values : 0;
    uint64_t size = wide ? UINT32_MAX : e->size;
    size_t whole = CENTRAL_SIZE + e->name_size + extra;
    uint8_t *data = room(w, whole), *p = data;

    if (data == NULL)
        return dfx_fail_nomem(err);
    p = put(p, 0x02014b50, 4);
    p = put(p, style->made_by, 2);
    p = put(p, values > 0 && style->needed < 45 ? 45 : style->needed, 2);
    p = put(p, e->flags, 2);
    p = put(p, 0, 4); /* stored; time */
    p = put(p, style->date, 2);
    p = put(p, 0, 4);
    p = put(put(p, size, 4), size, 4);
    p = put(p, e->name_size, 2);
    p = put(p, extra, 2);
    p = put(p, 0, 6); /* comment, disk, internal attributes */
    p = put(p, style->attributes, 4);
    p = put(p, far ? UINT32_MAX : e->header, 4);
    memcpy(p, e->name, e->name_size);
    p += e->name_size;
    if (values > 0)
        p = put(put(p, 1, 2), values, 2);
    if (wide)
        p = put(put(p, e->size, 8), e->size, 8);
    if (far)
        put(p, e->header, 8);
    return add_header(w, e, data, whole, 16, err);
}

static uint64_t
least(uint64_t value, uint64_t limit)
{
    return value < limit ? value : limit;
}

/* The end records, for a directory of size bytes at that offset. */
static dfx_status
add_end(dfx_zip_writer *w, uint64_t offset, uint64_t size, dfx_error *err)
{
    const dfx_zip_style *style = w->style;
    uint64_t count = w->count;
    bool wide = style->zip64_end || count > UINT16_MAX ||
                offset > style->most32 || size > style->most32;
    uint8_t *data = room(w, END64_SIZE + LOCATOR_SIZE + END_SIZE), *p = data;

    if (data == NULL)
        return dfx_fail_nomem(err);
    if (wide) {
        p = put(put(p, 0x06064b50, 4), END64_SIZE - 12, 8);
        p = put(put(p, style->made_by_end, 2), 45, 2);
        p = put(p, 0, 8); /* disks */
        p = put(put(p, count, 8), count, 8);
        p = put(put(p, size, 8), offset, 8);
        p = put(put(p, 0x07064b50, 4), 0, 4);
        p = put(put(p, offset + size, 8), 1, 4);
    }
    p = put(put(p, 0x06054b50, 4), 0, 4);
    p = put(put(p, least(count, UINT16_MAX), 2), least(count, UINT16_MAX), 2);
    p = put(p, least(size, UINT32_MAX), 4);
    p = put(p, least(offset, UINT32_MAX), 4);
    p = put(p, 0, 2);
    return add(w, data, (size_t)(p - data), err);
}

dfx_status
dfx_zip_end(dfx_zip_writer *writer, dfx_error *err)
{
    uint64_t offset = position(writer);

    for (const entry *e = writer->first; e != NULL; e = e->next)
        DFX_TRY(add_central(writer, e, err));
    return add_end(writer, offset, position(writer) - offset, err);
}
