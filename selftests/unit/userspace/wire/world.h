/* SPDX-License-Identifier: Apache-2.0 */
/* world.h - a made-up cluster that changes at random, the same for the same seed. */
#pragma once

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <netinet/in.h>

#include "base/cleanup.h"
#include "base/json.h"
#include "policy/kpolicy.h"
#include "policy/state.h"

struct world { struct policy_state st; uint64_t rnd; uint32_t next_id; unsigned next_pod; };

#define WORLD_MUST(x) ((x) ? (void)0 : abort())

static inline uint32_t world_rnd(struct world *w, uint32_t below)
{
	w->rnd ^= w->rnd << 13;
	w->rnd ^= w->rnd >> 7;
	w->rnd ^= w->rnd << 17;
	return (uint32_t)(w->rnd >> 20) % below;
}

static inline char *world_fmt(const char *fmt, unsigned n)
{
	char *s = NULL;

	/* Both formats have one number. */
	WORLD_MUST(asprintf(&s, fmt[0] == 'p' ? "pod-%u" : fmt[0] == 'n' ? "ns-%u" : fmt[0] == 'r' ? "rule-%u" :
			    fmt[0] == 's' ? "svc-%u" : "node-%u", n) > 0);
	return s;
}

#define WORLD_GROW(arr, n) ({								\
	(arr) = reallocarray((arr), (n) + 1, sizeof(*(arr)));				\
	WORLD_MUST(arr);								\
	memset(&(arr)[n], 0, sizeof(*(arr)));						\
	&(arr)[(n)++]; })
#define WORLD_DROP(arr, n, i, done) do {						\
	done(&(arr)[i]);								\
	memmove(&(arr)[i], &(arr)[(i) + 1], ((n) - (i) - 1) * sizeof(*(arr)));		\
	(n)--;										\
} while (0)

static inline void world_addr(struct world *w, struct addr **to, size_t *n)
{
	char text[48];

	(void)snprintf(text, sizeof(text), world_rnd(w, 4) ? "10.%u.%u.%u" : "fd00::%x:%x:%x", world_rnd(w, 250),
		       world_rnd(w, 250), 1 + world_rnd(w, 250));
	*to = malloc(sizeof(**to));
	WORLD_MUST(*to && !addr_parse(text, *to));
	*n = 1;
}

static inline void world_pod_in(struct world *w, const char *node)
{
	struct workload *x = WORLD_GROW(w->st.workloads, w->st.nworkloads);
	unsigned app = world_rnd(w, 20);
	char text[32];

	x->ns = world_fmt("n", world_rnd(w, 5));
	x->name = world_fmt("p", w->next_pod++);
	(void)snprintf(text, sizeof(text), "uid-%u", world_rnd(w, 1u << 20));
	x->uid = strdup(text);
	(void)snprintf(text, sizeof(text), "app-%u", app);
	WORLD_MUST(!labels_set(&x->labels, "app", text));
	WORLD_MUST(!labels_set(&x->labels, "quo\"te", "gr\xc3\xbc\xc3\x9f \\ \t"));
	x->controller_kind = strdup("Deployment");
	x->controller_name = strdup(text);
	x->node = node ? strdup(node) : world_fmt("m", world_rnd(w, 3));
	world_addr(w, &x->addrs, &x->naddrs);
	if (world_rnd(w, 2)) {
		struct named_port *p = WORLD_GROW(x->ports, x->nports);

		p->name = strdup("http");
		p->proto = IPPROTO_TCP;
		p->port = (uint16_t)(8000 + app);
	}
}

