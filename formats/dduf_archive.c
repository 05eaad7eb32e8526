/*
 * dduf_archive.c - a DDUF file as an archive: listed, unpacked, changed
 *
 * A changed archive is a new one, planned from the entries that stay, which are
 * copied as they lie in the old one, and from those that come.
 */
#include <config.h>

#include <stdlib.h>
#include <string.h>

#include "configs.h"
#include "dduf.h"
#include "document.h"
#include "out.h"

struct dfx_archive {
    char *path; /* owned */
    dfx_place place;
    dfx_open_options options;
    dfx_dduf dduf;
    dfx_archive_entry *entries; /* owned; as the members */
};

/* An entry of the archive to write. */
typedef struct outgoing {
    dfx_member member;
    const dfx_zip_member *kept; /* NULL: a new one */
} outgoing;

/* An archive being planned. */
typedef struct revision {
    const dfx_archive *base; /* NULL: none */
    dfx_plan *plan;
    bool plain;
    outgoing *entries; /* owned */
    size_t count;
} revision;

/* ---- Reading -------------------------------------------------------------
 */

static dfx_status
list_entries(dfx_archive *archive, dfx_error *err)
{
    const dfx_dduf *d = &archive->dduf;

    archive->entries = calloc(d->member_count + 1, sizeof *archive->entries);
    if (archive->entries == NULL)
        return dfx_fail_nomem(err);
    for (size_t i = 0; i < d->member_count; i++) {
        const dfx_member *m = &d->members[i];

        const dfx_zip_member *z = dfx_zip_find(&d->zip, m->path);

        archive->entries[i] =
            (dfx_archive_entry){m->path, m->data, z->data, z->crc};
    }
    return DFX_OK;
}

dfx_status
dfx_archive_open(const char *path, const dfx_open_options *options,
                 dfx_archive **archive, dfx_error *err)
{
    dfx_archive *made = calloc(1, sizeof *made);
    dfx_status status;

    if (made == NULL)
        return dfx_fail_nomem(err);
    made->path = strdup(path);
    if (made->path == NULL) {
        free(made);
        return dfx_fail_nomem(err);
    }
    if (options != NULL)
        made->options = *options;
    made->place = (dfx_place){made->path, NULL};
    made->dduf = (dfx_dduf){
        .place = &made->place, .options = &made->options, .err = err};
    status = dfx_dduf_open(&made->dduf);
    made->dduf.err = NULL; /* the caller's, of this call */
    if (status == DFX_OK)
        status = list_entries(made, err);
    if (status == DFX_OK)
        *archive = made;
    else
        dfx_archive_free(made);
    return status;
}

void
dfx_archive_free(dfx_archive *archive)
{
    if (archive == NULL)
        return;
    dfx_dduf_fini(&archive->dduf);
    free(archive->entries);
    free(archive->path);
    free(archive);
}

const dfx_archive_entry *
dfx_archive_entries(const dfx_archive *archive, size_t *count)
{
    *count = archive->dduf.member_count;
    return archive->entries;
}

/* ---- Choosing ------------------------------------------------------------
 */

/* path is the entry, or a folder that it is in. */
static bool
stands_for(const char *path, const char *entry)
{
    size_t size = strlen(path);

    if (size > 0 && path[size - 1] == '/')
        size--;
    return strncmp(path, entry, size) == 0 &&
           (entry[size] == '\0' || entry[size] == '/');
}

static dfx_status
fail_absent(const dfx_archive *archive, const char *path, dfx_error *err)
{
    dfx_status status = dfx_fail_usage(err, "there is no entry \"%s\"", path);

    dfx_error_in_file(err, archive->path);
    return status;
}

/* Every path stands for an entry. */
static dfx_status
check_present(const dfx_archive *archive, const char *path, dfx_error *err)
{
    for (size_t i = 0; i < archive->dduf.member_count; i++)
        if (stands_for(path, archive->entries[i].path))
            return DFX_OK;
    return fail_absent(archive, path, err);
}

