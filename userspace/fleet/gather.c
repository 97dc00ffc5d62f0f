/* SPDX-License-Identifier: Apache-2.0 */
/*
 * gather.c - batches of accesses on their way to the store. One transaction for each of thousands of
 * nodes would be thousands of them a second: what comes within a moment is stored together.
 */
#include "fleet/priv.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"

#define GATHER_MS 10u
#define GATHER_BATCHES 512u
#define GATHER_ACCESSES 8192u

/* Stores entries first..first+n as one. 0 or negative. */
static int store(const struct fleet *fl, const struct pending *v, size_t n)
{
	auto_free struct node_access *a = NULL;
	auto_free struct node_fold *f = NULL;
	size_t na = 0, nf = 0;

	if (!fl->sink)
		return -ENOTCONN;
	if (n == 1)
		return fl->sink->accesses(fl->sink_arg, v->b.accesses, v->b.naccesses, v->b.folds, v->b.nfolds);
	for (size_t i = 0; i < n; i++) {
		na += v[i].b.naccesses;
		nf += v[i].b.nfolds;
	}
	a = reallocarray(NULL, na + 1, sizeof(*a));
	f = reallocarray(NULL, nf + 1, sizeof(*f));
	if (!a || !f)
		return -ENOMEM;
	na = nf = 0;
	for (size_t i = 0; i < n; i++) {
		if (v[i].b.naccesses)
			memcpy(a + na, v[i].b.accesses, v[i].b.naccesses * sizeof(*a));
		if (v[i].b.nfolds)
			memcpy(f + nf, v[i].b.folds, v[i].b.nfolds * sizeof(*f));
		na += v[i].b.naccesses;
		nf += v[i].b.nfolds;
	}
	return fl->sink->accesses(fl->sink_arg, a, na, f, nf);
}

static void answer(struct pending *x, int err)
{
	struct peer *p = x->p;

	if (p) {
		p->pending = false;
		if (err)
			(void)fleet_report_not_now(p, "accesses cannot be stored now");
		else if (!p->bye)
			(void)fleet_report_ack(p, x->b.seq);
	}
	msg_batch_done(&x->b);
}

void fleet_gather_store(struct fleet *fl)
{
	struct pending *v = fl->pending.v;
	size_t n = fl->pending.n;
	int r;

	if (!n)
		return;
	(void)uv_timer_stop(&fl->store);
	fl->pending.v = NULL;
	fl->pending.n = fl->pending.cap = 0;
	fl->npending_accesses = 0;
	r = store(fl, v, n);
	/* One node's that cannot be stored does not keep the others'. */
	for (size_t i = 0; i < n; i++)
		answer(&v[i], r && n > 1 ? store(fl, &v[i], 1) : r);
	free(v);
}

static void store_cb(uv_timer_t *t)
{
	fleet_gather_store(t->data);
}

int fleet_gather_batch(struct peer *p, struct msg_batch *b)
{
	struct fleet *fl = p->fl;
	struct pending x = { .p = p, .b = *b };

	/* A counter comes once in what is stored together. */
	if (p->pending)
		fleet_gather_store(fl);
	if (p->bye) {
		msg_batch_done(b);
		return 0;
	}
	if (vec_push(&fl->pending, x)) {
		msg_batch_done(b);
		return -ENOMEM;
	}
	p->pending = true;
	fl->npending_accesses += x.b.naccesses;
	if (fl->pending.n >= GATHER_BATCHES || fl->npending_accesses >= GATHER_ACCESSES)
		fleet_gather_store(fl);
	else if (!uv_is_active((uv_handle_t *)&fl->store))
		uv_timer_start(&fl->store, store_cb, GATHER_MS, 0);
	return 0;
}

void fleet_gather_gone(struct peer *p)
{
	for (size_t i = 0; p->pending && i < p->fl->pending.n; i++)
		if (p->fl->pending.v[i].p == p)
			p->fl->pending.v[i].p = NULL;
	p->pending = false;
}

void fleet_gather_done(struct fleet *fl)
{
	for (size_t i = 0; i < fl->pending.n; i++) {
		if (fl->pending.v[i].p)
			fl->pending.v[i].p->pending = false;
		msg_batch_done(&fl->pending.v[i].b);
	}
	vec_done(&fl->pending);
	fl->npending_accesses = 0;
}
