/*
 * expr.h - an output tensor as an expression over source tensors
 *
 * Nodes are immutable and live in an arena. They are evaluated by pulling:
 * "elements first .. first + count of this expression, into this buffer", so
 * memory is bounded by what is asked for and never by a tensor. Elements are
 * counted row-major; a band of rows is a range of them.
 */
#ifndef DFX_EXPR_H
#define DFX_EXPR_H

#include "io.h"
#include "memory.h"

typedef enum dfx_node {
    DFX_NODE_TENSOR,    /* bytes of a source */
    DFX_NODE_ROWS,      /* rows first .. first + shape[0] of args[0] */
    DFX_NODE_CONCAT,    /* args along dimension 0 */
    DFX_NODE_RESHAPE,   /* same bytes, other shape */
    DFX_NODE_TRANSPOSE, /* of a rank-2 args[0] */
    DFX_NODE_CAST,
    DFX_NODE_ARANGE, /* 0, 1, 2 ... */
    DFX_NODE_CONST,  /* one value everywhere */
    DFX_NODE_PART,   /* of what args[0] is stored as: encoding.h */
    DFX_NODE_BYTES   /* bytes in memory: a header, a config */
} dfx_node;

struct dfx_expr;
/* Elements first .. first + count of a part of what x is stored as, into out.
 */
typedef dfx_status dfx_encode_part_fn(const struct dfx_expr *x,
                                      const void *state, uint64_t first,
                                      uint64_t count, void *out,
                                      dfx_error *err);

typedef struct dfx_expr {
    dfx_node node;
    dfx_type type;
    uint32_t rank;
    const uint64_t *shape;
    uint64_t elements; /* checked product of shape */
    uint64_t bytes;
    const struct dfx_expr *const *args;
    size_t arg_count;
    uint64_t first;                 /* ROWS */
    dfx_extent extent;              /* TENSOR */
    const dfx_composite *composite; /* TENSOR: what extent is computed from */
    const void *data;               /* BYTES, state of PART: borrowed */
    dfx_encode_part_fn *pull;       /* PART */
    double value;                   /* CONST */
    const float *importance; /* CAST to blocks: of each column of a row; NULL:
                                all are alike. Borrowed */
    const char *name;        /* TENSOR: for messages */
} dfx_expr;

/*
 * Constructors. *out lives in the arena. They check shapes and types and fail
 * with DFX_RULE_EXPR_SHAPE, naming the tensor they are about.
 */
DFX_CHECKED dfx_status dfx_expr_tensor(dfx_arena *arena, const dfx_tensor *t,
                                       const dfx_expr **out, dfx_error *err);
DFX_CHECKED dfx_status dfx_expr_rows(dfx_arena *arena, const dfx_expr *x,
                                     uint64_t first, uint64_t count,
                                     const dfx_expr **out, dfx_error *err);
DFX_CHECKED dfx_status dfx_expr_concat(dfx_arena *arena,
                                       const dfx_expr *const *xs, size_t count,
                                       const dfx_expr **out, dfx_error *err);
DFX_CHECKED dfx_status dfx_expr_reshape(dfx_arena *arena, const dfx_expr *x,
                                        uint32_t rank, const uint64_t *shape,
                                        const dfx_expr **out, dfx_error *err);
DFX_CHECKED dfx_status dfx_expr_transpose(dfx_arena *arena, const dfx_expr *x,
                                          const dfx_expr **out, dfx_error *err);
/* x itself if it is of the type already. */
DFX_CHECKED dfx_status dfx_expr_cast(dfx_arena *arena, const dfx_expr *x,
                                     dfx_type type, const dfx_expr **out,
                                     dfx_error *err);
/* The same, to blocks whose encoder heeds the importances of the columns, as
   many as a row has; NULL: it has none. */
DFX_CHECKED dfx_status dfx_expr_quantize(dfx_arena *arena, const dfx_expr *x,
                                         dfx_type type, const float *importance,
                                         const dfx_expr **out, dfx_error *err);
DFX_CHECKED dfx_status dfx_expr_arange(dfx_arena *arena, dfx_type type,
                                       uint32_t rank, const uint64_t *shape,
                                       const dfx_expr **out, dfx_error *err);
DFX_CHECKED dfx_status dfx_expr_const(dfx_arena *arena, dfx_type type,
                                      uint32_t rank, const uint64_t *shape,
                                      double value, const dfx_expr **out,
                                      dfx_error *err);
/* U8 [size]; data is borrowed. */
DFX_CHECKED dfx_status dfx_expr_bytes(dfx_arena *arena, const void *data,
                                      size_t size, const dfx_expr **out,
                                      dfx_error *err);

/* The expression without its casts: what its numbers were before. *out may be x
   itself. */
DFX_CHECKED dfx_status dfx_expr_uncast(dfx_arena *arena, const dfx_expr *x,
                                       const dfx_expr **out, dfx_error *err);
/* The type of that. */
dfx_type dfx_expr_source_type(const dfx_expr *x);

/* An array in memory, which is borrowed. */
DFX_CHECKED dfx_status dfx_expr_array(dfx_arena *arena, const void *data,
                                      dfx_type type, uint32_t rank,
                                      const uint64_t *shape,
                                      const dfx_expr **out, dfx_error *err);
/* F32 [count]; the numbers are borrowed. */
DFX_CHECKED dfx_status dfx_expr_floats(dfx_arena *arena, const float *numbers,
                                       size_t count, const dfx_expr **out,
                                       dfx_error *err);
/* state and shape live as long as the arena. */
DFX_CHECKED dfx_status dfx_expr_part(dfx_arena *arena, const dfx_expr *x,
                                     dfx_type type, uint32_t rank,
                                     const uint64_t *shape,
                                     dfx_encode_part_fn *pull,
                                     const void *state, const dfx_expr **out,
                                     dfx_error *err);

/*
 * Evaluates elements first .. first + count into out. Ranges of types below 8
 * bits start and end at whole bytes. Uses scratch of a bounded size of its own.
 */
DFX_CHECKED dfx_status dfx_expr_pull(const dfx_expr *x, uint64_t first,
                                     uint64_t count, void *out, dfx_error *err);

/* The same by bytes of the result: any range, elements cut through or not. */
DFX_CHECKED dfx_status dfx_expr_pull_bytes(const dfx_expr *x, uint64_t offset,
                                           size_t size, void *out,
                                           dfx_error *err);

/*
 * If the bytes at offset of the result lie together in a source, the extent
 * that starts there and reaches as far as they do (at most size); otherwise
 * false. This is what lets whole tensors move without passing through memory.
 */
bool dfx_expr_run(const dfx_expr *x, uint64_t offset, uint64_t size,
                  dfx_extent *run);

/* The expression in words: "transpose of text_projection". */
char *dfx_expr_describe(const dfx_expr *x); /* free() it; NULL: no memory */

#endif
