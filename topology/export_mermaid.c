/* SPDX-License-Identifier: Apache-2.0 */
/* export_mermaid.c - a flowchart for pages that render Mermaid. Ids are REFs in letters and digits. */
#include <errno.h>
#include <string.h>

#include "base/buf.h"
#include "base/cleanup.h"
#include "topology/escape.h"
#include "topology/export_priv.h"
#include "topology/words.h"

static void node(struct buf *b, const struct graph_view *v, const struct graph_vnode *n, const char *indent)
{
	bool is_ns = !strcmp(n->kind, "ns");
	const char *mode = is_ns ? export_mode(v, n->ns) : NULL;
	char kind[EXPORT_KIND_MAX];

	buf_adds(b, indent);
	esc_mermaid_id(b, n->ref);
	buf_adds(b, n->outside ? "([\"" : "[\"");
	esc_mermaid(b, n->name);
	if (mode)
		buf_printf(b, " #91;%s#93;", mode);
	if (*export_kind(n, kind)) {
		buf_adds(b, "<br/>");
		esc_mermaid(b, kind);
	}
	buf_adds(b, n->flags & GRAPH_NODE_QUARANTINED ? "<br/>QUARANTINED" : "");
	buf_adds(b, n->flags & GRAPH_NODE_BLIND ? "<br/>BLIND" : "");
	buf_adds(b, n->flags & GRAPH_NODE_LATE ? "<br/>identity late" : "");
	if (n->held)
		buf_printf(b, "<br/>%u held as scan", n->held);
	buf_adds(b, n->outside ? "\"])" : "\"]");
	buf_adds(b, n->flags & GRAPH_NODE_QUARANTINED ? ":::quarantined\n" : "\n");
}

static void edge(struct buf *b, const struct graph_view *v, const struct graph_vedge *e)
{
	enum cw_outcome o = export_outcome(e);
	char head = o == CW_OUT_DROP ? 'x' : o == CW_OUT_ALERT ? 'o' : '>';
	char label[EXPORT_LABEL_MAX];

	buf_adds(b, "  ");
	esc_mermaid_id(b, v->nodes[e->src].ref);
	buf_printf(b, export_decided(e) ? " --%c|\"" : " -.-%c|\"", head);
	esc_mermaid(b, export_label(v, e, label));
	buf_adds(b, "\"| ");
	esc_mermaid_id(b, v->nodes[e->dst].ref);
	buf_adds(b, "\n");
}

/* Line styles go by number: one statement for each look that occurs. */
static void link_styles(struct buf *b, const struct graph_view *v, const struct palette *p)
{
	static const enum cw_outcome looks[] = { CW_OUT_ALLOW, CW_OUT_ALERT, CW_OUT_DROP, CW_OUT_NO_RULE };

	for (size_t k = 0; k < ARRAY_SIZE(looks); k++) {
		const char *color = export_color(p, looks[k]), *sep = "  linkStyle ";

		for (size_t i = 0; i < v->nedges; i++) {
			if (strcmp(export_color(p, export_outcome(&v->edges[i])), color))
				continue;
			buf_printf(b, "%s%zu", sep, i);
			sep = ",";
		}
		if (*sep == ',')
			buf_printf(b, " stroke:%s\n", color);
	}
}

void export_mermaid(const struct graph_view *v, const struct graph_export *opt, struct buf *b)
{
	const struct palette *p = export_palette(opt->dark);
	auto_free uint32_t *order = export_by_ns(v);
	auto_cleanup(buf_done) struct buf text = {};
	const char *open = NULL;

	buf_init(&text, 8192);
	if (!order) {
		b->err = b->err ? b->err : -ENOMEM;
		return;
	}
	if (opt->comment)
		export_about(opt, &text);
	if (text.len) {
		buf_adds(b, "%% ");
		/* "%%{" would be a directive; the text after "%% " is inert, "{" is not */
		esc_mermaid(b, text.data);
		buf_adds(b, "\n");
	}
	buf_adds(b, "flowchart LR\n");
	buf_done(&text);
	buf_init(&text, 8192);
	if (export_folded(v, &text)) {
		buf_adds(b, "  m_folded[\"");
		esc_mermaid(b, text.data);
		buf_adds(b, "\"]\n");
	}
	for (size_t i = 0; i < v->nnodes && !b->err; i++) {
		const struct graph_vnode *n = &v->nodes[order[i]];
		const char *mode;

		if (!*n->ns || !strcmp(n->kind, "ns"))
			continue;
		if (!open || strcmp(open, n->ns)) {
			mode = export_mode(v, n->ns);
			buf_adds(b, open ? "  end\n" : "");
			buf_adds(b, "  subgraph s");
			esc_mermaid_id(b, n->ns);
			buf_adds(b, "[\"");
			esc_mermaid(b, n->ns);
			if (mode)
				buf_printf(b, " #91;%s#93;", mode);
			buf_adds(b, "\"]\n");
			open = n->ns;
		}
		node(b, v, n, "    ");
	}
	buf_adds(b, open ? "  end\n" : "");
	for (size_t i = 0; i < v->nnodes; i++)
		if (!*v->nodes[i].ns || !strcmp(v->nodes[i].kind, "ns"))
			node(b, v, &v->nodes[i], "  ");
	for (size_t i = 0; i < v->nedges && !b->err; i++)
		edge(b, v, &v->edges[i]);
	link_styles(b, v, p);
	buf_printf(b, "  classDef quarantined stroke:%s,color:%s,stroke-width:3px\n", p->block, p->block);
}
