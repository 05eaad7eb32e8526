/*
 * test_maps.c - the tables of names against goldens
 *
 * tests/golden/families holds what the reference implementation made of
 * synthetic checkpoints, and key lists of real models in both layouts. Here
 * every component is found by its signature, its facts are derived from names
 * and shapes, and its table is laid against what the reference has: names,
 * shapes and the digests of the bytes, in both directions.
 */
#include <config.h>

#include "rules.h"

#include <cjson/cJSON.h>
#include <fnmatch.h>
#include <openssl/evp.h>
#include <stdlib.h>
#include <time.h>

#include "document.h"
#include "registry.h"
#include "scratch.h"
#include "synth.h"
#include "tap.h"
#include "types.h"

#define FOLDER "tests/golden/families"
#define CONFIGS "../../../formats/configs" /* seen from there */

/* ---- Files -------------------------------------------------------------- */

static char *root; /* of the sources; owned */

static const char *golden(const char *fmt, ...) DFX_PRINTF(1, 2);

/* The path of a golden; good until the call after the next one. */
static const char *
golden(const char *fmt, ...)
{
    static char paths[2][4096];
    static int turn;
    char *path = paths[turn ^= 1];
    int used = snprintf(path, sizeof paths[0], "%s/" FOLDER "/", root);
    va_list args;

    va_start(args, fmt);
    vsnprintf(path + used, sizeof paths[0] - (size_t)used, fmt, args);
    va_end(args);
    return path;
}

static bool
exists(const char *path)
{
    FILE *f = fopen(path, "rb");

    if (f != NULL)
        fclose(f);
    return f != NULL;
}

static void
bail(const char *what, const char *which)
{
    printf("Bail out! %s: %s\n", which, what);
    exit(99);
}

static cJSON *
load_json(const char *path)
{
    enum { MOST = 4 << 20 };
    FILE *f = fopen(path, "rb");
    char *data = malloc(MOST);
    cJSON *doc = NULL;
    dfx_error err;
    size_t size;

    if (f == NULL || data == NULL)
        bail("cannot be read", path);
    size = fread(data, 1, MOST, f);
    fclose(f);
    if (dfx_doc_parse(data, size, path, &doc, &err) != DFX_OK)
        bail(err.text, path);
    free(data);
    return doc;
}

/* ---- Lists as indexes --------------------------------------------------- */

/* An index of the list's tensors; nothing ever reads their bytes. */
static dfx_index *
index_of(const synth_list *list)
{
    static const char no_byte;
    dfx_index *index = NULL;
    dfx_io *io = NULL;
    uint32_t component;
    dfx_error err;

    if (dfx_index_new("list", &index, &err) != DFX_OK ||
        dfx_io_open_memory(&no_byte, SIZE_MAX / 4, "list", &io, &err) !=
            DFX_OK ||
        dfx_index_take_io(index, io, &err) != DFX_OK ||
        dfx_index_component(index, "", &component, &err) != DFX_OK)
        bail(err.text, "index");
    for (size_t i = 0; i < list->count; i++) {
        const synth_tensor *t = &list->tensors[i];
        const char *type = synth_type_name(t);
        const dfx_claim claim = {
            .name = t->name,
            .name_size = strlen(t->name),
            .component = component,
            .type = dfx_type_from_safetensors(type, strlen(type)),
            .rank = (uint32_t)t->rank,
            .shape = t->shape,
            .io = io,
            .size = t->size,
        };

        if (dfx_index_add(index, &claim, &err) != DFX_OK)
            bail(err.text, t->name);
    }
    if (dfx_index_seal(index, &err) != DFX_OK)
        bail(err.text, "index");
    return index;
}

/* ---- Finding components ------------------------------------------------- */

enum { PARTS_MAX = 16, PREFIX_CHARS = 256, RANK_MAX = 4 };

typedef struct part {
    const dfx_kind *kind;
    const dfx_signature *signature;
    char prefix[PREFIX_CHARS];
    const char *component; /* what it would be called */
    const char *family, *variant;
    dfx_facts facts;
    const dfx_pair *pairs;
    size_t count;
} part;

typedef struct source {
    const synth_list *list;
    dfx_index *index;
    dfx_arena arena;
    part parts[PARTS_MAX];
    size_t count;
} source;

static dfx_view
view_of(source *s, const part *p)
{
    return (dfx_view){
        .index = s->index,
        .prefix = p->prefix,
        .kind = p->kind,
        .signature = p->signature,
        .facts = &p->facts,
        .arena = &s->arena,
    };
}

static void
name_part(part *p)
{
    const dfx_variant_row *row = p->kind->variants;

    for (; row->family != NULL; row++) {
        int64_t holds = 1;

        if (row->when != NULL &&
            dfx_facts_eval(&p->facts, row->when, &holds, NULL) != DFX_OK)
            bail("its condition is malformed", row->family);
        if (holds != 0)
            break;
    }
    p->component = row->family != NULL && row->component != NULL
                       ? row->component
                       : p->kind->component;
    p->family = row->family;
    p->variant = row->variant;
}

static void
expand(source *s, part *p, const dfx_row *rows)
{
    dfx_error err;

    if (dfx_rules_expand(&s->arena, rows, &p->facts, &p->pairs, &p->count,
                         &err) != DFX_OK)
        bail(err.text, p->kind->name);
}

static void
add_part(source *s, const dfx_kind *kind, const dfx_signature *signature,
         const char *prefix)
{
    part *p = &s->parts[s->count];
    dfx_view view;
    dfx_error err;

    if (s->count == PARTS_MAX)
        bail("too many components", "source");
    p->kind = kind;
    p->signature = signature;
    snprintf(p->prefix, sizeof p->prefix, "%s", prefix);
    view = view_of(s, p);
    if (kind->derive != NULL && kind->derive(&view, &p->facts, &err) != DFX_OK)
        bail(err.text, kind->name);
    if (kind->rows != NULL)
        expand(s, p, kind->rows);
    name_part(p);
    s->count++;
}

/* Behind the prefix of a part that was found before, or without one. */
static bool
explained(const source *s, const char *prefix)
{
    for (size_t i = 0; i < s->count; i++)
        if (strncmp(prefix, s->parts[i].prefix, strlen(s->parts[i].prefix)) ==
            0)
            return true;
    return false;
}

/* The size of the prefix of a name that ends as a signature asks; -1 if it
   does not. */
