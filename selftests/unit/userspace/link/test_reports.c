/* SPDX-License-Identifier: Apache-2.0 */
/* What a node reports: on disk first, sent in order, again after a break, exact at the end. */
#include "fixture.h"

static struct node_access access_of(unsigned n, uint32_t epoch, uint64_t flows)
{
	struct node_access a = {
		.src_wl = { .ns = (char *)"shop", .name = (char *)"web-1", .uid = (char *)"u1" },
		.dst_wl = { .ns = (char *)"shop", .name = (char *)"db-1", .uid = (char *)"u2" },
		.proto = 6, .family = 4, .port = (uint16_t)n, .instance = 1234, .epoch = epoch, .flows = flows,
		.first_ns = 1, .last_ns = 2,
	};

	a.key.port = (uint16_t)n;
	a.key.proto = 6;
	return a;
}

static int put(struct peer *p, unsigned first, unsigned count, uint32_t epoch, uint64_t flows)
{
	struct node_access *v = calloc(count, sizeof(*v));
	int r;

	for (unsigned i = 0; i < count; i++)
		v[i] = access_of(first + i, epoch, flows);
	r = p->node.sink->accesses(p->node.sink_arg, v, count, NULL, 0);
	free(v);
	return r;
}

static void connected(struct peer *p, const struct up_opts *o)
{
	assert_int_equal(up_open(p, o, NULL), 0);
	UNTIL(p, p->receipts == 1);
}

static void taken_and_dropped(void **state)
{
	struct peer *p = *state;
	struct up_opts o = { };

	connected(p, &o);
	assert_int_equal(put(p, 1, 2500, 1, 7), 0);
	UNTIL(p, up_status(p).spool.rows == 0);
	assert_int_equal(p->accesses, 2500);
	assert_true(p->batches >= 3);
	assert_int_equal(p->flows_seen, 7);
	assert_int_equal(up_status(p).spool.taken, 2500);
}

/* Away for long: one row for each counter, the last value arrives, and nothing is missing. */
static void away(void **state)
{
	struct peer *p = *state;
	struct up_opts o = { };

	connected(p, &o);
	peer_away(p);
	UNTIL(p, !is_connected(p));
	for (uint64_t i = 1; i <= 50; i++)
		assert_int_equal(put(p, 1, 20, 1, i), 0);
	assert_int_equal(up_status(p).spool.rows, 20);
	/* The agent is restarted meanwhile. */
	up_close(p);
	assert_int_equal(up_open(p, &o, NULL), 0);
	assert_int_equal(up_status(p).spool.rows, 20);
	assert_int_equal(put(p, 1, 1, 1, 51), 0);
	p->accesses = 0;
	peer_listen(p);
	UNTIL(p, up_status(p).spool.rows == 0);
	assert_int_equal(p->accesses, 20);
	assert_int_equal(p->flows_seen, 51);
}

/* What was not acknowledged comes again; an epoch ends only after everything of it was taken. */
static void unacknowledged(void **state)
{
	struct peer *p = *state;
	struct up_opts o = { };

	p->mute = true;
	connected(p, &o);
	assert_int_equal(put(p, 1, 10, 1, 3), 0);
	assert_int_equal(p->node.sink->epoch_done(p->node.sink_arg, 1234, 1), 0);
	UNTIL(p, p->batches == 1);
	run_ms(p, 200);
	assert_int_equal(p->epochs, 0);
	assert_int_equal(up_status(p).spool.rows, 11);
	p->mute = false;
	wire_conn_close(p->conn, -ECONNRESET, "gone");
	UNTIL(p, p->epochs == 1);
	assert_int_equal(p->batches, 2);
	assert_int_equal(p->accesses, 20);
	assert_false(p->epoch_before_ack);
	UNTIL(p, up_status(p).spool.rows == 0);
}

/* A counter that moves on while its former value is on the way is sent once more. */
static void newer_in_flight(void **state)
{
	struct peer *p = *state;
	struct up_opts o = { };

	connected(p, &o);
	assert_int_equal(put(p, 1, 3, 1, 1), 0);
	assert_int_equal(put(p, 2, 1, 1, 2), 0);
	UNTIL(p, up_status(p).spool.rows == 0);
	assert_int_equal(p->accesses, 4);
	assert_int_equal(p->flows_seen, 2);
}

static void full(void **state)
{
	struct peer *p = *state;
	struct up_opts o = { .spool = 1 << 20 };
	struct uplink_status s;
	unsigned n = 0;
	int r = 0;

	connected(p, &o);
	peer_away(p);
	UNTIL(p, !is_connected(p));
	while (!r && n < 200) {
		r = put(p, n * 200, 200, 1, 1);
		n += !r;
	}
	assert_int_equal(r, -ENOSPC);
	s = up_status(p);
	assert_int_equal(s.spool.rows, n * 200); /* a batch is taken whole or not */
	assert_true(s.spool.bytes <= s.spool.bytes_max);
	assert_int_equal(s.spool.refused, 1);
	/* What is in it goes on being brought up to date. */
	assert_int_equal(put(p, 0, 100, 1, 2), 0);
	p->accesses = 0;
	peer_listen(p);
	UNTIL(p, up_status(p).spool.rows == 0);
	assert_int_equal(p->accesses, n * 200);
	assert_int_equal(put(p, n * 200, 200, 1, 1), 0);
	UNTIL(p, up_status(p).spool.rows == 0);
}

