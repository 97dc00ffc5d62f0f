/* SPDX-License-Identifier: Apache-2.0 */
/* records.c - the records of a state: what a new one changes, and the table that holds them. */
#include "wire/records_table.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"

#define LOG_DEFAULT 65536u

/* ---- shared bytes ---------------------------------------------------------------------------- */

struct wire_blob *wire_blob_new(const void *p, size_t len)
{
	struct wire_blob *b = malloc(sizeof(*b) + len);

	if (!b)
		return NULL;
	b->refs = 1;
	b->len = len;
	if (len)
		memcpy(b->data, p, len);
	return b;
}

struct wire_blob *wire_blob_ref(struct wire_blob *b)
{
	b->refs++;
	return b;
}

void wire_blob_unref(struct wire_blob *b)
{
	if (b && !--b->refs)
		free(b);
}

void wire_blobs_done(struct wire_blobs *l)
{
	for (size_t i = 0; i < l->n; i++)
		wire_blob_unref(l->v[i]);
	vec_done(l);
}

/* ---- items ----------------------------------------------------------------------------------- */

static struct item *item_new(const struct rec_bytes *r)
{
	const size_t n = r->gone ? 0 : r->text_len;
	struct item *it = malloc(sizeof(*it) + REC_HEAD + r->key_len + n + 2);
	char *p;

	if (!it)
		return NULL;
	it->refs = 1;
	it->len = (uint32_t)(REC_HEAD + r->key_len + n + 2);
	it->key_len = (uint16_t)r->key_len;
	it->kind = (uint8_t)r->kind;
	it->gone = r->gone;
	it->hash = r->gone ? 0 : rec_hash(r);
	p = it->data;
	*p++ = (char)r->kind;
	*p++ = (char)r->gone;
	*p++ = (char)(r->key_len >> 8);
	*p++ = (char)r->key_len;
	for (int s = 24; s >= 0; s -= 8)
		*p++ = (char)(n >> s);
	memcpy(p, r->key, r->key_len);
	p += r->key_len;
	*p++ = 0;
	if (n)
		memcpy(p, r->text, n);
	p[n] = 0;
	return it;
}

static struct item *item_ref(struct item *it)
{
	it->refs++;
	return it;
}

static void item_unref(struct item *it)
{
	if (it && !--it->refs)
		free(it);
}

static bool item_text_is(const struct item *it, const struct rec_bytes *r)
{
	return it->kind == r->kind && it->len == REC_HEAD + r->key_len + r->text_len + 2 &&
	       it->key_len == r->key_len && !memcmp(item_text(it), r->text, r->text_len) &&
	       !memcmp(item_key(it), r->key, r->key_len);
}

static size_t item_table_key(const struct item *it, char out[REC_KEY_MAX + 2])
{
	return rec_table_key(it->kind, item_key(it), it->key_len, out);
}

/* ---- life ------------------------------------------------------------------------------------ */

int records_new(uint64_t epoch, size_t log_max, struct records **ret)
{
	struct records *r = calloc(1, sizeof(*r));

	if (!r)
		return -ENOMEM;
	r->table = htab_new();
	if (!r->table) {
		free(r);
		return -ENOMEM;
	}
	r->epoch = epoch;
	r->log_max = log_max ? log_max : LOG_DEFAULT;
	*ret = r;
	return 0;
}

static void rec_free(void *p)
{
	struct rec *x = p;

	item_unref(x->item);
	free(x);
}

static void step_done(struct step *s)
{
	for (size_t i = 0; i < s->n; i++)
		item_unref(s->items[i]);
	free(s->items);
}

void records_free(struct records *r)
{
	if (!r)
		return;
	for (size_t i = 0; i < r->nbuckets; i++)
		wire_blob_unref(r->buckets[i].blob);
	free(r->buckets);
	for (size_t i = 0; i < ARRAY_SIZE(r->cache); i++)
		wire_blob_unref(r->cache[i].blob);
	for (size_t i = r->log_first; i < r->log.n; i++)
		step_done(&r->log.v[i]);
	vec_done(&r->log);
	vec_done(&r->order);
	htab_free(r->table, rec_free);
	free(r);
}

