/* SPDX-License-Identifier: Apache-2.0 */
/* Rules to compiled one-sided rules, and what changed of them since the last state. */
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"
#include "policy/service.h"

#define REALM_BIT(r) (1u << (r))
#define REALMS_ALL ((1u << CW_REALM_COUNT) - 1)

/* ---- one rule --------------------------------------------------------------------------------- */

static bool labels_open(const struct label_selector *s)
{
	return !s->set || (!s->match.n && !s->nexprs);
}

/* Realms that the selector matches as a whole; 0: it must be looked up. */
static uint32_t realms_of(const struct selector *s, const char *ns)
{
	switch (s->kind) {
	case SEL_ANY:
		return REALMS_ALL & ~REALM_BIT(CW_REALM_UNKNOWN);
	case SEL_WORKLOAD:
		if (given(ns) || !labels_open(&s->ns_labels) || !labels_open(&s->labels) ||
		    given(s->controller_kind) || given(s->controller_name) || given(s->service_account) ||
		    given(s->pod) || given(s->pod_uid))
			return 0;
		return REALM_BIT(CW_REALM_POD);
	case SEL_NODES:
		return labels_open(&s->labels) ? REALM_BIT(CW_REALM_HOST) | REALM_BIT(CW_REALM_NODE) : 0;
	case SEL_RESERVED:
		switch (s->reserved) {
		case CW_ID_HOST:
			return REALM_BIT(CW_REALM_HOST);
		case CW_ID_REMOTE_NODE:
			return REALM_BIT(CW_REALM_NODE);
		case CW_ID_WORLD:
			return REALM_BIT(CW_REALM_WORLD);
		case CW_ID_UNKNOWN:
			return REALM_BIT(CW_REALM_UNKNOWN);
		case CW_ID_MULTICAST:
			return REALM_BIT(CW_REALM_MULTICAST);
		default:
			return 0;
		}
	default:
		return 0;
	}
}

struct refs { uint32_t *v; size_t n, cap; };

static int selectors_get(struct policy_set *set, const struct ir_rule *r, const struct selector *v, size_t n,
			 struct refs *ret, uint32_t *ret_realms)
{
	auto_free const struct selector **cidrs = NULL, **names = NULL;
	size_t ncidrs = 0, nnames = 0;
	uint32_t id;
	int err;

	for (size_t i = 0; i < n; i++) {
		const char *ns = ir_selector_ns(r, &v[i]);
		uint32_t whole = realms_of(&v[i], ns);
		enum sel_kind kind;

		if (whole) {
			*ret_realms |= whole;
			continue;
		}
		if (v[i].kind == SEL_CIDR) {
			if (!cidrs)
				cidrs = malloc(n * sizeof(*cidrs));
			if (!cidrs)
				return -ENOMEM;
			cidrs[ncidrs++] = &v[i];
			continue;
		}
		if (v[i].kind == SEL_FQDN) {
			/* As a subject, and as a source, a name is nobody. */
			if (v != r->peers || r->side != CW_EGRESS)
				continue;
			if (!names)
				names = malloc(n * sizeof(*names));
			if (!names)
				return -ENOMEM;
			names[nnames++] = &v[i];
			continue;
		}
		if (v[i].kind == SEL_NODES)
			kind = SELK_NODES;
		else if (v[i].kind == SEL_SERVICE && v[i].fqdn)
			kind = SELK_BACKENDS; /* a part of the backends: service_rule.c */
		else if (v[i].kind == SEL_WORKLOAD)
			kind = given(v[i].pod) || given(v[i].pod_uid) ? SELK_POD : SELK_LABELS;
		else
			continue; /* unknown here; matches nothing */
		err = sel_get(set, kind, &v[i], kind == SELK_BACKENDS ? v[i].ns : ns, &id);
		if (err || vec_push(ret, id))
			return -ENOMEM;
	}
	if (nnames) {
		err = sel_get_names(set, names, nnames, &id);
		if (err || vec_push(ret, id))
			return err ? err : -ENOMEM;
	}
	if (!ncidrs)
		return 0;
	err = sel_get_cidrs(set, cidrs, ncidrs, &id);
	return err ? err : vec_push(ret, id);
}

