/*
 * test_index.c - the gate for tensors, and finding what went through it
 */
#include <config.h>

#include "index.h"

#include <stdlib.h>

#include "tap.h"

#define MAX UINT64_MAX

static dfx_index *
new_index(void)
{
    dfx_index *index = NULL;
    uint32_t component = 9;

    if (dfx_index_new("dir/x.file", &index, NULL) != DFX_OK ||
        dfx_index_component(index, "", &component, NULL) != DFX_OK ||
        component != 0)
        abort();
    return index;
}

/* An io of size zero bytes, which the index has taken. */
static const dfx_io *
give_io(dfx_index *index, size_t size)
{
    static const char zeros[4096];
    dfx_io *io = NULL;

    if (dfx_io_open_memory(zeros, size, "zeros", &io, NULL) != DFX_OK ||
        dfx_index_take_io(index, io, NULL) != DFX_OK)
        abort();
    return io;
}

static dfx_claim
claim_u8(const dfx_io *io, const char *name, const uint64_t *size)
{
    return (dfx_claim){.name = name,
                       .name_size = strlen(name),
                       .type = DFX_TYPE_U8,
                       .rank = 1,
                       .shape = size,
                       .io = io,
                       .size = *size,
                       .where = 77};
}

/* ---- Sizes ------------------------------------------------------------ */

static void
test_sizes(void)
{
    static const struct {
        const char *what;
        dfx_type type;
        uint32_t rank;
        uint64_t shape[4];
        const char *rule; /* NULL: legal, and then */
        uint64_t elements, bytes;
    } rows[] = {
        {"rank 0 is one element", DFX_TYPE_F32, 0, {0}, NULL, 1, 4},
        {"2 x 3", DFX_TYPE_F16, 2, {2, 3}, NULL, 6, 12},
        {"no elements", DFX_TYPE_F64, 3, {4, 0, 5}, NULL, 0, 0},
        {"0 first: the product stays 0",
         DFX_TYPE_U8,
         3,
         {0, UINT64_C(1) << 63, UINT64_C(1) << 63},
         NULL,
         0,
         0},
        {"two nibbles", DFX_TYPE_F4, 1, {2}, NULL, 2, 1},
        {"four of six bits", DFX_TYPE_F6_E2M3, 1, {4}, NULL, 4, 3},
        {"all that 61 bits can say",
         DFX_TYPE_U8,
         1,
         {(UINT64_C(1) << 61) - 1},
         NULL,
         (UINT64_C(1) << 61) - 1,
         (UINT64_C(1) << 61) - 1},
        {"2^61 bytes",
         DFX_TYPE_U8,
         1,
         {UINT64_C(1) << 61},
         "tensor.overflow",
         0,
         0},
        {"2^58 of 64 bits",
         DFX_TYPE_I64,
         1,
         {UINT64_C(1) << 58},
         "tensor.overflow",
         0,
         0},
        {"2^32 x 2^32",
         DFX_TYPE_U8,
         2,
         {UINT64_C(1) << 32, UINT64_C(1) << 32},
         "tensor.overflow",
         0,
         0},
        {"overflow before the 0",
         DFX_TYPE_U8,
         3,
         {UINT64_C(1) << 63, 2, 0},
         "tensor.overflow",
         0,
         0},
        {"the largest dimension",
         DFX_TYPE_U8,
         1,
         {MAX},
         "tensor.overflow",
         0,
         0},
        {"one nibble", DFX_TYPE_F4, 1, {3}, "tensor.bits", 0, 0},
        {"six bits", DFX_TYPE_F6_E3M2, 0, {0}, "tensor.bits", 0, 0},
    };

    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        uint64_t elements = 0, bytes = 0;
        dfx_error err = {.rule = ""};
        dfx_status status = dfx_tensor_size(
            rows[i].type, rows[i].rank, rows[i].shape, &elements, &bytes, &err);

        CHECK(rows[i].rule == NULL ? status == DFX_OK
                                   : status == DFX_ERR_FORMAT &&
                                         strcmp(err.rule, rows[i].rule) == 0,
              rows[i].what);
        CHECK(elements == rows[i].elements && bytes == rows[i].bytes,
              "  its elements and bytes");
    }
}

/* ---- The gate --------------------------------------------------------- */

