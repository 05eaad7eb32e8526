/*
 * dfx_quant.c - dfx-quant: a model in fewer bits, and what that cost
 *
 * It is a conversion with other types in the plan; what is said of it
 * afterwards is in quant_report.c and quant_html.c.
 */
#include <config.h>

#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "job.h"
#include "progress.h"
#include "quant.h"
#include "signals.h"
#include "table.h"

static const char *const examples[] = {
    "--type=q4_k model.safetensors model.gguf",
    "--type=q4_k_m --naming=comfy --report model.safetensors unet.gguf",
    "--target-size=2GB --html=report.html model.safetensors small.gguf",
    "--component=unet=q8_0,vae=f16 model/ parts.gguf",
    NULL,
};

static const dfx_tool tool = {
    .bit = DFX_TOOL_QUANT,
    .name = "dfx-quant",
    .usage = "[OPTION]... SRC DST",
    .purpose = "Write a diffusion model with fewer bits, and say what that "
               "cost.",
    .exit_status = "0 done, 1 failed or verified as different, 2 wrong use.",
    .examples = examples,
};

typedef struct request {
    dfx_job job;
    dfx_texts operands, metadata, types;
    char **copies; /* owned: lists that --component had */
    size_t copy_count;
    dfx_open_options open;
    dfx_identify_options identify;
    dfx_convert_options convert;
    const char *imatrix, *html;
    dfx_imatrix *importance; /* owned */
    bool dry_run, json, report;
    bool list_formats, list_families, list_types, help, version;
} request;

/* ---- The command line ---------------------------------------------------- */

