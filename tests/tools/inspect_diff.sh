#!/bin/sh
# inspect_diff.sh - what differs between two models
. "${srcdir:-.}/tests/tools/tap.sh"

# F32 1.0 is 00 00 80 3f, 2.5 is 00 00 20 40, -1.0 is 00 00 80 bf.
header='{"__metadata__":{"k":"1"},"w":{"dtype":"F32","shape":[3],"data_offsets":[0,12]}}'
make_st a.safetensors "$header" 0
cp a.safetensors b.safetensors
printf '\0\0\200\77\0\0\200\77\0\0\200\77' >>a.safetensors
printf '\0\0\200\77\0\0\40\100\0\0\200\277' >>b.safetensors
status "a file with itself" 0 dfx-inspect --diff a.safetensors a.safetensors
echo 'a.safetensors and a.safetensors are the same model: 1 tensor equal' |
    text "... is the same" out
status "two values differ" 1 dfx-inspect --diff a.safetensors b.safetensors
text "... by how much, and how many" out <<'END'
WHAT    NAME  A        B        MAX-ABS  ELEMENTS
tensor  w     F32 [3]  F32 [3]        2         2

1 difference, 0 tensors equal
END

make_st c.safetensors '{"__metadata__":{"k":"2","l":"3"},"v":{"dtype":"F16","shape":[6],"data_offsets":[0,12]}}' 12
status "nothing is the same" 1 dfx-inspect --diff a.safetensors c.safetensors
text "... on either side" out <<'END'
WHAT      NAME  A        B
tensor    v     -        F16 [6]
tensor    w     F32 [3]  -
metadata  k     1        2
metadata  l     -        3

4 differences, 0 tensors equal
END
# Both lists of keys are gone through once: these are ten thousand each.
keys=$(seq -f '"k%g":"1"' -s , 10000)
end='"w":{"dtype":"U8","shape":[0],"data_offsets":[0,0]}}'
make_st many.safetensors "{\"__metadata__\":{$keys},$end" 0
make_st few.safetensors "{\"__metadata__\":{\"k10\":\"1\",\"k2\":\"2\",\"l\":\"3\"},$end" 0
dfx-inspect --diff many.safetensors few.safetensors >out
ok "metadata: what both have is no difference" test "$(grep -c '^metadata  k10 ' out)" -eq 0
ok "... what has another value" grep -q '^metadata  k2  *1  *2$' out
ok "... what one has" grep -q '^metadata  l  *-  *3$' out
ok "... what the other has" grep -q '^10000 differences, 1 tensor equal$' out
make_st d.safetensors '{"__metadata__":{"k":"1"},"w":{"dtype":"F16","shape":[6],"data_offsets":[0,12]}}' 12
status "another type and shape" 1 dfx-inspect --diff a.safetensors d.safetensors
ok "... is said" grep -q '^tensor  w  *F32 \[3\]  F16 \[6\]$' out
status "one is not there" 2 dfx-inspect --diff a.safetensors missing
ok "... it is named" grep -q '^dfx-inspect: missing: ' err
status "quietly" 1 dfx-inspect --diff -q a.safetensors b.safetensors
ok "... without a word" empty out

get_model
cp -R model other
status "two folders alike" 0 dfx-inspect --diff model other
sed 's/"norm_num_groups": 4/"norm_num_groups": 8/' model/vae/config.json >other/vae/config.json
ok "(the config differs)" test "$(cmp -s model/vae/config.json other/vae/config.json; echo $?)" -eq 1
echo more >other/README.md
echo some >other/tokenizer/notes.txt
echo less >model/tokenizer/notes.txt
status "a config and files differ" 1 dfx-inspect --diff model other
ok "... the field" grep -q '^config  vae/config.json: norm_num_groups  4  *8$' out
ok "... the file that one has" grep -q '^file    README.md  *-  *5 B$' out
ok "... the file with other bytes" grep -q '^file    tokenizer/notes.txt ' out
ok "... and no more" grep -q '^3 differences, 970 tensors equal$' out
# The demo's configs are not those of its family: the file keeps them.
dfx-convert -q other one.safetensors || exit 99
status "a folder and the file made of it" 0 dfx-inspect --diff other one.safetensors
echo 'other and one.safetensors are the same model: 970 tensors equal' |
    text "... are the same" out
dfx-convert -q --plain other plain.safetensors || exit 99
status "a folder and the file that keeps nothing" 1 dfx-inspect --diff plain.safetensors other
ok "... its config would be another" grep -q '^config  vae: norm_num_groups  *32  *8$' out
dfx-convert -q --dtype=f32 model wide.safetensors || exit 99
status "a folder and a file of other types" 1 dfx-inspect --diff model wide.safetensors
ok "... all tensors" test "$(grep -c '^tensor .* F16 .* F32 ' out)" -eq 970
finish
