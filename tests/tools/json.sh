#!/bin/sh
# json.sh - what --json promises
. "${srcdir:-.}/tests/tools/tap.sh"
command -v jq >/dev/null || { echo "1..0 # SKIP jq is not installed"; exit 0; }

# WHAT JQ-EXPRESSION: it is true of "out"
holds() {
    ok "$1" jq -e "$2" out
}

get_model
dfx-convert -q model one.safetensors || exit 99
make_st x.safetensors '{"__metadata__":{"k\u0001":"v\"\u00e9"},"w":{"dtype":"F32","shape":[3,1],"data_offsets":[0,12]}}' 12

status "a file that nobody knows" 0 dfx-inspect --json x.safetensors
holds "keys" 'keys == ["components","evidence","family","files","folders","format","layout","metadata","others","path","pipeline","schema","total","variant","variants","verdict","warnings"]'
holds "schema, path, format" '.schema == 1 and .path == "x.safetensors" and .format == "safetensors"'
holds "unknown" '.family == "unknown" and .layout == "unknown" and .pipeline == null and .variants == []'
holds "metadata" '.metadata == {"k\u0001": "v\"é"}'
holds "sums" '.total == {"tensors": 1, "parameters": 3, "bytes": 12, "dtypes": {"F32": {"tensors": 1, "parameters": 3, "bytes": 12}}}'
holds "no tensors or hashes unless asked for" 'has("tensors") or has("hash") | not'
status "with tensors and hashes" 0 dfx-inspect --json --tensors --hash x.safetensors
size=$(wc -c <x.safetensors)
holds "a tensor" ".tensors == [{\"name\": \"w\", \"component\": \"\", \"dtype\": \"F32\", \"shape\": [3, 1], \"parameters\": 3, \"stored_as\": null, \"bytes\": 12, \"file\": \"x.safetensors\", \"offset\": $((size - 12))}]"
holds "hashes" '.hash.file | test("^[0-9a-f]{64}$")'
holds "of tensors" '.hash.tensors.w == "15ec7bf0b50732b49f8228e07d24365338f9e3ab994b00af08e5a3bffe55fd8b"' # sha256 of 12 zeros

# A name of a file may be any bytes, JSON only UTF-8: \377 is none, \303 begins it.
cp x.safetensors "$(printf 'a\377\303(.st')"
status "a name that is no UTF-8" 0 dfx-inspect --json "$(printf 'a\377\303(.st')"
ok "... has U+FFFD there" grep -q "\"path\": \"$(printf 'a\357\277\275\357\277\275(.st')\"" out

# Beyond 2^53 a double would round: 2^53 + 1 rows of nothing.
make_st huge.safetensors '{"w":{"dtype":"U8","shape":[9007199254740993,0],"data_offsets":[0,0]}}' 0
dfx-inspect --json --tensors huge.safetensors >out
ok "numbers are exact" grep -q '"shape": \[9007199254740993, 0\]' out

for source in model one.safetensors; do
    status "$source" 0 dfx-inspect --json $source
    holds "family" '.family == "sd1" and .pipeline == "StableDiffusionPipeline" and (.variants | index("sd15") == 0)'
    holds "evidence" '.evidence | length > 0 and all(.[]; (.text | length > 0) and has("chosen") and has("family"))'
    holds "components" '[.components[].name] | sort == ["text_encoder", "unet", "vae"]'
    holds "a component" '.components[] | select(.name == "vae") | .family == "vae_kl" and .class == "AutoencoderKL" and .tensors == 248 and .bytes == .parameters * 2 and .dtypes.F16.tensors == 248 and .missing == [] and .unexpected == [] and .config.latent_channels == 4'
    holds "its keys" 'all(.components[]; (keys - ["metadata"]) == ["bytes","class","config","dtypes","family","layout","missing","name","parameters","prefix","tensors","unexpected","variant"])'
    holds "all has its place" '.total.tensors == ([.components[].tensors] | add) + .others.tensors'
done
dfx-inspect --json one.safetensors >out
holds "the layout and prefix of a file" '.layout == "original" and (.components[] | select(.name == "vae") | .prefix == "first_stage_model.")'
dfx-inspect --json model >out
holds "the layout and folders of a folder" '.layout == "diffusers" and (.folders[] | select(.name == "scheduler") | .class == "PNDMScheduler") and (.folders[] | select(.name == "safety_checker") | .null)'
holds "its files" '[.files[].path] | index("model_index.json") != null'

# A name of the VAE is taken away, and one put in.
sed 's/first_stage_model.quant_conv.bias/first_stage_model.quant_conv.bios/' one.safetensors >odd.safetensors
status "a component that is not whole" 0 dfx-inspect --json odd.safetensors
holds "lacks a tensor" '.components[] | select(.name == "vae") | .missing == ["first_stage_model.quant_conv.bias"]'
holds "... and has another" '.components[] | select(.name == "vae") | .unexpected == ["first_stage_model.quant_conv.bios"]'

status "several" 1 dfx-inspect --json x.safetensors nothing one.safetensors
holds "are an array" 'length == 3 and .[0].format == "safetensors" and .[2].family == "sd1"'
holds "with errors in place" '.[1] == {"schema": 1, "path": "nothing", "error": {"rule": "io.open", "file": "nothing", "tensor": null, "offset": null, "text": "No such file or directory"}}'

make_st bad.safetensors '{"x":{"dtype":"U8","shape":[4],"data_offsets":[0,3]}}' 3
status "--validate" 1 dfx-inspect --json --validate bad.safetensors
holds "findings" '(.ok | not) and (.findings[0] | .rule == "st.tensor.size" and .tensor == "x" and .file == "bad.safetensors" and has("offset") and has("text"))'
status "--validate of a good one" 0 dfx-inspect --json --validate x.safetensors
holds "no finding" '. == {"schema": 1, "path": "x.safetensors", "ok": true, "findings": []}'
status "a broken file" 1 dfx-inspect --json bad.safetensors
holds "is an error" '.error.rule == "st.tensor.size" and .error.tensor == "x"'

status "--diff" 1 dfx-inspect --json --diff x.safetensors one.safetensors
holds "equal or not" '(.equal | not) and .same == 0 and (.differences.tensors | length == 971)'
status "--diff of the same" 0 dfx-inspect --json --diff x.safetensors x.safetensors
holds "equal" '.equal and .same == 1 and .differences == {"tensors": [], "configs": [], "metadata": [], "files": []}'

for list in --families --list-formats --list-rules --rules=sd15; do
    status "$list" 0 dfx-inspect --json $list
    holds "an array of objects" 'length > 0 and all(.[]; type == "object")'
done

status "a plan" 0 dfx-convert -n --json one.safetensors plan.d
holds "files with tensors" '.schema == 1 and .path == "one.safetensors" and .target == "plan.d" and (.written | not) and ([.files[].bytes] | add) == .bytes and ([.files[].tensors | length] | add) == 970'
holds "a tensor" '.files[] | select(.path | startswith("unet/diffusion")) | .tensors[0] | has("name") and has("dtype") and has("shape") and has("offset") and has("bytes") and has("from")'
status "what was written" 0 dfx-convert --json --verify one.safetensors done.d
holds "and verified" '.written and .verified == 970'
for path in $(jq -r '.files[] | "\(.path)=\(.bytes)"' out); do
    ok "${path%=*}" test "$(wc -c <"done.d/${path%=*}")" -eq "${path#*=}"
done
status "a failure" 1 dfx-convert --json one.safetensors done.d
holds "is an error" '.error.rule == "out.exists"'
finish
