/* SPDX-License-Identifier: Apache-2.0 */
/* engine_netns.c - real sockets in namespaces, the programs attached where the agent attaches them. */
#include <errno.h>
#include <stdlib.h>

#include "base/cleanup.h"
#include "selftests/judge/engine.h"
#include "selftests/judge/kernel.h"
#include "selftests/judge/probes.h"
#include "selftests/judge/views.h"
#include "selftests/judge/wires.h"

struct engine {
	struct views *views;
	struct wires *wires;
};

static void on_drop(void *arg, struct view *v)
{
	struct engine *e = arg;

	wires_forget(e->wires, v);
}

static void netns_close(struct engine *e)
{
	wires_free(e->wires);
	views_on_drop(e->views, NULL, NULL);
	views_free(e->views);
	free(e);
}

static int netns_open_engine(struct fail_list *f, struct engine **ret)
{
	struct engine *e;
	int r = kernel_enter(true, f);

	if (r)
		return r;
	e = calloc(1, sizeof(*e));
	r = e ? views_new(VIEWS_ATTACHED, f, &e->views) : -ENOMEM;
	if (r) {
		free(e);
		return r;
	}
	r = wires_new(f, &e->wires);
	if (r) {
		views_free(e->views);
		free(e);
		return r;
	}
	views_on_drop(e->views, on_drop, e);
	*ret = e;
	return 0;
}

static int netns_ask(struct engine *e, const struct world *w, struct fail_list *f, bool *ret)
{
	auto_free struct probe *v = calloc(w->nrows + 1, sizeof(*v));
	struct view *views[WORLD_NODES_MAX];
	int r = v ? views_put(e->views, w, f, views) : -ENOMEM;

	r = r ?: wires_put(e->wires, w, views, f);
	r = r ?: wires_endpoints(e->wires, w, views, f);
	for (size_t i = 0; i < w->nrows && !r; i++) {
		const struct world_row *row = &w->rows[i];

		v[i] = (struct probe){
			.from_netns = wires_netns(e->wires, &row->from), .to_netns = wires_netns(e->wires, &row->to),
			.from = row->from.addr, .to = row->to.addr, .proto = row->proto, .port = row->port, .fd = -1,
		};
	}
	r = r ?: probes_ask(v, w->nrows, f);
	for (size_t i = 0; i < w->nrows && !r; i++)
		ret[i] = v[i].answered;
	return r;
}

const struct engine_ops engine_netns = { "netns", netns_open_engine, netns_ask, netns_close };
