#!/usr/bin/env python3
"""make_maps.py - the seeds of fuzz_map, cut from the lists of the goldens

    python3 tests/fuzz/make_maps.py        in the top folder of the sources

Whole components, but of one level and one layer, so that mutations of a few
kilobytes reach every step.
"""
import json
import os
import re

GOLDEN = "tests/golden/families"
OUT = "tests/fuzz/maps"


def rows(case, name="source.json"):
    with open(f"{GOLDEN}/{case}/{name}") as f:
        return json.load(f)["tensors"]


def component(case, part):
    with open(f"{GOLDEN}/{case}/expected.json") as f:
        components = json.load(f)["components"]
    return next(rows for path, rows in components.items()
                if path.startswith(part + "/"))


def line(name, dtype, shape):
    return f"{name} {dtype} {','.join(map(str, shape)) or '-'}"


# Deeper levels, later blocks and layers; what is left is complete.
CUT = re.compile(
    r"input_blocks\.([2-9]|1\d)\.|output_blocks\.([2-9]|1\d)\.|middle_block\."
    r"|(down|up)_blocks\.[1-9]|(down|up)_blocks\.0\.resnets\.[2-9]"
    r"|down_blocks\.0\.resnets\.1|attentions\.[2-9]|down_blocks\.0\.attentions\.1"
    r"|\.downsamplers\.|\.upsamplers\.|unet.*mid_block"
    r"|coder\.(down|up)\.[1-9]|coder\.(down|up)\.0\.block\.[2-9]"
    r"|encoder\.down\.0\.block\.1|sample\.conv|encoder\.layers\.[1-9]"
    r"|resblocks\.[1-9]"
    r"|transformer_blocks\.[1-9]|zero_convs\.[2-9]|zero_convs\.1\d"
    r"|output_blocks\.\d\.[12]\.conv")


def cut(tensors, keep=lambda name: True, front=""):
    return [line(n, t, s) for n, t, s, *_ in tensors
            if keep(front + n) and not CUT.search(front + n)]


def write(name, *parts):
    with open(f"{OUT}/{name}.txt", "w") as f:
        for part in parts:
            f.write("".join(text + "\n" for text in part))


def starts(*fronts):
    return lambda name: name.startswith(fronts)


def main():
    os.makedirs(OUT, exist_ok=True)
    unet = starts("model.diffusion_model.")
    vae = starts("first_stage_model.")
    sd15, sdxl, sd2 = rows("sd15"), rows("sdxl-base"), rows("sd21-v")
    write("unet-sd1", cut(sd15, unet))
    write("sd1-small", cut(sd15, lambda n: unet(n) and "s.1.1." not in n),
          ["betas F32 1000", "global_step I64 -",
           "model_ema.diffusion_modelinput_blocks00weight F32 32,4,3,3",
           "model_ema.decay F32 -", "@modelspec.title a", "@ss_v2 False",
           "!k"])
    write("vae", cut(sd15, vae), ["!hp"])
    write("clip", cut(sd15, starts("cond_stage_model.")))
    write("clip-bare", [text.replace("cond_stage_model.transformer.text_model.",
                                     "") for text in
                        cut(sd15, starts("cond_stage_model."))])
    write("openclip", cut(sd2, starts("cond_stage_model.")),
          ["cond_stage_model.model.transformer.resblocks.23.ln_1.bias F16 64"])
    write("sdxl", cut(sdxl, lambda n: not vae(n)),
          ["v_pred F32 0", "ztsnr F32 0", "edm_mean F32 1,4,1,1",
           "edm_std F32 1,4,1,1"])
    write("controlnet", cut(rows("controlnet-sd15")))
    write("x4", cut(rows("sd-x4-upscaler"), unet))
    write("unclip", cut(rows("sd21-unclip-h"),
                        starts("noise_augmentor.", "embedder.")))
    write("taesd", cut(rows("taesd", "source-encoder.json")))
    write("lcm", cut(rows("lcm"), front="unet."))
    write("adapters", ["x.lora_up.weight F16 4,4", "x.lora_down.weight F16 4,4",
                       "emb_params F32 1,768", "lora_controlnet F32 0",
                       "patch_embedding.weight F16 8,4,1,2,2"])

    folder = ["/unet"] + cut(component("sd15", "unet"), front="unet.") + \
        ["/vae"] + cut(component("sd15", "vae")) + \
        ["/text_encoder"] + cut(component("sd15", "text_encoder")) + \
        ['=model_index.json {"_class_name":"StableDiffusionPipeline",'
         '"unet":["diffusers","UNet2DConditionModel"],'
         '"vae":["diffusers","AutoencoderKL"],'
         '"text_encoder":["transformers","CLIPTextModel"],'
         '"safety_checker":[null,null],"requires_safety_checker":false}',
         '=scheduler/scheduler_config.json {"prediction_type":"v_prediction"}',
         '=unet/config.json {"cross_attention_dim":768,"sample_size":64}',
         '=vae/config.json {"latents_mean":[0.5,1,2,-1e-3],'
         '"scaling_factor":0.18215}']
    residue = ["/dfx_residue", "betas F32 1000", "dfx.header U8 64",
               '@dfx.residue {"schema":1,"prefixes":{"unet":"a.","vae":""},'
               '"bare":["text_encoder"],"metadata":[["k","v"]]}']
    write("folder", folder, ["!sx"])
    write("folder-back", folder, residue)
    write("folder-two", ["/unet"],
          cut(component("sd15", "unet"), front="unet."),
          cut([["x." + n, *rest] for n, *rest in component("taesd", "vae")]))
    write("folder-lone", ["/"], cut(component("sd15", "text_encoder")),
          ["x.final_layer_norm.weight F16 64"],
          cut([["y." + n, *rest] for n, *rest in component("taesd", "vae")]),
          ['=config.json {"architectures":["CLIPTextModel"]}'])
    write("folder-unet", ["/"],
          cut(component("sd15", "unet"), front="unet."),
          ['=config.json {"_class_name":"UNet2DConditionModel"}'])
    write("kept", cut(sd15, vae),
          ['@dfx.residue {"schema":1,"set":"sd15","documents":{'
           '"model_index.json":{"_class_name":"X","unet":["a","B"]},'
           '"vae/config.json":null,"scheduler/scheduler_config.json":"text",'
           '"tokenizer/vocab.json":{"dfx.embedded":'
           '"clip-tokenizer/vocab.json"},"a/b.json":[1,2.50,1e-05]}}'])


main()
