/*
 * exec.c - running a plan
 *
 * All outputs are cut into chunks of a fixed size, and threads take one after
 * the other. A thread walks the pieces of its chunk in the order of the output.
 * What lies together in a source is copied by the kernel or through a buffer;
 * small pieces gather in the buffer and are written together; expressions are
 * pulled into it. Sums are counted on the way, a part for each chunk, and the
 * pieces that show them are written last. Which thread does a chunk, and how
 * many there are, changes nothing in the bytes.
 *
 * Memory is threads times a band, and the product is bounded.
 */
#include <config.h>

#include "plan.h"

#include <errno.h>
#include <fcntl.h>
#include <omp.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "compress.h"
#include "out.h"
#include "sums.h"

enum {
    CHUNK = 4 << 20,
    /*
     * Pieces below MOVE gather and are written together, GATHER bytes at a
     * time. Not more: the page cache answers larger writes with larger folios,
     * and on a virtual machine those come from memory that the host has taken
     * back. A 7 GB file written 256 KiB at a time took twice as long as 64 KiB
     * at a time (ext4, Linux 6.18); smaller ones gain nothing.
     */
    MOVE = 32 << 10,
    GATHER = 64 << 10,
    PAGE = 4096, /* of the page cache; another size costs time, nothing else */
    /* What all buffers may take, of the 64 MiB that the process may. */
    MEMORY = 24 << 20,
    MAX_THREADS = 64
};

_Static_assert(MEMORY / MAX_THREADS >= GATHER, "each thread has its buffer");

typedef struct chunk {
    size_t output;
    uint64_t offset;
    uint64_t size; /* of the whole output */
} chunk;

/* A run of a plan. The lock guards what stands below it. */
typedef struct job {
    const dfx_plan *plan;
    const dfx_run_options *options;
    dfx_out *out;
    chunk *chunks; /* owned */
    size_t chunk_count;
    int *fds;       /* owned: one an output of several chunks; else -1 */
    dfx_sums *sums; /* owned: of each output */
    unsigned threads;
    size_t band; /* bytes of a thread's buffer: at least GATHER */
    omp_lock_t lock;
    uint64_t done;
    dfx_status status; /* of the first failure */
    dfx_error *err;
} job;

/*
 * What a thread is about to write, at consecutive offsets of an output: first
 * the bytes in the buffer, then those of the run.
 */
typedef struct worker {
    job *job;
    unsigned char *buf; /* owned: job->band bytes */
    size_t used;
    dfx_extent run; /* size 0: none */
    uint64_t at;    /* where the first of them goes */
    int fd;
    bool no_kernel_copy; /* it was refused once */
    size_t output;
    size_t sum;             /* the first one that ends after what is written */
    dfx_compressor *stream; /* where the bytes go; NULL: into the file */
    bool is_dry;            /* they are only counted */
    dfx_error *err;
} worker;

static void
name_output(dfx_error *err, const dfx_plan *plan, size_t output)
{
    dfx_error_in_output(err, plan->dst, plan->outputs[output].view.path);
}

static dfx_status
check_stop(const job *j, dfx_error *err)
{
    if (j->options->stop != NULL && *j->options->stop != 0)
        return dfx_fail_stopped(err);
    return DFX_OK;
}

/* ---- A thread's work -------------------------------------------------- */

static dfx_status
write_all(worker *w, const unsigned char *data, size_t size)
{
    if (w->stream == NULL)
        dfx_sums_count(&w->job->sums[w->output], &w->sum, w->at, data, size);
    if (w->stream != NULL || w->is_dry) {
        w->at += size;
        return w->is_dry ? DFX_OK
                         : dfx_compressor_write(w->stream, data, size, w->err);
    }
    while (size > 0) {
        ssize_t n = pwrite(w->fd, data, size, (off_t)w->at);
        char reason[128];

        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0)
            return dfx_fail(w->err, DFX_RULE_OUT_WRITE, w->at,
                            "cannot be written: %s",
                            strerror_r(errno, reason, sizeof reason));
        data += n;
        w->at += (uint64_t)n;
        size -= (size_t)n;
    }
    return DFX_OK;
}

