/*
 * test_backend.c - the operations of networks against double arithmetic, and
 * the same bits on any number of threads
 */
#include <config.h>

#include "backend.h"
#include "codecs/codec.h"
#include "cpu/rows.h"

#include "scratch.h"
#include "tap.h"

#include <omp.h>

enum { ROOM = 1 << 14 };

static const dfx_backend *const ref = &dfx_backend_ref;
static float x[ROOM], y[ROOM], z[ROOM], w[ROOM], bias[256], got[ROOM];
static double want[ROOM];

static dfx_weight
f32(const float *numbers)
{
    return (dfx_weight){numbers, DFX_TYPE_F32};
}

/* Numbers from -1 to 1. */
static void
fill(float *to, size_t count, uint64_t seed)
{
    for (size_t i = 0; i < count; i++)
        to[i] = (float)((double)(scratch_random(&seed) >> 40) / 0x1p23 - 1.0);
}

static void
fill_all(void)
{
    fill(x, ROOM, 1);
    fill(y, ROOM, 2);
    fill(z, ROOM, 3);
    fill(w, ROOM, 4);
    fill(bias, sizeof bias / sizeof *bias, 5);
    for (size_t i = 0; i < ROOM; i++)
        got[i] = NAN;
}

static double
times(float a, float b)
{
    return (double)a * (double)b;
}

/* A sum of n products of numbers below 1 is off by less than n^2 2^-24, and by
   n/2 2^-24 in practice. */
static void
close_to(size_t count, double limit, const char *what)
{
    double most = 0.0;

    for (size_t i = 0; i < count; i++) {
        double d = fabs((double)got[i] - want[i]);

        most = d <= most ? most : d; /* NaN is more than all */
    }
    if (!CHECK(most <= limit, what))
        printf("# %g > %g\n", most, limit);
}

static void
test_linear(void)
{
    enum { ROWS = 7, IN = 37, OUT = 11 };

    fill_all();
    for (size_t r = 0; r < ROWS; r++)
        for (size_t o = 0; o < OUT; o++) {
            want[r * OUT + o] = (double)bias[o];
            for (size_t i = 0; i < IN; i++)
                want[r * OUT + o] += times(x[r * IN + i], w[o * IN + i]);
        }
    CHECK(ref->linear(got, x, f32(w), bias, ROWS, IN, OUT), "linear");
    close_to((size_t)ROWS * OUT, IN * 0x1p-24, "  near double");
    for (size_t i = 0; i < (size_t)ROWS * OUT; i++)
        want[i] -= (double)bias[i % OUT];
    CHECK(ref->linear(got, x, f32(w), NULL, ROWS, IN, OUT), "  without bias");
    close_to((size_t)ROWS * OUT, IN * 0x1p-24, "  near double");
    /* 1 + 2^-24 is 1: terms are added in their order, one by one. */
    x[0] = 1.0f;
    for (size_t i = 1; i < 32; i++)
        x[i] = 0x1p-24f;
    for (size_t i = 0; i < 32; i++)
        w[i] = 1.0f;
    CHECK(ref->linear(got, x, f32(w), NULL, 1, 32, 1) && got[0] == 1.0f,
          "  k ascends");
    /* (1 + 2^-12)^2 - (1 + 2^-11) = 2^-24, which two roundings lose. */
    x[0] = 1.0f, w[0] = -(1.0f + 0x1p-11f);
    x[1] = 1.0f + 0x1p-12f, w[1] = x[1];
    CHECK(ref->linear(got, x, f32(w), NULL, 1, 2, 1) && got[0] == 0x1p-24f,
          "  by fma");
}

static double
conv_at(const dfx_conv *c, size_t b, size_t o, size_t oy, size_t ox)
{
    const float *weight = w + o * c->in_channels * c->kernel * c->kernel;
    double sum = (double)bias[o];

    for (size_t i = 0; i < c->in_channels; i++) {
        const float *plane =
            x + (b * c->in_channels + i) * c->in_height * c->in_width;

        for (size_t k = 0; k < c->kernel * c->kernel; k++, weight++) {
            size_t iy = oy * c->stride + k / c->kernel - c->top;
            size_t ix = ox * c->stride + k % c->kernel - c->left;

            if (iy < c->in_height && ix < c->in_width)
                sum += times(plane[iy * c->in_width + ix], *weight);
        }
    }
    return sum;
}

