/*
 * net.h - what networks are written in: arrays, weights by name, layers
 *
 * A network is a sequence of these calls. The first fault is kept in the net,
 * and all calls after it do nothing and give empty arrays, so that a network
 * reads like its formula; who runs it looks at net->status at the end. Every
 * layer checks the shapes of what it is given (DFX_RULE_RUN_SHAPE): names and
 * shapes come from files.
 *
 * Arrays belong to the net. A function that computes takes a dfx_net_mark and
 * returns dfx_net_keep(): what it made in between is released but for the
 * result.
 */
#ifndef DFX_NET_H
#define DFX_NET_H

#include "weights.h"

enum { DFX_NET_RANK = 4, DFX_NET_NAME = 256 };

typedef struct dfx_array {
    float *data; /* in the backend's memory; NULL: empty */
    uint32_t rank;
    size_t shape[DFX_NET_RANK];
    size_t count; /* product of shape */
} dfx_array;

struct dfx_net;
/* Told what a module of the network gives, by the name that the module has in
   files; of modules that are called again, again. out is not to be changed. */
typedef void dfx_net_seen_fn(void *context, const char *module,
                             struct dfx_net *net, dfx_array out);

typedef struct dfx_net {
    const dfx_backend *backend; /* that of the weights */
    dfx_weights *weights;       /* borrowed, sealed; keep what was read */
    float **live;               /* owned, and what they point to */
    size_t live_count, live_capacity;
    dfx_status status;
    dfx_error *err; /* borrowed */
    dfx_net_seen_fn *seen; /* NULL: nobody looks; set it after dfx_net_init */
    void *seen_context;
} dfx_net;

/* dfx_net_fini in any case. */
void dfx_net_init(dfx_net *net, dfx_weights *weights, dfx_error *err);
void dfx_net_fini(dfx_net *net);

size_t dfx_net_mark(const dfx_net *net);
dfx_array dfx_net_keep(dfx_net *net, size_t mark, dfx_array result);

/* Arrays of numbers that come from outside, copied; of rank numbers of shape.
 */
dfx_array dfx_net_input(dfx_net *net, const float *data, uint32_t rank,
                        const size_t *shape);
dfx_array dfx_net_new(dfx_net *net, uint32_t rank, const size_t *shape);
/* The same numbers in another shape, of the same count. */
dfx_array dfx_net_reshape(dfx_net *net, dfx_array x, uint32_t rank,
                          const size_t *shape);
/* Copies x to data, of x.count numbers. */
void dfx_net_output(dfx_net *net, dfx_array x, float *data);

/* Records a fault of shapes. */
void dfx_net_unfit(dfx_net *net, const char *fmt, ...) DFX_PRINTF(2, 3);
/* Records that memory ran out unless good. */
void dfx_net_done(dfx_net *net, bool good);

/* Is there a tensor of that name? */
bool dfx_net_has(const dfx_net *net, const char *fmt, ...) DFX_PRINTF(2, 3);
/* The tensor as F32: DFX_RULE_RUN_MISSING if there is none. */
dfx_array dfx_net_weight(dfx_net *net, const char *fmt, ...) DFX_PRINTF(2, 3);
/* The tensor's shape, its numbers as they are stored in *stored; the array's
   data is NULL. The same faults. */
dfx_array dfx_net_stored(dfx_net *net, dfx_weight *stored, const char *fmt, ...)
    DFX_PRINTF(3, 4);

/* Tells who looks, if anybody does, what a module gives: out, which it returns.
   Layers tell of themselves; networks tell of what they make of layers. */
dfx_array dfx_net_show(dfx_net *net, dfx_array out, const char *fmt, ...)
    DFX_PRINTF(3, 4);

/* ---- Layers: the name is of the layer, "conv_in", without ".weight" ---- */

/* x [..., in], weight [out, in], or a convolution 1x1 -> [..., out]; the latter
   is not shown, because its module gives another shape */
dfx_array dfx_linear(dfx_net *net, dfx_array x, const char *fmt, ...)
    DFX_PRINTF(3, 4);

typedef enum dfx_padding {
    DFX_PAD_SAME, /* half of the kernel on all sides */
    DFX_PAD_AFTER /* one right, one below */
} dfx_padding;

/* x [B, C, H, W], weight [O, C, k, k] -> [B, O, H', W'] */
dfx_array dfx_conv2d(dfx_net *net, dfx_array x, size_t stride,
                     dfx_padding padding, const char *fmt, ...)
    DFX_PRINTF(5, 6);
/* x [B, C, H, W] */
dfx_array dfx_group_norm(dfx_net *net, dfx_array x, size_t groups, float eps,
                         const char *fmt, ...) DFX_PRINTF(5, 6);
/* x [..., C] */
dfx_array dfx_layer_norm(dfx_net *net, dfx_array x, float eps, const char *fmt,
                         ...) DFX_PRINTF(4, 5);
/* ids [batch, tokens] -> [batch, tokens, width] */
dfx_array dfx_embed(dfx_net *net, const uint32_t *ids, size_t batch,
                    size_t tokens, const char *fmt, ...) DFX_PRINTF(5, 6);

/* q [B, queries, C], k and v [B, keys, C]; heads are slices of C. */
dfx_array dfx_attend(dfx_net *net, dfx_array q, dfx_array k, dfx_array v,
                     size_t heads, bool causal);

/* These change x, which the caller made, and return it. */
dfx_array dfx_activate(dfx_net *net, dfx_array x, dfx_activation kind);
dfx_array dfx_add(dfx_net *net, dfx_array x, dfx_array y);
dfx_array dfx_scale(dfx_net *net, dfx_array x, float factor);
/* x [B, C, ...], y [B, C] */
dfx_array dfx_add_channels(dfx_net *net, dfx_array x, dfx_array y);

/* x [B, C, ...], scale_shift [B, 2 C]: x (1 + scale) + shift; changes x. */
dfx_array dfx_modulate(dfx_net *net, dfx_array x, dfx_array scale_shift);
/* x [..., 2 C] -> [..., C] */
dfx_array dfx_geglu(dfx_net *net, dfx_array x);
/* x and y [B, C, ...] -> [B, C + C', ...] */
dfx_array dfx_join(dfx_net *net, dfx_array x, dfx_array y);
/* x [B, C, ...] -> channels first .. first + count of it */
dfx_array dfx_channels(dfx_net *net, dfx_array x, size_t first, size_t count);
/* x [B, C, H, W] -> [B, C, height, width], nearest */
dfx_array dfx_resize(dfx_net *net, dfx_array x, size_t height, size_t width);
/* x [B, C, H, W] -> [B, H W, C], and back to the shape of like */
dfx_array dfx_to_tokens(dfx_net *net, dfx_array x);
dfx_array dfx_from_tokens(dfx_net *net, dfx_array x, dfx_array like);

#endif
