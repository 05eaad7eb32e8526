# tap.sh - what the tests of the tools share: sourced, not run
#
# Leaves the test in an empty folder, which goes away at the end.
# shellcheck shell=sh
srcdir=$(cd "${srcdir:-.}" && pwd)
tmp=$(mktemp -d) || exit 99
trap 'rm -rf "$tmp"' EXIT
cd "$tmp" || exit 99
echo 0 >"$tmp/.count" # not a variable: a check may stand in a pipe

# PASSED WHAT: the line of a check
report() {
    n=$(($(cat "$tmp/.count") + 1))
    echo "$n" >"$tmp/.count"
    if [ "$1" -eq 0 ]; then
        echo "ok $n - $2"
    else
        echo "not ok $n - $2"
    fi
}

# WHAT COMMAND...: the command succeeds
ok() {
    what=$1
    shift
    "$@" >"$tmp/.log" 2>&1
    passed=$?
    report $passed "$what"
    [ $passed -eq 0 ] || sed 's/^/# /' "$tmp/.log"
}

# WHAT STATUS COMMAND...: the exit status; output stays in "out" and "err"
status() {
    what=$1
    want=$2
    shift 2
    "$@" >out 2>err
    got=$?
    [ $got -eq "$want" ]
    passed=$?
    report $passed "$what"
    [ $passed -eq 0 ] ||
        { echo "# status $got, want $want"; sed 's/^/# /' out err; }
}

# WHAT FILE: what it has is what comes on standard input
text() {
    cat >"$tmp/.want"
    ok "$1" diff "$tmp/.want" "$2"
}

empty() {
    [ ! -s "$1" ]
}

# FILE JSON BYTES: a safetensors file with that header and so many zeros
make_st() {
    st_size=${#2}
    {
        # shellcheck disable=SC2059  # the format is the point
        printf "$(printf '\\%03o\\%03o\\%03o' $((st_size & 255)) \
            $((st_size >> 8 & 255)) $((st_size >> 16)))"
        printf '\0\0\0\0\0%s' "$2"
        head -c "$3" /dev/zero
    } >"$1"
}

# The model of the demo
get_model() {
    cp -R "$srcdir/demo/model" model && chmod -R u+w model
}

finish() {
    echo "1..$(cat "$tmp/.count")"
}
