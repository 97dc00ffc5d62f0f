/* SPDX-License-Identifier: Apache-2.0 */
/* test_flow.c - mirrors bpf/conntrack.h, bpf/fast.h and the flow's way in bpf/path.h: states,
 * direction, expiry, generations, both ends on one node, errors that belong to a flow. */
#include <netinet/in.h>

#include "selftests/prog_run/rig.h"

#define A4 IP4[POD_A]
#define B4 IP4[POD_B]
#define A6 IP6[POD_A]
#define B6 IP6[POD_B]

static struct cw_flow flow(struct rig *r, const char *a, uint16_t pa, const char *b, uint16_t pb, uint8_t proto)
{
	struct cw_flow f;

	if (!rig_flow(r, a, pa, b, pb, proto, &f))
		fail_msg("no flow %s:%u - %s:%u", a, pa, b, pb);
	return f;
}

/* One frame of a flow A -> world (or any peer) at A's hook. */
struct step {
	bool reply;
	uint8_t flags;
	int want;
	uint8_t state;
	uint8_t answered;
};

static void walk(struct rig *r, const char *me, const char *peer, const struct step *s, size_t n)
{
	for (size_t i = 0; i < n; i++) {
		int got = s[i].reply ? send_tcp(r, POD_A, TO, peer, me, 443, 40000, s[i].flags) :
				       send_tcp(r, POD_A, FROM, me, peer, 40000, 443, s[i].flags);
		struct cw_flow f;

		if (got != s[i].want)
			fail_msg("step %zu: returned %d", i, got);
		if (s[i].want == DROP)
			continue;
		f = flow(r, me, 40000, peer, 443, 6);
		if (f.state != s[i].state || !!(f.flags & CW_FLOW_F_ANSWERED) != s[i].answered)
			fail_msg("step %zu: state %u flags %#x", i, f.state, f.flags);
	}
}

#define S PKT_SYN
#define SA (PKT_SYN | PKT_ACK)
#define K PKT_ACK
#define F (PKT_FIN | PKT_ACK)
#define R PKT_RST
#define RA (PKT_RST | PKT_ACK)

static void allow_out(struct rig *r)
{
	rig_side(r, GROUP(POD_A), CW_EGRESS, CW_MODE_ENFORCE, false, V_BLOCK_DEFAULT, CELLS({ 0, PORT(6, 443), V_ALLOW },
		 { 0, PORT(17, 443), V_ALLOW }, { 0, PORT(1, 8 << 8), V_ALLOW }, { 0, PORT(58, 128 << 8), V_ALLOW },
		 { 0, PORT(132, 443), V_ALLOW }));
}

static void tcp_states(void **state)
{
	static const struct {
		const char *name;
		struct step s[10];
	} t[] = {
		{ "life", { { 0, S, PASS, CW_FLOW_SYN, 0 }, { 1, SA, PASS, CW_FLOW_SYNACK, 1 }, { 0, K, PASS, CW_FLOW_OPEN, 1 },
			    { 1, K, PASS, CW_FLOW_OPEN, 1 }, { 0, F, PASS, CW_FLOW_FIN, 1 }, { 1, K, PASS, CW_FLOW_FIN, 1 },
			    { 1, F, PASS, CW_FLOW_CLOSED, 1 }, { 0, K, PASS, CW_FLOW_CLOSED, 1 } } },
		{ "closed by the other end first", { { 0, S, PASS, CW_FLOW_SYN, 0 }, { 1, SA, PASS, CW_FLOW_SYNACK, 1 },
			    { 0, K, PASS, CW_FLOW_OPEN, 1 }, { 1, F, PASS, CW_FLOW_FIN, 1 }, { 0, K, PASS, CW_FLOW_FIN, 1 },
			    { 0, F, PASS, CW_FLOW_CLOSED, 1 }, { 0, F, PASS, CW_FLOW_CLOSED, 1 } } },
		{ "refused", { { 0, S, PASS, CW_FLOW_SYN, 0 }, { 1, RA, PASS, CW_FLOW_CLOSED, 0 },
			       { 0, S, PASS, CW_FLOW_SYN, 0 } } },
		{ "reset by the opener", { { 0, S, PASS, CW_FLOW_SYN, 0 }, { 1, SA, PASS, CW_FLOW_SYNACK, 1 },
			    { 0, K, PASS, CW_FLOW_OPEN, 1 }, { 0, R, PASS, CW_FLOW_CLOSED, 1 } } },
		{ "SYN again, SYN-ACK again", { { 0, S, PASS, CW_FLOW_SYN, 0 }, { 0, S, PASS, CW_FLOW_SYN, 0 },
			    { 1, SA, PASS, CW_FLOW_SYNACK, 1 }, { 1, SA, PASS, CW_FLOW_SYNACK, 1 }, { 0, S, PASS, CW_FLOW_SYNACK, 1 },
			    { 0, K, PASS, CW_FLOW_OPEN, 1 } } },
		{ "SYN on a live tuple is not believed", { { 0, S, PASS, CW_FLOW_SYN, 0 }, { 1, SA, PASS, CW_FLOW_SYNACK, 1 },
			    { 0, K, PASS, CW_FLOW_OPEN, 1 }, { 0, S, PASS, CW_FLOW_OPEN, 1 }, { 1, S, PASS, CW_FLOW_OPEN, 1 },
			    { 1, SA, PASS, CW_FLOW_OPEN, 1 }, { 0, K, PASS, CW_FLOW_OPEN, 1 } } },
		{ "simultaneous open", { { 0, S, PASS, CW_FLOW_SYN, 0 }, { 1, S, PASS, CW_FLOW_SYN, 0 },
			    { 0, SA, PASS, CW_FLOW_SYN, 0 }, { 1, SA, PASS, CW_FLOW_SYNACK, 1 }, { 0, K, PASS, CW_FLOW_OPEN, 1 } } },
		{ "data before the handshake was answered", { { 0, S, PASS, CW_FLOW_SYN, 0 }, { 0, K, PASS, CW_FLOW_SYN, 0 },
			    { 1, SA, PASS, CW_FLOW_SYNACK, 1 } } },
		{ "reset after the end", { { 0, S, PASS, CW_FLOW_SYN, 0 }, { 1, RA, PASS, CW_FLOW_CLOSED, 0 },
			    { 1, RA, PASS, CW_FLOW_CLOSED, 0 } } },
	};
	struct rig *r = *state;

	for (int v6 = 0; v6 < 2; v6++)
		for (size_t i = 0; i < ARRAY_SIZE(t); i++) {
			size_t n = 0;

			print_message("  %s\n", t[i].name);
			rig_clear(r);
			allow_out(r);
			while (n < ARRAY_SIZE(t[i].s) && t[i].s[n].want)
				n++;
			walk(r, v6 ? A6 : A4, v6 ? WORLD6 : WORLD4, t[i].s, n);
		}
}

