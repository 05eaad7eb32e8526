/*
 * test_place.c - files in the file system and in a mounted archive
 */
#include <config.h>

#include "place.h"

#include "scratch.h"
#include "tap.h"

static void
test_file_system(void)
{
    const dfx_place file = {.path = "a/b"}, none = {.path = "a/c"};
    const dfx_place folder = {.path = "a"};
    dfx_io *io = NULL;
    dfx_error err;

    scratch_parents("a/b");
    scratch_write("a/b", "bytes", 5);
    CHECK(dfx_place_exists(&file) && !dfx_place_exists(&none), "what is there");
    CHECK(dfx_place_is_folder(&folder) && !dfx_place_is_folder(&file) &&
              !dfx_place_is_folder(&none),
          "what is a folder");
    CHECK(dfx_place_member(&file) == NULL, "no member of anything");
    CHECK_U64(dfx_place_open(&file, &io, &err), DFX_OK, "a file opens");
    CHECK_U64(dfx_io_size(io), 5, "whole");
    dfx_io_close(io);
    CHECK_U64(dfx_place_open(&none, &io, &err), DFX_ERR_IO, "or does not");
}

static void
test_mount(void)
{
    static const char bytes[] = "onetwothree";
    dfx_io *base = NULL, *io = NULL;
    dfx_error err;
    char text[4] = "";

    CHECK_U64(dfx_io_open_memory(bytes, 11, "m.dduf", &base, &err), DFX_OK,
              "an archive");
    {
        const dfx_member members[] = {
            {"a/one", {base, 0, 3}},
            {"a/two", {base, 3, 3}},
            {"three", {base, 6, 5}},
        };
        const dfx_mount mount = {"x/m.dduf", members, 3};
        const dfx_place root = {"x/m.dduf", &mount};
        const dfx_place two = dfx_place_beside(&root, "x/m.dduf/a/two");
        const dfx_place folder = dfx_place_beside(&root, "x/m.dduf/a");
        const dfx_place outside = dfx_place_beside(&root, "a/b");
        const dfx_place near = dfx_place_beside(&root, "x/m.dduf2/a/two");
        const dfx_mount empty = {"x/m.dduf", NULL, 0};
        const dfx_place nothing = {"x/m.dduf/three", &empty};

        CHECK(dfx_place_is_folder(&root), "its root is a folder");
        CHECK(!dfx_place_exists(&folder) && !dfx_place_is_folder(&folder),
              "what members lie in is nothing of its own");
        CHECK(dfx_place_member(&two) == &members[1], "a member is found");
        CHECK(!dfx_place_exists(&outside),
              "a file of the file system is not there");
        CHECK(!dfx_place_exists(&near), "nor what only looks alike");
        CHECK(!dfx_place_exists(&nothing), "nor anything in an empty one");
        CHECK_U64(dfx_place_open(&two, &io, &err), DFX_OK, "it opens");
        CHECK_U64(dfx_io_read_at(io, 0, text, 3, &err), DFX_OK, "reads");
        CHECK_TEXT(text, "two", "its own bytes");
        dfx_io_close(io);
        CHECK_U64(dfx_place_open(&outside, &io, &err), DFX_ERR_IO,
                  "nothing outside opens");
        CHECK_TEXT(err.file, "a/b", "and is named");
    }
    dfx_io_close(base);
}

int
main(void)
{
    scratch_enter();
    test_file_system();
    test_mount();
    return tap_end();
}
