/*
 * run_check.c - dfx-run check: whether a model still gives what it gave
 */
#include <config.h>

#include <errno.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "markup.h"
#include "run.h"
#include "table.h"

/*
 * Relative errors that a stage may have, at most, by what weights were rounded
 * to on the way. Measured on the model of the demo in four steps, where the
 * worst stage has 0.024 in BF16, 0.021 in Q8_0, 0.036 in Q5_K, 0.098 in Q4_K,
 * 0.27 in NF4 and 0.40 in Q4_0; f16 is a fourth of BF16's limit, and f32 is for
 * sums of another order.
 */
static const struct {
    const char *name;
    double limit;
} classes[] = {
    {"f32", 1e-4}, {"f16", 1e-2}, {"bf16", 5e-2}, {"q8", 5e-2}, {"q4", 5e-1},
};

enum { CLASSES = sizeof classes / sizeof classes[0] };

/* A stage of the golden, and how the model's is. */
typedef struct verdict {
    const char *name;
    dfx_distance distance;
    bool good;
    bool far;          /* beyond the limit, which decides nothing for a layer */
    char problem[320]; /* "": none, or it is good */
} verdict;

typedef struct check {
    const run_request *r;
    const char *path;
    double limit; /* 0: exact */
    dfx_golden *golden, *now;
    verdict *verdicts; /* owned */
    size_t count, bad;
} check;

/* ---- Limits -------------------------------------------------------------- */

static const char *
class_at(size_t i)
{
    return i < CLASSES ? classes[i].name : NULL;
}

static bool
parse_limit(const run_request *r, double *limit)
{
    const char *text = r->tolerance, *nearest;
    char *end;

    *limit = 0;
    if (text == NULL || strcmp(text, "exact") == 0)
        return true;
    if (r->exact) {
        dfx_usage(r->tool, "--exact and --tolerance=%s contradict", text);
        return false;
    }
    for (size_t i = 0; i < CLASSES; i++)
        if (strcmp(classes[i].name, text) == 0) {
            *limit = classes[i].limit;
            return true;
        }
    errno = 0;
    *limit = strtod(text, &end);
    if (end != text && *end == '\0' && errno == 0 && isfinite(*limit) &&
        *limit >= 0)
        return true;
    nearest = dfx_nearest(text, class_at);
    dfx_usage(r->tool, "'%s' is no tolerance%s%s%s", text,
              nearest != NULL ? "; did you mean " : "",
              nearest != NULL ? nearest : "", nearest != NULL ? "?" : "");
    return false;
}

/* ---- Judging ------------------------------------------------------------- */

/* A module within a stage. */
static bool
is_layer(const char *name)
{
    return strncmp(name, "denoise.", 8) == 0 &&
           strcmp(name, "denoise.sample") != 0;
}

static void
judge(const check *c, const dfx_golden_stage *want, verdict *v)
{
    const dfx_golden_stage *got = dfx_golden_find(c->now, want->value->name);
    char shapes[2][128];

    *v = (verdict){.name = want->value->name};
    if (got == NULL) {
        v->distance = (dfx_distance){.max_abs = (double)NAN,
                                     .relative = (double)NAN,
                                     .cosine = (double)NAN};
        snprintf(v->problem, sizeof v->problem, "the model gives none");
        return;
    }
    v->distance = dfx_value_distance(want->value, got->value);
    if (isnan(v->distance.max_abs))
        snprintf(v->problem, sizeof v->problem, "it is %s, not %s",
                 dfx_shape_print(got->value->shape, got->value->rank, shapes[0],
                                 sizeof shapes[0]),
                 dfx_shape_print(want->value->shape, want->value->rank,
                                 shapes[1], sizeof shapes[1]));
    else if (want->value->type == DFX_TYPE_I64 || c->limit == 0)
        v->good = strcmp(want->hash, got->hash) == 0;
    else {
        v->far = !v->distance.same && !(v->distance.relative <= c->limit);
        /* Some layers enlarge errors that later ones undo. */
        v->good = !v->far || is_layer(v->name);
    }
    if (!v->good && v->problem[0] == '\0')
        snprintf(v->problem, sizeof v->problem,
                 "max-abs %.3g, relative %.3g, limit %g", v->distance.max_abs,
                 v->distance.relative,
                 want->value->type == DFX_TYPE_I64 ? 0 : c->limit);
}

static void
judge_all(check *c)
{
    const dfx_golden_stage *stage;

    while (dfx_golden_at(c->golden, c->count) != NULL)
        c->count++;
    c->verdicts = dfx_need(calloc(c->count + 1, sizeof *c->verdicts));
    for (size_t i = 0; (stage = dfx_golden_at(c->golden, i)) != NULL; i++) {
        judge(c, stage, &c->verdicts[i]);
        c->bad += !c->verdicts[i].good;
    }
}

/* The first that deviates; NULL: none does. */
static const verdict *
first_bad(const check *c)
{
    for (size_t i = 0; i < c->count; i++)
        if (!c->verdicts[i].good)
            return &c->verdicts[i];
    return NULL;
}

static const char *
tolerance_of(const check *c)
{
    return c->r->tolerance != NULL ? c->r->tolerance : "exact";
}

/* ---- What it says -------------------------------------------------------- */

