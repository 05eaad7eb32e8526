/*
 * test_encodings.c - weights written in parts are the bytes that the libraries
 * store
 *
 * source_TYPE.json are the weights as synth lists, NAME.safetensors the parts.
 * The one thing that is not the same bits: the library quantizes scales again
 * through a table that rounds some of them one step otherwise, and sums their
 * mean in an order of its own (field "absmax_nearest_instead_of_65536_table" of
 * cases.json counts them).
 */
#include <config.h>

#include "encoding.h"

#include <math.h>

#include "../synth/synth.h"
#include "golden.h"
#include "tap.h"
#include "types.h"

static const struct {
    const char *golden, *encoding, *source;
} cases[] = {
    {"bnb_nf4", "nf4", "F32"},
    {"bnb_nf4_dq", "nf4-dq", "F32"},
    {"bnb_nf4_dq_bf16", "nf4-dq", "BF16"},
    {"bnb_fp4", "fp4", "F32"},
    {"bnb_fp4_dq_f16", "fp4-dq", "F16"},
    {"bnb_int8", "bnb-int8", "F16"},
    {"quanto_int8", "quanto-int8", "F32"},
    {"quanto_int8_bf16", "quanto-int8", "BF16"},
    {"quanto_float8", "quanto-float8", "F32"},
    {"quanto_int4", "quanto-int4", "F32"},
    {"quanto_int4_bf16", "quanto-int4", "BF16"},
    {"quanto_int2", "quanto-int2", "F32"},
    {"torchao_int8", "torchao-int8", "F32"},
    {"torchao_int8_bf16", "torchao-int8", "BF16"},
    {"torchao_float8", "torchao-float8", "F32"},
    {"torchao_float8_bf16", "torchao-float8", "BF16"},
    {"comfy_fp8", "comfy-fp8", "F32"},
    {"comfy_fp8_bf16", "comfy-fp8", "BF16"},
    {"comfy_int8_row", "comfy-int8", "F32"},
    {"comfy_int8_tensor", "comfy-int8-tensor", "F32"},
    {"comfy_nvfp4", "comfy-nvfp4", "F32"},
    {"comfy_mxfp8", "comfy-mxfp8", "F32"},
    {"bfl_fp8r", "bfl-fp8", "F32"},
    {"bfl_nvfp4", "bfl-nvfp4", "F32"},
};

/* Makes a file of a list. */
static bool
make_source(const char *list, const char *path)
{
    synth_list made;
    bool good = synth_read(&made, list);

    if (good) {
        good = synth_write(&made, SYNTH_VALUES, path);
        synth_fini(&made);
    }
    return good;
}

static dfx_index *
open_file(const char *path)
{
    dfx_index *index = NULL;
    dfx_error err = {0};

    if (dfx_open(path, NULL, &index, &err) != DFX_OK)
        printf("# %s: %s [%s]\n", path, err.text, err.rule);
    return index;
}

static const dfx_tensor *
find_part(const dfx_composite *c, const char *name)
{
    for (size_t i = 0; i < c->part_count; i++)
        if (strcmp(c->parts[i].name, name) == 0)
            return &c->parts[i];
    return NULL;
}

/* All bytes of a part, pulled in pieces that cut it anywhere. */
static unsigned char *
pull_all(const dfx_expr *x, dfx_error *err)
{
    enum { PIECE = 37 };
    unsigned char *bytes = malloc((size_t)x->bytes + 1);

    for (uint64_t at = 0; at < x->bytes; at += PIECE) {
        uint64_t left = x->bytes - at;
        size_t n = left < PIECE ? (size_t)left : PIECE;

        if (dfx_expr_pull_bytes(x, at, n, bytes + at, err) != DFX_OK) {
            free(bytes);
            return NULL;
        }
    }
    return bytes;
}

static size_t
count_other(const unsigned char *a, const unsigned char *b, size_t size,
            int step)
{
    size_t count = 0;

    for (size_t i = 0; i < size; i++)
        count += abs((int)a[i] - (int)b[i]) > step;
    return count;
}

/* The text of a state but for its last number, the offset. */
static bool
same_state(const unsigned char *a, const unsigned char *b, size_t size)
{
    const char *tail = "nested_offset";
    const unsigned char *at = memmem(a, size, tail, strlen(tail));

    return memcmp(a, b, at != NULL ? (size_t)(at - a) : size) == 0;
}

static void
check_part(const dfx_written_part *part, const dfx_tensor *want,
           const char *what, bool is_double)
{
    bool is_scale = strstr(part->suffix, "absmax") != NULL;
    bool is_state = strstr(part->suffix, "quant_state") != NULL;
    unsigned char *raw, *got;
    dfx_error err = {0};
    size_t other;

    /* The offset's digits may be more or less. */
    if (!CHECK(want->type == part->expr->type &&
                   (want->data.size == part->expr->bytes ||
                    (is_state && is_double)),
               what))
        return;
    raw = malloc((size_t)want->data.size + 1);
    got = pull_all(part->expr, &err);
    if (!CHECK(got != NULL &&
                   dfx_extent_read(&want->data, 0, raw, (size_t)want->data.size,
                                   &err) == DFX_OK,
               "  is made"))
        printf("# %s\n", err.text);
    else if (is_double && is_state)
        CHECK(same_state(raw, got,
                         (size_t)(want->data.size < part->expr->bytes
                                      ? want->data.size
                                      : part->expr->bytes)),
              "  but for the offset");
    else if (is_double && is_scale && want->type == DFX_TYPE_F32)
        CHECK(fabsf(*(float *)raw - *(float *)got) <=
                  4e-7F * fabsf(*(float *)raw),
              "  within the offset's rounding");
    else {
        other = count_other(raw, got, (size_t)want->data.size,
                            is_double && is_scale ? 1 : 0);
        if (!CHECK(other == 0, "  the same bytes"))
            printf("# %zu of %zu\n", other, (size_t)want->data.size);
    }
    free(raw);
    free(got);
}

