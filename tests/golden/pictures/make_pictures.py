#!/usr/bin/env python3
"""pictures.json: PNGs of every kind and what Pillow makes of them.

    make_pictures.py >pictures.json      (Pillow 13.0, numpy 2.4)
"""
import io
import json
import random
import struct
import zlib

import numpy as np
from PIL import Image

PASSES = [(0, 0, 8, 8), (4, 0, 8, 8), (0, 4, 4, 8), (2, 0, 4, 4), (0, 2, 2, 4), (1, 0, 2, 2), (0, 1, 1, 2)]
CHANNELS = {0: 1, 2: 3, 3: 1, 4: 2, 6: 4}


def chunk(kind, data):
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))


def packed(row, depth):
    if depth == 16:
        return b"".join(struct.pack(">H", v) for v in row)
    bits = "".join(format(v, "0%db" % depth) for v in row)
    bits += "0" * (-len(bits) % 8)
    return bytes(int(bits[i:i + 8], 2) for i in range(0, len(bits), 8))


def png(width, height, depth, colour, interlaced, extra=b"", seed=0):
    rng = random.Random("%d %d %d %d" % (depth, colour, interlaced, seed))
    n = CHANNELS[colour]
    # Of wide numbers some are below 256, which Pillow does not make white.
    top = lambda: (1 << depth) - 1 if depth < 16 or rng.random() < 0.5 else 300
    pixels = [[[rng.randint(0, top()) for _ in range(n)] for _ in range(width)] for _ in range(height)]
    data = b""
    for x0, y0, dx, dy in (PASSES if interlaced else [(0, 0, 1, 1)]):
        for y in range(y0, height, dy):
            row = [v for p in pixels[y][x0::dx] for v in p]
            if row:
                data += b"\0" + packed(row, depth)
    head = struct.pack(">IIBBBBB", width, height, depth, colour, 0, 0, interlaced)
    return (b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", head) + extra + chunk(b"IDAT", zlib.compress(data, 9))
            + chunk(b"IEND", b""))


def palette(depth):
    rng = random.Random(depth)
    count = 1 << depth
    colours = bytes(rng.randint(0, 255) for _ in range(3 * count))
    return chunk(b"PLTE", colours) + chunk(b"tRNS", bytes(rng.randint(0, 255) for _ in range(count // 2 + 1)))


def kinds():
    for colour, depths in ((0, (1, 2, 4, 8, 16)), (2, (8, 16)), (3, (1, 2, 4, 8)), (4, (8, 16)), (6, (8, 16))):
        for depth in depths:
            for interlaced in (0, 1):
                extra = palette(depth) if colour == 3 else b""
                if colour == 0:
                    extra = chunk(b"gAMA", struct.pack(">I", 45455)) + chunk(b"tRNS", struct.pack(">H", 1))
                yield "%d bits, kind %d%s" % (depth, colour, ", interlaced" * interlaced), png(
                    9, 5, depth, colour, interlaced, extra)


SIZES = ((8, 8), (40, 31), (23, 5), (5, 17), (1, 1), (46, 34), (22, 16), (25, 7), (22, 9), (20, 11), (21, 18))
rows = []
for name, data in kinds():
    image = Image.open(io.BytesIO(data)).convert("RGB")
    rows.append({"name": name, "png": data.hex(), "size": image.size, "rgb": image.tobytes().hex(),
                 "l": image.convert("L").tobytes().hex()})
for i in range(2):
    data = png(23, 17, 8, 2, 0, seed=i)
    image = Image.open(io.BytesIO(data)).convert("RGB")
    if i == 1: # hard edges, which overshoot
        image = image.point(lambda v: 255 * (v > 127))
        out = io.BytesIO()
        image.save(out, "PNG")
        data = out.getvalue()
    for size in SIZES:
        new = image.resize(size, Image.LANCZOS)
        rows.append({"name": "%dx%d" % size, "png": data.hex(), "size": size, "resized": new.tobytes().hex()})
print("[\n" + ",\n".join(json.dumps(row) for row in rows) + "\n]")