static void
test_conv2d(void)
{
    static const struct {
        const char *what;
        dfx_conv c;
    } cases[] = {
        {"conv 1x1", {2, 5, 4, 6, 7, 4, 6, 1, 1, 0, 0}},
        {"conv 3x3, padded by 1", {2, 5, 4, 6, 7, 4, 6, 3, 1, 1, 1}},
        {"conv 3x3 s2, padded by 1", {1, 4, 9, 7, 3, 5, 4, 3, 2, 1, 1}},
        {"conv 3x3 s2, right and bottom", {1, 4, 8, 6, 3, 4, 3, 3, 2, 0, 0}},
        {"conv 2x2 s2", {1, 4, 8, 6, 3, 4, 3, 2, 2, 0, 0}},
    };

    for (size_t n = 0; n < sizeof cases / sizeof cases[0]; n++) {
        const dfx_conv *c = &cases[n].c;
        size_t count = 0;

        fill_all();
        for (size_t b = 0; b < c->batch; b++)
            for (size_t o = 0; o < c->out_channels; o++)
                for (size_t oy = 0; oy < c->out_height; oy++)
                    for (size_t ox = 0; ox < c->out_width; ox++)
                        want[count++] = conv_at(c, b, o, oy, ox);
        CHECK(ref->conv2d(got, x, f32(w), bias, c), cases[n].what);
        close_to(count, 45 * 0x1p-24, "  near double");
    }
}

static double
score(const dfx_attention *a, size_t b, size_t h, size_t i, size_t j)
{
    size_t width = a->heads * a->head_size;
    const float *q = x + (b * a->queries + i) * width + h * a->head_size;
    const float *k = y + (b * a->keys + j) * width + h * a->head_size;
    double sum = 0.0;

    for (size_t d = 0; d < a->head_size; d++)
        sum += times(q[d], k[d]);
    return sum * (double)a->scale;
}

static void
attend_row(const dfx_attention *a, size_t b, size_t h, size_t i)
{
    size_t width = a->heads * a->head_size;
    size_t keys = a->causal ? i + 1 : a->keys;
    double total = 0.0;

    for (size_t j = 0; j < keys; j++)
        total += exp(score(a, b, h, i, j));
    for (size_t d = 0; d < a->head_size; d++) {
        double *to = &want[(b * a->queries + i) * width + h * a->head_size + d];

        *to = 0.0;
        for (size_t j = 0; j < keys; j++)
            *to += exp(score(a, b, h, i, j)) / total *
                   (double)z[(b * a->keys + j) * width + h * a->head_size + d];
    }
}

static void
test_attention(void)
{
    static const struct {
        const char *what;
        dfx_attention a;
    } cases[] = {
        {"attention to itself", {2, 3, 8, 40, 40, 0.35f, false}},
        {"attention to others", {2, 3, 8, 9, 77, 0.35f, false}},
        {"causal attention", {2, 2, 16, 45, 45, 0.25f, true}},
    };

    for (size_t n = 0; n < sizeof cases / sizeof cases[0]; n++) {
        const dfx_attention *a = &cases[n].a;

        fill_all();
        for (size_t row = 0; row < a->batch * a->heads * a->queries; row++)
            attend_row(a, row / a->queries / a->heads,
                       row / a->queries % a->heads, row % a->queries);
        CHECK(ref->attention(got, x, y, z, a), cases[n].what);
        close_to(a->batch * a->queries * a->heads * a->head_size, 0x1p-20,
                 "  near double");
    }
}

/* want = the norm of a row of x, weight and bias of channel i / area. */
static void
norm_row(size_t first, size_t count, size_t area, size_t channel, double eps)
{
    double mean = 0.0, variance = 0.0;

    for (size_t i = 0; i < count; i++)
        mean += (double)x[first + i] / (double)count;
    for (size_t i = 0; i < count; i++)
        variance += ((double)x[first + i] - mean) *
                    ((double)x[first + i] - mean) / (double)count;
    for (size_t i = 0; i < count; i++)
        want[first + i] = ((double)x[first + i] - mean) / sqrt(variance + eps) *
                              (double)w[channel + i / area] +
                          (double)bias[channel + i / area];
}

