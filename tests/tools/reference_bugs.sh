#!/bin/sh
# reference_bugs.sh - what diffusers 0.42.1, transformers 5.23 and safetensors
# 0.8 get wrong, done right
#
# Each line starts with the id of a fault of the reference: those of
# tests/golden/families/unet-reference-bugs.json, which says what is observed
# there, and some that need no reproduction. Tensors are compared with the
# reference's own rows where those are right, else with the generator that made
# the source: by name, type, shape and the start of the SHA-256.
. "${srcdir:-.}/tests/tools/tap.sh"
golden=$srcdir/tests/golden/families
keylists=$golden/keylists/expect-unet.json

# ---- Lists of tensors --------------------------------------------------------

# LIST.json: its rows
rows_in() {
    grep '^\["' "$1" | sed 's/,$//'
}

# NAME SEED: makes NAME.json and NAME.safetensors of the rows on stdin
make_rows() {
    {
        printf '{"seed":%s,\n"tensors":[\n' "$2"
        # shellcheck disable=SC2016  # the last line
        sed '$!s/$/,/'
        echo ']}'
    } >"$1.json"
    mksynth "$1.json" "$1.safetensors" || exit 99
}

# CASE: makes CASE.safetensors and the folder CASE.d of it
convert_case() {
    [ -e "$1.d" ] && return
    mksynth "$golden/$1/source.json" "$1.safetensors" || exit 99
    dfx-convert -q "$1.safetensors" "$1.d" || echo "# $1 cannot be converted"
}

# PATH: "name type shape digest" of each of its tensors
seen() {
    dfx-inspect --tensors --hash "$1" | awk '
        on { match($0, /\[[^]]*\]/); shape = substr($0, RSTART, RLENGTH)
             gsub(/ /, "", shape)
             print $1, $2, shape, substr($NF, 1, 16) }
        /^TENSOR / { on = 1 }' | sort
}

# ARGUMENTS of mksynth: the same of what it makes
made() {
    mksynth --digests "$@" | sed ':a
        s/, /,/
        ta' | sort
}

# Rows [name, type, shape, digest] on stdin: the same
text_of_rows() {
    sed 's/^\["\(.*\)","\(.*\)",\(\[.*\]\),"\(.*\)"\],*$/\1 \2 \3 \4/' | sort
}

# CASE COMPONENT: the same of what the reference makes of it
wanted() {
    awk -v start="\"$2/" 'index($0, start) == 1 { on = 1; next }
        /^\]/ { on = 0 } on' "$golden/$1/expected.json" | text_of_rows
}

# WHAT PATH: its tensors are those on stdin
holds() {
    cat >.rows
    seen "$2" >.seen
    [ -s .rows ] || echo "not a tensor" >.rows
    ok "$1" diff .rows .seen
}

# WHAT PATTERN FILE: a line of the file has it, or none
says() {
    ok "$1" grep -q -e "$2" "$3"
}
lacks() {
    status "$1" 1 grep -e "$2" "$3"
}

# PATH GLOB: names of its tensors
names() {
    dfx-inspect --tensors="$2" "$1" |
        awk 'on { print $1 } /^TENSOR / { on = 1 }'
}

# ---- Types stay --------------------------------------------------------------

rows_in "$golden/sd15/source.json" | grep cond_stage_model |
    grep -v position_ids | sed 's/"F16"/"BF16"/' | make_rows bf16 1
dfx-convert -q bf16.safetensors bf16.d
made bf16.json | sed 's/^cond_stage_model.transformer.//' |
    holds "upcast: BF16 stays BF16, bit for bit" bf16.d/text_encoder

rows_in "$golden/sdxl-base/source.json" | sed 's/"F16"/"F32"/' | make_rows f32 1
dfx-convert -q f32.safetensors f32.d
says "te2-f16: the config may say float16" '"torch_dtype": "float' \
    f32.d/text_encoder_2/config.json
made f32.json | sed -n '/embedders.1.*[.]ln_1/{
    s/.*resblocks[.]/text_model.encoder.layers./; s/ln_1/layer_norm1/; p; }' >want
seen f32.d/text_encoder_2 | grep layer_norm1 >got
text "te2-f16: F32 stays F32 then, bit for bit" got <want

# ---- Which family it is ------------------------------------------------------

# ID CASE FAMILY: what a golden's tensors are
is_family() {
    convert_case "$2"
    dfx-inspect "$2.safetensors" >out
    says "$1: $2 is $3" "^  family  *$3\$" out
    is_whole "$1" "$2"
}

