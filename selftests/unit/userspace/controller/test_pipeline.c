/* SPDX-License-Identifier: Apache-2.0 */
/* test_pipeline.c - plan, commit, stale, refusal, windows, rollback, restart. */
#include "selftests/unit/userspace/controller/fixture.h"

#define RULE(name, action, port)							\
	"apiVersion: cellwall.io/v1alpha1\\nkind: ClusterAccessRule\\nmetadata: {name: " name "}\\n"	\
	"spec:\\n  action: " action "\\n  from: [{namespace: shop, labels: {app: web}}]\\n"		\
	"  to: [{namespace: data}]\\n  ports: [" port "]\\n"
#define DOCS(text) "{\"documents\":[{\"file\":\"r.yaml\",\"text\":\"" text "\"}]}"

static void empty(void **state)
{
	struct fixture *fx = *state;
	struct call k = GET(fx, "/v1/status");

	assert_status(k, 200);
	assert_string_equal(str_at(k.json, "kind"), "Status");
	assert_string_equal(str_at(k.json, "cluster"), "prod-hz");
	assert_int_equal(num_at(k.json, "generation"), 0);
	assert_true(bool_at(k.json, "node.inSync"));
	assert_int_equal(fx->node.commits, 1);
	call_done(&k);
}

static void dry_run_changes_nothing(void **state)
{
	struct fixture *fx = *state;
	auto_free char *before = NULL, *after = NULL;
	struct call k;

	world(fx);
	history(fx);
	before = dump(fx);
	k = POST(fx, "/v1/rules/apply?dryRun=1", DOCS(RULE("r1", "block", "tcp/5432")));
	assert_status(k, 200);
	assert_false(bool_at(k.json, "applied"));
	assert_int_equal(num_at(k.json, "generation.from"), 0);
	assert_int_equal(num_at(k.json, "generation.to"), 1);
	assert_string_equal(str_at(k.json, "changes.0.op"), "+");
	assert_string_equal(str_at(k.json, "changes.0.name"), "r1");
	assert_string_equal(str_at(k.json, "changes.0.summary"), "block shop app=web -> data tcp/5432");
	/* learn: web -> db would be blocked, and still passes */
	assert_int_equal(num_at(k.json, "accessCounts.recorded"), 4);
	assert_int_equal(num_at(k.json, "accessCounts.breaks"), 0);
	assert_int_equal(num_at(k.json, "accessCounts.differs"), 1);
	assert_string_equal(str_at(k.json, "accesses.0.src"), "shop/deploy/web");
	assert_string_equal(str_at(k.json, "accesses.0.becomes"), "would-block");
	assert_string_equal(str_at(k.json, "accesses.0.by.rule"), "r1");
	assert_false(bool_at(k.json, "canDrop"));
	assert_int_equal(fx->node.aborts, 1);
	call_done(&k);
	after = dump(fx);
	assert_string_equal(before, after);
}

