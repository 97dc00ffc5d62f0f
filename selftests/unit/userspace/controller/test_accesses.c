/* SPDX-License-Identifier: Apache-2.0 */
/* test_accesses.c - confirm, reject, undo; modes and their precedence; quarantine; simulate against query. */
#include "selftests/unit/userspace/controller/fixture.h"

#define DOCS(text) "{\"documents\":[{\"file\":\"r.yaml\",\"text\":\"" text "\"}]}"
#define DB_ONLY "apiVersion: cellwall.io/v1alpha1\\nkind: ClusterAccessRule\\nmetadata: {name: db-only}\\nspec:\\n"	\
	"  action: block\\n  from: [{namespace: shop, matchExpressions: [{key: app, operator: NotIn, values: [cart]}]}]\\n"	\
	"  to: [{namespace: data, labels: {app: db}}]\\n  ports: [tcp/5432]\\n"

static const struct access *find(struct fixture *fx, const char *src, const char *dst)
{
	for (size_t i = 0; i < access_book_count(fx->c->book); i++) {
		const struct access *a = access_book_at(fx->c->book, i);

		if (!strcmp(a->src->ref, src) && !strcmp(a->dst->ref, dst))
			return a;
	}
	fail_msg("no access %s -> %s", src, dst);
	return NULL;
}

static void bulk_confirm(void **state)
{
	struct fixture *fx = *state;
	const struct access *smtp, *db;
	struct call k;
	char path[96];

	world(fx);
	history(fx);
	smtp = find(fx, "shop/deploy/web", "203.0.113.99");
	db = find(fx, "shop/deploy/web", "data/sts/db");
	k = GET(fx, "/v1/accesses?namespace=shop&state=pending");
	assert_status(k, 200);
	assert_int_equal(num_at(k.json, "meta.total"), 4);
	assert_int_equal(num_at(k.json, "meta.counts.answered"), 3);
	assert_int_equal(num_at(k.json, "meta.counts.attempted"), 1);
	call_done(&k);
	k = POST(fx, "/v1/accesses/confirm", "{\"filter\":{\"namespace\":\"shop\"}}");
	assert_status(k, 200);
	assert_int_equal(num_at(k.json, "counts.add"), 3);
	assert_int_equal(len_at(k.json, "skipped"), 1);
	assert_string_equal(str_at(k.json, "skipped.0.id"), smtp->id);
	assert_string_equal(str_at(k.json, "skipped.0.why"), "not-answered");
	assert_int_equal(len_at(k.json, "stillBlocked"), 0);
	call_done(&k);
	assert_int_equal(access_state(db), ACCESS_ST_CONFIRMED);
	assert_int_equal(access_state(smtp), ACCESS_ST_PENDING);
	/* a dropped or unanswered one is confirmed by name */
	snprintf(path, sizeof(path), "{\"ids\":[\"%s\"]}", smtp->id);
	k = POST(fx, "/v1/accesses/confirm", path);
	assert_status(k, 200);
	call_done(&k);
	assert_int_equal(access_state(smtp), ACCESS_ST_CONFIRMED);
	k = POST(fx, "/v1/accesses/undo", path);
	assert_status(k, 200);
	assert_string_equal(str_at(k.json, "changes.0.op"), "-");
	call_done(&k);
	assert_int_equal(access_state(smtp), ACCESS_ST_PENDING);
	/* reject: a manual block rule in the caller's name */
	k = POST(fx, "/v1/accesses/reject", path);
	assert_status(k, 200);
	assert_string_equal(str_at(k.json, "changes.0.origin"), "manual");
	call_done(&k);
	assert_int_equal(access_state(smtp), ACCESS_ST_REJECTED);
	snprintf(path, sizeof(path), "/v1/rules/rejected-%s", smtp->id);
	k = GET(fx, path);
	assert_status(k, 200);
	assert_string_equal(str_at(k.json, "action"), "block");
	assert_string_equal(str_at(k.json, "creator"), "root");
	call_done(&k);
	/* revert and rollback take decisions with them */
	k = POST(fx, "/v1/changes/4/revert", NULL);
	assert_status(k, 200);
	call_done(&k);
	assert_int_equal(access_state(smtp), ACCESS_ST_PENDING);
	k = POST(fx, "/v1/changes/0/rollback", NULL);
	assert_status(k, 200);
	call_done(&k);
	assert_int_equal(access_state(db), ACCESS_ST_PENDING);
	fixture_reopen(fx);
	assert_int_equal(access_state(find(fx, "shop/deploy/web", "data/sts/db")), ACCESS_ST_PENDING);
}

