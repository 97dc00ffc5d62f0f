/* SPDX-License-Identifier: Apache-2.0 */
/*
 * test_export.c - rules as objects of other languages: what is refused and why, what the objects
 * look like, and that NetworkPolicies and ClusterNetworkPolicies read back mean what the rules meant,
 * on random clusters.
 *
 * CW_EXPORT_WORLDS: clusters of each kind (default 120). CW_POLICY_SEED: seed of the first.
 */
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
#include <time.h>

#include "base/cleanup.h"
#include "base/json.h"
#include "policy/compile.h"
#include "policy/export.h"
#include "policy/kpolicy.h"
#include "policy/rule_doc.h"
#include "selftests/harness/policy/world.h"

/* ---- a small cluster, rules as text --------------------------------------------------------------- */

static const char inventory[] =
	"apiVersion: cellwall.io/v1alpha1\nkind: Inventory\nspec:\n"
	"  namespaces:\n  - {name: shop, labels: {team: front}}\n  - {name: data, labels: {team: back}}\n"
	"  workloads:\n"
	"  - {name: web-1, namespace: shop, netns: w1, labels: {app: web, pod-template-hash: x1}, controller: Deployment/web,"
	" serviceAccount: web, addresses: [10.20.0.1]}\n"
	"  - {name: web-2, namespace: shop, netns: w2, labels: {app: web, pod-template-hash: x2}, controller: Deployment/web,"
	" serviceAccount: web, addresses: [10.20.0.2]}\n"
	"  - {name: cart-1, namespace: shop, netns: c1, labels: {app: cart, tier: back}, controller: Deployment/cart,"
	" addresses: [10.20.0.3]}\n"
	"  - {name: stray, namespace: shop, netns: s1, labels: {tier: back}, addresses: [10.20.0.4]}\n"
	"  - {name: db-0, namespace: data, netns: d1, labels: {app: db}, controller: StatefulSet/db, addresses: [10.20.1.1],"
	" ports: [{name: pg, port: tcp/5432}, {name: dns, port: udp/53}]}\n"
	"  - {name: db-1, namespace: data, netns: d2, labels: {app: db, old: yes}, addresses: [10.20.1.2],"
	" ports: [{name: dns, port: tcp/53}]}\n";

#define HEAD "apiVersion: cellwall.io/v1alpha1\nkind: ClusterAccessRule\nmetadata: {name: r}\nspec:\n"
#define NS_HEAD "apiVersion: cellwall.io/v1alpha1\nkind: AccessRule\nmetadata: {name: r, namespace: shop}\nspec:\n"
#define WEB_DB "  action: allow\n  from: [{namespace: shop, labels: {app: web}}]\n  to: [{namespace: data, labels: {app: db}}]\n"

struct small { struct policy_state st; struct rule_docs docs; };

static void small_new(struct small *s, const char *rules)
{
	auto_cleanup(fail_list_done) struct fail_list f = {};
	struct policy_state *st = &s->st;

	*s = (struct small){ .st = { .default_mode = CW_MODE_ENFORCE, .default_action = CW_ACT_BLOCK } };
	assert_int_equal(rule_docs_parse("inv", inventory, strlen(inventory), NULL, &f, &s->docs), 0);
	if (rule_docs_parse("rules", rules, strlen(rules), NULL, &f, &s->docs))
		fail_msg("%s: %s\n%s", f.items[0].at, f.items[0].message, rules);
	st->namespaces = s->docs.namespaces;
	st->nnamespaces = s->docs.nnamespaces;
	st->workloads = calloc(s->docs.nworkloads, sizeof(*st->workloads));
	assert_non_null(st->workloads);
	for (size_t i = 0; i < s->docs.nworkloads; i++)
		st->workloads[st->nworkloads++] = s->docs.workloads[i].w;
}

static void small_done(struct small *s)
{
	free(s->st.workloads);
	rule_docs_done(&s->docs);
}

static void small_export(struct small *s, enum export_target t, struct export_result *ret)
{
	const struct rule *v[8];

	assert_true(s->docs.nrules <= 8);
	for (size_t i = 0; i < s->docs.nrules; i++)
		v[i] = &s->docs.rules[i];
	assert_int_equal(policy_export(&s->st, v, s->docs.nrules, NULL, 0, t, ret), 0);
}

