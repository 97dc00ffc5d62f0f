/* SPDX-License-Identifier: Apache-2.0 */
/* What a controller hands down: in force, refused, cut in the middle, kept over a restart. */
#include "fixture.h"

static void first_snapshot(void **state)
{
	struct peer *p = *state;
	struct up_opts o = { };

	assert_int_equal(up_open(p, &o, NULL), 0);
	assert_int_equal(p->node.commits, 0);
	UNTIL(p, p->receipts == 1);
	assert_true(p->receipt.receipt.applied);
	assert_int_equal(p->receipt.receipt.generation, 5);
	assert_string_equal(p->receipt.receipt.node, "n1");
	assert_int_equal(p->receipt.receipt.after_us, 7);
	assert_int_equal(p->receipt.revision, records_held(p->records).revision);
	assert_int_equal(p->node.generation, 5);
	assert_int_equal(p->node.workloads, 2);
	assert_string_equal(p->node.node, "n1");
	assert_int_equal(p->node.own_addrs, 1);
	assert_int_equal(p->hello.held.revision, 0);
	UNTIL(p, p->guards == 1);
	assert_true(up_status(p).applied);
	assert_false(up_status(p).from_disk);
}

static void deltas_and_restart(void **state)
{
	struct peer *p = *state;
	struct up_opts o = { };
	struct msg_held held;

	assert_int_equal(up_open(p, &o, NULL), 0);
	UNTIL(p, p->receipts == 1);
	for (unsigned i = 0; i < 3; i++) {
		p->st.generation++;
		add_workload(p, "shop", i == 0 ? "a" : i == 1 ? "b" : "c", "n1");
		peer_commit(p, i == 1 ? POLICY_KEEP : POLICY_RESET);
		UNTIL(p, p->receipts == 2 + i);
		assert_int_equal(p->node.flows, i == 1 ? POLICY_KEEP : POLICY_RESET);
		assert_int_equal(p->node.workloads, 3 + i);
	}
	held = records_held(p->records);
	up_close(p);
	peer_away(p);
	/* Without the controller: what it had, before anybody is asked. */
	memset(&p->node, 0, sizeof(p->node));
	assert_int_equal(up_open(p, &o, NULL), 0);
	assert_int_equal(p->node.commits, 1);
	assert_int_equal(p->node.generation, 8);
	assert_int_equal(p->node.workloads, 5);
	assert_true(up_status(p).from_disk);
	UNTIL(p, *up_status(p).problem);
	/* And it knows what it has when the controller is back: nothing is sent again. */
	peer_listen(p);
	UNTIL(p, p->hellos == 2);
	assert_int_equal(p->hello.held.revision, held.revision);
	assert_int_equal(p->hello.held.digest, held.digest);
	assert_int_equal(p->hello.generation, 8);
	run_ms(p, 100);
	assert_int_equal(p->node.commits, 1);
	p->st.generation++;
	peer_commit(p, POLICY_CUT);
	UNTIL(p, p->node.generation == 9);
}

/* Deltas are appended, and the file is written whole when that has grown too much: the same either way. */
static void many_deltas(void **state)
{
	struct peer *p = *state;
	struct up_opts o = { };
	char name[64];

	assert_int_equal(up_open(p, &o, NULL), 0);
	UNTIL(p, p->receipts == 1);
	for (unsigned i = 0; i < 60; i++) {
		p->st.generation++;
		for (unsigned k = 0; k < 100; k++) {
			snprintf(name, sizeof(name), "w-%u-%08x", i * 100 + k, (i * 100 + k) * 2654435761u);
			add_workload(p, "bulk", name, "n1");
		}
		peer_commit(p, POLICY_CUT);
		UNTIL(p, p->receipts == 2 + i);
	}
	up_close(p);
	peer_away(p);
	memset(&p->node, 0, sizeof(p->node));
	assert_int_equal(up_open(p, &o, NULL), 0);
	assert_int_equal(p->node.workloads, 6002);
	assert_int_equal(p->node.generation, 65);
}

static void refused_state(void **state)
{
	struct peer *p = *state;
	struct up_opts o = { };

	assert_int_equal(up_open(p, &o, NULL), 0);
	UNTIL(p, p->receipts == 1);
	p->node.refuse = -E2BIG;
	p->st.generation = 6;
	add_workload(p, "shop", "more", "n1");
	peer_commit(p, POLICY_RESET);
	UNTIL(p, p->receipts == 2);
	assert_false(p->receipt.receipt.applied);
	assert_string_equal(p->receipt.receipt.note, "no room for rule big");
	assert_int_equal(p->receipt.receipt.generation, 5);
	assert_int_equal(p->node.generation, 5);
	assert_string_equal(up_status(p).problem, "no room for rule big");
	assert_false(up_status(p).applied);
	/* On disk is what was in force. */
	up_close(p);
	p->node.refuse = 0;
	peer_away(p);
	assert_int_equal(up_open(p, &o, NULL), 0);
	assert_int_equal(p->node.generation, 5);
	/* The next change is taken, with the flows that the refused one meant to treat. */
	p->st.generation = 7;
	p->hellos = 0;
	peer_commit(p, POLICY_KEEP);
	peer_listen(p);
	UNTIL(p, p->node.generation == 7);
	assert_int_equal(p->node.workloads, 3);
	assert_true(up_status(p).applied);
}

