/*
 * crc.h - CRC-32 as zip has it (ISO 3309, reflected 04C11DB7)
 *
 * libdeflate counts (14 GB/s on the machine where zlib does 4) and zlib
 * combines.
 */
#ifndef DFX_CRC_H
#define DFX_CRC_H

#include <stddef.h>
#include <stdint.h>

/* Of data after bytes whose CRC is crc; 0 to start. */
uint32_t dfx_crc(uint32_t crc, const void *data, size_t size);
/* Of a and b one after the other, b having size_b bytes. */
uint32_t dfx_crc_join(uint32_t crc_a, uint32_t crc_b, uint64_t size_b);

#endif
