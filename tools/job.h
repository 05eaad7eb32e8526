/*
 * job.h - a source on its way to a target: what tools say of it and do with it
 */
#ifndef DFX_JOB_H
#define DFX_JOB_H

#include "options.h"
#include "source.h"

typedef struct dfx_job {
    const dfx_tool *tool;
    const char *src, *dst;
    dfx_source source;
    dfx_plan *plan; /* owned */
    size_t verified;
    bool written;

    /* What the command line says. */
    unsigned threads;
    dfx_colour_when colour;
    bool verify, progress, quiet, verbose;
} dfx_job;

void dfx_job_fini(dfx_job *job);

/* What reading the source brought up, on stderr, unless quiet. */
void dfx_job_warn(const dfx_job *job, bool allow_unsafe);
/* One line: what the source is, and why. */
void dfx_job_identify(const dfx_job *job);
/* Writes, and verifies if asked to. */
DFX_CHECKED dfx_status dfx_job_run(dfx_job *job, dfx_error *err);
/* What will be written, on stdout. */
void dfx_job_print(const dfx_job *job);
/* What was written, on stderr. */
void dfx_job_say_result(const dfx_job *job);
/* The document of --json: what failed, if something did, and the plan. The
   caller may add to it. */
cJSON *dfx_job_json(const dfx_job *job, const dfx_error *failure);

/* A type by its name: DFX_TYPE_COUNT after a message that names the nearest. */
dfx_type dfx_type_parse(const dfx_tool *tool, const char *text);

#endif
