/*
 * options.c - command lines: options are rows of options.def
 *
 * getopt_long does the splitting; messages are ours, because they name the
 * nearest option and where help is.
 */
#include <config.h>

#include "options.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "dfx.h"
#include "report.h"

enum {
    CONVERT = DFX_TOOL_CONVERT,
    INSPECT = DFX_TOOL_INSPECT,
    DDUF = DFX_TOOL_DDUF,
    QUANT = DFX_TOOL_QUANT,
    RUN = DFX_TOOL_RUN
};

typedef struct option_row {
    unsigned tools; /* 0: a group of options begins, title in name */
    dfx_option id;
    char letter;
    const char *name;
    const char *argument;
    const char *value; /* of an alias; else NULL */
    const char *help;
} option_row;

static const option_row rows[] = {
#define GROUP(title) {0, DFX_OPTION_END, 0, title, "", NULL, ""},
#define OPTION(tools, id, letter, name, argument, help)                        \
    {tools, DFX_OPTION_##id, letter, name, argument, NULL, help},
#define ALIAS(tools, id, name, argument, value, help)                          \
    {tools, DFX_OPTION_##id, 0, name, argument, value, help},
#include "options.def"
#undef GROUP
#undef OPTION
#undef ALIAS
};

enum {
    ROW_COUNT = sizeof rows / sizeof rows[0],
    LONG_BASE = 256, /* getopt's value of row i is LONG_BASE + i */
    HELP_COLUMN = 27,
    MAX_NAME = 64 /* nothing longer is near any name */
};

_Static_assert((int)ROW_COUNT <= (int)DFX_OPTION_ROWS,
               "DFX_OPTION_ROWS is too small");

void
dfx_texts_add(dfx_texts *texts, const char *text)
{
    texts->items = dfx_need(
        reallocarray(texts->items, texts->count + 1, sizeof *texts->items));
    texts->items[texts->count++] = text;
}

const char *
dfx_option_name(dfx_option option)
{
    for (size_t i = 0; i < ROW_COUNT; i++)
        if (rows[i].tools != 0 && rows[i].id == option)
            return rows[i].name;
    return NULL;
}

void
dfx_args_init(dfx_args *args, const dfx_tool *tool, int argc, char **argv)
{
    struct option *l = args->longs;
    char *s = args->shorts;

    args->tool = tool;
    args->argc = argc;
    args->argv = argv;
    args->ended = false;
    /* '-': operands come in order, whatever POSIXLY_CORRECT says. ':' tells a
       missing argument from an unknown option. */
    *s++ = '-';
    *s++ = ':';
    for (int i = 0; i < ROW_COUNT; i++) {
        const option_row *row = &rows[i];
        int has = row->argument[0] == '\0'  ? no_argument
                  : row->argument[0] == '[' ? optional_argument
                                            : required_argument;

        if ((row->tools & tool->bit) == 0)
            continue;
        *l++ = (struct option){row->name, has, NULL, LONG_BASE + i};
        if (row->letter == 0)
            continue;
        *s++ = row->letter;
        for (int n = 0; n < has; n++) /* one ':' or two, as has says */
            *s++ = ':';
    }
    *l = (struct option){NULL, 0, NULL, 0};
    *s = '\0';
    opterr = 0;
}

int
dfx_usage(const dfx_tool *tool, const char *fmt, ...)
{
    char line[1024];
    va_list list;

    va_start(list, fmt);
    vsnprintf(line, sizeof line, fmt, list);
    va_end(list);
    dfx_say(tool->name, "%s", line);
    fprintf(stderr, "Try '%s --help'.\n", tool->name);
    return DFX_EXIT_USAGE;
}

static size_t
least(size_t a, size_t b)
{
    return a < b ? a : b;
}

/*
 * How many letters must be inserted, deleted, changed or swapped with their
 * neighbour to make b of a (optimal string alignment).
 */
static size_t
distance(const char *a, const char *b)
{
    size_t table[3][MAX_NAME + 1];
    size_t m = strlen(a), n = strlen(b);
    size_t *old = table[0], *last = table[1], *now = table[2];

    if (m > MAX_NAME || n > MAX_NAME)
        return MAX_NAME;
    for (size_t j = 0; j <= n; j++)
        last[j] = j;
    for (size_t i = 1; i <= m; i++) {
        size_t *spare = old;

        now[0] = i;
        for (size_t j = 1; j <= n; j++) {
            now[j] = least(last[j], now[j - 1]) + 1;
            now[j] = least(now[j], last[j - 1] + (a[i - 1] != b[j - 1]));
            if (i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1])
                now[j] = least(now[j], old[j - 2] + 1);
        }
        old = last;
        last = now;
        now = spare;
    }
    return last[n];
}

/* Keeps the nearer one of *best and name. Near is a third of it wrong. */
static void
consider(const char *typed, const char *name, const char **best, size_t *far)
{
    size_t d = distance(typed, name);

    if (d < *far && d <= strlen(name) / 3 + 1 && d < strlen(name)) {
        *best = name;
        *far = d;
    }
}

const char *
dfx_nearest(const char *typed, dfx_name_at_fn *name_at)
{
    const char *best = NULL, *name;
    size_t far = SIZE_MAX, i = 0;

    for (name = name_at(i); name != NULL; name = name_at(++i))
        consider(typed, name, &best, &far);
    return best;
}

/* A word with two dashes that is no option, or the beginning of several. */
static dfx_option
refuse_long(const dfx_args *args, const char *word)
{
    char typed[MAX_NAME + 1], starts[512] = "";
    size_t size = strcspn(word + 2, "="), far = SIZE_MAX, used = 0;
    const char *best = NULL;

    snprintf(typed, sizeof typed, "%.*s", (int)least(size, MAX_NAME), word + 2);
    for (const struct option *l = args->longs; l->name != NULL; l++) {
        consider(typed, l->name, &best, &far);
        if (strncmp(l->name, typed, size) == 0 && used < sizeof starts)
            used += (size_t)snprintf(starts + used, sizeof starts - used,
                                     "%s--%s", used > 0 ? ", " : "", l->name);
    }
    if (used > 0)
        dfx_usage(args->tool, "--%s could be %s", typed, starts);
    else if (best != NULL)
        dfx_usage(args->tool, "there is no option --%s; did you mean --%s?",
                  typed, best);
    else
        dfx_usage(args->tool, "there is no option --%s", typed);
    return DFX_OPTION_WRONG;
}

static const option_row *
row_of(const dfx_args *args, int c)
{
    if (c >= LONG_BASE && c < LONG_BASE + ROW_COUNT)
        return &rows[c - LONG_BASE];
    for (size_t i = 0; i < ROW_COUNT; i++)
        if (rows[i].letter == c && (rows[i].tools & args->tool->bit) != 0)
            return &rows[i];
    return NULL;
}

static dfx_option
refuse_empty(const dfx_args *args, const option_row *row)
{
    dfx_usage(args->tool, "--%s needs an argument: --%s%s", row->name,
              row->name, row->argument);
    return DFX_OPTION_WRONG;
}

static dfx_option
refuse(const dfx_args *args, int c)
{
    const option_row *row = optopt != 0 ? row_of(args, optopt) : NULL;

    if (c == ':' && row != NULL)
        return refuse_empty(args, row);
    if (row != NULL)
        dfx_usage(args->tool, "--%s takes no argument", row->name);
    else if (optopt != 0)
        dfx_usage(args->tool, "there is no option -%c", optopt);
    else
        return refuse_long(args, args->argv[optind - 1]);
    return DFX_OPTION_WRONG;
}

/* The words to choose from, "drop|use|keep"; NULL if any text will do. */
static const char *
words_of(const option_row *row)
{
    const char *a = row->argument;

    return a[0] == '=' && strchr(a, '|') != NULL ? a + 1 : NULL;
}

static bool
choose(dfx_args *args, const char *name, const char *words)
{
    const char *word = words;
    size_t size = strlen(args->value);

    args->choice = 0;
    for (;;) {
        size_t n = strcspn(word, "|");

        if (n == size && memcmp(word, args->value, n) == 0)
            return true;
        if (word[n] == '\0')
            break;
        word += n + 1;
        args->choice++;
    }
    dfx_usage(args->tool, "--%s is one of %s, not '%s'", name, words,
              args->value);
    return false;
}

/* What is left when getopt_long has seen the end, or "--". */
static dfx_option
next_operand(dfx_args *args)
{
    args->ended = true; /* it would go back to the first of these */
    if (optind >= args->argc)
        return DFX_OPTION_END;
    args->value = args->argv[optind++];
    return DFX_OPTION_OPERAND;
}

dfx_option
dfx_args_next(dfx_args *args)
{
    const option_row *row;
    int c;

    if (args->ended)
        return next_operand(args);
    c = getopt_long(args->argc, args->argv, args->shorts, args->longs, NULL);
    args->value = optarg;
    if (c == 1)
        return DFX_OPTION_OPERAND;
    if (c == -1)
        return next_operand(args);
    if (c == '?' || c == ':')
        return refuse(args, c);
    row = row_of(args, c);
    if (row->argument[0] == '=' && *args->value == '\0' &&
        strcmp(row->argument, "=TEXT") != 0) /* a prompt may say nothing */
        return refuse_empty(args, row);
    if (row->value != NULL)
        args->value = row->value;
    /* The words may stand in another row: an alias has a value of them. */
    for (size_t i = 0; i < ROW_COUNT; i++) {
        const char *words = rows[i].id == row->id ? words_of(&rows[i]) : NULL;

        if (words != NULL && !choose(args, row->name, words))
            return DFX_OPTION_WRONG;
    }
    return row->id;
}

static void
print_row(const option_row *row)
{
    char left[80];
    int n = row->letter != 0 ? snprintf(left, sizeof left, "  -%c, --%s%s",
                                        row->letter, row->name, row->argument)
                             : snprintf(left, sizeof left, "      --%s%s",
                                        row->name, row->argument);

    printf("%s", left);
    if (n + 2 > HELP_COLUMN)
        printf("\n%*s", HELP_COLUMN, "");
    else
        printf("%*s", HELP_COLUMN - n, "");
    dfx_put_wrapped(stdout, row->help, HELP_COLUMN, HELP_COLUMN);
    putchar('\n');
}

void
dfx_help_print(const dfx_tool *tool)
{
    const char *title = NULL;

    printf("Usage: %s %s\n", tool->name, tool->usage);
    dfx_put_wrapped(stdout, tool->purpose, 0, 0);
    fputs("\n\n", stdout);
    for (size_t i = 0; i < ROW_COUNT; i++) {
        if (rows[i].tools == 0) {
            title = rows[i].name;
        } else if ((rows[i].tools & tool->bit) != 0) {
            if (title != NULL)
                printf("%s:\n", title);
            title = NULL;
            print_row(&rows[i]);
        }
    }
    printf("\nExit status: %s\nExamples:\n", tool->exit_status);
    for (const char *const *e = tool->examples; *e != NULL; e++)
        printf("  %s %s\n", tool->name, *e);
    printf("Manual: man %s\n", tool->name);
}

static const char *
format_at(size_t i)
{
    const char *summary;
    bool writes;

    return dfx_format_name_at(i, &summary, &writes);
}

static const char *
family_at(size_t i)
{
    const char *summary;

    return dfx_family_at(i, &summary);
}

/* Reports a name that is in no list. */
static bool
refuse_name(const dfx_tool *tool, const char *what, const char *name,
            const char *best, const char *list)
{
    if (best != NULL)
        dfx_usage(tool, "there is no %s '%s'; did you mean %s?", what, name,
                  best);
    else
        dfx_usage(tool, "there is no %s '%s'; see --%s", what, name, list);
    return false;
}

bool
dfx_check_format(const dfx_tool *tool, const char *name, bool writes)
{
    const char *found, *summary;
    size_t i = 0;
    bool can_write;

    for (found = dfx_format_name_at(i, &summary, &can_write); found != NULL;
         found = dfx_format_name_at(++i, &summary, &can_write)) {
        if (strcmp(found, name) != 0)
            continue;
        if (writes && !can_write)
            dfx_usage(tool, "%s can be read, not written", name);
        return can_write || !writes;
    }
    return refuse_name(tool, "format", name, dfx_nearest(name, format_at),
                       "list-formats");
}

bool
dfx_check_family(const dfx_tool *tool, const char *name)
{
    const char *found;
    size_t i = 0;

    for (found = family_at(i); found != NULL; found = family_at(++i))
        if (strcmp(found, name) == 0)
            return true;
    return refuse_name(tool, "family", name, dfx_nearest(name, family_at),
                       "families");
}

/*
 * A size as the reference takes it: KB MB GB TB are powers of 1000, KiB MiB GiB
 * TiB of 1024, in upper or lower case; a fraction of a byte is cut off.
 */
static bool
parse_size(const char *text, uint64_t *size)
{
    static const struct {
        const char *name;
        uint64_t bytes;
    } units[] = {
        {"", 1},
        {"B", 1},
        {"KB", 1000},
        {"MB", 1000 * 1000},
        {"GB", 1000 * 1000 * 1000},
        {"TB", UINT64_C(1000) * 1000 * 1000 * 1000},
        {"KIB", UINT64_C(1) << 10},
        {"MIB", UINT64_C(1) << 20},
        {"GIB", UINT64_C(1) << 30},
        {"TIB", UINT64_C(1) << 40},
    };
    size_t digits = strspn(text, "0123456789.");
    char *end = NULL;
    double number = strtod(text, &end);

    if (digits == 0 || end != text + digits)
        return false;
    end += strspn(end, " ");
    for (size_t i = 0; i < sizeof units / sizeof units[0]; i++) {
        double bytes = number * (double)units[i].bytes;

        if (strcasecmp(end, units[i].name) != 0)
            continue;
        /* Below 2^53 doubles are exact, and no model comes near. */
        if (bytes < 1 || bytes >= 0x1p53)
            return false;
        *size = (uint64_t)bytes;
        return true;
    }
    return false;
}

bool
dfx_size_parse(const dfx_tool *tool, const char *option, const char *text,
               uint64_t *size)
{
    if (parse_size(text, size))
        return true;
    dfx_usage(tool, "--%s needs a size such as 5GB, not '%s'", option, text);
    return false;
}

bool
dfx_jobs_parse(const dfx_tool *tool, const char *text, unsigned *threads)
{
    char *end = NULL;
    unsigned long n = strtoul(text, &end, 10);

    if (text[0] < '0' || text[0] > '9' || *end != '\0' || n < 1 || n > 4096) {
        dfx_usage(tool, "--jobs needs a number from 1 to 4096, not '%s'", text);
        return false;
    }
    *threads = (unsigned)n;
    return true;
}

bool
dfx_check_path(const dfx_tool *tool, const char *path)
{
    if (*path == '\0')
        dfx_usage(tool, "the name of a file or folder is empty");
    else if (strcmp(path, "-") == 0)
        dfx_usage(tool,
                  "a pipe cannot hold a model; a file of that name is ./-");
    else
        return true;
    return false;
}
