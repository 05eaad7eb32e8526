/*
 * zstd.c - any other file, compressed by zstd
 *
 * The bytes are expanded once, into memory or a temporary file, and mounted as
 * a file called like this one without .zst, for the format that they are of.
 */
#include <config.h>

#include <string.h>

#include "compress.h"
#include "registry.h"

#define SUFFIX ".zst"

/* What was in the file, mounted. */
typedef struct expanded {
    dfx_arena arena;
    dfx_io *io; /* owned */
    dfx_member member;
    dfx_mount mount;
    dfx_place place;
    dfx_open_options options;
} expanded;

/* The name of the file in the file. */
static const char *
inner_name(const char *path, dfx_arena *arena)
{
    const char *slash = strrchr(path, '/');
    const char *name = slash != NULL ? slash + 1 : path;
    size_t size = strlen(name), tail = strlen(SUFFIX);

    if (size > tail && strcmp(name + size - tail, SUFFIX) == 0)
        size -= tail;
    return dfx_arena_strndup(arena, name, size);
}

static dfx_status
expand(const dfx_place *place, const dfx_open_options *options, expanded *x,
       dfx_error *err)
{
    dfx_io *packed = NULL;
    dfx_status status;

    *x = (expanded){.options = *options};
    x->options.format = NULL; /* that one was ours */
    x->member.path = inner_name(place->path, &x->arena);
    if (x->member.path == NULL)
        return dfx_fail_nomem(err);
    x->place.path =
        dfx_arena_printf(&x->arena, "%s/%s", place->path, x->member.path);
    if (x->place.path == NULL)
        return dfx_fail_nomem(err);
    DFX_TRY(dfx_place_open(place, &packed, err));
    status = dfx_expand(packed, options->max_expanded, options->temp,
                        x->place.path, &x->io, err);
    dfx_io_close(packed);
    if (status != DFX_OK)
        return status;
    x->member.data = (dfx_extent){x->io, 0, dfx_io_size(x->io)};
    x->mount = (dfx_mount){place->path, &x->member, 1};
    x->place.mount = &x->mount;
    return DFX_OK;
}

static void
expanded_fini(expanded *x)
{
    dfx_io_close(x->io);
    dfx_arena_fini(&x->arena);
}

static dfx_status
zstd_read(const dfx_place *place, uint32_t component,
          const dfx_open_options *options, dfx_index *index, dfx_error *err)
{
    expanded x;
    dfx_status status = expand(place, options, &x, err);

    if (status == DFX_OK) {
        status = dfx_index_take_io(index, x.io, err);
        x.io = NULL;
    }
    if (status == DFX_OK)
        status =
            dfx_index_read_into(index, component, &x.place, &x.options, err);
    expanded_fini(&x);
    return status;
}

static dfx_status
zstd_validate(const dfx_place *place, const dfx_open_options *options,
              dfx_finding_fn *found, void *context, dfx_error *err)
{
    expanded x;
    dfx_error fault = {.rule = ""};
    dfx_status status = expand(place, options, &x, &fault);

    if (status == DFX_OK)
        status =
            dfx_place_validate(&x.place, &x.options, found, context, &fault);
    else if (status == DFX_ERR_FORMAT || status == DFX_ERR_LIMIT) {
        found(context, &fault);
        status = DFX_OK;
    }
    expanded_fini(&x);
    if (status != DFX_OK && err != NULL)
        *err = fault;
    return status;
}

static dfx_status
zstd_audit(const dfx_place *place, const dfx_open_options *options,
           dfx_audit *audit, dfx_error *err)
{
    expanded x;
    dfx_status status = expand(place, options, &x, err);

    if (status == DFX_OK)
        status = dfx_place_audit(&x.place, &x.options, audit, err);
    expanded_fini(&x);
    return status;
}

static dfx_status
zstd_disassemble(const dfx_place *place, const dfx_open_options *options,
                 dfx_line_fn *line, void *context, dfx_error *err)
{
    expanded x;
    dfx_status status = expand(place, options, &x, err);

    if (status == DFX_OK)
        status =
            dfx_place_disassemble(&x.place, &x.options, line, context, err);
    expanded_fini(&x);
    return status;
}

/* A frame, or one of those that readers skip. */
static unsigned
zstd_bid(const dfx_evidence *evidence)
{
    const uint8_t *head = evidence->head;

    if (evidence->is_folder || evidence->head_size < 4)
        return 0;
    if (memcmp(head, "\x28\xb5\x2f\xfd", 4) == 0)
        return 32;
    return (head[0] & 0xF0) == 0x50 && memcmp(head + 1, "\x2a\x4d\x18", 3) == 0
               ? 28
               : 0;
}

const dfx_format dfx_format_zstd = {
    .name = "zst",
    .summary = "any of the others, compressed by zstd",
    .suffix = SUFFIX,
    .is_envelope = true,
    .bid = zstd_bid,
    .read = zstd_read,
    .validate = zstd_validate,
    .audit = zstd_audit,
    .disassemble = zstd_disassemble,
};
