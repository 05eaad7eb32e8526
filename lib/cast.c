/*
 * cast.c - which code a cast runs: kernels, a table of 256 codes, the reference
 */
#include <config.h>

#include "cast.h"

#include <string.h>

static dfx_cast_fn *
kernel(dfx_cpu level, dfx_type from, dfx_type to)
{
#ifdef DFX_HAVE_X86_SIMD
    if (level == DFX_CPU_AVX512)
        return dfx_cast_avx512[from][to];
    if (level == DFX_CPU_AVX2)
        return dfx_cast_avx2[from][to];
#else
    (void)level, (void)from, (void)to;
#endif
    return NULL;
}

/* Inlined with a constant size, so that each copy is one move. */
static inline __attribute__((always_inline)) void
look_up(const unsigned char *table, const unsigned char *codes,
        unsigned char *out, size_t count, size_t size)
{
    for (size_t i = 0; i < count; i++)
        memcpy(out + i * size, table + codes[i] * size, size);
}

/* 8-bit sources: the reference runs once for each code. */
static void
cast_by_table(dfx_type from, dfx_type to, const void *src, void *dst,
              size_t count)
{
    unsigned char all[256], table[256 * sizeof(double)];

    for (size_t i = 0; i < sizeof all; i++)
        all[i] = (unsigned char)i;
    dfx_cast_ref(from, to, all, table, sizeof all);
    switch (dfx_type_size(to)) {
    case 1:
        look_up(table, src, dst, count, 1);
        break;
    case 2:
        look_up(table, src, dst, count, 2);
        break;
    case 4:
        look_up(table, src, dst, count, 4);
        break;
    default:
        look_up(table, src, dst, count, 8);
        break;
    }
}

void
dfx_cast_at(dfx_cpu level, dfx_type from, dfx_type to, const void *src,
            void *dst, size_t count)
{
    dfx_cast_fn *fn = kernel(level, from, to);

    if (fn != NULL)
        fn(&dfx_float_formats[to], src, dst, count);
    else if (level != DFX_CPU_REF && from != to && dfx_type_size(from) == 1 &&
             count > 1024) /* four times what the table costs */
        cast_by_table(from, to, src, dst, count);
    else
        dfx_cast_ref(from, to, src, dst, count);
}

void
dfx_cast(dfx_type from, dfx_type to, const void *src, void *dst, size_t count)
{
    dfx_cast_at(dfx_cpu_level(), from, to, src, dst, count);
}

void
dfx_to_f64(dfx_type from, const void *src, double *dst, size_t count)
{
    const unsigned char *in = src;
    size_t size = dfx_type_size(from);
    unsigned above = 64 - 8 * (unsigned)size;
    bool is_signed = dfx_type_signed(from);

    if (dfx_type_class(from) == DFX_CLASS_FLOAT) {
        dfx_cast(from, DFX_TYPE_F64, src, dst, count);
        return;
    }
    for (size_t i = 0; i < count; i++) {
        uint64_t code = 0;

        memcpy(&code, in + i * size, size);
        if (is_signed) /* the sign bit goes to the top and comes back down */
            dst[i] = (double)((int64_t)(code << above) >> above);
        else
            dst[i] = (double)code;
    }
}
