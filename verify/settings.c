/*
 * settings.c - what a config.json says, with the defaults of the class
 */
#include <config.h>

#include "settings.h"

#include <stdarg.h>
#include <stdio.h>

void
dfx_setting_fail(dfx_settings *s, const char *fmt, ...)
{
    char text[DFX_ERROR_CHARS];
    va_list args;

    if (s->status != DFX_OK)
        return;
    va_start(args, fmt);
    vsnprintf(text, sizeof text, fmt, args);
    va_end(args);
    s->status =
        dfx_fail(s->err, DFX_RULE_RUN_CONFIG, DFX_NO_OFFSET, "%s", text);
}

void
dfx_setting_refuse(dfx_settings *s, const char *key)
{
    if (s->status == DFX_OK)
        s->status = dfx_fail(s->err, DFX_RULE_RUN_UNSUPPORTED, DFX_NO_OFFSET,
                             "the config's \"%s\" asks for what the runner "
                             "cannot compute",
                             key);
}

bool
dfx_setting_none(const dfx_settings *s, const char *key)
{
    const cJSON *node = dfx_doc_get(s->config, key);

    return node == NULL || cJSON_IsNull(node);
}

static size_t
count_of(dfx_settings *s, const cJSON *node, const char *key, size_t min,
         size_t max)
{
    int64_t value;

    if (dfx_doc_int(node, &value) && value >= 0 && (uint64_t)value >= min &&
        (uint64_t)value <= max)
        return (size_t)value;
    dfx_setting_fail(s, "\"%s\" is not an integer from %zu to %zu", key, min,
                     max);
    return min;
}

size_t
dfx_setting_count(dfx_settings *s, const char *key, size_t usual, size_t min,
                  size_t max)
{
    const cJSON *node = dfx_doc_get(s->config, key);

    return node == NULL ? usual : count_of(s, node, key, min, max);
}

float
dfx_setting_number(dfx_settings *s, const char *key, double usual, double min,
                   double max)
{
    const cJSON *node = dfx_doc_get(s->config, key);
    double value = usual;

    if (node == NULL)
        return (float)usual;
    if (!dfx_doc_number(node, &value) || !(value >= min && value <= max)) {
        dfx_setting_fail(s, "\"%s\" is not a number from %g to %g", key, min,
                         max);
        return (float)usual;
    }
    return (float)value;
}

bool
dfx_setting_bool(dfx_settings *s, const char *key, bool usual)
{
    const cJSON *node = dfx_doc_get(s->config, key);

    if (node == NULL)
        return usual;
    if (!cJSON_IsBool(node) && !cJSON_IsNull(node))
        dfx_setting_fail(s, "\"%s\" is neither true nor false", key);
    return cJSON_IsTrue(node);
}

const char *
dfx_setting_text(dfx_settings *s, const char *key, const char *usual)
{
    const cJSON *node = dfx_doc_get(s->config, key);

    if (node == NULL)
        return usual;
    if (!cJSON_IsString(node) && !cJSON_IsNull(node))
        dfx_setting_fail(s, "\"%s\" is no text", key);
    return cJSON_GetStringValue(node);
}

/* The items of a list; 0 and a fault if it has too few or too many. */
static size_t
list_size(dfx_settings *s, const cJSON *node, const char *key)
{
    int count = cJSON_GetArraySize(node);

    if (cJSON_IsArray(node) && count > 0 && count <= DFX_SETTING_ITEMS)
        return (size_t)count;
    dfx_setting_fail(s, "\"%s\" is no list of 1 to %d", key, DFX_SETTING_ITEMS);
    return 0;
}

size_t
dfx_setting_counts(dfx_settings *s, const char *key, size_t alike, size_t min,
                   size_t max, size_t items[DFX_SETTING_ITEMS])
{
    const cJSON *node = dfx_doc_get(s->config, key), *item;
    size_t count = 0;
    int64_t value;

    if (dfx_doc_int(node, &value)) {
        for (; count < alike && count < DFX_SETTING_ITEMS; count++)
            items[count] = count_of(s, node, key, min, max);
        return count;
    }
    if (list_size(s, node, key) > 0)
        cJSON_ArrayForEach(item, node) items[count++] =
            count_of(s, item, key, min, max);
    return count;
}

size_t
dfx_setting_texts(dfx_settings *s, const char *key,
                  const char *items[DFX_SETTING_ITEMS])
{
    const cJSON *node = dfx_doc_get(s->config, key), *item;
    size_t count = 0;

    if (list_size(s, node, key) > 0)
        cJSON_ArrayForEach(item, node)
        {
            if (!cJSON_IsString(item))
                dfx_setting_fail(s, "\"%s\" is no list of texts", key);
            items[count] = cJSON_IsString(item) ? item->valuestring : "";
            count++;
        }
    return count;
}
