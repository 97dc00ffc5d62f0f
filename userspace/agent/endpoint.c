/* SPDX-License-Identifier: Apache-2.0 */
/* endpoint.c - a guarded interface: its number, what the data path knows of it, its two hooks. */
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#define LOG_UNIT "attach"
#include "agent/priv.h"
#include "base/cleanup.h"
#include "base/log.h"

void agent_ep_hook(const struct agent_wl *w, const struct agent_ep *e, enum hook_dir dir, struct hook *ret)
{
	bool ingress_is_from_pod = cni_from_pod_is_ingress(&e->at);
	/* Names may be longer than a pin's key: the hash keeps keys apart. */
	uint64_t h = hash_bytes(0, w->name, strlen(w->name)) ^ hash_bytes(1, w->ns, strlen(w->ns));

	memset(ret, 0, sizeof(*ret));
	if (snprintf(ret->key, sizeof(ret->key), "%s/%s/%s", w->ns, w->name, e->at.iface) >=
	    (int)sizeof(ret->key))
		snprintf(ret->key, sizeof(ret->key), "%016" PRIx64 "/%.32s", h, e->at.iface);
	ret->netns = e->at.netns.ino;
	ret->ifindex = e->at.ifindex;
	ret->ep = e->ep;
	ret->dir = dir;
	ret->from_pod = (dir == HOOK_INGRESS) == ingress_is_from_pod;
	ret->closed = w->a->cfg.closed;
}

/* The namespace the hook's device is in, opened for one job. */
int agent_ep_netns(const struct agent_wl *w, const struct agent_ep *e)
{
	int fd = -1;

	if (e->at.side == CNI_SIDE_POD)
		return netns_open(w->netns, &fd) < 0 ? -1 : fd;
	return netns_open_self(&fd) < 0 ? -1 : fd;
}

/* ---- endpoint table ---------------------------------------------------------------------------- */

void agent_ep_write(struct agent *a, const struct agent_wl *w, const struct agent_ep *e)
{
	static const uint8_t no_mac[6];
	struct cw_ep v = {
		.wl = w->wl, .group = w->group, .eid = w->eid, .ifindex = e->at.ifindex,
		.flags = CW_EP_ATTACHED | (e->at.side == CNI_SIDE_POD ? CW_EP_POD_SIDE : 0),
	};
	int r;

	memcpy(v.mac, e->at.mac, 6);
	if (!memcmp(v.mac, no_mac, 6))
		v.flags |= CW_EP_NO_MAC;
	/* Without a number it is not resolved yet: open means no verdict, closed means names only. */
	if (!v.wl && !a->cfg.closed)
		r = ep_map_clear(a->maps, e->ep);
	else {
		if (!v.wl) {
			v.wl = UINT32_MAX; /* owns nothing */
			v.flags |= CW_EP_CLOSED;
		}
		r = ep_map_set(a->maps, e->ep, &v);
	}
	if (r < 0)
		log_err(r, "cannot write endpoint; ep=%u workload='%s/%s'", e->ep, w->ns, w->name);
}

/* Link-local addresses are the endpoint's own; the rest comes with the policy. */
void agent_ep_local(struct agent *a, const struct agent_wl *w, const struct agent_ep *e)
{
	for (size_t i = 0; i < e->nlocal; i++) {
		struct cw_addr v = { .eid = w->eid, .group = w->group, .wl = w->wl, .realm = CW_REALM_POD };
		int r = w->wl ? addr_map_set(a->maps, 0, &e->local[i], &v) :
				addr_map_del(a->maps, 0, &e->local[i]);

		if (r < 0)
			log_warn(r, "cannot publish a link-local address; workload='%s/%s'", w->ns, w->name);
	}
}

/* What stood before the attachment, before its first packet is judged. */
void agent_wl_seed(struct agent *a, struct agent_wl *w)
{
	if (!w->wl || w->seeded || !w->seed)
		return;
	w->seeded = true;
	agent_seed_apply(a, w->wl, w->seed, true);
	agent_seed_free(take_ptr(w->seed));
}

void agent_wl_publish(struct agent *a, struct agent_wl *w)
{
	agent_wl_seed(a, w);
	for (size_t i = 0; i < w->neps; i++) {
		if (!w->eps[i]->ep)
			continue;
		/* Addresses before the endpoint when it appears, after it when it goes. */
		if (w->wl)
			agent_ep_local(a, w, w->eps[i]);
		agent_ep_write(a, w, w->eps[i]);
		if (!w->wl)
			agent_ep_local(a, w, w->eps[i]);
	}
}

/* The number that a standing stub of this interface carries, if a former process left one. */
static uint32_t ep_standing(const struct agent *a, const struct agent_wl *w, const struct agent_ep *e)
{
	struct hook mine;

	agent_ep_hook(w, e, HOOK_INGRESS, &mine);
	for (size_t i = 0; i < a->nstanding; i++)
		if (!strcmp(mine.key, a->standing[i].key) && mine.ifindex == a->standing[i].ifindex &&
		    mine.netns == a->standing[i].netns)
			return a->standing[i].ep;
	return 0;
}

static bool ep_free(const struct agent *a, uint32_t n)
{
	for (size_t i = 0; i < a->nstanding; i++)
		if (a->standing[i].ep == n)
			return false;
	return !a->ep_by_num[n];
}