static void apply_is_idempotent(void **state)
{
	struct fixture *fx = *state;
	struct call k;

	world(fx);
	k = POST(fx, "/v1/rules/apply", DOCS(RULE("r1", "block", "tcp/5432") "---\\n" RULE("r2", "allow", "tcp/80")));
	assert_status(k, 200);
	assert_true(bool_at(k.json, "applied"));
	assert_int_equal(num_at(k.json, "counts.add"), 2);
	assert_string_equal(str_at(k.json, "undo"), "cellwall change revert 1");
	assert_string_equal(str_at(k.json, "receipts.0.state"), "applied");
	call_done(&k);
	assert_int_equal(generation(fx), 1);
	assert_int_equal(fx->node.generation, 1);
	assert_int_equal(fx->node.rules, 2);
	k = POST(fx, "/v1/rules/apply", DOCS(RULE("r1", "block", "tcp/5432") "---\\n" RULE("r2", "allow", "tcp/80")));
	assert_status(k, 200);
	assert_true(bool_at(k.json, "noop"));
	assert_int_equal(num_at(k.json, "counts.unchanged"), 2);
	call_done(&k);
	assert_int_equal(generation(fx), 1);
	/* one field of one rule */
	fx->now += HOUR_NS;
	k = POST(fx, "/v1/rules/apply", DOCS(RULE("r1", "block", "tcp/5432, tcp/5433")));
	assert_status(k, 200);
	assert_string_equal(str_at(k.json, "changes.0.op"), "~");
	assert_string_equal(str_at(k.json, "changes.0.field"), "ports");
	assert_string_equal(str_at(k.json, "changes.0.was"), "tcp/5432");
	assert_string_equal(str_at(k.json, "changes.0.becomes"), "tcp/5432, tcp/5433");
	assert_int_equal(len_at(k.json, "changes"), 1);
	call_done(&k);
	k = GET(fx, "/v1/rules/r1");
	assert_status(k, 200);
	assert_int_equal(num_at(k.json, "id"), 1);
	assert_string_equal(str_at(k.json, "created"), "2026-03-12T08:00:00Z");
	assert_string_equal(str_at(k.json, "updated"), "2026-03-12T09:00:00Z");
	assert_string_equal(str_at(k.json, "creator"), "root");
	call_done(&k);
	/* prune leaves what is named */
	k = POST(fx, "/v1/rules/apply", "{\"prune\":true,\"documents\":[{\"file\":\"r.yaml\",\"text\":\""
		 RULE("r1", "block", "tcp/5432, tcp/5433") "\"}]}");
	assert_status(k, 200);
	assert_int_equal(num_at(k.json, "counts.delete"), 1);
	assert_int_equal(num_at(k.json, "counts.unchanged"), 1);
	call_done(&k);
	assert_int_equal(fx->node.rules, 1);
}

static void export_apply_export(void **state)
{
	struct fixture *fx = *state;
	auto_free char *first = NULL;
	cJSON *body, *docs, *d;
	auto_free char *text = NULL;
	struct call k, x;

	world(fx);
	history(fx);
	k = POST(fx, "/v1/rules/apply", DOCS(RULE("r1", "block", "tcp/5432") "---\\n" RULE("r2", "allow", "tcp/80")));
	call_done(&k);
	k = POST(fx, "/v1/accesses/confirm", "{\"filter\":{\"namespace\":\"shop\",\"answered\":\"1\"}}");
	assert_status(k, 200);
	call_done(&k);
	x = GET(fx, "/v1/export/rules");
	assert_status(x, 200);
	first = strdup(text_of(&x));
	call_done(&x);
	body = cJSON_CreateObject();
	docs = cJSON_AddArrayToObject(body, "documents");
	d = cJSON_CreateObject();
	cJSON_AddStringToObject(d, "file", "all.yaml");
	cJSON_AddStringToObject(d, "text", first);
	cJSON_AddItemToArray(docs, d);
	text = cJSON_PrintUnformatted(body);
	cJSON_Delete(body);
	k = POST(fx, "/v1/rules/apply", text);
	assert_status(k, 200);
	assert_true(bool_at(k.json, "noop"));
	call_done(&k);
	x = GET(fx, "/v1/export/rules");
	assert_string_equal(first, text_of(&x));
	call_done(&x);
}

static void stale(void **state)
{
	struct fixture *fx = *state;
	auto_free char *before = NULL, *after = NULL;
	struct call k;

	world(fx);
	k = POST(fx, "/v1/rules/apply?ifGeneration=0", DOCS(RULE("r1", "block", "tcp/5432")));
	assert_status(k, 200);
	call_done(&k);
	fx->now += 12 * SECOND_NS;
	before = dump(fx);
	k = POST(fx, "/v1/rules/apply?ifGeneration=0", DOCS(RULE("r2", "block", "tcp/1")));
	assert_status(k, 409);
	assert_string_equal(str_at(k.json, "items.0.name"), "change.stale");
	assert_string_equal(str_at(k.json, "items.0.message"), "generation went from 0 to 1 after this plan (root, 12 s ago)");
	call_done(&k);
	after = dump(fx);
	assert_string_equal(before, after);
}

