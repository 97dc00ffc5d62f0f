/* SPDX-License-Identifier: Apache-2.0 */
/* test_bad_bodies.c - each wrong request gets one clear answer and changes not a byte. */
#include "selftests/unit/userspace/controller/fixture.h"

struct bad {
	const char *name;
	enum http_method method;
	const char *path, *body;
	int status;
	/* of the first fault; NULL: not looked at */
	const char *fault, *at, *message, *expected;
};

static const struct bad catalogue[] = {
	{ "no body", HTTP_POST, "/v1/rules/apply", NULL, 400, "body.missing", "body", "the request has no body", "a JSON object" },
	{ "not JSON", HTTP_POST, "/v1/modes/set", "{\"refs\":", 400, "json.syntax", NULL, NULL, NULL },
	{ "not an object", HTTP_POST, "/v1/modes/set", "[1]", 400, "body.type", "body", "the body is not an object", "a JSON object" },
	{ "unknown field", HTTP_POST, "/v1/modes/set", "{\"ref\":[\"ns/shop\"],\"mode\":\"learn\"}", 400, "body.unknown-field",
	  "body.ref", "unknown field \"ref\"", "did you mean \"refs\"?" },
	{ "duplicate key", HTTP_POST, "/v1/modes/set", "{\"mode\":\"learn\",\"mode\":\"off\",\"refs\":[\"cluster\"]}", 400,
	  NULL, NULL, NULL, NULL },
	{ "no scope", HTTP_POST, "/v1/modes/set", "{\"mode\":\"enforce\"}", 400, "scope.missing", "body.refs",
	  "a change needs a scope", "-n NS, -A or a REF" },
	{ "empty scope", HTTP_POST, "/v1/modes/set", "{\"mode\":\"enforce\",\"refs\":[]}", 400, "scope.missing", "body.refs",
	  "a change needs a scope", "-n NS, -A or a REF" },
	{ "no such mode", HTTP_POST, "/v1/modes/set", "{\"mode\":\"enforced\",\"refs\":[\"ns/shop\"]}", 400, "mode.value",
	  "body.mode: \"enforced\"", "this is not a mode", "off, learn, alert or enforce" },
	{ "default pass", HTTP_POST, "/v1/modes/set", "{\"default\":\"alert\",\"refs\":[\"ns/shop\"]}", 400, "mode.default",
	  "body.default: \"alert\"", "this is not a default", "block or allow" },
	{ "mode and default missing", HTTP_POST, "/v1/modes/set", "{\"refs\":[\"ns/shop\"]}", 400, "body.missing", "body.mode",
	  "neither mode nor default is given", "off, learn, alert or enforce" },
	{ "refs a string", HTTP_POST, "/v1/modes/set", "{\"mode\":\"learn\",\"refs\":\"ns/shop\"}", 400, "body.type", "body.refs",
	  "the field has the wrong type", "a list of strings" },
	{ "refs of numbers", HTTP_POST, "/v1/modes/set", "{\"mode\":\"learn\",\"refs\":[1]}", 400, "body.type", "body.refs",
	  "the field has the wrong type", "a list of strings that are not empty" },
	{ "bare word", HTTP_POST, "/v1/modes/set", "{\"mode\":\"learn\",\"refs\":[\"shop\"]}", 400, "ref.syntax",
	  "body.refs[0]: \"shop\"", "this is not a REF",
	  "ns/NAME, NS/KIND/NAME, NS/KEY=VALUE, an address or CIDR, or a reserved word" },
	{ "mode on the world", HTTP_POST, "/v1/modes/set", "{\"mode\":\"learn\",\"refs\":[\"world\"]}", 400, "mode.target",
	  "body.refs[0]: \"world\"", "a mode cannot be set on this", "cluster, ns/NS, NS/deploy/NAME or NS/pod/NAME" },
	{ "no such namespace", HTTP_POST, "/v1/modes/set", "{\"mode\":\"learn\",\"refs\":[\"ns/shpo\"]}", 404, "ref.not-found",
	  "body.refs[0]: \"ns/shpo\"", "no such namespace", "a REF of this cluster; did you mean ns/shop?" },
	{ "no such workload", HTTP_POST, "/v1/modes/set", "{\"mode\":\"learn\",\"refs\":[\"shop/deploy/wbe\"]}", 404, "ref.not-found",
	  "body.refs[0]: \"shop/deploy/wbe\"", "no such workload", "a REF of this cluster; did you mean shop/deploy/web?" },
	{ "window too long", HTTP_POST, "/v1/modes/set?confirm=10d", "{\"mode\":\"alert\",\"refs\":[\"ns/shop\"]}", 400,
	  "query.value", "query confirm: \"10d\"", "the value of confirm is not valid", "a duration from 1s to 24h" },
	{ "accept what", HTTP_POST, "/v1/modes/set?accept=all", "{\"mode\":\"alert\",\"refs\":[\"ns/shop\"]}", 400,
	  "query.value", "query accept: \"all\"", "the value of accept is not valid", "not-ready" },
	{ "generation a word", HTTP_POST, "/v1/modes/set?ifGeneration=x", "{\"mode\":\"alert\",\"refs\":[\"ns/shop\"]}", 400,
	  "query.value", "query ifGeneration: \"x\"", "the value of ifGeneration is not valid", "a generation number" },
	{ "dry run maybe", HTTP_POST, "/v1/modes/set?dryRun=yes", "{\"mode\":\"alert\",\"refs\":[\"ns/shop\"]}", 400,
	  "query.flag", "query dryRun: \"yes\"", "this is neither 0 nor 1", "0 or 1" },
	{ "unset what is not set", HTTP_POST, "/v1/modes/unset", "{\"refs\":[\"ns/data\"]}", 404, "mode.not-set", "body.refs[0]",
	  "no mode is set on this", "a REF that a mode is set on" },
	{ "no documents", HTTP_POST, "/v1/rules/apply", "{\"documents\":[]}", 400, "body.type", "body.documents",
	  "there are no documents", "a list of {file, text}, at least one" },
	{ "document a string", HTTP_POST, "/v1/rules/apply", "{\"documents\":[\"kind: X\"]}", 400, "body.type",
	  "body.documents[0]", "the field has the wrong type", "an object with file and text" },
	{ "document without text", HTTP_POST, "/v1/rules/apply", "{\"documents\":[{\"file\":\"a\"}]}", 400, "body.missing",
	  "body.documents[0].text", "a required field is missing", "a string" },
	{ "prune a word", HTTP_POST, "/v1/rules/apply", "{\"prune\":\"yes\",\"documents\":[{\"file\":\"a\",\"text\":\"x\"}]}", 400,
	  "body.type", "body.prune", "the field has the wrong type", "true or false" },
	{ "not YAML", HTTP_POST, "/v1/rules/apply", "{\"documents\":[{\"file\":\"a.yaml\",\"text\":\"{ a\"}]}", 400, NULL, NULL, NULL, NULL },
	{ "unknown kind", HTTP_POST, "/v1/rules/apply",
	  "{\"documents\":[{\"file\":\"a.yaml\",\"text\":\"apiVersion: cellwall.io/v1alpha1\\nkind: Rule\\nmetadata: {name: a}\"}]}",
	  400, NULL, NULL, NULL, NULL },
	{ "inventory as a rule", HTTP_POST, "/v1/rules/apply",
	  "{\"documents\":[{\"file\":\"i.yaml\",\"text\":\"apiVersion: cellwall.io/v1alpha1\\nkind: Inventory\\nspec:\\n  namespaces:\\n  - {name: x}\"}]}",
	  400, "rule.kind", "i.yaml", "workloads, namespaces and services are declared on their own", NULL },
	{ "no names", HTTP_POST, "/v1/rules/delete", "{}", 400, "scope.missing", "body", "nothing says which rules are meant",
	  "names, search or selector" },
	{ "names and filter", HTTP_POST, "/v1/rules/delete", "{\"names\":[\"keep\"],\"search\":\"x\"}", 400, "body.conflict", "body",
	  "both names and a filter are given", "names, or search and selector" },
	{ "no such rule", HTTP_POST, "/v1/rules/delete", "{\"names\":[\"kepe\"]}", 404, "rule.not-found", "body.names[0]: \"kepe\"",
	  "no such rule", "the name of a rule; did you mean keep?" },
	{ "one of two rules", HTTP_POST, "/v1/rules/delete", "{\"names\":[\"keep\",\"zzz\"]}", 404, "rule.not-found",
	  "body.names[1]: \"zzz\"", "no such rule", "the name of a rule" },
	{ "nothing matches", HTTP_POST, "/v1/rules/disable", "{\"search\":\"zzz\"}", 404, "rule.not-found", "body", "no rule matches",
	  "rules that match" },
	{ "quarantine without reason", HTTP_POST, "/v1/quarantines", "{\"ref\":\"shop/pod/rogue\"}", 400, "body.missing",
	  "body.reason", "a required field is missing", "a string" },
	{ "quarantine empty reason", HTTP_POST, "/v1/quarantines", "{\"ref\":\"shop/pod/rogue\",\"reason\":\"\"}", 400, "body.empty",
	  "body.reason", "the field is empty", "a text" },
	{ "quarantine a namespace", HTTP_POST, "/v1/quarantines", "{\"ref\":\"ns/shop\",\"reason\":\"x\"}", 400, "quarantine.target",
	  "body.ref: \"ns/shop\"", "only a pod or a controller can be cut off", "NS/pod/NAME or NS/deploy/NAME" },
	{ "quarantine twice ended", HTTP_POST, "/v1/quarantines",
	  "{\"ref\":\"shop/pod/rogue\",\"reason\":\"x\",\"for\":\"1h\",\"until\":\"2027-01-01T00:00:00Z\"}", 400, "quarantine.until",
	  "body.until", "two ends are given", "for or until, not both" },
	{ "quarantine in the past", HTTP_POST, "/v1/quarantines",
	  "{\"ref\":\"shop/pod/rogue\",\"reason\":\"x\",\"until\":\"2020-01-01T00:00:00Z\"}", 400, "quarantine.until",
	  "body.until: \"2020-01-01T00:00:00Z\"", "the quarantine would have ended already", "a time to come" },
	{ "quarantine bad allow", HTTP_POST, "/v1/quarantines",
	  "{\"ref\":\"shop/pod/rogue\",\"reason\":\"x\",\"allow\":[{\"cidr\":\"192.0.2.1/24\"}]}", 400, "rule.cidr",
	  "body.allow[0].cidr: \"192.0.2.1/24\"", "this is not a CIDR", "an address or CIDR without host bits" },
	{ "quarantine bad port", HTTP_POST, "/v1/quarantines",
	  "{\"ref\":\"shop/pod/rogue\",\"reason\":\"x\",\"allow\":[{\"cidr\":\"192.0.2.1\",\"ports\":[\"tcp/0-99999\"]}]}", 400,
	  "rule.port", "body.allow[0].ports[0]: \"tcp/0-99999\"", "this is not a port", "tcp/22, tcp/8000-8100, icmp/echo-request" },
	{ "release what is free", HTTP_POST, "/v1/quarantines/release", "{\"refs\":[\"shop/pod/rogue\"]}", 404, "quarantine.not-found",
	  "body.refs[0]: \"shop/pod/rogue\"", "this is not quarantined", "what is quarantined, by REF or name" },
	{ "neither ids nor filter", HTTP_POST, "/v1/accesses/confirm", "{}", 400, "scope.missing", "body",
	  "either ids or a filter must say which accesses are meant", "ids or filter" },
	{ "both ids and filter", HTTP_POST, "/v1/accesses/confirm", "{\"ids\":[\"3f9a\"],\"filter\":{\"namespace\":\"shop\"}}", 400,
	  "scope.missing", "body", NULL, NULL },
	{ "filter without namespace", HTTP_POST, "/v1/accesses/confirm", "{\"filter\":{\"answered\":\"1\"}}", 400, "scope.missing",
	  "body.filter.namespace", "a change needs a scope", "-n NS, or ids" },
	{ "filter of nonsense", HTTP_POST, "/v1/accesses/confirm", "{\"filter\":{\"namespace\":\"shop\",\"stat\":\"pending\"}}", 400,
	  "body.unknown-field", "body.filter.stat", "unknown field \"stat\"", "did you mean \"state\"?" },
	{ "filter value", HTTP_POST, "/v1/accesses/confirm", "{\"filter\":{\"namespace\":\"shop\",\"state\":\"open\"}}", 400,
	  "filter.value", "body.filter state: \"open\"", "the filter state is not valid", "pending, confirmed, rejected or held" },
	{ "no such access", HTTP_POST, "/v1/accesses/confirm", "{\"ids\":[\"ffffffff\"]}", 404, "access.not-found",
	  "body.ids[0]: \"ffffffff\"", "no such access", "an access id, or at least 4 digits of it that fit only one" },
	{ "workload without name", HTTP_POST, "/v1/workloads", "{\"namespace\":\"shop\",\"netns\":\"x\"}", 400, NULL, NULL, NULL, NULL },
	{ "workload netns missing", HTTP_POST, "/v1/workloads", "{\"namespace\":\"shop\",\"name\":\"new\",\"netns\":\"missing\"}", 404,
	  "workload.netns", "shop/new, netns \"missing\"", "cannot open the network namespace", "a network namespace that exists" },
	{ "one of two workloads", HTTP_POST, "/v1/workloads",
	  "{\"items\":[{\"namespace\":\"shop\",\"name\":\"ok\",\"netns\":\"x\"},{\"namespace\":\"shop\",\"name\":\"new\",\"netns\":\"missing\"}]}", 404,
	  "workload.netns", "shop/new, netns \"missing\"", NULL, NULL },
	{ "workload twice", HTTP_POST, "/v1/workloads",
	  "{\"items\":[{\"namespace\":\"shop\",\"name\":\"a\",\"netns\":\"x\"},{\"namespace\":\"shop\",\"name\":\"a\",\"netns\":\"y\"}]}", 400,
	  "workload.twice", "body.items[1]", "the workload is in the list already", "each workload once" },
	{ "workload bad label", HTTP_POST, "/v1/workloads",
	  "{\"namespace\":\"shop\",\"name\":\"a\",\"netns\":\"x\",\"labels\":{\"-app\":\"x\"}}", 400, NULL, NULL, NULL, NULL },
	{ "workload that is not there", HTTP_DELETE, "/v1/workloads/shop/wbe-1", NULL, 404, "ref.not-found", "\"shop/wbe-1\"",
	  "no such workload", "a workload that is declared; did you mean shop/pod/web-1?" },
	{ "namespace bad name", HTTP_PUT, "/v1/namespaces/Shop_1", "{}", 400, "namespace.name", "path: \"Shop_1\"",
	  "this is not a namespace name", "a DNS label of at most 63 characters" },
	{ "namespace bad label", HTTP_PUT, "/v1/namespaces/ops", "{\"labels\":{\"a\":1}}", 400, "body.type", "body.labels.a",
	  "the field has the wrong type", "a string" },
	{ "namespace in use", HTTP_DELETE, "/v1/namespaces/shop", NULL, 404, "ref.not-found", NULL, NULL, NULL },
	{ "ack nothing", HTTP_POST, "/v1/alerts/ack", "{\"ids\":[]}", 400, "body.type", "body.ids", "the field has the wrong type",
	  "a list with at least one string" },
	{ "ack unknown", HTTP_POST, "/v1/alerts/ack", "{\"ids\":[\"abcd\"]}", 404, "alert.not-found", "body.ids[0]: \"abcd\"",
	  "no such alert", "an alert id" },
	{ "simulate how", HTTP_POST, "/v1/simulate", "{\"as\":\"alert\"}", 400, "simulate.as", "body.as",
	  "this is no way to compare", "enforce or live" },
	{ "simulate since", HTTP_POST, "/v1/simulate", "{\"since\":\"yesterday\"}", 400, "query.time", "body.since: \"yesterday\"",
	  "this is no time", "a duration such as 10d, or 2026-03-12T08:30:00Z" },
	{ "revert a word", HTTP_POST, "/v1/changes/last/revert", NULL, 400, "change.generation", "path: \"last\"",
	  "this is not a generation", "a generation number" },
	{ "revert what never was", HTTP_POST, "/v1/changes/77/revert", NULL, 404, "change.not-found", "generation 77",
	  "no such generation", "a generation of the history" },
	{ "query without port", HTTP_GET, "/v1/query?src=shop/deploy/web&dst=data/sts/db", NULL, 400, "query.missing", "query port",
	  "port is missing", "SRC DST PORT" },
	{ "query a range", HTTP_GET, "/v1/query?src=shop/deploy/web&dst=data/sts/db&port=tcp/1-9", NULL, 400, "query.port",
	  "query port: \"tcp/1-9\"", "this is not one port", "one port such as tcp/5432 or icmp/echo-request" },
	{ "query assume", HTTP_GET, "/v1/query?src=shop/deploy/web&dst=data/sts/db&port=tcp/1&assume=data", NULL, 400, "query.assume",
	  "query assume: \"data\"", "this is no assumption", "NAMESPACE=off, learn, alert or enforce" },
	{ "access filter", HTTP_GET, "/v1/accesses?verdict=denied", NULL, 400, "filter.value", "query verdict: \"denied\"",
	  "the filter verdict is not valid", "allow, alert, no-rule, would-block, block or -" },
	{ "access since", HTTP_GET, "/v1/accesses?since=soon", NULL, 400, "filter.value", "query since: \"soon\"",
	  "the filter since is not valid", NULL },
	{ "limit", HTTP_GET, "/v1/accesses?limit=0", NULL, 400, "query.limit", "query limit: \"0\"",
	  "the limit is not a number in range", "a number from 1 to 100000" },
	{ "not what", HTTP_GET, "/v1/accesses?not=since", NULL, 400, "filter.value", "query not: \"since\"", NULL,
	  "a filter name such as src or verdict" },
	{ "topology level", HTTP_GET, "/v1/topology?level=cluster", NULL, 400, "topology.level", "query level: \"cluster\"",
	  "this is not a level", "namespace, controller, label, service or pod" },
	{ "topology format", HTTP_GET, "/v1/topology?format=png", NULL, 400, "topology.format", "query format: \"png\"",
	  "this is not a format", "json, dot, graphml, mermaid, csv or tree" },
	{ "ready of nowhere", HTTP_GET, "/v1/ready?namespace=shpo", NULL, 404, "ref.not-found", "query namespace: \"ns/shpo\"",
	  "no such namespace", "a REF of this cluster; did you mean ns/shop?" },
};

