/*
 * codec_rows.h - numbers that codecs are tested with: what no model should have
 */
#ifndef CODEC_ROWS_H
#define CODEC_ROWS_H

#include <float.h>
#include <math.h>

#include "scratch.h"

enum { KINDS = 6 }; /* of importance */

/* A number in -1 .. 1. */
static inline float
uniform(uint64_t *state)
{
    return (float)(int32_t)(uint32_t)(scratch_random(state) >> 16) * 0x1p-31f;
}

/* ---- Rows -----------------------------------------------------------------
 */

/* Makes element i of a row. */
typedef float make_fn(uint64_t *state, int i);

static inline float
make_zero(uint64_t *state, int i)
{
    (void)state;
    (void)i;
    return 0;
}

static inline float
make_negative_zero(uint64_t *state, int i)
{
    (void)state;
    (void)i;
    return -0.0f;
}

static inline float
make_same(uint64_t *state, int i)
{
    (void)state;
    (void)i;
    return -0.1f;
}

static inline float
make_random(uint64_t *state, int i)
{
    (void)i;
    return uniform(state);
}

static inline float
make_subnormal(uint64_t *state, int i)
{
    (void)i;
    return uniform(state) * 0x1p-130f;
}

static inline float
make_least(uint64_t *state, int i)
{
    (void)state;
    return i % 3 == 0 ? 0x1p-149f : i % 3 == 1 ? -0x1p-149f : 0;
}

static inline float
make_tiny(uint64_t *state, int i)
{
    (void)i;
    return uniform(state) * 0x1p-60f;
}

/* Their squares are Inf or nearly, and their sums. */
static inline float
make_huge(uint64_t *state, int i)
{
    (void)i;
    return uniform(state) * 0x1p64f;
}

static inline float
make_greatest(uint64_t *state, int i)
{
    (void)state;
    return i % 2 == 0 ? FLT_MAX : -FLT_MAX;
}

static inline float
make_greatest_alike(uint64_t *state, int i)
{
    (void)state;
    (void)i;
    return -FLT_MAX;
}

static inline float
make_huge_among_tiny(uint64_t *state, int i)
{
    return i % 256 == 77 ? -0x1.8p100f : uniform(state) * 0x1p-100f;
}

static inline float
make_positive_huge(uint64_t *state, int i)
{
    return i % 256 == 77 ? 0x1.8p100f : uniform(state) * 0x1p-100f;
}

static inline float
make_spike(uint64_t *state, int i)
{
    return i % 256 == 200 ? 100 : uniform(state) * 0x1p-10f;
}

/* Every exponent there is. */
static inline float
make_any(uint64_t *state, int i)
{
    (void)i;
    return ldexpf(uniform(state),
                  (int)(scratch_random(state) >> 8 & 255) - 128);
}

typedef struct row_kind {
    const char *name;
    make_fn *make;
} row_kind;

static const row_kind codec_rows[] = {
    {"zeros", make_zero},
    {"negative zeros", make_negative_zero},
    {"one number", make_same},
    {"random", make_random},
    {"subnormal", make_subnormal},
    {"the least subnormals", make_least},
    {"tiny", make_tiny},
    {"huge", make_huge},
    {"the greatest, of both signs", make_greatest},
    {"the greatest, alike", make_greatest_alike},
    {"one huge among tiny", make_huge_among_tiny},
    {"one huge and positive", make_positive_huge},
    {"a spike", make_spike},
    {"of every exponent", make_any},
};
enum { CODEC_ROWS = sizeof codec_rows / sizeof *codec_rows };

/* Weights of columns; false: none. From NOTHING on they count alike. */
enum { NOTHING = 4 };

static inline bool
make_importance(int kind, uint64_t *state, int count, float *importance)
{
    for (int i = 0; i < count; i++)
        switch (kind) {
        case 1:
            importance[i] = 1;
            break;
        case 2:
            importance[i] = fabsf(uniform(state));
            break;
        case 3:
            importance[i] = i % 40 == 0 ? FLT_MAX : 0;
            break;
        case 4:
            importance[i] = 0x1p-149f;
            break;
        default:
            importance[i] = 0;
        }
    return kind != 0;
}

#endif
