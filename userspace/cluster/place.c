/* SPDX-License-Identifier: Apache-2.0 */
/* place.c - where workloads are: Namespaces and Nodes; and which addresses a cluster seems to have. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"
#include "base/vec.h"
#include "cluster/priv.h"

#define LABEL_NAME "kubernetes.io/metadata.name"
#define SERVICE_PLEN4 12u /* the widest service range that servers take */
#define SERVICE_PLEN6 108u

/* ---- namespaces -------------------------------------------------------------------------- */

static void ns_free(struct cluster *c, void *body)
{
	struct ns_body *b = body;

	(void)c;
	namespace_done(&b->n);
	free(b->manager);
	free(b);
}

static void *ns_read(struct rd *r, const struct meta *m, const cJSON *obj)
{
	const char *mode, *manager = meta_manager(m, LABEL_MODE);
	struct ns_body *b = calloc(1, sizeof(*b));

	(void)obj;
	if (!b || !(b->n.name = strdup(m->name))) {
		free(b);
		rd_nomem(r);
		return NULL;
	}
	rd_labels(r, m->o, &b->n.labels);
	/* Servers before 1.21 do not add it, and let it be written: it must not make one namespace another. */
	if (labels_set(&b->n.labels, LABEL_NAME, m->name) < 0)
		rd_nomem(r);
	if (r->d.faults) {
		ns_free(r->c, b);
		return NULL;
	}
	mode = rd_mode(r, m->o);
	b->has_mode = mode && cw_mode_parse(mode, &b->mode) == 0;
	b->confirm_ms = meta_confirm(r, m);
	b->manager = manager ? strdup(manager) : NULL;
	if (manager && !b->manager)
		rd_nomem(r);
	return b;
}

static void nothing(struct cluster *c, struct obj *o)
{
	(void)c;
	(void)o;
}

const struct kind_ops namespace_ops = { .read = ns_read, .free = ns_free, .link = nothing, .unlink = nothing };

/* ---- nodes ------------------------------------------------------------------------------- */

static void node_free(struct cluster *c, void *body)
{
	struct node_body *b = body;

	(void)c;
	free(b->n.name);
	labels_done(&b->n.labels);
	free(b->n.addrs);
	free(b->cidrs);
	free(b);
}

static void add_addr(struct node_body *b, const struct addr *a)
{
	for (size_t i = 0; i < b->n.naddrs; i++)
		if (addr_cmp(&b->n.addrs[i], a) == 0)
			return;
	b->n.addrs[b->n.naddrs++] = *a;
}

/* Where network plugins write the addresses of their tunnels; with or without a prefix length. */
static const char *const plugin_annotations[] = {
	"projectcalico.org/IPv4Address", "projectcalico.org/IPv6Address", "projectcalico.org/IPv4IPIPTunnelAddr",
	"projectcalico.org/IPv4VXLANTunnelAddr", "projectcalico.org/IPv6VXLANTunnelAddr",
	"projectcalico.org/IPv4WireguardInterfaceAddr", "projectcalico.org/IPv6WireguardInterfaceAddr",
	"network.cilium.io/ipv4-cilium-host", "network.cilium.io/ipv6-cilium-host",
	"io.cilium.network.ipv4-cilium-host", "io.cilium.network.ipv6-cilium-host",
	"flannel.alpha.coreos.com/public-ip", "flannel.alpha.coreos.com/public-ipv6",
};

/* They are no part of the API: what cannot be read is passed over. */
static void read_annotations(const struct meta *m, struct node_body *b)
{
	const cJSON *all = json_get(m->o, "annotations");

	for (size_t i = 0; i < ARRAY_SIZE(plugin_annotations); i++) {
		const char *s = json_str(all, plugin_annotations[i]);
		size_t n = s ? strcspn(s, "/") : 0;
		char text[ADDR_STR_MAX];
		struct addr a;

		if (!n || n >= sizeof(text))
			continue;
		memcpy(text, s, n);
		text[n] = '\0';
		if (addr_parse(text, &a) == 0 && !addr_is_zero(&a))
			add_addr(b, &a);
	}
}

