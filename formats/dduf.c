/*
 * dduf.c - DDUF: a Diffusers folder in a zip
 *
 * The entries are mounted, and the folder format reads them where they are.
 * Stricter than the reference (huggingface_hub 2.4), which takes whatever
 * Python's zipfile does: see zip.c.
 */
#include <config.h>

#include "dduf.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* ---- Rules ---------------------------------------------------------------
 */

static const struct {
    dfx_rule rule;
    bool is_warning;
} meanings[DFX_ZIP_FAULTS] = {
    [DFX_ZIP_END] = {DFX_RULE_DD_ZIP_END, false},
    [DFX_ZIP_DIRECTORY] = {DFX_RULE_DD_ZIP_DIRECTORY, false},
    [DFX_ZIP_COUNT] = {DFX_RULE_DD_ZIP_COUNT, false},
    [DFX_ZIP_DISK] = {DFX_RULE_DD_ZIP_DISK, false},
    [DFX_ZIP_ZIP64] = {DFX_RULE_DD_ZIP_ZIP64, false},
    [DFX_ZIP_EXTRA] = {DFX_RULE_DD_ZIP_EXTRA, false},
    [DFX_ZIP_PREFIX] = {DFX_RULE_DD_ZIP_PREFIX, false},
    [DFX_ZIP_TAIL] = {DFX_RULE_DD_ZIP_TAIL, false},
    [DFX_ZIP_GAP] = {DFX_RULE_DD_ZIP_GAP, false},
    [DFX_ZIP_OVERLAP] = {DFX_RULE_DD_ZIP_OVERLAP, false},
    [DFX_ZIP_COMMENT] = {DFX_RULE_DD_ZIP_COMMENT, true},
    [DFX_ZIP_COMMENT_BAD] = {DFX_RULE_DD_ZIP_COMMENT, false},
    [DFX_ZIP_METHOD] = {DFX_RULE_DD_ZIP_METHOD, false},
    [DFX_ZIP_ENCRYPTED] = {DFX_RULE_DD_ZIP_ENCRYPTED, false},
    [DFX_ZIP_FLAGS] = {DFX_RULE_DD_ZIP_FLAGS, false},
    [DFX_ZIP_MISMATCH] = {DFX_RULE_DD_ZIP_MISMATCH, false},
    [DFX_ZIP_SIZE] = {DFX_RULE_DD_ZIP_SIZE, false},
    [DFX_ZIP_OFFSET] = {DFX_RULE_DD_ZIP_OFFSET, false},
    [DFX_ZIP_SIGNATURE] = {DFX_RULE_DD_ZIP_SIGNATURE, false},
    [DFX_ZIP_ATTRIBUTES] = {DFX_RULE_DD_ZIP_ATTRIBUTES, false},
    [DFX_ZIP_ENCODING] = {DFX_RULE_DD_NAME_ENCODING, false},
    [DFX_ZIP_DUPLICATE] = {DFX_RULE_DD_NAME_DUPLICATE, false},
};

dfx_status
dfx_dduf_tell(const dfx_dduf *d, dfx_rule rule, bool is_warning,
              const char *entry, uint64_t offset, const char *fmt, ...)
{
    char text[DFX_ERROR_CHARS];
    dfx_error finding;
    va_list args;

    va_start(args, fmt);
    vsnprintf(text, sizeof text, fmt, args);
    va_end(args);
    dfx_fail(&finding, rule, offset, "%s%s%s", entry != NULL ? entry : "",
             entry != NULL ? ": " : "", text);
    dfx_error_in_file(&finding, d->place->path);
    if (d->found == NULL && is_warning)
        return d->index == NULL ? DFX_OK
                                : dfx_index_warn(d->index, d->err, "%s [%s]",
                                                 finding.text, finding.rule);
    if (d->found == NULL) {
        if (d->err != NULL)
            *d->err = finding;
        return finding.status;
    }
    if (is_warning)
        finding.status = DFX_OK;
    d->found(d->context, &finding);
    return DFX_OK;
}

