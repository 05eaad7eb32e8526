/*
 * test_out.c - outputs appear whole or not at all
 */
#include <config.h>

#include "out.h"

#include <dirent.h>

#include "scratch.h"
#include "tap.h"

static const dfx_out_options file = {0};
static const dfx_out_options file_forced = {.force = true};
static const dfx_out_options folder = {.is_folder = true};
/* A format that calls folders with this file its own. */
static bool
has_landmark(const char *const *names, size_t count)
{
    for (size_t i = 0; i < count; i++)
        if (strcmp(names[i], "landmark") == 0)
            return true;
    return false;
}

static const dfx_out_options folder_forced = {
    .is_folder = true, .force = true, .is_ours = has_landmark};

static const dfx_plan_file files[] = {
    {.path = "a"}, {.path = "b/c/d"}, {.path = "bcd/e"}};
static const dfx_out_options folder_again = {
    .is_folder = true, .force = true, .files = files, .file_count = 3};

/* Entries of the scratch folder whose names start like temporaries. */
static unsigned
temporaries(void)
{
    DIR *dir = opendir(".");
    const struct dirent *entry;
    unsigned count = 0;

    while (dir != NULL) {
        entry = readdir(dir);
        if (entry == NULL)
            break;
        count += strncmp(entry->d_name, ".dfx-", 5) == 0;
    }
    closedir(dir);
    return count;
}

/* Writes text to a file of an out. */
static dfx_status
put(dfx_out *out, const char *path, const char *text, dfx_error *err)
{
    size_t size = strlen(text);
    dfx_status status;
    int fd = -1;

    status = dfx_out_file(out, path, size, &fd, err);
    if (status != DFX_OK)
        return status;
    if (pwrite(fd, text, size, 0) != (ssize_t)size)
        return DFX_ERR_IO;
    return dfx_out_close(out, fd, err);
}

/* The whole way for a file, or a folder of the files "a" and "b/c/d". */
static dfx_status
make(const char *dst, const dfx_out_options *options, const char *text,
     dfx_error *err)
{
    dfx_out *out = NULL;
    dfx_status status = dfx_out_begin(dst, options, &out, err);

    if (status != DFX_OK)
        return status;
    status = put(out, options->is_folder ? "a" : "", text, err);
    if (status == DFX_OK && options->is_folder)
        status = put(out, "b/c/d", text, err);
    if (status == DFX_OK)
        return dfx_out_commit(out, err);
    dfx_out_abort(out);
    return status;
}

static void
test_file(void)
{
    dfx_out *out = NULL;
    struct stat st;
    mode_t mask = umask(027);
    unsigned char *data;
    size_t size = 0;
    dfx_error err;
    int fd = -1;

    CHECK_U64(dfx_out_begin("one", &file, &out, &err), DFX_OK, "a file");
    CHECK_U64(temporaries(), 1, "has a temporary");
    CHECK_U64(dfx_out_file(out, "", 5, &fd, &err), DFX_OK, "is opened");
    CHECK(pwrite(fd, "ab", 2, 0) == 2, "and written");
    CHECK_U64(dfx_out_close(out, fd, &err), DFX_OK, "and closed");
    CHECK(access("one", F_OK) != 0, "the target is not there yet");
    CHECK_U64(dfx_out_commit(out, &err), DFX_OK, "committed");
    umask(mask);
    CHECK(stat("one", &st) == 0 && st.st_size == 5, "has its final size");
    CHECK_U64(st.st_mode & 0777, 0640, "and the mode that the umask leaves");
    data = scratch_read("one", &size);
    CHECK(data != NULL && memcmp(data, "ab\0\0", 5) == 0,
          "zeros follow what was written");
    free(data);
    CHECK_U64(temporaries(), 0, "no temporary is left");

    CHECK_U64(make("one", &file, "new", &err), DFX_ERR_IO, "it is there");
    CHECK_TEXT(err.rule, "out.exists", "by this rule");
    CHECK_TEXT(err.file, "one", "and named");
    CHECK_U64(make("one", &folder_forced, "new", &err), DFX_ERR_IO,
              "no folder replaces it");
    CHECK_U64(make("one", &file_forced, "new", &err), DFX_OK,
              "with force it is replaced");
    CHECK(scratch_is("one", "new"), "whole");
    CHECK_U64(temporaries(), 0, "no temporary is left");
}

