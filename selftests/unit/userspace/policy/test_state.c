/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/cleanup.h"
#include "policy/kpolicy.h"
#include "policy/state.h"

#define S(text) ((char *)(text)) /* borrowed for a table row, never freed */

#define NONE CW_ACT_NONE

static struct mode_setting at(enum mode_scope scope, const char *ns, const char *kind, const char *name, enum cw_mode mode,
			      enum cw_action dflt)
{
	struct mode_setting m = { .scope = scope, .ns = S(ns), .mode = mode, .dflt = dflt };

	if (scope == MODE_WORKLOAD)
		m.workload = S(name);
	else
		m.controller_kind = S(kind), m.controller_name = S(name);
	return m;
}

static void modes(void **state)
{
	struct mode_setting cluster = at(MODE_CLUSTER, NULL, NULL, NULL, CW_MODE_ALERT, CW_ACT_ALLOW);
	struct mode_setting ns = at(MODE_NAMESPACE, "shop", NULL, NULL, CW_MODE_ENFORCE, NONE);
	struct mode_setting ns2 = at(MODE_NAMESPACE, "shop", NULL, NULL, CW_MODE_LEARN, CW_ACT_BLOCK);
	struct mode_setting other = at(MODE_NAMESPACE, "data", NULL, NULL, CW_MODE_OFF, CW_ACT_ALLOW);
	struct mode_setting ctl = at(MODE_CONTROLLER, "shop", "Deployment", "web", CW_MODE_OFF, NONE);
	struct mode_setting ctl_short = at(MODE_CONTROLLER, "shop", "deploy", "web", CW_MODE_ALERT, NONE);
	struct mode_setting ctl_else = at(MODE_CONTROLLER, "shop", "StatefulSet", "web", CW_MODE_OFF, NONE);
	struct mode_setting wl = at(MODE_WORKLOAD, "shop", NULL, "web-1", CW_MODE_LEARN, CW_ACT_ALLOW);
	struct kv team = { S("team"), S("front") };
	struct mode_setting by_label = { .scope = MODE_NAMESPACE, .mode = CW_MODE_ALERT,
					 .ns_labels = { .set = true, .match = { &team, 1 } } };
	const struct {
		const char *name;
		struct mode_setting set[4];
		size_t n;
		const char *ns_label, *own_label;
		enum cw_mode mode;
		enum cw_action dflt;
		int from; /* scope, -1: cluster default */
	} t[] = {
		{ "nothing set", {}, 0, NULL, NULL, CW_MODE_LEARN, CW_ACT_BLOCK, -1 },
		{ "cluster", { cluster }, 1, NULL, NULL, CW_MODE_ALERT, CW_ACT_ALLOW, MODE_CLUSTER },
		{ "namespace over cluster, default inherited", { cluster, ns }, 2, NULL, NULL, CW_MODE_ENFORCE,
		  CW_ACT_ALLOW, MODE_NAMESPACE },
		{ "order does not matter", { ns, cluster }, 2, NULL, NULL, CW_MODE_ENFORCE, CW_ACT_ALLOW, MODE_NAMESPACE },
		{ "a tie: the stricter", { ns2, ns }, 2, NULL, NULL, CW_MODE_ENFORCE, CW_ACT_BLOCK, MODE_NAMESPACE },
		{ "another namespace", { other }, 1, NULL, NULL, CW_MODE_LEARN, CW_ACT_BLOCK, -1 },
		{ "controller over namespace, looser too", { ns, ctl }, 2, NULL, NULL, CW_MODE_OFF, CW_ACT_BLOCK, MODE_CONTROLLER },
		{ "controller by short kind", { ns, ctl_short }, 2, NULL, NULL, CW_MODE_ALERT, CW_ACT_BLOCK, MODE_CONTROLLER },
		{ "controller of another kind", { ns, ctl_else }, 2, NULL, NULL, CW_MODE_ENFORCE, CW_ACT_BLOCK, MODE_NAMESPACE },
		{ "workload over all", { ns, ctl, wl, cluster }, 4, NULL, NULL, CW_MODE_LEARN, CW_ACT_ALLOW, MODE_WORKLOAD },
		{ "namespace by its labels", { by_label }, 1, NULL, NULL, CW_MODE_ALERT, CW_ACT_BLOCK, MODE_NAMESPACE },
		{ "namespace label", { cluster }, 1, "enforce", NULL, CW_MODE_ENFORCE, CW_ACT_ALLOW, MODE_NAMESPACE },
		{ "namespace label ties with profile: the stricter", { ns }, 1, "learn", NULL, CW_MODE_ENFORCE, CW_ACT_BLOCK, MODE_NAMESPACE },
		{ "namespace label, bad word", { cluster }, 1, "ENFORCE", NULL, CW_MODE_ALERT, CW_ACT_ALLOW, MODE_CLUSTER },
		{ "own label tightens", { cluster }, 1, NULL, "enforce", CW_MODE_ENFORCE, CW_ACT_ALLOW, MODE_WORKLOAD },
		{ "own label never loosens", { ns }, 1, NULL, "off", CW_MODE_ENFORCE, CW_ACT_BLOCK, MODE_NAMESPACE },
		{ "own label, equal", { ns }, 1, NULL, "enforce", CW_MODE_ENFORCE, CW_ACT_BLOCK, MODE_NAMESPACE },
		{ "own label, bad word", { ns }, 1, NULL, "strict", CW_MODE_ENFORCE, CW_ACT_BLOCK, MODE_NAMESPACE },
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(t); i++) {
		struct namespace nss[] = { { .name = S("data") }, { .name = S("shop") } };
		struct workload w = { .ns = S("shop"), .name = S("web-1"), .controller_kind = S("Deployment"),
				      .controller_name = S("web"), .mode_label = (char *)t[i].own_label };
		struct policy_state s = { .modes = (struct mode_setting *)t[i].set, .nmodes = t[i].n,
					  .namespaces = nss, .nnamespaces = 2, .default_mode = CW_MODE_LEARN,
					  .default_action = CW_ACT_BLOCK };
		const struct mode_setting *from;
		enum cw_mode mode;
		enum cw_action dflt;

		print_message("  %s\n", t[i].name);
		assert_int_equal(labels_set(&nss[1].labels, "team", "front"), 0);
		if (t[i].ns_label)
			assert_int_equal(labels_set(&nss[1].labels, "cellwall.io/mode", t[i].ns_label), 0);
		policy_state_mode(&s, &w, &mode, &dflt, &from);
		assert_int_equal(mode, t[i].mode);
		assert_int_equal(dflt, t[i].dflt);
		assert_int_equal(from ? (int)from->scope : -1, t[i].from);
		policy_state_mode(&s, &w, NULL, NULL, NULL);
		labels_done(&nss[1].labels);
	}
}

