/* SPDX-License-Identifier: Apache-2.0 */
#include "selftests/harness/policy/world.h"

#include <assert.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

uint32_t rng_next(struct rng *r)
{
	uint64_t z = (r->s += 0x9e3779b97f4a7c15ull);

	z = (z ^ z >> 30) * 0xbf58476d1ce4e5b9ull;
	z = (z ^ z >> 27) * 0x94d049bb133111ebull;
	return (uint32_t)((z ^ z >> 31) >> 16);
}

uint32_t rng_below(struct rng *r, uint32_t n)
{
	return (uint32_t)(((uint64_t)rng_next(r) * n) >> 32);
}

static bool chance(struct world *w, uint32_t percent)
{
	return rng_below(&w->rng, 100) < percent;
}

static char *dup(const char *s)
{
	char *d = strdup(s);

	assert(d);
	return d;
}

#define PICK(w, a) ((a)[rng_below(&(w)->rng, sizeof(a) / sizeof((a)[0]))])

static const char *const ns_names[] = { "a", "b", "c" };
static const char *const apps[] = { "web", "db", "dns" };
static const char *const tiers[] = { "front", "back" };
static const char *const envs[] = { "prod", "dev" };
static const char *const kinds[] = { "Deployment", "StatefulSet" };
static const char *const port_names[] = { "http", "dns", "admin" };
static const uint16_t ports[] = { 22, 53, 80, 443, 5432, 8000, 8080, 9000, 65535, 0 };
static const uint8_t protos[] = { IPPROTO_TCP, IPPROTO_UDP, IPPROTO_ICMP, 47 };

static void set_label(struct labels *l, const char *k, const char *v)
{
	int r = labels_set(l, k, v);

	assert(!r);
	(void)r;
}

static struct addr addr_of(const char *s)
{
	struct addr a;
	int r = addr_parse(s, &a);

	assert(!r);
	(void)r;
	return a;
}

static struct addr random_addr(struct world *w)
{
	struct addr a;

	switch (rng_below(&w->rng, 8)) {
	case 0:
		a = addr_of("fd00::");
		a.b[15] = (uint8_t)rng_below(&w->rng, 32);
		return a;
	case 1:
		a = addr_of("192.0.2.0");
		a.b[15] = (uint8_t)rng_below(&w->rng, 32);
		return a;
	case 2:
		a = addr_of("2001:db8::");
		a.b[15] = (uint8_t)rng_below(&w->rng, 16);
		return a;
	default:
		a = addr_of("10.0.0.0");
		a.b[15] = (uint8_t)rng_below(&w->rng, 32);
		return a;
	}
}

static struct prefix prefix_of(struct addr a, uint8_t plen)
{
	struct prefix p = { .addr = a, .plen = plen, .v6 = !addr_is_v4(&a) };
	unsigned bits = p.v6 ? plen : plen + 96u;

	for (unsigned i = bits; i < 128; i++)
		p.addr.b[i / 8] &= (uint8_t)~(0x80 >> i % 8);
	return p;
}

static struct prefix random_prefix(struct world *w)
{
	static const uint8_t len4[] = { 0, 4, 8, 16, 24, 27, 28, 29, 30, 31, 32, 32 };
	static const uint8_t len6[] = { 0, 10, 64, 120, 123, 124, 126, 128 };
	struct addr a = random_addr(w);

	return prefix_of(a, addr_is_v4(&a) ? PICK(w, len4) : PICK(w, len6));
}