static dfx_status
on_fault(void *context, dfx_zip_fault fault, const dfx_zip_member *member,
         uint64_t offset, const char *text, dfx_error *err)
{
    const dfx_dduf *d = context;

    (void)err;
    return dfx_dduf_tell(d, meanings[fault].rule, meanings[fault].is_warning,
                         member != NULL ? member->name : NULL, offset, "%s",
                         text);
}

/* ---- Opening -------------------------------------------------------------
 */

static int
compare_members(const void *a, const void *b)
{
    const dfx_member *x = a, *y = b;

    return strcmp(x->path, y->path);
}

/* An io for each entry that has its bytes in the file. */
static dfx_status
mount_entries(dfx_dduf *d)
{
    d->members = calloc(d->zip.count + 1, sizeof *d->members);
    if (d->members == NULL)
        return dfx_fail_nomem(d->err);
    for (size_t i = 0; i < d->zip.count; i++) {
        const dfx_zip_member *m = &d->zip.members[i];
        dfx_error fault;
        dfx_io *io = NULL;
        dfx_status status;

        if (m->data == UINT64_MAX || m->method != 0 || m->size != m->packed ||
            dfx_dduf_name_rule(m->name, m->name_size) != DFX_RULE_COUNT)
            continue; /* told */
        status =
            dfx_zip_open(&d->zip, m, DFX_RULE_DD_ZIP_CRC, 0, NULL, &io, &fault);
        if (status == DFX_ERR_FORMAT) { /* of no bytes, and a CRC of some */
            DFX_TRY(dfx_dduf_tell(d, DFX_RULE_DD_ZIP_CRC, false, m->name,
                                  m->header, "%s", fault.text));
            continue;
        }
        if (status != DFX_OK) {
            if (d->err != NULL)
                *d->err = fault;
            return status;
        }
        d->ios[d->io_count++] = io;
        d->members[d->member_count++] = (dfx_member){m->name, {io, 0, m->size}};
    }
    if (d->member_count > 0)
        qsort(d->members, d->member_count, sizeof *d->members, compare_members);
    d->mount = (dfx_mount){d->place->path, d->members, d->member_count};
    return DFX_OK;
}

dfx_status
dfx_dduf_open(dfx_dduf *d)
{
    dfx_io *io = NULL;

    DFX_TRY(dfx_place_open(d->place, &io, d->err));
    d->ios = calloc(1, sizeof *d->ios);
    if (d->ios == NULL) {
        dfx_io_close(io);
        return dfx_fail_nomem(d->err);
    }
    d->ios[d->io_count++] = io;
    DFX_TRY(dfx_zip_read(io, on_fault, d, &d->zip, d->err));
    free(d->ios);
    d->ios = calloc(d->zip.count + 1, sizeof *d->ios);
    if (d->ios == NULL) {
        d->io_count = 0;
        dfx_io_close(io);
        return dfx_fail_nomem(d->err);
    }
    d->ios[0] = io;
    DFX_TRY(dfx_dduf_check_names(d));
    DFX_TRY(mount_entries(d));
    return dfx_dduf_check_index(d);
}

void
dfx_dduf_fini(dfx_dduf *d)
{
    while (d->io_count > 0)
        dfx_io_close(d->ios[--d->io_count]);
    free(d->ios);
    free(d->members);
    dfx_zip_fini(&d->zip);
}

/* ---- The format ----------------------------------------------------------
 */

/* The folder that the entries make. */
static dfx_place
folder_of(const dfx_dduf *d)
{
    return (dfx_place){d->place->path, &d->mount};
}

static dfx_status
read_mounted(dfx_dduf *d, uint32_t component)
{
    const dfx_format *folder = dfx_format_named("diffusers");
    const dfx_place place = folder_of(d);
    dfx_open_options options = *d->options;

    options.format = NULL; /* that one was ours */
    return folder->read(&place, component, &options, d->index, d->err);
}