static dfx_status
flush(worker *w)
{
    size_t size = w->used;

    w->used = 0;
    DFX_TRY(check_stop(w->job, w->err));
    return write_all(w, w->buf, size);
}

static void
advance(worker *w, uint64_t size)
{
    w->at += size;
    w->run.offset += size;
    w->run.size -= size;
}

/* Steps over the hole that the run may start with: outputs are zeros until
   something is written, and so a sparse file stays sparse. */
static void
skip_hole(worker *w)
{
    uint64_t base = 0, start, hole = 0;
    int fd = dfx_io_fd(w->run.io, &base);
    struct stat st;
    off_t data;

    if (fd < 0)
        return;
    start = base + w->run.offset;
    data = lseek(fd, (off_t)start, SEEK_DATA);
    if (data >= 0)
        hole = (uint64_t)data - start;
    /* No data up to the end of the file; which may have come nearer. */
    else if (errno == ENXIO && fstat(fd, &st) == 0 &&
             (uint64_t)st.st_size >= start + w->run.size)
        hole = w->run.size;
    advance(w, hole < w->run.size ? hole : w->run.size);
}

/*
 * Lets the kernel copy from the start of the run: no byte passes through here,
 * and where the file system can share blocks it does. It may refuse for many
 * reasons and stop anywhere; the rest is the caller's, who also finds the
 * reason if it was a real one.
 *
 * Only where the bytes keep their place in a page: others share no block, and
 * cost the kernel two pages for each one, with the lock of the output held the
 * whole time. Through the cache they take 0.65 s for 2 GB where this takes
 * 0.77, and threads can read while another writes (ext4, Linux 6.18).
 */
static void
copy_in_kernel(worker *w)
{
    uint64_t base = 0;
    int fd = dfx_io_fd(w->run.io, &base);

    if (fd < 0 || (base + w->run.offset) % PAGE != w->at % PAGE)
        return;
    while (!w->no_kernel_copy && w->run.size > 0) {
        off_t from = (off_t)(base + w->run.offset);
        off_t to = (off_t)w->at;
        /* Blocks are shared from the start of one on. */
        size_t head = (PAGE - (size_t)(w->at % PAGE)) % PAGE;
        size_t size =
            head > 0 && head < w->run.size ? head : (size_t)w->run.size;
        ssize_t n = copy_file_range(fd, &from, w->fd, &to, size, 0);

        if (n <= 0) {
            w->no_kernel_copy = true;
            break;
        }
        advance(w, (uint64_t)n);
    }
}

/* Writes a large run; the buffer is empty. */
static dfx_status
move_run(worker *w)
{
    const unsigned char *memory = dfx_io_memory(w->run.io);

    DFX_TRY(check_stop(w->job, w->err));
    if (memory != NULL) {
        size_t size = (size_t)w->run.size; /* memory that is there */

        w->run.size = 0;
        return write_all(w, memory + w->run.offset, size);
    }
    if (w->stream == NULL && !w->is_dry &&
        !dfx_sums_want(&w->job->sums[w->output], w->sum, w->at + w->run.size)) {
        skip_hole(w);
        copy_in_kernel(w);
    }
    while (w->run.size > 0) {
        size_t room = GATHER - (size_t)(w->at % PAGE); /* then whole pages */
        size_t n = w->run.size < room ? (size_t)w->run.size : room;

        DFX_TRY(dfx_io_read_at(w->run.io, w->run.offset, w->buf, n, w->err));
        w->used = n;
        DFX_TRY(flush(w));
        w->run.offset += n;
        w->run.size -= n;
    }
    return DFX_OK;
}

/* Ends the run: writes it, or puts it into the buffer if it is small. */
static dfx_status
settle(worker *w)
{
    if (w->run.size == 0)
        return DFX_OK;
    if (w->used > 0 && (w->run.size >= MOVE || w->used + w->run.size > GATHER))
        DFX_TRY(flush(w));
    if (w->run.size >= MOVE)
        return move_run(w);
    DFX_TRY(dfx_io_read_at(w->run.io, w->run.offset, w->buf + w->used,
                           (size_t)w->run.size, w->err));
    w->used += (size_t)w->run.size;
    w->run.size = 0;
    return DFX_OK;
}

