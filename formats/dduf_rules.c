/*
 * dduf_rules.c - what DDUF demands of names, of model_index.json, of entries
 */
#include <config.h>

#include <ctype.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "dduf.h"
#include "document.h"
#include "json.h"

enum { MAX_JSON = 16 << 20, MAX_NAME = 255, BUFFER = 64 << 10 };

/* ---- Names ---------------------------------------------------------------
 */

/* The part between slashes that starts at name: its bytes. */
static size_t
part_size(const char *name, size_t size)
{
    const char *slash = memchr(name, '/', size);

    return slash != NULL ? (size_t)(slash - name) : size;
}

static bool
has_suffix(const char *name, size_t size)
{
    static const char *const suffixes[] = {".json", ".safetensors", ".model",
                                           ".txt"};

    for (size_t i = 0; i < sizeof suffixes / sizeof suffixes[0]; i++) {
        size_t tail = strlen(suffixes[i]);

        if (size > tail && memcmp(name + size - tail, suffixes[i], tail) == 0)
            return true;
    }
    return false;
}

static bool
has_control(const char *name, size_t size)
{
    for (size_t i = 0; i < size; i++)
        if ((unsigned char)name[i] < 32 || name[i] == 127)
            return true;
    return false;
}

static bool
is_dots(const char *part, size_t size)
{
    return (size == 1 && part[0] == '.') ||
           (size == 2 && part[0] == '.' && part[1] == '.');
}

dfx_rule
dfx_dduf_name_rule(const char *name, size_t size)
{
    size_t folder = part_size(name, size);
    bool nested = folder < size;

    if (size == 0)
        return DFX_RULE_DD_NAME_EMPTY;
    if (has_control(name, size))
        return DFX_RULE_DD_NAME_CONTROL;
    if (memchr(name, '\\', size) != NULL)
        return DFX_RULE_DD_NAME_BACKSLASH;
    if (name[0] == '/' ||
        (size > 1 && isalpha((unsigned char)name[0]) != 0 && name[1] == ':'))
        return DFX_RULE_DD_NAME_ABSOLUTE;
    if (name[size - 1] == '/')
        return DFX_RULE_DD_NAME_DIRECTORY;
    if (nested && is_dots(name, folder))
        return DFX_RULE_DD_NAME_DOTDOT;
    if (nested && memchr(name + folder + 1, '/', size - folder - 1) != NULL)
        return DFX_RULE_DD_NAME_DEPTH;
    return has_suffix(name + (nested ? folder + 1 : 0),
                      size - (nested ? folder + 1 : 0))
               ? DFX_RULE_COUNT
               : DFX_RULE_DD_NAME_SUFFIX;
}

/* CON, NUL, COM1 ...: Windows takes them for devices, whatever the suffix. */
static bool
is_device(const char *part, size_t size)
{
    static const char *const devices[] = {"CON", "PRN", "AUX", "NUL"};
    const char *dot = memchr(part, '.', size);
    size_t stem = dot != NULL ? (size_t)(dot - part) : size;

    for (size_t i = 0; i < sizeof devices / sizeof devices[0]; i++)
        if (stem == 3 && strncasecmp(part, devices[i], 3) == 0)
            return true;
    return stem == 4 &&
           (strncasecmp(part, "COM", 3) == 0 ||
            strncasecmp(part, "LPT", 3) == 0) &&
           part[3] >= '1' && part[3] <= '9';
}

static dfx_status
check_name(const dfx_dduf *d, const dfx_zip_member *m)
{
    dfx_rule rule = dfx_dduf_name_rule(m->name, m->name_size);
    size_t folder = part_size(m->name, m->name_size);

    if (rule != DFX_RULE_COUNT)
        return dfx_dduf_tell(d, rule, false, m->name, m->header,
                             "no entry can be called so");
    if (m->name_size > MAX_NAME)
        DFX_TRY(dfx_dduf_tell(d, DFX_RULE_DD_NAME_LONG, true, m->name,
                              m->header, "the name has %zu bytes",
                              m->name_size));
    if (is_device(m->name, folder) ||
        (folder < m->name_size &&
         is_device(m->name + folder + 1, m->name_size - folder - 1)))
        return dfx_dduf_tell(d, DFX_RULE_DD_NAME_RESERVED, true, m->name,
                             m->header, "Windows takes the name for a device");
    return DFX_OK;
}

static int
compare_folded(const void *a, const void *b)
{
    const dfx_zip_member *x = *(const dfx_zip_member *const *)a;
    const dfx_zip_member *y = *(const dfx_zip_member *const *)b;

    return strcasecmp(x->name, y->name);
}

