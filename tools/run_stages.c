/*
 * run_stages.c - dfx-run: one stage of a model on given tensors
 */
#include <config.h>

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "run.h"

/* ---- What stages share --------------------------------------------------- */

typedef dfx_status stage_fn(run_request *r, dfx_model *model,
                            const dfx_values *in, dfx_values *out,
                            dfx_error *err);

/* Opens the model and --inputs (if the stage takes them), runs, and writes
   --output. */
static int
run_stage(run_request *r, bool takes_inputs, stage_fn *stage)
{
    const char *path = run_operand(r, "MODEL");
    dfx_values *in = NULL, *out = NULL;
    dfx_model *model = NULL;
    dfx_error err;
    dfx_status status;

    if (path == NULL)
        return DFX_EXIT_USAGE;
    if (r->output == NULL)
        return run_lacks(r, "output");
    if (takes_inputs && r->inputs == NULL)
        return run_lacks(r, "inputs");
    status = dfx_values_new(&in, &err);
    if (status == DFX_OK)
        status = dfx_values_new(&out, &err);
    if (status == DFX_OK && takes_inputs)
        status = dfx_values_read(in, r->inputs, &err);
    if (status == DFX_OK)
        status = dfx_model_open(path, &r->open, &model, &err);
    if (status == DFX_OK)
        status = stage(r, model, in, out, &err);
    if (status == DFX_OK)
        status = dfx_values_write(out, r->output, r->force, &err);
    dfx_model_free(model);
    dfx_values_free(in);
    dfx_values_free(out);
    return status == DFX_OK ? DFX_EXIT_YES
                            : dfx_say_error(r->tool->name, path, &err);
}

/* ---- encode -------------------------------------------------------------- */

/* A row of ids; false: it is none. */
static bool
read_row(const cJSON *row, size_t columns, int64_t *ids)
{
    if (!cJSON_IsArray(row) || (size_t)cJSON_GetArraySize(row) != columns)
        return false;
    for (size_t i = 0; i < columns; i++) {
        const cJSON *id = cJSON_GetArrayItem(row, (int)i);

        if (!cJSON_IsNumber(id))
            return false;
        ids[i] = (int64_t)id->valuedouble;
    }
    return true;
}

/* [1, 2, 3] or [[1, 2, 3], ...]; *ids is owned. False: it is neither. */
static bool
read_ids(const char *text, int64_t **ids, size_t *rows, size_t *columns)
{
    cJSON *doc = cJSON_Parse(text);
    bool nested = cJSON_IsArray(cJSON_GetArrayItem(doc, 0));
    bool good = cJSON_GetArraySize(doc) > 0;

    *rows = nested ? (size_t)cJSON_GetArraySize(doc) : 1;
    *columns =
        (size_t)cJSON_GetArraySize(nested ? cJSON_GetArrayItem(doc, 0) : doc);
    good = good && *columns > 0;
    *ids = dfx_need(calloc(*rows * *columns + 1, sizeof **ids));
    for (size_t i = 0; good && i < *rows; i++)
        good = read_row(nested ? cJSON_GetArrayItem(doc, (int)i) : doc,
                        *columns, *ids + i * *columns);
    cJSON_Delete(doc);
    return good;
}

static dfx_status
encode(run_request *r, dfx_model *model, const dfx_values *in, dfx_values *out,
       dfx_error *err)
{
    dfx_encode_options options = {
        .prompt = r->prompts.count > 0 ? r->prompts.items[0] : NULL,
        .negative = r->image.negative,
        .clip_skip = r->image.clip_skip,
        .hidden_states = r->hidden_states,
    };
    int64_t *ids = NULL;
    dfx_status status;

    (void)in;
    if (r->ids != NULL)
        read_ids(r->ids, &ids, &options.id_rows, &options.id_columns);
    options.ids = ids;
    status = dfx_run_encode(model, &options, out, err);
    free(ids);
    return status;
}

int
run_encode(run_request *r)
{
    if (r->ids != NULL) {
        size_t rows = 0, columns = 0;
        int64_t *ids = NULL;
        bool good = read_ids(r->ids, &ids, &rows, &columns);

        free(ids);
        if (!good)
            return dfx_usage(r->tool, "--ids takes [1, 2, 3], or rows of the "
                                      "same length");
    }
    if ((r->prompts.count == 1) == (r->ids != NULL))
        return dfx_usage(r->tool, "encode needs one --prompt, or --ids");
    return run_stage(r, false, encode);
}

/* ---- denoise, vae-encode, vae-decode ------------------------------------- */

static dfx_status
denoise(run_request *r, dfx_model *model, const dfx_values *in, dfx_values *out,
        dfx_error *err)
{
    dfx_values *seen = NULL;
    dfx_status status = DFX_OK;

    if (r->activations != NULL)
        status = dfx_values_new(&seen, err);
    if (status == DFX_OK)
        status = dfx_run_denoise(model, in, r->timestep, out, seen, err);
    if (status == DFX_OK && seen != NULL)
        status = dfx_values_write(seen, r->activations, r->force, err);
    dfx_values_free(seen);
    return status;
}

