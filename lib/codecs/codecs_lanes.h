/*
 * codecs_lanes.h - the codecs of a level
 *
 * Included by codecs_avx2.c and codecs_avx512.c, each of which is compiled for
 * its level and defines before:
 *   LANES         floats that are worked on at once (lanes.h)
 *   LANES_TABLE   name of the table
 */
#include "codecs/codec.h"
#include "codecs/decode_lanes.h"
#include "codecs/fp4_lanes.h"
#include "codecs/iq4_lanes.h"
#include "codecs/iq_lanes.h"
#include "codecs/kquants_lanes.h"
#include "codecs/legacy_lanes.h"

#define DECODER_PLAIN(name) dfx_decode_##name
#define DECODER_LANES(name) decode_##name
#define ENCODER_NONE(name) NULL
#define ENCODER_PLAIN(name) dfx_encode_##name
#define ENCODER_LANES(name) encode_##name

const dfx_codec LANES_TABLE[] = {
#define CODEC(name, number, elements, bytes, alias, decoder, encoder)          \
    {{elements, bytes},                                                        \
     DECODER_##decoder(name),                                                  \
     ENCODER_##encoder(name),                                                  \
     DFX_CODEC_BY_ROW(elements)},
#include "codecs/codecs.def"
#undef CODEC
};
