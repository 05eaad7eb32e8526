/*
 * digest.h - SHA-256 (OpenSSL's EVP) of bytes and of expressions
 */
#ifndef DFX_DIGEST_H
#define DFX_DIGEST_H

#include "expr.h"

typedef struct dfx_sha256 dfx_sha256;

DFX_CHECKED dfx_status dfx_sha256_new(dfx_sha256 **sha, dfx_error *err);
DFX_CHECKED dfx_status dfx_sha256_add(dfx_sha256 *sha, const void *data,
                                      size_t size, dfx_error *err);
/* Writes the digest in lower-case hex and starts again. */
DFX_CHECKED dfx_status dfx_sha256_hex(dfx_sha256 *sha,
                                      char hash[DFX_HASH_CHARS],
                                      dfx_error *err);
void dfx_sha256_free(dfx_sha256 *sha); /* NULL is fine */

/* SHA-256 of the bytes an expression evaluates to, in bounded memory. */
DFX_CHECKED dfx_status dfx_hash_expr(const dfx_expr *x,
                                     char hash[DFX_HASH_CHARS], dfx_error *err);

#endif
