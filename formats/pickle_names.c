/*
 * pickle_names.c - what pickles import and call, and whether it is data
 *
 * globals.def comes first, then denied.def; what is on neither list is
 * suspicious. Names are looked up as today's Python would import them, and as
 * they are written.
 */
#include <config.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "pickle_machine.h"

typedef struct pair {
    const char *module, *name;
} pair;

typedef struct renaming {
    const char *module, *name;
    const char *new_module, *new_name;
} renaming;

static const dfx_pickle_global globals[] = {
#define GLOBAL(module, name, use, type, kind, arguments)                       \
    {module, name, DFX_USE_##use, type, kind, arguments},
#include "globals.def"
#undef GLOBAL
};

static const pair denied[] = {
#define DENIED(module, name) {module, name},
#include "denied.def"
#undef DENIED
};

static const renaming renamings[] = {
#define RENAMED(module, name, new_module, new_name)                            \
    {module, name, new_module, new_name},
#define MOVED(module, new_module)
#include "python2.def"
#undef RENAMED
#undef MOVED
};

static const pair moves[] = {
#define RENAMED(module, name, new_module, new_name)
#define MOVED(module, new_module) {module, new_module},
#include "python2.def"
#undef RENAMED
#undef MOVED
};

/* What the classes of TorchScript are: objects that carry tensors. */
static const dfx_pickle_global script_class = {
    "__torch__", "*", DFX_USE_SCRIPT, DFX_TYPE_COUNT, NULL, "x*"};

#define COUNT(array) (sizeof(array) / sizeof(array)[0])

/* ---- Lists ---------------------------------------------------------------
 */

/* All rows start with a module and a name, as a pair does. */
static int
compare_pairs(const void *a, const void *b)
{
    const pair *x = a, *y = b;
    int order = strcmp(x->module, y->module);

    return order != 0 ? order : strcmp(x->name, y->name);
}

static int
compare_modules(const void *a, const void *b)
{
    const pair *x = a, *y = b;

    return strcmp(x->module, y->module);
}

/* The row of a list for a name, or for all names of its module or of one above
   it; NULL: none. */
static const void *
look_up(const void *list, size_t count, size_t size, const char *module,
        const char *name)
{
    pair key = {module, name};
    char above[256];
    const void *found = bsearch(&key, list, count, size, compare_pairs);
    char *dot;

    if (found != NULL || strlen(module) >= sizeof above)
        return found;
    strcpy(above, module);
    key = (pair){above, "*"};
    for (;;) {
        found = bsearch(&key, list, count, size, compare_pairs);
        dot = strrchr(above, '.');
        if (found != NULL || dot == NULL)
            return found;
        *dot = '\0';
    }
}

static const dfx_pickle_global *
find_global(const char *module, const char *name)
{
    return look_up(globals, COUNT(globals), sizeof globals[0], module, name);
}

static bool
is_denied(const char *module, const char *name)
{
    return look_up(denied, COUNT(denied), sizeof denied[0], module, name) !=
           NULL;
}

/* As unpicklers do below protocol 3. */
static void
modernise(const char **module, const char **name)
{
    const pair key = {*module, *name};
    const renaming *renamed = bsearch(&key, renamings, COUNT(renamings),
                                      sizeof renamings[0], compare_pairs);
    const pair *moved;

    if (renamed != NULL) {
        *module = renamed->new_module;
        *name = renamed->new_name;
        return;
    }
    moved =
        bsearch(&key, moves, COUNT(moves), sizeof moves[0], compare_modules);
    if (moved != NULL)
        *module = moved->name;
}

/* ---- Imports -------------------------------------------------------------
 */

static bool
is_below(const char *module, const char *top)
{
    size_t size = strlen(top);

    return strncmp(module, top, size) == 0 &&
           (module[size] == '\0' || module[size] == '.');
}

/* A name of no list, written as module and name. */
static void
judge_unlisted(dfx_pickle_machine *m, const dfx_pickle_node *node,
               const char *written)
{
    const char *module = node->global.module, *name = node->global.name;

    if (strchr(name, '.') != NULL)
        dfx_pickle_tell(m, DFX_VERDICT_DANGEROUS, DFX_RULE_PK_GLOBAL_DOTTED,
                        written,
                        "the dots lead through attributes to anything");
    else if (is_denied(name, "*"))
        dfx_pickle_tell(m, DFX_VERDICT_DANGEROUS, DFX_RULE_PK_GLOBAL_DOTTED,
                        written, "is module %s, reached through %s", name,
                        module);
    else if (is_below(module, "torch"))
        dfx_pickle_tell(m, DFX_VERDICT_SUSPICIOUS, DFX_RULE_PK_GLOBAL_TORCH,
                        written, "is not known to be data");
    else
        dfx_pickle_tell(m, DFX_VERDICT_SUSPICIOUS, DFX_RULE_PK_GLOBAL_UNKNOWN,
                        written, "is not known to be data");
}

dfx_status
dfx_pickle_import(dfx_pickle_machine *m, dfx_pickle_node *node,
                  const char *module, const char *name)
{
    char *written = dfx_arena_printf(m->reading->arena, "%s.%s", module, name);
    const char *old_module = module, *old_name = name;

    if (written == NULL)
        return dfx_fail_nomem(m->err);
    if (m->protocol < 3)
        modernise(&module, &name);
    node->kind = DFX_PICKLE_GLOBAL;
    node->global.module = module;
    node->global.name = name;
    node->global.known = find_global(module, name);
    if (m->reading->torchscript && is_below(module, "__torch__")) {
        node->global.known = &script_class;
        m->out->has_torchscript = true;
    }
    if (node->global.known != NULL)
        return DFX_OK;
    if (is_denied(module, name) || is_denied(old_module, old_name))
        dfx_pickle_tell(m, DFX_VERDICT_DANGEROUS, DFX_RULE_PK_GLOBAL_DENIED,
                        written,
                        "runs code, reaches files or loads more pickles");
    else
        judge_unlisted(m, node, written);
    return DFX_OK;
}

/* ---- Calls ---------------------------------------------------------------
 */

static bool
is_sequence(const dfx_pickle_node *x)
{
    return x->kind == DFX_PICKLE_TUPLE || x->kind == DFX_PICKLE_LIST ||
           x->kind == DFX_PICKLE_SET;
}

static bool
is_integer(const dfx_pickle_node *x)
{
    return x->kind == DFX_PICKLE_INT || x->kind == DFX_PICKLE_LONG;
}

/* A tuple or list of them, or a torch.Size. */
static bool
is_integers(const dfx_pickle_node *x)
{
    if (dfx_pickle_calls(x, DFX_USE_LIST))
        x = dfx_pickle_arg(x, 0);
    if (x == NULL || !is_sequence(x))
        return false;
    for (size_t i = 0; i < x->list.count; i++)
        if (!is_integer(x->list.items[i]))
            return false;
    return true;
}

/* An OrderedDict of nothing, as torch keeps hooks that it does not have. */
static bool
is_no_hooks(const dfx_pickle_node *x)
{
    const dfx_pickle_node *pairs;

    if (x->kind == DFX_PICKLE_DICT)
        return x->list.count == 0;
    if (!dfx_pickle_calls(x, DFX_USE_DICT))
        return false;
    pairs = dfx_pickle_arg(x, 0);
    return (pairs == NULL || (is_sequence(pairs) && pairs->list.count == 0)) &&
           (x->call.items == NULL || x->call.items->list.count == 0);
}

static bool
is_global_of(const dfx_pickle_node *x, dfx_pickle_use first,
             dfx_pickle_use last)
{
    return x->kind == DFX_PICKLE_GLOBAL && x->global.known != NULL &&
           x->global.known->use >= first && x->global.known->use <= last;
}

static bool
is_tensor(const dfx_pickle_node *x)
{
    const dfx_pickle_global *callee = dfx_pickle_callee(x);

    return callee != NULL && callee->use >= DFX_USE_TENSOR_CLASS &&
           callee->use <= DFX_USE_FROM_TYPE;
}

/* Whether x is what the letter of globals.def means. */
static bool
is_a(const dfx_pickle_node *x, char letter)
{
    switch (letter) {
    case 'P':
        return x->kind == DFX_PICKLE_PERSID;
    case 'T':
        return is_tensor(x);
    case 'd':
        return is_global_of(x, DFX_USE_DTYPE, DFX_USE_DTYPE);
    case 'g':
        return x->kind == DFX_PICKLE_GLOBAL;
    case 'R':
        return is_global_of(x, DFX_USE_TENSOR, DFX_USE_FROM_NUMPY);
    case 'F':
        return x->kind == DFX_PICKLE_NONE ||
               (x->kind == DFX_PICKLE_GLOBAL && x->global.known != NULL &&
                strcmp(x->global.known->module, "builtins") == 0);
    case 'i':
        return is_integer(x);
    case 'b':
        return x->kind == DFX_PICKLE_BOOL || is_integer(x);
    case 'f':
        return x->kind == DFX_PICKLE_FLOAT || is_integer(x);
    case 'N':
        return x->kind == DFX_PICKLE_NONE || is_integer(x);
    case 't':
        return x->kind == DFX_PICKLE_TEXT;
    case 'y':
        return x->kind == DFX_PICKLE_BYTES || x->kind == DFX_PICKLE_TEXT ||
               dfx_pickle_calls(x, DFX_USE_ENCODE);
    case 'Y':
        return is_a(x, 'y');
    case 's':
        return x->kind == DFX_PICKLE_TEXT || is_integer(x);
    case 'I':
        return is_integers(x);
    case 'L':
        return is_sequence(x);
    case 'D':
        return x->kind == DFX_PICKLE_DICT || dfx_pickle_calls(x, DFX_USE_DICT);
    case 'M':
        return is_a(x, 'D') || is_sequence(x);
    case 'h':
        return is_no_hooks(x);
    default: /* 'x' */
        return true;
    }
}

/* The place of the first argument that is not as the list says, from 0;
   SIZE_MAX: they are all right. */
static size_t
check_arguments(const dfx_pickle_node *args, const char *letters)
{
    bool optional = false;
    size_t i = 0;

    while (*letters != '\0') {
        if (*letters == ';') {
            optional = true;
            letters++;
            continue;
        }
        if (letters[1] == '*') {
            while (i < args->list.count && is_a(args->list.items[i], *letters))
                i++;
            letters += 2;
            continue;
        }
        if (i == args->list.count)
            return optional ? SIZE_MAX : i;
        if (!is_a(args->list.items[i], *letters))
            return i;
        i++;
        letters++;
    }
    return i == args->list.count ? SIZE_MAX : i;
}

/* numpy elements that are objects or structures: what they hold is no number.
 */
static bool
is_plain_element(const dfx_pickle_node *args)
{
    const dfx_pickle_node *code =
        args->list.count > 0 ? args->list.items[0] : NULL;

    return code != NULL && code->kind == DFX_PICKLE_TEXT &&
           strpbrk(code->text.data, "OV,(") == NULL;
}

static bool
is_latin1(const dfx_pickle_node *args)
{
    const dfx_pickle_node *codec = args->list.items[1];

    return strcmp(codec->text.data, "latin1") == 0 ||
           strcmp(codec->text.data, "latin-1") == 0;
}

void
dfx_pickle_judge_call(dfx_pickle_machine *m, const dfx_pickle_node *call)
{
    const dfx_pickle_global *callee = dfx_pickle_callee(call);
    const dfx_pickle_node *args = call->call.args;
    char name[256];
    size_t bad;

    if (callee == NULL)
        return;
    snprintf(name, sizeof name, "%s.%s", call->call.callable->global.module,
             call->call.callable->global.name);
    if (callee->shape == NULL) {
        dfx_pickle_tell(m, DFX_VERDICT_SUSPICIOUS, DFX_RULE_PK_REDUCE_ARGUMENTS,
                        name, "is called, and known only as a value");
        return;
    }
    bad = check_arguments(args, callee->shape);
    if (bad != SIZE_MAX && bad < args->list.count &&
        is_integer(args->list.items[bad]) &&
        strcmp(callee->name, "bytearray") == 0)
        dfx_pickle_tell(m, DFX_VERDICT_SUSPICIOUS, DFX_RULE_PK_LIMIT_ALLOC,
                        name, "is asked for memory by a number");
    else if (bad != SIZE_MAX)
        dfx_pickle_tell(m, DFX_VERDICT_SUSPICIOUS, DFX_RULE_PK_REDUCE_ARGUMENTS,
                        name, "argument %zu is not what it takes", bad + 1);
    else if (callee->use == DFX_USE_ENCODE && !is_latin1(args))
        dfx_pickle_tell(m, DFX_VERDICT_SUSPICIOUS, DFX_RULE_PK_ENCODE_CODEC,
                        name, "with codec %s", args->list.items[1]->text.data);
    else if (callee->use == DFX_USE_ELEMENT && !is_plain_element(args))
        dfx_pickle_tell(m, DFX_VERDICT_SUSPICIOUS, DFX_RULE_PK_REDUCE_ARGUMENTS,
                        name, "elements that are objects or structures");
}
