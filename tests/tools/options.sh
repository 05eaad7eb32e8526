#!/bin/sh
# options.sh - manual pages and completions have the options of --help
. "${srcdir:-.}/tests/tools/tap.sh"

for tool in dfx-convert dfx-dduf dfx-inspect dfx-quant dfx-run; do
    $tool --help >help
    # "-f, --force" and "--to=FORMAT" become "-f" and "--to"
    sed '/^Examples:/,$d' help | grep -E '^ +(-., )?--[a-z]' |
        sed 's/[=[].*//' | awk '{ print $1; if ($1 ~ /,$/) print $2 }' |
        sed 's/,$//' | sort -u >options
    # ".It Fl f , Fl -force" of the manual
    grep '^\.It Fl ' "$srcdir/man/$tool.1" | tr ',' '\n' |
        sed -n 's/.*Fl \([^ ]*\).*/-\1/p' | sort -u >manual
    ok "$tool.1 has the options of --help" diff options manual
    for shell in bash zsh fish; do
        case $shell in
        bash) file=bash/$tool ;;
        zsh) file=zsh/_$tool ;;
        fish) file=fish/$tool.fish ;;
        esac
        awk -v shell=$shell -v tool=$tool -f "$srcdir/completions/completion.awk" help |
            text "completions/$file is what completion.awk makes" \
                "$srcdir/completions/$file"
        if command -v $shell >/dev/null; then
            ok "... and $shell understands it" $shell -n "$srcdir/completions/$file"
        fi
    done
done

if command -v bash >/dev/null; then
    cat >complete.bash <<'END'
source "$srcdir/completions/bash/dfx-convert"
words() {
    COMP_WORDS=("$@") COMP_CWORD=$(($# - 1))
    _dfx_convert
    echo "${COMPREPLY[@]}"
}
words dfx-convert --em
words dfx-convert --ema =
words dfx-convert a --unknown = d
words dfx-convert --to = saf
words dfx-convert a
END
    export srcdir
    bash complete.bash >out 2>&1
    text "bash completes names and words" out <<'END'
--ema=
drop use keep
drop
safetensors

END
fi
finish
