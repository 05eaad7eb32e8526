/*
 * iq_encode.c - numbers to IQ1, IQ2 and IQ3
 *
 * Not ggml's search: ours looks for the least squared error, by importance, and
 * gets nearer. Of each row of numbers the rows of the grid that are best for
 * some scale are found once (hull.h). A scale of the block is then tried with
 * every scale of a group at the cost of comparing a few sums, and
 * improved to the best for what was chosen.
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
#include "codecs/iq_block.h"
#include "codecs/numbers.h"
#include "codecs/search.h"

/* ---- Numbers and weights near 1 -------------------------------------------
 */

/* The exponent e with 2^(e - 1) <= most < 2^e. */
static int
exponent_of(const float *x)
{
    int exponent = 0;

    (void)frexpf(dfx_greatest(DFX_IQ_ELEMENTS, x), &exponent);
    return exponent;
}

static void
load_numbers(const float *x, const float *importance, dfx_iq_block *b)
{
    bool with_signs = b->type->with_signs;
    int exponent;

    b->exponent = exponent_of(x);
    for (int i = 0; i < DFX_IQ_ELEMENTS; i++) {
        b->x[i] = ldexpf(with_signs ? fabsf(x[i]) : x[i], -b->exponent);
        b->weights[i] = importance != NULL ? dfx_sane_weight(importance[i]) : 1;
    }
    exponent = exponent_of(b->weights);
    for (int i = 0; i < DFX_IQ_ELEMENTS; i++)
        b->weights[i] = ldexpf(b->weights[i], -exponent);
    for (int i = 0; i < DFX_IQ_ELEMENTS / 8; i++) {
        unsigned signs = 0;

        for (int j = 0; j < 8; j++)
            signs |= (unsigned)(x[8 * i + j] < 0) << j;
        b->signs[i] = (uint8_t)signs;
        b->odd[i] = b->type->even && __builtin_popcount(signs) % 2 == 1;
    }
}

/* Which row of its cell has the wrong sign; -1: none. */
static int
flipped_row(const dfx_iq_block *b, int cell, int way)
{
    return b->odd[cell * b->type->cell / 8] ? way : -1;
}

static void
load_levels(dfx_iq_block *b)
{
    const dfx_iq_type *t = b->type;

    for (int way = 0; way < DFX_IQ_WAYS; way++)
        for (int code = 0; code < 8; code++)
            b->levels[way][code] =
                code < 1 << t->grid.bits
                    ? (float)t->levels[code] + (way == 0 ? t->shift : -t->shift)
                    : 0;
}

static void
find_hulls(dfx_iq_block *b, dfx_hull_find_fn *find)
{
    const dfx_iq_type *t = b->type;
    int size = t->grid.elements, rows = t->cell / size;

    for (int way = 0; way < t->ways; way++)
        for (int r = 0; r < DFX_IQ_ELEMENTS / size; r++) {
            int flipped = flipped_row(b, r / rows, way);

            b->hulls[way][r].count = 0;
            if (way == 0 || !t->even || flipped >= 0)
                find(&t->grid, b->levels[way], b->x + size * r,
                     b->weights + size * r, flipped == r % rows,
                     &b->hulls[way][r]);
        }
}

/* ---- Scales ----------------------------------------------------------------
 */

/* The better way of a cell. */
static dfx_iq_sums
try_cell(const dfx_iq_block *b, int cell, float scale, int *chosen)
{
    int rows = b->type->cell / b->type->grid.elements;
    dfx_iq_sums best = {0, 0};

    for (int way = 0; way < b->type->ways; way++) {
        dfx_iq_sums s = {0, 0};

        if (b->hulls[way][rows * cell].count == 0)
            continue;
        for (int r = 0; r < rows; r++) {
            const dfx_corner *p =
                dfx_hull_best(&b->hulls[way][rows * cell + r], scale);

            s.product += p->product;
            s.square += p->square;
        }
        if (way == 0 || dfx_iq_gain(s, scale) > dfx_iq_gain(best, scale)) {
            best = s;
            *chosen = way;
        }
    }
    return best;
}