/* On a tuple that is over, a SYN is judged as new, from either end. */
static void syn_after_end(void **state)
{
	static const struct step over[] = { { 0, S, PASS, CW_FLOW_SYN, 0 }, { 1, SA, PASS, CW_FLOW_SYNACK, 1 },
					    { 0, K, PASS, CW_FLOW_OPEN, 1 }, { 0, R, PASS, CW_FLOW_CLOSED, 1 } };
	struct rig *r = *state;
	struct access_row a;

	allow_out(r);
	walk(r, A4, WORLD4, over, ARRAY_SIZE(over));
	/* the server opens to the client's port: ingress, which nothing allows */
	assert_int_equal(send_tcp(r, POD_A, TO, WORLD4, A4, 443, 40000, S), DROP);
	assert_int_equal(rig_reason(r, CW_R_DEFAULT).dropped, 1);
	/* the client again: a second flow */
	assert_int_equal(send_tcp(r, POD_A, FROM, A4, WORLD4, 40000, 443, S), PASS);
	assert_true(rig_access(r, EID(POD_A), CW_ID_WORLD, 6, 443, &a));
	assert_int_equal(a.val.flows, 2);
	assert_int_equal(a.val.answered, 1);
	assert_int_equal(flow(r, A4, 40000, WORLD4, 443, 6).state, CW_FLOW_SYN);
	/* and after it was refused now */
	rig_side(r, GROUP(POD_A), CW_EGRESS, CW_MODE_ENFORCE, false, V_BLOCK_DEFAULT, NULL, 0);
	assert_int_equal(send_tcp(r, POD_A, FROM, A4, WORLD4, 40000, 443, S), DROP);
}

static void udp_and_others(void **state)
{
	struct rig *r = *state;
	struct access_row a;

	for (int v6 = 0; v6 < 2; v6++) {
		const char *me = v6 ? A6 : A4, *peer = v6 ? WORLD6 : WORLD4;
		uint8_t echo = v6 ? 128 : 8;

		rig_clear(r);
		allow_out(r);
		/* UDP, one way, then answered */
		for (int i = 0; i < 3; i++)
			assert_int_equal(send_udp(r, POD_A, FROM, me, peer, 5000, 443), PASS);
		assert_int_equal(flow(r, me, 5000, peer, 443, 17).state, CW_FLOW_NEW);
		assert_int_equal(send_udp(r, POD_A, TO, peer, me, 443, 5000), PASS);
		assert_int_equal(flow(r, me, 5000, peer, 443, 17).state, CW_FLOW_OPEN);
		assert_int_equal(send_udp(r, POD_A, TO, peer, me, 443, 5000), PASS);
		assert_true(rig_access(r, EID(POD_A), CW_ID_WORLD, 17, 443, &a));
		assert_int_equal(a.val.flows, 1);
		assert_int_equal(a.val.answered, 1);
		assert_int_equal(a.traffic.packets, 5);
		/* an answer of nothing is new, and ingress */
		assert_int_equal(send_udp(r, POD_A, TO, peer, me, 443, 5001), DROP);
		/* echo */
		assert_int_equal(send_icmp(r, POD_A, FROM, me, peer, echo, 0, 7), PASS);
		assert_int_equal(send_icmp(r, POD_A, TO, peer, me, v6 ? 129 : 0, 0, 7), PASS);
		assert_int_equal(send_icmp(r, POD_A, TO, peer, me, v6 ? 129 : 0, 0, 8), DROP);
		/* a request with the same id is no answer */
		assert_int_equal(send_icmp(r, POD_A, TO, peer, me, echo, 0, 7), DROP);
		assert_int_equal(send_icmp(r, POD_A, FROM, me, peer, echo, 0, 0x800), PASS);
		assert_int_equal(send_icmp(r, POD_A, TO, peer, me, echo, 0, 0x800), DROP);
		assert_int_equal(send_icmp(r, POD_A, FROM, me, peer, v6 ? 129 : 0, 0, 7), DROP);
		assert_true(rig_access(r, EID(POD_A), CW_ID_WORLD, v6 ? 58 : 1, echo << 8, &a));
		assert_int_equal(a.val.flows, 2);
		assert_int_equal(a.val.answered, 1);
		/* SCTP */
		for (int reply = 0; reply < 2; reply++) {
			struct pkt p = frame_l3(POD_A, !reply, reply ? peer : me, reply ? me : peer);

			pkt_sctp(&p, reply ? 443 : 5000, reply ? 5000 : 443, (uint8_t)(1 + reply));
			pkt_finish(&p);
			assert_int_equal(rig_run(r, POD_A, !reply, &p), PASS);
		}
		assert_int_equal(flow(r, me, 5000, peer, 443, 132).state, CW_FLOW_OPEN);
	}
}

