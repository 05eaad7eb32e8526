/*
 * progress.c - one line on a terminal: bytes, rate, time left
 *
 * Spaces erase, not escape sequences: they work on every terminal.
 */
#include <config.h>

#include "progress.h"

#include <inttypes.h>
#include <stdio.h>
#include <sys/ioctl.h>
#include <time.h>
#include <unistd.h>

#include "report.h"

enum { LINE_WIDTH = 78 }; /* on a terminal as wide as that, or wider */

static const double interval = 0.1; /* seconds between two lines */

static double
now(void)
{
    struct timespec t;

    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + (double)t.tv_nsec * 1e-9;
}

void
dfx_progress_start(dfx_progress *progress, const char *what, bool forced,
                   bool quiet)
{
    *progress = (dfx_progress){
        .shown = !quiet && (forced || isatty(STDERR_FILENO) == 1),
        .what = what,
        .start = now(),
    };
    progress->drawn = progress->start; /* what is done at once needs no line */
}

/* A line that fills the terminal may wrap, and then nothing erases it. */
static int
line_width(void)
{
    struct winsize size;

    if (ioctl(STDERR_FILENO, TIOCGWINSZ, &size) == 0 && size.ws_col > 0 &&
        size.ws_col <= LINE_WIDTH)
        return size.ws_col - 1;
    return LINE_WIDTH;
}

static void
draw(dfx_progress *progress, const char *line)
{
    int limit = line_width();
    int width = fprintf(stderr, "\r%.*s", limit, line) - 1;

    if (progress->width > limit) /* it was wider when that was drawn */
        progress->width = limit;

    if (width < progress->width)
        fprintf(stderr, "%*s", progress->width - width, "");
    fflush(stderr);
    progress->width = width;
}

/* Seconds until the rest is done, as H:MM:SS. */
static const char *
time_left(double rate, uint64_t rest, char *buf, size_t size)
{
    double left = rate > 0 ? (double)rest / rate : 0;

    if (left > 359999)
        left = 359999; /* 99:59:59 is long enough to say "not today" */
    snprintf(buf, size, "%d:%02d:%02d left", (int)left / 3600,
             (int)left / 60 % 60, (int)left % 60);
    return buf;
}

void
dfx_progress_update(void *context, uint64_t done, uint64_t total)
{
    dfx_progress *progress = context;
    char line[LINE_WIDTH + 1], a[DFX_HUMAN_CHARS], b[DFX_HUMAN_CHARS];
    char c[DFX_HUMAN_CHARS], left[32];
    double time = now(), rate;

    if (!progress->shown || total == 0 || time - progress->drawn < interval)
        return;
    rate = (double)done / (time - progress->start);
    snprintf(line, sizeof line, "%s %s of %s  %3.0f%%  %s/s  %s",
             progress->what, dfx_human_bytes(done, a),
             dfx_human_bytes(total, b), 100.0 * (double)done / (double)total,
             dfx_human_bytes((uint64_t)rate, c),
             time_left(rate, total - done, left, sizeof left));
    draw(progress, line);
    progress->drawn = time;
}

void
dfx_progress_step(dfx_progress *progress, uint64_t done, uint64_t total)
{
    double seconds = now() - progress->start;
    double rate = seconds > 0 ? (double)done / seconds : 0;
    char line[LINE_WIDTH + 1], left[32];

    if (!progress->shown)
        return;
    snprintf(line, sizeof line, "%s %" PRIu64 " of %" PRIu64 "  %.2f it/s  %s",
             progress->what, done, total, rate,
             time_left(rate, total - done, left, sizeof left));
    draw(progress, line);
}

void
dfx_progress_end(dfx_progress *progress)
{
    if (progress->width > 0) {
        draw(progress, "");
        fputs("\r", stderr);
    }
    progress->width = 0;
}

double
dfx_progress_seconds(const dfx_progress *progress)
{
    return now() - progress->start;
}