static dfx_status
check_case(const dfx_dduf *d)
{
    const dfx_zip_member **sorted =
        calloc(d->zip.count + 1, sizeof(dfx_zip_member *));
    dfx_status status = DFX_OK;

    if (sorted == NULL)
        return dfx_fail_nomem(d->err);
    for (size_t i = 0; i < d->zip.count; i++)
        sorted[i] = &d->zip.members[i];
    if (d->zip.count > 0)
        qsort(sorted, d->zip.count, sizeof(dfx_zip_member *), compare_folded);
    for (size_t i = 1; i < d->zip.count && status == DFX_OK; i++)
        if (compare_folded(&sorted[i - 1], &sorted[i]) == 0 &&
            strcmp(sorted[i - 1]->name, sorted[i]->name) != 0)
            status =
                dfx_dduf_tell(d, DFX_RULE_DD_NAME_CASE, true, sorted[i]->name,
                              sorted[i]->header, "differs from %s in case only",
                              sorted[i - 1]->name);
    free(sorted);
    return status;
}

dfx_status
dfx_dduf_check_names(const dfx_dduf *d)
{
    for (size_t i = 0; i < d->zip.count; i++)
        DFX_TRY(check_name(d, &d->zip.members[i]));
    return check_case(d);
}

/* ---- JSON ----------------------------------------------------------------
 */

/* What is wrong with a text as JSON: rule "" if nothing. */
static dfx_status
check_json(const dfx_dduf *d, const dfx_member *m, char **text,
           dfx_error *fault)
{
    size_t size = (size_t)m->data.size, bad = 0, end = 0;
    dfx_status status;

    fault->rule = "";
    *text = NULL;
    if (m->data.size > MAX_JSON) {
        dfx_fail(fault, DFX_RULE_DD_LIMIT, 0, "%" PRIu64 " bytes of JSON",
                 m->data.size);
        return DFX_OK;
    }
    *text = malloc(size + 1);
    if (*text == NULL)
        return dfx_fail_nomem(d->err);
    (*text)[size] = '\0';
    status = dfx_io_read_at(m->data.io, m->data.offset, *text, size, fault);
    if (status != DFX_OK)
        return DFX_OK; /* its CRC */
    fault->rule = "";
    if (!dfx_utf8_valid(*text, size, &bad)) {
        dfx_fail(fault, DFX_RULE_JSON_UTF8, bad, "is not UTF-8");
        return DFX_OK;
    }
    if (dfx_json_check(*text, size, 0, NULL, NULL, &end, fault) != DFX_OK)
        return DFX_OK;
    fault->rule = "";
    while (end < size && strchr(" \t\r\n", (*text)[end]) != NULL)
        end++;
    if (end < size)
        dfx_fail(fault, DFX_RULE_JSON_SYNTAX, end, "text after the value");
    return DFX_OK;
}

/* The rule of the index that a fault of its JSON breaks. */
static dfx_rule
index_rule(const dfx_error *fault)
{
    if (strcmp(fault->rule, "json.utf8") == 0)
        return DFX_RULE_DD_INDEX_UTF8;
    if (strcmp(fault->rule, "json.duplicate-key") == 0)
        return DFX_RULE_DD_INDEX_DUPLICATE;
    if (strcmp(fault->rule, "dd.zip.crc") == 0)
        return DFX_RULE_DD_ZIP_CRC;
    if (strcmp(fault->rule, "dd.limit") == 0)
        return DFX_RULE_DD_LIMIT;
    return DFX_RULE_DD_INDEX_JSON;
}

/* ---- The index and the folders -------------------------------------------
 */

static bool
is_pair(const cJSON *value)
{
    const cJSON *library = cJSON_GetArrayItem(value, 0);
    const cJSON *name = cJSON_GetArrayItem(value, 1);

    return cJSON_IsArray(value) && cJSON_GetArraySize(value) == 2 &&
           ((cJSON_IsString(library) && cJSON_IsString(name)) ||
            (cJSON_IsNull(library) && cJSON_IsNull(name)));
}

/* The first member at or after a path. */
static size_t
first_at(const dfx_dduf *d, const char *path)
{
    size_t low = 0, high = d->member_count;

    while (low < high) {
        size_t middle = low + (high - low) / 2;

        if (strcmp(d->members[middle].path, path) < 0)
            low = middle + 1;
        else
            high = middle;
    }
    return low;
}

