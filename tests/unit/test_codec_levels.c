/*
 * test_codec_levels.c - codecs at every level of the machine: the bytes of the
 * plain ones
 */
#include <config.h>

#include "codecs/codec.h"

#include "codec_rows.h"
#include "tap.h"

/* Blocks of 256: twice what any level has side by side, and one; and once. */
enum { NUMBERS = 256 * 33, FEWER = 256 * 17, GUARD = 64 };

/* ---- More rows -------------------------------------------------------------
 */

/* What F16 files hold. */
static float
make_half(uint64_t *state, int i)
{
    (void)i;
    return roundf(uniform(state) * 0x1p11f) * 0x1p-15f;
}

/* Half way between codes, whatever the steps are. */
static float
make_tie(uint64_t *state, int i)
{
    int wide = i % 3 == 0 ? 254 : 30;

    return (float)((int)(scratch_random(state) % (unsigned)(wide + 1)) -
                   wide / 2) /
           2;
}

static float
make_positive(uint64_t *state, int i)
{
    (void)i;
    return 1 + uniform(state);
}

static float
make_negative(uint64_t *state, int i)
{
    (void)i;
    return uniform(state) - 1.5f;
}

static float
make_mixed_zero(uint64_t *state, int i)
{
    (void)i;
    return scratch_random(state) >> 40 & 1 ? 0.0f : -0.0f;
}

/* Some groups are 0, some far smaller than others, some all alike. */
static float
make_uneven(uint64_t *state, int i)
{
    float x = uniform(state);

    switch (i / 16 % 7) {
    case 0:
        return 0;
    case 1:
        return x * 0x1p-12f;
    case 2:
        return -0.25f;
    case 3:
        return x * 0x1p-18f;
    case 4:
        return i % 16 == 5 ? x : 0;
    default:
        return x;
    }
}

/* Much like weights. */
static float
make_bell(uint64_t *state, int i)
{
    float sum = 0;

    (void)i;
    for (int k = 0; k < 6; k++)
        sum += uniform(state);
    return 0.02f * sum;
}

static const row_kind more_rows[] = {
    {"halves", make_half},
    {"ties", make_tie},
    {"positive", make_positive},
    {"negative", make_negative},
    {"mixed zeros", make_mixed_zero},
    {"uneven", make_uneven},
    {"a bell", make_bell},
};
enum { MORE_ROWS = sizeof more_rows / sizeof *more_rows };

/* ---- Encoders --------------------------------------------------------------
 */

/* Whether blocks numbers of them are encoded alike. The plain result is there
   for all of them. */
static bool
same_blocks(const dfx_codec *codec, const dfx_codec *plain, const float *x,
            const float *importance, size_t blocks)
{
    size_t count = blocks * codec->unit.elements;
    size_t size = blocks * codec->unit.bytes;
    uint8_t *want = malloc(size + GUARD), *got = malloc(size + GUARD);
    bool fits, good = true;

    memset(want, 0xa5, size + GUARD);
    memset(got, 0xa5, size + GUARD);
    fits = plain->encode(x, importance, want, count);
    if (codec->encode(x, importance, got, count) != fits) {
        printf("# fits: want %d\n", fits);
        good = false;
    }
    for (size_t i = 0; i < size + GUARD && good; i++)
        if (got[i] != want[i]) {
            printf("# %zu blocks: byte %zu of block %zu: got %02x, want %02x\n",
                   blocks, i % codec->unit.bytes, i / codec->unit.bytes, got[i],
                   want[i]);
            good = false;
        }
    free(want);
    free(got);
    return good;
}

