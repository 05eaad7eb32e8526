/*
 * cast.h - what the parts of the casts share
 */
#ifndef DFX_CAST_H
#define DFX_CAST_H

#include "cpu.h"
#include "types.h"

/* Codes are loaded by memcpy; a big-endian machine would have to swap them. */
#if __BYTE_ORDER__ != __ORDER_LITTLE_ENDIAN__
#error "casts need a little-endian machine"
#endif

typedef enum dfx_nan_read {
    DFX_NAN_QUIET,
    DFX_NAN_AS_IS,
    DFX_NAN_ONE
} dfx_nan_read;

/* A row of floats.def. */
typedef struct dfx_float_format {
    unsigned sign_bits, exponent_bits, mantissa_bits;
    int bias;
    uint64_t max;      /* code of the largest finite number */
    uint64_t overflow; /* what larger magnitudes become */
    uint64_t nan[2];   /* what NaN becomes, by its sign; 0: as it is */
    dfx_nan_read nan_read;
} dfx_float_format;

/* By type; a zeroed row where it is not FLOAT. */
extern const dfx_float_format dfx_float_formats[DFX_TYPE_COUNT];

/* Casts count elements; to is the row of the target. */
typedef void dfx_cast_fn(const dfx_float_format *to, const void *src, void *dst,
                         size_t count);

/* The kernel of a level from one type to another; NULL if it has none. */
typedef dfx_cast_fn *const dfx_cast_table[DFX_TYPE_COUNT][DFX_TYPE_COUNT];
extern const dfx_cast_table dfx_cast_avx2, dfx_cast_avx512;

/* dfx_cast at a level that the machine has, for tests. */
void dfx_cast_at(dfx_cpu level, dfx_type from, dfx_type to, const void *src,
                 void *dst, size_t count);

#endif
