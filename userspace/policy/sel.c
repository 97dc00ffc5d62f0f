/* SPDX-License-Identifier: Apache-2.0 */
/* Selectors in use, label identities in use, and which matches which; both ways incremental. */
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "base/cleanup.h"
#include "policy/service.h"

static bool same(const char *a, const char *b)
{
	return !strcmp(a ? a : "", b ? b : "");
}

/* ---- word indexes: bytes -> list of numbers ------------------------------------------------ */

static void list_free(void *p)
{
	struct u32s *l = p;

	if (l)
		free(l->v);
	free(l);
}

static int index_add(struct htab *t, const void *k, size_t n, uint32_t id)
{
	struct u32s *l = htab_get(t, k, n);

	if (!l) {
		l = calloc(1, sizeof(*l));
		if (!l)
			return -ENOMEM;
		if (htab_set(t, k, n, l, NULL)) {
			free(l);
			return -ENOMEM;
		}
	}
	return vec_push(l, id);
}

static void u32s_del(struct u32s *l, uint32_t x)
{
	for (size_t i = 0; i < l->n; i++) {
		if (l->v[i] == x) {
			l->v[i] = l->v[--l->n];
			return;
		}
	}
}

static void index_del(struct htab *t, const void *k, size_t n, uint32_t id)
{
	struct u32s *l = htab_get(t, k, n);

	if (!l)
		return;
	u32s_del(l, id);
	if (!l->n)
		list_free(htab_del(t, k, n));
}

static const struct u32s *index_get(const struct htab *t, const void *k, size_t n)
{
	static const struct u32s none;
	const struct u32s *l = htab_get(t, k, n);

	return l ? l : &none;
}

#define PAIR_MAX 512
static size_t pair_key(char out[PAIR_MAX], const char *k, const char *v)
{
	size_t a = strlen(k), b = v ? strlen(v) : 0;

	/* Longer pairs share a bucket by their beginning: it is only an index. */
	if (a > 300)
		a = 300;
	if (b > 200)
		b = 200;
	memcpy(out, k, a);
	out[a] = 0;
	if (b)
		memcpy(out + a + 1, v, b);
	return a + 1 + b;
}

static size_t pod_key(char out[PAIR_MAX], const struct sel *s)
{
	return given(s->s.pod) ? pair_key(out, "n", s->s.pod) : pair_key(out, "u", s->s.pod_uid);
}

/* ---- matching -------------------------------------------------------------------------------- */

bool sel_matches_ident(const struct sel *s, const struct ident_info *i)
{
	if (given(s->s.ns) && !same(s->s.ns, i->ns))
		return false;
	if (s->s.ns_labels.set && !label_selector_matches(&s->s.ns_labels, &i->ns_labels))
		return false;
	if (given(s->s.controller_kind) &&
	    strcasecmp(s->s.controller_kind, i->controller_kind ? i->controller_kind : ""))
		return false;
	if (given(s->s.controller_name) && !same(s->s.controller_name, i->controller_name))
		return false;
	if (given(s->s.service_account) && !same(s->s.service_account, i->service_account))
		return false;
	return !s->s.labels.set || label_selector_matches(&s->s.labels, &i->labels);
}

static int match_note(struct policy_set *set, struct sel *s, uint32_t slot)
{
	struct idn *d = &set->idns.v[slot];

	if (!sel_matches_ident(s, d->info))
		return 0;
	return vec_push(&s->idents, slot) || vec_push(&d->sels, s->id) ? -ENOMEM : 0;
}

