/* SPDX-License-Identifier: Apache-2.0 */
/* take.c - one kernel counter: what it means, what it adds, and to whom. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "flow/book.h"

#define DAY_NS (86400 * 1000000000LL)

static bool has_wl(const struct workload_ref *r)
{
	return r->ns && *r->ns && r->name && *r->name;
}

static bool end_sane(const struct workload_ref *wl, uint32_t reserved)
{
	if (has_wl(wl))
		return strlen(wl->ns) <= 253 && strlen(wl->name) <= 253;
	return reserved >= CW_ID_HOST && reserved <= CW_ID_MULTICAST;
}

bool book_record_sane(const struct node_access *a)
{
	if ((a->family != 4 && a->family != 6) || !end_sane(&a->src_wl, a->src_reserved) ||
	    !end_sane(&a->dst_wl, a->dst_reserved))
		return false;
	for (int s = 0; s < 2; s++)
		if ((unsigned)a->outcome[s] >= CW_OUT_COUNT || (unsigned)a->reason[s] >= CW_R_COUNT ||
		    a->verdict[s].action >= CW_ACT_COUNT || a->verdict[s].tier >= CW_TIER_COUNT)
			return false;
	return true;
}

struct resolved { struct access_end *src, *dst; struct access_point *src_point, *dst_point; };

/* Point of an end; when the book has no room for another point the evidence goes to the rest. */
static int point_of(struct access_book *b, const struct workload_ref *wl, uint32_t reserved,
		    const struct addr *addr, struct access_point **ret)
{
	int r;

	*ret = NULL;
	if (wl)
		r = book_point(b, wl->ns, wl->name, wl->uid, 0, NULL, ret);
	else
		r = book_point(b, NULL, NULL, NULL, reserved, addr, ret);
	return r == -ENOSPC ? 0 : r;
}

/* 0, 1 (not known yet and not forced), negative errno. */
static int resolve_end(struct access_book *b, const struct node_access *a, bool dst, bool force,
		       struct access_end **ret_end, struct access_point **ret_point)
{
	const struct workload_ref *wl = dst ? &a->dst_wl : &a->src_wl;
	uint32_t reserved = dst ? a->dst_reserved : a->src_reserved;
	const struct addr *addr = dst ? &a->dst_addr : &a->src_addr;
	struct book_workload *bw = NULL;
	struct workload_ref owner;
	int r;

	if (dst && a->dst_service && has_wl(wl)) {
		r = book_end_of_service(b, wl->ns, wl->name, ret_end);
		r = r ?: book_point_of_service(b, *ret_end, ret_point);
		if (r == -ENOSPC) {
			*ret_point = NULL;
			r = 0;
		}
		return r;
	}
	if (has_wl(wl)) {
		bw = book_workload_find(b, wl->ns, wl->name);
		if (!bw) {
			if (!force)
				return 1;
			r = book_end_of_pod(b, wl->ns, wl->name, ret_end);
			return r < 0 ? r : point_of(b, wl, 0, NULL, ret_point);
		}
		r = book_end_of_workload(b, bw, ret_end);
		return r < 0 ? r : point_of(b, wl, 0, NULL, ret_point);
	}
	switch (reserved) {
	case CW_ID_UNKNOWN:
		bw = book_workload_by_addr(b, addr);
		if (bw) {
			owner = (struct workload_ref){ bw->w.ns, bw->w.name, bw->w.uid };
			r = book_end_of_workload(b, bw, ret_end);
			return r < 0 ? r : point_of(b, &owner, 0, NULL, ret_point);
		}
		if (!force)
			return 1;
		r = book_end_of_unresolved(b, addr, ret_end);
		break;
	case CW_ID_WORLD:
		/* Clients outside are never listed one by one; a public server would fill the book. */
		r = book_end_of_world(b, a->src_wl.ns, a->src_wl.name, addr, dst ? a->dst_fqdn : NULL, dst,
				      ret_end);
		break;
	default:
		r = book_end_of_reserved(b, reserved, ret_end);
		break;
	}
	return r < 0 ? r : point_of(b, NULL, reserved, addr, ret_point);
}

