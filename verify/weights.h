/*
 * weights.h - the tensors of one component by their Diffusers names
 *
 * Where they come from, a folder or expressions over a file of another layout,
 * the networks do not know. Numbers are read when they are first asked for and
 * kept, so that several runs of a network read them once.
 */
#ifndef DFX_WEIGHTS_H
#define DFX_WEIGHTS_H

#include "backend.h"
#include "expr.h"
#include "index.h"

typedef struct dfx_weights_entry {
    const char *name;
    const dfx_expr *expr;
    float *data;  /* as F32 in the backend's memory; NULL until used */
    void *stored; /* as expr's type; the same */
} dfx_weights_entry;

/* Changes the F32 numbers of a weight as they are read: a LoRA. */
typedef dfx_status dfx_weights_patch(const void *context, const char *name,
                                     const dfx_expr *expr, float *numbers,
                                     dfx_error *err);

typedef struct dfx_weights {
    const dfx_backend *backend;
    dfx_arena arena;            /* names and expressions */
    dfx_weights_entry *entries; /* owned; sorted once sealed */
    size_t count, capacity;
    dfx_weights_patch *patch; /* NULL: none */
    const void *context;
} dfx_weights;

void dfx_weights_init(dfx_weights *weights, const dfx_backend *backend);
void dfx_weights_fini(dfx_weights *weights);

/* name and expr live as long as weights. */
DFX_CHECKED dfx_status dfx_weights_add(dfx_weights *weights, const char *name,
                                       const dfx_expr *expr, dfx_error *err);
/* All tensors of a component of an index, which lives longer. Seals. */
DFX_CHECKED dfx_status dfx_weights_take(dfx_weights *weights,
                                        const dfx_index *index,
                                        uint32_t component, dfx_error *err);
/* The last step of adding. */
void dfx_weights_seal(dfx_weights *weights);

/* NULL if there is none. */
dfx_weights_entry *dfx_weights_find(const dfx_weights *weights,
                                    const char *name);
/* Its numbers as F32, read unless they were; owned by weights. */
DFX_CHECKED dfx_status dfx_weights_load(dfx_weights *weights,
                                        dfx_weights_entry *entry,
                                        dfx_error *err);
/* The same as they are stored, if a backend computes with that: rows of whole
   blocks, nothing that changes them. Else as F32. */
DFX_CHECKED dfx_status dfx_weights_store(dfx_weights *weights,
                                         dfx_weights_entry *entry,
                                         dfx_weight *stored, dfx_error *err);
/* Forgets the numbers that were read, not the names. */
void dfx_weights_drop(dfx_weights *weights);

#endif
