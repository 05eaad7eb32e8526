/*
 * io_strided.c - tensors that are kept with strides, as packed bytes
 *
 * A range of elements is a few boxes: whole rows of rows, and what is left at
 * both ends. A box is read with the dimension of the largest stride outermost:
 * as soon as the rest of it spans little, that span is read at once and its
 * elements are put where they belong. So a matrix that is kept transposed is
 * read in columns as long as the box is high, and one kept channels last in one
 * go.
 */
#include <config.h>

#include <stdlib.h>
#include <string.h>

#include "io_kind.h"
#include "memory.h"
#include "types.h"

enum {
    SCRATCH = 1 << 20, /* bytes of a span that is read at once */
    WASTE = 16,        /* bytes read for one that is wanted, at most */
    SMALL = 4096,      /* spans that cost a read anyway, whatever is wanted */
    MAX_ELEMENT = 16,
    FAR = 64 << 10 /* bytes that a row may span before it is scattered */
};

typedef struct dimension {
    uint64_t size, stride; /* in elements of the base */
} dimension;

typedef struct strided {
    uint32_t rank; /* after neighbours that lie together became one */
    dimension *dims;
    size_t element; /* bytes */
    size_t part;    /* bytes that are swapped as one */
    uint64_t offset;
    bool swap, conjugate, negate, is_float;
} strided;

/* A box of a view: len elements of each dimension, and where they go. */
typedef struct axis {
    uint64_t size, from, to; /* strides in the base and in the result */
} axis;

typedef struct gather {
    const dfx_io *io;
    const strided *view;
    unsigned char *scratch; /* owned; NULL until it is needed */
    axis *axes;             /* of the box; borrowed */
    uint32_t count;
    unsigned char *out;
    dfx_error *err;
} gather;

/* ---- Boxes ---------------------------------------------------------------
 */

/* Elements from the first to the last of a box, both included; of axes from
   first on. */
static uint64_t
span_of(const gather *g, uint32_t first)
{
    uint64_t span = 1;

    for (uint32_t i = first; i < g->count; i++)
        span += (g->axes[i].size - 1) * g->axes[i].from;
    return span;
}

static uint64_t
elements_of(const gather *g, uint32_t first)
{
    uint64_t count = 1;

    for (uint32_t i = first; i < g->count; i++)
        count *= g->axes[i].size;
    return count;
}

/* Puts the elements of axes from i on, whose first is at src, to dst. */
static void
scatter(const gather *g, uint32_t i, const unsigned char *src,
        unsigned char *dst)
{
    size_t element = g->view->element;
    const axis *a = &g->axes[i];

    if (i == g->count) {
        memcpy(dst, src, element);
        return;
    }
    if (i + 1 == g->count && a->from == 1 && a->to == 1) {
        memcpy(dst, src, (size_t)a->size * element);
        return;
    }
    for (uint64_t k = 0; k < a->size; k++)
        scatter(g, i + 1, src + k * a->from * element,
                dst + k * a->to * element);
}

/* Reads the box of axes from i on, which starts at element from. */
static dfx_status
read_box(gather *g, uint32_t i, uint64_t from, unsigned char *dst)
{
    size_t element = g->view->element;
    uint64_t span = span_of(g, i) * element;
    uint64_t wanted = elements_of(g, i) * element;

    if (i == g->count ||
        (span <= SCRATCH && (span / WASTE <= wanted || span <= SMALL))) {
        bool straight =
            i + 1 == g->count && g->axes[i].from == 1 && g->axes[i].to == 1;

        if (i == g->count || straight)
            return dfx_io_read_at(g->io->base, from * element, dst,
                                  (size_t)wanted, g->err);
        if (g->scratch == NULL)
            g->scratch = malloc(SCRATCH);
        if (g->scratch == NULL)
            return dfx_fail_nomem(g->err);
        DFX_TRY(dfx_io_read_at(g->io->base, from * element, g->scratch,
                               (size_t)span, g->err));
        scatter(g, i, g->scratch, dst);
        return DFX_OK;
    }
    for (uint64_t k = 0; k < g->axes[i].size; k++)
        DFX_TRY(read_box(g, i + 1, from + k * g->axes[i].from,
                         dst + k * g->axes[i].to * element));
    return DFX_OK;
}

