#!/bin/sh
# quant.sh - dfx-quant: types, names, sizes and what it says they cost
. "${srcdir:-.}/tests/tools/tap.sh"
command -v mksynth >/dev/null || { echo "1..0 # SKIP no mksynth"; exit 0; }

golden=$srcdir/tests/golden/gguf

# What a plan says of a tensor: NAME FIELD OPTION...
planned() {
    name=$1
    field=$2
    shift 2
    dfx-quant -n --json "$@" unet.safetensors x.gguf |
        jq -r --arg n "$name" --arg f "$field" \
            '.files[0].tensors[] | select(.name == $n)[$f]'
}

is() { # WANT GOT
    [ "$1" = "$2" ] || { echo "is $2, not $1"; return 1; }
}

# ---- As ComfyUI-GGUF's convert.py ------------------------------------------

wanted=$golden/comfy/expected.json
for name in cosmos-f16 flux-bf16 flux-fp8 sd1-bf16 sd3-f32 sdxl-f16-prefixed \
    sdxl-f32; do
    mksynth "$golden/comfy/$name.json" $name.safetensors
    ok "$name for ComfyUI" \
        dfx-quant -q --naming=comfy $name.safetensors $name.gguf
    sum=$(sha256sum $name.gguf | cut -d' ' -f1)
    ok "... is convert.py's, byte for byte" test "$sum" = \
        "$(jq -r ".rows[] | select(.[0] == \"$name\" and .[1] == \"file\")[4]" \
            "$wanted")"
done
for name in diffusers-flux-refused unknown-refused; do
    mksynth "$golden/comfy/$name.json" $name.safetensors
    status "$name" 1 dfx-quant -q --naming=comfy $name.safetensors x.gguf
    ok "... by rule" grep -qF '[quant.architecture]' err
done

# Five dimensions in one pass, where convert.py writes a second file.
mksynth "$golden/comfy/wan-bf16-5d.json" wan.safetensors
ok "wan for ComfyUI" dfx-quant -q --naming=comfy wan.safetensors wan.gguf
dfx-inspect --json --tensors --hash wan.gguf |
    jq -r '.hash.tensors | to_entries[] | "\(.key) \(.value[:16])"' | sort >got
jq -r '.rows[] | select(.[0] == "wan-bf16-5d") |
    if .[1] == "tensor" then "\(.[2]) \(.[7])"
    elif .[1] == "5d" then "\(.[3]) \(.[6])" else empty end' "$wanted" |
    sort >want
ok "... has all tensors, that of five dimensions too" diff want got

# A prefix that comes twice is taken off once: convert.py takes both.
cat >twice.json <<'END'
{"seed": 7, "tensors": [
["model.diffusion_model.double_blocks.0.img_attn.proj.weight", "F16", [64, 64], -4, 0.0],
["model.diffusion_model.x.model.diffusion_model.weight", "F16", [64, 64], -4, 0.0]
]}
END
mksynth twice.json twice.safetensors
ok "a prefix that comes twice" \
    dfx-quant -q --naming=comfy twice.safetensors twice.gguf
ok "... is taken off once" sh -c 'dfx-inspect --tensors twice.gguf |
    grep -q "^x.model.diffusion_model.weight "'

# Rows of zeros: bitsandbytes and others divide by their scale.
cat >zeros.json <<'END'
{"seed": 7, "tensors": [
["zero.weight", "F32", [32, 64], -4, 0.0, "const"],
["half.weight", "F32", [32, 64], -4, 0.0]
]}
END
mksynth zeros.json zeros.safetensors
mkdir zeros
mv zeros.safetensors zeros/diffusion_pytorch_model.safetensors
echo '{"_class_name": "Other"}' >zeros/config.json
for name in bnb-int8 nf4 nf4-dq fp4 quanto-int8 quanto-int4 torchao-int8 \
    torchao-float8 comfy-fp8 comfy-int8 comfy-nvfp4 comfy-mxfp8 bfl-fp8 \
    bfl-nvfp4; do
    ok "a weight of zeros in $name" sh -c "
        dfx-quant -q -f --type=$name zeros z &&
        dfx-convert -q -f --dtype=f32 z numbers"
    ok "... is zeros" sh -c 'dfx-inspect --json --hash --tensors numbers |
        jq -e ".hash.tensors[\"zero.weight\"] == \"9f1dcbc35c350d6027f98be0f5c8b43b42ca52b7604459c0c42be3aa88913d47\""'
