/*
 * test_importance.c - importance matrices of three writers, and broken ones
 */
#include <config.h>

#include "importance.h"

#include "digest.h"
#include "golden.h"
#include "tap.h"

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

/* [file, tensor, columns, first, last, digest] */
static void
check_case(const cJSON *row)
{
    const char *tensor = text_at(row, 1);
    size_t columns = number_at(row, 2);
    dfx_imatrix *imatrix = NULL;
    const float *values = NULL;
    dfx_error err = {0};
    char path[600], longer[200];

    snprintf(path, sizeof path, "%s/%s", golden_folder, text_at(row, 0));
    if (!CHECK(dfx_imatrix_open(path, NULL, &imatrix, &err) == DFX_OK,
               text_at(row, 0)))
        return;
    CHECK(dfx_imatrix_find(imatrix, tensor, columns, &values, &err) == DFX_OK &&
              values != NULL &&
              has_digest(values, columns * sizeof *values, text_at(row, 5)),
          tensor);
    snprintf(longer, sizeof longer, "model.diffusion_model.%s", tensor);
    CHECK(dfx_imatrix_find(imatrix, longer, columns, &values, &err) == DFX_OK &&
              values != NULL,
          "  under the name that it has in a whole checkpoint");
    CHECK(dfx_imatrix_find(imatrix, "no.such.weight", columns, &values, &err) ==
                  DFX_OK &&
              values == NULL,
          "  and not under another");
    CHECK(dfx_imatrix_find(imatrix, tensor, columns + 1, &values, &err) ==
                  DFX_ERR_FORMAT &&
              strcmp(err.rule, "quant.imatrix") == 0,
          "  nor of other columns");
    dfx_imatrix_free(imatrix);
}

/* The bytes as a file are refused by that rule. */
static void
refuses(const unsigned char *data, size_t size, const char *rule,
        const char *what)
{
    dfx_imatrix *imatrix = NULL;
    dfx_error err = {0};
    bool good;

    scratch_write("x.dat", data, size);
    good =
        dfx_imatrix_open("x.dat", NULL, &imatrix, &err) == DFX_ERR_FORMAT &&
        strcmp(err.rule, rule) == 0;

    if (!CHECK(good, what))
        printf("# [%s] %s\n", err.rule, err.text);
    dfx_imatrix_free(imatrix);
}

/* Each number of the older form at what it cannot be, and each cut. */
static void
check_broken(void)
{
    enum { AT_COUNT = 0, AT_NAME = 4, AT_CALLS = 28, AT_COLUMNS = 32 };
    size_t size = 0, refused = 0, cuts = 0;
    unsigned char *good = golden_load("minilm.sd.dat", &size);
    unsigned char *bad = malloc(size + 1);
    static const struct {
        size_t at;
        uint32_t value;
        const char *what;
    } cases[] = {
        {AT_COUNT, 5, "more matrices than there are"},
        {AT_COUNT, 0, "no matrix"},
        {AT_COUNT, 0xffffffff, "-1 matrices"},
        {AT_NAME, 0, "a name of no bytes"},
        {AT_NAME, 0x7fffffff, "a name longer than the file"},
        {AT_CALLS, 0, "no calls"},
        {AT_CALLS, 0xffffffff, "-1 calls"},
        {AT_COLUMNS, 0, "no columns"},
        {AT_COLUMNS, 0x40000000, "columns beyond the file"},
    };

    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        memcpy(bad, good, size);
        memcpy(bad + cases[i].at, &cases[i].value, sizeof cases[i].value);
        refuses(bad, size, "imatrix.form", cases[i].what);
    }
    memcpy(bad, good, size);
    memcpy(bad + 36, "\0\0\300\377", 4);
    refuses(bad, size, "quant.imatrix", "an importance that is NaN");
    memcpy(bad + 36, "\0\0\200\277", 4);
    refuses(bad, size, "quant.imatrix", "one below 0");
    for (size_t n = 0; n < size - 4; n += 7, cuts++) {
        dfx_imatrix *imatrix = NULL;
        dfx_error err = {0};

        scratch_write("x.dat", good, n);
        refused += dfx_imatrix_open("x.dat", NULL, &imatrix, &err) != DFX_OK;
        dfx_imatrix_free(imatrix);
    }
    CHECK(refused == cuts, "each cut of it");
    free(bad);
    free(good);
}

int
main(void)
{
    cJSON *doc, *row;

    golden_find("gguf/imatrix");
    scratch_enter();
    doc = golden_json("expected.json");
    cJSON_ArrayForEach(row, cJSON_GetObjectItem(doc, "cases")) check_case(row);
    cJSON_Delete(doc);
    check_broken();
    return tap_end();
}
