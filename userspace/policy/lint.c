/* SPDX-License-Identifier: Apache-2.0 */
#include "policy/lint.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "base/cleanup.h"
#include "policy/kpolicy.h"
#include "policy/service.h"
#include "policy/space.h"

#define LINT_GROUPS 262144u

const char *lint_kind_str(enum lint_kind k)
{
	static const char *const word[LINT_KINDS] = {
		[LINT_SHADOWED] = "lint.shadowed",	     [LINT_CONTRADICTION] = "lint.contradiction",
		[LINT_UNREACHABLE] = "lint.unreachable",     [LINT_SERVICE_EMPTY] = "lint.service-empty",
		[LINT_SERVICE_MIXED] = "lint.service-mixed",
	};

	return (size_t)k < LINT_KINDS ? word[k] : NULL;
}

/* What became of a rule on a side. */
struct tally {
	bool matched;	/* some point of an end it is asked about */
	bool decides;	/* some point of that */
	bool other;	/* something but the admin tier's opposite decides */
	struct lint_by by[LINT_BY_MAX];
	unsigned nby, more;
};
struct rule_tally { uint32_t rule; struct tally side[2]; };

struct lint {
	const struct policy_state *st;
	struct policy_set *set;
	struct policy_plan *plan;
	struct space *space;
	struct htab *tallies;	/* rule number -> rule_tally */
	struct htab *seen;	/* one-sided rule, row and named ports: looked at */
	struct u32s *hits;	/* by place in all_ir: atoms */
	struct htab *hits_by;	/* one-sided rule -> its hits */
	uint64_t work;
	struct { struct lint_finding *v; size_t n, cap; } out;
	bool truncated;
};

static void finding_done(struct lint_finding *f)
{
	free(f->service);
	free(f->src);
	free(f->pass);
	free(f->block);
}

void policy_lint_done(struct policy_lint *l)
{
	for (size_t i = 0; i < l->n; i++)
		finding_done(&l->v[i]);
	free(l->v);
	*l = (struct policy_lint){};
}

/* Takes the finding's texts over. */
static int add(struct lint *l, struct lint_finding *f)
{
	if (l->out.n >= LINT_FINDINGS_MAX) {
		l->truncated = true;
		finding_done(f);
		return 0;
	}
	if (!vec_push(&l->out, *f))
		return 0;
	finding_done(f);
	return -ENOMEM;
}

/* ---- who decides where a rule matches ---------------------------------------------------------- */

static struct tally *tally_of(struct lint *l, uint32_t rule, enum cw_side s)
{
	struct rule_tally *t = htab_get_u64(l->tallies, rule);

	if (t)
		return &t->side[s];
	t = calloc(1, sizeof(*t));
	if (!t)
		return NULL;
	t->rule = rule;
	if (htab_set_u64(l->tallies, rule, t)) {
		free(t);
		return NULL;
	}
	return &t->side[s];
}

static bool blocks(uint8_t action)
{
	return action == CW_ACT_BLOCK;
}

static void decided_by(struct tally *t, const struct ir *ir, const struct lint_by *by)
{
	if (by->tier != CW_TIER_ADMIN || blocks(by->action) == (ir->effect == IR_BLOCK))
		t->other = true;
	for (unsigned i = 0; i < t->nby; i++)
		if (t->by[i].rule == by->rule && t->by[i].tier == by->tier)
			return;
	if (t->nby < LINT_BY_MAX)
		t->by[t->nby++] = *by;
	else
		t->more++;
}

static void row_look(const struct lint *l, const struct ir *ir, uint32_t row, uint32_t lo, uint32_t hi, struct tally *t)
{
	size_t n;
	const uint64_t *v = space_row(l->set, row, &n);

	for (size_t i = 0; i < n; i++) {
		uint32_t from = (uint32_t)(v[i] >> 32), to = i + 1 < n ? (uint32_t)(v[i + 1] >> 32) - 1 : CW_AXIS_END - 1;
		struct cw_verdict d;
		struct lint_by by;

		if (to < lo || from > hi)
			continue;
		t->matched = true;
		d = space_verdict(l->set, (uint32_t)v[i]);
		by = ir->advisory && d.flags & CW_V_ADV ? (struct lint_by){ d.adv_rule, d.adv_tier, d.adv_action } :
							    (struct lint_by){ d.rule, d.tier, d.action };
		if (by.rule == ir->rule)
			t->decides = true;
		else
			decided_by(t, ir, &by);
	}
}

