#!/usr/bin/env python3
"""Make edges.txt and digests.txt beside this file: what tensor.to() gives on a CPU.

Needs torch (made with 2.15.0) and numpy.  README.md says what is in them.
"""
import hashlib
import pathlib

import numpy as np
import torch

TYPES = {"F64": (torch.float64, np.uint64), "F32": (torch.float32, np.uint32), "F16": (torch.float16, np.uint16),
         "BF16": (torch.bfloat16, np.uint16), "F8_E5M2": (torch.float8_e5m2, np.uint8), "F8_E4M3": (torch.float8_e4m3fn, np.uint8),
         "F8_E8M0": (torch.float8_e8m0fnu, np.uint8), "F8_E4M3FNUZ": (torch.float8_e4m3fnuz, np.uint8),
         "F8_E5M2FNUZ": (torch.float8_e5m2fnuz, np.uint8)}
BITS = {np.uint64: torch.int64, np.uint32: torch.int32, np.uint16: torch.int16, np.uint8: torch.uint8}
SIGNED = {np.uint64: np.int64, np.uint32: np.int32, np.uint16: np.int16, np.uint8: np.uint8}
LAYOUT = {"F64": (11, 52), "F32": (8, 23), "F16": (5, 10), "BF16": (8, 7)}  # exponent, mantissa bits


def cast(source, target, codes):
    dtype, unsigned = TYPES[source]
    x = torch.from_numpy(codes.view(SIGNED[unsigned])).view(dtype)
    out = TYPES[target]
    return x.to(out[0]).view(BITS[out[1]]).numpy().view(out[1])


def is_nan(source, codes):
    dtype, unsigned = TYPES[source]
    x = torch.from_numpy(codes.view(SIGNED[unsigned])).view(dtype)
    return torch.isnan(x.to(torch.float64)).numpy()


def edges(source, target):
    """Every code of 8 bits; else NaN, Inf and the numbers about the target's limits."""
    unsigned = TYPES[source][1]
    if source not in LAYOUT:
        return np.arange(256, dtype=unsigned)
    e, m = LAYOUT[source]
    inf, quiet = ((1 << e) - 1) << m, 1 << (m - 1)
    codes = [0, 1, inf - 1, inf, inf | 1, inf | quiet, inf | quiet | 1, inf | (1 << m) - 1, inf | quiet >> 1]
    # Each code of the target that is finite, its neighbours and the halves between; a sample for wide targets.
    width = np.dtype(TYPES[target][1]).itemsize * 8
    step = 1 if width == 8 else (1 << width - 6) - 1
    back = cast(target, source, np.arange(0, 1 << width - 1, step, dtype=np.uint64).astype(TYPES[target][1]))
    back = [int(b) for b in back[~is_nan(source, back)] if int(b) < inf]
    for a, b in zip(back, back[1:] + back[-1:]):
        half = (a + b) // 2 if width == 8 else a + (1 << m >> min(m, LAYOUT.get(target, (0, 0))[1] + 1))
        codes += [a, half - 1, half, half + 1]
    codes = sorted({c for c in codes if 0 <= c < 1 << (e + m)})
    return np.array(codes + [c | 1 << (e + m) for c in codes], dtype=unsigned)


def twice(source, target, codes):
    """Where torch rounds an F64 twice: to float32, and then to the target."""
    if source != "F64" or target == "F32":
        return np.zeros(len(codes), dtype=bool)
    x = codes.view(np.float64)
    with np.errstate(all="ignore"):
        return x.astype(np.float32).astype(np.float64) != x


def settle(source, target, codes, out):
    """Where torch gives one result inside a vector and another elsewhere, take the one of its scalar code."""
    if target == "BF16":
        out = np.where(is_nan(source, codes), np.uint16(0x7FC0), out)
    return out


def make_edges(f):
    rng = np.random.default_rng(7)
    for source in TYPES:
        for target in TYPES:
            if source == target:
                continue
            codes = edges(source, target)
            codes = codes[~twice(source, target, codes) | is_nan(source, codes)]
            wide = np.repeat(codes, 64)  # fills vectors: torch's other paths are of no use for NaN
            out = settle(source, target, codes, cast(source, target, wide)[::64])
            if len(codes) > 256:  # keep the file small
                odd = np.nonzero(is_nan(source, codes) | np.isin(out, out[is_nan(source, codes)]))[0]  # NaN, or becomes it
                keep = np.unique(np.concatenate([rng.choice(len(codes), 96), rng.choice(odd, 24), [0, 1, len(codes) - 1]]))
                codes, out = codes[keep], out[keep]
            f.write(f"{source} {target} " + " ".join(f"{c:x}:{o:x}" for c, o in zip(codes, out)) + "\n")


def sequence(source, target):
    unsigned = TYPES[source][1]
    if unsigned == np.uint64:
        return np.arange(1 << 18, dtype=np.uint64) * np.uint64(0x9E3779B97F4A7C15)
    if unsigned == np.uint32:
        return (np.arange(1 << 20, dtype=np.uint64) * np.uint64(2654435761)).astype(np.uint32)
    return np.arange(1 << np.dtype(unsigned).itemsize * 8, dtype=np.uint64).astype(unsigned)


def make_digests(f):
    for source in TYPES:
        for target in TYPES:
            if source == target or (source == "F64" and target != "F32"):
                continue
            codes = sequence(source, target)
            out = settle(source, target, codes, cast(source, target, codes))
            f.write(f"{source} {target} {len(codes)} {hashlib.sha256(out.tobytes()).hexdigest()[:16]}\n")


if __name__ == "__main__":
    here = pathlib.Path(__file__).parent
    with open(here / "edges.txt", "w") as f:
        make_edges(f)
    with open(here / "digests.txt", "w") as f:
        make_digests(f)
