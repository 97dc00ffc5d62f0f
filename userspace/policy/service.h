/* SPDX-License-Identifier: Apache-2.0 */
/*
 * service.h - services as the compiler sees them: what stands behind each, what a rule that names
 * one means, and the table that the data path asks. Only the compiler's own files include it.
 *
 * A rule about a service is a rule about the backends: on the target ports of the service ports
 * it names where the service is the destination, on its own ports where it is the source. Backends
 * with the same target ports are one selector, whose members are kept as pods come and go.
 */
#pragma once

#include "policy/set.h"

#define SERVICES_MAX 100000u	/* of one state */

/* One address behind a service. A pod without an address yet has a zero one. */
struct svc_end {
	struct addr addr;
	char *pod;		/* workload of the service's namespace, NULL: an address of nobody */
	bool ready;
	uint16_t *port;		/* by service port; 0: not served */
};
struct svc {
	uint32_t number;	/* for accounts; shares the space of effective identities */
	struct service s;	/* name, labels, addresses and ports; no selector, no backends */
	struct { struct svc_end *v; size_t n, cap; } ends;
	uint64_t digest;
	uint64_t version;	/* another one whenever it means something else */
	bool seen, gone;
	uint64_t dead_seq;	/* not in the state since this write */
};

/* Backends that judge alike, in consecutive slots of the table. Shared by entries. */
struct svc_block {
	uint32_t at, n, refs;
	bool written;
	uint64_t seq;		/* let go at; 0: in use */
	struct cw_backend v[];
};
/* One entry as written. */
struct svc_entry {
	struct cw_svc_key key;
	struct svc *svc;
	struct svc_block *block;
	bool wanted;
};
/* One entry to be written. */
struct svc_write {
	struct cw_svc_key key;
	struct svc *svc;	/* NULL: removed */
	struct svc_block *mid;	/* before the words switch; NULL: nothing */
	struct svc_block *block;
};

int services_init(struct policy_set *set);
void services_done(struct policy_set *set);
/* Resolves the services of a state. 0, -ENOMEM, or -E2BIG with a fault. Before rules_diff. */
int services_diff(struct policy_set *set, const struct policy_state *next, struct fail_list *f);
/* Who is member of the selectors in use. After rules_diff, before the owners are walked. */
int services_index(struct policy_set *set);
/* Selectors of backends that a workload is in, ascending; empty if none. */
const struct u32s *services_of_pod(const struct policy_set *set, const char *ns, const char *name);
const struct svc *service_find(const struct policy_set *set, const char *ns, const char *name);

/* What the number of a service means; false: NULL was given. */
bool service_view(const struct svc *s, struct policy_eid *ret);

/* A rule that names services, as one-sided rules without; all memory is in the arena. */
struct svc_irs {
	struct { struct ir_rule *v; size_t n, cap; } irs;
	struct { void **v; size_t n, cap; } mem;
};
/* Does an end belong to a part of its service? The text is one of service_rule.c. */
bool svc_part_fits(const char *part, const struct svc *s, const struct svc_end *e);
bool rule_has_service(const struct rule *r);
/* Which versions of its services the rule speaks of. */
void service_rule_versions(const struct policy_set *set, const struct rule *r, struct bytes *b);
int service_rule_expand(struct policy_set *set, const struct rule *r, const struct ir_rule base[2],
			struct svc_irs *ret);
void svc_irs_done(struct svc_irs *x);

/* What differs between the table and the state, with room taken for it. */
int services_plan(struct policy_set *set, struct fail_list *f, struct svc_plan *ret);
void services_plan_free(struct policy_set *set, struct svc_plan *p);
int services_before_switch(struct commit *c, struct svc_plan *p);
void services_after_switch(struct commit *c, struct svc_plan *p);
/* True: more is waiting for a later grace period. */
bool services_collect(struct policy_set *set, uint64_t upto);

struct cw_svc_key svc_key(const struct addr *a, uint8_t proto, uint16_t port, bool v6); /* a NULL: node ports */
bool svc_end_serves(const struct svc_end *e, size_t port, bool v6);
bool svc_any_ready(const struct svc *s, size_t port, bool v6);
/* What the source is judged by, of the state that was prepared last. 0, -E2BIG, -ENOMEM. */
int svc_backends(const struct policy_set *set, const struct svc *s, size_t port, bool v6,
		 struct cw_backend ret[CW_SVC_BACKENDS], uint32_t *ret_n);

/* What a packet to an address and port finds: as written, or as a plan will have it. */
struct svc_found {
	const struct svc *svc;	/* NULL: nothing */
	size_t port;		/* of its ports; beyond them: it has no such port any more */
	bool v6;
	uint32_t n;
	struct cw_backend v[CW_SVC_BACKENDS];
};
void service_lookup(const struct policy_set *set, const struct policy_plan *plan, const struct addr *a,
		    uint32_t realm, uint32_t axis, struct svc_found *ret);
/*
 * A question to a service by name: the address that is asked, or zero and what stands behind a
 * headless one. v6: -1 any. 0; -ENOENT no such service; -ENXIO nothing serves that port;
 * -EAFNOSUPPORT not in that family.
 */
int service_end(const struct policy_set *set, const struct policy_end *e, int v6, uint32_t axis, struct addr *ret,
		struct svc_found *ret_headless);
/* Judges both sides: fills via, side and builtin (CW_R_SELF), and the backend that is told of. */
int service_judge(struct policy_set *set, bool next, const struct end *src, const struct svc_found *found,
		  uint32_t axis, struct policy_answer *a, struct end *ret_backend);

/* judge.c */
int judge_side(struct policy_set *set, bool next, const struct end *self, const struct end *peer, enum cw_side s,
	       uint32_t axis, struct policy_side_answer *ret);
int judge_end(const struct policy_set *set, bool next, const struct policy_end *e, int v6, struct end *ret);
bool verdict_worse(const struct cw_verdict *a, const struct cw_verdict *b);
bool verdict_for_self(const struct cw_verdict *v);
