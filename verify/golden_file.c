/*
 * golden_file.c - goldens as files
 *
 * A zstd frame with a safetensors file: whoever distrusts our digests computes
 * them with other tools. metadata: {"dfx.golden": {"schema": 1, "recipe": {..},
 * "stages": [{"name": .., "sha256": ..}, ..]}}.
 */
#include <config.h>

#include "golden.h"

#include <stdlib.h>
#include <string.h>

#include "document.h"

static const char KEY[] = "dfx.golden";

enum { SCHEMA = 1 };

/* ---- Writing ------------------------------------------------------------- */

static cJSON *
print_stages(const dfx_golden *golden)
{
    cJSON *stages = cJSON_CreateArray();
    bool good = stages != NULL;

    for (size_t i = 0; good && i < golden->count; i++) {
        cJSON *stage = cJSON_CreateObject();

        good = stage != NULL && cJSON_AddItemToArray(stages, stage) &&
               dfx_doc_set(stage, "name",
                           cJSON_CreateString(golden->stages[i].value->name)) &&
               dfx_doc_set(stage, "sha256",
                           cJSON_CreateString(golden->stages[i].hash));
    }
    if (good)
        return stages;
    cJSON_Delete(stages);
    return NULL;
}

dfx_status
dfx_golden_write(const dfx_golden *golden, const char *path, bool force,
                 dfx_error *err)
{
    cJSON *doc = cJSON_CreateObject();
    bool good =
        doc != NULL && dfx_doc_set(doc, "schema", dfx_doc_new_int(SCHEMA)) &&
        dfx_doc_set(doc, "recipe", cJSON_Duplicate(golden->recipe, true)) &&
        dfx_doc_set(doc, "stages", print_stages(golden));
    char *text = good ? dfx_doc_print_compact(doc) : NULL;
    dfx_values_file file = {
        .key = KEY, .text = text, .compress = true, .force = force};
    dfx_status status = text != NULL
                            ? dfx_values_save(golden->values, &file, path, err)
                            : dfx_fail_nomem(err);

    free(text);
    cJSON_Delete(doc);
    return status;
}

/* ---- Reading ------------------------------------------------------------- */

static dfx_status
read_stage(dfx_golden *golden, const cJSON *node, dfx_error *err)
{
    const char *name = dfx_doc_string(node, "name");
    const char *hash = dfx_doc_string(node, "sha256");
    const dfx_value *value =
        name != NULL ? dfx_values_find(golden->values, name) : NULL;

    if (value == NULL || hash == NULL)
        return dfx_fail(err, DFX_RULE_RUN_GOLDEN, DFX_NO_OFFSET,
                        "a stage lacks its name, its digest or its tensor");
    DFX_TRY(dfx_golden_add(golden, value, err));
    if (strcmp(golden->stages[golden->count - 1].hash, hash) != 0) {
        dfx_status status =
            dfx_fail(err, DFX_RULE_RUN_GOLDEN, DFX_NO_OFFSET,
                     "its numbers are not those of the digest beside them");

        dfx_error_in_tensor(err, name);
        return status;
    }
    return DFX_OK;
}

/* doc: what the metadata say. */
static dfx_status
read_golden(dfx_golden *golden, const cJSON *doc, dfx_error *err)
{
    const cJSON *recipe = dfx_doc_get(doc, "recipe"), *node;
    const cJSON *stages = dfx_doc_get(doc, "stages");
    dfx_image_request request;
    const char *prompt;
    int64_t schema = 0;

    if (!dfx_doc_int(dfx_doc_get(doc, "schema"), &schema) || schema != SCHEMA)
        return dfx_fail(err, DFX_RULE_RUN_GOLDEN, DFX_NO_OFFSET,
                        "its metadata are not of schema %d", SCHEMA);
    if (!cJSON_IsObject(recipe) || cJSON_GetArraySize(stages) == 0)
        return dfx_fail(err, DFX_RULE_RUN_GOLDEN, DFX_NO_OFFSET,
                        "its metadata have no recipe, or no stages");
    DFX_TRY(dfx_golden_request(recipe, &prompt, &request, err));
    golden->recipe = cJSON_Duplicate(recipe, true);
    golden->text =
        golden->recipe != NULL ? dfx_doc_print_compact(golden->recipe) : NULL;
    if (golden->text == NULL)
        return dfx_fail_nomem(err);
    cJSON_ArrayForEach(node, stages) DFX_TRY(read_stage(golden, node, err));
    return DFX_OK;
}

dfx_status
dfx_golden_read(const char *path, dfx_golden **out, dfx_error *err)
{
    dfx_golden *golden = NULL;
    cJSON *doc = NULL;
    char *text = NULL;
    dfx_status status = dfx_golden_new(NULL, &golden, err);

    if (status == DFX_OK)
        status = dfx_values_load(golden->values, path, KEY, &text, err);
    if (status == DFX_OK && text == NULL)
        status = dfx_fail(err, DFX_RULE_RUN_GOLDEN, DFX_NO_OFFSET,
                          "its metadata have no \"%s\": it is none", KEY);
    if (status == DFX_OK)
        status = dfx_doc_parse(text, strlen(text), path, &doc, err);
    if (status == DFX_OK)
        status = read_golden(golden, doc, err);
    cJSON_Delete(doc);
    free(text);
    if (status != DFX_OK) {
        dfx_error_in_file(err, path);
        dfx_golden_free(golden);
        golden = NULL;
    }
    *out = golden;
    return status;
}
