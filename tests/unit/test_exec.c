/*
 * test_exec.c - plans are run whole or not at all, whatever the threads
 *
 * What an output should hold is taken from dfx_expr_pull, a piece at a time;
 * test_expr compares that with a model.
 */
#include <config.h>

#include "plan.h"

#include <zlib.h>

#include <dirent.h>
#include <fcntl.h>
#include <sys/mount.h>
#include <sys/resource.h>
#include <sys/wait.h>

#include "scratch.h"
#include "tap.h"

enum { SOURCE = 12 << 20 };

typedef struct fixture {
    dfx_io *file, *memory;
    unsigned char *noise; /* what memory holds */
    dfx_plan *plan;
    dfx_error err;
    uint64_t seed;
} fixture;

static uint64_t
below(fixture *f, uint64_t limit)
{
    return scratch_random(&f->seed) % limit;
}

static void
must(dfx_status status, const char *what)
{
    if (status == DFX_OK)
        return;
    printf("Bail out! %s\n", what);
    exit(1);
}

static void
fixture_init(fixture *f)
{
    *f = (fixture){.seed = 7};
    f->noise = malloc(SOURCE);
    for (size_t i = 0; i < SOURCE; i++)
        f->noise[i] = (unsigned char)scratch_random(&f->seed);
    scratch_write("source", f->noise, SOURCE);
    must(dfx_io_open_file("source", &f->file, &f->err), "source");
    must(dfx_io_open_memory(f->noise, SOURCE, "memory", &f->memory, &f->err),
         "memory");
}

static void
fixture_fini(fixture *f)
{
    dfx_plan_free(f->plan);
    dfx_io_close(f->file);
    dfx_io_close(f->memory);
    free(f->noise);
}

static void
new_plan(fixture *f, const char *dst, bool is_folder)
{
    dfx_plan_free(f->plan);
    must(dfx_plan_new(dst, is_folder, &f->plan, &f->err), "plan");
}

/* rows x columns of F16 at offset of an io. */
static const dfx_expr *
tensor(fixture *f, const dfx_io *io, uint64_t offset, uint64_t rows,
       uint64_t columns)
{
    const uint64_t shape[] = {rows, columns};
    dfx_tensor t = {
        .name = "t",
        .type = DFX_TYPE_F16,
        .rank = 2,
        .shape = shape,
        .data = {.io = io, .offset = offset, .size = rows * columns * 2}};
    const dfx_expr *x = NULL;

    must(dfx_expr_tensor(&f->plan->arena, &t, &x, &f->err), "tensor");
    return x;
}

static void
add(fixture *f, size_t output, const dfx_expr *x)
{
    must(dfx_plan_add_piece(f->plan, output, x, &f->err), "piece");
}

/* A piece of at most so many rows of 1..512 columns: moved or computed. */
static void
add_random(fixture *f, size_t output, uint64_t rows)
{
    uint64_t columns = 1 + below(f, 512);
    uint64_t size = (rows = 1 + below(f, rows)) * columns * 2;
    const dfx_expr *x = tensor(f, below(f, 4) == 0 ? f->memory : f->file,
                               below(f, SOURCE - size), rows, columns);
    dfx_arena *arena = &f->plan->arena;
    const dfx_expr *y = x;

    switch (below(f, 6)) {
    case 0:
        must(dfx_expr_cast(arena, x, DFX_TYPE_F32, &y, &f->err), "cast");
        break;
    case 1:
        must(dfx_expr_transpose(arena, x, &y, &f->err), "transpose");
        break;
    case 2:
        must(dfx_expr_bytes(arena, f->noise + below(f, 1000), below(f, 99), &y,
                            &f->err),
             "bytes");
        break;
    }
    add(f, output, y);
}

static size_t
add_file(fixture *f, const char *path)
{
    size_t output = 0;

    must(dfx_plan_add_file(f->plan, path, &output, &f->err), "file");
    return output;
}

