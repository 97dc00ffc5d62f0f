/* SPDX-License-Identifier: Apache-2.0 */
/*
 * adapter.h - from a workload's namespace to the interfaces where it can be guarded.
 *
 * An adapter answers that one question and changes nothing. Everything it looks at is passed
 * in, so a test is a link table literal and a directory of fixtures.
 *
 * What a network does to packets shows in its links, so one resolve serves all of them; what does
 * not show in the links (a switch that takes frames by a packet socket, a data path that hands
 * packets past the node's end of a pair) is asked for beside and passed in as facts.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "net/link_table.h"

#define CNI_ENDPOINTS_MAX 64u	/* guarded interfaces of one workload; further ones are counted */

enum cni_side { CNI_SIDE_NONE, CNI_SIDE_HOST, CNI_SIDE_POD };

enum cni_guard {
	CNI_GUARDED,	/* every packet this way crosses the hook, whatever the workload does */
	CNI_BYPASSABLE,	/* a raw socket inside can send past the hook */
	CNI_BLIND,	/* no hook can judge it */
};

enum cni_hook {
	CNI_HOOK_NONE,
	CNI_HOOK_TC,	/* tcx where the kernel has it, else clsact */
	CNI_HOOK_XDP,	/* before packet sockets; sees only what comes in by its device */
};

enum cni_way { CNI_FROM_POD, CNI_TO_POD, CNI_WAYS };

/* Where the packets of one way are judged. */
struct cni_place {
	enum cni_side side;
	struct netns_key netns;
	uint32_t ifindex;
	char iface[LINK_NAME_MAX];
	enum cni_hook hook;
	enum cni_guard guard;
	const char *reason;	/* stable name, "guard.macvlan"; NULL: nothing to tell */
	const char *text;	/* the same in a few words */
};

/* One interface of a workload by which packets enter and leave its namespace. */
struct cni_endpoint {
	uint32_t pod_ifindex;	/* inside the workload; 0 when it has none of its own */
	char iface[LINK_NAME_MAX];	/* its name there */
	char kind[LINK_KIND_MAX];
	uint8_t mac[6];		/* of the workload's end */
	struct netns_key pod;	/* the workload's namespace */
	uint32_t host_ifindex;	/* the other end of a pair, when it is on the node; else 0 */
	const char *wiring;	/* "bridge", "routed", "switch", "macvlan", ...: a word for people */
	struct cni_place way[CNI_WAYS];
};

struct cni_endpoints {
	struct cni_endpoint v[CNI_ENDPOINTS_MAX];	/* by pod_ifindex */
	size_t n;
	size_t dropped;		/* beyond CNI_ENDPOINTS_MAX */
};

/*
 * A device of the node whose frames a process takes by a packet socket of its own, before TC
 * ingress could stop them. `forwards`: it is a switch, so that what it takes goes somewhere.
 */
struct cni_tap {
	uint32_t ifindex;
	bool forwards;
};

/* The workload's table must be among the tables; that of the node should be. */
struct cni_query {
	struct netns_key workload, node;
	const struct link_table *tables;
	size_t ntables;
	const struct cni_tap *taps;
	size_t ntaps;
	/* Ends on the node past which another data path was seen to hand packets into the workload. */
	const uint32_t *passed;
	size_t npassed;
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
/* Hands packets past the node's end of a pair whether or not that was seen yet. */
extern const struct cni_adapter cni_cilium;

/* The surest of the given adapters; of equals the first. NULL when none is sure at all. */
const struct cni_adapter *cni_adapter_surest(const struct cni_adapter *const *a, size_t n,
					     int confdir_fd);
/* The surest of all adapters there are; never NULL, the generic one fits everywhere. */
const struct cni_adapter *cni_adapter_pick(int confdir_fd);

/*
 * Does a plugin of this type stand in the configuration that the runtime uses, the first file by
 * name? Reads at most CNI_CONF_MAX bytes; false for whatever it cannot read.
 */
#define CNI_CONF_MAX 65536u
bool cni_conf_has(int confdir_fd, const char *type);

/* Is the hook of this way the ingress hook of its device? */
bool cni_at_ingress(const struct cni_place *p, enum cni_way w);
/* The same place, however it is called. */
bool cni_place_same(const struct cni_place *a, const struct cni_place *b);
/* The worse of both ways. */
enum cni_guard cni_endpoint_guard(const struct cni_endpoint *e);
/* Is there a hook for at least one way? */
bool cni_endpoint_hooked(const struct cni_endpoint *e);

/*
 * The packet sockets of the namespace that are bound to one device and take every protocol, with
 * what their owners do: /proc/net/packet as text, and whether a socket's inode belongs to a switch.
 * The caller frees *ret. 0 or -ENOMEM.
 */
int cni_taps_parse(const char *packet, bool (*forwards)(void *arg, uint64_t inode), void *arg,
		   struct cni_tap **ret, size_t *ret_n);
/* Of the calling thread's namespace. Blocks: walks /proc when there is such a socket. */
int cni_taps_read(struct cni_tap **ret, size_t *ret_n);

const char *cni_side_str(enum cni_side s);	/* "host", "pod", "-" */
const char *cni_guard_str(enum cni_guard g);	/* "guarded", "bypassable", "blind" */
