/*
 * open.c - from a place to an index: which format it is, and its reader's run
 *
 * Content decides, by bids. Nothing but regular files and folders is read:
 * readers go to and fro in a file, which a pipe does not allow.
 */
#include <config.h>

#include "form.h"
#include "identify.h"
#include "registry.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

enum {
    HEAD_SIZE = 64 * 1024, /* bytes that formats may look at to decide */
    MAX_DEPTH = 5 /* a compressed archive of a folder whose index has shards */
};

static const dfx_open_options no_options;

/* ---- Which format ------------------------------------------------------- */

/* What was looked at to choose a format. */
typedef struct look {
    dfx_evidence evidence;
    dfx_io *io;    /* owned; NULL: a folder */
    uint8_t *head; /* owned */
} look;

static void
look_fini(look *l)
{
    free(l->head);
    dfx_io_close(l->io);
}

static dfx_status
load_head(look *l, dfx_error *err)
{
    dfx_evidence *evidence = &l->evidence;
    uint64_t size;

    DFX_TRY(dfx_place_open(evidence->place, &l->io, err));
    evidence->io = l->io;
    evidence->file_size = size = dfx_io_size(l->io);
    evidence->head_size = size < HEAD_SIZE ? (size_t)size : HEAD_SIZE;
    l->head = malloc(evidence->head_size + 1);
    if (l->head == NULL)
        return dfx_fail_nomem(err);
    evidence->head = l->head;
    return dfx_io_read_at(l->io, 0, l->head, evidence->head_size, err);
}

/* A path that names a file or a folder that can be read to and fro. */
static dfx_status
check_path(const char *path, dfx_error *err)
{
    char reason[128];
    struct stat st;

    if (strcmp(path, "-") == 0)
        return dfx_fail_usage(err, "standard input cannot be read as a model, "
                                   "only files and folders");
    if (stat(path, &st) != 0)
        return dfx_fail(err, DFX_RULE_IO_OPEN, DFX_NO_OFFSET, "%s",
                        strerror_r(errno, reason, sizeof reason));
    if (!S_ISREG(st.st_mode) && !S_ISDIR(st.st_mode))
        return dfx_fail(err, DFX_RULE_IO_OPEN, DFX_NO_OFFSET,
                        "is %s, not a file or a folder",
                        S_ISFIFO(st.st_mode)   ? "a pipe"
                        : S_ISSOCK(st.st_mode) ? "a socket"
                                               : "a device");
    return DFX_OK;
}

/* The evidence borrows place. The caller calls look_fini, also on failure. */
static dfx_status
look_at(const dfx_place *place, look *l, dfx_error *err)
{
    *l = (look){.evidence = {.place = place}};
    if (place->mount == NULL)
        DFX_TRY(check_path(place->path, err));
    l->evidence.is_folder = dfx_place_is_folder(place);
    return l->evidence.is_folder ? DFX_OK : load_head(l, err);
}

/* text ends in the first size bytes of suffix. */
static bool
ends_in(const char *text, const char *suffix, size_t size)
{
    size_t whole = strlen(text);

    return whole >= size && memcmp(text + whole - size, suffix, size) == 0;
}

size_t
dfx_format_suffix(const dfx_format *format, const char *path)
{
    const char *p = format->suffix;
    size_t best = 0;

    while (p != NULL && *p != '\0') {
        size_t size = strcspn(p, " ");

        if (size > best && ends_in(path, p, size))
            best = size;
        p += size;
        p += strspn(p, " ");
    }
    return best;
}

static dfx_status
fail_unknown(const dfx_evidence *evidence, dfx_error *err)
{
    size_t shown = evidence->head_size < 8 ? evidence->head_size : 8;
    char bytes[8 * 3 + 1] = "";

    if (evidence->is_folder)
        return dfx_fail(err, DFX_RULE_KIND_UNKNOWN, DFX_NO_OFFSET,
                        "no format recognises this folder");
    if (shown == 0)
        return dfx_fail(err, DFX_RULE_KIND_UNKNOWN, 0, "the file is empty");
    for (size_t i = 0; i < shown; i++)
        snprintf(bytes + 3 * i, sizeof bytes - 3 * i, " %02x",
                 evidence->head[i]);
    return dfx_fail(err, DFX_RULE_KIND_UNKNOWN, 0,
                    "no format recognises a file that starts with%s", bytes);
}

/* Content says nothing: the name may tell what the file was meant to be. */
static dfx_status
choose_by_suffix(const dfx_format *const *list, size_t count,
                 const dfx_evidence *evidence, const dfx_format **out,
                 dfx_error *err)
{
    const dfx_format *best = NULL;
    size_t longest = 0;

    for (size_t i = 0; i < count && !evidence->is_folder; i++) {
        const char *path = evidence->place->path;
        size_t size = dfx_format_suffix(list[i], path);

        if (size > longest && size < strlen(path)) {
            best = list[i];
            longest = size;
        }
    }
    if (best == NULL)
        return fail_unknown(evidence, err);
    *out = best;
    return DFX_OK;
}

