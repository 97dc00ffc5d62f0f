/* SPDX-License-Identifier: Apache-2.0 */
#include "controller/replay.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"
#include "base/vec.h"
#include "controller/ref.h"
#include "controller/services.h"

#define DAY_NS (86400 * 1000000000ll)

const char *replay_effect_str(enum replay_effect e)
{
	static const char *const s[] = { "same", "differs", "opens", "breaks" };

	return s[e];
}

int outcome_weight(enum cw_outcome o)
{
	static const int w[CW_OUT_COUNT] = {
		[CW_OUT_NONE] = 0, [CW_OUT_ALLOW] = 1, [CW_OUT_NO_RULE] = 2, [CW_OUT_ALERT] = 3,
		[CW_OUT_WOULD_BLOCK] = 4, [CW_OUT_DROP] = 5,
	};

	return o < CW_OUT_COUNT ? w[o] : 0;
}

uint32_t access_axis(const struct access *a)
{
	return CW_AXIS(a->proto, a->port);
}

/* A reserved word without an address: one that stands for it, of the member's family. */
static bool stand_in(uint32_t reserved, uint8_t family, const struct policy_state *st, struct addr *ret)
{
	switch (reserved) {
	case CW_ID_HOST:
	case CW_ID_REMOTE_NODE:
		for (size_t i = 0; i < st->nnodes; i++) {
			const struct node_info *n = &st->nodes[i];

			if (str_eq(n->name, st->node) != (reserved == CW_ID_HOST))
				continue;
			for (size_t k = 0; k < n->naddrs + n->ntold; k++) {
				const struct addr *at = k < n->naddrs ? &n->addrs[k] : &n->told[k - n->naddrs];

				if (family && addr_is_v4(at) != (family == 4))
					continue;
				*ret = *at;
				return true;
			}
		}
		return false;
	case CW_ID_WORLD: /* documentation prefixes: nobody's, so no narrower selector is meant */
		return !addr_parse(family == 6 ? "2001:db8:ffff:ffff:ffff:ffff:ffff:fffe" : "192.0.2.254", ret);
	case CW_ID_MULTICAST:
		return !addr_parse(family == 6 ? "ff02::1" : "224.0.0.1", ret);
	default:
		return false;
	}
}

static const struct workload *same_group(const struct access_end *e, const struct policy_state *st)
{
	for (size_t i = 0; i < st->nworkloads; i++) {
		const struct workload *w = &st->workloads[i];

		if (!str_eq(w->ns, e->ns))
			continue;
		if (e->kind == ACCESS_CONTROLLER && same_kind(e->controller_kind, w->controller_kind) &&
		    str_eq(e->controller_name, w->controller_name))
			return w;
		if (e->kind == ACCESS_POD && str_eq(e->pod, w->name))
			return w;
		if (e->kind == ACCESS_LABELS) {
			bool all = true;

			for (size_t k = 0; k < e->labels.n && all; k++)
				all = str_eq(labels_get(&w->labels, e->labels.v[k].key), e->labels.v[k].value);
			if (all)
				return w;
		}
	}
	return NULL;
}

/* A table value that says "looked for, none there". */
static const struct workload nobody;

static const struct workload *stands_for(const struct replay_index *ix, const struct access_end *e)
{
	size_t len = strlen(e->ref);
	const struct workload *w = htab_get(ix->by_end, e->ref, len);

	if (!w) {
		w = same_group(e, ix->st) ?: &nobody;
		(void)htab_set(ix->by_end, e->ref, len, (void *)w, NULL); /* without memory it is looked for again */
	}
	return w == &nobody ? NULL : w;
}

int replay_index_init(const struct policy_state *st, struct replay_index *ret)
{
	struct replay_index ix = { st, htab_new(), htab_new() };
	int e = ix.by_name && ix.by_end ? 0 : -ENOMEM;
	char key[512];

	for (size_t i = 0; i < st->nworkloads && !e; i++) {
		const struct workload *w = &st->workloads[i];
		int n = snprintf(key, sizeof(key), "%s/%s", w->ns, w->name);

		e = htab_set(ix.by_name, key, (size_t)n, (void *)w, NULL);
	}
	if (e)
		replay_index_done(&ix);
	else
		*ret = ix;
	return e;
}

