/* SPDX-License-Identifier: Apache-2.0 */
#include "flow/ready.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "base/cleanup.h"
#include "base/vec.h"

struct list {
	struct ready_item *v;
	size_t n, cap;
	size_t named;
	uint64_t dropped;
};

const char *ready_kind_str(enum ready_kind k)
{
	static const char *const words[] = { "replicas", "peers", "loss", "answer", "decision", "schedule", "held",
					     "guard" };

	return (size_t)k < ARRAY_SIZE(words) ? words[k] : NULL;
}

static void item_done(struct ready_item *i)
{
	free(i->subject);
	free(i->src);
	free(i->dst);
	free(i->schedule);
}

static void list_done(struct list *l)
{
	for (size_t i = 0; i < l->n; i++)
		item_done(&l->v[i]);
	free(l->v);
}

void ready_done(struct ready *r)
{
	for (size_t i = 0; i < r->nitems; i++)
		item_done(&r->items[i]);
	free(r->items);
	*r = (struct ready){ };
}

/* Takes copies of the texts. Sums always find room. */
static int item_add(struct list *l, const struct ready_item *from, bool sum)
{
	struct ready_item i = *from;

	if (!sum && l->named >= READY_ITEMS_MAX) {
		l->dropped++;
		return 0;
	}
	i.subject = from->subject ? strdup(from->subject) : NULL;
	i.src = from->src ? strdup(from->src) : NULL;
	i.dst = from->dst ? strdup(from->dst) : NULL;
	i.schedule = from->schedule ? strdup(from->schedule) : NULL;
	if ((from->subject && !i.subject) || (from->src && !i.src) || (from->dst && !i.dst) ||
	    (from->schedule && !i.schedule) || vec_push(l, i)) {
		item_done(&i);
		return -ENOMEM;
	}
	l->named += !sum;
	return 0;
}

static bool concerns(const struct access_end *e, const char *ns)
{
	return e->ns && !strcmp(e->ns, ns);
}

static int check_replicas(const struct ready_input *in, struct list *l)
{
	struct ready_item sum = { .kind = READY_REPLICAS };
	char ref[ACCESS_REF_MAX];
	int r;

	for (size_t i = 0; i < in->nworkloads; i++) {
		const struct workload *w = &in->workloads[i];
		bool exact;

		if (!w->ns || strcmp(w->ns, in->ns))
			continue;
		sum.of++;
		if (access_book_seen(in->book, w, &exact)) {
			sum.have++;
			continue;
		}
		if ((size_t)snprintf(ref, sizeof(ref), "%s/pod/%s", w->ns, w->name) >= sizeof(ref))
			continue;
		r = item_add(l, &(struct ready_item){ .kind = READY_REPLICAS, .subject = ref }, false);
		if (r < 0)
			return r;
	}
	sum.ok = sum.have == sum.of;
	return item_add(l, &sum, true);
}

static bool schedule_seen(const struct ready_input *in, const struct ready_schedule *s)
{
	for (size_t i = 0; i < access_book_count(in->book); i++) {
		const struct access *a = access_book_at(in->book, i);

		if (in->since_ns && a->last_ns < in->since_ns)
			continue;
		for (int d = 0; d < 2; d++) {
			const struct access_end *e = d ? a->dst : a->src;

			if (e->kind == ACCESS_CONTROLLER && concerns(e, s->ns) &&
			    !strcasecmp(e->controller_kind, s->kind) && !strcmp(e->controller_name, s->name))
				return true;
		}
	}
	return false;
}

static int check_schedules(const struct ready_input *in, struct list *l)
{
	char ref[ACCESS_REF_MAX];
	int r;

	for (size_t i = 0; i < in->nschedules; i++) {
		const struct ready_schedule *s = &in->schedules[i];

		if (strcmp(s->ns, in->ns) || schedule_seen(in, s) ||
		    (size_t)snprintf(ref, sizeof(ref), "%s/%s/%s", s->ns, kind_short(s->kind), s->name) >= sizeof(ref))
			continue;
		r = item_add(l, &(struct ready_item){ .kind = READY_SCHEDULE, .subject = ref,
						      .schedule = (char *)s->schedule, .next_ns = s->next_ns }, false);
		if (r < 0)
			return r;
	}
	return 0;
}

struct sums { uint64_t peers, resolved, undecided, held; int64_t first_ns; };

