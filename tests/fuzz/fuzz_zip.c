/*
 * fuzz_zip.c - any bytes as a zip archive
 *
 * Members lie inside the file, and what they hold is no more than was allowed.
 */
#include <config.h>

#include <string.h>

#include "fuzz.h"
#include "zip.h"

enum { LIMIT = 1 << 20 };

static dfx_status
go_on(void *context, dfx_zip_fault fault, const dfx_zip_member *member,
      uint64_t offset, const char *text, dfx_error *err)
{
    (void)context;
    (void)member;
    (void)offset;
    (void)err;
    REQUIRE(fault < DFX_ZIP_FAULTS && text != NULL);
    return DFX_OK;
}

static void
read_all(dfx_io *io)
{
    unsigned char buffer[4096];
    uint64_t size = dfx_io_size(io);

    REQUIRE(size <= LIMIT);
    for (uint64_t at = 0; at < size; at += sizeof buffer) {
        size_t n =
            size - at < sizeof buffer ? (size_t)(size - at) : sizeof buffer;

        if (dfx_io_read_at(io, at, buffer, n, NULL) != DFX_OK)
            break; /* its CRC */
    }
    dfx_io_close(io);
}

static void
read_member(const dfx_zip *zip, const dfx_zip_member *member)
{
    dfx_io *io = NULL;

    REQUIRE(member->name[member->name_size] == '\0');
    if (memchr(member->name, 0, member->name_size) == NULL)
        REQUIRE(dfx_zip_find(zip, member->name) != NULL);
    if (dfx_zip_open(zip, member, DFX_RULE_DD_ZIP_CRC, LIMIT, NULL, &io,
                     NULL) == DFX_OK)
        read_all(io);
    io = NULL;
    if (dfx_zip_peek(zip, member, LIMIT, NULL, &io, NULL) == DFX_OK)
        read_all(io);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    dfx_zip zip = {0};
    dfx_io *io = NULL;

    REQUIRE(dfx_io_open_memory(data, size, "zip", &io, NULL) == DFX_OK);
    REQUIRE(dfx_zip_read(io, go_on, NULL, &zip, NULL) == DFX_OK);
    REQUIRE(zip.end <= size);
    for (size_t i = 0; i < zip.count && i < 64; i++)
        read_member(&zip, &zip.members[i]);
    dfx_zip_fini(&zip);
    dfx_io_close(io);
    return 0;
}
