/*
 * grids.c - the grids of the IQ types (grids.def), and levels
 */
#include <config.h>

#include "codecs/grids.h"

#define GRID(name, rows, elements, bits, ...)                                  \
    const uint16_t dfx_grid_##name[rows] = {__VA_ARGS__};
#include "codecs/grids.def"
#undef GRID

const int8_t dfx_levels_iq1[4] = {-1, 0, 1};
const int8_t dfx_levels_iq2[4] = {8, 25, 43};
const int8_t dfx_levels_iq3_xxs[8] = {4, 12, 20, 28, 36, 44, 52, 62};
const int8_t dfx_levels_iq3_s[8] = {1, 3, 5, 7, 9, 11, 13, 15};
