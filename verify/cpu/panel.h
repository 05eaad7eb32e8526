/*
 * panel.h - products over lanes: the sums of product.h, many side by side
 *
 * Included by avx2.c and avx512.c, which define LANES and lanes_fma before. A
 * product is out[r][c] = sum of a[r][k] b[k][c]. Lanes are columns: b is packed
 * in panels of PANEL columns and DEPTH ks, and TALL rows of a are multiplied
 * with a panel in registers. Every element keeps its one chain: the next DEPTH
 * ks go on from where it stopped. What is packed beside the last column is
 * computed and not stored.
 */
#include "norm.h"
#include "pointwise.h"
#include "product.h"

#define INLINE static inline __attribute__((always_inline))

typedef float lanes __attribute__((vector_size(LANES * sizeof(float))));

enum {
    PANEL = 2 * LANES,
    TALL = LANES == 16 ? 12 : 6, /* times two: most of the registers */
    DEPTH = DFX_WEIGHT_PART,     /* a panel stays in the first cache */
    GROUP = 480,                 /* rows of a task: a multiple of both TALLs */
    FEW = 4                      /* rows for which packing b does not pay */
};

typedef struct product product;

/* Fills panel[k][PANEL] with depth ks from k on of count columns from column
   on; the columns beside them with zeros. */
typedef void pack_fn(const product *p, float *panel, size_t k, size_t depth,
                     size_t column, size_t count);

struct product {
    float *out;
    size_t out_step;
    size_t rows, columns, depth;
    dfx_weight a; /* rows of depth numbers */
    size_t a_step;
    pack_fn *pack;
    const float *b;                      /* of pack_columns and pack_pixels */
    dfx_weight b_rows;                   /* of pack_rows */
    size_t b_step;                       /* of pack_rows and pack_columns */
    const dfx_conv *conv;                /* of pack_pixels */
    const float *row_bias, *column_bias; /* or NULL */
};

/* b[c][k]: the columns lie apart. */
static void
pack_rows(const product *p, float *panel, size_t k, size_t depth, size_t column,
          size_t count)
{
    float room[DEPTH];

    for (size_t c = 0; c < count; c++) {
        const float *from = dfx_weight_numbers(
            p->b_rows, (column + c) * p->b_step + k, depth, room);

        for (size_t i = 0; i < depth; i++)
            panel[i * PANEL + c] = from[i];
    }
    for (size_t c = count; c < PANEL; c++)
        for (size_t i = 0; i < depth; i++)
            panel[i * PANEL + c] = 0.0f;
}

/* b[k][c] */
static void
pack_columns(const product *p, float *panel, size_t k, size_t depth,
             size_t column, size_t count)
{
    for (size_t i = 0; i < depth; i++) {
        const float *from = p->b + (k + i) * p->b_step + column;

        for (size_t c = 0; c < PANEL; c++)
            panel[i * PANEL + c] = c < count ? from[c] : 0.0f;
    }
}

/* count pixels of a plane's row y from x on, counted from the padding's edge,
   one beside the other. */
static void
pack_beside(float *to, const float *plane, const dfx_conv *c, size_t y,
            size_t x, size_t count)
{
    bool inside = y >= c->top && y - c->top < c->in_height;
    size_t end = c->left + c->in_width; /* of the row */
    size_t from = x < c->left ? c->left : x;
    size_t after = x + count < end ? x + count : end;

    if (!inside || from >= after) {
        memset(to, 0, count * sizeof *to);
        return;
    }
    memset(to, 0, (from - x) * sizeof *to);
    memcpy(to + (from - x),
           plane + (y - c->top) * c->in_width + (from - c->left),
           (after - from) * sizeof *to);
    memset(to + (after - x), 0, (x + count - after) * sizeof *to);
}

/* Pixels that come out, from one on within a row, at one place of the kernel;
   y and x are where that place falls. */
static void
pack_some(float *to, const float *plane, const dfx_conv *c, size_t y, size_t x,
          size_t count)
{
    if (c->stride == 1)
        pack_beside(to, plane, c, y, x, count);
    else
        for (size_t i = 0; i < count; i++)
            to[i] = pixel(plane, c, y, x + i * c->stride);
}

/* Columns are the pixels that come out, ks are (channel, ky, kx). */
static void
pack_pixels(const product *p, float *panel, size_t k, size_t depth,
            size_t column, size_t count)
{
    const dfx_conv *c = p->conv;
    size_t area = c->kernel * c->kernel;

    for (size_t i = 0; i < depth; i++, panel += PANEL) {
        size_t at = (k + i) % area;
        const float *plane = p->b + (k + i) / area * c->in_height * c->in_width;

        for (size_t j = 0, part; j < count; j += part) {
            size_t y = (column + j) / c->out_width;
            size_t x = (column + j) % c->out_width;

            part = c->out_width - x < count - j ? c->out_width - x : count - j;
            pack_some(panel + j, plane, c, y * c->stride + at / c->kernel,
                      x * c->stride + at % c->kernel, part);
        }
        memset(panel + count, 0, (PANEL - count) * sizeof *panel);
    }
}

