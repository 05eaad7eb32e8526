/*
 * codec.h - block types: numbers that share a scale
 *
 * Numbers of a row, elements together, become bytes together. The facts are
 * those of ggml d99724f (ggml-common.h, ggml-quants.c). What a person can read
 * is plain C; what is faster (*_lanes.h) is compared with it, byte for byte.
 *
 * All arithmetic is in float, each operation rounded, sums in the order of the
 * elements: the same bytes on every machine.
 */
#ifndef DFX_CODEC_H
#define DFX_CODEC_H

#include "cpu.h"
#include "types.h"

/* count blocks to numbers. */
typedef void dfx_decode_fn(const uint8_t *blocks, float *out, size_t count);
/* Finite numbers, whole blocks of them. importance: a weight for each; NULL:
   all alike. False: some are too large. */
typedef bool dfx_encode_fn(const float *numbers, const float *importance,
                           uint8_t *blocks, size_t count);

typedef struct dfx_codec {
    dfx_unit unit; /* a block */
    dfx_decode_fn *decode;
    dfx_encode_fn *encode; /* NULL: such blocks are only read */
    /* By importance it takes the numbers as a row, whose mean square counts. */
    bool by_row;
} dfx_codec;

/* The older types look at rows; blocks of 256 at no more than themselves. */
#define DFX_CODEC_BY_ROW(elements) ((elements) < 256)

/* NULL: no block type. Static. */
const dfx_codec *dfx_codec_of(dfx_type type);
/* The same at a level that the machine has, for tests. */
const dfx_codec *dfx_codec_at(dfx_cpu level, dfx_type type);

/* In the order of codecs.def: kernels where a level has them, else plain C. */
extern const dfx_codec dfx_codecs_avx2[], dfx_codecs_avx512[];

/* ---- What codecs.def names, each in a file of its kind ------------------- */

#define CODEC(name, id, elements, bytes, alias, decoder, encoder)              \
    dfx_decode_fn dfx_decode_##name;
#include "codecs/codecs.def"
#undef CODEC

dfx_encode_fn dfx_encode_IQ1_M;
dfx_encode_fn dfx_encode_IQ1_S;
dfx_encode_fn dfx_encode_IQ2_S;
dfx_encode_fn dfx_encode_IQ2_XS;
dfx_encode_fn dfx_encode_IQ2_XXS;
dfx_encode_fn dfx_encode_IQ3_S;
dfx_encode_fn dfx_encode_IQ3_XXS;
dfx_encode_fn dfx_encode_IQ4_NL;
dfx_encode_fn dfx_encode_IQ4_XS;
dfx_encode_fn dfx_encode_MXFP4;
dfx_encode_fn dfx_encode_NVFP4;
dfx_encode_fn dfx_encode_Q1_0;
dfx_encode_fn dfx_encode_Q2_0;
dfx_encode_fn dfx_encode_Q2_K;
dfx_encode_fn dfx_encode_Q3_K;
dfx_encode_fn dfx_encode_Q4_0;
dfx_encode_fn dfx_encode_Q4_1;
dfx_encode_fn dfx_encode_Q4_K;
dfx_encode_fn dfx_encode_Q5_0;
dfx_encode_fn dfx_encode_Q5_1;
dfx_encode_fn dfx_encode_Q5_K;
dfx_encode_fn dfx_encode_Q6_K;
dfx_encode_fn dfx_encode_Q8_0;
dfx_encode_fn dfx_encode_TQ1_0;
dfx_encode_fn dfx_encode_TQ2_0;

#endif
