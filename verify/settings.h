/*
 * settings.h - what a config.json says, with the defaults of the class
 *
 * A key that is missing has the class's default; an explicit null is none. All
 * numbers are hostile: each reader names the range that makes sense. The first
 * fault is kept (DFX_RULE_RUN_CONFIG) and what follows gives defaults, so that
 * a config is read as a list and judged once at the end.
 */
#ifndef DFX_SETTINGS_H
#define DFX_SETTINGS_H

#include "document.h"

typedef struct dfx_settings {
    const cJSON *config; /* borrowed */
    dfx_status status;
    dfx_error *err;
} dfx_settings;

enum { DFX_SETTING_ITEMS = 16 };

/* Absent or null. */
bool dfx_setting_none(const dfx_settings *s, const char *key);

size_t dfx_setting_count(dfx_settings *s, const char *key, size_t usual,
                         size_t min, size_t max);
float dfx_setting_number(dfx_settings *s, const char *key, double usual,
                         double min, double max);
/* null is false. */
bool dfx_setting_bool(dfx_settings *s, const char *key, bool usual);
/* Borrowed from the config; usual if absent; NULL if null. */
const char *dfx_setting_text(dfx_settings *s, const char *key,
                             const char *usual);

/* Fill items; return how many. A single number or text counts for all of
   alike. */
size_t dfx_setting_counts(dfx_settings *s, const char *key, size_t alike,
                          size_t min, size_t max,
                          size_t items[DFX_SETTING_ITEMS]);
size_t dfx_setting_texts(dfx_settings *s, const char *key,
                         const char *items[DFX_SETTING_ITEMS]);

/* Records the fault, unless there is one. */
void dfx_setting_fail(dfx_settings *s, const char *fmt, ...) DFX_PRINTF(2, 3);
/* The same for what a config may ask but the runner cannot do
   (DFX_RULE_RUN_UNSUPPORTED). */
void dfx_setting_refuse(dfx_settings *s, const char *key);

#endif
