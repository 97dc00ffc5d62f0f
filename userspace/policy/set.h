/* SPDX-License-Identifier: Apache-2.0 */
/*
 * set.h - inside of struct policy_set; for the compiler's own files only.
 *
 * Model: one-sided rules -> selectors -> which effective identities they match -> for each
 * group's side a target (identity -> row). Image: what was written. A plan is the difference.
 * Effective identities are known inside by a slot (dense, reused after collection), outside by a
 * number that is never handed out twice.
 */
#pragma once

#include "base/htab.h"
#include "base/vec.h"
#include "identity/ident.h"
#include "identity/intern.h"
#include "identity/universe.h"
#include "policy/compile.h"
#include "policy/ir.h"

#define NIL UINT32_MAX
#define SLOT_MAX 4000000u	/* effective identities kept at a time */

struct u32s { uint32_t *v; size_t n, cap; };

/* ---- bytes for digests and interning ---------------------------------------------------- */

struct bytes { unsigned char *v; size_t n, cap; int err; };
void bytes_put(struct bytes *b, const void *p, size_t n);
void bytes_u32(struct bytes *b, uint32_t x);
void bytes_str(struct bytes *b, const char *s); /* NULL and "" alike */
void bytes_labels(struct bytes *b, const struct labels *l);
void bytes_selector(struct bytes *b, const struct selector *s);
void bytes_port(struct bytes *b, const struct port_spec *p);

/* ---- selectors ---------------------------------------------------------------------------- */

enum sel_kind {
	SELK_LABELS,	/* by what a label identity has */
	SELK_POD,	/* also by name or uid: matches single workloads */
	SELK_NODES,	/* nodes by label */
	SELK_CIDRS,	/* a list of cidrs minus excepts */
	SELK_FQDN,	/* a list of names: matches addresses of the world that carry one */
	SELK_BACKENDS,	/* workloads behind a service: service.h */
};
struct sel {
	uint32_t id, refs;
	enum sel_kind kind;
	struct selector s;		/* not CIDRS; ns resolved */
	struct selector *cidrs;		/* CIDRS */
	size_t ncidrs;
	char **names;			/* FQDN: patterns, sorted */
	size_t nnames;
	struct u32s idents;		/* LABELS: slots of matching label identities */
	struct u32s eids;		/* others: slots of effective identities that have it */
	struct { struct ir **v; size_t n, cap; } subject_of[2]; /* rules by side */
	size_t keylen;
	unsigned char *key;
};

/* A label identity in use. */
struct idn {
	uint32_t number, refs;		/* refs: owners and effective identities; 0 = slot free */
	const struct ident_info *info;
	struct u32s sels, eids;
};

/* ---- effective identities ------------------------------------------------------------------ */

struct ekey {
	uint32_t realm;		/* enum cw_realm */
	uint32_t base;		/* slot of the label identity, or reserved id */
	uint32_t aset;		/* interned list of selectors that match this address, 0 = none */
	uint32_t npset;		/* interned list of named ports, 0 = none */
};
struct eid_ent {
	uint32_t number;	/* 0: slot free */
	struct ekey key;
	bool fixed;		/* reserved with an empty set: keeps its number */
	bool named;		/* stands in cw_named, not at an address */
	bool crossed;		/* scratch: of the world, and times each class of names */
	bool published;		/* may be in the maps */
	uint32_t holders;	/* addresses, prefixes and bare workloads that have it */
	uint32_t pinned;	/* entries of cw_named that say so */
	uint32_t pred;		/* slot it was split off and not published since, or NIL */
	uint64_t dead_seq;	/* when the last holder left, 0 = alive or not committed */
	struct group *groups;
};

/* ---- rules ---------------------------------------------------------------------------------- */

struct span { uint32_t lo, hi; };	/* of the axis, inclusive */
struct named { uint32_t name; uint8_t proto; };
struct ir {
	uint32_t rule;
	uint8_t side, tier, effect, peer_realms; /* realms that match as a whole */
	bool advisory, reject, subject_all, fresh;
	int32_t priority;
	char *ns;
	uint32_t *subject, nsubject;	/* selectors that match some only */
	uint32_t *peer, npeer;
	struct span *spans;
	uint32_t nspans;
	struct named *named;
	uint32_t nnamed;
	uint32_t mark;		/* scratch */
	const char *at;		/* of its rule object, NULL: quarantine */
};
/* What a rule object was translated to. */
struct prule {
	uint64_t digest;
	uint64_t own;		/* of a rule that names services: itself and their versions */
	bool seen;
	char *at;		/* name for faults */
	struct ir **ir;
	size_t n;
};

