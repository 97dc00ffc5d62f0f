/* SPDX-License-Identifier: Apache-2.0 */
/*
 * bench_fleet.c - one controller's end and many agents that speak the real protocol (TLS, mutual
 * certificates, a certificate of its own for each), in two processes over a loopback of their own.
 * Prints what the controller's process needs, and how long it takes until every node has acknowledged a
 * change. usage: bench_fleet [NODES [PODS-PER-NODE]]
 *
 * The agents neither unpack nor keep the state (5,000 copies would be the measure of this machine, not
 * of the controller); they take the frames apart and answer as agents do, and send counters every 5 s and accesses every 10 s.
 */
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>
#include <uv.h>

#include "base/cleanup.h"
#include "base/log.h"
#include "base/strparse.h"
#include "fleet/fleet.h"
#include "selftests/unit/userspace/fleet/fake_agent.h"
#include "selftests/unit/userspace/wire/pki.h"
#include "selftests/unit/userspace/wire/world.h"

#define HANDSHAKES 64u	/* at a time, as nodes that start over some seconds do */
#define ROUNDS 20
#define LIMIT_S 300
#define COUNTERS_MS 5000u
#define ACCESSES 30u

static uint32_t nodes = 5000, pods = 30;

static double cpu_s(void)
{
	struct rusage u;

	getrusage(RUSAGE_SELF, &u);
	return (double)u.ru_utime.tv_sec + (double)u.ru_stime.tv_sec + (double)(u.ru_utime.tv_usec + u.ru_stime.tv_usec) / 1e6;
}

static double rss_mb(void)
{
	FILE *f = fopen("/proc/self/statm", "re");
	unsigned long all, rss = 0;

	if (f) {
		if (fscanf(f, "%lu %lu", &all, &rss) != 2)
			rss = 0;
		(void)fclose(f);
	}
	return (double)rss * (double)sysconf(_SC_PAGESIZE) / 1e6;
}

static double now_s(void)
{
	return (double)uv_hrtime() / 1e9;
}

static void file_limit(void)
{
	struct rlimit l;

	getrlimit(RLIMIT_NOFILE, &l);
	l.rlim_cur = l.rlim_max;
	(void)setrlimit(RLIMIT_NOFILE, &l);
	if (l.rlim_cur < nodes + 100) {
		printf("fleet: only %lu files may be open here: %lu nodes instead of %u\n", (unsigned long)l.rlim_cur,
		       (unsigned long)l.rlim_cur - 100, nodes);
		nodes = (uint32_t)l.rlim_cur - 100;
	}
}

/* ---- agents ---------------------------------------------------------------------------------- */

struct crowd { uv_loop_t loop; uv_timer_t dial, report; uv_pipe_t end; struct fake_agent *a; uint32_t next, turn, all; };

static void crowd_dial(uv_timer_t *t)
{
	struct crowd *c = t->data;
	uint32_t pending = 0;

	if (c->next == nodes && c->all++ % 200)
		return; /* once a second is enough for those that were lost */
	for (uint32_t i = 0; i < c->next; i++) {
		if (!c->a[i].conn)
			PKI_MUST(!fake_dial(&c->a[i], &c->loop)); /* it comes again, as agents do */
		pending += !c->a[i].welcome;
	}
	for (; c->next < nodes && pending < HANDSHAKES; c->next++, pending++)
		PKI_MUST(!fake_dial(&c->a[c->next], &c->loop));
}

static void report(struct fake_agent *a, uint32_t n, bool accesses)
{
	static char *counters;
	struct node_access acc[ACCESSES] = {};
	struct msg_batch m = { .seq = ++a->commits, .accesses = acc, .naccesses = ACCESSES };
	char name[32], peer[32];
	struct buf b;
	cJSON *o;

	if (!counters) {
		o = cJSON_CreateObject();
		for (int i = 0; i < 40; i++) {
			(void)snprintf(name, sizeof(name), "figure%d", i);
			cJSON_AddNumberToObject(o, name, 1000 * i);
		}
		counters = cJSON_PrintUnformatted(o);
		cJSON_Delete(o);
	}
	o = cJSON_CreateRaw(counters);
	buf_init(&b, 1 << 20);
	(void)msg_put_counters(&b, o);
	cJSON_Delete(o);
	if (accesses) {
		(void)snprintf(name, sizeof(name), "pod-%u", n * pods);
		(void)snprintf(peer, sizeof(peer), "pod-%u", (n * 7919) % (nodes * pods));
		for (unsigned i = 0; i < ACCESSES; i++)
			acc[i] = (struct node_access){
				.src_wl = { (char *)"ns-1", name, (char *)"uid" }, .dst_wl = { (char *)"ns-2", peer, (char *)"uid" },
				.proto = 6, .family = 4, .port = (uint16_t)(8000 + i), .instance = 1000 + n, .epoch = 1, .flows = a->commits,
				.key = { .src = 300 + i, .dst = 400, .port = (uint16_t)(8000 + i), .proto = 6, .family = 4 },
			};
		(void)msg_put_batch(&b, &m);
	}
	(void)fake_send(a, &b);
}

