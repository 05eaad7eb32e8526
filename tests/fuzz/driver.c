/*
 * driver.c - runs a fuzz target without libFuzzer
 *
 *   fuzz_X                 its seeds and damaged copies, as a test
 *   fuzz_X FILE...         these inputs: how a finding is looked at again
 */
#include <config.h>

#include "fuzz.h"

#include <dirent.h>
#include <string.h>

#include "../unit/scratch.h"
#include "../unit/tap.h"

enum { DAMAGED_COPIES = 100, MAX_SEED = 1 << 20 };

static unsigned char *
load(const char *path, size_t *size)
{
    unsigned char *data = scratch_read(path, size);
    struct stat st;

    if (data == NULL && (stat(path, &st) != 0 || !S_ISDIR(st.st_mode))) {
        printf("Bail out! cannot read %s\n", path);
        exit(99);
    }
    return data;
}

/* Runs a copy in a block of its own size, so that reading past it shows. */
static void
run_copy(const unsigned char *data, size_t size)
{
    unsigned char *copy = malloc(size == 0 ? 1 : size);

    REQUIRE(copy != NULL);
    memcpy(copy, data, size);
    LLVMFuzzerTestOneInput(copy, size);
    free(copy);
}

/* One small change: a byte, a bit, a cut, or a stretch put in twice. */
static size_t
damage(unsigned char *data, size_t size, uint64_t *state)
{
    static const char likely[] = "{}[]\":,0919\\u\xff ";
    size_t at = (size_t)(scratch_random(state) % size), n;

    switch (scratch_random(state) % 4) {
    case 0:
        data[at] = (unsigned char)likely[scratch_random(state) % sizeof likely];
        return size;
    case 1:
        data[at] ^= (unsigned char)(1u << scratch_random(state) % 8);
        return size;
    case 2:
        return at;
    default:
        n = (size_t)(scratch_random(state) % 64);
        if (n > size - at)
            n = size - at;
        memmove(data + at + n, data + at, size - at);
        return size + n;
    }
}

/* The seed, then changes heaped up, begun again every tenth time. */
static void
run_seed(const char *path, const unsigned char *seed, size_t size)
{
    unsigned char *work = malloc(size + DAMAGED_COPIES * 64);
    uint64_t state = size;
    size_t now = 0;

    REQUIRE(work != NULL);
    run_copy(seed, size);
    for (int i = 0; i < DAMAGED_COPIES; i++) {
        if (i % 10 == 0 || now == 0) {
            memcpy(work, seed, size);
            now = size;
        }
        if (now > 0)
            now = damage(work, now, &state);
        run_copy(work, now);
    }
    free(work);
    CHECK(true, path);
}

static void
run_folder(const char *folder)
{
    struct dirent **names = NULL;
    int count = scandir(folder, &names, NULL, alphasort);

    if (count < 0) {
        printf("Bail out! cannot read %s\n", folder);
        exit(99);
    }
    for (int i = 0; i < count; i++) {
        char path[8192];
        unsigned char *data;
        size_t size = 0;

        snprintf(path, sizeof path, "%s/%s", folder, names[i]->d_name);
        free(names[i]);
        data = load(path, &size);
        if (data != NULL && size <= MAX_SEED)
            run_seed(path, data, size);
        free(data);
    }
    free(names);
}

/* The folders in the target's .seeds file, one a line, in the sources. */
static void
run_seeds(const char *program)
{
    const char *srcdir = getenv("srcdir"), *slash = strrchr(program, '/');
    const char *name = slash == NULL ? program : slash + 1;
    char path[4096], line[1024];
    FILE *f;

    if (strncmp(name, "lt-", 3) == 0)
        name += 3; /* libtool's wrapper runs the program by this name */
    if (srcdir == NULL)
        srcdir = ".";
    snprintf(path, sizeof path, "%s/tests/fuzz/%s.seeds", srcdir, name);
    f = fopen(path, "r");
    if (f == NULL) {
        printf("Bail out! cannot read %s\n", path);
        exit(99);
    }
    while (fgets(line, sizeof line, f) != NULL) {
        line[strcspn(line, "\n")] = '\0';
        snprintf(path, sizeof path, "%s/%.1000s", srcdir, line);
        run_folder(path);
    }
    fclose(f);
}

int
main(int argc, char **argv)
{
    for (int i = 1; i < argc; i++) {
        size_t size = 0;
        unsigned char *data = load(argv[i], &size);

        if (data != NULL)
            run_copy(data, size);
        free(data);
        CHECK(true, argv[i]);
    }
    if (argc == 1)
        run_seeds(argv[0]);
    return tap_end();
}
