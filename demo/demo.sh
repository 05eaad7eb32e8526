#!/bin/sh
# demo.sh - what dfx does, on the model of this folder, every step checked
#
# Usage: demo.sh [DEMO-FOLDER [OUT-FOLDER]]   with the tools of dfx in PATH
#
# Through every format and back, the same pictures from each, what fewer bits
# cost, and a sheet of pictures: OUT-FOLDER/sheet.png. Works in a temporary
# place, prints each command before it runs, and ends with status 1 at the first
# surprise.
set -eu
demo=$(cd "${1:-$(dirname "$0")}" && pwd)
tmp=$(mktemp -d)
trap 'rm -rf "$tmp"' EXIT
out=${2:-$tmp/out}
mkdir -p "$out"
out=$(cd "$out" && pwd)
trap 'exit 130' INT
trap 'exit 143' TERM

step() {
    printf '\n== %s\n' "$*"
}

# Prints the command as one would type it.
run() {
    printf '$'
    for word; do
        case $word in
        *' '*) printf " '%s'" "$word" ;;
        *) printf ' %s' "$word" ;;
        esac
    done
    printf '\n'
    "$@"
}

digest() {
    sha256sum "$1" | cut -d' ' -f1
}

fail() {
    echo "demo: $*" >&2
    exit 1
}

same() {
    [ "$1" = "$2" ] || fail "$3: $1 and $2"
    echo "$3: the same, $1"
}

cp -R "$demo/model" "$tmp/model"
chmod -R u+w "$tmp/model"
cd "$tmp"

step "A Diffusers folder"
run dfx-inspect model

step "What would be written, without writing it (the first lines)"
run dfx-convert -nv model single.safetensors >plan
sed 14q plan
echo "... $(wc -l <plan) lines"
[ ! -e single.safetensors ] || fail "-n wrote its target"

step "To the single file that the reference script writes"
run dfx-convert --plain model plain.safetensors
want=$(cut -d' ' -f1 "$demo/single.sha256")
same "$(digest plain.safetensors)" "$want" "SHA-256 of plain.safetensors and of the reference's file"

step "To a single file from which the same folder can be made again"
run dfx-convert --verify model single.safetensors
run dfx-inspect single.safetensors

step "Back to a folder"
run dfx-convert --verify single.safetensors back
run diff -rq model back || fail "the folder did not come back as it was"
echo "model and back: the same files, byte for byte"

step "And to the single file once more"
run dfx-convert back again.safetensors
run cmp single.safetensors again.safetensors
echo "single.safetensors and again.safetensors: the same, byte for byte"

step "The content hash does not depend on the container"
run dfx-inspect --hash --json model >model.json
run dfx-inspect --hash --json single.safetensors >single.json
content() {
    tr -d ' \n' <"$1" | sed -n 's/.*"content":"\([0-9a-f]*\)".*/\1/p'
}
[ -n "$(content model.json)" ] || fail "no content hash in the JSON"
same "$(content model.json)" "$(content single.json)" "content"

step "No difference between the two"
run dfx-inspect --diff model single.safetensors

step "Through every other format, and back to a folder"
run dfx-convert single.safetensors model.ckpt
run dfx-convert model.ckpt model.dduf
run dfx-convert model.dduf model.gguf
run dfx-convert model.gguf whole
run diff -rq model whole || fail "the folder did not come back as it was"
echo "model and whole: the same files, byte for byte"
run dfx-convert model model.safetensors.zst
run dfx-convert --to=bin model bin

step "The same pictures from each, to the last bit"
pictures() { # FILE ARGUMENT...
    image=$1
    shift
    run dfx-run txt2img -q --scheduler=DDIMScheduler --seed=7 --steps=4 --cfg=4 \
        --prompt="a red circle on a blue background" \
        --prompt="two green stars" --save-tensor="$image" "$@"
}
pictures folder.image model
for source in single.safetensors model.ckpt model.dduf model.gguf \
    model.safetensors.zst bin; do
    pictures "$source.image" "$source"
    same "$(digest "$source.image")" "$(digest folder.image)" pictures
done
echo "plain.safetensors does not say what the configs say, so they are given:"
pictures plain.image --config=model plain.safetensors
same "$(digest plain.image)" "$(digest folder.image)" pictures

step "Fewer bits, and what they cost"
for type in q8_0 q5_0 q4_0; do
    run dfx-quant -q --type=$type model $type.gguf
    set -- dfx-run compare --scheduler=DDIMScheduler --seed=7 --steps=10 --cfg=4 \
        --prompt="a red circle on a blue background" model $type.gguf
    run "$@" >cost
    sed -n '1p' cost
    grep PSNR cost || fail "nothing was compared"
done

step "A sheet of pictures, one try each"
set --
for prompt in "a red circle on a white background" \
    "a large blue square on a yellow background" \
    "a small green triangle on a black background" \
    "two orange circles on a gray background" \
    "a large yellow star on a blue background" \
    "a purple ring on a pink background" \
    "a white cross on a red background" "two pink stars on a purple background" \
    "a large gray triangle on an orange background" \
    "a black ring on a green background" "a small red square" \
    "two blue crosses on a white background"; do
    set -- "$@" "--prompt=$prompt"
done
run dfx-run txt2img --grid --force --scheduler=DDIMScheduler --seed=1 \
    --steps=20 --cfg=4 "$@" --output="$out/sheet.png" model

printf '\ndemo: all equal; the pictures are in %s/sheet.png\n' "$out"
