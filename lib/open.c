/*
 * open.c - from a path to an index: which format it is, and its reader's run
 *
 * Content decides, by bids. Nothing but regular files and folders is read:
 * readers go to and fro in a file, which a pipe does not allow.
 */
#include <config.h>

#include "registry.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

enum {
    HEAD_SIZE = 64 * 1024, /* bytes that formats may look at to decide */
    MAX_DEPTH = 2          /* a folder's shard index names shards */
};

static const dfx_open_options no_options;

/* ---- Which format ------------------------------------------------------- */

static dfx_status
load_head(const char *path, dfx_evidence *evidence, uint8_t **head,
          dfx_error *err)
{
    dfx_io *io = NULL;
    uint8_t *bytes;
    dfx_status status;
    uint64_t size;

    DFX_TRY(dfx_io_open_file(path, &io, err));
    evidence->file_size = size = dfx_io_size(io);
    evidence->head_size = size < HEAD_SIZE ? (size_t)size : HEAD_SIZE;
    bytes = malloc(evidence->head_size + 1);
    status = bytes == NULL
                 ? dfx_fail_nomem(err)
                 : dfx_io_read_at(io, 0, bytes, evidence->head_size, err);
    dfx_io_close(io);
    if (status == DFX_OK)
        *head = bytes;
    else
        free(bytes);
    return status;
}

/* *head is owned, NULL for a folder; the evidence borrows it and path. */
static dfx_status
gather_evidence(const char *path, dfx_evidence *evidence, uint8_t **head,
                dfx_error *err)
{
    char reason[128];
    struct stat st;

    *evidence = (dfx_evidence){.path = path};
    if (strcmp(path, "-") == 0)
        return dfx_fail_usage(err, "standard input cannot be read as a model, "
                                   "only files and folders");
    if (stat(path, &st) != 0)
        return dfx_fail(err, DFX_RULE_IO_OPEN, DFX_NO_OFFSET, "%s",
                        strerror_r(errno, reason, sizeof reason));
    evidence->is_folder = S_ISDIR(st.st_mode);
    if (evidence->is_folder)
        return DFX_OK;
    if (!S_ISREG(st.st_mode))
        return dfx_fail(err, DFX_RULE_IO_OPEN, DFX_NO_OFFSET,
                        "is %s, not a file or a folder",
                        S_ISFIFO(st.st_mode)   ? "a pipe"
                        : S_ISSOCK(st.st_mode) ? "a socket"
                                               : "a device");
    DFX_TRY(load_head(path, evidence, head, err));
    evidence->head = *head;
    return DFX_OK;
}

static bool
ends_in(const char *text, const char *suffix)
{
    size_t size = strlen(text), tail = strlen(suffix);

    return size > tail && strcmp(text + size - tail, suffix) == 0;
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

    for (size_t i = 0; i < count && !evidence->is_folder; i++)
        if (list[i]->suffix != NULL &&
            ends_in(evidence->path, list[i]->suffix) &&
            (best == NULL || strlen(list[i]->suffix) > strlen(best->suffix)))
            best = list[i];
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

static dfx_status
find_format(const char *name, const dfx_format **format, dfx_error *err)
{
    dfx_text names = {0};
    dfx_status status;
    size_t count = 0;
    const dfx_format *const *list = dfx_format_list(&count);

    *format = dfx_format_named(name);
    if (*format != NULL)
        return DFX_OK;
    for (size_t i = 0; i < count; i++)
        dfx_text_printf(&names, "%s%s", i > 0 ? ", " : "", list[i]->name);
    status = names.failed
                 ? dfx_fail_nomem(err)
                 : dfx_fail_usage(err, "there is no format \"%s\", only %s",
                                  name, names.data != NULL ? names.data : "");
    dfx_text_fini(&names);
    return status;
}

/* The format called forced, or the one that content tells if that is NULL. */
static dfx_status
choose(const char *path, const char *forced, bool takes_folder,
       const dfx_format **format, dfx_error *err)
{
    uint8_t *head = NULL;
    dfx_evidence evidence;
    size_t count = 0;
    const dfx_format *const *list = dfx_format_list(&count);
    dfx_status status = gather_evidence(path, &evidence, &head, err);

    if (status == DFX_OK && evidence.is_folder && !takes_folder)
        status = dfx_fail(err, DFX_RULE_IO_OPEN, DFX_NO_OFFSET,
                          "is a folder, not a file");
    else if (status == DFX_OK && forced != NULL)
        status = find_format(forced, format, err);
    else if (status == DFX_OK)
        status = dfx_format_choose(list, count, &evidence, format, err);
    free(head);
    return status;
}

/* ---- Reading ------------------------------------------------------------ */

/* A new index of path, filled by the format's reader and sealed. */
static dfx_status
read_index(const char *path, const dfx_format *format,
           const dfx_open_options *options, dfx_index **index, dfx_error *err)
{
    dfx_index *made = NULL;
    uint32_t unnamed = 0; /* always the first */
    dfx_status status = dfx_index_new(path, &made, err);

    if (status == DFX_OK)
        made->format = format->name;
    if (status == DFX_OK)
        status = dfx_index_component(made, "", &unnamed, err);
    if (status == DFX_OK)
        status = format->read(path, unnamed, options, made, err);
    if (status == DFX_OK)
        status = dfx_index_seal(made, err);
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
    const dfx_format *format = NULL;
    dfx_status status;

    if (options == NULL)
        options = &no_options;
    status = choose(path, options->format, true, &format, err);
    if (status == DFX_OK)
        status = read_index(path, format, options, index, err);
    if (status != DFX_OK)
        dfx_error_in_file(err, path);
    return status;
}

dfx_status
dfx_index_read_into(dfx_index *index, uint32_t component, const char *path,
                    const dfx_open_options *options, dfx_error *err)
{
    const dfx_format *format = NULL;
    dfx_status status;

    if (index->depth >= MAX_DEPTH) {
        status = dfx_fail(err, DFX_RULE_SHARD_INDEX, DFX_NO_OFFSET,
                          "named by a file that is itself named by a file");
    } else {
        index->depth++;
        status = choose(path, NULL, false, &format, err);
        if (status == DFX_OK)
            status = format->read(path, component, options, index, err);
        index->depth--;
    }
    if (status != DFX_OK)
        dfx_error_in_file(err, path);
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
validate_by_reading(const char *path, const dfx_format *format,
                    const dfx_open_options *options, named_finder *finder,
                    dfx_error *err)
{
    dfx_error finding;
    dfx_index *index = NULL;
    dfx_status status = read_index(path, format, options, &index, &finding);

    dfx_index_free(index);
    if (status == DFX_ERR_FORMAT || status == DFX_ERR_UNSAFE) {
        find_in_file(finder, &finding);
        return DFX_OK;
    }
    if (status != DFX_OK && err != NULL)
        *err = finding;
    return status;
}

dfx_status
dfx_validate(const char *path, const dfx_open_options *options,
             dfx_finding_fn *found, void *context, dfx_error *err)
{
    named_finder finder = {found, context, path};
    const dfx_format *format = NULL;
    dfx_status status;

    if (options == NULL)
        options = &no_options;
    status = choose(path, options->format, true, &format, err);
    if (status == DFX_OK && format->validate != NULL)
        status = format->validate(path, options, find_in_file, &finder, err);
    else if (status == DFX_OK)
        status = validate_by_reading(path, format, options, &finder, err);
    if (status != DFX_OK)
        dfx_error_in_file(err, path);
    return status;
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
