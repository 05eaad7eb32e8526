/*
 * zip.c - the directory of a zip archive, and the headers before its members
 *
 * APPNOTE.TXT 6.3.10 is the format; what readers make of it differs (which end
 * record counts, whose name is a member's, what lies between members), and
 * every difference is a way to show one thing to a scanner and another to a
 * loader. So everything that one reader looks at and another does not must say
 * the same here, or is told as a fault.
 */
#include <config.h>

#include "zip.h"

#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "crc.h"
#include "zip_parse.h"

enum {
    MAX_MEMBERS = 1048576,
    END_SIZE = 22,     /* end of central directory record */
    LOCATOR_SIZE = 20, /* of the zip64 end record */
    END64_SIZE = 56,   /* without extensible data, which nobody writes */
    CENTRAL_SIZE = 46, /* without name, extra fields, comment */
    MAX_COMMENT = 65535,
    WINDOW = 1 << 18 /* holds any central record: 46 + 3 x 65,535 bytes */
};

/* ---- Faults --------------------------------------------------------------
 */

dfx_status
dfx_zip_tell(const dfx_zip_parse *p, dfx_zip_fault fault,
             const dfx_zip_member *member, uint64_t offset, const char *fmt,
             ...)
{
    char text[DFX_ERROR_CHARS];
    va_list args;

    va_start(args, fmt);
    vsnprintf(text, sizeof text, fmt, args);
    va_end(args);
    return p->found(p->context, fault, member, offset, text, p->err);
}

#define TELL(...) DFX_TRY(dfx_zip_tell(__VA_ARGS__))

/* ---- The end record ------------------------------------------------------
 */

/* What the end records say, and where they are. */
typedef struct end_record {
    uint64_t at;     /* of the plain record */
    uint64_t start;  /* of the first record: the directory ends here */
    uint64_t count;  /* of members */
    uint64_t size;   /* of the directory */
    uint64_t offset; /* of the directory, as stated */
    bool is_zip64;
} end_record;

/* The end of the file, where an end record may be. */
typedef struct tail {
    uint8_t *data; /* owned */
    size_t size;
    uint64_t offset; /* in the file */
} tail;

static dfx_status
read_tail(const dfx_io *io, tail *t, dfx_error *err)
{
    const uint64_t most = MAX_COMMENT + END_SIZE + LOCATOR_SIZE + END64_SIZE;
    uint64_t size = dfx_io_size(io);

    t->size = (size_t)(size < most ? size : most);
    t->offset = size - t->size;
    t->data = malloc(t->size + 1);
    if (t->data == NULL)
        return dfx_fail_nomem(err);
    return dfx_io_read_at(io, t->offset, t->data, t->size, err);
}

/* The last signature of an end record before byte limit; SIZE_MAX: none. */
static size_t
find_end(const tail *t, size_t limit)
{
    if (t->size < END_SIZE)
        return SIZE_MAX;
    for (size_t i = limit < t->size - END_SIZE + 1 ? limit
                                                   : t->size - END_SIZE + 1;
         i-- > 0;)
        if (dfx_zip_u32(t->data + i) == 0x06054b50)
            return i;
    return SIZE_MAX;
}

/* A signature that is an end record and not four bytes of data: the directory
   that it speaks of is before it. */
static bool
is_plausible(const dfx_zip_parse *p, const tail *t, size_t i)
{
    const uint8_t *record = t->data + i;
    uint64_t at = t->offset + i, size = dfx_zip_u32(record + 12);
    uint8_t start[4];

    if (i >= LOCATOR_SIZE && dfx_zip_u32(record - LOCATOR_SIZE) == 0x07064b50)
        return true;
    if (size == 0)
        return dfx_zip_u16(record + 10) == 0 && dfx_zip_u32(record + 16) <= at;
    return size <= at &&
           dfx_io_read_at(p->zip->io, at - size, start, 4, NULL) == DFX_OK &&
           dfx_zip_u32(start) == 0x02014b50;
}

/* End records before the last one, which readers may take instead. */
static dfx_status
check_rivals(const dfx_zip_parse *p, const tail *t, size_t last)
{
    for (size_t i = find_end(t, last); i != SIZE_MAX; i = find_end(t, i)) {
        uint64_t end = i + END_SIZE + dfx_zip_u16(t->data + i + 20);

        if (!is_plausible(p, t, i))
            continue;
        if (end > last)
            TELL(p, DFX_ZIP_COMMENT_BAD, NULL, t->offset + i,
                 "the comment hides another end record");
        else
            TELL(p, DFX_ZIP_TAIL, NULL, t->offset + end,
                 "after an end record stands another archive");
    }
    return DFX_OK;
}