static void random_selector(struct world *w, struct selector *s, bool rule_has_ns)
{
	static const uint32_t kind[] = { SEL_ANY, SEL_WORKLOAD, SEL_WORKLOAD, SEL_WORKLOAD, SEL_WORKLOAD, SEL_CIDR,
					 SEL_CIDR, SEL_RESERVED, SEL_NODES };

	(void)rule_has_ns;
	memset(s, 0, sizeof(*s));
	s->kind = (enum selector_kind)PICK(w, kind);
	switch (s->kind) {
	case SEL_WORKLOAD:
		if (chance(w, 50))
			s->ns = dup(PICK(w, ns_names));
		else if (chance(w, 40)) {
			s->ns_labels.set = true;
			set_label(&s->ns_labels.match, "env", PICK(w, envs));
		}
		if (chance(w, 60)) {
			s->labels.set = true;
			if (chance(w, 80))
				set_label(&s->labels.match, "app", PICK(w, apps));
			if (chance(w, 30))
				set_label(&s->labels.match, "tier", PICK(w, tiers));
			if (chance(w, 5))
				set_label(&s->labels.match, "pod-template-hash", "h1");
			if (chance(w, 25)) {
				struct label_expr *e = calloc(1, sizeof(*e));

				e->key = dup(chance(w, 50) ? "app" : "tier");
				e->op = (enum label_op)rng_below(&w->rng, 4);
				if (e->op == LABEL_IN || e->op == LABEL_NOT_IN) {
					e->values = calloc(1, sizeof(char *));
					e->values[0] = dup(chance(w, 50) ? PICK(w, apps) : PICK(w, tiers));
					e->nvalues = 1;
				}
				s->labels.exprs = e;
				s->labels.nexprs = 1;
			}
		}
		if (chance(w, 15)) {
			s->controller_kind = dup(PICK(w, kinds));
			s->controller_name = dup(PICK(w, apps));
		}
		if (chance(w, 8))
			s->service_account = dup(PICK(w, apps));
		if (chance(w, 10)) {
			char name[16];

			snprintf(name, sizeof(name), "w%u", rng_below(&w->rng, 12));
			s->pod = dup(name);
			if (chance(w, 20))
				s->pod_uid = dup("u1");
		}
		break;
	case SEL_CIDR:
		s->cidr = random_prefix(w);
		s->nexcept = rng_below(&w->rng, 4);
		if (s->nexcept)
			s->except = calloc(s->nexcept, sizeof(*s->except));
		for (size_t i = 0; i < s->nexcept; i++) {
			do
				s->except[i] = random_prefix(w);
			while (s->except[i].v6 != s->cidr.v6);
		}
		break;
	case SEL_RESERVED:
		s->reserved = CW_ID_HOST + rng_below(&w->rng, 5);
		break;
	case SEL_NODES:
		s->labels.set = true;
		if (chance(w, 70))
			set_label(&s->labels.match, "zone", chance(w, 50) ? "z1" : "z2");
		break;
	default:
		break;
	}
}

static const char *const name_patterns[] = {
	"pay.example.com", "*.example.com", "*.b.example.com", "Example.COM.", "*.cdn.net", "*.NET", "x.cdn.net",
	"*.x.cdn.net", "other.org", "*.y.other.org",
};
const char *const world_names[WORLD_NAMES] = {
	"pay.example.com", "www.example.com", "a.b.example.com", "b.example.com", "example.com", "x.cdn.net",
	"deep.x.cdn.net", "other.org", "y.other.org",
};

size_t world_names_of(const struct addr *a, uint64_t salt, uint32_t ret[CW_FQDN_NAMES])
{
	struct rng r = { .s = salt };
	size_t n;

	for (int i = 0; i < 16; i++)
		r.s = r.s * 257 + a->b[i];
	n = rng_below(&r, CW_FQDN_NAMES + 1);
	for (size_t i = 0; i < n; i++)
		ret[i] = (rng_below(&r, WORLD_NAMES) + (uint32_t)i) % WORLD_NAMES;
	return n;
}

static struct selector *random_selectors(struct world *w, size_t *n)
{
	struct selector *s;

	*n = 1 + rng_below(&w->rng, chance(w, 20) ? 5 : 2);
	s = calloc(*n, sizeof(*s));
	for (size_t i = 0; i < *n; i++)
		random_selector(w, &s[i], true);
	return s;
}

/* Some of them names, where a rule may say so. */
static struct selector *random_targets(struct world *w, size_t *n, bool may)
{
	struct selector *s = random_selectors(w, n);

