/*
 * quant_report.c - what quantization cost: figures, tables and JSON
 */
#include <config.h>

#include "quant.h"

#include <inttypes.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "table.h"

/* ---- Figures ------------------------------------------------------------- */

void
quant_report_add(void *context, const dfx_measurement *measurement)
{
    quant_report *report = context;

    if (report->count == report->capacity) {
        report->capacity = 2 * report->capacity + 64;
        report->items = dfx_need(reallocarray(report->items, report->capacity,
                                              sizeof *report->items));
    }
    report->items[report->count++] = *measurement;
}

void
quant_report_fini(quant_report *report)
{
    free(report->items);
}

quant_figures
quant_figures_of(const dfx_measurement *m, uint64_t bytes)
{
    double n = m->elements > 0 ? (double)m->elements : 1;
    double both = sqrt(m->squares) * sqrt(m->written);

    return (quant_figures){
        .rmse = sqrt(m->squared_error / n),
        .relative = m->squares > 0 ? sqrt(m->squared_error / m->squares) : 0,
        .max = m->max_error,
        .cosine = both > 0 ? m->products / both : 1,
        .sqnr = 10 * log10(m->squares / m->squared_error),
        .bits = 8 * (double)bytes / n,
    };
}

dfx_measurement
quant_report_sum(const quant_report *report, uint64_t *bytes)
{
    dfx_measurement sum = {0};

    *bytes = 0;
    for (size_t i = 0; i < report->count; i++) {
        const dfx_measurement *m = &report->items[i];

        sum.elements += m->elements;
        sum.squares += m->squares;
        sum.written += m->written;
        sum.products += m->products;
        sum.squared_error += m->squared_error;
        sum.max_error = fmax(sum.max_error, m->max_error);
        sum.max = fmax(sum.max, m->max);
        for (size_t b = 0; b < DFX_BINS; b++) {
            sum.histogram[0][b] += m->histogram[0][b];
            sum.histogram[1][b] += m->histogram[1][b];
        }
        *bytes += m->bytes;
    }
    return sum;
}

/* ---- Tallies ------------------------------------------------------------- */

void
quant_tally_add(quant_tallies *tallies, const char *what,
                const dfx_plan_tensor *t)
{
    size_t i = 0;

    while (i < tallies->count && strcmp(tallies->items[i].what, what) != 0)
        i++;
    if (i == tallies->capacity) {
        tallies->capacity = 2 * tallies->capacity + 16;
        tallies->items = dfx_need(reallocarray(
            tallies->items, tallies->capacity, sizeof *tallies->items));
    }
    if (i == tallies->count)
        tallies->items[tallies->count++] = (quant_tally){.what = what};
    tallies->items[i].tensors += t->encoding == NULL || t->source_size > 0;
    tallies->items[i].before += t->source_size;
    tallies->items[i].after += t->size;
}

void
quant_tally_plan(const dfx_plan *plan, quant_tallies *types,
                 quant_tallies *reasons, quant_tallies *components)
{
    size_t count = 0;
    const dfx_plan_file *files = dfx_plan_files(plan, &count);

    for (size_t i = 0; i < count; i++)
        for (size_t j = 0; j < files[i].tensor_count; j++) {
            const dfx_plan_tensor *t = &files[i].tensors[j];

            quant_tally_add(
                types,
                t->encoding != NULL ? t->encoding : dfx_type_name(t->type), t);
            if (t->why != NULL)
                quant_tally_add(reasons, t->why, t);
            quant_tally_add(components,
                            t->component != NULL ? t->component : "other", t);
        }
}

static void
tallies_fini(quant_tallies *tallies)
{
    free(tallies->items);
}

/* ---- Text ---------------------------------------------------------------- */

static void
print_tallies(const char *title, const quant_tallies *tallies,
              const dfx_colours *colours)
{
    char human[DFX_HUMAN_CHARS];
    dfx_table table;

    if (tallies->count == 0)
        return;
    dfx_table_init(&table, "lrrr");
    dfx_table_cell(&table, title);
    dfx_table_cell(&table, "TENSORS");
    dfx_table_cell(&table, "BEFORE");
    dfx_table_cell(&table, "AFTER");
    for (size_t i = 0; i < tallies->count; i++) {
        const quant_tally *t = &tallies->items[i];

        dfx_table_cell(&table, t->what);
        dfx_table_u64(&table, t->tensors);
        dfx_table_cell(&table, dfx_human_bytes(t->before, human));
        dfx_table_cell(&table, dfx_human_bytes(t->after, human));
    }
    dfx_table_print(&table, stdout, 2, colours);
    dfx_table_fini(&table);
    putchar('\n');
}