static int sel_find_idents(struct policy_set *set, struct sel *s)
{
	const struct u32s *c = NULL;
	char k[PAIR_MAX];
	int r = 0;

	if (given(s->s.ns))
		c = index_get(set->idn_by_ns, s->s.ns, strlen(s->s.ns));
	if (s->s.labels.set)
		for (size_t i = 0; i < s->s.labels.match.n; i++) {
			const struct kv *m = &s->s.labels.match.v[i];
			const struct u32s *l = index_get(set->idn_by_pair, k, pair_key(k, m->key, m->value));

			if (!c || l->n < c->n)
				c = l;
		}
	if (c) {
		for (size_t i = 0; i < c->n && !r; i++)
			r = match_note(set, s, c->v[i]);
		return r;
	}
	for (size_t i = 0; i < set->idns.n && !r; i++)
		if (set->idns.v[i].refs)
			r = match_note(set, s, (uint32_t)i);
	return r;
}

/* Where a new label identity finds this selector. */
static int sel_index(struct policy_set *set, struct sel *s, bool add)
{
	const struct labels *m = &s->s.labels.match;
	struct htab *t = NULL;
	struct u32s *l = NULL;
	char k[PAIR_MAX];
	size_t n = 0;

	switch (s->kind) {
	case SELK_POD:
		t = set->sel_by_pod;
		n = pod_key(k, s);
		break;
	case SELK_LABELS:
		if (given(s->s.ns)) {
			t = set->sel_by_ns;
			n = pair_key(k, s->s.ns, NULL);
		} else if (s->s.labels.set && m->n) {
			t = set->sel_by_pair;
			n = pair_key(k, m->v[0].key, m->v[0].value);
		} else {
			l = &set->sel_loose;
		}
		break;
	case SELK_NODES:
		l = &set->sel_nodes;
		break;
	case SELK_CIDRS:
	case SELK_FQDN:
	case SELK_BACKENDS:
		return 0;
	}
	if (l)
		return add ? vec_push(l, s->id) : (u32s_del(l, s->id), 0);
	return add ? index_add(t, k, n, s->id) : (index_del(t, k, n, s->id), 0);
}

int sels_init(struct policy_set *set)
{
	set->sel_by_key = htab_new();
	set->sel_by_ns = htab_new();
	set->sel_by_pair = htab_new();
	set->sel_by_pod = htab_new();
	set->idn_by_number = htab_new();
	set->idn_by_ns = htab_new();
	set->idn_by_pair = htab_new();
	set->idents = ident_table_new();
	if (!set->sel_by_key || !set->sel_by_ns || !set->sel_by_pair || !set->sel_by_pod ||
	    !set->idn_by_number || !set->idn_by_ns || !set->idn_by_pair || !set->idents)
		return -ENOMEM;
	return vec_push(&set->sels, NULL); /* numbers begin at 1 */
}

static void sel_free(struct sel *s)
{
	if (!s)
		return;
	selector_done(&s->s);
	for (size_t i = 0; i < s->ncidrs; i++)
		selector_done(&s->cidrs[i]);
	free(s->cidrs);
	for (size_t i = 0; i < s->nnames; i++)
		free(s->names[i]);
	free(s->names);
	vec_done(&s->idents);
	vec_done(&s->eids);
	vec_done(&s->subject_of[0]);
	vec_done(&s->subject_of[1]);
	free(s->key);
	free(s);
}

void sels_done(struct policy_set *set)
{
	for (size_t i = 0; i < set->sels.n; i++)
		sel_free(set->sels.v[i]);
	vec_done(&set->sels);
	vec_done(&set->sel_mark);
	vec_done(&set->sel_loose);
	vec_done(&set->sel_nodes);
	for (size_t i = 0; i < set->idns.n; i++) {
		vec_done(&set->idns.v[i].sels);
		vec_done(&set->idns.v[i].eids);
	}
	vec_done(&set->idns);
	vec_done(&set->idn_free);
	htab_free(set->sel_by_key, NULL);
	htab_free(set->sel_by_ns, list_free);
	htab_free(set->sel_by_pair, list_free);
	htab_free(set->sel_by_pod, list_free);
	htab_free(set->idn_by_number, NULL);
	htab_free(set->idn_by_ns, list_free);
	htab_free(set->idn_by_pair, list_free);
	ident_table_free(set->idents);
}

