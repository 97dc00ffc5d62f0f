/* SPDX-License-Identifier: Apache-2.0 */
/* service_world.h - a small cluster with services, and the table that the data path would ask. */
#pragma once

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <errno.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/htab.h"
#include "policy/compile.h"
#include "selftests/harness/policy/by_hand.h"
#include "selftests/harness/policy/world.h"

#define TCP(p) CW_AXIS(IPPROTO_TCP, p)
#define UDP(p) CW_AXIS(IPPROTO_UDP, p)

/* ---- the table as the data path has it ----------------------------------------------------------- */

static struct {
	struct { struct cw_svc_key k; struct cw_svc v; } e[64];
	size_t n;
	struct cw_backend slot[4096];
	uint32_t writes, sets, fail;	/* fail: of entry stores, from now on */
	const uint64_t *watch;		/* a word, and what it was at the last entry store */
	uint64_t watched;
} tab;

static int t_backends(void *arg, uint32_t at, const struct cw_backend *v, size_t n)
{
	(void)arg;
	assert_true(at + n <= sizeof(tab.slot) / sizeof(tab.slot[0]));
	/* Fresh: no entry names them. */
	for (size_t i = 0; i < tab.n; i++)
		assert_true(at >= tab.e[i].v.first + tab.e[i].v.n || at + n <= tab.e[i].v.first);
	memcpy(&tab.slot[at], v, n * sizeof(*v));
	tab.writes++;
	return 0;
}

static int t_set(void *arg, const struct cw_svc_key *k, const struct cw_svc *v)
{
	(void)arg;
	if (tab.fail)
		return -EIO;
	assert_true(v->n && v->n <= CW_SVC_BACKENDS);
	tab.sets++;
	tab.watched = tab.watch ? *tab.watch : 0;
	for (size_t i = 0; i < tab.n; i++)
		if (!memcmp(&tab.e[i].k, k, sizeof(*k))) {
			tab.e[i].v = *v;
			return 0;
		}
	tab.e[tab.n].k = *k;
	tab.e[tab.n++].v = *v;
	return 0;
}

static int t_del(void *arg, const struct cw_svc_key *k)
{
	(void)arg;
	for (size_t i = 0; i < tab.n; i++)
		if (!memcmp(&tab.e[i].k, k, sizeof(*k))) {
			tab.e[i] = tab.e[--tab.n];
			return 0;
		}
	fail_msg("an entry is removed that is not there");
	return 0;
}

static inline const struct cw_svc *entry(const char *addr, uint32_t axis)
{
	struct cw_svc_key k = { .port = (uint16_t)axis, .proto = (uint8_t)(axis >> 16), .family = strchr(addr, ':') ? 6 : 4 };
	struct addr a = {};

	if (strcmp(addr, "0.0.0.0") && strcmp(addr, "::"))
		assert_int_equal(addr_parse(addr, &a), 0);
	memcpy(k.addr, a.b, 16);
	for (size_t i = 0; i < tab.n; i++)
		if (!memcmp(&tab.e[i].k, &k, sizeof(k)))
			return &tab.e[i].v;
	return NULL;
}

/* ---- a small cluster ------------------------------------------------------------------------------- */

struct fix {
	struct policy_state st;
	struct policy_set *set;
	struct shadow *sh;
	struct policy_sink sink;
};

static struct workload *add_workload(struct fix *x, const char *ns, const char *name, const char *app, const char *a4,
				     const char *a6, uint16_t http)
{
	struct workload *w = state_workload(&x->st, ns, name, app, a4, a6);

	if (http) {
		w->ports = calloc(1, sizeof(*w->ports));
		w->nports = 1;
		w->ports[0] = (struct named_port){ own("http"), IPPROTO_TCP, http };
	}
	return w;
}

static struct service *add_service(struct fix *x, const char *ns, const char *name, const char *app, const char *a4,
				   const char *a6)
{
	return state_service(&x->st, ns, name, "app", app, a4, a6);
}

static void add_port(struct service *s, const char *name, uint8_t proto, uint16_t port, uint16_t node_port,
		     const char *target)
{
	struct service_port p = { .name = own(name), .proto = proto, .port = port, .node_port = node_port };

	if (target && target[0] >= '0' && target[0] <= '9')
		p.target = (uint16_t)strtoul(target, NULL, 10);
	else
		p.target_name = own(target);
	s->ports = grow(s->ports, s->nports, sizeof(*s->ports));
	s->ports[s->nports++] = p;
}

