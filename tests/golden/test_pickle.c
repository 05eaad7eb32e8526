/*
 * test_pickle.c - the bare pickles of the zoo, and the lists of names
 */
#include <config.h>

#include "pickle.h"

#include <cjson/cJSON.h>

#include "scratch.h"
#include "golden.h"
#include "tap.h"

typedef struct notes {
    char rules[4096], globals[4096];
} notes;

static void
add(char *text, size_t size, const char *word)
{
    size_t used = strlen(text);

    snprintf(text + used, size - used, "%s ", word);
}

static void
note(void *context, const dfx_concern *c)
{
    notes *n = context;

    add(n->rules, sizeof n->rules, c->rule);
    if (c->global != NULL)
        add(n->globals, sizeof n->globals, c->global);
}

static bool
has_word(const char *text, const char *word)
{
    size_t size = strlen(word);

    for (const char *p = strstr(text, word); p != NULL; p = strstr(p + 1, word))
        if ((p == text || p[-1] == ' ') && p[size] == ' ')
            return true;
    return false;
}

/* A file as one pickle and what follows it. */
static dfx_verdict
audit_file(const char *path, notes *n)
{
    dfx_arena arena = {0};
    dfx_audit audit = {.found = note, .context = n, .where = ""};
    dfx_pickle_reading reading = {.arena = &arena, .audit = &audit};
    dfx_pickle pickle = {0};
    dfx_io *io = NULL;
    dfx_error err;

    if (dfx_io_open_file(path, &io, &err) != DFX_OK)
        return DFX_VERDICT_SAFE;
    reading.io = io;
    CHECK_U64(dfx_pickle_read(&reading, &pickle, &err), DFX_OK, path);
    reading.offset = pickle.end;
    if (pickle.root != NULL)
        CHECK_U64(dfx_pickle_trailing(&reading, &err), DFX_OK, "  to its end");
    dfx_arena_fini(&arena);
    dfx_io_close(io);
    return audit.verdict;
}

static void
check_case(const cJSON *row)
{
    const char *file = text_of(row, "file"), *rule = text_of(row, "rule");
    size_t size = strlen(file);
    notes n = {.rules = ""};
    char path[1024];
    dfx_verdict verdict;

    if (strcmp(file + size - 4, ".pkl") != 0 || strncmp(rule, "pk.", 3) != 0)
        return;
    snprintf(path, sizeof path, "%s/%s", golden_folder, file);
    verdict = audit_file(path, &n);
    CHECK_TEXT(dfx_verdict_name(verdict), text_of(row, "want"), "  verdict");
    CHECK(has_word(n.rules, rule), "  rule");
    if (!has_word(n.rules, rule))
        printf("# %s: want %s, got %s\n", file, rule, n.rules);
}

static void
test_zoo(void)
{
    char path[1024];
    size_t size = 0;
    unsigned char *text;
    cJSON *doc, *row;

    snprintf(path, sizeof path, "%s/zoo.json", golden_folder);
    text = scratch_read(path, &size);
    doc = text != NULL ? cJSON_Parse((const char *)text) : NULL;
    CHECK(cJSON_GetArraySize(cJSON_GetObjectItem(doc, "cases")) > 200,
          "the zoo");
    cJSON_ArrayForEach(row, cJSON_GetObjectItem(doc, "cases")) check_case(row);
    cJSON_Delete(doc);
    free(text);
}

/* Every dangerous name as a pickle that imports it. */
static void
test_denied(void)
{
    char path[1024];
    size_t size = 0, missed = 0;
    unsigned char *text;
    cJSON *doc, *row;

    snprintf(path, sizeof path, "%s/denylist.json", golden_folder);
    text = scratch_read(path, &size);
    doc = text != NULL ? cJSON_Parse((const char *)text) : NULL;
    CHECK(cJSON_GetArraySize(cJSON_GetObjectItem(doc, "cases")) > 200,
          "the list of dangerous names");
    cJSON_ArrayForEach(row, cJSON_GetObjectItem(doc, "cases"))
    {
        const char *module = cJSON_GetArrayItem(row, 0)->valuestring;
        const char *name = cJSON_GetArrayItem(row, 1)->valuestring;
        char stream[300];
        dfx_arena arena = {0};
        dfx_audit audit = {.where = ""};
        dfx_pickle_reading reading = {.arena = &arena, .audit = &audit};
        dfx_pickle pickle;
        dfx_io *io = NULL;
        int n = snprintf(stream, sizeof stream,
                         "\x80\x03"
                         "c%s\n%s\n.",
                         module, strcmp(name, "*") == 0 ? "anything" : name);

        if (dfx_io_open_memory(stream, (size_t)n, "s", &io, NULL) != DFX_OK)
            abort();
        reading.io = io;
        if (dfx_pickle_read(&reading, &pickle, NULL) != DFX_OK ||
            audit.verdict != DFX_VERDICT_DANGEROUS) {
            printf("# %s.%s\n", module, name);
            missed++;
        }
        dfx_arena_fini(&arena);
        dfx_io_close(io);
    }
    CHECK_U64(missed, 0, "each of them is found dangerous");
    cJSON_Delete(doc);
    free(text);
}

int
main(void)
{
    golden_find("torch");
    scratch_enter();
    test_zoo();
    test_denied();
    return tap_end();
}
