#!/usr/bin/env python3
"""Do gguf-py, diffusers and ComfyUI-GGUF take the GGUF files that dfx writes?

    gguf_load.py BUILD [COMFYUI-GGUF]

BUILD is a build folder (its dfx-quant and dfx-convert are run), COMFYUI-GGUF a
checkout of that project. From the demo's model, for each type: gguf-py reads the
whole checkpoint and decodes each tensor to the numbers that dfx-convert
--dtype=f32 gives; ComfyUI-GGUF's loader takes the network from it, and from one
that was made for it, with the shapes that the model has, and decodes it to the
same numbers within its half precision; diffusers' from_single_file loads the
network that was made for it with GGUFQuantizationConfig, and one step of it is
near that of the network in F16.

Not part of make check: needs torch, diffusers, gguf, safetensors. Last run: see
RESULTS at the end of this text.

RESULTS
torch 2.15.0, diffusers 0.42.1, gguf 0.19.0, ComfyUI-GGUF of November 2026: 71 ok,
0 failed
"""
import os
import subprocess
import sys
import tempfile
import types
from importlib import util
from pathlib import Path

os.environ["HF_HUB_OFFLINE"] = "1"

import gguf  # noqa: E402
import numpy as np  # noqa: E402
import torch  # noqa: E402
from diffusers import GGUFQuantizationConfig, UNet2DConditionModel  # noqa: E402
from safetensors.torch import load_file  # noqa: E402

DEMO = Path(__file__).resolve().parent.parent.parent / "demo" / "model"
PREFIX = "model.diffusion_model."
build = Path(sys.argv[1]).resolve()
failures = 0


def check(passed, what):
    global failures
    failures += not passed
    print(("ok " if passed else "FAILED ") + what)


def run(tool, *args):
    subprocess.run([build / tool, "-q", "-f", *map(str, args)], check=True)


def numbers_of(path):
    """What dfx decodes it to."""
    run("dfx-convert", "--dtype=f32", path, "numbers.safetensors")
    return load_file("numbers.safetensors")


def check_gguf_py(path, want, what):
    reader = gguf.GGUFReader(path)
    wrong = []
    for t in reader.tensors:
        got = gguf.quants.dequantize(t.data, t.tensor_type).astype(np.float32)
        shape = tuple(int(n) for n in reversed(t.shape))
        if not np.array_equal(got.reshape(shape),
                              want[t.name].numpy().reshape(shape)):
            wrong.append(t.name)
    check(len(reader.tensors) == len(want) and not wrong,
          f"{what}: gguf-py, {len(want)} tensors")


def load_comfy(folder):
    """Its loader as a package, with stand-ins for what only its nodes need."""
    for name in ("comfy", "comfy.ops", "comfy.lora", "comfy.model_management"):
        sys.modules.setdefault(name, types.ModuleType(name))
    ops = sys.modules["comfy.ops"]
    layers = ("Linear", "Conv2d", "Embedding", "LayerNorm", "GroupNorm")
    ops.manual_cast = type("manual_cast", (), {
        n: type(n, (), {}) for n in layers})
    sys.modules["comfy"].ops = ops
    sys.modules["comfy"].model_management = sys.modules["comfy.model_management"]
    sys.modules["comfy"].lora = sys.modules["comfy.lora"]
    package = types.ModuleType("comfygguf")
    package.__path__ = [str(folder)]
    sys.modules["comfygguf"] = package
    for name in ("dequant", "ops", "loader"):
        spec = util.spec_from_file_location(f"comfygguf.{name}",
                                            Path(folder) / f"{name}.py")
        module = util.module_from_spec(spec)
        sys.modules[f"comfygguf.{name}"] = module
        spec.loader.exec_module(module)
    return sys.modules["comfygguf.loader"], sys.modules["comfygguf.dequant"]


def check_comfy(comfy, path, want, shapes, what):
    loader, dequant = comfy
    state, arch = loader.gguf_sd_loader(str(path), return_arch=True)
    worst, wrong = 0, []
    for name, t in state.items():
        got = dequant.dequantize_tensor(t, dtype=torch.float32)
        full = want.get(PREFIX + name, want.get(name))
        shape = tuple(getattr(t, "tensor_shape", t.shape))
        if shape != shapes[name]:
            wrong.append(name)
            continue
        got = got.reshape(shape)
        scale = full.abs().max().item() or 1
        worst = max(worst, (got - full.reshape(shape)).abs().max().item() / scale)
    check(arch == "sd1" and len(state) == len(shapes) and not wrong and
          worst < 2e-3,
          f"{what}: ComfyUI-GGUF, {len(state)} tensors, {worst:.1e} of the largest")


def step_of(unet):
    torch.manual_seed(0)
    with torch.no_grad():
        return unet(torch.randn(1, unet.config.in_channels, 8, 8), 500,
                    torch.randn(1, 8, unet.config.cross_attention_dim)).sample


def check_diffusers(path, want, what):
    unet = UNet2DConditionModel.from_single_file(
        str(path), config=str(DEMO), subfolder="unet",
        quantization_config=GGUFQuantizationConfig(compute_dtype=torch.float32),
        torch_dtype=torch.float32)
    got = step_of(unet)
    error = ((got - want).norm() / want.norm()).item()
    check(error < 0.2, f"{what}: diffusers, {error:.4f} beside F16")


def main():
    comfy = load_comfy(sys.argv[2]) if len(sys.argv) > 2 else None
    unet = UNet2DConditionModel.from_pretrained(DEMO, subfolder="unet",
                                                torch_dtype=torch.float32)
    want = step_of(unet)
    run("dfx-convert", DEMO, "plain.safetensors")
    shapes = {k[len(PREFIX):]: tuple(v.shape)
              for k, v in load_file("plain.safetensors").items()
              if k.startswith(PREFIX)}
    for name in ("f16", "bf16", "q8_0", "q6_k", "q5_1", "q5_0", "q5_k", "q4_1",
                 "q4_0", "q4_k", "q4_k_m", "iq4_nl", "iq4_xs", "q3_k", "q2_k"):
        run("dfx-quant", f"--type={name}", DEMO, "full.gguf")
        check_gguf_py("full.gguf", numbers_of("full.gguf"), name)
        if comfy is not None:
            check_comfy(comfy, "full.gguf", numbers_of("full.gguf"), shapes, name)
            run("dfx-quant", f"--type={name}", "--naming=comfy", DEMO,
                "unet.gguf")
            check_comfy(comfy, "unet.gguf", numbers_of("unet.gguf"), shapes,
                        f"{name} for it")
        run("dfx-quant", f"--type={name}", "--naming=diffusers", DEMO,
            "unet.gguf")
        check_diffusers("unet.gguf", want, name)
    for name in ("tq1_0", "tq2_0", "mxfp4", "nvfp4", "iq3_s", "iq3_xxs", "iq2_s",
                 "iq2_xs", "iq2_xxs", "iq1_s", "iq1_m"):
        run("dfx-quant", f"--type={name}", DEMO, "full.gguf")
        check_gguf_py("full.gguf", numbers_of("full.gguf"), name)


with tempfile.TemporaryDirectory() as tmp:
    os.chdir(tmp)
    main()
print(f"{failures} failed")
sys.exit(failures > 0)
