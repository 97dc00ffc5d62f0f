/* SPDX-License-Identifier: Apache-2.0 */
/* api_explain.c - typed parameters of an explanation; the sentences are the client's. */
#include <ctype.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "base/cleanup.h"
#include "controller/api_routes.h"
#include "controller/kpolicies.h"
#include "controller/view.h"

static const char *const side_word[2] = { "egress", "ingress" };

static cJSON *explanation(const char *subject, const char *key, cJSON **params)
{
	cJSON *o = api_object("Explanation");

	put_str(o, "subject", subject);
	put_str(o, "key", key);
	*params = cJSON_AddObjectToObject(o, "params");
	return o;
}

/* Id of the sentence for a side's latest word. */
static const char *key_of(enum cw_outcome out, enum cw_reason reason, const struct cw_verdict *v)
{
	switch (out) {
	case CW_OUT_WOULD_BLOCK:
		return "would-block";
	case CW_OUT_ALERT:
		return "alert";
	case CW_OUT_NO_RULE:
		return "no-rule";
	case CW_OUT_DROP:
		if (v->tier == CW_TIER_NETWORKPOLICY || reason == CW_R_ISOLATED)
			return "networkpolicy";
		return reason ? cw_reason_str(reason) : "rule";
	default:
		return "passed";
	}
}

/* The workload or group that spoke on a side, if a quarantine holds for it. */
static const struct quarantine *quarantine_on(const struct policy_state *st, const char *ref)
{
	auto_cleanup(ref_done) struct ref r = {};

	if (ref_parse(ref, NULL, false, NULL, &r))
		return NULL;
	for (size_t i = 0; i < st->nworkloads; i++) {
		const struct quarantine *q;

		if (!ref_matches_workload(&r, &st->workloads[i]))
			continue;
		q = policy_state_quarantine(st, &st->workloads[i]);
		if (q)
			return q;
	}
	return NULL;
}

static void put_rule_params(cJSON *p, const struct policy_state *st, uint32_t id)
{
	const struct rule *r = state_rule_id(st, id);
	const struct kpolicy *k = r ? NULL : state_kpolicy_id(st, id);

	if (k) {
		put_free(p, "rule", kpolicy_name(k));
		put_num(p, "ruleId", k->id);
		put_str(p, "ruleKind", kpolicy_kind_str(k->kind));
		put_str(p, "ruleOrigin", rule_origin_str(kpolicy_origin(k)));
		put_str(p, "ruleCreator", k->creator);
		put_time(p, "ruleUpdated", k->updated_ns);
	}
	if (!r)
		return;
	put_free(p, "rule", rule_ref(r));
	put_num(p, "ruleId", r->id);
	put_str(p, "ruleOrigin", rule_origin_str(r->origin));
	put_str(p, "ruleCreator", r->creator);
	put_time(p, "ruleUpdated", r->updated_ns);
}

static bool is_pod(const char *ref)
{
	const char *slash = strchr(ref, '/');

	return slash && !strncmp(slash, "/pod/", 5);
}

static void put_next(cJSON *p, const char *key, const char *access, const char *who, const char *whom, const char *port,
		     const char *ns, const struct quarantine *q)
{
	auto_free char *ref = q ? quarantine_ref(q) : NULL;
	char *cmd = NULL;

	if (!strcmp(key, "quarantine") && ref)
		cmd = text_fmt("cellwall quarantine release %s", ref);
	else if ((!strcmp(key, "default") || !strcmp(key, "no-rule")) && access)
		cmd = text_fmt("cellwall access confirm %s", access);
	else if (!strcmp(key, "would-block") && ns)
		cmd = text_fmt("cellwall simulate -n %s", ns);
	else if (!strcmp(key, "networkpolicy"))
		cmd = text_fmt("cellwall query %s %s %s", who, whom, port);
	else if (!strcmp(key, "identity-late"))
		cmd = strdup("cellwall events --reason identity-late --since 1h");
	else if ((!strcmp(key, "rule") || !strcmp(key, "scan") || !strncmp(key, "spoof-", 6)) && is_pod(who))
		cmd = text_fmt("cellwall quarantine add %s --reason \"%s\"", who,
			       !strncmp(key, "spoof-", 6) ? "forged source" : "scan");
	else if (access)
		cmd = text_fmt("cellwall access show %s", access);
	put_free(p, "next", cmd);
}

struct told {
	const char *who, *whom, *port, *access;
	enum cw_outcome out;
	enum cw_reason reason;
	enum cw_side side;
	const struct cw_verdict *v;
	uint64_t count;
	int64_t first_ns, last_ns;
};

