/*
 * test_archive.c - DDUF archives opened, changed and unpacked through dfx.h
 */
#include <config.h>

#include "dfx.h"

#include <stdint.h>

#include "../golden/golden.h"
#include "scratch.h"
#include "tap.h"

static dfx_archive *
open_archive(const char *path)
{
    dfx_archive *archive = NULL;
    dfx_error err = {0};

    if (dfx_archive_open(path, NULL, &archive, &err) != DFX_OK)
        printf("# %s: %s [%s]\n", path, err.text, err.rule);
    return archive;
}

static const dfx_archive_entry *
find(const dfx_archive *archive, const char *path)
{
    size_t count = 0;
    const dfx_archive_entry *entries = dfx_archive_entries(archive, &count);

    for (size_t i = 0; i < count; i++)
        if (strcmp(entries[i].path, path) == 0)
            return &entries[i];
    return NULL;
}

/* Does the entry hold exactly that text? */
static bool
holds(const dfx_archive *archive, const char *path, const char *text)
{
    const dfx_archive_entry *entry = find(archive, path);
    char buf[256];
    dfx_error err;

    return entry != NULL && entry->data.size == strlen(text) &&
           entry->data.size < sizeof buf &&
           dfx_extent_read(&entry->data, 0, buf, strlen(text), &err) ==
               DFX_OK &&
           memcmp(buf, text, strlen(text)) == 0;
}

/* Runs a plan and frees it. */
static bool
run(dfx_status status, dfx_plan *plan, const dfx_error *planning)
{
    dfx_error err = {0};
    bool good = status == DFX_OK && dfx_plan_run(plan, NULL, &err) == DFX_OK;

    if (!good)
        printf("# %s%s\n", status != DFX_OK ? planning->text : "", err.text);
    dfx_plan_free(plan);
    return good;
}

static bool
changes(const dfx_archive *base, const dfx_archive_change *list, size_t count,
        const char *dst)
{
    static const dfx_archive_options options = {.force = true};
    dfx_plan *plan = NULL;
    dfx_error err = {0};
    dfx_status status =
        dfx_archive_plan(base, list, count, dst, &options, &plan, &err);

    return run(status, plan, &err);
}

static void
test_entries(const dfx_archive *archive)
{
    size_t count = 0;
    const dfx_archive_entry *entries = dfx_archive_entries(archive, &count);
    bool sorted = true;

    CHECK(count > 3, "there are entries");
    for (size_t i = 1; i < count; i++)
        sorted = sorted && strcmp(entries[i - 1].path, entries[i].path) < 0;
    CHECK(sorted, "they are in the order of names");
    CHECK(find(archive, "model_index.json") != NULL, "the index is among them");
}

static void
test_changes(const dfx_archive *archive)
{
    const dfx_archive_change add = {
        .path = "vae/note.txt", .data = "a note", .size = 6};
    const dfx_archive_change replace = {
        .path = "vae/note.txt", .data = "another", .size = 7};
    const dfx_archive_change gone = {.path = "vae/note.txt"};
    dfx_archive *changed;

    CHECK(changes(archive, &add, 1, "added.dduf"), "an entry is added");
    changed = open_archive("added.dduf");
    CHECK(holds(changed, "vae/note.txt", "a note"), "... and there");
    CHECK(changes(changed, &replace, 1, "replaced.dduf"), "it is replaced");
    dfx_archive_free(changed);
    changed = open_archive("replaced.dduf");
    CHECK(holds(changed, "vae/note.txt", "another"), "... by the other");
    CHECK(changes(changed, &gone, 1, "replaced.dduf"),
          "it is removed from the archive itself");
    dfx_archive_free(changed);
    changed = open_archive("replaced.dduf");
    CHECK(find(changed, "vae/note.txt") == NULL, "... and gone");
    dfx_archive_free(changed);
}

static void
refuses(const dfx_archive *base, const dfx_archive_change *change,
        const char *what)
{
    dfx_plan *plan = NULL;
    dfx_error err = {0};

    CHECK(dfx_archive_plan(base, change, 1, "no.dduf", NULL, &plan, &err) !=
                  DFX_OK &&
              err.text[0] != '\0',
          what);
    dfx_plan_free(plan);
}

