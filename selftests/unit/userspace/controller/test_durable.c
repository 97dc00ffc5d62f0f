/* SPDX-License-Identifier: Apache-2.0 */
/* What a restart, a damaged store and a scan leave behind. */
#include <fcntl.h>

#include "selftests/unit/userspace/controller/fixture.h"

#define RULE(name) "apiVersion: cellwall.io/v1alpha1\\nkind: ClusterAccessRule\\nmetadata: {name: " name "}\\n" \
	"spec: {action: block, from: [{namespace: shop, labels: {app: web}}], to: [{namespace: data}], ports: [tcp/5432]}\\n"

static double hour(struct fixture *fx, const char *ns, const char *what)
{
	struct call k = GET(fx, "/v1/status");
	const cJSON *items = at(k.json, "namespaces"), *i;
	double n = -1;

	assert_status(k, 200);
	cJSON_ArrayForEach(i, items)
		if (!strcmp(str_at(i, "namespace"), ns))
			n = num_at(i, what);
	call_done(&k);
	return n;
}

static void tick(struct fixture *fx, int64_t forward)
{
	fx->now += forward;
	controller_tick(fx->c);
}

static void refused(struct fixture *fx, uint16_t port, enum cw_outcome o, uint64_t flows)
{
	const struct learn l = { "shop", "rogue", "data", "db-0", port, flows, 0, o, CW_OUT_NONE, CW_R_DEFAULT, 0 };

	learn(fx, &l);
}

static void the_last_hour_survives(void **state)
{
	struct fixture *fx = *state;
	static const int64_t minute = 60 * SECOND_NS;

	world(fx);
	refused(fx, 1, CW_OUT_DROP, 5); /* before the first minute: of this run all the same */
	tick(fx, minute);
	tick(fx, 29 * minute);
	refused(fx, 2, CW_OUT_DROP, 7);
	refused(fx, 3, CW_OUT_WOULD_BLOCK, 3);
	tick(fx, minute);
	assert_int_equal(hour(fx, "shop", "dropped1h"), 12);
	assert_int_equal(hour(fx, "shop", "wouldBlock1h"), 3);
	fixture_reopen(fx);
	assert_int_equal(hour(fx, "shop", "dropped1h"), 12);
	assert_int_equal(hour(fx, "shop", "wouldBlock1h"), 3);
	/* Down for a while, and killed while it counted: both sides of the gap count. */
	fx->now += 10 * minute;
	fixture_reopen(fx);
	refused(fx, 4, CW_OUT_DROP, 1);
	assert_int_equal(hour(fx, "shop", "dropped1h"), 13);
	/* The first ones fall out after their hour, the others not yet. */
	tick(fx, minute);
	tick(fx, 24 * minute);
	assert_int_equal(hour(fx, "shop", "dropped1h"), 8);
	fixture_reopen(fx);
	assert_int_equal(hour(fx, "shop", "dropped1h"), 8);
	tick(fx, 40 * minute);
	assert_int_equal(hour(fx, "shop", "dropped1h"), 0);
	/* Down for longer than an hour: nothing of then is of this hour. */
	refused(fx, 5, CW_OUT_DROP, 4);
	fixture_close(fx);
	fx->now += 3 * HOUR_NS;
	fixture_open(fx);
	assert_int_equal(hour(fx, "shop", "dropped1h"), 0);
	assert_int_equal(hour(fx, "shop", "wouldBlock1h"), 0);
}

static void damage(struct fixture *fx)
{
	static const char junk[4096] = "this was a store once";
	int fd;

	fd = open(fx->store, O_WRONLY | O_TRUNC);
	assert_true(fd >= 0);
	assert_int_equal(write(fd, junk, sizeof(junk)), sizeof(junk));
	close(fd);
}

static void moved_away(struct fixture *fx)
{
	assert_non_null(store_moved(fx->c->store));
	assert_int_equal(unlink(store_moved(fx->c->store)), 0);
}

