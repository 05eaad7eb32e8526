/*
 * digest.c - SHA-256 by OpenSSL
 */
#include <config.h>

#include "digest.h"

#include <openssl/evp.h>
#include <stdlib.h>

#include "memory.h"

/* Bytes hashed at a time: large enough that a pull costs little beside it. */
enum { BAND = 256 * 1024 };

struct dfx_sha256 {
    EVP_MD_CTX *ctx; /* owned */
};

static dfx_status
fail_sha(dfx_error *err)
{
    return dfx_fail_usage(err, "OpenSSL cannot compute SHA-256");
}

dfx_status
dfx_sha256_new(dfx_sha256 **sha, dfx_error *err)
{
    dfx_sha256 *made = calloc(1, sizeof *made);

    if (made == NULL)
        return dfx_fail_nomem(err);
    made->ctx = EVP_MD_CTX_new();
    if (made->ctx == NULL) {
        dfx_sha256_free(made);
        return dfx_fail_nomem(err);
    }
    if (EVP_DigestInit_ex(made->ctx, EVP_sha256(), NULL) != 1) {
        dfx_sha256_free(made);
        return fail_sha(err);
    }
    *sha = made;
    return DFX_OK;
}

void
dfx_sha256_free(dfx_sha256 *sha)
{
    if (sha == NULL)
        return;
    EVP_MD_CTX_free(sha->ctx);
    free(sha);
}

dfx_status
dfx_sha256_add(dfx_sha256 *sha, const void *data, size_t size, dfx_error *err)
{
    if (EVP_DigestUpdate(sha->ctx, data, size) != 1)
        return fail_sha(err);
    return DFX_OK;
}

dfx_status
dfx_sha256_hex(dfx_sha256 *sha, char hash[DFX_HASH_CHARS], dfx_error *err)
{
    static const char digits[] = "0123456789abcdef";
    unsigned char sum[(DFX_HASH_CHARS - 1) / 2];
    unsigned size = 0;

    if (EVP_DigestFinal_ex(sha->ctx, sum, &size) != 1 || size != sizeof sum ||
        EVP_DigestInit_ex(sha->ctx, NULL, NULL) != 1)
        return fail_sha(err);
    for (size_t i = 0; i < sizeof sum; i++) {
        hash[2 * i] = digits[sum[i] >> 4];
        hash[2 * i + 1] = digits[sum[i] & 15];
    }
    hash[DFX_HASH_CHARS - 1] = '\0';
    return DFX_OK;
}

static dfx_status
hash_bands(dfx_sha256 *sha, const dfx_expr *x, unsigned char *band,
           char hash[DFX_HASH_CHARS], dfx_error *err)
{
    uint64_t at = 0;

    while (at < x->bytes) {
        size_t n = x->bytes - at < BAND ? (size_t)(x->bytes - at) : BAND;

        DFX_TRY(dfx_expr_pull_bytes(x, at, n, band, err));
        DFX_TRY(dfx_sha256_add(sha, band, n, err));
        at += n;
    }
    return dfx_sha256_hex(sha, hash, err);
}

dfx_status
dfx_hash_expr(const dfx_expr *x, char hash[DFX_HASH_CHARS], dfx_error *err)
{
    unsigned char *band = malloc(BAND);
    dfx_sha256 *sha = NULL;
    dfx_status status =
        band == NULL ? dfx_fail_nomem(err) : dfx_sha256_new(&sha, err);

    if (status == DFX_OK)
        status = hash_bands(sha, x, band, hash, err);
    dfx_sha256_free(sha);
    free(band);
    return status;
}

dfx_status
dfx_hash_tensor(const dfx_tensor *tensor, char hash[DFX_HASH_CHARS],
                dfx_error *err)
{
    dfx_arena arena = {0};
    const dfx_expr *x = NULL;
    dfx_status status = dfx_expr_tensor(&arena, tensor, &x, err);

    if (status == DFX_OK)
        status = dfx_hash_expr(x, hash, err);
    dfx_arena_fini(&arena);
    return status;
}

dfx_status
dfx_hash_file(const char *path, char hash[DFX_HASH_CHARS], dfx_error *err)
{
    dfx_io *io = NULL;
    uint64_t size;
    dfx_expr all;
    dfx_status status;

    DFX_TRY(dfx_io_open_file(path, &io, err));
    size = dfx_io_size(io);
    all = (dfx_expr){.node = DFX_NODE_TENSOR,
                     .type = DFX_TYPE_U8,
                     .rank = 1,
                     .shape = &size,
                     .elements = size,
                     .bytes = size,
                     .extent = {.io = io, .size = size}};
    status = dfx_hash_expr(&all, hash, err);
    dfx_io_close(io);
    return status;
}
