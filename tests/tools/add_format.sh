#!/bin/sh
# add_format.sh - a container is added with one file and one line of list.am
. "$srcdir/tests/added/build.sh"

if ! build_with 'lib_libdfxcore_la_SOURCES += formats/madeup.c' madeup.c look
then
    echo "Bail out! the program does not build"
    exit 1
fi
printf 'MADEUP01\002\000\000\000aaaabbbb' >"$tmp/good"
check "a file of the format is read" "$("$tmp/look" "$tmp/good")" \
    'madeup unknown
tensor numbers F32 8'
printf 'MADEUP01\003\000\000\000aaaabbbb' >"$tmp/short"
check "the gate guards the new reader too" \
    "$("$tmp/look" "$tmp/short" 2>&1 | sed 's/.*\[/[/')" '[tensor.data.short]'
printf 'MADEUP02\002\000\000\000aaaabbbb' >"$tmp/other"
check "another magic is not the format's" \
    "$("$tmp/look" "$tmp/other" 2>&1 | sed 's/.*\[/[/')" '[kind.unknown]'
echo "1..$n"
