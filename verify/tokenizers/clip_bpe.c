/*
 * clip_bpe.c - CLIP's tokenizer, as transformers 5 runs it
 *
 * The order of things, and what each pattern matches, is that of transformers
 * 5.23 (CLIPTokenizer) on the tokenizers library 0.23.
 */
#include <config.h>

#include "tokenizers/clip_bpe.h"

#include "configs.h"
#include "json.h"
#include "tokenizers/bpe.h"
#include "tokenizers/unicode.h"

#include <stdlib.h>
#include <string.h>

#define BOS "<|startoftext|>"
#define EOS "<|endoftext|>"

enum {
    LENGTH = 77,        /* of the text encoders of all published models */
    LENGTH_MAX = 4096,  /* above it means "none": transformers says 1e30 */
    ADDED_MAX = 4096,   /* found one by one at each place of a text */
    CONTENT_MAX = 1024, /* bytes of an added token */
};

/* What is cut out of a text before it is split. */
typedef struct added {
    char *text, *found; /* owned; found: as it is looked for */
    size_t size;        /* of found */
    bool normalized;    /* looked for in normalised text */
    uint32_t id;
} added;

struct dfx_clip_tokenizer {
    dfx_bpe *bpe; /* owned */
    dfx_clip_special special;
    uint32_t unknown;
    added *added; /* owned */
    size_t added_count, added_capacity;
};

/* ---- Added tokens ---------------------------------------------------------
 */

static added *
added_of(const dfx_clip_tokenizer *tok, const char *text)
{
    for (size_t i = 0; i < tok->added_count; i++)
        if (strcmp(tok->added[i].text, text) == 0)
            return &tok->added[i];
    return NULL;
}

bool
dfx_clip_has_token(const dfx_clip_tokenizer *tok, const char *text)
{
    uint32_t id;

    return added_of(tok, text) != NULL ||
           dfx_bpe_find(tok->bpe, text, strlen(text), &id);
}

static dfx_status
add(dfx_clip_tokenizer *tok, const char *text, uint32_t id, bool normalized,
    dfx_error *err)
{
    added *old = added_of(tok, text),
          new = {.normalized = normalized, .id = id};
    size_t size = strlen(text);
    dfx_text found = {0};

    if (size == 0 || size > CONTENT_MAX || !dfx_utf8_valid(text, size, NULL) ||
        id >= DFX_BPE_IDS)
        return dfx_fail(err, DFX_RULE_RUN_TOKENIZER, DFX_NO_OFFSET,
                        "an added token is no UTF-8 of 1 to %d bytes, or its "
                        "id is above %d",
                        CONTENT_MAX, DFX_BPE_IDS - 1);
    if (old == NULL && tok->added_count == ADDED_MAX)
        return dfx_fail(err, DFX_RULE_RUN_TOKENIZER, DFX_NO_OFFSET,
                        "a tokenizer has more than %d added tokens", ADDED_MAX);
    if (!normalized)
        dfx_text_add(&found, text, size);
    else if (!dfx_unicode_normalize(text, size, &found))
        found.failed = true;
    new.text = strdup(text);
    new.found = found.data;
    new.size = found.size;
    if (found.failed || new.text == NULL ||
        (old == NULL && !dfx_grow(&tok->added, &tok->added_capacity,
                                  tok->added_count, sizeof new))) {
        free(new.text);
        dfx_text_fini(&found);
        return dfx_fail_nomem(err);
    }
    if (old == NULL) {
        tok->added[tok->added_count++] = new;
        return DFX_OK;
    }
    free(old->text);
    free(old->found);
    *old = new;
    return DFX_OK;
}

dfx_status
dfx_clip_add_token(dfx_clip_tokenizer *tok, const char *text, uint32_t id,
                   dfx_error *err)
{
    return add(tok, text, id, true, err);
}

/* ---- What the files say ---------------------------------------------------
 */

typedef struct description {
    const char *content; /* borrowed */
    bool normalized;
} description;