static void still_blocked(void **state)
{
	struct fixture *fx = *state;
	struct call k;

	world(fx);
	history(fx);
	k = POST(fx, "/v1/rules/apply", DOCS(DB_ONLY));
	assert_status(k, 200);
	call_done(&k);
	k = POST(fx, "/v1/accesses/confirm", "{\"filter\":{\"namespace\":\"shop\"}}");
	assert_status(k, 200);
	assert_int_equal(num_at(k.json, "counts.add"), 3);
	assert_int_equal(len_at(k.json, "stillBlocked"), 2);
	assert_string_equal(str_at(k.json, "stillBlocked.0.by.rule"), "db-only");
	assert_string_equal(str_at(k.json, "stillBlocked.0.by.tier"), "manual");
	call_done(&k);
}

static void mode(struct fixture *fx, const char *ref, const char *m, int status)
{
	char body[160];
	struct call k;

	snprintf(body, sizeof(body), "{\"refs\":[\"%s\"],\"mode\":\"%s\"}", ref, m);
	k = POST(fx, "/v1/modes/set?accept=not-ready", body);
	assert_status(k, status);
	call_done(&k);
}

static void expect_mode(struct fixture *fx, const char *name, const char *want, const char *from)
{
	struct call k;
	char path[96];

	snprintf(path, sizeof(path), "/v1/workloads/shop/%s", name);
	k = GET(fx, path);
	assert_status(k, 200);
	assert_string_equal(str_at(k.json, "mode"), want);
	assert_string_equal(str_at(k.json, "modeFrom"), from);
	call_done(&k);
}

static void mode_precedence(void **state)
{
	struct fixture *fx = *state;
	struct call k;

	world(fx);
	expect_mode(fx, "web-1", "learn", "default");
	mode(fx, "cluster", "off", 200);
	expect_mode(fx, "web-1", "off", "cluster");
	mode(fx, "ns/shop", "alert", 200);
	expect_mode(fx, "web-1", "alert", "namespace");
	mode(fx, "shop/deploy/web", "enforce", 200);
	expect_mode(fx, "web-1", "enforce", "controller");
	expect_mode(fx, "cart-1", "alert", "namespace");
	mode(fx, "shop/pod/web-1", "learn", 200);
	expect_mode(fx, "web-1", "learn", "workload");
	expect_mode(fx, "web-2", "enforce", "controller");
	k = GET(fx, "/v1/modes?ref=shop/deploy/web");
	assert_status(k, 200);
	assert_string_equal(str_at(k.json, "items.0.mode"), "enforce");
	assert_int_equal(num_at(k.json, "items.0.workloads"), 2);
	call_done(&k);
	k = POST(fx, "/v1/modes/unset", "{\"refs\":[\"shop/pod/web-1\",\"shop/deploy/web\"]}");
	assert_status(k, 200);
	call_done(&k);
	expect_mode(fx, "web-1", "alert", "namespace");
	k = POST(fx, "/v1/modes/unset", "{\"refs\":[\"shop/deploy/web\"]}");
	assert_status(k, 404);
	assert_string_equal(str_at(k.json, "items.0.name"), "mode.not-set");
	call_done(&k);
	mode(fx, "shop/deploy/wbe", "learn", 404);
	mode(fx, "10.0.0.0/8", "learn", 400);
	/* a narrow setting survives a wide one */
	mode(fx, "shop/deploy/cart", "enforce", 200);
	mode(fx, "ns/shop", "learn", 200);
	expect_mode(fx, "cart-1", "enforce", "controller");
}

