/*
 * job.c - a source on its way to a target
 */
#include <config.h>

#include "job.h"

#include <stdlib.h>
#include <string.h>

#include "progress.h"
#include "signals.h"
#include "table.h"

void
dfx_job_fini(dfx_job *job)
{
    dfx_plan_free(job->plan);
    dfx_source_close(&job->source);
}

/* ---- The source ---------------------------------------------------------- */

void
dfx_job_warn(const dfx_job *job, bool allow_unsafe)
{
    const dfx_source *source = &job->source;
    dfx_verdict verdict = dfx_index_verdict(source->index);
    size_t count = 0;
    const char *const *texts;

    if (job->quiet)
        return;
    if (verdict != DFX_VERDICT_SAFE && allow_unsafe)
        dfx_say(job->tool->name,
                "%s: warning: %s (dfx-inspect --audit says why)", source->path,
                dfx_verdict_name(verdict));
    texts = dfx_index_warnings(source->index, &count);
    for (size_t i = 0; i < count; i++)
        dfx_say(job->tool->name, "%s: warning: %s", source->path, texts[i]);
    texts = dfx_identity_warnings(source->identity, &count);
    for (size_t i = 0; i < count; i++)
        dfx_say(job->tool->name, "%s: warning: %s", source->path, texts[i]);
}

void
dfx_job_identify(const dfx_job *job)
{
    const dfx_source *source = &job->source;
    const dfx_identity *identity = source->identity;
    const char *variant = dfx_identity_variant(identity);
    const char *pipeline = dfx_identity_pipeline(identity);
    const dfx_candidate *candidates;
    size_t count = 0;

    dfx_say(job->tool->name, "%s: %s, %s layout, family %s%s%s%s%s",
            source->path, dfx_index_format(source->index),
            dfx_layout_name(dfx_identity_layout(identity)),
            dfx_identity_family(identity), variant != NULL ? " " : "",
            variant != NULL ? variant : "", pipeline != NULL ? ", " : "",
            pipeline != NULL ? pipeline : "");
    candidates = dfx_identity_candidates(identity, &count);
    for (size_t i = 0; i < count; i++)
        dfx_say(job->tool->name, "%s: %s%s: %s", source->path,
                candidates[i].chosen ? "" : "not taken: ", candidates[i].family,
                candidates[i].evidence);
}

/* ---- Writing ------------------------------------------------------------- */

dfx_status
dfx_job_run(dfx_job *job, dfx_error *err)
{
    dfx_progress progress;
    dfx_run_options options = {
        .threads = job->threads,
        .stop = dfx_signals_flag(),
        .progress = dfx_progress_update,
        .context = &progress,
    };
    dfx_status status;

    dfx_progress_start(&progress, "writing", job->progress, job->quiet);
    status = dfx_plan_run(job->plan, &options, err);
    dfx_progress_end(&progress);
    job->written = status == DFX_OK;
    if (job->written && job->verbose)
        dfx_say(job->tool->name, "%s: written in %.2f s", job->dst,
                dfx_progress_seconds(&progress));
    if (status != DFX_OK || !job->verify)
        return status;
    dfx_progress_start(&progress, "verifying", job->progress, job->quiet);
    status = dfx_plan_verify(job->plan, &options, &job->verified, err);
    dfx_progress_end(&progress);
    return status;
}

/* ---- The plan as text ---------------------------------------------------- */

static void
print_tensors(const dfx_plan_file *file)
{
    dfx_table table;

    dfx_table_init(&table, "rlllrl");
    dfx_table_cell(&table, "OFFSET");
    dfx_table_cell(&table, "TENSOR");
    dfx_table_cell(&table, "TYPE");
    dfx_table_cell(&table, "SHAPE");
    dfx_table_cell(&table, "BYTES");
    dfx_table_cell(&table, "FROM");
    for (size_t i = 0; i < file->tensor_count; i++) {
        const dfx_plan_tensor *t = &file->tensors[i];
        char shape[128];

        dfx_table_u64(&table, t->offset);
        dfx_table_cell(&table, t->name);
        dfx_table_cell(&table, dfx_type_name(t->type));
        dfx_table_cell(&table,
                       dfx_shape_print(t->shape, t->rank, shape, sizeof shape));
        dfx_table_u64(&table, t->size);
        dfx_table_cell(&table, t->from);
    }
    dfx_table_print(&table, stdout, 4, NULL);
    dfx_table_fini(&table);
}

