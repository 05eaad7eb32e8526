/*
 * test_digest.c - SHA-256 of bytes, files and expressions
 *
 * The digests are those of FIPS 180-2, appendix B ("abc", the 56 letters, and a
 * million times "a") and of the empty message.
 */
#include <config.h>

#include "digest.h"

#include "scratch.h"
#include "tap.h"

#define EMPTY "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"
#define ABC "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"
#define LETTERS                                                                \
    "248d6a61d20638b8e5c026930c3e6039a33ce45964ff2167f6ecedd419db06c1"
#define MILLION                                                                \
    "cdc76e5c9914fb9281a1c7e284d73e67f1809a48a497200e046d39ccc7112cd0"

static void
test_bytes(void)
{
    static const char letters[] =
        "abcdbcdecdefdefgefghfghighijhijkijkljklmklmnlmnomnopnopq";
    char hash[DFX_HASH_CHARS] = "";
    dfx_sha256 *sha = NULL;
    dfx_error err;

    CHECK_U64(dfx_sha256_new(&sha, &err), DFX_OK, "a digest");
    CHECK_U64(dfx_sha256_hex(sha, hash, &err), DFX_OK, "of nothing");
    CHECK_TEXT(hash, EMPTY, "is this");
    CHECK_U64(dfx_sha256_add(sha, "abc", 3, &err), DFX_OK, "abc");
    CHECK_U64(dfx_sha256_hex(sha, hash, &err), DFX_OK, "hashed");
    CHECK_TEXT(hash, ABC, "is this");
    for (size_t i = 0; i < sizeof letters - 1; i++)
        if (dfx_sha256_add(sha, letters + i, 1, &err) != DFX_OK)
            break;
    CHECK_U64(dfx_sha256_hex(sha, hash, &err), DFX_OK, "56 letters one by one");
    CHECK_TEXT(hash, LETTERS, "are this");
    dfx_sha256_free(sha);
    dfx_sha256_free(NULL);
}

static void
test_file(void)
{
    char hash[DFX_HASH_CHARS] = "";
    char *million = malloc(1000000);
    dfx_error err;

    memset(million, 'a', 1000000);
    scratch_write("million", million, 1000000);
    scratch_write("empty", "", 0);
    free(million);
    CHECK_U64(dfx_hash_file("million", hash, &err), DFX_OK, "a file");
    CHECK_TEXT(hash, MILLION, "of a million letters");
    CHECK_U64(dfx_hash_file("empty", hash, &err), DFX_OK, "an empty file");
    CHECK_TEXT(hash, EMPTY, "is nothing");
    CHECK_U64(dfx_hash_file("nowhere", hash, &err), DFX_ERR_IO, "no file");
    CHECK_TEXT(err.file, "nowhere", "is named");
}

/* "a?b?c?" as [3, 2]: the transpose's first three bytes are "abc". */
static void
test_expr(void)
{
    const uint64_t shape[] = {3, 2};
    dfx_tensor t = {.name = "t",
                    .type = DFX_TYPE_U8,
                    .rank = 2,
                    .shape = shape,
                    .data = {.size = 6}};
    const dfx_expr *x = NULL, *y = NULL;
    char hash[DFX_HASH_CHARS] = "";
    dfx_arena arena = {0};
    dfx_io *io = NULL;
    dfx_error err;

    CHECK_U64(dfx_io_open_memory("a-b-c-", 6, "t", &io, &err), DFX_OK,
              "a source");
    t.data.io = io;
    CHECK_U64(dfx_expr_tensor(&arena, &t, &x, &err), DFX_OK, "a tensor");
    CHECK_U64(dfx_expr_transpose(&arena, x, &y, &err), DFX_OK, "transposed");
    CHECK_U64(dfx_expr_rows(&arena, y, 0, 1, &x, &err), DFX_OK, "its row 0");
    CHECK_U64(dfx_hash_expr(x, hash, &err), DFX_OK, "hashed");
    CHECK_TEXT(hash, ABC, "is abc");
    t.data.size = 5;
    CHECK_U64(dfx_hash_tensor(&t, hash, &err), DFX_ERR_FORMAT,
              "a tensor too short");
    t.data.size = 6;
    CHECK_U64(dfx_hash_tensor(&t, hash, &err), DFX_OK, "and one that is not");
    dfx_arena_fini(&arena);
    dfx_io_close(io);
}

int
main(void)
{
    scratch_enter();
    test_bytes();
    test_file();
    test_expr();
    return tap_end();
}
