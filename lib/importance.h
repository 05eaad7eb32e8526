/*
 * importance.h - how much the columns of matrices matter, from an importance
 * matrix: means of squares of what a layer was given
 */
#ifndef DFX_IMPORTANCE_H
#define DFX_IMPORTANCE_H

#include "index.h"

/*
 * The importances of a tensor's columns, by its name in the output: *out is
 * columns numbers that live as long as imatrix, or NULL if it has none of that
 * name. Fails with QUANT_IMATRIX if it has another number of them.
 */
DFX_CHECKED dfx_status dfx_imatrix_find(const dfx_imatrix *imatrix,
                                        const char *name, uint64_t columns,
                                        const float **out, dfx_error *err);

#endif