static int
prefix_size(const char *name, const char *first)
{
    size_t size = strlen(name), tail = strlen(first);

    if (size < tail || size - tail >= PREFIX_CHARS ||
        strcmp(name + size - tail, first) != 0)
        return -1;
    size -= tail;
    return size == 0 || name[size - 1] == '.' ? (int)size : -1;
}

/* One signature's first name: notes the sizes of prefixes, or tries those of
   one size. */
static void
try_prefixes(source *s, const dfx_kind *kind, const char *first,
             bool sizes[PREFIX_CHARS], int wanted)
{
    for (size_t t = 0; t < s->list->count; t++) {
        const char *name = s->list->tensors[t].name;
        int size = prefix_size(name, first);
        const dfx_signature *signature;
        char prefix[PREFIX_CHARS];

        if (size >= 0 && wanted == -1)
            sizes[size] = true;
        if (size < 0 || size != wanted)
            continue;
        snprintf(prefix, sizeof prefix, "%.*s", size, name);
        signature = explained(s, prefix)
                        ? NULL
                        : dfx_kind_match(kind, s->index, 0, prefix);
        if (signature != NULL)
            add_part(s, kind, signature, prefix);
    }
}

/* Shorter prefixes first: a component explains what is inside it. */
static void
find_parts(source *s)
{
    bool sizes[PREFIX_CHARS] = {false};
    const dfx_kind *kind;

    for (int wanted = -1; wanted < PREFIX_CHARS; wanted++) {
        if (wanted >= 0 && !sizes[wanted])
            continue;
        for (size_t k = 0; (kind = dfx_kind_at(k)) != NULL; k++)
            for (size_t i = 0; i < kind->signature_count; i++)
                try_prefixes(s, kind, kind->signatures[i].all[0], sizes,
                             wanted);
    }
}

static void
source_init(source *s, const synth_list *list)
{
    memset(s, 0, sizeof *s);
    s->list = list;
    s->index = index_of(list);
    find_parts(s);
}

static void
source_fini(source *s)
{
    for (size_t i = 0; i < s->count; i++)
        dfx_facts_fini(&s->parts[i].facts);
    dfx_arena_fini(&s->arena);
    dfx_index_free(s->index);
}

static part *
find_part(source *s, const char *component)
{
    for (size_t i = 0; i < s->count; i++)
        if (strcmp(s->parts[i].component, component) == 0)
            return &s->parts[i];
    return NULL;
}

/* ---- Tensors and what pairs make of them -------------------------------- */

typedef struct blob {
    unsigned char *data; /* owned; NULL if only the shape is known */
    uint64_t shape[RANK_MAX];
    size_t rank;
    size_t size;
} blob;

static void
blob_fini(blob *b)
{
    free(b->data);
    b->data = NULL;
}

static blob
blob_of(const synth_list *list, const synth_tensor *t, bool values)
{
    blob b = {.rank = t->rank, .size = (size_t)t->size};

    if (t->rank > 0)
        memcpy(b.shape, t->shape, t->rank * sizeof *b.shape);
    if (!values)
        return b;
    b.data = malloc(b.size + 1);
    if (b.data == NULL)
        bail("memory ran out", t->name);
    synth_values(list, t, 0, (size_t)t->elements, b.data);
    return b;
}

/* [A,B] to [B,A], element by element. */
static void
transpose(blob *b)
{
    size_t rows = (size_t)b->shape[0], columns = (size_t)b->shape[1];
    size_t element = b->size / (rows * columns);
    unsigned char *to;

    b->shape[0] = columns;
    b->shape[1] = rows;
    if (b->data == NULL)
        return;
    to = malloc(b->size);
    if (to == NULL)
        bail("memory ran out", "transpose");
    for (size_t r = 0; r < rows; r++)
        for (size_t c = 0; c < columns; c++)
            memcpy(to + (c * rows + r) * element,
                   b->data + (r * columns + c) * element, element);
    free(b->data);
    b->data = to;
}

static void
keep_part(blob *b, uint32_t k, uint32_t parts)
{
    b->shape[0] /= parts;
    b->size /= parts;
    if (b->data != NULL)
        memmove(b->data, b->data + k * b->size, b->size);
}

static void
stack(blob *b, const blob *below)
{
    b->shape[0] += below->shape[0];
    if (b->data != NULL) {
        b->data = realloc(b->data, b->size + below->size);
        if (b->data == NULL)
            bail("memory ran out", "stack");
        memcpy(b->data + b->size, below->data, below->size);
    }
    b->size += below->size;
}

static void
to_folder(blob *b, const dfx_pair *pair)
{
    if (pair->op == DFX_OP_STACK)
        keep_part(b, pair->part, pair->parts);
    else if (pair->op == DFX_OP_TRANSPOSE)
        transpose(b);
    else if (pair->op == DFX_OP_CONV1X1)
        while (b->rank > 2 && b->shape[b->rank - 1] == 1)
            b->rank--;
}

static void
to_original(blob *b, const dfx_pair *pair)
{
    if (pair->op == DFX_OP_TRANSPOSE) {
        transpose(b);
    } else if (pair->op == DFX_OP_CONV1X1) {
        b->shape[2] = b->shape[3] = 1;
        b->rank = 4;
    }
}

/* Whether b is the row [name, dtype, shape, digest]; no digest: any bytes. */
static bool
is_row(const blob *b, const cJSON *row)
{
    const cJSON *shape = cJSON_GetArrayItem(row, 2);
    const cJSON *digest = cJSON_GetArrayItem(row, 3);
    unsigned char hash[32];
    char hex[SYNTH_DIGEST_CHARS];

    if ((size_t)cJSON_GetArraySize(shape) != b->rank)
        return false;
    for (size_t i = 0; i < b->rank; i++) {
        int64_t dim = -1;

        if (!dfx_doc_int(cJSON_GetArrayItem(shape, (int)i), &dim) ||
            (uint64_t)dim != b->shape[i])
            return false;
    }
    if (digest == NULL || b->data == NULL)
        return true;
    if (EVP_Digest(b->data, b->size, hash, NULL, EVP_sha256(), NULL) != 1)
        bail("no SHA-256", "EVP");
    for (size_t i = 0; i < 8; i++)
        snprintf(hex + 2 * i, 3, "%02x", hash[i]);
    return strcmp(hex, digest->valuestring) == 0;
}

/* ---- Rows by name ------------------------------------------------------- */

typedef struct row_set {
    const cJSON **rows; /* owned; sorted by name */
    bool *used;         /* owned */
    size_t count;
} row_set;

static const char *
row_name(const cJSON *row)
{
    return row->child->valuestring;
}

