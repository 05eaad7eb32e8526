/*
 * report.c - what tools say: messages, numbers for people, JSON
 */
#include <config.h>

#include "report.h"

#include <errno.h>
#include <inttypes.h>
#include <math.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { LINE_CHARS = 2048, WIDTH = 79 };

/* What a user can do about a broken rule. Ids are stable. */
static const struct {
    const char *rule;
    const char *hint;
} hints[] = {
    {"out.exists", "-f replaces files and models"},
    {"family.unknown", "see --families for what --family can say"},
    {"pt.not-safe", "dfx-inspect --audit says why; --allow-unsafe takes the "
                    "tensors all the same"},
    {"pt.key", "dfx-inspect --key=/ -t lists all that is there"},
    {"zs.limit", "--max-expanded=SIZE raises that"},
};

void *
dfx_need(void *memory)
{
    if (memory == NULL) {
        fprintf(stderr, "%s: memory ran out\n", program_invocation_short_name);
        exit(DFX_EXIT_NO);
    }
    return memory;
}

/* The bytes of the control character at text: C0, DEL, and C1 as UTF-8. */
static size_t
control_size(const unsigned char *text)
{
    if (text[0] < 0x20 || text[0] == 0x7f)
        return 1;
    return text[0] == 0xc2 && text[1] >= 0x80 && text[1] < 0xa0 ? 2 : 0;
}

static bool
starts_character(char c)
{
    return ((unsigned char)c & 0xc0) != 0x80;
}

void
dfx_put(FILE *out, const char *text)
{
    const unsigned char *p = (const unsigned char *)text;

    while (*p != '\0') {
        size_t size = control_size(p);

        putc(size > 0 ? '?' : *p, out);
        p += size > 0 ? size : 1;
    }
}

size_t
dfx_first(const char *text, size_t count)
{
    size_t size = 0;

    for (; text[size] != '\0'; size++)
        if (starts_character(text[size]) && count-- == 0)
            break;
    return size;
}

void
dfx_put_wrapped(FILE *out, const char *text, size_t column, size_t indent)
{
    while (*text != '\0') {
        size_t size = strcspn(text, " ");
        size_t width = 0;

        for (size_t i = 0; i < size; i++)
            width += starts_character(text[i]);
        if (column > indent && column + 1 + width > WIDTH) {
            fprintf(out, "\n%*s", (int)indent, "");
            column = indent;
        } else if (column > indent) {
            putc(' ', out);
            column++;
        }
        for (size_t i = 0; i < size; i++) {
            char one[3] = {text[i], '\0', '\0'};

            /* A C1 control has two bytes, which dfx_put must see together. */
            if ((unsigned char)text[i] == 0xc2 && i + 1 < size)
                one[1] = text[++i];
            dfx_put(out, one);
        }
        column += width;
        text += size;
        text += strspn(text, " ");
    }
}

void
dfx_say(const char *tool, const char *fmt, ...)
{
    char line[LINE_CHARS];
    va_list args;

    va_start(args, fmt);
    vsnprintf(line, sizeof line, fmt, args);
    va_end(args);
    fflush(stdout); /* what was printed before is read before */
    fprintf(stderr, "%s: ", tool);
    dfx_put(stderr, line);
    putc('\n', stderr);
}

int
dfx_say_error(const char *tool, const char *path, const dfx_error *err)
{
    char line[LINE_CHARS];
    const char *hint = NULL;

    for (size_t i = 0; i < sizeof hints / sizeof hints[0]; i++)
        if (err->rule != NULL && strcmp(err->rule, hints[i].rule) == 0)
            hint = hints[i].hint;
    dfx_error_print(err, line, sizeof line);
    dfx_say(tool, "%s%s%s%s%s", err->file[0] == '\0' ? path : "",
            err->file[0] == '\0' ? ": " : "", line, hint != NULL ? "; " : "",
            hint != NULL ? hint : "");
    return err->status == DFX_ERR_USAGE ? DFX_EXIT_USAGE : DFX_EXIT_NO;
}

