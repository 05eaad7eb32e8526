/*
 * codecs.c - the speed of the codecs, on one thread
 *
 * Usage: codecs [TYPE]...
 * A line for each block type (default: all) and level of the machine: MB/s of
 * floats that are encoded, encoded by an importance of ones, and decoded. Each
 * figure is the best of several rounds.
 */
#include <config.h>

#include "codecs/codec.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <time.h>

enum { NUMBERS = 8192, ROUNDS = 5 };
static const double ROUND_SECONDS = 0.05;

typedef struct work {
    const dfx_codec *codec;
    float *numbers, *ones, *decoded; /* owned: NUMBERS of each */
    uint8_t *blocks;                 /* owned */
} work;

static double
seconds(void)
{
    struct timespec t;

    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
}

static void
encode(work *w)
{
    (void)w->codec->encode(w->numbers, NULL, w->blocks, NUMBERS);
}

static void
encode_weighed(work *w)
{
    (void)w->codec->encode(w->numbers, w->ones, w->blocks, NUMBERS);
}

static void
decode(work *w)
{
    w->codec->decode(w->blocks, w->decoded, NUMBERS / w->codec->unit.elements);
}

static double
megabytes_per_second(void (*run)(work *w), work *w)
{
    double best = 0;

    for (int round = 0; round < ROUNDS; round++) {
        double start = seconds(), end;
        size_t bytes = 0;

        do {
            run(w);
            bytes += NUMBERS * sizeof(float);
            end = seconds();
        } while (end - start < ROUND_SECONDS);
        best = fmax(best, 1e-6 * (double)bytes / (end - start));
    }
    return best;
}

/* Sums of uniform numbers: much like weights. */
static void
make_numbers(float *numbers)
{
    uint32_t state = 1;

    for (int i = 0; i < NUMBERS; i++) {
        float sum = 0;

        for (int k = 0; k < 4; k++) {
            state = state * 1664525 + 1013904223;
            sum += (float)(int32_t)state * 0x1p-31f;
        }
        numbers[i] = 0.02f * sum;
    }
}

static void
measure(work *w, dfx_type type, dfx_cpu level)
{
    w->codec = dfx_codec_at(level, type);
    printf("%-8s %-7s", dfx_type_name(type), dfx_cpu_name(level));
    if (w->codec->encode != NULL)
        printf(" %8.0f %8.0f", megabytes_per_second(encode, w),
               megabytes_per_second(encode_weighed, w));
    else
        printf(" %8s %8s", "-", "-");
    printf(" %8.0f\n", megabytes_per_second(decode, w));
}

static bool
wanted(dfx_type type, int argc, char **argv)
{
    for (int i = 1; i < argc; i++)
        if (strcasecmp(argv[i], dfx_type_name(type)) == 0)
            return true;
    return argc == 1;
}

int
main(int argc, char **argv)
{
    work w = {.numbers = malloc(NUMBERS * sizeof(float)),
              .ones = malloc(NUMBERS * sizeof(float)),
              .decoded = malloc(NUMBERS * sizeof(float)),
              .blocks = calloc(NUMBERS, sizeof(float))};

    make_numbers(w.numbers);
    for (int i = 0; i < NUMBERS; i++)
        w.ones[i] = 1;
    printf("%-8s %-7s %8s %8s %8s  MB/s of floats\n", "type", "level", "encode",
           "by ones", "decode");
    for (dfx_type type = 0; type < DFX_TYPE_COUNT; type++)
        for (dfx_cpu level = DFX_CPU_REF; level <= dfx_cpu_best(); level++)
            if (dfx_codec_of(type) != NULL && wanted(type, argc, argv))
                measure(&w, type, level);
    free(w.blocks);
    free(w.decoded);
    free(w.ones);
    free(w.numbers);
    return 0;
}
