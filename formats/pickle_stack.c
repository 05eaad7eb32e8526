/*
 * pickle_stack.c - the pickle machine's nodes, stack and memo, and their limits
 */
#include <config.h>

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "pickle_machine.h"

enum {
    MAX_DEPTH = 1000,
    MAX_MEMO = 1 << 24,
    MAX_NODES = 1 << 22,
    MAX_WEIGHT = 1 << 26 /* a tensor takes some 30 nodes */
};

/* ---- Nodes ---------------------------------------------------------------
 */

dfx_status
dfx_pickle_make(dfx_pickle_machine *m, dfx_pickle_kind kind,
                dfx_pickle_node **out)
{
    dfx_pickle_node *node;

    if (++m->made > MAX_NODES) {
        if (!m->told_nodes)
            dfx_pickle_tell(m, DFX_VERDICT_SUSPICIOUS, DFX_RULE_PK_LIMIT_NODES,
                            NULL, "more than %d objects", MAX_NODES);
        m->told_nodes = true;
        dfx_pickle_break(m, DFX_RULE_PK_LIMIT_NODES, "too many objects");
    }
    node = dfx_arena_alloc(m->reading->arena, sizeof *node);
    if (node == NULL)
        return dfx_fail_nomem(m->err);
    *node = (dfx_pickle_node){
        .kind = kind, .depth = 1, .weight = 1, .at = m->op_at, .next = m->last};
    m->last = node;
    *out = node;
    return DFX_OK;
}

/* Counts a node that another one now holds. */
void
dfx_pickle_hold(dfx_pickle_machine *m, dfx_pickle_node *holder,
                const dfx_pickle_node *held)
{
    if (held->depth >= holder->depth)
        holder->depth = held->depth + 1;
    holder->weight += held->weight;
    if (holder->depth > MAX_DEPTH) {
        holder->depth = MAX_DEPTH;
        if (!m->told_depth)
            dfx_pickle_tell(m, DFX_VERDICT_SUSPICIOUS, DFX_RULE_PK_LIMIT_DEPTH,
                            NULL, "more than %d levels", MAX_DEPTH);
        m->told_depth = true;
    }
    if (holder->weight > MAX_WEIGHT) {
        holder->weight = MAX_WEIGHT;
        if (!m->told_weight)
            dfx_pickle_tell(m, DFX_VERDICT_SUSPICIOUS, DFX_RULE_PK_LIMIT_EXPAND,
                            NULL, "more than %d objects when written out",
                            MAX_WEIGHT);
        m->told_weight = true;
    }
}

/* Appends to a node of the list kinds. */
dfx_status
dfx_pickle_append(dfx_pickle_machine *m, dfx_pickle_node *list,
                  dfx_pickle_node *item)
{
    if (list->list.count == list->list.capacity) {
        size_t capacity =
            list->list.capacity == 0 ? 4 : 2 * list->list.capacity;
        dfx_pickle_node **items = dfx_arena_array(m->reading->arena, capacity,
                                                  sizeof(dfx_pickle_node *));

        if (items == NULL)
            return dfx_fail_nomem(m->err);
        if (list->list.count > 0)
            memcpy(items, list->list.items,
                   list->list.count * sizeof(dfx_pickle_node *));
        list->list.items = items;
        list->list.capacity = capacity;
    }
    list->list.items[list->list.count++] = item;
    dfx_pickle_hold(m, list, item);
    return DFX_OK;
}

/* ---- The stack -----------------------------------------------------------
 */

dfx_status
dfx_pickle_push(dfx_pickle_machine *m, dfx_pickle_node *node)
{
    if (!dfx_grow(&m->stack, &m->capacity, m->depth, sizeof(dfx_pickle_node *)))
        return dfx_fail_nomem(m->err);
    m->stack[m->depth++] = node;
    return DFX_OK;
}

/* Below the last mark nothing is within reach. */
size_t
dfx_pickle_reach(const dfx_pickle_machine *m)
{
    return m->depth - (m->mark_count > 0 ? m->marks[m->mark_count - 1] : 0);
}

/* Takes the top; NULL: there is none, and the machine breaks. */
dfx_pickle_node *
dfx_pickle_pop(dfx_pickle_machine *m)
{
    if (dfx_pickle_reach(m) > 0)
        return m->stack[--m->depth];
    dfx_pickle_break(m, DFX_RULE_PK_STACK_UNDERFLOW,
                     "the opcode finds nothing on the stack");
    return NULL;
}