static dfx_iq_sums
try_group(const dfx_iq_block *b, int group, float scale)
{
    int cells = b->type->group / b->type->cell;
    dfx_iq_sums total = {0, 0};

    for (int i = 0; i < cells; i++) {
        int way = 0;
        dfx_iq_sums s = try_cell(b, cells * group + i, scale, &way);

        total.product += s.product;
        total.square += s.square;
    }
    return total;
}

/* A good scale of a group by itself: from those near the greatest number over
   the greatest level, the best, made better. */
static float
scale_of_group(const dfx_iq_block *b, int group)
{
    const float *x = b->x + b->type->group * group;
    float most = dfx_greatest(b->type->group, x);
    float top = 0, scale, best = 0, best_gain = 0;

    for (int i = 0; i < 8; i++)
        top = b->levels[0][i] > top ? b->levels[0][i] : top;
    scale = 0.25f * most / top;
    for (int k = 0; k < 26; k++, scale *= 1.1f) {
        dfx_iq_sums s = try_group(b, group, scale);

        /* Its own best scale cannot be worse. */
        for (int round = 0; round < 2; round++)
            s = try_group(b, group, dfx_iq_scale_of(s));
        if (dfx_iq_gain(s, dfx_iq_scale_of(s)) > best_gain) {
            best = dfx_iq_scale_of(s);
            best_gain = dfx_iq_gain(s, best);
        }
    }
    return best;
}

/* The best code first .. last for a group's scale. */
static int
code_of_group(const dfx_iq_block *b, int group, float d, int first, int last,
              dfx_iq_sums *found)
{
    int best = first;
    float most = -HUGE_VALF;

    for (int code = first; code <= last; code++) {
        float scale = d * b->type->unit * (float)(2 * code + 1);
        dfx_iq_sums s = try_group(b, group, scale);

        if (dfx_iq_gain(s, scale) > most) {
            most = dfx_iq_gain(s, scale);
            best = code;
            *found = s;
        }
    }
    return best;
}

/* Codes of all groups for a scale of the block. nearby: only those next to the
   scale that the group wants. Returns sums for the scale of the block.
 */
