#!/bin/sh
# signals.sh - a signal in the middle leaves no litter, and is passed on
. "${srcdir:-.}/tests/tools/tap.sh"
command -v mksynth >/dev/null || { echo "1..0 # SKIP no mksynth"; exit 0; }

# 4 GB of zeros that take no room; a cast writes 2 GB of them, if it is let.
lists=$srcdir/tests/golden/families/keylists
mksynth --sparse --case sd15-pruned-emaonly "$lists/expect-unet.json" \
    big.safetensors || { echo "1..0 # SKIP no sparse files here"; exit 0; }

litter() {
    ls -A | grep '^\.dfx-.*\.tmp$'
}

# PID: waits until it has begun to write
at_work() {
    tries=0
    until litter >/dev/null || ! kill -0 "$1" 2>/dev/null; do
        tries=$((tries + 1))
        [ $tries -lt 2000 ] || break
        sleep 0.01
    done
    litter
}

# SIGNAL NUMBER TARGET
interrupt() {
    # A shell ignores INT in its background jobs; a tool keeps what it inherits.
    env --default-signal=INT dfx-convert -q --dtype=f16 big.safetensors "$3" 2>err &
    pid=$!
    ok "$1: it is at work" at_work $pid
    kill -s "$1" $pid
    wait $pid 2>/dev/null
    got=$?
    ok "$1: it ends by that signal" test $got -eq $((128 + $2))
    ok "$1: no target" test ! -e "$3"
    ok "$1: no litter" test -z "$(litter)"
    ok "$1: no message" empty err
}

interrupt INT 2 file.safetensors
interrupt TERM 15 file.safetensors
interrupt HUP 1 folder.d

# nohup: what is ignored stays ignored.
(
    trap '' HUP
    exec dfx-convert -q --only=vae --dtype=f16 big.safetensors vae.d
) &
pid=$!
at_work $pid >/dev/null
kill -s HUP $pid
wait $pid
ok "an ignored HUP ends nothing" test -d vae.d
finish
