/* SPDX-License-Identifier: Apache-2.0 */
/* test_reject.c - mirrors bpf/reject.h and the shield in bpf/cw_xdp.bpf.c: answers to what a rule
 * rejects, and what is shed before a packet buffer is made. */
#include <arpa/inet.h>
#include <bpf/bpf.h>
#include <linux/bpf.h>
#include <netinet/in.h>

#include "selftests/prog_run/rig.h"

#define A4 IP4[POD_A]
#define A6 IP6[POD_A]
#define MARK 0x5ce11a11u /* cw_mark as the object has it */

static uint32_t word(const unsigned char *b)
{
	return (uint32_t)b[0] << 24 | (uint32_t)b[1] << 16 | (uint32_t)b[2] << 8 | b[3];
}

/* The answer goes back the way the packet came, ends swapped, sums right. */
static void check_answer(struct rig *r, const struct pkt *p, bool v6)
{
	const char *bad = pkt_check(r->out, r->out_len);
	size_t at = v6 ? 22 : 26, n = v6 ? 16 : 4;

	if (bad)
		fail_msg("answer: %s", bad);
	assert_memory_equal(r->out, p->b + 6, 6);
	assert_memory_equal(r->out + 6, p->b, 6);
	assert_memory_equal(r->out + at, p->b + at + n, n);
	assert_memory_equal(r->out + at + n, p->b + at, n);
}

static void tcp(void **state)
{
	static const struct { uint8_t flags; size_t data; } t[] = {
		{ PKT_SYN, 0 }, { PKT_SYN, 100 }, { PKT_ACK, 0 }, { PKT_ACK | PKT_PSH, 1 }, { PKT_ACK, 1448 },
		{ PKT_FIN | PKT_ACK, 3 }, { PKT_SYN | PKT_ACK, 0 }, { PKT_ACK, 255 }, { PKT_ACK, 256 }, { PKT_ACK, 257 },
		{ PKT_ACK, 3001 },
	};
	struct rig *r = *state;

	for (size_t i = 0; i < ARRAY_SIZE(t); i++)
		for (int bits = 0; bits < 4; bits++) {
			bool v6 = bits & 1, from = bits & 2;
			const char *me = v6 ? A6 : A4, *peer = v6 ? NODE6 : NODE4;
			struct pkt p = frame_l3(POD_A, from, from ? me : peer, from ? peer : me);
			const unsigned char *h = r->out + (v6 ? 54 : 34);

			rig_clear(r);
			rig_all(r, GROUP(POD_A), CW_MODE_ENFORCE, V_REJECT);
			pkt_tcp(&p, 40000, 50000, t[i].flags);
			pkt_data(&p, t[i].data);
			pkt_finish(&p);
			assert_int_equal(rig_run(r, POD_A, from, &p), REDIRECT);
			assert_int_equal(r->out_len, v6 ? 74 : 54);
			check_answer(r, &p, v6);
			assert_int_equal(word(h), 50000u << 16 | 40000u);
			if (t[i].flags & PKT_ACK) { /* RFC 9293, 3.10.7.1 */
				assert_int_equal(h[13], PKT_RST);
				assert_int_equal(word(h + 4), 2000);
			} else {
				assert_int_equal(h[13], PKT_RST | PKT_ACK);
				assert_int_equal(word(h + 4), 0);
				assert_int_equal(word(h + 8), 1000 + t[i].data + 1);
			}
			assert_int_equal(rig_reasons_sum(r, true), 1);
		}
}

static void icmp(void **state)
{
	struct rig *r = *state;

	for (int bits = 0; bits < 4; bits++) {
		bool v6 = bits & 1, from = bits & 2;
		const char *me = v6 ? A6 : A4, *peer = v6 ? NODE6 : NODE4;
		struct pkt p = frame_udp(POD_A, from, from ? me : peer, from ? peer : me, 40000, 53);
		const unsigned char *h = r->out + (v6 ? 54 : 34);

		rig_clear(r);
		rig_all(r, GROUP(POD_A), CW_MODE_ENFORCE, V_REJECT);
		pkt_data(&p, 200);
		pkt_finish(&p);
		assert_int_equal(rig_run(r, POD_A, from, &p), REDIRECT);
		check_answer(r, &p, v6);
		assert_int_equal(h[0], v6 ? 1 : 3);
		assert_int_equal(h[1], v6 ? 1 : 13);
		/* it quotes what it is about: header and 8 bytes */
		assert_memory_equal(h + 8, p.b + 14, v6 ? 48 : 28);
	}
}