static dfx_status
check_comment(const dfx_zip_parse *p, const tail *t, size_t at)
{
    uint64_t size = dfx_zip_u16(t->data + at + 20);
    uint64_t left = t->size - at - END_SIZE, offset = t->offset + at;

    p->zip->end = offset + END_SIZE + (size < left ? size : left);
    if (size > left)
        TELL(p, DFX_ZIP_COMMENT_BAD, NULL, offset,
             "a comment of %" PRIu64 " bytes, the file has %" PRIu64 " more",
             size, left);
    else if (size < left)
        TELL(p, DFX_ZIP_TAIL, NULL, offset + END_SIZE + size,
             "%" PRIu64 " bytes after the end record", left - size);
    if (size > 0)
        TELL(p, DFX_ZIP_COMMENT, NULL, offset + END_SIZE,
             "a comment of %" PRIu64 " bytes", size);
    return DFX_OK;
}

/* One value of the end record, of which the zip64 record has another copy. */
static dfx_status
merge(const dfx_zip_parse *p, const char *what, uint64_t small, uint64_t mask,
      uint64_t wide, uint64_t at)
{
    if (small != mask && small != wide)
        TELL(p, DFX_ZIP_ZIP64, NULL, at,
             "%s is %" PRIu64 " in the end record and %" PRIu64
             " in the zip64 one",
             what, small, wide);
    return DFX_OK;
}

/* The zip64 end record is where its readers look: right before the locator. */
static dfx_status
read_end64(const dfx_zip_parse *p, const tail *t, size_t i, end_record *end)
{
    const uint8_t *plain = t->data + i;
    const uint8_t *locator = plain - LOCATOR_SIZE;
    const uint8_t *record = locator - END64_SIZE;
    uint64_t at = end->at - LOCATOR_SIZE, base;

    if (i < LOCATOR_SIZE + END64_SIZE || dfx_zip_u32(record) != 0x06064b50) {
        TELL(p, DFX_ZIP_ZIP64, NULL, at,
             "a zip64 locator, and no zip64 end record before it");
        return DFX_OK;
    }
    end->is_zip64 = true;
    end->start = end->at - LOCATOR_SIZE - END64_SIZE;
    if (dfx_zip_u64(record + 4) != END64_SIZE - 12)
        TELL(p, DFX_ZIP_ZIP64, NULL, end->start,
             "a zip64 end record of %" PRIu64 " bytes, expected %d",
             dfx_zip_u64(record + 4), END64_SIZE - 12);
    if (dfx_zip_u32(record + 16) != 0 || dfx_zip_u32(record + 20) != 0 ||
        dfx_zip_u32(locator + 4) != 0 || dfx_zip_u32(locator + 16) > 1)
        TELL(p, DFX_ZIP_DISK, NULL, end->start,
             "the zip64 end record speaks of several disks");
    if (dfx_zip_u64(record + 24) != dfx_zip_u64(record + 32))
        TELL(p, DFX_ZIP_COUNT, NULL, end->start,
             "two counts: %" PRIu64 " and %" PRIu64, dfx_zip_u64(record + 24),
             dfx_zip_u64(record + 32));
    end->count = dfx_zip_u64(record + 32);
    end->size = dfx_zip_u64(record + 40);
    end->offset = dfx_zip_u64(record + 48);
    DFX_TRY(merge(p, "the size of the directory", dfx_zip_u32(plain + 12),
                  UINT32_MAX, end->size, end->at));
    DFX_TRY(merge(p, "its offset", dfx_zip_u32(plain + 16), UINT32_MAX,
                  end->offset, end->at));
    base = end->start - end->size - end->offset; /* judged later */
    if (dfx_zip_u64(locator + 8) != end->start - base)
        TELL(p, DFX_ZIP_ZIP64, NULL, at,
             "the zip64 locator points to byte %" PRIu64
             ", the record is at %" PRIu64,
             dfx_zip_u64(locator + 8), end->start - base);
    return DFX_OK;
}

static dfx_status
check_masks(const dfx_zip_parse *p, const uint8_t *record,
            const end_record *end)
{
    if (end->is_zip64)
        return DFX_OK;
    if (dfx_zip_u32(record + 12) == UINT32_MAX ||
        dfx_zip_u32(record + 16) == UINT32_MAX)
        TELL(p, DFX_ZIP_ZIP64, NULL, end->at,
             "the end record leaves a value to a zip64 record that is missing");
    return DFX_OK;
}

