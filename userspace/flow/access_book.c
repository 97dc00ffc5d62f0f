/* SPDX-License-Identifier: Apache-2.0 */
#include "flow/access_book.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"
#include "flow/book.h"

#define HOUR_NS (3600 * 1000000000LL)

static void free_strings(char **v, size_t n)
{
	for (size_t i = 0; i < n; i++)
		free(v[i]);
	free(v);
}

int access_book_configure(struct access_book *b, const struct access_config *c)
{
	auto_free struct prefix *cidrs = NULL;
	char **ignore = NULL;
	const void *key;
	size_t it = 0, len;
	void *v;

	if (c->nfold_cidrs) {
		cidrs = calloc(c->nfold_cidrs, sizeof(*cidrs));
		if (!cidrs)
			return -ENOMEM;
		memcpy(cidrs, c->fold_cidrs, c->nfold_cidrs * sizeof(*cidrs));
	}
	if (c->nignore_labels) {
		ignore = calloc(c->nignore_labels, sizeof(*ignore));
		if (!ignore)
			return -ENOMEM;
		for (size_t i = 0; i < c->nignore_labels; i++) {
			ignore[i] = strdup(c->ignore_labels[i]);
			if (!ignore[i]) {
				free_strings(ignore, i);
				return -ENOMEM;
			}
		}
	}
	free(b->fold_cidrs);
	free_strings(b->ignore_labels, b->nignore_labels);
	b->fold_cidrs = take_ptr(cidrs);
	b->nfold_cidrs = c->nfold_cidrs;
	b->ignore_labels = ignore;
	b->nignore_labels = c->nignore_labels;
	b->scan_ports = c->scan_ports ? c->scan_ports : 100;
	b->scan_peers = c->scan_peers ? c->scan_peers : 50;
	b->scan_window_ns = c->scan_window_ns ? c->scan_window_ns : 60 * 1000000000LL;
	b->hold_ns = c->hold_ns ? c->hold_ns : 30 * 1000000000LL;
	b->max_accesses = c->max_accesses ? c->max_accesses : ACCESS_MAX;
	b->fqdn = c->fqdn;
	b->fqdn_arg = c->fqdn_arg;
	while (htab_next(b->workloads, &it, &key, &len, &v))
		((struct book_workload *)v)->end = NULL; /* lifted afresh when next asked */
	return 0;
}

static void book_freep(struct access_book **b)
{
	access_book_free(*b);
}

int access_book_new(const struct access_config *c, struct access_book **ret)
{
	auto_cleanup(book_freep) struct access_book *b = calloc(1, sizeof(*b));
	int r;

	if (!b)
		return -ENOMEM;
	struct htab **tables[] = { &b->workloads, &b->addrs, &b->ends, &b->ends_seen, &b->points, &b->by_key,
				   &b->by_id, &b->members, &b->counters, &b->waiting, &b->tracks, &b->folds,
				   &b->instances, &b->load_ends, &b->load_points, &b->load_accesses,
				   &b->load_members, &b->load_scans };

	for (size_t i = 0; i < ARRAY_SIZE(tables); i++) {
		*tables[i] = htab_new();
		if (!*tables[i])
			return -ENOMEM;
	}
	r = alert_book_new(&b->by_id, &b->alerts);
	if (!r)
		r = access_book_configure(b, c);
	if (r < 0)
		return r;
	b->next_end = b->next_point = b->next_access = b->next_member = 1;
	b->next_counter = b->next_scan = b->next_fold = 1;
	*ret = take_ptr(b);
	return 0;
}

void access_book_free(struct access_book *b)
{
	if (!b)
		return;
	free(b->fold_cidrs);
	free_strings(b->ignore_labels, b->nignore_labels);
	for (size_t i = 0; i < b->accesses.n; i++) {
		struct access *a = b->accesses.v[i];

		for (size_t j = 0; j < a->nmembers; j++)
			free(a->members[j]);
		free(a->rest);
		access_free(a);
	}
	for (size_t i = 0; i < b->scans.n; i++)
		free(b->scans.v[i]);
	htab_free(b->workloads, book_workload_free);
	htab_free(b->addrs, NULL);
	htab_free(b->ends, access_end_free);
	htab_free(b->ends_seen, NULL);
	htab_free(b->points, access_point_free);
	htab_free(b->by_key, NULL);
	htab_free(b->by_id, NULL);
	htab_free(b->members, NULL);
	htab_free(b->counters, free);
	htab_free(b->waiting, waiting_free);
	htab_free(b->tracks, scan_track_free);
	htab_free(b->folds, access_fold_free);
	htab_free(b->instances, free);
	htab_free(b->load_ends, NULL);
	htab_free(b->load_points, NULL);
	htab_free(b->load_accesses, NULL);
	htab_free(b->load_members, NULL);
	htab_free(b->load_scans, NULL);
	alert_book_free(b->alerts);
	vec_done(&b->accesses);
	vec_done(&b->scans);
	vec_done(&b->fold_list);
	vec_done(&b->dirty_ends);
	vec_done(&b->dirty_points);
	vec_done(&b->dirty_accesses);
	vec_done(&b->dirty_members);
	vec_done(&b->dirty_scans);
	vec_done(&b->dirty_counters);
	vec_done(&b->dirty_folds);
	vec_done(&b->dirty_instances);
	vec_done(&b->gone_instances);
	free(b);
}

