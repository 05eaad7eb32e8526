/*
 * signals.c - a signal leaves no litter, and the shell learns of it
 */
#include <config.h>

#include "signals.h"

#include <stddef.h>

static volatile sig_atomic_t caught; /* the signal's number */

static const int signals[] = {SIGINT, SIGTERM, SIGHUP, SIGPIPE};

enum { SIGNAL_COUNT = sizeof signals / sizeof signals[0] };

static void
remember(int number)
{
    caught = number;
}

void
dfx_signals_catch(void)
{
    struct sigaction action = {.sa_handler = remember};

    sigemptyset(&action.sa_mask);
    /* A read that was interrupted goes on: the flag is looked at between
       blocks, and a call of the library need not know of signals. */
    action.sa_flags = SA_RESTART;
    for (size_t i = 0; i < SIGNAL_COUNT; i++) {
        struct sigaction old;

        if (sigaction(signals[i], NULL, &old) == 0 && old.sa_handler != SIG_IGN)
            sigaction(signals[i], &action, NULL);
    }
    /* A file beyond a limit is an error that write reports, not a death. */
    action.sa_handler = SIG_IGN;
    sigaction(SIGXFSZ, &action, NULL);
}

const volatile sig_atomic_t *
dfx_signals_flag(void)
{
    return &caught;
}

void
dfx_signals_raise(void)
{
    struct sigaction action = {.sa_handler = SIG_DFL};
    int number = caught;

    if (number == 0)
        return;
    sigemptyset(&action.sa_mask);
    sigaction(number, &action, NULL);
    raise(number);
}
