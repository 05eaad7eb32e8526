/*
 * run_image.c - dfx-run: pictures from prompts, pictures and masks
 */
#include <config.h>

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "progress.h"
#include "run.h"
#include "signals.h"

/* What the arguments of --controlnet and --lora come to. */
typedef struct extras {
    dfx_control *controls; /* owned */
    dfx_lora_use *loras;   /* owned */
    char **copies;         /* owned: texts that the above point into */
    size_t copy_count;
} extras;

static void
extras_fini(extras *e)
{
    for (size_t i = 0; i < e->copy_count; i++)
        free(e->copies[i]);
    free(e->copies);
    free(e->controls);
    free(e->loras);
}

static char *
copy(extras *e, const char *text)
{
    e->copies =
        dfx_need(reallocarray(e->copies, e->copy_count + 1, sizeof *e->copies));
    return e->copies[e->copy_count++] = dfx_need(strdup(text));
}

/* "path,..." is cut in place; the numbers after it. Returns how many there
   were, or SIZE_MAX if one is none. */
static size_t
numbers_after(char *rest, double *numbers, size_t max)
{
    size_t count = 0;
    char *item, *end;

    while (rest != NULL && (item = strsep(&rest, ",")) != NULL) {
        if (count == max)
            return SIZE_MAX;
        numbers[count] = strtod(item, &end);
        if (end == item || *end != '\0' || !isfinite(numbers[count++]))
            return SIZE_MAX;
    }
    return count;
}

static bool
add_control(run_request *r, extras *e, const char *value)
{
    double numbers[3] = {1, 0, 1};
    char *rest = copy(e, value), *path = strsep(&rest, ",");
    char *image = strsep(&rest, ",");
    size_t count = numbers_after(rest, numbers, 3);

    if (image == NULL || *image == '\0' || *path == '\0' ||
        (count > 1 && count != 3)) {
        dfx_usage(r->tool, "'%s' should be MODEL,IMAGE[,SCALE[,START,END]]",
                  value);
        return false;
    }
    e->controls[r->image.control_count++] =
        (dfx_control){path, image, numbers[0], numbers[1], numbers[2]};
    return true;
}

static bool
add_lora(run_request *r, extras *e, const char *value)
{
    double scale = 1;
    char *rest = copy(e, value), *path = strsep(&rest, ",");

    if (*path == '\0' || numbers_after(rest, &scale, 1) > 1) {
        dfx_usage(r->tool, "'%s' should be FILE[,SCALE]", value);
        return false;
    }
    e->loras[r->image.lora_count++] = (dfx_lora_use){path, scale};
    return true;
}

static bool
add_extras(run_request *r, extras *e)
{
    e->controls = dfx_need(calloc(r->controls.count + 1, sizeof *e->controls));
    e->loras = dfx_need(calloc(r->loras.count + 1, sizeof *e->loras));
    for (size_t i = 0; i < r->controls.count; i++)
        if (!add_control(r, e, r->controls.items[i]))
            return false;
    for (size_t i = 0; i < r->loras.count; i++)
        if (!add_lora(r, e, r->loras.items[i]))
            return false;
    r->image.controls = e->controls;
    r->image.loras = e->loras;
    return true;
}

/* ---- On the way ---------------------------------------------------------- */

typedef struct watch {
    const run_request *r;
    dfx_progress progress;
    dfx_error err; /* of a preview */
    bool failed;
} watch;

static bool
on_step(void *context, const dfx_image_step *step)
{
    watch *w = context;

    dfx_progress_step(&w->progress, step->done, step->calls);
    if (step->preview != NULL &&
        dfx_image_write(dfx_values_at(step->preview, 0), 0, NULL, 0,
                        w->r->preview, true, &w->err) != DFX_OK)
        w->failed = true;
    return !w->failed && *dfx_signals_flag() == 0;
}

/* ---- Results ------------------------------------------------------------- */

/* What web UIs read: prompt, negative prompt, one line of settings. Owned by
   the caller. */
