/*
 * test_net.c - layers over tensors that do not fit, configs that lie
 */
#include <config.h>

#include "net.h"
#include "settings.h"

#include "scratch.h"
#include "tap.h"

static dfx_error err;
static const float numbers[54] = {1.0f, 2.0f, 3.0f, 4.0f};

/* Adds a tensor of F32, of the numbers above from the first on. */
static void
add(dfx_index *index, const char *name, uint32_t rank, const uint64_t *shape)
{
    dfx_claim claim = {.name = name,
                       .name_size = strlen(name),
                       .type = DFX_TYPE_F32,
                       .rank = rank,
                       .shape = shape,
                       .io = index->ios[0],
                       .size = sizeof(float)};

    for (uint32_t i = 0; i < rank; i++)
        claim.size *= shape[i];
    if (dfx_index_add(index, &claim, &err) != DFX_OK)
        printf("Bail out! %s\n", err.text);
}

static dfx_index *
make_index(void)
{
    dfx_index *index = NULL;
    dfx_io *io = NULL;
    uint32_t component;

    if (dfx_index_new("memory", &index, &err) != DFX_OK ||
        dfx_io_open_memory(numbers, sizeof numbers, "memory", &io, &err) !=
            DFX_OK ||
        dfx_index_take_io(index, io, &err) != DFX_OK ||
        dfx_index_component(index, "", &component, &err) != DFX_OK)
        printf("Bail out! %s\n", err.text);
    add(index, "fc.weight", 2, (uint64_t[]){2, 3});
    add(index, "fc.bias", 1, (uint64_t[]){2});
    add(index, "short.weight", 2, (uint64_t[]){2, 3});
    add(index, "short.bias", 1, (uint64_t[]){1});
    add(index, "conv.weight", 4, (uint64_t[]){2, 3, 3, 3});
    add(index, "oblong.weight", 4, (uint64_t[]){2, 3, 3, 1});
    add(index, "norm.weight", 1, (uint64_t[]){3});
    add(index, "norm.bias", 1, (uint64_t[]){3});
    add(index, "five.weight", 5, (uint64_t[]){1, 1, 1, 1, 1});
    add(index, "none.weight", 2, (uint64_t[]){0, 3});
    if (dfx_index_seal(index, &err) != DFX_OK)
        printf("Bail out! %s\n", err.text);
    return index;
}

typedef dfx_array layer_fn(dfx_net *net, dfx_array x);

static dfx_array
linear(dfx_net *net, dfx_array x)
{
    return dfx_linear(net, x, "fc");
}

static dfx_array
linear_of_another_width(dfx_net *net, dfx_array x)
{
    return dfx_linear(net, dfx_linear(net, x, "fc"), "fc");
}

static dfx_array
short_bias(dfx_net *net, dfx_array x)
{
    return dfx_linear(net, x, "short");
}

static dfx_array
no_such_layer(dfx_net *net, dfx_array x)
{
    return dfx_linear(net, x, "fc2.%d", 7);
}

static dfx_array
rank_five(dfx_net *net, dfx_array x)
{
    return dfx_linear(net, x, "five");
}

static dfx_array
no_rows(dfx_net *net, dfx_array x)
{
    return dfx_linear(net, x, "none");
}

static dfx_array
conv_of_rank_two(dfx_net *net, dfx_array x)
{
    return dfx_conv2d(net, x, 1, DFX_PAD_SAME, "conv");
}

static dfx_array
conv_too_small(dfx_net *net, dfx_array x)
{
    x = dfx_net_reshape(net, x, 4, (size_t[]){1, 3, 1, 1});
    return dfx_conv2d(net, x, 2, DFX_PAD_AFTER, "conv");
}

static dfx_array
conv_oblong(dfx_net *net, dfx_array x)
{
    x = dfx_net_reshape(net, x, 4, (size_t[]){1, 3, 1, 1});
    return dfx_conv2d(net, x, 1, DFX_PAD_SAME, "oblong");
}

static dfx_array
groups_that_do_not_divide(dfx_net *net, dfx_array x)
{
    return dfx_group_norm(net, x, 2, 1e-5f, "norm");
}

