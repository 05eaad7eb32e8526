/*
 * pickle_stream.c - opcodes and their arguments, and how they are printed
 *
 * As CPython's unpicklers read them, which is not always how pickletools does:
 * numbers in text may have a base, strings and names any bytes.
 */
#include <config.h>

#include "pickle_machine.h"

#include <ctype.h>
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "json.h"

enum {
    MAX_LINE = 1 << 20,
    MAX_DIGITS = 1000,
    MAX_KEPT = 256 << 20 /* bytes of all texts of a stream */
};

typedef enum argument_kind {
    ARG_NONE,
    ARG_U1,
    ARG_U2,
    ARG_U4,
    ARG_U8,
    ARG_I4,
    ARG_F8,
    ARG_LINE,
    ARG_LINES,
    ARG_LINE_INT,
    ARG_LINE_INDEX,
    ARG_LINE_FLOAT,
    ARG_LINE_QUOTED,
    ARG_LINE_ESCAPED,
    ARG_TEXT_U1,
    ARG_TEXT_U4,
    ARG_TEXT_U8,
    ARG_TEXT_I4,
    ARG_LONG_U1,
    ARG_LONG_I4
} argument_kind;

static const struct {
    const char *name; /* NULL: no opcode */
    argument_kind argument;
} table[256] = {
#define OP(byte, name, argument, action) [byte] = {#name, ARG_##argument},
#include "opcodes.def"
#undef OP
};

const char *
dfx_pickle_op_name(uint8_t op)
{
    return table[op].name;
}

/* ---- Bytes ---------------------------------------------------------------
 */

/* Fills the window, which is used up. */
static dfx_status
fill(dfx_pickle_machine *m)
{
    uint64_t left = m->length - m->at;

    m->used = 0;
    m->size = left < DFX_PICKLE_WINDOW ? (size_t)left : DFX_PICKLE_WINDOW;
    return dfx_io_read_at(m->reading->io, m->reading->offset + m->at, m->window,
                          m->size, m->err);
}

dfx_status
dfx_pickle_byte(dfx_pickle_machine *m, uint8_t *byte, bool *there)
{
    if (m->used == m->size)
        DFX_TRY(fill(m));
    *there = m->used < m->size;
    if (!*there)
        return DFX_OK;
    *byte = m->window[m->used++];
    m->at++;
    return DFX_OK;
}

static void
cut_short(dfx_pickle_machine *m)
{
    dfx_pickle_break(m, DFX_RULE_PK_STREAM_TRUNCATED,
                     "the stream ends in the middle of an opcode");
}

/* The next size bytes, to out. */
static dfx_status
take(dfx_pickle_machine *m, void *out, size_t size)
{
    uint8_t *to = out;

    if (m->length - m->at < size) {
        cut_short(m);
        return DFX_OK;
    }
    while (size > 0) {
        size_t n = m->size - m->used;

        if (n == 0) {
            DFX_TRY(fill(m));
            continue;
        }
        if (n > size)
            n = size;
        memcpy(to, m->window + m->used, n);
        to += n;
        size -= n;
        m->used += n;
        m->at += n;
    }
    return DFX_OK;
}

static dfx_status
skip(dfx_pickle_machine *m, uint64_t size)
{
    uint64_t ready = m->size - m->used;

    m->at += size;
    if (size < ready)
        m->used += (size_t)size;
    else
        m->used = m->size = 0;
    return DFX_OK;
}

/* An integer of size bytes, little-endian. */
static dfx_status
take_number(dfx_pickle_machine *m, size_t size, uint64_t *value)
{
    uint8_t bytes[8] = {0};

    DFX_TRY(take(m, bytes, size));
    *value = 0;
    for (size_t i = 8; i-- > 0;)
        *value = *value << 8 | bytes[i];
    return DFX_OK;
}