/* The bytes of an extent as the next piece. */
static dfx_status
add_bytes(dfx_plan *plan, size_t output, const dfx_extent *data, dfx_error *err)
{
    const dfx_tensor t = {.name = "",
                          .type = DFX_TYPE_U8,
                          .rank = 1,
                          .shape = &data->size,
                          .data = *data};
    const dfx_expr *x = NULL;

    DFX_TRY(dfx_expr_tensor(&plan->arena, &t, &x, err));
    return dfx_plan_add_piece(plan, output, x, err);
}

/* ---- Unpacking -----------------------------------------------------------
 */

static dfx_status
extract_entries(const dfx_archive *archive, const char *const *paths,
                size_t count, dfx_plan *plan, dfx_error *err)
{
    for (size_t i = 0; i < count; i++)
        DFX_TRY(check_present(archive, paths[i], err));
    for (size_t i = 0; i < archive->dduf.member_count; i++) {
        const dfx_archive_entry *entry = &archive->entries[i];
        bool wanted = count == 0;
        size_t output = 0;

        for (size_t j = 0; j < count && !wanted; j++)
            wanted = stands_for(paths[j], entry->path);
        if (!wanted)
            continue;
        DFX_TRY(dfx_plan_add_file(plan, entry->path, &output, err));
        DFX_TRY(add_bytes(plan, output, &entry->data, err));
    }
    return dfx_plan_seal(plan, err);
}

static dfx_status
new_plan(const char *dst, bool is_folder, const dfx_archive_options *options,
         dfx_plan **plan, dfx_error *err)
{
    DFX_TRY(dfx_plan_new(dst, is_folder, plan, err));
    if (options != NULL) {
        (*plan)->force = options->force;
        (*plan)->sync = options->sync;
    }
    return DFX_OK;
}

dfx_status
dfx_archive_extract(const dfx_archive *archive, const char *const *paths,
                    size_t count, const char *dst,
                    const dfx_archive_options *options, dfx_plan **plan,
                    dfx_error *err)
{
    dfx_plan *made = NULL;
    dfx_status status;

    DFX_TRY(dfx_out_check_input(dst, archive->path, err));
    DFX_TRY(new_plan(dst, true, options, &made, err));
    made->is_ours = dfx_format_named("diffusers")->is_ours;
    status = extract_entries(archive, paths, count, made, err);
    if (status == DFX_OK)
        *plan = made;
    else
        dfx_plan_free(made);
    return status;
}

/* ---- Changing ------------------------------------------------------------
 */

static bool
is_removal(const dfx_archive_change *change)
{
    return change->file == NULL && change->data == NULL;
}

/* Entries of the base that no change is about. */
static void
keep_entries(revision *r, const dfx_archive_change *changes, size_t count)
{
    const dfx_dduf *d = &r->base->dduf;

    for (size_t i = 0; i < d->member_count; i++) {
        const dfx_member *m = &d->members[i];
        const dfx_zip_member *kept = dfx_zip_find(&d->zip, m->path);
        bool stays = true;

        for (size_t j = 0; j < count && stays; j++)
            stays = is_removal(&changes[j])
                        ? !stands_for(changes[j].path, m->path)
                        : strcmp(changes[j].path, m->path) != 0;
        /* Not the io that checks the CRC: it is copied as it is. */
        if (stays)
            r->entries[r->count++] = (outgoing){
                {m->path, {d->ios[0], kept->data, kept->size}}, kept};
    }
}

static dfx_status
add_entry(revision *r, const dfx_archive_change *change, dfx_error *err)
{
    dfx_rule rule = dfx_dduf_name_rule(change->path, strlen(change->path));
    dfx_io *io = NULL;

    if (rule != DFX_RULE_COUNT)
        return dfx_fail(err, rule, DFX_NO_OFFSET,
                        "%s: no entry can be called so", change->path);
    DFX_TRY(change->file != NULL
                ? dfx_io_open_file(change->file, &io, err)
                : dfx_io_open_memory(change->data, change->size, change->path,
                                     &io, err));
    DFX_TRY(dfx_plan_take_io(r->plan, io, err));
    r->entries[r->count++] =
        (outgoing){{change->path, {io, 0, dfx_io_size(io)}}, NULL};
    if (change->file == NULL)
        return DFX_OK;
    return dfx_out_check_input(r->plan->dst, change->file, err);
}