static int ir_look(struct lint *l, const struct ir *ir, uint32_t row, uint32_t npset, struct tally *t)
{
	uint64_t key[2] = { (uintptr_t)ir, (uint64_t)row << 32 | (ir->nnamed ? npset : 0) };
	size_t len = 0;
	const uint64_t *port;

	/* Passing on and isolating are no verdicts of their own, and still do something. */
	if (ir->effect == IR_PASS || ir->effect == IR_ISOLATE)
		t->matched = t->decides = true;
	if (t->decides || htab_has(l->seen, key, sizeof(key)))
		return 0;
	for (uint32_t i = 0; i < ir->nspans; i++)
		row_look(l, ir, row, ir->spans[i].lo, ir->spans[i].hi, t);
	port = ir->nnamed && npset ? intern_bytes(l->set->npsets, npset, &len) : NULL;
	for (size_t i = 0; i < len / sizeof(*port); i++) {
		uint32_t axis = (uint32_t)(port[i] & 0xffffff);

		if (ir_covers(l->set, ir, npset, axis))
			row_look(l, ir, row, axis, axis, t);
	}
	return htab_set(l->seen, key, sizeof(key), (void *)1, NULL);
}

/* An end that a workload of the group could talk with. */
static bool partner(const struct lint *l, const struct space_atom *self, const struct space_atom *peer)
{
	for (uint32_t i = 0; i < self->n; i++)
		for (uint32_t k = 0; k < peer->n; k++)
			if (space_pair(&l->space->ends.v[l->space->by_atom[self->first + i]],
				       &l->space->ends.v[l->space->by_atom[peer->first + k]]))
				return true;
	return false;
}

/* Which atoms each rule is about, as peers: once for all groups that it speaks in. */
static int hits_make(struct lint *l)
{
	const struct space *s = l->space;
	size_t n = l->set->all_ir.n;
	int r = 0;

	l->hits = calloc(n + 1, sizeof(*l->hits));
	if (!l->hits)
		return -ENOMEM;
	for (size_t i = 0; i < n && !r; i++)
		r = htab_set_u64(l->hits_by, (uintptr_t)l->set->all_ir.v[i], &l->hits[i]);
	for (uint32_t p = 0; p < s->atoms.n && !r; p++) {
		const struct space_atom *a = &s->atoms.v[p];
		/* A name adds rules to those of its address, and none of them blocks. */
		uint32_t ix = a->nx[0] != NIL ? a->nx[0] : a->ix[0];

		eid_mark_sels(l->set, ix);
		for (size_t i = 0; i < n && !r; i++) {
			const struct ir *ir = l->set->all_ir.v[i];

			if (ir->side == CW_INGRESS && (a->realm == CW_REALM_MULTICAST || a->nx[0] != NIL))
				continue; /* no source */
			if (ir_hits(l->set, ir, &l->set->eids.v[ix]))
				r = vec_push(&l->hits[i], p);
		}
	}
	return r;
}

static int side_look(struct lint *l, uint32_t self, enum cw_side s, bool alone)
{
	const struct space_atom *a = &l->space->atoms.v[self];
	const struct side *sd = &a->g[0]->side[s];
	struct u32s rows = {};
	int r = space_rows(l->set, a->g[0], s, &rows);

	for (uint32_t i = 0; i < sd->nrules && !r; i++) {
		const struct ir *ir = sd->rules[i];
		const struct u32s *hits = htab_get_u64(l->hits_by, (uintptr_t)ir);
		struct tally *t = tally_of(l, ir->rule, s);
		uint32_t last = NIL, last_np = NIL;

		if (!t || !hits) {
			r = -ENOMEM;
			break;
		}
		l->work += hits->n;
		for (size_t k = 0; k < hits->n && !r; k++) {
			const struct space_atom *p = &l->space->atoms.v[hits->v[k]];
			uint32_t ix = p->nx[0] != NIL ? p->nx[0] : p->ix[0], row = rows.v[ix];
			uint32_t np = l->set->eids.v[s == CW_EGRESS ? ix : a->ix[0]].key.npset;

			if ((row == last && np == last_np) || (alone && hits->v[k] == self))
				continue;
			last = row;
			last_np = np;
			r = ir_look(l, ir, row, np, t);
		}
	}
	vec_done(&rows);
	return r;
}

