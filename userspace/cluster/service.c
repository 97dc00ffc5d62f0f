/* SPDX-License-Identifier: Apache-2.0 */
/* service.c - Services, and what stands behind them by their slices. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/strparse.h"
#include "cluster/priv.h"

/* ---- reading ----------------------------------------------------------------------------- */

static void service_free(struct cluster *c, void *body)
{
	struct svc_body *b = body;

	service_done(&b->s);
	if (b->group)
		group_put(c, b->group);
	free(b);
}

static int dup_into(struct rd *r, char **to, const char *s)
{
	*to = s ? strdup(s) : NULL;
	if (s && !*to)
		rd_nomem(r);
	return s && !*to ? -ENOMEM : 0;
}

static void read_target(struct rd *r, const cJSON *v, struct service_port *p)
{
	const cJSON *target = json_get(v, "targetPort");
	int64_t n = 0;

	if (cJSON_IsString(target)) {
		const char *s = rd_word(r, v, "targetPort", is_port_name, "a port, or the name of one");

		(void)dup_into(r, &p->target_name, s);
	} else if (rd_int(r, v, "targetPort", 0, 65535, &n)) {
		p->target = (uint16_t)n; /* 0 or absent: the same as port */
	}
}

static void read_ports(struct rd *r, const cJSON *spec, struct service *s)
{
	const cJSON *list = rd_list(r, spec, "ports", CLUSTER_PORTS_MAX), *v;
	const char *type = json_str(spec, "type");
	bool by_node = type && (strcmp(type, "NodePort") == 0 || strcmp(type, "LoadBalancer") == 0);
	size_t mark = doc_enter(&r->d, "ports"), i = 0, item;

	s->ports = list ? calloc((size_t)cJSON_GetArraySize(list) + 1, sizeof(*s->ports)) : NULL;
	if (list && !s->ports) {
		rd_nomem(r);
		list = NULL;
	}
	cJSON_ArrayForEach(v, list) {
		struct service_port *p = &s->ports[s->nports++];
		int64_t n = 0;

		item = doc_enter_index(&r->d, i++);
		(void)dup_into(r, &p->name, rd_word(r, v, "name", is_dns_label, "the name of a port"));
		p->proto = rd_proto(r, v, "protocol");
		if (rd_int(r, v, "port", 1, 65535, &n))
			p->port = (uint16_t)n;
		else if (!json_get(v, "port"))
			rd_fault(r, NULL, "missing-field", "port: ...", "the field \"port\" is missing");
		n = 0;
		if (rd_int(r, v, "nodePort", 0, 65535, &n) && by_node)
			p->node_port = (uint16_t)n;
		read_target(r, v, p);
		for (size_t k = 0; k + 1 < s->nports; k++)
			if (p->port && s->ports[k].port == p->port && s->ports[k].proto == p->proto)
				rd_fault(r, v, "duplicate", "each port once", "port %u is given twice", p->port);
		doc_leave(&r->d, item);
	}
	doc_leave(&r->d, mark);
}

static void add_addr(struct rd *r, const cJSON *v, struct service *s)
{
	struct addr a;

	if (!rd_addr(r, v, &a))
		return;
	for (size_t i = 0; i < s->naddrs; i++)
		if (addr_cmp(&s->addrs[i], &a) == 0)
			return;
	s->addrs[s->naddrs++] = a;
}

static void add_addrs(struct rd *r, const cJSON *list, const char *field, struct service *s)
{
	const cJSON *v;
	size_t i = 0, mark;

	cJSON_ArrayForEach(v, list) {
		const char *text = cJSON_GetStringValue(v);

		mark = doc_enter(&r->d, field);
		doc_enter_index(&r->d, i++);
		if (!text || (*text && strcmp(text, "None") != 0)) /* headless, or not allocated yet */
			add_addr(r, v, s);
		doc_leave(&r->d, mark);
	}
}

/* A balancer that wants to see the packets itself (ipMode Proxy) is an address outside. */
static void add_ingress(struct rd *r, const cJSON *list, struct service *s)
{
	const cJSON *v;
	size_t i = 0, mark;

	cJSON_ArrayForEach(v, list) {
		const char *mode = json_str(v, "ipMode");
		const cJSON *ip = json_get(v, "ip");

		mark = doc_enter(&r->d, "status.loadBalancer.ingress");
		doc_enter_index(&r->d, i++);
		if (ip && !(cJSON_IsString(ip) && !*ip->valuestring) && (!mode || strcmp(mode, "Proxy") != 0))
			add_addr(r, ip, s);
		doc_leave(&r->d, mark);
	}
}

static size_t count(const cJSON *list)
{
	return list ? (size_t)cJSON_GetArraySize(list) : 0;
}

