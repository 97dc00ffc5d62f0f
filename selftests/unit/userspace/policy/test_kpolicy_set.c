/* SPDX-License-Identifier: Apache-2.0 */
/*
 * test_kpolicy_set.c - Kubernetes policies in the compiled set: random objects in random clusters
 * against the naive walk, fresh and after changes; what a change of one of many touches.
 *
 * CW_POLICY_WORLDS: clusters per run (default 40).
 */
#include <errno.h>
#include <netinet/in.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include <cmocka.h>

#include "base/buf.h"
#include "base/cleanup.h"
#include "base/json.h"
#include "base/vec.h"
#include "policy/compile.h"
#include "policy/kpolicy.h"
#include "selftests/harness/policy/naive.h"
#include "selftests/harness/policy/world.h"

static const struct policy_limits limits = { .groups = SHADOW_GROUPS, .wls = 512, .verdicts = 16384, .rowtab = 262144,
					     .rows = 262144, .peers = 200000, .addrs = 1000, .nets = 1000,
					     .all_local = true };

/* ---- random objects -------------------------------------------------------------------------- */

#define PICK(g, a) ((a)[rng_below((g), sizeof(a) / sizeof((a)[0]))])

static void put_labels(struct buf *b, struct rng *g, bool ns)
{
	static const char *const of_pods[] = {
		"", "\"matchLabels\":{\"app\":\"web\"}", "\"matchLabels\":{\"app\":\"db\",\"tier\":\"back\"}",
		"\"matchExpressions\":[{\"key\":\"app\",\"operator\":\"NotIn\",\"values\":[\"web\",\"dns\"]}]",
		"\"matchExpressions\":[{\"key\":\"tier\",\"operator\":\"Exists\"}]",
		"\"matchLabels\":{\"tier\":\"front\"},\"matchExpressions\":[{\"key\":\"app\",\"operator\":\"In\",\"values\":[\"db\",\"web\"]}]",
		"\"matchExpressions\":[{\"key\":\"tier\",\"operator\":\"DoesNotExist\"}]",
	};
	static const char *const of_ns[] = {
		"", "\"matchLabels\":{\"env\":\"prod\"}", "\"matchLabels\":{\"kubernetes.io/metadata.name\":\"b\"}",
		"\"matchExpressions\":[{\"key\":\"env\",\"operator\":\"NotIn\",\"values\":[\"dev\"]}]",
		"\"matchExpressions\":[{\"key\":\"env\",\"operator\":\"Exists\"}]",
	};

	buf_printf(b, "{%s}", ns ? PICK(g, of_ns) : PICK(g, of_pods));
}

static const char *const blocks[] = { "10.0.0.0/8", "10.0.0.0/28", "10.0.0.7/29", "0.0.0.0/0", "fd00::/124",
				      "::/0", "192.0.2.0/27", "10.0.0.3/32" };

static void put_np_peer(struct buf *b, struct rng *g)
{
	switch (rng_below(g, 4)) {
	case 0:
		buf_adds(b, "{\"podSelector\":");
		put_labels(b, g, false);
		break;
	case 1:
		buf_adds(b, "{\"namespaceSelector\":");
		put_labels(b, g, true);
		break;
	case 2:
		buf_adds(b, "{\"namespaceSelector\":");
		put_labels(b, g, true);
		buf_adds(b, ",\"podSelector\":");
		put_labels(b, g, false);
		break;
	default:
		if (rng_below(g, 3))
			buf_printf(b, "{\"ipBlock\":{\"cidr\":\"%s\"}", PICK(g, blocks));
		else
			buf_adds(b, "{\"ipBlock\":{\"cidr\":\"10.0.0.0/8\",\"except\":[\"10.0.0.0/29\",\"10.0.0.16/28\"]}");
	}
	buf_adds(b, "}");
}

static const char *const np_ports[] = {
	"{}", "{\"port\":80}", "{\"protocol\":\"UDP\",\"port\":53}", "{\"port\":8000,\"endPort\":9000}",
	"{\"port\":\"http\"}", "{\"protocol\":\"UDP\",\"port\":\"dns\"}", "{\"protocol\":\"SCTP\"}", "{\"port\":\"admin\"}",
};

