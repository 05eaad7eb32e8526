/*
 * folder.h - what the files of the folder format share
 */
#ifndef DFX_FOLDER_H
#define DFX_FOLDER_H

#include "registry.h"

/* A file found in a folder. */
typedef struct dfx_folder_entry {
    const char *path; /* relative, '/' between parts; in the index's arena */
    bool is_weights;  /* by its name: read as tensors or not at all */
    bool is_read;
} dfx_folder_entry;

typedef struct dfx_folder {
    const char *root;          /* without a final '/'; in the index's arena */
    const dfx_mount *mount;    /* NULL: of the file system */
    dfx_folder_entry *entries; /* owned; sorted by path, bytewise */
    size_t count, capacity;
} dfx_folder;

/* Sets the root to the folder that the place is, or whose list it is. */
DFX_CHECKED dfx_status dfx_folder_root(const dfx_place *place,
                                       dfx_folder *folder, dfx_arena *arena,
                                       dfx_error *err);

/*
 * Lists every file below folder->root, or of its mount. Links to files are
 * followed (the Hub's cache consists of them), links to folders are not: what
 * lies there is not the folder's. Folders whose name starts with a dot are left
 * out; what is left out otherwise gets a warning. Rule FOLDER_LIMIT.
 */
DFX_CHECKED dfx_status dfx_folder_scan(dfx_folder *folder, dfx_index *index,
                                       dfx_error *err);
void dfx_folder_fini(dfx_folder *folder);

/* The place of a file below the root; its path is in the arena. Path NULL:
   memory ran out. */
dfx_place dfx_folder_place(const dfx_folder *folder, const char *path,
                           dfx_arena *arena);

/* There is a file below the sub-folder. */
bool dfx_folder_has(const dfx_folder *folder, const char *name);
/* The entry of that path, or NULL. */
dfx_folder_entry *dfx_folder_find(const dfx_folder *folder, const char *path);

#define DFX_FOLDER_PIPELINE "model_index.json"
#define DFX_FOLDER_MODULAR "modular_model_index.json"
#define DFX_FOLDER_CONFIG "config.json"
#define DFX_FOLDER_SIDE_CAR DFX_RESIDUE ".safetensors"

/* What a folder is, told by the first of these that is true. */
typedef enum dfx_folder_kind {
    DFX_FOLDER_IS_PIPELINE, /* it has model_index.json */
    DFX_FOLDER_IS_MODULAR,  /* modular_model_index.json */
    DFX_FOLDER_IS_LONE,     /* a component's config or weights at its top */
    DFX_FOLDER_IS_PARTS     /* components in sub-folders, and no list of them */
} dfx_folder_kind;

/*
 * Adds the components that the folder has or names. Its plain files are in the
 * index already. Rules FOLDER_INDEX, FOLDER_PATH, and those of JSON.
 */
DFX_CHECKED dfx_status dfx_folder_add_parts(const dfx_folder *folder,
                                            dfx_index *index,
                                            dfx_folder_kind *kind,
                                            dfx_error *err);

/* Fills in library and class from a component's config.json where the list of
   components has none. Rules of JSON. */
DFX_CHECKED dfx_status dfx_folder_add_class(dfx_index *index,
                                            uint32_t component, dfx_error *err);

/* The file's name says that it holds weights, or lists shards of some. */
bool dfx_folder_is_weights(const char *name);

/* Which of a component's weight files to read. */
typedef struct dfx_weights_choice {
    const char *name; /* a weight file or a shard index, one of the names given;
                         NULL: none of them can be read */
    const char *variant; /* in name; NULL: none */
    size_t variant_size;
} dfx_weights_choice;

/*
 * Chooses among the names of the files in one folder: the wanted variant (NULL:
 * none), else the weights without variant, else, if none was wanted, the only
 * variant there is. Rule FOLDER_WEIGHTS where that does not settle it.
 */
DFX_CHECKED dfx_status dfx_folder_choose(const char *const *names, size_t count,
                                         const char *wanted,
                                         dfx_weights_choice *choice,
                                         dfx_error *err);

/* dfx_format.audit. */
DFX_CHECKED dfx_status dfx_folder_audit(const dfx_place *place,
                                        const dfx_open_options *options,
                                        dfx_audit *audit, dfx_error *err);

bool dfx_folder_is_ours(const char *const *names, size_t count);
DFX_CHECKED dfx_status dfx_folder_lay_out(const dfx_bundle *bundle,
                                          const char *base, dfx_plan *plan,
                                          dfx_error *err);

#endif
