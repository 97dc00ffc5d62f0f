/* SPDX-License-Identifier: Apache-2.0 */
/* replica.c - the agent's copy: frames are gathered aside and count as a whole or not at all. */
#include "wire/replica_priv.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"

#define RECORDS_MAX 2000000u /* of one state */

static void rep_free(void *p)
{
	struct rep *x = p;

	rep_clear(x);
	free(x);
}

static void gathered_done(struct gathered *g)
{
	htab_free(g->table, rep_free);
	*g = (struct gathered){};
}

int replica_new(struct replica **ret)
{
	struct replica *r = calloc(1, sizeof(*r));

	if (!r)
		return -ENOMEM;
	r->table = htab_new();
	if (!r->table) {
		free(r);
		return -ENOMEM;
	}
	*ret = r;
	return 0;
}

static void htab_clear(struct replica *r)
{
	size_t it = 0, len;
	const void *k;
	void *v;

	while (htab_next(r->table, &it, &k, &len, &v)) {
		(void)htab_del(r->table, k, len);
		rep_free(v);
	}
}

static void kinds_done(struct replica *r)
{
	for (int k = 0; k < REC_KINDS; k++)
		vec_done(&r->kind[k]);
}

void replica_free(struct replica *r)
{
	if (!r)
		return;
	gathered_done(&r->next);
	kinds_done(r);
	htab_free(r->table, rep_free);
	free(r);
}

struct msg_held replica_held(const struct replica *r)
{
	return r->held;
}

void replica_drop(struct replica *r)
{
	gathered_done(&r->next);
}

/* ---- gathering ------------------------------------------------------------------------------- */

static int begin(struct replica *r, const struct frame *fr)
{
	struct msg_sync s;
	int e = msg_get_sync(fr, &s);

	if (e)
		return e;
	if (r->next.table)
		return -EBADMSG; /* one in the middle of another */
	if (!s.snapshot && (!r->held.epoch || s.base != r->held.digest))
		return -ESTALE;
	r->next.table = htab_new();
	if (!r->next.table)
		return -ENOMEM;
	r->next.sync = s;
	return 0;
}

static int gather_one(struct replica *r, const struct rec_bytes *b)
{
	char tk[REC_KEY_MAX + 2];
	struct rep *x = calloc(1, sizeof(*x));
	void *old = NULL;
	int e;

	if (!x)
		return -ENOMEM;
	x->kind = (uint8_t)b->kind;
	x->gone = b->gone;
	x->hash = b->gone ? 0 : rec_hash(b);
	e = b->gone ? 0 : rep_decode(x, b);
	if (!e && !x->gone) {
		x->key = strdup(b->key);
		e = x->key ? 0 : -ENOMEM;
	}
	if (!e)
		e = htab_set(r->next.table, tk, rec_table_key(b->kind, b->key, b->key_len, tk), x, &old);
	if (e) {
		rep_free(x);
		return e;
	}
	if (old) {
		rep_free(old); /* each record comes once */
		return -EBADMSG;
	}
	return 0;
}

static int gather(struct replica *r, const struct frame *fr)
{
	const char *p = fr->body;
	size_t n = fr->len;
	struct rec_bytes b;
	int e = r->next.table ? 0 : -EBADMSG;

	while (!e && n) {
		e = rec_get(&p, &n, &b);
		if (!e && htab_count(r->next.table) >= RECORDS_MAX)
			e = -EBADMSG;
		e = e ? e : gather_one(r, &b);
	}
	return e;
}

/* ---- committing ------------------------------------------------------------------------------ */

/* What the digest and the number of records will be; nothing changes yet. */
static void foresee(const struct replica *r, uint64_t *ret_digest, uint64_t *ret_count)
{
	const struct gathered *g = &r->next;
	uint64_t digest = g->sync.snapshot ? 0 : r->held.digest, count = g->sync.snapshot ? 0 : htab_count(r->table);
	size_t it = 0, len;
	const void *k;
	void *v;

	while (htab_next(g->table, &it, &k, &len, &v)) {
		const struct rep *x = v, *old = g->sync.snapshot ? NULL : htab_get(r->table, k, len);

		digest += x->hash - (old ? old->hash : 0);
		count += (old == NULL && !x->gone) - (uint64_t)(old != NULL && x->gone);
	}
	*ret_digest = digest;
	*ret_count = count;
}

static int rep_cmp(const void *a, const void *b)
{
	const struct rep *x = *(struct rep *const *)a, *y = *(struct rep *const *)b;

	return strcmp(x->key, y->key);
}

