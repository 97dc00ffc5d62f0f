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

#include "base/buf.h"
#include "base/cleanup.h"
#include "base/json.h"
#include "policy/rule_doc.h"
#include "selftests/harness/doc_print.h"

#define S(text) ((char *)(text)) /* borrowed for a table row, never freed */

static const char all[] =
	"apiVersion: cellwall.io/v1alpha1\n"
	"kind: ClusterAccessRule\n"
	"metadata: {name: db-only-shop-apps}\n"
	"spec:\n"
	"  action: block\n"
	"  reject: false\n"
	"  mode: enforce\n"
	"  enabled: true\n"
	"  from:\n"
	"  - namespace: shop\n"
	"    matchExpressions: [{key: app, operator: NotIn, values: [cart, web]}]\n"
	"  to:\n"
	"  - {namespace: data, labels: {app: db}}\n"
	"  ports: [tcp/5432]\n"
	"---\n"
	"apiVersion: cellwall.io/v1alpha1\n"
	"kind: AccessRule\n"
	"metadata: {name: mixed, namespace: shop, labels: {team: a, cellwall.io/origin: learned, cellwall.io/access: \"8a90\"}}\n"
	"spec:\n"
	"  enabled: false\n"
	"  mode: alert\n"
	"  action: alert\n"
	"  from:\n"
	"  - namespace: shop\n"
	"  - labels: {}\n"
	"  - {nodeLabels: {}, matchExpressions: [{key: zone, operator: Exists}]}\n"
	"  - any: true\n"
	"  - {pod: web-1, uid: u-1}\n"
	"  - {namespaceLabels: {team: b}, namespaceExpressions: [{key: x, operator: DoesNotExist}], serviceAccount: sa}\n"
	"  to:\n"
	"  - fqdn: \"*.example.com\"\n"
	"  - {cidr: 10.0.0.0/8, except: [10.1.0.0/16, 10.2.0.0/16]}\n"
	"  - {service: db}\n"
	"  - {service: db, namespace: data}\n"
	"  - controller: sts/db\n"
	"  - reserved: world\n"
	"  - namespaceLabels: {}\n"
	"  ports: [icmp/8, proto/6, tcp/http, udp/53-53]\n"
	"---\n"
	"apiVersion: cellwall.io/v1alpha1\n"
	"kind: ClusterAccessRule\n"
	"metadata: {name: everything}\n"
	"spec: {action: block, reject: true, from: [{labels: {}}], to: [{namespace: data}]}\n"
	"---\n"
	"apiVersion: cellwall.io/v1alpha1\n"
	"kind: ModeProfile\n"
	"metadata: {name: shop}\n"
	"spec: {target: {namespace: shop}, mode: enforce, default: allow}\n"
	"---\n"
	"apiVersion: cellwall.io/v1alpha1\n"
	"kind: ModeProfile\n"
	"metadata: {name: front}\n"
	"spec: {target: {namespaceLabels: {team: front}}, mode: alert}\n"
	"---\n"
	"apiVersion: cellwall.io/v1alpha1\n"
	"kind: Quarantine\n"
	"metadata: {name: rogue}\n"
	"spec:\n"
	"  target: {namespace: shop, pod: rogue, uid: 5b1e7c1a-0d1f}\n"
	"  reason: 'scan: \"ports\"'\n"
	"  until: \"2026-03-13T08:33:00+08:00\"\n"
	"  allow: [{cidr: 192.0.2.10/32, ports: [tcp/22]}, {cidr: \"2001:db8::/32\"}]\n"
	"---\n"
	"apiVersion: cellwall.io/v1alpha1\n"
	"kind: Inventory\n"
	"spec:\n"
	"  namespaces: [{name: shop, labels: {team: front}}, {name: data}]\n"
	"  workloads:\n"
	"  - {name: web-1, namespace: shop, netns: cw-web-1, labels: {app: web, cellwall.io/mode: alert},\n"
	"     controller: {kind: Deployment, name: web}, serviceAccount: web,\n"
	"     ports: [{name: http, port: tcp/8080}], addresses: [10.20.1.9, \"fd00:20::9\"]}\n"
	"  - {name: db-0, namespace: data, netns: /proc/1/ns/net, uid: x}\n";

