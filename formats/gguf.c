/*
 * gguf.c - GGUF, versions 2 and 3, of either byte order, also in shards
 *
 *   0   "GGUF", u32 version, u64 tensors, u64 keys
 *   24  keys: name, type, value; tensor infos: name, dimensions (innermost
 *       first), type, offset; zeros up to the alignment; data
 *
 * Spec: ggml docs/gguf.md, checked against ggml d99724f and gguf-py 0.19. What
 * ggml's reader refuses (gaps, other orders) and others read is a warning.
 */
#include <config.h>

#include "gguf.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "json.h"
#include "types.h"

#define SUFFIX ".gguf"

typedef struct reader {
    dfx_gguf g;
    const dfx_place *place;
    uint32_t component;
    dfx_index *index;
    dfx_error *err;
} reader;

/* ---- Offsets -------------------------------------------------------------
 */

static int
compare_offsets(const void *a, const void *b)
{
    const dfx_gguf_info *x = *(const dfx_gguf_info *const *)a;
    const dfx_gguf_info *y = *(const dfx_gguf_info *const *)b;

    if (x->offset != y->offset)
        return x->offset < y->offset ? -1 : 1;
    return (x->bytes > y->bytes) - (x->bytes < y->bytes);
}

/* Each tensor is aligned and lies in the data. */
static dfx_status
check_ranges(const dfx_gguf *g, dfx_error *err)
{
    uint64_t size = dfx_io_size(g->io);
    uint64_t data = g->data < size ? size - g->data : 0;

    for (size_t i = 0; i < g->info_count; i++) {
        const dfx_gguf_info *t = &g->infos[i];

        if (t->offset % g->alignment != 0)
            DFX_TRY(dfx_gguf_tell(g, DFX_RULE_GGUF_OFFSET_ALIGN, false, t->at,
                                  err,
                                  "tensor \"%s\" is at offset %" PRIu64
                                  ", no multiple of %" PRIu64,
                                  t->name, t->offset, g->alignment));
        if (t->offset > data || t->bytes > data - t->offset)
            DFX_TRY(dfx_gguf_tell(g, DFX_RULE_GGUF_RANGE, false, t->at, err,
                                  "tensor \"%s\" needs %" PRIu64
                                  " bytes at offset %" PRIu64
                                  ", the data has %" PRIu64,
                                  t->name, t->bytes, t->offset, data));
    }
    return DFX_OK;
}

/* In the order of the data: no overlap, and no gap but for alignment. */
static dfx_status
check_sorted(const dfx_gguf *g, const dfx_gguf_info *const *sorted,
             dfx_error *err)
{
    uint64_t end = 0, next = 0; /* of what came before; and aligned */

    for (size_t i = 0; i < g->info_count; i++) {
        const dfx_gguf_info *t = sorted[i];

        if (t->bytes == 0)
            continue;
        if (t->offset < end)
            DFX_TRY(dfx_gguf_tell(g, DFX_RULE_GGUF_OVERLAP, false, t->at, err,
                                  "tensor \"%s\" shares bytes with another",
                                  t->name));
        else if (t->offset > next)
            DFX_TRY(dfx_gguf_tell(g, DFX_RULE_GGUF_GAP, true, t->at, err,
                                  "%" PRIu64
                                  " unused bytes before tensor \"%s\"",
                                  t->offset - next, t->name));
        if (dfx_ckd_add(&end, t->offset, t->bytes) ||
            dfx_ckd_add(&next, end, g->alignment - 1))
            return DFX_OK; /* told: it lies outside */
        next -= next % g->alignment;
    }
    return DFX_OK;
}

static dfx_status
check_offsets(const dfx_gguf *g, dfx_error *err)
{
    const dfx_gguf_info **sorted =
        calloc(g->info_count + 1, sizeof(dfx_gguf_info *));
    dfx_status status = sorted == NULL ? dfx_fail_nomem(err) : DFX_OK;

    if (status == DFX_OK)
        status = check_ranges(g, err);
    for (size_t i = 0; status == DFX_OK && i < g->info_count; i++)
        sorted[i] = &g->infos[i];
    for (size_t i = 1; status == DFX_OK && i < g->info_count; i++) {
        if (g->infos[i].offset >= g->infos[i - 1].offset)
            continue;
        status = dfx_gguf_tell(g, DFX_RULE_GGUF_ORDER, true, g->infos[i].at,
                               err, "tensor \"%s\" lies before the one before",
                               g->infos[i].name);
        break;
    }
    if (status == DFX_OK && g->info_count > 0) {
        qsort(sorted, g->info_count, sizeof(dfx_gguf_info *), compare_offsets);
        status = check_sorted(g, sorted, err);
    }
    free(sorted);
    return status;
}

