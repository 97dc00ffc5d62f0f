/* SPDX-License-Identifier: Apache-2.0 */
/* api_topology.c - who talks to whom: the graph room fed from accesses and inventory. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/buf.h"
#include "base/cleanup.h"
#include "base/strparse.h"
#include "controller/api_routes.h"
#include "controller/kpolicies.h"
#include "controller/services.h"
#include "topology/graph.h"

static enum graph_state graph_state_of(const struct access *a)
{
	static const enum graph_state s[] = {
		[ACCESS_ST_PENDING] = GRAPH_PENDING, [ACCESS_ST_CONFIRMED] = GRAPH_CONFIRMED,
		[ACCESS_ST_REJECTED] = GRAPH_REJECTED, [ACCESS_ST_HELD] = GRAPH_HELD,
	};

	/* Held as a scan is not drawn; an end that nobody claimed is, as late. */
	return access_state(a) == ACCESS_ST_HELD && !access_in_scan(a) ? GRAPH_PENDING : s[access_state(a)];
}

static int blind_one(void *arg, const struct node_guard *g)
{
	struct htab *blind = arg;

	return strcmp(g->state, "blind") ? 0 : htab_set(blind, g->workload, strlen(g->workload), blind, NULL);
}

static int add_workload(struct controller *c, struct graph *g, const struct workload *w, const char *label,
			const struct htab *blind)
{
	auto_free char *pod = workload_pod_ref(w), *ctrl = workload_group_ref(w), *ns = text_fmt("ns/%s", w->ns);
	auto_free char *by_label = NULL, *by_service = NULL;
	struct graph_node n = { .ref = pod, .ns = w->ns, .kind = "pod", .name = w->name, .members = 1 };
	const struct service *svc;
	const char *v;

	if (!pod || !ctrl || !ns)
		return -ENOMEM;
	v = labels_get(&w->labels, label);
	by_label = v ? text_fmt("%s/%s=%s", w->ns, label, v) : NULL;
	n.at[GRAPH_CONTROLLER] = ctrl;
	n.at[GRAPH_LABEL] = by_label;
	n.at[GRAPH_NAMESPACE] = ns;
	svc = service_of(&c->state, w);
	by_service = svc ? service_ref(svc) : NULL;
	n.at[GRAPH_SERVICE] = by_service;
	if (policy_state_quarantine(&c->state, w))
		n.flags |= GRAPH_NODE_QUARANTINED;
	if (htab_has(blind, pod, strlen(pod)))
		n.flags |= GRAPH_NODE_BLIND;
	return graph_node_add(g, &n);
}

/* An address of the cluster that nobody claimed in time. */
static int add_unresolved(struct graph *g, const char *ref)
{
	const struct graph_node n = { .ref = ref, .flags = GRAPH_NODE_LATE };

	return graph_node_add(g, &n);
}

/* A lifted end, as the group it is. */
static int add_group(struct graph *g, const struct access_end *e)
{
	struct graph_node n = { .ref = e->ref, .ns = e->ns,
				.name = e->controller_name ? e->controller_name : e->pod };
	auto_free char *ns = NULL;

	if (e->kind == ACCESS_UNRESOLVED)
		return add_unresolved(g, e->ref);
	if (!str_set(e->ns))
		return 0;
	ns = text_fmt("ns/%s", e->ns);
	if (!ns)
		return -ENOMEM;
	n.kind = e->kind == ACCESS_CONTROLLER ? kind_short(e->controller_kind) : e->kind == ACCESS_SERVICE ? "svc" : NULL;
	if (e->kind == ACCESS_SERVICE)
		n.at[GRAPH_SERVICE] = e->ref;
	n.at[GRAPH_NAMESPACE] = ns;
	return graph_node_add(g, &n);
}

/* A pair of workloads, or of groups, in all families and lives of the pods. */
struct pair {
	const char *src, *dst;
	uint64_t flows, answered, bytes;
	int64_t first_ns, last_ns;
	struct access_side side[2];
};

