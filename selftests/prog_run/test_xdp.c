/* SPDX-License-Identifier: Apache-2.0 */
/*
 * test_xdp.c - the two programs that carry the whole verdict path say the same: TC and XDP, frame by
 * frame, and leave the same behind; both know the agent's own probe frames; and both judge what a
 * workload sent past its own hook.
 *
 * CW_XDP_FRAMES: sequences of frames (default 400). CW_XDP_SEED: seed of the fresh half.
 */
#include <errno.h>
#include <netinet/in.h>
#include <time.h>

#include "selftests/prog_run/rig.h"

#define SEQ_MAX 5u

static uint32_t rnd_state;

static uint32_t rnd(uint32_t n)
{
	rnd_state = rnd_state * 1664525u + 1013904223u;
	return (rnd_state >> 8) % n;
}

struct step { struct pkt p; bool from; };
struct seq { int pod; struct step v[SEQ_MAX]; unsigned n; };

/* What a run of a sequence said and left. */
struct left {
	int ret[SEQ_MAX];
	struct cw_reason_stat reasons[CW_R_COUNT];
	uint32_t flows, accesses, events;
	struct cw_event ev[SEQ_MAX];
};

static const char *peer_of(bool v6, bool *is_pod)
{
	static const char *const four[] = { NODE4, WORLD4, LAB4, UNK4, HOST4, "224.0.0.251", "255.255.255.255" };
	static const char *const six[] = { NODE6, WORLD6, LAB6, UNK6, HOST6, "ff02::fb", "fd00::1:1" };
	uint32_t i = rnd(9);

	*is_pod = i >= 7;
	if (i >= 7)
		return v6 ? IP6[1 + rnd(PODS)] : IP4[1 + rnd(PODS)];
	return v6 ? six[i] : four[i];
}

static void transport(struct pkt *p, bool v6, uint32_t kind, uint16_t sp, uint16_t dp, uint8_t flags)
{
	switch (kind) {
	case 0: pkt_tcp(p, sp, dp, flags); break;
	case 1: pkt_udp(p, sp, dp); break;
	case 2: pkt_sctp(p, sp, dp, 1); break;
	case 3: pkt_icmp(p, v6 ? 128 : 8, 0, (uint32_t)sp << 16 | 1); break;
	case 4: pkt_icmp(p, (uint8_t)rnd(256), (uint8_t)rnd(4), rnd(1u << 20)); break;
	default: pkt_proto(p, (uint8_t)rnd(256)); pkt_data(p, 24); break;
	}
}

/* Headers as they come, and as they should not. */
static void dress(struct pkt *p, bool v6, uint32_t how)
{
	static const uint8_t nop[8] = { 1, 1, 1, 1, 1, 1, 1, 0 }, route[8] = { 131, 7, 4, 10, 0, 0, 1, 0 };

	if (!v6 && how == 1)
		pkt_ip4_options(p, nop, sizeof(nop));
	else if (!v6 && how == 2)
		pkt_ip4_options(p, route, sizeof(route));
	else if (v6 && how == 1)
		pkt_ext(p, 60, 1 + rnd(3));
	else if (v6 && how == 2)
		for (uint32_t i = 0; i < 2 + rnd(9); i++)
			pkt_ext(p, rnd(2) ? 60 : 43, 1);
	if (how == 3)
		pkt_frag(p, rnd(1000), rnd(2) ? 0 : 8 * (1 + rnd(100)), rnd(2));
}

