/*
 * rules.h - tables of names that read both ways
 *
 * A component kind writes its naming as rows, each with a Diffusers side and an
 * original side. Expanded over the loop variables, whose ranges come from facts
 * derived from shapes, the rows yield a finite list of pairs; forward and
 * backward are the same list.
 *
 *   {"down_blocks.{b}.resnets.{r}.", "input_blocks.{1+b*(L+1)+r}.0.",
 *    .loops = "b<N, r<L", .rows = resnet_rows},
 *   {"time_embedding.linear_{1|2}.{wb}", "time_embed.{0|2}.{wb}"},
 *   {"self_attn.{q|k|v}_proj.{wb}", "attn.in_proj_{wb}", .op = DFX_OP_STACK},
 *
 * In braces: an expression over loop variables and facts; "wb", which stands
 * for weight and bias; or alternatives a|b|c, the k-th on one side going with
 * the k-th on the other. A row holds at most one group of alternatives.
 *
 * Expressions, in braces, loops and conditions: integers, names of loop
 * variables and facts (one never set is 0), NAME[i] and NAME[i,j], ( ), ! - * /
 * + - < <= > >= == != && ||, with C's precedence. A malformed table is a fault
 * of the program: DFX_RULE_TABLE, found by the unit test that expands all.
 */
#ifndef DFX_RULES_H
#define DFX_RULES_H

#include "index.h"

/* ---- Facts: what is known of a component, integers by name ------------ */

typedef struct dfx_facts {
    struct dfx_fact *items; /* owned */
    size_t count, capacity;
} dfx_facts;

void dfx_facts_fini(dfx_facts *facts);
/* Names are static strings. i and j are 0 where there is no index. */
DFX_CHECKED dfx_status dfx_facts_set(dfx_facts *facts, const char *name,
                                     int64_t i, int64_t j, int64_t value,
                                     dfx_error *err);
/* 0 if never set. */
int64_t dfx_facts_get(const dfx_facts *facts, const char *name, int64_t i,
                      int64_t j);

/* Evaluates an expression without loop variables. */
DFX_CHECKED dfx_status dfx_facts_eval(const dfx_facts *facts, const char *text,
                                      int64_t *value, dfx_error *err);

/* ---- Rows and pairs --------------------------------------------------- */

typedef enum dfx_op {
    DFX_OP_SAME,
    DFX_OP_CONV1X1,   /* folder [A,B], original [A,B,1,1]: same bytes */
    DFX_OP_TRANSPOSE, /* folder [A,B], original [B,A] */
    DFX_OP_STACK      /* original = the folder's alternatives, stacked in their
                         order along dimension 0, in equal parts */
} dfx_op;

const char *dfx_op_name(dfx_op op);

typedef struct dfx_row {
    const char *folder;
    const char *original;
    const char *loops; /* "b<N, r<L+1": each from 0; NULL: none */
    const char *when;  /* condition; NULL: always */
    dfx_op op;
    const struct dfx_row *rows; /* if set, the names are put before those of
                                   these rows, which end with a row of NULLs */
} dfx_row; /* a table ends with a row whose folder is NULL */

/* A row of a table: DFX_ROW("norm1.{wb}", "in_layers.0.{wb}", .when = "N"). */
#define DFX_ROW(folder_, original_, ...)                                       \
    {                                                                          \
        .folder = folder_, .original = original_, __VA_ARGS__                  \
    }

typedef struct dfx_pair {
    const char *folder;
    const char *original;
    dfx_op op;
    uint32_t part, parts; /* STACK: this one of so many; else 0 of 1 */
} dfx_pair;

/*
 * Expands a table. *pairs lives in the arena, in table order (alternatives
 * innermost but for {wb}: q.weight, k.weight, v.weight, q.bias ...).
 */
DFX_CHECKED dfx_status dfx_rules_expand(dfx_arena *arena, const dfx_row *rows,
                                        const dfx_facts *facts,
                                        const dfx_pair **pairs, size_t *count,
                                        dfx_error *err);

/*
 * The original name of one Diffusers name, found by matching it against the
 * rows (loop ranges and conditions are not checked, so that facts still being
 * derived can be asked about). NULL in *original if no row fits.
 */
DFX_CHECKED dfx_status dfx_rules_translate(
    dfx_arena *arena, const dfx_row *rows, const dfx_facts *facts,
    const char *folder, const char **original, dfx_error *err);

/* The table as text, nested rows joined: see dfx_family_rules in dfx.h. */
void dfx_rules_print(const dfx_row *rows, dfx_text *out);

/* ---- Kinds of components ---------------------------------------------- */

/*
 * How a kind is recognised: all of these names and none of those, behind one
 * common prefix. Names as they stand after the prefix; one that ends in '.' is
 * the start of a name; one that starts with '*' may stand anywhere in one.
 */
typedef struct dfx_signature {
    dfx_layout layout;
    const char *all[10];  /* NULL-terminated; all[0] is what finds the prefix,
                             so a full name */
    const char *none[10]; /* NULL-terminated */
    struct {
        const char *name;
        uint32_t rank;
    } ranks[4];
    /*
     * Front part that this form leaves out of the table's names: "text_model."
     * for CLIP encoders saved by transformers 5.6. NULL: none.
     */
    const char *implied;
} dfx_signature;

