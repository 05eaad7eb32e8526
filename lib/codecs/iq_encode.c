/*
 * iq_encode.c - numbers to IQ1, IQ2 and IQ3
 *
 * Not ggml's search: ours looks for the least squared error, by importance, and
 * gets nearer. Of each row of numbers the rows of the grid that are best for
 * some scale are found once (hull.h). A scale of the block is then tried with
 * every scale of a group at the cost of comparing a few sums, and improved to
 * the best for what was chosen.
 *
 * All of it on numbers and weights brought near 1 by powers of two, so that no
 * sum is too large or small.
 */
#include <config.h>

#include <math.h>
#include <string.h>

#include "codecs/codec.h"
#include "codecs/grids.h"
#include "codecs/half.h"
#include "codecs/hull.h"
#include "codecs/numbers.h"
#include "codecs/search.h"

enum {
    ELEMENTS = 256,
    MAX_GROUPS = 16,
    MAX_ROWS = 64,
    MAX_CELLS = 64,
    MAX_WAYS = 2
};

/*
 * A row of iq.def. A group has a scale. A cell is where one choice is made
 * between two ways of saying it: by levels moved up or down (IQ1), or, of two
 * rows whose signs are even together, by which of them has the wrong sign
 * (IQ3_XXS).
 */
typedef struct iq_type {
    dfx_grid grid;
    int group, cell, ways; /* elements; elements; 1 or 2 */
    bool with_signs;       /* levels are positive and signs are kept apart */
    bool even;             /* the eighth sign makes their number even */
    int scales;            /* codes of a scale; c is (2c + 1) * unit */
    float unit;
    const int8_t *levels; /* by code */
    float shift; /* of levels: up in the first way, down in the other */
} iq_type;

/* A block on its way. */
typedef struct iq_block {
    const iq_type *type;
    float levels[MAX_WAYS][8];            /* by way and code */
    float x[ELEMENTS], weights[ELEMENTS]; /* magnitudes if with_signs */
    int exponent;                         /* the numbers are x * 2^exponent */
    bool odd[ELEMENTS / 8];               /* one of these signs must be wrong */
    dfx_hull hulls[MAX_WAYS][MAX_ROWS];   /* count 0: no such way */
    float best[MAX_GROUPS];               /* scale of the group by itself */
    /* What is chosen. */
    int scales[MAX_GROUPS], ways[MAX_CELLS];
    unsigned rows[MAX_ROWS];
    uint8_t signs[ELEMENTS / 8];
    uint8_t half[2]; /* scale of the block */
} iq_block;

/* ---- Numbers and weights near 1 -------------------------------------------
 */

/* The exponent e with 2^(e - 1) <= most < 2^e. */
static int
exponent_of(const float *x)
{
    int exponent = 0;

    (void)frexpf(dfx_greatest(ELEMENTS, x), &exponent);
    return exponent;
}

static void
load_numbers(const float *x, const float *importance, iq_block *b)
{
    bool with_signs = b->type->with_signs;
    int exponent;

    b->exponent = exponent_of(x);
    for (int i = 0; i < ELEMENTS; i++) {
        b->x[i] = ldexpf(with_signs ? fabsf(x[i]) : x[i], -b->exponent);
        b->weights[i] = importance != NULL ? dfx_sane_weight(importance[i]) : 1;
    }
    exponent = exponent_of(b->weights);
    for (int i = 0; i < ELEMENTS; i++)
        b->weights[i] = ldexpf(b->weights[i], -exponent);
    for (int i = 0; i < ELEMENTS / 8; i++) {
        unsigned signs = 0;

        for (int j = 0; j < 8; j++)
            signs |= (unsigned)(x[8 * i + j] < 0) << j;
        b->signs[i] = (uint8_t)signs;
        b->odd[i] = b->type->even && __builtin_popcount(signs) % 2 == 1;
    }
}

/* Which row of its cell has the wrong sign; -1: none. */
static int
flipped_row(const iq_block *b, int cell, int way)
{
    return b->odd[cell * b->type->cell / 8] ? way : -1;
}

static void
load_levels(iq_block *b)
{
    const iq_type *t = b->type;

    for (int way = 0; way < MAX_WAYS; way++)
        for (int code = 0; code < 8; code++)
            b->levels[way][code] =
                code < 1 << t->grid.bits
                    ? (float)t->levels[code] + (way == 0 ? t->shift : -t->shift)
                    : 0;
}

