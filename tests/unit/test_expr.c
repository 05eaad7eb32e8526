/*
 * test_expr.c - expressions against a model that does one element at a time
 *
 * The model below holds whole tensors in memory and follows the definition of
 * each node; what is under test pulls ranges in bounded scratch. Casts of
 * single elements are test_types' business and are taken from the reference.
 */
#include <config.h>

#include "expr.h"

#include <stdlib.h>

#include "codecs/codec.h"
#include "scratch.h"
#include "tap.h"
#include "types.h"

/* ---- The model -------------------------------------------------------- */

static uint64_t
bits_of(const dfx_expr *x)
{
    dfx_unit unit = dfx_type_unit(x->type);

    return 8 * unit.bytes / unit.elements;
}

static unsigned char *model(const dfx_expr *x);

/* Appends the bytes of an argument, from .. from + size. */
static void
model_part(const dfx_expr *arg, uint64_t from, uint64_t size,
           unsigned char *out)
{
    unsigned char *data = model(arg);

    memcpy(out, data + from, size);
    free(data);
}

static void
model_transpose(const dfx_expr *x, unsigned char *out)
{
    unsigned char *data = model(x->args[0]);
    uint64_t size = bits_of(x) / 8, rows = x->shape[0], columns = x->shape[1];

    for (uint64_t r = 0; r < rows; r++)
        for (uint64_t c = 0; c < columns; c++)
            memcpy(out + (r * columns + c) * size, data + (c * rows + r) * size,
                   size);
    free(data);
}

static void
model_number(const dfx_expr *x, uint64_t i, unsigned char *out)
{
    double value = x->node == DFX_NODE_CONST ? x->value : (double)i;
    int64_t integer = (int64_t)value;

    if (dfx_type_class(x->type) != DFX_CLASS_FLOAT)
        memcpy(out, &integer, bits_of(x) / 8);
    else if (x->type == DFX_TYPE_F64)
        memcpy(out, &value, 8);
    else
        dfx_cast_ref(DFX_TYPE_F64, x->type, &value, out, 1);
}

/* All bytes of an expression; free() them. Recursive: the tests' are small. */
static unsigned char *
model(const dfx_expr *x)
{
    unsigned char *out = calloc(1, x->bytes + 1);
    uint64_t at = 0;
    dfx_error err;

    if (out == NULL)
        abort();
    switch (x->node) {
    case DFX_NODE_TENSOR:
        if (dfx_extent_read(&x->extent, 0, out, x->bytes, &err) != DFX_OK)
            abort();
        break;
    case DFX_NODE_ROWS:
        for (uint32_t i = 1; i < x->rank; i++)
            at = (at == 0 ? 1 : at) * x->shape[i];
        at = (x->rank == 1 ? 1 : at) * x->first * bits_of(x) / 8;
        model_part(x->args[0], at, x->bytes, out);
        break;
    case DFX_NODE_CONCAT:
        for (size_t i = 0; i < x->arg_count; i++) {
            model_part(x->args[i], 0, x->args[i]->bytes, out + at);
            at += x->args[i]->bytes;
        }
        break;
    case DFX_NODE_RESHAPE:
        model_part(x->args[0], 0, x->bytes, out);
        break;
    case DFX_NODE_TRANSPOSE:
        model_transpose(x, out);
        break;
    case DFX_NODE_CAST: {
        unsigned char *data = model(x->args[0]);

        dfx_cast_ref(x->args[0]->type, x->type, data, out, x->elements);
        free(data);
        break;
    }
    case DFX_NODE_ARANGE:
    case DFX_NODE_CONST:
        for (uint64_t i = 0; i < x->elements; i++)
            model_number(x, i, out + i * bits_of(x) / 8);
        break;
    case DFX_NODE_PART: /* golden/test_encodings pulls those */
        abort();
    case DFX_NODE_BYTES:
        memcpy(out, x->data, x->bytes);
        break;
    }
    return out;
}

/* ---- Random expressions ----------------------------------------------- */

typedef struct world {
    dfx_arena arena;
    uint64_t seed;
    dfx_io *io;
    uint64_t size; /* of io */
} world;

