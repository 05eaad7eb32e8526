/*
 * zip.h - zip archives, for the formats that are one
 *
 * Reading judges the honesty of an archive: the directory at its end, the local
 * header before each member and the bytes between them must tell one story.
 * Formats decide what each fault means to them. Writing lays members out into
 * a plan, in one of the styles that formats have.
 */
#ifndef DFX_ZIP_H
#define DFX_ZIP_H

#include "index.h"
#include "plan.h"

/* What an archive can be faulted for. A format's table says the rule. */
typedef enum dfx_zip_fault {
    DFX_ZIP_END,       /* no end record, or several */
    DFX_ZIP_DIRECTORY, /* the directory cannot be read, or its size is wrong */
    DFX_ZIP_COUNT,     /* of members */
    DFX_ZIP_DISK,
    DFX_ZIP_ZIP64,
    DFX_ZIP_EXTRA,  /* fields that do not fill their space */
    DFX_ZIP_PREFIX, /* bytes before the first member */
    DFX_ZIP_TAIL,   /* bytes after the end record */
    DFX_ZIP_GAP,
    DFX_ZIP_OVERLAP,
    DFX_ZIP_COMMENT,     /* there is one */
    DFX_ZIP_COMMENT_BAD, /* it hides an end record, or its length is wrong */
    DFX_ZIP_METHOD,      /* compressed, in either header */
    DFX_ZIP_ENCRYPTED,
    DFX_ZIP_FLAGS,
    DFX_ZIP_MISMATCH,   /* local and central headers differ */
    DFX_ZIP_SIZE,       /* two sizes of a stored member, or beyond the file */
    DFX_ZIP_OFFSET,     /* of a local header: outside the file */
    DFX_ZIP_SIGNATURE,  /* no local header is there */
    DFX_ZIP_ATTRIBUTES, /* no regular file */
    DFX_ZIP_ENCODING,   /* of a name */
    DFX_ZIP_DUPLICATE,  /* a name twice */
    DFX_ZIP_FAULTS
} dfx_zip_fault;

typedef struct dfx_zip_member {
    const char *name; /* a NUL follows; may hold others */
    size_t name_size;
    uint16_t flags, method;
    uint32_t crc;
    uint64_t packed; /* bytes in the file */
    uint64_t size;   /* bytes as they were */
    uint64_t header; /* offset of the local header */
    uint64_t data;   /* offset of the bytes; UINT64_MAX: no local header */
    uint64_t end;    /* after the bytes and the descriptor */
} dfx_zip_member;

typedef struct dfx_zip {
    dfx_arena arena;
    const dfx_io *io;        /* borrowed */
    dfx_zip_member *members; /* owned; in the order of the directory */
    size_t count, capacity;
    const dfx_zip_member **by_name; /* owned; sorted */
    uint64_t base;      /* bytes before the archive, which all offsets skip */
    uint64_t directory; /* offset of the directory */
    uint64_t end;       /* offset after the end record and its comment */
} dfx_zip;

/*
 * Called for each fault; member is NULL where it is of the whole. Returns
 * DFX_OK to go on.
 */
typedef dfx_status dfx_zip_fault_fn(void *context, dfx_zip_fault fault,
                                    const dfx_zip_member *member,
                                    uint64_t offset, const char *text,
                                    dfx_error *err);

/*
 * Reads the directory and every local header. What found lets pass is in *zip
 * as well as it could be read: a member without a usable local header has data
 * UINT64_MAX. After END or a DIRECTORY that cannot be read zip->count is 0.
 * Memory is bounded by the directory, which lies in the file.
 */
DFX_CHECKED dfx_status dfx_zip_read(const dfx_io *io, dfx_zip_fault_fn *found,
                                    void *context, dfx_zip *zip,
                                    dfx_error *err);
void dfx_zip_fini(dfx_zip *zip);

/* The first member of that name in the directory; NULL: none. */
const dfx_zip_member *dfx_zip_find(const dfx_zip *zip, const char *name);

/*
 * A member's bytes as an io, checked against its CRC as it is read: rule for
 * the fault. Stored ones are slices; deflated ones are inflated into a spool,
 * to at most limit bytes. Other methods are rule, too.
 */
DFX_CHECKED dfx_status dfx_zip_open(const dfx_zip *zip,
                                    const dfx_zip_member *member, dfx_rule rule,
                                    uint64_t limit, const char *temp,
                                    dfx_io **io, dfx_error *err);
/*
 * The same without checks: what is there of the bytes, as a lax reader would
 * see them. For scanners.
 */
DFX_CHECKED dfx_status dfx_zip_peek(const dfx_zip *zip,
                                    const dfx_zip_member *member,
                                    uint64_t limit, const char *temp,
                                    dfx_io **io, dfx_error *err);

/* ---- Writing --------------------------------------------------------------
 */

/* How a format's archives look. */
typedef struct dfx_zip_style {
    uint16_t made_by, needed; /* of the directory */
    uint16_t made_by_end;     /* of the zip64 end record */
    uint16_t needed_local;
    uint16_t date;       /* of DOS; the time is 0 */
    uint32_t attributes; /* external */
    bool descriptors;    /* CRC and sizes stand after the data */
    bool utf8_always;    /* flag 11 also for ASCII names */
    bool zip64_local;    /* sizes of the local header are in a zip64 field */
    bool zip64_end;      /* always a zip64 end record */
    uint32_t most32; /* larger values of the directory are in zip64 fields */
    uint16_t pad_id; /* extra field that aligns data */
    uint8_t pad_byte;
} dfx_zip_style;

typedef struct dfx_zip_writer dfx_zip_writer;

/* Starts an archive as that output of plan. *writer lives in the plan's arena;
   style is static. */
DFX_CHECKED dfx_status dfx_zip_begin(dfx_plan *plan, size_t output,
                                     const dfx_zip_style *style,
                                     dfx_zip_writer **writer, dfx_error *err);
/*
 * The next member: its header, for size bytes that the caller adds next as
 * pieces or tensors of the output. align: their offset is a multiple of it; 0
 * or 1: no extra field for it at all.
 */
DFX_CHECKED dfx_status dfx_zip_member_begin(dfx_zip_writer *writer,
                                            const char *name, uint64_t size,
                                            unsigned align, dfx_error *err);
/* The same where the CRC is known: what need not be summed, the kernel may
   copy. */
DFX_CHECKED dfx_status dfx_zip_member_known(dfx_zip_writer *writer,
                                            const char *name, uint64_t size,
                                            unsigned align, uint32_t crc,
                                            dfx_error *err);
/* After the bytes: the descriptor, if the style has them. */
DFX_CHECKED dfx_status dfx_zip_member_end(dfx_zip_writer *writer,
                                          dfx_error *err);
/* The directory. */
DFX_CHECKED dfx_status dfx_zip_end(dfx_zip_writer *writer, dfx_error *err);

#endif
