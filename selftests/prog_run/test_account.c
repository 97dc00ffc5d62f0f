/* SPDX-License-Identifier: Apache-2.0 */
/* test_account.c - mirrors bpf/account.h and bpf/event.h: each distinct access once, every sum exact,
 * through epochs, shares and several CPUs; events announce, at their gates. */
#include <errno.h>
#include <netinet/in.h>
#include <pthread.h>
#include <sched.h>
#include <time.h>
#include <unistd.h>

#include "selftests/prog_run/rig.h"

#define A4 IP4[POD_A]
#define A6 IP6[POD_A]

static void settings(struct rig *r, uint32_t share_accesses, uint32_t share_pairs, uint32_t gap)
{
	struct ctl_settings s = { .share_accesses = share_accesses, .share_pairs = share_pairs, .event_gap = gap,
				  .ephemeral_min = 32768 };

	ctl_set(r->m, &s);
}

struct sums {
	uint64_t entries, flows, answered, drops, allowed, packets, bytes;
};

static int add_access(void *arg, const struct access_row *a)
{
	struct sums *s = arg;

	s->entries++;
	s->flows += a->val.flows;
	s->answered += a->val.answered;
	for (int i = 0; i < 2; i++) {
		s->drops += a->val.cnt[i][CW_OUT_DROP];
		s->allowed += a->val.cnt[i][CW_OUT_ALLOW];
	}
	s->packets += a->traffic.packets;
	s->bytes += a->traffic.bytes;
	return 0;
}

static struct sums sum(struct rig *r, uint32_t epoch)
{
	struct sums s = {};

	assert_int_equal(access_map_walk(r->m, epoch, add_access, &s), 0);
	return s;
}

/* Every distinct access has one entry, whatever the order and the number of connections. */
static void distinct(void **state)
{
	struct rig *r = *state;
	struct access_row a;
	struct sums s;

	rig_all(r, GROUP(POD_A), CW_MODE_ENFORCE, V_ALLOW);
	settings(r, 4096, 256, 1u << 30);
	for (int round = 0; round < 3; round++)
		for (uint16_t port = 1; port <= 300; port++) {
			assert_int_equal(send_tcp(r, POD_A, FROM, A4, NODE4, (uint16_t)(40000 + round), port, PKT_SYN), PASS);
			assert_int_equal(send_tcp(r, POD_A, TO, NODE4, A4, port, (uint16_t)(40000 + round),
						  PKT_SYN | PKT_ACK), PASS);
		}
	s = sum(r, r->ctl->epoch);
	assert_int_equal(s.entries, 300);
	assert_int_equal(s.flows, 900);
	assert_int_equal(s.answered, 900);
	assert_int_equal(s.packets, 1800);
	assert_int_equal(rig_events(r), 300); /* announced once each */
	/* the world by address where it is the destination, by identity where it is the source */
	rig_clear(r);
	for (uint32_t i = 1; i <= 20; i++) {
		char w[32];

		(void)snprintf(w, sizeof(w), "198.51.100.%u", i);
		assert_int_equal(send_tcp(r, POD_A, FROM, A4, w, 40000, 443, PKT_SYN), PASS);
		assert_int_equal(send_tcp(r, POD_A, TO, w, A4, 40000, 80, PKT_SYN), PASS);
	}
	s = sum(r, r->ctl->epoch);
	assert_int_equal(s.entries, 21);
	assert_true(rig_access(r, CW_ID_WORLD, EID(POD_A), 6, 80, &a));
	assert_int_equal(a.val.flows, 20);
	/* both families apart */
	assert_int_equal(send_tcp(r, POD_A, TO, WORLD6, A6, 40000, 80, PKT_SYN), PASS);
	assert_int_equal(sum(r, r->ctl->epoch).entries, 22);
}

