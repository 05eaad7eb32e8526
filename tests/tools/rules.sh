#!/bin/sh
# rules.sh - each rule is broken by some test; those of families by this one
. "${srcdir:-.}/tests/tools/tap.sh"
command -v mksynth >/dev/null || { echo "1..0 # SKIP no mksynth"; exit 0; }

# RULE COMMAND...: the command fails, and says by which rule
broken() {
    rule=$1
    shift
    status "$rule: refused" 1 "$@"
    ok "... and named" grep -qF "[$rule]" err
}

# The demo's single file, without its numbers.
sed -e '1s/.*/[/' -e '$s/.*/]/' "$srcdir/demo/single.rows.json" >all.json

grep -v 'decoder.conv_in.bias"' all.json >missing.json
mksynth --sparse missing.json missing.safetensors
broken family.missing dfx-convert missing.safetensors folder

sed '1s/.*/[["model.diffusion_model.extra", "F16", [1]],/' all.json >extra.json
mksynth --sparse extra.json extra.safetensors
broken family.unexpected \
    dfx-convert --unknown=error extra.safetensors folder

get_model
head -c 16777216 /dev/zero | tr '\0' ' ' >>model/vae/config.json
broken json.too-large dfx-convert model out

sed -n 's/^RULE(\([A-Z0-9_]*\), *"\([^"]*\)".*/\1 \2/p' \
    "$srcdir/lib/rules.def" >rules
while read -r constant id; do
    ok "$id is broken by a test" \
        grep -rqwFe "DFX_RULE_$constant" -e "$id" "$srcdir/tests"
done <rules
finish
