/*
 * golden.h - what tests of golden files share: where they are, and their rows
 */
#ifndef GOLDEN_H
#define GOLDEN_H

#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cjson/cJSON.h>

#include "../unit/scratch.h"

static char golden_folder[512];

/* The folder of that name under tests/golden. */
static inline void
golden_find(const char *name)
{
    const char *srcdir = getenv("srcdir");
    char path[400], *whole;

    snprintf(path, sizeof path, "%s/tests/golden/%s",
             srcdir != NULL ? srcdir : ".", name);
    whole = realpath(path, NULL);
    if (whole == NULL) {
        printf("Bail out! no %s\n", path);
        exit(1);
    }
    snprintf(golden_folder, sizeof golden_folder, "%s", whole);
    free(whole);
}

/* The bytes of a file in it, and a NUL; free() them. */
static inline unsigned char *
golden_load(const char *name, size_t *size)
{
    char path[1024];
    unsigned char *data;

    snprintf(path, sizeof path, "%s/%s", golden_folder, name);
    data = scratch_read(path, size);
    if (data == NULL) {
        printf("Bail out! no %s\n", path);
        exit(1);
    }
    return data;
}

/* cJSON_Delete it. */
static inline cJSON *
golden_json(const char *name)
{
    size_t size = 0;
    unsigned char *text = golden_load(name, &size);
    cJSON *doc = cJSON_Parse((const char *)text);

    free(text);
    if (doc == NULL) {
        printf("Bail out! %s is no JSON\n", name);
        exit(1);
    }
    return doc;
}

/* A text of a row, by name or by place; NULL: it is none. */
static inline const char *
text_of(const cJSON *row, const char *key)
{
    return cJSON_GetStringValue(cJSON_GetObjectItemCaseSensitive(row, key));
}

static inline const char *
text_at(const cJSON *row, int i)
{
    return cJSON_GetStringValue(cJSON_GetArrayItem(row, i));
}

static inline size_t
number_at(const cJSON *row, int i)
{
    return (size_t)cJSON_GetArrayItem(row, i)->valuedouble;
}

/* The 24-bit number of element i of a tensor, as tests/synth/synth.h has it. */
static inline uint64_t
golden_bits(uint64_t seed, const char *name, uint64_t i)
{
    uint64_t z = 0xcbf29ce484222325;

    for (; *name != '\0'; name++)
        z = (z ^ (unsigned char)*name) * 0x100000001b3;
    z = (z ^ seed) + (i + 1) * 0x9e3779b97f4a7c15;
    z = (z ^ z >> 30) * 0xbf58476d1ce4e5b9;
    z = (z ^ z >> 27) * 0x94d049bb133111eb;
    return (z ^ z >> 31) >> 40;
}

/* The same in -1 .. 1. */
static inline double
golden_value(uint64_t seed, const char *name, uint64_t i)
{
    return ((double)golden_bits(seed, name, i) - 0x1p23) / 0x1p23;
}

#endif