# ID CASE: the folder of it has what the reference's mapping gives
is_whole() {
    for component in unet vae text_encoder text_encoder_2; do
        [ ! -d "$2.d/$component" ] ||
            wanted "$2" $component | holds "$1: all of $2's $component" \
                "$2.d/$component"
    done
}

is_family type-sd2-depth sd2-depth "sd2 depth"
is_family type-sd21-unclip-h sd21-unclip-h "sd2 unclip-h"
is_family type-bk-sdm-tiny bk-sdm-tiny "sd1 bk-sdm-tiny"
is_family type-sdxl-inpaint sdxl-inpaint "sdxl inpaint"
for case in ssd-1b vega koala-700m koala-1b; do
    { rows_in "$golden/$case/source.json" |
        sed 's/^\["\(model.\)*diffusion_model/["model.diffusion_model/'
      rows_in "$golden/sdxl-base/source.json" | grep -v '^\["model.diff'
    } | make_rows "whole-$case" 1
    dfx-inspect "whole-$case.safetensors" >out
    says "type-sdxl-small: $case with text encoders is $case" \
        "^  family  *sdxl $case\$" out
    says "type-sdxl-small: ... of SDXL's pipeline" \
        '^  pipeline  *StableDiffusionXLPipeline$' out
    status "type-sdxl-small: ... and becomes a folder" 0 \
        dfx-convert -n "whole-$case.safetensors" "whole-$case.d"
done
mksynth --sparse --case cosxl-edit "$keylists" cosxl-edit.safetensors
dfx-inspect cosxl-edit.safetensors >out
says "type-cosxl-edit: 8 channels are heeded" '^  family  *sdxl cosxl-edit$' out
says "type-cosxl-edit: ... in the pipeline" \
    '^  pipeline  *StableDiffusionXLInstructPix2PixPipeline$' out

convert_case sd21-v
dfx-inspect sd21-v.safetensors >out
for set in sd21-v sd21-base sd20-v; do
    says "sd2-base: SD2 could be $set" "^  *\(could be\)* *$set\$" out
done
dfx-convert -q --family=sd21-base sd21-v.safetensors base.d
lacks "sd2-base: --family decides, epsilon" '"v_prediction"' \
    base.d/scheduler/scheduler_config.json
says "sd2-base: ... or v" '"v_prediction"' sd21-v.d/scheduler/scheduler_config.json

# ---- Whatever the prefix -----------------------------------------------------

for prefix in diffusion_model. ""; do
    rows_in "$golden/sdxl-base/source.json" | grep '^\["model.diffusion_model' |
        sed "s/^\[\"model.diffusion_model./[\"$prefix/" | make_rows unet 1
    id='prefix-bare'
    [ -z "$prefix" ] || id='prefix-comfy'
    dfx-convert -qf unet.safetensors unet.d
    # The generator makes numbers of names: those of the same names are equal.
    made unet.json | sed "s/^$prefix//" | cut -d' ' -f2- | sort >want
    seen unet.d/unet >.seen
    cut -d' ' -f2- .seen | sort >got
    text "$id: all of a UNet behind \"$prefix\"" got <want
    says "$id: label_emb has its place" '^add_embedding.linear_2.bias' .seen
done

mksynth "$golden/text-encoder-names/case5.json" bare.safetensors
dfx-convert -q bare.safetensors bare.d
sed -n '/"expected"/,$p' "$golden/text-encoder-names/case5.json" | grep '^\["' |
    text_of_rows | holds "no-text-model: text_model. is put back" \
    bare.d/text_encoder

# A stray name comes and goes: its values are no golden's.
{ rows_in "$golden/sd15/source.json" | grep '^\["first_stage_model'
  echo '["vae.stray","F32",[3],-4,0]'; } | make_rows stray 1001
dfx-convert -q stray.safetensors stray.d
wanted sd15 vae | holds "vae-stray: a stray name does no harm" stray.d/vae

convert_case sdxl-base
is_whole te-by-width sdxl-base
seen sdxl-base.d/text_encoder >got
status "te-by-width: two of one width are two" 1 \
    cmp -s .seen got

# ---- The 24th layer ----------------------------------------------------------

is_whole sd2-24-layers sd21-v
says "sd2-24-layers: a folder has 23, as published" '"num_hidden_layers": 23' \
    sd21-v.d/text_encoder/config.json
dfx-convert -q sd21-v.d back.safetensors
ok "sd2-round-trip: the 24th, projection and scale come back, byte for byte" \
    cmp sd21-v.safetensors back.safetensors
