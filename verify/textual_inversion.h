/*
 * textual_inversion.h - words that a model learned: vectors for a token
 */
#ifndef DFX_TEXTUAL_INVERSION_H
#define DFX_TEXTUAL_INVERSION_H

#include "tokenizers/clip_bpe.h"

enum {
    DFX_INVERSION_VECTORS = 256, /* of a token; a prompt has room for 75 */
    DFX_INVERSION_WIDTH = 16384,
};

/* What one encoder gets: [count, width], a row a token. */
typedef struct dfx_embedding {
    size_t count, width;
    float *vectors; /* owned */
} dfx_embedding;

/* Zeroed is none. */
typedef struct dfx_inversion {
    char *token;              /* owned */
    dfx_embedding encoder[2]; /* clip_l and clip_g of SDXL, else one; the width
                                 says for whom */
    size_t encoder_count;
    size_t vector_count; /* the same in all encoders */
} dfx_inversion;

/*
 * From a file of any container. Forms: AUTOMATIC1111's string_to_param "*" and
 * emb_params, SDXL's clip_l and clip_g, all named as the file without its
 * folder and suffix (as its users write them; diffusers has the name that is
 * pickled in the former); diffusers' {token: vectors}. Rule RUN_INVERSION.
 */
DFX_CHECKED dfx_status dfx_inversion_open(const char *path, dfx_inversion *out,
                                          dfx_error *err);
void dfx_inversion_fini(dfx_inversion *inversion);

/* The vectors for an encoder of that width, or NULL. Borrowed. */
const dfx_embedding *dfx_inversion_for(const dfx_inversion *inversion,
                                       size_t width);

/*
 * Adds token, token_1, token_2 ... with the ids first, first + 1 ... to the
 * tokenizer. RUN_INVERSION if one of them is there already.
 */
DFX_CHECKED dfx_status dfx_inversion_add(const dfx_inversion *inversion,
                                         dfx_clip_tokenizer *tok,
                                         uint32_t first, dfx_error *err);

/*
 * Appends the prompt, in which each occurrence of the token is "token token_1
 * token_2 ..." if it has several vectors, as diffusers writes it before it
 * encodes. False if memory ran out.
 */
DFX_CHECKED bool dfx_inversion_expand(const dfx_inversion *inversion,
                                      const char *prompt, dfx_text *out);

#endif