/* The kind's list: those that stay, merged with new ones; both in the order of keys. */
static int kind_merge(struct kind_list *l, struct kind_list *fresh)
{
	struct kind_list out = { .cap = l->n + fresh->n + 1 };
	size_t i = 0, j = 0;

	out.v = reallocarray(NULL, out.cap, sizeof(*out.v));
	if (!out.v)
		return -ENOMEM;
	if (fresh->n)
		qsort(fresh->v, fresh->n, sizeof(*fresh->v), rep_cmp);
	while (i < l->n || j < fresh->n) {
		if (i < l->n && l->v[i]->gone)
			i++;
		else if (j >= fresh->n || (i < l->n && rep_cmp(&l->v[i], &fresh->v[j]) < 0))
			out.v[out.n++] = l->v[i++];
		else
			out.v[out.n++] = fresh->v[j++];
	}
	vec_done(l);
	*l = out;
	return 0;
}

struct work {
	struct kind_list fresh[REC_KINDS], dead;
	bool dirty[REC_KINDS];
};

static void work_done(struct work *w)
{
	for (int k = 0; k < REC_KINDS; k++)
		vec_done(&w->fresh[k]);
	for (size_t i = 0; i < w->dead.n; i++)
		rep_free(w->dead.v[i]);
	vec_done(&w->dead);
}

/* One record of a delta into the table. Kinds that this build does not know count, and are in no list. */
static int apply_one(struct replica *r, const void *k, size_t len, struct rep *x, struct work *w)
{
	struct rep *old = htab_get(r->table, k, len), swap;

	if (x->kind < REC_KINDS && (x->gone ? old != NULL : !old))
		w->dirty[x->kind] = true;
	if (x->gone) {
		if (!old)
			return 0;
		old->gone = true;
		(void)htab_del(r->table, k, len);
		if (!vec_push(&w->dead, old))
			return 0;
		return -ENOMEM; /* nothing of it is kept then: see commit() */
	}
	if (old) {
		swap = *old;
		*old = *x;
		*x = swap;
		return 0;
	}
	old = malloc(sizeof(*old));
	if (!old)
		return -ENOMEM;
	*old = *x;
	*x = (struct rep){ .kind = x->kind, .gone = true };
	if (htab_set(r->table, k, len, old, NULL)) {
		rep_free(old);
		return -ENOMEM;
	}
	return old->kind < REC_KINDS ? vec_push(&w->fresh[old->kind], old) : 0;
}

static int commit_delta(struct replica *r)
{
	auto_cleanup(work_done) struct work w = {};
	size_t it = 0, len;
	const void *k;
	void *v;
	int e = 0;

	while (!e && htab_next(r->next.table, &it, &k, &len, &v))
		e = apply_one(r, k, len, v, &w);
	for (int i = 0; i < REC_KINDS && !e; i++)
		if (w.dirty[i])
			e = kind_merge(&r->kind[i], &w.fresh[i]);
	return e;
}

static int commit_snapshot(struct replica *r)
{
	auto_cleanup(work_done) struct work w = {};
	size_t it = 0, len;
	const void *k;
	void *v;
	int e = 0;

	kinds_done(r);
	htab_free(r->table, rep_free);
	r->table = r->next.table;
	r->next.table = NULL;
	while (!e && htab_next(r->table, &it, &k, &len, &v)) {
		struct rep *x = v;

		if (x->kind < REC_KINDS)
			e = vec_push(&w.fresh[x->kind], x);
	}
	for (int i = 0; i < REC_KINDS && !e; i++)
		e = kind_merge(&r->kind[i], &w.fresh[i]);
	return e;
}

static bool any_gone(const struct htab *t)
{
	size_t it = 0, len;
	const void *k;
	void *v;

	while (htab_next(t, &it, &k, &len, &v))
		if (((struct rep *)v)->gone)
			return true;
	return false;
}

static int commit(struct replica *r, const struct frame *fr, struct msg_sync *ret)
{
	struct gathered *g = &r->next;
	uint64_t digest, count;
	struct msg_commit c;
	int e = msg_get_commit(fr, &c);

	if (e)
		return e;
	if (!g->table || c.revision != g->sync.revision || (g->sync.snapshot && any_gone(g->table)))
		return -EBADMSG;
	foresee(r, &digest, &count);
	if (digest != c.digest || count != c.count)
		return -EBADMSG;
	e = g->sync.snapshot ? commit_snapshot(r) : commit_delta(r);
	if (e) {
		/* Half of it is worth nothing: as if there had never been any. */
		kinds_done(r);
		htab_clear(r);
		r->held = (struct msg_held){};
		return e;
	}
	r->held = (struct msg_held){ g->sync.epoch, c.revision, digest, count };
	r->generation = g->sync.generation;
	*ret = g->sync;
	gathered_done(g);
	return 1;
}

int replica_take(struct replica *r, const struct frame *fr, struct msg_sync *ret)
{
	int e;

	switch (fr->type) {
	case FRAME_SYNC:
		e = begin(r, fr);
		break;
	case FRAME_RECORDS:
		e = gather(r, fr);
		break;
	case FRAME_COMMIT:
		e = commit(r, fr, ret);
		break;
	default:
		return -EINVAL;
	}
	if (e < 0)
		gathered_done(&r->next);
	return e;
}