static int resolve(struct access_book *b, const struct node_access *a, bool force, struct resolved *ret)
{
	int r = resolve_end(b, a, false, force, &ret->src, &ret->src_point);

	return r ? r : resolve_end(b, a, true, force, &ret->dst, &ret->dst_point);
}

static uint16_t lifted_port(uint8_t proto, uint16_t port)
{
	return proto == 1 || proto == 58 ? port & 0xff00 : port; /* ICMP: the code varies by answer */
}

static uint64_t step(struct access_book *b, uint64_t now, uint64_t last)
{
	if (now >= last)
		return now - last;
	b->backwards++;
	return 0;
}

static bool difference(struct access_book *b, const struct node_access *a, const struct access_counts *last,
		       struct access_counts *ret)
{
	bool any = a->flows != last->flows || a->answered != last->answered || a->packets != last->packets ||
		   a->bytes != last->bytes || a->guessed != last->guessed;

	if (!any && !memcmp(a->cnt, last->cnt, sizeof(last->cnt)))
		return false;
	ret->flows = step(b, a->flows, last->flows);
	ret->answered = step(b, a->answered, last->answered);
	ret->packets = step(b, a->packets, last->packets);
	ret->bytes = step(b, a->bytes, last->bytes);
	ret->guessed = step(b, a->guessed, last->guessed);
	for (int s = 0; s < 2; s++)
		for (int o = 0; o < CW_OUT_COUNT; o++)
			ret->cnt[s][o] = step(b, a->cnt[s][o], last->cnt[s][o]);
	return true;
}

/* Of n more at one of the two ends: how many the other end has not counted before. */
static uint64_t beyond(int64_t *lead, bool far, uint64_t n)
{
	int64_t behind = far ? *lead : -*lead;
	uint64_t known = behind > 0 ? (uint64_t)behind : 0;

	*lead += far ? -(int64_t)n : (int64_t)n;
	return n > known ? n - known : 0;
}

/*
 * Between two nodes a flow is counted on both. Which pod of several is at the far end a node does not
 * know, so the two are put together by access. Verdicts are each side's own and stay as they are.
 */
static void once(struct access *x, const struct node_access *a, struct access_counts *d)
{
	bool far = !a->key.src_wl && a->key.dst_wl && has_wl(&a->src_wl) && has_wl(&a->dst_wl);

	d->flows = beyond(&x->lead.flows, far, d->flows);
	d->answered = beyond(&x->lead.answered, far, d->answered);
	d->packets = beyond(&x->lead.packets, far, d->packets);
	d->bytes = beyond(&x->lead.bytes, far, d->bytes);
	d->guessed = beyond(&x->lead.guessed, far, d->guessed);
}

static void sides_update(struct access_side side[2], const struct node_access *a, int64_t at_ns)
{
	for (int s = 0; s < 2; s++)
		if (a->outcome[s] != CW_OUT_NONE && at_ns >= side[s].at_ns)
			side[s] = (struct access_side){ a->outcome[s], a->reason[s], a->verdict[s], at_ns };
}

