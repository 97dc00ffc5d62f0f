/* SPDX-License-Identifier: Apache-2.0 */
/*
 * kube_change.c - what the API server says against what is here. Three contents are compared, each
 * as a hash: there, here, and what both last agreed on. Who differs from the last has changed it.
 */
#define LOG_UNIT "kubernetes"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "base/cleanup.h"
#include "base/log.h"
#include "controller/kpolicies.h"
#include "controller/kube_hook.h"
#include "controller/kube_priv.h"
#include "policy/rule_doc.h"

#define INDEX_FROM 8u		/* objects from which an index pays */
#define REPLAY_ACCESSES_MAX 20000u /* recorded accesses that a change may be held against before it is made */

/* ---- one object --------------------------------------------------------------------------------- */

enum verdict { AGREED, THEIRS, OURS, LEFT, BUSY };

static bool expired(const struct kube *k, const struct kobj *o)
{
	return o->quarantine && o->quarantine->until_ns && o->quarantine->until_ns <= controller_now(k->c);
}

/* here: hash of what the state has; 0 none. */
static enum verdict settle(struct kube *k, struct kobj *o, uint64_t here)
{
	uint64_t there = o->present ? o->hash : 0;

	if (o->sent)
		return BUSY; /* the answer tells what came of it */
	if (!kube_followed(k, o->kind) || (o->present && !o->hash))
		return LEFT; /* not known, or never read: what is here stays */
	if (there && there == o->held && here != there)
		return LEFT;
	if (there == here)
		return AGREED;
	if (expired(k, o) && !here && !(o->ours && there == o->base)) {
		o->held = there;
		o->held_why = "Expired";
		return LEFT;
	}
	if (there != o->base) /* without the content, the watch is about to bring it */
		return there && !o->rule && !o->mode && !o->quarantine && !o->policy ? BUSY : THEIRS;
	if (kube_writable(k, o))
		return OURS;
	if (there) { /* taken out here, where it cannot be taken out there */
		o->held = there;
		o->held_why = "Removed";
	}
	return LEFT;
}

static void forget_refusal(struct kobj *o)
{
	free(o->refused);
	free(o->refused_name);
	o->refused = o->refused_name = NULL;
	o->refused_ns = 0;
}

static void agreed(struct kube *k, struct kobj *o)
{
	uint64_t there = o->present ? o->hash : 0;

	if (o->base != there) {
		o->base = there;
		o->ours = false;
		kube_row(k, o);
	}
	if (o->held) {
		o->held = 0;
		o->held_why = NULL;
		kube_row(k, o);
	}
	o->write = false;
	o->tries = 0;
	kube_text_set(&o->write_error, NULL);
	forget_refusal(o);
	o->status_due = o->present;
	k->status_all = k->status_all || o->present;
}

/* ---- into a state --------------------------------------------------------------------------------- */

/* Replaces what is at `at` (SIZE_MAX: nothing) by the object's content, or takes it out: the place is
 * left empty then, without a name, and closed by squeeze(). */
static int rule_into(struct policy_state *st, size_t at, const struct kobj *o, const char *who, int64_t now)
{
	struct rule *old = at == SIZE_MAX ? NULL : &st->rules[at], r = {};
	int e;

	if (!o->rule) {
		if (old)
			rule_done(old);
		return 0;
	}
	e = rule_copy(o->rule, &r);
	if (!e) {
		free(r.creator);
		r.creator = strdup(old && str_set(old->creator) ? old->creator : who);
		e = r.creator ? 0 : -ENOMEM;
	}
	r.id = old ? old->id : 0;
	r.created_ns = old ? old->created_ns : now;
	r.updated_ns = now;
	if (!e && old) {
		rule_done(old);
		*old = r;
		return 0;
	}
	e = e ?: state_rule_add(st, &r);
	rule_done(&r);
	return e;
}

static int mode_into(struct policy_state *st, size_t at, const struct kobj *o)
{
	struct mode_setting *old = at == SIZE_MAX ? NULL : &st->modes[at], m = {};
	int e;

	if (!o->mode) {
		if (old) {
			mode_setting_done(old);
			*old = (struct mode_setting){ .scope = MODE_WORKLOAD }; /* of no workload: see squeeze() */
		}
		return 0;
	}
	e = mode_setting_copy(o->mode, &m);
	if (e)
		return e;
	if (old) {
		mode_setting_done(old);
		*old = m;
		return 0;
	}
	e = state_mode_add(st, &m);
	mode_setting_done(&m);
	return e;
}

