/*
 * pickle.h - pickles read as data
 *
 * A stack machine for protocols 0 to 5 that builds inert nodes and runs
 * nothing. What a pickle would import or call is a node like any other, and a
 * concern if it is not known to be harmless.
 */
#ifndef DFX_PICKLE_H
#define DFX_PICKLE_H

#include "audit.h"
#include "io.h"
#include "memory.h"

typedef enum dfx_pickle_kind {
    DFX_PICKLE_NONE,
    DFX_PICKLE_BOOL,
    DFX_PICKLE_INT,  /* fits int64 */
    DFX_PICKLE_LONG, /* does not: text.. are its two's complement bytes,
                        little-endian */
    DFX_PICKLE_FLOAT,
    DFX_PICKLE_TEXT,  /* UTF-8 (surrogates as they come) */
    DFX_PICKLE_BYTES, /* also of BYTEARRAY8 and Python 2's strings that are no
                         ASCII; ASCII ones are TEXT */
    DFX_PICKLE_TUPLE,
    DFX_PICKLE_LIST,
    DFX_PICKLE_DICT,   /* items: key, value, key, value ... */
    DFX_PICKLE_SET,    /* and frozenset */
    DFX_PICKLE_GLOBAL, /* a name, imported: module and name */
    DFX_PICKLE_CALL,   /* REDUCE, NEWOBJ, NEWOBJ_EX, OBJ, INST */
    DFX_PICKLE_PERSID, /* a persistent id */
    DFX_PICKLE_OTHER   /* EXT, buffers, what could not be read */
} dfx_pickle_kind;

typedef struct dfx_pickle_node dfx_pickle_node;
struct dfx_pickle_node {
    dfx_pickle_kind kind;
    uint32_t flags;  /* of the machine */
    uint32_t depth;  /* levels in it when it was made; at least */
    uint64_t weight; /* nodes in it when it was made, shared ones as often as
                        they are there; at least */
    uint64_t at;     /* its opcode, from the start of the stream */
    dfx_pickle_node *next; /* made before it */
    union {
        bool truth;
        int64_t number;
        double real;
        struct { /* TEXT, BYTES, LONG; a NUL follows */
            const char *data;
            size_t size;
        } text;
        struct { /* TUPLE, LIST, DICT, SET */
            dfx_pickle_node **items;
            size_t count, capacity;
        } list;
        struct { /* names as today's Python has them: Python 2's are mapped */
            const char *module, *name;
            const struct dfx_pickle_global *known; /* NULL: on no list */
        } global;
        struct {
            dfx_pickle_node *callable; /* GLOBAL, or what it was */
            dfx_pickle_node *args;     /* TUPLE; of NEWOBJ_EX without names */
            dfx_pickle_node *state;    /* of the last BUILD; NULL: none */
            dfx_pickle_node *items;    /* what APPEND, SETITEM and ADDITEMS put
                                          in: LIST or DICT; NULL: none */
        } call;
        struct dfx_pickle_node *id; /* PERSID */
    };
};

/*
 * A name that is known to be data. globals.def has a row for each: who
 * interprets a call looks at the kind.
 */