/* What the target says no to, by a piece of the reason; NULL: it goes out. */
static void refusals(void **state)
{
	static const struct { const char *name, *text; const char *np, *cnp, *cilium; } t[] = {
		{ "labels", HEAD WEB_DB "  ports: [tcp/5432]\n", NULL, NULL, NULL },
		{ "block", HEAD "  action: block\n  from: [{namespace: shop}]\n  to: [{namespace: data}]\n", "can only allow", NULL,
		  NULL },
		{ "alert action", HEAD "  action: alert\n  from: [{namespace: shop}]\n  to: [{namespace: data}]\n", "action is alert",
		  "action is alert", "action is alert" },
		{ "alert mode", HEAD "  mode: alert\n" WEB_DB, "own mode", "own mode", "own mode" },
		{ "world", HEAD "  action: allow\n  from: [{namespace: shop}]\n  to: [{reserved: world}]\n", "`world`", "`world`", NULL },
		{ "unknown", HEAD "  action: allow\n  from: [{namespace: shop}]\n  to: [{reserved: unknown}]\n", "`unknown`",
		  "`unknown`", "`unknown`" },
		{ "name", HEAD "  action: allow\n  from: [{namespace: shop}]\n  to: [{fqdn: pay.example.com}]\n", "pay.example.com", NULL,
		  NULL },
		{ "icmp", HEAD WEB_DB "  ports: [icmp/echo-request]\n", "ICMP", "ICMP", NULL },
		{ "icmp code", HEAD WEB_DB "  ports: [icmp/3/4]\n", "ICMP", "ICMP", "ICMP code" },
		{ "protocol", HEAD WEB_DB "  ports: [proto/47]\n", "protocol 47", "protocol", "protocol 47" },
		{ "service", HEAD "  action: allow\n  from: [{namespace: shop}]\n  to: [{namespace: data, service: db}]\n", "service db",
		  "service db", "service db" },
		{ "controller, by its label", HEAD "  action: allow\n  from: [{namespace: shop, controller: Deployment/web}]\n"
		  "  to: [{namespace: data}]\n", NULL, NULL, NULL },
		{ "service account, by a label", HEAD "  action: allow\n  from: [{namespace: shop, serviceAccount: web}]\n"
		  "  to: [{namespace: data}]\n", NULL, NULL, NULL },
		{ "pod among its like", HEAD "  action: allow\n  from: [{namespace: shop, pod: web-1}]\n  to: [{namespace: data}]\n",
		  "no labels select exactly the workloads of pod web-1", "no labels select exactly", "no labels select exactly" },
		{ "controller without a label of its own", HEAD "  action: allow\n  from: [{namespace: data, controller: StatefulSet/db}]\n"
		  "  to: [{namespace: shop}]\n", "no labels select exactly the workloads of sts/db", "sts/db", "sts/db" },
		{ "controller that is gone", HEAD "  action: allow\n  from: [{namespace: shop, controller: Deployment/gone}]\n"
		  "  to: [{namespace: data}]\n", "there is no workload of deploy/gone", "there is no", "there is no" },
		{ "block of addresses outside as the source", HEAD "  action: allow\n  from: [{cidr: 198.51.100.0/24}]\n"
		  "  to: [{namespace: shop}]\n", NULL, "names pods only as sources", NULL },
		{ "block of addresses that holds pods", HEAD "  action: allow\n  from: [{cidr: 10.20.0.0/16}]\n"
		  "  to: [{namespace: shop}]\n", "holds pods", "holds pods", "holds pods" },
		{ "named port", HEAD WEB_DB "  ports: [tcp/pg]\n", NULL, NULL, NULL },
		{ "named port of two protocols", HEAD WEB_DB "  ports: [tcp/dns]\n", NULL, "has port dns with another protocol", NULL },
		{ "range", HEAD WEB_DB "  ports: [tcp/8000-8100, sctp/9]\n", NULL, NULL, NULL },
		{ "own namespace", NS_HEAD "  action: allow\n  from: [{labels: {app: web}}]\n  to: [{labels: {app: cart}}]\n", NULL,
		  NULL, NULL },
		{ "except", HEAD "  action: allow\n  from: [{namespace: shop}]\n  to: [{cidr: 203.0.113.0/24, except: [203.0.113.9/32]}]\n",
		  NULL, NULL, NULL },
	};
	(void)state;

	for (size_t i = 0; i < sizeof(t) / sizeof(t[0]); i++) {
		const char *const want[] = { t[i].np, t[i].cnp, t[i].cilium };
		struct small s;

		small_new(&s, t[i].text);
		for (int k = 0; k < 3; k++) {
			struct export_result r = {};
			const char *got = NULL;

			small_export(&s, (enum export_target)k, &r);
			for (size_t n = 0; n < r.nrefused; n++)
				if (strcmp(r.refused[n].name, "(default)"))
					got = r.refused[n].text;
			if (want[k] ? !got || !strstr(got, want[k]) : got != NULL)
				fail_msg("%s, target %d: want %s, got %s", t[i].name, k, want[k] ? want[k] : "no refusal", got ? got : "none");
			assert_int_equal(r.nrules, !want[k]);
			export_result_done(&r);
		}
		small_done(&s);
	}
}