int
run_denoise(run_request *r)
{
    return run_stage(r, true, denoise);
}

static dfx_status
vae_encode(run_request *r, dfx_model *model, const dfx_values *in,
           dfx_values *out, dfx_error *err)
{
    return dfx_run_vae_encode(model, in, r->image.tiled, out, err);
}

int
run_vae_encode(run_request *r)
{
    return run_stage(r, true, vae_encode);
}

static dfx_status
vae_decode(run_request *r, dfx_model *model, const dfx_values *in,
           dfx_values *out, dfx_error *err)
{
    return dfx_run_vae_decode(model, in, r->image.tiled, out, err);
}

int
run_vae_decode(run_request *r)
{
    return run_stage(r, true, vae_decode);
}

/* ---- schedule ------------------------------------------------------------ */

static void
print_json(const dfx_timetable *t)
{
    cJSON *root = dfx_json_object(), *timesteps = dfx_json_array();
    cJSON *sigmas = dfx_json_array();

    for (size_t i = 0; i < t->timestep_count; i++)
        dfx_json_append(timesteps, dfx_json_double(t->timesteps[i]));
    for (size_t i = 0; i < t->sigma_count; i++)
        dfx_json_append(sigmas, dfx_json_double((double)t->sigmas[i]));
    dfx_json_add(root, "schema", dfx_json_count(DFX_JSON_SCHEMA));
    dfx_json_add(root, "timesteps", timesteps);
    dfx_json_add(root, "sigmas", sigmas);
    dfx_json_add(root, "init_noise_sigma", dfx_json_double(t->initial));
    dfx_json_print(root, stdout);
}

static void
print_text(const dfx_timetable *t)
{
    printf("init_noise_sigma %.9g\n\n", t->initial);
    printf("%-6s %-12s %s\n", "CALL", "TIMESTEP",
           t->sigma_count > 0 ? "SIGMA" : "");
    for (size_t i = 0; i < t->timestep_count || i < t->sigma_count; i++) {
        printf("%-6zu ", i);
        if (i < t->timestep_count)
            printf("%-12.9g", t->timesteps[i]);
        else
            printf("%-12s", "");
        if (i < t->sigma_count)
            printf(" %.9g", (double)t->sigmas[i]);
        putchar('\n');
    }
}

int
run_schedule(run_request *r)
{
    const char *config = NULL;
    dfx_timetable table;
    dfx_error err;

    if (r->operands.count > 1 || r->image.scheduler == NULL) {
        config = run_operand(r, "CONFIG.json");
        if (config == NULL)
            return DFX_EXIT_USAGE;
    }
    if (dfx_run_schedule(config, r->image.scheduler, r->image.steps, &table,
                         &err) != DFX_OK)
        return dfx_say_error(
            r->tool->name, config != NULL ? config : r->image.scheduler, &err);
    if (r->json)
        print_json(&table);
    else
        print_text(&table);
    dfx_timetable_fini(&table);
    return DFX_EXIT_YES;
}

/* ---- tokenize ------------------------------------------------------------ */

/* A line of stdin as a prompt: JSON's quotes are taken off. Owned by the
   caller. */
static char *
prompt_of(char *line, size_t size, size_t *prompt_size)
{
    cJSON *quoted = size > 0 && line[0] == '"' ? cJSON_Parse(line) : NULL;
    char *text;

    if (cJSON_IsString(quoted)) {
        text = dfx_need(strdup(quoted->valuestring));
        *prompt_size = strlen(text);
    } else {
        text = dfx_need(malloc(size + 1));
        memcpy(text, line, size);
        *prompt_size = size;
    }
    cJSON_Delete(quoted);
    return text;
}

static dfx_status
print_ids(const run_request *r, dfx_model *model, char *line, size_t size,
          dfx_error *err)
{
    size_t prompt_size = 0, count = 0;
    char *prompt = prompt_of(line, size, &prompt_size);
    uint32_t *ids = NULL;
    dfx_status status = dfx_run_tokenize(model, r->second, prompt, prompt_size,
                                         &ids, &count, err);

    free(prompt);
    if (status != DFX_OK)
        return status;
    for (size_t i = 0; i < count; i++)
        printf("%s%u", i > 0 ? ", " : "[", ids[i]);
    puts(count > 0 ? "]" : "[]");
    free(ids);
    return DFX_OK;
}

int
run_tokenize(run_request *r)
{
    const char *path = run_operand(r, "MODEL");
    dfx_model *model = NULL;
    char *line = NULL;
    size_t capacity = 0;
    ssize_t size;
    dfx_error err;
    dfx_status status;

    if (path == NULL)
        return DFX_EXIT_USAGE;
    status = dfx_model_open(path, &r->open, &model, &err);
    while (status == DFX_OK && (size = getline(&line, &capacity, stdin)) >= 0) {
        if (size > 0 && line[size - 1] == '\n')
            line[--size] = '\0';
        status = print_ids(r, model, line, (size_t)size, &err);
    }
    free(line);
    dfx_model_free(model);
    return status == DFX_OK ? DFX_EXIT_YES
                            : dfx_say_error(r->tool->name, path, &err);
}
