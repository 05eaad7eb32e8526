/*
 * test_codec_errors.c - a whole tensor to every block type: ggml's bytes, or
 * less error than ggml's where the search is our own
 */
#include <config.h>

#include "codecs/codec.h"

#include <math.h>

#include <cjson/cJSON.h>

#include "digest.h"
#include "golden.h"
#include "tap.h"

/* Of the sources of results.json the one that is made fastest. */
enum { ROWS = 256, COLUMNS = 1024 };
static const char source[] = "offset";

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

/* The error relative to the numbers, both weighed. */
static double
error_of(const float *x, const float *y, const float *importance)
{
    double error = 0, size = 0;

    for (size_t i = 0; i < (size_t)ROWS * COLUMNS; i++) {
        double w = importance != NULL ? (double)importance[i % COLUMNS] : 1;
        double e = (double)y[i] - (double)x[i];

        error += w * e * e;
        size += w * (double)x[i] * (double)x[i];
    }
    return sqrt(error / size);
}

/* The grids are searched in a way of our own. */
static bool
is_own(const char *name)
{
    return strncmp(name, "IQ1", 3) == 0 || strncmp(name, "IQ2", 3) == 0 ||
           strncmp(name, "IQ3", 3) == 0;
}

/* [source, shape, type, importance, mean square, error, weighed error, largest,
   digest] */
static void
check_case(const cJSON *row, const float *x, const float *spread)
{
    const char *name = cJSON_GetArrayItem(row, 2)->valuestring;
    const char *mode = cJSON_GetArrayItem(row, 3)->valuestring;
    double most = cJSON_GetArrayItem(row, 6)->valuedouble;
    const char *digest = cJSON_GetArrayItem(row, 8)->valuestring;
    const dfx_codec *codec = dfx_codec_of(dfx_type_named(name));
    const float *importance = strcmp(mode, "spread") == 0 ? spread : NULL;
    size_t blocks, bytes;
    unsigned char *got;
    float *y;
    char what[80];

    if (codec == NULL || codec->encode == NULL || strcmp(mode, "ones") == 0)
        return;
    blocks = COLUMNS / codec->unit.elements;
    bytes = blocks * codec->unit.bytes;
    got = malloc(ROWS * bytes);
    y = malloc((size_t)ROWS * COLUMNS * sizeof *y);
    for (size_t r = 0; r < ROWS; r++)
        (void)codec->encode(x + r * COLUMNS, importance, got + r * bytes,
                            COLUMNS);
    snprintf(what, sizeof what, "%s, importance %s", name, mode);
    if (is_own(name)) {
        codec->decode(got, y, ROWS * blocks);
        if (!CHECK(error_of(x, y, importance) <= most, what))
            printf("# %g, ggml's is %g\n", error_of(x, y, importance), most);
    } else {
        CHECK(has_digest(got, ROWS * bytes, digest), what);
    }
    free(got);
    free(y);
}

int
main(void)
{
    float *x = malloc((size_t)ROWS * COLUMNS * sizeof *x), spread[COLUMNS];
    cJSON *doc, *row;
    uint64_t seed;

    golden_find("gguf");
    doc = golden_json("results.json");
    seed = (uint64_t)cJSON_GetObjectItem(doc, "seed")->valuedouble;
    for (uint64_t i = 0; i < (uint64_t)ROWS * COLUMNS; i++)
        x[i] =
            (float)(0.03125 + 0x1p-4 * golden_value(seed, "quant.offset", i));
    for (uint64_t i = 0; i < COLUMNS; i++)
        spread[i] =
            (float)exp2(floor(4 * golden_value(seed, "quant.imatrix", i)));
    cJSON_ArrayForEach(row, cJSON_GetObjectItem(doc, "cases"))
    {
        if (strcmp(cJSON_GetArrayItem(row, 0)->valuestring, source) == 0)
            check_case(row, x, spread);
    }
    cJSON_Delete(doc);
    free(x);
    return tap_end();
}
