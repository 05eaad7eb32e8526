/*
 * facts.c - integers by name, and the expressions over them
 *
 * Facts are looked up a few times for every row of every expansion, so they are
 * kept in a hash table: open addressing, linear probing, never deleted from.
 */
#include <config.h>

#include "scope.h"

#include <stdlib.h>
#include <string.h>

struct dfx_fact {
    const char *name; /* static; NULL: a free slot */
    size_t size;
    int64_t i, j;
    int64_t value;
};

/* ---- The table of facts ------------------------------------------------ */

static uint64_t
hash_of(const char *name, size_t size, int64_t i, int64_t j)
{
    uint64_t h = UINT64_C(0xcbf29ce484222325); /* FNV-1a, then the indices */

    for (size_t n = 0; n < size; n++)
        h = (h ^ (unsigned char)name[n]) * UINT64_C(0x100000001b3);
    h = (h ^ (uint64_t)i) * UINT64_C(0x9e3779b97f4a7c15);
    h = (h ^ (uint64_t)j) * UINT64_C(0x9e3779b97f4a7c15);
    return h ^ (h >> 32);
}

/* The slot of a fact, or the free one where it would go. capacity > count. */
static struct dfx_fact *
slot_of(const dfx_facts *facts, const char *name, size_t size, int64_t i,
        int64_t j)
{
    size_t mask = facts->capacity - 1; /* capacity is a power of two */
    size_t at = (size_t)hash_of(name, size, i, j) & mask;

    for (;; at = (at + 1) & mask) {
        struct dfx_fact *fact = &facts->items[at];

        if (fact->name == NULL ||
            (fact->i == i && fact->j == j && fact->size == size &&
             memcmp(fact->name, name, size) == 0))
            return fact;
    }
}

static int64_t
value_of(const dfx_facts *facts, const char *name, size_t size, int64_t i,
         int64_t j)
{
    const struct dfx_fact *fact;

    if (facts->count == 0)
        return 0;
    fact = slot_of(facts, name, size, i, j);
    return fact->name != NULL ? fact->value : 0;
}

static dfx_status
double_table(dfx_facts *facts, dfx_error *err)
{
    dfx_facts larger = {.count = facts->count};

    larger.capacity = facts->capacity == 0 ? 64 : facts->capacity * 2;
    larger.items = calloc(larger.capacity, sizeof *larger.items);
    if (larger.items == NULL)
        return dfx_fail_nomem(err);
    for (size_t n = 0; n < facts->capacity; n++) {
        const struct dfx_fact *fact = &facts->items[n];

        if (fact->name != NULL)
            *slot_of(&larger, fact->name, fact->size, fact->i, fact->j) = *fact;
    }
    free(facts->items);
    *facts = larger;
    return DFX_OK;
}

void
dfx_facts_fini(dfx_facts *facts)
{
    free(facts->items);
    *facts = (dfx_facts){0};
}

dfx_status
dfx_facts_set(dfx_facts *facts, const char *name, int64_t i, int64_t j,
              int64_t value, dfx_error *err)
{
    size_t size = strlen(name);
    struct dfx_fact *fact;

    /* A quarter stays free, so that probing ends soon. */
    if (facts->count >= facts->capacity - facts->capacity / 4)
        DFX_TRY(double_table(facts, err));
    fact = slot_of(facts, name, size, i, j);
    facts->count += fact->name == NULL;
    *fact = (struct dfx_fact){name, size, i, j, value};
    return DFX_OK;
}

int64_t
dfx_facts_get(const dfx_facts *facts, const char *name, int64_t i, int64_t j)
{
    return value_of(facts, name, strlen(name), i, j);
}

/* ---- Loop variables ---------------------------------------------------- */

static bool
starts_word(char c)
{
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '_';
}

static bool
is_digit(char c)
{
    return c >= '0' && c <= '9';
}

size_t
dfx_scope_word(const char *text)
{
    size_t size = 0;

    if (!starts_word(text[0]))
        return 0;
    while (starts_word(text[size]) || is_digit(text[size]))
        size++;
    return size;
}

static size_t
var_index(const dfx_scope *scope, const char *name, size_t size)
{
    size_t n = 0;

    while (n < scope->count && (scope->vars[n].size != size ||
                                memcmp(scope->vars[n].name, name, size) != 0))
        n++;
    return n;
}

