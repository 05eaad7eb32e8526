/*
 * test_similarity.c - PSNR and SSIM are scikit-image's
 *
 * Expected: structural_similarity and peak_signal_noise_ratio of scikit-image
 * 0.26 with data_range=1, on the same numbers in float64.
 */
#include <config.h>

#include "similarity.h"

#include <math.h>
#include <stdlib.h>

#include "tap.h"

static void
fill(float *a, float *b, size_t count)
{
    for (uint64_t i = 0; i < count; i++) {
        double x = (double)((i * i * 7 + i * 3) % 251) / 250;

        a[i] = (float)x;
        b[i] = (float)((x * 3 + (double)(i * 13 % 97) / 96) / 4);
    }
}

static void
test_reference(void)
{
    static const struct {
        size_t height, width;
        double ssim, psnr;
    } rows[] = {
        {7, 7, 0.93314119333591206, 20.145393364563212},
        {9, 20, 0.92742338533350577, 19.817418594065657},
        {31, 16, 0.92669404552269974, 19.645800980159169},
    };

    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        size_t count = 3 * rows[i].height * rows[i].width;
        float *a = malloc(count * sizeof *a), *b = malloc(count * sizeof *b);

        fill(a, b, count);
        CHECK(fabs(dfx_ssim(a, b, 3, rows[i].height, rows[i].width) -
                   rows[i].ssim) < 1e-13,
              "SSIM of two pictures");
        CHECK(fabs(dfx_psnr(a, b, count) - rows[i].psnr) < 1e-12,
              "  their PSNR");
        CHECK(dfx_ssim(a, a, 3, rows[i].height, rows[i].width) == 1.0,
              "  SSIM of one with itself");
        CHECK(isinf(dfx_psnr(a, a, count)), "  its PSNR");
        CHECK(isnan(dfx_ssim(a, b, 3, 6, rows[i].width)),
              "  no SSIM of what is smaller than a window");
        free(a);
        free(b);
    }
}

/* Without variance: (2ab + c1) / (aa + bb + c1) of 1/4 and 3/4. */
static void
test_flat(void)
{
    float a[81], b[81];

    for (size_t i = 0; i < 81; i++) {
        a[i] = 0.25f;
        b[i] = 0.75f;
    }
    CHECK(fabs(dfx_ssim(a, b, 1, 9, 9) - 0.3751 / 0.6251) < 1e-14,
          "SSIM of flat pictures");
    CHECK(fabs(dfx_psnr(a, b, 81) - 10 * log10(4.0)) < 1e-14, "  their PSNR");
}

int
main(void)
{
    test_reference();
    test_flat();
    return tap_end();
}
