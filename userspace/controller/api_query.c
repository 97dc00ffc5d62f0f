/* SPDX-License-Identifier: Apache-2.0 */
/* api_query.c - may A reach B on a port, and why, on each side. */
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "base/cleanup.h"
#include "controller/api_routes.h"
#include "controller/kpolicies.h"
#include "controller/replay.h"
#include "controller/services.h"
#include "controller/view.h"

#define PAIRS_MAX 65536u /* workload pairs one question may ask about */

struct ends { struct policy_end *v; size_t n; };

static void ends_done(struct ends *e)
{
	free(e->v);
}

static int ends_of(struct api *a, const struct ref *r, const char *at, struct ends *ret)
{
	const struct policy_state *st = &a->c->state;
	const struct workload **w;
	struct access_end world = { .kind = ACCESS_RESERVED, .reserved = r->reserved };
	bool named = r->kind == REF_FQDN && !strcmp(at, "dst");
	char where[64];
	int e;

	/* A name is asked about at an address that no prefix of a rule names. */
	if (named)
		world.reserved = CW_ID_WORLD;
	if (r->kind == REF_CIDR || r->kind == REF_RESERVED || named) {
		ret->v = calloc(2, sizeof(*ret->v));
		if (!ret->v)
			return -ENOMEM;
		if (r->kind == REF_CIDR) {
			ret->v[0].addr = r->cidr.addr;
			ret->n = 1;
			return 0;
		}
		for (uint8_t f = 4; f <= 6; f += 2) {
			const struct access_point p = { .reserved = world.reserved };
			const struct replay_index none = { .st = st }; /* a reserved word is no workload */

			if (!replay_end(&none, &p, &world, f, &ret->v[ret->n]))
				continue;
			if (named) {
				ret->v[ret->n].names = (const char *const *)&r->name;
				ret->v[ret->n].nnames = 1;
			}
			ret->n++;
		}
		snprintf(where, sizeof(where), "query %s", at);
		return ret->n ? 0 : fail_add(&a->f, -EINVAL, "query.end", where, "an address", NULL,
					     "no address stands for %s here", reserved_str(r->reserved));
	}
	if (r->kind == REF_SERVICE && !strcmp(at, "dst")) {
		const struct service *s = state_service(st, r->ns, r->name);

		snprintf(where, sizeof(where), "query %s", at);
		if (!s)
			return fail_add(&a->f, -ENOENT, "ref.not-found", where, "a service that is declared",
					"cellwall service list", "no such service");
		ret->v = calloc(1, sizeof(*ret->v));
		if (!ret->v)
			return -ENOMEM;
		ret->v[0].ns = s->ns;
		ret->v[0].svc = s->name;
		ret->n = 1;
		return 0;
	}
	if (!ref_is_workloads(r)) {
		snprintf(where, sizeof(where), "query %s", at);
		return fail_add(&a->f, -EINVAL, "query.end", where, "a workload, group, namespace, address or reserved word",
				NULL, "this cannot be asked about");
	}
	snprintf(where, sizeof(where), "query %s", at);
	e = api_ref_exists(a, r, where);
	if (e)
		return e;
	ret->n = ref_find(r, st, NULL, 0);
	if (!ret->n)
		return fail_add(&a->f, -ENOENT, "ref.not-found", where, "a REF with workloads", "cellwall workload list",
				"no workload is in it");
	w = calloc(ret->n, sizeof(*w));
	ret->v = calloc(ret->n, sizeof(*ret->v));
	if (!w || !ret->v) {
		free(w);
		return -ENOMEM;
	}
	ref_find(r, st, w, ret->n);
	for (size_t i = 0; i < ret->n; i++) {
		ret->v[i].ns = w[i]->ns;
		ret->v[i].name = w[i]->name;
	}
	free(w);
	return 0;
}

static char *end_text(const struct policy_end *e)
{
	char a[ADDR_STR_MAX];

	/* Asked of one that was found: NOLINTNEXTLINE(clang-analyzer-core.NullDereference) */
	if (e->svc)
		return text_fmt("%s/svc/%s", e->ns, e->svc);
	return e->ns ? text_fmt("%s/pod/%s", e->ns, e->name) : strdup(addr_str(&e->addr, a));
}

