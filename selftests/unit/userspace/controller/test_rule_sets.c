/* SPDX-License-Identifier: Apache-2.0 */
/* test_rule_sets.c - two rule sets compared, one looked over; both change nothing. */
#include "selftests/unit/userspace/controller/fixture.h"

#define DOC(text) "[{\"file\":\"r.yaml\",\"text\":\"" text "\"}]"
#define HEAD(name) "apiVersion: cellwall.io/v1alpha1\\nkind: ClusterAccessRule\\nmetadata: {name: " name "}\\nspec:\\n"
#define WEB_DB HEAD("web-db") "  action: allow\\n  from: [{namespace: shop, labels: {app: web}}]\\n" \
	"  to: [{namespace: data}]\\n  ports: [tcp/5432]\\n"
#define WEB_DB_WIDE HEAD("web-db") "  action: allow\\n  from: [{namespace: shop, labels: {app: web}}]\\n" \
	"  to: [{namespace: data}]\\n  ports: [tcp/5432-5433]\\n"
#define NO_DB HEAD("no-db") "  action: block\\n  from: [{namespace: shop}]\\n  to: [{namespace: data}]\\n"
#define OUT HEAD("out") "  action: allow\\n  from: [{namespace: shop, controller: Deployment/web}]\\n" \
	"  to: [{cidr: 203.0.113.0/24, except: [203.0.113.64/26]}]\\n  ports: [udp/53]\\n"

#define NP "apiVersion: networking.k8s.io/v1\\nkind: NetworkPolicy\\nmetadata: {name: db, namespace: data}\\nspec:\\n" \
	"  podSelector: {}\\n  ingress:\\n  - from: [{namespaceSelector: {matchLabels: {kubernetes.io/metadata.name: shop}}}]\\n" \
	"    ports: [{protocol: TCP, port: 5432}]\\n"

#define PAY HEAD("pay") "  action: allow\\n  from: [{namespace: shop, controller: Deployment/web}]\\n" \
	"  to: [{fqdn: \\\"*.example.com\\\"}]\\n  ports: [tcp/443]\\n"

static void ask_query(struct fixture *fx, const cJSON *w, bool passes)
{
	char path[900];
	struct call k;

	snprintf(path, sizeof(path), "/v1/query?src=%s&dst=%s&port=%s&assume=shop=enforce,data=enforce", str_at(w, "src"),
		 str_at(w, "dst"), str_at(w, "port"));
	k = GET(fx, path);
	assert_status(k, 200);
	assert_true(bool_at(k.json, "passes") == passes);
	call_done(&k);
}

