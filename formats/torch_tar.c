/*
 * torch_tar.c - the tar archives of torch before 0.1.10
 *
 * Members sys_info, pickle, tensors, storages: the object holds tensors by key,
 * tensors are views of storages by key, and storages have their bytes behind
 * the pickle that names them. Nothing is ever extracted.
 */
#include <config.h>

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "torch.h"
#include "types.h"

enum {
    BLOCK = 512,
    MAX_NAME = 300, /* of ustar: 155 + 1 + 100 */
    MAX_PAX = 1 << 20,
    MAX_COUNT = 1 << 20, /* storages or tensors */
    MAX_RANK = 64
};

/* The members that torch reads. */
typedef enum tar_part { SYS_INFO, OBJECT, TENSORS, STORAGES, PARTS } tar_part;

static const char *const part_names[PARTS] = {"sys_info", "pickle", "tensors",
                                              "storages"};

typedef struct extent {
    uint64_t start, size;
    bool there;
} extent;

typedef struct reader {
    dfx_torch_file *file;
    extent parts[PARTS];
    dfx_io *io; /* of the member that is read; the file's */
    uint64_t at;
    dfx_error *err;
} reader;

/* ---- Headers --------------------------------------------------------------
 */

/* A number in octal, or in 256s. */
static uint64_t
read_number(const uint8_t *field, size_t size)
{
    uint64_t value = 0;
    size_t i = 0;

    if (field[0] == 0x80) {
        for (i = size - 8; i < size; i++)
            value = value << 8 | field[i];
        return value;
    }
    while (i < size && field[i] == ' ')
        i++;
    for (; i < size && field[i] >= '0' && field[i] <= '7'; i++)
        value = value * 8 + (uint64_t)(field[i] - '0');
    return value;
}

static void
tell_member(reader *r, const char *name, uint64_t at, const char *what)
{
    dfx_audit_report(r->file->audit, DFX_VERDICT_DANGEROUS,
                     DFX_RULE_PT_TAR_MEMBER, NULL, at, "%s: %s", name, what);
}

static bool
climbs(const char *name)
{
    if (name[0] == '/')
        return true;
    for (const char *p = strstr(name, ".."); p != NULL; p = strstr(p + 1, ".."))
        if ((p == name || p[-1] == '/') && (p[2] == '\0' || p[2] == '/'))
            return true;
    return false;
}

/* "12 path=name\n" among the records of a PAX header; sizes, too. */
static dfx_status
read_pax(reader *r, uint64_t start, uint64_t size, char *name, uint64_t *length)
{
    char *text, *record;

    if (size > MAX_PAX)
        return DFX_OK;
    text = malloc((size_t)size + 1);
    if (text == NULL)
        return dfx_fail_nomem(r->err);
    if (dfx_io_read_at(r->file->io, start, text, (size_t)size, r->err) !=
        DFX_OK) {
        free(text);
        return DFX_ERR_IO;
    }
    text[size] = '\0';
    record = strstr(text, " path=");
    if (record != NULL) {
        size_t n = strcspn(record + 6, "\n");

        n = n < MAX_NAME - 1 ? n : MAX_NAME - 1;
        memcpy(name, record + 6, n);
        name[n] = '\0';
    }
    record = strstr(text, " size=");
    if (record != NULL)
        *length = strtoull(record + 6, NULL, 10);
    free(text);
    return DFX_OK;
}

/* ustar: prefix and name. */
static void
read_name(const uint8_t *header, char *name)
{
    const char *prefix = (const char *)header + 345;
    size_t n = strnlen(prefix, 155), m = strnlen((const char *)header, 100);

    memcpy(name, prefix, n);
    if (n > 0)
        name[n++] = '/';
    memcpy(name + n, header, m);
    name[n + m] = '\0';
}

static void
note_part(reader *r, const char *name, uint64_t start, uint64_t size)
{
    while (strncmp(name, "./", 2) == 0)
        name += 2;
    for (size_t i = 0; i < PARTS; i++)
        if (strcmp(name, part_names[i]) == 0 && !r->parts[i].there)
            r->parts[i] = (extent){start, size, true};
}

/* Names that belong to the header that comes next. */
typedef struct pending {
    char name[MAX_NAME];
    uint64_t size; /* UINT64_MAX: as the header says */
} pending;

