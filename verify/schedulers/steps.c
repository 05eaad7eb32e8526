/*
 * steps.c - what the steps of all classes are made of
 */
#include <config.h>

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "schedulers/kind.h"

dfx_status
dfx_keep_room(dfx_scheduler *s, const dfx_call *call, size_t arrays)
{
    if (s->kept_size != call->count) {
        for (size_t i = 0; i < DFX_KEPT; i++) {
            free(s->kept[i]);
            s->kept[i] = NULL;
        }
        s->kept_count = 0;
        s->kept_size = call->count;
    }
    for (size_t i = 0; i < arrays; i++) {
        if (s->kept[i] == NULL)
            s->kept[i] = calloc(call->count + 1, sizeof *s->kept[i]);
        if (s->kept[i] == NULL)
            return dfx_fail_nomem(call->err);
    }
    return DFX_OK;
}

void
dfx_keep_turn(dfx_scheduler *s, size_t arrays)
{
    float *last = s->kept[arrays - 1];

    for (size_t i = arrays - 1; i > 0; i--)
        s->kept[i] = s->kept[i - 1];
    s->kept[0] = last;
}

dfx_status
dfx_draw(const dfx_call *call, float **noise)
{
    dfx_status status;

    *noise = calloc(call->count + 1, sizeof **noise);
    if (*noise == NULL)
        return dfx_fail_nomem(call->err);
    status = call->noise(call->context, *noise, call->count, call->err);
    if (status != DFX_OK) {
        free(*noise);
        *noise = NULL;
    }
    return status;
}

/* ---- What the picture is said to be
 * ------------------------------------------ */

static int
compare_floats(const void *a, const void *b)
{
    float x = *(const float *)a, y = *(const float *)b;

    return (x > y) - (x < y);
}

/* A part of the way through the magnitudes in their order, between two. */
static double
quantile(const float *numbers, size_t count, double part)
{
    float *sorted = calloc(count + 1, sizeof *sorted);
    double at = part * (double)(count - 1), low, result;
    size_t i = (size_t)at;

    if (sorted == NULL)
        return 1; /* as if nothing were beyond */
    for (size_t k = 0; k < count; k++)
        sorted[k] = fabsf(numbers[k]);
    qsort(sorted, count, sizeof *sorted, compare_floats);
    low = (double)sorted[i];
    result = i + 1 < count
                 ? low + (at - (double)i) * ((double)sorted[i + 1] - low)
                 : low;
    free(sorted);
    return result;
}

/* Each sample within what most of it is in, and that to 1. */
static void
threshold(const dfx_schedule *c, float *x0, size_t size)
{
    double limit = quantile(x0, size, c->threshold_ratio);

    limit = fmin(fmax(limit, 1), c->threshold_max);
    for (size_t i = 0; i < size; i++)
        x0[i] = (float)(fmin(fmax((double)x0[i], -limit), limit) / limit);
}

void
dfx_restrict(const dfx_scheduler *s, const dfx_call *call, float *x0)
{
    const dfx_schedule *c = &s->config;

    if (c->thresholds)
        for (size_t b = 0; b < call->batch; b++)
            threshold(c, x0 + b * call->size, call->size);
    else if (c->clips)
        for (size_t i = 0; i < call->count; i++)
            x0[i] =
                (float)fmin(fmax((double)x0[i], -c->clip_range), c->clip_range);
}

void
dfx_predict(const dfx_scheduler *s, const dfx_call *call, double alpha,
            double sigma, float *x0)
{
    for (size_t i = 0; i < call->count; i++) {
        double n = (double)call->model[i], x = (double)call->sample[i];

        if (s->config.prediction == DFX_PREDICTION_EPSILON)
            x0[i] = (float)((x - sigma * n) / alpha);
        else if (s->config.prediction == DFX_PREDICTION_V)
            x0[i] = (float)(alpha * x - sigma * n);
        else if (s->config.prediction == DFX_PREDICTION_FLOW)
            x0[i] = (float)(x - sigma * n);
        else
            x0[i] = call->model[i];
    }
    dfx_restrict(s, call, x0);
}

void
dfx_predict_sigma(const dfx_scheduler *s, const dfx_call *call, double sigma,
                  double sigma_of_v, float *x0)
{
    double square = sigma_of_v * sigma_of_v + 1;

    for (size_t i = 0; i < call->count; i++) {
        double n = (double)call->model[i], x = (double)call->sample[i];

        if (s->config.prediction == DFX_PREDICTION_EPSILON)
            x0[i] = (float)(x - sigma * n);
        else if (s->config.prediction == DFX_PREDICTION_V)
            x0[i] = (float)(-sigma_of_v / sqrt(square) * n + x / square);
        else
            x0[i] = call->model[i];
    }
    dfx_restrict(s, call, x0);
}