static int quarantine_into(struct policy_state *st, size_t at, const struct kobj *o, const char *who, int64_t now)
{
	struct quarantine *old = at == SIZE_MAX ? NULL : &st->quarantines[at], q = {};
	int e;

	if (!o->quarantine) {
		if (old)
			quarantine_done(old);
		return 0;
	}
	e = quarantine_copy(o->quarantine, &q);
	if (!e) {
		free(q.creator);
		q.creator = strdup(old && str_set(old->creator) ? old->creator : who);
		e = q.creator ? 0 : -ENOMEM;
	}
	q.since_ns = old ? old->since_ns : now;
	if (!e && old) {
		quarantine_done(old);
		*old = q;
		return 0;
	}
	e = e ?: state_quarantine_add(st, &q);
	quarantine_done(&q);
	return e;
}

static int policy_into(struct policy_state *st, size_t at, const struct kobj *o, const char *who, int64_t now)
{
	struct kpolicy *old = at == SIZE_MAX ? NULL : &st->kpolicies[at], p = {};
	int e;

	if (!o->policy) {
		if (old)
			kpolicy_done(old);
		return 0;
	}
	e = kpolicy_copy(o->policy, &p);
	if (!e) {
		free(p.creator);
		p.creator = strdup(old && str_set(old->creator) ? old->creator : who);
		e = p.creator ? 0 : -ENOMEM;
	}
	p.id = old ? old->id : 0;
	p.created_ns = old ? old->created_ns : now;
	p.updated_ns = now;
	if (!e && old) {
		kpolicy_done(old);
		*old = p;
		return 0;
	}
	e = e ?: state_kpolicy_add(st, &p);
	kpolicy_done(&p);
	return e;
}

static int into(struct policy_state *st, const struct kindex *ix, const struct kobj *o, const char *who, int64_t now)
{
	size_t at = kube_index_find(st, ix, o);

	switch (o->kind) {
	case CLUSTER_ACCESS_RULE:
	case CLUSTER_CLUSTER_ACCESS_RULE:
		return rule_into(st, at, o, who, now);
	case CLUSTER_NAMESPACE:
	case CLUSTER_MODE_PROFILE:
		return mode_into(st, at, o);
	case CLUSTER_QUARANTINE:
		return quarantine_into(st, at, o, who, now);
	default:
		return policy_into(st, at, o, who, now);
	}
}

/* Closes the places that were left empty. */
#define SQUEEZE(arr, n, empty) do {							\
	size_t to_ = 0;									\
	for (size_t i_ = 0; i_ < (n); i_++) {						\
		__typeof__(*(arr)) *x = &(arr)[i_];					\
		if (empty)								\
			continue;							\
		if (to_ != i_)								\
			(arr)[to_] = *x;						\
		to_++;									\
	}										\
	(n) = to_;									\
} while (0)

static void squeeze(struct policy_state *st)
{
	SQUEEZE(st->rules, st->nrules, !x->name);
	SQUEEZE(st->modes, st->nmodes, !x->name && x->scope == MODE_WORKLOAD && !x->workload);
	SQUEEZE(st->quarantines, st->nquarantines, !x->name);
	SQUEEZE(st->kpolicies, st->nkpolicies, !x->name);
}

/* ---- changes --------------------------------------------------------------------------------------- */

static const char *who_of(const struct kobj *o)
{
	return str_set(o->manager) ? o->manager : "kubernetes";
}

static char *what_of(struct kobj *const *v, size_t n)
{
	char ref[700];

	kube_obj_ref(v[0], ref);
	if (n > 1)
		return text_fmt("%zu objects of the cluster, %s first", n, ref);
	if (v[0]->kind == CLUSTER_NAMESPACE)
		return v[0]->hash ? text_fmt("%s, label mode %s", ref, cw_mode_str(v[0]->mode->mode)) :
				    text_fmt("%s, label mode taken away", ref);
	return text_fmt("%s %s", ref, v[0]->present ? "applied" : "deleted");
}

