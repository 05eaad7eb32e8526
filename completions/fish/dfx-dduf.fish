# fish completion for dfx-dduf, made by completion.awk

complete -c dfx-dduf -l plain -d 'write exactly what the reference tools write'
complete -c dfx-dduf -s f -l force -d 'replace DST'
complete -c dfx-dduf -l sync -d 'end only when all is on the disk, so that it survives a power failure'
complete -c dfx-dduf -s j -l jobs -x -d 'use N threads'
complete -c dfx-dduf -l json -d 'print one JSON document instead of text'
complete -c dfx-dduf -l progress -d 'show progress even if stderr is no terminal'
complete -c dfx-dduf -l color -x -a 'always auto never' -d 'colour the text (default: auto, on a terminal)'
complete -c dfx-dduf -s q -l quiet -d 'print nothing but errors'
complete -c dfx-dduf -s h -l help -d 'print this and exit'
complete -c dfx-dduf -s V -l version -d 'print the version and exit'
