/*
 * folder_audit.c - what loading a folder would run
 *
 * Weights are judged by their formats. Beside them, diffusers and transformers
 * run Python files of the folder when they are told to trust it: configs name
 * the classes (auto_map; a custom pipeline or library in model_index.json).
 * What is hidden behind a harmless name is found by content.
 */
#include <config.h>

#include "folder.h"

#include <string.h>
#include <strings.h>

#include "document.h"

typedef enum file_use {
    USE_UNKNOWN,
    USE_PROGRAM,
    USE_CONFIG,
    USE_PLAIN
} file_use;

typedef struct auditor {
    dfx_folder folder;
    dfx_index *index; /* for its arena, and the warnings of the scan */
    const dfx_open_options *options;
    dfx_audit *audit;
} auditor;

/* ---- By name --------------------------------------------------------------
 */

static file_use
use_of(const char *path)
{
    static const struct {
        const char *suffix;
        file_use use;
    } rows[] = {
#define KIND(suffix, use) {suffix, USE_##use},
#include "folder_kinds.def"
#undef KIND
    };
    size_t size = strlen(path), longest = 0;
    file_use found = USE_UNKNOWN;

    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        size_t tail = strlen(rows[i].suffix);

        if (tail > longest && tail <= size &&
            strcasecmp(path + size - tail, rows[i].suffix) == 0) {
            longest = tail;
            found = rows[i].use;
        }
    }
    return found;
}

/* ---- By content -----------------------------------------------------------
 */

/* What a program starts with, whatever it is called. */
static const char *
program_in(const uint8_t *head, size_t size)
{
    static const struct {
        const char *start;
        size_t size;
        const char *name;
    } rows[] = {
        {"#!", 2, "a script"},
        {"\x7f"
         "ELF",
         4, "a program (ELF)"},
        {"MZ\x90", 3, "a program (PE)"},
        {"\xcf\xfa\xed\xfe", 4, "a program (Mach-O)"},
        {"\xce\xfa\xed\xfe", 4, "a program (Mach-O)"},
        {"\xca\xfe\xba\xbe", 4, "a program (Mach-O or Java)"},
        {"\x1b"
         "Lua",
         4, "a program (Lua)"},
    };

    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++)
        if (size >= rows[i].size &&
            memcmp(head, rows[i].start, rows[i].size) == 0)
            return rows[i].name;
    return NULL;
}

/* How sure some format is that the file holds a model by itself. */
static unsigned
highest_bid(const dfx_evidence *evidence)
{
    size_t count = 0;
    const dfx_format *const *list = dfx_format_list(&count);
    unsigned highest = 0;

    for (size_t i = 0; i < count; i++) {
        unsigned bid = list[i]->is_folder ? 0 : list[i]->bid(evidence);

        if (bid > highest)
            highest = bid;
    }
    return highest;
}

/*
 * A file that is not weights by its name. Text may look like the beginning of a
 * pickle of the oldest protocol: behind a name for text that is not enough.
 */
static dfx_status
audit_content(auditor *a, const dfx_place *place, file_use use, dfx_error *err)
{
    enum { HEAD_SIZE = 4096, SURE = 16 /* bits */ };
    uint8_t head[HEAD_SIZE];
    dfx_io *io = NULL;
    dfx_evidence evidence = {.place = place, .head = head};
    const char *program;
    unsigned bid = 0;
    dfx_status status;

    DFX_TRY(dfx_place_open(place, &io, err));
    evidence.io = io;
    evidence.file_size = dfx_io_size(io);
    evidence.head_size =
        evidence.file_size < HEAD_SIZE ? (size_t)evidence.file_size : HEAD_SIZE;
    status = dfx_io_read_at(io, 0, head, evidence.head_size, err);
    if (status == DFX_OK)
        bid = highest_bid(&evidence);
    dfx_io_close(io);
    DFX_TRY(status);
    program = program_in(head, evidence.head_size);
    if (program != NULL && use != USE_PROGRAM)
        dfx_audit_report(a->audit, DFX_VERDICT_SUSPICIOUS, DFX_RULE_FOLDER_CODE,
                         NULL, 0, "is %s", program);
    else if (bid >= SURE || (bid > 0 && use == USE_UNKNOWN))
        return dfx_place_audit(place, a->options, a->audit, err);
    else if (use == USE_UNKNOWN && evidence.file_size > 0)
        dfx_audit_report(a->audit, DFX_VERDICT_CANNOT_TELL,
                         DFX_RULE_FOLDER_FILE, NULL, 0,
                         "is of no kind that a model is known to have");
    return DFX_OK;
}

/* ---- Configs --------------------------------------------------------------
 */

/* {"auto_map": {"AutoModel": "modeling_x.Model"}}: one concern a class. */
static void
audit_auto_map(auditor *a, const cJSON *map)
{
    const cJSON *row;

    if (cJSON_GetArraySize(map) == 0) {
        dfx_audit_report(a->audit, DFX_VERDICT_SUSPICIOUS,
                         DFX_RULE_FOLDER_REMOTE, cJSON_GetStringValue(map),
                         DFX_NO_OFFSET, "has an auto_map");
        return;
    }
    for (row = map->child; row != NULL; row = row->next) {
        /* Tokenizers have a list of two. */
        const char *name = cJSON_GetStringValue(
            cJSON_IsArray(row) ? cJSON_GetArrayItem(row, 0) : row);

        dfx_audit_report(a->audit, DFX_VERDICT_SUSPICIOUS,
                         DFX_RULE_FOLDER_REMOTE, name, DFX_NO_OFFSET,
                         "auto_map has code of the repository loaded for %s",
                         row->string != NULL ? row->string : "a class");
    }
}

