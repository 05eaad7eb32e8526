/*
 * lora_names.c - what the keys of LoRAs mean
 *
 * Names as peft, diffusers, sd-scripts (kohya) and ComfyUI write them. Kohya
 * has underscores for dots, which cannot be undone without the model: modules
 * are compared with underscores, and no two of a model are alike then.
 */
#include <config.h>

#include "lora.h"

#include <stdio.h>
#include <string.h>

static const struct {
    const char *front, *component;
} fronts[] = {
    {"lora_unet_", "unet"},
    {"lora_te_", "text_encoder"},
    {"lora_te1_", "text_encoder"},
    {"lora_te2_", "text_encoder_2"},
    {"unet.", "unet"},
    {"text_encoder.", "text_encoder"},
    {"text_encoder_2.", "text_encoder_2"},
    {"diffusion_model.", "unet"},
    {"text_encoders.clip_l.transformer.", "text_encoder"},
    {"text_encoders.clip_g.transformer.", "text_encoder_2"},
};

static const struct {
    const char *end;
    dfx_lora_part part;
} ends[] = {
    {".lora_A.weight", DFX_LORA_DOWN},
    {".lora_B.weight", DFX_LORA_UP},
    {".lora_A.default.weight", DFX_LORA_DOWN},
    {".lora_B.default.weight", DFX_LORA_UP},
    {".lora_down.weight", DFX_LORA_DOWN},
    {".lora_up.weight", DFX_LORA_UP},
    {".lora.down.weight", DFX_LORA_DOWN},
    {".lora.up.weight", DFX_LORA_UP},
    {".lora_linear_layer.down.weight", DFX_LORA_DOWN},
    {".lora_linear_layer.up.weight", DFX_LORA_UP},
    {"_lora.down.weight", DFX_LORA_DOWN}, /* to_q_lora: after those above */
    {"_lora.up.weight", DFX_LORA_UP},
    {".alpha", DFX_LORA_ALPHA},
};

/* Names that modules had, and have now. */
typedef struct spelling {
    const char *old, *now;
} spelling;

/* Ends of modules; a longer one that ends like a shorter one is before it. */
static const spelling attention[] = {
    {"_processor_to_q", "_to_q"},
    {"_processor_to_k", "_to_k"},
    {"_processor_to_v", "_to_v"},
    {"_processor_to_out", "_to_out_0"},
    {"_self_attn_to_q", "_self_attn_q_proj"},
    {"_self_attn_to_k", "_self_attn_k_proj"},
    {"_self_attn_to_v", "_self_attn_v_proj"},
    {"_self_attn_to_out", "_self_attn_out_proj"},
};

/* Layers of a UNet's resnet by their original names. */
static const spelling resnet[] = {
    {"in_layers_2", "conv1"},
    {"out_layers_3", "conv2"},
    {"emb_layers_1", "time_emb_proj"},
    {"skip_connection", "conv_shortcut"},
};

static const spelling wholes[] = {
    {"input_blocks_0_0", "conv_in"},
    {"out_2", "conv_out"},
    {"time_embed_0", "time_embedding_linear_1"},
    {"time_embed_2", "time_embedding_linear_2"},
    {"label_emb_0_0", "add_embedding_linear_1"},
    {"label_emb_0_2", "add_embedding_linear_2"},
};

#define COUNT(table) (sizeof(table) / sizeof(table)[0])

static const char *
spelled(const spelling *table, size_t count, const char *old)
{
    for (size_t i = 0; i < count; i++)
        if (strcmp(table[i].old, old) == 0)
            return table[i].now;
    return NULL;
}

bool
dfx_lora_module(const char *name, size_t size, char module[DFX_LORA_MODULE])
{
    static const char model[] = "text_model";
    size_t front = sizeof model; /* with its dot or underscore */

    if (size > front && memcmp(name, model, front - 1) == 0 &&
        (name[front - 1] == '.' || name[front - 1] == '_')) {
        name += front;
        size -= front;
    }
    if (size >= DFX_LORA_MODULE)
        return false;
    for (size_t i = 0; i < size; i++)
        module[i] = (char)(name[i] == '.' ? '_' : name[i]);
    module[size] = '\0';
    return true;
}

