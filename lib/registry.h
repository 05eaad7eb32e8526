/*
 * registry.h - what a container format and a component kind are to the core
 *
 * The core knows none of them by name. A format or a kind is a const struct at
 * the end of its own file; the line that compiles the file (formats/list.am) is
 * the line that registers it.
 */
#ifndef DFX_REGISTRY_H
#define DFX_REGISTRY_H

#include "bundle.h"
#include "index.h"
#include "place.h"

/* What a format may look at before it is chosen. */
typedef struct dfx_evidence {
    const dfx_place *place;
    const dfx_io *io;    /* NULL: a folder */
    const uint8_t *head; /* the first bytes of a file, up to 64 KiB */
    size_t head_size;
    uint64_t file_size;
    bool is_folder;
} dfx_evidence;

typedef struct dfx_format {
    const char *name;      /* stable: --from, --to and --json use it */
    const char *summary;   /* one line for --list-formats */
    const char *suffix;    /* ".ckpt .pt": what DST ends in, the first one if we
                              may choose; NULL: a folder */
    const char *in_folder; /* suffix of what lay_out writes below a folder's
                              base; NULL: it has no place there */
    bool is_folder;        /* what lay_out writes */
    bool is_envelope;      /* holds one file and is taken for what that is */
    bool wraps;            /* lay_out heeds bundle->wrap */
    bool has_blocks;       /* stores block types, and shapes beside rows */
    dfx_layout layout;     /* whose names are written to it: a Diffusers folder
                              holds Diffusers names, files the original ones */

    /*
     * How many bits of the file were found to be as this format demands, 0 if
     * any was found to be otherwise.
     */
    unsigned (*bid)(const dfx_evidence *evidence);

    /*
     * Adds what is at the place to the index: a file's tensors to that
     * component, a folder's parts to components of their own.
     */
    dfx_status (*read)(const dfx_place *place, uint32_t component,
                       const dfx_open_options *options, dfx_index *index,
                       dfx_error *err);

    /*
     * Reports every broken rule it can find; returns DFX_OK if it could judge.
     * NULL: the first fault that read meets is all there is to say.
     */
    dfx_status (*validate)(const dfx_place *place,
                           const dfx_open_options *options,
                           dfx_finding_fn *found, void *context,
                           dfx_error *err);

    /*
     * Reports what loading it would run, into audit. NULL: the format has no
     * room for code, and what breaks its rules makes it CANNOT_TELL.
     */
    dfx_status (*audit)(const dfx_place *place, const dfx_open_options *options,
                        dfx_audit *audit, dfx_error *err);

    /* dfx_disassemble. NULL: there is no pickle in it. */
    dfx_status (*disassemble)(const dfx_place *place,
                              const dfx_open_options *options,
                              dfx_line_fn *line, void *context, dfx_error *err);

    /*
     * Lays a bundle out. For file formats the bundle has one component and base
     * is the output's path in the plan without suffix ("unet/model"), or the
     * whole path "" if dst is the file. NULL: this format is only read.
     */
    dfx_status (*lay_out)(const dfx_bundle *bundle, const char *base,
                          dfx_plan *plan, dfx_error *err);

    /*
     * Do these names, all that the top of a folder holds, show that lay_out
     * could have written it? Only such a folder is replaced as a whole. NULL
     * for files.
     */
    bool (*is_ours)(const char *const *names, size_t count);
} dfx_format;

/* The formats in a fixed order; NULL past the last. Static. */
const dfx_format *const *dfx_format_list(size_t *count);
const dfx_format *dfx_format_at(size_t i);
const dfx_format *dfx_format_named(const char *name);

/*
 * The bytes of the longest of the format's suffixes in which path ends; 0 if it
 * ends in none.
 */
size_t dfx_format_suffix(const dfx_format *format, const char *path);

/*
 * The one of count formats that bids highest (KIND_UNKNOWN, KIND_TIE). Where
 * none bids, a file of a format's suffix is taken for a broken one of it, so
 * that its reader says what is wrong. The list is an argument so that a test
 * can bring its own.
 */
DFX_CHECKED dfx_status dfx_format_choose(const dfx_format *const *list,
                                         size_t count,
                                         const dfx_evidence *evidence,
                                         const dfx_format **out,
                                         dfx_error *err);

/*
 * Reads the tensors of one more file into a component of an index: how folders
 * and shards read their weight files, whatever format those are in. A file may
 * name files that name files; what goes deeper is refused (SHARD_INDEX).
 */
DFX_CHECKED dfx_status dfx_index_read_into(dfx_index *index, uint32_t component,
                                           const dfx_place *place,
                                           const dfx_open_options *options,
                                           dfx_error *err);

/*
 * The format of one more file, by content and suffix: whatever options say, who
 * names a format means the file that names this one.
 */
DFX_CHECKED dfx_status dfx_place_format(const dfx_place *place,
                                        const dfx_format **format,
                                        dfx_error *err);

/*
 * dfx_validate, dfx_audit_path and dfx_disassemble of a file among others, or
 * in an archive.
 */
DFX_CHECKED dfx_status dfx_place_validate(const dfx_place *place,
                                          const dfx_open_options *options,
                                          dfx_finding_fn *found, void *context,
                                          dfx_error *err);
DFX_CHECKED dfx_status dfx_place_audit(const dfx_place *place,
                                       const dfx_open_options *options,
                                       dfx_audit *audit, dfx_error *err);
DFX_CHECKED dfx_status dfx_place_disassemble(const dfx_place *place,
                                             const dfx_open_options *options,
                                             dfx_line_fn *line, void *context,
                                             dfx_error *err);

#endif
