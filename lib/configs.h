/*
 * configs.h - the JSON files that a Diffusers folder needs
 *
 * Packed into the library at build time (formats/configs/), so that a single
 * file becomes a complete folder offline. Composition: the set's file, then the
 * derived fields, then --config, --original-config and --set.
 */
#ifndef DFX_CONFIGS_H
#define DFX_CONFIGS_H

#include "identify.h"

/* ---- What formats/configs/packed.c gives the core --------------------- */

typedef struct dfx_packed_frame {
    const unsigned char *data; /* a zstd frame */
    size_t size;
    size_t raw_size; /* of what it unpacks to */
} dfx_packed_frame;

typedef struct dfx_packed_file {
    const char *path;
    size_t frame;
    size_t offset, size; /* in the unpacked frame */
} dfx_packed_file;

typedef struct dfx_packed {
    const dfx_packed_frame *frames;
    size_t frame_count;           /* at most DFX_PACKED_FRAMES */
    const dfx_packed_file *files; /* sorted by path, bytewise */
    size_t file_count;
} dfx_packed;

enum { DFX_PACKED_FRAMES = 4 };

extern const dfx_packed dfx_packed_configs;

/* Lists a folder's components and names the pipeline's class. */
#define DFX_MODEL_INDEX "model_index.json"

/* ---- Embedded files --------------------------------------------------- */

/*
 * The bytes of an embedded file, "sd15/unet/config.json", or
 * "clip-tokenizer/vocab.json", which is made from the merges, as is
 * "clip-tokenizer/vocab.compact.json", the same in the spelling without white
 * space. NULL in *data if there is none. Borrowed: lives as long as the
 * process. Thread-safe.
 */
DFX_CHECKED dfx_status dfx_configs_get(const char *path, const char **data,
                                       size_t *size, dfx_error *err);

/* The path of an embedded file with exactly these bytes, or NULL. Static. */
const char *dfx_configs_same(const char *data, size_t size);

/* The packed paths in order; NULL past the last. */
const char *dfx_configs_at(size_t i);

/* ---- The files of a folder -------------------------------------------- */

typedef struct dfx_config_file {
    const char *path; /* in the folder: "unet/config.json" */
    const char *data;
    size_t size;
} dfx_config_file;

/*
 * Every file but weights of the folder that a single file with this identity
 * becomes: model_index.json (slots that have no part are [null, null]; optional
 * ones of the set without weights, such as safety_checker, too), configs,
 * schedulers, tokenizers, feature extractors. For a lone component its
 * config.json under the component's name. In the arena, sorted by path.
 */
DFX_CHECKED dfx_status dfx_configs_make(const dfx_identity *identity,
                                        dfx_arena *arena,
                                        const dfx_config_file **files,
                                        size_t *count, dfx_error *err);

/* ---- Settings: "unet.upcast_attention=true" ---------------------------- */

/* Paths of a folder's files, for a list of any kind. */
typedef const char *dfx_path_at_fn(const void *list, size_t i);

/* The file that is meant by a component's name: the config in its folder, or
   model_index.json by "model_index". SIZE_MAX: there is none. */
size_t dfx_config_named(const char *component, size_t size,
                        dfx_path_at_fn *path_at, const void *list,
                        size_t count);
/* The file that a setting is about. It fails (usage) for a text that is no
   setting, and for a component that is not here. */
DFX_CHECKED dfx_status dfx_setting_find(const char *setting,
                                        dfx_path_at_fn *path_at,
                                        const void *list, size_t count,
                                        size_t *found, dfx_error *err);
/* Sets its field, after dfx_setting_find. The value is JSON, or else a string.
 */
DFX_CHECKED dfx_status dfx_setting_apply(const char *setting, cJSON *doc,
                                         dfx_error *err);

/* ---- Stored types ------------------------------------------------------ */

/*
 * A config.json may name the type its weights were saved in (torch_dtype).
 * Laid over others it would have transformers 5 round them on loading, so
 * composed configs name the type that most of a part's numbers have.
 */
dfx_type dfx_stored_type(const dfx_found *found);
/* Corrects the name, if there is one and it is another. */
DFX_CHECKED dfx_status dfx_stored_correct(cJSON *config, dfx_type type,
                                          dfx_error *err);

/*
 * An original LDM / sgm YAML as the config fields it decides: an object with
 * members unet, vae, controlnet, scheduler (those it speaks of).
 */
DFX_CHECKED dfx_status dfx_yaml_read(const char *path, cJSON **doc,
                                     dfx_error *err);

#endif
