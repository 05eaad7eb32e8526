/*
 * encoding.c - weights written in parts
 */
#include <config.h>

#include "encoding.h"

#include <inttypes.h>
#include <math.h>
#include <omp.h>
#include <string.h>
#include <strings.h>

#include "document.h"
#include "types.h"

enum { NUMBERS = 4096, MAX_NUMBER = 8 };

const dfx_encoding *
dfx_encoding_named(const char *name)
{
    const dfx_form *form;

    for (size_t i = 0; (form = dfx_form_at(i)) != NULL; i++)
        for (const dfx_encoding *e = form->encodings;
             e != NULL && e->name != NULL; e++)
            if (strcasecmp(e->name, name) == 0)
                return e;
    return NULL;
}

const char *
dfx_encoding_at(size_t i, double *bits)
{
    const dfx_form *form;

    for (size_t f = 0; (form = dfx_form_at(f)) != NULL; f++)
        for (const dfx_encoding *e = form->encodings;
             e != NULL && e->name != NULL; e++) {
            if (i-- > 0)
                continue;
            *bits = e->bits;
            return e->name;
        }
    return NULL;
}

/* ---- Parts --------------------------------------------------------------- */

dfx_status
dfx_parts_push(dfx_part_list *parts, const char *suffix, const dfx_expr *expr,
               dfx_error *err)
{
    if (parts->count == sizeof parts->items / sizeof parts->items[0])
        return dfx_fail_usage(err, "a weight of more than %zu parts",
                              parts->count);
    parts->items[parts->count++] = (dfx_written_part){suffix, expr};
    return DFX_OK;
}

dfx_status
dfx_parts_push_text(dfx_part_list *parts, dfx_arena *arena, const char *suffix,
                    const char *text, dfx_error *err)
{
    const dfx_expr *x = NULL;

    DFX_TRY(dfx_expr_bytes(arena, text, strlen(text), &x, err));
    return dfx_parts_push(parts, suffix, x, err);
}

cJSON *
dfx_plain_layers(const dfx_bundle_component *component)
{
    cJSON *list;

    if (component->plain_count == 0)
        return cJSON_CreateNull();
    list = cJSON_CreateArray();
    for (size_t i = 0; i < component->plain_count; i++)
        cJSON_AddItemToArray(list, cJSON_CreateString(component->plain[i]));
    return list;
}

cJSON *
dfx_parse_ours(const char *text)
{
    cJSON *doc = NULL;

    return dfx_doc_parse(text, strlen(text), "", &doc, NULL) == DFX_OK ? doc
                                                                       : NULL;
}

/* ---- The source ---------------------------------------------------------- */

dfx_status
dfx_source_numbers(const dfx_expr *x, uint64_t first, size_t count, float *out,
                   dfx_error *err)
{
    unsigned char raw[NUMBERS * MAX_NUMBER];

    while (count > 0) {
        size_t n = count < NUMBERS ? count : NUMBERS;

        DFX_TRY(dfx_expr_pull(x, first, n, raw, err));
        dfx_cast(x->type, DFX_TYPE_F32, raw, out, n);
        for (size_t i = 0; i < n; i++)
            if (!isfinite(out[i]))
                return dfx_fail(err, DFX_RULE_QUANT_NONFINITE, DFX_NO_OFFSET,
                                "element %" PRIu64 " is %s, which has no code",
                                first + i, isnan(out[i]) ? "NaN" : "infinite");
        out += n;
        first += n;
        count -= n;
    }
    return DFX_OK;
}

dfx_status
dfx_source_max(const dfx_expr *x, uint64_t first, uint64_t count, float *max,
               dfx_error *err)
{
    float numbers[NUMBERS];

    *max = 0;
    while (count > 0) {
        size_t n = count < NUMBERS ? (size_t)count : NUMBERS;

        DFX_TRY(dfx_source_numbers(x, first, n, numbers, err));
        for (size_t i = 0; i < n; i++)
            *max = fmaxf(*max, fabsf(numbers[i]));
        first += n;
        count -= n;
    }
    return DFX_OK;
}

/* ---- Codes times scales -------------------------------------------------- */

typedef struct scaled {
    const dfx_scaling *how;
    uint64_t columns; /* numbers that share a scale */
    dfx_type scale_type;
    omp_lock_t *lock; /* over the scale of the whole */
    float *whole;     /* NaN: not known yet */
} scaled;

