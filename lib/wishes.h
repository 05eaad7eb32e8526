/*
 * wishes.h - what options say of types
 */
#ifndef DFX_WISHES_H
#define DFX_WISHES_H

#include <regex.h>

#include "convert.h"
#include "encoding.h"

/* A name for a type that differs by what a matrix does. */
typedef struct dfx_mix dfx_mix;

typedef struct dfx_type_rule {
    regex_t pattern;
    dfx_type type;
} dfx_type_rule;

/* What a component, or all that is not said otherwise, becomes. */
typedef struct dfx_wish {
    const char *component;        /* NULL: every other */
    size_t size;                  /* of its name */
    dfx_type type;                /* COUNT: as it is */
    const dfx_mix *mix;           /* or NULL */
    const dfx_encoding *encoding; /* in parts; or NULL */
    unsigned values;              /* seen so far: a mix counts */
} dfx_wish;

typedef struct dfx_wishes {
    const dfx_conversion *conversion;
    dfx_type_rule *rules; /* owned */
    size_t rule_count, rule_capacity;
    regex_t keep;
    bool keeps;
    dfx_wish *list; /* owned; the last one is for all others */
    size_t count;
    dfx_type rest; /* what is not quantized becomes this; COUNT: as it is */
} dfx_wishes;

/* From the options of a conversion whose parts are known. Usage errors for what
   is no type, no expression, no component. dfx_wishes_fini also after a
   failure. */
DFX_CHECKED dfx_status dfx_wishes_read(dfx_wishes *wishes,
                                       const dfx_conversion *conversion,
                                       dfx_error *err);
void dfx_wishes_fini(dfx_wishes *wishes);

/* The type of the first rule that a name matches; false: it matches none. */
bool dfx_wishes_rule(const dfx_wishes *wishes, const char *name,
                     dfx_type *type);
/* Does --keep name it? */
bool dfx_wishes_keep(const dfx_wishes *wishes, const char *name);
/* What is said of a component; NULL is none. */
dfx_wish *dfx_wishes_of(const dfx_wishes *wishes, const char *part);
/* llama.cpp's number for the mix that all others become; -1: it is none. */
int dfx_wishes_file_type(const dfx_wishes *wishes);

/* The type of a matrix: a mix makes exceptions, *role is then for what. It
   counts the matrices that it is asked about. */
dfx_type dfx_wish_type(dfx_wish *wish, const char *name, const char **role);

#endif