/* Each pull of a transpose goes over all rows of its argument, and so does one
   of a tensor whose elements lie scattered: the larger the pulls, the fewer. */
static bool
wants_bands(const dfx_expr *x)
{
    if (x->node == DFX_NODE_TRANSPOSE ||
        (x->node == DFX_NODE_TENSOR && dfx_io_is_scattered(x->extent.io)))
        return true;
    for (size_t i = 0; i < x->arg_count; i++)
        if (wants_bands(x->args[i]))
            return true;
    return false;
}

/* Writes GATHER bytes of the buffer, which has a little more. */
static dfx_status
flush_gathered(worker *w)
{
    size_t left = w->used - GATHER;

    w->used = GATHER;
    DFX_TRY(flush(w));
    memmove(w->buf, w->buf + GATHER, left);
    w->used = left;
    return DFX_OK;
}

/* How much more a pull of size bytes at offset must take to end with a block:
   half a block costs as much as several side by side. */
static size_t
up_to_block(const dfx_expr *x, uint64_t offset, size_t size)
{
    uint64_t bytes = dfx_type_unit(x->type).bytes;

    return (size_t)((bytes - (offset + size) % bytes) % bytes);
}

/* Adds size bytes at offset of an expression that is computed. */
static dfx_status
put_computed(worker *w, const dfx_expr *x, uint64_t offset, uint64_t size)
{
    /* What wants no bands is better off in the cache. */
    size_t room = wants_bands(x) ? w->job->band : GATHER;

    DFX_TRY(settle(w));
    while (size > 0) {
        size_t n, more;

        if (w->used > 0 && room > GATHER)
            DFX_TRY(flush(w));
        else if (w->used >= room)
            DFX_TRY(flush_gathered(w));
        n = size < room - w->used ? (size_t)size : room - w->used;
        more = up_to_block(x, offset, n);
        if (more <= size - n && more <= w->job->band - w->used - n)
            n += more;
        DFX_TRY(dfx_expr_pull_bytes(x, offset, n, w->buf + w->used, w->err));
        w->used += n;
        offset += n;
        size -= n;
    }
    return w->used > GATHER ? flush(w) : DFX_OK;
}

/* Adds size bytes at offset of a piece. */
static dfx_status
put_piece(worker *w, const dfx_expr *x, uint64_t offset, uint64_t size)
{
    while (size > 0) {
        dfx_extent run;

        if (!dfx_expr_run(x, offset, size, &run) || dfx_io_is_scattered(run.io))
            return put_computed(w, x, offset, size);
        if (w->run.size > 0 && w->run.io == run.io &&
            w->run.offset + w->run.size == run.offset) {
            w->run.size += run.size;
        } else {
            DFX_TRY(settle(w));
            w->run = run;
        }
        offset += run.size;
        size -= run.size;
    }
    return DFX_OK;
}

/* Leaves room for a piece that is not known yet. */
static dfx_status
leave_room(worker *w, uint64_t size)
{
    DFX_TRY(settle(w));
    DFX_TRY(flush(w));
    w->at += size;
    return DFX_OK;
}

/* The piece that byte offset is in; the last of those that start there. */
static size_t
find_piece(const dfx_output *file, uint64_t offset)
{
    size_t low = 0, high = file->piece_count;

    while (high - low > 1) {
        size_t middle = low + (high - low) / 2;

        if (file->pieces[middle].offset <= offset)
            low = middle;
        else
            high = middle;
    }
    return low;
}

