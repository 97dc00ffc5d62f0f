/* SPDX-License-Identifier: Apache-2.0 */
/*
 * attach.c - workloads come and go; what somebody removed is put back. Scans (scan.c) and
 * attachments (endpoint.c) run on the worker pool.
 */
#include <errno.h>
#include <stdio.h>
#include <string.h>

#define LOG_UNIT "attach"
#include "agent/priv.h"
#include "base/cleanup.h"
#include "base/log.h"
#include "base/vec.h"

/* ---- workloads ------------------------------------------------------------------------------ */

struct agent_wl *agent_wl_find(struct agent *a, const char *ns, const char *name)
{
	for (size_t i = 0; i < a->nwls; i++)
		if (!a->wls[i]->gone && !strcmp(a->wls[i]->ns, ns) && !strcmp(a->wls[i]->name, name))
			return a->wls[i];
	return NULL;
}

void agent_wl_free(struct agent_wl *w)
{
	if (!w)
		return;
	for (size_t i = 0; i < w->neps; i++)
		free(w->eps[i]);
	free(w->eps);
	free(w->ns);
	free(w->name);
	free(w->uid);
	free(w->netns);
	free(w->addrs);
	agent_seed_free(w->seed);
	free(w);
}

/* ---- what the controller asks ----------------------------------------------------------------------- */

static int set_str(char **to, const char *s)
{
	char *c = s ? strdup(s) : NULL;

	if (s && !c)
		return -ENOMEM;
	free(*to);
	*to = c;
	return 0;
}

int agent_workload_attach(void *node, const struct workload *wl, const char *netns, struct fail_list *f)
{
	struct agent *a = node;
	struct agent_wl *w = agent_wl_find(a, wl->ns, wl->name);
	auto_close int fd = -1;
	struct policy_wl pw;
	int r;

	r = netns_open(netns, &fd);
	if (r < 0)
		return fail_add(f, r, "workload.netns", netns, "a network namespace: NAME, /PATH or pid:N", NULL,
				"cannot open the network namespace: %s", strerror(-r));
	if (!w) {
		w = calloc(1, sizeof(*w));
		if (!w || vec_grow_((void **)&a->wls, &a->wls_cap, a->nwls + 1, sizeof(*a->wls)) ||
		    set_str(&w->ns, wl->ns) || set_str(&w->name, wl->name)) {
			agent_wl_free(w);
			return fail_add(f, -ENOMEM, "agent.memory", NULL, NULL, NULL, "no memory");
		}
		w->a = a;
		a->wls[a->nwls++] = w;
		agent_share(a);
	}
	if (set_str(&w->uid, wl->uid) || set_str(&w->netns, netns))
		return fail_add(f, -ENOMEM, "agent.memory", NULL, NULL, NULL, "no memory");
	if (!w->wl && !policy_set_wl(a->policy, w->ns, w->name, &pw) && pw.group) {
		w->wl = pw.wl;
		w->group = pw.group;
		w->eid = pw.eid;
		(void)htab_set_u64(a->by_num, w->wl, w);
	}
	agent_scan(a, w);
	return 0;
}

int agent_workload_detach(void *node, const char *ns, const char *name)
{
	struct agent *a = node;
	struct agent_wl *w = agent_wl_find(a, ns, name);

	if (!w)
		return -ENOENT;
	w->gone = true;
	for (size_t k = w->neps; k-- > 0;)
		agent_ep_detach(a, w, w->eps[k]);
	agent_wl_drop_if_empty(a, w);
	return 0;
}

/* Something about interfaces changed in a namespace we hear of: look at all of them again. */
void agent_links_changed(struct agent *a)
{
	for (size_t i = 0; i < a->nwls; i++)
		if (!a->wls[i]->gone)
			agent_scan(a, a->wls[i]);
}

/* Is every attachment where it should be? What is gone is put back and reported. */
void agent_repair(struct agent *a)
{
	bool lost = false;

	for (size_t i = a->nwls; i-- > 0;) {
		struct agent_wl *w = a->wls[i];

		if (w->again && !w->scanning && !w->gone)
			agent_scan(a, w);
		for (size_t k = w->neps; k-- > 0;) {
			struct agent_ep *e = w->eps[k];

			if (e->busy || !e->ep)
				continue;
			if (e->stale || w->gone) {
				agent_ep_detach(a, w, e);
				continue;
			}
			if (e->up != EP_UP_BOTH)
				continue; /* a scan comes when the device does */
			for (int d = HOOK_INGRESS; d <= HOOK_EGRESS; d++) {
				auto_close int fd = e->kind == HOOK_KIND_CLSACT ? agent_ep_netns(w, e) : -1;
				struct hook_state st;
				struct hook h;
				int r;

				agent_ep_hook(w, e, d, &h);
				r = hooks_check(a->hooks, &h, fd, &st);
				if (r == HOOK_OK || r == HOOK_OVERTAKEN || r < 0)
					continue;
				e->up &= (uint8_t)~(1u << d);
				lost = true;
			}
			if (e->up == EP_UP_BOTH)
				continue;
			a->repaired++;
			log_warn(0, "attachment was removed, putting it back; workload='%s/%s' if='%s'",
				 w->ns, w->name, e->at.iface);
			agent_note(a, "repaired", w, "%s: the attachment was removed by somebody else and put back",
				   e->at.iface);
			agent_ep_attach(a, w, e);
			agent_scan(a, w);
		}
	}
	if (lost)
		(void)hooks_collect(a->hooks, NULL, NULL);
}