static int pairs_look(struct lint *l, struct fail_list *f)
{
	const struct space *s = l->space;
	int r = hits_make(l);

	for (uint32_t i = 0; i < s->atoms.n && !r; i++) {
		bool alone;

		if (!s->atoms.v[i].g[0])
			continue;
		alone = !partner(l, &s->atoms.v[i], &s->atoms.v[i]);
		r = side_look(l, i, CW_EGRESS, alone);
		r = r ?: side_look(l, i, CW_INGRESS, alone);
		if (!r && l->work > LINT_WORK_MAX)
			r = fail_add(f, -E2BIG, "lint.too-large", NULL, "at most 400,000,000 questions", NULL,
				     "looking at every rule and every pair takes more");
	}
	return r;
}

/* ---- selectors ------------------------------------------------------------------------------------- */

static const struct labels *ns_labels_of(const struct policy_state *st, const char *ns)
{
	for (size_t i = 0; i < st->nnamespaces; i++)
		if (!strcmp(st->namespaces[i].name, ns))
			return &st->namespaces[i].labels;
	return NULL;
}

static bool ns_selected(const struct policy_state *st, const struct label_selector *s, const char *ns)
{
	const struct labels *l = ns_labels_of(st, ns);
	struct labels copy = {};
	bool hit;

	if ((l && labels_copy(l, &copy)) ||
	    (!labels_get(&copy, "kubernetes.io/metadata.name") && labels_set(&copy, "kubernetes.io/metadata.name", ns))) {
		labels_done(&copy);
		return true; /* without memory nothing is accused */
	}
	hit = label_selector_matches(s, &copy);
	labels_done(&copy);
	return hit;
}

bool lint_selects(const struct policy_state *st, const char *rule_ns, const struct selector *s,
		  const struct workload *w)
{
	const char *ns = given(s->ns) ? s->ns : s->ns_labels.set ? NULL : rule_ns;

	if (s->kind == SEL_ANY)
		return true;
	if (s->kind != SEL_WORKLOAD)
		return false;
	return (!ns || !*ns || !strcmp(ns, w->ns)) && (!given(s->pod) || !strcmp(s->pod, w->name)) &&
	       (!given(s->pod_uid) || (w->uid && !strcmp(s->pod_uid, w->uid))) &&
	       (!given(s->controller_name) || (w->controller_name && !strcmp(s->controller_name, w->controller_name))) &&
	       (!given(s->controller_kind) || (w->controller_kind && !strcasecmp(s->controller_kind, w->controller_kind))) &&
	       (!given(s->service_account) || (w->service_account && !strcmp(s->service_account, w->service_account))) &&
	       (!s->labels.set || label_selector_matches(&s->labels, &w->labels)) &&
	       (!s->ns_labels.set || ns_selected(st, &s->ns_labels, w->ns));
}

static bool selects_somebody(const struct lint *l, const struct rule *r, const struct selector *s)
{
	switch (s->kind) {
	case SEL_WORKLOAD:
		for (size_t i = 0; i < l->st->nworkloads; i++)
			if (lint_selects(l->st, given(r->ns) ? r->ns : NULL, s, &l->st->workloads[i]))
				return true;
		return false;
	case SEL_NODES:
		for (size_t i = 0; i < l->st->nnodes; i++)
			if (!s->labels.set || label_selector_matches(&s->labels, &l->st->nodes[i].labels))
				return true;
		return false;
	default:
		return true;
	}
}

static bool service_serves(const struct svc *s)
{
	for (size_t i = 0; s && i < s->ends.n; i++)
		if (s->ends.v[i].ready)
			return true;
	return false;
}

static int items_look(struct lint *l, const struct rule *r, const char *field, const struct selector *v, size_t n)
{
	int e = 0;

	for (size_t i = 0; i < n && !e; i++) {
		struct lint_finding x = { .rule = r->id, .side = -1, .field = field, .item = i };

		if (v[i].kind == SEL_SERVICE) {
			const char *ns = given(v[i].ns) ? v[i].ns : r->ns ? r->ns : "";
			char text[600];

			if (service_serves(service_find(l->set, ns, v[i].service)))
				continue;
			snprintf(text, sizeof(text), "%s/%s", ns, v[i].service);
			x.kind = LINT_SERVICE_EMPTY;
			x.service = strdup(text);
			e = x.service ? add(l, &x) : -ENOMEM;
		} else if (!selects_somebody(l, r, &v[i])) {
			x.kind = LINT_UNREACHABLE;
			e = add(l, &x);
		}
	}
	return e;
}

/* ---- findings about rules ------------------------------------------------------------------------------ */