/* *found is false if there is none, which is told. */
static dfx_status
read_end(dfx_zip_parse *p, end_record *end, bool *found, tail *t)
{
    const uint8_t *record;
    size_t i;

    DFX_TRY(read_tail(p->zip->io, t, p->err));
    i = find_end(t, t->size);
    *found = i != SIZE_MAX;
    if (!*found) {
        TELL(p, DFX_ZIP_END, NULL, dfx_io_size(p->zip->io),
             "there is no end record");
        return DFX_OK;
    }
    record = t->data + i;
    *end = (end_record){
        .at = t->offset + i,
        .start = t->offset + i,
        .count = dfx_zip_u16(record + 10),
        .size = dfx_zip_u32(record + 12),
        .offset = dfx_zip_u32(record + 16),
    };
    p->counts[0] = dfx_zip_u16(record + 8);
    p->counts[1] = dfx_zip_u16(record + 10);
    if (dfx_zip_u16(record + 4) != 0 || dfx_zip_u16(record + 6) != 0)
        if (dfx_zip_u16(record + 4) != 0xFFFF ||
            dfx_zip_u16(record + 6) != 0xFFFF)
            TELL(p, DFX_ZIP_DISK, NULL, end->at,
                 "the end record speaks of several disks");
    DFX_TRY(check_comment(p, t, i));
    DFX_TRY(check_rivals(p, t, i));
    if (i >= LOCATOR_SIZE && dfx_zip_u32(record - LOCATOR_SIZE) == 0x07064b50)
        DFX_TRY(read_end64(p, t, i, end));
    return check_masks(p, record, end);
}

/* Where the directory is: right before the end records, whatever they say. */
static dfx_status
place_directory(const dfx_zip_parse *p, const end_record *end, bool *found)
{
    uint64_t stated;

    *found = false;
    if (dfx_ckd_add(&stated, end->offset, end->size) || stated > end->start) {
        TELL(p, DFX_ZIP_DIRECTORY, NULL, end->at,
             "a directory of %" PRIu64 " bytes at %" PRIu64
             " does not end before the end record at %" PRIu64,
             end->size, end->offset, end->start);
        return DFX_OK;
    }
    *found = true;
    p->zip->base = end->start - stated;
    p->zip->directory = end->start - end->size;
    if (p->zip->base > 0)
        TELL(p, DFX_ZIP_PREFIX, NULL, 0,
             "the directory is %" PRIu64
             " bytes after where the end record says it is",
             p->zip->base);
    return DFX_OK;
}

/* ---- The directory -------------------------------------------------------
 */

/* The directory, read through a window. */
typedef struct cursor {
    uint8_t *data; /* owned: WINDOW bytes */
    size_t used, size;
    uint64_t at, end; /* of what comes next, in the file */
} cursor;

/* The next size bytes, or NULL in *out: so many are not there. */
static dfx_status
look(const dfx_zip_parse *p, cursor *c, size_t size, const uint8_t **out)
{
    *out = NULL;
    if (c->end - c->at < size)
        return DFX_OK;
    if (c->size - c->used < size) {
        uint64_t left = c->end - c->at;

        c->size = left < WINDOW ? (size_t)left : WINDOW;
        c->used = 0;
        DFX_TRY(dfx_io_read_at(p->zip->io, c->at, c->data, c->size, p->err));
    }
    *out = c->data + c->used;
    return DFX_OK;
}

/* Values that 32 bits do not hold stand in a zip64 field, in a fixed order. */
static dfx_status
read_zip64(const dfx_zip_parse *p, dfx_zip_member *m, const uint8_t *field,
           size_t size, uint64_t at)
{
    uint64_t *values[] = {&m->size, &m->packed, &m->header};
    bool asked = m->size == UINT32_MAX || m->packed == UINT32_MAX ||
                 m->header == UINT32_MAX;
    size_t used = 0;

    for (size_t i = 0; i < 3; i++) {
        if (asked && *values[i] != UINT32_MAX)
            continue;
        if (size - used < 8) {
            if (asked)
                TELL(p, DFX_ZIP_ZIP64, m, at,
                     "a zip64 field of %zu bytes is too short", size);
            return DFX_OK;
        }
        if (asked)
            *values[i] = dfx_zip_u64(field + used);
        else if (*values[i] != dfx_zip_u64(field + used))
            TELL(p, DFX_ZIP_ZIP64, m, at,
                 "a zip64 field says %" PRIu64
                 " where the header says %" PRIu64,
                 dfx_zip_u64(field + used), *values[i]);
        used += 8;
    }
    if (asked && size - used >= 8)
        TELL(p, DFX_ZIP_ZIP64, m, at,
             "a zip64 field has more values than the header asks for");
    return DFX_OK;
}