static int
by_name(const void *a, const void *b)
{
    return strcmp(row_name(*(const cJSON *const *)a),
                  row_name(*(const cJSON *const *)b));
}

static row_set
row_set_of(const cJSON *list)
{
    row_set set = {.count = (size_t)cJSON_GetArraySize(list)};
    size_t i = 0;

    set.rows = calloc(set.count + 1, sizeof *set.rows);
    set.used = calloc(set.count + 1, sizeof *set.used);
    if (set.rows == NULL || set.used == NULL)
        bail("memory ran out", "rows");
    for (const cJSON *row = list->child; row != NULL; row = row->next)
        set.rows[i++] = row;
    qsort(set.rows, set.count, sizeof *set.rows, by_name);
    return set;
}

static void
row_set_fini(row_set *set)
{
    free(set->rows);
    free(set->used);
}

/* The row of that name, now used; NULL if there is none or it was used. */
static const cJSON *
take_row(row_set *set, const char *name)
{
    size_t low = 0, high = set->count;

    while (low < high) {
        size_t middle = (low + high) / 2;
        int order = strcmp(name, row_name(set->rows[middle]));

        if (order == 0) {
            if (set->used[middle])
                return NULL;
            set->used[middle] = true;
            return set->rows[middle];
        }
        if (order < 0)
            high = middle;
        else
            low = middle + 1;
    }
    return NULL;
}

static size_t
unused_rows(const row_set *set)
{
    size_t count = 0;

    for (size_t i = 0; i < set->count; i++)
        if (!set->used[i]) {
            if (count++ < 3)
                printf("# left: %s\n", row_name(set->rows[i]));
        }
    return count;
}

/* ---- To a folder -------------------------------------------------------- */

static void
complain(size_t nth, const char *what, const char *name)
{
    if (nth < 3)
        printf("# %s: %s\n", what, name);
}

/* Lays a part, in whatever layout it is, against the rows of a folder's
   component; marks the tensors it takes. Returns the number of differences. */
static size_t
compare_with_folder(source *s, part *p, const cJSON *rows, bool *taken,
                    bool values)
{
    row_set want = row_set_of(rows);
    dfx_view view = view_of(s, p);
    bool original = p->signature->layout == DFX_LAYOUT_ORIGINAL;
    size_t wrong = 0;

    for (size_t i = 0; i < p->count; i++) {
        const dfx_pair *pair = &p->pairs[i];
        const cJSON *row = take_row(&want, pair->folder);
        const dfx_tensor *t =
            dfx_view_find(&view, original ? pair->original : pair->folder);
        const synth_tensor *from = NULL;
        blob b;

        if (row == NULL || t == NULL) {
            complain(wrong++, t == NULL ? "missing" : "not in the golden",
                     pair->folder);
            continue;
        }
        from = synth_find(s->list, t->name);
        taken[t - s->index->tensors] = true;
        b = blob_of(s->list, from, values);
        /* Some old folders hold convolutions too. */
        if (original || pair->op == DFX_OP_CONV1X1)
            to_folder(&b, pair);
        if (!is_row(&b, row))
            complain(wrong++, "differs", pair->folder);
        blob_fini(&b);
    }
    wrong += unused_rows(&want);
    row_set_fini(&want);
    return wrong;
}

/* A leftover pattern of the kinds whose prefix a name has fits it. */
static bool
is_listed(const source *s, const char *name)
{
    for (size_t i = 0; i < s->count; i++) {
        const part *p = &s->parts[i];
        const dfx_leftover *row = p->kind->leftovers;
        size_t size = strlen(p->prefix);

        for (; row != NULL && row->pattern != NULL; row++)
            if (strncmp(name, p->prefix, size) == 0 &&
                fnmatch(row->pattern, name + size, 0) == 0)
                return true;
    }
    return false;
}

static bool
in_list(const cJSON *list, const char *text)
{
    for (const cJSON *item = list != NULL ? list->child : NULL; item != NULL;
         item = item->next)
        if (strcmp(item->valuestring, text) == 0)
            return true;
    return false;
}

/* What no component took is what the golden has no place for, and where it
   stands behind a text encoder's prefix, that table lists it. */
static void
check_leftovers(const source *s, const bool *taken, const cJSON *no_place,
                const char *name)
{
    size_t wrong = 0, count = 0, unlisted = 0, want = 0;
    char what[512];

    for (const cJSON *item = no_place != NULL ? no_place->child : NULL;
         item != NULL; item = item->next)
        want += strncmp(item->valuestring, "model_ema.", 10) != 0;
    for (size_t i = 0; i < s->index->tensor_count; i++) {
        const char *tensor = s->index->tensors[i].name;

        if (taken[i] || strncmp(tensor, "model_ema.", 10) == 0)
            continue;
        count++;
        if (!in_list(no_place, tensor))
            complain(wrong++, "has a place", tensor);
        if (strncmp(tensor, "cond", 4) == 0 && !is_listed(s, tensor))
            complain(unlisted++, "in no list", tensor);
    }
    snprintf(what, sizeof what, "%s: %zu tensors have no place in a folder",
             name, count);
    CHECK(wrong == 0 && count == want, what);
    CHECK_U64(unlisted, 0, "and the encoders' tables list theirs");
}

/* ---- To an original file ------------------------------------------------ */

/* The kind that names a component in an original file. */
static const dfx_kind *
original_kind(const part *p, const char *like)
{
    bool openclip = strcmp(p->kind->name, "clip") == 0 && like != NULL &&
                    strstr(like, ".model.") != NULL;

    return openclip ? dfx_kind_named("openclip") : p->kind;
}

/* Lays a folder's component against the rows of an original file behind a
   prefix. */
static size_t
compare_with_original(source *s, part *p, const char *prefix, row_set *want,
                      bool values)
{
    dfx_view view = view_of(s, p);
    size_t wrong = 0;
    blob b = {0};

    for (size_t i = 0; i < p->count; i++) {
        const dfx_pair *pair = &p->pairs[i];
        const dfx_tensor *t = dfx_view_find(&view, pair->folder);
        char name[512];
        const cJSON *row;
        blob next;

        if (t == NULL) {
            complain(wrong++, "missing", pair->folder);
            continue;
        }
        next = blob_of(s->list, synth_find(s->list, t->name), values);
        if (pair->part == 0) {
            b = next;
        } else {
            stack(&b, &next);
            blob_fini(&next);
        }
        /* The parts of a stack follow one another. */
        if (pair->part + 1 < pair->parts)
            continue;
        to_original(&b, pair);
        snprintf(name, sizeof name, "%s%s", prefix, pair->original);
        row = take_row(want, name);
        if (row == NULL || !is_row(&b, row))
            complain(wrong++, row == NULL ? "not in the golden" : "differs",
                     name);
        blob_fini(&b);
    }
    return wrong;
}

