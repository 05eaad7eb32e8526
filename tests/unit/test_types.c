/*
 * test_types.c - tests of types.c
 */
#include <config.h>

#include "index.h"
#include "types.h"

#include "tap.h"

/* Names and bits as safetensors 0.8.0 has them, in the order of its enum. */
static const struct {
    const char *name;
    unsigned bits;
    const char *torch; /* NULL: PyTorch has no such type */
} wanted[] = {
    {"BOOL", 8, "bool"},
    {"F4", 4, "float4_e2m1fn_x2"},
    {"F6_E2M3", 6, NULL},
    {"F6_E3M2", 6, NULL},
    {"U8", 8, "uint8"},
    {"I8", 8, "int8"},
    {"F8_E5M2", 8, "float8_e5m2"},
    {"F8_E4M3", 8, "float8_e4m3fn"},
    {"F8_E8M0", 8, "float8_e8m0fnu"},
    {"F8_E4M3FNUZ", 8, "float8_e4m3fnuz"},
    {"F8_E5M2FNUZ", 8, "float8_e5m2fnuz"},
    {"I16", 16, "int16"},
    {"U16", 16, "uint16"},
    {"F16", 16, "float16"},
    {"BF16", 16, "bfloat16"},
    {"I32", 32, "int32"},
    {"U32", 32, "uint32"},
    {"F32", 32, "float32"},
    {"C64", 64, "complex64"},
    {"F64", 64, "float64"},
    {"I64", 64, "int64"},
    {"U64", 64, "uint64"},
    /* Those that safetensors does not know. */
    {"C32", 32, "complex32"},
    {"C128", 128, "complex128"},
};

/* The first that safetensors does not know. */
#define FIRST_UNKNOWN DFX_TYPE_C32

static void
test_table(void)
{
    CHECK_U64(DFX_TYPE_Q4_0, sizeof wanted / sizeof wanted[0], "all types");
    for (dfx_type t = 0; t < DFX_TYPE_Q4_0; t++) {
        const char *name = wanted[t].name;
        dfx_unit unit = dfx_type_unit(t);

        CHECK_TEXT(dfx_type_name(t), name, name);
        CHECK_U64(8 * unit.bytes, unit.elements * wanted[t].bits, "its bits");
        CHECK(dfx_type_in_safetensors(t) == (t < FIRST_UNKNOWN),
              "whether safetensors has it");
        CHECK(dfx_type_from_safetensors(name, strlen(name)) ==
                  (t < FIRST_UNKNOWN ? t : DFX_TYPE_COUNT),
              "its name");
        CHECK(dfx_type_named(name) == t, "as people type it");
        if (wanted[t].torch != NULL)
            CHECK(dfx_type_named(wanted[t].torch) == t, wanted[t].torch);
    }
    CHECK_TEXT(dfx_type_name(DFX_TYPE_COUNT), "?", "no name past the end");
    CHECK_U64(dfx_type_unit(DFX_TYPE_COUNT).bytes, 0, "nor bytes");
}

static void
test_blocks(void)
{
    dfx_unit unit = dfx_type_unit(DFX_TYPE_Q4_K);
    uint64_t elements, bytes, shape[] = {3, 512};
    dfx_error err = {0};
    size_t size = 1;

    CHECK(unit.elements == 256 && unit.bytes == 144, "a block");
    CHECK_U64(dfx_type_size(DFX_TYPE_Q4_K), 0, "whose elements have no bytes");
    CHECK(dfx_type_class(DFX_TYPE_Q2_0) == DFX_CLASS_BLOCK &&
              !dfx_type_in_safetensors(DFX_TYPE_Q2_0),
          "is its class, in no safetensors file");
    CHECK(dfx_type_named("q4_k") == DFX_TYPE_Q4_K, "as people type it");
    dfx_type_torch_name(DFX_TYPE_Q4_K, &size);
    CHECK_U64(size, 0, "PyTorch has no name for it");
    CHECK(dfx_tensor_size(DFX_TYPE_Q4_K, 2, shape, &elements, &bytes, &err) ==
                  DFX_OK &&
              elements == 1536 && bytes == 6 * 144,
          "rows of blocks");
    shape[1] = 40;
    CHECK(dfx_tensor_size(DFX_TYPE_Q4_K, 2, shape, &elements, &bytes, &err) !=
                  DFX_OK &&
              strcmp(err.rule, "tensor.bits") == 0,
          "and no part of one");
}

