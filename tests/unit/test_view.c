/*
 * test_view.c - a component of an index through the names of its kind, and the
 * signatures that find it
 */
#include <config.h>

#include "rules.h"

#include <stdlib.h>

#include "tap.h"

/* ---- An index ----------------------------------------------------------- */

/* Of component 1, "net"; component 0 has one tensor, "other.weight". */
static const struct {
    const char *name;
    uint32_t rank;
    uint64_t shape[4];
} tensors[] = {
    {"p.in.0.weight", 4, {8, 3, 3, 3}},
    {"p.in.0.bias", 1, {8}},
    {"p.all.1.w.weight", 2, {16, 8}},
    {"p.all.2.w.weight", 2, {16, 8}},
    {"p.all.4.w.weight", 2, {16, 8}},
    {"p.big", 1, {0}},
    {"q.layers.0.query.weight", 2, {4, 4}},
    {"q.layers.0.to_k.weight", 2, {4, 5}},
    {"q.extra_block.x", 1, {2}},
};

static dfx_index *
make_index(void)
{
    static const char no_byte; /* never read */
    dfx_index *index = NULL;
    dfx_io *io = NULL;
    uint32_t top, net;
    dfx_error err;
    dfx_claim claim = {.type = DFX_TYPE_F32, .name = "other.weight"};

    if (dfx_index_new("made", &index, &err) != DFX_OK ||
        dfx_io_open_memory(&no_byte, 1 << 20, "made", &io, &err) != DFX_OK ||
        dfx_index_take_io(index, io, &err) != DFX_OK ||
        dfx_index_component(index, "", &top, &err) != DFX_OK ||
        dfx_index_component(index, "net", &net, &err) != DFX_OK)
        abort();
    claim.io = io;
    claim.component = top;
    claim.name_size = strlen(claim.name);
    claim.size = 4;
    if (dfx_index_add(index, &claim, &err) != DFX_OK)
        abort();
    for (size_t i = 0; i < sizeof tensors / sizeof *tensors; i++) {
        claim.component = net;
        claim.name = tensors[i].name;
        claim.name_size = strlen(claim.name);
        claim.rank = tensors[i].rank;
        claim.shape = tensors[i].shape;
        claim.size = 4;
        for (uint32_t d = 0; d < claim.rank; d++)
            claim.size *= claim.shape[d];
        if (dfx_index_add(index, &claim, &err) != DFX_OK)
            abort();
    }
    if (dfx_index_seal(index, &err) != DFX_OK)
        abort();
    return index;
}

/* ---- A kind ------------------------------------------------------------- */

static const dfx_row rows[] = {
    DFX_ROW("conv_in.{wb}", "in.0.{wb}"),
    DFX_ROW("blocks.{b}.w.weight", "all.{1+b}.w.weight", .loops = "b<N"),
    DFX_ROW("large", "big"),
    {0},
};

static const dfx_alias aliases[] = {
    {".query.", ".to_q."},
    {".key.", ".to_k."},
    {0},
};

static const dfx_signature original = {.layout = DFX_LAYOUT_ORIGINAL};
static const dfx_signature folder = {.layout = DFX_LAYOUT_DIFFUSERS};
static const dfx_signature bare = {
    .layout = DFX_LAYOUT_DIFFUSERS,
    .implied = "text.",
};

static const dfx_kind kind = {
    .name = "made",
    .rows = rows,
    .aliases = aliases,
};

static const char *
found(const dfx_view *view, const char *name)
{
    const dfx_tensor *t = dfx_view_find(view, name);

    return t != NULL ? t->name : "none";
}

static void
test_original(const dfx_index *index)
{
    dfx_arena arena = {0};
    dfx_facts facts = {0};
    dfx_view view = {index, 1, "p.", &kind, &original, &facts, &arena};
    char far[400];

    CHECK_TEXT(found(&view, "in.0.weight"), "p.in.0.weight",
               "a name is looked up behind the prefix");
    CHECK_TEXT(found(&view, "conv_in.weight"), "none",
               "in the layout that the source has");
    CHECK(dfx_view_folder(&view, "conv_in.%s", "bias") != NULL,
          "a Diffusers name is translated");
    CHECK(dfx_view_folder(&view, "unknown.%s", "bias") == NULL,
          "one that no row has is not there");
    CHECK_U64((uint64_t)dfx_view_dim(&view, 0, "conv_in.weight"), 8,
              "its first dimension");
    CHECK_U64((uint64_t)dfx_view_dim(&view, 1, "blocks.%d.w.weight", 3), 8,
              "its second, past the loop's range");
    CHECK_U64((uint64_t)dfx_view_dim(&view, 4, "conv_in.weight"), 0,
              "no fifth one");
    CHECK_U64((uint64_t)dfx_view_dim(&view, 0, "conv_out.weight"), 0,
              "none without a tensor");
    CHECK_U64((uint64_t)dfx_view_count(&view, "blocks.", ".w.weight"), 2,
              "counting stops at the first gap");
    memset(far, 'x', sizeof far - 1);
    far[sizeof far - 1] = '\0';
    CHECK_TEXT(found(&view, far), "none", "a name of 399 bytes");
    CHECK(dfx_view_folder(&view, "%s", far) == NULL, "also a translated one");
    view.component = 0;
    CHECK_TEXT(found(&view, "in.0.weight"), "none",
               "other components are not looked at");
    dfx_arena_fini(&arena);
    dfx_facts_fini(&facts);
}

