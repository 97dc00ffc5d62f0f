/* SPDX-License-Identifier: Apache-2.0 */
/* world.c - a question read: every fault ends it, for a half-read cluster answers nothing. */
#include "selftests/judge/world.h"

#include <errno.h>
#include <netinet/in.h>
#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"
#include "base/json.h"
#include "base/vec.h"
#include "policy/kpolicy.h"

#define BAD(f, what, ...) fail_add(f, -EINVAL, "judge.question", what, NULL, NULL, __VA_ARGS__)
#define NO_MEMORY(f) fail_add(f, -ENOMEM, "judge.memory", NULL, NULL, NULL, "no memory")

struct reader {
	const cJSON *q;
	struct fail_list *f;
	struct world *w;
	const cJSON **pod;	/* all pods of the question, those of the host's network too */
	size_t *pod_view;
	size_t *pod_wl;		/* SIZE_MAX: host network */
	size_t npods;
};

/* A list field: absent and null are empty. */
static int list_of(struct reader *x, const char *key, size_t max, const cJSON **ret, size_t *ret_n)
{
	const cJSON *l = json_get(x->q, key);
	size_t n;

	*ret = NULL;
	*ret_n = 0;
	if (!l || cJSON_IsNull(l))
		return 0;
	if (!cJSON_IsArray(l))
		return BAD(x->f, key, "not a list");
	n = (size_t)cJSON_GetArraySize(l);
	if (n > max)
		return fail_add(x->f, -E2BIG, "judge.question", key, NULL, NULL, "%zu items, at most %zu", n, max);
	*ret = l->child;
	*ret_n = n;
	return 0;
}

static int text_of(struct reader *x, const cJSON *obj, const char *key, const char **ret)
{
	const char *s = json_str(obj, key);

	if (!s || !*s)
		return BAD(x->f, key, "text is missing");
	*ret = s;
	return 0;
}

static int labels_of(struct reader *x, const cJSON *obj, struct labels *to)
{
	const cJSON *l = json_get(obj, "labels"), *kv;

	if (!l || cJSON_IsNull(l))
		return 0;
	if (!cJSON_IsObject(l))
		return BAD(x->f, "labels", "not an object");
	cJSON_ArrayForEach(kv, l) {
		if (!cJSON_IsString(kv))
			return BAD(x->f, kv->string, "label is not text");
		if (labels_set(to, kv->string, kv->valuestring))
			return NO_MEMORY(x->f);
	}
	return 0;
}

static int addrs_of(struct reader *x, const cJSON *obj, struct addr **ret, size_t *ret_n)
{
	const cJSON *l = json_get(obj, "ips"), *i;
	struct addr v[WORLD_ADDRS_MAX];
	size_t n = 0;

	if (l && !cJSON_IsNull(l) && !cJSON_IsArray(l))
		return BAD(x->f, "ips", "not a list");
	cJSON_ArrayForEach(i, l) {
		if (n == WORLD_ADDRS_MAX)
			return fail_add(x->f, -E2BIG, "judge.question", "ips", NULL, NULL, "more than %u", WORLD_ADDRS_MAX);
		if (!cJSON_IsString(i) || addr_parse(i->valuestring, &v[n++]))
			return BAD(x->f, "ips", "not an address");
	}
	*ret = malloc((n + !n) * sizeof(*v));
	if (!*ret)
		return NO_MEMORY(x->f);
	memcpy(*ret, v, n * sizeof(*v));
	*ret_n = n;
	return 0;
}

static int proto_of(struct reader *x, const cJSON *obj, const char *key, uint8_t *ret)
{
	const cJSON *p = json_get(obj, key);
	const char *s = cJSON_IsString(p) ? p->valuestring : p && !cJSON_IsNull(p) ? "" : "TCP";

	if (!strcmp(s, "TCP"))
		*ret = IPPROTO_TCP;
	else if (!strcmp(s, "UDP"))
		*ret = IPPROTO_UDP;
	else if (!strcmp(s, "SCTP"))
		*ret = IPPROTO_SCTP;
	else
		return BAD(x->f, key, "not TCP, UDP or SCTP: \"%s\"", s);
	return 0;
}

