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
	cJSON *flows_cut;	/* array: that end, or with keep that go on although they would be blocked */
	size_t live, cut;
	cJSON *needs;		/* array */
	size_t nneeds;
	bool can_drop;
	bool compared;		/* a dry run that changes rules: */
	int64_t ranges;		/* port ranges whose verdict differs; -1: too large to say here */
};
void plan_done(struct plan *p);

/* Needs the node prepared and the judge's candidate set. -ENOMEM or the node's errno. */
int plan_make(struct controller *c, const struct change_req *q, struct plan *p);
/* The Plan object, not applied. The state must still be the one it was planned on. */
cJSON *plan_json(const struct controller *c, const struct change_req *q, const struct plan *p);
/* What became of live flows, into a node's receipt. */
void plan_receipt(const struct change_req *q, const struct plan *p, struct node_receipt *receipt);
/* Turns the object of a plan into that of the change it became. */
void plan_applied(const struct controller *c, cJSON *plan, const struct node_receipt *receipt, int64_t reverts_at);
