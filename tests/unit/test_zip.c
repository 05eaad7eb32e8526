/*
 * test_zip.c - zip archives that are what they seem, and those that are not
 *
 * The archives are the golden DDUF files, made by the reference library and by
 * hand; cases.json says what is wrong with each.
 */
#include <config.h>

#include "zip.h"

#include <cjson/cJSON.h>

#include "scratch.h"
#include "tap.h"

static char *folder; /* of the goldens */

/* As the DDUF format calls the faults. */
static const char *const rules[DFX_ZIP_FAULTS] = {
    [DFX_ZIP_END] = "dd.zip.end",
    [DFX_ZIP_DIRECTORY] = "dd.zip.directory",
    [DFX_ZIP_COUNT] = "dd.zip.count",
    [DFX_ZIP_DISK] = "dd.zip.disk",
    [DFX_ZIP_ZIP64] = "dd.zip.zip64",
    [DFX_ZIP_EXTRA] = "dd.zip.extra",
    [DFX_ZIP_PREFIX] = "dd.zip.prefix",
    [DFX_ZIP_TAIL] = "dd.zip.tail",
    [DFX_ZIP_GAP] = "dd.zip.gap",
    [DFX_ZIP_OVERLAP] = "dd.zip.overlap",
    [DFX_ZIP_COMMENT] = "dd.zip.comment",
    [DFX_ZIP_COMMENT_BAD] = "dd.zip.comment",
    [DFX_ZIP_METHOD] = "dd.zip.method",
    [DFX_ZIP_ENCRYPTED] = "dd.zip.encrypted",
    [DFX_ZIP_FLAGS] = "dd.zip.flags",
    [DFX_ZIP_MISMATCH] = "dd.zip.mismatch",
    [DFX_ZIP_SIZE] = "dd.zip.size",
    [DFX_ZIP_OFFSET] = "dd.zip.offset",
    [DFX_ZIP_SIGNATURE] = "dd.zip.signature",
    [DFX_ZIP_ATTRIBUTES] = "dd.zip.attributes",
    [DFX_ZIP_ENCODING] = "dd.name.encoding",
    [DFX_ZIP_DUPLICATE] = "dd.name.duplicate",
};

typedef struct faults {
    bool met[DFX_ZIP_FAULTS];
    size_t count;
    char text[2048];
} faults;

static dfx_status
note(void *context, dfx_zip_fault fault, const dfx_zip_member *member,
     uint64_t offset, const char *text, dfx_error *err)
{
    faults *f = context;
    size_t size = strlen(f->text);

    (void)err;
    f->met[fault] = true;
    f->count++;
    snprintf(f->text + size, sizeof f->text - size,
             "%s at %" PRIu64 " %s: %s; ", rules[fault], offset,
             member != NULL ? member->name : "", text);
    return DFX_OK;
}

static dfx_status
refuse(void *context, dfx_zip_fault fault, const dfx_zip_member *member,
       uint64_t offset, const char *text, dfx_error *err)
{
    (void)context;
    (void)member;
    return dfx_fail(err, DFX_RULE_DD_ZIP_END, offset, "%s: %s", rules[fault],
                    text);
}

static const char *
text_of(const cJSON *row, const char *key)
{
    return cJSON_GetStringValue(cJSON_GetObjectItemCaseSensitive(row, key));
}

/* The members' bytes, which check themselves. */
static dfx_status
read_members(const dfx_zip *zip, dfx_error *err)
{
    for (size_t i = 0; i < zip->count; i++) {
        dfx_io *io = NULL;
        dfx_status status =
            dfx_zip_open(zip, &zip->members[i], DFX_RULE_DD_ZIP_CRC, 1 << 20,
                         NULL, &io, err);
        char *data;

        if (status != DFX_OK)
            return status;
        data = malloc((size_t)dfx_io_size(io) + 1);
        status = dfx_io_read_at(io, 0, data, (size_t)dfx_io_size(io), err);
        free(data);
        dfx_io_close(io);
        if (status != DFX_OK)
            return status;
    }
    return DFX_OK;
}

