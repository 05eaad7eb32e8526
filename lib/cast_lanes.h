/*
 * cast_lanes.h - the cast kernels, written once over LANES elements
 *
 * Included by cast_avx2.c and cast_avx512.c, each of which is compiled for its
 * level and defines before:
 *   LANES             elements that are worked on at once: a vector of u32
 *   LANES_TABLE       name of the table
 *   lanes_from_half   LANES codes of F16 -> bits of F32   (the F16C
 * instructions: lanes_to_half     bits of F32 -> LANES codes of F16    ties to
 * even)
 *
 * An element is the bits of an F32 between a load and a store. That is exact
 * for every source but F64, for which the only kernel goes to F32 and ends
 * there.
 */
#include "cast.h"

#include <string.h>

#define VECTOR(type) __attribute__((vector_size(LANES * sizeof(type))))
typedef uint32_t lanes VECTOR(uint32_t);
typedef uint16_t lanes16 VECTOR(uint16_t);
typedef uint8_t lanes8 VECTOR(uint8_t);
typedef float lanes_f32 VECTOR(float);
typedef double lanes_f64 VECTOR(double);

#define INLINE static inline __attribute__((always_inline))

enum { F32_FRACTION = 23, F32_BIAS = 127 };
enum { F32_INFINITE = 0x7f800000, F32_IMPLICIT = 1 << F32_FRACTION };

/* Comparisons give lanes of all ones or zeros. */
INLINE lanes
choose(lanes condition, lanes yes, lanes no)
{
    return (condition & yes) | (~condition & no);
}

INLINE lanes
load_F32(const unsigned char *src)
{
    lanes x;

    memcpy(&x, src, sizeof x);
    return x;
}

INLINE void
store_F32(const dfx_float_format *to, lanes x, unsigned char *dst)
{
    (void)to;
    memcpy(dst, &x, sizeof x);
}

INLINE lanes
load_F16(const unsigned char *src)
{
    return lanes_from_half(src);
}

INLINE void
store_F16(const dfx_float_format *to, lanes x, unsigned char *dst)
{
    (void)to;
    lanes_to_half(x, dst);
}

INLINE lanes
load_BF16(const unsigned char *src)
{
    lanes16 x;

    memcpy(&x, src, sizeof x);
    return __builtin_convertvector(x, lanes) << 16;
}

INLINE void
store_BF16(const dfx_float_format *to, lanes x, unsigned char *dst)
{
    const lanes nan = x * 0 + 0x7fc0;
    lanes is_nan = (lanes)((x & 0x7fffffff) > F32_INFINITE);
    /* Half of the last place, or one less where that is even. */
    lanes rounded = (x + 0x7fff + (x >> 16 & 1)) >> 16;
    lanes16 code;

    (void)to;
    rounded = choose(is_nan, nan, rounded);
    code = __builtin_convertvector(rounded, lanes16);
    memcpy(dst, &code, sizeof code);
}

/* round_to() of cast_ref.c in 32 bits; the same names. */
INLINE void
store_F8(const dfx_float_format *to, lanes x, unsigned char *dst)
{
    const lanes zero = x * 0;
    uint32_t m = to->mantissa_bits;
    uint32_t rebias = (uint32_t)(F32_BIAS - to->bias); /* never negative */
    lanes magnitude = x & 0x7fffffff;
    lanes sign = x >> 31;
    lanes exponent = magnitude >> F32_FRACTION;
    lanes is_normal = (lanes)(exponent > 0);
    lanes significand =
        (magnitude & (F32_IMPLICIT - 1)) | (is_normal & F32_IMPLICIT);
    lanes is_wanted, base, shift, code, signed_code;
    lanes8 bytes;

    exponent = choose(is_normal, exponent, zero + 1);
    is_wanted = (lanes)(exponent > rebias); /* a normal number there */
    base = is_wanted & ((exponent - rebias - 1) << m);
    shift = F32_FRACTION - m + (~is_wanted & (rebias + 1 - exponent));
    shift = choose((lanes)(shift > F32_FRACTION + 2), zero + F32_FRACTION + 2,
                   shift);
    code = base + ((significand + (((zero + 1) << (shift - 1)) - 1) +
                    (significand >> shift & 1)) >>
                   shift);
    code = choose((lanes)(code > (uint32_t)to->max),
                  zero + (uint32_t)to->overflow, code);
    signed_code = code | (to->sign_bits != 0 ? sign << 7 : zero);
    if (to->nan_read == DFX_NAN_ONE)
        signed_code = choose((lanes)(code == 0), zero, signed_code);
    code = choose((lanes)(magnitude > F32_INFINITE),
                  choose((lanes)(sign != 0), zero + (uint32_t)to->nan[1],
                         zero + (uint32_t)to->nan[0]),
                  signed_code);
    bytes = __builtin_convertvector(code, lanes8);
    memcpy(dst, &bytes, sizeof bytes);
}

