/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Selectors by name: patterns, and classes of names.
 *
 * What matches a name are the patterns it falls under, and those are the longest one and the ones
 * that cover that. So each pattern stands for a set of selectors, and equal sets share a class.
 * A class never changes what it means: names whose selectors change get another one, made for
 * those that had the same before and have the same now, so that until the switch it judges
 * as their old one did.
 */
#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"
#include "policy/set.h"

static void htab_freep(struct htab **t)
{
	htab_free(*t, NULL);
}

/* ---- names ------------------------------------------------------------------------------------------ */

int name_fold(const char *s, bool pattern, char ret[CW_DNS_NAME_MAX + 1])
{
	size_t n = strlen(s), label = 0;

	if (n && s[n - 1] == '.')
		n--;
	if (!n || n >= CW_DNS_NAME_MAX)
		return -EINVAL;
	for (size_t i = 0; i < n; i++) {
		char c = s[i];

		if (c >= 'A' && c <= 'Z')
			c = (char)(c - 'A' + 'a');
		if (c == '.' ? !label : ++label > 63)
			return -EINVAL;
		if (c == '*' && pattern && (i || n < 3 || s[1] != '.'))
			return -EINVAL;
		if (c == '.')
			label = 0;
		ret[i] = c;
	}
	ret[n] = '\0';
	return 0;
}

bool ir_name_ok(const struct selector *s)
{
	char folded[CW_DNS_NAME_MAX + 1];

	return s->fqdn && !name_fold(s->fqdn, true, folded);
}

int ir_names_check(const struct ir_rule *ir, const char *at, struct fail_list *f)
{
	for (size_t i = 0; i < ir->npeers; i++) {
		const struct selector *s = &ir->peers[i];

		if (s->kind != SEL_FQDN)
			continue;
		if (!ir_name_ok(s))
			return fail_add(f, -EINVAL, "rule.fqdn", at, "pay.example.com or *.example.com", NULL,
					"\"%s\" is no full host name", s->fqdn ? s->fqdn : "");
		if (ir->side != CW_EGRESS)
			return fail_add(f, -EINVAL, "rule.fqdn-from", at, "cidr: the addresses it sends from", NULL,
					"a name can only be a destination");
		if (ir->effect != IR_ALLOW && ir->effect != IR_ALERT)
			return fail_add(f, -EINVAL, "rule.fqdn-block", at, "action allow or alert", NULL,
					"a name can neither be blocked nor passed on: its addresses are shared");
	}
	return 0;
}

/* What a name or pattern falls under, from itself to the shortest wildcard. */
struct covers { const char *rest; char text[CW_DNS_NAME_MAX + 3]; bool begun; };

static struct covers covers_of(const char *folded)
{
	struct covers c = { .rest = folded };

	return c;
}

static struct pattern *cover_next(const struct policy_set *set, struct covers *c)
{
	struct pattern *p;

	if (!c->begun) {
		c->begun = true;
		p = htab_get(set->dns.patterns, c->rest, strlen(c->rest));
		if (!strncmp(c->rest, "*.", 2))
			c->rest += 2;
		if (p)
			return p;
	}
	for (;;) {
		const char *dot = strchr(c->rest, '.');
		size_t n;

		if (!dot)
			return NULL;
		c->rest = dot + 1;
		n = strlen(c->rest);
		memcpy(c->text, "*.", 2);
		memcpy(c->text + 2, c->rest, n);
		p = htab_get(set->dns.patterns, c->text, n + 2);
		if (p)
			return p;
	}
}

uint32_t name_class_of(const struct policy_set *set, const char *folded, bool next)
{
	struct covers c = covers_of(folded);

	for (const struct pattern *p; (p = cover_next(set, &c));) {
		if (next ? p->sels.n > 0 : p->pub != NIL)
			return next ? p->cls : p->pub;
	}
	return NIL;
}

static uint32_t number_of(const struct policy_set *set, const char *name, bool next)
{
	char folded[CW_DNS_NAME_MAX + 1];
	uint32_t cls;

	if (name_fold(name, false, folded))
		return 0;
	cls = name_class_of(set, folded, next);
	return cls == NIL ? 0 : set->dns.cls.v[cls].number;
}

uint32_t policy_set_name_class(const struct policy_set *set, const char *name)
{
	return number_of(set, name, false);
}

uint32_t policy_plan_name_class(const struct policy_plan *plan, const char *name)
{
	return number_of(plan->set, name, true);
}

/* ---- selectors ------------------------------------------------------------------------------------ */

static int text_cmp(const void *x, const void *y)
{
	return strcmp(*(char *const *)x, *(char *const *)y);
}

static void texts_free(char **v, size_t n)
{
	for (size_t i = 0; i < n; i++)
		free(v[i]);
	free(v);
}