static int parse(const char *text, struct rule_docs *d)
{
	struct fail_list f = {};
	int r = rule_docs_parse("all.yaml", text, strlen(text), NULL, &f, d);

	for (size_t i = 0; i < f.n; i++)
		print_message("  %s: %s at %s\n", f.items[i].name, f.items[i].message, f.items[i].at);
	fail_list_done(&f);
	return r;
}

static void reads(void **state)
{
	struct rule_docs d = {};
	const struct rule *r;
	const struct workload *w;

	(void)state;
	assert_int_equal(parse(all, &d), 0);
	assert_int_equal(d.nrules, 3);
	r = &d.rules[0];
	assert_string_equal(r->name, "db-only-shop-apps");
	assert_null(r->ns);
	assert_int_equal(r->origin, ORIGIN_MANUAL);
	assert_int_equal(r->action, CW_ACT_BLOCK);
	assert_int_equal(r->mode, CW_MODE_ENFORCE);
	assert_true(r->enabled && !r->reject);
	assert_int_equal(r->from[0].kind, SEL_WORKLOAD);
	assert_string_equal(r->from[0].ns, "shop");
	assert_int_equal(r->from[0].labels.exprs[0].op, LABEL_NOT_IN);
	assert_string_equal(r->from[0].labels.exprs[0].values[1], "web");
	assert_string_equal(labels_get(&r->to[0].labels.match, "app"), "db");
	assert_int_equal(r->ports[0].from, 5432);
	assert_string_equal(d.rules_at[0].file, "all.yaml");
	assert_int_equal(d.rules_at[0].document, 1);
	assert_int_equal(d.rules_at[0].line, 1);

	r = &d.rules[1];
	assert_string_equal(r->ns, "shop");
	assert_int_equal(r->origin, ORIGIN_LEARNED);
	assert_string_equal(r->access, "8a90");
	assert_int_equal(r->labels.n, 1); /* the two that mean something are not labels of the rule */
	assert_false(r->enabled);
	assert_int_equal(r->mode, CW_MODE_ALERT);
	assert_string_equal(r->from[1].ns, "shop"); /* its own where none is given */
	assert_true(r->from[1].labels.set);
	assert_int_equal(r->from[2].kind, SEL_NODES);
	assert_null(r->from[2].ns);
	assert_int_equal(r->from[3].kind, SEL_ANY);
	assert_string_equal(r->from[4].pod_uid, "u-1");
	assert_null(r->from[5].ns);
	assert_int_equal(r->from[5].ns_labels.exprs[0].op, LABEL_NOT_EXISTS);
	assert_int_equal(r->to[0].kind, SEL_FQDN);
	assert_int_equal(r->to[1].nexcept, 2);
	assert_int_equal(r->to[2].kind, SEL_SERVICE);
	assert_string_equal(r->to[2].ns, "shop");
	assert_string_equal(r->to[3].ns, "data");
	assert_string_equal(r->to[4].controller_kind, "StatefulSet");
	assert_int_equal(r->to[5].reserved, CW_ID_WORLD);
	assert_int_equal(d.rules_at[1].line, 16);

	assert_int_equal(d.nmodes, 2);
	assert_int_equal(d.modes[0].scope, MODE_NAMESPACE);
	assert_int_equal(d.modes[0].dflt, CW_ACT_ALLOW);
	assert_true(d.modes[1].ns_labels.set && !d.modes[1].ns);
	assert_int_equal(d.modes[1].dflt, CW_ACT_NONE);
	assert_int_equal(d.nquarantines, 1);
	assert_true(d.quarantines[0].until_ns == 1773361980000000000);
	assert_int_equal(d.quarantines[0].allow[1].nports, 0);
	assert_int_equal(d.nnamespaces, 2);
	assert_int_equal(d.nworkloads, 2);
	w = &d.workloads[0].w;
	assert_string_equal(d.workloads[0].netns, "cw-web-1");
	assert_string_equal(w->controller_kind, "Deployment");
	assert_string_equal(w->mode_label, "alert");
	assert_int_equal(w->ports[0].port, 8080);
	assert_int_equal(w->naddrs, 2);
	rule_docs_done(&d);
}

