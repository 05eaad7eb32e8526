/*
 * sharded.c - shards with an index file
 *
 *   PREFIX.safetensors.index.json    {"metadata": {"total_size": N},
 *                                     "weight_map": {NAME: FILE, ...}}
 *   PREFIX-00001-of-00003.safetensors ...
 *
 * and the same with .bin, where the weights are PyTorch's.
 *
 * Cut as huggingface_hub 2.4 does (split_state_dict_into_shards_factory), named
 * and indexed as diffusers 0.42 and transformers 5.23 do. The path of a set is
 * that of its index; which files are shards is what the index says, whatever
 * their names. Refused: file names that leave the folder of the index.
 */
#include <config.h>

#include "registry.h"

#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "json.h"

enum { MAX_INDEX = 100000000 }; /* bytes, as the header of one file */

extern const dfx_format dfx_format_sharded; /* below */

/* "NAME": "FILE" of the weight_map. */
typedef struct mapping {
    const char *name, *file; /* borrowed: from the text or the arena */
    size_t name_size, file_size;
    size_t at; /* of the name in the text */
    bool seen; /* the tensor is in the file */
} mapping;

typedef struct shard_map {
    const dfx_place *place; /* of the index file */
    char *text;             /* owned */
    size_t size;
    mapping *items; /* owned; sorted by file, then name */
    size_t count, capacity;
    dfx_arena arena;
    /* Who is told of faults that one can go on after; NULL: none, the first
       fault ends the reading. */
    dfx_finding_fn *found;
    void *context;
} shard_map;

static void
shard_map_fini(shard_map *map)
{
    free(map->items);
    free(map->text);
    dfx_arena_fini(&map->arena);
}

/* ---- Faults ----------------------------------------------------------- */

/* A dfx_finding_fn for faults found elsewhere. */
static void
pass_on(void *context, const dfx_error *finding)
{
    const shard_map *map = context;
    dfx_error named = *finding;

    dfx_error_in_file(&named, map->place->path);
    map->found(map->context, &named);
}

static dfx_status fault(shard_map *map, const mapping *m, dfx_rule rule,
                        dfx_error *err, const char *fmt, ...) DFX_PRINTF(5, 6);

/* Makes a fault of a mapping: told and forgotten when judging, else it stands.
 */
static dfx_status
fault(shard_map *map, const mapping *m, dfx_rule rule, dfx_error *err,
      const char *fmt, ...)
{
    char text[DFX_ERROR_CHARS];
    dfx_error own;
    dfx_error *to = map->found == NULL ? err : &own;
    dfx_status status;
    va_list args;

    va_start(args, fmt);
    vsnprintf(text, sizeof text, fmt, args);
    va_end(args);
    status = dfx_fail(to, rule, m->at, "%s", text);
    dfx_error_in_tensor_text(to, m->name, m->name_size);
    if (map->found == NULL)
        return status;
    pass_on(map, &own);
    return DFX_OK;
}

/* ---- The index file --------------------------------------------------- */

static dfx_status
load_text(shard_map *map, const dfx_open_options *options, dfx_error *err)
{
    uint64_t limit = MAX_INDEX;
    dfx_io *io = NULL;
    dfx_status status;

    if (options != NULL && options->max_header != 0)
        limit = options->max_header;
    DFX_TRY(dfx_place_open(map->place, &io, err));
    if (dfx_io_size(io) > limit) {
        status =
            dfx_fail(err, DFX_RULE_LIMIT_HEADER, 0,
                     "the index has %" PRIu64 " bytes, allowed are %" PRIu64,
                     dfx_io_size(io), limit);
        goto out;
    }
    map->size = (size_t)dfx_io_size(io);
    map->text = malloc(map->size + 1);
    status = map->text == NULL
                 ? dfx_fail_nomem(err)
                 : dfx_io_read_at(io, 0, map->text, map->size, err);
out:
    dfx_io_close(io);
    return status;
}