static int
compare_paths(const void *a, const void *b)
{
    const outgoing *x = a, *y = b;

    return strcmp(x->member.path, y->member.path);
}

static int
compare_order(const void *a, const void *b)
{
    const outgoing *x = a, *y = b;

    return dfx_dduf_compare(x->member.path, y->member.path);
}

/* The rules of the archive that it will be. */
static dfx_status
check_result(const revision *r, dfx_error *err)
{
    static const dfx_open_options options = {0};
    dfx_member *members = calloc(r->count + 1, sizeof *members);
    const dfx_place place = {r->plan->dst, NULL};
    dfx_dduf next = {
        .place = &place,
        .options = &options,
        .members = members,
        .member_count = r->count,
        .mount = {place.path, members, r->count},
        .err = err,
    };
    dfx_status status;

    if (members == NULL)
        return dfx_fail_nomem(err);
    for (size_t i = 0; i < r->count; i++)
        members[i] = r->entries[i].member;
    status = dfx_dduf_check_index(&next);
    if (status == DFX_OK)
        status = dfx_dduf_check_members(&next);
    free(members);
    return status;
}

static dfx_status
lay_out(const revision *r, dfx_error *err)
{
    dfx_zip_writer *zip = NULL;
    size_t output = 0;

    DFX_TRY(dfx_plan_add_file(r->plan, "", &output, err));
    DFX_TRY(dfx_zip_begin(r->plan, output, &dfx_dduf_style, &zip, err));
    for (size_t i = 0; i < r->count; i++) {
        const outgoing *entry = &r->entries[i];
        const char *path = entry->member.path;
        uint64_t size = entry->member.data.size;
        unsigned align = dfx_dduf_alignment(path, r->plain);

        if (entry->kept != NULL)
            DFX_TRY(dfx_zip_member_known(zip, path, size, align,
                                         entry->kept->crc, err));
        else
            DFX_TRY(dfx_zip_member_begin(zip, path, size, align, err));
        DFX_TRY(add_bytes(r->plan, output, &entry->member.data, err));
        DFX_TRY(dfx_zip_member_end(zip, err));
    }
    DFX_TRY(dfx_zip_end(zip, err));
    return dfx_plan_seal(r->plan, err);
}

static dfx_status
revise(revision *r, const dfx_archive_change *changes, size_t count,
       dfx_error *err)
{
    size_t base = r->base != NULL ? r->base->dduf.member_count : 0;

    r->entries = calloc(base + count + 1, sizeof *r->entries);
    if (r->entries == NULL)
        return dfx_fail_nomem(err);
    if (r->base != NULL)
        keep_entries(r, changes, count);
    for (size_t i = 0; i < count; i++) {
        if (!is_removal(&changes[i]))
            DFX_TRY(add_entry(r, &changes[i], err));
        else if (r->base == NULL)
            return dfx_fail_usage(err,
                                  "there is no archive to remove \"%s\" "
                                  "from",
                                  changes[i].path);
        else
            DFX_TRY(check_present(r->base, changes[i].path, err));
    }
    if (r->count > 0)
        qsort(r->entries, r->count, sizeof *r->entries, compare_paths);
    for (size_t i = 1; i < r->count; i++)
        if (compare_paths(&r->entries[i - 1], &r->entries[i]) == 0)
            return dfx_fail(err, DFX_RULE_CONVERT_CLASH, DFX_NO_OFFSET,
                            "two files are to become \"%s\"",
                            r->entries[i].member.path);
    DFX_TRY(check_result(r, err));
    if (r->count > 0)
        qsort(r->entries, r->count, sizeof *r->entries, compare_order);
    return lay_out(r, err);
}

