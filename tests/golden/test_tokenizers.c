/*
 * test_tokenizers.c - prompts become the ids of the reference
 */
#include <config.h>

#include "tokenizers/clip_bpe.h"

#include "golden.h"
#include "tap.h"

enum { LENGTH = 77, BOS = 49406, EOS = 49407 };

static cJSON *
document(const char *name)
{
    size_t size = 0;
    char *text = (char *)golden_load(name, &size);
    cJSON *doc = NULL;
    dfx_error err;

    CHECK(dfx_doc_parse(text, size, name, &doc, &err) == DFX_OK, name);
    free(text);
    return doc;
}

static dfx_clip_tokenizer *
tokenizer(const char *config_name, const char *map_name)
{
    cJSON *config = document(config_name), *map = document(map_name);
    dfx_clip_tokenizer *tok = NULL;
    dfx_error err;

    if (!CHECK(dfx_clip_tokenizer_embedded(config, map, &tok, &err) == DFX_OK,
               "a tokenizer of the vocabulary in the library"))
        printf("# %s\n", err.text);
    cJSON_Delete(config);
    cJSON_Delete(map);
    return tok;
}

static size_t
list_of(const cJSON *row, const char *key, uint32_t *ids, size_t room)
{
    const cJSON *list = cJSON_GetObjectItem(row, key), *item;
    size_t n = 0;

    cJSON_ArrayForEach(item, list) if (n < room) ids[n++] =
        (uint32_t)item->valuedouble;
    return n;
}

static bool
is_same(const uint32_t *got, const uint32_t *want, size_t count)
{
    return memcmp(got, want, count * sizeof *want) == 0;
}

static void
check_row(const cJSON *row, const dfx_clip_tokenizer *l,
          const dfx_clip_tokenizer *bang)
{
    const char *text = text_of(row, "text");
    uint32_t want[2048], padded[LENGTH], got77[LENGTH];
    size_t n = list_of(row, "ids", want, 2048), count = 0;
    uint32_t *ids = NULL;
    /* cJSON ends a string at its first NUL: the one row that has one. */
    size_t size = strcmp(text, "a") == 0 && n == 5 ? 3 : strlen(text);
    const char *bytes = size == strlen(text) ? text : "a\0b";
    dfx_error err;

    if (!CHECK(dfx_clip_encode(l, bytes, size, &ids, &count, &err) == DFX_OK &&
                   count == n && is_same(ids, want, n),
               "the ids of a text")) {
        printf("# \"%s\":", text);
        for (size_t i = 0; i < count; i++)
            printf(" %u", ids[i]);
        printf("\n");
    }
    for (size_t i = 0; i < LENGTH; i++)
        padded[i] = i < n ? want[i] : EOS;
    padded[LENGTH - 1] = EOS;
    dfx_clip_pad(l, ids, count, got77);
    CHECK(is_same(got77, padded, LENGTH), "  as 77");
    free(ids);

    if (list_of(row, "ids_77_pad_bang", padded, LENGTH) == 0)
        for (size_t i = n; i < LENGTH; i++)
            padded[i] = 0;
    if (!CHECK(dfx_clip_encode(bang, bytes, size, &ids, &count, &err) == DFX_OK,
               "  with \"!\" as padding"))
        return;
    dfx_clip_pad(bang, ids, count, got77);
    CHECK(is_same(got77, padded, LENGTH), "  are these");
    free(ids);
}

int
main(void)
{
    dfx_clip_tokenizer *l, *bang;
    cJSON *rows, *row;

    golden_find("tokenizers");
    l = tokenizer("clip/l/tokenizer_config.json",
                  "clip/l/special_tokens_map.json");
    bang = tokenizer("clip/bang/tokenizer_config.json",
                     "clip/bang/special_tokens_map.json");
    if (l == NULL || bang == NULL)
        return tap_end();
    CHECK_U64(dfx_clip_specials(l)->bos, BOS, "bos");
    CHECK_U64(dfx_clip_specials(l)->pad, EOS, "pad");
    CHECK_U64(dfx_clip_specials(bang)->pad, 0, "pad as \"!\"");
    rows = golden_json("clip_ids.json");
    CHECK_U64((uint64_t)cJSON_GetArraySize(rows), 251, "rows");
    cJSON_ArrayForEach(row, rows) check_row(row, l, bang);
    cJSON_Delete(rows);
    dfx_clip_tokenizer_free(l);
    dfx_clip_tokenizer_free(bang);
    return tap_end();
}