/* A token as a bare text or as an object, {"content", "normalized", ...}. */
static dfx_status
describe(const cJSON *node, description *d, dfx_error *err)
{
    static const char *const flags[] = {"lstrip", "rstrip", "single_word"};

    if (cJSON_IsString(node)) {
        *d = (description){.content = cJSON_GetStringValue(node)};
        return DFX_OK;
    }
    d->content = cJSON_IsObject(node) ? dfx_doc_string(node, "content") : NULL;
    if (d->content == NULL)
        return dfx_fail(err, DFX_RULE_RUN_TOKENIZER, DFX_NO_OFFSET,
                        "a special token is neither a text nor an object with "
                        "\"content\"");
    for (size_t i = 0; i < sizeof flags / sizeof *flags; i++)
        if (cJSON_IsTrue(dfx_doc_get(node, flags[i])))
            return dfx_fail(err, DFX_RULE_RUN_UNSUPPORTED, DFX_NO_OFFSET,
                            "the token \"%s\" has \"%s\", which no CLIP "
                            "tokenizer is known to have",
                            d->content, flags[i]);
    d->normalized = !cJSON_IsFalse(dfx_doc_get(node, "normalized"));
    return DFX_OK;
}

/* added_tokens_decoder: {id: token}. */
static dfx_status
read_decoder(dfx_clip_tokenizer *tok, const cJSON *config, dfx_error *err)
{
    const cJSON *node;

    cJSON_ArrayForEach(node, dfx_doc_get(config, "added_tokens_decoder"))
    {
        const char *key = node->string != NULL ? node->string : "";
        size_t digits = strspn(key, "0123456789");
        description d = {0};

        if (digits == 0 || digits > 8 || key[digits] != '\0')
            return dfx_fail(err, DFX_RULE_RUN_TOKENIZER, DFX_NO_OFFSET,
                            "a key of added_tokens_decoder is no id");
        DFX_TRY(describe(node, &d, err));
        DFX_TRY(add(tok, d.content, (uint32_t)strtoul(key, NULL, 10),
                    d.normalized, err));
    }
    return DFX_OK;
}

typedef struct role {
    const char *key, *usual; /* CLIPTokenizer's defaults, bare texts */
    uint32_t *id;
} role;

static dfx_status
read_role(dfx_clip_tokenizer *tok, const role *r, const cJSON *config,
          const cJSON *map, bool decoded, dfx_error *err)
{
    const cJSON *node = dfx_doc_get(map, r->key);
    description d = {.content = r->usual};
    const added *known;

    if (node == NULL || cJSON_IsNull(node))
        node = dfx_doc_get(config, r->key);
    if (node != NULL && !cJSON_IsNull(node))
        DFX_TRY(describe(node, &d, err));
    known = added_of(tok, d.content);
    if (known != NULL)
        *r->id = known->id;
    else if (!dfx_bpe_find(tok->bpe, d.content, strlen(d.content), r->id))
        return dfx_fail(err, DFX_RULE_RUN_TOKENIZER, DFX_NO_OFFSET,
                        "the vocabulary lacks \"%s\", which is the %s",
                        d.content, r->key);
    /* The decoder has said how it is looked for; else the last role does. */
    return known != NULL && decoded
               ? DFX_OK
               : add(tok, d.content, *r->id, d.normalized, err);
}

static dfx_status
configure(dfx_clip_tokenizer *tok, const cJSON *config, const cJSON *map,
          dfx_error *err)
{
    const role roles[] = {
        {"bos_token", BOS, &tok->special.bos},
        {"eos_token", EOS, &tok->special.eos},
        {"unk_token", EOS, &tok->unknown},
        {"pad_token", EOS, &tok->special.pad},
    };
    const cJSON *length = dfx_doc_get(config, "model_max_length");
    int64_t value;

    DFX_TRY(read_decoder(tok, config, err));
    for (size_t i = 0; i < sizeof roles / sizeof *roles; i++)
        DFX_TRY(read_role(tok, &roles[i], config, map,
                          dfx_doc_get(config, "added_tokens_decoder") != NULL,
                          err));
    tok->special.length = LENGTH;
    if (dfx_doc_int(length, &value)) {
        if (value < 2)
            return dfx_fail(err, DFX_RULE_RUN_TOKENIZER, DFX_NO_OFFSET,
                            "model_max_length has no room for bos and eos");
        if (value <= LENGTH_MAX)
            tok->special.length = (size_t)value;
    }
    return DFX_OK;
}