static void seq_make(struct seq *s)
{
	bool v6 = rnd(2), from = rnd(2), peer_pod;
	const char *peer = peer_of(v6, &peer_pod), *own;
	uint32_t kind = rnd(8), how = rnd(10), wild = rnd(12);
	uint16_t sp = (uint16_t)(40000 + rnd(100)), dp = rnd(2) ? 443 : (uint16_t)rnd(1000);

	s->pod = 1 + (int)rnd(PODS);
	s->n = kind > 5 ? 0 : 1 + rnd(SEQ_MAX - 1);
	own = v6 ? IP6[s->pod] : IP4[s->pod];
	if (wild == 0) /* somebody else's address */
		own = v6 ? WORLD6 : WORLD4;
	kind = kind > 5 ? 0 : kind;
	if (!s->n) { /* a whole TCP connection */
		static const uint8_t flags[SEQ_MAX] = { PKT_SYN, PKT_SYN | PKT_ACK, PKT_ACK, PKT_ACK | PKT_PSH, PKT_FIN | PKT_ACK };

		s->n = SEQ_MAX;
		how = 0;
		for (unsigned i = 0; i < s->n; i++) {
			bool back = i & 1;

			s->v[i].from = from ^ back;
			s->v[i].p = frame_l3(s->pod, from ^ back, from ^ back ? own : peer, from ^ back ? peer : own);
			pkt_tcp(&s->v[i].p, back ? dp : sp, back ? sp : dp, flags[i]);
			pkt_data(&s->v[i].p, i == 3 ? 300 : 0);
			pkt_finish(&s->v[i].p);
		}
	} else {
		for (unsigned i = 0; i < s->n; i++) {
			bool back = rnd(2);
			struct pkt *p = &s->v[i].p;

			s->v[i].from = from ^ back;
			*p = frame_l3(s->pod, from ^ back, from ^ back ? own : peer, from ^ back ? peer : own);
			dress(p, v6, how);
			transport(p, v6, kind, back ? dp : sp, back ? sp : dp, (uint8_t)rnd(64));
			pkt_data(p, rnd(200));
			pkt_finish(p);
		}
	}
	for (unsigned i = 0; i < s->n; i++) {
		struct pkt *p = &s->v[i].p;

		if (wild == 1) /* damaged */
			p->b[rnd((uint32_t)p->len)] ^= (uint8_t)(1u << rnd(8));
		else if (wild == 2 && p->len > 60) /* cut off */
			p->len = 14 + rnd((uint32_t)p->len - 14);
		else if (wild == 3) { /* another protocol: a tag, ARP, anything */
			static const uint16_t types[] = { 0x8100, 0x88a8, 0x0806, 0x86dd, 0x0800, 0x8847 };
			uint16_t t = types[rnd(6)];

			p->b[12] = (unsigned char)(t >> 8);
			p->b[13] = (unsigned char)t;
		} else if (wild == 4) { /* another's hardware address */
			p->b[6 + rnd(6)] ^= 1;
		}
		/* The kernel's own limit for frames that it is given to run. */
		if (p->len < 54)
			p->len = 54;
	}
}

static void run(struct rig *r, const struct seq *s, bool xdp, struct left *ret)
{
	memset(ret, 0, sizeof(*ret));
	rig_clear(r);
	r->via_xdp = xdp;
	for (unsigned i = 0; i < s->n; i++) {
		ret->ret[i] = rig_run(r, s->pod, s->v[i].from, &s->v[i].p);
		if (ret->ret[i] == REDIRECT) /* no answers are given at XDP */
			ret->ret[i] = DROP;
	}
	assert_int_equal(reasons_read(r->m, ret->reasons), 0);
	ret->flows = rig_flows(r);
	ret->accesses = rig_accesses(r);
	ret->events = rig_events(r);
	for (uint32_t i = 0; i < ret->events && i < SEQ_MAX; i++) {
		ret->ev[i] = r->ev[i];
		ret->ev[i].ktime = 0;
	}
	r->via_xdp = false;
}

static void differ(const struct seq *s, uint32_t seed, unsigned nth, const char *what)
{
	for (unsigned i = 0; i < s->n; i++) {
		printf("# %s pod %d:", s->v[i].from ? "from" : "to", s->pod);
		for (size_t k = 0; k < s->v[i].p.len && k < 120; k++)
			printf(" %02x", s->v[i].p.b[k]);
		printf("\n");
	}
	fail_msg("seed %u, sequence %u: the programs differ in %s", seed, nth, what);
}

