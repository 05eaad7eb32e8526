#!/bin/sh
# run.sh - runs fuzz targets, each for FUZZ_SECONDS (60) from its seeds
#
#   run.sh TARGET...    programs built with --enable-fuzzers ("make fuzz")
#   run.sh              builds them with clang first, in a folder of its own
#
# What is found stays in the current folder as fuzz_X-crash-...; look at it
# again with fuzz_X FILE, in either build.
set -eu
srcdir=$(cd "${srcdir:-$(dirname "$0")/../..}" && pwd)
tmp=$(mktemp -d)
trap 'rm -rf "$tmp"' EXIT
trap 'exit 1' HUP INT TERM

if [ $# -eq 0 ]; then
    (
        cd "$tmp"
        "$srcdir"/configure -q CC=clang --enable-fuzzers --enable-sanitizers
        make -s fuzz-targets
    )
    for source in "$srcdir"/tests/fuzz/fuzz_*.c; do
        set -- "$@" "$tmp/tests/fuzz/$(basename "$source" .c)"
    done
fi

status=0
for target; do
    name=$(basename "$target")
    mkdir -p "$tmp/new/$name"
    seeds=
    while read -r folder; do
        seeds="$seeds $srcdir/$folder"
    done <"$srcdir/tests/fuzz/$name.seeds"
    dict=$srcdir/tests/fuzz/$name.dict
    if [ -f "$dict" ]; then
        seeds="-dict=$dict $seeds"
    fi
    echo "$name: ${FUZZ_SECONDS:-60} s"
    # shellcheck disable=SC2086  # a list
    "$target" -max_total_time="${FUZZ_SECONDS:-60}" -max_len=8192 \
        -timeout=10 -rss_limit_mb=512 -print_final_stats=1 \
        -artifact_prefix="$PWD/$name-" "$tmp/new/$name" $seeds \
        >"$tmp/log" 2>&1 || {
        cat "$tmp/log"
        status=1
    }
    sed -n 's/^stat::/    /p' "$tmp/log"
done
exit $status
