/* SPDX-License-Identifier: Apache-2.0 */
/* service_doc.c - services of an Inventory, and one as an API body. */
#include "policy/doc_priv.h"

#include <errno.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"

#define ADDRS_MAX 256u
#define PORTS_MAX 256u
#define BACKENDS_MAX 10000u

/* ---- ports ---------------------------------------------------------------------------------------- */

static int sp_name(struct doc *d, const cJSON *v, void *ctx)
{
	return read_port_name(d, v, &((struct service_port *)ctx)->name);
}

static int sp_port(struct doc *d, const cJSON *v, void *ctx)
{
	struct service_port *p = ctx;
	struct port_spec spec = {};
	bool ok;
	int r = read_port(d, v, &spec, &ok);

	if (r < 0 || !ok)
		return r;
	if (spec.kind != PORT_RANGE || spec.from != spec.to || !spec.from ||
	    (spec.proto != IPPROTO_TCP && spec.proto != IPPROTO_UDP && spec.proto != IPPROTO_SCTP)) {
		port_spec_done(&spec);
		return doc_fault(d, v, "port", "one port of tcp, udp or sctp, such as tcp/80", "a service port is one port");
	}
	p->proto = spec.proto;
	p->port = spec.from;
	return 0;
}

static int read_number(struct doc *d, const cJSON *v, uint16_t *ret)
{
	uint64_t n;

	if (doc_u64(d, v, 1, 65535, &n))
		*ret = (uint16_t)n;
	return 0;
}

static int sp_target(struct doc *d, const cJSON *v, void *ctx)
{
	struct service_port *p = ctx;

	return cJSON_IsString(v) ? read_port_name(d, v, &p->target_name) : read_number(d, v, &p->target);
}

static int sp_node_port(struct doc *d, const cJSON *v, void *ctx)
{
	return read_number(d, v, &((struct service_port *)ctx)->node_port);
}

static int ports_item(struct doc *d, const cJSON *v, void *ctx)
{
	static const struct doc_field fields[] = {
		{ "name", sp_name, false }, { "port", sp_port, true }, { "target", sp_target, false },
		{ "nodePort", sp_node_port, false },
	};
	struct service *s = ctx;
	struct service_port *p = &s->ports[s->nports];
	char text[40];
	int r;

	s->nports++; /* also after a fault: service_done frees it */
	r = doc_object(d, v, fields, ARRAY_SIZE(fields), p);
	for (size_t i = 0; r == 0 && i + 1 < s->nports; i++) {
		const struct service_port *o = &s->ports[i];

		if (p->port && o->proto == p->proto && o->port == p->port)
			return doc_fault(d, v, "duplicate", "each port once", "%s is given twice",
					 axis_str(CW_AXIS(p->proto, p->port), text));
		if (p->name && o->name && strcmp(o->name, p->name) == 0)
			return doc_fault(d, v, "duplicate", "each name once", "port %s is named twice", p->name);
	}
	return r;
}

static int s_ports(struct doc *d, const cJSON *v, void *ctx)
{
	struct service *s = ctx;

	if (cJSON_IsArray(v) && (unsigned)cJSON_GetArraySize(v) <= PORTS_MAX) {
		s->ports = calloc((size_t)cJSON_GetArraySize(v) + 1, sizeof(*s->ports));
		if (!s->ports)
			return -ENOMEM;
	}
	return doc_list(d, v, PORTS_MAX, ports_item, s);
}

/* ---- addresses and backends ------------------------------------------------------------------------- */

static bool read_addr(struct doc *d, const cJSON *v, struct addr *ret)
{
	const char *s;
	struct addr a;

	if (!doc_text(d, v, 4 * ADDR_STR_MAX, &s))
		return false;
	if (addr_parse(s, &a) < 0 || addr_is_zero(&a)) {
		doc_fault(d, v, "address", "an IPv4 or IPv6 address, such as 10.96.0.10 or fd00:96::10",
			  "this is no address");
		return false;
	}
	*ret = a;
	return true;
}