static void quarantines(void **state)
{
	struct workload pod = { .ns = S("shop"), .name = S("rogue"), .uid = S("u1") };
	struct workload rep = { .ns = S("shop"), .name = S("web-1"), .uid = S("u2"), .controller_kind = S("Deployment"), .controller_name = S("web") };
	struct workload far = { .ns = S("data"), .name = S("rogue"), .uid = S("u1") };
	const struct { const char *name; struct quarantine q; bool pod, rep, far; } t[] = {
		{ "pod", { .ns = S("shop"), .pod = S("rogue") }, true, false, false },
		{ "pod with its uid", { .ns = S("shop"), .pod = S("rogue"), .uid = S("u1") }, true, false, false },
		{ "not its successor", { .ns = S("shop"), .pod = S("rogue"), .uid = S("u9") }, false, false, false },
		{ "controller", { .ns = S("shop"), .controller_kind = S("deploy"), .controller_name = S("web") }, false, true, false },
		{ "other controller", { .ns = S("shop"), .controller_kind = S("Deployment"), .controller_name = S("cart") }, false, false, false },
		{ "no target selects nobody", { .ns = S("shop") }, false, false, false },
		{ "other namespace", { .ns = S("data"), .pod = S("rogue") }, false, false, true },
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(t); i++) {
		struct policy_state s = { .quarantines = (struct quarantine *)&t[i].q, .nquarantines = 1 };

		print_message("  %s\n", t[i].name);
		assert_int_equal(policy_state_quarantine(&s, &pod) != NULL, t[i].pod);
		assert_int_equal(policy_state_quarantine(&s, &rep) != NULL, t[i].rep);
		assert_int_equal(policy_state_quarantine(&s, &far) != NULL, t[i].far);
	}
}

static void copies(void **state)
{
	struct policy_state s = { .generation = 9, .enforce_always = 4, .local_node = 2, .default_mode = CW_MODE_LEARN,
				  .default_action = CW_ACT_BLOCK }, c = {};

	(void)state;
	s.rules = calloc(2, sizeof(*s.rules));
	s.nrules = 2;
	s.rules[1].name = strdup("b");
	s.workloads = calloc(1, sizeof(*s.workloads));
	s.nworkloads = 1;
	s.workloads[0].name = strdup("web-1");
	s.namespaces = calloc(1, sizeof(*s.namespaces));
	s.nnamespaces = 1;
	s.nodes = calloc(1, sizeof(*s.nodes));
	s.nnodes = 1;
	s.nodes[0].name = strdup("n1");
	s.nodes[0].addrs = calloc(2, sizeof(struct addr));
	s.nodes[0].naddrs = 2;
	assert_int_equal(addr_parse("192.0.2.1", &s.nodes[0].addrs[1]), 0);
	s.cluster_cidrs = calloc(1, sizeof(struct prefix));
	s.ncluster_cidrs = 1;
	assert_int_equal(prefix_parse("10.20.0.0/16", &s.cluster_cidrs[0]), 0);
	s.ignore_labels = calloc(1, sizeof(char *));
	s.nignore_labels = 1;
	s.ignore_labels[0] = strdup("pod-template-hash");
	s.node = strdup("n1");
	s.kpolicies = calloc(1, sizeof(*s.kpolicies));
	s.nkpolicies = 1;
	s.kpolicies[0].name = strdup("np");
	s.kpolicies[0].rules = calloc(1, sizeof(*s.kpolicies[0].rules));
	s.kpolicies[0].nrules = 1;
	s.kpolicies[0].rules[0].ports = calloc(2, sizeof(struct port_spec));
	s.kpolicies[0].rules[0].nports = 2;
	s.kpolicies[0].rules[0].ports[1].name = strdup("web");
	assert_int_equal(policy_state_copy(&s, &c), 0);
	policy_state_done(&s);
	assert_int_equal(s.nrules, 0);
	assert_int_equal(c.generation, 9);
	assert_int_equal(c.local_node, 2);
	assert_null(c.rules[0].name);
	assert_string_equal(c.rules[1].name, "b");
	assert_string_equal(c.workloads[0].name, "web-1");
	assert_true(addr_is_v4(&c.nodes[0].addrs[1]));
	assert_int_equal(c.cluster_cidrs[0].plen, 16);
	assert_string_equal(c.ignore_labels[0], "pod-template-hash");
	assert_string_equal(c.node, "n1");
	assert_string_equal(c.kpolicies[0].name, "np");
	assert_string_equal(c.kpolicies[0].rules[0].ports[1].name, "web");
	policy_state_done(&c);
	policy_state_done(&c);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(modes), cmocka_unit_test(quarantines), cmocka_unit_test(copies),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