/* size bytes of text, kept in the arena. */
static dfx_status
take_text(dfx_pickle_machine *m, uint64_t size, dfx_pickle_argument *a)
{
    char *text;

    if (m->broken)
        return DFX_OK;
    if (m->length - m->at < size) {
        dfx_pickle_break(m, DFX_RULE_PK_LIMIT_LENGTH,
                         "a length of %" PRIu64 ", and %" PRIu64
                         " bytes are left",
                         size, m->length - m->at);
        return DFX_OK;
    }
    a->text = "";
    if (size > MAX_KEPT - m->kept) {
        a->is_lost = true;
        dfx_pickle_tell(m, DFX_VERDICT_SUSPICIOUS, DFX_RULE_PK_LIMIT_LENGTH,
                        NULL, "more than %d bytes of text", MAX_KEPT);
        return skip(m, size);
    }
    m->kept += size;
    text = dfx_arena_alloc(m->reading->arena, (size_t)size + 1);
    if (text == NULL)
        return dfx_fail_nomem(m->err);
    DFX_TRY(take(m, text, (size_t)size));
    text[size] = '\0';
    a->text = text;
    a->size = (size_t)size;
    return DFX_OK;
}

/* ---- Lines ---------------------------------------------------------------
 */

/* The text up to a line feed, which is not part of it; in the arena. */
static dfx_status
take_line(dfx_pickle_machine *m, const char **line, size_t *size)
{
    dfx_text text = {0};
    dfx_status status = DFX_OK;
    bool ended = false;

    *line = "";
    *size = 0;
    while (status == DFX_OK && !ended && text.size <= MAX_LINE) {
        const uint8_t *start, *end;
        size_t n;

        if (m->used == m->size)
            status = fill(m);
        if (status != DFX_OK || m->used == m->size)
            break;
        start = m->window + m->used;
        end = memchr(start, '\n', m->size - m->used);
        n = end != NULL ? (size_t)(end - start) : m->size - m->used;
        dfx_text_add(&text, (const char *)start, n);
        ended = end != NULL;
        m->used += n + ended;
        m->at += n + ended;
    }
    if (status == DFX_OK && !ended) {
        if (text.size > MAX_LINE)
            dfx_pickle_break(m, DFX_RULE_PK_LIMIT_LENGTH,
                             "a line of more than %d bytes", MAX_LINE);
        else
            cut_short(m);
    }
    if (status == DFX_OK && text.size > 0) {
        *line = dfx_arena_strndup(m->reading->arena, text.data, text.size);
        *size = text.size;
        m->kept += text.size;
    }
    if (text.failed || *line == NULL)
        status = dfx_fail_nomem(m->err);
    dfx_text_fini(&text);
    return status;
}

static void
say_text(dfx_pickle_machine *m, const char *what)
{
    dfx_pickle_tell(m, DFX_VERDICT_CANNOT_TELL, DFX_RULE_PK_STREAM_TEXT, NULL,
                    "%s", what);
}

/* As int(text, 0) reads it. */
static dfx_status
take_integer(dfx_pickle_machine *m, dfx_pickle_argument *a)
{
    const char *digits;
    char *end;

    DFX_TRY(take_line(m, &a->text, &a->size));
    if (m->broken)
        return DFX_OK;
    if (a->size > 0 && a->text[a->size - 1] == 'L')
        a->size--;
    if (a->size > MAX_DIGITS) {
        a->is_lost = true;
        dfx_pickle_tell(m, DFX_VERDICT_SUSPICIOUS, DFX_RULE_PK_LIMIT_LENGTH,
                        NULL, "a number of %zu digits", a->size);
        return DFX_OK;
    }
    a->is_truth = a->size == 2 && a->text[0] == '0' &&
                  (a->text[1] == '0' || a->text[1] == '1');
    digits = a->text + strspn(a->text, " +-");
    if (digits[0] == '0' && isalpha((unsigned char)digits[1]) != 0)
        dfx_pickle_tell(m, DFX_VERDICT_SUSPICIOUS, DFX_RULE_PK_NUMBER_FORM,
                        NULL, "a number in another base: %.40s", a->text);
    errno = 0;
    a->integer = strtoll(a->text, &end, a->is_truth ? 10 : 0);
    a->fits = errno == 0 && (size_t)(end - a->text) == a->size;
    if (errno == 0 && (end == a->text || (size_t)(end - a->text) < a->size))
        say_text(m, "a number that is none");
    return DFX_OK;
}

