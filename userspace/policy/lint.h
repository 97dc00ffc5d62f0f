/* SPDX-License-Identifier: Apache-2.0 */
/*
 * lint.h - what is wrong with a rule set as it stands over the inventory as it is: rules that decide
 * nothing, that the admin tier contradicts, or that select nobody, and services whose backends judge
 * differently. By computation over all pairs of ends and all ports (diff.h says what those are), not by
 * sampling. Pure. Quarantines are left out: they pass.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/fail.h"
#include "policy/state.h"

#define LINT_BY_MAX 4u		 /* rules named by one finding; more are counted */
#define LINT_WORK_MAX 400000000ull /* questions of one run: pairs of a group and a peer, for each rule about both */
#define LINT_FINDINGS_MAX 10000u

enum lint_kind {
	LINT_SHADOWED,	     /* matches, and decides nothing: earlier rules decide all of it */
	LINT_CONTRADICTION,  /* on a side all of it is decided the other way by the admin tier */
	LINT_UNREACHABLE,    /* an item of from or to selects nobody, or the rule speaks nowhere */
	LINT_SERVICE_EMPTY,  /* an item names a service that does not exist or has no ready backend */
	LINT_SERVICE_MIXED,  /* ready backends of one service port are judged differently */
	LINT_KINDS
};
const char *lint_kind_str(enum lint_kind k); /* "lint.shadowed", ... */

struct lint_by { uint32_t rule; uint8_t tier, action; }; /* rule 0: several NetworkPolicies isolate */
struct lint_finding {
	enum lint_kind kind;
	uint32_t rule;		/* its number; 0: about a service */
	int side;		/* enum cw_side, or -1: both */
	struct lint_by by[LINT_BY_MAX];
	unsigned nby, more;	/* more: further ones than fit */
	const char *field;	/* "from", "to", or NULL: the rule as a whole */
	size_t item;
	char *service;		/* NS/NAME */
	char *src, *pass, *block; /* SERVICE_MIXED: a source, a backend that passes, one that does not */
	uint16_t port;
	uint8_t proto;
};
struct policy_lint {
	struct lint_finding *v; /* by rule number, then kind, side, item; services last */
	size_t n;
	bool truncated;		/* there are more than LINT_FINDINGS_MAX */
};

/* Rules need distinct numbers. 0; -EINVAL, -E2BIG with a fault; -ENOMEM. Blocks for a full compile. */
int policy_lint_make(const struct policy_state *st, struct fail_list *f, struct policy_lint *ret);
void policy_lint_done(struct policy_lint *l);

/* Does a selector of a rule match a workload of the state; rule_ns: namespace of the rule or NULL. */
bool lint_selects(const struct policy_state *st, const char *rule_ns, const struct selector *s,
		  const struct workload *w);
