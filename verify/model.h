/*
 * model.h - a model to run: components under their Diffusers names
 *
 * Whatever the container and the layout of the source are, a component's
 * tensors have the names and shapes of its Diffusers class, through the tables
 * that convert, and its configs are the files of a Diffusers folder.
 */
#ifndef DFX_MODEL_H
#define DFX_MODEL_H

#include <cjson/cJSON.h>

#include "dfx.h"
#include "weights.h"

/* A JSON file or another one that a folder has, or that is made for a source
   that has none. */
typedef struct dfx_model_file {
    const char *path; /* "scheduler/scheduler_config.json" */
    const dfx_expr *expr;
} dfx_model_file;

typedef struct dfx_model_component {
    const char *name; /* "unet"; of a component that stands alone too */
    cJSON *config;    /* owned; NULL: it has none */
    dfx_weights weights;
} dfx_model_component;

struct dfx_model {
    char *path; /* owned, as are all that follow */
    dfx_index *index;
    dfx_identity *identity; /* NULL: the source has the names already */
    dfx_plan *plan;         /* whose arena holds expressions; NULL as well */
    dfx_arena arena;
    dfx_model_component *components;
    size_t component_count;
    dfx_model_file *files;
    size_t file_count, file_capacity;
    cJSON *pipeline; /* model_index.json; NULL: there is none */
};

/* NULL if there is none with tensors. */
dfx_model_component *dfx_model_find(const dfx_model *model, const char *name);
/* The same; RUN_MISSING if there is none. */
DFX_CHECKED dfx_status dfx_model_need(const dfx_model *model, const char *name,
                                      dfx_model_component **out,
                                      dfx_error *err);

/* A file's bytes, at most limit of them, with a 0 after the last; *data NULL if
   there is no such file. free() it. */
DFX_CHECKED dfx_status dfx_model_read(const dfx_model *model, const char *path,
                                      size_t limit, char **data, size_t *size,
                                      dfx_error *err);
/* A JSON file; *doc NULL if there is none. cJSON_Delete it. */
DFX_CHECKED dfx_status dfx_model_document(const dfx_model *model,
                                          const char *path, cJSON **doc,
                                          dfx_error *err);

#endif