static char *objects_of(const char *rules, enum export_target t)
{
	struct export_result r = {};
	struct small s;
	char *text;

	small_new(&s, rules);
	small_export(&s, t, &r);
	text = cJSON_PrintUnformatted(r.objects);
	export_result_done(&r);
	small_done(&s);
	assert_non_null(text);
	return text;
}

static void wants(const char *text, const char *piece)
{
	if (!strstr(text, piece))
		fail_msg("no %s\nin %s", piece, text);
}

/* A cluster rule speaks for both sides: two objects. */
static void shapes(void **state)
{
	auto_free char *np = objects_of(HEAD WEB_DB "  ports: [tcp/5432, udp/8000-8100, tcp/pg]\n", EXPORT_NETWORKPOLICY);
	auto_free char *cnp = objects_of(HEAD WEB_DB "  ports: [tcp/5432]\n", EXPORT_CLUSTERNETWORKPOLICY);
	auto_free char *net = objects_of(HEAD "  action: block\n  from: [{namespace: shop}]\n"
		"  to: [{cidr: 203.0.113.0/30, except: [203.0.113.1/32]}]\n", EXPORT_CLUSTERNETWORKPOLICY);
	auto_free char *cil = objects_of(HEAD "  action: block\n  from: [{namespaceLabels: {team: front}, labels: {app: web}}]\n"
		"  to: [{namespace: data, labels: {app: db}}, {cidr: 203.0.113.0/24, except: [203.0.113.9/32]}]\n"
		"  ports: [tcp/5432, icmp/echo-request]\n", EXPORT_CILIUM);
	auto_free char *names = objects_of(NS_HEAD "  action: allow\n  from: [{controller: Deployment/web}]\n"
		"  to: [{fqdn: pay.example.com}, {fqdn: '*.example.net'}]\n  ports: [tcp/443]\n", EXPORT_CILIUM);
	(void)state;

	wants(np, "{\"apiVersion\":\"networking.k8s.io/v1\",\"kind\":\"NetworkPolicy\",\"metadata\":{\"name\":\"r-egress\",\"namespace\":"
	      "\"shop\"},\"spec\":{\"podSelector\":{\"matchLabels\":{\"app\":\"web\"}},\"policyTypes\":[\"Egress\"],\"egress\":[{\"to\":[{"
	      "\"namespaceSelector\":{\"matchLabels\":{\"kubernetes.io/metadata.name\":\"data\"}},\"podSelector\":{\"matchLabels\":{"
	      "\"app\":\"db\"}}}],\"ports\":[{\"protocol\":\"TCP\",\"port\":5432},{\"protocol\":\"UDP\",\"port\":8000,\"endPort\":8100},{"
	      "\"protocol\":\"TCP\",\"port\":\"pg\"}]}]}}");
	wants(np, "\"name\":\"r-ingress\",\"namespace\":\"data\"");
	wants(np, "\"name\":\"cellwall-default\",\"namespace\":\"shop\"},\"spec\":{\"podSelector\":{},\"policyTypes\":[\"Ingress\",\"Egress\"]}");
	wants(cnp, "\"spec\":{\"tier\":\"Admin\",\"priority\":1000,\"subject\":{\"pods\":{\"namespaceSelector\":{\"matchLabels\":{"
	      "\"kubernetes.io/metadata.name\":\"shop\"}},\"podSelector\":{\"matchLabels\":{\"app\":\"web\"}}}},\"egress\":[{\"action\":"
	      "\"Accept\"");
	wants(cnp, "\"protocols\":[{\"tcp\":{\"destinationPort\":{\"number\":5432}}}]");
	wants(net, "\"networks\":[\"203.0.113.0/32\",\"203.0.113.2/31\"]");
	wants(net, "\"priority\":999");
	wants(cil, "\"kind\":\"CiliumClusterwideNetworkPolicy\"");
	wants(cil, "\"endpointSelector\":{\"matchLabels\":{\"k8s:app\":\"web\",\"k8s:io.cilium.k8s.namespace.labels.team\":\"front\"}}");
	wants(cil, "\"egressDeny\":[{\"toEndpoints\":[{\"matchLabels\":{\"k8s:io.kubernetes.pod.namespace\":\"data\",\"k8s:app\":\"db\"}}],"
	      "\"toPorts\":[{\"ports\":[{\"port\":\"5432\",\"protocol\":\"TCP\"}]}]}");
	wants(cil, "\"icmps\":[{\"fields\":[{\"family\":\"IPv4\",\"type\":8}]}]");
	wants(cil, "\"toCIDRSet\":[{\"cidr\":\"203.0.113.0/24\",\"except\":[\"203.0.113.9/32\"]}]");
	wants(names, "\"kind\":\"CiliumNetworkPolicy\",\"metadata\":{\"name\":\"r-egress\",\"namespace\":\"shop\"},\"spec\":{"
	      "\"endpointSelector\":{\"matchLabels\":{\"k8s:app\":\"web\"}},\"egress\":[{\"toFQDNs\":[{\"matchName\":\"pay.example.com\"},{"
	      "\"matchPattern\":\"*.example.net\"}],\"toPorts\":[{\"ports\":[{\"port\":\"443\",\"protocol\":\"TCP\"}]}]}]");
}

