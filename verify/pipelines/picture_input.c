/*
 * picture_input.c - pictures that a run takes, from PNG files or tensors
 */
#include <config.h>

#include "pipelines/picture_input.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "picture.h"
#include "values.h"

/* The last three dimensions of a tensor; those before are 1, or the first of
   them is taken. */
static dfx_status
take(dfx_picture_input *in, const dfx_value *value, size_t channels,
     size_t height, size_t width, dfx_error *err)
{
    uint32_t rank = value->rank;

    if (rank < 3 || value->count == 0)
        return dfx_fail(err, DFX_RULE_RUN_SHAPE, DFX_NO_OFFSET,
                        "a picture has the dimensions [batch, channels, "
                        "height, width]");
    in->channels = (size_t)value->shape[rank - 3];
    in->height = (size_t)value->shape[rank - 2];
    in->width = (size_t)value->shape[rank - 1];
    if (in->channels == channels && height != 0 &&
        (in->height != height || in->width != width))
        return dfx_fail(err, DFX_RULE_RUN_SHAPE, DFX_NO_OFFSET,
                        "the picture is %zu high and %zu wide; %zu by %zu are "
                        "wanted",
                        in->height, in->width, height, width);
    in->data = malloc(in->channels * in->height * in->width * sizeof *in->data);
    if (in->data == NULL)
        return dfx_fail_nomem(err);
    memcpy(in->data, value->data,
           in->channels * in->height * in->width * sizeof *in->data);
    return DFX_OK;
}

/* A PNG file by its first bytes; other files hold tensors. */
static bool
is_png(const char *path)
{
    static const unsigned char mark[] = {0x89, 'P', 'N', 'G'};
    unsigned char bytes[sizeof mark];
    FILE *file = fopen(path, "rb");
    bool png = file != NULL && fread(bytes, sizeof bytes, 1, file) == 1 &&
               memcmp(bytes, mark, sizeof mark) == 0;

    if (file != NULL)
        fclose(file);
    return png;
}

static dfx_status
take_picture(dfx_picture_input *in, const dfx_picture *picture, size_t channels,
             dfx_error *err)
{
    in->channels = channels;
    in->height = picture->height;
    in->width = picture->width;
    in->data = malloc(channels * in->height * in->width * sizeof *in->data);
    if (in->data == NULL)
        return dfx_fail_nomem(err);
    if (channels == 1)
        dfx_picture_mask(picture, in->data);
    else
        dfx_picture_planes(picture, in->data);
    return DFX_OK;
}

static dfx_status
open_png(dfx_picture_input *in, const char *path, size_t channels,
         size_t height, size_t width, dfx_error *err)
{
    dfx_picture picture = {0}, resized = {0};
    dfx_status status = dfx_picture_open(path, &picture, err);

    if (status == DFX_OK && height != 0 &&
        (picture.height != height || picture.width != width)) {
        status = dfx_picture_resize(&picture, width, height, &resized, err);
        if (status == DFX_OK)
            status = take_picture(in, &resized, channels, err);
    } else if (status == DFX_OK)
        status = take_picture(in, &picture, channels, err);
    dfx_picture_fini(&picture);
    dfx_picture_fini(&resized);
    return status;
}

static dfx_status
open_tensor(dfx_picture_input *in, const char *file, size_t channels,
            size_t height, size_t width, dfx_error *err)
{
    dfx_values *values = NULL;
    const dfx_value *value = NULL;
    dfx_status status = dfx_values_open(file, &values, &value, err);

    if (status == DFX_OK)
        status = take(in, value, channels, height, width, err);
    dfx_values_free(values);
    return status;
}

dfx_status
dfx_picture_input_open(dfx_picture_input *in, const char *file, size_t channels,
                       size_t height, size_t width, dfx_error *err)
{
    dfx_status status;

    *in = (dfx_picture_input){0};
    if (file == NULL)
        return dfx_fail_usage(err, channels == 1 ? "a mask is wanted"
                                                 : "a picture is wanted");
    status = is_png(file) ? open_png(in, file, channels, height, width, err)
                          : open_tensor(in, file, channels, height, width, err);
    if (status != DFX_OK) {
        dfx_error_in_file(err, file);
        dfx_picture_input_fini(in);
    }
    return status;
}

void
dfx_picture_input_fini(dfx_picture_input *in)
{
    free(in->data);
    *in = (dfx_picture_input){0};
}
