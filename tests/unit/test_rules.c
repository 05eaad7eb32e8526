/*
 * test_rules.c - tables of names: expansion, matching, printing
 */
#include <config.h>

#include "rules.h"

#include <stdlib.h>

#include "registry.h"
#include "tap.h"

/* clang-format off */

static const dfx_row inner_rows[] = {
    DFX_ROW("norm{1|2}.{wb}",   "in.{0|3}.{wb}"),
    DFX_ROW("deep.{t}.",        "d{10*r+t}.", .loops = "t<T[b,r]", .rows = (const dfx_row[]){
        DFX_ROW("to_{q|k}.{wb}", "qk_{wb}", .op = DFX_OP_STACK),
        {0}}),
    {0},
};

static const dfx_row rows[] = {
    DFX_ROW("top.{wb}",                     "first.0.{wb}"),
    DFX_ROW("gone.weight",                  "gone.weight", .when = "N > 5"),
    DFX_ROW("plain",                        "renamed", .op = DFX_OP_TRANSPOSE),
    DFX_ROW("blocks.{b}.parts.{r}.",        "all.{1+b*(L+1)+r}.", .loops = "b<N, r<L", .rows = inner_rows),
    DFX_ROW("up.{b}.x",                     "up.{N-1-b}.y", .loops = "b<N", .when = "b != 1", .op = DFX_OP_CONV1X1),
    DFX_ROW("{enc|dec}.",                   "{e|d}.", .rows = (const dfx_row[]){
        DFX_ROW("{a|b}.weight", "{b|a}.weight"),
        {0}}),
    {0},
};

/* With N = 2, L = 1, T[0,0] = 1 by hand. */
static const dfx_pair want[] = {
    {"top.weight", "first.0.weight", DFX_OP_SAME, 0, 1},
    {"top.bias", "first.0.bias", DFX_OP_SAME, 0, 1},
    {"plain", "renamed", DFX_OP_TRANSPOSE, 0, 1},
    {"blocks.0.parts.0.norm1.weight", "all.1.in.0.weight", DFX_OP_SAME, 0, 1},
    {"blocks.0.parts.0.norm2.weight", "all.1.in.3.weight", DFX_OP_SAME, 0, 1},
    {"blocks.0.parts.0.norm1.bias", "all.1.in.0.bias", DFX_OP_SAME, 0, 1},
    {"blocks.0.parts.0.norm2.bias", "all.1.in.3.bias", DFX_OP_SAME, 0, 1},
    {"blocks.0.parts.0.deep.0.to_q.weight", "all.1.d0.qk_weight", DFX_OP_STACK, 0, 2},
    {"blocks.0.parts.0.deep.0.to_k.weight", "all.1.d0.qk_weight", DFX_OP_STACK, 1, 2},
    {"blocks.0.parts.0.deep.0.to_q.bias", "all.1.d0.qk_bias", DFX_OP_STACK, 0, 2},
    {"blocks.0.parts.0.deep.0.to_k.bias", "all.1.d0.qk_bias", DFX_OP_STACK, 1, 2},
    {"blocks.1.parts.0.norm1.weight", "all.3.in.0.weight", DFX_OP_SAME, 0, 1},
    {"blocks.1.parts.0.norm2.weight", "all.3.in.3.weight", DFX_OP_SAME, 0, 1},
    {"blocks.1.parts.0.norm1.bias", "all.3.in.0.bias", DFX_OP_SAME, 0, 1},
    {"blocks.1.parts.0.norm2.bias", "all.3.in.3.bias", DFX_OP_SAME, 0, 1},
    {"up.0.x", "up.1.y", DFX_OP_CONV1X1, 0, 1},
    {"enc.a.weight", "e.b.weight", DFX_OP_SAME, 0, 1},
    {"enc.b.weight", "e.a.weight", DFX_OP_SAME, 0, 1},
    {"dec.a.weight", "d.b.weight", DFX_OP_SAME, 0, 1},
    {"dec.b.weight", "d.a.weight", DFX_OP_SAME, 0, 1},
};

/* clang-format on */

static void
set_facts(dfx_facts *facts)
{
    if (dfx_facts_set(facts, "N", 0, 0, 2, NULL) != DFX_OK ||
        dfx_facts_set(facts, "L", 0, 0, 1, NULL) != DFX_OK ||
        dfx_facts_set(facts, "T", 0, 0, 1, NULL) != DFX_OK)
        abort();
}

