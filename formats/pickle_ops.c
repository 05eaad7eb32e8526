/*
 * pickle_ops.c - what each opcode does to the stack of inert nodes
 */
#include <config.h>

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "json.h"
#include "pickle_machine.h"

/* ---- Values --------------------------------------------------------------
 */

static dfx_status
push_integer(dfx_pickle_machine *m, const dfx_pickle_argument *a)
{
    dfx_pickle_node *node = NULL;

    DFX_TRY(
        dfx_pickle_make(m, a->fits ? DFX_PICKLE_INT : DFX_PICKLE_LONG, &node));
    if (a->fits) {
        node->number = a->integer;
    } else {
        node->text.data = a->text != NULL ? a->text : "";
        node->text.size = a->size;
    }
    return dfx_pickle_push(m, node);
}

static dfx_status
push_text(dfx_pickle_machine *m, dfx_pickle_kind kind, uint32_t flags,
          const dfx_pickle_argument *a)
{
    dfx_pickle_node *node = NULL;

    DFX_TRY(dfx_pickle_make(m, a->is_lost ? DFX_PICKLE_OTHER : kind, &node));
    node->flags = flags;
    if (!a->is_lost) {
        node->text.data = a->text;
        node->text.size = a->size;
    }
    return dfx_pickle_push(m, node);
}

/* A string of Python 2: torch has it decoded as UTF-8. */
static dfx_status
push_string(dfx_pickle_machine *m, const dfx_pickle_argument *a)
{
    return push_text(m,
                     dfx_utf8_valid(a->text, a->size, NULL) ? DFX_PICKLE_TEXT
                                                            : DFX_PICKLE_BYTES,
                     0, a);
}

/* Text, which pickles surrogates, too. */
static dfx_status
push_unicode(dfx_pickle_machine *m, const dfx_pickle_argument *a)
{
    size_t bad = 0;

    if (!dfx_utf8_valid(a->text, a->size, &bad) &&
        (unsigned char)a->text[bad] != 0xED)
        dfx_pickle_tell(m, DFX_VERDICT_CANNOT_TELL, DFX_RULE_PK_STREAM_TEXT,
                        NULL, "a text that is not UTF-8");
    return push_text(m, DFX_PICKLE_TEXT, 0, a);
}

static dfx_status
push_bool(dfx_pickle_machine *m, bool truth)
{
    dfx_pickle_node *node = NULL;

    DFX_TRY(dfx_pickle_make(m, DFX_PICKLE_BOOL, &node));
    node->truth = truth;
    return dfx_pickle_push(m, node);
}

static dfx_status
push_float(dfx_pickle_machine *m, double value)
{
    dfx_pickle_node *node = NULL;

    DFX_TRY(dfx_pickle_make(m, DFX_PICKLE_FLOAT, &node));
    node->real = value;
    return dfx_pickle_push(m, node);
}

/* ---- Containers ----------------------------------------------------------
 */

static bool
is_hashable(const dfx_pickle_node *key)
{
    if (key->kind == DFX_PICKLE_SET)
        return (key->flags & DFX_PICKLE_FROZEN) != 0;
    if (key->kind == DFX_PICKLE_TUPLE) {
        for (size_t i = 0; i < key->list.count; i++)
            if (key->list.items[i]->kind == DFX_PICKLE_LIST ||
                key->list.items[i]->kind == DFX_PICKLE_DICT)
                return false;
        return true;
    }
    return key->kind != DFX_PICKLE_LIST && key->kind != DFX_PICKLE_DICT &&
           (key->flags & DFX_PICKLE_MUTABLE) == 0;
}

/* An object that no list knows: whatever it is, it is told of already. */
static bool
is_unknown(const dfx_pickle_node *node)
{
    return node->kind == DFX_PICKLE_OTHER ||
           (node->kind == DFX_PICKLE_CALL && dfx_pickle_callee(node) == NULL);
}

