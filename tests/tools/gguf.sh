#!/bin/sh
# gguf.sh - GGUF files written, and numbers in blocks
. "${srcdir:-.}/tests/tools/tap.sh"

content() {
    dfx-inspect --hash "$1" | sed -n 's/^content *//p'
}

get_model
ok "a folder as GGUF" dfx-convert -q model m.gguf
ok "... keeps every rule" dfx-inspect --validate m.gguf
ok "... says what it is" sh -c \
    'dfx-inspect --metadata m.gguf | grep -qx "general.architecture: sd1"'
ok "... comes back" dfx-convert -q m.gguf back
ok "... whole" test "$(content model)" = "$(content back)"
ok "again from the first" dfx-convert -q m.gguf again.gguf
ok "... with the same bytes" cmp m.gguf again.gguf

golden=$srcdir/tests/golden/gguf/good
for name in v3-all-kv v3-arrays v3-quant-types v3-orig-shape v3-unicode \
    v3-int-types v3-5d; do
    ok "$name is written anew" dfx-convert -q "$golden/$name.gguf" "$name.gguf"
    ok "... by the rules" dfx-inspect --validate "$name.gguf"
    ok "... with the same tensors" \
        test "$(content "$golden/$name.gguf")" = "$(content "$name.gguf")"
done
for name in v3-all-kv v3-arrays v3-unicode; do
    dfx-inspect --metadata "$golden/$name.gguf" |
        grep -v 'file_type\|quantization_version' | sort >want
    dfx-inspect --metadata "$name.gguf" |
        grep -v 'file_type\|quantization_version' | sort >got
    ok "$name keeps its keys" diff want got
done

for type in q8_0 q4_0 q5_1 q4_k q6_k iq4_xs mxfp4 tq2_0; do
    ok "the model in $type" dfx-convert -q --dtype=$type model $type.gguf
    ok "... by the rules" dfx-inspect --validate $type.gguf
    dfx-convert -q -j1 --dtype=$type model one.gguf
    ok "... whatever the number of threads" cmp $type.gguf one.gguf
    ok "... and as floats again" dfx-convert -qf --dtype=f16 $type.gguf floats
    rm -rf one.gguf floats
done
dfx-inspect --tensors --json q4_0.gguf >json
ok "norms, biases and embeddings are no blocks" jq -e 'all(.tensors[];
    (.name | test("norm|bias|embedding|time_embed") | not) or .dtype == "F16")' \
    json
ok "matrices are" jq -e '[.tensors[] | select(.dtype == "Q4_0")] | length > 20' \
    json
status "no blocks in safetensors" 1 dfx-convert q4_0.gguf blocks.safetensors
status "nor what is only read" 2 dfx-convert --dtype=q8_1 model x.gguf
ok "... and that is said" grep -q 'Q8_1 is no type to write' err

# NaN, then what is too large for a half: 64 numbers each
{
    printf '\100\000\000\000\000\000\000\000'
    printf '%-64s' '{"w":{"dtype":"F32","shape":[2,32],"data_offsets":[0,256]}}'
    head -c 252 /dev/zero
    printf '\000\000\300\177'
} >nan.safetensors
status "NaN has no place in a block" 1 \
    dfx-convert --dtype=q8_0 nan.safetensors nan.gguf
ok "... by rule" grep -qF '[quant.nonfinite' err
{
    head -c 324 nan.safetensors
    printf '\377\377\177\177'
} >large.safetensors
status "nor has what is too large" 1 \
    dfx-convert --dtype=q8_0 large.safetensors large.gguf
ok "... by rule" grep -qF '[quant.scale-overflow' err
ok "... and nothing is left" sh -c '! ls large.gguf nan.gguf .dfx-* 2>/dev/null'
# Metadata of the file itself
cp m.gguf edit.gguf
before=$(content edit.gguf)
status "a file is no target of its own" 2 \
    dfx-convert --metadata=general.name=x edit.gguf edit.gguf
ok "... but for metadata, if one insists" \
    dfx-convert -q -f --metadata=general.name=first edit.gguf edit.gguf
ok "... which is there" sh -c \
    'dfx-inspect --metadata edit.gguf | grep -qx "general.name: first"'
ok "... and replaced" \
    dfx-convert -q -f --metadata=general.name=second edit.gguf edit.gguf
ok "... once" test "$(dfx-inspect --metadata edit.gguf |
    grep -c '^general.name: second$')" = 1
ok "... with the same tensors" test "$before" = "$(content edit.gguf)"
status "and never with another type" 2 dfx-convert -f --dtype=f32 \
    --metadata=general.name=x edit.gguf edit.gguf
finish
