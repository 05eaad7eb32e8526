#!/bin/sh
# audit.sh - what dfx-inspect says of files that would run something
. "${srcdir:-.}/tests/tools/tap.sh"
zoo=$srcdir/tests/golden/torch

status "a good file" 0 dfx-inspect --audit "$zoo/good/zip-p2.pt"
ok "... is safe" grep -q ': safe$' out
status "a bad one" 1 dfx-inspect --audit "$zoo/zoo/call-os-system.pt"
ok "... is dangerous" grep -q ': dangerous$' out
ok "... by rule" grep -qF pk.global.denied out
ok "... and name" grep -qF os.system out
status "what cannot be read" 2 dfx-inspect --audit "$zoo/zoo/random.pkl"
status "what is not there" 2 dfx-inspect --audit nowhere.pt
status "the worst of several counts" 1 dfx-inspect --audit \
    "$zoo/good/zip-p2.pt" "$zoo/zoo/random.pkl" "$zoo/zoo/inst.pt"

status "--json" 1 dfx-inspect --audit --json "$zoo/zoo/call-os-system.pt"
ok "... has what CI needs" jq -e '.verdict == "dangerous" and
    (.findings[0] | .rule == "pk.global.denied" and .verdict == "dangerous" and
    .global == "os.system" and (.position | type) == "number" and
    (.reason | type) == "string")' out
status "--sarif" 1 dfx-inspect --audit --sarif "$zoo/zoo/call-os-system.pt"
ok "... is SARIF" jq -e '.version == "2.1.0" and
    (.runs[0].results[0] | .ruleId == "pk.global.denied" and
    .level == "error")' out
status "--pickle" 0 dfx-inspect --pickle "$zoo/zoo/call-os-system.pt"
ok "... shows the opcodes" grep -q "GLOBAL 'os' 'system'" out

status "no conversion starts from it" 1 \
    dfx-convert "$zoo/zoo/in-state-dict.pt" x.safetensors
ok "... and says why" grep -qF '[pt.not-safe' err
ok "... and nothing is written" test ! -e x.safetensors
status "but with a flag" 0 dfx-convert --allow-unsafe --unknown=keep \
    "$zoo/zoo/in-state-dict.pt" x.safetensors
ok "... the tensors beside it are taken" test -e x.safetensors
ok "nothing that was asked for has happened" test ! -e dfx_canary
finish