struct spans { struct span *v; size_t n, cap; };

static int span_cmp(const void *x, const void *y)
{
	const struct span *a = x, *b = y;

	return (a->lo > b->lo) - (a->lo < b->lo);
}

static void spans_merge(struct spans *s)
{
	size_t w = 0;

	if (s->n < 2)
		return;
	qsort(s->v, s->n, sizeof(*s->v), span_cmp);
	for (size_t i = 1; i < s->n; i++) {
		if (s->v[i].lo <= s->v[w].hi + 1) {
			if (s->v[i].hi > s->v[w].hi)
				s->v[w].hi = s->v[i].hi;
		} else {
			s->v[++w] = s->v[i];
		}
	}
	s->n = w + 1;
}

static int span_of(const struct port_spec *p, struct spans *ret)
{
	uint32_t base = (uint32_t)p->proto << 16;
	struct span s = { 0, CW_AXIS_END - 1 };

	switch (p->kind) {
	case PORT_ANY:
		break;
	case PORT_PROTO:
		s = (struct span){ base, base | 0xffff };
		break;
	case PORT_RANGE:
		s = (struct span){ base | p->from, base | p->to };
		break;
	case PORT_ICMP:
		s = (struct span){ base, base | 0xffff };
		if (p->icmp_type >= 0) {
			s.lo = base | (uint32_t)p->icmp_type << 8;
			s.hi = s.lo | 0xff;
			if (p->icmp_code >= 0)
				s.lo = s.hi = s.lo | (uint32_t)p->icmp_code;
		}
		break;
	case PORT_NAMED:
		return 0;
	}
	return vec_push(ret, s);
}

static int ports_get(struct policy_set *set, const struct ir_rule *r, struct ir *ir, bool *names)
{
	size_t nports = r->effect == IR_ISOLATE ? 0 : r->nports;
	struct spans s = {};
	int err = 0;

	if (!nports) {
		struct port_spec any = { .kind = PORT_ANY };

		err = span_of(&any, &s);
	}
	ir->named = calloc(nports + 1, sizeof(*ir->named));
	if (!ir->named)
		err = -ENOMEM;
	for (size_t i = 0; i < nports && !err; i++) {
		const struct port_spec *p = &r->ports[i];
		bool fresh;

		if (p->kind != PORT_NAMED) {
			err = span_of(p, &s);
			continue;
		}
		err = intern_get(set->names, p->name, strlen(p->name), &ir->named[ir->nnamed].name, &fresh);
		if (err)
			break;
		ir->named[ir->nnamed++].proto = p->proto;
		*names |= fresh;
	}
	spans_merge(&s);
	ir->spans = s.v;
	ir->nspans = (uint32_t)s.n;
	return err;
}

int ir_new(struct policy_set *set, const struct ir_rule *r, bool *names, struct ir **ret)
{
	struct ir *ir = calloc(1, sizeof(*ir));
	struct refs sub = {}, peer = {};
	uint32_t sub_realms = 0, peer_realms = 0;
	int err;

	if (!ir)
		return -ENOMEM;
	*ret = ir; /* half-built ones are freed by the owner, too */
	ir->rule = r->rule;
	ir->side = r->side;
	ir->tier = r->tier;
	ir->effect = r->effect;
	ir->priority = r->priority;
	ir->advisory = r->advisory;
	ir->reject = r->reject;
	ir->fresh = true;
	if (given(r->ns)) {
		ir->ns = strdup(r->ns);
		if (!ir->ns)
			return -ENOMEM;
	}
	err = selectors_get(set, r, r->subjects, r->nsubjects, &sub, &sub_realms);
	ir->subject = sub.v;
	ir->nsubject = (uint32_t)sub.n;
	ir->subject_all = sub_realms & REALM_BIT(CW_REALM_POD);
	if (!err) {
		if (r->everyone || r->effect == IR_ISOLATE)
			peer_realms = REALMS_ALL;
		else
			err = selectors_get(set, r, r->peers, r->npeers, &peer, &peer_realms);
		ir->peer = peer.v;
		ir->npeer = (uint32_t)peer.n;
		ir->peer_realms = (uint8_t)peer_realms;
	}
	err = err ?: ports_get(set, r, ir, names);
	for (uint32_t i = 0; i < ir->nsubject && !err; i++)
		err = vec_push(&set->sels.v[ir->subject[i]]->subject_of[ir->side], ir);
	if (!err && ir->subject_all)
		err = vec_push(&set->wide[ir->side], ir);
	return err ?: vec_push(&set->all_ir, ir);
}

