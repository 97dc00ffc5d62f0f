/* SPDX-License-Identifier: Apache-2.0 */
#include "controller/kpolicies.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>

#include "base/buf.h"
#include "base/cleanup.h"
#include "base/htab.h"
#include "controller/rule_view.h"

#define SUMMARY_RULES 4u /* rules of a policy told in one line */

static const char *const side_word[2] = { "egress", "ingress" };
static const char *const effect_word[IR_EFFECT_COUNT] = { "block", "alert", "allow", "pass", "isolate" };

/* ---- found -------------------------------------------------------------------------------------- */

const struct kpolicy *state_kpolicy(const struct policy_state *st, enum kpolicy_kind kind, const char *ns,
				    const char *name)
{
	for (size_t i = 0; i < st->nkpolicies; i++) {
		const struct kpolicy *k = &st->kpolicies[i];

		if (k->kind == kind && str_eq(k->name, name) && str_eq(k->ns, ns))
			return k;
	}
	return NULL;
}

const struct kpolicy *state_kpolicy_id(const struct policy_state *st, uint32_t id)
{
	for (size_t i = 0; id && i < st->nkpolicies; i++)
		if (st->kpolicies[i].id == id)
			return &st->kpolicies[i];
	return NULL;
}

enum rule_origin kpolicy_origin(const struct kpolicy *k)
{
	return k->tier == CW_TIER_ADMIN ? ORIGIN_ADMIN : k->tier == CW_TIER_BASELINE ? ORIGIN_BASELINE :
										       ORIGIN_NETWORKPOLICY;
}

/* Does the word, n bytes, stand for the policy's kind or tier? */
static bool kind_called(const struct kpolicy *k, const char *word, size_t n)
{
	static const char *const brief[] = { [KPOLICY_NP] = "netpol", [KPOLICY_ANP] = "anp", [KPOLICY_BANP] = "banp",
					     [KPOLICY_CNP] = "cnp" };
	const char *const all[] = { kpolicy_kind_str(k->kind), brief[k->kind], cw_tier_str(k->tier) };

	for (size_t i = 0; i < ARRAY_SIZE(all); i++)
		if (strlen(all[i]) == n && !strncasecmp(all[i], word, n))
			return true;
	return false;
}

static bool name_called(const struct kpolicy *k, const char *text)
{
	size_t n = str_set(k->ns) ? strlen(k->ns) : 0;

	if (!n)
		return str_eq(k->name, text);
	return !strncmp(text, k->ns, n) && text[n] == '/' && str_eq(k->name, text + n + 1);
}

const struct kpolicy *kpolicy_named(const struct policy_state *st, const char *text)
{
	size_t n = strcspn(text, "/ ");
	const char *rest = text[n] ? text + n + 1 : NULL;
	const struct kpolicy *hit = NULL;

	for (size_t i = 0; i < st->nkpolicies; i++) {
		const struct kpolicy *k = &st->kpolicies[i];

		if (!name_called(k, text) && !(rest && kind_called(k, text, n) && name_called(k, rest)))
			continue;
		if (hit)
			return NULL;
		hit = k;
	}
	return hit;
}

char *state_id_ref(const struct policy_state *st, uint32_t id)
{
	const struct rule *r = state_rule_id(st, id);
	const struct kpolicy *k = r ? NULL : state_kpolicy_id(st, id);

	return r ? rule_ref(r) : k ? kpolicy_name(k) : NULL;
}

/* ---- edited ------------------------------------------------------------------------------------- */

int state_kpolicy_add(struct policy_state *st, struct kpolicy *k)
{
	struct kpolicy *v = reallocarray(st->kpolicies, st->nkpolicies + 1, sizeof(*v));

	if (!v)
		return -ENOMEM;
	st->kpolicies = v;
	v[st->nkpolicies++] = *k;
	*k = (struct kpolicy){};
	return 0;
}

void state_kpolicy_del(struct policy_state *st, size_t i)
{
	kpolicy_done(&st->kpolicies[i]);
	memmove(&st->kpolicies[i], &st->kpolicies[i + 1], (st->nkpolicies - i - 1) * sizeof(*st->kpolicies));
	st->nkpolicies--;
}