/* Writes the bytes at .. end of an output. */
static dfx_status
write_range(worker *w, const dfx_output *file, uint64_t at, uint64_t end)
{
    w->at = at;
    w->used = 0;
    w->run.size = 0;
    w->sum = dfx_sums_find(&w->job->sums[w->output], at);
    for (size_t i = find_piece(file, at); at < end; i++) {
        const dfx_piece *piece = &file->pieces[i];
        uint64_t last = piece->offset + piece->expr->bytes;

        if (last > end)
            last = end;
        DFX_TRY(piece->is_late && w->stream == NULL
                    ? leave_room(w, last - at)
                    : put_piece(w, piece->expr, at - piece->offset, last - at));
        at = last;
    }
    DFX_TRY(settle(w));
    return flush(w);
}

/* Writes the pieces of an output that show sums, all of whose parts are there.
 */
static dfx_status
write_late(worker *w, const dfx_output *file)
{
    if (file->sum_count == 0)
        return DFX_OK;
    dfx_sums_join(&w->job->sums[w->output]);
    for (size_t i = 0; i < file->piece_count; i++) {
        const dfx_piece *piece = &file->pieces[i];

        if (!piece->is_late)
            continue;
        w->at = piece->offset;
        w->sum = file->sum_count; /* none of them is counted */
        DFX_TRY(write_all(w, piece->expr->data, (size_t)piece->expr->bytes));
    }
    return DFX_OK;
}

static dfx_status
write_chunk(worker *w, const chunk *c, uint64_t *size)
{
    const dfx_output *file = &w->job->plan->outputs[c->output];
    uint64_t left = file->view.size - c->offset;
    int fd = w->job->fds[c->output];
    dfx_status status;

    *size = left < CHUNK ? left : CHUNK;
    w->fd = fd;
    w->output = c->output;
    DFX_TRY(check_stop(w->job, w->err));
    /* A file of one chunk is open only while that is written: a folder may hold
       more files than a process may have open. */
    if (fd < 0)
        DFX_TRY(
            dfx_out_file(w->job->out, file->view.path, *size, &w->fd, w->err));
    status = write_range(w, file, c->offset, c->offset + *size);
    if (fd < 0 && status == DFX_OK)
        status = write_late(w, file);
    /* The disk may as well start now. What fails shows at the end. */
    if (w->job->plan->sync)
        sync_file_range(w->fd, (off_t)c->offset, (off_t)*size,
                        SYNC_FILE_RANGE_WRITE);
    if (fd >= 0)
        return status;
    if (status == DFX_OK)
        return dfx_out_close(w->job->out, w->fd, w->err);
    close(w->fd);
    return status;
}

/* ---- All threads together --------------------------------------------- */

/* Whether to go on, and what to tell. */
static void
report(job *j, dfx_status status, const dfx_error *err, uint64_t size)
{
    omp_set_lock(&j->lock);
    if (status == DFX_OK) {
        j->done += size;
        if (j->options->progress != NULL && j->status == DFX_OK)
            j->options->progress(j->options->context, j->done, j->plan->bytes);
    } else if (j->status == DFX_OK) {
        if (j->err != NULL)
            *j->err = *err;
        __atomic_store_n(&j->status, status, __ATOMIC_RELAXED);
    }
    omp_unset_lock(&j->lock);
}

static void
do_chunk(worker *w, const chunk *c)
{
    uint64_t size = 0;
    dfx_status status;

    /* The others have nothing to add once one has failed. */
    if (__atomic_load_n(&w->job->status, __ATOMIC_RELAXED) != DFX_OK)
        return;
    if (w->buf == NULL)
        w->buf = malloc(w->job->band);
    status = w->buf == NULL ? dfx_fail_nomem(w->err) : write_chunk(w, c, &size);
    if (status != DFX_OK && status != DFX_ERR_STOPPED)
        name_output(w->err, w->job->plan, c->output);
    report(w->job, status, w->err, size);
}

static void
do_all(job *j)
{
    size_t count = j->chunk_count;

#pragma omp parallel num_threads(j->threads) default(none) shared(j, count)
    {
        dfx_error err;
        worker w = {.job = j, .err = &err};

#pragma omp for schedule(dynamic)
        for (size_t i = 0; i < count; i++)
            do_chunk(&w, &j->chunks[i]);
        free(w.buf);
    }
}

