/*
 * bpe.c - byte-level byte-pair encoding, with ends of words
 */
#include <config.h>

#include "tokenizers/bpe.h"

#include "json.h"
#include "tokenizers/unicode.h"

#include <stdlib.h>
#include <string.h>

#define WORD_END "</w>"

enum {
    BYTES = 256,
    TOKEN_CHARS = 1024, /* CLIP's longest has 96 */
    FILE_SIZE = 32 << 20,
    NO_ID = -1,
};

typedef struct token {
    const char *text; /* in the arena */
    size_t size;
    uint32_t id;
} token;

typedef struct merge {
    uint64_t pair; /* the left id above the right one */
    uint32_t rank, id;
} merge;

struct dfx_bpe {
    dfx_arena arena;
    token *tokens; /* owned; by text */
    size_t token_count;
    merge *merges; /* owned; by pair */
    size_t merge_count;
    int32_t inner[BYTES], last[BYTES]; /* ids of a byte in and at the end of a
                                          piece, or NO_ID */
};

bool
dfx_ids_add(dfx_ids *ids, uint32_t id)
{
    if (!dfx_grow(&ids->items, &ids->capacity, ids->count, sizeof id))
        return false;
    ids->items[ids->count++] = id;
    return true;
}

/* ---- Tokens ------------------------------------------------------------ */

static int
by_text(const void *a, const void *b)
{
    const token *x = a, *y = b;
    size_t common = x->size < y->size ? x->size : y->size;
    int order = memcmp(x->text, y->text, common);

    return order != 0 ? order : (x->size > y->size) - (x->size < y->size);
}

bool
dfx_bpe_find(const dfx_bpe *bpe, const char *text, size_t size, uint32_t *id)
{
    token key = {.text = text, .size = size};
    const token *found = bsearch(&key, bpe->tokens, bpe->token_count,
                                 sizeof *bpe->tokens, by_text);

    if (found != NULL)
        *id = found->id;
    return found != NULL;
}

static dfx_status
read_token(dfx_bpe *bpe, dfx_json *json, size_t *capacity, dfx_error *err)
{
    dfx_json_event event = DFX_JSON_NULL;
    token *t;
    uint64_t id = 0;

    if (bpe->token_count == DFX_BPE_TOKENS || json->text_size > TOKEN_CHARS)
        return dfx_fail(err, DFX_RULE_RUN_TOKENIZER, dfx_json_offset(json),
                        "a vocabulary has more than %d tokens, or one of more "
                        "than %d bytes",
                        DFX_BPE_TOKENS, TOKEN_CHARS);
    if (!dfx_grow(&bpe->tokens, capacity, bpe->token_count, sizeof *t))
        return dfx_fail_nomem(err);
    t = &bpe->tokens[bpe->token_count++];
    t->size = json->text_size;
    t->text = dfx_arena_strndup(&bpe->arena, json->text, json->text_size);
    if (t->text == NULL)
        return dfx_fail_nomem(err);
    DFX_TRY(dfx_json_next(json, &event, err));
    if (event != DFX_JSON_NUMBER || !dfx_json_u64(json, &id) ||
        id >= DFX_BPE_IDS)
        return dfx_fail(err, DFX_RULE_RUN_TOKENIZER, dfx_json_offset(json),
                        "the id of a token in a vocabulary is no integer "
                        "from 0 to %d",
                        DFX_BPE_IDS - 1);
    t->id = (uint32_t)id;
    return DFX_OK;
}

static dfx_status
read_object(dfx_bpe *bpe, dfx_json *json, dfx_error *err)
{
    dfx_json_event event = DFX_JSON_NULL;
    size_t capacity = 0;

    DFX_TRY(dfx_json_next(json, &event, err));
    if (event != DFX_JSON_OBJECT)
        return dfx_fail(err, DFX_RULE_RUN_TOKENIZER, dfx_json_offset(json),
                        "a vocabulary is no JSON object");
    for (;;) {
        DFX_TRY(dfx_json_next(json, &event, err));
        if (event != DFX_JSON_KEY)
            return DFX_OK;
        DFX_TRY(read_token(bpe, json, &capacity, err));
    }
}

