/* SPDX-License-Identifier: Apache-2.0 */
/* plan.h - what a change would do: lines, accesses that break, live flows that end, room, needs. */
#pragma once

#include "controller/change.h"
#include "controller/replay.h"

struct plan {
	struct change_items items;
	struct replay replay;
	bool replayed;
	struct node_receipt room;
	cJSON *flows_cut;	/* array */
	size_t live, cut;
	cJSON *needs;		/* array */
	size_t nneeds;
	bool can_drop;
};
void plan_done(struct plan *p);

/* Needs the node prepared and the judge's candidate set. -ENOMEM or the node's errno. */
int plan_make(struct controller *c, const struct change_req *q, struct plan *p);
/* The Plan object, not applied. The state must still be the one it was planned on. */
cJSON *plan_json(const struct controller *c, const struct change_req *q, const struct plan *p);
/* Turns the object of a plan into that of the change it became. */
void plan_applied(const struct controller *c, cJSON *plan, const struct node_receipt *receipt, int64_t reverts_at);