/* ---- direction of what is picked up in mid-stream --------------------------------------------------- */

static void mid_stream(void **state)
{
	static const struct {
		const char *name;
		bool from_pod, listens;
		uint8_t proto, flags;
		uint16_t sport, dport;
		enum cw_side side;
		bool guessed;
	} t[] = {
		{ "to a lower port", FROM, false, 6, K, 40000, 443, CW_EGRESS, true },
		{ "from a lower port", FROM, false, 6, K, 443, 40000, CW_INGRESS, true },
		{ "to the pod's lower port", TO, false, 6, K, 40000, 443, CW_INGRESS, true },
		{ "from a lower port to the pod", TO, false, 6, K, 443, 40000, CW_EGRESS, true },
		{ "from a port the pod listens on", FROM, true, 6, K, 50000, 443, CW_INGRESS, true },
		{ "to a port the pod listens on", TO, true, 6, K, 443, 50000, CW_INGRESS, true },
		{ "SYN from a low port", FROM, false, 6, S, 20, 40000, CW_EGRESS, false },
		{ "SYN-ACK from the pod", FROM, false, 6, SA, 443, 40000, CW_INGRESS, false },
		{ "SYN-ACK to the pod", TO, false, 6, SA, 443, 40000, CW_EGRESS, false },
		{ "UDP from a low port", FROM, false, 17, 0, 53, 40000, CW_EGRESS, false },
		{ "UDP from a port it listens on", FROM, true, 17, 0, 2000, 40000, CW_INGRESS, true },
		{ "UDP from a port it listens on to a low one", FROM, true, 17, 0, 2000, 53, CW_EGRESS, false },
	};
	struct rig *r = *state;

	for (size_t i = 0; i < ARRAY_SIZE(t); i++) {
		const char *src = t[i].from_pod ? A4 : NODE4, *dst = t[i].from_pod ? NODE4 : A4;
		bool reply = (t[i].from_pod == FROM) == (t[i].side == CW_INGRESS);
		uint16_t local = t[i].from_pod ? t[i].sport : t[i].dport;
		struct access_row a;
		struct cw_flow f;

		print_message("  %s\n", t[i].name);
		rig_clear(r);
		rig_all(r, GROUP(POD_A), CW_MODE_LEARN, V_BLOCK_DEFAULT);
		if (t[i].listens)
			assert_int_equal(listen_map_set(r->m, POD_A, t[i].proto, false, local), 0);
		if (t[i].proto == 6)
			assert_int_equal(send_tcp(r, POD_A, t[i].from_pod, src, dst, t[i].sport, t[i].dport, t[i].flags), PASS);
		else
			assert_int_equal(send_udp(r, POD_A, t[i].from_pod, src, dst, t[i].sport, t[i].dport), PASS);
		f = flow(r, src, t[i].sport, dst, t[i].dport, t[i].proto);
		assert_int_equal(f.side[t[i].side].ep, POD_A);
		assert_int_equal(f.side[!t[i].side].ep, 0);
		assert_int_equal(!!(f.flags & CW_FLOW_F_GUESSED), t[i].guessed);
		assert_int_equal(!!(f.flags & CW_FLOW_F_ACCT_INGRESS), t[i].side == CW_INGRESS);
		assert_true(rig_access(r, t[i].side == CW_EGRESS ? EID(POD_A) : CW_ID_REMOTE_NODE,
				       t[i].side == CW_EGRESS ? CW_ID_REMOTE_NODE : EID(POD_A), t[i].proto,
				       reply ? t[i].sport : t[i].dport, &a));
		assert_int_equal(a.val.guessed, t[i].guessed);
		(void)listen_map_del(r->m, POD_A, t[i].proto, false, local);
	}
}

