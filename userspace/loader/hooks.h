/* SPDX-License-Identifier: Apache-2.0 */
/*
 * hooks.h - attachments. Each is a stub of a few instructions of its own that puts the endpoint
 * number and the direction into skb->cb[0] and jumps to whatever program is in force.
 *
 * The kernel and the pin root are the only memory: a hook's pin name carries all of struct
 * hook, so a restarted daemon lists what stands and goes on. tcx: the link is pinned under
 * links/. clsact: the filter lives in the device's qdisc, and the stub program is pinned under
 * stubs/ so that ours is told from anybody else's.
 *
 * Calls may be made from any thread; those that take a netns block (tcx: about 10 ms, an RCU
 * grace period under the network lock) and belong on a worker: use hooks_attach_async().
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "loader/features.h"

typedef struct uv_loop_s uv_loop_t;

enum hook_dir { HOOK_INGRESS, HOOK_EGRESS, HOOK_XDP }; /* of the device, not of the workload */
enum hook_kind { HOOK_KIND_NONE, HOOK_KIND_TCX, HOOK_KIND_CLSACT, HOOK_KIND_XDP_NATIVE, HOOK_KIND_XDP_GENERIC,
		 HOOK_KIND_XDP /* adopted: as it was attached */ };

#define HOOK_KEY_MAX 64	/* bytes of the owner's name, NUL not counted */

struct hook {
	char key[HOOK_KEY_MAX + 1]; /* owner and interface in the caller's words; any bytes */
	uint64_t netns;		    /* inode number of the namespace the device is in */
	uint32_t ifindex;	    /* in that namespace */
	uint32_t ep;		    /* endpoint number the stub carries, 1.. ; 0 for an XDP shield */
	enum hook_dir dir;
	bool from_pod;		    /* packets seen here were sent by the workload */
	bool closed;		    /* drop, instead of "no objection", when no program is in force */
};

struct hook_state {
	enum hook_kind kind;
	uint32_t prog_id, link_id;  /* link_id 0 for clsact */
	uint32_t ahead;		    /* foreign programs that see the packet before ours */
	bool adopted;		    /* stood already */
};

enum hook_health {
	HOOK_OK,
	HOOK_GONE,	/* no pin: never attached, or removed by hand */
	HOOK_DETACHED,	/* pinned, but on no device: device deleted, link detached, filter deleted */
	HOOK_ALIEN,	/* what is pinned or attached under the name is not our stub */
	HOOK_OVERTAKEN,	/* works, but a foreign program was put before it */
};

struct hooks;

/* root as in loader_config; entry_fd is duplicated. The table is safe to share between threads. */
int hooks_open(const char *root, int entry_fd, const struct features *f, struct hooks **ret);
/* Lets HOOK_XDP with an endpoint be attached: the entry array for XDP, duplicated. */
int hooks_set_xdp_entry(struct hooks *t, int entry_fd);
void hooks_free(struct hooks *h);

/*
 * Attaches, or adopts what stands under the same name and is whole. tcx first, ahead of other
 * programs of the hook; else clsact. netns_fd: the namespace in which h->ifindex is meant. HOOK_XDP:
 * a stub as well, generic, else native, for packets that a packet socket would take before TC.
 * -ENODEV no such device; -EINVAL; -ENOTSUP neither way exists; -EEXIST a foreign clsact filter
 * occupies our place; -EBUSY a foreign XDP program does.
 */
int hooks_attach(struct hooks *t, const struct hook *h, int netns_fd, struct hook_state *ret);
/* The same on the loop's worker pool; done runs on the loop thread, once, with a state only when
 * r is 0. netns_fd is duplicated. The table must outlive the job. */
typedef void hooks_done_fn(void *arg, const struct hook *h, int r, const struct hook_state *st);
int hooks_attach_async(struct hooks *t, uv_loop_t *loop, const struct hook *h, int netns_fd,
		       hooks_done_fn *done, void *arg);
/*
 * Is it there, on the right device, and ours? Some microseconds for tcx; clsact asks netlink
 * and needs netns_fd (-1 checks the pin only). HOOK_* or a negative errno.
 */
int hooks_check(struct hooks *t, const struct hook *h, int netns_fd, struct hook_state *ret);
/*
 * From now on asynchronous jobs run with short RCU waits (expedite.h); first, what a former process left
 * on is switched back. mark: a file that says so. 0; -EROFS: the switch cannot be used here, and -ENOMEM.
 * use false only switches back.
 */
int hooks_expedite(struct hooks *t, const char *mark, bool use);
/* Removes the attachment and its pin. netns_fd as above; with -1 a clsact filter stays behind
 * unless its device is gone. 0 also when nothing stood. */
int hooks_detach(struct hooks *t, const struct hook *h, int netns_fd);
int hooks_detach_async(struct hooks *t, uv_loop_t *loop, const struct hook *h, int netns_fd,
		       hooks_done_fn *done, void *arg);
/* Every pin of ours: the hook as its name tells it. fn's non-zero return ends and is returned. */
int hooks_list(struct hooks *t, int (*fn)(void *arg, const struct hook *h, enum hook_kind k), void *arg);
/*
 * Removes the pins of tcx and XDP links that lost their device. Call at start and after link
 * deletions. gone, if not NULL, hears each. Returns how many, or a negative errno.
 */
int hooks_collect(struct hooks *t, void (*gone)(void *arg, const struct hook *h), void *arg);

/*
 * XDP on demand, a program without stub: prog_fd of loader_set_prog_fd(). Native, else generic; an existing link of the
 * same name is updated in place. -EBUSY a foreign program is there.
 */
int hooks_attach_xdp(struct hooks *t, const struct hook *h, int prog_fd, int netns_fd,
		     struct hook_state *ret);

/* ---- parts, for tests ------------------------------------------------------------------- */

struct bpf_insn;
#define HOOK_STUB_INSNS 12
/* The stub's instructions into out[HOOK_STUB_INSNS]; returns their number. */
int hook_stub_insns(const struct hook *h, int entry_fd, struct bpf_insn *out);
#define HOOK_PIN_MAX 250
/* Injective: two different hooks never share a name; no dot, no slash. -EINVAL for a bad hook. */
int hook_pin_name(const struct hook *h, char out[HOOK_PIN_MAX + 1]);
int hook_pin_parse(const char *name, struct hook *ret); /* -EINVAL: not a name of ours */
