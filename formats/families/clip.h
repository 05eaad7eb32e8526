/*
 * clip.h - what the text encoders of CLIP have in common
 */
#ifndef DFX_CLIP_H
#define DFX_CLIP_H

#include "rules.h"

/* The facts and the config: see the head of clip.c. */
DFX_CHECKED dfx_status dfx_clip_derive(const dfx_view *view, dfx_facts *facts,
                                       dfx_error *err);
DFX_CHECKED dfx_status dfx_clip_config(const dfx_facts *facts, bool complete,
                                       struct cJSON *config, dfx_error *err);

/* Writes text fields that no shape tells, where the document has none:
   "architectures", "model_type". */
DFX_CHECKED dfx_status dfx_clip_config_class(struct cJSON *config,
                                             const char *class_name,
                                             const char *model_type,
                                             dfx_error *err);

#endif
