/*
 * content.c - hashing and comparing models by what they compute with
 */
#include <config.h>

#include "content.h"

#include <inttypes.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "digest.h"
#include "types.h"

enum { BAND = 32 * 1024 }; /* elements compared at a time: fits the L2 cache */

/* ---- Listing ------------------------------------------------------------- */

static int
by_component_and_name(const void *a, const void *b)
{
    const dfx_entry *x = a, *y = b;
    int order = strcmp(x->component, y->component);

    return order != 0 ? order : strcmp(x->name, y->name);
}

static dfx_status
list_as_named(dfx_arena *arena, const dfx_found *found, dfx_entry *entries,
              size_t *count, dfx_error *err)
{
    for (size_t i = 0; i < found->view.tensor_count; i++) {
        const dfx_tensor *t = &found->index->tensors[found->view.tensors[i]];
        dfx_entry *entry = &entries[*count];

        DFX_TRY(dfx_expr_tensor(arena, t, &entry->expr, err));
        entry->component = found->view.name;
        entry->name = t->name + strlen(found->view.prefix);
        (*count)++;
    }
    return DFX_OK;
}

static dfx_status
list_part(dfx_arena *arena, const dfx_found *found, dfx_entry *entries,
          size_t *count, dfx_error *err)
{
    if (found->kind == NULL || found->kind->rows == NULL)
        return list_as_named(arena, found, entries, count, err);
    for (size_t i = 0; i < found->pair_count; i++) {
        dfx_entry *entry = &entries[*count];

        DFX_TRY(
            dfx_found_expr(arena, found, &found->pairs[i], &entry->expr, err));
        if (entry->expr == NULL)
            continue; /* missing: the identity has said so */
        entry->component = found->view.name;
        entry->name = found->pairs[i].folder;
        (*count)++;
    }
    return DFX_OK;
}

dfx_status
dfx_content_list(dfx_arena *arena, const dfx_identity *identity,
                 const dfx_entry **entries, size_t *count, dfx_error *err)
{
    const dfx_index *index = identity->index;
    size_t room = index->tensor_count;
    dfx_entry *list;

    for (size_t i = 0; i < identity->found_count; i++)
        room += identity->found[i].pair_count +
                identity->found[i].view.tensor_count;
    list = dfx_arena_array(arena, room, sizeof *list);
    if (list == NULL)
        return dfx_fail_nomem(err);
    *count = 0;
    for (size_t i = 0; i < identity->found_count; i++)
        DFX_TRY(list_part(arena, &identity->found[i], list, count, err));
    for (size_t i = 0; identity->found_count == 0 && i < index->tensor_count;
         i++) {
        dfx_entry *entry = &list[(*count)++];

        entry->component = index->components[index->tensors[i].component].name;
        entry->name = index->tensors[i].name;
        DFX_TRY(dfx_expr_tensor(arena, &index->tensors[i], &entry->expr, err));
    }
    qsort(list, *count, sizeof *list, by_component_and_name);
    *entries = list;
    return DFX_OK;
}

/* ---- Hash ---------------------------------------------------------------- */

static dfx_status
add_line(dfx_sha256 *sha, const dfx_entry *entry, dfx_error *err)
{
    char hash[DFX_HASH_CHARS];
    dfx_text line = {0};
    dfx_status status;

    status = dfx_hash_expr(entry->expr, hash, err);
    if (status != DFX_OK) {
        dfx_error_in_tensor(err, entry->name);
        return status;
    }
    dfx_text_printf(&line, "%s %s %s [", entry->component, entry->name,
                    dfx_type_name(entry->expr->type));
    for (uint32_t i = 0; i < entry->expr->rank; i++)
        dfx_text_printf(&line, "%s%" PRIu64, i > 0 ? "," : "",
                        entry->expr->shape[i]);
    dfx_text_printf(&line, "] %s\n", hash);
    status = line.failed ? dfx_fail_nomem(err)
                         : dfx_sha256_add(sha, line.data, line.size, err);
    dfx_text_fini(&line);
    return status;
}