dfx_status
dfx_format_choose(const dfx_format *const *list, size_t count,
                  const dfx_evidence *evidence, const dfx_format **out,
                  dfx_error *err)
{
    const dfx_format *best = NULL, *rival = NULL;
    unsigned highest = 0;

    for (size_t i = 0; i < count; i++) {
        unsigned bid = list[i]->bid(evidence);

        if (bid > highest) {
            best = list[i];
            rival = NULL;
            highest = bid;
        } else if (bid == highest && bid > 0) {
            rival = list[i];
        }
    }
    if (best == NULL)
        return choose_by_suffix(list, count, evidence, out, err);
    if (rival != NULL)
        return dfx_fail(err, DFX_RULE_KIND_TIE, DFX_NO_OFFSET,
                        "could be %s or %s, say which with --from", best->name,
                        rival->name);
    *out = best;
    return DFX_OK;
}

/* A format that can be read, by its name. */
static dfx_status
find_format(const char *name, const dfx_format **format, dfx_error *err)
{
    dfx_text names = {0};
    dfx_status status;
    size_t count = 0;
    const dfx_format *const *list = dfx_format_list(&count);

    *format = dfx_format_named(name);
    if (*format != NULL && (*format)->read != NULL)
        return DFX_OK;
    for (size_t i = 0; i < count; i++)
        if (list[i]->read != NULL)
            dfx_text_printf(&names, "%s%s", names.size > 0 ? ", " : "",
                            list[i]->name);
    status = names.failed
                 ? dfx_fail_nomem(err)
                 : dfx_fail_usage(err,
                                  "there is no format \"%s\" to read, "
                                  "only %s",
                                  name, names.data != NULL ? names.data : "");
    dfx_text_fini(&names);
    return status;
}

/* The format called forced, or the one that content tells if that is NULL. */
static dfx_status
choose(const dfx_place *place, const char *forced, const dfx_format **format,
       dfx_error *err)
{
    look l;
    size_t count = 0;
    const dfx_format *const *list = dfx_format_list(&count);
    dfx_status status = look_at(place, &l, err);

    if (status == DFX_OK && forced != NULL)
        status = find_format(forced, format, err);
    else if (status == DFX_OK)
        status = dfx_format_choose(list, count, &l.evidence, format, err);
    look_fini(&l);
    return status;
}

dfx_status
dfx_place_format(const dfx_place *place, const dfx_format **format,
                 dfx_error *err)
{
    dfx_status status = choose(place, NULL, format, err);

    if (status != DFX_OK)
        dfx_error_in_file(err, place->path);
    return status;
}

/* ---- Reading ------------------------------------------------------------ */

/* A new index of a place, filled by the format's reader and sealed. */
static dfx_status
read_index(const dfx_place *place, const dfx_format *format,
           const dfx_open_options *options, dfx_index **index, dfx_error *err)
{
    dfx_index *made = NULL;
    uint32_t unnamed = 0; /* always the first */
    dfx_status status = dfx_index_new(place->path, &made, err);

    if (status == DFX_OK) {
        made->format = format->name;
        status = dfx_index_component(made, "", &unnamed, err);
    }
    if (status == DFX_OK)
        status = format->read(place, unnamed, options, made, err);
    if (status == DFX_OK)
        status = dfx_index_seal(made, err);
    if (status == DFX_OK)
        status = dfx_index_join(made, err);
    if (status == DFX_OK)
        *index = made;
    else
        dfx_index_free(made);
    return status;
}

dfx_status
dfx_open(const char *path, const dfx_open_options *options, dfx_index **index,
         dfx_error *err)
{
    const dfx_place place = {.path = path};
    const dfx_format *format = NULL;
    dfx_status status;

    if (options == NULL)
        options = &no_options;
    status = choose(&place, options->format, &format, err);
    if (status == DFX_OK)
        status = read_index(&place, format, options, index, err);
    if (status != DFX_OK)
        dfx_error_in_file(err, path);
    return status;
}

/* The reader's run on a file that another one holds or names. */
static dfx_status
read_inner(dfx_index *index, uint32_t component, const dfx_place *place,
           const dfx_open_options *options, dfx_error *err)
{
    const dfx_format *format = NULL;
    const dfx_format *outer = dfx_format_named(index->format);
    const char *where = index->audit.where;
    dfx_status status;

    if (dfx_place_is_folder(place))
        return dfx_fail(err, DFX_RULE_IO_OPEN, DFX_NO_OFFSET,
                        "is a folder, not a file");
    DFX_TRY(choose(place, NULL, &format, err));
    if (outer != NULL && outer->is_envelope)
        index->format = format->name;
    index->audit.where = place->path;
    status = format->read(place, component, options, index, err);
    index->audit.where = where;
    return status;
}

