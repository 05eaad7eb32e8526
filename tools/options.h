/*
 * options.h - command lines: options are rows of options.def
 *
 * A tool walks its command line with dfx_args_next and gets one option or
 * operand at a time, its argument checked as far as the row says.
 */
#ifndef DFX_OPTIONS_H
#define DFX_OPTIONS_H

#include <getopt.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum {
    DFX_TOOL_CONVERT = 1,
    DFX_TOOL_INSPECT = 2,
    DFX_TOOL_DDUF = 4,
    DFX_TOOL_QUANT = 8,
    DFX_TOOL_RUN = 16
};

/* What the rows do not say about a tool. */
typedef struct dfx_tool {
    unsigned bit;                /* DFX_TOOL_X */
    const char *name;            /* "dfx-inspect": before every message */
    const char *usage;           /* "[OPTION]... PATH..." */
    const char *purpose;         /* a sentence */
    const char *exit_status;     /* a line */
    const char *const *examples; /* without the name; NULL-terminated */
} dfx_tool;

typedef enum dfx_option {
    DFX_OPTION_END,     /* all were read */
    DFX_OPTION_WRONG,   /* reported on stderr: exit with DFX_EXIT_USAGE */
    DFX_OPTION_OPERAND, /* no option: value is the word */
#define GROUP(title)
#define OPTION(tools, id, letter, name, argument, help) DFX_OPTION_##id,
#define ALIAS(tools, id, name, argument, value, help)
#include "options.def"
#undef GROUP
#undef OPTION
#undef ALIAS
} dfx_option;

/* Upper bound of the rows, for tables of them. */
enum { DFX_OPTION_ROWS = 192 };

/* A command line being read. Caller's storage; nothing to release. */
typedef struct dfx_args {
    const dfx_tool *tool; /* static */
    int argc;
    char **argv;
    struct option longs[DFX_OPTION_ROWS + 1];
    char shorts[2 * DFX_OPTION_ROWS + 3];
    bool ended;        /* there are only operands now */
    const char *value; /* of the last option; NULL if it had none. Borrowed
                          from argv, or static */
    size_t choice;     /* which word of the row's list value is */
} dfx_args;

void dfx_args_init(dfx_args *args, const dfx_tool *tool, int argc, char **argv);
dfx_option dfx_args_next(dfx_args *args);

/* Arguments of a repeatable option, or operands. */
typedef struct dfx_texts {
    const char **items; /* owned; the texts are borrowed */
    size_t count;
} dfx_texts;

void dfx_texts_add(dfx_texts *texts, const char *text);

/* The long name of an option, "json"; NULL for what is none. Static. */
const char *dfx_option_name(dfx_option option);

/* One line on stderr and where help is; returns DFX_EXIT_USAGE. */
int dfx_usage(const dfx_tool *tool, const char *fmt, ...)
    __attribute__((format(printf, 2, 3)));

/* To stdout, at most 79 columns wide. */
void dfx_help_print(const dfx_tool *tool);

/*
 * The name in a list that is nearest to what was typed, or NULL if none is
 * near. name_at gives the i-th, NULL past the last.
 */
typedef const char *dfx_name_at_fn(size_t i);
const char *dfx_nearest(const char *typed, dfx_name_at_fn *name_at);

/*
 * The argument of FORMAT and FAMILY options is a name that the library knows:
 * false after a message that names the nearest one.
 */
bool dfx_check_format(const dfx_tool *tool, const char *name, bool writes);
bool dfx_check_family(const dfx_tool *tool, const char *name);

/* The argument of --OPTION is a size: false after a message. */
bool dfx_size_parse(const dfx_tool *tool, const char *option, const char *text,
                    uint64_t *size);

/* The argument of --jobs: false after a message. */
bool dfx_jobs_parse(const dfx_tool *tool, const char *text, unsigned *threads);

/* "" is no path, and "-" none here: models are read out of order. False after a
   message. */
bool dfx_check_path(const dfx_tool *tool, const char *path);

#endif
