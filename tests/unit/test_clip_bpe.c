/*
 * test_clip_bpe.c - CLIP's tokenizer: small vocabularies, broken files, hostile
 * prompts
 *
 * The ids of whole prompts are compared with the reference's in
 * tests/golden/test_tokenizers.c.
 */
#include <config.h>

#include "tokenizers/clip_bpe.h"

#include "tap.h"

#include <stdlib.h>
#include <time.h>

#define SPECIAL "\"<|startoftext|>\":10,\"<|endoftext|>\":11"

static cJSON *
parse(const char *text)
{
    cJSON *doc = NULL;
    dfx_error err;

    if (text != NULL &&
        dfx_doc_parse(text, strlen(text), "test", &doc, &err) != DFX_OK)
        printf("Bail out! %s\n", err.text);
    return doc;
}

static dfx_status
make(const char *vocab, const char *merges, const char *config,
     dfx_clip_tokenizer **tok, dfx_error *err)
{
    cJSON *doc = parse(config);
    dfx_status status = dfx_clip_tokenizer_new(
        vocab, strlen(vocab), merges, strlen(merges), doc, NULL, tok, err);

    cJSON_Delete(doc);
    return status;
}

static void
check_ids(const dfx_clip_tokenizer *tok, const char *text, const char *want)
{
    uint32_t *ids = NULL;
    size_t count = 0;
    dfx_text got = {0};
    dfx_error err;

    CHECK(dfx_clip_encode(tok, text, strlen(text), &ids, &count, &err) ==
              DFX_OK,
          text);
    for (size_t i = 0; i < count; i++)
        dfx_text_printf(&got, i > 0 ? " %u" : "%u", ids[i]);
    CHECK_TEXT(got.data, want, "  has these ids");
    dfx_text_fini(&got);
    free(ids);
}

/* By hand: a=1 b=2 with </w> 3 and 4, ab=5, ab</w>=6, aab</w>=7. */
static void
test_small(void)
{
    static const char vocab[] =
        "{\"a\":1,\"b\":2,\"a</w>\":3,\"b</w>\":4,\"ab\":5,\"ab</w>\":6,"
        "\"aab</w>\":7," SPECIAL "}";
    dfx_clip_tokenizer *tok = NULL;
    uint32_t padded[5];
    const uint32_t ids[] = {10, 1, 2, 3, 4, 11};
    dfx_error err;

    CHECK(make(vocab, "#version: 0.2\na b</w>\na b\r\na ab</w>\n",
               "{\"model_max_length\":5,\"pad_token\":\"aab</w>\"}", &tok,
               &err) == DFX_OK,
          "a vocabulary of nine");
    check_ids(tok, "b", "10 4 11");
    check_ids(tok, "AB", "10 6 11");
    check_ids(tok, "bab", "10 2 6 11");
    check_ids(tok, "b?b", "10 4 11 4 11"); /* "?" is unknown */
    CHECK_U64(dfx_clip_specials(tok)->length, 5, "its length");
    CHECK_U64(dfx_clip_specials(tok)->pad, 7, "its padding");
    dfx_clip_pad(tok, ids, 6, padded);
    CHECK(memcmp(padded, (uint32_t[]){10, 1, 2, 3, 11}, sizeof padded) == 0,
          "what is too long is cut, and eos kept");
    dfx_clip_pad(tok, ids + 4, 2, padded);
    CHECK(memcmp(padded, (uint32_t[]){4, 11, 7, 7, 7}, sizeof padded) == 0,
          "what is too short is padded");
    dfx_clip_tokenizer_free(tok);
}

/* Rows of transformers 5.24 with add_tokens(["<Cat>"]), which gives 49408. */
static void
test_added(void)
{
    static const char config[] =
        "{\"bos_token\":{\"content\":\"<|startoftext|>\",\"normalized\":true},"
        "\"eos_token\":{\"content\":\"<|endoftext|>\",\"normalized\":true},"
        "\"pad_token\":\"<|endoftext|>\"}";
    static const char decoder[] =
        "{\"pad_token\":\"!\",\"added_tokens_decoder\":{"
        "\"0\":{\"content\":\"!\",\"normalized\":false},"
        "\"49406\":{\"content\":\"<|startoftext|>\",\"normalized\":true},"
        "\"49407\":{\"content\":\"<|endoftext|>\",\"normalized\":true}}}";
    dfx_clip_tokenizer *tok = NULL;
    cJSON *doc = parse(config);
    dfx_error err;

    CHECK(dfx_clip_tokenizer_embedded(doc, NULL, &tok, &err) == DFX_OK,
          "the vocabulary in the library");
    CHECK(!dfx_clip_has_token(tok, "<Cat>"), "a token is not there");
    CHECK(dfx_clip_add_token(tok, "<Cat>", 49408, &err) == DFX_OK,
          "it is added");
    CHECK(dfx_clip_has_token(tok, "<Cat>"), "then it is there");
    check_ids(tok, "<Cat> <cat> <CAT>x", "49406 49408 49408 49408 343 49407");
    CHECK(dfx_clip_add_token(tok, "<Cat>s", 49409, &err) == DFX_OK,
          "a longer one");
    check_ids(tok, "<cat>s<cat>", "49406 49409 49408 49407");
    check_ids(tok, "<|EndOfText|>!! !<|endoftext|>",
              "49406 27 347 40786 4160 91 285 748 256 49407 49407");
    CHECK(dfx_clip_add_token(tok, "", 1, &err) == DFX_ERR_FORMAT,
          "an empty one is refused");
    dfx_clip_tokenizer_free(tok);
    cJSON_Delete(doc);

    doc = parse(decoder);
    CHECK(dfx_clip_tokenizer_embedded(doc, NULL, &tok, &err) == DFX_OK,
          "tokens of added_tokens_decoder");
    check_ids(tok, "<|EndOfText|>!! !<|endoftext|>",
              "49406 49407 0 0 0 49407 49407");
    dfx_clip_tokenizer_free(tok);
    cJSON_Delete(doc);

    CHECK(dfx_clip_tokenizer_embedded(NULL, NULL, &tok, &err) == DFX_OK,
          "no files at all");
    check_ids(tok, "<|StartOfText|> a!",
              "49406 27 347 993 6659 4160 91 285 320 256 49407");
    CHECK_U64(dfx_clip_specials(tok)->length, 77, "77 of them");
    dfx_clip_tokenizer_free(tok);
}