static void check(const struct bad *b, struct call *k)
{
	const struct { const char *key, *want; } f[] = {
		{ "name", b->fault }, { "at", b->at }, { "message", b->message }, { "expected", b->expected },
	};
	char path[32];

	assert_status(*k, b->status);
	assert_string_equal(str_at(k->json, "kind"), "ErrorList");
	assert_true(len_at(k->json, "items") >= 1);
	for (size_t i = 0; i < ARRAY_SIZE(f); i++) {
		snprintf(path, sizeof(path), "items.0.%s", f[i].key);
		if (f[i].want)
			assert_string_equal(str_at(k->json, path), f[i].want);
	}
}

static void bodies(void **state)
{
	struct fixture *fx = *state;
	auto_free char *before = NULL;
	struct call k;

	world(fx);
	history(fx);
	k = POST(fx, "/v1/rules/apply", "{\"documents\":[{\"file\":\"k.yaml\",\"text\":\"apiVersion: cellwall.io/v1alpha1\\n"
		 "kind: ClusterAccessRule\\nmetadata: {name: keep}\\nspec: {action: allow, from: [{namespace: shop}], to: [{any: true}]}\"}]}");
	assert_status(k, 200);
	call_done(&k);
	before = dump(fx);
	for (size_t i = 0; i < ARRAY_SIZE(catalogue); i++) {
		auto_free char *after = NULL;

		print_message("  %s\n", catalogue[i].name);
		k = call(fx, catalogue[i].method, catalogue[i].path, catalogue[i].body);
		check(&catalogue[i], &k);
		call_done(&k);
		after = dump(fx);
		assert_string_equal(before, after);
	}
}

