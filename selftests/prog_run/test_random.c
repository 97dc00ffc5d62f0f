/* SPDX-License-Identifier: Apache-2.0 */
/*
 * test_random.c - the loaded program against the evaluator of user space and against the naive walk
 * over the tiers, on random clusters and packets; and its verdicts while the rules change under it.
 *
 * CW_RANDOM_WORLDS: clusters per half (default 30). CW_RANDOM_SEED: seed of the fresh half.
 */
#include <netinet/in.h>
#include <pthread.h>
#include <time.h>

#include "maps/sink.h"
#include "policy/compile.h"
#include "selftests/harness/policy/naive.h"
#include "selftests/harness/policy/world.h"
#include "selftests/prog_run/rig.h"

struct bench {
	struct rig r;
	struct world w;
	struct policy_set *set;
	struct policy_sink sink;
	uint64_t seed, points;
	uint32_t step;
	uint16_t sport;
};

/* One question: a packet of a workload's, at its hook. */
struct point {
	const struct workload *x;
	struct addr own, peer;
	enum cw_side side;
	uint32_t axis;
};

static const uint8_t POD_MAC[6] = { 2, 0, 0, 0, 9, 9 };

static void put_endpoint(struct bench *b, const struct workload *x)
{
	struct cw_ep ep = { .flags = CW_EP_ATTACHED };
	struct policy_wl wl;

	assert_int_equal(policy_set_wl(b->set, x->ns, x->name, &wl), 0);
	ep.wl = wl.wl;
	ep.group = wl.group;
	ep.eid = wl.eid;
	memcpy(ep.mac, POD_MAC, 6);
	assert_int_equal(ep_map_set(b->r.m, wl.wl, &ep), 0);
}

static void put(struct bench *b)
{
	struct ctl_settings s = { .share_accesses = 1u << 30, .share_pairs = 1u << 30, .event_gap = 1u << 30,
				  .ephemeral_min = 65535, .local_node = b->w.st.local_node };
	struct policy_plan *plan = NULL;
	struct fail_list f = {};
	int e = policy_set_prepare_ir(b->set, &b->w.st, b->w.more, b->w.nmore, &f, &plan);

	if (e)
		fail_msg("seed %llu: prepare %d: %s", (unsigned long long)b->seed, e, f.n ? f.items[0].message : "");
	assert_int_equal(policy_set_commit(b->set, plan, &b->sink), 0);
	ctl_set(b->r.m, &s);
	for (size_t i = 0; i < b->w.st.nworkloads; i++)
		put_endpoint(b, &b->w.st.workloads[i]);
}

static void collect(struct bench *b)
{
	uint64_t seq;

	do {
		seq = policy_set_seq(b->set);
		assert_int_equal(maps_grace(b->r.m), 0);
	} while (policy_set_gc(b->set, &b->sink, seq) > 0);
}

static void begin(struct bench *b, uint64_t seed, uint32_t delay)
{
	struct policy_limits lim;

	memset(b, 0, sizeof(*b));
	b->seed = seed;
	b->sport = 1024;
	assert_int_equal(rig_open_big(&b->r, delay), 0);
	world_new(&b->w, seed);
	maps_sink(b->r.m, &b->sink);
	maps_limits(b->r.m, &lim);
	lim.all_local = true;
	assert_int_equal(policy_set_new(&lim, &b->set), 0);
	put(b);
}

static void end(struct bench *b)
{
	policy_set_free(b->set);
	world_done(&b->w);
	rig_close(&b->r);
}

/* ---- frames -------------------------------------------------------------------------------------- */

static bool icmp_is_ours(const struct point *p)
{
	return (p->axis >> 16) == (addr_is_v4(&p->own) ? IPPROTO_ICMP : IPPROTO_ICMPV6);
}

/*
 * The frame whose judgement is this point's, or false: some points are no packet (ports of
 * protocols without), and some packets are not the tiers' to judge (see test_guard).
 */
