/*
 * measure.c - what quantization costs: sums of squares of differences
 *
 * A tensor is one thread's work from its first number to its last, so that the
 * sums do not depend on how many threads there are.
 */
#include <config.h>

#include "measure.h"

#include <math.h>
#include <omp.h>
#include <stdlib.h>
#include <string.h>

#include "index.h"
#include "types.h"
#include "written.h"

enum { NUMBERS = 16 * 1024 }; /* at a time: 256 KiB of doubles, twice */

/* ---- Numbers ------------------------------------------------------------- */

/* Room for NUMBERS of both sides. */
typedef struct pair {
    double *source, *written;
    void *raw;
} pair;

static bool
pair_init(pair *p)
{
    p->source = malloc(NUMBERS * sizeof *p->source);
    p->written = malloc(NUMBERS * sizeof *p->written);
    p->raw = malloc(NUMBERS * sizeof(double));
    return p->source != NULL && p->written != NULL && p->raw != NULL;
}

static void
pair_fini(pair *p)
{
    free(p->source);
    free(p->written);
    free(p->raw);
}

/* As doubles; x has floats. */
static dfx_status
pull(const dfx_expr *x, uint64_t first, size_t count, void *raw, double *out,
     dfx_error *err)
{
    DFX_TRY(dfx_expr_pull(x, first, count, raw, err));
    dfx_to_f64(x->type, raw, out, count);
    return DFX_OK;
}

static void
add(dfx_measurement *m, double a, double b)
{
    double error = fabs(a - b);

    m->squares += a * a;
    m->written += b * b;
    m->products += a * b;
    m->squared_error += error * error;
    m->max_error = fmax(m->max_error, error);
    m->max = fmax(m->max, fabs(a));
}

dfx_status
dfx_measure_range(const dfx_expr *source, const dfx_expr *written,
                  uint64_t first, uint64_t count, dfx_measurement *m,
                  dfx_error *err)
{
    pair p;
    dfx_status status = pair_init(&p) ? DFX_OK : dfx_fail_nomem(err);

    while (count > 0 && status == DFX_OK) {
        size_t n = count < NUMBERS ? (size_t)count : NUMBERS;

        status = pull(source, first, n, p.raw, p.source, err);
        if (status == DFX_OK)
            status = pull(written, first, n, p.raw, p.written, err);
        for (size_t i = 0; i < n && status == DFX_OK; i++)
            add(m, p.source[i], p.written[i]);
        m->elements += n;
        first += n;
        count -= n;
    }
    pair_fini(&p);
    return status;
}

/* ---- A tensor ------------------------------------------------------------ */

/* A number's part of [-max, max]; what is beyond counts with the last ones. */
static size_t
bin_of(double x, double max)
{
    double at = (x / max + 1) / 2 * DFX_BINS;

    return !(at > 0) ? 0 : at >= DFX_BINS ? DFX_BINS - 1 : (size_t)at;
}

static dfx_status
count_bins(const dfx_expr *x, double max, uint64_t *histogram, dfx_error *err)
{
    double *numbers = malloc(NUMBERS * sizeof *numbers);
    void *raw = malloc(NUMBERS * sizeof(double));
    dfx_status status =
        numbers == NULL || raw == NULL ? dfx_fail_nomem(err) : DFX_OK;

    for (uint64_t at = 0; at < x->elements && status == DFX_OK;) {
        uint64_t left = x->elements - at;
        size_t n = left < NUMBERS ? (size_t)left : NUMBERS;

        status = pull(x, at, n, raw, numbers, err);
        for (size_t i = 0; i < n && status == DFX_OK; i++)
            histogram[bin_of(numbers[i], max)]++;
        at += n;
    }
    free(raw);
    free(numbers);
    return status;
}

/* A tensor as it was meant, and as it is there. */
typedef struct task {
    const dfx_expr *expr; /* its numbers before any cast are the source's */
    dfx_tensor there;
    dfx_measurement result; /* its head is filled in */
} task;

/* Its numbers before and after, as floats. */
static dfx_status
two_sides(dfx_arena *arena, const task *t, const dfx_expr **source,
          const dfx_expr **written, dfx_error *err)
{
    DFX_TRY(dfx_expr_uncast(arena, t->expr, source, err));
    DFX_TRY(dfx_expr_tensor(arena, &t->there, written, err));
    if (dfx_type_class((*source)->type) == DFX_CLASS_BLOCK)
        DFX_TRY(dfx_expr_cast(arena, *source, DFX_TYPE_F32, source, err));
    if (dfx_type_class((*written)->type) == DFX_CLASS_BLOCK)
        DFX_TRY(dfx_expr_cast(arena, *written, DFX_TYPE_F32, written, err));
    return DFX_OK;
}

static dfx_status
measure(task *t, dfx_error *err)
{
    dfx_arena arena = {0};
    dfx_measurement *m = &t->result;
    const dfx_expr *source = NULL, *written = NULL;
    dfx_status status = two_sides(&arena, t, &source, &written, err);

    if (status == DFX_OK)
        status =
            dfx_measure_range(source, written, 0, source->elements, m, err);
    if (status == DFX_OK)
        status = count_bins(source, m->max, m->histogram[0], err);
    if (status == DFX_OK)
        status = count_bins(written, m->max, m->histogram[1], err);
    dfx_arena_fini(&arena);
    if (status != DFX_OK)
        dfx_error_in_tensor(err, m->name);
    return status;
}

/* ---- All of them --------------------------------------------------------- */

typedef struct work {
    const dfx_run_options *options;
    dfx_io **ios;     /* owned, one an output; NULL where none is needed */
    dfx_index *index; /* owned: the target, if it has weights in parts; NULL */
    task *tasks;      /* owned */
    size_t count, capacity;
    uint64_t bytes, done;
    dfx_status status;
    omp_lock_t lock; /* over the members above that change */
    dfx_error *err;
} work;

