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
cp m.dduf removed.dduf
dfx-dduf -q remove removed.dduf vae
cp removed.dduf added.dduf
dfx-dduf -q add added.dduf vae/config.json=model/vae/config.json
cp m.dduf set.dduf
dfx-dduf -q set set.dduf unet.sample_size=96
for file in m.ckpt plain.ckpt wrapped.ckpt m.dduf plain.dduf \
    removed.dduf added.dduf set.dduf \
    bin/unet/diffusion_pytorch_model.bin bin/text_encoder/pytorch_model.bin; do
    ok "$file" zipcheck "$file"
done
printf x >>m.dduf
status "a byte too many" 1 zipcheck m.dduf
finish