static inline void world_rule(struct world *w)
{
	struct rule *r = WORLD_GROW(w->st.rules, w->st.nrules);
	struct selector *s;

	r->id = w->next_id++;
	r->name = world_fmt("r", r->id);
	r->ns = world_rnd(w, 2) ? world_fmt("n", world_rnd(w, 5)) : NULL;
	r->action = (enum cw_action)(CW_ACT_ALLOW + world_rnd(w, 3));
	r->enabled = world_rnd(w, 5) != 0;
	r->mode = CW_MODE_ENFORCE;
	r->created_ns = 1770000000000000000ll + world_rnd(w, 1000000);
	s = WORLD_GROW(r->from, r->nfrom);
	s->kind = SEL_WORKLOAD;
	s->labels.set = true;
	WORLD_MUST(!labels_set(&s->labels.match, "app", "app-1"));
	s = WORLD_GROW(r->to, r->nto);
	if (world_rnd(w, 2)) {
		s->kind = SEL_CIDR;
		WORLD_MUST(!prefix_parse("10.0.0.0/8", &s->cidr));
		WORLD_MUST(!prefix_parse("10.1.0.0/16", WORLD_GROW(s->except, s->nexcept)));
	} else {
		struct label_expr *e;

		s->kind = SEL_WORKLOAD;
		s->labels.set = true;
		e = WORLD_GROW(s->labels.exprs, s->labels.nexprs);
		e->key = strdup("app");
		e->op = LABEL_NOT_IN;
		*WORLD_GROW(e->values, e->nvalues) = strdup("app-7");
	}
	WORLD_MUST(!port_spec_parse(world_rnd(w, 2) ? "tcp/8000-8100" : "icmp/echo-request", WORLD_GROW(r->ports, r->nports)));
}

static inline void world_kpolicy(struct world *w)
{
	auto_cleanup(cJSON_Deletep) cJSON *o = NULL;
	struct kpolicy *k = WORLD_GROW(w->st.kpolicies, w->st.nkpolicies);
	char text[600];
	int n = snprintf(text, sizeof(text), "{\"apiVersion\":\"networking.k8s.io/v1\",\"kind\":\"NetworkPolicy\",\"metadata\":"
			 "{\"name\":\"np-%u\",\"namespace\":\"ns-%u\"},\"spec\":{\"podSelector\":{\"matchLabels\":{\"app\":\"app-%u\"}},"
			 "\"ingress\":[{\"from\":[{\"podSelector\":{}}],\"ports\":[{\"port\":%u}]}]}}", w->next_id, world_rnd(w, 5),
			 world_rnd(w, 20), 1 + world_rnd(w, 60000));

	WORLD_MUST(!json_parse(text, (size_t)n, "test", NULL, &o) && !kpolicy_parse(o, "test", NULL, k));
	k->id = w->next_id++;
}

static inline void world_service(struct world *w)
{
	struct service *s = WORLD_GROW(w->st.services, w->st.nservices);
	struct service_port *p;
	struct service_backend *b;

	s->ns = world_fmt("n", world_rnd(w, 5));
	s->name = world_fmt("s", w->next_pod++);
	world_addr(w, &s->addrs, &s->naddrs);
	p = WORLD_GROW(s->ports, s->nports);
	p->proto = IPPROTO_TCP;
	p->port = 80;
	p->node_port = (uint16_t)(30000 + world_rnd(w, 1000));
	p->target_name = strdup("http");
	b = WORLD_GROW(s->backends, s->nbackends);
	WORLD_MUST(!addr_parse("10.9.9.9", &b->addr));
	b->ready = world_rnd(w, 2);
	b->ports = calloc(1, sizeof(*b->ports));
	WORLD_MUST(b->ports);
	b->ports[0] = 8080;
}

static inline void world_mode(struct world *w)
{
	struct mode_setting *m = WORLD_GROW(w->st.modes, w->st.nmodes);

	m->scope = MODE_NAMESPACE;
	if (world_rnd(w, 3)) {
		m->ns = world_fmt("n", world_rnd(w, 5));
	} else {
		m->name = strdup("profile");
		m->ns_labels.set = true;
		WORLD_MUST(!labels_set(&m->ns_labels.match, "team", "a"));
	}
	m->mode = (enum cw_mode)world_rnd(w, CW_MODE_COUNT);
}