static void pair_add(struct pair *p, const struct access_counts *k, const struct access_side side[2],
		     int64_t first_ns, int64_t last_ns)
{
	p->flows += k->flows;
	p->answered += k->answered;
	p->bytes += k->bytes;
	if (!p->first_ns || (first_ns && first_ns < p->first_ns))
		p->first_ns = first_ns;
	if (last_ns > p->last_ns)
		p->last_ns = last_ns;
	for (int s = 0; s < 2; s++)
		if (side[s].at_ns >= p->side[s].at_ns)
			p->side[s] = side[s];
}

static int add_pair(const struct controller *c, struct graph *g, const struct access *a, const struct pair *p)
{
	uint32_t by = a->side[CW_EGRESS].verdict.rule ?: a->side[CW_INGRESS].verdict.rule;
	auto_free char *rule = state_id_ref(&c->state, by);
	char port[40];
	auto_free char *svc = a->dst->kind == ACCESS_SERVICE ? text_fmt("svc/%s", a->dst->pod) : NULL;
	const struct graph_access x = {
		.service = svc, .id = a->id, .src = p->src, .dst = p->dst, .port = access_port_str(a, port), .rule = rule,
		.state = graph_state_of(a), .outcome = { p->side[0].outcome, p->side[1].outcome },
		.flows = p->flows, .answered = p->answered, .bytes = p->bytes,
		.first_ns = p->first_ns, .last_ns = p->last_ns,
	};

	return graph_access_add(g, &x);
}

/* The node that stands for one end of a pair, when it is more than its name. */
static int add_point(struct graph *g, const struct access_point *p)
{
	return !p->ns && p->reserved == CW_ID_UNKNOWN ? add_unresolved(g, p->ref) : 0;
}

static int by_refs(const void *pa, const void *pb)
{
	const struct access_member *a = *(const struct access_member *const *)pa;
	const struct access_member *b = *(const struct access_member *const *)pb;

	return strcmp(a->src->ref, b->src->ref) ?: strcmp(a->dst->ref, b->dst->ref);
}

static int add_groups(const struct controller *c, struct graph *g, const struct access *a)
{
	struct pair p = { .src = a->src->ref, .dst = a->dst->ref };

	pair_add(&p, &a->c, a->side, a->first_ns, a->last_ns);
	return add_group(g, a->src) ?: add_group(g, a->dst) ?: add_pair(c, g, a, &p);
}

/* One access for each pair of names, whatever families and lives of the pods are behind it. */
static int add_pods(const struct controller *c, struct graph *g, const struct access *a)
{
	const struct access_member *v[ACCESS_MEMBERS_MAX];
	size_t n = 0;
	int e = 0;

	for (size_t i = 0; i < a->nmembers && n < ARRAY_SIZE(v); i++)
		if (a->members[i]->src && a->members[i]->dst)
			v[n++] = a->members[i];
	if (!n)
		return add_groups(c, g, a);
	qsort(v, n, sizeof(*v), by_refs);
	for (size_t i = 0; i < n && !e;) {
		struct pair p = { .src = v[i]->src->ref, .dst = v[i]->dst->ref };
		size_t first = i;

		for (; i < n && !by_refs(&v[first], &v[i]); i++)
			pair_add(&p, &v[i]->c, v[i]->side, v[i]->first_ns, v[i]->last_ns);
		e = add_point(g, v[first]->src);
		e = e ?: a->dst->kind == ACCESS_SERVICE ? add_group(g, a->dst) : add_point(g, v[first]->dst);
		e = e ?: add_pair(c, g, a, &p);
	}
	return e;
}

