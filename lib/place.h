/*
 * place.h - where a file to read is: in the file system or in an archive
 *
 * An archive is mounted: its members are then files below the path of the
 * archive itself ("model.dduf/unet/config.json"), for readers that know nothing
 * of archives. Nothing outside it is reached from within.
 */
#ifndef DFX_PLACE_H
#define DFX_PLACE_H

#include "io.h"

typedef struct dfx_member {
    const char *path; /* relative, '/' between parts; checked */
    dfx_extent data;
} dfx_member;

typedef struct dfx_mount {
    const char *root;          /* path of the archive */
    const dfx_member *members; /* sorted by path, bytewise */
    size_t count;
} dfx_mount;

typedef struct dfx_place {
    const char *path;       /* whole; also for messages */
    const dfx_mount *mount; /* NULL: the file system */
} dfx_place;

/* The file at path in the same file system or archive as near. */
static inline dfx_place
dfx_place_beside(const dfx_place *near, const char *path)
{
    return (dfx_place){path, near->mount};
}

/* The member that is there, or NULL: of a mount only. */
const dfx_member *dfx_place_member(const dfx_place *place);
/* There is a file. */
bool dfx_place_exists(const dfx_place *place);
/* The root of a mount, or a folder of the file system. */
bool dfx_place_is_folder(const dfx_place *place);
/* Opens the file; the io is named place->path. Rule IO_OPEN. */
DFX_CHECKED dfx_status dfx_place_open(const dfx_place *place, dfx_io **io,
                                      dfx_error *err);

#endif