static bool
same_pair(const dfx_pair *a, const dfx_pair *b)
{
    return strcmp(a->folder, b->folder) == 0 &&
           strcmp(a->original, b->original) == 0 && a->op == b->op &&
           a->part == b->part && a->parts == b->parts;
}

static void
test_expand(void)
{
    enum { WANT = sizeof want / sizeof *want };
    dfx_arena arena = {0};
    dfx_facts facts = {0};
    const dfx_pair *pairs = NULL;
    size_t count = 0;

    set_facts(&facts);
    CHECK(dfx_rules_expand(&arena, rows, &facts, &pairs, &count, NULL) ==
              DFX_OK,
          "a table expands");
    CHECK_U64(count, WANT, "to this many pairs");
    for (size_t i = 0; i < count && i < WANT; i++) {
        char what[256];

        snprintf(what, sizeof what, "pair %zu: %s = %s", i, want[i].folder,
                 want[i].original);
        if (!CHECK(same_pair(&pairs[i], &want[i]), what))
            printf("# got %s = %s, %s %u of %u\n", pairs[i].folder,
                   pairs[i].original, dfx_op_name(pairs[i].op), pairs[i].part,
                   pairs[i].parts);
    }
    dfx_facts_fini(&facts);
    dfx_arena_fini(&arena);
}

static void
test_translate(void)
{
    static const char *const none[] = {
        "",
        "top",
        "top.weights",
        "top.weight.",
        "blocks.0.parts.00.norm1.weight",
        "blocks.0.parts.x.norm1.weight",
        "blocks.0.parts.0.norm3.weight",
        "blocks.0.parts.9999999999.norm1.weight",
        "blocks.0.parts.0.",
        "enc.c.weight",
    };
    dfx_arena arena = {0};
    dfx_facts facts = {0};
    const char *name = NULL;
    size_t wrong = 0;

    set_facts(&facts);
    for (size_t i = 0; i < sizeof want / sizeof *want; i++)
        wrong += dfx_rules_translate(&arena, rows, &facts, want[i].folder,
                                     &name, NULL) != DFX_OK ||
                 name == NULL || strcmp(name, want[i].original) != 0;
    CHECK_U64(wrong, 0, "each pair's Diffusers name gives its original one");
    for (size_t i = 0; i < sizeof none / sizeof *none; i++) {
        char what[128];

        snprintf(what, sizeof what, "no row fits \"%s\"", none[i]);
        name = "x";
        CHECK(dfx_rules_translate(&arena, rows, &facts, none[i], &name, NULL) ==
                      DFX_OK &&
                  name == NULL,
              what);
    }
    CHECK(dfx_rules_translate(&arena, rows, &facts,
                              "blocks.7.parts.5.norm2.bias", &name,
                              NULL) == DFX_OK &&
              name != NULL && strcmp(name, "all.20.in.3.bias") == 0,
          "ranges are not checked: 1 + 7 * 2 + 5 = 20");
    CHECK(dfx_rules_translate(&arena, rows, &facts, "gone.weight", &name,
                              NULL) == DFX_OK &&
              name != NULL,
          "nor are conditions");
    dfx_facts_fini(&facts);
    dfx_arena_fini(&arena);
}

/* clang-format off */
static const struct {
    const char *what;
    dfx_row row;
} malformed[] = {
    {"an open brace", DFX_ROW("a.{b", "a")},
    {"an unknown group", DFX_ROW("a.{}", "a")},
    {"{wb} on one side", DFX_ROW("a.{wb}", "a.weight")},
    {"alternatives on one side", DFX_ROW("{a|b}", "a")},
    {"more alternatives on one side", DFX_ROW("{a|b}", "{a|b|c}")},
    {"two groups of alternatives", DFX_ROW("{a|b}{c|d}", "{a|b}")},
    {"a stack without parts", DFX_ROW("a", "a", .op = DFX_OP_STACK)},
    {"a stack with parts on both sides", DFX_ROW("{a|b}", "{a|b}", .op = DFX_OP_STACK)},
    {"an operation on rows", DFX_ROW("a", "a", .op = DFX_OP_TRANSPOSE, .rows = inner_rows)},
    {"a loop without a bound", DFX_ROW("a", "a", .loops = "b")},
    {"a loop without an end", DFX_ROW("a", "a", .loops = "b<2;")},
    {"a loop inside its like", DFX_ROW("a", "a", .loops = "b<2, b<2")},
    {"nine loops", DFX_ROW("a", "a", .loops = "a<1,b<1,c<1,d<1,e<1,f<1,g<1,h<1,i<1")},
    {"a condition with a tail", DFX_ROW("a", "a", .when = "1 1")},
};
/* clang-format on */

