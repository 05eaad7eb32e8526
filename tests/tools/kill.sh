#!/bin/sh
# kill.sh - after kill -9 the target is what it was, or complete
. "${srcdir:-.}/tests/tools/tap.sh"
command -v mksynth >/dev/null || { echo "1..0 # SKIP no mksynth"; exit 0; }

mksynth --random --case vae-bare \
    "$srcdir/tests/golden/families/keylists/expect-unet.json" \
    vae.safetensors || exit 99
dfx-convert -q vae.safetensors new || exit 99
mkdir old && echo '{"_class_name": "Old"}' >old/config.json &&
    echo old >old/diffusion_pytorch_model.safetensors

# How many names there are like those of temporaries
litter() {
    find . -maxdepth 1 -name '.dfx-*.tmp' | wc -l
}

# Kills a conversion some time after its temporary is there.
kill_after() { # SECONDS
    rm -rf target .dfx-*
    cp -R old target
    dfx-convert -qf vae.safetensors target 2>err &
    pid=$!
    tries=0
    until [ "$(litter)" -gt 0 ] || ! kill -0 $pid 2>/dev/null; do
        tries=$((tries + 1))
        [ $tries -lt 1000 ] || break
    done
    sleep "$1"
    kill -s KILL $pid 2>/dev/null
    wait $pid 2>/dev/null
    if diff -r old target >/dev/null; then
        was="as it was"
    elif diff -r new target >/dev/null; then
        was=complete
    else
        was="neither"
    fi
    ok "killed $1 s into its work: the target is $was" test "$was" != neither
    ok "... with one temporary beside it at most" test "$(litter)" -le 1
}

for seconds in 0 0.01 0.02 0.03 0.05 0.07 0.1 0.15 0.2 0.3 0.5; do
    kill_after $seconds
done
rm -rf .dfx-*
ok "the next run is not in the way of what was left" \
    dfx-convert -qf vae.safetensors target
ok "... and completes" diff -r new target
finish