static dfx_status
take_index(dfx_pickle_machine *m, dfx_pickle_argument *a)
{
    DFX_TRY(take_integer(m, a));
    if (!m->broken && (!a->fits || a->integer < 0))
        dfx_pickle_break(m, DFX_RULE_PK_STREAM_TEXT,
                         "a memo number that is none");
    a->number = (uint64_t)a->integer;
    return DFX_OK;
}

static dfx_status
take_float(dfx_pickle_machine *m, dfx_pickle_argument *a)
{
    char *end;

    DFX_TRY(take_line(m, &a->text, &a->size));
    if (m->broken)
        return DFX_OK;
    a->real = strtod(a->text, &end);
    if (end == a->text || *end != '\0')
        say_text(m, "a number that is none");
    return DFX_OK;
}

/* ---- Escapes -------------------------------------------------------------
 */

/* size hex digits as a number; false: there are not so many. */
static bool
read_hex(const char *text, size_t left, size_t size, uint32_t *value)
{
    *value = 0;
    if (left < size)
        return false;
    for (size_t i = 0; i < size; i++) {
        unsigned char c = (unsigned char)text[i];

        if (isxdigit(c) == 0)
            return false;
        *value = *value << 4 |
                 (uint32_t)(isdigit(c) != 0 ? c - '0' : tolower(c) - 'a' + 10);
    }
    return true;
}

/* The bytes of a code point in UTF-8, surrogates like others. */
static size_t
put_code_point(char *out, uint32_t c)
{
    if (c < 0x80) {
        out[0] = (char)c;
        return 1;
    }
    if (c < 0x800) {
        out[0] = (char)(0xC0 | c >> 6);
        out[1] = (char)(0x80 | (c & 63));
        return 2;
    }
    if (c < 0x10000) {
        out[0] = (char)(0xE0 | c >> 12);
        out[1] = (char)(0x80 | (c >> 6 & 63));
        out[2] = (char)(0x80 | (c & 63));
        return 3;
    }
    out[0] = (char)(0xF0 | c >> 18);
    out[1] = (char)(0x80 | (c >> 12 & 63));
    out[2] = (char)(0x80 | (c >> 6 & 63));
    out[3] = (char)(0x80 | (c & 63));
    return 4;
}

/* The codec raw-unicode-escape: \uXXXX, \UXXXXXXXX, else Latin-1. */
static dfx_status
take_escaped(dfx_pickle_machine *m, dfx_pickle_argument *a)
{
    const char *line;
    char *text;
    size_t size, used = 0;

    DFX_TRY(take_line(m, &line, &size));
    if (m->broken)
        return DFX_OK;
    text = dfx_arena_alloc(m->reading->arena, 2 * size + 1);
    if (text == NULL)
        return dfx_fail_nomem(m->err);
    for (size_t i = 0; i < size; i++) {
        uint32_t c = (unsigned char)line[i];
        bool wide = i + 1 < size && line[i + 1] == 'U';

        if (c == '\\' && i + 1 < size && (wide || line[i + 1] == 'u')) {
            size_t digits = wide ? 8 : 4;

            if (!read_hex(line + i + 2, size - i - 2, digits, &c) ||
                c > 0x10FFFF) {
                say_text(m, "a text with a broken escape");
                c = '?';
            }
            i += 1 + digits;
        }
        used += put_code_point(text + used, c);
    }
    text[used] = '\0';
    a->text = text;
    a->size = used;
    return DFX_OK;
}

/* One escape of a string literal after its backslash; how much of it is used.
 */
