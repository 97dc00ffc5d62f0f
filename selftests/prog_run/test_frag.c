/* SPDX-License-Identifier: Apache-2.0 */
/* test_frag.c - mirrors bpf/frag.h: later fragments follow their first one. */
#include <netinet/in.h>

#include "selftests/prog_run/rig.h"

#define A4 IP4[POD_A]
#define A6 IP6[POD_A]

struct frag { uint32_t id, off; bool more; uint8_t proto; size_t n; uint16_t dport; };

static struct pkt make(int pod, bool from_pod, const char *src, const char *dst, struct frag f)
{
	struct pkt p = frame_l3(pod, from_pod, src, dst);

	pkt_frag(&p, f.id, f.off, f.more);
	if (!f.off && f.proto == 17)
		pkt_udp(&p, 5000, f.dport);
	else if (!f.off && f.proto == 6)
		pkt_tcp(&p, 5000, f.dport, PKT_SYN);
	else if (!f.off && (f.proto == 1 || f.proto == 58))
		pkt_icmp(&p, f.proto == 1 ? 8 : 128, 0, 9 << 16);
	else
		pkt_proto(&p, f.proto);
	pkt_data(&p, f.n);
	pkt_finish(&p);
	return p;
}

static int go(struct rig *r, int pod, bool from_pod, const char *src, const char *dst, struct frag f)
{
	struct pkt p = make(pod, from_pod, src, dst, f);

	return rig_run(r, pod, from_pod, &p);
}
#define FIRST(id_, port) (struct frag){ .id = id_, .more = true, .proto = 17, .n = 64, .dport = port }
#define LATER(id_, off_) (struct frag){ .id = id_, .off = off_, .proto = 17, .n = 40 }

static void policy(struct rig *r)
{
	for (int s = 0; s < 2; s++)
		rig_side(r, GROUP(POD_A), s, CW_MODE_ENFORCE, false, V_BLOCK_DEFAULT, CELLS(
			{ 0, PORT(17, 443), V_ALLOW }, { 0, PORT(6, 443), V_ALLOW }, { 0, PORT(1, 8 << 8), V_ALLOW },
			{ 0, PORT(58, 128 << 8), V_ALLOW }));
}

static void follow(void **state)
{
	struct rig *r = *state;

	for (int v6 = 0; v6 < 2; v6++)
		for (int from = 0; from < 2; from++) {
			const char *me = v6 ? A6 : A4, *peer = v6 ? NODE6 : NODE4;
			const char *s = from ? me : peer, *d = from ? peer : me;
			struct access_row a;

			rig_clear(r);
			policy(r);
			/* a later one first: no verdict to follow */
			assert_int_equal(go(r, POD_A, from, s, d, LATER(1, 72)), DROP);
			assert_int_equal(rig_reason(r, CW_R_FRAG_ORPHAN).dropped, 1);
			/* passed */
			assert_int_equal(go(r, POD_A, from, s, d, FIRST(1, 443)), PASS);
			assert_int_equal(go(r, POD_A, from, s, d, LATER(1, 72)), PASS);
			assert_int_equal(go(r, POD_A, from, s, d, LATER(1, 144)), PASS);
			/* their bytes are the flow's */
			assert_true(rig_access(r, from ? EID(POD_A) : CW_ID_REMOTE_NODE,
					       from ? CW_ID_REMOTE_NODE : EID(POD_A), 17, 443, &a));
			assert_int_equal(a.val.flows, 1);
			assert_int_equal(a.traffic.packets, 3);
			assert_int_equal(a.traffic.bytes, make(POD_A, from, s, d, FIRST(1, 443)).len +
					 2 * make(POD_A, from, s, d, LATER(1, 72)).len);
			/* dropped: its later ones too, with its reason */
			assert_int_equal(go(r, POD_A, from, s, d, FIRST(2, 444)), DROP);
			assert_int_equal(go(r, POD_A, from, s, d, LATER(2, 72)), DROP);
			assert_int_equal(rig_reason(r, CW_R_DEFAULT).dropped, 2);
			/* other id, other peer, other direction, other protocol (IPv4) */
			assert_int_equal(go(r, POD_A, from, s, d, LATER(3, 72)), DROP);
			assert_int_equal(go(r, POD_A, from, from ? s : (v6 ? WORLD6 : WORLD4), from ? (v6 ? WORLD6 : WORLD4) : d,
					    LATER(1, 72)), DROP);
			assert_int_equal(go(r, POD_A, !from, d, s, LATER(1, 72)), DROP);
			if (!v6)
				assert_int_equal(go(r, POD_A, from, s, d, (struct frag){ .id = 1, .off = 72, .proto = 1, .n = 8 }), DROP);
			assert_int_equal(rig_flows(r), 1);
			/* of an established flow */
			assert_int_equal(go(r, POD_A, from, s, d, FIRST(4, 443)), PASS);
			assert_int_equal(go(r, POD_A, from, s, d, LATER(4, 72)), PASS);
			/* its answer, in fragments */
			{
				struct pkt p = frame_l3(POD_A, !from, d, s);

				pkt_frag(&p, 5, 0, true);
				pkt_udp(&p, 443, 5000);
				pkt_data(&p, 64);
				pkt_finish(&p);
				assert_int_equal(rig_run(r, POD_A, !from, &p), PASS);
				assert_int_equal(go(r, POD_A, !from, d, s, LATER(5, 72)), PASS);
			}
			/* the newest first one counts */
			assert_int_equal(go(r, POD_A, from, s, d, FIRST(4, 444)), DROP);
			assert_int_equal(go(r, POD_A, from, s, d, LATER(4, 72)), DROP);
			/* 10 s */
			rig_frags_age(r, 9);
			assert_int_equal(go(r, POD_A, from, s, d, LATER(5, 72)), DROP); /* other way round: unknown */
			assert_int_equal(go(r, POD_A, from, s, d, LATER(1, 72)), PASS);
			rig_frags_age(r, 2);
			assert_int_equal(go(r, POD_A, from, s, d, LATER(1, 72)), DROP);
		}
}

