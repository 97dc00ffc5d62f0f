/* SPDX-License-Identifier: Apache-2.0 */
/*
 * view.c - a graph seen from a level: filter, lift, fold, merge, sort.
 *
 * Lifting gives every collected node a target, the group it is drawn as. Folding only changes
 * targets, so that nodes and lines are made once, at the end, from the same table.
 */
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "base/cleanup.h"
#include "base/vec.h"
#include "topology/view_priv.h"

static void maker_done(struct maker *m)
{
	free(m->at);
	free(m->is_group);
	free(m->kept);
	free(m->target_of);
	vec_done(&m->targets);
	if (m->focus)
		htab_free(m->focus, NULL);
	if (m->at_ref)
		htab_free(m->at_ref, NULL);
	graph_view_free(m->v);
}

static uint32_t node_index(const struct graph *g, const char *ref)
{
	uintptr_t at = (uintptr_t)htab_get(g->node_at, ref, strlen(ref));

	return at ? (uint32_t)(at - 1) : UINT32_MAX;
}

/* Who is whose group, and what a group can take over from members that agree. */
static int infer_groups(struct maker *m)
{
	static const enum graph_level beside[] = { GRAPH_LABEL, GRAPH_SERVICE, GRAPH_NAMESPACE };
	const struct graph *g = m->g;
	auto_free uint8_t *clash = calloc(g->nodes.n + 1, 1);

	m->at = calloc(g->nodes.n + 1, sizeof(*m->at));
	m->is_group = calloc(g->nodes.n + 1, sizeof(*m->is_group));
	if (!clash || !m->at || !m->is_group)
		return -ENOMEM;
	for (size_t i = 0; i < g->nodes.n; i++)
		memcpy(m->at[i], g->nodes.v[i].at, sizeof(m->at[i]));
	for (size_t i = 0; i < g->nodes.n; i++) {
		const struct gnode *n = &g->nodes.v[i];

		for (int l = GRAPH_CONTROLLER; l <= GRAPH_SERVICE; l++) {
			uint32_t group = n->at[l] ? node_index(g, n->at[l]) : UINT32_MAX;

			if (group == UINT32_MAX || group == i)
				continue;
			if (g->nodes.v[group].outside && !n->outside) { /* no workload is drawn as an address */
				m->at[i][l] = NULL;
				continue;
			}
			m->is_group[group] = true;
			if (l != GRAPH_CONTROLLER)
				continue;
			for (size_t b = 0; b < ARRAY_SIZE(beside); b++) {
				enum graph_level to = beside[b];

				if (g->nodes.v[group].at[to] || clash[group] & 1u << to)
					continue;
				if (!n->at[to] || (m->at[group][to] && m->at[group][to] != n->at[to])) {
					clash[group] |= (uint8_t)(1u << to);
					m->at[group][to] = NULL;
				} else {
					m->at[group][to] = n->at[to];
				}
			}
		}
	}
	return 0;
}

/* The REF that a node is drawn as at a level. NULL: no memory. */
static const char *lift(struct maker *m, uint32_t i, enum graph_level l)
{
	const struct gnode *n = &m->g->nodes.v[i];
	char ns[GRAPH_NAME_MAX + 8];

	if (n->outside || !*n->ns || !strcmp(n->kind, "ns"))
		return n->ref;
	if (m->at[i][l])
		return m->at[i][l];
	switch (l) {
	case GRAPH_LABEL:
	case GRAPH_SERVICE:
		return lift(m, i, GRAPH_CONTROLLER);
	case GRAPH_NAMESPACE:
		(void)snprintf(ns, sizeof(ns), "ns/%s", n->ns);
		return graph_strings_add(m->strings, ns);
	default:
		return n->ref;
	}
}

static bool in_focus(const struct maker *m, const struct gnode *n)
{
	return !m->focus || (*n->ns && htab_has(m->focus, n->ns, strlen(n->ns)));
}

static bool passes(const struct maker *m, const struct gaccess *a)
{
	const struct graph_query *q = m->q;
	uint32_t states = q->states ? q->states : ~(1u << GRAPH_HELD);

	if (!(states & 1u << a->state))
		return false;
	if (q->outcomes && !(q->outcomes & 1u << graph_stricter(a->outcome[0], a->outcome[1])))
		return false;
	if (q->since_ns && a->last_ns && a->last_ns < q->since_ns)
		return false;
	if (q->until_ns && a->first_ns > q->until_ns)
		return false;
	return in_focus(m, &m->g->nodes.v[a->src]) || in_focus(m, &m->g->nodes.v[a->dst]);
}

static int filter(struct maker *m)
{
	const struct graph *g = m->g;

	m->kept = calloc(g->accesses.n + 1, sizeof(*m->kept));
	if (!m->kept)
		return -ENOMEM;
	for (size_t i = 0; i < g->nodes.n; i++)
		m->v->held += g->nodes.v[i].held;
	for (size_t i = 0; i < g->accesses.n; i++) {
		if (passes(m, &g->accesses.v[i]))
			m->kept[m->nkept++] = (uint32_t)i;
		else if (g->accesses.v[i].state == GRAPH_HELD && !m->q->states)
			m->v->held++;
		else
			m->v->filtered++;
	}
	return 0;
}

