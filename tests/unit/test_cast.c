/*
 * test_cast.c - tests of cast_ref.c, the kernels and cpu.c
 *
 * The reference is held against PyTorch's results (tests/golden/casts), and for
 * F64 sources, which PyTorch rounds twice, against arithmetic. The levels are
 * held against the reference.
 */
#include <config.h>

#include "cast.h"

#include <math.h>
#include <stdlib.h>

#include <openssl/evp.h>

#include "tap.h"

static const dfx_type floats[] = {
    DFX_TYPE_F64,     DFX_TYPE_F32,         DFX_TYPE_F16,
    DFX_TYPE_BF16,    DFX_TYPE_F8_E5M2,     DFX_TYPE_F8_E4M3,
    DFX_TYPE_F8_E8M0, DFX_TYPE_F8_E4M3FNUZ, DFX_TYPE_F8_E5M2FNUZ,
};
enum { FLOATS = sizeof floats / sizeof floats[0] };

static FILE *
open_golden(const char *name)
{
    const char *folder = getenv("srcdir");
    char path[4096];
    FILE *f;

    snprintf(path, sizeof path, "%s/tests/golden/casts/%s",
             folder == NULL ? "." : folder, name);
    f = fopen(path, "r");
    if (f == NULL) {
        printf("Bail out! no %s\n", path);
        exit(1);
    }
    return f;
}

static uint64_t
cast_one(dfx_type from, dfx_type to, uint64_t code)
{
    uint64_t result = 0;

    dfx_cast_ref(from, to, &code, &result, 1);
    return result;
}

/* A line: source, target, code:result ... in hexadecimal. */
static void
test_edge_line(char *line)
{
    char *rest, *next;
    const char *from_name = strtok_r(line, " ", &rest);
    const char *to_name = strtok_r(NULL, " ", &rest);
    dfx_type from = dfx_type_named(from_name), to = dfx_type_named(to_name);
    size_t count = 0, wrong = 0;
    char what[96];

    for (next = strtok_r(NULL, " \n", &rest); next != NULL;
         next = strtok_r(NULL, " \n", &rest)) {
        uint64_t code = strtoull(next, &next, 16);
        uint64_t want = strtoull(next + 1, NULL, 16);
        uint64_t got = cast_one(from, to, code);

        count++;
        if (got != want && wrong++ < 4)
            printf("# %" PRIx64 ": got %" PRIx64 ", want %" PRIx64 "\n", code,
                   got, want);
    }
    snprintf(what, sizeof what, "%s to %s: %zu edges as PyTorch", from_name,
             to_name, count);
    CHECK(count >= 24 && wrong == 0, what);
}

static void
test_edges(void)
{
    FILE *f = open_golden("edges.txt");
    char *line = NULL;
    size_t capacity = 0, lines = 0;

    for (; getline(&line, &capacity, f) > 0; lines++)
        test_edge_line(line);
    CHECK_U64(lines, FLOATS * (FLOATS - 1), "a line for each pair");
    free(line);
    fclose(f);
}

/* The codes that a line of digests.txt is about. */
static void
fill_sequence(dfx_type from, void *codes, size_t count)
{
    size_t size = dfx_type_size(from);

    for (size_t i = 0; i < count; i++) {
        uint64_t code = i;

        if (size == 4)
            code = (uint32_t)i * UINT32_C(2654435761);
        else if (size == 8)
            code = i * 0x9E3779B97F4A7C15;
        memcpy((unsigned char *)codes + i * size, &code, size);
    }
}

static void
test_digests(void)
{
    FILE *f = open_golden("digests.txt");
    char from_name[32], to_name[32], want[17], got[17], what[128];
    size_t count;

    while (fscanf(f, "%31s %31s %zu %16s", from_name, to_name, &count, want) ==
           4) {
        dfx_type from = dfx_type_named(from_name);
        dfx_type to = dfx_type_named(to_name);
        size_t size = dfx_type_bytes(to, count);
        unsigned char hash[EVP_MAX_MD_SIZE];
        void *src = malloc(dfx_type_bytes(from, count));
        void *dst = malloc(size);

        fill_sequence(from, src, count);
        dfx_cast(from, to, src, dst, count);
        EVP_Digest(dst, size, hash, NULL, EVP_sha256(), NULL);
        for (size_t i = 0; i < 8; i++)
            snprintf(got + 2 * i, 3, "%02x", hash[i]);
        snprintf(what, sizeof what, "%s to %s: %zu codes as PyTorch", from_name,
                 to_name, count);
        CHECK_TEXT(got, want, what);
        free(src);
        free(dst);
    }
    fclose(f);
}