/* Adds to a member and its access. Everything that can fail comes before anything that counts. */
static int add_to_member(struct access_book *b, struct access_member *m, const struct node_access *a,
			 const struct access_counts *d, bool first, int64_t first_ns, int64_t at_ns)
{
	struct access *x = m->access;
	struct access_counts zero = { }, early = { }, late, more = *d;
	struct access_side now[2] = { };
	int r;

	r = book_mark(&b->dirty_accesses, x);
	if (!r)
		r = book_mark(&b->dirty_members, m);
	if (!r && first)
		r = book_access_day(x, first_ns, &zero);
	if (!r)
		r = book_access_day(x, at_ns, &zero);
	if (r < 0)
		return r;
	sides_update(now, a, at_ns);
	r = alert_book_access(b->alerts, x, d, now, at_ns);
	if (r < 0)
		return r;

	once(x, a, &more);
	d = &more;
	late = more;
	if (first && first_ns / DAY_NS != at_ns / DAY_NS && d->flows > 1) {
		early.flows = 1; /* the one that made the counter; the days between are not known */
		late.flows--;
		(void)book_access_day(x, first_ns, &early); /* the day is there: cannot fail */
	}
	(void)book_access_day(x, at_ns, &late); /* likewise */
	counts_add(&m->c, d);
	counts_add(&x->c, d);
	if (a->family == 6)
		x->flows6 += d->flows;
	if (first_ns < x->first_ns)
		x->first_ns = first_ns;
	if (at_ns > x->last_ns)
		x->last_ns = at_ns;
	if (!m->first_ns || first_ns < m->first_ns)
		m->first_ns = first_ns;
	if (at_ns > m->last_ns)
		m->last_ns = at_ns;
	sides_update(m->side, a, at_ns);
	sides_update(x->side, a, at_ns);
	return 0;
}

static int add_to_scan(struct access_book *b, struct access_scan *s, const struct node_access *a,
		       const struct access_counts *d, bool first, int64_t at_ns)
{
	struct access_side now[2] = { };
	int r = book_mark(&b->dirty_scans, s);

	sides_update(now, a, at_ns);
	if (!r)
		r = alert_book_scan(b->alerts, s, a->proto, d, now, at_ns);
	if (r < 0)
		return r;
	s->folded += first;
	s->folded_flows += d->flows;
	s->folded_packets += d->packets;
	s->folded_bytes += d->bytes;
	s->folded_refused += counts_refused(d);
	s->folded_would += d->cnt[CW_EGRESS][CW_OUT_WOULD_BLOCK];
	s->folded_dropped += d->cnt[CW_EGRESS][CW_OUT_DROP];
	if (at_ns > s->last_ns)
		s->last_ns = at_ns;
	return 0;
}

static int add_refused(struct access_book *b, const struct node_access *a, const struct access_counts *d,
		       int64_t now_ns)
{
	const struct workload_ref *wl = has_wl(&a->src_wl) ? &a->src_wl : &a->dst_wl;
	struct access_fold *f;
	int r;

	r = book_fold_get(b, has_wl(wl) ? wl->ns : "", has_wl(wl) ? wl->name : "", a->instance, &f);
	if (!r)
		r = book_mark(&b->dirty_folds, f);
	if (r < 0)
		return r;
	f->refused += d->flows;
	f->last_ns = now_ns;
	return 0;
}

/* Where a counter adds to: a member, a scan, or neither when the book is full. */
static int bind(struct access_book *b, const struct node_access *a, const struct resolved *to,
		int64_t first_ns, struct access_member **ret_member, struct access_scan **ret_scan)
{
	uint16_t port = lifted_port(a->proto, a->port);
	struct access *x = book_access_find(b, to->src, to->dst, a->proto, port);
	struct access_scan *scan = NULL;
	bool fold = false;
	int r;

	*ret_member = NULL;
	*ret_scan = NULL;
	if (!x) {
		r = book_scan_touch(b, to->src, to->src_point, to->dst, a->proto, port, a->answered > 0,
				    first_ns, &scan, &fold);
		if (r < 0)
			return r;
		if (scan) {
			r = alert_book_scan(b->alerts, scan, a->proto, NULL, NULL, 0);
			if (r < 0)
				return r;
		}
		if (fold) {
			*ret_scan = scan;
			return 0;
		}
		if (b->accesses.n >= b->max_accesses)
			return 0;
		r = book_access_new(b, to->src, to->dst, a->proto, port, first_ns, &x);
		if (!r)
			r = book_scan_made(b, x, scan);
		if (r < 0)
			return r;
	}
	return book_member(b, x, to->src_point, to->dst_point, a->family, ret_member);
}

