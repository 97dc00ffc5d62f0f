/* SPDX-License-Identifier: Apache-2.0 */
/* endpoint.c - a guarded interface: its number, what the data path knows of it, its two hooks. */
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#define LOG_UNIT "attach"
#include "agent/cni.h"
#include "base/cleanup.h"
#include "base/log.h"

void agent_ep_hook(const struct agent_wl *w, const struct agent_ep *e, enum cni_way way, struct hook *ret)
{
	const struct cni_place *p = &e->at.way[way];
	/* Names may be longer than a pin's key: the hash keeps keys apart. */
	uint64_t h = hash_bytes(0, w->name, strlen(w->name)) ^ hash_bytes(1, w->ns, strlen(w->ns));

	memset(ret, 0, sizeof(*ret));
	if (snprintf(ret->key, sizeof(ret->key), "%s/%s/%s", w->ns, w->name, e->at.iface) >=
	    (int)sizeof(ret->key))
		snprintf(ret->key, sizeof(ret->key), "%016" PRIx64 "/%.32s", h, e->at.iface);
	ret->netns = p->netns.ino;
	ret->ifindex = p->ifindex;
	ret->ep = e->ep;
	ret->dir = p->hook == CNI_HOOK_XDP ? HOOK_XDP : cni_at_ingress(p, way) ? HOOK_INGRESS : HOOK_EGRESS;
	ret->from_pod = way == CNI_FROM_POD;
	ret->closed = w->a->cfg.closed;
}

uint8_t agent_ep_wanted(const struct agent_ep *e)
{
	uint8_t m = 0;

	for (int i = 0; i < CNI_WAYS; i++)
		m |= (uint8_t)((e->at.way[i].hook != CNI_HOOK_NONE) << i);
	return m;
}

/* The namespace the hook's device is in, opened for one job. */
int agent_ep_netns(const struct agent_wl *w, const struct hook *h)
{
	int fd = -1;

	if (h->netns != w->a->node_key.ino)
		return netns_open(w->netns, &fd) < 0 ? -1 : fd;
	return netns_open_self(&fd) < 0 ? -1 : fd;
}

/* ---- endpoint table ---------------------------------------------------------------------------- */

/* Is there an interface whose hook the workload can send past? */
static bool sends_inside(const struct agent_wl *w)
{
	for (size_t i = 0; i < w->neps; i++)
		if (!w->eps[i]->stale && w->eps[i]->at.way[CNI_FROM_POD].side == CNI_SIDE_POD)
			return true;
	return false;
}