static void half(struct rig *r, uint32_t seed, unsigned n)
{
	static const uint32_t verdicts[] = { V_ALLOW, V_ALERT, V_BLOCK, V_BLOCK_DEFAULT, V_PASS_DEFAULT, V_ADV_BLOCK, V_ALWAYS };
	static struct seq s;
	unsigned dropped = 0, passed = 0;
	struct left tc, xdp;

	rnd_state = seed;
	for (unsigned i = 0; i < n; i++) {
		if (i % 8 == 0)
			for (int pod = 1; pod <= PODS; pod++)
				for (int side = 0; side < 2; side++)
					rig_side(r, GROUP(pod), side, rnd(CW_MODE_COUNT), !rnd(8), verdicts[rnd(7)],
						 CELLS({ 0, PORT(6, 443), V_ALLOW }, { EID_LAB, ALL_PORTS, verdicts[rnd(7)] }));
		seq_make(&s);
		run(r, &s, false, &tc);
		run(r, &s, true, &xdp);
		for (unsigned k = 0; k < s.n; k++) {
			dropped += tc.ret[k] == DROP;
			passed += tc.ret[k] == PASS;
		}
		if (memcmp(tc.ret, xdp.ret, sizeof(tc.ret)))
			differ(&s, seed, i, "a verdict");
		if (memcmp(tc.reasons, xdp.reasons, sizeof(tc.reasons)))
			differ(&s, seed, i, "what was counted");
		if (tc.flows != xdp.flows || tc.accesses != xdp.accesses)
			differ(&s, seed, i, "flows or accesses");
		if (tc.events != xdp.events || memcmp(tc.ev, xdp.ev, sizeof(tc.ev)))
			differ(&s, seed, i, "what was announced");
	}
	print_message("  seed %u: %u sequences, %u frames dropped, %u passed\n", seed, n, dropped, passed);
	assert_true(dropped > n / 20 && passed > n / 20); /* else this proves little */
}

static unsigned env(const char *name, unsigned otherwise)
{
	const char *s = getenv(name);

	return s ? (unsigned)strtoul(s, NULL, 10) : otherwise;
}

static void same_verdicts(void **state)
{
	unsigned n = env("CW_XDP_FRAMES", 400);

	half(*state, 20260314, n / 2);
	half(*state, env("CW_XDP_SEED", (unsigned)time(NULL)), n / 2);
}

/* ---- probes ------------------------------------------------------------------------------------------- */

static struct pkt probe(int pod, uint64_t magic)
{
	struct pkt p;

	pkt_init(&p);
	pkt_eth(&p, MAC[pod], MAC[pod]);
	pkt_ethertype(&p, CW_ETHERTYPE_PROBE);
	pkt_put(&p, &magic, sizeof(magic));
	pkt_data(&p, 38);
	return p;
}

/* In every mode and by both programs: counted where it came by, dropped, and nothing else is left. */
static void probes(void **state)
{
	struct rig *r = *state;

	for (int mode = 0; mode < CW_MODE_COUNT; mode++)
		for (int i = 0; i < 4; i++) {
			bool from = i & 1;
			struct pkt p = probe(POD_B, RIG_PROBE_MAGIC), wrong = probe(POD_B, RIG_PROBE_MAGIC ^ 1);
			uint64_t was[2] = { probe_map_read(r->m, POD_B, false), probe_map_read(r->m, POD_B, true) };

			rig_clear(r);
			rig_all(r, GROUP(POD_B), mode, V_BLOCK);
			r->via_xdp = i & 2;
			assert_int_equal(rig_run(r, POD_B, from, &p), DROP);
			assert_int_equal(probe_map_read(r->m, POD_B, from), was[from] + 1);
			assert_int_equal(probe_map_read(r->m, POD_B, !from), was[!from]);
			assert_int_equal(rig_reasons_sum(r, true) + rig_reasons_sum(r, false), 0);
			assert_int_equal(rig_events(r), 0);
			/* Somebody else's frame of the type is a frame of an unknown type. */
			assert_int_equal(rig_run(r, POD_B, from, &wrong), mode == CW_MODE_ENFORCE ? DROP : PASS);
			assert_int_equal(probe_map_read(r->m, POD_B, from), was[from] + 1);
			wrong.len = 20; /* cut within its number */
			assert_int_equal(rig_run(r, POD_B, from, &wrong), mode == CW_MODE_ENFORCE ? DROP : PASS);
			assert_int_equal(probe_map_read(r->m, POD_B, from), was[from] + 1);
			r->via_xdp = false;
		}
	assert_int_equal(probe_map_read(r->m, 1u << 30, true), 0);
}

/* ---- a sender that can send past its own hook --------------------------------------------------------- */

/*
 * Its packets come to the receiver without having been judged: there its side is judged as well, for
 * as long as the flow stands, and what its own hook has judged is not judged twice.
 */