static void segments(void **state)
{
	struct rig_opt gso = { .gso_size = 1448, .gso_segs = 7 };
	struct rig *r = *state;
	struct access_row a;
	struct pkt p;

	rig_all(r, GROUP(POD_A), CW_MODE_ENFORCE, V_ALLOW);
	assert_int_equal(send_tcp(r, POD_A, FROM, A4, NODE4, 5000, 443, PKT_SYN), PASS);
	assert_int_equal(send_tcp(r, POD_A, TO, NODE4, A4, 443, 5000, PKT_SYN | PKT_ACK), PASS);
	assert_int_equal(send_tcp(r, POD_A, FROM, A4, NODE4, 5000, 443, PKT_ACK), PASS);
	p = frame_tcp(POD_A, FROM, A4, NODE4, 5000, 443, PKT_ACK);
	assert_int_equal(rig_run_opt(r, POD_A, FROM, &p, &gso), PASS); /* fast path */
	p = frame_tcp(POD_A, FROM, A4, NODE4, 5000, 443, PKT_FIN | PKT_ACK);
	assert_int_equal(rig_run_opt(r, POD_A, FROM, &p, &gso), PASS); /* slow path */
	assert_true(rig_access(r, EID(POD_A), CW_ID_REMOTE_NODE, 6, 443, &a));
	assert_int_equal(a.traffic.packets, 3 + 7 + 7);
	assert_int_equal(a.traffic.bytes, 54 + 54 + 64 + 64 + 64);
	/* drops count segments too; larger than the length field can say */
	rig_all(r, GROUP(POD_A), CW_MODE_ENFORCE, V_BLOCK);
	p.b[16] = p.b[17] = 0;
	assert_int_equal(rig_run_opt(r, POD_A, FROM, &p, &gso), DROP);
	assert_true(rig_access(r, EID(POD_A), CW_ID_REMOTE_NODE, 6, 443, &a));
	assert_int_equal(a.val.cnt[CW_EGRESS][CW_OUT_DROP], 7);
	assert_int_equal(rig_reasons_sum(r, true), 7);
}

/* Tables take turns: flows register again in the new one, what was counted stays in the old one. */
static void epochs(void **state)
{
	struct rig *r = *state;
	uint32_t e, next;
	struct sums old, again, new;

	for (int kind = 0; kind < 3; kind++) {
		rig_clear(r);
		rig_all(r, GROUP(POD_A), CW_MODE_ENFORCE, V_ALLOW);
		e = r->ctl->epoch;
#define OUT(n) for (int i_ = 0; i_ < (n); i_++) \
	assert_int_equal(kind ? send_udp(r, POD_A, FROM, A4, WORLD4, 5000, 443) : \
			 send_tcp(r, POD_A, FROM, A4, WORLD4, 5000, 443, PKT_ACK), PASS)
#define BACK(n) for (int i_ = 0; i_ < (n); i_++) \
	assert_int_equal(kind ? send_udp(r, POD_A, TO, WORLD4, A4, 443, 5000) : \
			 send_tcp(r, POD_A, TO, WORLD4, A4, 443, 5000, PKT_ACK), PASS)
		if (!kind)
			assert_int_equal(send_tcp(r, POD_A, FROM, A4, WORLD4, 5000, 443, PKT_SYN), PASS);
		else
			OUT(1);
		if (!kind)
			assert_int_equal(send_tcp(r, POD_A, TO, WORLD4, A4, 443, 5000, PKT_SYN | PKT_ACK), PASS);
		if (kind == 1)
			BACK(1);
		OUT(5);
		assert_int_equal(epoch_switch(r->m, &next), 0);
		assert_int_equal(next, e + 1);
		old = sum(r, e);
		OUT(3);
		BACK(2);
		OUT(2);
		again = sum(r, e);
		new = sum(r, next);
		assert_memory_equal(&old, &again, sizeof(old)); /* at rest */
		assert_int_equal(old.entries, 1);
		assert_int_equal(new.entries, 1);
		assert_int_equal(old.flows + new.flows, 1);
		assert_int_equal(old.answered + new.answered, 1); /* also when the answer came after the switch */
		assert_int_equal(old.packets, kind == 2 ? 6 : 7);
		assert_int_equal(new.packets, 7);
		assert_int_equal(r->ctl->access_lost, 0);
		assert_int_equal(maps_grace(r->m), 0);
		assert_int_equal(epoch_clear(r->m, e), 0);
		/* and back again, twice */
		assert_int_equal(epoch_switch(r->m, &e), 0);
		OUT(4);
		assert_int_equal(sum(r, e).packets, 4);
		assert_int_equal(maps_grace(r->m), 0);
		assert_int_equal(epoch_clear(r->m, next), 0);
	}
}

