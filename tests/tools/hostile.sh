#!/bin/sh
# hostile.sh - models made to do harm: refused with a reason, or harmless
#
# Nothing is written outside the target, whatever a file says; no loop without
# an end; no time or memory that the input does not justify.
. "${srcdir:-.}/tests/tools/tap.sh"

get_model
dfx-convert -q model one.safetensors || exit 99
mkdir outside work
echo precious >outside/letter
cd work || exit 99

# The folder that a path of a hostile file would leave for is as it was.
unharmed() {
    (cd ../outside && find . -type f -exec cat {} +) |
        text "... nothing is written elsewhere" ../outside/letter
    ok "... nothing is left over" \
        test "$(find .. -name '.dfx-*' | wc -l)" -eq 0
}

# WHAT STATUS RULE COMMAND...: ends so, naming the rule ("" for none), in time
ends() {
    rule=$3
    what=$1
    want=$2
    shift 3
    status "$what" "$want" timeout 30 "$@"
    [ -z "$rule" ] || ok "... by $rule" grep -q -e "\\[${rule}[] ]" out err
}

# ---- Documents that a file's metadata keeps ----------------------------------

# DOCUMENTS: bad.safetensors, whose metadata keeps them; out.d is not there
keep() {
    dfx-convert -qf --metadata="dfx.residue={\"schema\":1,\"documents\":{$1}}" \
        ../one.safetensors bad.safetensors
    rm -rf out.d
}

for path in "$PWD/../outside/new.json" ../outside/new.json \
    a/../../../outside/new.json ./new.json a//new.json /.json; do
    keep "\"$path\":{}"
    ends "a document at $path" 1 folder.path dfx-convert -q bad.safetensors out.d
    ok "... there is no target" test ! -e out.d
    unharmed
done

keep ""
dfx-convert -q bad.safetensors good.d || exit 99
for path in unet/diffusion_pytorch_model.safetensors unet run.py unet/__init__.py ""; do
    keep "\"$path\":\"import os\""
    ends "a document at \"$path\"" 0 "" dfx-convert -q bad.safetensors out.d
    ok "... is not taken" diff -r -x dfx_residue.safetensors good.d out.d
done
keep '"unet/diffusion_pytorch_model.safetensors":{"dfx.embedded":"clip-tokenizer/merges.txt"}'
ends "a vocabulary in place of weights" 1 "" dfx-convert -q bad.safetensors out.d
ok "... there is no target" test ! -e out.d
keep '"unet/config.json/x.json":1'
ends "a document in a document" 1 out.write dfx-convert -q bad.safetensors out.d
ok "... there is no target" test ! -e out.d
keep "\"$(printf '%5000s' '' | tr ' ' a).json\":1"
ends "a name that no system takes" 1 out.write dfx-convert -q bad.safetensors out.d
ok "... there is no target" test ! -e out.d
keep "\"$(printf '%2100s' '' | sed 's/ /a\//g')x.json\":1"
ends "folders without an end" 1 folder.limit dfx-convert -q bad.safetensors out.d
ok "... there is no target" test ! -e out.d
keep '"a\u0000b.json":1'
ends "U+0000 in a name" 0 "" dfx-convert bad.safetensors out.d
ok "... is not one of ours" grep -q 'not one of ours' err
ok "... and there is no such file" diff -r -x dfx_residue.safetensors good.d out.d
keep '"model_index.json":[1]'
ends "a list of components that is none" 0 "" dfx-convert -q bad.safetensors out.d
ends "... is found when the folder is read" 1 folder.model-index dfx-inspect out.d
keep '"unet/config.json":[1]'
ends "a config that is none, with a field to set" 2 "" \
    dfx-convert -q --set=unet.a=1 bad.safetensors out.d
keep "$(awk 'BEGIN { for (i = 0; i < 2000; i++) printf "%s\"%d.json\":1", i ? "," : "", i }')"
ends "2,000 documents" 1 folder.limit dfx-convert -q bad.safetensors out.d
ok "... there is no target" test ! -e out.d