static int graph_build(struct controller *c, enum graph_level level, const char *label, struct graph **ret)
{
	auto_cleanup(graph_freep) struct graph *g = graph_new();
	bool pods = level == GRAPH_POD || level == GRAPH_LABEL;
	struct htab *blind = htab_new();
	int e = g && blind ? 0 : -ENOMEM;

	if (!e && c->ops->guards)
		(void)c->ops->guards(c->node, blind_one, blind); /* unknown is not blind */
	for (size_t i = 0; i < c->state.nworkloads && !e; i++) {
		const struct workload any = { .ns = c->state.workloads[i].ns };
		const struct mode_setting *from;
		enum cw_mode mode;
		enum cw_action dflt;

		policy_state_mode(&c->state, &any, &mode, &dflt, &from);
		e = graph_namespace_add(g, any.ns, mode);
		e = e ?: add_workload(c, g, &c->state.workloads[i], label, blind);
	}
	for (size_t i = 0; i < access_book_count(c->book) && !e; i++)
		e = pods ? add_pods(c, g, access_book_at(c->book, i)) : add_groups(c, g, access_book_at(c->book, i));
	htab_free(blind, NULL);
	if (e)
		return e;
	*ret = take_ptr(g);
	return 0;
}

/* ---- query ------------------------------------------------------------------------------------------ */

struct topo_args {
	struct words ns;
	enum graph_level level;
	const char *label;
	uint32_t max_nodes;
};

static void topo_args_done(struct topo_args *t)
{
	words_done(&t->ns);
}

static int read_args(struct api *a, struct topo_args *t)
{
	const char *level = api_q(a, "level"), *max = api_q(a, "maxNodes");
	char at[120];
	int e = api_q_words(a, "namespace", &t->ns);

	t->level = GRAPH_CONTROLLER;
	t->label = api_q(a, "label") ?: "app";
	t->max_nodes = GRAPH_MAX_NODES_DEFAULT;
	if (level && graph_level_parse(level, &t->level)) {
		snprintf(at, sizeof(at), "query level: \"%.60s\"", level);
		e = fail_add(&a->f, -EINVAL, "topology.level", at, "namespace, controller, label, service or pod", NULL,
			     "this is not a level");
	}
	if (!is_label_key(t->label)) {
		snprintf(at, sizeof(at), "query label: \"%.60s\"", t->label);
		e = fail_add(&a->f, -EINVAL, "label.key", at, "[PREFIX/]NAME of letters, digits, - _ .", NULL,
			     "this is not a label key");
	}
	if (max && parse_u32(max, 0, GRAPH_NODES_MAX, &t->max_nodes)) {
		snprintf(at, sizeof(at), "query maxNodes: \"%.60s\"", max);
		e = fail_add(&a->f, -EINVAL, "topology.max-nodes", at, "0 to 200000, 0 for no folding", NULL,
			     "this is not a number of nodes");
	}
	return e;
}

static int view_make(struct api *a, const struct topo_args *t, int64_t since, int64_t until, struct graph_view **ret)
{
	auto_cleanup(graph_freep) struct graph *g = NULL;
	const struct graph_query q = {
		.level = t->level, .namespaces = (const char *const *)t->ns.v, .nnamespaces = t->ns.n,
		.since_ns = since, .until_ns = until, .max_nodes = t->max_nodes,
	};
	int e = graph_build(a->c, t->level, t->label, &g);

	return e ? e : graph_view_make(g, &q, ret);
}

static int take_buf(struct api *a, struct buf *b, const char *type)
{
	int err = b->err;

	a->text = buf_take(b, NULL);
	a->text_type = type;
	return a->text ? 0 : err ? err : -ENOMEM;
}

