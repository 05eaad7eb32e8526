/*
 * test_memory.c - arenas, growing arrays and texts
 *
 * AddressSanitizer is what makes the reads and writes here a test.
 */
#include <config.h>

#include "memory.h"

#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include "tap.h"

static void
test_arena(void)
{
    enum { COUNT = 3000 };
    static unsigned char *blocks[COUNT];
    static size_t sizes[COUNT];
    dfx_arena arena = {0};
    size_t wrong = 0, unaligned = 0, dirty = 0;

    for (size_t i = 0; i < COUNT; i++) {
        sizes[i] = i * i % 1777 + (i % 500 == 0 ? 100000 : 0);
        blocks[i] = dfx_arena_alloc(&arena, sizes[i]);
        if (blocks[i] == NULL)
            abort();
        unaligned += (uintptr_t)blocks[i] % _Alignof(max_align_t) != 0;
        for (size_t j = 0; j < sizes[i]; j++)
            dirty += blocks[i][j] != 0;
        memset(blocks[i], (int)(i & 0xff), sizes[i]);
    }
    for (size_t i = 0; i < COUNT; i++)
        for (size_t j = 0; j < sizes[i]; j++)
            wrong += blocks[i][j] != (i & 0xff);
    CHECK_U64(unaligned, 0, "blocks are aligned for any type");
    CHECK_U64(dirty, 0, "and zero");
    CHECK_U64(wrong, 0, "and apart");
    CHECK(dfx_arena_alloc(&arena, SIZE_MAX) == NULL &&
              dfx_arena_alloc(&arena, SIZE_MAX - 40) == NULL,
          "no size wraps");
    CHECK(dfx_arena_array(&arena, SIZE_MAX / 8 + 1, 8) == NULL &&
              dfx_arena_array(&arena, (size_t)1 << 33, (size_t)1 << 33) == NULL,
          "no product wraps");
    CHECK(dfx_arena_strndup(&arena, "x", SIZE_MAX) == NULL,
          "no text is that long");
    dfx_arena_fini(&arena);
    CHECK(arena.blocks == NULL, "an arena ends empty");
    dfx_arena_fini(&arena);
}

static void
test_strings(void)
{
    dfx_arena arena = {0};
    char *text = dfx_arena_printf(&arena, "%s-%05d", "shard", 7);
    char *long_text = dfx_arena_printf(&arena, "%0100000d", 1);

    CHECK_TEXT(text, "shard-00007", "printf");
    CHECK(long_text != NULL && strlen(long_text) == 100000,
          "printf of more than a block");
    CHECK_TEXT(dfx_arena_strdup(&arena, "abc"), "abc", "strdup");
    CHECK_TEXT(dfx_arena_strndup(&arena, "abc", 2), "ab", "strndup");
    CHECK_TEXT(dfx_arena_strndup(&arena, "abc", 0), "", "strndup of nothing");
    dfx_arena_fini(&arena);
}

static void
test_grow(void)
{
    uint32_t *items = NULL;
    size_t capacity = 0, count = 0, wrong = 0, moves = 0;

    for (uint32_t i = 0; i < 100000; i++) {
        size_t before = capacity;

        if (!dfx_grow(&items, &capacity, count, sizeof *items))
            abort();
        moves += capacity != before;
        items[count++] = i;
    }
    for (uint32_t i = 0; i < count; i++)
        wrong += items[i] != i;
    CHECK_U64(wrong, 0, "items stay when an array grows");
    CHECK(capacity >= count && moves < 30, "it grows geometrically");
    CHECK(!dfx_grow(&items, &capacity, capacity, SIZE_MAX / 2) &&
              items[99999] == 99999,
          "a product that overflows leaves it as it was");
    free(items);
}

static void
test_text(void)
{
    dfx_text text = {0};

    dfx_text_add(&text, "", 0);
    CHECK_TEXT(text.data, "", "nothing is a text");
    dfx_text_puts(&text, "ab");
    dfx_text_add(&text, "c\0d", 3);
    CHECK(text.size == 5 && memcmp(text.data, "abc\0d", 6) == 0,
          "bytes are added as they are, and a NUL");
    for (int i = 0; i < 10000; i++)
        dfx_text_printf(&text, "%d,", i % 10);
    CHECK(text.size == 20005 && strcmp(text.data + 20003, "9,") == 0,
          "it grows");
    dfx_text_add(&text, "x", SIZE_MAX - 10);
    CHECK(text.failed && text.size == 20005, "it fails rather than wrap");
    dfx_text_puts(&text, "more");
    CHECK_U64(text.size, 20005, "and then adds no more");
    dfx_text_fini(&text);
    CHECK(text.data == NULL && !text.failed, "it ends empty");
}

static void
test_checked(void)
{
    uint64_t value = 0;

    CHECK(!dfx_ckd_add(&value, UINT64_MAX - 1, 1) && value == UINT64_MAX,
          "a sum that fits");
    CHECK(dfx_ckd_add(&value, UINT64_MAX, 1), "one that does not");
    CHECK(!dfx_ckd_mul(&value, UINT64_C(1) << 32, (UINT64_C(1) << 32) - 1) &&
              value == UINT64_MAX - UINT32_MAX,
          "a product that fits");
    CHECK(dfx_ckd_mul(&value, UINT64_C(1) << 32, UINT64_C(1) << 32),
          "one that does not");
    /* FNV-1a's own test vectors. */
    CHECK_U64(dfx_hash_bytes("", 0), 0xcbf29ce484222325, "the hash of nothing");
    CHECK_U64(dfx_hash_bytes("foobar", 6), 0x85944171f73967e8,
              "the hash of foobar");
}

int
main(void)
{
    test_arena();
    test_strings();
    test_grow();
    test_text();
    test_checked();
    return tap_end();
}
