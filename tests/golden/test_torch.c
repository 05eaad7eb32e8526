/*
 * test_torch.c - PyTorch files against what PyTorch made of them, and the zoo
 *
 * The files are never loaded by anything but our reader. What the scanners said
 * of them is recorded; a table shows it beside what is said here.
 */
#include <config.h>

#include "torch.h"

#include <cjson/cJSON.h>
#include <dirent.h>
#include <sys/resource.h>
#include <time.h>

#include "digest.h"
#include "types.h"
#include "scratch.h"
#include "golden.h"
#include "tap.h"

/* Sanitizers take more address space than the limit leaves. */
#if defined(__SANITIZE_ADDRESS__)
#define WITH_SANITIZER
#elif defined(__has_feature)
#if __has_feature(address_sanitizer)
#define WITH_SANITIZER
#endif
#endif

static const dfx_open_options no_options;

/* ---- Verdicts --------------------------------------------------------------
 */

typedef struct notes {
    char text[8192]; /* "rule rule rule " */
} notes;

static void
note(void *context, const dfx_concern *c)
{
    notes *n = context;
    size_t used = strlen(n->text);

    snprintf(n->text + used, sizeof n->text - used, "%s ", c->rule);
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

static dfx_verdict
audit(const char *file, notes *n)
{
    char path[1024];
    dfx_verdict verdict = DFX_VERDICT_SAFE;
    struct timespec before, after;
    dfx_error err = {.rule = ""};

    snprintf(path, sizeof path, "%s/%s", golden_folder, file);
    clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &before);
    CHECK_U64(dfx_audit_path(path, NULL, note, n, &verdict, &err), DFX_OK,
              file);
    clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &after);
    CHECK(after.tv_sec - before.tv_sec < 5, "  in less than 5 s");
    return verdict;
}

/* What four scanners and we say of one set of files. */
enum { SCANNERS = 5 };

static const char *const scanners[SCANNERS] = {"dfx", "picklescan", "fickling",
                                               "modelscan", "modelaudit"};

typedef struct table {
    unsigned bad, good;
    unsigned found[SCANNERS], alarms[SCANNERS];
} table;

/* The recorded answer says that there is something wrong with the file. */
static bool
says_so(const char *scanner, const cJSON *row, const cJSON *modelaudit)
{
    const char *answer = text_of(row, scanner);
    const cJSON *other;

    if (strcmp(scanner, "modelaudit") == 0) {
        cJSON_ArrayForEach(other, cJSON_GetObjectItem(modelaudit, "cases"))
        {
            if (strcmp(cJSON_GetArrayItem(other, 0)->valuestring,
                       text_of(row, "file")) == 0)
                return cJSON_GetArrayItem(other, 1)->valuedouble == 1;
        }
        return false;
    }
    if (answer == NULL)
        return false;
    if (strcmp(scanner, "picklescan") == 0)
        return strncmp(answer, "dangerous", 9) == 0 ||
               strncmp(answer, "suspicious", 10) == 0;
    if (strcmp(scanner, "fickling") == 0)
        return strncmp(answer, "likely_safe", 11) != 0 &&
               strncmp(answer, "error", 5) != 0 &&
               strncmp(answer, "nothing", 7) != 0;
    return strncmp(answer, "issues", 6) == 0;
}

static void
count(table *t, const cJSON *row, const cJSON *modelaudit, dfx_verdict verdict)
{
    const char *want = text_of(row, "want");
    bool bad =
        strcmp(want, "dangerous") == 0 || strcmp(want, "suspicious") == 0;

    if (!bad && strcmp(want, "safe") != 0)
        return; /* who cannot tell is neither */
    t->bad += bad;
    t->good += !bad;
    for (size_t i = 0; i < SCANNERS; i++) {
        bool said = i == 0 ? verdict >= DFX_VERDICT_SUSPICIOUS
                           : says_so(scanners[i], row, modelaudit);

        *(bad ? &t->found[i] : &t->alarms[i]) += said;
    }
}

