#!/bin/sh
# headers.sh - each header compiles by itself, dfx.h also as C++
n=0

compile() { # LANGUAGE-FLAGS HEADER
    # shellcheck disable=SC2086  # flags are lists
    out=$($CC $CPPFLAGS -Wall -Wextra -Werror -Wno-unused-function \
        -Wno-unused-variable -Wno-unknown-pragmas -fsyntax-only $1 "$2" 2>&1)
    status=$?
    n=$((n + 1))
    if [ "$status" -eq 0 ]; then
        echo "ok $n - ${2#"$srcdir"/} ($1)"
    else
        echo "not ok $n - ${2#"$srcdir"/} ($1)"
        printf '%s\n' "$out" | sed 's/^/# /'
    fi
}

for header in "$srcdir"/lib/*.h "$srcdir"/lib/include/*.h \
    "$srcdir"/formats/*.h "$srcdir"/formats/*/*.h \
    "$srcdir"/verify/*.h "$srcdir"/verify/*/*.h "$srcdir"/tools/*.h \
    "$srcdir"/tests/*/*.h; do
    # One without a guard is a template, included where its parameters are.
    ! grep -q '^#ifndef [A-Z_]*_H$' "$header" 2>/dev/null ||
        compile "-std=gnu11 -include config.h -x c" "$header"
done
compile "-std=c11 -pedantic -x c" "$srcdir/lib/include/dfx.h"
if printf 'int main() { return 0; }\n' |
    $CC -x c++ -fsyntax-only - 2>/dev/null; then
    compile "-x c++" "$srcdir/lib/include/dfx.h"
fi
echo "1..$n"