wanted sd21-v text_encoder >.rows
{ sed 's/^\([^ ]*\) \([^ ]*\) \(.*\) .*/["\1","\2",\3,-4,0]/' .rows
  sed -n 's/^\([^ ]*layers[.]\)22\([^ ]*\) \([^ ]*\) \(.*\) .*/["\123\2","\3",\4,-4,0]/p' .rows
} | make_rows layers 5
cp -R sd21-v.d 24.d
cp layers.safetensors 24.d/text_encoder/model.safetensors
rm -f 24.d/dfx_residue.safetensors
dfx-convert -q 24.d 24.safetensors
names 24.safetensors '*resblocks.23.*' >got
ok "sd2-24-layers: a folder that has 24 gives 24" test "$(wc -l <got)" -eq 12

# ---- To a single file --------------------------------------------------------

# ID CASE: the folder alone, without what was kept aside, gives the file's names
# and bytes, but for what has no place in a folder.
goes_back() {
    convert_case "$2"
    rm -f "$2.d/dfx_residue.safetensors"
    dfx-convert -qf "$2.d" back.safetensors
    sed -n 's/.*"round_trip":.*"lost":\[\([^]]*\)\].*/\1/p' \
        "$golden/$2/reverse.json" | tr ',' '\n' | tr -d '"' >lost
    made "$golden/$2/source.json" | sed 's/^diffusion_model/model.&/' |
        awk 'NR == FNR { lost[$1]; next } !($1 in lost)' lost - >want
    seen back.safetensors | awk 'NR == FNR { lost[$1]; next }
        !($1 in lost)' lost - >got
    [ -s want ] || echo "not a tensor" >want
    ok "$1: $2 goes back, each name and each byte" diff want got
}

goes_back script-sd-sd21-unclip-h sd21-unclip-h
goes_back script-sd-sd-x4-upscaler sd-x4-upscaler
for size in base small tiny; do
    goes_back "script-sd-bk-sdm-$size" "bk-sdm-$size"
done
for case in ssd-1b vega koala-700m koala-1b sdxl-refiner; do
    goes_back "script-sdxl-$case" "$case"
done
says "script-sdxl-sdxl-refiner: its encoder is the file's first" \
    '^conditioner.embedders.0.model.' got

mksynth "$golden/lcm/source.json" lcm.safetensors
mkdir -p lcm/unet && cp lcm.safetensors lcm/unet/diffusion_pytorch_model.safetensors
echo '{"_class_name": "UNet2DConditionModel"}' >lcm/unet/config.json
dfx-convert -q --plain --to=safetensors lcm lcm-back.safetensors
sed -n '/"expected"/,$p' "$golden/lcm/reverse.json" | grep '^\["' |
    text_of_rows | holds "script-sd-lcm: one name without an original, all others" \
    lcm-back.safetensors
dfx-convert -q lcm-back.safetensors lcm.d
made "$golden/lcm/source.json" |
    holds "lcm-forward: and that name is read back" lcm.d/unet
says "lcm-forward: ... into the config" '"time_cond_proj_dim": 256' \
    lcm.d/unet/config.json

mksynth "$golden/vae-old-names/source.json" old.safetensors
mkdir old && cp old.safetensors old/diffusion_pytorch_model.safetensors
echo '{"_class_name": "AutoencoderKL"}' >old/config.json
dfx-convert -q --to=safetensors old new.safetensors
names new.safetensors '*' >got
lacks "script-sdxl-old-vae: no old name in a file" 'query\|key\|value\|proj_attn' got
ok "script-sdxl-old-vae: ... but the original ones" \
    test "$(grep -c 'mid.attn_1.\(q\|k\|v\|proj_out\).\(weight\|bias\)$' got)" -eq 16
dfx-convert -q new.safetensors new.d
wanted vae-old-names vae | holds "script-sdxl-old-vae: ... with the same bytes" \
    new.d/vae

# ID LIST CASE COMPONENT: the folder of CASE with the text encoder of LIST goes
# back to the list's rows
encoder_goes_back() {
    rm -rf whole.d && cp -R "$3.d" whole.d && rm -f whole.d/dfx_residue.safetensors
    mksynth "$golden/text-encoder-names/$2.json" "whole.d/$4/model.safetensors"
    dfx-convert -qf whole.d whole.safetensors
    sed -n '/"expected"/,$p' "$golden/text-encoder-names/$2.json" |
        grep '^\["' | text_of_rows >want
    prefix=$(sed -n 's/"original_prefix":"\(.*\)",/\1/p' \
        "$golden/text-encoder-names/$2.json")
    seen whole.safetensors | grep "^$prefix" >got
    ok "$1: as the original is" diff want got
}

encoder_goes_back script-sd2-transformers5 case3 sd21-v text_encoder
encoder_goes_back script-sdxl-prefixless case4 sdxl-base text_encoder_2