static int
by_stride(const void *a, const void *b)
{
    const axis *x = a, *y = b;

    if (x->from != y->from)
        return x->from > y->from ? -1 : 1;
    return x->to != y->to ? (x->to > y->to ? -1 : 1) : 0;
}

/*
 * A box of the view: index at of dimensions before d, then count of dimension d
 * from first on, then all of the others.
 */
static dfx_status
read_rows(gather *g, uint64_t start, uint32_t d, uint64_t first, uint64_t count)
{
    const strided *view = g->view;
    uint64_t to = 1;

    g->count = view->rank - d;
    for (uint32_t i = view->rank; i-- > d;) {
        uint64_t size = i == d ? count : view->dims[i].size;

        g->axes[i - d] = (axis){size, view->dims[i].stride, to};
        to *= size;
    }
    start += first * view->dims[d].stride;
    qsort(g->axes, g->count, sizeof *g->axes, by_stride);
    DFX_TRY(read_box(g, 0, start, g->out));
    g->out += to * view->element;
    return DFX_OK;
}

/* Elements first .. first + count of dimensions from d on, which start at
   element start of the base. */
static dfx_status
read_range(gather *g, uint32_t d, uint64_t start, uint64_t first,
           uint64_t count)
{
    const strided *view = g->view;
    uint64_t inner = 1, row, n;

    if (count == 0)
        return DFX_OK;
    if (d == view->rank) {
        DFX_TRY(dfx_io_read_at(g->io->base, start * view->element, g->out,
                               view->element, g->err));
        g->out += view->element;
        return DFX_OK;
    }
    for (uint32_t i = d + 1; i < view->rank; i++)
        inner *= view->dims[i].size;
    row = first / inner;
    if (first % inner != 0) { /* the rest of a row */
        n = inner - first % inner < count ? inner - first % inner : count;
        DFX_TRY(read_range(g, d + 1, start + row * view->dims[d].stride,
                           first % inner, n));
        row++;
        count -= n;
    }
    n = count / inner; /* whole rows */
    if (n > 0)
        DFX_TRY(read_rows(g, start, d, row, n));
    return read_range(g, d + 1, start + (row + n) * view->dims[d].stride, 0,
                      count % inner);
}

/* ---- Elements ------------------------------------------------------------
 */

static void
swap_bytes(unsigned char *p, size_t size)
{
    for (size_t i = 0; i < size / 2; i++) {
        unsigned char c = p[i];

        p[i] = p[size - 1 - i];
        p[size - 1 - i] = c;
    }
}

/* The opposite of a number of size bytes, little-endian. */
static void
negate(const strided *view, unsigned char *p, size_t size)
{
    unsigned carry = 1;

    if (view->is_float) {
        p[size - 1] ^= 0x80;
        return;
    }
    for (size_t i = 0; i < size; i++) {
        carry += (unsigned char)~p[i];
        p[i] = (unsigned char)carry;
        carry >>= 8;
    }
}

static void
finish(const strided *view, unsigned char *data, uint64_t count)
{
    size_t parts = view->element / view->part;

    if (!view->swap && !view->conjugate && !view->negate)
        return;
    for (uint64_t i = 0; i < count * parts; i++) {
        unsigned char *p = data + i * view->part;

        if (view->swap)
            swap_bytes(p, view->part);
        if (view->negate != (view->conjugate && i % 2 == 1))
            negate(view, p, view->part);
    }
}

/* ---- The kind ------------------------------------------------------------
 */

/* Whole elements, to out. */
static dfx_status
read_elements(const dfx_io *io, uint64_t first, uint64_t count, void *out,
              dfx_error *err)
{
    const strided *view = io->state;
    gather g = {.io = io,
                .view = view,
                .axes = calloc(view->rank + 1, sizeof(axis)),
                .out = out,
                .err = err};
    dfx_status status;

    if (g.axes == NULL)
        return dfx_fail_nomem(err);
    status = read_range(&g, 0, view->offset, first, count);
    free(g.axes);
    free(g.scratch);
    if (status == DFX_OK)
        finish(view, out, count);
    return status;
}

