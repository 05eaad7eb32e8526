/*
 * dfx_convert.c - dfx-convert: a model from one form to another
 *
 * Everything it can do, dfx.h can: this file turns a command line into options,
 * and a plan into text.
 */
#include <config.h>

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "dfx.h"
#include "options.h"
#include "progress.h"
#include "report.h"
#include "signals.h"
#include "source.h"
#include "table.h"

static const char *const examples[] = {
    "model.safetensors model/",
    "--dtype=f16 --component=vae=other/ model.safetensors half/",
    "-n model.safetensors model/",
    NULL,
};

static const dfx_tool tool = {
    .bit = DFX_TOOL_CONVERT,
    .name = "dfx-convert",
    .usage = "[OPTION]... SRC DST",
    .purpose = "Convert a diffusion model from one form to another, without "
               "loss.",
    .exit_status = "0 done, 1 failed or verified as different, 2 wrong use.",
    .examples = examples,
};

/* Arguments of a repeatable option, or operands. */
typedef struct text_list {
    const char **items; /* owned; the texts are borrowed from argv */
    size_t count;
} text_list;

typedef struct request {
    text_list operands;
    const char *src, *dst;
    const char *model_path, *checkpoint_path, *dump_path;
    dfx_open_options open;
    dfx_identify_options identify;
    dfx_convert_options convert;
    text_list sets, metadata, prefixes, components;
    unsigned threads;
    dfx_colour_when colour;
    bool verify, dry_run, json, progress, quiet, verbose;
    bool list_formats, list_families, help, version;
    bool safetensors; /* --use_safetensors */
} request;

/* What a conversion holds. */
typedef struct conversion {
    dfx_source source;
    dfx_source *extra; /* owned: the models of --component */
    char **names;      /* owned: what is taken from each */
    dfx_graft *grafts; /* owned */
    size_t extra_count;
    dfx_plan *plan; /* owned */
    size_t verified;
    bool written;
} conversion;

static void
list_add(text_list *list, const char *text)
{
    list->items = dfx_need(
        reallocarray(list->items, list->count + 1, sizeof *list->items));
    list->items[list->count++] = text;
}

static const char *
type_at(size_t i)
{
    return i < DFX_TYPE_COUNT ? dfx_type_name((dfx_type)i) : NULL;
}

static bool
set_type(request *r, const char *text)
{
    const char *nearest;
    char upper[32];
    size_t i;

    r->convert.dtype = dfx_type_named(text);
    if (r->convert.dtype != DFX_TYPE_COUNT)
        return true;
    for (i = 0; text[i] != '\0' && i + 1 < sizeof upper; i++)
        upper[i] =
            (char)(text[i] >= 'a' && text[i] <= 'z' ? text[i] - 32 : text[i]);
    upper[i] = '\0';
    nearest = dfx_nearest(upper, type_at);
    dfx_usage(&tool, "there is no type '%s'%s%s%s", text,
              nearest != NULL ? "; did you mean " : "",
              nearest != NULL ? nearest : "", nearest != NULL ? "?" : "");
    return false;
}

