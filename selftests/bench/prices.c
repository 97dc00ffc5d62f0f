/* SPDX-License-Identifier: Apache-2.0 */
/*
 * prices - what the verdict path costs per packet, by BPF_PROG_TEST_RUN, next to an empty program
 * and the reference sketch, interleaved round by round on one CPU.
 *
 *   prices [-r rounds] [-k repeat] [-j file.json] CW_TC_OBJECT REF_OBJECT WALK_OBJECT
 *
 * Ratios count, absolute figures do not: machines are shared. Established and deny cases run one
 * packet hot; "new" steps the source port and address in front of the program (the walker alone
 * is subtracted), with a flow table small enough to be full and evicting.
 */
#include <arpa/inet.h>
#include <errno.h>
#include <linux/if_ether.h>
#include <linux/pkt_cls.h>
#include <netinet/ip.h>
#include <netinet/ip6.h>
#include <netinet/tcp.h>
#include <netinet/udp.h>
#include <pthread.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include <bpf/bpf.h>
#include <bpf/libbpf.h>

#include "cw_abi.h"

#define ROUNDS_MAX 101
#define FULL_FLOWS 65536u

static void die(const char *what)
{
	fprintf(stderr, "prices: %s: %s\n", what, strerror(errno));
	exit(1);
}

static double cpu_ns(void)
{
	struct timespec t;

	clock_gettime(CLOCK_THREAD_CPUTIME_ID, &t);
	return (double)t.tv_sec * 1e9 + (double)t.tv_nsec;
}

/* ---- packets ------------------------------------------------------------------------------- */

struct pkt {
	unsigned char b[128];
	unsigned len;
};

static const unsigned char mac[2][6] = {{2, 0, 0, 0, 0, 1}, {2, 0, 0, 0, 0, 2}};

/* From pod 0 or 1 to the other one (or from the world); flags -1 means UDP. */
static struct pkt make(int v6, const char *src, const char *dst, int from, int sport, int dport,
		       int flags)
{
	int udp = flags < 0, l4 = udp ? 8 : 20;
	struct pkt p = {.len = 14u + (v6 ? 40u : 20u) + (unsigned)l4 + 10u};
	struct ethhdr *e = (void *)p.b;
	unsigned char *t;

	memcpy(e->h_source, mac[from], 6);
	memcpy(e->h_dest, mac[!from], 6);
	e->h_proto = htons(v6 ? ETH_P_IPV6 : ETH_P_IP);
	if (v6) {
		struct ip6_hdr *h = (void *)(e + 1);

		h->ip6_flow = htonl(0x60000000);
		h->ip6_plen = htons((uint16_t)(l4 + 10));
		h->ip6_nxt = udp ? IPPROTO_UDP : IPPROTO_TCP;
		h->ip6_hlim = 64;
		inet_pton(AF_INET6, src, &h->ip6_src);
		inet_pton(AF_INET6, dst, &h->ip6_dst);
		t = (void *)(h + 1);
	} else {
		struct iphdr *h = (void *)(e + 1);

		h->version = 4;
		h->ihl = 5;
		h->ttl = 64;
		h->protocol = udp ? IPPROTO_UDP : IPPROTO_TCP;
		h->tot_len = htons((uint16_t)(20 + l4 + 10));
		inet_pton(AF_INET, src, &h->saddr);
		inet_pton(AF_INET, dst, &h->daddr);
		t = (void *)(h + 1);
	}
	((uint16_t *)t)[0] = htons((uint16_t)sport);
	((uint16_t *)t)[1] = htons((uint16_t)dport);
	if (udp) {
		((struct udphdr *)t)->len = htons(18);
	} else {
		((struct tcphdr *)t)->doff = 5;
		t[13] = (unsigned char)flags;
	}
	return p;
}

static double run(int fd, uint32_t cb, uint32_t ifindex, struct pkt *p, unsigned repeat, int *ret)
{
	struct __sk_buff ctx = {.ifindex = ifindex};
	LIBBPF_OPTS(bpf_test_run_opts, o, .data_in = p->b, .data_size_in = p->len,
		    .repeat = (int)repeat, .ctx_in = &ctx, .ctx_size_in = sizeof(ctx));
	double t;

	ctx.cb[0] = cb;
	t = cpu_ns();
	if (bpf_prog_test_run_opts(fd, &o))
		die("test run");
	t = cpu_ns() - t;
	if (ret)
		*ret = (int)o.retval;
	return t / repeat;
}

/* ---- the object under test --------------------------------------------------------------------
 */

static struct bpf_object *obj;

static int map(struct bpf_object *o, const char *name)
{
	int fd = bpf_object__find_map_fd_by_name(o, name);

	if (fd < 0)
		die(name);
	return fd;
}