/* ---- random clusters -------------------------------------------------------------------------------- */

static const struct policy_limits limits = { .groups = SHADOW_GROUPS, .wls = 512, .verdicts = 16384, .rowtab = 262144,
					     .rows = 262144, .peers = 200000, .addrs = 1000, .nets = 1000,
					     .all_local = true };

/* Most random rules say something that no target knows: made sayable, mostly. */
static void tame_selector(struct world *w, struct selector *s, bool source, enum export_target t)
{
	bool odd = s->kind == SEL_SERVICE || s->kind == SEL_FQDN || s->kind == SEL_NODES || s->kind == SEL_RESERVED ||
		   (source && s->kind == SEL_CIDR && rng_below(&w->rng, 4)) ||
		   (source && s->kind == SEL_ANY && t == EXPORT_CLUSTERNETWORKPOLICY);

	if (odd) {
		selector_done(s);
		*s = (struct selector){ .kind = SEL_WORKLOAD };
		s->ns = strdup(w->st.workloads[rng_below(&w->rng, (uint32_t)w->st.nworkloads)].ns);
		s->labels.set = true;
	} else if (s->kind == SEL_WORKLOAD && rng_below(&w->rng, 4)) {
		char **const v[] = { &s->controller_kind, &s->controller_name, &s->service_account, &s->pod, &s->pod_uid };

		for (size_t i = 0; i < sizeof(v) / sizeof(v[0]); i++) {
			free(*v[i]);
			*v[i] = NULL;
		}
	}
}

static void tame(struct world *w, struct rule *r, enum export_target t)
{
	r->enabled = true;
	r->mode = CW_MODE_ENFORCE;
	if (r->action == CW_ACT_ALERT || t == EXPORT_NETWORKPOLICY)
		r->action = CW_ACT_ALLOW;
	r->reject = false;
	r->origin = rng_below(&w->rng, 2) ? ORIGIN_MANUAL : ORIGIN_LEARNED;
	for (size_t i = 0; i < r->nfrom; i++)
		tame_selector(w, &r->from[i], true, t);
	for (size_t i = 0; i < r->nto; i++)
		tame_selector(w, &r->to[i], false, t);
	for (size_t i = 0; i < r->nports; i++)
		if ((r->ports[i].kind == PORT_RANGE && !r->ports[i].from) || r->ports[i].kind == PORT_ICMP ||
		    (r->ports[i].kind != PORT_ANY && r->ports[i].proto != IPPROTO_TCP &&
		     r->ports[i].proto != IPPROTO_UDP && r->ports[i].proto != IPPROTO_SCTP))
			r->ports[i] = (struct port_spec){ .kind = PORT_RANGE, .proto = IPPROTO_TCP, .from = 80, .to = 81 };
}