/* Some random pieces with a sum of them, shown before and after. */
static void
add_summed(fixture *f, size_t output, int count, uint64_t rows)
{
    const dfx_output *file;
    uint64_t start;
    size_t sum = 0;

    file = &f->plan->outputs[output];
    start = file->view.size + DFX_SUM_SIZE;
    /* How much is summed turns out later: writers know it before. */
    must(dfx_plan_add_sum(f->plan, output, start, 0, &sum, &f->err), "sum");
    must(dfx_plan_add_sum_piece(f->plan, output, sum, &f->err), "show");
    for (int i = 0; i < count; i++)
        add_random(f, output, rows);
    file = &f->plan->outputs[output];
    file->sums[sum].size = file->view.size - start;
    must(dfx_plan_add_sum_piece(f->plan, output, sum, &f->err), "show again");
}

/* What the file should hold; free() it. */
static unsigned char *
expected(const dfx_output *file)
{
    unsigned char *want = malloc(file->view.size + 1);

    for (size_t i = 0; i < file->piece_count; i++) {
        const dfx_piece *piece = &file->pieces[i];

        must(dfx_expr_pull(piece->expr, 0, piece->expr->elements,
                           want + piece->offset, NULL),
             "pull");
    }
    return want;
}

/* How many outputs of the plan are not as they should be under dst. */
static unsigned
count_wrong(const dfx_plan *plan)
{
    unsigned wrong = 0;

    for (size_t i = 0; i < plan->output_count; i++) {
        const dfx_output *file = &plan->outputs[i];
        unsigned char *want = expected(file), *got;
        char path[400];
        size_t size = 0;

        snprintf(path, sizeof path, plan->is_folder ? "%s/%s" : "%s%s",
                 plan->dst, file->view.path);
        got = scratch_read(path, &size);
        wrong += got == NULL || size != file->view.size ||
                 memcmp(got, want, size) != 0;
        free(got);
        free(want);
    }
    return wrong;
}

/* How many sums are not those of what their outputs should hold. */
static unsigned
count_wrong_sums(const dfx_plan *plan)
{
    unsigned wrong = 0;

    for (size_t i = 0; i < plan->output_count; i++) {
        const dfx_output *file = &plan->outputs[i];
        unsigned char *want = expected(file);

        for (size_t s = 0; s < file->sum_count; s++) {
            const dfx_sum *sum = &file->sums[s];
            uLong crc = crc32_z(0, want + sum->offset, sum->size);

            for (unsigned k = 0; k < DFX_SUM_SIZE; k++)
                wrong += sum->value[k] != (crc >> 8 * k & 255);
        }
        free(want);
    }
    return wrong;
}

static unsigned
count_temporaries(const char *folder)
{
    DIR *dir = opendir(folder);
    const struct dirent *entry;
    unsigned count = 0;

    while (dir != NULL) {
        entry = readdir(dir);
        if (entry == NULL)
            break;
        count += strncmp(entry->d_name, ".dfx-", 5) == 0;
    }
    closedir(dir);
    return count;
}

/* The target and the temporary are both not there. */
static void
check_nothing(const fixture *f, const char *what)
{
    CHECK(access(f->plan->dst, F_OK) != 0, what);
    CHECK_U64(count_temporaries("."), 0, "nor a temporary");
}

/* ---- What is written -------------------------------------------------- */

/* Files of every size: none, a few bytes, many small pieces, several chunks,
   pieces larger than a chunk, transposes larger than a buffer. */
static void
random_plan(fixture *f, const char *dst)
{
    size_t output;

    new_plan(f, dst, true);
    add_file(f, "empty");
    output = add_file(f, "sub/small");
    add_random(f, output, 2);
    output = add_file(f, "sub/many");
    for (int i = 0; i < 3000; i++)
        add_random(f, output, 4);
    output = add_file(f, "mixed");
    for (int i = 0; i < 60; i++)
        add_random(f, output, i % 3 == 0 ? 2000 : 50);
    output = add_file(f, "summed");
    for (int i = 0; i < 400; i++)
        add_summed(f, output, i % 5, i % 40 == 1 ? 4000 : 3);
    add_summed(f, output, 9, 9000);
    add_summed(f, output, 0, 1);
    output = add_file(f, "summed-small");
    add_summed(f, output, 3, 3);
    output = add_file(f, "moved");
    add_random(f, output, 1);
    add(f, output, tensor(f, f->file, 1, 11000, 512));
    add(f, output, tensor(f, f->memory, 3, 9000, 512));
    must(dfx_plan_seal(f->plan, &f->err), "seal");
}

