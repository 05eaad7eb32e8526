/*
 * test_crc.c - CRC-32, and of parts joined
 */
#include <config.h>

#include "crc.h"
#include "scratch.h"
#include "tap.h"

/* The definition: one bit at a time. */
static uint32_t
plain(const unsigned char *data, size_t size)
{
    uint32_t crc = UINT32_MAX;

    for (size_t i = 0; i < size; i++) {
        crc ^= data[i];
        for (int bit = 0; bit < 8; bit++)
            crc = crc >> 1 ^ ((crc & 1) != 0 ? 0xedb88320u : 0);
    }
    return ~crc;
}

int
main(void)
{
    static unsigned char data[5000];
    uint64_t state = 1;
    bool whole = true, parts = true, joined = true;

    for (size_t i = 0; i < sizeof data; i++)
        data[i] = (unsigned char)scratch_random(&state);
    CHECK_U64(dfx_crc(0, "123456789", 9), 0xcbf43926, "the usual check value");
    CHECK_U64(dfx_crc(0, NULL, 0), 0, "of nothing");
    for (size_t size = 0; size <= sizeof data; size += 1 + size / 7) {
        size_t cut = (size_t)(scratch_random(&state) % (size + 1));
        uint32_t want = plain(data, size), a = dfx_crc(0, data, cut);

        whole = whole && dfx_crc(0, data, size) == want;
        parts = parts && dfx_crc(a, data + cut, size - cut) == want;
        joined = joined && dfx_crc_join(a, dfx_crc(0, data + cut, size - cut),
                                        size - cut) == want;
    }
    CHECK(whole, "of any size as defined");
    CHECK(parts, "the same in parts");
    CHECK(joined, "the same of parts joined");
    return tap_end();
}