static void not_ready(void **state)
{
	struct fixture *fx = *state;
	auto_free char *before = NULL, *after = NULL;
	struct call k;

	world(fx);
	history(fx);
	before = dump(fx);
	k = POST(fx, "/v1/modes/set", "{\"refs\":[\"ns/shop\",\"ns/data\"],\"mode\":\"enforce\"}");
	assert_status(k, 409);
	assert_string_equal(str_at(k.json, "items.0.name"), "mode.not-ready");
	assert_string_equal(str_at(k.json, "items.0.next"), "cellwall ready -n shop");
	call_done(&k);
	after = dump(fx);
	assert_string_equal(before, after);
	k = POST(fx, "/v1/modes/set?dryRun=1", "{\"refs\":[\"ns/shop\"],\"mode\":\"enforce\"}");
	assert_status(k, 200);
	assert_string_equal(str_at(k.json, "needs.0.accept"), "not-ready");
	assert_string_equal(str_at(k.json, "needs.0.namespace"), "shop");
	assert_true(bool_at(k.json, "canDrop"));
	/* nothing is allowed yet: every access of shop breaks */
	assert_int_equal(num_at(k.json, "accessCounts.breaks"), 4);
	assert_int_equal(num_at(k.json, "changes.0.workloads"), 4);
	assert_string_equal(str_at(k.json, "changes.0.was"), "learn");
	assert_string_equal(str_at(k.json, "changes.0.becomes"), "enforce");
	call_done(&k);
	k = GET(fx, "/v1/ready?namespace=shop");
	assert_status(k, 200);
	assert_false(bool_at(k.json, "items.0.ready"));
	call_done(&k);
}

static void quarantine(void **state)
{
	struct fixture *fx = *state;
	struct call k;

	world(fx);
	history(fx);
	k = POST(fx, "/v1/quarantines", "{\"ref\":\"shop/pod/rogue\",\"reason\":\"scan\",\"for\":\"24h\","
		 "\"allow\":[{\"cidr\":\"192.0.2.10/32\",\"ports\":[\"tcp/22\"]}]}");
	assert_status(k, 200);
	assert_string_equal(str_at(k.json, "undo"), "cellwall quarantine release shop/pod/rogue");
	assert_string_equal(str_at(k.json, "changes.0.kind"), "quarantine");
	assert_int_equal(num_at(k.json, "changes.0.workloads"), 1);
	call_done(&k);
	assert_int_equal(fx->node.quarantines, 1);
	k = GET(fx, "/v1/quarantines");
	assert_string_equal(str_at(k.json, "items.0.name"), "rogue-20260312");
	assert_string_equal(str_at(k.json, "items.0.uid"), "5b1e");
	assert_string_equal(str_at(k.json, "items.0.until"), "2026-03-13T08:00:00Z");
	assert_string_equal(str_at(k.json, "items.0.workloads.0"), "shop/pod/rogue");
	call_done(&k);
	k = GET(fx, "/v1/query?src=shop/pod/rogue&dst=data/sts/db&port=tcp/5432");
	assert_status(k, 200);
	assert_false(bool_at(k.json, "passes"));
	assert_string_equal(str_at(k.json, "egress.by.tier"), "quarantine");
	call_done(&k);
	/* the exception holds, both ways */
	k = GET(fx, "/v1/query?src=192.0.2.10&dst=shop/pod/rogue&port=tcp/22");
	assert_status(k, 200);
	assert_true(bool_at(k.json, "passes"));
	call_done(&k);
	k = GET(fx, "/v1/query?src=192.0.2.10&dst=shop/pod/rogue&port=tcp/23");
	assert_false(bool_at(k.json, "passes"));
	call_done(&k);
	/* again: the same one with a new end */
	k = POST(fx, "/v1/quarantines", "{\"ref\":\"shop/pod/rogue\",\"reason\":\"scan\",\"for\":\"1h\"}");
	assert_status(k, 200);
	assert_string_equal(str_at(k.json, "changes.0.op"), "~");
	call_done(&k);
	assert_int_equal(fx->c->state.nquarantines, 1);
	/* ends by itself */
	fx->now += 3601 * SECOND_NS;
	controller_tick(fx->c);
	assert_int_equal(fx->c->state.nquarantines, 0);
	assert_int_equal(fx->node.quarantines, 0);
	/* a controller: all replicas */
	k = POST(fx, "/v1/quarantines", "{\"ref\":\"shop/deploy/web\",\"reason\":\"malware\"}");
	assert_status(k, 200);
	assert_int_equal(num_at(k.json, "changes.0.workloads"), 2);
	call_done(&k);
	k = POST(fx, "/v1/quarantines/release", "{\"refs\":[\"shop/deploy/cart\"]}");
	assert_status(k, 404);
	call_done(&k);
	k = POST(fx, "/v1/quarantines/release", "{\"refs\":[\"shop/deploy/web\"]}");
	assert_status(k, 200);
	call_done(&k);
	assert_int_equal(fx->node.quarantines, 0);
}