static int counter_new(struct access_book *b, const struct counter_name *n, struct access_counter **ret)
{
	struct access_counter *c;
	int r;

	if (htab_count(b->counters) >= ACCESS_COUNTERS_MAX)
		return -ENOSPC;
	c = calloc(1, sizeof(*c));
	if (!c)
		return -ENOMEM;
	c->num = b->next_counter;
	c->instance = n->instance;
	c->epoch = n->epoch;
	c->key = n->key;
	r = vec_reserve(&b->dirty_counters, b->dirty_counters.n + 1);
	if (!r)
		r = htab_set(b->counters, n, sizeof(*n), c, NULL);
	if (r < 0) {
		free(c);
		return r;
	}
	b->next_counter++;
	(void)book_mark(&b->dirty_counters, c); /* room was reserved */
	*ret = c;
	return 0;
}

/* A counter bound to an unresolved end or folded into a scan moves on when more is known. */
static int rebind(struct access_book *b, struct access_counter *c, const struct node_access *a,
		  int64_t first_ns)
{
	bool unresolved = c->member && c->member->access->hold == ACCESS_HELD_UNRESOLVED;
	struct access_member *m;
	struct access_scan *s;
	struct resolved to;
	int r;

	if (!unresolved && !(c->scan && a->answered))
		return 0;
	r = resolve(b, a, !unresolved, &to);
	if (r)
		return r == 1 ? 0 : r;
	r = bind(b, a, &to, first_ns, &m, &s);
	if (r < 0)
		return r;
	c->member = m;
	c->scan = s;
	return 0;
}

int book_take(struct access_book *b, const struct counter_name *n, const struct node_access *a, bool force,
	      int64_t now_ns, struct access_applied *io)
{
	struct access_counter *c = htab_get(b->counters, n, sizeof(*n));
	int64_t at_ns = a->last_ns > 0 && a->last_ns <= now_ns + DAY_NS ? a->last_ns : now_ns;
	int64_t first_ns = a->first_ns > 0 && a->first_ns <= at_ns ? a->first_ns : at_ns;
	struct access_member *m = NULL;
	struct access_scan *s = NULL;
	struct access_counts d = { };
	struct resolved to;
	bool first = !c || !c->last_ns;
	int r;

	if (c) {
		if (!difference(b, a, &c->last, &d)) {
			if (io)
				io->unchanged++;
			return 0;
		}
		r = book_mark(&b->dirty_counters, c);
		if (!r)
			r = rebind(b, c, a, first_ns);
		if (r < 0)
			return r;
		m = c->member;
		s = c->scan;
	} else {
		r = resolve(b, a, force, &to);
		if (!r)
			r = bind(b, a, &to, first_ns, &m, &s);
		if (r)
			return r;
		(void)difference(b, a, &(struct access_counts){ }, &d); /* all zero adds nothing, rightly */
	}

	/* The counter itself comes to be last: without it a repeated batch finds things as before. */
	if (!c) {
		r = counter_new(b, n, &c);
		if (r < 0)
			return r;
		c->member = m;
		c->scan = s;
	}
	if (m)
		r = add_to_member(b, m, a, &d, first, first_ns, at_ns);
	else if (s)
		r = add_to_scan(b, s, a, &d, first, at_ns);
	else
		r = add_refused(b, a, &d, now_ns);
	if (r < 0)
		return r;
	c->last = (struct access_counts){ a->flows, a->answered, a->packets, a->bytes, a->guessed, { { 0 } } };
	memcpy(c->last.cnt, a->cnt, sizeof(c->last.cnt));
	c->last_ns = at_ns;
	if (io) {
		io->changed++;
		io->flows += d.flows;
	}
	return 0;
}
