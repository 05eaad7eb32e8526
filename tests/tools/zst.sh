#!/bin/sh
# zst.sh - what is compressed by zstd is read as what it is, within limits
. "${srcdir:-.}/tests/tools/tap.sh"

get_model
dfx-convert -q model m.safetensors || exit 99
dfx-convert -q model m.safetensors.zst || exit 99
status "a compressed file is read" 0 dfx-inspect m.safetensors.zst
ok "... as what it is" grep -q safetensors out

status "a folder cannot be compressed" 2 \
    dfx-convert --to=diffusers model folder.zst
status "nor what nobody can name" 2 dfx-convert model thing.zst
head -c 100000 m.safetensors.zst >cut.safetensors.zst
status "a frame that is cut" 1 dfx-inspect cut.safetensors.zst
ok "... is named" grep -qF '[zs.frame' err
status "... and found" 1 dfx-inspect --validate cut.safetensors.zst
ok "... by its rule" grep -qF 'zs.frame' out
status "... and nobody can tell" 2 dfx-inspect --audit cut.safetensors.zst
status "more than allowed" 1 \
    dfx-convert --max-expanded=1MB m.safetensors.zst x.safetensors
ok "... is named" grep -qF '[zs.limit' err
ok "... and nothing is written" test ! -e x.safetensors
status "an audit looks inside" 1 dfx-inspect --audit \
    "$srcdir/tests/golden/torch/zoo/call-os-system.pt"
finish