static double
value_of(dfx_type type, uint64_t code)
{
    double x;

    dfx_to_f64(type, &code, &x, 1);
    return x;
}

/*
 * One rounding from F64: for each neighbouring pair of positive finite codes
 * their middle goes to the even one, and what is a hair off the middle to the
 * nearer. The middles are exact in double; the hairs are lost in float32.
 */
static void
test_single_rounding(void)
{
    static const struct {
        dfx_type type;
        uint64_t first, last;
    } rows[] = {
        {DFX_TYPE_F32, 0x3f7fff00, 0x3f800100},
        {DFX_TYPE_F32, 0, 0x100},
        {DFX_TYPE_F32, 0x7f7fff00, 0x7f7fffff},
        {DFX_TYPE_F16, 0, 0x7bff},
        {DFX_TYPE_BF16, 0, 0x7f7f},
        {DFX_TYPE_F8_E5M2, 0, 0x7b},
        {DFX_TYPE_F8_E4M3, 0, 0x7e},
        {DFX_TYPE_F8_E4M3FNUZ, 0, 0x7f},
        {DFX_TYPE_F8_E5M2FNUZ, 0, 0x7f},
    };
    char what[64];

    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        dfx_type to = rows[i].type;
        size_t wrong = 0;

        for (uint64_t low = rows[i].first; low < rows[i].last; low++) {
            double middle = (value_of(to, low) + value_of(to, low + 1)) / 2;
            double off[3] = {nextafter(middle, 0.0), middle,
                             nextafter(middle, HUGE_VAL)};
            uint64_t want[3] = {low, low + (low & 1), low + 1};

            for (size_t k = 0; k < 3; k++) {
                uint64_t code;

                memcpy(&code, &off[k], sizeof code);
                wrong += cast_one(DFX_TYPE_F64, to, code) != want[k];
            }
        }
        snprintf(what, sizeof what, "F64 to %s from %" PRIx64 ": one rounding",
                 dfx_type_name(to), rows[i].first);
        CHECK_U64(wrong, 0, what);
    }
}

/*
 * Every code that a type of at most 16 bits has, those of 8 bits often enough
 * for a table of them to pay; for wider types all signs and exponents with
 * mantissas at the edges of all that is cut off.
 */
static size_t
fill_codes(dfx_type type, uint64_t *codes)
{
    unsigned bits = 8 * dfx_type_size(type);
    unsigned m = type == DFX_TYPE_F32 ? 23 : 52;
    size_t count = 0;

    if (bits <= 16) {
        for (; count < UINT64_C(1) << (bits == 8 ? 12 : 16); count++)
            codes[count] = count & ((UINT64_C(1) << bits) - 1);
        return count;
    }
    for (uint64_t top = 0; top < UINT64_C(1) << (bits - m); top++) {
        codes[count++] = top << m;
        for (unsigned k = 0; k < m; k++) {
            uint64_t bit = UINT64_C(1) << k, all = (UINT64_C(1) << m) - 1;

            codes[count++] = top << m | bit;
            codes[count++] = top << m | (bit + 1) % all;
            codes[count++] = top << m | (bit - 1);
            codes[count++] = top << m | (all - bit);
            codes[count++] = top << m | (bit * 3 & all);
            codes[count++] = top << m | (bit * 0x9E3779B97F4A7C15 & all);
        }
    }
    return count;
}

