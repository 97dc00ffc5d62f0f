/* SPDX-License-Identifier: Apache-2.0 */
#include "controller/view.h"

#include <stdio.h>
#include <string.h>

#include "base/cleanup.h"
#include "base/strparse.h"
#include "controller/kpolicies.h"
#include "controller/ref.h"
#include "flow/alerts.h"

#define MEMBERS_SHOWN_MAX 64u

static const char *const side_word[2] = { "egress", "ingress" };

static const char *action_word(const struct cw_verdict *v)
{
	const char *s = cw_action_str(v->action);

	return s ? s : "none";
}

static const char *tier_word(uint8_t tier)
{
	const char *s = cw_tier_str(tier);

	return s ? s : "none";
}

static void put_rule(cJSON *o, const struct policy_state *st, uint32_t id)
{
	const struct rule *r = state_rule_id(st, id);
	const struct kpolicy *k = r ? NULL : state_kpolicy_id(st, id);

	if (!id)
		return;
	put_num(o, "ruleId", id);
	if (r)
		put_free(o, "rule", rule_ref(r));
	if (r && r->origin == ORIGIN_LEARNED)
		put_str(o, "access", r->access);
	if (k) {
		put_free(o, "rule", kpolicy_name(k));
		put_str(o, "ruleKind", kpolicy_kind_str(k->kind));
	}
}

cJSON *view_by(const struct policy_state *st, const struct cw_verdict *v, enum cw_reason reason)
{
	cJSON *o, *adv;

	if (v->tier == CW_TIER_NONE && !v->rule && reason == CW_R_NONE)
		return cJSON_CreateNull();
	o = cJSON_CreateObject();
	if (!o)
		return NULL;
	put_str(o, "tier", tier_word(v->tier));
	put_str(o, "action", action_word(v));
	put_rule(o, st, v->rule);
	if (reason)
		put_str(o, "reason", cw_reason_str(reason));
	if (v->flags & CW_V_ADV) {
		const struct cw_verdict a = { .action = v->adv_action };
		const struct rule *r = state_rule_id(st, v->adv_rule);

		adv = cJSON_AddObjectToObject(o, "advisory");
		put_str(adv, "tier", tier_word(v->adv_tier));
		put_str(adv, "action", action_word(&a));
		if (r)
			put_free(adv, "rule", rule_ref(r));
	}
	return o;
}

static cJSON *view_counts(const struct access_counts *k)
{
	cJSON *o = cJSON_CreateObject();

	for (int s = 0; s < 2; s++) {
		cJSON *side = cJSON_AddObjectToObject(o, side_word[s]);

		for (int i = CW_OUT_ALLOW; i < CW_OUT_COUNT; i++)
			put_num(side, cw_outcome_str(i), (double)k->cnt[s][i]);
	}
	return o;
}

static cJSON *view_evidence(const struct access *a)
{
	cJSON *o = cJSON_CreateObject(), *arr = cJSON_AddArrayToObject(o, "members");
	struct access_span span;
	int hour = access_scheduled_hour(a);

	for (size_t i = 0; i < a->nmembers && i < MEMBERS_SHOWN_MAX; i++) {
		const struct access_member *m = a->members[i];
		cJSON *e = cJSON_CreateObject();

		put_str(e, "src", m->src ? m->src->ref : NULL);
		put_str(e, "dst", m->dst ? m->dst->ref : NULL);
		put_num(e, "family", m->family);
		put_num(e, "flows", (double)m->c.flows);
		put_num(e, "answered", (double)m->c.answered);
		put_time(e, "last", m->last_ns);
		put_push(arr, e);
	}
	put_num(o, "memberCount", (double)a->nmembers);
	if (a->rest)
		put_num(o, "restFlows", (double)a->rest->c.flows);
	access_span(a, 0, 0, &span);
	put_num(o, "daysSeen", span.days);
	put_num(o, "daysRecorded", a->ndays ? a->days[a->ndays - 1].day - a->days[0].day + 1 : 0);
	if (hour < 0)
		cJSON_AddNullToObject(o, "scheduledHour");
	else
		put_num(o, "scheduledHour", hour);
	return o;
}

