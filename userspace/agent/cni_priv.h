/* SPDX-License-Identifier: Apache-2.0 */
/* cni_priv.h - between the table of attachments (cni.c) and the requests (cni_api.c). */
#pragma once

#include "agent/cni.h"
#include "http/http_server.h"

#define CNI_INTERFACE_MS 2000u	/* an interface that the runtime spoke of shows within this time */

struct agent_cni {
	struct cni_attachment **v;
	size_t n, cap;
	uv_timer_t kick;
	bool up;		/* kick is a handle of the loop */
	char *dir;
	uint64_t adds, failed, unresolved, total_ns, max_ns;
};

/* How an attachment stands, worst first. */
enum cni_state {
	CNI_WAITS,
	CNI_SUPERSEDED,		/* the workload's name means another sandbox now, or nothing */
	CNI_NO_INTERFACE,
	CNI_FAILED,
	CNI_NOT_GUARDED,	/* no hook can judge it; the guard map says why */
	CNI_UNRESOLVED,		/* attached; who it is, nobody has said */
	CNI_ADDRESSES,		/* attached and known; an address is not in the table yet */
	CNI_STANDS,
};
struct cni_view { struct agent_wl *w; struct agent_ep *e; };
enum cni_state cni_look(struct agent *a, const struct cni_attachment *at, struct cni_view *v);

struct cni_attachment *cni_find(const struct agent *a, const char *id, const char *ifname);
int cni_put(struct agent *a, struct cni_attachment *at); /* 0, -ENOSPC, -ENOMEM; takes it over on 0 */
void cni_drop(struct agent *a, struct cni_attachment *at);
int cni_attach(struct agent *a, struct cni_attachment *at, bool fresh, struct fail_list *f);
/* Removes the note of it. */
void cni_forget(struct agent *a, const char *id, const char *ifname);
