#!/usr/bin/env python3
"""Do diffusers and transformers load the quantized folders that dfx writes?

    forms_load.py BUILD

BUILD is a build folder (its dfx-quant and dfx-convert are run). The demo's
network is written in each form that has a place in a folder; diffusers loads it
by its config.json, and where the library can say the numbers of its weights,
they are those that dfx reads. One step of the network is near that of the plain
one. diffusers loads bitsandbytes' forms on a GPU only: without one, the library's
own functions decode what dfx wrote.

Not part of make check: needs torch, diffusers, bitsandbytes, optimum-quanto,
torchao, safetensors. Last run: see RESULTS at the end of this text.

RESULTS
torch 2.15.0, diffusers 0.42.1, bitsandbytes 0.50.2, optimum-quanto 0.2.7, torchao
0.18.0: 11 ok, 0 failed
"""
import json
import os
import subprocess
import sys
import tempfile
from pathlib import Path

os.environ["HF_HUB_OFFLINE"] = "1"

import torch  # noqa: E402
from diffusers import UNet2DConditionModel  # noqa: E402
from safetensors import safe_open  # noqa: E402
from safetensors.torch import load_file  # noqa: E402

DEMO = Path(__file__).resolve().parent.parent.parent / "demo" / "model"
WEIGHTS = "diffusion_pytorch_model.safetensors"
build = Path(sys.argv[1]).resolve()
failures = 0


def check(passed, what):
    global failures
    failures += not passed
    print(("ok " if passed else "FAILED ") + what, flush=True)


def run(tool, *args):
    subprocess.run([build / tool, "-q", "-f", *map(str, args)], check=True)


def step_of(unet):
    torch.manual_seed(0)
    dtype = next(p.dtype for p in unet.parameters() if p.is_floating_point())
    with torch.no_grad():
        return unet(torch.randn(1, 4, 8, 8).to(dtype), 500,
                    torch.randn(1, 8, unet.config.cross_attention_dim)
                    .to(dtype)).sample.float()


def check_loads(name, want, plain, limit, dtype):
    unet = UNet2DConditionModel.from_pretrained("out", subfolder="unet",
                                                torch_dtype=dtype)
    got = step_of(unet)
    error = ((got - plain).norm() / plain.norm()).item()
    wrong, seen = [], 0
    for key, module in unet.named_modules():
        weight = getattr(module, "weight", None)
        if weight is None or not hasattr(weight, "dequantize"):
            continue
        if type(weight) in (torch.Tensor, torch.nn.Parameter):
            continue
        seen += 1
        numbers = weight.dequantize().float()
        if not torch.equal(numbers, want[key + ".weight"].float()):
            wrong.append(key)
    check(error < limit and not wrong and seen > 0,
          f"{name}: diffusers loads it, {seen} weights with the numbers that "
          f"dfx reads ({len(wrong)} not), a step {error:.4f} beside the plain")


def check_bitsandbytes(name, want):
    import bitsandbytes.functional as bnb
    parts = load_file(f"out/unet/{WEIGHTS}")
    wrong, seen = 0, 0
    for key in list(parts):
        if ".quant_state." in key:
            weight = key[:key.index(".quant_state.")]
            state = bnb.QuantState.from_dict(
                {k[len(weight) + 1:]: v for k, v in parts.items()
                 if k.startswith(weight + ".")}, device="cpu")
            # The library's CPU kernel takes rows shorter than a block for
            # whole ones; blocks run over the flattened weight.
            shape = state.shape
            if shape.numel() % 64 == 0:
                state.shape = torch.Size([shape.numel() // 64, 64])
            numbers = bnb.dequantize_4bit(parts[weight], state).reshape(shape)
        elif key.endswith(".SCB"):
            weight = key[:-4] + ".weight"
            numbers = parts[weight].float() * parts[key][:, None] / 127
        else:
            continue
        seen += 1
        exact = torch.equal(numbers, want[weight].to(numbers.dtype))
        near = torch.allclose(numbers.float(), want[weight].float(), rtol=1e-6)
        wrong += not (exact if "quant_state" in key else near)
    check(seen > 0 and wrong == 0,
          f"{name}: bitsandbytes decodes {seen} weights to the numbers that dfx "
          f"reads ({wrong} not)")


def main():
    unet = UNet2DConditionModel.from_pretrained(DEMO, subfolder="unet",
                                                torch_dtype=torch.float32)
    plain = step_of(unet)
    # TorchAO multiplies float8 weights in BF16 alone, on a CPU.
    for name, dtype, limit in (("quanto-int8", "f32", 0.02),
                               ("quanto-float8", "f32", 0.05),
                               ("quanto-int4", "f32", 0.2),
                               ("quanto-int2", "f32", 1.0),
                               ("torchao-int8", "f32", 0.02),
                               ("torchao-float8", "bf16", 0.05)):
        run("dfx-quant", f"--component=unet={name}", f"--dtype={dtype}", DEMO,
            "out")
        run("dfx-convert", "--dtype=f32", "out", "numbers")
        try:
            check_loads(name, load_file(f"numbers/unet/{WEIGHTS}"), plain, limit,
                        torch.float32 if dtype == "f32" else torch.bfloat16)
        except Exception as e:  # what the library cannot do is the finding
            check(False, f"{name}: {type(e).__name__}: {str(e)[:200]}")
    for name in ("nf4", "nf4-dq", "fp4", "fp4-dq", "bnb-int8"):
        run("dfx-quant", f"--component=unet={name}", DEMO, "out")
        run("dfx-convert", "--dtype=f32", "out", "numbers")
        check_bitsandbytes(name, load_file(f"numbers/unet/{WEIGHTS}"))


with tempfile.TemporaryDirectory() as tmp:
    os.chdir(tmp)
    main()
print(f"{failures} failed")
sys.exit(failures > 0)