static inline void world_quarantine(struct world *w)
{
	struct quarantine *q = WORLD_GROW(w->st.quarantines, w->st.nquarantines);

	q->name = world_fmt("r", w->next_id++);
	q->ns = world_fmt("n", world_rnd(w, 5));
	q->pod = world_fmt("p", world_rnd(w, 50));
	q->since_ns = 1770000000000000000ll;
	(void)WORLD_GROW(q->allow, q->nallow);
	WORLD_MUST(!prefix_parse("192.0.2.0/24", &q->allow[0].cidr));
	WORLD_MUST(!port_spec_parse("tcp/22", WORLD_GROW(q->allow[0].ports, q->allow[0].nports)));
}

/* Some change or other. */
static inline void world_step(struct world *w)
{
	struct policy_state *s = &w->st;
	size_t i;

	s->generation++;
	switch (world_rnd(w, 12)) {
	case 0: case 1: case 2:
		world_pod_in(w, NULL);
		break;
	case 3:
		if (s->nworkloads) {
			i = world_rnd(w, (uint32_t)s->nworkloads);
			WORLD_DROP(s->workloads, s->nworkloads, i, workload_done);
		}
		break;
	case 4:
		if (s->nworkloads) { /* another address */
			struct workload *x = &s->workloads[world_rnd(w, (uint32_t)s->nworkloads)];

			free(x->addrs);
			world_addr(w, &x->addrs, &x->naddrs);
		}
		break;
	case 5:
		world_rule(w);
		break;
	case 6:
		if (s->nrules) {
			i = world_rnd(w, (uint32_t)s->nrules);
			WORLD_DROP(s->rules, s->nrules, i, rule_done);
		}
		break;
	case 7:
		if (s->nkpolicies < 20)
			world_kpolicy(w);
		else
			WORLD_DROP(s->kpolicies, s->nkpolicies, 3, kpolicy_done);
		break;
	case 8:
		if (s->nservices < 20)
			world_service(w);
		else
			WORLD_DROP(s->services, s->nservices, 0, service_done);
		break;
	case 9:
		if (s->nmodes < 5)
			world_mode(w);
		else
			WORLD_DROP(s->modes, s->nmodes, 1, mode_setting_done);
		break;
	case 10:
		if (s->nquarantines < 4)
			world_quarantine(w);
		else
			WORLD_DROP(s->quarantines, s->nquarantines, 0, quarantine_done);
		break;
	default:
		s->enforce_always ^= 1u << world_rnd(w, 3);
		break;
	}
}

static inline void world_new(struct world *w, uint64_t seed)
{
	struct policy_state *s = &w->st;

	memset(w, 0, sizeof(*w));
	w->rnd = seed * 0x9e3779b97f4a7c15ull + 1;
	w->next_id = 1;
	s->generation = 1;
	s->default_mode = CW_MODE_LEARN;
	s->default_action = CW_ACT_BLOCK;
	WORLD_MUST(!prefix_parse("10.0.0.0/8", WORLD_GROW(s->cluster_cidrs, s->ncluster_cidrs)));
	*WORLD_GROW(s->ignore_labels, s->nignore_labels) = strdup("pod-template-hash");
	for (unsigned i = 0; i < 5; i++) {
		struct namespace *n = WORLD_GROW(s->namespaces, s->nnamespaces);

		n->name = world_fmt("n", i);
		WORLD_MUST(!labels_set(&n->labels, "team", i & 1 ? "a" : "b"));
	}
	for (unsigned i = 0; i < 3; i++) {
		struct node_info *n = WORLD_GROW(s->nodes, s->nnodes);

		n->name = world_fmt("m", i);
		world_addr(w, &n->addrs, &n->naddrs);
	}
	for (unsigned i = 0; i < 30; i++)
		world_pod_in(w, NULL);
}

static inline void world_done(struct world *w)
{
	policy_state_done(&w->st);
}