/* What a service is judged by, and who may answer. */
static void via_json(cJSON *o, const struct policy_via *v, uint32_t axis, struct policy_end *ret_backend)
{
	char text[ADDR_STR_MAX], port[40];
	cJSON *k;

	if (!v->name)
		return;
	k = cJSON_AddObjectToObject(o, "via");
	put_free(k, "service", text_fmt("%s/svc/%s", v->ns, v->name));
	if (!addr_is_zero(&v->addr))
		put_str(k, "address", addr_str(&v->addr, text));
	put_str(k, "port", axis_str(axis, port));
	put_num(k, "backends", v->backends);
	put_num(k, "ready", v->ready);
	put_num(k, "admits", v->admits);
	if (!v->port)
		return;
	if (v->pod)
		put_free(k, "backend", text_fmt("%s/pod/%s", v->pod_ns, v->pod));
	else
		put_str(k, "backend", addr_str(&v->pod_addr, text));
	put_str(k, "target", axis_str(CW_AXIS(axis >> 16, v->port), port));
	*ret_backend = (struct policy_end){ .ns = v->pod_ns, .name = v->pod, .addr = v->pod_addr };
}

static const char *said_word(const struct policy_step *s, enum cw_tier tier)
{
	switch (s->said) {
	case SAID_NOT_ASKED:
	case SAID_NO_MATCH:
		return "-";
	case SAID_NONE:
		return tier == CW_TIER_QUARANTINE ? "no" : "-";
	case SAID_PASS:
		return "pass";
	case SAID_ISOLATED:
		return "isolates";
	case SAID_ACTION:
		if (tier == CW_TIER_DEFAULT)
			return s->action == CW_ACT_BLOCK ? "block" : "no-rule";
		return cw_action_str(s->action);
	}
	return "-";
}

static cJSON *side_json(const struct controller *c, const struct policy_side_answer *s, const struct policy_end *end)
{
	const struct workload *w = end->ns && end->name ? state_workload(&c->state, end->ns, end->name) : NULL;
	cJSON *o, *arr;

	if (!s->judged)
		return cJSON_CreateNull();
	o = cJSON_CreateObject();
	put_free(o, "workload", end_text(end));
	put_str(o, "mode", cw_mode_str(s->mode));
	if (w)
		put_str(o, "modeFrom", mode_from_word(&c->state, w));
	cJSON_AddBoolToObject(o, "quarantined", s->quarantined);
	put_str(o, "outcome", cw_outcome_str(s->j.outcome));
	put_item(o, "by", view_by(&c->state, &s->j.v, s->reason));
	arr = cJSON_AddArrayToObject(o, "chain");
	for (int t = CW_TIER_QUARANTINE; t <= CW_TIER_DEFAULT; t++) {
		const struct policy_step *st = &s->step[t];
		char *rule = state_id_ref(&c->state, st->rule);
		cJSON *k = cJSON_CreateObject();

		put_str(k, "tier", cw_tier_str(t));
		put_str(k, "result", t == CW_TIER_QUARANTINE && st->said == SAID_NO_MATCH ? "no" : said_word(st, t));
		cJSON_AddBoolToObject(k, "asked", st->said != SAID_NOT_ASKED);
		if (rule)
			put_free(k, "rule", rule);
		put_push(arr, k);
	}
	return o;
}

/* NAMESPACE=MODE, ... laid over a copy of the state. */
static int assume(struct api *a, const char *text, struct policy_state *st)
{
	auto_cleanup(words_done) struct words w = {};
	int e = words_split(text, &w);

	for (size_t i = 0; i < w.n && !e; i++) {
		char *eq = strchr(w.v[i], '=');
		struct mode_setting m = { .scope = MODE_NAMESPACE }, copy = {};
		char at[160];

		snprintf(at, sizeof(at), "query assume: \"%.100s\"", w.v[i]);
		if (!eq || eq == w.v[i] || cw_mode_parse(eq + 1, &m.mode)) {
			e = fail_add(&a->f, -EINVAL, "query.assume", at, "NAMESPACE=off, learn, alert or enforce", NULL,
				     "this is no assumption");
			break;
		}
		*eq = 0;
		m.ns = w.v[i];
		/* The assumption is about the whole namespace: narrower settings give way. */
		for (size_t k = st->nmodes; k-- > 0;)
			if (str_eq(st->modes[k].ns, m.ns))
				state_mode_del(st, k);
		e = mode_setting_copy(&m, &copy);
		e = e ?: state_mode_add(st, &copy);
		mode_setting_done(&copy);
	}
	return e;
}

