/*
 * text.c - prompts through the text encoders of a pipeline
 *
 * What a pipeline takes of them is in field terms the table of CLIP encoders of
 * diffusers' encode_prompt (SD1, SD2, SDXL and its refiner).
 */
#include <config.h>

#include "pipelines/text.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const char *const suffixes[] = {"", "_2"};

dfx_status
dfx_text_encoders_init(dfx_text_encoders *encoders, const dfx_model *model,
                       dfx_error *err)
{
    *encoders = (dfx_text_encoders){0};
    for (size_t i = 0; i < 2; i++) {
        dfx_text_encoder *encoder = &encoders->items[encoders->count];
        char name[32];

        snprintf(name, sizeof name, "text_encoder%s", suffixes[i]);
        encoder->component = dfx_model_find(model, name);
        if (encoder->component == NULL)
            continue;
        encoder->suffix = suffixes[i];
        DFX_TRY(dfx_clip_configure(&encoder->config, encoder->component->config,
                                   err));
        encoders->count++;
        encoders->penultimate = encoders->penultimate || i == 1;
    }
    if (encoders->count == 0)
        return dfx_fail(err, DFX_RULE_RUN_MISSING, DFX_NO_OFFSET,
                        "the model has no text encoder");
    return DFX_OK;
}

void
dfx_text_encoders_fini(dfx_text_encoders *encoders)
{
    for (size_t i = 0; i < encoders->count; i++) {
        dfx_clip_tokenizer_free(encoders->items[i].tokenizer);
        free(encoders->items[i].learned);
    }
    for (size_t i = 0; i < encoders->inversion_count; i++)
        dfx_inversion_fini(&encoders->inversions[i]);
    free(encoders->inversions);
    *encoders = (dfx_text_encoders){0};
}

void
dfx_text_states_fini(dfx_text_states *states)
{
    free(states->states);
    free(states->pooled);
    *states = (dfx_text_states){0};
}

/* ---- Tokenizers ---------------------------------------------------------- */

/* The files of a tokenizer's folder; what is not there is NULL. */
typedef struct tokenizer_files {
    char *vocab, *merges;
    size_t vocab_size, merges_size;
    cJSON *config, *map;
} tokenizer_files;

static dfx_status
read_files(const dfx_model *model, const char *suffix, tokenizer_files *f,
           dfx_error *err)
{
    enum { LIMIT = 64 << 20 };
    char path[96];

    snprintf(path, sizeof path, "tokenizer%s/vocab.json", suffix);
    DFX_TRY(dfx_model_read(model, path, LIMIT, &f->vocab, &f->vocab_size, err));
    snprintf(path, sizeof path, "tokenizer%s/merges.txt", suffix);
    DFX_TRY(
        dfx_model_read(model, path, LIMIT, &f->merges, &f->merges_size, err));
    snprintf(path, sizeof path, "tokenizer%s/tokenizer_config.json", suffix);
    DFX_TRY(dfx_model_document(model, path, &f->config, err));
    snprintf(path, sizeof path, "tokenizer%s/special_tokens_map.json", suffix);
    return dfx_model_document(model, path, &f->map, err);
}

dfx_status
dfx_text_tokenizer(const dfx_model *model, dfx_text_encoder *encoder,
                   dfx_error *err)
{
    tokenizer_files f = {0};
    dfx_status status;

    if (encoder->tokenizer != NULL)
        return DFX_OK;
    status = read_files(model, encoder->suffix, &f, err);
    if (status == DFX_OK && f.vocab != NULL && f.merges != NULL)
        status = dfx_clip_tokenizer_new(f.vocab, f.vocab_size, f.merges,
                                        f.merges_size, f.config, f.map,
                                        &encoder->tokenizer, err);
    else if (status == DFX_OK)
        status = dfx_clip_tokenizer_embedded(f.config, f.map,
                                             &encoder->tokenizer, err);
    free(f.vocab);
    free(f.merges);
    cJSON_Delete(f.config);
    cJSON_Delete(f.map);
    return status;
}

/* ---- Textual inversions -------------------------------------------------- */