static void simulate(void **state)
{
	struct fixture *fx = *state;
	auto_free char *before = NULL, *after = NULL;
	struct call k, plan;

	world(fx);
	history(fx);
	k = POST(fx, "/v1/accesses/confirm", "{\"filter\":{\"namespace\":\"shop\"}}");
	assert_status(k, 200);
	call_done(&k);
	before = dump(fx);
	k = POST(fx, "/v1/simulate", DOCS(DB_ONLY));
	assert_status(k, 200);
	assert_int_equal(num_at(k.json, "accesses"), 4);
	assert_int_equal(num_at(k.json, "flows"), 166);
	assert_int_equal(num_at(k.json, "breaks"), 1);
	assert_int_equal(num_at(k.json, "unchanged"), 3);
	assert_int_equal(num_at(k.json, "unresolved"), 0);
	assert_string_equal(str_at(k.json, "items.0.src"), "shop/deploy/web");
	assert_string_equal(str_at(k.json, "items.0.dst"), "data/sts/db");
	assert_string_equal(str_at(k.json, "items.0.was"), "allow");
	assert_string_equal(str_at(k.json, "items.0.becomes"), "block");
	assert_string_equal(str_at(k.json, "items.0.side"), "both");
	assert_string_equal(str_at(k.json, "items.0.by.rule"), "db-only");
	assert_int_equal(num_at(k.json, "items.0.flows"), 7);
	call_done(&k);
	after = dump(fx);
	assert_string_equal(before, after);
	/* what the plan says of the same change under enforce is the same */
	k = POST(fx, "/v1/modes/set?accept=not-ready", "{\"refs\":[\"ns/shop\",\"ns/data\"],\"mode\":\"enforce\"}");
	assert_status(k, 200);
	call_done(&k);
	plan = POST(fx, "/v1/rules/apply?dryRun=1", DOCS(DB_ONLY));
	assert_status(plan, 200);
	assert_int_equal(num_at(plan.json, "accessCounts.breaks"), 1);
	assert_string_equal(str_at(plan.json, "accesses.0.becomes"), "block");
	call_done(&plan);
	/* and once made, query says it */
	k = POST(fx, "/v1/rules/apply", DOCS(DB_ONLY));
	assert_status(k, 200);
	call_done(&k);
	k = GET(fx, "/v1/query?src=shop/deploy/web&dst=data/sts/db&port=tcp/5432");
	assert_status(k, 200);
	assert_false(bool_at(k.json, "passes"));
	assert_int_equal(num_at(k.json, "members.pairs"), 2);
	assert_int_equal(num_at(k.json, "members.passing"), 0);
	assert_string_equal(str_at(k.json, "egress.outcome"), "block");
	assert_string_equal(str_at(k.json, "egress.by.rule"), "db-only");
	assert_string_equal(str_at(k.json, "egress.chain.0.tier"), "quarantine");
	assert_string_equal(str_at(k.json, "egress.chain.0.result"), "no");
	assert_string_equal(str_at(k.json, "egress.chain.2.tier"), "manual");
	assert_string_equal(str_at(k.json, "egress.chain.2.result"), "block");
	call_done(&k);
	k = GET(fx, "/v1/query?src=shop/deploy/cart&dst=data/sts/db&port=tcp/pg");
	assert_status(k, 200);
	assert_true(bool_at(k.json, "passes"));
	assert_string_equal(str_at(k.json, "ingress.by.tier"), "learned");
	call_done(&k);
}