done

# ---- What becomes of which tensor -------------------------------------------

mksynth --sparse --case sd15-unet-bare \
    "$srcdir/tests/golden/families/keylists/expect-unet.json" \
    unet.safetensors || exit 99
block=input_blocks.7.1.transformer_blocks.0
source=$(dfx-inspect --json --tensors unet.safetensors |
    jq -r '.tensors[0].dtype')
ok "a matrix becomes blocks" \
    is Q4_K "$(planned $block.attn1.to_q.weight dtype --type=q4_k)"
ok "... and nothing is to explain" \
    is null "$(planned $block.attn1.to_q.weight why --type=q4_k)"
ok "a bias stays" \
    is "$source" "$(planned $block.attn1.to_out.0.bias dtype --type=q4_k)"
ok "... since it has one dimension" \
    is "1 dimension" "$(planned $block.attn1.to_out.0.bias why --type=q4_k)"
ok "a norm stays" is "1 dimension" "$(planned $block.norm1.weight why --type=q8_0)"
ok "a convolution stays" \
    is "4 dimensions" "$(planned input_blocks.7.0.in_layers.2.weight why \
        --type=q8_0)"
ok "embeddings of time stay" \
    is "delicate: time_embed." "$(planned time_embed.0.weight why --type=q8_0)"
ok "short rows stay, with K types" \
    is "rows of 320 are no whole blocks of 256" \
    "$(planned input_blocks.1.1.transformer_blocks.0.attn1.to_q.weight why \
        --type=q4_k)"
ok "... and not with others" \
    is Q8_0 "$(planned \
        input_blocks.1.1.transformer_blocks.0.attn1.to_q.weight dtype \
        --type=q8_0)"
ok "--dtype is for what stays" \
    is F32 "$(planned time_embed.0.weight dtype --type=q8_0 --dtype=f32)"
ok "... and for nothing else" \
    is Q8_0 "$(planned $block.attn1.to_q.weight dtype --type=q8_0 --dtype=f32)"
ok "--keep keeps" \
    is "--keep" "$(planned $block.attn1.to_q.weight why --type=q8_0 \
        --keep='attn1\.to_[qk]')"
ok "... what it names" \
    is Q8_0 "$(planned $block.attn1.to_v.weight dtype --type=q8_0 \
        --keep='attn1\.to_[qk]')"
ok "a rule is stronger" \
    is Q5_0 "$(planned time_embed.0.weight dtype --type=q8_0 \
        --type-rules='time_embed.*weight=q5_0')"
ok "... but for rows that it does not fit" \
    is "its rows are no whole blocks of what a rule says" \
    "$(planned input_blocks.1.1.transformer_blocks.0.attn1.to_q.weight why \
        --type=q8_0 --type-rules='attn1.to_q.weight=q4_k')"
ok "values of attention get more in a mix" \
    is Q6_K "$(planned $block.attn1.to_v.weight dtype --type=q4_k_m)"
ok "... and are said to" is "attention values" \
    "$(planned $block.attn1.to_v.weight why --type=q4_k_m)"
ok "so does the way down" \
    is Q6_K "$(planned $block.ff.net.2.weight dtype --type=q4_k_m)"
ok "keys do not" \
    is Q4_K "$(planned $block.attn1.to_k.weight dtype --type=q4_k_m)"
ok "the first values of Q4_K_S" is 4 "$(dfx-quant -n --json --type=q4_k_s \
    unet.safetensors x.gguf | jq '[.files[0].tensors[] |
    select(.dtype == "Q5_K" and (.name | contains("to_v")))] | length')"
ok "ComfyUI gets convolutions in rows" \
    is Q4_K "$(planned input_blocks.7.0.in_layers.2.weight dtype \
        --type=q4_k --naming=comfy)"