static void
check_case(const cJSON *row)
{
    const char *file = text_of(row, "file"), *verdict = text_of(row, "verdict");
    bool good = strcmp(verdict, "ok") == 0;
    faults f = {.count = 0};
    dfx_zip zip;
    dfx_io *io = NULL;
    dfx_error err = {.rule = ""};
    dfx_status status;
    char path[512];
    bool met = false;

    snprintf(path, sizeof path, "%s/%s", folder, file);
    if (dfx_io_open_file(path, &io, &err) != DFX_OK) {
        CHECK(false, path);
        return;
    }
    CHECK_U64(dfx_zip_read(io, note, &f, &zip, &err), DFX_OK, file);
    if (good) {
        CHECK_U64(f.count, 0, "  has no fault");
        CHECK_U64(zip.count,
                  (uint64_t)cJSON_GetObjectItemCaseSensitive(row, "entries")
                      ->valuedouble,
                  "  and its entries");
        CHECK_U64(read_members(&zip, &err), DFX_OK, "  that have their CRC");
    } else if (strcmp(verdict, "dd.zip.crc") == 0) {
        CHECK_U64(read_members(&zip, &err), DFX_ERR_FORMAT, "  is found out");
        CHECK_TEXT(err.rule, verdict, "  by rule");
    } else {
        bool ours = strncmp(verdict, "dd.zip.", 7) == 0;

        for (size_t i = 0; i < DFX_ZIP_FAULTS; i++) {
            met = met || (f.met[i] && strcmp(rules[i], verdict) == 0);
            ours = ours || strcmp(rules[i], verdict) == 0;
        }
        if (ours)
            CHECK_TEXT(met ? verdict : f.text, verdict, "  is found out");
    }
    dfx_zip_fini(&zip);
    status = dfx_zip_read(io, refuse, NULL, &zip, &err);
    CHECK((f.count == 0) == (status == DFX_OK),
          "  the caller can end it at the first fault");
    dfx_zip_fini(&zip);
    dfx_io_close(io);
}

static void
test_goldens(void)
{
    char path[512];
    size_t size = 0;
    unsigned char *text;
    cJSON *doc, *row;

    snprintf(path, sizeof path, "%s/cases.json", folder);
    text = scratch_read(path, &size);
    doc = text != NULL ? cJSON_Parse((const char *)text) : NULL;
    CHECK(cJSON_GetArraySize(cJSON_GetObjectItem(doc, "cases")) > 100,
          "the list of cases");
    cJSON_ArrayForEach(row, cJSON_GetObjectItem(doc, "cases")) check_case(row);
    cJSON_Delete(doc);
    free(text);
}

static void
test_find(void)
{
    char path[512];
    faults f = {.count = 0};
    dfx_zip zip;
    dfx_io *io = NULL;
    dfx_error err;

    snprintf(path, sizeof path, "%s/good/full.dduf", folder);
    CHECK(dfx_io_open_file(path, &io, &err) == DFX_OK &&
              dfx_zip_read(io, note, &f, &zip, &err) == DFX_OK,
          "an archive");
    for (size_t i = 0; i < zip.count; i++)
        if (dfx_zip_find(&zip, zip.members[i].name) != &zip.members[i])
            f.count++;
    CHECK_U64(f.count, 0, "every member is found by name");
    CHECK(dfx_zip_find(&zip, "unet") == NULL && dfx_zip_find(&zip, "") == NULL,
          "and nothing else");
    dfx_zip_fini(&zip);
    dfx_io_close(io);
}

int
main(void)
{
    const char *srcdir = getenv("srcdir");
    char path[512];

    snprintf(path, sizeof path, "%s/tests/golden/dduf",
             srcdir != NULL ? srcdir : ".");
    folder = realpath(path, NULL);
    scratch_enter();
    test_goldens();
    test_find();
    free(folder);
    return tap_end();
}
