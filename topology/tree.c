/* SPDX-License-Identifier: Apache-2.0 */
/* tree.c - `topology show`: namespaces, their workloads, and whom each talks to, in plain ASCII. */
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "base/buf.h"
#include "base/cleanup.h"
#include "base/htab.h"
#include "base/text.h"
#include "topology/escape.h"
#include "topology/export_priv.h"
#include "topology/words.h"

#define TREE_INDENT 6	  /* "|  |- " before an access */
#define TREE_PEER_MIN 12  /* a peer is never cut below this */

struct tree {
	const struct graph_view *v;
	const struct graph_tree *opt;
	struct buf *b;
	uint32_t *order;   /* node indices by namespace, REF */
	uint32_t *at;	   /* first line of a node in `lines`; [nnodes] closes */
	uint32_t *lines;   /* edges of each node: out ones by destination, then in ones */
	bool *drawn;	   /* per node: has a branch of its own */
	struct htab *focus, *expand;
	int peer_w, port_w, verdict_w, flows_w;
};

static void tree_done(struct tree *t)
{
	free(t->order);
	free(t->at);
	free(t->lines);
	free(t->drawn);
	if (t->focus)
		htab_free(t->focus, NULL);
	if (t->expand)
		htab_free(t->expand, NULL);
}

static int set_of(const char *const *words, size_t n, struct htab **ret)
{
	struct htab *h;

	if (!n)
		return 0;
	h = *ret = htab_new();
	if (!h)
		return -ENOMEM;
	for (size_t i = 0; i < n; i++)
		if (htab_set(h, words[i], strlen(words[i]), (void *)1, NULL) < 0)
			return -ENOMEM;
	return 0;
}

/* "402 k", "8.1 k", "7" */
static const char *human(uint64_t n, char out[24])
{
	static const char unit[] = " kMGTPE";
	unsigned u = 0;
	uint64_t tenths = n * 10;

	if (n > UINT64_MAX / 10) {
		tenths = n / 1000 * 10;
		u = 1;
	}
	for (; tenths >= 10000; u++)
		tenths /= 1000;
	if (!u)
		snprintf(out, 24, "%llu", (unsigned long long)n);
	else if (tenths < 100)
		snprintf(out, 24, "%llu.%llu %c", (unsigned long long)tenths / 10,
			 (unsigned long long)tenths % 10, unit[u]);
	else
		snprintf(out, 24, "%llu %c", (unsigned long long)tenths / 10, unit[u]);
	return out;
}

static void flows_text(const struct graph_vedge *e, char out[40])
{
	char n[24];

	human(e->flows, n);
	snprintf(out, 40, "%s %s", n, e->answered ? e->flows == 1 ? "flow" : "flows" :
						    e->flows == 1 ? "try" : "tries");
}

static int len_of(const char *s)
{
	auto_cleanup(buf_done) struct buf b = {};

	buf_init(&b, 16384);
	esc_visible(&b, s);
	return b.data ? text_width(b.data) : 0;
}

static void padded(struct buf *b, const char *s, int width)
{
	auto_cleanup(buf_done) struct buf vis = {}, cut = {};
	int pad;

	buf_init(&vis, 16384);
	buf_init(&cut, 16384);
	esc_visible(&vis, s);
	if (vis.data && text_width(vis.data) > width)
		text_cut_middle(&cut, vis.data, width);
	else
		buf_adds(&cut, vis.data ? vis.data : "");
	buf_adds(b, cut.data ? cut.data : "");
	pad = width - (cut.data ? text_width(cut.data) : 0);
	if (pad > 0)
		buf_printf(b, "%*s", pad, "");
}

static void colored(struct tree *t, enum cw_outcome o)
{
	const char *on = o == CW_OUT_DROP ? "\033[31m" : o == CW_OUT_WOULD_BLOCK ? "\033[4;31m" :
			 o == CW_OUT_ALERT ? "\033[33m" : "";

	if (t->opt->color && *on)
		buf_printf(t->b, "%s%s\033[0m", on, graph_outcome_str(o));
	else
		buf_adds(t->b, graph_outcome_str(o));
}