static int tally_finding(struct lint *l, enum lint_kind kind, uint32_t rule, int side, const struct tally *a,
			 const struct tally *b)
{
	struct lint_finding x = { .kind = kind, .rule = rule, .side = side, .nby = a->nby, .more = a->more };

	memcpy(x.by, a->by, sizeof(x.by));
	for (unsigned i = 0; b && i < b->nby; i++) {
		unsigned k;

		for (k = 0; k < x.nby; k++)
			if (x.by[k].rule == b->by[i].rule && x.by[k].tier == b->by[i].tier)
				break;
		if (k < x.nby)
			continue;
		if (x.nby < LINT_BY_MAX)
			x.by[x.nby++] = b->by[i];
		else
			x.more++;
	}
	return add(l, &x);
}

static bool idle(const struct tally *t)
{
	return t->matched && !t->decides;
}

/* found: an item of it selects nobody, which says why it does nothing. */
static int tally_look(struct lint *l, uint32_t rule, bool found)
{
	const struct rule_tally *t = htab_get_u64(l->tallies, rule);
	const struct tally *a = t ? &t->side[0] : NULL, *b = t ? &t->side[1] : NULL;
	struct lint_finding x = { .kind = LINT_UNREACHABLE, .rule = rule, .side = -1 };
	bool none = false;
	int r = 0;

	if (!t || (!a->matched && !b->matched))
		return found ? 0 : add(l, &x);
	for (int s = 0; s < 2 && !r; s++) {
		if (!idle(&t->side[s]) || t->side[s].other)
			continue;
		none = true;
		if (s == CW_INGRESS && idle(a) && !a->other)
			continue; /* said of both sides */
		r = tally_finding(l, LINT_CONTRADICTION, rule, idle(a) && idle(b) && !a->other && !b->other ? -1 : s,
				  &t->side[s], idle(a) && idle(b) && !a->other && !b->other ? b : NULL);
	}
	if (r || none || a->decides || b->decides)
		return r;
	return tally_finding(l, LINT_SHADOWED, rule, -1, a->matched ? a : b, a->matched && b->matched ? b : NULL);
}

static int rules_look(struct lint *l)
{
	int r = 0;

	for (size_t i = 0; i < l->st->nrules && !r; i++) {
		const struct rule *u = &l->st->rules[i];
		size_t before = l->out.n;

		if (!u->enabled)
			continue;
		r = items_look(l, u, "from", u->from, u->nfrom);
		r = r ?: items_look(l, u, "to", u->to, u->nto);
		r = r ?: tally_look(l, u->id, l->out.n > before);
	}
	for (size_t i = 0; i < l->st->nkpolicies && !r; i++)
		r = tally_look(l, l->st->kpolicies[i].id, false);
	return r;
}

/* ---- services -------------------------------------------------------------------------------------------- */

static const struct space_atom *atom_of(const struct space *s, const char *ns, const char *name, const struct addr *a,
					const struct diff_end **ret)
{
	for (size_t i = 0; i < s->ends.n && s->ends.v[i].kind == DIFF_WORKLOAD; i++) {
		const struct diff_end *e = &s->ends.v[i];

		if (strcmp(e->ns, ns) || strcmp(e->name, name) || (e->part && addr_cmp(&e->addr[!addr_is_v4(a)], a)))
			continue;
		*ret = e;
		return &s->atoms.v[e->atom];
	}
	return NULL;
}

struct behind { const struct space_atom *atom; const struct diff_end *end; uint32_t axis; };

static char *pod_text(const struct diff_end *e)
{
	char text[600];

	return strdup(diff_end_text(e, false, text));
}

/* One finding for a service port: the first source that is judged differently at two backends. */
static int mixed_look(struct lint *l, const struct svc *s, size_t port, const struct behind *v, size_t n)
{
	const struct space *sp = l->space;

	for (uint32_t i = 0; i < sp->ends.n && sp->ends.v[i].kind == DIFF_WORKLOAD; i++) {
		const struct space_atom *self = &sp->atoms.v[sp->ends.v[i].atom];
		const struct behind *pass = NULL, *block = NULL;

		if (!self->g[0])
			continue;
		for (size_t k = 0; k < n; k++) {
			uint32_t row = side_row(&self->g[0]->side[CW_EGRESS], v[k].atom->ix[0], v[k].atom->realm);
			size_t m, at = 0;
			const uint64_t *d = space_row(l->set, row, &m);

			if (!space_pair(&sp->ends.v[i], v[k].end))
				continue;
			while (at + 1 < m && (uint32_t)(d[at + 1] >> 32) <= v[k].axis)
				at++;
			if (blocks(space_verdict(l->set, (uint32_t)d[at]).action))
				block = block ?: &v[k];
			else
				pass = pass ?: &v[k];
		}
		if (pass && block) {
			struct lint_finding x = { .kind = LINT_SERVICE_MIXED, .side = CW_EGRESS, .port = s->s.ports[port].port,
						  .proto = s->s.ports[port].proto, .src = pod_text(&sp->ends.v[i]),
						  .pass = pod_text(pass->end), .block = pod_text(block->end) };
			char text[600];

			snprintf(text, sizeof(text), "%s/%s", s->s.ns, s->s.name);
			x.service = strdup(text);
			if (x.service && x.src && x.pass && x.block)
				return add(l, &x);
			finding_done(&x);
			return -ENOMEM;
		}
	}
	return 0;
}