/* ---- Keys ----------------------------------------------------------------
 */

static int
compare_name(const void *name, const void *info)
{
    return strcmp(name, (*(dfx_gguf_info *const *)info)->name);
}

static dfx_gguf_info *
find_info(const dfx_gguf *g, const char *name)
{
    dfx_gguf_info **found = bsearch(name, g->by_name, g->info_count,
                                    sizeof(dfx_gguf_info *), compare_name);

    return found != NULL ? *found : NULL;
}

/* The shape that a tensor had before it was laid out in rows of whole blocks.
 */
static dfx_status
apply_shape(dfx_gguf *g, const dfx_gguf_key *key, dfx_error *err)
{
    const char *name = key->name + strlen(DFX_GGUF_SHAPE);
    dfx_gguf_info *t = find_info(g, name);
    uint64_t shape[DFX_GGUF_DIMS], product = 1, elements = 1;

    if (t == NULL)
        return dfx_gguf_tell(g, DFX_RULE_GGUF_SHAPE_KEY, true, key->at, err,
                             "\"%s\" is the shape of no tensor that is here",
                             key->name);
    if (key->kind != DFX_GGUF_ARRAY || key->element != DFX_GGUF_I32 ||
        key->count == 0 || key->count > DFX_GGUF_DIMS)
        return dfx_gguf_tell(g, DFX_RULE_GGUF_SHAPE_KEY, false, key->at, err,
                             "\"%s\" is no array of up to %d i32", key->name,
                             DFX_GGUF_DIMS);
    for (uint64_t i = 0; i < key->count; i++) {
        DFX_TRY(dfx_gguf_number(g, key, i, &shape[i], err));
        if (shape[i] > INT32_MAX || dfx_ckd_mul(&product, product, shape[i]))
            product = UINT64_MAX;
    }
    for (uint32_t i = 0; i < t->rank; i++)
        elements *= t->shape[i]; /* checked */
    if (product != elements)
        return dfx_gguf_tell(g, DFX_RULE_GGUF_SHAPE_KEY, false, key->at, err,
                             "\"%s\" has not the number of elements of its "
                             "tensor",
                             key->name);
    t->rank = (uint32_t)key->count;
    memcpy(t->shape, shape, (size_t)key->count * sizeof *shape);
    return DFX_OK;
}

static dfx_status
check_keys(dfx_gguf *g, dfx_error *err)
{
    const dfx_gguf_key *arch = dfx_gguf_find(g, DFX_GGUF_ARCHITECTURE);

    if (arch != NULL && arch->kind != DFX_GGUF_STRING)
        DFX_TRY(dfx_gguf_tell(g, DFX_RULE_GGUF_ARCH, false, arch->at, err,
                              DFX_GGUF_ARCHITECTURE " is no string"));
    for (size_t i = 0; i < g->key_count; i++)
        if (strncmp(g->keys[i].name, DFX_GGUF_SHAPE, strlen(DFX_GGUF_SHAPE)) ==
            0)
            DFX_TRY(apply_shape(g, &g->keys[i], err));
    return DFX_OK;
}

/* ---- Shards --------------------------------------------------------------
 */

/* A file's place among shards: PREFIX-00001-of-00003.gguf. */
typedef struct shard {
    uint64_t number, count; /* number from 0; count 0: it is none */
    size_t prefix;          /* bytes of the path before the dash */
} shard;

static shard
shard_of(const char *path)
{
    enum { TAIL = sizeof "-00001-of-00003.gguf" - 1 };
    size_t size = strlen(path);
    shard s = {0};
    unsigned number, count;
    int end = 0;

    if (size < TAIL ||
        sscanf(path + size - TAIL, "-%5u-of-%5u.gguf%n", &number, &count,
               &end) != 2 ||
        end != TAIL || number == 0)
        return s;
    s.number = number - 1;
    s.count = count;
    s.prefix = size - TAIL;
    return s;
}

/* An integer of a split key; those of other types than gguf-split writes are
   suspicious. *value stays as it is where there is no such key. */