/* ---- The cases ---------------------------------------------------------- */

/* "text_encoder" of "text_encoder/model.safetensors". */
static void
component_of(const char *path, char name[64])
{
    snprintf(name, 64, "%.*s", (int)strcspn(path, "/"), path);
}

/*
 * Fields that no shape of the component tells: constants of the family, what
 * the pipeline's markers say, and depths, whose published spelling is one of
 * several.
 */
static bool
is_told_elsewhere(const char *field)
{
    static const char *const fields[] = {
        "_diffusers_version", "act_fn",
        "force_upcast",       "latents_mean",
        "latents_std",        "mid_block_add_attention",
        "norm_num_groups",    "reverse_transformer_layers_per_block",
        "sample_size",        "scaling_factor",
        "shift_factor",       "transformer_layers_per_block",
    };

    for (size_t i = 0; i < sizeof fields / sizeof *fields; i++)
        if (strcmp(field, fields[i]) == 0)
            return true;
    return false;
}

/* What is derived from the right tensors leaves a published config as it is. */
static void
check_published(const part *p, const char *path, const char *name)
{
    cJSON *config = load_json(golden(CONFIGS "/%s/config.json", path));
    cJSON *before = cJSON_Duplicate(config, true);
    char what[512];
    dfx_error err;

    if (p->kind->config(&p->facts, false, config, &err) != DFX_OK)
        bail(err.text, name);
    snprintf(what, sizeof what, "%s: the published config stands", name);
    if (!CHECK(dfx_doc_equal(config, before), what))
        for (const cJSON *field = config->child; field != NULL;
             field = field->next) {
            const cJSON *was = dfx_doc_get(before, field->string);

            if (was == NULL || !dfx_doc_equal(field, was))
                complain(0, "differs", field->string);
        }
    cJSON_Delete(before);
    cJSON_Delete(config);
}

/* The config derived, from nothing or from the one the reference model was
   built with, has the golden's fields. */
static void
check_config(const part *p, const char *name, const char *component)
{
    const char *path = golden("%s/config/%s.json", name, component);
    cJSON *want = exists(path) ? load_json(path) : NULL;
    dfx_error err;
    char what[512];

    for (int full = 0; full < 2 && want != NULL; full++) {
        const char *base = golden("%s/config/%s.full.json", name, component);
        cJSON *config;
        size_t wrong = 0;

        if (full && !exists(base))
            break;
        config = full ? load_json(base) : cJSON_CreateObject();
        if (p->kind->config(&p->facts, true, config, &err) != DFX_OK)
            bail(err.text, component);
        for (const cJSON *field = want->child; field != NULL;
             field = field->next) {
            const cJSON *got = dfx_doc_get(config, field->string);

            if (is_told_elsewhere(field->string) &&
                (!full || strncmp(field->string, "latents_", 8) == 0))
                continue;
            if (got == NULL || !dfx_doc_equal(got, field)) {
                char *text = got != NULL ? cJSON_Print(got) : NULL;

                complain(wrong++, field->string, text != NULL ? text : "-");
                cJSON_free(text);
            }
        }
        snprintf(what, sizeof what, "%s: %s: %d fields of the config, from %s",
                 name, component, cJSON_GetArraySize(want),
                 full ? "the published one" : "nothing");
        CHECK_U64(wrong, 0, what);
        cJSON_Delete(config);
    }
    cJSON_Delete(want);
}

/* The folder's component made from the golden's rows: back to the names of the
   source it came from. */
static void
check_back(const char *name, const char *path, uint64_t seed, const part *from,
           row_set *want, bool values)
{
    char component[64], what[256];
    synth_list list = {0};
    source s;
    part *p;

    component_of(path, component);
    if (!synth_read_rows(&list, golden("%s/expected.json", name), path, seed))
        bail("rows cannot be read", name);
    source_init(&s, &list);
    snprintf(what, sizeof what, "%s: %s is found in a folder", name, component);
    p = s.count > 0 ? &s.parts[0] : NULL;
    if (CHECK(s.count == 1, what)) {
        const dfx_kind *kind = original_kind(p, from->prefix);

        expand(&s, p, kind->rows);
        snprintf(what, sizeof what, "%s: %s back: %zu tensors", name, component,
                 p->count);
        CHECK_U64(compare_with_original(&s, p, from->prefix, want, values), 0,
                  what);
        if (strcmp(p->kind->name, from->kind->name) == 0)
            check_config(p, name, component);
    }
    source_fini(&s);
    synth_fini(&list);
}

/* The rows of the source but those with no way back. */
static cJSON *
rows_of_source(const synth_list *list, const cJSON *lost)
{
    cJSON *rows = cJSON_CreateArray();

    for (size_t i = 0; i < list->count; i++) {
        const synth_tensor *t = &list->tensors[i];
        cJSON *row, *shape;

        if (in_list(lost, t->name) || strncmp(t->name, "model_ema.", 10) == 0)
            continue;
        row = cJSON_CreateArray();
        shape = cJSON_CreateArray();
        cJSON_AddItemToArray(row, cJSON_CreateString(t->name));
        cJSON_AddItemToArray(row, cJSON_CreateString(synth_type_name(t)));
        for (size_t d = 0; d < t->rank; d++)
            cJSON_AddItemToArray(shape, dfx_doc_new_int((int64_t)t->shape[d]));
        cJSON_AddItemToArray(row, shape);
        cJSON_AddItemToArray(rows, row);
    }
    return rows;
}

static void
check_reverse(source *s, const char *name, const cJSON *expected,
              const cJSON *no_place)
{
    cJSON *reverse = load_json(golden("%s/reverse.json", name));
    const cJSON *sources = dfx_doc_get(reverse, "source");
    cJSON *made = rows_of_source(s->list, no_place);
    bool scripted = cJSON_IsObject(sources);
    row_set want =
        row_set_of(scripted ? dfx_doc_get(reverse, "expected") : made);

    for (const cJSON *rows = expected->child; rows != NULL; rows = rows->next) {
        char component[64];
        const part *from;
        int64_t seed = 0;

        if (strchr(rows->string, '/') == NULL)
            continue; /* the averaged UNet */
        component_of(rows->string, component);
        from = find_part(s, component);
        if (scripted)
            dfx_doc_int(dfx_doc_get(dfx_doc_get(sources, rows->string), "seed"),
                        &seed);
        if (from != NULL)
            check_back(name, rows->string, (uint64_t)seed, from, &want,
                       scripted);
    }
    CHECK_U64(unused_rows(&want), 0, "and nothing else is in the original");
    row_set_fini(&want);
    cJSON_Delete(made);
    cJSON_Delete(reverse);
}