cp -R sdxl-base.d headless.d && rm -f headless.d/dfx_residue.safetensors
wanted sdxl-base text_encoder_2 | grep -v text_projection |
    sed 's/^\([^ ]*\) \([^ ]*\) \(.*\) .*/["\1","\2",\3,-4,0]/' |
    make_rows headless 1
cp headless.safetensors headless.d/text_encoder_2/model.safetensors
if dfx-convert -q headless.d x.safetensors 2>err; then
    names x.safetensors 'conditioner.embedders.1.model.*' >got
    ok "script-sdxl-no-projection: the rest is converted" \
        test "$(wc -l <got)" -gt 10
else
    says "script-sdxl-no-projection: it says what is missing" 'text_projection' err
    ok "script-sdxl-no-projection: ... and writes nothing" test ! -e x.safetensors
fi

mkdir te0 && mksynth "$golden/text-encoder-names/case0.json" te0/model.safetensors
echo '{"architectures": ["CLIPTextModel"]}' >te0/config.json
dfx-convert -q --half --to=safetensors te0 half.safetensors
dfx-inspect --tensors half.safetensors >out
says "script-half-position-ids: position_ids stay integers" \
    'embeddings.position_ids  *I64  *\[1, 77\]' out

# ---- Original configs --------------------------------------------------------

yaml=$golden/yaml
mksynth "$golden/controlnet-sd15/source.json" controlnet.safetensors
status "yaml-controlnet: the YAML of a ControlNet is read" 0 dfx-convert -q \
    --original-config="$yaml/cldm_v15.yaml" controlnet.safetensors controlnet.d
says "yaml-controlnet: ... for its config" '"conditioning_channels": 3' \
    controlnet.d/controlnet/config.json
status "ckpt-unclip: the YAML of unCLIP is read" 0 dfx-convert -q \
    --original-config="$yaml/v2-1-stable-unclip-h-inference.yaml" \
    sd21-unclip-h.safetensors unclip.d
says "ckpt-unclip: ... for its config" \
    '"projection_class_embeddings_input_dim": 2048' unclip.d/unet/config.json
convert_case sd15
is_whole ckpt-clip-transformers5 sd15
for case in ssd-1b vega koala-700m bk-sdm-small; do
    convert_case $case
    is_whole "ckpt-no-middle" $case
done

# SD2 first, then SDXL, in one process: the second has its own betas.
status "scheduler-leak: SDXL after SD2" 0 dfx-convert -q \
    --component=vae=sd21-v.safetensors sdxl-base.safetensors leak.d
says "scheduler-leak: ... starts at its own beta" '"beta_start": 0.00085' \
    leak.d/scheduler/scheduler_config.json
says "scheduler-leak: ... and ends there" '"beta_end": 0.012' \
    leak.d/scheduler/scheduler_config.json

# ---- Markers and small things ------------------------------------------------

convert_case playground-vae
tr -d ' \n' <playground-vae.d/vae/config.json >out
says "edm-tensor: means are numbers" \
    '"latents_mean":\[-*[0-9.]*,-*[0-9.]*,-*[0-9.]*,-*[0-9.]*\]' out
says "edm-tensor: deviations are numbers" \
    '"latents_std":\[-*[0-9.]*,-*[0-9.]*,-*[0-9.]*,-*[0-9.]*\]' out

{ rows_in "$golden/controlnet-sd21/source.json"
  for layer in 0 2; do
      echo "[\"label_emb.0.$layer.weight\",\"F16\",[128,2048],-4,0]"
      echo "[\"label_emb.0.$layer.bias\",\"F16\",[128],-4,0]"
  done; } | make_rows label 7
dfx-convert -q label.safetensors label.d
made label.json | sed -n 's/^label_emb.0.0/class_embedding.linear_1/p
    s/^label_emb.0.2/class_embedding.linear_2/p' >want
seen label.d/controlnet | grep class_embedding >got
text "controlnet-label-emb: it is mapped" got <want

{ rows_in "$golden/sdxl-base/source.json"
  echo '["v_pred","F32",[0],-4,0]'
  echo '["ztsnr","F32",[0],-4,0]'; } | make_rows marked 1
dfx-convert -q marked.safetensors marked.d
says "v_pred: the marker is read" '"prediction_type": "v_prediction"' \
    marked.d/scheduler/scheduler_config.json
says "ztsnr: the marker is read" '"rescale_betas_zero_snr": true' \
    marked.d/scheduler/scheduler_config.json
rm marked.d/dfx_residue.safetensors
dfx-convert -q marked.d again.safetensors
names again.safetensors '*' >got
says "v_pred: the marker is written" '^v_pred$' got
says "ztsnr: the marker is written" '^ztsnr$' got

