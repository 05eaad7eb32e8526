#!/bin/sh
# demo.sh - there and back with the model of this folder, every step checked
#
# Usage: demo.sh [DEMO-FOLDER]   with dfx-convert and dfx-inspect in PATH
#
# Diffusers folder -> single file -> Diffusers folder in a temporary place.
# Prints each command before it runs; ends with status 1 at the first surprise.
set -eu
demo=$(cd "${1:-$(dirname "$0")}" && pwd)
tmp=$(mktemp -d)
trap 'rm -rf "$tmp"' EXIT
trap 'exit 130' INT
trap 'exit 143' TERM

step() {
    printf '\n== %s\n' "$*"
}

run() {
    printf '$ %s\n' "$*"
    "$@"
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
xz -d "$tmp/model/tokenizer/vocab.json.xz" "$tmp/model/tokenizer/merges.txt.xz"
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
got=$(sha256sum plain.safetensors | cut -d' ' -f1)
same "$got" "$want" "SHA-256 of plain.safetensors and of the reference's file"

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

printf '\ndemo: all equal\n'