static void read_node_addrs(struct rd *r, const struct meta *m, const cJSON *status, struct node_body *b)
{
	size_t mark = doc_enter(&r->d, "status"), i = 0, item;
	const cJSON *list = rd_list(r, status, "addresses", CLUSTER_ADDRS_MAX), *v;
	struct addr a;

	b->n.addrs = calloc((size_t)(list ? cJSON_GetArraySize(list) : 0) + ARRAY_SIZE(plugin_annotations), sizeof(a));
	if (!b->n.addrs) {
		rd_nomem(r);
		list = NULL;
	}
	doc_enter(&r->d, "addresses");
	cJSON_ArrayForEach(v, list) {
		const char *type;

		item = doc_enter_index(&r->d, i++);
		type = rd_text(r, v, "type", VALUE_MAX_BYTES);
		doc_enter(&r->d, "address");
		/* Host names and DNS names are of no use to a packet. */
		if (type && (strcmp(type, "InternalIP") == 0 || strcmp(type, "ExternalIP") == 0) &&
		    rd_addr(r, json_get(v, "address"), &a))
			add_addr(b, &a);
		doc_leave(&r->d, item);
	}
	doc_leave(&r->d, mark);
	if (b->n.addrs)
		read_annotations(m, b);
}

static void read_cidrs(struct rd *r, const cJSON *spec, struct node_body *b)
{
	size_t mark = doc_enter(&r->d, "spec"), i = 0, item;
	const cJSON *list = rd_list(r, spec, "podCIDRs", CLUSTER_CIDRS_MAX), *v, *one = json_get(spec, "podCIDR");
	struct prefix p;

	b->cidrs = calloc((size_t)(list ? cJSON_GetArraySize(list) : 0) + 1, sizeof(*b->cidrs));
	if (!b->cidrs) {
		rd_nomem(r);
		doc_leave(&r->d, mark);
		return;
	}
	doc_enter(&r->d, "podCIDRs");
	cJSON_ArrayForEach(v, list) {
		item = doc_enter_index(&r->d, i++);
		if (cJSON_IsString(v) && prefix_parse(v->valuestring, &p) == 0)
			b->cidrs[b->ncidrs++] = p;
		else
			rd_fault(r, v, "cidr", "a prefix such as 10.20.1.0/24", "this is no prefix");
		doc_leave(&r->d, item);
	}
	doc_leave(&r->d, mark);
	if (i || !cJSON_IsString(one) || !*one->valuestring)
		return;
	mark = doc_enter(&r->d, "spec.podCIDR");
	if (prefix_parse(one->valuestring, &p) == 0)
		b->cidrs[b->ncidrs++] = p;
	else
		rd_fault(r, one, "cidr", "a prefix such as 10.20.1.0/24", "this is no prefix");
	doc_leave(&r->d, mark);
}

static void *node_read(struct rd *r, const struct meta *m, const cJSON *obj)
{
	struct node_body *b = calloc(1, sizeof(*b));

	if (!b || !(b->n.name = strdup(m->name))) {
		free(b);
		rd_nomem(r);
		return NULL;
	}
	rd_labels(r, m->o, &b->n.labels);
	read_cidrs(r, rd_object(r, obj, "spec"), b);
	read_node_addrs(r, m, rd_object(r, obj, "status"), b);
	if (r->d.faults || r->nomem) {
		node_free(r->c, b);
		return NULL;
	}
	return b;
}

const struct kind_ops node_ops = { .read = node_read, .free = node_free, .link = nothing, .unlink = nothing };

int place_digest(struct cluster *c, const struct obj *o, uint64_t *ret)
{
	if (o->kind == CLUSTER_NAMESPACE) {
		const struct ns_body *b = o->body;
		const uint32_t mode = (uint32_t)b->has_mode << 8 | (uint32_t)b->mode;

		digest_labels(c, b->n.labels.v, b->n.labels.n);
		digest_bytes(c, &mode, sizeof(mode));
		digest_bytes(c, &b->confirm_ms, sizeof(b->confirm_ms));
	} else {
		const struct node_body *b = o->body;

		digest_labels(c, b->n.labels.v, b->n.labels.n);
		digest_bytes(c, b->n.addrs, b->n.naddrs * sizeof(*b->n.addrs));
		for (size_t i = 0; i < b->ncidrs; i++) {
			digest_bytes(c, b->cidrs[i].addr.b, sizeof(b->cidrs[i].addr.b));
			digest_bytes(c, &b->cidrs[i].plen, 1);
		}
	}
	return digest_done(c, ret);
}