static void
find_hulls(iq_block *b)
{
    const iq_type *t = b->type;
    int size = t->grid.elements, rows = t->cell / size;

    for (int way = 0; way < t->ways; way++)
        for (int r = 0; r < ELEMENTS / size; r++) {
            int flipped = flipped_row(b, r / rows, way);

            b->hulls[way][r].count = 0;
            if (way == 0 || !t->even || flipped >= 0)
                dfx_hull_find(&t->grid, b->levels[way], b->x + size * r,
                              b->weights + size * r, flipped == r % rows,
                              &b->hulls[way][r]);
        }
}

/* ---- Scales ----------------------------------------------------------------
 */

typedef struct sums {
    float product, square; /* as in hull.h */
} sums;

/* What a scale lessens the error by. */
static float
gain(sums s, float scale)
{
    return scale * (2 * s.product - scale * s.square);
}

/* The better way of a cell. */
static sums
try_cell(const iq_block *b, int cell, float scale, int *chosen)
{
    int rows = b->type->cell / b->type->grid.elements;
    sums best = {0, 0};

    for (int way = 0; way < b->type->ways; way++) {
        sums s = {0, 0};

        if (b->hulls[way][rows * cell].count == 0)
            continue;
        for (int r = 0; r < rows; r++) {
            const dfx_corner *p =
                dfx_hull_best(&b->hulls[way][rows * cell + r], scale);

            s.product += p->product;
            s.square += p->square;
        }
        if (way == 0 || gain(s, scale) > gain(best, scale)) {
            best = s;
            *chosen = way;
        }
    }
    return best;
}

static sums
try_group(const iq_block *b, int group, float scale)
{
    int cells = b->type->group / b->type->cell;
    sums total = {0, 0};

    for (int i = 0; i < cells; i++) {
        int way = 0;
        sums s = try_cell(b, cells * group + i, scale, &way);

        total.product += s.product;
        total.square += s.square;
    }
    return total;
}

/* The best scale for what was chosen; 0: none is. */
static float
scale_of(sums s)
{
    return s.product > 0 && s.square > 0 ? s.product / s.square : 0;
}

/* A good scale of a group by itself: from those near the greatest number over
   the greatest level, the best, made better. */
static float
scale_of_group(const iq_block *b, int group)
{
    const float *x = b->x + b->type->group * group;
    float most = dfx_greatest(b->type->group, x);
    float top = 0, scale, best = 0, best_gain = 0;

    for (int i = 0; i < 8; i++)
        top = b->levels[0][i] > top ? b->levels[0][i] : top;
    scale = 0.25f * most / top;
    for (int k = 0; k < 26; k++, scale *= 1.1f) {
        sums s = try_group(b, group, scale);

        /* Its own best scale cannot be worse. */
        for (int round = 0; round < 2; round++)
            s = try_group(b, group, scale_of(s));
        if (gain(s, scale_of(s)) > best_gain) {
            best = scale_of(s);
            best_gain = gain(s, best);
        }
    }
    return best;
}

/* The best code first .. last for a group's scale. */
static int
code_of_group(const iq_block *b, int group, float d, int first, int last,
              sums *found)
{
    int best = first;
    float most = -HUGE_VALF;

    for (int code = first; code <= last; code++) {
        float scale = d * b->type->unit * (float)(2 * code + 1);
        sums s = try_group(b, group, scale);

        if (gain(s, scale) > most) {
            most = gain(s, scale);
            best = code;
            *found = s;
        }
    }
    return best;
}

/* Codes of all groups for a scale of the block. nearby: only those next to the
   scale that the group wants. Returns sums for the scale of the block. */
static sums
try_block(iq_block *b, float d, bool nearby)
{
    const iq_type *t = b->type;
    sums total = {0, 0};

    for (int g = 0; g < ELEMENTS / t->group; g++) {
        int first = 0, last = t->scales - 1;
        float factor;
        sums s = {0, 0};

        if (nearby) {
            int code =
                dfx_nearest_code((b->best[g] / (d * t->unit) - 1) / 2, 0, last);

            first = code > 0 ? code - 1 : 0;
            last = code < last ? code + 1 : last;
        }
        b->scales[g] = code_of_group(b, g, d, first, last, &s);
        factor = t->unit * (float)(2 * b->scales[g] + 1);
        total.product += factor * s.product;
        total.square += factor * factor * s.square;
    }
    return total;
}