/* The whole file is one strict JSON value. */
static dfx_status
check_text(shard_map *map, dfx_error *err)
{
    size_t bad = 0, end = 0;

    if (!dfx_utf8_valid(map->text, map->size, &bad))
        return dfx_fail(err, DFX_RULE_JSON_UTF8, bad,
                        "byte 0x%02x is not UTF-8 here",
                        (unsigned char)map->text[bad]);
    DFX_TRY(dfx_json_check(map->text, map->size, 0,
                           map->found == NULL ? NULL : pass_on, map, &end,
                           err));
    while (end < map->size && strchr(" \t\r\n", map->text[end]) != NULL &&
           map->text[end] != '\0')
        end++;
    if (end < map->size)
        return dfx_fail(err, DFX_RULE_JSON_SYNTAX, end,
                        "byte 0x%02x after the value",
                        (unsigned char)map->text[end]);
    return DFX_OK;
}

static bool
text_is(const dfx_json *json, const char *text)
{
    return json->text_size == strlen(text) &&
           memcmp(json->text, text, json->text_size) == 0;
}

/* Whether a file name stays in its folder. */
static bool
is_plain_name(const char *file, size_t size)
{
    if (size == 0 || (size == 1 && file[0] == '.'))
        return false;
    for (size_t i = 0; i < size; i++)
        if (file[i] == '/' || file[i] == '\\' || file[i] == '\0' ||
            (file[i] == '.' && i + 1 < size && file[i + 1] == '.'))
            return false;
    return true;
}

/* The file of m, a name whose value comes next. */
static dfx_status
read_mapping(shard_map *map, dfx_json *json, mapping *m, dfx_error *err)
{
    dfx_json_event event = DFX_JSON_NULL;

    DFX_TRY(dfx_json_next(json, &event, err));
    if (event != DFX_JSON_STRING) {
        DFX_TRY(fault(map, m, DFX_RULE_SHARD_INDEX, err,
                      "weight_map gives no file name"));
        return dfx_json_skip(json, event, err);
    }
    m->file = dfx_json_keep(json, &map->arena);
    m->file_size = json->text_size;
    if (m->file == NULL)
        return dfx_fail_nomem(err);
    if (!is_plain_name(m->file, m->file_size))
        return fault(map, m, DFX_RULE_SHARD_PATH, err,
                     "\"%.*s\" is no name of a file beside the index",
                     m->file_size < 200 ? (int)m->file_size : 200, m->file);
    if (!dfx_grow(&map->items, &map->capacity, map->count, sizeof *map->items))
        return dfx_fail_nomem(err);
    map->items[map->count++] = *m;
    return DFX_OK;
}

static dfx_status
read_weight_map(shard_map *map, dfx_json *json, dfx_error *err)
{
    dfx_json_event event = DFX_JSON_NULL;

    DFX_TRY(dfx_json_next(json, &event, err));
    if (event != DFX_JSON_OBJECT)
        return dfx_fail(err, DFX_RULE_SHARD_INDEX, dfx_json_offset(json),
                        "weight_map is not an object");
    for (;;) {
        mapping m = {0};

        DFX_TRY(dfx_json_next(json, &event, err));
        if (event == DFX_JSON_OBJECT_END)
            return DFX_OK;
        m.name = dfx_json_keep(json, &map->arena);
        m.name_size = json->text_size;
        m.at = json->at;
        if (m.name == NULL)
            return dfx_fail_nomem(err);
        DFX_TRY(read_mapping(map, json, &m, err));
    }
}

/*
 * Strings in the index's metadata are what a single file would have in its own:
 * huggingface_hub notes there which names it dropped for which. Numbers
 * (total_size) are made anew.
 */
