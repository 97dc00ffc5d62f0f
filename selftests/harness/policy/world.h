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
	uint32_t quiet;		/* 1: world_mutate changes rules, modes and quarantines only; 2: rules only */
};
void world_new(struct world *w, uint64_t seed);
void world_done(struct world *w);
/* One random change. */
void world_mutate(struct world *w);
/* Addresses worth asking about: owners', and edges of every prefix. Caller frees. */
struct addr *world_addrs(const struct world *w, size_t *ret_n);
/* Axis points worth asking about: edges of every interval and their neighbours. Caller frees. */
uint32_t *world_axes(const struct world *w, size_t *ret_n);

/* ---- shadow tables -------------------------------------------------------------------------- */

#define SHADOW_GROUPS 512u
#define SHADOW_EIDS 8192u
#define SHADOW_ADDRS 1024u
#define SHADOW_NETS 1024u
struct shadow_net { struct prefix p; uint64_t v; };	 /* v: 0 = none; packed cw_addr */
struct shadow_addr { struct addr a; uint64_t v; };
struct shadow {
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
/* enum cw_outcome that the data path makes of a record. */
uint32_t shadow_outcome(uint32_t mode, const struct cw_verdict *v);
