/*
 * index.h - how readers fill an index
 *
 * Readers add what they parsed through these functions and do no size
 * arithmetic of their own. dfx_index_add is the gate: everything that a hostile
 * file can lie about is checked there, by one piece of code for all formats.
 */
#ifndef DFX_INDEX_H
#define DFX_INDEX_H

#include "audit.h"
#include "io.h"
#include "memory.h"

struct dfx_index {
    dfx_arena arena; /* everything below but the arrays and ios */
    char *path;
    const char *format; /* static: the reader's name */

    dfx_tensor *tensors;
    size_t tensor_count, tensor_capacity;
    const dfx_tensor **by_name; /* owned; by component, then by name; NULL
                                   until sealed */
    dfx_component *components;
    size_t component_count, component_capacity;
    dfx_file *files;
    size_t file_count, file_capacity;
    dfx_meta *metadata;
    size_t meta_count, meta_capacity;
    const char **warnings;
    size_t warning_count, warning_capacity;
    dfx_io **ios; /* owned */
    size_t io_count, io_capacity;
    unsigned depth;    /* of dfx_index_read_into: files name files */
    dfx_audit audit;   /* of what was read: no conversion starts from what is
                          not safe unless the caller says so */
    dfx_error lacking; /* a tensor that no conversion can keep; rule NULL: none
                        */

    /*
     * The text that describes the tensors, when one file holds the whole index
     * (a safetensors header with its padding): kept by conversions that promise
     * the way back byte for byte. header.io is NULL if there is none.
     */
    dfx_extent header;
};

/* An empty index of the source at path. */
DFX_CHECKED dfx_status dfx_index_new(const char *path, dfx_index **index,
                                     dfx_error *err);

/* Takes io: the index closes it, also when this fails. */
DFX_CHECKED dfx_status dfx_index_take_io(dfx_index *index, dfx_io *io,
                                         dfx_error *err);

/* Finds the component or adds it; the name is copied. */
DFX_CHECKED dfx_status dfx_index_component(dfx_index *index, const char *name,
                                           uint32_t *component, dfx_error *err);

/* What a reader says of a tensor. The pointers need live only for the call. */
typedef struct dfx_claim {
    const char *name;
    size_t name_size; /* bytes; the name may hold any, and is checked */
    uint32_t component;
    dfx_type type;
    uint32_t rank;
    const uint64_t *shape;
    const dfx_io *io; /* one the index has taken */
    uint64_t offset;  /* of the data in io */
    uint64_t size;    /* as the file says */
    uint64_t where;   /* offset of the claim in the file, for messages */
} dfx_claim;

/*
 * The gate. Adds the tensor after checking, in this order: name (no NUL, valid
 * UTF-8), product of the shape and bits (DFX_RULE_TENSOR_OVERFLOW), whole bytes
 * (_TENSOR_BITS), size against type and shape (_TENSOR_SIZE), extent inside io
 * (_DATA_SHORT). The count is limited too (LIMIT_INDEX). That (component, name)
 * is unique is checked at the end, by dfx_index_seal.
 */
DFX_CHECKED dfx_status dfx_index_add(dfx_index *index, const dfx_claim *claim,
                                     dfx_error *err);

/* The size rules alone: elements and bytes of a type and shape. */
DFX_CHECKED dfx_status dfx_tensor_size(dfx_type type, uint32_t rank,
                                       const uint64_t *shape,
                                       uint64_t *elements, uint64_t *bytes,
                                       dfx_error *err);

DFX_CHECKED dfx_status dfx_index_add_file(dfx_index *index, const char *path,
                                          uint32_t component,
                                          const dfx_extent *data,
                                          dfx_error *err);
/*
 * Key and value need not end in NUL. They are valid UTF-8 and may hold U+0000,
 * which C strings cannot: it is kept as the bytes C0 80, as Java does, and
 * dfx_json_quote writes it as \u0000 again.
 */
DFX_CHECKED dfx_status dfx_index_add_meta(dfx_index *index, uint32_t component,
                                          const char *key, size_t key_size,
                                          const char *value, size_t value_size,
                                          dfx_error *err);
DFX_CHECKED dfx_status dfx_index_warn(dfx_index *index, dfx_error *err,
                                      const char *fmt, ...) DFX_PRINTF(3, 4);

/* Refuses a name that one component has twice. The last step of reading. */
DFX_CHECKED dfx_status dfx_index_seal(dfx_index *index, dfx_error *err);

/* NULL if there is none. index is sealed: a binary search. */
const dfx_tensor *dfx_index_find(const dfx_index *index, uint32_t component,
                                 const char *name);
/* All of a component whose names start with front, in the order of their names:
   the first of *count. index is sealed. */
const dfx_tensor *const *dfx_index_starting(const dfx_index *index,
                                            uint32_t component,
                                            const char *front, size_t *count);
const dfx_file *dfx_index_find_file(const dfx_index *index, const char *path);
/* The value of a metadata key of a component, or NULL. */
const char *dfx_index_find_meta(const dfx_index *index, uint32_t component,
                                const char *key);
/* UINT32_MAX if there is none. */
uint32_t dfx_index_find_component(const dfx_index *index, const char *name);

/* Names of tensors in a folder's side-car, and its key in metadata. */
#define DFX_RESIDUE                                                            \
    "dfx_residue" /* component; file DFX_RESIDUE.safetensors                   \
                   */
#define DFX_RESIDUE_KEY "dfx.residue"
#define DFX_RESIDUE_EMBEDDED                                                   \
    "dfx.embedded"                      /* {this: path of a file of ours}      \
                                         */
#define DFX_RESIDUE_HEADER "dfx.header" /* U8 tensor: the original header */

#endif