struct folds { uint64_t entries, flows, drops; };

static int add_pair(void *arg, const struct pair_row *p)
{
	struct folds *f = arg;

	f->entries++;
	f->flows += p->val.flows;
	f->drops += p->val.drops;
	return 0;
}

/* Beyond its share a workload folds into pairs, then into its own counter: exact at each step. */
static void shares(void **state)
{
	struct rig *r = *state;
	struct folds f = {};
	struct sums s, b;
	struct cw_wl wl;
	uint64_t acc, pairs;

	rig_side(r, GROUP(POD_A), CW_EGRESS, CW_MODE_ENFORCE, false, V_ALLOW, CELLS({ 0, PORT(6, 99), V_BLOCK }));
	rig_all(r, GROUP(POD_B), CW_MODE_ENFORCE, V_ALLOW);
	settings(r, 10, 3, 1u << 30);
	/* 10 ports fit; 20 more fold into the pair (A, node) */
	for (uint16_t port = 1; port <= 30; port++)
		for (uint16_t c = 0; c < 2; c++)
			assert_int_equal(send_tcp(r, POD_A, FROM, A4, NODE4, (uint16_t)(40000 + c), port, PKT_SYN), PASS);
	for (int i = 0; i < 5; i++)
		assert_int_equal(send_tcp(r, POD_A, FROM, A4, NODE4, 40000, 99, PKT_SYN), DROP);
	s = sum(r, r->ctl->epoch);
	assert_int_equal(pair_map_walk(r->m, r->ctl->epoch, add_pair, &f), 0);
	assert_int_equal(wl_map_read(r->m, POD_A, &wl), 0);
	assert_int_equal(s.entries, 10);
	assert_int_equal(s.flows, 20);
	assert_int_equal(f.entries, 1);
	assert_int_equal(f.flows, 40 + 5);
	assert_int_equal(f.drops, 5);
	assert_int_equal(wl.pair_flows, 45);
	assert_int_equal(wl.folded_flows, 0);
	/* known ones still count by themselves */
	assert_int_equal(send_tcp(r, POD_A, FROM, A4, NODE4, 41000, 1, PKT_SYN), PASS);
	assert_int_equal(sum(r, r->ctl->epoch).flows, 21);
	/* the other pod's share is its own */
	assert_int_equal(send_tcp(r, POD_B, FROM, IP4[POD_B], NODE4, 41000, 1, PKT_SYN), PASS);
	b = sum(r, r->ctl->epoch);
	assert_int_equal(b.entries, 11);
	/* more pairs than allowed: host, lab, world -> world folds into the workload */
	assert_int_equal(send_tcp(r, POD_A, FROM, A4, HOST4, 41000, 1, PKT_SYN), PASS);
	assert_int_equal(send_tcp(r, POD_A, FROM, A4, LAB4, 41000, 1, PKT_SYN), PASS);
	for (uint16_t c = 0; c < 7; c++)
		assert_int_equal(send_tcp(r, POD_A, FROM, A4, WORLD4, (uint16_t)(41000 + c), 1, PKT_SYN), PASS);
	for (int i = 0; i < 4; i++)
		assert_int_equal(send_tcp(r, POD_A, FROM, A4, WORLD4, 41000, 99, PKT_SYN), DROP);
	assert_int_equal(wl_map_read(r->m, POD_A, &wl), 0);
	assert_int_equal(wl.folded_flows, 7 + 4);
	assert_int_equal(wl.folded_drops, 4);
	access_map_used(r->m, r->ctl->epoch, &acc, &pairs);
	assert_int_equal(acc, 11);
	assert_int_equal(pairs, 3);
	assert_int_equal(r->ctl->access_lost, 0);
	/* the bytes of what folded are in the sink */
	{
		struct cw_traffic t;

		assert_int_equal(access_sink_read(r->m, r->ctl->epoch, &t), 0);
		assert_int_equal(t.packets, 40 + 2 + 7);
	}
}

