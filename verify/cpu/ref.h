/*
 * ref.h - the parts of the reference backend; backend.h says what each does
 */
#ifndef DFX_CPU_REF_H
#define DFX_CPU_REF_H

#include "backend.h"

bool dfx_ref_linear(float *out, const float *x, const float *weight,
                    const float *bias, size_t rows, size_t in_width,
                    size_t out_width);
bool dfx_ref_conv2d(float *out, const float *x, const float *weight,
                    const float *bias, const dfx_conv *conv);
bool dfx_ref_attention(float *out, const float *q, const float *k,
                       const float *v, const dfx_attention *attention);
bool dfx_ref_group_norm(float *out, const float *x, const float *weight,
                        const float *bias, size_t batch, size_t channels,
                        size_t area, size_t groups, float eps);
bool dfx_ref_layer_norm(float *out, const float *x, const float *weight,
                        const float *bias, size_t rows, size_t width,
                        float eps);
bool dfx_ref_activate(float *out, const float *x, size_t count,
                      dfx_activation kind);
bool dfx_ref_geglu(float *out, const float *x, size_t rows, size_t width);
bool dfx_ref_add(float *out, const float *x, const float *y, size_t count);
bool dfx_ref_scale(float *out, const float *x, size_t count, float factor);
bool dfx_ref_add_each(float *out, const float *x, const float *y, size_t rows,
                      size_t width);
bool dfx_ref_modulate(float *out, const float *x, const float *scale,
                      const float *shift, size_t rows, size_t width);
bool dfx_ref_resize(float *out, const float *x, size_t planes, size_t in_height,
                    size_t in_width, size_t out_height, size_t out_width);
bool dfx_ref_transpose(float *out, const float *x, size_t batch, size_t rows,
                       size_t columns);
bool dfx_ref_copy(float *to, size_t to_step, const float *from,
                  size_t from_step, size_t rows, size_t count);
bool dfx_ref_embed(float *out, const float *table, const uint32_t *ids,
                   size_t count, size_t width);

#endif