/* Where items of target go: itself, or what a call collects; NULL: nowhere. */
static dfx_status
collection(dfx_pickle_machine *m, dfx_pickle_node *target, dfx_pickle_kind kind,
           dfx_pickle_use use, dfx_pickle_node **out)
{
    *out = NULL;
    if (target->kind == kind) {
        *out = target;
        return DFX_OK;
    }
    if (!dfx_pickle_calls(target, use) && !is_unknown(target) &&
        !dfx_pickle_calls(target, DFX_USE_OBJECT) &&
        !dfx_pickle_calls(target, DFX_USE_RECONSTRUCT))
        return DFX_OK;
    if (target->kind != DFX_PICKLE_CALL) {
        return dfx_pickle_make(m, kind, out);
    }
    if (target->call.items == NULL)
        DFX_TRY(dfx_pickle_make(m, kind, &target->call.items));
    if (target->call.items->kind == kind)
        *out = target->call.items;
    return DFX_OK;
}

/* Puts pairs into the dict that is on top. */
static dfx_status
put_pairs(dfx_pickle_machine *m, dfx_pickle_node **items, size_t count)
{
    dfx_pickle_node *target = dfx_pickle_top(m), *into = NULL;

    if (target == NULL)
        return DFX_OK;
    DFX_TRY(collection(m, target, DFX_PICKLE_DICT, DFX_USE_DICT, &into));
    if (into == NULL)
        dfx_pickle_tell(m, DFX_VERDICT_SUSPICIOUS, DFX_RULE_PK_SETITEM_TARGET,
                        NULL, "SETITEM on what is no dict");
    for (size_t i = 0; into != NULL && i < count; i++) {
        if (i % 2 == 0 && !is_hashable(items[i])) {
            dfx_pickle_break(m, DFX_RULE_PK_KEY_TYPE,
                             "a key that cannot be hashed");
            return DFX_OK;
        }
        DFX_TRY(dfx_pickle_append(m, into, items[i]));
        if (into != target)
            dfx_pickle_hold(m, target, items[i]);
    }
    return DFX_OK;
}

static dfx_status
put_items(dfx_pickle_machine *m, dfx_pickle_kind kind, dfx_pickle_use use,
          dfx_pickle_node **items, size_t count)
{
    dfx_pickle_node *target = dfx_pickle_top(m), *into = NULL;

    if (target == NULL)
        return DFX_OK;
    DFX_TRY(collection(m, target, kind, use, &into));
    if (into == NULL)
        dfx_pickle_tell(m, DFX_VERDICT_SUSPICIOUS, DFX_RULE_PK_APPEND_TARGET,
                        NULL, "items for what is no %s",
                        kind == DFX_PICKLE_SET ? "set" : "list");
    for (size_t i = 0; into != NULL && i < count; i++) {
        DFX_TRY(dfx_pickle_append(m, into, items[i]));
        if (into != target)
            dfx_pickle_hold(m, target, items[i]);
    }
    return DFX_OK;
}

static dfx_status
put_marked_pairs(dfx_pickle_machine *m)
{
    size_t count;
    dfx_pickle_node **items = dfx_pickle_pop_mark(m, &count);

    if (items == NULL)
        return DFX_OK;
    if (count % 2 != 0) {
        dfx_pickle_break(m, DFX_RULE_PK_STACK_PAIRS, "%zu objects are no pairs",
                         count);
        return DFX_OK;
    }
    return put_pairs(m, items, count);
}

/* ---- Calls ---------------------------------------------------------------
 */

/* callable(*args), pushed. It is a node and nothing else. */
static dfx_status
push_call(dfx_pickle_machine *m, dfx_pickle_node *callable,
          dfx_pickle_node *args, uint32_t flags)
{
    dfx_pickle_node *call = NULL;

    if (args->kind != DFX_PICKLE_TUPLE) {
        dfx_pickle_tell(m, DFX_VERDICT_CANNOT_TELL, DFX_RULE_PK_STACK_TYPE,
                        NULL, "the arguments of a call are no tuple");
        DFX_TRY(dfx_pickle_make(m, DFX_PICKLE_TUPLE, &args));
    }
    if (callable->kind != DFX_PICKLE_GLOBAL)
        dfx_pickle_tell(m, DFX_VERDICT_CANNOT_TELL, DFX_RULE_PK_REDUCE_CALLABLE,
                        NULL, "what is called is no name");
    DFX_TRY(dfx_pickle_make(m, DFX_PICKLE_CALL, &call));
    call->flags = flags;
    call->call.callable = callable;
    call->call.args = args;
    dfx_pickle_hold(m, call, callable);
    dfx_pickle_hold(m, call, args);
    dfx_pickle_judge_call(m, call);
    return dfx_pickle_push(m, call);
}