/* ---- two CPUs at once -------------------------------------------------------------------------------- */

struct job {
	struct rig *r;
	int cpu;
	pthread_barrier_t *start;
	unsigned drops, passes;
};

static void *hammer(void *arg)
{
	struct job *j = arg;
	struct rig me = *j->r; /* output buffers of its own */
	cpu_set_t set;

	CPU_ZERO(&set);
	CPU_SET(j->cpu, &set);
	(void)sched_setaffinity(0, sizeof(set), &set);
	pthread_barrier_wait(j->start);
	for (unsigned round = 0; round < 40; round++)
		for (uint16_t port = 1; port <= 50; port++) {
			/* the same accesses from both, flows of their own */
			uint16_t client = (uint16_t)(20000 + j->cpu * 2000 + (int)round * 50 + port);
			bool bad = port % 5 == 0;
			int got = send_tcp(&me, POD_A, FROM, A4, NODE4, client, port, PKT_SYN);

			if (got != (bad ? DROP : PASS))
				abort();
			if (bad) {
				j->drops++;
				continue;
			}
			j->passes += 3;
			if (send_tcp(&me, POD_A, TO, NODE4, A4, port, client, PKT_SYN | PKT_ACK) != PASS ||
			    send_tcp(&me, POD_A, FROM, A4, NODE4, client, port, PKT_ACK) != PASS)
				abort();
		}
	return NULL;
}

static void two_cpus(void **state)
{
	struct rig *r = *state;
	struct rig_cell cells[10];
	pthread_barrier_t start;
	struct job j[2] = { { r, 0, &start, 0, 0 }, { r, 1, &start, 0, 0 } };
	pthread_t th[2];
	struct sums s;
	struct cw_wl wl;

	for (unsigned i = 0; i < 10; i++)
		cells[i] = (struct rig_cell){ 0, PORT(6, 5 * (i + 1)), V_BLOCK };
	rig_side(r, GROUP(POD_A), CW_EGRESS, CW_MODE_ENFORCE, false, V_ALLOW, cells, 10);
	settings(r, 4096, 256, 1u << 30);
	assert_int_equal(pthread_barrier_init(&start, NULL, 2), 0);
	for (int i = 0; i < 2; i++)
		assert_int_equal(pthread_create(&th[i], NULL, hammer, &j[i]), 0);
	for (int i = 0; i < 2; i++)
		assert_int_equal(pthread_join(th[i], NULL), 0);
	pthread_barrier_destroy(&start);
	s = sum(r, r->ctl->epoch);
	assert_int_equal(s.entries, 50);
	assert_int_equal(s.drops, j[0].drops + j[1].drops);
	assert_int_equal(s.packets, j[0].passes + j[1].passes);
	assert_int_equal(s.flows, 2 * 40 * 50);
	assert_int_equal(s.answered, 2 * 40 * 40);
	assert_int_equal(s.allowed, 2 * 40 * 40);
	assert_int_equal(rig_reasons_sum(r, true), s.drops);
	assert_int_equal(wl_map_read(r->m, POD_A, &wl), 0);
	assert_int_equal(wl.accesses[r->ctl->epoch & 1], 50); /* each charged once */
	assert_int_equal(wl.folded_flows + wl.pair_flows, 0);
	assert_int_equal(r->ctl->access_lost, 0);
}

/* ---- events ---------------------------------------------------------------------------------------------- */

