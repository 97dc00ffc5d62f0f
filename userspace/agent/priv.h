/* SPDX-License-Identifier: Apache-2.0 */
/* priv.h - inside of the agent; only agent/ includes it. */
#pragma once

#include "agent/agent.h"
#include "cni-adapters/adapter.h"
#include "base/htab.h"
#include "event/reader.h"
#include "loader/hooks.h"
#include "loader/object.h"
#include "maps/access_maps.h"
#include "maps/addr_maps.h"
#include "maps/flow_maps.h"
#include "maps/maps.h"
#include "maps/policy_maps.h"
#include "net/link_watch.h"
#include "policy/compile.h"

struct agent_cni;
struct cni_install;
struct agent_dns;
struct names;
struct seed;

/* One guarded (or blind) interface of a workload. */
struct agent_ep {
	uint32_t ep;		/* number in cw_ep; 0 for blind ones */
	struct cni_endpoint at;
	enum hook_kind kind[CNI_WAYS];
	uint8_t up;		/* hooks in place: 1 << enum cni_way */
	uint8_t busy;		/* jobs on the way */
	bool stale;		/* no longer reported: to be detached */
	int err;		/* last attach error */
	int64_t gap_ns;		/* from seeing the interface to both hooks; -1 unknown */
	uint64_t seen_ns;	/* monotonic, when the interface was first seen */
	struct addr local[8];	/* link-local addresses, published by the agent itself */
	size_t nlocal;
	bool shield;		/* XDP shield on */
	struct { uint32_t sent, seen; } proof[CNI_WAYS]; /* of the last round */
	int64_t proof_ns;	/* Unix time of it; 0: none yet */
	uint64_t probe_at;	/* monotonic; 0: at once */
	bool probing;
	/* Hooks of a place that was given up: taken down when those of the new one stand. */
	struct hook was[CNI_WAYS];
	size_t nwas;
};

struct agent_wl {
	struct agent *a;
	char *ns, *name, *uid, *netns;
	struct netns_key key;
	uint32_t wl, group, eid;	/* from the policy set; 0: not known there (yet) */
	struct agent_ep **eps;
	size_t neps;
	struct addr *addrs;		/* as found inside, link-local ones left out */
	size_t naddrs;
	bool scanning, scanned, again, gone, seeded;
	struct seed *seed;		/* what stood here at the first look, until the first verdict */
	uint64_t drops, drops_ns;	/* for the shield: packets dropped, and when counted */
	unsigned scans;			/* looks into it that ended */
	int32_t nsid;			/* the number the node has given to its namespace; -1 not asked yet */
	bool leaving;			/* the runtime let it go: it ends with its interfaces */
	bool touched;			/* a change of its interfaces waits to be looked at */
	bool report;			/* its addresses are to be told once more */
	struct addr own[8];		/* addresses that the agent wrote itself, as own_as */
	size_t nown;
	struct cw_addr own_as;
};

struct agent {
	uv_loop_t *loop;
	struct agent_config cfg;
	char node[64];
	char *pin_root, *state_dir, *cni_conf_dir;
	struct features feat;
	struct loader_set *set;
	struct maps *maps;
	struct maps_room room;
	struct hooks *hooks;
	struct event_reader *events;
	struct link_watch *watch;
	uint32_t hz;
	uint64_t instance;

	struct policy_set *policy;
	struct policy_plan *plan;
	uint64_t plan_generation, generation;
	bool gc_busy;

	/* The set of maps a former process left in force, until its counters are committed. */
	struct former {
		char *name;
		struct maps *maps;
		struct names *names;
		bool in_force;		/* its programs still judge */
	} former;

	const struct node_sink *sink;
	void *sink_arg;

	struct agent_wl **wls;
	size_t nwls, wls_cap;
	struct agent_ep **ep_by_num;	/* room.eps entries */
	struct agent_wl **wl_of_ep;
	struct htab *by_num;		/* wl number to struct agent_wl */
	struct hook *standing;		/* attachments of a former process, until taken over */
	size_t nstanding;
	uint64_t first_commit_ns;	/* monotonic; 0: none yet */
	struct names *names;
	struct agent_dns *dns;
	struct agent_find *find; /* NULL: workloads are declared with their namespace, or the runtime tells */
	struct agent_cni *cni;	/* NULL: no container runtime asks */
	struct cni_install *cni_install;
	struct addr *node_addrs;
	size_t nnode_addrs;
	struct netns_key node_key;

