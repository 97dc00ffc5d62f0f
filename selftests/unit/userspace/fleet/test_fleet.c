/* SPDX-License-Identifier: Apache-2.0 */
/* test_fleet.c - what the controller has every agent has, whoever is late, cut off, unwilling or a stranger. */
#include "fixture.h"

/* ---- state down ------------------------------------------------------------------------------ */

static void walks(void **state)
{
	struct fixture *x = *state;

	fleet_up(x, (struct fleet_config){ .log_max = 30 }, false);
	assert_int_equal(push(x, POLICY_CUT), 0);
	for (int i = 0; i < AGENTS; i++)
		dial(x, i);
	for (int step = 0; step < 120; step++) {
		world_step(&x->w);
		assert_int_equal(push(x, POLICY_CUT), 0);
		/* The third comes and goes: a delta, or a snapshot when it was away for long. */
		if (step % 40 == 10 && x->a[2].conn)
			wire_conn_close(x->a[2].conn, 0, "away");
		if (step % 40 == 15 || step % 40 == 39)
			if (!x->a[2].conn)
				dial(x, 2);
		for (int i = 0; i < AGENTS; i++) {
			struct fake_agent *a = &x->a[i];

			if (!a->conn || (i == 2 && a->closed))
				continue;
			SPIN_UNTIL(x, !a->conn || a->generation == x->w.st.generation);
			if (a->conn)
				assert_same(x, a);
		}
	}
	SPIN_UNTIL(x, totals(x).current == AGENTS);
	assert_int_equal(x->a[0].snapshots, 1);
	assert_true(x->a[0].commits >= 100);
	assert_true(x->receipts >= 300);
	print_message("  snapshots %llu, deltas %llu\n", (unsigned long long)totals(x).snapshots, (unsigned long long)totals(x).deltas);
}

static void resumes(void **state)
{
	struct fixture *x = *state;
	struct fake_agent *a = &x->a[0];

	fleet_up(x, (struct fleet_config){ .log_max = 20 }, false);
	assert_int_equal(push(x, POLICY_CUT), 0);
	dial(x, 0);
	SPIN_UNTIL(x, totals(x).current == 1);
	assert_int_equal(a->snapshots, 1);
	/* Away for a change: one delta. */
	wire_conn_close(a->conn, 0, "away");
	SPIN_UNTIL(x, standing(x, "node-0") == NODE_LOST);
	world_rule(&x->w);
	x->w.st.generation++;
	assert_int_equal(push(x, POLICY_RESET), 0);
	dial(x, 0);
	SPIN_UNTIL(x, totals(x).current == 1);
	assert_int_equal(a->snapshots, 1);
	assert_int_equal(a->commits, 2);
	assert_int_equal(a->flows, POLICY_RESET);
	assert_same(x, a);
	/* Away for too many: a snapshot. */
	wire_conn_close(a->conn, 0, "away");
	SPIN_UNTIL(x, !a->conn);
	for (int i = 0; i < 40; i++) {
		world_pod_in(&x->w, NULL);
		assert_int_equal(push(x, POLICY_CUT), 0);
	}
	dial(x, 0);
	SPIN_UNTIL(x, totals(x).current == 1);
	assert_int_equal(a->snapshots, 2);
	assert_same(x, a);
	/* Nothing happened: nothing is sent. */
	wire_conn_close(a->conn, 0, "away");
	SPIN_UNTIL(x, !a->conn);
	dial(x, 0);
	SPIN_UNTIL(x, a->welcome);
	spin_ms(x, 50);
	assert_int_equal(a->commits, 3);
	assert_int_equal(standing(x, "node-0"), NODE_CURRENT);
	/* The controller starts again with the same state: no snapshot either. */
	fleet_down(x);
	fleet_up(x, (struct fleet_config){}, false);
	assert_int_equal(push(x, POLICY_CUT), 0);
	dial(x, 0);
	SPIN_UNTIL(x, totals(x).current == 1);
	assert_int_equal(a->snapshots, 2);
	assert_int_equal(a->commits, 4);
	assert_int_equal(totals(x).snapshots, 0);
}