/* Info-ZIP's field with the name in UTF-8: another name is another file. */
static dfx_status
check_unicode_path(const dfx_zip_parse *p, const dfx_zip_member *m,
                   const uint8_t *field, size_t size, uint64_t at)
{
    if (size < 5 || size - 5 != m->name_size ||
        memcmp(field + 5, m->name, m->name_size) != 0)
        TELL(p, DFX_ZIP_MISMATCH, m, at,
             "a Unicode path field gives another name");
    return DFX_OK;
}

dfx_status
dfx_zip_extras(const dfx_zip_parse *p, dfx_zip_member *m, const uint8_t *data,
               size_t size, uint64_t at)
{
    size_t used = 0;
    bool has_zip64 = false;

    while (size - used >= 4) {
        unsigned id = dfx_zip_u16(data + used);
        size_t length = dfx_zip_u16(data + used + 2);
        const uint8_t *field = data + used + 4;

        if (length > size - used - 4)
            break;
        if (id == 1 && has_zip64)
            TELL(p, DFX_ZIP_ZIP64, m, at + used, "two zip64 fields");
        else if (id == 1)
            DFX_TRY(read_zip64(p, m, field, length, at + used));
        else if (id == 0x7075)
            DFX_TRY(check_unicode_path(p, m, field, length, at + used));
        has_zip64 = has_zip64 || id == 1;
        used += 4 + length;
    }
    if (used != size)
        TELL(p, DFX_ZIP_EXTRA, m, at + used,
             "extra fields do not fill their %zu bytes", size);
    if (!has_zip64 && (m->size == UINT32_MAX || m->packed == UINT32_MAX ||
                       m->header == UINT32_MAX))
        TELL(p, DFX_ZIP_ZIP64, m, at,
             "a value is left to a zip64 field that is missing");
    return DFX_OK;
}

dfx_status
dfx_zip_flags(const dfx_zip_parse *p, const dfx_zip_member *m, unsigned flags,
              uint64_t at)
{
    enum {
        ENCRYPTED = 1 | 1 << 6 | 1 << 13, /* the last hides the local header */
        LEVELS = 1 << 1 | 1 << 2,
    };

    if ((flags & ENCRYPTED) != 0)
        TELL(p, DFX_ZIP_ENCRYPTED, m, at, "is encrypted (flags %04x)", flags);
    flags &=
        ~(unsigned)(ENCRYPTED | LEVELS | DFX_ZIP_DESCRIPTOR | DFX_ZIP_UTF8);
    if (flags != 0)
        TELL(p, DFX_ZIP_FLAGS, m, at, "has flags %04x that are not known",
             flags);
    return DFX_OK;
}

static dfx_status
check_name(const dfx_zip_parse *p, const dfx_zip_member *m, uint64_t at)
{
    size_t bad = 0;

    if ((m->flags & DFX_ZIP_UTF8) != 0) {
        if (!dfx_utf8_valid(m->name, m->name_size, &bad))
            TELL(p, DFX_ZIP_ENCODING, m, at,
                 "its name is not the UTF-8 that a flag promises");
        return DFX_OK;
    }
    for (size_t i = 0; i < m->name_size; i++)
        if ((unsigned char)m->name[i] > 127) {
            TELL(p, DFX_ZIP_ENCODING, m, at,
                 "its name has byte %02x and no flag for UTF-8",
                 (unsigned char)m->name[i]);
            break;
        }
    return DFX_OK;
}