int sel_lookup(struct policy_set *set, const struct bytes *key, uint32_t *ret, struct sel **ret_new)
{
	struct sel *s;

	*ret_new = NULL;
	if (key->err)
		return key->err;
	s = htab_get(set->sel_by_key, key->v, key->n);
	if (s) {
		s->refs++;
		*ret = s->id;
		return 0;
	}
	s = calloc(1, sizeof(*s));
	if (!s)
		return -ENOMEM;
	s->key = malloc(key->n);
	s->id = (uint32_t)set->sels.n;
	if (!s->key || htab_set(set->sel_by_key, key->v, key->n, s, NULL)) {
		sel_free(s);
		return -ENOMEM;
	}
	memcpy(s->key, key->v, key->n);
	s->keylen = key->n;
	if (vec_push(&set->sels, s)) {
		htab_del(set->sel_by_key, key->v, key->n);
		sel_free(s);
		return -ENOMEM;
	}
	s->refs = 1;
	set->nsels++;
	*ret = s->id;
	*ret_new = s;
	return 0;
}

int sel_get(struct policy_set *set, enum sel_kind kind, const struct selector *from, const char *ns,
	    uint32_t *ret)
{
	struct selector flat = *from; /* shallow: what this kind does not look at is left out */
	struct bytes key = {};
	struct sel *s;
	int r;

	flat.ns = (char *)ns;
	flat.kind = kind == SELK_NODES ? SEL_NODES : kind == SELK_BACKENDS ? SEL_SERVICE : SEL_WORKLOAD;
	if (kind != SELK_BACKENDS)
		flat.service = flat.fqdn = NULL;
	flat.reserved = 0;
	flat.except = NULL;
	flat.nexcept = 0;
	bytes_u32(&key, kind);
	bytes_selector(&key, &flat);
	r = sel_lookup(set, &key, ret, &s);
	free(key.v);
	if (r || !s)
		return r;
	s->kind = kind;
	r = selector_copy(&flat, &s->s);
	r = r ?: sel_index(set, s, true);
	if (!r && kind == SELK_LABELS)
		r = sel_find_idents(set, s);
	return r;
}

static int cidr_cmp(const void *x, const void *y)
{
	const struct selector *a = *(const struct selector *const *)x;
	const struct selector *b = *(const struct selector *const *)y;
	int r = prefix_cmp(&a->cidr, &b->cidr);

	if (r || a->nexcept != b->nexcept)
		return r ? r : (a->nexcept > b->nexcept) - (a->nexcept < b->nexcept);
	for (size_t i = 0; i < a->nexcept && !r; i++)
		r = prefix_cmp(&a->except[i], &b->except[i]);
	return r;
}

int sel_get_cidrs(struct policy_set *set, const struct selector *const *v, size_t n, uint32_t *ret)
{
	auto_free const struct selector **sorted = malloc((n + 1) * sizeof(*sorted));
	struct bytes key = {};
	struct sel *s;
	int r;

	if (!sorted)
		return -ENOMEM;
	memcpy(sorted, v, n * sizeof(*sorted));
	qsort(sorted, n, sizeof(*sorted), cidr_cmp);
	bytes_u32(&key, SELK_CIDRS);
	for (size_t i = 0; i < n; i++) {
		struct selector only = { .kind = SEL_CIDR, .cidr = sorted[i]->cidr,
					 .except = sorted[i]->except, .nexcept = sorted[i]->nexcept };
		bytes_selector(&key, &only);
	}
	r = sel_lookup(set, &key, ret, &s);
	free(key.v);
	if (r || !s)
		return r;
	s->kind = SELK_CIDRS;
	s->cidrs = calloc(n, sizeof(*s->cidrs));
	if (!s->cidrs)
		return -ENOMEM;
	for (size_t i = 0; i < n && !r; i++) {
		struct selector only = { .kind = SEL_CIDR, .cidr = sorted[i]->cidr,
					 .except = sorted[i]->except, .nexcept = sorted[i]->nexcept };
		r = selector_copy(&only, &s->cidrs[i]);
		s->ncidrs = i + 1;
	}
	return r;
}