/* Live flows are judged as the replay predicted, for every access and candidate. */
static void simulate_equals_judge(void **state)
{
	static const char *const rules[] = {
		DB_ONLY,
		"apiVersion: cellwall.io/v1alpha1\\nkind: AccessRule\\nmetadata: {name: a, namespace: data}\\nspec:\\n  action: allow\\n"
		"  from: [{namespace: shop}]\\n  to: [{labels: {app: db}}]\\n  ports: [tcp/pg]\\n",
		"apiVersion: cellwall.io/v1alpha1\\nkind: ClusterAccessRule\\nmetadata: {name: b}\\nspec:\\n  action: block\\n"
		"  from: [{any: true}]\\n  to: [{cidr: 203.0.113.0/24}]\\n",
		"apiVersion: cellwall.io/v1alpha1\\nkind: ClusterAccessRule\\nmetadata: {name: c}\\nspec:\\n  action: alert\\n"
		"  from: [{namespace: shop, controller: Deployment/web}]\\n  to: [{any: true}]\\n  ports: [tcp/1-9999]\\n",
	};
	struct fixture *fx = *state;

	world(fx);
	history(fx);
	mode(fx, "ns/shop", "enforce", 200);
	for (size_t i = 0; i < ARRAY_SIZE(rules); i++) {
		auto_free char *body = NULL;
		struct call sim, k;

		assert_true(asprintf(&body, "{\"as\":\"live\",\"documents\":[{\"file\":\"r.yaml\",\"text\":\"%s\"}]}", rules[i]) > 0);
		sim = POST(fx, "/v1/simulate", body);
		assert_status(sim, 200);
		free(body);
		assert_true(asprintf(&body, "{\"documents\":[{\"file\":\"r.yaml\",\"text\":\"%s\"}]}", rules[i]) > 0);
		k = POST(fx, "/v1/rules/apply", body);
		assert_status(k, 200);
		call_done(&k);
		for (size_t n = 0; n < len_at(sim.json, "items"); n++) {
			char path[400], field[32];
			const char *side;

			snprintf(field, sizeof(field), "items.%zu", n);
			side = str_at(at(sim.json, field), "side");
			snprintf(path, sizeof(path), "/v1/query?src=%s&dst=%s&port=%s", str_at(at(sim.json, field), "src"),
				 str_at(at(sim.json, field), "dst"), str_at(at(sim.json, field), "port"));
			k = GET(fx, path);
			assert_status(k, 200);
			if (strcmp(side, "both")) {
				snprintf(path, sizeof(path), "%s.outcome", side);
				assert_string_equal(str_at(k.json, path), str_at(at(sim.json, field), "becomes"));
			}
			call_done(&k);
		}
		call_done(&sim);
	}
}

