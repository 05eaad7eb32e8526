/*
 * io_checked.c - slices that check their CRC-32 as they are read
 *
 * Threads read such a slice in any order, so what is known of it is a list of
 * ranges that were read, each with the CRC of its bytes. Neighbours become one.
 * When one range is left and it is all, its CRC is that of the slice.
 */
#include <config.h>

#include <inttypes.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#include "crc.h"
#include "io_kind.h"
#include "memory.h"

/*
 * Of ranges that touch none of the others. Who reads in more pieces than that
 * goes unchecked: memory stays bounded, whatever a file makes of its tensors.
 */
enum { MAX_RANGES = 16384 };

typedef struct range {
    uint64_t start, end;
    uint32_t crc;
} range;

typedef enum progress { READING, GOOD, BAD, GIVEN_UP } progress;

/* The lock guards what stands below it. */
typedef struct checked {
    uint32_t want;
    dfx_rule rule;
    char *what; /* owned */
    pthread_mutex_t lock;
    progress progress;
    range *ranges; /* owned; by start; none touches the next */
    size_t count, capacity;
    uint32_t found; /* once it is known */
} checked;

static void
free_state(void *state)
{
    checked *c = state;

    pthread_mutex_destroy(&c->lock);
    free(c->ranges);
    free(c->what);
    free(c);
}

/* The first range that ends behind offset; c->count if none does. */
static size_t
find_range(const checked *c, uint64_t offset)
{
    size_t low = 0, high = c->count;

    while (low < high) {
        size_t middle = low + (high - low) / 2;

        if (c->ranges[middle].end <= offset)
            low = middle + 1;
        else
            high = middle;
    }
    return low;
}

static void
forget_ranges(checked *c, progress outcome)
{
    free(c->ranges);
    c->ranges = NULL;
    c->count = c->capacity = 0;
    c->progress = outcome;
}

/* Adds a range that overlaps none, where range i is the first behind it. */
static dfx_status
insert(checked *c, size_t i, const range *r, dfx_error *err)
{
    bool joins_left = i > 0 && c->ranges[i - 1].end == r->start;
    bool joins_right = i < c->count && c->ranges[i].start == r->end;
    range *left, *right;

    if (joins_left) {
        left = &c->ranges[i - 1];
        left->crc = dfx_crc_join(left->crc, r->crc, r->end - r->start);
        left->end = r->end;
        if (!joins_right)
            return DFX_OK;
        right = left + 1;
        left->crc =
            dfx_crc_join(left->crc, right->crc, right->end - right->start);
        left->end = right->end;
        c->count--;
        memmove(right, right + 1, (c->count - i) * sizeof *right);
    } else if (joins_right) {
        right = &c->ranges[i];
        right->crc =
            dfx_crc_join(r->crc, right->crc, right->end - right->start);
        right->start = r->start;
    } else if (c->count == MAX_RANGES) {
        forget_ranges(c, GIVEN_UP);
    } else {
        if (!dfx_grow(&c->ranges, &c->capacity, c->count, sizeof *c->ranges))
            return dfx_fail_nomem(err);
        right = &c->ranges[i];
        memmove(right + 1, right, (c->count - i) * sizeof *right);
        *right = *r;
        c->count++;
    }
    return DFX_OK;
}

/* Adds those parts of a range that no other read has had. */
static dfx_status
insert_gaps(checked *c, const range *r, const unsigned char *bytes,
            dfx_error *err)
{
    uint64_t at = r->start;

    while (at < r->end && c->progress == READING) {
        size_t i = find_range(c, at);
        range gap = {.start = at, .end = r->end};

        if (i < c->count && c->ranges[i].start <= at) {
            at = c->ranges[i].end;
            continue;
        }
        if (i < c->count && c->ranges[i].start < gap.end)
            gap.end = c->ranges[i].start;
        gap.crc =
            dfx_crc(0, bytes + (at - r->start), (size_t)(gap.end - gap.start));
        at = gap.end;
        DFX_TRY(insert(c, i, &gap, err));
    }
    return DFX_OK;
}

