/*
 * torch_zip.c - PyTorch's zip: data.pkl and a member for each storage
 *
 * As PyTorchStreamReader of torch 2.15 takes it: the top folder is that of the
 * first entry, and of two entries with one name the first counts. Other readers
 * see other things in a zip that is not straight, so whatever could be read as
 * a pickle in an audited file is scanned.
 */
#include <config.h>

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "crc.h"
#include "torch.h"
#include "zip.h"
#include "zip_parse.h"

enum {
    HEAD_SIZE = 4096,
    MAX_TEXT = 1 << 20, /* of version, byteorder, metadata */
    BUFFER = 64 << 10,
    MANY = 64,       /* inflated bytes for one, at most */
    ALWAYS = 1 << 30 /* inflated bytes that are fine whatever the size */
};

/* A reading of the archive. */
typedef struct reader {
    dfx_torch_file *file;
    dfx_zip zip;
    char *top; /* "archive/", owned */
    const dfx_zip_member *data;
    bool compressed; /* a member is; told when it is known what for */
    dfx_error *err;
} reader;

/* ---- Faults of the zip ---------------------------------------------------
 */

/* What each means to PyTorch. */
static const struct {
    dfx_rule rule;
    dfx_verdict verdict;
} meanings[DFX_ZIP_FAULTS] = {
    [DFX_ZIP_END] = {DFX_RULE_PT_ZIP_END, DFX_VERDICT_CANNOT_TELL},
    [DFX_ZIP_DIRECTORY] = {DFX_RULE_PT_ZIP_END, DFX_VERDICT_CANNOT_TELL},
    [DFX_ZIP_COUNT] = {DFX_RULE_PT_ZIP_END, DFX_VERDICT_CANNOT_TELL},
    [DFX_ZIP_DISK] = {DFX_RULE_PT_ZIP_END, DFX_VERDICT_CANNOT_TELL},
    [DFX_ZIP_ZIP64] = {DFX_RULE_PT_ZIP_END, DFX_VERDICT_CANNOT_TELL},
    [DFX_ZIP_EXTRA] = {DFX_RULE_PT_ZIP_END, DFX_VERDICT_CANNOT_TELL},
    [DFX_ZIP_PREFIX] = {DFX_RULE_PT_ZIP_GAP, DFX_VERDICT_SUSPICIOUS},
    [DFX_ZIP_TAIL] = {DFX_RULE_PT_CONTAINER_TAIL, DFX_VERDICT_SUSPICIOUS},
    [DFX_ZIP_GAP] = {DFX_RULE_PT_ZIP_GAP, DFX_VERDICT_SUSPICIOUS},
    [DFX_ZIP_OVERLAP] = {DFX_RULE_PT_ZIP_NAMES, DFX_VERDICT_SUSPICIOUS},
    [DFX_ZIP_COMMENT] = {DFX_RULE_PT_CONTAINER_TAIL, DFX_VERDICT_SUSPICIOUS},
    [DFX_ZIP_COMMENT_BAD] = {DFX_RULE_PT_CONTAINER_POLYGLOT,
                             DFX_VERDICT_DANGEROUS},
    [DFX_ZIP_ENCRYPTED] = {DFX_RULE_PT_ZIP_FLAGS, DFX_VERDICT_SUSPICIOUS},
    [DFX_ZIP_FLAGS] = {DFX_RULE_PT_ZIP_FLAGS, DFX_VERDICT_SUSPICIOUS},
    [DFX_ZIP_MISMATCH] = {DFX_RULE_PT_ZIP_NAMES, DFX_VERDICT_SUSPICIOUS},
    [DFX_ZIP_SIZE] = {DFX_RULE_PT_ZIP_NAMES, DFX_VERDICT_SUSPICIOUS},
    [DFX_ZIP_OFFSET] = {DFX_RULE_PT_ZIP_NAMES, DFX_VERDICT_SUSPICIOUS},
    [DFX_ZIP_SIGNATURE] = {DFX_RULE_PT_ZIP_NAMES, DFX_VERDICT_SUSPICIOUS},
    [DFX_ZIP_ATTRIBUTES] = {DFX_RULE_PT_ZIP_NAMES, DFX_VERDICT_SUSPICIOUS},
    [DFX_ZIP_ENCODING] = {DFX_RULE_PT_ZIP_NAMES, DFX_VERDICT_SUSPICIOUS},
    [DFX_ZIP_DUPLICATE] = {DFX_RULE_PT_ZIP_DUPLICATE, DFX_VERDICT_SUSPICIOUS},
    [DFX_ZIP_METHOD] = {DFX_RULE_PT_ZIP_METHOD, DFX_VERDICT_SUSPICIOUS},
};

