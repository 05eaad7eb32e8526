/*
 * vae_tiled.c - AutoencoderKL on tiles that overlap (diffusers 0.42.1,
 * autoencoder_kl.py: _tiled_encode, tiled_decode)
 *
 * Tiles are cut, blended and put together on the host: the networks take the
 * time.
 */
#include <config.h>

#include "nets/vae_tiled.h"

#include <stdlib.h>
#include <string.h>

/* Sides, in numbers of what goes in and of what comes out. */
typedef struct tiling {
    size_t tile, step;  /* in */
    size_t blend, keep; /* out */
} tiling;

typedef struct tile {
    float *data; /* owned: [batch, channels, height, width] */
    size_t planes, height, width;
} tile;

typedef struct tiled {
    dfx_net *net;
    const dfx_vae_config *config;
    tiling sides;
    bool decodes;
    const float *in; /* [planes, height, width] */
    size_t batch, channels, height, width;
    tile *above, *row; /* owned: rows of tiles, columns of them */
    size_t columns;
} tiled;

static dfx_array
crop(tiled *t, size_t top, size_t left, size_t height, size_t width)
{
    size_t planes = t->batch * t->channels;
    float *part = malloc(planes * height * width * sizeof *part);
    dfx_array x = {0};

    dfx_net_done(t->net, part != NULL);
    for (size_t i = 0; part != NULL && i < planes * height; i++) {
        size_t plane = i / height, y = top + i % height;

        memcpy(part + i * width,
               t->in + (plane * t->height + y) * t->width + left,
               width * sizeof *part);
    }
    if (part != NULL)
        x = dfx_net_input(t->net, part, 4,
                          (size_t[]){t->batch, t->channels, height, width});
    free(part);
    return x;
}

/* The output of the network for the tile at a place of the input. */
static void
compute(tiled *t, tile *out, size_t top, size_t left)
{
    size_t height = t->height - top, width = t->width - left;
    size_t mark = dfx_net_mark(t->net);
    dfx_array x;

    height = height < t->sides.tile ? height : t->sides.tile;
    width = width < t->sides.tile ? width : t->sides.tile;
    x = crop(t, top, left, height, width);
    x = t->decodes ? dfx_vae_decode(t->net, t->config, x)
                   : dfx_vae_encode(t->net, t->config, x);
    if (t->net->status == DFX_OK) {
        out->planes = x.shape[0] * x.shape[1];
        out->height = x.shape[2];
        out->width = x.shape[3];
        out->data = malloc(x.count * sizeof *out->data);
        dfx_net_done(t->net, out->data != NULL);
    }
    if (t->net->status == DFX_OK)
        dfx_net_output(t->net, x, out->data);
    dfx_net_keep(t->net, mark, (dfx_array){0});
}

static size_t
least(size_t a, size_t b)
{
    return a < b ? a : b;
}

/* From a above or left of it into b, over so many rows or columns. */
static void
blend(const tile *a, tile *b, size_t most, bool down)
{
    size_t e = down ? least(least(a->height, b->height), most)
                    : least(least(a->width, b->width), most);
    size_t rows = down ? e : least(a->height, b->height);
    size_t columns = down ? least(a->width, b->width) : e;

    for (size_t p = 0; p < b->planes; p++)
        for (size_t y = 0; y < rows; y++)
            for (size_t x = 0; x < columns; x++) {
                size_t ay = down ? a->height - e + y : y;
                size_t ax = down ? x : a->width - e + x;
                float part = (float)(down ? y : x) / (float)e;
                const float *from =
                    a->data + (p * a->height + ay) * a->width + ax;
                float *to = b->data + (p * b->height + y) * b->width + x;

                *to = *from * (1 - part) + *to * part;
            }
}

static void
release_row(tile *row, size_t columns)
{
    for (size_t j = 0; row != NULL && j < columns; j++)
        free(row[j].data);
    free(row);
}

/* The tiles of a row, blended. */
static void
make_row(tiled *t, size_t top)
{
    t->row = calloc(t->columns, sizeof *t->row);
    dfx_net_done(t->net, t->row != NULL);
    for (size_t j = 0; t->net->status == DFX_OK && j < t->columns; j++) {
        compute(t, &t->row[j], top, j * t->sides.step);
        if (t->net->status != DFX_OK)
            return;
        if (t->above != NULL)
            blend(&t->above[j], &t->row[j], t->sides.blend, true);
        if (j > 0)
            blend(&t->row[j - 1], &t->row[j], t->sides.blend, false);
    }
}