static void list_del(struct ir **v, size_t *n, const struct ir *ir)
{
	for (size_t i = 0; i < *n; i++)
		if (v[i] == ir) {
			v[i] = v[--*n];
			return;
		}
}

static void ir_free(struct ir *ir)
{
	if (!ir)
		return;
	free(ir->ns);
	free(ir->subject);
	free(ir->peer);
	free(ir->spans);
	free(ir->named);
	free(ir);
}

/* Takes a rule out; the memory stays until rules_sweep, since sides still point to it. */
int ir_drop(struct policy_set *set, struct ir *ir, bool *names)
{
	for (uint32_t i = 0; i < ir->nsubject; i++) {
		struct sel *s = set->sels.v[ir->subject[i]];

		list_del(s->subject_of[ir->side].v, &s->subject_of[ir->side].n, ir);
	}
	list_del(set->all_ir.v, &set->all_ir.n, ir);
	if (ir->subject_all)
		list_del(set->wide[ir->side].v, &set->wide[ir->side].n, ir);
	for (uint32_t i = 0; i < ir->nnamed; i++)
		*names |= intern_unref(set->names, ir->named[i].name);
	for (uint32_t k = 0; k < ir->nsubject; k++)
		sel_unref(set, ir->subject[k]);
	for (uint32_t k = 0; k < ir->npeer; k++)
		sel_unref(set, ir->peer[k]);
	return vec_push(&set->dead_ir, ir);
}

void rules_sweep(struct policy_set *set)
{
	for (size_t i = 0; i < set->dead_ir.n; i++)
		ir_free(set->dead_ir.v[i]);
	set->dead_ir.n = 0;
	for (size_t i = 0; i < set->all_ir.n; i++)
		set->all_ir.v[i]->fresh = false;
}

/* ---- all rules -------------------------------------------------------------------------------------- */

void ir_bytes(struct bytes *b, const struct ir_rule *r)
{
	bytes_u32(b, r->rule);
	bytes_u32(b, (uint32_t)r->side << 16 | (uint32_t)r->tier << 8 | r->effect);
	bytes_u32(b, (uint32_t)r->priority);
	bytes_u32(b, (uint32_t)r->advisory << 2 | (uint32_t)r->reject << 1 | r->everyone);
	bytes_str(b, r->ns);
	bytes_u32(b, (uint32_t)r->nsubjects);
	for (size_t i = 0; i < r->nsubjects; i++)
		bytes_selector(b, &r->subjects[i]);
	bytes_u32(b, (uint32_t)r->npeers);
	for (size_t i = 0; i < r->npeers; i++)
		bytes_selector(b, &r->peers[i]);
	bytes_u32(b, (uint32_t)r->nports);
	for (size_t i = 0; i < r->nports; i++)
		bytes_port(b, &r->ports[i]);
}

static void rule_bytes(struct bytes *b, const struct rule *r)
{
	bytes_u32(b, r->id);
	bytes_u32(b, (uint32_t)r->origin << 16 | (uint32_t)r->action << 8 | (uint32_t)r->mode << 1 | r->reject);
	bytes_u32(b, (uint32_t)r->nfrom);
	for (size_t i = 0; i < r->nfrom; i++)
		bytes_selector(b, &r->from[i]);
	bytes_u32(b, (uint32_t)r->nto);
	for (size_t i = 0; i < r->nto; i++)
		bytes_selector(b, &r->to[i]);
	bytes_u32(b, (uint32_t)r->nports);
	for (size_t i = 0; i < r->nports; i++)
		bytes_port(b, &r->ports[i]);
}

static void prule_free(void *p)
{
	struct prule *r = p;

	if (!r)
		return;
	free(r->ir);
	free(r->at);
	free(r);
}

