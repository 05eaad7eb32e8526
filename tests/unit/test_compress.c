/*
 * test_compress.c - zstd streams there and back, and what is no stream
 */
#include <config.h>

#include <fcntl.h>

#include "compress.h"
#include "scratch.h"
#include "tap.h"

enum { SIZE = 3000000 };

static unsigned char data[SIZE];

/* The first size bytes compressed into a file, in writes of step. */
static void
write_stream(const char *path, size_t size, size_t step)
{
    int fd = open(path, O_CREAT | O_RDWR | O_TRUNC, 0666);
    dfx_compressor *c = NULL;
    bool good = fd >= 0 && dfx_compressor_new(fd, size, 0, &c, NULL) == DFX_OK;

    for (size_t at = 0; at < size && good; at += step)
        good = dfx_compressor_write(c, data + at,
                                    size - at < step ? size - at : step,
                                    NULL) == DFX_OK;
    CHECK(good && dfx_compressor_end(c, NULL) == DFX_OK, path);
    dfx_compressor_free(c);
    close(fd);
}

static dfx_status
expand(const void *bytes, size_t size, uint64_t limit, dfx_io **out,
       dfx_error *err)
{
    dfx_io *io = NULL;
    dfx_status status = dfx_io_open_memory(bytes, size, "stream", &io, err);

    if (status == DFX_OK)
        status = dfx_expand(io, limit, NULL, "expanded", out, err);
    dfx_io_close(io);
    return status;
}

static bool
is_data(dfx_io *io, size_t size)
{
    unsigned char *got = malloc(size + 1);
    bool same = dfx_io_size(io) == size &&
                dfx_io_read_at(io, 0, got, size, NULL) == DFX_OK &&
                memcmp(got, data, size) == 0;

    free(got);
    dfx_io_close(io);
    return same;
}

static void
test_faults(unsigned char *stream, size_t size)
{
    dfx_error err = {0};
    dfx_io *io = NULL;
    bool refused = true;

    CHECK(expand(stream, size, SIZE - 1, &io, &err) != DFX_OK &&
              strcmp(err.rule, "zs.limit") == 0,
          "more than is allowed is refused");
    for (size_t cut = 1; cut < size; cut += 1 + size / 50)
        refused = refused && expand(stream, cut, 0, &io, &err) != DFX_OK &&
                  strcmp(err.rule, "zs.frame") == 0;
    CHECK(refused, "so is what is cut");
    stream[size / 2] ^= 4;
    CHECK(expand(stream, size, 0, &io, &err) != DFX_OK &&
              strcmp(err.rule, "zs.frame") == 0,
          "and what is damaged");
}

int
main(void)
{
    unsigned char *one, *two, *both;
    size_t size_one = 0, size_two = 0;
    uint64_t state = 7;
    dfx_io *io = NULL;

    scratch_enter();
    for (size_t i = 0; i < SIZE; i++)
        data[i] = (unsigned char)(scratch_random(&state) & 15);
    write_stream("one", SIZE, SIZE);
    write_stream("two", SIZE, 4097);
    one = scratch_read("one", &size_one);
    two = scratch_read("two", &size_two);
    CHECK(size_one < SIZE, "it is smaller");
    CHECK(size_one == size_two && memcmp(one, two, size_one) == 0,
          "and the same however it was written");
    CHECK(expand(one, size_one, 0, &io, NULL) == DFX_OK && is_data(io, SIZE),
          "it comes back");
    both = malloc(size_one + size_two);
    memcpy(both, one, size_one);
    memcpy(both + size_one, two, size_two);
    CHECK(expand(both, size_one + size_two, 0, &io, NULL) == DFX_OK &&
              dfx_io_size(io) == 2 * (uint64_t)SIZE,
          "two frames are one stream");
    dfx_io_close(io);
    write_stream("none", 0, 1);
    test_faults(one, size_one);
    free(one);
    free(two);
    free(both);
    return tap_end();
}
