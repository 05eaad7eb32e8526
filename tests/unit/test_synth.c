/*
 * test_synth.c - tests of the generator of synthetic checkpoints
 *
 * What it writes is held against the reference library's files
 * (tests/golden/safetensors/writer.json) and against digests of family cases
 * that the reference tools converted.
 */
#include <config.h>

#include "synth.h"

#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include <openssl/evp.h>

#include "tap.h"

static char folder[4096]; /* our own, for output */

static const char *
golden(const char *name)
{
    static char path[4096];
    const char *srcdir = getenv("srcdir");

    snprintf(path, sizeof path, "%s/tests/golden/%s",
             srcdir == NULL ? "." : srcdir, name);
    return path;
}

static const char *
output(const char *name)
{
    static char path[sizeof folder + 64];

    snprintf(path, sizeof path, "%s/%s", folder, name);
    return path;
}

/* The bytes of a file, to be freed; NULL and size 0 if there is none. */
static char *
slurp(const char *path, size_t *size)
{
    FILE *f = fopen(path, "rb");
    struct stat st;
    char *text = NULL;

    *size = 0;
    if (f == NULL)
        return NULL;
    if (fstat(fileno(f), &st) == 0)
        text = calloc((size_t)st.st_size + 1, 1);
    if (text != NULL)
        *size = fread(text, 1, (size_t)st.st_size, f);
    fclose(f);
    return text;
}

static cJSON *
parse(const char *path)
{
    size_t size;
    char *text = slurp(path, &size);
    cJSON *doc = text == NULL ? NULL : cJSON_Parse(text);

    free(text);
    return doc;
}

static void
sha256(const char *path, char hex[65])
{
    unsigned char hash[EVP_MAX_MD_SIZE];
    size_t size;
    char *text = slurp(path, &size);

    EVP_Digest(text == NULL ? "" : text, size, hash, NULL, EVP_sha256(), NULL);
    for (size_t i = 0; i < 32; i++)
        snprintf(hex + 2 * i, 3, "%02x", hash[i]);
    free(text);
}

static const char *
member(const cJSON *object, const char *key)
{
    const char *text =
        cJSON_GetStringValue(cJSON_GetObjectItemCaseSensitive(object, key));

    return text == NULL ? "" : text;
}

/* The whole file, and of a file of zeros the header and the size. */
static void
test_writer_case(const cJSON *test)
{
    char name[256], hex[65];
    synth_list list;
    size_t size, want_size;
    char *text, *want;
    struct stat st = {0};

    snprintf(name, sizeof name, "safetensors/%s", member(test, "list"));
    CHECK(synth_read(&list, golden(name)), name);
    CHECK(synth_write(&list, SYNTH_VALUES, output("x")), "written");
    sha256(output("x"), hex);
    CHECK_TEXT(hex, member(test, "sha256"), "the reference's bytes");

    CHECK(synth_write(&list, SYNTH_ZERO, output("x")), "written with a hole");
    snprintf(name, sizeof name, "safetensors/%s", member(test, "header"));
    want = slurp(golden(name), &want_size);
    text = slurp(output("x"), &size);
    CHECK(want != NULL && text != NULL && size >= want_size &&
              memcmp(text, want, want_size) == 0,
          "the reference's header");
    CHECK(stat(output("x"), &st) == 0 &&
              (double)st.st_size ==
                  cJSON_GetNumberValue(cJSON_GetObjectItem(test, "bytes")),
          "and size");
    free(text);
    free(want);
    synth_fini(&list);
}

static void
test_writer(void)
{
    cJSON *doc = parse(golden("safetensors/writer.json"));
    const cJSON *test;
    int count = 0;

    cJSON_ArrayForEach(test, cJSON_GetObjectItem(doc, "cases"))
    {
        test_writer_case(test);
        count++;
    }
    CHECK_U64((uint64_t)count, 6, "cases");
    cJSON_Delete(doc);
}

static int
by_text(const void *a, const void *b)
{
    return strcmp(a, b);
}

typedef struct digests {
    char (*items)[SYNTH_DIGEST_CHARS]; /* owned */
    size_t count;
} digests;

static void
add_digests(digests *all, const synth_list *list)
{
    all->items =
        realloc(all->items, (all->count + list->count) * sizeof *all->items);
    for (size_t i = 0; i < list->count; i++)
        if (synth_digest(list, &list->tensors[i], all->items[all->count]))
            all->count++;
    qsort(all->items, all->count, sizeof *all->items, by_text);
}

static void
check_found(const digests *all, const cJSON *rows, const char *what)
{
    const cJSON *row;
    size_t wrong = 0, count = 0;

    cJSON_ArrayForEach(row, rows)
    {
        const char *digest = cJSON_GetStringValue(cJSON_GetArrayItem(row, 3));

        count++;
        wrong += digest == NULL || bsearch(digest, all->items, all->count,
                                           sizeof *all->items, by_text) == NULL;
    }
    CHECK(count > 100, what);
    CHECK_U64(wrong, 0, "every digest is that of a source");
}