ok "... and its own exceptions" is "delicate: time_embed." \
    "$(planned time_embed.0.weight why --type=q4_k --naming=comfy)"
ok "... and nothing in an unpacked BF16 layer for diffusers" \
    is F32 "$(planned \
        model.diffusion_model.input_blocks.7.0.in_layers.2.weight dtype \
        --type=bf16 --naming=diffusers)"

# ---- Whole models ------------------------------------------------------------

get_model
ok "a folder by component" dfx-quant -q --component=unet=q8_0,vae=bf16 \
    model part.gguf
ok "... has each in its type" sh -c 'dfx-inspect --json --tensors part.gguf |
    jq -e "([.tensors[] | select(.dtype == \"Q8_0\") | .name |
        startswith(\"model.diffusion_model.\")] | all and length > 20) and
        ([.tensors[] | select(.name | startswith(\"first_stage\")) | .dtype] |
        unique == [\"BF16\"])"'
status "a component that is not there" 2 \
    dfx-quant --component=transformer=q8_0 model x.gguf
ok "... is named" grep -q 'no component "transformer"' err
ok "the network alone" dfx-quant -q --type=q8_0 --naming=diffusers model u.gguf
ok "... under the names that diffusers takes of it" sh -c '
    dfx-inspect --json --tensors u.gguf | jq -e "[.tensors[].name |
        startswith(\"model.diffusion_model.\")] | all and length == 686"'
ok "a mix" dfx-quant -q --type=Q3_K_L model mix.gguf
ok "... has its number" sh -c \
    'dfx-inspect --metadata mix.gguf | grep -qx "general.file_type: 13"'
ok "one thread" dfx-quant -q -j1 --type=q4_k_m model one.gguf
ok "and seven" dfx-quant -q -j7 --type=q4_k_m model seven.gguf
ok "... give the same bytes" cmp one.gguf seven.gguf

for size in 14.5MB 15.2MB; do
    ok "a size: $size" dfx-quant -q --target-size=$size model size.gguf -f
    ok "... is kept and used" awk -v want="${size%MB}" \
        -v got="$(wc -c <size.gguf)" \
        'BEGIN { exit !(got <= want * 1e6 && got > want * 1e6 * 0.97) }'
done
status "a size that nothing has" 2 dfx-quant --target-size=1MB model x.gguf
ok "... and the least" grep -q 'it takes [0-9]* bytes at least' err
ok "the longer search" \
    dfx-quant -q --effort=best --type=q4_k --json model best.gguf
ok "... has less error" sh -c '
    dfx-quant -q -f --effort=best --type=q4_k --json model best.gguf >best
    dfx-quant -q -f --type=q4_k --json model fast.gguf >fast
    jq -es ".[0].error.rmse < .[1].error.rmse" best fast'

# ---- In parts ------------------------------------------------------------------

for name in nf4 nf4-dq fp4 fp4-dq bnb-int8 quanto-int8 quanto-float8 \
    quanto-int4 quanto-int2 torchao-int8 torchao-float8; do
    form=$(echo $name | sed 's/-dq//; s/^\([nf]\)/bnb-\1/')
    ok "a folder in $name" dfx-quant -q --verify --component=unet=$name model p
    ok "... has its network so" test "$(dfx-inspect --json --tensors p |
        jq -r '[.tensors[] | select(.stored_as != null) |
            "\(.component) \(.stored_as)"] | unique | join(";")')" \
        = "unet $form"
    ok "... says so in its config" \
        jq -e '.quantization_config.quant_method' p/unet/config.json
    ok "... with the layers that stay" sh -c "
        jq -e '.quantization_config | .modules_to_not_convert //
            .llm_int8_skip_modules | map(split(\".\") | last) |
            index(\"linear_1\")' \
            p/unet/config.json"
    ok "... and nowhere else" sh -c \
        "! grep -q quantization_config p/vae/config.json"
    ok "... measured" sh -c "dfx-quant -q -f --json --component=unet=$name \
        model p | jq -e '(.errors | length) == 182 and
            .error.relative_rmse > 0.001 and .error.relative_rmse < 0.6'"
    ok "seven threads" dfx-quant -q -j7 --component=unet=$name model q
    ok "... and one" dfx-quant -q -j1 -f --component=unet=$name model p
    ok "... give the same bytes" diff -r p q
    ok "as an archive" dfx-convert -q p p.dduf
    ok "... by the rules" dfx-dduf -q check p.dduf
    ok "back to numbers" dfx-convert -q --dtype=f16 p.dduf back
    ok "... which the config says" sh -c \
        "! grep -q quantization_config back/unet/config.json"
    rm -rf p q back p.dduf
done
for name in comfy-fp8 comfy-int8 comfy-mxfp8 comfy-nvfp4 bfl-fp8 bfl-nvfp4; do
    ok "a file in $name" dfx-quant -q --type=$name model c.safetensors
    ok "... has matrices so" sh -c "dfx-inspect --json --tensors c.safetensors |
        jq -e '[.tensors[] | select(.stored_as == \"$name\")] | length > 100'"
    ok "... and comes back" dfx-convert -q --dtype=f16 c.safetensors c.back
    rm -r c.safetensors c.back
done
status "what a file has no place for" 2 dfx-quant --type=nf4 model x.safetensors
ok "... is said" grep -q 'nf4 is for folders' err

# ---- Importance ---------------------------------------------------------------

imatrix=$golden/imatrix
ok "with an importance matrix" dfx-quant -q --type=q4_k \
    --imatrix="$imatrix/minilm.imatrix.gguf" \
    --type-rules='layer0=q4_k' "$golden/real.safetensors" none.gguf
dfx-quant -q --type-rules='layer0=q4_k' "$golden/real.safetensors" plain.gguf
ok "of other names nothing changes" cmp none.gguf plain.gguf
status "what is none" 1 dfx-quant --type=q4_k \
    --imatrix="$golden/real.safetensors" model x.gguf
ok "... by rule" grep -qF '[quant.imatrix' err
printf '\001\0\0\0\004\0\0\0name\0\0\0\0\001\0\0\0\0\0\200\077' >bad.dat
status "a broken one" 1 dfx-quant --type=q4_k --imatrix=bad.dat model x.gguf
ok "... by rule too" grep -qF '[imatrix.form' err

# ---- What it says --------------------------------------------------------------

dfx-quant -f --type=q8_0 --report model r.gguf >report 2>err
ok "a report has each tensor" test "$(grep -c ' Q8_0 .* 8.500 ' report)" -gt 100
ok "... all of them" grep -q '^  all of these ' report
ok "... what was kept, and why" grep -q '^  1 dimension  *[0-9]' report
dfx-quant -q -f --type=q8_0 --json model r.gguf >json
ok "JSON has the same" jq -e '.error.relative_rmse < 0.01 and
    .error.bits_per_weight == 8.5 and (.errors | length) > 100 and
    (.reasons | map(.name) | index("1 dimension")) != null' json
ok "a page" dfx-quant -q -f --type=q8_0 --html=r.html model r.gguf
ok "... of its own" sh -c '! grep -qE "(src|href)=|https?:|<script" r.html'
ok "... is complete" sh -c 'tail -n 1 r.html | grep -qx "</html>"'
status "no page without a folder" 1 \
    dfx-quant -q -f --type=q8_0 --html=no/r.html model r.gguf
ok "the types" sh -c 'dfx-quant --list-types | grep -q "^Q4_K  *4.5 "'

status "no type" 2 dfx-quant model x.gguf
ok "... asks for one" grep -q 'say what to make of it' err
status "one that is not there" 2 dfx-quant --type=q4_kk model x.gguf
ok "... has a near one" grep -q 'did you mean Q4_K' err
status "one that is only read" 2 dfx-quant --type=q8_1 model x.gguf
status "two answers" 2 dfx-quant --type=q8_0 --target-size=1GB model x.gguf
status "a name for GGUF alone" 2 \
    dfx-quant --naming=comfy model x.safetensors
ok "nothing is left" sh -c '! ls x.gguf x.safetensors .dfx-* 2>/dev/null'
finish
