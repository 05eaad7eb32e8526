/*
 * torch_legacy.c - the stream that torch.save wrote before 1.6, and bare
 * pickles
 *
 * Five pickles, then the storages: a magic number, a protocol version, facts
 * about the machine, the object, the sorted keys of the storages; then for each
 * of them a count and the elements.
 */
#include <config.h>

#include <stdlib.h>
#include <string.h>

#include "torch.h"
#include "types.h"

enum { PROTOCOL_VERSION = 1001 };

static const char magic[] = "\x6c\xfc\x9c\x46\xf9\x20\x6a\xa8\x50\x19";

struct use;

typedef struct reader {
    dfx_torch_file *file;
    uint64_t at;      /* of what comes next */
    struct use *uses; /* owned; of storages by the object */
    size_t use_count, use_capacity;
    dfx_error *err;
} reader;

static void
tell(reader *r, dfx_verdict verdict, dfx_rule rule, const char *text)
{
    dfx_audit_report(r->file->audit, verdict, rule, NULL, r->at, "%s", text);
}

/* The next pickle of the stream. */
static dfx_status
next(reader *r, const char *name, dfx_pickle *pickle)
{
    DFX_TRY(dfx_torch_scan(r->file, r->file->io, r->at, name, pickle, r->err));
    r->at = pickle->end;
    return DFX_OK;
}

static bool
is_integer(const dfx_pickle_node *node)
{
    return node->kind == DFX_PICKLE_INT || node->kind == DFX_PICKLE_LONG;
}

static bool
is_magic(const dfx_pickle_node *node)
{
    return node->kind == DFX_PICKLE_LONG &&
           node->text.size == sizeof magic - 1 &&
           memcmp(node->text.data, magic, sizeof magic - 1) == 0;
}

/* ---- Storages ------------------------------------------------------------
 */

/* The class that the object uses a storage as. */
typedef struct use {
    const char *key;
    const dfx_pickle_global *class;
} use;

static int
compare_uses(const void *a, const void *b)
{
    const use *x = a, *y = b;

    return strcmp(x->key, y->key);
}

/* All of them, sorted by key. */
static dfx_status
list_uses(reader *r)
{
    for (const dfx_pickle_node *node = r->file->pickle.last; node != NULL;
         node = node->next) {
        const dfx_pickle_node *id = node->id, *class;

        if (node->kind != DFX_PICKLE_PERSID || id->kind != DFX_PICKLE_TUPLE ||
            id->list.count < 5 || id->list.items[2]->kind != DFX_PICKLE_TEXT)
            continue;
        class = id->list.items[1];
        if (class->kind != DFX_PICKLE_GLOBAL || class->global.known == NULL ||
            class->global.known->use != DFX_USE_STORAGE)
            continue;
        if (!dfx_grow(&r->uses, &r->use_capacity, r->use_count,
                      sizeof *r->uses))
            return dfx_fail_nomem(r->err);
        r->uses[r->use_count++] =
            (use){id->list.items[2]->text.data, class->global.known};
    }
    if (r->use_count > 0)
        qsort(r->uses, r->use_count, sizeof *r->uses, compare_uses);
    return DFX_OK;
}

/* NULL: the object does not use it. */
static const dfx_pickle_global *
class_of(const reader *r, const char *key)
{
    const use wanted = {.key = key}, *found = NULL;

    if (r->use_count > 0)
        found = bsearch(&wanted, r->uses, r->use_count, sizeof *r->uses,
                        compare_uses);
    return found != NULL ? found->class : NULL;
}

/* One storage; *good is false where nothing after it can be found. */
static dfx_status
add_storage(reader *r, const char *key, bool *good)
{
    const dfx_pickle_global *class = class_of(r, key);
    uint64_t left = dfx_io_size(r->file->io) - r->at, count = 0, size;
    uint8_t bytes[8];
    dfx_io *io = NULL;

    *good = false;
    if (class == NULL) {
        tell(r, DFX_VERDICT_SUSPICIOUS, DFX_RULE_PT_STORAGE_UNUSED,
             "a storage belongs to nothing");
        return DFX_OK;
    }
    if (left < sizeof bytes) {
        tell(r, DFX_VERDICT_SUSPICIOUS, DFX_RULE_PT_STORAGE_SIZE,
             "the file ends before a storage");
        return DFX_OK;
    }
    DFX_TRY(dfx_io_read_at(r->file->io, r->at, bytes, sizeof bytes, r->err));
    for (size_t i = sizeof bytes; i-- > 0;)
        count = count << 8 | bytes[i];
    r->at += sizeof bytes;
    size = dfx_torch_bytes(class, count);
    if (size > left - sizeof bytes) {
        tell(r, DFX_VERDICT_SUSPICIOUS, DFX_RULE_PT_STORAGE_SIZE,
             "the file ends in a storage");
        return DFX_OK;
    }
    DFX_TRY(dfx_io_open_slice(r->file->io, r->at, size, &io, r->err));
    DFX_TRY(dfx_torch_take_io(r->file, io, r->err));
    DFX_TRY(dfx_torch_add_storage(r->file, key, io, size, r->err));
    r->at += size;
    *good = true;
    return DFX_OK;
}

