/*
 * dfx_dduf.c - dfx-dduf: DDUF archives made, listed, checked and changed
 *
 * An archive that is changed is written anew beside itself and renamed, with
 * what stays copied by the kernel where it can.
 */
#include <config.h>

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "dfx.h"
#include "findings.h"
#include "options.h"
#include "progress.h"
#include "report.h"
#include "signals.h"
#include "source.h"
#include "table.h"

static const char *const examples[] = {
    "create model.dduf model/",
    "check model.dduf",
    "extract model.dduf copy/",
    "add model.dduf vae/config.json=copy/vae/config.json",
    "set model.dduf scheduler.prediction_type=v_prediction",
    NULL,
};

static const dfx_tool tool = {
    .bit = DFX_TOOL_DDUF,
    .name = "dfx-dduf",
    .usage = "[OPTION]... COMMAND ARCHIVE [ARGUMENT]...",
    .purpose =
        "Make, list, check and change DDUF archives.\n\n"
        "Commands:\n"
        "  create ARCHIVE MODEL         from a folder, a file, or (-) a list "
        "on stdin\n"
        "  list ARCHIVE                 print its entries\n"
        "  check ARCHIVE...             check every rule of the format\n"
        "  extract ARCHIVE DST [NAME].. unpack it, or these entries, into a "
        "folder\n"
        "  cat ARCHIVE NAME...          print entries\n"
        "  add ARCHIVE NAME=FILE...     add entries, or replace them\n"
        "  remove ARCHIVE NAME...       remove entries, or folders of them\n"
        "  set ARCHIVE NAME.FIELD=VALUE...\n"
        "                               set fields of components' configs",
    .exit_status = "0 done, 1 failed or broken, 2 wrong use.",
    .examples = examples,
};

typedef struct request request;

/* Options that not every command has a use for. */
enum {
    WRITES = 1,   /* --sync, --jobs, --progress */
    ARCHIVES = 2, /* --plain */
    REPLACES = 4, /* --force */
    REPORTS = 8,  /* --json */
    TALKS = 16    /* --quiet */
};

/* A command: what it takes, and who does it. */
typedef struct command {
    const char *name;
    const char *operands; /* after the archive, for messages */
    size_t least, most;   /* of those */
    unsigned takes;       /* WRITES and so on */
    int (*run)(const request *r);
} command;

struct request {
    const char **words; /* owned: of the command line, borrowed */
    size_t word_count;
    const command *command;
    const char *archive;
    const char *const *operands; /* those of the command, among the words */
    size_t count;
    dfx_archive_options write;
    unsigned threads;
    dfx_colour_when colour;
    bool json, progress, quiet, help, version;
};

enum { BUFFER = 1 << 20 };

static int
fail(const char *path, const dfx_error *err)
{
    return *dfx_signals_flag() != 0 ? DFX_EXIT_NO
                                    : dfx_say_error(tool.name, path, err);
}

/* ---- Writing -------------------------------------------------------------
 */

/* Runs a plan and says what came of it. Frees the plan. */
static int
run_plan(const request *r, dfx_plan *plan, const char *dst)
{
    dfx_progress progress;
    dfx_run_options options = {
        .threads = r->threads,
        .stop = dfx_signals_flag(),
        .progress = dfx_progress_update,
        .context = &progress,
    };
    dfx_error err = {0};
    dfx_status status;
    char human[DFX_HUMAN_CHARS];

    dfx_progress_start(&progress, "writing", r->progress, r->quiet);
    status = dfx_plan_run(plan, &options, &err);
    dfx_progress_end(&progress);
    if (status == DFX_OK && !r->quiet) {
        size_t count = 0;
        const char *const *notes = dfx_plan_notes(plan, &count);

        for (size_t i = 0; i < count; i++)
            dfx_say(tool.name, "%s: %s", dst, notes[i]);
        dfx_say(tool.name, "%s: wrote %s", dst,
                dfx_human_bytes(dfx_plan_bytes(plan), human));
    }
    dfx_plan_free(plan);
    return status == DFX_OK ? DFX_EXIT_YES : fail(dst, &err);
}

