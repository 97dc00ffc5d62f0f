/* SPDX-License-Identifier: Apache-2.0 */
/* Two rows laid over each other, and both sides of a pair: what differs, on which ports. */
#include <stdlib.h>
#include <string.h>

#include "policy/diff_priv.h"

/* cw_name_prefers() only. */
#define CW_EVAL_CTX void
static inline int cw_eval_word(void *c, __u32 i, __u64 *v) { (void)c; (void)i; (void)v; return -1; }
static inline int cw_eval_peer(void *c, const void *k, __u32 *v) { (void)c; (void)k; (void)v; return -1; }
static inline int cw_eval_rowtab(void *c, __u32 i, __u64 *v) { (void)c; (void)i; (void)v; return -1; }
static inline int cw_eval_row(void *c, __u32 i, __u64 *v) { (void)c; (void)i; (void)v; return -1; }
#include "cw_eval.h"
/* ---- two rows --------------------------------------------------------------------------------------- */

static bool told_same(const struct diff_verdict *a, const struct diff_verdict *b)
{
	return a->rule == b->rule && a->action == b->action && a->tier == b->tier && a->flags == b->flags;
}

/* Two rows walked at once; at each point whoever speaks first. */
struct walk { const struct policy_set *set; const uint64_t *v[2]; size_t n[2], at[2]; int rows; };

static struct walk walk_of(const struct policy_set *set, struct rowpair p)
{
	struct walk w = { .set = set, .rows = p.name == NIL ? 1 : 2 };

	w.v[0] = space_row(set, p.row, &w.n[0]);
	if (w.rows == 2)
		w.v[1] = space_row(set, p.name, &w.n[1]);
	return w;
}

static uint32_t walk_end(const struct walk *w)
{
	uint32_t end = CW_AXIS_END;

	for (int i = 0; i < w->rows; i++)
		if (w->at[i] + 1 < w->n[i] && (uint32_t)(w->v[i][w->at[i] + 1] >> 32) < end)
			end = (uint32_t)(w->v[i][w->at[i] + 1] >> 32);
	return end;
}

static void walk_to(struct walk *w, uint32_t end)
{
	for (int i = 0; i < w->rows; i++)
		if (w->at[i] + 1 < w->n[i] && (uint32_t)(w->v[i][w->at[i] + 1] >> 32) == end)
			w->at[i]++;
}

static struct diff_verdict walk_told(const struct walk *w)
{
	struct cw_verdict v = space_verdict(w->set, (uint32_t)w->v[0][w->at[0]]);

	if (w->rows == 2) {
		struct cw_verdict n = space_verdict(w->set, (uint32_t)w->v[1][w->at[1]]);

		if (cw_name_prefers(&n, &v))
			v = n;
	}
	return (struct diff_verdict){ .rule = v.rule, .action = v.action, .tier = v.tier,
					      .flags = v.flags & (CW_V_REJECT | CW_V_ALWAYS | CW_V_ISOLATED) };
}

/* Segments of the axis on which the actions differ. */
static int rows_compare(const struct diff_build *b, const struct rowpair p[SPACE_SETS], struct seglist *ret)
{
	struct { struct seg *v; size_t n, cap; } out = {};
	struct walk a = walk_of(b->s->set[0], p[0]), c = walk_of(b->s->set[1], p[1]);
	uint32_t at = 0;

	while (at < CW_AXIS_END) {
		uint32_t ea = walk_end(&a), eb = walk_end(&c), end = ea < eb ? ea : eb;
		struct seg s = { { at, end - 1 }, walk_told(&a), walk_told(&c) };
		struct seg *last = out.n ? &out.v[out.n - 1] : NULL;

		if (s.was.action != s.by.action) {
			if (last && last->at.hi + 1 == at && told_same(&last->was, &s.was) && told_same(&last->by, &s.by))
				last->at.hi = s.at.hi;
			else if (vec_push(&out, s))
				goto nomem;
		}
		walk_to(&a, end);
		walk_to(&c, end);
		at = end;
	}
	ret->v = out.v;
	ret->n = out.n;
	return 0;
nomem:
	vec_done(&out);
	return -ENOMEM;
}

int diff_rows(struct diff_build *b, const struct rowpair p[SPACE_SETS], uint32_t *ret)
{
	uint64_t key[2] = { (uint64_t)p[0].row << 32 | p[1].row, (uint64_t)p[0].name << 32 | p[1].name };
	uint64_t mix = key[0] ^ key[0] >> 27 ^ key[1] * 0x2545f4914f6cdd1dull, slot = mix * 0x9e3779b97f4a7c15ull >> 52;
	struct seglist l = {};
	uintptr_t at;
	int r;

	if (b->memo[slot].known && b->memo[slot].rows[0] == key[0] && b->memo[slot].rows[1] == key[1]) {
		*ret = b->memo[slot].id;
		return 0;
	}
	at = (uintptr_t)htab_get(b->rowpairs, key, sizeof(key));
	if (!at) {
		uint32_t id = 0;

		r = rows_compare(b, p, &l);
		if (r)
			return r;
		if (l.n) {
			id = (uint32_t)(uintptr_t)htab_get(b->seg_by, l.v, l.n * sizeof(*l.v));
			if (id) {
				free(l.v);
			} else if (vec_push(&b->segs, l)) {
				free(l.v);
				return -ENOMEM;
			} else {
				id = (uint32_t)b->segs.n;
				if (htab_set(b->seg_by, l.v, l.n * sizeof(*l.v), (void *)(uintptr_t)id, NULL))
					return -ENOMEM;
			}
		}
		at = (uintptr_t)id + 1;
		if (htab_set(b->rowpairs, key, sizeof(key), (void *)at, NULL))
			return -ENOMEM;
	}
	b->memo[slot].known = true;
	memcpy(b->memo[slot].rows, key, sizeof(key));
	b->memo[slot].id = *ret = (uint32_t)at - 1;
	return 0;
}

