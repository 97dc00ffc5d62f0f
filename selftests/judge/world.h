/* SPDX-License-Identifier: Apache-2.0 */
/*
 * world.h - the cluster of a `reach` question as the product's own state, and the connections it
 * asks about as pairs of addresses.
 *
 * A question speaks of a whole cluster; a node judges only what stands on it. So a world has views,
 * one for each node: the same state with another node's name in it.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/fail.h"
#include "policy/state.h"

struct cJSON;

#define WORLD_NODES_MAX 16u
#define WORLD_PODS_MAX 512u
#define WORLD_ADDRS_MAX 16u	/* of one pod or node */
#define WORLD_OUTSIDE_MAX 256u
#define WORLD_NAMES_MAX 16u	/* of one address outside */
#define WORLD_POLICIES_MAX 4096u
#define WORLD_ROWS_MAX 100000u

struct world_view {
	const char *node;	/* "" where the question knows no nodes */
	struct addr *addrs;	/* its own; host-network pods have them too */
	size_t naddrs;
};

/* A pod that is not on the host's network: the workload of the same number in the state. */
struct world_pod {
	size_t view;
};

struct world_outside {
	const char *name;
	struct addr addr;
	const char *domains[WORLD_NAMES_MAX]; /* names it was resolved from, by every pod */
	size_t ndomains;
};

enum world_kind { END_POD, END_NODE, END_OUTSIDE };
struct world_end {
	enum world_kind kind;
	size_t i;		/* of pods, views or outside */
	struct addr addr;
};

struct world_row {
	struct world_end from, to;
	uint8_t proto;		/* IPPROTO_TCP, _UDP or _SCTP */
	uint16_t port;
};

struct world {
	struct policy_state st;	/* `node` is not set: it is the view's */
	struct world_view views[WORLD_NODES_MAX];
	size_t nviews;
	struct world_pod *pods;	/* by number of st.workloads */
	struct world_outside *outside;
	size_t noutside;
	struct world_row *rows;
	size_t nrows;
};

/*
 * Reads a question. Texts are borrowed from q where they are not the state's. On failure (-EINVAL,
 * -E2BIG, -ENOMEM) f says what is wrong, and nothing is to be freed.
 */
int world_read(const struct cJSON *q, struct fail_list *f, struct world *ret);
void world_done(struct world *w);

/* The outside that has this address, NULL: none. */
const struct world_outside *world_outside_of(const struct world *w, const struct world_end *e);