/* What becomes of a name that a source has and the other side has not. */
typedef enum dfx_fate {
    DFX_FATE_ASIDE, /* kept in the side-car, restored on the way back */
    DFX_FATE_DROP,  /* training leftovers: dropped and reported */
    DFX_FATE_EMA    /* the averaged weights: as --ema says */
} dfx_fate;

typedef struct dfx_leftover {
    const char *pattern; /* glob with '*', matched against what follows the
                            component's prefix (pipelines: the whole name) */
    dfx_fate fate;
    const char *what; /* for the report: "the 24th text layer" */
} dfx_leftover;       /* a list ends with a pattern of NULL */

/* Another spelling of a name, accepted when reading, never written. */
typedef struct dfx_alias {
    const char *seen;  /* part of a name: ".attentions.0.query." */
    const char *means; /* ".attentions.0.to_q." */
} dfx_alias;           /* a list ends with seen of NULL */

struct dfx_view;
struct cJSON;

typedef struct dfx_kind {
    const char *name;        /* "unet_ldm" */
    const char *summary;     /* a line for --families */
    const char *component;   /* what it is usually called: "unet" */
    const char *weights;     /* base name of its file: "model" */
    bool is_transformers;    /* its class is of the transformers library */
    const char *lone_prefix; /* in an original file that holds it alone */
    const dfx_signature *signatures;
    size_t signature_count;
    const dfx_row *rows;           /* NULL: recognised, not convertible */
    const dfx_leftover *leftovers; /* may be NULL */
    const dfx_alias *aliases;      /* may be NULL; folder side only */

    /*
     * Sets the facts that the rows, the config and the tables of families need,
     * from keys and shapes. Does not fail on strange shapes: what does not fit
     * shows as missing and unexpected names later. Fails on overflow, memory.
     */
    dfx_status (*derive)(const struct dfx_view *view, dfx_facts *facts,
                         dfx_error *err);
    /*
     * Writes what facts decide into a config.json that holds the family's
     * constants (or is empty): every field if complete, else only those that
     * differ from the class's default or are there already.
     */
    dfx_status (*config)(const dfx_facts *facts, bool complete,
                         struct cJSON *config, dfx_error *err);
    /*
     * Fields that config writes by custom, since no tensor tells them: what a
     * folder's own config.json says of them stands. NULL-terminated.
     */
    const char *untold[3];
    /* Family, variant and usual names when it stands alone. */
    const struct dfx_variant_row *variants; /* first whose when holds */
} dfx_kind;

typedef struct dfx_variant_row {
    const char *family;     /* "clip" */
    const char *variant;    /* "clip-l"; NULL: plain */
    const char *component;  /* NULL: the kind's */
    const char *class_name; /* "CLIPTextModel" */
    const char *configs;    /* config set that holds its constants; NULL: none.
                               A set of one component has config.json at its
                               top, a pipeline's in the component's folder */
    const char *config_component; /* which folder of the set; NULL: its top */
    const char *when;             /* over its facts; NULL: always */
} dfx_variant_row;                /* a list ends with family of NULL */

/* The kinds in a fixed order; NULL past the last. Static. */
const dfx_kind *dfx_kind_at(size_t i);
const dfx_kind *dfx_kind_named(const char *name);

/* ---- Views: one component of an index, seen through its kind ----------- */

typedef struct dfx_view {
    const dfx_index *index;
    uint32_t component;
    const char *prefix;
    const dfx_kind *kind;
    const dfx_signature *signature; /* the form that matched */
    const dfx_facts *facts;
    dfx_arena *arena; /* for translated names */
} dfx_view;

/* The tensor of a name in the view's own layout, after prefix, implied part and
   aliases; NULL if there is none. */
const dfx_tensor *dfx_view_find(const dfx_view *view, const char *name);
/* The tensor of a Diffusers name (printf), translated if the view's layout is
   original; NULL if there is none. */
const dfx_tensor *dfx_view_folder(const dfx_view *view, const char *fmt, ...)
    DFX_PRINTF(2, 3);
/* A dimension of that tensor; 0 if there is no such tensor or dimension. */
int64_t dfx_view_dim(const dfx_view *view, unsigned dim, const char *fmt, ...)
    DFX_PRINTF(3, 4);

/*
 * How many tensors there are of the Diffusers names front 0 back, front 1 back
 * and so on without a gap: dfx_view_count(view, "layers.", ".bias"). Stops at
 * 1024, more than any model has.
 */
int64_t dfx_view_count(const dfx_view *view, const char *front,
                       const char *back);

/*
 * A tensor whose name behind prefix fits one of a signature's patterns; NULL if
 * there is none. Takes time for what stands behind the prefix, not for the rest
 * of the index: a hostile file has a prefix for every name.
 */
const dfx_tensor *dfx_find_behind(const dfx_index *index, uint32_t component,
                                  const char *prefix, const char *pattern);

/* The kind tells whether the names behind prefix fit one of its signatures. */
const dfx_signature *dfx_kind_match(const dfx_kind *kind,
                                    const dfx_index *index, uint32_t component,
                                    const char *prefix);

#endif