/* One record for each gap, however many packets: the counters have them all. */
static void gates(void **state)
{
	struct rig *r = *state;
	struct rig_opt many = { .repeat = 200000 };
	struct access_row a;
	struct pkt p;

	settings(r, 4096, 256, 3600 * r->hz);
	p = frame_tcp(POD_A, FROM, A4, NODE4, 5000, 443, PKT_SYN);
	assert_int_equal(rig_run_opt(r, POD_A, FROM, &p, &many), DROP);
	assert_int_equal(rig_events(r), 1);
	assert_true(rig_access(r, EID(POD_A), CW_ID_REMOTE_NODE, 6, 443, &a));
	assert_int_equal(a.val.cnt[CW_EGRESS][CW_OUT_DROP], 200000);
	/* forged packets have a gate for each endpoint and reason */
	p = frame_udp(POD_A, FROM, IP4[POD_B], NODE4, 1, 2);
	assert_int_equal(rig_run_opt(r, POD_A, FROM, &p, &many), DROP);
	assert_int_equal(rig_events(r), 2);
	p.b[6] ^= 4;
	assert_int_equal(rig_run(r, POD_A, FROM, &p), DROP);
	assert_int_equal(rig_events(r), 3);
	p = frame_udp(POD_B, FROM, IP4[POD_A], NODE4, 1, 2);
	assert_int_equal(rig_run(r, POD_B, FROM, &p), DROP);
	assert_int_equal(rig_events(r), 4);
	assert_int_equal(r->ev[3].ep, POD_B);
	/* another outcome of the same access is told at once */
	rig_all(r, GROUP(POD_A), CW_MODE_ALERT, V_BLOCK_DEFAULT);
	assert_int_equal(send_tcp(r, POD_A, FROM, A4, NODE4, 5000, 443, PKT_SYN), PASS);
	assert_int_equal(rig_events(r), 5);
	assert_int_equal(r->ev[4].type, CW_EV_ALERT);
	/* with a gap of nothing each of them speaks */
	settings(r, 4096, 256, 0);
	rig_all(r, GROUP(POD_A), CW_MODE_ENFORCE, V_BLOCK_DEFAULT);
	many.repeat = 50;
	p = frame_tcp(POD_A, FROM, A4, NODE4, 5001, 443, PKT_SYN);
	assert_int_equal(rig_run_opt(r, POD_A, FROM, &p, &many), DROP);
	assert_int_equal(rig_events(r), 5 + 50);
}

/* A full ring loses records, and nothing else. */
static void ring_full(void **state)
{
	struct rig *r = *state;
	struct sums s;
	uint32_t got, n = 6400;

	settings(r, 8000, 256, 1u << 30);
	for (uint32_t i = 0; i < n; i++)
		assert_int_equal(send_tcp(r, POD_A, FROM, A4, NODE4, 5000, (uint16_t)(1 + i), PKT_SYN), DROP);
	s = sum(r, r->ctl->epoch);
	assert_int_equal(s.entries, n);
	assert_int_equal(s.drops, n);
	got = rig_events(r);
	assert_true(r->ctl->events_lost > 0);
	assert_int_equal(got + r->ctl->events_lost, n);
	assert_int_equal(rig_reasons_sum(r, true), n);
}

/* The flow table is full of others: an LRU gives way, nothing is dropped for it. */
static void many_flows(void **state)
{
	struct rig *r = *state;
	struct sums s;

	rig_all(r, GROUP(POD_A), CW_MODE_ENFORCE, V_ALLOW);
	for (uint32_t i = 0; i < 80000; i++) {
		if (send_udp(r, POD_A, FROM, A4, NODE4, (uint16_t)(i % 60000 + 1), (uint16_t)(443 + i / 60000)) != PASS)
			fail_msg("flow %u", i);
	}
	s = sum(r, r->ctl->epoch);
	assert_int_equal(s.entries, 2);
	assert_int_equal(s.flows, 80000);
	assert_int_equal(s.packets, 80000);
	assert_in_range(rig_flows(r), 30000, 65536);
}

/*
 * A flood for ten seconds, over as many distinct accesses as the shares hold, while the tables take
 * turns under it: every packet that was let pass is in exactly one of them.
 */
#define FLOOD_PORTS 3000u
#define FLOOD_SECONDS 10
struct flood {
	struct rig *r;
	int pod;
	volatile bool *stop;
	uint64_t sent[FLOOD_PORTS + 1];
};

static void *flood_one(void *arg)
{
	struct flood *f = arg;
	struct rig *me = malloc(sizeof(*me)); /* output buffers of its own */

	if (!me)
		return NULL;
	*me = *f->r;
	for (uint32_t i = 0; !*f->stop; i++) {
		uint16_t port = (uint16_t)(1 + i % FLOOD_PORTS);

		/* a flow of its own for each round, so that opening one is what floods */
		if (send_udp(me, f->pod, FROM, IP4[f->pod], NODE4, (uint16_t)(1024 + i / FLOOD_PORTS % 60000), port) != PASS)
			break;
		f->sent[port]++;
	}
	free(me);
	return NULL;
}