/* Pings are fragmented too; TCP may be. */
static void protocols(void **state)
{
	struct rig *r = *state;

	policy(r);
	for (int from = 0; from < 2; from++) {
		const char *s = from ? A4 : NODE4, *d = from ? NODE4 : A4;

		assert_int_equal(go(r, POD_A, from, s, d, (struct frag){ 7, 0, true, 1, 64, 0 }), PASS);
		assert_int_equal(go(r, POD_A, from, s, d, (struct frag){ 7, 72, false, 1, 64, 0 }), PASS);
		assert_int_equal(go(r, POD_A, from, s, d, (struct frag){ 8, 0, true, 6, 60, 443 }), PASS);
		assert_int_equal(go(r, POD_A, from, s, d, (struct frag){ 8, 80, false, 6, 60, 0 }), PASS);
	}
	assert_int_equal(go(r, POD_A, FROM, A6, NODE6, (struct frag){ 7, 0, true, 58, 64, 0 }), PASS);
	assert_int_equal(go(r, POD_A, FROM, A6, NODE6, (struct frag){ 7, 72, false, 58, 64, 0 }), PASS);
	/* IPv6: headers behind the fragment header; the later ones name the first of them */
	{
		struct pkt p = frame_l3(POD_A, FROM, A6, NODE6);

		pkt_frag(&p, 9, 0, true);
		pkt_ext(&p, 60, 1);
		pkt_udp(&p, 5000, 443);
		pkt_data(&p, 64);
		pkt_finish(&p);
		assert_int_equal(rig_run(r, POD_A, FROM, &p), PASS);
		assert_int_equal(go(r, POD_A, FROM, A6, NODE6, (struct frag){ 9, 80, false, 60, 64, 0 }), PASS);
	}
	/* DHCP, which no rule is asked for */
	{
		struct pkt p = frame_l3(POD_A, FROM, "0.0.0.0", "255.255.255.255");

		pkt_frag(&p, 10, 0, true);
		pkt_udp(&p, 68, 67);
		pkt_data(&p, 64);
		pkt_finish(&p);
		assert_int_equal(rig_run(r, POD_A, FROM, &p), PASS);
	}
}