static void put_rules(struct buf *b, struct rng *g, const char *field, const char *peers,
		      void (*rule)(struct buf *b, struct rng *g, const char *peers))
{
	buf_printf(b, ",\"%s\":[", field);
	for (uint32_t n = rng_below(g, 4), i = 0; i < n; i++) {
		buf_adds(b, i ? "," : "");
		rule(b, g, peers);
	}
	buf_adds(b, "]");
}

static void put_np_rule(struct buf *b, struct rng *g, const char *peers)
{
	buf_printf(b, "{\"%s\":[", peers);
	for (uint32_t n = rng_below(g, 3), i = 0; i < n; i++) {
		buf_adds(b, i ? "," : "");
		put_np_peer(b, g);
	}
	buf_adds(b, "],\"ports\":[");
	for (uint32_t n = rng_below(g, 3), i = 0; i < n; i++)
		buf_printf(b, "%s%s", i ? "," : "", PICK(g, np_ports));
	buf_adds(b, "]}");
}

static void put_np(struct buf *b, struct rng *g)
{
	static const char *const types[] = { "[]", "[\"Ingress\"]", "[\"Egress\"]", "[\"Ingress\",\"Egress\"]" };

	buf_adds(b, "{\"podSelector\":");
	put_labels(b, g, false);
	buf_printf(b, ",\"policyTypes\":%s", PICK(g, types));
	put_rules(b, g, "ingress", "from", put_np_rule);
	put_rules(b, g, "egress", "to", put_np_rule);
	buf_adds(b, "}");
}

static void put_admin_workloads(struct buf *b, struct rng *g)
{
	if (rng_below(g, 2)) {
		buf_adds(b, "{\"namespaces\":");
		put_labels(b, g, true);
	} else {
		buf_adds(b, "{\"pods\":{\"namespaceSelector\":");
		put_labels(b, g, true);
		buf_adds(b, ",\"podSelector\":");
		put_labels(b, g, false);
		buf_adds(b, "}");
	}
	buf_adds(b, "}");
}

/* The words that differ between the two versions. */
struct dialect { const char *allow, *ports; const char *const *port; size_t nports; bool pass; };
static const char *const anp_ports[] = {
	"{\"portNumber\":{\"port\":80}}", "{\"portNumber\":{\"protocol\":\"UDP\",\"port\":53}}",
	"{\"portRange\":{\"start\":8000,\"end\":9000}}", "{\"namedPort\":\"http\"}", "{\"namedPort\":\"dns\"}",
};
static const char *const cnp_ports[] = {
	"{\"tcp\":{\"destinationPort\":{\"number\":80}}}", "{\"udp\":{\"destinationPort\":{\"number\":53}}}",
	"{\"tcp\":{\"destinationPort\":{\"range\":{\"start\":8000,\"end\":9000}}}}",
	"{\"destinationNamedPort\":\"http\"}", "{\"destinationNamedPort\":\"admin\"}",
};
#define NUMERIC_PORTS 3u
static const struct dialect dialects[] = {
	[KPOLICY_ANP] = { "Allow", "ports", anp_ports, ARRAY_SIZE(anp_ports), true },
	[KPOLICY_BANP] = { "Allow", "ports", anp_ports, ARRAY_SIZE(anp_ports), false },
	[KPOLICY_CNP] = { "Accept", "protocols", cnp_ports, ARRAY_SIZE(cnp_ports), true },
};
static const struct dialect *speaks; /* of the object being written */