static void diff_documents(void **state)
{
	struct fixture *fx = *state;
	auto_free char *before = NULL, *after = NULL;
	struct call k;

	world(fx);
	before = dump(fx);
	k = POST(fx, "/v1/diff", "{\"a\":{\"live\":true},\"b\":{\"documents\":" DOC(WEB_DB) "}}");
	assert_status(k, 200);
	assert_int_equal(num_at(k.json, "ranges"), 1);
	assert_int_equal(num_at(k.json, "opens"), 1);
	assert_int_equal(num_at(k.json, "breaks"), 0);
	assert_int_equal(len_at(k.json, "items"), 1);
	assert_string_equal(str_at(k.json, "items.0.effect"), "opens");
	assert_string_equal(str_at(k.json, "items.0.was"), "block");
	assert_string_equal(str_at(k.json, "items.0.becomes"), "allow");
	assert_string_equal(str_at(k.json, "items.0.side"), "both");
	assert_int_equal(len_at(k.json, "items.0.src"), 1);
	assert_string_equal(str_at(k.json, "items.0.src.0"), "shop/deploy/web");
	assert_string_equal(str_at(k.json, "items.0.dst.0"), "data/sts/db");
	assert_string_equal(str_at(k.json, "items.0.ports.0"), "tcp/5432");
	assert_string_equal(str_at(k.json, "items.0.wasBy.tier"), "default");
	assert_string_equal(str_at(k.json, "items.0.by.rule"), "web-db");
	assert_string_equal(str_at(k.json, "items.0.witness.src"), "shop/pod/web-1");
	assert_string_equal(str_at(k.json, "items.0.witness.dst"), "data/pod/db-0");
	assert_string_equal(str_at(k.json, "items.0.witness.port"), "tcp/5432");
	ask_query(fx, at(k.json, "items.0.witness"), false);
	call_done(&k);
	/* the other way round it breaks */
	k = POST(fx, "/v1/diff", "{\"b\":{\"live\":true},\"a\":{\"documents\":" DOC(WEB_DB) "}}");
	assert_status(k, 200);
	assert_int_equal(num_at(k.json, "breaks"), 1);
	call_done(&k);
	/* a prefix with an exception, as a destination */
	k = POST(fx, "/v1/diff", "{\"a\":{\"live\":true},\"b\":{\"documents\":" DOC(OUT) "}}");
	assert_status(k, 200);
	assert_int_equal(len_at(k.json, "items"), 1);
	assert_string_equal(str_at(k.json, "items.0.side"), "egress");
	assert_string_equal(str_at(k.json, "items.0.dst.0"), "203.0.113.0/24 except 203.0.113.64/26");
	assert_string_equal(str_at(k.json, "items.0.witness.dst"), "203.0.113.1");
	call_done(&k);
	/* a Kubernetes policy opens what it lists, at its own side */
	k = POST(fx, "/v1/diff", "{\"a\":{\"live\":true},\"b\":{\"documents\":" DOC(NP) "}}");
	assert_status(k, 200);
	assert_int_equal(len_at(k.json, "items"), 1);
	assert_string_equal(str_at(k.json, "items.0.side"), "ingress");
	assert_string_equal(str_at(k.json, "items.0.src.0"), "ns/shop");
	assert_string_equal(str_at(k.json, "items.0.dst.0"), "data/sts/db");
	assert_string_equal(str_at(k.json, "items.0.by.tier"), "networkpolicy");
	assert_string_equal(str_at(k.json, "items.0.by.rule"), "data/db");
	call_done(&k);
	k = POST(fx, "/v1/diff", "{\"a\":{\"live\":true},\"b\":{\"live\":true}}");
	assert_status(k, 200);
	assert_int_equal(num_at(k.json, "ranges"), 0);
	call_done(&k);
	after = dump(fx);
	assert_string_equal(before, after);
}

static void diff_generations(void **state)
{
	struct fixture *fx = *state;
	char body[200];
	uint64_t gen;
	struct call k;

	world(fx);
	k = POST(fx, "/v1/rules/apply", "{\"documents\":" DOC(WEB_DB) "}");
	assert_status(k, 200);
	call_done(&k);
	gen = generation(fx);
	/* the plan says on how many ranges verdicts differ */
	k = POST(fx, "/v1/rules/apply?dryRun=1", "{\"documents\":" DOC(WEB_DB_WIDE) "}");
	assert_status(k, 200);
	assert_int_equal(num_at(k.json, "verdictsDiffer"), 1);
	call_done(&k);
	k = POST(fx, "/v1/rules/apply", "{\"documents\":" DOC(WEB_DB_WIDE) "}");
	assert_status(k, 200);
	call_done(&k);
	snprintf(body, sizeof(body), "{\"a\":{\"generation\":%llu},\"b\":{\"live\":true}}", (unsigned long long)gen);
	k = POST(fx, "/v1/diff", body);
	assert_status(k, 200);
	assert_int_equal(num_at(k.json, "ranges"), 1);
	assert_string_equal(str_at(k.json, "items.0.ports.0"), "tcp/5433");
	ask_query(fx, at(k.json, "items.0.witness"), true);
	call_done(&k);
	snprintf(body, sizeof(body), "{\"a\":{\"generation\":%llu},\"b\":{\"live\":true}}", (unsigned long long)gen + 77);
	k = POST(fx, "/v1/diff", body);
	assert_status(k, 404);
	assert_string_equal(str_at(k.json, "items.0.name"), "diff.generation");
	call_done(&k);
}