static dfx_status
read_metadata(shard_map *map, dfx_json *json, dfx_index *index,
              uint32_t component, dfx_error *err)
{
    dfx_json_event event = DFX_JSON_NULL;

    DFX_TRY(dfx_json_next(json, &event, err));
    if (event != DFX_JSON_OBJECT)
        return dfx_json_skip(json, event, err);
    for (;;) {
        const char *key;
        size_t size;

        DFX_TRY(dfx_json_next(json, &event, err));
        if (event == DFX_JSON_OBJECT_END)
            return DFX_OK;
        key = dfx_json_keep(json, &map->arena);
        size = json->text_size;
        if (key == NULL)
            return dfx_fail_nomem(err);
        DFX_TRY(dfx_json_next(json, &event, err));
        if (event == DFX_JSON_STRING)
            DFX_TRY(dfx_index_add_meta(index, component, key, size, json->text,
                                       json->text_size, err));
        else
            DFX_TRY(dfx_json_skip(json, event, err));
    }
}

static dfx_status
read_members(shard_map *map, dfx_json *json, dfx_index *index,
             uint32_t component, dfx_error *err)
{
    dfx_json_event event = DFX_JSON_NULL;
    bool has_map = false;

    DFX_TRY(dfx_json_next(json, &event, err));
    if (event != DFX_JSON_OBJECT)
        return dfx_fail(err, DFX_RULE_SHARD_INDEX, dfx_json_offset(json),
                        "the index is not an object");
    for (;;) {
        DFX_TRY(dfx_json_next(json, &event, err));
        if (event == DFX_JSON_OBJECT_END)
            break;
        if (text_is(json, "weight_map")) {
            has_map = true;
            DFX_TRY(read_weight_map(map, json, err));
        } else if (text_is(json, "metadata")) {
            DFX_TRY(read_metadata(map, json, index, component, err));
        } else {
            DFX_TRY(dfx_json_next(json, &event, err));
            DFX_TRY(dfx_json_skip(json, event, err));
        }
    }
    if (!has_map)
        return dfx_fail(err, DFX_RULE_SHARD_INDEX, 0, "weight_map is missing");
    return DFX_OK;
}

static int
compare_texts(const char *a, size_t a_size, const char *b, size_t b_size)
{
    size_t size = a_size < b_size ? a_size : b_size;
    int order = size == 0 ? 0 : memcmp(a, b, size);

    return order != 0 ? order : a_size < b_size ? -1 : a_size > b_size;
}

static int
compare_mappings(const void *a, const void *b)
{
    const mapping *x = a, *y = b;
    int order = compare_texts(x->file, x->file_size, y->file, y->file_size);

    if (order != 0)
        return order;
    return compare_texts(x->name, x->name_size, y->name, y->name_size);
}

/* By file, then name; a duplicate that was told and forgotten is told once. */
static void
sort_mappings(shard_map *map)
{
    size_t kept = 0;

    if (map->count == 0)
        return;
    qsort(map->items, map->count, sizeof *map->items, compare_mappings);
    for (size_t i = 1; i < map->count; i++)
        if (compare_mappings(&map->items[kept], &map->items[i]) != 0)
            map->items[++kept] = map->items[i];
    map->count = kept + 1;
}

static dfx_status
shard_map_read(shard_map *map, const dfx_open_options *options,
               dfx_index *index, uint32_t component, dfx_error *err)
{
    dfx_json json;
    dfx_status status;

    DFX_TRY(load_text(map, options, err));
    DFX_TRY(check_text(map, err));
    dfx_json_init(&json, map->text, map->size, 0);
    status = read_members(map, &json, index, component, err);
    dfx_json_fini(&json);
    if (status == DFX_OK)
        sort_mappings(map);
    return status;
}

/* ---- Shards ----------------------------------------------------------- */

/* The mappings of one file, and its place; path in the map's arena. */
typedef struct shard {
    mapping *items;
    size_t count;
    dfx_place place;
} shard;

