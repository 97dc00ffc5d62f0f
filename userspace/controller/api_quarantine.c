/* SPDX-License-Identifier: Apache-2.0 */
/* api_quarantine.c - cut off now, let go again. */
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "base/cleanup.h"
#include "base/strparse.h"
#include "controller/api_routes.h"
#include "controller/change.h"

#define QUARANTINE_MAX_MS (3660ull * 24 * 3600 * 1000)
#define QUARANTINE_ALLOW_MAX 64u

static cJSON *view_quarantine(const struct controller *c, const struct quarantine *q)
{
	cJSON *o = cJSON_CreateObject(), *arr, *k, *ports;
	char p[PREFIX_STR_MAX];

	put_str(o, "name", q->name);
	put_free(o, "ref", quarantine_ref(q));
	put_str_null(o, "uid", q->uid);
	put_str(o, "reason", q->reason);
	put_str(o, "creator", q->creator);
	put_time(o, "since", q->since_ns);
	put_time(o, "until", q->until_ns);
	arr = cJSON_AddArrayToObject(o, "allow");
	for (size_t i = 0; i < q->nallow; i++) {
		k = cJSON_CreateObject();
		put_str(k, "cidr", prefix_str(&q->allow[i].cidr, p));
		ports = cJSON_AddArrayToObject(k, "ports");
		for (size_t n = 0; n < q->allow[i].nports; n++) {
			auto_free char *t = port_spec_str(&q->allow[i].ports[n]);

			put_push(ports, cJSON_CreateString(t ? t : ""));
		}
		put_push(arr, k);
	}
	arr = cJSON_AddArrayToObject(o, "workloads");
	for (size_t i = 0; i < c->state.nworkloads; i++) {
		auto_free char *ref = quarantine_matches(q, &c->state.workloads[i]) ?
			workload_pod_ref(&c->state.workloads[i]) : NULL;

		if (ref)
			put_push(arr, cJSON_CreateString(ref));
	}
	return o;
}

int api_quarantine_list(struct api *a, cJSON **ret)
{
	auto_cleanup(words_done) struct words ns = {};
	struct list_meta m = { .scope = &ns };
	cJSON *items;

	if (api_q_words(a, "namespace", &ns))
		return -ENOMEM;
	items = cJSON_CreateArray();
	for (size_t i = 0; i < a->c->state.nquarantines; i++) {
		const struct quarantine *q = &a->c->state.quarantines[i];

		if (ns.n && !words_have(&ns, q->ns))
			continue;
		put_push(items, view_quarantine(a->c, q));
		m.total++;
	}
	*ret = api_list(a->c, "QuarantineList", &m, items);
	return *ret ? 0 : -ENOMEM;
}

static int read_until(struct api *a, const cJSON *body, int64_t now, int64_t *ret)
{
	const char *dur = NULL, *until = NULL;
	char at[160];
	uint64_t ms;
	int e;

	e = body_str(&a->f, body, "body", "for", false, 64, &dur);
	e = e ?: body_str(&a->f, body, "body", "until", false, 64, &until);
	if (e)
		return e;
	if (dur && until)
		return fail_add(&a->f, -EINVAL, "quarantine.until", "body.until", "for or until, not both", NULL,
				"two ends are given");
	if (dur) {
		if (parse_duration_ms(dur, QUARANTINE_MAX_MS, &ms) || !ms) {
			snprintf(at, sizeof(at), "body.for: \"%.60s\"", dur);
			return fail_add(&a->f, -EINVAL, "quarantine.for", at, "a duration such as 24h", NULL,
					"this is not a duration");
		}
		*ret = now + (int64_t)ms * 1000000;
	} else if (until) {
		snprintf(at, sizeof(at), "body.until: \"%.60s\"", until);
		if (parse_time_ns(until, ret))
			return fail_add(&a->f, -EINVAL, "quarantine.until", at, "2026-03-13T08:33:00Z", NULL,
					"this is not a time");
		if (*ret <= now)
			return fail_add(&a->f, -EINVAL, "quarantine.until", at, "a time to come", NULL,
					"the quarantine would have ended already");
	}
	return 0;
}

