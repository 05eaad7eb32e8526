/*
 * gguf.h - what the files of the GGUF format share
 */
#ifndef DFX_GGUF_H
#define DFX_GGUF_H

#include "registry.h"

/* Value types, by the numbers that files have. */
typedef enum dfx_gguf_kind {
    DFX_GGUF_U8,
    DFX_GGUF_I8,
    DFX_GGUF_U16,
    DFX_GGUF_I16,
    DFX_GGUF_U32,
    DFX_GGUF_I32,
    DFX_GGUF_F32,
    DFX_GGUF_BOOL,
    DFX_GGUF_STRING,
    DFX_GGUF_ARRAY,
    DFX_GGUF_U64,
    DFX_GGUF_I64,
    DFX_GGUF_F64,
    DFX_GGUF_KINDS
} dfx_gguf_kind;

enum { DFX_GGUF_DIMS = 8 }; /* dimensions of a tensor, at most */

#define DFX_GGUF_ALIGNMENT "general.alignment"
#define DFX_GGUF_ARCHITECTURE "general.architecture"
#define DFX_GGUF_SHAPE "comfy.gguf.orig_shape." /* before a tensor's name */

typedef struct dfx_gguf_key {
    const char *name; /* in the arena; a NUL follows, and it may hold others */
    size_t name_size;
    dfx_gguf_kind kind;
    dfx_gguf_kind element; /* of ARRAY */
    uint64_t count;        /* of ARRAY */
    uint64_t at;           /* of the key in the file */
    uint64_t value;        /* of the value; of an array's first element */
    uint64_t end;
} dfx_gguf_key;

typedef struct dfx_gguf_info {
    const char *name; /* as a key's */
    size_t name_size;
    dfx_type type;
    uint32_t rank;
    uint64_t shape[DFX_GGUF_DIMS]; /* outermost first: not as in the file */
    uint64_t offset;               /* in the data section */
    uint64_t bytes;
    uint64_t at; /* of the info in the file */
} dfx_gguf_info;

typedef struct dfx_gguf {
    dfx_arena arena;
    const dfx_io *io;
    bool big_endian;
    uint32_t version;
    dfx_gguf_key *keys; /* owned */
    size_t key_count, key_capacity;
    dfx_gguf_info *infos; /* owned */
    size_t info_count, info_capacity;
    dfx_gguf_info **by_name; /* owned; sorted */
    uint64_t alignment;
    uint64_t data; /* offset of the data section */
    /* Who is told of broken rules that reading can go on after; NULL: the first
       one ends it, and those that are only suspicious become warnings. */
    dfx_finding_fn *found;
    void *context;
    dfx_index *index; /* for warnings; NULL: none */
} dfx_gguf;

/* Reads and checks the header of io. */
DFX_CHECKED dfx_status dfx_gguf_parse(dfx_gguf *g, dfx_error *err);
void dfx_gguf_fini(dfx_gguf *g);

/* A broken rule, which gguf->found may let pass. */
DFX_CHECKED dfx_status dfx_gguf_tell(const dfx_gguf *g, dfx_rule rule,
                                     bool is_warning, uint64_t offset,
                                     dfx_error *err, const char *fmt, ...)
    DFX_PRINTF(6, 7);

/* The number of a type; false: GGUF has no such type. */
bool dfx_gguf_type_id(dfx_type type, uint32_t *id);

/* NULL: there is none. */
const dfx_gguf_key *dfx_gguf_find(const dfx_gguf *g, const char *name);
/* The bits of a number, of an array's element i if it is one. */
DFX_CHECKED dfx_status dfx_gguf_number(const dfx_gguf *g,
                                       const dfx_gguf_key *key, uint64_t i,
                                       uint64_t *bits, dfx_error *err);
/* The value as text: a string as it is, others as JSON. */
DFX_CHECKED dfx_status dfx_gguf_print(const dfx_gguf *g,
                                      const dfx_gguf_key *key, dfx_text *text,
                                      dfx_error *err);
/* Bytes of a value; 0: it depends. */
unsigned dfx_gguf_kind_size(dfx_gguf_kind kind);
/* "u32", "[string]": static; NULL of a string. */
const char *dfx_gguf_type_name(const dfx_gguf_key *key);

DFX_CHECKED dfx_status dfx_gguf_lay_out(const dfx_bundle *bundle,
                                        const char *base, dfx_plan *plan,
                                        dfx_error *err);

#endif