static int port_of(struct reader *x, const cJSON *obj, uint16_t *ret)
{
	int64_t v = json_i64(obj, "port", -1);

	if (v < 1 || v > 65535)
		return BAD(x->f, "port", "not a port number");
	*ret = (uint16_t)v;
	return 0;
}

/* ---- nodes ---------------------------------------------------------------------------------------- */

static int view_of(struct reader *x, const char *node, size_t *ret)
{
	struct world *w = x->w;

	for (*ret = 0; *ret < w->nviews; ++*ret)
		if (!strcmp(w->views[*ret].node, node))
			return 0;
	if (w->nviews == WORLD_NODES_MAX)
		return fail_add(x->f, -E2BIG, "judge.question", "nodes", NULL, NULL, "more than %u", WORLD_NODES_MAX);
	w->views[w->nviews++].node = node;
	return 0;
}

static int view_addr(struct reader *x, struct world_view *v, const struct addr *a)
{
	struct addr *more;

	for (size_t i = 0; i < v->naddrs; i++)
		if (!addr_cmp(&v->addrs[i], a))
			return 0;
	more = realloc(v->addrs, (v->naddrs + 1) * sizeof(*more));
	if (!more)
		return NO_MEMORY(x->f);
	more[v->naddrs++] = *a;
	v->addrs = more;
	return 0;
}

static int nodes_read(struct reader *x)
{
	const cJSON *n;
	size_t count, view;
	int r = list_of(x, "nodes", WORLD_NODES_MAX, &n, &count);

	if (r)
		return r;
	x->w->st.nodes = calloc(WORLD_NODES_MAX, sizeof(*x->w->st.nodes));
	if (!x->w->st.nodes)
		return NO_MEMORY(x->f);
	for (; n && !r; n = n->next) {
		struct node_info *to = &x->w->st.nodes[x->w->st.nnodes++];
		const char *name = NULL;

		r = text_of(x, n, "name", &name);
		r = r ?: view_of(x, name, &view);
		r = r ?: addrs_of(x, n, &to->addrs, &to->naddrs);
		r = r ?: labels_of(x, n, &to->labels);
		for (size_t i = 0; !r && i < to->naddrs; i++)
			r = view_addr(x, &x->w->views[view], &to->addrs[i]);
		if (!r && !(to->name = strdup(name)))
			r = NO_MEMORY(x->f);
	}
	return r;
}

/* Host-network pods may have named a node, or an address of one, that the list of nodes left out. */
static int nodes_finish(struct reader *x)
{
	struct policy_state *st = &x->w->st;

	for (size_t i = 0; i < x->w->nviews; i++) {
		const struct world_view *v = &x->w->views[i];
		struct node_info *n = NULL;
		struct addr *all;

		for (size_t k = 0; k < st->nnodes; k++)
			if (!strcmp(st->nodes[k].name, v->node))
				n = &st->nodes[k];
		if (!v->naddrs || (n && n->naddrs == v->naddrs))
			continue;
		if (!n) {
			n = &st->nodes[st->nnodes++];
			n->name = strdup(v->node);
		}
		all = malloc(v->naddrs * sizeof(*all));
		if (!n->name || !all) {
			free(all);
			return NO_MEMORY(x->f);
		}
		memcpy(all, v->addrs, v->naddrs * sizeof(*all));
		free(n->addrs);
		n->addrs = all;
		n->naddrs = v->naddrs;
	}
	return 0;
}

/* ---- namespaces and pods ------------------------------------------------------------------------------ */

static int namespaces_read(struct reader *x)
{
	struct policy_state *st = &x->w->st;
	const cJSON *n;
	size_t count;
	int r = list_of(x, "namespaces", WORLD_PODS_MAX, &n, &count);

	if (r)
		return r;
	st->namespaces = calloc(count + 1, sizeof(*st->namespaces));
	if (!st->namespaces)
		return NO_MEMORY(x->f);
	for (; n && !r; n = n->next) {
		struct namespace *to = &st->namespaces[st->nnamespaces++];
		const char *name = NULL;

		r = text_of(x, n, "name", &name);
		r = r ?: labels_of(x, n, &to->labels);
		if (!r && !(to->name = strdup(name)))
			r = NO_MEMORY(x->f);
	}
	return r;
}

