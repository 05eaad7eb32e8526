/*
 * bpe.h - byte-level byte-pair encoding, with ends of words
 *
 * A piece's bytes are symbols of the alphabet that GPT-2 spells bytes with, the
 * last with "</w>"; then the pair of the lowest rank is merged, the leftmost
 * first, until there is none (the tokenizers library 0.23, models/bpe).
 */
#ifndef DFX_BPE_H
#define DFX_BPE_H

#include "memory.h"

enum {
    DFX_BPE_IDS = 1 << 24,   /* ids are below */
    DFX_BPE_TOKENS = 1 << 20 /* the largest known vocabulary has 262,144 */
};

typedef struct dfx_bpe dfx_bpe;

/* Ids that grow. Zeroed is empty; free(items). */
typedef struct dfx_ids {
    uint32_t *items; /* owned */
    size_t count, capacity;
} dfx_ids;

/* False if memory ran out. */
DFX_CHECKED bool dfx_ids_add(dfx_ids *ids, uint32_t id);

/*
 * From vocab.json, {token: id}, and merges.txt, a line "a b" each in the order
 * of ranks ("#version" starts a comment). Nothing is kept of them. Rule
 * RUN_TOKENIZER, and those of JSON.
 */
DFX_CHECKED dfx_status dfx_bpe_new(const char *vocab, size_t vocab_size,
                                   const char *merges, size_t merges_size,
                                   dfx_bpe **out, dfx_error *err);
void dfx_bpe_free(dfx_bpe *bpe); /* NULL is fine */

/* The id of a token, as the vocabulary spells it. */
bool dfx_bpe_find(const dfx_bpe *bpe, const char *token, size_t size,
                  uint32_t *id);

/*
 * Appends the ids of a piece; a byte that the vocabulary lacks is unknown.
 * n log n. False if memory ran out.
 */
DFX_CHECKED bool dfx_bpe_encode(const dfx_bpe *bpe, const char *piece,
                                size_t size, uint32_t unknown, dfx_ids *ids);

#endif
