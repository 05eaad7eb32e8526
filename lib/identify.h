/*
 * identify.h - from an index to components, a family and a pipeline
 *
 * The core finds components by their kinds' signatures, whatever the prefix,
 * and asks the table of pipelines (registered like everything in formats/) what
 * they form together.
 */
#ifndef DFX_IDENTIFY_H
#define DFX_IDENTIFY_H

#include <cjson/cJSON.h>

#include "expr.h"
#include "rules.h"

/* A place for a component in a pipeline. */
typedef struct dfx_slot {
    const char *component; /* folder name: "text_encoder_2" */
    const char *kinds[3];  /* NULL-terminated: the kinds that may fill it, in
                              the order of preference for writing */
    const char *prefix;    /* of the original single file; NULL: it has no
                              place there (safety_checker) */
    bool optional;         /* the pipeline is complete without it */
    const char *requires;  /* field of model_index.json, false without it */
} dfx_slot;                /* a list ends with component of NULL */

/*
 * A row of the table of pipelines: a set of JSON files (configs/NAME) and what
 * must hold for it. Order matters: the first row that holds is taken.
 */
typedef struct dfx_set {
    const char *name;      /* "sd15-inpaint": --family, folder in configs/ */
    const char *family;    /* "sd1" */
    const char *variant;   /* "inpaint"; NULL: plain */
    const char *kind;      /* the component that decides: "unet_ldm" */
    const char *when;      /* over its facts, markers and document facts */
    const char *also;      /* "sd21-base,sd20-v": sets the keys fit as well, or
                              that --family may choose; NULL: none */
    const dfx_slot *slots; /* NULL: a component alone, config.json at the top
                              of its folder in configs/ */
    const char *summary;
    const char *base;     /* set that lends the files this one lacks; or NULL */
    const char *pipeline; /* class, where it is not that of the set's
                             model_index.json; "": it forms none */
} dfx_set;

/*
 * A tensor at the top of a single file that says something about the pipeline:
 * "v_pred" sets the fact of that name to 1, and so does a document of a folder
 * whose field has the value. Writing a single file from a folder without a
 * side-car makes it again.
 */
typedef struct dfx_marker {
    const char *tensor;   /* "v_pred"; "": only documents say it */
    const char *fact;     /* "v_pred" */
    const char *family;   /* where it is written: "sdxl"; "": nowhere */
    const char *document; /* "scheduler/scheduler_config.json" */
    const char *field;    /* "prediction_type" */
    const char *value;    /* JSON text it must equal; NULL: any but null, and
                             the tensor holds its numbers */
    uint32_t rank;
    uint64_t shape[4];      /* F32 */
    const char *class_name; /* that the document must have; NULL: any */
    const char *unless;     /* fact: not written where it is set; NULL */
} dfx_marker;               /* a list ends with tensor of NULL */

/*
 * A model that is named, not converted: what a signature finds. all[0] may
 * start with '*' here; there is no prefix then.
 */
typedef struct dfx_known {
    const char *family;    /* "flux", "lora", "upscaler" */
    const char *component; /* "transformer"; NULL: not a component */
    dfx_signature signature;
} dfx_known; /* a list ends with family of NULL */

/* What formats/families/pipelines.c gives the core. */
typedef struct dfx_pipelines {
    const dfx_set *sets; /* end with a name of NULL */
    const dfx_marker *markers;
    const dfx_leftover *leftovers; /* whole names: "betas", "model_ema.*" */
    /* The name of a tensor's averaged copy; false if it has none. */
    bool (*ema_name)(const char *original, char *buf, size_t size);
    const dfx_known
        *known; /* adapters first: they outrank what they resemble */
} dfx_pipelines;

extern const dfx_pipelines dfx_pipelines_table;

typedef struct dfx_found {
    dfx_part view;        /* what the public interface shows; first member */
    const dfx_kind *kind; /* NULL: a folder names it and no kind knows it */
    const dfx_signature *signature;
    const dfx_index *index; /* that it was found in */
    uint32_t component;
    dfx_facts facts;
    const dfx_pair *pairs;
    size_t pair_count;
    cJSON *config; /* owned: complete derived config; NULL if no kind */
} dfx_found;

