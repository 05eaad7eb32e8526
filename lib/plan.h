/*
 * plan.h - everything that will be written, decided
 *
 * Writers of containers lay bundles out into a plan; nothing is decided after
 * that. A plan is a list of output files, each a list of pieces that cover it
 * from its first byte to its last without hole or overlap.
 */
#ifndef DFX_PLAN_H
#define DFX_PLAN_H

#include "expr.h"

typedef struct dfx_piece {
    uint64_t offset; /* in the output file */
    const dfx_expr *expr;
    bool is_late; /* known only when all else is written: a sum */
} dfx_piece;

enum { DFX_SUM_SIZE = 4 };

/*
 * The CRC-32 of a range of an output, found while that is written. It shows in
 * pieces of the output: four bytes, little-endian.
 */
typedef struct dfx_sum {
    uint64_t offset, size;
    uint8_t *value; /* DFX_SUM_SIZE bytes in the plan's arena */
} dfx_sum;

typedef struct dfx_output {
    dfx_plan_file view; /* what the public interface shows */
    dfx_piece *pieces;
    size_t piece_count, piece_capacity;
    dfx_sum *sums; /* owned; by offset, without overlap */
    size_t sum_count, sum_capacity;
    dfx_plan_tensor *tensors; /* view.tensors */
    size_t tensor_capacity;
} dfx_output;

/* What is known of a tensor besides its bytes: dfx_plan_tensor. */
typedef struct dfx_explanation {
    const dfx_expr *expr;
    const char *component, *why;
    const char *encoding;   /* of a part of a weight: what that is written as */
    const dfx_expr *source; /* the weight, in the first of its parts */
} dfx_explanation;

/* A weight that is written in parts. */
typedef struct dfx_plan_weight {
    const char *component; /* its folder; "": there is none */
    const char *name, *encoding;
    const dfx_expr *source;
} dfx_plan_weight;

struct dfx_plan {
    dfx_arena arena;
    char *dst;
    bool is_folder;
    bool force;
    bool (*is_ours)(const char *const *names, size_t count); /* out.h */
    bool sync;     /* the outputs reach the disk before they get their names */
    bool compress; /* the one file becomes a zstd frame on its way out */
    int level;     /* of zstd; 0: its default */
    dfx_output *outputs;
    dfx_plan_file *views; /* made by dfx_plan_seal */
    size_t output_count, output_capacity;
    dfx_explanation *explanations; /* owned */
    size_t explanation_count, explanation_capacity;
    bool is_explained;        /* they are sorted */
    dfx_plan_weight *weights; /* owned */
    size_t weight_count, weight_capacity;
    const char **notes;
    size_t note_count, note_capacity;
    uint64_t bytes;

    dfx_io **ios; /* owned: sources that no index holds */
    size_t io_count, io_capacity;
    struct dfx_plan *inner; /* owned: a plan whose expressions are in this one,
                               too; NULL */

    const struct dfx_verify_notes *verify; /* convert.h; in the arena */
};

DFX_CHECKED dfx_status dfx_plan_new(const char *dst, bool is_folder,
                                    dfx_plan **plan, dfx_error *err);
/*
 * A new output file, relative to dst; "" if dst itself is the file. path is
 * copied; it must not leave dst (DFX_RULE_FOLDER_PATH).
 */
DFX_CHECKED dfx_status dfx_plan_add_file(dfx_plan *plan, const char *path,
                                         size_t *output, dfx_error *err);
/* The next piece: it starts where the last one ended. */
DFX_CHECKED dfx_status dfx_plan_add_piece(dfx_plan *plan, size_t output,
                                          const dfx_expr *expr, dfx_error *err);
/* The same for a tensor, which the plan then lists. name is copied. */
DFX_CHECKED dfx_status dfx_plan_add_tensor(dfx_plan *plan, size_t output,
                                           const char *name,
                                           const dfx_expr *expr,
                                           dfx_error *err);
/*
 * The sum of size bytes from offset on, which may be laid out later. Sums are
 * added in the order of their ranges. *sum is its number, for as many pieces
 * as show it.
 */
DFX_CHECKED dfx_status dfx_plan_add_sum(dfx_plan *plan, size_t output,
                                        uint64_t offset, uint64_t size,
                                        size_t *sum, dfx_error *err);
DFX_CHECKED dfx_status dfx_plan_add_sum_piece(dfx_plan *plan, size_t output,
                                              size_t sum, dfx_error *err);
/* Takes io: the plan closes it, also when this fails. */
DFX_CHECKED dfx_status dfx_plan_take_io(dfx_plan *plan, dfx_io *io,
                                        dfx_error *err);
/* What dfx_plan_add_tensor then says of a tensor of that expression; what is
   said lives as long as the plan, or is NULL. */
DFX_CHECKED dfx_status dfx_plan_explain(dfx_plan *plan,
                                        const dfx_explanation *explanation,
                                        dfx_error *err);
DFX_CHECKED dfx_status dfx_plan_note(dfx_plan *plan, dfx_error *err,
                                     const char *fmt, ...) DFX_PRINTF(3, 4);
/* Checks and sums up; the last step of planning. No path may be there twice
   (DFX_RULE_CONVERT_CLASH). */
DFX_CHECKED dfx_status dfx_plan_seal(dfx_plan *plan, dfx_error *err);

#endif