static bool
has_member(const dfx_dduf *d, const char *folder, size_t size, const char *name)
{
    char path[2 * MAX_NAME];
    size_t i;

    if (size + 1 + strlen(name) >= sizeof path)
        return false;
    memcpy(path, folder, size);
    path[size] = '/';
    strcpy(path + size + 1, name);
    i = first_at(d, path);
    if (name[0] == '\0') /* any file */
        return i < d->member_count &&
               strncmp(d->members[i].path, path, size + 1) == 0;
    return i < d->member_count && strcmp(d->members[i].path, path) == 0;
}

static dfx_status
check_folder(const dfx_dduf *d, const char *name, size_t size, const cJSON *doc)
{
    static const char *const configs[] = {
        "config.json", "tokenizer_config.json", "preprocessor_config.json",
        "scheduler_config.json"};
    char *key = strndup(name, size);
    const cJSON *value;
    bool has_config = false;
    dfx_status status = DFX_OK;

    if (key == NULL)
        return dfx_fail_nomem(d->err);
    value = dfx_doc_get(doc, key);
    if (value == NULL)
        status = dfx_dduf_tell(d, DFX_RULE_DD_FOLDER_UNLISTED, false, key,
                               DFX_NO_OFFSET, "is no component of %s",
                               DFX_DDUF_INDEX);
    else if (!is_pair(value))
        status = dfx_dduf_tell(
            d, DFX_RULE_DD_INDEX_COMPONENT, false, key, DFX_NO_OFFSET,
            "is no list of library and class in %s", DFX_DDUF_INDEX);
    for (size_t i = 0; i < sizeof configs / sizeof configs[0]; i++)
        has_config = has_config || has_member(d, name, size, configs[i]);
    if (status == DFX_OK && !has_config)
        status = dfx_dduf_tell(d, DFX_RULE_DD_FOLDER_CONFIG, false, key,
                               DFX_NO_OFFSET, "has no config");
    free(key);
    return status;
}

static dfx_status
check_folders(const dfx_dduf *d, const cJSON *doc)
{
    const char *last = "";
    size_t last_size = 0;

    for (size_t i = 0; i < d->member_count; i++) {
        const char *path = d->members[i].path;
        size_t size = strcspn(path, "/");

        if (path[size] == '\0' ||
            (size == last_size && memcmp(path, last, size) == 0))
            continue;
        DFX_TRY(check_folder(d, path, size, doc));
        last = path;
        last_size = size;
    }
    return DFX_OK;
}

/* Components without a folder: loaders will miss them. */
static dfx_status
check_components(const dfx_dduf *d, const cJSON *doc)
{
    const cJSON *member;

    for (member = doc->child; member != NULL; member = member->next)
        if (member->string[0] != '_' && is_pair(member) &&
            !cJSON_IsNull(cJSON_GetArrayItem(member, 0)) &&
            !has_member(d, member->string, strlen(member->string), ""))
            DFX_TRY(dfx_dduf_tell(
                d, DFX_RULE_DD_FOLDER_MISSING, true, member->string,
                DFX_NO_OFFSET, "is in %s and has no folder", DFX_DDUF_INDEX));
    return DFX_OK;
}

static dfx_status
check_document(const dfx_dduf *d, const char *text, size_t size)
{
    cJSON *doc = NULL;
    dfx_status status = dfx_doc_parse(text, size, d->place->path, &doc, d->err);

    if (status == DFX_OK && !cJSON_IsObject(doc)) {
        status = dfx_dduf_tell(d, DFX_RULE_DD_INDEX_TYPE, false, DFX_DDUF_INDEX,
                               0, "is no object");
    } else if (status == DFX_OK) {
        status = check_folders(d, doc);
        if (status == DFX_OK)
            status = check_components(d, doc);
    }
    cJSON_Delete(doc);
    return status;
}

dfx_status
dfx_dduf_check_index(const dfx_dduf *d)
{
    size_t i = first_at(d, DFX_DDUF_INDEX);
    dfx_error fault = {.rule = ""};
    char *text = NULL;
    dfx_status status;

    if (i == d->member_count || strcmp(d->members[i].path, DFX_DDUF_INDEX) != 0)
        return dfx_dduf_tell(d, DFX_RULE_DD_INDEX_MISSING, false, NULL,
                             DFX_NO_OFFSET, "there is no %s at the top",
                             DFX_DDUF_INDEX);
    status = check_json(d, &d->members[i], &text, &fault);
    if (status == DFX_OK && fault.rule[0] != '\0')
        status = dfx_dduf_tell(d, index_rule(&fault), false, DFX_DDUF_INDEX,
                               fault.offset, "%s", fault.text);
    else if (status == DFX_OK)
        status = check_document(d, text, (size_t)d->members[i].data.size);
    free(text);
    return status;
}

/* ---- Entries -------------------------------------------------------------
 */