static float
scale_of_block(iq_block *b)
{
    const iq_type *t = b->type;
    float most = 0, scale, best = 0, best_gain = 0;

    for (int g = 0; g < ELEMENTS / t->group; g++) {
        b->best[g] = scale_of_group(b, g);
        most = b->best[g] > most ? b->best[g] : most;
    }
    if (!(most > 0))
        return 0;
    scale = 0.75f * most / (t->unit * (float)(2 * t->scales - 1));
    for (int k = 0; k < 32; k++, scale *= 1.03f) {
        sums s = try_block(b, scale, true);

        if (gain(s, scale_of(s)) > best_gain) {
            best = scale_of(s);
            best_gain = gain(s, best);
        }
    }
    for (int round = 0; round < 2; round++)
        best = scale_of(try_block(b, best, false));
    return best;
}

/* ---- A block ---------------------------------------------------------------
 */

/* Turns the sign in a row that costs least to be wrong. */
static void
flip(iq_block *b, int row, int way)
{
    const iq_type *t = b->type;
    unsigned codes = t->grid.rows[b->rows[row]];
    unsigned mask = (1u << t->grid.bits) - 1;
    float least = HUGE_VALF;
    int at = 0;

    for (int j = 0; j < t->grid.elements; j++) {
        int i = t->grid.elements * row + j;
        float cost = b->weights[i] * b->x[i] *
                     b->levels[way][codes >> t->grid.bits * j & mask];

        if (cost < least) {
            least = cost;
            at = i;
        }
    }
    b->signs[at / 8] ^= (uint8_t)(1u << at % 8);
}

/* Rows, ways and signs for the scales that are kept. */
static void
choose_rows(iq_block *b, float d)
{
    const iq_type *t = b->type;
    int rows = t->cell / t->grid.elements;

    for (int cell = 0; cell < ELEMENTS / t->cell; cell++) {
        int code = b->scales[cell * t->cell / t->group];
        float scale = d * t->unit * (float)(2 * code + 1);
        int way = 0, flipped;

        (void)try_cell(b, cell, scale, &way);
        b->ways[cell] = way;
        for (int r = rows * cell; r < rows * (cell + 1); r++)
            b->rows[r] = dfx_hull_best(&b->hulls[way][r], scale)->row;
        flipped = flipped_row(b, cell, way);
        if (flipped >= 0)
            flip(b, rows * cell + flipped, way);
    }
}

/* False: numbers are too large. */
static bool
encode_block(const iq_type *type, const float *x, const float *importance,
             iq_block *b)
{
    float d, kept;
    bool fits;

    b->type = type;
    load_levels(b);
    load_numbers(x, importance, b);
    find_hulls(b);
    d = scale_of_block(b);
    fits = dfx_half_store(b->half, ldexpf(d, b->exponent));
    kept = ldexpf(dfx_half_load(b->half), -b->exponent);
    if (kept > 0 && isfinite(kept))
        d = kept;
    (void)try_block(b, d, false);
    choose_rows(b, d);
    return fits && dfx_searchable(ELEMENTS, x);
}

/* ---- Types -----------------------------------------------------------------
 */

static void
store_u16(uint8_t *bytes, unsigned value)
{
    bytes[0] = (uint8_t)value;
    bytes[1] = (uint8_t)(value >> 8);
}

static void
store_u32(uint8_t *bytes, uint32_t value)
{
    store_u16(bytes, value & 0xffff);
    store_u16(bytes + 2, value >> 16);
}

/* The scale of the block, and where the rest goes. */
static uint8_t *
put_half(const iq_block *b, uint8_t *out)
{
    memcpy(out, b->half, sizeof b->half);
    return out + sizeof b->half;
}

/* A scale and the signs of four times 8 numbers, without each eighth. */
static uint32_t
scale_and_signs(const iq_block *b, int group)
{
    uint32_t word = (uint32_t)b->scales[group] << 28;

    for (int l = 0; l < 4; l++)
        word |= (uint32_t)(b->signs[4 * group + l] & 127) << 7 * l;
    return word;
}

static void
put_IQ2_XXS(const iq_block *b, uint8_t *out)
{
    out = put_half(b, out);
    for (int g = 0; g < 8; g++) {
        for (int l = 0; l < 4; l++)
            out[8 * g + l] = (uint8_t)b->rows[4 * g + l];
        store_u32(out + 8 * g + 4, scale_and_signs(b, g));
    }
}

/* Scales in pairs, the first in the low half. */
static void
put_scales(const iq_block *b, int count, uint8_t *out)
{
    for (int i = 0; i < count / 2; i++)
        out[i] = (uint8_t)(b->scales[2 * i] | b->scales[2 * i + 1] << 4);
}

static void
put_IQ2_XS(const iq_block *b, uint8_t *out)
{
    out = put_half(b, out);
    for (int i = 0; i < 32; i++)
        store_u16(out + 2 * i, b->rows[i] | (b->signs[i] & 127u) << 9);
    put_scales(b, 16, out + 64);
}

