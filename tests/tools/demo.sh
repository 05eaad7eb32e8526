#!/bin/sh
# demo.sh - the demo as a test, with the model that ships
log=$(mktemp)
trap 'rm -f "$log"' EXIT

echo 1..1
if sh "$srcdir/demo/demo.sh" "$srcdir/demo" >"$log" 2>&1; then
    echo "ok 1 - through every format: equal files and pictures"
else
    echo "not ok 1 - through every format: equal files and pictures"
    sed 's/^/# /' "$log"
fi