static void notes_and_addresses(void **state)
{
	struct addr a[2] = { { .b = { 10, 0, 0, 1 } }, { .b = { 10, 0, 0, 2 } } };
	struct peer *p = *state;
	struct up_opts o = { };

	connected(p, &o);
	p->node.sink->note(p->node.sink_arg, "attached", "shop/pod/web-1", "eth0 tcx host");
	p->node.sink->addresses(p->node.sink_arg, "shop", "web-1", a, 2);
	UNTIL(p, p->notes == 1 && p->addresses == 1);
	assert_string_equal(p->note, "attached shop/pod/web-1 eth0 tcx host");
	/* A controller that is another one hears the addresses again; the same one does not. */
	UNTIL(p, up_status(p).spool.rows == 0);
	wire_conn_close(p->conn, -ECONNRESET, "gone");
	UNTIL(p, p->hellos == 2);
	run_ms(p, 100);
	assert_int_equal(p->addresses, 1);
	p->instance++;
	wire_conn_close(p->conn, -ECONNRESET, "gone");
	UNTIL(p, p->addresses == 2);
	assert_int_equal(p->notes, 1);
}

static int drain_puts(struct fake_node *n)
{
	struct node_access a = access_of(9, 1, 77);

	return n->sink->accesses(n->sink_arg, &a, 1, NULL, 0);
}

static void drained(void **state)
{
	struct peer *p = *state;
	struct up_opts o = { };
	struct msg_ask ask = { .id = 5, .what = ASK_DRAIN };
	struct buf b;

	connected(p, &o);
	p->node.on_drain = drain_puts;
	buf_init(&b, 1000);
	assert_int_equal(msg_put_ask(&b, &ask), 0);
	assert_int_equal(wire_conn_send_buf(p->conn, &b), 0);
	UNTIL(p, p->answers == 1);
	/* The answer comes after what it speaks of. */
	assert_int_equal(p->answer.err, 0);
	assert_int_equal(p->flows_seen, 77);
	assert_int_equal(up_status(p).spool.rows, 0);
}

static void found(struct peer *p, const char *const *list)
{
	struct addr a[8];
	size_t n = 0;

	for (; list[n]; n++)
		assert_int_equal(addr_parse(list[n], &a[n]), 0);
	p->node.sink->node_addresses(p->node.sink_arg, a, n);
}
#define FOUND(p, ...) found(p, (const char *const[]){ __VA_ARGS__, NULL })

static void node_addresses(void **state)
{
	struct up_opts o = { };
	struct peer *p = *state;
	struct node_info known = { .name = strdup("n1"), .addrs = calloc(2, sizeof(struct addr)), .naddrs = 2,
				   .told = calloc(1, sizeof(struct addr)), .ntold = 1 };
	struct addr many[1000] = { };

	assert_int_equal(addr_parse("10.0.0.1", &known.addrs[0]), 0);
	assert_int_equal(addr_parse("192.0.2.1", &known.addrs[1]), 0);
	assert_int_equal(addr_parse("10.244.1.0", &known.told[0]), 0);
	p->st.nodes = calloc(1, sizeof(known));
	p->st.nodes[p->st.nnodes++] = known;
	peer_commit(p, POLICY_CUT);
	assert_int_equal(up_open(p, &o, NULL), 0);
	UNTIL(p, p->told == 1 && p->node.generation == 5);
	assert_string_equal(p->told_list, " 10.0.0.1");
	/* To itself it is both what it finds and what the cluster says of it. */
	assert_int_equal(p->node.own_addrs, 2);
	assert_int_equal(p->node.own_told, 0);
	/* Others, without those that no other host can meet, whatever their order. */
	FOUND(p, "10.244.1.1", "fe80::5", "10.0.0.1", "127.0.0.1", "10.244.1.0", "10.0.0.1");
	UNTIL(p, p->told == 2);
	assert_string_equal(p->told_list, " 10.0.0.1 10.244.1.0 10.244.1.1");
	UNTIL(p, p->node.own_addrs == 7);
	FOUND(p, "10.244.1.0", "10.244.1.1", "fe80::6", "fe80::7", "10.0.0.1");
	run_ms(p, 1500);
	assert_int_equal(p->told, 2);
	/* Once more to whoever comes next. */
	wire_conn_close(p->conn, -ECONNRESET, "gone");
	UNTIL(p, p->told == 3);
	assert_string_equal(p->told_list, " 10.0.0.1 10.244.1.0 10.244.1.1");
	/* Found while nobody listens. */
	peer_away(p);
	UNTIL(p, !p->conn);
	FOUND(p, "10.0.0.1", "10.244.9.0");
	peer_listen(p);
	UNTIL(p, p->told == 4);
	assert_string_equal(p->told_list, " 10.0.0.1 10.244.9.0");
	/* Bounded. */
	for (unsigned i = 0; i < 1000; i++)
		many[i] = (struct addr){ .b = { [10] = 0xff, 0xff, 10, 1, (uint8_t)(i >> 8), (uint8_t)i } };
	p->node.sink->node_addresses(p->node.sink_arg, many, 1000);
	UNTIL(p, p->told == 5);
	assert_int_equal(p->told_n, MSG_ADDRS_MAX);
}

#define T(name) cmocka_unit_test_setup_teardown(name, peer_setup, peer_teardown)
int main(void)
{
	const struct CMUnitTest tests[] = {
		T(taken_and_dropped), T(away), T(unacknowledged), T(newer_in_flight), T(full), T(notes_and_addresses), T(node_addresses),
		T(drained),
	};

	own_loopback();
	return cmocka_run_group_tests(tests, NULL, NULL);
}