int api_topology(struct api *a, cJSON **ret)
{
	auto_cleanup(topo_args_done) struct topo_args t = {};
	auto_cleanup(graph_view_freep) struct graph_view *v = NULL;
	const char *format = api_q(a, "format") ?: "json", *at_text = api_q(a, "at");
	struct graph_export opt = { .cluster = a->c->cluster, .generation = a->c->state.generation };
	enum graph_format fmt = GRAPH_JSON;
	int legend, comment, dark, e;
	struct buf b;
	char at[120];

	(void)ret;
	e = read_args(a, &t);
	e = e ?: api_q_time(a, "since", 0, &opt.since_ns);
	e = e ?: api_q_time(a, at_text ? "at" : "until", 0, &opt.until_ns);
	e = e ?: api_q_bool(a, "legend", &legend);
	e = e ?: api_q_bool(a, "comment", &comment);
	e = e ?: api_q_bool(a, "dark", &dark);
	if (!e && strcmp(format, "tree") && graph_format_parse(format, &fmt)) {
		snprintf(at, sizeof(at), "query format: \"%.60s\"", format);
		e = fail_add(&a->f, -EINVAL, "topology.format", at, "json, dot, graphml, mermaid, csv or tree", NULL,
			     "this is not a format");
	}
	e = e ?: view_make(a, &t, opt.since_ns, opt.until_ns, &v);
	if (e)
		return e;
	buf_init(&b, GRAPH_EXPORT_MAX);
	if (!strcmp(format, "tree")) {
		auto_cleanup(words_done) struct words expand = {};
		struct graph_tree tree = { .namespaces = (const char *const *)t.ns.v, .nnamespaces = t.ns.n };
		char heading[120], when[32];

		if (api_q_words(a, "expand", &expand))
			return -ENOMEM;
		snprintf(heading, sizeof(heading), "to %s, generation %llu",
			 time_str(opt.until_ns ? opt.until_ns : controller_now(a->c), when),
			 (unsigned long long)a->c->state.generation);
		tree.heading = heading;
		tree.expand = (const char *const *)expand.v;
		tree.nexpand = expand.n;
		(void)graph_tree_print(v, &tree, &b); /* kept in b.err */
		return take_buf(a, &b, "text/plain");
	}
	opt.no_legend = legend == 0;
	opt.comment = comment == 1;
	opt.dark = dark == 1;
	(void)graph_export(v, fmt, &opt, &b); /* kept in b.err */
	return take_buf(a, &b, graph_format_mime(fmt));
}

int api_topology_diff(struct api *a, cJSON **ret)
{
	auto_cleanup(topo_args_done) struct topo_args t = {};
	auto_cleanup(graph_view_freep) struct graph_view *before = NULL, *after = NULL;
	const char *window = api_q(a, "window");
	struct graph_diff d = {};
	int64_t from, to, len = 0;
	uint64_t ms;
	struct buf b;
	char at[120], from_text[32], to_text[32];
	int e;

	(void)ret;
	e = read_args(a, &t);
	if (!e && !api_q(a, "from"))
		e = fail_add(&a->f, -EINVAL, "query.missing", "query from", "a time", "cellwall topology diff 1d 0s",
			     "from is missing");
	e = e ?: api_q_time(a, "from", 0, &from);
	e = e ?: api_q_time(a, "to", controller_now(a->c), &to);
	if (!e && window) {
		if (parse_duration_ms(window, 3660ull * 24 * 3600 * 1000, &ms) || !ms) {
			snprintf(at, sizeof(at), "query window: \"%.60s\"", window);
			e = fail_add(&a->f, -EINVAL, "query.time", at, "a duration such as 1d", NULL, "this is no duration");
		} else {
			len = (int64_t)ms * 1000000;
		}
	}
	t.max_nodes = 0; /* folded differently, the two could not be compared */
	e = e ?: view_make(a, &t, len ? from - len : 0, from, &before);
	e = e ?: view_make(a, &t, len ? to - len : 0, to, &after);
	e = e ?: graph_diff_make(before, after, &d);
	if (e)
		return e;
	buf_init(&b, GRAPH_EXPORT_MAX);
	time_str(from, from_text);
	time_str(to, to_text);
	(void)graph_diff_json(&d, t.level, from_text, to_text, &b); /* kept in b.err */
	graph_diff_done(&d);
	return take_buf(a, &b, "application/json");
}