static void refused_then_mended(void **state)
{
	struct peer *p = *state;
	struct up_opts o = { };

	assert_int_equal(up_open(p, &o, NULL), 0);
	UNTIL(p, p->receipts == 1);
	p->node.refuse = -E2BIG;
	p->st.generation = 6;
	peer_commit(p, POLICY_RESET);
	UNTIL(p, p->receipts == 2);
	p->node.refuse = 0;
	p->st.generation = 7;
	peer_commit(p, POLICY_KEEP);
	UNTIL(p, p->receipts == 3);
	assert_true(p->receipt.receipt.applied);
	assert_int_equal(p->node.flows, POLICY_RESET);
	up_close(p);
	peer_away(p);
	assert_int_equal(up_open(p, &o, NULL), 0);
	assert_int_equal(p->node.generation, 7);
}

static void cut_in_the_middle(void **state)
{
	struct peer *p = *state;
	struct up_opts o = { };

	assert_int_equal(up_open(p, &o, NULL), 0);
	UNTIL(p, p->receipts == 1);
	/* Half of the next one, then the connection ends. */
	wire_conn_close(p->conn, 0, "again");
	p->half = true;
	p->st.generation = 6;
	add_workload(p, "shop", "more", "n1");
	p->hellos = 0;
	peer_commit(p, POLICY_CUT);
	UNTIL(p, p->hellos == 2);
	assert_int_equal(p->node.generation, 5);
	assert_int_equal(p->receipts, 1);
	p->half = false;
	UNTIL(p, p->receipts == 2);
	assert_int_equal(p->node.generation, 6);
	assert_int_equal(p->node.workloads, 3);
}

static void damaged_snapshot(void **state)
{
	struct peer *p = *state;
	struct up_opts o = { };
	char *text;
	size_t n;

	assert_int_equal(up_open(p, &o, NULL), 0);
	UNTIL(p, p->receipts == 1);
	up_close(p);
	peer_away(p);
	assert_int_equal(read_all_path(path_of(p, "agent/snapshot"), 1 << 20, &text, &n), 0);
	/* Every single byte that is wrong is found out, and a file cut short is no worse than none. */
	for (size_t i = 0; i < n + 20; i += n / 40 + 1) {
		struct fail_list f = { };
		size_t len = i < n ? n : (size_t)(i - n) % n;

		if (i < n)
			text[i] ^= 0x20;
		assert_int_equal(write_file_atomic(path_of(p, "agent/snapshot"), text, len, 0600), 0);
		if (i < n)
			text[i] ^= 0x20;
		memset(&p->node, 0, sizeof(p->node));
		assert_int_equal(up_open(p, &o, &f), 0);
		assert_int_equal(p->node.commits, 0);
		assert_int_equal(f.n, 1);
		assert_string_equal(f.items[0].name, "snapshot.damaged");
		fail_list_done(&f);
		up_close(p);
	}
	assert_int_equal(write_file_atomic(path_of(p, "agent/snapshot"), text, n, 0600), 0);
	free(text);
	assert_int_equal(up_open(p, &o, NULL), 0);
	assert_int_equal(p->node.generation, 5);
}

/* A last piece that was not written to its end counts for nothing; what stands before it does. */
static void torn_snapshot(void **state)
{
	struct peer *p = *state;
	struct up_opts o = { };
	char *text;
	size_t n;

	assert_int_equal(up_open(p, &o, NULL), 0);
	UNTIL(p, p->receipts == 1);
	p->st.generation = 6;
	peer_commit(p, POLICY_CUT);
	UNTIL(p, p->receipts == 2);
	up_close(p);
	peer_away(p);
	assert_int_equal(read_all_path(path_of(p, "agent/snapshot"), 1 << 20, &text, &n), 0);
	for (int cut = 1; cut < 4; cut++) {
		assert_int_equal(write_file_atomic(path_of(p, "agent/snapshot"), text, n - (size_t)cut, 0600), 0);
		memset(&p->node, 0, sizeof(p->node));
		assert_int_equal(up_open(p, &o, NULL), 0);
		assert_int_equal(p->node.generation, 5);
		up_close(p);
	}
	free(text);
}