static dfx_status
call_top(dfx_pickle_machine *m, uint32_t flags)
{
    dfx_pickle_node *args = dfx_pickle_pop(m);
    dfx_pickle_node *callable = args != NULL ? dfx_pickle_pop(m) : NULL;

    return callable == NULL ? DFX_OK : push_call(m, callable, args, flags);
}

/* NEWOBJ_EX: arguments by name count as one more. */
static dfx_status
call_with_names(dfx_pickle_machine *m)
{
    dfx_pickle_node *names = dfx_pickle_pop(m);
    dfx_pickle_node *args = names != NULL ? dfx_pickle_pop(m) : NULL;
    dfx_pickle_node *callable = args != NULL ? dfx_pickle_pop(m) : NULL;

    if (callable == NULL)
        return DFX_OK;
    if (args->kind == DFX_PICKLE_TUPLE &&
        (names->kind != DFX_PICKLE_DICT || names->list.count > 0))
        DFX_TRY(dfx_pickle_append(m, args, names));
    return push_call(m, callable, args, DFX_PICKLE_NEW);
}

/* INST and OBJ: a class and its arguments above a mark. */
static dfx_status
call_marked(dfx_pickle_machine *m, dfx_pickle_node *callable,
            dfx_pickle_node **args, size_t count)
{
    dfx_pickle_node *tuple;

    DFX_TRY(dfx_pickle_push_list(m, DFX_PICKLE_TUPLE, 0, args, count));
    tuple = dfx_pickle_pop(m);
    return tuple == NULL ? DFX_OK
                         : push_call(m, callable, tuple, DFX_PICKLE_NEW);
}

static dfx_status
push_global(dfx_pickle_machine *m, const char *module, const char *name)
{
    dfx_pickle_node *node = NULL;

    DFX_TRY(dfx_pickle_make(m, DFX_PICKLE_GLOBAL, &node));
    DFX_TRY(dfx_pickle_import(m, node, module, name));
    return dfx_pickle_push(m, node);
}

static dfx_status
push_stack_global(dfx_pickle_machine *m)
{
    dfx_pickle_node *name = dfx_pickle_pop(m);
    dfx_pickle_node *module = name != NULL ? dfx_pickle_pop(m) : NULL;

    if (module == NULL)
        return DFX_OK;
    if (module->kind == DFX_PICKLE_TEXT && name->kind == DFX_PICKLE_TEXT)
        return push_global(m, module->text.data, name->text.data);
    if (module->kind == DFX_PICKLE_CALL || name->kind == DFX_PICKLE_CALL)
        dfx_pickle_tell(m, DFX_VERDICT_DANGEROUS, DFX_RULE_PK_GLOBAL_COMPUTED,
                        NULL, "the name to import is the result of a call");
    else
        dfx_pickle_tell(m, DFX_VERDICT_CANNOT_TELL, DFX_RULE_PK_STACK_TYPE,
                        NULL, "the name to import is no text");
    return dfx_pickle_push_new(m, DFX_PICKLE_OTHER);
}

/* Objects whose state is data. */
static bool
takes_state(const dfx_pickle_node *target)
{
    static const bool known[] = {
        [DFX_USE_DICT] = true,         [DFX_USE_PARAMETER] = true,
        [DFX_USE_TENSOR_CLASS] = true, [DFX_USE_ARRAY] = true,
        [DFX_USE_ELEMENT] = true,      [DFX_USE_OBJECT] = true,
        [DFX_USE_RECONSTRUCT] = true,  [DFX_USE_OPAQUE] = true,
        [DFX_USE_SCRIPT] = true,
    };
    const dfx_pickle_global *callee = dfx_pickle_callee(target);

    if (callee != NULL)
        return callee->use < sizeof known / sizeof known[0] &&
               known[callee->use];
    return target->kind == DFX_PICKLE_OTHER ||
           (target->kind == DFX_PICKLE_CALL &&
            (target->flags & DFX_PICKLE_NEW) != 0);
}

static dfx_status
build(dfx_pickle_machine *m)
{
    dfx_pickle_node *state = dfx_pickle_pop(m);
    dfx_pickle_node *target = state != NULL ? dfx_pickle_top(m) : NULL;

    if (target == NULL)
        return DFX_OK;
    if (!takes_state(target))
        dfx_pickle_tell(m, DFX_VERDICT_DANGEROUS, DFX_RULE_PK_BUILD_FOREIGN,
                        NULL, "BUILD sets attributes of what is no plain data");
    if (target->kind == DFX_PICKLE_CALL)
        target->call.state = state;
    return DFX_OK;
}

