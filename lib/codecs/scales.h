/*
 * scales.h - integers of 6 bits, packed: the scales of K types
 */
#ifndef DFX_SCALES_H
#define DFX_SCALES_H

#include <stdint.h>

/* Scale g of the 16 of Q3_K in 12 bytes, -32 to 31: four bits in the first
   eight bytes, two in the last four. */
static inline int
dfx_scale6(const uint8_t *packed, int g)
{
    int low = g < 8 ? packed[g] & 15 : packed[g - 8] >> 4;
    int high = packed[8 + g % 4] >> 2 * (g / 4) & 3;

    return (low | high << 4) - 32;
}

static inline void
dfx_scale6_store(uint8_t *packed, int g, int scale)
{
    int code = scale + 32;

    packed[g % 8] |= (uint8_t)((code & 15) << (g < 8 ? 0 : 4));
    packed[8 + g % 4] |= (uint8_t)(code >> 4 << 2 * (g / 4));
}

typedef struct dfx_pair6 {
    int scale, min; /* 0 to 63 */
} dfx_pair6;

/* Pair g of the 8 of Q4_K and Q5_K in 12 bytes. */
static inline dfx_pair6
dfx_pair6_load(const uint8_t *packed, int g)
{
    if (g < 4)
        return (dfx_pair6){packed[g] & 63, packed[g + 4] & 63};
    return (dfx_pair6){(packed[g + 4] & 15) | packed[g - 4] >> 6 << 4,
                       packed[g + 4] >> 4 | packed[g] >> 6 << 4};
}

static inline void
dfx_pair6_store(uint8_t *packed, int g, dfx_pair6 p)
{
    if (g < 4) {
        packed[g] |= (uint8_t)p.scale;
        packed[g + 4] |= (uint8_t)p.min;
    } else {
        packed[g + 4] |= (uint8_t)((p.scale & 15) | (p.min & 15) << 4);
        packed[g - 4] |= (uint8_t)(p.scale >> 4 << 6);
        packed[g] |= (uint8_t)(p.min >> 4 << 6);
    }
}

#endif
