/* SPDX-License-Identifier: Apache-2.0 */
/* slice.c - EndpointSlices, discovery.k8s.io/v1 and v1beta1: what both say the same way is all that is read. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/htab.h"
#include "base/strparse.h"
#include "cluster/priv.h"

#define LABEL_SERVICE "kubernetes.io/service-name"

/* ---- groups ------------------------------------------------------------------------------ */

struct group *group_get(struct rd *r, const char *ns, const char *name)
{
	struct cluster *c = r->c;
	char key[NAME_MAX_BYTES + 80];
	int n = snprintf(key, sizeof(key), "%s/%s", ns, name);
	struct group *g;

	if (n < 0 || (size_t)n >= sizeof(key)) {
		rd_nomem(r); /* both were bounded when they were read */
		return NULL;
	}
	g = htab_get(c->groups, key, (size_t)n);
	if (!g) {
		g = calloc(1, sizeof(*g));
		if (g)
			g->key = strdup(key);
		if (!g || !g->key || htab_set(c->groups, key, (size_t)n, g, NULL) < 0) {
			if (g)
				free(g->key);
			free(g);
			rd_nomem(r);
			return NULL;
		}
	}
	g->refs++;
	return g;
}

void group_put(struct cluster *c, struct group *g)
{
	if (--g->refs)
		return;
	(void)htab_del(c->groups, g->key, strlen(g->key));
	free(g->key);
	free(g);
}

/* ---- one slice --------------------------------------------------------------------------- */

static void slice_free(struct cluster *c, void *body)
{
	struct slice *s = body;

	for (size_t i = 0; i < s->nports; i++)
		pool_put(&c->pool, s->ports[i].name);
	for (size_t i = 0; i < s->nends; i++)
		pool_put(&c->pool, s->ends[i].pod);
	free(s->ports);
	free(s->ends);
	if (s->group)
		group_put(c, s->group);
	free(s);
}

static void read_ports(struct rd *r, const cJSON *obj, struct slice *s)
{
	const cJSON *list = rd_list(r, obj, "ports", CLUSTER_PORTS_MAX), *v;
	size_t mark = doc_enter(&r->d, "ports"), i = 0, item;

	s->ports = list ? calloc((size_t)cJSON_GetArraySize(list) + 1, sizeof(*s->ports)) : NULL;
	if (list && !s->ports) {
		rd_nomem(r);
		list = NULL;
	}
	cJSON_ArrayForEach(v, list) {
		const char *name;
		int64_t port = 0;
		uint8_t proto;

		item = doc_enter_index(&r->d, i++);
		name = rd_word(r, v, "name", is_dns_label, "the name of a port");
		proto = rd_proto(r, v, "protocol");
		(void)rd_int(r, v, "port", 1, 65535, &port); /* absent: any */
		s->ports[s->nports++] = (struct slice_port){ rd_pool(r, name), proto, (uint16_t)port };
		doc_leave(&r->d, item);
	}
	doc_leave(&r->d, mark);
}

static void read_end(struct rd *r, const cJSON *v, const char *ns, struct slice *s)
{
	const cJSON *addrs = rd_list(r, v, "addresses", CLUSTER_ADDRS_MAX), *conditions = rd_object(r, v, "conditions");
	const cJSON *target = rd_object(r, v, "targetRef");
	size_t mark = doc_enter(&r->d, "addresses[0]");
	struct slice_end e = { .ready = true };
	const char *kind, *pod_ns;
	bool ok;

	if (!addrs || !addrs->child) {
		if (!r->d.faults)
			rd_fault(r, NULL, "missing-field", "an address", "the endpoint has no address");
		doc_leave(&r->d, mark);
		return;
	}
	/* Further ones mean nothing: nobody sends to them. */
	ok = rd_addr(r, addrs->child, &e.addr);
	if (ok && addr_is_v4(&e.addr) == s->v6)
		rd_fault(r, addrs->child, "family", s->v6 ? "an IPv6 address" : "an IPv4 address",
			 "the address is not of the slice's addressType");
	doc_leave(&r->d, mark);
	mark = doc_enter(&r->d, "conditions");
	e.ready = rd_bool(r, conditions, "ready", true); /* unknown counts as ready */
	e.serving = rd_bool(r, conditions, "serving", e.ready);
	e.terminating = rd_bool(r, conditions, "terminating", false);
	doc_leave(&r->d, mark);
	/* Anybody who may write slices may name any pod: the compiler believes it where the pod has the address. */
	kind = json_str(target, "kind");
	pod_ns = json_str(target, "namespace");
	if (kind && strcmp(kind, "Pod") == 0 && (!pod_ns || strcmp(pod_ns, ns) == 0)) {
		mark = doc_enter(&r->d, "targetRef");
		e.pod = rd_pool(r, rd_word(r, target, "name", is_dns_name, "the name of a pod"));
		doc_leave(&r->d, mark);
	}
	s->ends[s->nends++] = e;
}