dfx_status
dfx_hash_content(const dfx_index *index, const dfx_identity *identity,
                 char hash[DFX_HASH_CHARS], dfx_error *err)
{
    dfx_arena arena = {NULL};
    const dfx_entry *entries;
    dfx_sha256 *sha = NULL;
    size_t count;
    dfx_status status;

    (void)index; /* the identity's own */
    status = dfx_content_list(&arena, identity, &entries, &count, err);
    if (status == DFX_OK)
        status = dfx_sha256_new(&sha, err);
    for (size_t i = 0; i < count && status == DFX_OK; i++)
        status = add_line(sha, &entries[i], err);
    if (status == DFX_OK)
        status = dfx_sha256_hex(sha, hash, err);
    dfx_sha256_free(sha);
    dfx_arena_fini(&arena);
    return status;
}

/* ---- Comparing ----------------------------------------------------------- */

typedef struct bands {
    uint8_t *a, *b;
    double *x, *y;
} bands;

static void
bands_fini(bands *pair)
{
    free(pair->a);
    free(pair->b);
    free(pair->x);
    free(pair->y);
}

static bool
bands_init(bands *pair)
{
    enum { LARGEST = 8 }; /* bytes of an element of any type */

    pair->a = malloc((size_t)BAND * LARGEST);
    pair->b = malloc((size_t)BAND * LARGEST);
    pair->x = malloc((size_t)BAND * sizeof *pair->x);
    pair->y = malloc((size_t)BAND * sizeof *pair->y);
    return pair->a != NULL && pair->b != NULL && pair->x != NULL &&
           pair->y != NULL;
}

static bool
is_number(dfx_type type)
{
    dfx_class class = dfx_type_class(type);

    return class == DFX_CLASS_FLOAT || class == DFX_CLASS_INT ||
           class == DFX_CLASS_BOOL;
}

/* Two NaNs are the same value here: what is compared is what was stored. */
static void
measure(const bands *pair, dfx_type type, size_t count, uint64_t *different,
        double *max_abs)
{
    dfx_to_f64(type, pair->a, pair->x, count);
    dfx_to_f64(type, pair->b, pair->y, count);
    for (size_t i = 0; i < count; i++) {
        double x = pair->x[i], y = pair->y[i];
        double distance = fabs(x - y);

        if (x == y || (isnan(x) && isnan(y)))
            continue;
        (*different)++;
        if (!(distance <= *max_abs)) /* also if it is no number */
            *max_abs = isnan(distance) ? (double)INFINITY : distance;
    }
}

static dfx_status
compare_bands(const dfx_expr *a, const dfx_expr *b, bands *pair, bool *same,
              uint64_t *different, double *max_abs, dfx_error *err)
{
    bool number = is_number(b->type);

    for (uint64_t at = 0; at < b->elements; at += BAND) {
        uint64_t left = b->elements - at;
        size_t count = left < BAND ? (size_t)left : BAND;
        size_t size = (size_t)dfx_type_bytes(b->type, count);

        DFX_TRY(dfx_expr_pull(a, at, count, pair->a, err));
        DFX_TRY(dfx_expr_pull(b, at, count, pair->b, err));
        if (memcmp(pair->a, pair->b, size) == 0)
            continue;
        *same = false;
        if (number)
            measure(pair, b->type, count, different, max_abs);
    }
    if (!*same && !number)
        *max_abs = (double)NAN;
    return DFX_OK;
}

dfx_status
dfx_content_compare(dfx_arena *arena, const dfx_expr *a, const dfx_expr *b,
                    bool *same, uint64_t *different, double *max_abs,
                    dfx_error *err)
{
    bands pair = {NULL, NULL, NULL, NULL};
    dfx_status status = DFX_OK;

    *same = true;
    *different = 0;
    *max_abs = 0;
    if (a->type != b->type)
        status = dfx_expr_cast(arena, a, b->type, &a, err);
    if (status == DFX_OK && !bands_init(&pair))
        status = dfx_fail_nomem(err);
    if (status == DFX_OK)
        status = compare_bands(a, b, &pair, same, different, max_abs, err);
    bands_fini(&pair);
    return status;
}

