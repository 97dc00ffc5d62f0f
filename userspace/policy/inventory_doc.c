/* SPDX-License-Identifier: Apache-2.0 */
/* inventory_doc.c - the spec of Inventory, and one workload as an API body. */
#include "policy/doc_priv.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"
#include "base/strparse.h"

#define NETNS_MAX 255u
#define ADDRS_MAX 256u
#define NAMED_PORTS_MAX 256u

void inventory_workload_done(struct inventory_workload *w)
{
	workload_done(&w->w);
	free(w->netns);
	*w = (struct inventory_workload){};
}

static int w_name(struct doc *d, const cJSON *v, void *ctx)
{
	return read_dns_name(d, v, &((struct inventory_workload *)ctx)->w.name);
}

static int w_namespace(struct doc *d, const cJSON *v, void *ctx)
{
	return read_dns_label(d, v, &((struct inventory_workload *)ctx)->w.ns);
}

/* A name in /run/netns, or an absolute path without "." and ".." parts. */
static bool is_netns(const char *s)
{
	size_t n = strlen(s);

	if (!n || n > NETNS_MAX)
		return false;
	for (size_t i = 0; i < n; i++)
		if ((unsigned char)s[i] <= ' ' || (unsigned char)s[i] >= 0x7f)
			return false;
	if (s[0] != '/')
		return !strchr(s, '/') && strcmp(s, ".") != 0 && strcmp(s, "..") != 0;
	while (*s) {
		size_t part = strcspn(++s, "/");

		if (!part || (part == 1 && s[0] == '.') || (part == 2 && s[0] == '.' && s[1] == '.'))
			return false;
		s += part;
	}
	return true;
}

static int w_netns(struct doc *d, const cJSON *v, void *ctx)
{
	const char *s;

	if (!doc_text(d, v, 4 * NETNS_MAX, &s))
		return 0;
	if (!is_netns(s))
		return doc_fault(d, v, "netns", "a name in /run/netns or an absolute path",
				 "this names no network namespace");
	return set_str(&((struct inventory_workload *)ctx)->netns, s);
}

static int w_uid(struct doc *d, const cJSON *v, void *ctx)
{
	return read_uid(d, v, &((struct inventory_workload *)ctx)->w.uid);
}

/* cellwall.io/mode must be a mode: a typo would silently leave the workload in a wider one. */
static void check_mode_label(struct doc *d, const cJSON *v)
{
	const cJSON *m = json_get(v, LABEL_MODE);
	enum cw_mode mode;
	size_t mark;

	if (!cJSON_IsString(m) || cw_mode_parse(m->valuestring, &mode) == 0)
		return;
	mark = doc_enter(d, LABEL_MODE);
	doc_fault(d, m, "word", "one of off, learn, alert, enforce", "unknown mode \"%.80s\"",
		  m->valuestring);
	doc_leave(d, mark);
}

static int w_labels(struct doc *d, const cJSON *v, void *ctx)
{
	struct inventory_workload *w = ctx;
	int r = read_labels(d, v, &w->w.labels);
	const char *mode;

	if (r < 0)
		return r;
	check_mode_label(d, v);
	mode = labels_get(&w->w.labels, LABEL_MODE);
	return mode ? set_str(&w->w.mode_label, mode) : 0;
}

static int c_kind(struct doc *d, const cJSON *v, void *ctx)
{
	const char **pair = ctx;

	(void)doc_text(d, v, 63, &pair[0]);
	return 0;
}

static int c_name(struct doc *d, const cJSON *v, void *ctx)
{
	const char **pair = ctx;

	(void)doc_text(d, v, DOC_NAME_MAX, &pair[1]);
	return 0;
}

