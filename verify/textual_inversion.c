/*
 * textual_inversion.c - words that a model learned: vectors for a token
 */
#include <config.h>

#include "textual_inversion.h"

#include "index.h"
#include "types.h"

#include <stdlib.h>
#include <string.h>

void
dfx_inversion_fini(dfx_inversion *inversion)
{
    for (size_t i = 0; i < inversion->encoder_count; i++)
        free(inversion->encoder[i].vectors);
    free(inversion->token);
    *inversion = (dfx_inversion){0};
}

/* ---- Reading --------------------------------------------------------------
 */

/* Names of tensors that a form has, in the order of the encoders. The second of
   AUTOMATIC1111's is that of a ParameterDict, which old versions saved. */
static const char *const forms[][2] = {
    {"string_to_param.*"},
    {"string_to_param._parameters.*"},
    {"emb_params"},
    {"clip_l", "clip_g"},
};

/* The tensors of the form that the index has; none: 0. */
static size_t
find_form(const dfx_index *index, const dfx_tensor *found[2])
{
    for (size_t f = 0; f < sizeof forms / sizeof *forms; f++) {
        size_t count = 0;

        for (size_t i = 0; i < 2 && forms[f][i] != NULL; i++) {
            const dfx_tensor *t = dfx_index_find(index, 0, forms[f][i]);

            if (t != NULL)
                found[count++] = t;
        }
        if (count > 0)
            return count;
    }
    return 0;
}

static dfx_status
check_tensor(const dfx_tensor *t, dfx_error *err)
{
    dfx_status status = DFX_OK;

    if (dfx_type_class(t->type) != DFX_CLASS_FLOAT ||
        !dfx_type_castable(t->type, DFX_TYPE_F32) ||
        dfx_type_size(t->type) == 0 || t->composite != NULL)
        status = dfx_fail(err, DFX_RULE_RUN_INVERSION, DFX_NO_OFFSET,
                          "learned vectors are of type %s, which is no float",
                          dfx_type_name(t->type));
    else if (t->rank < 1 || t->rank > 2 || t->shape[t->rank - 1] == 0 ||
             t->shape[t->rank - 1] > DFX_INVERSION_WIDTH ||
             (t->rank == 2 &&
              (t->shape[0] == 0 || t->shape[0] > DFX_INVERSION_VECTORS)))
        status = dfx_fail(err, DFX_RULE_RUN_INVERSION, DFX_NO_OFFSET,
                          "learned vectors are not 1 to %d of 1 to %d numbers",
                          DFX_INVERSION_VECTORS, DFX_INVERSION_WIDTH);
    if (status != DFX_OK)
        dfx_error_in_tensor(err, t->name);
    return status;
}

static dfx_status
read_vectors(const dfx_tensor *t, dfx_embedding *e, dfx_error *err)
{
    unsigned char *raw;
    size_t numbers;
    dfx_status status = check_tensor(t, err);

    if (status != DFX_OK)
        return status;
    e->count = t->rank == 2 ? (size_t)t->shape[0] : 1;
    e->width = (size_t)t->shape[t->rank - 1];
    numbers = e->count * e->width;
    e->vectors = calloc(numbers, sizeof *e->vectors);
    raw = calloc(numbers, dfx_type_size(t->type));
    status = e->vectors != NULL && raw != NULL
                 ? dfx_extent_read(&t->data, 0, raw,
                                   numbers * dfx_type_size(t->type), err)
                 : dfx_fail_nomem(err);
    if (status == DFX_OK)
        dfx_cast(t->type, DFX_TYPE_F32, raw, e->vectors, numbers);
    free(raw);
    return status;
}

/* "style" of "folder/style.pt". */
static char *
stem_of(const char *path)
{
    const char *slash = strrchr(path, '/');
    const char *name = slash != NULL ? slash + 1 : path;
    const char *dot = strrchr(name, '.');

    return strndup(name, dot != NULL && dot > name ? (size_t)(dot - name)
                                                   : strlen(name));
}