	for (size_t i = 0; i < *n && may && w->names; i++) {
		if (!chance(w, w->names))
			continue;
		selector_done(&s[i]);
		memset(&s[i], 0, sizeof(s[i]));
		s[i].kind = SEL_FQDN;
		s[i].fqdn = dup(PICK(w, name_patterns));
	}
	return s;
}

static void random_port(struct world *w, struct port_spec *p)
{
	memset(p, 0, sizeof(*p));
	p->icmp_type = p->icmp_code = -1;
	p->proto = chance(w, 80) ? IPPROTO_TCP : PICK(w, protos);
	switch (rng_below(&w->rng, 8)) {
	case 0:
		p->kind = PORT_ANY;
		break;
	case 1:
		p->kind = PORT_PROTO;
		break;
	case 2:
		p->kind = PORT_NAMED;
		p->proto = chance(w, 80) ? IPPROTO_TCP : IPPROTO_UDP;
		p->name = dup(PICK(w, port_names));
		break;
	case 3:
		p->kind = PORT_ICMP;
		p->proto = IPPROTO_ICMP;
		p->icmp_type = (int)rng_below(&w->rng, 10) - 1;
		p->icmp_code = p->icmp_type < 0 ? -1 : (int)rng_below(&w->rng, 3) - 1;
		break;
	default:
		p->kind = PORT_RANGE;
		p->from = PICK(w, ports);
		p->to = chance(w, 60) ? p->from : PICK(w, ports);
		if (p->to < p->from) {
			uint16_t t = p->to;

			p->to = p->from;
			p->from = t;
		}
	}
}

static struct port_spec *random_ports(struct world *w, size_t *n)
{
	struct port_spec *p;

	*n = chance(w, 30) ? 0 : 1 + rng_below(&w->rng, chance(w, 15) ? 25 : 3);
	if (!*n)
		return NULL;
	p = calloc(*n, sizeof(*p));
	for (size_t i = 0; i < *n; i++)
		random_port(w, &p[i]);
	return p;
}

static void random_rule(struct world *w, struct rule *r)
{
	static const uint32_t origin[] = { ORIGIN_MANUAL, ORIGIN_MANUAL, ORIGIN_MANUAL, ORIGIN_LEARNED, ORIGIN_LEARNED,
					   ORIGIN_NETWORKPOLICY, ORIGIN_ADMIN, ORIGIN_BASELINE };
	char name[24];

	memset(r, 0, sizeof(*r));
	r->id = w->next_id++;
	snprintf(name, sizeof(name), "r%u", r->id);
	r->name = dup(name);
	if (chance(w, 40))
		r->ns = dup(PICK(w, ns_names));
	r->origin = (enum rule_origin)PICK(w, origin);
	r->action = (enum cw_action)(CW_ACT_ALLOW + rng_below(&w->rng, 3));
	r->reject = chance(w, 20);
	r->mode = chance(w, 15) ? CW_MODE_ALERT : CW_MODE_ENFORCE;
	r->enabled = chance(w, 95);
	r->from = random_selectors(w, &r->nfrom);
	r->to = random_targets(w, &r->nto, r->action != CW_ACT_BLOCK);
	r->ports = random_ports(w, &r->nports);
}

static void random_more(struct world *w, struct ir_rule *r)
{
	memset(r, 0, sizeof(*r));
	r->rule = w->next_id++;
	r->side = (enum cw_side)rng_below(&w->rng, 2);
	r->subjects = random_selectors(w, &r->nsubjects);
	r->ns = chance(w, 40) ? PICK(w, ns_names) : NULL;
	r->advisory = chance(w, 10);
	switch (rng_below(&w->rng, 4)) {
	case 0:
		r->tier = CW_TIER_NETWORKPOLICY;
		r->effect = chance(w, 50) ? IR_ISOLATE : IR_ALLOW;
		break;
	case 1:
		r->tier = CW_TIER_BASELINE;
		r->effect = (enum ir_effect)rng_below(&w->rng, 4);
		r->priority = (int32_t)rng_below(&w->rng, 3);
		break;
	default:
		r->tier = CW_TIER_ADMIN;
		r->effect = (enum ir_effect)rng_below(&w->rng, 4);
		r->priority = (int32_t)rng_below(&w->rng, 4) - 1;
	}
	r->everyone = chance(w, 15);
	/* As the kinds that have priorities do: they can only accept a name. */
	r->peers = random_targets(w, &r->npeers, r->side == CW_EGRESS && r->effect == IR_ALLOW);
	for (size_t i = 0; i < r->npeers && r->priority < 0; i++)
		r->priority = r->peers[i].kind == SEL_FQDN ? 0 : r->priority;
	r->ports = random_ports(w, &r->nports);
}

