/*
 * decode_lanes.h - blocks to numbers, LANES at a time
 *
 * Every number is code * scale + add, where a type that adds nothing adds -0,
 * which leaves all as it is: the operations of the plain decoders. Of a block
 * first the codes become bytes, then these numbers.
 */
#ifndef DFX_DECODE_LANES_H
#define DFX_DECODE_LANES_H

#include "codecs/lanes.h"
#include "codecs/scales_lanes.h"

static const float NOTHING = -0.0f;

INLINE void
put_numbers(int count, const uint8_t *codes, float scale, float add, float *out)
{
#pragma GCC unroll 16
    for (int i = 0; i < count; i += LANES)
        lanes_store(out + i, lanes_load_bytes(codes + i) * lanes_of(scale) +
                                 lanes_of(add));
}

/* 16 bytes of two codes: low ones, then high ones. */
INLINE bytes32
split16(const uint8_t *from)
{
    bytes16 v = load16(from);

    return (bytes32)_mm256_set_m128i((__m128i)(v >> 4), (__m128i)(v & 15));
}

/* ---- 32 numbers -----------------------------------------------------------
 */

static void
decode_Q4_0(const uint8_t *b, float *out, size_t count)
{
    for (; count > 0; count--, b += 18, out += 32) {
        uint8_t codes[32];

        store32(codes, split16(b + 2) - 8);
        put_numbers(32, codes, load_half(b), NOTHING, out);
    }
}

static void
decode_Q4_1(const uint8_t *b, float *out, size_t count)
{
    for (; count > 0; count--, b += 20, out += 32) {
        uint8_t codes[32];

        store32(codes, split16(b + 4));
        put_numbers(32, codes, load_half(b), load_half(b + 2), out);
    }
}

static void
decode_Q5_0(const uint8_t *b, float *out, size_t count)
{
    for (; count > 0; count--, b += 22, out += 32) {
        uint8_t codes[32];

        /* Where the fifth bit is set the offset is 0. */
        store32(codes, split16(b + 6) - (~spread_bits(load_word(b + 2)) & 16));
        put_numbers(32, codes, load_half(b), NOTHING, out);
    }
}

static void
decode_Q5_1(const uint8_t *b, float *out, size_t count)
{
    for (; count > 0; count--, b += 24, out += 32) {
        uint8_t codes[32];

        store32(codes, split16(b + 8) | (spread_bits(load_word(b + 4)) & 16));
        put_numbers(32, codes, load_half(b), load_half(b + 2), out);
    }
}

static void
decode_Q8_0(const uint8_t *b, float *out, size_t count)
{
    for (; count > 0; count--, b += 34, out += 32)
        put_numbers(32, b + 2, load_half(b), NOTHING, out);
}

/* ---- K types ---------------------------------------------------------------
 */

/* 16 bytes times a number. */
INLINE void
scale16(const uint8_t *codes, float d, float *scales)
{
    put_numbers(16, codes, d, NOTHING, scales);
}

/* Pairs of bits of 32 bytes, the lowest first: 128 codes. */
INLINE void
unpack_pairs(const uint8_t *from, uint8_t *codes)
{
    bytes32 v = load32(from);

    for (int i = 0; i < 4; i++)
        store32(codes + 32 * i, v >> 2 * i & 3);
}

/* 32 bytes of two codes: low ones, then high ones; four times. */
INLINE void
unpack_nibbles(const uint8_t *from, uint8_t *codes)
{
    for (int i = 0; i < 4; i++) {
        bytes32 v = load32(from + 32 * i);

        store32(codes + 64 * i, v & 15);
        store32(codes + 64 * i + 32, v >> 4);
    }
}

static void
decode_Q2_K(const uint8_t *b, float *out, size_t count)
{
    for (; count > 0; count--, b += 84, out += 256) {
        uint8_t codes[256], pairs[32];
        float scales[16], mins[16];

        store32(pairs, split16(b));
        scale16(pairs, load_half(b + 80), scales);
        scale16(pairs + 16, load_half(b + 82), mins);
        unpack_pairs(b + 16, codes);
        unpack_pairs(b + 48, codes + 128);
        for (int g = 0; g < 16; g++)
            put_numbers(16, codes + 16 * g, scales[g], -mins[g], out + 16 * g);
    }
}

static void
decode_Q3_K(const uint8_t *b, float *out, size_t count)
{
    for (; count > 0; count--, b += 110, out += 256) {
        bytes32 high = load32(b);
        uint8_t codes[256], packed[16];
        float scales[16];

        unpack_scales6(b + 96, packed);
        store16(packed, load16(packed) - 32);
        scale16(packed, load_half(b + 108), scales);
        unpack_pairs(b + 32, codes);
        unpack_pairs(b + 64, codes + 128);
        for (int i = 0; i < 8; i++)
            store32(codes + 32 * i,
                    load32(codes + 32 * i) + (high >> i & 1) * 4 - 4);
        for (int g = 0; g < 16; g++)
            put_numbers(16, codes + 16 * g, scales[g], NOTHING, out + 16 * g);
    }
}

/* The scales and minimums that Q4_K and Q5_K begin with. */
INLINE void
unpack_head(const uint8_t *b, float *scales, float *mins)
{
    uint8_t pairs[32] = {0};

    unpack_pairs6(b + 4, pairs, pairs + 16);
    scale16(pairs, load_half(b), scales);
    scale16(pairs + 16, load_half(b + 2), mins);
}

static void
decode_Q4_K(const uint8_t *b, float *out, size_t count)
{
    for (; count > 0; count--, b += 144, out += 256) {
        float scales[16], mins[16];
        uint8_t codes[256];

        unpack_head(b, scales, mins);
        unpack_nibbles(b + 16, codes);
        for (int g = 0; g < 8; g++)
            put_numbers(32, codes + 32 * g, scales[g], -mins[g], out + 32 * g);
    }
}

static void
decode_Q5_K(const uint8_t *b, float *out, size_t count)
{
    for (; count > 0; count--, b += 176, out += 256) {
        bytes32 high = load32(b + 16);
        float scales[16], mins[16];
        uint8_t codes[256];

        unpack_head(b, scales, mins);
        unpack_nibbles(b + 48, codes);
        for (int g = 0; g < 8; g++) {
            store32(codes + 32 * g, load32(codes + 32 * g) | (high >> g & 1)
                                                                 << 4);
            put_numbers(32, codes + 32 * g, scales[g], -mins[g], out + 32 * g);
        }
    }
}

static void
decode_Q6_K(const uint8_t *b, float *out, size_t count)
{
    for (; count > 0; count--, b += 210, out += 256) {
        uint8_t codes[256];
        float scales[16];

        scale16(b + 192, load_half(b + 208), scales);
        for (int n = 0; n < 2; n++) {
            bytes32 low = load32(b + 64 * n), next = load32(b + 64 * n + 32);
            bytes32 high = load32(b + 128 + 32 * n);
            bytes32 nibbles[4] = {low & 15, next & 15, low >> 4, next >> 4};

            for (int c = 0; c < 4; c++)
                store32(codes + 128 * n + 32 * c,
                        (nibbles[c] | (high >> 2 * c & 3) << 4) - 32);
        }
        for (int g = 0; g < 16; g++)
            put_numbers(16, codes + 16 * g, scales[g], NOTHING, out + 16 * g);
    }
}

#endif
