#!/bin/sh
# convert_options.sh - options reach the plan
. "${srcdir:-.}/tests/tools/tap.sh"

get_model
dfx-convert -q model one.safetensors || exit 99

# FILE-OR-FOLDER: the types of its tensors
types() {
    dfx-inspect --tensors "$1" | sed 1d | awk '{ print $2 }' | sort -u | tr '\n' ' '
}

# WANT: the types of x.safetensors, which goes away
types_are() {
    got=$(types x.safetensors)
    ok "... types $1" test "$got" = "$1 "
    rm -f x.safetensors
}

status "--half" 0 dfx-convert -q --half one.safetensors x.safetensors
types_are F16
status "--dtype" 0 dfx-convert -q --dtype=bfloat16 one.safetensors x.safetensors
types_are BF16
status "--type-rules before --dtype" 0 dfx-convert -q --dtype=bf16 \
    --type-rules='^first_stage_model\.=f32,nothing=f64' one.safetensors x.safetensors
ok "... the VAE" test "$(dfx-inspect -t'first_stage*' x.safetensors | grep -c ' F32 ')" -eq 248
types_are "BF16 F32"
status "a wrong type rule" 2 dfx-convert --type-rules='a=f33' one.safetensors x.safetensors
ok "... is named" grep -q '"f33"' err

status "--to where the name tells nothing" 0 dfx-convert -q --to=safetensors model x
ok "... is a file" test -f x
status "--to=diffusers whatever the name" 0 dfx-convert -q --to=diffusers one.safetensors y.safetensors
ok "... is a folder" test -d y.safetensors
status "--only" 0 dfx-convert -q --only=vae one.safetensors vae.d
ok "... has it" test -e vae.d/vae/diffusion_pytorch_model.safetensors
ok "... and no other" test ! -e vae.d/unet
status "--only with a name that is not there" 2 dfx-convert --only=vea one.safetensors z.d
status "--write-variant" 0 dfx-convert -q --write-variant=fp16 one.safetensors variant.d
ok "... names the files" test -e variant.d/unet/diffusion_pytorch_model.fp16.safetensors
status "--variant reads them" 0 dfx-convert -q --variant=fp16 variant.d again.safetensors
ok "... all of them" cmp one.safetensors again.safetensors
# A folder with both: F16 in the variant, F32 in the others.
dfx-convert -q --dtype=f32 one.safetensors both.d && cp -R variant.d/. both.d || exit 99
status "--variant where there are others" 0 dfx-convert -q --variant=fp16 both.d x.safetensors
types_are F16
status "... and without" 0 dfx-convert -q both.d x.safetensors
types_are F32
ok "dfx-inspect --variant" test "$(dfx-inspect --variant=fp16 -t both.d | grep -c ' F16 ')" -eq 970
# The unet has 6,953,352 bytes of tensors: three files of 3 MB, or one.
status "--max-shard-size" 0 dfx-convert -q --max-shard-size=3mb one.safetensors shards.d
ok "... cuts" test -e shards.d/unet/diffusion_pytorch_model-00003-of-00003.safetensors
status "--max-shard-size in powers of 1024" 0 dfx-convert -q --max-shard-size=6.7MiB one.safetensors whole.d
ok "... does not cut" test -e whole.d/unet/diffusion_pytorch_model.safetensors
status "--metadata" 0 dfx-convert -q --metadata a=b=c --metadata=d= one.safetensors x.safetensors
dfx-inspect --metadata x.safetensors >out
ok "... is there" grep -qx 'a: b=c' out
ok "... also an empty one" grep -qx 'd: ' out
rm x.safetensors
status "--set" 0 dfx-convert -q --set=unet.upcast_attention=true one.safetensors set.d
ok "... is in the config" grep -q '"upcast_attention": true' set.d/unet/config.json
status "--config" 0 dfx-convert -q --config=set.d one.safetensors config.d
ok "... too" grep -q '"upcast_attention": true' config.d/unet/config.json
status "--component" 0 dfx-convert -q --component=vae=model one.safetensors graft.d
status "--component from what is not there" 1 dfx-convert --component=vae=nothing one.safetensors g.d
ok "... names it" grep -q '^dfx-convert: nothing: ' err
status "--from" 0 dfx-convert -q --from=safetensors one.safetensors from.d
status "--from with what it is not" 1 dfx-convert --from=diffusers one.safetensors nofrom.d
ok "... makes nothing" test ! -e nofrom.d
status "--sync" 0 dfx-convert -q --sync one.safetensors sync.d
ok "... writes the same" diff -r from.d sync.d
status "--prefix" 0 dfx-convert -q --prefix=vae=vae. model x.safetensors
ok "... starts the names" test "$(dfx-inspect -t'vae.*' x.safetensors | wc -l)" -eq 249
rm x.safetensors

