/*
 * weight.h - weights as they are stored, decoded where they are used
 */
#ifndef DFX_CPU_WEIGHT_H
#define DFX_CPU_WEIGHT_H

#include "backend.h"

#include "codecs/codec.h"

/* Numbers decoded at once: whole blocks of every type. */
enum { DFX_WEIGHT_PART = 256 };

/* Numbers first .. first + count of a weight, whole blocks of them: in room,
   unless they are floats already. */
static inline const float *
dfx_weight_numbers(dfx_weight weight, size_t first, size_t count, float *room)
{
    const unsigned char *from = weight.data;
    const dfx_codec *codec = dfx_codec_of(weight.type);

    if (weight.type == DFX_TYPE_F32)
        return (const float *)weight.data + first;
    from += dfx_type_bytes(weight.type, first);
    if (codec != NULL)
        codec->decode(from, room, count / codec->unit.elements);
    else
        dfx_cast(weight.type, DFX_TYPE_F32, from, room, count);
    return room;
}

#endif
