/*
 * quant_html.c - what quantization cost, as a page that one looks at
 *
 * One file, without scripts and without anything from elsewhere: it can be kept
 * beside the model and opened in ten years.
 */
#include <config.h>

#include "markup.h"
#include "quant.h"

#include <errno.h>
#include <inttypes.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

enum {
    WIDTH = 960, /* of plots, in pixels */
    LEFT = 56,   /* of that for the labels of an axis */
    HEIGHT = 220,
    BAR = 26,
    WORST = 20, /* tensors in the first table */
    COLOURS = 8
};

typedef struct page {
    FILE *out;
    const dfx_job *job;
    const quant_report *report;
    quant_tallies types, reasons, components;
} page;

static size_t
type_index(const page *p, const char *type)
{
    size_t i = 0;

    while (i < p->types.count && strcmp(p->types.items[i].what, type) != 0)
        i++;
    return i;
}

/* ---- Head ---------------------------------------------------------------- */

static void
put_cards(page *p)
{
    uint64_t bytes = 0, before = 0, after = 0;
    dfx_measurement sum = quant_report_sum(p->report, &bytes);
    quant_figures f = quant_figures_of(&sum, bytes);
    char human[DFX_HUMAN_CHARS], number[32];

    for (size_t i = 0; i < p->types.count; i++) {
        before += p->types.items[i].before;
        after += p->types.items[i].after;
    }
    fprintf(p->out, "<div class=cards>\n");
    dfx_markup_card(p->out, dfx_human_bytes(before, human), "before");
    dfx_markup_card(p->out, dfx_human_bytes(after, human), "after");
    snprintf(number, sizeof number, "%.1f %%",
             before > 0 ? 100 * (double)after / (double)before : 100);
    dfx_markup_card(p->out, number, "of the size");
    snprintf(number, sizeof number, "%zu", p->report->count);
    dfx_markup_card(p->out, number, "tensors changed");
    snprintf(number, sizeof number, "%.3f", f.bits);
    dfx_markup_card(p->out, number, "bits per weight, of these");
    snprintf(number, sizeof number, "%.3f %%", 100 * f.relative);
    dfx_markup_card(p->out, number, "relative RMSE");
    if (isfinite(f.sqnr)) {
        snprintf(number, sizeof number, "%.1f dB", f.sqnr);
        dfx_markup_card(p->out, number, "signal to noise");
    }
    fprintf(p->out, "</div>\n");
}

static void
put_head(page *p)
{
    dfx_markup_head(p->out, p->job->dst);
    fprintf(p->out, "<p>made of ");
    dfx_markup_text(p->out, p->job->src);
    fprintf(p->out, " by dfx-quant %s; family ", dfx_version());
    dfx_markup_text(p->out, dfx_identity_family(p->job->source.identity));
    fprintf(p->out, "</p>\n");
    put_cards(p);
}

static void
put_keys(const page *p)
{
    fprintf(p->out, "<p>");
    for (size_t i = 0; i < p->types.count; i++)
        fprintf(p->out,
                "<span class=key><i style=\"background:var(--c%zu)\"></i>%s: "
                "%zu</span>",
                i % COLOURS, p->types.items[i].what, p->types.items[i].tensors);
    fprintf(p->out, "</p>\n");
}

/* ---- Error of each tensor ------------------------------------------------ */

/* A power of ten for the bottom of the axis and how many there are above. */
static void
range_of(const quant_report *report, int *low, int *decades)
{
    double least = HUGE_VAL, most = 0;

    for (size_t i = 0; i < report->count; i++) {
        const dfx_measurement *m = &report->items[i];
        double relative = quant_figures_of(m, m->bytes).relative;

        if (relative > 0) {
            least = fmin(least, relative);
            most = fmax(most, relative);
        }
    }
    *low = most > 0 ? (int)floor(log10(least)) : -1;
    *decades = most > 0 ? (int)ceil(log10(most)) - *low : 1;
    if (*decades < 1)
        *decades = 1;
}

static void
put_bar(const page *p, size_t i, int low, int decades)
{
    const dfx_measurement *m = &p->report->items[i];
    quant_figures f = quant_figures_of(m, m->bytes);
    double step = (double)(WIDTH - LEFT) / (double)p->report->count;
    double height =
        f.relative > 0 ? (log10(f.relative) - low) / decades * HEIGHT : 0;

    fprintf(p->out,
            "<rect x=%.2f y=%.2f width=%.2f height=%.2f "
            "style=\"fill:var(--c%zu)\"><title>",
            LEFT + step * (double)i, HEIGHT - height,
            step > 3 ? step - 1 : step, height,
            type_index(p, m->type) % COLOURS);
    dfx_markup_text(p->out, m->name);
    fprintf(p->out, "\n%s, relative RMSE %.5f</title></rect>\n", m->type,
            f.relative);
}

