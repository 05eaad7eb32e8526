/*
 * memory.h - memory that lives as long as its object, and growing arrays
 *
 * An index, an identity or a plan keeps its many small strings and tables in an
 * arena and releases them at once. Running out is DFX_ERR_NOMEM everywhere.
 */
#ifndef DFX_MEMORY_H
#define DFX_MEMORY_H

#include "error.h"

typedef struct dfx_arena {
    struct dfx_arena_block *blocks; /* owned; NULL in an empty arena */
} dfx_arena;

/* A zeroed struct is an empty arena. */
void dfx_arena_fini(dfx_arena *arena);

/* Zeroed, aligned for any type; NULL if memory ran out. size 0 is fine. */
void *dfx_arena_alloc(dfx_arena *arena, size_t size);
/* count items of item_size bytes; NULL also if the product overflows. */
void *dfx_arena_array(dfx_arena *arena, size_t count, size_t item_size);
char *dfx_arena_strndup(dfx_arena *arena, const char *text, size_t size);
char *dfx_arena_strdup(dfx_arena *arena, const char *text);
char *dfx_arena_printf(dfx_arena *arena, const char *fmt, ...) DFX_PRINTF(2, 3);

/*
 * Makes room for one more item in a heap array. items is the address of the
 * pointer to it, of whatever type (free() that). Grows geometrically; returns
 * false if memory ran out, and the array stays as it was.
 */
bool dfx_grow(void *items, size_t *capacity, size_t count, size_t item_size);

/* Text that grows. Zeroed is empty; data is NUL-terminated once written to. */
typedef struct dfx_text {
    char *data;  /* owned: free() it, or take it */
    size_t size; /* without the NUL */
    size_t capacity;
    bool failed; /* memory ran out at some point: check once at the end */
} dfx_text;

void dfx_text_add(dfx_text *text, const char *data, size_t size);
void dfx_text_puts(dfx_text *text, const char *data);
void dfx_text_printf(dfx_text *text, const char *fmt, ...) DFX_PRINTF(2, 3);
void dfx_text_fini(dfx_text *text);

/*
 * FNV-1a. A first key for sorting and never the only one: whoever makes many
 * names of one hash must gain nothing by it.
 */
static inline uint64_t
dfx_hash_bytes(const char *data, size_t size)
{
    uint64_t hash = 0xcbf29ce484222325;

    for (size_t i = 0; i < size; i++)
        hash = (hash ^ (unsigned char)data[i]) * 0x100000001b3;
    return hash;
}

/* Checked arithmetic in the sense of C23: true means that it overflowed. */
static inline bool
dfx_ckd_add(uint64_t *sum, uint64_t a, uint64_t b)
{
    return __builtin_add_overflow(a, b, sum);
}

static inline bool
dfx_ckd_mul(uint64_t *product, uint64_t a, uint64_t b)
{
    return __builtin_mul_overflow(a, b, product);
}

#endif
