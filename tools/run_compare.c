/*
 * run_compare.c - dfx-run compare: how far what two models give is apart
 */
#include <config.h>

#include <errno.h>
#include <math.h>
#include <string.h>

#include "run.h"
#include "table.h"

/* ---- What it says -------------------------------------------------------- */

/* As far as both have it; false: one has it not. */
static bool
distance_at(dfx_golden *const goldens[2], size_t i, const char **name,
            dfx_distance *distance)
{
    const dfx_golden_stage *a = dfx_golden_at(goldens[0], i), *b;

    *name = a->value->name;
    b = dfx_golden_find(goldens[1], *name);
    *distance = b != NULL ? dfx_value_distance(a->value, b->value)
                          : (dfx_distance){.max_abs = (double)NAN,
                                           .relative = (double)NAN,
                                           .cosine = (double)NAN,
                                           .psnr = (double)NAN,
                                           .ssim = (double)NAN};
    return b != NULL;
}

static void
print_text(const run_request *r, dfx_golden *const goldens[2])
{
    dfx_colours colours = dfx_colours_choose(r->colour, stdout);
    dfx_distance d = {.psnr = (double)NAN};
    const char *name;
    dfx_table table;

    dfx_table_init(&table, "lrrr");
    dfx_table_cell(&table, "STAGE");
    dfx_table_cell(&table, "MAX ABS");
    dfx_table_cell(&table, "RELATIVE");
    dfx_table_cell(&table, "COSINE");
    for (size_t i = 0; dfx_golden_at(goldens[0], i) != NULL; i++) {
        bool both = distance_at(goldens, i, &name, &d);

        dfx_table_cell(&table, name);
        if (isnan(d.max_abs)) {
            dfx_table_cell(&table, both ? "other shape" : "only in one");
            dfx_table_cell(&table, "-");
            dfx_table_cell(&table, "-");
        } else {
            dfx_table_cellf(&table, "%.3g", d.max_abs);
            dfx_table_cellf(&table, "%.3g", d.relative);
            dfx_table_cellf(&table, "%.9f", d.cosine);
        }
    }
    dfx_table_print(&table, stdout, 0, &colours);
    dfx_table_fini(&table);
    /* The picture is the last stage. */
    if (isinf(d.psnr))
        printf("\nthe picture is the same\n");
    else if (!isnan(d.psnr))
        printf("\nPSNR %.2f dB, SSIM %.6f\n", d.psnr, d.ssim);
}

static void
print_json(const char *const names[2], dfx_golden *const goldens[2])
{
    cJSON *root = run_golden_head(names[0], goldens[0]);
    cJSON *stages = dfx_json_array(), *image = dfx_json_object();
    dfx_distance d = {.psnr = (double)NAN, .ssim = (double)NAN};
    const char *name;

    for (size_t i = 0; dfx_golden_at(goldens[0], i) != NULL; i++) {
        cJSON *item = dfx_json_object();

        distance_at(goldens, i, &name, &d);
        dfx_json_add(item, "name", dfx_json_text(name));
        run_add_distance(item, &d);
        dfx_json_append(stages, item);
    }
    dfx_json_add(image, "psnr", dfx_json_double(d.psnr));
    dfx_json_add(image, "ssim", dfx_json_double(d.ssim));
    dfx_json_add(root, "other", dfx_json_text(names[1]));
    dfx_json_add(root, "stages", stages);
    dfx_json_add(root, "image", image);
    dfx_json_print(root, stdout);
}

static int
tell(const run_request *r, const char *const names[2],
     dfx_golden *const goldens[2])
{
    if (r->json)
        print_json(names, goldens);
    else if (!r->quiet)
        print_text(r, goldens);
    if (r->html == NULL || run_compare_html(r->html, names, goldens))
        return DFX_EXIT_YES;
    dfx_say(r->tool->name, "%s: %s", r->html, strerror(errno));
    return DFX_EXIT_NO;
}

/* ---- The command --------------------------------------------------------- */

int
run_compare(run_request *r)
{
    const char *const *names = run_operands(r, 2, "MODEL and OTHER");
    dfx_golden *goldens[2] = {NULL, NULL};
    dfx_status status = DFX_OK;
    dfx_error err;
    int result = DFX_EXIT_YES;

    if (names == NULL)
        return DFX_EXIT_USAGE;
    run_take_recipe(r);
    for (size_t i = 0; status == DFX_OK && i < 2; i++) {
        status = run_golden_of(r, names[i], i > 0 ? goldens[0] : NULL,
                               &goldens[i], &err);
        if (status != DFX_OK)
            result = dfx_say_error(r->tool->name, names[i], &err);
    }
    if (status == DFX_OK)
        result = tell(r, names, goldens);
    dfx_golden_free(goldens[0]);
    dfx_golden_free(goldens[1]);
    return result;
}