/* Printed, read and printed again: the same bytes, the same rules. */
static void round_trip(void **state)
{
	struct rule_docs d = {}, e = {};
	auto_free char *one = NULL, *two = NULL;

	(void)state;
	assert_int_equal(parse(all, &d), 0);
	one = docs_print(&d);
	assert_int_equal(parse(one, &e), 0);
	two = docs_print(&e);
	assert_string_equal(one, two);
	assert_int_equal(d.nrules, e.nrules);
	for (size_t i = 0; i < d.nrules; i++) {
		assert_int_equal(rule_same(&d.rules[i], &e.rules[i]), 1);
		assert_int_equal(rule_same(&d.rules[i], &e.rules[(i + 1) % e.nrules]), 0);
	}
	/* what equals its default is not written */
	assert_null(strstr(one, "mode: enforce\n  enabled"));
	assert_null(strstr(one, "reject: false"));
	assert_non_null(strstr(one, "  - controller: StatefulSet/db\n"));
	assert_non_null(strstr(one, "    cellwall.io/access: \"8a90\"\n    cellwall.io/origin: learned\n    team: a\n"));
	rule_docs_done(&d);
	rule_docs_done(&e);
}

/* Several files fill one set; a name of an earlier file is taken; a bad file adds nothing. */
static void many_files(void **state)
{
	static const char b[] = "apiVersion: cellwall.io/v1alpha1\nkind: ModeProfile\nmetadata: {name: data}\n"
				"spec: {target: {namespace: data}, mode: learn}\n";
	static const char twice[] = "apiVersion: cellwall.io/v1alpha1\nkind: ModeProfile\nmetadata: {name: ops}\n"
				    "spec: {target: {namespace: ops}, mode: learn}\n---\n"
				    "apiVersion: cellwall.io/v1alpha1\nkind: ModeProfile\nmetadata: {name: shop}\n"
				    "spec: {target: {namespace: shop}, mode: learn}\n";
	struct rule_docs d = {};
	struct fail_list f = {};

	(void)state;
	assert_int_equal(parse(all, &d), 0);
	assert_int_equal(rule_docs_parse("b.yaml", b, strlen(b), NULL, &f, &d), 0);
	assert_int_equal(d.nmodes, 3);
	assert_string_equal(d.modes_at[2].file, "b.yaml");
	assert_string_equal(d.modes_at[0].file, "all.yaml");
	assert_int_equal(rule_docs_parse("c.yaml", twice, strlen(twice), "cellwall rule apply -f c.yaml --dry-run", &f, &d), -EINVAL);
	assert_int_equal(d.nmodes, 3);
	assert_int_equal(d.nfiles, 2);
	assert_int_equal(f.n, 1);
	assert_string_equal(f.items[0].name, "mode.duplicate");
	assert_string_equal(f.items[0].message, "mode profile shop was given before, at all.yaml:45");
	assert_string_equal(f.items[0].at, "c.yaml:8, document 2, metadata.name: \"shop\"");
	assert_string_equal(f.items[0].next, "correct line 8, then\ncellwall rule apply -f c.yaml --dry-run");
	fail_list_done(&f);
	rule_docs_done(&d);
}

static void profile_names(void **state)
{
	static const struct { struct mode_setting m; const char *name; } t[] = {
		{ { .scope = MODE_CLUSTER }, "cluster" },
		{ { .scope = MODE_NAMESPACE, .ns = S("shop") }, "shop" },
		{ { .scope = MODE_CONTROLLER, .ns = S("shop"), .controller_kind = S("Deployment"), .controller_name = S("web") }, "shop-deploy-web" },
		{ { .scope = MODE_WORKLOAD, .ns = S("shop"), .workload = S("web-1") }, "shop-pod-web-1" },
		{ { .scope = MODE_NAMESPACE, .ns = S("shop"), .name = S("own") }, "own" },
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(t); i++) {
		cJSON *j = mode_doc_to_json(&t[i].m);
		auto_free char *s = yaml_print(j);
		struct rule_docs d = {};

		assert_string_equal(json_str(json_get(j, "metadata"), "name"), t[i].name);
		assert_int_equal(parse(s, &d), 0);
		assert_int_equal(d.modes[0].scope, t[i].m.scope);
		rule_docs_done(&d);
		cJSON_Delete(j);
	}
}

