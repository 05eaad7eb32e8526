#!/bin/sh
# terminal.sh - colour and progress, on terminals of all kinds
. "${srcdir:-.}/tests/tools/tap.sh"
script -qc true /dev/null </dev/null >/dev/null 2>&1 ||
    { echo "1..0 # SKIP no script of util-linux"; exit 0; }

esc=$(printf '\033')
make_st x.safetensors '{"x":{"dtype":"U8","shape":[3],"data_offsets":[0,3]}}' 3

# COMMAND: what it writes to a terminal goes to "out"
on_terminal() {
    script -qec "$1" /dev/null </dev/null >out 2>&1
}

# WHAT 0-OR-1 COMMAND: 1 if there is colour
colour() {
    on_terminal "$3"
    ok "$1: it prints" grep -q safetensors out
    grep -q "$esc" out
    ok "$1: colour $2" test $? -ne "$2"
}

unset NO_COLOR
export TERM=xterm
colour "a terminal" 1 "dfx-inspect x.safetensors"
colour "an empty NO_COLOR" 1 "NO_COLOR= dfx-inspect x.safetensors"
colour "NO_COLOR" 0 "NO_COLOR=1 dfx-inspect x.safetensors"
colour "a dumb terminal" 0 "TERM=dumb dfx-inspect x.safetensors"
colour "--color on a dumb one" 1 "TERM=dumb dfx-inspect --color=always x.safetensors"
colour "--color=never" 0 "dfx-inspect --color=never x.safetensors"
colour "a pipe" 0 "dfx-inspect x.safetensors | cat"

# Progress is drawn if it takes longer than a tenth of a second, as 400 MB do on
# most machines. Lines of a narrow terminal must not wrap.
command -v mksynth >/dev/null || { finish; exit 0; }
echo '[["a", "F32", [200, 1000, 1000]]]' >rows.json
if mksynth --sparse rows.json big.safetensors; then
    on_terminal "stty cols 30; dfx-convert --to=safetensors --dtype=f16 big.safetensors o"
    tr '\r' '\n' <out >lines
    if grep -q '^writing ' lines; then
        ok "progress has lines that do not wrap" \
            awk '/^writing/ && length >= 30 { exit 1 }' lines
        ok "... and is erased" awk '/^writing/ { drawn = 1 }
            /^ +$/ { drawn = 0 } END { exit drawn }' lines
    fi
    on_terminal "dfx-convert -qf --to=safetensors --dtype=f16 big.safetensors o"
    ok "not with --quiet" empty out
fi
finish