/* What a change did, in a sentence for the object's status. */
static char *plan_text(const cJSON *plan)
{
	const cJSON *need, *counts = json_get(plan, "accessCounts"), *flows = json_get(plan, "flowCounts");
	double breaks = json_num(counts, "breaks", 0), opens = json_num(counts, "opens", 0), cut = json_num(flows, "cut", 0);
	auto_free char *needs = strdup("");

	cJSON_ArrayForEach(need, json_get(plan, "needs")) {
		char *more = needs ? text_fmt("%s; %s (%s)", needs, json_str(need, "message") ?: "", json_str(need, "next") ?: "") :
				     NULL;

		free(needs);
		needs = more;
	}
	if (!counts)
		return text_fmt("%.0f live flows end%s", cut, needs ? needs : "");
	return text_fmt("%.0f recorded accesses break, %.0f open, %.0f live flows end%s", breaks, opens, cut,
			needs ? needs : "");
}

/* One change of all of v, with the same confirm window. 0 or a negative errno with faults. */
static int make_one(struct kube *k, struct kobj **v, size_t n, uint64_t confirm_ms, struct fail_list *f)
{
	struct controller *c = k->c;
	auto_cleanup(change_req_done) struct change_req q = {
		.who = who_of(v[0]), .via = "kubernetes", .accept_not_ready = true, .confirm_ms = (int64_t)confirm_ms,
		.no_replay = access_book_count(c->book) > REPLAY_ACCESSES_MAX,
	};
	auto_cleanup(kube_index_done) struct kindex ix = {};
	auto_free char *text = NULL;
	int64_t now = controller_now(c);
	cJSON *plan = NULL;
	int e = change_req_state(c, &q);

	if (!e && n >= INDEX_FROM)
		e = kube_index(&q.next, &ix);
	for (size_t i = 0; i < n && !e; i++)
		e = into(&q.next, &ix, v[i], who_of(v[i]), now);
	if (e)
		return e;
	squeeze(&q.next);
	q.what = what_of(v, n);
	k->committing = true;
	e = change_make(c, &q, f, &plan);
	k->committing = false;
	if (e) {
		cJSON_Delete(plan);
		return e;
	}
	text = json_bool(plan, "noop", false) ? NULL : plan_text(plan);
	for (size_t i = 0; i < n; i++) {
		agreed(k, v[i]);
		v[i]->ours = false;
		v[i]->came = c->state.generation;
		v[i]->window = confirm_ms ? c->state.generation : 0;
		kube_text_set(&v[i]->plan, text);
		kube_row(k, v[i]);
	}
	k->changes += !json_bool(plan, "noop", false);
	cJSON_Delete(plan);
	return 0;
}

/* What is wrong is not with the objects: all of them wait. */
static bool not_theirs(int e, const struct fail_list *f)
{
	if (e == -EBUSY)
		return !f->n || strcmp(f->items[0].name, "change.window-open");
	return e == -ENOMEM || e == -EIO || e == -EROFS || e == -ESTALE || e == -EAGAIN;
}

static void refuse(struct kube *k, struct kobj *o, int e, const struct fail_list *f)
{
	const char *name = f->n ? f->items[0].name : "change.refused", *text = f->n ? f->items[0].message : strerror(-e);
	bool again = o->refused && str_eq(o->refused, text);
	char ref[700];

	o->refused_ns = controller_now(k->c) + (int64_t)(not_theirs(e, f) ? KUBE_RETRY_MS : KUBE_REFUSED_MS) * 1000000;
	if (kube_text_set(&o->refused, text) || kube_text_set(&o->refused_name, name))
		log_warn(-ENOMEM, "the reason of a refusal is not kept; name='%s'", o->name);
	o->status_due = o->present;
	k->status_all = k->refused = true;
	if (!again)
		controller_note(k->c, "kubernetes.refused", NULL, who_of(o), "%s: %s", kube_obj_ref(o, ref), text);
}

/* All in one change; where that is refused, in halves, so that what is in order goes in. */
static void make(struct kube *k, struct kobj **v, size_t n, uint64_t confirm_ms)
{
	auto_cleanup(fail_list_done) struct fail_list f = {};
	int e;

	if (!n)
		return;
	e = make_one(k, v, n, confirm_ms, &f);
	if (!e)
		return;
	if (n == 1 || not_theirs(e, &f) || ++k->splits > KUBE_SPLITS_MAX) {
		for (size_t i = 0; i < n; i++)
			refuse(k, v[i], e, &f);
		return;
	}
	make(k, v, n / 2, confirm_ms);
	make(k, v + n / 2, n - n / 2, confirm_ms);
}

/* Without a window first: what reverts by itself must not take them along. */
static int by_window(const void *a, const void *b)
{
	const struct kobj *x = *(struct kobj *const *)a, *y = *(struct kobj *const *)b;
	uint64_t p = x->present ? x->confirm_ms : 0, q = y->present ? y->confirm_ms : 0;

	if (p != q)
		return p < q ? -1 : 1;
	return x->kind != y->kind ? (int)x->kind - (int)y->kind : 0;
}

