/* SPDX-License-Identifier: Apache-2.0 */
/*
 * engine_prog.c - the loaded programs on crafted packets: the first packet of a connection at the
 * hook of its source and of its destination, then the answer on its way back. Every row is a
 * connection of its own.
 */
#include <errno.h>
#include <netinet/in.h>
#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"
#include "selftests/harness/packet.h"
#include "selftests/judge/engine.h"
#include "selftests/judge/kernel.h"
#include "selftests/judge/views.h"

#define SPORT_FIRST 20000u
#define SPORT_LAST 60000u
#define SCTP_INIT 1
#define SCTP_INIT_ACK 2

struct engine {
	struct views *views;
	uint32_t sport;
	/* Endpoints are numbered as the pods of the world are; the last world's that stand. */
	struct { struct view *view; uint32_t n; } *eps;
	size_t neps;
};

static const uint8_t GATEWAY[6] = { 2, 0, 0, 0, 0, 0xee };

static void pod_mac(size_t pod, uint8_t ret[6])
{
	memcpy(ret, (uint8_t[6]){ 2, 0, 1, 0, (uint8_t)(pod >> 8), (uint8_t)pod }, 6);
}

static void on_drop(void *arg, struct view *v)
{
	struct engine *e = arg;

	for (size_t i = 0; i < e->neps;)
		if (e->eps[i].view == v)
			e->eps[i] = e->eps[--e->neps];
		else
			i++;
}

static int prog_open(struct fail_list *f, struct engine **ret)
{
	struct engine *e;
	int r = kernel_enter(false, f);

	if (r)
		return r;
	e = calloc(1, sizeof(*e));
	r = e ? views_new(VIEWS_TEST_RUN, f, &e->views) : -ENOMEM;
	if (r) {
		free(e);
		return r;
	}
	views_on_drop(e->views, on_drop, e);
	e->sport = SPORT_FIRST;
	*ret = e;
	return 0;
}

static void prog_close(struct engine *e)
{
	views_free(e->views);
	free(e->eps);
	free(e);
}

/* ---- endpoints ------------------------------------------------------------------------------------------ */

static int endpoints_put(struct engine *e, const struct world *w, struct view *const *views, struct fail_list *f)
{
	int r = 0;

	for (size_t i = 0; i < e->neps && !r; i++)
		r = kernel_ep_clear(e->eps[i].view->kernel, e->eps[i].n);
	e->neps = 0;
	free(e->eps);
	e->eps = calloc(w->st.nworkloads + 1, sizeof(*e->eps));
	if (!e->eps)
		r = -ENOMEM;
	for (size_t i = 0; i < w->st.nworkloads && !r; i++) {
		struct view *v = views[w->pods[i].view];
		uint8_t mac[6];

		pod_mac(i, mac);
		r = kernel_ep_put(v->kernel, v->set, w->st.workloads[i].ns, w->st.workloads[i].name, (uint32_t)i + 1,
				  mac, (uint32_t)i + 10);
		if (r)
			break;
		e->eps[e->neps].view = v;
		e->eps[e->neps++].n = (uint32_t)i + 1;
	}
	return r ? fail_add(f, r, "judge.endpoint", NULL, NULL, NULL, "%s", strerror(-r)) : 0;
}

/* ---- packets ---------------------------------------------------------------------------------------------- */

/* One packet of a connection as it passes a pod's hook. */
static void frame(const struct world_row *row, uint16_t sport, bool answer, const uint8_t mac[6], bool from_pod,
		  struct pkt *p)
{
	const struct addr *s = answer ? &row->to.addr : &row->from.addr, *d = answer ? &row->from.addr : &row->to.addr;
	uint16_t sp = answer ? row->port : sport, dp = answer ? sport : row->port;
	char src[ADDR_STR_MAX], dst[ADDR_STR_MAX];

	pkt_init(p);
	pkt_eth(p, from_pod ? mac : GATEWAY, from_pod ? GATEWAY : mac);
	pkt_ip(p, addr_str(s, src), addr_str(d, dst));
	switch (row->proto) {
	case IPPROTO_TCP:
		pkt_tcp(p, sp, dp, answer ? PKT_SYN | PKT_ACK : PKT_SYN);
		break;
	case IPPROTO_UDP:
		pkt_udp(p, sp, dp);
		pkt_data(p, 18);
		break;
	default:
		pkt_sctp(p, sp, dp, answer ? SCTP_INIT_ACK : SCTP_INIT);
		break;
	}
	pkt_finish(p);
}

/* At the hook of one end; true where nobody stands guard. */
static int hook_passes(const struct world *w, struct view *const *views, const struct world_row *row, uint16_t sport,
		       bool at_source, bool answer, bool *ret)
{
	const struct world_end *at = at_source ? &row->from : &row->to;
	bool from_pod = at_source != answer;
	uint8_t mac[6];
	struct pkt p;
	int r;

	*ret = true;
	if (at->kind != END_POD)
		return 0;
	pod_mac(at->i, mac);
	frame(row, sport, answer, mac, from_pod, &p);
	r = kernel_run(views[w->pods[at->i].view]->kernel, (uint32_t)at->i + 1, from_pod, p.b, (uint32_t)p.len);
	if (r < KERNEL_PASS)
		return r;
	*ret = r == KERNEL_PASS;
	return 0;
}

static int prog_ask(struct engine *e, const struct world *w, struct fail_list *f, bool *ret)
{
	struct view *views[WORLD_NODES_MAX];
	int r = views_put(e->views, w, f, views);

	r = r ?: endpoints_put(e, w, views, f);
	if (r)
		return r;
	for (size_t i = 0; i < w->nrows; i++) {
		uint16_t sport = (uint16_t)e->sport;
		bool pass = true;

		e->sport = e->sport == SPORT_LAST ? SPORT_FIRST : e->sport + 1;
		/* Out at the source, in at the destination; the answer out there, in here. */
		for (int hop = 0; hop < 4 && pass && !r; hop++)
			r = hook_passes(w, views, &w->rows[i], sport, hop == 0 || hop == 3, hop >= 2, &pass);
		if (r)
			return fail_add(f, r, "judge.run", NULL, NULL, NULL, "row %zu: %s", i, strerror(-r));
		ret[i] = pass;
	}
	return 0;
}

const struct engine_ops engine_prog = { "prog", prog_open, prog_ask, prog_close };