static char *
settings_text(const run_request *r, const char *model, const dfx_value *image,
              const char *prompt)
{
    const dfx_image_request *q = &r->image;
    const char *base = strrchr(model, '/');
    char cfg[48] = "", *text = NULL;
    FILE *out;
    size_t size = 0;

    out = dfx_need(open_memstream(&text, &size));
    fprintf(out, "%s\n", prompt);
    if (q->negative != NULL)
        fprintf(out, "Negative prompt: %s\n", q->negative);
    if (!isnan(q->guidance))
        snprintf(cfg, sizeof cfg, "CFG scale: %g, ", q->guidance);
    fprintf(out, "Steps: %u, ", q->steps);
    if (q->scheduler != NULL)
        fprintf(out, "Sampler: %s, ", q->scheduler);
    fprintf(out, "%sSeed: %llu, Size: %llux%llu, Model: %s, Version: dfx %s",
            cfg, (unsigned long long)q->seed,
            (unsigned long long)image->shape[3],
            (unsigned long long)image->shape[2],
            base != NULL && base[1] != '\0' ? base + 1 : model, dfx_version());
    if (fclose(out) != 0)
        dfx_need(NULL);
    return text;
}

/* out.png, or out-1.png of several. Owned by the caller. */
static char *
path_of(const char *output, size_t which, size_t count)
{
    const char *dot = strrchr(output, '.'), *slash = strrchr(output, '/');
    size_t stem = dot != NULL && (slash == NULL || dot > slash)
                      ? (size_t)(dot - output)
                      : strlen(output);
    char *path = NULL;

    if (count == 1)
        return dfx_need(strdup(output));
    if (asprintf(&path, "%.*s-%zu%s", (int)stem, output, which + 1,
                 output + stem) < 0)
        dfx_need(NULL);
    return path;
}

static dfx_status
write_picture(const run_request *r, const char *model, const dfx_value *image,
              size_t which, const char *prompt, const char *path,
              dfx_error *err)
{
    char *text = settings_text(r, model, image, prompt);
    dfx_image_note note = {"parameters", text};
    dfx_status status =
        dfx_image_write(image, which, &note, 1, path, r->force, err);

    if (status == DFX_OK && !r->quiet)
        dfx_say(r->tool->name, "%s: %llu x %llu", path,
                (unsigned long long)image->shape[3],
                (unsigned long long)image->shape[2]);
    free(text);
    return status;
}

static dfx_status
write_each(const run_request *r, const char *model, const dfx_value *image,
           dfx_error *err)
{
    size_t count = (size_t)image->shape[0];
    dfx_status status = DFX_OK;

    for (size_t i = 0; status == DFX_OK && i < count; i++) {
        char *path = path_of(r->output, i, count);

        status =
            write_picture(r, model, image, i,
                          r->prompts.items[i / r->image.images], path, err);
        free(path);
    }
    return status;
}

/* The prompts, one a line. Owned by the caller. */
static char *
all_prompts(const run_request *r)
{
    char *text = NULL;
    size_t size = 0;
    FILE *out = dfx_need(open_memstream(&text, &size));

    for (size_t i = 0; i < r->prompts.count; i++)
        fprintf(out, "%s%s", i > 0 ? "\n" : "", r->prompts.items[i]);
    if (fclose(out) != 0)
        dfx_need(NULL);
    return text;
}

/* All pictures as one: rows from left to right, as many columns as rows, or one
 * more, white where none is left. */
static dfx_status
write_grid(const run_request *r, const char *model, const dfx_value *image,
           dfx_error *err)
{
    size_t count = (size_t)image->shape[0], columns = 1, rows;
    size_t height = (size_t)image->shape[2], width = (size_t)image->shape[3];
    dfx_value grid = *image;
    const float *from = image->data;
    float *to;
    char *prompts;
    dfx_status status;

    while (columns * columns < count)
        columns++;
    rows = (count + columns - 1) / columns;
    grid.shape[0] = 1;
    grid.shape[2] = rows * height;
    grid.shape[3] = columns * width;
    grid.count = 3 * grid.shape[2] * grid.shape[3];
    to = dfx_need(reallocarray(NULL, grid.count, sizeof *to));
    for (size_t i = 0; i < grid.count; i++)
        to[i] = 1;
    for (size_t line = 0; line < count * 3 * height; line++) {
        size_t y = line % height, plane = line / height % 3;
        size_t i = line / height / 3;
        size_t row = plane * rows * height + i / columns * height + y;

        memcpy(to + (row * columns + i % columns) * width, from + line * width,
               width * sizeof *to);
    }
    grid.data = to;
    prompts = all_prompts(r);
    status = write_picture(r, model, &grid, 0, prompts, r->output, err);
    free(prompts);
    free(to);
    return status;
}

