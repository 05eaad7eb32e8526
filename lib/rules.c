/*
 * rules.c - expanding, matching and printing tables of names
 *
 * A row is taken apart each time it is used: its texts are a few dozen bytes,
 * and the parts before nested rows are written once for all of these. A UNet of
 * 1680 tensors expands in well under a millisecond.
 */
#include <config.h>

#include "scope.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

enum {
    DEPTH_MAX = 8,      /* of rows in rows */
    PAIRS_MAX = 1 << 18 /* of a table; the largest model has some thousands */
};

static const char *const op_names[] = {
    [DFX_OP_SAME] = "same",
    [DFX_OP_CONV1X1] = "conv1x1",
    [DFX_OP_TRANSPOSE] = "transpose",
    [DFX_OP_STACK] = "stack",
};

static const char *const wb_words[] = {"weight", "bias"};

const char *
dfx_op_name(dfx_op op)
{
    return op_names[op];
}

static dfx_status
malformed(const dfx_row *row, const char *why, dfx_error *err)
{
    return dfx_fail(err, DFX_RULE_TABLE, DFX_NO_OFFSET, "row \"%s\": %s",
                    row->folder, why);
}

/* ---- Groups in braces -------------------------------------------------- */

typedef enum group_kind {
    GROUP_NONE, /* no brace was opened, or none closed */
    GROUP_EXPR,
    GROUP_WB,
    GROUP_ALTERNATIVES
} group_kind;

typedef struct group {
    group_kind kind;
    const char *text; /* behind the opening brace */
    size_t size;      /* up to the closing one */
} group;

/* The group that *at, an opening brace, starts; *at moves behind it. */
static group
read_group(const char **at)
{
    group g = {.text = *at + 1};

    g.size = strcspn(g.text, "}");
    if (g.text[g.size] == '\0')
        return g;
    *at = g.text + g.size + 1;
    g.kind = GROUP_EXPR;
    if (g.size == 2 && memcmp(g.text, "wb", 2) == 0)
        g.kind = GROUP_WB;
    for (size_t i = 0; i < g.size && g.kind == GROUP_EXPR; i++) {
        if (g.text[i] != '|')
            continue;
        if (g.text[i + 1] == '|')
            i++; /* the operator */
        else
            g.kind = GROUP_ALTERNATIVES;
    }
    return g;
}

/* The k-th alternative; its size in *size. */
static const char *
alternative(const group *g, uint32_t k, size_t *size)
{
    const char *at = g->text;

    while (k-- > 0)
        at += strcspn(at, "|}") + 1;
    *size = strcspn(at, "|}");
    return at;
}

/* What one name of a row varies over besides the loops. */
typedef struct variety {
    bool wb;
    uint32_t alternatives; /* 0: no group of them */
} variety;

static dfx_status
survey(const dfx_row *row, const char *name, variety *out, dfx_error *err)
{
    const char *at = name;

    *out = (variety){0};
    while (*(at += strcspn(at, "{")) != '\0') {
        group g = read_group(&at);

        if (g.kind == GROUP_NONE)
            return malformed(row, "a brace is not closed", err);
        if (g.kind == GROUP_WB)
            out->wb = true;
        if (g.kind != GROUP_ALTERNATIVES)
            continue;
        if (out->alternatives > 0)
            return malformed(row, "two groups of alternatives", err);
        out->alternatives = 1;
        for (size_t i = 0; i < g.size; i++)
            out->alternatives += g.text[i] == '|';
    }
    return DFX_OK;
}

/* The variety of a row, whose two names must agree about it. */
static dfx_status
survey_row(const dfx_row *row, variety *out, dfx_error *err)
{
    variety original;

    DFX_TRY(survey(row, row->folder, out, err));
    DFX_TRY(survey(row, row->original, &original, err));
    if (out->wb != original.wb)
        return malformed(row, "{wb} on one side only", err);
    if (row->op == DFX_OP_STACK) {
        if (out->alternatives == 0 || original.alternatives != 0 ||
            row->rows != NULL)
            return malformed(row,
                             "a stack's parts are alternatives of the "
                             "folder's name alone",
                             err);
    } else if (out->alternatives != original.alternatives) {
        return malformed(row, "sides differ in their alternatives", err);
    }
    if (row->rows != NULL && row->op != DFX_OP_SAME)
        return malformed(row, "an operation on a row that holds rows", err);
    return DFX_OK;
}

