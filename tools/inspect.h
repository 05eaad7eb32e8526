/*
 * inspect.h - the parts of dfx-inspect
 */
#ifndef DFX_INSPECT_H
#define DFX_INSPECT_H

#include "options.h"
#include "report.h"
#include "source.h"

/* In the order of the words of --sort. */
typedef enum dfx_sort {
    DFX_SORT_NAME,
    DFX_SORT_SIZE,
    DFX_SORT_DTYPE,
    DFX_SORT_OFFSET
} dfx_sort;

/* What was asked for. */
typedef struct dfx_inspect {
    const dfx_tool *tool;
    dfx_open_options open;
    dfx_identify_options identify;
    const char *glob;  /* of --tensors; NULL: all */
    const char *rules; /* family whose table is asked for */
    dfx_sort sort;
    size_t depth; /* of --tree; 0: all */
    dfx_colour_when when;
    dfx_colours colours;
    bool tensors, metadata, tree, hash, validate, diff, audit, sarif, pickle;
    bool families, formats, list_rules, json, quiet, help, version;
} dfx_inspect;

/* The type that a tensor is stored in, or the form of its parts; and the bytes
   that it takes there. */
const char *dfx_stored_type(const dfx_tensor *tensor);
uint64_t dfx_stored_bytes(const dfx_tensor *tensor);

/* ---- Sums --------------------------------------------------------------- */

typedef struct dfx_sum {
    uint64_t tensors;
    uint64_t parameters;
    uint64_t bytes;
} dfx_sum;

typedef struct dfx_sums {
    dfx_sum all;
    dfx_sum by_type[DFX_TYPE_COUNT];
} dfx_sums;

/* Of the whole index; of a part; of what no part has. */
dfx_sums dfx_sums_of_index(const dfx_index *index);
dfx_sums dfx_sums_of_part(const dfx_index *index, const dfx_part *part);
dfx_sums dfx_sums_of_rest(const dfx_source *source);

/* ---- Tensors, chosen and sorted ------------------------------------------ */

typedef struct dfx_chosen {
    const dfx_tensor *tensor;
    const char *name; /* with its component before it: "unet/conv_in.bias" */
    char *made;       /* owned: name where it had to be made; else NULL */
} dfx_chosen;

typedef struct dfx_choice {
    dfx_chosen *items; /* owned */
    size_t count;
} dfx_choice;

/* glob is matched with the name with and without the component; NULL: all. */
void dfx_choice_init(dfx_choice *choice, const dfx_index *index,
                     const char *glob, dfx_sort sort);
void dfx_choice_fini(dfx_choice *choice);

/* Text on stdout. The first needs a choice sorted by name. */
void dfx_print_tree(const dfx_inspect *asked, const dfx_choice *choice);
DFX_CHECKED dfx_status dfx_print_tensors(const dfx_inspect *asked,
                                         const dfx_choice *choice,
                                         dfx_error *err);

/* ---- A source as text and as JSON ---------------------------------------- */

void dfx_print_summary(const dfx_inspect *asked, const dfx_source *source);
void dfx_print_metadata(const dfx_inspect *asked, const dfx_source *source);
DFX_CHECKED dfx_status dfx_print_hashes(const dfx_source *source,
                                        dfx_error *err);

/* *object is owned by the caller: everything but findings. */
DFX_CHECKED dfx_status dfx_json_source(const dfx_inspect *asked,
                                       const dfx_source *source, cJSON **object,
                                       dfx_error *err);

/* ---- Tables of names ----------------------------------------------------- */

/* Prints --rules; returns the exit status. */
int dfx_inspect_rules(const dfx_inspect *asked);

/* ---- Differences --------------------------------------------------------- */

/* Prints what differs; returns the exit status. */
int dfx_inspect_diff(const dfx_inspect *asked, const char *a, const char *b);

/* ---- Audits -------------------------------------------------------------- */

/* What was found in one path. */
typedef struct dfx_audited {
    const char *path; /* borrowed */
    dfx_verdict verdict;
    dfx_concern *concerns; /* owned, with the texts in them but the rules */
    size_t count, capacity;
    size_t counts[DFX_VERDICT_DANGEROUS + 1]; /* of each verdict, in all */
    size_t omitted;                           /* of these, not kept */
    bool failed;                              /* err says how */
    dfx_error err;
} dfx_audited;

/* Print --audit, as text, JSON or SARIF, and --pickle; return the exit status.
 */
int dfx_inspect_audit(const dfx_inspect *asked, const char *const *paths,
                      size_t count);
int dfx_inspect_pickles(const dfx_inspect *asked, const char *const *paths,
                        size_t count);

/* "GLOBAL: REASON [RULE at byte N of WHERE]". Owned by the caller. */
char *dfx_concern_text(const dfx_concern *concern);
/* All that was audited as one document; status is the exit status. */
void dfx_sarif_print(const dfx_inspect *asked, const dfx_audited *all,
                     size_t count, int status);

#endif