int kpolicy_put(const struct kpolicy *doc, const char *who, int64_t now, struct policy_state *next)
{
	struct kpolicy *old = (struct kpolicy *)state_kpolicy(next, doc->kind, doc->ns, doc->name), k = {};
	int e;

	if (old && str_eq(old->json, doc->json))
		return 0;
	e = kpolicy_copy(doc, &k);
	if (e)
		return e;
	free(k.creator);
	k.creator = strdup(old && str_set(old->creator) ? old->creator : who ? who : "");
	if (!k.creator) {
		kpolicy_done(&k);
		return -ENOMEM;
	}
	k.id = old ? old->id : 0;
	k.created_ns = old ? old->created_ns : now;
	k.updated_ns = now;
	if (old) {
		kpolicy_done(old);
		*old = k;
		return 0;
	}
	e = state_kpolicy_add(next, &k);
	kpolicy_done(&k);
	return e;
}

/* ---- selects ------------------------------------------------------------------------------------ */

static const struct labels *labels_of_ns(const struct policy_state *st, const char *name)
{
	for (size_t i = 0; i < st->nnamespaces; i++)
		if (str_eq(st->namespaces[i].name, name))
			return &st->namespaces[i].labels;
	return NULL;
}

static bool ns_labels_match(const struct policy_state *st, const struct label_selector *s, const char *ns)
{
	const struct labels *l = labels_of_ns(st, ns);
	struct labels copy = {};
	bool hit;

	if (l && labels_get(l, "kubernetes.io/metadata.name"))
		return label_selector_matches(s, l);
	/* Every namespace has its name as a label, declared or not. */
	if ((l && labels_copy(l, &copy)) || labels_set(&copy, "kubernetes.io/metadata.name", ns)) {
		labels_done(&copy);
		return false;
	}
	hit = label_selector_matches(s, &copy);
	labels_done(&copy);
	return hit;
}

bool kpolicy_selects(const struct policy_state *st, const struct kpolicy *k, const struct workload *w)
{
	if (str_set(k->ns) && !str_eq(k->ns, w->ns))
		return false;
	for (size_t i = 0; i < k->nsubjects; i++) {
		const struct selector *s = &k->subjects[i];

		if (s->kind == SEL_ANY)
			return true;
		if (s->kind != SEL_WORKLOAD || (str_set(s->ns) && !str_eq(s->ns, w->ns)) ||
		    (s->labels.set && !label_selector_matches(&s->labels, &w->labels)) ||
		    (s->ns_labels.set && !ns_labels_match(st, &s->ns_labels, w->ns)))
			continue;
		return true;
	}
	return false;
}

static bool names_ns(const struct selector *s, size_t n, const struct words *ns)
{
	for (size_t i = 0; i < n; i++)
		if (str_set(s[i].ns) && words_have(ns, s[i].ns))
			return true;
	return false;
}

bool kpolicy_in(const struct kpolicy *k, const struct words *ns)
{
	if (!ns->n || (str_set(k->ns) && words_have(ns, k->ns)) || names_ns(k->subjects, k->nsubjects, ns))
		return true;
	for (size_t i = 0; i < k->nrules; i++)
		if (names_ns(k->rules[i].peers, k->rules[i].npeers, ns))
			return true;
	return false;
}

/* ---- texts -------------------------------------------------------------------------------------- */

char *kpolicy_name(const struct kpolicy *k)
{
	char *s = NULL;

	if (!str_set(k->ns))
		return strdup(k->name);
	return asprintf(&s, "%s/%s", k->ns, k->name) < 0 ? NULL : s;
}

char *kpolicy_path(const struct kpolicy *k)
{
	char *s = NULL;

	return asprintf(&s, "%s/%s%s%s", kpolicy_kind_str(k->kind), str_set(k->ns) ? k->ns : "",
			str_set(k->ns) ? "/" : "", k->name) < 0 ? NULL : s;
}

static char *peers_text(const struct kpolicy_rule *r)
{
	if (!r->everyone && r->npeers)
		return selectors_text(r->peers, r->npeers);
	return strdup(r->everyone ? "*" : "nobody");
}

static int rule_line(struct buf *b, const struct kpolicy_rule *r)
{
	auto_free char *peers = peers_text(r), *ports = r->nports ? ports_text(r->ports, r->nports) : NULL;

	if (!peers || (r->nports && !ports))
		return -ENOMEM;
	buf_printf(b, "%s %s %s%s%s", side_word[r->side], effect_word[r->effect], peers, ports ? " " : "",
		   ports ? ports : "");
	return 0;
}