static void more_done(struct ir_rule *r)
{
	for (size_t i = 0; i < r->nsubjects; i++)
		selector_done((struct selector *)&r->subjects[i]);
	for (size_t i = 0; i < r->npeers; i++)
		selector_done((struct selector *)&r->peers[i]);
	for (size_t i = 0; i < r->nports; i++)
		port_spec_done((struct port_spec *)&r->ports[i]);
	free((void *)r->subjects);
	free((void *)r->peers);
	free((void *)r->ports);
}

static bool addr_taken(const struct world *w, const struct addr *a)
{
	for (size_t i = 0; i < w->st.nworkloads; i++)
		for (size_t k = 0; k < w->st.workloads[i].naddrs; k++)
			if (!addr_cmp(&w->st.workloads[i].addrs[k], a))
				return true;
	for (size_t i = 0; i < w->st.nnodes; i++)
		for (size_t k = 0; k < w->st.nodes[i].naddrs; k++)
			if (!addr_cmp(&w->st.nodes[i].addrs[k], a))
				return true;
	return false;
}

static void random_addrs(struct world *w, struct workload *x)
{
	free(x->addrs);
	x->naddrs = 0;
	x->addrs = calloc(3, sizeof(*x->addrs));
	for (uint32_t n = chance(w, 8) ? 0 : 1 + rng_below(&w->rng, 2); n; n--) {
		struct addr a = random_addr(w);
		bool own = false;

		for (size_t k = 0; k < x->naddrs; k++)
			own |= !addr_cmp(&x->addrs[k], &a);
		if (!own && !addr_taken(w, &a))
			x->addrs[x->naddrs++] = a;
	}
}

static void random_labels(struct world *w, struct workload *x)
{
	labels_done(&x->labels);
	memset(&x->labels, 0, sizeof(x->labels));
	set_label(&x->labels, "app", PICK(w, apps));
	if (chance(w, 60))
		set_label(&x->labels, "tier", PICK(w, tiers));
	if (chance(w, 50))
		set_label(&x->labels, "pod-template-hash", chance(w, 50) ? "h1" : "h2");
}

static void random_named_ports(struct world *w, struct workload *x)
{
	for (size_t i = 0; i < x->nports; i++)
		free(x->ports[i].name);
	free(x->ports);
	x->nports = rng_below(&w->rng, 3);
	x->ports = calloc(x->nports + 1, sizeof(*x->ports));
	for (size_t i = 0; i < x->nports; i++) {
		x->ports[i].name = dup(PICK(w, port_names));
		x->ports[i].proto = chance(w, 80) ? IPPROTO_TCP : IPPROTO_UDP;
		x->ports[i].port = PICK(w, ports);
	}
}

static void random_workload(struct world *w, struct workload *x)
{
	char name[16];

	memset(x, 0, sizeof(*x));
	x->ns = dup(PICK(w, ns_names));
	snprintf(name, sizeof(name), "w%u", w->next_name++);
	x->name = dup(name);
	x->uid = dup(chance(w, 50) ? "u1" : "u2");
	if (chance(w, 60)) {
		x->controller_kind = dup(PICK(w, kinds));
		x->controller_name = dup(PICK(w, apps));
	}
	x->service_account = dup(PICK(w, apps));
	x->node = dup(chance(w, 70) ? "n1" : "n2");
	random_labels(w, x);
	random_addrs(w, x);
	random_named_ports(w, x);
}

