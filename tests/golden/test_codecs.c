/*
 * test_codecs.c - block types against ggml, bit for bit
 */
#include <config.h>

#include "codecs/codec.h"
#include "codecs/grids.h"
#include "digest.h"

#include <math.h>

#include <cjson/cJSON.h>

#include "scratch.h"
#include "golden.h"
#include "tap.h"

/* The same bits, or NaN where NaN is wanted. */
static bool
same_floats(const float *got, const unsigned char *want, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        float value;

        memcpy(&value, want + 4 * i, sizeof value);
        if (value != value ? got[i] == got[i]
                           : memcmp(&got[i], &value, sizeof value) != 0) {
            printf("# number %zu: got %a, want %a\n", i, (double)got[i],
                   (double)value);
            return false;
        }
    }
    return true;
}

/* [type, set, offset of the blocks, blocks, offset of the floats, floats, ...]
 */
static void
check_decode(const cJSON *row)
{
    const char *name = text_at(row, 0);
    const dfx_codec *codec = dfx_codec_of(dfx_type_named(name));
    size_t size = 0, count = number_at(row, 3), numbers = number_at(row, 5);
    unsigned char *blocks, *want;
    char path[128], what[128];
    float *got;

    if (codec == NULL || cJSON_IsNull(cJSON_GetArrayItem(row, 2)))
        return; /* an element type; bytes made from a name */
    snprintf(path, sizeof path, "decode/%s.blocks", name);
    blocks = golden_load(path, &size);
    snprintf(path, sizeof path, "decode/%s.f32", name);
    want = golden_load(path, &size);
    got = malloc(numbers * sizeof *got);
    snprintf(what, sizeof what, "%s, %s: %zu blocks", name, text_at(row, 1),
             count);
    codec->decode(blocks + number_at(row, 2), got, count);
    CHECK(codec->unit.elements * count == numbers &&
              same_floats(got, want + number_at(row, 4), numbers),
          what);
    free(got);
    free(blocks);
    free(want);
}

static void
test_decode(void)
{
    cJSON *doc = golden_json("decode.json");
    const cJSON *row;

    cJSON_ArrayForEach(row, cJSON_GetObjectItem(doc, "cases"))
        check_decode(row);
    cJSON_Delete(doc);
}

/* Where the high bytes of a type's halves are, two at most; -1: none. */
typedef struct halves {
    const char *name;
    int high[2];
} halves;

static const halves bulk_halves[] = {
    {"Q4_0", {1, -1}},    {"Q4_1", {1, 3}},    {"Q5_0", {1, -1}},
    {"Q5_1", {1, 3}},     {"Q8_0", {1, -1}},   {"Q8_1", {1, 3}},
    {"Q2_K", {81, 83}},   {"Q3_K", {109, -1}}, {"Q4_K", {1, 3}},
    {"Q5_K", {1, 3}},     {"Q6_K", {209, -1}}, {"Q8_K", {3, -1}},
    {"IQ2_XXS", {1, -1}}, {"IQ2_XS", {1, -1}}, {"IQ3_XXS", {1, -1}},
    {"IQ1_S", {1, -1}},   {"IQ4_NL", {1, -1}}, {"IQ3_S", {1, -1}},
    {"IQ2_S", {1, -1}},   {"IQ4_XS", {1, -1}}, {"IQ1_M", {55, -1}},
    {"TQ1_0", {53, -1}},  {"TQ2_0", {65, -1}}, {"MXFP4", {-1, -1}},
    {"NVFP4", {-1, -1}},  {"Q1_0", {1, -1}},   {"Q2_0", {1, -1}},
};

/* The bytes that follow from a type's name: scales are finite. */
static void
make_bulk(const char *name, uint64_t seed, size_t block, size_t size,
          unsigned char *bytes)
{
    char tensor[64];

    snprintf(tensor, sizeof tensor, "decode.bulk.%s", name);
    for (size_t i = 0; i < size; i++)
        bytes[i] = (unsigned char)golden_bits(seed, tensor, i);
    for (size_t i = 0; i < sizeof bulk_halves / sizeof *bulk_halves; i++) {
        const halves *h = &bulk_halves[i];

        if (strcmp(h->name, name) != 0)
            continue;
        for (size_t at = 0; at < size; at += block)
            for (int k = 0; k < 2; k++)
                if (h->high[k] >= 0)
                    bytes[at + (size_t)h->high[k]] &= 0xbf;
    }
    if (strcmp(name, "MXFP4") == 0)
        for (size_t at = 0; at < size; at += block)
            bytes[at] = 64 | (bytes[at] & 63);
}