static bool
same_row(const dfx_codec *codec, const dfx_codec *plain, const row_kind *row,
         uint64_t seed)
{
    static const size_t few[] = {1, 9, 15};
    float *x = malloc(NUMBERS * sizeof *x);
    float *weights = malloc(NUMBERS * sizeof *weights);
    bool good = true;

    for (int kind = 0; kind < KINDS; kind++) {
        int count = kind == 0 ? NUMBERS : FEWER;
        uint64_t state = seed;
        const float *importance;

        for (int i = 0; i < count; i++)
            x[i] = row->make(&state, i);
        importance =
            make_importance(kind, &state, count, weights) ? weights : NULL;
        if (!same_blocks(codec, plain, x, importance,
                         (size_t)count / codec->unit.elements)) {
            printf("# by importance %d\n", kind);
            good = false;
        }
        for (size_t i = 0; kind == 0 && i < sizeof few / sizeof *few; i++)
            good = same_blocks(codec, plain, x, importance, few[i]) && good;
    }
    free(weights);
    free(x);
    return good;
}

static void
test_encoder(dfx_cpu level, dfx_type type)
{
    const dfx_codec *codec = dfx_codec_at(level, type);
    const dfx_codec *plain = dfx_codec_at(DFX_CPU_REF, type);
    char what[96];

    for (size_t i = 0; i < CODEC_ROWS + MORE_ROWS; i++) {
        const row_kind *row =
            i < CODEC_ROWS ? &codec_rows[i] : &more_rows[i - CODEC_ROWS];

        snprintf(what, sizeof what, "%s: %s of %s", dfx_cpu_name(level),
                 dfx_type_name(type), row->name);
        CHECK(same_row(codec, plain, row, i + 1), what);
    }
}

/* ---- Decoders --------------------------------------------------------------
 */

/* Any bytes; seldom are scales infinite or NaN. */
static void
test_decoder(dfx_cpu level, dfx_type type)
{
    const dfx_codec *codec = dfx_codec_at(level, type);
    const dfx_codec *plain = dfx_codec_at(DFX_CPU_REF, type);
    size_t elements = codec->unit.elements, bytes = codec->unit.bytes;
    size_t count = 20011;
    uint8_t *blocks = malloc(count * bytes);
    float *want = malloc(count * elements * sizeof *want);
    float *got = malloc(count * elements * sizeof *got);
    uint64_t state = 5;
    bool good = true;
    char what[96];

    for (size_t i = 0; i < count * bytes; i++)
        blocks[i] = (uint8_t)(scratch_random(&state) >> 32);
    for (size_t n = 0; n < 35 && good; n++) {
        size_t blocks_now = n < 34 ? n : count;
        size_t numbers = blocks_now * elements;

        memset(got, 0xa5, count * elements * sizeof *got);
        plain->decode(blocks, want, blocks_now);
        codec->decode(blocks, got, blocks_now);
        for (size_t i = 0; i < numbers && good; i++)
            if (memcmp(&got[i], &want[i], sizeof *got) != 0 &&
                (!isnan(got[i]) || !isnan(want[i]))) {
                printf("# number %zu of block %zu: got %a, want %a\n",
                       i % elements, i / elements, (double)got[i],
                       (double)want[i]);
                good = false;
            }
        for (size_t i = numbers; n < 34 && i < numbers + elements; i++)
            good = good && *(const uint8_t *)&got[i] == 0xa5;
    }
    snprintf(what, sizeof what, "%s: %zu blocks of %s", dfx_cpu_name(level),
             count, dfx_type_name(type));
    CHECK(good, what);
    free(got);
    free(want);
    free(blocks);
}

int
main(void)
{
    for (dfx_type type = 0; type < DFX_TYPE_COUNT; type++)
        for (dfx_cpu level = DFX_CPU_AVX2; level <= dfx_cpu_best(); level++) {
            const dfx_codec *codec = dfx_codec_at(level, type);
            const dfx_codec *plain = dfx_codec_at(DFX_CPU_REF, type);

            if (codec == NULL)
                continue;
            if (codec->encode != plain->encode)
                test_encoder(level, type);
            if (codec->decode != plain->decode)
                test_decoder(level, type);
        }
    CHECK(true, "all levels of this machine");
    return tap_end();
}
