/* SPDX-License-Identifier: Apache-2.0 */
/* inventory.c - declared workloads: put, remove, attach. The watched file is inventory_file.c. */
#include "controller/inventory.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "base/cleanup.h"
#include "controller/change.h"
#include "controller/kube_hook.h"
#include "store/store_access.h"

const char *inventory_source_str(enum inventory_source s)
{
	static const char *const word[] = { "api", "file", "kubernetes" };

	return word[s];
}

int inventory_declare(struct controller *c, const char *ns, const char *name, const char *netns,
		      enum inventory_source source)
{
	struct declared *d = controller_declared(c, ns, name);
	char key[512];
	char *copy = str_set(netns) ? strdup(netns) : NULL;
	int n;

	if (str_set(netns) && !copy)
		return -ENOMEM;
	if (!d) {
		n = snprintf(key, sizeof(key), "%s/%s", ns, name);
		d = calloc(1, sizeof(*d));
		if (!d || htab_set(c->declared, key, (size_t)n, d, NULL)) {
			free(d);
			free(copy);
			return -ENOMEM;
		}
		d->at = SIZE_MAX;
	}
	c->netns_declared += copy != NULL;
	c->netns_declared -= d->netns != NULL;
	free(d->netns);
	d->netns = copy;
	d->source = source;
	return 0;
}

void inventory_forget(struct controller *c, const char *ns, const char *name)
{
	char key[512];
	int n = snprintf(key, sizeof(key), "%s/%s", ns, name);
	struct declared *d = htab_del(c->declared, key, (size_t)n);

	if (!d)
		return;
	c->netns_declared -= d->netns != NULL;
	free(d->netns);
	free(d);
}

const struct workload *controller_workload(const struct controller *c, const char *ns, const char *name)
{
	const struct declared *d = controller_declared(c, ns, name);

	return d && d->at < c->state.nworkloads ? &c->state.workloads[d->at] : NULL;
}


int inventory_by_hand(const struct declared *d, const char *what, const char *name, struct fail_list *f)
{
	char error[64];

	if (!d || d->source == INVENTORY_API)
		return 0;
	snprintf(error, sizeof(error), "%s.in-%s", what, inventory_source_str(d->source));
	if (d->source == INVENTORY_FILE)
		return fail_add(f, -EEXIST, error, name, "a name the inventory file does not use",
				"change the inventory file", "the %s is declared by the inventory file", what);
	return fail_add(f, -EEXIST, error, name, "a name the cluster does not use", "kubectl get pods,services,namespaces -A",
			"the %s is an object of the cluster", what);
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
	const struct workload *o = controller_workload(c, w->ns, w->name);
	const struct declared *d = controller_declared(c, w->ns, w->name);

	return o && d && str_eq(d->netns, netns) && str_eq(o->uid, w->uid) && same_labels(&o->labels, &w->labels) &&
	       str_eq(o->controller_name, w->controller_name) && str_eq(o->controller_kind, w->controller_kind) &&
	       str_eq(o->service_account, w->service_account) && str_eq(o->mode_label, w->mode_label) &&
	       (!str_set(w->node) || str_eq(o->node, w->node)) && same_ports(o, w);
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

/* With some room: one at a time, a large cluster's array would be moved for each of its pods. */
static int add_workload(struct controller *c, struct workload *w)
{
	struct policy_state *st = &c->state;

	if (!c->workload_room) {
		size_t more = st->nworkloads / 4 + 16;
		struct workload *v = reallocarray(st->workloads, st->nworkloads + more, sizeof(*v));

		if (!v)
			return -ENOMEM;
		st->workloads = v;
		c->workload_room = more;
	}
	st->workloads[st->nworkloads++] = *w;
	*w = (struct workload){};
	c->workload_room--;
	return 0;
}

int inventory_put(struct controller *c, const struct workload *w, const char *netns, enum inventory_source source)
{
	struct declared *d = controller_declared(c, w->ns, w->name);
	struct workload *o = d && d->at < c->state.nworkloads ? &c->state.workloads[d->at] : NULL;
	bool moved = d && !str_eq(d->netns, netns);
	struct workload copy = {};
	bool found;
	int e = workload_copy(w, &copy);

	if (!e && !str_set(copy.node) && source != INVENTORY_KUBE) {
		copy.node = strdup(c->node_name);
		e = copy.node ? 0 : -ENOMEM;
	}
	moved = moved || (!e && o && d && !str_eq(o->node, copy.node));
	/* What the API server knew of addresses and no longer says is gone; what was found is still there. */
	if (!e && o && !moved && (source != INVENTORY_KUBE || (d->found && str_eq(o->uid, w->uid))))
		e = keep_addresses(o, &copy);
	found = !e && o && d->found && !w->naddrs && str_eq(o->uid, w->uid);
	/* Durable before it is believed. */
	if (!e && source == INVENTORY_API)
		e = store_workload_put(c->store, &copy, netns, controller_now(c));
	e = e ?: inventory_declare(c, w->ns, w->name, netns, source);
	e = e ?: access_book_workload_put(c->book, &copy);
	if (e) {
		workload_done(&copy);
		return e;
	}
	if (o) {
		workload_done(o);
		*o = copy;
	} else {
		e = add_workload(c, &copy);
		workload_done(&copy);
		if (e) {
			inventory_forget(c, w->ns, w->name);
			return e;
		}
		controller_declared(c, w->ns, w->name)->at = c->state.nworkloads - 1;
	}
	controller_declared(c, w->ns, w->name)->found = found;
	if (moved) {
		if (c->ops->workload_detach)
			(void)c->ops->workload_detach(c->node, w->ns, w->name); /* it may be gone with its netns */
		controller_declared(c, w->ns, w->name)->attached = false;
	}
	controller_dirty(c);
	return e;
}

int inventory_remove(struct controller *c, const char *ns, const char *name)
{
	const struct declared *d = controller_declared(c, ns, name);
	struct workload *w, *last = c->state.workloads + c->state.nworkloads - 1;
	bool by_hand;
	size_t at;
	int e;

	if (!d)
		return -ENOENT;
	if (d->source == INVENTORY_API) {
		e = store_workload_del(c->store, ns, name);
		if (e && e != -ENOENT)
			return e;
	}
	by_hand = d->source != INVENTORY_KUBE;
	at = d->at;
	w = at < c->state.nworkloads ? &c->state.workloads[at] : NULL;
	if (c->ops->workload_detach && (d->source != INVENTORY_KUBE || (w && str_eq(w->node, c->node_name))))
		(void)c->ops->workload_detach(c->node, ns, name); /* nothing attached is what is wanted */
	access_book_workload_gone(c->book, ns, name, controller_now(c));
	inventory_forget(c, ns, name);
	if (w) { /* the last one takes its place: nobody relies on an order */
		workload_done(w);
		if (w != last) {
			*w = *last;
			controller_declared(c, w->ns, w->name)->at = at;
		}
		c->state.nworkloads--;
		c->workload_room++;
	}
	if (by_hand)
		kube_released(c->kube, "workload", ns, name);
	controller_dirty(c);
	return 0;
}
