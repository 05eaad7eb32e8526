/*
 * identify.c - from an index to what it is
 *
 * Parts are found (find.c), the set and the names chosen (choose.c), configs,
 * evidence and warnings written (describe.c). Nothing is a default: what no
 * table knows is "unknown".
 */
#include <config.h>

#include "identify.h"

#include <stdlib.h>
#include <string.h>

#include "document.h"

static dfx_status
copy_options(dfx_identity *identity, const dfx_identify_options *options,
             dfx_error *err)
{
    static const dfx_identify_options none;
    dfx_identify_options *copy =
        dfx_arena_alloc(&identity->arena, sizeof *copy);

    if (copy == NULL)
        return dfx_fail_nomem(err);
    *copy = options != NULL ? *options : none;
    identity->options = copy;
    return DFX_OK;
}

dfx_status
dfx_residue_parse(const dfx_index *index, uint32_t component, cJSON **doc,
                  dfx_error *err)
{
    const char *text = dfx_index_find_meta(index, component, DFX_RESIDUE_KEY);
    cJSON *made = NULL;
    int64_t schema;
    dfx_status status;

    *doc = NULL;
    if (text == NULL)
        return DFX_OK;
    status = dfx_doc_parse(text, strlen(text), DFX_RESIDUE_KEY, &made, err);
    if (status == DFX_ERR_NOMEM)
        return status;
    if (status == DFX_OK && dfx_doc_int(dfx_doc_get(made, "schema"), &schema) &&
        schema == DFX_RESIDUE_SCHEMA)
        *doc = made;
    else
        cJSON_Delete(made);
    return DFX_OK;
}

const cJSON *
dfx_identity_kept(const dfx_identity *identity, const char *path)
{
    return dfx_doc_get(dfx_doc_get(identity->residue, "documents"), path);
}

static dfx_status
identify(dfx_identity *identity, const dfx_identify_options *options,
         dfx_error *err)
{
    DFX_TRY(copy_options(identity, options, err));
    DFX_TRY(dfx_residue_parse(identity->index, 0, &identity->residue, err));
    DFX_TRY(dfx_identity_find_parts(identity, err));
    DFX_TRY(dfx_identity_choose(identity, err));
    return dfx_identity_describe(identity, err);
}

dfx_status
dfx_identify(const dfx_index *index, const dfx_identify_options *options,
             dfx_identity **identity, dfx_error *err)
{
    dfx_identity *made = calloc(1, sizeof *made);
    dfx_status status;

    if (made == NULL)
        return dfx_fail_nomem(err);
    made->index = index;
    status = identify(made, options, err);
    if (status != DFX_OK) {
        dfx_error_in_file(err, index->path);
        dfx_identity_free(made);
        return status;
    }
    *identity = made;
    return DFX_OK;
}