static void cut_in_the_middle(void **state)
{
	struct fixture *x = *state;
	struct fake_agent *a = &x->a[0];

	fleet_up(x, (struct fleet_config){}, false);
	assert_int_equal(push(x, POLICY_CUT), 0);
	dial(x, 0);
	SPIN_UNTIL(x, totals(x).current == 1);
	for (unsigned at = 1; at <= 3; at++) {
		struct msg_held before = replica_held(a->replica), after;

		a->drop_at = at;
		a->state_frames = 0;
		world_pod_in(&x->w, NULL);
		x->w.st.generation++;
		assert_int_equal(push(x, POLICY_CUT), 0);
		SPIN_UNTIL(x, a->closed);
		after = replica_held(a->replica);
		assert_memory_equal(&before, &after, sizeof(before));
		SPIN_UNTIL(x, standing(x, "node-0") == NODE_LOST);
		dial(x, 0);
		SPIN_UNTIL(x, totals(x).current == 1);
		assert_same(x, a);
	}
	assert_int_equal(a->snapshots, 1);
}

static void refuses(void **state)
{
	struct fixture *x = *state;
	struct fake_agent *a = &x->a[0];
	struct node_status s;
	struct find f = { .name = "node-0", .to = &s };

	fleet_up(x, (struct fleet_config){}, false);
	assert_int_equal(push(x, POLICY_CUT), 0);
	dial(x, 0);
	dial(x, 1);
	SPIN_UNTIL(x, totals(x).current == 2);
	a->refuse = "no room for rule-17";
	world_rule(&x->w);
	x->w.st.generation++;
	assert_int_equal(push(x, POLICY_CUT), 0);
	SPIN_UNTIL(x, totals(x).current == 1 && totals(x).refused == 1);
	assert_int_equal(fleet_nodes(x->fleet, find_one, &f), 0);
	assert_int_equal(s.standing, NODE_REFUSED);
	assert_string_equal(s.reason, "no room for rule-17");
	assert_int_equal(s.generation, x->w.st.generation - 1); /* what it has in force */
	/* The next change finds it willing again: no delta was lost to it. */
	a->refuse = NULL;
	world_rule(&x->w);
	x->w.st.generation++;
	assert_int_equal(push(x, POLICY_CUT), 0);
	SPIN_UNTIL(x, totals(x).current == 2);
	assert_same(x, a);
	assert_int_equal(a->snapshots, 1);
}

/* A reader that stopped is behind, alone, and what waits for it does not grow. */
static void slow_reader(void **state)
{
	struct fixture *x = *state;
	struct fake_agent *a = &x->a[0];
	unsigned before;

	fleet_up(x, (struct fleet_config){ .idle_ms = 1500, .ping_ms = 200 }, false);
	assert_int_equal(push(x, POLICY_CUT), 0);
	dial(x, 0);
	dial(x, 1);
	SPIN_UNTIL(x, totals(x).current == 2);
	uv_read_stop((uv_stream_t *)a->conn); /* the socket is the first member: made deaf from outside */
	before = (unsigned)totals(x).deltas;
	for (int i = 0; i < 60; i++) {
		world_pod_in(&x->w, NULL);
		x->w.st.generation++;
		assert_int_equal(push(x, POLICY_CUT), 0);
		SPIN_UNTIL(x, x->a[1].generation == x->w.st.generation);
	}
	assert_int_equal(standing(x, "node-0"), NODE_BEHIND);
	SPIN_UNTIL(x, standing(x, "node-1") == NODE_CURRENT);
	assert_true(totals(x).deltas - before <= 60 + 4); /* the deaf one was sent a handful */
	wire_conn_close(a->conn, 0, "given up");
	SPIN_UNTIL(x, !a->conn);
	dial(x, 0);
	SPIN_UNTIL(x, totals(x).current == 2);
	assert_same(x, a);
	assert_int_equal(a->snapshots, 1);
}

/* ---- who is let in --------------------------------------------------------------------------- */

static void speaks_for_another(void **state)
{
	struct fixture *x = *state;

	fleet_up(x, (struct fleet_config){}, false);
	assert_int_equal(push(x, POLICY_CUT), 0);
	x->a[0].says = "node-1";
	dial(x, 0);
	SPIN_UNTIL(x, x->a[0].closed);
	assert_string_equal(x->a[0].refused.code, "identity");
	assert_int_equal(totals(x).rejected, 1);
	assert_int_equal(totals(x).nodes, 0);
	assert_int_equal(x->a[0].commits, 0);
	print_message("  %s\n", totals(x).last_rejected);
}