static void node_refuses(void **state)
{
	struct fixture *fx = *state;
	auto_free char *before = NULL, *after = NULL;
	struct call k;

	world(fx);
	before = dump(fx);
	fx->node.prepare_err = -E2BIG;
	fx->node.fault = "rule.capacity";
	k = POST(fx, "/v1/rules/apply", DOCS(RULE("partner-list", "block", "tcp/5432")));
	assert_status(k, 507);
	assert_string_equal(str_at(k.json, "items.0.name"), "rule.capacity");
	call_done(&k);
	fx->node.fault = NULL; /* a node that only says no */
	k = POST(fx, "/v1/rules/apply", DOCS(RULE("partner-list", "block", "tcp/5432")));
	assert_status(k, 507);
	assert_string_equal(str_at(k.json, "items.0.name"), "change.refused");
	assert_string_equal(str_at(k.json, "items.0.message"), "node n1: policy map full, rule partner-list");
	call_done(&k);
	fx->node.prepare_err = 0;
	after = dump(fx);
	assert_string_equal(before, after);
}

static void node_fails_late(void **state)
{
	struct fixture *fx = *state;
	struct call k;

	world(fx);
	fx->node.commit_err = -EIO;
	k = POST(fx, "/v1/rules/apply", DOCS(RULE("r1", "block", "tcp/5432")));
	assert_status(k, 500);
	assert_string_equal(str_at(k.json, "items.0.name"), "change.node-failed");
	call_done(&k);
	/* the old rules, under a number of their own */
	assert_int_equal(generation(fx), 2);
	assert_int_equal(fx->node.generation, 2);
	assert_int_equal(fx->node.rules, 0);
	k = GET(fx, "/v1/changes/1");
	assert_string_equal(str_at(k.json, "state"), "reverted");
	assert_int_equal(num_at(k.json, "revertedBy"), 2);
	call_done(&k);
	fixture_reopen(fx);
	assert_int_equal(generation(fx), 2);
	assert_int_equal(fx->c->state.nrules, 0);
}

static const char enforce_shop[] = "{\"refs\":[\"ns/shop\"],\"mode\":\"enforce\"}";

static void window_expires(void **state)
{
	struct fixture *fx = *state;
	struct call k;

	world(fx);
	k = POST(fx, "/v1/modes/set?confirm=10m&accept=not-ready", enforce_shop);
	assert_status(k, 200);
	assert_string_equal(str_at(k.json, "confirm.revertsAt"), "2026-03-12T08:10:00Z");
	call_done(&k);
	k = GET(fx, "/v1/changes/1");
	assert_string_equal(str_at(k.json, "state"), "open");
	assert_int_equal(num_at(k.json, "window.leftMs"), 600000);
	call_done(&k);
	/* a second window is refused; a change without one joins */
	k = POST(fx, "/v1/modes/set?confirm=1m&accept=not-ready", "{\"refs\":[\"ns/data\"],\"mode\":\"alert\"}");
	assert_status(k, 409);
	assert_string_equal(str_at(k.json, "items.0.name"), "change.window-open");
	call_done(&k);
	k = POST(fx, "/v1/rules/apply", DOCS(RULE("r1", "allow", "tcp/5432")));
	assert_status(k, 200);
	assert_string_equal(str_at(k.json, "warnings.0.name"), "change.window-open");
	call_done(&k);
	k = POST(fx, "/v1/quarantines", "{\"ref\":\"shop/pod/rogue\",\"reason\":\"scan\"}");
	assert_status(k, 200);
	call_done(&k);
	fx->now += 599 * SECOND_NS;
	controller_tick(fx->c);
	assert_int_equal(generation(fx), 3);
	fx->now += SECOND_NS;
	controller_tick(fx->c);
	assert_int_equal(generation(fx), 4);
	assert_int_equal(fx->c->state.nmodes, 0);
	assert_int_equal(fx->c->state.nrules, 0);
	/* an emergency is not undone by somebody else's timer */
	assert_int_equal(fx->c->state.nquarantines, 1);
	assert_int_equal(fx->c->window.generation, 0);
	assert_int_equal(fx->node.generation, 4);
	k = GET(fx, "/v1/changes/1");
	assert_string_equal(str_at(k.json, "state"), "reverted");
	assert_int_equal(num_at(k.json, "revertedBy"), 4);
	call_done(&k);
	fx->now += HOUR_NS;
	controller_tick(fx->c);
	assert_int_equal(generation(fx), 4);
}

