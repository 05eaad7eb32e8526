/*
 * backend.h - the operations that networks are made of
 *
 * A backend is a machine that computes them: the CPU, a GPU. All give the same
 * bits, because the order of every sum is part of the operation:
 *
 * - An element of a product is one chain, acc = fma(a, b, acc), from acc = 0,
 *   along the dimension that is summed over, ascending; a bias is added last.
 *   Convolutions sum over (channel, ky, kx), and what the padding gives takes
 *   part as zeros.
 * - A sum along a row has 32 partial sums, element i in number i % 32, then a
 *   binary tree over them: 16, 8, 4, 2, 1 (cpu/rows.h).
 * - exp, tanh, erf are those of cpu/elementary.h.
 *
 * Arrays are float, row-major, in the backend's memory. Weights of products and
 * tables are there as a file stores them, and are decoded as they are used: the
 * same bits as if all had been float before. Sizes are the caller's to check:
 * no product of those that describe one array overflows. An operation returns
 * false if memory ran out. out is none of the inputs unless it says so.
 */
#ifndef DFX_BACKEND_H
#define DFX_BACKEND_H

#include "cpu.h"
#include "error.h"
#include "types.h"

/* A matrix in the backend's memory; each of its rows, the first dimension, is
   of whole blocks. The type casts to F32. */
typedef struct dfx_weight {
    const void *data;
    dfx_type type;
} dfx_weight;

typedef struct dfx_conv {
    size_t batch, in_channels, in_height, in_width;
    size_t out_channels, out_height, out_width;
    size_t kernel;    /* height and width of it */
    size_t stride;    /* both ways */
    size_t top, left; /* zeros before; those after follow from the sizes */
} dfx_conv;

typedef struct dfx_attention {
    size_t batch, heads, head_size;
    size_t queries, keys;
    float scale; /* of the scores */
    bool causal; /* query i sees keys 0 .. i */
} dfx_attention;

typedef enum dfx_activation {
    DFX_ACT_SILU,       /* x / (1 + exp(-x)) */
    DFX_ACT_GELU,       /* x / 2 (1 + erf(x / sqrt 2)) */
    DFX_ACT_GELU_TANH,  /* ... (1 + tanh(sqrt(2/pi) (x + 0.044715 x^3))) */
    DFX_ACT_QUICK_GELU, /* x / (1 + exp(-1.702 x)) */
    DFX_ACT_RELU
} dfx_activation;

typedef struct dfx_backend {
    const char *name;
    void *(*alloc)(size_t bytes); /* at least 1; NULL: memory ran out */
    void (*release)(void *data);  /* NULL is fine */
    bool (*write)(void *to, const void *from, size_t bytes); /* from host */
    bool (*read)(void *to, const void *from, size_t bytes);  /* to host */
    bool is_host; /* its memory is the host's: nothing need be written to it */

    /* x [rows, in], weight [out, in], bias [out] or NULL -> [rows, out] */
    bool (*linear)(float *out, const float *x, dfx_weight weight,
                   const float *bias, size_t rows, size_t in_width,
                   size_t out_width);
    /* x [batch, in_channels, in_height, in_width], weight [out_channels,
       in_channels, kernel, kernel], bias [out_channels] or NULL */
    bool (*conv2d)(float *out, const float *x, dfx_weight weight,
                   const float *bias, const dfx_conv *conv);
    /* q [batch, queries, heads * head_size], k and v [batch, keys, same] -> as
       q. Softmax is of the scores times scale. */
    bool (*attention)(float *out, const float *q, const float *k,
                      const float *v, const dfx_attention *a);

    /* x [batch, channels, area]; each group of channels / groups is a row;
       weight and bias [channels] */
    bool (*group_norm)(float *out, const float *x, const float *weight,
                       const float *bias, size_t batch, size_t channels,
                       size_t area, size_t groups, float eps);
    /* x [rows, width]; weight and bias [width] */
    bool (*layer_norm)(float *out, const float *x, const float *weight,
                       const float *bias, size_t rows, size_t width, float eps);

    /* out may be x, here and in those that follow, if the sizes are the same */
    bool (*activate)(float *out, const float *x, size_t count,
                     dfx_activation kind);
    /* x [rows, 2 width] -> [rows, width]: first half times gelu(second) */
    bool (*geglu)(float *out, const float *x, size_t rows, size_t width);
    bool (*add)(float *out, const float *x, const float *y, size_t count);
    bool (*scale)(float *out, const float *x, size_t count, float factor);
    /* x [rows, width], y [rows] -> x[r, i] + y[r] */
    bool (*add_each)(float *out, const float *x, const float *y, size_t rows,
                     size_t width);
    /* x [rows, width], scale and shift [rows] ->
       fma(x[r, i], 1 + scale[r], shift[r]) */
    bool (*modulate)(float *out, const float *x, const float *scale,
                     const float *shift, size_t rows, size_t width);

    /* x [planes, in_height, in_width]: nearest, source = floor(dst * in / out),
       the ratio in float */
    bool (*resize)(float *out, const float *x, size_t planes, size_t in_height,
                   size_t in_width, size_t out_height, size_t out_width);
    /* x [batch, rows, columns] -> [batch, columns, rows] */
    bool (*transpose)(float *out, const float *x, size_t batch, size_t rows,
                      size_t columns);
    /* rows of count numbers, each from_step or to_step after the one before */
    bool (*copy)(float *to, size_t to_step, const float *from, size_t from_step,
                 size_t rows, size_t count);
    /* table [any, width], ids in host memory -> [count, width] */
    bool (*embed)(float *out, dfx_weight table, const uint32_t *ids,
                  size_t count, size_t width);
} dfx_backend;

/* The CPU, plain C: what all others must agree with. */
extern const dfx_backend dfx_backend_ref;
/* The same bits, sooner; x86 alone has them. */
extern const dfx_backend dfx_backend_avx2, dfx_backend_avx512;

/* The backend of a level that the machine has, and that of dfx_cpu_level(). */
const dfx_backend *dfx_backend_at(dfx_cpu level);
const dfx_backend *dfx_backend_cpu(void);

#endif