/* One header and its data; *at moves past both. */
static dfx_status
read_header(reader *r, const uint8_t *header, uint64_t *at, pending *next)
{
    char name[MAX_NAME], type = (char)header[156];
    uint64_t start = *at + BLOCK, size = read_number(header + 124, 12);
    uint64_t left = dfx_io_size(r->file->io) - start;
    bool is_meta = type == 'x' || type == 'g' || type == 'L' || type == 'K';

    read_name(header, name);
    if (!is_meta && next->name[0] != '\0')
        memcpy(name, next->name, sizeof name);
    if (!is_meta && next->size != UINT64_MAX)
        size = next->size;
    if (size > left) {
        dfx_audit_report(r->file->audit, DFX_VERDICT_CANNOT_TELL,
                         DFX_RULE_PT_TAR_HEADER, NULL, *at,
                         "%s has %" PRIu64 " bytes, the file %" PRIu64 " more",
                         name, size, left);
        *at = UINT64_MAX;
        return DFX_OK;
    }
    if (type == 'x')
        DFX_TRY(read_pax(r, start, size, next->name, &next->size));
    if (type == 'L' && size < MAX_NAME) {
        memset(next->name, 0, sizeof next->name);
        DFX_TRY(dfx_io_read_at(r->file->io, start, next->name, (size_t)size,
                               r->err));
    }
    if (!is_meta) {
        *next = (pending){.size = UINT64_MAX};
        if (climbs(name))
            tell_member(r, name, *at, "the name leaves the folder");
        if (type != '0' && type != '\0' && type != '5')
            tell_member(r, name, *at, "is no regular file");
        else if (type != '5')
            note_part(r, name, start, size);
    }
    *at = start + (size + BLOCK - 1) / BLOCK * BLOCK;
    return DFX_OK;
}

static dfx_status
read_headers(reader *r)
{
    uint64_t size = dfx_io_size(r->file->io), at = 0;
    pending next = {.size = UINT64_MAX};
    uint8_t header[BLOCK];

    while (at < size && size - at >= BLOCK) {
        DFX_TRY(dfx_io_read_at(r->file->io, at, header, BLOCK, r->err));
        if (header[0] == '\0')
            break; /* the end: two blocks of zeros */
        DFX_TRY(read_header(r, header, &at, &next));
    }
    return DFX_OK;
}

/* ---- Members --------------------------------------------------------------
 */

/* Goes to the start of a member; false: it is not there, which is told. */
static dfx_status
enter(reader *r, tar_part part, bool *there)
{
    const extent *e = &r->parts[part];

    *there = e->there;
    r->at = 0;
    if (!e->there) {
        dfx_audit_report(r->file->audit, DFX_VERDICT_CANNOT_TELL,
                         DFX_RULE_PT_TAR_HEADER, NULL, DFX_NO_OFFSET,
                         "there is no member %s", part_names[part]);
        return DFX_OK;
    }
    DFX_TRY(dfx_io_open_slice(r->file->io, e->start, e->size, &r->io, r->err));
    return dfx_torch_take_io(r->file, r->io, r->err);
}

static dfx_status
next(reader *r, tar_part part, dfx_pickle *pickle)
{
    DFX_TRY(dfx_torch_scan(r->file, r->io, r->at, part_names[part], pickle,
                           r->err));
    r->at = pickle->end;
    return DFX_OK;
}

static void
tell(reader *r, dfx_rule rule, const char *text)
{
    dfx_audit_report(r->file->audit, DFX_VERDICT_SUSPICIOUS, rule, NULL, r->at,
                     "%s", text);
}

/* The number of rows that follow. */
static dfx_status
read_count(reader *r, tar_part part, uint64_t *count)
{
    dfx_pickle pickle;

    *count = 0;
    DFX_TRY(next(r, part, &pickle));
    if (pickle.root == NULL)
        return DFX_OK;
    if (pickle.root->kind != DFX_PICKLE_INT || pickle.root->number < 0 ||
        pickle.root->number > MAX_COUNT)
        tell(r, DFX_RULE_PT_STORAGE_KEY, "a number of rows that is none");
    else
        *count = (uint64_t)pickle.root->number;
    return DFX_OK;
}

/* size bytes, little-endian; *there is false at the end of the member. */
static dfx_status
read_u64(reader *r, size_t size, uint64_t *value, bool *there)
{
    uint8_t bytes[8] = {0};

    *value = 0;
    *there = r->at <= dfx_io_size(r->io) && dfx_io_size(r->io) - r->at >= size;
    if (!*there)
        return DFX_OK;
    DFX_TRY(dfx_io_read_at(r->io, r->at, bytes, size, r->err));
    for (size_t i = sizeof bytes; i-- > 0;)
        *value = *value << 8 | bytes[i];
    r->at += size;
    return DFX_OK;
}

/* A key as text, in the arena; NULL: it is none. */
static const char *
key_of(dfx_torch_file *file, const dfx_pickle_node *node)
{
    if (node->kind == DFX_PICKLE_TEXT)
        return node->text.data;
    if (node->kind == DFX_PICKLE_INT)
        return dfx_arena_printf(&file->arena, "%" PRId64, node->number);
    if (node->kind == DFX_PICKLE_LONG)
        return dfx_arena_strndup(&file->arena, node->text.data,
                                 node->text.size);
    return NULL;
}