static int ports_read(struct reader *x, const cJSON *pod, struct workload *to)
{
	const cJSON *l = json_get(pod, "ports"), *p;
	int r = 0;

	if (l && !cJSON_IsNull(l) && !cJSON_IsArray(l))
		return BAD(x->f, "ports", "not a list");
	to->ports = calloc((size_t)cJSON_GetArraySize(l) + 1, sizeof(*to->ports));
	if (!to->ports)
		return NO_MEMORY(x->f);
	cJSON_ArrayForEach(p, l) {
		struct named_port *np = &to->ports[to->nports];
		const char *name = json_str(p, "name");

		if (!name || !*name)
			continue; /* rules can only ask for names */
		r = port_of(x, p, &np->port);
		r = r ?: proto_of(x, p, "protocol", &np->proto);
		if (r)
			return r;
		np->name = strdup(name);
		if (!np->name)
			return NO_MEMORY(x->f);
		to->nports++;
	}
	return 0;
}

static int workload_read(struct reader *x, const cJSON *pod, const char *ns, const char *name, const char *node,
			 struct workload *to)
{
	int r;

	to->ns = strdup(ns);
	to->name = strdup(name);
	to->node = *node ? strdup(node) : NULL;
	if (!to->ns || !to->name || (*node && !to->node))
		return NO_MEMORY(x->f);
	r = labels_of(x, pod, &to->labels);
	r = r ?: addrs_of(x, pod, &to->addrs, &to->naddrs);
	if (!r && !to->naddrs)
		r = BAD(x->f, "ips", "pod %s/%s has no address", ns, name);
	return r ?: ports_read(x, pod, to);
}

static int pod_read(struct reader *x, const cJSON *pod)
{
	struct policy_state *st = &x->w->st;
	size_t at = x->npods++, n = 0;
	const char *ns = NULL, *name = NULL, *node = json_str(pod, "node");
	auto_free struct addr *own = NULL;
	int r;

	x->pod[at] = pod;
	x->pod_wl[at] = SIZE_MAX;
	r = text_of(x, pod, "namespace", &ns);
	r = r ?: text_of(x, pod, "name", &name);
	node = node ?: x->w->nviews ? x->w->views[0].node : "";
	r = r ?: view_of(x, node, &x->pod_view[at]);
	if (r)
		return r;
	if (!json_bool(pod, "hostNetwork", false)) {
		x->w->pods[st->nworkloads].view = x->pod_view[at];
		x->pod_wl[at] = st->nworkloads;
		return workload_read(x, pod, ns, name, node, &st->workloads[st->nworkloads++]);
	}
	r = addrs_of(x, pod, &own, &n);
	for (size_t i = 0; !r && i < n; i++)
		r = view_addr(x, &x->w->views[x->pod_view[at]], &own[i]);
	return r;
}

static int pods_read(struct reader *x)
{
	const cJSON *p;
	size_t count;
	int r = list_of(x, "pods", WORLD_PODS_MAX, &p, &count);

	if (r)
		return r;
	x->pod = calloc(count + 1, sizeof(*x->pod));
	x->pod_view = calloc(count + 1, sizeof(*x->pod_view));
	x->pod_wl = calloc(count + 1, sizeof(*x->pod_wl));
	x->w->pods = calloc(count + 1, sizeof(*x->w->pods));
	x->w->st.workloads = calloc(count + 1, sizeof(*x->w->st.workloads));
	if (!x->pod || !x->pod_view || !x->pod_wl || !x->w->pods || !x->w->st.workloads)
		return NO_MEMORY(x->f);
	for (; p && !r; p = p->next)
		r = pod_read(x, p);
	return r;
}

/* ---- outside, policies ---------------------------------------------------------------------------------- */

static int outside_read(struct reader *x)
{
	const cJSON *e, *d;
	size_t count;
	int r = list_of(x, "externals", WORLD_OUTSIDE_MAX, &e, &count);

	if (r)
		return r;
	x->w->outside = calloc(count + 1, sizeof(*x->w->outside));
	if (!x->w->outside)
		return NO_MEMORY(x->f);
	for (; e; e = e->next) {
		struct world_outside *to = &x->w->outside[x->w->noutside++];
		const char *ip = NULL;

		r = text_of(x, e, "name", &to->name);
		r = r ?: text_of(x, e, "ip", &ip);
		if (!r && addr_parse(ip, &to->addr))
			r = BAD(x->f, "ip", "not an address: \"%s\"", ip);
		if (r)
			return r;
		cJSON_ArrayForEach(d, json_get(e, "domains")) {
			if (!cJSON_IsString(d) || to->ndomains == WORLD_NAMES_MAX)
				return BAD(x->f, "domains", "not names, or more than %u", WORLD_NAMES_MAX);
			to->domains[to->ndomains++] = d->valuestring;
		}
	}
	return 0;
}

