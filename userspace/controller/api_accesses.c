/* SPDX-License-Identifier: Apache-2.0 */
/* api_accesses.c - learned accesses: list, show, and the decisions about them. */
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "base/cleanup.h"
#include "controller/api_routes.h"
#include "controller/change.h"
#include "controller/filter.h"
#include "controller/judge.h"
#include "controller/view.h"

int api_access_list(struct api *a, cJSON **ret)
{
	auto_cleanup(filter_done) struct filter f = {};
	struct controller *c = a->c;
	size_t n = access_book_count(c->book), limit, shown = 0, answered = 0, attempted = 0, held = 0;
	struct list_meta m = { .scope = &f.ns };
	cJSON *items, *k;
	int e;

	e = filter_query(a, &f);
	e = e ?: api_q_limit(a, &limit);
	if (e)
		return e;
	items = cJSON_CreateArray();
	for (size_t i = 0; i < n; i++) {
		const struct access *x = access_book_at(c->book, i);

		if (!filter_access_matches(&f, x, &c->state))
			continue;
		held += access_state(x) == ACCESS_ST_HELD;
		/* A scan is told by its alert; its accesses are there for who asks for them. */
		if (access_in_scan(x) && !f.states)
			continue;
		m.total++;
		answered += x->c.answered != 0;
		attempted += !x->c.answered;
		if (shown < limit) {
			put_push(items, view_access(c, x, 0));
			shown++;
		}
	}
	m.since = f.since_ns;
	m.until = f.until_ns;
	m.truncated = m.total - shown;
	if (f.ns.n)
		for (size_t i = 0; i < f.ns.n; i++)
			m.lost += controller_loss(c, f.ns.v[i]);
	else
		m.lost = controller_loss(c, NULL);
	*ret = api_list(c, "AccessList", &m, items);
	k = *ret ? cJSON_AddObjectToObject(cJSON_GetObjectItemCaseSensitive(*ret, "meta"), "counts") : NULL;
	if (!k)
		return -ENOMEM;
	put_num(k, "answered", (double)answered);
	put_num(k, "attempted", (double)attempted);
	put_num(k, "held", (double)held);
	return 0;
}

static int no_access(struct api *a, const char *at, const char *id)
{
	char where[200];

	snprintf(where, sizeof(where), "%s: \"%.64s\"", at, id);
	return fail_add(&a->f, -ENOENT, "access.not-found", where,
			"an access id, or at least 4 digits of it that fit only one", "cellwall access list", "no such access");
}

int api_access_show(struct api *a, cJSON **ret)
{
	const char *id = http_request_param(a->rq, "id");
	const struct access *x = access_book_find(a->c->book, id);
	auto_cleanup(replay_index_done) struct replay_index ix = {};
	struct judge *j;
	cJSON *o, *arr;

	if (!x)
		return no_access(a, "path", id);
	o = view_access(a->c, x, VIEW_ACCESS_FULL);
	if (!o)
		return -ENOMEM;
	cJSON_AddStringToObject(o, "apiVersion", API_VERSION);
	cJSON_AddStringToObject(o, "kind", "Access");
	arr = cJSON_AddArrayToObject(o, "stillBlocked");
	if (!controller_judge(a->c, &a->f, &j) && !replay_index_init(&a->c->state, &ix))
		view_still_blocked(a->c, false, &ix, x, arr);
	*ret = o;
	return 0;
}

/* ---- decisions ------------------------------------------------------------------------------------ */

enum decide { CONFIRM, REJECT, UNDO };

static int skip(struct change_req *q, const struct access *x, const char *why)
{
	cJSON *o = cJSON_CreateObject();

	put_str(o, "id", x->id);
	put_str(o, "why", why);
	put_push(q->skipped, o);
	return 0;
}

/* Rules that an access became, whoever renamed them. */
static void drop_rules(struct policy_state *st, const struct access *x)
{
	char learned[40], rejected[40];

	snprintf(learned, sizeof(learned), "learned-%s", x->id);
	snprintf(rejected, sizeof(rejected), "rejected-%s", x->id);
	for (size_t i = st->nrules; i-- > 0;) {
		const struct rule *r = &st->rules[i];

		if (str_eq(r->access, x->id) ||
		    (!str_set(r->ns) && (str_eq(r->name, learned) || str_eq(r->name, rejected))))
			state_rule_del(st, i);
	}
}

static int decide_one(struct api *a, struct change_req *q, const struct access *x, enum decide d, bool bulk)
{
	enum access_state st = access_state(x);
	struct rule r = {};
	int e;

	if (d == UNDO) {
		if (x->decision == ACCESS_UNDECIDED)
			return skip(q, x, "not-decided");
		drop_rules(&q->next, x);
		return 0;
	}
	if (bulk && st == ACCESS_ST_HELD)
		return skip(q, x, x->hold == ACCESS_HELD_UNRESOLVED ? "unresolved" : "held");
	if (bulk && x->decision != ACCESS_UNDECIDED)
		return skip(q, x, "decided");
	if (bulk && d == CONFIRM && !x->c.answered)
		return skip(q, x, "not-answered");
	if (bulk && d == CONFIRM && !access_bulk_confirmable(x))
		return skip(q, x, "guessed");
	if (x->decision == (d == CONFIRM ? ACCESS_CONFIRMED : ACCESS_REJECTED))
		return skip(q, x, "decided");
	drop_rules(&q->next, x);
	e = access_rule(x, d == CONFIRM ? CW_ACT_ALLOW : CW_ACT_BLOCK, a->who, controller_now(a->c), &a->f, &r);
	if (e) /* a state of things, and an answer to a wrong question: neither is a fault of the server */
		return e == -EAGAIN ? -EBUSY : e == -EOPNOTSUPP ? -EINVAL : e;
	e = state_rule_add(&q->next, &r);
	rule_done(&r);
	return e;
}