/* A tuple of a row's pickle, with a known class as its last item. */
static bool
is_row(const dfx_pickle *pickle, dfx_pickle_use use)
{
    const dfx_pickle_node *row = pickle->root;

    return row != NULL && row->kind == DFX_PICKLE_TUPLE &&
           row->list.count == 3 &&
           row->list.items[2]->kind == DFX_PICKLE_GLOBAL &&
           row->list.items[2]->global.known != NULL &&
           row->list.items[2]->global.known->use == use;
}

/* ---- Storages -------------------------------------------------------------
 */

/* (key, location, class), a count, and the elements. */
static dfx_status
read_storage(reader *r, bool *good)
{
    const dfx_pickle_global *class;
    const char *key;
    dfx_pickle pickle;
    uint64_t count = 0, size;
    dfx_io *io = NULL;

    DFX_TRY(next(r, STORAGES, &pickle));
    *good = is_row(&pickle, DFX_USE_STORAGE);
    key = *good ? key_of(r->file, pickle.root->list.items[0]) : NULL;
    if (key == NULL) {
        *good = false;
        tell(r, DFX_RULE_PT_STORAGE_KEY, "a storage that is not described");
        return DFX_OK;
    }
    class = pickle.root->list.items[2]->global.known;
    DFX_TRY(read_u64(r, 8, &count, good));
    size = dfx_torch_bytes(class, count);
    if (!*good || size > dfx_io_size(r->io) - r->at) {
        *good = false;
        tell(r, DFX_RULE_PT_STORAGE_SIZE, "the file ends in a storage");
        return DFX_OK;
    }
    DFX_TRY(dfx_io_open_slice(r->io, r->at, size, &io, r->err));
    DFX_TRY(dfx_torch_take_io(r->file, io, r->err));
    DFX_TRY(dfx_torch_add_storage(r->file, key, io, size, r->err));
    r->file->storages[r->file->storage_count - 1].type = class;
    r->at += size;
    return DFX_OK;
}

static int
compare_key(const void *a, const void *b)
{
    const dfx_torch_storage *storage = b;

    return strcmp(a, storage->key);
}

/* (key, key of the whole, offset, elements) of a storage in another, which is
   one of the first wholes. */
static dfx_status
add_view(reader *r, const dfx_pickle_node *row, size_t wholes)
{
    const dfx_torch_storage *whole = NULL;
    const char *key, *of;
    uint64_t start, size;
    dfx_io *io = NULL;

    if (row->kind != DFX_PICKLE_TUPLE || row->list.count != 4 ||
        row->list.items[2]->kind != DFX_PICKLE_INT ||
        row->list.items[3]->kind != DFX_PICKLE_INT ||
        row->list.items[2]->number < 0 || row->list.items[3]->number < 0)
        return DFX_OK;
    key = key_of(r->file, row->list.items[0]);
    of = key_of(r->file, row->list.items[1]);
    if (of != NULL && wholes > 0)
        whole = bsearch(of, r->file->storages, wholes,
                        sizeof *r->file->storages, compare_key);
    if (key == NULL || whole == NULL || whole->type == NULL)
        return DFX_OK;
    start = dfx_torch_bytes(whole->type, (uint64_t)row->list.items[2]->number);
    size = dfx_torch_bytes(whole->type, (uint64_t)row->list.items[3]->number);
    if (start > whole->size || size > whole->size - start) {
        tell(r, DFX_RULE_PT_STORAGE_SIZE, "a storage that leaves its whole");
        return DFX_OK;
    }
    DFX_TRY(dfx_io_open_slice(whole->io, start, size, &io, r->err));
    DFX_TRY(dfx_torch_take_io(r->file, io, r->err));
    DFX_TRY(dfx_torch_add_storage(r->file, key, io, size, r->err));
    return DFX_OK;
}

static dfx_status
read_storages(reader *r)
{
    dfx_pickle views;
    uint64_t count = 0;
    size_t wholes;
    bool good = true;

    DFX_TRY(enter(r, STORAGES, &good));
    if (!good)
        return DFX_OK;
    DFX_TRY(read_count(r, STORAGES, &count));
    for (uint64_t i = 0; good && i < count; i++)
        DFX_TRY(read_storage(r, &good));
    dfx_torch_sort_storages(r->file);
    wholes = r->file->storage_count;
    if (good)
        DFX_TRY(next(r, STORAGES, &views));
    if (good && views.root != NULL && dfx_pickle_has_items(views.root))
        for (size_t i = 0; i < views.root->list.count; i++)
            DFX_TRY(add_view(r, views.root->list.items[i], wholes));
    dfx_torch_sort_storages(r->file);
    return DFX_OK;
}

