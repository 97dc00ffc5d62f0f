/* SPDX-License-Identifier: Apache-2.0 */
/* graph_json.c - a saved Topology document back to a graph. Hostile input: a file or a pipe. */
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "base/cleanup.h"
#include "base/json.h"
#include "base/strparse.h"
#include "topology/graph_priv.h"
#include "topology/words.h"

static int bad(struct fail_list *f, const char *list, size_t i, const char *field, const char *expected)
{
	char at[64];

	snprintf(at, sizeof(at), field ? "%s[%zu].%s" : "%s[%zu]", list, i, field);
	return fail_add(f, -EBADMSG, "topology.document", at, expected, NULL, "this is not a topology document");
}

static uint64_t counter(const cJSON *o, const char *key)
{
	double d = json_num(o, key, 0);

	/* an exact integer beyond 2^53 does not survive the reader; the nearest one is good enough to show */
	return !(d > 0) ? 0 : d >= 18446744073709549568.0 ? UINT64_MAX : (uint64_t)d;
}

static int64_t moment(const cJSON *o, const char *key)
{
	const char *s = json_str(o, key);
	int64_t ns;

	return s && parse_time_ns(s, &ns) == 0 ? ns : 0;
}

static const cJSON *list(const cJSON *j, const char *key)
{
	const cJSON *l = json_get(j, key);

	return cJSON_IsArray(l) ? l->child : NULL;
}

static int read_namespaces(struct graph *g, const cJSON *j, struct fail_list *f)
{
	size_t i = 0;

	for (const cJSON *n = list(j, "namespaces"); n; n = n->next, i++) {
		const char *mode = json_str(n, "mode");
		enum cw_mode m;

		if (!mode)
			continue;
		if (graph_mode_parse(mode, &m) < 0)
			return bad(f, "namespaces", i, "mode", "off, learn, alert or enforce");
		if (graph_namespace_add(g, json_str(n, "name"), m) < 0)
			return bad(f, "namespaces", i, "name", "a name");
	}
	return 0;
}

static int read_nodes(struct graph *g, const cJSON *j, enum graph_level level, struct fail_list *f)
{
	size_t i = 0;

	for (const cJSON *n = list(j, "nodes"); n; n = n->next, i++) {
		const char *ref = json_str(n, "id");
		double members = json_num(n, "members", 0), held = json_num(n, "held", 0);
		struct graph_node add = {
			.ref = ref, .ns = json_str(n, "namespace"), .kind = json_str(n, "kind"),
			.name = json_str(n, "name"),
			.members = members > 0 && members <= UINT32_MAX ? (uint32_t)members : 0,
			.flags = (json_bool(n, "quarantined", false) ? GRAPH_NODE_QUARANTINED : 0) |
				 (json_bool(n, "blind", false) ? GRAPH_NODE_BLIND : 0) |
				 (json_bool(n, "late", false) ? GRAPH_NODE_LATE : 0),
		};
		uint32_t at;
		int r;

		if (!ref || (*ref == '(' && strcmp(ref, GRAPH_FOLDED_NS) && strcmp(ref, GRAPH_FOLDED_OUTSIDE)))
			return bad(f, "nodes", i, "id", "a REF");
		r = graph_node_put(g, &add, &at);
		if (r == -ENOMEM)
			return r;
		if (r < 0)
			return bad(f, "nodes", i, NULL, "names of UTF-8, at most 1024 bytes");
		/* drawn as it was: at its own level it stands for itself */
		if (!g->nodes.v[at].at[level])
			g->nodes.v[at].at[level] = g->nodes.v[at].ref;
		g->nodes.v[at].held = held > 0 && held <= UINT32_MAX ? (uint32_t)held : 0;
	}
	return 0;
}

static int read_access(struct graph *g, const cJSON *e, const cJSON *a, struct graph_access *add)
{
	int r;

	add->id = json_str(a, "id");
	add->port = json_str(a, "port");
	add->service = json_str(a, "service");
	add->rule = json_str(a, "rule");
	add->flows = counter(a, "flows");
	add->answered = counter(a, "answered");
	add->bytes = counter(a, "bytes");
	add->first_ns = moment(a, "first");
	add->last_ns = moment(a, "last");
	add->src = json_str(e, "src");
	add->dst = json_str(e, "dst");
	/* ends must be nodes of the document: a REF is not made up from a line */
	if (!add->src || !add->dst || !htab_has(g->node_at, add->src, strlen(add->src)) ||
	    !htab_has(g->node_at, add->dst, strlen(add->dst)))
		return -EINVAL;
	r = graph_access_add(g, add);
	return r == -EEXIST ? -EINVAL : r;
}

static int read_edges(struct graph *g, const cJSON *j, struct fail_list *f)
{
	size_t i = 0;

	for (const cJSON *e = list(j, "edges"); e; e = e->next, i++) {
		struct graph_access add = {};

		if (graph_state_parse(json_str(e, "state"), &add.state) < 0)
			return bad(f, "edges", i, "state", "pending, confirmed, rejected or held");
		if (graph_outcome_parse(json_str(e, "egress"), &add.outcome[CW_EGRESS]) < 0)
			return bad(f, "edges", i, "egress", "-, allow, alert, no-rule, would-block or block");
		if (graph_outcome_parse(json_str(e, "ingress"), &add.outcome[CW_INGRESS]) < 0)
			return bad(f, "edges", i, "ingress", "-, allow, alert, no-rule, would-block or block");
		for (const cJSON *a = list(e, "accesses"); a; a = a->next) {
			int r = read_access(g, e, a, &add);

			if (r == -ENOMEM)
				return r;
			if (r < 0)
				return bad(f, "edges", i, "accesses", "id, port, and src and dst that are nodes");
		}
	}
	return 0;
}

int graph_from_json(const cJSON *j, struct fail_list *f, struct graph **ret)
{
	auto_cleanup(graph_freep) struct graph *g = graph_new();
	const char *kind = json_str(j, "kind");
	enum graph_level level;
	int r;

	if (!g)
		return -ENOMEM;
	if (!kind || strcmp(kind, "Topology"))
		return fail_add(f, -EBADMSG, "topology.document", "kind", "Topology",
				"cellwall topology export -o json", "this is not a topology document");
	if (graph_level_parse(json_str(json_get(j, "meta"), "level"), &level) < 0)
		return fail_add(f, -EBADMSG, "topology.document", "meta.level",
				"namespace, controller, label, service or pod", NULL,
				"this is not a topology document");
	r = read_namespaces(g, j, f);
	if (r == 0)
		r = read_nodes(g, j, level, f);
	if (r == 0)
		r = read_edges(g, j, f);
	if (r < 0)
		return r;
	*ret = take_ptr(g);
	return 0;
}
