/*
 * bitsandbytes.h - what reading and writing its forms share
 */
#ifndef DFX_BITSANDBYTES_H
#define DFX_BITSANDBYTES_H

#include "encoding.h"

enum {
    DFX_BNB_CODES = 16,
    DFX_BNB_NESTED = 256 /* numbers of a scale's code */
};

/* How many parts of a size there are, the last one perhaps short. */
static inline uint64_t
dfx_bnb_parts(uint64_t elements, uint64_t size)
{
    return elements / size + (elements % size != 0);
}

extern const dfx_form dfx_form_bitsandbytes;
extern const dfx_encoding dfx_bitsandbytes_encodings[];

#endif
