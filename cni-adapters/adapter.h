/* SPDX-License-Identifier: Apache-2.0 */
/*
 * adapter.h - from a workload's namespace to the interfaces where it can be guarded.
 *
 * An adapter answers that one question and changes nothing. Everything it looks at is passed
 * in, so a test is a link table literal and a directory of fixtures.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "net/link_table.h"

#define CNI_ENDPOINTS_MAX 64u	/* guarded interfaces of one workload; further ones are counted */

enum cni_side { CNI_SIDE_NONE, CNI_SIDE_HOST, CNI_SIDE_POD };

enum cni_guard {
	CNI_GUARDED,	/* every packet in and out crosses the hook, whatever the workload does */
	CNI_BYPASSABLE,	/* holds for what comes in; a raw socket inside can send past it */
	CNI_BLIND,	/* no hook can judge it */
};

enum cni_hook { CNI_HOOK_NONE, CNI_HOOK_TC }; /* TC: tcx where the kernel has it, else clsact */

/* One interface of a workload by which packets enter and leave its namespace. */
struct cni_endpoint {
	uint32_t pod_ifindex;	/* inside the workload; 0 when it has none of its own */
	char iface[LINK_NAME_MAX];	/* its name there */
	char kind[LINK_KIND_MAX];
	uint8_t mac[6];		/* of the workload's end */
	enum cni_side side;
	/* Where to attach. On the host side the ingress hook sees what the workload sends, on the
	 * pod side the egress hook does: cni_from_pod_is_ingress. */
	struct netns_key netns;
	uint32_t ifindex;
	char attach_iface[LINK_NAME_MAX];
	enum cni_hook hook;
	enum cni_guard guard;
	const char *reason;	/* stable name, "guard.macvlan"; NULL when guarded */
	const char *text;	/* the same in a few words; NULL when guarded */
};

struct cni_endpoints {
	struct cni_endpoint v[CNI_ENDPOINTS_MAX];	/* by pod_ifindex */
	size_t n;
	size_t dropped;		/* beyond CNI_ENDPOINTS_MAX */
};

/* The workload's table must be among the tables; that of the node should be. */
struct cni_query {
	struct netns_key workload, node;
	const struct link_table *tables;
	size_t ntables;
};

struct cni_adapter {
	const char *name;
	/* How sure this adapter is that its CNI runs here, 0 (not) to 100, from the directory of
	 * network configurations (-1: there is none). */
	int (*probe)(int confdir_fd);
	/* 0; -ENOENT the workload's table is not given; -EAGAIN no interface there yet, or its
	 * other end is missing from a stale table: dump again. */
	int (*resolve)(const struct cni_query *q, struct cni_endpoints *ret);
};

extern const struct cni_adapter cni_generic_veth;

/* The surest of the given adapters; of equals the first. NULL when none is sure at all. */
const struct cni_adapter *cni_adapter_surest(const struct cni_adapter *const *a, size_t n,
					     int confdir_fd);
/* The surest of all adapters there are; never NULL, the generic one fits everywhere. */
const struct cni_adapter *cni_adapter_pick(int confdir_fd);

/* Which hook at the endpoint sees the packets that the workload sends. */
bool cni_from_pod_is_ingress(const struct cni_endpoint *e);
const char *cni_side_str(enum cni_side s);	/* "host", "pod", "-" */
const char *cni_guard_str(enum cni_guard g);	/* "guarded", "bypassable", "blind" */