struct qspec {			/* exceptions of a quarantine */
	uint32_t id;
	unsigned char *key;
	size_t keylen;
	bool seen;
	uint32_t refs;		/* groups */
	struct ir **ir[2];	/* by side; the last one blocks everything */
	size_t n[2];
};

/* ---- rows, tables, groups -------------------------------------------------------------------- */

struct extent { uint32_t at, n; };
struct extents { struct extent *v; size_t n, cap; uint32_t used; };
int extents_init(struct extents *x, uint32_t size, uint32_t keep_lo, uint32_t keep_hi);
int extents_get(struct extents *x, uint32_t n, uint32_t *ret); /* -ENOSPC */
int extents_put(struct extents *x, uint32_t at, uint32_t n);

struct row { uint32_t at, n; bool written; };	/* at NIL: no room taken yet */

struct table {
	uint32_t base, slots;
	uint32_t head[CW_REALM_SLOTS];
	uint64_t seq;			/* retired at; 0 = in force */
	struct table *next;
	uint64_t *drain;		/* per class: emptied at, 0 = in use or free */
	uint32_t row[];			/* by class; 0 = free */
};
struct tent { uint32_t ix, row; };
struct pent { uint32_t ix, cls; uint64_t stale; }; /* stale: since when the default says the same */
struct cell { uint32_t hash, npset, row, n; uint32_t *rule; };

struct side {
	/* model */
	struct ir **rules;
	uint32_t nrules;
	bool uses_names, full, dirty;
	bool loose;	/* some cell may be without an identity */
	struct { struct tent *v; size_t n, cap; } t;	/* identities that differ from their default */
	uint32_t drow[CW_REALM_COUNT];
	struct { struct cell *v; size_t n, cap; } cells;
	/* image */
	struct table *cur, *old;	/* old: retired, newest first */
	struct { struct pent *v; size_t n, cap; } p;
};
struct gcfg { uint8_t mode, dflt, quar, always; uint32_t qspec; };
struct group {
	uint32_t number, eid, refs, slot;
	struct gcfg cfg;
	struct side side[2];
	struct group *next_of_eid;
	struct group *clone_of;		/* not published yet, must begin as this one's copy */
	bool published;
	bool rebuild;		/* a commit stopped half-way through its entries */
	bool behind;		/* cannot follow the plan: goes on judging as before it */
	uint64_t dead_seq;
	/* scratch of one prepare: who leaves for which configuration */
	uint32_t leaving;
	struct gcfg to;
	bool to_mixed, bump;
	uint8_t flows;		/* enum policy_flows of that bump */
	uint64_t rejudge_seq;	/* bumped for an address that meant something else at this write; 0: no */
};

/* ---- who has addresses ------------------------------------------------------------------------ */

struct owner;
struct holder {
	struct addr addr;	/* zero: the workload without an address */
	struct owner *owner;
	uint32_t eid;		/* slot, NIL before the first assignment */
	uint32_t mid;		/* slot published for a moment before the switch, or NIL */
	struct group *group, *mid_group;
	bool told;		/* a node says so of itself: who is known to have the address has it */
	bool gone;
};
struct owner {
	bool node, local, seen, host;
	uint64_t digest;
	char *ns, *name, *uid;	/* node: name only */
	uint32_t idn;		/* workload: slot of its label identity */
	uint32_t npset;
	bool dirty;
	struct u32s single;	/* POD or NODES selectors that match it, ascending */
	struct gcfg cfg;
	struct holder *h;
	size_t nh;
	uint32_t wl;
	uint32_t pub_group, pub_eid;	/* as told by wl_group */
	bool gone;
	uint64_t dead_seq;
	size_t keylen;
	char *key;
};
struct addrrec {
	struct addr a;
	struct { struct holder **v; size_t n, cap; } claims;
	struct cw_addr pub;
	bool pub_set, dirty;
};
struct netrec {
	struct prefix p;
	uint8_t realm;
	uint32_t eid, mid;
	uint32_t from;		/* not published yet: slot that speaks for it meanwhile, or NIL */
	struct cw_addr pub;
	bool pub_set, seen, gone, dirty, was_used;
	uint64_t pub_seq, asked_seq;
};

