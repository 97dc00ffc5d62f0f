/* SPDX-License-Identifier: Apache-2.0 */
/* export_dot.c - Graphviz text that a person can keep in git: sorted, stable ids, no times. */
#include <errno.h>
#include <string.h>

#include "base/buf.h"
#include "base/cleanup.h"
#include "topology/escape.h"
#include "topology/export_priv.h"
#include "topology/words.h"

static void quoted(struct buf *b, const char *s)
{
	buf_adds(b, "\"");
	esc_dot(b, s);
	buf_adds(b, "\"");
}

/* 1 to 6 by log10 of bytes, two decades each, so that small changes leave the file alone. */
static unsigned width(uint64_t bytes)
{
	unsigned w = 1;

	for (uint64_t top = 1000; w < 6 && bytes >= top; top *= 100)
		w++;
	return w;
}

static void frame(struct buf *b, const struct palette *p, const struct graph_vns *ns)
{
	if (!ns->has_mode) {
		buf_printf(b, "color=\"%s\"; penwidth=1;", p->grey);
		return;
	}
	switch (ns->mode) {
	case CW_MODE_OFF:
		buf_printf(b, "color=\"%s\"; style=dotted; penwidth=2;", p->grey);
		break;
	case CW_MODE_ALERT:
		buf_printf(b, "color=\"%s\"; style=dashed; penwidth=2;", p->alert);
		break;
	case CW_MODE_ENFORCE:
		buf_printf(b, "color=\"%s\"; penwidth=2;", p->allow);
		break;
	default:
		buf_printf(b, "color=\"%s\"; penwidth=2;", p->grey);
	}
}

static void cluster(struct buf *b, const struct palette *p, const struct graph_vns *ns)
{
	buf_adds(b, "  subgraph \"cluster_ns/");
	esc_dot(b, ns->name);
	buf_adds(b, "\" { label=\"");
	esc_dot(b, ns->name);
	if (ns->has_mode)
		buf_printf(b, " [%s]", graph_mode_str(ns->mode));
	buf_adds(b, "\"; ");
	frame(b, p, ns);
	buf_adds(b, "\n");
}

static void flag_lines(struct buf *b, const struct graph_vnode *n)
{
	if (n->flags & GRAPH_NODE_QUARANTINED)
		buf_adds(b, "\\nQUARANTINED");
	if (n->flags & GRAPH_NODE_BLIND)
		buf_adds(b, "\\nBLIND");
	if (n->flags & GRAPH_NODE_LATE)
		buf_adds(b, "\\nidentity late");
	if (n->held)
		buf_printf(b, "\\n%u held as scan", n->held);
}

static void node(struct buf *b, const struct graph_view *v, const struct palette *p,
		 const struct graph_vnode *n, const char *indent)
{
	bool is_ns = !strcmp(n->kind, "ns");
	const char *mode = is_ns ? export_mode(v, n->ns) : NULL;
	char kind[EXPORT_KIND_MAX];

	buf_adds(b, indent);
	quoted(b, n->ref);
	buf_printf(b, " [%slabel=\"", n->outside ? "shape=ellipse, " : "");
	esc_dot(b, n->name);
	if (mode)
		buf_printf(b, " [%s]", mode);
	export_kind(n, kind);
	if (*kind) {
		buf_adds(b, "\\n");
		esc_dot(b, kind);
	}
	flag_lines(b, n);
	buf_adds(b, "\"");
	if (n->flags & GRAPH_NODE_QUARANTINED)
		buf_printf(b, ", peripheries=2, color=\"%s\", fontcolor=\"%s\"", p->block, p->block);
	else if (mode)
		buf_printf(b, ", color=\"%s\", penwidth=2",
			   !strcmp(mode, "enforce") ? p->allow : !strcmp(mode, "alert") ? p->alert : p->grey);
	if (n->flags & GRAPH_NODE_BLIND || !strcmp(n->kind, "folded") || (mode && !strcmp(mode, "alert")))
		buf_adds(b, ", style=\"rounded,filled,dashed\"");
	else if (mode && !strcmp(mode, "off"))
		buf_adds(b, ", style=\"rounded,filled,dotted\"");
	buf_adds(b, "];\n");
}

static const char *arrow(enum cw_outcome o)
{
	switch (o) {
	case CW_OUT_DROP:
		return "tee";
	case CW_OUT_WOULD_BLOCK:
		return "onormal";
	case CW_OUT_ALERT:
		return "odiamond";
	default:
		return "normal";
	}
}

static const char *line_style(const struct graph_vedge *e)
{
	if (export_decided(e))
		return "solid";
	return e->state == GRAPH_PENDING ? "dashed" : "dotted";
}

/* Everything that the label had to leave out: further ports, and the side that is less strict. */
static void tooltip(struct buf *b, const struct graph_view *v, const struct graph_vedge *e)
{
	enum cw_outcome out = e->outcome[CW_EGRESS], in = e->outcome[CW_INGRESS];
	bool many = export_port_count(v, e) > 2, differ = out != in && out != CW_OUT_NONE && in != CW_OUT_NONE;
	const char *sep = "";

	if (!many && !differ)
		return;
	buf_adds(b, ", tooltip=\"");
	for (uint32_t i = 0; i < e->naccesses; i++) {
		const struct graph_access *a = &v->accesses[e->first_access + i];

		if (i && !strcmp(a->port, a[-1].port))
			continue;
		buf_adds(b, sep);
		esc_dot(b, a->port);
		sep = ", ";
	}
	buf_printf(b, ": egress %s, ingress %s\"", graph_outcome_str(out), graph_outcome_str(in));
}