static int
create_from_model(const request *r, const char *src)
{
    dfx_open_options open = {.temp = dfx_temp_folder()};
    dfx_convert_options options;
    dfx_source source = {0};
    dfx_plan *plan = NULL;
    dfx_error err = {0};
    const char *path = src;
    dfx_status status = dfx_source_open(&source, src, &open, NULL, &err);
    int result;

    dfx_convert_options_init(&options);
    options.to = "dduf";
    options.plain = r->write.plain;
    options.force = r->write.force;
    options.sync = r->write.sync;
    if (status == DFX_OK) {
        path = r->archive;
        status = dfx_convert(source.index, source.identity, r->archive,
                             &options, &plan, &err);
    }
    result =
        status == DFX_OK ? run_plan(r, plan, r->archive) : fail(path, &err);
    dfx_source_close(&source);
    return result;
}

/* Splits "NAME=FILE", in place; false after a message. */
static bool
split(char *text, dfx_archive_change *change)
{
    char *equals = strchr(text, '=');

    if (equals == NULL || equals == text || equals[1] == '\0') {
        dfx_usage(&tool, "'%s' should be NAME=FILE", text);
        return false;
    }
    *equals = '\0';
    *change = (dfx_archive_change){.path = text, .file = equals + 1};
    return true;
}

/* Plans the archive from base (NULL: nothing) and changes, and writes it. */
static int
write_changes(const request *r, const dfx_archive *base,
              const dfx_archive_change *changes, size_t count)
{
    dfx_archive_options options = r->write;
    dfx_plan *plan = NULL;
    dfx_error err = {0};

    options.force = options.force || base != NULL;
    if (dfx_archive_plan(base, changes, count, r->archive, &options, &plan,
                         &err) != DFX_OK)
        return fail(r->archive, &err);
    return run_plan(r, plan, r->archive);
}

static int
create_from_list(const request *r)
{
    dfx_archive_change *changes = NULL;
    char **lines = NULL, *line = NULL;
    size_t count = 0, capacity = 0;
    int result = DFX_EXIT_YES;
    ssize_t size;

    while (result == DFX_EXIT_YES &&
           (size = getline(&line, &capacity, stdin)) >= 0) {
        if (size > 0 && line[size - 1] == '\n')
            line[--size] = '\0';
        if (size == 0)
            continue;
        lines = dfx_need(reallocarray(lines, count + 1, sizeof *lines));
        changes = dfx_need(reallocarray(changes, count + 1, sizeof *changes));
        lines[count] = line;
        if (!split(line, &changes[count]))
            result = DFX_EXIT_USAGE;
        count++;
        line = NULL;
        capacity = 0;
    }
    free(line);
    if (result == DFX_EXIT_YES && ferror(stdin) != 0) {
        dfx_say(tool.name, "the list on stdin cannot be read");
        result = DFX_EXIT_NO;
    }
    if (result == DFX_EXIT_YES)
        result = write_changes(r, NULL, changes, count);
    while (count > 0)
        free(lines[--count]);
    free(lines);
    free(changes);
    return result;
}

static int
create(const request *r)
{
    if (strcmp(r->operands[0], "-") == 0)
        return create_from_list(r);
    return create_from_model(r, r->operands[0]);
}

/* Opens the archive; NULL after a message. */
static dfx_archive *
open_archive(const request *r)
{
    dfx_archive *archive = NULL;
    dfx_error err = {0};

    if (dfx_archive_open(r->archive, NULL, &archive, &err) == DFX_OK)
        return archive;
    dfx_say_error(tool.name, r->archive, &err);
    return NULL;
}

static int
change(const request *r, const dfx_archive_change *changes)
{
    dfx_archive *base = open_archive(r);
    int result = DFX_EXIT_NO;

    if (base != NULL)
        result = write_changes(r, base, changes, r->count);
    dfx_archive_free(base);
    return result;
}

