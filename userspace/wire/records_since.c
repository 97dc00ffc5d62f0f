/* SPDX-License-Identifier: Apache-2.0 */
/* records_since.c - records as frames: deltas from the log, snapshots from buckets. */
#include "wire/records_table.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"

#define BUCKET_RECORDS 512u
#define BUCKETS_MAX 4096u
#define DELTA_MAX ((size_t)FRAME_BODY_MAX * 16) /* all frames of one delta; more is a snapshot */

/* ---- buckets --------------------------------------------------------------------------------- */

void bucket_touch(struct records *r, struct rec *x)
{
	if (!r->nbuckets)
		return;
	wire_blob_unref(r->buckets[x->bucket].blob);
	r->buckets[x->bucket].blob = NULL;
}

void bucket_add(struct records *r, struct rec *x)
{
	struct bucket *b;

	if (!r->nbuckets)
		return;
	x->bucket = (uint32_t)hash_bytes(x->item->kind, item_key(x->item), x->item->key_len) & (r->nbuckets - 1);
	b = &r->buckets[x->bucket];
	x->prev = NULL;
	x->next = b->head;
	if (b->head)
		b->head->prev = x;
	b->head = x;
	bucket_touch(r, x);
}

void bucket_del(struct records *r, struct rec *x)
{
	if (!r->nbuckets)
		return;
	bucket_touch(r, x);
	if (x->prev)
		x->prev->next = x->next;
	else
		r->buckets[x->bucket].head = x->next;
	if (x->next)
		x->next->prev = x->prev;
}

/* As many as the records want; all are made anew when that has doubled or halved twice. */
static int buckets_fit(struct records *r)
{
	uint32_t want = 1;
	struct bucket *v;

	while (want < BUCKETS_MAX && want * BUCKET_RECORDS < r->order.n)
		want *= 2;
	if (r->nbuckets && want <= r->nbuckets * 2 && r->nbuckets <= want * 4)
		return 0;
	v = calloc(want, sizeof(*v));
	if (!v)
		return -ENOMEM;
	for (uint32_t i = 0; i < r->nbuckets; i++)
		wire_blob_unref(r->buckets[i].blob);
	free(r->buckets);
	r->buckets = v;
	r->nbuckets = want;
	for (size_t i = 0; i < r->order.n; i++)
		bucket_add(r, r->order.v[i]);
	return 0;
}

/* ---- frames ---------------------------------------------------------------------------------- */

struct out { struct buf frames, plain; };

static void out_init(struct out *o)
{
	buf_init(&o->frames, DELTA_MAX);
	buf_init(&o->plain, FRAME_PLAIN_MAX);
}

static void out_done(struct out *o)
{
	buf_done(&o->frames);
	buf_done(&o->plain);
}

static void out_flush(struct out *o)
{
	if (o->plain.err)
		o->frames.err = o->frames.err ? o->frames.err : o->plain.err;
	else if (o->plain.len)
		(void)frame_put_zlib(&o->frames, FRAME_RECORDS, o->plain.data, o->plain.len);
	o->plain.len = 0;
}

static void out_item(struct out *o, const struct item *it)
{
	if (o->plain.len && o->plain.len + it->len > REC_PLAIN)
		out_flush(o);
	(void)buf_add(&o->plain, it->data, it->len);
}

static struct wire_blob *out_blob(struct out *o)
{
	out_flush(o);
	return o->frames.err ? NULL : wire_blob_new(o->frames.data, o->frames.len);
}

static struct wire_blob *bucket_blob(struct bucket *b)
{
	auto_cleanup(out_done) struct out o = {};

	if (b->blob)
		return b->blob;
	out_init(&o);
	for (const struct rec *x = b->head; x; x = x->next)
		out_item(&o, x->item);
	b->blob = out_blob(&o);
	return b->blob;
}

static int push_blob(struct wire_blobs *l, struct wire_blob *b)
{
	if (b && !vec_push(l, b))
		return 0;
	wire_blob_unref(b);
	return -ENOMEM;
}

static int push_frames(struct wire_blobs *l, struct buf *b)
{
	int e = b->err ? b->err : push_blob(l, wire_blob_new(b->data, b->len));

	buf_done(b);
	return e;
}

static int snapshot(struct records *r, struct wire_blobs *l)
{
	const struct msg_sync sync = { .snapshot = true, .epoch = r->epoch, .revision = r->revision,
				       .generation = r->generation, .flows = POLICY_CUT };
	const struct msg_commit commit = { r->revision, r->digest, r->order.n };
	struct buf b;
	int e = buckets_fit(r);

	buf_init(&b, FRAME_FIRST_MAX);
	if (!e) {
		(void)msg_put_sync(&b, &sync);
		e = push_frames(l, &b);
	}
	for (uint32_t i = 0; i < r->nbuckets && !e; i++) {
		struct wire_blob *x = r->buckets[i].head ? bucket_blob(&r->buckets[i]) : NULL;

		if (r->buckets[i].head)
			e = x ? push_blob(l, wire_blob_ref(x)) : -ENOMEM;
	}
	if (!e) {
		(void)msg_put_commit(&b, &commit);
		e = push_frames(l, &b);
	}
	return e;
}