/* ---- names: fqdn.c, fqdn_cross.c ---------------------------------------------------------------- */

/* Names that the same selectors match. `from`: the class (slot) they had before, while not published. */
struct name_class {
	uint32_t number;	/* 0: slot free; never handed out twice */
	uint32_t aset;		/* interned list of selectors, 0 = none */
	uint32_t from;
	bool published;		/* may be in the maps */
	uint32_t mark;		/* scratch */
	uint64_t dying_seq;	/* no pattern gives it since, 0 = some do */
	uint64_t dead_seq;	/* no name has it since */
};
struct pattern {
	char *text;
	struct u32s sels;	/* selectors that list it; none: not wanted any more */
	uint32_t aset;		/* what matches the names whose longest pattern this is */
	uint32_t cls, mid;	/* slots: in the end, until the switch */
	uint32_t pub;		/* as written, NIL: not in the map */
	bool ends;		/* to be written when no reader has the words before: `last`, NIL: deleted */
	uint32_t last;
};
/* An identity of the world times a class. */
struct cross {
	uint32_t base, cls;	/* slots */
	uint32_t eid, mid;	/* slots: in the end, until the switch; NIL */
	uint32_t pub;		/* number as written, 0: not in the map */
	uint32_t last;		/* to be written when no reader has the words before, 0: none */
};
struct name_model {
	struct htab *patterns, *crosses;
	struct { struct name_class *v; size_t n, cap; } cls;
	uint32_t next_number, ncls, told;	/* told: by names_store */
	uint64_t digest, uni_digest;
	uint64_t last_seq;	/* what is to be written when that is over; 0: nothing */
	uint64_t stale_seq;	/* patterns changed then and names were not looked at since; 0: no */
	bool dirty;		/* model and image differ */
};

struct policy_set {
	struct policy_limits lim;
	uint64_t seed, seq;
	uint64_t moved_seq;	/* addresses changed then, and no grace period is known since; 0: none */
	bool ahead, redo;	/* model differs from image; so it did before this prepare: start from the image */
	bool poisoned;		/* ran out of memory half-way: judges on, prepares no more */
	bool twins;		/* groups of one key may stand side by side */
	struct policy_plan *plan;

	/* rules */
	struct htab *rules;	/* key -> prule */
	struct { struct ir **v; size_t n, cap; } all_ir, dead_ir, wide[2]; /* wide: by side, speak at every workload */
	struct htab *qspecs;
	struct { struct qspec **v; size_t n, cap; } qlist;
	uint32_t next_qspec;
	struct intern *names;	/* names of ports that rules use */

	/* selectors and label identities */
	struct { struct sel **v; size_t n, cap; } sels;
	struct u32s sel_mark;
	uint32_t mark;
	uint32_t nsels;
	struct htab *sel_by_key, *sel_by_ns, *sel_by_pair, *sel_by_pod;
	struct u32s sel_loose, sel_nodes;
	struct ident_table *idents;
	struct { struct idn *v; size_t n, cap; } idns;
	struct u32s idn_free;
	struct htab *idn_by_number, *idn_by_ns, *idn_by_pair;

	/* effective identities */
	struct { struct eid_ent *v; size_t n, cap; } eids;
	struct u32s eid_free;
	struct htab *eid_by_number, *eid_by_key;
	struct intern *asets, *npsets;
	uint32_t next_eid, neids, realm_eids[CW_REALM_COUNT];
	struct u32s eid_fresh;	/* not published yet */
	struct u32s eid_touched; /* new or with another key since the sides were compiled */
	uint64_t single_digest;
	struct universe *uni, *uni_old;
	uint64_t uni_digest;

	struct name_model dns;

