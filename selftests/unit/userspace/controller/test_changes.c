/* SPDX-License-Identifier: Apache-2.0 */
/* test_changes.c - what becomes of live flows, receipts, and the way back to any generation kept. */
#include "selftests/unit/userspace/controller/fixture.h"

#define RULE(name, action, port)							\
	"apiVersion: cellwall.io/v1alpha1\\nkind: ClusterAccessRule\\nmetadata: {name: " name "}\\n"	\
	"spec:\\n  action: " action "\\n  from: [{namespace: shop, labels: {app: web}}]\\n"		\
	"  to: [{namespace: data}]\\n  ports: [" port "]\\n"
#define QUARANTINE									\
	"---\\napiVersion: cellwall.io/v1alpha1\\nkind: Quarantine\\nmetadata: {name: q1}\\n"		\
	"spec: {target: {namespace: shop, pod: rogue}, reason: scan}\\n"
#define POLICY										\
	"apiVersion: networking.k8s.io/v1\\nkind: NetworkPolicy\\nmetadata: {name: np%u, namespace: data}\\n"	\
	"spec: {podSelector: {}, policyTypes: [Ingress], ingress: [{ports: [{port: %u}]}]}\\n"
#define DOCS(text) "{\"documents\":[{\"file\":\"r.yaml\",\"text\":\"" text "\"}]}"

/* One live flow that the prepared state ends. */
static void live(struct fixture *fx)
{
	struct node_flow *f = &fx->node.cuts[0];

	memset(f, 0, sizeof(*f));
	f->proto = IPPROTO_TCP;
	f->family = 4;
	f->sport = 41822;
	f->dport = 5432;
	f->state = CW_FLOW_OPEN;
	f->outcome[0] = f->outcome[1] = CW_OUT_ALLOW;
	snprintf(f->src_ref, sizeof(f->src_ref), "shop/pod/rogue");
	snprintf(f->dst_ref, sizeof(f->dst_ref), "data/pod/db-0");
	fx->node.flows[0] = *f;
	fx->node.nflows = fx->node.ncuts = 1;
}

static void keep_cut_reset(void **state)
{
	static const struct {
		const char *query, *word;
		enum policy_flows how;
		int cut, kept;
		const char *note;
	} t[] = {
		{ "", "cut", POLICY_CUT, 1, 0, "shop/pod/rogue -> data/pod/db-0" },
		{ "?flows=cut", "cut", POLICY_CUT, 1, 0, "shop/pod/rogue -> data/pod/db-0" },
		{ "?flows=reset", "reset", POLICY_RESET, 1, 0, "shop/pod/rogue -> data/pod/db-0, with resets" },
		{ "?flows=keep", "keep", POLICY_KEEP, 0, 1, "1 live flows kept" },
	};
	struct fixture *fx = *state;
	char path[96], body[512];
	struct call k;

	world(fx);
	live(fx);
	for (size_t i = 0; i < ARRAY_SIZE(t); i++) {
		snprintf(body, sizeof(body), DOCS(RULE("r", "block", "tcp/%zu")), i + 1);
		snprintf(path, sizeof(path), "/v1/rules/apply%s%sdryRun=1", t[i].query, *t[i].query ? "&" : "?");
		k = POST(fx, path, body);
		assert_status(k, 200);
		assert_string_equal(str_at(k.json, "flows"), t[i].word);
		assert_int_equal(num_at(k.json, "flowCounts.cut"), t[i].cut);
		assert_int_equal(num_at(k.json, "flowCounts.kept"), t[i].kept);
		assert_int_equal(len_at(k.json, "flowsCut"), t[i].cut);
		assert_int_equal(len_at(k.json, "flowsKept"), t[i].kept);
		call_done(&k);
		snprintf(path, sizeof(path), "/v1/rules/apply%s", t[i].query);
		k = POST(fx, path, body);
		assert_status(k, 200);
		assert_int_equal(fx->node.how, t[i].how);
		assert_int_equal(num_at(k.json, "receipts.0.flowsCut"), t[i].cut);
		assert_string_equal(str_at(k.json, "receipts.0.note"), t[i].note);
		call_done(&k);
		fx->node.how = POLICY_KEEP;
		/* in the history, also after a restart, with its receipts in the list */
		if (i == ARRAY_SIZE(t) - 1) {
			fixture_reopen(fx);
			assert_int_equal(fx->node.how, POLICY_CUT); /* what is handed over at start */
		}
		k = GET(fx, "/v1/changes?limit=1");
		assert_status(k, 200);
		assert_string_equal(str_at(k.json, "items.0.flows"), t[i].word);
		assert_int_equal(len_at(k.json, "items.0.receipts"), 1);
		assert_string_equal(str_at(k.json, "items.0.receipts.0.state"), "applied");
		assert_int_equal(num_at(k.json, "items.0.receipts.0.flowsCut"), t[i].cut);
		call_done(&k);
	}
}

