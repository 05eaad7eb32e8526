#!/bin/sh
# usage.sh - wrong use: status 2, one line that helps, and nothing happens
. "${srcdir:-.}/tests/tools/tap.sh"

# MESSAGE COMMAND...
wrong() {
    message=$1
    shift
    status "$*" 2 "$@"
    text "... says so" err <<END
$1: $message
Try '$1 --help'.
END
    ok "... and prints nothing" empty out
}

make_st in.safetensors '{}' 0

wrong "which file or folder?" dfx-inspect
wrong "there is no option --jsn; did you mean --json?" dfx-inspect --jsn x
wrong "there is no option --fammily; did you mean --family?" \
    dfx-inspect --fammily=x x
wrong "there is no option --qqqqqqqq" dfx-inspect --qqqqqqqq x
wrong "there is no option -x" dfx-inspect -x
wrong "--t could be --tensors, --tree" dfx-inspect --t x
wrong "--json takes no argument" dfx-inspect --json=1 x
wrong "--sort needs an argument: --sort=name|size|dtype|offset" \
    dfx-inspect x --sort
wrong "--sort is one of name|size|dtype|offset, not 'nam'" \
    dfx-inspect --sort=nam x
wrong "--tree needs a number from 1 on, not '0'" dfx-inspect --tree=0 x
wrong "there is no format 'saftensors'; did you mean safetensors?" \
    dfx-inspect --from=saftensors x
wrong "there is no format 'png'; see --list-formats" dfx-inspect --from=png x
wrong "there is no family 'sdxl-bsae'; did you mean sdxl-base?" \
    dfx-inspect --family=sdxl-bsae x
wrong "--diff needs two paths" dfx-inspect --diff x
wrong "--diff and --validate are two questions" \
    dfx-inspect --diff --validate x y
wrong "--validate prints no tensors, tree, metadata or hashes as well" \
    dfx-inspect --validate --hash x
wrong "--diff prints no tensors, tree, metadata or hashes as well" \
    dfx-inspect --diff -t x y
wrong "--rules needs an argument: --rules=FAMILY" dfx-inspect --rules=
wrong "the name of a file or folder is empty" dfx-inspect ''
wrong "the name of a file or folder is empty" dfx-convert '' x.d
wrong "the name of a file or folder is empty" dfx-convert in.safetensors ''
wrong "--only needs an argument: --only=NAME,..." \
    dfx-convert --only= in.safetensors x.d
wrong "there is no family 'sd51'; did you mean sd15?" dfx-inspect --rules=sd51

wrong "a pipe cannot hold a model; a file of that name is ./-" dfx-inspect -
wrong "a pipe cannot hold a model; a file of that name is ./-" \
    dfx-convert in.safetensors -

wrong "SRC and DST are missing" dfx-convert
wrong "DST is missing" dfx-convert in.safetensors
wrong "there is one SRC and one DST; what is 'c'?" dfx-convert a b c
wrong "'a/b' cannot be in the name of a file" \
    dfx-convert --write-variant=a/b in.safetensors x.d
wrong "there is no type 'bf61'; did you mean BF16?" dfx-convert --dtype=bf61 a b
wrong "--ema is one of drop|use|keep, not 'yes'" dfx-convert --ema=yes a b
wrong "--jobs needs a number from 1 to 4096, not '0'" dfx-convert -j0 a b
wrong "--jobs needs a number from 1 to 4096, not '-1'" dfx-convert -j -1 a b
wrong "--jobs needs an argument: --jobs=N" dfx-convert a b -j
wrong "'width' should be NAME=VALUE" dfx-convert --set width a b
wrong "'vae' should be NAME=VALUE" dfx-convert --component=vae a b
wrong "'=x' should be NAME=VALUE" dfx-convert --metadata==x a b
for size in 5 0 -5GB GB 5gigs 1e3 0.1 99999TB '5 G'; do
    [ "$size" = 5 ] || wrong \
        "--max-shard-size needs a size such as 5GB, not '$size'" \
        dfx-convert --max-shard-size="$size" a b
done
wrong "with --model_path the target is --checkpoint_path; leave out --dump_path" \
    dfx-convert --model_path a --checkpoint_path b --dump_path c
wrong "there is one SRC and one DST; what is 'c'?" \
    dfx-convert --checkpoint_path a --dump_path b c
status "control characters in what was typed" 2 dfx-inspect "--$(printf 'a\033[2Jb')"
ok "... are masked" grep -q 'option --a?\[2Jb' err

ok "nothing was made" test "$(ls)" = "err
in.safetensors
out"
finish