static void
put_errors(const page *p)
{
    int low, decades;

    range_of(p->report, &low, &decades);
    fprintf(p->out,
            "<h2>Error of each tensor</h2>\n<p>Relative RMSE, in the order of "
            "the file; point at a bar to see whose it is.</p>\n");
    put_keys(p);
    fprintf(p->out, "<svg viewBox=\"0 -8 %d %d\">\n", WIDTH, HEIGHT + 16);
    for (int d = 0; d <= decades; d++) {
        double y = HEIGHT - (double)d / decades * HEIGHT;

        fprintf(p->out,
                "<line class=grid x1=%d x2=%d y1=%.1f y2=%.1f />"
                "<text x=%d y=%.1f text-anchor=end>%g</text>\n",
                LEFT, WIDTH, y, y, LEFT - 8, y + 4, pow(10, low + d));
    }
    for (size_t i = 0; i < p->report->count; i++)
        put_bar(p, i, low, decades);
    fprintf(p->out, "</svg>\n");
}

/* ---- Size of each component ---------------------------------------------- */

static void
put_sizes(const page *p)
{
    const quant_tallies *c = &p->components;
    uint64_t most = 1;
    enum { NAMES = 150, NUMBERS = 150, ROOM = WIDTH - NAMES - NUMBERS };

    for (size_t i = 0; i < c->count; i++)
        most = c->items[i].before > most ? c->items[i].before : most;
    fprintf(p->out,
            "<h2>Size of each component</h2>\n<p>Grey: before.</p>\n"
            "<svg viewBox=\"0 0 %d %zu\">\n",
            WIDTH, c->count * BAR);
    for (size_t i = 0; i < c->count; i++) {
        const quant_tally *t = &c->items[i];
        char before[DFX_HUMAN_CHARS], after[DFX_HUMAN_CHARS];
        size_t y = i * BAR;

        fprintf(p->out, "<text x=%d y=%zu text-anchor=end>", NAMES - 10,
                y + BAR / 2 + 2);
        dfx_markup_text(p->out, t->what);
        fprintf(p->out,
                "</text><rect class=before x=%d y=%zu width=%.1f height=%d />"
                "<rect x=%d y=%zu width=%.1f height=%d "
                "style=\"fill:var(--c0)\"/><text x=%.1f y=%zu>%s, was %s"
                "</text>\n",
                NAMES, y + 2, (double)t->before / (double)most * ROOM, BAR - 8,
                NAMES, y + 6, (double)t->after / (double)most * ROOM, BAR - 16,
                NAMES + 8 +
                    (double)(t->before > t->after ? t->before : t->after) /
                        (double)most * ROOM,
                y + BAR / 2 + 2, dfx_human_bytes(t->after, after),
                dfx_human_bytes(t->before, before));
    }
    fprintf(p->out, "</svg>\n");
}

/* ---- Values -------------------------------------------------------------- */

static void
put_histogram(const page *p)
{
    uint64_t bytes = 0, most = 1;
    dfx_measurement sum = quant_report_sum(p->report, &bytes);
    double step = (double)(WIDTH - LEFT) / DFX_BINS;

    for (size_t side = 0; side < 2; side++)
        for (size_t b = 0; b < DFX_BINS; b++)
            most =
                sum.histogram[side][b] > most ? sum.histogram[side][b] : most;
    fprintf(p->out,
            "<h2>Values</h2>\n<p>Where the weights lie, from minus a tensor's "
            "largest magnitude to plus; heights are logarithms of counts. "
            "Grey: before. Line: after.</p>\n<svg viewBox=\"0 -8 %d %d\">\n",
            WIDTH, HEIGHT + 36);
    for (size_t b = 0; b < DFX_BINS; b++) {
        double height = log10(1 + (double)sum.histogram[0][b]) /
                        log10(1 + (double)most) * HEIGHT;

        fprintf(p->out,
                "<rect class=before x=%.2f y=%.2f width=%.2f height=%.2f />\n",
                LEFT + step * (double)b, HEIGHT - height, step - 1, height);
    }
    fprintf(p->out, "<path fill=none stroke=var(--c0) stroke-width=2 d=\"");
    for (size_t b = 0; b < DFX_BINS; b++)
        fprintf(p->out, "%c%.2f %.2f", b == 0 ? 'M' : 'L',
                LEFT + step * ((double)b + 0.5),
                HEIGHT - log10(1 + (double)sum.histogram[1][b]) /
                             log10(1 + (double)most) * HEIGHT);
    fprintf(p->out, "\"/>\n");
    for (int i = 0; i <= 4; i++)
        fprintf(p->out, "<text x=%.1f y=%d text-anchor=%s>%g</text>\n",
                LEFT + (WIDTH - LEFT) / 4.0 * i, HEIGHT + 18,
                i == 0   ? "start"
                : i == 4 ? "end"
                         : "middle",
                i / 2.0 - 1);
    fprintf(p->out, "</svg>\n");
}