/* Findings of a file in the archive, as broken rules of it. */
typedef struct finder {
    const dfx_dduf *d;
    const char *entry;
    dfx_rule rule;
    dfx_status status;
} finder;

static void
find_inner(void *context, const dfx_error *finding)
{
    finder *f = context;

    if (finding->status == DFX_OK || f->status != DFX_OK)
        return;
    f->status = dfx_dduf_tell(f->d, f->rule, false, f->entry, finding->offset,
                              "%s [%s]", finding->text, finding->rule);
}

static bool
ends_in(const char *text, const char *suffix)
{
    size_t size = strlen(text), tail = strlen(suffix);

    return size >= tail && strcmp(text + size - tail, suffix) == 0;
}

/* By the reader of its format. */
static dfx_status
check_inner(const dfx_dduf *d, const dfx_member *m, dfx_rule rule)
{
    finder f = {d, m->path, rule, DFX_OK};
    dfx_error fault = {.rule = ""};
    dfx_arena arena = {0};
    dfx_open_options options = *d->options;
    dfx_place place = {
        .path = dfx_arena_printf(&arena, "%s/%s", d->mount.root, m->path),
        .mount = &d->mount};
    dfx_status status;

    options.format = NULL;
    status = place.path == NULL
                 ? dfx_fail_nomem(&fault)
                 : dfx_place_validate(&place, &options, find_inner, &f, &fault);
    dfx_arena_fini(&arena);
    if (status == DFX_ERR_FORMAT && strcmp(fault.rule, "dd.zip.crc") != 0)
        find_inner(&f, &fault); /* of CRCs all entries are told */
    if (status == DFX_OK || status == DFX_ERR_FORMAT)
        return f.status;
    if (d->err != NULL)
        *d->err = fault;
    return status;
}

static dfx_status
check_text(const dfx_dduf *d, const dfx_member *m)
{
    dfx_error fault = {.rule = ""};
    char *text = NULL;
    dfx_status status = check_json(d, m, &text, &fault);

    free(text);
    if (status != DFX_OK || fault.rule[0] == '\0' ||
        strcmp(fault.rule, "dd.zip.crc") == 0) /* told of all entries */
        return status;
    return dfx_dduf_tell(
        d,
        strcmp(fault.rule, "dd.limit") == 0 ? DFX_RULE_DD_LIMIT
                                            : DFX_RULE_DD_ENTRY_JSON,
        false, m->path, fault.offset, "%s [%s]", fault.text, fault.rule);
}

static dfx_status
check_crc(const dfx_dduf *d, const dfx_zip_member *m)
{
    unsigned char *buffer = malloc(BUFFER);
    dfx_error fault = {.rule = ""};
    dfx_io *io = NULL;
    uint64_t at = 0;
    dfx_status status = buffer == NULL
                            ? dfx_fail_nomem(&fault)
                            : dfx_zip_open(&d->zip, m, DFX_RULE_DD_ZIP_CRC, 0,
                                           NULL, &io, &fault);

    while (status == DFX_OK && at < m->size) {
        size_t n = m->size - at < BUFFER ? (size_t)(m->size - at) : BUFFER;

        status = dfx_io_read_at(io, at, buffer, n, &fault);
        at += n;
    }
    dfx_io_close(io);
    free(buffer);
    if (status == DFX_ERR_FORMAT)
        return dfx_dduf_tell(d, DFX_RULE_DD_ZIP_CRC, false, m->name, m->header,
                             "%s", fault.text);
    if (status != DFX_OK && d->err != NULL)
        *d->err = fault;
    return status;
}

dfx_status
dfx_dduf_check_members(const dfx_dduf *d)
{
    for (size_t i = 0; i < d->member_count; i++) {
        const dfx_member *m = &d->members[i];

        if (ends_in(m->path, ".safetensors"))
            DFX_TRY(check_inner(d, m, DFX_RULE_DD_ENTRY_TENSORS));
        else if (ends_in(m->path, ".safetensors.index.json"))
            DFX_TRY(check_inner(d, m, DFX_RULE_DD_ENTRY_SHARDS));
        else if (ends_in(m->path, ".json") &&
                 strcmp(m->path, DFX_DDUF_INDEX) != 0)
            DFX_TRY(check_text(d, m));
    }
    return DFX_OK;
}

dfx_status
dfx_dduf_check_sums(const dfx_dduf *d)
{
    for (size_t i = 0; i < d->zip.count; i++) {
        const dfx_zip_member *m = &d->zip.members[i];

        if (m->data != UINT64_MAX && m->method == 0 && m->size == m->packed)
            DFX_TRY(check_crc(d, m));
    }
    return DFX_OK;
}
