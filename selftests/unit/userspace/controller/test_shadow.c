/* SPDX-License-Identifier: Apache-2.0 */
/* test_shadow.c - a candidate beside what is in force: counted from its start, exact, durable, ended. */
#include "selftests/unit/userspace/controller/fixture.h"

#define RULE(name, action, from, to, port)						\
	"apiVersion: cellwall.io/v1alpha1\\nkind: ClusterAccessRule\\nmetadata: {name: " name "}\\n"	\
	"spec:\\n  action: " action "\\n  from: [" from "]\\n  to: [" to "]\\n  ports: [" port "]\\n"
#define DOCS(text) "{\"documents\":[{\"file\":\"r.yaml\",\"text\":\"" text "\"}]}"
#define WEB "{namespace: shop, labels: {app: web}}"
#define NO_DB RULE("no-db", "block", WEB, "{namespace: data}", "tcp/5432")
#define OPEN RULE("open", "allow", "{any: true}", "{any: true}", "any")

static void flows(struct fixture *fx, const char *src, const char *dst_ns, const char *dst, uint16_t port, uint64_t n)
{
	const struct learn l = { "shop", src, dst_ns, dst, port, n, n, CW_OUT_NO_RULE,
				 dst_ns ? CW_OUT_NO_RULE : CW_OUT_NONE, CW_R_DEFAULT, 0 };

	learn(fx, &l);
}

static void post_ok(struct fixture *fx, const char *path, const char *body)
{
	struct call k = POST(fx, path, body);

	assert_status(k, 200);
	call_done(&k);
}

static struct call status(struct fixture *fx)
{
	struct call k = GET(fx, "/v1/shadow");

	assert_status(k, 200);
	assert_string_equal(str_at(k.json, "kind"), "Shadow");
	return k;
}

static void none(void **state)
{
	struct fixture *fx = *state;
	struct call k = GET(fx, "/v1/shadow");

	assert_status(k, 404);
	assert_string_equal(str_at(k.json, "items.0.name"), "shadow.none");
	assert_string_equal(str_at(k.json, "items.0.next"), "cellwall shadow start -f FILE");
	call_done(&k);
	k = call(fx, HTTP_DELETE, "/v1/shadow", NULL);
	assert_status(k, 404);
	call_done(&k);
}

static void counts_from_its_start(void **state)
{
	struct fixture *fx = *state;
	struct call k;

	world(fx);
	history(fx);
	post_ok(fx, "/v1/rules/apply", DOCS(OPEN));
	k = POST(fx, "/v1/shadow", "{\"name\":\"db-only\",\"documents\":[{\"file\":\"r.yaml\",\"text\":\"" NO_DB "\"}]}");
	assert_status(k, 200);
	assert_string_equal(str_at(k.json, "state"), "running");
	assert_int_equal(num_at(k.json, "candidate.add"), 1);
	call_done(&k);
	assert_int_equal(fx->node.rules, 1); /* the node knows nothing of it */
	k = status(fx);
	assert_int_equal(num_at(k.json, "accesses"), 0); /* what was before is not the shadow's */
	assert_int_equal(len_at(k.json, "items"), 0);
	call_done(&k);

	fx->now += HOUR_NS;
	flows(fx, "web-1", "data", "db-0", 5432, 3);
	flows(fx, "cart-1", "data", "db-0", 5432, 5);
	controller_tick(fx->c);
	fx->now += HOUR_NS;
	flows(fx, "web-2", "data", "db-0", 5432, 4); /* another replica, the same access */
	flows(fx, "web-1", NULL, "203.0.113.99", 25, 2);
	controller_tick(fx->c);
	k = status(fx);
	assert_string_equal(str_at(k.json, "name"), "db-only");
	assert_string_equal(str_at(k.json, "since"), "2026-03-12T08:00:00Z");
	assert_int_equal(num_at(k.json, "accesses"), 3);
	assert_int_equal(num_at(k.json, "flows"), 14);
	assert_int_equal(num_at(k.json, "breaks"), 1);
	assert_int_equal(num_at(k.json, "opens"), 0);
	assert_int_equal(num_at(k.json, "unchanged"), 2);
	assert_int_equal(num_at(k.json, "unresolved"), 0);
	assert_int_equal(len_at(k.json, "items"), 1);
	assert_string_equal(str_at(k.json, "items.0.was"), "allow");
	assert_string_equal(str_at(k.json, "items.0.becomes"), "block");
	assert_string_equal(str_at(k.json, "items.0.side"), "both");
	assert_string_equal(str_at(k.json, "items.0.src"), "shop/deploy/web");
	assert_string_equal(str_at(k.json, "items.0.dst"), "data/sts/db");
	assert_string_equal(str_at(k.json, "items.0.port"), "tcp/5432");
	assert_int_equal(num_at(k.json, "items.0.flows"), 7);
	assert_string_equal(str_at(k.json, "items.0.first"), "2026-03-12T09:00:00Z");
	assert_string_equal(str_at(k.json, "items.0.last"), "2026-03-12T10:00:00Z");
	assert_string_equal(str_at(k.json, "items.0.by.rule"), "no-db");
	assert_string_equal(str_at(k.json, "items.0.wasBy.rule"), "open");
	call_done(&k);
}

