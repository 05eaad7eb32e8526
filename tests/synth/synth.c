/*
 * synth.c - the values of synthetic tensors
 */
#include <config.h>

#include "synth.h"
#include "synth_type.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <openssl/evp.h>

/* clang-format off */
static const synth_type types[] = {
    /* In the order of safetensors, which is what its writer sorts by.
       name, bits, class, mantissa bits, least exponent, first code too large */
    {"BOOL",        8,  SYNTH_BOOL,  0,  0,    0},
    {"F4",          4,  SYNTH_BITS,  0,  0,    0},
    {"F6_E2M3",     6,  SYNTH_BITS,  0,  0,    0},
    {"F6_E3M2",     6,  SYNTH_BITS,  0,  0,    0},
    {"U8",          8,  SYNTH_INT,   0,  0,    0},
    {"I8",          8,  SYNTH_INT,   0,  0,    0},
    {"F8_E5M2",     8,  SYNTH_FLOAT, 2,  -14,  0x7c},
    {"F8_E4M3",     8,  SYNTH_FLOAT, 3,  -6,   0x7f},
    {"F8_E8M0",     8,  SYNTH_BITS,  0,  0,    0},
    {"F8_E4M3FNUZ", 8,  SYNTH_BITS,  0,  0,    0},
    {"F8_E5M2FNUZ", 8,  SYNTH_BITS,  0,  0,    0},
    {"I16",         16, SYNTH_INT,   0,  0,    0},
    {"U16",         16, SYNTH_INT,   0,  0,    0},
    {"F16",         16, SYNTH_FLOAT, 10, -14,  0x7c00},
    {"BF16",        16, SYNTH_FLOAT, 7,  -126, 0x7f80},
    {"I32",         32, SYNTH_INT,   0,  0,    0},
    {"U32",         32, SYNTH_INT,   0,  0,    0},
    {"F32",         32, SYNTH_FLOAT, 23, -126, 0x7f800000},
    {"C64",         64, SYNTH_BITS,  0,  0,    0},
    {"F64",         64, SYNTH_FLOAT, 52, 0,    0},
    {"I64",         64, SYNTH_INT,   0,  0,    0},
    {"U64",         64, SYNTH_INT,   0,  0,    0},
};
/* clang-format on */

const synth_type *
synth_type_named(const char *name)
{
    for (size_t i = 0; i < sizeof types / sizeof types[0]; i++)
        if (strcmp(types[i].name, name) == 0)
            return &types[i];
    return NULL;
}

const char *
synth_type_name(const synth_tensor *t)
{
    return t->type->name;
}

bool
synth_has_values(const synth_tensor *t)
{
    return t->type->class != SYNTH_BITS;
}

const synth_tensor *
synth_find(const synth_list *list, const char *name)
{
    for (size_t i = 0; i < list->count; i++)
        if (strcmp(list->tensors[i].name, name) == 0)
            return &list->tensors[i];
    return NULL;
}

uint64_t
synth_mix(uint64_t z)
{
    z = (z ^ (z >> 30)) * 0xBF58476D1CE4E5B9;
    z = (z ^ (z >> 27)) * 0x94D049BB133111EB;
    return z ^ (z >> 31);
}

static uint64_t
fnv1a(const char *text)
{
    uint64_t h = 0xCBF29CE484222325;

    for (; *text != '\0'; text++)
        h = (h ^ (unsigned char)*text) * 0x100000001B3;
    return h;
}

/*
 * The code nearest to x, ties to even, as a school book does it: x in units of
 * the last place, rounded to an integer.
 */
static uint64_t
float_code(const synth_type *type, double x)
{
    uint64_t sign = signbit(x) != 0 ? UINT64_C(1) << (type->bits - 1) : 0;
    uint64_t code;
    int exponent;

    if (type->bits == 64) {
        memcpy(&code, &x, sizeof code);
        return code;
    }
    (void)frexp(x, &exponent); /* |x| = 0.5 .. 1 times 2^exponent */
    exponent--;
    if (x == 0.0 || exponent < type->least_exponent)
        exponent = type->least_exponent;
    code = (uint64_t)(exponent - type->least_exponent) << type->mantissa;
    code += (uint64_t)rint(ldexp(fabs(x), type->mantissa - exponent));
    return sign | (code > type->too_large ? type->too_large : code);
}

static uint64_t
int_code(double x)
{
    return (uint64_t)(int64_t)x;
}

void
synth_values(const synth_list *list, const synth_tensor *t, uint64_t first,
             size_t count, void *dst)
{
    uint64_t h = fnv1a(t->name) ^ list->seed;
    double scale = ldexp(1.0, t->log2_scale) / 8388608.0;
    size_t size = t->type->bits / 8;
    unsigned char *out = dst;

    for (size_t i = 0; i < count; i++) {
        uint64_t at = first + i;
        uint64_t k = synth_mix(h + (at + 1) * 0x9E3779B97F4A7C15) >> 40;
        double x = t->offset;
        uint64_t code;

        if (t->kind == SYNTH_ARANGE)
            x = (double)at;
        else if (t->kind == SYNTH_UNIFORM)
            x = (double)(float)(x + ((double)k - 8388608.0) * scale);
        if (t->type->class == SYNTH_FLOAT)
            code = float_code(t->type, x);
        else if (t->kind != SYNTH_UNIFORM)
            code = int_code(x);
        else
            code = k % (t->type->class == SYNTH_BOOL ? 2 : 128);
        memcpy(out + i * size, &code, size);
    }
}

bool
synth_digest(const synth_list *list, const synth_tensor *t,
             char digest[SYNTH_DIGEST_CHARS])
{
    unsigned char buffer[8192], hash[EVP_MAX_MD_SIZE];
    EVP_MD_CTX *sha = EVP_MD_CTX_new();
    size_t piece = sizeof buffer * 8 / t->type->bits;
    bool good = sha != NULL && EVP_DigestInit(sha, EVP_sha256()) == 1;

    for (uint64_t i = 0; good && i < t->elements; i += piece) {
        uint64_t left = t->elements - i;
        size_t count = left < piece ? (size_t)left : piece;

        synth_values(list, t, i, count, buffer);
        good = EVP_DigestUpdate(sha, buffer, count * t->type->bits / 8) == 1;
    }
    good = good && EVP_DigestFinal(sha, hash, NULL) == 1;
    EVP_MD_CTX_free(sha);
    for (size_t i = 0; good && i < 8; i++)
        snprintf(digest + 2 * i, 3, "%02x", hash[i]);
    return good;
}
