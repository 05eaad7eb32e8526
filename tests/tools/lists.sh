#!/bin/sh
# lists.sh - every source, test and manual page is in a list of the build
n=0
cd "$srcdir" || exit 99
lists="Makefile.am lib/local.mk formats/list.am formats/local.mk
    verify/local.mk tools/local.mk man/local.mk completions/local.mk demo/local.mk tests/local.mk"

for file in lib/*.[ch] lib/*.def lib/include/*.h formats/*.[ch] \
    formats/families/*.[ch] formats/documents/*.[ch] formats/configs/*.* \
    verify/*.[ch] verify/*/*.[ch] \
    tools/*.* man/*.[1-9] completions/*.* completions/*/* demo/*.* \
    tests/unit/*.[ch] tests/golden/*.[ch] tests/golden/*.sh tests/tools/*.sh \
    tests/synth/*.* tests/bench/*.* tests/fuzz/*.* tests/interop/*.*; do
    [ -f "$file" ] || continue
    case $file in
    *.mk | *.am | *.in) continue ;;
    *.o | *.lo | *.la | *.inc | *.log | *.trs) continue ;; # of a build here
    tests/*.c) name=${file%.c} ;; # a program of that name, or a part
    *) name=$file ;;
    esac
    n=$((n + 1))
    # shellcheck disable=SC2086  # a list
    if grep -qwF -e "$name" $lists; then
        echo "ok $n - $file"
    else
        echo "not ok $n - $file is in no list"
    fi
done
echo "1..$n"
