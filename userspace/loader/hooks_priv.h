/* SPDX-License-Identifier: Apache-2.0 */
/* hooks_priv.h - shared by the files that make up hooks.h. */
#pragma once

#include <limits.h>
#include <pthread.h>

#include "loader/expedite.h"
#include "loader/hooks.h"

#define HOOK_PROG_NAME "cw_stub"
/* Our place in a clsact hook: first, so that nobody's verdict comes before ours. */
#define HOOK_TC_HANDLE 0xce11u
#define HOOK_TC_PRIO 1

struct hooks {
	char root[PATH_MAX - 512]; /* room for a directory and a pin name behind it */
	int entry_fd;
	uint32_t entry_id;	   /* map id: tells our stubs from any other program of the name */
	int xdp_entry_fd;	   /* -1: none */
	uint32_t xdp_entry_id;
	struct features feat;
	pthread_mutex_t lock;	   /* serialises changes; checks and lists take none */
	struct expedite expedite;
};

/* <root>/<dir>/<pin name>. 0 or -EINVAL. */
int hooks_path(const struct hooks *t, const char *dir, const struct hook *h, char out[PATH_MAX]);
/* A stub for h, loaded. Descriptor or negative errno. */
int hooks_stub_load(const struct hooks *t, const struct hook *h);

struct prog_facts {
	uint32_t id;
	uint8_t tag[8];
	bool ours; /* named like a stub and bound to our entry */
};
int hooks_prog_facts(const struct hooks *t, int prog_fd, struct prog_facts *ret);
int hooks_prog_facts_id(const struct hooks *t, uint32_t prog_id, struct prog_facts *ret);

/* What a pinned link is on. */
struct link_facts {
	uint32_t type; /* BPF_LINK_TYPE_* */
	uint32_t id, prog_id, ifindex, attach_type; /* ifindex 0: on no device any more */
};
int hooks_link_facts(int link_fd, struct link_facts *ret);

/* Pins fd at path, over what is pinned there, without a moment in which nothing is. */
int hooks_pin_over(const struct hooks *t, int fd, const char *dir, const char *path);

/* Programs on the hook before prog_id; in the calling thread's namespace. */
int hooks_ahead(const struct hook *h, uint32_t prog_id, uint32_t *ret);

/* clsact side, hooks_clsact.c. Under the lock. */
int hooks_clsact_attach(struct hooks *t, const struct hook *h, int netns_fd, struct hook_state *ret);
int hooks_clsact_check(const struct hooks *t, const struct hook *h, int netns_fd, struct hook_state *ret);
int hooks_clsact_detach(struct hooks *t, const struct hook *h, int netns_fd);