static void takeover(void **state)
{
	struct rig *r = *state;

	rig_all(r, GROUP(POD_A), CW_MODE_LEARN, V_BLOCK_DEFAULT);
	ctl_takeover(r->m, true);
	assert_int_equal(send_udp(r, POD_A, TO, NODE4, A4, 53, 40000), PASS);
	assert_int_equal(flow(r, NODE4, 53, A4, 40000, 17).side[CW_EGRESS].ep, POD_A);
	assert_true(flow(r, NODE4, 53, A4, 40000, 17).flags & CW_FLOW_F_GUESSED);
	/* Who listens goes before the lower port, but only in the family that is asked. */
	assert_int_equal(listen_map_set(r->m, POD_A, 17, true, 8080), 0);
	assert_int_equal(send_udp(r, POD_A, TO, NODE4, A4, 2000, 8080), PASS);
	assert_int_equal(flow(r, NODE4, 2000, A4, 8080, 17).side[CW_EGRESS].ep, POD_A);
	assert_int_equal(listen_map_set(r->m, POD_A, 17, false, 8080), 0);
	assert_int_equal(send_udp(r, POD_A, TO, NODE4, A4, 2001, 8080), PASS);
	assert_int_equal(flow(r, NODE4, 2001, A4, 8080, 17).side[CW_INGRESS].ep, POD_A);
	ctl_takeover(r->m, false);
	assert_int_equal(send_udp(r, POD_A, TO, NODE4, A4, 53, 40001), PASS);
	assert_int_equal(flow(r, NODE4, 53, A4, 40001, 17).side[CW_INGRESS].ep, POD_A);
}

/* A stray reset opens nothing; it is judged. */
static void stray_reset(void **state)
{
	struct rig *r = *state;

	assert_int_equal(send_tcp(r, POD_A, FROM, A4, NODE4, 40000, 443, R), DROP);
	rig_all(r, GROUP(POD_A), CW_MODE_ENFORCE, V_ALLOW);
	assert_int_equal(send_tcp(r, POD_A, FROM, A4, NODE4, 40000, 443, R), PASS);
	assert_int_equal(rig_flows(r), 0);
	assert_int_equal(rig_accesses(r), 0);
}

/* ---- expiry ----------------------------------------------------------------------------------------- */

static void expiry(void **state)
{
	static const struct { const char *name; uint8_t proto, upto; uint32_t idle; bool over; } t[] = {
		{ "TCP SYN, 59 s", 6, 1, 59, false }, { "TCP SYN, 61 s", 6, 1, 61, true },
		{ "TCP open, 59 min", 6, 3, 3540, false }, { "TCP open, 61 min", 6, 3, 3660, true },
		{ "UDP unanswered, 59 s", 17, 1, 59, false }, { "UDP unanswered, 61 s", 17, 1, 61, true },
		{ "UDP answered, 179 s", 17, 2, 179, false }, { "UDP answered, 181 s", 17, 2, 181, true },
	};
	struct rig *r = *state;

	for (size_t i = 0; i < ARRAY_SIZE(t); i++) {
		struct access_row a;

		print_message("  %s\n", t[i].name);
		rig_clear(r);
		allow_out(r);
		for (int k = 0; k < t[i].upto; k++) {
			if (t[i].proto == 17)
				assert_int_equal(k ? send_udp(r, POD_A, TO, WORLD4, A4, 443, 5000) :
						     send_udp(r, POD_A, FROM, A4, WORLD4, 5000, 443), PASS);
			else
				assert_int_equal(k == 1 ? send_tcp(r, POD_A, TO, WORLD4, A4, 443, 5000, SA) :
						 send_tcp(r, POD_A, FROM, A4, WORLD4, 5000, 443, k ? K : S), PASS);
		}
		rig_flow_age(r, A4, 5000, WORLD4, 443, t[i].proto, t[i].idle);
		/* never a drop by itself: judged as new, from its own side here */
		assert_int_equal(t[i].proto == 17 ? send_udp(r, POD_A, FROM, A4, WORLD4, 5000, 443) :
						    send_tcp(r, POD_A, FROM, A4, WORLD4, 5000, 443, K), PASS);
		assert_true(rig_access(r, EID(POD_A), CW_ID_WORLD, t[i].proto, 443, &a));
		assert_int_equal(a.val.flows, t[i].over ? 2 : 1);
		assert_true(rig_jiffies(r) - flow(r, A4, 5000, WORLD4, 443, t[i].proto).seen < 5 * r->hz);
	}
	/* A stamp of another CPU that is a tick ahead is no expiry: neither judged nor counted again. */
	for (int proto = 6; proto <= 17; proto += 11) {
		struct access_row a;
		struct cw_flow f;

		rig_clear(r);
		allow_out(r);
		assert_int_equal(proto == 17 ? send_udp(r, POD_A, FROM, A4, WORLD4, 5000, 443) :
					       send_tcp(r, POD_A, FROM, A4, WORLD4, 5000, 443, S), PASS);
		f = flow(r, A4, 5000, WORLD4, 443, (uint8_t)proto);
		f.seen = rig_jiffies(r) + r->hz * 60;
		rig_flow_put(r, A4, 5000, WORLD4, 443, (uint8_t)proto, &f);
		assert_int_equal(proto == 17 ? send_udp(r, POD_A, TO, WORLD4, A4, 443, 5000) :
					       send_tcp(r, POD_A, TO, WORLD4, A4, 443, 5000, SA), PASS);
		assert_true(rig_access(r, EID(POD_A), CW_ID_WORLD, (uint8_t)proto, 443, &a));
		assert_int_equal(a.val.flows, 1);
		assert_int_equal(a.val.answered, 1);
	}
}

