/*
 * bundle.h - a model about to be written, before it has a container
 *
 * Conversion ends in a bundle: tensors with their final names and expressions,
 * files, metadata. A container's writer lays it out into a plan.
 */
#ifndef DFX_BUNDLE_H
#define DFX_BUNDLE_H

#include "plan.h"

struct cJSON;
struct dfx_architecture;

typedef struct dfx_item {
    uint32_t component;
    const char *name;
    const dfx_expr *expr;

    /* What recipe.c goes by, where options may change the type. */
    bool is_typed;
    const char *part;           /* the component that it is of; NULL: none */
    const struct cJSON *config; /* that one's; NULL */
    dfx_type rest; /* the type unless quantized, for the sake of who reads it;
                      COUNT: as options say */
    /* And what came of it. */
    dfx_type type;
    const struct dfx_encoding *encoding; /* it is written in parts; NULL */
    bool is_free;                        /* its blocks could be others */
    bool is_kept;                        /* nothing asked for another type */
    const char *why; /* it is not in the type that was asked for; NULL */

    /* The shape that it has where the format demands another of it: a tensor in
       rows of 256. NULL: that of expr. */
    uint32_t rank;
    const uint64_t *shape;
} dfx_item;

typedef struct dfx_blob {
    const char *path; /* relative to the folder */
    const dfx_expr *expr;
} dfx_blob;

typedef struct dfx_bundle_component {
    const char *name;     /* sub-folder; "" puts it at the top */
    const char *weights;  /* base name: "diffusion_pytorch_model", "model" */
    bool is_transformers; /* written by transformers: total_parameters */
    const struct dfx_encoding *encoding; /* how its weights are written in
                                            parts; NULL: they are not */
    const char *const *plain; /* its layers whose weights are not; plain_count
                                 of them */
    size_t plain_count;
    dfx_type plain_type; /* that the others decode to */
    bool is_decoded;     /* its weights were in parts, and are numbers now */
    bool is_side_car; /* one file of exactly this name: no variant, no shards */
} dfx_bundle_component;

/* Borrows everything; strings and arrays live in the plan's arena or longer. */
typedef struct dfx_bundle {
    const dfx_bundle_component *components;
    size_t component_count;
    dfx_item *items; /* in state-dict order within a component */
    size_t item_count, item_capacity;
    dfx_blob *blobs;
    size_t blob_count, blob_capacity;
    dfx_meta *metadata; /* component says whose */
    size_t meta_count, meta_capacity;
    bool empty_metadata; /* say so where there is none: "__metadata__":{} */

    const struct dfx_architecture *architecture; /* of what is written; NULL */
    int file_type;   /* llama.cpp's number for the mix of types; -1: none */
    bool is_ordered; /* items are in the order of the file */
    const char *weights_format; /* how folders store tensors; NULL: their way */
    const char *variant;        /* NULL: none */
    uint64_t max_shard_size;    /* 0: no limit */
    bool plain;                 /* the layout of the reference, byte for byte */
    bool wrap; /* a checkpoint's tensors stand under "state_dict" */
    /*
     * A header from an earlier life of this file (dfx_index.header): used as it
     * is if its tensors are exactly the items, so that a round trip gives the
     * same bytes whatever tool wrote the first file. NULL: none.
     */
    const uint8_t *header;
    size_t header_size;
} dfx_bundle;

/* A tensor that goes along as it is. */
DFX_CHECKED dfx_status dfx_bundle_add(dfx_bundle *bundle, uint32_t component,
                                      const char *name, const dfx_expr *expr,
                                      dfx_error *err);
DFX_CHECKED dfx_status dfx_bundle_add_blob(dfx_bundle *bundle, const char *path,
                                           const dfx_expr *expr,
                                           dfx_error *err);
DFX_CHECKED dfx_status dfx_bundle_add_meta(dfx_bundle *bundle,
                                           uint32_t component, const char *key,
                                           const char *value, dfx_error *err);
/* The same of an entry that a source has, with its type. */
DFX_CHECKED dfx_status dfx_bundle_carry_meta(dfx_bundle *bundle,
                                             uint32_t component,
                                             const dfx_meta *meta,
                                             dfx_error *err);
/* Refuses two tensors of one name in a component (CONVERT_CLASH): they would
   make a file that no reader accepts. */
DFX_CHECKED dfx_status dfx_bundle_check_names(const dfx_bundle *bundle,
                                              dfx_error *err);
/* The metadata sorted by key, of pairs with one key the last; *out lives in the
   arena. Of a bundle with one component. */
DFX_CHECKED dfx_status dfx_bundle_sort_metadata(const dfx_bundle *bundle,
                                                dfx_arena *arena,
                                                const dfx_meta ***out,
                                                size_t *count, dfx_error *err);
/* The same as a JSON object of strings. */
DFX_CHECKED dfx_status dfx_bundle_print_metadata(const dfx_bundle *bundle,
                                                 dfx_arena *arena,
                                                 dfx_text *text,
                                                 dfx_error *err);
void dfx_bundle_fini(dfx_bundle *bundle);

#endif
