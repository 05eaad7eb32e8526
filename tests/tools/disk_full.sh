#!/bin/sh
# disk_full.sh - no room: exit 1, a reason, neither target nor temporary
. "${srcdir:-.}/tests/tools/tap.sh"
command -v mksynth >/dev/null || { echo "1..0 # SKIP no mksynth"; exit 0; }

mksynth --random --case vae-bare \
    "$srcdir/tests/golden/families/keylists/expect-unet.json" \
    vae.safetensors || exit 99

# nothing FOLDER WHAT: what is in the folder is what was there before
nothing() {
    ok "... $2 is left" test -z \
        "$(find "$1" -mindepth 1 -maxdepth 1 ! -name old)"
}

# A limit on the size of files: 512 bytes times 100,000 of the 335 MB. Whoever
# does not ignore SIGXFSZ dies of it.
limited() {
    (
        ulimit -f 100000
        exec dfx-convert -q vae.safetensors "$1"
    )
}

mkdir room
for target in room/file.safetensors room/folder; do
    status "a file size limit, ${target#room/}" 1 limited $target
    ok "... is the reason" grep -q 'File too large.*\[out.write' err
    nothing room "nothing"
done

mkdir disk
if mount -t tmpfs -o size=64m none disk 2>/dev/null; then
    trap 'umount disk; rm -rf "$tmp"' EXIT
    for target in disk/file.safetensors disk/folder; do
        status "a full disk, ${target#disk/}" 1 \
            dfx-convert -q vae.safetensors $target
        ok "... is the reason" \
            grep -q 'No space left on device.*\[out.write' err
        nothing disk "nothing"
    done
    mkdir disk/old && echo '{}' >disk/old/config.json
    status "a full disk, -f" 1 dfx-convert -qf vae.safetensors disk/old
    ok "... leaves the old folder" test "$(cat disk/old/config.json)" = '{}'
    nothing disk "nothing else"
    umount disk
    trap 'rm -rf "$tmp"' EXIT
else
    ok "a full disk # SKIP a tmpfs cannot be mounted here" true
fi
finish