static size_t
unescape(const char *text, size_t left, char *out, size_t *made)
{
    static const char from[] = "\\'\"abfnrtv", to[] = "\\'\"\a\b\f\n\r\t\v";
    const char *known = strchr(from, text[0]);
    uint32_t value = 0;
    size_t digits = 0;

    *made = 1;
    if (known != NULL && text[0] != '\0') {
        *out = to[known - from];
        return 1;
    }
    if (text[0] == 'x' && read_hex(text + 1, left - 1, 2, &value)) {
        *out = (char)value;
        return 3;
    }
    while (digits < 3 && digits < left && text[digits] >= '0' &&
           text[digits] <= '7')
        value = value * 8 + (uint32_t)(text[digits++] - '0');
    if (digits > 0) {
        *out = (char)value;
        return digits;
    }
    out[0] = '\\'; /* kept, as Python does */
    out[1] = text[0];
    *made = 2;
    return 1;
}

/* A string literal of Python 2. */
static dfx_status
take_quoted(dfx_pickle_machine *m, dfx_pickle_argument *a)
{
    const char *line;
    char *text;
    size_t size, used = 0;

    DFX_TRY(take_line(m, &line, &size));
    if (m->broken)
        return DFX_OK;
    while (size > 0 && (line[size - 1] == ' ' || line[size - 1] == '\r'))
        size--;
    if (size < 2 || (line[0] != '\'' && line[0] != '"') ||
        line[size - 1] != line[0]) {
        say_text(m, "a string without quotes");
        a->text = "";
        return DFX_OK;
    }
    text = dfx_arena_alloc(m->reading->arena, size + 1);
    if (text == NULL)
        return dfx_fail_nomem(m->err);
    size--; /* the last quote */
    for (size_t i = 1; i < size;) {
        size_t made = 1;

        if (line[i] != '\\' || i + 1 == size)
            text[used] = line[i++];
        else
            i += 1 + unescape(line + i + 1, size - i - 1, text + used, &made);
        used += made;
    }
    text[used] = '\0';
    a->text = text;
    a->size = used;
    return DFX_OK;
}

/* ---- Arguments -----------------------------------------------------------
 */

static dfx_status
take_double(dfx_pickle_machine *m, dfx_pickle_argument *a)
{
    uint8_t bytes[8] = {0};
    uint64_t bits = 0;

    DFX_TRY(take(m, bytes, sizeof bytes));
    for (size_t i = 0; i < sizeof bytes; i++)
        bits = bits << 8 | bytes[i];
    memcpy(&a->real, &bits, sizeof bits);
    return DFX_OK;
}

/* A length, and so many bytes. Signed ones may be negative. */
static dfx_status
take_counted(dfx_pickle_machine *m, size_t width, bool is_signed,
             dfx_pickle_argument *a)
{
    uint64_t size = 0;

    DFX_TRY(take_number(m, width, &size));
    if (!m->broken && is_signed && size > INT32_MAX) {
        dfx_pickle_break(m, DFX_RULE_PK_LIMIT_LENGTH, "a negative length");
        return DFX_OK;
    }
    return take_text(m, size, a);
}

/* The integer whose bytes the argument has. */
static void
read_long(dfx_pickle_argument *a)
{
    uint64_t value = 0;

    a->fits = !a->is_lost && a->size <= 8;
    if (!a->fits)
        return;
    for (size_t i = 0; i < a->size; i++)
        value |= (uint64_t)(unsigned char)a->text[i] << 8 * i;
    if (a->size > 0 && a->size < 8 && (a->text[a->size - 1] & 0x80) != 0)
        value |= UINT64_MAX << 8 * a->size;
    a->integer = (int64_t)value;
}

