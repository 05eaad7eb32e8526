/*
 * run_golden.c - dfx-run: record, and runs of a recipe
 */
#include <config.h>

#include <math.h>

#include "progress.h"
#include "run.h"
#include "signals.h"

void
run_take_recipe(run_request *r)
{
    static const char *const usual[] = {"a photo of a cat"};

    r->image.prompts = r->prompts.count > 0 ? r->prompts.items : usual;
    r->image.prompt_count = r->prompts.count > 0 ? r->prompts.count : 1;
}

static bool
on_step(void *context, const dfx_image_step *step)
{
    dfx_progress_step(context, step->done, step->calls);
    return *dfx_signals_flag() == 0;
}

dfx_status
run_golden_of(run_request *r, const char *path, const dfx_golden *first,
              dfx_golden **golden, dfx_error *err)
{
    dfx_progress progress = {0};
    dfx_model *model = NULL;
    dfx_status status = dfx_model_open(path, &r->open, &model, err);

    *golden = NULL;
    dfx_progress_start(&progress, "step", r->progress, r->quiet);
    r->image.step = on_step;
    r->image.context = &progress;
    if (status == DFX_OK)
        status = first != NULL
                     ? dfx_golden_repeat(first, model, on_step, &progress,
                                         golden, err)
                     : dfx_golden_run(model, &r->image, r->layers, golden, err);
    dfx_progress_end(&progress);
    dfx_model_free(model);
    return status;
}

cJSON *
run_golden_head(const char *path, const dfx_golden *golden)
{
    cJSON *root = dfx_json_head(path);

    dfx_json_add(root, "recipe",
                 dfx_need(cJSON_Parse(dfx_golden_recipe(golden))));
    return root;
}

void
run_add_distance(cJSON *object, const dfx_distance *distance)
{
    dfx_json_add(object, "same", dfx_json_bool(distance->same));
    dfx_json_add(object, "max_abs", dfx_json_double(distance->max_abs));
    dfx_json_add(object, "relative", dfx_json_double(distance->relative));
    dfx_json_add(object, "cosine", dfx_json_double(distance->cosine));
}

/* ---- record -------------------------------------------------------------- */

static void
print_recorded(const run_request *r, const char *path, const dfx_golden *golden)
{
    cJSON *root = run_golden_head(path, golden), *stages = dfx_json_array();
    const dfx_golden_stage *stage;

    for (size_t i = 0; (stage = dfx_golden_at(golden, i)) != NULL; i++) {
        cJSON *item = dfx_json_object();

        dfx_json_add(item, "name", dfx_json_text(stage->value->name));
        dfx_json_add(item, "shape",
                     dfx_json_shape(stage->value->shape, stage->value->rank));
        dfx_json_add(item, "sha256", dfx_json_text(stage->hash));
        dfx_json_append(stages, item);
    }
    dfx_json_add(root, "golden", dfx_json_text(r->output));
    dfx_json_add(root, "stages", stages);
    dfx_json_print(root, stdout);
}

int
run_record(run_request *r)
{
    const char *path = run_operand(r, "MODEL");
    dfx_golden *golden = NULL;
    dfx_status status;
    dfx_error err;
    size_t count = 0;

    if (path == NULL)
        return DFX_EXIT_USAGE;
    if (r->output == NULL)
        return run_lacks(r, "output");
    run_take_recipe(r);
    status = run_golden_of(r, path, NULL, &golden, &err);
    if (status == DFX_OK)
        status = dfx_golden_write(golden, r->output, r->force, &err);
    if (status != DFX_OK) {
        dfx_golden_free(golden);
        return dfx_say_error(r->tool->name, path, &err);
    }
    while (dfx_golden_at(golden, count) != NULL)
        count++;
    if (r->json)
        print_recorded(r, path, golden);
    else if (!r->quiet)
        dfx_say(r->tool->name, "%s: %zu stages of %s", r->output, count, path);
    dfx_golden_free(golden);
    return DFX_EXIT_YES;
}
