#!/bin/sh
# convert_target.sh - targets that are there, that cannot be, that are inputs
. "${srcdir:-.}/tests/tools/tap.sh"

get_model
dfx-convert -q model one.safetensors || exit 99
cp one.safetensors copy.safetensors

echo precious >there.safetensors
status "a target that is there" 1 dfx-convert model there.safetensors
ok "... is named, with what helps" grep -q '^dfx-convert: there.safetensors: .*\[out.exists\]; -f replaces files and models$' err
echo precious | text "... and untouched" there.safetensors
status "-f" 0 dfx-convert -qf model there.safetensors
ok "... replaces it" cmp one.safetensors there.safetensors

mkdir docs && echo precious >docs/letter
status "a folder that is no model" 1 dfx-convert one.safetensors docs
status "... not even with -f" 1 dfx-convert -f one.safetensors docs
echo precious | text "... is untouched" docs/letter
mkdir web && echo '{}' >web/config.json && echo precious >web/letter
status "a folder with any config.json" 1 dfx-convert -qf one.safetensors web
ok "... is untouched" test -e web/letter
mkdir empty
status "an empty folder, with -f" 0 dfx-convert -qf one.safetensors empty
status "a model, with -f" 0 dfx-convert -qf one.safetensors empty
ok "... is one" test -e empty/model_index.json

status "onto the source" 2 dfx-convert -f --dtype=f32 one.safetensors one.safetensors
ok "... which is untouched" cmp one.safetensors copy.safetensors
ln one.safetensors link.safetensors
status "under another name" 2 dfx-convert -f --dtype=f32 one.safetensors link.safetensors
ok "... too" cmp one.safetensors copy.safetensors
status "onto a grafted component" 2 dfx-convert -f --component=vae=one.safetensors model link.safetensors
ok "... too" cmp one.safetensors copy.safetensors
status "a folder onto itself" 2 dfx-convert -f --dtype=f32 --to=diffusers model model
ok "... too" diff -r model "$srcdir/demo/model"

status "the index of shards, which are a folder's" 2 dfx-convert model x.safetensors.index.json
ok "... says how" grep -q -e '--to=sharded$' err
status "into a folder that is not there" 1 dfx-convert model no/where.safetensors
ok "... says so" grep -q 'No such file or directory' err
if [ "$(id -u)" -ne 0 ]; then
    mkdir closed && chmod a-w closed
    status "into a folder that is closed" 1 dfx-convert model closed/x.safetensors
    ok "... says so" grep -q 'Permission denied' err
    chmod u+w closed
fi
status "a source that is not there" 1 dfx-convert nothing x.safetensors
echo 'dfx-convert: nothing: No such file or directory [io.open]' | text "... says so" err
make_st unknown.safetensors '{"x":{"dtype":"U8","shape":[3],"data_offsets":[0,3]}}' 3
status "a model that nobody knows" 1 dfx-convert unknown.safetensors x.d
ok "... says so" grep -q '^dfx-convert: .*family.unknown' err
ok "nothing is left over" test "$(find . -name '.dfx-*' | wc -l)" -eq 0
finish