	/* guard.c: ends on the node past which packets were seen to be handed, and the packet sockets
	 * of the last look. */
	uint32_t *passed;
	size_t npassed;
	uint64_t taps_hash, probe_magic;

	struct htab *seen;		/* access key to a hash of its last delivered counters */
	uint32_t resting;		/* epoch that waits to be committed and cleared; 0xffffffff none */
	bool resting_busy, draining;
	uint64_t drain_fail;

	uv_timer_t drain_timer, repair_timer, sweep_timer, listen_timer, links_timer;
	uv_timer_t links_rest;
	unsigned rest_off;		/* times it was put off */
	bool links;			/* links_timer and links_rest are handles of the loop */
	bool node_dirty;		/* the node's own addresses may have changed */
	bool links_all;			/* changes were lost: look at all */
	struct flow_cursor sweep;
	uint64_t swept, repaired;
	unsigned jobs;			/* worker jobs on the way */
	bool closing, started;
	unsigned handles;
	void (*close_done)(void *arg);
	void *close_arg;
};

/* names.c: what kernel numbers mean, also those of a former process. */
int names_open(const char *dir, uint64_t instance, bool create, struct names **ret);
/* Removes the files of other instances. */
void names_drop_others(const struct names *n);
void names_free(struct names *n);
struct named {
	uint32_t reserved;	/* 0: a workload, or */
	bool service;		/* the service of this namespace and name */
	const char *ns, *name, *uid;
};
/* Notes every number of the set that is not noted yet, on disk, before it is published. */
int names_note(struct names *n, const struct policy_set *set);
const struct named *names_eid(const struct names *n, uint32_t eid);
const struct named *names_wl(const struct names *n, uint32_t wl);
uint32_t names_next_eid(const struct names *n);
int names_each_wl(const struct names *n, int (*fn)(void *arg, uint32_t wl, const struct named *w), void *arg);

/* policy.c */
int agent_prepare(void *node, const struct policy_state *next, struct fail_list *f,
		  struct node_receipt *ret);
int agent_commit(void *node, enum policy_flows how, struct node_receipt *ret);
void agent_abort(void *node);
int agent_policy_open(struct agent *a, struct fail_list *f);

/* endpoint.c */
uint8_t agent_ep_wanted(const struct agent_ep *e); /* the ways that have a hook, as in up */
static inline bool agent_ep_up(const struct agent_ep *e)
{
	return e->up && e->up == agent_ep_wanted(e);
}
void agent_ep_hook(const struct agent_wl *w, const struct agent_ep *e, enum cni_way way, struct hook *ret);
int agent_ep_netns(const struct agent_wl *w, const struct hook *h); /* opened for one job, or -1 */
/* "tcx host", "-"; of both, where they differ: "xdp host / tcx host". */
void agent_ep_where_one(const struct agent_ep *e, enum cni_way way, char *out, size_t n);
void agent_ep_where(const struct agent_ep *e, char *out, size_t n);
/* The interface is judged elsewhere from now on: the same number, other hooks. */
void agent_ep_move(struct agent *a, struct agent_wl *w, struct agent_ep *e, const struct cni_endpoint *to);
uint32_t agent_ep_alloc(struct agent *a, struct agent_wl *w, struct agent_ep *e); /* 0: none is free */
void agent_ep_write(struct agent *a, const struct agent_wl *w, const struct agent_ep *e);
void agent_ep_local(struct agent *a, const struct agent_wl *w, const struct agent_ep *e); /* its link-local addresses */
void agent_wl_seed(struct agent *a, struct agent_wl *w); /* once: what stood before the attachment */
void agent_ep_attach(struct agent *a, struct agent_wl *w, struct agent_ep *e);
void agent_ep_detach(struct agent *a, struct agent_wl *w, struct agent_ep *e);
void agent_wl_drop_if_empty(struct agent *a, struct agent_wl *w);

/* scan.c */
void agent_scan(struct agent *a, struct agent_wl *w); /* again, if one is going on */

/* attach.c */
int agent_workload_attach(void *node, const struct workload *w, const char *netns, struct fail_list *f);
/* fresh: nothing runs in it yet, so no flow and no listener can stand there. */
int agent_wl_attach(struct agent *a, const struct workload *w, const char *netns, bool fresh, struct fail_list *f);
int agent_workload_detach(void *node, const char *ns, const char *name);
struct agent_wl *agent_wl_find(struct agent *a, const char *ns, const char *name);
/* Nothing speaks against it being the one of this uid. */
bool agent_wl_is(const struct agent_wl *w, const char *uid);
void agent_wl_publish(struct agent *a, struct agent_wl *w); /* number, group or eid changed */
/* Marks the workloads that a change concerns; true if there are any. */
bool agent_links_touch(struct agent *a, const struct link_change *c);
/* Looks at the marked, or at all. True: some are left marked, for a little later. */
bool agent_links_changed(struct agent *a, bool all);
void agent_repair(struct agent *a);
int agent_standing(struct agent *a);	/* at start: what a former process attached */
bool agent_scanned(const struct agent *a);
void agent_adopt(struct agent *a);
void agent_wl_free(struct agent_wl *w);