/* `member`: the node that is drawn as ref, which names its namespace; NULL: the REF says it all. */
static int target_for(struct maker *m, const char *ref, const struct gnode *member, uint32_t *ret)
{
	uintptr_t at = (uintptr_t)htab_get(m->at_ref, ref, strlen(ref));
	uint32_t own = node_index(m->g, ref);
	struct target t = { .ref = ref };
	struct ref_parts p;

	if (at) {
		*ret = (uint32_t)(at - 1);
		return 0;
	}
	if (own != UINT32_MAX) {
		const struct gnode *n = &m->g->nodes.v[own];

		t.ns = n->ns;
		t.kind = n->kind;
		t.name = n->name;
		t.outside = n->outside;
	} else {
		bool ns = member && *member->ns && !strncmp(ref, "ns/", 3) && !strcmp(ref + 3, member->ns);

		graph_ref_split(ref, &p);
		t.ns = ns ? member->ns : graph_strings_addn(m->strings, p.ns, p.ns_len);
		t.kind = ns ? "ns" : graph_strings_addn(m->strings, p.kind, p.kind_len);
		t.name = ns ? member->ns : graph_strings_addn(m->strings, p.name, p.name_len);
		t.borrows_ns = !ns && member && p.outside; /* a group by a name that says no namespace */
		t.outside = !member && p.outside;
	}
	if (!t.ns || !t.kind || !t.name)
		return -ENOMEM;
	t.foldable = t.outside && graph_kind_foldable(t.kind);
	if (vec_push(&m->targets, t) < 0 ||
	    htab_set(m->at_ref, ref, strlen(ref), (void *)m->targets.n, NULL) < 0)
		return -ENOMEM;
	*ret = (uint32_t)(m->targets.n - 1);
	return 0;
}

static int lift_all(struct maker *m, enum graph_level l)
{
	const struct graph *g = m->g;

	m->targets.n = 0;
	if (m->at_ref)
		htab_free(m->at_ref, NULL);
	m->at_ref = htab_new();
	if (!m->at_ref)
		return -ENOMEM;
	for (uint32_t i = 0; i < g->nodes.n; i++) {
		const struct gnode *n = &g->nodes.v[i];
		const char *ref = lift(m, i, l);
		struct target *t;
		int r = ref ? target_for(m, ref, n, &m->target_of[i]) : -ENOMEM;

		if (r < 0)
			return r;
		t = &m->targets.v[m->target_of[i]];
		if (t->borrows_ns && (!*t->ns || strcmp(n->ns, t->ns) < 0))
			t->ns = n->ns;
		t->flags |= n->flags;
		t->held += n->held;
		if (!n->outside && !m->is_group[i])
			t->members += n->members ? n->members : 1;
		/* a group beside its own members is only drawn where an access names it */
		if (!n->outside && in_focus(m, n) && !(l == GRAPH_POD && m->is_group[i]))
			t->drawn = true;
	}
	for (size_t k = 0; k < m->nkept; k++) {
		const struct gaccess *a = &g->accesses.v[m->kept[k]];
		enum cw_outcome o = graph_stricter(a->outcome[0], a->outcome[1]);

		for (int end = 0; end < 2; end++) {
			struct target *t = &m->targets.v[m->target_of[end ? a->dst : a->src]];

			t->drawn = true;
			t->accesses++;
			t->blocked |= o == CW_OUT_DROP || o == CW_OUT_WOULD_BLOCK;
		}
	}
	for (size_t i = 0; i < g->accesses.n; i++)
		if (g->accesses.v[i].state == GRAPH_HELD && !m->q->states)
			m->targets.v[m->target_of[g->accesses.v[i].src]].held++;
	return 0;
}

static size_t count_drawn(const struct maker *m)
{
	size_t n = 0;

	for (size_t i = 0; i < m->targets.n; i++)
		n += m->targets.v[i].drawn;
	return n;
}

/* Points every node of the marked targets to one folded target. */
static int fold_into(struct maker *m, const bool *fold, const char *ref)
{
	struct target sum = {};
	uint32_t to;
	int r = target_for(m, ref, NULL, &to);

	if (r < 0)
		return r;
	for (size_t i = 0; i < m->targets.n; i++) {
		struct target *t = &m->targets.v[i];

		if (i == to || !fold[i])
			continue;
		sum.members += t->members;
		sum.held += t->held;
		sum.flags |= t->flags;
		sum.drawn |= t->drawn;
		t->drawn = false;
	}
	for (size_t i = 0; i < m->g->nodes.n; i++)
		if (m->target_of[i] != to && fold[m->target_of[i]])
			m->target_of[i] = to;
	m->targets.v[to].members += sum.members;
	m->targets.v[to].held += sum.held;
	m->targets.v[to].flags |= sum.flags;
	m->targets.v[to].drawn |= sum.drawn;
	return 0;
}