static uint64_t
below(world *w, uint64_t limit)
{
    return scratch_random(&w->seed) % limit;
}

static const dfx_type sources[] = {
    DFX_TYPE_F16, DFX_TYPE_F32, DFX_TYPE_BF16,    DFX_TYPE_F64, DFX_TYPE_I64,
    DFX_TYPE_U8,  DFX_TYPE_F4,  DFX_TYPE_F6_E2M3, DFX_TYPE_F16, DFX_TYPE_F32,
};

/* A tensor of random shape: rows and columns such that scratch of 64 KiB is
   crossed now and then, and so that 6-bit elements fill whole bytes. */
static const dfx_expr *
random_tensor(world *w, dfx_type type)
{
    uint64_t shape[3];
    dfx_tensor t = {.name = "t", .type = type, .shape = shape};
    const dfx_expr *x = NULL;
    dfx_error err;
    uint64_t elements = 1;

    t.rank = 1 + (uint32_t)below(w, 3);
    for (uint32_t i = 0; i < t.rank; i++) {
        shape[i] = 1 + below(w, t.rank == 1 ? 40000 : 200);
        if (t.rank == 3)
            shape[i] = 1 + below(w, 30);
        if (below(w, 40) == 0)
            shape[i] = 0;
    }
    if (dfx_type_size(type) == 0)
        shape[t.rank - 1] *= 4;
    for (uint32_t i = 0; i < t.rank; i++)
        elements *= shape[i];
    t.data.io = w->io;
    t.data.size = dfx_type_bytes(type, elements);
    t.data.offset = below(w, w->size - t.data.size);
    if (dfx_expr_tensor(&w->arena, &t, &x, &err) != DFX_OK)
        abort();
    return x;
}

static const dfx_expr *
random_expr(world *w, unsigned depth)
{
    const dfx_expr *x = random_tensor(w, sources[below(w, 10)]);
    const dfx_expr *parts[3], *y = NULL;
    dfx_status status = DFX_OK;
    uint64_t first, count, flat;
    dfx_error err;

    for (unsigned i = 0; i < depth && status == DFX_OK; i++) {
        switch (below(w, 6)) {
        case 0:
            first = below(w, x->shape[0] + 1);
            count = below(w, x->shape[0] - first + 1);
            status = dfx_expr_rows(&w->arena, x, first, count, &y, &err);
            break;
        case 1: /* with itself and rows of itself: any type and shape */
            parts[0] = parts[1] = parts[2] = x;
            first = below(w, x->shape[0] + 1);
            status = dfx_expr_rows(&w->arena, x, 0, first, &parts[1], &err);
            if (status == DFX_OK)
                status = dfx_expr_concat(&w->arena, parts, 2 + below(w, 2), &y,
                                         &err);
            break;
        case 2:
            flat = x->elements;
            status = dfx_expr_reshape(&w->arena, x, 1, &flat, &y, &err);
            break;
        case 3:
            if (x->rank != 2 || dfx_type_size(x->type) == 0)
                continue;
            status = dfx_expr_transpose(&w->arena, x, &y, &err);
            break;
        default:
            if (dfx_type_class(x->type) != DFX_CLASS_FLOAT ||
                dfx_type_size(x->type) == 0)
                continue;
            status =
                dfx_expr_cast(&w->arena, x, sources[below(w, 4)], &y, &err);
        }
        if (status == DFX_OK && y->bytes < 4 << 20)
            x = y;
    }
    /* Rows of 4-bit elements may start within a byte. */
    if (status != DFX_OK && status != DFX_ERR_FORMAT)
        abort();
    return x;
}

/* Pulls a random range in a buffer of exactly its size. */
static bool
range_is_right(world *w, const dfx_expr *x, const unsigned char *want)
{
    uint64_t first = below(w, x->elements + 1);
    uint64_t count = below(w, x->elements - first + 1);
    uint64_t bits = bits_of(x), size;
    unsigned char *got;
    dfx_error err;
    bool right;

    if (bits < 8) { /* whole bytes of any of them */
        first -= first % 4;
        count -= count % 4;
    }
    size = count * bits / 8;
    got = malloc(size + 1);
    right = dfx_expr_pull(x, first, count, got, &err) == DFX_OK &&
            memcmp(got, want + first * bits / 8, size) == 0;
    free(got);
    return right;
}

