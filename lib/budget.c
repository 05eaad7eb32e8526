/*
 * budget.c - types that fit a size, with the least error
 *
 * For each matrix some types are tried on a sample of its rows. What they give
 * is compared by error, relative to the matrix and weighed by its elements:
 * from the smallest types on, the step that takes the most error away for its
 * bytes comes next, until the bytes are spent. Types off the lower hull of
 * error over bytes are never worth it.
 */
#include <config.h>

#include <inttypes.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "blocks.h"
#include "codecs/codec.h"
#include "convert.h"
#include "types.h"

enum {
    SAMPLE = 16 * 1024, /* elements of a matrix that are tried */
    PER_TENSOR = 64, /* bytes of a header for one, besides name and shape, with
                        padding: more than GGUF takes */
    PER_SHAPE = 128, /* of a key that has another shape */
    PER_FILE = 1024
};

/* What every reader of diffusion models decodes (ComfyUI-GGUF, diffusers,
   stable-diffusion.cpp). */
static const dfx_type ladder[] = {
    DFX_TYPE_Q2_K, DFX_TYPE_Q3_K, DFX_TYPE_IQ4_XS, DFX_TYPE_Q4_0,
    DFX_TYPE_Q4_K, DFX_TYPE_Q4_1, DFX_TYPE_Q5_0,   DFX_TYPE_Q5_K,
    DFX_TYPE_Q5_1, DFX_TYPE_Q6_K, DFX_TYPE_Q8_0,
};

enum { RUNGS = sizeof ladder / sizeof ladder[0] + 1 /* as it is */ };

/* A type that a matrix could be, and what that costs. */
typedef struct rung {
    dfx_type type;
    uint64_t bytes;
    double error;
} rung;

typedef struct candidate {
    dfx_item *item;
    const dfx_expr *numbers; /* the item's, as floats */
    const float *importance; /* or NULL */
    rung rungs[RUNGS];       /* by bytes; those on the hull */
    size_t count, at;
    dfx_status status;
    dfx_error err;
} candidate;

/* ---- Trying -------------------------------------------------------------- */

typedef struct sample {
    float *numbers, *decoded; /* SAMPLE of each */
    uint8_t *blocks;
    void *scratch;
    size_t row; /* elements that are encoded together */
    size_t count;
} sample;

static void
sample_fini(sample *s)
{
    free(s->numbers);
    free(s->decoded);
    free(s->blocks);
    free(s->scratch);
}

/* Rows from all over the matrix; of one that is longer than a sample, its
   first part. */
static dfx_status
take_sample(const dfx_expr *x, sample *s, dfx_error *err)
{
    uint64_t columns = x->shape[x->rank - 1];
    uint64_t rows = x->elements / columns, take;

    s->numbers = malloc(SAMPLE * sizeof *s->numbers);
    s->decoded = malloc(SAMPLE * sizeof *s->decoded);
    s->blocks = malloc(SAMPLE * sizeof(float));
    s->scratch = malloc(SAMPLE * DFX_MAX_NUMBER);
    if (s->numbers == NULL || s->decoded == NULL || s->blocks == NULL ||
        s->scratch == NULL)
        return dfx_fail_nomem(err);
    s->row = columns < SAMPLE ? (size_t)columns : SAMPLE;
    take = SAMPLE / s->row < rows ? SAMPLE / s->row : rows;
    for (uint64_t i = 0; i < take; i++) {
        uint64_t row = i * rows / take;
        float *to = s->numbers + i * s->row;

        DFX_TRY(
            dfx_blocks_numbers(x, row * columns, s->row, s->scratch, to, err));
    }
    s->count = (size_t)take * s->row;
    return DFX_OK;
}

/* The part of the squares that a type loses, for all elements; infinite where
   the numbers do not fit it. */
