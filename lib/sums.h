/*
 * sums.h - the sums of an output, counted by many threads
 *
 * Bytes come in chunks of a fixed size, each from its first to its last and by
 * one thread. A sum has a part for each chunk that it reaches into, and the
 * parts are joined when all is written.
 */
#ifndef DFX_SUMS_H
#define DFX_SUMS_H

#include "plan.h"

typedef struct dfx_sums {
    const dfx_output *file; /* borrowed */
    uint64_t chunk;         /* bytes */
    uint32_t *parts;        /* owned: of all sums in their order */
    size_t *first;          /* owned: of each sum, its first part */
} dfx_sums;

DFX_CHECKED dfx_status dfx_sums_init(dfx_sums *sums, const dfx_output *file,
                                     uint64_t chunk, dfx_error *err);
void dfx_sums_fini(dfx_sums *sums);

/* The first sum that ends after that byte. */
size_t dfx_sums_find(const dfx_sums *sums, uint64_t offset);
/* Counts size bytes of one chunk, which belong at offset; *next is the first
   sum that ends after them, and moves on. */
void dfx_sums_count(dfx_sums *sums, size_t *next, uint64_t offset,
                    const unsigned char *data, size_t size);
/* Whether any byte before end is to be counted. */
bool dfx_sums_want(const dfx_sums *sums, size_t next, uint64_t end);
/* All bytes were counted: the values that late pieces show. */
void dfx_sums_join(const dfx_sums *sums);

#endif