static bool
same_shape(const dfx_expr *a, const dfx_expr *b)
{
    return a->rank == b->rank &&
           (a->rank == 0 ||
            memcmp(a->shape, b->shape, a->rank * sizeof *a->shape) == 0);
}

/* The entry as a tensor, for the public interface: no extent, since it may be
   a part of one. */
static dfx_tensor
as_tensor(const dfx_entry *entry)
{
    return (dfx_tensor){
        .name = entry->name,
        .type = entry->expr->type,
        .rank = entry->expr->rank,
        .shape = entry->expr->shape,
    };
}

/* One name that both have. */
static dfx_status
diff_pair(dfx_arena *arena, const dfx_entry *a, const dfx_entry *b,
          dfx_diff_fn *found, void *context, size_t *same, dfx_error *err)
{
    dfx_tensor ta = as_tensor(a), tb = as_tensor(b);
    dfx_tensor_diff diff = {
        .component = a->component,
        .name = a->name,
        .what = DFX_DIFF_TYPE,
        .a = &ta,
        .b = &tb,
        .max_abs = (double)NAN,
    };
    bool shapes = same_shape(a->expr, b->expr);
    bool types = a->expr->type == b->expr->type;
    bool equal = false;

    if (shapes && (types || dfx_type_castable(a->expr->type, b->expr->type))) {
        dfx_status status =
            dfx_content_compare(arena, a->expr, b->expr, &equal,
                                &diff.different, &diff.max_abs, err);

        if (status != DFX_OK) {
            dfx_error_in_tensor(err, a->name);
            return status;
        }
    }
    if (types && shapes) {
        diff.what = DFX_DIFF_VALUES;
        if (equal) {
            (*same)++;
            return DFX_OK;
        }
    }
    found(context, &diff);
    return DFX_OK;
}

static void
diff_alone(const dfx_entry *entry, dfx_difference what, dfx_diff_fn *found,
           void *context)
{
    dfx_tensor t = as_tensor(entry);
    dfx_tensor_diff diff = {
        .component = entry->component,
        .name = entry->name,
        .what = what,
        .a = what == DFX_DIFF_ONLY_A ? &t : NULL,
        .b = what == DFX_DIFF_ONLY_B ? &t : NULL,
        .max_abs = (double)NAN,
    };

    found(context, &diff);
}

dfx_status
dfx_diff(const dfx_index *a, const dfx_identity *identity_a, const dfx_index *b,
         const dfx_identity *identity_b, dfx_diff_fn *found, void *context,
         size_t *same, dfx_error *err)
{
    dfx_arena arena = {NULL};
    const dfx_entry *as, *bs;
    size_t a_count = 0, b_count = 0, i = 0, j = 0;
    dfx_status status;

    (void)a; /* the identities' own */
    (void)b;
    *same = 0;
    status = dfx_content_list(&arena, identity_a, &as, &a_count, err);
    if (status == DFX_OK)
        status = dfx_content_list(&arena, identity_b, &bs, &b_count, err);
    while (status == DFX_OK && (i < a_count || j < b_count)) {
        int order = i == a_count   ? 1
                    : j == b_count ? -1
                                   : by_component_and_name(&as[i], &bs[j]);

        if (order < 0)
            diff_alone(&as[i++], DFX_DIFF_ONLY_A, found, context);
        else if (order > 0)
            diff_alone(&bs[j++], DFX_DIFF_ONLY_B, found, context);
        else
            status = diff_pair(&arena, &as[i++], &bs[j++], found, context, same,
                               err);
    }
    dfx_arena_fini(&arena);
    return status;
}
