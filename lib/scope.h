/*
 * scope.h - evaluating the expressions of tables
 *
 * The language is that of rules.h. Arithmetic saturates and x/0 is 0, so that
 * no number that a file claims can make an expression fail: only a malformed
 * table can.
 */
#ifndef DFX_SCOPE_H
#define DFX_SCOPE_H

#include "rules.h"

enum { DFX_SCOPE_VARS = 8 }; /* loops inside one another, over nested rows */

/* What the names in an expression mean: loop variables, then facts. */
typedef struct dfx_scope {
    const dfx_facts *facts; /* borrowed */
    struct {
        const char *name; /* borrowed: in the table; not NUL-terminated */
        size_t size;
        int64_t value;
    } vars[DFX_SCOPE_VARS];
    size_t count;
} dfx_scope;

/* Length of the identifier that text starts with; 0 if it is none. */
size_t dfx_scope_word(const char *text);

/* A loop variable's value; NULL if there is none of that name. Borrowed. */
int64_t *dfx_scope_var(dfx_scope *scope, const char *name, size_t size);

/* Adds a loop variable; it hides nothing. DFX_RULE_TABLE if there are too
   many or the name is taken. */
DFX_CHECKED dfx_status dfx_scope_push(dfx_scope *scope, const char *name,
                                      size_t size, int64_t value,
                                      dfx_error *err);

/*
 * Evaluates the expression that *text starts with and leaves *text at the first
 * character that cannot belong to it (spaces are skipped).
 */
DFX_CHECKED dfx_status dfx_scope_eval(const dfx_scope *scope, const char **text,
                                      int64_t *value, dfx_error *err);

#endif
