/* SPDX-License-Identifier: Apache-2.0 */
/* api_changes.c - history: list, show, confirm, revert, roll back. */
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "base/cleanup.h"
#include "base/strparse.h"
#include "controller/api_routes.h"
#include "controller/change.h"
#include "controller/view.h"

static cJSON *view_change(const struct controller *c, const struct change *h, bool full)
{
	bool open = h->state == CHANGE_OPEN && c->window.generation == h->generation;
	cJSON *o = cJSON_CreateObject(), *k, *plan;

	if (!o)
		return NULL;
	put_num(o, "generation", (double)h->generation);
	put_num(o, "base", (double)h->base);
	put_str(o, "what", h->what);
	put_str(o, "who", h->who);
	put_str(o, "via", h->via);
	put_time(o, "time", h->at_ns);
	put_str(o, "state", open ? "open" : h->state == CHANGE_REVERTED ? "reverted" : "kept");
	cJSON_AddBoolToObject(o, "current", h->generation == c->state.generation);
	if (open) {
		k = cJSON_AddObjectToObject(o, "window");
		put_time(k, "until", h->until_ns);
		put_ms(k, "leftMs", h->until_ns - controller_now(c));
	} else {
		cJSON_AddNullToObject(o, "window");
	}
	if (h->reverted_by)
		put_num(o, "revertedBy", (double)h->reverted_by);
	else
		cJSON_AddNullToObject(o, "revertedBy");
	put_str(o, "flows", flows_str(h->flows));
	put_str(o, "undo", h->undo);
	k = cJSON_AddArrayToObject(o, "receipts");
	for (size_t i = 0; i < h->nreceipts; i++)
		put_push(k, view_receipt(&h->receipts[i]));
	if (!full)
		return o;
	plan = h->plan ? cJSON_Parse(h->plan) : NULL; /* our own text */
	put_item(o, "changes", plan ? plan : cJSON_CreateArray());
	return o;
}

struct listing { struct api *a; cJSON *items; size_t left; int64_t since; };

static int list_one(void *arg, const struct change *h)
{
	struct change whole = {};
	struct listing *l = arg;
	int e;

	if (h->at_ns < l->since || !l->left--)
		return 1;
	e = store_change_load(l->a->c->store, h->generation, &whole);
	if (e)
		return e;
	put_push(l->items, view_change(l->a->c, &whole, false));
	change_done(&whole);
	return 0;
}

int api_change_list(struct api *a, cJSON **ret)
{
	struct listing l = { .a = a };
	struct list_meta m = {};
	int e;

	e = api_q_limit(a, &l.left);
	e = e ?: api_q_time(a, "since", 0, &l.since);
	if (e)
		return e;
	l.items = cJSON_CreateArray();
	e = store_change_each(a->c->store, 0, l.left, list_one, &l);
	if (e < 0) {
		cJSON_Delete(l.items);
		return e;
	}
	m.since = l.since;
	m.total = (size_t)cJSON_GetArraySize(l.items);
	*ret = api_list(a->c, "ChangeList", &m, l.items);
	return *ret ? 0 : -ENOMEM;
}

static int read_generation(struct api *a, uint64_t *ret)
{
	const char *s = http_request_param(a->rq, "generation");
	char at[160];

	if (!parse_u64(s, 0, INT64_MAX, ret))
		return 0;
	snprintf(at, sizeof(at), "path: \"%.60s\"", s);
	return fail_add(&a->f, -EINVAL, "change.generation", at, "a generation number", "cellwall change list",
			"this is not a generation");
}

static int no_change(struct api *a, uint64_t gen)
{
	char at[64];

	snprintf(at, sizeof(at), "generation %llu", (unsigned long long)gen);
	return fail_add(&a->f, -ENOENT, "change.not-found", at, "a generation of the history", "cellwall change list",
			"no such generation");
}

static int load(struct api *a, uint64_t *gen, struct change *h)
{
	int e = read_generation(a, gen);

	if (e)
		return e;
	e = store_change_load(a->c->store, *gen, h);
	return e == -ENOENT ? no_change(a, *gen) : e;
}

static int show(struct api *a, uint64_t gen, cJSON **ret)
{
	struct change h = {};
	int e = store_change_load(a->c->store, gen, &h);

	if (e)
		return e == -ENOENT ? no_change(a, gen) : e;
	*ret = view_change(a->c, &h, true);
	change_done(&h);
	if (!*ret)
		return -ENOMEM;
	cJSON_AddStringToObject(*ret, "apiVersion", API_VERSION);
	cJSON_AddStringToObject(*ret, "kind", "Change");
	return 0;
}