static void
test_norms(void)
{
    enum { BATCH = 2, CHANNELS = 12, GROUPS = 4, AREA = 35, MEMBERS = 3 };

    fill_all();
    for (size_t g = 0; g < (size_t)BATCH * GROUPS; g++)
        norm_row(g * MEMBERS * AREA, (size_t)MEMBERS * AREA, AREA,
                 g % GROUPS * MEMBERS, 1e-5);
    CHECK(
        ref->group_norm(got, x, w, bias, BATCH, CHANNELS, AREA, GROUPS, 1e-5f),
        "group norm");
    close_to((size_t)BATCH * CHANNELS * AREA, 0x1p-20, "  near double");
    fill_all();
    for (size_t r = 0; r < 9; r++)
        norm_row(r * 70, 70, 1, 0, 1e-6);
    CHECK(ref->layer_norm(got, x, w, bias, 9, 70, 1e-6f), "layer norm");
    close_to((size_t)9 * 70, 0x1p-20, "  near double");
}

/* 32 numbers of 2^-24 and one 1: what the order of sums says remains. */
static void
test_row_order(void)
{
    float row[64];

    for (size_t i = 0; i < 64; i++)
        row[i] = 0.0f;
    row[0] = 1.0f;
    row[32] = row[16] = 0x1p-24f;
    CHECK(dfx_row_sum(row, 64) == 1.0f,
          "element 32 goes to part 0, and 16 joins it first");
    row[32] = 0.0f;
    row[24] = 0x1p-24f;
    row[16] = 0.0f;
    row[8] = 0x1p-24f;
    CHECK(dfx_row_sum(row, 64) == 1.0f + 0x1p-23f,
          "8 and 24 are one sum before they meet 0");
}

static void
test_softmax(void)
{
    double total = 0.0;

    fill_all();
    memcpy(got, x, 50 * sizeof *x);
    for (size_t i = 0; i < 50; i++)
        total += exp((double)x[i]);
    for (size_t i = 0; i < 50; i++)
        want[i] = exp((double)x[i]) / total;
    dfx_row_softmax(got, 50);
    close_to(50, 0x1p-24, "softmax near double");
    got[0] = 1e38f, got[1] = -1e38f, got[2] = 1e38f;
    dfx_row_softmax(got, 3);
    CHECK(got[0] == 0.5f && got[1] == 0.0f && got[2] == 0.5f,
          "  of numbers whose exp is infinite");
}

static void
test_pointwise(void)
{
    enum { N = 600 };

    fill_all();
    for (size_t i = 0; i < N; i++)
        want[i] = (double)x[i] / (1.0 + exp(-(double)x[i]));
    CHECK(ref->activate(got, x, N, DFX_ACT_SILU), "silu");
    close_to(N, 0x1p-23, "  near double");
    for (size_t i = 0; i < N; i++)
        want[i] = x[i] > 0.0f ? (double)x[i] : 0.0;
    CHECK(ref->activate(got, x, N, DFX_ACT_RELU), "relu");
    close_to(N, 0.0, "  exactly");
    for (size_t i = 0; i < N; i++) {
        double gate = (double)x[i / 6 * 12 + 6 + i % 6];

        want[i] = (double)x[i / 6 * 12 + i % 6] * 0.5 * gate *
                  (1.0 + erf(gate * M_SQRT1_2));
    }
    CHECK(ref->geglu(got, x, N / 6, 6), "geglu");
    close_to(N, 0x1p-22, "  near double");
    for (size_t i = 0; i < N; i++)
        want[i] = (double)(x[i] + y[i]);
    CHECK(ref->add(got, x, y, N), "add");
    close_to(N, 0.0, "  exactly");
    for (size_t i = 0; i < N; i++)
        want[i] = (double)(x[i] + y[i / 6]);
    CHECK(ref->add_each(got, x, y, N / 6, 6), "add to each of a row");
    close_to(N, 0.0, "  exactly");
    for (size_t i = 0; i < N; i++)
        want[i] = (double)x[i] * (1.0 + (double)y[i / 6]) + (double)z[i / 6];
    CHECK(ref->modulate(got, x, y, z, N / 6, 6), "scale and shift");
    close_to(N, 0x1p-22, "  near double");
    for (size_t i = 0; i < N; i++)
        want[i] = (double)(x[i] * 0.18215f);
    CHECK(ref->scale(got, x, N, 0.18215f), "scale");
    close_to(N, 0.0, "  exactly");
}