static int addrs_item(struct doc *d, const cJSON *v, void *ctx)
{
	struct service *s = ctx;

	if (!read_addr(d, v, &s->addrs[s->naddrs]))
		return 0;
	for (size_t i = 0; i < s->naddrs; i++)
		if (!addr_cmp(&s->addrs[i], &s->addrs[s->naddrs]))
			return doc_fault(d, v, "duplicate", "each address once", "the address is given twice");
	s->naddrs++;
	return 0;
}

static int s_addrs(struct doc *d, const cJSON *v, void *ctx)
{
	struct service *s = ctx;

	if (cJSON_IsArray(v) && !v->child)
		return 0; /* headless */
	if (cJSON_IsArray(v) && (unsigned)cJSON_GetArraySize(v) <= ADDRS_MAX) {
		s->addrs = calloc((size_t)cJSON_GetArraySize(v), sizeof(*s->addrs));
		if (!s->addrs)
			return -ENOMEM;
	}
	return doc_list(d, v, ADDRS_MAX, addrs_item, s);
}

static int b_addr(struct doc *d, const cJSON *v, void *ctx)
{
	(void)read_addr(d, v, &((struct service_backend *)ctx)->addr);
	return 0;
}

static int b_pod(struct doc *d, const cJSON *v, void *ctx)
{
	return read_dns_name(d, v, &((struct service_backend *)ctx)->pod);
}

static int b_ready(struct doc *d, const cJSON *v, void *ctx)
{
	(void)doc_bool(d, v, &((struct service_backend *)ctx)->ready);
	return 0;
}

static int backends_item(struct doc *d, const cJSON *v, void *ctx)
{
	static const struct doc_field fields[] = {
		{ "address", b_addr, true }, { "pod", b_pod, false }, { "ready", b_ready, false },
	};
	struct service *s = ctx;
	struct service_backend *b = &s->backends[s->nbackends++];

	b->ready = true;
	return doc_object(d, v, fields, ARRAY_SIZE(fields), b);
}

static int s_backends(struct doc *d, const cJSON *v, void *ctx)
{
	struct service *s = ctx;

	if (cJSON_IsArray(v) && !v->child)
		return 0; /* none now */
	if (cJSON_IsArray(v) && (unsigned)cJSON_GetArraySize(v) <= BACKENDS_MAX) {
		s->backends = calloc((size_t)cJSON_GetArraySize(v), sizeof(*s->backends));
		if (!s->backends)
			return -ENOMEM;
	}
	return doc_list(d, v, BACKENDS_MAX, backends_item, s);
}

/* ---- one service ---------------------------------------------------------------------------------------- */

static int s_name(struct doc *d, const cJSON *v, void *ctx)
{
	return read_dns_label(d, v, &((struct service *)ctx)->name);
}

static int s_namespace(struct doc *d, const cJSON *v, void *ctx)
{
	return read_dns_label(d, v, &((struct service *)ctx)->ns);
}

static int s_labels(struct doc *d, const cJSON *v, void *ctx)
{
	return read_labels(d, v, &((struct service *)ctx)->labels);
}

static int s_selector(struct doc *d, const cJSON *v, void *ctx)
{
	struct service *s = ctx;

	if (cJSON_IsObject(v) && !v->child)
		return doc_fault(d, v, "empty-selector", "at least one label, or no selector and backends",
				 "an empty selector selects nothing");
	s->selector.set = true;
	return read_labels(d, v, &s->selector.match);
}