static const char *ns_of(const char *ref, char out[64])
{
	const char *slash = strchr(ref, '/');
	size_t n = slash ? (size_t)(slash - ref) : 0;

	if (!n || n >= 64 || !strncmp(ref, "fqdn/", 5) || !strncmp(ref, "ns/", 3))
		return NULL;
	memcpy(out, ref, n);
	out[n] = 0;
	return out;
}

static void tell(struct api *a, cJSON *p, const char *key, const struct told *t)
{
	const struct policy_state *st = &a->c->state;
	const char *subject = t->side == CW_EGRESS ? t->who : t->whom, *ns;
	const struct quarantine *q = t->reason == CW_R_QUARANTINE ? quarantine_on(st, subject) : NULL;
	struct workload any = {};
	const struct mode_setting *from;
	enum cw_mode mode;
	enum cw_action dflt;
	char buf[64];

	put_str(p, "who", t->who);
	put_str(p, "whom", t->whom);
	put_str(p, "port", t->port);
	put_str(p, "side", side_word[t->side]);
	put_str(p, "verdict", cw_outcome_str(t->out));
	put_str(p, "tier", cw_tier_str(t->v->tier));
	put_rule_params(p, st, t->v->rule);
	if (t->reason)
		put_str(p, "reason", cw_reason_str(t->reason));
	put_num(p, "count", (double)t->count);
	put_time(p, "first", t->first_ns);
	put_time(p, "last", t->last_ns);
	ns = ns_of(subject, buf);
	if (ns) {
		any.ns = buf;
		policy_state_mode(st, &any, &mode, &dflt, &from);
		put_str(p, "namespace", ns);
		put_str(p, "mode", cw_mode_str(mode));
		put_str(p, "default", cw_action_str(dflt));
	}
	if (q) {
		put_str(p, "quarantineReason", q->reason);
		put_str(p, "quarantineBy", q->creator);
		put_time(p, "quarantineSince", q->since_ns);
	}
	put_str(p, "accessId", t->access);
	put_next(p, key, t->access, t->who, t->whom, t->port, ns, q);
}

static void before(cJSON *p, const struct access *x, enum cw_side side)
{
	uint64_t n = x->c.cnt[side][CW_OUT_WOULD_BLOCK];
	cJSON *o;

	if (!n)
		return;
	o = cJSON_AddObjectToObject(p, "before");
	put_str(o, "verdict", "would-block");
	put_num(o, "count", (double)n);
}

static cJSON *explain_access(struct api *a, const struct access *x)
{
	enum cw_side s = outcome_weight(x->side[CW_INGRESS].outcome) > outcome_weight(x->side[CW_EGRESS].outcome) ?
		CW_INGRESS : CW_EGRESS;
	const struct access_side *side = &x->side[s];
	const char *key = key_of(side->outcome, side->reason, &side->verdict);
	char port[40];
	struct told t = { x->src->ref, x->dst->ref, access_port_str(x, port), x->id, side->outcome, side->reason, s,
			  &side->verdict, x->c.cnt[s][side->outcome], x->first_ns, x->last_ns };
	cJSON *p, *o = explanation("access", key, &p);

	if (side->outcome == CW_OUT_NONE)
		t.count = x->c.flows;
	tell(a, p, key, &t);
	put_num(p, "flows", (double)x->c.flows);
	put_str(p, "answered", x->c.answered ? "yes" : "attempted");
	put_str(p, "state", access_state_str(access_state(x)));
	put_str(p, "egress", cw_outcome_str(x->side[CW_EGRESS].outcome));
	put_str(p, "ingress", cw_outcome_str(x->side[CW_INGRESS].outcome));
	if (side->outcome == CW_OUT_DROP)
		before(p, x, s);
	return o;
}

static cJSON *explain_alert(struct api *a, const struct alert *al)
{
	const struct access *x = *al->access ? access_book_find(a->c->book, al->access) : NULL;
	const struct access_scan *s = al->kind == ALERT_SCAN ? view_scan(a->c, al->scan) : NULL;
	const char *key = al->kind == ALERT_SCAN ? "scan" : key_of(al->outcome, al->reason, &al->by);
	char port[40];
	char dst[ACCESS_REF_MAX];
	struct told t = { al->src, alert_dst(al, dst), alert_port(al, port), *al->access ? al->access : NULL,
			  al->outcome, al->reason, al->by_side, &al->by, al->count, al->first_ns, al->last_ns };
	cJSON *p, *o = explanation("alert", key, &p);

	tell(a, p, key, &t);
	put_str(p, "alertId", al->id);
	put_str(p, "severity", alert_severity_str(al->severity));
	if (al->kind == ALERT_SCAN) {
		put_num(p, "ports", (double)al->ports);
		put_num(p, "peers", (double)al->peers);
		put_num(p, "held", (double)(s ? s->held : 0));
		put_num(p, "folded", (double)(s ? s->folded : 0));
	}
	if (x && al->outcome == CW_OUT_DROP)
		before(p, x, al->by_side);
	return o;
}