/* The table of an encoder's tokens, of shape [tokens, width]. */
static dfx_status
find_table(const dfx_text_encoder *encoder, const dfx_expr **table,
           dfx_error *err)
{
    static const char name[] = "text_model.embeddings.token_embedding.weight";
    const dfx_weights *weights = &encoder->component->weights;
    const dfx_weights_entry *entry = dfx_weights_find(weights, name);

    if (entry == NULL) /* as transformers 5 writes it */
        entry = dfx_weights_find(weights, name + strlen("text_model."));
    if (entry == NULL || entry->expr->rank != 2 ||
        entry->expr->shape[0] > UINT32_MAX - (1 << 20))
        return dfx_fail(err, DFX_RULE_RUN_MISSING, DFX_NO_OFFSET,
                        "the text encoder has no table of tokens");
    *table = entry->expr;
    return DFX_OK;
}

/* The vectors for an encoder get the ids past its table's and past what it
   learned before; *fits if there are any. */
static dfx_status
learn(const dfx_model *model, dfx_text_encoder *encoder,
      const dfx_inversion *inversion, bool *fits, dfx_error *err)
{
    dfx_clip_config *config = &encoder->config;
    const dfx_embedding *e;
    const dfx_expr *table = NULL;
    float *learned;
    size_t before = config->learned_count, width;

    DFX_TRY(find_table(encoder, &table, err));
    width = (size_t)table->shape[1];
    e = dfx_inversion_for(inversion, width);
    if (e == NULL)
        return DFX_OK;
    config->learned_width = width;
    config->learned_first = (uint32_t)table->shape[0];
    DFX_TRY(dfx_text_tokenizer(model, encoder, err));
    DFX_TRY(dfx_inversion_add(inversion, encoder->tokenizer,
                              config->learned_first + (uint32_t)before, err));
    learned = reallocarray(encoder->learned, before + e->count,
                           width * sizeof *learned);
    if (learned == NULL)
        return dfx_fail_nomem(err);
    memcpy(learned + before * width, e->vectors,
           e->count * width * sizeof *learned);
    encoder->learned = learned;
    config->learned = learned;
    config->learned_count = before + e->count;
    *fits = true;
    return DFX_OK;
}

dfx_status
dfx_text_learn(dfx_text_encoders *encoders, const dfx_model *model,
               const char *path, dfx_error *err)
{
    dfx_inversion *inversions =
        reallocarray(encoders->inversions, encoders->inversion_count + 1,
                     sizeof *inversions);
    dfx_inversion *own;
    dfx_status status = DFX_OK;
    bool fits = false;

    if (inversions == NULL)
        return dfx_fail_nomem(err);
    encoders->inversions = inversions;
    own = &inversions[encoders->inversion_count];
    DFX_TRY(dfx_inversion_open(path, own, err));
    encoders->inversion_count++;
    for (size_t i = 0; status == DFX_OK && i < encoders->count; i++)
        status = learn(model, &encoders->items[i], own, &fits, err);
    if (status == DFX_OK && !fits)
        status = dfx_fail(err, DFX_RULE_RUN_INVERSION, DFX_NO_OFFSET,
                          "vectors of %zu numbers fit no text encoder of the "
                          "model",
                          own->encoder[0].width);
    if (status != DFX_OK)
        dfx_error_in_file(err, path);
    return status;
}

/* ---- One encoder --------------------------------------------------------- */

static dfx_status
see(dfx_net *net, dfx_values *seen, dfx_array x, const char *name,
    const char *suffix)
{
    float *numbers;
    dfx_status status;

    if (x.data == NULL)
        return net->status;
    numbers = malloc(x.count * sizeof *numbers);
    if (numbers == NULL)
        return dfx_fail_nomem(net->err);
    dfx_net_output(net, x, numbers);
    status = net->status;
    if (status == DFX_OK)
        status = dfx_values_put(seen, net->err, DFX_TYPE_F32, x.rank, x.shape,
                                numbers, "%s%s", name, suffix);
    free(numbers);
    return status;
}