int
dfx_finish(const char *tool, int status)
{
    bool failed = ferror(stdout) != 0;

    /* Not fclose: a second flush at exit must find nothing wrong. */
    if (fflush(stdout) != 0 || failed) {
        /* A reader that has seen enough is no error worth a message. */
        if (errno != EPIPE)
            dfx_say(tool, "standard output: %s", strerror(errno));
        return status > DFX_EXIT_NO ? status : DFX_EXIT_NO;
    }
    return status;
}

dfx_colours
dfx_colours_choose(dfx_colour_when when, FILE *out)
{
    static const dfx_colours on = {"\033[1m", "\033[33m", "\033[0m"};
    static const dfx_colours off = {"", "", ""};
    const char *no = getenv("NO_COLOR"); /* no-color.org: any but empty */
    const char *term = getenv("TERM");

    if (when != DFX_COLOUR_AUTO)
        return when == DFX_COLOUR_ALWAYS ? on : off;
    if ((no != NULL && *no != '\0') ||
        (term != NULL && strcmp(term, "dumb") == 0))
        return off;
    return isatty(fileno(out)) == 1 ? on : off;
}

/* Three digits of number with one of the units, each 1000 times the last. */
static const char *
human(uint64_t number, const char *const *units, char buf[DFX_HUMAN_CHARS])
{
    double value = (double)number;
    size_t unit = 0;

    if (number < 1000) {
        snprintf(buf, DFX_HUMAN_CHARS, "%" PRIu64 "%s", number, units[0]);
        return buf;
    }
    /* 999.5 would be printed as 1000. */
    while (value >= 999.5) {
        value /= 1000;
        unit++;
    }
    snprintf(buf, DFX_HUMAN_CHARS, "%.*f%s",
             value < 9.995 ? 2 : (value < 99.95 ? 1 : 0), value, units[unit]);
    return buf;
}

const char *
dfx_human_bytes(uint64_t bytes, char buf[DFX_HUMAN_CHARS])
{
    static const char *const units[] = {" B",  " kB", " MB", " GB",
                                        " TB", " PB", " EB"};

    return human(bytes, units, buf);
}

const char *
dfx_human_count(uint64_t count, char buf[DFX_HUMAN_CHARS])
{
    static const char *const units[] = {"", "k", "M", "G", "T", "P", "E"};

    return human(count, units, buf);
}

const char *
dfx_shape_print(const uint64_t *shape, uint32_t rank, char *buf, size_t size)
{
    size_t used = 1;

    snprintf(buf, size, "[");
    for (uint32_t i = 0; i < rank; i++) {
        char number[24];
        int n = snprintf(number, sizeof number, "%s%" PRIu64, i > 0 ? ", " : "",
                         shape[i]);

        /* Leave room for "...]". */
        if (used + (size_t)n + 5 > size) {
            used += (size_t)snprintf(buf + used, size - used, "...");
            break;
        }
        memcpy(buf + used, number, (size_t)n);
        used += (size_t)n;
    }
    snprintf(buf + used, size - used, "]");
    return buf;
}

uint64_t
dfx_elements(const uint64_t *shape, uint32_t rank)
{
    uint64_t product = 1;

    for (uint32_t i = 0; i < rank; i++)
        product *= shape[i]; /* the library has checked that it fits */
    return product;
}

cJSON *
dfx_json_object(void)
{
    return dfx_need(cJSON_CreateObject());
}

cJSON *
dfx_json_array(void)
{
    return dfx_need(cJSON_CreateArray());
}

void
dfx_json_add(cJSON *object, const char *key, cJSON *item)
{
    dfx_need(cJSON_AddItemToObject(object, key, item) ? object : NULL);
}

void
dfx_json_append(cJSON *array, cJSON *item)
{
    cJSON_AddItemToArray(array, item);
}

/* The bytes of the valid UTF-8 character at text; 0 if it is none. */
static size_t
utf8_size(const unsigned char *text)
{
    size_t size = text[0] < 0x80                      ? 1
                  : text[0] >= 0xc2 && text[0] < 0xe0 ? 2
                  : text[0] >= 0xe0 && text[0] < 0xf0 ? 3
                  : text[0] >= 0xf0 && text[0] < 0xf5 ? 4
                                                      : 0;

    for (size_t i = 1; i < size; i++)
        if ((text[i] & 0xc0) != 0x80)
            return 0;
    if ((text[0] == 0xe0 && text[1] < 0xa0) ||
        (text[0] == 0xed && text[1] > 0x9f) ||
        (text[0] == 0xf0 && text[1] < 0x90) ||
        (text[0] == 0xf4 && text[1] > 0x8f))
        return 0;
    return size;
}

