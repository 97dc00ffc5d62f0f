/* SPDX-License-Identifier: Apache-2.0 */
/* test_verdict.c - mirrors bpf/verdict.h: what a mode makes of a verdict, on both sides, for
 * every kind of packet, with what is left behind. */
#include <netinet/in.h>

#include "policy/model.h"
#include "selftests/prog_run/rig.h"

/* Semantics, section 3: per verdict, by mode off, learn, alert, enforce. */
static const struct {
	const char *name;
	uint32_t v;
	struct { int ret; uint8_t outcome; } want[CW_MODE_COUNT];
	uint8_t reason;
} table[] = {
#define W(o, l, a, e) { { PASS, CW_OUT_##o }, { PASS, CW_OUT_##l }, { PASS, CW_OUT_##a }, \
	{ CW_OUT_##e == CW_OUT_DROP ? DROP : PASS, CW_OUT_##e } }
	{ "default allow", V_PASS_DEFAULT, W(NONE, NO_RULE, NO_RULE, NO_RULE), CW_R_DEFAULT },
	{ "default block", V_BLOCK_DEFAULT, W(NONE, NO_RULE, WOULD_BLOCK, DROP), CW_R_DEFAULT },
	{ "allow", V_ALLOW, W(NONE, ALLOW, ALLOW, ALLOW), CW_R_RULE },
	{ "alert", V_ALERT, W(NONE, ALERT, ALERT, ALERT), CW_R_RULE },
	{ "block", V_BLOCK, W(NONE, WOULD_BLOCK, WOULD_BLOCK, DROP), CW_R_RULE },
	{ "learned allow", V_LEARNED, W(NONE, ALLOW, ALLOW, ALLOW), CW_R_RULE },
	{ "admin block", V_ADMIN_BLOCK, W(NONE, WOULD_BLOCK, WOULD_BLOCK, DROP), CW_R_RULE },
	{ "isolated", V_ISOLATED, W(NONE, WOULD_BLOCK, WOULD_BLOCK, DROP), CW_R_ISOLATED },
	{ "simulated block over allow", V_ADV_BLOCK, W(NONE, WOULD_BLOCK, WOULD_BLOCK, WOULD_BLOCK), CW_R_RULE },
	{ "simulated alert over allow", V_ADV_ALERT, W(NONE, ALERT, ALERT, ALERT), CW_R_RULE },
	{ "simulated allow over default block", V_ADV_DEFAULT, W(NONE, NO_RULE, WOULD_BLOCK, DROP), CW_R_DEFAULT },
	{ "enforced always", V_ALWAYS, { { PASS, CW_OUT_NONE }, { DROP, CW_OUT_DROP }, { DROP, CW_OUT_DROP },
					 { DROP, CW_OUT_DROP } }, CW_R_RULE },
	{ "quarantine", V_QUAR, { { DROP, CW_OUT_DROP }, { DROP, CW_OUT_DROP }, { DROP, CW_OUT_DROP },
				  { DROP, CW_OUT_DROP } }, CW_R_QUARANTINE },
	{ "quarantine exception", V_QUAR_ALLOW, W(ALLOW, ALLOW, ALLOW, ALLOW), CW_R_QUARANTINE },
};

enum { TCP, UDP, SCTP, ECHO, GRE, KINDS };
static const char *const kind_name[KINDS] = { "tcp", "udp", "sctp", "echo", "other" };

static struct pkt make(int kind, bool v6, bool from_pod, const char *src, const char *dst)
{
	struct pkt p = frame_l3(POD_A, from_pod, src, dst);

	switch (kind) {
	case TCP: pkt_tcp(&p, 40000, 443, PKT_SYN); break;
	case UDP: pkt_udp(&p, 40000, 443); break;
	case SCTP: pkt_sctp(&p, 40000, 443, 1); break;
	case ECHO: pkt_icmp(&p, v6 ? 128 : 8, 0, 9 << 16); break;
	default: pkt_proto(&p, 115); pkt_data(&p, 16); break; /* L2TP: no ports known of it */
	}
	pkt_finish(&p);
	return p;
}

static uint8_t proto_of(int kind, bool v6)
{
	static const uint8_t n[KINDS] = { 6, 17, 132, 1, 115 };

	return kind == ECHO && v6 ? 58 : n[kind];
}

static void one(struct rig *r, size_t i, int mode, bool egress, bool v6, int kind, bool world)
{
	const char *pod = v6 ? IP6[POD_A] : IP4[POD_A];
	const char *peer = world ? (v6 ? LAB6 : LAB4) : (v6 ? NODE6 : NODE4);
	struct pkt p = make(kind, v6, egress, egress ? pod : peer, egress ? peer : pod);
	uint32_t peer_eid = world ? EID_LAB : CW_ID_REMOTE_NODE;
	uint8_t out = table[i].want[mode].outcome;
	uint16_t port = kind == ECHO ? (v6 ? 128 : 8) << 8 : kind == GRE ? 0 : 443;
	enum cw_side side = egress ? CW_EGRESS : CW_INGRESS;
	struct access_row a;
	int ret = rig_run(r, POD_A, egress, &p);

	if (ret != table[i].want[mode].ret)
		fail_msg("%s, %s, %s, IPv%d, %s: returned %d", table[i].name, cw_mode_str(mode),
			 egress ? "egress" : "ingress", v6 ? 6 : 4, kind_name[kind], ret);
	if (out == CW_OUT_NONE) { /* nothing is recorded, the flow is known */
		assert_int_equal(rig_accesses(r), 0);
		assert_int_equal(rig_events(r), 0);
		assert_int_equal(rig_reasons_sum(r, true) + rig_reasons_sum(r, false), 0);
		assert_int_equal(rig_flows(r), 1);
		return;
	}
	assert_int_equal(rig_accesses(r), 1);
	assert_true(rig_access(r, egress ? EID(POD_A) : peer_eid, egress ? peer_eid : EID(POD_A),
			       proto_of(kind, v6), port, &a));
	assert_int_equal(a.key.family, v6 ? 6 : 4);
	assert_int_equal(egress ? a.key.src_wl : a.key.dst_wl, POD_A);
	assert_int_equal(egress ? a.key.dst_wl : a.key.src_wl, 0);
	if (world && egress) {
		struct addr want = rig_addr(peer);

		if (addr_is_v4(&want))
			assert_memory_equal(a.key.addr + 12, want.b + 12, 4);
		else
			assert_memory_equal(a.key.addr, want.b, 16);
	} else {
		static const uint8_t zero[16];

		assert_memory_equal(a.key.addr, zero, 16);
	}
	assert_int_equal(a.val.flows, 1);
	assert_int_equal(a.val.answered, 0);
	assert_int_equal(a.val.outcome[side], out);
	assert_int_equal(a.val.reason[side], table[i].reason);
	assert_int_equal(a.val.verdict[side], table[i].v);
	for (int s = 0; s < 2; s++)
		for (int o = 0; o < CW_OUT_COUNT; o++)
			assert_int_equal(a.val.cnt[s][o], s == (int)side && o == out);
	assert_int_equal(a.traffic.packets, out == CW_OUT_DROP ? 0 : 1);
	assert_int_equal(a.traffic.bytes, out == CW_OUT_DROP ? 0 : p.len);
	assert_int_equal(rig_flows(r), out == CW_OUT_DROP ? 0 : 1);
	assert_int_equal(rig_reason(r, table[i].reason).dropped, out == CW_OUT_DROP);
	assert_int_equal(rig_reason(r, table[i].reason).would, out == CW_OUT_WOULD_BLOCK);
	assert_int_equal(rig_reasons_sum(r, true), out == CW_OUT_DROP);
	assert_int_equal(rig_reasons_sum(r, false), out == CW_OUT_WOULD_BLOCK);
	assert_int_equal(rig_events(r), 1);
	assert_int_equal(r->ev[0].type, out == CW_OUT_DROP ? CW_EV_DROP :
			 out == CW_OUT_ALERT || out == CW_OUT_WOULD_BLOCK ? CW_EV_ALERT : CW_EV_ACCESS);
	assert_int_equal(r->ev[0].verdict, table[i].v);
	assert_int_equal(r->ev[0].outcome, out);
	assert_int_equal(r->ev[0].reason, table[i].reason);
	assert_int_equal(r->ev[0].side, side);
	assert_int_equal(r->ev[0].mode, mode);
	assert_int_equal(r->ev[0].src, a.key.src);
	assert_int_equal(r->ev[0].dst, a.key.dst);
	assert_int_equal(r->ev[0].proto, a.key.proto);
	assert_int_equal(r->ev[0].dport, port);
	assert_int_equal(r->ev[0].len, p.len);
	assert_int_equal(r->ev[0].ep, POD_A);
	assert_int_equal(r->ev[0].wl, POD_A);
}

static void modes(void **state)
{
	struct rig *r = *state;

	for (size_t i = 0; i < ARRAY_SIZE(table); i++)
		for (int mode = 0; mode < CW_MODE_COUNT; mode++)
			for (int bits = 0; bits < 8; bits++) {
				bool egress = bits & 1, v6 = bits & 2, world = bits & 4;

				rig_all(r, GROUP(POD_A), mode, table[i].v);
				/* Each kind of packet once in each mode and verdict, in turn. */
				rig_clear(r);
				one(r, i, mode, egress, v6, (int)((i + (size_t)bits + (size_t)mode) % KINDS), world);
			}
}

static void every_kind(void **state)
{
	static const size_t rows[] = { 1, 2, 3, 4, 12 };
	struct rig *r = *state;

	for (size_t i = 0; i < ARRAY_SIZE(rows); i++)
		for (int kind = 0; kind < KINDS; kind++)
			for (int bits = 0; bits < 4; bits++) {
				rig_all(r, GROUP(POD_A), CW_MODE_ENFORCE, table[rows[i]].v);
				rig_clear(r);
				one(r, rows[i], CW_MODE_ENFORCE, bits & 1, bits & 2, kind, false);
			}
}

/* The rule's counters, and the sides apart. */
static void sides_are_apart(void **state)
{
	struct rig *r = *state;
	struct cw_vstat s;

	rig_side(r, GROUP(POD_A), CW_EGRESS, CW_MODE_ENFORCE, false, V_BLOCK, NULL, 0);
	rig_side(r, GROUP(POD_A), CW_INGRESS, CW_MODE_LEARN, false, V_ALLOW, NULL, 0);
	for (int i = 0; i < 3; i++)
		assert_int_equal(send_tcp(r, POD_A, FROM, IP4[POD_A], NODE4, 40000, 80, PKT_SYN), DROP);
	assert_int_equal(send_tcp(r, POD_A, TO, NODE4, IP4[POD_A], 40000, 80, PKT_SYN), PASS);
	assert_int_equal(vstat_read(r->m, V_BLOCK, 1, &s), 0);
	assert_int_equal(s.flows, 3);
	assert_int_equal(s.packets, 3);
	assert_int_equal(vstat_read(r->m, V_ALLOW, 1, &s), 0);
	assert_int_equal(s.flows, 1);
	assert_int_equal(s.packets, 0);
}

/* Rows: intervals of ports, protocols and ICMP types, by identity and by default. */
static void rows(void **state)
{
	static const struct { const char *name, *dst; uint8_t proto; uint16_t port; int want; } t[] = {
		{ "below", NODE4, 6, 79, DROP }, { "single", NODE4, 6, 80, PASS }, { "above", NODE4, 6, 81, DROP },
		{ "range start", NODE4, 6, 8000, PASS }, { "range end", NODE4, 6, 8100, PASS },
		{ "range past", NODE4, 6, 8101, DROP }, { "last port", NODE4, 6, 65535, PASS },
		{ "other protocol", NODE4, 17, 80, DROP }, { "whole protocol", NODE4, 132, 1, PASS },
		{ "whole protocol, end", NODE4, 132, 65535, PASS }, { "first of the axis", NODE4, 0, 0, DROP },
		{ "last of the axis", NODE4, 255, 0, PASS },
		{ "identity of its own", LAB4, 6, 80, DROP }, { "and its port", LAB4, 6, 81, PASS },
		{ "of the default", WORLD4, 6, 80, PASS }, { "of the default too", WORLD4, 6, 81, DROP },
	};
	struct rig *r = *state;

	rig_side(r, GROUP(POD_A), CW_EGRESS, CW_MODE_ENFORCE, false, V_BLOCK_DEFAULT, CELLS(
		{ 0, PORT(6, 80), V_ALLOW }, { 0, CW_AXIS(6, 8000), CW_AXIS(6, 8100), V_ALLOW },
		{ 0, PORT(6, 65535), V_ALLOW }, { 0, CW_AXIS(132, 0), CW_AXIS(132, 65535), V_ALLOW },
		{ 0, CW_AXIS(255, 0), CW_AXIS(255, 65535), V_ALLOW },
		{ EID_LAB, PORT(6, 81), V_ALLOW }, { EID_LAB, PORT(6, 80), V_BLOCK }));
	for (size_t i = 0; i < ARRAY_SIZE(t); i++) {
		struct pkt p = frame_l3(POD_A, FROM, IP4[POD_A], t[i].dst);

		print_message("  %s\n", t[i].name);
		if (t[i].proto == 6)
			pkt_tcp(&p, 999, t[i].port, PKT_SYN);
		else if (t[i].proto == 17)
			pkt_udp(&p, 999, t[i].port);
		else if (t[i].proto == 132)
			pkt_sctp(&p, 999, t[i].port, 1);
		else
			pkt_proto(&p, t[i].proto);
		pkt_data(&p, 8);
		pkt_finish(&p);
		assert_int_equal(rig_run(r, POD_A, FROM, &p), t[i].want);
	}
}

static void icmp_types(void **state)
{
	/* One id for all: no kind rides on another's flow. */
	static const struct { uint8_t type, code; int want; } t[] = {
		{ 8, 0, PASS }, { 13, 0, DROP }, { 17, 0, DROP }, { 9, 0, DROP }, { 10, 0, PASS }, { 40, 3, PASS }, { 40, 4, DROP },
		{ 0, 0, DROP }, /* a reply nobody asked for is no reply */
	};
	struct rig *r = *state;

	rig_side(r, GROUP(POD_A), CW_EGRESS, CW_MODE_ENFORCE, false, V_BLOCK_DEFAULT, CELLS(
		{ 0, PORT(1, 8 << 8), V_ALLOW }, { 0, PORT(1, 10 << 8), V_ALLOW }, { 0, PORT(1, 40 << 8 | 3), V_ALLOW }));
	for (size_t i = 0; i < ARRAY_SIZE(t); i++) {
		print_message("  %d/%d\n", t[i].type, t[i].code);
		assert_int_equal(send_icmp(r, POD_A, FROM, IP4[POD_A], NODE4, t[i].type, t[i].code, 77), t[i].want);
	}
}

/* A long row: 17 steps find each of 4,000 intervals. */
static void long_row(void **state)
{
	enum { N = 4000 };
	struct rig *r = *state;
	uint32_t base = 60000, at = 200000;
	uint64_t v;

	for (uint32_t i = 0; i <= N; i++) {
		v = i ? (uint64_t)CW_AXIS(6, 1000 + i) << 32 | (i & 1 ? V_ALLOW : V_BLOCK) : V_BLOCK;
		assert_int_equal(rows_store(r->m, at + i, &v, 1), 0);
	}
	for (uint32_t i = 0; i < CW_REALM_SLOTS; i++) {
		v = 0;
		assert_int_equal(rowtab_store(r->m, base + i, &v, 1), 0);
	}
	v = (uint64_t)at << 32 | (N + 1);
	assert_int_equal(rowtab_store(r->m, base + CW_REALM_SLOTS, &v, 1), 0);
	assert_int_equal(word_store(r->m, GROUP(POD_A) * 2, CW_WORD(99, CW_MODE_ENFORCE, 0, base)), 0);
	for (uint16_t i = 1; i <= N; i++)
		assert_int_equal(send_tcp(r, POD_A, FROM, IP4[POD_A], NODE4, 500, 1000 + i, PKT_SYN), i & 1 ? PASS : DROP);
}

/* The order of precedence ends at the tables: holes refuse in enforce, are told in other modes. */
static void holes(void **state)
{
	static const struct { const char *name; uint64_t row; uint32_t base; } t[] = {
		{ "row beyond the table", (uint64_t)0xfffffff0 << 32 | 4, 0 },
		{ "empty row", (uint64_t)5 << 32, 0 },
		{ "row too long", (uint64_t)0 << 32 | 0xffffff, 0 },
		{ "class table beyond the end", 1, 0x0ffffff0 },
	};
	struct rig *r = *state;

	for (size_t i = 0; i < ARRAY_SIZE(t); i++)
		for (int mode = CW_MODE_LEARN; mode <= CW_MODE_ENFORCE; mode++) {
			uint32_t base = t[i].base ? t[i].base : 50000;
			uint64_t v = 0;

			print_message("  %s\n", t[i].name);
			for (uint32_t k = 0; !t[i].base && k <= CW_REALM_SLOTS; k++) {
				v = k == CW_REALM_SLOTS ? t[i].row : 0;
				assert_int_equal(rowtab_store(r->m, base + k, &v, 1), 0);
			}
			rig_clear(r);
			assert_int_equal(word_store(r->m, GROUP(POD_A) * 2, CW_WORD(++r->gen, mode, 0, base)), 0);
			assert_int_equal(send_tcp(r, POD_A, FROM, IP4[POD_A], NODE4, 5, 6, PKT_SYN),
					 mode == CW_MODE_ENFORCE ? DROP : PASS);
			if (mode == CW_MODE_ENFORCE)
				assert_int_equal(rig_reason(r, CW_R_NO_POLICY).dropped, 1);
			else
				assert_int_equal(rig_reason(r, CW_R_NO_POLICY).would, 1);
			assert_int_equal(rig_events(r), 1);
			assert_int_equal(r->ev[0].reason, CW_R_NO_POLICY);
		}
}

/* What nobody configured is not ours to judge. */
static void no_endpoint(void **state)
{
	struct rig *r = *state;
	struct pkt p = frame_tcp(POD_A, FROM, IP4[POD_A], NODE4, 1, 2, PKT_SYN);

	assert_int_equal(rig_run(r, 9, FROM, &p), PASS);
	assert_int_equal(rig_run(r, 0, FROM, &p), PASS);
	assert_int_equal(rig_run(r, 1 << 20, FROM, &p), PASS);
	/* A group that was never written: off. */
	assert_int_equal(word_store(r->m, GROUP(POD_A) * 2, 0), 0);
	assert_int_equal(rig_run(r, POD_A, FROM, &p), PASS);
	assert_int_equal(rig_accesses(r), 0);
	assert_int_equal(rig_events(r), 0);
}

/* Inside the cluster, not resolved yet: a reason of its own, the address kept. */
static void identity_late(void **state)
{
	struct rig *r = *state;
	struct access_row a;
	struct addr want = rig_addr(UNK4);

	assert_int_equal(send_tcp(r, POD_A, FROM, IP4[POD_A], UNK4, 5, 6, PKT_SYN), DROP);
	assert_int_equal(send_tcp(r, POD_A, TO, UNK4, IP4[POD_A], 5, 6, PKT_SYN), DROP);
	assert_int_equal(send_tcp(r, POD_A, TO, UNK6, IP6[POD_A], 5, 6, PKT_SYN), DROP);
	assert_int_equal(rig_reason(r, CW_R_IDENTITY_LATE).dropped, 3);
	assert_true(rig_access(r, EID(POD_A), CW_ID_UNKNOWN, 6, 6, &a));
	assert_memory_equal(a.key.addr + 12, want.b + 12, 4);
	assert_int_equal(rig_accesses(r), 3);
}

static int run(void)
{
	const struct CMUnitTest tc[] = {
#define T(f) cmocka_unit_test_setup_teardown(f, rig_setup, rig_teardown)
		T(modes), T(every_kind), T(sides_are_apart), T(rows), T(icmp_types), T(long_row), T(holes),
		T(no_endpoint), T(identity_late),
	};
	const struct CMUnitTest xdp[] = {
#define X(f) { "xdp: " #f, f, rig_setup_xdp, rig_teardown, NULL }
		X(modes), X(every_kind), X(sides_are_apart), X(rows), X(icmp_types), X(holes), X(no_endpoint),
		X(identity_late),
	};

	return cmocka_run_group_tests_name("verdicts at TC", tc, NULL, NULL) +
	       cmocka_run_group_tests_name("verdicts at XDP", xdp, NULL, NULL);
}

int main(void)
{
	return rig_main("verdict", run);
}
