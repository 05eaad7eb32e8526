/*
 * test_rng.c - random numbers are PyTorch's
 *
 * Uniform numbers are the same bits; normal ones are within what its own vector
 * functions differ from better ones by: 3e-6 of F32, 1e-14 of F64, two steps of
 * halves (README there).
 */
#include <config.h>

#include "rng.h"

#include <math.h>

#include "golden.h"
#include "index.h"
#include "tap.h"

static dfx_index *numbers;

static const dfx_tensor *
wanted(const char *name, void *out, size_t size)
{
    const dfx_tensor *t = dfx_index_find(numbers, 0, name);
    dfx_error err;

    if (t == NULL || t->data.size > size ||
        dfx_extent_read(&t->data, 0, out, (size_t)t->data.size, &err) != DFX_OK)
        return NULL;
    return t;
}

/* The worst difference; halves by the step at the number. */
static double
difference(dfx_type type, const void *a, const void *b, size_t count)
{
    double x[300], y[300], worst = 0;

    dfx_to_f64(type, a, x, count);
    dfx_to_f64(type, b, y, count);
    for (size_t i = 0; i < count; i++) {
        double step = type == DFX_TYPE_F16    ? 0x1p-10
                      : type == DFX_TYPE_BF16 ? 0x1p-7
                                              : 0;
        int e = 0;

        (void)frexp(y[i], &e);
        if (step > 0)
            worst = fmax(worst, fabs(x[i] - y[i]) / ldexp(step, e - 1));
        else
            worst = fmax(worst, fabs(x[i] - y[i]));
    }
    return worst;
}

static void
check_normal(dfx_rng *rng, const char *name, size_t n)
{
    unsigned char got[300 * 8], want[300 * 8];
    const dfx_tensor *t = wanted(name, want, sizeof want);
    double most, worst;

    if (!CHECK(t != NULL && t->shape[0] == n && n <= 300, name))
        return;
    most = t->type == DFX_TYPE_F32 ? 3e-6 : t->type == DFX_TYPE_F64 ? 1e-14 : 2;
    CHECK(dfx_rng_normal(rng, t->type, got, n), "  are drawn");
    worst = difference(t->type, got, want, n);
    if (!CHECK(worst <= most, "  are those of PyTorch"))
        printf("# differ by %g\n", worst);
}

static void
check_exact(const char *name, const void *got, size_t size)
{
    unsigned char want[300 * 8];

    CHECK(wanted(name, want, sizeof want) != NULL &&
              memcmp(got, want, size) == 0,
          name);
}

/* Rows of one generator follow each other: the first names the seed. */
static void
check_row(const cJSON *row)
{
    static dfx_rng rng;
    const char *name = text_of(row, "name"), *call = text_of(row, "call");
    const cJSON *seed = cJSON_GetObjectItem(row, "seed");
    size_t n = (size_t)cJSON_GetNumberValue(cJSON_GetObjectItem(row, "n"));
    bool goes_on =
        strncmp(name, "stream/", 7) == 0
            ? strstr(name, "call0") == NULL
            : strncmp(name, "mixed/", 6) == 0 && name[strlen(name) - 1] != 'a';
    float narrow[300];
    double wide[300];
    uint64_t whole[300];

    if (strncmp(name, "digest/", 7) == 0)
        return;
    if (!goes_on) {
        /* Numbers above 2^53 are no doubles: the name has all digits. */
        const char *digits = strchr(name, '/');

        (void)seed;
        dfx_rng_seed(&rng, (uint64_t)strtoll(digits + 2, NULL, 10));
    }
    if (strcmp(call, "rand") == 0 && strncmp(name, "rand64", 6) == 0) {
        dfx_rng_uniform64(&rng, wide, n);
        check_exact(name, wide, n * sizeof *wide);
    } else if (strcmp(call, "rand") == 0 || strcmp(call, "b") == 0) {
        dfx_rng_uniform32(&rng, narrow, n);
        check_exact(name, narrow, n * sizeof *narrow);
    } else if (strncmp(call, "randint", 7) == 0) {
        for (size_t i = 0; i < n; i++)
            whole[i] = dfx_rng_below(&rng, 1000);
        check_exact(name, whole, n * sizeof *whole);
    } else if (strcmp(call, "randperm") == 0) {
        dfx_rng_permute(&rng, whole, n);
        check_exact(name, whole, n * sizeof *whole);
    } else {
        check_normal(&rng, name, n);
    }
}

