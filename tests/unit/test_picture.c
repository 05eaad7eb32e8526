/*
 * test_picture.c - pictures: rounding, files that are written, files that are
 * broken
 *
 * What is read and resized is compared with Pillow's in
 * tests/golden/test_pictures.c.
 */
#include <config.h>

#include "picture.h"

#include <math.h>
#include <stdlib.h>

#include "scratch.h"
#include "tap.h"

/* Ties are what only exact products make: 0.5 * 255 = 127.5 is between. */
static void
test_rounding(void)
{
    static const struct {
        float x;
        unsigned char want;
    } rows[] = {
        {0.0f, 0},          {1.0f, 255}, {-1.0f, 0},         {2.0f, 255},
        {0.5f, 128},        {0.1f, 26},  {0.49803922f, 127}, {0.002f, 1},
        {2.5f / 255.0f, 2}, {NAN, 0},    {0x1p-9f, 0},       {INFINITY, 255},
    };
    enum { COUNT = sizeof rows / sizeof *rows };
    float planes[3 * COUNT], back[3 * COUNT];
    dfx_picture p = {0};
    dfx_error err;

    for (size_t c = 0; c < 3; c++)
        for (size_t i = 0; i < COUNT; i++)
            planes[c * COUNT + i] = rows[(i + c) % COUNT].x;
    CHECK(dfx_picture_from_planes(planes, COUNT, 1, &p, &err) == DFX_OK,
          "planes become a picture");
    for (size_t c = 0; c < 3; c++)
        for (size_t i = 0; i < COUNT; i++)
            CHECK_U64(p.rgb[i * 3 + c], rows[(i + c) % COUNT].want,
                      "  rounded to even");
    dfx_picture_planes(&p, back);
    CHECK(back[1] == 1.0f && back[4] == 128.0f / 255.0f &&
              back[COUNT + 3] == 128.0f / 255.0f,
          "and planes again");
    dfx_picture_fini(&p);
}

static void
make(dfx_picture *p, size_t width, size_t height)
{
    dfx_error err;

    if (dfx_picture_make(width, height, p, &err) != DFX_OK)
        printf("Bail out! %s\n", err.text);
    for (size_t i = 0; i < width * height * 3; i++)
        p->rgb[i] = (unsigned char)(i * i % 251);
}

static bool
has(const dfx_text *png, const char *bytes, size_t size)
{
    return memmem(png->data, png->size, bytes, size) != NULL;
}

static void
test_files(void)
{
    static const dfx_picture_note notes[] = {
        {"parameters", "a cat\nSteps: 20"},
        {"prompt", "caf\xc3\xa9"},
    };
    dfx_picture p = {0}, again = {0};
    dfx_text png = {0}, same = {0};
    unsigned char *data;
    size_t size = 0;
    dfx_error err;

    scratch_enter();
    make(&p, 13, 7);
    CHECK(dfx_picture_encode(&p, notes, 2, &png, &err) == DFX_OK,
          "a picture is encoded");
    CHECK(has(&png, "tEXtparameters\0a cat\nSteps: 20", 30), "its notes");
    CHECK(has(&png, "iTXtprompt\0\0\0\0\0caf\xc3\xa9", 20),
          "  in UTF-8 where they are no ASCII");
    CHECK(!has(&png, "tIME", 4), "  and no date");
    CHECK(dfx_picture_encode(&p, notes, 2, &same, &err) == DFX_OK &&
              same.size == png.size &&
              memcmp(same.data, png.data, png.size) == 0,
          "  twice alike");
    CHECK(dfx_picture_save(&p, notes, 2, "a.png", false, &err) == DFX_OK,
          "it is a file");
    data = scratch_read("a.png", &size);
    CHECK(data != NULL && size == png.size && memcmp(data, png.data, size) == 0,
          "  of these bytes");
    free(data);
    CHECK(dfx_picture_open("a.png", &again, &err) == DFX_OK &&
              again.width == 13 && again.height == 7 &&
              memcmp(again.rgb, p.rgb, 13 * 7 * 3) == 0,
          "  that reads back");
    CHECK(dfx_picture_save(&p, NULL, 0, "a.png", false, &err) != DFX_OK,
          "it is not replaced");
    CHECK_TEXT(err.rule, "out.exists", "  unless");
    CHECK(dfx_picture_save(&p, NULL, 0, "a.png", true, &err) == DFX_OK,
          "  by force");
    CHECK(dfx_picture_save(&p, NULL, 0, "no/a.png", true, &err) != DFX_OK,
          "no folder, no file");
    dfx_picture_fini(&p);
    dfx_picture_fini(&again);
    dfx_text_fini(&png);
    dfx_text_fini(&same);
    scratch_leave();
}