/* The shard whose first mapping is at *i, which moves past its last. */
static dfx_status
next_shard(shard_map *map, size_t *i, shard *out, dfx_error *err)
{
    const mapping *first = &map->items[*i];
    const char *beside = map->place->path;
    const char *slash = strrchr(beside, '/');
    size_t folder = slash == NULL ? 0 : (size_t)(slash + 1 - beside);
    char *path = dfx_arena_alloc(&map->arena, folder + first->file_size + 1);

    if (path == NULL)
        return dfx_fail_nomem(err);
    memcpy(path, beside, folder);
    memcpy(path + folder, first->file, first->file_size);
    *out = (shard){.items = &map->items[*i],
                   .place = dfx_place_beside(map->place, path)};
    while (*i < map->count &&
           compare_texts(map->items[*i].file, map->items[*i].file_size,
                         first->file, first->file_size) == 0) {
        out->count++;
        ++*i;
    }
    return DFX_OK;
}

static int
compare_name(const void *a, const void *b)
{
    const char *name = a;
    const mapping *m = b;

    return compare_texts(name, strlen(name), m->name, m->name_size);
}

/* The tensors read from a shard, those from first on, against its mappings. */
static dfx_status
check_tensors(shard_map *map, const shard *s, size_t first, dfx_index *index,
              dfx_error *err)
{
    const char *file = s->items[0].file;
    int size = (int)s->items[0].file_size; /* a name that was opened: short */

    for (size_t i = first; i < index->tensor_count; i++) {
        const char *name = index->tensors[i].name;
        mapping *m = bsearch(name, s->items, s->count, sizeof *m, compare_name);

        if (m != NULL)
            m->seen = true;
        else
            DFX_TRY(dfx_index_warn(
                index, err,
                "tensor \"%.200s\" is in %.*s, but not in the index", name,
                size, file));
    }
    for (size_t i = 0; i < s->count; i++)
        if (!s->items[i].seen)
            DFX_TRY(fault(map, &s->items[i], DFX_RULE_SHARD_TENSOR, err,
                          "is not in %.*s, as the index says", size, file));
    return DFX_OK;
}

static int
compare_pairs(const void *a, const void *b)
{
    const dfx_meta *x = a, *y = b;
    int order = strcmp(x->key, y->key);

    return order != 0 ? order : strcmp(x->value, y->value);
}

/* Each shard says the same in its metadata: from first on, once is enough. */
static dfx_status
merge_metadata(dfx_index *index, size_t first, dfx_error *err)
{
    size_t count = index->meta_count - first, kept = 0;
    dfx_meta *pairs;

    if (count == 0)
        return DFX_OK;
    pairs = index->metadata + first;
    qsort(pairs, count, sizeof *pairs, compare_pairs);
    for (size_t i = 1; i < count; i++) {
        if (strcmp(pairs[i].key, pairs[kept].key) != 0)
            pairs[++kept] = pairs[i];
        else if (strcmp(pairs[i].value, pairs[kept].value) != 0)
            DFX_TRY(dfx_index_warn(index, err,
                                   "shards differ in metadata \"%.200s\"",
                                   pairs[i].key));
    }
    index->meta_count = first + kept + 1;
    return DFX_OK;
}

static dfx_status
read_shards(shard_map *map, uint32_t component, const dfx_open_options *options,
            dfx_index *index, dfx_error *err)
{
    size_t i = 0, metadata = index->meta_count;

    DFX_TRY(shard_map_read(map, options, index, component, err));
    while (i < map->count) {
        size_t first = index->tensor_count;
        shard s;

        DFX_TRY(next_shard(map, &i, &s, err));
        if (!dfx_place_exists(&s.place))
            return fault(map, s.items, DFX_RULE_SHARD_MISSING, err,
                         "%s is not there", s.place.path);
        DFX_TRY(dfx_index_read_into(index, component, &s.place, options, err));
        DFX_TRY(check_tensors(map, &s, first, index, err));
    }
    return merge_metadata(index, metadata, err);
}

static dfx_status
sharded_read(const dfx_place *place, uint32_t component,
             const dfx_open_options *options, dfx_index *index, dfx_error *err)
{
    shard_map map = {.place = place};
    dfx_status status = read_shards(&map, component, options, index, err);

    shard_map_fini(&map);
    if (status != DFX_OK)
        dfx_error_in_file(err, place->path);
    return status;
}

/* ---- Judging ---------------------------------------------------------- */

