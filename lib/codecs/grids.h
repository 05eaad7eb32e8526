/*
 * grids.h - the grids of the IQ types and what the codes in their rows mean
 *
 * Element j of a row has as many bits as grids.def says, from the lowest on.
 */
#ifndef DFX_GRIDS_H
#define DFX_GRIDS_H

#include <stdint.h>

#define GRID(name, rows, elements, bits, ...)                                  \
    extern const uint16_t dfx_grid_##name[rows];
#include "codecs/grids.def"
#undef GRID

/* By code; those of IQ1_S move by an eighth, up or down. */
extern const int8_t dfx_levels_iq1[4];
extern const int8_t dfx_levels_iq2[4];
extern const int8_t dfx_levels_iq3_xxs[8];
extern const int8_t dfx_levels_iq3_s[8];

#endif