struct msg_held records_held(const struct records *r)
{
	return (struct msg_held){ r->epoch, r->revision, r->digest, r->order.n };
}

uint64_t records_generation(const struct records *r)
{
	return r->generation;
}

const char *records_text(const struct records *r, enum record_kind kind, const char *key)
{
	char tk[REC_KEY_MAX + 2];
	size_t n = strlen(key);
	const struct rec *x = n <= REC_KEY_MAX ? htab_get(r->table, tk, rec_table_key(kind, key, n, tk)) : NULL;

	return x && x->item ? item_text(x->item) : NULL;
}

/* ---- a next state ---------------------------------------------------------------------------- */

struct change { struct rec *rec; struct item *item; bool fresh; };
struct records_next {
	struct records *r;
	struct { struct change *v; size_t n, cap; } changes;
	struct { struct rec **v; size_t n, cap; } order;
	struct htab *fresh;	/* records that are not in the table yet, by table key */
	uint64_t generation, stamp;
	size_t cursor, known;	/* place in r->order; how many of the table were met */
};

void records_abort(struct records_next *n)
{
	if (!n)
		return;
	for (size_t i = 0; i < n->changes.n; i++) {
		struct change *c = &n->changes.v[i];
		char tk[REC_KEY_MAX + 2];

		if (c->fresh) {
			(void)htab_del(n->r->table, tk, item_table_key(c->item, tk));
			free(c->rec);
		}
		item_unref(c->item);
	}
	vec_done(&n->changes);
	vec_done(&n->order);
	htab_free(n->fresh, NULL);
	free(n);
}

size_t records_next_changes(const struct records_next *n)
{
	return n->changes.n;
}

static int change_add(struct records_next *n, struct rec *x, bool fresh, const struct rec_bytes *b)
{
	struct change c = { x, item_new(b), fresh };

	if (!c.item || vec_push(&n->changes, c)) {
		item_unref(c.item);
		return -ENOMEM;
	}
	return 0;
}

static int next_fresh(struct records_next *n, const struct rec_bytes *b, const char *tk, size_t tlen, struct rec **ret)
{
	struct rec *x;

	if (!n->fresh)
		n->fresh = htab_new();
	if (!n->fresh)
		return -ENOMEM;
	if (htab_has(n->fresh, tk, tlen)) {
		*ret = NULL; /* the first of two alike counts */
		return 0;
	}
	x = calloc(1, sizeof(*x));
	if (!x || htab_set(n->fresh, tk, tlen, x, NULL) || change_add(n, x, true, b)) {
		free(x); /* `fresh` owns nothing, and is not asked again */
		return -ENOMEM;
	}
	*ret = x;
	return 0;
}

static int next_one(void *arg, const struct rec_bytes *b)
{
	struct records_next *n = arg;
	struct records *r = n->r;
	char tk[REC_KEY_MAX + 2];
	struct rec *x = n->cursor < r->order.n ? r->order.v[n->cursor] : NULL;
	size_t tlen;
	int e;

	/* States mostly come in the order of the last one, and mostly unchanged: no look-up then. */
	if (!x || x->stamp == n->stamp || !item_text_is(x->item, b)) {
		tlen = rec_table_key(b->kind, b->key, b->key_len, tk);
		x = htab_get(r->table, tk, tlen);
		if (!x) {
			e = next_fresh(n, b, tk, tlen, &x);
			return e || !x ? e : vec_push(&n->order, x);
		}
		if (x->stamp == n->stamp)
			return 0;
		if (!item_text_is(x->item, b)) {
			e = change_add(n, x, false, b);
			if (e)
				return e;
		}
	}
	n->cursor = x->place + 1;
	x->stamp = n->stamp;
	n->known++;
	return vec_push(&n->order, x);
}

static int next_gone(struct records_next *n)
{
	const struct records *r = n->r;
	int e = 0;

	for (size_t i = 0; i < r->order.n && !e; i++) {
		struct rec *x = r->order.v[i];
		const struct rec_bytes b = {
			.kind = x->item->kind, .gone = true, .key = item_key(x->item), .key_len = x->item->key_len,
			.text = "",
		};

		if (x->stamp != n->stamp)
			e = change_add(n, x, false, &b);
	}
	return e;
}

