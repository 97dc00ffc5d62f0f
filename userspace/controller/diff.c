/* SPDX-License-Identifier: Apache-2.0 */
/* diff.c - what differs between two states, as the lines of a plan. Pure. */
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "base/cleanup.h"
#include "base/strparse.h"
#include "base/vec.h"
#include "controller/change.h"
#include "controller/kpolicies.h"
#include "controller/rule_view.h"

void change_items_done(struct change_items *l)
{
	for (size_t i = 0; i < l->n; i++) {
		struct change_item *it = &l->v[i];

		free(it->name);
		free(it->origin);
		free(it->field);
		free(it->was);
		free(it->becomes);
		free(it->summary);
	}
	vec_done(l);
}

struct change_item *change_items_add(struct change_items *l, char op, const char *kind, const char *name)
{
	struct change_item it = { .op = op, .kind = kind, .name = strdup(name ? name : "") };

	if (!it.name || vec_push(l, it)) {
		free(it.name);
		return NULL;
	}
	return &l->v[l->n - 1];
}

static int text(char **to, const char *s)
{
	*to = strdup(s ? s : "");
	return *to ? 0 : -ENOMEM;
}

static char *text_of(const char *s)
{
	return strdup(s ? s : "");
}

static char *rule_key(const struct rule *r)
{
	char *s = NULL;

	return asprintf(&s, "%s/%s", r->ns ? r->ns : "", r->name) < 0 ? NULL : s;
}

/* ---- rules --------------------------------------------------------------------------------- */

static bool rule_acts(const struct rule *r)
{
	return r->enabled && r->mode == CW_MODE_ENFORCE;
}

struct field_diff { const char *field; char *was, *becomes; };

static void field_diff_set(struct field_diff *d, const char *field, char *was, char *becomes)
{
	if (str_eq(was, becomes)) {
		free(was);
		free(becomes);
		return;
	}
	if (d->field) { /* more than one: named together, the texts stay the first one's */
		free(was);
		free(becomes);
		return;
	}
	*d = (struct field_diff){ field, was, becomes };
}

static unsigned rule_fields(const struct rule *a, const struct rule *b, struct field_diff *d, char **ret_names)
{
	struct { const char *name; char *was, *becomes; } f[] = {
		{ "action", text_of(cw_action_str(a->action)), text_of(cw_action_str(b->action)) },
		{ "from", selectors_text(a->from, a->nfrom), selectors_text(b->from, b->nfrom) },
		{ "to", selectors_text(a->to, a->nto), selectors_text(b->to, b->nto) },
		{ "ports", ports_text(a->ports, a->nports), ports_text(b->ports, b->nports) },
		{ "enabled", text_of(a->enabled ? "true" : "false"), text_of(b->enabled ? "true" : "false") },
		{ "mode", text_of(cw_mode_str(a->mode)), text_of(cw_mode_str(b->mode)) },
		{ "reject", text_of(a->reject ? "true" : "false"), text_of(b->reject ? "true" : "false") },
		{ "origin", text_of(rule_origin_str(a->origin)), text_of(rule_origin_str(b->origin)) },
		{ "labels", labels_str(&a->labels), labels_str(&b->labels) },
	};
	unsigned n = 0;
	char names[128] = "";
	size_t len = 0;

	for (size_t i = 0; i < ARRAY_SIZE(f); i++) {
		if (!str_eq(f[i].was, f[i].becomes)) {
			len += (size_t)snprintf(names + len, sizeof(names) - len, "%s%s", n ? "," : "", f[i].name);
			n++;
		}
		field_diff_set(d, f[i].name, f[i].was, f[i].becomes);
	}
	*ret_names = strdup(names);
	return n;
}

static int diff_rule(const struct rule *a, const struct rule *b, bool touched, struct change_items *l)
{
	auto_free char *ref = rule_ref(b ? b : a);
	struct field_diff d = {};
	struct change_item *it;
	char *names = NULL;
	unsigned n = 1;

	if (!ref)
		return -ENOMEM;
	if (a && b) {
		n = rule_fields(a, b, &d, &names);
		if (!n && !touched) {
			free(names);
			return 0;
		}
	}
	it = change_items_add(l, !a ? '+' : !b ? '-' : n ? '~' : '=', "rule", ref);
	if (!it) {
		free(d.was);
		free(d.becomes);
		free(names);
		return -ENOMEM;
	}
	it->field = n && a && b ? names : (free(names), NULL);
	it->was = d.was;
	it->becomes = d.becomes;
	if (n != 1) { /* several fields: the summaries tell */
		free(it->was);
		free(it->becomes);
		it->was = a && b && n ? rule_text(a) : NULL;
		it->becomes = a && b && n ? rule_text(b) : NULL;
	}
	it->summary = rule_text(b ? b : a);
	if (!a)
		it->tightens = rule_acts(b) && b->action == CW_ACT_BLOCK;
	else if (!b)
		it->tightens = rule_acts(a) && a->action != CW_ACT_BLOCK;
	else if (n == 1 && !strcmp(it->field, "enabled"))
		it->tightens = b->enabled == (b->action == CW_ACT_BLOCK) && b->mode == CW_MODE_ENFORCE;
	else
		it->tightens = n && (rule_acts(a) || rule_acts(b));
	return text(&it->origin, rule_origin_str((b ? b : a)->origin));
}