/* The kept part of a row's tiles, from row y of out on. */
static void
put_row(const tiled *t, float *out, size_t planes, size_t height, size_t width,
        size_t y)
{
    size_t x = 0;

    for (size_t j = 0; j < t->columns; j++) {
        const tile *from = &t->row[j];
        size_t rows = least(least(from->height, t->sides.keep), height - y);
        size_t columns = least(least(from->width, t->sides.keep), width - x);

        for (size_t i = 0; i < planes * rows; i++) {
            size_t p = i / rows, r = i % rows;

            memcpy(out + (p * height + y + r) * width + x,
                   from->data + (p * from->height + r) * from->width,
                   columns * sizeof *out);
        }
        x += columns;
    }
}

/* All rows: [batch, out_channels, height, width] of the output. */
static dfx_array
run(tiled *t, size_t out_channels, size_t height, size_t width)
{
    size_t planes = t->batch * out_channels, y = 0;
    float *out = calloc(planes * height * width + 1, sizeof *out);
    dfx_array x = {0};

    dfx_net_done(t->net, out != NULL);
    t->columns = (t->width + t->sides.step - 1) / t->sides.step;
    for (size_t top = 0; t->net->status == DFX_OK && top < t->height;
         top += t->sides.step) {
        make_row(t, top);
        if (t->net->status == DFX_OK && t->row[0].planes != planes)
            dfx_net_unfit(t->net, "the autoencoder gives %zu channels, not %zu",
                          t->row[0].planes / t->batch, out_channels);
        if (t->net->status == DFX_OK && y < height)
            put_row(t, out, planes, height, width, y);
        y += t->sides.keep;
        release_row(t->above, t->columns);
        t->above = t->row;
        t->row = NULL;
    }
    release_row(t->above, t->columns);
    if (t->net->status == DFX_OK)
        x = dfx_net_input(t->net, out, 4,
                          (size_t[]){t->batch, out_channels, height, width});
    free(out);
    return x;
}

/* Takes x to the host; net's status tells of faults. */
static float *
begin(tiled *t, dfx_net *net, const dfx_vae_config *config, dfx_array x)
{
    float *host = malloc((x.count + 1) * sizeof *host);

    *t = (tiled){.net = net,
                 .config = config,
                 .in = host,
                 .batch = x.shape[0],
                 .channels = x.shape[1],
                 .height = x.shape[2],
                 .width = x.shape[3]};
    dfx_net_done(net, host != NULL);
    if (host != NULL)
        dfx_net_output(net, x, host);
    return host;
}

/* The tile's side among latents, and whether x is larger than a tile. */
static bool
is_larger(const dfx_net *net, dfx_array x, size_t side)
{
    return net->status == DFX_OK && x.rank == 4 && side > 0 &&
           (x.shape[2] > side || x.shape[3] > side);
}

/* Three quarters: tiles overlap by the rest; 1 at least. */
static size_t
step_of(size_t side)
{
    return side * 3 / 4 > 0 ? side * 3 / 4 : 1;
}

dfx_array
dfx_vae_encode_tiled(dfx_net *net, const dfx_vae_config *config,
                     dfx_array image)
{
    size_t down = config->levels - 1, side = config->sample_size;
    size_t mark = dfx_net_mark(net), latent = side >> down;
    dfx_array x = {0};
    float *host;
    tiled t;

    if (!is_larger(net, image, side) || latent == 0)
        return dfx_vae_encode(net, config, image);
    host = begin(&t, net, config, image);
    t.sides = (tiling){side, step_of(side), latent / 4, latent - latent / 4};
    if (net->status == DFX_OK)
        x = run(&t, 2 * config->latent_channels, image.shape[2] >> down,
                image.shape[3] >> down);
    free(host);
    return dfx_net_keep(net, mark, x);
}

dfx_array
dfx_vae_decode_tiled(dfx_net *net, const dfx_vae_config *config,
                     dfx_array latent)
{
    size_t up = config->levels - 1, side = config->sample_size >> up;
    size_t mark = dfx_net_mark(net), sample = config->sample_size;
    dfx_array x = {0};
    float *host;
    tiled t;

    if (!is_larger(net, latent, side))
        return dfx_vae_decode(net, config, latent);
    host = begin(&t, net, config, latent);
    t.decodes = true;
    t.sides = (tiling){side, step_of(side), sample / 4, sample - sample / 4};
    if (net->status == DFX_OK)
        x = run(&t, 3, latent.shape[2] << up, latent.shape[3] << up);
    free(host);
    return dfx_net_keep(net, mark, x);
}
