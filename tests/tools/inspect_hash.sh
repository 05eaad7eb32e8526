#!/bin/sh
# inspect_hash.sh - sums of files, tensors and models
. "${srcdir:-.}/tests/tools/tap.sh"
command -v sha256sum >/dev/null || { echo "1..0 # SKIP no sha256sum"; exit 0; }

sum() {
    sha256sum | cut -d' ' -f1
}

printf 'abcdefg' >data
make_st x.safetensors '{"a":{"dtype":"U8","shape":[3],"data_offsets":[0,3]},"b":{"dtype":"F16","shape":[2],"data_offsets":[3,7]}}' 0
cat data >>x.safetensors
status "a file that no table knows" 0 dfx-inspect --hash x.safetensors
a=$(printf 'abc' | sum)
b=$(printf 'defg' | sum)
file=$(sum <x.safetensors)
# dfx.h: SHA-256 over the lines "COMPONENT NAME TYPE SHAPE HASH", sorted.
content=$(printf ' a U8 [3] %s\n b F16 [2] %s\n' "$a" "$b" | sum)
printf 'file     %s\ncontent  %s\n' "$file" "$content" |
    text "file and content" out
status "with its tensors" 0 dfx-inspect --hash --tensors x.safetensors
ok "... the first" grep -q "^a .*$a\$" out
ok "... the second" grep -q "^b .*$b\$" out

get_model
dfx-convert -q model one.safetensors || exit 99
dfx-convert -q --max-shard-size=2MB one.safetensors shards || exit 99
ok "there are shards" test -e shards/unet/diffusion_pytorch_model.safetensors.index.json
for form in model one.safetensors shards; do
    dfx-inspect --hash $form | sed -n 's/^content *//p'
done >sums
ok "folder, file and shards have one content" test "$(sort -u sums | wc -l)" -eq 1
ok "... which is a sum" grep -Eqx '[0-9a-f]{64}' sums
dfx-inspect --hash model >out
ok "a folder has no sum of its own" test "$(grep -c '^file' out)" -eq 0
dfx-convert -q --dtype=bf16 model other.safetensors || exit 99
dfx-inspect --hash other.safetensors | sed -n 's/^content *//p' >other
ok "another type is another content" test "$(cat other)" != "$(head -n 1 sums)"
finish