static void edge(struct buf *b, const struct graph_view *v, const struct palette *p, const struct graph_vedge *e)
{
	enum cw_outcome o = export_outcome(e);
	char label[EXPORT_LABEL_MAX];

	buf_adds(b, "  ");
	quoted(b, v->nodes[e->src].ref);
	buf_adds(b, " -> ");
	quoted(b, v->nodes[e->dst].ref);
	buf_adds(b, " [id=");
	quoted(b, e->id);
	buf_adds(b, ", label=");
	quoted(b, export_label(v, e, label));
	buf_printf(b, ", color=\"%s\", style=%s, arrowhead=%s, penwidth=%u", export_color(p, o), line_style(e),
		   arrow(o), width(e->bytes));
	tooltip(b, v, e);
	buf_adds(b, "];\n");
}

/* Real lines, so that the legend cannot drift from what is drawn. Its ids start with '(', which
 * no REF may. */
static void legend(struct buf *b, const struct palette *p)
{
	static const struct { const char *word, *head, *style; enum cw_outcome o; } rows[] = {
		{ "allow: passed, confirmed or by rule", "normal", "solid", CW_OUT_ALLOW },
		{ "alert: passed, alert raised", "odiamond", "solid", CW_OUT_ALERT },
		{ "would-block: passed, enforce would drop it", "onormal", "dashed", CW_OUT_WOULD_BLOCK },
		{ "block: dropped", "tee", "dashed", CW_OUT_DROP },
		{ "no-rule or off: passed, pending", "normal", "dashed", CW_OUT_NO_RULE },
		{ "rejected", "tee", "dotted", CW_OUT_DROP },
	};

	buf_printf(b, "  subgraph \"cluster_legend\" { label=\"verdict = colour and arrowhead, state = line, "
		      "bytes = width\"; color=\"%s\"; style=dotted; fontsize=11; "
		      "node [shape=point, width=0.02]; edge [fontsize=11];\n", p->grey);
	for (size_t i = 0; i < ARRAY_SIZE(rows); i++)
		buf_printf(b, "    \"(legend %zu)\" -> \"(legend %zu end)\" [label=\"%s\", color=\"%s\", style=%s, "
			      "arrowhead=%s, penwidth=2];\n",
			   i, i, rows[i].word, export_color(p, rows[i].o), rows[i].style, rows[i].head);
	buf_adds(b, "  }\n");
}

static void heading(struct buf *b, const struct graph_view *v, const struct graph_export *opt,
		    const struct palette *p)
{
	auto_cleanup(buf_done) struct buf text = {};

	buf_init(&text, 8192);
	buf_adds(b, "digraph cellwall {");
	if (opt->comment) {
		export_about(opt, &text);
		if (text.len) {
			buf_adds(b, "  // ");
			esc_visible(b, text.data);
		}
	}
	/* each frame is ranked by itself (no newrank) and named in its corner: fewer lines cross both */
	buf_adds(b, "\n  graph [rankdir=LR, labeljust=l, nodesep=0.4, ranksep=0.8, fontname=\"sans-serif\"");
	if (opt->dark)
		buf_printf(b, ", bgcolor=\"%s\", fontcolor=\"%s\"", p->ground, p->ink);
	buf_printf(b, "]; node [shape=box, style=\"rounded,filled\", fillcolor=\"%s\", color=\"%s\"", p->fill, p->line);
	if (opt->dark)
		buf_printf(b, ", fontcolor=\"%s\"]; edge [fontcolor=\"%s\"", p->ink, p->ink);
	/* charts are read on screens: Graphviz's own default is a serif face */
	buf_adds(b, "];\n  node [fontname=\"sans-serif\"]; edge [fontname=\"sans-serif\", fontsize=12];\n");
	buf_done(&text);
	buf_init(&text, 8192);
	if (export_folded(v, &text))
		buf_printf(b, "  label=\"%s\"; labelloc=t;\n", text.data);
}

void export_dot(const struct graph_view *v, const struct graph_export *opt, struct buf *b)
{
	const struct palette *p = export_palette(opt->dark);
	auto_free uint32_t *order = export_by_ns(v);
	const char *open = NULL;

	heading(b, v, opt, p);
	if (!order) {
		b->err = b->err ? b->err : -ENOMEM;
		return;
	}
	for (size_t i = 0; i < v->nnodes && !b->err; i++) {
		const struct graph_vnode *n = &v->nodes[order[i]];

		if (!*n->ns || !strcmp(n->kind, "ns")) /* sorted by namespace: those without come first */
			continue;
		if (!open || strcmp(open, n->ns)) {
			if (open)
				buf_adds(b, "  }\n");
			cluster(b, p, export_ns(v, n->ns));
			open = n->ns;
		}
		node(b, v, p, n, "    ");
	}
	if (open)
		buf_adds(b, "  }\n");
	for (size_t i = 0; i < v->nnodes; i++)
		if (!*v->nodes[i].ns || !strcmp(v->nodes[i].kind, "ns"))
			node(b, v, p, &v->nodes[i], "  ");
	for (size_t i = 0; i < v->nedges && !b->err; i++)
		edge(b, v, p, &v->edges[i]);
	if (!opt->no_legend)
		legend(b, p);
	buf_adds(b, "}\n");
}
