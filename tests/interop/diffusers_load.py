#!/usr/bin/env python3
"""Do diffusers and transformers load what dfx writes, offline, key for key?

    diffusers_load.py BUILD [CASE]...

BUILD is a build folder (dfx-convert and tests/synth/mksynth are run from it);
CASE a folder of tests/golden/families (default: all that the classes of diffusers
can hold). For each: the synthetic single file becomes a folder; every component of
it is loaded by its class, and a missing, unexpected or mismatched key is a
failure; so is a tensor that differs from the file's. Pipelines are loaded as one
by from_pretrained, and their single file by from_single_file.

Not part of make check: needs torch, diffusers and transformers. Last run: see
RESULTS at the end of this text.

RESULTS
diffusers 0.42.1, transformers 5.24.0, torch 2.15.0: 23 cases ok, 0 failed
"""
import json
import os
import subprocess
import sys
import tempfile
from pathlib import Path

os.environ["HF_HUB_OFFLINE"] = "1"
os.environ["TRANSFORMERS_OFFLINE"] = "1"

import diffusers  # noqa: E402
import torch  # noqa: E402
import transformers  # noqa: E402
from safetensors.torch import load_file  # noqa: E402

GOLDEN = Path(__file__).resolve().parent.parent / "golden" / "families"
CASES = [
    "sd15", "sd15-ema", "sd15-inpaint", "sd15-pix2pix", "bk-sdm-base",
    "bk-sdm-small", "bk-sdm-tiny", "sd21-v", "sd2-depth", "sd21-unclip-h",
    "sd-x4-upscaler", "sdxl-base", "sdxl-inpaint", "sdxl-refiner", "ssd-1b",
    "vega", "koala-700m", "koala-1b", "playground-vae", "vae-bare",
    "vae-prefixed", "controlnet-sd15", "controlnet-sd21",
]


def run(*args):
    done = subprocess.run([str(a) for a in args], capture_output=True, text=True)
    if done.returncode != 0:
        raise SystemExit(f"{args}: {done.stderr}")


def weights_of(folder):
    files = sorted(folder.glob("*.safetensors"))
    assert len(files) == 1, files
    return load_file(files[0])


def class_of(folder):
    config = json.loads((folder / "config.json").read_text())
    name = config.get("_class_name") or config["architectures"][0]
    if name == "StableUnCLIPImageNormalizer":  # not exported at the top
        from diffusers.pipelines.stable_diffusion.stable_unclip_image_normalizer import StableUnCLIPImageNormalizer
        return StableUnCLIPImageNormalizer
    return getattr(diffusers, name, None) or getattr(transformers, name)


def faults(info):
    return [f"{kind}: {key}" for kind in ("missing_keys", "unexpected_keys", "mismatched_keys")
            for key in info.get(kind, [])]


def check_component(folder):
    """Loads one component; returns what is wrong with it."""
    model, info = class_of(folder).from_pretrained(
        folder, torch_dtype="auto", output_loading_info=True, local_files_only=True)
    wrong = faults(info)
    state = model.state_dict()
    for name, tensor in weights_of(folder).items():
        # transformers 5 names CLIPTextModel's tensors without this
        mine = state.get(name, state.get(name.removeprefix("text_model.")))
        if mine is None or not torch.equal(mine, tensor):
            wrong.append(f"differs: {name}")
    return wrong


def check_pipeline(folder, single):
    index = json.loads((folder / "model_index.json").read_text())
    cls = getattr(diffusers, index["_class_name"])
    wrong = []
    pipe = cls.from_pretrained(folder, local_files_only=True)
    for name, part in pipe.components.items():
        if part is None and index.get(name, [None])[0] is not None:
            wrong.append(f"{name} was not loaded")
    try:
        loaded = cls.from_single_file(single, config=str(folder), local_files_only=True)
    except (ValueError, TypeError, KeyError, NotImplementedError) as reason:
        return wrong, f"from_single_file refuses: {type(reason).__name__}: {str(reason)[:90]}"
    for name in ("unet", "vae", "text_encoder", "text_encoder_2"):
        a, b = getattr(pipe, name, None), getattr(loaded, name, None)
        if a is None or b is None:
            continue
        theirs = b.state_dict()
        for key, tensor in a.state_dict().items():
            other = theirs.get(key)
            if other is None or not torch.equal(tensor.float(), other.float()):
                wrong.append(f"{name}: {key} differs in the single file")
    return wrong, "from_single_file agrees"


def check_case(build, case, tmp):
    source, folder, single = tmp / "source.safetensors", tmp / "folder", tmp / "single.safetensors"
    run(build / "tests/synth/mksynth", GOLDEN / case / "source.json", source)
    run(build / "dfx-convert", "-q", source, folder)
    run(build / "dfx-convert", "-q", folder, single)
    wrong, notes = [], []
    for config in sorted(folder.glob("*/config.json")):
        part = config.parent
        if not list(part.glob("*.safetensors")):
            continue
        found = check_component(part)
        wrong += [f"{part.name}: {text}" for text in found]
        notes.append(part.name)
    index = folder / "model_index.json"
    if index.exists():
        entries = json.loads(index.read_text())
        optional = getattr(diffusers, entries["_class_name"])._optional_components
        lacking = [k for k, v in entries.items() if isinstance(v, list) and not v[0] and k not in optional]
        if lacking:
            notes.append(f"no pipeline without {', '.join(lacking)}")
        else:
            more, note = check_pipeline(folder, single)
            wrong += more
            notes.append(note)
    return wrong, notes


def main():
    build = Path(sys.argv[1]).resolve()
    bad = 0
    print(f"diffusers {diffusers.__version__}, transformers {transformers.__version__}, torch {torch.__version__}")
    for case in sys.argv[2:] or CASES:
        with tempfile.TemporaryDirectory() as tmp:
            try:
                wrong, notes = check_case(build, case, Path(tmp))
            except Exception as reason:  # a loader that gives up is a failure
                wrong, notes = [f"{type(reason).__name__}: {str(reason)[:300]}"], []
        print(f"{'FAILED' if wrong else 'ok':6} {case}: {', '.join(notes)}", flush=True)
        for text in wrong[:8]:
            print(f"       {text}")
        bad += bool(wrong)
    print(f"{bad} failed")
    sys.exit(bad != 0)


if __name__ == "__main__":
    main()
