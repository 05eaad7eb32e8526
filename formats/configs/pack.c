/*
 * pack.c - packs the JSON files of this folder into C, at build time
 *
 * Usage: pack FOLDER > packed.inc
 *
 * Takes the files of each folder in FOLDER, sorted by path, and prints the two
 * tables of dfx_packed (lib/configs.h). Small files share one zstd frame; a
 * large one, the merges of the tokenizer, has a frame of its own, so that
 * reading a config does not cost unpacking it. The output depends on the files
 * and on the version of zstd alone.
 */
#include <dirent.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <zstd.h>

enum {
    LARGE = 64 << 10, /* bytes from which a file has its own frame */
    LEVEL = 19,
    BYTES_A_LINE = 19
};

typedef struct item {
    char *path; /* relative to the folder */
    char *data;
    size_t size;
    size_t frame, offset;
} item;

static item *items;
static size_t item_count;
static size_t frame_count;

static _Noreturn void
die(const char *what)
{
    fprintf(stderr, "pack: %s: %s\n", what, strerror(errno));
    exit(1);
}

static void *
resize(void *memory, size_t size)
{
    void *larger = realloc(memory, size);

    if (larger == NULL)
        die("memory");
    return larger;
}

/* An empty folder is the place itself. */
static char *
join(const char *folder, const char *name)
{
    size_t size = strlen(folder) + strlen(name) + 2;
    char *path = resize(NULL, size);

    snprintf(path, size, "%s%s%s", folder, folder[0] == '\0' ? "" : "/", name);
    return path;
}

static void
load(const char *path, const char *file, size_t size)
{
    FILE *in = fopen(file, "rb");
    item it = {.path = join("", path), .size = size};

    if (in == NULL)
        die(file);
    it.data = resize(NULL, size + 1);
    if (fread(it.data, 1, size, in) != size)
        die(file);
    fclose(in);
    items = resize(items, (item_count + 1) * sizeof *items);
    items[item_count++] = it;
}

/* The program's own sources lie in the folder itself: only subfolders count. */
static void
walk(const char *folder, const char *prefix)
{
    DIR *dir = opendir(folder);

    if (dir == NULL)
        die(folder);
    for (;;) {
        const struct dirent *entry = readdir(dir);
        struct stat st;
        char *file, *path;

        if (entry == NULL)
            break;
        if (entry->d_name[0] == '.')
            continue;
        file = join(folder, entry->d_name);
        path = join(prefix, entry->d_name);
        if (stat(file, &st) != 0)
            die(file);
        if (S_ISDIR(st.st_mode))
            walk(file, path);
        else if (prefix[0] != '\0')
            load(path, file, (size_t)st.st_size);
        free(path);
        free(file);
    }
    closedir(dir);
}

static int
by_path(const void *a, const void *b)
{
    return strcmp(((const item *)a)->path, ((const item *)b)->path);
}

static void
print_frame(const char *raw, size_t raw_size)
{
    size_t bound = ZSTD_compressBound(raw_size);
    unsigned char *packed = resize(NULL, bound);
    size_t size = ZSTD_compress(packed, bound, raw, raw_size, LEVEL);

    if (ZSTD_isError(size)) {
        fprintf(stderr, "pack: %s\n", ZSTD_getErrorName(size));
        exit(1);
    }
    printf("static const unsigned char frame_%zu[%zu] = {", frame_count, size);
    for (size_t i = 0; i < size; i++)
        printf("%s%u,", i % BYTES_A_LINE == 0 ? "\n" : "", packed[i]);
    printf("\n};\nenum { RAW_SIZE_%zu = %zu };\n", frame_count, raw_size);
    frame_count++;
    free(packed);
}

static void
print_frames(void)
{
    char *small = NULL;
    size_t small_size = 0;

    for (size_t i = 0; i < item_count; i++) {
        item *it = &items[i];

        if (it->size >= LARGE)
            continue;
        it->frame = 0;
        it->offset = small_size;
        small = resize(small, small_size + it->size + 1);
        memcpy(small + small_size, it->data, it->size);
        small_size += it->size;
    }
    print_frame(small, small_size);
    free(small);
    for (size_t i = 0; i < item_count; i++) {
        if (items[i].size < LARGE)
            continue;
        items[i].frame = frame_count;
        print_frame(items[i].data, items[i].size);
    }
}

static void
print_tables(void)
{
    printf("static const dfx_packed_frame frames[] = {\n");
    for (size_t i = 0; i < frame_count; i++)
        printf("    {frame_%zu, sizeof frame_%zu, RAW_SIZE_%zu},\n", i, i, i);
    printf("};\nstatic const dfx_packed_file files[] = {\n");
    for (size_t i = 0; i < item_count; i++)
        printf("    {\"%s\", %zu, %zu, %zu},\n", items[i].path, items[i].frame,
               items[i].offset, items[i].size);
    printf("};\n");
}

int
main(int argc, char **argv)
{
    if (argc != 2) {
        fprintf(stderr, "Usage: pack FOLDER > packed.inc\n");
        return 2;
    }
    walk(argv[1], "");
    if (item_count == 0) {
        fprintf(stderr, "pack: %s: no files in its folders\n", argv[1]);
        return 1;
    }
    qsort(items, item_count, sizeof *items, by_path);
    printf("/* Made by formats/configs/pack.c. */\n");
    print_frames();
    print_tables();
    for (size_t i = 0; i < item_count; i++) {
        free(items[i].path);
        free(items[i].data);
    }
    free(items);
    if (fflush(stdout) != 0 || ferror(stdout))
        die("output");
    return 0;
}
