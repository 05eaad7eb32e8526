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
status "--prefix of a part that is not there" 2 \
    dfx-convert -q --prefix=vea=mine. one.safetensors y.safetensors
ok "... is named" grep -q '"vea=mine\."' err

# Folders: weights, config and place in the list. The demo's VAE is its own: 4
# groups, which no tensor tells.
for source in model one.safetensors two.safetensors; do
    for vae in bare.safetensors lone.d; do
        rm -rf x.d
        status "$source with the VAE of $vae, to a folder" 0 \
            dfx-convert -q --component=vae=$vae $source x.d
        ok "... weights in their place" cmp \
            model/vae/diffusion_pytorch_model.safetensors \
            x.d/vae/diffusion_pytorch_model.safetensors
        ok "... with the config" cmp model/vae/config.json x.d/vae/config.json
        ok "... listed" sh -c 'tr -d " \n" <x.d/model_index.json |
            grep -q "\"vae\":\[\"diffusers\",\"AutoencoderKL\"\]"'
        ok "... nothing at the top but the list" test \
            "$(find x.d -maxdepth 1 -type f ! -name 'dfx_residue*')" = x.d/model_index.json
    done
done
sed 's/"norm_num_groups": 4/"norm_num_groups": 8/' model/vae/config.json >8.json
cp -R lone.d eight.d && cp 8.json eight.d/config.json
for source in model one.safetensors; do
    rm -rf x.d
    status "$source with a VAE of another config, to a file" 0 \
        dfx-convert -q -f --component=vae=eight.d $source x.safetensors
    dfx-convert -q x.safetensors x.d
    ok "... brings it back from there" cmp 8.json x.d/vae/config.json
done
rm -rf x.d
mkdir none.d && cp -R model/* none.d && rm -r none.d/vae
sed '/"vae"/,/]/ { s/"diffusers"/null/; s/"AutoencoderKL"/null/ }' \
    model/model_index.json >none.d/model_index.json
status "a folder without a VAE gets one" 0 \
    dfx-convert -q --component=vae=lone.d none.d x.d
ok "... listed as it would be" cmp model/model_index.json x.d/model_index.json

# Extracts keep what their own tensors do not tell, and nothing of others.
for source in model one.safetensors; do
    rm -rf x.d
    status "the VAE of $source alone" 0 \
        dfx-convert -q -f --only=vae $source x.safetensors
    status "... becomes a folder" 0 dfx-convert -q x.safetensors x.d
    ok "... with its config" cmp model/vae/config.json x.d/vae/config.json
    ok "... and nothing else" test "$(ls x.d | grep -v '^dfx_residue')" = vae
done
rm -rf x.d
status "--only of a component's own folder" 0 dfx-convert -q --only=vae lone.d x.d
ok "... takes its config along" cmp lone.d/config.json x.d/config.json

# A text encoder whose names in a file are not those of its folder.
mksynth "$golden/sdxl-base/source.json" xl.safetensors || exit 99
dfx-convert -q --only=text_encoder_2 --lone xl.safetensors te2.d || exit 99
status "SDXL with a folder's second text encoder" 0 dfx-convert -q \
    --component=text_encoder_2=te2.d xl.safetensors x2.safetensors
names xl.safetensors | grep '^conditioner\.embedders\.1\.' >want
names x2.safetensors | grep '^conditioner\.embedders\.1\.' >out
ok "... has the names of the original" cmp want out

# A safety checker has a folder in a pipeline, and no place in its single file.
mksynth --sparse "$golden/keylists/safety-checker.hf.json" checker.safetensors ||
    exit 99
status "a checker to a file" 2 dfx-convert -q \
    --component=safety_checker=checker.safetensors one.safetensors x3.safetensors
ok "... says so" grep -q 'no place for "safety_checker"' err
finish
