/* SPDX-License-Identifier: Apache-2.0 */
/* access_filter.h - one filter for lists of accesses. Fields are ANDed; unset ones match all. */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/fail.h"
#include "flow/access.h"

/* Bits for `not`: the field's match is turned round. */
enum access_filter_field {
	AF_NS, AF_SRC, AF_DST, AF_PEER, AF_PORT, AF_VERDICT, AF_REASON, AF_RULE, AF_ORIGIN, AF_STATE,
	AF_ANSWERED, AF_SEARCH, AF_GUESSED, AF_FIELDS
};

struct access_filter {
	uint32_t not;		/* 1u << enum access_filter_field */
	const char *const *ns;	/* either end in one of these namespaces */
	size_t nns;
	const char *src, *dst;	/* REF; see access_ref_matches */
	const char *peer;	/* REF on either side */
	const struct port_spec *port;
	bool has_verdict;
	enum cw_outcome verdict; /* latest outcome */
	bool has_reason;
	enum cw_reason reason;
	int side;		/* -1 both; else enum cw_side: where verdict, reason, rule and origin look */
	uint32_t rule;		/* number; 0 = any */
	bool has_origin;
	enum rule_origin origin; /* of the rule behind the latest verdict */
	bool has_state;
	enum access_state state;
	int answered;		/* -1 any, 1 answered at least once, 0 only attempted */
	int guessed;		/* -1 any, 1 only guessed directions, 0 certain */
	const char *search;	/* substring of id, ends, member names, port; case-insensitive */
	int64_t since_ns, until_ns; /* seen in between; 0 open */
};

/* Matches everything. */
void access_filter_init(struct access_filter *f);
bool access_filter_matches(const struct access_filter *f, const struct access *a);

/*
 * Is the REF this end, or does it contain it? "ns/shop", "shop/deploy/web", "shop/app=web",
 * "shop/pod/web-1" (also a member of a lifted end), an address or CIDR (also members),
 * "fqdn/NAME", and the reserved words; "world" holds for every address, CIDR and name outside.
 * dst: look at the destination end of a.
 */
bool access_ref_matches(const char *ref, const struct access *a, bool dst);
/* -EINVAL with ref.syntax when the text is no REF at all. `at` names the argument. */
int access_ref_check(const char *ref, const char *at, struct fail_list *f);