static int
add(const request *r)
{
    dfx_archive_change *changes = dfx_need(calloc(r->count, sizeof *changes));
    char **texts = dfx_need(calloc(r->count, sizeof *texts));
    int result = DFX_EXIT_YES;

    for (size_t i = 0; i < r->count && result == DFX_EXIT_YES; i++) {
        texts[i] = dfx_need(strdup(r->operands[i]));
        if (!split(texts[i], &changes[i]))
            result = DFX_EXIT_USAGE;
    }
    if (result == DFX_EXIT_YES)
        result = change(r, changes);
    for (size_t i = 0; i < r->count; i++)
        free(texts[i]);
    free(texts);
    free(changes);
    return result;
}

static int
remove_entries(const request *r)
{
    dfx_archive_change *changes = dfx_need(calloc(r->count, sizeof *changes));
    int result;

    for (size_t i = 0; i < r->count; i++)
        changes[i].path = r->operands[i];
    result = change(r, changes);
    free(changes);
    return result;
}

static int
set(const request *r)
{
    dfx_archive *base = open_archive(r);
    dfx_archive_options options = r->write;
    dfx_plan *plan = NULL;
    dfx_error err = {0};
    int result = DFX_EXIT_NO;

    if (base == NULL)
        return DFX_EXIT_NO;
    options.force = true;
    if (dfx_archive_set(base, r->operands, r->count, r->archive, &options,
                        &plan, &err) == DFX_OK)
        result = run_plan(r, plan, r->archive);
    else
        result = fail(r->archive, &err);
    dfx_archive_free(base);
    return result;
}

static int
extract(const request *r)
{
    dfx_archive *archive = open_archive(r);
    const char *dst = r->operands[0];
    dfx_plan *plan = NULL;
    dfx_error err = {0};
    int result = DFX_EXIT_NO;

    if (archive == NULL)
        return DFX_EXIT_NO;
    if (dfx_archive_extract(archive, r->operands + 1, r->count - 1, dst,
                            &r->write, &plan, &err) == DFX_OK)
        result = run_plan(r, plan, dst);
    else
        result = fail(dst, &err);
    dfx_archive_free(archive);
    return result;
}

/* ---- Reading -------------------------------------------------------------
 */

static void
print_entries(const request *r, const dfx_archive_entry *entries, size_t count)
{
    dfx_colours colours = dfx_colours_choose(r->colour, stdout);
    dfx_table table;

    dfx_table_init(&table, "rrll");
    dfx_table_cell(&table, "OFFSET");
    dfx_table_cell(&table, "BYTES");
    dfx_table_cell(&table, "CRC-32");
    dfx_table_cell(&table, "NAME");
    for (size_t i = 0; i < count; i++) {
        dfx_table_u64(&table, entries[i].offset);
        dfx_table_u64(&table, entries[i].data.size);
        dfx_table_cellf(&table, "%08" PRIx32, entries[i].crc);
        dfx_table_cell(&table, entries[i].path);
    }
    dfx_table_print(&table, stdout, 0, &colours);
    dfx_table_fini(&table);
}

static void
print_entries_json(const request *r, const dfx_archive_entry *entries,
                   size_t count)
{
    cJSON *root = dfx_json_head(r->archive), *array = dfx_json_array();

    for (size_t i = 0; i < count; i++) {
        cJSON *entry = dfx_json_object();
        char crc[16];

        snprintf(crc, sizeof crc, "%08" PRIx32, entries[i].crc);
        dfx_json_add(entry, "name", dfx_json_text(entries[i].path));
        dfx_json_add(entry, "offset", dfx_json_count(entries[i].offset));
        dfx_json_add(entry, "bytes", dfx_json_count(entries[i].data.size));
        dfx_json_add(entry, "crc32", dfx_json_text(crc));
        dfx_json_append(array, entry);
    }
    dfx_json_add(root, "entries", array);
    dfx_json_print(root, stdout);
}