static double
error_of(const candidate *c, const sample *s, dfx_type type)
{
    const dfx_codec *codec = dfx_codec_of(type);
    double error = 0, squares = 0;

    for (size_t at = 0; at < s->count; at += s->row) {
        if (!codec->encode(s->numbers + at, c->importance, s->blocks, s->row))
            return HUGE_VAL;
        codec->decode(s->blocks, s->decoded + at,
                      s->row / codec->unit.elements);
    }
    for (size_t i = 0; i < s->count; i++) {
        double weight =
            c->importance != NULL ? (double)c->importance[i % s->row] : 1;
        double x = (double)s->numbers[i], e = x - (double)s->decoded[i];

        squares += weight * x * x;
        error += weight * e * e;
    }
    return squares > 0 ? error / squares * (double)c->item->expr->elements : 0;
}

static int
compare_rungs(const void *a, const void *b)
{
    const rung *x = a, *y = b;

    if (x->bytes != y->bytes)
        return (x->bytes > y->bytes) - (x->bytes < y->bytes);
    return (x->error > y->error) - (x->error < y->error);
}

/* Error that a step takes away, for each of its bytes. */
static double
gain(const rung *from, const rung *to)
{
    return (from->error - to->error) / (double)(to->bytes - from->bytes);
}

/* Only steps whose gain falls. */
static void
keep_hull(candidate *c)
{
    size_t kept = 0;

    for (size_t i = 0; i < c->count; i++) {
        const rung r = c->rungs[i];

        if (kept > 0 && (r.bytes == c->rungs[kept - 1].bytes ||
                         r.error >= c->rungs[kept - 1].error))
            continue;
        while (kept > 1 && gain(&c->rungs[kept - 2], &c->rungs[kept - 1]) <=
                               gain(&c->rungs[kept - 1], &r))
            kept--;
        c->rungs[kept++] = r;
    }
    c->count = kept;
}

static dfx_status
try_types(candidate *c, dfx_error *err)
{
    const dfx_expr *x = c->item->expr;
    uint64_t columns = x->shape[x->rank - 1];
    sample s = {0};
    dfx_status status = take_sample(c->numbers, &s, err);

    for (size_t i = 0; i < RUNGS - 1 && status == DFX_OK; i++) {
        rung r = {.type = ladder[i]};

        if (columns % dfx_type_unit(r.type).elements != 0 ||
            s.row % dfx_type_unit(r.type).elements != 0)
            continue;
        r.bytes = dfx_type_bytes(r.type, x->elements);
        r.error = error_of(c, &s, r.type);
        if (r.error < HUGE_VAL && r.bytes < x->bytes)
            c->rungs[c->count++] = r;
    }
    c->rungs[c->count++] = (rung){.type = x->type, .bytes = x->bytes};
    qsort(c->rungs, c->count, sizeof c->rungs[0], compare_rungs);
    keep_hull(c);
    sample_fini(&s);
    return status;
}

static dfx_status
try_all(candidate *candidates, size_t count, dfx_error *err)
{
#pragma omp parallel for schedule(dynamic)
    for (size_t i = 0; i < count; i++)
        candidates[i].status = try_types(&candidates[i], &candidates[i].err);
    for (size_t i = 0; i < count; i++)
        if (candidates[i].status != DFX_OK) {
            if (err != NULL)
                *err = candidates[i].err;
            dfx_error_in_tensor(err, candidates[i].item->name);
            return candidates[i].status;
        }
    return DFX_OK;
}

/* ---- Spending ------------------------------------------------------------ */

typedef struct step {
    candidate *whose;
    size_t to; /* its rung */
    double gain;
} step;

static int
compare_steps(const void *a, const void *b)
{
    const step *x = a, *y = b;

    if (x->gain != y->gain)
        return (x->gain < y->gain) - (x->gain > y->gain);
    if (x->whose != y->whose)
        return (x->whose > y->whose) - (x->whose < y->whose);
    return (x->to > y->to) - (x->to < y->to);
}

/* The steps that pay most while they fit; one may not fit that later ones do,
   of other matrices. */
