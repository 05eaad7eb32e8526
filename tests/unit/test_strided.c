/*
 * test_strided.c - views with strides against a copy element by element
 */
#include <config.h>

#include <inttypes.h>

#include "io.h"
#include "memory.h"

#include "scratch.h"
#include "tap.h"
#include "types.h"

enum { BASE = 3 << 20, MAX_RANK = 5 };

typedef struct fixture {
    unsigned char *bytes;
    dfx_io *base;
    uint64_t seed;
} fixture;

static uint64_t
below(fixture *f, uint64_t limit)
{
    return scratch_random(&f->seed) % limit;
}

/* The elements of a view, one after the other. */
static unsigned char *
expected(const fixture *f, const dfx_strided *v, size_t element, uint64_t *size)
{
    uint64_t count = 1;
    unsigned char *out;

    for (uint32_t i = 0; i < v->rank; i++)
        count *= v->shape[i];
    *size = count * element;
    out = malloc(*size + 1);
    for (uint64_t k = 0; k < count; k++) {
        uint64_t at = v->offset, rest = k;

        for (uint32_t i = v->rank; i-- > 0;) {
            at += rest % v->shape[i] * v->stride[i];
            rest /= v->shape[i];
        }
        memcpy(out + k * element, f->bytes + at * element, element);
    }
    return out;
}

/* Reads the view whole and in random pieces. */
static bool
reads(fixture *f, const dfx_io *io, const unsigned char *want, uint64_t size)
{
    unsigned char *got = malloc(size + 1);
    bool good = dfx_io_size(io) == size &&
                dfx_io_read_at(io, 0, got, size, NULL) == DFX_OK &&
                memcmp(got, want, size) == 0;

    for (int i = 0; i < 8 && good && size > 0; i++) {
        uint64_t at = below(f, size), n = below(f, size - at) + 1;

        good = dfx_io_read_at(io, at, got, n, NULL) == DFX_OK &&
               memcmp(got, want + at, n) == 0;
    }
    free(got);
    return good;
}

/* Dimensions that stay inside the base, in any order of strides. */
static void
random_view(fixture *f, dfx_strided *v, uint64_t *shape, uint64_t *stride,
            size_t element)
{
    uint64_t room = BASE / element, step = 1;
    uint32_t order[MAX_RANK];

    v->rank = (uint32_t)below(f, MAX_RANK + 1);
    for (uint32_t i = 0; i < v->rank; i++)
        order[i] = i;
    for (uint32_t i = v->rank; i > 1; i--) {
        uint32_t j = (uint32_t)below(f, i), k = order[i - 1];

        order[i - 1] = order[j];
        order[j] = k;
    }
    for (uint32_t i = 0; i < v->rank; i++) {
        uint64_t most = room / step < 1 ? 1 : room / step;
        uint64_t limit = i == 0 && below(f, 3) == 0 ? 3000 : 12;

        shape[order[i]] =
            below(f, 40) == 0 ? 0 : 1 + below(f, most < limit ? most : limit);
        stride[order[i]] = below(f, 8) == 0 ? 0 : step;
        step *= shape[order[i]] > 0 ? shape[order[i]] : 1;
        step *= below(f, 4) == 0 && step < room / 4 ? 1 + below(f, 3) : 1;
    }
    v->offset = 0;
    if (step < room)
        v->offset = below(f, room - step);
    v->shape = shape;
    v->stride = stride;
}

static void
test_random(void)
{
    static const dfx_type types[] = {DFX_TYPE_U8, DFX_TYPE_F16, DFX_TYPE_F32,
                                     DFX_TYPE_I64, DFX_TYPE_C128};
    fixture f = {.seed = 3};
    unsigned wrong = 0;

    f.bytes = malloc(BASE);
    for (size_t i = 0; i < BASE; i++)
        f.bytes[i] = (unsigned char)scratch_random(&f.seed);
    CHECK(dfx_io_open_memory(f.bytes, BASE, "base", &f.base, NULL) == DFX_OK,
          "a storage");
    for (int i = 0; i < 3000; i++) {
        dfx_type type = types[below(&f, 5)];
        size_t element = dfx_type_size(type);
        uint64_t shape[MAX_RANK] = {0}, stride[MAX_RANK] = {0}, size;
        dfx_strided v = {.type = type};
        unsigned char *want;
        dfx_io *io = NULL;

        random_view(&f, &v, shape, stride, element);
        if (dfx_io_open_strided(f.base, &v, &io, NULL) != DFX_OK) {
            wrong++;
            continue;
        }
        want = expected(&f, &v, element, &size);
        wrong += !reads(&f, io, want, size);
        free(want);
        dfx_io_close(io);
    }
    CHECK_U64(wrong, 0, "3000 random views read as they should");
    dfx_io_close(f.base);
    free(f.bytes);
}

