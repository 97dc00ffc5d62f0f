/* SPDX-License-Identifier: Apache-2.0 */
/* view_lines.c - from targets and kept accesses to sorted nodes and merged lines. */
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "base/cleanup.h"
#include "topology/view_priv.h"

static const char *keep(struct maker *m, const char *s)
{
	return graph_strings_add(m->strings, s);
}

static int vnode_cmp(const void *a, const void *b)
{
	return strcmp(((const struct graph_vnode *)a)->ref, ((const struct graph_vnode *)b)->ref);
}

int view_make_nodes(struct maker *m)
{
	struct graph_view *v = m->v;

	v->nodes = calloc(m->targets.n + 1, sizeof(*v->nodes));
	if (!v->nodes)
		return -ENOMEM;
	for (size_t i = 0; i < m->targets.n; i++) {
		const struct target *t = &m->targets.v[i];
		struct graph_vnode to = { .flags = t->flags, .held = t->held, .outside = t->outside };

		if (!t->drawn)
			continue;
		to.ref = keep(m, t->ref);
		to.ns = keep(m, t->ns);
		to.kind = keep(m, t->kind);
		to.name = keep(m, t->name);
		/* a group of which no member was added stands for itself */
		to.members = t->members ? t->members : 1;
		if (to.outside)
			to.members = 0;
		if (!to.ref || !to.ns || !to.kind || !to.name)
			return -ENOMEM;
		v->nodes[v->nnodes++] = to;
	}
	qsort(v->nodes, v->nnodes, sizeof(*v->nodes), vnode_cmp);
	for (size_t i = 0; i < m->targets.n; i++) {
		const struct graph_vnode key = { .ref = m->targets.v[i].ref };
		const struct graph_vnode *at;

		if (!m->targets.v[i].drawn)
			continue;
		at = bsearch(&key, v->nodes, v->nnodes, sizeof(*v->nodes), vnode_cmp);
		m->targets.v[i].index = (uint32_t)(at - v->nodes);
	}
	return 0;
}

/* An access between two drawn nodes, before lines are formed. */
struct part {
	struct graph_access a;
	uint32_t src, dst;
};

static int part_by_id(const void *pa, const void *pb)
{
	const struct part *a = pa, *b = pb;

	if (a->src != b->src)
		return a->src < b->src ? -1 : 1;
	if (a->dst != b->dst)
		return a->dst < b->dst ? -1 : 1;
	return strcmp(a->a.id, b->a.id);
}

static int line_cmp(const struct part *a, const struct part *b)
{
	if (a->src != b->src)
		return a->src < b->src ? -1 : 1;
	if (a->dst != b->dst)
		return a->dst < b->dst ? -1 : 1;
	if (a->a.state != b->a.state)
		return a->a.state < b->a.state ? -1 : 1;
	for (int s = 0; s < 2; s++)
		if (a->a.outcome[s] != b->a.outcome[s])
			return a->a.outcome[s] < b->a.outcome[s] ? -1 : 1;
	return 0;
}

static int part_by_line(const void *pa, const void *pb)
{
	const struct part *a = pa, *b = pb;
	int r = line_cmp(a, b);

	if (!r)
		r = graph_port_cmp(a->a.port, b->a.port);
	return r ? r : strcmp(a->a.id, b->a.id);
}

static int64_t earlier(int64_t a, int64_t b)
{
	return !a ? b : !b ? a : a < b ? a : b;
}

static const char *smaller(const char *a, const char *b)
{
	return !*a ? b : !*b ? a : strcmp(a, b) <= 0 ? a : b;
}

/* The same access between several pairs of workloads that are drawn as one pair. */
static void access_join(struct graph_access *to, const struct graph_access *from)
{
	to->flows = graph_sat_add(to->flows, from->flows);
	to->answered = graph_sat_add(to->answered, from->answered);
	to->bytes = graph_sat_add(to->bytes, from->bytes);
	to->first_ns = earlier(to->first_ns, from->first_ns);
	to->last_ns = to->last_ns > from->last_ns ? to->last_ns : from->last_ns;
	to->port = smaller(to->port, from->port);
	to->service = smaller(to->service, from->service);
	to->rule = smaller(to->rule, from->rule);
	to->state = to->state > from->state ? to->state : from->state;
	for (int s = 0; s < 2; s++)
		to->outcome[s] = graph_stricter(to->outcome[s], from->outcome[s]);
}

static int make_parts(struct maker *m, struct part **ret, size_t *ret_n)
{
	auto_free struct part *parts = calloc(m->nkept + 1, sizeof(*parts));
	size_t n = 0;

	if (!parts)
		return -ENOMEM;
	for (size_t k = 0; k < m->nkept; k++) {
		const struct gaccess *a = &m->g->accesses.v[m->kept[k]];
		uint32_t src = m->targets.v[m->target_of[a->src]].index;
		uint32_t dst = m->targets.v[m->target_of[a->dst]].index;
		struct part p = { .src = src, .dst = dst, .a = {
			.id = keep(m, a->id), .port = keep(m, a->port), .service = keep(m, a->service),
			.rule = keep(m, a->rule), .src = m->v->nodes[src].ref, .dst = m->v->nodes[dst].ref,
			.state = a->state, .outcome = { a->outcome[0], a->outcome[1] }, .flows = a->flows,
			.answered = a->answered, .bytes = a->bytes, .first_ns = a->first_ns,
			.last_ns = a->last_ns } };

		if (!p.a.id || !p.a.port || !p.a.service || !p.a.rule)
			return -ENOMEM;
		parts[n++] = p;
	}
	qsort(parts, n, sizeof(*parts), part_by_id);
	*ret_n = 0;
	for (size_t i = 0; i < n; i++) {
		if (*ret_n && !part_by_id(&parts[*ret_n - 1], &parts[i]))
			access_join(&parts[*ret_n - 1].a, &parts[i].a);
		else
			parts[(*ret_n)++] = parts[i];
	}
	qsort(parts, *ret_n, sizeof(*parts), part_by_line);
	*ret = take_ptr(parts);
	return 0;
}

