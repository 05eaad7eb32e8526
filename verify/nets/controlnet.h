#ifndef DFX_CONTROLNET_H
#define DFX_CONTROLNET_H
#include "nets/unet.h"
typedef struct dfx_controlnet_config { dfx_unet_config unet; } dfx_controlnet_config;
typedef struct dfx_controlnet_input { dfx_unet_input unet; dfx_array cond; float scale; bool guess; } dfx_controlnet_input;
typedef struct dfx_controlnet_output { dfx_array down[DFX_UNET_SKIPS]; size_t down_count; dfx_array mid; } dfx_controlnet_output;
static inline dfx_status dfx_controlnet_configure(dfx_controlnet_config *c, const cJSON *d, dfx_error *err) { return dfx_unet_configure(&c->unet, d, err); }
static inline void dfx_controlnet(dfx_net *net, const dfx_controlnet_config *c, const dfx_controlnet_input *in, dfx_controlnet_output *out) { (void)net; (void)c; (void)in; (void)out; }
#endif