/* Frames of steps first..last, where of several states of a record the last one counts. */
static int delta_make(struct records *r, size_t first, size_t last, struct wire_blob **ret)
{
	const struct step *a = &r->log.v[first], *z = &r->log.v[last];
	const struct msg_sync sync = { .epoch = r->epoch, .revision = z->to.revision, .base = a->base.digest,
				       .generation = z->generation, .flows = z->flows };
	const struct msg_commit commit = { z->to.revision, z->to.digest, z->to.count };
	struct htab *seen = first < last ? htab_new() : NULL;
	auto_cleanup(out_done) struct out o = {};
	int e = first < last && !seen ? -ENOMEM : 0;

	out_init(&o);
	(void)msg_put_sync(&o.frames, &sync);
	for (size_t i = last + 1; i-- > first && !e;) {
		for (size_t k = 0; k < r->log.v[i].n && !e; k++) {
			const struct item *it = r->log.v[i].items[k];
			char tk[REC_KEY_MAX + 2];
			size_t n = rec_table_key(it->kind, item_key(it), it->key_len, tk);

			if (seen && htab_has(seen, tk, n))
				continue;
			if (seen)
				e = htab_set(seen, tk, n, (void *)it, NULL);
			out_item(&o, it);
		}
	}
	htab_free(seen, NULL);
	out_flush(&o);
	(void)msg_put_commit(&o.frames, &commit);
	if (e || o.frames.err)
		return e ? e : o.frames.err;
	*ret = wire_blob_new(o.frames.data, o.frames.len);
	return *ret ? 0 : -ENOMEM;
}

static bool held_same(const struct msg_held *a, const struct msg_held *b)
{
	return a->epoch == b->epoch && a->revision == b->revision && a->digest == b->digest && a->count == b->count;
}

/* 1: pushed; 0: the log does not reach back that far; -ENOMEM. */
static int delta(struct records *r, const struct msg_held *held, struct wire_blobs *l, struct msg_held *ret_to)
{
	size_t first = r->log_first, last;
	struct wire_blob *b;
	int e;

	/* Revisions are consecutive. */
	if (held->epoch != r->epoch || first == r->log.n || held->revision < r->log.v[first].base.revision ||
	    held->revision >= r->revision)
		return 0;
	first += held->revision - r->log.v[first].base.revision;
	if (!held_same(&r->log.v[first].base, held))
		return 0;
	for (last = first; last + 1 < r->log.n && r->log.v[last + 1].flows == r->log.v[first].flows;)
		last++;
	*ret_to = r->log.v[last].to;
	for (size_t i = 0; i < ARRAY_SIZE(r->cache); i++) {
		if (!r->cache[i].blob || !held_same(&r->cache[i].from, held) || !held_same(&r->cache[i].to, ret_to))
			continue;
		e = push_blob(l, wire_blob_ref(r->cache[i].blob));
		return e ? e : 1;
	}
	e = delta_make(r, first, last, &b);
	if (e == -E2BIG)
		return 0;
	e = e ? e : push_blob(l, wire_blob_ref(b));
	if (e)
		return e;
	wire_blob_unref(r->cache[r->cache_next].blob);
	r->cache[r->cache_next].from = *held;
	r->cache[r->cache_next].to = *ret_to;
	r->cache[r->cache_next].blob = b;
	r->cache_next = (r->cache_next + 1) % ARRAY_SIZE(r->cache);
	return 1;
}

/* The same records, come by in another life of the controller: only the names of things change. */
static int rename_only(struct records *r, struct wire_blobs *l)
{
	const struct msg_sync sync = { .epoch = r->epoch, .revision = r->revision, .base = r->digest,
				       .generation = r->generation, .flows = POLICY_CUT };
	const struct msg_commit commit = { r->revision, r->digest, r->order.n };
	struct buf b;

	buf_init(&b, FRAME_FIRST_MAX);
	(void)msg_put_sync(&b, &sync);
	(void)msg_put_commit(&b, &commit);
	return push_frames(l, &b);
}

int records_since(struct records *r, const struct msg_held *held, struct wire_blobs *ret,
		  struct msg_held *ret_to, bool *ret_snapshot)
{
	const struct msg_held now = records_held(r);
	struct wire_blobs l = {};
	struct msg_held to = now;
	bool whole = false;
	int e;

	if (!r->revision || held_same(held, &now)) {
		*ret = l;
		*ret_to = *held;
		*ret_snapshot = false;
		return 0;
	}
	e = delta(r, held, &l, &to);
	if (!e) {
		to = now;
		/* An empty one has the digest 0 too, but nobody who holds nothing was ever given it. */
		if (held->epoch && held->digest == now.digest && held->count == now.count) {
			e = rename_only(r, &l);
		} else {
			whole = true;
			e = snapshot(r, &l);
		}
	}
	if (e < 0) {
		wire_blobs_done(&l);
		return e;
	}
	*ret = l;
	*ret_to = to;
	*ret_snapshot = whole;
	return 0;
}
