/*
 * convert.h - from an index and its identity to a bundle
 *
 * parts.c turns components into tensors with their new names and expressions,
 * residue.c takes care of what has no place on the other side, naming.c of who
 * reads the file, recipe.c decides types, unjoin.c keeps weights in parts;
 * convert.c puts them together and lays the bundle out.
 */
#ifndef DFX_CONVERT_H
#define DFX_CONVERT_H

#include "bundle.h"
#include "identify.h"

/* ---- A conversion under way ---------------------------------------------- */

/* A component on its way out. */
typedef struct dfx_outgoing {
    const char *name;             /* in the output */
    const dfx_identity *identity; /* of the source that it comes from */
    const dfx_found *found;
    const dfx_kind *kind; /* whose rows name it there; may differ from found's:
                             a folder's text encoder reads as CLIP whatever
                             names the original has */
    dfx_facts facts;      /* owned */
    const dfx_pair *pairs;
    size_t pair_count;
    const char *prefix; /* in an original file */
    bool bare;          /* there without the implied part of its names */
    const struct dfx_outgoing *other_half; /* from another file; or NULL */
} dfx_outgoing;

typedef struct dfx_conversion {
    const dfx_index *index;
    const dfx_identity *identity;
    const dfx_convert_options *options;
    dfx_layout to;
    bool joined;    /* weights are one tensor each, whatever they are stored as:
                       who builds this wants their numbers */
    dfx_plan *plan; /* its arena and notes */
    dfx_bundle bundle;
    dfx_bundle_component *components; /* of the bundle */
    size_t component_count;
    dfx_outgoing *parts;
    size_t part_count;
    cJSON *residue; /* owned: what an earlier conversion kept; or NULL */
} dfx_conversion;

/*
 * Names, pairs, prefixes of all components that go out (--only, --component).
 * conversion->residue is read before.
 */
DFX_CHECKED dfx_status dfx_parts_choose(dfx_conversion *conversion,
                                        dfx_error *err);
/* Their tensors, into the bundle; missing ones are FAMILY_MISSING. */
DFX_CHECKED dfx_status dfx_parts_add(dfx_conversion *conversion,
                                     dfx_error *err);

/* A tensor under its final name, whose type is up to the options. part: whose
   it is; NULL: nobody's. */
DFX_CHECKED dfx_status dfx_conversion_add(dfx_conversion *conversion,
                                          uint32_t component, const char *name,
                                          const dfx_expr *expr,
                                          const dfx_outgoing *part,
                                          dfx_error *err);

/* Names, order and shapes for who is to read the file (naming.c). */
DFX_CHECKED dfx_status dfx_naming_apply(dfx_conversion *conversion,
                                        dfx_error *err);
/* The types of all tensors, once their names are known (recipe.c). */
DFX_CHECKED dfx_status dfx_recipe_apply(dfx_conversion *conversion,
                                        dfx_error *err);

/* Weights that stay in the parts that they are stored in, after that, and what
   is said of those that do not (unjoin.c). */
DFX_CHECKED dfx_status dfx_unjoin_apply(dfx_conversion *conversion,
                                        dfx_error *err);

/* The first weight in parts that an expression is of; NULL: there is none. */
const dfx_expr *dfx_composite_in(const dfx_expr *x);

/* Importances of an item's columns in its type; NULL: all alike. */
typedef dfx_status dfx_importance_fn(void *context, const dfx_item *item,
                                     const float **out, dfx_error *err);
/* Other types for the items that are free, so that the target has the bytes
   that options->quant.target_size says, at most (budget.c). */
DFX_CHECKED dfx_status dfx_budget_apply(dfx_conversion *conversion,
                                        dfx_importance_fn *importance,
                                        void *context, dfx_error *err);

/* ---- Leftovers and what comes of them (leftovers.c) ---------------------- */

/* Counts by kind of leftover, for the notes. */
typedef struct dfx_tally {
    const char *what;
    size_t count;
    uint64_t bytes;
} dfx_tally;

typedef struct dfx_tallies {
    struct {
        dfx_tally items[32]; /* the last one collects what does not fit */
        size_t count;
    } kept, dropped;
} dfx_tallies;

