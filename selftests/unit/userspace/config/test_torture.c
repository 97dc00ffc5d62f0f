/* SPDX-License-Identifier: Apache-2.0 */
/*
 * test_torture.c - every allocation of the readers, printers and copies fails once: no crash, no
 * leak; -ENOMEM and the output as it was, or (the C library's sort does without) all of the output.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/json.h"
#include "config/config.h"
#include "policy/kpolicy.h"
#include "policy/rule_doc.h"
#include "policy/state.h"
#include "selftests/harness/torture.h"

#define STEPS_MAX 200000

static const char docs_text[] =
	"apiVersion: cellwall.io/v1alpha1\nkind: AccessRule\n"
	"metadata: {name: r, namespace: shop, labels: {team: a, cellwall.io/origin: learned, cellwall.io/access: x1}}\n"
	"spec:\n  action: allow\n"
	"  from: [{labels: {app: web}, matchExpressions: [{key: k, operator: In, values: [a, b]}]}]\n"
	"  to: [{cidr: 10.0.0.0/8, except: [10.1.0.0/16]}, {fqdn: a.example.com}, {controller: sts/db}, {service: db}]\n"
	"  ports: [tcp/80, tcp/http]\n---\n"
	"apiVersion: cellwall.io/v1alpha1\nkind: ModeProfile\nmetadata: {name: m}\n"
	"spec: {target: {namespace: shop, controller: Deployment/web}, mode: alert}\n---\n"
	"apiVersion: cellwall.io/v1alpha1\nkind: Quarantine\nmetadata: {name: q}\n"
	"spec: {target: {namespace: shop, pod: p, uid: u}, reason: scan, allow: [{cidr: 192.0.2.1/32, ports: [tcp/ssh]}]}\n---\n"
	"apiVersion: cellwall.io/v1alpha1\nkind: Inventory\nspec:\n"
	"  namespaces: [{name: shop, labels: {a: b}}]\n"
	"  workloads: [{name: w, namespace: shop, netns: n, labels: {cellwall.io/mode: alert}, controller: Deployment/web,\n"
	"               ports: [{name: http, port: tcp/80}], addresses: [10.20.1.9]}]\n---\n"
	"apiVersion: networking.k8s.io/v1\nkind: NetworkPolicy\nmetadata: {name: n, labels: {a: b}, annotations: {a: b}}\n"
	"spec:\n  podSelector: {matchLabels: {a: b}, matchExpressions: [{key: k, operator: In, values: [a, b]}]}\n"
	"  ingress: [{from: [{podSelector: {}}, {ipBlock: {cidr: 10.0.0.0/8, except: [10.1.0.0/16]}}], ports: [{port: web}, {port: 1}]}]\n"
	"---\napiVersion: v1\nkind: List\nitems:\n"
	"- apiVersion: policy.networking.k8s.io/v1alpha2\n  kind: ClusterNetworkPolicy\n  metadata: {name: c}\n"
	"  spec:\n    tier: Admin\n    priority: 1\n    subject: {pods: {namespaceSelector: {}, podSelector: {matchLabels: {a: b}}}}\n"
	"    ingress: [{name: n, action: Deny, from: [{serviceAccounts: {}}, {namespaces: {matchLabels: {a: b}}}]}]\n"
	"    egress: [{action: Accept, to: [{domainNames: [a.io]}, {networks: [10.0.0.0/8]}, {nodes: {}}],\n"
	"              protocols: [{udp: {destinationPort: {range: {start: 1, end: 2}}}}]},\n"
	"             {action: Pass, to: [{namespaces: {}}], protocols: [{destinationNamedPort: w}]}]\n";
static const char bad_text[] =
	"apiVersion: cellwall.io/v1alpha1\nkind: ClusterAccessRule\nmetadata: {name: R}\n"
	"spec: {form: [], action: blok, from: [{cidr: 10.0.0.1/8, any: true}], to: [], ports: [80, tcp/9-8]}\n"
	"---\napiVersion: policy.networking.k8s.io/v1alpha1\nkind: AdminNetworkPolicy\nmetadata: {name: A}\n"
	"spec: {priority: -1, subject: {}, egress: [{action: Deny, to: [{domainNames: [a.io]}], ports: [{namedPort: x}, {}]}]}\n"
	"---\napiVersion: networking.k8s.io/v1\nkind: NetworkPolicy\n"
	"spec: {ingress: [{ports: [{port: A}], from: [{}, {ipBlock: {cidr: x}}]}], podSelector: {matchLabels: {a b: c}}}\n";
static const char config_text[] =
	"cluster: c1\nclusterCIDRs: [10.0.0.0/8, \"fd00::/8\"]\nlearn: {ignoreLabels: [a, b], scan: {window: 1m}}\n"
	"api: {writeUIDs: [1, 2]}\npaths: {inventory: /x}\n";

static struct rule_docs docs; /* read once without failures */