/* Whether the SHA-256 starts so. */
static bool
has_digest(const void *data, size_t size, const char *want)
{
    dfx_sha256 *sha = NULL;
    char hash[DFX_HASH_CHARS] = "";
    dfx_error err;
    bool good = dfx_sha256_new(&sha, &err) == DFX_OK &&
                dfx_sha256_add(sha, data, size, &err) == DFX_OK &&
                dfx_sha256_hex(sha, hash, &err) == DFX_OK;

    dfx_sha256_free(sha);
    return good && strncmp(hash, want, strlen(want)) == 0;
}

/* [type, "bulk", null, blocks, null, floats, by, same, digest of the floats,
   digest of the blocks] */
static void
check_bulk(const cJSON *row, uint64_t seed)
{
    const char *name = text_at(row, 0);
    const dfx_codec *codec = dfx_codec_of(dfx_type_named(name));
    size_t count = number_at(row, 3), numbers = number_at(row, 5);
    unsigned char *blocks;
    float *got;
    char what[128];

    if (codec == NULL || strcmp(text_at(row, 1), "bulk") != 0)
        return;
    blocks = malloc(count * codec->unit.bytes);
    got = malloc(numbers * sizeof *got);
    make_bulk(name, seed, codec->unit.bytes, count * codec->unit.bytes, blocks);
    snprintf(what, sizeof what, "%s: %zu blocks made from the name", name,
             count);
    CHECK(has_digest(blocks, count * codec->unit.bytes, text_at(row, 9)), what);
    codec->decode(blocks, got, count);
    CHECK(has_digest(got, numbers * sizeof *got, text_at(row, 8)),
          "  to the same numbers");
    free(got);
    free(blocks);
}

static void
test_bulk(void)
{
    cJSON *doc = golden_json("decode.json");
    uint64_t seed = (uint64_t)cJSON_GetObjectItem(doc, "seed")->valuedouble;
    const cJSON *row;

    cJSON_ArrayForEach(row, cJSON_GetObjectItem(doc, "cases"))
        check_bulk(row, seed);
    cJSON_Delete(doc);
}

/* ---- Grids ------------------------------------------------------------------
 */

static void
check_grid(const cJSON *grids, const char *name, const uint16_t *rows,
           int count, int elements, int bits)
{
    const cJSON *grid = cJSON_GetObjectItem(grids, name);
    const int8_t *levels = strcmp(name, "IQ3_XXS") == 0 ? dfx_levels_iq3_xxs
                           : strcmp(name, "IQ3_S") == 0 ? dfx_levels_iq3_s
                           : strcmp(name, "IQ1_S") == 0 ? dfx_levels_iq1
                                                        : dfx_levels_iq2;
    bool good = cJSON_GetArraySize(grid) == count;
    const cJSON *row = grid->child;

    for (int i = 0; good && i < count; i++, row = row->next)
        for (int j = 0; j < elements; j++)
            good = good && cJSON_GetArrayItem(row, j)->valueint ==
                               levels[rows[i] >> bits * j & ((1 << bits) - 1)];
    CHECK(good, name);
}

