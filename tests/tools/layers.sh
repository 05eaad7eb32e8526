#!/bin/sh
# layers.sh - arrows point one way: tools to dfx.h, verify to formats to lib, never
# back
n=0
cd "$srcdir" || exit 99

# Headers of ours that a folder's files include from none of the folders after.
stray() { # FOLDERS-OF-FILES ALLOWED-FOLDERS
    for folder in $1; do
        sed -n 's,^#include "\(.*\)"$,\1,p' "$folder"/*.[ch]
    done | sort -u | while read -r name; do
        found=
        for folder in $2; do
            [ ! -e "$folder/$name" ] || found=yes
        done
        case $name in
        registry.inc | packed.inc) ;; # made by the build
        *) [ -n "$found" ] || echo "$name" ;;
        esac
    done
}

check() { # WHAT STRAY
    n=$((n + 1))
    if [ -z "$2" ]; then
        echo "ok $n - $1"
    else
        echo "not ok $n - $1"
        printf '%s\n' "$2" | sed 's/^/# includes /'
    fi
}

check "lib includes lib" "$(stray "lib" "lib lib/include")"
check "formats include formats and lib" \
    "$(stray "formats formats/families formats/forms formats/documents \
        formats/configs" \
        "formats formats/families formats/forms formats/documents lib \
        lib/include")"
check "verify includes verify, formats and lib" \
    "$(stray "verify verify/cpu verify/nets verify/pipelines verify/schedulers \
        verify/tokenizers" \
        "verify verify/cpu formats lib lib/include")"
check "tools include tools and dfx.h" "$(stray "tools" "tools lib/include")"
echo "1..$n"