static void
test_case(const char *name)
{
    cJSON *doc = load_json(golden("%s/expected.json", name));
    const cJSON *expected = dfx_doc_get(doc, "components");
    const cJSON *no_place = dfx_doc_get(doc, "no_place");
    synth_list list = {0};
    source s;
    bool *taken;
    char what[512];

    if (!synth_read(&list, golden("%s/source.json", name)))
        bail("cannot be read", name);
    source_init(&s, &list);
    taken = calloc(list.count + 1, sizeof *taken);
    if (taken == NULL)
        bail("memory ran out", name);
    for (const cJSON *rows = expected->child; rows != NULL; rows = rows->next) {
        char component[64];
        part *p;

        if (strchr(rows->string, '/') == NULL)
            continue;
        component_of(rows->string, component);
        p = find_part(&s, component);
        snprintf(what, sizeof what, "%s: %s is found", name, component);
        if (!CHECK(p != NULL, what))
            continue;
        snprintf(what, sizeof what, "%s: %s at \"%s\": %zu tensors", name,
                 component, p->prefix, p->count);
        CHECK_U64(compare_with_folder(&s, p, rows, taken, true), 0, what);
        check_config(p, name, component);
    }
    check_leftovers(&s, taken, no_place, name);
    /* A folder's old names do not come back. */
    if (exists(golden("%s/reverse.json", name)))
        check_reverse(&s, name, expected, no_place);
    free(taken);
    source_fini(&s);
    synth_fini(&list);
    cJSON_Delete(doc);
}

/* ---- Cases of their own shape ------------------------------------------- */

/* A tiny autoencoder in two files, and in one. */
static void
test_tiny(const char *name)
{
    static const char *const halves[] = {"encoder", "decoder"};
    cJSON *doc = load_json(golden("%s/expected.json", name));
    const cJSON *rows = dfx_doc_get(doc, "components")->child;
    row_set want = row_set_of(rows);
    size_t wrong = 0, count = 0;
    char what[512];

    for (int h = 0; h < 2; h++) {
        synth_list list = {0};
        source s;
        dfx_view view;

        if (!synth_read(&list, golden("%s/source-%s.json", name, halves[h])))
            bail("cannot be read", name);
        source_init(&s, &list);
        snprintf(what, sizeof what, "%s: the %s alone is found", name,
                 halves[h]);
        CHECK(s.count == 1 && strcmp(s.parts[0].kind->name, "vae_tiny") == 0 &&
                  s.parts[0].count == list.count,
              what);
        view = view_of(&s, &s.parts[0]);
        for (size_t i = 0; s.count == 1 && i < s.parts[0].count; i++) {
            const dfx_pair *pair = &s.parts[0].pairs[i];
            const dfx_tensor *t = dfx_view_find(&view, pair->original);
            const cJSON *row = take_row(&want, pair->folder);
            blob b;

            if (t == NULL || row == NULL) {
                complain(wrong++, "no match", pair->folder);
                continue;
            }
            b = blob_of(&list, synth_find(&list, t->name), true);
            if (!is_row(&b, row))
                complain(wrong++, "differs", pair->folder);
            blob_fini(&b);
            count++;
        }
        source_fini(&s);
        synth_fini(&list);
    }
    wrong += unused_rows(&want);
    snprintf(what, sizeof what, "%s: %zu tensors of both halves", name, count);
    CHECK_U64(wrong, 0, what);
    row_set_fini(&want);
    cJSON_Delete(doc);
}

/* A folder's UNet with a layer that the original code does not have. */
static void
test_lcm(void)
{
    cJSON *reverse = load_json(golden("lcm/reverse.json"));
    row_set want = row_set_of(dfx_doc_get(reverse, "expected"));
    synth_list list = {0};
    source s;

    if (!synth_read(&list, golden("lcm/source.json")))
        bail("cannot be read", "lcm");
    source_init(&s, &list);
    if (CHECK(s.count == 1, "lcm: the UNet is found in a folder")) {
        CHECK_U64(compare_with_original(&s, &s.parts[0],
                                        "model.diffusion_model.", &want, true),
                  0, "lcm: 359 tensors to the original");
        CHECK_U64(unused_rows(&want), 0, "lcm: and no others");
        CHECK_U64((uint64_t)dfx_facts_get(&s.parts[0].facts, "cond", 0, 0), 256,
                  "lcm: time_cond_proj_dim");
    }
    source_fini(&s);
    synth_fini(&list);
    row_set_fini(&want);
    cJSON_Delete(reverse);
}

/* Text encoders as five ages of transformers wrote them. */
static void
test_text_encoder(int n)
{
    const char *path = golden("text-encoder-names/case%d.json", n);
    cJSON *doc = load_json(path);
    const char *prefix = dfx_doc_string(doc, "original_prefix");
    const cJSON *expected = dfx_doc_get(doc, "expected");
    synth_list list = {0};
    char what[512];
    source s;
    part *p;

    if (!synth_read(&list, path))
        bail("cannot be read", path);
    source_init(&s, &list);
    p = &s.parts[0];
    snprintf(what, sizeof what, "%s: is found", dfx_doc_string(doc, "name"));
    if (CHECK(s.count == 1 && strcmp(p->kind->name, "clip") == 0, what)) {
        snprintf(what, sizeof what, "%s: %d tensors",
                 dfx_doc_string(doc, "name"), cJSON_GetArraySize(expected));
        if (prefix != NULL) {
            row_set want = row_set_of(expected);

            expand(&s, p, original_kind(p, prefix)->rows);
            CHECK_U64(compare_with_original(&s, p, prefix, &want, true) +
                          unused_rows(&want),
                      0, what);
            row_set_fini(&want);
        } else {
            bool taken[64] = {false};

            CHECK_U64(compare_with_folder(&s, p, expected, taken, true), 0,
                      what);
        }
    }
    source_fini(&s);
    synth_fini(&list);
    cJSON_Delete(doc);
}

/* A folder whose text encoder is configured with all 24 layers keeps them:
   only in an original file is the last one known not to be used. */