int sel_get_names(struct policy_set *set, const struct selector *const *v, size_t n, uint32_t *ret)
{
	char **names = calloc(n + 1, sizeof(*names)), folded[CW_DNS_NAME_MAX + 1];
	struct bytes key = {};
	struct sel *s = NULL;
	size_t have = 0, w = 0;
	int r = names ? 0 : -ENOMEM;

	for (; have < n && !r; have++) {
		r = name_fold(v[have]->fqdn ? v[have]->fqdn : "", true, folded);
		if (r)
			break;
		names[have] = strdup(folded);
		if (!names[have])
			r = -ENOMEM;
	}
	if (have > 1)
		qsort(names, have, sizeof(*names), text_cmp);
	for (size_t i = 0; i < have && !r; i++) {
		if (w && !strcmp(names[w - 1], names[i])) {
			free(names[i]);
			continue;
		}
		names[w++] = names[i];
	}
	if (!r)
		have = w;
	bytes_u32(&key, SELK_FQDN);
	for (size_t i = 0; i < have && !r; i++)
		bytes_str(&key, names[i]);
	r = r ?: sel_lookup(set, &key, ret, &s);
	free(key.v);
	if (r || !s) {
		if (names)
			texts_free(names, have);
		return r;
	}
	s->kind = SELK_FQDN;
	s->names = names;
	s->nnames = have;
	return 0;
}

/* ---- patterns ---------------------------------------------------------------------------------------- */

int names_init(struct policy_set *set)
{
	set->dns.next_number = 1;
	set->dns.patterns = htab_new();
	set->dns.crosses = htab_new();
	return set->dns.patterns && set->dns.crosses ? 0 : -ENOMEM;
}

static void pattern_free(void *v)
{
	struct pattern *p = v;

	if (!p)
		return;
	vec_done(&p->sels);
	free(p->text);
	free(p);
}

void names_done(struct policy_set *set)
{
	htab_free(set->dns.patterns, pattern_free);
	htab_free(set->dns.crosses, free);
	vec_done(&set->dns.cls);
}

void pattern_drop(struct policy_set *set, struct pattern *p)
{
	htab_del(set->dns.patterns, p->text, strlen(p->text));
	if (p->aset)
		intern_unref(set->asets, p->aset);
	pattern_free(p);
}

static int pattern_get(struct policy_set *set, const char *text, struct pattern **ret)
{
	struct pattern *p = htab_get(set->dns.patterns, text, strlen(text));

	if (p) {
		*ret = p;
		return 0;
	}
	p = calloc(1, sizeof(*p));
	if (!p)
		return -ENOMEM;
	p->cls = p->mid = p->pub = NIL;
	p->text = strdup(text);
	if (!p->text || htab_set(set->dns.patterns, text, strlen(text), p, NULL)) {
		pattern_free(p);
		return -ENOMEM;
	}
	*ret = p;
	return 0;
}

/* Which selectors list which pattern now. What neither they nor the map have is forgotten. */
static int patterns_list(struct policy_set *set)
{
	size_t it = 0, klen;
	const void *k;
	void *v;

	while (htab_next(set->dns.patterns, &it, &k, &klen, &v))
		((struct pattern *)v)->sels.n = 0;
	for (uint32_t i = 1; i < set->sels.n; i++) {
		const struct sel *s = set->sels.v[i];

		if (!s || !s->refs || s->kind != SELK_FQDN)
			continue;
		for (size_t n = 0; n < s->nnames; n++) {
			struct pattern *p = NULL;
			int r = pattern_get(set, s->names[n], &p);

			if (r || vec_push(&p->sels, i))
				return -ENOMEM;
		}
	}
	it = 0;
	while (htab_next(set->dns.patterns, &it, &k, &klen, &v)) {
		struct pattern *p = v;

		if (!p->sels.n && p->pub == NIL)
			pattern_drop(set, p);
	}
	return 0;
}

static int u32_cmp(const void *x, const void *y)
{
	uint32_t a = *(const uint32_t *)x, b = *(const uint32_t *)y;

	return (a > b) - (a < b);
}

/* Selectors of the names whose longest pattern this is, and the class they have so far. */
static int pattern_means(struct policy_set *set, struct pattern *p, uint32_t *ret_old)
{
	struct covers c = covers_of(p->text);
	struct u32s all = {};
	uint32_t old = NIL, aset = 0;
	size_t w = 0;
	int r = 0;

	for (const struct pattern *up; !r && (up = cover_next(set, &c));) {
		if (old == NIL)
			old = up->pub;
		for (size_t i = 0; i < up->sels.n && !r; i++)
			r = vec_push(&all, up->sels.v[i]);
	}
	if (all.n > 1)
		qsort(all.v, all.n, sizeof(uint32_t), u32_cmp);
	for (size_t i = 0; i < all.n; i++)
		if (!w || all.v[w - 1] != all.v[i])
			all.v[w++] = all.v[i];
	if (!r && w)
		r = intern_get(set->asets, all.v, w * sizeof(uint32_t), &aset, NULL);
	vec_done(&all);
	if (r)
		return r;
	if (p->aset)
		intern_unref(set->asets, p->aset);
	p->aset = aset;
	*ret_old = old;
	return 0;
}

