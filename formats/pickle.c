/*
 * pickle.c - reading a pickle from start to end
 *
 * The machine goes on as long as any unpickler could: what a loader has run
 * before it fails, it has run.
 */
#include <config.h>

#include "pickle.h"

#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "pickle_machine.h"

enum {
    MAX_LEVEL = 3,  /* of pickles in pickles */
    MAX_TOLD = 1000 /* concerns of one stream; the verdict counts them all */
};

/* ---- Concerns ------------------------------------------------------------
 */

static void
tell(dfx_pickle_machine *m, dfx_verdict verdict, dfx_rule rule,
     const char *global, const char *text)
{
    dfx_audit *audit = m->reading->audit;
    dfx_concern_fn *found = audit->found;

    if (m->told++ >= MAX_TOLD)
        audit->found = NULL;
    dfx_audit_report(audit, verdict, rule, global,
                     m->reading->offset + m->op_at, "%s", text);
    audit->found = found;
}

void
dfx_pickle_tell(dfx_pickle_machine *m, dfx_verdict verdict, dfx_rule rule,
                const char *global, const char *fmt, ...)
{
    char text[DFX_ERROR_CHARS];
    va_list args;

    va_start(args, fmt);
    vsnprintf(text, sizeof text, fmt, args);
    va_end(args);
    tell(m, verdict, rule, global, text);
}

void
dfx_pickle_break(dfx_pickle_machine *m, dfx_rule rule, const char *fmt, ...)
{
    char text[DFX_ERROR_CHARS];
    va_list args;

    if (m->broken)
        return;
    va_start(args, fmt);
    vsnprintf(text, sizeof text, fmt, args);
    va_end(args);
    m->broken = true;
    tell(m, DFX_VERDICT_CANNOT_TELL, rule, NULL, text);
}

/* ---- Looking at nodes ----------------------------------------------------
 */

bool
dfx_pickle_has_items(const dfx_pickle_node *node)
{
    return node->kind >= DFX_PICKLE_TUPLE && node->kind <= DFX_PICKLE_SET;
}

const dfx_pickle_global *
dfx_pickle_callee(const dfx_pickle_node *node)
{
    if (node->kind != DFX_PICKLE_CALL ||
        node->call.callable->kind != DFX_PICKLE_GLOBAL)
        return NULL;
    return node->call.callable->global.known;
}

bool
dfx_pickle_calls(const dfx_pickle_node *node, dfx_pickle_use use)
{
    const dfx_pickle_global *callee = dfx_pickle_callee(node);

    return callee != NULL && callee->use == use;
}

const dfx_pickle_node *
dfx_pickle_arg(const dfx_pickle_node *call, size_t i)
{
    const dfx_pickle_node *args = call->call.args;

    return i < args->list.count ? args->list.items[i] : NULL;
}

const dfx_pickle_node *
dfx_pickle_get(const dfx_pickle_node *dict, const char *key)
{
    size_t size = strlen(key);

    for (size_t i = dict->list.count / 2; i-- > 0;) {
        const dfx_pickle_node *k = dict->list.items[2 * i];

        if (k->kind == DFX_PICKLE_TEXT && k->text.size == size &&
            memcmp(k->text.data, key, size) == 0)
            return dict->list.items[2 * i + 1];
    }
    return NULL;
}

/* ---- Cycles --------------------------------------------------------------
 */

/* Node i of those that a node holds; NULL: no more. States are left out:
   objects may know their parents. */
static dfx_pickle_node *
held(const dfx_pickle_node *node, size_t i)
{
    if (dfx_pickle_has_items(node))
        return i < node->list.count ? node->list.items[i] : NULL;
    if (node->kind == DFX_PICKLE_CALL)
        return i == 0 ? node->call.args : i == 1 ? node->call.items : NULL;
    return node->kind == DFX_PICKLE_PERSID && i == 0 ? node->id : NULL;
}

typedef struct step {
    dfx_pickle_node *node;
    size_t next; /* of what it holds */
} step;

typedef struct path {
    step *steps; /* owned */
    size_t count, capacity;
} path;

static bool
enter(path *p, dfx_pickle_node *node)
{
    if (!dfx_grow(&p->steps, &p->capacity, p->count, sizeof *p->steps))
        return false;
    node->flags |= DFX_PICKLE_GREY;
    p->steps[p->count++] = (step){node, 0};
    return true;
}