static float
rounded(const scaled *s, float x)
{
    return s->how->rounds != DFX_TYPE_COUNT ? dfx_round_to(s->how->rounds, x)
                                            : x;
}

/* The scale of a row, as it is stored. */
static dfx_status
scale_of(const dfx_expr *x, const scaled *s, uint64_t row, float *scale,
         dfx_error *err)
{
    dfx_status status = DFX_OK;
    float max = 0;

    if (!s->how->is_whole) {
        DFX_TRY(dfx_source_max(x, row * s->columns, s->columns, &max, err));
        *scale = s->how->scale(x->type, rounded(s, max));
        return DFX_OK;
    }
    omp_set_lock(s->lock);
    if (isnan(*s->whole)) {
        status = dfx_source_max(x, 0, x->elements, &max, err);
        if (status == DFX_OK)
            *s->whole = s->how->scale(x->type, rounded(s, max));
    }
    *scale = *s->whole;
    omp_unset_lock(s->lock);
    return status;
}

static dfx_status
pull_scales(const dfx_expr *x, const void *state, uint64_t first,
            uint64_t count, void *out, dfx_error *err)
{
    const scaled *s = state;
    unsigned size = dfx_type_size(s->scale_type);
    unsigned char *p = out;

    for (uint64_t i = 0; i < count; i++, p += size) {
        float scale = 0;

        DFX_TRY(scale_of(x, s, first + i, &scale, err));
        dfx_cast(DFX_TYPE_F32, s->scale_type, &scale, p, 1);
    }
    return DFX_OK;
}

static void
put_codes(const scaled *s, dfx_type source, const float *numbers, float scale,
          size_t count, unsigned char *out)
{
    for (size_t i = 0; i < count; i++) {
        float code = s->how->code(source, rounded(s, numbers[i]), scale);

        if (s->how->codes == DFX_TYPE_I8)
            out[i] = (unsigned char)(int8_t)code;
        else
            dfx_cast(DFX_TYPE_F32, s->how->codes, &code, out + i, 1);
    }
}

static dfx_status
pull_codes(const dfx_expr *x, const void *state, uint64_t first, uint64_t count,
           void *out, dfx_error *err)
{
    const scaled *s = state;
    unsigned char *p = out;
    float numbers[NUMBERS], scale = 0;
    uint64_t known = UINT64_MAX; /* the row whose scale that is */

    while (count > 0) {
        uint64_t row = first / s->columns;
        uint64_t n = (row + 1) * s->columns - first;

        if (n > count)
            n = count;
        if (n > NUMBERS)
            n = NUMBERS;
        if (row != known)
            DFX_TRY(scale_of(x, s, row, &scale, err));
        known = row;
        DFX_TRY(dfx_source_numbers(x, first, (size_t)n, numbers, err));
        put_codes(s, x->type, numbers, scale, (size_t)n, p);
        p += n;
        first += n;
        count -= n;
    }
    return DFX_OK;
}

/* The lock goes with the arena: OpenMP's of GNU and LLVM hold no resource. */
static dfx_status
make_state(dfx_arena *arena, const dfx_scaling *scaling, const dfx_expr *x,
           dfx_type scale_type, scaled **out, dfx_error *err)
{
    scaled *s = dfx_arena_alloc(arena, sizeof *s);

    if (s == NULL)
        return dfx_fail_nomem(err);
    *s = (scaled){.how = scaling,
                  .columns = x->shape[x->rank - 1],
                  .scale_type = scale_type,
                  .lock = dfx_arena_alloc(arena, sizeof *s->lock),
                  .whole = dfx_arena_alloc(arena, sizeof *s->whole)};
    if (s->lock == NULL || s->whole == NULL)
        return dfx_fail_nomem(err);
    omp_init_lock(s->lock);
    *s->whole = NAN;
    *out = s;
    return DFX_OK;
}

dfx_status
dfx_encode_scaled(dfx_arena *arena, const dfx_scaling *scaling,
                  const dfx_expr *x, dfx_type scale_type, uint32_t scale_rank,
                  const dfx_expr **codes, const dfx_expr **scales,
                  dfx_error *err)
{
    uint64_t shape[2] = {x->shape[0], 1};
    scaled *s = NULL;

    DFX_TRY(make_state(arena, scaling, x, scale_type, &s, err));
    DFX_TRY(dfx_expr_part(arena, x, scaling->codes, x->rank, x->shape,
                          pull_codes, s, codes, err));
    return dfx_expr_part(arena, x, scale_type, scale_rank, shape, pull_scales,
                         s, scales, err);
}