static int prule_drop_irs(struct policy_set *set, struct prule *p, bool *names)
{
	int r = 0;

	for (size_t i = 0; i < p->n && !r; i++) {
		r = groups_of_ir(set, p->ir[i]);
		r = r ?: ir_drop(set, p->ir[i], names);
	}
	p->n = 0;
	return r;
}

/* One rule object as it should be: nothing when it is as it was. */
int prule_set(struct policy_set *set, const struct bytes *key, const char *at, uint64_t digest,
	      const struct ir_rule *irs, size_t n, bool *names)
{
	struct prule *p = htab_get(set->rules, key->v, key->n);
	int r;

	if (p && p->digest == digest) {
		p->seen = true;
		return 0;
	}
	if (!p) {
		p = calloc(1, sizeof(*p));
		if (!p)
			return -ENOMEM;
		p->at = strdup(at);
		if (!p->at || htab_set(set->rules, key->v, key->n, p, NULL)) {
			prule_free(p);
			return -ENOMEM;
		}
	}
	p->own = 0;
	r = prule_drop_irs(set, p, names);
	if (!r && n) {
		struct ir **room = reallocarray(p->ir, n, sizeof(*room));

		r = room ? 0 : -ENOMEM;
		p->ir = room ? room : p->ir;
	}
	for (size_t i = 0; i < n && !r; i++) {
		struct ir *ir = NULL;

		r = ir_new(set, &irs[i], names, &ir);
		if (ir) {
			ir->at = p->at;
			p->ir[p->n++] = ir;
		}
		r = r ?: groups_of_ir(set, ir);
	}
	p->digest = digest;
	p->seen = true;
	return r;
}

static int rules_check(const struct policy_state *next, struct fail_list *f)
{
	struct htab *names = htab_new();
	struct bytes key = {};
	int err = 0;

	if (!names)
		return -ENOMEM;
	for (size_t i = 0; i < next->nrules; i++) {
		const struct rule *r = &next->rules[i];
		struct ir_rule irs[2];
		int e;

		if (!r->enabled)
			continue;
		e = ir_from_rule(r, f, irs);
		err = e ? e : err;
		key.n = 0;
		bytes_str(&key, r->ns);
		bytes_str(&key, r->name);
		if (!key.err && htab_has(names, key.v, key.n))
			err = fail_add(f, -EINVAL, "rule.duplicate", r->name, "one rule of a name in a namespace",
				       NULL, "two rules have the same name");
		else if (key.err || htab_set(names, key.v, key.n, names, NULL))
			err = -ENOMEM;
		if (err == -ENOMEM)
			break;
	}
	htab_free(names, NULL);
	free(key.v);
	return err;
}

#define AT_MAX 400u

static const char *rule_at(const struct rule *r, char out[AT_MAX])
{
	snprintf(out, AT_MAX, "%s%s%s", given(r->ns) ? r->ns : "", given(r->ns) ? "/" : "", r->name ? r->name : "");
	return out;
}

/*
 * A rule that names services says what stands behind them. It is spelled out again only when one of
 * them is another one, and compiled again only when that makes a difference.
 */
static int service_rule_one(struct policy_set *set, const struct rule *r, const struct bytes *key, struct bytes *body,
			    struct fail_list *f, bool *names)
{
	auto_cleanup(svc_irs_done) struct svc_irs x = {};
	struct prule *p = htab_get(set->rules, key->v, key->n);
	size_t n = body->n;
	struct ir_rule irs[2];
	char at[AT_MAX];
	uint64_t own;
	int err;

	service_rule_versions(set, r, body);
	own = hash_bytes(set->seed, body->v, body->n) | 1;
	if (body->err)
		return body->err;
	if (p && p->own == own) {
		p->seen = true;
		return 0;
	}
	body->n = n;
	err = ir_from_rule(r, f, irs);
	err = err ?: service_rule_expand(set, r, irs, &x);
	for (size_t i = 0; i < x.irs.n; i++)
		ir_bytes(body, &x.irs.v[i]);
	err = err ?: body->err;
	err = err ?: prule_set(set, key, rule_at(r, at), hash_bytes(set->seed, body->v, body->n), x.irs.v, x.irs.n, names);
	p = htab_get(set->rules, key->v, key->n);
	if (!err && p)
		p->own = own;
	return err;
}