/* Options that only set a member, and how. */
static const struct {
    dfx_option option;
    enum { FLAG, TEXT, LIST, PAIRS } how; /* PAIRS: a LIST of NAME=VALUE */
    size_t member;
} members[] = {
/* clang-format off */
#define MEMBER(option, how, member)                                            \
    {DFX_OPTION_##option, how, offsetof(request, member)}
    MEMBER(OPERAND,      LIST,  operands),
    MEMBER(TYPE,         TEXT,  convert.quant.type),
    MEMBER(KEEP,         TEXT,  convert.quant.keep),
    MEMBER(IMATRIX,      TEXT,  imatrix),
    MEMBER(TYPE_RULES,   TEXT,  convert.type_rules),
    MEMBER(REPORT,       FLAG,  report),
    MEMBER(HTML,         TEXT,  html),
    MEMBER(TO,           TEXT,  convert.to),
    MEMBER(ONLY,         TEXT,  convert.only),
    MEMBER(ADD_METADATA, PAIRS, metadata),
    MEMBER(FORCE,        FLAG,  convert.force),
    MEMBER(SYNC,         FLAG,  convert.sync),
    MEMBER(VERIFY,       FLAG,  job.verify),
    MEMBER(DRY_RUN,      FLAG,  dry_run),
    MEMBER(FROM,         TEXT,  open.format),
    MEMBER(FAMILY,       TEXT,  identify.family),
    MEMBER(VARIANT,      TEXT,  open.variant),
    MEMBER(ALLOW_UNSAFE, FLAG,  convert.allow_unsafe),
    MEMBER(JSON,         FLAG,  json),
    MEMBER(FAMILIES,     FLAG,  list_families),
    MEMBER(LIST_FORMATS, FLAG,  list_formats),
    MEMBER(LIST_TYPES,   FLAG,  list_types),
    MEMBER(PROGRESS,     FLAG,  job.progress),
    MEMBER(QUIET,        FLAG,  job.quiet),
    MEMBER(VERBOSE,      FLAG,  job.verbose),
    MEMBER(HELP,         FLAG,  help),
    MEMBER(VERSION,      FLAG,  version),
#undef MEMBER
    /* clang-format on */
};

/* Sets a member; false after a message. */
static bool
set_member(request *r, size_t i, const char *value)
{
    void *member = (char *)r + members[i].member;

    if (members[i].how == FLAG)
        *(bool *)member = true;
    else if (members[i].how == TEXT)
        *(const char **)member = value;
    else if (members[i].how == LIST ||
             (strchr(value, '=') != NULL && value[0] != '='))
        dfx_texts_add(member, value);
    else {
        dfx_usage(&tool, "'%s' should be NAME=VALUE", value);
        return false;
    }
    return true;
}

/* "unet=q4_k,vae=f16" */
static bool
add_types(request *r, const char *value)
{
    char *copy = dfx_need(strdup(value)), *rest = copy, *item;

    r->copies =
        dfx_need(reallocarray(r->copies, r->copy_count + 1, sizeof *r->copies));
    r->copies[r->copy_count++] = copy;
    while ((item = strsep(&rest, ",")) != NULL) {
        if (strchr(item, '=') == NULL || item[0] == '=') {
            dfx_usage(&tool, "'%s' should be NAME=TYPE", item);
            return false;
        }
        dfx_texts_add(&r->types, item);
    }
    return true;
}

/* Takes over one option; false after a message. */
static bool
apply(request *r, dfx_option option, const dfx_args *args)
{
    static const dfx_naming namings[] = {DFX_NAMING_FULL, DFX_NAMING_COMFY,
                                         DFX_NAMING_DIFFUSERS};
    static const dfx_ema emas[] = {DFX_EMA_DROP, DFX_EMA_USE, DFX_EMA_KEEP};
    static const dfx_unknown unknowns[] = {DFX_UNKNOWN_ERROR, DFX_UNKNOWN_KEEP,
                                           DFX_UNKNOWN_DROP};

    for (size_t i = 0; i < sizeof members / sizeof members[0]; i++)
        if (members[i].option == option)
            return set_member(r, i, args->value);
    if (option == DFX_OPTION_COMPONENT_TYPE)
        return add_types(r, args->value);
    if (option == DFX_OPTION_TARGET_SIZE)
        return dfx_size_parse(&tool, "target-size", args->value,
                              &r->convert.quant.target_size);
    if (option == DFX_OPTION_MAX_SHARD_SIZE)
        return dfx_size_parse(&tool, "max-shard-size", args->value,
                              &r->convert.max_shard_size);
    if (option == DFX_OPTION_MAX_EXPANDED)
        return dfx_size_parse(&tool, "max-expanded", args->value,
                              &r->open.max_expanded);
    if (option == DFX_OPTION_JOBS)
        return dfx_jobs_parse(&tool, args->value, &r->job.threads);
    if (option == DFX_OPTION_REST) {
        r->convert.dtype = dfx_type_parse(&tool, args->value);
        return r->convert.dtype != DFX_TYPE_COUNT;
    }
    if (option == DFX_OPTION_EFFORT)
        r->convert.quant.best = args->choice == 1;
    else if (option == DFX_OPTION_NAMING)
        r->convert.quant.naming = namings[args->choice];
    else if (option == DFX_OPTION_KEY)
        r->open.key = dfx_key_of(args->value);
    else if (option == DFX_OPTION_EMA)
        r->convert.ema = emas[args->choice];
    else if (option == DFX_OPTION_UNKNOWN)
        r->convert.unknown = unknowns[args->choice];
    else if (option == DFX_OPTION_COLOR)
        r->job.colour = (dfx_colour_when)args->choice;
    return option != DFX_OPTION_WRONG;
}

/* Types in parts, mixes, types. */
static const char *
type_at(size_t i)
{
    const char *type;
    size_t mixes = 0, encodings = 0;
    double bits;

    while (dfx_encoding_at(encodings, &bits) != NULL)
        encodings++;
    if (i < encodings)
        return dfx_encoding_at(i, &bits);
    i -= encodings;

    while (dfx_mix_at(mixes, &type) != NULL)
        mixes++;
    if (i < mixes)
        return dfx_mix_at(i, &type);
    i -= mixes;
    return i < DFX_TYPE_COUNT ? dfx_type_name((dfx_type)i) : NULL;
}

/* --type is the name of a type or a mix. */
static bool
check_type(const char *text)
{
    const char *name, *nearest;
    char upper[32];
    size_t i;

    for (i = 0; text[i] != '\0' && i + 1 < sizeof upper; i++)
        upper[i] =
            (char)(text[i] >= 'a' && text[i] <= 'z' ? text[i] - 32 : text[i]);
    upper[i] = '\0';
    for (i = 0; (name = type_at(i)) != NULL; i++)
        if (strcasecmp(name, upper) == 0)
            return true;
    if (dfx_type_named(text) != DFX_TYPE_COUNT)
        return true;
    nearest = dfx_nearest(upper, type_at);
    dfx_usage(&tool, "there is no type '%s'%s%s%s", text,
              nearest != NULL ? "; did you mean " : "",
              nearest != NULL ? nearest : "", nearest != NULL ? "?" : "");
    return false;
}

static bool
check_request(request *r)
{
    const dfx_quant_options *quant = &r->convert.quant;
    const char *from = r->open.format, *to = r->convert.to;
    const char *family = r->identify.family;

    if (r->operands.count != 2) {
        dfx_usage(&tool, "%s",
                  r->operands.count == 0   ? "SRC and DST are missing"
                  : r->operands.count == 1 ? "DST is missing"
                                           : "there is one SRC and one DST");
        return false;
    }
    r->job.src = r->operands.items[0];
    r->job.dst = r->operands.items[1];
    if (!dfx_check_path(&tool, r->job.src) ||
        !dfx_check_path(&tool, r->job.dst) ||
        (from != NULL && !dfx_check_format(&tool, from, false)) ||
        (to != NULL && !dfx_check_format(&tool, to, true)) ||
        (family != NULL && !dfx_check_family(&tool, family)))
        return false;
    if (quant->type == NULL && r->types.count == 0 && quant->target_size == 0 &&
        r->convert.type_rules == NULL && quant->naming == DFX_NAMING_FULL) {
        dfx_usage(&tool, "say what to make of it: --type, --component, "
                         "--type-rules, --target-size or --naming");
        return false;
    }
    if (quant->type != NULL && quant->target_size > 0) {
        dfx_usage(&tool, "--type and --target-size are two answers");
        return false;
    }
    if (r->dry_run && (r->report || r->html != NULL)) {
        dfx_usage(&tool, "the error is measured on what was written; leave "
                         "out --dry-run");
        return false;
    }
    return quant->type == NULL || check_type(quant->type);
}

/* ---- The types ------------------------------------------------------------
 */

static void
list_types(bool json, const dfx_colours *colours)
{
    cJSON *array = dfx_json_array();
    dfx_table table;
    const char *name, *type;
    double bits;

    dfx_table_init(&table, "lrl");
    dfx_table_cell(&table, "TYPE");
    dfx_table_cell(&table, "BITS");
    dfx_table_cell(&table, "BLOCKS OF");
    for (int t = 0; t < DFX_TYPE_COUNT; t++) {
        dfx_unit unit = dfx_type_unit((dfx_type)t);
        cJSON *object;

        if (!dfx_type_writes((dfx_type)t))
            continue;
        object = dfx_json_object();
        dfx_json_add(object, "name", dfx_json_text(dfx_type_name((dfx_type)t)));
        bits = 8.0 * unit.bytes / unit.elements;
        dfx_json_add(object, "bits_per_weight", dfx_json_double(bits));
        dfx_json_add(object, "block", dfx_json_count(unit.elements));
        dfx_json_append(array, object);
        dfx_table_cell(&table, dfx_type_name((dfx_type)t));
        dfx_table_cellf(&table, "%.4g", bits);
        if (unit.elements > 1)
            dfx_table_u64(&table, unit.elements);
        else
            dfx_table_cell(&table, "");
    }
    for (size_t i = 0; (name = dfx_mix_at(i, &type)) != NULL; i++) {
        cJSON *object = dfx_json_object();

        dfx_json_add(object, "name", dfx_json_text(name));
        dfx_json_add(object, "mix_of", dfx_json_text(type));
        dfx_json_append(array, object);
        dfx_table_cell(&table, name);
        dfx_table_cell(&table, "");
        dfx_table_cellf(&table, "a mix, mostly %s", type);
    }
    for (size_t i = 0; (name = dfx_encoding_at(i, &bits)) != NULL; i++) {
        cJSON *object = dfx_json_object();

        dfx_json_add(object, "name", dfx_json_text(name));
        dfx_json_add(object, "bits_per_weight", dfx_json_double(bits));
        dfx_json_append(array, object);
        dfx_table_cell(&table, name);
        dfx_table_cellf(&table, "%.4g", bits);
        dfx_table_cell(&table, "in parts");
    }
    if (json)
        dfx_json_print(array, stdout);
    else
        dfx_table_print(&table, stdout, 0, colours);
    if (!json)
        cJSON_Delete(array);
    dfx_table_fini(&table);
}

/* ---- Doing it -------------------------------------------------------------
 */

/* The error of each tensor, of what was written. */
static dfx_status
measure(request *r, quant_report *report, dfx_error *err)
{
    dfx_progress progress;
    dfx_run_options options = {
        .threads = r->job.threads,
        .stop = dfx_signals_flag(),
        .progress = dfx_progress_update,
        .context = &progress,
    };
    dfx_status status;

    dfx_progress_start(&progress, "measuring", r->job.progress, r->job.quiet);
    status =
        dfx_plan_measure(r->job.plan, &options, quant_report_add, report, err);
    dfx_progress_end(&progress);
    return status;
}

static dfx_status
plan(request *r, const char **path, dfx_error *err)
{
    dfx_job *job = &r->job;
    dfx_status status = DFX_OK;

    if (r->imatrix != NULL) {
        dfx_open_options open = {.temp = r->open.temp};

        *path = r->imatrix;
        status = dfx_imatrix_open(r->imatrix, &open, &r->importance, err);
        r->convert.quant.imatrix = r->importance;
    }
    if (status != DFX_OK)
        return status;
    *path = job->src;
    status =
        dfx_source_open(&job->source, job->src, &r->open, &r->identify, err);
    if (status != DFX_OK)
        return status;
    dfx_job_warn(job, r->convert.allow_unsafe);
    if (job->verbose && !job->quiet)
        dfx_job_identify(job);
    *path = job->dst;
    return dfx_convert(job->source.index, job->source.identity, job->dst,
                       &r->convert, &job->plan, err);
}

static int
say_html_failure(const request *r)
{
    dfx_say(tool.name, "%s: %s", r->html, strerror(errno));
    return DFX_EXIT_NO;
}

/* What came of it, on stdout and into the page. */
static int
report_all(request *r, const quant_report *report)
{
    bool measured = r->report || r->html != NULL || r->json;

    if (r->json) {
        cJSON *root = dfx_job_json(&r->job, NULL);

        quant_report_json(&r->job, report, root);
        dfx_json_print(root, stdout);
    } else if (r->dry_run && !r->job.quiet) {
        dfx_job_print(&r->job);
        putchar('\n');
        quant_report_print(&r->job, NULL);
    } else if (!r->job.quiet || r->report) {
        quant_report_print(&r->job, r->report && measured ? report : NULL);
    }
    if (!r->dry_run && !r->job.quiet)
        dfx_job_say_result(&r->job);
    if (r->html != NULL && !quant_report_html(&r->job, report, r->html))
        return say_html_failure(r);
    return DFX_EXIT_YES;
}

/* Everything between the command line and the exit status. */
static int
quantize(request *r)
{
    quant_report report = {0};
    dfx_error err = {0};
    const char *path = r->job.src;
    int result = DFX_EXIT_YES;
    dfx_status status = plan(r, &path, &err);

    if (status == DFX_OK && !r->dry_run)
        status = dfx_job_run(&r->job, &err);
    if (status == DFX_OK && !r->dry_run &&
        (r->report || r->html != NULL || r->json))
        status = measure(r, &report, &err);
    if (status == DFX_OK)
        result = report_all(r, &report);
    else if (*dfx_signals_flag() == 0) {
        result = dfx_say_error(tool.name, path, &err);
        if (r->json)
            dfx_json_print(dfx_job_json(&r->job, &err), stdout);
    }
    quant_report_fini(&report);
    dfx_job_fini(&r->job);
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
    else if (r->list_types)
        list_types(r->json, &colours);
    else if (!check_request(r))
        return DFX_EXIT_USAGE;
    else {
        r->convert.metadata = r->metadata.items;
        r->convert.metadata_count = r->metadata.count;
        r->convert.quant.types = r->types.items;
        r->convert.quant.type_count = r->types.count;
        return quantize(r);
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
    dfx_imatrix_free(r.importance);
    for (size_t i = 0; i < r.copy_count; i++)
        free(r.copies[i]);
    free(r.copies);
    free(r.operands.items);
    free(r.metadata.items);
    free(r.types.items);
    dfx_signals_raise();
    return status;
}