/* ---- generations ------------------------------------------------------------------------------------- */

/* A change is felt at the next packet in either direction, by the flow's own direction; what stays
 * allowed never stalls; what was cut comes back with the rule. */
static void judged_again(void **state)
{
	struct rig *r = *state;

	for (int v6 = 0; v6 < 2; v6++)
		for (int udp = 0; udp < 2; udp++)
			for (int first_is_reply = 0; first_is_reply < 2; first_is_reply++) {
				const char *me = v6 ? A6 : A4, *peer = v6 ? WORLD6 : WORLD4;
#define GO(flags) (udp ? send_udp(r, POD_A, FROM, me, peer, 5000, 443) : \
		   send_tcp(r, POD_A, FROM, me, peer, 5000, 443, flags))
#define COME(flags) (udp ? send_udp(r, POD_A, TO, peer, me, 443, 5000) : \
		     send_tcp(r, POD_A, TO, peer, me, 443, 5000, flags))
				struct access_row a;

				rig_clear(r);
				allow_out(r);
				rig_side(r, GROUP(POD_A), CW_INGRESS, CW_MODE_ENFORCE, false, V_BLOCK, NULL, 0);
				assert_int_equal(GO(S), PASS);
				assert_int_equal(COME(SA), PASS);
				assert_int_equal(GO(K), PASS);
				assert_int_equal(COME(K), PASS);
				/* still allowed, by another rule and generation */
				allow_out(r);
				assert_int_equal(first_is_reply ? COME(K) : GO(K), PASS);
				assert_int_equal(first_is_reply ? GO(K) : COME(K), PASS);
				assert_true(rig_access(r, EID(POD_A), CW_ID_WORLD, udp ? 17 : 6, 443, &a));
				assert_int_equal(a.val.flows, 1);
				assert_int_equal(a.val.cnt[CW_EGRESS][CW_OUT_ALLOW], 1);
				/* a change of the other side is none of its business */
				rig_side(r, GROUP(POD_A), CW_INGRESS, CW_MODE_ENFORCE, false, V_BLOCK, NULL, 0);
				assert_int_equal(GO(K), PASS);
				assert_int_equal(COME(K), PASS);
				/* cut */
				rig_side(r, GROUP(POD_A), CW_EGRESS, CW_MODE_ENFORCE, false, V_BLOCK, NULL, 0);
				assert_int_equal(first_is_reply ? COME(K) : GO(K), DROP);
				assert_int_equal(first_is_reply ? GO(K) : COME(K), DROP);
				assert_int_equal(rig_reason(r, CW_R_ESTABLISHED_CUT).dropped, 2);
				assert_true(rig_access(r, EID(POD_A), CW_ID_WORLD, udp ? 17 : 6, 443, &a));
				assert_int_equal(a.val.flows, 1);
				assert_int_equal(a.val.cnt[CW_EGRESS][CW_OUT_DROP], 2);
				/* the entry is marked, not deleted: the next reply is no new flow from the wrong side */
				assert_int_equal(rig_flows(r), 1);
				assert_int_equal(flow(r, me, 5000, peer, 443, udp ? 17 : 6).side[CW_EGRESS].outcome, CW_OUT_DROP);
				assert_int_equal(rig_accesses(r), 1);
				/* and revived */
				allow_out(r);
				assert_int_equal(first_is_reply ? COME(K) : GO(K), PASS);
				assert_int_equal(first_is_reply ? GO(K) : COME(K), PASS);
				/* quarantine cuts too, with its own reason */
				rig_all(r, GROUP(POD_A), CW_MODE_LEARN, V_QUAR);
				assert_int_equal(COME(K), DROP);
				assert_int_equal(GO(K), DROP);
				assert_int_equal(rig_reason(r, CW_R_QUARANTINE).dropped, 2);
				/* off: passes, nothing recorded */
				rig_all(r, GROUP(POD_A), CW_MODE_OFF, V_BLOCK);
				assert_int_equal(COME(K), PASS);
				assert_int_equal(GO(K), PASS);
			}
}