static void a_damaged_store_changes_nothing(void **state)
{
	struct fixture *fx = *state;
	auto_cleanup(fail_list_done) struct fail_list f = {};
	static const char apply[] = "{\"documents\":[{\"file\":\"r.yaml\",\"text\":\"" RULE("r1") "\"}]}";
	struct call k;

	world(fx);
	k = POST(fx, "/v1/rules/apply", apply);
	assert_status(k, 200);
	call_done(&k);
	fixture_close(fx);
	damage(fx);
	fixture_open(fx);
	moved_away(fx);
	/* Not at the start, not by the timer, not by what the inventory brings. */
	tick(fx, SECOND_NS);
	world(fx);
	tick(fx, HOUR_NS);
	assert_int_equal(controller_flush(fx->c), 0);
	assert_int_equal(fx->node.prepares, 0);
	assert_int_equal(fx->node.commits, 0);
	k = GET(fx, "/v1/status");
	assert_string_equal(str_at(k.json, "store.state"), "damaged");
	assert_string_equal(str_at(k.json, "store.heldSince"), "2026-03-12T08:00:00Z");
	assert_non_null(strstr(str_at(k.json, "store.note"), "enforcement unchanged since 2026-03-12T08:00:00Z; restore /"));
	assert_non_null(strstr(str_at(k.json, "store.note"), "store.db.corrupt-"));
	assert_string_equal(str_at(k.json, "store.next"), "cellwall explain store.damaged");
	assert_false(bool_at(k.json, "node.inSync"));
	call_done(&k);
	k = GET(fx, "/v1/events?reason=store.damaged");
	assert_int_equal(len_at(k.json, "items"), 1);
	call_done(&k);
	/* A restart in between does not make the empty store the truth. */
	fixture_reopen(fx);
	tick(fx, SECOND_NS);
	assert_int_equal(fx->node.commits, 0);
	/* Nor does asking, nor a change that is refused. */
	k = POST(fx, "/v1/rules/apply?dryRun=1", apply);
	assert_status(k, 200);
	call_done(&k);
	fx->node.commit_err = -EIO;
	k = POST(fx, "/v1/rules/apply", apply);
	assert_status(k, 500);
	call_done(&k);
	fx->node.commit_err = 0;
	tick(fx, SECOND_NS);
	assert_int_equal(fx->node.rules, 0);
	assert_true(fx->c->held_ns != 0);
	k = POST(fx, "/v1/rules/apply", apply);
	assert_status(k, 200);
	call_done(&k);
	assert_int_equal(fx->node.rules, 1);
	assert_int_equal(fx->node.workloads, 5);
	k = GET(fx, "/v1/status");
	assert_string_equal(str_at(k.json, "store.state"), "ok");
	assert_true(bool_at(k.json, "node.inSync"));
	call_done(&k);
	fixture_reopen(fx);
	assert_int_equal(fx->node.commits, 1);
	assert_int_equal(fx->node.rules, 1);
}

/* What changes nothing says nothing about what is to hold; a mode that is set does. */
static void a_damaged_store_and_a_mode(void **state)
{
	struct fixture *fx = *state;
	struct call k;

	fixture_close(fx);
	damage(fx);
	fixture_open(fx);
	moved_away(fx);
	world(fx);
	k = POST(fx, "/v1/accesses/confirm", "{\"filter\":{\"namespace\":\"shop\"}}");
	assert_status(k, 200);
	assert_true(bool_at(k.json, "noop"));
	call_done(&k);
	assert_int_equal(fx->node.commits, 0);
	assert_true(fx->c->held_ns != 0);
	k = POST(fx, "/v1/modes/set", "{\"refs\":[\"ns/shop\"],\"mode\":\"learn\"}");
	assert_status(k, 200);
	call_done(&k);
	assert_int_equal(fx->node.commits, 1);
	k = POST(fx, "/v1/modes/set", "{\"refs\":[\"ns/shop\"],\"mode\":\"learn\"}");
	assert_true(bool_at(k.json, "noop"));
	call_done(&k);
	assert_int_equal(fx->node.commits, 1);
}

