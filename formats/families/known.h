/*
 * known.h - models that are named and not converted: see known.c
 */
#ifndef DFX_KNOWN_H
#define DFX_KNOWN_H

#include "identify.h"

/* Ends with a family of NULL. */
extern const dfx_known dfx_known_table[];

#endif