/* ---- both sides of a pair ------------------------------------------------------------------------------- */

struct part { struct how how; struct diff_span at; };
struct parts { struct part *v; size_t n, cap; };

static int part_cmp(const void *x, const void *y)
{
	const struct part *a = x, *b = y;
	int r = memcmp(&a->how, &b->how, sizeof(a->how));

	return r ?: (a->at.lo > b->at.lo) - (a->at.lo < b->at.lo);
}

static int part_add(struct parts *p, int side, const struct seg *s, uint32_t lo, uint32_t hi)
{
	return vec_push(p, ((struct part){ { side, s->was, s->by }, { lo, hi } }));
}

static int sides_join(const struct seglist *e, const struct seglist *i, struct parts *ret)
{
	size_t x = 0, y = 0;
	uint32_t at = 0;
	int r = 0;

	while (!r && (x < e->n || y < i->n)) {
		const struct seg *a = x < e->n ? &e->v[x] : NULL, *b = y < i->n ? &i->v[y] : NULL;
		uint32_t la = a ? (a->at.lo > at ? a->at.lo : at) : CW_AXIS_END;
		uint32_t lb = b ? (b->at.lo > at ? b->at.lo : at) : CW_AXIS_END;
		uint32_t lo = la < lb ? la : lb, hi = CW_AXIS_END - 1;
		bool ina = a && a->at.lo <= lo, inb = b && b->at.lo <= lo;

		hi = a && hi > (ina ? a->at.hi : a->at.lo - 1) ? (ina ? a->at.hi : a->at.lo - 1) : hi;
		hi = b && hi > (inb ? b->at.hi : b->at.lo - 1) ? (inb ? b->at.hi : b->at.lo - 1) : hi;
		if (ina && inb && told_same(&a->was, &b->was) && told_same(&a->by, &b->by)) {
			r = part_add(ret, -1, a, lo, hi);
		} else {
			if (ina)
				r = part_add(ret, CW_EGRESS, a, lo, hi);
			if (inb && !r)
				r = part_add(ret, CW_INGRESS, b, lo, hi);
		}
		x += a && a->at.hi == hi;
		y += b && b->at.hi == hi;
		at = hi + 1;
	}
	return r;
}

/* Numbers of all that differs between two lists; parts sorted, adjacent ones joined. */
static int cell_make(struct diff_build *b, struct parts *p, uint32_t *ret)
{
	struct bag c = { .first = (uint32_t)b->cell_keys.n };

	if (p->n > 1)
		qsort(p->v, p->n, sizeof(*p->v), part_cmp);
	for (size_t i = 0, end; i < p->n; i = end) {
		struct key k = { p->v[i].how, (uint32_t)b->spans.n, 0 };
		struct bytes id = {};
		uintptr_t at;

		for (end = i; end < p->n && !memcmp(&p->v[end].how, &k.how, sizeof(k.how)); end++) {
			struct diff_span *last = k.nspans ? &b->spans.v[b->spans.n - 1] : NULL;

			if (last && last->hi + 1 == p->v[end].at.lo) {
				last->hi = p->v[end].at.hi;
				continue;
			}
			if (vec_push(&b->spans, p->v[end].at))
				return -ENOMEM;
			k.nspans++;
		}
		bytes_put(&id, &k.how, sizeof(k.how));
		bytes_put(&id, &b->spans.v[k.spans], k.nspans * sizeof(struct diff_span));
		at = id.err ? 0 : (uintptr_t)htab_get(b->key_by, id.v, id.n);
		if (!id.err && !at) {
			at = b->keys.n + 1;
			if (vec_push(&b->keys, k) || htab_set(b->key_by, id.v, id.n, (void *)at, NULL))
				id.err = -ENOMEM;
		} else {
			b->spans.n = k.spans; /* known */
		}
		free(id.v);
		if (id.err || vec_push(&b->cell_keys, (uint32_t)at - 1))
			return -ENOMEM;
		c.n++;
	}
	*ret = (uint32_t)b->cells.n + 1;
	return vec_push(&b->cells, c);
}

int diff_cell(struct diff_build *b, const struct dpair *x, uint32_t *ret)
{
	static const struct seglist none;
	uint64_t key = (uint64_t)x->d[0] << 32 | x->d[1];
	uintptr_t at = (uintptr_t)htab_get_u64(b->cell_by, key);
	struct parts p = {};
	uint32_t id = (uint32_t)at;
	int r = 0;

	if (!at) {
		r = sides_join(x->d[0] ? &b->segs.v[x->d[0] - 1] : &none, x->d[1] ? &b->segs.v[x->d[1] - 1] : &none, &p);
		r = r ?: cell_make(b, &p, &id);
		r = r ?: htab_set_u64(b->cell_by, key, (void *)(uintptr_t)id);
		vec_done(&p);
	}
	*ret = id - 1;
	return r;
}