/* ---- Persistent ids ------------------------------------------------------
 */

/* ("storage", class, key, location, elements[, view]). */
static bool
is_storage(const dfx_pickle_node *id)
{
    return id->kind == DFX_PICKLE_TUPLE &&
           (id->list.count == 5 || id->list.count == 6) &&
           id->list.items[0]->kind == DFX_PICKLE_TEXT &&
           strcmp(id->list.items[0]->text.data, "storage") == 0 &&
           id->list.items[1]->kind == DFX_PICKLE_GLOBAL;
}

static dfx_status
push_persistent(dfx_pickle_machine *m, dfx_pickle_node *id, bool is_text)
{
    bool key = id->kind == DFX_PICKLE_INT || id->kind == DFX_PICKLE_TEXT;
    dfx_pickle_node *node = NULL;

    if (!(m->reading->keys ? key : is_storage(id)))
        dfx_pickle_tell(
            m, is_text ? DFX_VERDICT_CANNOT_TELL : DFX_VERDICT_SUSPICIOUS,
            DFX_RULE_PK_PERSID_TYPE, NULL,
            "a persistent id that is no storage");
    DFX_TRY(dfx_pickle_make(m, DFX_PICKLE_PERSID, &node));
    node->id = id;
    dfx_pickle_hold(m, node, id);
    return dfx_pickle_push(m, node);
}

/* ---- Opcodes -------------------------------------------------------------
 */

#define OPCODE(name)                                                           \
    static dfx_status op_##name(dfx_pickle_machine *m,                         \
                                const dfx_pickle_argument *a)
#define UNUSED (void)a

OPCODE(MARK)
{
    UNUSED;
    if (!dfx_grow(&m->marks, &m->mark_capacity, m->mark_count,
                  sizeof *m->marks))
        return dfx_fail_nomem(m->err);
    m->marks[m->mark_count++] = m->depth;
    return DFX_OK;
}

OPCODE(STOP)
{
    dfx_pickle_node *root = dfx_pickle_pop(m);

    UNUSED;
    if (root == NULL)
        return DFX_OK;
    if (m->depth > 0 || m->mark_count > 0)
        dfx_pickle_tell(m, DFX_VERDICT_SUSPICIOUS, DFX_RULE_PK_STACK_LEFTOVER,
                        NULL, "%zu more objects at STOP", m->depth);
    m->out->root = root;
    m->stopped = true;
    return DFX_OK;
}

/* POP of a mark takes that. */
OPCODE(POP)
{
    UNUSED;
    if (dfx_pickle_reach(m) == 0 && m->mark_count > 0)
        m->mark_count--;
    else
        (void)dfx_pickle_pop(m);
    return DFX_OK;
}

OPCODE(POP_MARK)
{
    size_t count;

    UNUSED;
    (void)dfx_pickle_pop_mark(m, &count);
    return DFX_OK;
}

OPCODE(DUP)
{
    dfx_pickle_node *node = dfx_pickle_top(m);

    UNUSED;
    return node == NULL ? DFX_OK : dfx_pickle_push(m, node);
}

OPCODE(NONE)
{
    UNUSED;
    return dfx_pickle_push_new(m, DFX_PICKLE_NONE);
}

OPCODE(NEWTRUE)
{
    UNUSED;
    return push_bool(m, true);
}

OPCODE(NEWFALSE)
{
    UNUSED;
    return push_bool(m, false);
}

OPCODE(INT)
{
    return a->is_truth ? push_bool(m, a->integer != 0) : push_integer(m, a);
}

OPCODE(LONG)
{
    return push_integer(m, a);
}

OPCODE(BININT1)
{
    dfx_pickle_argument own = *a;

    own.integer = (int64_t)a->number;
    return push_integer(m, &own);
}

OPCODE(FLOAT)
{
    return push_float(m, a->real);
}

OPCODE(STRING)
{
    return push_string(m, a);
}

OPCODE(UNICODE)
{
    return push_text(m, DFX_PICKLE_TEXT, 0, a);
}

OPCODE(BINUNICODE)
{
    return push_unicode(m, a);
}