static void
test_24_layers(void)
{
    static const char list_path[] = "openclip-h-24.json";
    cJSON *rows = load_json(golden("keylists/openclip-h-23.hf.json"));
    cJSON *more = cJSON_Duplicate(rows, true);
    synth_list list = {0};
    source s;
    char *text;

    for (const cJSON *row = rows->child; row != NULL; row = row->next) {
        const char *at = strstr(row_name(row), ".layers.22.");
        cJSON *copy;
        char name[256];

        if (at == NULL)
            continue;
        snprintf(name, sizeof name, "%.*s.layers.23.%s",
                 (int)(at - row_name(row)), row_name(row), at + 11);
        copy = cJSON_Duplicate(row, true);
        cJSON_ReplaceItemInArray(copy, 0, cJSON_CreateString(name));
        cJSON_AddItemToArray(more, copy);
    }
    text = cJSON_PrintUnformatted(more);
    scratch_write(list_path, text, strlen(text));
    if (!synth_read_rows(&list, list_path, NULL, 0))
        bail("cannot be read", list_path);
    source_init(&s, &list);
    expand(&s, &s.parts[0], dfx_kind_named("openclip")->rows);
    CHECK_U64(s.parts[0].count, list.count,
              "a folder with 24 layers: all go to the original");
    source_fini(&s);
    synth_fini(&list);
    cJSON_free(text);
    cJSON_Delete(more);
    cJSON_Delete(rows);
}

/* One half of a VAE: found, its facts are the whole one's, and what is missing
   is the other half. */
static void
test_half(const char *name, const char *half, size_t other)
{
    static const char list_path[] = "half.json";
    cJSON *rows = load_json(golden("keylists/%s.json", name));
    cJSON *kept = cJSON_CreateArray();
    synth_list list = {0};
    dfx_view view;
    source s;
    char *text, what[128];
    size_t missing = 0;

    for (const cJSON *row = rows->child; row != NULL; row = row->next)
        if (strncmp(row_name(row), half, strlen(half)) == 0)
            cJSON_AddItemToArray(kept, cJSON_Duplicate(row, true));
    text = cJSON_PrintUnformatted(kept);
    scratch_write(list_path, text, strlen(text));
    if (!synth_read_rows(&list, list_path, NULL, 0))
        bail("cannot be read", list_path);
    source_init(&s, &list);
    snprintf(what, sizeof what, "%s, the %s alone: found", name, half);
    if (CHECK(s.count == 1 && strcmp(s.parts[0].family, "vae_kl") == 0, what)) {
        const part *p = &s.parts[0];
        bool original = p->signature->layout == DFX_LAYOUT_ORIGINAL;

        view = view_of(&s, p);
        for (size_t i = 0; i < p->count; i++)
            missing +=
                dfx_view_find(&view, original ? p->pairs[i].original
                                              : p->pairs[i].folder) == NULL;
        CHECK_U64(p->count - missing, list.count, "all its names are known");
        /* But for two shortcuts, which its own shapes would tell. */
        CHECK_U64(missing, other, "the other half's are missing");
        CHECK(dfx_facts_get(&p->facts, "latent", 0, 0) == 4 &&
                  dfx_facts_get(&p->facts, "L", 0, 0) == 2 &&
                  dfx_facts_get(&p->facts, "C", 0, 0) == 128 &&
                  dfx_facts_get(&p->facts, "C", 3, 0) == 512,
              "4 channels, 2 resnets, 128 to 512 channels");
    }
    source_fini(&s);
    synth_fini(&list);
    cJSON_free(text);
    cJSON_Delete(kept);
    cJSON_Delete(rows);
}

/* ---- Key lists of real models ------------------------------------------- */

static double
milliseconds(void)
{
    struct timespec now;

    clock_gettime(CLOCK_MONOTONIC, &now);
    return (double)now.tv_sec * 1e3 + (double)now.tv_nsec * 1e-6;
}

static void
time_part(source *s, part *p, const char *name)
{
    double start = milliseconds(), derived, expanded;
    dfx_view view = view_of(s, p);
    dfx_facts facts = {0};
    const dfx_pair *pairs = NULL;
    size_t count = 0;

    view.facts = &facts;
    if (p->kind->derive(&view, &facts, NULL) != DFX_OK)
        bail("cannot be derived", name);
    derived = milliseconds();
    if (dfx_rules_expand(&s->arena, p->kind->rows, &facts, &pairs, &count,
                         NULL) != DFX_OK)
        bail("cannot be expanded", name);
    expanded = milliseconds();
    printf("# %s: %zu pairs; facts in %.2f ms, pairs in %.2f ms\n", name, count,
           derived - start, expanded - derived);
    dfx_facts_fini(&facts);
}

/* Two lists of one model, original and folder: each the other's image. */
static void
test_lists(const char *original, const char *folder, const char *kind_name,
           const char *config)
{
    const dfx_kind *kind = dfx_kind_named(kind_name);
    cJSON *rows[2] = {load_json(golden("keylists/%s.json", original)),
                      load_json(golden("keylists/%s.json", folder))};
    synth_list lists[2] = {{0}, {0}};
    source s[2];
    char what[512];

    for (int i = 0; i < 2; i++) {
        if (!synth_read_rows(
                &lists[i],
                golden("keylists/%s.json", i == 0 ? original : folder), NULL,
                0))
            bail("cannot be read", original);
        source_init(&s[i], &lists[i]);
        snprintf(what, sizeof what, "%s is found", i == 0 ? original : folder);
        if (!CHECK(s[i].count == 1, what))
            return;
    }
    CHECK(s[0].parts[0].kind == kind &&
              s[0].parts[0].signature->layout == DFX_LAYOUT_ORIGINAL &&
              s[1].parts[0].signature->layout == DFX_LAYOUT_DIFFUSERS,
          "as what it is");
    if (strcmp(kind_name, "openclip") != 0 || lists[0].count > 372) {
        bool *taken = calloc(lists[0].count, sizeof *taken);
        size_t left = 0;

        if (taken == NULL)
            bail("memory ran out", original);
        snprintf(what, sizeof what, "%s: %zu tensors to the folder's %d",
                 original, lists[0].count, cJSON_GetArraySize(rows[1]));
        CHECK_U64(
            compare_with_folder(&s[0], &s[0].parts[0], rows[1], taken, false),
            0, what);
        for (size_t i = 0; i < lists[0].count; i++)
            if (!taken[i] && !is_listed(&s[0], s[0].index->tensors[i].name))
                complain(left++, "left", s[0].index->tensors[i].name);
        CHECK_U64(left, 0, "none of them left but what the table lists");
        free(taken);
    }
    {
        row_set want = row_set_of(rows[0]);
        size_t wrong, left = 0;

        expand(&s[1], &s[1].parts[0], kind->rows);
        snprintf(what, sizeof what, "%s: %zu tensors to the original's %d",
                 folder, lists[1].count, cJSON_GetArraySize(rows[0]));
        wrong = compare_with_original(&s[1], &s[1].parts[0], "", &want, false);
        for (size_t i = 0; i < want.count; i++)
            left += !want.used[i] && !is_listed(&s[0], row_name(want.rows[i]));
        CHECK_U64(wrong + left, 0, what);
        row_set_fini(&want);
    }
    for (int i = 0; i < 2; i++) {
        if (config != NULL)
            check_published(&s[i].parts[0], config, i == 0 ? original : folder);
        time_part(&s[i], &s[i].parts[0], i == 0 ? original : folder);
        source_fini(&s[i]);
        synth_fini(&lists[i]);
        cJSON_Delete(rows[i]);
    }
}