static dfx_status
read_vocabulary(dfx_bpe *bpe, const char *data, size_t size, dfx_error *err)
{
    dfx_json json;
    dfx_status status;
    size_t end = 0;

    DFX_TRY(dfx_json_check(data, size, 0, NULL, NULL, &end, err));
    end += strspn(data + end, " \t\r\n");
    if (end != size)
        return dfx_fail(err, DFX_RULE_RUN_TOKENIZER, end,
                        "a vocabulary goes on after its JSON object");
    dfx_json_init(&json, data, size, 0);
    status = read_object(bpe, &json, err);
    dfx_json_fini(&json);
    if (status == DFX_OK && bpe->token_count == 0)
        status = dfx_fail(err, DFX_RULE_RUN_TOKENIZER, 0,
                          "a vocabulary has no tokens");
    if (status == DFX_OK)
        qsort(bpe->tokens, bpe->token_count, sizeof *bpe->tokens, by_text);
    return status;
}

/* ---- The alphabet ------------------------------------------------------- */

/* Bytes that GPT-2 spells as themselves. */
static bool
is_kept(unsigned byte)
{
    return (byte >= 33 && byte <= 126) || (byte >= 161 && byte <= 172) ||
           byte >= 174;
}

static void
find_bytes(dfx_bpe *bpe)
{
    uint32_t other = BYTES, id;

    for (unsigned byte = 0; byte < BYTES; byte++) {
        char text[4 + sizeof WORD_END];
        size_t size = dfx_unicode_put(is_kept(byte) ? byte : other++, text);

        bpe->inner[byte] =
            dfx_bpe_find(bpe, text, size, &id) ? (int32_t)id : NO_ID;
        memcpy(text + size, WORD_END, sizeof WORD_END);
        size += sizeof WORD_END - 1;
        bpe->last[byte] =
            dfx_bpe_find(bpe, text, size, &id) ? (int32_t)id : NO_ID;
    }
}

/* ---- Merges ------------------------------------------------------------- */

static int
by_pair(const void *a, const void *b)
{
    const merge *x = a, *y = b;

    return (x->pair > y->pair) - (x->pair < y->pair);
}

/* Of a pair that is there twice the last counts, as in the reference. */
static int
by_pair_and_rank(const void *a, const void *b)
{
    const merge *x = a, *y = b;
    int order = by_pair(a, b);

    return order != 0 ? order : (x->rank < y->rank) - (x->rank > y->rank);
}

static const merge *
find_merge(const dfx_bpe *bpe, uint32_t left, uint32_t right)
{
    merge key = {.pair = (uint64_t)left << 32 | right};

    return bpe->merge_count == 0 ? NULL
                                 : bsearch(&key, bpe->merges, bpe->merge_count,
                                           sizeof key, by_pair);
}