/* ---- Tables -------------------------------------------------------------- */

static void
put_row(const page *p, const dfx_measurement *m)
{
    quant_figures f = quant_figures_of(m, m->bytes);
    char shape[128];

    fprintf(p->out, "<tr><td>");
    dfx_markup_text(p->out, m->name);
    fprintf(p->out, "<td>%s<td>%s<td>%s<td>%.5f<td>%.3e<td>%.6f",
            dfx_type_name(m->source_type), m->type,
            dfx_shape_print(m->shape, m->rank, shape, sizeof shape), f.relative,
            f.max, f.cosine);
    if (isfinite(f.sqnr))
        fprintf(p->out, "<td>%.2f</tr>\n", f.sqnr);
    else
        fprintf(p->out, "<td>exact</tr>\n");
}

static void
put_rows(const page *p, const dfx_measurement *const *rows, size_t count)
{
    fprintf(p->out, "<table><tr><th>Tensor<th>From<th>Type<th>Shape"
                    "<th>Relative RMSE<th>Largest error<th>Cosine"
                    "<th>SQNR, dB</tr>\n");
    for (size_t i = 0; i < count; i++)
        put_row(p, rows[i]);
    fprintf(p->out, "</table>\n");
}

static int
compare_errors(const void *a, const void *b)
{
    const dfx_measurement *x = *(const dfx_measurement *const *)a;
    const dfx_measurement *y = *(const dfx_measurement *const *)b;
    double ex = quant_figures_of(x, 0).relative;
    double ey = quant_figures_of(y, 0).relative;

    if (ex != ey)
        return (ex < ey) - (ex > ey);
    return strcmp(x->name, y->name);
}

static void
put_tables(const page *p)
{
    size_t count = p->report->count;
    const dfx_measurement **rows =
        dfx_need(calloc(count + 1, sizeof(const dfx_measurement *)));

    for (size_t i = 0; i < count; i++)
        rows[i] = &p->report->items[i];
    qsort(rows, count, sizeof(const dfx_measurement *), compare_errors);
    fprintf(p->out, "<h2>Largest errors</h2>\n");
    put_rows(p, rows, count < WORST ? count : WORST);
    for (size_t i = 0; i < count; i++)
        rows[i] = &p->report->items[i];
    fprintf(p->out, "<details><summary>All %zu tensors</summary>\n", count);
    put_rows(p, rows, count);
    fprintf(p->out, "</details>\n");
    free(rows);
}

static void
put_tallies(const page *p, const char *title, const quant_tallies *tallies)
{
    char human[DFX_HUMAN_CHARS];

    if (tallies->count == 0)
        return;
    fprintf(p->out,
            "<h2>%s</h2>\n<table><tr><th><th>Tensors<th>Before<th>After"
            "</tr>\n",
            title);
    for (size_t i = 0; i < tallies->count; i++) {
        const quant_tally *t = &tallies->items[i];

        fprintf(p->out, "<tr><td>");
        dfx_markup_text(p->out, t->what);
        fprintf(p->out, "<td>%zu<td>%s", t->tensors,
                dfx_human_bytes(t->before, human));
        fprintf(p->out, "<td>%s</tr>\n", dfx_human_bytes(t->after, human));
    }
    fprintf(p->out, "</table>\n");
}

bool
quant_report_html(const dfx_job *job, const quant_report *report,
                  const char *path)
{
    page p = {.job = job, .report = report, .out = fopen(path, "w")};
    bool failed;

    if (p.out == NULL)
        return false;
    quant_tally_plan(job->plan, &p.types, &p.reasons, &p.components);
    put_head(&p);
    if (report->count > 0)
        put_errors(&p);
    put_sizes(&p);
    if (report->count > 0) {
        put_histogram(&p);
        put_tables(&p);
    }
    put_tallies(&p, "Types", &p.types);
    put_tallies(&p, "Not as asked, and why", &p.reasons);
    fprintf(p.out, "</html>\n");
    free(p.types.items);
    free(p.reasons.items);
    free(p.components.items);
    failed = ferror(p.out) != 0;
    if (fclose(p.out) != 0 || failed) {
        int error = errno;

        remove(path);
        errno = error;
        return false;
    }
    return true;
}