static void
test_moves(void)
{
    static const uint32_t ids[] = {3, 0, 2};

    fill_all();
    for (size_t i = 0; i < 2 * 6 * 10; i++)
        want[i] = (double)x[i / 60 * 15 + i % 60 / 10 / 2 * 5 + i % 10 / 2];
    CHECK(ref->resize(got, x, 2, 3, 5, 6, 10), "twice the size");
    close_to(2 * 6 * 10, 0.0, "  each pixel four times");
    for (size_t i = 0; i < 9; i++) /* 5 to 9: floor(i * 0.5556) */
        want[i] = (double)x[i * 5 / 9];
    CHECK(ref->resize(got, x, 1, 1, 5, 1, 9), "to a given size");
    close_to(9, 0.0, "  nearest");
    for (size_t i = 0; i < 2 * 4 * 7; i++)
        want[i] = (double)x[i / 28 * 28 + i % 4 * 7 + i % 28 / 4];
    CHECK(ref->transpose(got, x, 2, 4, 7), "transpose");
    close_to(2 * 4 * 7, 0.0, "  exactly");
    for (size_t i = 0; i < 3 * 5; i++)
        want[i] = (double)x[ids[i / 5] * 5 + i % 5];
    CHECK(ref->embed(got, f32(x), ids, 3, 5), "rows of a table");
    close_to(3 * 5, 0.0, "  exactly");
    for (size_t i = 0; i < 4 * 3; i++)
        want[i] = (double)x[i / 3 * 8 + i % 3];
    CHECK(ref->copy(got, 3, x, 8, 4, 3), "copy of rows");
    close_to(4 * 3, 0.0, "  exactly");
}

/* A bit of everything into out, at sizes that fill no panel; the count. */
static size_t
compute(const dfx_backend *backend, float *out)
{
    static const dfx_conv conv = {1, 5, 9, 13, 7, 9, 13, 3, 1, 1, 1};
    static const dfx_attention a = {1, 3, 8, 29, 31, 0.3f, false};
    float *at = out;
    bool good = backend->linear(at, x, f32(w), bias, 13, 70, 9);

    good &= backend->conv2d(at += 13 * 9, x, f32(w), bias, &conv);
    good &= backend->attention(at += 7 * 9 * 13, x, y, z, &a);
    good &= backend->group_norm(at += 24 * 29, x, w, bias, 2, 12, 35, 4, 1e-5f);
    good &= backend->layer_norm(at += 2 * 12 * 35, x, w, bias, 9, 70, 1e-5f);
    good &= backend->activate(at += 9 * 70, x, 1000, DFX_ACT_GELU_TANH);
    good &= backend->geglu(at += 1000, x, 20, 30);
    at += 20 * 30;
    return good ? (size_t)(at - out) : 0;
}

static void
test_threads(void)
{
    static float first[ROOM];
    size_t count;

    fill_all();
    omp_set_num_threads(1);
    count = compute(ref, first);
    CHECK(count > 0 && count <= ROOM, "on one thread");
    omp_set_num_threads(2);
    CHECK(compute(ref, got) == count && memcmp(got, first, count * 4) == 0,
          "the same bits on two");
    omp_set_num_threads(7);
    CHECK(compute(ref, got) == count && memcmp(got, first, count * 4) == 0,
          "the same bits on seven");
}

static void
test_levels(void)
{
    static float first[ROOM];
    size_t count;

    fill_all();
    count = compute(ref, first);
    for (dfx_cpu level = DFX_CPU_AVX2; level <= dfx_cpu_best(); level++)
        CHECK(compute(dfx_backend_at(level), got) == count &&
                  memcmp(got, first, count * 4) == 0,
              dfx_cpu_name(level));
}