static int
list(const request *r)
{
    dfx_archive *archive = open_archive(r);
    const dfx_archive_entry *entries;
    size_t count = 0;

    if (archive == NULL)
        return DFX_EXIT_NO;
    entries = dfx_archive_entries(archive, &count);
    if (r->json)
        print_entries_json(r, entries, count);
    else
        print_entries(r, entries, count);
    dfx_archive_free(archive);
    return DFX_EXIT_YES;
}

static int
check_one(const request *r, const char *path)
{
    const dfx_open_options open = {.format = "dduf"};
    cJSON *object = NULL;
    int result = dfx_findings(tool.name, path, &open, r->quiet,
                              r->json ? &object : NULL);

    if (object != NULL)
        dfx_json_print(object, stdout);
    return result;
}

static int
check(const request *r)
{
    int worst = check_one(r, r->archive);

    for (size_t i = 0; i < r->count; i++) {
        int one = check_one(r, r->operands[i]);

        worst = one > worst ? one : worst;
    }
    return worst;
}

/* Prints an entry; false after a message. */
static bool
cat_one(const dfx_archive_entry *entry, char *buffer)
{
    dfx_error err = {0};
    uint64_t at = 0;

    while (at < entry->data.size && *dfx_signals_flag() == 0) {
        uint64_t left = entry->data.size - at;
        size_t n = left < BUFFER ? (size_t)left : BUFFER;

        if (dfx_extent_read(&entry->data, at, buffer, n, &err) != DFX_OK) {
            dfx_say_error(tool.name, entry->path, &err);
            return false;
        }
        if (fwrite(buffer, 1, n, stdout) != n)
            return false; /* told at the end */
        at += n;
    }
    return true;
}

static const dfx_archive_entry *
find(const dfx_archive *archive, const char *name)
{
    size_t count = 0;
    const dfx_archive_entry *entries = dfx_archive_entries(archive, &count);

    for (size_t i = 0; i < count; i++)
        if (strcmp(entries[i].path, name) == 0)
            return &entries[i];
    return NULL;
}

static int
cat(const request *r)
{
    dfx_archive *archive = open_archive(r);
    char *buffer = dfx_need(malloc(BUFFER));
    int result = archive == NULL ? DFX_EXIT_NO : DFX_EXIT_YES;

    for (size_t i = 0; i < r->count && result == DFX_EXIT_YES; i++) {
        const dfx_archive_entry *entry = find(archive, r->operands[i]);

        if (entry == NULL) {
            dfx_say(tool.name, "%s: there is no entry \"%s\"", r->archive,
                    r->operands[i]);
            result = DFX_EXIT_USAGE;
        } else if (!cat_one(entry, buffer)) {
            result = DFX_EXIT_NO;
        }
    }
    free(buffer);
    dfx_archive_free(archive);
    return result;
}

/* ---- The command line ----------------------------------------------------
 */

static const command commands[] = {
    /* clang-format off */
    {"create",  "MODEL",           1, 1,        WRITES | ARCHIVES | REPLACES | TALKS, create},
    {"list",    "",                0, 0,        REPORTS,                              list},
    {"check",   "",                0, SIZE_MAX, REPORTS | TALKS,                      check},
    {"extract", "DST [NAME]...",   1, SIZE_MAX, WRITES | REPLACES | TALKS,            extract},
    {"cat",     "NAME...",         1, SIZE_MAX, 0,                                    cat},
    {"add",     "NAME=FILE...",    1, SIZE_MAX, WRITES | ARCHIVES | TALKS,            add},
    {"remove",  "NAME...",         1, SIZE_MAX, WRITES | ARCHIVES | TALKS,            remove_entries},
    {"set",     "NAME.FIELD=VALUE...", 1, SIZE_MAX, WRITES | ARCHIVES | TALKS,        set},
    /* clang-format on */
};

enum { COMMANDS = sizeof commands / sizeof commands[0] };

static const char *
command_at(size_t i)
{
    return i < COMMANDS ? commands[i].name : NULL;
}

