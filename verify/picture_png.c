/*
 * picture_png.c - PNG files, by libpng
 *
 * Colours are taken as they stand: no gamma, no profile, as Pillow does.
 */
#include <config.h>

#include "picture.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <png.h>

#include "out.h"

enum {
    CHUNK_MEMORY = 8 << 20, /* of one chunk that is not pixels */
    DEFLATE_MOST = 1032,    /* bytes that one compressed byte can become */
    LEVEL = 6,
};

/* What libpng's callbacks are given. Its errors are jumps, so all that is to be
   released lies here, with the caller of the function that is jumped to. */
typedef struct job {
    const dfx_io *io;
    uint64_t at; /* what was read of it */
    dfx_picture *picture;
    unsigned char *wide;           /* owned: grey of 16 bits, big-endian */
    const dfx_picture_note *notes; /* to be written */
    png_text *texts;               /* owned */
    size_t note_count;
    dfx_text *png;
    png_structp handle;
    png_infop info;
    dfx_status status;
    dfx_error *err;
} job;

static void
on_error(png_structp handle, png_const_charp text)
{
    job *j = png_get_error_ptr(handle);

    if (j->status == DFX_OK)
        j->status = dfx_fail(j->err, DFX_RULE_RUN_PICTURE, j->at,
                             "no PNG that can be read: %s", text);
    png_longjmp(handle, 1);
}

static void
on_warning(png_structp handle, png_const_charp text)
{
    (void)handle;
    (void)text;
}

/* ---- Reading --------------------------------------------------------------
 */

static void
on_read(png_structp handle, png_bytep data, size_t size)
{
    job *j = png_get_io_ptr(handle);

    if (size > dfx_io_size(j->io) - j->at)
        png_error(handle, "the file ends in its midst");
    j->status = dfx_io_read_at(j->io, j->at, data, size, j->err);
    if (j->status != DFX_OK)
        png_error(handle, "");
    j->at += size;
}

static void
make_picture(job *j)
{
    uint64_t width = png_get_image_width(j->handle, j->info);
    uint64_t height = png_get_image_height(j->handle, j->info);
    uint64_t packed = png_get_rowbytes(j->handle, j->info) * height;

    if (packed / DEFLATE_MOST > dfx_io_size(j->io))
        png_error(j->handle, "the file is too small for so many pixels");
    j->status = dfx_picture_make(width, height, j->picture, j->err);
    if (j->status != DFX_OK)
        png_error(j->handle, "");
}

static void
read_rows(job *j, unsigned char *rows, size_t stride)
{
    int passes = png_set_interlace_handling(j->handle);

    png_read_update_info(j->handle, j->info);
    if (png_get_rowbytes(j->handle, j->info) != stride)
        png_error(j->handle, "rows of another size than their kind has");
    for (int pass = 0; pass < passes; pass++)
        for (size_t y = 0; y < j->picture->height; y++)
            png_read_row(j->handle, rows + y * stride, NULL);
}

static void
read_wide_grey(job *j)
{
    size_t pixels = j->picture->width * j->picture->height;

    j->wide = malloc(pixels * 2);
    if (j->wide == NULL) {
        j->status = dfx_fail_nomem(j->err);
        png_error(j->handle, "");
    }
    read_rows(j, j->wide, j->picture->width * 2);
    for (size_t i = 0; i < pixels; i++) {
        int grey = j->wide[2 * i] > 0 ? 255 : j->wide[2 * i + 1];

        memset(j->picture->rgb + 3 * i, grey, 3);
    }
}

static void
read_png(job *j)
{
    int type;

    png_set_user_limits(j->handle, DFX_PICTURE_SIDE, DFX_PICTURE_SIDE);
    png_set_chunk_malloc_max(j->handle, CHUNK_MEMORY);
    png_set_read_fn(j->handle, j, on_read);
    png_read_info(j->handle, j->info);
    make_picture(j);
    type = png_get_color_type(j->handle, j->info);
    if (type == PNG_COLOR_TYPE_GRAY &&
        png_get_bit_depth(j->handle, j->info) == 16) {
        read_wide_grey(j);
        return;
    }
    if (type == PNG_COLOR_TYPE_PALETTE)
        png_set_palette_to_rgb(j->handle);
    if (type == PNG_COLOR_TYPE_GRAY)
        png_set_expand_gray_1_2_4_to_8(j->handle);
    png_set_strip_16(j->handle);
    png_set_strip_alpha(j->handle);
    png_set_gray_to_rgb(j->handle);
    read_rows(j, j->picture->rgb, j->picture->width * 3);
}

/* ---- Writing --------------------------------------------------------------
 */

static void
on_write(png_structp handle, png_bytep data, size_t size)
{
    job *j = png_get_io_ptr(handle);

    dfx_text_add(j->png, (const char *)data, size);
}

static void
on_flush(png_structp handle)
{
    (void)handle;
}

static bool
is_ascii(const char *text)
{
    while (*text > 0)
        text++;
    return *text == '\0';
}

