/* SPDX-License-Identifier: Apache-2.0 */
/*
 * world.h - random small clusters for property tests, and a sink that keeps what was written in
 * tables of its own, which another thread may evaluate meanwhile.
 */
#pragma once

#include "policy/ir.h"
#include "policy/state.h"

struct rng { uint64_t s; };
uint32_t rng_next(struct rng *r);
uint32_t rng_below(struct rng *r, uint32_t n);

struct world {
	struct rng rng;
	struct policy_state st;
	struct ir_rule *more;	/* owned, with what they point to */
	size_t nmore;
	uint32_t next_id, next_name;
	uint32_t names;		/* rules name names, in so many of 100 selectors that may */
	uint32_t quiet;		/* 1: world_mutate changes rules, modes and quarantines only; 2: rules only */
};
void world_new(struct world *w, uint64_t seed);
/* With rules about names. */
void world_new_named(struct world *w, uint64_t seed, uint32_t percent);
void world_done(struct world *w);
/* Names that this address goes by, up to CW_FQDN_NAMES; numbers below WORLD_NAMES. */
#define WORLD_NAMES 9u
extern const char *const world_names[WORLD_NAMES];
size_t world_names_of(const struct addr *a, uint64_t salt, uint32_t ret[CW_FQDN_NAMES]);
/* One random change. */
void world_mutate(struct world *w);
/* Addresses worth asking about: owners', and edges of every prefix. Caller frees. */
struct addr *world_addrs(const struct world *w, size_t *ret_n);
/* Axis points worth asking about: edges of every interval and their neighbours. Caller frees. */
uint32_t *world_axes(const struct world *w, size_t *ret_n);

/* ---- shadow tables -------------------------------------------------------------------------- */

#define SHADOW_GROUPS 512u
#define SHADOW_EIDS 32768u
#define SHADOW_ADDRS 1024u
#define SHADOW_NETS 1024u
struct shadow_net { struct prefix p; uint64_t v; };	 /* v: 0 = none; packed cw_addr */
struct shadow_addr { struct addr a; uint64_t v; };
/* Names and patterns: a slot has one text for good; 0 = no class, no pattern. */
#define SHADOW_PATTERNS 64u
#define SHADOW_NAMED (1u << 17)
struct shadow_pattern { char text[64]; uint32_t cls; };
struct shadow_named { uint64_t key; uint32_t eid; }; /* open addressing, keys stay */
struct shadow {
	struct shadow_pattern patterns[SHADOW_PATTERNS];
	struct shadow_named *named;
	uint32_t names[WORLD_NAMES];	/* class each name has */
	uint32_t npatterns, classes, named_n, patterns_n;
	uint64_t name_writes;		/* calls about names */
	const struct policy_set *set;	/* to compare classes with, or NULL */
	uint64_t words[SHADOW_GROUPS * 2];
	uint64_t *rowtab, *rows;
	struct cw_verdict *verdicts;
	uint32_t rowtab_n, rows_n, verdicts_n;
	uint32_t *peers;	/* [group * 2 + side][eid]: class + 1 */
	uint32_t peers_n;
	struct shadow_addr addrs[SHADOW_ADDRS];
	struct shadow_net nets[SHADOW_NETS];
	uint32_t used_slots, used_nets;
	uint32_t delay;		/* spins between the evaluator's reads */
	uint64_t fail_after;	/* writes until one fails; 0: never */
	uint64_t writes;
	void (*settle)(void *arg);
	void (*switching)(void *arg);	/* a word is about to be stored, or NULL */
	void (*step)(void *arg);	/* something is about to be written, or NULL */
	void *settle_arg;
	struct policy_sink sink;
};
struct shadow *shadow_new(const struct policy_limits *lim);
void shadow_free(struct shadow *s);
/* What an address means in the tables; false: nobody published it. */
bool shadow_addr(const struct shadow *s, const struct addr *a, struct cw_addr *ret);
/* 0, or -1 for a hole. */
int shadow_eval(const struct shadow *s, uint32_t group, enum cw_side side, uint32_t eid, uint32_t realm,
		uint32_t axis, uint64_t *ret_word, struct cw_verdict *ret);
/* The same as the data path judges an address that goes by these names, at egress. */
int shadow_eval_named(const struct shadow *s, uint32_t group, uint32_t eid, uint32_t realm, uint32_t axis,
		      const uint32_t *names, size_t n, uint64_t *ret_word, struct cw_verdict *ret);
/* An answer about a name: its class is looked up, and noted a little later. */
void shadow_answer(struct shadow *s, uint32_t name);
bool shadow_prefers(const struct cw_verdict *a, const struct cw_verdict *b);
/* enum cw_outcome that the data path makes of a record. */
uint32_t shadow_outcome(uint32_t mode, const struct cw_verdict *v);
