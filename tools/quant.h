/*
 * quant.h - what quantization cost, for people and for programs
 */
#ifndef DFX_QUANT_TOOL_H
#define DFX_QUANT_TOOL_H

#include "job.h"

typedef struct quant_report {
    dfx_measurement *items; /* owned; in the order of the target */
    size_t count, capacity;
} quant_report;

/* Figures made of a measurement's sums. */
typedef struct quant_figures {
    double rmse;     /* of the numbers */
    double relative; /* the same by their root mean square; 0 if all are 0 */
    double max;      /* the largest difference */
    double cosine;   /* 1 if all are 0 */
    double sqnr;     /* dB; infinite where nothing differs */
    double bits;     /* of a weight */
} quant_figures;

/* dfx_measure_fn with a quant_report as context. */
void quant_report_add(void *context, const dfx_measurement *measurement);
void quant_report_fini(quant_report *report);

quant_figures quant_figures_of(const dfx_measurement *m, uint64_t bytes);
/* All of them as one. *bytes is what they take. */
dfx_measurement quant_report_sum(const quant_report *report, uint64_t *bytes);

/* What a type is of the target, and what was left as it was for which reason:
   lines of counts and bytes. */
typedef struct quant_tally {
    const char *what; /* borrowed */
    size_t tensors;
    uint64_t before, after;
} quant_tally;

typedef struct quant_tallies {
    quant_tally *items; /* owned; in the order in which they came up */
    size_t count, capacity;
} quant_tallies;

void quant_tally_add(quant_tallies *tallies, const char *what,
                     const dfx_plan_tensor *t);
/* By type; by reason; by component. */
void quant_tally_plan(const dfx_plan *plan, quant_tallies *types,
                      quant_tallies *reasons, quant_tallies *components);

/* The summary of a plan, and if report is not NULL a table of its figures, on
   stdout. */
void quant_report_print(const dfx_job *job, const quant_report *report);
/* The same into the document of --json. */
void quant_report_json(const dfx_job *job, const quant_report *report,
                       cJSON *root);
/* One self-contained page. False, with errno set, if it cannot be written. */
bool quant_report_html(const dfx_job *job, const quant_report *report,
                       const char *path);

#endif
