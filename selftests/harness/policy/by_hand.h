/* SPDX-License-Identifier: Apache-2.0 */
/* by_hand.h - a small desired state, written down piece by piece, for tests by example. */
#pragma once

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "policy/state.h"

static inline char *own(const char *s)
{
	char *d = s ? strdup(s) : NULL;

	assert_true(!s || d);
	return d;
}

/* Room for one more, zeroed. */
static inline void *grow(void *v, size_t n, size_t size)
{
	void *p = realloc(v, (n + 1) * size);

	assert_non_null(p);
	memset((char *)p + n * size, 0, size);
	return p;
}

/* On node n1, labelled app; addresses may be NULL. */
static inline struct workload *state_workload(struct policy_state *st, const char *ns, const char *name, const char *app,
					      const char *a4, const char *a6)
{
	struct workload *w;

	st->workloads = grow(st->workloads, st->nworkloads, sizeof(*w));
	w = &st->workloads[st->nworkloads++];
	w->ns = own(ns);
	w->name = own(name);
	w->uid = own("u");
	w->node = own("n1");
	assert_int_equal(labels_set(&w->labels, "app", app), 0);
	w->addrs = calloc(2, sizeof(*w->addrs));
	assert_non_null(w->addrs);
	if (a4)
		assert_int_equal(addr_parse(a4, &w->addrs[w->naddrs++]), 0);
	if (a6)
		assert_int_equal(addr_parse(a6, &w->addrs[w->naddrs++]), 0);
	return w;
}

/* Selects by one label, when value is given; ports and backends are added by the caller. */
static inline struct service *state_service(struct policy_state *st, const char *ns, const char *name, const char *key,
					    const char *value, const char *a4, const char *a6)
{
	struct service *s;

	st->services = grow(st->services, st->nservices, sizeof(*s));
	s = &st->services[st->nservices++];
	s->ns = own(ns);
	s->name = own(name);
	if (value) {
		s->selector.set = true;
		assert_int_equal(labels_set(&s->selector.match, key, value), 0);
	}
	s->addrs = calloc(4, sizeof(*s->addrs));
	assert_non_null(s->addrs);
	if (a4)
		assert_int_equal(addr_parse(a4, &s->addrs[s->naddrs++]), 0);
	if (a6)
		assert_int_equal(addr_parse(a6, &s->addrs[s->naddrs++]), 0);
	return s;
}

static inline struct selector sel_app(const char *ns, const char *app)
{
	struct selector s = { .kind = SEL_WORKLOAD, .ns = own(ns) };

	s.labels.set = true;
	assert_int_equal(labels_set(&s.labels.match, "app", app), 0);
	return s;
}

static inline struct selector sel_svc(const char *ns, const char *name)
{
	return (struct selector){ .kind = SEL_SERVICE, .ns = own(ns), .service = own(name) };
}

/* Takes over the selectors' contents; `ports` one specification, or NULL for all. */
static inline struct rule *state_rule(struct policy_state *st, uint32_t id, enum rule_origin origin,
				      enum cw_action action, struct selector from, struct selector to, const char *ports)
{
	struct rule *r;
	char name[16];

	st->rules = grow(st->rules, st->nrules, sizeof(*r));
	r = &st->rules[st->nrules++];
	snprintf(name, sizeof(name), "r%u", id);
	r->id = id;
	r->name = own(name);
	r->origin = origin;
	r->action = action;
	r->mode = CW_MODE_ENFORCE;
	r->enabled = true;
	r->from = calloc(1, sizeof(from));
	r->to = calloc(1, sizeof(to));
	assert_true(r->from && r->to);
	r->from[0] = from;
	r->to[0] = to;
	r->nfrom = r->nto = 1;
	if (ports) {
		r->ports = calloc(1, sizeof(*r->ports));
		assert_non_null(r->ports);
		r->nports = 1;
		assert_int_equal(port_spec_parse(ports, &r->ports[0]), 0);
	}
	return r;
}