static dfx_status
see_all(dfx_net *net, dfx_values *seen, const dfx_text_encoder *encoder,
        const dfx_clip_output *out, bool hidden_states)
{
    DFX_TRY(see(net, seen, out->last, "last_hidden_state", encoder->suffix));
    DFX_TRY(see(net, seen, out->pooled, "pooler_output", encoder->suffix));
    DFX_TRY(see(net, seen, out->embeds, "text_embeds", encoder->suffix));
    for (size_t i = 0; hidden_states && i <= encoder->config.layers; i++) {
        char name[40];

        snprintf(name, sizeof name, "hidden_states.%zu", i);
        DFX_TRY(see(net, seen, out->hidden[i], name, encoder->suffix));
    }
    return DFX_OK;
}

static dfx_status
see_ids(dfx_values *seen, const uint32_t *ids, size_t rows, size_t tokens,
        const char *suffix, dfx_error *err)
{
    int64_t *wide = malloc(rows * tokens * sizeof *wide);
    dfx_status status;

    if (wide == NULL)
        return dfx_fail_nomem(err);
    for (size_t i = 0; i < rows * tokens; i++)
        wide[i] = ids[i];
    status =
        dfx_values_put(seen, err, DFX_TYPE_I64, 2, (size_t[]){rows, tokens},
                       wide, "input_ids%s", suffix);
    free(wide);
    return status;
}

/* The state that the pipeline takes. */
static dfx_array
chosen_state(dfx_net *net, const dfx_text_encoders *encoders,
             const dfx_text_encoder *encoder, const dfx_clip_output *out,
             unsigned clip_skip)
{
    size_t back = clip_skip + (encoders->penultimate ? 1 : 0);

    if (net->status == DFX_OK && back > encoder->config.layers)
        dfx_net_unfit(net, "a text encoder of %zu layers cannot skip %u",
                      encoder->config.layers, clip_skip);
    if (net->status != DFX_OK)
        return (dfx_array){0};
    if (encoders->penultimate)
        return out->hidden[encoder->config.layers - back];
    return clip_skip == 0
               ? out->last
               : dfx_clip_final(net, &encoder->config,
                                out->hidden[encoder->config.layers - back]);
}

/* Adds state, [rows, tokens, width], beside what states has. */
static dfx_status
join_state(dfx_text_states *states, const float *state, size_t rows,
           size_t tokens, size_t width, dfx_error *err)
{
    size_t before = states->width, all = before + width;
    float *joined;

    if (before > 0 && (states->rows != rows || states->tokens != tokens))
        return dfx_fail(err, DFX_RULE_RUN_SHAPE, DFX_NO_OFFSET,
                        "the text encoders differ in their tokens");
    joined = calloc(rows * tokens, all * sizeof *joined);
    if (joined == NULL)
        return dfx_fail_nomem(err);
    for (size_t i = 0; i < rows * tokens; i++) {
        if (before > 0)
            memcpy(joined + i * all, states->states + i * before,
                   before * sizeof *joined);
        memcpy(joined + i * all + before, state + i * width,
               width * sizeof *joined);
    }
    free(states->states);
    states->states = joined;
    states->rows = rows;
    states->tokens = tokens;
    states->width = all;
    return DFX_OK;
}

/* What states gets of an encoder's output. */
static dfx_status
keep(dfx_net *net, const dfx_text_encoders *encoders, dfx_array state,
     dfx_array pooled, dfx_text_states *states)
{
    float *numbers = malloc(state.count * sizeof *numbers);
    dfx_status status;

    if (numbers == NULL)
        return dfx_fail_nomem(net->err);
    dfx_net_output(net, state, numbers);
    status = net->status;
    if (status == DFX_OK)
        status = join_state(states, numbers, state.shape[0], state.shape[1],
                            state.shape[2], net->err);
    free(numbers);
    if (status != DFX_OK || !encoders->penultimate || pooled.data == NULL)
        return status;
    free(states->pooled);
    states->pooled_width = pooled.shape[1];
    states->pooled = malloc(pooled.count * sizeof *states->pooled);
    if (states->pooled == NULL)
        return dfx_fail_nomem(net->err);
    dfx_net_output(net, pooled, states->pooled);
    return net->status;
}