dfx_status
dfx_pickle_argue(dfx_pickle_machine *m, uint8_t op, dfx_pickle_argument *out)
{
    static const uint8_t widths[] = {
        [ARG_U1] = 1,      [ARG_U2] = 2,      [ARG_U4] = 4,
        [ARG_U8] = 8,      [ARG_I4] = 4,      [ARG_TEXT_U1] = 1,
        [ARG_TEXT_U4] = 4, [ARG_TEXT_U8] = 8, [ARG_TEXT_I4] = 4,
        [ARG_LONG_U1] = 1, [ARG_LONG_I4] = 4,
    };
    argument_kind kind = table[op].argument;

    *out = (dfx_pickle_argument){.fits = true};
    switch (kind) {
    case ARG_NONE:
        return DFX_OK;
    case ARG_U1:
    case ARG_U2:
    case ARG_U4:
    case ARG_U8:
        return take_number(m, widths[kind], &out->number);
    case ARG_I4:
        DFX_TRY(take_number(m, 4, &out->number));
        out->integer = (int32_t)(uint32_t)out->number;
        return DFX_OK;
    case ARG_F8:
        return take_double(m, out);
    case ARG_LINE:
        return take_line(m, &out->text, &out->size);
    case ARG_LINES:
        DFX_TRY(take_line(m, &out->text, &out->size));
        if (m->broken)
            return DFX_OK;
        return take_line(m, &out->second, &out->second_size);
    case ARG_LINE_INT:
        return take_integer(m, out);
    case ARG_LINE_INDEX:
        return take_index(m, out);
    case ARG_LINE_FLOAT:
        return take_float(m, out);
    case ARG_LINE_QUOTED:
        return take_quoted(m, out);
    case ARG_LINE_ESCAPED:
        return take_escaped(m, out);
    case ARG_TEXT_U1:
    case ARG_TEXT_U4:
    case ARG_TEXT_U8:
    case ARG_TEXT_I4:
        return take_counted(m, widths[kind], kind == ARG_TEXT_I4, out);
    case ARG_LONG_U1:
    case ARG_LONG_I4:
        DFX_TRY(take_counted(m, widths[kind], kind == ARG_LONG_I4, out));
        read_long(out);
        return DFX_OK;
    }
    return DFX_OK;
}

/* ---- Disassembly ---------------------------------------------------------
 */

static void
print_text(dfx_text *line, const char *text, size_t size)
{
    enum { SHOWN = 80 };
    size_t shown = size < SHOWN ? size : SHOWN;

    dfx_text_puts(line, " '");
    for (size_t i = 0; i < shown; i++) {
        unsigned char c = (unsigned char)text[i];

        if (c >= 32 && c < 127 && c != '\\' && c != '\'')
            dfx_text_add(line, text + i, 1);
        else
            dfx_text_printf(line, "\\x%02x", c);
    }
    dfx_text_puts(line, "'");
    if (shown < size)
        dfx_text_printf(line, "... (%zu bytes)", size);
}

void
dfx_pickle_print(const dfx_pickle_machine *m, uint8_t op,
                 const dfx_pickle_argument *a)
{
    dfx_text line = {0};

    dfx_text_printf(&line, "%8" PRIu64 "  %s", m->op_at, table[op].name);
    switch (table[op].argument) {
    case ARG_NONE:
        break;
    case ARG_U1:
    case ARG_U2:
    case ARG_U4:
    case ARG_U8:
    case ARG_LINE_INDEX:
        dfx_text_printf(&line, " %" PRIu64, a->number);
        break;
    case ARG_I4:
        dfx_text_printf(&line, " %" PRId64, a->integer);
        break;
    case ARG_F8:
    case ARG_LINE_FLOAT:
        dfx_text_printf(&line, " %.17g", a->real);
        break;
    case ARG_LONG_U1:
    case ARG_LONG_I4:
        if (a->fits)
            dfx_text_printf(&line, " %" PRId64, a->integer);
        else
            dfx_text_printf(&line, " of %zu bytes", a->size);
        break;
    case ARG_LINE:
    case ARG_LINES:
    case ARG_LINE_INT:
    case ARG_LINE_QUOTED:
    case ARG_LINE_ESCAPED:
    case ARG_TEXT_U1:
    case ARG_TEXT_U4:
    case ARG_TEXT_U8:
    case ARG_TEXT_I4:
        print_text(&line, a->text != NULL ? a->text : "", a->size);
        if (a->second != NULL)
            print_text(&line, a->second, a->second_size);
        break;
    }
    if (!line.failed)
        m->reading->line(m->reading->context, line.data);
    dfx_text_fini(&line);
}