static int read_allow_one(struct api *a, const cJSON *o, const char *at, struct quarantine *q)
{
	static const char *const keys[] = { "cidr", "ports", NULL };
	auto_cleanup(words_done) struct words ports = {};
	__typeof__(*q->allow) *slot;
	const char *cidr = NULL;
	char where[200];
	int e;

	if (!cJSON_IsObject(o))
		return fail_add(&a->f, -EINVAL, "body.type", at, "an object with cidr and ports", NULL,
				"the field has the wrong type");
	e = body_only(&a->f, o, at, keys);
	e = e ?: body_str(&a->f, o, at, "cidr", true, 64, &cidr);
	e = e ?: body_words(&a->f, o, at, "ports", false, &ports);
	if (e)
		return e;
	slot = reallocarray(q->allow, q->nallow + 1, sizeof(*slot));
	if (!slot)
		return -ENOMEM;
	q->allow = slot;
	slot += q->nallow++;
	memset(slot, 0, sizeof(*slot));
	if (prefix_parse(cidr, &slot->cidr)) {
		snprintf(where, sizeof(where), "%s.cidr: \"%.60s\"", at, cidr);
		return fail_add(&a->f, -EINVAL, "rule.cidr", where, "an address or CIDR without host bits", NULL,
				"this is not a CIDR");
	}
	slot->ports = calloc(ports.n ? ports.n : 1, sizeof(*slot->ports));
	if (!slot->ports)
		return -ENOMEM;
	for (size_t i = 0; i < ports.n; i++) {
		if (port_spec_parse(ports.v[i], &slot->ports[i])) {
			snprintf(where, sizeof(where), "%s.ports[%zu]: \"%.60s\"", at, i, ports.v[i]);
			return fail_add(&a->f, -EINVAL, "rule.port", where, "tcp/22, tcp/8000-8100, icmp/echo-request", NULL,
					"this is not a port");
		}
		slot->nports = i + 1;
	}
	return 0;
}

static int read_allow(struct api *a, const cJSON *body, struct quarantine *q)
{
	const cJSON *arr = json_get(body, "allow"), *i;
	char at[64];
	int e = 0;

	if (!arr)
		return 0;
	if (!cJSON_IsArray(arr) || (size_t)cJSON_GetArraySize(arr) > QUARANTINE_ALLOW_MAX)
		return fail_add(&a->f, -EINVAL, "body.type", "body.allow", "a list of at most 64 exceptions", NULL,
				"the field has the wrong type");
	cJSON_ArrayForEach(i, arr) {
		snprintf(at, sizeof(at), "body.allow[%zu]", q->nallow);
		e = read_allow_one(a, i, at, q);
		if (e)
			return e;
	}
	return 0;
}

static int take_text(char **to, const char *s)
{
	free(*to);
	*to = str_set(s) ? strdup(s) : NULL;
	return str_set(s) && !*to ? -ENOMEM : 0;
}

static int read_target(struct api *a, const cJSON *body, struct quarantine *q)
{
	auto_cleanup(ref_done) struct ref r = {};
	const struct workload *w[1];
	const char *text = NULL;
	char at[700];
	int e;

	e = body_str(&a->f, body, "body", "ref", true, REF_MAX, &text);
	e = e ?: ref_parse(text, "body.ref", false, &a->f, &r);
	if (e)
		return e;
	if (r.kind != REF_WORKLOAD && r.kind != REF_CONTROLLER) {
		snprintf(at, sizeof(at), "body.ref: \"%.100s\"", text);
		return fail_add(&a->f, -EINVAL, "quarantine.target", at, "NS/pod/NAME or NS/deploy/NAME", NULL,
				"only a pod or a controller can be cut off");
	}
	e = api_ref_exists(a, &r, "body.ref");
	e = e ?: take_text(&q->ns, r.ns);
	if (e)
		return e;
	if (r.kind == REF_CONTROLLER)
		return take_text(&q->controller_kind, r.ctrl_kind) ?: take_text(&q->controller_name, r.name);
	ref_find(&r, &a->c->state, w, 1);
	/* This sandbox, not a successor of the same name. */
	return take_text(&q->pod, r.name) ?: take_text(&q->uid, w[0]->uid);
}

static const struct quarantine *same_target(const struct policy_state *st, const struct quarantine *q)
{
	for (size_t i = 0; i < st->nquarantines; i++) {
		const struct quarantine *o = &st->quarantines[i];

		if (str_eq(o->ns, q->ns) && str_eq(o->pod, q->pod) && str_eq(o->uid, q->uid) &&
		    str_eq(o->controller_name, q->controller_name) &&
		    (!str_set(q->controller_name) || same_kind(o->controller_kind, q->controller_kind)))
			return o;
	}
	return NULL;
}

static bool name_taken(const struct policy_state *st, const char *name)
{
	for (size_t i = 0; i < st->nquarantines; i++)
		if (str_eq(st->quarantines[i].name, name))
			return true;
	return false;
}