	/* addresses */
	struct htab *owners, *owners_by_name, *addrs, *nets;
	struct { struct owner **v; size_t n, cap; } eid_owner; /* one owner of each slot, as of the last prepare */
	struct u32s eid_nowners;
	uint32_t naddrs[2], nnets[2];	/* published, by family */
	uint32_t conflicts;
	struct { struct addrrec **v; size_t n, cap; } addr_dirty;
	struct { struct netrec **v; size_t n, cap; } net_dirty;
	struct { struct owner **v; size_t n, cap; } owner_dirty, owner_dead;
	struct owner **wl_by_number;
	uint32_t next_wl, nwls;

	/* state that is remembered */
	uint64_t ignore_digest, modes_digest;
	uint32_t enforce_always, local_node;
	char **ignored;
	size_t nignored;

	/* groups */
	struct { struct group **v; size_t n, cap; } groups;
	struct group **group_by_number;
	struct htab *group_by_key;
	uint32_t next_group, group_hint; /* hint: lowest slot that may be free */
	uint32_t *gen;		/* by word */
	uint64_t *since;	/* by word, as stored */

	/* image */
	struct intern *rows_in, *verdicts_in;
	struct { struct row *v; size_t n, cap; } rowmeta;
	struct extents rowtab_x, rows_x;
	uint64_t *words, *rowtab, *rows;
	struct cw_verdict *verdicts;
	uint32_t npeers;
	bool bump_all;

	/* scratch of compiling a side */
	struct u32s cell_of, cell_stamp;
	uint32_t stamp;
	/* services: service.h */
	struct htab *services, *svc_by_number;
	struct htab *svc_members;	/* namespace and pod to the selectors it is behind */
	uint64_t svc_sels_digest, svc_version;
	struct { uint64_t *v; size_t n, cap; } wl_digests; /* of the state that is walked; empty: not known */
	bool svc_dirty;			/* the table may not say what the state does */
	struct htab *svc_entries, *svc_blocks;
	struct { struct svc_block **v; size_t n, cap; } svc_retired;
	struct extents backends_x;

	const char *nospace;	/* what ran out */
	uint32_t nospace_rule;
	uint64_t nospace_need, nospace_room; /* 0: not known */
};

/* ---- sel.c --------------------------------------------------------------------------------------- */
int sels_init(struct policy_set *set);
void sels_done(struct policy_set *set);
/* Takes a reference on the selector of these bytes. */
int sel_get(struct policy_set *set, enum sel_kind kind, const struct selector *s, const char *ns, uint32_t *ret);
int sel_get_cidrs(struct policy_set *set, const struct selector *const *v, size_t n, uint32_t *ret);
/* Finds by bytes (a reference taken), or makes an empty one in *ret_new. */
int sel_lookup(struct policy_set *set, const struct bytes *key, uint32_t *ret, struct sel **ret_new);
void sel_unref(struct policy_set *set, uint32_t id);
void sels_sweep(struct policy_set *set); /* frees what nobody refers to */
/* Slot of a label identity; takes a reference. */
int idn_get(struct policy_set *set, const struct ident_info *info, uint32_t *ret);
void idn_unref(struct policy_set *set, uint32_t slot);
/* Marks every selector of the effective identity; sel_marked() tests. */
void eid_mark_sels(struct policy_set *set, uint32_t ix);
static inline bool sel_marked(const struct policy_set *set, uint32_t id)
{
	return id < set->sel_mark.n && set->sel_mark.v[id] == set->mark;
}
const uint32_t *aset_sels(const struct policy_set *set, uint32_t aset, size_t *ret_n);
/* Selectors that match one workload (POD) or node (NODES). */
int sels_of_pod(struct policy_set *set, const struct owner *o, struct u32s *ret);
int sels_of_node(struct policy_set *set, const struct labels *labels, struct u32s *ret);
bool sel_matches_ident(const struct sel *s, const struct ident_info *i);

/* ---- rules.c ---------------------------------------------------------------------------------------- */
/* What a one-sided rule says, for digests. */
void ir_bytes(struct bytes *b, const struct ir_rule *r);
/* One object of rules as it should be: its one-sided rules replace those it had. `at`: in faults. */
int prule_set(struct policy_set *set, const struct bytes *key, const char *at, uint64_t digest,
	      const struct ir_rule *irs, size_t n, bool *names);