static bool
bytes_are_right(world *w, const dfx_expr *x, const unsigned char *want)
{
    uint64_t offset = below(w, x->bytes + 1);
    size_t size = (size_t)below(w, x->bytes - offset + 1);
    unsigned char *got = malloc(size + 1);
    dfx_error err;
    bool right;

    if (below(w, 2) == 0)
        size %= 11;
    right = dfx_expr_pull_bytes(x, offset, size, got, &err) == DFX_OK &&
            memcmp(got, want + offset, size) == 0;
    free(got);
    return right;
}

static bool
run_is_right(world *w, const dfx_expr *x, const unsigned char *want,
             uint64_t *runs)
{
    uint64_t offset = below(w, x->bytes + 1);
    uint64_t size = below(w, x->bytes - offset + 1) + 1;
    unsigned char *got;
    dfx_extent run;
    dfx_error err;
    bool right;

    if (!dfx_expr_run(x, offset, size, &run))
        return true;
    got = malloc(run.size + 1);
    right = run.size > 0 && run.size <= size && run.size <= x->bytes - offset &&
            dfx_extent_read(&run, 0, got, run.size, &err) == DFX_OK &&
            memcmp(got, want + offset, run.size) == 0;
    free(got);
    *runs += 1;
    return right;
}

static void
test_random(void)
{
    enum { ROUNDS = 1500, SIZE = 1 << 20 };
    world w = {.seed = 20, .size = SIZE};
    unsigned char *noise = malloc(SIZE);
    uint64_t wrong = 0, wrong_runs = 0, runs = 0;
    dfx_error err;

    for (size_t i = 0; i < SIZE; i++)
        noise[i] = (unsigned char)scratch_random(&w.seed);
    scratch_write("noise", noise, SIZE);
    free(noise);
    CHECK_U64(dfx_io_open_file("noise", &w.io, &err), DFX_OK, "a source");
    for (size_t i = 0; i < ROUNDS; i++) {
        const dfx_expr *x = random_expr(&w, (unsigned)below(&w, 6));
        unsigned char *want = model(x);
        unsigned char *got = malloc(x->bytes + 1);

        wrong += dfx_expr_pull(x, 0, x->elements, got, &err) != DFX_OK ||
                 memcmp(got, want, x->bytes) != 0;
        wrong += !range_is_right(&w, x, want);
        wrong += !bytes_are_right(&w, x, want);
        wrong_runs += !run_is_right(&w, x, want, &runs);
        free(want);
        free(got);
        dfx_arena_fini(&w.arena);
    }
    CHECK_U64(wrong, 0, "1500 random expressions, whole and in ranges");
    CHECK_U64(wrong_runs, 0, "every run holds the bytes that it stands for");
    CHECK(runs > ROUNDS / 4, "and there are many");
    dfx_io_close(w.io);
}

/* ---- By hand ---------------------------------------------------------- */

static const unsigned char numbers[] = {0, 1, 2,  3,  4,  5,  6,  7,
                                        8, 9, 10, 11, 12, 13, 14, 15};

typedef struct fixture {
    dfx_arena arena;
    dfx_io *io;
    dfx_error err;
} fixture;

static void
fixture_init(fixture *f)
{
    *f = (fixture){0};
    if (dfx_io_open_memory(numbers, sizeof numbers, "numbers", &f->io,
                           &f->err) != DFX_OK)
        abort();
}

static void
fixture_fini(fixture *f)
{
    dfx_arena_fini(&f->arena);
    dfx_io_close(f->io);
}

