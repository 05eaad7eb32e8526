#!/bin/sh
# libzip.sh - libzip takes every kind of archive that is written
. "${srcdir:-.}/tests/tools/tap.sh"
command -v zipcheck >/dev/null || { echo "1..0 # SKIP no libzip"; exit 0; }

get_model
dfx-convert -q model m.ckpt
dfx-convert -q --plain model plain.ckpt
dfx-convert -q --wrap --to=ckpt m.ckpt wrapped.ckpt
dfx-convert -q model m.dduf
dfx-convert -q --plain model plain.dduf
dfx-convert -q --to=bin model bin
for file in m.ckpt plain.ckpt wrapped.ckpt m.dduf plain.dduf \
    bin/unet/diffusion_pytorch_model.bin bin/text_encoder/pytorch_model.bin; do
    ok "$file" zipcheck "$file"
done
printf x >>m.dduf
status "a byte too many" 1 zipcheck m.dduf
finish
