#!/bin/sh
# convert_plan.sh - the plan is what happens, and -n makes nothing happen
. "${srcdir:-.}/tests/tools/tap.sh"

get_model
echo notes >model/tokenizer/notes.txt
chmod -R a-w model
status "a dry run to a file" 0 dfx-convert -n model one.safetensors
ok "... makes none" test ! -e one.safetensors
ok "... says what from what" grep -q '^model (diffusers, sd1) -> one.safetensors: 1 file, ' out
ok "... lists it" grep -q '^  one.safetensors *970  16.3 MB$' out
ok "... and what gets lost" grep -q 'tokenizer/notes.txt' out
status "one component" 0 dfx-convert -q --plain --only=vae model vae.safetensors
status "a dry run of what keys do not settle" 0 dfx-convert -n vae.safetensors vae
ok "... with a warning, apart" grep -q '^dfx-convert: vae.safetensors: warning: taken as vae-sd1' err
status "quietly" 0 dfx-convert -nq model one.safetensors
ok "... not a word" empty out
ok "... on either" empty err
status "with each tensor" 0 dfx-convert -nv model one.safetensors
ok "... its place, type, shape, size and source" grep -Eq \
    '^ +[0-9]+  model.diffusion_model.input_blocks.0.0.bias +F16 +\[64\] +128  .*conv_in.bias$' out

status "a run" 0 dfx-convert -v --verify model one.safetensors
ok "... says what was written" grep -q '^dfx-convert: one.safetensors: wrote 1 file, 16.3 MB$' err
ok "... and that it is right" grep -q 'verified, 970 tensors read back as they were meant' err
ok "... nothing on stdout" empty out
status "another dry run, to a folder" 0 dfx-convert -n one.safetensors out.d/
ok "... makes none" test ! -e out.d
sed -n 's/^  \([a-z_/.0-9]*\) .*/\1/p' out | sort >planned
status "the run" 0 dfx-convert -q one.safetensors out.d/
(cd out.d && find . -type f | sed 's,^\./,,' | sort) | text "writes those files" planned
ok "... quietly" empty err
status "and back" 0 dfx-convert -q out.d two.safetensors
ok "... is the same file" cmp one.safetensors two.safetensors
ok "nothing is left over" test "$(find . -name '.dfx-*' | wc -l)" -eq 0
ok "the source is as it was" diff -r -x notes.txt model "$srcdir/demo/model"
finish
