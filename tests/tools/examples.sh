#!/bin/sh
# examples.sh - the examples of the manual, of README and of --help work
. "${srcdir:-.}/tests/tools/tap.sh"
command -v jq >/dev/null || { echo "1..0 # SKIP jq is not installed"; exit 0; }
command -v mksynth >/dev/null || { echo "1..0 # SKIP no mksynth"; exit 0; }

# The files that they speak of.
golden=$srcdir/tests/golden/families
mkdir files
dfx-convert -q "$srcdir/demo/model" files/model.safetensors &&
    dfx-convert -q --only=vae files/model.safetensors files/vae.safetensors --to=safetensors &&
    dfx-convert -q files/model.safetensors files/model.ckpt &&
    mksynth "$golden/sd15-ema/source.json" files/checkpoint.safetensors || exit 99
cp "$golden/yaml/v1-inference.yaml" files/

# NAME: runs the script "examples", each command after the other, in a folder of
# its own. All succeed.
runs() {
    rm -rf work
    cp -R files work
    { echo 'set -e; cd work'; cat examples; } >script
    ok "$1: there are some" test -s examples
    ok "$1: they work" sh script
}

for page in dfx-convert.1 dfx-inspect.1 dfx-quant.1 dfx.7; do
    sed '1,/^\.Sh EXAMPLES/d' "$srcdir/man/$page" |
        sed -n 's/^\.Dl //p; /^\.Bd/,/^\.Ed/{/^\./!p;}' |
        sed 's/\\e/\\/g' >commands
    # These two begin where the first ends: with a folder.
    { [ $page = dfx-convert.1 ] || echo 'dfx-convert -q model.safetensors model/'
        cat commands; } >examples
    runs $page
done

# In README up to how to build it.
sed -n '/^## Build/q; s/^    //p' "$srcdir/README.md" >examples
runs README.md

for tool in dfx-convert dfx-dduf dfx-inspect dfx-quant; do
    $tool --help | sed -n '/^Examples:/,/^Manual/s/^  //p' >commands
    { [ $tool = dfx-convert ] || echo 'dfx-convert -q model.safetensors model/'
        echo 'dfx-convert -q model.safetensors other/'
        cat commands; } >examples
    runs "$tool --help"
done
finish