static int fold_outside(struct maker *m)
{
	auto_free bool *fold = calloc(m->targets.n + 1, sizeof(*fold));

	if (!fold)
		return -ENOMEM;
	for (size_t i = 0; i < m->targets.n; i++) {
		fold[i] = m->targets.v[i].foldable && strcmp(m->targets.v[i].ref, GRAPH_FOLDED_OUTSIDE) != 0;
		m->v->folded_outside += fold[i] && m->targets.v[i].drawn;
	}
	return fold_into(m, fold, GRAPH_FOLDED_OUTSIDE);
}

struct rank { const struct target *t; uint32_t i; };

/* What a person must not miss first: quarantined or blocked, then busy, then by name. */
static int rank_cmp(const void *pa, const void *pb)
{
	const struct target *a = ((const struct rank *)pa)->t, *b = ((const struct rank *)pb)->t;
	int ua = (a->flags & GRAPH_NODE_QUARANTINED) != 0, ub = (b->flags & GRAPH_NODE_QUARANTINED) != 0;

	if (ua != ub)
		return ub - ua;
	if (a->blocked != b->blocked)
		return b->blocked - a->blocked;
	if (a->accesses != b->accesses)
		return a->accesses < b->accesses ? 1 : -1;
	return strcmp(a->ref, b->ref);
}

static int fold_namespaces(struct maker *m)
{
	auto_free bool *fold = calloc(m->targets.n + 1, sizeof(*fold));
	auto_free struct rank *ranks = calloc(m->targets.n + 1, sizeof(*ranks));
	size_t n = 0, others = 0, room;

	if (!fold || !ranks)
		return -ENOMEM;
	for (uint32_t i = 0; i < m->targets.n; i++) {
		const struct target *t = &m->targets.v[i];

		if (!t->drawn)
			continue;
		if (!t->outside && *t->ns)
			ranks[n++] = (struct rank){ t, i };
		else
			others++;
	}
	qsort(ranks, n, sizeof(*ranks), rank_cmp);
	room = m->q->max_nodes > others + 1 ? m->q->max_nodes - others - 1 : 0;
	for (size_t i = room; i < n; i++)
		fold[ranks[i].i] = true;
	m->v->folded_namespaces = n > room ? n - room : 0;
	return n > room ? fold_into(m, fold, GRAPH_FOLDED_NS) : 0;
}

static int choose_level(struct maker *m)
{
	struct graph_view *v = m->v;
	size_t max = m->q->max_nodes, n;
	int r;

	v->asked = v->level = m->q->level;
	for (;;) {
		r = lift_all(m, v->level);
		if (r < 0)
			return r;
		n = count_drawn(m);
		if (v->level == v->asked)
			v->nodes_asked = n;
		if (!max || n <= max || v->level == GRAPH_NAMESPACE)
			break;
		v->level = v->level == GRAPH_POD ? GRAPH_CONTROLLER : GRAPH_NAMESPACE;
	}
	if (!max || n <= max)
		return 0;
	r = fold_outside(m);
	if (r < 0 || count_drawn(m) <= max)
		return r;
	return fold_namespaces(m);
}

static int make_focus(struct maker *m)
{
	const struct graph_query *q = m->q;

	if (!q->nnamespaces)
		return 0;
	m->focus = htab_new();
	if (!m->focus)
		return -ENOMEM;
	for (size_t i = 0; i < q->nnamespaces; i++)
		if (htab_set(m->focus, q->namespaces[i], strlen(q->namespaces[i]), (void *)1, NULL) < 0)
			return -ENOMEM;
	return 0;
}

int graph_view_make(const struct graph *g, const struct graph_query *q, struct graph_view **ret)
{
	auto_cleanup(maker_done) struct maker m = { .g = g, .q = q };
	int (*const steps[])(struct maker *) = { make_focus, infer_groups, filter, choose_level,
						 view_make_nodes, view_make_edges, view_make_namespaces };

	if ((unsigned)q->level >= GRAPH_LEVELS)
		return -EINVAL;
	m.v = calloc(1, sizeof(*m.v));
	m.target_of = calloc(g->nodes.n + 1, sizeof(*m.target_of));
	if (!m.v || !m.target_of)
		return -ENOMEM;
	m.v->strings = m.strings = graph_strings_new();
	if (!m.strings)
		return -ENOMEM;
	for (size_t i = 0; i < ARRAY_SIZE(steps); i++) {
		int r = steps[i](&m);

		if (r < 0)
			return r;
	}
	*ret = take_ptr(m.v);
	return 0;
}

void graph_view_free(struct graph_view *v)
{
	if (!v)
		return;
	free(v->nodes);
	free(v->edges);
	free(v->accesses);
	free(v->namespaces);
	graph_strings_free(v->strings);
	free(v);
}

void graph_view_freep(struct graph_view **v)
{
	graph_view_free(*v);
}