OPCODE(BINBYTES)
{
    return push_text(m, DFX_PICKLE_BYTES, 0, a);
}

OPCODE(BYTEARRAY8)
{
    return push_text(m, DFX_PICKLE_BYTES, DFX_PICKLE_MUTABLE, a);
}

OPCODE(EMPTY_TUPLE)
{
    UNUSED;
    return dfx_pickle_push_new(m, DFX_PICKLE_TUPLE);
}

OPCODE(EMPTY_LIST)
{
    UNUSED;
    return dfx_pickle_push_new(m, DFX_PICKLE_LIST);
}

OPCODE(EMPTY_DICT)
{
    UNUSED;
    return dfx_pickle_push_new(m, DFX_PICKLE_DICT);
}

OPCODE(EMPTY_SET)
{
    UNUSED;
    return dfx_pickle_push_new(m, DFX_PICKLE_SET);
}

/* The last count objects as a tuple. */
static dfx_status
tuple_of(dfx_pickle_machine *m, size_t count)
{
    if (dfx_pickle_reach(m) < count) {
        dfx_pickle_break(m, DFX_RULE_PK_STACK_UNDERFLOW,
                         "the opcode finds %zu of %zu objects on the stack",
                         dfx_pickle_reach(m), count);
        return DFX_OK;
    }
    m->depth -= count;
    return dfx_pickle_push_list(m, DFX_PICKLE_TUPLE, 0, m->stack + m->depth,
                                count);
}

OPCODE(TUPLE1)
{
    UNUSED;
    return tuple_of(m, 1);
}

OPCODE(TUPLE2)
{
    UNUSED;
    return tuple_of(m, 2);
}

OPCODE(TUPLE3)
{
    UNUSED;
    return tuple_of(m, 3);
}

/* What is above the mark as a list of that kind. */
static dfx_status
list_of_marked(dfx_pickle_machine *m, dfx_pickle_kind kind, uint32_t flags)
{
    size_t count;
    dfx_pickle_node **items = dfx_pickle_pop_mark(m, &count);

    return items == NULL ? DFX_OK
                         : dfx_pickle_push_list(m, kind, flags, items, count);
}

OPCODE(TUPLE)
{
    UNUSED;
    return list_of_marked(m, DFX_PICKLE_TUPLE, 0);
}

OPCODE(LIST)
{
    UNUSED;
    return list_of_marked(m, DFX_PICKLE_LIST, 0);
}

OPCODE(FROZENSET)
{
    UNUSED;
    return list_of_marked(m, DFX_PICKLE_SET, DFX_PICKLE_FROZEN);
}

OPCODE(DICT)
{
    size_t count;
    dfx_pickle_node **items = dfx_pickle_pop_mark(m, &count);

    UNUSED;
    if (items == NULL)
        return DFX_OK;
    if (count % 2 != 0) {
        dfx_pickle_break(m, DFX_RULE_PK_STACK_PAIRS, "%zu objects are no pairs",
                         count);
        return DFX_OK;
    }
    return dfx_pickle_push_list(m, DFX_PICKLE_DICT, 0, items, count);
}

OPCODE(SETITEM)
{
    UNUSED;
    if (dfx_pickle_reach(m) < 2) {
        dfx_pickle_break(m, DFX_RULE_PK_STACK_UNDERFLOW,
                         "SETITEM finds no pair on the stack");
        return DFX_OK;
    }
    m->depth -= 2;
    return put_pairs(m, m->stack + m->depth, 2);
}

OPCODE(SETITEMS)
{
    UNUSED;
    return put_marked_pairs(m);
}

OPCODE(APPEND)
{
    dfx_pickle_node *item = dfx_pickle_pop(m);

    UNUSED;
    return item == NULL ? DFX_OK
                        : put_items(m, DFX_PICKLE_LIST, DFX_USE_LIST, &item, 1);
}

OPCODE(APPENDS)
{
    size_t count;
    dfx_pickle_node **items = dfx_pickle_pop_mark(m, &count);

    UNUSED;
    return items == NULL
               ? DFX_OK
               : put_items(m, DFX_PICKLE_LIST, DFX_USE_LIST, items, count);
}

OPCODE(ADDITEMS)
{
    size_t count;
    dfx_pickle_node **items = dfx_pickle_pop_mark(m, &count);

    UNUSED;
    return items == NULL
               ? DFX_OK
               : put_items(m, DFX_PICKLE_SET, DFX_USE_SET, items, count);
}