static void read_addrs(struct rd *r, const cJSON *spec, const cJSON *status, struct svc_body *b)
{
	size_t mark = doc_enter(&r->d, "spec"), room;
	const cJSON *cluster = rd_list(r, spec, "clusterIPs", CLUSTER_ADDRS_MAX);
	const cJSON *external = rd_list(r, spec, "externalIPs", CLUSTER_ADDRS_MAX), *one = json_get(spec, "clusterIP");
	const cJSON *ingress;
	struct service *s = &b->s;

	doc_leave(&r->d, mark);
	mark = doc_enter(&r->d, "status.loadBalancer");
	ingress = rd_list(r, json_get(status, "loadBalancer"), "ingress", CLUSTER_ADDRS_MAX);
	doc_leave(&r->d, mark);
	room = count(cluster) + count(external) + count(ingress) + 1;
	s->addrs = calloc(room, sizeof(*s->addrs));
	if (!s->addrs) {
		rd_nomem(r);
		return;
	}
	add_addrs(r, cluster, "spec.clusterIPs", s);
	if (!count(cluster) && cJSON_IsString(one) && *one->valuestring && strcmp(one->valuestring, "None") != 0) {
		mark = doc_enter(&r->d, "spec.clusterIP"); /* servers of before dual stack */
		add_addr(r, one, s);
		doc_leave(&r->d, mark);
	}
	b->ncluster = s->naddrs;
	add_addrs(r, external, "spec.externalIPs", s);
	add_ingress(r, ingress, s);
}

static void *service_read(struct rd *r, const struct meta *m, const cJSON *obj)
{
	const cJSON *spec = rd_object(r, obj, "spec"), *status = rd_object(r, obj, "status");
	const char *type = json_str(spec, "type");
	struct svc_body *b = calloc(1, sizeof(*b));
	size_t mark;

	if (!b) {
		rd_nomem(r);
		return NULL;
	}
	b->external_name = type && strcmp(type, "ExternalName") == 0;
	if (!dup_into(r, &b->s.ns, m->ns) && !dup_into(r, &b->s.name, m->name))
		rd_labels(r, m->o, &b->s.labels);
	if (!b->external_name) {
		mark = doc_enter(&r->d, "spec");
		read_ports(r, spec, &b->s);
		doc_leave(&r->d, mark);
		read_addrs(r, spec, status, b);
	}
	if (!r->d.faults)
		b->group = group_get(r, m->ns, m->name);
	if (r->d.faults || r->nomem) {
		service_free(r->c, b);
		return NULL;
	}
	if (b->external_name) {
		mark = doc_enter(&r->d, "spec.type");
		rd_fault(r, json_get(spec, "type"), "external-name", "a rule with fqdn for what it names",
			 "the service is a DNS name for an address outside; it has none of its own");
		doc_leave(&r->d, mark);
	}
	return b;
}

static void service_link(struct cluster *c, struct obj *o)
{
	struct svc_body *b = o->body;

	(void)c;
	b->group->svc = o;
}

static void service_unlink(struct cluster *c, struct obj *o)
{
	struct svc_body *b = o->body;

	(void)c;
	if (b->group->svc == o)
		b->group->svc = NULL;
}

const struct kind_ops service_ops = {
	.read = service_read, .free = service_free, .link = service_link, .unlink = service_unlink,
};

/* ---- what stands behind ------------------------------------------------------------------ */

/* Where an endpoint of this slice listens for a port of the service; 0: it does not. */
static uint16_t listens(const struct slice *sl, const struct service_port *p)
{
	for (size_t i = 0; i < sl->nports; i++) {
		const struct slice_port *q = &sl->ports[i];

		if (q->proto != p->proto || strcmp(q->name ? q->name : "", p->name ? p->name : "") != 0)
			continue;
		return q->port ? q->port : p->target ? p->target : p->port;
	}
	return 0;
}

struct end { struct service_backend b; size_t nports; };

static int ports_cmp(const struct end *a, const struct end *b)
{
	for (size_t i = 0; i < a->nports; i++)
		if (a->b.ports[i] != b->b.ports[i])
			return (int)a->b.ports[i] - (int)b->b.ports[i];
	return 0;
}

static int end_cmp(const void *pa, const void *pb)
{
	const struct end *a = pa, *b = pb;
	int r = addr_cmp(&a->b.addr, &b->b.addr);

	if (!r)
		r = strcmp(a->b.pod ? a->b.pod : "", b->b.pod ? b->b.pod : "");
	if (!r)
		r = ports_cmp(a, b);
	return r ? r : (int)b->b.ready - (int)a->b.ready; /* ready first */
}

static bool same_end(const struct end *a, const struct end *b)
{
	return addr_cmp(&a->b.addr, &b->b.addr) == 0 && strcmp(a->b.pod ? a->b.pod : "", b->b.pod ? b->b.pod : "") == 0;
}

/* Can both be told as one: no port that they serve differently? */
static bool fits(const struct end *a, const struct end *b)
{
	if (a->b.ready != b->b.ready)
		return ports_cmp(a, b) == 0;
	for (size_t i = 0; i < a->nports; i++)
		if (a->b.ports[i] && b->b.ports[i] && a->b.ports[i] != b->b.ports[i])
			return false;
	return true;
}