static void set(struct bpf_object *o, const char *name, const void *k, const void *v)
{
	if (bpf_map_update_elem(map(o, name), k, v, 0))
		die(name);
}

static void pod(uint32_t n, const char *a4, const char *a6)
{
	struct cw_ep ep = {.wl = n, .group = n, .eid = 1000 + n, .flags = CW_EP_ATTACHED};
	struct cw_addr v = {.eid = 1000 + n, .group = n, .wl = n, .realm = CW_REALM_POD};
	struct cw_addr4_key k4 = {};
	struct cw_addr6_key k6 = {};

	memcpy(ep.mac, mac[n - 1], 6);
	set(obj, "cw_ep", &n, &ep);
	inet_pton(AF_INET, a4, &k4.addr);
	inet_pton(AF_INET6, a6, k6.addr);
	set(obj, "cw_addr4", &k4, &v);
	set(obj, "cw_addr6", &k6, &v);
	for (uint32_t s = 0; s < 2; s++) {
		uint64_t w = CW_WORD(1, CW_MODE_ENFORCE, 0, 0);
		uint32_t i = n * 2 + s;

		set(obj, "cw_word", &i, &w);
	}
}

/* TCP and UDP 8080 allowed, everything else blocked by default; `intervals` in the row besides,
 * and `peers` identities in the class table. */
static void policy(unsigned intervals, unsigned peers)
{
	struct cw_verdict allow = {.rule = 1, .action = CW_ACT_ALLOW, .tier = CW_TIER_MANUAL};
	struct cw_verdict block = {.action = CW_ACT_BLOCK, .tier = CW_TIER_DEFAULT};
	uint32_t one = 1, two = 2, n = 0;
	uint64_t v;

	set(obj, "cw_verdicts", &one, &allow);
	set(obj, "cw_verdicts", &two, &block);
#define ROW(start, verdict)                                                                        \
	(v = (uint64_t)(start) << 32 | (verdict), set(obj, "cw_rows", &n, &v), n++)
	ROW(0, 2);
	for (unsigned i = 0; i < intervals; i++)
		ROW(CW_AXIS(6, 100 + i), i & 1 ? 2 : 1);
	ROW(CW_AXIS(6, 8080), 1);
	ROW(CW_AXIS(6, 8081), 2);
	ROW(CW_AXIS(17, 8080), 1);
	ROW(CW_AXIS(17, 8081), 2);
	for (uint32_t r = 0; r < CW_REALM_SLOTS; r++) {
		v = 0;
		set(obj, "cw_rowtab", &r, &v);
	}
	v = n;
	for (uint32_t c = CW_REALM_SLOTS; c < CW_REALM_SLOTS + 2; c++)
		set(obj, "cw_rowtab", &c, &v);
	for (uint32_t i = 0; i < peers; i++) {
		struct cw_peer_key k = {.gs = (1 + i % 2) << 1 | (i / 2 & 1), .eid = 1001 + i / 4};
		uint32_t cls = 1;

		set(obj, "cw_peers", &k, &cls);
	}
}

static void *drain_events(void *arg)
{
	struct ring_buffer *rb = arg;

	while (ring_buffer__poll(rb, 50) >= 0)
		;
	return NULL;
}

static int on_event(void *ctx, void *data, size_t n)
{
	(void)data;
	(void)n;
	++*(uint64_t *)ctx;
	return 0;
}

/* ---- cases
 * --------------------------------------------------------------------------------------- */

struct row {
	const char *name, *goal;
	double limit; /* ratio the goal asks for; 0: none */
	int fd, want;
	uint32_t cb, ifindex;
	struct pkt p;
	int walk_fd, walk_alone;
	double ns[ROUNDS_MAX], x[ROUNDS_MAX];
	uint64_t step;
};
static struct row rows[32];
static int nrows;

static struct row *add(const char *name, const char *goal, double limit, int fd, uint32_t cb,
		       struct pkt p, int want)
{
	struct row *r = &rows[nrows++];

	*r = (struct row){.name = name,
			  .goal = goal,
			  .limit = limit,
			  .fd = fd,
			  .cb = cb,
			  .p = p,
			  .want = want,
			  .walk_fd = -1};
	return r;
}

static int walker(const char *path, int target)
{
	struct bpf_object *w = bpf_object__open(path);
	struct bpf_program *p;
	uint32_t zero = 0;

	if (!w)
		die(path);
	bpf_object__for_each_program(p, w)
		bpf_program__set_autoload(p, !strcmp(bpf_program__name(p), "walk_src"));
	if (bpf_object__load(w))
		die(path);
	if (target >= 0 && bpf_map_update_elem(map(w, "jmp"), &zero, &target, 0))
		die("walker");
	return bpf_program__fd(bpf_object__find_program_by_name(w, "walk_src"));
}