/* The state's Kubernetes policies; part of rules_diff, which says which objects were not seen. */
int kpolicies_diff(struct policy_set *set, const struct policy_state *next, struct fail_list *f, bool *ret_names);
int rules_diff(struct policy_set *set, const struct policy_state *next, const struct ir_rule *more,
	       size_t nmore, struct fail_list *f, bool *ret_names_changed);
int qspecs_diff(struct policy_set *set, const struct policy_state *next);
/* *ret is set as soon as there is something to free; `names` when names of ports came or went. */
int ir_new(struct policy_set *set, const struct ir_rule *r, bool *names, struct ir **ret);
/* Takes a rule out; the memory stays until rules_sweep, since sides still point to it. */
int ir_drop(struct policy_set *set, struct ir *ir, bool *names);
void qspec_free(struct qspec *s);
struct qspec *qspec_find(const struct policy_set *set, const struct quarantine *q);
void rules_sweep(struct policy_set *set);
void rules_done(struct policy_set *set);

/* ---- owners.c: who has which address ------------------------------------------------------------------- */
struct chgs;
/* `key`: what tells it from all others. NULL: no memory. */
struct owner *owner_new(struct policy_set *set, const struct bytes *key, const char *ns, const char *name,
			const char *uid);
/* Takes the owner out; the memory of its ends stays while records may point to it. */
int owner_leaves(struct policy_set *set, struct owner *o);
void owner_free(struct policy_set *set, struct owner *o);
void owners_done(struct policy_set *set);
/* Brings the ends in line with the addresses, the last `ntold` of them as told; ends that stay keep what they have. */
int owner_ends(struct policy_set *set, struct owner *o, const struct addr *addrs, size_t n, size_t ntold);
/* The key an end should have; the references on its sets are collected in `held` until assigned. */
int holder_check(struct policy_set *set, struct holder *h, struct chgs *chgs, struct u32s *held);
struct holder *addr_winner(const struct policy_set *set, const struct addrrec *a);
/* To be published again. */
int addr_touch(struct policy_set *set, struct addrrec *a);
int owner_touch(struct policy_set *set, struct owner *o);
/* `uid` NULL: whichever goes by the name. */
const struct owner *owner_find(const struct policy_set *set, const char *ns, const char *name, const char *uid);
/* One owner and the number of owners of each effective identity. */
int eid_owners(struct policy_set *set);

/* ---- owners_diff.c: what the state says of each owner ---------------------------------------------------- */
int owners_diff(struct policy_set *set, const struct policy_state *next, bool names_changed);
/* Of all that a workload says of itself but its name; `b` is scratch. */
uint64_t workload_digest(const struct policy_set *set, const struct workload *w, struct bytes *b);

/* ---- nets.c ------------------------------------------------------------------------------------------- */
/* Builds the universe of the selectors in use, if it is another one; the old one is kept as uni_old. */
int universe_update(struct policy_set *set, const struct policy_state *next, bool *ret_changed);
void universe_drop(struct policy_set *set, struct universe *u);
int nets_diff(struct policy_set *set, struct chgs *chgs);
void mids_forget(struct policy_set *set); /* what stood between old and new, of a plan that is not committed */

/* ---- settings.c --------------------------------------------------------------------------------------- */
/*
 * policy_state_mode() and policy_state_quarantine() walk all settings. Only those of one namespace
 * and those of none can speak for a workload, so they are asked with a state of just these.
 */
struct bucket {
	struct { struct mode_setting *v; size_t n, cap; } modes;
	struct { struct quarantine *v; size_t n, cap; } quars;
	struct namespace *ns;
	uint64_t digest;	/* of the namespace's labels */
};
struct settings {
	const struct policy_state *next;
	struct htab *by_ns;	/* bucket */
	struct bucket wide, now;
	const struct bucket *last;
	struct policy_state st;	/* shallow, for the namespace of `last` */
};

int settings_init(struct settings *s, uint64_t seed, const struct policy_state *next);
void settings_done(struct settings *s);
struct bucket *settings_bucket(struct settings *s, const char *ns); /* made if new; NULL: no memory */
uint64_t settings_digest(const struct policy_set *set, const struct policy_state *next, int *ret_err);
int cfg_of(const struct policy_set *set, struct settings *s, const struct bucket *b, const struct workload *w,
	   struct gcfg *ret);

