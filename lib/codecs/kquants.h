/*
 * kquants.h - what Q2_K, Q4_K and Q5_K differ in, for their encoders
 */
#ifndef DFX_KQUANTS_H
#define DFX_KQUANTS_H

#include "codecs/search.h"

typedef struct dfx_ranged_type {
    int size;       /* of a group */
    int most;       /* code */
    int most_scale; /* code of a scale or minimum */
    dfx_ranged_search plain, weighed;
    float sigma; /* importance: sigma2 is this times the mean square */
} dfx_ranged_type;

static const dfx_ranged_type dfx_ranged_Q2_K = {
    16, 3, 15, {-0.5f, 0.1f, 15, true}, {-0.9f, 0.05f, 36, false}, 1};
static const dfx_ranged_type dfx_ranged_Q4_K = {
    32, 15, 63, {-1.0f, 0.1f, 20, false}, {-0.9f, 0.05f, 36, false}, 2};
static const dfx_ranged_type dfx_ranged_Q5_K = {
    32, 31, 63, {-0.5f, 0.1f, 15, false}, {-0.9f, 0.05f, 36, false}, 2};

#endif