# ---- A side-car that lies ----------------------------------------------------

# JSON BYTES: good.d with a side-car of that header, as bad.d
side_car() {
    rm -rf bad.d
    cp -R good.d bad.d
    make_st bad.d/dfx_residue.safetensors "$1" "$2"
    rm -f back.safetensors
}

side_car '{"dfx.header":{"dtype":"U8","shape":[16],"data_offsets":[0,16]}}' 16
ends "a kept header of zeros" 0 "" dfx-convert -q bad.d back.safetensors
ends "... is not used" 0 "" dfx-inspect --validate back.safetensors
header='{"dfx.header":{"dtype":"U8","shape":[900000000],"data_offsets":[0,900000000]}}'
side_car "$header" 0
truncate -s $((8 + ${#header} + 900000000)) bad.d/dfx_residue.safetensors
ends "a kept header of 900 MB" 0 "" dfx-convert -q bad.d back.safetensors
ok "... is not used" test "$(wc -c <back.safetensors)" -lt 100000000
side_car '{"dfx.header":{"dtype":"F32","shape":[4],"data_offsets":[0,16]}}' 16
ends "a kept header of numbers" 0 "" dfx-convert -q bad.d back.safetensors
ends "... is not used" 0 "" dfx-inspect --validate back.safetensors
side_car '{"x":{"dtype":"U8","shape":[2],"data_offsets":[0,2]},"y":{"dtype":"U8","shape":[4],"data_offsets":[0,4]}}' 4
ends "tensors over one another" 1 st.offsets.overlap dfx-convert -q bad.d back.safetensors
side_car '{"__metadata__":{"dfx.residue":"{\"schema\":1,\"prefixes\":{\"unet\":\"first_stage_model.\",\"vae\":\"first_stage_model.\"},\"metadata\":[[\"a\",\"1\"],[\"a\",\"2\"]]}"}}' 0
dfx-convert -q bad.d back.safetensors 2>err
ok "a metadata key twice makes no broken file" test ! -e back.safetensors -o \
    "$(dfx-inspect --validate back.safetensors 2>&1)" = "back.safetensors: ok"
side_car '{"__metadata__":{"dfx.residue":"{\"schema\":1,\"prefixes\":[1],\"bare\":{\"a\":1},\"metadata\":{\"a\":[]},\"residue\":7}"}}' 0
ends "a residue of other shapes" 0 "" dfx-convert -q bad.d back.safetensors

# ---- Folders -----------------------------------------------------------------

rm -rf bad.d && cp -R good.d bad.d
awk 'BEGIN { printf "{\"_class_name\":\"X\""
    for (i = 0; i < 100000; i++) printf ",\"k%d\":%d", i, i
    print "}" }' >bad.d/model_index.json
ends "100,000 settings" 0 "" dfx-inspect bad.d
awk 'BEGIN { printf "{\"_class_name\":\"X\""
    for (i = 0; i < 100000; i++) printf ",\"k%d\":[\"diffusers\",\"Y\"]", i
    print "}" }' >bad.d/model_index.json
ends "100,000 components" 1 limit.index dfx-inspect bad.d
for text in '[]' '{"unet":["diffusers"],"vae":[1,"AutoencoderKL"]}' '"unet"' ''; do
    echo "$text" >bad.d/model_index.json
    status "model_index.json of $text" 1 timeout 30 dfx-inspect bad.d
done
for name in ../outside /etc .. . a/b; do
    echo "{\"$name\":[\"diffusers\",\"X\"]}" >bad.d/model_index.json
    ends "a component at $name" 1 folder.path dfx-inspect bad.d
done
echo '{"nowhere":["diffusers","X"]}' >bad.d/model_index.json
ends "a component that is not there" 1 folder.component dfx-inspect bad.d
printf '{"a":1,"a":2}' >bad.d/model_index.json
ends "a component twice" 1 json.duplicate-key dfx-inspect bad.d
printf '{"a":"\377"}' >bad.d/model_index.json
ends "no UTF-8" 1 json.utf8 dfx-inspect bad.d
printf '{"a":"\001"}' >bad.d/model_index.json
ends "a raw control byte" 1 json.string dfx-inspect bad.d
printf '{"a":1,}' >bad.d/model_index.json
ends "a comma too many" 1 json.syntax dfx-inspect bad.d
printf '%0200d' 0 | tr 0 '[' >bad.d/model_index.json
ends "200 levels" 1 json.depth dfx-inspect bad.d
printf '{"a":"%17000000s"}' x >bad.d/model_index.json
ends "17 MB of it" 1 json.too-large dfx-inspect bad.d

rm -rf bad.d && cp -R good.d bad.d
ln -s . bad.d/loop
ln -s ../bad.d bad.d/unet/loop
ends "links that lead back" 0 "" dfx-inspect bad.d
ok "... are named" grep -q 'loop: a link to a folder' out
mv bad.d/unet ../outside/ && ln -s ../../outside/unet bad.d/unet
ends "a component that is a link" 1 folder.path dfx-inspect bad.d
rm bad.d/unet && mv ../outside/unet bad.d/unet
deep=bad.d/d
for level in $(seq 20); do deep=$deep/$level; done
mkdir -p "$deep" && echo 1 >"$deep/x.json"
ends "20 levels of folders" 1 folder.limit dfx-inspect bad.d
rm -rf bad.d/d
mkdir bad.d/d && (cd bad.d/d && seq 600 | xargs touch)
ends "600 files" 1 folder.limit dfx-inspect bad.d
rm -rf bad.d/d

weights=bad.d/unet/diffusion_pytorch_model
mv $weights.safetensors unet.safetensors
for path in ../../unet.safetensors "$PWD/unet.safetensors" ../unet/x.safetensors; do
    echo "{\"metadata\":{},\"weight_map\":{\"conv_in.weight\":\"$path\"}}" \
        >$weights.safetensors.index.json
    ends "a shard at $path" 1 shard.path dfx-inspect bad.d
done
echo '{"weight_map":{"conv_in.weight":"diffusion_pytorch_model.safetensors.index.json"}}' \
    >$weights.safetensors.index.json
status "an index that is its own shard" 1 timeout 30 dfx-inspect bad.d
rm $weights.safetensors.index.json
mkfifo $weights.safetensors
ends "weights that are a pipe" 0 "" dfx-inspect bad.d
ok "... are none" grep -q "unet has no weights" out
ok "... and the VAE is one that is converted" test "$(grep -c "no table converts" out)" -eq 0
unharmed

# ---- Names in great numbers --------------------------------------------------

# FIRST NAME...: many.safetensors of 20,000 prefixes with these names each
many() {
    awk -v names="$*" 'BEGIN { count = split(names, name, " ")
        printf "{"
        for (i = 0; i < 20000; i++)
            for (n = 1; n <= count; n++) {
                printf "%s\"p%d.%s\":{\"dtype\":\"U8\",\"shape\":[0],", \
                    at++ ? "," : "", i, name[n]
                printf "\"data_offsets\":[0,0]}"
            }
        printf "}" }' >text
    size=$(wc -c <text)
    {
        for byte in 0 1 2 3 4 5 6 7; do
            # shellcheck disable=SC2059  # the format is the point
            printf "\\$(printf %03o $((size >> 8 * byte & 255)))"
        done
        cat text
    } >many.safetensors
}

many conv_in.weight body.0.block1.weight
ends "a prefix for every name" 0 "" dfx-inspect many.safetensors
many embeddings.position_embedding.weight embeddings.token_embedding.weight \
    encoder.layers.0.self_attn.q_proj.weight final_layer_norm.weight
ends "a model behind every prefix" 1 limit.index dfx-inspect many.safetensors
finish