dfx_status
dfx_clip_tokenizer_new(const char *vocab, size_t vocab_size, const char *merges,
                       size_t merges_size, const cJSON *config,
                       const cJSON *map, dfx_clip_tokenizer **out,
                       dfx_error *err)
{
    dfx_clip_tokenizer *tok = calloc(1, sizeof *tok);
    dfx_status status;

    *out = NULL;
    if (tok == NULL)
        return dfx_fail_nomem(err);
    status =
        dfx_bpe_new(vocab, vocab_size, merges, merges_size, &tok->bpe, err);
    if (status == DFX_OK)
        status = configure(tok, config, map, err);
    if (status != DFX_OK) {
        dfx_clip_tokenizer_free(tok);
        return status;
    }
    *out = tok;
    return DFX_OK;
}

dfx_status
dfx_clip_tokenizer_embedded(const cJSON *config, const cJSON *map,
                            dfx_clip_tokenizer **out, dfx_error *err)
{
    const char *vocab = NULL, *merges = NULL;
    size_t vocab_size = 0, merges_size = 0;

    *out = NULL;
    DFX_TRY(dfx_configs_get("clip-tokenizer/vocab.compact.json", &vocab,
                            &vocab_size, err));
    DFX_TRY(dfx_configs_get("clip-tokenizer/merges.txt", &merges, &merges_size,
                            err));
    return dfx_clip_tokenizer_new(vocab, vocab_size, merges, merges_size,
                                  config, map, out, err);
}

void
dfx_clip_tokenizer_free(dfx_clip_tokenizer *tok)
{
    if (tok == NULL)
        return;
    for (size_t i = 0; i < tok->added_count; i++) {
        free(tok->added[i].text);
        free(tok->added[i].found);
    }
    free(tok->added);
    dfx_bpe_free(tok->bpe);
    free(tok);
}

const dfx_clip_special *
dfx_clip_specials(const dfx_clip_tokenizer *tok)
{
    return &tok->special;
}

/* ---- Encoding -------------------------------------------------------------
 */

static bool
starts_with(const char *text, size_t size, const char *word, size_t word_size)
{
    return size >= word_size && memcmp(text, word, word_size) == 0;
}

/* The first added token, the longest if several start there. *at moves to it;
   NULL: there is none, and *at is size. */
static const added *
find_added(const dfx_clip_tokenizer *tok, const char *text, size_t size,
           bool normalized, size_t *at)
{
    for (; *at < size; ++*at) {
        const added *best = NULL;

        for (size_t i = 0; i < tok->added_count; i++) {
            const added *a = &tok->added[i];

            if (a->normalized == normalized &&
                (best == NULL || a->size > best->size) &&
                starts_with(text + *at, size - *at, a->found, a->size))
                best = a;
        }
        if (best != NULL)
            return best;
    }
    return NULL;
}

/* The bytes of a contraction that the text starts with, or 0. */
static size_t
contraction(const char *text, size_t size)
{
    static const char *const all[] = {"'s", "'t",  "'re", "'ve",
                                      "'m", "'ll", "'d"};

    for (size_t i = 0; i < sizeof all / sizeof *all; i++)
        if (starts_with(text, size, all[i], strlen(all[i])))
            return strlen(all[i]);
    return 0;
}

/* The bytes of the piece that the text starts with: characters of one class,
   numbers alone. */