struct asked {
	struct policy_answer worst, now;
	size_t pairs, passing, si, di;
	bool any, no_port;
};

static int weight(const struct policy_answer *a)
{
	int w0 = outcome_weight(a->side[0].j.outcome), w1 = outcome_weight(a->side[1].j.outcome);

	return w0 > w1 ? w0 : w1;
}

static int ask_all(const struct judge *j, bool candidate, const struct ends *src, const struct ends *dst, uint32_t axis,
		   struct asked *ret)
{
	for (size_t i = 0; i < src->n; i++) {
		for (size_t k = 0; k < dst->n; k++) {
			struct policy_answer ans;
			int e = judge_ask(j, candidate, false, &src->v[i], &dst->v[k], axis, &ans);

			ret->no_port |= e == -ENXIO;
			if (e == -EAFNOSUPPORT || e == -ENOENT || e == -ENXIO)
				continue;
			if (e)
				return e;
			ret->pairs++;
			ret->passing += ans.passes;
			if (ret->any && weight(&ans) <= weight(&ret->worst))
				continue;
			ret->any = true;
			ret->worst = ans;
			ret->si = i;
			ret->di = k;
		}
	}
	if (ret->any && candidate)
		return judge_ask(j, false, false, &src->v[ret->si], &dst->v[ret->di], axis, &ret->now);
	return 0;
}

static int read_port(struct api *a, const char *s, const struct policy_state *st, const struct ends *dst,
		     uint32_t *ret)
{
	struct port_spec p = {};
	char at[120];
	int e = port_spec_parse(s, &p);

	snprintf(at, sizeof(at), "query port: \"%.60s\"", s);
	if (!e && p.kind == PORT_NAMED) {
		const struct workload *w = dst->n && dst->v[0].ns && dst->v[0].name ?
			state_workload(st, dst->v[0].ns, dst->v[0].name) : NULL;
		const struct service *svc = dst->n && dst->v[0].svc ? state_service(st, dst->v[0].ns, dst->v[0].svc) : NULL;

		e = -ENOENT;
		for (size_t i = 0; svc && i < svc->nports; i++) {
			if (!str_eq(svc->ports[i].name, p.name) || svc->ports[i].proto != p.proto)
				continue;
			*ret = CW_AXIS(p.proto, svc->ports[i].port);
			e = 0;
			break;
		}
		for (size_t i = 0; w && i < w->nports; i++) {
			if (!str_eq(w->ports[i].name, p.name) || w->ports[i].proto != p.proto)
				continue;
			*ret = CW_AXIS(p.proto, w->ports[i].port);
			e = 0;
			break;
		}
	} else if (!e && p.kind == PORT_ICMP && p.icmp_type >= 0) {
		*ret = CW_AXIS(p.proto, p.icmp_type << 8 | (p.icmp_code > 0 ? p.icmp_code : 0));
	} else if (!e && ((p.kind == PORT_RANGE && p.from == p.to) || p.kind == PORT_PROTO)) {
		*ret = CW_AXIS(p.proto, p.kind == PORT_RANGE ? p.from : 0);
	} else {
		e = -EINVAL;
	}
	port_spec_done(&p);
	if (e)
		return fail_add(&a->f, -EINVAL, "query.port", at, "one port such as tcp/5432 or icmp/echo-request", NULL,
				e == -ENOENT ? "the destination has no port of this name" : "this is not one port");
	return 0;
}

