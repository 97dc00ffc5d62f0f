/* SPDX-License-Identifier: Apache-2.0 */
/* test_since.c - mirrors cw_since in bpf/path.h and the resets of bpf/reject.h: what becomes of flows
 * that stand when a change is made. */
#include <netinet/in.h>

#include "selftests/prog_run/rig.h"

#define A4 IP4[POD_A]
#define A6 IP6[POD_A]
#define OTHER 40u	/* a group that A moves to */
#define EGRESS_OF(group) ((group) * 2 + CW_EGRESS)

static uint32_t gen_of(struct rig *r, uint32_t index)
{
	uint64_t w = 0;

	assert_int_equal(word_load(r->m, index, &w), 0);
	return CW_WORD_GEN(w);
}

static void since(struct rig *r, uint32_t index, uint32_t keep, uint32_t reset)
{
	assert_int_equal(since_store(r->m, index, CW_SINCE(keep, reset)), 0);
}

/* A's egress anew, and what the change said of standing flows; both as a commit stores them. */
enum how { CUT, RESET, KEEP };
static void change(struct rig *r, uint32_t group, uint32_t v, enum how how)
{
	uint32_t at = EGRESS_OF(group), keep = 0, now;
	uint64_t s = 0;

	assert_int_equal(since_load(r->m, at, &s), 0);
	keep = CW_SINCE_KEEP(s);
	rig_side(r, group, CW_EGRESS, CW_MODE_ENFORCE, false, v, NULL, 0);
	now = gen_of(r, at);
	since(r, at, how == KEEP ? keep : now, how == RESET ? now : 0);
}

static const char *me(bool v6) { return v6 ? A6 : A4; }
static const char *peer(bool v6) { return v6 ? NODE6 : NODE4; }

static int out(struct rig *r, bool v6, uint16_t sport, uint8_t flags)
{
	return send_tcp(r, POD_A, FROM, me(v6), peer(v6), sport, 443, flags);
}

static int in(struct rig *r, bool v6, uint16_t sport, uint8_t flags)
{
	return send_tcp(r, POD_A, TO, peer(v6), me(v6), 443, sport, flags);
}

static void establish(struct rig *r, bool v6, uint16_t sport)
{
	assert_int_equal(out(r, v6, sport, PKT_SYN), PASS);
	assert_int_equal(in(r, v6, sport, PKT_SYN | PKT_ACK), PASS);
	assert_int_equal(out(r, v6, sport, PKT_ACK), PASS);
}

static void begin(struct rig *r)
{
	rig_clear(r);
	change(r, GROUP(POD_A), V_ALLOW, CUT);
}

static void cut(void **state)
{
	struct rig *r = *state;

	for (int v6 = 0; v6 < 2; v6++) {
		begin(r);
		establish(r, v6, 1000);
		establish(r, v6, 1001);
		change(r, GROUP(POD_A), V_BLOCK, CUT);
		assert_int_equal(out(r, v6, 1000, PKT_ACK), DROP);
		assert_int_equal(in(r, v6, 1000, PKT_ACK), DROP);
		assert_int_equal(in(r, v6, 1001, PKT_ACK), DROP); /* from the other end first */
		assert_int_equal(out(r, v6, 1001, PKT_ACK), DROP);
		assert_true(rig_reason(r, CW_R_ESTABLISHED_CUT).dropped >= 2);
	}
}

