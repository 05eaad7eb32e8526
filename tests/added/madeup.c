/*
 * madeup.c - a container that exists for a test: can one be added by a file and
 * a line?
 *
 * The file is "MADEUP01", four bytes that say how many F32 there are, and
 * those: one tensor, "numbers".
 */
#include <config.h>

#include <string.h>

#include "registry.h"

enum { MAGIC_SIZE = 8, START = MAGIC_SIZE + 4 };

static unsigned
madeup_bid(const dfx_evidence *evidence)
{
    bool ours = evidence->head_size >= START &&
                memcmp(evidence->head, "MADEUP01", MAGIC_SIZE) == 0;

    return ours ? 8 * MAGIC_SIZE : 0;
}

static dfx_status
madeup_read(const dfx_place *place, uint32_t component,
            const dfx_open_options *options, dfx_index *index, dfx_error *err)
{
    dfx_io *io = NULL;
    uint8_t head[START];
    uint64_t count;
    dfx_claim claim = {.name = "numbers", .name_size = strlen("numbers")};

    (void)options;
    DFX_TRY(dfx_place_open(place, &io, err));
    DFX_TRY(dfx_index_take_io(index, io, err));
    DFX_TRY(dfx_io_read_at(io, 0, head, sizeof head, err));
    count = (uint64_t)head[8] | (uint64_t)head[9] << 8 |
            (uint64_t)head[10] << 16 | (uint64_t)head[11] << 24;
    claim.component = component;
    claim.type = DFX_TYPE_F32;
    claim.rank = 1;
    claim.shape = &count;
    claim.io = io;
    claim.offset = START;
    claim.size = 4 * count;
    return dfx_index_add(index, &claim, err);
}

const dfx_format dfx_format_madeup = {
    .name = "madeup",
    .summary = "numbers behind a magic",
    .suffix = ".madeup",
    .bid = madeup_bid,
    .read = madeup_read,
};