static void follows_rules_and_pods(void **state)
{
	struct fixture *fx = *state;
	struct call k;

	world(fx);
	post_ok(fx, "/v1/rules/apply", DOCS(OPEN));
	post_ok(fx, "/v1/shadow", DOCS(NO_DB));
	/* A pod that came after: its labels make it one of those that the rule means. */
	post_ok(fx, "/v1/workloads", "{\"namespace\":\"shop\",\"name\":\"new-1\",\"netns\":\"n1\",\"labels\":{\"app\":\"web\"},"
		"\"controller\":{\"kind\":\"Deployment\",\"name\":\"new\"}}");
	flows(fx, "new-1", "data", "db-0", 5432, 6);
	flows(fx, "web-1", "data", "db-0", 5432, 1);
	k = status(fx);
	assert_int_equal(num_at(k.json, "breaks"), 2);
	call_done(&k);
	/* Once its rules are in force nothing differs any more; what did stays listed. */
	post_ok(fx, "/v1/rules/apply", DOCS(NO_DB));
	flows(fx, "web-1", "data", "db-0", 5432, 10);
	flows(fx, "rogue", "data", "db-0", 5432, 1);
	k = status(fx);
	assert_int_equal(num_at(k.json, "candidate.add"), 0);
	assert_int_equal(num_at(k.json, "breaks"), 2);
	assert_int_equal(num_at(k.json, "accesses"), 3);
	assert_int_equal(num_at(k.json, "unchanged"), 1);
	for (size_t i = 0; i < 2; i++) {
		const cJSON *it = cJSON_GetArrayItem(at(k.json, "items"), (int)i);

		assert_int_equal(num_at(it, "flows"), strcmp(str_at(it, "src"), "shop/deploy/web") ? 6 : 1);
	}
	call_done(&k);
}

static void outlives_the_daemon(void **state)
{
	struct fixture *fx = *state;
	auto_free char *before = NULL, *after = NULL;
	struct call k;

	world(fx);
	history(fx);
	post_ok(fx, "/v1/rules/apply", DOCS(OPEN));
	post_ok(fx, "/v1/shadow", DOCS(NO_DB));
	flows(fx, "web-1", "data", "db-0", 5432, 3);
	k = status(fx);
	before = cJSON_PrintUnformatted(k.json);
	call_done(&k);
	fixture_reopen(fx);
	k = status(fx);
	after = cJSON_PrintUnformatted(k.json);
	call_done(&k);
	assert_string_equal(before, after);
	/* Counted by the kernel's accounts before the end, judged only afterwards: neither lost nor doubled. */
	flows(fx, "web-1", "data", "db-0", 5432, 30);
	flows(fx, "cart-1", "data", "db-0", 5432, 7);
	flows(fx, "rogue", "data", "db-0", 22, 2); /* an access that is new altogether */
	fixture_reopen(fx);
	k = status(fx);
	assert_int_equal(num_at(k.json, "flows"), 42);
	assert_int_equal(num_at(k.json, "accesses"), 3);
	assert_int_equal(num_at(k.json, "items.0.flows"), 33);
	call_done(&k);
	k = call(fx, HTTP_DELETE, "/v1/shadow", NULL);
	assert_status(k, 200);
	assert_string_equal(str_at(k.json, "state"), "stopped");
	assert_int_equal(num_at(k.json, "items.0.flows"), 33);
	call_done(&k);
	fixture_reopen(fx);
	k = GET(fx, "/v1/shadow");
	assert_status(k, 404);
	call_done(&k);
	/* a new one begins at nothing */
	post_ok(fx, "/v1/shadow", DOCS(NO_DB));
	k = status(fx);
	assert_int_equal(num_at(k.json, "flows"), 0);
	assert_int_equal(len_at(k.json, "items"), 0);
	call_done(&k);
}

static void refusals(void **state)
{
	static const struct { const char *body; int status; const char *name; } t[] = {
		{ "{}", 400, "body.missing" },
		{ "{\"documents\":[]}", 400, "body.type" },
		{ "{\"documents\":[{\"file\":\"x\",\"text\":\"kind: Nothing\"}]}", 400, NULL },
		{ "{\"documents\":[{\"file\":\"r.yaml\",\"text\":\"" NO_DB "\"}],\"as\":\"maybe\"}", 400, "simulate.as" },
		{ "{\"documents\":[{\"file\":\"r.yaml\",\"text\":\"" NO_DB "\"}],\"names\":\"x\"}", 400, NULL },
		{ "{\"documents\":[{\"file\":\"r.yaml\",\"text\":\"" NO_DB "\"}],\"name\":\"0123456789012345678901234567890123456789"
		  "012345678901234567890123456789\"}", 400, NULL },
	};
	struct fixture *fx = *state;
	auto_free char *before = NULL, *after = NULL;
	struct call k;

	world(fx);
	before = dump(fx);
	for (size_t i = 0; i < ARRAY_SIZE(t); i++) {
		k = POST(fx, "/v1/shadow", t[i].body);
		assert_status(k, t[i].status);
		if (t[i].name)
			assert_string_equal(str_at(k.json, "items.0.name"), t[i].name);
		call_done(&k);
		assert_null(fx->c->shadow);
	}
	after = dump(fx);
	assert_string_equal(before, after);
	post_ok(fx, "/v1/shadow", DOCS(NO_DB));
	k = POST(fx, "/v1/shadow", DOCS(OPEN));
	assert_status(k, 409);
	assert_string_equal(str_at(k.json, "items.0.name"), "shadow.running");
	assert_string_equal(str_at(k.json, "items.0.next"), "cellwall shadow stop");
	call_done(&k);
}