static int
by_size(const void *a, const void *b)
{
    const chunk *x = a, *y = b;

    if (x->size != y->size)
        return x->size > y->size ? -1 : 1;
    if (x->output != y->output)
        return x->output < y->output ? -1 : 1;
    return (x->offset > y->offset) - (x->offset < y->offset);
}

/*
 * Takes chunks from both ends in turn, the largest outputs first: a file has
 * one lock for all who write to it, and so two threads are mostly at two files.
 */
static dfx_status
deal(job *j, dfx_error *err)
{
    size_t front = 0, back = j->chunk_count;
    chunk *dealt = calloc(j->chunk_count + 1, sizeof *dealt);

    if (dealt == NULL)
        return dfx_fail_nomem(err);
    qsort(j->chunks, j->chunk_count, sizeof *j->chunks, by_size);
    for (size_t i = 0; i < j->chunk_count; i++)
        dealt[i] = i % 2 == 0 ? j->chunks[front++] : j->chunks[--back];
    free(j->chunks);
    j->chunks = dealt;
    return DFX_OK;
}

/* Cuts the outputs into chunks; an empty file is one too. */
static dfx_status
cut(job *j, dfx_error *err)
{
    const dfx_plan *plan = j->plan;
    size_t count = 0;

    for (size_t i = 0; i < plan->output_count; i++)
        count += (size_t)(plan->outputs[i].view.size / CHUNK) + 1;
    j->chunks = calloc(count + 1, sizeof *j->chunks);
    j->fds = calloc(plan->output_count + 1, sizeof *j->fds);
    if (j->chunks == NULL || j->fds == NULL)
        return dfx_fail_nomem(err);
    for (size_t i = 0; i < plan->output_count; i++) {
        uint64_t offset = 0;

        j->fds[i] = -1;
        do {
            j->chunks[j->chunk_count++] =
                (chunk){.output = i,
                        .offset = offset,
                        .size = plan->outputs[i].view.size};
            offset += CHUNK;
        } while (offset < plan->outputs[i].view.size);
    }
    return deal(j, err);
}

static dfx_status
make_sums(job *j, dfx_error *err)
{
    j->sums = calloc(j->plan->output_count + 1, sizeof *j->sums);
    if (j->sums == NULL)
        return dfx_fail_nomem(err);
    for (size_t i = 0; i < j->plan->output_count; i++)
        DFX_TRY(dfx_sums_init(&j->sums[i], &j->plan->outputs[i], CHUNK, err));
    return DFX_OK;
}

/* Opens the outputs of several chunks. */
static dfx_status
open_outputs(job *j, dfx_error *err)
{
    for (size_t i = 0; i < j->plan->output_count; i++) {
        const dfx_plan_file *view = &j->plan->outputs[i].view;

        if (view->size > CHUNK)
            DFX_TRY(
                dfx_out_file(j->out, view->path, view->size, &j->fds[i], err));
    }
    return DFX_OK;
}

/* All chunks of a file in their order, into w. */
static dfx_status
pull_file(worker *w, const dfx_output *file)
{
    job *j = w->job;

    for (uint64_t at = 0; at < file->view.size;) {
        uint64_t left = file->view.size - at;
        uint64_t size = left < CHUNK ? left : CHUNK;

        DFX_TRY(check_stop(j, w->err));
        DFX_TRY(write_range(w, file, at, at + size));
        at += size;
        if (!w->is_dry && j->options->progress != NULL)
            j->options->progress(j->options->context, at, j->plan->bytes);
    }
    return DFX_OK;
}

/* The one file of the plan as a zstd stream: sums first, which takes a pass
   that only reads. */
static dfx_status
write_stream(worker *w, const dfx_output *file)
{
    if (file->sum_count > 0) {
        w->is_dry = true;
        DFX_TRY(pull_file(w, file));
        w->is_dry = false;
        dfx_sums_join(&w->job->sums[w->output]);
    }
    DFX_TRY(dfx_compressor_new(w->fd, file->view.size, w->job->plan->level,
                               &w->stream, w->err));
    DFX_TRY(pull_file(w, file));
    return dfx_compressor_end(w->stream, w->err);
}