/* ---- Tensors --------------------------------------------------------------
 */

static dfx_status
read_shape(reader *r, dfx_torch_tensor *t, bool *good)
{
    uint64_t rank = 0, unused;

    DFX_TRY(read_u64(r, 4, &rank, good));
    DFX_TRY(read_u64(r, 4, &unused, good));
    if (!*good || rank > MAX_RANK) {
        *good = false;
        return DFX_OK;
    }
    t->rank = (uint32_t)rank;
    t->shape = dfx_arena_array(&r->file->arena, t->rank + 1, sizeof *t->shape);
    t->stride =
        dfx_arena_array(&r->file->arena, t->rank + 1, sizeof *t->stride);
    if (t->shape == NULL || t->stride == NULL)
        return dfx_fail_nomem(r->err);
    for (uint32_t i = 0; *good && i < t->rank; i++)
        DFX_TRY(read_u64(r, 8, &t->shape[i], good));
    for (uint32_t i = 0; *good && i < t->rank; i++)
        DFX_TRY(read_u64(r, 8, &t->stride[i], good));
    return *good ? read_u64(r, 8, &t->offset, good) : DFX_OK;
}

/* (key, storage, class), sizes, strides, offset. */
static dfx_status
read_tensor(reader *r, bool *good)
{
    dfx_torch_tensor t = {0};
    const char *key = NULL, *storage = NULL;
    dfx_pickle pickle;

    DFX_TRY(next(r, TENSORS, &pickle));
    *good = is_row(&pickle, DFX_USE_TENSOR_CLASS);
    if (*good) {
        key = key_of(r->file, pickle.root->list.items[0]);
        storage = key_of(r->file, pickle.root->list.items[1]);
        t.type = pickle.root->list.items[2]->global.known->type;
        DFX_TRY(read_shape(r, &t, good));
    }
    if (!*good || key == NULL || storage == NULL) {
        *good = false;
        tell(r, DFX_RULE_PT_VIEW_RANK, "a tensor that is not described");
        return DFX_OK;
    }
    t.storage = dfx_torch_find_storage(r->file, storage);
    if (t.storage == NULL)
        tell(r, DFX_RULE_PT_STORAGE_MISSING,
             "a tensor's storage is not in the file");
    if (!dfx_grow(&r->file->named, &r->file->named_capacity,
                  r->file->named_count, sizeof *r->file->named))
        return dfx_fail_nomem(r->err);
    r->file->named[r->file->named_count++] = (dfx_torch_named){key, t};
    return DFX_OK;
}

static int
compare_named(const void *a, const void *b)
{
    const dfx_torch_named *x = a, *y = b;

    return strcmp(x->key, y->key);
}

static dfx_status
read_tensors(reader *r)
{
    uint64_t count = 0;
    bool good = true;

    DFX_TRY(enter(r, TENSORS, &good));
    if (!good)
        return DFX_OK;
    DFX_TRY(read_count(r, TENSORS, &count));
    for (uint64_t i = 0; good && i < count; i++)
        DFX_TRY(read_tensor(r, &good));
    if (r->file->named_count > 0)
        qsort(r->file->named, r->file->named_count, sizeof *r->file->named,
              compare_named);
    return DFX_OK;
}

/* ---- All of it ------------------------------------------------------------
 */

static dfx_status
read_facts(reader *r)
{
    const dfx_pickle_node *little = NULL;
    dfx_pickle facts;
    bool there = false;

    if (!r->parts[SYS_INFO].there)
        return DFX_OK;
    DFX_TRY(enter(r, SYS_INFO, &there));
    DFX_TRY(next(r, SYS_INFO, &facts));
    if (facts.root != NULL && facts.root->kind == DFX_PICKLE_DICT)
        little = dfx_pickle_get(facts.root, "little_endian");
    r->file->big_endian =
        little != NULL && little->kind == DFX_PICKLE_BOOL && !little->truth;
    return DFX_OK;
}

dfx_status
dfx_torch_read_tar(dfx_torch_file *file, dfx_error *err)
{
    reader r = {.file = file, .err = err};
    bool there = false;

    DFX_TRY(read_headers(&r));
    DFX_TRY(read_facts(&r));
    DFX_TRY(read_storages(&r));
    DFX_TRY(read_tensors(&r));
    DFX_TRY(enter(&r, OBJECT, &there));
    if (!there)
        return DFX_OK;
    file->is_tar = true; /* from here on ids are keys of tensors */
    DFX_TRY(next(&r, OBJECT, &file->pickle));
    if (file->pickle.root == NULL)
        return DFX_OK;
    return dfx_torch_scan_rest(file, r.io, r.at, part_names[OBJECT], err);
}
