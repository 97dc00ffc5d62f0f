/* SPDX-License-Identifier: Apache-2.0 */
/*
 * drain.c - what the kernel counted, to the controller. Counters are cumulative and named for
 * good, so a batch may come twice; a table is cleared only after the sink has committed it.
 */
#include <errno.h>
#include <string.h>

#define LOG_UNIT "drain"
#include "agent/priv.h"
#include "base/cleanup.h"
#include "base/log.h"
#include "base/vec.h"
#include "loader/grace.h"

#define BATCH 4096u
#define NO_EPOCH 0xffffffffu

struct batch {
	struct agent *a;
	struct maps *m;
	const struct names *names;	/* NULL: lost, all ends are unknown */
	uint64_t instance;
	uint32_t epoch;
	struct maps_clock clock;
	struct htab *seen;
	struct node_access *v;
	struct { struct cw_access_key k; uint64_t hash; } *marks;
	size_t n;
	int r;
};

static char *borrow(const char *s)
{
	return (char *)s; /* node_access holds what it is lent for the call */
}

static void resolve_end(const struct batch *b, uint32_t eid, uint32_t wl, struct workload_ref *ret,
			uint32_t *ret_reserved)
{
	const struct named *n = wl && b->names ? names_wl(b->names, wl) : NULL;

	if (!n && b->names)
		n = names_eid(b->names, eid);
	if (n && !n->reserved && n->ns) {
		ret->ns = borrow(n->ns);
		ret->name = borrow(n->name);
		ret->uid = borrow(n->uid);
		return;
	}
	*ret_reserved = n && n->reserved ? n->reserved :
			eid < CW_ID_FIRST_USER && eid ? eid : CW_ID_UNKNOWN;
}

static void fill(const struct batch *b, const struct access_row *r, struct node_access *x)
{
	const struct cw_access_key *k = &r->key;
	const struct named *dst;
	struct cw_dns_name name;

	memset(x, 0, sizeof(*x));
	dst = !k->dst_wl && b->names ? names_eid(b->names, k->dst) : NULL;
	x->dst_service = dst && dst->service;
	resolve_end(b, k->src, k->src_wl, &x->src_wl, &x->src_reserved);
	resolve_end(b, k->dst, k->dst_wl, &x->dst_wl, &x->dst_reserved);
	/* The address is the peer's: the destination in the world, or whichever end is unresolved. */
	if (x->dst_reserved)
		memcpy(x->dst_addr.b, k->addr, 16);
	else if (x->src_reserved == CW_ID_UNKNOWN)
		memcpy(x->src_addr.b, k->addr, 16);
	if (x->dst_reserved == CW_ID_WORLD && agent_dns_name(b->m, k->src_wl, &x->dst_addr, &name))
		x->dst_fqdn = strdup(name.text); /* none: told by its address */
	x->proto = k->proto;
	x->family = k->family;
	x->port = k->port;
	x->instance = b->instance;
	x->epoch = b->epoch;
	x->key = *k;
	x->flows = r->val.flows;
	x->answered = r->val.answered;
	x->packets = r->traffic.packets;
	x->bytes = r->traffic.bytes;
	x->guessed = r->val.guessed;
	memcpy(x->cnt, r->val.cnt, sizeof(x->cnt));
	for (int s = 0; s < 2; s++) {
		x->outcome[s] = r->val.outcome[s];
		x->reason[s] = r->val.reason[s];
		(void)verdict_load(b->m, r->val.verdict[s], &x->verdict[s]);
	}
	x->first_ns = clock_unix_ns(&b->clock, r->val.first);
	x->last_ns = clock_unix_ns(&b->clock, r->val.last);
}

static void batch_empty(struct batch *b)
{
	for (size_t i = 0; b->v && i < b->n; i++)
		free(b->v[i].dst_fqdn);
	b->n = 0;
}

/* Remembers what was delivered only after the sink has taken it. */
static void batch_flush(struct batch *b, const struct node_fold *folds, size_t nfolds)
{
	if (b->r || (!b->n && !nfolds))
		return;
	b->r = b->a->sink->accesses(b->a->sink_arg, b->v, b->n, folds, nfolds);
	if (!b->r && b->seen)
		for (size_t i = 0; i < b->n; i++)
			/* Not remembered costs one repetition. */
			(void)htab_set(b->seen, &b->marks[i].k, sizeof(b->marks[i].k),
				       (void *)(uintptr_t)b->marks[i].hash, NULL);
	batch_empty(b);
}

static int take_row(void *arg, const struct access_row *r)
{
	struct batch *b = arg;
	struct { struct cw_access v; struct cw_traffic t; } figures = { r->val, r->traffic };
	uint64_t h = hash_bytes(b->instance ^ b->epoch, &figures, sizeof(figures)) | 1;

	if (b->seen && (uintptr_t)htab_get(b->seen, &r->key, sizeof(r->key)) == (uintptr_t)h)
		return 0;
	fill(b, r, &b->v[b->n]);
	if (b->m == b->a->maps)
		agent_dns_unseen(b->a, &b->v[b->n], r->key.src_wl);
	b->marks[b->n].k = r->key;
	b->marks[b->n].hash = h;
	if (++b->n == BATCH)
		batch_flush(b, NULL, 0);
	return b->r;
}