static void
test_broken(void)
{
    static const struct {
        const char *what, *vocab, *merges, *config, *rule;
    } rows[] = {
        {"a list", "[]", "", NULL, "run.tokenizer"},
        {"no tokens", "{}", "", NULL, "run.tokenizer"},
        {"text after it", "{" SPECIAL "} x", "", NULL, "run.tokenizer"},
        {"an id that is none", "{\"a\":-1," SPECIAL "}", "", NULL,
         "run.tokenizer"},
        {"an id that is a text", "{\"a\":\"1\"," SPECIAL "}", "", NULL,
         "run.tokenizer"},
        {"an id out of range", "{\"a\":16777216," SPECIAL "}", "", NULL,
         "run.tokenizer"},
        {"a token twice", "{\"a\":1,\"a\":2," SPECIAL "}", "", NULL,
         "json.duplicate-key"},
        {"no special tokens", "{\"a\":1}", "", NULL, "run.tokenizer"},
        {"not UTF-8", "{\"\xff\":1," SPECIAL "}", "", NULL, "run.tokenizer"},
        {"merges that are not", "{" SPECIAL "}", "\xff\n", NULL,
         "run.tokenizer"},
        {"a merge of one", "{\"a\":1," SPECIAL "}", "a\n", NULL,
         "run.tokenizer"},
        {"a merge of three", "{\"a\":1,\"aa\":2," SPECIAL "}", "a a a\n", NULL,
         "run.tokenizer"},
        {"a merge that makes no token", "{\"a\":1," SPECIAL "}", "a a\n", NULL,
         "run.tokenizer"},
        {"a merge of nothing", "{\"a\":1," SPECIAL "}", "a \n", NULL,
         "run.tokenizer"},
        {"no room", "{" SPECIAL "}", "", "{\"model_max_length\":1}",
         "run.tokenizer"},
        {"a token that is a number", "{" SPECIAL "}", "", "{\"pad_token\":1}",
         "run.tokenizer"},
        {"a key that is no id", "{" SPECIAL "}", "",
         "{\"added_tokens_decoder\":{\"x\":{\"content\":\"y\"}}}",
         "run.tokenizer"},
        {"white space that is eaten", "{" SPECIAL "}", "",
         "{\"bos_token\":{\"content\":\"<|startoftext|>\",\"lstrip\":true}}",
         "run.unsupported"},
    };

    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        dfx_clip_tokenizer *tok = NULL;
        dfx_error err = {0};

        CHECK(make(rows[i].vocab, rows[i].merges, rows[i].config, &tok, &err) !=
                      DFX_OK &&
                  tok == NULL,
              rows[i].what);
        CHECK_TEXT(err.rule, rows[i].rule, "  breaks the rule");
    }
}

static double
seconds_of(const dfx_clip_tokenizer *tok, const char *text, size_t size)
{
    struct timespec from, to;
    uint32_t *ids = NULL;
    size_t count = 0;
    dfx_error err;

    clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &from);
    CHECK(dfx_clip_encode(tok, text, size, &ids, &count, &err) == DFX_OK,
          "a long prompt of one piece");
    clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &to);
    free(ids);
    return (double)(to.tv_sec - from.tv_sec) +
           (double)(to.tv_nsec - from.tv_nsec) * 1e-9;
}

/* What quadratic steps would take minutes for: one word; marks that are each
   out of order. Both take some 0.1 s. */
static void
test_long(void)
{
    static char text[DFX_CLIP_TEXT + 1];
    dfx_clip_tokenizer *tok = NULL;
    uint32_t *ids = NULL;
    size_t count = 0;
    dfx_error err;

    if (dfx_clip_tokenizer_embedded(NULL, NULL, &tok, &err) != DFX_OK)
        return;
    memset(text, 'a', sizeof text);
    CHECK(seconds_of(tok, text, DFX_CLIP_TEXT) < 10, "  in linear time");
    for (size_t i = 0; i + 4 <= DFX_CLIP_TEXT; i += 4)
        memcpy(text + i, "\xcc\x81\xcc\xa3", 4); /* U+0301, U+0323 */
    CHECK(seconds_of(tok, text, DFX_CLIP_TEXT) < 10, "  in linear time");
    CHECK(dfx_clip_encode(tok, text, DFX_CLIP_TEXT + 1, &ids, &count, &err) ==
              DFX_ERR_USAGE,
          "a longer one is refused");
    CHECK(dfx_clip_encode(tok, "\xc3", 1, &ids, &count, &err) == DFX_ERR_USAGE,
          "one that is not UTF-8 too");
    dfx_clip_tokenizer_free(tok);
}

int
main(void)
{
    test_small();
    test_added();
    test_broken();
    test_long();
    return tap_end();
}