static void
test_abort(void)
{
    dfx_out *out = NULL;
    dfx_error err;

    CHECK_U64(make("kept", &file, "old", &err), DFX_OK, "a file");
    CHECK_U64(dfx_out_begin("kept", &file_forced, &out, &err), DFX_OK,
              "about to be replaced");
    CHECK_U64(put(out, "", "half", &err), DFX_OK, "written in part");
    dfx_out_abort(out);
    CHECK(scratch_is("kept", "old"), "given up, it is what it was");
    CHECK_U64(temporaries(), 0, "no temporary is left");

    CHECK_U64(dfx_out_begin("gone", &folder, &out, &err), DFX_OK, "a folder");
    CHECK_U64(put(out, "x/y", "half", &err), DFX_OK, "written in part");
    dfx_out_abort(out);
    CHECK(access("gone", F_OK) != 0, "given up, it is not there");
    CHECK_U64(temporaries(), 0, "no temporary is left");
    dfx_out_abort(NULL);
}

/* Somebody puts something of his own where our temporary was. */
static void
test_not_ours(void)
{
    dfx_out *out = NULL;
    char name[300] = "";
    const struct dirent *entry;
    DIR *dir;
    dfx_error err;

    CHECK_U64(dfx_out_begin("mine", &file, &out, &err), DFX_OK, "a file");
    dir = opendir(".");
    for (entry = readdir(dir); entry != NULL; entry = readdir(dir))
        if (strncmp(entry->d_name, ".dfx-", 5) == 0)
            snprintf(name, sizeof name, "%s", entry->d_name);
    closedir(dir);
    CHECK(rename(name, "moved") == 0, "its temporary is moved away");
    scratch_write(name, "yours", 5);
    CHECK_U64(dfx_out_commit(out, &err), DFX_ERR_IO, "it cannot be committed");
    CHECK(access("mine", F_OK) != 0, "nothing took its name");
    CHECK(scratch_is(name, "yours"), "and what is there now stays");
    CHECK(remove(name) == 0 && remove("moved") == 0, "clean");
}

/* What appears at the target after the beginning is not overwritten. */
static void
test_race(void)
{
    dfx_out *out = NULL;
    dfx_error err;

    CHECK_U64(dfx_out_begin("race", &file, &out, &err), DFX_OK, "a file");
    scratch_write("race", "first", 5);
    CHECK_U64(dfx_out_commit(out, &err), DFX_ERR_IO, "another was faster");
    CHECK_TEXT(err.rule, "out.exists", "by this rule");
    CHECK(scratch_is("race", "first"), "and stays");
    CHECK_U64(dfx_out_begin("fold", &folder_forced, &out, &err), DFX_OK,
              "a folder");
    CHECK(mkdir("fold", 0777) == 0, "that");
    scratch_write("fold/thesis", "years", 5);
    CHECK_U64(dfx_out_commit(out, &err), DFX_ERR_IO, "somebody else made");
    CHECK(scratch_is("fold/thesis", "years"), "stays even with force");
    CHECK_U64(temporaries(), 0, "no temporary is left");
}

static void
test_folder(void)
{
    dfx_out *out = NULL;
    dfx_error err;

    CHECK_U64(make("dir/", &folder, "one", &err), DFX_OK, "a folder");
    CHECK(scratch_is("dir/a", "one") && scratch_is("dir/b/c/d", "one"),
          "with its files");
    CHECK_U64(make("dir", &folder, "two", &err), DFX_ERR_IO, "it is there");
    CHECK_U64(make("dir", &folder_forced, "two", &err), DFX_ERR_IO,
              "force replaces no folder that is not a model");
    CHECK_TEXT(err.text, "is a folder that holds no model at its top",
               "saying this");
    CHECK(scratch_is("dir/a", "one"), "it is what it was");
    CHECK_U64(make("dir", &file_forced, "two", &err), DFX_ERR_IO,
              "nor is a folder replaced by a file");
    scratch_write("dir/landmark", "{}", 2);
    CHECK_U64(make("dir", &folder_forced, "two", &err), DFX_OK,
              "a model is replaced");
    CHECK(scratch_is("dir/a", "two"), "whole");
    CHECK(access("dir/landmark", F_OK) != 0, "nothing old is in it");
    CHECK_U64(temporaries(), 0, "and the old one is gone");
    CHECK_U64(make("dir", &folder_again, "three", &err), DFX_OK,
              "and so is what has only names that come again");
    CHECK(scratch_is("dir/b/c/d", "three"), "whole");
    scratch_write("dir/bc", "mine", 4);
    CHECK_U64(make("dir", &folder_again, "four", &err), DFX_ERR_IO,
              "but not if there is one more");
    CHECK(scratch_is("dir/bc", "mine"), "which would be lost");
    CHECK(mkdir("void", 0777) == 0, "an empty folder");
    CHECK_U64(make("void", &folder, "x", &err), DFX_ERR_IO, "is there");
    CHECK_U64(make("void", &folder_forced, "x", &err), DFX_OK,
              "and is replaced by force");
    CHECK(scratch_is("void/a", "x"), "whole");

    CHECK_U64(dfx_out_begin("clash", &folder, &out, &err), DFX_OK, "a folder");
    CHECK_U64(put(out, "a", "x", &err), DFX_OK, "with a file");
    CHECK_U64(put(out, "a/b", "x", &err), DFX_ERR_IO, "is no folder too");
    CHECK_U64(put(out, "a", "x", &err), DFX_ERR_IO, "and is made once");
    dfx_out_abort(out);
}

