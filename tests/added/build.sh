# build.sh - a program with one file more than the library has; sourced
# shellcheck shell=sh
#
# build_with LINE FILE PROGRAM: makes $tmp/PROGRAM of tests/added/PROGRAM.c, the
# library, tests/added/FILE, and a registry from list.am with LINE at its end.
tmp=$(mktemp -d)
trap 'rm -rf "$tmp"' EXIT
added=$srcdir/tests/added
archive=lib/.libs/libdfxcore.a

build_with() {
    {
        cat "$srcdir/formats/list.am"
        echo "$1"
    } >"$tmp/list.am" || return
    sed -n -f "$srcdir/formats/registry.sed" "$tmp/list.am" \
        >"$tmp/registry.inc" || return
    cp "$srcdir/formats/registry.c" "$tmp/" || return
    # shellcheck disable=SC2086  # flags are lists
    $CC -I"$tmp" $CPPFLAGS $CFLAGS $LDFLAGS -o "$tmp/$3" "$added/$3.c" \
        "$tmp/registry.c" "$added/$2" $archive $LIBS
}

n=0
check() { # WHAT GOT WANT
    n=$((n + 1))
    if [ "$2" = "$3" ]; then
        echo "ok $n - $1"
    else
        echo "not ok $n - $1"
        printf '%s\n' "got:" "$2" "want:" "$3" | sed 's/^/# /'
    fi
}