/* Options that only set a member, and how. */
static const struct {
    dfx_option option;
    enum { FLAG, TEXT, LIST, PAIRS } how; /* PAIRS: a LIST of NAME=VALUE */
    size_t member;
} members[] = {
/* clang-format off */
#define MEMBER(option, how, member)                                            \
    {DFX_OPTION_##option, how, offsetof(request, member)}
    MEMBER(OPERAND,         LIST,  operands),
    MEMBER(TO,              TEXT,  convert.to),
    MEMBER(TYPE_RULES,      TEXT,  convert.type_rules),
    MEMBER(ONLY,            TEXT,  convert.only),
    MEMBER(LONE,            FLAG,  convert.lone),
    MEMBER(PLAIN,           FLAG,  convert.plain),
    MEMBER(WRAP,            FLAG,  convert.wrap),
    MEMBER(WRITE_VARIANT,   TEXT,  convert.variant),
    MEMBER(ADD_METADATA,    PAIRS, metadata),
    MEMBER(PREFIX,          PAIRS, prefixes),
    MEMBER(FORCE,           FLAG,  convert.force),
    MEMBER(SYNC,            FLAG,  convert.sync),
    MEMBER(VERIFY,          FLAG,  verify),
    MEMBER(DRY_RUN,         FLAG,  dry_run),
    MEMBER(FROM,            TEXT,  open.format),
    MEMBER(FAMILY,          TEXT,  identify.family),
    MEMBER(VARIANT,         TEXT,  open.variant),
    MEMBER(ALLOW_UNSAFE, FLAG, convert.allow_unsafe),
    MEMBER(COMPONENT,       PAIRS, components),
    MEMBER(CONFIG,          TEXT,  identify.config_dir),
    MEMBER(ORIGINAL_CONFIG, TEXT,  identify.yaml),
    MEMBER(SET,             PAIRS, sets),
    MEMBER(JSON,            FLAG,  json),
    MEMBER(FAMILIES,        FLAG,  list_families),
    MEMBER(LIST_FORMATS,    FLAG,  list_formats),
    MEMBER(PROGRESS,        FLAG,  progress),
    MEMBER(QUIET,           FLAG,  quiet),
    MEMBER(VERBOSE,         FLAG,  verbose),
    MEMBER(HELP,            FLAG,  help),
    MEMBER(VERSION,         FLAG,  version),
    MEMBER(MODEL_PATH,      TEXT,  model_path),
    MEMBER(CHECKPOINT_PATH, TEXT,  checkpoint_path),
    MEMBER(DUMP_PATH,       TEXT,  dump_path),
    MEMBER(USE_SAFETENSORS, FLAG,  safetensors),
#undef MEMBER
    /* clang-format on */
};

/* Sets a member; false after a message. */
static bool
set_member(request *r, size_t i, const char *value)
{
    void *member = (char *)r + members[i].member;

    switch (members[i].how) {
    case FLAG:
        *(bool *)member = true;
        return true;
    case TEXT:
        *(const char **)member = value;
        return true;
    case PAIRS:
        if (strchr(value, '=') == NULL || value[0] == '=') {
            dfx_usage(&tool, "'%s' should be NAME=VALUE", value);
            return false;
        }
        list_add(member, value);
        return true;
    case LIST:
        list_add(member, value);
        return true;
    }
    return false;
}

/* Takes over one option; false after a message. */
static bool
apply(request *r, dfx_option option, const dfx_args *args)
{
    static const dfx_ema emas[] = {DFX_EMA_DROP, DFX_EMA_USE, DFX_EMA_KEEP};
    static const dfx_unknown unknowns[] = {DFX_UNKNOWN_ERROR, DFX_UNKNOWN_KEEP,
                                           DFX_UNKNOWN_DROP};

    for (size_t i = 0; i < sizeof members / sizeof members[0]; i++)
        if (members[i].option == option)
            return set_member(r, i, args->value);
    if (option == DFX_OPTION_DTYPE)
        return set_type(r, args->value);
    if (option == DFX_OPTION_MAX_SHARD_SIZE)
        return dfx_size_parse(&tool, "max-shard-size", args->value,
                              &r->convert.max_shard_size);
    if (option == DFX_OPTION_MAX_EXPANDED)
        return dfx_size_parse(&tool, "max-expanded", args->value,
                              &r->open.max_expanded);
    if (option == DFX_OPTION_JOBS)
        return dfx_jobs_parse(&tool, args->value, &r->threads);
    if (option == DFX_OPTION_KEY)
        r->open.key = dfx_key_of(args->value);
    else if (option == DFX_OPTION_EMA)
        r->convert.ema = emas[args->choice];
    else if (option == DFX_OPTION_UNKNOWN)
        r->convert.unknown = unknowns[args->choice];
    else if (option == DFX_OPTION_COLOR)
        r->colour = (dfx_colour_when)args->choice;
    return option != DFX_OPTION_WRONG;
}

/* A name that PyTorch's users give to a checkpoint. */
static bool
is_checkpoint_name(const char *path)
{
    static const char *const suffixes[] = {".ckpt", ".pt", ".pth", ".bin"};
    size_t size = strlen(path);

    for (size_t i = 0; i < sizeof suffixes / sizeof suffixes[0]; i++) {
        size_t n = strlen(suffixes[i]);

        if (size > n && strcmp(path + size - n, suffixes[i]) == 0)
            return true;
    }
    return false;
}

/*
 * What the script that writes a file does by itself: a pickle with the tensors
 * under "state_dict", or with --use_safetensors a safetensors file, whatever
 * the name. Here the name counts, unless that option is given.
 */
static bool
settle_script(request *r, bool is_output)
{
    const char *to = r->convert.to;
    bool is_checkpoint = is_checkpoint_name(r->dst);

    if (r->safetensors && to != NULL &&
        (strcmp(to, "ckpt") == 0 || strcmp(to, "bin") == 0)) {
        dfx_usage(&tool, "--use_safetensors and --to=%s are two answers", to);
        return false;
    }
    if (r->safetensors && to == NULL && (is_output || is_checkpoint))
        r->convert.to = "safetensors";
    else if (is_output && to == NULL && is_checkpoint)
        r->convert.wrap = true;
    return true;
}

/*
 * SRC and DST from operands and from the options of diffusers' scripts. The
 * script that reads a folder calls that --model_path and its output
 * --checkpoint_path; the one that reads a file calls that --checkpoint_path
 * and its output --dump_path.
 */
static bool
settle_operands(request *r)
{
    bool is_output = r->model_path != NULL && r->checkpoint_path != NULL;

    if (is_output && r->dump_path != NULL) {
        dfx_usage(&tool, "with --model_path the target is --checkpoint_path; "
                         "leave out --dump_path");
        return false;
    }
    r->src = r->model_path != NULL ? r->model_path : r->checkpoint_path;
    r->dst = is_output ? r->checkpoint_path : r->dump_path;
    for (size_t i = 0; i < r->operands.count; i++) {
        const char **place = r->src == NULL   ? &r->src
                             : r->dst == NULL ? &r->dst
                                              : NULL;

        if (place == NULL) {
            dfx_usage(&tool, "there is one SRC and one DST; what is '%s'?",
                      r->operands.items[i]);
            return false;
        }
        *place = r->operands.items[i];
    }
    if (r->src != NULL && r->dst != NULL)
        return dfx_check_path(&tool, r->src) && dfx_check_path(&tool, r->dst) &&
               settle_script(r, is_output);
    dfx_usage(&tool, "%s",
              r->src == NULL ? "SRC and DST are missing" : "DST is missing");
    return false;
}

/* Names that the library knows are checked when all options were read, since
   --list-formats and --help need no right ones. */
static bool
check_names(const request *r)
{
    const char *from = r->open.format, *to = r->convert.to;
    const char *family = r->identify.family, *variant = r->convert.variant;

    if (variant != NULL && strchr(variant, '/') != NULL) {
        dfx_usage(&tool, "'%s' cannot be in the name of a file", variant);
        return false;
    }
    return (from == NULL || dfx_check_format(&tool, from, false)) &&
           (to == NULL || dfx_check_format(&tool, to, true)) &&
           (family == NULL || dfx_check_family(&tool, family));
}

static void
say_warnings(const request *r, const dfx_source *source)
{
    dfx_verdict verdict = dfx_index_verdict(source->index);
    size_t count = 0;
    const char *const *texts;

    if (r->quiet)
        return;
    if (verdict != DFX_VERDICT_SAFE && r->convert.allow_unsafe)
        dfx_say(tool.name, "%s: warning: %s (dfx-inspect --audit says why)",
                source->path, dfx_verdict_name(verdict));
    texts = dfx_index_warnings(source->index, &count);
    for (size_t i = 0; i < count; i++)
        dfx_say(tool.name, "%s: warning: %s", source->path, texts[i]);
    texts = dfx_identity_warnings(source->identity, &count);
    for (size_t i = 0; i < count; i++)
        dfx_say(tool.name, "%s: warning: %s", source->path, texts[i]);
}

/* One line: what a source is. */
static void
say_identity(const dfx_source *source)
{
    const dfx_identity *identity = source->identity;
    const char *variant = dfx_identity_variant(identity);
    const char *pipeline = dfx_identity_pipeline(identity);
    const dfx_candidate *candidates;
    size_t count = 0;

    dfx_say(tool.name, "%s: %s, %s layout, family %s%s%s%s%s", source->path,
            dfx_index_format(source->index),
            dfx_layout_name(dfx_identity_layout(identity)),
            dfx_identity_family(identity), variant != NULL ? " " : "",
            variant != NULL ? variant : "", pipeline != NULL ? ", " : "",
            pipeline != NULL ? pipeline : "");
    candidates = dfx_identity_candidates(identity, &count);
    for (size_t i = 0; i < count; i++)
        dfx_say(tool.name, "%s: %s%s: %s", source->path,
                candidates[i].chosen ? "" : "not taken: ", candidates[i].family,
                candidates[i].evidence);
}

/* Opens SRC and the sources of --component. *path is the one that failed. */
static dfx_status
open_sources(request *r, conversion *c, const char **path, dfx_error *err)
{
    dfx_status status;
    size_t count = r->components.count;

    *path = r->src;
    status = dfx_source_open(&c->source, r->src, &r->open, &r->identify, err);
    if (status != DFX_OK || count == 0)
        return status;
    c->extra = dfx_need(calloc(count, sizeof *c->extra));
    c->names = dfx_need(calloc(count, sizeof *c->names));
    c->grafts = dfx_need(calloc(count, sizeof *c->grafts));
    for (size_t i = 0; i < count; i++) {
        const char *pair = r->components.items[i];
        const char *equals = strchr(pair, '=');
        /* The format, key and family of SRC say nothing of this one. */
        dfx_open_options open = {.variant = r->open.variant,
                                 .max_expanded = r->open.max_expanded,
                                 .temp = r->open.temp};

        *path = equals + 1;
        status = dfx_source_open(&c->extra[i], *path, &open, NULL, err);
        if (status != DFX_OK)
            return status;
        c->extra_count = i + 1;
        c->names[i] = dfx_need(strndup(pair, (size_t)(equals - pair)));
        c->grafts[i] =
            (dfx_graft){c->names[i], c->extra[i].index, c->extra[i].identity};
    }
    r->convert.grafts = c->grafts;
    r->convert.graft_count = count;
    return DFX_OK;
}

static void
conversion_fini(conversion *c)
{
    dfx_plan_free(c->plan);
    for (size_t i = 0; i < c->extra_count; i++) {
        free(c->names[i]);
        dfx_source_close(&c->extra[i]);
    }
    free(c->grafts);
    free(c->names);
    free(c->extra);
    dfx_source_close(&c->source);
}

static dfx_status
run(const request *r, conversion *c, dfx_error *err)
{
    dfx_progress progress;
    dfx_run_options options = {
        .threads = r->threads,
        .stop = dfx_signals_flag(),
        .progress = dfx_progress_update,
        .context = &progress,
    };
    dfx_status status;

    dfx_progress_start(&progress, "writing", r->progress, r->quiet);
    status = dfx_plan_run(c->plan, &options, err);
    dfx_progress_end(&progress);
    c->written = status == DFX_OK;
    if (c->written && r->verbose)
        dfx_say(tool.name, "%s: written in %.2f s", r->dst,
                dfx_progress_seconds(&progress));
    if (status != DFX_OK || !r->verify)
        return status;
    dfx_progress_start(&progress, "verifying", r->progress, r->quiet);
    status = dfx_plan_verify(c->plan, &options, &c->verified, err);
    dfx_progress_end(&progress);
    return status;
}

static void
print_tensors(const dfx_plan_file *file)
{
    dfx_table table;

    dfx_table_init(&table, "rlllrl");
    dfx_table_cell(&table, "OFFSET");
    dfx_table_cell(&table, "TENSOR");
    dfx_table_cell(&table, "TYPE");
    dfx_table_cell(&table, "SHAPE");
    dfx_table_cell(&table, "BYTES");
    dfx_table_cell(&table, "FROM");
    for (size_t i = 0; i < file->tensor_count; i++) {
        const dfx_plan_tensor *t = &file->tensors[i];
        char shape[128];

        dfx_table_u64(&table, t->offset);
        dfx_table_cell(&table, t->name);
        dfx_table_cell(&table, dfx_type_name(t->type));
        dfx_table_cell(&table,
                       dfx_shape_print(t->shape, t->rank, shape, sizeof shape));
        dfx_table_u64(&table, t->size);
        dfx_table_cell(&table, t->from);
    }
    dfx_table_print(&table, stdout, 4, NULL);
    dfx_table_fini(&table);
}

static void
print_files(const request *r, const conversion *c)
{
    size_t count = 0;
    const dfx_plan_file *files = dfx_plan_files(c->plan, &count);
    dfx_colours colours = dfx_colours_choose(r->colour, stdout);
    char human[DFX_HUMAN_CHARS];
    dfx_table table;

    dfx_table_init(&table, "lrr");
    dfx_table_cell(&table, "FILE");
    dfx_table_cell(&table, "TENSORS");
    dfx_table_cell(&table, "SIZE");
    for (size_t i = 0; i < count; i++) {
        bool is_dst = files[i].path[0] == '\0';

        dfx_table_cell(&table, is_dst ? r->dst : files[i].path);
        if (files[i].tensor_count > 0)
            dfx_table_u64(&table, files[i].tensor_count);
        else
            dfx_table_cell(&table, "");
        dfx_table_cell(&table, dfx_human_bytes(files[i].size, human));
    }
    dfx_table_print(&table, stdout, 2, &colours);
    dfx_table_fini(&table);
    for (size_t i = 0; r->verbose && i < count; i++)
        if (files[i].tensor_count > 0) {
            printf("\n%s\n", files[i].path[0] == '\0' ? r->dst : files[i].path);
            print_tensors(&files[i]);
        }
}

static void
print_plan(const request *r, const conversion *c)
{
    const dfx_identity *identity = c->source.identity;
    const char *variant = dfx_identity_variant(identity);
    const char *const *notes;
    char human[DFX_HUMAN_CHARS];
    size_t count = 0;

    dfx_put(stdout, r->src);
    printf(" (%s, %s%s%s) -> ", dfx_index_format(c->source.index),
           dfx_identity_family(identity), variant != NULL ? " " : "",
           variant != NULL ? variant : "");
    dfx_put(stdout, r->dst);
    dfx_plan_files(c->plan, &count);
    printf(": %zu file%s, %s\n\n", count, count == 1 ? "" : "s",
           dfx_human_bytes(dfx_plan_bytes(c->plan), human));
    print_files(r, c);
    notes = dfx_plan_notes(c->plan, &count);
    if (count > 0)
        printf("\nNotes\n");
    for (size_t i = 0; i < count; i++) {
        printf("  - ");
        dfx_put_wrapped(stdout, notes[i], 4, 4);
        putchar('\n');
    }
}

static cJSON *
json_tensor(const dfx_plan_tensor *t)
{
    cJSON *object = dfx_json_object();

    dfx_json_add(object, "name", dfx_json_text(t->name));
    dfx_json_add(object, "dtype", dfx_json_text(dfx_type_name(t->type)));
    dfx_json_add(object, "shape", dfx_json_shape(t->shape, t->rank));
    dfx_json_add(object, "offset", dfx_json_count(t->offset));
    dfx_json_add(object, "bytes", dfx_json_count(t->size));
    dfx_json_add(object, "from", dfx_json_text(t->from));
    return object;
}

static cJSON *
json_files(const conversion *c)
{
    cJSON *array = dfx_json_array();
    size_t count = 0;
    const dfx_plan_file *files = dfx_plan_files(c->plan, &count);

    for (size_t i = 0; i < count; i++) {
        cJSON *file = dfx_json_object();
        cJSON *tensors = dfx_json_array();

        dfx_json_add(file, "path", dfx_json_text(files[i].path));
        dfx_json_add(file, "bytes", dfx_json_count(files[i].size));
        for (size_t j = 0; j < files[i].tensor_count; j++)
            dfx_json_append(tensors, json_tensor(&files[i].tensors[j]));
        dfx_json_add(file, "tensors", tensors);
        dfx_json_append(array, file);
    }
    return array;
}

/* The one document of --json: what failed, or the plan. */
static void
print_json(const request *r, const conversion *c, const dfx_error *failure)
{
    cJSON *root = dfx_json_object();
    const char *const *notes;
    size_t count = 0;

    dfx_json_add(root, "schema", dfx_json_count(DFX_JSON_SCHEMA));
    dfx_json_add(root, "path", dfx_json_text(r->src));
    dfx_json_add(root, "target", dfx_json_text(r->dst));
    if (failure != NULL)
        dfx_json_add(root, "error", dfx_json_error(failure));
    if (c->plan != NULL) {
        const dfx_identity *identity = c->source.identity;

        dfx_json_add(root, "format",
                     dfx_json_text(dfx_index_format(c->source.index)));
        dfx_json_add(
            root, "layout",
            dfx_json_text(dfx_layout_name(dfx_identity_layout(identity))));
        dfx_json_add(root, "family",
                     dfx_json_text(dfx_identity_family(identity)));
        dfx_json_add(root, "bytes", dfx_json_count(dfx_plan_bytes(c->plan)));
        dfx_json_add(root, "files", json_files(c));
        notes = dfx_plan_notes(c->plan, &count);
        dfx_json_add(root, "notes", dfx_json_texts(notes, count));
        dfx_json_add(root, "written", dfx_json_bool(c->written));
        dfx_json_add(root, "verified",
                     r->verify && c->written ? dfx_json_count(c->verified)
                                             : dfx_json_text(NULL));
    }
    dfx_json_print(root, stdout);
}

static void
say_result(const request *r, const conversion *c)
{
    size_t count = 0;
    const char *const *notes = dfx_plan_notes(c->plan, &count);
    char human[DFX_HUMAN_CHARS];

    for (size_t i = 0; i < count; i++)
        dfx_say(tool.name, "%s: %s", r->dst, notes[i]);
    dfx_plan_files(c->plan, &count);
    dfx_say(tool.name, "%s: wrote %zu file%s, %s", r->dst, count,
            count == 1 ? "" : "s",
            dfx_human_bytes(dfx_plan_bytes(c->plan), human));
    if (r->verify)
        dfx_say(tool.name,
                "%s: verified, %zu tensors read back as they were meant",
                r->dst, c->verified);
}

/* Everything between the command line and the exit status. */
static int
convert(request *r)
{
    conversion c = {0};
    dfx_error err = {0};
    const char *path = r->src;
    dfx_status status;
    int result = DFX_EXIT_YES;

    status = open_sources(r, &c, &path, &err);
    if (status == DFX_OK) {
        say_warnings(r, &c.source);
        if (r->verbose && !r->quiet)
            say_identity(&c.source);
        path = r->dst;
        status = dfx_convert(c.source.index, c.source.identity, r->dst,
                             &r->convert, &c.plan, &err);
    }
    if (status == DFX_OK && !r->dry_run)
        status = run(r, &c, &err);
    if (status != DFX_OK && *dfx_signals_flag() == 0)
        result = dfx_say_error(tool.name, path, &err);
    if (r->json && *dfx_signals_flag() == 0)
        print_json(r, &c, status != DFX_OK ? &err : NULL);
    else if (status == DFX_OK && r->dry_run && !r->quiet)
        print_plan(r, &c);
    if (status == DFX_OK && !r->dry_run && !r->quiet)
        say_result(r, &c);
    conversion_fini(&c);
    return result;
}

static int
start(request *r, int argc, char **argv)
{
    dfx_colours colours;
    dfx_option option;
    dfx_args args;

    dfx_args_init(&args, &tool, argc, argv);
    for (option = dfx_args_next(&args); option != DFX_OPTION_END;
         option = dfx_args_next(&args))
        if (!apply(r, option, &args))
            return DFX_EXIT_USAGE;
    colours = dfx_colours_choose(r->colour, stdout);
    if (r->help)
        dfx_help_print(&tool);
    else if (r->version)
        printf("%s %s\n", tool.name, dfx_version());
    else if (r->list_formats)
        dfx_list_formats(r->json, &colours);
    else if (r->list_families)
        dfx_list_families(r->json, &colours);
    else if (!settle_operands(r) || !check_names(r))
        return DFX_EXIT_USAGE;
    else {
        r->identify.set = r->sets.items;
        r->identify.set_count = r->sets.count;
        r->convert.metadata = r->metadata.items;
        r->convert.metadata_count = r->metadata.count;
        r->convert.prefixes = r->prefixes.items;
        r->convert.prefix_count = r->prefixes.count;
        return convert(r);
    }
    return DFX_EXIT_YES;
}

int
main(int argc, char **argv)
{
    request r = {.colour = DFX_COLOUR_AUTO};
    int status;

    dfx_convert_options_init(&r.convert);
    r.open.temp = dfx_temp_folder();
    dfx_signals_catch();
    status = dfx_finish(tool.name, start(&r, argc, argv));
    free(r.operands.items);
    free(r.sets.items);
    free(r.metadata.items);
    free(r.prefixes.items);
    free(r.components.items);
    dfx_signals_raise();
    return status;
}
