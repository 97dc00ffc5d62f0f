/* SPDX-License-Identifier: Apache-2.0 */
/*
 * shadow.h - a candidate rule set judged beside the active one on live traffic, never enforced.
 *
 * Every access that gets new flows is judged under what is in force and under the candidate (what is
 * in force with the shadow's documents laid over it), by the compiler and evaluator of `simulate`.
 * The packet path knows nothing of it. A shadow follows the rules and the inventory, and outlives the
 * daemon: what was judged is stored, what was not yet is judged after the start.
 */
#pragma once

#include "controller/priv.h"

#define SHADOW_DIFFS_MAX 10000u	  /* differences kept apart; beyond: counted */
#define SHADOW_JUDGE_MAX 20000u	  /* accesses judged in one go; the rest with the next tick */
#define SHADOW_NAME_MAX 63u

struct shadow;

/* What is stored, after a start. A shadow that cannot be read is reported and dropped. 0, -ENOMEM, store. */
int shadow_restore(struct controller *c);
void shadow_free(struct shadow *s);
/* Judges what has come since the last time; from the 1 s tick. */
void shadow_tick(struct controller *c);