/* "rogue-20260312", with a number when that is taken. */
static int name_it(struct api *a, const cJSON *body, struct quarantine *q)
{
	const char *given = NULL, *base = str_set(q->pod) ? q->pod : q->controller_name;
	char day[32], name[300], at[160];
	int e = body_str(&a->f, body, "body", "name", false, 253, &given);

	if (e)
		return e;
	if (given) {
		snprintf(at, sizeof(at), "body.name: \"%.100s\"", given);
		if (!is_dns_name(given))
			return fail_add(&a->f, -EINVAL, "quarantine.name", at, "a DNS name", NULL, "this is not a name");
		if (name_taken(&a->c->state, given))
			return fail_add(&a->f, -EEXIST, "quarantine.exists", at, "a name that is free",
					"cellwall quarantine list", "a quarantine of this name exists");
		return take_text(&q->name, given);
	}
	time_str(q->since_ns, day);
	snprintf(name, sizeof(name), "%.230s-%.4s%.2s%.2s", base, day, day + 5, day + 8);
	for (unsigned i = 2; name_taken(&a->c->state, name); i++)
		snprintf(name, sizeof(name), "%.230s-%.4s%.2s%.2s-%u", base, day, day + 5, day + 8, i);
	return take_text(&q->name, name);
}

int api_quarantine_add(struct api *a, cJSON **ret)
{
	static const char *const keys[] = { "ref", "reason", "for", "until", "name", "allow", NULL };
	auto_cleanup(quarantine_done) struct quarantine n = {};
	auto_cleanup(change_req_done) struct change_req q = {};
	auto_cleanup(cJSON_Deletep) cJSON *body = NULL;
	auto_free char *ref = NULL;
	const struct quarantine *old;
	const char *reason = NULL;
	int e;

	n.since_ns = controller_now(a->c);
	e = api_body(a, keys, true, &body);
	e = e ?: body_str(&a->f, body, "body", "reason", true, API_TEXT_MAX, &reason);
	e = e ?: read_until(a, body, n.since_ns, &n.until_ns);
	e = e ?: read_allow(a, body, &n);
	e = e ?: read_target(a, body, &n);
	e = e ?: take_text(&n.reason, reason) ?: take_text(&n.creator, a->who);
	e = e ?: change_req_begin(a, &q);
	if (e)
		return e;
	ref = quarantine_ref(&n);
	old = same_target(&q.next, &n);
	if (old) { /* again: the new reason, end and exceptions hold, under the old name */
		e = take_text(&n.name, old->name);
		n.since_ns = old->since_ns;
		state_quarantine_del(&q.next, (size_t)(old - q.next.quarantines));
	} else {
		e = name_it(a, body, &n);
	}
	e = e ?: state_quarantine_add(&q.next, &n);
	if (e)
		return e;
	q.what = text_fmt("quarantine %s", ref ? ref : "");
	q.undo = text_fmt("cellwall quarantine release %s", ref ? ref : "");
	if (!ref || !q.undo)
		return -ENOMEM;
	q.keep_window = true;
	return change_run(a, &q, ret);
}

int api_quarantine_release(struct api *a, cJSON **ret)
{
	static const char *const keys[] = { "refs", NULL };
	auto_cleanup(change_req_done) struct change_req q = {};
	auto_cleanup(cJSON_Deletep) cJSON *body = NULL;
	auto_cleanup(words_done) struct words refs = {};
	int e;

	e = api_body(a, keys, true, &body);
	e = e ?: body_words(&a->f, body, "body", "refs", true, &refs);
	e = e ?: change_req_begin(a, &q);
	for (size_t i = 0; i < refs.n && !e; i++) {
		auto_cleanup(ref_done) struct ref r = {};
		bool is_ref = !ref_parse(refs.v[i], NULL, false, NULL, &r);
		auto_free char *text = is_ref ? ref_text(&r) : NULL;
		bool found = false;
		char at[700];

		for (size_t k = q.next.nquarantines; k-- > 0;) {
			auto_free char *ref = quarantine_ref(&q.next.quarantines[k]);

			if (!str_eq(q.next.quarantines[k].name, refs.v[i]) && !(text && ref && !strcmp(text, ref)))
				continue;
			state_quarantine_del(&q.next, k);
			found = true;
		}
		snprintf(at, sizeof(at), "body.refs[%zu]: \"%s\"", i, refs.v[i]);
		if (!found)
			e = fail_add(&a->f, -ENOENT, "quarantine.not-found", at, "what is quarantined, by REF or name",
				     "cellwall quarantine list", "this is not quarantined");
	}
	if (e)
		return e;
	q.what = text_fmt("quarantine release %s%s", refs.v[0], refs.n > 1 ? " and others" : "");
	q.keep_window = true;
	return change_run(a, &q, ret);
}