static void no_answer(void **state)
{
	struct rig *r = *state;
	struct pkt p;

	rig_all(r, GROUP(POD_A), CW_MODE_ENFORCE, V_REJECT);
	assert_int_equal(send_tcp(r, POD_A, FROM, A4, NODE4, 5, 6, PKT_RST), DROP);
	assert_int_equal(send_udp(r, POD_A, FROM, A4, "239.1.1.1", 5, 6), DROP);
	assert_int_equal(send_udp(r, POD_A, FROM, A4, "255.255.255.255", 5, 6), DROP);
	p = frame_udp(POD_A, TO, NODE4, A4, 5, 6);
	p.b[0] |= 1; /* to many on the link */
	assert_int_equal(rig_run(r, POD_A, TO, &p), DROP);
	p = frame_l3(POD_A, FROM, A4, NODE4);
	pkt_frag(&p, 1, 0, true);
	pkt_udp(&p, 5, 6);
	pkt_data(&p, 64);
	pkt_finish(&p);
	assert_int_equal(rig_run(r, POD_A, FROM, &p), DROP);
	p = frame_l3(POD_A, FROM, A4, NODE4);
	pkt_sctp(&p, 5, 6, 1);
	pkt_finish(&p);
	assert_int_equal(rig_run(r, POD_A, FROM, &p), DROP);
	/* what no rule speaks of is dropped without a word */
	p = frame_udp(POD_A, FROM, IP4[POD_B], NODE4, 5, 6);
	assert_int_equal(rig_run(r, POD_A, FROM, &p), DROP);
	assert_int_equal(send_icmp(r, POD_A, FROM, A4, NODE4, 3, 1, 0), DROP);
	/* in other modes nothing is answered, since nothing is dropped */
	rig_all(r, GROUP(POD_A), CW_MODE_ALERT, V_REJECT);
	assert_int_equal(send_udp(r, POD_A, FROM, A4, NODE4, 5, 6), PASS);
	/* a plain block stays silent */
	rig_all(r, GROUP(POD_A), CW_MODE_ENFORCE, V_BLOCK);
	assert_int_equal(send_udp(r, POD_A, FROM, A4, NODE4, 5, 7), DROP);
}

static void rate(void **state)
{
	struct rig *r = *state;
	uint32_t answered = 0, n = 0, t;

	rig_all(r, GROUP(POD_A), CW_MODE_ENFORCE, V_REJECT);
	rig_all(r, GROUP(POD_B), CW_MODE_ENFORCE, V_REJECT);
	t = rig_jiffies(r) / r->hz;
	while (n < 3000) {
		n++;
		answered += send_udp(r, POD_A, FROM, A4, NODE4, 5, 6) == REDIRECT;
	}
	t = rig_jiffies(r) / r->hz - t + 1; /* calendar seconds that it touched */
	assert_in_range(answered, 100, 100 * t);
	/* another endpoint has a budget of its own */
	assert_int_equal(send_udp(r, POD_B, FROM, IP4[POD_B], NODE4, 5, 6), REDIRECT);
}

/* Our own answer comes by at the other hook: known by its mark, which it loses. */
static void own_mark(void **state)
{
	struct rig_opt o = { .mark = MARK }, other = { .mark = MARK + 1 };
	struct rig *r = *state;
	struct pkt p = frame_tcp(POD_A, TO, NODE4, A4, 5, 6, PKT_RST);

	rig_all(r, GROUP(POD_A), CW_MODE_ENFORCE, V_BLOCK);
	assert_int_equal(rig_run_opt(r, POD_A, TO, &p, &o), PASS);
	assert_int_equal(rig_run_opt(r, POD_A, TO, &p, &other), DROP);
}

/* ---- the shield --------------------------------------------------------------------------------------- */