/* Spread evenly, as clocks that were started at different times are. */
static void crowd_report(uv_timer_t *t)
{
	struct crowd *c = t->data;
	uint32_t n = nodes / (COUNTERS_MS / 50) + 1;

	for (; n; n--, c->turn++) {
		struct fake_agent *a = &c->a[c->turn % nodes];

		if (a->welcome)
			report(a, c->turn % nodes, (c->turn / nodes) & 1);
	}
}

static void crowd_alloc(uv_handle_t *h, size_t n, uv_buf_t *b)
{
	static char byte[64];

	(void)h, (void)n;
	*b = uv_buf_init(byte, sizeof(byte));
}

static void crowd_end(uv_stream_t *s, ssize_t n, const uv_buf_t *b)
{
	(void)s, (void)b;
	if (n < 0)
		_exit(0); /* the controller is done: so is everything here */
}

static void agents(int in, const struct pki *pki)
{
	struct crowd c = {};
	uint16_t port;

	c.a = calloc(nodes, sizeof(*c.a));
	PKI_MUST(c.a && read(in, &port, sizeof(port)) == sizeof(port));
	uv_loop_init(&c.loop);
	for (uint32_t i = 0; i < nodes; i++) {
		struct fake_agent *a = &c.a[i];

		(void)snprintf(a->name, sizeof(a->name), "node-%u", i);
		a->keys = pki_plain(pki, a->name);
		a->instance = i + 1;
		a->cfg.keep_packed = true; /* unpacking is each node's own work, not this machine's */
		uv_ip4_addr("127.0.0.1", port, &a->to);
	}
	uv_timer_init(&c.loop, &c.dial);
	uv_timer_init(&c.loop, &c.report);
	uv_pipe_init(&c.loop, &c.end, 0);
	c.dial.data = c.report.data = &c;
	PKI_MUST(!uv_pipe_open(&c.end, in) && !uv_read_start((uv_stream_t *)&c.end, crowd_alloc, crowd_end));
	uv_timer_start(&c.dial, crowd_dial, 0, 5);
	uv_timer_start(&c.report, crowd_report, 50, 50);
	uv_run(&c.loop, UV_RUN_DEFAULT);
	_exit(1);
}

/* ---- controller ------------------------------------------------------------------------------ */

struct bench {
	uv_loop_t loop;
	struct fleet *fleet;
	uint64_t batches, accesses, generation;
	double begun;
	double *took;
	uint32_t ntook, want;
};

static int on_accesses(void *arg, const struct node_access *a, size_t n, const struct node_fold *f, size_t nf)
{
	struct bench *b = arg;

	(void)a, (void)f, (void)nf;
	b->batches++;
	b->accesses += n;
	return 0;
}

static void on_receipt(void *arg, const struct node_receipt *r)
{
	struct bench *b = arg;

	if (r->generation == b->generation && b->ntook < b->want)
		b->took[b->ntook++] = now_s() - b->begun;
}

static const struct node_sink sink = { .accesses = on_accesses, .receipt = on_receipt };

static int by_value(const void *a, const void *b)
{
	const double x = *(const double *)a, y = *(const double *)b;

	return (x > y) - (x < y);
}

static void run_until(struct bench *b, uint32_t want, double limit_s)
{
	double end = now_s() + limit_s;

	while (b->ntook < want && now_s() < end)
		uv_run(&b->loop, UV_RUN_ONCE);
}

static void run_for(struct bench *b, double s)
{
	double end = now_s() + s;

	while (now_s() < end)
		uv_run(&b->loop, UV_RUN_ONCE);
}

static double push(struct bench *b, const struct policy_state *st)
{
	const struct node_ops *o = fleet_ops();
	struct node_receipt r;
	double prepared;

	b->begun = now_s();
	b->generation = st->generation;
	b->ntook = 0;
	PKI_MUST(!o->prepare(b->fleet, st, NULL, &r));
	prepared = now_s() - b->begun;
	PKI_MUST(!o->commit(b->fleet, POLICY_CUT, &r));
	return prepared;
}

/* Several changes of one kind; prints p50, p99 and the worst over all nodes and rounds. */
static int changes(struct bench *b, struct world *w, const char *what, void (*edit)(struct world *))
{
	double *all = calloc((size_t)nodes * ROUNDS, sizeof(*all)), prepare = 0, cpu = cpu_s();
	size_t n = 0;
	int r = 0;

	PKI_MUST(all);
	for (int i = 0; i < ROUNDS && !r; i++) {
		edit(w);
		w->st.generation++;
		prepare += push(b, &w->st);
		run_until(b, nodes, 30);
		if (b->ntook < nodes) {
			printf("fleet: %s: only %u of %u nodes acknowledged in 30 s\n", what, b->ntook, nodes);
			r = 1;
		}
		memcpy(all + n, b->took, b->ntook * sizeof(*all));
		n += b->ntook;
		run_for(b, 0.2);
	}
	qsort(all, n, sizeof(*all), by_value);
	if (n)
		printf("fleet: %s: acknowledged by one node p50 %.0f ms, p99 %.0f ms, by all %.0f ms at worst "
		       "(of it %.0f ms to find what changed; %.0f ms of processor per change)\n",
		       what, all[n / 2] * 1e3, all[n * 99 / 100] * 1e3, all[n - 1] * 1e3, prepare / ROUNDS * 1e3,
		       (cpu_s() - cpu) / ROUNDS * 1e3);
	free(all);
	return r;
}

