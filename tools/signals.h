/*
 * signals.h - a signal leaves no litter, and the shell learns of it
 *
 * The handler only sets a flag. The work sees it, removes its temporaries and
 * returns; then the tool ends by the same signal.
 */
#ifndef DFX_SIGNALS_H
#define DFX_SIGNALS_H

#include <signal.h>

/* Catches INT, TERM, HUP and PIPE, but for those that are ignored (nohup). */
void dfx_signals_catch(void);

/* Not 0: a signal came. For dfx_run_options.stop. Static. */
const volatile sig_atomic_t *dfx_signals_flag(void);

/* Ends the process by the signal that came; returns if none did. */
void dfx_signals_raise(void);

#endif
