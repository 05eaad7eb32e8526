/*
 * dfx_convert.c - dfx-convert: a model from one form to another
 *
 * Everything it can do, dfx.h can: this file turns a command line into options,
 * and a plan into text.
 */
#include <config.h>

#include <stdlib.h>
#include <string.h>

#include "dfx.h"
#include "job.h"
#include "options.h"
#include "report.h"
#include "signals.h"
#include "source.h"

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

typedef struct request {
    dfx_job job;
    dfx_texts operands;
    const char *model_path, *checkpoint_path, *dump_path;
    dfx_open_options open;
    dfx_identify_options identify;
    dfx_convert_options convert;
    dfx_texts sets, metadata, prefixes, components;
    bool dry_run, json;
    bool list_formats, list_families, help, version;
    bool safetensors; /* --use_safetensors */

    /* Of --component. */
    dfx_source *extra; /* owned: the models */
    char **names;      /* owned: what is taken from each */
    dfx_graft *grafts; /* owned */
    size_t extra_count;
} request;

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
    MEMBER(VERIFY,          FLAG,  job.verify),
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
    MEMBER(PROGRESS,        FLAG,  job.progress),
    MEMBER(QUIET,           FLAG,  job.quiet),
    MEMBER(VERBOSE,         FLAG,  job.verbose),
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
        dfx_texts_add(member, value);
        return true;
    case LIST:
        dfx_texts_add(member, value);
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
    if (option == DFX_OPTION_DTYPE) {
        r->convert.dtype = dfx_type_parse(&tool, args->value);
        return r->convert.dtype != DFX_TYPE_COUNT;
    }
    if (option == DFX_OPTION_MAX_SHARD_SIZE)
        return dfx_size_parse(&tool, "max-shard-size", args->value,
                              &r->convert.max_shard_size);
    if (option == DFX_OPTION_MAX_EXPANDED)
        return dfx_size_parse(&tool, "max-expanded", args->value,
                              &r->open.max_expanded);
    if (option == DFX_OPTION_JOBS)
        return dfx_jobs_parse(&tool, args->value, &r->job.threads);
    if (option == DFX_OPTION_KEY)
        r->open.key = dfx_key_of(args->value);
    else if (option == DFX_OPTION_EMA)
        r->convert.ema = emas[args->choice];
    else if (option == DFX_OPTION_UNKNOWN)
        r->convert.unknown = unknowns[args->choice];
    else if (option == DFX_OPTION_COLOR)
        r->job.colour = (dfx_colour_when)args->choice;
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
    bool is_checkpoint = is_checkpoint_name(r->job.dst);

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
    r->job.src = r->model_path != NULL ? r->model_path : r->checkpoint_path;
    r->job.dst = is_output ? r->checkpoint_path : r->dump_path;
    for (size_t i = 0; i < r->operands.count; i++) {
        const char **place = r->job.src == NULL   ? &r->job.src
                             : r->job.dst == NULL ? &r->job.dst
                                                  : NULL;

        if (place == NULL) {
            dfx_usage(&tool, "there is one SRC and one DST; what is '%s'?",
                      r->operands.items[i]);
            return false;
        }
        *place = r->operands.items[i];
    }
    if (r->job.src != NULL && r->job.dst != NULL)
        return dfx_check_path(&tool, r->job.src) &&
               dfx_check_path(&tool, r->job.dst) && settle_script(r, is_output);
    dfx_usage(&tool, "%s",
              r->job.src == NULL ? "SRC and DST are missing"
                                 : "DST is missing");
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

/* Opens SRC and the sources of --component. *path is the one that failed. */
static dfx_status
open_sources(request *r, const char **path, dfx_error *err)
{
    dfx_status status;
    size_t count = r->components.count;

    *path = r->job.src;
    status =
        dfx_source_open(&r->job.source, *path, &r->open, &r->identify, err);
    if (status != DFX_OK || count == 0)
        return status;
    r->extra = dfx_need(calloc(count, sizeof *r->extra));
    r->names = dfx_need(calloc(count, sizeof *r->names));
    r->grafts = dfx_need(calloc(count, sizeof *r->grafts));
    for (size_t i = 0; i < count; i++) {
        const char *pair = r->components.items[i];
        const char *equals = strchr(pair, '=');
        /* The format, key and family of SRC say nothing of this one. */
        dfx_open_options open = {.variant = r->open.variant,
                                 .max_expanded = r->open.max_expanded,
                                 .temp = r->open.temp};

        *path = equals + 1;
        status = dfx_source_open(&r->extra[i], *path, &open, NULL, err);
        if (status != DFX_OK)
            return status;
        r->extra_count = i + 1;
        r->names[i] = dfx_need(strndup(pair, (size_t)(equals - pair)));
        r->grafts[i] =
            (dfx_graft){r->names[i], r->extra[i].index, r->extra[i].identity};
    }
    r->convert.grafts = r->grafts;
    r->convert.graft_count = count;
    return DFX_OK;
}

/* The plan borrows from all of them. */
static void
close_all(request *r)
{
    dfx_job_fini(&r->job);
    for (size_t i = 0; i < r->extra_count; i++) {
        free(r->names[i]);
        dfx_source_close(&r->extra[i]);
    }
    free(r->grafts);
    free(r->names);
    free(r->extra);
}

/* Everything between the command line and the exit status. */
static int
convert(request *r)
{
    dfx_job *job = &r->job;
    dfx_error err = {0};
    const char *path = job->src;
    dfx_status status;
    int result = DFX_EXIT_YES;

    status = open_sources(r, &path, &err);
    if (status == DFX_OK) {
        dfx_job_warn(job, r->convert.allow_unsafe);
        if (job->verbose && !job->quiet)
            dfx_job_identify(job);
        path = job->dst;
        status = dfx_convert(job->source.index, job->source.identity, job->dst,
                             &r->convert, &job->plan, &err);
    }
    if (status == DFX_OK && !r->dry_run)
        status = dfx_job_run(job, &err);
    if (status != DFX_OK && *dfx_signals_flag() == 0)
        result = dfx_say_error(tool.name, path, &err);
    if (r->json && *dfx_signals_flag() == 0)
        dfx_json_print(dfx_job_json(job, status != DFX_OK ? &err : NULL),
                       stdout);
    else if (status == DFX_OK && r->dry_run && !job->quiet)
        dfx_job_print(job);
    if (status == DFX_OK && !r->dry_run && !job->quiet)
        dfx_job_say_result(job);
    close_all(r);
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
    colours = dfx_colours_choose(r->job.colour, stdout);
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
    request r = {.job = {.tool = &tool, .colour = DFX_COLOUR_AUTO}};
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