static int policies_read(struct reader *x)
{
	struct policy_state *st = &x->w->st;
	const cJSON *p;
	size_t count;
	int r = list_of(x, "policies", WORLD_POLICIES_MAX, &p, &count);

	if (r)
		return r;
	st->kpolicies = calloc(count + 1, sizeof(*st->kpolicies));
	if (!st->kpolicies)
		return NO_MEMORY(x->f);
	for (; p && !r; p = p->next) {
		r = kpolicy_parse(p, "policies", x->f, &st->kpolicies[st->nkpolicies]);
		if (r == -ENOMEM)
			return NO_MEMORY(x->f);
		if (!r) {
			st->nkpolicies++;
			st->kpolicies[st->nkpolicies - 1].id = (uint32_t)st->nkpolicies;
		}
	}
	return r;
}

/* Every network that has a pod or a node belongs to the cluster; what is outside does not. */
static int cidrs_put(struct reader *x)
{
	struct { struct prefix *v; size_t n, cap; } c = {};
	struct world *w = x->w;
	int r = 0;

	for (size_t i = 0; i < w->st.nworkloads + w->nviews && !r; i++) {
		bool pod = i < w->st.nworkloads;
		const struct workload *l = pod ? &w->st.workloads[i] : NULL;
		const struct world_view *v = pod ? NULL : &w->views[i - w->st.nworkloads];
		size_t n = pod ? l->naddrs : v->naddrs;

		for (size_t k = 0; k < n && !r; k++) {
			const struct addr *a = pod ? &l->addrs[k] : &v->addrs[k];
			bool v4 = addr_is_v4(a), known = false;
			struct prefix p = { .addr = *a, .plen = v4 ? 24 : 64, .v6 = !v4 };

			memset(p.addr.b + (v4 ? 15 : 8), 0, v4 ? 1 : 8);
			for (size_t o = 0; o < w->noutside; o++)
				if (prefix_has(&p, &w->outside[o].addr))
					p = (struct prefix){ .addr = *a, .plen = v4 ? 32 : 128, .v6 = !v4 };
			for (size_t j = 0; j < c.n; j++)
				known |= !prefix_cmp(&c.v[j], &p);
			if (!known && vec_push(&c, p))
				r = NO_MEMORY(x->f);
		}
	}
	w->st.cluster_cidrs = c.v;
	w->st.ncluster_cidrs = c.n;
	return r;
}

/* ---- rows ------------------------------------------------------------------------------------------------- */

struct addr_list { const struct addr *v; size_t n; };

static int end_read(struct reader *x, const char *s, struct world_end *e, struct addr_list *ret)
{
	struct world *w = x->w;

	if (!strncmp(s, "ext:", 4)) {
		for (size_t i = 0; i < w->noutside; i++)
			if (!strcmp(w->outside[i].name, s + 4)) {
				*e = (struct world_end){ .kind = END_OUTSIDE, .i = i };
				*ret = (struct addr_list){ &w->outside[i].addr, 1 };
				return 0;
			}
		return BAD(x->f, "rows", "no external \"%s\"", s);
	}
	if (!strncmp(s, "node:", 5)) {
		for (size_t i = 0; i < w->nviews; i++)
			if (!strcmp(w->views[i].node, s + 5)) {
				*e = (struct world_end){ .kind = END_NODE, .i = i };
				*ret = (struct addr_list){ w->views[i].addrs, w->views[i].naddrs };
				return 0;
			}
		return BAD(x->f, "rows", "no node \"%s\"", s);
	}
	for (size_t i = 0; i < x->npods; i++) {
		const char *ns = json_str(x->pod[i], "namespace"), *name = json_str(x->pod[i], "name");
		size_t n = strlen(ns), wl = x->pod_wl[i];
		const struct world_view *v = &w->views[x->pod_view[i]];

		if (strncmp(s, ns, n) || s[n] != '/' || strcmp(s + n + 1, name))
			continue;
		if (wl == SIZE_MAX) {
			*e = (struct world_end){ .kind = END_NODE, .i = x->pod_view[i] };
			*ret = (struct addr_list){ v->addrs, v->naddrs };
		} else {
			*e = (struct world_end){ .kind = END_POD, .i = wl };
			*ret = (struct addr_list){ w->st.workloads[wl].addrs, w->st.workloads[wl].naddrs };
		}
		return 0;
	}
	return BAD(x->f, "rows", "no pod \"%s\"", s);
}

