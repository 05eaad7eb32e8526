/*
 * codec.c - the table of block types
 */
#include <config.h>

#include "codecs/codec.h"

static const dfx_codec table[] = {
#define CODEC(name, number, elements, bytes, alias, encoder)                   \
    {{elements, bytes}, dfx_decode_##name, encoder},
#include "codecs/codecs.def"
#undef CODEC
};

const dfx_codec *
dfx_codec_of(dfx_type type)
{
    return dfx_type_class(type) == DFX_CLASS_BLOCK
               ? &table[type - DFX_TYPE_Q4_0]
               : NULL;
}