/* "a b"; at is where it starts in the file. */
static dfx_status
read_merge(dfx_bpe *bpe, const char *line, size_t size, uint64_t at,
           size_t *capacity, dfx_error *err)
{
    const char *space = memchr(line, ' ', size);
    char whole[TOKEN_CHARS];
    size_t first, second;
    uint32_t left, right, id;

    if (space == NULL ||
        memchr(space + 1, ' ', (size_t)(line + size - space - 1)) != NULL)
        return dfx_fail(err, DFX_RULE_RUN_TOKENIZER, at,
                        "a line of the merges is not two tokens with a space "
                        "between them");
    first = (size_t)(space - line);
    second = size - first - 1;
    if (first + second <= sizeof whole) {
        memcpy(whole, line, first);
        memcpy(whole + first, space + 1, second);
    }
    if (first + second > sizeof whole ||
        !dfx_bpe_find(bpe, line, first, &left) ||
        !dfx_bpe_find(bpe, space + 1, second, &right) ||
        !dfx_bpe_find(bpe, whole, first + second, &id))
        return dfx_fail(err, DFX_RULE_RUN_TOKENIZER, at,
                        "a line of the merges has or makes a token that the "
                        "vocabulary lacks");
    if (bpe->merge_count == DFX_BPE_TOKENS)
        return dfx_fail(err, DFX_RULE_RUN_TOKENIZER, at,
                        "there are more than %d merges", DFX_BPE_TOKENS);
    if (!dfx_grow(&bpe->merges, capacity, bpe->merge_count,
                  sizeof *bpe->merges))
        return dfx_fail_nomem(err);
    bpe->merges[bpe->merge_count] = (merge){
        .pair = (uint64_t)left << 32 | right,
        .rank = (uint32_t)bpe->merge_count,
        .id = id,
    };
    bpe->merge_count++;
    return DFX_OK;
}

static dfx_status
read_merges(dfx_bpe *bpe, const char *data, size_t size, dfx_error *err)
{
    static const char comment[] = "#version";
    size_t capacity = 0, kept = 0;

    for (size_t at = 0; at < size;) {
        const char *line = data + at;
        const char *end = memchr(line, '\n', size - at);
        size_t n = end != NULL ? (size_t)(end - line) : size - at;
        size_t next = at + n + 1;

        if (n > 0 && line[n - 1] == '\r')
            n--;
        if (n > 0 && (n < sizeof comment - 1 ||
                      memcmp(line, comment, sizeof comment - 1) != 0))
            DFX_TRY(read_merge(bpe, line, n, at, &capacity, err));
        at = next;
    }
    if (bpe->merge_count == 0)
        return DFX_OK;
    qsort(bpe->merges, bpe->merge_count, sizeof *bpe->merges, by_pair_and_rank);
    for (size_t i = 0; i < bpe->merge_count; i++)
        if (kept == 0 || bpe->merges[i].pair != bpe->merges[kept - 1].pair)
            bpe->merges[kept++] = bpe->merges[i];
    bpe->merge_count = kept;
    return DFX_OK;
}

dfx_status
dfx_bpe_new(const char *vocab, size_t vocab_size, const char *merges,
            size_t merges_size, dfx_bpe **out, dfx_error *err)
{
    dfx_bpe *bpe;
    dfx_status status;
    size_t bad = 0;

    *out = NULL;
    if (vocab_size > FILE_SIZE || merges_size > FILE_SIZE)
        return dfx_fail(err, DFX_RULE_RUN_TOKENIZER, DFX_NO_OFFSET,
                        "a vocabulary or its merges have more than %d bytes",
                        FILE_SIZE);
    if (!dfx_utf8_valid(vocab, vocab_size, &bad) ||
        !dfx_utf8_valid(merges, merges_size, &bad))
        return dfx_fail(err, DFX_RULE_RUN_TOKENIZER, bad,
                        "a vocabulary or its merges are not UTF-8");
    bpe = calloc(1, sizeof *bpe);
    if (bpe == NULL)
        return dfx_fail_nomem(err);
    status = read_vocabulary(bpe, vocab, vocab_size, err);
    if (status == DFX_OK)
        status = read_merges(bpe, merges, merges_size, err);
    if (status != DFX_OK) {
        dfx_bpe_free(bpe);
        return status;
    }
    find_bytes(bpe);
    *out = bpe;
    return DFX_OK;
}

void
dfx_bpe_free(dfx_bpe *bpe)
{
    if (bpe == NULL)
        return;
    free(bpe->merges);
    free(bpe->tokens);
    dfx_arena_fini(&bpe->arena);
    free(bpe);
}

/* ---- Encoding ----------------------------------------------------------- */