static void
test_links(void)
{
    char to[8] = "";
    dfx_error err;

    scratch_write("blob", "blob", 4);
    CHECK(symlink("blob", "link") == 0, "a link to a file");
    CHECK_U64(make("link", &file, "new", &err), DFX_ERR_IO, "is there");
    CHECK_U64(make("link", &file_forced, "new", &err), DFX_OK,
              "and is replaced by force");
    CHECK(readlink("link", to, sizeof to) < 0 && scratch_is("link", "new"),
          "itself");
    CHECK(scratch_is("blob", "blob"), "not what it led to");
    CHECK(symlink("store", "way") == 0 && mkdir("store", 0777) == 0,
          "a link to a folder");
    scratch_write("store/x", "x", 1);
    CHECK_U64(make("way", &folder_forced, "new", &err), DFX_OK,
              "is replaced by force");
    CHECK(scratch_is("way/a", "new") && scratch_is("store/x", "x"),
          "itself too");
    CHECK_U64(temporaries(), 0, "no temporary is left");
}

static void
test_names(void)
{
    static const char *const bad[] = {"/", ".", "..", "x/..", ""};
    dfx_error err;

    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++)
        CHECK_U64(make(bad[i], &file_forced, "x", &err), DFX_ERR_USAGE, bad[i]);
    CHECK_U64(make("no/where", &file, "x", &err), DFX_ERR_IO,
              "the folder must be there");
    CHECK_TEXT(err.rule, "out.write", "by this rule");
    CHECK_TEXT(err.file, "no/where", "naming the target");
    CHECK(mkfifo("pipe", 0666) == 0, "a pipe");
    CHECK_U64(make("pipe", &file_forced, "x", &err), DFX_ERR_IO,
              "is never replaced");
}

static void
test_inputs(void)
{
    dfx_error err;

    CHECK(mkdir("in", 0777) == 0 && mkdir("in/unet", 0777) == 0, "an input");
    scratch_write("in/unet/w", "w", 1);
    CHECK(link("in/unet/w", "twin") == 0, "with a second name");
    CHECK_U64(dfx_out_check_input("in/unet/w", "in/unet/w", &err),
              DFX_ERR_USAGE, "is no target");
    CHECK_TEXT(err.rule, "", "a mistake of the caller's, no fault of a file");
    CHECK_U64(dfx_out_check_input("twin", "in/unet/w", &err), DFX_ERR_USAGE,
              "by no other name");
    CHECK_U64(dfx_out_check_input("in", "in/unet/w", &err), DFX_ERR_USAGE,
              "nor the folder that it is in");
    CHECK_U64(dfx_out_check_input("in/../in", "in/unet", &err), DFX_ERR_USAGE,
              "however spelled");
    CHECK_U64(dfx_out_check_input("in/new", "in/unet", &err), DFX_OK,
              "a new name beside it is fine");
    CHECK_U64(dfx_out_check_input("blob", "in/unet/w", &err), DFX_OK,
              "and so is another file");
}

/* The bytes and names are the same; that they are on the disk shows only when
   the power fails. */
static void
test_sync(void)
{
    const dfx_out_options sync = {.is_folder = true, .sync = true};
    dfx_error err;

    CHECK_U64(make("safe", &sync, "x", &err), DFX_OK, "a folder synced");
    CHECK(scratch_is("safe/b/c/d", "x"), "is whole");
}

int
main(void)
{
    scratch_enter();
    test_file();
    test_abort();
    test_not_ours();
    test_race();
    test_folder();
    test_links();
    test_names();
    test_inputs();
    test_sync();
    return tap_end();
}