static void
print_text(const check *c)
{
    dfx_colours colours = dfx_colours_choose(c->r->colour, stdout);
    const verdict *first = first_bad(c);
    dfx_table table;

    dfx_table_init(&table, "llrr");
    dfx_table_cell(&table, "STAGE");
    dfx_table_cell(&table, "VERDICT");
    dfx_table_cell(&table, "MAX ABS");
    dfx_table_cell(&table, "RELATIVE");
    for (size_t i = 0; i < c->count; i++) {
        const verdict *v = &c->verdicts[i];

        dfx_table_cell(&table, v->name);
        dfx_table_cell(&table, v->distance.same ? "same"
                               : !v->good       ? "deviates"
                               : v->far         ? "far"
                                                : "close");
        if (isnan(v->distance.max_abs)) {
            dfx_table_cell(&table, "-");
            dfx_table_cell(&table, "-");
        } else {
            dfx_table_cellf(&table, "%.3g", v->distance.max_abs);
            dfx_table_cellf(&table, "%.3g", v->distance.relative);
        }
    }
    dfx_table_print(&table, stdout, 0, &colours);
    dfx_table_fini(&table);
    putchar('\n');
    dfx_put(stdout, c->path);
    if (first == NULL)
        printf(": as recorded (%s)\n", tolerance_of(c));
    else
        printf(": deviates, first in %s: %s\n", first->name, first->problem);
}

static void
print_json(const check *c)
{
    cJSON *root = run_golden_head(c->path, c->golden);
    cJSON *stages = dfx_json_array();
    const verdict *first = first_bad(c);

    for (size_t i = 0; i < c->count; i++) {
        const verdict *v = &c->verdicts[i];
        cJSON *item = dfx_json_object();

        dfx_json_add(item, "name", dfx_json_text(v->name));
        dfx_json_add(item, "good", dfx_json_bool(v->good));
        run_add_distance(item, &v->distance);
        dfx_json_add(item, "problem",
                     dfx_json_text(v->good ? NULL : v->problem));
        dfx_json_append(stages, item);
    }
    dfx_json_add(root, "golden", dfx_json_text(c->r->golden));
    dfx_json_add(root, "tolerance", dfx_json_text(tolerance_of(c)));
    dfx_json_add(root, "limit", dfx_json_double(c->limit));
    dfx_json_add(root, "good", dfx_json_bool(first == NULL));
    dfx_json_add(root, "first",
                 dfx_json_text(first != NULL ? first->name : NULL));
    dfx_json_add(root, "stages", stages);
    dfx_json_print(root, stdout);
}

/* ---- JUnit --------------------------------------------------------------- */

static void
put_case(FILE *out, const check *c, const char *name)
{
    fprintf(out, "    <testcase classname=\"");
    dfx_markup_text(out, c->path);
    fprintf(out, "\" name=\"");
    dfx_markup_text(out, name);
    fprintf(out, "\"");
}

static void
put_cases(FILE *out, const check *c)
{
    for (size_t i = 0; i < c->count; i++) {
        const verdict *v = &c->verdicts[i];

        put_case(out, c, v->name);
        if (v->good) {
            fprintf(out, "/>\n");
            continue;
        }
        fprintf(out, ">\n      <failure type=\"deviates\" message=\"");
        dfx_markup_text(out, v->problem);
        fprintf(out, "\"/>\n    </testcase>\n");
    }
}

/* failure: it could not tell, and why; NULL. False: errno says why. */
static bool
write_junit(const check *c, const char *failure)
{
    FILE *out = fopen(c->r->junit, "w");
    bool failed;

    if (out == NULL)
        return false;
    fprintf(out,
            "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<testsuites>\n"
            "  <testsuite name=\"dfx-run check\" tests=\"%zu\" "
            "failures=\"%zu\" errors=\"%d\">\n",
            failure != NULL ? 1 : c->count, c->bad, failure != NULL);
    if (failure != NULL) {
        put_case(out, c, "run");
        fprintf(out, ">\n      <error type=\"cannot tell\" message=\"");
        dfx_markup_text(out, failure);
        fprintf(out, "\"/>\n    </testcase>\n");
    } else
        put_cases(out, c);
    fprintf(out, "  </testsuite>\n</testsuites>\n");
    failed = ferror(out) != 0;
    return fclose(out) == 0 && !failed;
}

/* Returns the worse of status and what writing makes. */
static int
report(const check *c, const char *failure, int status)
{
    if (c->r->junit == NULL || write_junit(c, failure))
        return status;
    dfx_say(c->r->tool->name, "%s: %s", c->r->junit, strerror(errno));
    return DFX_EXIT_USAGE;
}

/* ---- The command --------------------------------------------------------- */

/* It could not tell. */
static int
give_up(const check *c, const dfx_error *err)
{
    char text[3 * DFX_ERROR_CHARS];

    dfx_error_print(err, text, sizeof text);
    dfx_say_error(c->r->tool->name, c->path, err);
    if (c->r->json) {
        cJSON *root = dfx_json_head(c->path);

        dfx_json_add(root, "error", dfx_json_error(err));
        dfx_json_print(root, stdout);
    }
    return report(c, text, DFX_EXIT_USAGE);
}

static int
tell(check *c)
{
    judge_all(c);
    if (c->r->json)
        print_json(c);
    else if (!c->r->quiet)
        print_text(c);
    return report(c, NULL, c->bad > 0 ? DFX_EXIT_NO : DFX_EXIT_YES);
}

int
run_check(run_request *r)
{
    check c = {.r = r, .path = run_operand(r, "MODEL")};
    dfx_error err;
    dfx_status status;
    int result;

    if (c.path == NULL || !parse_limit(r, &c.limit))
        return DFX_EXIT_USAGE;
    if (r->golden == NULL)
        return run_lacks(r, "golden");
    status = dfx_golden_read(r->golden, &c.golden, &err);
    if (status == DFX_OK)
        status = run_golden_of(r, c.path, c.golden, &c.now, &err);
    result = status == DFX_OK ? tell(&c) : give_up(&c, &err);
    dfx_golden_free(c.golden);
    dfx_golden_free(c.now);
    free(c.verdicts);
    return result;
}