/* Rules of the world that the target takes one by one, moved to the front; how many. */
static size_t keep_sayable(struct policy_state *st, enum export_target t)
{
	size_t n = 0;

	for (size_t i = 0; i < st->nrules; i++) {
		const struct rule *one = &st->rules[i];
		struct export_result r = {};
		struct rule moved;

		assert_int_equal(policy_export(st, &one, 1, NULL, 0, t, &r), 0);
		if (r.nrules) {
			moved = st->rules[n];
			st->rules[n] = st->rules[i];
			st->rules[i] = moved;
			n++;
		}
		export_result_done(&r);
	}
	return n;
}

static struct policy_plan *prepared(struct policy_set **set, const struct policy_state *st)
{
	auto_cleanup(fail_list_done) struct fail_list f = {};
	struct policy_plan *plan = NULL;

	assert_int_equal(policy_set_new(&limits, set), 0);
	if (policy_set_prepare(*set, st, &f, &plan))
		fail_msg("%s: %s", f.n ? f.items[0].at : "?", f.n ? f.items[0].message : "?");
	return plan;
}

struct sums { unsigned worlds, rules, objects, asked, blocked; };

static void compare(struct world *w, uint64_t seed, enum export_target t, struct policy_plan *was, struct policy_plan *is,
		    struct sums *sum)
{
	const struct policy_state *st = &w->st;
	size_t naddrs, naxes;
	auto_free struct addr *addrs = world_addrs(w, &naddrs);
	auto_free uint32_t *axes = world_axes(w, &naxes);

	for (int i = 0; i < 1500; i++) {
		const struct workload *x = &st->workloads[rng_below(&w->rng, (uint32_t)st->nworkloads)];
		struct policy_end pod = { .ns = x->ns, .name = x->name, .uid = x->uid };
		struct policy_end far = { .addr = addrs[rng_below(&w->rng, (uint32_t)naddrs)] };
		uint32_t axis = axes[rng_below(&w->rng, (uint32_t)naxes)];
		int side = (int)rng_below(&w->rng, 2);
		const struct policy_end *src = side == CW_EGRESS ? &pod : &far, *dst = side == CW_EGRESS ? &far : &pod;
		struct policy_answer a, b;
		char text[ADDR_STR_MAX], port[40];
		int e = policy_plan_query(was, src, dst, axis, &a);

		assert_int_equal(policy_plan_query(is, src, dst, axis, &b), e);
		/* What is not resolved yet is a matter of moments, and `any` of a rule does not speak of it. */
		if (e || !a.side[side].judged || a.side[side].peer_realm == CW_REALM_UNKNOWN || !(axis & 0xffff))
			continue;
		if (t == EXPORT_CLUSTERNETWORKPOLICY && side == CW_INGRESS && a.side[side].peer_realm != CW_REALM_POD &&
		    a.side[side].j.v.tier == CW_TIER_DEFAULT)
			continue; /* the one thing that was refused */
		sum->asked++;
		sum->blocked += a.side[side].j.v.action == CW_ACT_BLOCK;
		if ((a.side[side].j.v.action == CW_ACT_BLOCK) == (b.side[side].j.v.action == CW_ACT_BLOCK))
			continue;
		fail_msg("seed %llu target %d: %s/%s side %d, %s %s: rules say action %u tier %u rule %u, objects %u tier %u policy %u",
			 (unsigned long long)seed, (int)t, x->ns, x->name, side, addr_str(&far.addr, text), axis_str(axis, port),
			 a.side[side].j.v.action, a.side[side].j.v.tier, a.side[side].j.v.rule, b.side[side].j.v.action,
			 b.side[side].j.v.tier, b.side[side].j.v.rule);
	}
}