static dfx_status
dduf_read(const dfx_place *place, uint32_t component,
          const dfx_open_options *options, dfx_index *index, dfx_error *err)
{
    dfx_dduf d = {
        .place = place, .options = options, .index = index, .err = err};
    dfx_status status = dfx_dduf_open(&d), taken = DFX_OK;

    if (status == DFX_OK)
        status = read_mounted(&d, component);
    /* The index closes what its tensors are in. */
    for (size_t i = 0; i < d.io_count; i++) {
        dfx_status one =
            dfx_index_take_io(index, d.ios[i], status == DFX_OK ? err : NULL);

        taken = taken == DFX_OK ? one : taken;
    }
    d.io_count = 0;
    dfx_dduf_fini(&d);
    return status != DFX_OK ? status : taken;
}

static dfx_status
judge(const dfx_place *place, const dfx_open_options *options,
      dfx_finding_fn *found, void *context, dfx_dduf *d, dfx_error *err)
{
    dfx_status status;

    *d = (dfx_dduf){.place = place,
                    .options = options,
                    .found = found,
                    .context = context,
                    .err = err};
    status = dfx_dduf_open(d);
    if (status == DFX_OK)
        status = dfx_dduf_check_members(d);
    return status == DFX_OK ? dfx_dduf_check_sums(d) : status;
}

static dfx_status
dduf_validate(const dfx_place *place, const dfx_open_options *options,
              dfx_finding_fn *found, void *context, dfx_error *err)
{
    dfx_dduf d;
    dfx_status status = judge(place, options, found, context, &d, err);

    dfx_dduf_fini(&d);
    return status;
}

/* Broken rules as concerns. */
typedef struct finder {
    dfx_audit *audit;
    const char *path;
} finder;

static void
find_fault(void *context, const dfx_error *finding)
{
    static const char *const climbing[] = {"dd.name.dotdot", "dd.name.absolute",
                                           "dd.zip.attributes"};
    const finder *f = context;
    dfx_verdict verdict = DFX_VERDICT_CANNOT_TELL;

    if (finding->status == DFX_OK)
        return; /* a warning */
    for (size_t i = 0; i < sizeof climbing / sizeof climbing[0]; i++)
        if (strcmp(finding->rule, climbing[i]) == 0)
            verdict = DFX_VERDICT_DANGEROUS; /* unpackers write elsewhere */
    dfx_audit_fault(f->audit, verdict, f->path, finding);
}

static dfx_status
dduf_audit(const dfx_place *place, const dfx_open_options *options,
           dfx_audit *audit, dfx_error *err)
{
    finder f = {audit, place->path};
    dfx_dduf d;
    dfx_status status = judge(place, options, find_fault, &f, &d, err);

    if (status == DFX_OK) {
        const dfx_place root = folder_of(&d);

        status =
            dfx_format_named("diffusers")->audit(&root, options, audit, err);
    }
    dfx_dduf_fini(&d);
    return status;
}

/* The head of a zip whose first entry could be one of ours. */
static unsigned
dduf_bid(const dfx_evidence *evidence)
{
    enum { BID_ZIP = 32, BID_NAME = 48, BID_SUFFIX = 64, LOCAL_SIZE = 30 };
    const uint8_t *head = evidence->head;
    const char *path = evidence->place->path;
    size_t size = evidence->head_size, length = strlen(path), name;

    if (evidence->is_folder || size < LOCAL_SIZE ||
        memcmp(head, "PK\3\4", 4) != 0)
        return 0;
    if (length > 5 && strcmp(path + length - 5, ".dduf") == 0)
        return BID_SUFFIX;
    name = (size_t)head[26] | (size_t)head[27] << 8;
    if (name > size - LOCAL_SIZE)
        return 0;
    return dfx_dduf_name_rule((const char *)head + LOCAL_SIZE, name) ==
                   DFX_RULE_COUNT
               ? BID_NAME
               : 0;
}

const dfx_format dfx_format_dduf = {
    .name = "dduf",
    .summary = "DDUF archive: a Diffusers folder in one file",
    .suffix = ".dduf",
    .layout = DFX_LAYOUT_DIFFUSERS,
    .bid = dduf_bid,
    .read = dduf_read,
    .validate = dduf_validate,
    .audit = dduf_audit,
    .lay_out = dfx_dduf_lay_out,
};