/* A regular file, or an entry for a folder that says so in its name. */
static dfx_status
check_attributes(const dfx_zip_parse *p, const dfx_zip_member *m,
                 uint32_t attributes, uint64_t at)
{
    enum {
        TYPE = 0170000,
        REGULAR = 0100000,
        FOLDER = 0040000,
        DOS_FOLDER = 16
    };
    unsigned type = attributes >> 16 & TYPE;
    bool is_folder = m->name_size > 0 && m->name[m->name_size - 1] == '/';

    if (type != 0 && type != REGULAR && !(is_folder && type == FOLDER))
        TELL(p, DFX_ZIP_ATTRIBUTES, m, at,
             "is no regular file (attributes %08" PRIx32 ")", attributes);
    else if ((attributes & DOS_FOLDER) != 0 && !is_folder)
        TELL(p, DFX_ZIP_ATTRIBUTES, m, at,
             "is a folder by its attributes and a file by its name");
    return DFX_OK;
}

/* What the fixed part of a central record says. */
static dfx_status
check_central(const dfx_zip_parse *p, const dfx_zip_member *m,
              const uint8_t *record, uint64_t at)
{
    DFX_TRY(dfx_zip_flags(p, m, m->flags, at));
    DFX_TRY(check_name(p, m, at));
    DFX_TRY(check_attributes(p, m, dfx_zip_u32(record + 38), at));
    if (m->method != 0)
        TELL(p, DFX_ZIP_METHOD, m, at, "is compressed (method %u)", m->method);
    if (m->method == 0 && m->size != m->packed)
        TELL(p, DFX_ZIP_SIZE, m, at,
             "is stored, and has two sizes: %" PRIu64 " and %" PRIu64, m->size,
             m->packed);
    if (dfx_zip_u16(record + 34) != 0)
        TELL(p, DFX_ZIP_DISK, m, at, "is on disk %u", dfx_zip_u16(record + 34));
    if (dfx_zip_u16(record + 32) != 0)
        TELL(p, DFX_ZIP_COMMENT, m, at, "has a comment of %u bytes",
             dfx_zip_u16(record + 32));
    return DFX_OK;
}

static dfx_status
add_member(dfx_zip_parse *p, const uint8_t *record, uint64_t at)
{
    dfx_zip *zip = p->zip;
    size_t name_size = dfx_zip_u16(record + 28);
    size_t extra_size = dfx_zip_u16(record + 30);
    dfx_zip_member *m;

    if (!dfx_grow(&zip->members, &zip->capacity, zip->count,
                  sizeof *zip->members))
        return dfx_fail_nomem(p->err);
    m = &zip->members[zip->count];
    *m = (dfx_zip_member){
        .name = dfx_arena_strndup(
            &zip->arena, (const char *)record + CENTRAL_SIZE, name_size),
        .name_size = name_size,
        .flags = (uint16_t)dfx_zip_u16(record + 8),
        .method = (uint16_t)dfx_zip_u16(record + 10),
        .crc = dfx_zip_u32(record + 16),
        .packed = dfx_zip_u32(record + 20),
        .size = dfx_zip_u32(record + 24),
        .header = dfx_zip_u32(record + 42),
        .data = UINT64_MAX,
        .end = UINT64_MAX,
    };
    if (m->name == NULL)
        return dfx_fail_nomem(p->err);
    zip->count++;
    DFX_TRY(dfx_zip_extras(p, m, record + CENTRAL_SIZE + name_size, extra_size,
                           at + CENTRAL_SIZE + name_size));
    return check_central(p, m, record, at);
}

static dfx_status
read_members(dfx_zip_parse *p, cursor *c)
{
    while (c->at < c->end) {
        const uint8_t *record;
        size_t size;

        DFX_TRY(look(p, c, CENTRAL_SIZE, &record));
        if (record == NULL || dfx_zip_u32(record) != 0x02014b50) {
            TELL(p, DFX_ZIP_DIRECTORY, NULL, c->at,
                 "the directory has no entry here");
            return DFX_OK;
        }
        size = CENTRAL_SIZE + (size_t)dfx_zip_u16(record + 28) +
               dfx_zip_u16(record + 30) + dfx_zip_u16(record + 32);
        DFX_TRY(look(p, c, size, &record));
        if (record == NULL || p->zip->count >= MAX_MEMBERS) {
            TELL(p, DFX_ZIP_DIRECTORY, NULL, c->at,
                 record == NULL ? "an entry is longer than the directory"
                                : "the directory has too many entries");
            return DFX_OK;
        }
        DFX_TRY(add_member(p, record, c->at));
        c->at += size;
        c->used += size;
    }
    return DFX_OK;
}

