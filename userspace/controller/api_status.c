/* SPDX-License-Identifier: Apache-2.0 */
/* api_status.c - health at a glance, readiness, guard map, counters. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"
#include "base/strparse.h"
#include "controller/api_routes.h"
#include "controller/change.h"
#include "controller/kube_hook.h"
#include "controller/inventory.h"
#include "controller/kpolicies.h"
#include "controller/view.h"
#include "flow/ready.h"

/* ---- guards ------------------------------------------------------------------------------------- */

struct guard_sum {
	const struct controller *c;
	const char *ns;		/* NULL: all */
	const struct words *scope;
	cJSON *items;		/* may be NULL */
	size_t guarded, bypassable, blind, total;
};

static int guard_one(void *arg, const struct node_guard *g)
{
	struct guard_sum *s = arg;
	const char *slash = strchr(g->workload, '/');
	size_t n = slash ? (size_t)(slash - g->workload) : 0;
	char ns[64] = "";

	if (n < sizeof(ns))
		memcpy(ns, g->workload, n);
	if ((s->ns && strcmp(s->ns, ns)) || (s->scope && s->scope->n && !words_have(s->scope, ns)))
		return 0;
	s->total++;
	s->guarded += !strcmp(g->state, "guarded");
	s->bypassable += !strcmp(g->state, "bypassable");
	s->blind += !strcmp(g->state, "blind");
	if (s->items)
		put_push(s->items, view_guard(s->c, g));
	return 0;
}

static int guards_sum(struct controller *c, struct guard_sum *s)
{
	s->c = c;
	return c->ops->guards ? c->ops->guards(c->node, guard_one, s) : 0;
}

int api_guard_list(struct api *a, cJSON **ret)
{
	auto_cleanup(words_done) struct words ns = {};
	struct guard_sum s = { .scope = &ns };
	struct list_meta m = { .scope = &ns };
	int e;

	if (api_q_words(a, "namespace", &ns))
		return -ENOMEM;
	s.items = cJSON_CreateArray();
	e = guards_sum(a->c, &s);
	if (e < 0) {
		cJSON_Delete(s.items);
		return fail_add(&a->f, e, "node.guards", a->c->node_name, NULL, "cellwall status", "%s", strerror(-e));
	}
	m.total = s.total;
	*ret = api_list(a->c, "GuardList", &m, s.items);
	return *ret ? 0 : -ENOMEM;
}

/* ---- readiness ----------------------------------------------------------------------------------- */

static cJSON *ready_item_json(const struct ready_item *i)
{
	cJSON *o = cJSON_CreateObject(), *p;

	put_str(o, "state", i->ok ? "ok" : "missing");
	put_str(o, "topic", ready_kind_str(i->kind));
	p = cJSON_AddObjectToObject(o, "params");
	put_str(p, "subject", i->subject);
	put_str(p, "src", i->src);
	put_str(p, "dst", i->dst);
	put_str(p, "port", i->port);
	put_str(p, "schedule", i->schedule);
	if (i->next_ns)
		put_time(p, "next", i->next_ns);
	put_num(p, "have", (double)i->have);
	put_num(p, "of", (double)i->of);
	put_num(p, "count", (double)i->count);
	put_num(p, "folded", (double)i->folded);
	return o;
}

/* Schedules that the inventory declares: whatever a CronJob owns. */
static struct ready_schedule *schedules(const struct controller *c, const char *ns, size_t *ret_n)
{
	struct ready_schedule *v = calloc(c->state.nworkloads + 1, sizeof(*v));

	*ret_n = 0;
	for (size_t i = 0; v && i < c->state.nworkloads; i++) {
		const struct workload *w = &c->state.workloads[i];
		bool seen = !str_eq(w->ns, ns) || !same_kind(w->controller_kind, "CronJob");

		for (size_t k = 0; k < *ret_n && !seen; k++)
			seen = str_eq(v[k].name, w->controller_name);
		if (!seen)
			v[(*ret_n)++] = (struct ready_schedule){ w->ns, w->controller_kind, w->controller_name, NULL, 0 };
	}
	return v;
}

