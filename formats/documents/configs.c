/*
 * configs.c - the embedded JSON files and the CLIP vocabulary
 *
 * Frames are unpacked when first asked for and stay: the caches below are the
 * only state of the process, written once each under a lock. The vocabulary
 * (vocab.json) is not packed at all, for it follows from the merges: the 256
 * characters that stand for bytes in GPT-2's alphabet, the same with "</w>",
 * then each merge joined, then two special tokens. Checked against the
 * published file by its SHA-256 (tests/unit/test_configs.c).
 */
#include <config.h>

#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <zstd.h>

#include "configs.h"

#define MERGES_PATH "clip-tokenizer/merges.txt"

enum { BYTES = 256, TOKENS_MAX = 1 << 17 };

typedef struct token {
    char *text; /* UTF-8 */
    unsigned id;
} token;

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static char *unpacked[DFX_PACKED_FRAMES]; /* by frame */

/* The two spellings of the vocabulary that folders have, made when asked for:
   as transformers saves it, and as the list it was made from is printed. */
static struct {
    const char *path;
    bool compact; /* by id, no white space; else sorted, a line each */
    dfx_text text;
} vocabularies[] = {
    {"clip-tokenizer/vocab.json", false, {NULL, 0, 0, false}},
    {"clip-tokenizer/vocab.compact.json", true, {NULL, 0, 0, false}},
};

enum { VOCABULARIES = sizeof vocabularies / sizeof vocabularies[0] };

static int
compare_path(const void *key, const void *file)
{
    return strcmp(key, ((const dfx_packed_file *)file)->path);
}

static const dfx_packed_file *
find_file(const char *path)
{
    return bsearch(path, dfx_packed_configs.files,
                   dfx_packed_configs.file_count,
                   sizeof *dfx_packed_configs.files, compare_path);
}

/* Called with the lock held, like all that follow but the public ones. */
static dfx_status
unpack(size_t i, dfx_error *err)
{
    const dfx_packed_frame *frame = &dfx_packed_configs.frames[i];
    char *data;
    size_t size;

    if (unpacked[i] != NULL)
        return DFX_OK;
    data = malloc(frame->raw_size);
    if (data == NULL)
        return dfx_fail_nomem(err);
    size = ZSTD_decompress(data, frame->raw_size, frame->data, frame->size);
    if (size != frame->raw_size) {
        free(data);
        return dfx_fail(err, DFX_RULE_TABLE, DFX_NO_OFFSET,
                        "the embedded configs do not unpack: %s",
                        ZSTD_getErrorName(size));
    }
    unpacked[i] = data;
    return DFX_OK;
}

static dfx_status
get_packed(const char *path, const char **data, size_t *size, dfx_error *err)
{
    const dfx_packed_file *file = find_file(path);

    if (file == NULL) {
        *data = NULL;
        *size = 0;
        return DFX_OK;
    }
    DFX_TRY(unpack(file->frame, err));
    *data = unpacked[file->frame] + file->offset;
    *size = file->size;
    return DFX_OK;
}

/* Characters that GPT-2's alphabet keeps for the byte of the same number. */
static bool
is_kept(unsigned byte)
{
    return (byte >= 33 && byte <= 126) || (byte >= 161 && byte <= 172) ||
           byte >= 174;
}

/* Writes a character below U+0800; returns the end. */
static char *
put_char(char *at, unsigned c)
{
    if (c < 0x80) {
        *at++ = (char)c;
    } else {
        *at++ = (char)(0xc0 | c >> 6);
        *at++ = (char)(0x80 | (c & 0x3f));
    }
    return at;
}

/* The texts of a and b, joined, get the next id. */
static bool
add_token(dfx_arena *arena, token *tokens, size_t *count, const char *a,
          size_t a_size, const char *b, size_t b_size)
{
    char *text = dfx_arena_alloc(arena, a_size + b_size + 1);

    if (text == NULL)
        return false;
    memcpy(text, a, a_size);
    memcpy(text + a_size, b, b_size);
    tokens[*count] = (token){text, (unsigned)*count};
    ++*count;
    return true;
}

/* The kept characters in order, then the others as U+0100 and on. */
static bool
add_alphabet(dfx_arena *arena, token *tokens, size_t *count, const char *tail)
{
    unsigned other = BYTES;

    for (unsigned pass = 0; pass < 2; pass++)
        for (unsigned byte = 0; byte < BYTES; byte++) {
            char text[2];
            char *end;

            if (is_kept(byte) != (pass == 0))
                continue;
            end = put_char(text, pass == 0 ? byte : other++);
            if (!add_token(arena, tokens, count, text, (size_t)(end - text),
                           tail, strlen(tail)))
                return false;
        }
    return true;
}