static void random_mode(struct world *w, struct mode_setting *m)
{
	memset(m, 0, sizeof(*m));
	m->scope = chance(w, 60) ? MODE_NAMESPACE : MODE_CONTROLLER;
	m->ns = dup(PICK(w, ns_names));
	if (m->scope == MODE_CONTROLLER) {
		m->controller_kind = dup(PICK(w, kinds));
		m->controller_name = dup(PICK(w, apps));
	}
	m->mode = (enum cw_mode)rng_below(&w->rng, CW_MODE_COUNT);
	m->dflt = chance(w, 40) ? CW_ACT_ALLOW : chance(w, 50) ? CW_ACT_BLOCK : CW_ACT_NONE;
}

static void random_quarantine(struct world *w, struct quarantine *q)
{
	const struct workload *x = w->st.nworkloads ? &w->st.workloads[rng_below(&w->rng, (uint32_t)w->st.nworkloads)]
						    : NULL;

	memset(q, 0, sizeof(*q));
	q->name = dup("q");
	q->ns = dup(x ? x->ns : "a");
	if (x && chance(w, 60)) {
		q->pod = dup(x->name);
	} else {
		q->controller_kind = dup(PICK(w, kinds));
		q->controller_name = dup(PICK(w, apps));
	}
	q->nallow = rng_below(&w->rng, 3);
	if (q->nallow)
		q->allow = calloc(q->nallow, sizeof(*q->allow));
	for (size_t i = 0; i < q->nallow; i++) {
		q->allow[i].cidr = random_prefix(w);
		q->allow[i].ports = random_ports(w, &q->allow[i].nports);
	}
}

#define APPEND(v, n) (v = realloc(v, ((n) + 1) * sizeof(*(v))), assert(v), &(v)[(n)++])

void world_new(struct world *w, uint64_t seed)
{
	world_new_named(w, seed, 0);
}

void world_new_named(struct world *w, uint64_t seed, uint32_t percent)
{
	struct policy_state *st;

	memset(w, 0, sizeof(*w));
	w->rng.s = seed;
	w->names = percent;
	w->next_id = 1;
	st = &w->st;
	st->default_mode = (enum cw_mode)rng_below(&w->rng, CW_MODE_COUNT);
	st->default_action = chance(w, 70) ? CW_ACT_BLOCK : CW_ACT_ALLOW;
	st->node = dup("n1");
	if (chance(w, 30))
		st->enforce_always = 1u << CW_TIER_NETWORKPOLICY | 1u << CW_TIER_ADMIN;
	for (size_t i = 0; i < 3; i++) {
		struct namespace *n = APPEND(st->namespaces, st->nnamespaces);

		memset(n, 0, sizeof(*n));
		n->name = dup(ns_names[i]);
		set_label(&n->labels, "env", PICK(w, envs));
		if (chance(w, 50))
			set_label(&n->labels, "kubernetes.io/metadata.name", n->name);
	}
	for (size_t i = 0; i < 2; i++) {
		struct node_info *n = APPEND(st->nodes, st->nnodes);

		memset(n, 0, sizeof(*n));
		n->name = dup(i ? "n2" : "n1");
		set_label(&n->labels, "zone", chance(w, 50) ? "z1" : "z2");
		n->addrs = calloc(1, sizeof(*n->addrs));
		n->addrs[0] = addr_of(i ? "10.0.1.2" : "10.0.1.1");
		n->naddrs = 1;
	}
	if (chance(w, 80))
		*APPEND(st->cluster_cidrs, st->ncluster_cidrs) = prefix_of(addr_of("10.0.0.0"), 16);
	if (chance(w, 60))
		*APPEND(st->cluster_cidrs, st->ncluster_cidrs) = prefix_of(addr_of("fd00::"), 64);
	if (chance(w, 80))
		*APPEND(st->ignore_labels, st->nignore_labels) = dup("pod-template-hash");
	for (uint32_t n = 3 + rng_below(&w->rng, 9); n; n--) {
		struct workload x;

		random_workload(w, &x);
		*APPEND(st->workloads, st->nworkloads) = x;
	}
	for (uint32_t n = rng_below(&w->rng, 16); n; n--)
		random_rule(w, APPEND(st->rules, st->nrules));
	for (uint32_t n = rng_below(&w->rng, 9); n; n--)
		random_more(w, APPEND(w->more, w->nmore));
	for (uint32_t n = rng_below(&w->rng, 4); n; n--)
		random_mode(w, APPEND(st->modes, st->nmodes));
	if (chance(w, 40)) {
		struct quarantine q;

		random_quarantine(w, &q);
		*APPEND(st->quarantines, st->nquarantines) = q;
	}
}

