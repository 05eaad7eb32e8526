/*
 * types.h - what an element of a tensor is, and casts between element types
 *
 * Facts about a type are columns of types.def; a `switch` on dfx_type anywhere
 * else is a column that is missing.
 */
#ifndef DFX_TYPES_H
#define DFX_TYPES_H

#include "error.h"

typedef enum dfx_class {
    DFX_CLASS_BITS, /* moved, never computed with: F4, F6_* */
    DFX_CLASS_BOOL,
    DFX_CLASS_INT, /* signed and unsigned: never cast by --dtype */
    DFX_CLASS_FLOAT,
    DFX_CLASS_COMPLEX,
    DFX_CLASS_BLOCK /* numbers that share a scale: codecs/codec.h */
} dfx_class;

dfx_class dfx_type_class(dfx_type type);
/* Has negative numbers. */
bool dfx_type_signed(dfx_type type);

/* Bytes of elements, a whole number of units; the caller has checked that they
   fit. */
static inline uint64_t
dfx_type_bytes(dfx_type type, uint64_t elements)
{
    dfx_unit unit = dfx_type_unit(type);

    return elements / unit.elements * unit.bytes;
}

/* Bytes of an element that fills some alone; 0: it does not. */
static inline unsigned
dfx_type_size(dfx_type type)
{
    dfx_unit unit = dfx_type_unit(type);

    return unit.elements == 1 ? unit.bytes : 0;
}

/* Safetensors has a name for it: that of dfx_type_name. */
bool dfx_type_in_safetensors(dfx_type type);
/* DFX_TYPE_COUNT if no type has exactly this safetensors name. */
dfx_type dfx_type_from_safetensors(const char *name, size_t size);

/* PyTorch's name, size bytes without a NUL: "float16". Empty if it has none. */
const char *dfx_type_torch_name(dfx_type type, size_t *size);

/* Floats and blocks to floats, and to blocks that can be written. */
bool dfx_type_castable(dfx_type from, dfx_type to);

/*
 * Casts count elements from src to dst (packed, little-endian, any alignment,
 * not overlapping). Through f32, or f64 if either side is F64, and rounded once
 * to the target, ties to even; NaN, Inf and overflow as PyTorch's .to(dtype).
 * The same bytes at every SIMD level. from and to are castable.
 */
void dfx_cast(dfx_type from, dfx_type to, const void *src, void *dst,
              size_t count);

/* The readable reference of dfx_cast: scalar, no dispatch. */
void dfx_cast_ref(dfx_type from, dfx_type to, const void *src, void *dst,
                  size_t count);

/* Any number type to double: FLOAT, INT, BOOL. For differences and reports. */
void dfx_to_f64(dfx_type from, const void *src, double *dst, size_t count);

#endif
