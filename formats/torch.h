/*
 * torch.h - what the files of the PyTorch format share
 *
 * A container (zip, legacy stream, tar) yields a pickle and storages; then the
 * tensors are found in the pickle's nodes.
 */
#ifndef DFX_TORCH_H
#define DFX_TORCH_H

#include "pickle.h"
#include "registry.h"

/* Beside data.pkl: what our writer keeps of metadata, a JSON object of strings.
 */
#define DFX_TORCH_METADATA "dfx_metadata.json"
/* The suffix in Diffusers folders. */
#define DFX_TORCH_IN_FOLDER ".bin"

/* Bytes of a storage. */
typedef struct dfx_torch_storage {
    const char *key;
    const dfx_io *io; /* checked, if the container has CRCs; owned by the file.
                         NULL: no bytes */
    uint64_t size;    /* in bytes */
    const dfx_pickle_global *type; /* the first that it is used as; NULL */
    bool used;
} dfx_torch_storage;

/* What a tensor is made of. Arrays live in the file's arena. */
typedef struct dfx_torch_tensor {
    const char *path; /* keys and list indices, joined by '/' */
    const char *kind; /* NULL: plain; "quint8", "sparse_coo", "meta" ... */
    dfx_type type;    /* DFX_TYPE_COUNT: no name for it */
    uint32_t rank;
    uint64_t *shape, *stride; /* in elements */
    uint64_t offset;          /* in elements */
    bool conjugate, negate;
    dfx_torch_storage *storage; /* NULL: no data */
} dfx_torch_tensor;

/* A tar has its tensors apart from the object, by key. */
typedef struct dfx_torch_named {
    const char *key;
    dfx_torch_tensor tensor;
} dfx_torch_named;

/* A file, read. */
typedef struct dfx_torch_file {
    dfx_arena arena;
    const dfx_io *io; /* one of ios */
    dfx_io **ios;     /* owned */
    size_t io_count, io_capacity;
    dfx_torch_storage *storages; /* owned; sorted by key */
    size_t storage_count, storage_capacity;
    dfx_torch_named *named; /* owned; of a tar, sorted by key */
    size_t named_count, named_capacity;
    dfx_pickle pickle; /* the object */
    bool big_endian;
    bool is_script;
    bool is_tar;
    const char *metadata; /* JSON of our own writer; NULL */
    size_t metadata_size;
    /* How it is read. */
    const dfx_open_options *options;
    dfx_audit *audit;
    bool whole; /* all of it is scanned: an audit */
    dfx_line_fn *line;
    void *context;
} dfx_torch_file;

typedef struct dfx_torch_tensors {
    dfx_torch_tensor *items; /* owned */
    size_t count, capacity;
    size_t values; /* leaves that are no tensors */
} dfx_torch_tensors;

/*
 * Reads the file and its pickle, whatever container it is. options, audit,
 * whole and line are set. Concerns go to the audit; the call fails only for
 * memory and reading. pickle.root is NULL where there is no object.
 */
DFX_CHECKED dfx_status dfx_torch_load(const dfx_place *place,
                                      dfx_torch_file *file, dfx_error *err);
void dfx_torch_fini(dfx_torch_file *file);

/* All tensors in the object, in its order; shared ones come under each path.
   Those that cannot be right are concerns and left out. */
DFX_CHECKED dfx_status dfx_torch_find(dfx_torch_file *file,
                                      dfx_torch_tensors *tensors,
                                      dfx_error *err);

/* The bytes of a tensor that has data: row-major, little-endian. An io that is
   made for it belongs to the file. */
DFX_CHECKED dfx_status dfx_torch_open(dfx_torch_file *file,
                                      const dfx_torch_tensor *tensor,
                                      dfx_extent *data, dfx_error *err);

/* ---- Containers: each reads the file whose io is open ----------------------
 */

DFX_CHECKED dfx_status dfx_torch_read_zip(dfx_torch_file *file, dfx_error *err);
/* A bare pickle, too. */
DFX_CHECKED dfx_status dfx_torch_read_legacy(dfx_torch_file *file,
                                             dfx_error *err);
DFX_CHECKED dfx_status dfx_torch_read_tar(dfx_torch_file *file, dfx_error *err);
/* An array of numpy: a pickle, if its elements are objects. */
DFX_CHECKED dfx_status dfx_torch_read_npy(dfx_torch_file *file,
                                          const dfx_io *io, dfx_error *err);
bool dfx_torch_is_npy(const uint8_t *head, size_t size);

/* ---- For containers (torch_load.c) -----------------------------------------
 */

/* Adds an io to those that the file owns, also when this fails. */
DFX_CHECKED dfx_status dfx_torch_take_io(dfx_torch_file *file, dfx_io *io,
                                         dfx_error *err);
/* key is in the arena. */
DFX_CHECKED dfx_status dfx_torch_add_storage(dfx_torch_file *file,
                                             const char *key, const dfx_io *io,
                                             uint64_t size, dfx_error *err);
void dfx_torch_sort_storages(dfx_torch_file *file);
/* NULL: none. */
dfx_torch_storage *dfx_torch_find_storage(const dfx_torch_file *file,
                                          const char *key);
/* Bytes of that many elements of a storage class; UINT64_MAX: too many. */
uint64_t dfx_torch_bytes(const dfx_pickle_global *type, uint64_t elements);

/*
 * Reads one pickle. within names it, if it is not all of the file ("" or
 * "archive/data.pkl"); *end is where it ended.
 */
DFX_CHECKED dfx_status dfx_torch_scan(dfx_torch_file *file, const dfx_io *io,
                                      uint64_t offset, const char *within,
                                      dfx_pickle *pickle, dfx_error *err);
/* What follows it where nothing should. */
DFX_CHECKED dfx_status dfx_torch_scan_rest(dfx_torch_file *file,
                                           const dfx_io *io, uint64_t offset,
                                           const char *within, dfx_error *err);

/* Goes through the storages that the pickle names: sizes, types, who is
   missing. */
void dfx_torch_bind(dfx_torch_file *file);

/* ---- Writing (torch_write.c) -----------------------------------------------
 */

DFX_CHECKED dfx_status dfx_torch_lay_out(const dfx_bundle *bundle,
                                         const char *base, dfx_plan *plan,
                                         dfx_error *err);

#endif