/* ---- Writing names ----------------------------------------------------- */

/* A choice among what a row varies over, and the loop variables. */
typedef struct choice {
    dfx_scope scope;
    uint32_t wb, alternative;
} choice;

static dfx_status
group_value(const dfx_scope *scope, const group *g, int64_t *value,
            dfx_error *err)
{
    const char *at = g->text;

    DFX_TRY(dfx_scope_eval(scope, &at, value, err));
    if (at != g->text + g->size)
        return dfx_fail(err, DFX_RULE_TABLE, DFX_NO_OFFSET,
                        "\"{%s\": expected a brace at \"%s\"", g->text, at);
    return DFX_OK;
}

static void
add_number(dfx_text *out, int64_t value)
{
    char digits[24];
    size_t at = sizeof digits;
    uint64_t rest = value < 0 ? -(uint64_t)value : (uint64_t)value;

    do
        digits[--at] = (char)('0' + rest % 10);
    while ((rest /= 10) != 0);
    if (value < 0)
        digits[--at] = '-';
    dfx_text_add(out, digits + at, sizeof digits - at);
}

/* Appends a name of a surveyed row. */
static dfx_status
write_name(const choice *c, const char *name, dfx_text *out, dfx_error *err)
{
    for (;;) {
        size_t plain = strcspn(name, "{"), size;
        const char *text;
        int64_t value = 0;
        group g;

        dfx_text_add(out, name, plain);
        name += plain;
        if (*name == '\0')
            return out->failed ? dfx_fail_nomem(err) : DFX_OK;
        g = read_group(&name);
        if (g.kind == GROUP_WB) {
            dfx_text_puts(out, wb_words[c->wb]);
        } else if (g.kind == GROUP_ALTERNATIVES) {
            text = alternative(&g, c->alternative, &size);
            dfx_text_add(out, text, size);
        } else {
            DFX_TRY(group_value(&c->scope, &g, &value, err));
            add_number(out, value);
        }
    }
}

static void
cut(dfx_text *text, size_t size)
{
    text->size = size;
    if (text->data != NULL)
        text->data[size] = '\0';
}

/* Reads "b<N" and the comma behind it from *loops. */
static dfx_status
read_loop(const dfx_scope *scope, const char **loops, const char **name,
          size_t *size, int64_t *bound, dfx_error *err)
{
    const char *at = *loops + strspn(*loops, " ");

    *name = at;
    *size = dfx_scope_word(at);
    if (*size == 0 || at[*size] != '<')
        return dfx_fail(err, DFX_RULE_TABLE, DFX_NO_OFFSET,
                        "loop \"%s\": expected NAME<BOUND", at);
    at += *size + 1;
    DFX_TRY(dfx_scope_eval(scope, &at, bound, err));
    if (*at == ',')
        at++;
    else if (*at != '\0')
        return dfx_fail(err, DFX_RULE_TABLE, DFX_NO_OFFSET,
                        "loop \"%s\": expected a comma at \"%s\"", *loops, at);
    *loops = at;
    return DFX_OK;
}

/* ---- Expanding --------------------------------------------------------- */

typedef struct expansion {
    choice choice;
    dfx_arena *arena; /* for the names */
    dfx_text folder;  /* owned; as are the next two */
    dfx_text original;
    dfx_pair *pairs;
    size_t count, capacity;
    int depth;
} expansion;

static dfx_status expand_rows(expansion *x, const dfx_row *rows,
                              dfx_error *err);