void sel_unref(struct policy_set *set, uint32_t id)
{
	set->sels.v[id]->refs--;
}

void sels_sweep(struct policy_set *set)
{
	for (size_t i = 1; i < set->sels.n; i++) {
		struct sel *s = set->sels.v[i];

		if (!s || s->refs)
			continue;
		for (size_t k = 0; k < s->idents.n; k++)
			u32s_del(&set->idns.v[s->idents.v[k]].sels, s->id);
		(void)sel_index(set, s, false); /* removing cannot fail */
		htab_del(set->sel_by_key, s->key, s->keylen);
		set->sels.v[i] = NULL;
		set->nsels--;
		sel_free(s);
	}
}

/* ---- label identities -------------------------------------------------------------------------- */

static int idn_try(struct policy_set *set, const struct u32s *l, uint32_t slot)
{
	int r = 0;

	for (size_t i = 0; i < l->n && !r; i++)
		r = match_note(set, set->sels.v[l->v[i]], slot);
	return r;
}

static int idn_index(struct policy_set *set, uint32_t slot, bool add)
{
	const struct ident_info *i = set->idns.v[slot].info;
	const char *ns = i->ns ? i->ns : "";
	char k[PAIR_MAX];
	int r = 0;

	if (add)
		r = index_add(set->idn_by_ns, ns, strlen(ns), slot);
	else
		index_del(set->idn_by_ns, ns, strlen(ns), slot);
	for (size_t l = 0; l < i->labels.n && !r; l++) {
		size_t n = pair_key(k, i->labels.v[l].key, i->labels.v[l].value);

		if (add)
			r = index_add(set->idn_by_pair, k, n, slot);
		else
			index_del(set->idn_by_pair, k, n, slot);
	}
	return r;
}

int idn_get(struct policy_set *set, const struct ident_info *info, uint32_t *ret)
{
	uint32_t number, slot;
	char k[PAIR_MAX];
	struct idn *d;
	void *known;
	int r;

	r = ident_table_get(set->idents, info, &number);
	if (r)
		return r;
	known = htab_get_u64(set->idn_by_number, number);
	if (known) {
		ident_table_unref(set->idents, number); /* one reference per slot */
		slot = (uint32_t)(uintptr_t)known - 1;
		set->idns.v[slot].refs++;
		*ret = slot;
		return 0;
	}
	if (set->idn_free.n) {
		slot = set->idn_free.v[--set->idn_free.n];
	} else {
		slot = (uint32_t)set->idns.n;
		if (vec_push(&set->idns, ((struct idn){})))
			return -ENOMEM;
	}
	d = &set->idns.v[slot];
	*d = (struct idn){ .number = number, .refs = 1, .info = ident_table_info(set->idents, number) };
	if (htab_set_u64(set->idn_by_number, number, (void *)(uintptr_t)(slot + 1)))
		return -ENOMEM;
	r = idn_index(set, slot, true);
	info = d->info;
	if (!r)
		r = idn_try(set, index_get(set->sel_by_ns, k, pair_key(k, info->ns ? info->ns : "", NULL)), slot);
	for (size_t i = 0; i < info->labels.n && !r; i++)
		r = idn_try(set, index_get(set->sel_by_pair, k, pair_key(k, info->labels.v[i].key,
									info->labels.v[i].value)), slot);
	r = r ?: idn_try(set, &set->sel_loose, slot);
	*ret = slot;
	return r;
}

void idn_unref(struct policy_set *set, uint32_t slot)
{
	struct idn *d = &set->idns.v[slot];

	if (--d->refs)
		return;
	for (size_t i = 0; i < d->sels.n; i++)
		if (set->sels.v[d->sels.v[i]])
			u32s_del(&set->sels.v[d->sels.v[i]]->idents, slot);
	(void)idn_index(set, slot, false); /* removing cannot fail */
	htab_del_u64(set->idn_by_number, d->number);
	ident_table_unref(set->idents, d->number);
	vec_done(&d->sels);
	vec_done(&d->eids);
	d->info = NULL;
	(void)vec_push(&set->idn_free, slot); /* without memory the slot is merely not reused */
}