/* The values whose names begin with front. */
static dfx_status
write_values(const dfx_values *from, const char *front, const char *path,
             bool force, dfx_error *err)
{
    dfx_values *some = NULL;
    dfx_status status = dfx_values_new(&some, err);

    for (size_t i = 0; status == DFX_OK && i < dfx_values_count(from); i++) {
        const dfx_value *v = dfx_values_at(from, i);

        if (strncmp(v->name, front, strlen(front)) == 0)
            status = dfx_values_add(some, v->name, v->type, v->rank, v->shape,
                                    v->data, err);
    }
    if (status == DFX_OK)
        status = dfx_values_write(some, path, force, err);
    dfx_values_free(some);
    return status;
}

static dfx_status
write_all(const run_request *r, const char *model, const dfx_values *out,
          dfx_error *err)
{
    dfx_status status = DFX_OK;

    if (r->output != NULL)
        status = (r->grid ? write_grid : write_each)(
            r, model, dfx_values_find(out, "image"), err);
    if (status == DFX_OK && r->save_tensor != NULL)
        status = write_values(out, "image", r->save_tensor, r->force, err);
    if (status == DFX_OK && r->save_latents != NULL)
        status = write_values(out, "latents.", r->save_latents, r->force, err);
    return status;
}

/* ---- The command --------------------------------------------------------- */

static int
compute(run_request *r, const char *path)
{
    dfx_model *model = NULL, *vae = NULL;
    dfx_values *out = NULL;
    watch w = {.r = r};
    dfx_error err;
    dfx_status status;

    status = dfx_model_open(path, &r->open, &model, &err);
    if (status == DFX_OK && r->vae != NULL)
        status = dfx_model_open(r->vae, NULL, &vae, &err);
    if (status == DFX_OK)
        status = dfx_values_new(&out, &err);
    r->image.vae = vae;
    r->image.step = on_step;
    r->image.context = &w;
    dfx_progress_start(&w.progress, "step", r->progress, r->quiet);
    if (status == DFX_OK)
        status = dfx_run_image(model, &r->image, out, &err);
    dfx_progress_end(&w.progress);
    if (status == DFX_OK)
        status = write_all(r, path, out, &err);
    dfx_model_free(model);
    dfx_model_free(vae);
    dfx_values_free(out);
    if (status == DFX_OK)
        return DFX_EXIT_YES;
    if (*dfx_signals_flag() != 0)
        return DFX_EXIT_NO;
    return dfx_say_error(r->tool->name, path, w.failed ? &w.err : &err);
}

int
run_image(run_request *r)
{
    const char *path = run_operand(r, "MODEL");
    extras e = {0};
    int status = DFX_EXIT_USAGE;

    if (path == NULL)
        return DFX_EXIT_USAGE;
    if (r->prompts.count == 0)
        return run_lacks(r, "prompt");
    if (r->output == NULL && r->save_tensor == NULL && r->save_latents == NULL)
        return run_lacks(r, "output");
    if (r->output != NULL && r->image.as_latents)
        return dfx_usage(r->tool, "latents are no picture for --output; "
                                  "--save-tensor takes them");
    if (r->grid && r->output == NULL)
        return run_lacks(r, "output");
    if (r->image.task != DFX_TASK_TXT2IMG && r->image.image == NULL)
        return run_lacks(r, "image");
    if (r->image.task == DFX_TASK_INPAINT && r->image.mask == NULL)
        return run_lacks(r, "mask");
    if (r->image.images == 0)
        return dfx_usage(r->tool, "--images is 1 at least");
    r->image.prompts = r->prompts.items;
    r->image.prompt_count = r->prompts.count;
    r->image.embeddings = r->embeddings.items;
    r->image.embedding_count = r->embeddings.count;
    r->image.keep_latents = r->save_latents != NULL;
    r->image.preview = r->preview != NULL;
    if (add_extras(r, &e))
        status = compute(r, path);
    extras_fini(&e);
    return status;
}
