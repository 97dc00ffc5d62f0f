/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/buf.h"
#include "base/strparse.h"
#include "topology/export_priv.h"
#include "topology/words.h"

const struct palette *export_palette(bool dark)
{
	static const struct palette light = { "#0072B2", "#B8860B", "#8C1D18", "#767676",
					      NULL, "#F4F6F8", "#4A5560", NULL };
	static const struct palette night = { "#56B4E9", "#F0C000", "#FF6A3D", "#9E9E9E",
					      "#E8EAED", "#2A3036", "#9AA5B1", "#15191D" };

	return dark ? &night : &light;
}

const char *export_color(const struct palette *p, enum cw_outcome o)
{
	switch (o) {
	case CW_OUT_ALLOW:
		return p->allow;
	case CW_OUT_ALERT:
		return p->alert;
	case CW_OUT_DROP:
	case CW_OUT_WOULD_BLOCK:
		return p->block;
	default:
		return p->grey;
	}
}

enum cw_outcome export_outcome(const struct graph_vedge *e)
{
	return graph_stricter(e->outcome[CW_EGRESS], e->outcome[CW_INGRESS]);
}

bool export_decided(const struct graph_vedge *e)
{
	enum cw_outcome o = export_outcome(e);

	return e->state == GRAPH_CONFIRMED ||
	       (e->state == GRAPH_PENDING && (o == CW_OUT_ALLOW || o == CW_OUT_ALERT));
}

size_t export_port_count(const struct graph_view *v, const struct graph_vedge *e)
{
	size_t n = 0;

	for (uint32_t i = 0; i < e->naccesses; i++)
		n += !i || strcmp(v->accesses[e->first_access + i].port,
				  v->accesses[e->first_access + i - 1].port) != 0;
	return n;
}

/* Longest piece of a port that fits, never half a character. */
static int fit(const char *s, size_t max)
{
	size_t n = strnlen(s, max);

	while (n && (s[n] & 0xc0) == 0x80)
		n--;
	return (int)n;
}

const char *export_ports(const struct graph_view *v, const struct graph_vedge *e, char out[EXPORT_PORTS_MAX])
{
	const struct graph_access *a = &v->accesses[e->first_access];
	size_t count = export_port_count(v, e);
	const char *first = a[0].port, *second = NULL, *slash;
	char *end = out + EXPORT_PORTS_MAX;

	for (uint32_t i = 1; i < e->naccesses && !second; i++)
		if (strcmp(a[i].port, first))
			second = a[i].port;
	out += snprintf(out, EXPORT_PORTS_MAX, "%.*s", fit(first, 60), first);
	if (second) {
		slash = strchr(second, '/');
		if (slash && !strncmp(first, second, (size_t)(slash - second) + 1))
			out += snprintf(out, (size_t)(end - out), ",%.*s", fit(slash + 1, 60), slash + 1);
		else
			out += snprintf(out, (size_t)(end - out), " %.*s", fit(second, 60), second);
	}
	if (count > 2)
		snprintf(out, (size_t)(end - out), " +%zu", count - 2);
	return end - EXPORT_PORTS_MAX;
}

const char *export_label(const struct graph_view *v, const struct graph_vedge *e, char out[EXPORT_LABEL_MAX])
{
	enum cw_outcome o = export_outcome(e);
	size_t n;

	export_ports(v, e, out);
	n = strlen(out);
	if (o != CW_OUT_ALLOW)
		snprintf(out + n, EXPORT_LABEL_MAX - n, " %s", graph_outcome_str(o));
	return out;
}

void export_about(const struct graph_export *opt, struct buf *b)
{
	const char *sep = "";
	char t[32];

	if (opt->cluster && *opt->cluster) {
		buf_printf(b, "cluster %s", opt->cluster);
		sep = ", ";
	}
	if (opt->since_ns || opt->until_ns) {
		buf_printf(b, "%s%s to ", sep, opt->since_ns ? time_str(opt->since_ns, t) : "the beginning");
		buf_adds(b, opt->until_ns ? time_str(opt->until_ns, t) : "now");
		sep = ", ";
	}
	if (opt->generation)
		buf_printf(b, "%sgeneration %llu", sep, (unsigned long long)opt->generation);
}