/* ---- effective identities ------------------------------------------------------------------------- */

const uint32_t *aset_sels(const struct policy_set *set, uint32_t aset, size_t *ret_n)
{
	const void *p = NULL;
	size_t len = 0;

	if (aset)
		p = intern_bytes(set->asets, aset, &len);
	*ret_n = len / sizeof(uint32_t);
	return p;
}

void eid_mark_sels(struct policy_set *set, uint32_t ix)
{
	const struct ekey *k = &set->eids.v[ix].key;
	const uint32_t *a;
	size_t n;

	if (++set->mark == 0) { /* wrapped: forget old marks */
		memset(set->sel_mark.v, 0, set->sel_mark.n * sizeof(uint32_t));
		set->mark = 1;
	}
	if (set->sel_mark.n < set->sels.n) {
		if (vec_reserve(&set->sel_mark, set->sels.n)) {
			set->poisoned = true;
			return;
		}
		memset(set->sel_mark.v + set->sel_mark.n, 0, (set->sels.n - set->sel_mark.n) * sizeof(uint32_t));
		set->sel_mark.n = set->sels.n;
	}
	if (k->realm == CW_REALM_POD) {
		const struct u32s *l = &set->idns.v[k->base].sels;

		for (size_t i = 0; i < l->n; i++)
			set->sel_mark.v[l->v[i]] = set->mark;
	}
	a = aset_sels(set, k->aset, &n);
	for (size_t i = 0; i < n; i++)
		if (set->sels.v[a[i]])
			set->sel_mark.v[a[i]] = set->mark;
}

static int u32_cmp(const void *x, const void *y)
{
	uint32_t a = *(const uint32_t *)x, b = *(const uint32_t *)y;

	return (a > b) - (a < b);
}

int sels_of_pod(struct policy_set *set, const struct owner *o, struct u32s *ret)
{
	const struct ident_info *info = set->idns.v[o->idn].info;
	const struct u32s *behind;
	char k[PAIR_MAX];

	ret->n = 0;
	for (int by_uid = 0; by_uid < 2; by_uid++) {
		const char *word = by_uid ? o->uid : o->name;
		const struct u32s *l;

		if (!given(word))
			continue;
		l = index_get(set->sel_by_pod, k, pair_key(k, by_uid ? "u" : "n", word));
		for (size_t i = 0; i < l->n; i++) {
			const struct sel *s = set->sels.v[l->v[i]];

			if (!s->refs || (given(s->s.pod) && !same(s->s.pod, o->name)) ||
			    (given(s->s.pod_uid) && !same(s->s.pod_uid, o->uid)) || !sel_matches_ident(s, info))
				continue;
			if (vec_push(ret, s->id))
				return -ENOMEM;
		}
	}
	behind = services_of_pod(set, o->ns, o->name);
	for (size_t i = 0; i < behind->n; i++)
		if (vec_push(ret, behind->v[i]))
			return -ENOMEM;
	if (ret->n > 1)
		qsort(ret->v, ret->n, sizeof(uint32_t), u32_cmp);
	return 0;
}

int sels_of_node(struct policy_set *set, const struct labels *labels, struct u32s *ret)
{
	ret->n = 0;
	for (size_t i = 0; i < set->sel_nodes.n; i++) {
		const struct sel *s = set->sels.v[set->sel_nodes.v[i]];

		if (!s->refs || (s->s.labels.set && !label_selector_matches(&s->s.labels, labels)))
			continue;
		if (vec_push(ret, s->id))
			return -ENOMEM;
	}
	if (ret->n > 1)
		qsort(ret->v, ret->n, sizeof(uint32_t), u32_cmp);
	return 0;
}
