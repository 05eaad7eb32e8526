/*
 * similarity.h - how alike two pictures are
 */
#ifndef DFX_SIMILARITY_H
#define DFX_SIMILARITY_H

#include <stddef.h>

/* Peak signal to noise, in dB, of count numbers in 0..1: infinite if they are
   the same. */
double dfx_psnr(const float *a, const float *b, size_t count);

enum { DFX_SSIM_WINDOW = 7 };

/*
 * Structural similarity of planes [channels, height, width] in 0..1: the mean
 * over channels and all windows of 7 x 7 that lie inside. As
 * structural_similarity of scikit-image with its defaults (uniform window,
 * sample covariance, K1 0.01, K2 0.03; Wang et al. 2004), in doubles. NAN if a
 * side is below DFX_SSIM_WINDOW or memory ran out.
 */
double dfx_ssim(const float *a, const float *b, size_t channels, size_t height,
                size_t width);

#endif