static int shield(struct rig *r, const struct pkt *p)
{
	struct xdp_md ctx = { .data_end = (uint32_t)p->len, .ingress_ifindex = 1 };
	LIBBPF_OPTS(bpf_test_run_opts, t, .data_in = p->b, .data_size_in = (uint32_t)p->len, .repeat = 1,
		    .ctx_in = &ctx, .ctx_size_in = sizeof(ctx));

	assert_int_equal(bpf_prog_test_run_opts(r->shield_fd, &t), 0);
	return t.retval == XDP_PASS ? PASS : t.retval == XDP_DROP ? DROP : -100;
}

static void shield_net(struct rig *r, const char *s, uint32_t v)
{
	struct prefix p;

	assert_int_equal(prefix_parse(s, &p), 0);
	assert_int_equal(shield_net_set(r->m, 1, &p, v), 0);
}

static void shields(void **state)
{
	struct cw_shield s = { .flags = CW_SHIELD_NETS };
	struct rig *r = *state;
	struct pkt good = frame_udp(POD_A, FROM, A4, NODE4, 1, 2), bad = frame_udp(POD_A, FROM, LAB4, NODE4, 1, 2),
		   bad6 = frame_udp(POD_A, FROM, LAB6, NODE6, 1, 2), to = frame_udp(POD_A, FROM, A4, LAB4, 1, 2), p;

	assert_int_equal(shield(r, &bad), PASS); /* no shield */
	assert_int_equal(shield_map_set(r->m, 1, &s), 0);
	shield_net(r, "203.0.113.0/24", 1);
	shield_net(r, "2001:db8:c::/48", 1);
	shield_net(r, "203.0.113.77/32", 2);
	assert_int_equal(shield(r, &good), PASS);
	assert_int_equal(shield(r, &bad), DROP);
	assert_int_equal(shield(r, &bad6), DROP);
	assert_int_equal(shield(r, &to), DROP);
	p = frame_udp(POD_A, FROM, "203.0.113.77", NODE4, 1, 2);
	assert_int_equal(shield(r, &p), PASS);
	assert_int_equal(rig_reason(r, CW_R_SHIELD).dropped, 3);
	/* cut: ARP, neighbour discovery and what is excepted */
	s.flags = CW_SHIELD_CUT;
	assert_int_equal(shield_map_set(r->m, 1, &s), 0);
	assert_int_equal(shield(r, &good), DROP);
	p = frame_udp(POD_A, FROM, A4, "203.0.113.77", 1, 2);
	assert_int_equal(shield(r, &p), PASS);
	pkt_init(&p);
	pkt_eth(&p, MAC[POD_A], MAC_GW);
	pkt_arp(&p, 1, MAC[POD_A], A4, HOST4);
	assert_int_equal(shield(r, &p), PASS);
	p = frame_l3(POD_A, FROM, LL6[POD_A], "ff02::1:ff00:1");
	pkt_hops(&p, 255);
	pkt_nd(&p, 135, HOST6, MAC[POD_A]);
	pkt_finish(&p);
	assert_int_equal(shield(r, &p), PASS);
	pkt_hops(&p, 64);
	assert_int_equal(shield(r, &p), DROP);
	pkt_init(&p);
	pkt_eth(&p, MAC[POD_A], MAC_GW);
	pkt_ethertype(&p, 0x8137);
	pkt_data(&p, 46);
	assert_int_equal(shield(r, &p), DROP);
	good.len = 30; /* headers cut */
	assert_int_equal(shield(r, &good), DROP);
	s.flags = CW_SHIELD_NETS;
	assert_int_equal(shield_map_set(r->m, 1, &s), 0);
	assert_int_equal(shield(r, &good), PASS); /* the verdict behind it decides */
	assert_int_equal(shield_map_del(r->m, 1), 0);
	assert_int_equal(shield(r, &bad), PASS);
}

static int run(void)
{
	const struct CMUnitTest tests[] = {
#define T(f) cmocka_unit_test_setup_teardown(f, rig_setup, rig_teardown)
		T(tcp), T(icmp), T(no_answer), T(rate), T(own_mark), T(shields),
	};

	return cmocka_run_group_tests_name("reject and shield", tests, NULL, NULL);
}

int main(void)
{
	return rig_main("reject", run);
}
