/*
 * synth_file.c - writing a synthetic checkpoint as safetensors
 *
 * The layout is that of the reference library's writer, 0.8.0: tensors by type,
 * highest first, then by the bytes of the name; no white space; the header
 * padded with spaces to a multiple of 8.
 */
#include <config.h>

#include "synth.h"
#include "synth_type.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <unistd.h>

enum { PIECE = 1 << 20 };

static void
put_string(FILE *f, const char *text)
{
    static const char escapes[] = "\"\\\b\f\n\r\t", letters[] = "\"\\bfnrt";

    fputc('"', f);
    for (; *text != '\0'; text++) {
        const char *found = strchr(escapes, *text);

        if (found != NULL) {
            fputc('\\', f);
            fputc(letters[found - escapes], f);
        } else if ((unsigned char)*text < 0x20) {
            fprintf(f, "\\u%04x", (unsigned)*text);
        } else if (strncmp(text, "\xef\xb7\x90", 3) == 0) {
            fputs("\\u0000", f); /* see replace_nul_escapes() */
            text += 2;
        } else {
            fputc(*text, f);
        }
    }
    fputc('"', f);
}

static int
by_key(const void *a, const void *b)
{
    const cJSON *const *x = a, *const *y = b;

    return strcmp((*x)->string, (*y)->string);
}

static bool
put_metadata(FILE *f, const cJSON *metadata)
{
    size_t count = (size_t)cJSON_GetArraySize(metadata), n = 0;
    const cJSON **sorted = calloc(count + 1, sizeof(const cJSON *));
    const cJSON *node;

    if (sorted == NULL)
        return false;
    cJSON_ArrayForEach(node, metadata) sorted[n++] = node;
    qsort(sorted, count, sizeof(const cJSON *), by_key);
    fputs("\"__metadata__\":{", f);
    for (size_t i = 0; i < count; i++) {
        const char *value = cJSON_GetStringValue(sorted[i]);

        fputs(i == 0 ? "" : ",", f);
        put_string(f, sorted[i]->string);
        fputc(':', f);
        put_string(f, value == NULL ? "" : value);
    }
    fputc('}', f);
    free(sorted);
    return true;
}

static void
put_entry(FILE *f, const synth_tensor *t, uint64_t begin)
{
    put_string(f, t->name);
    fprintf(f, ":{\"dtype\":\"%s\",\"shape\":[", synth_type_name(t));
    for (size_t i = 0; i < t->rank; i++)
        fprintf(f, "%s%" PRIu64, i == 0 ? "" : ",", t->shape[i]);
    fprintf(f, "],\"data_offsets\":[%" PRIu64 ",%" PRIu64 "]}", begin,
            begin + t->size);
}

/* The header's text, padded; owned by the caller. NULL if memory ran out. */
static char *
make_header(const synth_list *list, const synth_tensor *const *order,
            size_t *size, uint64_t *data_size)
{
    char *text = NULL;
    FILE *f = open_memstream(&text, size);
    uint64_t at = 0;
    bool good;

    if (f == NULL)
        return NULL;
    fputc('{', f);
    good = list->metadata == NULL || put_metadata(f, list->metadata);
    for (size_t i = 0; i < list->count; i++) {
        fputs(i == 0 && list->metadata == NULL ? "" : ",", f);
        put_entry(f, order[i], at);
        at += order[i]->size;
    }
    fputc('}', f);
    fflush(f);
    for (size_t i = *size; i % 8 != 0; i++)
        fputc(' ', f);
    if (fclose(f) != 0 || !good) {
        free(text);
        return NULL;
    }
    *data_size = at;
    return text;
}

/* Random bits without the top bit of the exponent of F16, BF16 and F32: finite,
   and of the size that weights are. */
static void
random_bytes(uint64_t h, uint64_t first, size_t size, unsigned char *dst)
{
    for (size_t i = 0; i < size; i += 8) {
        uint64_t z = synth_mix(h + (first + i) * 0x9E3779B97F4A7C15) &
                     UINT64_C(0xbfffbfffbfffbfff);

        memcpy(dst + i, &z, size - i < 8 ? size - i : 8);
    }
}

static bool
put_data(FILE *f, const synth_list *list, const synth_tensor *t,
         synth_fill fill, unsigned char *buffer)
{
    uint64_t done = 0;
    uint64_t h = synth_mix(list->seed + (uint64_t)(t - list->tensors));

    while (done < t->size) {
        size_t size = t->size - done < PIECE ? (size_t)(t->size - done) : PIECE;

        if (fill == SYNTH_RANDOM)
            random_bytes(h, done, size, buffer);
        else
            synth_values(list, t, done * 8 / t->type->bits,
                         size * 8 / t->type->bits, buffer);
        if (fwrite(buffer, 1, size, f) != size)
            return false;
        done += size;
    }
    return true;
}

static int
by_type_and_name(const void *a, const void *b)
{
    const synth_tensor *const *x = a, *const *y = b;

    if ((*x)->type != (*y)->type) /* rows of one table, in order of rank */
        return (*x)->type > (*y)->type ? -1 : 1;
    return strcmp((*x)->name, (*y)->name);
}

static bool
put_file(FILE *f, const synth_list *list, const synth_tensor *const *order,
         synth_fill fill, unsigned char *buffer)
{
    size_t size = 0;
    uint64_t data_size = 0;
    char *header = make_header(list, order, &size, &data_size);
    uint64_t n = size;
    bool good = header != NULL && fwrite(&n, sizeof n, 1, f) == 1 &&
                fwrite(header, 1, size, f) == size;

    free(header);
    if (!good)
        return false;
    if (fill == SYNTH_ZERO)
        return fflush(f) == 0 &&
               ftruncate(fileno(f), (off_t)(sizeof n + size + data_size)) == 0;
    for (size_t i = 0; good && i < list->count; i++)
        good = put_data(f, list, order[i], fill, buffer);
    return good;
}

bool
synth_write(const synth_list *list, synth_fill fill, const char *path)
{
    const synth_tensor **order = calloc(list->count + 1, sizeof *order);
    unsigned char *buffer = malloc(PIECE);
    FILE *f = fopen(path, "wb");
    bool good = order != NULL && buffer != NULL && f != NULL;

    for (size_t i = 0; good && i < list->count; i++) {
        order[i] = &list->tensors[i];
        if (fill == SYNTH_VALUES && !synth_has_values(order[i])) {
            fprintf(stderr, "synth: %s: no values of type %s\n", order[i]->name,
                    synth_type_name(order[i]));
            good = false;
        }
    }
    if (good) {
        qsort(order, list->count, sizeof *order, by_type_and_name);
        good = put_file(f, list, order, fill, buffer);
    }
    if (f != NULL && fclose(f) != 0)
        good = false;
    if (!good)
        fprintf(stderr, "synth: %s: not written: %s\n", path, strerror(errno));
    free(order);
    free(buffer);
    return good;
}
