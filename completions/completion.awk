# completion.awk - what a shell needs to complete a tool's options
#
#   dfx-convert --help | awk -v shell=bash -v tool=dfx-convert -f completion.awk
#
# shell is bash, zsh or fish. --help is the source, so that an option is written
# down once; tests/tools/options.sh compares the files here with what this makes.

/^ +(-., )?--[a-z]/ && !in_examples {
    option_count++
    short[option_count] = $1 ~ /^-.,$/ ? substr($1, 2, 1) : ""
    word = $1 ~ /^-.,$/ ? $2 : $1
    name = word
    sub(/\[?=.*/, "", name)
    argument = substr(word, length(name) + 1)
    optional[option_count] = argument ~ /^\[/
    gsub(/^\[?=|\]$/, "", argument)
    long[option_count] = substr(name, 3)
    value[option_count] = argument
    text = $0
    sub(/^ +(-., )?--[^ ]+ */, "", text)
    help[option_count] = text
    next
}
substr($0, 1, 27) ~ /^ +$/ && length($0) > 27 && option_count {
    text = $0
    sub(/^ +/, "", text)
    help[option_count] = help[option_count] (help[option_count] == "" ? "" : " ") text
}
/^Examples:/ { in_examples = 1 }

# What can stand for an argument: words, "formats", "families", "files", "".
function kind(argument) {
    if (argument ~ /^[a-z]+(\|[a-z]+)+$/) {
        gsub(/\|/, " ", argument)
        return argument
    }
    if (argument == "FORMAT")
        return "formats"
    if (argument == "FAMILY")
        return "families"
    if (argument == "TYPE")
        return "f64 f32 f16 bf16 f8_e4m3 f8_e5m2"
    return argument ~ /^(PATH|FILE|FOLDER|SRC|DST|NAME=PATH)$/ ? "files" : ""
}

function command(k) {
    return tool " --" (k == "formats" ? "list-formats" : k) \
        " 2>/dev/null | awk 'NR > 1 { print $1 }'"
}

function bash(    i, k, all) {
    printf "# bash completion for %s, made by completion.awk\n\n", tool
    printf "%s()\n{\n", id
    print "    local cur=${COMP_WORDS[COMP_CWORD]} option=\n"
    print "    # --option=word comes as three words."
    print "    if [[ $cur == = ]]; then"
    print "        option=${COMP_WORDS[COMP_CWORD - 1]} cur="
    print "    elif [[ $COMP_CWORD -ge 2 && ${COMP_WORDS[COMP_CWORD - 1]} == = ]]; then"
    print "        option=${COMP_WORDS[COMP_CWORD - 2]}"
    print "    fi"
    print "    COMPREPLY=()"
    print "    case $option in"
    for (i = 1; i <= option_count; i++) {
        all = all " --" long[i] (value[i] != "" && !optional[i] ? "=" : "")
        k = kind(value[i])
        if (k == "" || k == "files")
            continue
        printf "    --%s)\n", long[i]
        if (k == "formats" || k == "families")
            printf "        mapfile -t COMPREPLY < <(compgen -W \"$(%s)\" -- \"$cur\")\n", command(k)
        else
            printf "        mapfile -t COMPREPLY < <(compgen -W '%s' -- \"$cur\")\n", k
        print "        return ;;"
    }
    print "    esac"
    print "    [[ -z $option && $cur == -* ]] || return # names of files"
    printf "    mapfile -t COMPREPLY < <(compgen -W '%s' -- \"$cur\")\n", substr(all, 2)
    print "    [[ ${COMPREPLY-} != *= ]] || compopt -o nospace 2>/dev/null"
    print "}"
    printf "complete -o default -F %s %s\n", id, tool
}

function zsh_text(text) {
    gsub(/\[/, "\\[", text)
    gsub(/\]/, "\\]", text)
    gsub(/:/, "\\:", text)
    gsub(/'/, "'\\''", text)
    return text
}

function zsh(    i, k, action, names) {
    printf "#compdef %s\n# zsh completion for %s, made by completion.awk\n\n", tool, tool
    printf "%s_formats() { compadd -- ${(f)\"$(%s)\"} }\n", id, command("formats")
    printf "%s_families() { compadd -- ${(f)\"$(%s)\"} }\n\n", id, command("families")
    print "_arguments -s -S \\"
    for (i = 1; i <= option_count; i++) {
        k = kind(value[i])
        action = k == "" ? " " : k == "files" ? "_files" : k ~ /^f[or]*m|^famil/ ? id "_" k : "(" k ")"
        names = short[i] != "" ? "'(-" short[i] " --" long[i] ")'{-" short[i] ",--" long[i] \
            (value[i] != "" ? (optional[i] ? "=-" : "=") : "") "}'" : \
            "'*--" long[i] (value[i] != "" ? (optional[i] ? "=-" : "=") : "")
        printf "    %s[%s]%s' \\\n", names, zsh_text(help[i]), \
            value[i] == "" ? "" : (optional[i] ? "::" : ":") zsh_text(value[i]) ":" action
    }
    print "    '*:path:_files'"
}

function fish(    i, k, text) {
    printf "# fish completion for %s, made by completion.awk\n\n", tool
    for (i = 1; i <= option_count; i++) {
        text = help[i]
        gsub(/[\\']/, "\\\\&", text)
        printf "complete -c %s%s -l %s", tool, short[i] != "" ? " -s " short[i] : "", long[i]
        k = kind(value[i])
        if (k == "formats" || k == "families")
            printf " -x -a \"(%s --%s 2>/dev/null | string match -rg '^([a-z0-9]\\S*)')\"", \
                tool, k == "formats" ? "list-formats" : k
        else if (k == "files")
            printf " -r -F"
        else if (k != "")
            printf " -x -a '%s'", k
        else if (value[i] != "" && !optional[i])
            printf " -x"
        printf " -d '%s'\n", text
    }
}

END {
    id = tool
    gsub(/-/, "_", id)
    id = "_" id
    if (shell == "bash")
        bash()
    else if (shell == "zsh")
        zsh()
    else
        fish()
}