static void
figure_cells(dfx_table *table, const dfx_measurement *m, uint64_t bytes)
{
    quant_figures f = quant_figures_of(m, bytes);

    dfx_table_cellf(table, "%.3f", f.bits);
    dfx_table_cellf(table, "%.3e", f.rmse);
    dfx_table_cellf(table, "%.5f", f.relative);
    dfx_table_cellf(table, "%.3e", f.max);
    dfx_table_cellf(table, "%.6f", f.cosine);
    if (isfinite(f.sqnr))
        dfx_table_cellf(table, "%.2f", f.sqnr);
    else
        dfx_table_cell(table, "exact");
}

static void
print_figures(const quant_report *report, const dfx_colours *colours)
{
    uint64_t bytes = 0;
    dfx_measurement sum = quant_report_sum(report, &bytes);
    dfx_table table;

    dfx_table_init(&table, "lllrrrrrr");
    dfx_table_cell(&table, "TENSOR");
    dfx_table_cell(&table, "FROM");
    dfx_table_cell(&table, "TYPE");
    dfx_table_cell(&table, "BITS");
    dfx_table_cell(&table, "RMSE");
    dfx_table_cell(&table, "RELATIVE");
    dfx_table_cell(&table, "LARGEST");
    dfx_table_cell(&table, "COSINE");
    dfx_table_cell(&table, "SQNR");
    for (size_t i = 0; i < report->count; i++) {
        const dfx_measurement *m = &report->items[i];

        dfx_table_cell(&table, m->name);
        dfx_table_cell(&table, dfx_type_name(m->source_type));
        dfx_table_cell(&table, m->type);
        figure_cells(&table, m, m->bytes);
    }
    dfx_table_cell(&table, "all of these");
    dfx_table_cell(&table, "");
    dfx_table_cell(&table, "");
    figure_cells(&table, &sum, bytes);
    dfx_table_print(&table, stdout, 2, colours);
    dfx_table_fini(&table);
    putchar('\n');
}

void
quant_report_print(const dfx_job *job, const quant_report *report)
{
    dfx_colours colours = dfx_colours_choose(job->colour, stdout);
    quant_tallies types = {0}, reasons = {0}, components = {0};

    quant_tally_plan(job->plan, &types, &reasons, &components);
    if (report != NULL && report->count > 0)
        print_figures(report, &colours);
    print_tallies("TYPE", &types, &colours);
    print_tallies("COMPONENT", &components, &colours);
    print_tallies("NOT AS ASKED", &reasons, &colours);
    tallies_fini(&types);
    tallies_fini(&reasons);
    tallies_fini(&components);
}

/* ---- JSON ---------------------------------------------------------------- */

static cJSON *
json_tallies(const quant_tallies *tallies)
{
    cJSON *array = dfx_json_array();

    for (size_t i = 0; i < tallies->count; i++) {
        const quant_tally *t = &tallies->items[i];
        cJSON *object = dfx_json_object();

        dfx_json_add(object, "name", dfx_json_text(t->what));
        dfx_json_add(object, "tensors", dfx_json_count(t->tensors));
        dfx_json_add(object, "source_bytes", dfx_json_count(t->before));
        dfx_json_add(object, "bytes", dfx_json_count(t->after));
        dfx_json_append(array, object);
    }
    return array;
}

static cJSON *
json_figures(const dfx_measurement *m, uint64_t bytes)
{
    quant_figures f = quant_figures_of(m, bytes);
    cJSON *object = dfx_json_object();

    dfx_json_add(object, "elements", dfx_json_count(m->elements));
    dfx_json_add(object, "bits_per_weight", dfx_json_double(f.bits));
    dfx_json_add(object, "rmse", dfx_json_double(f.rmse));
    dfx_json_add(object, "relative_rmse", dfx_json_double(f.relative));
    dfx_json_add(object, "max_abs", dfx_json_double(f.max));
    dfx_json_add(object, "cosine", dfx_json_double(f.cosine));
    dfx_json_add(object, "sqnr_db", dfx_json_double(f.sqnr));
    return object;
}

void
quant_report_json(const dfx_job *job, const quant_report *report, cJSON *root)
{
    quant_tallies types = {0}, reasons = {0}, components = {0};
    cJSON *tensors = dfx_json_array();
    uint64_t bytes = 0;
    dfx_measurement sum = quant_report_sum(report, &bytes);

    quant_tally_plan(job->plan, &types, &reasons, &components);
    dfx_json_add(root, "types", json_tallies(&types));
    dfx_json_add(root, "components", json_tallies(&components));
    dfx_json_add(root, "reasons", json_tallies(&reasons));
    for (size_t i = 0; i < report->count; i++) {
        const dfx_measurement *m = &report->items[i];
        cJSON *object = json_figures(m, m->bytes);

        dfx_json_add(object, "file", dfx_json_text(m->path));
        dfx_json_add(object, "name", dfx_json_text(m->name));
        dfx_json_append(tensors, object);
    }
    dfx_json_add(root, "errors", tensors);
    dfx_json_add(root, "error", json_figures(&sum, bytes));
    tallies_fini(&types);
    tallies_fini(&reasons);
    tallies_fini(&components);
}
