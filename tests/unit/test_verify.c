/*
 * test_verify.c - dfx_plan_verify sees a byte that is not what was meant
 *
 * The demo model becomes a single file; every 1,000,003rd byte of its tensors
 * is then changed in turn, and changed back; so are bytes that no tensor of the
 * source has: of the header, and of a component from elsewhere.
 */
#include <config.h>

#include "dfx.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "scratch.h"
#include "tap.h"

enum { STEP = 1000003 };

/* A plan of the demo as demo.safetensors, run. graft may be NULL. */
static dfx_status
make(const dfx_index *index, const dfx_identity *identity,
     const dfx_graft *graft, dfx_plan **plan, dfx_error *err)
{
    dfx_convert_options options;
    dfx_status status;

    dfx_convert_options_init(&options);
    options.force = true;
    options.grafts = graft;
    options.graft_count = graft != NULL;
    status =
        dfx_convert(index, identity, "demo.safetensors", &options, plan, err);
    if (status == DFX_OK)
        status = dfx_plan_run(*plan, NULL, err);
    return status;
}

static bool
flip(int fd, off_t at)
{
    unsigned char byte;

    if (pread(fd, &byte, 1, at) != 1)
        return false;
    byte ^= 1;
    return pwrite(fd, &byte, 1, at) == 1;
}

static void
test_changes(const dfx_plan *plan)
{
    size_t files = 0, changes = 0, seen = 0, named = 0;
    const dfx_plan_file *file = dfx_plan_files(plan, &files);
    const dfx_plan_tensor *last = &file->tensors[file->tensor_count - 1];
    uint64_t end = last->offset + last->size;
    int fd = open("demo.safetensors", O_RDWR);

    for (uint64_t at = file->tensors[0].offset; at < end; at += STEP) {
        dfx_error err = {0};
        size_t compared = 0;

        if (!flip(fd, (off_t)at))
            break;
        changes++;
        seen += dfx_plan_verify(plan, NULL, &compared, &err) != DFX_OK &&
                strcmp(err.rule, "verify.differs") == 0;
        named += err.tensor[0] != '\0';
        if (!flip(fd, (off_t)at))
            break;
    }
    close(fd);
    CHECK(changes > 10, "more than ten bytes are changed in turn");
    CHECK_U64(seen, changes, "each is seen: verify.differs");
    CHECK_U64(named, changes, "  and its tensor named");
}

/* A changed byte at that place is seen. */
static void
check_seen(const dfx_plan *plan, uint64_t at, const char *what)
{
    int fd = open("demo.safetensors", O_RDWR);
    dfx_error err = {0};
    size_t compared = 0;

    CHECK(flip(fd, (off_t)at), what);
    CHECK(dfx_plan_verify(plan, NULL, &compared, &err) != DFX_OK &&
              strcmp(err.rule, "verify.differs") == 0 && err.offset == at,
          "  is seen where it is");
    CHECK(flip(fd, (off_t)at), "  and changed back");
    close(fd);
}

static void
test_graft(const dfx_index *index, const dfx_identity *identity)
{
    const dfx_graft graft = {"vae", index, identity};
    dfx_plan *plan = NULL;
    dfx_error err = {0};
    size_t files = 0, compared = 0;
    const dfx_plan_file *file;
    uint64_t at = 0;

    if (!CHECK(make(index, identity, &graft, &plan, &err) == DFX_OK,
               "the demo with a VAE from elsewhere"))
        return;
    CHECK(dfx_plan_verify(plan, NULL, &compared, &err) == DFX_OK,
          "... verifies");
    CHECK_U64(compared, 970, "... all tensors");
    file = dfx_plan_files(plan, &files);
    for (size_t i = 0; i < file->tensor_count && at == 0; i++)
        if (strncmp(file->tensors[i].name, "first_stage_model.", 18) == 0)
            at = file->tensors[i].offset;
    check_seen(plan, at, "a changed byte of the graft");
    dfx_plan_free(plan);
}

static void
test_cut(const dfx_plan *plan)
{
    size_t files = 0, compared = 0;
    off_t size = (off_t)dfx_plan_files(plan, &files)->size;
    dfx_error err = {0};

    CHECK(truncate("demo.safetensors", size - 2) == 0, "a file cut short");
    CHECK(dfx_plan_verify(plan, NULL, &compared, &err) != DFX_OK &&
              strcmp(err.rule, "verify.differs") == 0,
          "... is seen");
}

int
main(void)
{
    dfx_index *index = NULL;
    dfx_identity *identity = NULL;
    dfx_plan *plan = NULL;
    dfx_error err = {0};
    size_t compared = 0;
    const char *srcdir = getenv("srcdir");
    char folder[4096], *model;
    dfx_status status;

    snprintf(folder, sizeof folder, "%s/demo/model",
             srcdir != NULL ? srcdir : ".");
    model = realpath(folder, NULL); /* seen from the scratch folder, too */
    if (model == NULL) {
        printf("Bail out! no %s\n", folder);
        return 1;
    }
    scratch_enter();
    status = dfx_open(model, NULL, &index, &err);
    if (status == DFX_OK)
        status = dfx_identify(index, NULL, &identity, &err);
    if (status == DFX_OK)
        status = make(index, identity, NULL, &plan, &err);
    if (!CHECK(status == DFX_OK, "the demo becomes a single file")) {
        printf("# %s\n", err.text);
        return tap_end();
    }
    CHECK(dfx_plan_verify(plan, NULL, &compared, &err) == DFX_OK,
          "what was written verifies");
    CHECK_U64(compared, 970, "  all its tensors");
    test_changes(plan);
    CHECK(dfx_plan_verify(plan, NULL, &compared, &err) == DFX_OK,
          "what was changed back verifies");
    check_seen(plan, 8, "a changed byte of the header");
    test_graft(index, identity);
    test_cut(plan);
    dfx_plan_free(plan);
    dfx_identity_free(identity);
    dfx_index_free(index);
    free(model);
    return tap_end();
}