static int verdict_len(const struct graph_vedge *e)
{
	return (int)(strlen(graph_outcome_str(e->outcome[CW_EGRESS])) + 3 +
		     strlen(graph_outcome_str(e->outcome[CW_INGRESS])));
}

static bool plain(const struct graph_vedge *e)
{
	return e->state == GRAPH_CONFIRMED && export_outcome(e) == CW_OUT_ALLOW;
}

static bool expanded(const struct tree *t, const struct graph_vnode *n)
{
	const char *slash = strchr(n->ref, '/');

	if (!t->expand)
		return false;
	return htab_has(t->expand, "all", 3) || htab_has(t->expand, n->ref, strlen(n->ref)) ||
	       (slash && htab_has(t->expand, slash + 1, strlen(slash + 1)));
}

static const char *branch_name(const struct graph_vnode *n)
{
	const char *slash = strchr(n->ref, '/');

	return slash ? slash + 1 : n->ref;
}

/* A node with nothing to say but "allowed and confirmed" takes one line. */
static bool folds(const struct tree *t, uint32_t i)
{
	const struct graph_vnode *n = &t->v->nodes[i];
	uint32_t count = t->at[i + 1] - t->at[i];

	if (count < 2 || n->flags || n->held || expanded(t, n))
		return false;
	for (uint32_t k = t->at[i]; k < t->at[i + 1]; k++)
		if (!plain(&t->v->edges[t->lines[k]]))
			return false;
	return true;
}

static bool wanted(const struct tree *t, const struct graph_vnode *n)
{
	return !n->outside && (!t->focus || htab_has(t->focus, n->ns, strlen(n->ns)));
}

/* Each line of the graph hangs where it starts; at its end only if its start has no branch. */
static int collect(struct tree *t)
{
	const struct graph_view *v = t->v;
	auto_free uint32_t *fill = calloc(v->nnodes + 1, sizeof(*fill));

	t->order = export_by_ns(v);
	t->at = calloc(v->nnodes + 2, sizeof(*t->at));
	t->lines = calloc(v->nedges + 1, sizeof(*t->lines));
	t->drawn = calloc(v->nnodes + 1, sizeof(*t->drawn));
	if (!fill || !t->order || !t->at || !t->lines || !t->drawn)
		return -ENOMEM;
	for (size_t i = 0; i < v->nnodes; i++)
		t->drawn[i] = wanted(t, &v->nodes[i]);
	for (int pass = 0; pass < 2; pass++) {
		for (uint32_t i = 0; i < v->nedges; i++) {
			const struct graph_vedge *e = &v->edges[i];
			uint32_t home = t->drawn[e->src] ? e->src : t->drawn[e->dst] ? e->dst : UINT32_MAX;

			if (home == UINT32_MAX)
				continue;
			if (pass)
				t->lines[t->at[home] + fill[home]++] = i;
			else
				t->at[home + 1]++;
		}
		for (size_t i = 0; !pass && i < v->nnodes; i++)
			t->at[i + 1] += t->at[i];
	}
	return 0;
}

static const struct graph_vnode *peer_of(const struct tree *t, uint32_t home, const struct graph_vedge *e)
{
	return &t->v->nodes[e->src == home ? e->dst : e->src];
}

static int line_cmp(const void *pa, const void *pb, void *arg)
{
	const struct tree *t = arg;
	const struct graph_vedge *a = &t->v->edges[*(const uint32_t *)pa];
	const struct graph_vedge *b = &t->v->edges[*(const uint32_t *)pb];
	bool ia = !t->drawn[a->src], ib = !t->drawn[b->src];
	uint32_t na = ia ? a->src : a->dst, nb = ib ? b->src : b->dst;

	if (ia != ib)
		return ia - ib;
	if (na != nb)
		return na < nb ? -1 : 1;
	return a < b ? -1 : a > b; /* edges are sorted by id */
}

