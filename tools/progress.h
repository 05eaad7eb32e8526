/*
 * progress.h - one line on a terminal: bytes, rate, time left
 */
#ifndef DFX_PROGRESS_H
#define DFX_PROGRESS_H

#include <stdbool.h>
#include <stdint.h>

typedef struct dfx_progress {
    bool shown;
    const char *what; /* static: "writing" */
    double start;     /* seconds of a clock that only runs forward */
    double drawn;     /* when the line was drawn last */
    int width;        /* of that line; 0: there is none */
} dfx_progress;

/* Shows nothing unless stderr is a terminal or forced, and never if quiet. */
void dfx_progress_start(dfx_progress *progress, const char *what, bool forced,
                        bool quiet);
/* For dfx_run_options.progress, with a dfx_progress as context. */
void dfx_progress_update(void *context, uint64_t done, uint64_t total);
/* The same of steps, few and slow: each is drawn. */
void dfx_progress_step(dfx_progress *progress, uint64_t done, uint64_t total);
/* Erases the line. */
void dfx_progress_end(dfx_progress *progress);
/* Since the start. */
double dfx_progress_seconds(const dfx_progress *progress);

#endif