static void next_commands(const struct ready *r, const char *ns, cJSON *arr)
{
	bool pending = false, loss = false;
	char cmd[320];

	for (size_t i = 0; i < r->nitems; i++) {
		pending = pending || (!r->items[i].ok && (r->items[i].kind == READY_DECISION));
		loss = loss || (!r->items[i].ok && r->items[i].kind == READY_LOSS);
	}
	if (pending) {
		snprintf(cmd, sizeof(cmd), "cellwall access confirm -n %.253s --answered", ns);
		put_push(arr, cJSON_CreateString(cmd));
	}
	if (loss) {
		snprintf(cmd, sizeof(cmd), "cellwall status");
		put_push(arr, cJSON_CreateString(cmd));
	}
	if (r->ready) {
		snprintf(cmd, sizeof(cmd), "cellwall mode set enforce -n %.253s --confirm 10m --dry-run", ns);
		put_push(arr, cJSON_CreateString(cmd));
	}
}

static bool ready_json(struct controller *c, const char *ns, bool all_items, cJSON **ret_item)
{
	struct guard_sum g = { .ns = ns };
	size_t nsched;
	auto_free struct ready_schedule *sched = schedules(c, ns, &nsched);
	struct ready_input in = {
		.ns = ns, .book = c->book, .workloads = c->state.workloads, .nworkloads = c->state.nworkloads,
		.schedules = sched, .nschedules = nsched, .now_ns = controller_now(c),
	};
	struct ready r = {};
	cJSON *o, *k;
	bool ready;

	(void)guards_sum(c, &g); /* unknown guards are no guards: the item is left out */
	in.guarded = g.guarded;
	in.interfaces = g.total;
	if (ready_check(&in, &r))
		return false;
	ready = r.ready;
	if (!ret_item) {
		ready_done(&r);
		return ready;
	}
	o = cJSON_CreateObject();
	put_str(o, "namespace", ns);
	cJSON_AddBoolToObject(o, "ready", r.ready);
	k = cJSON_AddObjectToObject(o, "window");
	put_time(k, "since", in.now_ns - r.window_ns);
	put_ms(k, "ms", r.window_ns);
	put_num(o, "accesses", (double)r.accesses);
	put_num(o, "pending", (double)r.pending);
	if (r.newest_ns)
		put_ms(o, "lastNewMs", in.now_ns - r.newest_ns);
	else
		cJSON_AddNullToObject(o, "lastNewMs");
	put_num(o, "lost", (double)controller_loss(c, ns));
	k = cJSON_AddArrayToObject(o, "items");
	for (size_t i = 0; i < r.nitems; i++)
		if (all_items || !r.items[i].ok)
			put_push(k, ready_item_json(&r.items[i]));
	put_num(o, "droppedItems", (double)r.dropped);
	next_commands(&r, ns, cJSON_AddArrayToObject(o, "next"));
	ready_done(&r);
	*ret_item = o;
	return ready;
}

bool controller_ready(struct controller *c, const char *ns, cJSON **ret_item)
{
	return ready_json(c, ns, false, ret_item);
}

int api_ready(struct api *a, cJSON **ret)
{
	auto_cleanup(words_done) struct words ns = {}, all = {};
	struct list_meta m = { .scope = &ns };
	cJSON *items, *one;
	int e;

	e = api_q_words(a, "namespace", &ns);
	e = e ?: namespaces_known(a->c, &all);
	if (e)
		return e;
	for (size_t i = 0; i < ns.n; i++) {
		struct ref r = { .kind = REF_NAMESPACE, .ns = ns.v[i] };

		if (api_ref_exists(a, &r, "query namespace"))
			e = -ENOENT;
	}
	if (e)
		return e;
	items = cJSON_CreateArray();
	for (size_t i = 0; i < all.n; i++) {
		if (ns.n && !words_have(&ns, all.v[i]))
			continue;
		one = NULL;
		ready_json(a->c, all.v[i], true, &one);
		put_push(items, one);
		m.total++;
	}
	m.lost = controller_loss(a->c, NULL);
	*ret = api_list(a->c, "ReadyList", &m, items);
	return *ret ? 0 : -ENOMEM;
}

/* ---- status ---------------------------------------------------------------------------------------- */

struct ns_sum {
	size_t workloads, pending, held, quarantined, guarded, bypassable, blind, interfaces;
	bool mixed;
	size_t inert;		/* Kubernetes policies on a workload whose mode does not enforce them */
	const struct kpolicy *inert_first, *inert_last;
	enum cw_mode inert_mode; /* of the first */
};

static struct ns_sum *sum_of(struct htab *t, const char *ns, size_t len)
{
	struct ns_sum *s = len ? htab_get(t, ns, len) : NULL;

	if (s || !len)
		return s;
	s = calloc(1, sizeof(*s));
	if (s && htab_set(t, ns, len, s, NULL)) {
		free(s);
		return NULL;
	}
	return s;
}

