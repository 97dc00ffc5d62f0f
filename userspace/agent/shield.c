/* SPDX-License-Identifier: Apache-2.0 */
/*
 * shield.c - XDP in front of a quarantined workload that keeps flooding. Off by default on every
 * interface: an XDP program takes segmentation offload away from a veth's peer. The verdict at TC
 * stands behind it, so the shield only saves work; it is put on above a rate of dropped packets
 * and taken off when the quarantine ends.
 */
#include <errno.h>
#include <stdio.h>
#include <string.h>

#define LOG_UNIT "shield"
#include "agent/priv.h"
#include "base/cleanup.h"
#include "base/log.h"

#define SHIELD_PASS 2u /* value in cw_shield4/6: this destination goes on to the verdict */

static void shield_hook(const struct agent_wl *w, const struct agent_ep *e, struct hook *h)
{
	memset(h, 0, sizeof(*h));
	snprintf(h->key, sizeof(h->key), "shield/%u", e->ep);
	h->netns = e->at.way[CNI_FROM_POD].netns.ino;
	h->ifindex = e->at.way[CNI_FROM_POD].ifindex;
	h->dir = HOOK_XDP;
	(void)w;
}

/* The node's own addresses go on: its probes and their answers are the verdict's business. */
static int pass_nodes(struct agent *a, uint32_t ifindex, bool set)
{
	for (size_t i = 0; i < a->nnode_addrs; i++) {
		bool v4 = addr_is_v4(&a->node_addrs[i]);
		struct prefix p = { .addr = a->node_addrs[i], .plen = v4 ? 32 : 128, .v6 = !v4 };
		int r = set ? shield_net_set(a->maps, ifindex, &p, SHIELD_PASS) :
			      shield_net_del(a->maps, ifindex, &p);

		if (r < 0 && set)
			return r;
	}
	return 0;
}

static void shield_on(struct agent *a, struct agent_wl *w, struct agent_ep *e)
{
	struct cw_shield v = { .flags = CW_SHIELD_CUT, .ep = e->ep };
	int prog = loader_set_prog_fd(a->set, "cw_shield_prog");
	auto_close int fd = -1;
	struct hook_state st;
	uint32_t ifindex = e->at.way[CNI_FROM_POD].ifindex;
	struct hook h;
	int r;

	r = pass_nodes(a, ifindex, true);
	if (!r)
		r = shield_map_set(a->maps, ifindex, &v);
	if (!r)
		r = netns_open_self(&fd);
	if (!r) {
		shield_hook(w, e, &h);
		r = hooks_attach_xdp(a->hooks, &h, prog, fd, &st);
	}
	if (r < 0) {
		(void)shield_map_del(a->maps, ifindex);
		log_warn(r, "cannot put up an XDP shield, the verdict at TC holds; if='%s'",
			 e->at.way[CNI_FROM_POD].iface);
		return;
	}
	e->shield = true;
	agent_note(a, "shield-on", w, "%s: quarantined and flooding, dropped at XDP from now on", e->at.iface);
}

static void shield_off(struct agent *a, struct agent_wl *w, struct agent_ep *e)
{
	auto_close int fd = -1;
	struct hook h;

	shield_hook(w, e, &h);
	(void)shield_map_del(a->maps, e->at.way[CNI_FROM_POD].ifindex); /* the program passes from here on */
	(void)pass_nodes(a, e->at.way[CNI_FROM_POD].ifindex, false);
	if (!netns_open_self(&fd))
		(void)hooks_detach(a->hooks, &h, fd);
	e->shield = false;
	agent_note(a, "shield-off", w, "%s", e->at.iface);
}

static int add_drops(void *arg, const struct access_row *r)
{
	struct htab *by_wl = arg;
	uint64_t wl = r->val.wl, sum = (uintptr_t)htab_get(by_wl, &wl, sizeof(wl));

	sum += r->val.cnt[CW_EGRESS][CW_OUT_DROP];
	return htab_set(by_wl, &wl, sizeof(wl), (void *)(uintptr_t)sum, NULL);
}

void agent_shield(struct agent *a)
{
	uint64_t now = agent_mono_ns();
	struct htab *drops = NULL;
	struct ctl_counters c;

	if (!a->cfg.shield_pps)
		return;
	for (size_t i = 0; i < a->nwls; i++) {
		struct agent_wl *w = a->wls[i];
		struct policy_wl pw;
		bool cut = w->wl && !policy_set_wl_by_number(a->policy, w->wl, &pw) && pw.quarantined &&
			   !pw.exceptions; /* those are told by port, which the shield does not look at */
		uint64_t d, rate = 0;

		if (cut && !drops) {
			ctl_read(a->maps, &c);
			drops = htab_new();
			if (!drops || access_map_walk(a->maps, c.epoch, add_drops, drops))
				break;
		}
		if (cut) {
			uint64_t k = w->wl;
			struct cw_wl folded = { };

			d = (uintptr_t)htab_get(drops, &k, sizeof(k));
			if (!wl_map_read(a->maps, w->wl, &folded))
				d += folded.folded_drops;
			if (w->drops_ns && now > w->drops_ns && d > w->drops)
				rate = (d - w->drops) * 1000000000ull / (now - w->drops_ns);
			w->drops = d;
			w->drops_ns = now;
		} else {
			w->drops_ns = 0;
		}
		for (size_t k = 0; k < w->neps; k++) {
			struct agent_ep *e = w->eps[k];

			if (e->shield && !cut)
				shield_off(a, w, e);
			else if (!e->shield && cut && e->at.way[CNI_FROM_POD].side == CNI_SIDE_HOST &&
				 e->at.way[CNI_FROM_POD].hook == CNI_HOOK_TC && agent_ep_up(e) &&
				 rate > a->cfg.shield_pps)
				shield_on(a, w, e);
		}
	}
	if (drops)
		htab_free(drops, NULL);
}