dfx_pickle_node *
dfx_pickle_top(dfx_pickle_machine *m)
{
    dfx_pickle_node *node = dfx_pickle_pop(m);

    if (node != NULL)
        m->depth++;
    return node;
}

/* Takes what is above the last mark, and the mark. */
dfx_pickle_node **
dfx_pickle_pop_mark(dfx_pickle_machine *m, size_t *count)
{
    *count = 0;
    if (m->mark_count == 0) {
        dfx_pickle_break(m, DFX_RULE_PK_STACK_MARK,
                         "the opcode finds no mark on the stack");
        return NULL;
    }
    *count = dfx_pickle_reach(m);
    m->depth -= *count;
    m->mark_count--;
    return m->stack + m->depth;
}

dfx_status
dfx_pickle_push_new(dfx_pickle_machine *m, dfx_pickle_kind kind)
{
    dfx_pickle_node *node = NULL;

    DFX_TRY(dfx_pickle_make(m, kind, &node));
    return dfx_pickle_push(m, node);
}

/* A tuple, list or set of count nodes, pushed. */
dfx_status
dfx_pickle_push_list(dfx_pickle_machine *m, dfx_pickle_kind kind,
                     uint32_t flags, dfx_pickle_node **items, size_t count)
{
    dfx_pickle_node *node = NULL;

    DFX_TRY(dfx_pickle_make(m, kind, &node));
    node->flags = flags;
    if (count > 0) {
        node->list.items = dfx_arena_array(m->reading->arena, count,
                                           sizeof(dfx_pickle_node *));
        if (node->list.items == NULL)
            return dfx_fail_nomem(m->err);
        memcpy(node->list.items, items, count * sizeof(dfx_pickle_node *));
        node->list.count = node->list.capacity = count;
    }
    for (size_t i = 0; i < count; i++)
        dfx_pickle_hold(m, node, items[i]);
    return dfx_pickle_push(m, node);
}

/* ---- The memo ------------------------------------------------------------
 */

static struct dfx_pickle_slot *
find_slot(const dfx_pickle_memo *memo, uint32_t number)
{
    size_t i = (number * 2654435769u) & (memo->capacity - 1);

    while (memo->slots[i].node != NULL && memo->slots[i].number != number)
        i = (i + 1) & (memo->capacity - 1);
    return &memo->slots[i];
}

static bool
grow_memo(dfx_pickle_memo *memo)
{
    dfx_pickle_memo larger = {.capacity =
                                  memo->capacity == 0 ? 64 : 2 * memo->capacity,
                              .count = memo->count};

    larger.slots = calloc(larger.capacity, sizeof *larger.slots);
    if (larger.slots == NULL)
        return false;
    for (size_t i = 0; i < memo->capacity; i++)
        if (memo->slots[i].node != NULL)
            *find_slot(&larger, memo->slots[i].number) = memo->slots[i];
    free(memo->slots);
    *memo = larger;
    return true;
}

dfx_status
dfx_pickle_remember(dfx_pickle_machine *m, uint64_t number)
{
    dfx_pickle_node *node = dfx_pickle_top(m);
    struct dfx_pickle_slot *slot;

    if (node == NULL)
        return DFX_OK;
    if (number >= MAX_MEMO) {
        if (!m->told_memo)
            dfx_pickle_tell(m, DFX_VERDICT_SUSPICIOUS, DFX_RULE_PK_LIMIT_MEMO,
                            NULL, "memo number %" PRIu64, number);
        m->told_memo = true;
        return DFX_OK;
    }
    if (2 * (m->memo.count + 1) > m->memo.capacity && !grow_memo(&m->memo))
        return dfx_fail_nomem(m->err);
    slot = find_slot(&m->memo, (uint32_t)number);
    m->memo.count += slot->node == NULL;
    *slot = (struct dfx_pickle_slot){(uint32_t)number, node};
    return DFX_OK;
}

dfx_status
dfx_pickle_recall(dfx_pickle_machine *m, uint64_t number)
{
    const struct dfx_pickle_slot *slot = NULL;

    if (m->memo.capacity > 0 && number <= UINT32_MAX)
        slot = find_slot(&m->memo, (uint32_t)number);
    if (slot == NULL || slot->node == NULL) {
        dfx_pickle_break(m, DFX_RULE_PK_MEMO_MISSING,
                         "nothing was kept as number %" PRIu64, number);
        return DFX_OK;
    }
    return dfx_pickle_push(m, slot->node);
}
