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

/* What is asked for. */
typedef struct demand {
    size_t channels, height, width; /* of a picture; sides may be 0 */
    size_t latents, factor;         /* channels of latents, or 0 */
} demand;

static dfx_status
check_shape(const dfx_picture_input *in, const demand *want, dfx_error *err)
{
    bool latents = in->channels != want->channels && want->latents != 0;
    size_t channels = latents ? want->latents : want->channels;
    size_t factor = latents ? want->factor : 1;

    if (in->channels == channels &&
        (want->height == 0 || (in->height == want->height / factor &&
                               in->width == want->width / factor)))
        return DFX_OK;
    return dfx_fail(err, DFX_RULE_RUN_SHAPE, DFX_NO_OFFSET,
                    "the tensor has %zu channels, %zu rows and %zu columns; "
                    "%zu of %zu and %zu are wanted",
                    in->channels, in->height, in->width, channels,
                    want->height / factor, want->width / factor);
}

/* The last three dimensions of a tensor; those before are 1, or the first of
   them is taken. */
static dfx_status
take(dfx_picture_input *in, const dfx_value *value, const demand *want,
     dfx_error *err)
{
    uint32_t rank = value->rank;
    size_t count;

    if (rank < 3 || value->count == 0)
        return dfx_fail(err, DFX_RULE_RUN_SHAPE, DFX_NO_OFFSET,
                        "a picture has the dimensions [batch, channels, "
                        "height, width]");
    in->channels = (size_t)value->shape[rank - 3];
    in->height = (size_t)value->shape[rank - 2];
    in->width = (size_t)value->shape[rank - 1];
    DFX_TRY(check_shape(in, want, err));
    count = in->channels * in->height * in->width;
    in->data = malloc(count * sizeof *in->data);
    if (in->data == NULL)
        return dfx_fail_nomem(err);
    memcpy(in->data, value->data, count * sizeof *in->data);
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
open_png(dfx_picture_input *in, const char *path, const demand *want,
         dfx_error *err)
{
    dfx_picture picture = {0}, resized = {0};
    dfx_status status = dfx_picture_open(path, &picture, err);

    if (status == DFX_OK && want->height != 0 &&
        (picture.height != want->height || picture.width != want->width)) {
        status = dfx_picture_resize(&picture, want->width, want->height,
                                    &resized, err);
        if (status == DFX_OK)
            status = take_picture(in, &resized, want->channels, err);
    } else if (status == DFX_OK)
        status = take_picture(in, &picture, want->channels, err);
    dfx_picture_fini(&picture);
    dfx_picture_fini(&resized);
    return status;
}

static dfx_status
open_tensor(dfx_picture_input *in, const char *file, const demand *want,
            dfx_error *err)
{
    dfx_values *values = NULL;
    const dfx_value *value = NULL;
    dfx_status status = dfx_values_open(file, &values, &value, err);

    if (status == DFX_OK)
        status = take(in, value, want, err);
    dfx_values_free(values);
    return status;
}

dfx_status
dfx_picture_input_open(dfx_picture_input *in, const char *file, size_t channels,
                       size_t height, size_t width, size_t latents,
                       size_t factor, dfx_error *err)
{
    const demand want = {channels, height, width, latents, factor};
    dfx_status status;

    *in = (dfx_picture_input){0};
    if (file == NULL)
        return dfx_fail_usage(err, channels == 1 ? "a mask is wanted"
                                                 : "a picture is wanted");
    status = is_png(file) ? open_png(in, file, &want, err)
                          : open_tensor(in, file, &want, err);
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
