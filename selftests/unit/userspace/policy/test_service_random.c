/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Random worlds that change: a rule about a service is the same rule about each of its backends, and
 * the table says of a service what its backends say.
 */
#include "selftests/unit/userspace/policy/service_world.h"

#define RPODS 9u
#define RSVCS 3u
#define RRULES 4u
static const uint16_t rports[] = { 80, 81, 8080, 8081 };

/* What a rule with services means, pod by pod. Outside addresses are not drawn here. */
static void spell_out(struct fix *to, const struct policy_state *from, const struct rule *r, uint32_t *id)
{
	const struct service *s = NULL;

	for (size_t i = 0; i < from->nservices; i++)
		if (r->to[0].kind == SEL_SERVICE && !strcmp(from->services[i].name, r->to[0].service))
			s = &from->services[i];
	for (size_t p = 0; p < from->nworkloads; p++) {
		const struct workload *w = &from->workloads[p];
		struct selector pod = { .kind = SEL_WORKLOAD, .ns = w->ns, .pod = w->name };

		if (!s || strcmp(s->ns, w->ns) || !label_selector_matches(&s->selector, &w->labels))
			continue;
		for (size_t k = 0; k < s->nports; k++) {
			const struct service_port *sp = &s->ports[k];
			uint16_t target = sp->target;
			struct selector a = {}, b = {};
			struct rule *n;
			char port[24];

			if (r->nports && (r->ports[0].from > sp->port || r->ports[0].to < sp->port))
				continue;
			for (size_t q = 0; !target && q < w->nports; q++)
				target = strcmp(w->ports[q].name, sp->target_name) ? 0 : w->ports[q].port;
			if (!target)
				continue;
			snprintf(port, sizeof(port), "tcp/%u", target);
			assert_int_equal(selector_copy(&r->from[0], &a), 0);
			assert_int_equal(selector_copy(&pod, &b), 0);
			n = add_rule(to, (*id)++, r->origin, r->action, a, b, port);
			n->enabled = r->enabled;
		}
	}
}

static void random_service(struct fix *x, struct rng *g, uint32_t n)
{
	char name[16], addr[32];
	struct service *s;

	snprintf(name, sizeof(name), "s%u", n);
	snprintf(addr, sizeof(addr), "10.96.1.%u", n + 1);
	s = add_service(x, rng_below(g, 2) ? "data" : "shop", name, rng_below(g, 2) ? "a" : "b", addr, NULL);
	add_port(s, "one", IPPROTO_TCP, 80, 0, rng_below(g, 2) ? "http" : "8080");
	if (rng_below(g, 2))
		add_port(s, "two", IPPROTO_TCP, 81, 0, "8081");
}

static void random_pod(struct fix *x, struct rng *g, uint32_t n)
{
	static const char *const app[] = { "a", "b", "c" };
	char name[16], addr[32];

	snprintf(name, sizeof(name), "p%u", n);
	snprintf(addr, sizeof(addr), "10.20.3.%u", n + 1);
	add_workload(x, rng_below(g, 2) ? "data" : "shop", name, app[rng_below(g, 3)], addr, NULL,
		     rng_below(g, 3) ? rports[2 + rng_below(g, 2)] : 0);
}

static void random_rule(struct fix *x, struct rng *g, uint32_t n)
{
	static const enum cw_action act[] = { CW_ACT_ALLOW, CW_ACT_ALERT, CW_ACT_BLOCK };
	struct rule *r = add_rule(x, n + 1, rng_below(g, 3) ? ORIGIN_MANUAL : ORIGIN_ADMIN, act[rng_below(g, 3)],
				  sel_app(rng_below(g, 2) ? "data" : "shop", rng_below(g, 2) ? "a" : "c"),
				  (struct selector){ .kind = SEL_ANY }, rng_below(g, 2) ? "tcp/80" : NULL);
	uint32_t s = rng_below(g, RSVCS);

	r->to[0] = (struct selector){ .kind = SEL_SERVICE };
	r->to[0].service = own(s == 0 ? "s0" : s == 1 ? "s1" : "s2");
	r->to[0].ns = own("data");
	for (size_t i = 0; i < x->st.nservices; i++)
		if (!strcmp(x->st.services[i].name, r->to[0].service)) {
			free(r->to[0].ns);
			r->to[0].ns = own(x->st.services[i].ns);
		}
}

static void random_change(struct fix *x, struct rng *g)
{
	struct policy_state *st = &x->st;
	struct workload *w = &st->workloads[rng_below(g, (uint32_t)st->nworkloads)];
	struct service *s = &st->services[rng_below(g, (uint32_t)st->nservices)];
	static const char *const app[] = { "a", "b", "c" };

	switch (rng_below(g, 5)) {
	case 0:
		assert_int_equal(labels_set(&w->labels, "app", app[rng_below(g, 3)]), 0);
		break;
	case 1:
		assert_int_equal(labels_set(&s->selector.match, "app", app[rng_below(g, 3)]), 0);
		break;
	case 2:
		if (w->nports)
			w->ports[0].port = rports[2 + rng_below(g, 2)];
		break;
	case 3:
		s->ports[0].port = rports[rng_below(g, 2)];
		break;
	default:
		st->rules[rng_below(g, (uint32_t)st->nrules)].enabled ^= true;
		break;
	}
}