status "as diffusers' script for folders" 0 dfx-convert -q --model_path model --checkpoint_path a.safetensors --use_safetensors
ok "... is what operands do" cmp one.safetensors a.safetensors
status "as diffusers' script for files" 0 dfx-convert -q --checkpoint_path one.safetensors --dump_path b.d --original_config_file="$srcdir/tests/golden/families/yaml/v1-inference.yaml"
ok "... is a folder" test -e b.d/model_index.json
status "--dump_path with an operand" 0 dfx-convert -q one.safetensors --dump_path c.d
ok "... is a folder" test -e c.d/model_index.json
status "--extract_ema" 1 dfx-convert -q --extract_ema one.safetensors d.d
ok "... finds none here" grep -q -e --ema=use err

if command -v mksynth >/dev/null; then
    sed '0,/^\["/s//["some.thing.else","F32",[3],5,7],\n&/' \
        "$srcdir/tests/golden/families/sd15/source.json" >more.json
    mksynth more.json more.safetensors || exit 99
    status "--unknown=error" 1 dfx-convert -q --unknown=error more.safetensors u.d
    ok "... names the tensor, and what helps" grep -q '"some.thing.else".*--unknown=keep' err
    status "--unknown=drop" 0 dfx-convert --unknown=drop more.safetensors u.d
    ok "... says so" grep -q 'dropped: in no table (1 tensor, 12 bytes)' err
    dfx-convert -q u.d back.safetensors
    ok "... and it is gone" test "$(dfx-inspect -t'some*' back.safetensors | wc -l)" -eq 1
    status "--unknown=keep is what happens" 0 dfx-convert more.safetensors k.d
    dfx-convert -q k.d kept.safetensors
    ok "... for the way back" cmp more.safetensors kept.safetensors
fi

status "--lone" 0 dfx-convert -q --lone --only=vae --metadata=made=here model lone.d
ok "... has its files at the top" test -e lone.d/config.json -a -e lone.d/diffusion_pytorch_model.safetensors
ok "... and nothing else" test "$(ls lone.d | wc -l)" = 2
mkdir te.d && echo '{"architectures": ["CLIPTextModel"]}' >te.d/config.json
mksynth "$srcdir/tests/golden/families/text-encoder-names/case0.json" \
    te.d/model.safetensors || exit 99
status "--only of a folder with a leftover" 0 dfx-convert --only=text_encoder te.d te2.d
ok "... says that it is dropped" grep -q 'dropped: .* (1 tensor, 616 bytes)' err
status "a lone folder to another" 0 dfx-convert -q lone.d lone2.d
ok "... is the same" diff -r lone.d lone2.d
status "--lone with several components" 2 dfx-convert -q --lone model e.d
status "a grafted folder" 0 sh -c 'sed "s/\"force_upcast\": true/\"force_upcast\": false/" lone.d/config.json >c.json && cp c.json lone.d/config.json && dfx-convert -q --component=vae=lone.d one.safetensors f.d'
ok "... brings its own config" cmp c.json f.d/vae/config.json
status "--max-shard-size to a file" 2 dfx-convert -q --max-shard-size=1MB model s.safetensors
status "--max-shard-size to a folder" 0 dfx-convert -q --max-shard-size=2MB model s.d
ok "... cuts" test -e s.d/vae/diffusion_pytorch_model-00001-of-00002.safetensors
status "... and reads it" 0 dfx-convert -q s.d s.safetensors
ok "... as one" cmp one.safetensors s.safetensors

for jobs in 1 3; do
    dfx-convert -q -j$jobs --dtype=f32 model "j$jobs.safetensors"
done
ok "as many threads as one likes: the same bytes" cmp j1.safetensors j3.safetensors
status "--progress without a terminal" 0 dfx-convert --progress --dtype=f64 model x.safetensors
ok "... ends its line" awk '/\r/ && !/\r$/ && !/\r[^\r]*$/ { exit 1 }' err
status "--verbose" 0 dfx-convert -nv one.safetensors v.d
ok "... says what it is" grep -q '^dfx-convert: one.safetensors: safetensors, original layout, family sd1, StableDiffusionPipeline$' err
finish