static dfx_status
emit(expansion *x, const dfx_row *row, uint32_t parts, dfx_error *err)
{
    bool stack = row->op == DFX_OP_STACK;
    dfx_pair *pair;

    if (x->count == PAIRS_MAX)
        return dfx_fail(err, DFX_RULE_LIMIT_INDEX, DFX_NO_OFFSET,
                        "a model of more than %d tensors", PAIRS_MAX);
    if (!dfx_grow(&x->pairs, &x->capacity, x->count, sizeof *x->pairs))
        return dfx_fail_nomem(err);
    pair = &x->pairs[x->count];
    *pair = (dfx_pair){
        .folder = dfx_arena_strndup(x->arena, x->folder.data, x->folder.size),
        .original =
            dfx_arena_strndup(x->arena, x->original.data, x->original.size),
        .op = row->op,
        .part = stack ? x->choice.alternative : 0,
        .parts = stack ? parts : 1,
    };
    if (pair->folder == NULL || pair->original == NULL)
        return dfx_fail_nomem(err);
    x->count++;
    return DFX_OK;
}

/* One choice: writes both names, then the pair or the rows inside. */
static dfx_status
expand_choice(expansion *x, const dfx_row *row, uint32_t wb, uint32_t k,
              uint32_t parts, dfx_error *err)
{
    size_t folder = x->folder.size, original = x->original.size;

    x->choice.wb = wb;
    x->choice.alternative = k;
    DFX_TRY(write_name(&x->choice, row->folder, &x->folder, err));
    DFX_TRY(write_name(&x->choice, row->original, &x->original, err));
    if (row->rows != NULL)
        DFX_TRY(expand_rows(x, row->rows, err));
    else
        DFX_TRY(emit(x, row, parts, err));
    cut(&x->folder, folder);
    cut(&x->original, original);
    return DFX_OK;
}

static dfx_status
expand_body(expansion *x, const dfx_row *row, const variety *v, dfx_error *err)
{
    uint32_t parts = v->alternatives == 0 ? 1 : v->alternatives;

    if (row->when != NULL) {
        const char *at = row->when;
        int64_t holds = 0;

        DFX_TRY(dfx_scope_eval(&x->choice.scope, &at, &holds, err));
        if (*at != '\0')
            return malformed(row, "its condition ends early", err);
        if (holds == 0)
            return DFX_OK;
    }
    for (uint32_t wb = 0; wb < (v->wb ? 2u : 1u); wb++)
        for (uint32_t k = 0; k < parts; k++)
            DFX_TRY(expand_choice(x, row, wb, k, parts, err));
    return DFX_OK;
}

/* Runs the first of the loops, and inside it the others. As deep as a scope
   has room for variables. */
static dfx_status
expand_loops(expansion *x, const dfx_row *row, const char *loops,
             const variety *v, dfx_error *err)
{
    dfx_scope *scope = &x->choice.scope;
    const char *name;
    size_t size, outer = scope->count;
    int64_t bound = 0;

    if (loops == NULL || *loops == '\0')
        return expand_body(x, row, v, err);
    DFX_TRY(read_loop(scope, &loops, &name, &size, &bound, err));
    DFX_TRY(dfx_scope_push(scope, name, size, 0, err));
    for (int64_t i = 0; i < bound; i++) {
        scope->vars[outer].value = i;
        DFX_TRY(expand_loops(x, row, loops, v, err));
    }
    scope->count = outer;
    return DFX_OK;
}

static dfx_status
expand_rows(expansion *x, const dfx_row *rows, dfx_error *err)
{
    if (x->depth == DEPTH_MAX)
        return malformed(rows, "too many rows in one another", err);
    x->depth++;
    for (const dfx_row *row = rows; row->folder != NULL; row++) {
        variety v;

        DFX_TRY(survey_row(row, &v, err));
        DFX_TRY(expand_loops(x, row, row->loops, &v, err));
    }
    x->depth--;
    return DFX_OK;
}

