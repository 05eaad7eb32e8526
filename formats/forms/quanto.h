/*
 * quanto.h - what reading and writing its forms share
 */
#ifndef DFX_QUANTO_H
#define DFX_QUANTO_H

#include "encoding.h"

/* Codes of four bits or two, of the weight as rows of groups. */
typedef struct dfx_quanto_packed {
    unsigned bits;
    uint64_t rows, columns; /* of groups */
    uint64_t stored;        /* rows of bytes */
    bool by_column;         /* scales are of columns, not of rows */
} dfx_quanto_packed;

/* Rows of bytes that hold so many rows of codes. */
static inline uint64_t
dfx_quanto_rows(uint64_t rows, unsigned bits)
{
    uint64_t in_byte = 8 / bits;

    return rows / in_byte + (rows % in_byte != 0);
}

extern const dfx_form dfx_form_quanto;
extern const dfx_encoding dfx_quanto_encodings[];

#endif