struct flood_sums {
	uint64_t packets[PODS + 1], entries[PODS + 1];
	uint64_t flows[PODS + 1][FLOOD_PORTS + 1];
};

static int flood_add(void *arg, const struct access_row *a)
{
	struct flood_sums *s = arg;
	uint32_t pod = a->key.src - EID(0);

	if (pod > PODS || !a->key.port || a->key.port > FLOOD_PORTS)
		return -ERANGE;
	s->entries[pod]++;
	s->packets[pod] += a->traffic.packets;
	s->flows[pod][a->key.port] += a->val.flows;
	return 0;
}

/* What rests is read to the end and cleared, as a daemon does it. */
static void flood_drain(struct rig *r, struct flood_sums *s, uint64_t *sunk, uint32_t rest)
{
	struct cw_traffic t;

	assert_int_equal(maps_grace(r->m), 0);
	assert_int_equal(access_map_walk(r->m, rest, flood_add, s), 0);
	assert_int_equal(access_sink_read(r->m, rest, &t), 0);
	*sunk += t.packets;
	assert_int_equal(epoch_clear(r->m, rest), 0);
}

static void ten_second_flood(void **state)
{
	struct rig *r = *state;
	struct flood f[2] = { { .r = r, .pod = POD_A }, { .r = r, .pod = POD_B } };
	auto_free struct flood_sums *s = calloc(1, sizeof(*s));
	uint64_t sent = 0, counted = 0, sunk = 0, t0 = time(NULL);
	volatile bool stop = false;
	pthread_t th[2];
	uint32_t turns = 0;
	struct cw_wl wl;

	assert_non_null(s);
	settings(r, FLOOD_PORTS, 256, 1u << 30);
	for (int i = 0; i < 2; i++) {
		rig_all(r, GROUP(f[i].pod), CW_MODE_ENFORCE, V_ALLOW);
		f[i].stop = &stop;
		assert_int_equal(pthread_create(&th[i], NULL, flood_one, &f[i]), 0);
	}
	for (uint32_t next; (uint64_t)time(NULL) < t0 + FLOOD_SECONDS; turns++) {
		usleep(300000);
		assert_int_equal(epoch_switch(r->m, &next), 0);
		flood_drain(r, s, &sunk, next - 1);
	}
	stop = true;
	for (int i = 0; i < 2; i++)
		assert_int_equal(pthread_join(th[i], NULL), 0);
	{
		uint32_t next;

		assert_int_equal(epoch_switch(r->m, &next), 0);
		flood_drain(r, s, &sunk, next - 1);
	}
	for (int i = 0; i < 2; i++) {
		for (uint32_t p = 1; p <= FLOOD_PORTS; p++) {
			assert_true(f[i].sent[p]);
			assert_true(s->flows[f[i].pod][p]); /* each distinct access is there */
			sent += f[i].sent[p];
		}
		counted += s->packets[f[i].pod];
		assert_int_equal(wl_map_read(r->m, (uint32_t)f[i].pod, &wl), 0);
		assert_int_equal(wl.folded_flows + wl.pair_flows, 0); /* within the share nothing folds */
	}
	print_message("  %llu packets in %d s over %u accesses, tables turned %u times: %llu counted\n",
		      (unsigned long long)sent, FLOOD_SECONDS, 2 * FLOOD_PORTS, turns,
		      (unsigned long long)(counted + sunk));
	assert_int_equal(counted + sunk, sent);
	assert_int_equal(r->ctl->access_lost, 0);
}

static int run(void)
{
	const struct CMUnitTest tests[] = {
#define T(f) cmocka_unit_test_setup_teardown(f, rig_setup, rig_teardown)
		T(distinct), T(segments), T(epochs), T(shares), T(two_cpus), T(gates), T(ring_full), T(many_flows),
		T(ten_second_flood),
	};

	return cmocka_run_group_tests_name("accounts and events", tests, NULL, NULL);
}

int main(void)
{
	return rig_main("account", run);
}