static inline void add_backend(struct service *s, const char *addr, const char *pod, bool ready)
{
	struct service_backend b = { .pod = own(pod), .ready = ready };

	assert_int_equal(addr_parse(addr, &b.addr), 0);
	s->backends = grow(s->backends, s->nbackends, sizeof(*s->backends));
	s->backends[s->nbackends++] = b;
}

static struct rule *add_rule(struct fix *x, uint32_t id, enum rule_origin origin, enum cw_action action,
			     struct selector from, struct selector to, const char *ports)
{
	return state_rule(&x->st, id, origin, action, from, to, ports);
}

static void fix_new(struct fix *x)
{
	static const struct policy_limits small = { .groups = 64, .wls = 64, .verdicts = 512, .rowtab = 8192,
						    .rows = 8192, .peers = 4096, .addrs = 64, .nets = 64,
						    .svcs = 32, .backends = 64 };

	memset(x, 0, sizeof(*x));
	memset(&tab, 0, sizeof(tab));
	x->st.default_mode = CW_MODE_ENFORCE;
	x->st.default_action = CW_ACT_BLOCK;
	x->st.node = own("n1");
	x->st.cluster_cidrs = calloc(1, sizeof(*x->st.cluster_cidrs));
	x->st.ncluster_cidrs = 1;
	assert_int_equal(prefix_parse("10.20.0.0/16", &x->st.cluster_cidrs[0]), 0);
	x->st.nodes = calloc(1, sizeof(*x->st.nodes));
	x->st.nnodes = 1;
	x->st.nodes[0].name = own("n2");
	x->st.nodes[0].addrs = calloc(1, sizeof(struct addr));
	x->st.nodes[0].naddrs = 1;
	assert_int_equal(addr_parse("192.168.0.2", &x->st.nodes[0].addrs[0]), 0);
	add_workload(x, "shop", "web", "web", "10.20.0.1", "fd00:20::1", 0);
	add_workload(x, "shop", "other", "other", "10.20.0.9", NULL, 0);
	add_workload(x, "data", "db-1", "db", "10.20.1.1", "fd00:20::11", 8080);
	add_workload(x, "data", "db-2", "db", "10.20.1.2", "fd00:20::12", 8080);
	add_workload(x, "data", "cache", "cache", "10.20.1.3", NULL, 9090);
	assert_int_equal(policy_set_new(&small, &x->set), 0);
	x->sh = shadow_new(policy_set_limits(x->set));
	assert_non_null(x->sh);
	x->sink = x->sh->sink;
	x->sink.backends_write = t_backends;
	x->sink.svc_set = t_set;
	x->sink.svc_del = t_del;
}

static void fix_done(struct fix *x)
{
	policy_set_free(x->set);
	shadow_free(x->sh);
	policy_state_done(&x->st);
}

static int try_put(struct fix *x, struct fail_list *f)
{
	struct policy_plan *plan;
	int r = policy_set_prepare(x->set, &x->st, f, &plan);

	return r ? r : policy_set_commit(x->set, plan, &x->sink);
}

static void put(struct fix *x)
{
	struct fail_list f = {};
	int r = try_put(x, &f);

	if (r)
		fail_msg("put %d: %s", r, f.n ? f.items[0].message : "");
}

static void collect(struct fix *x)
{
	while (policy_set_gc(x->set, &x->sink, policy_set_seq(x->set)) > 0)
		;
}

static inline struct policy_answer ask(struct fix *x, const char *from, const char *to, uint32_t axis)
{
	struct policy_end s = { .ns = "shop", .name = from }, d = {};
	struct policy_answer a;

	if (!strncmp(from, "data/", 5)) {
		s.ns = "data";
		s.name = from + 5;
	}
	assert_int_equal(addr_parse(to, &d.addr), 0);
	assert_int_equal(policy_set_query(x->set, &s, &d, axis, &a), 0);
	return a;
}

/* What the written tables make of a packet to a service, without the set: the worst by action. */
static inline enum cw_action table_says(struct fix *x, const char *from, const char *to, uint32_t axis)
{
	const struct cw_svc *e = entry(to, axis);
	enum cw_action worst = CW_ACT_NONE;
	struct policy_wl w;

	assert_int_equal(policy_set_wl(x->set, "shop", from, &w), 0);
	assert_non_null(e);
	for (uint32_t i = 0; i < e->n; i++) {
		const struct cw_backend *b = &tab.slot[e->first + i];
		struct cw_verdict v;
		uint64_t word;

		assert_int_equal(shadow_eval(x->sh, w.group, CW_EGRESS, b->eid, b->realm,
					     (axis & 0xff0000u) | b->port, &word, &v), 0);
		if (v.action > worst)
			worst = v.action;
	}
	return worst;
}