static dfx_status scan_gap(reader *r, uint64_t offset);

static dfx_status
on_fault(void *context, dfx_zip_fault fault, const dfx_zip_member *member,
         uint64_t offset, const char *text, dfx_error *err)
{
    reader *r = context;
    const char *name = member != NULL ? member->name : "";

    (void)err;
    if (fault == DFX_ZIP_METHOD && member->method == 8) {
        r->compressed = true; /* TorchScript may */
        return DFX_OK;
    }
    dfx_audit_report(r->file->audit, meanings[fault].verdict,
                     meanings[fault].rule, NULL, offset, "%s%s%s", name,
                     name[0] != '\0' ? ": " : "", text);
    if (fault == DFX_ZIP_GAP && r->file->whole)
        return scan_gap(r, offset);
    return DFX_OK;
}

/* ---- Scanning ------------------------------------------------------------
 */

/* The most bytes that compressed ones may become. */
static uint64_t
limit_of(const reader *r)
{
    uint64_t most = r->file->options->max_expanded;
    uint64_t size = dfx_io_size(r->file->io);

    if (most != 0)
        return most;
    return size > ALWAYS / MANY ? size * MANY : ALWAYS;
}

/* A member's bytes without checks; the file's. */
static dfx_status
peek(reader *r, const dfx_zip_member *m, dfx_io **io)
{
    DFX_TRY(dfx_zip_peek(&r->zip, m, limit_of(r), r->file->options->temp, io,
                         r->err));
    return dfx_torch_take_io(r->file, *io, r->err);
}

/* A pickle and what is behind it. */
static dfx_status
scan_pickle(reader *r, const dfx_io *io, const char *name, dfx_pickle *pickle)
{
    DFX_TRY(dfx_torch_scan(r->file, io, 0, name, pickle, r->err));
    if (pickle->root == NULL)
        return DFX_OK;
    return dfx_torch_scan_rest(r->file, io, pickle->end, name, r->err);
}

/* What may hold code though it is none of the members that torch reads. */
typedef enum stray { NOTHING, PICKLE, ARRAY, ARCHIVE } stray;

static dfx_status
look_at(reader *r, const dfx_io *io, stray *out)
{
    enum { SURE = 12 }; /* bits: a protocol, or more than a value or two */
    uint8_t head[HEAD_SIZE];
    uint64_t whole = dfx_io_size(io);
    size_t size = whole < HEAD_SIZE ? (size_t)whole : HEAD_SIZE;

    DFX_TRY(dfx_io_read_at(io, 0, head, size, r->err));
    *out = NOTHING;
    if (size >= 4 && memcmp(head, "PK\3\4", 4) == 0)
        *out = ARCHIVE;
    else if (dfx_torch_is_npy(head, size))
        *out = ARRAY;
    else if (dfx_pickle_bid(head, size) >= SURE)
        *out = PICKLE;
    return DFX_OK;
}

static dfx_status scan_archive(reader *r, const dfx_io *io, const char *name);

static dfx_status
scan_content(reader *r, const dfx_io *io, const char *name, stray content)
{
    const char *where = r->file->audit->where;
    dfx_pickle pickle;
    dfx_status status;

    if (content == PICKLE)
        return scan_pickle(r, io, name, &pickle);
    if (content == ARCHIVE)
        return scan_archive(r, io, name);
    r->file->audit->where = name;
    status = dfx_torch_read_npy(r->file, io, r->err);
    r->file->audit->where = where;
    return status;
}

/* Scans bytes that no loader should meet; reports them by rule if they may hold
   code: dangerous if they do. */
static dfx_status
scan_stray(reader *r, const dfx_io *io, const char *name, dfx_rule rule,
           uint64_t offset)
{
    dfx_audit *audit = r->file->audit;
    dfx_verdict before = audit->verdict, found;
    dfx_error worst = audit->worst;
    stray content;

    DFX_TRY(look_at(r, io, &content));
    if (content == NOTHING)
        return DFX_OK;
    audit->verdict = DFX_VERDICT_SAFE;
    DFX_TRY(scan_content(r, io, name, content));
    found = audit->verdict;
    if (found < before) {
        audit->verdict = before;
        audit->worst = worst;
    }
    /* An array of numbers is none. */
    if (content == ARRAY && found == DFX_VERDICT_SAFE)
        return DFX_OK;
    dfx_audit_report(audit,
                     found == DFX_VERDICT_DANGEROUS ? DFX_VERDICT_DANGEROUS
                                                    : DFX_VERDICT_SUSPICIOUS,
                     rule, NULL, offset,
                     "%s could be loaded and is no part of the object", name);
    return DFX_OK;
}

