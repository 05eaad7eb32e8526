/*
 * torch_load.c - which container a PyTorch file is, and its storages
 *
 * Content decides, as in torch.load. A file that is two containers at once is
 * read as each of them by somebody, so both are scanned.
 */
#include <config.h>

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "torch.h"
#include "types.h"
#include "zip.h"

enum { HEAD_SIZE = 4096 };

/* ---- Storages ------------------------------------------------------------
 */

dfx_status
dfx_torch_take_io(dfx_torch_file *file, dfx_io *io, dfx_error *err)
{
    if (!dfx_grow(&file->ios, &file->io_capacity, file->io_count,
                  sizeof *file->ios)) {
        dfx_io_close(io);
        return dfx_fail_nomem(err);
    }
    file->ios[file->io_count++] = io;
    return DFX_OK;
}

dfx_status
dfx_torch_add_storage(dfx_torch_file *file, const char *key, const dfx_io *io,
                      uint64_t size, dfx_error *err)
{
    if (!dfx_grow(&file->storages, &file->storage_capacity, file->storage_count,
                  sizeof *file->storages))
        return dfx_fail_nomem(err);
    file->storages[file->storage_count++] =
        (dfx_torch_storage){.key = key, .io = io, .size = size};
    return DFX_OK;
}

static int
compare_storages(const void *a, const void *b)
{
    const dfx_torch_storage *x = a, *y = b;

    return strcmp(x->key, y->key);
}

void
dfx_torch_sort_storages(dfx_torch_file *file)
{
    if (file->storage_count > 0)
        qsort(file->storages, file->storage_count, sizeof *file->storages,
              compare_storages);
}

dfx_torch_storage *
dfx_torch_find_storage(const dfx_torch_file *file, const char *key)
{
    const dfx_torch_storage wanted = {.key = key};

    if (file->storage_count == 0)
        return NULL;
    return bsearch(&wanted, file->storages, file->storage_count,
                   sizeof *file->storages, compare_storages);
}

uint64_t
dfx_torch_bytes(const dfx_pickle_global *type, uint64_t elements)
{
    uint64_t bytes;

    /* Two or four elements in a byte. */
    if (type->kind != NULL && strstr(type->kind, "4x2") != NULL)
        return elements / 2 + elements % 2;
    if (type->kind != NULL && strstr(type->kind, "2x4") != NULL)
        return elements / 4 + (elements % 4 != 0);
    if (dfx_ckd_mul(&bytes, elements,
                    dfx_type_size(type->type)))
        return UINT64_MAX;
    return bytes;
}

static bool
is_number(const char *key)
{
    return key[0] != '\0' && key[strspn(key, "0123456789")] == '\0';
}

/* A storage that the pickle names: (..., type, key, location, elements). */
static void
bind(dfx_torch_file *file, const dfx_pickle_node *node)
{
    const dfx_pickle_node *id = node->id, *key, *count;
    const dfx_pickle_global *type;
    dfx_torch_storage *storage;
    dfx_audit *audit = file->audit;

    if (id->kind != DFX_PICKLE_TUPLE || id->list.count < 5 ||
        id->list.items[1]->kind != DFX_PICKLE_GLOBAL)
        return;
    type = id->list.items[1]->global.known;
    key = id->list.items[2];
    count = id->list.items[4];
    if (type == NULL || type->use != DFX_USE_STORAGE)
        return; /* told by the machine, or no class of storages */
    if (key->kind != DFX_PICKLE_TEXT || !is_number(key->text.data)) {
        dfx_audit_report(audit, DFX_VERDICT_SUSPICIOUS, DFX_RULE_PT_STORAGE_KEY,
                         NULL, node->at, "a storage whose key is no number");
        return;
    }
    storage = dfx_torch_find_storage(file, key->text.data);
    if (storage == NULL) {
        dfx_audit_report(audit, DFX_VERDICT_SUSPICIOUS,
                         DFX_RULE_PT_STORAGE_MISSING, NULL, node->at,
                         "storage %s is not in the file", key->text.data);
        return;
    }
    if (count->kind != DFX_PICKLE_INT || count->number < 0 ||
        dfx_torch_bytes(type, (uint64_t)count->number) != storage->size)
        dfx_audit_report(
            audit, DFX_VERDICT_SUSPICIOUS, DFX_RULE_PT_STORAGE_SIZE, NULL,
            node->at,
            "storage %s has %" PRIu64 " bytes, not %" PRId64 " elements of %s",
            key->text.data, storage->size,
            count->kind == DFX_PICKLE_INT ? count->number : -1, type->name);
    if (storage->type != NULL && storage->type != type &&
        strcmp(storage->type->name, type->name) != 0)
        dfx_audit_report(audit, DFX_VERDICT_SUSPICIOUS,
                         DFX_RULE_PT_STORAGE_TYPE, NULL, node->at,
                         "storage %s is used as %s and as %s", key->text.data,
                         storage->type->name, type->name);
    if (storage->type == NULL)
        storage->type = type;
    storage->used = true;
}

