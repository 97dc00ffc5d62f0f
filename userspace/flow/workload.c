/* SPDX-License-Identifier: Apache-2.0 */
/* workload.c - who owns a name and an address, also for a while after it is gone. */
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "flow/book.h"

static size_t name_key(const char *ns, const char *name, char out[400])
{
	int n = snprintf(out, 400, "%s%c%s", ns ? ns : "", 0, name ? name : "");

	/* Longer names than any workload may have are cut, and then found by nobody else. */
	return n < 0 ? 0 : n < 400 ? (size_t)n : 399;
}

void book_workload_free(void *p)
{
	struct book_workload *bw = p;

	if (!bw)
		return;
	workload_done(&bw->w);
	free(bw);
}

struct book_workload *book_workload_find(const struct access_book *b, const char *ns, const char *name)
{
	char key[400];

	return htab_get(b->workloads, key, name_key(ns, name, key));
}

struct book_workload *book_workload_by_addr(const struct access_book *b, const struct addr *a)
{
	return addr_is_zero(a) ? NULL : htab_get(b->addrs, a->b, sizeof(a->b));
}

static void drop_addrs(struct access_book *b, const struct book_workload *bw)
{
	for (size_t i = 0; i < bw->w.naddrs; i++)
		if (book_workload_by_addr(b, &bw->w.addrs[i]) == bw)
			(void)htab_del(b->addrs, bw->w.addrs[i].b, 16);
}

int access_book_workload_put(struct access_book *b, const struct workload *w)
{
	struct book_workload *bw;
	struct workload copy = { };
	char key[400];
	size_t len;
	int r;

	if (!w->ns || !*w->ns || !w->name || !*w->name || strlen(w->ns) + strlen(w->name) > 398)
		return -EINVAL;
	r = workload_copy(w, &copy);
	if (r < 0)
		return r;
	len = name_key(w->ns, w->name, key);
	bw = htab_get(b->workloads, key, len);
	if (!bw) {
		if (htab_count(b->workloads) >= ACCESS_WORKLOADS_MAX) {
			workload_done(&copy);
			return -ENOSPC;
		}
		bw = calloc(1, sizeof(*bw));
		r = bw ? htab_set(b->workloads, key, len, bw, NULL) : -ENOMEM;
		if (r < 0) {
			free(bw);
			workload_done(&copy);
			return r;
		}
	} else {
		drop_addrs(b, bw);
		workload_done(&bw->w);
	}
	bw->w = copy;
	bw->end = NULL;
	bw->gone_ns = 0;
	for (size_t i = 0; i < bw->w.naddrs; i++) {
		r = htab_set(b->addrs, bw->w.addrs[i].b, 16, bw, NULL);
		if (r < 0)
			return r;
	}
	return 0;
}

void access_book_workload_gone(struct access_book *b, const char *ns, const char *name, int64_t now_ns)
{
	struct book_workload *bw = book_workload_find(b, ns, name);

	if (bw && !bw->gone_ns)
		bw->gone_ns = now_ns > 0 ? now_ns : 1;
}

void book_workloads_expire(struct access_book *b, int64_t now_ns)
{
	const void *key;
	size_t it = 0, len;
	void *v;

	while (htab_next(b->workloads, &it, &key, &len, &v)) {
		struct book_workload *bw = v;

		if (!bw->gone_ns || now_ns - bw->gone_ns < ACCESS_GONE_NS)
			continue;
		drop_addrs(b, bw);
		(void)htab_del(b->workloads, key, len);
		book_workload_free(bw);
	}
}

bool access_book_seen(const struct access_book *b, const struct workload *w, bool *ret_exact)
{
	struct book_workload *bw = book_workload_find(b, w->ns, w->name);
	struct access_end *end = NULL;
	char key[BOOK_POINT_KEY];
	size_t len;

	/* A point is made with the first flow, and not every source of records knows the uid. */
	len = book_point_key(w->ns, w->name, w->uid, key);
	*ret_exact = len && htab_has(b->points, key, len);
	if (!*ret_exact && w->uid) {
		len = book_point_key(w->ns, w->name, NULL, key);
		*ret_exact = len && htab_has(b->points, key, len);
	}
	if (*ret_exact)
		return true;
	/* Lifting may intern an end; one that nobody interned before was never seen. */
	if (bw && book_end_of_workload((struct access_book *)b, bw, &end) < 0)
		end = NULL;
	return end && htab_has(b->ends_seen, &end->num, sizeof(end->num));
}