static void put_admin_rule(struct buf *b, struct rng *g, const char *peers)
{
	const char *actions[] = { speaks->allow, "Deny", speaks->pass ? "Pass" : "Deny" };
	bool out = strcmp(peers, "to") == 0, addresses = false;
	uint32_t n;

	buf_printf(b, "{\"action\":\"%s\",\"%s\":[", PICK(g, actions), peers);
	n = 1 + rng_below(g, 2);
	for (uint32_t i = 0; i < n; i++) {
		buf_adds(b, i ? "," : "");
		switch (rng_below(g, out ? 6 : 4)) {
		case 4:
			buf_printf(b, "{\"networks\":[\"%s\"]}", PICK(g, blocks));
			addresses = true;
			break;
		case 5:
			buf_printf(b, "{\"nodes\":{%s}}", rng_below(g, 2) ? "" : "\"matchLabels\":{\"zone\":\"z1\"}");
			addresses = true;
			break;
		case 3:
			if (!rng_below(g, 6)) {
				buf_adds(b, "{\"serviceAccounts\":{}}");
				break;
			}
			/* fall through */
		default:
			put_admin_workloads(b, g);
		}
	}
	buf_adds(b, "]");
	n = rng_below(g, 3);
	if (n)
		buf_printf(b, ",\"%s\":[", speaks->ports);
	for (uint32_t i = 0; i < n; i++)
		buf_printf(b, "%s%s", i ? "," : "",
			   speaks->port[rng_below(g, addresses ? NUMERIC_PORTS : (uint32_t)speaks->nports)]);
	buf_adds(b, n ? "]}" : "}");
}

static void put_admin(struct buf *b, struct rng *g, enum kpolicy_kind kind, uint32_t priority)
{
	speaks = &dialects[kind];
	buf_adds(b, "{\"subject\":");
	put_admin_workloads(b, g);
	if (kind != KPOLICY_BANP)
		buf_printf(b, ",\"priority\":%u", priority);
	if (kind == KPOLICY_CNP)
		buf_printf(b, ",\"tier\":\"%s\"", rng_below(g, 2) ? "Admin" : "Baseline");
	put_rules(b, g, "ingress", "from", put_admin_rule);
	put_rules(b, g, "egress", "to", put_admin_rule);
	buf_adds(b, "}");
}

static void random_policy(struct rng *g, uint32_t id, struct kpolicy *ret)
{
	static const char *const namespaces[] = { "a", "b", "c" };
	static const enum kpolicy_kind mix[] = { KPOLICY_NP, KPOLICY_NP, KPOLICY_NP, KPOLICY_ANP, KPOLICY_CNP, KPOLICY_CNP };
	/* There is one baseline policy at most, which is the first. */
	enum kpolicy_kind kind = id % 100 == 1 ? KPOLICY_BANP : PICK(g, mix);
	struct fail_list f = {};
	struct buf b;
	cJSON *j;

	buf_init(&b, 1 << 20);
	buf_printf(&b, "{\"apiVersion\":\"%s\",\"kind\":\"%s\",\"metadata\":{\"name\":\"", kpolicy_api_str(kind),
		   kpolicy_kind_str(kind));
	if (kind == KPOLICY_BANP)
		buf_adds(&b, "default\"},\"spec\":");
	else
		buf_printf(&b, "p%u\",\"namespace\":\"%s\"},\"spec\":", id, PICK(g, namespaces));
	if (kind == KPOLICY_NP)
		put_np(&b, g);
	else
		put_admin(&b, g, kind, id % 1000);
	buf_adds(&b, "}");
	j = cJSON_Parse(b.data);
	assert_non_null(j);
	if (kpolicy_parse(j, "body", &f, ret) < 0)
		fail_msg("%s: %s at %s", b.data, f.items[0].message, f.items[0].at);
	ret->id = 5000 + id;
	cJSON_Delete(j);
	buf_done(&b);
}

/* ---- against the naive walk ------------------------------------------------------------------- */

struct bench {
	struct world w;
	struct policy_set *set;
	struct shadow *sh;
	uint64_t points, seed;
	uint32_t next_id, step;
	struct ir_rules irs;	/* the world's and the policies': what the naive walk gets */
};

static void add_policy(struct bench *b)
{
	struct policy_state *st = &b->w.st;
	void *p = realloc(st->kpolicies, (st->nkpolicies + 1) * sizeof(*st->kpolicies));

	assert_non_null(p);
	st->kpolicies = p;
	random_policy(&b->w.rng, b->next_id++, &st->kpolicies[st->nkpolicies]);
	st->nkpolicies++;
}