/* 4,096 probes of 7 peers: one alert that counts them all, and a list that can be read. */
static void a_scan_is_one_alert(void **state)
{
	struct fixture *fx = *state;
	char path[64], id[32];
	struct call k;
	uint64_t made = 0;

	world(fx);
	history(fx);
	/* Stands alone at first, and is then known for what it was. */
	refused(fx, 5432, CW_OUT_DROP, 6);
	k = GET(fx, "/v1/alerts");
	assert_int_equal(len_at(k.json, "items"), 1);
	assert_string_equal(str_at(k.json, "items.0.kind"), "access");
	call_done(&k);
	for (unsigned i = 0; i < 4096; i++) {
		static const char *const to[][2] = { { "shop", "web-1" }, { "shop", "cart-1" }, { "data", "db-0" } };
		const struct learn l = { "shop", "rogue", to[i % 3][0], to[i % 3][1], (uint16_t)(1 + i / 3), 2, 0,
					 CW_OUT_DROP, CW_OUT_NONE, CW_R_DEFAULT, 0 };

		learn(fx, &l);
		made += 2;
	}
	for (int again = 0; again < 2; again++) {
		k = GET(fx, "/v1/alerts");
		assert_int_equal(len_at(k.json, "items"), 1);
		assert_string_equal(str_at(k.json, "items.0.kind"), "scan");
		assert_string_equal(str_at(k.json, "items.0.severity"), "high");
		assert_string_equal(str_at(k.json, "items.0.src"), "shop/pod/rogue");
		assert_string_equal(str_at(k.json, "items.0.dst"), "(3 peers)");
		assert_string_equal(str_at(k.json, "items.0.port"), "tcp/*");
		assert_string_equal(str_at(k.json, "items.0.outcome"), "block");
		assert_string_equal(str_at(k.json, "items.0.by.tier"), "default");
		assert_int_equal(num_at(k.json, "items.0.scan.ports"), 1367);
		assert_int_equal(num_at(k.json, "items.0.count"), made + 6);
		assert_int_equal(num_at(k.json, "items.0.scan.held") + num_at(k.json, "items.0.scan.folded"), 4097);
		assert_true(num_at(k.json, "items.0.scan.held") <= ACCESS_SCAN_KEEP);
		snprintf(id, sizeof(id), "%s", str_at(k.json, "items.0.id"));
		call_done(&k);
		k = GET(fx, "/v1/status");
		assert_int_equal(num_at(k.json, "alerts.open"), 1);
		call_done(&k);
		assert_int_equal(hour(fx, "shop", "dropped1h"), made + 6);
		/* Listed when asked for, counted otherwise. */
		k = GET(fx, "/v1/accesses");
		assert_int_equal(len_at(k.json, "items"), 4);
		assert_true(num_at(k.json, "meta.counts.held") > 100);
		assert_true(num_at(k.json, "meta.counts.held") <= ACCESS_SCAN_KEEP);
		call_done(&k);
		k = GET(fx, "/v1/accesses?state=held&limit=1000");
		assert_true(len_at(k.json, "items") > 100 && len_at(k.json, "items") <= ACCESS_SCAN_KEEP);
		assert_string_equal(str_at(k.json, "items.0.held"), "scan");
		call_done(&k);
		k = GET(fx, "/v1/alerts?acked=all&limit=1000");
		assert_true(len_at(k.json, "items") <= 152);
		assert_string_equal(str_at(k.json, "items.0.closedInto"), id);
		call_done(&k);
		snprintf(path, sizeof(path), "/v1/explain?what=%s", id);
		k = GET(fx, path);
		assert_string_equal(str_at(k.json, "key"), "scan");
		assert_string_equal(str_at(k.json, "params.next"), "cellwall quarantine add shop/pod/rogue --reason \"scan\"");
		assert_int_equal(num_at(k.json, "params.ports"), 1367);
		assert_int_equal(num_at(k.json, "params.count"), made + 6);
		call_done(&k);
		fixture_reopen(fx);
	}
	/* Somebody decides about one of them: it speaks for itself again. */
	k = GET(fx, "/v1/accesses?state=held&limit=1000&port=tcp/5432");
	snprintf(path, sizeof(path), "{\"ids\":[\"%s\"]}", str_at(k.json, "items.0.id"));
	call_done(&k);
	k = POST(fx, "/v1/accesses/reject", path);
	assert_status(k, 200);
	call_done(&k);
	refused(fx, 5432, CW_OUT_DROP, 2);
	k = GET(fx, "/v1/alerts");
	assert_int_equal(len_at(k.json, "items"), 2);
	call_done(&k);
	/* Acknowledged, and over: nothing is open. */
	snprintf(path, sizeof(path), "{\"ids\":[\"%s\"],\"note\":\"test\"}", id);
	k = POST(fx, "/v1/alerts/ack", path);
	assert_status(k, 200);
	call_done(&k);
	k = GET(fx, "/v1/alerts?acked=1");
	assert_int_equal(len_at(k.json, "items"), 1);
	call_done(&k);
}

