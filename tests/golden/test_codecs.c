/*
 * test_codecs.c - block types against ggml, bit for bit
 */
#include <config.h>

#include "codecs/codec.h"

#include <cjson/cJSON.h>

#include "scratch.h"
#include "tap.h"

static char *folder; /* of the goldens */

static unsigned char *
load(const char *name, size_t *size)
{
    char path[512];
    unsigned char *data;

    snprintf(path, sizeof path, "%s/%s", folder, name);
    data = scratch_read(path, size);
    if (data == NULL) {
        printf("Bail out! no %s\n", name);
        exit(1);
    }
    return data;
}

static cJSON *
load_json(const char *name)
{
    size_t size = 0;
    unsigned char *text = load(name, &size);
    cJSON *doc = cJSON_Parse((const char *)text);

    free(text);
    return doc;
}

static const char *
text_at(const cJSON *row, int i)
{
    return cJSON_GetStringValue(cJSON_GetArrayItem(row, i));
}

static size_t
number_at(const cJSON *row, int i)
{
    return (size_t)cJSON_GetArrayItem(row, i)->valuedouble;
}

/* The same bits, or NaN where NaN is wanted. */
static bool
same_floats(const float *got, const unsigned char *want, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        float value;

        memcpy(&value, want + 4 * i, sizeof value);
        if (value != value ? got[i] == got[i]
                           : memcmp(&got[i], &value, sizeof value) != 0) {
            printf("# number %zu: got %a, want %a\n", i, (double)got[i],
                   (double)value);
            return false;
        }
    }
    return true;
}

/* [type, set, offset of the blocks, blocks, offset of the floats, floats, ...]
 */
static void
check_decode(const cJSON *row)
{
    const char *name = text_at(row, 0);
    const dfx_codec *codec = dfx_codec_of(dfx_type_named(name));
    size_t size = 0, count = number_at(row, 3), numbers = number_at(row, 5);
    unsigned char *blocks, *want;
    char path[128], what[128];
    float *got;

    if (codec == NULL || cJSON_IsNull(cJSON_GetArrayItem(row, 2)))
        return; /* an element type; bytes made from a name */
    snprintf(path, sizeof path, "decode/%s.blocks", name);
    blocks = load(path, &size);
    snprintf(path, sizeof path, "decode/%s.f32", name);
    want = load(path, &size);
    got = malloc(numbers * sizeof *got);
    snprintf(what, sizeof what, "%s, %s: %zu blocks", name, text_at(row, 1),
             count);
    codec->decode(blocks + number_at(row, 2), got, count);
    CHECK(codec->unit.elements * count == numbers &&
              same_floats(got, want + number_at(row, 4), numbers),
          what);
    free(got);
    free(blocks);
    free(want);
}

static void
test_decode(void)
{
    cJSON *doc = load_json("decode.json");
    const cJSON *row;

    cJSON_ArrayForEach(row, cJSON_GetObjectItem(doc, "cases"))
        check_decode(row);
    cJSON_Delete(doc);
}

int
main(void)
{
    const char *srcdir = getenv("srcdir");
    char path[512];

    snprintf(path, sizeof path, "%s/tests/golden/gguf",
             srcdir != NULL ? srcdir : ".");
    folder = realpath(path, NULL);
    if (folder == NULL) {
        printf("Bail out! no %s\n", path);
        return 1;
    }
    test_decode();
    free(folder);
    return tap_end();
}
