/*
 * memory.c - arenas and growing arrays
 */
#include <config.h>

#include "memory.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { BLOCK_SIZE = 64 * 1024 }; /* small strings share one allocation */

struct dfx_arena_block {
    struct dfx_arena_block *next; /* owned */
    size_t used, size;
    _Alignas(max_align_t) unsigned char data[];
};

void
dfx_arena_fini(dfx_arena *arena)
{
    struct dfx_arena_block *block = arena->blocks;

    while (block != NULL) {
        struct dfx_arena_block *next = block->next;

        free(block);
        block = next;
    }
    arena->blocks = NULL;
}

void *
dfx_arena_alloc(dfx_arena *arena, size_t size)
{
    enum { ALIGN = _Alignof(max_align_t) };
    struct dfx_arena_block *block = arena->blocks;
    unsigned char *p;

    if (size > SIZE_MAX - sizeof *block - ALIGN)
        return NULL;
    size = (size + ALIGN - 1) / ALIGN * ALIGN;
    if (block == NULL || block->size - block->used < size) {
        size_t room = size > BLOCK_SIZE ? size : BLOCK_SIZE;

        block = malloc(sizeof *block + room);
        if (block == NULL)
            return NULL;
        block->used = 0;
        block->size = room;
        /* A large block goes second, so that the one being filled stays. */
        if (size > BLOCK_SIZE / 4 && arena->blocks != NULL) {
            block->next = arena->blocks->next;
            arena->blocks->next = block;
        } else {
            block->next = arena->blocks;
            arena->blocks = block;
        }
    }
    p = block->data + block->used;
    block->used += size;
    return memset(p, 0, size);
}

void *
dfx_arena_array(dfx_arena *arena, size_t count, size_t item_size)
{
    size_t size;

    if (__builtin_mul_overflow(count, item_size, &size))
        return NULL;
    return dfx_arena_alloc(arena, size);
}

char *
dfx_arena_strndup(dfx_arena *arena, const char *text, size_t size)
{
    char *copy = size < SIZE_MAX ? dfx_arena_alloc(arena, size + 1) : NULL;

    if (copy != NULL)
        memcpy(copy, text, size);
    return copy;
}

char *
dfx_arena_strdup(dfx_arena *arena, const char *text)
{
    return dfx_arena_strndup(arena, text, strlen(text));
}

char *
dfx_arena_printf(dfx_arena *arena, const char *fmt, ...)
{
    va_list args;
    char *text;
    int n;

    va_start(args, fmt);
    n = vsnprintf(NULL, 0, fmt, args);
    va_end(args);
    if (n < 0)
        return NULL;
    text = dfx_arena_alloc(arena, (size_t)n + 1);
    if (text == NULL)
        return NULL;
    va_start(args, fmt);
    vsnprintf(text, (size_t)n + 1, fmt, args);
    va_end(args);
    return text;
}

bool
dfx_grow(void *items, size_t *capacity, size_t count, size_t item_size)
{
    size_t wanted = *capacity == 0 ? 16 : *capacity + *capacity / 2;
    size_t size;
    void *old, *grown;

    if (count < *capacity)
        return true;
    if (wanted <= count)
        wanted = count + 1;
    if (__builtin_mul_overflow(wanted, item_size, &size))
        return false;
    /* Copied as bytes: a T * may not be accessed as a void *. */
    memcpy(&old, items, sizeof old);
    grown = realloc(old, size);
    if (grown == NULL)
        return false;
    memcpy(items, &grown, sizeof grown);
    *capacity = wanted;
    return true;
}

/* Room for size more bytes and a NUL. */
static bool
text_reserve(dfx_text *text, size_t size)
{
    size_t wanted;

    if (text->failed || size >= SIZE_MAX - text->size) {
        text->failed = true;
        return false;
    }
    wanted = text->size + size + 1;
    if (wanted > text->capacity) {
        size_t room = text->capacity + text->capacity / 2;
        char *grown;

        if (room < wanted)
            room = wanted < 256 ? 256 : wanted;
        grown = realloc(text->data, room);
        if (grown == NULL) {
            text->failed = true;
            return false;
        }
        text->data = grown;
        text->capacity = room;
    }
    return true;
}

void
dfx_text_add(dfx_text *text, const char *data, size_t size)
{
    if (!text_reserve(text, size))
        return;
    if (size > 0)
        memcpy(text->data + text->size, data, size);
    text->size += size;
    text->data[text->size] = '\0';
}

void
dfx_text_puts(dfx_text *text, const char *data)
{
    dfx_text_add(text, data, strlen(data));
}

void
dfx_text_printf(dfx_text *text, const char *fmt, ...)
{
    va_list args;
    int n;

    va_start(args, fmt);
    n = vsnprintf(NULL, 0, fmt, args);
    va_end(args);
    if (n < 0 || !text_reserve(text, (size_t)n))
        return;
    va_start(args, fmt);
    vsnprintf(text->data + text->size, (size_t)n + 1, fmt, args);
    va_end(args);
    text->size += (size_t)n;
}

void
dfx_text_fini(dfx_text *text)
{
    free(text->data);
    *text = (dfx_text){0};
}