void
dfx_torch_bind(dfx_torch_file *file)
{
    bool any = false;

    if (file->is_tar || file->pickle.root == NULL)
        return;
    for (const dfx_pickle_node *node = file->pickle.last; node != NULL;
         node = node->next)
        if (node->kind == DFX_PICKLE_PERSID)
            bind(file, node);
    for (size_t i = 0; i < file->storage_count; i++)
        any = any || file->storages[i].used;
    for (size_t i = 0; any && i < file->storage_count; i++)
        if (!file->storages[i].used)
            dfx_audit_report(file->audit, DFX_VERDICT_SUSPICIOUS,
                             DFX_RULE_PT_STORAGE_UNUSED, NULL, DFX_NO_OFFSET,
                             "storage %s belongs to nothing",
                             file->storages[i].key);
}

/* ---- Pickles -------------------------------------------------------------
 */

/* The name of a part of the file that is audited. */
static const char *
inner_name(dfx_torch_file *file, const char *within)
{
    const char *where = file->audit->where;

    if (where == NULL || where[0] == '\0')
        return within;
    if (within[0] == '\0')
        return where;
    return dfx_arena_printf(&file->arena, "%s: %s", where, within);
}

/* Tells of the pickle that comes. */
static void
print_name(const dfx_torch_file *file, const char *name)
{
    dfx_text line = {0};

    if (file->line == NULL)
        return;
    dfx_text_printf(&line, "# %s", name[0] != '\0' ? name : "the file");
    if (!line.failed)
        file->line(file->context, line.data);
    dfx_text_fini(&line);
}

dfx_status
dfx_torch_scan(dfx_torch_file *file, const dfx_io *io, uint64_t offset,
               const char *within, dfx_pickle *pickle, dfx_error *err)
{
    const dfx_pickle_reading reading = {
        .io = io,
        .offset = offset,
        .arena = &file->arena,
        .audit = file->audit,
        .torchscript = file->is_script,
        .keys = file->is_tar,
        .line = file->line,
        .context = file->context,
    };
    const char *where = file->audit->where;
    const char *name = inner_name(file, within);
    dfx_status status;

    if (name == NULL)
        return dfx_fail_nomem(err);
    file->audit->where = name;
    print_name(file, name);
    status = dfx_pickle_read(&reading, pickle, err);
    file->audit->where = where;
    return status;
}

dfx_status
dfx_torch_scan_rest(dfx_torch_file *file, const dfx_io *io, uint64_t offset,
                    const char *within, dfx_error *err)
{
    const dfx_pickle_reading reading = {
        .io = io,
        .offset = offset,
        .arena = &file->arena,
        .audit = file->audit,
        .line = file->line,
        .context = file->context,
    };
    const char *where = file->audit->where;
    const char *name = inner_name(file, within);
    dfx_status status;

    if (name == NULL)
        return dfx_fail_nomem(err);
    file->audit->where = name;
    status = dfx_pickle_trailing(&reading, err);
    file->audit->where = where;
    return status;
}

/* ---- Arrays of numpy -----------------------------------------------------
 */

bool
dfx_torch_is_npy(const uint8_t *head, size_t size)
{
    return size >= 10 && memcmp(head, "\x93NUMPY", 6) == 0;
}

/* 93 "NUMPY", version, u16 or u32 size, a text with 'descr': '|O'. */
dfx_status
dfx_torch_read_npy(dfx_torch_file *file, const dfx_io *io, dfx_error *err)
{
    uint64_t size = dfx_io_size(io), start;
    uint8_t head[12] = {0};
    char text[1024];
    size_t n;
    dfx_pickle pickle;

    DFX_TRY(dfx_io_read_at(io, 0, head, size < 12 ? (size_t)size : 12, err));
    start = head[6] >= 2
                ? 12 + ((uint64_t)head[8] | (uint64_t)head[9] << 8 |
                        (uint64_t)head[10] << 16 | (uint64_t)head[11] << 24)
                : 10 + ((uint64_t)head[8] | (uint64_t)head[9] << 8);
    n = size < sizeof text - 1 ? (size_t)size : sizeof text - 1;
    if (start < n)
        n = (size_t)start;
    DFX_TRY(dfx_io_read_at(io, 0, text, n, err));
    text[n] = '\0';
    for (size_t i = 0; i < n; i++)
        if (text[i] == '\0')
            text[i] = ' ';
    if (strchr(text, 'O') == NULL || start >= size ||
        strstr(text, "O'") == NULL)
        return DFX_OK; /* numbers */
    return dfx_torch_scan(file, io, start, "", &pickle, err);
}

/* ---- Which container -----------------------------------------------------
 */