/* ---- clusterCIDRs ------------------------------------------------------------------------ */

struct prefixes { struct prefix *v; size_t n, cap; };

static bool bit(const struct addr *a, unsigned i)
{
	return a->b[i / 8] >> (7 - i % 8) & 1;
}

static void cut(struct prefix *p, unsigned plen)
{
	unsigned from = (p->v6 ? 0 : 96) + plen;

	for (unsigned i = from; i < 128; i++)
		p->addr.b[i / 8] &= (uint8_t)~(1u << (7 - i % 8));
	p->plen = (uint8_t)plen;
}

static int cmp(const void *a, const void *b)
{
	return prefix_cmp(a, b);
}

/* Two halves of one prefix become that; what is in another one goes. */
static void join(struct prefixes *l)
{
	bool again = l->n > 1;

	while (again) {
		size_t n = 0;

		again = false;
		qsort(l->v, l->n, sizeof(*l->v), cmp);
		for (size_t i = 0; i < l->n; i++) {
			struct prefix wide = l->v[i], *last = n ? &l->v[n - 1] : NULL;

			if (last && prefix_covers(last, &l->v[i]))
				continue;
			if (last && last->v6 == wide.v6 && last->plen == wide.plen && wide.plen) {
				cut(&wide, wide.plen - 1u);
				if (prefix_covers(&wide, last) && prefix_covers(&wide, &l->v[i])) {
					*last = wide;
					again = true;
					continue;
				}
			}
			l->v[n++] = l->v[i];
		}
		l->n = n;
	}
}

/* Widens *p until it holds a. */
static void widen(struct prefix *p, const struct addr *a, bool first)
{
	unsigned off, same = 0;

	p->v6 = !addr_is_v4(a);
	off = p->v6 ? 0 : 96;
	if (first) {
		p->addr = *a;
		p->plen = p->v6 ? 128 : 32;
		return;
	}
	while (same < p->plen && bit(&p->addr, off + same) == bit(a, off + same))
		same++;
	cut(p, same);
}

static int add_services(const struct cluster *c, struct prefixes *l)
{
	struct prefix all[2] = {};
	bool any[2] = {}, held;
	struct obj *o = NULL;
	size_t it = 0;
	int r = 0;

	while (table_next(&c->objs[CLUSTER_SERVICE], &it, &o)) {
		const struct svc_body *b = o->body;

		for (size_t i = 0; b && i < b->ncluster; i++) {
			const struct addr *a = &b->s.addrs[i];
			int f = !addr_is_v4(a);

			held = false;
			for (size_t k = 0; k < l->n && !held; k++)
				held = prefix_has(&l->v[k], a);
			if (held)
				continue;
			widen(&all[f], a, !any[f]);
			any[f] = true;
		}
	}
	for (int f = 0; f < 2 && !r; f++)
		if (any[f] && all[f].plen >= (f ? SERVICE_PLEN6 : SERVICE_PLEN4))
			r = vec_push(l, all[f]);
	return r;
}

int cluster_cidrs(const struct cluster *c, struct prefix **ret, size_t *ret_n)
{
	struct prefixes l = {};
	struct obj *o = NULL;
	size_t it = 0;
	int r = 0;

	while (!r && table_next(&c->objs[CLUSTER_NODE], &it, &o)) {
		const struct node_body *b = o->body;

		for (size_t i = 0; b && i < b->ncidrs && !r; i++)
			r = vec_push(&l, b->cidrs[i]);
	}
	join(&l);
	r = r ?: add_services(c, &l);
	join(&l);
	if (r) {
		vec_done(&l);
		return r;
	}
	*ret = l.v;
	*ret_n = l.n;
	return 0;
}
