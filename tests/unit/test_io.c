/*
 * test_io.c - files, memory, slices
 */
#include <config.h>

#include "io.h"

#include <errno.h>

#include "scratch.h"
#include "tap.h"

static void
test_file(void)
{
    dfx_io *io = NULL;
    char buf[8] = "";
    dfx_error err;
    uint64_t base;

    scratch_write("digits", "0123456789", 10);
    CHECK_U64(dfx_io_open_file("digits", &io, &err), DFX_OK, "a file opens");
    CHECK_U64(dfx_io_size(io), 10, "its size");
    CHECK_TEXT(dfx_io_name(io), "digits", "its name");
    CHECK(dfx_io_memory(io) == NULL, "it is not in memory");
    CHECK(dfx_io_fd(io, &base) >= 0 && base == 0, "it has a descriptor");
    CHECK_U64(dfx_io_read_at(io, 3, buf, 4, &err), DFX_OK, "4 bytes at 3");
    CHECK_TEXT(buf, "3456", "are these");
    CHECK_U64(dfx_io_read_at(io, 10, buf, 0, &err), DFX_OK,
              "no bytes at the end");
    CHECK_U64(dfx_io_read_at(io, 7, buf, 4, &err), DFX_ERR_IO,
              "4 bytes at 7 are too many");
    CHECK_TEXT(err.rule, "io.short", "by this rule");
    CHECK_TEXT(err.file, "digits", "in this file");
    CHECK_TEXT(err.text, "the file ends 1 bytes too early", "by so much");
    CHECK_U64(dfx_io_read_at(io, UINT64_MAX, buf, 4, &err), DFX_ERR_IO,
              "an offset that would overflow is refused");
    CHECK(truncate("digits", 5) == 0, "the file shrinks");
    CHECK_U64(dfx_io_read_at(io, 3, buf, 4, &err), DFX_ERR_IO,
              "and is found too short");
    CHECK_TEXT(err.rule, "io.short", "by the same rule");
    CHECK_U64(err.offset, 5, "from here on");
    dfx_io_close(io);
}

static void
test_what_does_not_open(void)
{
    static const struct {
        const char *path, *text;
    } rows[] = {
        {"nowhere", "No such file or directory"},
        {"folder", "is a folder, not a file"},
        {"fifo", "is not a regular file"},
        {"/dev/null", "is not a regular file"},
    };

    CHECK(mkdir("folder", 0777) == 0 && mkfifo("fifo", 0666) == 0,
          "things that are no files");
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        dfx_io *io = NULL;
        dfx_error err;

        CHECK_U64(dfx_io_open_file(rows[i].path, &io, &err), DFX_ERR_IO,
                  rows[i].path);
        CHECK_TEXT(err.rule, "io.open", "is refused by this rule");
        CHECK_TEXT(err.file, rows[i].path, "with its name");
        CHECK_TEXT(err.text, rows[i].text, "and the reason");
    }
}

static void
test_slices(void)
{
    dfx_io *memory = NULL, *file = NULL, *slice = NULL, *inner = NULL;
    char buf[8] = "";
    dfx_error err;
    uint64_t base;

    scratch_write("letters", "abcdefghij", 10);
    CHECK_U64(dfx_io_open_file("letters", &file, &err), DFX_OK, "a file");
    CHECK_U64(dfx_io_open_slice(file, 2, 6, &slice, &err), DFX_OK, "a slice");
    CHECK_U64(dfx_io_open_slice(slice, 1, 3, &inner, &err), DFX_OK,
              "a slice of it");
    CHECK_U64(dfx_io_read_at(inner, 0, buf, 3, &err), DFX_OK, "is read");
    CHECK_TEXT(buf, "def", "counting from its start");
    CHECK(dfx_io_fd(inner, &base) == dfx_io_fd(file, &base),
          "it has the file's descriptor");
    dfx_io_fd(inner, &base);
    CHECK_U64(base, 3, "and starts here in it");
    CHECK_U64(dfx_io_read_at(inner, 0, buf, 4, &err), DFX_ERR_IO,
              "nothing behind its end, though the file goes on");
    dfx_io_close(inner);
    CHECK_U64(dfx_io_open_slice(slice, 4, 3, &inner, &err), DFX_ERR_USAGE,
              "a slice must lie inside");
    CHECK_U64(dfx_io_open_slice(slice, 1, UINT64_MAX, &inner, &err),
              DFX_ERR_USAGE, "whatever overflows");
    dfx_io_close(slice);
    dfx_io_close(file);

    CHECK_U64(dfx_io_open_memory("ABCDEF", 6, "text", &memory, &err), DFX_OK,
              "memory");
    CHECK_U64(dfx_io_open_slice(memory, 2, 3, &slice, &err), DFX_OK,
              "a slice of memory");
    CHECK(dfx_io_memory(slice) != NULL &&
              memcmp(dfx_io_memory(slice), "CDE", 3) == 0,
          "is memory");
    CHECK_U64(dfx_io_read_at(slice, 1, buf, 2, &err), DFX_OK, "and is read");
    CHECK(memcmp(buf, "DE", 2) == 0, "from its start");
    CHECK(dfx_io_fd(slice, &base) == -1, "it has no descriptor");
    dfx_io_close(slice);
    dfx_io_close(memory);
    dfx_io_close(NULL);
}

static void
test_extent(void)
{
    dfx_io *io = NULL;
    char buf[4] = "";
    dfx_error err;
    dfx_extent extent;

    CHECK_U64(dfx_io_open_memory("ABCDEF", 6, "text", &io, &err), DFX_OK,
              "memory");
    extent = (dfx_extent){.io = io, .offset = 1, .size = 3};
    CHECK_U64(dfx_extent_read(&extent, 1, buf, 2, &err), DFX_OK,
              "an extent is read");
    CHECK_TEXT(buf, "CD", "from its start");
    CHECK_U64(dfx_extent_read(&extent, 1, buf, 3, &err), DFX_ERR_USAGE,
              "and not behind its end");
    dfx_io_close(io);
}

int
main(void)
{
    scratch_enter();
    test_file();
    test_what_does_not_open();
    test_slices();
    test_extent();
    return tap_end();
}
