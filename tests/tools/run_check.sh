#!/bin/sh
# run_check.sh - dfx-run record, check, compare and bench
. "${srcdir:-.}/tests/tools/tap.sh"

# FILE OFFSET: the weight of two bytes there, moved by 1 in its last place
nudge() {
    byte=$(od -An -tu1 -j "$2" -N 1 "$1" | tr -d ' ')
    # shellcheck disable=SC2059  # the format is the point
    printf "$(printf '\\%03o' $((byte ^ 1)))" |
        dd of="$1" bs=1 seek="$2" conv=notrunc 2>/dev/null
}

# FOLDER TENSOR: where it starts in its file
offset() {
    dfx-inspect --json --tensors="$2" "$1" | jq '.tensors[0].offset'
}

# ---- record -----------------------------------------------------------------

get_model
ok "a golden" dfx-run record model --prompt='a red circle' --negative='blue' \
    --seed=7 --steps=3 --cfg=4 --scheduler=DDIMScheduler -o golden.dfxg
ok "... is a zstd frame" test "$(od -An -tx1 -N 4 golden.dfxg)" = ' 28 b5 2f fd'
ok "... with a recipe" sh -c 'dfx-inspect --json golden.dfxg |
    jq -e ".metadata[\"dfx.golden\"] | if type == \"string\" then fromjson
        else . end | .schema == 1 and (.recipe | .prompt == \"a red circle\" and
        .negative == \"blue\" and .seed == 7 and .steps == 3 and .cfg == 4 and
        .scheduler == \"DDIMScheduler\" and .width == 64 and .height == 64 and
        .generator == \"cpu\" and .eta == 0)"'
dfx-inspect --json --hash --tensors golden.dfxg >hashes
ok "... and digests that others compute, too" jq -e '
    .hash.tensors as $sums | .metadata["dfx.golden"] |
    if type == "string" then fromjson else . end | .stages |
    (map(.name) | index("image") == length - 1) and
    all($sums[.name] == .sha256)' hashes
ok "... of all stages" jq -e '
    [.tensors[].name] | contains(["input_ids", "prompt_embeds",
        "negative_prompt_embeds", "denoise.sample", "latents.0", "latents.1",
        "latents.2", "image"])' hashes
status "one is not replaced" 1 dfx-run record model -o golden.dfxg
ok "... but by force" dfx-run record -q -f model --prompt='a red circle' \
    --negative='blue' --seed=7 --steps=3 --cfg=4 --scheduler=DDIMScheduler \
    -o golden.dfxg
ok "... with the same bytes on one thread" sh -c '
    dfx-run record -q -j1 model --prompt="a red circle" --negative=blue \
        --seed=7 --steps=3 --cfg=4 --scheduler=DDIMScheduler -o one.dfxg
    cmp golden.dfxg one.dfxg'
ok "its picture is that of txt2img" sh -c '
    dfx-run txt2img -q model --prompt="a red circle" --negative=blue --seed=7 \
        --steps=3 --cfg=4 --scheduler=DDIMScheduler --save-tensor=i.safetensors
    test "$(dfx-inspect --json --hash --tensors i.safetensors |
        jq -r .hash.tensors.image)" = "$(jq -r .hash.tensors.image hashes)"'
status "defaults" 0 dfx-run record --json model -o usual.dfxg
ok "... are said" jq -e '.recipe.prompt == "a photo of a cat" and
    .recipe.steps == 4 and .recipe.width == 64 and .recipe.cfg == null' out
ok "all modules" dfx-run record -q --layers --size=32x32 --steps=2 model \
    -o layers.dfxg
status "no --output" 2 dfx-run record model
status "two prompts" 2 dfx-run record model -p a -p b -o x.dfxg
status "another autoencoder" 2 dfx-run record model --vae=model -o x.dfxg

# ---- check ------------------------------------------------------------------

status "the model itself" 0 dfx-run check model --golden=golden.dfxg
ok "... is as recorded" grep -qx 'model: as recorded (exact)' out
ok "... at each stage" test "$(grep -c ' same ' out)" = "$(
    jq '.tensors | length' hashes)"
for target in m.safetensors m.ckpt m.dduf m.gguf m.safetensors.zst; do
    ok "the model as $target" dfx-convert -q model $target
    status "... is as recorded" 0 \
        dfx-run check --exact $target --golden=golden.dfxg