/* JSON is YAML: a body of the API goes through the same reader. */
static void json_body(void **state)
{
	static const char s[] = "{\"apiVersion\":\"cellwall.io/v1alpha1\",\"kind\":\"ClusterAccessRule\","
				"\"metadata\":{\"name\":\"r\"},\"spec\":{\"action\":\"allow\",\"from\":[{\"any\":true}],"
				"\"to\":[{\"cidr\":\"fd00::/8\"}],\"ports\":[\"any\"]}}";
	struct rule_docs d = {};

	(void)state;
	assert_int_equal(parse(s, &d), 0);
	assert_int_equal(d.nrules, 1);
	assert_int_equal(d.rules[0].ports[0].kind, PORT_ANY);
	rule_docs_done(&d);
}

/* Long lists end in one fault, not in memory. */
/* One document that is a tree already: the same rules, faults without lines, and nothing kept of a bad one. */
static void tree(void **state)
{
	static const char head[] = "{\"apiVersion\":\"cellwall.io/v1alpha1\",\"kind\":\"ClusterAccessRule\","
		"\"metadata\":{\"name\":\"r\"},\"spec\":{\"from\":[{\"any\":true}],\"to\":[{\"namespace\":\"data\"}],\"action\":";
	static const struct { const char *tail, *at; int r; } t[] = {
		{ "\"block\"}}", NULL, 0 },
		{ "\"deny\"}}", "ClusterAccessRule r, spec.action: \"deny\"", -EINVAL },
		{ "\"block\",\"port\":1}}", "ClusterAccessRule r, spec.port", -EINVAL },
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(t); i++) {
		struct rule_docs d = {};
		struct fail_list f = {};
		char text[512];
		cJSON *j;

		snprintf(text, sizeof(text), "%s%s", head, t[i].tail);
		j = cJSON_Parse(text);
		assert_non_null(j);
		assert_int_equal(rule_doc_parse(j, "ClusterAccessRule r", &f, &d), t[i].r);
		assert_int_equal(d.nrules, t[i].r == 0);
		assert_int_equal(f.n, t[i].r != 0);
		if (t[i].at)
			assert_string_equal(f.items[0].at, t[i].at);
		else
			assert_int_equal(d.rules[0].action, CW_ACT_BLOCK);
		cJSON_Delete(j);
		rule_docs_done(&d);
		fail_list_done(&f);
	}
	assert_int_equal(rule_doc_parse(NULL, "body", NULL, &(struct rule_docs){}), -EINVAL);
}

static void limits(void **state)
{
	struct rule_docs d = {};
	struct fail_list f = {};
	struct buf b;

	(void)state;
	buf_init(&b, 1 << 20);
	buf_adds(&b, "apiVersion: cellwall.io/v1alpha1\nkind: ClusterAccessRule\nmetadata: {name: r}\nspec:\n"
		     "  action: allow\n  from: [{any: true}]\n  to: [{any: true}]\n  ports: [");
	for (unsigned i = 0; i <= RULE_DOC_LIST_MAX; i++)
		buf_printf(&b, "tcp/%u,", i + 1);
	buf_adds(&b, "]\n");
	assert_int_equal(rule_docs_parse("f", b.data, b.len, NULL, &f, &d), -EINVAL);
	assert_int_equal(f.n, 1);
	assert_string_equal(f.items[0].name, "rule.too-many");
	assert_string_equal(f.items[0].expected, "at most 1000 items");
	fail_list_done(&f);
	buf_done(&b);
	/* more faults than are kept are counted */
	buf_adds(&b, "apiVersion: cellwall.io/v1alpha1\nkind: ClusterAccessRule\nmetadata: {name: r}\nspec:\n"
		     "  action: allow\n  from: [{any: true}]\n  to: [{any: true}]\n  ports: [");
	for (unsigned i = 0; i < 500; i++)
		buf_printf(&b, "tcp/%u,", 70000 + i);
	buf_adds(&b, "]\n");
	assert_int_equal(rule_docs_parse("f", b.data, b.len, NULL, &f, &d), -EINVAL);
	assert_int_equal(f.n, FAIL_LIST_MAX);
	assert_int_equal(f.dropped, 300);
	fail_list_done(&f);
	buf_done(&b);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(reads),	 cmocka_unit_test(round_trip), cmocka_unit_test(many_files),
		cmocka_unit_test(profile_names), cmocka_unit_test(json_body),  cmocka_unit_test(limits),
		cmocka_unit_test(tree),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