void dfx_tallies_keep(dfx_tallies *tallies, const char *what, uint64_t bytes);
/* "KEPT: what (3 tensors, 12 bytes)" and "dropped: ...", as notes. */
DFX_CHECKED dfx_status dfx_tallies_note(dfx_plan *plan,
                                        const dfx_tallies *tallies,
                                        const char *kept, dfx_error *err);

/*
 * What --ema, --unknown, --plain and --only make of a leftover; what is not
 * kept is counted as dropped. FAMILY_UNEXPECTED for a name of no table under
 * --unknown=error.
 */
DFX_CHECKED dfx_status dfx_leftover_keeps(const dfx_conversion *conversion,
                                          const dfx_leftover_found *leftover,
                                          dfx_tallies *tallies, bool *keep,
                                          dfx_error *err);

/* ---- The residue (residue.c, residue_file.c) ----------------------------- */

/* Reads what an earlier conversion kept into conversion->residue. */
DFX_CHECKED dfx_status dfx_residue_read(dfx_conversion *conversion,
                                        dfx_error *err);
/* To a folder: what has no place there goes into the side-car. */
DFX_CHECKED dfx_status dfx_residue_to_folder(dfx_conversion *conversion,
                                             dfx_error *err);
/* To a file: what the side-car holds comes back, and what the file cannot hold
   goes into its metadata. */
DFX_CHECKED dfx_status dfx_residue_to_file(dfx_conversion *conversion,
                                           dfx_error *err);

/* ---- Files of a folder (convert.c, graft.c, stored.c) -------------------- */

/* Do files of that path in a folder go along? Not those that --only leaves, nor
   those of a component that another takes the place of. */
bool dfx_conversion_takes(const dfx_conversion *conversion, const char *path);

/* A file's bytes. */
DFX_CHECKED dfx_status dfx_file_expr(dfx_arena *arena, const char *path,
                                     const dfx_extent *data,
                                     const dfx_expr **out, dfx_error *err);

/*
 * Has edit change the JSON document that a blob is. Nothing changes the bytes
 * of a document that stays the same, or of what is no JSON.
 */
typedef dfx_status dfx_edit_fn(const void *context, cJSON *doc, dfx_error *err);
DFX_CHECKED dfx_status dfx_blob_edit(dfx_arena *arena, dfx_blob *blob,
                                     dfx_edit_fn *edit, const void *context,
                                     dfx_error *err);

/*
 * The identity of the source with the components from elsewhere in their
 * places, for configs to be made from. Lives in the plan's arena and borrows
 * from all of them; not to be freed.
 */
DFX_CHECKED dfx_status dfx_grafts_identity(dfx_conversion *conversion,
                                           dfx_identity *all, dfx_error *err);
/* The config.json that a component has where it comes from, or NULL in *x. */
DFX_CHECKED dfx_status dfx_graft_config(dfx_arena *arena,
                                        const dfx_outgoing *part,
                                        const dfx_expr **x, dfx_error *err);
/* Configs for them, and their places in the list of components. */
DFX_CHECKED dfx_status dfx_grafts_files(dfx_conversion *conversion,
                                        dfx_error *err);

/* After casts: the configs of the folder name the type that was written
   (configs.h says why). In stored.c. */
DFX_CHECKED dfx_status dfx_stored_types(dfx_conversion *conversion,
                                        dfx_error *err);

/* Refuses a source with a tensor that nothing can keep, and one that an audit
   does not call safe unless that is allowed. */
DFX_CHECKED dfx_status dfx_source_check(const dfx_index *index,
                                        bool allow_unsafe, dfx_error *err);

/* What a plan keeps for dfx_plan_verify; in its arena. */
typedef struct dfx_verify_notes {
    const dfx_identity *identity; /* of the source */
    dfx_convert_options options;  /* what it points to is the caller's */
    dfx_layout to;
} dfx_verify_notes;

/*
 * The whole bundle, in conversion->bundle. The caller has set index, identity,
 * options, to and plan, and releases with dfx_conversion_fini.
 */
DFX_CHECKED dfx_status dfx_conversion_build(dfx_conversion *conversion,
                                            dfx_error *err);
void dfx_conversion_fini(dfx_conversion *conversion);

#endif
