#!/bin/sh
# symbols.sh - dfx.h, libdfx.map and the library agree on what is public
tmp=$(mktemp -d)
trap 'rm -rf "$tmp"' EXIT
export LC_ALL=C

tr '\n' ' ' <"$srcdir/lib/include/dfx.h" | tr ';' '\n' |
    sed -n 's/.*DFX_API [^(]*[ *]\(dfx_[a-z0-9_]*\)(.*/\1/p' |
    sort >"$tmp/header"
sed -n 's/^ *\(dfx_[a-z0-9_]*\);$/\1/p' "$srcdir/lib/libdfx.map" >"$tmp/map"
library=lib/.libs/libdfx.so
nm -D --defined-only --without-symbol-versions "$library" 2>/dev/null |
    awk '$3 !~ /^DFX_/ { print $3 }' | sort >"$tmp/library"

n=0
check() { # WHAT COMMAND...
    what=$1
    shift
    n=$((n + 1))
    if "$@" >"$tmp/out" 2>&1; then
        echo "ok $n - $what"
    else
        echo "not ok $n - $what"
        sed 's/^/# /' "$tmp/out"
    fi
}

check "dfx.h declares something" test -s "$tmp/header"
check "libdfx.map is sorted" sort -c "$tmp/map"
check "libdfx.map names what dfx.h declares" diff "$tmp/header" "$tmp/map"
if [ -e "$library" ]; then
    check "the library exports what libdfx.map names" \
        diff "$tmp/map" "$tmp/library"
else
    n=$((n + 1))
    echo "ok $n # SKIP no shared library was built"
fi

# Linked statically, the library and the tools share one space of names.
nm -g --defined-only tools/.libs/libtools.a lib/.libs/libdfxcore.a 2>/dev/null |
    awk 'NF == 3 { print $3 }' | sort >"$tmp/names"
grep -v '^dfx_' "$tmp/names" >"$tmp/strangers"
check "the archives have names" test -s "$tmp/names"
uniq -d "$tmp/names" >"$tmp/twice"
check "no name is defined twice" diff /dev/null "$tmp/twice"
check "every name starts with dfx_" diff /dev/null "$tmp/strangers"
echo "1..$n"