static void measure(struct tree *t)
{
	for (uint32_t i = 0; i < t->v->nnodes; i++) {
		qsort_r(t->lines + t->at[i], t->at[i + 1] - t->at[i], sizeof(*t->lines), line_cmp, t);
		if (!t->drawn[i] || folds(t, i))
			continue;
		for (uint32_t k = t->at[i]; k < t->at[i + 1]; k++) {
			const struct graph_vedge *e = &t->v->edges[t->lines[k]];
			char ports[EXPORT_PORTS_MAX], flows[40];
			int w[4];

			flows_text(e, flows);
			w[0] = len_of(peer_of(t, i, e)->ref);
			w[1] = len_of(export_ports(t->v, e, ports));
			w[2] = verdict_len(e);
			w[3] = (int)strlen(flows);
			t->peer_w = w[0] > t->peer_w ? w[0] : t->peer_w;
			t->port_w = w[1] > t->port_w ? w[1] : t->port_w;
			t->verdict_w = w[2] > t->verdict_w ? w[2] : t->verdict_w;
			t->flows_w = w[3] > t->flows_w ? w[3] : t->flows_w;
		}
	}
	if (t->opt->width) {
		/* indent, arrow, three gaps, and "confirmed" must fit; the rest of the last column may wrap away */
		int room = t->opt->width - TREE_INDENT - 3 - 3 * 2 - 9 - t->port_w - t->verdict_w - t->flows_w - 2;

		if (room < TREE_PEER_MIN)
			room = TREE_PEER_MIN;
		if (t->peer_w > room)
			t->peer_w = room;
	}
}

static void access_line(struct tree *t, uint32_t home, const struct graph_vedge *e, const char *lead)
{
	struct buf *b = t->b;
	const struct graph_access *a = &t->v->accesses[e->first_access];
	char ports[EXPORT_PORTS_MAX], flows[40];

	buf_printf(b, "%s%s ", lead, e->src == home ? "->" : "<-");
	padded(b, peer_of(t, home, e)->ref, t->peer_w);
	buf_adds(b, "  ");
	padded(b, export_ports(t->v, e, ports), t->port_w);
	buf_adds(b, "  ");
	colored(t, e->outcome[CW_EGRESS]);
	buf_adds(b, " / ");
	colored(t, e->outcome[CW_INGRESS]);
	flows_text(e, flows);
	buf_printf(b, "%*s  %-*s  %s", t->verdict_w - verdict_len(e), "", t->flows_w, flows,
		   graph_state_str(e->state));
	if (!e->answered && e->flows)
		buf_adds(b, ", never answered");
	if (*a->service && e->naccesses == 1) {
		buf_adds(b, ", via ");
		esc_visible(b, a->service);
	}
	buf_adds(b, "\n");
}

static void node_head(struct tree *t, const struct graph_vnode *n)
{
	struct buf *b = t->b;

	if (n->members > 1)
		buf_printf(b, strcmp(n->kind, "ns") ? "  x%u" : "  %u workloads", n->members);
	if (n->flags & GRAPH_NODE_QUARANTINED)
		buf_adds(b, t->opt->color ? "  \033[31mQUARANTINED\033[0m" : "  QUARANTINED");
	if (n->flags & GRAPH_NODE_BLIND)
		buf_adds(b, "  BLIND");
	if (n->flags & GRAPH_NODE_LATE)
		buf_adds(b, "  identity late");
	if (n->held)
		buf_printf(b, "  %u held as scan", n->held);
}

/* lead: what stands before the lines of this node's accesses. */
static void accesses(struct tree *t, uint32_t i, const char *lead)
{
	char first[16], last[16];

	snprintf(first, sizeof(first), "%s|- ", lead);
	snprintf(last, sizeof(last), "%s`- ", lead);
	for (uint32_t k = t->at[i]; k < t->at[i + 1]; k++)
		access_line(t, i, &t->v->edges[t->lines[k]], k + 1 < t->at[i + 1] ? first : last);
}

