/*
 * clip_bpe.h - CLIP's tokenizer, as transformers 5 runs it
 *
 * No ftfy, no HTML: added tokens are cut out, the rest is normalised (NFC,
 * white space, lower case) and split into words, single numbers and runs of
 * signs, which byte-pair encoding turns into ids.
 */
#ifndef DFX_CLIP_BPE_H
#define DFX_CLIP_BPE_H

#include "document.h"

/* Of a prompt, in bytes. */
enum { DFX_CLIP_TEXT = 1 << 17 };

typedef struct dfx_clip_tokenizer dfx_clip_tokenizer;

typedef struct dfx_clip_special {
    uint32_t bos, eos, pad;
    size_t length; /* model_max_length; 77 if no file says */
} dfx_clip_special;

/*
 * From the texts of vocab.json and merges.txt; config is tokenizer_config.json
 * and map special_tokens_map.json, whose tokens win. Either may be NULL; what
 * no file says is as in the class. Nothing is kept of them. A special token
 * given as an object with "normalized" is found in normalised text, one that is
 * a bare text only as it stands. Rules RUN_TOKENIZER, RUN_UNSUPPORTED and those
 * of JSON.
 */
DFX_CHECKED dfx_status dfx_clip_tokenizer_new(
    const char *vocab, size_t vocab_size, const char *merges,
    size_t merges_size, const cJSON *config, const cJSON *map,
    dfx_clip_tokenizer **out, dfx_error *err);
/* The same with the vocabulary that all published models have. */
DFX_CHECKED dfx_status dfx_clip_tokenizer_embedded(const cJSON *config,
                                                   const cJSON *map,
                                                   dfx_clip_tokenizer **out,
                                                   dfx_error *err);
void dfx_clip_tokenizer_free(dfx_clip_tokenizer *tok); /* NULL is fine */

/* Borrowed. */
const dfx_clip_special *dfx_clip_specials(const dfx_clip_tokenizer *tok);

/*
 * A token of textual inversion. As add_tokens of transformers has it, it is
 * found whatever the case: both it and the prompt are normalised. A text that
 * there is already gets the new id.
 */
DFX_CHECKED dfx_status dfx_clip_add_token(dfx_clip_tokenizer *tok,
                                          const char *text, uint32_t id,
                                          dfx_error *err);

/* Whether the text is a token of the vocabulary or an added one. */
bool dfx_clip_has_token(const dfx_clip_tokenizer *tok, const char *text);

/*
 * bos, the ids of the text (UTF-8; may hold NUL), eos; not truncated. *ids is
 * owned: free() it. Takes n log n steps for n bytes, times the added tokens.
 */
DFX_CHECKED dfx_status dfx_clip_encode(const dfx_clip_tokenizer *tok,
                                       const char *text, size_t size,
                                       uint32_t **ids, size_t *count,
                                       dfx_error *err);

/* What dfx_clip_encode gave as the model takes it: out has room for
   dfx_clip_specials(tok)->length ids, which is cut to, eos kept, or padded to.
 */
void dfx_clip_pad(const dfx_clip_tokenizer *tok, const uint32_t *ids,
                  size_t count, uint32_t *out);

#endif