static int diff_rules(const struct policy_state *old, const struct policy_state *next,
		      const struct words *touched, struct change_items *l)
{
	struct htab *was = htab_new();
	int e = was ? 0 : -ENOMEM;

	for (size_t i = 0; i < old->nrules && !e; i++) {
		auto_free char *k = rule_key(&old->rules[i]);

		e = k ? htab_set(was, k, strlen(k), &old->rules[i], NULL) : -ENOMEM;
	}
	for (size_t i = 0; i < next->nrules && !e; i++) {
		const struct rule *b = &next->rules[i];
		auto_free char *k = rule_key(b), *ref = rule_ref(b);

		if (!k || !ref)
			e = -ENOMEM;
		else
			e = diff_rule(htab_del(was, k, strlen(k)), b, touched && words_have(touched, ref), l);
	}
	for (size_t i = 0; i < old->nrules && !e; i++) {
		auto_free char *k = rule_key(&old->rules[i]);

		if (k && htab_has(was, k, strlen(k)))
			e = diff_rule(&old->rules[i], NULL, false, l);
	}
	htab_free(was, NULL);
	return e;
}

/* ---- modes ----------------------------------------------------------------------------------- */

/* Profiles are told apart by their names: several may speak of one target. A command has none. */
static bool same_target(const struct mode_setting *a, const struct mode_setting *b)
{
	if (str_set(a->name) && str_set(b->name) && !str_eq(a->name, b->name))
		return false;
	return a->scope == b->scope && str_eq(a->ns, b->ns) && str_eq(a->workload, b->workload) &&
	       str_eq(a->controller_name, b->controller_name) &&
	       (!str_set(a->controller_name) || same_kind(a->controller_kind, b->controller_kind));
}

static bool setting_covers(const struct mode_setting *m, const struct workload *w)
{
	switch (m->scope) {
	case MODE_CLUSTER:
		return true;
	case MODE_NAMESPACE:
		return str_eq(m->ns, w->ns);
	case MODE_CONTROLLER:
		return str_eq(m->ns, w->ns) && same_kind(m->controller_kind, w->controller_kind) &&
		       str_eq(m->controller_name, w->controller_name);
	case MODE_WORKLOAD:
		return str_eq(m->ns, w->ns) && str_eq(m->workload, w->name);
	}
	return false;
}

/* The mode that holds at the target itself, in a state. */
static void target_mode(const struct policy_state *st, const struct mode_setting *m, enum cw_mode *mode,
			enum cw_action *dflt)
{
	/* m is of an array that has it: NOLINTNEXTLINE(clang-analyzer-core.NullDereference) */
	struct workload w = { .ns = m->ns, .controller_kind = m->controller_kind,
			      .controller_name = m->controller_name, .name = m->workload };
	const struct mode_setting *from;
	const struct workload *real = m->scope == MODE_WORKLOAD ? state_workload(st, m->ns, m->workload) : NULL;

	policy_state_mode(st, real ? real : &w, mode, dflt, &from);
}

static int diff_mode(const struct policy_state *old, const struct policy_state *next,
		     const struct mode_setting *m, const struct mode_setting *a, const struct mode_setting *b,
		     struct change_items *l)
{
	auto_free char *ref = mode_setting_ref(m);
	enum cw_mode mode[2];
	enum cw_action dflt[2];
	struct change_item *it;
	char was[64], becomes[64];

	if (a && b && a->mode == b->mode && a->dflt == b->dflt)
		return 0;
	target_mode(old, m, &mode[0], &dflt[0]);
	target_mode(next, m, &mode[1], &dflt[1]);
	it = ref ? change_items_add(l, !a ? '+' : !b ? '-' : '~', "mode", ref) : NULL;
	if (!it)
		return -ENOMEM;
	if (dflt[0] != dflt[1]) {
		snprintf(was, sizeof(was), "%s, default %s", cw_mode_str(mode[0]), cw_action_str(dflt[0]));
		snprintf(becomes, sizeof(becomes), "%s, default %s", cw_mode_str(mode[1]), cw_action_str(dflt[1]));
	} else {
		snprintf(was, sizeof(was), "%s", cw_mode_str(mode[0]));
		snprintf(becomes, sizeof(becomes), "%s", cw_mode_str(mode[1]));
	}
	for (size_t i = 0; i < next->nworkloads; i++)
		it->workloads += setting_covers(m, &next->workloads[i]);
	it->tightens = mode[1] == CW_MODE_ENFORCE &&
		       (mode[0] != CW_MODE_ENFORCE || (dflt[1] == CW_ACT_BLOCK && dflt[0] != CW_ACT_BLOCK));
	return text(&it->was, was) ?: text(&it->becomes, becomes);
}

