#!/bin/sh
# convert_graft.sh - components from elsewhere, whatever they come in
. "${srcdir:-.}/tests/tools/tap.sh"

golden=$srcdir/tests/golden/families
get_model
dfx-convert -q model one.safetensors || exit 99
dfx-convert -q --only=unet,text_encoder one.safetensors two.safetensors || exit 99
dfx-convert -q --only=vae one.safetensors front.safetensors || exit 99
dfx-convert -q --only=vae --prefix=vae= one.safetensors bare.safetensors || exit 99
dfx-convert -q --only=vae --lone model lone.d || exit 99

# FILE: the names of its tensors, sorted
names() {
    dfx-inspect --tensors "$1" | sed 1d | awk '{ print $1 }' | sort
}

names one.safetensors >want
ok "a file of a VAE alone has other names" \
    test "$(names bare.safetensors | grep -c '^decoder\.')" -gt 0
for source in model one.safetensors two.safetensors; do
    for vae in front.safetensors bare.safetensors lone.d model one.safetensors; do
        status "$source with the VAE of $vae" 0 \
            dfx-convert -q -f --component=vae=$vae $source x.safetensors
        names x.safetensors >out
        ok "... has the names of a whole file" cmp want out
    done
done
status "--prefix of a grafted part" 0 dfx-convert -q -f --prefix=vae=mine. \
    --component=vae=bare.safetensors one.safetensors x.safetensors
ok "... is obeyed" test "$(names x.safetensors | grep -c '^mine\.')" -eq 248

# A text encoder whose names in a file are not those of its folder.
mksynth "$golden/sdxl-base/source.json" xl.safetensors || exit 99
dfx-convert -q --only=text_encoder_2 --lone xl.safetensors te2.d || exit 99
status "SDXL with a folder's second text encoder" 0 dfx-convert -q \
    --component=text_encoder_2=te2.d xl.safetensors x2.safetensors
names xl.safetensors | grep '^conditioner\.embedders\.1\.' >want
names x2.safetensors | grep '^conditioner\.embedders\.1\.' >out
ok "... has the names of the original" cmp want out
finish