/* Walks all that a node holds, each node once, without recursion. */
static dfx_status
search(dfx_pickle_machine *m, path *p, dfx_pickle_node *start, bool *found)
{
    if (!enter(p, start))
        return dfx_fail_nomem(m->err);
    while (p->count > 0) {
        step *last = &p->steps[p->count - 1];
        dfx_pickle_node *next = held(last->node, last->next++);

        if (next == NULL) {
            last->node->flags ^= DFX_PICKLE_GREY | DFX_PICKLE_BLACK;
            p->count--;
        } else if ((next->flags & DFX_PICKLE_GREY) != 0) {
            *found = true;
        } else if ((next->flags & DFX_PICKLE_BLACK) == 0 && !enter(p, next)) {
            return dfx_fail_nomem(m->err);
        }
    }
    return DFX_OK;
}

static dfx_status
check_cycles(dfx_pickle_machine *m)
{
    path p = {0};
    bool found = false;
    dfx_status status = DFX_OK;

    for (dfx_pickle_node *node = m->last; node != NULL && status == DFX_OK;
         node = node->next)
        if ((node->flags & DFX_PICKLE_BLACK) == 0 && held(node, 0) != NULL)
            status = search(m, &p, node, &found);
    free(p.steps);
    if (found)
        dfx_pickle_tell(m, DFX_VERDICT_SUSPICIOUS, DFX_RULE_PK_LIMIT_CYCLE,
                        NULL, "a container holds itself");
    return status;
}

/* ---- Pickles in pickles --------------------------------------------------
 */

static dfx_status read_stream(const dfx_pickle_reading *reading, unsigned level,
                              dfx_pickle *out, dfx_error *err);

/* Bytes that start as pickles do, of protocols that say so. */
static bool
looks_pickled(const dfx_pickle_node *node)
{
    return (node->kind == DFX_PICKLE_BYTES || node->kind == DFX_PICKLE_TEXT) &&
           node->text.size > 4 && (unsigned char)node->text.data[0] == 0x80 &&
           node->text.data[1] >= 2 && node->text.data[1] <= 5;
}

/* Numbers may look like a pickle: only one that is worse than broken counts. */
static dfx_status
check_inner(const dfx_pickle_machine *m, const dfx_pickle_node *node)
{
    dfx_audit quiet = {.where = ""};
    dfx_audit *audit = m->reading->audit;
    dfx_pickle_reading inner = *m->reading;
    const char *where = audit->where;
    dfx_pickle pickle;
    dfx_io *io = NULL;
    dfx_status status;

    DFX_TRY(
        dfx_io_open_memory(node->text.data, node->text.size, "", &io, m->err));
    inner.io = io;
    inner.offset = 0;
    inner.audit = &quiet;
    inner.line = NULL;
    inner.torchscript = false;
    status = read_stream(&inner, m->level + 1, &pickle, m->err);
    if (status == DFX_OK && quiet.verdict >= DFX_VERDICT_SUSPICIOUS) {
        inner.audit = audit;
        audit->where = dfx_arena_printf(
            m->reading->arena, "%s%sbytes at %" PRIu64,
            where != NULL ? where : "",
            where != NULL && where[0] != '\0' ? ": " : "", node->at);
        status = audit->where == NULL
                     ? dfx_fail_nomem(m->err)
                     : read_stream(&inner, m->level + 1, &pickle, m->err);
        audit->where = where;
    }
    dfx_io_close(io);
    return status;
}

static dfx_status
check_inners(const dfx_pickle_machine *m)
{
    if (m->level >= MAX_LEVEL)
        return DFX_OK;
    for (const dfx_pickle_node *node = m->last; node != NULL; node = node->next)
        if (looks_pickled(node))
            DFX_TRY(check_inner(m, node));
    return DFX_OK;
}

/* ---- The run -------------------------------------------------------------
 */