bool export_folded(const struct graph_view *v, struct buf *b)
{
	if (v->asked == v->level && !v->folded_namespaces && !v->folded_outside)
		return false;
	if (v->asked != v->level)
		buf_printf(b, "folded from %s to %s: ", graph_level_str(v->asked), graph_level_str(v->level));
	else
		buf_printf(b, "folded at level %s: ", graph_level_str(v->level));
	buf_printf(b, "%zu nodes to %zu", v->nodes_asked, v->nnodes);
	if (v->folded_namespaces)
		buf_printf(b, ", %zu namespaces in one node", v->folded_namespaces);
	if (v->folded_outside)
		buf_printf(b, ", %zu outside addresses in one node", v->folded_outside);
	return true;
}

const char *export_kind(const struct graph_vnode *n, char out[EXPORT_KIND_MAX])
{
	out[0] = '\0';
	if (!strcmp(n->kind, "reserved"))
		return out;
	if (!strcmp(n->kind, "ns") || !strcmp(n->kind, "folded")) {
		if (!n->outside)
			snprintf(out, EXPORT_KIND_MAX, "%u workload%s", n->members, n->members == 1 ? "" : "s");
		return out;
	}
	snprintf(out, EXPORT_KIND_MAX, "%.*s", fit(n->kind, 40), n->kind);
	if (n->members > 1)
		snprintf(out + strlen(out), EXPORT_KIND_MAX - strlen(out), " x%u", n->members);
	return out;
}

const struct graph_vns *export_ns(const struct graph_view *v, const char *ns)
{
	size_t lo = 0, hi = v->nnamespaces;

	while (lo < hi) {
		size_t mid = lo + (hi - lo) / 2;
		int r = strcmp(v->namespaces[mid].name, ns);

		if (!r)
			return &v->namespaces[mid];
		if (r < 0)
			lo = mid + 1;
		else
			hi = mid;
	}
	return NULL;
}

const char *export_mode(const struct graph_view *v, const char *ns)
{
	const struct graph_vns *n = export_ns(v, ns);

	return n && n->has_mode ? graph_mode_str(n->mode) : NULL;
}

static int by_ns_cmp(const void *pa, const void *pb, void *arg)
{
	const struct graph_vnode *nodes = arg;
	uint32_t a = *(const uint32_t *)pa, b = *(const uint32_t *)pb;
	int r = strcmp(nodes[a].ns, nodes[b].ns);

	return r ? r : (a > b) - (a < b); /* indices are in REF order */
}

uint32_t *export_by_ns(const struct graph_view *v)
{
	uint32_t *order = calloc(v->nnodes + 1, sizeof(*order));

	if (!order)
		return NULL;
	for (uint32_t i = 0; i < v->nnodes; i++)
		order[i] = i;
	qsort_r(order, v->nnodes, sizeof(*order), by_ns_cmp, v->nodes);
	return order;
}

int graph_export(const struct graph_view *v, enum graph_format f, const struct graph_export *opt,
		 struct buf *out)
{
	static const struct graph_export none;

	opt = opt ? opt : &none;
	switch (f) {
	case GRAPH_DOT:
		export_dot(v, opt, out);
		break;
	case GRAPH_JSON:
		export_json(v, opt, out);
		break;
	case GRAPH_GRAPHML:
		export_graphml(v, opt, out);
		break;
	case GRAPH_MERMAID:
		export_mermaid(v, opt, out);
		break;
	case GRAPH_CSV:
		export_csv(v, out);
		break;
	default:
		return -EINVAL;
	}
	return out->err;
}
