#!/usr/bin/env python3
"""Do PyTorch, picklescan, huggingface_hub and diffusers take what dfx writes?

    containers_load.py BUILD

BUILD is a build folder (its dfx-convert and dfx-dduf are run). From the demo's
model: a ckpt, plain, wrapped and aligned, is loaded by torch.load with
weights_only=True, tensor for tensor what safetensors has, and picklescan finds
nothing in it; so are the .bin files of a folder, whole and in shards, which
diffusers loads; a DDUF archive, made, changed and set, is accepted by
huggingface_hub's read_dduf_file, entry for entry the folder's files; and diffusers
loads the folder extracted from it and paints the same picture.

Not part of make check: needs torch, diffusers, transformers, picklescan. Last run:
see RESULTS at the end of this text.

RESULTS
torch 2.15.0, diffusers 0.42.1, huggingface_hub 2.4.0, picklescan 1.0.5: 24 ok,
0 failed
"""
import lzma
import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

os.environ["HF_HUB_OFFLINE"] = "1"
os.environ["TRANSFORMERS_OFFLINE"] = "1"

import diffusers  # noqa: E402
import huggingface_hub  # noqa: E402
import torch  # noqa: E402
from huggingface_hub import read_dduf_file  # noqa: E402
from picklescan.scanner import scan_file_path  # noqa: E402
from safetensors.torch import load_file  # noqa: E402

DEMO = Path(__file__).resolve().parent.parent.parent / "demo" / "model"
build = Path(sys.argv[1]).resolve()
failures = 0


def check(passed, what):
    global failures
    failures += not passed
    print(("ok " if passed else "FAILED ") + what)


def run(tool, *args):
    subprocess.run([build / tool, "-q", *map(str, args)], check=True)


def same(a, b):
    """Equal names, types, shapes and bytes."""
    return a.keys() == b.keys() and all(
        a[k].dtype == b[k].dtype and torch.equal(a[k], b[k]) for k in a)


def check_torch(path, want, what):
    loaded = torch.load(path, map_location="cpu", weights_only=True)
    check(same(loaded.get("state_dict", loaded), want), f"{what}: torch.load")
    scan = scan_file_path(str(path))
    check(scan.scanned_files > 0 and scan.issues_count == 0
          and not scan.scan_err, f"{what}: picklescan")


def paint(folder, **options):
    pipeline = diffusers.DiffusionPipeline.from_pretrained(
        folder, safety_checker=None, torch_dtype=torch.float32, **options)
    pipeline.set_progress_bar_config(disable=True)
    return pipeline("a red circle", num_inference_steps=3, output_type="pt",
                    generator=torch.Generator().manual_seed(1)).images[0]


def check_pickles(model):
    run("dfx-convert", model, "single.safetensors")
    want = load_file("single.safetensors")
    for name, options in [("default", []), ("plain", ["--plain"]),
                          ("wrapped", ["--wrap"])]:
        path = Path(f"{name}.ckpt")
        run("dfx-convert", *options, "--to=ckpt", model, path)
        check_torch(path, want, f"{name} ckpt")
    for name, options in [("bin", []), ("bin-shards", ["--max-shard-size=2MB"])]:
        run("dfx-convert", "--to=bin", *options, model, name)
        for path in sorted(Path(name).rglob("*.bin")):
            scan = scan_file_path(str(path))
            check(scan.scanned_files > 0 and scan.issues_count == 0
                  and not scan.scan_err, f"{path}: picklescan")
            torch.load(path, map_location="cpu", weights_only=True)
        shutil.copytree(model / "tokenizer", Path(name) / "tokenizer",
                        dirs_exist_ok=True)
        # Unless told so, diffusers looks for no index of .bin shards.
        check(torch.equal(paint(name, use_safetensors=False), paint(model)),
              f"{name}: diffusers")


def check_entries(archive, folder, what):
    entries = read_dduf_file(archive)
    check(entries.keys() == {str(p.relative_to(folder))
                             for p in Path(folder).rglob("*") if p.is_file()},
          f"{what}: read_dduf_file")
    for name, entry in entries.items():
        with entry.as_mmap() as data:
            if bytes(data) != (Path(folder) / name).read_bytes():
                check(False, f"{what}: {name}")


def check_dduf(model):
    run("dfx-dduf", "create", "m.dduf", model)
    run("dfx-dduf", "extract", "m.dduf", "out")
    check_entries("m.dduf", "out", "created archive")
    check(torch.equal(paint("out"), paint(model)), "extracted: diffusers")
    config = Path("out/vae/config.json")
    config.write_text(config.read_text().replace("{", "{ ", 1))
    run("dfx-dduf", "add", "m.dduf", f"vae/config.json={config}")
    check_entries("m.dduf", "out", "changed archive")
    run("dfx-dduf", "set", "m.dduf", "unet.sample_size=9")
    run("dfx-dduf", "extract", "-f", "m.dduf", "out")
    check_entries("m.dduf", "out", "archive with a field set")
    check('"sample_size": 9' in Path("out/unet/config.json").read_text(),
          "... which has it")


def main():
    print(f"torch {torch.__version__}, diffusers {diffusers.__version__}, "
          f"huggingface_hub {huggingface_hub.__version__}")
    with tempfile.TemporaryDirectory() as folder:
        os.chdir(folder)
        model = Path(folder) / "model"
        shutil.copytree(DEMO, model)
        for packed in model.rglob("*.xz"):  # vocabularies
            packed.with_suffix("").write_bytes(
                lzma.decompress(packed.read_bytes()))
            packed.unlink()
        check_pickles(model)
        check_dduf(model)
        os.chdir("/")
    print(f"{failures} failed")
    return failures > 0


if __name__ == "__main__":
    sys.exit(main())