/*
 * An endpoint that is in several slices is one: it may be on its way from one to the other, or have
 * ports of its own in each.
 */
static size_t merge(struct end *v, size_t n)
{
	size_t kept = 0;

	qsort(v, n, sizeof(*v), end_cmp);
	for (size_t i = 0; i < n; i++) {
		struct end *same = NULL;

		for (size_t k = kept; k && !same && same_end(&v[k - 1], &v[i]); k--)
			same = fits(&v[k - 1], &v[i]) ? &v[k - 1] : NULL;
		if (!same) {
			struct end moved = v[i];

			v[i] = v[kept];
			v[kept++] = moved;
			continue;
		}
		same->b.ready |= v[i].b.ready;
		for (size_t p = 0; p < v[i].nports; p++)
			if (v[i].b.ports[p])
				same->b.ports[p] = v[i].b.ports[p];
	}
	return kept;
}

static int ends_of(const struct svc_body *b, const struct slice *sl, bool drain, struct end *v, size_t *n)
{
	for (size_t i = 0; i < sl->nends; i++) {
		const struct slice_end *e = &sl->ends[i];
		struct end *to = &v[*n];
		bool serves = !b->s.nports; /* headless without ports: members are all that it tells */

		if (*n >= CLUSTER_BACKENDS_MAX)
			return 0;
		to->nports = b->s.nports;
		to->b = (struct service_backend){
			.addr = e->addr, .pod = (char *)e->pod,
			.ready = e->ready || (drain && e->serving && e->terminating),
			.ports = calloc(b->s.nports + 1, sizeof(uint16_t)),
		};
		if (!to->b.ports)
			return -ENOMEM;
		(*n)++;
		for (size_t p = 0; p < b->s.nports; p++) {
			to->b.ports[p] = listens(sl, &b->s.ports[p]);
			serves |= to->b.ports[p] != 0;
		}
		if (!serves) {
			(*n)--;
			free(to->b.ports);
		}
	}
	return 0;
}

int service_lend(const struct svc_body *b, struct service *ret, size_t *ret_left_out)
{
	size_t n = 0, room = 0, made, kept;
	bool any_ready[2] = {};
	struct end *v;
	int r = 0;

	for (const struct slice *sl = b->group->slices; sl; sl = sl->next) {
		room += sl->nends;
		for (size_t i = 0; i < sl->nends; i++)
			any_ready[sl->v6] |= sl->ends[i].ready;
	}
	*ret_left_out = room > CLUSTER_BACKENDS_MAX ? room - CLUSTER_BACKENDS_MAX : 0;
	room = room < CLUSTER_BACKENDS_MAX ? room : CLUSTER_BACKENDS_MAX;
	v = calloc(room + 1, sizeof(*v));
	*ret = b->s;
	ret->backends = calloc(room + 1, sizeof(*ret->backends));
	ret->nbackends = 0;
	if (!v || !ret->backends)
		r = -ENOMEM;
	/* Where nothing is ready any more, what is ending but still serves gets the traffic. */
	for (const struct slice *sl = b->group->slices; sl && !r; sl = sl->next)
		r = ends_of(b, sl, !any_ready[sl->v6], v, &n);
	made = n;
	kept = r ? 0 : merge(v, n);
	for (size_t i = 0; i < made; i++) {
		if (i < kept)
			ret->backends[ret->nbackends++] = v[i].b;
		else
			free(v[i].b.ports);
	}
	free(v);
	if (r) {
		free(ret->backends);
		ret->backends = NULL;
	}
	return r;
}

void service_lend_done(struct service *s)
{
	for (size_t i = 0; i < s->nbackends; i++)
		free(s->backends[i].ports);
	free(s->backends);
}

int service_digest(struct cluster *c, const struct service *s, uint64_t *ret)
{
	digest_labels(c, s->labels.v, s->labels.n);
	digest_bytes(c, s->addrs, s->naddrs * sizeof(*s->addrs));
	digest_bytes(c, &s->nports, sizeof(s->nports));
	for (size_t i = 0; i < s->nports; i++) {
		const struct service_port *p = &s->ports[i];
		const uint16_t n[4] = { p->proto, p->port, p->node_port, p->target };

		digest_text(c, p->name);
		digest_text(c, p->target_name);
		digest_bytes(c, n, sizeof(n));
	}
	for (size_t i = 0; i < s->nbackends; i++) {
		const struct service_backend *b = &s->backends[i];

		digest_bytes(c, b->addr.b, sizeof(b->addr.b));
		digest_text(c, b->pod);
		digest_bytes(c, &b->ready, sizeof(b->ready));
		digest_bytes(c, b->ports, s->nports * sizeof(*b->ports));
	}
	return digest_done(c, ret);
}