static void sum_access(struct htab *t, const struct access *x, const char *ns)
{
	struct ns_sum *s = str_set(ns) ? sum_of(t, ns, strlen(ns)) : NULL;

	if (!s)
		return;
	s->pending += access_state(x) == ACCESS_ST_PENDING && !access_covered(x);
	s->held += access_state(x) == ACCESS_ST_HELD;
}

static int sum_guard(void *arg, const struct node_guard *g)
{
	const char *slash = strchr(g->workload, '/');
	struct ns_sum *s = slash ? sum_of(arg, g->workload, (size_t)(slash - g->workload)) : NULL;

	if (!s)
		return 0;
	s->interfaces++;
	s->guarded += !strcmp(g->state, "guarded");
	s->bypassable += !strcmp(g->state, "bypassable");
	s->blind += !strcmp(g->state, "blind");
	return 0;
}

/* Kubernetes policies that say something of a workload and drop nothing there, by its namespace. */
static void sum_inert(struct htab *t, const struct policy_state *st)
{
	struct { const struct workload *w; enum cw_mode mode; } *v = calloc(st->nworkloads + 1, sizeof(*v));
	size_t n = 0;

	for (size_t i = 0; v && st->nkpolicies && i < st->nworkloads; i++) {
		const struct mode_setting *from;
		enum cw_action dflt;

		v[n].w = &st->workloads[i];
		policy_state_mode(st, v[n].w, &v[n].mode, &dflt, &from);
		n += v[n].mode != CW_MODE_ENFORCE;
	}
	for (size_t i = 0; n && i < st->nkpolicies; i++) {
		const struct kpolicy *k = &st->kpolicies[i];

		for (size_t j = 0; j < n; j++) {
			struct ns_sum *s;

			if ((v[j].mode != CW_MODE_OFF && st->enforce_always & 1u << k->tier) ||
			    !kpolicy_selects(st, k, v[j].w))
				continue;
			s = sum_of(t, v[j].w->ns, strlen(v[j].w->ns));
			if (!s || s->inert_last == k)
				continue;
			s->inert_last = k;
			if (s->inert++)
				continue;
			s->inert_first = k;
			s->inert_mode = v[j].mode;
		}
	}
	free(v);
}

/* One pass over everything, by namespace. NULL: no memory. */
static struct htab *ns_sums(struct controller *c)
{
	struct htab *t = htab_new();

	for (size_t i = 0; t && i < c->state.nworkloads; i++) {
		const struct workload *w = &c->state.workloads[i], any = { .ns = w->ns };
		struct ns_sum *s = sum_of(t, w->ns, strlen(w->ns));
		const struct mode_setting *from;
		enum cw_mode own, mode;
		enum cw_action dflt;

		if (!s)
			continue;
		policy_state_mode(&c->state, w, &own, &dflt, &from);
		policy_state_mode(&c->state, &any, &mode, &dflt, &from);
		s->workloads++;
		s->mixed = s->mixed || own != mode;
		s->quarantined += policy_state_quarantine(&c->state, w) != NULL;
	}
	for (size_t i = 0; t && i < access_book_count(c->book); i++) {
		const struct access *x = access_book_at(c->book, i);

		sum_access(t, x, x->src->ns);
		if (!str_eq(x->src->ns, x->dst->ns))
			sum_access(t, x, x->dst->ns);
	}
	if (t)
		sum_inert(t, &c->state);
	if (t && c->ops->guards)
		(void)c->ops->guards(c->node, sum_guard, t); /* none known is shown as 0 of 0 */
	return t;
}

static cJSON *note(cJSON *arr, const char *name, uint64_t count)
{
	cJSON *o;

	if (!count)
		return NULL;
	o = cJSON_CreateObject();
	put_str(o, "name", name);
	put_num(o, "count", (double)count);
	put_push(arr, o);
	return o;
}