cJSON *view_access(const struct controller *c, const struct access *a, unsigned flags)
{
	const struct rule *r = NULL;
	cJSON *o = cJSON_CreateObject();
	char port[40], name[32];

	if (!o)
		return NULL;
	put_str(o, "id", a->id);
	put_str(o, "state", access_state_str(access_state(a)));
	put_str(o, "src", a->src->ref);
	put_str(o, "dst", a->dst->ref);
	put_str(o, "srcNamespace", a->src->ns);
	put_str(o, "dstNamespace", a->dst->ns);
	put_str(o, "port", access_port_str(a, port));
	put_num(o, "proto", a->proto);
	if (a->dst->kind == ACCESS_SERVICE)
		put_free(o, "service", text_fmt("%s:%u", a->dst->pod, a->port));
	else
		cJSON_AddNullToObject(o, "service");
	put_str(o, "answered", a->c.answered ? "yes" : "attempted");
	put_num(o, "answeredFlows", (double)a->c.answered);
	put_num(o, "guessed", (double)a->c.guessed);
	put_num(o, "flows", (double)a->c.flows);
	put_num(o, "flows6", (double)a->flows6);
	put_num(o, "packets", (double)a->c.packets);
	put_num(o, "bytes", (double)a->c.bytes);
	for (int s = 0; s < 2; s++)
		put_str(o, side_word[s], cw_outcome_str(a->side[s].outcome));
	put_item(o, "egressBy", view_by(&c->state, &a->side[CW_EGRESS].verdict, a->side[CW_EGRESS].reason));
	put_item(o, "ingressBy", view_by(&c->state, &a->side[CW_INGRESS].verdict, a->side[CW_INGRESS].reason));
	put_time(o, "first", a->first_ns);
	put_time(o, "last", a->last_ns);
	if (a->hold)
		put_str(o, "held", access_hold_str(a->hold));
	if (access_rule_name(a, name))
		r = state_rule(&c->state, NULL, name);
	if (r)
		put_str(o, "rule", r->name);
	if (a->decision != ACCESS_UNDECIDED) {
		put_str(o, "decidedBy", a->decided_by);
		put_time(o, "decidedAt", a->decided_ns);
	}
	if (flags & VIEW_ACCESS_FULL) {
		put_item(o, "counts", view_counts(&a->c));
		put_item(o, "evidence", view_evidence(a));
	}
	return o;
}

static const struct policy_state *state_with(const struct policy_state *a, const struct policy_state *b,
					     uint32_t rule)
{
	return state_rule_id(a, rule) || state_kpolicy_id(a, rule) ? a : b;
}

cJSON *view_access_change(const struct policy_state *now, const struct policy_state *next,
			  const struct replay_item *it, const struct replay *r)
{
	const struct access *a = it->access;
	cJSON *o = cJSON_CreateObject();
	int hour = access_scheduled_hour(a);
	char port[40];

	if (!o)
		return NULL;
	put_str(o, "id", a->id);
	put_str(o, "src", a->src->ref);
	put_str(o, "dst", a->dst->ref);
	put_str(o, "port", access_port_str(a, port));
	put_str(o, "was", cw_outcome_str(it->was));
	put_str(o, "becomes", cw_outcome_str(it->becomes));
	put_str(o, "side", it->side < 0 ? "both" : side_word[it->side]);
	put_str(o, "effect", replay_effect_str(it->effect));
	put_item(o, "by", view_by(state_with(next, now, it->by.rule), &it->by, it->by_reason));
	put_item(o, "wasBy", view_by(state_with(now, next, it->was_by.rule), &it->was_by, it->was_reason));
	put_num(o, "flows", (double)it->span.flows);
	put_num(o, "daysSeen", it->span.days);
	put_num(o, "daysRecorded", r->days);
	if (hour < 0)
		cJSON_AddNullToObject(o, "scheduledHour");
	else
		put_num(o, "scheduledHour", hour);
	put_time(o, "last", a->last_ns);
	put_str(o, "answered", a->c.answered ? "yes" : "attempted");
	/* Answered, and not on a few days only: somebody probably wants it. */
	cJSON_AddBoolToObject(o, "looksNeeded", it->span.answered && 2 * it->span.days >= r->days);
	return o;
}