/* Families, and lives of a pod, are one line; an address that nobody claimed says so. */
static void one_line_for_each_pair(void **state)
{
	struct fixture *fx = *state;
	struct node_access a = {
		.proto = IPPROTO_TCP, .port = 9090, .instance = 77, .epoch = 1, .flows = 3, .answered = 2, .bytes = 10,
		.src_wl = { (char *)"shop", (char *)"web-1", (char *)"u1" },
		.dst_wl = { (char *)"shop", (char *)"cart-1", (char *)"" }, .first_ns = fx->now, .last_ns = fx->now,
	};
	struct call k;
	const char *p;

	world(fx);
	for (uint32_t i = 0; i < 4; i++) {
		a.family = i % 2 ? 6 : 4;
		a.src_wl.uid = (char *)(i < 2 ? "u1" : "u2");
		a.key = (struct cw_access_key){ .src = 300 + i, .dst = 400, .port = 9090, .proto = IPPROTO_TCP,
						.family = a.family };
		assert_int_equal(controller_sink(fx->c)->accesses(fx->c, &a, 1, NULL, 0), 0);
	}
	a.dst_wl = (struct workload_ref){};
	a.dst_reserved = CW_ID_UNKNOWN;
	assert_int_equal(addr_parse("10.20.2.31", &a.dst_addr), 0);
	a.key.dst = 7;
	assert_int_equal(controller_sink(fx->c)->accesses(fx->c, &a, 1, NULL, 0), 0);
	tick(fx, 60 * SECOND_NS);
	tick(fx, SECOND_NS);
	k = GET(fx, "/v1/topology?level=label&format=csv");
	p = k.text ? strstr(k.text, "shop/app=cart") : NULL;
	assert_non_null(p);
	assert_null(strstr(p + 1, "shop/app=cart"));
	assert_null(strstr(k.text, ".1"));
	call_done(&k);
	k = GET(fx, "/v1/topology?level=pod&format=csv");
	assert_non_null(strstr(k.text, ",12,")); /* flows of all four */
	call_done(&k);
	k = GET(fx, "/v1/topology?level=controller&format=graphml");
	assert_non_null(strstr(k.text, "unknown/10.20.2.31"));
	call_done(&k);
	for (int i = 0; i < 2; i++) {
		k = GET(fx, i ? "/v1/topology?level=pod&format=tree" : "/v1/topology?level=controller&format=dot");
		if (!i)
			assert_non_null(strstr(k.text, "identity late"));
		call_done(&k);
	}
}

int main(void)
{
#define T(fn) cmocka_unit_test_setup_teardown(fn, fixture_setup, fixture_teardown)
	const struct CMUnitTest tests[] = {
		T(the_last_hour_survives), T(a_damaged_store_changes_nothing), T(a_damaged_store_and_a_mode),
		T(a_scan_is_one_alert), T(one_line_for_each_pair),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
