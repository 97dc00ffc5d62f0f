/* SPDX-License-Identifier: Apache-2.0 */
/* engine_evaluator.c - each end's node asks the evaluator of the data path over its own tables. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "selftests/judge/engine.h"
#include "selftests/judge/views.h"

struct engine {
	struct views *views;
};

static int evaluator_open(struct fail_list *f, struct engine **ret)
{
	struct engine *e = calloc(1, sizeof(*e));
	int r = e ? views_new(VIEWS_PURE, f, &e->views) : -ENOMEM;

	if (r) {
		free(e);
		return r;
	}
	*ret = e;
	return 0;
}

static void evaluator_close(struct engine *e)
{
	views_free(e->views);
	free(e);
}

/* One side, where its pod stands. An end that is no pod judges nothing. */
static int side_passes(const struct world *w, struct view *const *views, const struct world_row *row,
		       enum cw_side side, bool *ret)
{
	const struct world_end *self = side == CW_EGRESS ? &row->from : &row->to;
	const struct world_outside *named = world_outside_of(w, &row->to);
	struct policy_end from = { .addr = row->from.addr }, to = { .addr = row->to.addr };
	struct policy_answer a;
	int r;

	if (named) {
		to.names = named->domains;
		to.nnames = named->ndomains;
	}
	*ret = true;
	if (self->kind != END_POD)
		return 0;
	r = policy_set_query(views[w->pods[self->i].view]->set, &from, &to, CW_AXIS(row->proto, row->port), &a);
	if (r)
		return r;
	if (!a.side[side].judged)
		return -ENODATA; /* the pod's own node does not guard it */
	*ret = a.builtin || a.side[side].j.outcome != CW_OUT_DROP;
	return 0;
}

static int evaluator_ask(struct engine *e, const struct world *w, struct fail_list *f, bool *ret)
{
	struct view *views[WORLD_NODES_MAX];
	int r = views_put(e->views, w, f, views);

	if (r)
		return r;
	for (size_t i = 0; i < w->nrows; i++) {
		bool out = false, in = false;

		r = side_passes(w, views, &w->rows[i], CW_EGRESS, &out);
		r = r ?: side_passes(w, views, &w->rows[i], CW_INGRESS, &in);
		if (r)
			return fail_add(f, r, "judge.query", NULL, NULL, NULL, "row %zu: %s", i, strerror(-r));
		ret[i] = out && in;
	}
	return 0;
}

const struct engine_ops engine_evaluator = { "evaluator", evaluator_open, evaluator_ask, evaluator_close };