/* All faults of a set of files come in one answer, in file order. */
static void faults_of_all_files(void **state)
{
	struct fixture *fx = *state;
	struct call k = POST(fx, "/v1/rules/apply", "{\"documents\":["
		"{\"file\":\"a.yaml\",\"text\":\"apiVersion: cellwall.io/v1alpha1\\nkind: ClusterAccessRule\\nmetadata: {name: a}\\n"
		"spec: {action: block, from: [], to: [{any: true}]}\"},"
		"{\"file\":\"b.yaml\",\"text\":\"apiVersion: cellwall.io/v1alpha1\\nkind: ClusterAccessRule\\nmetadata: {name: b}\\n"
		"spec: {action: block, from: [{any: true}], to: [{any: true}], ports: [tcp/9000-8000]}\"}]}");

	assert_status(k, 400);
	assert_int_equal(len_at(k.json, "items"), 2);
	assert_non_null(strstr(str_at(k.json, "items.0.at"), "a.yaml"));
	assert_string_equal(str_at(k.json, "items.1.name"), "rule.port-range");
	assert_non_null(strstr(str_at(k.json, "items.1.at"), "b.yaml"));
	call_done(&k);
	assert_int_equal(generation(fx), 0);
}

int main(void)
{
#define T(fn) cmocka_unit_test_setup_teardown(fn, fixture_setup, fixture_teardown)
	const struct CMUnitTest tests[] = { T(bodies), T(faults_of_all_files) };

	return cmocka_run_group_tests(tests, NULL, NULL);
}