static void
print_files(const dfx_job *job)
{
    size_t count = 0;
    const dfx_plan_file *files = dfx_plan_files(job->plan, &count);
    dfx_colours colours = dfx_colours_choose(job->colour, stdout);
    char human[DFX_HUMAN_CHARS];
    dfx_table table;

    dfx_table_init(&table, "lrr");
    dfx_table_cell(&table, "FILE");
    dfx_table_cell(&table, "TENSORS");
    dfx_table_cell(&table, "SIZE");
    for (size_t i = 0; i < count; i++) {
        bool is_dst = files[i].path[0] == '\0';

        dfx_table_cell(&table, is_dst ? job->dst : files[i].path);
        if (files[i].tensor_count > 0)
            dfx_table_u64(&table, files[i].tensor_count);
        else
            dfx_table_cell(&table, "");
        dfx_table_cell(&table, dfx_human_bytes(files[i].size, human));
    }
    dfx_table_print(&table, stdout, 2, &colours);
    dfx_table_fini(&table);
    for (size_t i = 0; job->verbose && i < count; i++)
        if (files[i].tensor_count > 0) {
            printf("\n%s\n",
                   files[i].path[0] == '\0' ? job->dst : files[i].path);
            print_tensors(&files[i]);
        }
}

void
dfx_job_print(const dfx_job *job)
{
    const dfx_identity *identity = job->source.identity;
    const char *variant = dfx_identity_variant(identity);
    const char *const *notes;
    char human[DFX_HUMAN_CHARS];
    size_t count = 0;

    dfx_put(stdout, job->src);
    printf(" (%s, %s%s%s) -> ", dfx_index_format(job->source.index),
           dfx_identity_family(identity), variant != NULL ? " " : "",
           variant != NULL ? variant : "");
    dfx_put(stdout, job->dst);
    dfx_plan_files(job->plan, &count);
    printf(": %zu file%s, %s\n\n", count, count == 1 ? "" : "s",
           dfx_human_bytes(dfx_plan_bytes(job->plan), human));
    print_files(job);
    notes = dfx_plan_notes(job->plan, &count);
    if (count > 0)
        printf("\nNotes\n");
    for (size_t i = 0; i < count; i++) {
        printf("  - ");
        dfx_put_wrapped(stdout, notes[i], 4, 4);
        putchar('\n');
    }
}

void
dfx_job_say_result(const dfx_job *job)
{
    size_t count = 0;
    const char *const *notes = dfx_plan_notes(job->plan, &count);
    char human[DFX_HUMAN_CHARS];

    for (size_t i = 0; i < count; i++)
        dfx_say(job->tool->name, "%s: %s", job->dst, notes[i]);
    dfx_plan_files(job->plan, &count);
    dfx_say(job->tool->name, "%s: wrote %zu file%s, %s", job->dst, count,
            count == 1 ? "" : "s",
            dfx_human_bytes(dfx_plan_bytes(job->plan), human));
    if (job->verify)
        dfx_say(job->tool->name,
                "%s: verified, %zu tensors read back as they were meant",
                job->dst, job->verified);
}

/* ---- The plan as JSON ---------------------------------------------------- */

