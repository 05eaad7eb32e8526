/*
 * known.c - models that are named and not converted
 *
 * Each row is a group of names that no other family has, so that a file of a
 * family without a table is called by its name and never taken for a Stable
 * Diffusion one. Sources: the model classes of diffusers 0.42.1, the original
 * repositories, ComfyUI comfy/model_detection.py. Where both layouts have the
 * same names the row says Diffusers.
 */
#include <config.h>

#include "known.h"

#define KNOWN(family_, component_, layout_, ...)                               \
    {                                                                          \
        .family = family_, .component = component_, .signature = {             \
            .layout = DFX_LAYOUT_##layout_,                                    \
            __VA_ARGS__                                                        \
        }                                                                      \
    }

/* clang-format off */
const dfx_known dfx_known_table[] = {
    KNOWN("lora", "adapter", ADAPTER, .all = {"*.lora_down.", "*.lora_up."}),
    KNOWN("lora", "adapter", ADAPTER, .all = {"*.lora_A.", "*.lora_B."}),
    KNOWN("lora", "adapter", ADAPTER, .all = {"*lora.down.weight", "*lora.up.weight"}),
    KNOWN("lora", "adapter", ADAPTER, .all = {"*lora_linear_layer.down.", "*lora_linear_layer.up."}),
    KNOWN("lora", "adapter", ADAPTER, .all = {"*.hada_w1_a", "*.hada_w2_a"}),
    KNOWN("lora", "adapter", ADAPTER, .all = {"*.lokr_w1"}),
    KNOWN("lora", "adapter", ADAPTER, .all = {"*.dora_scale"}),
    KNOWN("lora", "adapter", ADAPTER, .all = {"*.oft_blocks"}),
    KNOWN("control_lora", "controlnet", ADAPTER, .all = {"lora_controlnet"}),
    KNOWN("controlnet_lllite", "controlnet", ADAPTER, .all = {"*lllite_", "*.conditioning1."}),
    KNOWN("ip_adapter", "adapter", ADAPTER, .all = {"*ip_adapter.1.to_k_ip.weight", "*ip_adapter.1.to_v_ip.weight"}),
    KNOWN("textual_inversion", "embedding", ADAPTER, .all = {"emb_params"}, .ranks = {{"emb_params", 2}}),
    KNOWN("textual_inversion", "embedding", ADAPTER, .all = {"clip_l", "clip_g"}, .ranks = {{"clip_l", 2}, {"clip_g", 2}}),
    KNOWN("textual_inversion", "embedding", ADAPTER, .all = {"*string_to_param."}),

    KNOWN("sd3", "transformer", ORIGINAL, .all = {"joint_blocks.0.x_block.attn.qkv.weight", "joint_blocks.0.context_block.attn.qkv.weight", "x_embedder.proj.weight", "pos_embed", "final_layer.linear.weight"}, .ranks = {{"pos_embed", 3}, {"x_embedder.proj.weight", 4}}),
    KNOWN("sd3", "transformer", DIFFUSERS, .all = {"transformer_blocks.0.attn.add_q_proj.weight", "pos_embed.proj.weight", "pos_embed.pos_embed", "time_text_embed.text_embedder.linear_1.weight", "norm_out.linear.weight"}, .none = {"controlnet_blocks.", "single_transformer_blocks."}, .ranks = {{"pos_embed.proj.weight", 4}}),
    KNOWN("flux", "transformer", ORIGINAL, .all = {"double_blocks.0.img_attn.qkv.weight", "double_blocks.0.img_mod.lin.weight", "single_blocks.0.linear1.weight", "img_in.weight", "txt_in.weight", "vector_in.in_layer.weight", "final_layer.adaLN_modulation.1.weight"}, .none = {"distilled_guidance_layer.", "single_stream_modulation.", "double_stream_modulation_img.", "controlnet_blocks.", "txt_in.individual_token_refiner."}, .ranks = {{"img_in.weight", 2}}),
    KNOWN("flux", "transformer", DIFFUSERS, .all = {"single_transformer_blocks.0.proj_mlp.weight", "single_transformer_blocks.0.norm.linear.weight", "x_embedder.weight", "context_embedder.weight", "time_text_embed.text_embedder.linear_1.weight", "norm_out.linear.weight"}, .none = {"controlnet_blocks.", "controlnet_x_embedder.", "distilled_guidance_layer."}, .ranks = {{"x_embedder.weight", 2}}),
    KNOWN("chroma", "transformer", ORIGINAL, .all = {"distilled_guidance_layer.in_proj.weight", "distilled_guidance_layer.layers.0.in_layer.weight", "double_blocks.0.img_attn.qkv.weight", "img_in.weight"}, .none = {"double_blocks.0.img_mod.lin.weight"}),
    KNOWN("chroma", "transformer", DIFFUSERS, .all = {"distilled_guidance_layer.layers.0.linear_1.weight", "transformer_blocks.0.attn.to_q.weight", "x_embedder.weight"}),
    KNOWN("flux2", "transformer", ORIGINAL, .all = {"double_stream_modulation_img.lin.weight", "single_stream_modulation.lin.weight", "double_blocks.0.img_attn.qkv.weight", "single_blocks.0.linear1.weight"}, .none = {"early_stream_modulations."}),
    KNOWN("flux2", "transformer", DIFFUSERS, .all = {"double_stream_modulation_img.linear.weight", "single_transformer_blocks.0.attn.to_qkv_mlp_proj.weight"}),
    KNOWN("flux3", "transformer", ORIGINAL, .all = {"early_stream_modulations.image.lin.weight", "single_blocks.0.q_proj.weight", "content_mode_blocks."}),
    KNOWN("flux3", "transformer", DIFFUSERS, .all = {"single_transformer_blocks.0.attn.to_q.weight", "mode_blocks.", "txt_mode_blocks."}),
    KNOWN("flux_redux", "image_embedder", DIFFUSERS, .all = {"redux_up.weight", "redux_down.weight"}),
    KNOWN("flux_controlnet", "controlnet", ORIGINAL, .all = {"controlnet_blocks.0.weight", "double_blocks.0.img_attn.qkv.weight", "input_hint_block.0.weight", "pos_embed_input.weight"}, .none = {"final_layer."}),
    KNOWN("flux_controlnet", "controlnet", DIFFUSERS, .all = {"controlnet_blocks.0.weight", "controlnet_x_embedder.weight", "x_embedder.weight", "transformer_blocks.0.attn.to_q.weight"}),
    KNOWN("sd3_controlnet", "controlnet", ORIGINAL, .all = {"controlnet_blocks.0.weight", "transformer_blocks.0.attn.qkv.weight", "pos_embed_input.proj.weight"}),
    KNOWN("sd3_controlnet", "controlnet", DIFFUSERS, .all = {"controlnet_blocks.0.weight", "pos_embed_input.proj.weight", "transformer_blocks.0.attn.to_q.weight"}, .none = {"controlnet_x_embedder."}),
    KNOWN("t5", "text_encoder", DIFFUSERS, .all = {"shared.weight", "encoder.block.0.layer.0.SelfAttention.q.weight", "encoder.block.0.layer.1.layer_norm.weight"}, .none = {"decoder.block."}),
    KNOWN("t5", "text_encoder", ORIGINAL, .all = {"token_embedding.weight", "blocks.0.attn.q.weight", "blocks.0.ffn.gate.0.weight", "blocks.0.pos_embedding.embedding.weight"}),
    KNOWN("animatediff", "motion_adapter", ORIGINAL, .all = {"down_blocks.0.motion_modules.0.temporal_transformer.proj_in.weight"}, .none = {"controlnet_down_blocks.", "conv_norm_out.weight"}),
    KNOWN("animatediff", "motion_adapter", DIFFUSERS, .all = {"down_blocks.0.motion_modules.0.proj_in.weight", "down_blocks.0.motion_modules.0.transformer_blocks.0.attn1.to_q.weight"}, .none = {"controlnet_down_blocks.", "conv_norm_out.weight", "down_blocks.0.resnets."}),
    KNOWN("sparsectrl", "controlnet", ORIGINAL, .all = {"down_blocks.0.motion_modules.0.temporal_transformer.proj_in.weight", "controlnet_down_blocks.0.weight"}),
    KNOWN("sparsectrl", "controlnet", DIFFUSERS, .all = {"down_blocks.0.motion_modules.0.proj_in.weight", "controlnet_down_blocks.0.weight"}),
    KNOWN("t2i_adapter", "adapter", ORIGINAL, .all = {"conv_in.weight", "body.0.block1.weight", "body.0.block2.weight"}, .none = {"body.0.rdb1."}),
    KNOWN("t2i_adapter", "adapter", ORIGINAL, .all = {"body.0.in_conv.weight", "body.0.body.0.block1.weight"}),
    KNOWN("t2i_adapter", "adapter", DIFFUSERS, .all = {"adapter.body.0.resnets.0.block1.weight"}),
    KNOWN("wan", "transformer", ORIGINAL, .all = {"patch_embedding.weight", "blocks.0.self_attn.q.weight", "head.modulation", "text_embedding.0.weight"}, .ranks = {{"patch_embedding.weight", 5}}),
    KNOWN("wan", "transformer", DIFFUSERS, .all = {"condition_embedder.time_proj.weight", "blocks.0.attn1.to_q.weight", "patch_embedding.weight"}, .ranks = {{"patch_embedding.weight", 5}}),
    KNOWN("wan_vae", "vae", ORIGINAL, .all = {"encoder.downsamples.0.residual.0.gamma", "decoder.middle.0.residual.0.gamma", "conv1.weight"}, .ranks = {{"conv1.weight", 5}}),
    KNOWN("wan_vae", "vae", ORIGINAL, .all = {"encoder.downsamples.0.downsamples.0.residual.0.gamma", "decoder.middle.0.residual.0.gamma", "conv1.weight"}, .ranks = {{"conv1.weight", 5}}),
    KNOWN("wan_vae", "vae", DIFFUSERS, .all = {"encoder.mid_block.resnets.0.norm1.gamma", "decoder.conv_in.weight", "quant_conv.weight"}, .ranks = {{"decoder.conv_in.weight", 5}}),
    KNOWN("qwen_image", "transformer", DIFFUSERS, .all = {"img_in.weight", "txt_norm.weight", "transformer_blocks.0.img_mod.1.weight", "transformer_blocks.0.attn.add_q_proj.weight", "time_text_embed.timestep_embedder.linear_1.weight"}),
    KNOWN("qwen_image21", "transformer", DIFFUSERS, .all = {"txt_in.text_norm.weight", "img_in.weight"}),
    KNOWN("z_image", "transformer", ORIGINAL, .all = {"layers.0.adaLN_modulation.0.weight", "noise_refiner.0.attention.qkv.weight", "x_embedder.weight", "cap_embedder.1.weight", "final_layer.linear.weight"}),
    KNOWN("z_image", "transformer", DIFFUSERS, .all = {"all_x_embedder.2-1.weight", "layers.0.attention.to_q.weight"}),
    KNOWN("lumina2", "transformer", ORIGINAL, .all = {"layers.0.adaLN_modulation.1.weight", "noise_refiner.0.attention.qkv.weight", "x_embedder.weight", "cap_embedder.1.weight"}),
    KNOWN("lumina2", "transformer", DIFFUSERS, .all = {"time_caption_embed.caption_embedder.1.weight", "layers.0.attn.to_q.weight"}),
    KNOWN("hunyuan_video", "transformer", ORIGINAL, .all = {"txt_in.individual_token_refiner.blocks.0.self_attn_qkv.weight", "double_blocks.0.img_attn_qkv.weight", "img_in.proj.weight"}),
    KNOWN("hunyuan_video", "transformer", DIFFUSERS, .all = {"context_embedder.token_refiner.refiner_blocks.0.attn.to_q.weight", "single_transformer_blocks.0.proj_mlp.weight", "x_embedder.proj.weight"}, .none = {"context_embedder_2."}),
    KNOWN("hunyuan_video15", "transformer", DIFFUSERS, .all = {"context_embedder.token_refiner.refiner_blocks.0.attn.to_q.weight", "context_embedder_2.linear_1.weight", "image_embedder.norm_in.weight"}),
    KNOWN("ltx", "transformer", ORIGINAL, .all = {"patchify_proj.weight", "adaln_single.emb.timestep_embedder.linear_1.weight", "transformer_blocks.0.attn1.q_norm.weight"}, .none = {"audio_patchify_proj."}),
    KNOWN("ltx", "transformer", DIFFUSERS, .all = {"proj_in.weight", "time_embed.emb.timestep_embedder.linear_1.weight", "transformer_blocks.0.scale_shift_table", "caption_projection.linear_1.weight", "transformer_blocks.0.attn1.norm_q.weight"}, .none = {"audio_proj_in."}, .ranks = {{"proj_in.weight", 2}}),
    KNOWN("ltx2", "transformer", ORIGINAL, .all = {"patchify_proj.weight", "audio_patchify_proj.weight", "av_ca_a2v_gate_adaln_single."}),
    KNOWN("ltx2", "transformer", DIFFUSERS, .all = {"proj_in.weight", "audio_proj_in.weight", "av_cross_attn_video_a2v_gate."}),
    KNOWN("mochi", "transformer", ORIGINAL, .all = {"blocks.0.attn.qkv_x.weight", "t5_yproj.weight", "pos_frequencies"}),
    KNOWN("mochi", "transformer", DIFFUSERS, .all = {"pos_frequencies", "time_embed.pooler.to_kv.weight"}),
    KNOWN("auraflow", "transformer", ORIGINAL, .all = {"double_layers.0.attn.w2q.weight", "double_layers.0.attn.w1q.weight", "register_tokens", "cond_seq_linear.weight"}),
    KNOWN("auraflow", "transformer", DIFFUSERS, .all = {"joint_transformer_blocks.0.attn.to_q.weight", "register_tokens"}),
    KNOWN("pixart", "transformer", ORIGINAL, .all = {"blocks.0.cross_attn.kv_linear.weight", "blocks.0.attn.qkv.bias", "blocks.0.mlp.fc1.weight", "y_embedder.y_proj.fc1.weight"}),
    KNOWN("pixart", "transformer", DIFFUSERS, .all = {"adaln_single.linear.weight", "transformer_blocks.0.attn2.to_k.bias", "pos_embed.proj.weight", "caption_projection.linear_1.weight"}, .none = {"patchify_proj."}),
    KNOWN("sana", "transformer", ORIGINAL, .all = {"blocks.0.cross_attn.kv_linear.weight", "blocks.0.mlp.inverted_conv.conv.weight", "attention_y_norm.weight"}),
    KNOWN("sana", "transformer", DIFFUSERS, .all = {"transformer_blocks.0.ff.conv_inverted.weight", "caption_norm.weight"}),
    KNOWN("cosmos", "transformer", ORIGINAL, .all = {"net.x_embedder.proj.1.weight", "net.blocks.block0.blocks.0.block.attn.to_q.0.weight"}),
    KNOWN("cosmos", "transformer", ORIGINAL, .all = {"net.x_embedder.proj.1.weight", "net.blocks.0.self_attn.q_proj.weight", "net.blocks.0.adaln_modulation_self_attn.1.weight"}),
    KNOWN("cosmos", "transformer", DIFFUSERS, .all = {"patch_embed.proj.weight", "transformer_blocks.0.norm1.linear_1.weight", "time_embed.t_embedder.linear_1.weight"}, .ranks = {{"patch_embed.proj.weight", 2}}),
    KNOWN("hidream", "transformer", DIFFUSERS, .all = {"double_stream_blocks.0.block.adaLN_modulation.1.weight", "double_stream_blocks.0.block.ff_i.experts.0.w1.weight"}),
    KNOWN("stable_cascade", "prior", ORIGINAL, .all = {"clip_txt_mapper.weight", "clip_txt_pooled_mapper.weight", "down_blocks.0.0.channelwise.0.weight"}),
    KNOWN("stable_cascade", "decoder", ORIGINAL, .all = {"clip_mapper.weight", "down_blocks.0.0.channelwise.0.weight", "effnet_mapper."}),
    KNOWN("svd", "unet", DIFFUSERS, .all = {"down_blocks.0.attentions.0.temporal_transformer_blocks.0.attn1.to_q.weight", "down_blocks.0.resnets.0.temporal_res_block.conv1.weight", "conv_in.weight"}),
    KNOWN("cogvideox", "transformer", DIFFUSERS, .all = {"patch_embed.proj.weight", "patch_embed.text_proj.weight", "transformer_blocks.0.norm1.linear.weight", "norm_final.weight", "time_embedding.linear_1.weight"}),
    KNOWN("kandinsky5", "transformer", DIFFUSERS, .all = {"text_transformer_blocks.0.self_attention.to_key.weight", "visual_transformer_blocks.0.cross_attention.to_key.weight"}),
    KNOWN("krea2", "transformer", ORIGINAL, .all = {"txtfusion.projector.weight", "blocks.0.attn.wq.weight"}),
    KNOWN("krea2", "transformer", DIFFUSERS, .all = {"text_fusion.projector.weight", "transformer_blocks.0.attn.to_gate.weight"}),
    KNOWN("autoencoder_dc", "vae", ORIGINAL, .all = {"decoder.stages.1.op_list.0.main.conv.conv.bias"}),
    KNOWN("autoencoder_dc", "vae", DIFFUSERS, .all = {"encoder.down_blocks.5.0.attn.to_qkv_multiscale.0.proj_in.weight", "decoder.up_blocks.5.0.conv_out.conv_inverted.weight"}),
    KNOWN("ernie_image", "transformer", DIFFUSERS, .all = {"adaLN_modulation.1.weight", "layers.0.self_attention.norm_q.weight", "layers.0.adaLN_mlp_ln.weight"}),
    KNOWN("ltx_vae", "vae", ORIGINAL, .all = {"decoder.conv_in.conv.weight", "encoder.conv_out.conv.weight", "encoder.down_blocks.0.res_blocks.0.conv1.conv.weight", "decoder.up_blocks.0.res_blocks.0.conv1.conv.weight"}),
    KNOWN("ltx_vae", "vae", DIFFUSERS, .all = {"decoder.conv_in.conv.weight", "encoder.down_blocks.0.resnets.0.conv1.conv.weight", "decoder.mid_block.resnets.0.conv1.conv.weight", "latents_mean"}),
    KNOWN("minimax_h3", "transformer", ORIGINAL, .all = {"video_patch_proj.weight", "audio_patch_proj.weight", "blocks.0.attn.qkv_proj.weight", "token_refiner.blocks.0.attn.qkv_proj.weight"}),
    KNOWN("minimax_h3", "transformer", DIFFUSERS, .all = {"token_refiner.refiner_blocks.0.attn.to_q.weight", "audio_proj_in.weight", "context_embedder.weight"}, .none = {"av_cross_attn_video_a2v_gate."}),
    KNOWN("wan_animate2", "transformer", ORIGINAL, .all = {"blocks.0.block.self_attn.q.weight", "patch_embedding.weight"}, .ranks = {{"patch_embedding.weight", 5}}),
    KNOWN("motif_video", "transformer", DIFFUSERS, .all = {"context_embedder.linear_1.weight", "single_transformer_blocks.0.proj_mlp.weight", "transformer_blocks.0.attn.add_q_proj.weight"}, .none = {"time_text_embed.guidance_embedder.", "context_embedder.token_refiner."}),
    KNOWN("hunyuan_dit", "transformer", DIFFUSERS, .all = {"time_extra_emb.pooler.c_proj.weight", "blocks.0.attn1.to_q.weight", "text_embedder.linear_1.weight"}),
    KNOWN("kandinsky3", "unet", DIFFUSERS, .all = {"add_time_condition.attention.to_k.weight", "down_blocks.0.resnets_in.0.resnet_blocks.0.group_norm.context_mlp.1.weight", "encoder_hid_proj.projection_norm.weight"}),
    KNOWN("cogview4", "transformer", DIFFUSERS, .all = {"time_condition_embed.timestep_embedder.linear_1.weight", "transformer_blocks.0.attn1.to_q.weight", "patch_embed.text_proj.weight"}),

    /* What vae_kl.c does not take: the VAE of FLUX.2. */
    KNOWN("vae_kl", "vae", ORIGINAL, .all = {"decoder.conv_in.weight", "encoder.conv_out.weight", "encoder.down.0.block.0.conv1.weight", "decoder.up.0.block.0.conv1.weight", "decoder.mid.attn_1.q.weight"}, .ranks = {{"decoder.conv_in.weight", 4}}),
    KNOWN("vae_kl", "vae", DIFFUSERS, .all = {"decoder.conv_in.weight", "encoder.conv_out.weight", "encoder.down_blocks.0.resnets.0.conv1.weight", "decoder.up_blocks.0.resnets.0.conv1.weight", "decoder.mid_block.attentions.0.to_q.weight", "encoder.conv_norm_out.weight"}, .ranks = {{"decoder.conv_in.weight", 4}}),
    KNOWN("svd", "unet", ORIGINAL, .all = {"input_blocks.0.0.weight", "time_embed.0.weight", "*.time_stack."}),
    KNOWN("upscaler", NULL, ORIGINAL, .all = {"conv_first.weight", "body.0.rdb1.conv1.weight"}),
    KNOWN("upscaler", NULL, ORIGINAL, .all = {"model.0.weight", "model.1.sub.0.RDB1.conv1.0.weight"}),
    KNOWN("llm", NULL, DIFFUSERS, .all = {"model.embed_tokens.weight", "model.layers.0.self_attn.q_proj.weight", "model.layers.0.mlp.gate_proj.weight"}),
    {0},
};
/* clang-format on */