static void keep(void **state)
{
	struct rig *r = *state;
	struct cw_flow f;

	for (int v6 = 0; v6 < 2; v6++) {
		begin(r);
		establish(r, v6, 1000);
		assert_int_equal(send_udp(r, POD_A, FROM, me(v6), peer(v6), 1000, 53), PASS);
		change(r, GROUP(POD_A), V_BLOCK, KEEP);
		for (int i = 0; i < 3; i++) {
			assert_int_equal(out(r, v6, 1000, PKT_ACK), PASS);
			assert_int_equal(in(r, v6, 1000, PKT_ACK | PKT_PSH), PASS);
			assert_int_equal(send_udp(r, POD_A, FROM, me(v6), peer(v6), 1000, 53), PASS);
		}
		/* it is of the present generation now: the fast path's business */
		assert_true(rig_flow(r, me(v6), 1000, peer(v6), 443, IPPROTO_TCP, &f));
		assert_int_equal(f.side[CW_EGRESS].gen, gen_of(r, EGRESS_OF(GROUP(POD_A))));
		assert_int_equal(out(r, v6, 1001, PKT_SYN), DROP); /* a new one feels the change */
		assert_int_equal(send_udp(r, POD_A, FROM, me(v6), peer(v6), 1001, 53), DROP);
		/* a second change of the same kind, and a third that allows: it just goes on */
		change(r, GROUP(POD_A), V_BLOCK_DEFAULT, KEEP);
		change(r, GROUP(POD_A), V_ALLOW, KEEP);
		change(r, GROUP(POD_A), V_BLOCK, KEEP);
		assert_int_equal(in(r, v6, 1000, PKT_ACK), PASS);
		/* one that does not keep ends it */
		change(r, GROUP(POD_A), V_BLOCK, CUT);
		assert_int_equal(out(r, v6, 1000, PKT_ACK), DROP);
		assert_int_equal(in(r, v6, 1000, PKT_ACK), DROP);
		assert_int_equal(send_udp(r, POD_A, FROM, me(v6), peer(v6), 1000, 53), DROP);
		/* and once it is cut, no later keep brings it back */
		change(r, GROUP(POD_A), V_BLOCK, KEEP);
		assert_int_equal(out(r, v6, 1000, PKT_ACK), DROP);
		change(r, GROUP(POD_A), V_ALLOW, CUT);
		assert_int_equal(out(r, v6, 1000, PKT_ACK), PASS); /* allowed again: picked up */
	}
}

/* A flow that stood still through a cut is not kept by the keep that comes after it. */
static void keep_after_cut(void **state)
{
	struct rig *r = *state;

	begin(r);
	establish(r, false, 1000);
	change(r, GROUP(POD_A), V_BLOCK, CUT);
	change(r, GROUP(POD_A), V_BLOCK_DEFAULT, KEEP);
	assert_int_equal(out(r, false, 1000, PKT_ACK), DROP);
	assert_int_equal(in(r, false, 1000, PKT_ACK), DROP);
}

/* A change of mode moves the workload to another group: A's addresses say so. */
static void move(struct rig *r, uint32_t group)
{
	const char *const mine[] = { A4, A6 };

	for (size_t i = 0; i < 2; i++) {
		struct addr a = rig_addr(mine[i]);
		struct cw_addr v = { .eid = EID(POD_A), .group = group, .wl = POD_A, .realm = CW_REALM_POD };

		assert_int_equal(addr_map_set(r->m, 0, &a, &v), 0);
	}
}

static void group_move(void **state)
{
	struct rig *r = *state;

	for (int kept = 0; kept < 2; kept++) {
		begin(r);
		move(r, GROUP(POD_A));
		establish(r, false, 1000);
		establish(r, true, 1000);
		/* the group that it moves to was never looked at, the one that it leaves is bumped */
		rig_side(r, OTHER, CW_INGRESS, CW_MODE_ENFORCE, false, V_ALLOW, NULL, 0);
		change(r, OTHER, V_BLOCK, CUT);
		move(r, OTHER);
		change(r, GROUP(POD_A), V_ALLOW, kept ? KEEP : CUT);
		for (int v6 = 0; v6 < 2; v6++) {
			assert_int_equal(out(r, v6, 1000, PKT_ACK), kept ? PASS : DROP);
			assert_int_equal(in(r, v6, 1000, PKT_ACK), kept ? PASS : DROP);
			assert_int_equal(out(r, v6, 1001, PKT_SYN), DROP);
		}
		/* from here on the new group answers for it */
		change(r, GROUP(POD_A), V_BLOCK, CUT);
		assert_int_equal(out(r, false, 1000, PKT_ACK), kept ? PASS : DROP);
		change(r, OTHER, V_BLOCK, KEEP);
		assert_int_equal(out(r, false, 1000, PKT_ACK), kept ? PASS : DROP);
		change(r, OTHER, V_BLOCK, CUT);
		assert_int_equal(out(r, false, 1000, PKT_ACK), DROP);
	}
	move(r, GROUP(POD_A));
}