int api_change_show(struct api *a, cJSON **ret)
{
	uint64_t gen;
	int e = read_generation(a, &gen);

	return e ? e : show(a, gen, ret);
}

int api_change_confirm(struct api *a, cJSON **ret)
{
	struct controller *c = a->c;
	uint64_t gen;
	char at[64];
	int e = read_generation(a, &gen);

	if (e)
		return e;
	snprintf(at, sizeof(at), "generation %llu", (unsigned long long)gen);
	/* Changes made within the window revert with it, and are kept with it. */
	if (!c->window.generation || gen < c->window.generation || gen > c->state.generation)
		return fail_add(&a->f, -EBUSY, "change.no-window", at, "a generation whose confirm window is open",
				"cellwall change list", "nothing waits to be confirmed there");
	e = store_change_mark(c->store, c->window.generation, CHANGE_CONFIRMED, 0);
	if (e)
		return fail_add(&a->f, e, "server.store", store_error(c->store), "a store that can be written",
				"check the free space of the state directory", "the confirmation could not be made durable");
	gen = c->window.generation;
	memset(&c->window, 0, sizeof(c->window));
	controller_note(c, "change.confirmed", NULL, a->who, "generation %llu is kept", (unsigned long long)gen);
	return show(a, gen, ret);
}

/* A generation that was, or never was, but is not there to go back to. */
static int not_kept(struct api *a, uint64_t to)
{
	uint64_t oldest = 0;
	char at[64], expected[96];
	int e = store_generation_oldest(a->c->store, &oldest);

	if (e)
		return e;
	if (to > a->c->state.generation || to >= oldest)
		return no_change(a, to);
	snprintf(at, sizeof(at), "generation %llu", (unsigned long long)to);
	snprintf(expected, sizeof(expected), "a generation from %llu to %llu (history.generations)",
		 (unsigned long long)oldest, (unsigned long long)a->c->state.generation);
	return fail_add(&a->f, -ENOENT, "change.pruned", at, expected, "cellwall change list",
			"generation %llu is no longer kept, the oldest is %llu", (unsigned long long)to,
			(unsigned long long)oldest);
}

/* The state of an earlier generation as the next one. */
static int go_back_to(struct api *a, struct change_req *q, uint64_t to, bool with_quarantine)
{
	auto_cleanup(policy_state_done) struct policy_state snap = {};
	int64_t now = controller_now(a->c);
	int e = generation_load(a->c, to, &snap);

	if (e)
		return e == -ENOENT ? not_kept(a, to) : e;
	/* What has ended by its time limit since is over. */
	for (size_t i = snap.nquarantines; i-- > 0;)
		if (snap.quarantines[i].until_ns && snap.quarantines[i].until_ns <= now)
			state_quarantine_del(&snap, i);
	return state_take(&snap, with_quarantine, &q->next);
}

int api_change_revert(struct api *a, cJSON **ret)
{
	struct controller *c = a->c;
	auto_cleanup(change_req_done) struct change_req q = {};
	struct change h = {};
	uint64_t gen, base;
	bool newest, windowed;
	char at[64], next[64];
	int e;

	e = load(a, &gen, &h);
	if (e)
		return e;
	base = h.base;
	change_done(&h);
	newest = gen == c->state.generation;
	windowed = gen == c->window.generation; /* with what was changed since, but for quarantines */
	if (!newest && !windowed) {
		snprintf(at, sizeof(at), "generation %llu", (unsigned long long)gen);
		snprintf(next, sizeof(next), "cellwall change rollback %llu", (unsigned long long)base);
		return fail_add(&a->f, -EBUSY, "change.not-last", at, "the newest generation", next,
				"generation %llu came after it", (unsigned long long)c->state.generation);
	}
	e = change_req_begin(a, &q);
	e = e ?: go_back_to(a, &q, base, newest);
	if (e)
		return e;
	q.what = text_fmt("revert of %llu", (unsigned long long)gen);
	q.is_revert = true;
	q.reverted = gen;
	return change_run(a, &q, ret);
}

int api_change_rollback(struct api *a, cJSON **ret)
{
	auto_cleanup(change_req_done) struct change_req q = {};
	uint64_t gen;
	int e;

	e = read_generation(a, &gen);
	e = e ?: change_req_begin(a, &q);
	e = e ?: go_back_to(a, &q, gen, true);
	if (e)
		return e;
	q.what = text_fmt("rollback to %llu", (unsigned long long)gen);
	return change_run(a, &q, ret);
}
