/*
 * inspect_pickle.c - the opcodes of pickles, for people
 */
#include <config.h>

#include "inspect.h"

typedef struct listing {
    const dfx_inspect *asked;
    bool started;
} listing;

/* A dfx_line_fn. */
static void
print_line(void *context, const char *line)
{
    listing *l = context;
    bool is_heading = line[0] == '#';

    if (is_heading && l->started)
        putchar('\n');
    l->started = true;
    if (is_heading)
        fputs(l->asked->colours.heading, stdout);
    dfx_put(stdout, line);
    printf("%s\n", is_heading ? l->asked->colours.end : "");
}

/* When the listing is not printed, whether there is one is the answer. */
static void
ignore_line(void *context, const char *line)
{
    (void)context;
    (void)line;
}

int
dfx_inspect_pickles(const dfx_inspect *asked, const char *const *paths,
                    size_t count)
{
    int worst = DFX_EXIT_YES;
    listing l = {.asked = asked};

    for (size_t i = 0; i < count; i++) {
        dfx_error err;
        int status;

        if (count > 1 && !asked->quiet) {
            printf("%s%s", l.started ? "\n" : "", asked->colours.heading);
            dfx_put(stdout, paths[i]);
            printf("%s\n", asked->colours.end);
            l.started = true;
        }
        if (dfx_disassemble(paths[i], &asked->open,
                            asked->quiet ? ignore_line : print_line, &l,
                            &err) == DFX_OK)
            continue;
        fflush(stdout); /* the listing up to where it broke comes first */
        status = dfx_say_error(asked->tool->name, paths[i], &err);
        if (status > worst)
            worst = status;
    }
    return worst;
}