void view_effects(cJSON *o, const struct replay *r)
{
	put_num(o, "breaks", (double)r->breaks);
	put_num(o, "opens", (double)r->opens);
	put_num(o, "differs", (double)r->differs);
	put_num(o, "unresolved", (double)r->unresolved);
}

cJSON *view_recorded(const struct controller *c, cJSON *o, const struct replay *r)
{
	cJSON *k = cJSON_AddObjectToObject(o, "recorded");

	put_time(k, "since", r->first_ns);
	put_time(k, "until", r->last_ns);
	put_num(k, "days", r->days);
	put_num(k, "lost", (double)controller_loss(c, NULL));
	return k;
}

void view_candidate(cJSON *o, const struct change_items *items)
{
	cJSON *k = cJSON_AddObjectToObject(o, "candidate");
	size_t n[256] = {};

	for (size_t i = 0; i < items->n; i++)
		n[(unsigned char)items->v[i].op]++;
	put_num(k, "add", (double)n['+']);
	put_num(k, "change", (double)n['~']);
	put_num(k, "delete", (double)n['-']);
	put_num(k, "unchanged", (double)n['=']);
	put_item(o, "changes", view_items(items));
}

const char *flow_state_str(uint8_t state)
{
	static const char *const s[CW_FLOW_STATES] = { "new", "syn", "synack", "open", "fin", "closed" };

	return state < CW_FLOW_STATES ? s[state] : "new";
}

const char *flow_port_str(const struct node_flow *fl, char out[40])
{
	return axis_str(CW_AXIS(fl->proto, fl->dport), out);
}

cJSON *view_flow(const struct controller *c, const struct node_flow *fl)
{
	cJSON *o = cJSON_CreateObject();
	char a[ADDR_STR_MAX], port[40];
	bool dropped = fl->outcome[0] == CW_OUT_DROP || fl->outcome[1] == CW_OUT_DROP;
	int strict;

	if (!o)
		return NULL;
	put_str(o, "node", *fl->node ? fl->node : c->node_name);
	put_str(o, "src", fl->src_ref);
	put_str(o, "srcAddr", addr_str(&fl->src, a));
	put_num(o, "srcPort", fl->sport);
	put_str(o, "dst", fl->dst_ref);
	put_str(o, "dstAddr", addr_str(&fl->dst, a));
	put_num(o, "dstPort", fl->dport);
	put_str(o, "port", flow_port_str(fl, port));
	put_num(o, "family", fl->family);
	put_str(o, "state", flow_state_str(fl->state));
	cJSON_AddBoolToObject(o, "answered", fl->answered);
	cJSON_AddBoolToObject(o, "guessed", fl->guessed);
	cJSON_AddBoolToObject(o, "seeded", fl->seeded);
	put_num(o, "ageMs", (double)fl->age_ms);
	put_num(o, "idleMs", (double)fl->idle_ms);
	for (int s = 0; s < 2; s++)
		put_str(o, side_word[s], cw_outcome_str(fl->outcome[s]));
	if (fl->reason[0])
		put_str(o, "egressReason", cw_reason_str(fl->reason[0]));
	if (fl->reason[1])
		put_str(o, "ingressReason", cw_reason_str(fl->reason[1]));
	put_str(o, "outcome", dropped ? "dropped" : "passed");
	/* The stricter side's; on a draw the source's. */
	strict = fl->outcome[CW_INGRESS] > fl->outcome[CW_EGRESS] ? CW_INGRESS : CW_EGRESS;
	put_item(o, "by", view_by(&c->state, &fl->verdict[strict], fl->reason[strict]));
	return o;
}