static uint32_t same_verdicts(struct fix *x, struct fix *y, uint64_t seed)
{
	uint32_t points = 0;

	for (size_t i = 0; i < x->st.nworkloads; i++)
		for (size_t k = 0; k < x->st.nworkloads; k++)
			for (size_t p = 0; p < sizeof(rports) / sizeof(rports[0]); p++) {
				const struct workload *a = &x->st.workloads[i], *b = &x->st.workloads[k];
				struct policy_end s = { .ns = a->ns, .name = a->name }, d = { .ns = b->ns, .name = b->name };
				struct policy_answer q, w;

				assert_int_equal(policy_set_query(x->set, &s, &d, TCP(rports[p]), &q), 0);
				assert_int_equal(policy_set_query(y->set, &s, &d, TCP(rports[p]), &w), 0);
				for (int side = 0; side < 2; side++)
					if (q.side[side].j.v.action != w.side[side].j.v.action ||
					    q.side[side].j.v.tier != w.side[side].j.v.tier)
						fail_msg("seed %llu: %s to %s port %u side %d: %d by tier %d, pod by pod %d by %d",
							 (unsigned long long)seed, a->name, b->name, rports[p], side,
							 q.side[side].j.v.action, q.side[side].j.v.tier,
							 w.side[side].j.v.action, w.side[side].j.v.tier);
				points++;
			}
	/* And the entries say of a service what its backends say. */
	for (size_t i = 0; i < x->st.nworkloads; i++)
		for (size_t k = 0; k < tab.n; k++) {
			const struct workload *a = &x->st.workloads[i];
			struct policy_end s = { .ns = a->ns, .name = a->name }, d = {};
			enum cw_action worst = CW_ACT_NONE;
			struct policy_answer q;
			struct policy_wl wl;

			memcpy(d.addr.b, tab.e[k].k.addr, 16);
			assert_int_equal(policy_set_query(x->set, &s, &d, TCP(tab.e[k].k.port), &q), 0);
			assert_int_equal(policy_set_wl(x->set, a->ns, a->name, &wl), 0);
			if (q.builtin)
				continue;
			for (uint32_t b = 0; b < tab.e[k].v.n; b++) {
				const struct cw_backend *at = &tab.slot[tab.e[k].v.first + b];
				struct cw_verdict v;
				uint64_t word;

				assert_int_equal(shadow_eval(x->sh, wl.group, CW_EGRESS, at->eid, at->realm, TCP(at->port),
							     &word, &v), 0);
				if (at->wl && at->wl == wl.wl && v.tier != CW_TIER_ADMIN)
					continue;
				if (v.action > worst)
					worst = v.action;
			}
			assert_int_equal(q.side[CW_EGRESS].j.v.action, worst);
			points++;
		}
	return points;
}

static void test_random(void **state)
{
	uint64_t seed = 1, points = 0, failed = 0;

	(void)state;
	for (; seed <= 60; seed++) {
		struct rng g = { seed };
		struct fix x;

		fix_new(&x);
		for (uint32_t i = 0; i < RPODS; i++)
			random_pod(&x, &g, i);
		for (uint32_t i = 0; i < RSVCS; i++)
			random_service(&x, &g, i);
		for (uint32_t i = 0; i < RRULES; i++)
			random_rule(&x, &g, i);
		for (uint32_t step = 0; step < 8; step++) {
			uint32_t id = 1;
			struct fix y;
			typeof(tab) kept;

			/* Now and then a write fails on the way; the next commit makes up for it. */
			if (!rng_below(&g, 3)) {
				x.sh->fail_after = x.sh->writes + 1 + rng_below(&g, 40);
				tab.fail = rng_below(&g, 2);
				failed += try_put(&x, NULL) != 0;
				x.sh->fail_after = tab.fail = 0;
				if (rng_below(&g, 2))
					collect(&x);
			}
			put(&x);
			if (rng_below(&g, 2))
				collect(&x);
			kept = tab;
			fix_new(&y);
			policy_state_done(&y.st);
			assert_int_equal(policy_state_copy(&x.st, &y.st), 0);
			while (y.st.nrules)
				rule_done(&y.st.rules[--y.st.nrules]);
			for (size_t i = 0; i < x.st.nrules; i++)
				spell_out(&y, &x.st, &x.st.rules[i], &id);
			put(&y);
			tab = kept;
			points += same_verdicts(&x, &y, seed);
			kept = tab;
			fix_done(&y);
			tab = kept;
			random_change(&x, &g);
		}
		put(&x);
		collect(&x);
		fix_done(&x);
	}
	print_message("%llu points, 0 differences, %llu commits failed on the way\n", (unsigned long long)points,
		      (unsigned long long)failed);
	assert_true(failed > 10);
}

int main(void)
{
	const struct CMUnitTest tests[] = { cmocka_unit_test(test_random) };

	return cmocka_run_group_tests(tests, NULL, NULL);
}