/* Everything about a shard; its tensors go to an index, if it has no fault. */
static dfx_status
judge_shard(shard_map *map, const shard *s, const dfx_open_options *options,
            dfx_index *index, dfx_error *err)
{
    size_t first = index->tensor_count;
    const dfx_format *format = NULL;
    dfx_status status;

    if (!dfx_place_exists(&s->place))
        return fault(map, s->items, DFX_RULE_SHARD_MISSING, err,
                     "%s is not there", s->place.path);
    DFX_TRY(dfx_place_format(&s->place, &format, err));
    if (format == &dfx_format_sharded) /* it would send us in circles */
        return fault(map, s->items, DFX_RULE_SHARD_INDEX, err,
                     "%s is an index itself", s->place.path);
    DFX_TRY(
        dfx_place_validate(&s->place, options, map->found, map->context, err));
    status = dfx_index_read_into(index, 0, &s->place, options, err);
    if (status == DFX_ERR_FORMAT)
        return DFX_OK; /* told by dfx_place_validate */
    return status == DFX_OK ? check_tensors(map, s, first, index, err) : status;
}

/* The faults that the reader reports as warnings, and those of the whole. */
static dfx_status
judge_whole(shard_map *map, dfx_index *index, dfx_error *err)
{
    dfx_error finding;
    dfx_status status;

    for (size_t i = 0; i < index->warning_count; i++) {
        dfx_fail(&finding, DFX_RULE_SHARD_TENSOR, DFX_NO_OFFSET, "%s",
                 index->warnings[i]);
        pass_on(map, &finding);
    }
    status = dfx_index_seal(index, err);
    if (status == DFX_ERR_FORMAT)
        pass_on(map, err);
    return status;
}

static dfx_status
sharded_validate(const dfx_place *place, const dfx_open_options *options,
                 dfx_finding_fn *found, void *context, dfx_error *err)
{
    shard_map map = {.place = place, .found = found, .context = context};
    dfx_index *index = NULL;
    uint32_t component = 0;
    dfx_error own;
    dfx_status status;
    size_t i = 0;

    if (err == NULL)
        err = &own;
    DFX_TRY(dfx_index_new(place->path, &index, err));
    status = dfx_index_component(index, "", &component, err);
    if (status == DFX_OK)
        status = shard_map_read(&map, options, index, component, err);
    if (status == DFX_ERR_FORMAT)
        pass_on(&map, err); /* the fault that left nothing more to judge */
    while (status == DFX_OK && i < map.count) {
        shard s;

        status = next_shard(&map, &i, &s, err);
        if (status == DFX_OK)
            status = judge_shard(&map, &s, options, index, err);
    }
    if (status == DFX_OK)
        status = judge_whole(&map, index, err);
    dfx_index_free(index);
    shard_map_fini(&map);
    if (status == DFX_ERR_FORMAT)
        return DFX_OK;
    if (status != DFX_OK)
        dfx_error_in_file(err, place->path);
    return status;
}

/*
 * The shards, unless this is one file of a folder whose files are all audited
 * anyway; loaders that find the index broken read something else.
 */
static dfx_status
audit_shards(shard_map *map, const dfx_open_options *options, dfx_index *index,
             dfx_audit *audit, dfx_error *err)
{
    const char *where = audit->where;
    dfx_status status = shard_map_read(map, options, index, 0, err);
    size_t i = 0;

    while (status == DFX_OK && i < map->count && audit->depth <= 1) {
        shard s;

        status = next_shard(map, &i, &s, err);
        if (status != DFX_OK)
            break;
        audit->where = s.place.path;
        status = dfx_place_audit(&s.place, options, audit, err);
        audit->where = where;
    }
    return status;
}

static dfx_status
sharded_audit(const dfx_place *place, const dfx_open_options *options,
              dfx_audit *audit, dfx_error *err)
{
    shard_map map = {.place = place};
    dfx_open_options inner = *options;
    dfx_index *index = NULL;
    dfx_status status = dfx_index_new(place->path, &index, err);
    uint32_t component = 0;

    inner.format = NULL; /* that one was the index's */
    if (status == DFX_OK)
        status = dfx_index_component(index, "", &component, err);
    if (status == DFX_OK)
        status = audit_shards(&map, &inner, index, audit, err);
    dfx_index_free(index);
    shard_map_fini(&map);
    return status;
}