static const char *from_object(const void *from, const char *name)
{
	const cJSON *i = json_get(from, name);

	if (cJSON_IsBool(i))
		return cJSON_IsTrue(i) ? "1" : "0";
	return cJSON_IsString(i) && *i->valuestring ? i->valuestring : NULL;
}

static int check_filter(struct api *a, const cJSON *o)
{
	const cJSON *i;
	char at[200];
	int e;

	if (!cJSON_IsObject(o))
		return fail_add(&a->f, -EINVAL, "body.type", "body.filter", "an object", NULL,
				"the field has the wrong type");
	e = body_only(&a->f, o, "body.filter", filter_keys);
	cJSON_ArrayForEach(i, o) {
		if (cJSON_IsString(i) || cJSON_IsBool(i))
			continue;
		snprintf(at, sizeof(at), "body.filter.%.100s", i->string);
		e = fail_add(&a->f, -EINVAL, "body.type", at, "a string", NULL, "the field has the wrong type");
	}
	if (!e && !from_object(o, "namespace"))
		e = fail_add(&a->f, -EINVAL, "scope.missing", "body.filter.namespace", "-n NS, or ids",
			     "cellwall access confirm -n NS --answered", "a change needs a scope");
	return e;
}

static int decide_ids(struct api *a, struct change_req *q, const cJSON *body, enum decide d)
{
	auto_cleanup(words_done) struct words ids = {};
	int e = body_words(&a->f, body, "body", "ids", true, &ids);

	for (size_t i = 0; i < ids.n; i++) {
		const struct access *x = access_book_find(a->c->book, ids.v[i]);
		char at[64];
		int r;

		snprintf(at, sizeof(at), "body.ids[%zu]", i);
		r = x ? decide_one(a, q, x, d, false) : no_access(a, at, ids.v[i]);
		e = e ?: r;
	}
	return e;
}

static int decide_filter(struct api *a, struct change_req *q, const cJSON *o, enum decide d)
{
	auto_cleanup(filter_done) struct filter f = {};
	size_t n = access_book_count(a->c->book);
	int e;

	e = check_filter(a, o);
	e = e ?: filter_read(&f, from_object, o, "body.filter", a->c, &a->f);
	for (size_t i = 0; i < n && !e; i++) {
		const struct access *x = access_book_at(a->c->book, i);

		if (filter_access_matches(&f, x, &a->c->state))
			e = decide_one(a, q, x, d, true);
	}
	return e;
}

static int note_confirming(struct change_req *q, const struct policy_state *now)
{
	size_t n = 0;

	q->confirming.v = calloc(q->next.nrules ? q->next.nrules : 1, sizeof(char *));
	if (!q->confirming.v)
		return -ENOMEM;
	for (size_t i = 0; i < q->next.nrules; i++) {
		const struct rule *r = &q->next.rules[i];

		if (r->origin != ORIGIN_LEARNED || !str_set(r->access) || state_rule(now, r->ns, r->name))
			continue;
		q->confirming.v[n] = strdup(r->access);
		if (!q->confirming.v[n])
			return -ENOMEM;
		q->confirming.n = ++n;
	}
	return 0;
}

static int decide(struct api *a, enum decide d, cJSON **ret)
{
	static const char *const keys[] = { "ids", "filter", NULL };
	static const char *const word[] = { "confirm", "reject", "undo" };
	auto_cleanup(change_req_done) struct change_req q = {};
	auto_cleanup(cJSON_Deletep) cJSON *body = NULL;
	size_t before;
	int e;

	e = api_body(a, keys, true, &body);
	if (!e && !json_get(body, "ids") == !json_get(body, "filter"))
		e = fail_add(&a->f, -EINVAL, "scope.missing", "body", "ids or filter",
			     "cellwall access list", "either ids or a filter must say which accesses are meant");
	e = e ?: change_req_begin(a, &q);
	if (e)
		return e;
	q.skipped = cJSON_CreateArray();
	before = q.next.nrules;
	e = json_get(body, "ids") ? decide_ids(a, &q, body, d) : decide_filter(a, &q, json_get(body, "filter"), d);
	e = e ?: d == CONFIRM ? note_confirming(&q, &a->c->state) : 0;
	if (e)
		return e;
	q.what = text_fmt("access %s, %zu rules", word[d],
			  q.next.nrules > before ? q.next.nrules - before : before - q.next.nrules);
	return change_run(a, &q, ret);
}

int api_access_confirm(struct api *a, cJSON **ret)
{
	return decide(a, CONFIRM, ret);
}

int api_access_reject(struct api *a, cJSON **ret)
{
	return decide(a, REJECT, ret);
}

int api_access_undo(struct api *a, cJSON **ret)
{
	return decide(a, UNDO, ret);
}
