/*
 * clip_text.h - CLIPTextModel and CLIPTextModelWithProjection
 */
#ifndef DFX_CLIP_TEXT_H
#define DFX_CLIP_TEXT_H

#include "net.h"
#include "settings.h"

enum { DFX_CLIP_LAYERS = 64 }; /* the largest known, bigG, has 32 */

typedef struct dfx_clip_config {
    size_t layers, heads;
    float eps;
    dfx_activation act;
    uint32_t eos; /* 2: the pooled position is that of the largest id */
    /* Rows for ids past the table's, of textual inversions. Not in the
       config: who has some sets them. */
    const float *learned; /* [learned_count, learned_width]; borrowed; NULL */
    size_t learned_count, learned_width;
    uint32_t learned_first; /* the id of the first */
} dfx_clip_config;

/* From a config.json; nothing is learned. */
DFX_CHECKED dfx_status dfx_clip_configure(dfx_clip_config *config,
                                          const cJSON *document,
                                          dfx_error *err);

typedef struct dfx_clip_output {
    dfx_array hidden[DFX_CLIP_LAYERS + 1]; /* before the final norm: embeddings,
                                              then the output of each layer:
                                              [batch, tokens, width] */
    dfx_array last;   /* [batch, tokens, width], final-normed */
    dfx_array pooled; /* [batch, width] of last */
    dfx_array embeds; /* [batch, projection]; empty if the model has none */
} dfx_clip_output;

/* ids [batch, tokens], all of them below the vocabulary's size, or learned. */
void dfx_clip_text(dfx_net *net, const dfx_clip_config *config,
                   const uint32_t *ids, size_t batch, size_t tokens,
                   dfx_clip_output *out);

/* The final norm of a hidden state: what clip_skip uses of SD1 and SD2. */
dfx_array dfx_clip_final(dfx_net *net, const dfx_clip_config *config,
                         dfx_array hidden);

#endif