static void an_emergency_cuts(void **state)
{
	struct fixture *fx = *state;
	struct call k;

	world(fx);
	live(fx);
	k = POST(fx, "/v1/rules/apply?flows=hold", DOCS(RULE("r", "block", "tcp/1")));
	assert_status(k, 400);
	assert_string_equal(str_at(k.json, "items.0.name"), "query.value");
	call_done(&k);
	k = POST(fx, "/v1/rules/apply?flows=keep", DOCS(RULE("r", "block", "tcp/1") QUARANTINE));
	assert_status(k, 400);
	assert_string_equal(str_at(k.json, "items.0.name"), "change.keep-quarantine");
	call_done(&k);
	assert_int_equal(generation(fx), 0);
	k = POST(fx, "/v1/quarantines?flows=reset", "{\"ref\":\"shop/pod/rogue\",\"reason\":\"scan\"}");
	assert_status(k, 200);
	assert_int_equal(fx->node.how, POLICY_RESET);
	call_done(&k);
	/* letting it go again may keep; a window that ends by itself cuts */
	k = POST(fx, "/v1/quarantines/release?flows=keep", "{\"refs\":[\"shop/pod/rogue\"]}");
	assert_status(k, 200);
	call_done(&k);
	assert_int_equal(fx->node.how, POLICY_KEEP);
	k = POST(fx, "/v1/modes/set?accept=not-ready&confirm=10s&flows=keep", "{\"refs\":[\"ns/shop\"],\"mode\":\"enforce\"}");
	assert_status(k, 200);
	call_done(&k);
	assert_int_equal(fx->node.how, POLICY_KEEP);
	fx->now += 11 * SECOND_NS;
	controller_tick(fx->c);
	assert_int_equal(fx->node.how, POLICY_CUT);
	assert_int_equal(fx->c->window.generation, 0);
}

/* ---- the way back --------------------------------------------------------------------------- */

static uint32_t seed = 20260312;

static uint32_t rnd(uint32_t n)
{
	seed = seed * 1664525u + 1013904223u;
	return (seed >> 8) % n;
}

/* Rules with their numbers, modes and quarantines, as one text. */
static char *held(struct fixture *fx)
{
	struct buf b;

	buf_init(&b, 4u << 20);
	for (int i = 0; i < 4; i++) {
		static const char *const paths[] = { "/v1/export/rules", "/v1/rules?origin=all", "/v1/modes", "/v1/quarantines" };
		struct call k = GET(fx, paths[i]);
		auto_free char *items = NULL;

		assert_status(k, 200);
		items = at(k.json, "items") ? cJSON_PrintUnformatted(at(k.json, "items")) : NULL;
		buf_printf(&b, "%s\n", items ? items : text_of(&k));
		call_done(&k);
	}
	return buf_take(&b, NULL);
}

