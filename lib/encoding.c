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

/* ---- A whole weight -------------------------------------------------------
 */

struct dfx_whole {
    omp_lock_t lock; /* over the rest; OpenMP's of GNU and LLVM hold no
                        resource, so that it goes with the arena */
    bool is_known;
    float max;
};

dfx_status
dfx_whole_new(dfx_arena *arena, dfx_whole **whole, dfx_error *err)
{
    *whole = dfx_arena_alloc(arena, sizeof **whole);
    if (*whole == NULL)
        return dfx_fail_nomem(err);
    omp_init_lock(&(*whole)->lock);
    return DFX_OK;
}

dfx_status
dfx_whole_max(dfx_whole *whole, const dfx_expr *x, float *max, dfx_error *err)
{
    dfx_status status = DFX_OK;

    omp_set_lock(&whole->lock);
    if (!whole->is_known)
        status = dfx_source_max(x, 0, x->elements, &whole->max, err);
    whole->is_known = status == DFX_OK;
    *max = whole->max;
    omp_unset_lock(&whole->lock);
    return status;
}

uint8_t
dfx_e2m1_code(float x)
{
    /* Between the numbers; at one the even code wins. */
    static const float bounds[] = {0.25F, 0.75F, 1.25F, 1.75F, 2.5F, 3.5F, 5};
    float size = fabsf(x);
    uint8_t code = 0;

    while (code < 7 &&
           (size > bounds[code] || (size == bounds[code] && code % 2 == 1)))
        code++;
    return (uint8_t)(code | (signbit(x) ? 8 : 0));
}

/* ---- NVFP4 -----------------------------------------------------------------
 */

enum { NVFP4 = 16 };

static dfx_status
nvfp4_whole(const dfx_expr *x, const void *state, float *scale, dfx_error *err)
{
    float max = 0;

    /* The state is const for who pulls; what it knows is found once. */
    DFX_TRY(dfx_whole_max((dfx_whole *)(uintptr_t)state, x, &max, err));
    *scale = max > 0 ? max / 2688 : 1;
    return DFX_OK;
}

dfx_status
dfx_nvfp4_whole(const dfx_expr *x, const void *state, uint64_t first,
                uint64_t count, void *out, dfx_error *err)
{
    float scale;

    (void)first;
    (void)count;
    DFX_TRY(nvfp4_whole(x, state, &scale, err));
    memcpy(out, &scale, sizeof scale);
    return DFX_OK;
}

dfx_status
dfx_nvfp4_scale(const dfx_expr *x, const void *state, uint64_t first,
                size_t count, uint8_t *byte, float *unit, dfx_error *err)
{
    float whole, max, scale;

    DFX_TRY(nvfp4_whole(x, state, &whole, err));
    DFX_TRY(dfx_source_max(x, first, count, &max, err));
    scale = fminf(max / 6 / whole, 448);
    dfx_cast(DFX_TYPE_F32, DFX_TYPE_F8_E4M3, &scale, byte, 1);
    dfx_cast(DFX_TYPE_F8_E4M3, DFX_TYPE_F32, byte, &scale, 1);
    *unit = whole * scale;
    return DFX_OK;
}

dfx_status
dfx_nvfp4_codes(const dfx_expr *x, const void *state, uint64_t first,
                size_t count, uint8_t *codes, dfx_error *err)
{
    uint64_t columns = x->shape[x->rank - 1], known = UINT64_MAX;
    float unit = 0, number;
    uint8_t byte;

    for (size_t i = 0; i < count; i++) {
        uint64_t at = first + i, column = at % columns;
        uint64_t start = at - column % NVFP4;
        uint64_t left = columns - (column - column % NVFP4);

        if (start != known)
            DFX_TRY(dfx_nvfp4_scale(x, state, start,
                                    left < NVFP4 ? (size_t)left : NVFP4, &byte,
                                    &unit, err));
        known = start;
        DFX_TRY(dfx_source_numbers(x, at, 1, &number, err));
        codes[i] = dfx_e2m1_code(unit > 0 ? number / unit : 0 * number);
    }
    return DFX_OK;
}

/* ---- Codes times scales -------------------------------------------------- */

typedef struct scaled {
    const dfx_scaling *how;
    uint64_t columns; /* numbers that share a scale */
    dfx_type scale_type;
    dfx_whole *whole;
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
    float max = 0;

    if (s->how->is_whole)
        DFX_TRY(dfx_whole_max(s->whole, x, &max, err));
    else
        DFX_TRY(dfx_source_max(x, row * s->columns, s->columns, &max, err));
    *scale = s->how->scale(x->type, rounded(s, max));
    return DFX_OK;
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

dfx_status
dfx_encode_scaled(dfx_arena *arena, const dfx_scaling *scaling,
                  const dfx_expr *x, dfx_type scale_type, uint32_t scale_rank,
                  const dfx_expr **codes, const dfx_expr **scales,
                  dfx_error *err)
{
    uint64_t shape[2] = {x->shape[0], 1};
    scaled *s = dfx_arena_alloc(arena, sizeof *s);

    if (s == NULL)
        return dfx_fail_nomem(err);
    *s = (scaled){.how = scaling,
                  .columns = x->shape[x->rank - 1],
                  .scale_type = scale_type};
    DFX_TRY(dfx_whole_new(arena, &s->whole, err));
    DFX_TRY(dfx_expr_part(arena, x, scaling->codes, x->rank, x->shape,
                          pull_codes, s, codes, err));
    return dfx_expr_part(arena, x, scale_type, scale_rank, shape, pull_scales,
                         s, scales, err);
}
