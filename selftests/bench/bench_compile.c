/* SPDX-License-Identifier: Apache-2.0 */
/*
 * bench_compile - the policy compiler on a cluster of the size of its goals, written to nowhere.
 *
 *	bench_compile [pods [namespaces [rules]]]	default 10000 500 2000
 */
#include <netinet/in.h>

#include "base/strparse.h"
#include "selftests/bench/bench_sink.h"

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