INLINE lanes
lanes_load(const float *from)
{
    lanes x;

    memcpy(&x, from, sizeof x);
    return x;
}

INLINE void
lanes_store(float *to, lanes x)
{
    memcpy(to, &x, sizeof x);
}

/* tile[rows][PANEL] += a[rows][depth] panel[depth][PANEL]; rows is constant. */
INLINE void
multiply(size_t rows, float *tile, const float *a, size_t a_step,
         const float *panel, size_t depth)
{
    lanes left[TALL], right[TALL];

#pragma GCC unroll 16
    for (size_t r = 0; r < rows; r++) {
        left[r] = lanes_load(tile + r * PANEL);
        right[r] = lanes_load(tile + r * PANEL + LANES);
    }
    for (size_t k = 0; k < depth; k++) {
        lanes b_left = lanes_load(panel + k * PANEL);
        lanes b_right = lanes_load(panel + k * PANEL + LANES);

#pragma GCC unroll 16
        for (size_t r = 0; r < rows; r++) {
            const lanes each = a[r * a_step + k] - (lanes){0};

            left[r] = lanes_fma(each, b_left, left[r]);
            right[r] = lanes_fma(each, b_right, right[r]);
        }
    }
#pragma GCC unroll 16
    for (size_t r = 0; r < rows; r++) {
        lanes_store(tile + r * PANEL, left[r]);
        lanes_store(tile + r * PANEL + LANES, right[r]);
    }
}

/* Rows of a, at most TALL, as floats from k on, a_step apart: in room, unless
   they are floats already. */
static const float *
rows_of(const product *p, size_t row, size_t rows, size_t k, size_t depth,
        float *room, size_t *a_step)
{
    *a_step = p->a_step;
    if (p->a.type == DFX_TYPE_F32)
        return (const float *)p->a.data + row * p->a_step + k;
    for (size_t r = 0; r < rows; r++)
        dfx_weight_numbers(p->a, (row + r) * p->a_step + k, depth,
                           room + r * DEPTH);
    *a_step = DEPTH;
    return room;
}

/* A panel times rows of a; room has TALL * DEPTH numbers. */
static void
multiply_all(const product *p, float *tile, size_t row, size_t rows, size_t k,
             const float *panel, size_t depth, float *room)
{
    for (size_t r = 0, part; r < rows; r += part) {
        size_t step;
        const float *a;

        part = rows - r < TALL ? rows - r : TALL;
        a = rows_of(p, row + r, part, k, depth, room, &step);
        if (part == TALL) {
            multiply(TALL, tile + r * PANEL, a, step, panel, depth);
            continue;
        }
        for (size_t i = 0; i < part; i++)
            multiply(1, tile + (r + i) * PANEL, a + i * step, step, panel,
                     depth);
    }
}

static void
store(const product *p, const float *tile, size_t row, size_t rows,
      size_t column, size_t columns)
{
    for (size_t r = 0; r < rows; r++) {
        float *out = p->out + (row + r) * p->out_step + column;

        for (size_t c = 0; c < columns; c++) {
            out[c] = tile[r * PANEL + c];
            if (p->row_bias != NULL)
                out[c] += p->row_bias[row + r];
            if (p->column_bias != NULL)
                out[c] += p->column_bias[column + c];
        }
    }
}

enum { SCRATCH = (DEPTH + GROUP) * PANEL + TALL * DEPTH };

/* PANEL columns of at most GROUP rows; scratch has SCRATCH numbers. */
static void
panel_task(const product *p, size_t row, size_t column, float *scratch)
{
    size_t rows = p->rows - row < GROUP ? p->rows - row : GROUP;
    size_t columns = p->columns - column < PANEL ? p->columns - column : PANEL;
    float *panel = scratch, *tile = panel + DEPTH * PANEL;
    float *room = tile + GROUP * PANEL;

    memset(tile, 0, rows * PANEL * sizeof *tile);
    for (size_t k = 0; k < p->depth; k += DEPTH) {
        size_t depth = p->depth - k < DEPTH ? p->depth - k : DEPTH;

        p->pack(p, panel, k, depth, column, columns);
        multiply_all(p, tile, row, rows, k, panel, depth, room);
    }
    store(p, tile, row, rows, column, columns);
}

static size_t
pieces(size_t whole, size_t piece)
{
    return (whole + piece - 1) / piece;
}

