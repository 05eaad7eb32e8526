/*
 * iq_block.h - a block on its way to an IQ type, and how its scales are found
 */
#ifndef DFX_IQ_BLOCK_H
#define DFX_IQ_BLOCK_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "codecs/hull.h"

enum {
    DFX_IQ_ELEMENTS = 256,
    DFX_IQ_GROUPS = 16,
    DFX_IQ_ROWS = 64,
    DFX_IQ_CELLS = 64,
    DFX_IQ_WAYS = 2
};

/*
 * A row of iq.def. A group has a scale. A cell is where one choice is made
 * between two ways of saying it: by levels moved up or down (IQ1), or, of two
 * rows whose signs are even together, by which of them has the wrong sign
 * (IQ3_XXS).
 */
typedef struct dfx_iq_type {
    dfx_grid grid;
    int group, cell, ways; /* elements; elements; 1 or 2 */
    bool with_signs;       /* levels are positive and signs are kept apart */
    bool even;             /* the eighth sign makes their number even */
    int scales;            /* codes of a scale; c is (2c + 1) * unit */
    float unit;
    const int8_t *levels; /* by code */
    float shift; /* of levels: up in the first way, down in the other */
} dfx_iq_type;

/* A block on its way. */
typedef struct dfx_iq_block {
    const dfx_iq_type *type;
    float levels[DFX_IQ_WAYS][8]; /* by way and code */
    float x[DFX_IQ_ELEMENTS],
        weights[DFX_IQ_ELEMENTS];  /* magnitudes if with_signs */
    int exponent;                  /* the numbers are x * 2^exponent */
    bool odd[DFX_IQ_ELEMENTS / 8]; /* one of these signs must be wrong */
    dfx_hull hulls[DFX_IQ_WAYS][DFX_IQ_ROWS]; /* count 0: no such way */
    float best[DFX_IQ_GROUPS];                /* scale of the group by itself */
    /* What is chosen. */
    int scales[DFX_IQ_GROUPS], ways[DFX_IQ_CELLS];
    unsigned rows[DFX_IQ_ROWS];
    uint8_t signs[DFX_IQ_ELEMENTS / 8];
    uint8_t half[2]; /* scale of the block */
} dfx_iq_block;

typedef struct dfx_iq_sums {
    float product, square; /* as in hull.h */
} dfx_iq_sums;

/* What a scale lessens the error by. */
static inline float
dfx_iq_gain(dfx_iq_sums s, float scale)
{
    return scale * (2 * s.product - scale * s.square);
}

/* The best scale for what was chosen; 0: none is. */
static inline float
dfx_iq_scale_of(dfx_iq_sums s)
{
    return s.product > 0 && s.square > 0 ? s.product / s.square : 0;
}

/* What finds the scales, plain or at a level. The same bits of all. */
typedef struct dfx_iq_search {
    dfx_hull_find_fn *find_hull;
    /* That of the block, before it becomes a half, from its hulls. */
    float (*scale_of_block)(dfx_iq_block *b);
    /* The codes of its groups, for the half that is kept. */
    void (*code_groups)(dfx_iq_block *b, float d);
} dfx_iq_search;

/* dfx_encode_fn, with a search. */
#define IQ(name, ...)                                                          \
    bool dfx_iq_encode_##name(const dfx_iq_search *search,                     \
                              const float *numbers, const float *importance,   \
                              uint8_t *blocks, size_t count);
#include "codecs/iq.def"
#undef IQ

#endif