cJSON *view_receipt(const struct node_receipt *r)
{
	cJSON *o = cJSON_CreateObject();

	put_str(o, "node", r->node);
	put_str(o, "state", r->applied ? "applied" : "refused");
	put_num(o, "generation", (double)r->generation);
	put_num(o, "afterUs", r->after_us);
	put_num(o, "entries", r->entries);
	put_num(o, "entriesMax", r->entries_max);
	put_num(o, "flowsCut", r->flows_cut);
	put_str(o, "note", r->note);
	return o;
}

cJSON *view_room(const struct node_receipt *r)
{
	cJSON *o = cJSON_CreateObject();

	put_str(o, "node", r->node);
	put_num(o, "entries", r->entries);
	put_num(o, "entriesMax", r->entries_max);
	put_num(o, "rows", r->rows);
	put_num(o, "groups", r->groups);
	put_num(o, "verdicts", r->verdicts);
	return o;
}

cJSON *view_guard(const struct controller *c, const struct node_guard *g)
{
	cJSON *o = cJSON_CreateObject();

	put_str(o, "node", *g->node ? g->node : c->node_name);
	put_str(o, "workload", g->workload);
	put_str(o, "iface", g->iface);
	put_num(o, "ifindex", g->ifindex);
	put_str(o, "hook", g->hook);
	put_str(o, "state", g->state);
	put_str(o, "reason", g->reason);
	if (g->start_gap_ns < 0)
		cJSON_AddNullToObject(o, "startGapMs");
	else
		put_num(o, "startGapMs", (double)g->start_gap_ns / 1e6);
	put_str(o, "wiring", g->wiring);
	for (int w = 0; w < 2; w++) {
		const struct node_guard_way *y = &g->way[w];
		cJSON *j = y->hook && y->state ? cJSON_AddObjectToObject(o, w ? "toPod" : "fromPod") : NULL;

		if (!j)
			continue;
		put_str(j, "hook", y->hook);
		put_str(j, "state", y->state);
		put_str(j, "reason", y->reason);
		put_num(j, "probesSent", y->sent);
		put_num(j, "probesSeen", y->seen);
	}
	if (g->proof_ns)
		put_str(o, "provedAt", time_str(g->proof_ns, (char[32]){ 0 }));
	else
		cJSON_AddNullToObject(o, "provedAt");
	return o;
}

cJSON *view_items(const struct change_items *l)
{
	cJSON *arr = cJSON_CreateArray();

	for (size_t i = 0; i < l->n; i++) {
		const struct change_item *it = &l->v[i];
		const char op[2] = { it->op, 0 };
		cJSON *o = cJSON_CreateObject();

		put_str(o, "op", op);
		put_str(o, "kind", it->kind);
		put_str(o, "name", it->name);
		put_str(o, "origin", it->origin);
		put_str(o, "field", it->field);
		put_str(o, "was", it->was);
		put_str(o, "becomes", it->becomes);
		put_str(o, "summary", it->summary);
		if (!strcmp(it->kind, "mode") || !strcmp(it->kind, "quarantine") || it->workloads)
			put_num(o, "workloads", (double)it->workloads);
		put_push(arr, o);
	}
	return arr;
}

const char *alert_dst(const struct alert *a, char out[ACCESS_REF_MAX])
{
	if (a->kind == ALERT_SCAN)
		snprintf(out, ACCESS_REF_MAX, "(%llu peers)", (unsigned long long)a->peers);
	else
		snprintf(out, ACCESS_REF_MAX, "%s", a->dst);
	return out;
}

const char *alert_port(const struct alert *a, char out[40])
{
	char *slash;

	if (a->kind == ALERT_SCAN && !a->proto)
		return "*";
	axis_str(CW_AXIS(a->proto, a->kind == ALERT_SCAN ? 1 : a->port), out);
	slash = strchr(out, '/');
	if (a->kind == ALERT_SCAN && slash)
		memcpy(slash, "/*", 3);
	return out;
}