static void
print_table(const table *t)
{
    printf("# %-12s %17s %14s\n", "scanner", "found of bad", "alarms of good");
    for (size_t i = 0; i < SCANNERS; i++)
        printf("# %-12s %8u of %-6u %5u of %-6u\n", scanners[i], t->found[i],
               t->bad, t->alarms[i], t->good);
}

static void
check_verdicts(const char *file, table *t, const cJSON *modelaudit)
{
    cJSON *doc = golden_json(file);
    const cJSON *row;

    cJSON_ArrayForEach(row, cJSON_GetObjectItem(doc, "cases"))
    {
        const char *rule = text_of(row, "rule");
        notes n = {.text = ""};
        dfx_verdict verdict = audit(text_of(row, "file"), &n);

        CHECK_TEXT(dfx_verdict_name(verdict), text_of(row, "want"),
                   "  has its verdict");
        if (rule != NULL && strcmp(rule, "ok") != 0) {
            CHECK(has_word(n.text, rule), "  by its rule");
            if (!has_word(n.text, rule))
                printf("# want %s, got %s\n", rule, n.text);
        } else if (strcmp(text_of(row, "want"), "safe") == 0) {
            CHECK_TEXT(n.text, "", "  without a concern");
        }
        count(t, row, modelaudit, verdict);
    }
    cJSON_Delete(doc);
}

/* Whatever the pickles wanted to create would be here. */
static void
check_canaries(void)
{
    DIR *dir = opendir(".");
    const struct dirent *entry;
    unsigned files = 0;

    for (entry = readdir(dir); entry != NULL; entry = readdir(dir))
        files += entry->d_name[0] != '.';
    closedir(dir);
    CHECK_U64(files, 0, "nothing that the files ask for has happened");
}

static void
test_verdicts(void)
{
    cJSON *modelaudit = golden_json("modelaudit.json");
    table t = {0};

    check_verdicts("cases.json", &t, modelaudit);
    check_verdicts("zoo.json", &t, modelaudit);
    check_canaries();
    print_table(&t);
    CHECK_U64(t.alarms[0], 0, "no false alarm");
    CHECK_U64(t.found[0], t.bad, "all of the bad ones are found");
    for (size_t i = 1; i < SCANNERS; i++)
        CHECK(t.found[0] > t.found[i], scanners[i]);
    cJSON_Delete(modelaudit);
}

/* ---- Tensors ---------------------------------------------------------------
 */

/* Rows [file, path, dtype, shape, digest, extra] of one file. */
typedef struct golden {
    dfx_torch_file file;
    dfx_torch_tensors tensors;
    dfx_audit audit;
} golden;

static void
open_golden(golden *g, const char *name)
{
    char path[1024];
    const dfx_place place = {.path = path};
    dfx_error err = {.rule = ""};

    snprintf(path, sizeof path, "%s/%s", golden_folder, name);
    *g = (golden){.audit = {.where = ""}};
    g->file.options = &no_options;
    g->file.audit = &g->audit;
    CHECK(dfx_torch_load(&place, &g->file, &err) == DFX_OK &&
              dfx_torch_find(&g->file, &g->tensors, &err) == DFX_OK,
          name);
}

static void
close_golden(golden *g)
{
    free(g->tensors.items);
    dfx_torch_fini(&g->file);
}

static const dfx_torch_tensor *
find_tensor(const golden *g, const char *path)
{
    for (size_t i = 0; i < g->tensors.count; i++)
        if (strcmp(g->tensors.items[i].path, path) == 0)
            return &g->tensors.items[i];
    return NULL;
}

static bool
same_shape(const dfx_torch_tensor *t, const cJSON *shape)
{
    if (cJSON_GetArraySize(shape) != (int)t->rank)
        return false;
    for (uint32_t i = 0; i < t->rank; i++)
        if (cJSON_GetArrayItem(shape, (int)i)->valuedouble !=
            (double)t->shape[i])
            return false;
    return true;
}

