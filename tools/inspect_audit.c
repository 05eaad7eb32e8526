/*
 * inspect_audit.c - what loading files would run: verdicts and their reasons
 *
 * Fail closed: what could not be read or judged is never called safe, and the
 * exit status of a path that was not looked at to its end is not 0.
 */
#include <config.h>

#include "inspect.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

/* Of each verdict; a hostile file could report millions. */
enum { MAX_FINDINGS = 1000 };

static char *
copy(const char *text)
{
    return text != NULL ? dfx_need(strdup(text)) : NULL;
}

/* A dfx_concern_fn. */
static void
keep(void *context, const dfx_concern *concern)
{
    dfx_audited *a = context;
    dfx_concern *c;

    if (a->counts[concern->verdict]++ >= MAX_FINDINGS) {
        a->omitted++;
        return;
    }
    if (a->count == a->capacity) {
        a->capacity = a->capacity == 0 ? 16 : 2 * a->capacity;
        a->concerns = dfx_need(
            reallocarray(a->concerns, a->capacity, sizeof *a->concerns));
    }
    c = &a->concerns[a->count++];
    *c = *concern;
    /* The rule is of the library's table; the rest lives for this call. */
    c->global = copy(concern->global);
    c->where = copy(concern->where != NULL ? concern->where : "");
    c->reason = copy(concern->reason != NULL ? concern->reason : "");
}

static void
audit(const dfx_inspect *asked, const char *path, dfx_audited *a)
{
    *a = (dfx_audited){.path = path, .verdict = DFX_VERDICT_CANNOT_TELL};
    if (dfx_audit_path(path, &asked->open, keep, a, &a->verdict, &a->err) ==
        DFX_OK)
        return;
    a->failed = true;
    /* What was found before it failed still counts. */
    a->verdict = DFX_VERDICT_CANNOT_TELL;
    for (size_t i = 0; i < a->count; i++)
        if (a->concerns[i].verdict > a->verdict)
            a->verdict = a->concerns[i].verdict;
    dfx_say_error(asked->tool->name, path, &a->err);
}

static void
audited_fini(dfx_audited *a)
{
    for (size_t i = 0; i < a->count; i++) {
        free((char *)(uintptr_t)a->concerns[i].global);
        free((char *)(uintptr_t)a->concerns[i].where);
        free((char *)(uintptr_t)a->concerns[i].reason);
    }
    free(a->concerns);
}

char *
dfx_concern_text(const dfx_concern *c)
{
    bool has_global = c->global != NULL && c->global[0] != '\0';
    bool has_where = c->where[0] != '\0';
    bool has_position = c->position != DFX_NO_OFFSET;
    char position[40] = "", *text;

    if (has_position)
        snprintf(position, sizeof position, " at byte %" PRIu64, c->position);
    dfx_need(asprintf(&text, "%s%s%s [%s%s%s%s]", has_global ? c->global : "",
                      has_global ? ": " : "", c->reason, c->rule, position,
                      !has_where     ? ""
                      : has_position ? " of "
                                     : " in ",
                      c->where) >= 0
                 ? text
                 : NULL);
    return text;
}

static void
print_text(const dfx_inspect *asked, const dfx_audited *a)
{
    bool is_safe = a->verdict == DFX_VERDICT_SAFE;

    if (asked->quiet)
        return;
    dfx_put(stdout, a->path);
    printf(": %s%s%s\n", is_safe ? "" : asked->colours.warning,
           dfx_verdict_name(a->verdict), is_safe ? "" : asked->colours.end);
    for (size_t i = 0; i < a->count; i++) {
        const dfx_concern *c = &a->concerns[i];
        const char *verdict = dfx_verdict_name(c->verdict);
        char *text = dfx_concern_text(c);

        printf("  %s: ", verdict);
        dfx_put_wrapped(stdout, text, strlen(verdict) + 4, 6);
        putchar('\n');
        free(text);
    }
    if (a->omitted > 0)
        printf("  and %zu more\n", a->omitted);
}

static cJSON *
json_concern(const dfx_concern *c)
{
    cJSON *object = dfx_json_object();

    dfx_json_add(object, "rule", dfx_json_text(c->rule));
    dfx_json_add(object, "verdict",
                 dfx_json_text(dfx_verdict_name(c->verdict)));
    dfx_json_add(object, "global", dfx_json_text(c->global));
    dfx_json_add(object, "position",
                 c->position != DFX_NO_OFFSET ? dfx_json_count(c->position)
                                              : dfx_json_text(NULL));
    dfx_json_add(object, "reason", dfx_json_text(c->reason));
    dfx_json_add(object, "where",
                 dfx_json_text(c->where[0] != '\0' ? c->where : NULL));
    return object;
}

static void
print_json(const dfx_audited *a)
{
    cJSON *object = dfx_json_head(a->path);
    cJSON *findings = dfx_json_array();

    for (size_t i = 0; i < a->count; i++)
        dfx_json_append(findings, json_concern(&a->concerns[i]));
    dfx_json_add(object, "verdict",
                 dfx_json_text(dfx_verdict_name(a->verdict)));
    dfx_json_add(object, "findings", findings);
    dfx_json_add(object, "omitted", dfx_json_count(a->omitted));
    if (a->failed)
        dfx_json_add(object, "error", dfx_json_error(&a->err));
    dfx_json_print(object, stdout);
}

static int
status_of(const dfx_audited *a)
{
    switch (a->verdict) {
    case DFX_VERDICT_SAFE:
        return a->failed ? DFX_EXIT_USAGE : DFX_EXIT_YES;
    case DFX_VERDICT_SUSPICIOUS:
    case DFX_VERDICT_DANGEROUS:
        return DFX_EXIT_NO;
    case DFX_VERDICT_CANNOT_TELL:
        break;
    }
    return DFX_EXIT_USAGE;
}

/* Of several, "not safe" says more than "could not tell". */
static int
worse(int a, int b)
{
    if (a == DFX_EXIT_NO || b == DFX_EXIT_NO)
        return DFX_EXIT_NO;
    return a > b ? a : b;
}

int
dfx_inspect_audit(const dfx_inspect *asked, const char *const *paths,
                  size_t count)
{
    dfx_audited *all = dfx_need(calloc(count, sizeof *all));
    int status = DFX_EXIT_YES;
    bool is_array = asked->json && count > 1;

    if (is_array)
        printf("[\n");
    for (size_t i = 0; i < count; i++) {
        audit(asked, paths[i], &all[i]);
        status = worse(status, status_of(&all[i]));
        if (asked->sarif)
            continue; /* that is one document of all */
        if (asked->json)
            print_json(&all[i]);
        else
            print_text(asked, &all[i]);
        if (is_array && i + 1 < count)
            printf(",\n");
        audited_fini(&all[i]);
        all[i] = (dfx_audited){0};
    }
    if (is_array)
        printf("]\n");
    if (asked->sarif)
        dfx_sarif_print(asked, all, count, status);
    for (size_t i = 0; i < count; i++)
        audited_fini(&all[i]);
    free(all);
    return status;
}
