/* SPDX-License-Identifier: Apache-2.0 */
/*
 * owners_diff.c - what the state says of each owner: labels, named ports, addresses and the
 * configuration that holds for it. Walks the whole state by digests; only what differs is derived again.
 */
#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"
#include "policy/service.h"

static bool same(const char *a, const char *b)
{
	return !strcmp(a ? a : "", b ? b : "");
}

/* ---- one workload, one node ------------------------------------------------------------------------- */

static int npset_of(struct policy_set *set, const struct workload *w, uint32_t *ret)
{
	struct { uint64_t *v; size_t n, cap; } l = {};
	int r = 0;

	*ret = 0;
	for (size_t i = 0; i < w->nports && !r; i++) {
		const struct named_port *p = &w->ports[i];
		uint32_t name = p->name ? intern_find(set->names, p->name, strlen(p->name)) : 0;
		uint64_t x = (uint64_t)name << 32 | (uint64_t)p->proto << 16 | p->port;
		size_t at = l.n;

		if (!name)
			continue;
		r = vec_push(&l, x);
		for (; !r && at && l.v[at - 1] > x; at--) {
			l.v[at] = l.v[at - 1];
			l.v[at - 1] = x;
		}
	}
	if (!r && l.n)
		r = intern_get(set->npsets, l.v, l.n * sizeof(*l.v), ret, NULL);
	vec_done(&l);
	return r;
}

static bool ignored(const struct policy_set *set, const char *key)
{
	for (size_t i = 0; i < set->nignored; i++)
		if (!strcmp(set->ignored[i], key))
			return true;
	return false;
}

/* The label identity of a workload: shallow copies, only what counts. */
static int ident_of(struct policy_set *set, const struct workload *w, const struct bucket *b, uint32_t *ret)
{
	struct ident_info i = { .ns = w->ns, .controller_kind = w->controller_kind,
				.controller_name = w->controller_name, .service_account = w->service_account };
	struct kv *kv = NULL, *nskv = NULL;
	const struct labels none = {};
	const struct labels *nl = b->ns ? &b->ns->labels : &none;
	static const char name_key[] = "kubernetes.io/metadata.name";
	int r = 0;

	kv = malloc((w->labels.n + 1) * sizeof(*kv));
	nskv = malloc((nl->n + 1) * sizeof(*nskv));
	if (!kv || !nskv)
		r = -ENOMEM;
	if (!r) {
		bool named = labels_get(nl, name_key) || !given(w->ns);

		i.labels.v = kv;
		for (size_t k = 0; k < w->labels.n; k++)
			if (!ignored(set, w->labels.v[k].key))
				kv[i.labels.n++] = w->labels.v[k];
		i.ns_labels.v = nskv;
		for (size_t k = 0; k < nl->n; k++) {
			if (!named && strcmp(nl->v[k].key, name_key) > 0) {
				nskv[i.ns_labels.n++] = (struct kv){ (char *)name_key, w->ns };
				named = true;
			}
			nskv[i.ns_labels.n++] = nl->v[k];
		}
		if (!named)
			nskv[i.ns_labels.n++] = (struct kv){ (char *)name_key, w->ns };
		r = idn_get(set, &i, ret);
	}
	free(kv);
	free(nskv);
	return r;
}

static void workload_bytes(struct bytes *b, const struct workload *w)
{
	bytes_labels(b, &w->labels);
	bytes_str(b, w->controller_kind);
	bytes_str(b, w->controller_name);
	bytes_str(b, w->service_account);
	bytes_str(b, w->node);
	bytes_str(b, w->mode_label);
	bytes_u32(b, (uint32_t)w->naddrs);
	bytes_put(b, w->addrs, w->naddrs * sizeof(*w->addrs));
	bytes_u32(b, (uint32_t)w->nports);
	for (size_t i = 0; i < w->nports; i++) {
		bytes_str(b, w->ports[i].name);
		bytes_u32(b, (uint32_t)w->ports[i].proto << 16 | w->ports[i].port);
	}
}

uint64_t workload_digest(const struct policy_set *set, const struct workload *w, struct bytes *b)
{
	b->n = 0;
	workload_bytes(b, w);
	return hash_bytes(set->seed, b->v, b->n);
}

struct walk {
	struct policy_set *set;
	const struct policy_state *next;
	struct settings s;
	struct chgs *chgs;
	struct u32s *held;
	bool derive, settle, uni;	/* all anew; configuration anew; prefixes anew */
	struct bytes key, body;
};