static void
test_malformed(void)
{
    dfx_facts facts = {0};

    for (size_t i = 0; i < sizeof malformed / sizeof *malformed; i++) {
        const dfx_row table[] = {malformed[i].row, {0}};
        dfx_arena arena = {0};
        const dfx_pair *pairs = NULL;
        size_t count = 0;
        dfx_error err = {0};

        if (!CHECK(dfx_rules_expand(&arena, table, &facts, &pairs, &count,
                                    &err) == DFX_ERR_USAGE &&
                       strcmp(err.rule, "table") == 0,
                   malformed[i].what))
            printf("# %s\n", err.text);
        dfx_arena_fini(&arena);
    }
}

static void
test_print(void)
{
    static const char expected[] =
        "top.{wb}\tfirst.0.{wb}\t\tsame\n"
        "gone.weight\tgone.weight\tif N > 5\tsame\n"
        "plain\trenamed\t\ttranspose\n"
        "blocks.{b}.parts.{r}.norm{1|2}.{wb}\t"
        "all.{1+b*(L+1)+r}.in.{0|3}.{wb}\tb<N, r<L\tsame\n"
        "blocks.{b}.parts.{r}.deep.{t}.to_{q|k}.{wb}\t"
        "all.{1+b*(L+1)+r}.d{10*r+t}.qk_{wb}\tb<N, r<L, t<T[b,r]\tstack\n"
        "up.{b}.x\tup.{N-1-b}.y\tb<N, if b != 1\tconv1x1\n"
        "{enc|dec}.{a|b}.weight\t{e|d}.{b|a}.weight\t\tsame\n";
    dfx_text out = {0};

    dfx_rules_print(rows, &out);
    CHECK_TEXT(out.data, expected, "a table prints with nested rows joined");
    dfx_text_fini(&out);
}

/* Every table and every condition of every kind can be read, whatever the
   facts: those of no source, and of one that claims absurd numbers. */
static void
check_kind(const dfx_kind *kind, const dfx_facts *facts)
{
    dfx_arena arena = {0};
    const dfx_pair *pairs = NULL;
    size_t count = 0;
    dfx_error err = {0};
    const dfx_variant_row *row = kind->variants;
    bool good =
        kind->rows == NULL || dfx_rules_expand(&arena, kind->rows, facts,
                                               &pairs, &count, &err) == DFX_OK;

    for (; row != NULL && row->family != NULL && good; row++) {
        int64_t holds;

        good = row->when == NULL ||
               dfx_facts_eval(facts, row->when, &holds, &err) == DFX_OK;
    }
    if (!CHECK(good, kind->name))
        printf("# %s\n", err.text);
    dfx_arena_fini(&arena);
}

static void
test_kinds(void)
{
    dfx_facts facts = {0};
    const dfx_kind *kind;
    size_t count = 0;

    for (; (kind = dfx_kind_at(count)) != NULL; count++) {
        check_kind(kind, &facts);
        CHECK(kind->signature_count > 0 && kind->component != NULL &&
                  kind->weights != NULL && kind->summary != NULL &&
                  dfx_kind_named(kind->name) == kind,
              "is complete, and found by its name");
    }
    /* All conditions on; loops stay short. */
    for (const char *const *name =
             (const char *const[]){"adm", "text_time", "classes", "cond", "MA",
                                   "proj", "quant", "post_quant", NULL};
         *name != NULL; name++)
        if (dfx_facts_set(&facts, *name, 0, 0, INT64_MAX, NULL) != DFX_OK)
            abort();
    for (size_t i = 0; i < count; i++)
        check_kind(dfx_kind_at(i), &facts);
    dfx_facts_fini(&facts);
}

int
main(void)
{
    test_expand();
    test_translate();
    test_malformed();
    test_print();
    test_kinds();
    return tap_end();
}