OPCODE(PUT)
{
    return dfx_pickle_remember(m, a->number);
}

OPCODE(MEMOIZE)
{
    UNUSED;
    return dfx_pickle_remember(m, m->memo.count);
}

OPCODE(GET)
{
    return dfx_pickle_recall(m, a->number);
}

OPCODE(GLOBAL)
{
    return push_global(m, a->text, a->second);
}

OPCODE(STACK_GLOBAL)
{
    UNUSED;
    return push_stack_global(m);
}

OPCODE(REDUCE)
{
    UNUSED;
    return call_top(m, 0);
}

OPCODE(NEWOBJ)
{
    UNUSED;
    return call_top(m, DFX_PICKLE_NEW);
}

OPCODE(NEWOBJ_EX)
{
    UNUSED;
    return call_with_names(m);
}

OPCODE(OBJ)
{
    size_t count;
    dfx_pickle_node **items = dfx_pickle_pop_mark(m, &count);

    UNUSED;
    if (items != NULL && count == 0)
        dfx_pickle_break(m, DFX_RULE_PK_STACK_UNDERFLOW,
                         "OBJ finds no class on the stack");
    return items == NULL || count == 0
               ? DFX_OK
               : call_marked(m, items[0], items + 1, count - 1);
}

OPCODE(INST)
{
    size_t count;
    dfx_pickle_node **items = dfx_pickle_pop_mark(m, &count);
    dfx_pickle_node *node = NULL;

    if (items == NULL)
        return DFX_OK;
    DFX_TRY(dfx_pickle_make(m, DFX_PICKLE_GLOBAL, &node));
    DFX_TRY(dfx_pickle_import(m, node, a->text, a->second));
    return call_marked(m, node, items, count);
}

OPCODE(BUILD)
{
    UNUSED;
    return build(m);
}

OPCODE(PERSID)
{
    dfx_pickle_node *id;

    DFX_TRY(push_string(m, a));
    id = dfx_pickle_pop(m);
    return id == NULL ? DFX_OK : push_persistent(m, id, true);
}

OPCODE(BINPERSID)
{
    dfx_pickle_node *id = dfx_pickle_pop(m);

    UNUSED;
    return id == NULL ? DFX_OK : push_persistent(m, id, false);
}

OPCODE(EXT1)
{
    UNUSED;
    dfx_pickle_tell(m, DFX_VERDICT_SUSPICIOUS, DFX_RULE_PK_OPCODE_EXT, NULL,
                    "an extension code names what the loader has registered");
    return dfx_pickle_push_new(m, DFX_PICKLE_OTHER);
}

OPCODE(NEXT_BUFFER)
{
    UNUSED;
    dfx_pickle_tell(m, DFX_VERDICT_CANNOT_TELL, DFX_RULE_PK_OPCODE_BUFFER, NULL,
                    "a buffer from outside the stream");
    return dfx_pickle_push_new(m, DFX_PICKLE_OTHER);
}

OPCODE(READONLY_BUFFER)
{
    UNUSED;
    dfx_pickle_tell(m, DFX_VERDICT_CANNOT_TELL, DFX_RULE_PK_OPCODE_BUFFER, NULL,
                    "a buffer from outside the stream");
    (void)dfx_pickle_top(m);
    return DFX_OK;
}

/* Unpicklers stop at a protocol they do not know; a lax one goes on. */
OPCODE(PROTO)
{
    if (a->number > 5)
        dfx_pickle_tell(m, DFX_VERDICT_CANNOT_TELL, DFX_RULE_PK_STREAM_OPCODE,
                        NULL, "protocol %" PRIu64, a->number);
    m->protocol = (unsigned)a->number;
    return DFX_OK;
}

/* A hint on how much to read at once; readers differ in how they take it. */
OPCODE(FRAME)
{
    (void)m;
    UNUSED;
    return DFX_OK;
}

dfx_status
dfx_pickle_do(dfx_pickle_machine *m, uint8_t op,
              const dfx_pickle_argument *argument)
{
    static dfx_status (*const table[256])(dfx_pickle_machine *,
                                          const dfx_pickle_argument *) = {
#define OP(byte, name, argument, action) [byte] = op_##action,
#include "opcodes.def"
#undef OP
    };

    return table[op](m, argument);
}
