/*
 * clip_text.c - CLIPTextModel and CLIPTextModelWithProjection
 *
 * transformers 5.23, models/clip/modeling_clip.py. Files name keys with
 * "text_model." before them, or, since transformers 5, without.
 */
#include <config.h>

#include "nets/clip_text.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

dfx_status
dfx_clip_configure(dfx_clip_config *config, const cJSON *document,
                   dfx_error *err)
{
    dfx_settings s = {.config = document, .err = err};
    const char *act = dfx_setting_text(&s, "hidden_act", "quick_gelu");

    config->layers =
        dfx_setting_count(&s, "num_hidden_layers", 12, 1, DFX_CLIP_LAYERS);
    config->heads = dfx_setting_count(&s, "num_attention_heads", 8, 1, 4096);
    config->eps = dfx_setting_number(&s, "layer_norm_eps", 1e-5, 0.0, 1.0);
    config->eos =
        (uint32_t)dfx_setting_count(&s, "eos_token_id", 49407, 0, UINT32_MAX);
    config->learned = NULL;
    config->learned_count = 0;
    config->act = DFX_ACT_QUICK_GELU;
    if (act != NULL && strcmp(act, "gelu") == 0)
        config->act = DFX_ACT_GELU;
    else if (act == NULL || strcmp(act, "quick_gelu") != 0)
        dfx_setting_refuse(&s, "hidden_act");
    if (dfx_setting_bool(&s, "use_attention_mask", false))
        dfx_setting_refuse(&s, "use_attention_mask");
    return s.status;
}

static const char *
front_of(const dfx_net *net)
{
    return dfx_net_has(net, "text_model.final_layer_norm.weight")
               ? "text_model."
               : "";
}

/* x [batch, tokens, width] */
static dfx_array
attention(dfx_net *net, const dfx_clip_config *config, dfx_array x,
          const char *layer)
{
    dfx_array q = dfx_linear(net, x, "%s.self_attn.q_proj", layer);
    dfx_array k = dfx_linear(net, x, "%s.self_attn.k_proj", layer);
    dfx_array v = dfx_linear(net, x, "%s.self_attn.v_proj", layer);

    x = dfx_linear(net, dfx_attend(net, q, k, v, config->heads, true),
                   "%s.self_attn.out_proj", layer);
    return dfx_net_show(net, x, "%s.self_attn", layer);
}

static dfx_array
mlp(dfx_net *net, const dfx_clip_config *config, dfx_array x, const char *layer)
{
    x = dfx_linear(net, x, "%s.mlp.fc1", layer);
    x = dfx_activate(net, x, config->act);
    dfx_net_show(net, x, "%s.mlp.activation_fn", layer);
    x = dfx_linear(net, x, "%s.mlp.fc2", layer);
    return dfx_net_show(net, x, "%s.mlp", layer);
}

static dfx_array
encoder_layer(dfx_net *net, const dfx_clip_config *config, dfx_array x,
              const char *layer)
{
    size_t mark = dfx_net_mark(net);
    dfx_array n = dfx_layer_norm(net, x, config->eps, "%s.layer_norm1", layer);
    dfx_array h = dfx_add(net, attention(net, config, n, layer), x);

    n = dfx_layer_norm(net, h, config->eps, "%s.layer_norm2", layer);
    h = dfx_add(net, mlp(net, config, n, layer), h);
    return dfx_net_show(net, dfx_net_keep(net, mark, h), "%s", layer);
}

/* Which learned row an id has; learned_count: none. */
static size_t
learned_row(const dfx_clip_config *config, uint32_t id)
{
    return id >= config->learned_first &&
                   id - config->learned_first < config->learned_count
               ? id - config->learned_first
               : config->learned_count;
}

static void
put_learned(dfx_net *net, const dfx_clip_config *config, const uint32_t *ids,
            dfx_array x)
{
    size_t width = config->learned_width;

    if (net->status == DFX_OK && x.shape[2] != width)
        dfx_net_unfit(net, "what was learned is %zu numbers wide, tokens %zu",
                      width, x.shape[2]);
    for (size_t i = 0; net->status == DFX_OK && i < x.count / width; i++) {
        size_t row = learned_row(config, ids[i]);

        if (row < config->learned_count)
            dfx_net_done(net, net->backend->write(
                                  x.data + i * width,
                                  config->learned + row * width,
                                  width * sizeof *x.data));
    }
}