/* Packets that no access stands behind: what was seen of this reason, by workload. */
static void guard_params(const struct controller *c, const char *reason, cJSON *p)
{
	cJSON *arr = cJSON_AddArrayToObject(p, "seen");
	uint64_t count = 0;
	int64_t last = 0;
	size_t it = 0, kl;
	const void *k;
	void *v;

	while (htab_next(c->guarded, &it, &k, &kl, &v)) {
		const struct guard_seen *g = v;
		const char *space = memrchr(k, ' ', kl);
		cJSON *o;

		if (!space || strlen(reason) != kl - (size_t)(space + 1 - (const char *)k) ||
		    memcmp(space + 1, reason, strlen(reason)))
			continue;
		o = cJSON_CreateObject();
		put_free(o, "who", strndup(k, (size_t)(space - (const char *)k)));
		put_num(o, "count", (double)g->count);
		put_time(o, "last", g->last_ns);
		put_push(arr, o);
		count += g->count;
		last = g->last_ns > last ? g->last_ns : last;
	}
	put_num(p, "count", (double)count);
	put_time(p, "last", last);
}

static cJSON *explain_reason(struct api *a, const char *word)
{
	struct controller *c = a->c;
	cJSON *p, *o = explanation("reason", word, &p), *k;
	size_t accesses = 0;

	put_str(p, "reason", word);
	guard_params(c, word, p);
	for (size_t i = 0; i < access_book_count(c->book); i++) {
		const struct access *x = access_book_at(c->book, i);
		bool hit = false;

		for (int s = 0; s < 2; s++)
			hit = hit || (x->side[s].reason && str_eq(cw_reason_str(x->side[s].reason), word));
		accesses += hit;
	}
	put_num(p, "accesses", (double)accesses);
	k = c->ops->counters ? c->ops->counters(c->node) : NULL;
	if (json_get(json_get(k, "reasons"), word))
		put_item(p, "counters", cJSON_Duplicate(json_get(json_get(k, "reasons"), word), 1));
	cJSON_Delete(k);
	return o;
}

static bool is_reason(const char *s)
{
	static const char *const more[] = { "networkpolicy", "would-block", "no-rule", "alert", "passed", "scan" };

	for (int i = CW_R_NONE + 1; i < CW_R_COUNT; i++)
		if (str_eq(cw_reason_str(i), s))
			return true;
	for (size_t i = 0; i < ARRAY_SIZE(more); i++)
		if (!strcmp(more[i], s))
			return true;
	return false;
}

/* "rule.port-range": two words of lower case, digits and hyphens. */
static bool is_error_name(const char *s)
{
	size_t dots = 0;

	for (const char *p = s; *p; p++) {
		if (*p == '.')
			dots++;
		else if (!islower((unsigned char)*p) && !isdigit((unsigned char)*p) && *p != '-')
			return false;
	}
	return dots == 1 && *s != '.' && s[strlen(s) - 1] != '.' && strlen(s) < 64;
}

int api_explain(struct api *a, cJSON **ret)
{
	const char *what = api_q(a, "what");
	const struct access *x;
	const struct alert *al;
	cJSON *p;
	char at[120];

	if (!what)
		return fail_add(&a->f, -EINVAL, "query.missing", "query what", "an id, a reason or an error name",
				"cellwall alerts", "nothing was asked");
	al = alert_book_find(access_book_alerts(a->c->book), what);
	x = al ? NULL : access_book_find(a->c->book, what);
	if (al)
		*ret = explain_alert(a, al);
	else if (x)
		*ret = explain_access(a, x);
	else if (is_reason(what))
		*ret = explain_reason(a, what);
	else if (is_error_name(what))
		*ret = explanation("error", what, &p);
	if (*ret)
		return 0;
	snprintf(at, sizeof(at), "query what: \"%.60s\"", what);
	return fail_add(&a->f, -ENOENT, "explain.unknown", at, "an access or alert id, a reason, or an error name",
			"cellwall alerts", "nothing is known under this");
}