char *kpolicy_text(const struct kpolicy *k)
{
	auto_free char *subject = selectors_text(k->subjects, k->nsubjects);
	size_t has[2] = {}, told = 0;
	struct buf b;

	if (!subject)
		return NULL;
	buf_init(&b, 8 * RULE_TEXT_MAX);
	buf_printf(&b, "%s:", subject);
	for (size_t i = 0; i < k->nrules; i++) {
		has[k->rules[i].side]++;
		if (told >= SUMMARY_RULES)
			continue;
		buf_adds(&b, told++ ? "; " : " ");
		if (rule_line(&b, &k->rules[i])) {
			buf_done(&b);
			return NULL;
		}
	}
	if (k->nrules > told)
		buf_printf(&b, "; +%zu rules", k->nrules - told);
	for (int s = CW_INGRESS; s >= CW_EGRESS; s--)
		if (k->isolates[s] && !has[s])
			buf_printf(&b, "%s %s isolate", told++ ? ";" : "", side_word[s]);
	return buf_take(&b, NULL);
}

cJSON *kpolicy_object(const struct kpolicy *k)
{
	return cJSON_Parse(k->json);
}

/* ---- plan --------------------------------------------------------------------------------------- */

/* Names of the fields of two objects that differ, "spec.ingress,spec.podSelector". */
static char *fields_differing(const struct kpolicy *a, const struct kpolicy *b)
{
	static const char *const parts[] = { "metadata", "spec" };
	auto_cleanup(cJSON_Deletep) cJSON *ja = kpolicy_object(a), *jb = kpolicy_object(b);
	struct buf out;

	buf_init(&out, 4096);
	buf_adds(&out, "");
	for (size_t p = 0; p < ARRAY_SIZE(parts); p++) {
		const cJSON *oa = json_get(ja, parts[p]), *ob = json_get(jb, parts[p]), *f;

		cJSON_ArrayForEach(f, oa) {
			const cJSON *g = json_get(ob, f->string);

			if (!g || !cJSON_Compare(f, g, 1))
				buf_printf(&out, "%s%s.%s", out.len ? "," : "", parts[p], f->string);
		}
		cJSON_ArrayForEach(f, ob)
			if (!json_get(oa, f->string))
				buf_printf(&out, "%s%s.%s", out.len ? "," : "", parts[p], f->string);
	}
	return buf_take(&out, NULL);
}

static bool speaks(const struct kpolicy *k, enum ir_effect e)
{
	for (size_t i = 0; i < k->nrules; i++)
		if (k->rules[i].effect == e)
			return true;
	return false;
}

static bool isolates(const struct kpolicy *k)
{
	return k->isolates[CW_EGRESS] || k->isolates[CW_INGRESS];
}

static int diff_one(const struct policy_state *next, const struct kpolicy *a, const struct kpolicy *b, bool touched,
		    struct change_items *l)
{
	const struct kpolicy *k = b ? b : a;
	bool same = a && b && str_eq(a->json, b->json);
	auto_free char *path = kpolicy_path(k);
	struct change_item *it;

	if (same && !touched)
		return 0;
	it = path ? change_items_add(l, !a ? '+' : !b ? '-' : same ? '=' : '~', "rule", path) : NULL;
	if (!it)
		return -ENOMEM;
	it->origin = strdup(rule_origin_str(kpolicy_origin(k)));
	it->summary = kpolicy_text(k);
	if (!it->origin || !it->summary)
		return -ENOMEM;
	if (same)
		return 0;
	for (size_t i = 0; i < next->nworkloads; i++)
		it->workloads += kpolicy_selects(next, k, &next->workloads[i]);
	if (a && b) {
		it->field = fields_differing(a, b);
		it->was = kpolicy_text(a);
		it->becomes = kpolicy_text(b);
		it->tightens = true;
		return it->field && it->was && it->becomes ? 0 : -ENOMEM;
	}
	/* One that goes takes its allows with it, and uncovers what its passes and allows kept from lower tiers. */
	it->tightens = b ? isolates(b) || speaks(b, IR_BLOCK) || speaks(b, IR_PASS) :
			   speaks(a, IR_ALLOW) || speaks(a, IR_PASS);
	return 0;
}

int state_kpolicies_diff(const struct policy_state *old, const struct policy_state *next, const struct words *touched,
		   struct change_items *l)
{
	struct htab *was = htab_new();
	int e = was ? 0 : -ENOMEM;