void world_done(struct world *w)
{
	for (size_t i = 0; i < w->nmore; i++)
		more_done(&w->more[i]);
	free(w->more);
	policy_state_done(&w->st);
}

#define REMOVE(w, v, n, done) do { \
	uint32_t at_ = rng_below(&(w)->rng, (uint32_t)(n)); \
	done(&(v)[at_]); \
	memmove(&(v)[at_], &(v)[at_ + 1], ((n) - at_ - 1) * sizeof(*(v))); \
	(n)--; \
} while (0)

static bool names_names(const struct rule *r)
{
	for (size_t i = 0; i < r->nto; i++)
		if (r->to[i].kind == SEL_FQDN)
			return true;
	return false;
}

static void mutate_rule(struct world *w)
{
	struct policy_state *st = &w->st;
	uint32_t what = rng_below(&w->rng, 6);
	struct rule *r;

	if (what == 0 && st->nrules > 2) {
		REMOVE(w, st->rules, st->nrules, rule_done);
		return;
	}
	if (what == 1 || !st->nrules) {
		struct rule fresh;

		random_rule(w, &fresh);
		*APPEND(st->rules, st->nrules) = fresh;
		return;
	}
	r = &st->rules[rng_below(&w->rng, (uint32_t)st->nrules)];
	switch (what) {
	case 2:
		r->action = (enum cw_action)(CW_ACT_ALLOW + rng_below(&w->rng, names_names(r) ? 2 : 3));
		break;
	case 3:
		for (size_t i = 0; i < r->nports; i++)
			port_spec_done(&r->ports[i]);
		free(r->ports);
		r->ports = random_ports(w, &r->nports);
		break;
	case 4:
		for (size_t i = 0; i < r->nto; i++)
			selector_done(&r->to[i]);
		free(r->to);
		r->to = random_targets(w, &r->nto, r->action != CW_ACT_BLOCK);
		break;
	default:
		for (size_t i = 0; i < r->nfrom; i++)
			selector_done(&r->from[i]);
		free(r->from);
		r->from = random_selectors(w, &r->nfrom);
	}
}

static void mutate_workload(struct world *w)
{
	struct policy_state *st = &w->st;
	uint32_t what = rng_below(&w->rng, 6);
	struct workload *x, fresh;

	if (what == 0 && st->nworkloads > 2) {
		REMOVE(w, st->workloads, st->nworkloads, workload_done);
		return;
	}
	if (what == 1 || !st->nworkloads) {
		random_workload(w, &fresh);
		*APPEND(st->workloads, st->nworkloads) = fresh;
		return;
	}
	x = &st->workloads[rng_below(&w->rng, (uint32_t)st->nworkloads)];
	switch (what) {
	case 2:
		random_addrs(w, x);
		break;
	case 3:
		random_named_ports(w, x);
		break;
	case 4:
		free(x->node);
		x->node = dup(chance(w, 50) ? "n1" : "n2");
		break;
	default:
		random_labels(w, x);
	}
}

/* What a node says of itself: an address of its own, one that somebody has, or nothing any more. */
static void random_told(struct world *w, struct node_info *n)
{
	static const char *const own[] = { "10.0.0.5", "10.0.200.0", "10.0.1.1", "192.0.2.7", "fd00::7" };
	const struct policy_state *st = &w->st;
	const struct workload *pod = st->nworkloads ? &st->workloads[rng_below(&w->rng, (uint32_t)st->nworkloads)] : NULL;

	free(n->told);
	n->told = NULL;
	n->ntold = 0;
	if (chance(w, 70))
		*APPEND(n->told, n->ntold) = addr_of(PICK(w, own));
	if (pod && pod->naddrs && chance(w, 40))
		*APPEND(n->told, n->ntold) = pod->addrs[0];
}