/* Products that take several panels, groups of rows and blocks of depth. */
static void
test_large(void)
{
    static const dfx_conv conv = {2, 60, 11, 13, 500, 6, 7, 3, 2, 1, 1};
    enum { IN = 600, OUT = 70, ROWS = 500, PIXELS = 2 * 500 * 6 * 7 };
    float *a = malloc(sizeof *a * ROWS * IN);
    float *b = malloc(sizeof *b * ROWS * IN);
    float *want_all = malloc(sizeof *a * (ROWS * OUT + PIXELS));
    float *got_all = malloc(sizeof *a * (ROWS * OUT + PIXELS));

    fill(a, (size_t)ROWS * IN, 11);
    fill(b, (size_t)ROWS * IN, 12);
    ref->linear(want_all, a, f32(b), bias, ROWS, IN, OUT);
    ref->conv2d(want_all + ROWS * OUT, a, f32(b), NULL, &conv);
    for (dfx_cpu level = DFX_CPU_AVX2; level <= dfx_cpu_best(); level++) {
        const dfx_backend *backend = dfx_backend_at(level);

        CHECK(
            backend->linear(got_all, a, f32(b), bias, ROWS, IN, OUT) &&
                backend->conv2d(got_all + ROWS * OUT, a, f32(b), NULL, &conv) &&
                memcmp(got_all, want_all, sizeof *a * (ROWS * OUT + PIXELS)) ==
                    0,
            "large products, the same bits");
    }
    free(a);
    free(b);
    free(want_all);
    free(got_all);
}

/* ---- Weights as they are stored -------------------------------------------
 */

enum { STORED = 37 * 512 };

/* Numbers of a type, all finite: of floats, or any where none can be made. */
static void
make_stored(dfx_type type, void *to)
{
    const dfx_codec *codec = dfx_codec_of(type);
    static float numbers[STORED];
    unsigned char *bytes = to;
    uint64_t seed = 21;

    fill(numbers, STORED, 20);
    if (codec == NULL)
        dfx_cast(DFX_TYPE_F32, type, numbers, to, STORED);
    else if (codec->encode == NULL || !codec->encode(numbers, NULL, to, STORED))
        for (size_t i = 0; i < dfx_type_bytes(type, STORED); i++)
            bytes[i] = scratch_random(&seed) >> 32 & 0x3f;
}

static void
decode_all(dfx_type type, const void *from, float *to)
{
    const dfx_codec *codec = dfx_codec_of(type);

    if (codec != NULL)
        codec->decode(from, to, STORED / codec->unit.elements);
    else
        dfx_cast(type, DFX_TYPE_F32, from, to, STORED);
}

/* What takes a weight, into out; the count. */
static size_t
weigh(const dfx_backend *backend, float *out, dfx_weight weight)
{
    static const dfx_conv conv = {1, 64, 4, 5, 37, 3, 4, 2, 1, 0, 0};
    static const uint32_t ids[] = {36, 0, 17, 17};
    float *at = out;
    bool good = backend->linear(at, x, weight, bias, 13, 512, 37);

    good &= backend->linear(at += 13 * 37, x, weight, NULL, 2, 512, 37);
    good &= backend->conv2d(at += 2 * 37, x, weight, bias, &conv);
    good &= backend->embed(at += 37 * 12, weight, ids, 4, 512);
    at += 4 * 512;
    return good ? (size_t)(at - out) : 0;
}

static void
test_stored(void)
{
    static float numbers[STORED], first[ROOM];
    static uint64_t bytes[STORED];

    for (dfx_type type = 0; type < DFX_TYPE_COUNT; type++) {
        bool same = true;
        size_t count;

        if (!dfx_type_castable(type, DFX_TYPE_F32))
            continue;
        fill_all();
        make_stored(type, bytes);
        decode_all(type, bytes, numbers);
        count = weigh(ref, first, f32(numbers));
        for (dfx_cpu level = DFX_CPU_REF; level <= dfx_cpu_best(); level++)
            same &= weigh(dfx_backend_at(level), got,
                          (dfx_weight){bytes, type}) == count &&
                    memcmp(got, first, count * sizeof *got) == 0;
        CHECK(same && count > 0 && count <= ROOM, dfx_type_name(type));
    }
}

int
main(void)
{
    test_linear();
    test_conv2d();
    test_attention();
    test_norms();
    test_row_order();
    test_softmax();
    test_pointwise();
    test_moves();
    test_threads();
    test_levels();
    test_large();
    test_stored();
    return tap_end();
}