/* Rows of the table, and of what was learned besides. */
static dfx_array
embed_tokens(dfx_net *net, const dfx_clip_config *config, const uint32_t *ids,
             size_t batch, size_t tokens, const char *front)
{
    uint32_t *known;
    dfx_array x = {0};

    if (config->learned_count == 0)
        return dfx_embed(net, ids, batch, tokens,
                         "%sembeddings.token_embedding", front);
    known = calloc(batch * tokens + 1, sizeof *known);
    dfx_net_done(net, known != NULL);
    if (known == NULL)
        return x;
    for (size_t i = 0; i < batch * tokens; i++)
        if (learned_row(config, ids[i]) == config->learned_count)
            known[i] = ids[i];
    x = dfx_embed(net, known, batch, tokens, "%sembeddings.token_embedding",
                  front);
    free(known);
    put_learned(net, config, ids, x);
    return x;
}

/* Tokens and the places that they have. */
static dfx_array
embeddings(dfx_net *net, const dfx_clip_config *config, const uint32_t *ids,
           size_t batch, size_t tokens)
{
    const char *front = front_of(net);
    dfx_array x = embed_tokens(net, config, ids, batch, tokens, front);
    dfx_array places =
        dfx_net_weight(net, "%sembeddings.position_embedding.weight", front);

    if (net->status == DFX_OK &&
        (places.rank != 2 || places.shape[0] < tokens ||
         places.shape[1] != x.shape[2]))
        dfx_net_unfit(net, "there are %zu tokens and %zu places for them",
                      tokens, places.shape[0]);
    for (size_t b = 0; b < batch && net->status == DFX_OK; b++) {
        float *row = x.data + b * tokens * x.shape[2];

        dfx_net_done(
            net, net->backend->add(row, row, places.data, tokens * x.shape[2]));
    }
    return dfx_net_show(net, x, "%sembeddings", front);
}

/* Where the pooled output is: the first eos, or the first of the largest id
   where the config says 2, as those before transformers 4.24 all do. */
static size_t
pooled_at(const uint32_t *ids, size_t tokens, uint32_t eos)
{
    size_t at = 0;

    for (size_t i = 0; i < tokens; i++) {
        if (eos != 2 && ids[i] == eos)
            return i;
        if (eos == 2 && ids[i] > ids[at])
            at = i;
    }
    return at;
}

static dfx_array
pooled(dfx_net *net, dfx_array x, const uint32_t *ids, uint32_t eos)
{
    size_t tokens = x.shape[1], width = x.shape[2];
    dfx_array out = dfx_net_new(net, 2, (size_t[]){x.shape[0], width});

    for (size_t b = 0; b < x.shape[0] && net->status == DFX_OK; b++) {
        size_t at = pooled_at(ids + b * tokens, tokens, eos);

        dfx_net_done(net, net->backend->copy(out.data + b * width, width,
                                             x.data + (b * tokens + at) * width,
                                             width, 1, width));
    }
    return out;
}

dfx_array
dfx_clip_final(dfx_net *net, const dfx_clip_config *config, dfx_array hidden)
{
    return dfx_layer_norm(net, hidden, config->eps, "%sfinal_layer_norm",
                          front_of(net));
}

void
dfx_clip_text(dfx_net *net, const dfx_clip_config *config, const uint32_t *ids,
              size_t batch, size_t tokens, dfx_clip_output *out)
{
    *out = (dfx_clip_output){0};
    out->hidden[0] = embeddings(net, config, ids, batch, tokens);
    for (size_t i = 0; i < config->layers; i++) {
        char layer[DFX_NET_NAME / 2];

        snprintf(layer, sizeof layer, "%sencoder.layers.%zu", front_of(net), i);
        out->hidden[i + 1] = encoder_layer(net, config, out->hidden[i], layer);
    }
    dfx_net_show(net, out->hidden[config->layers], "%sencoder", front_of(net));
    out->last = dfx_clip_final(net, config, out->hidden[config->layers]);
    if (front_of(net)[0] != '\0')
        dfx_net_show(net, out->last, "text_model");
    out->pooled = pooled(net, out->last, ids, config->eos);
    if (dfx_net_has(net, "text_projection.weight"))
        out->embeds = dfx_linear(net, out->pooled, "text_projection");
}
