/* SPDX-License-Identifier: Apache-2.0 */
/* test_nodes.c - addresses of nodes: what the cluster says, what they say themselves; and whose status goes first. */
#include "kube_world.h"

static void node_uid_is(struct apiserver *s, const char *name, const char *uid, const char *ip)
{
	auto_free char *more = text_fmt("'status':{'addresses':[{'type':'InternalIP','address':'%s'}]}", ip);

	there(s, CLUSTER_NODE, "", name, uid, "", more);
}

static void node_is(struct apiserver *s, const char *name, const char *ip)
{
	node_uid_is(s, name, name, ip);
}

static void tell(struct fixture *fx, const char *name, const char *const *list)
{
	struct addr a[8];
	size_t n = 0;

	for (; list && list[n]; n++)
		assert_int_equal(addr_parse(list[n], &a[n]), 0);
	controller_node_sink.peer_addresses(fx->c, name, a, n);
}
#define TELL(fx, name, ...) tell(fx, name, (const char *const[]){ __VA_ARGS__, NULL })

static void put_list(char *to, size_t room, const struct addr *a, size_t n)
{
	char text[ADDR_STR_MAX];
	size_t at = strlen(to);

	for (size_t i = 0; i < n; i++)
		at += (size_t)snprintf(to + at, room - at, "%s%s", i ? " " : "", addr_str(&a[i], text));
}

/* "of the cluster|of itself", or "-" when the state has no such node. */
static const char *node(const struct fixture *fx, const char *name)
{
	static char out[400];

	for (size_t i = 0; i < fx->c->state.nnodes; i++) {
		const struct node_info *n = &fx->c->state.nodes[i];
		size_t at;

		if (strcmp(n->name, name))
			continue;
		*out = 0;
		put_list(out, sizeof(out), n->addrs, n->naddrs);
		at = strlen(out);
		snprintf(out + at, sizeof(out) - at, "|");
		put_list(out, sizeof(out), n->told, n->ntold);
		return out;
	}
	return "-";
}

static void both_say(void **state)
{
	struct fixture *fx = *state;
	struct apiserver *s = fx->more;
	unsigned before;

	lists(s, NULL);
	TELL(fx, "w1", "10.244.1.0", "10.244.1.1");
	assert_string_equal(node(fx, "w1"), "|10.244.1.0 10.244.1.1");
	node_is(s, "w1", "192.0.2.11");
	node_is(s, "w2", "192.0.2.12");
	rest(fx);
	assert_string_equal(node(fx, "w1"), "192.0.2.11|10.244.1.0 10.244.1.1");
	assert_string_equal(node(fx, "w2"), "192.0.2.12|");
	/* The same again is no change. */
	before = fx->node.prepares;
	TELL(fx, "w1", "10.244.1.0", "10.244.1.1");
	rest(fx);
	assert_int_equal(fx->node.prepares, before);
	TELL(fx, "w1", "10.244.1.1");
	rest(fx);
	assert_true(fx->node.prepares > before);
	assert_string_equal(node(fx, "w1"), "192.0.2.11|10.244.1.1");
	/* Neither takes away what the other said. */
	node_is(s, "w1", "192.0.2.21");
	rest(fx);
	assert_string_equal(node(fx, "w1"), "192.0.2.21|10.244.1.1");
	gone(s, CLUSTER_NODE, "", "w1", "w1");
	rest(fx);
	assert_string_equal(node(fx, "w1"), "|10.244.1.1");
	assert_string_equal(node(fx, "w2"), "192.0.2.12|");
	TELL(fx, "w2", "10.244.2.0");
	tell(fx, "w2", NULL);
	assert_string_equal(node(fx, "w2"), "192.0.2.12|");
	tell(fx, "w1", NULL);
	assert_string_equal(node(fx, "w1"), "-");
	tell(fx, "nobody", NULL);
	assert_string_equal(node(fx, "nobody"), "-");
	rest(fx);
}

/* The controller may run on a node whose agent is another process. */
static void its_own_node(void **state)
{
	struct fixture *fx = *state;
	struct apiserver *s = fx->more;
	const char *me = fx->c->node_name;

	lists(s, NULL);
	assert_string_equal(node(fx, me), "10.20.255.1|");
	node_is(s, me, "192.0.2.1");
	rest(fx);
	TELL(fx, me, "10.244.0.0");
	assert_string_equal(node(fx, me), "10.20.255.1 192.0.2.1|10.244.0.0");
	gone(s, CLUSTER_NODE, "", me, me);
	rest(fx);
	assert_string_equal(node(fx, me), "10.20.255.1|10.244.0.0");
	tell(fx, me, NULL);
	assert_string_equal(node(fx, me), "10.20.255.1|");
	TELL(fx, "w1", "10.244.1.0");
	assert_string_equal(fx->c->state.nodes[0].name, me);
}

