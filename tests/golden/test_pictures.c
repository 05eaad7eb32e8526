/*
 * test_pictures.c - pictures are read, weighed and resized as Pillow does
 */
#include <config.h>

#include "picture.h"

#include "golden.h"
#include "tap.h"

/* The bytes that a text has in hexadecimal; free() them. NULL: no text. */
static unsigned char *
bytes_of(const cJSON *row, const char *key, size_t *size)
{
    const char *text = text_of(row, key);
    unsigned char *data;

    if (text == NULL)
        return NULL;
    *size = strlen(text) / 2;
    data = malloc(*size + 1);
    for (size_t i = 0; i < *size; i++) {
        unsigned byte = 0;

        sscanf(text + 2 * i, "%2x", &byte);
        data[i] = (unsigned char)byte;
    }
    return data;
}

static void
check_rgb(const dfx_picture *p, const unsigned char *want, size_t size,
          const char *what)
{
    CHECK(p->width * p->height * 3 == size && memcmp(p->rgb, want, size) == 0,
          what);
}

static void
check_mask(const dfx_picture *p, const unsigned char *want, size_t size)
{
    float *mask = malloc(p->width * p->height * sizeof *mask);
    bool good = p->width * p->height == size;

    dfx_picture_mask(p, mask);
    for (size_t i = 0; good && i < size; i++)
        good = mask[i] == (float)want[i] / 255.0f;
    CHECK(good, "  its mask");
    free(mask);
}

static void
check_row(const cJSON *row)
{
    const cJSON *sides = cJSON_GetObjectItem(row, "size");
    size_t size = 0, rgb_size = 0, grey_size = 0, other_size = 0;
    unsigned char *png = bytes_of(row, "png", &size);
    unsigned char *rgb = bytes_of(row, "rgb", &rgb_size);
    unsigned char *grey = bytes_of(row, "l", &grey_size);
    unsigned char *other = bytes_of(row, "resized", &other_size);
    dfx_picture p = {0}, resized = {0};
    dfx_io *io = NULL;
    dfx_error err = {0};

    if (!CHECK(dfx_io_open_memory(png, size, "a.png", &io, &err) == DFX_OK &&
                   dfx_picture_read(io, &p, &err) == DFX_OK,
               text_of(row, "name"))) {
        printf("# %s\n", err.text);
    } else if (other != NULL) {
        CHECK(dfx_picture_resize(&p, number_at(sides, 0), number_at(sides, 1),
                                 &resized, &err) == DFX_OK,
              "  is resized");
        check_rgb(&resized, other, other_size, "  to this");
    } else {
        check_rgb(&p, rgb, rgb_size, "  its colours");
        check_mask(&p, grey, grey_size);
    }
    dfx_picture_fini(&p);
    dfx_picture_fini(&resized);
    dfx_io_close(io);
    free(png);
    free(rgb);
    free(grey);
    free(other);
}

int
main(void)
{
    cJSON *rows, *row;

    golden_find("pictures");
    rows = golden_json("pictures.json");
    cJSON_ArrayForEach(row, rows) check_row(row);
    cJSON_Delete(rows);
    return tap_end();
}
