#!/bin/sh
# matrix.sh - any container to any other: the same content, the same bytes
. "${srcdir:-.}/tests/tools/tap.sh"

# FORMAT: how its target is called
name() {
    case $1 in
    diffusers | bin | sharded) echo "$2-$1" ;;
    *) echo "$2.$1" ;;
    esac
}

# SOURCE FORMAT TARGET: converts to that
convert() {
    case $2 in
    sharded) dfx-convert -q --to=sharded --max-shard-size=4MB "$1" "$3" ;;
    diffusers | bin) dfx-convert -q --to="$2" "$1" "$3" ;;
    *) dfx-convert -q "$1" "$3" ;;
    esac
}

content() {
    dfx-inspect --hash "$1" | sed -n 's/^content *//p'
}

get_model
want=$(content model)
formats="safetensors sharded ckpt diffusers dduf bin gguf ckpt.zst dduf.zst"
for to in $formats; do
    ok "the model as $to" convert model "$to" "$(name "$to" first)"
done
for from in $formats; do
    for to in $formats; do
        target=$(name "$to" target)
        ok "$from to $to" convert "$(name "$from" first)" "$to" "$target"
        ok "... has the same content" test "$(content "$target")" = "$want"
        mv "$target" once
        ok "... and again" convert "$(name "$from" first)" "$to" "$target"
        ok "... has the same bytes" diff -r once "$target"
        rm -rf once "$target"
    done
done
for to in safetensors ckpt dduf gguf ckpt.zst; do
    dfx-convert -q -j1 first.safetensors "one.$to"
    dfx-convert -q -j7 first.safetensors "seven.$to"
    ok "$to: -j1 and -j7 write the same" cmp "one.$to" "seven.$to"
    ok "$to: what is written is what was meant" \
        dfx-convert -qf --verify first.safetensors "one.$to"
done
finish