static int w_controller(struct doc *d, const cJSON *v, void *ctx)
{
	static const struct doc_field fields[] = { { "kind", c_kind, true }, { "name", c_name, true } };
	struct inventory_workload *w = ctx;
	const char *pair[2] = {};
	char joined[DOC_NAME_MAX + 66];
	int r;

	if (!cJSON_IsObject(v))
		return read_controller(d, v, &w->w.controller_kind, &w->w.controller_name);
	r = doc_object(d, v, fields, ARRAY_SIZE(fields), pair);
	if (r < 0 || !pair[0] || !pair[1])
		return r;
	snprintf(joined, sizeof(joined), "%s/%s", pair[0], pair[1]);
	r = parse_controller(joined, &w->w.controller_kind, &w->w.controller_name);
	if (r == -EINVAL)
		return doc_fault(d, v, "controller", "kind such as Deployment, and the name of one",
				 "this names no controller");
	return r;
}

static int w_account(struct doc *d, const cJSON *v, void *ctx)
{
	return read_dns_name(d, v, &((struct inventory_workload *)ctx)->w.service_account);
}

/* Where it runs, for a controller of several nodes; left out: where the controller is. */
static int w_node(struct doc *d, const cJSON *v, void *ctx)
{
	return read_dns_name(d, v, &((struct inventory_workload *)ctx)->w.node);
}

/* ---- named ports ------------------------------------------------------------------------------ */

static int p_name(struct doc *d, const cJSON *v, void *ctx)
{
	return read_port_name(d, v, &((struct named_port *)ctx)->name);
}

static int p_port(struct doc *d, const cJSON *v, void *ctx)
{
	struct named_port *p = ctx;
	struct port_spec spec = {};
	bool ok;
	int r = read_port(d, v, &spec, &ok);

	if (r < 0 || !ok)
		return r;
	if (spec.kind != PORT_RANGE || spec.from != spec.to) {
		port_spec_done(&spec);
		return doc_fault(d, v, "port", "one port, such as tcp/8080", "a name stands for one port");
	}
	p->proto = spec.proto;
	p->port = spec.from;
	return 0;
}

static int ports_item(struct doc *d, const cJSON *v, void *ctx)
{
	static const struct doc_field fields[] = { { "name", p_name, true }, { "port", p_port, true } };
	struct workload *w = ctx;
	struct named_port *p = &w->ports[w->nports];
	int r;

	w->nports++; /* also after a fault: workload_done frees it */
	r = doc_object(d, v, fields, ARRAY_SIZE(fields), p);
	for (size_t i = 0; r == 0 && p->name && i + 1 < w->nports; i++)
		if (w->ports[i].name && strcmp(w->ports[i].name, p->name) == 0 && w->ports[i].proto == p->proto)
			return doc_fault(d, v, "duplicate", "each name once for a protocol",
					 "port %s is named twice", p->name);
	return r;
}

static int w_ports(struct doc *d, const cJSON *v, void *ctx)
{
	struct workload *w = &((struct inventory_workload *)ctx)->w;

	if (cJSON_IsArray(v) && !v->child)
		return 0; /* programs write empty lists */
	if (cJSON_IsArray(v) && (unsigned)cJSON_GetArraySize(v) <= NAMED_PORTS_MAX) {
		w->ports = calloc((size_t)cJSON_GetArraySize(v), sizeof(*w->ports));
		if (!w->ports)
			return -ENOMEM;
	}
	return doc_list(d, v, NAMED_PORTS_MAX, ports_item, w);
}

static int addrs_item(struct doc *d, const cJSON *v, void *ctx)
{
	struct workload *w = ctx;
	const char *s;

	if (!doc_text(d, v, 4 * ADDR_STR_MAX, &s))
		return 0;
	if (addr_parse(s, &w->addrs[w->naddrs]) < 0)
		return doc_fault(d, v, "address", "an IPv4 or IPv6 address, such as 10.20.1.9 or fd00:20::9",
				 "this is no address");
	w->naddrs++;
	return 0;
}

static int w_addrs(struct doc *d, const cJSON *v, void *ctx)
{
	struct workload *w = &((struct inventory_workload *)ctx)->w;

	if (cJSON_IsArray(v) && !v->child)
		return 0;
	if (cJSON_IsArray(v) && (unsigned)cJSON_GetArraySize(v) <= ADDRS_MAX) {
		w->addrs = calloc((size_t)cJSON_GetArraySize(v), sizeof(*w->addrs));
		if (!w->addrs)
			return -ENOMEM;
	}
	return doc_list(d, v, ADDRS_MAX, addrs_item, w);
}

