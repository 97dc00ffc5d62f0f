/* SPDX-License-Identifier: Apache-2.0 */
/* inventory_file.c - the watched inventory file. */
#define LOG_UNIT "inventory"

#include <errno.h>
#include <libgen.h>
#include <stdio.h>
#include <string.h>

#include "base/cleanup.h"
#include "base/file.h"
#include "base/log.h"
#include "controller/change.h"
#include "controller/inventory.h"
#include "controller/services.h"
#include "policy/rule_doc.h"

/* Not both in the file and through the API: neither would know what the other means. */
static int check_clash(struct controller *c, const struct rule_docs *d, struct fail_list *f)
{
	int e = 0;

	for (size_t i = 0; i < d->nworkloads; i++) {
		const struct workload *w = &d->workloads[i].w;
		const struct declared *o = controller_declared(c, w->ns, w->name);
		char at[512], next[400];

		if (!o || o->source == INVENTORY_FILE)
			continue;
		if (o->source == INVENTORY_KUBE) {
			e = inventory_by_hand(o, "workload", w->name, f);
			continue;
		}
		snprintf(at, sizeof(at), "%.200s:%u, workload %.63s/%.200s", d->workloads_at[i].file, d->workloads_at[i].line,
			 w->ns, w->name);
		snprintf(next, sizeof(next), "cellwall workload remove %.63s/pod/%.253s", w->ns, w->name);
		e = fail_add(f, -EEXIST, "workload.declared", at, "a name the API does not use", next,
			     "the workload is declared through the API");
	}
	for (size_t i = 0; i < d->nservices; i++) {
		const struct service *s = &d->services[i];
		const struct declared *o = service_declared(c, s->ns, s->name);
		char at[512], next[400];

		if (!o || o->source == INVENTORY_FILE)
			continue;
		if (o->source == INVENTORY_KUBE) {
			e = inventory_by_hand(o, "service", s->name, f);
			continue;
		}
		snprintf(at, sizeof(at), "%.200s:%u, service %.63s/%.63s", d->services_at[i].file, d->services_at[i].line, s->ns,
			 s->name);
		snprintf(next, sizeof(next), "cellwall service remove %.63s/svc/%.63s", s->ns, s->name);
		e = fail_add(f, -EEXIST, "service.declared", at, "a name the API does not use", next,
			     "the service is declared through the API");
	}
	for (size_t i = 0; i < d->nnamespaces; i++) {
		const struct declared *o = controller_declared(c, d->namespaces[i].name, "");

		if (o && o->source == INVENTORY_KUBE)
			e = inventory_by_hand(o, "namespace", d->namespaces[i].name, f);
	}
	return e;
}

static int put_services(struct controller *c, const struct rule_docs *d, size_t *put)
{
	int e = 0;

	for (size_t i = c->state.nservices; i-- > 0 && !e;) {
		const struct service *s = &c->state.services[i];
		auto_free char *ns = NULL, *name = NULL;
		const struct declared *o = service_declared(c, s->ns, s->name);
		bool kept = !o || o->source != INVENTORY_FILE;

		for (size_t k = 0; k < d->nservices && !kept; k++)
			kept = str_eq(d->services[k].ns, s->ns) && str_eq(d->services[k].name, s->name);
		if (kept)
			continue;
		ns = strdup(s->ns);
		name = strdup(s->name);
		e = ns && name ? service_remove(c, ns, name) : -ENOMEM;
		*put += !e;
	}
	for (size_t i = 0; i < d->nservices && !e; i++) {
		const struct service *o = state_service(&c->state, d->services[i].ns, d->services[i].name);

		if (o && service_same(o, &d->services[i]))
			continue;
		e = service_put(c, &d->services[i], INVENTORY_FILE);
		*put += !e;
	}
	return e;
}