static int vedge_cmp(const void *pa, const void *pb)
{
	const struct graph_vedge *a = pa, *b = pb;
	int r = strcmp(a->id, b->id);

	if (r)
		return r;
	if (a->src != b->src)
		return a->src < b->src ? -1 : 1;
	return a->dst < b->dst ? -1 : a->dst > b->dst;
}

/* Two lines may share an access (pod level): their ids then name the ends, too. */
static int make_ids_unique(struct maker *m)
{
	struct graph_view *v = m->v;
	char id[3 * GRAPH_NAME_MAX + 3];
	bool shared = false;

	qsort(v->edges, v->nedges, sizeof(*v->edges), vedge_cmp);
	for (size_t i = 0, run; i < v->nedges; i += run) {
		const char *first = v->edges[i].id;

		for (run = 1; i + run < v->nedges && !strcmp(v->edges[i + run].id, first); run++)
			;
		for (size_t k = 0; run > 1 && k < run; k++) {
			struct graph_vedge *e = &v->edges[i + k];

			(void)snprintf(id, sizeof(id), "%s/%s/%s", first, v->nodes[e->src].ref, v->nodes[e->dst].ref);
			e->id = keep(m, id);
			if (!e->id)
				return -ENOMEM;
			shared = true;
		}
	}
	if (shared)
		qsort(v->edges, v->nedges, sizeof(*v->edges), vedge_cmp);
	return 0;
}

int view_make_edges(struct maker *m)
{
	struct graph_view *v = m->v;
	auto_free struct part *parts = NULL;
	size_t n = 0;
	int r = make_parts(m, &parts, &n);

	if (r < 0)
		return r;
	v->edges = calloc(n + 1, sizeof(*v->edges));
	v->accesses = calloc(n + 1, sizeof(*v->accesses));
	if (!v->edges || !v->accesses)
		return -ENOMEM;
	for (size_t i = 0; i < n; i++) {
		const struct part *p = &parts[i];
		struct graph_vedge *e = &v->edges[v->nedges - !!v->nedges];

		if (!i || line_cmp(&parts[i - 1], p)) {
			e = &v->edges[v->nedges++];
			*e = (struct graph_vedge){ .id = p->a.id, .src = p->src, .dst = p->dst,
				.state = p->a.state, .outcome = { p->a.outcome[0], p->a.outcome[1] },
				.first_access = (uint32_t)i };
		}
		e->id = smaller(e->id, p->a.id);
		e->naccesses++;
		e->flows = graph_sat_add(e->flows, p->a.flows);
		e->answered = graph_sat_add(e->answered, p->a.answered);
		e->bytes = graph_sat_add(e->bytes, p->a.bytes);
		e->first_ns = earlier(e->first_ns, p->a.first_ns);
		e->last_ns = e->last_ns > p->a.last_ns ? e->last_ns : p->a.last_ns;
	}
	r = make_ids_unique(m);
	if (r < 0)
		return r;
	for (size_t i = 0; i < v->nedges; i++) {
		struct graph_vedge *e = &v->edges[i];

		for (uint32_t k = 0; k < e->naccesses; k++)
			v->accesses[v->naccesses + k] = parts[e->first_access + k].a;
		e->first_access = (uint32_t)v->naccesses;
		v->naccesses += e->naccesses;
	}
	return 0;
}

static int str_cmp(const void *a, const void *b)
{
	return strcmp(*(const char *const *)a, *(const char *const *)b);
}

int view_make_namespaces(struct maker *m)
{
	struct graph_view *v = m->v;
	auto_free const char **names = calloc(v->nnodes + 1, sizeof(*names));
	size_t n = 0;

	v->namespaces = calloc(v->nnodes + 1, sizeof(*v->namespaces));
	if (!names || !v->namespaces)
		return -ENOMEM;
	for (size_t i = 0; i < v->nnodes; i++)
		if (*v->nodes[i].ns)
			names[n++] = v->nodes[i].ns;
	qsort(names, n, sizeof(*names), str_cmp);
	for (size_t i = 0; i < n; i++) {
		uintptr_t at;

		if (i && !strcmp(names[i - 1], names[i]))
			continue;
		at = (uintptr_t)htab_get(m->g->ns_at, names[i], strlen(names[i]));
		v->namespaces[v->nnamespaces++] = (struct graph_vns){ .name = names[i], .has_mode = at != 0,
			.mode = at ? m->g->namespaces.v[at - 1].mode : CW_MODE_OFF };
	}
	return 0;
}