static dfx_status
do_stream(job *j, dfx_error *err)
{
    const dfx_output *file = &j->plan->outputs[0];
    worker w = {.job = j, .err = err, .buf = malloc(j->band)};
    dfx_status status =
        w.buf == NULL ? dfx_fail_nomem(err)
                      : dfx_out_file(j->out, file->view.path, 0, &w.fd, err);

    if (status == DFX_OK) {
        status = write_stream(&w, file);
        if (status == DFX_OK)
            status = dfx_out_close(j->out, w.fd, err);
        else
            close(w.fd);
    }
    if (status != DFX_OK && status != DFX_ERR_STOPPED)
        name_output(err, j->plan, 0);
    dfx_compressor_free(w.stream);
    free(w.buf);
    return status;
}

/* Ends those outputs: what needed all chunks to be written. */
static dfx_status
finish_outputs(job *j, dfx_error *err)
{
    for (size_t i = 0; i < j->plan->output_count; i++) {
        worker w = {.job = j, .output = i, .fd = j->fds[i], .err = err};
        dfx_status status;

        if (w.fd < 0)
            continue;
        status = write_late(&w, &j->plan->outputs[i]);
        if (status != DFX_OK) {
            name_output(err, j->plan, i);
            return status;
        }
    }
    return DFX_OK;
}

static dfx_status
do_files(job *j, dfx_error *err)
{
    DFX_TRY(open_outputs(j, err));
    do_all(j);
    return j->status != DFX_OK ? j->status : finish_outputs(j, err);
}

/* Closes them all; the first failure counts. */
static dfx_status
close_outputs(job *j, dfx_status status, dfx_error *err)
{
    for (size_t i = 0; j->fds != NULL && i < j->plan->output_count; i++) {
        if (j->fds[i] < 0)
            continue;
        if (status != DFX_OK) {
            close(j->fds[i]);
            continue;
        }
        status = dfx_out_close(j->out, j->fds[i], err);
        if (status != DFX_OK)
            name_output(err, j->plan, i);
    }
    return status;
}

static void
choose_threads(job *j)
{
    size_t threads = j->options->threads > 0 ? j->options->threads
                                             : (size_t)omp_get_max_threads();

    if (threads > MAX_THREADS)
        threads = MAX_THREADS;
    if (threads > j->chunk_count)
        threads = j->chunk_count;
    if (threads < 1)
        threads = 1;
    j->threads = (unsigned)threads;
    j->band = MEMORY / threads < CHUNK ? MEMORY / threads : CHUNK;
}

dfx_status
dfx_plan_run(dfx_plan *plan, const dfx_run_options *options, dfx_error *err)
{
    static const dfx_run_options defaults = {0};
    const dfx_out_options how = {.is_folder = plan->is_folder,
                                 .force = plan->force,
                                 .is_ours = plan->is_ours,
                                 .sync = plan->sync,
                                 .files = plan->views,
                                 .file_count = plan->output_count};
    job j = {.plan = plan,
             .options = options != NULL ? options : &defaults,
             .err = err};
    dfx_status status = dfx_out_begin(plan->dst, &how, &j.out, err);

    if (status != DFX_OK)
        return status;
    omp_init_lock(&j.lock);
    status = cut(&j, err);
    if (status == DFX_OK)
        status = make_sums(&j, err);
    choose_threads(&j);
    if (status == DFX_OK)
        status = plan->compress ? do_stream(&j, err) : do_files(&j, err);
    status = close_outputs(&j, status, err);
    omp_destroy_lock(&j.lock);
    for (size_t i = 0; j.sums != NULL && i < plan->output_count; i++)
        dfx_sums_fini(&j.sums[i]);
    free(j.sums);
    free(j.fds);
    free(j.chunks);
    if (status == DFX_OK)
        status = check_stop(&j, err);
    if (status == DFX_OK)
        return dfx_out_commit(j.out, err);
    dfx_out_abort(j.out);
    return status;
}