/* A name is a destination of its own, and the witness can be asked about. */
static void diff_names(void **state)
{
	struct fixture *fx = *state;
	struct call k;

	world(fx);
	k = POST(fx, "/v1/diff", "{\"a\":{\"live\":true},\"b\":{\"documents\":" DOC(PAY) "}}");
	assert_status(k, 200);
	assert_int_equal(len_at(k.json, "items"), 1);
	assert_string_equal(str_at(k.json, "items.0.effect"), "opens");
	assert_string_equal(str_at(k.json, "items.0.side"), "egress");
	assert_string_equal(str_at(k.json, "items.0.src.0"), "shop/deploy/web");
	assert_int_equal(len_at(k.json, "items.0.dst"), 1);
	assert_string_equal(str_at(k.json, "items.0.dst.0"), "fqdn/*.example.com");
	assert_string_equal(str_at(k.json, "items.0.witness.dst"), "fqdn/any-name.example.com");
	ask_query(fx, at(k.json, "items.0.witness"), false);
	call_done(&k);
	k = POST(fx, "/v1/rules/apply", "{\"documents\":" DOC(PAY) "}");
	assert_status(k, 200);
	call_done(&k);
	k = GET(fx, "/v1/query?src=shop/deploy/web&dst=fqdn/pay.example.com&port=tcp/443&assume=shop=enforce");
	assert_status(k, 200);
	assert_true(bool_at(k.json, "passes"));
	assert_string_equal(str_at(k.json, "egress.by.rule"), "pay");
	call_done(&k);
	k = GET(fx, "/v1/query?src=shop/deploy/web&dst=fqdn/example.org&port=tcp/443&assume=shop=enforce");
	assert_status(k, 200);
	assert_false(bool_at(k.json, "passes"));
	call_done(&k);
	k = GET(fx, "/v1/query?src=fqdn/pay.example.com&dst=shop/deploy/web&port=tcp/443");
	assert_status(k, 400);
	call_done(&k);
}

static void lint_rows(void **state)
{
	struct fixture *fx = *state;
	auto_free char *before = NULL, *after = NULL;
	struct call k;

	world(fx);
	k = POST(fx, "/v1/rules/lint", "{}");
	assert_status(k, 200);
	assert_int_equal(len_at(k.json, "items"), 0);
	call_done(&k);
	k = POST(fx, "/v1/rules/apply", "{\"documents\":" DOC(NO_DB) "}");
	assert_status(k, 200);
	call_done(&k);
	before = dump(fx);
	k = POST(fx, "/v1/rules/lint", "{\"documents\":" DOC(WEB_DB) "}");
	assert_status(k, 200);
	assert_int_equal(len_at(k.json, "items"), 1);
	assert_string_equal(str_at(k.json, "items.0.kind"), "lint.shadowed");
	assert_string_equal(str_at(k.json, "items.0.rule"), "web-db");
	assert_int_equal(num_at(k.json, "items.0.ruleId"), 0);
	assert_string_equal(str_at(k.json, "items.0.by.0.rule"), "no-db");
	assert_string_equal(str_at(k.json, "items.0.next"), "cellwall explain lint.shadowed");
	call_done(&k);
	after = dump(fx);
	assert_string_equal(before, after);
}