/* Ends that change; false if the new one has no room. */
static bool
spell_attention(char *module)
{
    size_t size = strlen(module);

    for (size_t i = 0; i < COUNT(attention); i++) {
        size_t old = strlen(attention[i].old);
        size_t now = strlen(attention[i].now);

        if (size < old || strcmp(module + size - old, attention[i].old) != 0)
            continue;
        if (size - old + now >= DFX_LORA_MODULE)
            return false;
        memcpy(module + size - old, attention[i].now, now + 1);
        return true;
    }
    return true;
}

/* "12_rest" -> 12, and *text is at "rest"; false for other text. */
static bool
take_number(const char **text, unsigned *number)
{
    const char *at = *text;

    *number = 0;
    while (*at >= '0' && *at <= '9' && *number < 1000)
        *number = *number * 10 + (unsigned)(*at++ - '0');
    if (at == *text || *at != '_')
        return false;
    *text = at + 1;
    return true;
}

static bool
skip(const char **text, const char *front)
{
    size_t size = strlen(front);

    if (strncmp(*text, front, size) != 0)
        return false;
    *text += size;
    return true;
}

/* Part j of layer i of a block, whose names go on with rest. */
static bool
spell_layer(char *module, const char *block, unsigned i, unsigned part,
            const char *rest)
{
    char text[DFX_LORA_MODULE];
    const char *now = part == 0 ? spelled(resnet, COUNT(resnet), rest) : rest;
    int size;

    if (now == NULL)
        return false;
    size = snprintf(text, sizeof text, "%s_%s_%u_%s", block,
                    part == 0 ? "resnets" : "attentions", i, now);
    if (size < 0 || (size_t)size >= sizeof text)
        return false;
    memcpy(module, text, (size_t)size + 1);
    return true;
}

/*
 * Names of the original UNets (SD 1, 2 and XL, where a level has two layers, so
 * that an input block is the third or an output block the last of a level):
 * input_blocks.4.1.x is attention 0 of level 1. False if it only begins like
 * one.
 */
static bool
spell_original(char *module)
{
    const char *whole = spelled(wholes, COUNT(wholes), module);
    const char *rest = module;
    unsigned n, part;
    char block[32];

    if (whole != NULL) {
        memcpy(module, whole, strlen(whole) + 1);
        return true;
    }
    if (skip(&rest, "input_blocks_")) {
        if (!take_number(&rest, &n) || !take_number(&rest, &part) || n == 0 ||
            part > 1)
            return false;
        snprintf(block, sizeof block, "down_blocks_%u", (n - 1) / 3);
        if (n % 3 != 0)
            return spell_layer(module, block, (n - 1) % 3, part, rest);
        if (part != 0 || strcmp(rest, "op") != 0)
            return false;
        snprintf(module, DFX_LORA_MODULE, "%s_downsamplers_0_conv", block);
        return true;
    }
    if (skip(&rest, "output_blocks_")) {
        if (!take_number(&rest, &n) || !take_number(&rest, &part) || part > 2)
            return false;
        snprintf(block, sizeof block, "up_blocks_%u", n / 3);
        if (part > 0 && strcmp(rest, "conv") == 0) {
            snprintf(module, DFX_LORA_MODULE, "%s_upsamplers_0_conv", block);
            return n % 3 == 2;
        }
        return part < 2 && spell_layer(module, block, n % 3, part, rest);
    }
    if (skip(&rest, "middle_block_"))
        return take_number(&rest, &n) && n <= 2 &&
               spell_layer(module, "mid_block", n / 2, n % 2, rest);
    return true;
}

bool
dfx_lora_parse(const char *name, dfx_lora_key *key)
{
    const char *rest = name, *component = NULL;
    size_t size, i;

    for (i = 0; i < COUNT(fronts) && component == NULL; i++)
        if (skip(&rest, fronts[i].front))
            component = fronts[i].component;
    if (component == NULL)
        return false;
    size = strlen(rest);
    for (i = 0; i < COUNT(ends); i++) {
        size_t end = strlen(ends[i].end);

        if (size > end && strcmp(rest + size - end, ends[i].end) == 0) {
            size -= end;
            break;
        }
    }
    if (i == COUNT(ends))
        return false;
    key->component = component;
    key->part = ends[i].part;
    return dfx_lora_module(rest, size, key->module) &&
           spell_attention(key->module) &&
           (strcmp(component, "unet") != 0 || spell_original(key->module));
}