uint32_t agent_ep_alloc(struct agent *a, struct agent_wl *w, struct agent_ep *e)
{
	uint32_t n = ep_standing(a, w, e);

	if (!n)
		for (n = 1; n < a->room.eps && !ep_free(a, n); n++)
			;
	if (n >= a->room.eps || a->ep_by_num[n])
		return 0;
	a->ep_by_num[n] = e;
	a->wl_of_ep[n] = w;
	return n;
}

static void ep_release(struct agent *a, struct agent_ep *e)
{
	if (!e->ep)
		return;
	(void)ep_map_clear(a->maps, e->ep); /* a zeroed entry is "no endpoint" */
	for (size_t i = 0; i < e->nlocal; i++)
		(void)addr_map_del(a->maps, 0, &e->local[i]);
	a->ep_by_num[e->ep] = NULL;
	a->wl_of_ep[e->ep] = NULL;
	e->ep = 0;
}

/* ---- hooks --------------------------------------------------------------------------------------- */

static struct agent_ep *ep_of(struct agent *a, const struct hook *h, struct agent_wl **ret)
{
	if (!h->ep || h->ep >= a->room.eps || !a->ep_by_num[h->ep])
		return NULL;
	*ret = a->wl_of_ep[h->ep];
	return a->ep_by_num[h->ep];
}

static void ep_drop(struct agent *a, struct agent_wl *w, struct agent_ep *e)
{
	for (size_t i = 0; i < w->neps; i++)
		if (w->eps[i] == e) {
			w->eps[i] = w->eps[--w->neps];
			break;
		}
	ep_release(a, e);
	free(e);
}

void agent_wl_drop_if_empty(struct agent *a, struct agent_wl *w)
{
	if (!w->gone || w->neps || w->scanning)
		return;
	if (w->wl)
		(void)htab_del_u64(a->by_num, w->wl);
	for (size_t i = 0; i < a->nwls; i++)
		if (a->wls[i] == w)
			a->wls[i] = a->wls[--a->nwls];
	agent_wl_free(w);
	agent_share(a);
}

static void on_attached(void *arg, const struct hook *h, int r, const struct hook_state *st)
{
	struct agent *a = arg;
	struct agent_wl *w = NULL;
	struct agent_ep *e = ep_of(a, h, &w);

	if (e) {
		e->busy--;
		e->err = r;
		if (!r) {
			e->up |= (uint8_t)(1u << h->dir);
			e->kind = st->kind;
			if (e->up == EP_UP_BOTH && e->gap_ns < 0)
				e->gap_ns = st->adopted ? 0 : (int64_t)(agent_mono_ns() - e->seen_ns);
			if (e->up == EP_UP_BOTH && !st->adopted)
				agent_note(a, "attached", w, "%s %s, %s, gap %.1f ms", e->at.iface,
					   cni_side_str(e->at.side), st->kind == HOOK_KIND_TCX ? "tcx" : "clsact",
					   (double)e->gap_ns / 1e6);
		} else if (r != -ENODEV) {
			log_err(r, "cannot attach; workload='%s/%s' if='%s'", w->ns, w->name, e->at.iface);
			agent_note(a, "attach-failed", w, "%s: %s", e->at.iface, strerror(-r));
		}
	}
	agent_job_done(a);
}

static void on_detached(void *arg, const struct hook *h, int r, const struct hook_state *st)
{
	struct agent *a = arg;
	struct agent_wl *w = NULL;
	struct agent_ep *e = ep_of(a, h, &w);

	(void)st;
	if (r < 0 && r != -ENODEV)
		log_warn(r, "cannot detach; key='%s'", h->key);
	if (e && e->stale) {
		e->busy--;
		e->up &= (uint8_t)~(1u << h->dir);
		if (!e->busy) {
			ep_drop(a, w, e);
			agent_wl_drop_if_empty(a, w);
		}
	}
	agent_job_done(a);
}

void agent_ep_attach(struct agent *a, struct agent_wl *w, struct agent_ep *e)
{
	auto_close int fd = agent_ep_netns(w, e);

	if (e->stale || e->busy || a->closing)
		return;
	if (fd < 0) {
		e->err = -ENOENT;
		return;
	}
	for (int d = HOOK_INGRESS; d <= HOOK_EGRESS; d++) {
		struct hook h;
		int r;

		agent_ep_hook(w, e, d, &h);
		r = hooks_attach_async(a->hooks, a->loop, &h, fd, on_attached, a);
		if (r < 0) {
			log_err(r, "cannot queue an attachment; workload='%s/%s'", w->ns, w->name);
			continue;
		}
		e->busy++;
		a->jobs++;
	}
}

void agent_ep_detach(struct agent *a, struct agent_wl *w, struct agent_ep *e)
{
	auto_close int fd = agent_ep_netns(w, e);

	e->stale = true;
	if (e->busy || a->closing)
		return; /* the repair timer comes back to it */
	for (int d = HOOK_INGRESS; d <= HOOK_EGRESS; d++) {
		struct hook h;

		agent_ep_hook(w, e, d, &h);
		if (hooks_detach_async(a->hooks, a->loop, &h, fd, on_detached, a) < 0)
			continue;
		e->busy++;
		a->jobs++;
	}
	if (!e->busy)
		ep_drop(a, w, e);
}
