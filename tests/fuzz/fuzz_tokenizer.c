/*
 * fuzz_tokenizer.c - CLIP's tokenizer: vocabularies, merges and prompts
 *
 * An input is a vocab.json, a merges.txt and a prompt with a NUL after the
 * first and the second. What is made of them encodes any text.
 */
#include <config.h>

#include "fuzz.h"

#include <string.h>

#include "json.h"
#include "tokenizers/bpe.h"
#include "tokenizers/clip_bpe.h"

static void
check_prompt(const dfx_clip_tokenizer *tok, const char *text, size_t size)
{
    const dfx_clip_special *special = dfx_clip_specials(tok);
    uint32_t *ids = NULL;
    uint32_t padded[77];
    size_t count = 0;
    dfx_status status = dfx_clip_encode(tok, text, size, &ids, &count, NULL);

    if (size > DFX_CLIP_TEXT || !dfx_utf8_valid(text, size, NULL)) {
        REQUIRE(status == DFX_ERR_USAGE && ids == NULL);
        return;
    }
    /* A byte is one id at most; composing makes at most three bytes of one. */
    REQUIRE(status == DFX_OK && count >= 2 && count <= 3 * size + 2);
    REQUIRE(ids[0] == special->bos && ids[count - 1] == special->eos);
    for (size_t i = 0; i < count; i++)
        REQUIRE(ids[i] < DFX_BPE_IDS);
    REQUIRE(special->length == 77);
    dfx_clip_pad(tok, ids, count, padded);
    REQUIRE(padded[0] == special->bos);
    REQUIRE(padded[76] == (count < 77 ? special->pad : special->eos));
    free(ids);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    const char *vocab = (const char *)data, *end = vocab + size;
    const char *first = memchr(vocab, '\0', size), *second;
    dfx_clip_tokenizer *tok = NULL;
    dfx_error err;

    second = first != NULL ? memchr(first + 1, '\0', (size_t)(end - first - 1))
                           : NULL;
    if (second == NULL)
        return 0;
    if (dfx_clip_tokenizer_new(vocab, (size_t)(first - vocab), first + 1,
                               (size_t)(second - first - 1), NULL, NULL, &tok,
                               &err) != DFX_OK) {
        REQUIRE(tok == NULL && err.rule != NULL && err.rule[0] != '\0');
        return 0;
    }
    check_prompt(tok, second + 1, (size_t)(end - second - 1));
    dfx_clip_tokenizer_free(tok);
    return 0;
}