int64_t *
dfx_scope_var(dfx_scope *scope, const char *name, size_t size)
{
    size_t n = var_index(scope, name, size);

    return n < scope->count ? &scope->vars[n].value : NULL;
}

dfx_status
dfx_scope_push(dfx_scope *scope, const char *name, size_t size, int64_t value,
               dfx_error *err)
{
    if (var_index(scope, name, size) < scope->count)
        return dfx_fail(err, DFX_RULE_TABLE, DFX_NO_OFFSET,
                        "two loops over \"%s\"", name);
    if (scope->count == DFX_SCOPE_VARS)
        return dfx_fail(err, DFX_RULE_TABLE, DFX_NO_OFFSET,
                        "more than %d loops in one another at \"%s\"",
                        DFX_SCOPE_VARS, name);
    scope->vars[scope->count].name = name;
    scope->vars[scope->count].size = size;
    scope->vars[scope->count].value = value;
    scope->count++;
    return DFX_OK;
}

/* ---- Expressions ------------------------------------------------------- */

enum { DEPTH_MAX = 16 }; /* of parentheses, signs and indices */

typedef enum oper {
    OPER_NONE,
    OPER_OR,
    OPER_AND,
    OPER_EQ,
    OPER_NE,
    OPER_LE,
    OPER_GE,
    OPER_LT,
    OPER_GT,
    OPER_ADD,
    OPER_SUB,
    OPER_MUL,
    OPER_DIV
} oper;

/* Longer spellings first. binds: the higher the tighter, as in C. */
static const struct {
    const char *text;
    oper oper;
    int binds;
} operators[] = {
    {"||", OPER_OR, 1}, {"&&", OPER_AND, 2}, {"==", OPER_EQ, 3},
    {"!=", OPER_NE, 3}, {"<=", OPER_LE, 4},  {">=", OPER_GE, 4},
    {"<", OPER_LT, 4},  {">", OPER_GT, 4},   {"+", OPER_ADD, 5},
    {"-", OPER_SUB, 5}, {"*", OPER_MUL, 6},  {"/", OPER_DIV, 6},
};

typedef struct reader {
    const dfx_scope *scope;
    const char *start; /* for messages */
    const char *at;
    int depth;
} reader;

static dfx_status
malformed(const reader *in, const char *wanted, dfx_error *err)
{
    return dfx_fail(err, DFX_RULE_TABLE, DFX_NO_OFFSET,
                    "\"%s\": expected %s at \"%s\"", in->start, wanted, in->at);
}

static void
skip_spaces(reader *in)
{
    while (*in->at == ' ')
        in->at++;
}

static int64_t
add(int64_t a, int64_t b)
{
    int64_t sum;

    if (__builtin_add_overflow(a, b, &sum))
        return a < 0 ? INT64_MIN : INT64_MAX;
    return sum;
}

static int64_t
negate(int64_t a)
{
    return a == INT64_MIN ? INT64_MAX : -a;
}

static int64_t
multiply(int64_t a, int64_t b)
{
    int64_t product;

    if (__builtin_mul_overflow(a, b, &product))
        return (a < 0) == (b < 0) ? INT64_MAX : INT64_MIN;
    return product;
}

static int64_t
divide(int64_t a, int64_t b)
{
    if (b == 0)
        return 0;
    return b == -1 ? negate(a) : a / b;
}

static int64_t
apply(oper op, int64_t a, int64_t b)
{
    switch (op) {
    case OPER_OR:
        return a != 0 || b != 0;
    case OPER_AND:
        return a != 0 && b != 0;
    case OPER_EQ:
        return a == b;
    case OPER_NE:
        return a != b;
    case OPER_LE:
        return a <= b;
    case OPER_GE:
        return a >= b;
    case OPER_LT:
        return a < b;
    case OPER_GT:
        return a > b;
    case OPER_ADD:
        return add(a, b);
    case OPER_SUB:
        return add(a, negate(b));
    case OPER_MUL:
        return multiply(a, b);
    case OPER_DIV:
        return divide(a, b);
    case OPER_NONE:
        break;
    }
    return 0;
}

/* Operands and operators know each other through parentheses: DEPTH_MAX. */
static dfx_status read_binary(reader *in, int binds, int64_t *value,
                              dfx_error *err);