static void
test_gate(void)
{
    static const struct {
        const char *what, *name;
        size_t name_size;
        uint64_t dim, offset, size;
        const char *rule; /* NULL: goes through */
    } rows[] = {
        {"a tensor that fills the io", "a", 1, 100, 0, 100, NULL},
        {"one at its end", "b", 1, 1, 99, 1, NULL},
        {"an empty one behind its last byte", "c", 1, 0, 100, 0, NULL},
        {"the empty name", "", 0, 1, 0, 1, NULL},
        {"NUL in the name", "a\0b", 3, 1, 0, 1, "tensor.name"},
        {"a name that is not UTF-8", "a\xff", 2, 1, 0, 1, "tensor.name"},
        {"a size too small", "d", 1, 8, 0, 7, "tensor.size"},
        {"a size too large", "d", 1, 8, 0, 9, "tensor.size"},
        {"one byte too many", "d", 1, 101, 0, 101, "tensor.data.short"},
        {"one byte too far", "d", 1, 100, 1, 100, "tensor.data.short"},
        {"an empty one beyond", "d", 1, 0, 101, 0, "tensor.data.short"},
        {"an offset of 2^64-1", "d", 1, 2, MAX, 2, "tensor.data.short"},
        {"an offset that would wrap", "d", 1, 2, MAX - 1, 2,
         "tensor.data.short"},
        {"the largest size", "d", 1, MAX, 0, MAX, "tensor.overflow"},
    };
    dfx_index *index = new_index();
    const dfx_io *io = give_io(index, 100);
    size_t count = 0;

    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        dfx_claim claim = claim_u8(io, rows[i].name, &rows[i].dim);
        dfx_error err = {.rule = ""};
        dfx_status status;

        claim.name_size = rows[i].name_size;
        claim.offset = rows[i].offset;
        claim.size = rows[i].size;
        status = dfx_index_add(index, &claim, &err);
        if (rows[i].rule == NULL) {
            const dfx_tensor *t = &index->tensors[count++];

            CHECK(status == DFX_OK && index->tensor_count == count,
                  rows[i].what);
            CHECK(strcmp(t->name, rows[i].name) == 0 && t->name != claim.name &&
                      t->shape[0] == rows[i].dim && t->shape != claim.shape &&
                      t->data.offset == rows[i].offset &&
                      t->data.size == rows[i].size,
                  "  is there as a copy");
            continue;
        }
        CHECK(status == DFX_ERR_FORMAT && index->tensor_count == count,
              rows[i].what);
        CHECK_TEXT(err.rule, rows[i].rule, "  by rule");
        CHECK(err.offset == 77 && err.tensor[0] != '\0',
              "  with the place and the name");
    }
    dfx_index_free(index);
}

static void
test_limits(void)
{
    dfx_index *index = new_index();
    const dfx_io *io = give_io(index, 100);
    const uint64_t one = 1;
    dfx_claim claim = claim_u8(io, "a", &one);
    dfx_extent data = {io, 0, 1};
    dfx_error err = {.rule = ""};
    uint32_t component = 0;
    char name[32];
    size_t i;

    index->tensor_count = 4194304; /* said, not made: the limit is before */
    CHECK(dfx_index_add(index, &claim, &err) == DFX_ERR_LIMIT,
          "one tensor too many");
    CHECK_TEXT(err.rule, "limit.index", "  by rule");
    index->tensor_count = 0;
    index->file_count = 65536;
    CHECK(dfx_index_add_file(index, "f", 0, &data, &err) == DFX_ERR_LIMIT,
          "one file too many");
    index->file_count = 0;
    for (i = 1; i < 1024; i++) {
        snprintf(name, sizeof name, "c%zu", i);
        if (dfx_index_component(index, name, &component, NULL) != DFX_OK)
            break;
    }
    CHECK_U64(i, 1024, "1024 components go in");
    CHECK(dfx_index_component(index, "more", &component, &err) == DFX_ERR_LIMIT,
          "the next does not");
    CHECK(dfx_index_component(index, "c7", &component, NULL) == DFX_OK &&
              component == 7,
          "but one that is there is found");
    dfx_index_free(index);
}

/* ---- Finding ---------------------------------------------------------- */