/* All tasks of a product on all threads. */
static bool
run_product(const product *p)
{
    size_t across = pieces(p->columns, PANEL);
    size_t tasks = across * pieces(p->rows, GROUP);
    bool failed = false;

#pragma omp parallel default(none) shared(p, across, tasks, failed)
    {
        float *scratch = malloc(SCRATCH * sizeof *scratch);

        if (scratch == NULL) {
#pragma omp atomic write
            failed = true;
        }
#pragma omp for schedule(dynamic)
        for (size_t i = 0; i < tasks; i++)
            if (scratch != NULL)
                panel_task(p, i / across * GROUP, i % across * PANEL, scratch);
        free(scratch);
    }
    return !failed;
}

static bool
panel_linear(float *out, const float *x, dfx_weight weight, const float *bias,
             size_t rows, size_t in_width, size_t out_width)
{
    const product p = {
        .out = out,
        .out_step = out_width,
        .rows = rows,
        .columns = out_width,
        .depth = in_width,
        .a = {x, DFX_TYPE_F32},
        .a_step = in_width,
        .pack = pack_rows,
        .b_rows = weight,
        .b_step = in_width,
        .column_bias = bias,
    };

    return rows < FEW
               ? plain_linear(out, x, weight, bias, rows, in_width, out_width)
               : run_product(&p);
}

static bool
panel_conv2d(float *out, const float *x, dfx_weight weight, const float *bias,
             const dfx_conv *conv)
{
    size_t pixels = conv->out_height * conv->out_width;
    size_t filter = conv->in_channels * conv->kernel * conv->kernel;
    bool good = true;

    for (size_t b = 0; b < conv->batch && good; b++) {
        const product p = {
            .out = out + b * conv->out_channels * pixels,
            .out_step = pixels,
            .rows = conv->out_channels,
            .columns = pixels,
            .depth = filter,
            .a = weight,
            .a_step = filter,
            .pack = pack_pixels,
            .b = x + b * conv->in_channels * conv->in_height * conv->in_width,
            .conv = conv,
            .row_bias = bias,
        };

        good = run_product(&p);
    }
    return good;
}

enum { QUERIES = 48 }; /* of a task: a multiple of both TALLs */

/* Some queries of one head; scores has room for QUERIES times the keys. */
static void
attend_some(float *out, const float *q, const float *k, const float *v,
            const dfx_attention *a, size_t queries, float *scores,
            float *scratch)
{
    size_t width = a->heads * a->head_size;
    const product score = {
        .out = scores,
        .out_step = a->keys,
        .rows = queries,
        .columns = a->keys,
        .depth = a->head_size,
        .a = {q, DFX_TYPE_F32},
        .a_step = width,
        .pack = pack_rows,
        .b_rows = {k, DFX_TYPE_F32},
        .b_step = width,
    };
    const product value = {
        .out = out,
        .out_step = width,
        .rows = queries,
        .columns = a->head_size,
        .depth = a->keys,
        .a = {scores, DFX_TYPE_F32},
        .a_step = a->keys,
        .pack = pack_columns,
        .b = v,
        .b_step = width,
    };

    for (size_t c = 0; c < score.columns; c += PANEL)
        panel_task(&score, 0, c, scratch);
    for (size_t i = 0; i < queries * a->keys; i++)
        scores[i] *= a->scale;
    for (size_t i = 0; i < queries; i++)
        dfx_row_softmax(scores + i * a->keys, a->keys);
    for (size_t c = 0; c < value.columns; c += PANEL)
        panel_task(&value, 0, c, scratch);
}

/* Causal attention, of texts, is short: as it is. */
static bool
panel_attention(float *out, const float *q, const float *k, const float *v,
                const dfx_attention *attention)
{
    const dfx_attention a = *attention;
    size_t width = a.heads * a.head_size;
    size_t groups = pieces(a.queries, QUERIES);
    bool failed = false;

    if (a.causal)
        return plain_attention(out, q, k, v, attention);
#pragma omp parallel default(none)                                             \
    shared(out, q, k, v, a, width, groups, failed)
    {
        float *scratch = malloc((SCRATCH + QUERIES * a.keys) * sizeof *scratch);

        if (scratch == NULL) {
#pragma omp atomic write
            failed = true;
        }
#pragma omp for schedule(dynamic)
        for (size_t i = 0; i < a.batch * a.heads * groups; i++) {
            size_t query = i % groups * QUERIES;
            size_t head = i / groups % a.heads * a.head_size;
            size_t b = i / groups / a.heads;
            size_t at = (b * a.queries + query) * width + head;
            size_t from = b * a.keys * width + head;
            size_t count =
                a.queries - query < QUERIES ? a.queries - query : QUERIES;

            if (scratch != NULL)
                attend_some(out + at, q + at, k + from, v + from, &a, count,
                            scratch + SCRATCH, scratch);
        }
        free(scratch);
    }
    return !failed;
}
