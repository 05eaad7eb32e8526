/*
 * imatrix.c - importance matrices in llama.cpp's older form, .dat
 *
 * Numbers are 32 bits, little-endian: how many matrices; for each the bytes of
 * its name, the name, how often it was called, how many columns, and for each
 * the mean of squares times the calls; at the end how many chunks there were,
 * and from llama.cpp the bytes of a file name and that name (llama.cpp
 * tools/imatrix; stable-diffusion.cpp ends after the chunks). The form has no
 * mark of its own, so all of it is judged before it is taken for one.
 *
 * It reads as what the newer form, a GGUF file, has: NAME.in_sum2 and
 * NAME.counts.
 */
#include <config.h>

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "registry.h"

enum {
    WORD = 4,
    LONGEST_NAME = 1024 /* bytes; a GGUF's are at most 127 in practice */
};

typedef struct reader {
    const dfx_io *io;
    uint64_t at;
    uint32_t component;
    dfx_index *index;
    dfx_error *err;
} reader;

static dfx_status
fail(reader *r, const char *what)
{
    return dfx_fail(r->err, DFX_RULE_IMATRIX_FORM, r->at, "%s", what);
}

static uint64_t
left(const reader *r)
{
    return dfx_io_size(r->io) - r->at;
}

/* A count of what takes size bytes at least, so many that they may be there. */
static dfx_status
read_count(reader *r, const char *what, uint64_t size, uint32_t *count)
{
    uint8_t bytes[WORD];

    if (left(r) < WORD)
        return fail(r, "the file ends inside a number");
    DFX_TRY(dfx_io_read_at(r->io, r->at, bytes, WORD, r->err));
    *count = (uint32_t)bytes[0] | (uint32_t)bytes[1] << 8 |
             (uint32_t)bytes[2] << 16 | (uint32_t)bytes[3] << 24;
    if (*count > INT32_MAX || *count > (left(r) - WORD) / size)
        return dfx_fail(r->err, DFX_RULE_IMATRIX_FORM, r->at,
                        "%" PRIu32 " %s are more than the file has room for",
                        *count, what);
    r->at += WORD;
    return DFX_OK;
}

static dfx_status
add_tensor(reader *r, const char *name, const char *suffix, dfx_type type,
           uint64_t count, uint64_t offset)
{
    char whole[LONGEST_NAME + 16];
    dfx_claim claim = {
        .name = whole,
        .component = r->component,
        .type = type,
        .rank = 1,
        .shape = &count,
        .io = r->io,
        .offset = offset,
        .size = count * WORD,
        .where = offset,
    };

    claim.name_size =
        (size_t)snprintf(whole, sizeof whole, "%s%s", name, suffix);
    return dfx_index_add(r->index, &claim, r->err);
}

static dfx_status
read_entry(reader *r)
{
    char name[LONGEST_NAME + 1];
    uint32_t size = 0, calls = 0, columns = 0;
    uint64_t calls_at;

    DFX_TRY(read_count(r, "bytes of a name", 1, &size));
    if (size == 0 || size > LONGEST_NAME)
        return fail(r, "a name is empty, or longer than any is");
    DFX_TRY(dfx_io_read_at(r->io, r->at, name, size, r->err));
    if (memchr(name, '\0', size) != NULL)
        return fail(r, "a name has a NUL in it");
    name[size] = '\0';
    r->at += size;
    calls_at = r->at;
    /* Calls are no count of bytes: any number above 0. */
    if (left(r) < WORD)
        return fail(r, "the file ends inside a number");
    DFX_TRY(dfx_io_read_at(r->io, r->at, &calls, WORD, r->err));
    if (calls == 0 || calls > INT32_MAX)
        return fail(r, "a matrix was never called");
    r->at += WORD;
    DFX_TRY(read_count(r, "columns", WORD, &columns));
    if (columns == 0)
        return fail(r, "a matrix has no columns");
    DFX_TRY(add_tensor(r, name, ".in_sum2", DFX_TYPE_F32, columns, r->at));
    DFX_TRY(add_tensor(r, name, ".counts", DFX_TYPE_I32, 1, calls_at));
    r->at += (uint64_t)columns * WORD;
    return DFX_OK;
}

/* How many chunks, and perhaps of which file: neither changes a number. */
static dfx_status
read_tail(reader *r)
{
    uint32_t size = 0;

    if (left(r) < WORD)
        return left(r) == 0 ? DFX_OK : fail(r, "the file ends inside a number");
    r->at += WORD;
    if (left(r) == 0)
        return DFX_OK;
    DFX_TRY(read_count(r, "bytes of a name", 1, &size));
    r->at += size;
    return left(r) == 0 ? DFX_OK : fail(r, "bytes follow the end");
}

static dfx_status
read_all(reader *r)
{
    enum { LEAST = 4 * WORD + 1 }; /* bytes of a matrix */
    uint32_t count = 0;

    DFX_TRY(read_count(r, "matrices", LEAST, &count));
    if (count == 0)
        return fail(r, "there is no matrix");
    for (uint32_t i = 0; i < count; i++)
        DFX_TRY(read_entry(r));
    return read_tail(r);
}

static dfx_status
imatrix_read(const dfx_place *place, uint32_t component,
             const dfx_open_options *options, dfx_index *index, dfx_error *err)
{
    reader r = {.component = component, .index = index, .err = err};
    dfx_io *io = NULL;
    dfx_status status;

    (void)options;
    DFX_TRY(dfx_place_open(place, &io, err));
    DFX_TRY(dfx_index_take_io(index, io, err));
    r.io = io;
    status = read_all(&r);
    if (status != DFX_OK)
        dfx_error_in_file(err, place->path);
    return status;
}

/* Of a first entry that is whole in the head: its four numbers, and a name that
   is printed. */
static unsigned
imatrix_bid(const dfx_evidence *evidence)
{
    enum { BID_ENTRY = 24 };
    const uint8_t *head = evidence->head;
    uint32_t words[2], size;

    if (evidence->is_folder || evidence->head_size < 2 * WORD)
        return 0;
    memcpy(words, head, sizeof words);
    size = words[1];
    if (words[0] == 0 || words[0] > evidence->file_size / (4 * WORD) ||
        size == 0 || size > LONGEST_NAME ||
        evidence->head_size < 4 * WORD + size)
        return 0;
    for (uint32_t i = 0; i < size; i++)
        if (head[2 * WORD + i] <= ' ' || head[2 * WORD + i] >= 0x7f)
            return 0;
    memcpy(words, head + 2 * WORD + size, sizeof words);
    return words[0] > 0 && words[0] <= INT32_MAX && words[1] > 0 &&
                   words[1] <= evidence->file_size / WORD
               ? BID_ENTRY
               : 0;
}

const dfx_format dfx_format_imatrix = {
    .name = "imatrix",
    .summary = "importance matrix of llama.cpp, the older form",
    .suffix = ".dat",
    .layout = DFX_LAYOUT_ORIGINAL,
    .bid = imatrix_bid,
    .read = imatrix_read,
};