/* Replaces one by another of the same name, or takes one away. */
static void change_policy(struct bench *b)
{
	struct policy_state *st = &b->w.st;
	uint32_t i, id;

	if (!st->nkpolicies || !rng_below(&b->w.rng, 3)) {
		add_policy(b);
		return;
	}
	i = rng_below(&b->w.rng, (uint32_t)st->nkpolicies);
	id = st->kpolicies[i].id - 5000;
	kpolicy_done(&st->kpolicies[i]);
	if (rng_below(&b->w.rng, 2))
		random_policy(&b->w.rng, id, &st->kpolicies[i]);
	else
		st->kpolicies[i] = st->kpolicies[--st->nkpolicies];
}

static void put(struct bench *b)
{
	struct fail_list f = {};
	struct policy_plan *plan = NULL;
	int r;

	/* What was applied once is named by its object, not by what it was read into. */
	b->irs.n = 0;
	for (size_t i = 0; i < b->w.nmore; i++)
		assert_int_equal(vec_push(&b->irs, b->w.more[i]), 0);
	for (size_t i = 0; i < b->w.st.nkpolicies; i++)
		assert_int_equal(kpolicy_ir(&b->w.st.kpolicies[i], &b->irs), 0);
	r = policy_set_prepare_ir(b->set, &b->w.st, b->w.more, b->w.nmore, &f, &plan);
	if (r)
		fail_msg("seed %llu: prepare %d: %s", (unsigned long long)b->seed, r, f.n ? f.items[0].message : "");
	assert_int_equal(policy_set_commit(b->set, plan, &b->sh->sink), 0);
	(void)policy_set_gc(b->set, &b->sh->sink, policy_set_seq(b->set));
}

static void check_point(struct bench *b, const struct workload *x, const struct addr *own, uint32_t group,
			const struct addr *peer, enum cw_side side, uint32_t axis)
{
	struct policy_judgement j;
	struct naive_verdict want;
	struct cw_addr who;

	naive_judge(&b->w.st, b->irs.v, b->irs.n, x, own, peer, side, axis, &want);
	assert_int_equal(policy_set_addr(b->set, 0, peer, &who), 0);
	assert_int_equal(policy_set_judge(b->set, group, side, who.eid, (enum cw_realm)who.realm, axis, &j), 0);
	if (want.v.action != j.v.action || want.v.tier != j.v.tier || want.v.rule != j.v.rule ||
	    want.v.adv_action != j.v.adv_action || want.v.flags != j.v.flags) {
		char p[ADDR_STR_MAX], a[40];

		fail_msg("seed %llu step %u: %s/%s peer %s side %d %s: want action %u tier %u rule %u, got %u %u %u",
			 (unsigned long long)b->seed, b->step, x->ns, x->name, addr_str(peer, p), side,
			 axis_str(axis, a), want.v.action, want.v.tier, want.v.rule, j.v.action, j.v.tier, j.v.rule);
	}
	b->points++;
}

static const uint16_t numbers[] = { 22, 53, 54, 79, 80, 81, 443, 7999, 8000, 8080, 9000, 9001 };
static const uint8_t protos[] = { IPPROTO_TCP, IPPROTO_TCP, IPPROTO_UDP, IPPROTO_SCTP, 47 };

static void check_all(struct bench *b, uint32_t npeers, uint32_t naxis)
{
	struct rng *g = &b->w.rng;
	size_t naddrs;
	struct addr *addrs = world_addrs(&b->w, &naddrs);

	for (size_t i = 0; i < b->w.st.nworkloads; i++) {
		const struct workload *x = &b->w.st.workloads[i];
		const struct addr *own = x->naddrs ? &x->addrs[0] : NULL;
		struct policy_wl wl;
		struct cw_addr me;

		assert_int_equal(policy_set_wl(b->set, x->ns, x->name, &wl), 0);
		if (own)
			assert_int_equal(policy_set_addr(b->set, 0, own, &me), 0);
		for (uint32_t p = 0; p < npeers; p++)
			for (uint32_t k = 0; k < naxis; k++) {
				const struct addr *peer = &addrs[rng_below(g, (uint32_t)naddrs)];
				uint32_t axis = CW_AXIS(PICK(g, protos), PICK(g, numbers));

				check_point(b, x, own, own ? me.group : wl.group, peer, CW_EGRESS, axis);
				check_point(b, x, own, own ? me.group : wl.group, peer, CW_INGRESS, axis);
			}
	}
	free(addrs);
}

