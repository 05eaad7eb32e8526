#!/bin/sh
# forms.sh - weights that other libraries stored in parts: kept, and as numbers
. "${srcdir:-.}/tests/tools/tap.sh"

golden=$srcdir/tests/golden/quant/diffusers
weights=diffusion_pytorch_model.safetensors

content() {
    dfx-inspect --hash "$1" | sed -n 's/^content *//p'
}

# What a folder's tensors are stored as: the forms, sorted
forms() {
    dfx-inspect --json --tensors "$1" |
        jq -r '[.tensors[].stored_as | select(. != null)] | unique | join(" ")'
}

for name in bnb_nf4_dq bnb_int8 quanto_int4 quanto_int8 torchao_int8 \
    torchao_float8; do
    from=$golden/$name
    form=$(echo $name | sed 's/_dq//; s/_/-/')
    ok "$name: inspect names the form" test "$(forms "$from")" = "$form"
    ok "... it is copied" dfx-convert -q "$from" $name
    ok "... with its config" cmp "$from/config.json" $name/config.json
    ok "... and verified" dfx-convert -q --verify "$from" $name.v
    ok "... as a checkpoint" dfx-convert -q --to=bin "$from" $name.bin
    ok "... still in parts" test "$(forms $name.bin)" = "$form"
    ok "... with the same numbers" \
        test "$(content "$from")" = "$(content $name.bin)"
    ok "... which comes back" dfx-convert -q --to=diffusers $name.bin $name.back
    ok "... with the same bytes" cmp $name/$weights $name.back/$weights
    ok "... as numbers" dfx-convert -q --dtype=f32 "$from" $name.f32
    ok "... in one part each" test "$(forms $name.f32)" = ""
    ok "... which the config says" sh -c \
        "! grep -q quantization_config $name.f32/config.json"
    ok "... and the metadata" test "$(dfx-inspect --json $name.f32 |
        jq -c '.components[0].metadata // .metadata')" = '{"format":"pt"}'
    ok "... and as blocks" dfx-quant -q --type=q8_0 --to=gguf "$from" $name.gguf
    ok "... and F16, one and seven threads" sh -c "
        dfx-convert -q -j1 --dtype=f16 '$from' one &&
        dfx-convert -q -j7 --dtype=f16 '$from' seven &&
        cmp one/$weights seven/$weights && rm -r one seven"
done
for name in bnb_nf4_dq bnb_int8 quanto_int4 quanto_int8; do
    ok "$name is copied byte for byte" \
        cmp "$golden/$name/$weights" $name/$weights
done

status "numbers of some weights and parts of others" 1 dfx-convert -q \
    --type-rules='proj_in|context_embedder=f16' "$golden/bnb_nf4_dq" x
ok "... are refused by a rule" grep -qF '[quant.parts' err
ok "... and nothing is left" test ! -e x
finish
