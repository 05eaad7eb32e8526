#!/bin/sh
# demo.sh - the demo as a test: there and back with the model that ships
command -v xz >/dev/null || { echo "1..0 # SKIP xz is not installed"; exit 0; }
log=$(mktemp)
trap 'rm -f "$log"' EXIT

echo 1..1
if sh "$srcdir/demo/demo.sh" "$srcdir/demo" >"$log" 2>&1; then
    echo "ok 1 - folder, single file, folder: equal"
else
    echo "not ok 1 - folder, single file, folder: equal"
    sed 's/^/# /' "$log"
fi