/* An archive in the archive, or before it. */
static dfx_status
scan_archive(reader *r, const dfx_io *io, const char *name)
{
    dfx_torch_file inner = {.io = io,
                            .options = r->file->options,
                            .audit = r->file->audit,
                            .whole = true,
                            .line = r->file->line,
                            .context = r->file->context};
    const char *where = r->file->audit->where;
    dfx_status status = DFX_OK;

    if (r->file->audit->depth > 8) /* archives in archives in archives */
        return DFX_OK;
    r->file->audit->depth++;
    r->file->audit->where = name;
    status = dfx_torch_read_zip(&inner, r->err);
    r->file->audit->where = where;
    r->file->audit->depth--;
    dfx_torch_fini(&inner);
    return status;
}

/* A local header that the directory does not list, and its bytes. */
static dfx_status
scan_gap(reader *r, uint64_t offset)
{
    uint64_t size = dfx_io_size(r->file->io), start, packed;
    uint8_t header[30];
    dfx_io *io = NULL;

    if (size - offset < sizeof header)
        return DFX_OK;
    DFX_TRY(dfx_io_read_at(r->file->io, offset, header, sizeof header, r->err));
    if (dfx_zip_u32(header) != 0x04034b50)
        return DFX_OK;
    start = offset + 30 + dfx_zip_u16(header + 26) + dfx_zip_u16(header + 28);
    packed = dfx_zip_u32(header + 18);
    if (start > size)
        return DFX_OK;
    if (packed == 0 || packed > size - start)
        packed = size - start;
    DFX_TRY(dfx_io_open_slice(r->file->io, start, packed, &io, r->err));
    DFX_TRY(dfx_torch_take_io(r->file, io, r->err));
    return scan_stray(r, io, "a member that the directory does not list",
                      DFX_RULE_PT_ZIP_GAP, offset);
}

/* ---- Members -------------------------------------------------------------
 */

/* What follows the top folder in a member's name; NULL: it is elsewhere. */
static const char *
below_top(const reader *r, const dfx_zip_member *m)
{
    size_t size = strlen(r->top);

    return strncmp(m->name, r->top, size) == 0 ? m->name + size : NULL;
}

static bool
starts_with(const char *text, const char *start)
{
    return strncmp(text, start, strlen(start)) == 0;
}

/* The member below the top folder of that name; NULL: none. */
static dfx_status
find(reader *r, const char *name, const dfx_zip_member **out)
{
    const char *path = dfx_arena_printf(&r->file->arena, "%s%s", r->top, name);

    if (path == NULL)
        return dfx_fail_nomem(r->err);
    *out = dfx_zip_find(&r->zip, path);
    return DFX_OK;
}

/* The text of a small member, and a NUL, in the arena; "" if it is none. */
static dfx_status
read_text(reader *r, const dfx_zip_member *m, const char **text, size_t *size)
{
    dfx_io *io = NULL;
    char *data;

    DFX_TRY(peek(r, m, &io));
    *size = dfx_io_size(io) <= MAX_TEXT ? (size_t)dfx_io_size(io) : 0;
    data = dfx_arena_alloc(&r->file->arena, *size + 1);
    if (data == NULL)
        return dfx_fail_nomem(r->err);
    DFX_TRY(dfx_io_read_at(io, 0, data, *size, r->err));
    data[*size] = '\0';
    *text = data;
    return DFX_OK;
}

static dfx_status
check_version(reader *r)
{
    const dfx_zip_member *m = NULL;
    const char *text = "";
    size_t size = 0;
    long version = 0;
    char *end;

    DFX_TRY(find(r, "version", &m));
    if (m == NULL)
        DFX_TRY(find(r, ".data/version", &m));
    if (m != NULL) {
        DFX_TRY(read_text(r, m, &text, &size));
        version = strtol(text, &end, 10);
        if (*end != '\0' && *end != '\n')
            version = 0;
    }
    if (version < 1 || version > 10)
        dfx_audit_report(
            r->file->audit, DFX_VERDICT_SUSPICIOUS, DFX_RULE_PT_ZIP_VERSION,
            NULL, m != NULL ? m->header : DFX_NO_OFFSET,
            m != NULL ? "version %.20s" : "there is no version%s", text);
    return DFX_OK;
}