static void
test_refusals(const dfx_archive *archive)
{
    const dfx_archive_change away = {.path = "no/such.json"};
    const dfx_archive_change outside = {
        .path = "../evil.json", .data = "{}", .size = 2};
    const dfx_archive_change code = {
        .path = "vae/run.py", .data = "x", .size = 1};
    const dfx_archive_change index = {.path = "model_index.json"};
    const dfx_archive_change lost = {.path = "vae/x.json", .file = "none.json"};
    const dfx_archive_change there = {
        .path = "vae/note.txt", .data = "x", .size = 1};
    dfx_plan *plan = NULL;
    dfx_error err = {0};

    refuses(archive, &away, "what is not there is not removed");
    refuses(archive, &outside, "no name leaves the archive");
    refuses(archive, &code, "no entry is code");
    refuses(archive, &index, "the index stays");
    refuses(archive, &lost, "a file that is not there is no entry");
    scratch_write("old.dduf", "x", 1);
    CHECK(dfx_archive_plan(archive, &there, 1, "old.dduf", NULL, &plan, &err) ==
                  DFX_OK &&
              dfx_plan_run(plan, NULL, &err) != DFX_OK,
          "nothing is replaced without force");
    dfx_plan_free(plan);
}

static void
test_settings(const dfx_archive *archive)
{
    static const char *const good[] = {"vae.note=\"a text\""};
    static const char *const bad[] = {"no_such.field=1"};
    static const dfx_archive_options options = {.force = true};
    dfx_plan *plan = NULL;
    dfx_archive *changed;
    dfx_error err = {0};
    dfx_status status =
        dfx_archive_set(archive, good, 1, "set.dduf", &options, &plan, &err);

    CHECK(run(status, plan, &err), "a field of a config is set");
    changed = open_archive("set.dduf");
    if (CHECK(changed != NULL && find(changed, "vae/config.json") != NULL,
              "... in an archive that opens")) {
        const dfx_extent *data = &find(changed, "vae/config.json")->data;
        char *text = calloc(1, (size_t)data->size + 1);

        CHECK(dfx_extent_read(data, 0, text, (size_t)data->size, &err) ==
                      DFX_OK &&
                  strstr(text, "\"note\": \"a text\"") != NULL,
              "... with the field");
        free(text);
    }
    dfx_archive_free(changed);
    plan = NULL;
    CHECK(dfx_archive_set(archive, bad, 1, "set.dduf", &options, &plan, &err) !=
              DFX_OK,
          "a component that is not there has no fields");
    dfx_plan_free(plan);
}

static void
test_extract(const dfx_archive *archive)
{
    static const char *const one[] = {"vae"};
    static const char *const none[] = {"nothing"};
    dfx_plan *plan = NULL;
    dfx_error err = {0};
    dfx_status status =
        dfx_archive_extract(archive, NULL, 0, "all", NULL, &plan, &err);
    struct stat st;

    CHECK(run(status, plan, &err) && stat("all/model_index.json", &st) == 0 &&
              stat("all/vae/config.json", &st) == 0,
          "it is unpacked");
    plan = NULL;
    status = dfx_archive_extract(archive, one, 1, "part", NULL, &plan, &err);
    CHECK(run(status, plan, &err) && stat("part/vae/config.json", &st) == 0 &&
              stat("part/model_index.json", &st) != 0,
          "or a folder of it");
    plan = NULL;
    CHECK(dfx_archive_extract(archive, none, 1, "x", NULL, &plan, &err) !=
              DFX_OK,
          "or nothing, if it is not there");
    dfx_plan_free(plan);
}

int
main(void)
{
    char path[600];
    dfx_archive *archive;

    golden_find("dduf/good");
    scratch_enter();
    snprintf(path, sizeof path, "%s/full.dduf", golden_folder);
    archive = open_archive(path);
    if (!CHECK(archive != NULL, "an archive opens"))
        return tap_end();
    test_entries(archive);
    test_changes(archive);
    test_refusals(archive);
    test_settings(archive);
    test_extract(archive);
    dfx_archive_free(archive);
    return tap_end();
}
