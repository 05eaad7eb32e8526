/*
 * test_codecs.c - encoders on what no model should have: they never fail, and
 * say so when a block cannot hold its numbers
 */
#include <config.h>

#include "codecs/codec.h"

#include <math.h>

#include "codec_rows.h"
#include "tap.h"

enum { COLUMNS = 1024 };

/* ---- Checks ---------------------------------------------------------------
 */

static float
greatest(const float *x)
{
    float most = 0;

    for (int i = 0; i < COLUMNS; i++)
        most = fmaxf(most, fabsf(x[i]));
    return most;
}

/* The root of the mean square of y - x; y NULL: of x. */
static double
rms(const float *x, const float *y)
{
    double sum = 0;

    for (int i = 0; i < COLUMNS; i++) {
        double e = (y != NULL ? (double)y[i] : 0) - (double)x[i];

        sum += e * e;
    }
    return sqrt(sum / COLUMNS);
}

/* What every type's scales can say, as far as they are halves. */
static const float SURE = 1000;

static bool
check_row(const dfx_codec *codec, const float *x, const float *importance,
          bool alike)
{
    size_t blocks = COLUMNS / codec->unit.elements;
    size_t size = blocks * codec->unit.bytes;
    unsigned char *bytes = malloc(size), *again = malloc(size);
    float *y = malloc(COLUMNS * sizeof *y), most = greatest(x);
    bool fits, good;

    memset(bytes, 0x55, size);
    memset(again, 0xaa, size);
    fits = codec->encode(x, importance, bytes, COLUMNS);
    good = codec->encode(x, importance, again, COLUMNS) == fits &&
           memcmp(bytes, again, size) == 0;
    if (!good)
        printf("# not every byte is written\n");
    codec->decode(bytes, y, blocks);
    if (most <= SURE && !fits) {
        printf("# said not to fit\n");
        good = false;
    }
    for (int i = 0; fits && i < COLUMNS; i++)
        if (!(fabsf(y[i]) <= 2 * most) && good) {
            printf("# number %d: %a became %a\n", i, (double)x[i],
                   (double)y[i]);
            good = false;
        }
    /* As good as writing nothing is the least to be asked. */
    if (fits && alike && rms(x, y) > 1.01 * rms(x, NULL)) {
        printf("# error %g of %g\n", rms(x, y), rms(x, NULL));
        good = false;
    }
    /* Not lost without a word, unless halves are too coarse for its scale. */
    if (fits && most > 0.01f && greatest(y) < most / 200) {
        printf("# lost: %g\n", (double)most);
        good = false;
    }
    free(y);
    free(bytes);
    free(again);
    return good;
}

static void
test_rows(const char *name, const dfx_codec *codec)
{
    float *x = malloc(COLUMNS * sizeof *x);
    float *importance = malloc(COLUMNS * sizeof *importance);

    for (size_t r = 0; r < CODEC_ROWS; r++) {
        bool good = true;
        char what[80];

        for (int kind = 0; kind < KINDS; kind++) {
            uint64_t state = r + 1;
            bool weighed;

            for (int i = 0; i < COLUMNS; i++)
                x[i] = codec_rows[r].make(&state, i);
            weighed = make_importance(kind, &state, COLUMNS, importance);
            if (!check_row(codec, x, weighed ? importance : NULL,
                           !weighed || kind == 1 || kind >= NOTHING)) {
                printf("# by importance %d\n", kind);
                good = false;
            }
        }
        snprintf(what, sizeof what, "%s of %s", name, codec_rows[r].name);
        CHECK(good, what);
    }
    free(importance);
    free(x);
}

/*
 * Errors of ggml's encoders relative to the numbers, which are uniform: without
 * importance, and with one of ones (results.json of the goldens). 0: ggml will
 * not.
 */
typedef struct ggml_error {
    const char *name;
    double none, ones;
} ggml_error;

static const ggml_error errors[] = {
    {"Q4_0", 0.0649565, 0.059151},
    {"Q4_1", 0.060612, 0.0535215},
    {"Q5_0", 0.0311882, 0.028353},
    {"Q5_1", 0.0293302, 0.0259484},
    {"Q8_0", 0.00376009, 0.00376009},
    {"Q2_K", 0.232799, 0.218316},
    {"Q3_K", 0.124972, 0.118144},
    {"Q4_K", 0.0544868, 0.0540416},
    {"Q5_K", 0.0275743, 0.0269083},
    {"Q6_K", 0.0133009, 0.0130319},
    {"IQ4_NL", 0.0639363, 0.0634238},
    {"IQ4_XS", 0.0644932, 0.0640305},
    {"MXFP4", 0.144091, 0.144091},
    {"NVFP4", 0.0999915, 0.0999915},
    {"Q1_0", 0.49726, 0.49726},
    {"Q2_0", 0.488484, 0.488484},
    {"TQ1_0", 0.49717, 0.49717},
    {"TQ2_0", 0.49717, 0.49717},
    {"IQ3_S", 0.143031, 0.126087},
    {"IQ3_XXS", 0.192015, 0.173838},
    {"IQ2_S", 0.242424, 0.230643},
    {"IQ2_XS", 0, 0.286476},
    {"IQ2_XXS", 0, 0.33399},
    {"IQ1_M", 0.518777, 0.398348},
    {"IQ1_S", 0, 0.41871},
};

