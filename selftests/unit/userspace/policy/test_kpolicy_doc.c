/* SPDX-License-Identifier: Apache-2.0 */
/* test_kpolicy_doc.c - Kubernetes policies among documents: lists, positions, what is given twice. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/json.h"
#include "policy/kpolicy.h"
#include "policy/rule_doc.h"
#include "selftests/harness/doc_print.h"

static const char mixed[] =
	"apiVersion: cellwall.io/v1alpha1\n"
	"kind: ClusterAccessRule\n"
	"metadata: {name: r}\n"
	"spec: {action: allow, from: [{any: true}], to: [{any: true}]}\n"
	"---\n"
	"apiVersion: networking.k8s.io/v1\n"
	"kind: NetworkPolicy\n"
	"metadata: {name: api, namespace: shop}\n"
	"spec: {ingress: [{}]}\n"
	"---\n"
	"apiVersion: v1\n"
	"kind: List\n"
	"metadata: {resourceVersion: ''}\n"
	"items:\n"
	"- apiVersion: policy.networking.k8s.io/v1alpha2\n"
	"  kind: ClusterNetworkPolicy\n"
	"  metadata: {name: guard}\n"
	"  spec: {tier: Admin, priority: 1, subject: {namespaces: {}}}\n"
	"- apiVersion: cellwall.io/v1alpha1\n"
	"  kind: ModeProfile\n"
	"  metadata: {name: shop}\n"
	"  spec: {target: {namespace: shop}, mode: alert}\n"
	"---\n"
	"apiVersion: networking.k8s.io/v1\n"
	"kind: NetworkPolicyList\n"
	"items:\n"
	"- metadata: {name: one}\n"
	"- {apiVersion: networking.k8s.io/v1, kind: NetworkPolicy, metadata: {name: two}}\n"
	"---\n"
	"apiVersion: v1\n"
	"kind: List\n"
	"items: []\n";

static void good(void **state)
{
	static const struct { const char *ref; unsigned document, line; } want[] = {
		{ "NetworkPolicy shop/api", 2, 6 }, { "ClusterNetworkPolicy guard", 3, 15 },
		{ "NetworkPolicy default/one", 4, 27 }, { "NetworkPolicy default/two", 4, 28 },
	};
	struct rule_docs d = {}, e = {};
	struct fail_list f = {};
	char ref[600], *one, *two;

	(void)state;
	if (rule_docs_parse("mixed.yaml", mixed, strlen(mixed), NULL, &f, &d) < 0)
		fail_msg("%s: %s", f.items[0].at, f.items[0].message);
	assert_int_equal(d.nrules, 1);
	assert_int_equal(d.nmodes, 1);
	assert_int_equal(d.modes_at[0].line, 19);
	assert_int_equal(d.nkpolicies, 4);
	for (size_t i = 0; i < 4; i++) {
		assert_string_equal(kpolicy_ref(&d.kpolicies[i], ref), want[i].ref);
		assert_string_equal(d.kpolicies_at[i].file, "mixed.yaml");
		assert_int_equal(d.kpolicies_at[i].document, want[i].document);
		assert_int_equal(d.kpolicies_at[i].line, want[i].line);
	}
	/* What stood in a list is a whole object on its own. */
	assert_string_equal(d.kpolicies[2].json, "{\"metadata\":{\"name\":\"one\"},\"kind\":\"NetworkPolicy\","
						 "\"apiVersion\":\"networking.k8s.io/v1\"}");
	one = docs_print(&d);
	assert_int_equal(rule_docs_parse("again.yaml", one, strlen(one), NULL, &f, &e), 0);
	two = docs_print(&e);
	assert_string_equal(one, two);
	assert_int_equal(e.nkpolicies, 4);
	free(one);
	free(two);
	rule_docs_done(&e);
	/* The same again, in a second file, is a fault and changes nothing. */
	assert_int_equal(rule_docs_parse("b.yaml", mixed, strlen(mixed), NULL, &f, &d), -EINVAL);
	assert_int_equal(d.nkpolicies, 4);
	assert_int_equal(f.n, 6);
	assert_string_equal(f.items[1].message, "NetworkPolicy shop/api was given before, at mixed.yaml:6");
	assert_string_equal(f.items[1].at, "b.yaml:8, document 2, NetworkPolicy shop/api, metadata.name: \"api\"");
	rule_docs_done(&d);
	fail_list_done(&f);
}

static void second_file(void **state)
{
	static const char a[] = "apiVersion: networking.k8s.io/v1\nkind: NetworkPolicy\nmetadata: {name: a, namespace: x}\n";
	static const char b[] = "apiVersion: networking.k8s.io/v1\nkind: NetworkPolicy\nmetadata: {name: a, namespace: y}\n";
	static const char c[] = "apiVersion: policy.networking.k8s.io/v1alpha1\nkind: AdminNetworkPolicy\nmetadata: {name: a}\n"
				"spec: {priority: 1, subject: {namespaces: {}}}\n";
	struct rule_docs d = {};

	(void)state;
	assert_int_equal(rule_docs_parse("a.yaml", a, strlen(a), NULL, NULL, &d), 0);
	assert_int_equal(rule_docs_parse("b.yaml", b, strlen(b), NULL, NULL, &d), 0);
	assert_int_equal(rule_docs_parse("c.yaml", c, strlen(c), NULL, NULL, &d), 0);
	assert_int_equal(d.nkpolicies, 3);
	assert_int_equal(d.nfiles, 3);
	assert_string_equal(d.kpolicies_at[1].file, "b.yaml");
	assert_string_equal(d.kpolicies[2].name, "a");
	assert_int_equal(rule_docs_parse("d.yaml", b, strlen(b), NULL, NULL, &d), -EINVAL);
	assert_int_equal(d.nkpolicies, 3);
	rule_docs_done(&d);
}

int main(void)
{
	const struct CMUnitTest tests[] = { cmocka_unit_test(good), cmocka_unit_test(second_file) };

	return cmocka_run_group_tests(tests, NULL, NULL);
}