/* Tensors are listed in the order of their pieces, among which are others. */
static dfx_status
add_tasks(work *w, const dfx_plan *plan, size_t output)
{
    const dfx_output *file = &plan->outputs[output];
    size_t next = 0;

    for (size_t i = 0; i < file->piece_count && next < file->view.tensor_count;
         i++) {
        const dfx_plan_tensor *t = &file->tensors[next];

        if (t->offset != file->pieces[i].offset ||
            file->pieces[i].expr->bytes != t->size)
            continue;
        next++;
        if (t->source_type == t->type || t->size == 0 || t->encoding != NULL)
            continue;
        if (w->ios[output] == NULL)
            DFX_TRY(dfx_written_open(plan, output, &w->ios[output], w->err));
        if (!dfx_grow(&w->tasks, &w->capacity, w->count, sizeof *w->tasks))
            return dfx_fail_nomem(w->err);
        w->tasks[w->count++] = (task){
            .expr = file->pieces[i].expr,
            .there = {.name = t->name,
                      .type = t->type,
                      .rank = t->rank,
                      .shape = t->shape,
                      .data = {.io = w->ios[output],
                               .offset = t->offset,
                               .size = t->size}},
            .result = {.path = file->view.path,
                       .name = t->name,
                       .type = dfx_type_name(t->type),
                       .source_type = t->source_type,
                       .rank = t->rank,
                       .shape = t->shape,
                       .bytes = t->size},
        };
        w->bytes += t->size;
    }
    return DFX_OK;
}

/* Weights in parts are what the target has when it is read as a model. */
static dfx_status
add_weights(work *w, const dfx_plan *plan)
{
    if (plan->weight_count == 0)
        return DFX_OK;
    DFX_TRY(dfx_open(plan->dst, NULL, &w->index, w->err));
    for (size_t i = 0; i < plan->weight_count; i++) {
        const dfx_plan_weight *weight = &plan->weights[i];
        uint32_t component =
            dfx_index_find_component(w->index, weight->component);
        const dfx_tensor *t =
            component == UINT32_MAX
                ? NULL
                : dfx_index_find(w->index, component, weight->name);
        uint64_t stored = 0;

        if (t == NULL || t->composite == NULL)
            return dfx_fail(w->err, DFX_RULE_VERIFY_DIFFERS, DFX_NO_OFFSET,
                            "\"%s\" does not read back as a weight in parts",
                            weight->name);
        if (!dfx_grow(&w->tasks, &w->capacity, w->count, sizeof *w->tasks))
            return dfx_fail_nomem(w->err);
        (void)dfx_tensor_form(t, &stored);
        w->tasks[w->count++] = (task){
            .expr = weight->source,
            .there = *t,
            .result = {.path = weight->component,
                       .name = weight->name,
                       .type = weight->encoding,
                       .source_type = dfx_expr_source_type(weight->source),
                       .rank = weight->source->rank,
                       .shape = weight->source->shape,
                       .bytes = stored},
        };
        w->bytes += stored;
    }
    return DFX_OK;
}

static bool
is_stopped(const work *w)
{
    return w->options->stop != NULL && *w->options->stop != 0;
}

static bool
goes_on(work *w)
{
    bool result;

    omp_set_lock(&w->lock);
    result = w->status == DFX_OK && !is_stopped(w);
    omp_unset_lock(&w->lock);
    return result;
}

static void
end_task(work *w, const task *t, dfx_status status, const dfx_error *err)
{
    omp_set_lock(&w->lock);
    w->done += t->result.bytes;
    if (status != DFX_OK && w->status == DFX_OK) {
        w->status = status;
        if (w->err != NULL)
            *w->err = *err;
    }
    if (w->options->progress != NULL)
        w->options->progress(w->options->context, w->done, w->bytes);
    omp_unset_lock(&w->lock);
}

static dfx_status
do_tasks(work *w)
{
    int threads = w->options->threads > 0 && w->options->threads < 1024
                      ? (int)w->options->threads
                      : omp_get_max_threads();

    omp_init_lock(&w->lock);
#pragma omp parallel for schedule(dynamic) num_threads(threads)
    for (size_t i = 0; i < w->count; i++) {
        dfx_error err = {0};

        if (goes_on(w))
            end_task(w, &w->tasks[i], measure(&w->tasks[i], &err), &err);
    }
    omp_destroy_lock(&w->lock);
    if (w->status == DFX_OK && is_stopped(w))
        return dfx_fail_stopped(w->err);
    return w->status;
}

dfx_status
dfx_plan_measure(const dfx_plan *plan, const dfx_run_options *options,
                 dfx_measure_fn *found, void *context, dfx_error *err)
{
    static const dfx_run_options defaults = {0};
    work w = {.options = options != NULL ? options : &defaults, .err = err};
    dfx_status status = DFX_OK;

    w.ios = calloc(plan->output_count + 1, sizeof(dfx_io *));
    if (w.ios == NULL)
        status = dfx_fail_nomem(err);
    for (size_t i = 0; i < plan->output_count && status == DFX_OK; i++)
        status = add_tasks(&w, plan, i);
    if (status == DFX_OK)
        status = add_weights(&w, plan);
    if (status == DFX_OK)
        status = do_tasks(&w);
    for (size_t i = 0; i < w.count && status == DFX_OK; i++)
        found(context, &w.tasks[i].result);
    for (size_t i = 0; w.ios != NULL && i < plan->output_count; i++)
        dfx_io_close(w.ios[i]);
    dfx_index_free(w.index);
    free(w.ios);
    free(w.tasks);
    return status;
}