/* Both ends on one node: one entry, two verdicts, each by its own end's rules and mode. */
static void both_ends(void **state)
{
	struct rig *r = *state;
	struct access_row a;
	struct cw_flow f;

	for (int v6 = 0; v6 < 2; v6++) {
		const char *x = v6 ? A6 : A4, *y = v6 ? B6 : B4;

		rig_clear(r);
		allow_out(r);
		rig_side(r, GROUP(POD_B), CW_INGRESS, CW_MODE_ENFORCE, false, V_BLOCK_DEFAULT,
			 CELLS({ EID(POD_A), PORT(6, 443), V_ALERT }));
		rig_side(r, GROUP(POD_B), CW_EGRESS, CW_MODE_ENFORCE, false, V_BLOCK, NULL, 0);
		rig_side(r, GROUP(POD_A), CW_INGRESS, CW_MODE_ENFORCE, false, V_BLOCK, NULL, 0);
		for (int i = 0; i < 3; i++) {
			uint8_t go = i ? K : S, come = i ? K : SA;

			assert_int_equal(send_tcp(r, POD_A, FROM, x, y, 5000, 443, go), PASS);
			assert_int_equal(send_tcp(r, POD_B, TO, x, y, 5000, 443, go), PASS);
			assert_int_equal(send_tcp(r, POD_B, FROM, y, x, 443, 5000, come), PASS);
			assert_int_equal(send_tcp(r, POD_A, TO, y, x, 443, 5000, come), PASS);
		}
		f = flow(r, x, 5000, y, 443, 6);
		assert_int_equal(f.side[CW_EGRESS].ep, POD_A);
		assert_int_equal(f.side[CW_INGRESS].ep, POD_B);
		assert_int_equal(f.state, CW_FLOW_OPEN);
		assert_true(rig_access(r, EID(POD_A), EID(POD_B), 6, 443, &a));
		assert_int_equal(a.key.src_wl, POD_A);
		assert_int_equal(a.key.dst_wl, POD_B);
		assert_int_equal(a.val.flows, 1);	/* once on this node */
		assert_int_equal(a.val.answered, 1);
		assert_int_equal(a.val.cnt[CW_EGRESS][CW_OUT_ALLOW], 1);
		assert_int_equal(a.val.cnt[CW_INGRESS][CW_OUT_ALERT], 1);
		assert_int_equal(a.traffic.packets, 6);	/* each packet at one of its two hooks */
		assert_int_equal(rig_accesses(r), 1);
		/* only the receiver forbids it now: A's hook passes, B's drops, in both directions */
		rig_side(r, GROUP(POD_B), CW_INGRESS, CW_MODE_ENFORCE, false, V_BLOCK, NULL, 0);
		assert_int_equal(send_tcp(r, POD_A, FROM, x, y, 5000, 443, K), PASS);
		assert_int_equal(send_tcp(r, POD_B, TO, x, y, 5000, 443, K), DROP);
		assert_int_equal(send_tcp(r, POD_B, FROM, y, x, 443, 5000, K), DROP);
		assert_int_equal(send_tcp(r, POD_A, TO, y, x, 443, 5000, K), PASS);
	}
}

/* Whose side is off records nothing; the other side still counts the flow, its answer and bytes. */
static void one_end_off(void **state)
{
	struct rig *r = *state;

	for (int off_is_source = 0; off_is_source < 2; off_is_source++)
		for (int proto = 6; proto <= 17; proto += 11) {
			struct access_row a;

			rig_clear(r);
			rig_all(r, GROUP(POD_A), off_is_source ? CW_MODE_OFF : CW_MODE_LEARN, V_BLOCK_DEFAULT);
			rig_all(r, GROUP(POD_B), off_is_source ? CW_MODE_LEARN : CW_MODE_OFF, V_BLOCK_DEFAULT);
			for (int i = 0; i < 4; i++) {
				for (int reply = 0; reply < 2; reply++)
					for (int hop = 0; hop < 2; hop++) {
						int pod = (hop == reply) ? POD_A : POD_B;
						const char *s = reply ? B4 : A4, *d = reply ? A4 : B4;
						uint16_t sp = reply ? 443 : 5000, dp = reply ? 5000 : 443;
						uint8_t fl = i ? K : reply ? SA : S;

						assert_int_equal(proto == 6 ? send_tcp(r, pod, !hop, s, d, sp, dp, fl) :
								 send_udp(r, pod, !hop, s, d, sp, dp), PASS);
					}
			}
			assert_int_equal(rig_accesses(r), 1);
			assert_true(rig_access(r, EID(POD_A), EID(POD_B), (uint8_t)proto, 443, &a));
			assert_int_equal(a.val.flows, 1);
			assert_int_equal(a.val.answered, 1);
			assert_int_equal(a.val.cnt[off_is_source ? CW_INGRESS : CW_EGRESS][CW_OUT_NO_RULE], 1);
			assert_int_equal(a.val.cnt[off_is_source ? CW_EGRESS : CW_INGRESS][CW_OUT_NO_RULE], 0);
			assert_int_equal(a.traffic.packets, 8);
			/* and when the other one is switched on it is counted there, not opened again */
			rig_all(r, GROUP(off_is_source ? POD_A : POD_B), CW_MODE_LEARN, V_BLOCK_DEFAULT);
			assert_int_equal(proto == 6 ? send_tcp(r, POD_A, FROM, A4, B4, 5000, 443, K) :
					 send_udp(r, POD_A, FROM, A4, B4, 5000, 443), PASS);
			assert_int_equal(proto == 6 ? send_tcp(r, POD_B, TO, A4, B4, 5000, 443, K) :
					 send_udp(r, POD_B, TO, A4, B4, 5000, 443), PASS);
			assert_true(rig_access(r, EID(POD_A), EID(POD_B), (uint8_t)proto, 443, &a));
			assert_int_equal(a.val.flows, 1);
			assert_int_equal(a.val.cnt[CW_EGRESS][CW_OUT_NO_RULE], 1);
			assert_int_equal(a.val.cnt[CW_INGRESS][CW_OUT_NO_RULE], 1);
		}
}

