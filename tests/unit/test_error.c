/*
 * test_error.c - filling in and printing errors; the table of rules
 */
#include <config.h>

#include "error.h"

#include <errno.h>
#include <stdlib.h>

#include "tap.h"

static void
test_print(void)
{
    dfx_error err;
    char buf[2000];

    CHECK(dfx_fail(&err, DFX_RULE_ST_OFFSETS_HOLE, 44, "found %d, expected %d",
                   5, 4) == DFX_ERR_FORMAT,
          "the status is the rule's");
    dfx_error_print(&err, buf, sizeof buf);
    CHECK_TEXT(buf, "found 5, expected 4 [st.offsets.hole at byte 44]",
               "printed without file and tensor");
    dfx_error_in_tensor(&err, "a.weight");
    dfx_error_in_tensor(&err, "another");
    dfx_error_in_file(&err, "x.safetensors");
    dfx_error_in_file(&err, "folder");
    dfx_error_print(&err, buf, sizeof buf);
    CHECK_TEXT(buf,
               "x.safetensors: tensor \"a.weight\": found 5, expected 4 "
               "[st.offsets.hole at byte 44]",
               "the first layer that knows a place names it");
    dfx_fail(&err, DFX_RULE_SHARD_PATH, DFX_NO_OFFSET, "bad");
    dfx_error_print(&err, buf, sizeof buf);
    CHECK_TEXT(buf, "bad [shard.path]", "a new fault forgets the old places");
    CHECK(err.status == DFX_ERR_UNSAFE, "and the old status");
    dfx_fail_usage(&err, "no %s", "way");
    dfx_error_print(&err, buf, sizeof buf);
    CHECK_TEXT(buf, "no way", "a fault without rule");
    dfx_fail_io(&err, ENOENT, "cannot open %s", "x");
    CHECK_TEXT(err.text, "cannot open x: No such file or directory",
               "a fault of the system has its reason");
    CHECK(dfx_fail_nomem(&err) == DFX_ERR_NOMEM, "memory ran out");
}

static void
test_no_error(void)
{
    CHECK(dfx_fail(NULL, DFX_RULE_IO_SHORT, 0, "x") == DFX_ERR_IO &&
              dfx_fail_usage(NULL, "x") == DFX_ERR_USAGE &&
              dfx_fail_nomem(NULL) == DFX_ERR_NOMEM &&
              dfx_fail_io(NULL, EIO, "x") == DFX_ERR_IO,
          "no error to fill in is fine");
    dfx_error_in_file(NULL, "x");
    dfx_error_in_tensor(NULL, "x");
    dfx_error_in_tensor_text(NULL, "x", 1);
}

/* Names come from files and go to terminals. */
static void
test_masking(void)
{
    char many[2 * DFX_ERROR_CHARS + 1], buf[8];
    dfx_error err;

    dfx_fail(&err, DFX_RULE_TABLE, 0, "a\x1b[31m\nb\x7f");
    CHECK_TEXT(err.text, "a?[31m?b?", "control characters become ?");
    dfx_fail(&err, DFX_RULE_TABLE, 0,
             "\xc2\x9b"
             "31m\xc2\xa0\xc3\x9b");
    CHECK_TEXT(err.text, "??31m\xc2\xa0\xc3\x9b", "those beyond ASCII, too");
    dfx_error_in_tensor_text(&err, "\xc3\xa9\n!", 3);
    CHECK_TEXT(err.tensor, "\xc3\xa9?", "others stay, and what is behind");

    for (size_t i = 0; i < sizeof many - 1; i += 2)
        memcpy(many + i, "\xc3\xa9", 2);
    many[sizeof many - 1] = '\0';
    dfx_error_in_file(&err, many);
    CHECK_U64(strlen(err.file), DFX_ERROR_CHARS - 2,
              "a long name is cut between characters");
    err.tensor[0] = '\0';
    dfx_error_in_tensor_text(&err, many, sizeof many - 1);
    CHECK_U64(strlen(err.tensor), DFX_ERROR_CHARS - 2,
              "also one that does not end in NUL");
    dfx_error_print(&err, buf, sizeof buf);
    CHECK_U64(strlen(buf), sizeof buf - 1, "printing ends with the buffer");
    dfx_error_print(&err, buf, 0);
}

static void
test_rules(void)
{
    const char *id = NULL, *demand = NULL;
    size_t count = 0, same = 0;

    while (dfx_rule_at(count, &id, &demand)) {
        const char *other = NULL, *unused = NULL;

        for (size_t i = 0; i < count; i++)
            if (dfx_rule_at(i, &other, &unused))
                same += strcmp(id, other) == 0;
        if (id[0] == '\0' || demand[0] == '\0')
            same++;
        count++;
    }
    CHECK_U64(count, DFX_RULE_COUNT - 1, "all rules are listed");
    CHECK_U64(same, 0, "each with an id of its own");
    CHECK_TEXT(dfx_rule_id(DFX_RULE_ST_NAME_NUL), "st.name.nul", "an id");
    CHECK_TEXT(dfx_rule_id(DFX_RULE_NONE), "", "the id of no rule");
    CHECK_TEXT(dfx_rule_id(DFX_RULE_COUNT), "", "and of none that exists");
}

int
main(void)
{
    test_print();
    test_no_error();
    test_masking();
    test_rules();
    return tap_end();
}
