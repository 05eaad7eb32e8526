/*
 * comfy.h - what reading and writing its forms share
 */
#ifndef DFX_COMFY_H
#define DFX_COMFY_H

#include "encoding.h"

/* Of scales that stand in tiles. */
enum {
    DFX_TILE_ROWS = 128,
    DFX_TILE_COLUMNS = 4,
    DFX_TILE = DFX_TILE_ROWS * DFX_TILE_COLUMNS
};

/* The next multiple of unit. */
static inline uint64_t
dfx_round_up(uint64_t n, uint64_t unit)
{
    return n / unit * unit + (n % unit != 0 ? unit : 0);
}

extern const dfx_form dfx_form_comfy;
extern const dfx_encoding dfx_comfy_encodings[];

#endif