/* ---- batches ---------------------------------------------------------------------------- */

struct order { int64_t first_ns; size_t i; };

static int order_cmp(const void *a, const void *b)
{
	const struct order *x = a, *y = b;

	if (x->first_ns != y->first_ns)
		return x->first_ns < y->first_ns ? -1 : 1;
	return x->i < y->i ? -1 : x->i > y->i;
}

static int instance_get(struct access_book *b, uint64_t instance, int64_t now_ns, struct access_instance **ret)
{
	struct access_instance *i = htab_get_u64(b->instances, instance);
	int r;

	if (!i) {
		i = calloc(1, sizeof(*i));
		r = i ? htab_set_u64(b->instances, instance, i) : -ENOMEM;
		if (r < 0) {
			free(i);
			return r;
		}
		i->instance = instance;
	}
	if (now_ns >= i->last_ns + HOUR_NS) {
		r = book_mark(&b->dirty_instances, i);
		if (r < 0)
			return r;
		i->last_ns = now_ns;
	}
	*ret = i;
	return 0;
}

static struct counter_name name_of(const struct node_access *a)
{
	struct counter_name n;

	memset(&n, 0, sizeof(n));
	n.instance = a->instance;
	n.epoch = a->epoch;
	n.key = a->key;
	return n;
}

static int take_one(struct access_book *b, const struct node_access *a, int64_t now_ns,
		    struct access_applied *io)
{
	struct counter_name n = name_of(a);
	int r;

	r = book_take(b, &n, a, false, now_ns, io);
	if (r == 1) {
		r = book_wait_put(b, &n, a, now_ns);
		if (!r)
			io->waiting++;
		if (r != 1)
			return r;
		r = book_take(b, &n, a, true, now_ns, io);
	}
	if ((!r || r == -EINVAL) && htab_count(b->waiting))
		book_wait_drop(b, &n);
	if (r != -EINVAL)
		return r;
	io->invalid++;
	return 0;
}

int access_book_apply(struct access_book *b, const struct node_access *a, size_t n,
		      const struct node_fold *folds, size_t nfolds, int64_t now_ns,
		      struct access_applied *ret)
{
	struct access_applied did = { };
	VEC(struct order) fresh = { };
	struct access_instance *inst = NULL;
	size_t before = b->accesses.n;
	int r = 0;

	for (size_t i = 0; i < n && !r; i++) {
		struct counter_name name;

		if (!book_record_sane(&a[i])) {
			did.invalid++;
			continue;
		}
		if (!inst || inst->instance != a[i].instance)
			r = instance_get(b, a[i].instance, now_ns, &inst);
		if (r < 0)
			break;
		if (inst->any_done && a[i].epoch <= inst->done_epoch) {
			did.settled++;
			continue;
		}
		name = name_of(&a[i]);
		if (htab_has(b->counters, &name, sizeof(name)))
			r = take_one(b, &a[i], now_ns, &did);
		else
			r = vec_push(&fresh, ((struct order){ a[i].first_ns, i }));
	}
	/* New ones in the order of their first packets: bursts are told by time. */
	if (!r && fresh.n)
		qsort(fresh.v, fresh.n, sizeof(*fresh.v), order_cmp);
	for (size_t i = 0; i < fresh.n && !r; i++)
		r = take_one(b, &a[fresh.v[i].i], now_ns, &did);
	vec_done(&fresh);
	if (!r)
		r = book_folds_apply(b, folds, nfolds, now_ns);
	if (!r)
		r = access_book_tick(b, now_ns);
	did.created = b->accesses.n - before;
	b->invalid += did.invalid;
	if (ret)
		*ret = did;
	return r;
}