static bool frame(struct bench *b, struct point *p, const struct cw_addr *who, struct pkt *k, uint16_t *ret_sport,
		  uint16_t *ret_dport)
{
	bool v4 = addr_is_v4(&p->own), out = p->side == CW_EGRESS;
	uint8_t proto = (uint8_t)(p->axis >> 16), type = (uint8_t)(p->axis >> 8);
	uint16_t port = (uint16_t)p->axis;
	char own[ADDR_STR_MAX], peer[ADDR_STR_MAX];
	bool node = who->realm == CW_REALM_HOST || who->realm == CW_REALM_NODE;

	if (addr_is_v4(&p->peer) != v4)
		return false;
	(void)addr_str(&p->own, own);
	(void)addr_str(&p->peer, peer);
	pkt_init(k);
	pkt_eth(k, out ? POD_MAC : MAC_GW, out ? MAC_GW : POD_MAC);
	pkt_ip(k, out ? own : peer, out ? peer : own);
	b->sport = b->sport == 65000 ? 1024 : b->sport + 1;
	*ret_sport = b->sport;
	*ret_dport = port;
	switch (proto) {
	case IPPROTO_TCP:
		pkt_tcp(k, b->sport, port, PKT_SYN);
		break;
	case IPPROTO_UDP:
		if (out && node && (port == 4789 || port == 8472 || port == 6081))
			return false;
		pkt_udp(k, b->sport, port);
		break;
	case IPPROTO_SCTP:
		pkt_sctp(k, b->sport, port, 1);
		break;
	case IPPROTO_ICMP:
	case IPPROTO_ICMPV6:
		*ret_sport = 0;
		if (!icmp_is_ours(p)) {
			p->axis = CW_AXIS(proto, 0);
			pkt_proto(k, proto);
			break;
		}
		/* errors, redirects and the link's own are not judged by rules; answers open nothing */
		if (v4 ? type == 0 || (type >= 3 && type <= 5) || type == 11 || type == 12 || type == 14 || type == 16 ||
			 type == 18 :
		    type <= 4 || type == 129 || (type >= 130 && type <= 137) || type == 143)
			return false;
		if (v4 ? type == 8 || type == 13 || type == 15 || type == 17 : type == 128) {
			p->axis &= ~0xffu;
			*ret_sport = 77;
		}
		*ret_dport = (uint16_t)p->axis;
		pkt_icmp(k, type, (uint8_t)p->axis, 77 << 16);
		break;
	default:
		if (!v4 && (proto == 0 || proto == 43 || proto == 44 || proto == 51 || proto == 60))
			return false;
		if (out && node && (proto == 4 || proto == 41 || proto == 47))
			return false;
		p->axis = CW_AXIS(proto, 0);
		*ret_sport = *ret_dport = 0;
		pkt_proto(k, proto);
		break;
	}
	if (proto == IPPROTO_ICMP || proto == IPPROTO_ICMPV6 ? !icmp_is_ours(p) : 0)
		*ret_dport = 0;
	pkt_data(k, 16);
	pkt_finish(k);
	return true;
}

static uint32_t with_simulated(uint32_t out, const struct cw_verdict *v)
{
	if (!(v->flags & CW_V_ADV) || out == CW_OUT_DROP || out == CW_OUT_NONE || out == CW_OUT_WOULD_BLOCK)
		return out;
	return v->adv_action == CW_ACT_BLOCK ? CW_OUT_WOULD_BLOCK : v->adv_action == CW_ACT_ALERT ? CW_OUT_ALERT : out;
}

/* A rule may also answer what it drops. */
static bool dropped(int got)
{
	return got == DROP || got == REDIRECT;
}

static void forget(struct bench *b, const struct point *p, uint16_t sport, uint16_t dport)
{
	bool out = p->side == CW_EGRESS;
	struct flow_row row = { .a = out ? p->own : p->peer, .b = out ? p->peer : p->own, .pa = sport, .pb = dport,
				.proto = (uint8_t)(p->axis >> 16), .v6 = !addr_is_v4(&p->own) };

	assert_int_equal(flow_map_del(b->r.m, &row), 0);
}

/* ---- one point -------------------------------------------------------------------------------------- */

/* What the program said why: the reasons it counted and its last event. */
static void explain(struct bench *b)
{
	struct cw_reason_stat all[CW_R_COUNT];

	assert_int_equal(reasons_read(b->r.m, all), 0);
	(void)rig_events(&b->r);
	for (uint32_t i = 0; i < CW_R_COUNT; i++)
		if (all[i].dropped)
			print_message("  dropped so far, %s: %llu\n", cw_reason_str((enum cw_reason)i),
				      (unsigned long long)all[i].dropped);
	if (b->r.nev && b->r.nev <= RIG_EVENTS)
		print_message("  last event: type %u reason %s outcome %u verdict %u\n", b->r.ev[b->r.nev - 1].type,
			      cw_reason_str(b->r.ev[b->r.nev - 1].reason), b->r.ev[b->r.nev - 1].outcome,
			      b->r.ev[b->r.nev - 1].verdict);
}