static cJSON *
json_tensor(const dfx_plan_tensor *t)
{
    cJSON *object = dfx_json_object();

    dfx_json_add(object, "name", dfx_json_text(t->name));
    dfx_json_add(object, "dtype", dfx_json_text(dfx_type_name(t->type)));
    dfx_json_add(object, "shape", dfx_json_shape(t->shape, t->rank));
    dfx_json_add(object, "offset", dfx_json_count(t->offset));
    dfx_json_add(object, "bytes", dfx_json_count(t->size));
    dfx_json_add(object, "from", dfx_json_text(t->from));
    dfx_json_add(object, "source_dtype",
                 dfx_json_text(dfx_type_name(t->source_type)));
    dfx_json_add(object, "source_bytes", dfx_json_count(t->source_size));
    dfx_json_add(object, "component", dfx_json_text(t->component));
    dfx_json_add(object, "encoding", dfx_json_text(t->encoding));
    dfx_json_add(object, "why", dfx_json_text(t->why));
    return object;
}

static cJSON *
json_files(const dfx_job *job)
{
    cJSON *array = dfx_json_array();
    size_t count = 0;
    const dfx_plan_file *files = dfx_plan_files(job->plan, &count);

    for (size_t i = 0; i < count; i++) {
        cJSON *file = dfx_json_object();
        cJSON *tensors = dfx_json_array();

        dfx_json_add(file, "path", dfx_json_text(files[i].path));
        dfx_json_add(file, "bytes", dfx_json_count(files[i].size));
        for (size_t j = 0; j < files[i].tensor_count; j++)
            dfx_json_append(tensors, json_tensor(&files[i].tensors[j]));
        dfx_json_add(file, "tensors", tensors);
        dfx_json_append(array, file);
    }
    return array;
}

cJSON *
dfx_job_json(const dfx_job *job, const dfx_error *failure)
{
    cJSON *root = dfx_json_object();
    const char *const *notes;
    size_t count = 0;

    dfx_json_add(root, "schema", dfx_json_count(DFX_JSON_SCHEMA));
    dfx_json_add(root, "path", dfx_json_text(job->src));
    dfx_json_add(root, "target", dfx_json_text(job->dst));
    if (failure != NULL)
        dfx_json_add(root, "error", dfx_json_error(failure));
    if (job->plan != NULL) {
        const dfx_identity *identity = job->source.identity;

        dfx_json_add(root, "format",
                     dfx_json_text(dfx_index_format(job->source.index)));
        dfx_json_add(
            root, "layout",
            dfx_json_text(dfx_layout_name(dfx_identity_layout(identity))));
        dfx_json_add(root, "family",
                     dfx_json_text(dfx_identity_family(identity)));
        dfx_json_add(root, "bytes", dfx_json_count(dfx_plan_bytes(job->plan)));
        dfx_json_add(root, "files", json_files(job));
        notes = dfx_plan_notes(job->plan, &count);
        dfx_json_add(root, "notes", dfx_json_texts(notes, count));
        dfx_json_add(root, "written", dfx_json_bool(job->written));
        dfx_json_add(root, "verified",
                     job->verify && job->written ? dfx_json_count(job->verified)
                                                 : dfx_json_text(NULL));
    }
    return root;
}

/* ---- Types ----------------------------------------------------------------
 */

static const char *
type_at(size_t i)
{
    return i < DFX_TYPE_COUNT ? dfx_type_name((dfx_type)i) : NULL;
}

dfx_type
dfx_type_parse(const dfx_tool *tool, const char *text)
{
    dfx_type type = dfx_type_named(text);
    const char *nearest;
    char upper[32];
    size_t i;

    if (type != DFX_TYPE_COUNT)
        return type;
    for (i = 0; text[i] != '\0' && i + 1 < sizeof upper; i++)
        upper[i] =
            (char)(text[i] >= 'a' && text[i] <= 'z' ? text[i] - 32 : text[i]);
    upper[i] = '\0';
    nearest = dfx_nearest(upper, type_at);
    dfx_usage(tool, "there is no type '%s'%s%s%s", text,
              nearest != NULL ? "; did you mean " : "",
              nearest != NULL ? nearest : "", nearest != NULL ? "?" : "");
    return DFX_TYPE_COUNT;
}
