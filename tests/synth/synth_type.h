/*
 * synth_type.h - element types, between the files of the generator
 */
#ifndef DFX_SYNTH_TYPE_H
#define DFX_SYNTH_TYPE_H

#include <stdint.h>

typedef enum synth_class {
    SYNTH_BOOL,
    SYNTH_INT,
    SYNTH_FLOAT,
    SYNTH_BITS /* no rule says what its values are */
} synth_class;

/* A row of a table: a later row has a higher rank. */
typedef struct synth_type {
    const char *name;
    unsigned bits;
    synth_class class;
    int mantissa;
    int least_exponent; /* of normal numbers */
    uint64_t
        too_large; /* what overflow becomes: Inf, or NaN if there is none */
} synth_type;

/* NULL if there is none. */
const synth_type *synth_type_named(const char *name);

/* The finalizer of SplitMix64. */
uint64_t synth_mix(uint64_t z);

#endif