void replay_index_done(struct replay_index *ix)
{
	htab_free(ix->by_name, NULL);
	htab_free(ix->by_end, NULL);
	ix->by_name = ix->by_end = NULL;
}

static bool has_family(const struct workload *w, uint8_t family)
{
	for (size_t i = 0; i < w->naddrs; i++)
		if (addr_is_v4(&w->addrs[i]) == (family == 4))
			return true;
	return false;
}

static void of_family(const struct workload *w, uint8_t family, struct policy_end *e)
{
	e->ns = w->ns;
	e->name = w->name;
	if (!family || !has_family(w, family))
		return;
	for (size_t i = 0; i < w->naddrs; i++) {
		if (addr_is_v4(&w->addrs[i]) != (family == 4))
			continue;
		e->addr = w->addrs[i];
		return;
	}
}

bool replay_end(const struct replay_index *ix, const struct access_point *p, const struct access_end *end,
		uint8_t family, struct policy_end *ret)
{
	const struct workload *w = NULL;
	char key[512];

	memset(ret, 0, sizeof(*ret));
	if (end->kind == ACCESS_SERVICE) {
		const struct service *s = state_service(ix->st, end->ns, end->pod);

		if (!s)
			return false;
		ret->ns = s->ns;
		ret->svc = s->name;
		for (size_t i = 0; i < s->naddrs && addr_is_zero(&ret->addr); i++)
			if (!family || addr_is_v4(&s->addrs[i]) == (family == 4))
				ret->addr = s->addrs[i];
		return true;
	}
	if (p && p->name) {
		int n = snprintf(key, sizeof(key), "%s/%s", p->ns, p->name);

		w = htab_get(ix->by_name, key, (size_t)n);
	}
	if (!w && (!p || p->name))
		w = stands_for(ix, end); /* a replica that is gone: its successor has the same labels */
	if (w) {
		of_family(w, family, ret);
		return true;
	}
	if (p && p->name)
		return false;
	if (p && !addr_is_zero(&p->addr)) {
		ret->addr = p->addr;
		return true;
	}
	if (end->kind == ACCESS_CIDR || end->kind == ACCESS_ADDR || end->kind == ACCESS_UNRESOLVED) {
		ret->addr = end->prefix.addr;
		return true;
	}
	return stand_in(p && p->reserved ? p->reserved : end->reserved, family, ix->st, &ret->addr);
}

static enum replay_effect effect_of(const struct policy_answer *was, const struct policy_answer *now)
{
	if (was->passes != now->passes)
		return now->passes ? REPLAY_OPENS : REPLAY_BREAKS;
	for (int s = 0; s < 2; s++)
		if (was->side[s].j.outcome != now->side[s].j.outcome)
			return REPLAY_DIFFERS;
	return REPLAY_SAME;
}

static void item_fill(struct replay_item *it, const struct policy_answer *was, const struct policy_answer *now)
{
	bool diff[2];
	int s;

	for (s = 0; s < 2; s++)
		diff[s] = was->side[s].j.outcome != now->side[s].j.outcome;
	s = diff[0] ? 0 : 1;
	/* Both change: show the side whose new word is the stricter, or was. */
	if (diff[0] && diff[1]) {
		int w0 = outcome_weight(now->side[0].j.outcome), w1 = outcome_weight(now->side[1].j.outcome);

		if (w1 > w0 || (w1 == w0 && outcome_weight(was->side[1].j.outcome) >
					    outcome_weight(was->side[0].j.outcome)))
			s = 1;
	}
	it->side = diff[0] && diff[1] ? -1 : s;
	it->was = was->side[s].j.outcome;
	it->becomes = now->side[s].j.outcome;
	it->was_by = was->side[s].j.v;
	it->by = now->side[s].j.v;
	it->was_reason = was->side[s].reason;
	it->by_reason = now->side[s].reason;
	it->by_isolated = now->side[s].j.v.flags & CW_V_ISOLATED;
}

struct pair { struct policy_end src, dst; };

static bool same_question(const struct pair *a, const struct pair *b)
{
	return str_eq(a->src.ns, b->src.ns) && str_eq(a->src.name, b->src.name) &&
	       str_eq(a->dst.ns, b->dst.ns) && str_eq(a->dst.name, b->dst.name) &&
	       !addr_cmp(&a->src.addr, &b->src.addr) && !addr_cmp(&a->dst.addr, &b->dst.addr);
}