static void any_change(struct fixture *fx)
{
	static const char *const actions[] = { "allow", "block", "alert" }, *const modes[] = { "learn", "alert", "off" };
	static const char *const refs[] = { "ns/shop", "ns/data", "shop/deploy/web", "shop/pod/rogue", "cluster" };
	char body[1024];
	struct call k;

	switch (rnd(11)) {
	case 0:
	case 1:
	case 2:
		snprintf(body, sizeof(body), DOCS(RULE("r%u", "%s", "tcp/%u")), rnd(6), actions[rnd(3)], 1 + rnd(5));
		k = POST(fx, "/v1/rules/apply", body);
		break;
	case 3:
		snprintf(body, sizeof(body), "{\"names\":[\"r%u\"]}", rnd(6));
		k = POST(fx, "/v1/rules/delete", body);
		break;
	case 4:
		snprintf(body, sizeof(body), "{\"names\":[\"r%u\"]}", rnd(6));
		k = POST(fx, rnd(2) ? "/v1/rules/disable" : "/v1/rules/enable", body);
		break;
	case 5:
		snprintf(body, sizeof(body), "{\"refs\":[\"%s\"],\"mode\":\"%s\"}", refs[rnd(5)], modes[rnd(3)]);
		k = POST(fx, "/v1/modes/set", body);
		break;
	case 6:
		snprintf(body, sizeof(body), "{\"refs\":[\"%s\"]}", refs[rnd(5)]);
		k = POST(fx, "/v1/modes/unset", body);
		break;
	case 7:
	case 8:
		snprintf(body, sizeof(body), DOCS(POLICY), rnd(3), 1 + rnd(5));
		k = POST(fx, "/v1/rules/apply", body);
		break;
	case 9:
		snprintf(body, sizeof(body), "{\"names\":[\"NetworkPolicy/data/np%u\"]}", rnd(3));
		k = POST(fx, "/v1/rules/delete", body);
		break;
	default:
		if (rnd(2)) {
			snprintf(body, sizeof(body), "{\"ref\":\"%s\",\"reason\":\"why %u\"}", refs[2 + rnd(2)], rnd(9));
			k = POST(fx, "/v1/quarantines", body);
		} else {
			snprintf(body, sizeof(body), "{\"refs\":[\"%s\"]}", refs[2 + rnd(2)]);
			k = POST(fx, "/v1/quarantines/release", body);
		}
	}
	if (k.status != 200 && k.status != 404 && k.status != 409 && k.status != 400)
		fail_msg("%s", text_of(&k));
	call_done(&k);
	fx->now += 7 * SECOND_NS;
}

/* Random changes, among them rollbacks; each generation comes back as it was, to the byte. */
static void rollback_is_exact(void **state)
{
	enum { GENERATIONS = 60 };
	struct fixture *fx = *state;
	char *was[GENERATIONS * 2] = {};
	unsigned policies = 0, quarantines = 0;
	char path[64];

	world(fx);
	was[0] = held(fx);
	while (generation(fx) < GENERATIONS) {
		any_change(fx);
		if (!was[generation(fx)])
			was[generation(fx)] = held(fx);
	}
	for (uint64_t g = 0; g < GENERATIONS; g++) {
		policies += strstr(was[g], "data/np") != NULL;
		quarantines += strstr(was[g], "\"reason\":\"why") != NULL;
	}
	assert_in_range(policies, 5, GENERATIONS - 1);
	assert_in_range(quarantines, 5, GENERATIONS - 1);
	for (int i = 0; i < 40; i++) {
		uint64_t to = i < 2 ? (uint64_t)(1 - i) : rnd(GENERATIONS), before = generation(fx);
		auto_free char *now = NULL;
		struct call k;

		snprintf(path, sizeof(path), "/v1/changes/%llu/rollback", (unsigned long long)to);
		k = POST(fx, path, NULL);
		assert_status(k, 200);
		if (!bool_at(k.json, "noop"))
			assert_int_equal(generation(fx), before + 1);
		call_done(&k);
		now = held(fx);
		assert_string_equal(now, was[to]);
		if (i == 20)
			fixture_reopen(fx);
	}
	for (size_t i = 0; i < ARRAY_SIZE(was); i++)
		free(was[i]);
}