static cJSON *answer_json(struct api *a, const struct asked *k, const struct ends *src, const struct ends *dst,
			  uint32_t axis, bool assumed)
{
	const struct controller *c = a->c;
	const struct policy_end *s = &src->v[k->si], *d = &dst->v[k->di];
	cJSON *o = api_object("QueryAnswer"), *p;
	struct policy_end backend = {};
	bool passes = k->passing == k->pairs;

	if (!o)
		return NULL;
	put_str(o, "src", api_q(a, "src"));
	put_str(o, "dst", api_q(a, "dst"));
	put_str(o, "port", api_q(a, "port"));
	put_num(o, "generation", (double)c->state.generation);
	cJSON_AddBoolToObject(o, "passes", passes);
	put_str(o, "answer", passes ? "passes" : "blocked");
	p = cJSON_AddObjectToObject(o, "members");
	put_num(p, "pairs", (double)k->pairs);
	put_num(p, "passing", (double)k->passing);
	p = cJSON_AddObjectToObject(o, "pair");
	put_free(p, "src", end_text(s));
	put_free(p, "dst", end_text(d));
	via_json(o, &k->worst.via, axis, &backend);
	put_item(o, "egress", side_json(c, &k->worst.side[CW_EGRESS], s));
	put_item(o, "ingress", side_json(c, &k->worst.side[CW_INGRESS], k->worst.via.name ? &backend : d));
	if (k->worst.builtin)
		put_str(o, "builtin", cw_reason_str(k->worst.builtin));
	if (assumed) {
		p = cJSON_AddObjectToObject(o, "now");
		put_str(p, "egress", cw_outcome_str(k->now.side[CW_EGRESS].j.outcome));
		put_str(p, "ingress", cw_outcome_str(k->now.side[CW_INGRESS].j.outcome));
		cJSON_AddBoolToObject(p, "passes", k->now.passes);
	}
	return o;
}

static int need(struct api *a, const char *name, const char **ret)
{
	char at[64];

	*ret = api_q(a, name);
	snprintf(at, sizeof(at), "query %s", name);
	return *ret ? 0 : fail_add(&a->f, -EINVAL, "query.missing", at, "SRC DST PORT",
				   "cellwall query shop/deploy/web data/sts/db tcp/5432", "%s is missing", name);
}

int api_query(struct api *a, cJSON **ret)
{
	struct controller *c = a->c;
	auto_cleanup(ref_done) struct ref rs = {}, rd = {};
	auto_cleanup(ends_done) struct ends src = {}, dst = {};
	auto_cleanup(policy_state_done) struct policy_state next = {};
	const char *s, *d, *port, *as = api_q(a, "assume");
	struct asked k = {};
	struct judge *j;
	uint32_t axis = 0;
	int e;

	(void)controller_flush(c); /* a node that refuses does not change the answer */
	e = need(a, "src", &s) | need(a, "dst", &d) | need(a, "port", &port) ? -EINVAL : 0;
	e = e ?: ref_parse(s, "query src", false, &a->f, &rs);
	e = e ?: ref_parse(d, "query dst", false, &a->f, &rd);
	e = e ?: ends_of(a, &rs, "src", &src);
	e = e ?: ends_of(a, &rd, "dst", &dst);
	e = e ?: read_port(a, port, &c->state, &dst, &axis);
	if (!e && src.n * dst.n > PAIRS_MAX)
		e = fail_add(&a->f, -EINVAL, "query.too-wide", "query", "at most 65536 pairs of workloads", "narrow one end",
			     "the question is about %zu pairs", src.n * dst.n);
	e = e ?: controller_judge(c, &a->f, &j);
	if (!e && as) {
		e = policy_state_copy(&c->state, &next);
		e = e ?: assume(a, as, &next);
		e = e ?: judge_candidate(j, &next, &a->f);
	}
	e = e ?: ask_all(j, as != NULL, &src, &dst, axis, &k);
	if (as && c->judge)
		judge_candidate_drop(c->judge);
	if (e)
		return e;
	if (!k.any && k.no_port)
		return fail_add(&a->f, -ENOENT, "query.service-port", "query port", "a port that the service serves",
				"cellwall service list", "nothing stands behind this port of the service");
	if (!k.any)
		return fail_add(&a->f, -EINVAL, "query.family", "query", "ends that share IPv4 or IPv6",
				"cellwall workload list", "the two ends share no address family");
	*ret = answer_json(a, &k, &src, &dst, axis, as != NULL);
	return *ret ? 0 : -ENOMEM;
}