typedef struct told {
    uint64_t calls, done, total;
    bool backwards;
} told;

static void
on_progress(void *context, uint64_t done, uint64_t total)
{
    told *t = context;

    t->backwards = t->backwards || done < t->done;
    t->calls++;
    t->done = done;
    t->total = total;
}

static void
test_threads(void)
{
    static const unsigned threads[] = {1, 2, 3, 7, 100};
    fixture f;

    fixture_init(&f);
    for (size_t i = 0; i < sizeof threads / sizeof *threads; i++) {
        told t = {0};
        dfx_run_options options = {
            .threads = threads[i], .progress = on_progress, .context = &t};
        char what[64];

        random_plan(&f, "random");
        snprintf(what, sizeof what, "a plan of %" PRIu64 " bytes, %u threads",
                 f.plan->bytes, threads[i]);
        CHECK_U64(dfx_plan_run(f.plan, &options, &f.err), DFX_OK, what);
        CHECK_U64(count_wrong(f.plan), 0, "every file as planned");
        CHECK_U64(count_wrong_sums(f.plan), 0, "with the sums of its bytes");
        CHECK(t.done == f.plan->bytes && t.total == f.plan->bytes &&
                  !t.backwards && t.calls > 5,
              "progress goes up to the end");
        CHECK_U64(count_temporaries("."), 0, "no temporary is left");
        scratch_clear("random");
    }
    fixture_fini(&f);
}

/* A single file, and defaults. */
static void
test_file(void)
{
    fixture f;

    fixture_init(&f);
    new_plan(&f, "single", false);
    add(&f, add_file(&f, ""), tensor(&f, f.file, 5, 10000, 512));
    must(dfx_plan_seal(f.plan, &f.err), "seal");
    CHECK_U64(dfx_plan_run(f.plan, NULL, &f.err), DFX_OK, "a single file");
    CHECK_U64(count_wrong(f.plan), 0, "as planned");
    CHECK_U64(dfx_plan_run(f.plan, NULL, &f.err), DFX_ERR_IO, "not twice");
    CHECK_TEXT(f.err.rule, "out.exists", "by this rule");
    f.plan->force = true;
    f.plan->sync = true;
    CHECK_U64(dfx_plan_run(f.plan, NULL, &f.err), DFX_OK,
              "but with force, and synced");
    CHECK_U64(count_wrong(f.plan), 0, "as planned");
    remove("single");
    fixture_fini(&f);
}

/* 1 MiB of data in 64 MiB. */
static void
test_sparse(void)
{
    enum { HOLE = 32 << 20, DATA = 1 << 20 };
    dfx_io *io = NULL;
    struct stat st;
    fixture f;
    int fd;

    fixture_init(&f);
    scratch_write("holes", "", 0);
    fd = open("holes", O_WRONLY);
    CHECK(pwrite(fd, f.noise, DATA, HOLE + 1) == DATA &&
              ftruncate(fd, 2 * (off_t)HOLE) == 0 && close(fd) == 0,
          "a sparse source");
    must(dfx_io_open_file("holes", &io, &f.err), "holes");
    new_plan(&f, "sparse", false);
    add(&f, add_file(&f, ""), tensor(&f, io, 0, 2 * (HOLE / 1024), 512));
    must(dfx_plan_seal(f.plan, &f.err), "seal");
    CHECK_U64(dfx_plan_run(f.plan, NULL, &f.err), DFX_OK, "is copied");
    CHECK(stat("sparse", &st) == 0 && st.st_size == 2 * (off_t)HOLE,
          "to its full size");
    CHECK(st.st_blocks < (16 << 20) / 512, "and stays sparse");
    CHECK_U64(count_wrong(f.plan), 0, "with the same bytes");
    remove("sparse");
    dfx_io_close(io);
    fixture_fini(&f);
}

