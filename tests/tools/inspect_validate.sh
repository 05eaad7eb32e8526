#!/bin/sh
# inspect_validate.sh - --validate: verdicts, each broken rule, exit status
. "${srcdir:-.}/tests/tools/tap.sh"

make_st good.safetensors '{"x":{"dtype":"U8","shape":[3],"data_offsets":[0,3]}}' 3
# One tensor too small for its shape, one of an unknown type, a byte too many.
make_st bad.safetensors '{"x":{"dtype":"U8","shape":[4],"data_offsets":[0,3]},"y":{"dtype":"X9","shape":[1],"data_offsets":[3,4]}}' 5

status "a good file" 0 dfx-inspect --validate good.safetensors
echo 'good.safetensors: ok' | text "... is ok" out
status "a bad file" 1 dfx-inspect --validate bad.safetensors
ok "... breaks st.tensor.size" grep -q 'tensor "x": .*\[st.tensor.size' out
ok "... and st.dtype.unknown" grep -q '\[st.dtype.unknown' out
ok "... named in each line" test "$(grep -vc '^bad.safetensors: ' out)" -eq 0
ok "... on stdout alone" empty err
status "both" 1 dfx-inspect --validate good.safetensors bad.safetensors
ok "... one is ok" grep -qx 'good.safetensors: ok' out
status "one that is not there" 2 dfx-inspect --validate missing good.safetensors
ok "... the other is ok" grep -qx 'good.safetensors: ok' out
status "quietly" 1 dfx-inspect --validate -q bad.safetensors
ok "... without a word" empty out

get_model
status "a folder" 0 dfx-inspect --validate model
rm model/vae/diffusion_pytorch_model.safetensors
make_st model/vae/diffusion_pytorch_model.safetensors '{"x":{"dtype":"U8","shape":[4],"data_offsets":[0,3]}}' 3
status "a folder with a broken file" 1 dfx-inspect --validate model
ok "... which is named" grep -q \
    '^model/vae/diffusion_pytorch_model.safetensors: .*\[st.tensor.size' out

dfx-inspect --list-rules | sed '1d; s/ .*//' >listed
sed -n 's/^RULE([A-Z0-9_]*, *"\([^"]*\)".*/\1/p' "$srcdir/lib/rules.def" |
    text "--list-rules lists every rule" listed
finish
