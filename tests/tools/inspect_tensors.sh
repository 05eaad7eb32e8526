#!/bin/sh
# inspect_tensors.sh - lists and trees of tensors, sorted and chosen
. "${srcdir:-.}/tests/tools/tap.sh"

# Shapes and offsets are arithmetic: F32 has 4 bytes, F16 2, U8 1.
make_st x.safetensors '{"b.10.w":{"dtype":"F32","shape":[2,3],"data_offsets":[0,24]},"b.2.w":{"dtype":"F16","shape":[5],"data_offsets":[24,34]},"a":{"dtype":"U8","shape":[],"data_offsets":[34,35]},"b.2":{"dtype":"F32","shape":[0,7],"data_offsets":[35,35]}}' 35
size=$(wc -c <x.safetensors)
head=$((size - 35)) # data comes last

status "all of them" 0 dfx-inspect --tensors x.safetensors
text "by name, 2 before 10" out <<END
TENSOR  TYPE  SHAPE   BYTES  OFFSET
a       U8    []          1     $((head + 34))
b.2     F32   [0, 7]      0     $((head + 35))
b.2.w   F16   [5]        10     $((head + 24))
b.10.w  F32   [2, 3]     24     $head
END
for order in 'size b.10.w b.2.w a b.2' 'dtype b.2.w b.2 b.10.w a' \
    'offset b.10.w b.2.w a b.2'; do
    # shellcheck disable=SC2086  # a list
    set -- $order
    by=$1
    shift
    dfx-inspect -t --sort="$by" x.safetensors | sed '1d; s/ .*//' >out
    printf '%s\n' "$@" | text "by $by" out
done
dfx-inspect --tensors='b.2*' x.safetensors | sed '1d; s/ .*//' >out
printf 'b.2\nb.2.w\n' | text "those that match a glob" out
status "none matches" 0 dfx-inspect --tensors='nothing' x.safetensors
text "... a heading alone" out <<END
TENSOR  TYPE  SHAPE  BYTES  OFFSET
END
text "... and a word" err <<END
dfx-inspect: x.safetensors: no tensor matches 'nothing'
END

status "a tree" 0 dfx-inspect --tree x.safetensors
text "... with sums" out <<'END'
NAME            TENSORS  SIZE  TYPE  SHAPE
a                     1   1 B  U8    []
b                     3  34 B
├─ 2                  2  10 B
│  ├─ (itself)        1   0 B  F32   [0, 7]
│  └─ w               1  10 B  F16   [5]
└─ 10.w               1  24 B  F32   [2, 3]
END
dfx-inspect --tree=1 x.safetensors >out
text "one level of it" out <<'END'
NAME  TENSORS  SIZE  TYPE  SHAPE
a           1   1 B  U8    []
b           3  34 B
END

# Three digits, rounded; 999.5 of a unit is one of the next.
for size in '999 999 B' '1000 1.00 kB' '9994 9.99 kB' '9995 10.0 kB' \
    '99949 99.9 kB' '99950 100 kB' '999499 999 kB' '999500 1.00 MB'; do
    bytes=${size%% *}
    make_st size.safetensors "{\"x\":{\"dtype\":\"U8\",\"shape\":[$bytes],\"data_offsets\":[0,$bytes]}}" "$bytes"
    dfx-inspect --tree size.safetensors >out
    ok "$bytes bytes are ${size#* }" grep -q " ${size#* }  U8 " out
done

# A name of 5000 parts must not be 5000 levels of recursion.
long=$(printf 'a.%.0s' $(seq 5000))
make_st deep.safetensors "{\"$long\":{\"dtype\":\"U8\",\"shape\":[],\"data_offsets\":[0,1]},\"${long}b\":{\"dtype\":\"U8\",\"shape\":[],\"data_offsets\":[1,2]}}" 2
status "deep names" 0 dfx-inspect --tree deep.safetensors

make_st evil.safetensors '{"a\u001b[31mb\nc\u009bd":{"dtype":"U8","shape":[],"data_offsets":[0,1]}}' 1
status "control characters in a name" 0 dfx-inspect --tensors evil.safetensors
ok "... are masked" grep -q '^a?\[31mb?c?d  U8 ' out

get_model
status "a folder" 0 dfx-inspect --tensors='vae/encoder.conv_in.*' model
text "... has the component before the name" out <<END
TENSOR                      TYPE  SHAPE          BYTES   OFFSET
vae/encoder.conv_in.bias    F16   [16]              32  $(sed -n '2s/.* //p' out)
vae/encoder.conv_in.weight  F16   [16, 3, 3, 3]    864  $(sed -n '3s/.* //p' out)
END
dfx-inspect --tensors='encoder.conv_in.bias' model | sed '1d; s/ .*//' >out
echo vae/encoder.conv_in.bias | text "a glob for the name alone" out
finish
