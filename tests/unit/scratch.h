/*
 * scratch.h - a folder of a test's own, and files in it
 */
#ifndef SCRATCH_H
#define SCRATCH_H

#include <ftw.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static char scratch_folder[256];

static inline int
scratch_remove(const char *path, const struct stat *st, int kind,
               struct FTW *where)
{
    (void)st;
    (void)kind;
    (void)where;
    return remove(path);
}

/* Removes a file or a folder with all in it, if it is there. */
static inline void
scratch_clear(const char *path)
{
    nftw(path, scratch_remove, 16, FTW_DEPTH | FTW_PHYS);
}

static inline void
scratch_leave(void)
{
    if (chdir("/") == 0)
        scratch_clear(scratch_folder);
}

/* Makes the folder, goes there, and removes it when the test ends. */
static inline void
scratch_enter(void)
{
    const char *tmp = getenv("TMPDIR");

    snprintf(scratch_folder, sizeof scratch_folder, "%s/dfx-test-XXXXXX",
             tmp != NULL ? tmp : "/tmp");
    if (mkdtemp(scratch_folder) == NULL || chdir(scratch_folder) != 0) {
        printf("Bail out! no scratch folder\n");
        exit(1);
    }
    atexit(scratch_leave);
}

/* Makes the folders above path, which is relative. */
static inline void
scratch_parents(const char *path)
{
    char copy[512];

    snprintf(copy, sizeof copy, "%s", path);
    for (char *p = strchr(copy, '/'); p != NULL; p = strchr(p + 1, '/')) {
        *p = '\0';
        mkdir(copy, 0777);
        *p = '/';
    }
}

static inline void
scratch_write(const char *path, const void *data, size_t size)
{
    FILE *f = fopen(path, "wb");

    if (f == NULL || fwrite(data, 1, size, f) != size || fclose(f) != 0) {
        printf("Bail out! cannot write %s\n", path);
        exit(1);
    }
}

/* The bytes of a file and a NUL, or NULL; free() them. */
static inline unsigned char *
scratch_read(const char *path, size_t *size)
{
    FILE *f = fopen(path, "rb");
    unsigned char *data = NULL;
    struct stat st;

    if (f == NULL)
        return NULL;
    if (fstat(fileno(f), &st) == 0 && S_ISREG(st.st_mode)) {
        *size = (size_t)st.st_size;
        data = calloc(1, *size + 1);
        if (data != NULL && fread(data, 1, *size, f) != *size) {
            free(data);
            data = NULL;
        }
    }
    fclose(f);
    return data;
}

static inline bool
scratch_is(const char *path, const char *text)
{
    size_t size = 0;
    unsigned char *data = scratch_read(path, &size);
    bool same =
        data != NULL && size == strlen(text) && memcmp(data, text, size) == 0;

    free(data);
    return same;
}

/* A fixed sequence that looks random (splitmix64), so that a failure comes
   back. */
static inline uint64_t
scratch_random(uint64_t *state)
{
    uint64_t z = *state += 0x9e3779b97f4a7c15;

    z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9;
    z = (z ^ (z >> 27)) * 0x94d049bb133111eb;
    return z ^ (z >> 31);
}

#endif