/* The command of that name; NULL after a message. */
static const command *
find_command(const char *name)
{
    const char *nearest = dfx_nearest(name, command_at);

    for (size_t i = 0; i < COMMANDS; i++)
        if (strcmp(commands[i].name, name) == 0)
            return &commands[i];
    dfx_usage(&tool, "there is no command '%s'%s%s%s", name,
              nearest != NULL ? "; did you mean " : "",
              nearest != NULL ? nearest : "", nearest != NULL ? "?" : "");
    return NULL;
}

/* Takes over one option; false after a message. */
static bool
apply(request *r, dfx_option option, const dfx_args *args)
{
    if (option == DFX_OPTION_JOBS)
        return dfx_jobs_parse(&tool, args->value, &r->threads);
    if (option == DFX_OPTION_OPERAND)
        r->words[r->word_count++] = args->value;
    else if (option == DFX_OPTION_PLAIN)
        r->write.plain = true;
    else if (option == DFX_OPTION_FORCE)
        r->write.force = true;
    else if (option == DFX_OPTION_SYNC)
        r->write.sync = true;
    else if (option == DFX_OPTION_JSON)
        r->json = true;
    else if (option == DFX_OPTION_COLOR)
        r->colour = (dfx_colour_when)args->choice;
    else if (option == DFX_OPTION_PROGRESS)
        r->progress = true;
    else if (option == DFX_OPTION_QUIET)
        r->quiet = true;
    else if (option == DFX_OPTION_HELP)
        r->help = true;
    else if (option == DFX_OPTION_VERSION)
        r->version = true;
    return option != DFX_OPTION_WRONG;
}

/* Words become the command, the archive and operands; false after a message. */
static bool
settle_words(request *r)
{
    const command *c;

    if (r->word_count < 2) {
        dfx_usage(&tool, "%s is missing",
                  r->word_count == 0 ? "COMMAND" : "ARCHIVE");
        return false;
    }
    r->command = c = find_command(r->words[0]);
    if (c == NULL)
        return false;
    r->archive = r->words[1];
    r->operands = r->words + 2;
    r->count = r->word_count - 2;
    if (r->count >= c->least && r->count <= c->most)
        return dfx_check_path(&tool, r->archive);
    dfx_usage(&tool, "the command is: %s ARCHIVE %s", c->name, c->operands);
    return false;
}

/* No option is given that the command has no use for; false after a message. */
static bool
check_options(const request *r)
{
    const struct {
        bool given;
        unsigned needs;
        const char *name;
    } options[] = {
        {r->json, REPORTS, "json"},          {r->quiet, TALKS, "quiet"},
        {r->write.force, REPLACES, "force"}, {r->write.sync, WRITES, "sync"},
        {r->write.plain, ARCHIVES, "plain"}, {r->threads != 0, WRITES, "jobs"},
        {r->progress, WRITES, "progress"},
    };

    for (size_t i = 0; i < sizeof options / sizeof options[0]; i++)
        if (options[i].given && (r->command->takes & options[i].needs) == 0) {
            dfx_usage(&tool, "%s has no use for --%s", r->command->name,
                      options[i].name);
            return false;
        }
    return true;
}

static int
start(request *r, int argc, char **argv)
{
    dfx_option option;
    dfx_args args;

    dfx_args_init(&args, &tool, argc, argv);
    for (option = dfx_args_next(&args); option != DFX_OPTION_END;
         option = dfx_args_next(&args))
        if (!apply(r, option, &args))
            return DFX_EXIT_USAGE;
    if (r->help)
        dfx_help_print(&tool);
    else if (r->version)
        printf("%s %s\n", tool.name, dfx_version());
    else
        return settle_words(r) && check_options(r) ? r->command->run(r)
                                                   : DFX_EXIT_USAGE;
    return DFX_EXIT_YES;
}

int
main(int argc, char **argv)
{
    request r = {.colour = DFX_COLOUR_AUTO};
    int status;

    r.words = dfx_need(calloc((size_t)argc + 1, sizeof *r.words));
    dfx_signals_catch();
    status = dfx_finish(tool.name, start(&r, argc, argv));
    free(r.words);
    dfx_signals_raise();
    return status;
}