static void window_expires_while_down(void **state)
{
	struct fixture *fx = *state;
	struct call k;

	world(fx);
	k = POST(fx, "/v1/modes/set?confirm=10m&accept=not-ready", enforce_shop);
	assert_status(k, 200);
	call_done(&k);
	fixture_reopen(fx);
	assert_int_equal(generation(fx), 1);
	assert_int_equal(fx->c->window.generation, 1);
	fx->now += 700 * SECOND_NS;
	fixture_reopen(fx);
	assert_int_equal(generation(fx), 2);
	assert_int_equal(fx->c->state.nmodes, 0);
	/* what had to be reverted was never given to the node again */
	assert_int_equal(fx->node.commits >= 1, 1);
	assert_int_equal(fx->node.generation, 2);
}

static void window_confirmed(void **state)
{
	struct fixture *fx = *state;
	struct call k;

	world(fx);
	k = POST(fx, "/v1/changes/0/confirm", NULL);
	assert_status(k, 409);
	assert_string_equal(str_at(k.json, "items.0.name"), "change.no-window");
	call_done(&k);
	k = POST(fx, "/v1/modes/set?confirm=10m&accept=not-ready", enforce_shop);
	call_done(&k);
	k = POST(fx, "/v1/changes/1/confirm", NULL);
	assert_status(k, 200);
	assert_string_equal(str_at(k.json, "state"), "kept");
	call_done(&k);
	fx->now += DAY_NS;
	controller_tick(fx->c);
	assert_int_equal(generation(fx), 1);
	fixture_reopen(fx);
	assert_int_equal(fx->c->window.generation, 0);
	assert_int_equal(fx->c->state.nmodes, 1);
}

static void revert_and_rollback(void **state)
{
	struct fixture *fx = *state;
	auto_free char *gen2 = NULL, *again = NULL;
	struct call k;

	world(fx);
	k = POST(fx, "/v1/rules/apply", DOCS(RULE("r1", "block", "tcp/5432")));
	call_done(&k);
	k = POST(fx, "/v1/rules/apply", DOCS(RULE("r2", "allow", "tcp/80")));
	call_done(&k);
	k = GET(fx, "/v1/export/rules");
	gen2 = strdup(text_of(&k));
	call_done(&k);
	k = POST(fx, "/v1/rules/delete", "{\"names\":[\"r1\",\"r2\"]}");
	assert_status(k, 200);
	call_done(&k);
	assert_int_equal(fx->node.rules, 0);
	/* not the newest */
	k = POST(fx, "/v1/changes/1/revert", NULL);
	assert_status(k, 409);
	assert_string_equal(str_at(k.json, "items.0.name"), "change.not-last");
	assert_string_equal(str_at(k.json, "items.0.next"), "cellwall change rollback 0");
	call_done(&k);
	k = POST(fx, "/v1/changes/3/revert?dryRun=1", NULL);
	assert_status(k, 200);
	assert_int_equal(num_at(k.json, "counts.add"), 2);
	call_done(&k);
	assert_int_equal(generation(fx), 3);
	k = POST(fx, "/v1/changes/3/revert", NULL);
	assert_status(k, 200);
	call_done(&k);
	assert_int_equal(generation(fx), 4);
	k = GET(fx, "/v1/export/rules");
	again = strdup(text_of(&k));
	assert_string_equal(gen2, again);
	call_done(&k);
	k = POST(fx, "/v1/changes/1/rollback", NULL);
	assert_status(k, 200);
	assert_int_equal(num_at(k.json, "counts.delete"), 1);
	call_done(&k);
	assert_int_equal(fx->c->state.nrules, 1);
	assert_int_equal(fx->c->state.rules[0].id, 1); /* numbers come back with their rules */
	k = POST(fx, "/v1/changes/0/rollback", NULL);
	assert_status(k, 200);
	call_done(&k);
	assert_int_equal(fx->node.rules, 0);
	assert_int_equal(generation(fx), 6);
	k = POST(fx, "/v1/changes/99/rollback", NULL);
	assert_status(k, 404);
	call_done(&k);
	k = GET(fx, "/v1/changes");
	assert_int_equal(len_at(k.json, "items"), 6);
	assert_string_equal(str_at(k.json, "items.0.what"), "rollback to 0");
	assert_true(bool_at(k.json, "items.0.current"));
	call_done(&k);
}