static void
test_find(void)
{
    enum { COUNT = 5000 };
    dfx_index *index = new_index();
    const dfx_io *io = give_io(index, 100);
    const uint64_t one = 1;
    uint32_t unet = 0;
    size_t found = 0;
    char name[64];

    if (dfx_index_component(index, "unet", &unet, NULL) != DFX_OK)
        abort();
    for (size_t i = 0; i < COUNT; i++) {
        dfx_claim claim;

        snprintf(name, sizeof name, "blocks.%zu.weight", i * 7919 % COUNT / 2);
        claim = claim_u8(io, name, &one);
        claim.component = i * 7919 % COUNT % 2 == 0 ? 0 : unet;
        if (dfx_index_add(index, &claim, NULL) != DFX_OK)
            abort();
    }
    CHECK(dfx_index_seal(index, NULL) == DFX_OK,
          "a name may be in two components");
    for (uint32_t c = 0; c < 2; c++)
        for (size_t i = 0; i < COUNT / 2; i++) {
            const dfx_tensor *t;

            snprintf(name, sizeof name, "blocks.%zu.weight", i);
            t = dfx_index_find(index, c, name);
            found +=
                t != NULL && t->component == c && strcmp(t->name, name) == 0;
        }
    CHECK_U64(found, COUNT, "each is found in its own");
    CHECK(dfx_index_find(index, 0, "blocks.2500.weight") == NULL &&
              dfx_index_find(index, 0, "blocks.1.weigh") == NULL &&
              dfx_index_find(index, 0, "") == NULL &&
              dfx_index_find(index, 2, "blocks.1.weight") == NULL,
          "what is not there is not found");
    dfx_index_free(index);
}

static void
test_duplicate(void)
{
    dfx_index *index = new_index();
    const uint64_t one = 1;
    dfx_claim claim = claim_u8(give_io(index, 1), "twice", &one);
    dfx_error err = {.rule = ""};

    if (dfx_index_add(index, &claim, NULL) != DFX_OK ||
        dfx_index_seal(index, NULL) != DFX_OK ||
        dfx_index_add(index, &claim, NULL) != DFX_OK)
        abort();
    CHECK(dfx_index_seal(index, &err) == DFX_ERR_FORMAT,
          "a name twice in a component");
    CHECK_TEXT(err.rule, "tensor.name.duplicate", "  by rule");
    CHECK_TEXT(err.tensor, "twice", "  with the name");
    dfx_index_free(index);
}

static void
test_empty(void)
{
    dfx_index *index = NULL;
    size_t count = 9;

    if (dfx_index_new("nothing", &index, NULL) != DFX_OK)
        abort();
    CHECK(dfx_index_seal(index, NULL) == DFX_OK &&
              dfx_index_find(index, 0, "a") == NULL,
          "an index of nothing can be sealed and asked");
    CHECK(dfx_index_find_component(index, "") == UINT32_MAX &&
              dfx_index_find_file(index, "a") == NULL &&
              dfx_index_find_meta(index, 0, "a") == NULL,
          "it has no component, file or metadata");
    (void)dfx_index_tensors(index, &count);
    CHECK_U64(count, 0, "and no tensor");
    dfx_index_free(index);
    dfx_index_free(NULL);
}

static void
test_the_rest(void)
{
    dfx_index *index = new_index();
    const dfx_extent data = {give_io(index, 10), 2, 3};
    const char *const *warnings;
    const dfx_file *file;
    size_t count = 0;

    if (dfx_index_add_file(index, "unet/config.json", 0, &data, NULL) !=
            DFX_OK ||
        dfx_index_add_meta(index, 0, "key!", 3, "a\0b", 3, NULL) != DFX_OK ||
        dfx_index_add_meta(index, 0, "", 0, "", 0, NULL) != DFX_OK ||
        dfx_index_warn(index, NULL, "%d things", 3) != DFX_OK)
        abort();
    file = dfx_index_find_file(index, "unet/config.json");
    CHECK(file != NULL && file->data.offset == 2 && file->data.size == 3,
          "a file is found by its path");
    CHECK_TEXT(dfx_index_find_meta(index, 0, "key"),
               "a\xc0\x80"
               "b",
               "U+0000 in metadata is kept as C0 80");
    CHECK_TEXT(dfx_index_find_meta(index, 0, ""), "",
               "metadata may have an empty key and value");
    CHECK(dfx_index_find_meta(index, 1, "key") == NULL,
          "metadata is of a component");
    warnings = dfx_index_warnings(index, &count);
    CHECK(count == 1 && strcmp(warnings[0], "3 things") == 0,
          "a warning is kept");
    for (int i = 0; i < 2000; i++)
        if (dfx_index_warn(index, NULL, "more") != DFX_OK)
            abort();
    CHECK_U64(index->warning_count, 1000, "at most a thousand are");
    CHECK_TEXT(dfx_index_path(index), "dir/x.file", "the path is kept");
    dfx_index_free(index);
}

int
main(void)
{
    test_sizes();
    test_gate();
    test_limits();
    test_find();
    test_duplicate();
    test_empty();
    test_the_rest();
    return tap_end();
}
