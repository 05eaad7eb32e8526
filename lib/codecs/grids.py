#!/usr/bin/env python3
"""Prints grids.def, from the grids of ggml that tests/golden/gguf has.

A row of a grid is a number: element j has bits (j * width) of it, which say
which of the grid's few values it is, counted from the least.
"""
import json
import sys

grids = json.load(open(sys.argv[1]))["grids"]
print("""/*
 * grids.def - the grids of the IQ types, made by grids.py
 *
 * GRID(name, rows, elements, bits of an element, codes ...)
 * From ggml-common.h of ggml d99724f (MIT licence, see NOTICE).
 */""")
for name, rows in grids.items():
    levels = sorted({value for row in rows for value in row})
    width = (len(levels) - 1).bit_length()
    codes = [sum(levels.index(v) << width * j for j, v in enumerate(row))
             for row in rows]
    print(f"GRID({name}, {len(rows)}, {len(rows[0])}, {width},")
    for i in range(0, len(codes), 10):
        end = ")" if i + 10 >= len(codes) else ","
        print("     " + ", ".join(str(c) for c in codes[i:i + 10]) + end)