static dfx_status
check_byteorder(reader *r)
{
    const dfx_zip_member *m = NULL;
    const char *text = "little";
    size_t size = 0;

    DFX_TRY(find(r, "byteorder", &m));
    if (m == NULL)
        return DFX_OK;
    DFX_TRY(read_text(r, m, &text, &size));
    r->file->big_endian = strcmp(text, "big") == 0;
    if (!r->file->big_endian && strcmp(text, "little") != 0)
        dfx_audit_report(r->file->audit, DFX_VERDICT_SUSPICIOUS,
                         DFX_RULE_PT_ZIP_BYTEORDER, NULL, m->header,
                         "byteorder is \"%.20s\"", text);
    return DFX_OK;
}

/* What our own writer put there. */
static dfx_status
read_metadata(reader *r)
{
    const dfx_zip_member *m = NULL;

    DFX_TRY(find(r, DFX_TORCH_METADATA, &m));
    if (m == NULL)
        return DFX_OK;
    return read_text(r, m, &r->file->metadata, &r->file->metadata_size);
}

/* Storages are the members below data/. */
static dfx_status
add_storage(reader *r, const dfx_zip_member *m, const char *key)
{
    dfx_io *io = NULL;
    dfx_status status;

    if (key == NULL)
        return dfx_fail_nomem(r->err);
    status = dfx_zip_open(&r->zip, m, DFX_RULE_PT_ZIP_CRC, limit_of(r),
                          r->file->options->temp, &io, r->err);
    if (status ==
        DFX_ERR_UNSAFE) /* told as a fault of the zip, or by its CRC */
        status = dfx_zip_peek(&r->zip, m, limit_of(r), r->file->options->temp,
                              &io, r->err);
    if (status != DFX_OK)
        return status;
    DFX_TRY(dfx_torch_take_io(r->file, io, r->err));
    return dfx_torch_add_storage(r->file, key, io, dfx_io_size(io), r->err);
}

static dfx_status
add_storages(reader *r)
{
    for (size_t i = 0; i < r->zip.count; i++) {
        const dfx_zip_member *m = r->zip.by_name[i];
        const char *name = below_top(r, m);

        if (name == NULL || !starts_with(name, "data/"))
            continue;
        if (i > 0 && strcmp(r->zip.by_name[i - 1]->name, m->name) == 0)
            continue; /* a name twice: the first one counts */
        DFX_TRY(add_storage(
            r, m, dfx_arena_strdup(&r->file->arena, name + strlen("data/"))));
    }
    dfx_torch_sort_storages(r->file);
    return DFX_OK;
}

/* The CRC of all bytes, or a concern. */
static dfx_status
check_crc(reader *r, const dfx_zip_member *m)
{
    unsigned char *buffer;
    dfx_error fault = {.rule = ""};
    dfx_io *io = NULL;
    uint64_t at = 0;
    dfx_status status =
        dfx_zip_open(&r->zip, m, DFX_RULE_PT_ZIP_CRC, limit_of(r),
                     r->file->options->temp, &io, &fault);

    buffer = malloc(BUFFER);
    if (buffer == NULL)
        status = dfx_fail_nomem(&fault);
    while (status == DFX_OK && at < dfx_io_size(io)) {
        uint64_t left = dfx_io_size(io) - at;
        size_t n = left < BUFFER ? (size_t)left : BUFFER;

        status = dfx_io_read_at(io, at, buffer, n, &fault);
        at += n;
    }
    free(buffer);
    dfx_io_close(io);
    if (status == DFX_ERR_UNSAFE) {
        dfx_audit_report(r->file->audit, DFX_VERDICT_SUSPICIOUS,
                         DFX_RULE_PT_ZIP_CRC, NULL, m->header, "%s",
                         fault.text);
        return DFX_OK;
    }
    if (status != DFX_OK && r->err != NULL)
        *r->err = fault;
    return status;
}

/* ---- Everything else in it ------------------------------------------------
 */

/* Members that torch or TorchScript put there and that hold no pickle. */
static bool
is_plain_member(const char *name)
{
    static const char *const names[] = {
        "version",
        "byteorder",
        ".format_version",
        ".storage_alignment",
        ".data/serialization_id",
        ".data/version",
        DFX_TORCH_METADATA,
    };

    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++)
        if (strcmp(name, names[i]) == 0)
            return true;
    return starts_with(name, "data/");
}

/* Members of TorchScript: text, debug information, constants. */
static bool
is_script_member(const char *name)
{
    return starts_with(name, "code/") || starts_with(name, "constants/") ||
           starts_with(name, "traced_inputs/");
}

static bool
is_script_pickle(const char *name)
{
    return strcmp(name, "constants.pkl") == 0 ||
           strcmp(name, "traced_inputs.pkl") == 0 ||
           strcmp(name, "attributes.pkl") == 0;
}

