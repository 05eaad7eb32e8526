/*
 * values.h - named arrays in memory: what stages take and give
 */
#ifndef DFX_VALUES_H
#define DFX_VALUES_H

#include "dfx.h"
#include "error.h"

struct dfx_values {
    dfx_value *items; /* owned, with their names and numbers */
    size_t count, capacity;
};

/* F32 of that many dimensions; RUN_SHAPE for another one, RUN_MISSING for
   none. */
DFX_CHECKED dfx_status dfx_values_need(const dfx_values *values,
                                       const char *name, uint32_t rank,
                                       const dfx_value **out, dfx_error *err);

/* The same as dfx_values_add for sizes in memory; the name is printed. */
DFX_CHECKED dfx_status dfx_values_put(dfx_values *values, dfx_error *err,
                                      dfx_type type, uint32_t rank,
                                      const size_t *shape, const void *data,
                                      const char *fmt, ...) DFX_PRINTF(7, 8);

/* A file of values, and a text in its metadata. */
typedef struct dfx_values_file {
    const char *key, *text; /* NULL: none */
    bool compress;          /* as a zstd frame */
    bool force;             /* replaces one */
} dfx_values_file;

/* dfx_values_write and dfx_values_read with these. *text, if there is one of
   that key, is owned: free(); else it stays. */
DFX_CHECKED dfx_status dfx_values_save(const dfx_values *values,
                                       const dfx_values_file *file,
                                       const char *path, dfx_error *err);
DFX_CHECKED dfx_status dfx_values_load(dfx_values *values, const char *path,
                                       const char *key, char **text,
                                       dfx_error *err);

/* The F32 numbers of FILE[:NAME], the only tensor of FILE if it says no name;
 *values owns what *out is. */
DFX_CHECKED dfx_status dfx_values_open(const char *file, dfx_values **values,
                                       const dfx_value **out, dfx_error *err);

#endif
