/*
 * setting.c - settings: "unet.upcast_attention=true"
 */
#include <config.h>

#include "compose.h"

#include <stdlib.h>
#include <string.h>

size_t
dfx_config_named(const char *component, size_t size, dfx_path_at_fn *path_at,
                 const void *list, size_t count)
{
    static const char *const names[] = {
        "config.json",
        "scheduler_config.json",
        "preprocessor_config.json",
        "tokenizer_config.json",
    };
    bool is_index = size == strlen("model_index") &&
                    memcmp(component, "model_index", size) == 0;

    for (size_t i = 0; i < count; i++) {
        const char *path = path_at(list, i);

        if (is_index && strcmp(path, DFX_MODEL_INDEX) == 0)
            return i;
        if (strncmp(path, component, size) != 0 || path[size] != '/')
            continue;
        for (size_t k = 0; k < sizeof names / sizeof names[0]; k++)
            if (strcmp(path + size + 1, names[k]) == 0)
                return i;
    }
    return SIZE_MAX;
}

/* "unet, vae, scheduler": what a setting can speak of. */
static dfx_status
fail_component(const char *setting, dfx_path_at_fn *path_at, const void *list,
               size_t count, dfx_error *err)
{
    dfx_text known = {0};
    dfx_status status;

    for (size_t i = 0; i < count; i++) {
        const char *path = path_at(list, i);
        size_t size = strcspn(path, "/.");

        if (dfx_config_named(path, size, path_at, list, count) != i)
            continue;
        if (known.size > 0)
            dfx_text_puts(&known, ", ");
        dfx_text_add(&known, path, size);
    }
    status = dfx_fail_usage(
        err, "\"%s\" sets a field of no component that is here: %s", setting,
        known.data != NULL ? known.data : "there is none");
    dfx_text_fini(&known);
    return status;
}

/* Where the field's name starts and the value; NULL: it is no setting. */
static const char *
field_of(const char *setting, const char **value)
{
    size_t size = strcspn(setting, ".=");
    const char *field = setting + size + 1;

    if (size == 0 || setting[size] != '.')
        return NULL;
    *value = strchr(field, '=');
    if (*value == NULL || *value == field)
        return NULL;
    ++*value;
    return field;
}

dfx_status
dfx_setting_find(const char *setting, dfx_path_at_fn *path_at, const void *list,
                 size_t count, size_t *found, dfx_error *err)
{
    const char *value;

    if (field_of(setting, &value) == NULL)
        return dfx_fail_usage(err, "\"%s\" is not COMPONENT.FIELD=VALUE",
                              setting);
    *found =
        dfx_config_named(setting, strcspn(setting, "."), path_at, list, count);
    return *found != SIZE_MAX
               ? DFX_OK
               : fail_component(setting, path_at, list, count, err);
}

dfx_status
dfx_setting_apply(const char *setting, cJSON *doc, dfx_error *err)
{
    const char *value, *field = field_of(setting, &value);
    char *name = strndup(field, (size_t)(value - 1 - field));
    cJSON *node = NULL;
    dfx_status status;

    if (name == NULL)
        return dfx_fail_nomem(err);
    if (dfx_doc_parse(value, strlen(value), "", &node, NULL) != DFX_OK)
        node = cJSON_CreateString(value);
    status = dfx_composed_set(doc, name, node, err);
    free(name);
    return status;
}