static void
check_weight(const char *golden, const dfx_encoding *encoding,
             const dfx_tensor *source, const dfx_tensor *want)
{
    bool is_double = strstr(encoding->name, "-dq") != NULL;
    dfx_part_list parts = {.count = 0};
    dfx_arena arena = {0};
    const dfx_expr *x = NULL;
    dfx_error err = {0};
    char what[300], name[300];

    snprintf(what, sizeof what, "%s: %s", golden, want->name);
    if (!CHECK(dfx_expr_tensor(&arena, source, &x, &err) == DFX_OK &&
                   encoding->make(encoding, &arena, x, &parts, &err) == DFX_OK,
               what)) {
        printf("# %s\n", err.text);
        parts.count = 0;
    }
    for (size_t i = 0; i < parts.count; i++) {
        const dfx_tensor *part;

        snprintf(name, sizeof name, "%.*s%s", (int)want->composite->layer,
                 want->name, parts.items[i].suffix);
        part = find_part(want->composite, name);
        /* ComfyUI's may be said in the metadata instead. */
        if (part == NULL && strstr(name, ".comfy_quant") != NULL)
            continue;
        if (CHECK(part != NULL, name))
            check_part(&parts.items[i], part, name, is_double);
    }
    dfx_arena_fini(&arena);
}

static void
check_case(size_t i)
{
    const dfx_encoding *encoding = dfx_encoding_named(cases[i].encoding);
    char path[700], list[700];
    dfx_index *want, *source;
    const dfx_tensor *tensors;
    size_t count = 0;

    snprintf(list, sizeof list, "%s/source_%s.json", golden_folder,
             cases[i].source);
    snprintf(path, sizeof path, "%s/%s.safetensors", golden_folder,
             cases[i].golden);
    want = open_file(path);
    if (!CHECK(encoding != NULL && want != NULL &&
                   make_source(list, "source.safetensors"),
               cases[i].golden))
        return;
    source = open_file("source.safetensors");
    tensors = dfx_index_tensors(want, &count);
    for (size_t k = 0; k < count; k++) {
        const dfx_tensor *from = dfx_index_find(source, 0, tensors[k].name);

        /* The library divides by the scale of a weight of zeros: NaN. */
        if (strcmp(encoding->name, "comfy-nvfp4") == 0 &&
            strcmp(tensors[k].name, "zero.weight") == 0)
            continue;
        if (tensors[k].composite != NULL && from != NULL)
            check_weight(cases[i].golden, encoding, from, &tensors[k]);
    }
    dfx_index_free(source);
    dfx_index_free(want);
}

/* Plain casts are what --dtype makes. */
static void
check_cast(const char *golden, dfx_type type)
{
    char path[700], list[700];
    dfx_index *want, *source;
    const dfx_tensor *tensors;
    size_t count = 0;

    snprintf(list, sizeof list, "%s/source_F32.json", golden_folder);
    snprintf(path, sizeof path, "%s/%s.safetensors", golden_folder, golden);
    want = open_file(path);
    if (!CHECK(want != NULL && make_source(list, "source.safetensors"), golden))
        return;
    source = open_file("source.safetensors");
    tensors = dfx_index_tensors(want, &count);
    for (size_t k = 0; k < count; k++) {
        const dfx_tensor *from = dfx_index_find(source, 0, tensors[k].name);
        dfx_arena arena = {0};
        const dfx_expr *x = NULL, *cast = NULL;
        unsigned char *raw = NULL, *got = NULL;
        dfx_error err = {0};

        if (from == NULL || tensors[k].type != type)
            continue;
        raw = malloc((size_t)tensors[k].data.size + 1);
        if (dfx_expr_tensor(&arena, from, &x, &err) == DFX_OK &&
            dfx_expr_cast(&arena, x, type, &cast, &err) == DFX_OK)
            got = pull_all(cast, &err);
        CHECK(got != NULL &&
                  dfx_extent_read(&tensors[k].data, 0, raw,
                                  (size_t)tensors[k].data.size,
                                  &err) == DFX_OK &&
                  memcmp(raw, got, (size_t)tensors[k].data.size) == 0,
              tensors[k].name);
        free(got);
        free(raw);
        dfx_arena_fini(&arena);
    }
    dfx_index_free(source);
    dfx_index_free(want);
}

int
main(void)
{
    golden_find("quant");
    scratch_enter();
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++)
        check_case(i);
    check_cast("fp8_cast_e4m3", DFX_TYPE_F8_E4M3);
    check_cast("fp8_cast_e5m2", DFX_TYPE_F8_E5M2);
    return tap_end();
}