dfx_status
dfx_archive_plan(const dfx_archive *base, const dfx_archive_change *changes,
                 size_t count, const char *dst,
                 const dfx_archive_options *options, dfx_plan **plan,
                 dfx_error *err)
{
    revision r = {.base = base, .plain = options != NULL && options->plain};
    dfx_status status;

    DFX_TRY(new_plan(dst, false, options, &r.plan, err));
    status = revise(&r, changes, count, err);
    free(r.entries);
    if (status == DFX_OK)
        *plan = r.plan;
    else
        dfx_plan_free(r.plan);
    return status;
}

/* ---- Setting fields ------------------------------------------------------
 */

static const char *
path_at(const void *list, size_t i)
{
    const dfx_archive_entry *entries = list;

    return entries[i].path;
}

/* docs[i] is entry i as the settings make it; NULL: none is about it. */
static dfx_status
apply_settings(const dfx_archive *archive, const char *const *settings,
               size_t count, cJSON **docs, dfx_error *err)
{
    for (size_t i = 0; i < count; i++) {
        size_t at = 0;
        dfx_status status =
            dfx_setting_find(settings[i], path_at, archive->entries,
                             archive->dduf.member_count, &at, err);

        if (status == DFX_OK && docs[at] == NULL)
            status = dfx_doc_read(&archive->entries[at].data, &docs[at], err);
        if (status == DFX_OK)
            status = dfx_setting_apply(settings[i], docs[at], err);
        if (status != DFX_OK) {
            dfx_error_in_file(err, archive->path);
            return status;
        }
    }
    return DFX_OK;
}

/* The document as a change of its entry, unless it says what that says. */
static dfx_status
add_document(revision *r, const dfx_archive_entry *entry, const cJSON *doc,
             dfx_archive_change *changes, size_t *count, dfx_error *err)
{
    cJSON *before = NULL;
    char *printed, *text;
    bool same;

    DFX_TRY(dfx_doc_read(&entry->data, &before, err));
    same = dfx_doc_equal(before, doc);
    cJSON_Delete(before);
    if (same)
        return DFX_OK;
    printed = dfx_doc_print(doc, false);
    text = printed != NULL ? dfx_arena_strdup(&r->plan->arena, printed) : NULL;
    free(printed);
    if (text == NULL)
        return dfx_fail_nomem(err);
    changes[(*count)++] = (dfx_archive_change){
        .path = entry->path, .data = text, .size = strlen(text)};
    return DFX_OK;
}

static dfx_status
revise_documents(revision *r, const char *const *settings, size_t count,
                 cJSON **docs, dfx_archive_change *changes, dfx_error *err)
{
    const dfx_archive *base = r->base;
    size_t changed = 0;

    DFX_TRY(apply_settings(base, settings, count, docs, err));
    for (size_t i = 0; i < base->dduf.member_count; i++)
        if (docs[i] != NULL)
            DFX_TRY(add_document(r, &base->entries[i], docs[i], changes,
                                 &changed, err));
    return revise(r, changes, changed, err);
}

dfx_status
dfx_archive_set(const dfx_archive *base, const char *const *settings,
                size_t count, const char *dst,
                const dfx_archive_options *options, dfx_plan **plan,
                dfx_error *err)
{
    revision r = {.base = base, .plain = options != NULL && options->plain};
    size_t room = base->dduf.member_count + 1;
    dfx_archive_change *changes = calloc(room, sizeof *changes);
    cJSON **docs = calloc(room, sizeof(cJSON *));
    dfx_status status = changes == NULL || docs == NULL
                            ? dfx_fail_nomem(err)
                            : new_plan(dst, false, options, &r.plan, err);

    if (status == DFX_OK)
        status = revise_documents(&r, settings, count, docs, changes, err);
    for (size_t i = 0; docs != NULL && i < room; i++)
        cJSON_Delete(docs[i]);
    free(docs);
    free(changes);
    free(r.entries);
    if (status == DFX_OK)
        *plan = r.plan;
    else
        dfx_plan_free(r.plan);
    return status;
}
