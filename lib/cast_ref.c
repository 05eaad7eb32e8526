/*
 * cast_ref.c - casts between floating-point types: the specification
 *
 * Every format fits into binary64, so a cast is a decode to the bits of a
 * binary64, which is exact, and an encode, which rounds once. All of it is
 * integer arithmetic: no rounding mode, flush-to-zero or x87 gets a say, and
 * the payload of a NaN does what floats.def says and not what a load does.
 *
 * PyTorch casts from F64 to types below F32 through float32 and so rounds
 * twice: 1 + 2^-11 + 2^-40 becomes 1.0 in float16 there and 1 + 2^-10 here.
 */
#include <config.h>

#include "cast.h"

#include <string.h>

/* binary64: sign, 11 bits of exponent, 52 bits of fraction. */
enum { FRACTION = 52, BIAS = 1023, EXPONENT_MAX = 0x7ff };
#define IMPLICIT (UINT64_C(1) << FRACTION)
#define INFINITE ((uint64_t)EXPONENT_MAX << FRACTION)
#define QUIET (UINT64_C(1) << (FRACTION - 1))

const dfx_float_format dfx_float_formats[DFX_TYPE_COUNT] = {
#define FLOAT(type, sign, exponent, mantissa, bias, max, overflow, nan,        \
              negative_nan, read)                                              \
    [DFX_TYPE_##type] = {sign,                                                 \
                         exponent,                                             \
                         mantissa,                                             \
                         bias,                                                 \
                         max,                                                  \
                         overflow,                                             \
                         {nan, negative_nan},                                  \
                         DFX_NAN_##read},
#include "floats.def"
#undef FLOAT
};

static unsigned
width(const dfx_float_format *f)
{
    return f->sign_bits + f->exponent_bits + f->mantissa_bits;
}

static uint64_t
low_bits(unsigned count)
{
    return (UINT64_C(1) << count) - 1;
}

/* significand * 2^exponent with significand != 0, as a binary64. */
static uint64_t
pack(uint64_t significand, int exponent)
{
    unsigned top = 63 - (unsigned)__builtin_clzll(significand);
    uint64_t fraction = (significand << (FRACTION - top)) - IMPLICIT;

    return ((uint64_t)(exponent + (int)top + BIAS) << FRACTION) | fraction;
}

/* The magnitude of a code that stands for no finite number. */
static uint64_t
decode_special(const dfx_float_format *f, uint64_t magnitude)
{
    uint64_t payload = magnitude & low_bits(f->mantissa_bits);

    if (f->nan_read == DFX_NAN_ONE)
        return INFINITE | UINT64_C(1) << (FRACTION - 23);
    if (payload == 0)
        return INFINITE;
    if (f->nan_read == DFX_NAN_QUIET)
        payload |= UINT64_C(1) << (f->mantissa_bits - 1);
    return INFINITE | payload << (FRACTION - f->mantissa_bits);
}

static uint64_t
decode(const dfx_float_format *f, uint64_t code)
{
    unsigned m = f->mantissa_bits;
    uint64_t magnitude = code & low_bits(f->exponent_bits + m);
    uint64_t sign = (code ^ magnitude) != 0 ? UINT64_C(1) << 63 : 0;
    uint64_t exponent = magnitude >> m;
    uint64_t fraction = magnitude & low_bits(m);

    if (f->nan_read == DFX_NAN_ONE && code == f->nan[0])
        return decode_special(f, magnitude);
    if (magnitude > f->max)
        return sign | decode_special(f, magnitude);
    if (m == FRACTION)
        return code; /* also its subnormals, which pack() cannot make */
    if (exponent > 0 || m == 0) /* F8_E8M0 has neither zero nor subnormals */
        return sign | pack(fraction | UINT64_C(1) << m,
                           (int)exponent - f->bias - (int)m);
    if (fraction == 0)
        return sign;
    return sign | pack(fraction, 1 - f->bias - (int)m);
}

static uint64_t
encode_nan(const dfx_float_format *f, uint64_t bits)
{
    uint64_t sign = bits >> 63;

    if (f->nan[sign] != 0)
        return f->nan[sign];
    if (f->nan_read == DFX_NAN_QUIET)
        bits |= QUIET;
    return sign << (width(f) - 1) | f->overflow |
           (bits & (IMPLICIT - 1)) >> (FRACTION - f->mantissa_bits);
}

/*
 * The finite magnitude significand * 2^(exponent - BIAS - FRACTION), rounded to
 * nearest, ties to even. A code is the exponent over the fraction, so a carry
 * out of the fraction, also from the subnormals, is a carry into the exponent,
 * and what is too large compares as too large.
 */
static uint64_t
round_to(const dfx_float_format *f, uint64_t significand, int exponent)
{
    unsigned m = f->mantissa_bits;
    unsigned shift = FRACTION - m;
    int wanted = exponent - BIAS + f->bias; /* 1 is the least normal exponent */
    uint64_t base = 0, code;

    if (wanted >= 1)
        base = (uint64_t)(wanted - 1) << m; /* the implicit bit adds one */
    else
        shift += (unsigned)(1 - wanted);
    if (shift > FRACTION + 2) /* below half of the least subnormal: zero */
        shift = FRACTION + 2;
    if (shift == 0)
        return base + significand;
    code = base +
           ((significand + low_bits(shift - 1) + (significand >> shift & 1)) >>
            shift);
    return code > f->max ? f->overflow : code;
}

static uint64_t
encode(const dfx_float_format *f, uint64_t bits)
{
    uint64_t sign = bits >> 63;
    int exponent = (int)(bits >> FRACTION & EXPONENT_MAX);
    uint64_t fraction = bits & (IMPLICIT - 1);
    uint64_t code;

    if (exponent == EXPONENT_MAX && fraction != 0)
        return encode_nan(f, bits);
    if (exponent == EXPONENT_MAX)
        code = f->overflow;
    else if (exponent == 0)
        code = round_to(f, fraction, 1);
    else
        code = round_to(f, fraction | IMPLICIT, exponent);
    if (f->sign_bits == 0 || sign == 0)
        return code;
    /* No negative zero where its code is the NaN. */
    if (code == 0 && f->nan_read == DFX_NAN_ONE)
        return 0;
    return code | sign << (width(f) - 1);
}

void
dfx_cast_ref(dfx_type from, dfx_type to, const void *src, void *dst,
             size_t count)
{
    const dfx_float_format *f = &dfx_float_formats[from];
    const dfx_float_format *t = &dfx_float_formats[to];
    size_t from_size = dfx_type_size(from), to_size = dfx_type_size(to);
    const unsigned char *in = src;
    unsigned char *out = dst;

    if (from == to) {
        memcpy(dst, src, count * from_size);
        return;
    }
    for (size_t i = 0; i < count; i++) {
        uint64_t code = 0;

        memcpy(&code, in + i * from_size, from_size);
        code = encode(t, decode(f, code));
        memcpy(out + i * to_size, &code, to_size);
    }
}
