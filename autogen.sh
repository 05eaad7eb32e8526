#!/bin/sh
# autogen.sh - from a fresh clone to a build
#
# Usage: autogen.sh                 run autoreconf, nothing else
#        autogen.sh check [OPTION]  set up everything, build, run the tests
#        autogen.sh demo [OPTION]   set up everything, build, show the demo
#
# The set-up installs what is missing with apt-get (as root, or through sudo)
# on Debian and Ubuntu, and names the packages elsewhere. OPTIONs are
# configure's. The build is in the folder "build", or in $BUILD_DIR.
set -eu

packages="gcc libc6-dev make autoconf automake libtool pkg-config libcjson-dev
    libzstd-dev libyaml-dev libssl-dev zlib1g-dev libdeflate-dev libpng-dev
    libutf8proc-dev libzip-dev xz-utils mandoc jq"

say() {
    echo "autogen.sh: $*"
}

missing_packages() {
    for package in $packages; do
        state=$(dpkg-query -W -f '${db:Status-Status}' "$package" 2>&1) ||
            state=missing
        [ "$state" = installed ] || printf ' %s' "$package"
    done
}

install_packages() {
    if ! command -v apt-get >/dev/null || ! command -v dpkg-query >/dev/null
    then
        # shellcheck disable=SC2086  # a list
        say "needed, as Debian and Ubuntu name it:" $packages
        return
    fi
    missing=$(missing_packages)
    [ -n "$missing" ] || return 0
    if [ "$(id -u)" -eq 0 ]; then
        as_root=
    elif command -v sudo >/dev/null; then
        as_root=sudo
    else
        say "not installed, please do as root: apt-get install$missing"
        return
    fi
    say "installing$missing"
    # sudo passes no environment on.
    $as_root apt-get -qq update
    # shellcheck disable=SC2086  # a list
    $as_root env DEBIAN_FRONTEND=noninteractive apt-get -qq install -y --no-install-recommends $missing
}

build() {
    build=${BUILD_DIR:-build}
    autoreconf -i
    mkdir -p "$build"
    source=$(pwd)
    cd "$build"
    "$source/configure" "$@"
    make -j "$(nproc)"
}

cd "$(dirname "$0")"
case ${1-} in
'')
    exec autoreconf -i
    ;;
check | demo)
    target=$1
    shift
    install_packages
    build "$@"
    make -j "$(nproc)" "$target"
    ;;
*)
    sed -n '2,/^set/s/^# \{0,1\}//p' autogen.sh >&2
    exit 2
    ;;
esac