static int cmp(const void *a, const void *b)
{
	double x = *(const double *)a, y = *(const double *)b;

	return (x > y) - (x < y);
}

static double median(const double *v, int n)
{
	double s[ROUNDS_MAX];

	memcpy(s, v, sizeof(*v) * (size_t)n);
	qsort(s, (size_t)n, sizeof(*s), cmp);
	return n & 1 ? s[n / 2] : (s[n / 2 - 1] + s[n / 2]) / 2;
}

static void measure(struct row *r, int round, int empty, unsigned repeat)
{
	double e = run(empty, 0, 0, &r->p, repeat, NULL), ns;
	struct pkt p = r->p;
	int ret;

	if (r->walk_fd >= 0) {
		unsigned n = repeat > 60000 ? 60000 : repeat;
		uint32_t *src = (void *)(p.b + 26);
		double w;

		/* Each round goes on where the last one stopped, so that no flow comes twice. */
		*src = htonl(ntohl(*src) + (uint32_t)(r->step++ & 0x3fff));
		w = run(r->walk_alone, r->cb, r->ifindex, &p, n, NULL);
		ns = run(r->walk_fd, r->cb, r->ifindex, &p, n, &ret) - (w - e);
	} else {
		ns = run(r->fd, r->cb, r->ifindex, &p, repeat, &ret);
	}
	if (ret != r->want) {
		fprintf(stderr, "prices: %s: returned %d, expected %d\n", r->name, ret, r->want);
		exit(1);
	}
	if (round >= 0) {
		r->ns[round] = ns;
		r->x[round] = ns / e;
	}
}