/* Lines "a b" after the first, which is a version. */
static bool
add_merges(dfx_arena *arena, token *tokens, size_t *count, const char *merges,
           size_t size)
{
    const char *end = merges + size;
    const char *line = memchr(merges, '\n', size);

    while (line != NULL && line + 1 < end && *count < TOKENS_MAX - 2) {
        const char *start = line + 1;
        const char *space;

        line = memchr(start, '\n', (size_t)(end - start));
        if (line == NULL)
            break;
        space = memchr(start, ' ', (size_t)(line - start));
        if (space == NULL)
            break;
        if (!add_token(arena, tokens, count, start, (size_t)(space - start),
                       space + 1, (size_t)(line - space - 1)))
            return false;
    }
    return true;
}

static int
by_text(const void *a, const void *b)
{
    return strcmp(((const token *)a)->text, ((const token *)b)->text);
}

/* As json.dumps(vocab, indent=2, sort_keys=True, ensure_ascii=False) and a
   final newline; compact: with separators (",", ":") and none. */
static void
print_vocabulary(const token *tokens, size_t count, bool compact, dfx_text *out)
{
    dfx_text_puts(out, compact ? "{" : "{\n");
    for (size_t i = 0; i < count; i++) {
        dfx_text_puts(out, compact ? "\"" : "  \"");
        for (const char *c = tokens[i].text; *c != '\0';) {
            size_t plain = strcspn(c, "\"\\");

            if (plain == 0) {
                dfx_text_puts(out, "\\");
                plain = 1;
            }
            dfx_text_add(out, c, plain);
            c += plain;
        }
        dfx_text_printf(out, compact ? "\":%u%s" : "\": %u%s\n", tokens[i].id,
                        i + 1 < count ? "," : "");
    }
    dfx_text_puts(out, compact ? "}" : "}\n");
}

static dfx_status
make_vocabulary(bool compact, dfx_text *out, dfx_error *err)
{
    static const char start[] = "<|startoftext|>", end[] = "<|endoftext|>";
    dfx_arena arena = {0};
    token *tokens = malloc(TOKENS_MAX * sizeof *tokens);
    const char *merges = NULL;
    size_t size = 0, count = 0;
    dfx_status status;

    status = get_packed(MERGES_PATH, &merges, &size, err);
    if (status != DFX_OK)
        goto out;
    if (tokens == NULL || !add_alphabet(&arena, tokens, &count, "") ||
        !add_alphabet(&arena, tokens, &count, "</w>") ||
        !add_merges(&arena, tokens, &count, merges, size) ||
        !add_token(&arena, tokens, &count, start, sizeof start - 1, "", 0) ||
        !add_token(&arena, tokens, &count, end, sizeof end - 1, "", 0)) {
        status = dfx_fail_nomem(err);
        goto out;
    }
    if (!compact) /* they are made in the order of their ids */
        qsort(tokens, count, sizeof *tokens, by_text);
    print_vocabulary(tokens, count, compact, out);
    if (out->failed) {
        dfx_text_fini(out);
        status = dfx_fail_nomem(err);
    }
out:
    free(tokens);
    dfx_arena_fini(&arena);
    return status;
}

static dfx_status
get(const char *path, const char **data, size_t *size, dfx_error *err)
{
    for (size_t i = 0; i < VOCABULARIES; i++) {
        dfx_text *text = &vocabularies[i].text;

        if (strcmp(path, vocabularies[i].path) != 0)
            continue;
        if (text->data == NULL)
            DFX_TRY(make_vocabulary(vocabularies[i].compact, text, err));
        *data = text->data;
        *size = text->size;
        return DFX_OK;
    }
    return get_packed(path, data, size, err);
}

dfx_status
dfx_configs_get(const char *path, const char **data, size_t *size,
                dfx_error *err)
{
    dfx_status status;

    pthread_mutex_lock(&lock);
    status = get(path, data, size, err);
    pthread_mutex_unlock(&lock);
    return status;
}

static bool
is_same(const char *path, const char *data, size_t size)
{
    const char *mine = NULL;
    size_t mine_size = 0;

    return dfx_configs_get(path, &mine, &mine_size, NULL) == DFX_OK &&
           mine != NULL && mine_size == size && memcmp(mine, data, size) == 0;
}

const char *
dfx_configs_same(const char *data, size_t size)
{
    for (size_t i = 0; i < dfx_packed_configs.file_count; i++) {
        const dfx_packed_file *file = &dfx_packed_configs.files[i];

        if (file->size == size && is_same(file->path, data, size))
            return file->path;
    }
    for (size_t i = 0; i < VOCABULARIES; i++)
        if (is_same(vocabularies[i].path, data, size))
            return vocabularies[i].path;
    return NULL;
}

const char *
dfx_configs_at(size_t i)
{
    return i < dfx_packed_configs.file_count ? dfx_packed_configs.files[i].path
                                             : NULL;
}