static int check_access(const struct access *a, struct list *l, struct ready *ret, struct sums *s)
{
	struct ready_item i = { .subject = (char *)a->id, .src = a->src->ref, .dst = a->dst->ref };
	enum access_state st = access_state(a);

	ret->accesses++;
	if (!s->first_ns || a->first_ns < s->first_ns)
		s->first_ns = a->first_ns;
	if (a->first_ns > ret->newest_ns)
		ret->newest_ns = a->first_ns;
	s->peers++;
	if (a->hold == ACCESS_HELD_UNRESOLVED && a->decision == ACCESS_UNDECIDED) {
		i.kind = READY_PEERS;
		i.count = a->c.flows;
		return item_add(l, &i, false);
	}
	s->resolved++;
	if (st == ACCESS_ST_HELD) {
		s->held++;
		return 0;
	}
	if (st != ACCESS_ST_PENDING)
		return 0;
	ret->pending++;
	if (access_covered(a))
		return 0;
	s->undecided++;
	if (a->c.answered)
		return 0;
	i.kind = READY_ANSWER;
	i.count = a->c.flows;
	(void)access_port_str(a, i.port);
	return item_add(l, &i, false);
}

static int check_accesses(const struct ready_input *in, struct list *l, struct ready *ret)
{
	struct sums s = { };
	int r;

	for (size_t i = 0; i < access_book_count(in->book); i++) {
		const struct access *a = access_book_at(in->book, i);

		if ((!concerns(a->src, in->ns) && !concerns(a->dst, in->ns)) ||
		    (in->since_ns && a->last_ns < in->since_ns))
			continue;
		r = check_access(a, l, ret, &s);
		if (r < 0)
			return r;
	}
	/* What a scan folded is held as well, and said once. */
	for (size_t i = 0; i < access_book_scan_count(in->book); i++) {
		const struct access_scan *sc = access_book_scan_at(in->book, i);

		if (concerns(sc->src, in->ns) && (!in->since_ns || sc->last_ns >= in->since_ns))
			s.held += sc->folded;
	}
	r = item_add(l, &(struct ready_item){ .kind = READY_PEERS, .ok = s.peers == s.resolved, .have = s.resolved,
					      .of = s.peers }, true);
	if (!r && s.undecided)
		r = item_add(l, &(struct ready_item){ .kind = READY_DECISION, .count = s.undecided }, true);
	if (!r && s.held)
		r = item_add(l, &(struct ready_item){ .kind = READY_HELD, .count = s.held }, true);
	if (s.first_ns)
		ret->window_ns = in->now_ns - (in->since_ns > s.first_ns ? in->since_ns : s.first_ns);
	return r;
}

static int check_loss(const struct ready_input *in, struct list *l, struct ready *ret)
{
	struct ready_item i = { .kind = READY_LOSS };

	access_book_loss(in->book, in->ns, &ret->loss);
	i.count = ret->loss.sum.lost + ret->loss.refused;
	i.folded = ret->loss.sum.pair_flows + ret->loss.sum.folded_flows + ret->loss.sum.folded_drops;
	i.ok = !i.count && !i.folded;
	return item_add(l, &i, true);
}

static int item_cmp(const void *a, const void *b)
{
	const struct ready_item *x = a, *y = b;
	int r;

	if (x->ok != y->ok)
		return x->ok ? -1 : 1;
	if (x->kind != y->kind)
		return x->kind < y->kind ? -1 : 1;
	if (!x->subject != !y->subject)
		return x->subject ? 1 : -1;
	r = x->subject ? strcmp(x->subject, y->subject) : 0;
	return r;
}

int ready_check(const struct ready_input *in, struct ready *ret)
{
	auto_cleanup(list_done) struct list l = { };
	struct ready out = { .ready = true };
	int r;

	r = check_replicas(in, &l);
	if (!r)
		r = check_schedules(in, &l); /* few, and not to be crowded out by what follows */
	if (!r)
		r = check_accesses(in, &l, &out);
	if (!r)
		r = check_loss(in, &l, &out);
	if (!r && in->interfaces)
		r = item_add(&l, &(struct ready_item){ .kind = READY_GUARD, .ok = in->guarded == in->interfaces,
						       .have = in->guarded, .of = in->interfaces }, true);
	if (r < 0)
		return r;
	for (size_t i = 0; i < l.n; i++)
		out.ready = out.ready && l.v[i].ok;
	if (l.n)
		qsort(l.v, l.n, sizeof(*l.v), item_cmp);
	out.items = take_ptr(l.v);
	out.nitems = l.n;
	out.dropped = l.dropped;
	l.n = 0;
	*ret = out;
	return 0;
}