/* Both sides at odd addresses; lengths about the size of vectors too. */
static void
test_level(dfx_cpu level, dfx_type from, dfx_type to)
{
    size_t from_size = dfx_type_size(from), to_size = dfx_type_size(to);
    uint64_t *codes = malloc(sizeof *codes * 4096 * 52 * 7);
    size_t count = fill_codes(from, codes);
    unsigned char *src = malloc(count * from_size + 1);
    unsigned char *got = malloc(count * to_size + 2);
    unsigned char *want = malloc(count * to_size + 2);
    bool good;
    char what[96];

    for (size_t i = 0; i < count; i++)
        memcpy(src + 1 + i * from_size, &codes[i], from_size);
    dfx_cast_ref(from, to, src + 1, want + 1, count);
    dfx_cast_at(level, from, to, src + 1, got + 1, count);
    good = memcmp(want + 1, got + 1, count * to_size) == 0;
    for (size_t n = 0; n <= 70; n++) {
        size_t first = (count - n) / 70 * n;

        memset(got, 0xa5, n * to_size + 2);
        dfx_cast_at(level, from, to, src + 1 + first * from_size, got + 1, n);
        good = good && got[0] == 0xa5 && got[1 + n * to_size] == 0xa5 &&
               memcmp(want + 1 + first * to_size, got + 1, n * to_size) == 0;
    }
    snprintf(what, sizeof what, "%s: %s to %s: %zu codes as the reference",
             dfx_cpu_name(level), dfx_type_name(from), dfx_type_name(to),
             count);
    CHECK(good, what);
    free(codes);
    free(src);
    free(got);
    free(want);
}

static void
test_levels(void)
{
    for (dfx_cpu level = DFX_CPU_REF; level <= dfx_cpu_best(); level++)
        for (size_t i = 0; i < FLOATS; i++)
            for (size_t k = 0; k < FLOATS; k++)
                test_level(level, floats[i], floats[k]);
}

static void
test_to_f64(void)
{
    static const struct {
        dfx_type type;
        uint64_t code;
        double want;
    } rows[] = {
        {DFX_TYPE_BOOL, 1, 1.0},
        {DFX_TYPE_U8, 0xff, 255.0},
        {DFX_TYPE_I8, 0xff, -1.0},
        {DFX_TYPE_I8, 0x80, -128.0},
        {DFX_TYPE_I16, 0x8000, -32768.0},
        {DFX_TYPE_U16, 0x8000, 32768.0},
        {DFX_TYPE_I32, 0x80000000, -2147483648.0},
        {DFX_TYPE_U32, 0x80000000, 2147483648.0},
        {DFX_TYPE_I64, UINT64_MAX, -1.0},
        {DFX_TYPE_I64, UINT64_C(1) << 63, -0x1p63},
        {DFX_TYPE_U64, UINT64_C(1) << 63, 0x1p63},
        {DFX_TYPE_F64, 0x3ff8000000000000, 1.5},
        {DFX_TYPE_F32, 0xbfc00000, -1.5},
        {DFX_TYPE_F16, 1, 0x1p-24},
        {DFX_TYPE_BF16, 0x4049, 3.140625},
        {DFX_TYPE_F8_E8M0, 0, 0x1p-127},
        {DFX_TYPE_F8_E4M3, 0x7e, 448.0},
    };

    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        uint64_t codes[2] = {0, 0};
        double x[2] = {0.0, 0.0};
        unsigned size = dfx_type_size(rows[i].type);

        memcpy((unsigned char *)codes + size, &rows[i].code, size);
        dfx_to_f64(rows[i].type, codes, x, 2);
        CHECK(x[1] == rows[i].want, dfx_type_name(rows[i].type));
    }
}

static void
test_cpu(void)
{
    const char *wanted = getenv("DFX_CPU");

    CHECK(dfx_cpu_level() <= dfx_cpu_best(), "a level that the machine has");
    CHECK_TEXT(dfx_cpu_name(DFX_CPU_REF), "ref", "its name");
    if (wanted != NULL && strcmp(wanted, "ref") == 0)
        CHECK(dfx_cpu_level() == DFX_CPU_REF, "DFX_CPU=ref is heard");
}

int
main(void)
{
    test_edges();
    test_digests();
    test_single_rounding();
    test_levels();
    test_to_f64();
    test_cpu();
    return tap_end();
}