static void read_ends(struct rd *r, const cJSON *obj, const char *ns, struct slice *s)
{
	const cJSON *list = rd_list(r, obj, "endpoints", CLUSTER_ENDPOINTS_MAX), *v;
	size_t mark = doc_enter(&r->d, "endpoints"), i = 0, item;

	s->ends = list ? calloc((size_t)cJSON_GetArraySize(list) + 1, sizeof(*s->ends)) : NULL;
	if (list && !s->ends) {
		rd_nomem(r);
		list = NULL;
	}
	cJSON_ArrayForEach(v, list) {
		item = doc_enter_index(&r->d, i++);
		if (cJSON_IsObject(v))
			read_end(r, v, ns, s);
		else
			rd_fault(r, v, "type", "an object", "this is no endpoint");
		doc_leave(&r->d, item);
	}
	doc_leave(&r->d, mark);
}

static void *slice_read(struct rd *r, const struct meta *m, const cJSON *obj)
{
	const char *type = rd_text(r, obj, "addressType", VALUE_MAX_BYTES);
	size_t mark = doc_enter(&r->d, "metadata.labels");
	const char *service = rd_word(r, json_get(m->o, "labels"), LABEL_SERVICE, is_dns_label, "the name of a service");
	struct slice *s = calloc(1, sizeof(*s));

	doc_leave(&r->d, mark);
	if (!s) {
		rd_nomem(r);
		return NULL;
	}
	if (type && (strcmp(type, "IPv4") == 0 || strcmp(type, "IPv6") == 0)) {
		s->v6 = type[3] == '6';
		read_ports(r, obj, s);
		read_ends(r, obj, m->ns, s);
	} else if (!type || strcmp(type, "FQDN") != 0) { /* names lead nowhere that a service proxy goes */
		mark = doc_enter(&r->d, "addressType");
		if (!r->d.faults)
			rd_fault(r, json_get(obj, "addressType"), "address-type", "IPv4, IPv6 or FQDN",
				 "this is no type of address");
		doc_leave(&r->d, mark);
	}
	if (!r->d.faults && service) /* without: a slice of nobody, which is no fault */
		s->group = group_get(r, m->ns, service);
	if (r->d.faults || r->nomem) {
		slice_free(r->c, s);
		return NULL;
	}
	return s;
}

static void slice_link(struct cluster *c, struct obj *o)
{
	struct slice *s = o->body;
	struct group *g = s->group;

	if (!g)
		return;
	s->prev = NULL;
	s->next = g->slices;
	if (s->next)
		s->next->prev = s;
	g->slices = s;
	if (g->svc)
		obj_queue(c, g->svc);
}

static void slice_unlink(struct cluster *c, struct obj *o)
{
	struct slice *s = o->body;
	struct group *g = s->group;

	if (!g)
		return;
	if (s->next)
		s->next->prev = s->prev;
	if (s->prev)
		s->prev->next = s->next;
	else
		g->slices = s->next;
	s->next = s->prev = NULL;
	if (g->svc)
		obj_queue(c, g->svc);
}

const struct kind_ops slice_ops = {
	.read = slice_read, .free = slice_free, .link = slice_link, .unlink = slice_unlink,
};
