/*
 * error.c - filling in and printing a dfx_error
 *
 * Nothing here allocates, so that running out of memory can be reported, and
 * nothing here is shared between threads: the state is the caller's dfx_error.
 */
#include <config.h>

#include "error.h"

#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

static const struct {
    const char *id;
    const char *demand;
    dfx_status status;
} rules[DFX_RULE_COUNT] = {
    [DFX_RULE_NONE] = {"", "", DFX_ERR_USAGE},
#define RULE(constant, id, status, demand)                                     \
    [DFX_RULE_##constant] = {id, demand, status},
#include "rules.def"
#undef RULE
};

/* Copies src, cut to fit, with control characters masked: names come from files
   and messages go to terminals. */
static void
copy_masked(char *dst, size_t size, const char *src)
{
    size_t i;

    for (i = 0; i + 1 < size && src[i] != '\0'; i++) {
        unsigned char c = (unsigned char)src[i];
        dst[i] = (c < 0x20 || c == 0x7f) ? '?' : src[i];
        /* U+0080 to U+009F: U+009B is what ESC [ is short for. */
        if (i > 0 && (unsigned char)src[i - 1] == 0xc2 && (c & 0xe0) == 0x80)
            dst[i - 1] = dst[i] = '?';
    }
    /* Not in the middle of a character: a cut one is no valid UTF-8. */
    if (src[i] != '\0')
        while (i > 0 && ((unsigned char)src[i] & 0xc0) == 0x80)
            i--;
    dst[i] = '\0';
}

static size_t append(char *buf, size_t size, size_t used, const char *fmt, ...)
    DFX_PRINTF(4, 5);

/* Appends to buf and returns the new length, which stays below size. */
static size_t
append(char *buf, size_t size, size_t used, const char *fmt, ...)
{
    va_list args;
    int n;

    va_start(args, fmt);
    n = vsnprintf(buf + used, size - used, fmt, args);
    va_end(args);
    if (n < 0)
        return used;
    return (size_t)n < size - used ? used + (size_t)n : size - 1;
}

static dfx_status fill(dfx_error *err, dfx_status status, dfx_rule rule,
                       uint64_t offset, const char *fmt, va_list args)
    DFX_PRINTF(5, 0);

static dfx_status
fill(dfx_error *err, dfx_status status, dfx_rule rule, uint64_t offset,
     const char *fmt, va_list args)
{
    char text[DFX_ERROR_CHARS];

    if (err == NULL)
        return status;
    vsnprintf(text, sizeof text, fmt, args);
    /* Field by field: the texts are large and only their start matters. */
    err->status = status;
    err->rule = rules[rule].id;
    err->offset = offset;
    err->file[0] = '\0';
    err->tensor[0] = '\0';
    copy_masked(err->text, sizeof err->text, text);
    return status;
}

const char *
dfx_rule_id(dfx_rule rule)
{
    return rule < DFX_RULE_COUNT ? rules[rule].id : "";
}

bool
dfx_rule_at(size_t i, const char **id, const char **demand)
{
    if (i + 1 >= DFX_RULE_COUNT)
        return false;
    *id = rules[i + 1].id;
    *demand = rules[i + 1].demand;
    return true;
}

dfx_status
dfx_fail(dfx_error *err, dfx_rule rule, uint64_t offset, const char *fmt, ...)
{
    va_list args;
    dfx_status status;

    va_start(args, fmt);
    status = fill(err, rules[rule].status, rule, offset, fmt, args);
    va_end(args);
    return status;
}

dfx_status
dfx_fail_usage(dfx_error *err, const char *fmt, ...)
{
    va_list args;

    va_start(args, fmt);
    fill(err, DFX_ERR_USAGE, DFX_RULE_NONE, DFX_NO_OFFSET, fmt, args);
    va_end(args);
    return DFX_ERR_USAGE;
}

static dfx_status fail_as(dfx_error *err, dfx_status status, const char *fmt,
                          ...) DFX_PRINTF(3, 4);

static dfx_status
fail_as(dfx_error *err, dfx_status status, const char *fmt, ...)
{
    va_list args;

    va_start(args, fmt);
    fill(err, status, DFX_RULE_NONE, DFX_NO_OFFSET, fmt, args);
    va_end(args);
    return status;
}

dfx_status
dfx_fail_nomem(dfx_error *err)
{
    return fail_as(err, DFX_ERR_NOMEM, "memory ran out");
}

dfx_status
dfx_fail_stopped(dfx_error *err)
{
    return fail_as(err, DFX_ERR_STOPPED, "stopped");
}

dfx_status
dfx_fail_io(dfx_error *err, int errno_value, const char *fmt, ...)
{
    char what[DFX_ERROR_CHARS / 2], reason[128];
    va_list args;

    va_start(args, fmt);
    vsnprintf(what, sizeof what, fmt, args);
    va_end(args);
    /* The GNU form: it may return a static text and leave reason alone. */
    return fail_as(err, DFX_ERR_IO, "%s: %s", what,
                   strerror_r(errno_value, reason, sizeof reason));
}

void
dfx_error_in_file(dfx_error *err, const char *path)
{
    if (err != NULL && err->file[0] == '\0')
        copy_masked(err->file, sizeof err->file, path);
}

void
dfx_error_in_tensor(dfx_error *err, const char *name)
{
    if (err != NULL && err->tensor[0] == '\0')
        copy_masked(err->tensor, sizeof err->tensor, name);
}

void
dfx_error_in_tensor_text(dfx_error *err, const char *name, size_t size)
{
    /* More than fits, so that a cut is made by copy_masked. */
    char text[DFX_ERROR_CHARS + 4];

    if (size >= sizeof text)
        size = sizeof text - 1;
    memcpy(text, name, size);
    text[size] = '\0';
    dfx_error_in_tensor(err, text);
}

void
dfx_error_print(const dfx_error *err, char *buf, size_t size)
{
    size_t used = 0;

    if (size == 0)
        return;
    buf[0] = '\0';
    if (err->file[0] != '\0')
        used = append(buf, size, used, "%s: ", err->file);
    if (err->tensor[0] != '\0')
        used = append(buf, size, used, "tensor \"%s\": ", err->tensor);
    used = append(buf, size, used, "%s", err->text);
    if (err->rule == NULL || err->rule[0] == '\0')
        return;
    used = append(buf, size, used, " [%s", err->rule);
    if (err->offset != DFX_NO_OFFSET)
        used = append(buf, size, used, " at byte %" PRIu64, err->offset);
    append(buf, size, used, "]");
}
