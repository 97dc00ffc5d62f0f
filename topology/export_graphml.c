/* SPDX-License-Identifier: Apache-2.0 */
/* export_graphml.c - GraphML (graphml.graphdrawing.org): typed keys, one graph, data per element. */
#include <inttypes.h>
#include <string.h>

#include "base/buf.h"
#include "base/cleanup.h"
#include "base/strparse.h"
#include "topology/escape.h"
#include "topology/export_priv.h"
#include "topology/words.h"

static const struct { const char *id, *on, *type; } keys[] = {
	{ "label", "node", "string" },	   { "kind", "node", "string" },
	{ "namespace", "node", "string" }, { "mode", "node", "string" },
	{ "members", "node", "int" },	   { "outside", "node", "boolean" },
	{ "quarantined", "node", "boolean" }, { "blind", "node", "boolean" },
	{ "late", "node", "boolean" },	   { "port", "edge", "string" },
	{ "verdict", "edge", "string" },   { "egress", "edge", "string" },
	{ "ingress", "edge", "string" },   { "state", "edge", "string" },
	{ "accesses", "edge", "string" },  { "flows", "edge", "long" },
	{ "answered", "edge", "long" },	   { "bytes", "edge", "long" },
	{ "first", "edge", "string" },	   { "last", "edge", "string" },
};

static void data(struct buf *b, const char *key, const char *s)
{
	if (!s || !*s)
		return;
	buf_printf(b, "<data key=\"%s\">", key);
	esc_xml(b, s);
	buf_adds(b, "</data>");
}

static void data_u64(struct buf *b, const char *key, uint64_t n)
{
	/* xs:long ends at 2^63 - 1; sums saturate above it */
	buf_printf(b, "<data key=\"%s\">%" PRIu64 "</data>", key, n > INT64_MAX ? (uint64_t)INT64_MAX : n);
}

static void data_flag(struct buf *b, const char *key, bool on)
{
	if (on)
		buf_printf(b, "<data key=\"%s\">true</data>", key);
}

static void node(struct buf *b, const struct graph_view *v, const struct graph_vnode *n)
{
	buf_adds(b, "<node id=\"");
	esc_xml(b, n->ref);
	buf_adds(b, "\">");
	data(b, "label", n->name);
	data(b, "kind", n->kind);
	data(b, "namespace", n->ns);
	data(b, "mode", *n->ns ? export_mode(v, n->ns) : NULL);
	if (!n->outside)
		data_u64(b, "members", n->members);
	data_flag(b, "outside", n->outside);
	data_flag(b, "quarantined", n->flags & GRAPH_NODE_QUARANTINED);
	data_flag(b, "blind", n->flags & GRAPH_NODE_BLIND);
	data_flag(b, "late", n->flags & GRAPH_NODE_LATE);
	buf_adds(b, "</node>\n");
}

static void edge(struct buf *b, const struct graph_view *v, const struct graph_vedge *e)
{
	char t[32];

	buf_adds(b, "<edge id=\"");
	esc_xml(b, e->id);
	buf_adds(b, "\" source=\"");
	esc_xml(b, v->nodes[e->src].ref);
	buf_adds(b, "\" target=\"");
	esc_xml(b, v->nodes[e->dst].ref);
	buf_adds(b, "\"><data key=\"port\">");
	for (uint32_t i = 0; i < e->naccesses; i++) {
		const struct graph_access *a = &v->accesses[e->first_access + i];

		if (i && !strcmp(a->port, a[-1].port))
			continue;
		buf_adds(b, i ? ", " : "");
		esc_xml(b, a->port);
	}
	buf_adds(b, "</data>");
	data(b, "verdict", graph_outcome_str(export_outcome(e)));
	data(b, "egress", graph_outcome_str(e->outcome[CW_EGRESS]));
	data(b, "ingress", graph_outcome_str(e->outcome[CW_INGRESS]));
	data(b, "state", graph_state_str(e->state));
	buf_adds(b, "<data key=\"accesses\">");
	for (uint32_t i = 0; i < e->naccesses; i++) {
		buf_adds(b, i ? " " : "");
		esc_xml(b, v->accesses[e->first_access + i].id);
	}
	buf_adds(b, "</data>");
	data_u64(b, "flows", e->flows);
	data_u64(b, "answered", e->answered);
	data_u64(b, "bytes", e->bytes);
	data(b, "first", e->first_ns ? time_str(e->first_ns, t) : NULL);
	data(b, "last", e->last_ns ? time_str(e->last_ns, t) : NULL);
	buf_adds(b, "</edge>\n");
}

static void comment(struct buf *b, const struct graph_view *v, const struct graph_export *opt)
{
	auto_cleanup(buf_done) struct buf text = {};

	buf_init(&text, 8192);
	if (opt->comment)
		export_about(opt, &text);
	if (text.len)
		buf_adds(&text, ". ");
	(void)export_folded(v, &text);
	if (!text.len)
		return;
	buf_adds(b, "<!-- ");
	esc_xml_comment(b, text.data);
	buf_adds(b, " -->\n");
}

void export_graphml(const struct graph_view *v, const struct graph_export *opt, struct buf *b)
{
	buf_adds(b, "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n");
	comment(b, v, opt);
	buf_adds(b, "<graphml xmlns=\"http://graphml.graphdrawing.org/xmlns\">\n");
	for (size_t i = 0; i < ARRAY_SIZE(keys); i++)
		buf_printf(b, "<key id=\"%s\" for=\"%s\" attr.name=\"%s\" attr.type=\"%s\"/>\n", keys[i].id,
			   keys[i].on, keys[i].id, keys[i].type);
	buf_adds(b, "<graph id=\"cellwall\" edgedefault=\"directed\">\n");
	for (size_t i = 0; i < v->nnodes; i++)
		node(b, v, &v->nodes[i]);
	for (size_t i = 0; i < v->nedges && !b->err; i++)
		edge(b, v, &v->edges[i]);
	buf_adds(b, "</graph>\n</graphml>\n");
}