static dfx_status
expect(reader *in, char c, dfx_error *err)
{
    const char wanted[] = {'"', c, '"', '\0'};

    skip_spaces(in);
    if (*in->at != c)
        return malformed(in, wanted, err);
    in->at++;
    return DFX_OK;
}

/* NAME, NAME[i] or NAME[i,j]. */
static dfx_status
read_name(reader *in, int64_t *value, dfx_error *err)
{
    const char *name = in->at;
    size_t size = dfx_scope_word(name);
    int64_t i = 0, j = 0;
    size_t var;

    in->at += size;
    if (*in->at != '[') {
        var = var_index(in->scope, name, size);
        *value = var < in->scope->count
                     ? in->scope->vars[var].value
                     : value_of(in->scope->facts, name, size, 0, 0);
        return DFX_OK;
    }
    in->at++;
    DFX_TRY(read_binary(in, 1, &i, err));
    skip_spaces(in);
    if (*in->at == ',') {
        in->at++;
        DFX_TRY(read_binary(in, 1, &j, err));
    }
    DFX_TRY(expect(in, ']', err));
    *value = value_of(in->scope->facts, name, size, i, j);
    return DFX_OK;
}

static int64_t
read_number(reader *in)
{
    int64_t value = 0;

    for (; is_digit(*in->at); in->at++)
        value = add(multiply(value, 10), *in->at - '0');
    return value;
}

static dfx_status
read_operand(reader *in, int64_t *value, dfx_error *err)
{
    dfx_status status;
    char c;

    skip_spaces(in);
    c = *in->at;
    if (is_digit(c)) {
        *value = read_number(in);
        return DFX_OK;
    }
    if (in->depth == DEPTH_MAX)
        return malformed(in, "less nesting", err);
    in->depth++;
    if (starts_word(c)) {
        status = read_name(in, value, err);
    } else if (c == '(') {
        in->at++;
        status = read_binary(in, 1, value, err);
        if (status == DFX_OK)
            status = expect(in, ')', err);
    } else if (c == '!' || c == '-') {
        in->at++;
        status = read_operand(in, value, err);
        if (status == DFX_OK)
            *value = c == '!' ? *value == 0 : negate(*value);
    } else {
        status = malformed(in, "a value", err);
    }
    in->depth--;
    return status;
}

/* The operator at the cursor if it binds at least as tightly, else NONE. */
static oper
next_operator(const reader *in, int binds, size_t *size, int *found)
{
    for (size_t n = 0; n < sizeof operators / sizeof *operators; n++) {
        *size = strlen(operators[n].text);
        *found = operators[n].binds;
        if (strncmp(in->at, operators[n].text, *size) == 0)
            return *found >= binds ? operators[n].oper : OPER_NONE;
    }
    return OPER_NONE;
}

/* Precedence climbing: operators that bind at least as tightly as binds. */
static dfx_status
read_binary(reader *in, int binds, int64_t *value, dfx_error *err)
{
    DFX_TRY(read_operand(in, value, err));
    for (;;) {
        int64_t right = 0;
        size_t size;
        int found;
        oper op;

        skip_spaces(in);
        op = next_operator(in, binds, &size, &found);
        if (op == OPER_NONE)
            return DFX_OK;
        in->at += size;
        DFX_TRY(read_binary(in, found + 1, &right, err));
        *value = apply(op, *value, right);
    }
}

dfx_status
dfx_scope_eval(const dfx_scope *scope, const char **text, int64_t *value,
               dfx_error *err)
{
    reader in = {.scope = scope, .start = *text, .at = *text};
    int64_t result = 0;

    DFX_TRY(read_binary(&in, 1, &result, err));
    *text = in.at;
    *value = result;
    return DFX_OK;
}

dfx_status
dfx_facts_eval(const dfx_facts *facts, const char *text, int64_t *value,
               dfx_error *err)
{
    dfx_scope scope = {.facts = facts};
    const char *at = text;
    int64_t result = 0;

    DFX_TRY(dfx_scope_eval(&scope, &at, &result, err));
    if (*at != '\0')
        return dfx_fail(err, DFX_RULE_TABLE, DFX_NO_OFFSET,
                        "\"%s\": expected nothing more at \"%s\"", text, at);
    *value = result;
    return DFX_OK;
}