/* A quarantine with a time limit that is over does not come back with its generation. */
static void what_has_ended_stays_ended(void **state)
{
	struct fixture *fx = *state;
	struct call k;

	world(fx);
	k = POST(fx, "/v1/quarantines", "{\"ref\":\"shop/pod/rogue\",\"reason\":\"scan\",\"for\":\"10m\"}");
	assert_status(k, 200);
	call_done(&k);
	fx->now += 700 * SECOND_NS;
	controller_tick(fx->c);
	assert_int_equal(fx->node.quarantines, 0);
	k = POST(fx, "/v1/changes/1/rollback", NULL);
	assert_status(k, 200);
	assert_true(bool_at(k.json, "noop"));
	call_done(&k);
	assert_int_equal(fx->node.quarantines, 0);
}

static void make(struct fixture *fx, unsigned port, const char *query)
{
	char path[96], body[512];
	struct call k;

	snprintf(path, sizeof(path), "/v1/rules/apply%s", query);
	snprintf(body, sizeof(body), DOCS(RULE("r", "allow", "tcp/%u")), port);
	k = POST(fx, path, body);
	assert_status(k, 200);
	call_done(&k);
}

static void the_history_is_bounded(void **state)
{
	struct fixture *fx = *state;
	auto_free char *eight = NULL, *now = NULL;
	struct call k;

	fx->generations = 5;
	fixture_reopen(fx);
	world(fx);
	for (unsigned i = 1; i <= 12; i++) {
		make(fx, i, "");
		if (i == 8)
			eight = held(fx);
	}
	k = POST(fx, "/v1/changes/3/rollback", NULL);
	assert_status(k, 404);
	assert_string_equal(str_at(k.json, "items.0.name"), "change.pruned");
	assert_string_equal(str_at(k.json, "items.0.message"), "generation 3 is no longer kept, the oldest is 8");
	assert_string_equal(str_at(k.json, "items.0.expected"), "a generation from 8 to 12 (history.generations)");
	call_done(&k);
	k = POST(fx, "/v1/changes/13/rollback", NULL);
	assert_status(k, 404);
	assert_string_equal(str_at(k.json, "items.0.name"), "change.not-found");
	call_done(&k);
	/* the row is longer kept than the state */
	k = GET(fx, "/v1/changes/3");
	assert_status(k, 200);
	call_done(&k);
	/* more room later does not bring back what is gone */
	fx->generations = 50;
	fixture_reopen(fx);
	k = POST(fx, "/v1/changes/7/rollback?dryRun=1", NULL);
	assert_status(k, 404);
	call_done(&k);
	k = POST(fx, "/v1/changes/8/rollback", NULL);
	assert_status(k, 200);
	call_done(&k);
	now = held(fx);
	assert_string_equal(now, eight);
}

/* What an open window would go back to outlives the bound. */
static void a_window_keeps_its_base(void **state)
{
	struct fixture *fx = *state;
	auto_free char *base = NULL, *now = NULL;

	fx->generations = 3;
	fixture_reopen(fx);
	world(fx);
	make(fx, 1, "");
	base = held(fx);
	make(fx, 2, "?confirm=10m");
	for (unsigned i = 3; i <= 12; i++)
		make(fx, i, "");
	fx->now += 601 * SECOND_NS;
	controller_tick(fx->c);
	now = held(fx);
	assert_string_equal(now, base);
	assert_int_equal(fx->c->window.generation, 0);
}

int main(void)
{
#define T(fn) cmocka_unit_test_setup_teardown(fn, fixture_setup, fixture_teardown)
	const struct CMUnitTest tests[] = {
		T(keep_cut_reset), T(an_emergency_cuts), T(rollback_is_exact), T(what_has_ended_stays_ended),
		T(the_history_is_bounded), T(a_window_keeps_its_base),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