/* What was said is there before anybody can say it again; who never does is forgotten after a day. */
static void over_a_restart(void **state)
{
	struct fixture *fx = *state;
	struct apiserver *s = fx->more;

	lists(s, NULL);
	TELL(fx, "w1", "10.244.1.0", "fd00:1::1");
	TELL(fx, "w2", "10.244.2.0");
	TELL(fx, "w3", "10.244.3.0");
	tell(fx, "w3", NULL);
	fixture_reopen(fx);
	assert_string_equal(node(fx, "w1"), "|10.244.1.0 fd00:1::1");
	assert_string_equal(node(fx, "w2"), "|10.244.2.0");
	assert_string_equal(node(fx, "w3"), "-");
	lists(s, NULL);
	TELL(fx, "w1", "10.244.1.0", "fd00:1::1");
	for (int i = 0; i < 23; i++)
		fx->now += 3600 * SECOND_NS;
	second(fx);
	assert_string_equal(node(fx, "w2"), "|10.244.2.0");
	fx->now += 3600 * SECOND_NS;
	second(fx);
	assert_string_equal(node(fx, "w1"), "|10.244.1.0 fd00:1::1");
	assert_string_equal(node(fx, "w2"), "-");
	fixture_reopen(fx);
	assert_string_equal(node(fx, "w1"), "|10.244.1.0 fd00:1::1");
	assert_string_equal(node(fx, "w2"), "-");
}

static void many_nodes_come_and_go(void **state)
{
	enum { NODES = 40 };
	struct fixture *fx = *state;
	struct apiserver *s = fx->more;
	bool known[NODES] = {}, says[NODES] = {};
	char name[16], ip[32], want[100], uid[NODES][16];
	unsigned rnd = 7;

	lists(s, NULL);
	for (int round = 0; round < 600; round++) {
		int i = (int)((rnd = rnd * 1103515245 + 12345) >> 16) % NODES;

		snprintf(name, sizeof(name), "w%d", i);
		snprintf(ip, sizeof(ip), "10.244.%d.0", i);
		if (round & 1) {
			says[i] = !says[i];
			tell(fx, name, says[i] ? (const char *const[]){ ip, NULL } : NULL);
		} else {
			known[i] = !known[i];
			snprintf(ip, sizeof(ip), "192.0.2.%d", i + 1);
			if (known[i]) { /* one that comes back is another */
				snprintf(uid[i], sizeof(uid[i]), "u-%d", round);
				node_uid_is(s, name, uid[i], ip);
			} else {
				gone(s, CLUSTER_NODE, "", name, uid[i]);
			}
			rest(fx);
		}
		for (int k = 0; k < NODES; k++) {
			snprintf(name, sizeof(name), "w%d", k);
			snprintf(want, sizeof(want), known[k] ? "192.0.2.%d|" : "|", k + 1);
			if (says[k])
				snprintf(want + strlen(want), sizeof(want) - strlen(want), "10.244.%d.0", k);
			assert_string_equal(node(fx, name), known[k] || says[k] ? want : "-");
		}
	}
}

/* ---- statuses ------------------------------------------------------------------------------------------ */

/* A person's object does not stand in the queue behind all that was confirmed at once. */
static void people_first(void **state)
{
	enum { BULK = 140 };
	struct fixture *fx = *state;
	struct apiserver *s = fx->more;
	auto_cleanup(buf_done) struct buf b = {};
	struct call k;
	size_t before;

	lists(s, NULL);
	uv_timer_stop(&fx->c->tick); /* seconds are made here */
	buf_init(&b, 1 << 20);
	(void)buf_adds(&b, "{\"documents\":[{\"file\":\"x.yaml\",\"text\":\"");
	for (int i = 0; i < BULK; i++)
		(void)buf_printf(&b, "---\\napiVersion: cellwall.io/v1alpha1\\nkind: ClusterAccessRule\\nmetadata: {name: bulk-%d}\\n"
				 "spec:\\n  action: allow\\n  from: [{namespace: shop}]\\n  to: [{namespace: data}]\\n"
				 "  ports: [tcp/%d]\\n", i, 1000 + i);
	(void)buf_adds(&b, "\"}]}");
	(void)buf_add(&b, "", 1);
	k = POST(fx, "/v1/rules/apply", b.data);
	assert_status(k, 200);
	call_done(&k);
	rest(fx);
	second(fx);
	before = s->statuses;
	for (size_t i = 0; i < s->n; i++)
		answer(s, i, 0, true);
	assert_int_equal(s->n, BULK);
	/* At the rate, and not all of it. */
	assert_in_range(s->statuses - before, KUBE_STATUS_RATE / 2, KUBE_STATUS_RATE - KUBE_STATUS_SPARE);
	before = s->statuses;
	there(s, CLUSTER_CLUSTER_ACCESS_RULE, "", "mine", "u-mine", "", RULE_SPEC);
	rest(fx);
	assert_int_equal(s->statuses, before + 1);
	assert_string_equal(s->last_status_name, "mine");
	assert_string_equal(condition(s, 1, "status"), "True");
	/* With the next second as well, before what waits; and nothing of that is forgotten. */
	fx->now += SECOND_NS;
	controller_tick(fx->c);
	rest(fx);
	there(s, CLUSTER_CLUSTER_ACCESS_RULE, "", "mine", "u-mine", "", RULE_SPEC_2);
	rest(fx);
	assert_string_equal(s->last_status_name, "mine");
	for (int i = 0; i < 10; i++)
		second(fx);
	assert_int_equal(s->statuses, BULK + 2);
}

int main(void)
{
#define T(f) cmocka_unit_test_setup_teardown(f, world_setup, world_teardown)
	const struct CMUnitTest tests[] = {
		T(both_say), T(its_own_node), T(over_a_restart), T(many_nodes_come_and_go), T(people_first),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