static dfx_status
split_number(const dfx_gguf *g, const char *name, dfx_gguf_kind usual,
             uint64_t *value, dfx_error *err)
{
    const dfx_gguf_key *key = dfx_gguf_find(g, name);

    if (key == NULL)
        return DFX_OK;
    if (key->kind == DFX_GGUF_STRING || key->kind == DFX_GGUF_ARRAY ||
        key->kind == DFX_GGUF_F32 || key->kind == DFX_GGUF_F64)
        return dfx_gguf_tell(g, DFX_RULE_GGUF_SPLIT_TYPE, false, key->at, err,
                             "%s is no integer", name);
    if (key->kind != usual)
        DFX_TRY(dfx_gguf_tell(g, DFX_RULE_GGUF_SPLIT_TYPE, true, key->at, err,
                              "%s is an integer of another type than usual",
                              name));
    return dfx_gguf_number(g, key, 0, value, err);
}

/* The keys agree with each other and with the name of the file. */
static dfx_status
check_split(const dfx_gguf *g, const shard *name, dfx_error *err)
{
    uint64_t number = 0, count = 0, tensors = 0;

    DFX_TRY(split_number(g, "split.no", DFX_GGUF_U16, &number, err));
    DFX_TRY(split_number(g, "split.count", DFX_GGUF_U16, &count, err));
    DFX_TRY(
        split_number(g, "split.tensors.count", DFX_GGUF_I32, &tensors, err));
    if (count > 0 && number >= count)
        DFX_TRY(dfx_gguf_tell(
            g, DFX_RULE_GGUF_SPLIT_COUNT, false, 0, err,
            "shard %" PRIu64 " of %" PRIu64 ", counted from 0", number, count));
    else if (name->count > 0 &&
             (number != name->number || count != name->count))
        DFX_TRY(dfx_gguf_tell(g, DFX_RULE_GGUF_SPLIT_NAME, false, 0, err,
                              "its name says shard %" PRIu64 " of %" PRIu64
                              ", its keys %" PRIu64 " of %" PRIu64,
                              name->number + 1, name->count, number + 1,
                              count));
    return DFX_OK;
}

/* ---- Reading -------------------------------------------------------------
 */

/* Everything the rules say of one file. */
static dfx_status
judge(dfx_gguf *g, const char *path, dfx_error *err)
{
    const shard name = shard_of(path);

    DFX_TRY(dfx_gguf_parse(g, err));
    DFX_TRY(check_offsets(g, err));
    DFX_TRY(check_keys(g, err));
    return check_split(g, &name, err);
}

static dfx_status
add_keys(reader *r)
{
    for (size_t i = 0; i < r->g.key_count; i++) {
        const dfx_gguf_key *key = &r->g.keys[i];
        dfx_text text = {0};
        dfx_status status = dfx_gguf_print(&r->g, key, &text, r->err);

        /* A text that is none was warned of. */
        if (status == DFX_OK && dfx_utf8_valid(text.data, text.size, NULL)) {
            status = dfx_index_add_meta(r->index, r->component, key->name,
                                        key->name_size, text.data, text.size,
                                        r->err);
            if (status == DFX_OK)
                r->index->metadata[r->index->meta_count - 1].type =
                    dfx_gguf_type_name(key);
        }
        dfx_text_fini(&text);
        DFX_TRY(status);
    }
    return DFX_OK;
}

/* The bytes of a tensor of a big-endian file, as of a little-endian one. */
static dfx_status
swap(reader *r, const dfx_gguf_info *t, dfx_claim *claim)
{
    uint64_t stride[DFX_GGUF_DIMS], step = 1;
    const dfx_strided view = {
        .type = t->type,
        .rank = t->rank,
        .shape = t->shape,
        .stride = stride,
        .offset = 0,
        .big_endian = true,
    };
    dfx_io *slice = NULL, *io = NULL;

    if (dfx_type_class(t->type) == DFX_CLASS_BLOCK) {
        dfx_error *lacking = &r->index->lacking;

        if (lacking->rule == NULL || lacking->rule[0] == '\0') {
            dfx_fail(lacking, DFX_RULE_GGUF_ENDIAN, t->at,
                     "blocks of big-endian files are not read");
            dfx_error_in_file(lacking, r->place->path);
            dfx_error_in_tensor(lacking, t->name);
        }
        return DFX_OK;
    }
    for (uint32_t i = t->rank; i-- > 0; step *= t->shape[i])
        stride[i] = step;
    DFX_TRY(dfx_io_open_slice(claim->io, claim->offset, claim->size, &slice,
                              r->err));
    DFX_TRY(dfx_index_take_io(r->index, slice, r->err));
    DFX_TRY(dfx_io_open_strided(slice, &view, &io, r->err));
    DFX_TRY(dfx_index_take_io(r->index, io, r->err));
    claim->io = io;
    claim->offset = 0;
    return DFX_OK;
}