dfx_status
dfx_rules_expand(dfx_arena *arena, const dfx_row *rows, const dfx_facts *facts,
                 const dfx_pair **pairs, size_t *count, dfx_error *err)
{
    expansion x = {.choice.scope.facts = facts, .arena = arena};
    dfx_status status = expand_rows(&x, rows, err);

    if (status == DFX_OK) {
        dfx_pair *copy = dfx_arena_array(arena, x.count, sizeof *copy);

        if (copy == NULL) {
            status = dfx_fail_nomem(err);
        } else {
            if (x.count > 0)
                memcpy(copy, x.pairs, x.count * sizeof *copy);
            *pairs = copy;
            *count = x.count;
        }
    }
    free(x.pairs);
    dfx_text_fini(&x.folder);
    dfx_text_fini(&x.original);
    return status;
}

/* ---- Matching ---------------------------------------------------------- */

typedef struct matching {
    choice choice;
    dfx_text original; /* owned: the name as far as it is known */
    int depth;
} matching;

static bool
skip_text(const char **name, const char *text, size_t size)
{
    if (strncmp(*name, text, size) != 0)
        return false;
    *name += size;
    return true;
}

/* Digits without a leading zero, few enough for any model. */
static bool
skip_number(const char **name, int64_t *value)
{
    size_t size = strspn(*name, "0123456789");

    if (size == 0 || size > 9 || (size > 1 && **name == '0'))
        return false;
    *value = strtoll(*name, NULL, 10);
    *name += size;
    return true;
}

/* True in *found if one of the loops is over that variable. */
static dfx_status
loops_over(const dfx_scope *scope, const char *loops, const group *g,
           bool *found, dfx_error *err)
{
    *found = false;
    while (loops != NULL && *loops != '\0' && !*found) {
        const char *name;
        size_t size;
        int64_t bound = 0;

        DFX_TRY(read_loop(scope, &loops, &name, &size, &bound, err));
        *found = size == g->size && memcmp(name, g->text, size) == 0;
    }
    return DFX_OK;
}

/*
 * An expression: a variable that the row loops over and that has no value yet
 * takes the number that stands there; all else must equal it.
 */
static dfx_status
match_expression(matching *m, const dfx_row *row, const group *g,
                 const char **name, bool *fits, dfx_error *err)
{
    dfx_scope *scope = &m->choice.scope;
    int64_t there, value = 0;
    bool binds = false;

    *fits = skip_number(name, &there);
    if (!*fits)
        return DFX_OK;
    if (dfx_scope_var(scope, g->text, g->size) == NULL)
        DFX_TRY(loops_over(scope, row->loops, g, &binds, err));
    if (binds)
        return dfx_scope_push(scope, g->text, g->size, there, err);
    DFX_TRY(group_value(scope, g, &value, err));
    *fits = there == value;
    return DFX_OK;
}

/* Matches the start of *name against a row's Diffusers name. */
static dfx_status
match_name(matching *m, const dfx_row *row, const char **name, bool *fits,
           dfx_error *err)
{
    const char *at = row->folder;

    for (;;) {
        size_t plain = strcspn(at, "{"), size;
        const char *text;
        group g;

        *fits = skip_text(name, at, plain);
        at += plain;
        if (!*fits || *at == '\0')
            return DFX_OK;
        g = read_group(&at);
        if (g.kind == GROUP_WB) {
            text = wb_words[m->choice.wb];
            *fits = skip_text(name, text, strlen(text));
        } else if (g.kind == GROUP_ALTERNATIVES) {
            text = alternative(&g, m->choice.alternative, &size);
            *fits = skip_text(name, text, size);
        } else {
            DFX_TRY(match_expression(m, row, &g, name, fits, err));
        }
        if (!*fits)
            return DFX_OK;
    }
}

static dfx_status match_rows(matching *m, const dfx_row *rows, const char *name,
                             bool *fits, dfx_error *err);

