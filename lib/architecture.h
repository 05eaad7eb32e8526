/*
 * architecture.h - what the readers of GGUF files call a network, and which of
 * its tensors they want left in high precision
 *
 * The table is in formats/architectures.c.
 */
#ifndef DFX_ARCHITECTURE_H
#define DFX_ARCHITECTURE_H

#include <stdbool.h>
#include <stddef.h>

/* Lists are words with a space between. A word is found anywhere in a name; one
   that starts with '=' is a whole name. */
typedef struct dfx_architecture {
    const char *name;     /* general.architecture */
    const char *keys[3];  /* any of these lists of names is there, all of it:
                             the first architecture of which one is, is it */
    const char *foreign;  /* the name that marks the layout of Diffusers, which
                             these readers do not take; NULL: they take both */
    const char *f32;      /* stored as F32, unless the source has F16 */
    const char *dropped;  /* not stored */
    const char *delicate; /* not quantized */
    const char *outer;    /* an outermost dimension of 1 counts as one */
    bool in_rows;         /* stored in rows of 256, whatever the shape */
    bool prefixed;        /* diffusers takes no bare names of it */
} dfx_architecture;

/* NULL past the last. Static. */
const dfx_architecture *dfx_architecture_at(size_t i);

/* What is delicate in every network: a list. */
const char *dfx_architecture_delicate(void);

/* The word of a list that is in name, size bytes of it; NULL: none is. list may
   be NULL. */
const char *dfx_words_find(const char *list, const char *name, size_t *size);

/*
 * What stands before a network's names in larger files, of which the first that
 * is there counts; of_all: only if all names have it. NULL past the last.
 */
const char *dfx_network_prefix_at(size_t i, bool *of_all);
/* The name without such a prefix. */
const char *dfx_bare_name(const char *name);

#endif