static void wrong(struct bench *b, const struct point *p, const char *what, uint32_t want, uint32_t got)
{
	char o[ADDR_STR_MAX], q[ADDR_STR_MAX], a[40];

	explain(b);
	fail_msg("seed %llu step %u: %s/%s %s side %d peer %s %s: %s: want %u, got %u", (unsigned long long)b->seed,
		 b->step, p->x->ns, p->x->name, addr_str(&p->own, o), p->side, addr_str(&p->peer, q), axis_str(p->axis, a),
		 what, want, got);
}

static bool to_itself_or_node(const struct bench *b, const struct point *p, const struct cw_addr *who, uint32_t wl,
			      bool quarantined)
{
	return (p->side == CW_INGRESS && who->realm == CW_REALM_HOST &&
		b->w.st.local_node == CW_CTL_LOCAL_NODE_ALLOW) || (who->wl == wl && !quarantined);
}

static void check(struct bench *b, struct point *p)
{
	struct cw_access_key key;
	struct naive_verdict naive;
	struct policy_judgement j;
	struct access_row row;
	struct cw_addr me, who;
	struct policy_wl wl;
	uint16_t sport, dport;
	struct pkt k;
	uint32_t out;
	int got;

	assert_int_equal(policy_set_wl(b->set, p->x->ns, p->x->name, &wl), 0);
	assert_int_equal(policy_set_addr(b->set, 0, &p->own, &me), 0);
	assert_int_equal(policy_set_addr(b->set, 0, &p->peer, &who), 0);
	if (me.wl != wl.wl || !frame(b, p, &who, &k, &sport, &dport))
		return;
	assert_int_equal(policy_set_judge(b->set, me.group, p->side, who.eid, (enum cw_realm)who.realm, p->axis, &j), 0);
	naive_judge(&b->w.st, b->w.more, b->w.nmore, p->x, &p->own, &p->peer, p->side, p->axis, &naive);
	out = with_simulated(shadow_outcome(naive.mode, &naive.v), &naive.v);
	if (out != with_simulated(j.outcome, &j.v))
		wrong(b, p, "user space and the walk over the tiers", out, with_simulated(j.outcome, &j.v));
	if (to_itself_or_node(b, p, &who, wl.wl, naive.quarantined))
		out = naive.mode == CW_MODE_OFF ? CW_OUT_NONE : CW_OUT_ALLOW;
	got = rig_run(&b->r, (int)wl.wl, p->side == CW_EGRESS, &k);
	if (dropped(got) != (out == CW_OUT_DROP))
		wrong(b, p, "verdict of the program", out == CW_OUT_DROP, (uint32_t)got);
	b->points++;
	if (got == PASS)
		forget(b, p, sport, dport);
	if (out == CW_OUT_NONE)
		return;
	memset(&key, 0, sizeof(key));
	key.src = p->side == CW_EGRESS ? me.eid : who.eid;
	key.dst = p->side == CW_EGRESS ? who.eid : me.eid;
	key.src_wl = (uint16_t)(p->side == CW_EGRESS ? me.wl : who.wl);
	key.dst_wl = (uint16_t)(p->side == CW_EGRESS ? who.wl : me.wl);
	key.proto = (uint8_t)(p->axis >> 16);
	key.family = addr_is_v4(&p->own) ? 4 : 6;
	key.port = (uint16_t)p->axis;
	if (who.realm == CW_REALM_UNKNOWN || (who.realm == CW_REALM_WORLD && p->side == CW_EGRESS)) {
		memcpy(key.addr, p->peer.b, 16);
		if (addr_is_v4(&p->peer))
			key.addr[10] = key.addr[11] = 0xff;
	}
	if (access_map_get(b->r.m, b->r.ctl->epoch, &key, &row))
		wrong(b, p, "access", 1, 0);
	if (row.val.outcome[p->side] != out)
		wrong(b, p, "outcome", out, row.val.outcome[p->side]);
	if (!to_itself_or_node(b, p, &who, wl.wl, naive.quarantined) && row.val.verdict[p->side] != j.verdict)
		wrong(b, p, "verdict index", j.verdict, row.val.verdict[p->side]);
}

