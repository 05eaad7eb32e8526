/*
 * fields.h - writing derived fields into a config.json
 *
 * For the config functions of kinds. What a class has as its default is spelled
 * as JSON text beside each field, so that a table of them reads like the class.
 */
#ifndef DFX_FIELDS_H
#define DFX_FIELDS_H

#include "document.h"
#include "rules.h"

typedef struct dfx_fields {
    cJSON *config;          /* borrowed */
    const dfx_facts *facts; /* borrowed */
    bool complete; /* every field; else those that differ from the default or
                      are there already */
    dfx_status status; /* of all that was written so far */
    dfx_error *err;
} dfx_fields;

/* Takes node. NULL is memory that ran out. */
void dfx_field_set(dfx_fields *fields, const char *key, cJSON *node,
                   const char *usual);
/* The same, but never replaces what the document says: for constants that no
   shape tells. */
void dfx_field_fill(dfx_fields *fields, const char *key, cJSON *node,
                    const char *usual);

/* A fact as a number. */
void dfx_field_int(dfx_fields *fields, const char *key, const char *fact,
                   const char *usual);
/* The same, null if it is 0. */
void dfx_field_int_or_null(dfx_fields *fields, const char *key,
                           const char *fact, const char *usual);
void dfx_field_bool(dfx_fields *fields, const char *key, bool value,
                    const char *usual);
/* text NULL: null. */
void dfx_field_text(dfx_fields *fields, const char *key, const char *text,
                    const char *usual);
/* fact[0], fact[1], ... fact[count-1]. */
void dfx_field_list(dfx_fields *fields, const char *key, const char *fact,
                    int64_t count, const char *usual);

#endif
