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

/*
 * Elements of an expression of floats as such, all finite (QUANT_NONFINITE);
 * count is a multiple of 32, which whole blocks have. scratch has room for
 * count numbers of any type.
 */
enum { DFX_MAX_NUMBER = 8 }; /* bytes of a number: an F64 */
DFX_CHECKED dfx_status dfx_blocks_numbers(const dfx_expr *x, uint64_t first,
                                          size_t count, void *scratch,
                                          float *numbers, dfx_error *err);

#endif
