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

/* ---- Broken files
 * -------------------------------------------------------------
 */

/* The file with the first place of a text overwritten by another as long. */
static void
breaks(const char *name, const char *text, const char *by, const char *what)
{
    dfx_index *index = NULL;
    dfx_error err = {.rule = ""};
    size_t size = 0;
    unsigned char *data = golden_load(name, &size);
    unsigned char *at = memmem(data, size, text, strlen(text));

    if (!CHECK(at != NULL && strlen(text) == strlen(by), what))
        return;
    memcpy(at, by, strlen(by));
    scratch_write("broken.safetensors", data, size);
    free(data);
    if (!CHECK(dfx_open("broken.safetensors", NULL, &index, &err) ==
                       DFX_ERR_FORMAT &&
                   strcmp(err.rule, "quant.form") == 0 && err.tensor[0] != '\0',
               "  is refused by the rule"))
        printf("# %s [%s]\n", err.text, err.rule);
    dfx_index_free(index);
}

static void
check_broken(void)
{
    scratch_enter();
    breaks("bnb_nf4.safetensors", "to_q.weight.absmax", "to_q.weight.abs_ax",
           "NF4 without absmax");
    breaks("bnb_nf4.safetensors", "to_q.weight.quant_map",
           "to_q.weight.quant_mop", "NF4 without quant_map");
    breaks("bnb_nf4.safetensors", "\"blocksize\": 64", "\"blocksize\": 65",
           "a block of 65");
    breaks("bnb_nf4.safetensors", "\"blocksize\": 64", "\"blocksize\": -4",
           "a block of -4");
    breaks("bnb_nf4.safetensors", "\"shape\": [64, 256]",
           "\"shape\": [64, 255]", "a shape of other codes");
    breaks("bnb_nf4.safetensors", "\"shape\": [64, 256]",
           "\"shape\": [99999999", "a state that is no JSON");
    breaks("bnb_nf4.safetensors", "\"dtype\": \"float32\"",
           "\"dtype\": \"float64\"", "a type that it has not");
    breaks("bnb_nf4_dq.safetensors", "\"nested_blocksize\": 256",
           "\"nested_blocksize\": -25", "scales in blocks of -25");
    breaks("bnb_nf4_dq.safetensors", "nested_absmax", "nested_abs_ax",
           "double quantization without nested_absmax");
    breaks("bnb_int8.safetensors",
           "\"blocks.0.attn.to_q.SCB\":{\"dtype\":\"F32\"",
           "\"blocks.0.attn.to_q.SCB\":{\"dtype\":\"I32\"",
           "rows whose largest is an integer");
    breaks("quanto_int4.safetensors", "to_q.weight._shift",
           "to_q.weight._shaft", "int4 without a shift");
    breaks("quanto_int8.safetensors", "to_q.weight._scale",
           "to_q.weight._scolo", "int8 without a scale");
    breaks("torchao_int8.safetensors", "to_q._weight_scale",
           "to_q._weight_scole", "TorchAO's without a scale");
    breaks("torchao_int8.safetensors", "Int8Tensor", "Int9Tensor",
           "a tensor of a class that is not read");
    breaks("comfy_nvfp4.safetensors", "to_q.weight_scale_2",
           "to_q.weight_scale_3", "NVFP4 without its second scale");
    breaks("comfy_nvfp4.safetensors", "{\"format\": \"nvfp4\"}",
           "{\"format\": \"nvfp5\"}", "a format that is not read");
    breaks("comfy_int8_convrot.safetensors", "\"convrot_groupsize\": 16",
           "\"convrot_groupsize\": 17", "groups of 17 columns");
    breaks("comfy_fp8.safetensors", "to_q.weight_scale", "to_q.weight_scole",
           "float8 without a scale");
    breaks("bfl_nvfp4.safetensors",
           "\"blocks.0.attn.to_q.weight_scale_2\":{\"dtype\":\"F32\"",
           "\"blocks.0.attn.to_q.weight_scale_2\":{\"dtype\":\"I32\"",
           "NVFP4 with an integer for a scale");
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
    check_broken();
    return tap_end();
}