/* ---- eid.c ------------------------------------------------------------------------------------------------ */
struct chg {
	struct holder *h;	/* or */
	struct netrec *net;	/* or */
	struct cross *x;
	uint32_t old;		/* slot it had; for a new prefix that of the longer cover; NIL */
	bool existing;		/* holds `old` now */
	bool removed;		/* will hold nothing */
	struct ekey key;
};
struct chgs { struct chg *v; size_t n, cap; };
int eids_assign(struct policy_set *set, struct chgs *c);
int eids_init(struct policy_set *set);
void eid_free(struct policy_set *set, uint32_t ix);
uint32_t eid_slot(const struct policy_set *set, uint32_t number); /* NIL if none */
bool ekey_same(const struct ekey *a, const struct ekey *b);

/* ---- fqdn.c: patterns and classes ------------------------------------------------------------------------- */
int names_init(struct policy_set *set);
void names_done(struct policy_set *set);
/* `v`: FQDN selectors. A name that is none: -EINVAL. */
int sel_get_names(struct policy_set *set, const struct selector *const *v, size_t n, uint32_t *ret);
/* Lower case, without a dot at the end. -EINVAL. */
int name_fold(const char *s, bool pattern, char ret[CW_DNS_NAME_MAX + 1]);
/* Slot of the class of a name: as written, or as it is to be; NIL: none. */
uint32_t name_class_of(const struct policy_set *set, const char *folded, bool next);
/* Patterns and classes as the selectors in use want them. *ret_todo: crosses must be looked at. */
int classes_want(struct policy_set *set, bool *ret_todo);
void class_free(struct policy_set *set, uint32_t cls);
void pattern_drop(struct policy_set *set, struct pattern *p);

/* ---- fqdn_cross.c: identities of the world times classes --------------------------------------------------- */
/* After owners_diff. -ENOSPC: `set->nospace` with its numbers. */
int names_assign(struct policy_set *set);
struct cross *cross_find(const struct policy_set *set, uint32_t base, uint32_t cls);
uint32_t crosses_count(const struct policy_set *set);
void crosses_drop_class(struct policy_set *set, uint32_t cls); /* never published */
void names_forget_mids(struct policy_set *set);
struct commit;
/* Steps of a commit: what judges as before, before addresses split; new patterns; after the words. */
int names_begin(struct commit *c);
int names_patterns(struct commit *c, bool *ret_changed);
void names_final(struct commit *c);
/* A step of the collection. */
int names_collect(struct policy_set *set, const struct policy_sink *sink, uint64_t upto, bool *more);

/* ---- group.c ------------------------------------------------------------------------------------------------ */
int groups_assign(struct policy_set *set, struct chgs *c);
void group_free(struct policy_set *set, struct group *g);
int group_twin(struct policy_set *set, struct group *g, struct group **ret);
struct group *group_same(const struct policy_set *set, const struct group *g); /* that is found by its key */
int groups_of_ir(struct policy_set *set, const struct ir *ir); /* marks the sides it speaks in */
void group_touch_eid(struct policy_set *set, uint32_t ix);

/* ---- side.c -------------------------------------------------------------------------------------------------- */
int side_compile(struct policy_set *set, struct group *g, enum cw_side s);
int side_eid(struct policy_set *set, struct group *g, enum cw_side s, uint32_t ix);
void side_prune(struct policy_set *set, struct side *sd);
void side_forget(struct policy_set *set, struct side *sd); /* model half */
bool ir_speaks(const struct policy_set *set, const struct ir *ir, uint32_t ix);
bool ir_hits(const struct policy_set *set, const struct ir *ir, const struct eid_ent *peer); /* after eid_mark_sels */
uint32_t side_row(const struct side *sd, uint32_t ix, uint32_t realm);
struct half { uint8_t action, tier, flags; uint32_t rule; };
struct half side_decide(struct ir *const *rules, const uint32_t *chain, const uint64_t *act, size_t nwords,
			bool adv, uint32_t tiers, enum cw_action dflt);
