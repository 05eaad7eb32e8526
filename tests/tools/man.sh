#!/bin/sh
# man.sh - the manual pages are sound mdoc, as mandoc judges
command -v mandoc >/dev/null || { echo "1..0 # SKIP no mandoc"; exit 0; }
n=0

for page in "$srcdir"/man/*.[1-9]; do
    n=$((n + 1))
    # Not style: it misses the manuals that this build has not installed yet.
    if out=$(mandoc -T lint -W warning "$page" 2>&1); then
        echo "ok $n - ${page##*/}"
    else
        echo "not ok $n - ${page##*/}"
        printf '%s\n' "$out" | sed 's/^/# /'
    fi
done
echo "1..$n"