int main(int argc, char **argv)
{
	struct bpf_insn none[] = {{.code = 0xb7}, {.code = 0x95}};
	const char *json = NULL, *W = "198.51.100.7";
	const char *a4[] = {"10.77.1.2", "10.77.2.2"}, *a6[] = {"fd00::1:2", "fd00::2:2"};
	int opt, rounds = 9, empty, fd, ref_from, ref_to, missed = 0, ret;
	uint64_t events = 0;
	unsigned repeat = 200000;
	struct bpf_object *ref;
	struct ring_buffer *rb;
	struct cw_ctl ctl = {
		.abi = CW_ABI_VERSION,
		.acct_slots = CW_MAX_ACCESSES + CW_MAX_ACCESSES / 4,
		.share_accesses = 4096,
		.share_pairs = 1024,
		.event_gap = 250,
		.ephemeral_min = 32768,
	};
	uint32_t zero = 0, peers = 0;
	pthread_t th;
	FILE *f;

	while ((opt = getopt(argc, argv, "r:k:j:n:")) != -1) {
		if (opt == 'r')
			rounds = (int)strtol(optarg, NULL, 10);
		else if (opt == 'k')
			repeat = (unsigned)strtoul(optarg, NULL, 10);
		else if (opt == 'n')
			peers = (uint32_t)strtoul(optarg, NULL, 10);
		else if (opt == 'j')
			json = optarg;
		else
			return 2;
	}
	if (argc - optind != 3 || rounds < 1 || rounds > ROUNDS_MAX || !repeat) {
		fprintf(stderr, "usage: prices [-r rounds] [-k repeat] [-n policy entries] [-j "
				"file.json] OBJECT REF WALK\n");
		return 2;
	}
	obj = bpf_object__open(argv[optind]);
	ref = bpf_object__open(argv[optind + 1]);
	if (!obj || !ref)
		die("open");
	bpf_map__set_max_entries(bpf_object__find_map_by_name(obj, "cw_flow4"), FULL_FLOWS);
	if (bpf_object__load(obj) || bpf_object__load(ref))
		die("load");
	empty = bpf_prog_load(BPF_PROG_TYPE_SCHED_CLS, "empty", "GPL", none, 2, NULL);
	if (empty < 0)
		die("empty program");
	fd = bpf_program__fd(bpf_object__find_program_by_name(obj, "cw_main"));
	set(obj, "cw_ctl", &zero, &ctl);
	pod(1, a4[0], a6[0]);
	pod(2, a4[1], a6[1]);
	policy(64, peers);
	rb = ring_buffer__new(map(obj, "cw_events"), on_event, &events, NULL);
	if (!rb || pthread_create(&th, NULL, drain_events, rb))
		die("event reader");

	/* The reference: endpoints 1 and 2 by ifindex 1 and 2, one rule each way. */
	ref_from = bpf_program__fd(bpf_object__find_program_by_name(ref, "from_pod"));
	ref_to = bpf_program__fd(bpf_object__find_program_by_name(ref, "to_pod"));
	for (uint32_t i = 1; i <= 2; i++) {
		struct {
			uint32_t ep, peer;
			uint16_t port;
			uint8_t proto, dir;
		} k = {i, 1003 - i, htons(8080), 6, i == 1};
		struct {
			uint32_t action, rule;
		} v = {1, 1};
		uint32_t id = 1000 + i, a;

		inet_pton(AF_INET, a4[i - 1], &a);
		set(ref, "eps", &i, &i);
		set(ref, "ident", &a, &id);
		set(ref, "policy", &k, &v);
	}

	/* Open the flows: handshake both ways over both hooks, IPv4 and IPv6. */
	for (int v6 = 0; v6 < 2; v6++) {
		const char *s = v6 ? a6[0] : a4[0], *d = v6 ? a6[1] : a4[1];
		static const int hs[][2] = {{0, 0x02}, {1, 0x12}, {0, 0x10}};

		for (int i = 0; i < 3; i++) {
			int from = hs[i][0];
			struct pkt p = from ? make(v6, d, s, 1, 8080, 40000, hs[i][1])
					    : make(v6, s, d, 0, 40000, 8080, hs[i][1]);

			(void)run(fd, CW_CB(from + 1, 1), 1, &p, 1, &ret);
			(void)run(fd, CW_CB(2 - from, 0), 1, &p, 1, &ret);
		}
		struct pkt ack = make(v6, s, d, 0, 40000, 8080, 0x10),
			   back = make(v6, d, s, 1, 8080, 40000, 0x10);
		double limit = v6 ? 3.0 : 2.5;

		add(v6 ? "established IPv6, egress" : "established, egress", "P1", limit, fd,
		    CW_CB(1, 1), ack, -1);
		add(v6 ? "established IPv6, ingress" : "established, ingress", "P1", limit, fd,
		    CW_CB(2, 0), ack, -1);
		add(v6 ? "reply IPv6, egress hook" : "reply, egress hook", "P1", limit, fd,
		    CW_CB(2, 1), back, -1);
		add(v6 ? "reply IPv6, ingress hook" : "reply, ingress hook", "P1", limit, fd,
		    CW_CB(1, 0), back, -1);
	}
	add("one-way UDP, egress", "P1", 2.5, fd, CW_CB(1, 1),
	    make(0, a4[0], a4[1], 0, 40001, 8080, -1), -1);
	struct row *n = add("new flow, table full, ingress", "P3", 22, fd, CW_CB(2, 0),
			    make(0, W, a4[1], 0, 1, 8080, 0x02), -1);

	n->walk_fd = walker(argv[optind + 2], fd);
	n->walk_alone = walker(argv[optind + 2], -1);
	add("deny, egress, reader attached", "P4", 7, fd, CW_CB(1, 1),
	    make(0, a4[0], a4[1], 0, 40002, 81, 0x02), 2);

	struct row *r = add("reference: established, egress", "", 0, ref_from, 0,
			    make(0, a4[0], a4[1], 0, 40000, 8080, 0x10), -1);

	r->ifindex = 1;
	(void)run(ref_from, 0, 1, &r->p, 1, &ret);
	r = add("reference: deny", "", 0, ref_from, 0, make(0, a4[0], a4[1], 0, 40002, 81, 0x02),
		2);
	r->ifindex = 1;
	(void)ref_to;

	for (int round = -1; round < rounds; round++)
		for (int i = 0; i < nrows; i++)
			measure(&rows[i], round, empty, repeat);

	f = json ? fopen(json, "w") : NULL;
	if (json && !f)
		die(json);
	if (f)
		fprintf(f, "{\"rounds\":%d,\"policyEntries\":%u,\"cases\":[", rounds, peers);
	printf("%-34s %8s %8s %8s %6s %s\n", "case", "ns", "x empty", "goal", "", "");
	for (int i = 0; i < nrows; i++) {
		double ns = median(rows[i].ns, rounds), x = median(rows[i].x, rounds);
		int miss = rows[i].limit && x > rows[i].limit;

		missed += miss;
		printf("%-34s %8.1f %8.2f ", rows[i].name, ns, x);
		if (rows[i].limit)
			printf("%8.1f %6s %s\n", rows[i].limit, rows[i].goal,
			       miss ? "missed" : "met");
		else
			printf("%8s\n", "-");
		if (f)
			fprintf(f,
				"%s{\"name\":\"%s\",\"ns\":%.2f,\"timesEmpty\":%.3f,\"goal\":\"%"
				"s\",\"limit\":%.1f}",
				i ? "," : "", rows[i].name, ns, x, rows[i].goal, rows[i].limit);
	}
	printf("median of %d rounds; %llu events read; %d goals missed\n", rounds,
	       (unsigned long long)events, missed);
	if (f) {
		fprintf(f, "]}\n");
		if (fclose(f))
			die(json);
	}
	return 0;
}