static int parse_docs(void)
{
	struct rule_docs d = {};
	struct fail_list f = {};
	int r = rule_docs_parse("f", docs_text, strlen(docs_text), "next", &f, &d);

	if (r < 0)
		assert_true(!d.nrules && !d.nfiles);
	else
		assert_true(d.nrules == 1 && d.rules[0].nto == 4 && d.rules[0].labels.n == 1 && d.nmodes == 1 &&
			    d.nquarantines == 1 && d.nworkloads == 1 && d.nnamespaces == 1 && d.nkpolicies == 2 &&
			    d.kpolicies[1].nrules == 3);
	rule_docs_done(&d);
	fail_list_done(&f);
	return r;
}

static int parse_bad(void)
{
	struct rule_docs d = {};
	struct fail_list f = {};
	int r = rule_docs_parse("f", bad_text, strlen(bad_text), "next", &f, &d);

	assert_true(r < 0);
	assert_true(r == -ENOMEM || f.n + f.dropped >= 5);
	fail_list_done(&f);
	/* A fault that found no memory to be kept is still counted: also a good answer. */
	return r == -EINVAL ? 0 : r;
}

static int add_twice(void)
{
	static const char second[] = "apiVersion: cellwall.io/v1alpha1\nkind: ModeProfile\nmetadata: {name: n}\n"
				     "spec: {target: {cluster: true}, mode: learn}\n";
	struct rule_docs d = {};
	long left = torture_left;
	int r;

	torture_left = -1;
	assert_int_equal(rule_docs_parse("f", docs_text, strlen(docs_text), NULL, NULL, &d), 0);
	torture_left = left;
	r = rule_docs_parse("g", second, strlen(second), NULL, NULL, &d);
	left = torture_left;
	torture_left = -1;
	assert_int_equal(d.nmodes, r < 0 ? 1 : 2);
	assert_string_equal(d.rules[0].name, "r");
	rule_docs_done(&d);
	torture_left = left;
	return r;
}

static int print_docs(void)
{
	cJSON *j[4] = {
		rule_doc_to_json(&docs.rules[0]), mode_doc_to_json(&docs.modes[0]),
		quarantine_doc_to_json(&docs.quarantines[0]),
		inventory_doc_to_json(docs.workloads, docs.nworkloads, docs.namespaces, docs.nnamespaces),
	};
	static size_t whole[4];
	int r = 0;

	for (int i = 0; i < 4; i++) {
		char *s = j[i] ? yaml_print(j[i]) : NULL;

		if (!s)
			r = -ENOMEM;
		else if (!whole[i])
			whole[i] = strlen(s); /* the run without failures comes first */
		else
			assert_int_equal(strlen(s), whole[i]);
		free(s);
		cJSON_Delete(j[i]);
	}
	return r;
}

