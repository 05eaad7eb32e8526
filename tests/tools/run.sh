#!/bin/sh
# run.sh - dfx-run: pictures, stages and what it says of wrong use
. "${srcdir:-.}/tests/tools/tap.sh"
command -v mksynth >/dev/null || { echo "1..0 # SKIP no mksynth"; exit 0; }

# The model of the golden runs, a small SD 1.5, as a folder.
golden=$srcdir/tests/golden/run/models/sd15
for part in unet vae text_encoder; do
    mkdir -p model/$part
    cp "$golden/$part/config.json" model/$part
    for list in "$golden/$part"/*model.json; do
        mksynth "$list" "model/$part/$(basename "$list" .json).safetensors"
    done
done
cp "$golden/model_index.json" model
mkdir model/scheduler
cat >model/scheduler/scheduler_config.json <<'END'
{"_class_name": "DDIMScheduler", "beta_start": 0.00085, "beta_end": 0.012,
 "beta_schedule": "scaled_linear", "set_alpha_to_one": false}
END

run() {
    command=$1
    shift
    dfx-run "$command" -q --steps=3 --size=32x32 model "$@"
}

# ---- Pictures ----------------------------------------------------------------

ok "txt2img" run txt2img -p 'a cat' --seed=3 -o a.png \
    --save-tensor=a.st --save-latents=latents.st
ok "... is a PNG file" sh -c 'head -c 4 a.png | grep -q PNG'
ok "... that says how it was made" grep -aq 'Steps: 3, Seed: 3, Size: 32x32' \
    a.png
dfx-inspect --json -t latents.st | jq -r '.tensors[] | .name + (.shape | tostring)' \
    >out
text "latents of each call" out <<'END'
latents.0[1,4,8,8]
latents.1[1,4,8,8]
latents.2[1,4,8,8]
END
for threads in 1 2 7; do
    ok "the same bits on $threads threads" \
        run txt2img -p 'a cat' --seed=3 -o b.png -f -j$threads
    ok "... they are" cmp a.png b.png
done
for level in ref avx2 avx512; do
    ok "the same bits at level $level" env DFX_CPU=$level dfx-run txt2img -q \
        --steps=3 --size=32x32 model -p 'a cat' --seed=3 -f -o b.png
    ok "... they are" cmp a.png b.png
done
ok "another seed" run txt2img -p 'a cat' --seed=4 -f -o b.png
ok "... is another picture" sh -c '! cmp -s a.png b.png'
ok "noise of PyTorch's CUDA generator" \
    run txt2img -p 'a cat' --seed=3 --generator=cuda -f -o b.png
ok "... is another one, too" sh -c '! cmp -s a.png b.png'
status "a picture that is there stays" 1 run txt2img -p 'a cat' -o a.png
ok "... by rule" grep -qF '[out.exists]' err
ok "two prompts, two pictures of each" \
    run txt2img -p 'a cat' -p 'a dog' --images=2 -o many.png
ok "... are four files" test -f many-1.png -a -f many-4.png
ok "all of a run in one file" \
    run txt2img -p 'a cat' -p 'a dog' --images=2 --grid -o grid.png
ok "... says all prompts" grep -aqz 'a cat' grid.png
od -An -tx1 -j16 -N8 grid.png >out
text "... in rows of two" out <<'END'
 00 00 00 40 00 00 00 40
END
ok "img2img" run img2img -p 'a dog' -i a.png --strength=0.7 -o c.png
ok "img2img of a tensor" \
    run img2img -p 'a dog' -i a.st:image --strength=0.7 -o d.png
ok "inpaint" run inpaint -p 'a dog' -i a.png --mask=c.png -o e.png
ok "a sampler by its name" run txt2img -p 'a cat' \
    --scheduler='DPM++ 2M Karras' -o f.png
ok "a picture on the way" run txt2img -p 'a cat' --seed=3 --preview=p.png \
    -f -o b.png
ok "... the last one is the picture" sh -c \
    'dfx-run txt2img -q --steps=3 --size=32x32 model -p "a cat" --seed=3 -f \
        -o b.png && test -s p.png'

# Noise from a file: what the generator gives is what the file has.
ok "latents to start from" run txt2img -p 'a cat' --seed=9 \
    --latents=latents.st:latents.2 -o g.png

# ---- Stages ------------------------------------------------------------------

ok "encode" dfx-run encode model -p 'a cat' --negative='' -o text.st
dfx-inspect --json -t text.st | jq -r '.tensors[] | .name + (.shape | tostring)' |
    sort >out
text "... gives what encoders give" out <<'END'
input_ids[1,77]
last_hidden_state[1,77,32]
negative_prompt_embeds[1,77,32]
pooler_output[1,32]
prompt_embeds[1,77,32]
END
ok "encode of ids, by a component alone" \
    dfx-run encode model/text_encoder --ids='[[49406, 320, 2368, 49407]]' \
    --hidden-states -o ids.st
ok "... with hidden states" sh -c \
    'dfx-inspect --json -t ids.st | jq -e ".tensors | any(.name == \"hidden_states.0\")"'
status "ids that are none" 2 dfx-run encode model --ids='[1, "a"]' -o x.st

cat >in.json <<'END'
{"seed": 1, "tensors": [
["sample", "F32", [1, 4, 8, 8], 0, 0],
["encoder_hidden_states", "F32", [1, 7, 32], 0, 0],
["image", "F32", [1, 3, 16, 16], 0, 0],
["latent", "F32", [1, 4, 4, 4], 0, 0]]}
END
mksynth in.json in.st
ok "denoise" dfx-run denoise model/unet --inputs=in.st --timestep=7 -o out.st
ok "... of the folder gives the same" sh -c \
    'dfx-run denoise model --inputs=in.st --timestep=7 -f -o out2.st &&
    cmp out.st out2.st'
ok "denoise with what each module gives" dfx-run denoise model \
    --inputs=in.st --timestep=7 -f -o out2.st --activations=seen.st
ok "... by name" sh -c \
    'dfx-inspect --json -t seen.st | jq -e ".tensors | any(.name == \"down_blocks.0.resnets.0.conv1\")"'
status "denoise without a timestep" 1 dfx-run denoise model --inputs=in.st -o x.st
ok "... says so" grep -q 'no tensor "timestep"' err
ok "vae-encode" dfx-run vae-encode model --inputs=in.st -o z.st
ok "vae-decode" dfx-run vae-decode model/vae --inputs=in.st -o y.st
status "vae-decode without latents" 1 \
    dfx-run vae-decode model --inputs=text.st -o x.st

dfx-run schedule model/scheduler/scheduler_config.json --steps=4 --json |
    jq -c '.timesteps, .sigmas, .init_noise_sigma' >out
text "schedule" out <<'END'
[750,500,250,0]
[]
1
END
printf 'a cat\n"a \\u0063at"\n\n' | dfx-run tokenize model >out
text "tokenize" out <<'END'
[49406, 320, 2368, 49407]
[49406, 320, 2368, 49407]
[49406, 49407]
END

# ---- Tensors in place of pictures --------------------------------------------

cat >odd.json <<'END'
{"seed": 1, "tensors": [
["latents", "F32", [1, 4, 8, 8], 0, 0], ["small", "F32", [1, 4, 1, 1], 0, 0],
["five", "F32", [1, 5, 8, 8], 0, 0], ["grey", "F32", [1, 1, 32, 32], 0, 0],
["colours", "F32", [1, 3, 4, 4], 0, 0], ["zork", "F32", [1, 32], 0, 0]]}
END
mksynth odd.json odd.st
ok "img2img of latents" run img2img -p 'a dog' -i odd.st:latents -o h.png
for name in small five grey colours; do
    status "img2img of what is neither picture nor latents: $name" 1 \
        run img2img -p 'a dog' -i odd.st:$name -o x.png
    ok "... by rule" grep -qF '[run.tensor.shape]' err
done
status "inpaint of latents" 1 run inpaint -p 'a dog' -i odd.st:latents \
    --mask=c.png -o x.png
status "a mask of three colours" 1 run inpaint -p 'a dog' -i a.png \
    --mask=odd.st:colours -o x.png
mkdir control
cp "$srcdir/tests/golden/run/models/controlnet/controlnet/config.json" control
mksynth "$srcdir"/tests/golden/run/models/controlnet/controlnet/*model.json \
    control/diffusion_pytorch_model.safetensors
ok "a ControlNet" run txt2img -p 'a cat' --controlnet=control,a.png,0.5 -o i.png
status "... of a grey tensor" 1 \
    run txt2img -p 'a cat' --controlnet=control,odd.st:grey -o x.png

# A word that was learned: one tensor under its name.
cat >word.json <<'END'
{"seed": 1, "tensors": [["zork", "F32", [1, 32], 0, 0]]}
END
mksynth word.json word.st
ok "a prompt with a word of a textual inversion" \
    run txt2img -p 'a zork' --seed=3 --embedding=word.st -o j.png
ok "the prompt without it" run txt2img -p 'a zork' --seed=3 -o k.png
ok "... is another picture" sh -c '! cmp -s j.png k.png'

# ---- Wrong use ---------------------------------------------------------------

status "no command" 2 dfx-run
status "an unknown command" 2 dfx-run txt2im model -p a -o x.png
ok "... names the nearest" grep -q 'did you mean txt2img' err
status "no prompt" 2 dfx-run txt2img model -o x.png
status "no output" 2 dfx-run txt2img model -p a
status "a size that is none" 2 dfx-run txt2img model -p a --size=64 -o x.png
status "sides that latents have no place for" 2 \
    dfx-run txt2img model -p a --size=30x32 -o x.png
status "a strength that is none" 2 \
    run img2img -p a -i a.png --strength=-1 -o x.png
# An option that changes nothing is refused.
for wrong in 'encode --mask=a.png' 'denoise --prompt=a' 'tokenize --steps=3' \
    'schedule --vae=model' 'txt2img --json' 'check --eta=0' 'check --seed=0' \
    'check --latents=latents.st' 'record --html=x' 'vae-decode --cfg=2'; do
    # shellcheck disable=SC2086  # a command and its option
    status "dfx-run $wrong" 2 dfx-run $wrong model
    option=${wrong#*--}
    ok "... says so" grep -q "takes no --${option%%=*}\$" err
done
status "a scheduler that is none" 2 \
    dfx-run txt2img model -p a --scheduler=nothing -o x.png
status "a model that is not there" 1 dfx-run txt2img nothing -p a -o x.png
status "a model without a UNet" 1 dfx-run txt2img model/vae -p a -o x.png
ok "... by rule" grep -qF '[run.tensor.missing]' err
ok "nothing half-written is left" sh -c '! ls -a | grep -q "\.dfx-"'
finish
