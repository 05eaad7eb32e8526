/*
 * fuzz.h - what the fuzz targets share
 *
 * A target defines LLVMFuzzerTestOneInput and says with REQUIRE what must hold
 * of any input. Built with --enable-fuzzers it is a libFuzzer program; else
 * driver.c makes it a test that runs its seeds, and damaged copies of them.
 * The folders of its seeds stand in the .seeds file of its name.
 */
#ifndef FUZZ_H
#define FUZZ_H

#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <unistd.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#define REQUIRE(cond)                                                          \
    do {                                                                       \
        if (!(cond)) {                                                         \
            fprintf(stderr, "%s:%d: %s does not hold\n", __FILE__, __LINE__,   \
                    #cond);                                                    \
            abort();                                                           \
        }                                                                      \
    } while (0)

/* The path of a file in memory that holds these bytes, until the next call. */
static inline const char *
fuzz_file(const uint8_t *data, size_t size)
{
    static char path[64];
    static int fd = -1;

    if (fd < 0) {
        fd = memfd_create("input", MFD_CLOEXEC);
        snprintf(path, sizeof path, "/proc/self/fd/%d", fd);
    }
    REQUIRE(fd >= 0 && ftruncate(fd, (off_t)size) == 0);
    REQUIRE(pwrite(fd, data, size, 0) == (ssize_t)size);
    return path;
}

#endif