/* An object with an object weight_map among what is there of it. */
static unsigned
sharded_bid(const dfx_evidence *evidence)
{
    size_t size = evidence->head_size;
    dfx_json_event event = DFX_JSON_NULL;
    dfx_json json;
    unsigned bits = 0;

    if (evidence->is_folder || size == 0)
        return 0;
    /* The head may end in the middle of a character, and of the index. */
    (void)dfx_utf8_valid((const char *)evidence->head, size, &size);
    dfx_json_init(&json, (const char *)evidence->head, size, 0);
    if (dfx_json_next(&json, &event, NULL) != DFX_OK ||
        event != DFX_JSON_OBJECT)
        event = DFX_JSON_END;
    while (bits == 0 && event != DFX_JSON_END) {
        bool named;

        if (dfx_json_next(&json, &event, NULL) != DFX_OK ||
            event != DFX_JSON_KEY)
            break;
        named = text_is(&json, "weight_map");
        if (dfx_json_next(&json, &event, NULL) != DFX_OK)
            break;
        if (named && event == DFX_JSON_OBJECT)
            bits = 8 * sizeof "{\"weight_map\"{" - 8;
        else if (dfx_json_skip(&json, event, NULL) != DFX_OK)
            break;
    }
    dfx_json_fini(&json);
    return bits;
}

/* ---- Cutting ---------------------------------------------------------- */

typedef struct cut {
    size_t *shard_of; /* of each item, from 0; in the arena */
    size_t count;     /* shards */
    uint64_t bytes, elements;
} cut;

/*
 * A tensor above the limit becomes a shard at once, numbered before the one
 * being filled. Empty tensors all have the storage at address 0, so to the
 * reference they share one and go where the first went.
 */
static dfx_status
cut_items(const dfx_bundle *bundle, dfx_arena *arena, cut *out, dfx_error *err)
{
    size_t count = bundle->item_count;
    /* Shards by birth, and the numbers they get when they are closed. */
    size_t *born = dfx_arena_array(arena, count, sizeof *born);
    size_t *number = dfx_arena_array(arena, count + 1, sizeof *number);
    size_t births = 1, open = 0, closed = 0, of_empty = SIZE_MAX;
    bool has_any = false; /* the open shard */
    uint64_t limit = bundle->max_shard_size, filled = 0;
    cut made = {.shard_of = born};

    if (born == NULL || number == NULL)
        return dfx_fail_nomem(err);
    if (limit == 0)
        limit = UINT64_MAX;
    for (size_t i = 0; i < count; i++) {
        const dfx_expr *x = bundle->items[i].expr;

        if (dfx_ckd_add(&made.bytes, made.bytes, x->bytes) ||
            dfx_ckd_add(&made.elements, made.elements, x->elements))
            return dfx_fail(err, DFX_RULE_TENSOR_OVERFLOW, DFX_NO_OFFSET,
                            "the tensors of a set exceed 2^64 bytes");
        if (x->bytes == 0 && of_empty != SIZE_MAX) {
            born[i] = of_empty;
            continue;
        }
        if (x->bytes > limit) {
            born[i] = births;
            number[births++] = closed++;
            continue;
        }
        if (x->bytes > limit - filled) {
            number[open] = closed++;
            open = births++;
            filled = 0;
        }
        filled += x->bytes;
        born[i] = open;
        has_any = true;
        if (x->bytes == 0)
            of_empty = open;
    }
    if (has_any)
        number[open] = closed++;
    for (size_t i = 0; i < count; i++)
        born[i] = number[born[i]];
    made.count = closed;
    *out = made;
    return DFX_OK;
}

/* ---- Writing ---------------------------------------------------------- */