/* An entry speaks only for the endpoint that was judged. */
static void owner(void **state)
{
	struct rig *r = *state;
	struct pkt p;

	allow_out(r);
	assert_int_equal(send_tcp(r, POD_A, FROM, A4, WORLD4, 5000, 443, S), PASS);
	assert_int_equal(send_tcp(r, POD_A, TO, WORLD4, A4, 443, 5000, SA), PASS);
	assert_int_equal(send_tcp(r, POD_A, FROM, A4, WORLD4, 5000, 443, K), PASS);
	/* another pod with A's tuple: forged, whichever way round */
	p = frame_tcp(POD_B, FROM, A4, WORLD4, 5000, 443, K);
	assert_int_equal(rig_run(r, POD_B, FROM, &p), DROP);
	p = frame_tcp(POD_B, FROM, WORLD4, A4, 443, 5000, K);
	assert_int_equal(rig_run(r, POD_B, FROM, &p), DROP);
	assert_int_equal(rig_reason(r, CW_R_SPOOF_IP).dropped, 2);
	/* flooded to it */
	p = frame_tcp(POD_B, TO, WORLD4, A4, 443, 5000, K);
	assert_int_equal(rig_run(r, POD_B, TO, &p), DROP);
	assert_int_equal(rig_reason(r, CW_R_NOT_MINE).dropped, 1);
	/* A itself with its peer's address */
	p = frame_tcp(POD_A, FROM, WORLD4, A4, 443, 5000, K);
	assert_int_equal(rig_run(r, POD_A, FROM, &p), DROP);
	assert_int_equal(flow(r, A4, 5000, WORLD4, 443, 6).state, CW_FLOW_OPEN);
	assert_int_equal(flow(r, A4, 5000, WORLD4, 443, 6).side[CW_EGRESS].ep, POD_A);
	/* a forged reset does not close it */
	p = frame_tcp(POD_B, FROM, A4, WORLD4, 5000, 443, R);
	assert_int_equal(rig_run(r, POD_B, FROM, &p), DROP);
	assert_int_equal(flow(r, A4, 5000, WORLD4, 443, 6).state, CW_FLOW_OPEN);
	/* the address moves to B: judged there by B's rules */
	{
		struct cw_addr v = { .eid = EID(POD_B), .group = GROUP(POD_B), .wl = POD_B, .realm = CW_REALM_POD };
		struct addr a = rig_addr(A4);

		assert_int_equal(addr_map_set(r->m, 0, &a, &v), 0);
	}
	p = frame_tcp(POD_B, FROM, A4, WORLD4, 5000, 443, K);
	assert_int_equal(rig_run(r, POD_B, FROM, &p), DROP);
	assert_int_equal(rig_reason(r, CW_R_DEFAULT).dropped, 1);
}

/* A flow taken over from the kernel's tables is counted and judged by its first packet. */
static void seeded(void **state)
{
	struct cw_flow f = { .state = CW_FLOW_OPEN, .flags = CW_FLOW_F_SEEDED | CW_FLOW_F_ANSWERED };
	struct rig *r = *state;
	struct access_row a;

	f.seen = f.born = rig_jiffies(r);
	for (int b_orig = 0; b_orig < 2; b_orig++) {
		/* whichever end the key calls a */
		struct flow_row row = { .a = rig_addr(b_orig ? NODE4 : A4), .b = rig_addr(b_orig ? A4 : NODE4),
					.pa = b_orig ? 443 : 5000, .pb = b_orig ? 5000 : 443, .proto = 6, .flow = f };

		rig_clear(r);
		allow_out(r);
		if (b_orig)
			row.flow.flags |= CW_FLOW_F_B_ORIG;
		assert_int_equal(flow_map_seed(r->m, &row), 0);
		assert_int_equal(send_tcp(r, POD_A, TO, NODE4, A4, 443, 5000, K), PASS);
		assert_int_equal(send_tcp(r, POD_A, FROM, A4, NODE4, 5000, 443, K), PASS);
		assert_true(rig_access(r, EID(POD_A), CW_ID_REMOTE_NODE, 6, 443, &a));
		assert_int_equal(a.val.flows, 1);
		assert_int_equal(a.val.answered, 1);
		assert_int_equal(a.val.cnt[CW_EGRESS][CW_OUT_ALLOW], 1);
		assert_int_equal(a.traffic.packets, 2);
		assert_int_equal(flow(r, A4, 5000, NODE4, 443, 6).side[CW_EGRESS].ep, POD_A);
		assert_int_equal(flow(r, A4, 5000, NODE4, 443, 6).side[CW_INGRESS].ep, 0);
		/* and cut when nothing allows it */
		rig_clear(r);
		rig_side(r, GROUP(POD_A), CW_EGRESS, CW_MODE_ENFORCE, false, V_BLOCK_DEFAULT, NULL, 0);
		assert_int_equal(flow_map_seed(r->m, &row), 0);
		assert_int_equal(send_tcp(r, POD_A, TO, NODE4, A4, 443, 5000, K), DROP);
		assert_int_equal(rig_reason(r, CW_R_DEFAULT).dropped, 1);
	}
}

/* ---- ICMP errors ---------------------------------------------------------------------------------------- */

static struct pkt error(bool from_pod, const char *src, const char *dst, uint8_t type, uint8_t code,
			const struct pkt *inner, size_t cut)
{
	struct pkt p = frame_l3(POD_A, from_pod, src, dst);

	pkt_icmp(&p, type, code, 1400);
	pkt_append(&p, inner, 14, cut);
	pkt_finish(&p);
	return p;
}