static dfx_status
add_tensors(reader *r)
{
    for (size_t i = 0; i < r->g.info_count; i++) {
        const dfx_gguf_info *t = &r->g.infos[i];
        dfx_claim claim = {
            .name = t->name,
            .name_size = t->name_size,
            .component = r->component,
            .type = t->type,
            .rank = t->rank,
            .shape = t->shape,
            .io = r->g.io,
            .offset = r->g.data + t->offset,
            .size = t->bytes,
            .where = t->at,
        };

        if (r->g.big_endian)
            DFX_TRY(swap(r, t, &claim));
        DFX_TRY(dfx_index_add(r->index, &claim, r->err));
    }
    return DFX_OK;
}

/* One file. keys: those of the first shard are the model's. */
static dfx_status
read_file(reader *r, bool keys)
{
    dfx_io *io = NULL;
    dfx_status status;

    DFX_TRY(dfx_place_open(r->place, &io, r->err));
    DFX_TRY(dfx_index_take_io(r->index, io, r->err));
    r->g = (dfx_gguf){.io = io, .index = r->index};
    status = judge(&r->g, r->place->path, r->err);
    if (status == DFX_OK && keys)
        status = add_keys(r);
    if (status == DFX_OK)
        status = add_tensors(r);
    dfx_gguf_fini(&r->g);
    if (status != DFX_OK)
        dfx_error_in_file(r->err, r->place->path);
    return status;
}

/* All shards of the file's prefix. */
static dfx_status
read_shards(reader *r, const shard *name)
{
    const dfx_place *given = r->place;
    dfx_status status = DFX_OK;

    for (uint64_t i = 0; i < name->count && status == DFX_OK; i++) {
        char *path = dfx_arena_printf(
            &r->index->arena, "%.*s-%05" PRIu64 "-of-%05" PRIu64 SUFFIX,
            (int)name->prefix, given->path, i + 1, name->count);
        const dfx_place place = dfx_place_beside(given, path);

        if (path == NULL)
            return dfx_fail_nomem(r->err);
        r->place = &place;
        status = read_file(r, i == 0);
        r->place = given;
    }
    return status;
}

static dfx_status
gguf_read(const dfx_place *place, uint32_t component,
          const dfx_open_options *options, dfx_index *index, dfx_error *err)
{
    reader r = {
        .place = place, .component = component, .index = index, .err = err};
    const shard name = shard_of(place->path);

    (void)options;
    return name.count > 1 ? read_shards(&r, &name) : read_file(&r, true);
}

static dfx_status
gguf_validate(const dfx_place *place, const dfx_open_options *options,
              dfx_finding_fn *found, void *context, dfx_error *err)
{
    dfx_gguf g = {.found = found, .context = context};
    dfx_error fault = {0};
    dfx_io *io = NULL;
    dfx_status status;

    (void)options;
    DFX_TRY(dfx_place_open(place, &io, err));
    g.io = io;
    status = judge(&g, place->path, &fault);
    dfx_gguf_fini(&g);
    dfx_io_close(io);
    if (status == DFX_ERR_FORMAT) {
        found(context, &fault); /* that left nothing more to judge */
        return DFX_OK;
    }
    if (status != DFX_OK && err != NULL)
        *err = fault;
    return status;
}

static unsigned
gguf_bid(const dfx_evidence *evidence)
{
    enum { BID_MAGIC = 32 };

    return !evidence->is_folder && evidence->head_size >= 4 &&
                   memcmp(evidence->head, "GGUF", 4) == 0
               ? BID_MAGIC
               : 0;
}

const dfx_format dfx_format_gguf = {
    .name = "gguf",
    .summary = "GGUF, one file or shards",
    .suffix = SUFFIX,
    .has_blocks = true,
    .layout = DFX_LAYOUT_ORIGINAL,
    .bid = gguf_bid,
    .read = gguf_read,
    .validate = gguf_validate,
    .lay_out = dfx_gguf_lay_out,
};