static void check_some(struct bench *b, uint32_t n)
{
	size_t naddrs, naxes;
	auto_free struct addr *addrs = world_addrs(&b->w, &naddrs);
	auto_free uint32_t *axes = world_axes(&b->w, &naxes);

	if (!b->w.st.nworkloads)
		return;
	while (n--) {
		const struct workload *x = &b->w.st.workloads[rng_below(&b->w.rng, (uint32_t)b->w.st.nworkloads)];
		struct point p = { .x = x };

		if (!x->naddrs)
			continue;
		p.own = x->addrs[rng_below(&b->w.rng, (uint32_t)x->naddrs)];
		p.peer = addrs[rng_below(&b->w.rng, (uint32_t)naddrs)];
		p.side = rng_below(&b->w.rng, 2) ? CW_INGRESS : CW_EGRESS;
		p.axis = rng_below(&b->w.rng, 8) ? axes[rng_below(&b->w.rng, (uint32_t)naxes)] :
						   rng_below(&b->w.rng, CW_AXIS_END);
		check(b, &p);
	}
}

static void run_world(uint64_t seed, uint64_t *points)
{
	static struct bench b;

	begin(&b, seed, 0);
	check_some(&b, 1500);
	for (b.step = 1; b.step <= 4; b.step++) {
		for (uint32_t n = 1 + rng_below(&b.w.rng, 3); n; n--)
			world_mutate(&b.w);
		put(&b);
		check_some(&b, 1000);
		if (b.step & 1)
			collect(&b);
		check_some(&b, 300);
	}
	assert_int_equal(b.r.ctl->access_lost, 0);
	*points += b.points;
	end(&b);
}

static uint32_t worlds(void)
{
	const char *s = getenv("CW_RANDOM_WORLDS");

	return s ? (uint32_t)strtoul(s, NULL, 10) : 30;
}

static void fixed_seed(void **state)
{
	uint64_t points = 0;

	(void)state;
	for (uint32_t i = 0; i < worlds(); i++)
		run_world(77000 + i, &points);
	print_message("%llu packets, 0 differences\n", (unsigned long long)points);
	if (worlds() >= 30)
		assert_true(points >= 50000);
}

static void fresh_seed(void **state)
{
	const char *s = getenv("CW_RANDOM_SEED");
	uint64_t seed = s ? strtoull(s, NULL, 10) : (uint64_t)time(NULL) * 1000003u, points = 0;

	(void)state;
	print_message("seed %llu\n", (unsigned long long)seed);
	for (uint32_t i = 0; i < worlds(); i++)
		run_world(seed + i, &points);
	print_message("%llu packets, 0 differences\n", (unsigned long long)points);
	if (worlds() >= 30)
		assert_true(points >= 50000);
}

/* ---- while the rules change --------------------------------------------------------------------------- */

#define RACE_POINTS 400u
#define RACE_SECONDS 2
struct race {
	struct bench *b;
	struct point p[RACE_POINTS];
	struct pkt k[RACE_POINTS];
	uint32_t wl[RACE_POINTS];
	uint8_t drop[RACE_POINTS][2];	/* in the old and in the new set */
	uint32_t n, differ;
	bool stop;
	uint64_t runs, bad, drops, passes;
	uint32_t bad_point;
};

static void *sender(void *arg)
{
	struct race *c = arg;
	static struct rig me;
	uint16_t sport = 1024;

	me = c->b->r;
	while (!__atomic_load_n(&c->stop, __ATOMIC_RELAXED)) {
		uint32_t i = (uint32_t)(c->runs++ % c->n);
		struct pkt *k = &c->k[i];
		size_t l4 = addr_is_v4(&c->p[i].own) ? 34 : 54;
		int got;

		/* A flow of its own each time, so that each packet is judged. */
		sport = sport == 65000 ? 1024 : sport + 1;
		k->b[l4] = (unsigned char)(sport >> 8);
		k->b[l4 + 1] = (unsigned char)sport;
		got = rig_run(&me, (int)c->wl[i], c->p[i].side == CW_EGRESS, k);
		if (dropped(got) != c->drop[i][0] && dropped(got) != c->drop[i][1]) {
			c->bad++;
			c->bad_point = i;
		}
		c->drops += dropped(got);
		c->passes += got == PASS;
	}
	return NULL;
}

static bool drops(const struct bench *b, const struct policy_state *st, const struct ir_rule *more, size_t nmore,
		  const struct point *p)
{
	struct naive_verdict v;

	(void)b;
	naive_judge(st, more, nmore, p->x, &p->own, &p->peer, p->side, p->axis, &v);
	return shadow_outcome(v.mode, &v.v) == CW_OUT_DROP;
}

