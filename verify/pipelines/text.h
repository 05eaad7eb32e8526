/*
 * text.h - prompts through the text encoders of a pipeline
 */
#ifndef DFX_TEXT_H
#define DFX_TEXT_H

#include "model.h"
#include "nets/clip_text.h"
#include "textual_inversion.h"
#include "tokenizers/clip_bpe.h"
#include "values.h"

/* A text encoder with its tokenizer. */
typedef struct dfx_text_encoder {
    dfx_model_component *component; /* borrowed */
    dfx_clip_config config;
    dfx_clip_tokenizer *tokenizer; /* owned; NULL until asked for */
    const char *suffix;            /* "", "_2" */
    float *learned; /* owned: what config.learned is; NULL: none */
} dfx_text_encoder;

/*
 * The encoders of a model. SDXL's take the hidden state before the last of
 * both, side by side, and text_embeds of the second; SD1 and SD2 the last state
 * of the one.
 */
typedef struct dfx_text_encoders {
    dfx_text_encoder items[2]; /* those that there are, in their order */
    size_t count;
    bool penultimate;          /* as SDXL uses them */
    dfx_inversion *inversions; /* owned; prompts are written with them */
    size_t inversion_count;
} dfx_text_encoders;

/* dfx_text_encoders_fini in any case. RUN_MISSING if the model has none. */
DFX_CHECKED dfx_status dfx_text_encoders_init(dfx_text_encoders *encoders,
                                              const dfx_model *model,
                                              dfx_error *err);
void dfx_text_encoders_fini(dfx_text_encoders *encoders);

/* The tokenizer of an encoder, read unless it was. */
DFX_CHECKED dfx_status dfx_text_tokenizer(const dfx_model *model,
                                          dfx_text_encoder *encoder,
                                          dfx_error *err);

/* A file of a textual inversion: its token is one of prompts from now on, in
   the encoders that its vectors fit. RUN_INVERSION if they fit none. */
DFX_CHECKED dfx_status dfx_text_learn(dfx_text_encoders *encoders,
                                      const dfx_model *model, const char *path,
                                      dfx_error *err);

/* What conditions a network. Zeroed is empty; dfx_text_fini. */
typedef struct dfx_text_states {
    float *states; /* owned: [rows, tokens, width] */
    size_t rows, tokens, width;
    float *pooled; /* owned: [rows, pooled_width]; NULL: none */
    size_t pooled_width;
} dfx_text_states;

void dfx_text_states_fini(dfx_text_states *states);

/*
 * Ids of one encoder, [rows, tokens], to what it adds to states. clip_skip as
 * diffusers has it; 0: none. seen (may be NULL) gets what dfx_run_encode says.
 */
DFX_CHECKED dfx_status dfx_text_encode_ids(
    const dfx_text_encoders *encoders, size_t which, const uint32_t *ids,
    size_t rows, size_t tokens, unsigned clip_skip, dfx_text_states *states,
    dfx_values *seen, bool hidden_states, dfx_error *err);
/* A prompt, of one row; prompt_2 is the second encoder's, NULL: the same. */
DFX_CHECKED dfx_status dfx_text_encode(
    dfx_text_encoders *encoders, const dfx_model *model, const char *prompt,
    const char *prompt_2, unsigned clip_skip, dfx_text_states *states,
    dfx_values *seen, bool hidden_states, dfx_error *err);

#endif
