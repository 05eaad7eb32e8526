/*
 * pickle_machine.h - what the files of the pickle machine share
 */
#ifndef DFX_PICKLE_MACHINE_H
#define DFX_PICKLE_MACHINE_H

#include "pickle.h"

enum { DFX_PICKLE_WINDOW = 1 << 16 };

/* Flags of nodes. */
enum {
    DFX_PICKLE_NEW = 1,     /* a call that makes an instance of a class */
    DFX_PICKLE_FROZEN = 2,  /* a frozenset */
    DFX_PICKLE_MUTABLE = 4, /* a bytearray */
    DFX_PICKLE_GREY = 8,    /* on the way of a search for cycles */
    DFX_PICKLE_BLACK = 16   /* searched */
};

/* An opcode's argument. */
typedef struct dfx_pickle_argument {
    uint64_t number; /* U1 .. U8 */
    int64_t integer; /* I4, and of LINE_INT if it fits */
    double real;
    const char *text; /* in the arena; a NUL follows */
    size_t size;
    const char *second; /* of LINES */
    size_t second_size;
    bool fits;     /* integer holds the number */
    bool is_truth; /* the number is written "00" or "01" */
    bool is_lost;  /* it was too long to keep */
} dfx_pickle_argument;

typedef struct dfx_pickle_memo {
    struct dfx_pickle_slot {
        uint32_t number;
        dfx_pickle_node *node; /* NULL: free */
    } * slots;                 /* owned; a power of two of them */
    size_t count, capacity;
} dfx_pickle_memo;

typedef struct dfx_pickle_machine {
    const dfx_pickle_reading *reading;
    dfx_pickle *out;
    dfx_error *err;
    /* The stream. */
    uint8_t *window; /* owned */
    size_t used, size;
    uint64_t at;     /* of what comes next, from the start of the stream */
    uint64_t length; /* of the stream, at most */
    uint64_t op_at;  /* of the opcode that runs */
    uint64_t kept;   /* bytes of text that were kept */
    /* The machine. */
    dfx_pickle_node **stack; /* owned */
    size_t depth, capacity;
    size_t *marks; /* owned */
    size_t mark_count, mark_capacity;
    dfx_pickle_memo memo;
    dfx_pickle_node *last; /* made */
    size_t made;
    unsigned protocol;
    unsigned level; /* of pickles in pickles */
    bool stopped, broken;
    /* What is told once. */
    bool told_depth, told_weight, told_nodes, told_memo;
    unsigned told;
} dfx_pickle_machine;

/* ---- pickle_stream.c ------------------------------------------------------
 */

/* The next byte; *there is false at the end. */
DFX_CHECKED dfx_status dfx_pickle_byte(dfx_pickle_machine *m, uint8_t *byte,
                                       bool *there);
/* The argument of the opcode; sets m->broken where the stream ends in it. */
DFX_CHECKED dfx_status dfx_pickle_argue(dfx_pickle_machine *m, uint8_t op,
                                        dfx_pickle_argument *out);
/* Its name; NULL: there is no such opcode. */
const char *dfx_pickle_op_name(uint8_t op);
/* A line of disassembly. */
void dfx_pickle_print(const dfx_pickle_machine *m, uint8_t op,
                      const dfx_pickle_argument *argument);

/* ---- pickle_stack.c -------------------------------------------------------
 */

/* A new node, at the opcode that runs. Too many of them break the machine. */
DFX_CHECKED dfx_status dfx_pickle_make(dfx_pickle_machine *m,
                                       dfx_pickle_kind kind,
                                       dfx_pickle_node **out);
/* Counts a node that another one now holds. */
void dfx_pickle_hold(dfx_pickle_machine *m, dfx_pickle_node *holder,
                     const dfx_pickle_node *held);
/* Appends to a node of the list kinds. */
DFX_CHECKED dfx_status dfx_pickle_append(dfx_pickle_machine *m,
                                         dfx_pickle_node *list,
                                         dfx_pickle_node *item);

DFX_CHECKED dfx_status dfx_pickle_push(dfx_pickle_machine *m,
                                       dfx_pickle_node *node);
DFX_CHECKED dfx_status dfx_pickle_push_new(dfx_pickle_machine *m,
                                           dfx_pickle_kind kind);
/* A tuple, list or set of count nodes, pushed. */
DFX_CHECKED dfx_status dfx_pickle_push_list(dfx_pickle_machine *m,
                                            dfx_pickle_kind kind,
                                            uint32_t flags,
                                            dfx_pickle_node **items,
                                            size_t count);
/* How many nodes are within reach: those above the last mark. */
size_t dfx_pickle_reach(const dfx_pickle_machine *m);
/* Takes the top, or looks at it; NULL: there is none, and the machine breaks.
 */
dfx_pickle_node *dfx_pickle_pop(dfx_pickle_machine *m);
dfx_pickle_node *dfx_pickle_top(dfx_pickle_machine *m);
/* Takes what is above the last mark, and the mark. What it returns is valid
   until something is pushed. */
dfx_pickle_node **dfx_pickle_pop_mark(dfx_pickle_machine *m, size_t *count);

/* Keeps the top by that number, or pushes what is kept by it. */
DFX_CHECKED dfx_status dfx_pickle_remember(dfx_pickle_machine *m,
                                           uint64_t number);
DFX_CHECKED dfx_status dfx_pickle_recall(dfx_pickle_machine *m,
                                         uint64_t number);

/* ---- pickle_ops.c ---------------------------------------------------------
 */

/* Does what the opcode says. */
DFX_CHECKED dfx_status dfx_pickle_do(dfx_pickle_machine *m, uint8_t op,
                                     const dfx_pickle_argument *argument);

/* ---- pickle_names.c -------------------------------------------------------
 */

/* Fills in a GLOBAL from the names as they are written, and judges them. */
DFX_CHECKED dfx_status dfx_pickle_import(dfx_pickle_machine *m,
                                         dfx_pickle_node *node,
                                         const char *module, const char *name);
/* Judges a call of what is known to be data. */
void dfx_pickle_judge_call(dfx_pickle_machine *m, const dfx_pickle_node *call);

/* ---- pickle.c -------------------------------------------------------------
 */

/* Reports at the opcode that runs. */
void dfx_pickle_tell(dfx_pickle_machine *m, dfx_verdict verdict, dfx_rule rule,
                     const char *global, const char *fmt, ...) DFX_PRINTF(5, 6);
/* The same, and the machine cannot go on. */
void dfx_pickle_break(dfx_pickle_machine *m, dfx_rule rule, const char *fmt,
                      ...) DFX_PRINTF(3, 4);

#endif