static cJSON *ns_status(struct controller *c, const char *ns, const struct htab *sums)
{
	static const struct ns_sum none;
	const struct ns_sum *s = htab_get(sums, ns, strlen(ns)) ?: &none;
	const struct workload any = { .ns = (char *)ns };
	const struct mode_setting *from;
	uint64_t would, drop;
	enum cw_mode mode;
	enum cw_action dflt;
	cJSON *o = cJSON_CreateObject(), *k, *inert;
	bool ready = controller_ready(c, ns, NULL);

	policy_state_mode(&c->state, &any, &mode, &dflt, &from);
	hours_last(c, ns, &would, &drop);
	put_str(o, "namespace", ns);
	put_str(o, "mode", cw_mode_str(mode));
	put_str(o, "from", mode_from_word(&c->state, &any));
	put_str(o, "default", cw_action_str(dflt));
	put_num(o, "workloads", (double)s->workloads);
	put_num(o, "interfaces", (double)s->interfaces);
	put_num(o, "guarded", (double)s->guarded);
	put_num(o, "blind", (double)s->blind);
	put_num(o, "bypassable", (double)s->bypassable);
	put_num(o, "pending", (double)s->pending);
	put_num(o, "wouldBlock1h", (double)would);
	put_num(o, "dropped1h", (double)drop);
	put_num(o, "lost", (double)controller_loss(c, ns));
	cJSON_AddBoolToObject(o, "ready", ready);
	k = cJSON_AddArrayToObject(o, "notes");
	note(k, "quarantined", s->quarantined);
	note(k, "blind", s->blind);
	note(k, "bypassable", s->bypassable);
	note(k, "mixed-modes", s->mixed);
	note(k, "held", s->held);
	note(k, "lost", controller_loss(c, ns));
	inert = note(k, "policy-not-in-force", s->inert);
	if (inert) {
		auto_free char *name = kpolicy_name(s->inert_first);

		put_str(inert, "kind", kpolicy_kind_str(s->inert_first->kind));
		put_str(inert, "rule", name);
		put_str(inert, "mode", cw_mode_str(s->inert_mode));
	}
	note(k, "not-ready", !ready);
	return o;
}

static void sums_json(struct controller *c, cJSON *o)
{
	static const char *const word[] = { "pending", "confirmed", "rejected", "held" };
	const struct alert_book *b = access_book_alerts(c->book);
	size_t n[4] = {}, manual = 0, learned = 0, enabled = 0, open = 0, late = 0, late_now = 0;
	int64_t hour_ago = controller_now(c) - 3600 * 1000000000ll;
	struct guard_sum g = {};
	cJSON *k;

	for (size_t i = 0; i < access_book_count(c->book); i++) {
		const struct access *x = access_book_at(c->book, i);

		n[access_state(x)]++;
		if (x->src->kind != ACCESS_UNRESOLVED && x->dst->kind != ACCESS_UNRESOLVED &&
		    x->side[0].reason != CW_R_IDENTITY_LATE && x->side[1].reason != CW_R_IDENTITY_LATE)
			continue;
		late++;
		late_now += x->last_ns >= hour_ago;
	}
	for (size_t i = 0; i < c->state.nrules; i++) {
		manual += c->state.rules[i].origin == ORIGIN_MANUAL;
		learned += c->state.rules[i].origin == ORIGIN_LEARNED;
		enabled += c->state.rules[i].enabled;
	}
	for (size_t i = 0; i < alert_book_count(b); i++) {
		open += !alert_settled(alert_book_at(b, i));
	}
	put_num(o, "identityLate", (double)late);
	put_num(o, "identityLate1h", (double)late_now);
	k = cJSON_AddObjectToObject(o, "accesses");
	put_num(k, "total", (double)access_book_count(c->book));
	for (int i = 0; i < 4; i++)
		put_num(k, word[i], (double)n[i]);
	k = cJSON_AddObjectToObject(o, "rules");
	put_num(k, "total", (double)(c->state.nrules + c->state.nkpolicies));
	put_num(k, "kubernetes", (double)c->state.nkpolicies);
	put_num(k, "manual", (double)manual);
	put_num(k, "learned", (double)learned);
	put_num(k, "enabled", (double)enabled);
	k = cJSON_AddObjectToObject(o, "alerts");
	put_num(k, "open", (double)open);
	(void)guards_sum(c, &g); /* shown as 0 of 0 */
	k = cJSON_AddObjectToObject(o, "guard");
	put_num(k, "guarded", (double)g.guarded);
	put_num(k, "bypassable", (double)g.bypassable);
	put_num(k, "blind", (double)g.blind);
}

static void window_json(const struct controller *c, cJSON *o)
{
	struct change h = {};
	cJSON *k;

	if (!c->window.generation) {
		cJSON_AddNullToObject(o, "openChange");
		return;
	}
	k = cJSON_AddObjectToObject(o, "openChange");
	put_num(k, "generation", (double)c->window.generation);
	put_time(k, "until", c->window.until_ns);
	put_ms(k, "leftMs", c->window.until_ns - controller_now(c));
	if (store_change_load(c->store, c->window.generation, &h))
		return;
	put_str(k, "what", h.what);
	put_str(k, "who", h.who);
	change_done(&h);
}