# ---- What save_pretrained writes ---------------------------------------------

for file in vocab.json merges.txt special_tokens_map.json tokenizer_config.json; do
    ok "save_pretrained: tokenizer/$file is there" test -s "sd15.d/tokenizer/$file"
done
lacks "save_pretrained: no argument of a loader in it" 'local_files_only\|is_local' \
    sd15.d/tokenizer/tokenizer_config.json
tr -d ' \n' <sd15.d/model_index.json >out
says "save_pretrained: no safety checker" '"safety_checker":\[null,null\]' out
says "save_pretrained: ... and none required" '"requires_safety_checker":false' out
dfx-inspect --metadata sd15.d/unet/diffusion_pytorch_model.safetensors >got
echo 'format: pt' | text "save_pretrained: weights say format pt" got
dfx-convert -q --metadata=modelspec.title=a --metadata=ss_v2=False \
    sd15.safetensors meta.safetensors
dfx-convert -q meta.safetensors meta.d
dfx-convert -q meta.d meta-back.safetensors
ok "save_pretrained: metadata comes back, with all else" \
    cmp meta.safetensors meta-back.safetensors

# ---- safetensors, where the reference or cJSON is lax ------------------------

# WHAT RULE HEADER: a file with it breaks the rule
breaks() {
    make_st lax.safetensors "$3" 2
    dfx-inspect --validate lax.safetensors >out 2>err
    says "lax: $1" "\\[${2}[] ]" out
    status "lax: ... is not read" 1 dfx-inspect lax.safetensors
}

x='"dtype":"U8","shape":[2],"data_offsets":[0,2]'
breaks "white space before {" st.header.start " {\"x\":{$x}}"
breaks "a byte order mark" st.header.start "$(printf '\357\273\277'){\"x\":{$x}}"
breaks "a tab behind }" st.header.padding "{\"x\":{$x}}$(printf '\t')"
breaks "something behind }" st.header.padding "{\"x\":{$x}}1"
breaks "a tensor twice" st.json.duplicate-key "{\"x\":{$x},\"x\":{$x}}"
breaks "a name twice in two spellings" st.json.duplicate-key \
    "{\"a\":{$x},\"\\u0061\":{$x}}"
breaks "a metadata key twice" st.json.duplicate-key \
    "{\"__metadata__\":{\"a\":\"1\",\"a\":\"2\"},\"x\":{$x}}"
breaks "U+0000 in a name" st.name.nul "{\"a\\u0000b\":{$x}}"
breaks "metadata of null" st.metadata.type "{\"__metadata__\":null,\"x\":{$x}}"
breaks "a tensor that is a list" st.tensor.type '{"x":["U8",[2],[0,2]]}'
breaks "a field of no meaning" st.tensor.unknown-field "{\"x\":{$x,\"y\":1}}"
breaks "a type that is an object" st.dtype.type \
    '{"x":{"dtype":{"U8":null},"shape":[2],"data_offsets":[0,2]}}'
breaks "another case of a field" st.tensor.unknown-field \
    '{"x":{"DTYPE":"U8","shape":[2],"data_offsets":[0,2]}}'
breaks "no UTF-8" st.header.utf8 "{\"$(printf '\300\200')\":{$x}}"
breaks "a raw control byte" st.json.string "{\"$(printf 'a\001')\":{$x}}"
for number in -0 2.0 2e0 18446744073709551616; do
    breaks "a dimension of $number" st.shape.value \
        "{\"x\":{\"dtype\":\"U8\",\"shape\":[$number],\"data_offsets\":[0,2]}}"
done
breaks "a dimension of 02" st.json.syntax \
    '{"x":{"dtype":"U8","shape":[02],"data_offsets":[0,2]}}'
# 2^53 + 1 is no double: rounded it would end where 2^53 does.
breaks "2^53 + 1 against 2^53" st.tensor.size \
    '{"x":{"dtype":"U8","shape":[9007199254740993],"data_offsets":[0,9007199254740992]}}'
deep=$(printf '%300s' '' | tr ' ' '[')$(printf '%300s' '' | tr ' ' ']')
breaks "300 levels" st.json.depth "{\"x\":{\"dtype\":$deep}}"

dfx-convert -q --metadata=b=1 --metadata=a=2 --metadata=C=3 sd15.safetensors \
    order.safetensors
head -c 60 order.safetensors | tail -c +9 >out
says "metadata-order: by bytes, whatever the process" \
    '^{"__metadata__":{"C":"3","a":"2","b":"1"}' out
finish
