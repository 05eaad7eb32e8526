/*
 * test_forms.c - weights stored in parts read as the library that stored them
 * reads them
 *
 * NAME.safetensors holds the parts, NAME.expected.safetensors the weights.
 */
#include <config.h>

#include "form.h"

#include <dirent.h>
#include <math.h>

#include "golden.h"
#include "tap.h"
#include "types.h"

static dfx_index *
open_golden(const char *name)
{
    char path[900];
    dfx_index *index = NULL;
    dfx_error err = {0};

    snprintf(path, sizeof path, "%s/%s", golden_folder, name);
    if (dfx_open(path, NULL, &index, &err) != DFX_OK)
        printf("# %s: %s [%s]\n", name, err.text, err.rule);
    return index;
}

/* All numbers of a tensor as floats; free() them. */
static float *
numbers_of(const dfx_tensor *t)
{
    uint64_t elements = dfx_tensor_elements(t);
    void *raw = malloc((size_t)t->data.size + 1);
    float *numbers = malloc((elements + 1) * sizeof *numbers);
    dfx_error err;

    if (dfx_extent_read(&t->data, 0, raw, (size_t)t->data.size, &err) !=
        DFX_OK) {
        printf("# %s: %s\n", t->name, err.text);
        memset(raw, 0, (size_t)t->data.size);
    }
    dfx_cast(t->type, DFX_TYPE_F32, raw, numbers, (size_t)elements);
    free(raw);
    return numbers;
}

/* The largest difference by the largest number; -1: the bits are the same. Of
   a padded weight only what the other has. A weight of zeros has no scale where
   the library divides by it: NaN there, and zeros here. */
static double
difference(const dfx_tensor *got, const dfx_tensor *want)
{
    uint64_t columns = want->shape[want->rank - 1];
    uint64_t padded = got->shape[got->rank - 1];
    float *a = numbers_of(got), *b = numbers_of(want);
    uint64_t elements = dfx_tensor_elements(want);
    double worst = 0, most = 0;
    bool same = true;

    for (uint64_t i = 0; i < elements; i++) {
        float x = a[i / columns * padded + i % columns];

        same = same && memcmp(&x, &b[i], sizeof x) == 0;
        if (isnan(b[i]) && (isnan(x) || x == 0))
            continue;
        worst = fmax(worst, fabs((double)x - (double)b[i]));
        most = fmax(most, fabs((double)b[i]));
    }
    free(a);
    free(b);
    return same ? -1 : most > 0 ? worst / most : worst;
}

static bool
is_padded(const char *name)
{
    return strncmp(name, "comfy_nvfp4", 11) == 0 ||
           strncmp(name, "comfy_mxfp8", 11) == 0;
}

static void
check_tensor(const char *name, const dfx_index *index, const dfx_tensor *want)
{
    const dfx_tensor *got = dfx_index_find(index, 0, want->name);
    bool is_rotated = strcmp(name, "comfy_int8_convrot") == 0;
    /* Plain casts are in one part, of a type that dfx knows. */
    bool is_plain = strncmp(name, "fp8_cast", 8) == 0;
    bool fits = got != NULL && (is_plain || got->type == want->type) &&
                got->rank == want->rank;
    char what[400];
    double worst;

    snprintf(what, sizeof what, "%s: %s", name, want->name);
    for (uint32_t i = 0; fits && i < got->rank; i++)
        fits = is_padded(name) ? got->shape[i] >= want->shape[i]
                               : got->shape[i] == want->shape[i];
    if (!CHECK(fits, what))
        return;
    worst = difference(got, want);
    if (!CHECK(worst <= (is_rotated ? 1e-5 : 0), "  its numbers"))
        printf("# differ by %g\n", worst);
}

static void
check_file(const char *expected)
{
    static const char tail[] = ".expected.safetensors";
    char name[200], file[240];
    dfx_index *want = open_golden(expected), *got;
    const dfx_tensor *tensors;
    size_t count = 0, joined = 0;

    snprintf(name, sizeof name, "%.*s", (int)(strlen(expected) - strlen(tail)),
             expected);
    snprintf(file, sizeof file, "%s.safetensors", name);
    got = open_golden(file);
    if (!CHECK(got != NULL && want != NULL, name))
        return;
    tensors = dfx_index_tensors(got, &count);
    for (size_t i = 0; i < count; i++)
        joined += tensors[i].composite != NULL;
    tensors = dfx_index_tensors(want, &count);
    for (size_t i = 0; i < count; i++)
        check_tensor(name, got, &tensors[i]);
    if (strncmp(name, "fp8_cast", 8) != 0)
        CHECK(joined == count, "  nothing else of it is in parts");
    dfx_index_free(got);
    dfx_index_free(want);
}

int
main(void)
{
    DIR *folder;
    struct dirent *entry;

    golden_find("quant");
    folder = opendir(golden_folder);
    while (folder != NULL && (entry = readdir(folder)) != NULL)
        if (strstr(entry->d_name, ".expected.safetensors") != NULL)
            check_file(entry->d_name);
    if (folder != NULL)
        closedir(folder);
    return tap_end();
}
