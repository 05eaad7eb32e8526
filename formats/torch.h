/*
 * torch.h - what the files of the PyTorch format share
 *
 * A container (zip, legacy stream, tar) yields a pickle and storages; torch.c
 * finds the tensors in the pickle's nodes.
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
    const dfx_io *io;  /* checked, if the container has CRCs; owned by files */
    uint64_t size;     /* in bytes */
    uint64_t elements; /* as the container says; 0: it does not */
    bool used;
    dfx_type type; /* DFX_TYPE_COUNT until it is used */
    /* An old file's storage that is part of another; NULL: not. */
    const struct dfx_torch_storage *root;
    uint64_t root_offset; /* in bytes */
} dfx_torch_storage;

/* A file, read. */
typedef struct dfx_torch_file {
    dfx_arena arena;
    const dfx_io *io; /* owned by ios */
    dfx_io **ios;     /* owned; taken over by an index */
    size_t io_count, io_capacity;
    dfx_torch_storage *storages; /* owned; sorted by key */
    size_t storage_count, storage_capacity;
    dfx_pickle pickle; /* the object */
    bool big_endian;
    bool is_script;       /* TorchScript */
    const char *metadata; /* JSON of our own writer; NULL */
    dfx_audit *audit;     /* borrowed */
    const dfx_open_options *options;
} dfx_torch_file;

/* A tensor in the object. path: keys and list indices joined by '/'. */
typedef struct dfx_torch_tensor {
    const char *path;
    const char *kind; /* NULL: plain; "quint8", "sparse_coo", "meta" ... */
    dfx_type type;    /* DFX_TYPE_COUNT: no name for it */
    uint32_t rank;
    const uint64_t *shape, *stride;
    uint64_t offset; /* in elements */
    bool conjugate, negate;
    dfx_torch_storage *storage; /* NULL: meta, numpy */
    const void *data;           /* of numpy arrays: bytes in the pickle */
    size_t data_size;
} dfx_torch_tensor;

typedef struct dfx_torch_tensors {
    dfx_torch_tensor *items; /* owned */
    size_t count, capacity;
} dfx_torch_tensors;

/*
 * Reads the file and its pickle into *file, whatever container it is. Concerns
 * go to audit, and all pickles of the file are scanned when whole is true (an
 * audit); the call fails for memory, reading, and a file that holds no object.
 */
DFX_CHECKED dfx_status dfx_torch_load(const dfx_place *place,
                                      const dfx_open_options *options,
                                      bool whole, dfx_audit *audit,
                                      dfx_torch_file *file, dfx_error *err);
void dfx_torch_fini(dfx_torch_file *file);

/* All tensors in the object, in its order. Shared ones come under each path. */
DFX_CHECKED dfx_status dfx_torch_find(dfx_torch_file *file,
                                      dfx_torch_tensors *tensors,
                                      dfx_error *err);

/* Opens the bytes of a tensor: row-major, little-endian. *io goes to file. */
DFX_CHECKED dfx_status dfx_torch_open(dfx_torch_file *file,
                                      const dfx_torch_tensor *tensor,
                                      dfx_extent *data, dfx_error *err);

/* ---- Containers: each reads into a file whose io is open -------------------
 */

DFX_CHECKED dfx_status dfx_torch_read_zip(dfx_torch_file *file, bool whole,
                                          dfx_error *err);
DFX_CHECKED dfx_status dfx_torch_read_legacy(dfx_torch_file *file, bool whole,
                                             dfx_error *err);
DFX_CHECKED dfx_status dfx_torch_read_tar(dfx_torch_file *file, bool whole,
                                          dfx_error *err);

/* Adds an io to those that the file owns, also when this fails. */
DFX_CHECKED dfx_status dfx_torch_take_io(dfx_torch_file *file, dfx_io *io,
                                         dfx_error *err);
DFX_CHECKED dfx_status dfx_torch_add_storage(dfx_torch_file *file,
                                             const dfx_torch_storage *storage,
                                             dfx_error *err);

/* ---- Writing (torch_write.c) -----------------------------------------------
 */

DFX_CHECKED dfx_status dfx_torch_lay_out(const dfx_bundle *bundle,
                                         const char *base, dfx_plan *plan,
                                         dfx_error *err);

#endif