cJSON *
dfx_json_text(const char *text)
{
    const unsigned char *p;
    char *clean, *end;
    cJSON *item;

    if (text == NULL)
        return dfx_need(cJSON_CreateNull());
    /* JSON is UTF-8; names of files need not be. U+FFFD has three bytes. */
    clean = dfx_need(malloc(3 * strlen(text) + 1));
    end = clean;
    p = (const unsigned char *)text;
    while (*p != '\0') {
        size_t size = utf8_size(p);

        memcpy(end, size > 0 ? (const char *)p : "\xef\xbf\xbd",
               size > 0 ? size : 3);
        end += size > 0 ? size : 3;
        p += size > 0 ? size : 1;
    }
    *end = '\0';
    item = dfx_need(cJSON_CreateString(clean));
    free(clean);
    return item;
}

cJSON *
dfx_json_count(uint64_t number)
{
    char digits[24];

    /* A cJSON number is a double: beyond 2^53 it would be another one. */
    snprintf(digits, sizeof digits, "%" PRIu64, number);
    return dfx_need(cJSON_CreateRaw(digits));
}

cJSON *
dfx_json_bool(bool value)
{
    return dfx_need(cJSON_CreateBool(value));
}

cJSON *
dfx_json_double(double number)
{
    char digits[40];

    if (!isfinite(number))
        return dfx_need(cJSON_CreateNull());
    snprintf(digits, sizeof digits, "%.17g", number);
    return dfx_need(cJSON_CreateRaw(digits));
}

cJSON *
dfx_json_shape(const uint64_t *shape, uint32_t rank)
{
    cJSON *array = dfx_json_array();

    for (uint32_t i = 0; i < rank; i++)
        dfx_json_append(array, dfx_json_count(shape[i]));
    return array;
}

cJSON *
dfx_json_texts(const char *const *texts, size_t count)
{
    cJSON *array = dfx_json_array();

    for (size_t i = 0; i < count; i++)
        dfx_json_append(array, dfx_json_text(texts[i]));
    return array;
}

cJSON *
dfx_json_head(const char *path)
{
    cJSON *object = dfx_json_object();

    dfx_json_add(object, "schema", dfx_json_count(DFX_JSON_SCHEMA));
    dfx_json_add(object, "path", dfx_json_text(path));
    return object;
}

cJSON *
dfx_json_error(const dfx_error *err)
{
    cJSON *object = dfx_json_object();
    bool has_rule = err->rule != NULL && err->rule[0] != '\0';

    dfx_json_add(object, "rule", dfx_json_text(has_rule ? err->rule : NULL));
    dfx_json_add(object, "file",
                 dfx_json_text(err->file[0] != '\0' ? err->file : NULL));
    dfx_json_add(object, "tensor",
                 dfx_json_text(err->tensor[0] != '\0' ? err->tensor : NULL));
    dfx_json_add(object, "offset",
                 err->offset != DFX_NO_OFFSET ? dfx_json_count(err->offset)
                                              : dfx_json_text(NULL));
    dfx_json_add(object, "text", dfx_json_text(err->text));
    return object;
}

char *
dfx_json_format(const cJSON *item)
{
    char *text = dfx_need(cJSON_Print(item));
    char *formatted = dfx_need(malloc(2 * strlen(text) + 1));
    char *end = formatted;

    /* cJSON indents with tabs and puts one after a colon; inside of strings
       there are none, they are escaped there. */
    for (const char *p = text; *p != '\0'; p++) {
        if (*p != '\t') {
            *end++ = *p;
            continue;
        }
        *end++ = ' ';
        if (p > text && p[-1] != ':')
            *end++ = ' ';
    }
    *end = '\0';
    free(text);
    return formatted;
}

void
dfx_json_print(cJSON *item, FILE *out)
{
    char *text = dfx_json_format(item);

    fprintf(out, "%s\n", text);
    free(text);
    cJSON_Delete(item);
}
