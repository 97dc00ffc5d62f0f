/* SPDX-License-Identifier: Apache-2.0 */
/*
 * compile.h - from a policy_state to what the data path reads: words, classes, rows, addresses.
 *
 * A policy_set holds two things: the model (what the last prepared state means) and the image
 * (what was written through the sink, equal to the kernel's maps). prepare() moves the model and
 * computes every write; commit() makes the writes, in an order that lets a packet see the old
 * set or the new one and nothing between; gc() takes away what only old readers could still see.
 *
 *	policy_set_prepare(set, next, f, &plan);	// refuses what does not fit; nothing written
 *	policy_set_commit(set, plan, sink);		// in force when it returns
 *	seq = policy_set_seq(set);
 *	... wait until every program run that was going on has ended ...
 *	while (policy_set_gc(set, sink, seq) > 0) { seq = policy_set_seq(set); ... wait again ... }
 *
 * Pure: no I/O, no clock, no globals. Not thread-safe: one thread at a time, any thread. The state
 * is borrowed for the call only. Time limits (quarantine `until`) are the caller's: hand in a
 * state without what has ended.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/fail.h"
#include "policy/state.h"

struct policy_set;
struct policy_plan;
struct ident_info;	/* identity/ident.h */

/* Numbers [lo, hi) that a former process may still have in the maps: not handed out. */
struct policy_range { uint32_t lo, hi; };

/* Room of the maps; 0 means the CW_MAX_* of cw_abi.h. */
struct policy_limits {
	uint32_t groups, wls, verdicts, rowtab, rows, peers;
	uint32_t addrs;		/* exact addresses, IPv4 and IPv6 each */
	uint32_t nets;		/* prefixes, IPv4 and IPv6 each */
	uint32_t patterns;	/* patterns of names in use */
	uint32_t named;		/* pairs of an identity of the world and a name class */
	uint32_t svcs, backends; /* service addresses times ports, and slots of what stands behind */
	bool all_local;		/* every workload gets a group: query and simulate in the controller */
	/* After a restart over standing maps: leave the old numbers alone until the old content is gone. */
	struct policy_range keep_groups, keep_wls, keep_verdicts, keep_rowtab, keep_rows;
	uint32_t first_eid;	/* lowest effective identity number to hand out; 0: CW_ID_FIRST_USER */
	uint32_t first_gen;	/* generation before the first one handed out */
};

int policy_set_new(const struct policy_limits *lim, struct policy_set **ret); /* 0, -ENOMEM */
void policy_set_free(struct policy_set *set);
/* The content of a former process is gone from the maps: its numbers may be handed out. */
void policy_set_keep_done(struct policy_set *set);

/*
 * The typed writes that a commit and a collection make; the maps room implements it. Every function
 * returns 0 or a negative errno. Stores made before word_store() must be visible to whoever sees
 * the word. Slices are at most POLICY_BATCH long.
 */