/* ---- classes ------------------------------------------------------------------------------------------ */

static int class_new(struct policy_set *set, uint32_t aset, uint32_t from, uint32_t *ret)
{
	struct name_class c = { .number = set->dns.next_number, .aset = aset, .from = from };
	uint32_t i = 0;

	while (i < set->dns.cls.n && set->dns.cls.v[i].number)
		i++;
	if (i == set->dns.cls.n && vec_push(&set->dns.cls, ((struct name_class){})))
		return -ENOMEM;
	set->dns.cls.v[i] = c;
	set->dns.next_number++;
	set->dns.ncls++;
	if (aset)
		intern_ref(set->asets, aset);
	*ret = i;
	return 0;
}

void class_free(struct policy_set *set, uint32_t cls)
{
	struct name_class *c = &set->dns.cls.v[cls];

	if (c->aset)
		intern_unref(set->asets, c->aset);
	set->dns.ncls--;
	memset(c, 0, sizeof(*c));
}

/* One class for those that had the same before and match the same now. */
static int class_of(struct policy_set *set, struct htab *known, const struct pattern *p, uint32_t old, uint32_t *ret)
{
	uint64_t key = (uint64_t)old << 32 | p->aset;
	uint32_t cls;
	int r;

	if (old != NIL && set->dns.cls.v[old].aset == p->aset) {
		*ret = old;
		return 0;
	}
	cls = (uint32_t)(uintptr_t)htab_get_u64(known, key) - 1;
	if (cls == NIL) {
		r = class_new(set, p->aset, old, &cls);
		if (r || htab_set_u64(known, key, (void *)(uintptr_t)(cls + 1)))
			return -ENOMEM;
	}
	*ret = cls;
	return 0;
}

/* In the end equal sets share one class: one that stands already, if there is one. */
static int classes_settle(struct policy_set *set)
{
	auto_cleanup(htab_freep) struct htab *canon = htab_new();
	size_t it, klen;
	const void *k;
	void *v;

	if (!canon)
		return -ENOMEM;
	for (int fresh = 0; fresh < 2; fresh++) {
		it = 0;
		while (htab_next(set->dns.patterns, &it, &k, &klen, &v)) {
			struct pattern *p = v;

			if (p->sels.n && set->dns.cls.v[p->mid].published == !fresh && !htab_get_u64(canon, p->aset) &&
			    htab_set_u64(canon, p->aset, (void *)(uintptr_t)(p->mid + 1)))
				return -ENOMEM;
		}
	}
	it = 0;
	while (htab_next(set->dns.patterns, &it, &k, &klen, &v)) {
		struct pattern *p = v;

		p->cls = p->sels.n ? (uint32_t)(uintptr_t)htab_get_u64(canon, p->aset) - 1 : NIL;
		set->dns.cls.v[p->mid].mark = set->dns.cls.v[p->cls == NIL ? p->mid : p->cls].mark = 1;
	}
	return 0;
}

int classes_want(struct policy_set *set, bool *ret_todo)
{
	auto_cleanup(htab_freep) struct htab *known = NULL;
	struct bytes b = {};
	uint64_t digest;
	size_t it = 0, klen;
	const void *k;
	void *v;
	int r;

	for (size_t i = 1; i < set->sels.n; i++)
		if (set->sels.v[i] && set->sels.v[i]->refs && set->sels.v[i]->kind == SELK_FQDN)
			bytes_u32(&b, (uint32_t)i);
	digest = hash_bytes(set->seed, b.v, b.n);
	r = b.err;
	free(b.v);
	if (r)
		return r;
	*ret_todo = set->dns.dirty || digest != set->dns.digest ||
		    (set->dns.ncls && set->dns.uni_digest != set->uni_digest);
	if (!*ret_todo)
		return 0;
	set->dns.dirty = true;
	set->dns.digest = digest;
	set->dns.uni_digest = set->uni_digest;
	known = htab_new();
	r = known ? patterns_list(set) : -ENOMEM;
	if (!r && htab_count(set->dns.patterns) > set->lim.patterns) {
		set->nospace = "patterns of names";
		set->nospace_need = htab_count(set->dns.patterns);
		set->nospace_room = set->lim.patterns;
		return -ENOSPC;
	}
	/* Classes of a plan that was dropped begin anew: what they were split from may be another. */
	for (uint32_t i = 0; i < set->dns.cls.n && !r; i++) {
		struct name_class *c = &set->dns.cls.v[i];

		c->mark = 0;
		if (c->number && !c->published) {
			crosses_drop_class(set, i);
			class_free(set, i);
		}
	}
	while (!r && htab_next(set->dns.patterns, &it, &k, &klen, &v)) {
		struct pattern *p = v;
		uint32_t old;

		r = pattern_means(set, p, &old);
		r = r ?: class_of(set, known, p, old, &p->mid);
	}
	return r ?: classes_settle(set);
}
