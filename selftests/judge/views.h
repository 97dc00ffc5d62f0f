/* SPDX-License-Identifier: Apache-2.0 */
/*
 * views.h - one policy set for each node that a world has, kept and updated from world to world.
 *
 * With a kernel behind it a view is what a node has: a set of maps and the programs on them,
 * loaded and pinned by the loader in a mount namespace of ours.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "base/fail.h"
#include "policy/compile.h"
#include "selftests/judge/world.h"

struct kernel;

struct view {
	char *node;
	struct policy_set *set;
	struct kernel *kernel;	/* NULL: no maps, the evaluator alone */
	uint64_t used;		/* number of the world that had it last */
};

struct views;
/* How packets are judged: by nobody, by test runs of ours, or by attached programs at any time. */
enum views_kernel { VIEWS_PURE, VIEWS_TEST_RUN, VIEWS_ATTACHED };
int views_new(enum views_kernel how, struct fail_list *f, struct views **ret);
void views_free(struct views *s);
/* Before a view's maps go: what hangs on them must go first. May be NULL. */
void views_on_drop(struct views *s, void (*fn)(void *arg, struct view *v), void *arg);

/* Brings every view of the world into force; ret[i] is that of w->views[i]. */
int views_put(struct views *s, const struct world *w, struct fail_list *f, struct view *ret[WORLD_NODES_MAX]);