static void edit_rule(struct world *w)
{
	w->st.rules[0].enabled = !w->st.rules[0].enabled;
	world_rule(w);
}

static void edit_pod(struct world *w)
{
	struct workload *x = &w->st.workloads[world_rnd(w, (uint32_t)w->st.nworkloads)];

	free(x->addrs);
	world_addr(w, &x->addrs, &x->naddrs);
}

static int controller(int out, const struct pki *pki)
{
	struct fleet_config cfg = { .name = "controller" };
	struct wire_keys *keys = pki_plain(pki, NULL);
	struct bench b = { .want = nodes };
	struct sockaddr_in at;
	struct fleet_totals t;
	struct world w;
	double begun, cpu, mem;
	uint16_t port;
	uint64_t batches;
	char name[32];
	int r;

	b.took = calloc(nodes, sizeof(*b.took));
	PKI_MUST(b.took);
	uv_loop_init(&b.loop);
	world_new(&w, 1);
	mem = rss_mb();
	for (uint32_t i = 0; i < nodes; i++) {
		(void)snprintf(name, sizeof(name), "node-%u", i);
		for (uint32_t k = 0; k < pods; k++)
			world_pod_in(&w, name);
	}
	for (int i = 0; i < 1000; i++)
		world_rule(&w);
	printf("fleet: %u nodes, %zu pods, 1000 rules; the state itself takes %.0f MB\n", nodes, w.st.nworkloads, rss_mb() - mem);
	PKI_MUST(!fleet_new(&b.loop, &cfg, NULL, &b.fleet));
	fleet_set_sink(b.fleet, &sink, &b);
	fleet_set_keys(b.fleet, keys);
	uv_ip4_addr("127.0.0.1", 0, &at);
	PKI_MUST(!fleet_listen(b.fleet, (struct sockaddr *)&at, NULL, &port));
	begun = now_s();
	mem = rss_mb();
	(void)push(&b, &w.st);
	printf("fleet: records made in %.2f s, %.0f MB\n", now_s() - begun, rss_mb() - mem);
	PKI_MUST(write(out, &port, sizeof(port)) == sizeof(port));
	begun = now_s();
	cpu = cpu_s();
	mem = rss_mb();
	run_until(&b, nodes, LIMIT_S);
	fleet_totals(b.fleet, &t);
	printf("fleet: %u of %u nodes connected and given a snapshot in %.1f s (%.1f s of the controller's processor); "
	       "%.0f MB for the connections, %.0f MB in all\n", t.current, nodes, now_s() - begun, cpu_s() - cpu,
	       rss_mb() - mem, rss_mb());
	if (t.current < nodes) {
		printf("fleet: connected %u, behind %u, lost %u, snapshots %llu, deltas %llu, rejected %llu: %s\n", t.connected, t.behind,
		       t.lost, (unsigned long long)t.snapshots, (unsigned long long)t.deltas, (unsigned long long)t.rejected, t.last_rejected);
		return 1;
	}
	cpu = cpu_s();
	batches = b.batches;
	run_for(&b, 10);
	printf("fleet: at rest, with counters every 5 s and %u accesses every 10 s from each node: %.0f %% of one processor "
	       "(stored in %llu transactions)\n", ACCESSES, (cpu_s() - cpu) * 10, (unsigned long long)(b.batches - batches));
	r = changes(&b, &w, "one rule changed", edit_rule);
	r |= changes(&b, &w, "one pod has another address", edit_pod);
	printf("fleet: memory at the end %.0f MB\n", rss_mb());
	fflush(stdout);
	(void)out;
	return r;
}

int main(int argc, char **argv)
{
	struct pki pki;
	int fds[2], status, r;
	pid_t pid;

	if ((argc > 1 && parse_u32(argv[1], 1, 20000, &nodes)) || (argc > 2 && parse_u32(argv[2], 0, 1000, &pods))) {
		fprintf(stderr, "usage: bench_fleet [NODES [PODS-PER-NODE]]\n");
		return 2;
	}
	setvbuf(stdout, NULL, _IOLBF, 0);
	log_set_level(getenv("BENCH_LOG") ? LOG_L_INFO : LOG_L_ERR);
	signal(SIGPIPE, SIG_IGN);
	own_loopback();
	file_limit();
	pki_new(&pki);
	PKI_MUST(!pipe2(fds, O_CLOEXEC));
	pid = fork();
	PKI_MUST(pid >= 0);
	if (!pid) {
		close(fds[1]);
		agents(fds[0], &pki);
	}
	close(fds[0]);
	r = controller(fds[1], &pki);
	close(fds[1]);
	(void)waitpid(pid, &status, 0);
	pki_done(&pki);
	return r;
}