void agent_ep_write(struct agent *a, const struct agent_wl *w, const struct agent_ep *e)
{
	static const uint8_t no_mac[6];
	const struct cni_place *from = &e->at.way[CNI_FROM_POD], *to = &e->at.way[CNI_TO_POD];
	struct cw_ep v = {
		.wl = w->wl, .group = w->group, .eid = w->eid, .ifindex = from->ifindex,
		.flags = CW_EP_ATTACHED,
	};
	int r;

	if (from->side == CNI_SIDE_POD)
		v.flags |= CW_EP_POD_SIDE;
	else if (to->side == CNI_SIDE_POD)
		v.flags |= CW_EP_MIXED;
	if (w->wl)
		(void)wl_map_inside(a->maps, w->wl, sends_inside(w)); /* the number is in range */
	memcpy(v.mac, e->at.mac, 6);
	if (!memcmp(v.mac, no_mac, 6))
		v.flags |= CW_EP_NO_MAC;
	/* Without a number it is not resolved yet: open means no verdict, closed means names only. */
	if (!v.wl && !a->cfg.closed)
		r = ep_map_clear(a->maps, e->ep);
	else {
		if (!v.wl) {
			v.wl = UINT32_MAX; /* owns nothing, so whose address it sends from cannot be checked */
			v.flags |= CW_EP_CLOSED | CW_EP_ROUTER;
		}
		r = ep_map_set(a->maps, e->ep, &v);
	}
	if (!r && from->hook == CNI_HOOK_XDP) {
		struct cw_shield s = { .ep = e->ep };

		r = shield_map_set(a->maps, from->ifindex, &s);
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
	if (w->nown)
		agent_own_renew(a, w);
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

	for (int way = 0; way < CNI_WAYS; way++) {
		if (e->at.way[way].hook == CNI_HOOK_NONE)
			continue;
		agent_ep_hook(w, e, way, &mine);
		for (size_t i = 0; i < a->nstanding; i++)
			if (!strcmp(mine.key, a->standing[i].key) && mine.ifindex == a->standing[i].ifindex &&
			    mine.netns == a->standing[i].netns)
				return a->standing[i].ep;
	}
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
	if (e->at.way[CNI_FROM_POD].hook == CNI_HOOK_XDP)
		(void)shield_map_del(a->maps, e->at.way[CNI_FROM_POD].ifindex);
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
	if (w->wl && htab_get_u64(a->by_num, w->wl) == w)
		(void)htab_del_u64(a->by_num, w->wl);
	agent_own_renew(a, w);
	for (size_t i = 0; i < a->nwls; i++)
		if (a->wls[i] == w)
			a->wls[i] = a->wls[--a->nwls];
	agent_wl_free(w);
	agent_share(a);
}

static const char *kind_str(enum hook_kind k)
{
	return k == HOOK_KIND_TCX ? "tcx" : k == HOOK_KIND_CLSACT ? "clsact" : k == HOOK_KIND_NONE ? "-" : "xdp";
}

void agent_ep_where_one(const struct agent_ep *e, enum cni_way way, char *out, size_t n)
{
	if (e->up & 1u << way)
		snprintf(out, n, "%s %s", kind_str(e->kind[way]), cni_side_str(e->at.way[way].side));
	else
		snprintf(out, n, "-");
}

void agent_ep_where(const struct agent_ep *e, char *out, size_t n)
{
	char t[CNI_WAYS][24];

	for (int i = 0; i < CNI_WAYS; i++)
		agent_ep_where_one(e, i, t[i], sizeof(t[i]));
	if (strcmp(t[CNI_FROM_POD], t[CNI_TO_POD]))
		snprintf(out, n, "%s / %s", t[CNI_FROM_POD], t[CNI_TO_POD]);
	else
		snprintf(out, n, "%s", t[CNI_TO_POD]);
}

static void on_detached(void *arg, const struct hook *h, int r, const struct hook_state *st);

/* The new place judges: the hooks of the former one go. */
static void ep_leave(struct agent *a, struct agent_wl *w, struct agent_ep *e)
{
	while (e->nwas) {
		const struct hook *h = &e->was[--e->nwas];
		auto_close int fd = agent_ep_netns(w, h);

		if (hooks_detach_async(a->hooks, a->loop, h, fd, on_detached, a) < 0)
			continue; /* its device goes one day; it judges by the same rules until then */
		e->busy++;
		a->jobs++;
	}
}

static void on_attached(void *arg, const struct hook *h, int r, const struct hook_state *st)
{
	struct agent *a = arg;
	struct agent_wl *w = NULL;
	struct agent_ep *e = ep_of(a, h, &w);
	char where[64];

	if (e) {
		enum cni_way way = h->from_pod ? CNI_FROM_POD : CNI_TO_POD;
		struct hook now;

		e->busy--;
		if (r < 0)
			e->err = r;
		agent_ep_hook(w, e, way, &now);
		if (!r && now.dir == h->dir && now.ifindex == h->ifindex && now.netns == h->netns) {
			e->up |= (uint8_t)(1u << way);
			e->kind[way] = st->kind;
			if (agent_ep_up(e) && e->gap_ns < 0)
				e->gap_ns = st->adopted ? 0 : (int64_t)(agent_mono_ns() - e->seen_ns);
			if (agent_ep_up(e))
				ep_leave(a, w, e);
			if (agent_ep_up(e) && !st->adopted) {
				agent_ep_where(e, where, sizeof(where));
				agent_note(a, "attached", w, "%s %s, gap %.1f ms", e->at.iface, where,
					   (double)e->gap_ns / 1e6);
			}
		} else if (!r) {
			/* It moved while this was on the way: not where it is judged any more. */
			if (e->nwas < CNI_WAYS)
				e->was[e->nwas++] = *h;
			if (!e->busy)
				agent_ep_attach(a, w, e);
		} else if (r != -ENODEV) {
			log_err(r, "cannot attach; workload='%s/%s' if='%s'", w->ns, w->name, e->at.iface);
			agent_note(a, "attach-failed", w, "%s: %s", e->at.iface, strerror(-r));
		}
	}
	agent_cni_kick(a);
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
	if (e)
		e->busy--;
	if (e && e->stale) {
		e->up &= (uint8_t)~(1u << (h->from_pod ? CNI_FROM_POD : CNI_TO_POD));
		if (!e->busy) {
			ep_drop(a, w, e);
			agent_wl_drop_if_empty(a, w);
		}
	}
	agent_job_done(a);
}

void agent_ep_attach(struct agent *a, struct agent_wl *w, struct agent_ep *e)
{
	if (e->stale || e->busy || a->closing)
		return;
	e->err = 0;
	for (int way = 0; way < CNI_WAYS; way++) {
		auto_close int fd = -1;
		struct hook h;
		int r;

		if (e->at.way[way].hook == CNI_HOOK_NONE)
			continue;
		agent_ep_hook(w, e, way, &h);
		fd = agent_ep_netns(w, &h);
		if (fd < 0) {
			e->err = -ENOENT;
			continue;
		}
		r = hooks_attach_async(a->hooks, a->loop, &h, fd, on_attached, a);
		if (r < 0) {
			log_err(r, "cannot queue an attachment; workload='%s/%s'", w->ns, w->name);
			continue;
		}
		e->busy++;
		a->jobs++;
	}
}

void agent_ep_move(struct agent *a, struct agent_wl *w, struct agent_ep *e, const struct cni_endpoint *to)
{
	struct cni_place was = e->at.way[CNI_FROM_POD];

	for (int way = 0; way < CNI_WAYS; way++) {
		if (cni_place_same(&e->at.way[way], &to->way[way]))
			continue;
		if ((e->up & 1u << way) && e->nwas < CNI_WAYS)
			agent_ep_hook(w, e, way, &e->was[e->nwas++]);
		e->up &= (uint8_t)~(1u << way);
		e->kind[way] = HOOK_KIND_NONE;
	}
	e->at = *to;
	if (was.hook == CNI_HOOK_XDP && was.ifindex != e->at.way[CNI_FROM_POD].ifindex)
		(void)shield_map_del(a->maps, was.ifindex);
}

void agent_ep_detach(struct agent *a, struct agent_wl *w, struct agent_ep *e)
{
	e->stale = true;
	if (e->busy || a->closing)
		return; /* the repair timer comes back to it */
	ep_leave(a, w, e);
	for (int way = 0; way < CNI_WAYS; way++) {
		auto_close int fd = -1;
		struct hook h;

		if (e->at.way[way].hook == CNI_HOOK_NONE)
			continue;
		agent_ep_hook(w, e, way, &h);
		fd = agent_ep_netns(w, &h);
		if (hooks_detach_async(a->hooks, a->loop, &h, fd, on_detached, a) < 0)
			continue;
		e->busy++;
		a->jobs++;
	}
	if (!e->busy)
		ep_drop(a, w, e);
}
