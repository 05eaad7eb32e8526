#!/bin/sh
# inspect_several.sh - several inputs: go on after a failure, the worst status
. "${srcdir:-.}/tests/tools/tap.sh"

make_st a.safetensors '{"x":{"dtype":"U8","shape":[3],"data_offsets":[0,3]}}' 3
make_st c.safetensors '{"y":{"dtype":"U8","shape":[2],"data_offsets":[0,2]}}' 2
make_st short.safetensors '{"y":{"dtype":"U8","shape":[2],"data_offsets":[0,2]}}' 1
printf 'no model at all' >text

status "two good ones" 0 dfx-inspect a.safetensors c.safetensors
ok "... both are there" test "$(grep -c '^  format  *safetensors$' out)" -eq 2
ok "... each under its path" test "$(grep -c '^[ac].safetensors$' out)" -eq 2
ok "... and quiet on stderr" empty err

status "the middle one is not there" 1 \
    dfx-inspect a.safetensors b.safetensors c.safetensors
ok "... the others are shown" test "$(grep -c '^[ac].safetensors$' out)" -eq 2
text "... and it is named" err <<END
dfx-inspect: b.safetensors: No such file or directory [io.open]
END

status "none of three is there" 1 dfx-inspect 1 2 3
ok "... prints nothing" empty out
dfx-inspect -t a.safetensors 2 c.safetensors >out 2>err
text "an empty line between those that are" out <<END
a.safetensors
TENSOR  TYPE  SHAPE  BYTES  OFFSET
x       U8    [3]        3      61

c.safetensors
TENSOR  TYPE  SHAPE  BYTES  OFFSET
y       U8    [2]        2      61
END

status "a file that is no model" 1 dfx-inspect text a.safetensors
ok "... says which rule" grep -q '^dfx-inspect: text: .*\[kind.unknown' err
status "a truncated one" 1 dfx-inspect short.safetensors
ok "... says which rule" grep -q '^dfx-inspect: short.safetensors: .*\[st.data.short' err

status "options after operands" 0 dfx-inspect a.safetensors --tensors
ok "... count" grep -q '^x ' out
cp a.safetensors ./--tensors
status "operands after --" 0 dfx-inspect --tensors -- --tensors
ok "... are no options" grep -q '^x ' out
status "POSIXLY_CORRECT changes nothing" 0 \
    env POSIXLY_CORRECT=1 dfx-inspect a.safetensors --tensors
ok "... at all" grep -q '^x ' out
status "quiet" 0 dfx-inspect -q a.safetensors
ok "... prints nothing" empty out
status "quiet about a failure" 1 dfx-inspect -q b.safetensors
ok "... is not quiet" grep -q 'b.safetensors' err

esc=$(printf '\033')
status "no colour in a file" 0 dfx-inspect a.safetensors
ok "... at all" test "$(grep -c "$esc" out)" -eq 0
status "colour on demand" 0 env NO_COLOR=1 dfx-inspect --color=always a.safetensors
ok "... is there" grep -q "$esc" out

for count in 13 14; do
    keys=$(seq -f '"k%02g":"1"' -s , $count)
    make_st "$count.safetensors" "{\"__metadata__\":{$keys}}" 0
    dfx-inspect $count.safetensors >out
    ok "metadata of $count keys" grep -q '^  metadata   k01 = 1$' out
done
ok "... is cut" test "$(grep -c 'k[0-9]* = ' out)" -eq 12
ok "... with a word" grep -q '^             2 more (--metadata has all)$' out
ok "... if that saves lines" test "$(dfx-inspect 13.safetensors | grep -c 'k[0-9]* = ')" -eq 13

status "unknown is no error" 0 dfx-inspect a.safetensors
ok "... it is said" grep -q '^  family  *unknown$' out
finish