static bool
overlaps(const checked *c, const range *r)
{
    size_t i = find_range(c, r->start);

    return i < c->count && c->ranges[i].start < r->end;
}

static dfx_status
fail_differs(const dfx_io *io, const checked *c, dfx_error *err)
{
    dfx_status status = dfx_fail(err, c->rule, DFX_NO_OFFSET,
                                 "member \"%s\" has CRC-32 %08" PRIx32
                                 ", its header says %08" PRIx32,
                                 c->what, c->found, c->want);

    dfx_error_in_file(err, io->name);
    return status;
}

/* Takes note of bytes that were read. The CRC of bytes that are new is counted
   without the lock; those of which some are not are rare. */
static dfx_status
take_note(const dfx_io *io, range *r, const unsigned char *bytes,
          dfx_error *err)
{
    checked *c = io->state;
    dfx_status status = DFX_OK;
    bool is_known, is_new;

    pthread_mutex_lock(&c->lock);
    is_known = c->progress != READING;
    is_new = !is_known && !overlaps(c, r);
    if (is_new) {
        pthread_mutex_unlock(&c->lock);
        r->crc = dfx_crc(0, bytes, (size_t)(r->end - r->start));
        pthread_mutex_lock(&c->lock);
        is_known = c->progress != READING;
        is_new = !is_known && !overlaps(c, r); /* another thread read it, too */
    }
    if (is_new)
        status = insert(c, find_range(c, r->start), r, err);
    else if (!is_known)
        status = insert_gaps(c, r, bytes, err);
    if (status == DFX_OK && c->progress == READING && c->count == 1 &&
        c->ranges[0].end - c->ranges[0].start == io->size) {
        c->found = c->ranges[0].crc;
        forget_ranges(c, c->found == c->want ? GOOD : BAD);
    }
    if (status == DFX_OK && c->progress == BAD)
        status = fail_differs(io, c, err);
    pthread_mutex_unlock(&c->lock);
    return status;
}

static dfx_status
read_checked(const dfx_io *io, uint64_t offset, void *buf, size_t size,
             dfx_error *err)
{
    range r = {.start = offset, .end = offset + size};

    DFX_TRY(dfx_io_read_at(io->base, io->start + offset, buf, size, err));
    return size > 0 ? take_note(io, &r, buf, err) : DFX_OK;
}

static const dfx_io_kind checked_kind = {.read = read_checked,
                                         .free_state = free_state};

static checked *
new_state(uint32_t crc, dfx_rule rule, const char *what)
{
    checked *c = calloc(1, sizeof *c);

    if (c == NULL)
        return NULL;
    c->want = crc;
    c->rule = rule;
    c->what = strdup(what);
    if (c->what == NULL || pthread_mutex_init(&c->lock, NULL) != 0) {
        free(c->what);
        free(c);
        return NULL;
    }
    return c;
}

dfx_status
dfx_io_open_checked(const dfx_io *base, uint64_t offset, uint64_t size,
                    uint32_t crc, dfx_rule rule, const char *what, dfx_io **io,
                    dfx_error *err)
{
    checked *state;
    dfx_io *made;

    if (offset > base->size || size > base->size - offset)
        return dfx_fail_usage(err,
                              "bytes %" PRIu64 " + %" PRIu64
                              " are not inside the %" PRIu64 " of %s",
                              offset, size, base->size, base->name);
    state = new_state(crc, rule, what);
    if (state == NULL)
        return dfx_fail_nomem(err);
    made = dfx_io_new(&checked_kind, base, offset, size, state);
    if (made == NULL) {
        free_state(state);
        return dfx_fail_nomem(err);
    }
    /* Nothing reads an empty one: it is what it is. */
    if (size == 0 && crc != 0) {
        dfx_status status = fail_differs(made, state, err);

        dfx_io_close(made);
        return status;
    }
    *io = made;
    return DFX_OK;
}