static dfx_status
match_choice(matching *m, const dfx_row *row, const char *name, bool *fits,
             dfx_error *err)
{
    size_t outer = m->choice.scope.count, size = m->original.size;

    DFX_TRY(match_name(m, row, &name, fits, err));
    if (*fits && (row->rows != NULL || *name == '\0')) {
        DFX_TRY(write_name(&m->choice, row->original, &m->original, err));
        if (row->rows == NULL)
            return DFX_OK;
        DFX_TRY(match_rows(m, row->rows, name, fits, err));
        if (*fits)
            return DFX_OK;
    }
    *fits = false;
    m->choice.scope.count = outer;
    cut(&m->original, size);
    return DFX_OK;
}

/* The first row, or row inside a row, that the whole of name fits. */
static dfx_status
match_rows(matching *m, const dfx_row *rows, const char *name, bool *fits,
           dfx_error *err)
{
    if (m->depth == DEPTH_MAX)
        return malformed(rows, "too many rows in one another", err);
    m->depth++;
    *fits = false;
    for (const dfx_row *row = rows; row->folder != NULL && !*fits; row++) {
        size_t plain = strcspn(row->folder, "{");
        variety v;

        if (strncmp(name, row->folder, plain) != 0)
            continue; /* most rows, seen at once */
        DFX_TRY(survey_row(row, &v, err));
        for (uint32_t wb = 0; wb < (v.wb ? 2u : 1u) && !*fits; wb++)
            for (uint32_t k = 0; k == 0 || (k < v.alternatives && !*fits);
                 k++) {
                m->choice.wb = wb;
                m->choice.alternative = k;
                DFX_TRY(match_choice(m, row, name, fits, err));
            }
    }
    m->depth--;
    return DFX_OK;
}

dfx_status
dfx_rules_translate(dfx_arena *arena, const dfx_row *rows,
                    const dfx_facts *facts, const char *folder,
                    const char **original, dfx_error *err)
{
    matching m = {.choice.scope.facts = facts};
    bool fits = false;
    dfx_status status = match_rows(&m, rows, folder, &fits, err);

    if (status == DFX_OK) {
        const char *name = NULL;

        if (fits) {
            name = dfx_arena_strndup(arena, m.original.data, m.original.size);
            if (name == NULL)
                status = dfx_fail_nomem(err);
        }
        if (status == DFX_OK)
            *original = name;
    }
    dfx_text_fini(&m.original);
    return status;
}

/* ---- Printing ---------------------------------------------------------- */

/* The rows around the one being printed, outermost first. */
typedef struct nest {
    const dfx_row *rows[DEPTH_MAX];
    int depth;
} nest;

static void
print_where(const nest *around, dfx_text *out)
{
    const char *between = "";

    for (int i = 0; i < around->depth; i++)
        if (around->rows[i]->loops != NULL) {
            dfx_text_printf(out, "%s%s", between, around->rows[i]->loops);
            between = ", ";
        }
    for (int i = 0; i < around->depth; i++)
        if (around->rows[i]->when != NULL) {
            dfx_text_printf(out, "%sif %s", between, around->rows[i]->when);
            between = ", ";
        }
}

static void
print_rows(nest *around, const dfx_row *rows, dfx_text *out)
{
    if (around->depth == DEPTH_MAX)
        return; /* refused by expansion */
    for (const dfx_row *row = rows; row->folder != NULL; row++) {
        around->rows[around->depth++] = row;
        if (row->rows != NULL) {
            print_rows(around, row->rows, out);
        } else {
            for (int i = 0; i < around->depth; i++)
                dfx_text_puts(out, around->rows[i]->folder);
            dfx_text_puts(out, "\t");
            for (int i = 0; i < around->depth; i++)
                dfx_text_puts(out, around->rows[i]->original);
            dfx_text_puts(out, "\t");
            print_where(around, out);
            dfx_text_printf(out, "\t%s\n", dfx_op_name(row->op));
        }
        around->depth--;
    }
}

void
dfx_rules_print(const dfx_row *rows, dfx_text *out)
{
    nest around = {.depth = 0};

    print_rows(&around, rows, out);
}