static dfx_array
norm_of_another_width(dfx_net *net, dfx_array x)
{
    return dfx_layer_norm(net, dfx_linear(net, x, "fc"), 1e-5f, "norm");
}

static dfx_array
id_without_row(dfx_net *net, dfx_array x)
{
    (void)x;
    return dfx_embed(net, (const uint32_t[]){0, 2}, 1, 2, "fc");
}

static dfx_array
heads_that_do_not_divide(dfx_net *net, dfx_array x)
{
    x = dfx_net_reshape(net, x, 3, (size_t[]){1, 1, 3});
    return dfx_attend(net, x, x, x, 2, false);
}

static dfx_array
sum_of_two_sizes(dfx_net *net, dfx_array x)
{
    return dfx_add(net, dfx_linear(net, x, "fc"), x);
}

static dfx_array
too_large(dfx_net *net, dfx_array x)
{
    (void)x;
    return dfx_net_new(net, 2, (size_t[]){SIZE_MAX / 2, 3});
}

static dfx_array
slice_beyond(dfx_net *net, dfx_array x)
{
    return dfx_channels(net, x, 2, SIZE_MAX);
}

static void
test_layers(dfx_weights *weights)
{
    static const struct {
        const char *what;
        layer_fn *layer;
        const char *rule;
    } cases[] = {
        {"a linear layer that fits", linear, ""},
        {"an input of another width", linear_of_another_width,
         "run.tensor.shape"},
        {"a bias of another width", short_bias, "run.tensor.shape"},
        {"a layer that is not there", no_such_layer, "run.tensor.missing"},
        {"a weight of rank 5", rank_five, "run.tensor.shape"},
        {"a weight of no rows", no_rows, "run.tensor.shape"},
        {"a convolution of a matrix", conv_of_rank_two, "run.tensor.shape"},
        {"one of an image smaller than the kernel", conv_too_small,
         "run.tensor.shape"},
        {"one with a kernel that is no square", conv_oblong,
         "run.tensor.shape"},
        {"3 channels in 2 groups", groups_that_do_not_divide,
         "run.tensor.shape"},
        {"a norm of another width", norm_of_another_width, "run.tensor.shape"},
        {"an id beyond the table", id_without_row, "run.tensor.shape"},
        {"3 channels for 2 heads", heads_that_do_not_divide,
         "run.tensor.shape"},
        {"a sum of two sizes", sum_of_two_sizes, "run.tensor.shape"},
        {"an array beyond memory", too_large, "run.tensor.shape"},
        {"channels beyond the last", slice_beyond, "run.tensor.shape"},
    };

    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        dfx_net net;
        dfx_array x;

        err = (dfx_error){.rule = ""};
        dfx_net_init(&net, weights, &err);
        x = dfx_net_input(&net, numbers, 2, (size_t[]){1, 3});
        x = cases[i].layer(&net, x);
        CHECK_TEXT(err.rule, cases[i].rule, cases[i].what);
        x = dfx_activate(&net, x, DFX_ACT_SILU);
        CHECK((net.status == DFX_OK) == (cases[i].rule[0] == '\0'),
              "  and what follows does no harm");
        dfx_net_fini(&net);
    }
}

/* 1*1 + 2*2 + 3*3 + bias 1, and 4*1 + 0 + 0 + bias 2: numbers all start alike.
 */
static void
test_values(dfx_weights *weights)
{
    dfx_net net;
    dfx_array x, y;
    float got[2] = {0};
    size_t mark;

    dfx_net_init(&net, weights, &err);
    x = dfx_net_input(&net, numbers, 2, (size_t[]){1, 3});
    mark = dfx_net_mark(&net);
    y = dfx_linear(&net, x, "fc");
    y = dfx_add(&net, dfx_linear(&net, x, "fc"), y);
    y = dfx_net_keep(&net, mark, y);
    CHECK_U64(net.live_count, mark + 1, "what is not kept is released");
    dfx_net_output(&net, y, got);
    CHECK(got[0] == 30.0f && got[1] == 12.0f, "a layer's numbers");
    x = dfx_net_keep(&net, 0, x);
    CHECK_U64(net.live_count, 1, "what was there before may be kept alone");
    dfx_net_fini(&net);
}