static void run_world(uint64_t seed, uint64_t *points)
{
	struct bench b = { .seed = seed, .next_id = 1 };
	struct policy_stats a, z;

	world_new(&b.w, seed);
	if (seed % 2) { /* policies alone */
		for (size_t i = 0; i < b.w.st.nrules; i++)
			rule_done(&b.w.st.rules[i]);
		b.w.st.nrules = 0;
	}
	for (uint32_t n = 1 + rng_below(&b.w.rng, 10); n; n--)
		add_policy(&b);
	assert_int_equal(policy_set_new(&limits, &b.set), 0);
	b.sh = shadow_new(policy_set_limits(b.set));
	assert_non_null(b.sh);
	put(&b);
	check_all(&b, 30, 6);
	for (b.step = 1; b.step <= 6; b.step++) {
		change_policy(&b);
		if (rng_below(&b.w.rng, 2) && seed % 2 == 0)
			world_mutate(&b.w);
		put(&b);
		check_all(&b, 10, 5);
	}
	policy_set_stats(b.set, &a);
	policy_set_free(b.set);
	shadow_free(b.sh);
	assert_int_equal(policy_set_new(&limits, &b.set), 0);
	b.sh = shadow_new(policy_set_limits(b.set));
	put(&b);
	policy_set_stats(b.set, &z);
	assert_int_equal(a.rules, z.rules);
	assert_int_equal(a.selectors, z.selectors);
	*points += b.points;
	policy_set_free(b.set);
	shadow_free(b.sh);
	vec_done(&b.irs);
	world_done(&b.w);
}

static void random_worlds(void **state)
{
	const char *s = getenv("CW_POLICY_WORLDS");
	uint32_t n = s ? (uint32_t)strtoul(s, NULL, 10) : 40;
	uint64_t points = 0;

	(void)state;
	for (uint32_t i = 0; i < n; i++)
		run_world(7000 + i, &points);
	print_message("%llu points, 0 differences\n", (unsigned long long)points);
}

/* ---- one of many ------------------------------------------------------------------------------ */

#define MANY 2000u
#define NAMESPACES 50u

static char *format(const char *fmt, uint32_t n)
{
	char text[64];
	char *s;

	snprintf(text, sizeof(text), fmt, n);
	s = strdup(text);
	assert_non_null(s);
	return s;
}

static void many_policy(uint32_t i, uint32_t port, struct kpolicy *ret)
{
	char text[600];
	cJSON *j;

	snprintf(text, sizeof(text),
		 "{\"apiVersion\":\"networking.k8s.io/v1\",\"kind\":\"NetworkPolicy\",\"metadata\":{\"name\":\"p%u\","
		 "\"namespace\":\"n%u\"},\"spec\":{\"podSelector\":{\"matchLabels\":{\"app\":\"w%u\"}},\"ingress\":[{\"from\":"
		 "[{\"namespaceSelector\":{\"matchLabels\":{\"kubernetes.io/metadata.name\":\"n%u\"}}}],\"ports\":"
		 "[{\"port\":%u}]}]}}", i, i % NAMESPACES, i % 40, (i + 1) % NAMESPACES, port);
	j = cJSON_Parse(text);
	assert_non_null(j);
	assert_int_equal(kpolicy_parse(j, "body", NULL, ret), 0);
	ret->id = 1 + i;
	cJSON_Delete(j);
}

static double now_ms(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (double)t.tv_sec * 1e3 + (double)t.tv_nsec / 1e6;
}

