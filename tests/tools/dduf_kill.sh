#!/bin/sh
# dduf_kill.sh - after kill -9 an archive is the old one or the new one
. "${srcdir:-.}/tests/tools/tap.sh"
command -v mksynth >/dev/null || { echo "1..0 # SKIP no mksynth"; exit 0; }

get_model
mksynth --random --case vae-bare \
    "$srcdir/tests/golden/families/keylists/expect-unet.json" \
    large.safetensors || exit 99
dfx-dduf -q create small.dduf model || exit 99
dfx-dduf -q add small.dduf vae/more.safetensors=large.safetensors || exit 99
mv small.dduf old.dduf
echo new >note.txt
cp old.dduf new.dduf
start=$(date +%s%N)
dfx-dduf -q add new.dduf vae/note.txt=note.txt \
    vae/other.safetensors=large.safetensors || exit 99

# 50 moments, a few of which come after the end
took=$(($(date +%s%N) - start))
moment=0
olds=0
news=0
others=0
broken=0
while [ $moment -lt 50 ]; do
    rm -f .dfx-*
    cp old.dduf target.dduf
    dfx-dduf -q add target.dduf vae/note.txt=note.txt \
        vae/other.safetensors=large.safetensors 2>err &
    pid=$!
    sleep "$(awk -v took=$took -v m=$moment \
        'BEGIN { printf "%.4f", took / 1e9 * m / 40 }')"
    kill -s KILL $pid 2>/dev/null
    wait $pid 2>/dev/null
    if cmp -s old.dduf target.dduf; then
        olds=$((olds + 1))
    elif cmp -s new.dduf target.dduf; then
        news=$((news + 1))
    else
        others=$((others + 1))
    fi
    dfx-dduf -q check target.dduf || broken=$((broken + 1))
    moment=$((moment + 1))
done
echo "# killed at 50 moments: $olds times the old one, $news times the new one"
ok "it is never another" test $others -eq 0
ok "it is never broken" test $broken -eq 0
ok "it was killed in time, and too late" test $olds -gt 0 -a $news -gt 0
finish
