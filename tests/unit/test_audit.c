/*
 * test_audit.c - concerns and verdicts
 */
#include <config.h>

#include "audit.h"

#include <string.h>

#include "tap.h"

/* The last concern, as text: "VERDICT RULE GLOBAL WHERE: REASON". */
static void
note(void *context, const dfx_concern *c)
{
    snprintf(context, 4096, "%s %s %s %s: %s", dfx_verdict_name(c->verdict),
             c->rule, c->global != NULL ? c->global : "-", c->where, c->reason);
}

static void
test_report(void)
{
    static char text[4096];
    dfx_audit audit = {.found = note, .context = text, .where = "x/data.pkl"};

    dfx_audit_report(&audit, DFX_VERDICT_SUSPICIOUS, DFX_RULE_FOLDER_CODE,
                     "a.b", 7, "found %d", 3);
    CHECK_TEXT(text, "suspicious folder.code a.b x/data.pkl: found 3",
               "a concern is told");
    CHECK_U64(audit.verdict, DFX_VERDICT_SUSPICIOUS, "and is the verdict");
    dfx_audit_report(&audit, DFX_VERDICT_CANNOT_TELL, DFX_RULE_FOLDER_FILE,
                     NULL, 9, "else");
    CHECK_TEXT(text, "cannot-tell folder.unknown-file - x/data.pkl: else",
               "so is a lesser one");
    CHECK_U64(audit.verdict, DFX_VERDICT_SUSPICIOUS, "which changes nothing");
    CHECK_TEXT(audit.worst.tensor, "a.b", "the worst is kept");
    dfx_audit_report(&audit, DFX_VERDICT_DANGEROUS, DFX_RULE_FOLDER_CODE,
                     "os.\x1b[1m", 7, "x");
    CHECK(strchr(text, '\x1b') == NULL, "text of files is masked");
    CHECK_U64(audit.verdict, DFX_VERDICT_DANGEROUS, "a worse one counts");
}

static void
test_fault(void)
{
    static char text[4096];
    dfx_audit audit = {.found = note, .context = text, .where = ""};
    dfx_error fault;

    dfx_fail(&fault, DFX_RULE_ST_DATA_TAIL, 5, "more");
    dfx_error_in_tensor(&fault, "t");
    dfx_error_in_file(&fault, "f");
    dfx_audit_fault(&audit, DFX_VERDICT_CANNOT_TELL, "f", &fault);
    CHECK_TEXT(text, "cannot-tell st.data.tail - : tensor \"t\": more",
               "a fault of the file itself");
    dfx_audit_fault(&audit, DFX_VERDICT_CANNOT_TELL, "g", &fault);
    CHECK_TEXT(text, "cannot-tell st.data.tail - : f: tensor \"t\": more",
               "or of one that it names");
    audit.found = NULL;
    dfx_audit_fault(&audit, DFX_VERDICT_DANGEROUS, "g", &fault);
    CHECK_U64(audit.verdict, DFX_VERDICT_DANGEROUS,
              "nobody need be told for a verdict");
}

static void
test_names(void)
{
    CHECK_TEXT(dfx_verdict_name(DFX_VERDICT_SAFE), "safe", "the best");
    CHECK_TEXT(dfx_verdict_name((dfx_verdict)9), "?", "none");
}

int
main(void)
{
    test_report();
    test_fault();
    test_names();
    return tap_end();
}