static int workload_one(struct walk *x, const struct workload *w)
{
	struct policy_set *set = x->set;
	const struct bucket *b = settings_bucket(&x->s, w->ns);
	const struct u32s *behind;
	struct owner *o;
	uint64_t digest;
	bool local, fresh = false;
	int r = 0;

	if (!b)
		return -ENOMEM;
	x->key.n = 0;
	bytes_str(&x->key, w->ns);
	bytes_str(&x->key, w->name);
	bytes_str(&x->key, w->uid);
	digest = set->wl_digests.n ? set->wl_digests.v[w - x->next->workloads] : workload_digest(set, w, &x->body);
	if (x->body.err)
		return -ENOMEM;
	x->body.n = 0;
	bytes_put(&x->body, &b->digest, sizeof(b->digest));
	bytes_put(&x->body, &digest, sizeof(digest));
	behind = services_of_pod(set, w->ns, w->name);
	bytes_put(&x->body, behind->v, behind->n * sizeof(*behind->v));
	if (x->key.err || x->body.err)
		return -ENOMEM;
	digest = hash_bytes(set->seed, x->body.v, x->body.n);
	o = htab_get(set->owners, x->key.v, x->key.n);
	if (o && o->seen)
		return 0; /* named twice: the first stands */
	if (!o) {
		o = owner_new(set, &x->key, w->ns ? w->ns : "", w->name, w->uid);
		if (!o)
			return -ENOMEM;
		fresh = true;
	}
	o->seen = true;
	local = set->lim.all_local || !given(w->node) || !given(x->next->node) || same(w->node, x->next->node);
	if (fresh || o->digest != digest || x->derive || local != o->local) {
		uint32_t idn, npset;
		bool moved = fresh || local != o->local;

		o->digest = digest;
		o->local = local;
		r = ident_of(set, w, b, &idn);
		if (r)
			return r;
		if (o->idn != NIL)
			idn_unref(set, o->idn);
		o->idn = idn;
		r = npset_of(set, w, &npset);
		if (o->npset)
			intern_unref(set->npsets, o->npset);
		o->npset = npset;
		r = r ?: sels_of_pod(set, o, &o->single);
		r = r ?: owner_ends(set, o, w->addrs, w->naddrs, 0);
		for (size_t i = 0; i < o->nh && !r; i++)
			r = holder_check(set, &o->h[i], x->chgs, x->held);
		if (!r && moved)
			r = owner_touch(set, o);
		fresh = true; /* its controller or mode label may differ, too */
	} else if (x->uni) {
		for (size_t i = 0; i < o->nh && !r; i++)
			r = holder_check(set, &o->h[i], x->chgs, x->held);
	}
	if (!r && o->local && (fresh || x->settle)) {
		struct gcfg cfg;

		r = cfg_of(set, &x->s, b, w, &cfg);
		if (!r && memcmp(&cfg, &o->cfg, sizeof(cfg))) {
			o->cfg = cfg;
			r = owner_touch(set, o);
		}
	}
	return r;
}

static int node_one(struct walk *x, const struct node_info *n)
{
	struct policy_set *set = x->set;
	struct owner *o;
	uint64_t digest;
	uint32_t ntold;
	size_t addrs;
	bool host = given(x->next->node) && same(n->name, x->next->node), fresh = false;
	int r = 0;

	x->key.n = x->body.n = 0;
	bytes_u32(&x->key, NIL); /* no string is that long: nodes are apart from workloads */
	bytes_str(&x->key, n->name);
	bytes_labels(&x->body, &n->labels);
	addrs = x->body.n;
	bytes_put(&x->body, n->addrs, n->naddrs * sizeof(*n->addrs));
	bytes_put(&x->body, n->told, n->ntold * sizeof(*n->told));
	ntold = (uint32_t)n->ntold;
	bytes_put(&x->body, &ntold, sizeof(ntold));
	if (x->key.err || x->body.err)
		return -ENOMEM;
	digest = hash_bytes(set->seed, x->body.v, x->body.n);
	o = htab_get(set->owners, x->key.v, x->key.n);
	if (o && o->seen)
		return 0;
	if (!o) {
		o = owner_new(set, &x->key, NULL, n->name, NULL);
		if (!o)
			return -ENOMEM;
		o->node = true;
		fresh = true;
	}
	o->seen = true;
	if (fresh || o->digest != digest || x->derive || host != o->host) {
		o->digest = digest;
		o->host = host;
		r = sels_of_node(set, &n->labels, &o->single);
		r = r ?: owner_ends(set, o, (const struct addr *)(x->body.v + addrs), n->naddrs + n->ntold, n->ntold);
	} else if (!x->uni) {
		return 0;
	}
	for (size_t i = 0; i < o->nh && !r; i++)
		r = holder_check(set, &o->h[i], x->chgs, x->held);
	return r;
}

/* ---- all of them ------------------------------------------------------------------------------------------------ */

static bool selector_names(const struct label_selector *l, const char *key)
{
	for (size_t i = 0; l->set && i < l->match.n; i++)
		if (!strcmp(l->match.v[i].key, key))
			return true;
	for (size_t i = 0; l->set && i < l->nexprs; i++)
		if (!strcmp(l->exprs[i].key, key))
			return true;
	return false;
}