typedef enum dfx_pickle_use {
    DFX_USE_VALUE,        /* a plain name: a dtype, a class as a key */
    DFX_USE_DTYPE,        /* torch.float16: its type is the row's */
    DFX_USE_STORAGE,      /* torch.HalfStorage, torch.storage.UntypedStorage */
    DFX_USE_TENSOR_CLASS, /* torch.FloatTensor */
    DFX_USE_TENSOR,       /* torch._utils._rebuild_tensor */
    DFX_USE_TENSOR_V2,
    DFX_USE_TENSOR_V3,
    DFX_USE_PARAMETER, /* _rebuild_parameter and ..._with_state, Parameter */
    DFX_USE_QTENSOR,
    DFX_USE_SPARSE,
    DFX_USE_META,
    DFX_USE_WRAPPER,       /* _rebuild_wrapper_subclass */
    DFX_USE_DEVICE_TENSOR, /* _rebuild_device_tensor_from_cpu_tensor */
    DFX_USE_FROM_NUMPY,    /* _rebuild_device_tensor_from_numpy */
    DFX_USE_FROM_TYPE,     /* torch._tensor._rebuild_from_type_v2 */
    DFX_USE_DICT, /* OrderedDict, Counter, defaultdict, AttributeDict */
    DFX_USE_LIST, /* list, deque, torch.Size, tuple */
    DFX_USE_SET,
    DFX_USE_SCALAR,      /* complex, bytearray, range, slice, device, datetime,
                            Decimal, Path ...: a value of one leaf */
    DFX_USE_ENCODE,      /* _codecs.encode */
    DFX_USE_ARRAY,       /* numpy _reconstruct, _frombuffer */
    DFX_USE_NUMBER,      /* numpy scalar */
    DFX_USE_ELEMENT,     /* numpy.dtype */
    DFX_USE_OBJECT,      /* an object with attributes: Namespace, DictConfig */
    DFX_USE_RECONSTRUCT, /* copyreg._reconstructor */
    DFX_USE_OPAQUE,      /* states of random numbers */
    DFX_USE_SCRIPT       /* torch.jit._pickle: lists and tags of TorchScript */
} dfx_pickle_use;

typedef struct dfx_pickle_global {
    const char *module, *name;
    dfx_pickle_use use;
    dfx_type type;     /* of DTYPE, STORAGE, TENSOR_CLASS; else
                          DFX_TYPE_COUNT. UntypedStorage: U8 */
    const char *kind;  /* "quint8" where the type is not all; or NULL */
    const char *shape; /* what arguments it takes: see globals.def */
} dfx_pickle_global;

typedef struct dfx_pickle {
    dfx_pickle_node *root; /* NULL: it broke */
    uint64_t end;          /* offset after STOP, or of where it broke */
    bool has_torchscript;  /* names __torch__ classes: inert objects */
    dfx_pickle_node *last; /* all nodes, also without a root: ->next */
} dfx_pickle;

/* How a stream is read. */
typedef struct dfx_pickle_reading {
    const dfx_io *io;
    uint64_t offset;   /* where the stream starts; it may reach to io's end */
    dfx_arena *arena;  /* of everything that is made */
    dfx_audit *audit;  /* of what is wrong with it */
    bool torchscript;  /* classes below __torch__ are data */
    bool keys;         /* persistent ids are numbers or texts: of a tar */
    dfx_line_fn *line; /* told each opcode; NULL: nobody */
    void *context;
} dfx_pickle_reading;

/*
 * Reads one pickle. What is wrong with it goes to the audit; the call fails
 * only for memory and reading. Memory: what the stream justifies, by the limits
 * of pk.limit.*.
 */
DFX_CHECKED dfx_status dfx_pickle_read(const dfx_pickle_reading *reading,
                                       dfx_pickle *out, dfx_error *err);

/* Bytes that follow a pickle where none should: another pickle is scanned, too
   (pk.stream.trailing, dangerous if it is). */
DFX_CHECKED dfx_status dfx_pickle_trailing(const dfx_pickle_reading *reading,
                                           dfx_error *err);

/* The start of something that is or may be a pickle, in bits of evidence; text
   protocols count few. 0: none. */
unsigned dfx_pickle_bid(const uint8_t *head, size_t size);

/* A tuple, list, dict or set. */
bool dfx_pickle_has_items(const dfx_pickle_node *node);
/* The value for a key of a dict; NULL. Texts compare by bytes. */
const dfx_pickle_node *dfx_pickle_get(const dfx_pickle_node *dict,
                                      const char *key);
/* Is it a call of a known name of that use? */
bool dfx_pickle_calls(const dfx_pickle_node *node, dfx_pickle_use use);
/* The row of globals.def of what is called; NULL: none. */
const dfx_pickle_global *dfx_pickle_callee(const dfx_pickle_node *node);
/* Item i of a call's arguments; NULL: not so many. */
const dfx_pickle_node *dfx_pickle_arg(const dfx_pickle_node *call, size_t i);

#endif