static void of_another_node(void **state)
{
	struct peer *p = *state;
	struct up_opts o = { }, other = { .node = "n2" };
	struct fail_list f = { };

	assert_int_equal(up_open(p, &o, NULL), 0);
	UNTIL(p, p->receipts == 1);
	up_close(p);
	memset(&p->node, 0, sizeof(p->node));
	assert_int_equal(up_open(p, &other, &f), 0);
	assert_int_equal(p->node.commits, 0);
	assert_int_equal(f.n, 1);
	fail_list_done(&f);
}

static void send_ask(struct peer *p, enum msg_ask_what what, const char *name, const char *netns)
{
	struct msg_ask ask = { .id = 40 + (uint64_t)what, .what = what, .limit = 1 };
	struct buf b;

	snprintf(ask.ns, sizeof(ask.ns), "shop");
	snprintf(ask.name, sizeof(ask.name), "%s", name);
	snprintf(ask.netns, sizeof(ask.netns), "%s", netns);
	buf_init(&b, 1 << 16);
	assert_int_equal(msg_put_ask(&b, &ask), 0);
	assert_int_equal(wire_conn_send_buf(p->conn, &b), 0);
}

static void attachments(void **state)
{
	struct peer *p = *state;
	struct up_opts o = { };

	assert_int_equal(up_open(p, &o, NULL), 0);
	UNTIL(p, p->receipts == 1);
	send_ask(p, ASK_ATTACH, "web-1", "p1");
	UNTIL(p, p->answers == 1);
	assert_int_equal(p->answer.id, 40 + ASK_ATTACH);
	assert_int_equal(p->answer.err, 0);
	assert_string_equal(p->node.attached, "shop/web-1 p1");
	/* One that is not there yet is tried again, also after a restart. */
	p->node.attach_err = -ENOENT;
	send_ask(p, ASK_ATTACH, "late-1", "p2");
	UNTIL(p, p->answers == 2);
	assert_int_equal(p->answer.err, -ENOENT);
	up_close(p);
	peer_away(p);
	memset(&p->node, 0, sizeof(p->node));
	assert_int_equal(up_open(p, &o, NULL), 0);
	assert_int_equal(p->node.attaches, 2);
	peer_listen(p);
	p->hellos = 0;
	UNTIL(p, p->hellos == 1);
	/* What the state names no more is over; what it has never named is still on its way. */
	workload_done(&p->st.workloads[0]);
	p->st.workloads[0] = p->st.workloads[--p->st.nworkloads];
	peer_commit(p, POLICY_CUT);
	UNTIL(p, *p->node.detached);
	assert_string_equal(p->node.detached, "shop/web-1");
	send_ask(p, ASK_DETACH, "late-1", "");
	UNTIL(p, !strcmp(p->node.detached, "shop/late-1"));
	up_close(p);
	memset(&p->node, 0, sizeof(p->node));
	assert_int_equal(up_open(p, &o, NULL), 0);
	assert_int_equal(p->node.attaches, 0);
}

/* A workload that went to another node. */
static void attachment_moves(void **state)
{
	struct peer *p = *state;
	struct up_opts o = { };

	assert_int_equal(up_open(p, &o, NULL), 0);
	UNTIL(p, p->receipts == 1);
	send_ask(p, ASK_ATTACH, "web-1", "p1");
	UNTIL(p, p->answers == 1);
	peer_commit(p, POLICY_CUT);
	free(p->st.workloads[0].ports);
	free(p->st.workloads[0].node);
	p->st.workloads[0].node = strdup("n2");
	peer_commit(p, POLICY_CUT);
	run_ms(p, 200);
	/* It was never seen here before it moved, or it was: either way nothing stays attached for good. */
	p->st.generation++;
	peer_commit(p, POLICY_CUT);
	UNTIL(p, !strcmp(p->node.detached, "shop/web-1") || p->receipts >= 3);
}

static void flows_answered(void **state)
{
	struct peer *p = *state;
	struct up_opts o = { };

	assert_int_equal(up_open(p, &o, NULL), 0);
	UNTIL(p, p->receipts == 1);
	send_ask(p, ASK_FLOWS, "", "");
	UNTIL(p, p->answers == 1);
	assert_int_equal(p->answer.nflows, 1);
	assert_string_equal(p->answer.flows[0].src_ref, "shop/pod/web-1");
	assert_int_equal(p->answer.flows[0].dport, 5432);
}

#define T(name) cmocka_unit_test_setup_teardown(name, peer_setup, peer_teardown)
int main(void)
{
	const struct CMUnitTest tests[] = {
		T(first_snapshot), T(deltas_and_restart), T(many_deltas), T(refused_state), T(refused_then_mended),
		T(cut_in_the_middle), T(damaged_snapshot), T(torn_snapshot), T(of_another_node), T(attachments),
		T(attachment_moves), T(flows_answered),
	};

	own_loopback();
	return cmocka_run_group_tests(tests, NULL, NULL);
}