	for (size_t i = 0; i < old->nkpolicies && !e; i++) {
		auto_free char *key = kpolicy_path(&old->kpolicies[i]);

		e = key ? htab_set(was, key, strlen(key), &old->kpolicies[i], NULL) : -ENOMEM;
	}
	for (size_t i = 0; i < next->nkpolicies && !e; i++) {
		auto_free char *key = kpolicy_path(&next->kpolicies[i]);

		e = key ? diff_one(next, htab_del(was, key, strlen(key)), &next->kpolicies[i],
				   touched && words_have(touched, key), l) : -ENOMEM;
	}
	for (size_t i = 0; i < old->nkpolicies && !e; i++) {
		auto_free char *key = kpolicy_path(&old->kpolicies[i]);

		if (!key)
			e = -ENOMEM;
		else if (htab_has(was, key, strlen(key)))
			e = diff_one(next, &old->kpolicies[i], NULL, false, l);
	}
	htab_free(was, NULL);
	return e;
}

/* ---- shown -------------------------------------------------------------------------------------- */

static const char *action_word(const struct kpolicy *k)
{
	enum ir_effect e = k->nrules ? k->rules[0].effect : IR_ISOLATE;

	for (size_t i = 1; i < k->nrules; i++)
		if (k->rules[i].effect != e)
			return "mixed";
	return effect_word[e];
}

/* The subjects on their side, the peers of all rules on the other; "(several)" where rules differ. */
static void put_ends(cJSON *o, const struct kpolicy *k)
{
	bool in = k->isolates[CW_INGRESS], out = k->isolates[CW_EGRESS];
	const struct kpolicy_rule *r = k->nrules ? &k->rules[0] : NULL;
	bool one = k->nrules == 1;

	for (size_t i = 0; i < k->nrules; i++) {
		in = in || k->rules[i].side == CW_INGRESS;
		out = out || k->rules[i].side == CW_EGRESS;
	}
	/* Both ways: the subject stands as the destination, as in the columns of an ingress policy. */
	const char *own_ns = in || !out ? "dstNamespace" : "srcNamespace", *own = in || !out ? "dstLabels" : "srcLabels";
	const char *far_ns = in || !out ? "srcNamespace" : "dstNamespace", *far = in || !out ? "srcLabels" : "dstLabels";

	put_free(o, own_ns, selectors_ns_text(k->subjects, k->nsubjects, k->ns));
	put_free(o, own, selectors_label_text(k->subjects, k->nsubjects));
	if (one && (r->everyone || !r->npeers)) {
		put_str(o, far_ns, r->everyone ? "*" : "(none)");
		put_str(o, far, "-");
	} else if (one) {
		put_free(o, far_ns, selectors_ns_text(r->peers, r->npeers, k->ns));
		put_free(o, far, selectors_label_text(r->peers, r->npeers));
	} else {
		put_str(o, far_ns, k->nrules ? "(several)" : "(none)");
		put_str(o, far, "-");
	}
}

cJSON *kpolicy_view(const struct kpolicy *k, uint64_t hits, int64_t last_hit_ns)
{
	cJSON *o = cJSON_CreateObject(), *arr;

	if (!o)
		return NULL;
	put_free(o, "name", kpolicy_path(k));
	put_str_null(o, "namespace", k->ns);
	put_str(o, "kind", kpolicy_kind_str(k->kind));
	put_num(o, "id", k->id);
	put_str(o, "origin", rule_origin_str(kpolicy_origin(k)));
	put_str(o, "action", action_word(k));
	cJSON_AddBoolToObject(o, "reject", false);
	put_str(o, "mode", "enforce");
	cJSON_AddBoolToObject(o, "enabled", true);
	put_str(o, "creator", k->creator);
	put_time(o, "created", k->created_ns);
	put_time(o, "updated", k->updated_ns);
	put_ends(o, k);
	arr = cJSON_AddArrayToObject(o, "ports");
	for (size_t i = 0; k->nrules == 1 && i < k->rules[0].nports; i++) {
		auto_free char *p = port_spec_str(&k->rules[0].ports[i]);

		put_push(arr, cJSON_CreateString(p ? p : ""));
	}
	if (k->nrules > 1)
		put_push(arr, cJSON_CreateString("(several)"));
	if (k->tier == CW_TIER_NETWORKPOLICY)
		cJSON_AddNullToObject(o, "priority");
	else
		put_num(o, "priority", k->priority);
	put_free(o, "subject", selectors_text(k->subjects, k->nsubjects));
	arr = cJSON_AddArrayToObject(o, "isolates");
	for (int s = CW_INGRESS; s >= CW_EGRESS; s--)
		if (k->isolates[s])
			put_push(arr, cJSON_CreateString(side_word[s]));
	put_num(o, "rules", (double)k->nrules);
	cJSON_AddNullToObject(o, "access");
	put_free(o, "summary", kpolicy_text(k));
	put_num(o, "hits", (double)hits);
	put_time(o, "lastHit", last_hit_ns);
	return o;
}
