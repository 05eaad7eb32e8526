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
#include "importance.h"
#include "tap.h"
#include "types.h"

/* The numbers of a row's source. */
typedef struct source {
    const char *name;
    float *numbers; /* owned */
    size_t rows, columns;
    const float *real; /* importances of its columns; NULL: none are known */
} source;

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
error_of(const source *s, const float *y, const float *importance)
{
    double error = 0, size = 0;

    for (size_t i = 0; i < s->rows * s->columns; i++) {
        double w = importance != NULL ? (double)importance[i % s->columns] : 1;
        double e = (double)y[i] - (double)s->numbers[i];

        error += w * e * e;
        size += w * (double)s->numbers[i] * (double)s->numbers[i];
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

static void
encode(const source *s, const dfx_codec *codec, const float *importance,
       unsigned char *out)
{
    size_t bytes = s->columns / codec->unit.elements * codec->unit.bytes;

    for (size_t r = 0; r < s->rows; r++)
        (void)codec->encode(s->numbers + r * s->columns, importance,
                            out + r * bytes, s->columns);
}

/* [source, shape, type, importance, mean square, error, weighed error, largest,
   digest]. The table has ratios of mean squares. */
static void
check_case(const cJSON *row, const source *s, const float *importance,
           bool table)
{
    const char *name = text_at(row, 2), *mode = text_at(row, 3);
    double most = cJSON_GetArrayItem(row, 6)->valuedouble, error;
    const dfx_codec *codec = dfx_codec_of(dfx_type_named(name));
    size_t blocks, bytes;
    unsigned char *got;
    float *y;
    char what[80];

    if (codec == NULL || codec->encode == NULL)
        return;
    blocks = s->rows * s->columns / codec->unit.elements;
    bytes = blocks * codec->unit.bytes;
    got = malloc(bytes);
    y = malloc(s->rows * s->columns * sizeof *y);
    encode(s, codec, importance, got);
    codec->decode(got, y, blocks);
    error = error_of(s, y, importance);
    snprintf(what, sizeof what, "%s: %s, importance %s", s->name, name, mode);
    if (table)
        printf("# %-20s %-8s %-7s ggml %.4e  ours %.4e  ratio %.4f%s\n",
               s->name, name, mode, most * most, error * error,
               error * error / (most * most),
               has_digest(got, bytes, text_at(row, 8)) ? "  same bytes" : "");
    if (is_own(name))
        CHECK(error <= most, what);
    else
        CHECK(has_digest(got, bytes, text_at(row, 8)), what);
    free(got);
    free(y);
}

/* The importances of a mode of results.json. False: they are not known. */
static bool
importance_of(const char *mode, const source *s, uint64_t seed, float *space,
              const float **out)
{
    *out = space;
    if (strcmp(mode, "none") == 0) {
        *out = NULL;
    } else if (strcmp(mode, "real") == 0) {
        *out = s->real;
        return s->real != NULL;
    } else {
        for (uint64_t i = 0; i < s->columns; i++)
            space[i] = strcmp(mode, "ones") == 0
                           ? 1
                           : (float)exp2(floor(
                                 4 * golden_value(seed, "quant.imatrix", i)));
    }
    return true;
}

/* Without a table, of real weights only what is real: the rest takes its time.
 */
static void
check_source(const cJSON *doc, const source *s, bool table)
{
    uint64_t seed = (uint64_t)cJSON_GetObjectItem(doc, "seed")->valuedouble;
    float *space = malloc(s->columns * sizeof *space);
    const float *importance;
    const cJSON *row;

    cJSON_ArrayForEach(row, cJSON_GetObjectItem(doc, "cases"))
    {
        if (strcmp(text_at(row, 0), s->name) == 0 &&
            (table || s->real == NULL ||
             strcmp(text_at(row, 3), "real") == 0) &&
            importance_of(text_at(row, 3), s, seed, space, &importance))
            check_case(row, s, importance, table);
    }
    free(space);
}

/* Of the sources made by rule the one that is made fastest. */
static void
check_made(const cJSON *doc)
{
    uint64_t seed = (uint64_t)cJSON_GetObjectItem(doc, "seed")->valuedouble;
    source s = {.name = "offset", .rows = 256, .columns = 1024};

    s.numbers = malloc(s.rows * s.columns * sizeof *s.numbers);
    for (uint64_t i = 0; i < s.rows * s.columns; i++)
        s.numbers[i] =
            (float)(0.03125 + 0x1p-4 * golden_value(seed, "quant.offset", i));
    check_source(doc, &s, false);
    free(s.numbers);
}

/* Weights of a trained model, with what its layers were given. */
static void
check_real(const cJSON *doc, const char *path, bool table)
{
    dfx_index *index = NULL;
    dfx_imatrix *imatrix = NULL;
    const dfx_tensor *tensors = NULL;
    dfx_error err = {0};
    char where[600], name[128];
    size_t count = 0;

    snprintf(where, sizeof where, "%s/imatrix/minilm.llama.dat", golden_folder);
    if (!CHECK(dfx_open(path, NULL, &index, &err) == DFX_OK &&
                   dfx_imatrix_open(where, NULL, &imatrix, &err) == DFX_OK,
               "the weights and their importance are read"))
        return;
    tensors = dfx_index_tensors(index, &count);
    for (size_t i = 0; i < count; i++) {
        const dfx_tensor *t = &tensors[i];
        source s = {.name = name,
                    .rows = (size_t)t->shape[0],
                    .columns = (size_t)t->shape[1]};
        void *raw = malloc((size_t)t->data.size);

        snprintf(name, sizeof name, "%s.weight", t->name);
        s.numbers = malloc(s.rows * s.columns * sizeof *s.numbers);
        CHECK(dfx_extent_read(&t->data, 0, raw, (size_t)t->data.size, &err) ==
                      DFX_OK &&
                  dfx_imatrix_find(imatrix, name, s.columns, &s.real, &err) ==
                      DFX_OK,
              name);
        dfx_cast(t->type, DFX_TYPE_F32, raw, s.numbers, s.rows * s.columns);
        snprintf(name, sizeof name, "real:%s", t->name);
        check_source(doc, &s, table);
        free(s.numbers);
        free(raw);
    }
    dfx_imatrix_free(imatrix);
    dfx_index_free(index);
}

/* Without an argument a slice of the weights; else those of that file, and a
   table. */
int
main(int argc, char **argv)
{
    cJSON *doc;
    char path[600];

    golden_find("gguf");
    doc = golden_json("results.json");
    snprintf(path, sizeof path, "%s/real.safetensors", golden_folder);
    if (argc == 1)
        check_made(doc);
    check_real(doc, argc > 1 ? argv[1] : path, argc > 1);
    cJSON_Delete(doc);
    return tap_end();
}