/* What the names of a set are made of. */
typedef struct names {
    const dfx_format *format; /* of each shard */
    const char *base;         /* "unet/diffusion_pytorch_model" */
    const char *dot;          /* "." before a variant, or "" */
    const char *variant;      /* "fp16" or "" */
    size_t folder_size;       /* bytes of "unet/" */
} names;

static char *
shard_base(const names *n, size_t i, size_t count, dfx_arena *arena)
{
    return dfx_arena_printf(arena, "%s%s%s-%05zu-of-%05zu", n->base, n->dot,
                            n->variant, i + 1, count);
}

static int
compare_names(const void *a, const void *b)
{
    const dfx_item *x = *(const dfx_item *const *)a;
    const dfx_item *y = *(const dfx_item *const *)b;

    return strcmp(x->name, y->name);
}

/* As json.dumps(index, indent=2, sort_keys=True) + "\n". */
static dfx_status
print_index(const dfx_bundle *bundle, const cut *c, const char *const *files,
            dfx_arena *arena, dfx_text *text, dfx_error *err)
{
    size_t count = bundle->item_count;
    const dfx_item **items = dfx_arena_array(arena, count, sizeof *items);

    if (items == NULL)
        return dfx_fail_nomem(err);
    for (size_t i = 0; i < count; i++)
        items[i] = &bundle->items[i];
    qsort(items, count, sizeof *items, compare_names);
    dfx_text_puts(text, "{\n  \"metadata\": {\n");
    if (bundle->components[0].is_transformers)
        dfx_text_printf(text, "    \"total_parameters\": %" PRIu64 ",\n",
                        c->elements);
    dfx_text_printf(
        text, "    \"total_size\": %" PRIu64 "\n  },\n  \"weight_map\": {",
        c->bytes);
    for (size_t i = 0; i < count; i++) {
        const char *file = files[c->shard_of[items[i] - bundle->items]];

        dfx_text_puts(text, i == 0 ? "\n    " : ",\n    ");
        dfx_json_quote(text, items[i]->name, strlen(items[i]->name), true);
        dfx_text_puts(text, ": ");
        dfx_json_quote(text, file, strlen(file), true);
    }
    dfx_text_puts(text, "\n  }\n}\n");
    return text->failed ? dfx_fail_nomem(err) : DFX_OK;
}

static dfx_status
plan_index(const dfx_bundle *bundle, const cut *c, const names *n,
           const char *const *files, dfx_plan *plan, dfx_error *err)
{
    const char *path =
        dfx_arena_printf(&plan->arena, "%s%s.index%s%s.json", n->base,
                         n->format->in_folder, n->dot, n->variant);
    const dfx_expr *x = NULL;
    dfx_text text = {0};
    const char *kept;
    size_t output = 0;
    dfx_status status = print_index(bundle, c, files, &plan->arena, &text, err);

    if (status == DFX_OK) {
        kept = dfx_arena_strndup(&plan->arena, text.data, text.size);
        status = path == NULL || kept == NULL
                     ? dfx_fail_nomem(err)
                     : dfx_expr_bytes(&plan->arena, kept, text.size, &x, err);
    }
    dfx_text_fini(&text);
    if (status == DFX_OK)
        status = dfx_plan_add_file(plan, path, &output, err);
    if (status == DFX_OK)
        status = dfx_plan_add_piece(plan, output, x, err);
    return status;
}