void world_mutate(struct world *w)
{
	struct policy_state *st = &w->st;
	uint32_t what = rng_below(&w->rng, w->quiet == 2 ? 9 : w->quiet ? 12 : 20);

	if (what < 7) {
		mutate_rule(w);
	} else if (what < 9) {
		if (w->nmore && chance(w, 50)) {
			REMOVE(w, w->more, w->nmore, more_done);
		} else {
			struct ir_rule r;

			random_more(w, &r);
			*APPEND(w->more, w->nmore) = r;
		}
	} else if (what < 11) {
		struct mode_setting m;

		if (st->nmodes && chance(w, 50)) {
			REMOVE(w, st->modes, st->nmodes, mode_setting_done);
			return;
		}
		random_mode(w, &m);
		*APPEND(st->modes, st->nmodes) = m;
	} else if (what < 12) {
		struct quarantine q;

		if (st->nquarantines && chance(w, 60)) {
			REMOVE(w, st->quarantines, st->nquarantines, quarantine_done);
			return;
		}
		random_quarantine(w, &q);
		*APPEND(st->quarantines, st->nquarantines) = q;
	} else if (what < 18) {
		mutate_workload(w);
	} else if (what < 19) {
		struct namespace *n = &st->namespaces[rng_below(&w->rng, (uint32_t)st->nnamespaces)];

		set_label(&n->labels, "env", PICK(w, envs));
	} else {
		struct node_info *n = &st->nodes[rng_below(&w->rng, (uint32_t)st->nnodes)];

		switch (rng_below(&w->rng, 5)) {
		case 4:
			random_told(w, n);
			break;
		case 0:
			set_label(&n->labels, "zone", chance(w, 50) ? "z1" : "z2");
			break;
		case 1:
			if (st->ncluster_cidrs && chance(w, 60))
				st->ncluster_cidrs--;
			else
				*APPEND(st->cluster_cidrs, st->ncluster_cidrs) = prefix_of(addr_of("10.0.0.0"), 16);
			break;
		case 2:
			st->enforce_always ^= 1u << CW_TIER_NETWORKPOLICY;
			break;
		default:
			st->default_action = st->default_action == CW_ACT_BLOCK ? CW_ACT_ALLOW : CW_ACT_BLOCK;
		}
	}
}

/* ---- points ---------------------------------------------------------------------------------------- */

static void add_addr(struct addr **v, size_t *n, struct addr a)
{
	for (size_t i = 0; i < *n; i++)
		if (!addr_cmp(&(*v)[i], &a))
			return;
	*APPEND(*v, *n) = a;
}

static void add_edges(struct addr **v, size_t *n, const struct prefix *p)
{
	unsigned bits = p->v6 ? p->plen : p->plen + 96u;
	struct addr last = p->addr, before = p->addr, after;

	for (unsigned i = bits; i < 128; i++)
		last.b[i / 8] |= (uint8_t)(0x80 >> i % 8);
	after = last;
	for (int i = 15; i >= 0 && !before.b[i]--; i--)
		;
	for (int i = 15; i >= 0 && !++after.b[i]; i--)
		;
	add_addr(v, n, p->addr);
	add_addr(v, n, last);
	if (addr_is_v4(&before) == !p->v6)
		add_addr(v, n, before);
	if (addr_is_v4(&after) == !p->v6)
		add_addr(v, n, after);
}

static void selector_edges(struct addr **v, size_t *n, const struct selector *s, size_t ns)
{
	for (size_t i = 0; i < ns; i++) {
		if (s[i].kind != SEL_CIDR)
			continue;
		add_edges(v, n, &s[i].cidr);
		for (size_t k = 0; k < s[i].nexcept; k++)
			add_edges(v, n, &s[i].except[k]);
	}
}