/* Bytes after all that torch reads: another pickle, or something else. */
static dfx_status
check_tail(reader *r)
{
    dfx_audit quiet = {.where = ""};
    dfx_arena arena = {0};
    dfx_pickle_reading reading = {
        .io = r->file->io, .offset = r->at, .arena = &arena, .audit = &quiet};
    dfx_pickle pickle = {0};
    dfx_status status;

    if (r->at >= dfx_io_size(r->file->io))
        return DFX_OK;
    status = dfx_pickle_read(&reading, &pickle, r->err);
    dfx_arena_fini(&arena);
    if (status != DFX_OK)
        return status;
    if (quiet.verdict >= DFX_VERDICT_SUSPICIOUS)
        return dfx_torch_scan_rest(r->file, r->file->io, r->at, "", r->err);
    tell(r, DFX_VERDICT_SUSPICIOUS, DFX_RULE_PT_CONTAINER_TAIL,
         "bytes after the last storage");
    return DFX_OK;
}

static dfx_status
read_storages(reader *r)
{
    dfx_pickle keys;
    bool good = true;

    DFX_TRY(list_uses(r));
    DFX_TRY(next(r, "storage keys", &keys));
    if (keys.root == NULL)
        return DFX_OK;
    if (keys.root->kind != DFX_PICKLE_LIST) {
        tell(r, DFX_VERDICT_SUSPICIOUS, DFX_RULE_PT_STORAGE_KEY,
             "the keys of the storages are no list");
        return DFX_OK;
    }
    for (size_t i = 0; good && i < keys.root->list.count; i++) {
        const dfx_pickle_node *key = keys.root->list.items[i];

        good = key->kind == DFX_PICKLE_TEXT;
        if (!good)
            tell(r, DFX_VERDICT_SUSPICIOUS, DFX_RULE_PT_STORAGE_KEY,
                 "the key of a storage is no text");
        else if (i > 0 && strcmp(keys.root->list.items[i - 1]->text.data,
                                 key->text.data) == 0)
            tell(r, DFX_VERDICT_SUSPICIOUS, DFX_RULE_PT_STORAGE_KEY,
                 "a storage is there twice");
        if (good)
            DFX_TRY(add_storage(r, key->text.data, &good));
    }
    dfx_torch_sort_storages(r->file);
    return good ? check_tail(r) : DFX_OK;
}

/* ---- The stream ----------------------------------------------------------
 */

/* {"little_endian": True, ...}. */
static void
read_facts(reader *r, const dfx_pickle *facts)
{
    const dfx_pickle_node *little;

    if (facts->root == NULL || facts->root->kind != DFX_PICKLE_DICT)
        return;
    little = dfx_pickle_get(facts->root, "little_endian");
    r->file->big_endian =
        little != NULL && little->kind == DFX_PICKLE_BOOL && !little->truth;
}

/* A pickle that is all of the file, or several of which loaders take the
   first. */
static dfx_status
read_bare(reader *r, const dfx_pickle *first)
{
    r->file->pickle = *first;
    if (first->root == NULL)
        return DFX_OK;
    return dfx_torch_scan_rest(r->file, r->file->io, r->at, "", r->err);
}

/* What follows a magic number, whatever that is. */
static dfx_status
read_rest(reader *r)
{
    dfx_pickle version, facts;

    DFX_TRY(next(r, "protocol version", &version));
    if (version.root == NULL)
        return DFX_OK;
    if (version.root->kind != DFX_PICKLE_INT ||
        version.root->number != PROTOCOL_VERSION)
        tell(r, DFX_VERDICT_SUSPICIOUS, DFX_RULE_PT_LEGACY_PROTOCOL,
             "the protocol version is not 1001");
    DFX_TRY(next(r, "system", &facts));
    read_facts(r, &facts);
    if (facts.root == NULL)
        return DFX_OK;
    DFX_TRY(next(r, "object", &r->file->pickle));
    return r->file->pickle.root == NULL ? DFX_OK : read_storages(r);
}

static dfx_status
read_stream(reader *r)
{
    dfx_pickle first;

    DFX_TRY(next(r, "", &first));
    /* The number may be what a call gives. */
    if (first.root == NULL || r->at >= dfx_io_size(r->file->io) ||
        (!is_integer(first.root) && first.root->kind != DFX_PICKLE_CALL))
        return read_bare(r, &first);
    if (!is_magic(first.root))
        tell(r, DFX_VERDICT_CANNOT_TELL, DFX_RULE_PT_LEGACY_MAGIC,
             "the first pickle is not PyTorch's magic number");
    return read_rest(r);
}

dfx_status
dfx_torch_read_legacy(dfx_torch_file *file, dfx_error *err)
{
    reader r = {.file = file, .err = err};
    dfx_status status = read_stream(&r);

    free(r.uses);
    return status;
}