static void versions(void **state)
{
	static const struct { const char *what; unsigned cmin, cmax, amin, amax; const char *extra; bool ok; } t[] = {
		{ "the agent is one later", 1, 1, 1, 2, "\"later\":{\"x\":[1,2]}", true },
		{ "the controller is one later", 1, 2, 1, 1, NULL, true },
		{ "both later, one of them still knows", 1, 2, 2, 3, NULL, true },
		{ "the agent is too late", 1, 1, 2, 3, NULL, false },
		{ "the controller is too late", 2, 3, 1, 1, NULL, false },
	};
	struct fixture *x = *state;
	struct fake_agent *a = &x->a[0];

	for (size_t i = 0; i < ARRAY_SIZE(t); i++) {
		print_message("  %s\n", t[i].what);
		fleet_up(x, (struct fleet_config){ .version_min = t[i].cmin, .version_max = t[i].cmax }, false);
		assert_int_equal(push(x, POLICY_CUT), 0);
		a->min = t[i].amin;
		a->max = t[i].amax;
		a->extra = t[i].extra;
		dial(x, 0);
		if (t[i].ok) {
			SPIN_UNTIL(x, totals(x).current == 1);
			assert_same(x, a);
			world_step(&x->w);
			assert_int_equal(push(x, POLICY_CUT), 0);
			SPIN_UNTIL(x, totals(x).current == 1 && a->generation == x->w.st.generation);
			wire_conn_close(a->conn, 0, "next");
		} else {
			SPIN_UNTIL(x, a->closed);
			assert_string_equal(a->refused.code, "version");
			print_message("    %s\n", a->refused.text);
			assert_int_equal(totals(x).nodes, 0);
		}
		SPIN_UNTIL(x, !a->conn);
		fleet_down(x);
	}
}

static void one_agent_per_node(void **state)
{
	struct fixture *x = *state;
	struct fake_agent *twin = &x->a[1];

	fleet_up(x, (struct fleet_config){}, false);
	assert_int_equal(push(x, POLICY_CUT), 0);
	dial(x, 0);
	SPIN_UNTIL(x, totals(x).current == 1);
	wire_keys_unref(twin->keys);
	twin->keys = wire_keys_ref(x->a[0].keys);
	(void)snprintf(twin->name, sizeof(twin->name), "node-0");
	dial(x, 1);
	SPIN_UNTIL(x, x->a[0].closed);
	assert_string_equal(x->a[0].refused.code, "node");
	SPIN_UNTIL(x, totals(x).current == 1);
	assert_int_equal(totals(x).nodes, 1);
	assert_non_null(twin->conn);
}

static void waits(void **state)
{
	struct fixture *x = *state;

	fleet_up(x, (struct fleet_config){}, false);
	assert_int_equal(push(x, POLICY_CUT), 0);
	dial(x, 0);
	SPIN_UNTIL(x, totals(x).current == 1);
	fleet_standby(x->fleet, true);
	SPIN_UNTIL(x, x->a[0].closed);
	assert_string_equal(x->a[0].refused.code, "standby");
	dial(x, 0);
	SPIN_UNTIL(x, x->a[0].closed);
	assert_string_equal(x->a[0].refused.code, "standby");
	fleet_standby(x->fleet, false);
	dial(x, 0);
	SPIN_UNTIL(x, totals(x).current == 1);
	assert_int_equal(x->a[0].snapshots, 1);
}

int main(void)
{
#define T(f) cmocka_unit_test_setup_teardown(f, setup, teardown)
	const struct CMUnitTest tests[] = {
		T(walks), T(resumes), T(cut_in_the_middle), T(refuses), T(slow_reader), T(speaks_for_another), T(versions),
		T(one_agent_per_node), T(waits),
	};

	signal(SIGPIPE, SIG_IGN);
	own_loopback();
	return cmocka_run_group_tests(tests, NULL, NULL);
}