static void branch(struct tree *t, uint32_t i, bool is_last)
{
	const struct graph_vnode *n = &t->v->nodes[i];
	uint32_t count = 0;

	buf_adds(t->b, is_last ? "`- " : "|- ");
	esc_visible(t->b, branch_name(n));
	node_head(t, n);
	if (t->at[i] == t->at[i + 1]) {
		buf_adds(t->b, n->held ? "\n" : "   no accesses of its own\n");
	} else if (folds(t, i)) {
		for (uint32_t k = t->at[i]; k < t->at[i + 1]; k++)
			count += t->v->edges[t->lines[k]].naccesses;
		buf_printf(t->b, "   %u accesses, all allow and confirmed (--expand ", count);
		esc_visible(t->b, branch_name(n));
		buf_adds(t->b, ")\n");
	} else {
		buf_adds(t->b, "\n");
		accesses(t, i, is_last ? "   " : "|  ");
	}
}

/* "shop [enforce]", with the heading at the right end of the first one. */
static void root(struct tree *t, const char *ns, const struct graph_vnode *own, bool first)
{
	auto_cleanup(buf_done) struct buf line = {};
	const char *mode = export_mode(t->v, ns);
	struct buf *b = t->b;
	int w;

	buf_init(&line, 16384);
	esc_visible(&line, ns);
	if (mode)
		buf_printf(&line, " [%s]", mode);
	buf_adds(b, line.data ? line.data : "");
	if (own)
		node_head(t, own);
	if (first && t->opt->heading && *t->opt->heading) {
		w = line.data ? text_width(line.data) : 0;
		buf_printf(b, "%*s", w < 54 ? 56 - w : 2, "");
		esc_visible(b, t->opt->heading);
	}
	buf_adds(b, "\n");
}

static void footer(struct tree *t)
{
	const struct graph_view *v = t->v;
	auto_cleanup(buf_done) struct buf text = {};
	const char *sep = "not shown: ";

	buf_init(&text, 1024);
	if (v->held) {
		buf_printf(&text, "%s%zu held as scan", sep, v->held);
		sep = ", ";
	}
	if (v->filtered)
		buf_printf(&text, "%s%zu outside this scope, window or filter", sep, v->filtered);
	if (text.len)
		buf_printf(t->b, "%s\n", text.data);
	buf_done(&text);
	buf_init(&text, 1024);
	if (export_folded(v, &text))
		buf_printf(t->b, "%s\n", text.data);
}

static void print(struct tree *t)
{
	const struct graph_view *v = t->v;
	bool first = true;

	for (size_t i = 0; i < v->nnodes && !t->b->err;) {
		const struct graph_vnode *n = &v->nodes[t->order[i]];
		size_t end = i + 1, last = i;

		if (!t->drawn[t->order[i]]) {
			i++;
			continue;
		}
		if (!strcmp(n->kind, "ns") || !*n->ns) {
			root(t, *n->ns ? n->ns : n->ref, n, first);
			accesses(t, t->order[i], "");
			first = false;
			i++;
			continue;
		}
		for (; end < v->nnodes && !strcmp(v->nodes[t->order[end]].ns, n->ns); end++)
			if (t->drawn[t->order[end]] && strcmp(v->nodes[t->order[end]].kind, "ns") != 0)
				last = end;
		root(t, n->ns, NULL, first);
		first = false;
		for (; i < end; i++)
			if (t->drawn[t->order[i]])
				branch(t, t->order[i], i == last);
	}
	if (first)
		buf_adds(t->b, "no workloads in this view\n");
	footer(t);
}

int graph_tree_print(const struct graph_view *v, const struct graph_tree *opt, struct buf *out)
{
	static const struct graph_tree none;
	auto_cleanup(tree_done) struct tree t = { .v = v, .opt = opt ? opt : &none, .b = out };

	if (set_of(t.opt->namespaces, t.opt->nnamespaces, &t.focus) < 0 ||
	    set_of(t.opt->expand, t.opt->nexpand, &t.expand) < 0 || collect(&t) < 0)
		return -ENOMEM;
	measure(&t);
	print(&t);
	return out->err;
}