/* Containers that torch does not read and others may. */
static const struct {
    const char *magic;
    size_t size;
    dfx_rule rule;
    const char *name;
} others[] = {
    {"7z\xbc\xaf\x27\x1c", 6, DFX_RULE_PT_CONTAINER_7Z, "a 7z archive"},
    {"\x1f\x8b", 2, DFX_RULE_PT_CONTAINER_GZIP, "compressed by gzip"},
    {"BZh", 3, DFX_RULE_PT_CONTAINER_BZIP2, "compressed by bzip2"},
    {"\xfd\x37zXZ\0", 6, DFX_RULE_PT_CONTAINER_XZ, "compressed by xz"},
    {"\x04\x22\x4d\x18", 4, DFX_RULE_PT_CONTAINER_LZ4, "compressed by lz4"},
};

static bool
tell_other(dfx_torch_file *file, const uint8_t *head, size_t size)
{
    for (size_t i = 0; i < sizeof others / sizeof others[0]; i++)
        if (size >= others[i].size &&
            memcmp(head, others[i].magic, others[i].size) == 0) {
            dfx_audit_report(file->audit, DFX_VERDICT_CANNOT_TELL,
                             others[i].rule, NULL, 0, "the file is %s",
                             others[i].name);
            return true;
        }
    return false;
}

static bool
is_tar(const uint8_t *head, size_t size)
{
    return size >= 512 && memcmp(head + 257, "ustar", 5) == 0;
}

static dfx_status
ignore_fault(void *context, dfx_zip_fault fault, const dfx_zip_member *member,
             uint64_t offset, const char *text, dfx_error *err)
{
    (void)context;
    (void)fault;
    (void)member;
    (void)offset;
    (void)text;
    (void)err;
    return DFX_OK;
}

/* Readers of zip look at the end of a file first. */
static dfx_status
ends_in_zip(const dfx_io *io, bool *is_zip, dfx_error *err)
{
    dfx_zip zip;

    DFX_TRY(dfx_zip_read(io, ignore_fault, NULL, &zip, err));
    *is_zip = zip.count > 0;
    dfx_zip_fini(&zip);
    return DFX_OK;
}

/* A file that does not start as a zip. */
static dfx_status
read_other(dfx_torch_file *file, const uint8_t *head, size_t size,
           dfx_error *err)
{
    bool is_zip = false;

    DFX_TRY(ends_in_zip(file->io, &is_zip, err));
    if (is_zip && dfx_pickle_bid(head, size) == 0)
        return dfx_torch_read_zip(file, err);
    if (is_zip) {
        dfx_audit_report(file->audit, DFX_VERDICT_DANGEROUS,
                         DFX_RULE_PT_CONTAINER_POLYGLOT, NULL, 0,
                         "starts as a pickle and ends as a zip");
        DFX_TRY(dfx_torch_read_zip(file, err));
    }
    return dfx_torch_read_legacy(file, err);
}

static dfx_status
read_container(dfx_torch_file *file, dfx_error *err)
{
    uint8_t head[HEAD_SIZE];
    uint64_t whole = dfx_io_size(file->io);
    size_t size = whole < HEAD_SIZE ? (size_t)whole : HEAD_SIZE;

    DFX_TRY(dfx_io_read_at(file->io, 0, head, size, err));
    if (size >= 4 && memcmp(head, "PK\3\4", 4) == 0)
        return dfx_torch_read_zip(file, err);
    if (is_tar(head, size))
        return dfx_torch_read_tar(file, err);
    if (dfx_torch_is_npy(head, size))
        return dfx_torch_read_npy(file, file->io, err);
    if (tell_other(file, head, size))
        return DFX_OK;
    return read_other(file, head, size, err);
}

/* Suffixes of formats that hold no code: who opens such a file expects none. */
static void
check_suffix(dfx_torch_file *file, const char *path)
{
    static const char *const harmless[] = {
        ".safetensors", ".json", ".txt",  ".md",   ".yaml", ".yml",
        ".gguf",        ".dduf", ".png",  ".jpg",  ".jpeg", ".webp",
        ".gif",         ".csv",  ".onnx", ".html", ".toml", ".pdf",
    };
    size_t size = strlen(path);

    for (size_t i = 0; i < sizeof harmless / sizeof harmless[0]; i++) {
        size_t tail = strlen(harmless[i]);

        if (size > tail && strcmp(path + size - tail, harmless[i]) == 0)
            dfx_audit_report(file->audit, DFX_VERDICT_SUSPICIOUS,
                             DFX_RULE_PT_CONTAINER_SUFFIX, NULL, DFX_NO_OFFSET,
                             "a pickle is called %s", harmless[i]);
    }
}

dfx_status
dfx_torch_load(const dfx_place *place, dfx_torch_file *file, dfx_error *err)
{
    dfx_io *io = NULL;

    DFX_TRY(dfx_place_open(place, &io, err));
    DFX_TRY(dfx_torch_take_io(file, io, err));
    file->io = io;
    check_suffix(file, place->path);
    DFX_TRY(read_container(file, err));
    dfx_torch_bind(file);
    return DFX_OK;
}

void
dfx_torch_fini(dfx_torch_file *file)
{
    /* The last ones stand on the first. */
    while (file->io_count > 0)
        dfx_io_close(file->ios[--file->io_count]);
    free(file->ios);
    free(file->storages);
    free(file->named);
    dfx_arena_fini(&file->arena);
}