static int copy_state(void)
{
	struct policy_state s = {
		.rules = docs.rules, .nrules = docs.nrules, .modes = docs.modes, .nmodes = docs.nmodes,
		.quarantines = docs.quarantines, .nquarantines = docs.nquarantines,
		.workloads = &docs.workloads[0].w, .nworkloads = 1,
		.namespaces = docs.namespaces, .nnamespaces = docs.nnamespaces,
		.kpolicies = docs.kpolicies, .nkpolicies = docs.nkpolicies,
	}, c = {};
	int r = policy_state_copy(&s, &c);

	if (r < 0)
		assert_true(!c.rules && !c.nrules);
	else
		assert_true(c.nrules == 1 && c.rules[0].nports == 2 && c.nquarantines == 1 && c.quarantines[0].nallow == 1 &&
			    c.nworkloads == 1 && c.workloads[0].nports == 1 && c.nkpolicies == 2 &&
			    c.kpolicies[0].nrules == 1 && c.kpolicies[0].rules[0].npeers == 2);
	policy_state_done(&c);
	return r;
}

static int same_rules(void)
{
	int r = rule_same(&docs.rules[0], &docs.rules[0]);

	return r == 1 ? 0 : r;
}

static int parse_config(void)
{
	struct config c = {};
	int r = config_parse("f", config_text, strlen(config_text), NULL, &c);
	cJSON *j;

	if (r < 0) {
		assert_null(c.socket);
		return r;
	}
	j = config_show(&c, false);
	assert_true(!j || (size_t)cJSON_GetArraySize(j) == config_nkeys);
	assert_true(c.cluster_cidrs.n == 2 && c.write_uids.n == 2 && c.ignore_labels.n == 2);
	r = j ? config_set(&c, "clusterCIDRs", "[10.0.0.0/8]", "--set", NULL) : -ENOMEM;
	cJSON_Delete(j);
	config_done(&c);
	return r;
}

static int default_text(void)
{
	char *s = config_default_text(true), *t = config_reference_text(false);
	int r = s && t ? 0 : -ENOMEM;

	free(s);
	free(t);
	return r;
}

static int fails_to_json(void)
{
	struct fail_list f = {}, g = {};
	cJSON *j;
	int r = 0;

	fail_add(&f, 0, "a.b", "at", "expected", "next", "message %d", 1);
	fail_add(&f, 0, "a.c", NULL, NULL, NULL, "message");
	j = fail_list_to_json(&f);
	if (!j)
		r = -ENOMEM;
	else
		(void)fail_list_from_json(j, &g);
	cJSON_Delete(j);
	fail_list_done(&f);
	fail_list_done(&g);
	return r;
}

static void all_fail_once(void **state)
{
	static const struct { const char *name; int (*run)(void); } t[] = {
		{ "parse documents", parse_docs },
		{ "parse bad documents", parse_bad },
		{ "parse a second file", add_twice },
		{ "print documents", print_docs },
		{ "compare rules", same_rules },
		{ "copy a state", copy_state },
		{ "configuration", parse_config },
		{ "default file", default_text },
		{ "faults as JSON", fails_to_json },
	};

	(void)state;
	if (!TORTURE) {
		print_message("skip torture: the sanitizer brings its own allocator\n");
		skip();
	}
	assert_int_equal(rule_docs_parse("f", docs_text, strlen(docs_text), NULL, NULL, &docs), 0);
	for (size_t i = 0; i < sizeof(t) / sizeof(t[0]); i++) {
		long n, live;
		int r = -1;

		assert_int_equal(t[i].run(), 0); /* once for what libraries keep */
		for (n = 0; n < STEPS_MAX; n++) {
			live = torture_live;
			torture_hit = false;
			torture_left = n;
			r = t[i].run();
			torture_left = -1;
			if (torture_live != live)
				fail_msg("%s: allocation %ld failed: %ld blocks left", t[i].name, n, torture_live - live);
			if (!torture_hit)
				break;
			if (r != -ENOMEM && r != 0)
				fail_msg("%s: allocation %ld failed: answer %d", t[i].name, n, r);
		}
		print_message("  %s: %ld allocations\n", t[i].name, n);
		assert_int_equal(r, 0);
		assert_true(n > 5 && n < STEPS_MAX);
	}
	rule_docs_done(&docs);
}

int main(void)
{
	const struct CMUnitTest tests[] = { cmocka_unit_test(all_fail_once) };

	return cmocka_run_group_tests(tests, NULL, NULL);
}