/* More files than a process may have open. */
static void
test_many_files(void)
{
    struct rlimit old, few;
    fixture f;

    fixture_init(&f);
    new_plan(&f, "files", true);
    for (int i = 0; i < 300; i++) {
        char path[32];

        snprintf(path, sizeof path, "%d/%d", i % 10, i);
        add_random(&f, add_file(&f, path), 3);
    }
    must(dfx_plan_seal(f.plan, &f.err), "seal");
    getrlimit(RLIMIT_NOFILE, &old);
    few = old;
    few.rlim_cur = 40;
    setrlimit(RLIMIT_NOFILE, &few);
    CHECK_U64(dfx_plan_run(f.plan, NULL, &f.err), DFX_OK,
              "300 files with 40 descriptors");
    setrlimit(RLIMIT_NOFILE, &old);
    CHECK_U64(count_wrong(f.plan), 0, "as planned");
    scratch_clear("files");
    fixture_fini(&f);
}

/* ---- What is not ------------------------------------------------------ */

/* A folder of one large file and a small one. */
static void
plain_plan(fixture *f, const char *dst)
{
    new_plan(f, dst, true);
    add(f, add_file(f, "small"), tensor(f, f->memory, 0, 1, 1));
    add(f, add_file(f, "large"), tensor(f, f->file, 0, 12288, 512));
    must(dfx_plan_seal(f->plan, &f->err), "seal");
}

typedef struct stopper {
    volatile sig_atomic_t stop;
    uint64_t after; /* calls */
} stopper;

static void
stop_after(void *context, uint64_t done, uint64_t total)
{
    stopper *s = context;

    (void)done;
    (void)total;
    if (s->after-- == 0)
        s->stop = 1;
}

/* The plan has four chunks: the flag is seen before each, and at the end. */
static void
test_stop(void)
{
    fixture f;

    fixture_init(&f);
    for (uint64_t after = 0; after < 4; after++) {
        stopper s = {.after = after};
        dfx_run_options options = {.threads = 1 + (unsigned)after % 2,
                                   .stop = &s.stop,
                                   .progress = stop_after,
                                   .context = &s};

        plain_plan(&f, "stopped");
        CHECK_U64(dfx_plan_run(f.plan, &options, &f.err), DFX_ERR_STOPPED,
                  "stopped");
        CHECK_TEXT(f.err.text, "stopped", "in words");
        check_nothing(&f, "there is no target");
    }
    fixture_fini(&f);
}

/* Cut within the last chunk, and so that nothing is left of it. */
static void
test_short_source(void)
{
    static const off_t left[] = {SOURCE - 10, SOURCE - (4 << 20)};
    fixture f;

    for (size_t i = 0; i < sizeof left / sizeof *left; i++) {
        fixture_init(&f);
        plain_plan(&f, "short");
        CHECK(truncate("source", left[i]) == 0, "a source that shrinks");
        CHECK_U64(dfx_plan_run(f.plan, NULL, &f.err), DFX_ERR_IO, "is found");
        CHECK_TEXT(f.err.rule, "io.short", "by this rule");
        CHECK_TEXT(f.err.file, "source", "in the source");
        check_nothing(&f, "there is no target");
        fixture_fini(&f);
    }
}

static void
test_size_limit(void)
{
    struct rlimit old, limit;
    fixture f;

    fixture_init(&f);
    plain_plan(&f, "limited");
    getrlimit(RLIMIT_FSIZE, &old);
    limit = old;
    limit.rlim_cur = 6 << 20;
    signal(SIGXFSZ, SIG_IGN);
    setrlimit(RLIMIT_FSIZE, &limit);
    CHECK_U64(dfx_plan_run(f.plan, NULL, &f.err), DFX_ERR_IO,
              "a file larger than the limit");
    setrlimit(RLIMIT_FSIZE, &old);
    CHECK_TEXT(f.err.rule, "out.write", "by this rule");
    CHECK_TEXT(f.err.text, "cannot be written: File too large", "saying why");
    CHECK_TEXT(f.err.file, "limited/large", "and which");
    check_nothing(&f, "there is no target");
    fixture_fini(&f);
}