/* A folder's list of a component that no original list exists of. */
static void
test_folder_list(const char *name, const char *kind, const char *config)
{
    synth_list list = {0};
    source s;
    char what[512];
    size_t wrong = 0;

    if (!synth_read_rows(&list, golden("keylists/%s.json", name), NULL, 0))
        bail("cannot be read", name);
    source_init(&s, &list);
    snprintf(what, sizeof what, "%s is a %s", name, kind);
    if (CHECK(s.count == 1 && strcmp(s.parts[0].kind->name, kind) == 0, what) &&
        s.parts[0].kind->rows != NULL) {
        dfx_view view = view_of(&s, &s.parts[0]);

        for (size_t i = 0; i < s.parts[0].count; i++)
            if (dfx_view_find(&view, s.parts[0].pairs[i].folder) == NULL)
                complain(wrong++, "missing", s.parts[0].pairs[i].folder);
        snprintf(what, sizeof what, "%s: %zu tensors, all in the table", name,
                 list.count);
        CHECK(wrong == 0 && s.parts[0].count == list.count, what);
    }
    if (s.count == 1 && config != NULL)
        check_published(&s.parts[0], config, name);
    source_fini(&s);
    synth_fini(&list);
}

/* ---- Files put together from key lists ---------------------------------- */

/* The fields that the case gives for a component, from shapes alone. */
static size_t
wrong_fields(const part *p, const cJSON *want)
{
    cJSON *config = cJSON_CreateObject();
    size_t wrong = 0;
    dfx_error err;

    if (p->kind->config != NULL &&
        p->kind->config(&p->facts, true, config, &err) != DFX_OK)
        bail(err.text, p->component);
    for (const cJSON *field = want->child; field != NULL; field = field->next) {
        const cJSON *got = dfx_doc_get(config, field->string);
        char *text;

        /* The small ControlNet of SDXL has nothing as wide as the text. */
        if (is_told_elsewhere(field->string) ||
            (strcmp(field->string, "cross_attention_dim") == 0 &&
             dfx_facts_get(&p->facts, "ctx", 0, 0) == 0))
            continue;
        if (got != NULL && dfx_doc_equal(got, field))
            continue;
        text = got != NULL ? cJSON_PrintUnformatted(got) : NULL;
        printf("# %s.%s is %s\n", p->component, field->string,
               text != NULL ? text : "absent");
        cJSON_free(text);
        wrong++;
    }
    cJSON_Delete(config);
    return wrong;
}

static bool
is_family_of(const char *family, const part *p)
{
    return p->family != NULL && strcmp(p->family, family) == 0;
}

static void
test_file(const char *path, const cJSON *want)
{
    const char *name = dfx_doc_string(want, "name");
    const char *family = dfx_doc_string(want, "family");
    const cJSON *configs = dfx_doc_get(want, "config");
    const cJSON *components = dfx_doc_get(want, "components");
    const cJSON *not_family = dfx_doc_get(want, "not_family");
    synth_list list = {0};
    source s;
    size_t missing = 0, wrong = 0, others = 0;
    bool is_family = false;
    char what[512];

    if (!synth_read_case(&list, path, name))
        bail("cannot be put together", name);
    source_init(&s, &list);
    for (const cJSON *c = components->child; c != NULL; c = c->next)
        /* The depth estimator of SD2 depth has no table. */
        if (find_part(&s, c->valuestring) == NULL &&
            strcmp(c->valuestring, "depth_estimator") != 0)
            complain(missing++, "not found", c->valuestring);
    for (size_t i = 0; i < s.count; i++) {
        const cJSON *fields = dfx_doc_get(configs, s.parts[i].component);

        if (family != NULL && is_family_of(family, &s.parts[i]))
            is_family = true;
        if (in_list(not_family,
                    s.parts[i].family != NULL ? s.parts[i].family : ""))
            complain(others++, "taken for", s.parts[i].family);
        if (not_family == NULL && !in_list(components, s.parts[i].component))
            complain(others++, "found", s.parts[i].component);
        if (fields != NULL)
            wrong += wrong_fields(&s.parts[i], fields);
    }
    snprintf(what, sizeof what, "%s: %d components", name,
             cJSON_GetArraySize(components));
    CHECK(missing == 0 && others == 0, what);
    snprintf(what, sizeof what, "%s: %s, and its configs", name,
             family != NULL ? family : "no family of these");
    CHECK(wrong == 0 && (family == NULL || is_family), what);
    source_fini(&s);
    synth_fini(&list);
}

static void
test_files(void)
{
    char path[4096];
    cJSON *cases;

    snprintf(path, sizeof path, "%s", golden("keylists/expect-unet.json"));
    cases = load_json(path);
    for (const cJSON *want = cases->child; want != NULL; want = want->next)
        test_file(path, want);
    cJSON_Delete(cases);
}

