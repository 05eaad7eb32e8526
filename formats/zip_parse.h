/*
 * zip_parse.h - what the files that read a zip share
 */
#ifndef DFX_ZIP_PARSE_H
#define DFX_ZIP_PARSE_H

#include "json.h"
#include "zip.h"

/* General purpose flags. */
enum { DFX_ZIP_DESCRIPTOR = 1 << 3, DFX_ZIP_UTF8 = 1 << 11 };

/* A reading. */
typedef struct dfx_zip_parse {
    dfx_zip *zip;
    dfx_zip_fault_fn *found;
    void *context;
    dfx_error *err;
    unsigned counts[2]; /* of the end record: on this disk, in all */
} dfx_zip_parse;

static inline unsigned
dfx_zip_u16(const uint8_t *p)
{
    return (unsigned)p[0] | (unsigned)p[1] << 8;
}

static inline uint32_t
dfx_zip_u32(const uint8_t *p)
{
    return (uint32_t)dfx_zip_u16(p) | (uint32_t)dfx_zip_u16(p + 2) << 16;
}

static inline uint64_t
dfx_zip_u64(const uint8_t *p)
{
    return (uint64_t)dfx_zip_u32(p) | (uint64_t)dfx_zip_u32(p + 4) << 32;
}

/* Tells of a fault. */
DFX_CHECKED dfx_status dfx_zip_tell(const dfx_zip_parse *p, dfx_zip_fault fault,
                                    const dfx_zip_member *member,
                                    uint64_t offset, const char *fmt, ...)
    DFX_PRINTF(5, 6);

/* Extra fields of either header: may replace m's sizes and offset. */
DFX_CHECKED dfx_status dfx_zip_extras(const dfx_zip_parse *p, dfx_zip_member *m,
                                      const uint8_t *data, size_t size,
                                      uint64_t at);
DFX_CHECKED dfx_status dfx_zip_flags(const dfx_zip_parse *p,
                                     const dfx_zip_member *m, unsigned flags,
                                     uint64_t at);

/* Reads all local headers, and judges what lies between the members. */
DFX_CHECKED dfx_status dfx_zip_locals(const dfx_zip_parse *p);

#endif