/* Bytes that may start and end within elements. */
static dfx_status
read_bytes(const dfx_io *io, uint64_t offset, void *buf, size_t size,
           dfx_error *err)
{
    const strided *view = io->state;
    unsigned char *out = buf, whole[MAX_ELEMENT];
    size_t element = view->element;

    while (size > 0) {
        size_t skip = (size_t)(offset % element), n;

        if (skip == 0 && size >= element) {
            n = size - size % element;
            DFX_TRY(read_elements(io, offset / element, n / element, out, err));
        } else {
            n = element - skip < size ? element - skip : size;
            DFX_TRY(read_elements(io, offset / element, 1, whole, err));
            memcpy(out, whole + skip, n);
        }
        out += n;
        offset += n;
        size -= n;
    }
    return DFX_OK;
}

static void
free_state(void *state)
{
    strided *view = state;

    free(view->dims);
    free(view);
}

static const dfx_io_kind near_kind = {
    .read = read_bytes,
    .free_state = free_state,
};

static const dfx_io_kind far_kind = {
    .read = read_bytes,
    .free_state = free_state,
    .is_scattered = true,
};

/* ---- Opening -------------------------------------------------------------
 */

/* The number of elements; false if the view reaches out of the base. */
static bool
measure(const dfx_strided *view, uint64_t base_size, size_t element,
        uint64_t *count)
{
    uint64_t last = view->offset, step, bytes;

    *count = 1;
    for (uint32_t i = 0; i < view->rank; i++)
        if (dfx_ckd_mul(count, *count, view->shape[i]))
            return false;
    if (*count == 0)
        return true;
    for (uint32_t i = 0; i < view->rank; i++)
        if (dfx_ckd_mul(&step, view->shape[i] - 1, view->stride[i]) ||
            dfx_ckd_add(&last, last, step))
            return false;
    return !dfx_ckd_add(&last, last, 1) &&
           !dfx_ckd_mul(&bytes, last, (uint64_t)element) && bytes <= base_size;
}

/* The dimensions without those of one element; neighbours that lie together
   are one. */
static void
collapse(strided *made, const dfx_strided *view)
{
    for (uint32_t i = 0; i < view->rank; i++) {
        dimension *last = made->rank > 0 ? &made->dims[made->rank - 1] : NULL;

        if (view->shape[i] == 1)
            continue;
        if (last != NULL && last->stride == view->shape[i] * view->stride[i]) {
            last->size *= view->shape[i];
            last->stride = view->stride[i];
        } else {
            made->dims[made->rank++] =
                (dimension){view->shape[i], view->stride[i]};
        }
    }
}

static bool
is_far(const strided *view)
{
    const dimension *last;

    if (view->rank == 0)
        return false;
    last = &view->dims[view->rank - 1];
    return last->stride > 1 && last->size > FAR / last->stride / view->element;
}

dfx_status
dfx_io_open_strided(const dfx_io *base, const dfx_strided *view, dfx_io **io,
                    dfx_error *err)
{
    dfx_class class = dfx_type_class(view->type);
    size_t element = dfx_type_size(view->type);
    strided *made;
    uint64_t count = 0, bytes;

    if (element == 0 || element > MAX_ELEMENT ||
        !measure(view, dfx_io_size(base), element, &count) ||
        dfx_ckd_mul(&bytes, count, (uint64_t)element))
        return dfx_fail_usage(err, "a view that reaches beyond its storage");
    made = calloc(1, sizeof *made);
    if (made == NULL)
        return dfx_fail_nomem(err);
    *made = (strided){
        .dims = calloc(view->rank + 1, sizeof *made->dims),
        .element = element,
        .part = class == DFX_CLASS_COMPLEX ? element / 2 : element,
        .offset = view->offset,
        .swap = view->big_endian,
        .conjugate = view->conjugate && class == DFX_CLASS_COMPLEX,
        .negate = view->negate && class != DFX_CLASS_BOOL,
        .is_float = class == DFX_CLASS_FLOAT || class == DFX_CLASS_COMPLEX,
    };
    if (made->dims != NULL && count > 0)
        collapse(made, view);
    *io = made->dims == NULL ? NULL
                             : dfx_io_new(is_far(made) ? &far_kind : &near_kind,
                                          base, 0, bytes, made);
    if (*io == NULL) {
        free_state(made);
        return dfx_fail_nomem(err);
    }
    return DFX_OK;
}
