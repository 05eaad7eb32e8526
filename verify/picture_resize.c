/*
 * picture_resize.c - pictures of another size, as Pillow makes them
 *
 * Pillow 13, Resample.c, 8 bits a channel: weights of a window around each new
 * pixel are doubles that sum to 1, then rounded to 22 bits after the point;
 * sums are integers from one half, cut and clamped.
 */
#include <config.h>

#include "picture.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "elementary.h"

enum {
    CHANNELS = 3,
    PRECISION = 32 - 8 - 2,
};

/* New pixel i is the sum of weight[i * room + k] times pixel first[i] + k, for
   k below count[i]. */
typedef struct windows {
    size_t room;
    size_t *first, *count; /* owned */
    int32_t *weight;       /* owned */
} windows;

static void
fini(windows *w)
{
    free(w->first);
    free(w->count);
    free(w->weight);
}

/* sin(pi x) / (pi x), of our own sine: the same on every machine. */
static double
sinc(double x)
{
    const double pi = 3.14159265358979323846;
    double sine, cosine;

    if (x == 0.0)
        return 1.0;
    dfx_sincos_turns(fabs(x) / 2, &sine, &cosine);
    return sine / (fabs(x) * pi);
}

/* Lanczos, three lobes to each side. */
static double
lanczos(double x)
{
    return x >= -3.0 && x < 3.0 ? sinc(x) * sinc(x / 3.0) : 0.0;
}

static int32_t
to_fixed(double x)
{
    double scaled = x * (1 << PRECISION);

    return (int32_t)(x < 0.0 ? scaled - 0.5 : scaled + 0.5);
}

/* The window of one new pixel; weights has room for it. */
static void
look(windows *w, size_t i, size_t from, size_t to, double *weights)
{
    double scale = (double)from / (double)to;
    double wide = scale < 1.0 ? 1.0 : scale;
    double reach = 3.0 * wide;
    double centre = ((double)i + 0.5) * scale;
    double low = centre - reach + 0.5, high = centre + reach + 0.5;
    double sum = 0.0, inverse = 1.0 / wide;
    size_t first = low < 0.0 ? 0 : (size_t)low;
    size_t end = high > (double)from ? from : (size_t)high;

    w->first[i] = first;
    w->count[i] = end - first;
    for (size_t k = 0; k < end - first; k++) {
        weights[k] = lanczos(((double)(k + first) - centre + 0.5) * inverse);
        sum += weights[k];
    }
    for (size_t k = 0; k < end - first; k++)
        w->weight[i * w->room + k] =
            to_fixed(sum != 0.0 ? weights[k] / sum : weights[k]);
}

static bool
make_windows(windows *w, size_t from, size_t to)
{
    double scale = (double)from / (double)to;
    double *weights;

    w->room = (size_t)ceil(3.0 * (scale < 1.0 ? 1.0 : scale)) * 2 + 1;
    w->first = calloc(to, sizeof *w->first);
    w->count = calloc(to, sizeof *w->count);
    w->weight = calloc(to * w->room, sizeof *w->weight);
    weights = calloc(w->room, sizeof *weights);
    if (w->first != NULL && w->count != NULL && w->weight != NULL &&
        weights != NULL) {
        for (size_t i = 0; i < to; i++)
            look(w, i, from, to, weights);
        free(weights);
        return true;
    }
    free(weights);
    return false;
}

/* count pixels, step bytes apart, in one channel. */
static unsigned char
weigh(const unsigned char *from, size_t step, const int32_t *weight,
      size_t count)
{
    int32_t sum = 1 << (PRECISION - 1);

    for (size_t k = 0; k < count; k++)
        sum += from[k * step] * weight[k];
    sum >>= PRECISION;
    return (unsigned char)(sum < 0 ? 0 : sum > 255 ? 255 : sum);
}

/* Along rows if the width is another, else along columns. */
static void
resample(const dfx_picture *in, const windows *w, dfx_picture *out)
{
    bool rows = out->width != in->width;
    size_t stride = in->width * CHANNELS, step = rows ? CHANNELS : stride;

    for (size_t y = 0; y < out->height; y++)
        for (size_t x = 0; x < out->width; x++) {
            size_t i = rows ? x : y;
            const unsigned char *from = in->rgb +
                                        (rows ? y : w->first[i]) * stride +
                                        (rows ? w->first[i] : x) * CHANNELS;
            unsigned char *to = out->rgb + (y * out->width + x) * CHANNELS;

            for (size_t c = 0; c < CHANNELS; c++)
                to[c] =
                    weigh(from + c, step, w->weight + i * w->room, w->count[i]);
        }
}

/* One of the sides is another. */
static dfx_status
pass(const dfx_picture *in, size_t width, size_t height, dfx_picture *out,
     dfx_error *err)
{
    windows w = {0};
    dfx_status status = dfx_picture_make(width, height, out, err);

    if (status != DFX_OK)
        return status;
    if (width != in->width ? make_windows(&w, in->width, width)
                           : make_windows(&w, in->height, height)) {
        resample(in, &w, out);
    } else {
        dfx_picture_fini(out);
        status = dfx_fail_nomem(err);
    }
    fini(&w);
    return status;
}

/*
 * Pillow 13 does if more than twice as many rows as columns go away (measured
 * against it; versions before 13 always begin with the rows). The sum in
 * between is rounded, so the order shows.
 */
static bool
columns_first(const dfx_picture *in, size_t width, size_t height)
{
    int64_t less_width = (int64_t)in->width - (int64_t)width;
    int64_t less_height = (int64_t)in->height - (int64_t)height;

    return less_height > 0 && 2 * less_width < less_height;
}

dfx_status
dfx_picture_resize(const dfx_picture *picture, size_t width, size_t height,
                   dfx_picture *out, dfx_error *err)
{
    dfx_picture between = {0};
    dfx_status status;

    if (width == picture->width && height == picture->height) {
        DFX_TRY(dfx_picture_make(width, height, out, err));
        memcpy(out->rgb, picture->rgb, width * height * CHANNELS);
        return DFX_OK;
    }
    if (height == picture->height || width == picture->width)
        return pass(picture, width, height, out, err);
    *out = (dfx_picture){0};
    DFX_TRY(columns_first(picture, width, height)
                ? pass(picture, picture->width, height, &between, err)
                : pass(picture, width, picture->height, &between, err));
    status = pass(&between, width, height, out, err);
    dfx_picture_fini(&between);
    return status;
}