static size_t
piece(const char *text, size_t size, dfx_unicode_class *class)
{
    size_t whole = contraction(text, size), n;

    if (whole > 0) {
        *class = DFX_UNICODE_OTHER;
        return whole;
    }
    *class = dfx_unicode_classify(text, size, &whole);
    while (*class != DFX_UNICODE_NUMBER && whole < size &&
           dfx_unicode_classify(text + whole, size - whole, &n) == *class)
        whole += n;
    return whole;
}

/* A special word that no added token took: its signs and letters are pieces,
   though signs around it do not join them. */
static bool
encode_special(const dfx_clip_tokenizer *tok, const char *word, size_t size,
               dfx_ids *ids)
{
    return dfx_bpe_encode(tok->bpe, word, 2, tok->unknown, ids) &&
           dfx_bpe_encode(tok->bpe, word + 2, size - 4, tok->unknown, ids) &&
           dfx_bpe_encode(tok->bpe, word + size - 2, 2, tok->unknown, ids);
}

/* Normalised text without added tokens. */
static bool
encode_plain(const dfx_clip_tokenizer *tok, const char *text, size_t size,
             dfx_ids *ids)
{
    static const char *const special[] = {BOS, EOS};
    bool good = true;

    for (size_t at = 0, n = 0; good && at < size; at += n) {
        dfx_unicode_class class;

        n = 0;
        for (size_t i = 0; i < 2 && n == 0; i++)
            if (starts_with(text + at, size - at, special[i],
                            strlen(special[i])))
                n = strlen(special[i]);
        if (n > 0) {
            good = encode_special(tok, text + at, n, ids);
            continue;
        }
        n = piece(text + at, size - at, &class);
        if (class != DFX_UNICODE_SPACE)
            good = dfx_bpe_encode(tok->bpe, text + at, n, tok->unknown, ids);
    }
    return good;
}

/* Text between the added tokens that are looked for as they stand; normalized:
   between all of them. */
static bool
encode_text(const dfx_clip_tokenizer *tok, const char *text, size_t size,
            bool normalized, dfx_ids *ids)
{
    bool good = true;

    for (size_t at = 0; good && at < size;) {
        size_t start = at;
        const added *a = find_added(tok, text, size, normalized, &at);
        dfx_text normal = {0};

        if (normalized) {
            good = encode_plain(tok, text + start, at - start, ids);
        } else {
            good = dfx_unicode_normalize(text + start, at - start, &normal) &&
                   encode_text(tok, normal.data, normal.size, true, ids);
            dfx_text_fini(&normal);
        }
        if (a != NULL) {
            good = good && dfx_ids_add(ids, a->id);
            at += a->size;
        }
    }
    return good;
}

dfx_status
dfx_clip_encode(const dfx_clip_tokenizer *tok, const char *text, size_t size,
                uint32_t **ids, size_t *count, dfx_error *err)
{
    dfx_ids all = {0};
    size_t bad = 0;

    *ids = NULL;
    *count = 0;
    if (size > DFX_CLIP_TEXT)
        return dfx_fail_usage(err,
                              "a prompt has %zu bytes; at most %d are "
                              "taken",
                              size, DFX_CLIP_TEXT);
    if (!dfx_utf8_valid(text, size, &bad))
        return dfx_fail_usage(err, "a prompt is not UTF-8: byte %zu", bad);
    if (!dfx_ids_add(&all, tok->special.bos) ||
        !encode_text(tok, text, size, false, &all) ||
        !dfx_ids_add(&all, tok->special.eos)) {
        free(all.items);
        return dfx_fail_nomem(err);
    }
    *ids = all.items;
    *count = all.count;
    return DFX_OK;
}

void
dfx_clip_pad(const dfx_clip_tokenizer *tok, const uint32_t *ids, size_t count,
             uint32_t *out)
{
    size_t length = tok->special.length;

    for (size_t i = 0; i < length; i++)
        out[i] = i < count ? ids[i] : tok->special.pad;
    if (count > length)
        out[length - 1] = tok->special.eos;
}