/* A component's library that is a Python file of the folder. */
static dfx_status
audit_library(auditor *a, const cJSON *member, dfx_error *err)
{
    const char *library = cJSON_GetStringValue(cJSON_GetArrayItem(member, 0));
    const char *path;

    if (library == NULL)
        return DFX_OK;
    path =
        dfx_arena_printf(&a->index->arena, "%s/%s.py", member->string, library);
    if (path == NULL)
        return dfx_fail_nomem(err);
    if (dfx_folder_find(&a->folder, path) != NULL)
        dfx_audit_report(a->audit, DFX_VERDICT_SUSPICIOUS,
                         DFX_RULE_FOLDER_REMOTE, library, DFX_NO_OFFSET,
                         "component %s is loaded from %s", member->string,
                         path);
    return DFX_OK;
}

static dfx_status
audit_document(auditor *a, const cJSON *doc, dfx_error *err)
{
    const cJSON *auto_map = dfx_doc_get(doc, "auto_map");
    const cJSON *class_name = dfx_doc_get(doc, "_class_name");
    const cJSON *member;

    if (auto_map != NULL && !cJSON_IsNull(auto_map))
        audit_auto_map(a, auto_map);
    if (cJSON_IsArray(class_name))
        dfx_audit_report(
            a->audit, DFX_VERDICT_SUSPICIOUS, DFX_RULE_FOLDER_REMOTE,
            cJSON_GetStringValue(cJSON_GetArrayItem(class_name, 0)),
            DFX_NO_OFFSET, "the pipeline is a class of the repository");
    for (member = cJSON_IsObject(doc) ? doc->child : NULL; member != NULL;
         member = member->next)
        if (cJSON_IsArray(member))
            DFX_TRY(audit_library(a, member, err));
    return DFX_OK;
}

/* What is broken here may be whole to a laxer reader. */
static dfx_status
audit_config(auditor *a, const dfx_place *place, dfx_error *err)
{
    dfx_io *io = NULL;
    cJSON *doc = NULL;
    dfx_error fault = {.rule = ""};
    dfx_extent text;
    dfx_status status;

    DFX_TRY(dfx_place_open(place, &io, err));
    text = (dfx_extent){io, 0, dfx_io_size(io)};
    status = dfx_doc_read(&text, &doc, &fault);
    if (status == DFX_OK) {
        status = audit_document(a, doc, err);
    } else if (status == DFX_ERR_FORMAT || status == DFX_ERR_LIMIT) {
        dfx_audit_fault(a->audit, DFX_VERDICT_CANNOT_TELL, place->path, &fault);
        status = DFX_OK;
    } else if (err != NULL) {
        *err = fault;
    }
    cJSON_Delete(doc);
    dfx_io_close(io);
    return status;
}

/* ---- All of it ------------------------------------------------------------
 */

static dfx_status
audit_entry(auditor *a, const dfx_folder_entry *entry, dfx_error *err)
{
    dfx_place place =
        dfx_folder_place(&a->folder, entry->path, &a->index->arena);
    file_use use = use_of(entry->path);

    if (place.path == NULL)
        return dfx_fail_nomem(err);
    if (entry->is_weights)
        return dfx_place_audit(&place, a->options, a->audit, err);
    if (use == USE_PROGRAM)
        dfx_audit_report(a->audit, DFX_VERDICT_SUSPICIOUS, DFX_RULE_FOLDER_CODE,
                         NULL, DFX_NO_OFFSET,
                         "is a program by its name: loaders run what they are "
                         "told to trust");
    if (use == USE_CONFIG)
        DFX_TRY(audit_config(a, &place, err));
    return audit_content(a, &place, use, err);
}

static dfx_status
audit_entries(auditor *a, dfx_error *err)
{
    const char *where = a->audit->where;
    dfx_status status = DFX_OK;

    for (size_t i = 0; status == DFX_OK && i < a->folder.count; i++) {
        const char *path = a->folder.entries[i].path;

        a->audit->where =
            where[0] == '\0'
                ? path
                : dfx_arena_printf(&a->index->arena, "%s/%s", where, path);
        status = a->audit->where == NULL
                     ? dfx_fail_nomem(err)
                     : audit_entry(a, &a->folder.entries[i], err);
    }
    a->audit->where = where;
    return status;
}

dfx_status
dfx_folder_audit(const dfx_place *place, const dfx_open_options *options,
                 dfx_audit *audit, dfx_error *err)
{
    auditor a = {.options = options, .audit = audit};
    dfx_open_options inner = *options;
    dfx_status status = dfx_index_new(place->path, &a.index, err);

    inner.format = NULL; /* that one was the folder's */
    a.options = &inner;
    if (status == DFX_OK)
        status = dfx_folder_root(place, &a.folder, &a.index->arena, err);
    if (status == DFX_OK)
        status = dfx_folder_scan(&a.folder, a.index, err);
    /* What is left out of the list is not left out by loaders. */
    for (size_t i = 0; status == DFX_OK && i < a.index->warning_count; i++)
        dfx_audit_report(audit, DFX_VERDICT_CANNOT_TELL, DFX_RULE_FOLDER_FILE,
                         NULL, DFX_NO_OFFSET, "%s", a.index->warnings[i]);
    if (status == DFX_OK)
        status = audit_entries(&a, err);
    dfx_folder_fini(&a.folder);
    dfx_index_free(a.index);
    return status;
}
