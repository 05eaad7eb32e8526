/*
 * codec.c - the tables of block types
 */
#include <config.h>

#include "codecs/codec.h"

#define ENCODER_NONE(name) NULL
#define ENCODER_PLAIN(name) dfx_encode_##name
#define ENCODER_LANES(name) dfx_encode_##name

static const dfx_codec plain[] = {
#define CODEC(name, number, elements, bytes, alias, decoder, encoder)          \
    {{elements, bytes},                                                        \
     dfx_decode_##name,                                                        \
     ENCODER_##encoder(name),                                                  \
     DFX_CODEC_BY_ROW(elements)},
#include "codecs/codecs.def"
#undef CODEC
};

const dfx_codec *
dfx_codec_at(dfx_cpu level, dfx_type type)
{
    const dfx_codec *table = plain;

#ifdef DFX_HAVE_X86_SIMD
    if (level == DFX_CPU_AVX512)
        table = dfx_codecs_avx512;
    if (level == DFX_CPU_AVX2)
        table = dfx_codecs_avx2;
#else
    (void)level;
#endif
    return dfx_type_class(type) == DFX_CLASS_BLOCK
               ? &table[type - DFX_TYPE_Q4_0]
               : NULL;
}

const dfx_codec *
dfx_codec_of(dfx_type type)
{
    return dfx_codec_at(dfx_cpu_level(), type);
}
