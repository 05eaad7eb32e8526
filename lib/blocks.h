/*
 * blocks.h - casts from and to block types, as expressions pull them
 */
#ifndef DFX_BLOCKS_H
#define DFX_BLOCKS_H

#include "expr.h"

/* Elements first .. first + count of a CAST of blocks to floats: any range. */
DFX_CHECKED dfx_status dfx_blocks_decode(const dfx_expr *x, uint64_t first,
                                         uint64_t count, void *out,
                                         dfx_error *err);
/* The same of floats to blocks: whole blocks. Numbers that are not finite are
   refused (QUANT_NONFINITE), and those too large for the type's scales
   (QUANT_OVERFLOW). */
DFX_CHECKED dfx_status dfx_blocks_encode(const dfx_expr *x, uint64_t first,
                                         uint64_t count, void *out,
                                         dfx_error *err);

#endif