static void one_world(uint64_t seed, enum export_target t, struct sums *sum)
{
	struct policy_set *sets[2];
	struct policy_plan *plans[2];
	struct export_result r = {};
	struct policy_state st, objects;
	struct mode_setting modes[8];
	const struct rule *v[64];
	struct world w;
	size_t n, i = 0;
	cJSON *o;

	world_new(&w, seed);
	if (!w.st.nworkloads || !w.st.nrules) {
		world_done(&w);
		return;
	}
	w.st.default_mode = CW_MODE_ENFORCE;
	w.st.default_action = rng_below(&w.rng, 3) ? CW_ACT_BLOCK : CW_ACT_ALLOW;
	/* Borrowed: all but rules, modes and quarantines is the same on both sides. */
	st = w.st;
	st.nquarantines = st.nkpolicies = 0;
	st.modes = modes;
	st.nmodes = 0;
	for (size_t k = 0; k < st.nnamespaces && k < 8; k++)
		if (!rng_below(&w.rng, 3))
			modes[st.nmodes++] = (struct mode_setting){ .scope = MODE_NAMESPACE, .ns = st.namespaces[k].name,
				.mode = CW_MODE_ENFORCE, .dflt = rng_below(&w.rng, 2) ? CW_ACT_BLOCK : CW_ACT_ALLOW };
	for (size_t k = 0; k < st.nworkloads; k++) {
		free(st.workloads[k].mode_label);
		st.workloads[k].mode_label = NULL;
	}
	for (size_t k = 0; k < st.nrules; k++)
		tame(&w, &st.rules[k], t);
	n = keep_sayable(&st, t);
	n = n > 64 ? 64 : n;
	for (size_t k = 0; k < n; k++)
		v[k] = &st.rules[k];
	assert_int_equal(policy_export(&st, v, n, NULL, 0, t, &r), 0);
	assert_int_equal(r.nrules, n);
	objects = st;
	objects.nrules = objects.nmodes = 0;
	objects.default_action = CW_ACT_ALLOW; /* as in a cluster that knows no other default */
	objects.kpolicies = calloc((size_t)cJSON_GetArraySize(r.objects) + 1, sizeof(*objects.kpolicies));
	assert_non_null(objects.kpolicies);
	cJSON_ArrayForEach(o, r.objects) {
		auto_cleanup(fail_list_done) struct fail_list f = {};

		if (kpolicy_parse(o, "object", &f, &objects.kpolicies[i]))
			fail_msg("seed %llu: %s: %s", (unsigned long long)seed, f.items[0].at, f.items[0].message);
		objects.kpolicies[i].id = (uint32_t)i + 1;
		i++;
	}
	objects.nkpolicies = i;
	st.nrules = n;
	plans[0] = prepared(&sets[0], &st);
	plans[1] = prepared(&sets[1], &objects);
	compare(&w, seed, t, plans[0], plans[1], sum);
	sum->worlds++;
	sum->rules += (unsigned)n;
	sum->objects += (unsigned)i;
	for (int k = 0; k < 2; k++) {
		policy_plan_free(plans[k]);
		policy_set_free(sets[k]);
	}
	for (i = 0; i < objects.nkpolicies; i++)
		kpolicy_done(&objects.kpolicies[i]);
	free(objects.kpolicies);
	export_result_done(&r);
	world_done(&w);
}

static void same_verdicts(enum export_target t)
{
	const char *worlds = getenv("CW_EXPORT_WORLDS"), *first = getenv("CW_POLICY_SEED");
	uint64_t seed = first ? strtoull(first, NULL, 10) : (uint64_t)time(NULL) * 1000;
	unsigned n = worlds ? (unsigned)strtoul(worlds, NULL, 10) : 120;
	struct sums sum = {};

	printf("seed %llu\n", (unsigned long long)seed);
	for (unsigned i = 0; i < n; i++)
		one_world(seed + i, t, &sum);
	printf("%u clusters, %u rules, %u objects, %u verdicts compared, %u of them block\n", sum.worlds, sum.rules,
	       sum.objects, sum.asked, sum.blocked);
	assert_true(n < 20 || (sum.rules > n && sum.blocked > 100 && sum.asked > sum.blocked + 100));
}

static void same_verdicts_np(void **state)
{
	(void)state;
	same_verdicts(EXPORT_NETWORKPOLICY);
}

static void same_verdicts_cnp(void **state)
{
	(void)state;
	same_verdicts(EXPORT_CLUSTERNETWORKPOLICY);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(refusals), cmocka_unit_test(shapes), cmocka_unit_test(same_verdicts_np),
		cmocka_unit_test(same_verdicts_cnp),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