static const ggml_error *
find_error(const char *name)
{
    for (size_t i = 0; i < sizeof errors / sizeof *errors; i++)
        if (strcmp(errors[i].name, name) == 0)
            return &errors[i];
    return NULL;
}

static double
mean_error(const dfx_codec *codec, const float *importance)
{
    enum { ROWS = 32 };
    unsigned char *bytes =
        malloc(COLUMNS / codec->unit.elements * (size_t)codec->unit.bytes);
    float *x = malloc(COLUMNS * sizeof *x), *y = malloc(COLUMNS * sizeof *y);
    uint64_t state = 42;
    double error = 0, size = 0;

    for (int r = 0; r < ROWS; r++) {
        for (int i = 0; i < COLUMNS; i++)
            x[i] = uniform(&state) * 0x1p-4f;
        (void)codec->encode(x, importance, bytes, COLUMNS);
        codec->decode(bytes, y, COLUMNS / codec->unit.elements);
        error += pow(rms(x, y), 2);
        size += pow(rms(x, NULL), 2);
    }
    free(bytes);
    free(x);
    free(y);
    return sqrt(error / size);
}

static void
test_errors(const char *name, const dfx_codec *codec)
{
    const ggml_error *e = find_error(name);
    float ones[COLUMNS];
    char what[80];

    for (int i = 0; i < COLUMNS; i++)
        ones[i] = 1;
    snprintf(what, sizeof what, "%s is as near as ggml's", name);
    if (!CHECK(e != NULL &&
                   (e->none == 0 || mean_error(codec, NULL) <= 1.03 * e->none),
               what))
        printf("# %g\n", mean_error(codec, NULL));
    snprintf(what, sizeof what, "%s with importance, too", name);
    if (!CHECK(e != NULL && mean_error(codec, ones) <= 1.03 * e->ones, what))
        printf("# %g\n", mean_error(codec, ones));
}

/* A block is the same among others and alone, where it is said to be. */
static void
test_alone(const char *name, const dfx_codec *codec)
{
    size_t elements = codec->unit.elements, bytes = codec->unit.bytes;
    unsigned char *all = malloc(COLUMNS / elements * bytes),
                  *one = malloc(bytes);
    float x[COLUMNS], importance[COLUMNS];
    uint64_t state = 3;
    bool good = true;
    char what[80];

    for (int i = 0; i < COLUMNS; i++) {
        x[i] = uniform(&state) * (i < COLUMNS / 2 ? 1 : 0x1p-6f);
        importance[i] = fabsf(uniform(&state));
    }
    for (int weighed = 0; weighed < (codec->by_row ? 1 : 2); weighed++) {
        (void)codec->encode(x, weighed ? importance : NULL, all, COLUMNS);
        for (size_t i = 0; i < COLUMNS / elements; i++) {
            (void)codec->encode(x + elements * i,
                                weighed ? importance + elements * i : NULL, one,
                                elements);
            good = good && memcmp(one, all + bytes * i, bytes) == 0;
        }
    }
    snprintf(what, sizeof what, "%s needs no other blocks", name);
    CHECK(good, what);
    free(one);
    free(all);
}

static void
test_types(void)
{
    for (dfx_type type = 0; type < DFX_TYPE_COUNT; type++) {
        const dfx_codec *codec = dfx_codec_of(type);

        if (codec == NULL || codec->encode == NULL)
            continue;
        test_rows(dfx_type_name(type), codec);
        test_errors(dfx_type_name(type), codec);
        test_alone(dfx_type_name(type), codec);
    }
}

/*
 * Just below a power of two, where the logarithm as a float is a whole number:
 * the exponent that MXFP4 keeps is that of ggml, which takes log2f.
 */
static void
test_exponents(void)
{
    const dfx_codec *codec = dfx_codec_of(DFX_TYPE_MXFP4);
    int wrong = 0, raised = 0;

    for (int exponent = -126; exponent <= 128; exponent++)
        for (int steps = 0; steps < 100; steps++) {
            float x[32] = {0};
            unsigned char block[17];
            double want;

            x[5] = (float)ldexp(1 - steps * 0x1p-24, exponent);
            if (!isfinite(x[5]))
                continue;
            want = floor((double)(float)log2((double)x[5])) - 2 + 127;
            want = want > 0 ? want : 0;
            (void)codec->encode(x, NULL, block, 32);
            wrong += block[0] != (unsigned char)want;
            raised +=
                steps > 0 && block[0] > 0 && block[0] == exponent - 2 + 127;
        }
    CHECK_U64((uint64_t)wrong, 0, "MXFP4 takes ggml's exponents");
    CHECK(raised > 1000, "  which are often those of the next power of two");
}

int
main(void)
{
    test_exponents();
    test_types();
    return tap_end();
}
