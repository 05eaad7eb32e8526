/*
 * scales_lanes.h - integers of 6 bits, packed, four at a time: scales.h
 */
#ifndef DFX_SCALES_LANES_H
#define DFX_SCALES_LANES_H

#include "codecs/lanes.h"

/* Low 4 and 2 bits of each of four bytes. */
static const uint32_t FOURS = 0x0f0f0f0f, TWOS = 0x03030303;

INLINE uint32_t
load_word(const uint8_t *from)
{
    uint32_t word;

    memcpy(&word, from, sizeof word);
    return word;
}

INLINE void
store_word(uint8_t *to, uint32_t word)
{
    memcpy(to, &word, sizeof word);
}

/* The 8 scales and minimums of Q4_K and Q5_K: 0 to 63. */
INLINE void
unpack_pairs6(const uint8_t *packed, uint8_t *scales, uint8_t *mins)
{
    uint32_t a = load_word(packed), b = load_word(packed + 4);
    uint32_t c = load_word(packed + 8);

    store_word(scales, a & (FOURS | TWOS << 4));
    store_word(mins, b & (FOURS | TWOS << 4));
    store_word(scales + 4, (c & FOURS) | (a >> 6 & TWOS) << 4);
    store_word(mins + 4, (c >> 4 & FOURS) | (b >> 6 & TWOS) << 4);
}

INLINE void
pack_pairs6(const uint8_t *scales, const uint8_t *mins, uint8_t *packed)
{
    uint32_t scale = load_word(scales + 4), min = load_word(mins + 4);

    store_word(packed, load_word(scales) | (scale >> 4 & TWOS) << 6);
    store_word(packed + 4, load_word(mins) | (min >> 4 & TWOS) << 6);
    store_word(packed + 8, (scale & FOURS) | (min & FOURS) << 4);
}

/* The 16 scales of Q3_K, from 0 on: 0 to 63. */
INLINE void
unpack_scales6(const uint8_t *packed, uint8_t *scales)
{
    uint32_t high = load_word(packed + 8);

    for (int i = 0; i < 4; i++) {
        uint32_t low = load_word(packed + 4 * (i % 2)) >> 4 * (i / 2);

        store_word(scales + 4 * i, (low & FOURS) | (high >> 2 * i & TWOS) << 4);
    }
}

INLINE void
pack_scales6(const uint8_t *scales, uint8_t *packed)
{
    uint32_t low[2] = {0, 0}, high = 0;

    for (int i = 0; i < 4; i++) {
        uint32_t word = load_word(scales + 4 * i);

        low[i % 2] |= (word & FOURS) << 4 * (i / 2);
        high |= (word >> 4 & TWOS) << 2 * i;
    }
    store_word(packed, low[0]);
    store_word(packed + 4, low[1]);
    store_word(packed + 8, high);
}

#endif
