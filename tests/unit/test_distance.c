/*
 * test_distance.c - how far values are from each other
 */
#include <config.h>

#include "dfx.h"

#include <math.h>

#include "tap.h"

static dfx_value
row(const float *numbers, uint64_t count)
{
    return (dfx_value){.name = "x",
                       .type = DFX_TYPE_F32,
                       .rank = 1,
                       .shape = {count},
                       .count = count,
                       .data = numbers};
}

static void
test_numbers(void)
{
    /* Differences 0 0 0 2, sums of squares 16, 4 and 12 of the product. */
    static const float a[] = {2, 2, 2, 2}, b[] = {2, 2, 2, 0};
    dfx_value x = row(a, 4), y = row(b, 4);
    dfx_distance d = dfx_value_distance(&x, &y);

    CHECK(!d.same && d.max_abs == 2, "the largest error");
    CHECK(d.relative == 0.5, "... relative, of all");
    CHECK(fabs(d.cosine - 12 / sqrt(16.0 * 12.0)) < 1e-15, "... and the angle");
    CHECK(fabs(d.psnr) < 1e-15, "... and in dB: of squares of 1 on average");
    CHECK(isnan(d.ssim), "... but of no picture");
    d = dfx_value_distance(&x, &x);
    CHECK(d.same && d.max_abs == 0 && d.relative == 0 && d.cosine == 1 &&
              isinf(d.psnr),
          "a value and itself");
}

static void
test_edges(void)
{
    static const float zeros[2] = {0}, minus[] = {-0.0f, 0}, one[] = {0, 1};
    static const float none[] = {NAN, 0}, endless[] = {INFINITY, 0};
    static const int64_t ids[] = {3, 4}, others[] = {3, 6};
    dfx_value x = row(zeros, 2), y = row(minus, 2), z = row(one, 2);
    dfx_value n = row(none, 2), e = row(endless, 2), w = row(zeros, 1);
    dfx_value i = row(NULL, 2), j;
    dfx_distance d = dfx_value_distance(&x, &y);

    CHECK(!d.same && d.max_abs == 0 && d.relative == 0,
          "minus 0 is another bit, and no distance");
    d = dfx_value_distance(&x, &z);
    CHECK(d.max_abs == 1 && isinf(d.relative) && d.cosine == 0,
          "something in place of nothing");
    d = dfx_value_distance(&z, &n);
    CHECK(isinf(d.max_abs) && isinf(d.relative), "none in place of a number");
    d = dfx_value_distance(&n, &n);
    CHECK(d.same && d.max_abs == 0, "none in place of none");
    d = dfx_value_distance(&e, &e);
    CHECK(d.same && d.max_abs == 0, "infinity in place of infinity");
    d = dfx_value_distance(&e, &x);
    CHECK(isinf(d.max_abs) && isinf(d.relative), "a number in its place");
    d = dfx_value_distance(&x, &w);
    CHECK(!d.same && isnan(d.max_abs) && isnan(d.relative), "another shape");
    i.type = DFX_TYPE_I64;
    j = i;
    i.data = ids;
    j.data = others;
    d = dfx_value_distance(&i, &j);
    CHECK(!d.same && d.max_abs == 2 && isnan(d.psnr), "integers");
    d = dfx_value_distance(&i, &x);
    CHECK(!d.same && isnan(d.max_abs), "another type");
}

static void
test_pictures(void)
{
    static float planes[2 * 3 * 8 * 8], other[2 * 3 * 8 * 8];
    dfx_value x = row(planes, 2 * 3 * 8 * 8), y;
    dfx_distance d;

    for (size_t i = 0; i < 2 * 3 * 8 * 8; i++) {
        planes[i] = (float)(i * i % 17) / 16;
        other[i] = i < 3 * 8 * 8 ? planes[i] : 1 - planes[i];
    }
    x.rank = 4;
    x.shape[0] = 2;
    x.shape[1] = 3;
    x.shape[2] = x.shape[3] = 8;
    y = x;
    y.data = other;
    d = dfx_value_distance(&x, &x);
    CHECK(d.ssim == 1, "pictures and themselves");
    d = dfx_value_distance(&x, &y);
    CHECK(d.ssim < 0.5 && d.ssim > -0.5,
          "one of two inverted: about the mean of 1 and -1");
}

int
main(void)
{
    test_numbers();
    test_edges();
    test_pictures();
    return tap_end();
}
