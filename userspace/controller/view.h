/* SPDX-License-Identifier: Apache-2.0 */
/* view.h - the JSON shapes that several resources share (docs/api/openapi.yaml). */
#pragma once

#include "controller/change.h"
#include "controller/replay.h"
#include "flow/alerts.h"

cJSON *view_by(const struct policy_state *st, const struct cw_verdict *v, enum cw_reason reason);
enum { VIEW_ACCESS_FULL = 1 };
cJSON *view_access(const struct controller *c, const struct access *a, unsigned flags);
/* v.candidate: rule names are looked up in `next` too, where the deciding rule may be new. */
cJSON *view_access_change(const struct policy_state *now, const struct policy_state *next,
			  const struct replay_item *it, const struct replay *r);
/* breaks, opens, differs, unresolved; `recorded`, which it returns. */
void view_effects(cJSON *o, const struct replay *r);
cJSON *view_recorded(const struct controller *c, cJSON *o, const struct replay *r);
/* What documents make of the state: `candidate` (counts) and `changes`. */
void view_candidate(cJSON *o, const struct change_items *items);
cJSON *view_flow(const struct controller *c, const struct node_flow *fl);
cJSON *view_receipt(const struct node_receipt *r);
cJSON *view_room(const struct node_receipt *r);
cJSON *view_guard(const struct controller *c, const struct node_guard *g);
cJSON *view_items(const struct change_items *l);
cJSON *view_alert(const struct controller *c, const struct alert *a);
/* By number, or NULL. */
const struct access_scan *view_scan(const struct controller *c, uint64_t num);
/* The other end and the port; of a scan "(250 peers)" and all ports of its protocol. */
const char *alert_dst(const struct alert *a, char out[ACCESS_REF_MAX]);
const char *alert_port(const struct alert *a, char out[40]);
const char *flow_state_str(uint8_t state);
/* "tcp/5432" of a live flow. */
const char *flow_port_str(const struct node_flow *fl, char out[40]);
/* Sides on which a higher tier than learned blocks this access now; appends to arr. */
void view_still_blocked(struct controller *c, bool candidate, const struct replay_index *ix,
			const struct access *a, cJSON *arr);
