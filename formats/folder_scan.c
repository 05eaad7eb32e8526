/*
 * folder_scan.c - every file of a folder, without leaving it
 */
#include <config.h>

#include "folder.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "json.h"

enum {
    MAX_LEVELS = 16,
    /* Each plain file stays open as long as the index, and 1024 descriptors are
       a usual limit. Real folders have tens. */
    MAX_FILES = 512
};

typedef struct scanner {
    dfx_folder *folder;
    dfx_index *index;
    size_t plain; /* files that are not weights */
} scanner;

static int
compare_entries(const void *a, const void *b)
{
    const dfx_folder_entry *x = a, *y = b;

    return strcmp(x->path, y->path);
}

static dfx_status
add_entry(scanner *s, const char *path, const char *name, dfx_error *err)
{
    dfx_folder *folder = s->folder;
    dfx_folder_entry *entry;

    if (!dfx_grow(&folder->entries, &folder->capacity, folder->count,
                  sizeof *entry))
        return dfx_fail_nomem(err);
    entry = &folder->entries[folder->count++];
    *entry = (dfx_folder_entry){.path = path,
                                .is_weights = dfx_folder_is_weights(name)};
    if (!entry->is_weights && ++s->plain > MAX_FILES)
        return dfx_fail(err, DFX_RULE_FOLDER_LIMIT, DFX_NO_OFFSET,
                        "more than %d files that are not weights", MAX_FILES);
    return DFX_OK;
}

/* How a file that is left out is spoken of; NULL for regular files. */
static const char *
strangeness(const struct stat *st, bool is_link)
{
    if (S_ISREG(st->st_mode))
        return NULL;
    if (S_ISDIR(st->st_mode))
        return "a link to a folder, which is not followed";
    return is_link ? "a link to no file" : "no regular file";
}

static dfx_status scan_level(scanner *s, const char *path, unsigned level,
                             dfx_error *err);

/* path is relative to the root, name its last part in the open folder. */
static dfx_status
scan_entry(scanner *s, int folder, const char *path, const char *name,
           unsigned level, dfx_error *err)
{
    struct stat st;
    const char *strange;
    bool is_link;

    if (fstatat(folder, name, &st, AT_SYMLINK_NOFOLLOW) != 0)
        return dfx_fail_io(err, errno, "%s cannot be looked at", path);
    if (S_ISDIR(st.st_mode))
        return name[0] == '.' ? DFX_OK : scan_level(s, path, level + 1, err);
    is_link = S_ISLNK(st.st_mode);
    if (is_link && fstatat(folder, name, &st, 0) != 0)
        return dfx_index_warn(s->index, err, "%s: a link to nothing", path);
    strange = strangeness(&st, is_link);
    if (strange != NULL)
        return dfx_index_warn(s->index, err, "%s: %s", path, strange);
    return add_entry(s, path, name, err);
}

/* What nobody means to be part of a model: temporaries of interrupted writes.
 */
static bool
is_ignored(const char *name)
{
    return strcmp(name, ".") == 0 || strcmp(name, "..") == 0 ||
           strncmp(name, ".dfx-", 5) == 0;
}

static dfx_status
scan_names(scanner *s, DIR *dir, const char *path, unsigned level,
           dfx_error *err)
{
    dfx_status status = DFX_OK;

    while (status == DFX_OK) {
        const struct dirent *found;
        const char *inner;

        errno = 0;
        found = readdir(dir);
        if (found == NULL)
            return errno == 0 ? DFX_OK
                              : dfx_fail_io(err, errno, "cannot be listed");
        if (is_ignored(found->d_name))
            continue;
        if (!dfx_utf8_valid(found->d_name, strlen(found->d_name), NULL)) {
            status = dfx_index_warn(s->index, err,
                                    "a file in \"%s\" is left out: its name is "
                                    "not UTF-8",
                                    path);
            continue;
        }
        inner = dfx_arena_printf(&s->index->arena, "%s%s%s", path,
                                 path[0] != '\0' ? "/" : "", found->d_name);
        status = inner == NULL ? dfx_fail_nomem(err)
                               : scan_entry(s, dirfd(dir), inner, found->d_name,
                                            level, err);
    }
    return status;
}

/* Recursion ends at MAX_LEVELS. path is "" for the root. */
static dfx_status
scan_level(scanner *s, const char *path, unsigned level, dfx_error *err)
{
    dfx_status status;
    char *whole;
    DIR *dir;

    if (level > MAX_LEVELS)
        return dfx_fail(err, DFX_RULE_FOLDER_LIMIT, DFX_NO_OFFSET,
                        "folders are nested more than %d deep", MAX_LEVELS);
    whole = dfx_arena_printf(&s->index->arena, "%s/%s", s->folder->root, path);
    if (whole == NULL)
        return dfx_fail_nomem(err);
    dir = opendir(whole);
    if (dir == NULL) {
        status = dfx_fail_io(err, errno, "cannot be listed");
    } else {
        status = scan_names(s, dir, path, level, err);
        closedir(dir);
    }
    if (status != DFX_OK)
        dfx_error_in_file(err, whole);
    return status;
}

/* An archive's members, whose names its reader has checked. */
static dfx_status
scan_mount(scanner *s, dfx_error *err)
{
    const dfx_mount *mount = s->folder->mount;

    for (size_t i = 0; i < mount->count; i++) {
        const char *path = mount->members[i].path;
        const char *slash = strrchr(path, '/');

        DFX_TRY(add_entry(s, path, slash != NULL ? slash + 1 : path, err));
    }
    return DFX_OK;
}

dfx_status
dfx_folder_scan(dfx_folder *folder, dfx_index *index, dfx_error *err)
{
    scanner s = {.folder = folder, .index = index};

    DFX_TRY(folder->mount != NULL ? scan_mount(&s, err)
                                  : scan_level(&s, "", 0, err));
    if (folder->count > 0)
        qsort(folder->entries, folder->count, sizeof *folder->entries,
              compare_entries);
    return DFX_OK;
}

dfx_place
dfx_folder_place(const dfx_folder *folder, const char *path, dfx_arena *arena)
{
    return (dfx_place){
        .path = dfx_arena_printf(arena, "%s/%s", folder->root, path),
        .mount = folder->mount,
    };
}

dfx_folder_entry *
dfx_folder_find(const dfx_folder *folder, const char *path)
{
    const dfx_folder_entry key = {.path = path};

    if (folder->count == 0)
        return NULL;
    return bsearch(&key, folder->entries, folder->count,
                   sizeof *folder->entries, compare_entries);
}

bool
dfx_folder_has(const dfx_folder *folder, const char *name)
{
    size_t size = strlen(name);

    for (size_t i = 0; i < folder->count; i++)
        if (strncmp(folder->entries[i].path, name, size) == 0 &&
            folder->entries[i].path[size] == '/')
            return true;
    return false;
}

void
dfx_folder_fini(dfx_folder *folder)
{
    free(folder->entries);
    folder->entries = NULL;
}