static void one_of_many(void **state)
{
	static const struct policy_limits big = { .groups = 4096, .wls = 4096, .verdicts = 65536, .rowtab = 1u << 20,
						  .rows = 1u << 20, .peers = 400000, .addrs = 4096, .nets = 1000,
						  .all_local = true };
	struct policy_state st = { .default_mode = CW_MODE_ENFORCE, .default_action = CW_ACT_ALLOW };
	struct policy_plan_info info;
	struct policy_plan *plan = NULL;
	struct policy_set *set = NULL;
	struct shadow *sh;
	double t0, full, same, one;

	(void)state;
	st.workloads = calloc(1000, sizeof(*st.workloads));
	st.namespaces = calloc(NAMESPACES, sizeof(*st.namespaces));
	st.kpolicies = calloc(MANY, sizeof(*st.kpolicies));
	assert_true(st.workloads && st.namespaces && st.kpolicies);
	for (uint32_t i = 0; i < NAMESPACES; i++)
		st.namespaces[st.nnamespaces++].name = format("n%u", i);
	for (uint32_t i = 0; i < 400; i++) {
		struct workload *w = &st.workloads[st.nworkloads++];

		w->ns = format("n%u", i % NAMESPACES);
		w->name = format("w-%u", i);
		w->uid = format("u%u", i);
		w->addrs = calloc(1, sizeof(*w->addrs));
		assert_int_equal(addr_parse("10.0.0.0", &w->addrs[0]), 0);
		w->addrs[0].b[14] = (uint8_t)(i >> 8);
		w->addrs[0].b[15] = (uint8_t)i;
		w->naddrs = 1;
		assert_int_equal(labels_set(&w->labels, "app", i % 40 < 20 ? "w1" : "w2"), 0);
	}
	for (uint32_t i = 0; i < MANY; i++)
		many_policy(i, 80, &st.kpolicies[st.nkpolicies++]);
	assert_int_equal(policy_set_new(&big, &set), 0);
	sh = shadow_new(policy_set_limits(set));
	assert_non_null(sh);
	t0 = now_ms();
	assert_int_equal(policy_set_prepare(set, &st, NULL, &plan), 0);
	full = now_ms() - t0;
	policy_plan_info(plan, &info);
	assert_true(info.words > 2);
	assert_int_equal(policy_set_commit(set, plan, &sh->sink), 0);
	t0 = now_ms();
	assert_int_equal(policy_set_prepare(set, &st, NULL, &plan), 0);
	same = now_ms() - t0;
	policy_plan_info(plan, &info);
	assert_int_equal(info.words, 0);
	policy_plan_free(plan);
	/* Number 1 is about w1 of n1: only the ingress of that changes. */
	kpolicy_done(&st.kpolicies[1]);
	many_policy(1, 81, &st.kpolicies[1]);
	t0 = now_ms();
	assert_int_equal(policy_set_prepare(set, &st, NULL, &plan), 0);
	one = now_ms() - t0;
	policy_plan_info(plan, &info);
	assert_int_equal(info.words, 1);
	policy_plan_free(plan);
	print_message("%u policies: all %.2f ms, nothing changed %.2f ms, one changed %.2f ms\n", MANY, full, same, one);
	/* The same name twice is refused, and the set goes on. */
	free(st.kpolicies[3].name);
	st.kpolicies[3].name = format("p%u", 53);
	free(st.kpolicies[3].ns);
	st.kpolicies[3].ns = format("n%u", 3);
	{
		struct fail_list f = {};

		assert_int_equal(policy_set_prepare(set, &st, &f, &plan), -EINVAL);
		assert_string_equal(f.items[0].name, "policy.duplicate");
		assert_string_equal(f.items[0].at, "NetworkPolicy n3/p53");
		fail_list_done(&f);
	}
	kpolicy_done(&st.kpolicies[3]);
	many_policy(3, 80, &st.kpolicies[3]);
	assert_int_equal(policy_set_prepare(set, &st, NULL, &plan), 0);
	policy_plan_free(plan);
	policy_set_free(set);
	shadow_free(sh);
	policy_state_done(&st);
}

int main(void)
{
	const struct CMUnitTest tests[] = { cmocka_unit_test(random_worlds), cmocka_unit_test(one_of_many) };

	return cmocka_run_group_tests(tests, NULL, NULL);
}