static void lint_recorded(void **state)
{
	struct fixture *fx = *state;
	struct learn one = { "shop", "web-1", "data", "db-0", 5432, 7, 7, CW_OUT_ALLOW, CW_OUT_ALLOW, CW_R_RULE, 0 };
	struct call k;

	world(fx);
	history(fx);
	k = POST(fx, "/v1/rules/apply", "{\"documents\":[{\"file\":\"r.yaml\",\"text\":\"" WEB_DB_WIDE "---\\n" OUT "\"}]}");
	assert_status(k, 200);
	call_done(&k);
	/* too young to be called unused */
	k = POST(fx, "/v1/rules/lint", "{}");
	assert_int_equal(len_at(k.json, "items"), 0);
	call_done(&k);
	fx->now += DAY_NS + HOUR_NS;
	one.rule = state_rule(&fx->c->state, NULL, "web-db")->id;
	learn(fx, &one);
	k = POST(fx, "/v1/rules/lint", "{}");
	assert_status(k, 200);
	assert_int_equal(len_at(k.json, "items"), 2);
	assert_string_equal(str_at(k.json, "items.0.kind"), "lint.wide");
	assert_string_equal(str_at(k.json, "items.0.rule"), "web-db");
	assert_int_equal(len_at(k.json, "items.0.seen.ports"), 1);
	assert_string_equal(str_at(k.json, "items.0.seen.ports.0"), "tcp/5432");
	assert_string_equal(str_at(k.json, "items.0.seen.from.0"), "shop/deploy/web");
	assert_true(bool_at(k.json, "items.0.unseen.ports"));
	assert_int_equal(len_at(k.json, "items.0.unseen.from"), 0);
	assert_int_equal(num_at(k.json, "items.0.flows"), 14);
	assert_string_equal(str_at(k.json, "items.1.kind"), "lint.unused");
	assert_string_equal(str_at(k.json, "items.1.rule"), "out");
	assert_string_equal(str_at(k.json, "items.1.since"), "2026-03-12T08:00:00Z");
	call_done(&k);
	/* what is as wide as what was seen is not reported */
	k = POST(fx, "/v1/rules/apply", "{\"documents\":" DOC(WEB_DB) "}");
	assert_status(k, 200);
	call_done(&k);
	k = POST(fx, "/v1/rules/lint", "{}");
	assert_int_equal(len_at(k.json, "items"), 1);
	assert_string_equal(str_at(k.json, "items.0.rule"), "out");
	call_done(&k);
}

static void bad_bodies(void **state)
{
	static const struct { const char *path, *body, *name, *at; int status; } rows[] = {
		{ "/v1/diff", "{}", "body.missing", "body.a", 400 },
		{ "/v1/diff", "{\"a\":{\"live\":true}}", "body.missing", "body.b", 400 },
		{ "/v1/diff", "{\"a\":{\"live\":true},\"b\":{}}", "diff.set", "body.b", 400 },
		{ "/v1/diff", "{\"a\":{\"live\":true},\"b\":{\"live\":true,\"generation\":1}}", "diff.set", "body.b", 400 },
		{ "/v1/diff", "{\"a\":{\"live\":true},\"b\":{\"generation\":1.5}}", "body.type", "body.b", 400 },
		{ "/v1/diff", "{\"a\":{\"live\":true},\"b\":{\"documents\":[]}}", "body.type", "body.documents", 400 },
		{ "/v1/diff", "{\"a\":{\"live\":true},\"b\":7}", "body.type", "body.b", 400 },
		{ "/v1/rules/lint", "{\"since\":\"yesterday\"}", "query.time", "body.since", 400 },
		{ "/v1/rules/lint", "{\"prune\":1}", "body.type", "body.prune", 400 },
	};
	struct fixture *fx = *state;

	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		struct call k = POST(fx, rows[i].path, rows[i].body);

		if (k.status != rows[i].status || strcmp(str_at(k.json, "items.0.name"), rows[i].name) ||
		    strcmp(str_at(k.json, "items.0.at"), rows[i].at))
			fail_msg("%s: %d %s", rows[i].body, k.status, text_of(&k));
		call_done(&k);
	}
}

int main(void)
{
#define T(fn) cmocka_unit_test_setup_teardown(fn, fixture_setup, fixture_teardown)
	const struct CMUnitTest tests[] = {
		T(diff_documents), T(diff_generations), T(diff_names), T(lint_rows), T(lint_recorded), T(bad_bodies),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
