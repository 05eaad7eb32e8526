#!/bin/sh
# stdio.sh - a full disk behind stdout is an error, a reader that left is none
. "${srcdir:-.}/tests/tools/tap.sh"
[ -c /dev/full ] || { echo "1..0 # SKIP no /dev/full"; exit 0; }

get_model

# COMMAND...: with stdout on /dev/full
full() {
    "$@" >/dev/full
}

for command in 'dfx-inspect model' 'dfx-inspect --json model' \
    'dfx-inspect --tensors model' 'dfx-inspect --help' \
    'dfx-inspect --validate model' 'dfx-inspect --families' \
    'dfx-inspect --rules=sd15' 'dfx-convert --help' \
    'dfx-convert -n model x.safetensors' \
    'dfx-convert -n --json model x.safetensors'; do
    # shellcheck disable=SC2086  # a list
    status "$command >/dev/full" 1 full $command
    ok "... says so" grep -q "^${command%% *}: standard output: No space left on device\$" err
done
status "closed" 1 sh -c 'dfx-inspect --tensors model >&-'
ok "... says so" grep -q '^dfx-inspect: standard output: Bad file descriptor$' err

status "a reader that leaves" 0 sh -c 'dfx-inspect --tree model | head -n 1'
ok "... is no error worth a message" empty err
status "... also where SIGPIPE is ignored" 0 \
    sh -c 'trap "" PIPE; dfx-inspect --tree model | head -n 1'
ok "... is no error worth a message" empty err

# Progress into a pipe that closes must not end a conversion in the middle.
status "stderr that closes" 0 sh -c \
    'dfx-convert --progress --dtype=f64 model x.safetensors 2>&1 | true'
ok "nothing is left over" test "$(find . -name '.dfx-*' | wc -l)" -eq 0
finish
