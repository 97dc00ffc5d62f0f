/* SPDX-License-Identifier: Apache-2.0 */
/*
 * bench_compile - the policy compiler on a cluster of the size of its goals, written to nowhere.
 *
 *	bench_compile [pods [namespaces [rules]]]	default 10000 500 2000
 */
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "base/strparse.h"
#include "policy/compile.h"

static int verdict_write(void *a, uint32_t i, const struct cw_verdict *v) { (void)a, (void)i, (void)v; return 0; }
static int array_write(void *a, uint32_t i, const uint64_t *v, size_t n) { (void)a, (void)i, (void)v, (void)n; return 0; }
static int peers_set(void *a, const struct cw_peer_key *k, const uint32_t *c, size_t n)
{
	(void)k, (void)c;
	*(uint64_t *)a += n;
	return 0;
}
static int peers_del(void *a, const struct cw_peer_key *k, size_t n) { (void)a, (void)k, (void)n; return 0; }
static int word_store(void *a, uint32_t i, uint64_t w) { (void)a, (void)i, (void)w; return 0; }
static int addr_set(void *a, uint32_t z, const struct addr *x, const struct cw_addr *v)
{
	(void)a, (void)z, (void)x, (void)v;
	return 0;
}
static int addr_del(void *a, uint32_t z, const struct addr *x) { (void)a, (void)z, (void)x; return 0; }
static int net_set(void *a, uint32_t z, const struct prefix *p, const struct cw_addr *v)
{
	(void)a, (void)z, (void)p, (void)v;
	return 0;
}
static int net_del(void *a, uint32_t z, const struct prefix *p) { (void)a, (void)z, (void)p; return 0; }
static bool addr_used(void *a, uint32_t z, const struct addr *x) { (void)a, (void)z, (void)x; return false; }
static bool net_used(void *a, uint32_t z, const struct prefix *p) { (void)a, (void)z, (void)p; return false; }
static int wl_group(void *a, uint32_t w, uint32_t g, uint32_t e) { (void)a, (void)w, (void)g, (void)e; return 0; }

static uint64_t peers_written;
static const struct policy_sink sink = {
	.arg = &peers_written, .verdict_write = verdict_write, .rows_write = array_write, .rowtab_write = array_write,
	.peers_set = peers_set, .peers_del = peers_del, .word_store = word_store, .addr_set = addr_set,
	.addr_del = addr_del, .net_set = net_set, .net_del = net_del, .addr_used = addr_used, .net_used = net_used,
	.wl_group = wl_group,
};

static char *text(const char *fmt, uint32_t a, uint32_t b)
{
	char buf[64];
	char *s;

	snprintf(buf, sizeof(buf), fmt, a, b);
	s = strdup(buf);
	if (!s)
		abort();
	return s;
}

static void *some(size_t n, size_t size)
{
	void *p = calloc(n ? n : 1, size);

	if (!p)
		abort();
	return p;
}

static void label(struct labels *l, const char *k, const char *v)
{
	if (labels_set(l, k, v))
		abort();
}

static struct addr pod_addr(uint32_t i)
{
	struct addr a = { .b = { [10] = 0xff, [11] = 0xff, [12] = 10 } };

	a.b[13] = (uint8_t)(20 + (i >> 16));
	a.b[14] = (uint8_t)(i >> 8);
	a.b[15] = (uint8_t)i;
	return a;
}

/* 4 applications of 5 pods in each namespace, at 10,000 and 500. */
static void cluster(struct policy_state *st, uint32_t pods, uint32_t nss, uint32_t rules)
{
	static const char *const apps[] = { "web", "api", "db", "job" };

	*st = (struct policy_state){ .default_mode = CW_MODE_ENFORCE, .default_action = CW_ACT_BLOCK };
	st->namespaces = some(nss, sizeof(*st->namespaces));
	st->workloads = some(pods + 1, sizeof(*st->workloads));
	st->rules = some(rules + 1, sizeof(*st->rules));
	st->modes = some(nss, sizeof(*st->modes));
	st->cluster_cidrs = some(1, sizeof(*st->cluster_cidrs));
	st->ncluster_cidrs = 1;
	if (prefix_parse("10.0.0.0/8", &st->cluster_cidrs[0]))
		abort();
	for (uint32_t i = 0; i < nss; i++) {
		st->namespaces[i].name = text("ns-%u", i, 0);
		label(&st->namespaces[i].labels, "team", i % 2 ? "red" : "blue");
		st->modes[i] = (struct mode_setting){ .scope = MODE_NAMESPACE, .ns = text("ns-%u", i, 0),
						      .mode = CW_MODE_ENFORCE };
	}
	st->nnamespaces = st->nmodes = nss;
	for (uint32_t i = 0; i < pods; i++) {
		struct workload *w = &st->workloads[st->nworkloads++];
		uint32_t app = i / nss % 4;

		w->ns = text("ns-%u", i % nss, 0);
		w->name = text("pod-%u-%u", i, app);
		w->uid = text("uid-%u", i, 0);
		label(&w->labels, "app", apps[app]);
		label(&w->labels, "tier", app < 2 ? "front" : "back");
		w->controller_kind = strdup("Deployment");
		w->controller_name = strdup(apps[app]);
		w->addrs = some(1, sizeof(*w->addrs));
		w->addrs[0] = pod_addr(i);
		w->naddrs = 1;
	}
	for (uint32_t i = 0; i < rules; i++) {
		struct rule *r = &st->rules[st->nrules++];

		r->id = i + 1;
		r->name = text("rule-%u", i, 0);
		r->ns = text("ns-%u", i % nss, 0);
		r->origin = i % 3 ? ORIGIN_LEARNED : ORIGIN_MANUAL;
		r->action = i % 7 ? CW_ACT_ALLOW : CW_ACT_BLOCK;
		r->mode = CW_MODE_ENFORCE;
		r->enabled = true;
		r->from = some(1, sizeof(*r->from));
		r->to = some(1, sizeof(*r->to));
		r->nfrom = r->nto = 1;
		r->from[0].kind = r->to[0].kind = SEL_WORKLOAD;
		r->from[0].ns = text("ns-%u", (i + (i % 5 ? 0 : 1)) % nss, 0);
		r->from[0].labels.set = true;
		label(&r->from[0].labels.match, "app", apps[i / nss % 4]);
		if (i % 11 == 0) {
			r->to[0].kind = SEL_CIDR;
			if (prefix_parse("203.0.113.0/24", &r->to[0].cidr))
				abort();
			r->to[0].cidr.addr.b[14] = (uint8_t)i;
		} else if (i % 50 == 1) {
			free(r->to[0].ns);
			r->to[0].ns_labels.set = true;	/* wide: half of all namespaces */
			label(&r->to[0].ns_labels.match, "team", "red");
		} else {
			r->to[0].labels.set = true;
			label(&r->to[0].labels.match, "app", apps[(i / nss + 1) % 4]);
		}
		r->ports = some(2, sizeof(*r->ports));
		r->nports = 2;
		for (uint32_t k = 0; k < 2; k++)
			r->ports[k] = (struct port_spec){ .kind = PORT_RANGE, .proto = IPPROTO_TCP,
							  .from = (uint16_t)(80 + i % 40 * 100 + k * 10),
							  .to = (uint16_t)(80 + i % 40 * 100 + k * 12) };
	}
}