static void
test_full_disk(void)
{
    fixture f;

    if (mkdir("disk", 0777) != 0 ||
        mount("none", "disk", "tmpfs", 0, "size=8m") != 0) {
        CHECK(true, "a full disk # SKIP a tmpfs cannot be mounted here");
        return;
    }
    fixture_init(&f);
    plain_plan(&f, "disk/full");
    CHECK_U64(dfx_plan_run(f.plan, NULL, &f.err), DFX_ERR_IO, "a full disk");
    CHECK_TEXT(f.err.rule, "out.write", "by this rule");
    CHECK_TEXT(f.err.text, "cannot be written: No space left on device",
               "saying why");
    CHECK_TEXT(f.err.file, "disk/full/large", "and which");
    CHECK(access("disk/full", F_OK) != 0, "there is no target");
    CHECK_U64(count_temporaries("disk"), 0, "nor a temporary");
    fixture_fini(&f);
    CHECK(umount("disk") == 0, "unmounted");
}

/* ---- kill -9 ---------------------------------------------------------- */

static void
kill_after(void *context, uint64_t done, uint64_t total)
{
    uint64_t *after = context;

    (void)done;
    (void)total;
    if ((*after)-- == 0)
        raise(SIGKILL);
}

/* Runs the plan in a process that dies by itself after so many chunks, or is
   killed after so many microseconds. */
static void
run_and_kill(fixture *f, uint64_t chunks, useconds_t patience)
{
    dfx_run_options options = {
        .threads = 2, .progress = kill_after, .context = &chunks};
    pid_t child = fork();

    if (child == 0)
        _exit(dfx_plan_run(f->plan, &options, NULL) == DFX_OK ? 0 : 1);
    if (chunks == UINT64_MAX) {
        usleep(patience);
        kill(child, SIGKILL);
    }
    waitpid(child, NULL, 0);
}

static void
clear_temporaries(void)
{
    DIR *dir = opendir(".");
    const struct dirent *entry;

    for (entry = readdir(dir); entry != NULL; entry = readdir(dir))
        if (strncmp(entry->d_name, ".dfx-", 5) == 0)
            scratch_clear(entry->d_name);
    closedir(dir);
}

static bool
any_folder(const char *const *names, size_t count)
{
    (void)names;
    (void)count;
    return true;
}

/* Before the other tests: a process with OpenMP threads cannot be forked. */
static void
test_kill(void)
{
    unsigned neither = 0, littered = 0, replaced = 0;
    fixture f;

    fixture_init(&f);
    for (unsigned i = 0; i < 24; i++) {
        bool old, complete;

        scratch_clear("target");
        if (mkdir("target", 0777) != 0)
            break;
        scratch_write("target/config.json", "{}", 2);
        plain_plan(&f, "target");
        f.plan->force = true;
        f.plan->is_ours = any_folder;
        run_and_kill(&f, i < 4 ? i : UINT64_MAX, 1500 * i);
        old = scratch_is("target/config.json", "{}") &&
              access("target/large", F_OK) != 0;
        complete =
            count_wrong(f.plan) == 0 && access("target/config.json", F_OK) != 0;
        neither += old == complete;
        replaced += complete;
        littered += count_temporaries(".") > 1;
        clear_temporaries();
    }
    CHECK_U64(neither, 0, "killed at 24 moments: the target is old or new");
    printf("# new %u times\n", replaced);
    CHECK_U64(littered, 0, "and beside it is one temporary at most");
    scratch_clear("target");
    fixture_fini(&f);
}

int
main(void)
{
    scratch_enter();
    test_kill();
    test_threads();
    test_file();
    test_sparse();
    test_many_files();
    test_stop();
    test_short_source();
    test_size_limit();
    test_full_disk();
    return tap_end();
}