static void sent_past_the_hook(void **state)
{
	struct rig *r = *state;
	struct access_row a;

	for (int v6 = 0; v6 < 2; v6++) {
		const char *x = v6 ? IP6[POD_A] : IP4[POD_A], *y = v6 ? IP6[POD_B] : IP4[POD_B];

		for (int inside = 0; inside < 2; inside++) {
			rig_clear(r); /* the workloads' records too */
			assert_int_equal(wl_map_inside(r->m, POD_A, inside), 0);
			rig_ep_flags(r, POD_A, inside ? CW_EP_POD_SIDE : 0);
			rig_all(r, GROUP(POD_A), CW_MODE_ENFORCE, V_BLOCK);
			rig_all(r, GROUP(POD_B), CW_MODE_ENFORCE, V_ALLOW);
			assert_int_equal(send_udp(r, POD_A, FROM, x, y, 40000, 53000), DROP);
			/* past it: the receiver allows, the sender's rules do not */
			assert_int_equal(send_udp(r, POD_B, TO, x, y, 40001, 53001), inside ? DROP : PASS);
			assert_int_equal(send_udp(r, POD_B, TO, x, y, 40001, 53001), inside ? DROP : PASS);
			assert_int_equal(send_tcp(r, POD_B, TO, x, y, 40002, 80, PKT_SYN), inside ? DROP : PASS);
			assert_true(rig_access(r, EID(POD_A), EID(POD_B), 17, 53001, &a));
			assert_int_equal(a.val.cnt[CW_EGRESS][CW_OUT_DROP], inside ? 2 : 0);
			assert_int_equal(a.val.cnt[CW_INGRESS][CW_OUT_ALLOW], 1);
			assert_int_equal(a.val.flows, 1);

			/* the mode is the sender's own */
			rig_clear(r);
			assert_int_equal(wl_map_inside(r->m, POD_A, inside), 0);
			rig_all(r, GROUP(POD_A), CW_MODE_ALERT, V_BLOCK);
			assert_int_equal(send_udp(r, POD_B, TO, x, y, 40001, 53001), PASS);
			assert_true(rig_access(r, EID(POD_A), EID(POD_B), 17, 53001, &a));
			assert_int_equal(a.val.cnt[CW_EGRESS][CW_OUT_WOULD_BLOCK], inside);

			/* by its hook, allowed: judged once there and once at the receiver, then cut at both */
			rig_clear(r);
			assert_int_equal(wl_map_inside(r->m, POD_A, inside), 0);
			rig_all(r, GROUP(POD_A), CW_MODE_ENFORCE, V_ALLOW);
			for (int i = 0; i < 3; i++) {
				assert_int_equal(send_udp(r, POD_A, FROM, x, y, 40003, 53003), PASS);
				assert_int_equal(send_udp(r, POD_B, TO, x, y, 40003, 53003), PASS);
				assert_int_equal(send_udp(r, POD_B, FROM, y, x, 53003, 40003), PASS);
				assert_int_equal(send_udp(r, POD_A, TO, y, x, 53003, 40003), PASS);
			}
			assert_true(rig_access(r, EID(POD_A), EID(POD_B), 17, 53003, &a));
			assert_int_equal(a.val.cnt[CW_EGRESS][CW_OUT_ALLOW], 1);
			assert_int_equal(a.val.cnt[CW_INGRESS][CW_OUT_ALLOW], 1);
			assert_int_equal(a.val.answered, 1);
			rig_all(r, GROUP(POD_A), CW_MODE_ENFORCE, V_BLOCK);
			assert_int_equal(send_udp(r, POD_B, TO, x, y, 40003, 53003), inside ? DROP : PASS);
			assert_int_equal(send_udp(r, POD_A, FROM, x, y, 40003, 53003), DROP);
			assert_int_equal(send_udp(r, POD_B, TO, x, y, 40003, 53003), inside ? DROP : PASS);
			rig_all(r, GROUP(POD_A), CW_MODE_ENFORCE, V_ALLOW);
			assert_int_equal(send_udp(r, POD_B, TO, x, y, 40003, 53003), PASS);
		}
	}
	assert_int_equal(wl_map_inside(r->m, 0, true), -ERANGE);
	assert_int_equal(wl_map_inside(r->m, 1u << 30, true), -ERANGE);
}

static int tests(void)
{
	const struct CMUnitTest t[] = {
		{ "same_verdicts", same_verdicts, rig_setup, rig_teardown, NULL },
		{ "probes", probes, rig_setup, rig_teardown, NULL },
		{ "sent_past_the_hook", sent_past_the_hook, rig_setup, rig_teardown, NULL },
		{ "xdp: sent_past_the_hook", sent_past_the_hook, rig_setup_xdp, rig_teardown, NULL },
	};

	return cmocka_run_group_tests(t, NULL, NULL);
}

int main(void)
{
	return rig_main("xdp", tests);
}