static dfx_status
scan_member(reader *r, const dfx_zip_member *m)
{
    const char *name = below_top(r, m);
    dfx_pickle pickle;
    dfx_io *io = NULL;
    bool twice =
        r->data != NULL && m != r->data && strcmp(m->name, r->data->name) == 0;

    if (m == r->data || (name != NULL && is_plain_member(name) && !twice) ||
        (name != NULL && r->file->is_script && is_script_member(name)))
        return DFX_OK;
    DFX_TRY(peek(r, m, &io));
    if (twice || (name != NULL && r->file->is_script && is_script_pickle(name)))
        return scan_pickle(r, io, m->name, &pickle);
    return scan_stray(r, io, m->name, DFX_RULE_PT_ZIP_EXTRA, m->header);
}

/* What stands before the archive may be another one. */
static dfx_status
scan_prefix(reader *r)
{
    dfx_io *io = NULL;

    if (r->zip.base == 0)
        return DFX_OK;
    DFX_TRY(dfx_io_open_slice(r->file->io, 0, r->zip.base, &io, r->err));
    DFX_TRY(dfx_torch_take_io(r->file, io, r->err));
    return scan_stray(r, io, "what stands before the archive",
                      DFX_RULE_PT_CONTAINER_POLYGLOT, 0);
}

/* All of an audited file. */
static dfx_status
scan_all(reader *r)
{
    DFX_TRY(scan_prefix(r));
    for (size_t i = 0; i < r->zip.count; i++)
        DFX_TRY(scan_member(r, &r->zip.members[i]));
    for (size_t i = 0; i < r->zip.count; i++)
        if (r->zip.members[i].data != UINT64_MAX)
            DFX_TRY(check_crc(r, &r->zip.members[i]));
    return DFX_OK;
}

/* ---- The object ----------------------------------------------------------
 */

/* The folder of the first entry, with its slash. */
static dfx_status
find_top(reader *r)
{
    const char *name = r->zip.count > 0 ? r->zip.members[0].name : "";
    const char *slash = strchr(name, '/');

    r->top = strndup(name, slash != NULL ? (size_t)(slash + 1 - name) : 0);
    return r->top != NULL ? DFX_OK : dfx_fail_nomem(r->err);
}

static dfx_status
find_script(reader *r)
{
    const dfx_zip_member *constants = NULL;

    DFX_TRY(find(r, "constants.pkl", &constants));
    r->file->is_script = constants != NULL;
    for (size_t i = 0; i < r->zip.count; i++) {
        const char *name = below_top(r, &r->zip.members[i]);

        if (name != NULL && starts_with(name, "code/"))
            r->file->is_script = true;
    }
    if (r->file->is_script)
        dfx_audit_report(r->file->audit, DFX_VERDICT_SUSPICIOUS,
                         DFX_RULE_PT_TORCHSCRIPT, NULL, DFX_NO_OFFSET,
                         "TorchScript: the file carries code");
    else if (r->compressed)
        dfx_audit_report(r->file->audit, DFX_VERDICT_SUSPICIOUS,
                         DFX_RULE_PT_ZIP_METHOD, NULL, DFX_NO_OFFSET,
                         "members are compressed, which torch never does");
    return DFX_OK;
}

static dfx_status
read_object(reader *r)
{
    dfx_io *io = NULL;

    DFX_TRY(peek(r, r->data, &io));
    DFX_TRY(scan_pickle(r, io, r->data->name, &r->file->pickle));
    DFX_TRY(check_version(r));
    DFX_TRY(check_byteorder(r));
    DFX_TRY(read_metadata(r));
    DFX_TRY(add_storages(r));
    return r->file->whole ? DFX_OK : check_crc(r, r->data);
}

static dfx_status
read_members(reader *r)
{
    DFX_TRY(find_top(r));
    DFX_TRY(find(r, "data.pkl", &r->data));
    DFX_TRY(find_script(r));
    if (r->data != NULL)
        DFX_TRY(read_object(r));
    else if (r->zip.count > 0)
        dfx_audit_report(r->file->audit, DFX_VERDICT_CANNOT_TELL,
                         DFX_RULE_PT_ZIP_NO_PICKLE, NULL, DFX_NO_OFFSET,
                         "there is no %sdata.pkl", r->top);
    return r->file->whole ? scan_all(r) : DFX_OK;
}

dfx_status
dfx_torch_read_zip(dfx_torch_file *file, dfx_error *err)
{
    reader r = {.file = file, .err = err};
    dfx_status status = dfx_zip_read(file->io, on_fault, &r, &r.zip, err);

    if (status == DFX_OK)
        status = read_members(&r);
    free(r.top);
    dfx_zip_fini(&r.zip);
    return status;
}
