/*
 * crc.c - CRC-32, counted and combined
 */
#include <config.h>

#include "crc.h"

#include <libdeflate.h>
#include <zlib.h>

uint32_t
dfx_crc(uint32_t crc, const void *data, size_t size)
{
    /* Without data libdeflate starts anew, whatever crc is. */
    return size > 0 ? libdeflate_crc32(crc, data, size) : crc;
}

uint32_t
dfx_crc_join(uint32_t crc_a, uint32_t crc_b, uint64_t size_b)
{
    return (uint32_t)crc32_combine(crc_a, crc_b, (z_off_t)size_b);
}
