/*
 * picture_input.c - pictures that a run takes, from PNG files or tensors
 */
#include <config.h>

#include "pipelines/picture_input.h"

#include <stdlib.h>
#include <string.h>

#include "picture.h"
#include "rules.h"
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
    in->data = malloc(in->channels * in->height * in->width *
                      sizeof *in->data);
    if (in->data == NULL)
        return dfx_fail_nomem(err);
    memcpy(in->data, value->data,
           in->channels * in->height * in->width * sizeof *in->data);
    return DFX_OK;
}

dfx_status
dfx_picture_input_open(dfx_picture_input *in, const char *file, size_t channels,
                       size_t height, size_t width, dfx_error *err)
{
    dfx_values *values = NULL;
    const dfx_value *value = NULL;
    dfx_status status;

    *in = (dfx_picture_input){0};
    if (file == NULL)
        return dfx_fail_usage(err, channels == 1 ? "a mask is wanted"
                                                 : "a picture is wanted");
    if (dfx_picture_is_png(file)) {
        in->channels = channels;
        in->height = height;
        in->width = width;
        return dfx_picture_read(file, channels, &in->height, &in->width,
                                &in->data, err);
    }
    status = dfx_values_open(file, &values, &value, err);
    if (status == DFX_OK)
        status = take(in, value, channels, height, width, err);
    dfx_values_free(values);
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