static dfx_iq_sums
try_block(dfx_iq_block *b, float d, bool nearby)
{
    const dfx_iq_type *t = b->type;
    dfx_iq_sums total = {0, 0};

    for (int g = 0; g < DFX_IQ_ELEMENTS / t->group; g++) {
        int first = 0, last = t->scales - 1;
        float factor;
        dfx_iq_sums s = {0, 0};

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
scale_of_block(dfx_iq_block *b)
{
    const dfx_iq_type *t = b->type;
    float most = 0, scale, best = 0, best_gain = 0;

    for (int g = 0; g < DFX_IQ_ELEMENTS / t->group; g++) {
        b->best[g] = scale_of_group(b, g);
        most = b->best[g] > most ? b->best[g] : most;
    }
    if (!(most > 0))
        return 0;
    scale = 0.75f * most / (t->unit * (float)(2 * t->scales - 1));
    for (int k = 0; k < 32; k++, scale *= 1.03f) {
        dfx_iq_sums s = try_block(b, scale, true);

        if (dfx_iq_gain(s, dfx_iq_scale_of(s)) > best_gain) {
            best = dfx_iq_scale_of(s);
            best_gain = dfx_iq_gain(s, best);
        }
    }
    for (int round = 0; round < 2; round++)
        best = dfx_iq_scale_of(try_block(b, best, false));
    return best;
}

static void
code_groups(dfx_iq_block *b, float d)
{
    (void)try_block(b, d, false);
}

static const dfx_iq_search plain = {dfx_hull_find, scale_of_block, code_groups};

/* ---- A block ---------------------------------------------------------------
 */

/* Turns the sign in a row that costs least to be wrong. */
static void
flip(dfx_iq_block *b, int row, int way)
{
    const dfx_iq_type *t = b->type;
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
choose_rows(dfx_iq_block *b, float d)
{
    const dfx_iq_type *t = b->type;
    int rows = t->cell / t->grid.elements;

    for (int cell = 0; cell < DFX_IQ_ELEMENTS / t->cell; cell++) {
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
encode_block(const dfx_iq_type *type, const dfx_iq_search *search,
             const float *x, const float *importance, dfx_iq_block *b)
{
    float d, kept;
    bool fits;

    b->type = type;
    load_levels(b);
    load_numbers(x, importance, b);
    find_hulls(b, search->find_hull);
    d = search->scale_of_block(b);
    fits = dfx_half_store(b->half, ldexpf(d, b->exponent));
    kept = ldexpf(dfx_half_load(b->half), -b->exponent);
    if (kept > 0 && isfinite(kept))
        d = kept;
    search->code_groups(b, d);
    choose_rows(b, d);
    return fits && dfx_searchable(DFX_IQ_ELEMENTS, x);
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
put_half(const dfx_iq_block *b, uint8_t *out)
{
    memcpy(out, b->half, sizeof b->half);
    return out + sizeof b->half;
}

/* A scale and the signs of four times 8 numbers, without each eighth. */
static uint32_t
scale_and_signs(const dfx_iq_block *b, int group)
{
    uint32_t word = (uint32_t)b->scales[group] << 28;

    for (int l = 0; l < 4; l++)
        word |= (uint32_t)(b->signs[4 * group + l] & 127) << 7 * l;
    return word;
}

static void
put_IQ2_XXS(const dfx_iq_block *b, uint8_t *out)
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
put_scales(const dfx_iq_block *b, int count, uint8_t *out)
{
    for (int i = 0; i < count / 2; i++)
        out[i] = (uint8_t)(b->scales[2 * i] | b->scales[2 * i + 1] << 4);
}

static void
put_IQ2_XS(const dfx_iq_block *b, uint8_t *out)
{
    out = put_half(b, out);
    for (int i = 0; i < 32; i++)
        store_u16(out + 2 * i, b->rows[i] | (b->signs[i] & 127u) << 9);
    put_scales(b, 16, out + 64);
}

/* The low bytes of rows, and the high bits in bytes of their own. */
static void
put_rows(const dfx_iq_block *b, int count, int per_byte, uint8_t *low,
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
put_IQ2_S(const dfx_iq_block *b, uint8_t *out)
{
    out = put_half(b, out);
    put_rows(b, 32, 4, out, out + 64);
    memcpy(out + 32, b->signs, sizeof b->signs);
    put_scales(b, 16, out + 72);
}

static void
put_IQ3_XXS(const dfx_iq_block *b, uint8_t *out)
{
    out = put_half(b, out);
    for (int i = 0; i < 64; i++)
        out[i] = (uint8_t)b->rows[i];
    for (int g = 0; g < 8; g++)
        store_u32(out + 64 + 4 * g, scale_and_signs(b, g));
}

static void
put_IQ3_S(const dfx_iq_block *b, uint8_t *out)
{
    out = put_half(b, out);
    put_rows(b, 64, 8, out, out + 64);
    memcpy(out + 72, b->signs, sizeof b->signs);
    put_scales(b, 8, out + 104);
}

static void
put_IQ1_S(const dfx_iq_block *b, uint8_t *out)
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
put_IQ1_M(const dfx_iq_block *b, uint8_t *out)
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
encode(const dfx_iq_type *type, const dfx_iq_search *search, size_t bytes,
       void (*put)(const dfx_iq_block *b, uint8_t *out), const float *x,
       const float *importance, uint8_t *out, size_t count)
{
    bool fits = true;

    for (size_t at = 0; at < count; at += DFX_IQ_ELEMENTS, out += bytes) {
        dfx_iq_block b;

        fits = encode_block(type, search, x + at,
                            importance != NULL ? importance + at : NULL, &b) &&
               fits;
        put(&b, out);
    }
    return fits;
}

#define IQ(name, size, grid, elements, bits, levels, shift, group, cell, ways, \
           with_signs, even, scales, unit)                                     \
    bool dfx_iq_encode_##name(const dfx_iq_search *search, const float *x,     \
                              const float *importance, uint8_t *out,           \
                              size_t count)                                    \
    {                                                                          \
        static const dfx_iq_type type = {                                      \
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
        return encode(&type, search, size, put_##name, x, importance, out,     \
                      count);                                                  \
    }                                                                          \
    bool dfx_encode_##name(const float *x, const float *importance,            \
                           uint8_t *out, size_t count)                         \
    {                                                                          \
        return dfx_iq_encode_##name(&plain, x, importance, out, count);        \
    }
#include "codecs/iq.def"
#undef IQ