#define POLICY_BATCH 4096u
struct policy_sink {
	void *arg;
	int (*verdict_write)(void *arg, uint32_t index, const struct cw_verdict *v);
	int (*rows_write)(void *arg, uint32_t index, const uint64_t *v, size_t n);
	int (*rowtab_write)(void *arg, uint32_t index, const uint64_t *v, size_t n);
	int (*peers_set)(void *arg, const struct cw_peer_key *k, const uint32_t *cls, size_t n);
	int (*peers_del)(void *arg, const struct cw_peer_key *k, size_t n);
	int (*word_store)(void *arg, uint32_t index, uint64_t word);
	/* cw_since, stored before the word it goes with. May be NULL: then flows are always judged again. */
	int (*since_store)(void *arg, uint32_t index, uint64_t since);
	/* `used` of *v is 0; a standing entry's mark is kept while eid and group stay the same. */
	int (*addr_set)(void *arg, uint32_t zone, const struct addr *a, const struct cw_addr *v);
	int (*addr_del)(void *arg, uint32_t zone, const struct addr *a);
	int (*net_set)(void *arg, uint32_t zone, const struct prefix *p, const struct cw_addr *v);
	int (*net_del)(void *arg, uint32_t zone, const struct prefix *p);
	/* Did a verdict use this entry? What was never used needs no generation bumped when its
	 * meaning changes. True where it is not known. May be NULL: then always true. */
	bool (*addr_used)(void *arg, uint32_t zone, const struct addr *a);
	bool (*net_used)(void *arg, uint32_t zone, const struct prefix *p);
	/* The workload's number, and its group and effective identity for packets that carry no
	 * address of its own; group 0: the workload is gone, endpoints lose their number. */
	int (*wl_group)(void *arg, uint32_t wl, uint32_t group, uint32_t eid);
	/*
	 * Names. A pattern is "pay.example.com" or "*.example.com", lower case; a name's class is that of
	 * the longest pattern it falls under, 0 without one. An address of the world with such a name is
	 * judged as `named` beside its own identity. names_store: classes that stand, 0: no address
	 * is judged by names. names_reclass: patterns were written and nobody still works with what stood
	 * before; every name that is known gets the class that policy_set_name_class() gives now,
	 * before the call returns. All may be NULL where no names are known.
	 */
	int (*pattern_set)(void *arg, const char *pattern, uint32_t cls);
	int (*pattern_del)(void *arg, const char *pattern);
	int (*named_set)(void *arg, uint32_t eid, uint32_t cls, uint32_t named);
	int (*named_del)(void *arg, uint32_t eid, uint32_t cls);
	int (*names_store)(void *arg, uint32_t classes);
	int (*names_reclass)(void *arg);
	/* Services: fresh slots before the entries that name them. May be NULL where nobody looks. */
	int (*backends_write)(void *arg, uint32_t index, const struct cw_backend *v, size_t n);
	int (*svc_set)(void *arg, const struct cw_svc_key *k, const struct cw_svc *v);
	int (*svc_del)(void *arg, const struct cw_svc_key *k);
	/* Waits for readers; blocks. Called before the words only when this commit splits an address or
	 * prefix off an identity, when a workload leaves a group that gets other rows by it, when patterns of
	 * names change, or when addresses changed in a commit that no collection has followed yet; after the
	 * words only when a group ran out of class numbers since the last collection, and its workloads moved
	 * to a new one. Otherwise never for a change of ports, actions, modes or quarantines alone.
	 * May be NULL: then a packet that read an address before and the word after may, once, be judged
	 * by a mix, and an answer that was being read may leave a name without its class. */
	int (*settle)(void *arg);
};

/* For a set whose own image is all that anybody asks: writes nothing, waits for nobody. */
extern const struct policy_sink policy_sink_nowhere;

/*
 * Compiles `next` and checks every capacity; nothing is written. 0; -E2BIG: does not fit (the
 * fail names the rule); -EINVAL: a rule cannot be compiled; -EBUSY: a plan is outstanding;
 * -ENOMEM. On failure the image is untouched; the model may be ahead of it until the next prepare.
 */
int policy_set_prepare(struct policy_set *set, const struct policy_state *next, struct fail_list *f,
		       struct policy_plan **ret);
/*
 * Puts the plan in force and frees it. 0; an error of the sink before the first word store means
 * that nothing is in force (every write until then changes no verdict); a later one is returned
 * after all words were stored, and the next commit makes up for it.
 */
int policy_set_commit(struct policy_set *set, struct policy_plan *plan, const struct policy_sink *sink);
/* What becomes of standing flows when the plan is committed; POLICY_CUT unless said otherwise. */
void policy_plan_flows(struct policy_plan *plan, enum policy_flows how);
/* Drops a plan that was not committed. Until the next prepare, reason chains tell of the dropped
 * state; judgements from the image stay exact. NULL is fine. */
void policy_plan_free(struct policy_plan *plan);

/* Writes so far; what was retired up to a number may be collected when its readers are gone. */
uint64_t policy_set_seq(const struct policy_set *set);
/* Collects what was retired at or before `seq`. 1: more is waiting for a later grace period; 0: all
 * done; -EBUSY: a plan is outstanding; an error of the sink. Changes no verdict. */
int policy_set_gc(struct policy_set *set, const struct policy_sink *sink, uint64_t seq);

/* ---- figures ---------------------------------------------------------------------------- */

struct policy_stats {
	uint32_t groups, wls, verdicts, addrs4, addrs6, nets4, nets6;
	uint32_t peers;		/* class entries */
	uint32_t rowtab, rows;	/* slots in use */
	uint32_t eids, idents, selectors, rules;	/* rules: one-sided */
	uint32_t addr_conflicts; /* addresses that two owners claim */
	uint32_t svcs, backends; /* entries of the service table, and slots behind them */
	uint32_t patterns, name_classes, named;	/* of names: patterns, classes, identities times classes */
	size_t memory;		/* bytes of the big tables in this process */
};
void policy_set_stats(const struct policy_set *set, struct policy_stats *ret);
/* The room as given to policy_set_new, defaults resolved. */
const struct policy_limits *policy_set_limits(const struct policy_set *set);