/* The low bytes of rows, and the high bits in bytes of their own. */
static void
put_rows(const iq_block *b, int count, int per_byte, uint8_t *low,
         uint8_t *high)
{
    int bits = 8 / per_byte;

    for (int i = 0; i < count; i++)
        low[i] = (uint8_t)b->rows[i];
    for (int i = 0; i < count; i += per_byte) {
        unsigned byte = 0;

        for (int l = 0; l < per_byte; l++)
            byte |= b->rows[i + l] >> 8 << bits * l;
        high[i / per_byte] = (uint8_t)byte;
    }
}

static void
put_IQ2_S(const iq_block *b, uint8_t *out)
{
    out = put_half(b, out);
    put_rows(b, 32, 4, out, out + 64);
    memcpy(out + 32, b->signs, sizeof b->signs);
    put_scales(b, 16, out + 72);
}

static void
put_IQ3_XXS(const iq_block *b, uint8_t *out)
{
    out = put_half(b, out);
    for (int i = 0; i < 64; i++)
        out[i] = (uint8_t)b->rows[i];
    for (int g = 0; g < 8; g++)
        store_u32(out + 64 + 4 * g, scale_and_signs(b, g));
}

static void
put_IQ3_S(const iq_block *b, uint8_t *out)
{
    out = put_half(b, out);
    put_rows(b, 64, 8, out, out + 64);
    memcpy(out + 72, b->signs, sizeof b->signs);
    put_scales(b, 8, out + 104);
}

static void
put_IQ1_S(const iq_block *b, uint8_t *out)
{
    out = put_half(b, out);
    for (int g = 0; g < 8; g++) {
        unsigned more = (unsigned)b->scales[g] << 12 | (unsigned)b->ways[g]
                                                           << 15;

        for (int l = 0; l < 4; l++) {
            out[4 * g + l] = (uint8_t)b->rows[4 * g + l];
            more |= b->rows[4 * g + l] >> 8 << 3 * l;
        }
        store_u16(out + 32 + 2 * g, more);
    }
}

/* The only type whose scale of the block is not in its first bytes. */
static void
put_IQ1_M(const iq_block *b, uint8_t *out)
{
    unsigned d = b->half[0] | (unsigned)b->half[1] << 8;

    for (int i = 0; i < 32; i++)
        out[i] = (uint8_t)b->rows[i];
    for (int i = 0; i < 16; i++) {
        unsigned low = b->rows[2 * i] >> 8 | (unsigned)b->ways[2 * i] << 3;
        unsigned high = b->rows[2 * i + 1] >> 8 | (unsigned)b->ways[2 * i + 1]
                                                      << 3;

        out[32 + i] = (uint8_t)(low | high << 4);
    }
    for (int i = 0; i < 4; i++) {
        unsigned word = (d >> 4 * i & 15) << 12;

        for (int k = 0; k < 4; k++)
            word |= (unsigned)b->scales[4 * i + k] << 3 * k;
        store_u16(out + 48 + 2 * i, word);
    }
}

/* ---- All of them -----------------------------------------------------------
 */

/* A block on its way takes 60 KiB of the stack, and the search of a grid 30. */
static bool
encode(const iq_type *type, size_t bytes,
       void (*put)(const iq_block *b, uint8_t *out), const float *x,
       const float *importance, uint8_t *out, size_t count)
{
    bool fits = true;

    for (size_t at = 0; at < count; at += ELEMENTS, out += bytes) {
        iq_block b;

        fits = encode_block(type, x + at,
                            importance != NULL ? importance + at : NULL, &b) &&
               fits;
        put(&b, out);
    }
    return fits;
}

#define IQ(name, size, grid, elements, bits, levels, shift, group, cell, ways, \
           with_signs, even, scales, unit)                                     \
    bool dfx_encode_##name(const float *x, const float *importance,            \
                           uint8_t *out, size_t count)                         \
    {                                                                          \
        static const iq_type type = {                                          \
            {dfx_grid_##grid, sizeof dfx_grid_##grid / sizeof(uint16_t),       \
             elements, bits},                                                  \
            group,                                                             \
            cell,                                                              \
            ways,                                                              \
            with_signs,                                                        \
            even,                                                              \
            scales,                                                            \
            unit,                                                              \
            dfx_levels_##levels,                                               \
            shift};                                                            \
        return encode(&type, size, put_##name, x, importance, out, count);     \
    }
#include "codecs/iq.def"
#undef IQ