static void
add_notes(job *j)
{
    for (size_t i = 0; i < j->note_count; i++) {
        png_text *t = &j->texts[i];

        /* libpng copies both; its interface is older than const. */
        memcpy(&t->key, &j->notes[i].key, sizeof t->key);
        memcpy(&t->text, &j->notes[i].text, sizeof t->text);
        t->compression = is_ascii(j->notes[i].text) ? PNG_TEXT_COMPRESSION_NONE
                                                    : PNG_ITXT_COMPRESSION_NONE;
    }
    png_set_text(j->handle, j->info, j->texts, (int)j->note_count);
}

static void
write_png(job *j)
{
    const dfx_picture *p = j->picture;

    png_set_write_fn(j->handle, j, on_write, on_flush);
    png_set_compression_level(j->handle, LEVEL);
    png_set_filter(j->handle, 0, PNG_ALL_FILTERS);
    png_set_IHDR(j->handle, j->info, (png_uint_32)p->width,
                 (png_uint_32)p->height, 8, PNG_COLOR_TYPE_RGB,
                 PNG_INTERLACE_NONE, PNG_COMPRESSION_TYPE_DEFAULT,
                 PNG_FILTER_TYPE_DEFAULT);
    add_notes(j);
    png_write_info(j->handle, j->info);
    for (size_t y = 0; y < p->height; y++)
        png_write_row(j->handle, p->rgb + y * p->width * 3);
    png_write_end(j->handle, NULL);
}

/* ---- Both -----------------------------------------------------------------
 */

/* Runs work, which libpng may leave by a jump. */
static dfx_status
run(job *j, void (*work)(job *))
{
    j->info = j->handle != NULL ? png_create_info_struct(j->handle) : NULL;
    if (j->info == NULL)
        return dfx_fail_nomem(j->err);
    if (setjmp(png_jmpbuf(j->handle)) == 0)
        work(j);
    return j->status;
}

dfx_status
dfx_picture_read(const dfx_io *io, dfx_picture *out, dfx_error *err)
{
    job j = {.io = io, .picture = out, .err = err};
    dfx_status status;

    *out = (dfx_picture){0};
    j.handle =
        png_create_read_struct(PNG_LIBPNG_VER_STRING, &j, on_error, on_warning);
    status = run(&j, read_png);
    if (status != DFX_OK) {
        dfx_error_in_file(err, dfx_io_name(io));
        dfx_picture_fini(out);
    }
    png_destroy_read_struct(&j.handle, &j.info, NULL);
    free(j.wide);
    return status;
}

dfx_status
dfx_picture_open(const char *path, dfx_picture *out, dfx_error *err)
{
    dfx_io *io = NULL;
    dfx_status status;

    *out = (dfx_picture){0};
    DFX_TRY(dfx_io_open_file(path, &io, err));
    status = dfx_picture_read(io, out, err);
    dfx_io_close(io);
    return status;
}

dfx_status
dfx_picture_encode(const dfx_picture *picture, const dfx_picture_note *notes,
                   size_t note_count, dfx_text *png, dfx_error *err)
{
    dfx_picture borrowed = *picture;
    job j = {.picture = &borrowed,
             .notes = notes,
             .note_count = note_count,
             .png = png,
             .err = err};
    dfx_status status;

    j.texts = calloc(note_count + 1, sizeof *j.texts);
    if (j.texts == NULL)
        return dfx_fail_nomem(err);
    j.handle = png_create_write_struct(PNG_LIBPNG_VER_STRING, &j, on_error,
                                       on_warning);
    status = run(&j, write_png);
    png_destroy_write_struct(&j.handle, &j.info);
    free(j.texts);
    return status == DFX_OK && png->failed ? dfx_fail_nomem(err) : status;
}

static dfx_status
write_all(int fd, const char *data, size_t size, dfx_error *err)
{
    while (size > 0) {
        ssize_t n = write(fd, data, size);
        char reason[128];

        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0)
            return dfx_fail(err, DFX_RULE_OUT_WRITE, DFX_NO_OFFSET,
                            "cannot be written: %s",
                            strerror_r(errno, reason, sizeof reason));
        data += n;
        size -= (size_t)n;
    }
    return DFX_OK;
}

static dfx_status
put_file(dfx_out *out, const dfx_text *png, dfx_error *err)
{
    int fd = -1;
    dfx_status status;

    DFX_TRY(dfx_out_file(out, "", png->size, &fd, err));
    status = write_all(fd, png->data, png->size, err);
    if (status != DFX_OK) {
        close(fd);
        return status;
    }
    return dfx_out_close(out, fd, err);
}

dfx_status
dfx_picture_save(const dfx_picture *picture, const dfx_picture_note *notes,
                 size_t note_count, const char *path, bool force,
                 dfx_error *err)
{
    dfx_out_options options = {.force = force};
    dfx_text png = {0};
    dfx_out *out = NULL;
    dfx_status status =
        dfx_picture_encode(picture, notes, note_count, &png, err);

    if (status == DFX_OK)
        status = dfx_out_begin(path, &options, &out, err);
    if (status == DFX_OK) {
        status = put_file(out, &png, err);
        if (status == DFX_OK) {
            status = dfx_out_commit(out, err);
        } else {
            dfx_error_in_output(err, path, "");
            dfx_out_abort(out);
        }
    }
    dfx_text_fini(&png);
    return status;
}