const struct access_scan *view_scan(const struct controller *c, uint64_t num)
{
	for (size_t i = access_book_scan_count(c->book); i-- > 0;)
		if (access_book_scan_at(c->book, i)->num == num)
			return access_book_scan_at(c->book, i);
	return NULL;
}

static void put_scan(cJSON *o, const struct access_scan *s)
{
	if (!s)
		return;
	put_num(o, "held", (double)s->held);
	put_num(o, "folded", (double)s->folded);
	put_num(o, "foldedFlows", (double)s->folded_flows);
	put_num(o, "foldedRefused", (double)s->folded_refused);
}

cJSON *view_alert(const struct controller *c, const struct alert *a)
{
	cJSON *o = cJSON_CreateObject();
	char port[40];
	char dst[ACCESS_REF_MAX];

	if (!o)
		return NULL;
	put_str(o, "id", a->id);
	put_time(o, "time", a->last_ns);
	put_time(o, "first", a->first_ns);
	put_str(o, "severity", alert_severity_str(a->severity));
	put_str(o, "kind", a->kind == ALERT_SCAN ? "scan" : "access");
	put_str(o, "src", a->src);
	put_str(o, "dst", alert_dst(a, dst));
	put_str(o, "port", alert_port(a, port));
	put_str(o, "outcome", cw_outcome_str(a->outcome));
	for (int s = 0; s < 2; s++)
		put_str(o, side_word[s], cw_outcome_str(a->side[s].outcome));
	put_str(o, "side", side_word[a->by_side]);
	put_item(o, "by", view_by(&c->state, &a->by, a->reason));
	put_str_null(o, "access", a->access);
	put_num(o, "count", (double)a->count);
	cJSON_AddBoolToObject(o, "acked", a->acked_ns != 0);
	if (a->acked_ns) {
		put_str(o, "ackedBy", a->acked_by);
		put_time(o, "ackedAt", a->acked_ns);
		put_str(o, "note", a->note);
		put_num(o, "countSinceAck", (double)(a->count - a->count_acked));
	}
	if (a->kind == ALERT_SCAN) {
		cJSON *s = cJSON_AddObjectToObject(o, "scan");

		put_num(s, "ports", (double)a->ports);
		put_num(s, "peers", (double)a->peers);
		put_scan(s, view_scan(c, a->scan));
	} else {
		const struct alert *into = a->scan ? alert_book_scan_find(access_book_alerts(c->book), a->scan) : NULL;

		cJSON_AddNullToObject(o, "scan");
		if (a->scan)
			put_str(o, "closedInto", into ? into->id : "");
	}
	return o;
}

void view_still_blocked(struct controller *c, bool candidate, const struct replay_index *ix,
			const struct access *a, cJSON *arr)
{
	const struct access_member *m = a->nmembers ? a->members[0] : NULL;
	uint8_t family = m ? m->family : 0;
	struct policy_end src, dst;
	struct policy_answer ans;

	if (!c->judge || !replay_end(ix, m ? m->src : NULL, a->src, family, &src) ||
	    !replay_end(ix, m ? m->dst : NULL, a->dst, family, &dst) ||
	    judge_ask(c->judge, candidate, true, &src, &dst, access_axis(a), &ans))
		return;
	for (int s = 0; s < 2; s++) {
		const struct policy_side_answer *side = &ans.side[s];
		cJSON *o;

		if (!side->judged || side->j.outcome != CW_OUT_DROP || side->j.v.tier >= CW_TIER_LEARNED)
			continue;
		o = cJSON_CreateObject();
		put_str(o, "id", a->id);
		put_str(o, "side", side_word[s]);
		put_item(o, "by", view_by(ix->st, &side->j.v, side->reason));
		put_push(arr, o);
	}
}