dfx_status
dfx_index_read_into(dfx_index *index, uint32_t component,
                    const dfx_place *place, const dfx_open_options *options,
                    dfx_error *err)
{
    dfx_status status;

    if (index->depth >= MAX_DEPTH) {
        status = dfx_fail(err, DFX_RULE_SHARD_INDEX, DFX_NO_OFFSET,
                          "named by a file that is itself named by a file");
    } else {
        index->depth++;
        status = read_inner(index, component, place, options, err);
        index->depth--;
    }
    if (status != DFX_OK)
        dfx_error_in_file(err, place->path);
    return status;
}

/* ---- Judging ------------------------------------------------------------ */

/* A caller's function that is told the file, too. */
typedef struct named_finder {
    dfx_finding_fn *found;
    void *context;
    const char *path;
} named_finder;

static void
find_in_file(void *context, const dfx_error *finding)
{
    const named_finder *finder = context;
    dfx_error named = *finding;

    dfx_error_in_file(&named, finder->path);
    finder->found(finder->context, &named);
}

/* What read says, for formats that have nothing better: its first fault. */
static dfx_status
validate_by_reading(const dfx_place *place, const dfx_format *format,
                    const dfx_open_options *options, named_finder *finder,
                    dfx_error *err)
{
    dfx_error finding;
    dfx_index *index = NULL;
    dfx_status status = read_index(place, format, options, &index, &finding);

    dfx_index_free(index);
    if (status == DFX_ERR_FORMAT || status == DFX_ERR_UNSAFE) {
        find_in_file(finder, &finding);
        return DFX_OK;
    }
    if (status != DFX_OK && err != NULL)
        *err = finding;
    return status;
}

static dfx_status
validate_as(const dfx_place *place, const dfx_format *format,
            const dfx_open_options *options, dfx_finding_fn *found,
            void *context, dfx_error *err)
{
    named_finder finder = {found, context, place->path};

    if (format->validate == NULL)
        return validate_by_reading(place, format, options, &finder, err);
    return format->validate(place, options, find_in_file, &finder, err);
}

static dfx_status
validate(const dfx_place *place, const char *forced,
         const dfx_open_options *options, dfx_finding_fn *found, void *context,
         dfx_error *err)
{
    const dfx_format *format = NULL;
    dfx_status status = choose(place, forced, &format, err);

    if (status == DFX_OK)
        status = validate_as(place, format, options, found, context, err);
    if (status != DFX_OK)
        dfx_error_in_file(err, place->path);
    return status;
}

dfx_status
dfx_place_validate(const dfx_place *place, const dfx_open_options *options,
                   dfx_finding_fn *found, void *context, dfx_error *err)
{
    return validate(place, NULL, options, found, context, err);
}

/* Faults of the file, not of the system or the caller. */
static bool
is_of_file(dfx_status status)
{
    return status == DFX_ERR_FORMAT || status == DFX_ERR_UNSUPPORTED ||
           status == DFX_ERR_LIMIT || status == DFX_ERR_UNSAFE;
}

/* A caller's function, and how often it was told of a broken rule. */
typedef struct fault_counter {
    dfx_finding_fn *found;
    void *context;
    size_t broken;
} fault_counter;

static void
count_broken(void *context, const dfx_error *finding)
{
    fault_counter *c = context;

    c->broken += finding->status != DFX_OK;
    c->found(c->context, finding);
}

/* Where a model that breaks no rule has configs that are not of its tensors. */
static dfx_status
find_conflicts(const char *path, const dfx_open_options *options,
               dfx_finding_fn *found, void *context, dfx_error *err)
{
    dfx_index *index = NULL;
    dfx_identity *identity = NULL;
    dfx_error fault = {0};
    dfx_status status = dfx_open(path, options, &index, &fault);

    if (status == DFX_OK)
        status = dfx_identify(index, NULL, &identity, &fault);
    for (size_t i = 0; status == DFX_OK && i < identity->conflict_count; i++) {
        dfx_error finding = {0};

        (void)dfx_fail(&finding, DFX_RULE_FAMILY_CONFIG, DFX_NO_OFFSET, "%s",
                       identity->conflicts[i]);
        dfx_error_in_file(&finding, path);
        found(context, &finding);
    }
    dfx_identity_free(identity);
    dfx_index_free(index);
    if (is_of_file(status)) {
        dfx_error_in_file(&fault, path);
        found(context, &fault);
        return DFX_OK;
    }
    if (status != DFX_OK && err != NULL)
        *err = fault;
    return status;
}