static void store_json(const struct controller *c, cJSON *k)
{
	const char *moved = store_moved(c->store);
	char when[32];

	put_str(k, "state", c->held_ns ? "damaged" : c->store_errors ? "failed" : "ok");
	put_num(k, "errors", (double)c->store_errors);
	if (c->held_ns) {
		put_time(k, "heldSince", c->held_ns);
		put_str(k, "moved", moved);
		put_free(k, "note", text_fmt("enforcement unchanged since %s; restore %s or re-apply rules",
					     time_str(c->held_ns, when), moved ? moved : "the store"));
		put_str(k, "next", "cellwall explain store.damaged");
	} else if (c->store_errors) {
		put_str(k, "note", store_error(c->store));
	}
}

int api_status(struct api *a, cJSON **ret)
{
	struct controller *c = a->c;
	auto_cleanup(words_done) struct words all = {};
	struct htab *sums;
	cJSON *o, *k;
	int e;

	e = namespaces_known(c, &all);
	o = e ? NULL : api_object("Status");
	if (!o)
		return -ENOMEM;
	put_str(o, "cluster", c->cluster);
	put_str(o, "version", CW_VERSION);
	nodes_status(c, o);
	put_time(o, "time", controller_now(c));
	put_ms(o, "uptimeMs", controller_now(c) - c->started_ns);
	put_num(o, "generation", (double)c->state.generation);
	k = cJSON_AddObjectToObject(o, "node");
	put_str(k, "name", c->node_name);
	put_num(k, "generation", (double)c->receipt.generation);
	cJSON_AddBoolToObject(k, "inSync", c->in_sync);
	put_str(k, "note", c->sync_error);
	put_num(k, "entries", c->receipt.entries);
	put_num(k, "entriesMax", c->receipt.entries_max);
	window_json(c, o);
	put_num(o, "loss", (double)controller_loss(c, NULL));
	sums_json(c, o);
	put_item(o, "kubernetes", kube_json(c->kube));
	k = cJSON_AddObjectToObject(o, "store");
	store_json(c, k);
	if (c->ops->counters)
		put_item(o, "counters", c->ops->counters(c->node));
	k = cJSON_AddArrayToObject(o, "namespaces");
	hours_refresh(c);
	sums = ns_sums(c);
	for (size_t i = 0; i < all.n && sums; i++)
		put_push(k, ns_status(c, all.v[i], sums));
	htab_free(sums, free);
	*ret = o;
	return 0;
}

int api_version(struct api *a, cJSON **ret)
{
	(void)a;
	*ret = api_object("Version");
	if (!*ret)
		return -ENOMEM;
	put_str(*ret, "version", CW_VERSION);
	put_num(*ret, "abi", CW_ABI_VERSION);
	return 0;
}

int api_counters(struct api *a, cJSON **ret)
{
	cJSON *k = a->c->ops->counters ? a->c->ops->counters(a->c->node) : NULL;

	*ret = api_object("Counters");
	put_str(*ret, "node", a->c->node_name);
	put_item(*ret, "counters", k ? k : cJSON_CreateObject());
	return *ret ? 0 : -ENOMEM;
}

int api_config(struct api *a, cJSON **ret)
{
	cJSON *items = a->c->config_json ? a->c->config_json(a->c->config_arg) : cJSON_CreateArray();
	struct list_meta m = {};

	m.total = items ? (size_t)cJSON_GetArraySize(items) : 0;
	*ret = api_list(a->c, "ConfigList", &m, items);
	return *ret ? 0 : -ENOMEM;
}

int api_drain(struct api *a, cJSON **ret)
{
	struct access_book_stats s;
	uint64_t flows = 0;
	int e = a->c->ops->drain ? a->c->ops->drain(a->c->node) : 0;

	if (e < 0)
		return fail_add(&a->f, e, "node.drain", a->c->node_name, NULL, "cellwall status", "%s", strerror(-e));
	access_book_stats(a->c->book, &s);
	for (size_t i = 0; i < access_book_count(a->c->book); i++)
		flows += access_book_at(a->c->book, i)->c.flows;
	*ret = api_object("Drained");
	if (!*ret)
		return -ENOMEM;
	put_num(*ret, "accesses", (double)s.accesses);
	put_num(*ret, "waiting", (double)s.waiting);
	put_num(*ret, "flows", (double)flows);
	return 0;
}