/* An end that nothing stands for any more is said to be such. */
static void what_it_cannot_tell(void **state)
{
	struct fixture *fx = *state;
	struct call k;

	world(fx);
	post_ok(fx, "/v1/shadow", DOCS(NO_DB));
	flows(fx, "rogue", "data", "db-0", 5432, 2);
	k = call(fx, HTTP_DELETE, "/v1/workloads/shop/rogue", NULL);
	assert_status(k, 200);
	call_done(&k);
	k = status(fx);
	assert_int_equal(num_at(k.json, "unresolved"), 1);
	assert_int_equal(num_at(k.json, "flows"), 2);
	assert_int_equal(num_at(k.json, "unchanged"), 0);
	call_done(&k);
}

/* The same accesses through the shadow as they come and through a replay afterwards. */
static void agrees_with_simulate(void **state)
{
	static const char *const src[] = { "web-1", "web-2", "cart-1", "rogue" };
	static const struct { const char *ns, *name; } dst[] = {
		{ "data", "db-0" }, { "shop", "cart-1" }, { "shop", "web-1" }, { NULL, "203.0.113.99" }, { NULL, "198.51.100.7" },
	};
	static const char docs[] = DOCS(NO_DB "---\\n" RULE("some", "allow", "{namespace: shop}", "{cidr: 203.0.113.0/24}",
							     "tcp/20-30") "---\\n"
					RULE("open", "allow", "{namespace: shop}", "{any: true}", "tcp/1-80"));
	struct fixture *fx = *state;
	struct call k, s;
	uint32_t seed = 7;

	world(fx);
	post_ok(fx, "/v1/rules/apply", DOCS(RULE("open", "allow", "{namespace: shop}", "{any: true}", "any")));
	post_ok(fx, "/v1/shadow", docs);
	for (int i = 0; i < 80; i++) {
		uint32_t r = seed = seed * 1664525u + 1013904223u;
		static const uint16_t ports[] = { 22, 25, 80, 443, 5432, 9090 };
		const char *from = src[(r >> 8) % 4];
		size_t to = (r >> 12) % 5;

		if (dst[to].ns && !strcmp(from, dst[to].name))
			continue;
		flows(fx, from, dst[to].ns, dst[to].name, ports[(r >> 20) % 6], 1 + (r >> 28));
		if (i % 9 == 0)
			controller_tick(fx->c);
	}
	k = status(fx);
	s = POST(fx, "/v1/simulate", docs);
	assert_status(s, 200);
	assert_int_equal(num_at(k.json, "accesses"), num_at(s.json, "accesses"));
	assert_int_equal(num_at(k.json, "flows"), num_at(s.json, "flows"));
	assert_int_equal(num_at(k.json, "breaks"), num_at(s.json, "breaks"));
	assert_int_equal(num_at(k.json, "opens"), num_at(s.json, "opens"));
	assert_int_equal(num_at(k.json, "differs"), num_at(s.json, "differs"));
	assert_true(num_at(k.json, "breaks") > 5);
	assert_int_equal(len_at(k.json, "items"), len_at(s.json, "items"));
	for (int i = 0; i < (int)len_at(k.json, "items"); i++) {
		static const char *const same[] = { "id", "was", "becomes", "side", "src", "dst", "port", "effect" };
		const cJSON *a = cJSON_GetArrayItem(at(k.json, "items"), i), *b = cJSON_GetArrayItem(at(s.json, "items"), i);

		for (size_t f = 0; f < ARRAY_SIZE(same); f++)
			assert_string_equal(str_at(a, same[f]), str_at(b, same[f]));
		assert_string_equal(str_at(a, "by.rule"), str_at(b, "by.rule"));
		assert_int_equal(num_at(a, "flows"), num_at(b, "flows"));
	}
	call_done(&k);
	call_done(&s);
}

int main(void)
{
#define T(fn) cmocka_unit_test_setup_teardown(fn, fixture_setup, fixture_teardown)
	const struct CMUnitTest tests[] = {
		T(none), T(counts_from_its_start), T(follows_rules_and_pods), T(outlives_the_daemon), T(refusals),
		T(what_it_cannot_tell), T(agrees_with_simulate),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