/* No list of another family is taken for one of these. */
static void
test_others(void)
{
    static const char *const ours[] = {"vae_kl", "clip", "clip_vision"};
    cJSON *cases = load_json(golden("keylists/expect-dit.json"));
    size_t count = 0, wrong = 0;
    char what[128];

    for (const cJSON *want = cases->child; want != NULL; want = want->next) {
        const char *name = dfx_doc_string(want, "list");
        const char *family = dfx_doc_string(want, "family");
        synth_list list = {0};
        bool known = false;
        source s;

        for (size_t i = 0; i < sizeof ours / sizeof *ours; i++)
            known = known || (family != NULL && strcmp(family, ours[i]) == 0);
        if (known)
            continue;
        if (!synth_read_rows(&list, golden("keylists/%s", name), NULL, 0))
            bail("cannot be read", name);
        source_init(&s, &list);
        count++;
        for (size_t i = 0; i < s.count; i++) {
            const char *found = s.parts[i].kind->name;

            /* All-in-one files hold a VAE and text encoders, rightly. */
            if (s.parts[i].prefix[0] != '\0' &&
                (strcmp(found, "vae_kl") == 0 || strcmp(found, "clip") == 0))
                continue;
            printf("# %s: %s at \"%s\"\n", name, found, s.parts[i].prefix);
            wrong++;
        }
        source_fini(&s);
        synth_fini(&list);
    }
    snprintf(what, sizeof what, "%zu lists of other families are left alone",
             count);
    CHECK_U64(wrong, 0, what);
    cJSON_Delete(cases);
}

int
main(void)
{
    static const char *const cases[] = {
        "sd15",
        "sd15-ema",
        "sd15-inpaint",
        "sd15-pix2pix",
        "bk-sdm-base",
        "bk-sdm-small",
        "bk-sdm-tiny",
        "sd21-v",
        "sd2-depth",
        "sd21-unclip-h",
        "sd-x4-upscaler",
        "sdxl-base",
        "sdxl-inpaint",
        "sdxl-refiner",
        "ssd-1b",
        "vega",
        "koala-700m",
        "koala-1b",
        "playground-vae",
        "vae-bare",
        "vae-prefixed",
        "vae-old-names",
        "vae-kl16-bare",
        "vae-kl16-first-stage",
        "controlnet-sd15",
        "controlnet-sd21",
        "unclip-image-encoder",
    };
    static const struct {
        const char *original, *folder, *kind, *config;
    } lists[] = {
        {"unet-sd15.ldm", "unet-sd15.diffusers", "unet_ldm", "sd15/unet"},
        {"unet-sd21.ldm", "unet-sd21.diffusers", "unet_ldm", "sd21-v/unet"},
        {"unet-sd-x4-upscaler.ldm", "unet-sd-x4-upscaler.diffusers", "unet_ldm",
         "sd-x4-upscaler/unet"},
        {"unet-sdxl.ldm", "unet-sdxl.diffusers", "unet_ldm", "sdxl-base/unet"},
        {"unet-refiner.ldm", "unet-refiner.diffusers", "unet_ldm",
         "sdxl-refiner/unet"},
        {"unet-ssd-1b.ldm", "unet-ssd-1b.diffusers", "unet_ldm", "ssd-1b/unet"},
        {"unet-vega.ldm", "unet-vega.diffusers", "unet_ldm", "vega/unet"},
        {"unet-koala-700m.ldm", "unet-koala-700m.diffusers", "unet_ldm",
         "koala-700m/unet"},
        {"unet-koala-1b.ldm", "unet-koala-1b.diffusers", "unet_ldm",
         "koala-1b/unet"},
        {"unet-bk-sdm-base.ldm", "unet-bk-sdm-base.diffusers", "unet_ldm",
         "bk-sdm-base/unet"},
        {"unet-bk-sdm-small.ldm", "unet-bk-sdm-small.diffusers", "unet_ldm",
         "bk-sdm-small/unet"},
        {"unet-bk-sdm-tiny.ldm", "unet-bk-sdm-tiny.diffusers", "unet_ldm",
         "bk-sdm-tiny/unet"},
        {"vae-kl-f8.ldm", "vae-kl-f8.diffusers", "vae_kl", "sdxl-base/vae"},
        {"vae-kl-f4.ldm", "vae-kl-f4.diffusers", "vae_kl",
         "sd-x4-upscaler/vae"},
        {"vae-kl16", "vae-kl16.diffusers", "vae_kl", NULL},
        {"openclip-h.openclip", "openclip-h-23.hf", "openclip",
         "sd21-v/text_encoder"},
        {"openclip-bigg.openclip", "openclip-bigg.hf", "openclip",
         "sdxl-base/text_encoder_2"},
        {"clip-vision-h.openclip", "clip-vision-h.hf", "clip_vision",
         "sd21-unclip-h/image_encoder"},
        {"clip-vision-l.openclip", "clip-vision-l.hf", "clip_vision",
         "sd1-image-variations/image_encoder"},
        {"controlnet-sd15.ldm", "controlnet-sd15.diffusers", "controlnet_ldm",
         "controlnet-sd15"},
        {"controlnet-sd21.ldm", "controlnet-sd21.diffusers", "controlnet_ldm",
         "controlnet-sd21"},
    };
    static const struct {
        const char *name, *kind, *config;
    } folders[] = {
        {"clip-l.hf", "clip", "sd15/text_encoder"},
        {"taesd.diffusers", "vae_tiny", "taesd"},
        {"taesd3.diffusers", "vae_tiny", "taesd3"},
        {"controlnet-sdxl.diffusers", "controlnet_ldm", "controlnet-sdxl"},
        {"controlnet-sdxl-mid.diffusers", "controlnet_ldm",
         "controlnet-sdxl-mid"},
        {"controlnet-sdxl-small.diffusers", "controlnet_ldm",
         "controlnet-sdxl-small"},
        {"controlnet-sdxl-union.diffusers", "controlnet_union",
         "controlnet-sdxl-union"},
        {"controlnet-sdxl-union-promax.diffusers", "controlnet_union",
         "controlnet-sdxl-union-promax"},
        {"safety-checker.hf", "safety_checker", NULL},
    };

    root = realpath(getenv("srcdir") != NULL ? getenv("srcdir") : ".", NULL);
    if (root == NULL)
        bail("no such folder", "srcdir");
    scratch_enter();
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++)
        test_case(cases[i]);
    test_tiny("taesd");
    test_tiny("taesd3");
    test_lcm();
    for (int i = 0; i < 6; i++)
        test_text_encoder(i);
    test_24_layers();
    for (int i = 0; i < 2; i++) {
        static const char *const layouts[] = {"vae-kl-f8.ldm",
                                              "vae-kl-f8.diffusers"};

        test_half(layouts[i], "encoder", 138 - 4);
        test_half(layouts[i], "decoder", 106 - 4);
    }
    for (size_t i = 0; i < sizeof lists / sizeof *lists; i++)
        test_lists(lists[i].original, lists[i].folder, lists[i].kind,
                   lists[i].config);
    for (size_t i = 0; i < sizeof folders / sizeof *folders; i++)
        test_folder_list(folders[i].name, folders[i].kind, folders[i].config);
    test_files();
    test_others();
    free(root);
    return tap_end();
}