/* Points of TCP and UDP that the tiers judge in both sets. */
static void choose(struct race *c)
{
	struct bench *b = c->b;
	size_t naddrs, naxes;
	auto_free struct addr *addrs = world_addrs(&b->w, &naddrs);
	auto_free uint32_t *axes = world_axes(&b->w, &naxes);

	c->n = 0;
	for (uint32_t tries = 0; c->n < RACE_POINTS && tries < 100000; tries++) {
		const struct workload *x = &b->w.st.workloads[rng_below(&b->w.rng, (uint32_t)b->w.st.nworkloads)];
		struct point *p = &c->p[c->n];
		uint16_t sport, dport;
		struct cw_addr me, who;
		struct policy_wl wl;
		uint32_t proto;

		if (!x->naddrs)
			continue;
		*p = (struct point){ .x = x, .own = x->addrs[rng_below(&b->w.rng, (uint32_t)x->naddrs)],
				     .peer = addrs[rng_below(&b->w.rng, (uint32_t)naddrs)],
				     .side = rng_below(&b->w.rng, 2) ? CW_INGRESS : CW_EGRESS,
				     .axis = axes[rng_below(&b->w.rng, (uint32_t)naxes)] };
		proto = p->axis >> 16;
		assert_int_equal(policy_set_wl(b->set, x->ns, x->name, &wl), 0);
		assert_int_equal(policy_set_addr(b->set, 0, &p->own, &me), 0);
		assert_int_equal(policy_set_addr(b->set, 0, &p->peer, &who), 0);
		if ((proto != IPPROTO_TCP && proto != IPPROTO_UDP) || me.wl != wl.wl || who.wl == wl.wl ||
		    (p->side == CW_INGRESS && who.realm == CW_REALM_HOST) ||
		    !frame(b, p, &who, &c->k[c->n], &sport, &dport))
			continue;
		c->wl[c->n++] = wl.wl;
	}
}

static void while_rules_change(void **state)
{
	static struct bench b;
	static struct race c;
	uint64_t judged = 0, differ = 0, commits = 0;

	(void)state;
	for (uint32_t round = 0; round < 6; round++) {
		struct timespec until, now;
		pthread_t th;

		begin(&b, 88000 + round, 200);
		b.w.quiet = round & 1 ? 1 : 2;
		memset(&c, 0, sizeof(c));
		c.b = &b;
		choose(&c);
		assert_true(c.n > 50);
		clock_gettime(CLOCK_MONOTONIC, &until);
		until.tv_sec += RACE_SECONDS;
		do {
			for (uint32_t i = 0; i < c.n; i++)
				c.drop[i][0] = drops(&b, &b.w.st, b.w.more, b.w.nmore, &c.p[i]);
			for (int m = 0; m < 3; m++)
				world_mutate(&b.w);
			c.differ = 0;
			for (uint32_t i = 0; i < c.n; i++) {
				c.drop[i][1] = drops(&b, &b.w.st, b.w.more, b.w.nmore, &c.p[i]);
				c.differ += c.drop[i][0] != c.drop[i][1];
			}
			differ += c.differ;
			c.stop = false;
			assert_int_equal(pthread_create(&th, NULL, sender, &c), 0);
			put(&b);
			collect(&b);
			commits++;
			__atomic_store_n(&c.stop, true, __ATOMIC_RELAXED);
			assert_int_equal(pthread_join(th, NULL), 0);
			judged += c.runs;
			if (c.bad)
				wrong(&b, &c.p[c.bad_point], "verdict of neither set", 0, (uint32_t)c.bad);
			c.runs = 0;
			/* In force at once: what is judged now is of the new set. */
			for (uint32_t i = 0; i < c.n; i += 7) {
				int got;

				c.k[i].b[addr_is_v4(&c.p[i].own) ? 34 : 54] = 1; /* ports 256 to 511: flows nobody opened */
				c.k[i].b[addr_is_v4(&c.p[i].own) ? 35 : 55]++;
				got = rig_run(&b.r, (int)c.wl[i], c.p[i].side == CW_EGRESS, &c.k[i]);
				if (dropped(got) != c.drop[i][1])
					wrong(&b, &c.p[i], "verdict after the change", c.drop[i][1], (uint32_t)got);
			}
			clock_gettime(CLOCK_MONOTONIC, &now);
		} while (now.tv_sec < until.tv_sec);
		end(&b);
	}
	print_message("%llu packets judged during %llu changes, which changed %llu verdicts\n", (unsigned long long)judged,
		      (unsigned long long)commits, (unsigned long long)differ);
	assert_true(judged > 1000);
	assert_true(differ > 10);
}

static int run(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(fixed_seed), cmocka_unit_test(fresh_seed), cmocka_unit_test(while_rules_change),
	};

	return cmocka_run_group_tests_name("random clusters", tests, NULL, NULL);
}

int main(void)
{
	return rig_main("random", run);
}