struct policy_plan_info {
	struct policy_stats after;	/* with what waits for collection */
	uint32_t words;			/* group sides that switch */
	uint32_t peers_set, addrs_set;	/* writes to come */
	uint32_t new_groups, new_eids;
};
void policy_plan_info(const struct policy_plan *plan, struct policy_plan_info *ret);

/* What a rule takes: groups' sides that it speaks in, class entries, rows and row intervals there
 * (shared ones count for each rule). 0 or -ENOENT. */
struct policy_usage { uint32_t sides, peers, rows, intervals; };
int policy_set_rule_usage(const struct policy_set *set, uint32_t rule, struct policy_usage *ret);

/* ---- judging ------------------------------------------------------------------------------ */

/* What an address means: exact entry, else longest prefix. 0; -ENOENT for a zone nobody has. */
int policy_set_addr(const struct policy_set *set, uint32_t zone, const struct addr *a, struct cw_addr *ret);

/* Will flows that stand on this side of the group be judged again when the plan is committed? */
bool policy_plan_rejudges(const struct policy_plan *plan, uint32_t group, enum cw_side side);
/* Does a flow that passed under this generation go on without being judged again: nothing changed
 * since, or only with POLICY_KEEP? */
bool policy_set_stands(const struct policy_set *set, uint32_t group, enum cw_side side, uint32_t gen);

/* The image through the evaluator of the data path. 0, -EINVAL for a hole in the tables. */
struct policy_judgement {
	uint64_t word;
	uint32_t verdict;	/* index */
	struct cw_verdict v;
	enum cw_outcome outcome, adv_outcome;
};
int policy_set_judge(const struct policy_set *set, uint32_t group, enum cw_side side, uint32_t eid,
		     enum cw_realm realm, uint32_t axis, struct policy_judgement *ret);
/* The same for the prepared state, whose words are not in force yet. */
int policy_plan_judge(const struct policy_plan *plan, uint32_t group, enum cw_side side, uint32_t eid,
		      enum cw_realm realm, uint32_t axis, struct policy_judgement *ret);
/*
 * What a flow from a group to a service address will be judged by at its source, `wl` being the
 * workload it comes from: the worst of the backends. 0; 1: only itself stands behind it, which
 * passes; -ENOENT: no service has this address and port; -EINVAL: a hole in the tables.
 */
int policy_plan_judge_service(const struct policy_plan *plan, uint32_t group, uint32_t wl, const struct addr *a,
			      enum cw_realm realm, uint32_t axis, struct policy_judgement *ret);
int policy_set_judge_service(const struct policy_set *set, uint32_t group, uint32_t wl, const struct addr *a,
			     enum cw_realm realm, uint32_t axis, struct policy_judgement *ret); /* as it is now */
struct policy_eid;
/* The service that a packet to this address and port is judged by: its name, as in policy_eid. 0, -ENOENT. */
int policy_set_service(const struct policy_set *set, const struct addr *a, enum cw_realm realm, uint32_t axis,
		       struct policy_eid *ret);
/* What an address will mean. */
int policy_plan_addr(const struct policy_plan *plan, uint32_t zone, const struct addr *a, struct cw_addr *ret);
/* 0 or -ENOENT. */
int policy_set_verdict(const struct policy_set *set, uint32_t index, struct cw_verdict *ret);

/* What a tier said on the way, for "quarantine no > admin - > manual - > ...". */
enum policy_said {
	SAID_NOT_ASKED,	 /* an earlier tier decided */
	SAID_NONE,	 /* no rule of this tier speaks for the subject in this direction */
	SAID_NO_MATCH,	 /* rules speak for the subject, none matches this peer and port */
	SAID_PASS,	 /* a Pass rule matched: the tier was left */
	SAID_ACTION,	 /* decided */
	SAID_ISOLATED,	 /* NetworkPolicies isolate, none allows: decided, block */
};
struct policy_step {
	uint8_t said;	 /* enum policy_said */
	uint8_t action;	 /* enum cw_action when it decided */
	uint32_t rule;	 /* of the match (Pass too); SAID_ISOLATED: first isolating policy */
};