/* The first numbers, the last and the sum of a whole latent. */
static void
check_digest(const cJSON *row)
{
    enum { COUNT = 4 * 64 * 64 };
    float *got = malloc(COUNT * sizeof *got);
    const cJSON *first = cJSON_GetObjectItem(row, "first");
    const cJSON *last = cJSON_GetObjectItem(row, "last");
    double sum = 0, worst = 0;
    dfx_rng rng;

    dfx_rng_seed(
        &rng, (uint64_t)cJSON_GetNumberValue(cJSON_GetObjectItem(row, "seed")));
    CHECK(dfx_rng_normal(&rng, DFX_TYPE_F32, got, COUNT), "a latent is drawn");
    for (size_t i = 0; i < COUNT; i++)
        sum += (double)got[i];
    for (int i = 0; i < 4; i++) {
        worst = fmax(worst, fabs(cJSON_GetArrayItem(first, i)->valuedouble -
                                 (double)got[i]));
        worst = fmax(worst, fabs(cJSON_GetArrayItem(last, i)->valuedouble -
                                 (double)got[COUNT - 4 + i]));
    }
    CHECK(worst < 3e-6, "  its ends");
    CHECK(fabs(sum - cJSON_GetObjectItem(row, "sum")->valuedouble) < 1e-2,
          "  its sum");
    free(got);
}

/* ---- Philox
 * ------------------------------------------------------------------ */

static uint32_t
word_at(const cJSON *list, int i)
{
    return (uint32_t)cJSON_GetArrayItem(list, i)->valuedouble;
}

static void
check_block(const cJSON *row)
{
    const cJSON *counter = cJSON_GetObjectItem(row, "counter");
    const cJSON *key = cJSON_GetObjectItem(row, "key");
    const cJSON *out = cJSON_GetObjectItem(row, "out");
    uint32_t c[4], k[2], got[4];
    bool same = true;

    for (int i = 0; i < 4; i++)
        c[i] = word_at(counter, i);
    for (int i = 0; i < 2; i++)
        k[i] = word_at(key, i);
    dfx_philox_block(c, k, got);
    for (int i = 0; i < 4; i++)
        same = same && got[i] == strtoul(text_at(out, i), NULL, 16);
    CHECK(same, "a published block of Philox");
}

static double
item(const cJSON *row, const char *name)
{
    return cJSON_GetNumberValue(cJSON_GetObjectItem(row, name));
}

static double
worst_of(const cJSON *list, const float *got)
{
    double worst = 0;
    int i = 0;
    const cJSON *number;

    cJSON_ArrayForEach(number, list)
    {
        worst = fmax(worst, fabs(number->valuedouble - (double)got[i++]));
    }
    return worst;
}

static void
check_philox(const cJSON *row)
{
    size_t count = (size_t)item(row, "numel");
    float *got = malloc(count * sizeof *got);
    const cJSON *last = cJSON_GetObjectItem(row, "last");
    dfx_philox philox = {
        .seed = (uint64_t)item(row, "seed"),
        .offset = (uint64_t)item(row, "offset"),
        .multiprocessors = (uint32_t)item(row, "multiprocessors"),
        .threads = (uint32_t)item(row, "threads_per_multiprocessor"),
    };
    char what[80];

    snprintf(what, sizeof what, "%zu numbers of seed %llu", count,
             (unsigned long long)philox.seed);
    dfx_philox_normal(&philox, got, count);
    CHECK(worst_of(cJSON_GetObjectItem(row, "first"), got) < 2e-6 &&
              worst_of(last, got + count - (size_t)cJSON_GetArraySize(last)) <
                  2e-6 &&
              worst_of(cJSON_GetObjectItem(row, "middle"),
                       got + (size_t)item(row, "middle_index")) < 2e-6,
          what);
    CHECK(philox.offset == (uint64_t)item(row, "next_offset"),
          "  and where the next begin");
    free(got);
}

int
main(void)
{
    cJSON *doc, *row;
    char path[600];
    dfx_error err;

    golden_find("rng");
    snprintf(path, sizeof path, "%s/rng.safetensors", golden_folder);
    if (!CHECK(dfx_open(path, NULL, &numbers, &err) == DFX_OK, "the numbers"))
        return tap_end();
    doc = golden_json("rng.json");
    cJSON_ArrayForEach(row, doc)
    {
        check_row(row);
        if (strncmp(text_of(row, "name"), "digest/", 7) == 0)
            check_digest(row);
    }
    cJSON_Delete(doc);
    doc = golden_json("philox.json");
    cJSON_ArrayForEach(row, doc)
    {
        if (strcmp(text_of(row, "kind"), "block") == 0)
            check_block(row);
        else
            check_philox(row);
    }
    cJSON_Delete(doc);
    dfx_index_free(numbers);
    return tap_end();
}