/* Noise labels that no rule names; *ret_changed when the list is another one than last time. */
static int ignored_update(struct policy_set *set, const struct policy_state *next, bool *ret_changed)
{
	struct bytes b = {};
	uint64_t d;
	int r;

	for (size_t i = 0; i < set->nignored; i++)
		free(set->ignored[i]);
	free(set->ignored);
	set->nignored = 0;
	set->ignored = calloc(next->nignore_labels + 1, sizeof(*set->ignored));
	if (!set->ignored)
		return -ENOMEM;
	for (size_t i = 0; i < next->nignore_labels; i++) {
		bool named = false;

		for (size_t k = 1; k < set->sels.n && !named; k++) {
			const struct sel *s = set->sels.v[k];

			named = s && s->refs && s->kind != SELK_CIDRS &&
				selector_names(&s->s.labels, next->ignore_labels[i]);
		}
		if (named)
			continue;
		set->ignored[set->nignored] = strdup(next->ignore_labels[i]);
		if (!set->ignored[set->nignored++])
			return -ENOMEM;
		bytes_str(&b, next->ignore_labels[i]);
	}
	d = hash_bytes(set->seed, b.v, b.n);
	r = b.err;
	free(b.v);
	*ret_changed = d != set->ignore_digest;
	set->ignore_digest = d;
	return r;
}

/* Selectors of single pods or nodes that came or went make lists of theirs wrong. */
static int singles_update(struct policy_set *set, bool *ret_changed)
{
	struct bytes b = {};
	uint64_t d;
	int r;

	for (size_t i = 1; i < set->sels.n; i++) {
		const struct sel *s = set->sels.v[i];

		if (s && s->refs && (s->kind == SELK_POD || s->kind == SELK_NODES))
			bytes_u32(&b, (uint32_t)i);
	}
	d = hash_bytes(set->seed, b.v, b.n);
	r = b.err;
	free(b.v);
	*ret_changed = d != set->single_digest;
	set->single_digest = d;
	return r;
}

static int sweep_owners(struct walk *x)
{
	size_t it = 0, klen;
	const void *k;
	void *v;
	int r = 0;

	while (!r && htab_next(x->set->owners, &it, &k, &klen, &v))
		if (!((struct owner *)v)->seen)
			r = owner_leaves(x->set, v);
	return r;
}

int owners_diff(struct policy_set *set, const struct policy_state *next, bool names_changed)
{
	struct chgs chgs = {};
	struct u32s held = {};
	struct walk x = { .set = set, .next = next, .chgs = &chgs, .held = &held };
	bool labels, singles;
	uint64_t modes;
	size_t it = 0, klen;
	const void *k;
	void *v;
	int r;

	if (next->nworkloads > STATE_WORKLOADS_MAX)
		return -E2BIG;
	set->local_node = next->local_node;
	set->enforce_always = next->enforce_always & ((1u << CW_TIER_DEFAULT) - 1) & ~(1u << CW_TIER_NONE);
	r = universe_update(set, next, &x.uni);
	r = r ?: ignored_update(set, next, &labels);
	r = r ?: singles_update(set, &singles);
	if (r)
		return r;
	x.derive = labels || singles || names_changed;
	x.uni |= set->redo;
	modes = settings_digest(set, next, &r);
	x.settle = modes != set->modes_digest;
	set->modes_digest = modes;
	r = r ?: settings_init(&x.s, set->seed, next);
	while (htab_next(set->owners, &it, &k, &klen, &v))
		((struct owner *)v)->seen = false;
	for (size_t i = 0; i < next->nnodes && !r; i++)
		r = node_one(&x, &next->nodes[i]);
	for (size_t i = 0; i < next->nworkloads && !r; i++)
		r = workload_one(&x, &next->workloads[i]);
	r = r ?: sweep_owners(&x);
	if (!r && x.uni)
		r = nets_diff(set, &chgs);
	for (size_t i = 0; i < chgs.n; i++)
		if (chgs.v[i].h)
			chgs.v[i].existing = chgs.v[i].old != NIL && chgs.v[i].h->eid == chgs.v[i].old;
	r = r ?: eids_assign(set, &chgs);
	for (size_t i = 0; i < chgs.n && !r; i++) {
		const struct holder *h = chgs.v[i].h;
		struct addrrec *a = h && !addr_is_zero(&h->addr) ? htab_get(set->addrs, h->addr.b, 16) : NULL;

		if (a)
			r = addr_touch(set, a);
	}
	r = r ?: groups_assign(set, &chgs);
	for (size_t i = 0; i < held.n; i++)
		intern_unref(set->asets, held.v[i]);
	universe_drop(set, set->uni_old);
	set->uni_old = NULL;
	vec_done(&chgs);
	vec_done(&held);
	settings_done(&x.s);
	free(x.key.v);
	free(x.body.v);
	return r;
}
