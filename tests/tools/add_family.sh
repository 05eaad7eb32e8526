#!/bin/sh
# add_family.sh - a family is added with one file and one line of list.am
. "$srcdir/tests/added/build.sh"

if ! build_with \
    'lib_libdfxcore_la_SOURCES += formats/families/madeup_net.c' \
    madeup_net.c look
then
    echo "Bail out! the program does not build"
    exit 1
fi

safetensors() { # FILE NAME...: tensors of one byte each
    file=$1
    shift
    header='{'
    at=0
    for name; do
        [ $at -eq 0 ] || header=$header,
        header=$header\"$name\"':{"dtype":"U8","shape":[1],"data_offsets":['
        header=$header$at,$((at + 1))']}'
        at=$((at + 1))
    done
    header=$header'}'
    {
        # shellcheck disable=SC2059  # the length, as an octal escape
        printf "\\$(printf '%o' $((${#header} % 256)))"
        # shellcheck disable=SC2059
        printf "\\$(printf '%o' $((${#header} / 256)))"
        printf '\000\000\000\000\000\000%s' "$header"
        head -c $at /dev/zero
    } >"$file"
}

summary() {
    "$tmp/look" "$1" 2>&1 | grep -v '^tensor'
}

safetensors "$tmp/original" m.1.w m.2.w m.i.bias m.i.weight
check "the original names are recognised" "$(summary "$tmp/original")" \
    'safetensors madeup_net
part net madeup_net original 4, missing 0, unexpected 0'
safetensors "$tmp/folder" made_up.inlet.bias made_up.inlet.weight \
    made_up.layers.0.weight
check "so are those of the folder" "$(summary "$tmp/folder")" \
    'safetensors madeup_net
part net madeup_net diffusers 3, missing 0, unexpected 0'
safetensors "$tmp/hole" m.1.w m.3.w m.i.weight
check "what is missing and unexpected is counted" "$(summary "$tmp/hole")" \
    'safetensors madeup_net
part net madeup_net original 2, missing 1, unexpected 1'

"$tmp/look" "$tmp/original" "$tmp/net" >/dev/null
"$tmp/look" "$tmp/net" "$tmp/back.safetensors" >/dev/null
check "its rows lead to the folder's names" \
    "$("$tmp/look" "$tmp/net" | grep -v dfx.header)" \
    'diffusers madeup_net
tensor made_up.inlet.bias U8 1
tensor made_up.inlet.weight U8 1
tensor made_up.layers.0.weight U8 1
tensor made_up.layers.1.weight U8 1
part net madeup_net diffusers 4, missing 0, unexpected 0'
check "and back to the same bytes" \
    "$(cmp "$tmp/original" "$tmp/back.safetensors" 2>&1 && echo same)" same
echo "1..$n"
