/*
 * picture.h - pictures: PNG files, planes of floats, and sizes
 *
 * Numbers are those that Pillow 13 and the VaeImageProcessor of diffusers 0.42
 * give, to the last bit.
 */
#ifndef DFX_PICTURE_H
#define DFX_PICTURE_H

#include "io.h"
#include "memory.h"

enum {
    DFX_PICTURE_SIDE = 16384,     /* pixels */
    DFX_PICTURE_PIXELS = 1 << 26, /* of one picture: 192 MiB */
};

/* Zeroed is none. */
typedef struct dfx_picture {
    size_t width, height;
    unsigned char *rgb; /* owned: [height, width, 3] */
} dfx_picture;

void dfx_picture_fini(dfx_picture *picture);

/* ---- Files ----------------------------------------------------------------
 */

/*
 * A PNG of any kind, as Image.convert("RGB") has it: alpha is dropped, colours
 * of 16 bits lose the lower 8, but greys of 16 bits above 255 are white. What
 * follows the pixels is not looked at. Rule RUN_PICTURE.
 */
DFX_CHECKED dfx_status dfx_picture_read(const dfx_io *io, dfx_picture *out,
                                        dfx_error *err);
DFX_CHECKED dfx_status dfx_picture_open(const char *path, dfx_picture *out,
                                        dfx_error *err);

/* A text in the file: key is Latin-1 of 1 to 79 characters, text UTF-8. */
typedef struct dfx_picture_note {
    const char *key, *text;
} dfx_picture_note;

/* The bytes of a PNG of 8 bits a channel: no date, no name of a program. */
DFX_CHECKED dfx_status dfx_picture_encode(const dfx_picture *picture,
                                          const dfx_picture_note *notes,
                                          size_t note_count, dfx_text *png,
                                          dfx_error *err);
/* The same as a file that appears whole or not at all; force replaces one. */
DFX_CHECKED dfx_status dfx_picture_save(const dfx_picture *picture,
                                        const dfx_picture_note *notes,
                                        size_t note_count, const char *path,
                                        bool force, dfx_error *err);

/* ---- Floats ---------------------------------------------------------------
 */

/* Of planes [3, height, width] in 0..1: clamped, times 255, to the nearest,
   ties to even. A NaN is black. */
DFX_CHECKED dfx_status dfx_picture_from_planes(const float *planes,
                                               size_t width, size_t height,
                                               dfx_picture *out,
                                               dfx_error *err);
/* Into planes [3, height, width]: divided by 255. */
void dfx_picture_planes(const dfx_picture *picture, float *planes);
/* Into [1, height, width]: the luma that Image.convert("L") has, divided by
   255. Nothing is made black or white. */
void dfx_picture_mask(const dfx_picture *picture, float *mask);

/* ---- Sizes ----------------------------------------------------------------
 */

/* As Image.resize(..., LANCZOS): in two passes of fixed-point sums. Sides of 1
   to DFX_PICTURE_SIDE, else RUN_PICTURE. */
DFX_CHECKED dfx_status dfx_picture_resize(const dfx_picture *picture,
                                          size_t width, size_t height,
                                          dfx_picture *out, dfx_error *err);

/* A picture of that size, of whatever was in memory: for those who fill it. */
DFX_CHECKED dfx_status dfx_picture_make(size_t width, size_t height,
                                        dfx_picture *out, dfx_error *err);

#endif
