/*
 * search.h - scales for which few codes say numbers best
 *
 * The searches of ggml's quantizers (ggml-quants.c of d99724f), step by step:
 * each operation in float, sums in the order of the elements.
 */
#ifndef DFX_SEARCH_H
#define DFX_SEARCH_H

#include <stdbool.h>
#include <stdint.h>

enum {
    DFX_SEARCH_MAX = 32,  /* numbers at once */
    DFX_SEARCH_ROUNDS = 5 /* of improving single codes, at most */
};

/* To the nearest integer, ties to even; what is beyond 2^22 is as good as that.
 */
static inline int
dfx_nearest_int(float v)
{
    const float magic = 12582912.0f; /* 1.5 * 2^23: the sum has no fraction */

    if (!(v > -4194304.0f))
        return -4194304;
    if (v > 4194303.0f)
        return 4194303;
    return (int)((v + magic) - magic);
}

static inline int
dfx_nearest_code(float v, int least, int most)
{
    int code = dfx_nearest_int(v);

    return code < least ? least : code > most ? most : code;
}

/*
 * Weights that no sum makes infinite, and none that is 0: where nothing counts,
 * all counts alike. What is in between stays as it is, to the bit.
 */
static inline float
dfx_sane_weight(float importance)
{
    if (!(importance > 0x1p-60f))
        return 0x1p-60f;
    return importance < 0x1p60f ? importance : 0x1p60f;
}

/*
 * False of numbers beyond what any block with a half as its scale can say. The
 * sums of their squares may be infinite, and then a search finds anything.
 */
static inline bool
dfx_searchable(int count, const float *x)
{
    for (int i = 0; i < count; i++)
        if (!(x[i] < 0x1p32f && x[i] > -0x1p32f))
            return false;
    return true;
}

/* count numbers as scale * code, codes -n .. n - 1. Returns the scale. */
float dfx_search_symmetric(int count, int n, const float *x,
                           const float *weights, int8_t *codes);

/* What is tried: inverse scales (least + step * k + most code) / range. */
typedef struct dfx_ranged_search {
    float least, step;
    int steps;
    bool absolute; /* errors count as they are, not squared */
} dfx_ranged_search;

/* count numbers as scale * code - *min, codes 0 .. most. Returns the scale;
 *min is not negative. */
float dfx_search_ranged(int count, int most, const float *x,
                        const float *weights, const dfx_ranged_search *search,
                        uint8_t *codes, float *min);

/* count numbers, of which negative ones do not count, as scale * code, codes
   0 .. most. Returns the scale. */
float dfx_search_positive(int count, int most, const float *x,
                          const float *weights, uint8_t *codes);

/* count numbers as scale * code, codes -4 .. 3, weighed by their squares. */
float dfx_search_three_bits(int count, const float *x, int8_t *codes);

#endif
