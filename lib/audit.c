/*
 * audit.c - verdicts, and concerns on their way to whoever asked
 */
#include <config.h>

#include "audit.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

const char *
dfx_verdict_name(dfx_verdict verdict)
{
    static const char *const names[] = {
        [DFX_VERDICT_SAFE] = "safe",
        [DFX_VERDICT_CANNOT_TELL] = "cannot-tell",
        [DFX_VERDICT_SUSPICIOUS] = "suspicious",
        [DFX_VERDICT_DANGEROUS] = "dangerous",
    };

    return verdict < sizeof names / sizeof names[0] ? names[verdict] : "?";
}

/* about holds the texts, masked: the global as its tensor. */
static void
report(dfx_audit *audit, dfx_verdict verdict, const dfx_error *about)
{
    const dfx_concern concern = {
        .verdict = verdict,
        .rule = about->rule,
        .global = about->tensor[0] != '\0' ? about->tensor : NULL,
        .where = about->file,
        .position = about->offset,
        .reason = about->text,
    };

    if (verdict > audit->verdict) {
        audit->verdict = verdict;
        audit->worst = *about;
    }
    if (audit->found != NULL)
        audit->found(audit->context, &concern);
}

void
dfx_audit_report(dfx_audit *audit, dfx_verdict verdict, dfx_rule rule,
                 const char *global, uint64_t position, const char *fmt, ...)
{
    char text[DFX_ERROR_CHARS];
    dfx_error about;
    va_list args;

    va_start(args, fmt);
    vsnprintf(text, sizeof text, fmt, args);
    va_end(args);
    dfx_fail(&about, rule, position, "%s", text);
    if (global != NULL)
        dfx_error_in_tensor(&about, global);
    if (audit->where != NULL)
        dfx_error_in_file(&about, audit->where);
    report(audit, verdict, &about);
}

void
dfx_audit_fault(dfx_audit *audit, dfx_verdict verdict, const char *path,
                const dfx_error *fault)
{
    char text[3 * DFX_ERROR_CHARS + 16];
    const char *file = strcmp(fault->file, path) != 0 ? fault->file : "";
    dfx_error about = *fault;

    /* The concern says where in words of its own, and a tensor is no global. */
    snprintf(text, sizeof text, "%s%s%s%s%s%s", file,
             file[0] != '\0' ? ": " : "",
             fault->tensor[0] != '\0' ? "tensor \"" : "", fault->tensor,
             fault->tensor[0] != '\0' ? "\": " : "", fault->text);
    about.tensor[0] = '\0';
    dfx_error_in_tensor(&about, text); /* cuts between characters */
    memcpy(about.text, about.tensor, sizeof about.text);
    about.tensor[0] = '\0';
    about.file[0] = '\0';
    if (audit->where != NULL)
        dfx_error_in_file(&about, audit->where);
    report(audit, verdict, &about);
}
