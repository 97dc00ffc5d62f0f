/* SPDX-License-Identifier: Apache-2.0 */
/*
 * diff.h - every verdict that two rule sets give differently, over the whole space of one inventory:
 * each pair of ends, each protocol and port, each side. Computed from the compiled rows of both sets
 * and not by sampling. Pure.
 *
 * The space: the workloads and nodes of the inventory, and every address of nobody, told apart as far
 * as any selector of either set tells it apart; as a destination also with each name that either set
 * knows. Pods that do not exist yet are not in it. Never meant in an item, since no rule decides
 * there: a workload and itself, ends without a common address family, and multicast sources.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/fail.h"
#include "policy/state.h"

#define DIFF_PAIRS_MAX 8000000u	 /* pairs of atoms that differ */
#define DIFF_ITEMS_MAX 100000u
#define DIFF_NAMED_MAX 500000u	 /* names times prefixes of the world */
#define DIFF_ANY_LABEL "any-name" /* stands for a name that a wildcard matches */

struct space;

enum diff_end_kind { DIFF_WORKLOAD, DIFF_NODE, DIFF_HOST, DIFF_NET, DIFF_NAME };
struct diff_end {
	enum diff_end_kind kind;
	const char *ns, *name;		/* workload; node: name only */
	const char *ctl_kind, *ctl_name; /* "": none */
	struct addr addr[2];		/* IPv4, IPv6: one that stands for it; zero: none */
	struct prefix net;		/* DIFF_NET; DIFF_NAME: an address there that goes by the name */
	const char *fqdn;		/* DIFF_NAME: "pay.example.com", or "*.example.com" for what nothing longer matches */
	uint32_t realm;			/* enum cw_realm */
	uint8_t fam;			/* bit 0 IPv4, bit 1 IPv6; a workload without address: both */
	bool part;			/* only this address of the workload, others mean something else */
	uint32_t owner;			/* of all ends of the same owner; UINT32_MAX: nobody's */
	uint32_t atom;
};

/* flags: CW_V_REJECT, CW_V_ISOLATED, CW_V_ALWAYS */
struct diff_verdict { uint32_t rule; uint8_t action, tier, flags, zero; }; /* compared as bytes */
struct diff_span { uint32_t lo, hi; };	/* of the axis, inclusive */

/* All sources with all destinations of the item, on all its ports, differ in this way. */
struct diff_item {
	int side;		/* enum cw_side, or -1: both sides alike */
	struct diff_verdict was, by;
	struct diff_span *ports; /* ascending, not adjacent */
	uint32_t nports;
	uint32_t *src, *dst;	/* ends, ascending */
	uint32_t nsrc, ndst;
	uint32_t wit_src, wit_dst, wit_axis; /* witness: a pair of ends and a point */
	uint8_t wit_v6;
};
struct policy_diff {
	struct space *space;
	const struct diff_end *ends;
	size_t nends;
	struct diff_item *items; /* what becomes blocked first, then what was; then by source and destination */
	size_t n;
	size_t ranges;		/* port ranges of all items */
	void *owned;		/* the compiled sets that the names belong to */
};

/*
 * Compiles both states (rules of either must have distinct ids, alike where they are the same rule;
 * the inventory must be the same) and compares. Blocks for the time of two full compiles. 0;
 * -EINVAL, -E2BIG: a state cannot be compiled or the difference is larger than the bounds above, with a fault;
 * -ENOMEM.
 */
int policy_diff_make(const struct policy_state *a, const struct policy_state *b, struct fail_list *f,
		     struct policy_diff *ret);
struct ir_rule;
/* The same with further one-sided rules on either side (policy/ir.h). */
struct diff_input { const struct policy_state *st; const struct ir_rule *more; size_t nmore; };
int policy_diff_make_ir(const struct diff_input in[2], struct fail_list *f, struct policy_diff *ret);
void policy_diff_done(struct policy_diff *d);

/* ---- for people ------------------------------------------------------------------------------ */

struct diff_names { char **v; size_t n; };
void diff_names_done(struct diff_names *n);
/*
 * The ends of one side of an item as REFs: a controller or namespace only where all its members are
 * meant, "world" (with "except" where prefixes are not), nodes, prefixes, addresses. 0, -ENOMEM.
 */
int diff_names_make(const struct policy_diff *d, const struct diff_item *it, bool dst, struct diff_names *ret);
/* "tcp/80", "tcp/8000-8100", "udp", "proto/2-5", "any"; -ENOMEM. */
int diff_ports_text(const struct diff_span *v, size_t n, struct diff_names *ret);
/* How an end is asked about: "shop/pod/web-1", or its address where only that is meant. out: 600 bytes. */
const char *diff_end_text(const struct diff_end *e, bool v6, char out[600]);
