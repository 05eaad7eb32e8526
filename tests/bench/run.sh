#!/bin/sh
# run.sh - the speed of dfx against cp of the same source
#
# Usage: run.sh [-d FOLDER] [-n RUNS] [STEP]...
#
# Steps (default: all):
#   split    SD 1.5 in F16, 2.1 GB: single file to folder
#   join     the same back
#   cast     SD 1.5 in F32, 4.3 GB: single file to single file in F16
#   sdxl     SDXL in F16, 6.9 GB: single file to folder
#   inspect  dfx-inspect of the SDXL file
#   ckpt     SD 1.5 in F32, 4.3 GB: PyTorch checkpoint to safetensors
#   dduf     SD 1.5 in F16, 2.1 GB: folder to DDUF archive and back
#   quant    SD 1.5 in F16, 2.1 GB: single file to GGUF in F16 and block types,
#            once with effort, and two of these back (against cp of F16)
#   codecs   what encoders and decoders do in memory, by type and level
# Each is run RUNS times (default 5), all but inspect and codecs in turn with
# cp -r of the source, on a page cache that is warm for both. A line says the
# shortest and the median time of dfx, the same of the ratios dfx / cp of the
# pairs, and the largest resident set. Files go to a new folder under FOLDER
# (default: TMPDIR or /tmp), which needs 16 GB and is removed. builddir and srcdir
# say where the programs and the lists are (default: the current folder).
set -eu

usage() {
    echo "Usage: run.sh [-d FOLDER] [-n RUNS] [STEP]..." >&2
    exit 2
}

base=${TMPDIR:-/tmp}
runs=5
while getopts d:n: option; do
    case $option in
    d) base=$OPTARG ;;
    n) runs=$OPTARG ;;
    *) usage ;;
    esac
done
shift $((OPTIND - 1))
[ $# -gt 0 ] || set -- split join cast sdxl inspect ckpt dduf quant codecs
for step; do
    case $step in
    split | join | cast | sdxl | inspect | ckpt | dduf | quant | codecs) ;;
    *) usage ;;
    esac
done

build=$(cd "${builddir:-.}" && pwd)
cases=$(cd "${srcdir:-.}" && pwd)/tests/golden/families/keylists/expect-unet.json
# The programs themselves: libtool's wrapper scripts take time of their own.
PATH=$build/.libs:$build:$build/tests/synth:$build/tests/bench:$PATH
export LD_LIBRARY_PATH="$build/lib/.libs${LD_LIBRARY_PATH:+:$LD_LIBRARY_PATH}"
dir=$(mktemp -d "$base/dfx-bench.XXXXXX")
trap 'rm -rf "$dir"' EXIT
trap 'exit 130' INT
trap 'exit 143' TERM
cd "$dir"

# source NAME CASE: the file NAME.safetensors, unless it is there
source_file() {
    [ -e "$1.safetensors" ] ||
        mksynth --random --case "$2" "$cases" "$1.safetensors"
}

# What the last run wrote goes to the disk now, not during the next run, and its
# memory is free when that begins: a virtual machine's host takes back what lies
# about, and then whoever writes next pays for it.
settle() {
    sync
    rm -rf out
}

# median < numbers, one a line
median() {
    sort -n | awk '{ v[NR] = $1 } END { print v[int((NR + 1) / 2)] }'
}

# report STEP: from the file runs, whose lines are dfx's seconds and KiB, and cp's
report() {
    printf '%-9s %8.3f s min %8.3f s median %6.1f MiB' "$1" \
        "$(sort -n runs | awk 'NR == 1 { print $1 }')" \
        "$(awk '{ print $1 }' runs | median)" \
        "$(sort -k 2n runs | awk 'END { print $2 / 1024 }')"
    awk 'NF == 4 { print $1 / $3 }' runs | sort -n >ratios
    [ ! -s ratios ] || printf '   dfx/cp %6.3f min %6.3f median' \
        "$(head -n 1 ratios)" "$(median <ratios)"
    echo
    rm -f runs
}

# compare STEP SOURCE COMMAND...: the command writes to out
compare() {
    step=$1 source=$2
    shift 2
    find "$source" -type f -exec cat {} + >/dev/null # into the page cache
    i=0
    while [ $i -lt "$runs" ]; do
        settle
        cp=$(measure cp -r "$source" out)
        settle
        dfx=$(measure "$@")
        echo "$dfx $cp" >>runs
        i=$((i + 1))
    done
    settle
    report "$step"
}

# alone STEP COMMAND...
alone() {
    step=$1
    shift
    i=0
    while [ $i -lt "$runs" ]; do
        measure "$@" >>runs
        i=$((i + 1))
    done
    report "$step"
}

for step; do
    case $step in
    split)
        source_file sd15 sd15-fp16-pruned
        compare split sd15.safetensors dfx-convert -q sd15.safetensors out
        ;;
    join)
        source_file sd15 sd15-fp16-pruned
        rm -rf folder
        dfx-convert -q sd15.safetensors folder
        compare join folder dfx-convert -q --to=safetensors folder out
        rm -rf folder
        ;;
    cast)
        rm -f sd15.safetensors
        source_file sd15-f32 sd15-pruned-emaonly
        compare cast sd15-f32.safetensors dfx-convert -q --to=safetensors \
            --dtype=f16 sd15-f32.safetensors out
        rm -f sd15-f32.safetensors
        ;;
    sdxl)
        source_file sdxl sdxl-base
        compare sdxl sdxl.safetensors dfx-convert -q sdxl.safetensors out
        ;;
    ckpt) # 4 GB of F32
        rm -f sd15.safetensors sdxl.safetensors
        source_file sd15-f32 sd15-pruned-emaonly
        dfx-convert -q sd15-f32.safetensors sd15.ckpt
        rm -f sd15-f32.safetensors
        compare ckpt sd15.ckpt dfx-convert -q --to=safetensors sd15.ckpt out
        rm -f sd15.ckpt
        ;;
    dduf) # 2 GB of F16, packed and unpacked
        source_file sd15 sd15-fp16-pruned
        rm -rf folder
        dfx-convert -q sd15.safetensors folder
        compare pack folder dfx-convert -q --to=dduf folder out
        dfx-convert -q folder sd15.dduf
        compare unpack sd15.dduf dfx-convert -q --to=diffusers sd15.dduf out
        rm -rf folder sd15.dduf
        ;;
    quant)
        source_file sd15 sd15-fp16-pruned
        for type in f16 q8_0 q4_0 q4_K q5_K q6_K; do
            compare $type sd15.safetensors dfx-convert -q --to=gguf \
                --dtype=$type sd15.safetensors out
        done
        compare best-q4_K sd15.safetensors dfx-quant -q --to=gguf \
            --type=q4_K --effort=best sd15.safetensors out
        for type in q8_0 q4_K; do
            dfx-convert -q --dtype=$type sd15.safetensors blocks.gguf
            compare from-$type sd15.safetensors dfx-convert -q \
                --to=safetensors --dtype=f16 blocks.gguf out
            rm -f blocks.gguf
        done
        ;;
    codecs)
        codecs
        ;;
    inspect)
        source_file sdxl sdxl-base
        alone inspect dfx-inspect sdxl.safetensors
        ;;
    esac
done