static void
test_settings(void)
{
    static const char text[] =
        "{\"one\": 1, \"none\": null, \"half\": 0.5, \"huge\": 1e30,"
        " \"minus\": -1, \"text\": \"gelu\", \"yes\": true, \"list\": [1, 2],"
        " \"empty\": [], \"texts\": [\"a\", \"b\"], \"mixed\": [\"a\", 1],"
        " \"long\": [1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1]}";
    static const struct {
        const char *key;
        bool good;
    } counts[] = {{"one", true},   {"absent", true}, {"none", false},
                  {"half", false}, {"huge", false},  {"minus", false},
                  {"text", false}, {"list", false}},
      lists[] = {{"one", true},    {"list", true},  {"empty", false},
                 {"mixed", false}, {"long", false}, {"absent", false}};
    size_t items[DFX_SETTING_ITEMS];
    const char *texts[DFX_SETTING_ITEMS];
    dfx_settings s = {.err = &err};
    cJSON *doc = NULL;

    if (dfx_doc_parse(text, sizeof text - 1, "config", &doc, &err) != DFX_OK)
        printf("Bail out! %s\n", err.text);
    s.config = doc;
    for (size_t i = 0; i < sizeof counts / sizeof counts[0]; i++) {
        s.status = DFX_OK;
        dfx_setting_count(&s, counts[i].key, 7, 0, 100);
        CHECK((s.status == DFX_OK) == counts[i].good, counts[i].key);
        CHECK(counts[i].good || strcmp(err.rule, "run.config") == 0,
              "  as a count");
    }
    for (size_t i = 0; i < sizeof lists / sizeof lists[0]; i++) {
        s.status = DFX_OK;
        dfx_setting_counts(&s, lists[i].key, 3, 1, 9, items);
        CHECK((s.status == DFX_OK) == lists[i].good, lists[i].key);
    }
    s.status = DFX_OK;
    CHECK_U64(dfx_setting_count(&s, "absent", 7, 0, 100), 7, "a default");
    CHECK(dfx_setting_counts(&s, "one", 3, 1, 9, items) == 3 && items[2] == 1,
          "a number stands for all of a list");
    CHECK(dfx_setting_counts(&s, "list", 3, 1, 9, items) == 2 && items[1] == 2,
          "a list");
    CHECK(dfx_setting_texts(&s, "texts", texts) == 2 &&
              strcmp(texts[1], "b") == 0,
          "texts");
    CHECK(dfx_setting_none(&s, "none") && dfx_setting_none(&s, "absent") &&
              !dfx_setting_none(&s, "one"),
          "null is none");
    CHECK(dfx_setting_text(&s, "none", "x") == NULL &&
              strcmp(dfx_setting_text(&s, "absent", "x"), "x") == 0,
          "null is no default");
    CHECK(dfx_setting_bool(&s, "yes", false) &&
              dfx_setting_bool(&s, "absent", true) &&
              !dfx_setting_bool(&s, "none", true),
          "true and false");
    CHECK(dfx_setting_number(&s, "half", 1.0, 0.0, 1.0) == 0.5f, "a number");
    CHECK_U64(s.status, DFX_OK, "all of them good");
    dfx_setting_refuse(&s, "text");
    CHECK_TEXT(err.rule, "run.unsupported", "what cannot be computed");
    dfx_setting_number(&s, "huge", 1.0, 0.0, 1.0);
    CHECK_TEXT(err.rule, "run.unsupported", "the first fault stays");
    cJSON_Delete(doc);
}

int
main(void)
{
    dfx_index *index = make_index();
    dfx_weights weights;

    dfx_weights_init(&weights, &dfx_backend_ref);
    if (dfx_weights_take(&weights, index, 0, &err) != DFX_OK)
        printf("Bail out! %s\n", err.text);
    test_layers(&weights);
    test_values(&weights);
    test_settings();
    dfx_weights_fini(&weights);
    dfx_index_free(index);
    return tap_end();
}
