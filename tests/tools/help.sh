#!/bin/sh
# help.sh - --help has the shape that it should have, in every tool
. "${srcdir:-.}/tests/tools/tap.sh"

for tool in dfx-convert dfx-dduf dfx-inspect dfx-quant dfx-run; do
    status "$tool --help ends with 0" 0 $tool --help
    cp out help
    ok "$tool --help: nothing on stderr" empty err
    ok "$tool --help: at most 79 columns" \
        awk 'length > 79 { print; bad = 1 } END { exit bad }' help
    ok "$tool --help: plain text" \
        awk '/[^ -~]/ { print; bad = 1 } END { exit bad }' help
    ok "$tool --help: begins with usage" grep -q "^Usage: $tool " help
    ok "$tool --help: is about exit status" grep -q '^Exit status: 0 ' help
    ok "$tool --help: has examples" grep -q "^  $tool " help
    ok "$tool --help: names the manual" grep -q "^Manual: man $tool\$" help
    status "$tool -h" 0 $tool -h
    ok "$tool -h is --help" cmp help out
    status "$tool --help wins over what else there is" 0 \
        $tool --color=never --help a b c
    ok "$tool: the same help" cmp help out
    status "$tool --version" 0 $tool --version
    ok "$tool --version: a number" grep -Eqx "$tool [0-9.]+" out
    # Long options may be cut, also with "=" behind them.
    status "$tool --colo=never --vers" 0 $tool --colo=never --vers
done
for tool in dfx-convert dfx-inspect dfx-quant dfx-run; do
    status "$tool --help wins over wrong names" 0 \
        $tool --from=nothing --help a b c
    ok "$tool: the help it is" grep -q "^Usage: $tool " out
    status "$tool --list-formats" 0 $tool --list-formats
    ok "$tool --list-formats has one" grep -q '^safetensors ' out
    status "$tool --families" 0 $tool --families
    ok "$tool --families has one" grep -q '^sdxl-base ' out
done
finish
