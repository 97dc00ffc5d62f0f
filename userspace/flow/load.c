/* SPDX-License-Identifier: Apache-2.0 */
/* load.c - the book towards the store: what is dirty, and how it is rebuilt. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"
#include "flow/book.h"

#define VISIT(list, fn) \
	do { \
		for (size_t i_ = 0; i_ < b->list.n; i_++) { \
			int r_ = v->fn(arg, b->list.v[i_]); \
			if (r_) \
				return r_; \
		} \
	} while (0)

int access_book_dirty(const struct access_book *b, const struct access_visitor *v, void *arg)
{
	VISIT(dirty_ends, end);
	VISIT(dirty_points, point);
	VISIT(dirty_accesses, access);
	VISIT(dirty_members, member);
	VISIT(dirty_scans, scan);
	VISIT(gone_instances, instance_gone);
	VISIT(dirty_instances, instance);
	VISIT(dirty_counters, counter);
	VISIT(dirty_folds, fold);
	return 0;
}

bool access_book_is_dirty(const struct access_book *b)
{
	return b->dirty_ends.n || b->dirty_points.n || b->dirty_accesses.n || b->dirty_members.n ||
	       b->dirty_scans.n || b->dirty_counters.n || b->dirty_instances.n || b->dirty_folds.n ||
	       b->gone_instances.n || alert_book_is_dirty(b->alerts);
}

#define CLEAN(list) \
	do { \
		for (size_t i_ = 0; i_ < b->list.n; i_++) \
			b->list.v[i_]->dirty = false; \
		b->list.n = 0; \
	} while (0)

void access_book_clean(struct access_book *b)
{
	CLEAN(dirty_ends);
	CLEAN(dirty_points);
	CLEAN(dirty_accesses);
	CLEAN(dirty_members);
	CLEAN(dirty_scans);
	CLEAN(dirty_counters);
	CLEAN(dirty_instances);
	CLEAN(dirty_folds);
	b->gone_instances.n = 0;
	alert_book_clean(b->alerts);
}

static int dup_opt(char **to, const char *s)
{
	*to = NULL;
	if (!s || !*s)
		return 0;
	*to = strdup(s);
	return *to ? 0 : -ENOMEM;
}

static struct access_end *end_at(const struct access_book *b, uint64_t num)
{
	return htab_get_u64(b->load_ends, num);
}

static void end_freep(struct access_end **e)
{
	access_end_free(*e);
}

static void point_freep(struct access_point **p)
{
	access_point_free(*p);
}

int access_book_load_end(struct access_book *b, const struct access_end *from)
{
	auto_cleanup(end_freep) struct access_end *e = calloc(1, sizeof(*e));
	int r;

	if (!e)
		return -ENOMEM;
	if (!from->num || !from->ref || !*from->ref || (unsigned)from->kind >= ACCESS_END_KINDS ||
	    htab_has(b->ends, from->ref, strlen(from->ref)) || end_at(b, from->num))
		return -EBADMSG;
	*e = *from;
	e->dirty = false;
	e->ref = e->ns = e->controller_kind = e->controller_name = e->pod = e->fqdn = NULL;
	e->labels = (struct labels){ };
	if (dup_opt(&e->ref, from->ref) || dup_opt(&e->ns, from->ns) ||
	    dup_opt(&e->controller_kind, from->controller_kind) ||
	    dup_opt(&e->controller_name, from->controller_name) || dup_opt(&e->pod, from->pod) ||
	    dup_opt(&e->fqdn, from->fqdn) || labels_copy(&from->labels, &e->labels))
		return -ENOMEM;
	r = htab_set_u64(b->load_ends, e->num, e);
	if (!r)
		r = book_end_add(b, e);
	if (r < 0) {
		(void)htab_del_u64(b->load_ends, from->num);
		return r;
	}
	(void)take_ptr(e);
	return 0;
}

int access_book_load_point(struct access_book *b, const struct access_point *from)
{
	auto_cleanup(point_freep) struct access_point *p = calloc(1, sizeof(*p));
	int r;

	if (!p)
		return -ENOMEM;
	if (!from->num || !from->ref || !*from->ref || htab_get_u64(b->load_points, from->num))
		return -EBADMSG;
	*p = *from;
	p->dirty = false;
	p->ref = p->ns = p->name = p->uid = NULL;
	if (dup_opt(&p->ref, from->ref) || dup_opt(&p->ns, from->ns) || dup_opt(&p->name, from->name) ||
	    dup_opt(&p->uid, from->uid))
		return -ENOMEM;
	r = htab_set_u64(b->load_points, p->num, p);
	if (!r)
		r = book_point_add(b, p);
	if (r < 0) {
		(void)htab_del_u64(b->load_points, from->num);
		return r == -EEXIST ? -EBADMSG : r;
	}
	(void)take_ptr(p);
	return 0;
}

int access_book_load_access(struct access_book *b, const struct access *from, uint64_t src, uint64_t dst)
{
	struct access *a;
	size_t len = strnlen(from->id, sizeof(from->id));
	int r = -ENOMEM;

	if (!from->num || !end_at(b, src) || !end_at(b, dst) || len < 4 || len >= ACCESS_ID_MAX ||
	    from->ndays > ACCESS_DAYS_MAX || htab_has(b->by_id, from->id, len) ||
	    htab_get_u64(b->load_accesses, from->num) ||
	    book_access_find(b, end_at(b, src), end_at(b, dst), from->proto, from->port))
		return -EBADMSG;
	for (size_t i = 1; i < from->ndays; i++)
		if (from->days[i].day <= from->days[i - 1].day)
			return -EBADMSG;
	a = malloc(sizeof(*a));
	if (!a)
		return -ENOMEM;
	*a = *from;
	a->src = end_at(b, src);
	a->dst = end_at(b, dst);
	a->dirty = false;
	a->days = NULL;
	a->members = NULL;
	a->nmembers = 0;
	a->rest = NULL;
	if (dup_opt(&a->decided_by, from->decided_by))
		goto fail;
	if (from->ndays) {
		a->days = calloc(from->ndays, sizeof(*a->days));
		if (!a->days)
			goto fail;
		memcpy(a->days, from->days, from->ndays * sizeof(*a->days));
	}
	r = htab_set_u64(b->load_accesses, a->num, a);
	if (!r)
		r = book_access_index(b, a);
	if (!r)
		return 0;
	(void)htab_del_u64(b->load_accesses, a->num);
fail:
	access_free(a);
	return r;
}

int access_book_load_member(struct access_book *b, const struct access_member *from, uint64_t access,
			    uint64_t src, uint64_t dst)
{
	struct access *a = htab_get_u64(b->load_accesses, access);
	struct access_member *m;
	int r;

	if (!from->num || !a || !src != !dst || (src && (!htab_get_u64(b->load_points, src) ||
							  !htab_get_u64(b->load_points, dst))) ||
	    a->nmembers >= ACCESS_MEMBERS_MAX + (src == 0) || htab_get_u64(b->load_members, from->num))
		return -EBADMSG;
	m = malloc(sizeof(*m));
	if (!m)
		return -ENOMEM;
	*m = *from;
	m->src = src ? htab_get_u64(b->load_points, src) : NULL;
	m->dst = src ? htab_get_u64(b->load_points, dst) : NULL;
	m->access = a;
	m->dirty = false;
	r = htab_set_u64(b->load_members, m->num, m);
	if (!r)
		r = book_member_index(b, m);
	if (!r)
		return 0;
	(void)htab_del_u64(b->load_members, from->num);
	free(m);
	return r == -EEXIST ? -EBADMSG : r;
}

int access_book_load_scan(struct access_book *b, const struct access_scan *from, uint64_t src, uint64_t point)
{
	struct access_scan *s;
	int r;

	if (!from->num || !end_at(b, src) || (point && !htab_get_u64(b->load_points, point)) ||
	    htab_get_u64(b->load_scans, from->num))
		return -EBADMSG;
	s = malloc(sizeof(*s));
	if (!s)
		return -ENOMEM;
	*s = *from;
	s->src = end_at(b, src);
	s->point = point ? htab_get_u64(b->load_points, point) : NULL;
	s->dirty = false;
	r = vec_reserve(&b->scans, b->scans.n + 1);
	if (!r)
		r = htab_set_u64(b->load_scans, s->num, s);
	if (r < 0) {
		free(s);
		return r;
	}
	b->scans.v[b->scans.n++] = s;
	if (s->num >= b->next_scan)
		b->next_scan = s->num + 1;
	return 0;
}

int access_book_load_instance(struct access_book *b, const struct access_instance *from)
{
	struct access_instance *i;
	int r;

	if (htab_get_u64(b->instances, from->instance))
		return -EBADMSG;
	i = malloc(sizeof(*i));
	if (!i)
		return -ENOMEM;
	*i = *from;
	i->dirty = false;
	r = htab_set_u64(b->instances, i->instance, i);
	if (r < 0)
		free(i);
	return r;
}

int access_book_load_counter(struct access_book *b, const struct access_counter *from, uint64_t member,
			     uint64_t scan)
{
	struct counter_name n;
	struct access_counter *c;
	int r;

	memset(&n, 0, sizeof(n));
	n.instance = from->instance;
	n.epoch = from->epoch;
	n.key = from->key;
	if (!from->num || (member && !htab_get_u64(b->load_members, member)) ||
	    (scan && !htab_get_u64(b->load_scans, scan)) || (member && scan) ||
	    htab_has(b->counters, &n, sizeof(n)))
		return -EBADMSG;
	c = malloc(sizeof(*c));
	if (!c)
		return -ENOMEM;
	*c = *from;
	c->member = member ? htab_get_u64(b->load_members, member) : NULL;
	c->scan = scan ? htab_get_u64(b->load_scans, scan) : NULL;
	c->dirty = false;
	r = htab_set(b->counters, &n, sizeof(n), c, NULL);
	if (r < 0) {
		free(c);
		return r;
	}
	if (c->num >= b->next_counter)
		b->next_counter = c->num + 1;
	return 0;
}

int access_book_load_fold(struct access_book *b, const struct access_fold *from)
{
	struct access_fold *f;
	uint64_t next = b->next_fold;
	int r;

	if (!from->num || !from->ns || !from->name)
		return -EBADMSG;
	r = book_fold_get(b, from->ns, from->name, from->instance, &f);
	if (r < 0)
		return r;
	if (b->next_fold == next)
		return -EBADMSG; /* it was there */
	f->num = from->num;
	memcpy(&f->last, &from->last, sizeof(f->last));
	memcpy(&f->sum, &from->sum, sizeof(f->sum));
	f->refused = from->refused;
	f->last_ns = from->last_ns;
	b->next_fold = from->num >= next ? from->num + 1 : next;
	return 0;
}

static int renew(struct htab **t)
{
	struct htab *n = htab_new();

	if (!n)
		return -ENOMEM;
	htab_free(*t, NULL);
	*t = n;
	return 0;
}

int access_book_load_done(struct access_book *b)
{
	for (size_t i = 0; i < b->accesses.n; i++) {
		const struct access *a = b->accesses.v[i];
		uint64_t flows = a->rest ? a->rest->c.flows : 0;

		for (size_t j = 0; j < a->nmembers; j++)
			flows += a->members[j]->c.flows;
		if (flows != a->c.flows)
			return -EBADMSG;
	}
	if (renew(&b->load_ends) || renew(&b->load_points) || renew(&b->load_accesses) ||
	    renew(&b->load_members) || renew(&b->load_scans))
		return -ENOMEM;
	return 0;
}
