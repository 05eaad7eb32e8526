/*
 * dfx_inspect.c - dfx-inspect: what model files hold
 */
#include <config.h>

#include <stdlib.h>
#include <string.h>

#include "findings.h"
#include "inspect.h"

static const char *const examples[] = {
    "model.safetensors",
    "--tensors='*attn2*' --sort=size model/",
    "--diff model.safetensors model/",
    "--json model.safetensors | jq -r .family",
    "--audit model.ckpt model/",
    NULL,
};

static const dfx_tool tool = {
    .bit = DFX_TOOL_INSPECT,
    .name = "dfx-inspect",
    .usage = "[OPTION]... PATH...",
    .purpose = "Say what model files hold, without loading them.",
    .exit_status = "0 done, 1 broken, different, not safe; 2 wrong use, no "
                   "verdict.",
    .examples = examples,
};

/* Options that only set a member. */
static const struct {
    dfx_option option;
    enum { FLAG, TEXT } how;
    size_t member;
} members[] = {
/* clang-format off */
#define MEMBER(option, how, member)                                            \
    {DFX_OPTION_##option, how, offsetof(dfx_inspect, member)}
    MEMBER(METADATA,     FLAG, metadata),
    MEMBER(HASH,         FLAG, hash),
    MEMBER(VALIDATE,     FLAG, validate),
    MEMBER(AUDIT,        FLAG, audit),
    MEMBER(SARIF,        FLAG, sarif),
    MEMBER(PICKLE,       FLAG, pickle),
    MEMBER(DIFF,         FLAG, diff),
    MEMBER(RULES,        TEXT, rules),
    MEMBER(FAMILIES,     FLAG, families),
    MEMBER(LIST_FORMATS, FLAG, formats),
    MEMBER(LIST_RULES,   FLAG, list_rules),
    MEMBER(JSON,         FLAG, json),
    MEMBER(FROM,         TEXT, open.format),
    MEMBER(FAMILY,       TEXT, identify.family),
    MEMBER(VARIANT,      TEXT, open.variant),
    MEMBER(QUIET,        FLAG, quiet),
    MEMBER(HELP,         FLAG, help),
    MEMBER(VERSION,      FLAG, version),
#undef MEMBER
    /* clang-format on */
};

static bool
set_depth(dfx_inspect *asked, const char *text)
{
    char *end = NULL;
    unsigned long depth;

    asked->tree = true;
    if (text == NULL)
        return true;
    depth = strtoul(text, &end, 10);
    if (text[0] < '0' || text[0] > '9' || *end != '\0' || depth < 1) {
        dfx_usage(&tool, "--tree needs a number from 1 on, not '%s'", text);
        return false;
    }
    asked->depth = depth;
    return true;
}

/* Takes over one option; false after a message. */
static bool
apply(dfx_inspect *asked, dfx_option option, const dfx_args *args)
{
    for (size_t i = 0; i < sizeof members / sizeof members[0]; i++) {
        void *member = (char *)asked + members[i].member;

        if (members[i].option != option)
            continue;
        if (members[i].how == FLAG)
            *(bool *)member = true;
        else
            *(const char **)member = args->value;
        return true;
    }
    if (option == DFX_OPTION_TREE)
        return set_depth(asked, args->value);
    if (option == DFX_OPTION_TENSORS) {
        asked->tensors = true;
        asked->glob = args->value;
    } else if (option == DFX_OPTION_SORT) {
        asked->sort = (dfx_sort)args->choice;
    } else if (option == DFX_OPTION_COLOR) {
        asked->when = (dfx_colour_when)args->choice;
    } else if (option == DFX_OPTION_KEY) {
        asked->open.key = dfx_key_of(args->value);
    } else if (option == DFX_OPTION_MAX_EXPANDED) {
        return dfx_size_parse(&tool, "max-expanded", args->value,
                              &asked->open.max_expanded);
    }
    return option != DFX_OPTION_WRONG;
}

/* Reports a failure about path; *object is owned by the caller. */
static int
fail(const char *path, const dfx_error *err, cJSON **object)
{
    *object = dfx_json_head(path);
    dfx_json_add(*object, "error", dfx_json_error(err));
    return dfx_say_error(tool.name, path, err);
}

/* The parts that were asked for, or the summary; *shown is whether another
   source stands above them. */
static dfx_status
print_source(const dfx_inspect *asked, const dfx_source *source, bool several,
             bool *shown, dfx_error *err)
{
    bool summary =
        !asked->tensors && !asked->tree && !asked->metadata && !asked->hash;
    dfx_status status = DFX_OK;
    dfx_choice choice;

    if (*shown)
        putchar('\n');
    *shown = true;
    if (summary || several) {
        fputs(asked->colours.heading, stdout);
        dfx_put(stdout, source->path);
        printf("%s\n", asked->colours.end);
    }
    if (summary)
        dfx_print_summary(asked, source);
    if (asked->metadata)
        dfx_print_metadata(asked, source);
    if (asked->hash)
        status = dfx_print_hashes(source, err);
    if (asked->tree) {
        dfx_choice_init(&choice, source->index, asked->glob, DFX_SORT_NAME);
        dfx_print_tree(asked, &choice);
        dfx_choice_fini(&choice);
    }
    if (asked->tensors && status == DFX_OK) {
        dfx_choice_init(&choice, source->index, asked->glob, asked->sort);
        if (choice.count == 0 && asked->glob != NULL)
            dfx_say(tool.name, "%s: no tensor matches '%s'", source->path,
                    asked->glob);
        status = dfx_print_tensors(asked, &choice, err);
        dfx_choice_fini(&choice);
    }
    return status;
}

/* *object is owned by the caller; NULL unless there is JSON to print. */
static int
inspect(const dfx_inspect *asked, const char *path, bool several, bool *shown,
        cJSON **object)
{
    int result = DFX_EXIT_YES;
    dfx_source source;
    dfx_status status;
    dfx_error err;

    if (asked->validate)
        return dfx_findings(tool.name, path, &asked->open, asked->quiet,
                            asked->json ? object : NULL);
    status =
        dfx_source_open(&source, path, &asked->open, &asked->identify, &err);
    if (status == DFX_OK && asked->json)
        status = dfx_json_source(asked, &source, object, &err);
    else if (status == DFX_OK && !asked->quiet)
        status = print_source(asked, &source, several, shown, &err);
    if (status != DFX_OK)
        result = fail(path, &err, object);
    dfx_source_close(&source);
    return result;
}

static int
inspect_all(const dfx_inspect *asked, const char *const *paths, size_t count)
{
    int worst = DFX_EXIT_YES;
    bool shown = false;

    if (asked->json && count > 1)
        printf("[\n");
    for (size_t i = 0; i < count; i++) {
        cJSON *object = NULL;
        int status = inspect(asked, paths[i], count > 1, &shown, &object);

        if (status > worst)
            worst = status;
        if (asked->json) {
            dfx_json_print(object, stdout);
            if (i + 1 < count)
                printf(",\n");
        } else {
            cJSON_Delete(object);
        }
    }
    if (asked->json && count > 1)
        printf("]\n");
    return worst;
}

/* What the line asks for that no path is needed for; false: nothing. */
static bool
answer(const dfx_inspect *asked, int *status)
{
    *status = DFX_EXIT_YES;
    if (asked->help)
        dfx_help_print(&tool);
    else if (asked->version)
        printf("%s %s\n", tool.name, dfx_version());
    else if (asked->formats)
        dfx_list_formats(asked->json, &asked->colours);
    else if (asked->list_rules)
        dfx_list_rules(asked->json, &asked->colours);
    else if (asked->families)
        dfx_list_families(asked->json, &asked->colours);
    else if (asked->rules != NULL)
        *status = dfx_inspect_rules(asked);
    else
        return false;
    return true;
}

/* A verdict comes alone: what else was asked for would go unheard. */
static bool
check_modes(const dfx_inspect *asked)
{
    const struct {
        const char *name;
        bool asked;
    } modes[] = {
        {"--diff", asked->diff},
        {"--validate", asked->validate},
        {asked->audit ? "--audit" : "--sarif", asked->audit || asked->sarif},
        {"--pickle", asked->pickle},
    };
    const char *mode = NULL;

    for (size_t i = 0; i < sizeof modes / sizeof modes[0]; i++) {
        if (modes[i].asked && mode != NULL) {
            dfx_usage(&tool, "%s and %s are two questions", mode,
                      modes[i].name);
            return false;
        }
        if (modes[i].asked)
            mode = modes[i].name;
    }
    if (mode != NULL &&
        (asked->tensors || asked->tree || asked->metadata || asked->hash))
        dfx_usage(&tool,
                  "%s prints no tensors, tree, metadata or hashes as well",
                  mode);
    else if (asked->sarif && asked->json)
        dfx_usage(&tool, "--sarif and --json are two forms of an answer");
    else if (asked->pickle && asked->json)
        dfx_usage(&tool, "--pickle prints text; there is no JSON of it");
    else
        return true;
    return false;
}

static bool
check(const dfx_inspect *asked, const char *const *paths, size_t count)
{
    const char *from = asked->open.format, *family = asked->identify.family;

    if (!check_modes(asked))
        return false;
    if (from != NULL && !dfx_check_format(&tool, from, false))
        return false;
    if (family != NULL && !dfx_check_family(&tool, family))
        return false;
    for (size_t i = 0; i < count; i++)
        if (!dfx_check_path(&tool, paths[i]))
            return false;
    if (asked->diff ? count == 2 : count > 0)
        return true;
    dfx_usage(&tool,
              asked->diff ? "--diff needs two paths" : "which file or folder?");
    return false;
}

/* Reads the command line and does it. paths has room for argc. */
static int
start(int argc, char **argv, const char **paths)
{
    dfx_inspect asked = {
        .tool = &tool, .when = DFX_COLOUR_AUTO, .open.temp = dfx_temp_folder()};
    dfx_option option;
    dfx_args args;
    size_t count = 0;
    int status;

    dfx_args_init(&args, &tool, argc, argv);
    for (option = dfx_args_next(&args); option != DFX_OPTION_END;
         option = dfx_args_next(&args)) {
        if (option == DFX_OPTION_OPERAND)
            paths[count++] = args.value;
        else if (!apply(&asked, option, &args))
            return DFX_EXIT_USAGE;
    }
    asked.colours = dfx_colours_choose(asked.when, stdout);
    if (answer(&asked, &status))
        return status;
    if (!check(&asked, paths, count))
        return DFX_EXIT_USAGE;
    if (asked.audit || asked.sarif)
        return dfx_inspect_audit(&asked, paths, count);
    if (asked.pickle)
        return dfx_inspect_pickles(&asked, paths, count);
    if (asked.diff)
        return dfx_inspect_diff(&asked, paths[0], paths[1]);
    return inspect_all(&asked, paths, count);
}

int
main(int argc, char **argv)
{
    const char **paths = dfx_need(calloc((size_t)argc + 1, sizeof *paths));
    int status = start(argc, argv, paths);

    free(paths);
    return dfx_finish(tool.name, status);
}