dfx_status
dfx_text_encode_ids(const dfx_text_encoders *encoders, size_t which,
                    const uint32_t *ids, size_t rows, size_t tokens,
                    unsigned clip_skip, dfx_text_states *states,
                    dfx_values *seen, bool hidden_states, dfx_error *err)
{
    const dfx_text_encoder *encoder = &encoders->items[which];
    dfx_clip_output out = {0};
    dfx_status status = DFX_OK;
    dfx_array state;
    dfx_net net;

    dfx_net_init(&net, &encoder->component->weights, err);
    dfx_clip_text(&net, &encoder->config, ids, rows, tokens, &out);
    state = chosen_state(&net, encoders, encoder, &out, clip_skip);
    status = net.status;
    if (status == DFX_OK && seen != NULL)
        status = see_ids(seen, ids, rows, tokens, encoder->suffix, err);
    if (status == DFX_OK && seen != NULL)
        status = see_all(&net, seen, encoder, &out, hidden_states);
    if (status == DFX_OK)
        status = keep(&net, encoders, state, out.embeds, states);
    dfx_net_fini(&net);
    return status;
}

/* ---- Prompts ------------------------------------------------------------- */

/* The prompt with all tokens of what the encoder learned; free() it. NULL if
   memory ran out. */
static char *
write_out(const dfx_text_encoders *encoders, const dfx_text_encoder *encoder,
          const char *prompt)
{
    char *text = strdup(prompt);

    for (size_t i = 0; text != NULL && i < encoders->inversion_count; i++) {
        const dfx_inversion *inversion = &encoders->inversions[i];
        dfx_text longer = {0};
        bool good;

        if (dfx_inversion_for(inversion, encoder->config.learned_width) == NULL)
            continue;
        good = dfx_inversion_expand(inversion, text, &longer);
        free(text);
        text = good ? longer.data : NULL;
        if (!good)
            dfx_text_fini(&longer);
    }
    return text;
}

static dfx_status
encode_text(dfx_text_encoders *encoders, size_t which, const char *text,
            unsigned clip_skip, dfx_text_states *states, dfx_values *seen,
            bool hidden_states, dfx_error *err)
{
    const dfx_clip_tokenizer *tokenizer = encoders->items[which].tokenizer;
    size_t count = 0, length = dfx_clip_specials(tokenizer)->length;
    uint32_t *ids = NULL, *padded = calloc(length, sizeof *padded);
    dfx_status status;

    if (padded == NULL)
        return dfx_fail_nomem(err);
    status = dfx_clip_encode(tokenizer, text, strlen(text), &ids, &count, err);
    if (status == DFX_OK) {
        dfx_clip_pad(tokenizer, ids, count, padded);
        status =
            dfx_text_encode_ids(encoders, which, padded, 1, length, clip_skip,
                                states, seen, hidden_states, err);
    }
    free(ids);
    free(padded);
    return status;
}

static dfx_status
encode_prompt(dfx_text_encoders *encoders, const dfx_model *model, size_t which,
              const char *prompt, unsigned clip_skip, dfx_text_states *states,
              dfx_values *seen, bool hidden_states, dfx_error *err)
{
    dfx_text_encoder *encoder = &encoders->items[which];
    dfx_status status;
    char *text;

    DFX_TRY(dfx_text_tokenizer(model, encoder, err));
    text = write_out(encoders, encoder, prompt);
    if (text == NULL)
        return dfx_fail_nomem(err);
    status = encode_text(encoders, which, text, clip_skip, states, seen,
                         hidden_states, err);
    free(text);
    return status;
}

dfx_status
dfx_text_encode(dfx_text_encoders *encoders, const dfx_model *model,
                const char *prompt, const char *prompt_2, unsigned clip_skip,
                dfx_text_states *states, dfx_values *seen, bool hidden_states,
                dfx_error *err)
{
    for (size_t i = 0; i < encoders->count; i++) {
        bool second = encoders->items[i].suffix[0] != '\0';

        DFX_TRY(encode_prompt(encoders, model, i,
                              second && prompt_2 != NULL ? prompt_2 : prompt,
                              clip_skip, states, seen, hidden_states, err));
    }
    return DFX_OK;
}