static void
spend(step *steps, size_t count, uint64_t left)
{
    for (size_t i = 0; i < count; i++) {
        candidate *c = steps[i].whose;
        uint64_t cost;

        if (c->at + 1 != steps[i].to)
            continue;
        cost = c->rungs[steps[i].to].bytes - c->rungs[c->at].bytes;
        if (cost > left)
            continue;
        left -= cost;
        c->at = steps[i].to;
    }
}

static dfx_status
spend_all(candidate *candidates, size_t count, uint64_t left, dfx_error *err)
{
    step *steps = calloc(count * RUNGS + 1, sizeof *steps);
    size_t n = 0;

    if (steps == NULL)
        return dfx_fail_nomem(err);
    for (size_t i = 0; i < count; i++)
        for (size_t r = 1; r < candidates[i].count; r++)
            steps[n++] = (step){
                &candidates[i], r,
                gain(&candidates[i].rungs[r - 1], &candidates[i].rungs[r])};
    qsort(steps, n, sizeof *steps, compare_steps);
    spend(steps, n, left);
    free(steps);
    for (size_t i = 0; i < count; i++)
        candidates[i].item->type = candidates[i].rungs[candidates[i].at].type;
    return DFX_OK;
}

/* ---- The budget ---------------------------------------------------------- */

/* Bytes of everything but the matrices that are free. */
static uint64_t
fixed_bytes(const dfx_bundle *bundle)
{
    uint64_t sum = PER_FILE;

    for (size_t i = 0; i < bundle->item_count; i++) {
        const dfx_item *item = &bundle->items[i];

        sum += PER_TENSOR + strlen(item->name) +
               item->expr->rank * sizeof(uint64_t);
        if (item->shape != NULL)
            sum += PER_SHAPE + strlen(item->name);
        if (!item->is_typed)
            sum += item->expr->bytes;
        else if (!item->is_free)
            sum += dfx_type_bytes(item->type, item->expr->elements);
    }
    for (size_t i = 0; i < bundle->meta_count; i++)
        sum += strlen(bundle->metadata[i].key) +
               strlen(bundle->metadata[i].value) + PER_TENSOR;
    return sum;
}

static dfx_status
choose(candidate *candidates, size_t count, uint64_t target, uint64_t fixed,
       dfx_error *err)
{
    uint64_t least = fixed;

    DFX_TRY(try_all(candidates, count, err));
    for (size_t i = 0; i < count; i++)
        least += candidates[i].rungs[0].bytes;
    if (least > target)
        return dfx_fail_usage(err,
                              "it takes %" PRIu64 " bytes at least, %" PRIu64
                              " of them for what is not quantized; the target "
                              "is %" PRIu64,
                              least, fixed, target);
    return spend_all(candidates, count, target - least, err);
}

dfx_status
dfx_budget_apply(dfx_conversion *conversion, dfx_importance_fn *importance,
                 void *context, dfx_error *err)
{
    dfx_bundle *bundle = &conversion->bundle;
    candidate *candidates = calloc(bundle->item_count + 1, sizeof *candidates);
    size_t count = 0;
    dfx_status status = candidates == NULL ? dfx_fail_nomem(err) : DFX_OK;

    for (size_t i = 0; i < bundle->item_count && status == DFX_OK; i++) {
        dfx_item *item = &bundle->items[i];

        if (!item->is_typed || !item->is_free || item->expr->elements == 0)
            continue;
        candidates[count] = (candidate){.item = item, .numbers = item->expr};
        if (dfx_type_class(item->expr->type) == DFX_CLASS_BLOCK)
            status =
                dfx_expr_cast(&conversion->plan->arena, item->expr,
                              DFX_TYPE_F32, &candidates[count].numbers, err);
        if (status == DFX_OK)
            status =
                importance(context, item, &candidates[count].importance, err);
        count++;
    }
    if (status == DFX_OK)
        status =
            choose(candidates, count, conversion->options->quant.target_size,
                   fixed_bytes(bundle), err);
    free(candidates);
    return status;
}
