/*
 * picture.c - pictures in memory: bytes, planes of floats
 */
#include <config.h>

#include "picture.h"

#include <math.h>
#include <stdlib.h>

enum { CHANNELS = 3 };

void
dfx_picture_fini(dfx_picture *picture)
{
    free(picture->rgb);
    *picture = (dfx_picture){0};
}

dfx_status
dfx_picture_make(size_t width, size_t height, dfx_picture *out, dfx_error *err)
{
    *out = (dfx_picture){0};
    if (width == 0 || height == 0 || width > DFX_PICTURE_SIDE ||
        height > DFX_PICTURE_SIDE || width * height > DFX_PICTURE_PIXELS)
        return dfx_fail(err, DFX_RULE_RUN_PICTURE, DFX_NO_OFFSET,
                        "a picture of %zu x %zu pixels; sides are 1 to %d, and "
                        "%d pixels the most",
                        width, height, DFX_PICTURE_SIDE, DFX_PICTURE_PIXELS);
    out->rgb = malloc(width * height * CHANNELS);
    if (out->rgb == NULL)
        return dfx_fail_nomem(err);
    out->width = width;
    out->height = height;
    return DFX_OK;
}

static unsigned char
to_byte(float x)
{
    if (!(x > 0.0f)) /* a NaN too */
        return 0;
    return (unsigned char)rintf((x < 1.0f ? x : 1.0f) * 255.0f);
}

dfx_status
dfx_picture_from_planes(const float *planes, size_t width, size_t height,
                        dfx_picture *out, dfx_error *err)
{
    size_t pixels = width * height;

    DFX_TRY(dfx_picture_make(width, height, out, err));
    for (size_t c = 0; c < CHANNELS; c++)
        for (size_t i = 0; i < pixels; i++)
            out->rgb[i * CHANNELS + c] = to_byte(planes[c * pixels + i]);
    return DFX_OK;
}

void
dfx_picture_planes(const dfx_picture *picture, float *planes)
{
    size_t pixels = picture->width * picture->height;

    for (size_t c = 0; c < CHANNELS; c++)
        for (size_t i = 0; i < pixels; i++)
            planes[c * pixels + i] =
                (float)picture->rgb[i * CHANNELS + c] / 255.0f;
}

void
dfx_picture_mask(const dfx_picture *picture, float *mask)
{
    size_t pixels = picture->width * picture->height;

    for (size_t i = 0; i < pixels; i++) {
        const unsigned char *p = picture->rgb + i * CHANNELS;
        /* ITU-R 601 in 16 bits after the point: Pillow, Convert.c, L24 */
        uint32_t luma = p[0] * 19595u + p[1] * 38470u + p[2] * 7471u + 0x8000u;

        mask[i] = (float)(luma >> 16) / 255.0f;
    }
}