typedef struct dfx_leftover_found {
    uint32_t tensor; /* index */
    dfx_fate fate;
    bool known;       /* a table lists it */
    const char *what; /* for the report */
} dfx_leftover_found;

struct dfx_identity {
    dfx_arena arena;
    const dfx_index *index;
    dfx_layout layout;
    const char *family;
    const char *variant;
    const dfx_set *set; /* NULL: no pipeline's decider is here */
    const char *const *variants;
    size_t variant_count;
    const char *pipeline;
    dfx_found *found;
    dfx_part *parts; /* copies of found[i].view, for the public interface */
    size_t found_count;
    dfx_leftover_found *leftovers; /* tensors of no component */
    size_t leftover_count;
    dfx_candidate *candidates;
    size_t candidate_count;
    const char **warnings;
    size_t warning_count, warning_capacity;
    const char **conflicts; /* those of the warnings that say that a config and
                               its tensors disagree */
    size_t conflict_count, conflict_capacity;
    const dfx_found *decider; /* whose facts, with those of markers and
                                 documents, chose the set; NULL: no set */
    const dfx_identify_options *options; /* copied; NULL members if none */
    cJSON *residue; /* owned: what an earlier conversion kept in the file's
                       metadata; NULL: nothing */
};

#define DFX_RESIDUE_SCHEMA 1

/*
 * Reads what an earlier conversion kept in a component's metadata (residue.c
 * says what it looks like). NULL in *doc if there is nothing, or nothing of
 * ours: text of others must not stop anybody.
 */
DFX_CHECKED dfx_status dfx_residue_parse(const dfx_index *index,
                                         uint32_t component, cJSON **doc,
                                         dfx_error *err);
/* The document that it keeps for that path of the folder: a value, a text or
   the name of an embedded file. NULL: none. Borrowed. */
const cJSON *dfx_identity_kept(const dfx_identity *identity, const char *path);

/*
 * The embedded file that holds a part's constants: "sd15/unet/config.json",
 * "vae-sdxl/config.json"; NULL if no set says. Lives in the arena.
 */
const char *dfx_found_base_config(dfx_arena *arena,
                                  const dfx_identity *identity,
                                  const dfx_found *found);

/*
 * The steps of dfx_identify, each in a file of its own: parts and leftovers
 * (find.c); set, family, names (choose.c); configs, evidence, warnings
 * (describe.c).
 */
DFX_CHECKED dfx_status dfx_identity_find_parts(dfx_identity *identity,
                                               dfx_error *err);
DFX_CHECKED dfx_status dfx_identity_choose(dfx_identity *identity,
                                           dfx_error *err);
DFX_CHECKED dfx_status dfx_identity_describe(dfx_identity *identity,
                                             dfx_error *err);
/* The family of a model that has a name and no table, in models.c. */
DFX_CHECKED dfx_status dfx_identity_name(dfx_identity *identity, bool *named,
                                         dfx_error *err);
/* Does the marker's document have the value that the marker stands for? */
bool dfx_marker_says(const dfx_marker *marker, const cJSON *doc);
DFX_CHECKED dfx_status dfx_identity_warn(dfx_identity *identity, dfx_error *err,
                                         const char *fmt, ...) DFX_PRINTF(3, 4);

/* The part of that name, or NULL. */
const dfx_found *dfx_identity_find(const dfx_identity *identity,
                                   const char *component);

/*
 * One pair of a found part in Diffusers form, whatever layout the source has.
 * NULL in *expr if the source lacks it.
 */
DFX_CHECKED dfx_status dfx_found_expr(dfx_arena *arena, const dfx_found *found,
                                      const dfx_pair *pair,
                                      const dfx_expr **expr, dfx_error *err);

/*
 * The tensor that a pair of a found part means in its source: by the folder or
 * the original name, whichever layout the part has. NULL: missing. The arena is
 * for names on the way.
 */
const dfx_tensor *dfx_found_source(dfx_arena *arena, const dfx_found *found,
                                   const dfx_pair *pair);

#endif