static char last[DFX_ERROR_CHARS]; /* what it was refused with */

static bool
is_refused(const char *data, size_t size)
{
    char *copy = malloc(size + 1); /* so that sanitizers see its end */
    dfx_picture p = {0};
    dfx_io *io = NULL;
    dfx_error err = {0};
    bool refused;

    memcpy(copy, data, size);
    refused = dfx_io_open_memory(copy, size, "a.png", &io, &err) == DFX_OK &&
              dfx_picture_read(io, &p, &err) != DFX_OK && p.rgb == NULL &&
              strcmp(err.rule, "run.picture") == 0;
    snprintf(last, sizeof last, "%s", err.text);
    dfx_io_close(io);
    free(copy);
    return refused;
}

static void
test_broken(void)
{
    /* 8192 x 8192 in colour, and pixels that are none. */
    static const char huge[] =
        "\x89PNG\r\n\x1a\n"
        "\x00\x00\x00\x0d\x49\x48\x44\x52\x00\x00\x20\x00"
        "\x00\x00\x20\x00\x08\x02\x00\x00\x00\xfd\xc8\x5d\x0e"
        "\x00\x00\x00\x08\x49\x44\x41\x54\x78\x9c\x03\x00\x00\x00\x00\x01\x48"
        "\x06\x89\xd2";
    dfx_picture p = {0}, other = {0};
    dfx_text png = {0};
    size_t data_end, wrong = 0, most = 0;
    dfx_error err;

    make(&p, 5, 4);
    if (dfx_picture_encode(&p, NULL, 0, &png, &err) != DFX_OK)
        return;
    data_end = png.size - 12 - 4; /* IEND, and the CRC of IDAT */
    for (size_t n = 0; n < data_end; n++)
        wrong += !is_refused(png.data, n);
    CHECK(wrong <= 4, "each prefix is refused, but for zlib's own sum");
    for (size_t i = 0; i < data_end; i++) {
        png.data[i] = (char)(png.data[i] ^ 0x55);
        most += is_refused(png.data, png.size);
        png.data[i] = (char)(png.data[i] ^ 0x55);
    }
    CHECK_U64(most, data_end, "each changed byte is found");
    CHECK(is_refused(huge, sizeof huge - 1) &&
              strstr(last, "too small") != NULL,
          "a size without the pixels");
    CHECK(is_refused("GIF89a", 6), "another format");
    CHECK(dfx_picture_resize(&p, 0, 4, &other, &err) == DFX_ERR_FORMAT,
          "no width");
    CHECK(dfx_picture_resize(&p, 5, DFX_PICTURE_SIDE + 1, &other, &err) ==
              DFX_ERR_FORMAT,
          "too much height");
    CHECK(dfx_picture_make(DFX_PICTURE_SIDE, DFX_PICTURE_SIDE, &other, &err) ==
              DFX_ERR_FORMAT,
          "too many pixels");
    dfx_picture_fini(&p);
    dfx_text_fini(&png);
}

int
main(void)
{
    test_rounding();
    test_files();
    test_broken();
    return tap_end();
}