done

# From text to picture: where a weight is changed in its last place.
for place in \
    text_encoder:text_model.encoder.layers.0.mlp.fc1.weight:last_hidden_state \
    unet:conv_in.weight:denoise.sample \
    vae:decoder.conv_in.weight:image; do
    part=${place%%:*}
    stage=${place##*:}
    tensor=${place#*:}
    tensor=${tensor%:*}
    cp -R model changed
    nudge changed/"$part"/*.safetensors "$(offset model/"$part" "$tensor")"
    status "a bit of $part" 1 dfx-run check changed --golden=golden.dfxg \
        --junit=junit.xml
    ok "... deviates from $stage on" \
        grep -q "^changed: deviates, first in $stage: max-abs [0-9].*, limit 0" \
        out
    ok "... and in JUnit" sh -c "
        grep -A1 '<testcase ' junit.xml | grep -B1 -m1 '<failure' |
            grep -q 'classname=\"changed\" name=\"$stage\"'"
    status "... which JSON says, too" 1 \
        dfx-run check --json changed --golden=golden.dfxg
    ok "... with figures" jq -e ".good == false and .first == \"$stage\" and
        (.stages[] | select(.name == \"$stage\") |
            .max_abs > 0 and .relative > 0 and .relative < 0.001)" out
    status "... and is close enough for f16" 0 \
        dfx-run check -q changed --golden=golden.dfxg --tolerance=f16
    ok "... without a word" empty out
    rm -r changed
done

cp -R model changed
block=down_blocks.1.attentions.0.transformer_blocks.0.attn1
nudge changed/unet/*.safetensors "$(offset model/unet $block.to_q.weight)"
status "a bit in the middle" 1 dfx-run check changed --golden=layers.dfxg
ok "... deviates from that layer on" grep -q \
    "^changed: deviates, first in denoise.$block.to_q: max-abs" out
ok "... and not before" test "$(grep -c '^denoise\..* same ' out)" -gt 20
rm -r changed
ok "as BF16" dfx-convert -q --dtype=bf16 model bf16
status "... it deviates" 1 dfx-run check -q bf16 --golden=golden.dfxg
status "... by what is expected" 0 \
    dfx-run check bf16 --golden=golden.dfxg --tolerance=bf16
ok "... which is close" grep -q '^image  *close ' out
status "... and not less" 1 \
    dfx-run check bf16 --golden=golden.dfxg --tolerance=0.0001
ok "as Q8_0" dfx-quant -q --type=q8_0 model q8.gguf
status "... it is as expected" 0 \
    dfx-run check q8.gguf --golden=golden.dfxg --tolerance=q8
status "... whatever its layers are" 0 \
    dfx-run check q8.gguf --golden=layers.dfxg --tolerance=q8
ok "... which are shown" grep -q '^denoise\..* far ' out
ok "as Q4_0" dfx-quant -q --type=q4_0 model q4.gguf
status "... it is as expected" 0 \
    dfx-run check q4.gguf --golden=golden.dfxg --tolerance=q4
status "... but no Q8_0" 1 \
    dfx-run check q4.gguf --golden=golden.dfxg --tolerance=q8

# ---- What cannot be told ------------------------------------------------------

status "no golden" 2 dfx-run check model
status "... that is there" 2 dfx-run check model --golden=missing.dfxg
status "a model that is not there" 2 dfx-run check missing \
    --golden=golden.dfxg --junit=junit.xml
ok "... is an error in JUnit" grep -q '<error type="cannot tell"' junit.xml
status "a part of a model" 2 dfx-run check model/vae --golden=golden.dfxg
make_st none.safetensors '{"image":{"dtype":"F32","shape":[1],"data_offsets":[0,4]}}' 4
status "a file that is none" 2 dfx-run check model --golden=none.safetensors
ok "... by rule" grep -qF '[run.golden' err
# RECIPE STAGES: a golden of one number, made by hand
by_hand() {
    meta="{\\\"schema\\\":1,\\\"recipe\\\":$1,\\\"stages\\\":$2}"
    make_st hand.safetensors "{\"__metadata__\":{\"dfx.golden\":\"$meta\"},\"image\":{\"dtype\":\"F32\",\"shape\":[1],\"data_offsets\":[0,4]}}" 4
    dfx-run check model --golden=hand.safetensors
}
q='\"'
good="{${q}prompt$q:${q}a$q,${q}negative$q:null,${q}scheduler$q:null,${q}generator$q:${q}cpu$q,${q}seed$q:1,${q}steps$q:1,${q}width$q:64,${q}height$q:64,${q}clip_skip$q:0,${q}cfg$q:null,${q}cfg_rescale$q:0,${q}eta$q:0,${q}layers$q:false}"
zero=df3f619804a92fdb4057192dc43dd748ea778adc52bc498ce80524c014b81119
stage="[{${q}name$q:${q}image$q,${q}sha256$q:$q$zero$q}]"
status "one made by hand" 1 by_hand "$good" "$stage"
ok "... is another picture" grep -q 'first in image: it is \[1, 3, 64, 64\], not \[1\]' out
status "a digest of other numbers" 2 by_hand "$good" "$(echo "$stage" | tr d e)"
ok "... by rule" grep -q 'not those of the digest.*\[run.golden' err
status "a stage without numbers" 2 by_hand "$good" \
    "$(echo "$stage" | sed 's/image/picture/')"
ok "... by rule" grep -qF '[run.golden' err
status "no stages" 2 by_hand "$good" "[]"
ok "... by rule" grep -qF '[run.golden' err
for change in 's/64/-1/' 's/64/1e9/' 's/:1,/:null,/' 's/cpu/3/;s/null/7/' \
    's/eta/et/' 's/false/0/' 's/prompt/pompt/'; do
    status "a recipe, $change" 2 by_hand "$(echo "$good" | sed "$change")" \
        "$stage"
done
status "a recipe beside that of the golden" 2 \
    dfx-run check model --golden=golden.dfxg --steps=3
status "no tolerance" 2 dfx-run check model --golden=golden.dfxg --tolerance=f61
ok "... has a near one" grep -q 'did you mean f16' err
status "two answers" 2 dfx-run check model --golden=golden.dfxg --exact \
    --tolerance=f16

# ---- compare ----------------------------------------------------------------

status "two models" 0 dfx-run compare model q4.gguf --html=page.html
ok "... differ in their picture" grep -q '^PSNR [0-9.]* dB, SSIM 0.[0-9]*$' out
ok "... whose page is of its own" \
    sh -c '! grep -qE "href=|https?:|<script" page.html'
ok "... and complete" sh -c 'tail -n 1 page.html | grep -qx "</html>"'
sed -n 's/.*base64,\([^"]*\)".*/\1/p' page.html >pictures
for i in 1 2; do
    model=$(echo model q4.gguf | cut -d' ' -f$i)
    dfx-run txt2img -q "$model" -p 'a photo of a cat' --steps=4 -o want.png -f
    sed -n ${i}p pictures | base64 -d >got.png
    # Without the texts between head and pixels.
    tail -c +34 got.png >got
    tail -c "$(wc -c <got)" want.png >want
    ok "... with the picture of $model" cmp want got
    ok "... all of it" test "$(wc -c <got)" -gt 1000
done
status "... in JSON" 0 dfx-run compare --json model q4.gguf
ok "... with figures" jq -e '.other == "q4.gguf" and .image.psnr > 10 and
    .image.ssim < 1 and (.stages[-1] | .name == "image" and .relative > 0 and
    .cosine < 1 and .max_abs > 0) and .stages[0].same' out
status "a model and itself" 0 dfx-run compare model m.safetensors
ok "... are the same" grep -qx 'the picture is the same' out
status "one model" 2 dfx-run compare model
status "three" 2 dfx-run compare model q4.gguf bf16
status "one that is not there" 1 dfx-run compare model missing
status "a page without a folder" 1 \
    dfx-run compare -q model q4.gguf --html=no/page.html

# ---- bench ------------------------------------------------------------------

status "times" 0 dfx-run bench model
ok "... of three stages" test "$(grep -cE '^(encode|denoise|decode) ' out)" = 3
status "... in JSON" 0 dfx-run bench --json model --size=32x32
ok "... of that size" jq -e '.latent == [1, 4, 4, 4] and
    ([.stages[].name] == ["encode", "denoise", "decode"]) and
    (.stages | all(.seconds > 0 and .first_seconds > 0))' out
finish