static void make_all(struct kube *k, struct kobjs *l)
{
	if (l->n)
		qsort(l->v, l->n, sizeof(*l->v), by_window);
	k->splits = 0;
	for (size_t i = 0, to; i < l->n; i = to) {
		uint64_t ms = l->v[i]->present ? l->v[i]->confirm_ms : 0;

		for (to = i; to < l->n && (l->v[to]->present ? l->v[to]->confirm_ms : 0) == ms; to++)
			;
		make(k, l->v + i, to - i, ms < WINDOW_MIN_MS && ms ? WINDOW_MIN_MS : ms > WINDOW_MAX_MS ? WINDOW_MAX_MS : ms);
	}
}

/* ---- all that waits ------------------------------------------------------------------------------- */

static void settle_one(struct kube *k, struct kobj *o, const struct kindex *ix, struct kobjs *theirs)
{
	uint64_t here = kube_local_hash(&k->c->state, ix, o);

	switch (settle(k, o, here)) {
	case AGREED:
		agreed(k, o);
		break;
	case THEIRS:
		o->write = false;
		if (vec_push(theirs, o))
			o->refused_ns = controller_now(k->c) + KUBE_RETRY_MS * 1000000ll;
		break;
	case OURS:
		o->write = k->writes = true;
		kube_pump_soon(k);
		break;
	case BUSY:
		break;
	case LEFT:
		o->write = false;
		kube_row(k, o);
		o->status_due = o->present;
		k->status_all = true;
		break;
	}
}

void kube_settle(struct kube *k)
{
	auto_cleanup(kube_index_done) struct kindex ix = {};
	struct kobjs todo = k->todo, theirs = {};

	k->todo = (struct kobjs){};
	for (size_t i = 0; i < todo.n; i++)
		todo.v[i]->todo = false;
	if (todo.n >= INDEX_FROM && kube_index(&k->c->state, &ix))
		log_warn(-ENOMEM, "objects are compared without an index");
	for (size_t i = 0; i < todo.n; i++)
		settle_one(k, todo.v[i], &ix, &theirs);
	kube_index_done(&ix);
	make_all(k, &theirs);
	for (size_t i = 0; i < todo.n; i++)
		if (!todo.v[i]->row && !todo.v[i]->row_due && !todo.v[i]->present)
			kube_row(k, todo.v[i]); /* looks whether it can be forgotten */
	vec_done(&theirs);
	vec_done(&todo);
	kube_rows_save(k);
}

/* ---- what is here ------------------------------------------------------------------------------------- */

/* Names are no content: nothing changes but what later changes call it. */
static int name_modes(const struct kube *k, struct policy_state *st)
{
	if (!k->cfg.write_rules)
		return 0;
	for (size_t i = 0; i < st->nmodes; i++) {
		struct mode_setting *m = &st->modes[i];
		auto_cleanup(cJSON_Deletep) cJSON *doc = NULL;
		const char *name;
		bool taken = true;

		if (str_set(m->name))
			continue;
		doc = mode_doc_to_json(m);
		name = json_str(json_get(doc, "metadata"), "name");
		if (!name)
			return -ENOMEM;
		for (unsigned try = 1; taken; try++) {
			char *want = try == 1 ? strdup(name) : text_fmt("%.240s-%u", name, try);

			if (!want)
				return -ENOMEM;
			taken = false;
			for (size_t j = 0; j < st->nmodes && !taken; j++)
				taken = j != i && str_eq(st->modes[j].name, want);
			if (taken)
				free(want);
			else
				free(m->name), m->name = want;
		}
	}
	return 0;
}

int kube_name_modes(const struct kube *k, struct policy_state *next)
{
	return k ? name_modes(k, next) : 0;
}

int kube_settle_all(struct kube *k)
{
	struct policy_state *st = &k->c->state;
	const void *key;
	size_t it = 0, len;
	void *v;
	int e = name_modes(k, st);

	for (size_t i = 0; i < st->nrules && !e; i++)
		e = kube_obj_of_rule(k, &st->rules[i]) ? 0 : -ENOMEM;
	for (size_t i = 0; i < st->nmodes && !e; i++)
		if (str_set(st->modes[i].name))
			e = kube_obj_of_mode(k, &st->modes[i]) ? 0 : -ENOMEM;
	for (size_t i = 0; i < st->nquarantines && !e; i++)
		e = kube_obj_of_quarantine(k, &st->quarantines[i]) ? 0 : -ENOMEM;
	for (size_t i = 0; i < st->nkpolicies && !e; i++)
		e = kube_obj_of_policy(k, &st->kpolicies[i]) ? 0 : -ENOMEM;
	while (!e && htab_next(k->objs, &it, &key, &len, &v))
		kube_todo(k, v);
	return e;
}

