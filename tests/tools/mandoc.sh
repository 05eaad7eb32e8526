#!/bin/sh
# mandoc.sh - manual pages are well-formed and say what the program says
. "${srcdir:-.}/tests/tools/tap.sh"

sections() {
    ls "$srcdir"/man/*.[1-9]
}

if command -v mandoc >/dev/null; then
    for page in $(sections); do
        # Pages that are not installed yet are not found; they are seen to below.
        mandoc -T lint "$page" 2>&1 | grep -v 'referenced manual not found' >lint
        ok "mandoc -T lint ${page##*/}" empty lint
    done
fi
for page in $(sections); do
    sed -n 's/^\.Xr \([^ ]*\) \([1-9]\).*/\1.\2/p' "$page" | sort -u >refs
    for ref in $(cat refs); do
        ok "${page##*/}: there is $ref" test -e "$srcdir/man/$ref"
    done
done

# PAGE OPTION: the list items of a page are what the option lists
items() {
    dfx-inspect "$2" | sed '1d; s/ .*//' >listed
    sed -n "/^\.Sh $3/,/^\.El/s/^\.It Cm //p" "$srcdir/man/$1" |
        text "$1 has what $2 lists" listed
}
items dfx-formats.5 --list-rules RULES
items dfx-families.5 --families FAMILIES
# What --json calls a family stands in the tables.
sed -n 's/.*\.family = "\([a-z0-9_]*\)".*/\1/p
    s/^ *KNOWN("\([a-z0-9_]*\)".*/\1/p
    s/^ *SET("[^"]*", "\([a-z0-9_]*\)".*/\1/p
    $a unknown' "$srcdir"/formats/families/*.c | sort -u >listed
sed -n '/^\.Sh NAMES OF/,/^\.El/s/^\.Cm \([a-z0-9_]*\) [,.]$/\1/p' \
    "$srcdir/man/dfx-families.5" | sort -u |
    text "dfx-families.5 has the families of the tables" listed
dfx-inspect --list-formats | sed '1d; s/ .*//' | sort >listed
sed -n 's/^\.Ss //p' "$srcdir/man/dfx-formats.5" | sort |
    text "dfx-formats.5 has what --list-formats lists" listed

# Every public function is on the page.
sed -n 's/^ *\(dfx_[a-z0-9_]*\);$/\1/p' "$srcdir/lib/libdfx.map" | sort >functions
sed -n '/^\.\(It \)\{0,1\}Fn/p' "$srcdir/man/libdfx.3" | grep -o 'dfx_[a-z_]*' |
    sort -u | text "libdfx.3 has every function" functions

# The example on it compiles.
sed -n '/^\.Bd -literal/,/^\.Ed/p' "$srcdir/man/libdfx.3" |
    sed '/^\./d; s/\\e/\\/g' >example.c
ok "libdfx.3: the example compiles" ${CC:-cc} -std=c11 -Wall -Wextra -Werror \
    -I"$srcdir/lib/include" -fsyntax-only example.c
finish