/* chain: rules of the side that match the peer, in order. */
int row_make(struct policy_set *set, const struct group *g, const struct side *sd, enum cw_side s,
	     const uint32_t *chain, size_t n, uint32_t npset, uint32_t *ret);
bool ir_covers(const struct policy_set *set, const struct ir *ir, uint32_t npset, uint32_t axis);

/* ---- rows.c --------------------------------------------------------------------------------------------------- */
int verdict_get(struct policy_set *set, const struct cw_verdict *v, uint32_t *ret);
/* Takes the verdicts' references over. */
int row_get(struct policy_set *set, const uint64_t *v, size_t n, uint32_t *ret);
void row_ref(struct policy_set *set, uint32_t row);
void row_unref(struct policy_set *set, uint32_t row);
const uint64_t *row_data(const struct policy_set *set, uint32_t row, size_t *ret_n);
uint32_t row_find(const struct policy_set *set, uint32_t row, uint32_t axis); /* verdict index */

/* ---- plan.c, commit.c, gc.c ------------------------------------------------------------------------------------ */
struct refine { uint32_t cls, parent; bool implicit; }; /* implicit: parent is a realm */
struct pset { uint32_t ix, cls; };
struct splan {
	struct group *g;
	uint8_t side;
	struct table *next;	/* to switch to, or NULL */
	struct table *clone;	/* to begin with, or NULL */
	struct { struct refine *v; size_t n, cap; } ref;
	struct { struct pset *v; size_t n, cap; } sets;
	struct { struct tent *v; size_t n, cap; } adds;	/* ix: class, row: its row, for the table in force */
	struct { struct pent *v; size_t n, cap; } p;	/* entries afterwards */
};
struct svc_write;
struct svc_plan { struct svc_write *v; size_t n, cap; };
struct policy_plan {
	struct policy_set *set;
	struct { struct splan *v; size_t n, cap; } sides;
	struct policy_plan_info info;
	struct svc_plan svc;
	enum policy_flows flows;
};
int policy_plan_make(struct policy_set *set, struct fail_list *f, struct policy_plan **ret);
/* Says what does not fit, and the rule that made the difference. */
int plan_refuse(struct policy_set *set, struct fail_list *f, const char *what, uint64_t need, uint64_t room);
int sides_compile(struct policy_set *set);
void plan_free(struct policy_plan *p);
/* 0; 1: nothing to do; -EAGAIN: no class number is left; -ENOSPC: `set->nospace` is full. */
int side_plan(struct policy_set *set, struct group *g, enum cw_side s, struct splan *p);
const struct pent *pent_of(const struct side *sd, uint32_t ix); /* its entry, or NULL */
struct cw_addr addr_value(const struct policy_set *set, const struct holder *h, uint32_t eid, const struct group *g);
struct cw_addr net_value(const struct policy_set *set, const struct netrec *n, uint32_t eid);
struct end {			/* of a question */
	const struct owner *owner;
	const struct holder *h;		/* NULL: an address of nobody */
	struct addr addr;
	struct cw_addr means;
	const char *const *names;	/* that it goes by, as seen from the source */
	size_t nnames;
};
struct table *table_new(uint32_t slots);
struct commit {
	struct policy_set *set;
	const struct policy_sink *sink;
	enum policy_flows flows;
	int late;	/* first error after the words began to switch */
	bool split;
};
void keep_error(struct commit *c, int r);
/* A new generation for both sides of a published group; no verdict changes. */
int group_rejudge(struct policy_set *set, const struct policy_sink *sink, struct group *g);
/* Is X a split of the identity with this number, so far unseen? Then it judges the same until the switch. */
bool split_of(const struct policy_set *set, uint32_t x, uint32_t number);
/* Publishes what is split off an identity: judges the same until the words switch. */
int split_addrs(struct commit *c);
/* Takes whoever is still in a group that cannot follow to where its new group is. */
void leave_behind(struct commit *c);
/* Brings members of groups of one key together where the key is found. Changes no verdict. */
int twins_merge(struct commit *c);
void final_addresses(struct commit *c);
void lists_clear(struct commit *c); /* of what was to be done */
void table_free(struct policy_set *set, struct table *t); /* rows and room too */