int records_prepare(struct records *r, const struct policy_state *st, struct fail_list *f, struct records_next **ret)
{
	struct records_next *n = calloc(1, sizeof(*n));
	int e;

	if (!n)
		return -ENOMEM;
	n->r = r;
	n->generation = st->generation;
	n->stamp = ++r->stamp;
	e = vec_reserve(&n->order, r->order.n + 8);
	e = e ? e : rec_each(st, f, next_one, n);
	if (!e && n->known < r->order.n)
		e = next_gone(n);
	/* What commit must not fail for: room in the log, and the places of new records in the table. */
	if (!e && vec_reserve(&r->log, r->log.n + 1))
		e = -ENOMEM;
	for (size_t i = 0; !e && i < n->changes.n; i++) {
		struct change *c = &n->changes.v[i];
		char tk[REC_KEY_MAX + 2];

		if (c->fresh)
			e = htab_set(r->table, tk, item_table_key(c->item, tk), c->rec, NULL);
	}
	if (e) {
		records_abort(n);
		return e;
	}
	*ret = n;
	return 0;
}

/* ---- commit ---------------------------------------------------------------------------------- */

static void rec_change(struct records *r, struct rec *x, struct item *it)
{
	r->digest -= x->item ? x->item->hash : 0;
	r->digest += it->hash;
	if (x->item)
		bucket_touch(r, x);
	if (!it->gone) {
		const bool fresh = !x->item;

		item_unref(x->item);
		x->item = item_ref(it);
		if (fresh)
			bucket_add(r, x);
		return;
	}
	bucket_del(r, x);
	{
		char tk[REC_KEY_MAX + 2];

		(void)htab_del(r->table, tk, item_table_key(it, tk));
	}
	rec_free(x);
}

/* Old steps go when there are too many changes; what is asked from before them gets a snapshot. */
static void log_trim(struct records *r)
{
	while (r->log_first < r->log.n && (r->log_items > r->log_max || r->log.n - r->log_first > r->log_max)) {
		struct step *s = &r->log.v[r->log_first++];

		r->log_items -= s->n;
		step_done(s);
	}
	if (r->log_first > 64 && r->log_first > r->log.n / 2) {
		memmove(r->log.v, &r->log.v[r->log_first], (r->log.n - r->log_first) * sizeof(*r->log.v));
		r->log.n -= r->log_first;
		r->log_first = 0;
	}
}

void records_commit(struct records *r, struct records_next *n, enum policy_flows flows)
{
	struct step s = { .flows = flows, .generation = n->generation, .base = records_held(r), .n = n->changes.n };

	if (!n->changes.n && n->generation == r->generation && r->revision) {
		r->order.n = 0; /* the same records, in the order of this state */
		for (size_t i = 0; i < n->order.n; i++)
			(n->order.v[i]->place = i, r->order.v[r->order.n++] = n->order.v[i]);
		records_abort(n);
		return;
	}
	/* Without memory the step is not remembered: everybody behind it gets a snapshot. */
	s.items = reallocarray(NULL, n->changes.n + 1, sizeof(*s.items));
	for (size_t i = 0; i < n->changes.n; i++) {
		struct change *c = &n->changes.v[i];

		if (s.items)
			s.items[i] = item_ref(c->item);
		rec_change(r, c->rec, c->item);
		item_unref(c->item);
	}
	r->generation = n->generation;
	r->revision++;
	for (size_t i = 0; i < n->order.n; i++)
		n->order.v[i]->place = i;
	vec_done(&r->order);
	r->order.v = n->order.v;
	r->order.n = n->order.n;
	r->order.cap = n->order.cap;
	s.to = records_held(r);
	if (s.items) {
		r->log.v[r->log.n++] = s;
		r->log_items += s.n;
		log_trim(r);
	} else {
		records_log_forget(r);
	}
	vec_done(&n->changes);
	htab_free(n->fresh, NULL);
	free(n);
}

void records_log_forget(struct records *r)
{
	r->log_items = 0;
	while (r->log_first < r->log.n)
		step_done(&r->log.v[r->log_first++]);
	r->log.n = r->log_first = 0;
}
