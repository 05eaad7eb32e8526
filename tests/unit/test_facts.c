/*
 * test_facts.c - facts by name, and expressions over them
 */
#include <config.h>

#include "rules.h"

#include <stdlib.h>

#include "tap.h"

static void
test_table(void)
{
    dfx_facts facts = {0};
    size_t wrong = 0;

    CHECK_U64((uint64_t)dfx_facts_get(&facts, "N", 0, 0), 0,
              "a fact never set is 0");
    for (int64_t i = 0; i < 40; i++)
        for (int64_t j = 0; j < 40; j++)
            wrong +=
                dfx_facts_set(&facts, "TD", i, j, 100 * i + j, NULL) != DFX_OK;
    for (int64_t i = 0; i < 40; i++)
        for (int64_t j = 0; j < 40; j++)
            wrong += dfx_facts_get(&facts, "TD", i, j) != 100 * i + j;
    CHECK_U64(wrong, 0, "1600 facts of one name are kept apart");
    CHECK(dfx_facts_set(&facts, "TD", 3, 5, -7, NULL) == DFX_OK &&
              dfx_facts_get(&facts, "TD", 3, 5) == -7,
          "a fact set again changes");
    CHECK_U64(facts.count, 1600, "and is not counted twice");
    dfx_facts_fini(&facts);
    CHECK(facts.count == 0 && facts.items == NULL, "released");
}

/* Facts: N = 4, L = 2, ctx = 768, C[1] = 640, TD[2,1] = 10, big = INT64_MAX,
   small = INT64_MIN. */
static const struct {
    const char *text;
    int64_t want;
} good[] = {
    {"0", 0},
    {" 42 ", 42},
    {"N", 4},
    {"unknown", 0},
    {"C[1]", 640},
    {"C[0]", 0},
    {"C[N-3]", 640},
    {"TD[2,1]", 10},
    {"TD[ L , 1 ]", 10},
    {"1+2*3", 7},
    {"(1+2)*3", 9},
    {"10-4-3", 3},
    {"100/10/5", 2},
    {"7/2", 3},
    {"-7/2", -3},
    {"-N", -4},
    {"--N", 4},
    {"2 - -1", 3},
    {"!N", 0},
    {"!!N", 1},
    {"!unknown + 1", 2},
    {"1 < 2", 1},
    {"2 <= 1", 0},
    {"2 >= 2", 1},
    {"N > 5", 0},
    {"1+1 == 2", 1},
    {"1 != 1", 0},
    {"ctx == 768 && !lin", 1},
    {"ctx == 1024 || N == 4", 1},
    /* && binds tighter than ||, comparison than both, as in C */
    {"1 || 0 && 0", 1},
    {"(1 || 0) && 0", 0},
    {"1 < 2 == 1", 1},
    {"N-1-1*(L+1)", 0},
    /* saturating, and x/0 is 0 */
    {"big + 1", INT64_MAX},
    {"small - 1", INT64_MIN},
    {"big * 2", INT64_MAX},
    {"big * -2", INT64_MIN},
    {"-small", INT64_MAX},
    {"small / -1", INT64_MAX},
    {"99999999999999999999", INT64_MAX},
    {"N / 0", 0},
    {"N / unknown", 0},
};

static const char *const bad[] = {
    "",
    " ",
    "+",
    "1 +",
    "(1",
    "1)",
    "N[",
    "N[1",
    "N[1,",
    "N[1,2,3]",
    "N[]",
    "1 2",
    "N M",
    "a|b",
    "1 & 2",
    "1 = 2",
    "a.b",
    "\"x\"",
    "1 <",
    "!",
    "-",
    "((((((((((((((((((((1))))))))))))))))))))",
    "--------------------1",
};

static void
test_expressions(void)
{
    dfx_facts facts = {0};
    dfx_error err = {0};
    size_t failed = 0;
    const struct {
        const char *name;
        int64_t i, j, value;
    } set[] = {
        {"N", 0, 0, 4},
        {"L", 0, 0, 2},
        {"ctx", 0, 0, 768},
        {"C", 1, 0, 640},
        {"TD", 2, 1, 10},
        {"big", 0, 0, INT64_MAX},
        {"small", 0, 0, INT64_MIN},
    };

    for (size_t i = 0; i < sizeof set / sizeof *set; i++)
        failed += dfx_facts_set(&facts, set[i].name, set[i].i, set[i].j,
                                set[i].value, NULL) != DFX_OK;
    CHECK_U64(failed, 0, "facts are set");
    for (size_t i = 0; i < sizeof good / sizeof *good; i++) {
        int64_t value = 12345;

        CHECK(dfx_facts_eval(&facts, good[i].text, &value, NULL) == DFX_OK &&
                  value == good[i].want,
              good[i].text);
    }
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        int64_t value = 12345;
        char what[128];

        snprintf(what, sizeof what, "refused, and says so: \"%s\"", bad[i]);
        CHECK(dfx_facts_eval(&facts, bad[i], &value, &err) == DFX_ERR_USAGE &&
                  strcmp(err.rule, "table") == 0 && value == 12345,
              what);
    }
    dfx_facts_fini(&facts);
}

int
main(void)
{
    test_table();
    test_expressions();
    return tap_end();
}
