/* SPDX-License-Identifier: Apache-2.0 */
#include "controller/rule_apply.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "base/cleanup.h"
#include "controller/kpolicies.h"

static int read_one(const cJSON *o, size_t i, struct fail_list *f, struct rule_docs *d)
{
	static const char *const keys[] = { "file", "text", NULL };
	const char *file = NULL, *text = NULL;
	char at[64], next[600];
	int e;

	snprintf(at, sizeof(at), "body.documents[%zu]", i);
	if (!cJSON_IsObject(o))
		return fail_add(f, -EINVAL, "body.type", at, "an object with file and text", NULL,
				"the field has the wrong type");
	e = body_only(f, o, at, keys);
	e = e ?: body_str(f, o, at, "file", true, 4095, &file);
	e = e ?: body_str(f, o, at, "text", true, JSON_BYTES_MAX, &text);
	if (e)
		return e;
	snprintf(next, sizeof(next), "cellwall rule apply -f %.500s --dry-run", file);
	return rule_docs_parse(file, text, strlen(text), next, f, d);
}

int rule_apply_read(const cJSON *body, bool required, struct fail_list *f, struct rule_docs *ret, size_t *ret_files)
{
	const cJSON *arr = json_get(body, "documents"), *i;
	struct rule_docs d = {};
	size_t n = 0;
	int e = 0;

	if (!arr && !required)
		return 0;
	if (!arr || !cJSON_IsArray(arr) || (size_t)cJSON_GetArraySize(arr) > APPLY_FILES_MAX || (required && !arr->child))
		return fail_add(f, -EINVAL, arr ? "body.type" : "body.missing", "body.documents",
				"a list of {file, text}, at least one", NULL, "there are no documents");
	cJSON_ArrayForEach(i, arr) {
		int r = read_one(i, n++, f, &d);

		e = e ?: r;
	}
	if (!e && (d.nworkloads || d.nnamespaces || d.nservices))
		e = fail_add(f, -EINVAL, "rule.kind", d.nworkloads ? d.workloads_at[0].file :
				     d.nnamespaces ? d.namespaces_at[0].file : d.services_at[0].file,
			     "AccessRule, ClusterAccessRule, ModeProfile, Quarantine or a Kubernetes policy", "cellwall workload add",
			     "workloads, namespaces and services are declared on their own");
	if (e) {
		rule_docs_done(&d);
		return e;
	}
	*ret = d;
	*ret_files = n;
	return 0;
}

static int give_text(char **to, const char *s)
{
	if (!str_set(s))
		return 0;
	free(*to);
	*to = strdup(s);
	return *to ? 0 : -ENOMEM;
}

static int put_rule(const struct rule *doc, const char *who, int64_t now, struct policy_state *next)
{
	struct rule *old = (struct rule *)state_rule(next, doc->ns, doc->name), r = {};
	int e, same;

	if (old) {
		same = rule_same(old, doc);
		if (same)
			return same < 0 ? same : 0;
	}
	e = rule_copy(doc, &r);
	if (!e)
		e = give_text(&r.creator, old && str_set(old->creator) ? old->creator : who);
	if (e) {
		rule_done(&r);
		return e;
	}
	r.id = old ? old->id : 0;
	r.created_ns = old ? old->created_ns : now;
	r.updated_ns = now;
	if (old) {
		rule_done(old);
		*old = r;
		return 0;
	}
	e = state_rule_add(next, &r);
	rule_done(&r);
	return e;
}

static int put_mode(const struct mode_setting *doc, struct policy_state *next)
{
	struct mode_setting m = {};
	int e = mode_setting_copy(doc, &m);

	if (e)
		return e;
	for (size_t i = 0; i < next->nmodes; i++) {
		struct mode_setting *o = &next->modes[i];

		if (str_set(o->name) && str_set(m.name) && str_eq(o->name, m.name))
			goto take; /* it may speak of something else now */
		/* One set by command is taken over; another profile stays beside this one. */
		if (str_set(o->name) && str_set(m.name))
			continue;
		if (o->scope != m.scope || !str_eq(o->ns, m.ns) || !str_eq(o->workload, m.workload) ||
		    !str_eq(o->controller_name, m.controller_name) ||
		    (m.scope == MODE_CONTROLLER && !same_kind(o->controller_kind, m.controller_kind)))
			continue;
take:
		mode_setting_done(o);
		*o = m;
		return 0;
	}
	e = state_mode_add(next, &m);
	mode_setting_done(&m);
	return e;
}

static int put_quarantine(const struct quarantine *doc, const char *who, int64_t now, struct policy_state *next)
{
	struct quarantine q = {};
	int e = quarantine_copy(doc, &q);

	e = e ?: give_text(&q.creator, who);
	q.since_ns = now;
	for (size_t i = 0; i < next->nquarantines && !e; i++) {
		struct quarantine *o = &next->quarantines[i];

		if (!str_eq(o->name, q.name))
			continue;
		q.since_ns = o->since_ns;
		e = give_text(&q.creator, o->creator);
		quarantine_done(o);
		*o = q;
		return e;
	}
	e = e ?: state_quarantine_add(next, &q);
	quarantine_done(&q);
	return e;
}

static bool in_docs(const struct rule_docs *d, const struct rule *r)
{
	for (size_t i = 0; i < d->nrules; i++)
		if (str_eq(d->rules[i].name, r->name) && str_eq(d->rules[i].ns, r->ns))
			return true;
	return false;
}

int rule_apply_docs(const struct rule_docs *d, bool prune, const char *who, int64_t now, struct policy_state *next,
		    struct words *touched)
{
	int e = 0;

	if (touched) {
		touched->v = calloc(d->nrules + d->nkpolicies + 1, sizeof(char *));
		if (!touched->v)
			return -ENOMEM;
	}
	for (size_t i = 0; i < d->nrules && !e; i++) {
		e = put_rule(&d->rules[i], who, now, next);
		if (!e && touched) {
			touched->v[i] = rule_ref(&d->rules[i]);
			e = touched->v[i] ? 0 : -ENOMEM;
			touched->n = i + !e;
		}
	}
	for (size_t i = 0; i < d->nkpolicies && !e; i++) {
		e = kpolicy_put(&d->kpolicies[i], who, now, next);
		if (!e && touched) {
			touched->v[touched->n] = kpolicy_path(&d->kpolicies[i]);
			e = touched->v[touched->n] ? 0 : -ENOMEM;
			touched->n += !e;
		}
	}
	for (size_t i = 0; i < d->nmodes && !e; i++)
		e = put_mode(&d->modes[i], next);
	for (size_t i = 0; i < d->nquarantines && !e; i++)
		e = put_quarantine(&d->quarantines[i], who, now, next);
	for (size_t i = next->nrules; i-- > 0 && prune && !e;)
		if (next->rules[i].origin == ORIGIN_MANUAL && !in_docs(d, &next->rules[i]))
			state_rule_del(next, i);
	return e;
}

void rule_apply_number(struct policy_state *next)
{
	uint32_t n = RULE_CANDIDATE_IDS;

	for (size_t i = 0; i < next->nrules; i++)
		if (!next->rules[i].id)
			next->rules[i].id = n++;
	for (size_t i = 0; i < next->nkpolicies; i++)
		if (!next->kpolicies[i].id)
			next->kpolicies[i].id = n++;
}
