/*
 * picture_output.c - pictures that a run gave, as PNG files
 */
#include <config.h>

#include "picture.h"
#include "values.h"

enum { DFX_IMAGE_NOTES = 16 }; /* texts of a picture, at most */

static dfx_status
picture_of(const dfx_value *image, size_t which, dfx_picture *out,
           dfx_error *err)
{
    size_t height, width;

    *out = (dfx_picture){0};
    if (image->type != DFX_TYPE_F32 || image->rank != 4 ||
        image->shape[1] != 3 || which >= image->shape[0])
        return dfx_fail_usage(err,
                              "that is no picture [batch, 3, height, width]");
    height = (size_t)image->shape[2];
    width = (size_t)image->shape[3];
    return dfx_picture_from_planes((const float *)image->data +
                                       which * 3 * height * width,
                                   width, height, out, err);
}

dfx_status
dfx_image_encode(const dfx_value *image, size_t which, void **png, size_t *size,
                 dfx_error *err)
{
    dfx_picture picture;
    dfx_text bytes = {0};
    dfx_status status = picture_of(image, which, &picture, err);

    if (status == DFX_OK)
        status = dfx_picture_encode(&picture, NULL, 0, &bytes, err);
    dfx_picture_fini(&picture);
    *png = bytes.data;
    *size = bytes.size;
    if (status == DFX_OK)
        return DFX_OK;
    dfx_text_fini(&bytes);
    *png = NULL;
    return status;
}

dfx_status
dfx_image_write(const dfx_value *image, size_t which,
                const dfx_image_note *notes, size_t note_count,
                const char *path, bool force, dfx_error *err)
{
    dfx_picture_note texts[DFX_IMAGE_NOTES];
    dfx_picture picture;
    dfx_status status;

    if (note_count > DFX_IMAGE_NOTES)
        return dfx_fail_usage(err, "a picture has %d texts at most",
                              DFX_IMAGE_NOTES);
    for (size_t i = 0; i < note_count; i++)
        texts[i] = (dfx_picture_note){notes[i].key, notes[i].text};
    status = picture_of(image, which, &picture, err);
    if (status == DFX_OK)
        status =
            dfx_picture_save(&picture, texts, note_count, path, force, err);
    dfx_picture_fini(&picture);
    return status;
}
