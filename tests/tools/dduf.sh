#!/bin/sh
# dduf.sh - dfx-dduf makes, lists, checks and changes archives
. "${srcdir:-.}/tests/tools/tap.sh"

get_model
status "an archive of a folder" 0 dfx-dduf create a.dduf model
dfx-convert -q model b.dduf || exit 99
ok "... is what dfx-convert makes of it" cmp a.dduf b.dduf
status "one that is there stays" 1 dfx-dduf create a.dduf model
ok "... by rule" grep -qF '[out.exists' err
status "... but with --force" 0 dfx-dduf -qf create a.dduf model
dfx-convert -q model m.safetensors || exit 99
status "an archive of a single file" 0 dfx-dduf create c.dduf m.safetensors

status "it is listed" 0 dfx-dduf list a.dduf
ok "... by names" grep -q ' unet/config.json$' out
status "... as JSON" 0 dfx-dduf --json list a.dduf
ok "... all of them" test "$(jq '.entries | length' out)" -eq \
    "$(find model -type f -name '*.*' | wc -l)"
ok "... with data of tensors aligned" jq -e \
    '[.entries[] | select(.name | endswith(".safetensors")) | .offset % 64] |
        all(. == 0)' out

status "an entry is printed" 0 dfx-dduf cat a.dduf unet/config.json
ok "... as it is" cmp out model/unet/config.json
status "one that is not there" 2 dfx-dduf cat a.dduf unet/absent.json

status "it is unpacked" 0 dfx-dduf extract a.dduf folder
ok "... into the folder it was" diff -r model folder
status "a component is" 0 dfx-dduf extract a.dduf one vae
ok "... as it was" diff -r model/vae one/vae
ok "... alone" test "$(ls one)" = vae
status "nothing is of no name" 2 dfx-dduf extract a.dduf two nothing
ok "... and nothing is written" test ! -e two

status "a good one is checked" 0 dfx-dduf check a.dduf c.dduf
status "a broken one too" 1 dfx-dduf check \
    "$srcdir/tests/golden/dduf/broken/crc.dduf"
ok "... by rule" grep -qF '[dd.zip.crc' out
status "... as JSON" 1 dfx-dduf --json check \
    "$srcdir/tests/golden/dduf/broken/crc.dduf"
ok "... by rule" jq -e '.findings[0].rule == "dd.zip.crc"' out
status "one that is not there cannot be judged" 2 dfx-dduf check absent.dduf

(cd model && find . -type f -name '*.*' | sed 's|^\./||') |
    sed 's|.*|&=model/&|' >list
ok "a list of entries" sh -c 'dfx-dduf -q create d.dduf - <list'
ok "... gives the same bytes" cmp a.dduf d.dduf
ok "... and with --plain others" sh -c \
    'dfx-dduf -q --plain create e.dduf - <list && ! cmp -s a.dduf e.dduf'
status "... that are right" 0 dfx-dduf check e.dduf
ok "a line of no entry is refused" sh -c \
    'echo nonsense | dfx-dduf create x.dduf - 2>err; test $? -eq 2'
ok "... and nothing is written" test ! -e x.dduf

echo '{"changed": true}' >config.json
cp a.dduf f.dduf
status "an entry is replaced" 0 dfx-dduf add f.dduf unet/config.json=config.json
dfx-dduf cat f.dduf unet/config.json >got
ok "... by what was given" cmp got config.json
status "... and all is right" 0 dfx-dduf check f.dduf
status "it is put back" 0 \
    dfx-dduf add f.dduf unet/config.json=model/unet/config.json
ok "... and all is as it was" cmp a.dduf f.dduf
status "an entry is added" 0 dfx-dduf add f.dduf vae/notes.txt=config.json
ok "... and it differs" sh -c '! cmp -s a.dduf f.dduf'
status "an entry is removed" 0 dfx-dduf remove f.dduf vae/notes.txt
ok "... and all is as it was" cmp a.dduf f.dduf
status "a folder is removed" 0 dfx-dduf remove f.dduf vae
ok "... whole" sh -c '! dfx-dduf list f.dduf | grep -q " vae/"'

cp a.dduf s.dduf
status "a field is set" 0 \
    dfx-dduf set s.dduf unet.sample_size=96 scheduler.note=none
dfx-dduf cat s.dduf unet/config.json >got
ok "... to a number" jq -e '.sample_size == 96' got
ok "... and nothing else" sh -c \
    'jq "del(.sample_size)" got >1; jq "del(.sample_size)" model/unet/config.json | cmp - 1'
ok "... or to a string" sh -c \
    'dfx-dduf cat s.dduf scheduler/scheduler_config.json | jq -e ".note == \"none\""'
status "... and all is right" 0 dfx-dduf check s.dduf
was=$(jq .sample_size model/unet/config.json)
cp a.dduf s.dduf
status "a field is set to what it is" 0 dfx-dduf set s.dduf "unet.sample_size=$was"
ok "... and all is as it was" cmp a.dduf s.dduf
status "a field of the index" 0 dfx-dduf set s.dduf model_index.note='[1, 2]'
ok "... is set, too" sh -c \
    'dfx-dduf cat s.dduf model_index.json | jq -e ".note == [1, 2]"'
status "a config that is not of its tensors" 0 \
    dfx-dduf set s.dduf unet.cross_attention_dim=77
status "... is found" 1 dfx-dduf check s.dduf
ok "... by rule" grep -qF '[family.config' out

cp a.dduf g.dduf
status "a component that is not there has no field" 2 dfx-dduf set g.dduf ear.x=1
ok "... and those that are there are named" grep -q 'scheduler.*unet' err
status "a setting needs a field" 2 dfx-dduf set g.dduf unet=1
status "no name leaves the folder" 1 dfx-dduf add g.dduf ../x.json=config.json
ok "... by rule" grep -qF '[dd.name.dotdot' err
status "no folder is unlisted" 1 dfx-dduf add g.dduf other/config.json=config.json
ok "... by rule" grep -qF '[dd.folder.unlisted' err
status "no folder lacks its config" 1 dfx-dduf remove g.dduf unet/config.json
ok "... by rule" grep -qF '[dd.folder.config' err
echo '{' >broken.json
status "no JSON is broken" 1 dfx-dduf add g.dduf unet/config.json=broken.json
ok "... by rule" grep -qF '[dd.entry.json' err
status "the index stays" 1 dfx-dduf remove g.dduf model_index.json
ok "... by rule" grep -qF '[dd.index.missing' err
status "what is not there is not removed" 2 dfx-dduf remove g.dduf absent.json
status "an archive goes into no archive" 2 dfx-dduf add g.dduf vae/a.txt=g.dduf
status "nor twice the same" 1 \
    dfx-dduf add g.dduf vae/a.txt=config.json vae/a.txt=config.json
ok "and nothing of all that changes it" cmp a.dduf g.dduf

status "no command" 2 dfx-dduf
status "no archive" 2 dfx-dduf list
status "a command misspelt" 2 dfx-dduf lst a.dduf
ok "... is guessed" grep -q 'did you mean list' err
status "options for other commands" 2 dfx-dduf --plain list a.dduf
ok "... are named" grep -q 'list has no use for --plain' err
finish