static void
test_folder(const dfx_index *index)
{
    dfx_arena arena = {0};
    dfx_facts facts = {0};
    dfx_view view = {index, 1, "q.", &kind, &folder, &facts, &arena};

    CHECK_TEXT(found(&view, "layers.0.to_q.weight"), "q.layers.0.query.weight",
               "an old name is found by the new one");
    CHECK_TEXT(found(&view, "layers.0.to_k.weight"), "q.layers.0.to_k.weight",
               "the new name itself comes first");
    CHECK_TEXT(found(&view, "layers.0.to_v.weight"), "none",
               "what has no alias is not there");
    CHECK(dfx_view_folder(&view, "layers.%d.to_k.weight", 0) != NULL,
          "a Diffusers name is not translated");
    view.signature = &original;
    CHECK_TEXT(found(&view, "layers.0.to_q.weight"), "none",
               "original names have no aliases");
    view.signature = &bare;
    CHECK_TEXT(found(&view, "text.layers.0.to_k.weight"),
               "q.layers.0.to_k.weight", "the implied part is left out");
    CHECK_TEXT(found(&view, "extra_block.x"), "q.extra_block.x",
               "names without it are looked up as they are");
    dfx_arena_fini(&arena);
    dfx_facts_fini(&facts);
}

/* ---- Signatures --------------------------------------------------------- */

/* clang-format off */
static const struct {
    const char *what;
    const char *prefix;
    dfx_signature signature;
    bool fits;
} signatures[] = {
    {"all there", "p.", {.all = {"in.0.weight", "in.0.bias"}}, true},
    {"one missing", "p.", {.all = {"in.0.weight", "in.1.bias"}}, false},
    {"behind another prefix", "q.", {.all = {"in.0.weight"}}, false},
    {"with the prefix in the name", "", {.all = {"p.in.0.weight"}}, true},
    {"the start of a name", "p.", {.all = {"in.0.weight", "all."}}, true},
    {"no start, but inside a name", "", {.all = {"all."}}, false},
    {"a whole name is no start", "p.", {.all = {"in.0"}}, false},
    {"anywhere in a name", "q.", {.all = {"*extra_block"}}, true},
    {"nowhere behind the prefix", "p.", {.all = {"*extra_block"}}, false},
    {"a forbidden name is absent", "p.", {.all = {"big"}, .none = {"small"}}, true},
    {"a forbidden name", "p.", {.all = {"big"}, .none = {"small", "in.0.bias"}}, false},
    {"a forbidden start", "p.", {.all = {"big"}, .none = {"all."}}, false},
    {"a forbidden part", "q.", {.all = {"layers.0.to_k.weight"}, .none = {"*_block."}}, false},
    {"forbidden behind another prefix", "p.", {.all = {"big"}, .none = {"*_block."}}, true},
    {"the right rank", "p.", {.all = {"in.0.weight"}, .ranks = {{"in.0.weight", 4}}}, true},
    {"the wrong rank", "p.", {.all = {"in.0.weight"}, .ranks = {{"in.0.weight", 5}}}, false},
    {"a rank of what is not there", "p.", {.all = {"big"}, .ranks = {{"small", 5}}}, true},
    {"one wrong rank of two", "p.", {.all = {"big"}, .ranks = {{"big", 1}, {"in.0.bias", 2}}}, false},
};
/* clang-format on */

static void
test_signatures(const dfx_index *index)
{
    const dfx_signature two[] = {{.all = {"not.there"}}, {.all = {"big"}}};
    const dfx_kind second = {.signatures = two, .signature_count = 2};

    for (size_t i = 0; i < sizeof signatures / sizeof *signatures; i++) {
        const dfx_kind one = {.signatures = &signatures[i].signature,
                              .signature_count = 1};
        bool fits = dfx_kind_match(&one, index, 1, signatures[i].prefix) ==
                    &signatures[i].signature;

        CHECK(fits == signatures[i].fits, signatures[i].what);
        CHECK(dfx_kind_match(&one, index, 0, signatures[i].prefix) == NULL,
              "and not in another component");
    }
    CHECK(dfx_kind_match(&second, index, 1, "p.") == &two[1],
          "the first signature that fits");
}

int
main(void)
{
    dfx_index *index = make_index();

    test_original(index);
    test_folder(index);
    test_signatures(index);
    dfx_index_free(index);
    return tap_end();
}
