/* SPDX-License-Identifier: Apache-2.0 */
/*
 * cni.h - what the container runtime asks through the chained plugin: /v1/cni/add, del, check, gc,
 * status. An ADD is answered when the interface is attached, and the workload's number and
 * addresses are in the kernel's tables. Inside of the agent.
 *
 * Attachments are noted as files in a directory (cni-adapters/plugin/record.h); what came while
 * no agent ran is attached at its start.
 */
#pragma once

#include "agent/priv.h"
#include "base/json.h"

#define CNI_ATTACHMENTS_MAX 65536u
#define CNI_ADDRS_MAX 64u	/* of one attachment that are waited for */
#define CNI_ADD_MS 30000u	/* an ADD that waits longer is refused; the plugin's own limit is lower */

struct cni_attachment {
	char *id, *ifname, *network, *netns;
	char *ns, *name, *uid;
	struct addr *addrs;	/* by the result of the plugins before */
	size_t naddrs;
	struct netns_key key;	/* of netns, when it was attached */
	struct http_exchange *x; /* the ADD that waits; NULL: none */
	uint64_t asked_ns;	/* monotonic */
	unsigned scans;		/* of the workload when it was asked */
};

/* From a request or a note. 0, or a negative errno with its faults in f. */
int cni_attachment_read(const cJSON *o, struct fail_list *f, struct cni_attachment *ret);
void cni_attachment_free(struct cni_attachment *at);

int agent_cni_open(struct agent *a); /* 0, -ENOMEM; nothing to do without a directory */
/* What is noted there is attached. */
void agent_cni_start(struct agent *a);
/* Something that an ADD may wait for has happened: it is looked at from the loop. */
void agent_cni_kick(struct agent *a);
/* Every repair period: time limits. */
void agent_cni_tick(struct agent *a);
bool agent_cni_waiting(const struct agent *a); /* an ADD is not answered yet */
/* Nothing of a workload that the runtime let go is left: true once. */
bool agent_cni_left(const struct agent *a, const struct agent_wl *w);
/* The workload's number or identity changed, or it goes: addresses written by the agent itself. */
void agent_own_renew(struct agent *a, struct agent_wl *w);
/* Answers what waits; before the agent closes. */
void agent_cni_close(struct agent *a, uv_close_cb closed);
void agent_cni_free(struct agent *a);

/* cni_install.c */
void agent_cni_install_close(struct agent *a, uv_close_cb closed);