/* One end of a question: a workload by name, or an address. */
struct policy_end {
	const char *ns, *name;	/* both or none; or */
	const char *svc;	/* destination: the service of `ns`, without `name` */
	const char *uid;	/* optional: only that incarnation */
	struct addr addr;	/* without ns: the address; with ns: which of its addresses, zero = choose */
	uint32_t zone;
	/* Destination: names that the source's workload knows for this address, as DNS gave them; they
	 * count for addresses of the world. At most CW_FQDN_NAMES. */
	const char *const *names;
	size_t nnames;
};
struct policy_side_answer {
	bool judged;		/* false: this end is not enforced here, the rest is zero */
	uint32_t group, peer_eid, peer_realm;
	const char *name;	/* the peer's name that decided, of policy_end.names; NULL: none did */
	enum cw_mode mode;
	bool quarantined;
	struct policy_judgement j;
	enum cw_reason reason;	/* of the outcome */
	struct policy_step step[CW_TIER_COUNT]; /* by tier, of the enforced verdict */
};
/* A destination that is a service: what the source is judged by, and who may be the other end. */
struct policy_via {
	const char *ns, *name;		/* NULL: it is none; of the set, until the next prepare */
	struct addr addr;		/* as asked; zero: headless */
	uint32_t backends, ready;	/* addresses of this family on this port; those that count are the ready
					 * ones, or all if none is */
	uint32_t admits;		/* of those that count: their own side lets it pass */
	const char *pod_ns, *pod;	/* the one that `side` tells of, NULL: an address of nobody */
	struct addr pod_addr;
	uint16_t port;			/* where it listens */
};
struct policy_answer {
	struct addr src, dst;		/* as chosen; zero when an end has none */
	struct cw_addr src_meaning, dst_meaning;
	enum cw_reason builtin;		/* CW_R_SELF or CW_R_LOCAL_NODE: passes whatever the tiers say, else 0 */
	struct policy_via via;
	struct policy_side_answer side[2]; /* by enum cw_side; of a service: the worst of its backends each */
	bool passes;			/* both sides let it pass */
};
/* 0; -ENOENT: no such workload; -EAFNOSUPPORT: the ends share no address family; -E2BIG: too many names. */
int policy_set_query(const struct policy_set *set, const struct policy_end *src,
		     const struct policy_end *dst, uint32_t axis, struct policy_answer *ret);
/* The same in the prepared state: what `commit` would bring. */
int policy_plan_query(const struct policy_plan *plan, const struct policy_end *src,
		      const struct policy_end *dst, uint32_t axis, struct policy_answer *ret);

/* Class of a name by the patterns that are written (or, of a plan, will be): 0 when none matches. Any
 * case, a dot at the end is fine. Inside of a sink's call: as far as they are written. */
uint32_t policy_set_name_class(const struct policy_set *set, const char *name);
uint32_t policy_plan_name_class(const struct policy_plan *plan, const char *name);

/* Which policies isolate the subject of a group's side (semantics, tier 4): up to max ids, the number
 * there are is returned. */
size_t policy_set_isolating(const struct policy_set *set, uint32_t group, enum cw_side side,
			    uint32_t *ids, size_t max);

/* ---- names of numbers ------------------------------------------------------------------------ */

/* A workload that is attached here (all of them with all_local). Strings are the set's. */
struct policy_wl {
	uint32_t wl, group, eid;
	const char *ns, *name, *uid;
	enum cw_mode mode;
	bool quarantined;
	bool exceptions;	/* of the quarantine: something passes in spite of it */
};
int policy_set_wl(const struct policy_set *set, const char *ns, const char *name, struct policy_wl *ret);
int policy_set_wl_by_number(const struct policy_set *set, uint32_t wl, struct policy_wl *ret);
/* Calls fn for each; a non-zero return ends the walk and is returned. */
int policy_set_wl_each(const struct policy_set *set, int (*fn)(void *arg, const struct policy_wl *w), void *arg);

/* An effective identity, also one that is going away. Strings and ident are the set's until gc. */
struct policy_eid {
	uint32_t eid;
	enum cw_realm realm;
	uint32_t reserved;		/* enum cw_reserved_id, or 0 for workloads */
	uint32_t ident;			/* label identity number, 0 for reserved ones */
	const struct ident_info *info;	/* its attributes, NULL for reserved ones */
	bool named;			/* of an address with a name: judged by, never counted under */
	const char *svc_ns, *svc_name;	/* the number of a service, for accounts only; then the rest is not set */
	uint32_t nworkloads;		/* that have it now */
	const char *ns, *name, *uid;	/* one of them (the only one if nworkloads is 1); NULL: none */
};
int policy_set_eid_describe(const struct policy_set *set, uint32_t eid, struct policy_eid *ret);
int policy_set_eid_each(const struct policy_set *set, int (*fn)(void *arg, const struct policy_eid *e), void *arg);

/* Label identity numbers are stable across restarts: hand in the stored ones before the first
 * prepare, store new ones after a commit. -EEXIST: the number or the attributes are taken. */
int policy_set_ident_preload(struct policy_set *set, uint32_t number, const struct ident_info *info);
int policy_set_ident_each(const struct policy_set *set,
			  int (*fn)(void *arg, uint32_t number, const struct ident_info *info), void *arg);
