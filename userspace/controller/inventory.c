/* SPDX-License-Identifier: Apache-2.0 */
/* inventory.c - declared workloads: put, remove, attach. The watched file is inventory_file.c. */
#include "controller/inventory.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "base/cleanup.h"
#include "controller/change.h"
#include "store/store_access.h"

int inventory_declare(struct controller *c, const char *ns, const char *name, const char *netns, bool from_file)
{
	struct declared *d = controller_declared(c, ns, name);
	char key[512];
	char *copy = str_set(netns) ? strdup(netns) : NULL;
	int n;

	if (str_set(netns) && !copy)
		return -ENOMEM;
	if (d) {
		free(d->netns);
		d->netns = copy;
		d->from_file = from_file;
		return 0;
	}
	n = snprintf(key, sizeof(key), "%s/%s", ns, name);
	d = calloc(1, sizeof(*d));
	if (!d || htab_set(c->declared, key, (size_t)n, d, NULL)) {
		free(d);
		free(copy);
		return -ENOMEM;
	}
	d->netns = copy;
	d->from_file = from_file;
	return 0;
}

static bool same_ports(const struct workload *a, const struct workload *b)
{
	if (a->nports != b->nports)
		return false;
	for (size_t i = 0; i < a->nports; i++)
		if (!str_eq(a->ports[i].name, b->ports[i].name) || a->ports[i].proto != b->ports[i].proto ||
		    a->ports[i].port != b->ports[i].port)
			return false;
	return true;
}

static bool same_labels(const struct labels *a, const struct labels *b)
{
	if (a->n != b->n)
		return false;
	for (size_t i = 0; i < a->n; i++)
		if (!str_eq(a->v[i].key, b->v[i].key) || !str_eq(a->v[i].value, b->v[i].value))
			return false;
	return true;
}

bool inventory_same(const struct controller *c, const struct workload *w, const char *netns)
{
	const struct workload *o = state_workload(&c->state, w->ns, w->name);
	const struct declared *d = controller_declared(c, w->ns, w->name);

	return o && d && str_eq(d->netns, netns) && str_eq(o->uid, w->uid) && same_labels(&o->labels, &w->labels) &&
	       str_eq(o->controller_name, w->controller_name) && str_eq(o->controller_kind, w->controller_kind) &&
	       str_eq(o->service_account, w->service_account) && str_eq(o->mode_label, w->mode_label) &&
	       same_ports(o, w);
}

static int keep_addresses(const struct workload *from, struct workload *to)
{
	if (to->naddrs || !from->naddrs)
		return 0;
	to->addrs = reallocarray(NULL, from->naddrs, sizeof(*from->addrs));
	if (!to->addrs)
		return -ENOMEM;
	memcpy(to->addrs, from->addrs, from->naddrs * sizeof(*from->addrs));
	to->naddrs = from->naddrs;
	return 0;
}

int inventory_put(struct controller *c, const struct workload *w, const char *netns, bool from_file)
{
	struct workload *o = (struct workload *)state_workload(&c->state, w->ns, w->name);
	struct declared *d = controller_declared(c, w->ns, w->name);
	bool moved = d && !str_eq(d->netns, netns);
	struct workload copy = {};
	int e = workload_copy(w, &copy);

	if (!e && !str_set(copy.node)) {
		copy.node = strdup(c->node_name);
		e = copy.node ? 0 : -ENOMEM;
	}
	if (!e && o && !moved)
		e = keep_addresses(o, &copy);
	/* Durable before it is believed. */
	if (!e && !from_file)
		e = store_workload_put(c->store, &copy, netns, controller_now(c));
	e = e ?: inventory_declare(c, w->ns, w->name, netns, from_file);
	e = e ?: access_book_workload_put(c->book, &copy);
	if (e) {
		workload_done(&copy);
		return e;
	}
	if (o) {
		workload_done(o);
		*o = copy;
	} else {
		e = state_workload_add(&c->state, &copy);
		workload_done(&copy);
	}
	if (moved && !e) {
		if (c->ops->workload_detach)
			(void)c->ops->workload_detach(c->node, w->ns, w->name); /* it may be gone with its netns */
		controller_declared(c, w->ns, w->name)->attached = false;
	}
	controller_dirty(c);
	return e;
}

int inventory_remove(struct controller *c, const char *ns, const char *name)
{
	struct declared *d = controller_declared(c, ns, name);
	char key[512];
	int n, e;

	if (!d)
		return -ENOENT;
	if (!d->from_file) {
		e = store_workload_del(c->store, ns, name);
		if (e && e != -ENOENT)
			return e;
	}
	if (c->ops->workload_detach)
		(void)c->ops->workload_detach(c->node, ns, name); /* nothing attached is what is wanted */
	n = snprintf(key, sizeof(key), "%s/%s", ns, name);
	d = htab_del(c->declared, key, (size_t)n);
	if (d) {
		free(d->netns);
		free(d);
	}
	access_book_workload_gone(c->book, ns, name, controller_now(c));
	for (size_t i = 0; i < c->state.nworkloads; i++) {
		if (!str_eq(c->state.workloads[i].ns, ns) || !str_eq(c->state.workloads[i].name, name))
			continue;
		state_workload_del(&c->state, i);
		break;
	}
	controller_dirty(c);
	return 0;
}
