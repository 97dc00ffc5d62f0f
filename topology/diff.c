/* SPDX-License-Identifier: Apache-2.0 */
/* diff.c - two views of the same level side by side: one merge over sorted keys. */
#include <errno.h>
#include <inttypes.h>
#include <string.h>

#include "base/buf.h"
#include "base/cleanup.h"
#include "base/text.h"
#include "base/vec.h"
#include "topology/escape.h"
#include "topology/graph_priv.h"
#include "topology/words.h"

/* All accesses of one view with the same ends and port. */
struct sum {
	const char *id, *src, *dst, *port;
	enum cw_outcome outcome[2];
	enum graph_state state;
	uint64_t flows;
};

static int sum_cmp(const void *pa, const void *pb)
{
	const struct sum *a = pa, *b = pb;
	int r = strcmp(a->src, b->src);

	if (!r)
		r = strcmp(a->dst, b->dst);
	return r ? r : graph_port_cmp(a->port, b->port);
}

static int sums_make(const struct graph_view *v, struct sum **ret, size_t *ret_n)
{
	auto_free struct sum *s = calloc(v->naccesses + 1, sizeof(*s));
	size_t n = 0;

	if (!s)
		return -ENOMEM;
	for (size_t i = 0; i < v->naccesses; i++) {
		const struct graph_access *a = &v->accesses[i];

		s[i] = (struct sum){ .id = a->id, .src = a->src, .dst = a->dst, .port = a->port,
				     .outcome = { a->outcome[0], a->outcome[1] }, .state = a->state,
				     .flows = a->flows };
	}
	qsort(s, v->naccesses, sizeof(*s), sum_cmp);
	for (size_t i = 0; i < v->naccesses; i++) {
		struct sum *to = n ? &s[n - 1] : NULL;

		if (!to || sum_cmp(to, &s[i])) {
			s[n++] = s[i];
			continue;
		}
		to->id = strcmp(to->id, s[i].id) <= 0 ? to->id : s[i].id;
		to->flows = graph_sat_add(to->flows, s[i].flows);
		to->state = to->state > s[i].state ? to->state : s[i].state;
		for (int side = 0; side < 2; side++)
			to->outcome[side] = graph_stricter(to->outcome[side], s[i].outcome[side]);
	}
	*ret = take_ptr(s);
	*ret_n = n;
	return 0;
}

/* Of a line that is only in one view, that one stands for both sides. */
static struct graph_diff_item item(enum graph_change change, const struct sum *was, const struct sum *is)
{
	struct graph_diff_item it = { .change = change, .id = is->id, .src = is->src, .dst = is->dst,
				      .port = is->port, .flows = is->flows, .state_before = was->state,
				      .state_after = is->state };

	if (change != GRAPH_NEW)
		memcpy(it.before, was->outcome, sizeof(it.before));
	if (change != GRAPH_GONE)
		memcpy(it.after, is->outcome, sizeof(it.after));
	return it;
}

static int nodes_only_in(const struct graph_view *a, const struct graph_view *b, const char ***ret, size_t *ret_n)
{
	const char **v = calloc(a->nnodes + 1, sizeof(*v));
	size_t n = 0, k = 0;

	if (!v)
		return -ENOMEM;
	for (size_t i = 0; i < a->nnodes; i++) {
		while (k < b->nnodes && strcmp(b->nodes[k].ref, a->nodes[i].ref) < 0)
			k++;
		if (k == b->nnodes || strcmp(b->nodes[k].ref, a->nodes[i].ref))
			v[n++] = a->nodes[i].ref;
	}
	*ret = v;
	*ret_n = n;
	return 0;
}

int graph_diff_make(const struct graph_view *before, const struct graph_view *after, struct graph_diff *ret)
{
	auto_cleanup(graph_diff_done) struct graph_diff d = {};
	auto_free struct sum *a = NULL, *b = NULL;
	size_t na, nb, i = 0, k = 0;

	if (before->level != after->level)
		return -EINVAL;
	if (sums_make(before, &a, &na) < 0 || sums_make(after, &b, &nb) < 0)
		return -ENOMEM;
	d.items = calloc(na + nb + 1, sizeof(*d.items));
	if (!d.items || nodes_only_in(after, before, &d.nodes_added, &d.nnodes_added) < 0 ||
	    nodes_only_in(before, after, &d.nodes_gone, &d.nnodes_gone) < 0)
		return -ENOMEM;
	while (i < na || k < nb) {
		int r = i == na ? 1 : k == nb ? -1 : sum_cmp(&a[i], &b[k]);

		if (r < 0) {
			d.items[d.n++] = item(GRAPH_GONE, &a[i], &a[i]);
			i++;
			d.gone++;
		} else if (r > 0) {
			d.items[d.n++] = item(GRAPH_NEW, &b[k], &b[k]);
			k++;
			d.added++;
		} else {
			if (memcmp(a[i].outcome, b[k].outcome, sizeof(a[i].outcome))) {
				d.items[d.n++] = item(GRAPH_CHANGED, &a[i], &b[k]);
				d.changed++;
			} else {
				d.same++;
			}
			i++;
			k++;
		}
	}
	*ret = d;
	d = (struct graph_diff){}; /* NOLINT(clang-analyzer-deadcode.DeadStores): its cleanup reads it */
	return 0;
}

