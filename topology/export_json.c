/* SPDX-License-Identifier: Apache-2.0 */
/* export_json.c - the Topology document; keys only ever get added. */
#include <inttypes.h>
#include <string.h>

#include "base/buf.h"
#include "base/strparse.h"
#include "topology/escape.h"
#include "topology/export_priv.h"
#include "topology/words.h"

static void key_str(struct buf *b, const char *key, const char *s)
{
	buf_printf(b, "\"%s\":\"", key);
	esc_json(b, s);
	buf_adds(b, "\"");
}

/* "" and 0 are null: not known, which is not the same as an empty name or 1970 */
static void key_str_null(struct buf *b, const char *key, const char *s)
{
	if (s && *s)
		key_str(b, key, s);
	else
		buf_printf(b, "\"%s\":null", key);
}

static void key_time(struct buf *b, const char *key, int64_t ns)
{
	char t[32];

	key_str_null(b, key, ns ? time_str(ns, t) : NULL);
}

static void meta(struct buf *b, const struct graph_view *v, const struct graph_export *opt)
{
	buf_adds(b, "{\"apiVersion\":\"cellwall.io/v1\",\"kind\":\"Topology\",\n\"meta\":{");
	key_str_null(b, "cluster", opt->cluster);
	buf_adds(b, ",");
	key_time(b, "since", opt->since_ns);
	buf_adds(b, ",");
	key_time(b, "until", opt->until_ns);
	if (opt->generation)
		buf_printf(b, ",\"generation\":%" PRIu64, opt->generation);
	else
		buf_adds(b, ",\"generation\":null");
	buf_printf(b, ",\"level\":\"%s\",\"askedLevel\":\"%s\",\"nodesAsked\":%zu,\"foldedNamespaces\":%zu,"
		      "\"foldedOutside\":%zu,\"held\":%zu,\"filtered\":%zu}",
		   graph_level_str(v->level), graph_level_str(v->asked), v->nodes_asked, v->folded_namespaces,
		   v->folded_outside, v->held, v->filtered);
}

static void node(struct buf *b, const struct graph_vnode *n)
{
	key_str(b, "id", n->ref);
	buf_adds(b, ",");
	key_str(b, "kind", n->kind);
	buf_adds(b, ",");
	key_str_null(b, "namespace", n->ns);
	buf_adds(b, ",");
	key_str(b, "name", n->name);
	buf_printf(b, ",\"members\":%u,\"outside\":%s,\"quarantined\":%s,\"blind\":%s,\"late\":%s,\"held\":%u",
		   n->members, n->outside ? "true" : "false",
		   n->flags & GRAPH_NODE_QUARANTINED ? "true" : "false",
		   n->flags & GRAPH_NODE_BLIND ? "true" : "false", n->flags & GRAPH_NODE_LATE ? "true" : "false",
		   n->held);
}

static void access_item(struct buf *b, const struct graph_access *a)
{
	key_str(b, "id", a->id);
	buf_adds(b, ",");
	key_str(b, "port", a->port);
	buf_adds(b, ",");
	key_str_null(b, "service", a->service);
	buf_adds(b, ",");
	key_str_null(b, "rule", a->rule);
	buf_printf(b, ",\"flows\":%" PRIu64 ",\"answered\":%" PRIu64 ",\"bytes\":%" PRIu64 ",", a->flows,
		   a->answered, a->bytes);
	key_time(b, "first", a->first_ns);
	buf_adds(b, ",");
	key_time(b, "last", a->last_ns);
}

static void ports(struct buf *b, const struct graph_view *v, const struct graph_vedge *e)
{
	buf_adds(b, ",\"ports\":[");
	for (uint32_t i = 0; i < e->naccesses; i++) {
		const struct graph_access *a = &v->accesses[e->first_access + i];

		if (i && !strcmp(a->port, a[-1].port))
			continue;
		buf_adds(b, i ? ",\"" : "\"");
		esc_json(b, a->port);
		buf_adds(b, "\"");
	}
	buf_adds(b, "]");
}

static void edge(struct buf *b, const struct graph_view *v, const struct graph_vedge *e)
{
	char label[EXPORT_LABEL_MAX];

	key_str(b, "id", e->id);
	buf_adds(b, ",");
	key_str(b, "src", v->nodes[e->src].ref);
	buf_adds(b, ",");
	key_str(b, "dst", v->nodes[e->dst].ref);
	buf_adds(b, ",");
	key_str(b, "label", export_label(v, e, label));
	ports(b, v, e);
	buf_printf(b, ",\"verdict\":\"%s\",\"egress\":\"%s\",\"ingress\":\"%s\",\"state\":\"%s\","
		      "\"flows\":%" PRIu64 ",\"answered\":%" PRIu64 ",\"bytes\":%" PRIu64 ",",
		   graph_outcome_str(export_outcome(e)), graph_outcome_str(e->outcome[CW_EGRESS]),
		   graph_outcome_str(e->outcome[CW_INGRESS]), graph_state_str(e->state), e->flows, e->answered,
		   e->bytes);
	key_time(b, "first", e->first_ns);
	buf_adds(b, ",");
	key_time(b, "last", e->last_ns);
	buf_adds(b, ",\"accesses\":[");
	for (uint32_t i = 0; i < e->naccesses; i++) {
		buf_adds(b, i ? ",{" : "{");
		access_item(b, &v->accesses[e->first_access + i]);
		buf_adds(b, "}");
	}
	buf_adds(b, "]");
}

void export_json(const struct graph_view *v, const struct graph_export *opt, struct buf *b)
{
	meta(b, v, opt);
	buf_adds(b, ",\n\"namespaces\":[");
	for (size_t i = 0; i < v->nnamespaces; i++) {
		buf_adds(b, i ? ",\n{" : "\n{");
		key_str(b, "name", v->namespaces[i].name);
		buf_adds(b, ",");
		key_str_null(b, "mode",
			     v->namespaces[i].has_mode ? graph_mode_str(v->namespaces[i].mode) : NULL);
		buf_adds(b, "}");
	}
	buf_adds(b, "],\n\"nodes\":[");
	for (size_t i = 0; i < v->nnodes; i++) {
		buf_adds(b, i ? ",\n{" : "\n{");
		node(b, &v->nodes[i]);
		buf_adds(b, "}");
	}
	buf_adds(b, "],\n\"edges\":[");
	for (size_t i = 0; i < v->nedges && !b->err; i++) {
		buf_adds(b, i ? ",\n{" : "\n{");
		edge(b, v, &v->edges[i]);
		buf_adds(b, "}");
	}
	buf_adds(b, "]}\n");
}
