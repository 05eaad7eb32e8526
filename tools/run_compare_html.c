/*
 * run_compare_html.c - two models' pictures and what lies between them, as a
 * page
 */
#include <config.h>

#include <errno.h>
#include <math.h>
#include <stdlib.h>

#include "markup.h"
#include "run.h"

static void
put_base64(FILE *out, const unsigned char *bytes, size_t size)
{
    static const char digits[] =
        "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

    for (size_t i = 0; i < size; i += 3) {
        unsigned b = i + 1 < size ? bytes[i + 1] : 0;
        unsigned c = i + 2 < size ? bytes[i + 2] : 0;
        unsigned bits = (unsigned)bytes[i] << 16 | b << 8 | c;

        putc(digits[bits >> 18], out);
        putc(digits[bits >> 12 & 63], out);
        putc(i + 1 < size ? digits[bits >> 6 & 63] : '=', out);
        putc(i + 2 < size ? digits[bits & 63] : '=', out);
    }
}

static void
put_picture(FILE *out, const char *name, const dfx_golden *golden)
{
    const dfx_golden_stage *image = dfx_golden_find(golden, "image");
    void *png = NULL;
    size_t size = 0;
    dfx_error err;

    fprintf(out, "<figure>");
    if (dfx_image_encode(image->value, 0, &png, &size, &err) == DFX_OK) {
        fprintf(out, "<img alt=\"picture\" src=\"data:image/png;base64,");
        put_base64(out, png, size);
        fprintf(out, "\">");
    } else
        dfx_markup_text(out, err.text);
    fprintf(out, "<figcaption>");
    dfx_markup_text(out, name);
    fprintf(out, "</figcaption></figure>\n");
    free(png);
}

static void
put_number(FILE *out, double number, const char *unit, const char *what)
{
    char text[32];

    if (isnan(number))
        return;
    if (isinf(number))
        snprintf(text, sizeof text, "same");
    else
        snprintf(text, sizeof text, "%.5g%s", number, unit);
    dfx_markup_card(out, text, what);
}

static void
put_stages(FILE *out, dfx_golden *const goldens[2])
{
    const dfx_golden_stage *a;

    fprintf(out, "<h2>Stages</h2>\n<p>In the order of the run; relative: RMS "
                 "of the difference by RMS of the first.</p>\n"
                 "<table><tr><th>Stage<th>Largest error<th>Relative<th>Cosine"
                 "</tr>\n");
    for (size_t i = 0; (a = dfx_golden_at(goldens[0], i)) != NULL; i++) {
        const dfx_golden_stage *b = dfx_golden_find(goldens[1], a->value->name);

        fprintf(out, "<tr><td>");
        dfx_markup_text(out, a->value->name);
        if (b == NULL)
            fprintf(out, "<td>only in one<td><td></tr>\n");
        else {
            dfx_distance d = dfx_value_distance(a->value, b->value);

            if (isnan(d.max_abs))
                fprintf(out, "<td>other shape<td><td></tr>\n");
            else
                fprintf(out, "<td>%.3g<td>%.3g<td>%.9f</tr>\n", d.max_abs,
                        d.relative, d.cosine);
        }
    }
    fprintf(out, "</table>\n");
}

static void
put_page(FILE *out, const char *const names[2], dfx_golden *const goldens[2])
{
    dfx_distance image =
        dfx_value_distance(dfx_golden_find(goldens[0], "image")->value,
                           dfx_golden_find(goldens[1], "image")->value);

    dfx_markup_head(out, names[1]);
    fprintf(out, "<p>beside ");
    dfx_markup_text(out, names[0]);
    fprintf(out, ", by dfx-run %s; recipe ", dfx_version());
    dfx_markup_text(out, dfx_golden_recipe(goldens[0]));
    fprintf(out, "</p>\n<div class=cards>\n");
    put_number(out, image.psnr, " dB", "PSNR");
    put_number(out, image.ssim, "", "SSIM");
    put_number(out, image.max_abs, "", "largest error of the picture");
    fprintf(out, "</div>\n<div class=pair>\n");
    for (size_t i = 0; i < 2; i++)
        put_picture(out, names[i], goldens[i]);
    fprintf(out, "</div>\n");
    put_stages(out, goldens);
    fprintf(out, "</html>\n");
}

bool
run_compare_html(const char *path, const char *const names[2],
                 dfx_golden *const goldens[2])
{
    FILE *out = fopen(path, "w");
    bool failed;

    if (out == NULL)
        return false;
    put_page(out, names, goldens);
    failed = ferror(out) != 0;
    if (fclose(out) != 0 || failed) {
        int error = errno;

        remove(path);
        errno = error;
        return false;
    }
    return true;
}
