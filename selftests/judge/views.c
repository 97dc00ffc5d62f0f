/* SPDX-License-Identifier: Apache-2.0 */
#include "selftests/judge/views.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"
#include "maps/maps.h"
#include "maps/sink.h"
#include "selftests/judge/kernel.h"

/* Sets kept: nodes of earlier worlds come again. */
#define VIEWS_MAX (2 * WORLD_NODES_MAX)

struct views {
	enum views_kernel how;
	struct view *v[VIEWS_MAX];
	size_t n;
	uint64_t worlds;
	void (*drop)(void *arg, struct view *v);
	void *drop_arg;
};

/* ---- making and dropping ---------------------------------------------------------------------------------- */

static void view_free(struct view *v)
{
	if (!v)
		return;
	policy_set_free(v->set);
	kernel_free(v->kernel);
	free(v->node);
	free(v);
}

static int view_new(const struct views *s, const char *node, struct fail_list *f, struct view **ret)
{
	struct policy_limits lim = { .groups = 4096, .wls = 4096 };
	struct view *v = calloc(1, sizeof(*v));
	int r = v && (v->node = strdup(node)) ? 0 : -ENOMEM;

	if (!r && s->how != VIEWS_PURE) {
		r = kernel_new(s->how == VIEWS_ATTACHED, f, &v->kernel);
		if (!r)
			maps_limits(kernel_maps(v->kernel), &lim);
	}
	r = r ?: policy_set_new(&lim, &v->set);
	if (r) {
		view_free(v);
		return f->n ? r : fail_add(f, r, "judge.view", node, NULL, NULL, "%s", strerror(-r));
	}
	*ret = v;
	return 0;
}

int views_new(enum views_kernel how, struct fail_list *f, struct views **ret)
{
	struct views *s = calloc(1, sizeof(*s));

	if (!s)
		return fail_add(f, -ENOMEM, "judge.memory", NULL, NULL, NULL, "no memory");
	s->how = how;
	*ret = s;
	return 0;
}

void views_on_drop(struct views *s, void (*fn)(void *arg, struct view *v), void *arg)
{
	s->drop = fn;
	s->drop_arg = arg;
}

static void drop(struct views *s, size_t i)
{
	if (s->drop)
		s->drop(s->drop_arg, s->v[i]);
	view_free(s->v[i]);
	s->v[i] = s->v[--s->n];
}

void views_free(struct views *s)
{
	while (s && s->n)
		drop(s, s->n - 1);
	free(s);
}

/* ---- worlds -------------------------------------------------------------------------------------------------- */

static int view_get(struct views *s, const char *node, struct fail_list *f, struct view **ret)
{
	size_t oldest = 0;
	int r;

	for (size_t i = 0; i < s->n; i++) {
		if (!strcmp(s->v[i]->node, node)) {
			*ret = s->v[i];
			return 0;
		}
		if (s->v[i]->used < s->v[oldest]->used)
			oldest = i;
	}
	if (s->n == VIEWS_MAX)
		drop(s, oldest);
	r = view_new(s, node, f, &s->v[s->n]);
	if (!r)
		*ret = s->v[s->n++];
	return r;
}

static int view_put(const struct views *s, struct view *v, const struct policy_state *st, struct fail_list *f)
{
	struct policy_sink sink = policy_sink_nowhere; /* the set's own image is what the evaluator asks */
	struct policy_plan *plan = NULL;
	uint64_t seq;
	int r;

	if (v->kernel)
		maps_sink(kernel_maps(v->kernel), &sink);
	/* Where no program runs but when we say so, there are no readers to wait for. */
	if (s->how != VIEWS_ATTACHED)
		sink.settle = NULL;
	r = policy_set_prepare(v->set, st, f, &plan);
	if (r)
		return f->n ? r : fail_add(f, r, "judge.prepare", v->node, NULL, NULL, "%s", strerror(-r));
	r = policy_set_commit(v->set, plan, &sink);
	if (r)
		return fail_add(f, r, "judge.commit", v->node, NULL, NULL, "%s", strerror(-r));
	do {
		seq = policy_set_seq(v->set);
		r = s->how == VIEWS_ATTACHED ? maps_grace(kernel_maps(v->kernel)) : 0;
		r = r ?: policy_set_gc(v->set, &sink, seq);
	} while (r > 0);
	return r ? fail_add(f, r, "judge.collect", v->node, NULL, NULL, "%s", strerror(-r)) : 0;
}

/* Every pod has resolved every name. */
static int names_put(struct view *v, const struct world *w, size_t view, struct fail_list *f)
{
	int r = 0;

	for (size_t i = 0; i < w->st.nworkloads && !r; i++)
		for (size_t o = 0; o < w->noutside && !r && w->pods[i].view == view; o++)
			for (size_t d = 0; d < w->outside[o].ndomains && !r; d++)
				r = kernel_name_put(v->kernel, v->set, w->st.workloads[i].ns, w->st.workloads[i].name,
						    &w->outside[o].addr, w->outside[o].domains[d]);
	return r ? fail_add(f, r, "judge.names", v->node, NULL, NULL, "%s", strerror(-r)) : 0;
}

int views_put(struct views *s, const struct world *w, struct fail_list *f, struct view *ret[WORLD_NODES_MAX])
{
	s->worlds++;
	for (size_t i = 0; i < w->nviews; i++) {
		struct policy_state st = w->st; /* borrowed but for the name of the node */
		int r = view_get(s, w->views[i].node, f, &ret[i]);

		if (r)
			return r;
		ret[i]->used = s->worlds;
		st.node = *ret[i]->node ? ret[i]->node : NULL;
		st.generation = s->worlds;
		r = ret[i]->kernel ? kernel_names_clear(ret[i]->kernel) : 0;
		r = r ?: view_put(s, ret[i], &st, f);
		if (!r && ret[i]->kernel)
			r = names_put(ret[i], w, i, f);
		if (r)
			return r;
	}
	return 0;
}
