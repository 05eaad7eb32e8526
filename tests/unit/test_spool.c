/*
 * test_spool.c - bytes that are kept in memory, then in a file without a name
 */
#include <config.h>

#include <dirent.h>

#include "scratch.h"
#include "spool.h"
#include "tap.h"

enum { CHUNK = 100000 };

static size_t
count_files(void)
{
    DIR *dir = opendir(".");
    size_t count = 0;

    while (dir != NULL && readdir(dir) != NULL)
        count++;
    closedir(dir);
    return count - 2; /* . and .. */
}

/* That many chunks through a spool; each has its number in all bytes. */
static void
test_size(unsigned chunks, const char *what)
{
    static unsigned char chunk[CHUNK], got[CHUNK];
    dfx_spool *spool = NULL;
    dfx_io *io = NULL;
    bool good = dfx_spool_new(".", &spool, NULL) == DFX_OK;

    for (unsigned i = 0; i < chunks && good; i++) {
        memset(chunk, (int)(i & 255), CHUNK);
        good = dfx_spool_write(spool, chunk, CHUNK, NULL) == DFX_OK;
    }
    CHECK(good && dfx_spool_size(spool) == (uint64_t)chunks * CHUNK, what);
    CHECK_U64(count_files(), 0, "no file has a name");
    CHECK(dfx_spool_finish(spool, "called so", &io, NULL) == DFX_OK &&
              dfx_io_size(io) == (uint64_t)chunks * CHUNK,
          "as an io of that size");
    for (unsigned i = 0; i < chunks && good; i++) {
        memset(chunk, (int)(i & 255), CHUNK);
        good = dfx_io_read_at(io, (uint64_t)i * CHUNK, got, CHUNK, NULL) ==
                   DFX_OK &&
               memcmp(got, chunk, CHUNK) == 0;
    }
    CHECK(good, "all bytes are there");
    dfx_io_close(io);
}

int
main(void)
{
    static unsigned char much[1 << 20];
    dfx_spool *spool = NULL;
    dfx_error err = {0};

    scratch_enter();
    test_size(0, "nothing");
    test_size(1, "little");
    test_size(300, "much"); /* 30 MB */
    dfx_spool_free(NULL);
    CHECK(dfx_spool_new("absent", &spool, NULL) == DFX_OK &&
              dfx_spool_write(spool, "x", 1, NULL) == DFX_OK,
          "the folder is not looked at for little");
    CHECK(dfx_spool_write(spool, much, sizeof much, &err) != DFX_OK &&
              strcmp(err.rule, "out.write") == 0 &&
              strcmp(err.file, "absent") == 0,
          "for much it is named if it is not there");
    dfx_spool_free(spool);
    return tap_end();
}