static int diff_modes(const struct policy_state *old, const struct policy_state *next, struct change_items *l)
{
	int e = 0;

	for (size_t i = 0; i < next->nmodes && !e; i++) {
		const struct mode_setting *a = NULL;

		for (size_t k = 0; k < old->nmodes; k++)
			if (same_target(&old->modes[k], &next->modes[i]))
				a = &old->modes[k];
		e = diff_mode(old, next, &next->modes[i], a, &next->modes[i], l);
	}
	for (size_t k = 0; k < old->nmodes && !e; k++) {
		bool gone = true;

		for (size_t i = 0; i < next->nmodes; i++)
			gone = gone && !same_target(&old->modes[k], &next->modes[i]);
		if (gone)
			e = diff_mode(old, next, &old->modes[k], &old->modes[k], NULL, l);
	}
	return e;
}

/* ---- quarantines -------------------------------------------------------------------------------- */

static char *quarantine_text(const struct quarantine *q)
{
	char until[32] = "released", *s = NULL;
	auto_free char *allow = strdup("");

	if (q->until_ns)
		time_str(q->until_ns, until);
	for (size_t i = 0; i < q->nallow && allow; i++) {
		auto_free char *ports = ports_text(q->allow[i].ports, q->allow[i].nports), *old = allow;
		char p[PREFIX_STR_MAX];

		allow = NULL;
		if (!ports || asprintf(&allow, "%s; allow %s %s", old, prefix_str(&q->allow[i].cidr, p), ports) < 0)
			allow = NULL;
	}
	if (!allow || asprintf(&s, "\"%s\", until %s%s%s%s", q->reason ? q->reason : "", until,
			       str_set(q->uid) ? "; uid " : "", q->uid ? q->uid : "", allow) < 0)
		return NULL;
	return s;
}

static int diff_quarantine(const struct policy_state *next, const struct quarantine *a,
			   const struct quarantine *b, struct change_items *l)
{
	const struct quarantine *q = b ? b : a;
	auto_free char *ref = quarantine_ref(q), *was = a ? quarantine_text(a) : NULL;
	auto_free char *becomes = b ? quarantine_text(b) : NULL;
	struct change_item *it;

	if (!ref || (a && !was) || (b && !becomes))
		return -ENOMEM;
	if (a && b && !strcmp(was, becomes))
		return 0;
	it = change_items_add(l, !a ? '+' : !b ? '-' : '~', "quarantine", ref);
	if (!it)
		return -ENOMEM;
	for (size_t i = 0; i < next->nworkloads; i++)
		it->workloads += quarantine_matches(q, &next->workloads[i]);
	it->tightens = b != NULL;
	it->was = a && b ? take_ptr(was) : NULL;
	it->becomes = a && b ? strdup(becomes) : NULL;
	it->summary = b ? take_ptr(becomes) : take_ptr(was);
	return 0;
}

static const struct quarantine *find_quarantine(const struct policy_state *st, const char *name)
{
	for (size_t i = 0; i < st->nquarantines; i++)
		if (str_eq(st->quarantines[i].name, name))
			return &st->quarantines[i];
	return NULL;
}

static int diff_quarantines(const struct policy_state *old, const struct policy_state *next,
			    struct change_items *l)
{
	int e = 0;

	for (size_t i = 0; i < next->nquarantines && !e; i++)
		e = diff_quarantine(next, find_quarantine(old, next->quarantines[i].name), &next->quarantines[i], l);
	for (size_t i = 0; i < old->nquarantines && !e; i++)
		if (!find_quarantine(next, old->quarantines[i].name))
			e = diff_quarantine(next, &old->quarantines[i], NULL, l);
	return e;
}

int state_diff(const struct policy_state *old, const struct policy_state *next, const struct words *touched,
	       struct change_items *ret)
{
	struct change_items l = {};
	int e = diff_modes(old, next, &l);

	e = e ?: diff_quarantines(old, next, &l);
	e = e ?: diff_rules(old, next, touched, &l);
	e = e ?: state_kpolicies_diff(old, next, touched, &l);
	if (e) {
		change_items_done(&l);
		return e;
	}
	*ret = l;
	return 0;
}