static void bad(void **state)
{
	static const struct { const char *name; struct frag f; bool v6; } t[] = {
		{ "tiny first", { 1, 0, true, 200, 8, 0 }, false },
		{ "over the TCP header", { 1, 8, true, 6, 64, 0 }, false },
		{ "over the TCP header's end", { 1, 16, false, 6, 64, 0 }, false },
		{ "over the TCP header 6", { 1, 8, true, 6, 64, 0 }, true },
		{ "odd length", { 1, 64, true, 17, 63, 0 }, false },
		{ "odd length 6", { 1, 64, true, 17, 63, 0 }, true },
		{ "beyond 65535", { 1, 65512, false, 17, 64, 0 }, false },
		{ "beyond 65535, 6", { 1, 65512, false, 17, 64, 0 }, true },
	};
	struct rig *r = *state;

	rig_all(r, GROUP(POD_A), CW_MODE_ENFORCE, V_ALLOW);
	for (size_t i = 0; i < ARRAY_SIZE(t); i++) {
		const char *s = t[i].v6 ? A6 : A4, *d = t[i].v6 ? NODE6 : NODE4;
		struct pkt p;

		print_message("  %s\n", t[i].name);
		rig_clear(r);
		p = make(POD_A, FROM, s, d, t[i].f);
		if (t[i].f.proto == 200)
			p.b[23] = 6; /* 8 bytes of TCP */
		assert_int_equal(rig_run(r, POD_A, FROM, &p), DROP);
		assert_int_equal(rig_reason(r, CW_R_FRAG_BAD).dropped, 1);
		assert_int_equal(rig_flows(r), 0);
		assert_int_equal(rig_events(r), 1);
		assert_int_equal(r->ev[0].reason, CW_R_FRAG_BAD);
	}
}

/* No endpoint can take another's slots; the oldest of two gives way. */
static void slots(void **state)
{
	struct rig *r = *state;
	uint32_t kept = 0;

	policy(r);
	rig_all(r, GROUP(POD_B), CW_MODE_ENFORCE, V_ALLOW);
	assert_int_equal(go(r, POD_A, FROM, A4, NODE4, FIRST(1000, 443)), PASS);
	for (uint32_t id = 0; id < 4096; id++)
		assert_int_equal(go(r, POD_B, FROM, IP4[POD_B], NODE4, FIRST(id, 443)), PASS);
	assert_int_equal(go(r, POD_A, FROM, A4, NODE4, LATER(1000, 72)), PASS);
	/* its own flood costs itself: no more than its slots stay */
	for (uint32_t id = 0; id < 4096; id++)
		kept += go(r, POD_B, FROM, IP4[POD_B], NODE4, LATER(id, 72)) == PASS;
	assert_in_range(kept, CW_FRAG_SLOTS / 2, CW_FRAG_SLOTS);
	assert_int_equal(go(r, POD_B, FROM, IP4[POD_B], NODE4, LATER(4095, 72)), PASS); /* the newest always */
	/* the last endpoint of the table has slots too */
	{
		struct cw_ep ep = { .wl = POD_C, .group = GROUP(POD_C), .eid = EID(POD_C), .flags = CW_EP_ATTACHED };
		struct pkt p;

		memcpy(ep.mac, MAC[POD_C], 6);
		assert_int_equal(ep_map_set(r->m, 15, &ep), 0);
		rig_all(r, GROUP(POD_C), CW_MODE_ENFORCE, V_ALLOW);
		p = make(POD_C, FROM, IP4[POD_C], NODE4, FIRST(1, 443));
		assert_int_equal(rig_run(r, 15, FROM, &p), PASS);
		p = make(POD_C, FROM, IP4[POD_C], NODE4, LATER(1, 72));
		assert_int_equal(rig_run(r, 15, FROM, &p), PASS);
	}
}

/* In other modes an orphan passes, counted. */
static void modes(void **state)
{
	struct rig *r = *state;

	for (int mode = 0; mode <= CW_MODE_ALERT; mode++) {
		rig_clear(r);
		rig_all(r, GROUP(POD_A), mode, V_BLOCK);
		assert_int_equal(go(r, POD_A, FROM, A4, NODE4, LATER(1, 72)), PASS);
		assert_int_equal(rig_reason(r, CW_R_FRAG_ORPHAN).would, mode != CW_MODE_OFF);
		assert_int_equal(go(r, POD_A, FROM, A4, NODE4, FIRST(1, 444)), PASS);
		assert_int_equal(go(r, POD_A, FROM, A4, NODE4, LATER(1, 72)), PASS);
		assert_int_equal(rig_reason(r, CW_R_FRAG_ORPHAN).would, mode != CW_MODE_OFF);
	}
}

static int run(void)
{
	const struct CMUnitTest tc[] = {
#define T(f) cmocka_unit_test_setup_teardown(f, rig_setup, rig_teardown)
		T(follow), T(protocols), T(bad), T(slots), T(modes),
	};
	const struct CMUnitTest xdp[] = {
#define X(f) { "xdp: " #f, f, rig_setup_xdp, rig_teardown, NULL }
		X(follow), X(protocols), X(bad), X(modes),
	};

	return cmocka_run_group_tests_name("fragments at TC", tc, NULL, NULL) +
	       cmocka_run_group_tests_name("fragments at XDP", xdp, NULL, NULL);
}

int main(void)
{
	return rig_main("frag", run);
}