int replay_one(const struct judge *j, const struct access *a, const struct replay_index *ix,
	       const struct replay_opts *o, struct replay_item *it)
{
	struct pair last = {}, q;
	int asked = 0, e;

	for (size_t i = 0; i < a->nmembers || (!i && !a->nmembers); i++) {
		const struct access_member *m = a->nmembers ? a->members[i] : NULL;
		uint8_t family = m ? m->family : a->flows6 ? 6 : 4;
		struct policy_answer was, now;
		enum replay_effect eff;

		if (!replay_end(ix, m ? m->src : NULL, a->src, family, &q.src) ||
		    !replay_end(ix, m ? m->dst : NULL, a->dst, family, &q.dst))
			continue;
		if (asked && same_question(&q, &last))
			continue;
		e = judge_ask(j, false, o->was_enforce, &q.src, &q.dst, access_axis(a), &was);
		if (!e)
			e = judge_ask(j, true, o->becomes_enforce, &q.src, &q.dst, access_axis(a), &now);
		if (e == -ENOENT || e == -EAFNOSUPPORT)
			continue;
		if (e)
			return e;
		last = q;
		asked = 1;
		eff = effect_of(&was, &now);
		if (eff <= it->effect)
			continue;
		it->effect = eff;
		item_fill(it, &was, &now);
	}
	return asked;
}

static bool end_in(const struct access_end *e, const struct replay_opts *o)
{
	for (size_t i = 0; i < o->nns; i++)
		if (str_eq(e->ns, o->ns[i]))
			return true;
	return false;
}

static int by_effect(const void *pa, const void *pb)
{
	const struct replay_item *a = pa, *b = pb;

	if (a->effect != b->effect)
		return a->effect > b->effect ? -1 : 1;
	return strcmp(a->access->id, b->access->id);
}

int replay_run(const struct judge *j, const struct access_book *book, const struct policy_state *st,
	       const struct replay_opts *o, struct replay *ret)
{
	struct { struct replay_item *v; size_t n, cap; } items = {};
	struct replay r = { .since_ns = o->since_ns, .until_ns = o->until_ns };
	auto_cleanup(replay_index_done) struct replay_index ix = {};
	size_t n = access_book_count(book);
	int e = replay_index_init(st, &ix);

	for (size_t i = 0; i < n && !e; i++) {
		const struct access *a = access_book_at(book, i);
		struct replay_item it = { .access = a };

		if (o->nns && !end_in(a->src, o) && !end_in(a->dst, o))
			continue;
		if ((o->since_ns && a->last_ns < o->since_ns) || (o->until_ns && a->first_ns > o->until_ns))
			continue;
		access_span(a, o->since_ns, o->until_ns, &it.span);
		r.accesses++;
		r.flows += it.span.flows;
		if (!r.first_ns || a->first_ns < r.first_ns)
			r.first_ns = a->first_ns;
		if (a->last_ns > r.last_ns)
			r.last_ns = a->last_ns;
		e = replay_one(j, a, &ix, o, &it);
		if (e < 0)
			break;
		r.unresolved += !e;
		r.unchanged += e && it.effect == REPLAY_SAME;
		e = 0;
		r.breaks += it.effect == REPLAY_BREAKS;
		r.opens += it.effect == REPLAY_OPENS;
		r.differs += it.effect == REPLAY_DIFFERS;
		if (it.effect != REPLAY_SAME && vec_push(&items, it))
			e = -ENOMEM;
	}
	if (e) {
		vec_done(&items);
		return e;
	}
	if (r.since_ns && r.first_ns && r.first_ns < r.since_ns)
		r.first_ns = r.since_ns;
	if (r.until_ns && r.last_ns > r.until_ns)
		r.last_ns = r.until_ns;
	if (r.first_ns)
		r.days = (uint32_t)(r.last_ns / DAY_NS - r.first_ns / DAY_NS + 1);
	if (items.n)
		qsort(items.v, items.n, sizeof(*items.v), by_effect);
	r.items = items.v;
	r.n = items.n;
	*ret = r;
	return 0;
}

void replay_done(struct replay *r)
{
	free(r->items);
	memset(r, 0, sizeof(*r));
}