/* numbers[at ...] as a matrix. */
static const dfx_expr *
matrix(fixture *f, dfx_type type, uint64_t at, uint64_t rows, uint64_t columns)
{
    uint64_t shape[] = {rows, columns};
    dfx_tensor t = {.name = "m",
                    .type = type,
                    .rank = 2,
                    .shape = shape,
                    .data = {.io = f->io,
                             .offset = at,
                             .size = dfx_type_bytes(type, rows * columns)}};
    const dfx_expr *x = NULL;

    if (dfx_expr_tensor(&f->arena, &t, &x, &f->err) != DFX_OK)
        abort();
    return x;
}

/* The bytes of an expression as numbers in words. */
static const char *
spell(const dfx_expr *x)
{
    static char text[256];
    unsigned char data[64];
    size_t used = 0;
    dfx_error err;

    if (x->bytes > sizeof data ||
        dfx_expr_pull(x, 0, x->elements, data, &err) != DFX_OK)
        return "?";
    text[0] = '\0';
    for (size_t i = 0; i < x->bytes; i++)
        used += (size_t)snprintf(text + used, sizeof text - used, "%s%d",
                                 i == 0 ? "" : " ", data[i]);
    return text;
}

static void
test_by_hand(void)
{
    const uint64_t shape[] = {2, 3}, flat[] = {8};
    const dfx_expr *m, *x = NULL, *y = NULL, *parts[2];
    dfx_extent run = {0};
    char *words;
    fixture f;

    fixture_init(&f);
    m = matrix(&f, DFX_TYPE_U8, 4, 4, 2);
    CHECK_TEXT(spell(m), "4 5 6 7 8 9 10 11", "a tensor");
    CHECK_U64(dfx_expr_rows(&f.arena, m, 1, 2, &x, &f.err), DFX_OK, "rows");
    CHECK_TEXT(spell(x), "6 7 8 9", "are these");
    CHECK_U64(dfx_expr_transpose(&f.arena, m, &y, &f.err), DFX_OK,
              "a transpose");
    CHECK_TEXT(spell(y), "4 6 8 10 5 7 9 11", "is this");
    parts[0] = x;
    parts[1] = m;
    CHECK_U64(dfx_expr_concat(&f.arena, parts, 2, &y, &f.err), DFX_OK,
              "a stack");
    CHECK_TEXT(spell(y), "6 7 8 9 4 5 6 7 8 9 10 11", "is this");
    CHECK(dfx_expr_run(y, 1, 99, &run) && run.io == f.io && run.offset == 7 &&
              run.size == 3,
          "its first part lies together");
    CHECK(dfx_expr_run(y, 4, 99, &run) && run.offset == 4 && run.size == 8,
          "and its second");
    CHECK(!dfx_expr_run(y, 12, 99, &run), "and nothing behind it");
    words = dfx_expr_describe(y);
    CHECK_TEXT(words, "stack of 2 rows from row 1 of m and m", "in words");
    free(words);
    CHECK_U64(dfx_expr_reshape(&f.arena, m, 1, flat, &y, &f.err), DFX_OK,
              "another shape");
    words = dfx_expr_describe(y);
    CHECK_TEXT(words, "as [8]: m", "in words");
    free(words);

    CHECK_U64(dfx_expr_arange(&f.arena, DFX_TYPE_I16, 2, shape, &x, &f.err),
              DFX_OK, "numbers that count");
    CHECK_TEXT(spell(x), "0 0 1 0 2 0 3 0 4 0 5 0", "little-endian");
    CHECK(!dfx_expr_run(x, 0, 1, &run), "in no source");
    /* 4.6052 = ln 100 as CLIP's logit_scale: f32 0x40935d8d = 141 93 147 64. */
    CHECK_U64(dfx_expr_const(&f.arena, DFX_TYPE_F32, 0, NULL, 4.605170249938965,
                             &x, &f.err),
              DFX_OK, "a scalar made up");
    CHECK_TEXT(spell(x), "142 93 147 64", "is this");
    CHECK_U64(dfx_expr_bytes(&f.arena, numbers, 3, &x, &f.err), DFX_OK,
              "bytes");
    CHECK_TEXT(spell(x), "0 1 2", "are these");
    fixture_fini(&f);
}