static void
test_names(void)
{
    static const struct {
        const char *name;
        dfx_type want;
    } rows[] = {
        {"f16", DFX_TYPE_F16},
        {"half", DFX_TYPE_F16},
        {"FP16", DFX_TYPE_F16},
        {"fp32", DFX_TYPE_F32},
        {"float", DFX_TYPE_F32},
        {"Float32", DFX_TYPE_F32},
        {"double", DFX_TYPE_F64},
        {"bf16", DFX_TYPE_BF16},
        {"torch.bfloat16", DFX_TYPE_BF16},
        {"torch.half", DFX_TYPE_F16},
        {"f8_e4m3", DFX_TYPE_F8_E4M3},
        {"long", DFX_TYPE_I64},
        {"", DFX_TYPE_COUNT},
        {"torch.", DFX_TYPE_COUNT},
        {"f1", DFX_TYPE_COUNT},
        {"f166", DFX_TYPE_COUNT},
        {"float16 half", DFX_TYPE_COUNT},
        {"q4_9", DFX_TYPE_COUNT},
    };

    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++)
        CHECK(dfx_type_named(rows[i].name) == rows[i].want, rows[i].name);
    /* Inside a header: no NUL ends the name, and case matters. */
    CHECK(dfx_type_from_safetensors("F16\"", 3) == DFX_TYPE_F16, "a slice");
    CHECK(dfx_type_from_safetensors("F16", 2) == DFX_TYPE_COUNT, "a prefix");
    CHECK(dfx_type_from_safetensors("f16", 3) == DFX_TYPE_COUNT, "lower case");
    CHECK(dfx_type_from_safetensors("F16\0", 4) == DFX_TYPE_COUNT, "a NUL");
    CHECK(dfx_type_from_safetensors("", 0) == DFX_TYPE_COUNT, "nothing");
}

static void
test_classes(void)
{
    size_t castable = 0;

    for (dfx_type a = 0; a < DFX_TYPE_COUNT; a++)
        for (dfx_type b = 0; b < DFX_TYPE_COUNT; b++)
            castable += dfx_type_castable(a, b);
    CHECK(castable > 9 * 9,
          "floating-point types and blocks cast to each other");
    CHECK(dfx_type_castable(DFX_TYPE_F32, DFX_TYPE_BF16), "F32 to BF16");
    CHECK(!dfx_type_castable(DFX_TYPE_I64, DFX_TYPE_F32), "not I64 to F32");
    CHECK(!dfx_type_castable(DFX_TYPE_F32, DFX_TYPE_U8), "not F32 to U8");
    CHECK(!dfx_type_castable(DFX_TYPE_F4, DFX_TYPE_F32), "not F4");
    CHECK(!dfx_type_castable(DFX_TYPE_C64, DFX_TYPE_C64), "not C64");
    CHECK(dfx_type_class(DFX_TYPE_BOOL) == DFX_CLASS_BOOL, "BOOL");
    CHECK(dfx_type_class(DFX_TYPE_U64) == DFX_CLASS_INT, "U64");
    CHECK(dfx_type_class(DFX_TYPE_COUNT) == DFX_CLASS_BITS, "past the end");
    CHECK(dfx_type_signed(DFX_TYPE_I8) && !dfx_type_signed(DFX_TYPE_U8) &&
              !dfx_type_signed(DFX_TYPE_BOOL) &&
              !dfx_type_signed(DFX_TYPE_F8_E8M0),
          "signs");
}

int
main(void)
{
    test_table();
    test_blocks();
    test_names();
    test_classes();
    return tap_end();
}
