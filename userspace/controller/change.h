/* SPDX-License-Identifier: Apache-2.0 */
/*
 * change.h - the one pipeline. A resource builds the next state; change_make() validates, plans and
 * commits it, or plans only. Nothing else writes rules, modes or quarantines.
 */
#pragma once

#include "controller/priv.h"

/* One line of a plan. Strings are owned. */
struct change_item {
	char op;		/* + ~ = - */
	const char *kind;	/* literal: rule, mode, quarantine, access, workload, namespace */
	char *name, *origin, *field, *was, *becomes, *summary;
	size_t workloads;
	bool tightens;		/* something that passes now may be dropped by it */
};
struct change_items { struct change_item *v; size_t n, cap; };
void change_items_done(struct change_items *l);
/* Appends and returns a zeroed item, or NULL. */
struct change_item *change_items_add(struct change_items *l, char op, const char *kind, const char *name);

struct change_req {
	/* In. Zeroed fields mean: not asked for. */
	char *what;			/* one line for the history; owned */
	const char *who, *via;
	struct policy_state next;	/* owned; a copy of the state with the change made */
	bool borrowed;			/* its inventory is that of the state: see change_req_state() */
	bool dry_run, accept_not_ready;
	bool has_if;
	uint64_t if_generation;
	int64_t confirm_ms;
	enum policy_flows flows;	/* what becomes of standing flows */
	char *undo;			/* command; NULL: change revert GENERATION; owned */
	struct words touched;		/* rules named by the caller: unchanged ones are listed with = */
	struct words confirming;	/* access ids that get a learned rule: a higher tier may still block them */
	size_t files, documents;
	bool is_revert;			/* of `reverted`: no readiness asked, the window closes */
	uint64_t reverted;
	bool no_replay;			/* recorded accesses are not asked: there are many, and nobody reads the plan first */
	bool keep_window;		/* quarantine: an open window stays as it is, without a warning */
	struct cJSON *skipped;		/* array for the plan; owned */
	struct cJSON *still_blocked;	/* likewise */
};
void change_req_done(struct change_req *q);
/*
 * Copies the state into q->next, but for the inventory, which a change does not touch: a large
 * cluster's is borrowed until the change is made or dropped, within one call. 0 or -ENOMEM.
 */
int change_req_state(const struct controller *c, struct change_req *q);
const char *flows_str(enum policy_flows f); /* cut, reset, keep */
/* Reads dryRun, ifGeneration, confirm, accept, flows from the query; copies the state into q->next. */
int change_req_begin(struct api *a, struct change_req *q);

/*
 * 0 and the Plan object. Negative errno with faults in f, and nothing is changed:
 * -ESTALE change.stale, -EPERM mode.not-ready, -ENOSPC or what the node said, -EIO store.
 */
int change_make(struct controller *c, struct change_req *q, struct fail_list *f, struct cJSON **ret);
/* change_make with the call's faults and caller; frees nothing of q. */
int change_run(struct api *a, struct change_req *q, struct cJSON **ret);

/* Returns to the state before the open window; the timer's way. */
void change_window_expire(struct controller *c);
/* Rules, modes and quarantines of an earlier generation into an empty *ret. -ENOENT. */
int generation_load(struct controller *c, uint64_t gen, struct policy_state *ret);
/* Ends quarantines whose time is over. */
void quarantine_expire(struct controller *c);
/* Reads an open window from the store after a start. */
int change_window_restore(struct controller *c);
/* Brings access decisions in line with the rules in force; true if any changed. */
bool change_sync_decisions(struct controller *c, const char *who);
/* Gives the state to the node; on refusal the reason is kept in c->sync_error and f. */
int change_push(struct controller *c, struct fail_list *f);
/* Ends the hold after a damaged store, if there is one. */
void change_release(struct controller *c, const char *who);

/* diff.c: lines for all that differs between two states; quarantines and modes with the workloads
 * concerned in `next`. */
int state_diff(const struct policy_state *old, const struct policy_state *next, const struct words *touched,
	       struct change_items *ret);
/* Copies rules, modes and quarantines (those only if with_quarantine) of `from` into `st`. */
int state_take(const struct policy_state *from, bool with_quarantine, struct policy_state *st);
/* The next setting on the same target at or behind index i, or NULL. */
struct mode_setting *state_mode_on(struct policy_state *st, const struct mode_setting *target, size_t i);
/* A setting that stands for a namespace's label cellwall.io/mode is called label/NAMESPACE. */
#define MODE_LABEL_NAME "label/"
bool mode_is_label(const struct mode_setting *m);
/* Ref of what a setting is set on; malloc'ed. */
char *mode_setting_ref(const struct mode_setting *m);
char *quarantine_ref(const struct quarantine *q);
char *rule_ref(const struct rule *r); /* NAME or NS/NAME */
/* "allow shop app=cart -> data app=cache tcp/6379" */
char *rule_summary(const struct rule *r);
const struct rule *state_rule(const struct policy_state *st, const char *ns, const char *name);
/* By "NAME", "NS/NAME", or the name of the only namespaced rule so called; NULL. */
const struct rule *rule_named(const struct policy_state *st, const char *name);
const struct rule *state_rule_id(const struct policy_state *st, uint32_t id);
bool quarantine_matches(const struct quarantine *q, const struct workload *w);
/* Removes entry i of an array inside a state. */
void state_rule_del(struct policy_state *st, size_t i);
void state_mode_del(struct policy_state *st, size_t i);
void state_quarantine_del(struct policy_state *st, size_t i);
int state_rule_add(struct policy_state *st, struct rule *r); /* takes over the contents */
int state_mode_add(struct policy_state *st, struct mode_setting *m);
int state_quarantine_add(struct policy_state *st, struct quarantine *q);
int state_workload_add(struct policy_state *st, struct workload *w);
void state_workload_del(struct policy_state *st, size_t i);
int state_namespace_add(struct policy_state *st, struct namespace *n);
void state_namespace_del(struct policy_state *st, size_t i);