/* f16 1.0 is 0x3c00, f32 1.0 is 0x3f800000; 2.0: 0x4000, 0x40000000. */
static void
test_cast(void)
{
    static const unsigned char halves[] = {0x00, 0x3c, 0x00, 0x40};
    const uint64_t shape[] = {2, 1};
    dfx_tensor t = {.name = "h",
                    .type = DFX_TYPE_F16,
                    .rank = 2,
                    .shape = shape,
                    .data = {.size = 4}};
    const dfx_expr *h = NULL, *x = NULL, *y = NULL;
    char *words;
    fixture f;
    dfx_io *io = NULL;

    fixture_init(&f);
    CHECK_U64(dfx_io_open_memory(halves, 4, "halves", &io, &f.err), DFX_OK,
              "halves");
    t.data.io = io;
    CHECK_U64(dfx_expr_tensor(&f.arena, &t, &h, &f.err), DFX_OK, "a tensor");
    CHECK_U64(dfx_expr_cast(&f.arena, h, DFX_TYPE_F16, &x, &f.err), DFX_OK,
              "a cast to its own type");
    CHECK(x == h, "is the tensor");
    CHECK_U64(dfx_expr_cast(&f.arena, h, DFX_TYPE_F32, &x, &f.err), DFX_OK,
              "a cast to another");
    CHECK_TEXT(spell(x), "0 0 128 63 0 0 0 64", "is this");
    CHECK_U64(dfx_expr_transpose(&f.arena, h, &x, &f.err), DFX_OK,
              "a transpose");
    CHECK_U64(dfx_expr_cast(&f.arena, x, DFX_TYPE_F32, &y, &f.err), DFX_OK,
              "cast");
    CHECK_TEXT(spell(y), "0 0 128 63 0 0 0 64", "is this");
    words = dfx_expr_describe(y);
    CHECK_TEXT(words, "transpose of cast F32 of h", "cast first");
    free(words);
    CHECK_U64(dfx_expr_cast(&f.arena, matrix(&f, DFX_TYPE_U8, 0, 2, 2),
                            DFX_TYPE_F32, &x, &f.err),
              DFX_ERR_UNSUPPORTED, "integers are not cast");
    CHECK_TEXT(f.err.rule, "expr.cast", "by this rule");
    CHECK_TEXT(f.err.tensor, "m", "naming the tensor");
    dfx_io_close(io);
    fixture_fini(&f);
}

/* Blocks by importance are those of each row by itself; rows are more than one
   pull takes, and end within it. */
static void
test_importance(dfx_type type)
{
    enum { ROWS = 11, COLUMNS = 768, ELEMENTS = ROWS * COLUMNS };
    const dfx_codec *codec = dfx_codec_of(type);
    size_t row = (size_t)dfx_type_bytes(type, COLUMNS);
    static float values[ELEMENTS], importance[COLUMNS];
    unsigned char *want = malloc(ROWS * row), *got = malloc(ROWS * row);
    const uint64_t shape[] = {ROWS, COLUMNS};
    dfx_tensor t = {.name = "m",
                    .type = DFX_TYPE_F32,
                    .rank = 2,
                    .shape = shape,
                    .data = {.size = sizeof values}};
    const dfx_expr *m = NULL, *x = NULL;
    uint64_t state = 7;
    fixture f;
    dfx_io *io = NULL;

    for (size_t i = 0; i < ELEMENTS; i++)
        values[i] = (float)(scratch_random(&state) >> 40) * 0x1p-24f - 0.5f;
    for (size_t i = 0; i < COLUMNS; i++)
        importance[i] = (float)(scratch_random(&state) >> 40);
    for (size_t r = 0; r < ROWS; r++)
        CHECK(codec->encode(values + COLUMNS * r, importance, want + row * r,
                            COLUMNS),
              "a row");
    fixture_init(&f);
    CHECK_U64(dfx_io_open_memory(values, sizeof values, "m", &io, &f.err),
              DFX_OK, "numbers");
    t.data.io = io;
    CHECK_U64(dfx_expr_tensor(&f.arena, &t, &m, &f.err), DFX_OK, "a matrix");
    CHECK_U64(dfx_expr_quantize(&f.arena, m, type, importance, &x, &f.err),
              DFX_OK, "quantized by importance");
    CHECK_U64(dfx_expr_pull_bytes(x, 0, ROWS * row, got, &f.err), DFX_OK,
              "pulled");
    CHECK(memcmp(got, want, ROWS * row) == 0, "is its rows");
    CHECK_U64(dfx_expr_pull_bytes(x, 2 * row - 300, row, got, &f.err), DFX_OK,
              "a part");
    CHECK(memcmp(got, want + 2 * row - 300, row) == 0, "is that part of them");
    dfx_io_close(io);
    fixture_fini(&f);
    free(want);
    free(got);
}