/* find.c: workloads whose namespace nobody tells */
int agent_find_open(struct agent *a);
int agent_find_note(struct agent *a, const struct policy_state *s); /* a state that is to come in force */
void agent_find_kick(struct agent *a);	/* it is */
void agent_find_tick(struct agent *a);
/* What stood before this process may be looked for no longer: a former set can be let go. */
bool agent_find_settled(const struct agent *a);
void agent_find_free(struct agent *a);

/* drain.c */
/* Delivers every changed counter of a table to the sink. 0 when the sink has committed them. */
int agent_deliver(struct agent *a, struct maps *m, const struct names *names, uint64_t instance,
		  uint32_t epoch, struct htab *seen);
int agent_drain(void *node);
void agent_drain_tick(struct agent *a);

/* flows.c */
int agent_flows(void *node, int (*fn)(void *arg, const struct node_flow *fl), void *arg);
int agent_flows_cut(void *node, int (*fn)(void *arg, const struct node_flow *fl), void *arg);
void agent_sweep(struct agent *a);
void agent_ref(struct agent *a, uint32_t zone, const struct addr *addr, char *out, size_t n);
void agent_event(void *arg, const struct cw_event *ev);

/* seed.c: flows and listeners that stood before the attachment. */
/* Blocks: on a worker. `addrs` are the workload's own; flows: its flows too. NULL: no memory. */
struct seed *agent_seed_read(int netns_fd, const struct addr *addrs, size_t naddrs, bool flows);
/* Before the workload's endpoints are judged, so that its first packet finds its flow. */
void agent_seed_apply(struct agent *a, uint32_t wl, const struct seed *s, bool flows);
void agent_seed_free(struct seed *s);
void agent_listeners(struct agent *a);

/* counters.c */
struct cJSON *agent_counters(void *node);

/* takeover.c: from the maps of a former process to ours. */
int agent_former_open(struct agent *a);
void agent_takeover_try(struct agent *a); /* when policy and endpoints are all there */
void agent_former_done(struct agent *a);
/* A former set still judges, so ours has counted nothing yet. */
static inline bool agent_former_pending(const struct agent *a)
{
	return a->former.in_force;
}

/* dns.c: names from DNS answers */
int agent_dns_open(struct agent *a);
void agent_dns_free(struct agent *a);
void agent_dns_tick(struct agent *a);
void agent_dns_share(struct agent *a);
int agent_dns_prepare(struct agent *a, const struct policy_state *next); /* 0 or -ENOMEM */
void agent_dns_commit(struct agent *a);
/* A workload's number was given back, or means another one now. */
void agent_dns_wl_gone(struct agent *a, uint32_t wl);
void agent_dns_wl_taken(struct agent *a, uint32_t wl);
/* The name by which the workload knows the address, in buf; NULL: none. */
const char *agent_dns_name(const struct maps *m, uint32_t wl, const struct addr *addr, struct cw_dns_name *buf);
/* Tells, once an hour, that a workload gets answers which nobody can read. */
void agent_dns_unseen(struct agent *a, const struct node_access *x, uint32_t wl);
/* What the former set knows and ours does not. Blocks for milliseconds. */
void agent_dns_carry(struct agent *a);
void agent_dns_counters(struct agent *a, struct cJSON *to);

/* guard.c: the guard map, and the proof of it */
int agent_guards(void *node, int (*fn)(void *arg, const struct node_guard *g), void *arg);
int agent_guard_standing(struct agent *a); /* what a former process had found out; 0 or -ENOMEM */
void agent_guard_tick(struct agent *a);

/* shield.c */
void agent_shield(struct agent *a);

/* agent.c */
void agent_share(struct agent *a); /* shares of the tables, by the number of workloads */
void agent_note(struct agent *a, const char *reason, const struct agent_wl *w, const char *fmt, ...)
	__attribute__((format(printf, 4, 5)));
void agent_job_done(struct agent *a);
uint64_t agent_mono_ns(void);