static dfx_status
run(dfx_pickle_machine *m)
{
    while (!m->stopped && !m->broken) {
        dfx_pickle_argument argument;
        uint8_t op = 0;
        bool there = false;

        m->op_at = m->at;
        DFX_TRY(dfx_pickle_byte(m, &op, &there));
        if (!there) {
            dfx_pickle_break(m, DFX_RULE_PK_STREAM_TRUNCATED,
                             "the stream ends without STOP");
            break;
        }
        if (dfx_pickle_op_name(op) == NULL) {
            dfx_pickle_break(m, DFX_RULE_PK_STREAM_OPCODE,
                             "byte %02x is no opcode", op);
            break;
        }
        DFX_TRY(dfx_pickle_argue(m, op, &argument));
        if (m->broken)
            break;
        if (m->reading->line != NULL)
            dfx_pickle_print(m, op, &argument);
        DFX_TRY(dfx_pickle_do(m, op, &argument));
    }
    m->out->end = m->reading->offset + m->at;
    return DFX_OK;
}

static dfx_status
read_stream(const dfx_pickle_reading *reading, unsigned level, dfx_pickle *out,
            dfx_error *err)
{
    dfx_pickle_machine m = {
        .reading = reading,
        .out = out,
        .err = err,
        .window = malloc(DFX_PICKLE_WINDOW),
        .level = level,
    };
    uint64_t size = dfx_io_size(reading->io);
    dfx_status status;

    *out = (dfx_pickle){0};
    m.length = reading->offset < size ? size - reading->offset : 0;
    /* The stack is there even if nothing is on it. */
    status = m.window == NULL || !dfx_grow(&m.stack, &m.capacity, 0,
                                           sizeof(dfx_pickle_node *))
                 ? dfx_fail_nomem(err)
                 : run(&m);
    if (status == DFX_OK)
        status = check_cycles(&m);
    if (status == DFX_OK)
        status = check_inners(&m);
    if (m.broken)
        out->root = NULL;
    out->last = m.last;
    free(m.window);
    free(m.stack);
    free(m.marks);
    free(m.memo.slots);
    return status;
}

dfx_status
dfx_pickle_read(const dfx_pickle_reading *reading, dfx_pickle *out,
                dfx_error *err)
{
    return read_stream(reading, 0, out, err);
}

/* ---- What follows --------------------------------------------------------
 */

dfx_status
dfx_pickle_trailing(const dfx_pickle_reading *reading, dfx_error *err)
{
    dfx_audit quiet = {.where = ""};
    dfx_pickle_reading next = *reading;
    uint64_t size = dfx_io_size(reading->io);
    bool worse;
    dfx_pickle pickle;

    if (reading->offset >= size)
        return DFX_OK;
    next.audit = &quiet;
    DFX_TRY(read_stream(&next, 1, &pickle, err));
    worse = quiet.verdict == DFX_VERDICT_DANGEROUS;
    dfx_audit_report(reading->audit,
                     worse ? DFX_VERDICT_DANGEROUS : DFX_VERDICT_SUSPICIOUS,
                     DFX_RULE_PK_STREAM_TRAILING, NULL, reading->offset,
                     "%" PRIu64 " bytes after the end of the pickle%s",
                     size - reading->offset, worse ? ", another one" : "");
    if (!worse)
        return DFX_OK;
    next.audit = reading->audit;
    return read_stream(&next, 1, &pickle, err);
}

/* ---- Bids ----------------------------------------------------------------
 */

/* What reading it without telling anyone comes to. */
static unsigned
try_head(const uint8_t *head, size_t size)
{
    dfx_audit quiet = {.where = ""};
    dfx_arena arena = {0};
    dfx_pickle pickle = {0};
    dfx_io *io = NULL;
    dfx_pickle_reading reading = {.arena = &arena, .audit = &quiet};
    unsigned bits = 0;

    if (dfx_io_open_memory(head, size, "", &io, NULL) != DFX_OK)
        return 0;
    reading.io = io;
    if (dfx_pickle_read(&reading, &pickle, NULL) == DFX_OK) {
        if (quiet.verdict >= DFX_VERDICT_SUSPICIOUS)
            bits = 18; /* more than text that happens to parse */
        else if (pickle.root != NULL && pickle.end > 2)
            bits = 16;
    }
    dfx_io_close(io);
    dfx_arena_fini(&arena);
    return bits;
}

unsigned
dfx_pickle_bid(const uint8_t *head, size_t size)
{
    bool is_binary = size >= 2 && head[0] == 0x80;
    unsigned bits;

    if (size == 0)
        return 0;
    bits = try_head(head, size);
    if (is_binary && head[1] >= 2 && head[1] <= 5)
        return bits + 12;
    return bits;
}