/* One bundle a shard, each laid out as a file of its own. */
static dfx_status
plan_shards(const dfx_bundle *bundle, const cut *c, const names *n,
            const char **files, dfx_plan *plan, dfx_error *err)
{
    dfx_bundle *parts = dfx_arena_array(&plan->arena, c->count, sizeof *parts);
    dfx_item *items =
        dfx_arena_array(&plan->arena, bundle->item_count, sizeof *items);

    if (parts == NULL || items == NULL)
        return dfx_fail_nomem(err);
    for (size_t i = 0; i < c->count; i++)
        parts[i] = *bundle;
    for (size_t i = 0; i < c->count; i++) {
        parts[i].header = NULL;
        parts[i].header_size = 0;
        parts[i].item_count = 0;
    }
    /* Each part gets its stretch of items, in the order they came. */
    for (size_t i = 0; i < bundle->item_count; i++)
        parts[c->shard_of[i]].item_count++;
    for (size_t i = 0; i < c->count; i++) {
        parts[i].items = items;
        items += parts[i].item_count;
        parts[i].item_count = 0;
    }
    for (size_t i = 0; i < bundle->item_count; i++) {
        dfx_bundle *part = &parts[c->shard_of[i]];

        part->items[part->item_count++] = bundle->items[i];
    }
    for (size_t i = 0; i < c->count; i++) {
        const char *base = shard_base(n, i, c->count, &plan->arena);

        files[i] = base == NULL ? NULL
                                : dfx_arena_printf(&plan->arena, "%s%s",
                                                   base + n->folder_size,
                                                   n->format->in_folder);
        if (files[i] == NULL)
            return dfx_fail_nomem(err);
        DFX_TRY(n->format->lay_out(&parts[i], base, plan, err));
    }
    return DFX_OK;
}

static dfx_status
plan_single(const dfx_bundle *bundle, const names *n, dfx_plan *plan,
            dfx_error *err)
{
    const char *base =
        dfx_arena_printf(&plan->arena, "%s%s%s", n->base, n->dot, n->variant);

    if (base == NULL)
        return dfx_fail_nomem(err);
    return n->format->lay_out(bundle, base, plan, err);
}

static dfx_status
sharded_lay_out(const dfx_bundle *bundle, const char *base, dfx_plan *plan,
                dfx_error *err)
{
    bool has_variant = bundle->variant != NULL;
    const char *weights = bundle->weights_format;
    names n = {.format =
                   dfx_format_named(weights != NULL ? weights : "safetensors"),
               .base = base[0] != '\0' ? base : "model",
               .dot = has_variant ? "." : "",
               .variant = has_variant ? bundle->variant : ""};
    const char *slash = strrchr(n.base, '/');
    const char **files;
    cut c = {0};

    if (n.format == NULL || n.format->in_folder == NULL)
        return dfx_fail_usage(err, "shards cannot be written as %s", weights);
    n.folder_size = slash == NULL ? 0 : (size_t)(slash + 1 - n.base);
    DFX_TRY(cut_items(bundle, &plan->arena, &c, err));
    if (c.count <= 1 && !plan->is_folder)
        n.base = n.dot = n.variant = ""; /* dst itself */
    if (c.count <= 1)
        return plan_single(bundle, &n, plan, err);
    files = dfx_arena_array(&plan->arena, c.count, sizeof *files);
    if (files == NULL)
        return dfx_fail_nomem(err);
    DFX_TRY(plan_shards(bundle, &c, &n, files, plan, err));
    return plan_index(bundle, &c, &n, files, plan, err);
}

static bool
ends_in(const char *name, const char *end)
{
    size_t size = strlen(name), tail = strlen(end);

    return size >= tail && strcmp(name + size - tail, end) == 0;
}

/* An index and shards, and nothing else. */
static bool
sharded_is_ours(const char *const *held, size_t count)
{
    bool indexed = false;

    for (size_t i = 0; i < count; i++) {
        bool is_index = ends_in(held[i], ".index.json");

        if (!is_index && !ends_in(held[i], ".safetensors") &&
            !ends_in(held[i], ".bin"))
            return false;
        indexed = indexed || is_index;
    }
    return indexed;
}

const dfx_format dfx_format_sharded = {
    .name = "sharded",
    .summary = "shards with an index file",
    .suffix = ".safetensors.index.json .bin.index.json",
    .is_folder = true,
    .layout = DFX_LAYOUT_ORIGINAL,
    .bid = sharded_bid,
    .read = sharded_read,
    .validate = sharded_validate,
    .audit = sharded_audit,
    .lay_out = sharded_lay_out,
    .is_ours = sharded_is_ours,
};