static void
check_refused(fixture *f, dfx_status status, const char *text, const char *what)
{
    CHECK_U64(status, DFX_ERR_FORMAT, what);
    CHECK_TEXT(f->err.rule, "expr.shape", "by this rule");
    CHECK_TEXT(f->err.text, text, "saying this");
}

static void
test_refused(void)
{
    const uint64_t six[] = {2, 3}, many[] = {200};
    const dfx_expr *m, *x = NULL, *parts[2];
    dfx_tensor t = {.name = "short",
                    .type = DFX_TYPE_U8,
                    .rank = 2,
                    .shape = six,
                    .data = {.size = 5}};
    fixture f;

    fixture_init(&f);
    m = matrix(&f, DFX_TYPE_U8, 0, 4, 2);
    t.data.io = f.io;
    check_refused(&f, dfx_expr_tensor(&f.arena, &t, &x, &f.err),
                  "5 bytes where its shape needs 6", "a tensor too short");
    check_refused(&f, dfx_expr_rows(&f.arena, m, 3, 2, &x, &f.err),
                  "rows 3 + 2 are not inside its 4", "rows outside");
    check_refused(&f, dfx_expr_rows(&f.arena, m, 1, UINT64_MAX, &x, &f.err),
                  "rows 1 + 18446744073709551615 are not inside its 4",
                  "rows that overflow");
    check_refused(&f,
                  dfx_expr_rows(&f.arena, matrix(&f, DFX_TYPE_F4, 0, 4, 1), 1,
                                2, &x, &f.err),
                  "row 1 starts within a byte", "half a byte");
    parts[0] = m;
    parts[1] = matrix(&f, DFX_TYPE_I8, 0, 4, 2);
    check_refused(&f, dfx_expr_concat(&f.arena, parts, 2, &x, &f.err),
                  "is I8, and what it is stacked on is U8", "two types");
    parts[1] = matrix(&f, DFX_TYPE_U8, 0, 2, 4);
    check_refused(&f, dfx_expr_concat(&f.arena, parts, 2, &x, &f.err),
                  "its rows differ in shape from those it is stacked on",
                  "two shapes");
    check_refused(&f, dfx_expr_reshape(&f.arena, m, 2, six, &x, &f.err),
                  "has 8 elements where the new shape has 6", "another count");
    check_refused(&f,
                  dfx_expr_transpose(&f.arena, matrix(&f, DFX_TYPE_F4, 0, 4, 2),
                                     &x, &f.err),
                  "F4 elements are no whole bytes", "a transpose of halves");
    check_refused(&f,
                  dfx_expr_arange(&f.arena, DFX_TYPE_I8, 1, many, &x, &f.err),
                  "0 to 199 do not fit I8", "numbers too large");
    check_refused(&f,
                  dfx_expr_const(&f.arena, DFX_TYPE_F4, 1, many, 1, &x, &f.err),
                  "no numbers can be made in F4", "a type without numbers");
    CHECK_U64(dfx_expr_rows(&f.arena, m, 4, 0, &x, &f.err), DFX_OK,
              "no rows at the end are fine");
    CHECK_TEXT(spell(x), "", "and are nothing");
    fixture_fini(&f);
}

int
main(void)
{
    scratch_enter();
    test_by_hand();
    test_cast();
    test_importance(DFX_TYPE_Q4_0);
    test_importance(DFX_TYPE_Q4_K);
    test_refused();
    test_random();
    return tap_end();
}
