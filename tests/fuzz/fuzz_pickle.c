/*
 * fuzz_pickle.c - any bytes as a pickle
 *
 * What has no root was faulted, what is built lies in bounds, and telling each
 * opcode changes neither.
 */
#include <config.h>

#include <string.h>

#include "fuzz.h"
#include "pickle.h"

/* Reads it, in one of the ways that files have. */
static dfx_verdict
read_pickle(const dfx_io *io, unsigned way, dfx_line_fn *line, dfx_arena *arena,
            dfx_pickle *pickle)
{
    dfx_audit audit = {.where = ""};
    const dfx_pickle_reading reading = {
        .io = io,
        .arena = arena,
        .audit = &audit,
        .torchscript = (way & 1) != 0,
        .keys = (way & 2) != 0,
        .line = line,
    };

    REQUIRE(dfx_pickle_read(&reading, pickle, NULL) == DFX_OK);
    REQUIRE(pickle->end <= dfx_io_size(io));
    REQUIRE(pickle->root != NULL || audit.verdict != DFX_VERDICT_SAFE);
    return audit.verdict;
}

static void
ignore_line(void *context, const char *line)
{
    (void)context;
    REQUIRE(strchr(line, '\n') == NULL);
}

static void
look_at(const dfx_pickle *pickle)
{
    const dfx_pickle_node *n;

    for (n = pickle->last; n != NULL; n = n->next) {
        REQUIRE(n->at < pickle->end);
        if (dfx_pickle_has_items(n))
            for (size_t i = 0; i < n->list.count; i++)
                REQUIRE(n->list.items[i] != NULL);
        else if (n->kind == DFX_PICKLE_TEXT)
            REQUIRE(n->text.data[n->text.size] == '\0');
        else if (n->kind == DFX_PICKLE_CALL)
            REQUIRE(n->call.callable != NULL);
    }
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    for (unsigned way = 0; way < 4; way++) {
        dfx_arena first = {0}, second = {0};
        dfx_pickle plain = {0}, told = {0};
        dfx_io *io = NULL;

        REQUIRE(dfx_io_open_memory(data, size, "pickle", &io, NULL) == DFX_OK);
        REQUIRE(read_pickle(io, way, NULL, &first, &plain) ==
                read_pickle(io, way, ignore_line, &second, &told));
        REQUIRE(plain.end == told.end &&
                (plain.root == NULL) == (told.root == NULL));
        look_at(&plain);
        dfx_io_close(io);
        dfx_arena_fini(&first);
        dfx_arena_fini(&second);
    }
    return 0;
}