/* The first 16 hex digits of the SHA-256 of the elements, or "". */
static void
digest_of(golden *g, const dfx_torch_tensor *t, char digest[17])
{
    dfx_extent data;
    char hash[DFX_HASH_CHARS];
    dfx_sha256 *sha = NULL;
    char *bytes;

    digest[0] = '\0';
    if (t->storage == NULL ||
        dfx_torch_open(&g->file, t, &data, NULL) != DFX_OK ||
        dfx_sha256_new(&sha, NULL) != DFX_OK)
        return;
    bytes = malloc((size_t)data.size + 1);
    if (dfx_io_read_at(data.io, data.offset, bytes, (size_t)data.size, NULL) ==
            DFX_OK &&
        dfx_sha256_add(sha, bytes, (size_t)data.size, NULL) == DFX_OK &&
        dfx_sha256_hex(sha, hash, NULL) == DFX_OK)
        snprintf(digest, 17, "%.16s", hash);
    free(bytes);
    dfx_sha256_free(sha);
}

/* dtype is the safetensors name where there is one, else torch's. */
static bool
same_type(const dfx_torch_tensor *t, const char *want)
{
    size_t size = 0;
    const char *torch;

    if (t->type == DFX_TYPE_COUNT)
        return false;
    torch = dfx_type_torch_name(t->type, &size);
    return strcmp(dfx_type_name(t->type), want) == 0 ||
           (strlen(want) == size && memcmp(torch, want, size) == 0) ||
           (t->kind != NULL && strcmp(t->kind, want) == 0);
}

static void
check_row(golden *g, const cJSON *row)
{
    const char *path = cJSON_GetArrayItem(row, 1)->valuestring;
    const char *type = cJSON_GetArrayItem(row, 2)->valuestring;
    const char *want =
        cJSON_GetStringValue(cJSON_GetArrayItem(row, 4)); /* or null */
    const cJSON *kind = cJSON_GetObjectItem(cJSON_GetArrayItem(row, 5), "kind");
    const dfx_torch_tensor *t = find_tensor(g, path);
    char digest[17];

    CHECK(t != NULL, path);
    if (t == NULL)
        return;
    CHECK(same_type(t, type), "  its type");
    CHECK(same_shape(t, cJSON_GetArrayItem(row, 3)), "  its shape");
    digest_of(g, t, digest);
    CHECK_TEXT(digest, want != NULL ? want : "", "  its elements");
    if (cJSON_IsString(kind) && strcmp(kind->valuestring, "parameter") != 0 &&
        strcmp(kind->valuestring, "typed storage") != 0)
        CHECK_TEXT(t->kind != NULL ? t->kind : "", kind->valuestring,
                   "  its kind");
}

static void
test_tensors(void)
{
    cJSON *doc = golden_json("tensors.json");
    const cJSON *rows = cJSON_GetObjectItem(doc, "cases"), *row;
    const char *open = "";
    size_t count = 0;
    golden g;

    cJSON_ArrayForEach(row, rows)
    {
        const char *file = cJSON_GetArrayItem(row, 0)->valuestring;

        if (strcmp(file, open) != 0) {
            if (open[0] != '\0') {
                CHECK_U64(g.tensors.count, count, "  and no other tensor");
                close_golden(&g);
            }
            open_golden(&g, file);
            open = file;
            count = 0;
        }
        check_row(&g, row);
        count++;
    }
    CHECK_U64(g.tensors.count, count, "  and no other tensor");
    close_golden(&g);
    cJSON_Delete(doc);
}

int
main(void)
{
    golden_find("torch");
#ifndef WITH_SANITIZER
    {
        const struct rlimit memory = {512 << 20, 512 << 20};

        setrlimit(RLIMIT_AS, &memory);
    }
#endif
    scratch_enter();
    test_verdicts();
    test_tensors();
    return tap_end();
}