/* A doubly linked list of what is not merged yet, over positions. */
typedef struct symbol {
    uint32_t id;
    bool gone;
    size_t before, after; /* SIZE_MAX: none */
} symbol;

/* A merge that was possible when it was found: by rank, then from the left. */
typedef struct chance {
    uint32_t rank, id;
    size_t at; /* of the left symbol */
} chance;

typedef struct heap {
    chance *items; /* owned */
    size_t count, capacity;
} heap;

static bool
comes_before(const chance *a, const chance *b)
{
    return a->rank != b->rank ? a->rank < b->rank : a->at < b->at;
}

static bool
push(heap *h, chance item)
{
    size_t i = h->count;

    if (!dfx_grow(&h->items, &h->capacity, h->count, sizeof item))
        return false;
    h->count++;
    for (; i > 0 && comes_before(&item, &h->items[(i - 1) / 2]);
         i = (i - 1) / 2)
        h->items[i] = h->items[(i - 1) / 2];
    h->items[i] = item;
    return true;
}

/* h is not empty. */
static chance
pop(heap *h)
{
    chance first = h->items[0], last = h->items[--h->count];
    size_t i = 0;

    for (size_t child; (child = 2 * i + 1) < h->count; i = child) {
        if (child + 1 < h->count &&
            comes_before(&h->items[child + 1], &h->items[child]))
            child++;
        if (!comes_before(&h->items[child], &last))
            break;
        h->items[i] = h->items[child];
    }
    h->items[i] = last;
    return first;
}

/* Whether at and what follows it merge; false if memory ran out. */
static bool
consider(const dfx_bpe *bpe, const symbol *symbols, size_t at, heap *h)
{
    const merge *m;

    if (at == SIZE_MAX || symbols[at].after == SIZE_MAX)
        return true;
    m = find_merge(bpe, symbols[at].id, symbols[symbols[at].after].id);
    return m == NULL ||
           push(h, (chance){.rank = m->rank, .id = m->id, .at = at});
}

static bool
merge_all(const dfx_bpe *bpe, symbol *symbols, size_t count, heap *h)
{
    for (size_t i = 0; i < count; i++)
        if (!consider(bpe, symbols, i, h))
            return false;
    while (h->count > 0) {
        chance c = pop(h);
        symbol *left = &symbols[c.at];
        const merge *m;
        size_t right = left->after;

        if (left->gone || right == SIZE_MAX)
            continue;
        m = find_merge(bpe, left->id, symbols[right].id);
        if (m == NULL || m->id != c.id) /* a neighbour was merged since */
            continue;
        left->id = c.id;
        left->after = symbols[right].after;
        symbols[right].gone = true;
        if (left->after != SIZE_MAX)
            symbols[left->after].before = c.at;
        if (!consider(bpe, symbols, left->before, h) ||
            !consider(bpe, symbols, c.at, h))
            return false;
    }
    return true;
}

bool
dfx_bpe_encode(const dfx_bpe *bpe, const char *piece, size_t size,
               uint32_t unknown, dfx_ids *ids)
{
    symbol *symbols = calloc(size + 1, sizeof *symbols);
    heap h = {0};
    bool good = symbols != NULL;

    for (size_t i = 0; good && i < size; i++) {
        unsigned char byte = (unsigned char)piece[i];
        int32_t id = i + 1 < size ? bpe->inner[byte] : bpe->last[byte];

        symbols[i] = (symbol){
            .id = id != NO_ID ? (uint32_t)id : unknown,
            .before = i > 0 ? i - 1 : SIZE_MAX,
            .after = i + 1 < size ? i + 1 : SIZE_MAX,
        };
    }
    good = good && merge_all(bpe, symbols, size, &h);
    for (size_t i = 0; good && i < size; i++)
        good = symbols[i].gone || dfx_ids_add(ids, symbols[i].id);
    free(h.items);
    free(symbols);
    return good;
}
