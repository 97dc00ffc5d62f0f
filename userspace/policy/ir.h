/* SPDX-License-Identifier: Apache-2.0 */
/*
 * ir.h - one-sided rules: what every kind of policy object is translated to before it is compiled.
 *
 * A one-sided rule speaks at its subjects, in one direction, about peers and ports, in one tier.
 * Within a side the first match of this order decides (semantics, section 2):
 *
 *   tier; in ADMIN and BASELINE then priority, the smaller first; then effect: block, alert, allow,
 *   pass, isolate; then the smaller rule id.
 *
 * A match with PASS leaves the tier for the next one (admin goes on at tier 3, baseline at the
 * default). ISOLATE speaks about every peer and port and stands last in its tier: what no rule of
 * the tier allowed is blocked.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/fail.h"
#include "policy/compile.h"
#include "policy/model.h"
#include "policy/state.h"

enum ir_effect { IR_BLOCK, IR_ALERT, IR_ALLOW, IR_PASS, IR_ISOLATE, IR_EFFECT_COUNT };

#define IR_ITEMS_MAX 100000u /* selectors of one side of a rule */
#define IR_PORTS_MAX 10000u  /* port items of one rule */

/* Borrows everything it points to. */
struct ir_rule {
	uint32_t rule;		/* numeric id for verdicts */
	enum cw_side side;
	enum cw_tier tier;	/* CW_TIER_ADMIN .. CW_TIER_BASELINE */
	int32_t priority;	/* ADMIN and BASELINE; 0 elsewhere */
	enum ir_effect effect;
	bool advisory;		/* own mode alert: takes part in the advisory verdict only */
	bool reject;		/* block: answer the packet */
	const char *ns;		/* speaks only for this namespace's workloads; NULL: any */
	const struct selector *subjects;
	size_t nsubjects;	/* any of them */
	const struct selector *peers;
	size_t npeers;		/* any of them */
	bool everyone;		/* every peer, also what is unknown; `peers` is not looked at */
	const struct port_spec *ports;
	size_t nports;		/* none: all protocols and ports */
};

/*
 * The sides of a rule: egress at what `from` selects, ingress at what `to` selects; for a namespaced
 * rule both only within its own namespace, where selectors without a namespace mean that one. `at`
 * names the rule in faults. 0, or -EINVAL with one fault per selector or port that cannot be
 * compiled. `ret` borrows from `r`; the selectors' own namespace is left to ir_selector_ns().
 */
int ir_from_rule(const struct rule *r, struct fail_list *f, struct ir_rule ret[2]);

/* Is it a name, or "*." and a name, that the data path can match? */
bool ir_name_ok(const struct selector *s);
/* Names stand among the peers of egress rules that allow or alert. -EINVAL with a fault. */
int ir_names_check(const struct ir_rule *ir, const char *at, struct fail_list *f);

/* Namespace that a selector of an ir_rule means, NULL: any or by labels. */
const char *ir_selector_ns(const struct ir_rule *ir, const struct selector *s);

/* policy_set_prepare with further one-sided rules: translations of other policy objects. */
int policy_set_prepare_ir(struct policy_set *set, const struct policy_state *next,
			  const struct ir_rule *more, size_t nmore, struct fail_list *f,
			  struct policy_plan **ret);