static int read_workload(struct doc *d, const cJSON *v, struct inventory_workload *ret)
{
	static const struct doc_field fields[] = {
		{ "name", w_name, true },	  { "namespace", w_namespace, true },
		{ "netns", w_netns, false },	  { "uid", w_uid, false },
		{ "labels", w_labels, false },	  { "controller", w_controller, false },
		{ "serviceAccount", w_account, false }, { "ports", w_ports, false },
		{ "addresses", w_addrs, false },  { "node", w_node, false },
	};
	struct inventory_workload w = {};
	unsigned before = d->faults;
	int r = doc_object(d, v, fields, ARRAY_SIZE(fields), &w);

	if (r < 0 || d->faults != before) {
		inventory_workload_done(&w);
		return r;
	}
	*ret = w;
	return 0;
}

int inventory_workload_parse(const cJSON *obj, const char *what, struct fail_list *f,
			     struct inventory_workload *ret)
{
	struct doc d = { .file = what, .prefix = "inventory", .f = f };
	struct inventory_workload w = {};
	int r = read_workload(&d, obj, &w);

	if (r < 0)
		return r;
	if (d.faults)
		return -EINVAL;
	*ret = w;
	return 0;
}

/* ---- the spec ------------------------------------------------------------------------------------ */

static int workload_item(struct doc *d, const cJSON *v, void *ctx)
{
	const struct inventory_sink *sink = ctx;
	struct inventory_workload w = {};
	unsigned before = d->faults;
	int r = read_workload(d, v, &w);

	if (r < 0 || d->faults != before)
		return r;
	return sink->workload(sink->arg, d, v, &w);
}

static int n_name(struct doc *d, const cJSON *v, void *ctx)
{
	return read_dns_label(d, v, &((struct namespace *)ctx)->name);
}

static int n_labels(struct doc *d, const cJSON *v, void *ctx)
{
	int r = read_labels(d, v, &((struct namespace *)ctx)->labels);

	check_mode_label(d, v);
	return r;
}

static int namespace_item(struct doc *d, const cJSON *v, void *ctx)
{
	static const struct doc_field fields[] = { { "name", n_name, true }, { "labels", n_labels, false } };
	const struct inventory_sink *sink = ctx;
	struct namespace n = {};
	unsigned before = d->faults;
	int r = doc_object(d, v, fields, ARRAY_SIZE(fields), &n);

	if (r < 0 || d->faults != before) {
		namespace_done(&n);
		return r;
	}
	return sink->namespace(sink->arg, d, v, &n);
}

static int s_workloads(struct doc *d, const cJSON *v, void *ctx)
{
	if (cJSON_IsArray(v) && !v->child)
		return 0; /* an inventory may become empty */
	return doc_list(d, v, RULE_DOC_WORKLOADS_MAX, workload_item, ctx);
}

static int s_namespaces(struct doc *d, const cJSON *v, void *ctx)
{
	if (cJSON_IsArray(v) && !v->child)
		return 0;
	return doc_list(d, v, RULE_DOC_WORKLOADS_MAX, namespace_item, ctx);
}

static int service_item(struct doc *d, const cJSON *v, void *ctx)
{
	const struct inventory_sink *sink = ctx;
	struct service s = {};
	unsigned before = d->faults;
	int r = read_service(d, v, &s);

	if (r < 0 || d->faults != before)
		return r;
	return sink->service(sink->arg, d, v, &s);
}

static int s_services(struct doc *d, const cJSON *v, void *ctx)
{
	if (cJSON_IsArray(v) && !v->child)
		return 0;
	return doc_list(d, v, RULE_DOC_WORKLOADS_MAX, service_item, ctx);
}

int read_inventory_spec(struct doc *d, const cJSON *v, const struct inventory_sink *sink)
{
	static const struct doc_field fields[] = {
		{ "namespaces", s_namespaces, false }, { "workloads", s_workloads, false },
		{ "services", s_services, false },
	};

	return doc_object(d, v, fields, ARRAY_SIZE(fields), (void *)sink);
}