static double ms(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (double)t.tv_sec * 1e3 + (double)t.tv_nsec / 1e6;
}

static void step(struct policy_set *set, const struct policy_state *st, const char *what)
{
	struct fail_list f = {};
	struct policy_plan *plan;
	struct policy_plan_info info;
	double a = ms(), b, c;

	peers_written = 0;
	if (policy_set_prepare(set, st, &f, &plan)) {
		fprintf(stderr, "%s: refused: %s\n", what, f.n ? f.items[0].message : "?");
		exit(1);
	}
	policy_plan_info(plan, &info);
	b = ms();
	if (policy_set_commit(set, plan, &sink))
		exit(1);
	c = ms();
	printf("%-34s %9.2f %9.2f %9u %9llu\n", what, b - a, c - b, info.words, (unsigned long long)peers_written);
	while (policy_set_gc(set, &sink, policy_set_seq(set)) > 0)
		;
}

int main(int argc, char **argv)
{
	uint32_t n[3] = { 10000, 500, 2000 };
	/* One number space for the whole cluster: nothing a node would have to hold. */
	struct policy_limits lim = { .groups = 32768, .wls = 65536, .peers = 1u << 26, .rowtab = 1u << 24,
				     .rows = 1u << 24, .all_local = true };
	struct policy_set *set;
	struct policy_state st;
	struct policy_stats s;

	for (int i = 1; i < argc && i < 4; i++)
		if (parse_u32(argv[i], 1, 60000, &n[i - 1])) {
			fprintf(stderr, "usage: bench_compile [pods [namespaces [rules]]]\n");
			return 2;
		}
	cluster(&st, n[0], n[1], n[2]);
	if (policy_set_new(&lim, &set))
		return 1;
	printf("%u pods, %u namespaces, %u rules; every pod local\n", n[0], n[1], n[2]);
	printf("%-34s %9s %9s %9s %9s\n", "change", "prep ms", "commit ms", "words", "entries");
	step(set, &st, "full");
	step(set, &st, "nothing");
	st.rules[5].action = CW_ACT_ALERT;
	step(set, &st, "action of one rule");
	st.rules[6].ports[0].from = 9000;
	st.rules[6].ports[0].to = 9100;
	step(set, &st, "ports of one rule");
	st.rules[51].action = CW_ACT_BLOCK;
	step(set, &st, "action of a wide rule");
	st.rules[n[2] - 1].enabled = false;
	step(set, &st, "one rule less");
	st.rules[n[2] - 1].enabled = true;
	step(set, &st, "one rule more");
	st.rules[11].to[0].cidr.addr.b[14] ^= 0x80;
	step(set, &st, "another CIDR in a rule");
	st.modes[3].mode = CW_MODE_LEARN;
	step(set, &st, "mode of a namespace");
	label(&st.workloads[7].labels, "app", "moved");
	step(set, &st, "labels of one pod");
	st.workloads[st.nworkloads] = (struct workload){ .ns = strdup("ns-1"), .name = strdup("new"), .uid = strdup("u"),
							 .addrs = some(1, sizeof(struct addr)), .naddrs = 1 };
	st.workloads[st.nworkloads].addrs[0] = pod_addr(60001);
	label(&st.workloads[st.nworkloads].labels, "app", "web");
	st.nworkloads++;
	step(set, &st, "one pod more, new identity");
	policy_set_stats(set, &s);
	printf("groups %u, identities %u, entries %u, row table %u, rows %u, verdicts %u, %.1f MB\n", s.groups, s.eids,
	       s.peers, s.rowtab, s.rows, s.verdicts, (double)s.memory / 1e6);
	policy_set_free(set);
	policy_state_done(&st);
	return 0;
}
