/*
 * architectures.c - the networks that ComfyUI-GGUF knows
 *
 * Commit 795e451: keys, foreign, f32, dropped and in_rows are from its
 * convert.py, delicate and outer from its patch of llama-quantize. The order is
 * that of convert.py: the first one that fits is taken. prefixed is measured
 * with diffusers 0.42.1, which takes the names of other networks either way.
 */
#include <config.h>

#include "architecture.h"

#include <string.h>

#define LDM_ENDS                                                               \
    "class_embedding. time_embedding. add_embedding. time_embed. label_emb. "  \
    "conv_in. conv_out. =input_blocks.0.0.weight =out.2.weight"
#define FLUX_ENDS                                                              \
    "txt_in. img_in. time_in. vector_in. guidance_in. final_layer."

static const dfx_architecture table[] = {
    {
        .name = "flux",
        .keys = {"transformer_blocks.0.attn.norm_added_k.weight",
                 "double_blocks.0.img_attn.proj.weight"},
        .foreign = "transformer_blocks.0.attn.norm_added_k.weight",
        .delicate = FLUX_ENDS,
    },
    {
        .name = "sd3",
        .keys = {"transformer_blocks.0.attn.add_q_proj.weight",
                 "joint_blocks.0.x_block.attn.qkv.weight"},
        .foreign = "transformer_blocks.0.attn.add_q_proj.weight",
        .delicate = "final_layer. time_text_embed. context_embedder. "
                    "t_embedder. y_embedder. x_embedder. =proj_out.weight "
                    "pos_embed",
        .outer = "pos_embed",
    },
    {
        .name = "aura",
        .keys = {"double_layers.3.modX.1.weight",
                 "joint_transformer_blocks.3.ff_context.out_projection.weight"},
        .foreign =
            "joint_transformer_blocks.3.ff_context.out_projection.weight",
        .delicate = "t_embedder. init_x_linear. =modF.1.weight "
                    "=cond_seq_linear.weight =final_linear.weight "
                    "positional_encoding register_tokens",
        .outer = "positional_encoding register_tokens",
    },
    {
        .name = "hidream",
        .keys = {"caption_projection.0.linear.weight "
                 "double_stream_blocks.0.block.ff_i.shared_experts.w3.weight"},
        .f32 = ".ff_i.gate.weight img_emb.emb_pos",
        .delicate = "p_embedder. t_embedder. x_embedder. final_layer. "
                    ".ff_i.gate.weight caption_projection.",
    },
    {
        .name = "cosmos",
        .keys = {"blocks.0.mlp.layer1.weight "
                 "blocks.0.adaln_modulation_cross_attn.1.weight"},
        .f32 = "pos_embedder",
        .dropped = "_extra_state accum_",
        .delicate = "p_embedder. t_embedder. t_embedding_norm. x_embedder. "
                    "pos_embedder. final_layer.",
    },
    {
        .name = "ltxv",
        .keys = {"adaln_single.emb.timestep_embedder.linear_2.weight "
                 "transformer_blocks.27.scale_shift_table "
                 "caption_projection.linear_2.weight"},
        .f32 = "scale_shift_table",
        .delicate = "adaln_single. caption_projection. patchify_proj. "
                    "proj_out. scale_shift_table",
    },
    {
        .name = "hyvid",
        .keys = {"double_blocks.0.img_attn_proj.weight "
                 "txt_in.individual_token_refiner.blocks.1."
                 "self_attn_qkv.weight"},
        .delicate = FLUX_ENDS,
    },
    {
        .name = "wan",
        .keys = {"blocks.0.self_attn.norm_q.weight text_embedding.2.weight "
                 "head.modulation"},
        .f32 = ".modulation",
        .delicate = "modulation. patch_embedding. text_embedding. "
                    "time_projection. time_embedding. img_emb. head.",
        .outer = ".modulation img_emb.emb_pos",
    },
    {
        .name = "sdxl",
        .keys = {"down_blocks.0.downsamplers.0.conv.weight "
                 "add_embedding.linear_1.weight",
                 "input_blocks.3.0.op.weight input_blocks.6.0.op.weight "
                 "output_blocks.2.2.conv.weight output_blocks.5.2.conv.weight",
                 "label_emb.0.0.weight"},
        .delicate = LDM_ENDS,
        .in_rows = true,
        .prefixed = true,
    },
    {
        .name = "sd1",
        .keys = {"down_blocks.0.downsamplers.0.conv.weight",
                 "input_blocks.3.0.op.weight input_blocks.6.0.op.weight "
                 "input_blocks.9.0.op.weight output_blocks.2.1.conv.weight "
                 "output_blocks.5.2.conv.weight output_blocks.8.2.conv.weight"},
        .delicate = LDM_ENDS,
        .in_rows = true,
        .prefixed = true,
    },
    {
        .name = "lumina2",
        .keys =
            {"cap_embedder.1.weight context_refiner.0.attention.qkv.weight"},
        .delicate = "t_embedder. x_embedder. final_layer. cap_embedder. "
                    "context_refiner. noise_refiner.",
    },
};

const dfx_architecture *
dfx_architecture_at(size_t i)
{
    return i < sizeof table / sizeof table[0] ? &table[i] : NULL;
}

/* stable-diffusion.cpp, commit 97d2990, keeps these of every network. */
const char *
dfx_architecture_delicate(void)
{
    return "img_in. txt_in. time_in. vector_in. guidance_in. final_layer. "
           "x_embedder. t_embedder. y_embedder. pos_embed context_embedder. "
           "time_embed. label_emb. embedding add_embed class_embed conv_in. "
           "conv_out. input_blocks.0.0. out.2.weight";
}

const char *
dfx_words_find(const char *list, const char *name, size_t *size)
{
    size_t length = strlen(name);

    while (list != NULL && *list != '\0') {
        bool is_whole = *list == '=';
        const char *word = list + is_whole;
        size_t n = strcspn(word, " ");

        if (is_whole ? n == length && memcmp(word, name, n) == 0
                     : memmem(name, length, word, n) != NULL) {
            *size = n;
            return word;
        }
        list = word + n + (word[n] == ' ');
    }
    return NULL;
}

/* convert.py again. */
const char *
dfx_network_prefix_at(size_t i, bool *of_all)
{
    static const char *const prefixes[] = {"model.diffusion_model.", "model.",
                                           "net."};

    *of_all = i == 2;
    return i < sizeof prefixes / sizeof prefixes[0] ? prefixes[i] : NULL;
}

const char *
dfx_bare_name(const char *name)
{
    const char *prefix;
    bool of_all;

    for (size_t i = 0; (prefix = dfx_network_prefix_at(i, &of_all)) != NULL;
         i++)
        if (strncmp(name, prefix, strlen(prefix)) == 0)
            return name + strlen(prefix);
    return name;
}
