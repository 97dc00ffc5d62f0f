/* SPDX-License-Identifier: Apache-2.0 */
/* counters.c - the node's figures, as JSON for `status`, metrics and support. */
#include "agent/priv.h"
#include "base/cleanup.h"
#include "base/json.h"

struct cJSON *agent_counters(void *node)
{
	auto_cleanup(cJSON_Deletep) cJSON *j = cJSON_CreateObject();
	struct cw_reason_stat reasons[CW_R_COUNT];
	struct event_stats ev = { };
	struct policy_stats st;
	struct agent *a = node;
	struct ctl_counters c;
	uint64_t used = 0, pairs = 0;
	uint32_t guarded = 0, eps = 0;
	cJSON *o;

	if (!j)
		return NULL;
	ctl_read(a->maps, &c);
	access_map_used(a->maps, c.epoch, &used, &pairs);
	policy_set_stats(a->policy, &st);
	if (a->events)
		event_reader_stats(a->events, &ev);
	for (size_t i = 0; i < a->nwls; i++)
		for (size_t k = 0; k < a->wls[i]->neps; k++) {
			eps++;
			guarded += a->wls[i]->eps[k]->up == 3;
		}
	cJSON_AddStringToObject(j, "node", a->node);
	cJSON_AddStringToObject(j, "hook", features_has(&a->feat, FEAT_TCX) ? "tcx" : "clsact");
	cJSON_AddStringToObject(j, "set", loader_set_name(a->set));
	cJSON_AddBoolToObject(j, "inForce", !a->former.in_force);
	cJSON_AddNumberToObject(j, "generation", (double)a->generation);
	cJSON_AddNumberToObject(j, "workloads", (double)a->nwls);
	cJSON_AddNumberToObject(j, "interfaces", eps);
	cJSON_AddNumberToObject(j, "guarded", guarded);
	cJSON_AddNumberToObject(j, "repaired", (double)a->repaired);
	cJSON_AddNumberToObject(j, "flowsExpired", (double)a->swept);

	o = cJSON_AddObjectToObject(j, "accesses");
	cJSON_AddNumberToObject(o, "epoch", c.epoch);
	cJSON_AddNumberToObject(o, "entries", (double)used);
	cJSON_AddNumberToObject(o, "entriesMax", a->room.accesses);
	cJSON_AddNumberToObject(o, "pairs", (double)pairs);
	cJSON_AddNumberToObject(o, "lost", (double)c.access_lost);
	cJSON_AddNumberToObject(o, "withoutSlot", (double)c.slot_sink);
	cJSON_AddNumberToObject(o, "commitsFailed", (double)a->drain_fail);

	o = cJSON_AddObjectToObject(j, "events");
	cJSON_AddNumberToObject(o, "delivered", (double)ev.records);
	cJSON_AddNumberToObject(o, "lost", (double)c.events_lost);
	cJSON_AddNumberToObject(o, "malformed", (double)ev.malformed);

	o = cJSON_AddObjectToObject(j, "policy");
	cJSON_AddNumberToObject(o, "groups", st.groups);
	cJSON_AddNumberToObject(o, "identities", st.eids);
	cJSON_AddNumberToObject(o, "peers", st.peers);
	cJSON_AddNumberToObject(o, "peersMax", a->room.peers);
	cJSON_AddNumberToObject(o, "rows", st.rows);
	cJSON_AddNumberToObject(o, "verdicts", st.verdicts);
	cJSON_AddNumberToObject(o, "addresses", st.addrs4 + st.addrs6);
	cJSON_AddNumberToObject(o, "addressConflicts", st.addr_conflicts);
	cJSON_AddNumberToObject(o, "memoryBytes", (double)st.memory);
	cJSON_AddNumberToObject(j, "flowsRefused", (double)c.flow_full);
	cJSON_AddNumberToObject(j, "kernelMemoryBytes", (double)maps_memory(a->maps));

	agent_dns_counters(a, j);
	o = cJSON_AddObjectToObject(j, "reasons");
	if (!reasons_read(a->maps, reasons))
		for (int i = 1; i < CW_R_COUNT; i++) {
			cJSON *r;

			if (!(reasons[i].dropped | reasons[i].would | reasons[i].passed))
				continue;
			r = cJSON_AddObjectToObject(o, cw_reason_str(i));
			cJSON_AddNumberToObject(r, "dropped", (double)reasons[i].dropped);
			cJSON_AddNumberToObject(r, "would", (double)reasons[i].would);
			cJSON_AddNumberToObject(r, "passed", (double)reasons[i].passed);
		}
	return take_ptr(j);
}