static int service_look(struct lint *l, const struct svc *s)
{
	struct { struct behind *v; size_t n, cap; } b = {};
	int r = 0;

	for (size_t p = 0; p < s->s.nports && !r; p++) {
		b.n = 0;
		for (size_t i = 0; i < s->ends.n && !r; i++) {
			const struct svc_end *e = &s->ends.v[i];
			struct behind x;

			if (!e->ready || !e->pod || !e->port || !e->port[p])
				continue;
			x.atom = atom_of(l->space, s->s.ns, e->pod, &e->addr, &x.end);
			x.axis = CW_AXIS(s->s.ports[p].proto, e->port[p]);
			if (x.atom)
				r = vec_push(&b, x);
		}
		if (!r && b.n > 1)
			r = mixed_look(l, s, p, b.v, b.n);
	}
	vec_done(&b);
	return r;
}

static int services_look(struct lint *l)
{
	int r = 0;

	for (size_t i = 0; i < l->st->nservices && !r; i++) {
		const struct svc *s = service_find(l->set, l->st->services[i].ns, l->st->services[i].name);

		if (s)
			r = service_look(l, s);
	}
	return r;
}

/* ---- all ------------------------------------------------------------------------------------------------------ */

static int order(const void *x, const void *y)
{
	const struct lint_finding *a = x, *b = y;

	if (!a->rule != !b->rule)
		return !a->rule - !b->rule;
	if (a->rule != b->rule)
		return a->rule < b->rule ? -1 : 1;
	if (a->kind != b->kind)
		return (int)a->kind - (int)b->kind;
	if (a->side != b->side)
		return a->side - b->side;
	if (a->field && b->field && strcmp(a->field, b->field))
		return strcmp(a->field, b->field);
	if (a->item != b->item)
		return a->item < b->item ? -1 : 1;
	if (a->service && b->service && strcmp(a->service, b->service))
		return strcmp(a->service, b->service);
	return (int)a->port - (int)b->port;
}

int policy_lint_make(const struct policy_state *st, struct fail_list *f, struct policy_lint *ret)
{
	static const struct policy_limits lim = { .groups = LINT_GROUPS, .wls = LINT_GROUPS, .all_local = true };
	struct policy_state now = *st;
	struct lint l = { .st = &now, .tallies = htab_new(), .seen = htab_new(),
			  .hits_by = htab_new() };
	int r = l.tallies && l.seen && l.hits_by ? 0 : -ENOMEM;

	now.quarantines = NULL;
	now.nquarantines = 0;
	r = r ?: policy_set_new(&lim, &l.set);
	r = r ?: policy_set_prepare(l.set, &now, f, &l.plan);
	if (!r) {
		r = space_new(l.set, l.set, &l.space);
		if (r == -E2BIG)
			fail_add(f, r, "lint.too-large", NULL, "at most 500,000 names times prefixes", NULL,
				 "there are too many names and prefixes of the world");
	}
	r = r ?: pairs_look(&l, f);
	r = r ?: rules_look(&l);
	r = r ?: services_look(&l);
	htab_free(l.tallies, free);
	htab_free(l.seen, NULL);
	htab_free(l.hits_by, NULL);
	for (size_t i = 0; l.hits && i < l.set->all_ir.n; i++)
		vec_done(&l.hits[i]);
	free(l.hits);
	space_free(l.space);
	policy_plan_free(l.plan);
	policy_set_free(l.set);
	if (l.out.n)
		qsort(l.out.v, l.out.n, sizeof(*l.out.v), order);
	if (r) {
		policy_lint_done(&(struct policy_lint){ l.out.v, l.out.n, false });
		return r;
	}
	*ret = (struct policy_lint){ l.out.v, l.out.n, l.truncated };
	return 0;
}