/* A matrix of 512 x 700 that is kept transposed, and one row of it. */
static void
test_scattered(void)
{
    static unsigned char bytes[512 * 700 * 4];
    const uint64_t shape[] = {512, 700}, stride[] = {1, 512};
    dfx_strided v = {
        .type = DFX_TYPE_F32, .rank = 2, .shape = shape, .stride = stride};
    fixture f = {.bytes = bytes, .seed = 9};
    unsigned char *want;
    uint64_t size;
    dfx_io *io = NULL;

    for (size_t i = 0; i < sizeof bytes; i++)
        bytes[i] = (unsigned char)scratch_random(&f.seed);
    CHECK(dfx_io_open_memory(bytes, sizeof bytes, "m", &f.base, NULL) ==
                  DFX_OK &&
              dfx_io_open_strided(f.base, &v, &io, NULL) == DFX_OK,
          "a transposed matrix");
    CHECK(dfx_io_is_scattered(io), "is scattered");
    CHECK_U64((uint64_t)(dfx_io_fd(io, &size) + 1), 0,
              "no descriptor leads past it");
    want = expected(&f, &v, 4, &size);
    CHECK(reads(&f, io, want, size), "and read");
    free(want);
    dfx_io_close(io);
    dfx_io_close(f.base);
}

static void
check_elements(dfx_strided v, const void *base, size_t base_size,
               const void *want, size_t size, const char *what)
{
    const uint64_t shape[] = {2}, stride[] = {1};
    unsigned char got[64];
    dfx_io *from = NULL, *io = NULL;

    v.rank = 1;
    v.shape = shape;
    v.stride = stride;
    CHECK(dfx_io_open_memory(base, base_size, "m", &from, NULL) == DFX_OK &&
              dfx_io_open_strided(from, &v, &io, NULL) == DFX_OK &&
              dfx_io_size(io) == size &&
              dfx_io_read_at(io, 0, got, size, NULL) == DFX_OK &&
              memcmp(got, want, size) == 0,
          what);
    CHECK(dfx_io_read_at(io, 1, got, size - 2, NULL) == DFX_OK &&
              memcmp(got, (const char *)want + 1, size - 2) == 0,
          "  also from the middle of an element");
    dfx_io_close(io);
    dfx_io_close(from);
}

static void
test_elements(void)
{
    check_elements((dfx_strided){.type = DFX_TYPE_F32, .big_endian = true},
                   "\1\2\3\4\5\6\7\10", 8, "\4\3\2\1\10\7\6\5", 8,
                   "big-endian");
    check_elements((dfx_strided){.type = DFX_TYPE_C64, .big_endian = true},
                   "\1\2\3\4\5\6\7\10\1\2\3\4\5\6\7\10", 16,
                   "\4\3\2\1\10\7\6\5\4\3\2\1\10\7\6\5", 16,
                   "complex, each half");
    check_elements((dfx_strided){.type = DFX_TYPE_C64, .conjugate = true},
                   "\0\0\x80\x3f\0\0\x80\x3f\0\0\x80\xbf\0\0\x80\xbf", 16,
                   "\0\0\x80\x3f\0\0\x80\xbf\0\0\x80\xbf\0\0\x80\x3f", 16,
                   "conjugate");
    check_elements((dfx_strided){.type = DFX_TYPE_F16, .negate = true},
                   "\0\x3c\0\xbc", 4, "\0\xbc\0\x3c", 4, "negative");
    check_elements((dfx_strided){.type = DFX_TYPE_I16, .negate = true},
                   "\1\0\0\x80", 4, "\xff\xff\0\x80", 4, "of two's complement");
    check_elements((dfx_strided){.type = DFX_TYPE_F32, .offset = 1},
                   "xxxxabcdefgh", 12, "abcdefgh", 8, "with an offset");
}

static void
test_bounds(void)
{
    static const struct {
        uint64_t shape, stride, offset;
        bool good;
    } rows[] = {
        {4, 1, 0, true},           {5, 1, 0, false}, {4, 1, 1, false},
        {2, 3, 0, true},           {2, 4, 0, false}, {0, 9, 9, true},
        {9, 0, 3, true},           {9, 0, 4, false}, {2, UINT64_MAX, 2, false},
        {UINT64_MAX, 0, 0, false},
    };
    dfx_io *base = NULL;

    CHECK(dfx_io_open_memory("0123456789abcdef", 16, "m", &base, NULL) ==
              DFX_OK,
          "a storage of four");
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        dfx_strided v = {.type = DFX_TYPE_F32,
                         .rank = 1,
                         .shape = &rows[i].shape,
                         .stride = &rows[i].stride,
                         .offset = rows[i].offset};
        dfx_io *io = NULL;
        char what[64];

        snprintf(what, sizeof what, "view %zu", i);
        CHECK((dfx_io_open_strided(base, &v, &io, NULL) == DFX_OK) ==
                  rows[i].good,
              what);
        dfx_io_close(io);
    }
    dfx_io_close(base);
}

int
main(void)
{
    test_random();
    test_scattered();
    test_elements();
    test_bounds();
    return tap_end();
}