/* ---- after a restart ----------------------------------------------------------------------------------- */

/* Attachments that no declared workload took over by now belong to nobody. */
static int drop_orphan(void *arg, const struct hook *h, enum hook_kind k)
{
	struct agent *a = arg;
	auto_close int fd = -1;

	(void)k;
	if (h->ep && h->ep < a->room.eps && a->ep_by_num[h->ep])
		return 0;
	if (h->netns == a->node_key.ino)
		(void)netns_open_self(&fd); /* -1: a clsact filter goes with its device */
	log_info("removing an attachment of a workload that is no more; key='%s'", h->key);
	(void)hooks_detach(a->hooks, h, fd);
	return 0;
}

/* Called once the former process's attachments have their endpoints in our tables. */
void agent_adopt(struct agent *a)
{
	for (size_t i = 0; i < a->nstanding; i++)
		(void)drop_orphan(a, &a->standing[i], HOOK_KIND_NONE);
	free(a->standing);
	a->standing = NULL;
	a->nstanding = 0;
	(void)hooks_collect(a->hooks, NULL, NULL);
}

static int note_standing(void *arg, const struct hook *h, enum hook_kind k)
{
	struct agent *a = arg;
	struct hook *v;

	/* A shield's reasons died with its process: the verdict behind it holds, and it is put up
	 * again where the flood goes on. Left standing it would outlive the quarantine. */
	if (k == HOOK_KIND_XDP || h->dir == HOOK_XDP) {
		auto_close int fd = -1;

		(void)netns_open_self(&fd);
		if (hooks_detach(a->hooks, h, fd) < 0)
			log_warn(0, "cannot take down a former shield; ifindex=%u", h->ifindex);
		return 0;
	}
	if (!h->ep)
		return 0;
	v = realloc(a->standing, (a->nstanding + 1) * sizeof(*v));
	if (!v)
		return -ENOMEM;
	a->standing = v;
	a->standing[a->nstanding++] = *h;
	return 0;
}

int agent_standing(struct agent *a)
{
	return hooks_list(a->hooks, note_standing, a);
}

bool agent_scanned(const struct agent *a)
{
	for (size_t i = 0; i < a->nwls; i++)
		if (!a->wls[i]->scanned)
			return false;
	return true;
}

/* ---- guard map --------------------------------------------------------------------------------------------- */

int agent_guards(void *node, int (*fn)(void *arg, const struct node_guard *g), void *arg)
{
	struct agent *a = node;

	for (size_t i = 0; i < a->nwls; i++) {
		const struct agent_wl *w = a->wls[i];

		for (size_t k = 0; k < w->neps; k++) {
			const struct agent_ep *e = w->eps[k];
			struct node_guard g = { .ifindex = e->at.ifindex, .start_gap_ns = e->gap_ns };
			bool pod = e->at.side == CNI_SIDE_POD;
			int r;

			if (e->stale || w->gone)
				continue;
			snprintf(g.workload, sizeof(g.workload), "%s/pod/%s", w->ns, w->name);
			snprintf(g.iface, sizeof(g.iface), "%s", e->at.iface);
			g.hook = e->up != EP_UP_BOTH ? "-" :
				 e->kind == HOOK_KIND_TCX ? (pod ? "tcx pod" : "tcx host") :
							    (pod ? "clsact pod" : "clsact host");
			if (e->up == EP_UP_BOTH) {
				g.state = cni_guard_str(e->at.guard);
				snprintf(g.reason, sizeof(g.reason), "%s", e->at.text ? e->at.text : "attached and checked");
			} else {
				g.state = "blind";
				snprintf(g.reason, sizeof(g.reason), "%s",
					 e->err ? strerror(-e->err) : e->at.text ? e->at.text : "being attached");
			}
			r = fn(arg, &g);
			if (r)
				return r;
		}
	}
	return 0;
}
