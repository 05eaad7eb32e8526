/*
 * target.h - which container a conversion ends in
 */
#ifndef DFX_TARGET_H
#define DFX_TARGET_H

#include "registry.h"

typedef struct dfx_target {
    const dfx_format *format;
    bool compress; /* by zstd, on the way out */
} dfx_target;

/*
 * What options->to says, else the ending of dst, else a folder. Usage errors
 * for what cannot be written and for options that it has no use for.
 */
DFX_CHECKED dfx_status dfx_target_choose(const dfx_convert_options *options,
                                         const char *dst, dfx_target *target,
                                         dfx_error *err);

#endif