int access_book_epoch_done(struct access_book *b, uint64_t instance, uint32_t epoch, int64_t now_ns)
{
	struct access_instance *inst;
	const void *key;
	size_t it = 0, len, keep = 0;
	void *v;
	int r;

	while (htab_next(b->waiting, &it, &key, &len, &v)) {
		struct waiting *w = v;
		struct counter_name n;

		memcpy(&n, key, sizeof(n));
		if (n.instance != instance || n.epoch > epoch)
			continue;
		r = book_take(b, &n, &w->a, true, now_ns, NULL);
		if (r < 0 && r != -EINVAL)
			return r;
		book_wait_drop(b, &n);
	}
	r = instance_get(b, instance, now_ns, &inst);
	if (!r)
		r = book_mark(&b->dirty_instances, inst);
	if (r < 0)
		return r;
	if (!inst->any_done || epoch > inst->done_epoch)
		inst->done_epoch = epoch;
	inst->any_done = true;

	for (size_t i = 0; i < b->dirty_counters.n; i++) {
		struct access_counter *c = b->dirty_counters.v[i];

		if (c->instance != instance || c->epoch > epoch)
			b->dirty_counters.v[keep++] = c;
	}
	b->dirty_counters.n = keep;
	for (it = 0; htab_next(b->counters, &it, &key, &len, &v);) {
		struct access_counter *c = v;

		if (c->instance != instance || c->epoch > epoch)
			continue;
		(void)htab_del(b->counters, key, len);
		free(c);
	}
	return 0;
}

void access_book_forget_instances(struct access_book *b, int64_t before_ns)
{
	const void *key;
	size_t it = 0, len;
	void *v;

	while (htab_next(b->instances, &it, &key, &len, &v)) {
		struct access_instance *i = v;

		if (i->last_ns >= before_ns || vec_reserve(&b->gone_instances, b->gone_instances.n + 1) < 0 ||
		    access_book_epoch_done(b, i->instance, UINT32_MAX, i->last_ns) < 0)
			continue; /* tried again the next time */
		b->gone_instances.v[b->gone_instances.n++] = i->instance;
		for (size_t j = 0; j < b->dirty_instances.n; j++)
			if (b->dirty_instances.v[j] == i)
				b->dirty_instances.v[j--] = b->dirty_instances.v[--b->dirty_instances.n];
		(void)htab_del(b->instances, key, len);
		free(i);
	}
}

/* ---- reading ------------------------------------------------------------------------------ */

size_t access_book_count(const struct access_book *b)
{
	return b->accesses.n;
}

const struct access *access_book_at(const struct access_book *b, size_t i)
{
	return b->accesses.v[i];
}

const struct access *access_book_find(const struct access_book *b, const char *id)
{
	const struct access *found = NULL;
	size_t len = strlen(id);

	if (len < 4 || len >= ACCESS_ID_MAX)
		return NULL;
	found = htab_get(b->by_id, id, len);
	for (size_t i = 0; !found && i < b->accesses.n; i++) {
		if (strncmp(b->accesses.v[i]->id, id, len))
			continue;
		for (size_t j = i + 1; j < b->accesses.n; j++)
			if (!strncmp(b->accesses.v[j]->id, id, len))
				return NULL;
		return b->accesses.v[i];
	}
	return found;
}

size_t access_book_scan_count(const struct access_book *b)
{
	return b->scans.n;
}

const struct access_scan *access_book_scan_at(const struct access_book *b, size_t i)
{
	return b->scans.v[i];
}

struct alert_book *access_book_alerts(struct access_book *b)
{
	return b->alerts;
}

void access_book_stats(const struct access_book *b, struct access_book_stats *ret)
{
	struct access_fold sum;

	access_book_loss(b, NULL, &sum);
	*ret = (struct access_book_stats){
		.accesses = b->accesses.n, .members = b->nmembers, .counters = htab_count(b->counters),
		.waiting = htab_count(b->waiting), .scans = b->scans.n, .invalid = b->invalid,
		.backwards = b->backwards, .refused_flows = sum.refused,
	};
	for (size_t i = 0; i < b->accesses.n; i++) {
		const struct access *a = b->accesses.v[i];

		if (!ret->first_ns || a->first_ns < ret->first_ns)
			ret->first_ns = a->first_ns;
		if (a->last_ns > ret->last_ns)
			ret->last_ns = a->last_ns;
		if (a->first_ns > ret->newest_ns)
			ret->newest_ns = a->first_ns;
	}
}

int access_book_decide(struct access_book *b, const char *id, enum access_decision d, const char *who,
		       int64_t now_ns)
{
	struct access *a = (struct access *)access_book_find(b, id);
	char *by;
	int r;

	if (!a)
		return -ENOENT;
	by = strdup(who ? who : "");
	if (!by)
		return -ENOMEM;
	r = book_mark(&b->dirty_accesses, a);
	if (r < 0) {
		free(by);
		return r;
	}
	free(a->decided_by);
	a->decided_by = by;
	a->decision = d;
	a->decided_ns = now_ns;
	return 0;
}
