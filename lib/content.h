/*
 * content.h - the tensors of a model in Diffusers names and form
 *
 * Whatever the container and the layout, so that models can be hashed and
 * compared: the tensors of recognised components; of a source that no table
 * knows all tensors as they are named there.
 */
#ifndef DFX_CONTENT_H
#define DFX_CONTENT_H

#include "expr.h"
#include "identify.h"

typedef struct dfx_entry {
    const char *component;
    const char *name;
    const dfx_expr *expr;
} dfx_entry;

/* *entries lives in the arena, sorted by component and name, bytewise. */
DFX_CHECKED dfx_status dfx_content_list(dfx_arena *arena,
                                        const dfx_identity *identity,
                                        const dfx_entry **entries,
                                        size_t *count, dfx_error *err);

/*
 * Compares the bytes of two expressions of one type and shape. If they differ,
 * *different counts elements with other values and *max_abs is the largest
 * distance (NaN for types that are no numbers). Casts a to b's type first if
 * the types differ and can be cast.
 */
DFX_CHECKED dfx_status dfx_content_compare(dfx_arena *arena, const dfx_expr *a,
                                           const dfx_expr *b, bool *same,
                                           uint64_t *different, double *max_abs,
                                           dfx_error *err);

#endif
