/*
 * picture_input.h - pictures that a run takes, from PNG files or tensors
 */
#ifndef DFX_PICTURE_INPUT_H
#define DFX_PICTURE_INPUT_H

#include "error.h"

typedef struct dfx_picture_input {
    float *data; /* owned: [channels, height, width], in 0 .. 1 */
    size_t channels, height, width;
} dfx_picture_input;

/*
 * FILE[:NAME] of a tensor of the first picture, or a PNG file. channels: 3, or
 * 1 for a mask. A picture that is not height by width is resized (0: it is left
 * as it is). A tensor must be of that size, or latents of so many channels (0:
 * none will do) whose sides are a factor smaller: RUN_SHAPE.
 */
DFX_CHECKED dfx_status dfx_picture_input_open(dfx_picture_input *in,
                                              const char *file, size_t channels,
                                              size_t height, size_t width,
                                              size_t latents, size_t factor,
                                              dfx_error *err);
void dfx_picture_input_fini(dfx_picture_input *in);

#endif