struct addr *world_addrs(const struct world *w, size_t *ret_n)
{
	static const char *const fixed[] = { "10.0.0.5", "10.0.9.9", "192.0.2.7", "198.51.100.1", "224.0.0.5",
					     "255.255.255.255", "fe80::1", "ff02::1", "fd00::7", "2001:db8::99" };
	const struct policy_state *st = &w->st;
	struct addr *v = NULL;
	size_t n = 0;

	for (size_t i = 0; i < st->nworkloads; i++)
		for (size_t k = 0; k < st->workloads[i].naddrs; k++)
			add_addr(&v, &n, st->workloads[i].addrs[k]);
	for (size_t i = 0; i < st->nnodes; i++)
		for (size_t k = 0; k < st->nodes[i].naddrs + st->nodes[i].ntold; k++)
			add_addr(&v, &n, k < st->nodes[i].naddrs ? st->nodes[i].addrs[k] :
				 st->nodes[i].told[k - st->nodes[i].naddrs]);
	for (size_t i = 0; i < sizeof(fixed) / sizeof(fixed[0]); i++)
		add_addr(&v, &n, addr_of(fixed[i]));
	for (size_t i = 0; i < st->nrules; i++) {
		selector_edges(&v, &n, st->rules[i].from, st->rules[i].nfrom);
		selector_edges(&v, &n, st->rules[i].to, st->rules[i].nto);
	}
	for (size_t i = 0; i < w->nmore; i++) {
		selector_edges(&v, &n, w->more[i].subjects, w->more[i].nsubjects);
		selector_edges(&v, &n, w->more[i].peers, w->more[i].npeers);
	}
	for (size_t i = 0; i < st->nquarantines; i++)
		for (size_t k = 0; k < st->quarantines[i].nallow; k++)
			add_edges(&v, &n, &st->quarantines[i].allow[k].cidr);
	*ret_n = n;
	return v;
}

static void add_axis(uint32_t **v, size_t *n, uint32_t x)
{
	if (x >= CW_AXIS_END)
		return;
	for (size_t i = 0; i < *n; i++)
		if ((*v)[i] == x)
			return;
	*APPEND(*v, *n) = x;
}

static void port_edges(uint32_t **v, size_t *n, const struct port_spec *p, size_t np)
{
	for (size_t i = 0; i < np; i++) {
		uint32_t base = (uint32_t)p[i].proto << 16, lo = base, hi = base | 0xffff;

		if (p[i].kind == PORT_RANGE) {
			lo = base | p[i].from;
			hi = base | p[i].to;
		} else if (p[i].kind == PORT_ICMP && p[i].icmp_type >= 0) {
			lo = base | (uint32_t)p[i].icmp_type << 8;
			hi = lo | 0xff;
			if (p[i].icmp_code >= 0)
				lo = hi = lo | (uint32_t)p[i].icmp_code;
		} else if (p[i].kind != PORT_PROTO) {
			continue;
		}
		add_axis(v, n, lo);
		add_axis(v, n, lo - 1);
		add_axis(v, n, hi);
		add_axis(v, n, hi + 1);
	}
}

uint32_t *world_axes(const struct world *w, size_t *ret_n)
{
	uint32_t *v = NULL;
	size_t n = 0;

	add_axis(&v, &n, 0);
	add_axis(&v, &n, CW_AXIS_END - 1);
	add_axis(&v, &n, CW_AXIS(IPPROTO_TCP, 80));
	add_axis(&v, &n, CW_AXIS(IPPROTO_UDP, 53));
	for (size_t i = 0; i < w->st.nrules; i++)
		port_edges(&v, &n, w->st.rules[i].ports, w->st.rules[i].nports);
	for (size_t i = 0; i < w->nmore; i++)
		port_edges(&v, &n, w->more[i].ports, w->more[i].nports);
	for (size_t i = 0; i < w->st.nworkloads; i++)
		for (size_t k = 0; k < w->st.workloads[i].nports; k++) {
			const struct named_port *p = &w->st.workloads[i].ports[k];

			add_axis(&v, &n, CW_AXIS(p->proto, p->port));
			add_axis(&v, &n, CW_AXIS(p->proto, p->port) + 1);
		}
	*ret_n = n;
	return v;
}
