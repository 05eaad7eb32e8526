/*
 * io_kind.h - what an io is made of, for the files that make the kinds
 *
 * Files and memory are read by io.c itself; the other kinds stand on a base.
 */
#ifndef DFX_IO_KIND_H
#define DFX_IO_KIND_H

#include "io.h"

typedef struct dfx_io_kind {
    /* The range lies inside the io. */
    dfx_status (*read)(const dfx_io *io, uint64_t offset, void *buf,
                       size_t size, dfx_error *err);
    void (*free_state)(void *state); /* NULL: it has none */
    bool is_scattered;
} dfx_io_kind;

struct dfx_io {
    const dfx_io_kind *kind; /* static */
    const dfx_io *base;      /* borrowed; NULL: a file or memory */
    int fd;                  /* -1: no file, or none to show */
    bool owns_fd;
    const unsigned char *data; /* memory, else NULL */
    void *owned;               /* data that is freed with the io; or NULL */
    uint64_t start;            /* where this io starts in fd, data or base */
    uint64_t size;
    void *state; /* of the kind; owned */
    char name[];
};

/* An io of a kind that stands on base and has its name, or NULL: no memory.
   state is then the caller's still. */
dfx_io *dfx_io_new(const dfx_io_kind *kind, const dfx_io *base, uint64_t start,
                   uint64_t size, void *state);
/* The same of data, or of fd if that is NULL; both are taken. */
dfx_io *dfx_io_new_owner(void *data, int fd, uint64_t size, const char *name);

#endif