int read_service(struct doc *d, const cJSON *v, struct service *ret)
{
	static const struct doc_field fields[] = {
		{ "name", s_name, true },	    { "namespace", s_namespace, true },
		{ "labels", s_labels, false },	    { "addresses", s_addrs, false },
		{ "ports", s_ports, true },	    { "selector", s_selector, false },
		{ "backends", s_backends, false },
	};
	struct service s = {};
	unsigned before = d->faults;
	int r = doc_object(d, v, fields, ARRAY_SIZE(fields), &s);

	if (!r && d->faults == before && s.selector.set && s.nbackends)
		r = doc_fault(d, v, "two-kinds", "selector or backends", "backends that a selector finds are not listed");
	if (!r && d->faults == before && s.nports > 1)
		for (size_t i = 0; i < s.nports && d->faults == before; i++)
			if (!s.ports[i].name)
				doc_fault(d, v, "port-name", "a name for each port of a service with several",
					  "a port has no name");
	if (r < 0 || d->faults != before) {
		service_done(&s);
		return r;
	}
	*ret = s;
	return 0;
}

int service_parse(const cJSON *obj, const char *what, struct fail_list *f, struct service *ret)
{
	struct doc d = { .file = what, .prefix = "inventory", .f = f };
	struct service s = {};
	int r = read_service(&d, obj, &s);

	if (r < 0)
		return r;
	if (d.faults)
		return -EINVAL;
	*ret = s;
	return 0;
}

/* ---- and back ------------------------------------------------------------------------------------------- */

static bool add_labels(cJSON *to, const char *key, const struct labels *l)
{
	cJSON *m = cJSON_AddObjectToObject(to, key);
	bool ok = m;

	for (size_t i = 0; ok && i < l->n; i++)
		ok = cJSON_AddStringToObject(m, l->v[i].key, l->v[i].value);
	return ok;
}

static bool add_ports(cJSON *to, const struct service *s)
{
	cJSON *list = cJSON_AddArrayToObject(to, "ports");
	char text[40];
	bool ok = list;

	for (size_t i = 0; ok && i < s->nports; i++) {
		const struct service_port *p = &s->ports[i];
		cJSON *m = cJSON_CreateObject();

		ok = m && cJSON_AddItemToArray(list, m) && (!p->name || !*p->name || cJSON_AddStringToObject(m, "name", p->name)) &&
		     cJSON_AddStringToObject(m, "port", axis_str(CW_AXIS(p->proto, p->port), text)) &&
		     (!p->target || cJSON_AddNumberToObject(m, "target", p->target)) &&
		     (!p->target_name || !*p->target_name || cJSON_AddStringToObject(m, "target", p->target_name)) &&
		     (!p->node_port || cJSON_AddNumberToObject(m, "nodePort", p->node_port));
	}
	return ok;
}

static bool add_backends(cJSON *to, const struct service *s)
{
	cJSON *list = cJSON_AddArrayToObject(to, "backends");
	char text[ADDR_STR_MAX];
	bool ok = list;

	for (size_t i = 0; ok && i < s->nbackends; i++) {
		const struct service_backend *b = &s->backends[i];
		cJSON *m = cJSON_CreateObject();

		ok = m && cJSON_AddItemToArray(list, m) && cJSON_AddStringToObject(m, "address", addr_str(&b->addr, text)) &&
		     (!b->pod || cJSON_AddStringToObject(m, "pod", b->pod)) &&
		     (b->ready || cJSON_AddFalseToObject(m, "ready"));
	}
	return ok;
}

cJSON *service_to_json(const struct service *s)
{
	cJSON *o = cJSON_CreateObject(), *list;
	char text[ADDR_STR_MAX];
	bool ok = o && cJSON_AddStringToObject(o, "name", s->name ? s->name : "") &&
		  cJSON_AddStringToObject(o, "namespace", s->ns ? s->ns : "") &&
		  (!s->labels.n || add_labels(o, "labels", &s->labels));

	if (ok && s->naddrs) {
		list = cJSON_AddArrayToObject(o, "addresses");
		ok = list;
		for (size_t i = 0; ok && i < s->naddrs; i++)
			ok = cJSON_AddItemToArray(list, cJSON_CreateString(addr_str(&s->addrs[i], text)));
	}
	ok = ok && add_ports(o, s) && (!s->selector.set || add_labels(o, "selector", &s->selector.match)) &&
	     (!s->nbackends || add_backends(o, s));
	if (ok)
		return o;
	cJSON_Delete(o);
	return NULL;
}
