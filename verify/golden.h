/*
 * golden.h - what a model gave, and the recipe
 */
#ifndef DFX_GOLDEN_H
#define DFX_GOLDEN_H

#include <cjson/cJSON.h>

#include "values.h"

struct dfx_golden {
    cJSON *recipe;            /* owned, as all that follows */
    char *text;               /* of the recipe */
    dfx_values *values;       /* of all stages */
    dfx_golden_stage *stages; /* in the order of the run; values of values */
    size_t count, capacity;
};

/* Takes the recipe; *out is owned. */
DFX_CHECKED dfx_status dfx_golden_new(cJSON *recipe, dfx_golden **out,
                                      dfx_error *err);
/* The next stage, with its digest. */
DFX_CHECKED dfx_status dfx_golden_add(dfx_golden *golden,
                                      const dfx_value *value, dfx_error *err);
/* What the recipe says: texts are its own, prompts are *prompt. RUN_GOLDEN. */
DFX_CHECKED dfx_status dfx_golden_request(const cJSON *recipe,
                                          const char **prompt,
                                          dfx_image_request *out,
                                          dfx_error *err);

#endif