static int rule_one(struct policy_set *set, const struct rule *r, struct bytes *key, struct bytes *body,
		    struct fail_list *f, bool *names)
{
	struct ir_rule irs[2];
	struct prule *p;
	uint64_t digest;
	char at[AT_MAX];
	int err;

	key->n = body->n = 0;
	bytes_u32(key, 0);
	bytes_str(key, r->ns);
	bytes_str(key, r->name);
	rule_bytes(body, r);
	if (key->err || body->err)
		return -ENOMEM;
	if (rule_has_service(r))
		return service_rule_one(set, r, key, body, f, names);
	p = htab_get(set->rules, key->v, key->n);
	digest = hash_bytes(set->seed, body->v, body->n);
	if (p && p->digest == digest) {
		p->seen = true;
		return 0;
	}
	err = ir_from_rule(r, f, irs);
	return err ?: prule_set(set, key, rule_at(r, at), digest, irs, 2, names);
}

int rules_diff(struct policy_set *set, const struct policy_state *next, const struct ir_rule *more,
	       size_t nmore, struct fail_list *f, bool *ret_names_changed)
{
	struct bytes key = {}, body = {};
	size_t it = 0, klen;
	const void *k;
	void *v;
	int err;

	if (next->nrules > STATE_RULES_MAX || nmore > STATE_RULES_MAX)
		return fail_add(f, -E2BIG, "state.rules", NULL, NULL, NULL, "%zu rules, at most %u", next->nrules,
				STATE_RULES_MAX);
	err = rules_check(next, f);
	for (size_t i = 0; i < nmore && !err; i++) {
		char at[40];

		snprintf(at, sizeof(at), "rule #%u", more[i].rule);
		err = ir_names_check(&more[i], at, f);
	}
	if (err)
		return err;
	while (htab_next(set->rules, &it, &k, &klen, &v))
		((struct prule *)v)->seen = false;
	for (size_t i = 0; i < next->nrules && !err; i++)
		if (next->rules[i].enabled)
			err = rule_one(set, &next->rules[i], &key, &body, f, ret_names_changed);
	err = err ?: kpolicies_diff(set, next, f, ret_names_changed);
	for (size_t i = 0; i < nmore && !err; i++) {
		uint64_t digest;
		char at[40];

		body.n = key.n = 0;
		ir_bytes(&body, &more[i]);
		/* No name of its own: what it says is what it is. The index tells twins apart. */
		bytes_u32(&key, 1);
		if (body.err || key.err) {
			err = -ENOMEM;
			break;
		}
		digest = hash_bytes(set->seed, body.v, body.n);
		for (uint32_t twin = 0;; twin++) {
			struct prule *p;

			key.n = sizeof(uint32_t);
			bytes_u32(&key, twin);
			bytes_put(&key, body.v, body.n);
			p = key.err ? NULL : htab_get(set->rules, key.v, key.n);
			if (!p || !p->seen)
				break;
		}
		snprintf(at, sizeof(at), "#%u", more[i].rule);
		err = key.err ?: prule_set(set, &key, at, digest, &more[i], 1, ret_names_changed);
	}
	it = 0;
	while (!err && htab_next(set->rules, &it, &k, &klen, &v)) {
		struct prule *p = v;

		if (p->seen)
			continue;
		err = prule_drop_irs(set, p, ret_names_changed);
		htab_del(set->rules, k, klen);
		prule_free(p);
	}
	free(key.v);
	free(body.v);
	return err;
}

void rules_done(struct policy_set *set)
{
	for (size_t i = 0; i < set->all_ir.n; i++)
		ir_free(set->all_ir.v[i]);
	for (size_t i = 0; i < set->dead_ir.n; i++)
		ir_free(set->dead_ir.v[i]);
	vec_done(&set->all_ir);
	vec_done(&set->dead_ir);
	vec_done(&set->wide[0]);
	vec_done(&set->wide[1]);
	htab_free(set->rules, prule_free);
	htab_free(set->qspecs, NULL);
	for (size_t i = 0; i < set->qlist.n; i++)
		qspec_free(set->qlist.v[i]);
	vec_done(&set->qlist);
	intern_free(set->names);
}
