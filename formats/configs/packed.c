/*
 * packed.c - the packed JSON files, see pack.c
 */
#include <config.h>

#include "configs.h"
#include "packed.inc"

const dfx_packed dfx_packed_configs = {
    .frames = frames,
    .frame_count = sizeof frames / sizeof frames[0],
    .files = files,
    .file_count = sizeof files / sizeof files[0],
};