dfx_status
dfx_validate(const char *path, const dfx_open_options *options,
             dfx_finding_fn *found, void *context, dfx_error *err)
{
    const dfx_place place = {.path = path};
    fault_counter counter = {found, context, 0};

    if (options == NULL)
        options = &no_options;
    DFX_TRY(validate(&place, options->format, options, count_broken, &counter,
                     err));
    if (counter.broken > 0)
        return DFX_OK;
    return find_conflicts(path, options, found, context, err);
}

/* ---- Auditing ----------------------------------------------------------- */

/* Faults of a format that has no room for code. */
typedef struct fault_finder {
    dfx_audit *audit;
    const char *path;
} fault_finder;

static void
find_fault(void *context, const dfx_error *finding)
{
    const fault_finder *finder = context;

    if (finding->status != DFX_OK)
        dfx_audit_fault(finder->audit, DFX_VERDICT_CANNOT_TELL, finder->path,
                        finding);
}

static dfx_status
audit_as(const dfx_place *place, const dfx_format *format,
         const dfx_open_options *options, dfx_audit *audit, dfx_error *err)
{
    fault_finder finder = {audit, place->path};

    if (format->audit != NULL)
        return format->audit(place, options, audit, err);
    return validate_as(place, format, options, find_fault, &finder, err);
}

/* Who cannot be read to the end cannot be told to be safe. */
static dfx_status
audit_place(const dfx_place *place, const char *forced,
            const dfx_open_options *options, dfx_audit *audit, dfx_error *err)
{
    const dfx_format *format = NULL;
    dfx_error fault = {.rule = ""};
    dfx_status status;

    if (audit->depth >= MAX_DEPTH)
        status = dfx_fail(&fault, DFX_RULE_SHARD_INDEX, DFX_NO_OFFSET,
                          "named by a file that is itself named by a file");
    else
        status = choose(place, forced, &format, &fault);
    if (status == DFX_OK) {
        audit->depth++;
        status = audit_as(place, format, options, audit, &fault);
        audit->depth--;
    }
    if (status == DFX_OK)
        return DFX_OK;
    dfx_error_in_file(&fault, place->path);
    if (is_of_file(status)) {
        dfx_audit_fault(audit, DFX_VERDICT_CANNOT_TELL, place->path, &fault);
        return DFX_OK;
    }
    if (err != NULL)
        *err = fault;
    return status;
}

dfx_status
dfx_place_audit(const dfx_place *place, const dfx_open_options *options,
                dfx_audit *audit, dfx_error *err)
{
    return audit_place(place, NULL, options, audit, err);
}

dfx_status
dfx_audit_path(const char *path, const dfx_open_options *options,
               dfx_concern_fn *found, void *context, dfx_verdict *verdict,
               dfx_error *err)
{
    const dfx_place place = {.path = path};
    dfx_audit audit = {.found = found, .context = context, .where = ""};
    dfx_status status;

    if (options == NULL)
        options = &no_options;
    status = audit_place(&place, options->format, options, &audit, err);
    *verdict = audit.verdict;
    if (status != DFX_OK && *verdict == DFX_VERDICT_SAFE)
        *verdict = DFX_VERDICT_CANNOT_TELL;
    return status;
}

static dfx_status
disassemble(const dfx_place *place, const char *forced,
            const dfx_open_options *options, dfx_line_fn *line, void *context,
            dfx_error *err)
{
    const dfx_format *format = NULL;
    dfx_status status = choose(place, forced, &format, err);

    if (status == DFX_OK && format->disassemble == NULL)
        status = dfx_fail(err, DFX_RULE_KIND_UNKNOWN, DFX_NO_OFFSET,
                          "is %s, which holds no pickle", format->summary);
    else if (status == DFX_OK)
        status = format->disassemble(place, options, line, context, err);
    if (status != DFX_OK)
        dfx_error_in_file(err, place->path);
    return status;
}

dfx_status
dfx_place_disassemble(const dfx_place *place, const dfx_open_options *options,
                      dfx_line_fn *line, void *context, dfx_error *err)
{
    return disassemble(place, NULL, options, line, context, err);
}

dfx_status
dfx_disassemble(const char *path, const dfx_open_options *options,
                dfx_line_fn *line, void *context, dfx_error *err)
{
    const dfx_place place = {.path = path};

    if (options == NULL)
        options = &no_options;
    return disassemble(&place, options->format, options, line, context, err);
}

/* ---- The list ----------------------------------------------------------- */

const char *
dfx_format_name_at(size_t i, const char **summary, bool *writes)
{
    const dfx_format *format = dfx_format_at(i);

    if (format == NULL)
        return NULL;
    *summary = format->summary;
    *writes = format->lay_out != NULL;
    return format->name;
}