/* Conversion of SD 1.5 only renames, so digests survive it in both ways. */
static void
test_family(void)
{
    cJSON *expected = parse(golden("families/sd15/expected.json"));
    cJSON *reverse = parse(golden("families/sd15/reverse.json"));
    const cJSON *node;
    digests forward = {0}, back = {0};
    synth_list list;

    CHECK(synth_read(&list, golden("families/sd15/source.json")), "a list");
    add_digests(&forward, &list);
    synth_fini(&list);
    cJSON_ArrayForEach(node, cJSON_GetObjectItem(expected, "components"))
        check_found(&forward, node, node->string);
    cJSON_ArrayForEach(node, cJSON_GetObjectItem(reverse, "source"))
    {
        double seed = cJSON_GetNumberValue(cJSON_GetObjectItem(node, "seed"));

        CHECK(synth_read_rows(&list, golden("families/sd15/expected.json"),
                              node->string, (uint64_t)seed),
              node->string);
        add_digests(&back, &list);
        synth_fini(&list);
    }
    check_found(&back, cJSON_GetObjectItem(reverse, "expected"), "reverse");
    free(forward.items);
    free(back.items);
    cJSON_Delete(expected);
    cJSON_Delete(reverse);
}

/* A tensor in pieces of any length is the same tensor. */
static void
test_pieces(void)
{
    synth_list list;
    const synth_tensor *t;
    uint16_t whole[64], pieces[64];

    CHECK(synth_read(&list, golden("families/sd15/source.json")), "a list");
    t = synth_find(&list,
                   "model.diffusion_model.input_blocks.1.0.in_layers.2.weight");
    CHECK(t != NULL && strcmp(synth_type_name(t), "F16") == 0, "a tensor");
    if (t != NULL) {
        synth_values(&list, t, 100, 64, whole);
        for (size_t i = 0; i < 64; i += 7)
            synth_values(&list, t, 100 + i, i + 7 <= 64 ? 7 : 64 - i,
                         pieces + i);
        CHECK(memcmp(whole, pieces, sizeof whole) == 0, "same in pieces");
    }
    CHECK(synth_find(&list, "nothing") == NULL, "no such tensor");
    synth_fini(&list);
}

static size_t
row_count(const char *name)
{
    char path[256];
    cJSON *doc;
    size_t count;

    snprintf(path, sizeof path, "families/keylists/%s.json", name);
    doc = parse(golden(path));
    count = (size_t)cJSON_GetArraySize(doc);
    cJSON_Delete(doc);
    return count;
}

static void
test_cases(void)
{
    static const char expect[] = "families/keylists/expect-unet.json";
    static const char conv[] = "model.diffusion_model.input_blocks.0.0.weight";
    static const char ema[] = "model_ema.diffusion_modelinput_blocks00weight";
    synth_list list;
    const synth_tensor *t;
    size_t unet = row_count("unet-sd15.ldm");
    size_t rest = row_count("vae-kl-f8.ldm") + row_count("clip-l.hf");

    CHECK(unet == 686 && rest == 248 + 196, "key lists are there");
    CHECK(synth_read_case(&list, golden(expect), "sd15-fp16-pruned"), "fp16");
    CHECK_U64(list.count, unet + rest + 1, "its parts and an addition");
    t = synth_find(&list, conv);
    CHECK(t != NULL && strcmp(synth_type_name(t), "F16") == 0 &&
              t->size == 2 * 320 * 4 * 3 * 3,
          "in the type of the case");
    synth_fini(&list);

    CHECK(synth_read_case(&list, golden(expect), "sd15-inpaint"), "inpaint");
    t = synth_find(&list, conv);
    CHECK(t != NULL && t->rank == 4 && t->shape[1] == 9, "a shape replaced");
    synth_fini(&list);

    CHECK(synth_read_case(&list, golden(expect), "sd15-full-ema"), "EMA");
    CHECK(synth_find(&list, ema) != NULL, "averaged weights");
    CHECK_U64(list.count, 2 * unet + rest + 13 + 2, "one for each of the UNet");
    CHECK(synth_write(&list, SYNTH_ZERO, output("x")), "7.7 GB of nothing");
    {
        struct stat st = {0};

        CHECK(stat(output("x"), &st) == 0 && st.st_size > 7700000000 &&
                  st.st_blocks < 10000,
              "take no space");
    }
    synth_fini(&list);
}

int
main(void)
{
    const char *tmp = getenv("TMPDIR");

    snprintf(folder, sizeof folder, "%s/test_synth.XXXXXX",
             tmp == NULL ? "/tmp" : tmp);
    if (mkdtemp(folder) == NULL)
        return 1;
    test_writer();
    test_family();
    test_pieces();
    test_cases();
    unlink(output("x"));
    rmdir(folder);
    return tap_end();
}
