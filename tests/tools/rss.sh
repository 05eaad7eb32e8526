#!/bin/sh
# rss.sh - memory stays below 64 MiB whatever the model and the threads
. "${srcdir:-.}/tests/tools/tap.sh"
measure=${builddir:-.}/tests/bench/measure
[ -x "$measure" ] || { echo "1..0 # SKIP no $measure"; exit 0; }
command -v mksynth >/dev/null || { echo "1..0 # SKIP no mksynth"; exit 0; }
case ${CFLAGS-} in
*-fsanitize*) echo "1..0 # SKIP sanitizers take memory of their own"; exit 0 ;;
esac
cases=$srcdir/tests/golden/families/keylists/expect-unet.json

# WHAT COMMAND...: it succeeds within 64 MiB
small() {
    what=$1
    shift
    rm -rf out
    if "$measure" "$@" >numbers 2>err; then
        kib=$(cut -d ' ' -f 2 numbers)
        ok "$what: $kib KiB of 65536" test "$kib" -lt 65536
    else
        report 1 "$what"
        sed 's/^/# /' err
    fi
}

# Holes take no room, so the sizes are what they are in real life.
cat >rows.json <<END
[["a", "F32", [50000, 50000]], ["b", "F32", [3]], ["c", "F32", [50000, 50000]]]
END
if ! mksynth --sparse rows.json huge.safetensors ||
    ! mksynth --sparse --case sdxl-base "$cases" sdxl.safetensors; then
    echo "1..0 # SKIP no sparse files here"
    exit 0
fi
small "two tensors of 10 GB" \
    dfx-convert -q --to=safetensors huge.safetensors out
rm huge.safetensors
for jobs in 1 2 64; do
    small "SDXL to a folder, -j $jobs" \
        dfx-convert -q -j $jobs sdxl.safetensors out
done
small "dfx-inspect of SDXL" dfx-inspect sdxl.safetensors
rm sdxl.safetensors

mksynth --random --case vae-bare "$cases" vae.safetensors || exit 99
for jobs in 1 2 64; do
    small "a cast of 335 MB, -j $jobs" dfx-convert -q -j $jobs \
        --to=safetensors --dtype=bf16 vae.safetensors out
done
finish