static dfx_status
check_counts(const dfx_zip_parse *p, const end_record *end)
{
    uint64_t count = p->zip->count;

    for (size_t i = 0; i < 2; i++)
        if (p->counts[i] != count &&
            !(p->counts[i] == 0xFFFF && end->is_zip64)) {
            TELL(p, DFX_ZIP_COUNT, NULL, end->at,
                 "the end record counts %u entries, there are %" PRIu64,
                 p->counts[i], count);
            return DFX_OK;
        }
    if (end->is_zip64 && end->count != count)
        TELL(p, DFX_ZIP_COUNT, NULL, end->start,
             "the zip64 end record counts %" PRIu64
             " entries, there are %" PRIu64,
             end->count, count);
    return DFX_OK;
}

static dfx_status
read_directory(dfx_zip_parse *p, const end_record *end)
{
    cursor c = {.data = malloc(WINDOW),
                .at = p->zip->directory,
                .end = p->zip->directory + end->size};
    dfx_status status;

    if (c.data == NULL)
        return dfx_fail_nomem(p->err);
    status = read_members(p, &c);
    free(c.data);
    return status == DFX_OK ? check_counts(p, end) : status;
}

/* ---- Names ---------------------------------------------------------------
 */

static int
compare_texts(const char *a, size_t a_size, const char *b, size_t b_size)
{
    size_t size = a_size < b_size ? a_size : b_size;
    int order = size == 0 ? 0 : memcmp(a, b, size);

    return order != 0 ? order : a_size < b_size ? -1 : a_size > b_size;
}

/* By name; of one name in the order of the directory. */
static int
compare_names(const void *a, const void *b)
{
    const dfx_zip_member *x = *(const dfx_zip_member *const *)a;
    const dfx_zip_member *y = *(const dfx_zip_member *const *)b;
    int order = compare_texts(x->name, x->name_size, y->name, y->name_size);

    return order != 0 ? order : x < y ? -1 : x > y;
}

static dfx_status
sort_names(const dfx_zip_parse *p)
{
    dfx_zip *zip = p->zip;

    zip->by_name = calloc(zip->count + 1, sizeof(dfx_zip_member *));
    if (zip->by_name == NULL)
        return dfx_fail_nomem(p->err);
    for (size_t i = 0; i < zip->count; i++)
        zip->by_name[i] = &zip->members[i];
    if (zip->count > 0)
        qsort(zip->by_name, zip->count, sizeof(dfx_zip_member *),
              compare_names);
    for (size_t i = 1; i < zip->count; i++) {
        const dfx_zip_member *a = zip->by_name[i - 1], *b = zip->by_name[i];

        if (compare_texts(a->name, a->name_size, b->name, b->name_size) == 0)
            TELL(p, DFX_ZIP_DUPLICATE, b, b->header,
                 "the archive has two entries of this name");
    }
    return DFX_OK;
}

const dfx_zip_member *
dfx_zip_find(const dfx_zip *zip, const char *name)
{
    size_t low = 0, high = zip->count, size = strlen(name);

    while (low < high) {
        size_t middle = low + (high - low) / 2;
        const dfx_zip_member *m = zip->by_name[middle];

        if (compare_texts(m->name, m->name_size, name, size) < 0)
            low = middle + 1;
        else
            high = middle;
    }
    if (low == zip->count ||
        compare_texts(zip->by_name[low]->name, zip->by_name[low]->name_size,
                      name, size) != 0)
        return NULL;
    return zip->by_name[low];
}

/* ---- All of it -----------------------------------------------------------
 */

static dfx_status
parse(dfx_zip_parse *p, tail *t)
{
    end_record end = {0};
    bool found = false;

    DFX_TRY(read_end(p, &end, &found, t));
    if (found)
        DFX_TRY(place_directory(p, &end, &found));
    if (found)
        DFX_TRY(read_directory(p, &end));
    DFX_TRY(sort_names(p));
    return found ? dfx_zip_locals(p) : DFX_OK;
}

dfx_status
dfx_zip_read(const dfx_io *io, dfx_zip_fault_fn *found, void *context,
             dfx_zip *zip, dfx_error *err)
{
    dfx_zip_parse p = {
        .zip = zip, .found = found, .context = context, .err = err};
    tail t = {0};
    dfx_status status;

    *zip = (dfx_zip){.io = io};
    status = parse(&p, &t);
    free(t.data);
    if (status != DFX_OK)
        dfx_zip_fini(zip);
    return status;
}

void
dfx_zip_fini(dfx_zip *zip)
{
    free(zip->members);
    free(zip->by_name);
    dfx_arena_fini(&zip->arena);
    *zip = (dfx_zip){0};
}