static void related(void **state)
{
	struct rig *r = *state;

	for (int v6 = 0; v6 < 2; v6++) {
		static const uint8_t t4[] = { 3, 4, 11, 12 }, t6[] = { 1, 2, 3, 4 };
		const char *me = v6 ? A6 : A4, *peer = v6 ? WORLD6 : WORLD4, *router = v6 ? NODE6 : NODE4;
		const char *lab = v6 ? LAB6 : LAB4;
		struct pkt go[4], p;

		rig_clear(r);
		allow_out(r);
		go[0] = frame_tcp(POD_A, FROM, me, peer, 5000, 443, S);
		go[1] = frame_udp(POD_A, FROM, me, peer, 5000, 443);
		go[2] = frame_icmp(POD_A, FROM, me, peer, v6 ? 128 : 8, 0, 77);
		go[3] = frame_l3(POD_A, FROM, me, peer);
		pkt_sctp(&go[3], 5000, 443, 1);
		pkt_finish(&go[3]);
		/* of no flow yet */
		for (int i = 0; i < 4; i++) {
			p = error(TO, router, me, v6 ? 1 : 3, 1, &go[i], 1000);
			assert_int_equal(rig_run(r, POD_A, TO, &p), DROP);
		}
		assert_int_equal(rig_reason(r, CW_R_ICMP_UNRELATED).dropped, 4);
		assert_int_equal(rig_flows(r), 0); /* never opens one */
		for (int i = 0; i < 4; i++)
			assert_int_equal(rig_run(r, POD_A, FROM, &go[i]), PASS);
		/* each type, whole and cut after 8 bytes of transport, from whichever router */
		for (int i = 0; i < 4; i++)
			for (int k = 0; k < 4; k++) {
				p = error(TO, k & 1 ? router : peer, me, v6 ? t6[k] : t4[k], 0, &go[i],
					  k & 2 ? (v6 ? 48 : 28) : 1000);
				assert_int_equal(rig_run(r, POD_A, TO, &p), PASS);
			}
		assert_int_equal(rig_reason(r, CW_R_RELATED).passed, 16);
		assert_int_equal(rig_flows(r), 4);
		/* from the pod about what came to it: to the sender only */
		{
			struct pkt come = frame_udp(POD_A, TO, peer, me, 443, 5000);

			p = error(FROM, me, peer, v6 ? 1 : 3, v6 ? 4 : 3, &come, 1000);
			assert_int_equal(rig_run(r, POD_A, FROM, &p), PASS);
			p = error(FROM, me, lab, v6 ? 1 : 3, v6 ? 4 : 3, &come, 1000);
			assert_int_equal(rig_run(r, POD_A, FROM, &p), DROP);
			/* about its own packet, to itself's peer */
			p = error(FROM, me, peer, v6 ? 1 : 3, 1, &go[1], 1000);
			assert_int_equal(rig_run(r, POD_A, FROM, &p), DROP);
			/* with a forged source */
			p = error(FROM, IP4[POD_B], WORLD4, 3, 1, &come, 1000);
			if (!v6)
				assert_int_equal(rig_run(r, POD_A, FROM, &p), DROP);
		}
		/* too short to tell the flow; about a later fragment */
		p = error(TO, router, me, v6 ? 1 : 3, 1, &go[1], v6 ? 47 : 27);
		assert_int_equal(rig_run(r, POD_A, TO, &p), DROP);
		/* about a flow that was cut since */
		rig_side(r, GROUP(POD_A), CW_EGRESS, CW_MODE_ENFORCE, false, V_BLOCK, NULL, 0);
		assert_int_equal(rig_run(r, POD_A, FROM, &go[1]), DROP);
		p = error(TO, router, me, v6 ? 1 : 3, 1, &go[1], 1000);
		assert_int_equal(rig_run(r, POD_A, TO, &p), DROP);
		/* about one that is over */
		rig_flow_age(r, me, 5000, peer, 443, 6, 100);
		p = error(TO, router, me, v6 ? 1 : 3, 1, &go[0], 1000);
		assert_int_equal(rig_run(r, POD_A, TO, &p), DROP);
	}
}

static int run(void)
{
	const struct CMUnitTest tc[] = {
#define T(f) cmocka_unit_test_setup_teardown(f, rig_setup, rig_teardown)
		T(tcp_states), T(syn_after_end), T(udp_and_others), T(mid_stream), T(takeover), T(stray_reset), T(expiry),
		T(judged_again), T(both_ends), T(one_end_off), T(owner), T(seeded), T(related),
	};
	const struct CMUnitTest xdp[] = {
#define X(f) { "xdp: " #f, f, rig_setup_xdp, rig_teardown, NULL }
		X(tcp_states), X(syn_after_end), X(udp_and_others), X(mid_stream), X(judged_again), X(both_ends),
		X(one_end_off), X(owner), X(related),
	};

	return cmocka_run_group_tests_name("flows at TC", tc, NULL, NULL) +
	       cmocka_run_group_tests_name("flows at XDP", xdp, NULL, NULL);
}

int main(void)
{
	return rig_main("flow", run);
}