void graph_diff_done(struct graph_diff *d)
{
	free(d->items);
	free(d->nodes_added);
	free(d->nodes_gone);
	*d = (struct graph_diff){};
}

static void json_or_null(struct buf *b, const char *key, const char *s)
{
	buf_printf(b, "\"%s\":", key);
	if (!s) {
		buf_adds(b, "null");
		return;
	}
	buf_adds(b, "\"");
	esc_json(b, s);
	buf_adds(b, "\"");
}

static void json_names(struct buf *b, const char *key, const char *const *v, size_t n)
{
	buf_printf(b, "\"%s\":[", key);
	for (size_t i = 0; i < n; i++) {
		buf_adds(b, i ? ",\"" : "\"");
		esc_json(b, v[i]);
		buf_adds(b, "\"");
	}
	buf_adds(b, "]");
}

static void sides(struct buf *b, const enum cw_outcome o[2])
{
	buf_printf(b, "%s / %s", graph_outcome_str(o[CW_EGRESS]), graph_outcome_str(o[CW_INGRESS]));
}

int graph_diff_json(const struct graph_diff *d, enum graph_level level, const char *from, const char *to,
		    struct buf *b)
{
	static const char *const words[] = { [GRAPH_NEW] = "new", [GRAPH_GONE] = "gone", [GRAPH_CHANGED] = "verdict" };

	buf_printf(b, "{\"apiVersion\":\"cellwall.io/v1\",\"kind\":\"TopologyDiff\",\"level\":\"%s\",",
		   graph_level_str(level));
	json_or_null(b, "from", from);
	buf_adds(b, ",");
	json_or_null(b, "to", to);
	buf_printf(b, ",\n\"counts\":{\"new\":%zu,\"gone\":%zu,\"verdict\":%zu,\"same\":%zu},\n\"nodes\":{", d->added,
		   d->gone, d->changed, d->same);
	json_names(b, "new", d->nodes_added, d->nnodes_added);
	buf_adds(b, ",");
	json_names(b, "gone", d->nodes_gone, d->nnodes_gone);
	buf_adds(b, "},\n\"items\":[");
	for (size_t i = 0; i < d->n && !b->err; i++) {
		const struct graph_diff_item *it = &d->items[i];

		buf_printf(b, "%s{\"change\":\"%s\",", i ? ",\n" : "\n", words[it->change]);
		json_or_null(b, "id", it->id);
		buf_adds(b, ",");
		json_or_null(b, "src", it->src);
		buf_adds(b, ",");
		json_or_null(b, "dst", it->dst);
		buf_adds(b, ",");
		json_or_null(b, "port", it->port);
		buf_adds(b, it->change == GRAPH_NEW ? ",\"was\":null" : ",\"was\":\"");
		if (it->change != GRAPH_NEW) {
			sides(b, it->before);
			buf_adds(b, "\"");
		}
		buf_adds(b, it->change == GRAPH_GONE ? ",\"becomes\":null" : ",\"becomes\":\"");
		if (it->change != GRAPH_GONE) {
			sides(b, it->after);
			buf_adds(b, "\"");
		}
		buf_printf(b, ",\"flows\":%" PRIu64 "}", it->flows);
	}
	buf_adds(b, "]}\n");
	return b->err;
}

static void cut(struct buf *b, const char *s, int width)
{
	auto_cleanup(buf_done) struct buf vis = {};

	buf_init(&vis, 16384);
	esc_visible(&vis, s);
	if (width && vis.data)
		text_cut_middle(b, vis.data, width);
	else
		buf_adds(b, vis.data ? vis.data : "");
}

int graph_diff_text(const struct graph_diff *d, int width, struct buf *b)
{
	static const char sign[] = { [GRAPH_NEW] = '+', [GRAPH_GONE] = '-', [GRAPH_CHANGED] = '~' };
	/* sign, arrow, gaps, port and two verdict pairs leave the rest to two names */
	int name = width ? (width - 50) / 2 : 0;

	if (width && name < 12)
		name = 12;
	for (size_t i = 0; i < d->n && !b->err; i++) {
		const struct graph_diff_item *it = &d->items[i];

		buf_printf(b, "%c ", sign[it->change]);
		cut(b, it->src, name);
		buf_adds(b, " -> ");
		cut(b, it->dst, name);
		buf_adds(b, " ");
		esc_visible(b, it->port);
		buf_adds(b, "  ");
		if (it->change != GRAPH_NEW)
			sides(b, it->before);
		if (it->change == GRAPH_CHANGED)
			buf_adds(b, " -> ");
		if (it->change != GRAPH_GONE)
			sides(b, it->after);
		buf_adds(b, "\n");
	}
	buf_printf(b, "+%zu new  -%zu gone  ~%zu verdict changed  =%zu unchanged\n", d->added, d->gone, d->changed,
		   d->same);
	return b->err;
}