static void restart_keeps_everything(void **state)
{
	struct fixture *fx = *state;
	auto_free char *before = NULL, *after = NULL;
	static const char *const paths[] = { "/v1/export/rules", "/v1/modes", "/v1/quarantines", "/v1/accesses", "/v1/changes" };
	struct buf b[2];
	struct call k;

	world(fx);
	history(fx);
	k = POST(fx, "/v1/rules/apply", DOCS(RULE("r1", "block", "tcp/5432")));
	call_done(&k);
	k = POST(fx, "/v1/accesses/confirm", "{\"filter\":{\"namespace\":\"shop\"}}");
	assert_status(k, 200);
	call_done(&k);
	k = POST(fx, "/v1/modes/set", "{\"refs\":[\"ns/shop\"],\"mode\":\"alert\",\"default\":\"allow\"}");
	assert_status(k, 200);
	call_done(&k);
	for (int i = 0; i < 2; i++) {
		buf_init(&b[i], 1u << 20);
		for (size_t p = 0; p < ARRAY_SIZE(paths); p++) {
			k = GET(fx, paths[p]);
			buf_printf(&b[i], "%s\n", text_of(&k));
			call_done(&k);
		}
		if (!i)
			fixture_reopen(fx);
	}
	before = buf_take(&b[0], NULL);
	after = buf_take(&b[1], NULL);
	assert_string_equal(before, after);
	assert_int_equal(fx->node.rules, 4);
	assert_int_equal(fx->node.generation, 3);
	/* attached again, addresses as before */
	assert_int_equal(fx->node.attaches, 5);
	assert_int_equal(fx->node.addresses, 10);
}

static void live_flows_in_plan(void **state)
{
	struct fixture *fx = *state;
	struct call k;
	struct node_flow fl = { .proto = IPPROTO_TCP, .sport = 41822, .dport = 5432, .family = 4, .state = CW_FLOW_OPEN,
				.age_ms = 39720000, .src_ref = "shop/pod/rogue", .dst_ref = "data/pod/db-0" };

	world(fx);
	fx->node.flows[0] = fx->node.flows[1] = fx->node.cuts[0] = fl;
	fx->node.nflows = 2;
	fx->node.ncuts = 1;
	k = POST(fx, "/v1/rules/apply?dryRun=1", DOCS(RULE("r1", "allow", "tcp/1")));
	assert_status(k, 200);
	assert_int_equal(num_at(k.json, "flowCounts.live"), 2);
	assert_int_equal(num_at(k.json, "flowCounts.cut"), 1);
	assert_string_equal(str_at(k.json, "flowsCut.0.src"), "shop/pod/rogue");
	assert_int_equal(num_at(k.json, "flowsCut.0.srcPort"), 41822);
	assert_true(bool_at(k.json, "canDrop"));
	call_done(&k);
}

int main(void)
{
#define T(fn) cmocka_unit_test_setup_teardown(fn, fixture_setup, fixture_teardown)
	const struct CMUnitTest tests[] = {
		T(empty), T(dry_run_changes_nothing), T(apply_is_idempotent), T(export_apply_export), T(stale),
		T(node_refuses), T(node_fails_late), T(window_expires), T(window_expires_while_down), T(window_confirmed),
		T(revert_and_rollback), T(restart_keeps_everything), T(live_flows_in_plan),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