static dfx_status
read_index(const dfx_index *index, const char *path, dfx_inversion *out,
           dfx_error *err)
{
    const dfx_tensor *found[2] = {0};
    size_t count = find_form(index, found);
    bool is_named = count == 0 && index->tensor_count == 1;

    if (is_named)
        found[count++] = &index->tensors[0];
    if (count == 0)
        return dfx_fail(err, DFX_RULE_RUN_INVERSION, DFX_NO_OFFSET,
                        "no textual inversion: neither string_to_param, "
                        "emb_params, clip_l nor one tensor alone");
    out->token = is_named ? strdup(found[0]->name) : stem_of(path);
    if (out->token == NULL)
        return dfx_fail_nomem(err);
    for (size_t i = 0; i < count; i++) {
        out->encoder_count = i + 1;
        DFX_TRY(read_vectors(found[i], &out->encoder[i], err));
    }
    out->vector_count = out->encoder[0].count;
    if (out->encoder[count - 1].count != out->vector_count)
        return dfx_fail(err, DFX_RULE_RUN_INVERSION, DFX_NO_OFFSET,
                        "%zu learned vectors for one encoder and %zu for the "
                        "other",
                        out->vector_count, out->encoder[count - 1].count);
    return DFX_OK;
}

dfx_status
dfx_inversion_open(const char *path, dfx_inversion *out, dfx_error *err)
{
    dfx_index *index = NULL;
    dfx_status status;

    *out = (dfx_inversion){0};
    DFX_TRY(dfx_open(path, NULL, &index, err));
    status = read_index(index, path, out, err);
    if (status != DFX_OK) {
        dfx_error_in_file(err, path);
        dfx_inversion_fini(out);
    }
    dfx_index_free(index);
    return status;
}

const dfx_embedding *
dfx_inversion_for(const dfx_inversion *inversion, size_t width)
{
    for (size_t i = 0; i < inversion->encoder_count; i++)
        if (inversion->encoder[i].width == width)
            return &inversion->encoder[i];
    return NULL;
}

/* ---- Tokens ---------------------------------------------------------------
 */

/* The name of vector i. */
static void
put_token(const dfx_inversion *inversion, size_t i, dfx_text *out)
{
    dfx_text_puts(out, inversion->token);
    if (i > 0)
        dfx_text_printf(out, "_%zu", i);
}

dfx_status
dfx_inversion_add(const dfx_inversion *inversion, dfx_clip_tokenizer *tok,
                  uint32_t first, dfx_error *err)
{
    dfx_status status = DFX_OK;

    for (size_t i = 0; status == DFX_OK && i < inversion->vector_count; i++) {
        dfx_text name = {0};

        put_token(inversion, i, &name);
        if (name.failed)
            status = dfx_fail_nomem(err);
        else if (dfx_clip_has_token(tok, name.data))
            status =
                dfx_fail(err, DFX_RULE_RUN_INVERSION, DFX_NO_OFFSET,
                         "the tokenizer has a token \"%s\" already", name.data);
        else
            status =
                dfx_clip_add_token(tok, name.data, first + (uint32_t)i, err);
        dfx_text_fini(&name);
    }
    return status;
}

bool
dfx_inversion_expand(const dfx_inversion *inversion, const char *prompt,
                     dfx_text *out)
{
    size_t size = strlen(inversion->token);
    const char *at = prompt;

    for (const char *hit; size > 0 && inversion->vector_count > 1 &&
                          (hit = strstr(at, inversion->token)) != NULL;
         at = hit + size) {
        dfx_text_add(out, at, (size_t)(hit - at));
        for (size_t i = 0; i < inversion->vector_count; i++) {
            dfx_text_puts(out, i > 0 ? " " : "");
            put_token(inversion, i, out);
        }
    }
    dfx_text_puts(out, at);
    return !out->failed;
}