struct fold_arg {
	struct batch *b;
	struct { struct node_fold *v; size_t n, cap; } folds;
};

static int take_fold(void *arg, uint32_t wl, const struct named *n)
{
	struct fold_arg *x = arg;
	struct node_fold f = { };
	struct cw_wl v;

	if (wl_map_read(x->b->m, wl, &v) || !(v.pair_flows | v.folded_flows | v.folded_drops))
		return 0;
	snprintf(f.ns, sizeof(f.ns), "%s", n->ns ? n->ns : "");
	snprintf(f.name, sizeof(f.name), "%s", n->name ? n->name : "");
	f.instance = x->b->instance;
	f.pair_flows = v.pair_flows;
	f.folded_flows = v.folded_flows;
	f.folded_drops = v.folded_drops;
	return vec_push(&x->folds, f) ? -ENOMEM : 0;
}

int agent_deliver(struct agent *a, struct maps *m, const struct names *names, uint64_t instance,
		  uint32_t epoch, struct htab *seen)
{
	struct batch b = {
		.a = a, .m = m, .names = names, .instance = instance, .epoch = epoch, .seen = seen,
	};
	struct fold_arg x = { .b = &b };
	int r;

	if (!a->sink || !a->sink->accesses)
		return -ENOTCONN;
	r = maps_clock(a->maps, loader_set_prog_fd(a->set, "cw_now"), a->hz, &b.clock);
	if (r < 0)
		return r;
	b.v = calloc(BATCH, sizeof(*b.v));
	b.marks = calloc(BATCH, sizeof(*b.marks));
	r = b.v && b.marks ? access_map_walk(m, epoch, take_row, &b) : -ENOMEM;
	if (!r && names)
		r = names_each_wl(names, take_fold, &x);
	if (!r) {
		batch_flush(&b, x.folds.v, x.folds.n);
		r = b.r;
	}
	vec_done(&x.folds);
	batch_empty(&b);
	free(b.v);
	free(b.marks);
	return r;
}

/* ---- switching tables ------------------------------------------------------------------------- */

struct rest_job {
	uv_work_t work;
	struct agent *a;
	int r;
};

static void rest_wait(uv_work_t *w)
{
	struct rest_job *j = w->data;

	j->r = grace_wait();
}

/* Nobody adds to the resting table any more: read it to the end, commit, clear. */
static void rest_finish(struct agent *a)
{
	int r = agent_deliver(a, a->maps, a->names, a->instance, a->resting, a->seen);

	if (!r && a->sink->epoch_done)
		r = a->sink->epoch_done(a->sink_arg, a->instance, a->resting);
	if (!r)
		r = epoch_clear(a->maps, a->resting);
	if (r < 0) {
		a->drain_fail++;
		log_warn(r, "resting table not committed, kept; epoch=%u", a->resting);
		return;
	}
	/* Marks of the cleared epoch: those of the running one come again once, and are skipped there. */
	htab_free(a->seen, NULL);
	a->seen = htab_new();
	a->resting = NO_EPOCH;
}

static void rest_done(uv_work_t *w, int status)
{
	struct rest_job *j = w->data;
	struct agent *a = j->a;

	a->resting_busy = false;
	if (!status && !j->r && !a->closing)
		rest_finish(a);
	free(j);
	agent_job_done(a);
}

static void rest_start(struct agent *a)
{
	struct rest_job *j;

	if (a->resting_busy)
		return;
	j = calloc(1, sizeof(*j));
	if (!j)
		return; /* the next tick tries again */
	j->a = a;
	j->work.data = j;
	if (uv_queue_work(a->loop, &j->work, rest_wait, rest_done)) {
		free(j);
		return;
	}
	a->resting_busy = true;
	a->jobs++;
}

int agent_drain(void *node)
{
	struct agent *a = node;
	struct ctl_counters c;
	int r;

	ctl_read(a->maps, &c);
	r = agent_deliver(a, a->maps, a->names, a->instance, c.epoch, a->seen);
	if (r < 0) {
		a->drain_fail++;
		return r;
	}
	agent_former_done(a);
	if (a->events)
		(void)event_reader_drain(a->events);
	return 0;
}

void agent_drain_tick(struct agent *a)
{
	uint64_t used = 0, pairs = 0;
	struct ctl_counters c;
	uint32_t epoch;
	int r = agent_drain(a);

	if (r < 0 && r != -ENOTCONN)
		log_warn(r, "accesses not committed, kept in the kernel");
	if (a->resting != NO_EPOCH) {
		rest_start(a);
		return;
	}
	ctl_read(a->maps, &c);
	access_map_used(a->maps, c.epoch, &used, &pairs);
	/* Slots are given out for good within an epoch, so they can run out first. */
	if (used < a->room.accesses / 4 * 3 && pairs < a->room.pairs / 4 * 3 &&
	    c.next_slot[c.epoch & 1] < c.acct_slots / 8 * 7)
		return;
	r = epoch_switch(a->maps, &epoch);
	if (r < 0) {
		log_warn(r, "cannot switch the access table");
		return;
	}
	a->resting = epoch - 1;
	rest_start(a);
}
