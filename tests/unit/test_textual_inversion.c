/*
 * test_textual_inversion.c - learned words are read in all their forms
 *
 * The numbers of the files are counted up from 0 (README beside them).
 */
#include <config.h>

#include "textual_inversion.h"

#include "../golden/golden.h"
#include "tap.h"

static dfx_status
open_golden(const char *name, dfx_inversion *out, dfx_error *err)
{
    char path[1024];

    snprintf(path, sizeof path, "%s/%s", golden_folder, name);
    return dfx_inversion_open(path, out, err);
}

static bool
counts_up(const dfx_embedding *e, size_t count, size_t width)
{
    bool good = e != NULL && e->count == count && e->width == width;

    for (size_t i = 0; good && i < count * width; i++)
        good = e->vectors[i] == (float)i;
    return good;
}

static void
test_forms(void)
{
    static const struct {
        const char *file, *token;
        size_t count;
    } rows[] = {
        {"a1111.pt", "a1111", 2},
        {"a1111_module.pt", "a1111_module", 2},
        {"emb.safetensors", "emb", 2},
        {"learned_embeds.bin", "<cat-toy>", 1},
        {"learned_embeds2.bin", "<cat-toy>", 1},
        {"d.safetensors", "<cat-toy>", 2},
        {"xl.safetensors", "xl", 2},
    };

    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        dfx_inversion in = {0};
        dfx_error err = {0};
        bool xl = rows[i].token[0] == 'x';

        if (!CHECK(open_golden(rows[i].file, &in, &err) == DFX_OK,
                   rows[i].file)) {
            printf("# %s\n", err.text);
            continue;
        }
        CHECK_TEXT(in.token, rows[i].token, "  its token");
        CHECK(counts_up(dfx_inversion_for(&in, 4), rows[i].count, 4),
              "  its vectors");
        CHECK(xl ? counts_up(dfx_inversion_for(&in, 6), 2, 6)
                 : dfx_inversion_for(&in, 6) == NULL,
              "  and for another encoder");
        CHECK_U64(in.encoder_count, xl ? 2 : 1, "  encoders");
        dfx_inversion_fini(&in);
    }
}

static void
test_tokens(void)
{
    dfx_inversion in = {0};
    dfx_clip_tokenizer *tok = NULL;
    dfx_text prompt = {0};
    const uint32_t want[] = {49406, 320,   49408, 49409,
                             267,   49408, 49409, 49407};
    uint32_t *ids = NULL;
    size_t count = 0;
    dfx_error err = {0};

    if (open_golden("d.safetensors", &in, &err) != DFX_OK ||
        dfx_clip_tokenizer_embedded(NULL, NULL, &tok, &err) != DFX_OK)
        return;
    CHECK(dfx_inversion_add(&in, tok, 49408, &err) == DFX_OK,
          "tokens are added");
    CHECK(dfx_inversion_expand(&in, "a <cat-toy>, <cat-toy>", &prompt),
          "a prompt is expanded");
    CHECK_TEXT(prompt.data, "a <cat-toy> <cat-toy>_1, <cat-toy> <cat-toy>_1",
               "  to this");
    CHECK(dfx_clip_encode(tok, prompt.data, prompt.size, &ids, &count, &err) ==
                  DFX_OK &&
              count == 8 && memcmp(ids, want, sizeof want) == 0,
          "  with the ids of the vectors");
    CHECK(dfx_inversion_add(&in, tok, 50000, &err) == DFX_ERR_FORMAT,
          "twice is refused");
    CHECK_TEXT(err.rule, "run.inversion", "  by its rule");
    free(ids);
    dfx_text_fini(&prompt);
    dfx_clip_tokenizer_free(tok);
    dfx_inversion_fini(&in);
}

/* A safetensors file of that header and 64 bytes of zeros. */
static void
check_refused(const char *what, const char *header)
{
    char file[512] = {0};
    size_t size = strlen(header);
    dfx_inversion in = {0};
    dfx_error err = {0};

    file[0] = (char)size;
    memcpy(file + 8, header, size);
    scratch_write("x.safetensors", file, 8 + size + 64);
    CHECK(dfx_inversion_open("x.safetensors", &in, &err) != DFX_OK &&
              in.token == NULL,
          what);
    CHECK_TEXT(err.rule, "run.inversion", "  by its rule");
}

static void
test_broken(void)
{
    scratch_enter();
    check_refused("two tensors of no form",
                  "{\"a\":{\"dtype\":\"F32\",\"shape\":[8],"
                  "\"data_offsets\":[0,32]},"
                  "\"b\":{\"dtype\":\"F32\",\"shape\":[8],"
                  "\"data_offsets\":[32,64]}}");
    check_refused("rank 3", "{\"emb_params\":{\"dtype\":\"F32\","
                            "\"shape\":[1,1,16],\"data_offsets\":[0,64]}}");
    check_refused("integers", "{\"emb_params\":{\"dtype\":\"I32\","
                              "\"shape\":[16],\"data_offsets\":[0,64]}}");
    check_refused("other counts", "{\"clip_l\":{\"dtype\":\"F32\","
                                  "\"shape\":[2,4],\"data_offsets\":[0,32]},"
                                  "\"clip_g\":{\"dtype\":\"F32\","
                                  "\"shape\":[1,8],\"data_offsets\":[32,64]}}");
    scratch_leave();
}

int
main(void)
{
    golden_find("inversions");
    test_forms();
    test_tokens();
    test_broken();
    return tap_end();
}