static int pick(struct reader *x, const char *who, const struct addr_list *l, bool v6, struct addr *ret)
{
	for (size_t i = 0; i < l->n; i++)
		if (addr_is_v4(&l->v[i]) == !v6) {
			*ret = l->v[i];
			return 0;
		}
	return BAD(x->f, "rows", "%s has no IPv%d address", who, v6 ? 6 : 4);
}

static int row_read(struct reader *x, const cJSON *r, struct world_row *to)
{
	const char *from = NULL, *dst = NULL, *family = json_str(r, "family");
	struct addr_list a, b;
	bool v6;
	int e;

	e = text_of(x, r, "from", &from);
	e = e ?: text_of(x, r, "to", &dst);
	e = e ?: end_read(x, from, &to->from, &a);
	e = e ?: end_read(x, dst, &to->to, &b);
	e = e ?: proto_of(x, r, "proto", &to->proto);
	e = e ?: port_of(x, r, &to->port);
	if (!e && family && strcmp(family, "IPv4") && strcmp(family, "IPv6"))
		e = BAD(x->f, "family", "not IPv4 or IPv6: \"%s\"", family);
	if (!e && !b.n)
		e = BAD(x->f, "rows", "%s has no address", dst);
	if (e)
		return e;
	v6 = family ? !strcmp(family, "IPv6") : !addr_is_v4(&b.v[0]);
	e = pick(x, from, &a, v6, &to->from.addr);
	return e ?: pick(x, dst, &b, v6, &to->to.addr);
}

static int rows_read(struct reader *x)
{
	const cJSON *r;
	size_t count;
	int e = list_of(x, "rows", WORLD_ROWS_MAX, &r, &count);

	if (e)
		return e;
	x->w->rows = calloc(count + 1, sizeof(*x->w->rows));
	if (!x->w->rows)
		return NO_MEMORY(x->f);
	for (; r && !e; r = r->next)
		e = row_read(x, r, &x->w->rows[x->w->nrows++]);
	return e;
}

/* ---- all of it ---------------------------------------------------------------------------------------------- */

int world_read(const cJSON *q, struct fail_list *f, struct world *ret)
{
	struct world w = { .st = {
		.default_mode = CW_MODE_ENFORCE, .default_action = CW_ACT_ALLOW,
		.local_node = CW_CTL_LOCAL_NODE_ALLOW, .generation = 1,
	} };
	struct reader x = { .q = q, .f = f, .w = &w };
	int r;

	r = nodes_read(&x);
	r = r ?: namespaces_read(&x);
	r = r ?: pods_read(&x);
	r = r ?: nodes_finish(&x);
	r = r ?: outside_read(&x);
	r = r ?: policies_read(&x);
	r = r ?: cidrs_put(&x);
	r = r ?: rows_read(&x);
	/* Also a cluster of no pod has someone who looks at it. */
	if (!r && !w.nviews)
		w.views[w.nviews++].node = "";
	free(x.pod);
	free(x.pod_view);
	free(x.pod_wl);
	if (r) {
		world_done(&w);
		return r;
	}
	*ret = w;
	return 0;
}

void world_done(struct world *w)
{
	policy_state_done(&w->st);
	for (size_t i = 0; i < w->nviews; i++)
		free(w->views[i].addrs);
	free(w->pods);
	free(w->outside);
	free(w->rows);
	*w = (struct world){};
}

const struct world_outside *world_outside_of(const struct world *w, const struct world_end *e)
{
	return e->kind == END_OUTSIDE ? &w->outside[e->i] : NULL;
}
