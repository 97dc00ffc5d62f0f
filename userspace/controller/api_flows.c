/* SPDX-License-Identifier: Apache-2.0 */
/* api_flows.c - live flows, and flow events as they are announced. */
#include <errno.h>
#include <string.h>

#include "base/cleanup.h"
#include "controller/api_routes.h"
#include "controller/stream.h"
#include "controller/view.h"

struct walk { struct controller *c; const struct filter *f; cJSON *items; size_t limit, total, shown; };

static int flow_one(void *arg, const struct node_flow *fl)
{
	struct walk *w = arg;
	const struct filter_row row = {
		.src = fl->src_ref, .dst = fl->dst_ref, .proto = fl->proto, .port = fl->dport,
		.outcome = { fl->outcome[0], fl->outcome[1] }, .reason = { fl->reason[0], fl->reason[1] },
		.rule = { fl->verdict[0].rule, fl->verdict[1].rule }, .answered = fl->answered, .first_ns = 0, .last_ns = INT64_MAX,
	};
	cJSON *o;

	if (!filter_row_matches(w->f, &row, &w->c->state))
		return 0;
	w->total++;
	if (w->shown >= w->limit)
		return 0;
	w->shown++;
	o = view_flow(w->c, fl);
	put_time(o, "time", controller_now(w->c) - (int64_t)fl->idle_ms * 1000000);
	put_push(w->items, o);
	return 0;
}

int api_flow_list(struct api *a, cJSON **ret)
{
	auto_cleanup(filter_done) struct filter f = {};
	struct walk w = { .c = a->c, .f = &f };
	struct list_meta m = { .scope = &f.ns };
	int follow, e;

	e = filter_query(a, &f);
	e = e ?: api_q_limit(a, &w.limit);
	e = e ?: api_q_bool(a, "follow", &follow);
	if (e)
		return e;
	if (follow == 1)
		return stream_begin(a, STREAM_FLOWS, &f, NULL);
	w.items = cJSON_CreateArray();
	e = a->c->ops->flows ? a->c->ops->flows(a->c->node, flow_one, &w) : 0;
	if (e < 0) {
		cJSON_Delete(w.items);
		return fail_add(&a->f, e, "node.flows", a->c->node_name, NULL, "cellwall status", "%s", strerror(-e));
	}
	m.total = w.total;
	m.truncated = w.total - w.shown;
	*ret = api_list(a->c, "FlowList", &m, w.items);
	return *ret ? 0 : -ENOMEM;
}
