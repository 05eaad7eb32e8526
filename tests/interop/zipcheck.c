/*
 * zipcheck.c - a second opinion on archives: libzip's, at its strictest
 *
 * zipcheck FILE...: opens each with ZIP_CHECKCONS and reads every entry, which
 * checks the CRCs. Ends with 1 if libzip minds one.
 */
#include <stdbool.h>
#include <stdio.h>
#include <zip.h>

static bool
reads(zip_t *zip, zip_uint64_t i)
{
    char buf[65536];
    zip_file_t *file = zip_fopen_index(zip, i, 0);
    zip_int64_t n = 0;

    if (file == NULL)
        return false;
    do
        n = zip_fread(file, buf, sizeof buf);
    while (n > 0);
    return zip_fclose(file) == 0 && n == 0;
}

static bool
accepts(const char *path)
{
    int error = 0;
    zip_t *zip = zip_open(path, ZIP_RDONLY | ZIP_CHECKCONS, &error);
    zip_int64_t count;
    bool good = true;

    if (zip == NULL) {
        printf("%s: libzip error %d\n", path, error);
        return false;
    }
    count = zip_get_num_entries(zip, 0);
    for (zip_int64_t i = 0; i < count && good; i++) {
        good = reads(zip, (zip_uint64_t)i);
        if (!good)
            printf("%s: entry %lld: %s\n", path, (long long)i,
                   zip_strerror(zip));
    }
    zip_discard(zip);
    return good && count > 0;
}

int
main(int argc, char **argv)
{
    bool good = true;

    for (int i = 1; i < argc; i++)
        good = accepts(argv[i]) && good;
    return good ? 0 : 1;
}
