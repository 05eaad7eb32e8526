/*
 * place.c - files of the file system and of mounted archives
 */
#include <config.h>

#include "place.h"

#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static int
compare_member(const void *a, const void *b)
{
    const char *path = a;
    const dfx_member *member = b;

    return strcmp(path, member->path);
}

const dfx_member *
dfx_place_member(const dfx_place *place)
{
    const dfx_mount *mount = place->mount;
    size_t size;

    if (mount == NULL || mount->count == 0)
        return NULL;
    size = strlen(mount->root);
    if (strncmp(place->path, mount->root, size) != 0 ||
        place->path[size] != '/')
        return NULL;
    return bsearch(place->path + size + 1, mount->members, mount->count,
                   sizeof *mount->members, compare_member);
}

bool
dfx_place_exists(const dfx_place *place)
{
    if (place->mount != NULL)
        return dfx_place_member(place) != NULL;
    return access(place->path, F_OK) == 0;
}

bool
dfx_place_is_folder(const dfx_place *place)
{
    struct stat st;

    if (place->mount != NULL)
        return strcmp(place->path, place->mount->root) == 0;
    return stat(place->path, &st) == 0 && S_ISDIR(st.st_mode);
}

dfx_status
dfx_place_open(const dfx_place *place, dfx_io **io, dfx_error *err)
{
    const dfx_member *member;
    dfx_status status;

    if (place->mount == NULL)
        return dfx_io_open_file(place->path, io, err);
    member = dfx_place_member(place);
    if (member != NULL)
        return dfx_io_open_slice(member->data.io, member->data.offset,
                                 member->data.size, io, err);
    status =
        dfx_fail(err, DFX_RULE_IO_OPEN, DFX_NO_OFFSET, "is not in the archive");
    dfx_error_in_file(err, place->path);
    return status;
}
