/* SPDX-License-Identifier: Apache-2.0 */
/* wait.c - records whose ends are not resolved yet. Nothing of them is taken over while they
 * wait: the kernel still has them. */
#include <errno.h>
#include <string.h>

#include "flow/book.h"

static void ref_done(struct workload_ref *r)
{
	free(r->ns);
	free(r->name);
	free(r->uid);
	*r = (struct workload_ref){ };
}

void waiting_free(void *p)
{
	struct waiting *w = p;

	if (!w)
		return;
	ref_done(&w->a.src_wl);
	ref_done(&w->a.dst_wl);
	free(w->a.dst_fqdn);
	free(w);
}

static int ref_copy(const struct workload_ref *from, struct workload_ref *to)
{
	*to = (struct workload_ref){ };
	if ((from->ns && !(to->ns = strdup(from->ns))) ||
	    (from->name && !(to->name = strdup(from->name))) ||
	    (from->uid && !(to->uid = strdup(from->uid))))
		return -ENOMEM; /* the caller's waiting_free takes the half-made one */
	return 0;
}

int book_wait_put(struct access_book *b, const struct counter_name *n, const struct node_access *a,
		  int64_t now_ns)
{
	struct waiting *old = htab_get(b->waiting, n, sizeof(*n));
	struct waiting *w;
	int r;

	if (old ? now_ns - old->since_ns >= b->hold_ns : htab_count(b->waiting) >= ACCESS_WAITING_MAX)
		return 1;
	w = calloc(1, sizeof(*w));
	if (!w)
		return -ENOMEM;
	w->a = *a;
	w->a.src_wl = w->a.dst_wl = (struct workload_ref){ };
	w->a.dst_fqdn = NULL;
	w->since_ns = old ? old->since_ns : now_ns;
	r = ref_copy(&a->src_wl, &w->a.src_wl);
	if (!r)
		r = ref_copy(&a->dst_wl, &w->a.dst_wl);
	if (!r && a->dst_fqdn && !(w->a.dst_fqdn = strdup(a->dst_fqdn)))
		r = -ENOMEM;
	if (!r)
		r = htab_set(b->waiting, n, sizeof(*n), w, NULL);
	waiting_free(r < 0 ? w : old);
	return r;
}

void book_wait_drop(struct access_book *b, const struct counter_name *n)
{
	waiting_free(htab_del(b->waiting, n, sizeof(*n)));
}

int access_book_tick(struct access_book *b, int64_t now_ns)
{
	const void *key;
	size_t it = 0, len;
	void *v;

	book_workloads_expire(b, now_ns);
	while (htab_next(b->waiting, &it, &key, &len, &v)) {
		struct waiting *w = v;
		struct counter_name n;
		int r;

		memcpy(&n, key, sizeof(n));
		r = book_take(b, &n, &w->a, now_ns - w->since_ns >= b->hold_ns, now_ns, NULL);
		if (r < 0 && r != -EINVAL)
			return r;
		if (r != 1)
			book_wait_drop(b, &n);
	}
	return 0;
}
