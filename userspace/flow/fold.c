/* SPDX-License-Identifier: Apache-2.0 */
/* fold.c - exact figures of what was lost or folded, per workload and namespace. */
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "flow/book.h"

void access_fold_free(void *p)
{
	struct access_fold *f = p;

	if (!f)
		return;
	free(f->ns);
	free(f->name);
	free(f);
}

int book_fold_get(struct access_book *b, const char *ns, const char *name, uint64_t instance,
		  struct access_fold **ret)
{
	struct access_fold *f;
	char key[600];
	int n, r;

	/* After an upgrade the former maps and the new ones report side by side for a while. */
	n = snprintf(key, sizeof(key), "%016llx%s%c%s", (unsigned long long)instance, ns, 0, name);
	if (n < 0 || n >= (int)sizeof(key))
		return -EINVAL;
	*ret = htab_get(b->folds, key, (size_t)n);
	if (*ret)
		return 0;
	if (b->fold_list.n >= ACCESS_FOLDS_MAX)
		return -ENOSPC;
	f = calloc(1, sizeof(*f));
	if (!f)
		return -ENOMEM;
	f->ns = strdup(ns);
	f->name = strdup(name);
	f->num = b->next_fold;
	f->instance = instance;
	r = f->ns && f->name ? vec_reserve(&b->fold_list, b->fold_list.n + 1) : -ENOMEM;
	if (!r)
		r = htab_set(b->folds, key, (size_t)n, f, NULL);
	if (r < 0) {
		access_fold_free(f);
		return r;
	}
	b->next_fold++;
	b->fold_list.v[b->fold_list.n++] = f;
	*ret = f;
	return 0;
}

static uint64_t step(uint64_t now, uint64_t last)
{
	return now >= last ? now - last : now; /* went back: the slot was begun anew */
}

int book_folds_apply(struct access_book *b, const struct node_fold *in, size_t n, int64_t now_ns)
{
	for (size_t i = 0; i < n; i++) {
		const struct node_fold *x = &in[i];
		struct access_fold *f;
		int r;

		if (!memchr(x->ns, 0, sizeof(x->ns)) || !memchr(x->name, 0, sizeof(x->name))) {
			b->invalid++;
			continue;
		}
		r = book_fold_get(b, x->ns, x->name, x->instance, &f);
		if (r < 0)
			return r;
		if (f->last.pair_flows == x->pair_flows && f->last.folded_flows == x->folded_flows &&
		    f->last.folded_drops == x->folded_drops && f->last.lost == x->lost)
			continue;
		r = book_mark(&b->dirty_folds, f);
		if (r < 0)
			return r;
		if (x->lost != f->last.lost || x->folded_flows != f->last.folded_flows)
			f->last_ns = now_ns;
		f->sum.pair_flows += step(x->pair_flows, f->last.pair_flows);
		f->sum.folded_flows += step(x->folded_flows, f->last.folded_flows);
		f->sum.folded_drops += step(x->folded_drops, f->last.folded_drops);
		f->sum.lost += step(x->lost, f->last.lost);
		f->last.pair_flows = x->pair_flows;
		f->last.folded_flows = x->folded_flows;
		f->last.folded_drops = x->folded_drops;
		f->last.lost = x->lost;
	}
	return 0;
}

size_t access_book_fold_count(const struct access_book *b)
{
	return b->fold_list.n;
}

const struct access_fold *access_book_fold_at(const struct access_book *b, size_t i)
{
	return b->fold_list.v[i];
}

void access_book_loss(const struct access_book *b, const char *ns, struct access_fold *ret)
{
	*ret = (struct access_fold){ };
	for (size_t i = 0; i < b->fold_list.n; i++) {
		const struct access_fold *f = b->fold_list.v[i];

		if (ns && strcmp(ns, f->ns))
			continue;
		ret->sum.pair_flows += f->sum.pair_flows;
		ret->sum.folded_flows += f->sum.folded_flows;
		ret->sum.folded_drops += f->sum.folded_drops;
		ret->sum.lost += f->sum.lost;
		ret->refused += f->refused;
		if (f->last_ns > ret->last_ns)
			ret->last_ns = f->last_ns;
	}
}