static uint32_t word32(const unsigned char *b)
{
	return (uint32_t)b[0] << 24 | (uint32_t)b[1] << 16 | (uint32_t)b[2] << 8 | b[3];
}

/*
 * What goes on in the packet's stead: the same ends, a reset with the packet's own number, sums
 * right. (The sender's copy leaves through the device, where a test run has nobody to see it;
 * the end-to-end test does.)
 */
static void resets(void **state)
{
	static const struct { uint8_t flags; size_t data; } t[] = {
		{ PKT_ACK, 0 }, { PKT_ACK | PKT_PSH, 1 }, { PKT_ACK, 1448 }, { PKT_FIN | PKT_ACK, 3 }, { PKT_ACK, 257 },
	};
	struct rig *r = *state;

	for (size_t i = 0; i < ARRAY_SIZE(t); i++)
		for (int bits = 0; bits < 4; bits++) {
			bool v6 = bits & 1, from = bits & 2;
			const char *src = from ? me(v6) : peer(v6), *dst = from ? peer(v6) : me(v6), *bad;
			struct pkt p = frame_l3(POD_A, from, src, dst);
			const unsigned char *h = r->out + (v6 ? 54 : 34);

			begin(r);
			establish(r, v6, 1000);
			change(r, GROUP(POD_A), V_BLOCK, RESET);
			pkt_tcp(&p, from ? 1000 : 443, from ? 443 : 1000, t[i].flags);
			pkt_data(&p, t[i].data);
			pkt_finish(&p);
			assert_int_equal(rig_run(r, POD_A, from, &p), PASS);
			assert_int_equal(r->out_len, v6 ? 74 : 54);
			bad = pkt_check(r->out, r->out_len);
			if (bad)
				fail_msg("reset: %s", bad);
			assert_memory_equal(r->out, p.b, 12);
			assert_memory_equal(r->out + (v6 ? 22 : 26), p.b + (v6 ? 22 : 26), v6 ? 32 : 8);
			assert_int_equal(word32(h), word32(p.b + (v6 ? 54 : 34)));
			assert_int_equal(h[13], PKT_RST);
			assert_int_equal(word32(h + 4), 1000); /* its own sequence number */
			assert_int_equal(rig_reason(r, CW_R_ESTABLISHED_CUT).dropped, 1);
			/* whoever sends on is told once more; a reset is answered by none */
			assert_int_equal(rig_run(r, POD_A, from, &p), PASS);
			assert_int_equal(in(r, v6, 1000, PKT_RST), DROP);
			/* a new flow is refused without a word, and so is UDP */
			assert_int_equal(out(r, v6, 1001, PKT_SYN), DROP);
		}
}

static void resets_are_for_tcp(void **state)
{
	struct rig *r = *state;

	begin(r);
	assert_int_equal(send_udp(r, POD_A, FROM, A4, NODE4, 5, 6), PASS);
	assert_int_equal(send_udp(r, POD_A, TO, NODE4, A4, 6, 5), PASS);
	establish(r, false, 1000);
	change(r, GROUP(POD_A), V_BLOCK, RESET);
	assert_int_equal(send_udp(r, POD_A, FROM, A4, NODE4, 5, 6), DROP);
	/* the next change that cuts without a word takes the resets back */
	change(r, GROUP(POD_A), V_BLOCK, CUT);
	assert_int_equal(out(r, false, 1000, PKT_ACK), DROP);
	/* what stays allowed is not touched by either */
	begin(r);
	establish(r, false, 1000);
	change(r, GROUP(POD_A), V_LEARNED, RESET);
	assert_int_equal(out(r, false, 1000, PKT_ACK), PASS);
	assert_int_equal(r->out_len >= 54, 1);
}

static int run(void)
{
	const struct CMUnitTest tests[] = {
#define T(f) cmocka_unit_test_setup_teardown(f, rig_setup, rig_teardown)
		T(cut), T(keep), T(keep_after_cut), T(group_move), T(resets), T(resets_are_for_tcp),
	};

	return cmocka_run_group_tests_name("standing flows", tests, NULL, NULL);
}

int main(void)
{
	return rig_main("since", run);
}
