/*
 * run_bench.c - dfx-run bench: how long the stages of a model take
 */
#include <config.h>

#include <math.h>
#include <time.h>

#include "run.h"
#include "table.h"

enum { ENCODE, DENOISE, DECODE, STAGES, REPEATS = 3 };

static const char *const names[STAGES] = {"encode", "denoise", "decode"};

/* Seconds: of the first call, which reads the weights, and of the fastest of
   those after it. */
typedef struct times {
    double first, best;
} times;

typedef struct bench {
    run_request *r;
    dfx_model *model;
    dfx_values *in, *latent;
    times stages[STAGES];
} bench;

static double
now(void)
{
    struct timespec t;

    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

static dfx_status
call(bench *b, int stage, dfx_values *out, dfx_error *err)
{
    dfx_encode_options encode = {
        .prompt = b->r->image.prompts[0],
        .negative = b->r->image.negative,
        .clip_skip = b->r->image.clip_skip,
    };

    if (stage == ENCODE)
        return dfx_run_encode(b->model, &encode, out, err);
    if (stage == DENOISE)
        return dfx_run_denoise(b->model, b->in, (double)NAN, out, NULL, err);
    return dfx_run_vae_decode(b->model, b->latent, b->r->image.tiled, out, err);
}

/* The decoder gets the latents that the denoiser gave: of its channels. */
static dfx_status
take_latent(bench *b, const dfx_value *sample, dfx_error *err)
{
    return dfx_values_add(b->latent, "latent", sample->type, sample->rank,
                          sample->shape, sample->data, err);
}

static dfx_status
measure(bench *b, int stage, dfx_error *err)
{
    times *t = &b->stages[stage];
    dfx_status status = DFX_OK;

    *t = (times){.best = (double)INFINITY};
    for (int i = 0; status == DFX_OK && i <= REPEATS; i++) {
        dfx_values *out = NULL;
        double seconds;

        status = dfx_values_new(&out, err);
        seconds = now();
        if (status == DFX_OK)
            status = call(b, stage, out, err);
        seconds = now() - seconds;
        if (status == DFX_OK && stage == DENOISE && i == 0)
            status = take_latent(b, dfx_values_at(out, 0), err);
        dfx_values_free(out);
        if (i == 0)
            t->first = seconds;
        else
            t->best = fmin(t->best, seconds);
    }
    return status;
}

static dfx_status
measure_all(bench *b, const char *path, dfx_error *err)
{
    dfx_status status = dfx_model_open(path, &b->r->open, &b->model, err);

    if (status == DFX_OK)
        status = dfx_values_new(&b->in, err);
    if (status == DFX_OK)
        status = dfx_values_new(&b->latent, err);
    if (status == DFX_OK)
        status = measure(b, ENCODE, err);
    if (status == DFX_OK)
        status = dfx_run_inputs(b->model, &b->r->image, b->in, err);
    if (status == DFX_OK)
        status = measure(b, DENOISE, err);
    if (status == DFX_OK)
        status = measure(b, DECODE, err);
    return status;
}

/* ---- What it says -------------------------------------------------------- */

static void
print_text(const bench *b)
{
    dfx_colours colours = dfx_colours_choose(b->r->colour, stdout);
    dfx_table table;

    dfx_table_init(&table, "lrr");
    dfx_table_cell(&table, "STAGE");
    dfx_table_cell(&table, "FIRST, s");
    dfx_table_cell(&table, "BEST, s");
    for (size_t i = 0; i < STAGES; i++) {
        dfx_table_cell(&table, names[i]);
        dfx_table_cellf(&table, "%.4f", b->stages[i].first);
        dfx_table_cellf(&table, "%.4f", b->stages[i].best);
    }
    dfx_table_print(&table, stdout, 0, &colours);
    dfx_table_fini(&table);
}

static void
print_json(const bench *b, const char *path)
{
    const dfx_value *latent = dfx_values_find(b->latent, "latent");
    cJSON *root = dfx_json_head(path), *stages = dfx_json_array();

    dfx_json_add(root, "latent", dfx_json_shape(latent->shape, latent->rank));
    for (size_t i = 0; i < STAGES; i++) {
        cJSON *item = dfx_json_object();

        dfx_json_add(item, "name", dfx_json_text(names[i]));
        dfx_json_add(item, "first_seconds",
                     dfx_json_double(b->stages[i].first));
        dfx_json_add(item, "seconds", dfx_json_double(b->stages[i].best));
        dfx_json_append(stages, item);
    }
    dfx_json_add(root, "stages", stages);
    dfx_json_print(root, stdout);
}

int
run_bench(run_request *r)
{
    const char *path = run_operand(r, "MODEL");
    bench b = {.r = r};
    dfx_error err;
    int status = DFX_EXIT_YES;

    if (path == NULL)
        return DFX_EXIT_USAGE;
    run_take_recipe(r);
    if (measure_all(&b, path, &err) != DFX_OK)
        status = dfx_say_error(r->tool->name, path, &err);
    else if (r->json)
        print_json(&b, path);
    else
        print_text(&b);
    dfx_model_free(b.model);
    dfx_values_free(b.in);
    dfx_values_free(b.latent);
    return status;
}