/* ---- a change was made here ------------------------------------------------------------------------------ */

/* The window of a change ended, or its time did, without a person: what people wrote there is not
 * written over, but left out until it changes. */
static void by_itself(struct kube *k, struct kobj *o, const struct change_req *q, uint64_t here)
{
	uint64_t there = o->present ? o->hash : 0;

	if (there == here || !kube_followed(k, o->kind))
		return;
	if (o->deleted && !there) {
		o->base = 1; /* deleted there after the change: it goes again */
	} else if (!there || (o->ours && kube_writable(k, o))) {
		return; /* made here: the API server follows */
	} else if (!q->is_revert || (o->window && o->window == q->reverted)) {
		o->held = there;
		o->held_why = q->is_revert ? "Reverted" : "Expired";
		kube_row(k, o);
	} else {
		o->base = 0; /* came after that change: it comes back */
	}
}

static void changed(struct kube *k, struct kobj *o, const struct change_req *q, const struct kindex *ix)
{
	if (!o)
		return;
	if (q->via && (!strcmp(q->via, "confirm window") || !strcmp(q->via, "timer")))
		by_itself(k, o, q, kube_local_hash(&k->c->state, ix, o));
	kube_todo(k, o);
}

static struct kobj *obj_of_item(struct kube *k, const char *ref)
{
	const char *slash = strchr(ref, '/');
	auto_free char *ns = slash ? strndup(ref, (size_t)(slash - ref)) : NULL;

	/* "KIND/NS/NAME" and "KIND/NAME" of Kubernetes' own begin with a capital, as no name does. */
	if (*ref >= 'A' && *ref <= 'Z' && slash) {
		const char *rest = slash + 1, *second = strchr(rest, '/');
		auto_free char *pns = second ? strndup(rest, (size_t)(second - rest)) : NULL;

		for (int i = CLUSTER_NETWORK_POLICY; ns && i <= CLUSTER_CLUSTER_POLICY; i++)
			if (!strcmp(cluster_kind_str(i), ns))
				return kube_obj_make(k, i, pns, second ? second + 1 : rest);
		return NULL;
	}
	if (slash)
		return ns ? kube_obj_make(k, CLUSTER_ACCESS_RULE, ns, slash + 1) : NULL;
	return kube_obj_make(k, CLUSTER_CLUSTER_ACCESS_RULE, NULL, ref);
}

/* Modes and quarantines are few: all are looked at. */
static bool is_few(const struct kobj *o)
{
	return o->kind == CLUSTER_NAMESPACE || o->kind == CLUSTER_MODE_PROFILE || o->kind == CLUSTER_QUARANTINE;
}

void kube_committed(struct kube *k, const struct change_req *q, const struct change_items *items)
{
	auto_cleanup(kube_index_done) struct kindex ix = {};
	struct policy_state *st;
	const void *key;
	size_t it = 0, len;
	bool few = false;
	void *v;

	if (!k || k->committing || !k->ready)
		return;
	st = &k->c->state;
	for (size_t i = 0; i < items->n; i++)
		few = few || strcmp(items->v[i].kind, "rule");
	if ((few || items->n >= INDEX_FROM) && kube_index(st, &ix))
		log_warn(-ENOMEM, "a change is compared without an index");
	for (size_t i = 0; i < items->n; i++)
		if (items->v[i].op != '=' && !strcmp(items->v[i].kind, "rule"))
			changed(k, obj_of_item(k, items->v[i].name), q, &ix);
	for (size_t i = 0; i < st->nmodes && few; i++)
		if (str_set(st->modes[i].name))
			(void)kube_obj_of_mode(k, &st->modes[i]); /* seen below */
	for (size_t i = 0; i < st->nquarantines && few; i++)
		(void)kube_obj_of_quarantine(k, &st->quarantines[i]);
	while (few && htab_next(k->objs, &it, &key, &len, &v))
		if (is_few(v))
			changed(k, v, q, &ix);
}