static int remove_missing(struct controller *c, const struct rule_docs *d, size_t *removed)
{
	int e = 0;

	for (size_t i = c->state.nworkloads; i-- > 0 && !e;) {
		const struct workload *w = &c->state.workloads[i];
		const struct declared *o = controller_declared(c, w->ns, w->name);
		auto_free char *ns = NULL, *name = NULL;
		bool kept = !o || o->source != INVENTORY_FILE;

		for (size_t k = 0; k < d->nworkloads && !kept; k++)
			kept = str_eq(d->workloads[k].w.ns, w->ns) && str_eq(d->workloads[k].w.name, w->name);
		if (kept)
			continue;
		ns = strdup(w->ns);
		name = strdup(w->name);
		e = ns && name ? inventory_remove(c, ns, name) : -ENOMEM;
		*removed += !e;
	}
	return e;
}

int inventory_load(struct controller *c, struct fail_list *f)
{
	auto_cleanup(rule_docs_done) struct rule_docs d = {};
	auto_free char *text = NULL;
	size_t len, put = 0, removed = 0, svc = 0;
	int e;

	e = read_all_path(c->inventory_path, INVENTORY_BYTES_MAX, &text, &len);
	if (e)
		return fail_add(f, e, "inventory.unreadable", c->inventory_path, "a readable file of at most 16 MiB", NULL, "%s",
				strerror(-e));
	e = rule_docs_parse(c->inventory_path, text, len, NULL, f, &d);
	if (e)
		return e;
	if (d.nrules || d.nmodes || d.nquarantines || d.nkpolicies)
		return fail_add(f, -EINVAL, "inventory.kind", c->inventory_path, "documents of kind Inventory only",
				"cellwall rule apply -f FILE", "rules, modes and quarantines do not belong into the inventory");
	e = check_clash(c, &d, f);
	e = e ?: remove_missing(c, &d, &removed);
	for (size_t i = 0; i < d.nnamespaces && !e; i++)
		e = namespace_put(c, &d.namespaces[i], INVENTORY_FILE);
	for (size_t i = 0; i < d.nworkloads && !e; i++) {
		const struct inventory_workload *w = &d.workloads[i];

		if (inventory_same(c, &w->w, w->netns))
			continue;
		e = inventory_put(c, &w->w, w->netns, INVENTORY_FILE);
		put += !e;
	}
	e = e ?: put_services(c, &d, &svc);
	controller_attach_pending(c);
	if (!e && svc)
		controller_note(c, "inventory.services", NULL, NULL, "%zu services declared, %zu new, changed or removed",
				d.nservices, svc);
	if (!e && (put || removed))
		controller_note(c, "inventory.loaded", NULL, NULL, "%zu workloads declared, %zu new or changed, %zu removed",
				d.nworkloads, put, removed);
	return e;
}

static void reload(struct controller *c)
{
	auto_cleanup(fail_list_done) struct fail_list f = {};
	int e = inventory_load(c, &f);

	if (!e)
		return;
	controller_note(c, "inventory.refused", NULL, NULL, "%zu faults, the inventory stays as it was; first: %s at %s",
			f.n, f.n ? f.items[0].message : strerror(-e), f.n && f.items[0].at ? f.items[0].at : "-");
	log_warn(e, "the inventory file is refused, keeping what was declared; file='%s'", c->inventory_path);
}

static void delay_cb(uv_timer_t *t)
{
	reload(t->data);
}

/* The directory is watched: editors replace the file, and a watch on the old one hears nothing. */
static void changed_cb(uv_fs_event_t *h, const char *name, int events, int status)
{
	struct controller *c = h->data;
	const char *base = strrchr(c->inventory_path, '/');

	(void)events;
	base = base ? base + 1 : c->inventory_path;
	if (status || (name && strcmp(name, base)))
		return;
	uv_timer_start(&c->watch_delay, delay_cb, INVENTORY_DELAY_MS, 0);
}

void inventory_watch(struct controller *c)
{
	auto_free char *copy = strdup(c->inventory_path);
	int e;

	reload(c);
	if (!copy)
		return;
	e = uv_fs_event_start(&c->watch, changed_cb, dirname(copy), 0);
	c->watching = !e;
	if (e)
		log_warn(e, "the inventory file is not watched, read once; file='%s'", c->inventory_path);
}