static void alerts_and_explain(void **state)
{
	static const struct learn would = { "shop", "rogue", "data", "db-0", 5432, 614, 0, CW_OUT_WOULD_BLOCK, CW_OUT_WOULD_BLOCK,
					    CW_R_RULE, 1 };
	struct fixture *fx = *state;
	struct call k;
	char path[160];

	world(fx);
	k = POST(fx, "/v1/rules/apply", DOCS(DB_ONLY));
	assert_status(k, 200);
	call_done(&k);
	learn(fx, &would);
	k = GET(fx, "/v1/alerts?namespace=shop");
	assert_status(k, 200);
	assert_true(len_at(k.json, "items") >= 1);
	assert_string_equal(str_at(k.json, "items.0.by.rule"), "db-only");
	assert_int_equal(num_at(k.json, "items.0.count"), 614);
	snprintf(path, sizeof(path), "/v1/explain?what=%s", str_at(k.json, "items.0.id"));
	call_done(&k);
	k = GET(fx, path);
	assert_status(k, 200);
	assert_string_equal(str_at(k.json, "subject"), "alert");
	assert_string_equal(str_at(k.json, "key"), "would-block");
	assert_string_equal(str_at(k.json, "params.who"), "shop/pod/rogue");
	assert_string_equal(str_at(k.json, "params.rule"), "db-only");
	assert_string_equal(str_at(k.json, "params.ruleCreator"), "root");
	assert_string_equal(str_at(k.json, "params.next"), "cellwall simulate -n shop");
	call_done(&k);
	snprintf(path, sizeof(path), "{\"ids\":[\"%s\"],\"note\":\"known\"}", strrchr(path, '=') + 1);
	k = POST(fx, "/v1/alerts/ack", path);
	assert_status(k, 200);
	assert_string_equal(str_at(k.json, "items.0.ackedBy"), "root");
	call_done(&k);
	k = GET(fx, "/v1/explain?what=spoof-ip");
	assert_status(k, 200);
	assert_int_equal(num_at(k.json, "params.counters.dropped"), 40);
	call_done(&k);
	k = GET(fx, "/v1/explain?what=rule.port-range");
	assert_string_equal(str_at(k.json, "subject"), "error");
	call_done(&k);
	k = GET(fx, "/v1/explain?what=nonsense");
	assert_status(k, 404);
	call_done(&k);
}

static void topology(void **state)
{
	static const char *const formats[] = { "json", "dot", "graphml", "mermaid", "csv", "tree" };
	struct fixture *fx = *state;
	struct call k;

	world(fx);
	history(fx);
	for (size_t i = 0; i < ARRAY_SIZE(formats); i++) {
		auto_free char *first = NULL;
		char path[96];

		snprintf(path, sizeof(path), "/v1/topology?level=controller&format=%s", formats[i]);
		k = GET(fx, path);
		assert_status(k, 200);
		if (!strstr(text_of(&k), "web"))
			fail_msg("%s: %s", formats[i], text_of(&k));
		first = strdup(text_of(&k));
		call_done(&k);
		k = GET(fx, path);
		assert_string_equal(first, text_of(&k));
		call_done(&k);
	}
	k = GET(fx, "/v1/topology?level=pod&format=csv");
	assert_status(k, 200);
	assert_non_null(strstr(text_of(&k), "shop/pod/web-1"));
	call_done(&k);
	k = GET(fx, "/v1/topology?level=label&format=csv");
	assert_non_null(strstr(text_of(&k), "shop/app=web"));
	call_done(&k);
	fx->now += HOUR_NS;
	{
		static const struct learn more = { "shop", "rogue", "shop", "cart-1", 9090, 1, 1, CW_OUT_NO_RULE, CW_OUT_NO_RULE,
						   CW_R_DEFAULT, 0 };

		learn(fx, &more);
	}
	k = GET(fx, "/v1/topology/diff?from=30m&to=0s");
	assert_status(k, 200);
	assert_non_null(strstr(text_of(&k), "shop/pod/rogue"));
	assert_null(strstr(text_of(&k), "data/sts/db"));
	call_done(&k);
}

int main(void)
{
#define T(fn) cmocka_unit_test_setup_teardown(fn, fixture_setup, fixture_teardown)
	const struct CMUnitTest tests[] = {
		T(bulk_confirm), T(still_blocked), T(mode_precedence), T(not_ready), T(quarantine), T(simulate),
		T(simulate_equals_judge), T(alerts_and_explain), T(topology),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