static void
test_grids(void)
{
    cJSON *doc = golden_json("iq_grids.json");
    const cJSON *grids = cJSON_GetObjectItem(doc, "grids");

#define GRID(name, count, elements, bits, ...)                                 \
    check_grid(grids, #name, dfx_grid_##name, count, elements, bits);
#include "codecs/grids.def"
#undef GRID
    cJSON_Delete(doc);
}

/* ---- Encoding --------------------------------------------------------------
 */

/* Compares, and says where the first byte differs. */
static bool
same_bytes(const unsigned char *got, const unsigned char *want, size_t size,
           size_t block)
{
    for (size_t i = 0; i < size; i++)
        if (got[i] != want[i]) {
            printf("# block %zu, byte %zu: got %02x, want %02x\n", i / block,
                   i % block, got[i], want[i]);
            return false;
        }
    return true;
}

/*
 * Numbers so small that ggml's 1/d is infinite, or its exponent below 0: what
 * it makes of them is undefined in C. Ours must decode to something as near.
 */
static bool
forgive(const dfx_codec *codec, const float *numbers, unsigned char *got,
        const unsigned char *want, size_t count)
{
    for (size_t at = 0; at < count; at += codec->unit.elements,
                got += codec->unit.bytes, want += codec->unit.bytes) {
        float a[256], b[256];
        double ours = 0, theirs = 0, most = 0;

        if (memcmp(got, want, codec->unit.bytes) == 0)
            continue;
        codec->decode(got, a, 1);
        codec->decode(want, b, 1);
        for (size_t i = 0; i < codec->unit.elements; i++) {
            double x = (double)numbers[at + i];

            ours += pow((double)a[i] - x, 2);
            theirs += pow((double)b[i] - x, 2);
            most = fmax(most, fabs(x));
        }
        if (!(most < 0x1p-124 && ours <= theirs))
            return false;
        memcpy(got, want, codec->unit.bytes);
    }
    return true;
}

/* Where the values of a section start, and how many there are. */
static void
find_section(const cJSON *doc, const char *name, size_t *first, size_t *count)
{
    const cJSON *row;

    cJSON_ArrayForEach(
        row, cJSON_GetObjectItem(doc, "sections")) if (strcmp(text_at(row, 0),
                                                              name) == 0)
    {
        *first = number_at(row, 1);
        *count = number_at(row, 2);
    }
}

/* [type, section, offset of the bytes, bytes, ...] */
static void
check_encode(const cJSON *doc, const cJSON *row, const unsigned char *input)
{
    const char *name = text_at(row, 0), *section = text_at(row, 1);
    const dfx_codec *codec = dfx_codec_of(dfx_type_named(name));
    size_t first = 0, count = 0, size = 0, bytes = number_at(row, 3);
    char path[128], what[128];
    unsigned char *want, *got;
    float *numbers;
    bool fits, overflows, clipped;

    if (codec == NULL)
        return;
    find_section(doc, section, &first, &count);
    snprintf(path, sizeof path, "encode/%s.bin", name);
    want = golden_load(path, &size);
    got = malloc(bytes);
    numbers = malloc(count * sizeof *numbers);
    memcpy(numbers, input + 4 * first, count * sizeof *numbers);
    clipped = false;
    for (size_t i = 0; i < count; i++)
        clipped = clipped || fabsf(numbers[i]) > 6 * 448;
    fits = codec->encode(numbers, NULL, got, count);
    snprintf(what, sizeof what, "%s of %s", name, section);
    want += number_at(row, 2);
    CHECK(forgive(codec, numbers, got, want, count) &&
              same_bytes(got, want, bytes, codec->unit.bytes),
          what);
    want -= number_at(row, 2);
    codec->decode(got, numbers, count / codec->unit.elements);
    overflows = strcmp(name, "NVFP4") == 0 && clipped;
    for (size_t i = 0; i < count; i++)
        overflows = overflows || numbers[i] - numbers[i] != 0;
    CHECK(fits == !overflows, "  and it is said whether it fits");
    free(numbers);
    free(got);
    free(want);
}

static void
test_encode(void)
{
    cJSON *doc = golden_json("encode.json");
    size_t size = 0;
    unsigned char *input = golden_load("encode/input.f32", &size);
    const cJSON *row;

    cJSON_ArrayForEach(row, cJSON_GetObjectItem(doc, "cases"))
        check_encode(doc, row, input);
    free(input);
    cJSON_Delete(doc);
}

/* ---- Searching -------------------------------------------------------------
 */

enum { SEARCHED = 2816 }; /* numbers at the end of the input */

/* [type, imatrix, bytes, ...] */
static void
check_search(const cJSON *row, const float *numbers, const float *spread)
{
    const char *name = text_at(row, 0), *mode = text_at(row, 1);
    const dfx_codec *codec = dfx_codec_of(dfx_type_named(name));
    size_t bytes = number_at(row, 2), size = 0;
    float importance[SEARCHED];
    char path[128], what[128];
    unsigned char *want, *got;

    if (codec == NULL || codec->encode == NULL)
        return;
    for (size_t i = 0; i < SEARCHED; i++)
        importance[i] = strcmp(mode, "spread") == 0 ? spread[i] : 1;
    snprintf(path, sizeof path, "search/%s.%s.bin", name, mode);
    want = golden_load(path, &size);
    got = malloc(bytes);
    codec->encode(numbers, strcmp(mode, "none") == 0 ? NULL : importance, got,
                  SEARCHED);
    snprintf(what, sizeof what, "%s with importance %s", name, mode);
    CHECK(size == bytes && same_bytes(got, want, bytes, codec->unit.bytes),
          what);
    free(got);
    free(want);
}

/* Column j counts 2^floor(4u), u of the tensor quant.imatrix. */
static void
make_spread(uint64_t seed, float *spread)
{
    for (uint64_t i = 0; i < SEARCHED; i++) {
        spread[i] =
            (float)exp2(floor(4 * golden_value(seed, "quant.imatrix", i)));
    }
}

static void
test_search(void)
{
    cJSON *doc = golden_json("search.json");
    size_t size = 0;
    unsigned char *input = golden_load("encode/input.f32", &size);
    float numbers[SEARCHED], spread[SEARCHED];
    const cJSON *row;

    memcpy(numbers, input + size - sizeof numbers, sizeof numbers);
    make_spread((uint64_t)cJSON_GetObjectItem(doc, "seed")->valuedouble,
                spread);
    cJSON_ArrayForEach(row, cJSON_GetObjectItem(doc, "cases"))
        check_search(row, numbers, spread);
    free(input);
    cJSON_Delete(doc);
}

int
main(void)
{
    golden_find("gguf");
    test_decode();
    test_bulk();
    test_grids();
    test_encode();
    test_search();
    return tap_end();
}
