/*
 * fields.c - writing derived fields into a config.json
 */
#include <config.h>

#include "fields.h"

#include <string.h>

/* Whether a field of that value has to be written. */
static bool
wanted(dfx_fields *fields, const char *key, const cJSON *node,
       const char *usual)
{
    cJSON *plain = NULL;
    bool differs;

    if (fields->complete || dfx_doc_get(fields->config, key) != NULL)
        return true;
    fields->status =
        dfx_doc_parse(usual, strlen(usual), key, &plain, fields->err);
    if (fields->status != DFX_OK)
        return false;
    differs = !dfx_doc_equal(node, plain);
    cJSON_Delete(plain);
    return differs;
}

void
dfx_field_set(dfx_fields *fields, const char *key, cJSON *node,
              const char *usual)
{
    if (node == NULL && fields->status == DFX_OK)
        fields->status = dfx_fail_nomem(fields->err);
    if (fields->status != DFX_OK || !wanted(fields, key, node, usual)) {
        cJSON_Delete(node);
        return;
    }
    if (!dfx_doc_set(fields->config, key, node))
        fields->status = dfx_fail_nomem(fields->err);
}

void
dfx_field_fill(dfx_fields *fields, const char *key, cJSON *node,
               const char *usual)
{
    if (node != NULL && dfx_doc_get(fields->config, key) != NULL)
        cJSON_Delete(node);
    else
        dfx_field_set(fields, key, node, usual);
}

void
dfx_field_int(dfx_fields *fields, const char *key, const char *fact,
              const char *usual)
{
    dfx_field_set(fields, key,
                  dfx_doc_new_int(dfx_facts_get(fields->facts, fact, 0, 0)),
                  usual);
}

void
dfx_field_int_or_null(dfx_fields *fields, const char *key, const char *fact,
                      const char *usual)
{
    int64_t value = dfx_facts_get(fields->facts, fact, 0, 0);

    dfx_field_set(fields, key,
                  value != 0 ? dfx_doc_new_int(value) : cJSON_CreateNull(),
                  usual);
}

void
dfx_field_bool(dfx_fields *fields, const char *key, bool value,
               const char *usual)
{
    dfx_field_set(fields, key, cJSON_CreateBool(value), usual);
}

void
dfx_field_text(dfx_fields *fields, const char *key, const char *text,
               const char *usual)
{
    dfx_field_set(fields, key,
                  text != NULL ? cJSON_CreateString(text) : cJSON_CreateNull(),
                  usual);
}

void
dfx_field_list(dfx_fields *fields, const char *key, const char *fact,
               int64_t count, const char *usual)
{
    cJSON *list = cJSON_CreateArray();

    for (int64_t i = 0; i < count && list != NULL; i++) {
        cJSON *item = dfx_doc_new_int(dfx_facts_get(fields->facts, fact, i, 0));

        if (item == NULL || !cJSON_AddItemToArray(list, item)) {
            cJSON_Delete(item);
            cJSON_Delete(list);
            list = NULL;
        }
    }
    dfx_field_set(fields, key, list, usual);
}
