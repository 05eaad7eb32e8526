/*
 * mksynth.c - make synthetic checkpoints from lists
 */
#include <config.h>

#include "synth.h"

#include <getopt.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

static const char usage[] =
    "Usage: mksynth LIST.json OUT\n"
    "       mksynth --rows ROWS.json KEY [--seed S] OUT\n"
    "       mksynth --case NAME EXPECT.json OUT\n"
    "       mksynth --sparse|--random [--case NAME] ROWS.json OUT\n"
    "       mksynth --digests LIST.json\n"
    "       mksynth --digests --rows ROWS.json KEY [--seed S]\n"
    "Write a synthetic checkpoint as safetensors, or print the digests of its\n"
    "tensors.\n\n"
    "      --rows      [name, dtype, shape, ...] rows: the component KEY of "
    "an\n"
    "                  expected.json\n"
    "      --case NAME a case of expect-unet.json, from the key lists beside "
    "it\n"
    "      --seed S    the seed of rows (default 0)\n"
    "      --sparse    zeros that take no space, from rows at the top of a "
    "file\n"
    "      --random    fast random numbers, from the same\n"
    "      --digests   print name, type, shape and digest, a line each\n";

static int
print_digests(const synth_list *list)
{
    char digest[SYNTH_DIGEST_CHARS];

    for (size_t i = 0; i < list->count; i++) {
        const synth_tensor *t = &list->tensors[i];

        if (!synth_has_values(t) || !synth_digest(list, t, digest))
            return 1;
        printf("%s %s [", t->name, synth_type_name(t));
        for (size_t d = 0; d < t->rank; d++)
            printf("%s%" PRIu64, d == 0 ? "" : ", ", t->shape[d]);
        printf("] %s\n", digest);
    }
    return fflush(stdout) == 0 ? 0 : 1;
}

int
main(int argc, char **argv)
{
    enum { ROWS = 1, CASE, SEED, SPARSE, RANDOM, DIGESTS, HELP };
    static const struct option options[] = {
        {"rows", no_argument, NULL, ROWS},
        {"case", required_argument, NULL, CASE},
        {"seed", required_argument, NULL, SEED},
        {"sparse", no_argument, NULL, SPARSE},
        {"random", no_argument, NULL, RANDOM},
        {"digests", no_argument, NULL, DIGESTS},
        {"help", no_argument, NULL, HELP},
        {0},
    };
    synth_fill fill = SYNTH_VALUES;
    bool rows = false, digests = false, good;
    const char *name = NULL, *key = NULL;
    uint64_t seed = 0;
    synth_list list;
    int c, status = 1;

    while ((c = getopt_long(argc, argv, "", options, NULL)) != -1) {
        switch (c) {
        case ROWS:
            rows = true;
            break;
        case CASE:
            name = optarg;
            break;
        case SEED:
            seed = strtoull(optarg, NULL, 0);
            break;
        case SPARSE:
            fill = SYNTH_ZERO;
            break;
        case RANDOM:
            fill = SYNTH_RANDOM;
            break;
        case DIGESTS:
            digests = true;
            break;
        case HELP:
            fputs(usage, stdout);
            return 0;
        default:
            fputs(usage, stderr);
            return 2;
        }
    }
    argc -= optind;
    argv += optind;
    if (argc != 2 + rows - digests) {
        fputs(usage, stderr);
        return 2;
    }
    if (rows)
        key = argv[1];
    if (name != NULL)
        good = synth_read_case(&list, argv[0], name);
    else if (rows || fill != SYNTH_VALUES)
        good = synth_read_rows(&list, argv[0], key, seed);
    else
        good = synth_read(&list, argv[0]);
    if (!good)
        return 1;
    if (digests)
        status = print_digests(&list);
    else
        status = synth_write(&list, fill, argv[argc - 1]) ? 0 : 1;
    synth_fini(&list);
    return status;
}
