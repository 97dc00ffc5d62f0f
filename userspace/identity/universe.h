/* SPDX-License-Identifier: Apache-2.0 */
/*
 * universe.h - the prefix universe: every prefix that a CIDR selector or one of its excepts names,
 * and the realms of the address space. All addresses whose longest prefix is the same match the
 * same selectors, so a prefix stands for them.
 */
#pragma once

#include <stddef.h>
#include <stdint.h>

#include "base/addr.h"
#include "cw_abi.h"

struct universe;

/* One cidr minus its excepts, of selector `sel` (a selector may have many). */
struct universe_item {
	uint32_t sel;
	struct prefix cidr;
	const struct prefix *except;
	size_t nexcept;
};

struct universe_net {
	struct prefix p;
	int32_t parent;		/* index of the next shorter prefix, -1 for the root */
	uint8_t realm;		/* enum cw_realm */
	uint32_t nsels;
	const uint32_t *sels;	/* selectors that match here, ascending */
	uint32_t tag;		/* the caller's */
};

/*
 * cluster: prefixes whose unresolved addresses are `unknown` rather than `world`. Multicast,
 * broadcast and IPv6 link-local are built in. 0 or -ENOMEM.
 */
int universe_new(const struct universe_item *items, size_t n, const struct prefix *cluster,
		 size_t ncluster, struct universe **ret);
void universe_free(struct universe *u);
size_t universe_count(const struct universe *u, int v6);
struct universe_net *universe_at(const struct universe *u, int v6, size_t i); /* sorted, parents first */
/* Longest prefix of an address; never NULL. */
struct universe_net *universe_match(const struct universe *u, const struct addr *a);
/* Longest prefix that covers p, p itself included; never NULL. */
struct universe_net *universe_cover(const struct universe *u, const struct prefix *p);
