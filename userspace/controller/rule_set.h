/* SPDX-License-Identifier: Apache-2.0 */
/*
 * rule_set.h - a rule set that somebody asks about: what is in force, what it was at an earlier
 * generation, or what documents would make of it; always over the live inventory, modes and
 * quarantines, so that two of them differ by their rules alone.
 */
#pragma once

#include "controller/change.h"

/*
 * o: {"live": true}, {"generation": N} or {"documents": [{file, text}], "prune": bool}; `at` names it
 * in faults. 0; -EINVAL or -ENOENT with faults; -ENOMEM. Every rule has a number afterwards.
 */
int rule_set_read(struct api *a, const cJSON *o, const char *at, struct policy_state *ret);

/* Port ranges on which `next` differs from what is in force; -1 when that would take too long to say. 0, -ENOMEM. */
int rule_set_ranges(const struct controller *c, const struct policy_state *next, int64_t *ret);