INLINE lanes
load_F64(const unsigned char *src)
{
    lanes_f64 x;

    memcpy(&x, src, sizeof x);
    return (lanes) __builtin_convertvector(x, lanes_f32);
}

INLINE void
store_F64(const dfx_float_format *to, lanes x, unsigned char *dst)
{
    lanes_f64 wide = __builtin_convertvector((lanes_f32)x, lanes_f64);

    (void)to;
    memcpy(dst, &wide, sizeof wide);
}

/* The rest that fills no vector goes through one that is padded with zeros. */
#define KERNEL(from, from_size, to, to_size)                                   \
    static void from##_to_##to(const dfx_float_format *format,                 \
                               const void *src, void *dst, size_t count)       \
    {                                                                          \
        const unsigned char *in = src;                                         \
        unsigned char *out = dst;                                              \
        unsigned char last_in[LANES * (from_size)] = {0};                      \
        unsigned char last_out[LANES * (to_size)];                             \
        size_t i;                                                              \
                                                                               \
        for (i = 0; count - i >= LANES; i += LANES)                            \
            store_##to(format, load_##from(in + i * (from_size)),              \
                       out + i * (to_size));                                   \
        if (i == count)                                                        \
            return;                                                            \
        memcpy(last_in, in + i * (from_size), (count - i) * (from_size));      \
        store_##to(format, load_##from(last_in), last_out);                    \
        memcpy(out + i * (to_size), last_out, (count - i) * (to_size));        \
    }

KERNEL(F32, 4, F16, 2)
KERNEL(F32, 4, BF16, 2)
KERNEL(F32, 4, F8, 1)
KERNEL(F32, 4, F64, 8)
KERNEL(F16, 2, F32, 4)
KERNEL(F16, 2, BF16, 2)
KERNEL(F16, 2, F8, 1)
KERNEL(F16, 2, F64, 8)
KERNEL(BF16, 2, F32, 4)
KERNEL(BF16, 2, F16, 2)
KERNEL(BF16, 2, F8, 1)
KERNEL(BF16, 2, F64, 8)
KERNEL(F64, 8, F32, 4)

#define TO_F8(from)                                                            \
    [DFX_TYPE_F8_E5M2] = from##_to_F8, [DFX_TYPE_F8_E4M3] = from##_to_F8,      \
    [DFX_TYPE_F8_E8M0] = from##_to_F8, [DFX_TYPE_F8_E4M3FNUZ] = from##_to_F8,  \
    [DFX_TYPE_F8_E5M2FNUZ] = from##_to_F8

dfx_cast_table LANES_TABLE = {
    [DFX_TYPE_F32] = {[DFX_TYPE_F16] = F32_to_F16,
                      [DFX_TYPE_BF16] = F32_to_BF16,
                      [DFX_TYPE_F64] = F32_to_F64,
                      TO_F8(F32)},
    [DFX_TYPE_F16] = {[DFX_TYPE_F32] = F16_to_F32,
                      [DFX_TYPE_BF16] = F16_to_BF16,
                      [DFX_TYPE_F64] = F16_to_F64,
                      TO_F8(F16)},
    [DFX_TYPE_BF16] = {[DFX_TYPE_F32] = BF16_to_F32,
                       [DFX_TYPE_F16] = BF16_to_F16,
                       [DFX_TYPE_F64] = BF16_to_F64,
                       TO_F8(BF16)},
    [DFX_TYPE_F64] = {[DFX_TYPE_F32] = F64_to_F32},
};
