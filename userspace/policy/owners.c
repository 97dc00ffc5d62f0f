/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Who has which address, what that makes of the address, and which configuration holds for whom.
 * Walks the whole state by digests; only what differs is derived again.
 */
#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"
#include "policy/service.h"

static bool given(const char *s)
{
	return s && *s;
}

static bool same(const char *a, const char *b)
{
	return !strcmp(a ? a : "", b ? b : "");
}

/* ---- addresses ------------------------------------------------------------------------------------ */

int addr_touch(struct policy_set *set, struct addrrec *a)
{
	if (a->dirty)
		return 0;
	a->dirty = true;
	return vec_push(&set->addr_dirty, a);
}

static int owner_touch(struct policy_set *set, struct owner *o)
{
	if (o->dirty)
		return 0;
	o->dirty = true;
	return vec_push(&set->owner_dirty, o);
}

/* Nodes before workloads, local before remote, then by name: independent of the state's order. */
static bool goes_before(const struct owner *a, const struct owner *b)
{
	int r;

	if (a->node != b->node)
		return a->node;
	if (a->host != b->host)
		return a->host;
	if (a->local != b->local)
		return a->local;
	r = memcmp(a->key, b->key, a->keylen < b->keylen ? a->keylen : b->keylen);
	return r ? r < 0 : a->keylen < b->keylen;
}

struct holder *addr_winner(const struct policy_set *set, const struct addrrec *a)
{
	struct holder *w = NULL;

	(void)set;
	for (size_t i = 0; i < a->claims.n; i++)
		if (!w || goes_before(a->claims.v[i]->owner, w->owner))
			w = a->claims.v[i];
	return w;
}

static int claim(struct policy_set *set, struct holder *h)
{
	struct addrrec *a;

	if (addr_is_zero(&h->addr))
		return 0;
	a = htab_get(set->addrs, h->addr.b, 16);
	if (!a) {
		a = calloc(1, sizeof(*a));
		if (!a)
			return -ENOMEM;
		a->a = h->addr;
		if (htab_set(set->addrs, h->addr.b, 16, a, NULL)) {
			free(a);
			return -ENOMEM;
		}
	}
	set->conflicts += a->claims.n == 1;
	return vec_push(&a->claims, h) ? -ENOMEM : addr_touch(set, a);
}

static int unclaim(struct policy_set *set, struct holder *h)
{
	struct addrrec *a = addr_is_zero(&h->addr) ? NULL : htab_get(set->addrs, h->addr.b, 16);

	if (!a)
		return 0;
	for (size_t i = 0; i < a->claims.n; i++)
		if (a->claims.v[i] == h) {
			a->claims.v[i] = a->claims.v[--a->claims.n];
			set->conflicts -= a->claims.n == 1;
			break;
		}
	return addr_touch(set, a);
}

/* ---- one owner ---------------------------------------------------------------------------------------------- */

static int aset_of(struct policy_set *set, const struct owner *o, const struct addr *a, uint32_t *ret)
{
	const struct universe_net *n = addr_is_zero(a) ? NULL : universe_match(set->uni, a);
	struct u32s all = {};
	size_t i = 0, k = 0, nn = n ? n->nsels : 0;
	int r = 0;

	if (!o->single.n) {
		*ret = n ? n->tag : 0;
		if (*ret)
			intern_ref(set->asets, *ret);
		return 0;
	}
	while ((i < o->single.n || k < nn) && !r) {
		if (k >= nn || (i < o->single.n && o->single.v[i] < n->sels[k]))
			r = vec_push(&all, o->single.v[i++]);
		else
			r = vec_push(&all, n->sels[k++]);
	}
	r = r ?: intern_get(set->asets, all.v, all.n * sizeof(uint32_t), ret, NULL);
	vec_done(&all);
	return r;
}

/* The key an end should have; the references on its sets are collected in `held` until assigned. */
static int holder_check(struct policy_set *set, struct holder *h, struct chgs *chgs, struct u32s *held)
{
	const struct owner *o = h->owner;
	struct chg c = { .h = h, .old = h->eid, .existing = h->eid != NIL };
	int r;

	c.key.realm = !o->node ? CW_REALM_POD : o->host ? CW_REALM_HOST : CW_REALM_NODE;
	c.key.base = !o->node ? o->idn : o->host ? CW_ID_HOST : CW_ID_REMOTE_NODE;
	c.key.npset = o->npset;
	r = aset_of(set, o, &h->addr, &c.key.aset);
	if (r)
		return r;
	if (set->redo && h->eid != NIL) {
		const struct addrrec *a = addr_is_zero(&h->addr) ? NULL : htab_get(set->addrs, h->addr.b, 16);
		uint32_t image = a && a->pub_set ? eid_slot(set, a->pub.eid) : NIL;

		/* A plan that was not committed has been here: what counts is what stands. */
		if (image != NIL && image != h->eid) {
			set->eids.v[h->eid].holders--;
			h->eid = NIL;
			c.old = image;
			c.existing = false;
		}
	}
	if (h->eid != NIL && ekey_same(&c.key, &set->eids.v[h->eid].key)) {
		if (c.key.aset)
			intern_unref(set->asets, c.key.aset);
		return 0;
	}
	if (c.key.aset && vec_push(held, c.key.aset))
		return -ENOMEM;
	return vec_push(chgs, c) || owner_touch(set, h->owner) ? -ENOMEM : 0;
}

static int holder_gone(struct policy_set *set, struct holder *h)
{
	/* An element of an owner's list: NOLINTNEXTLINE(clang-analyzer-core.NullDereference) */
	if (h->eid != NIL)
		set->eids.v[h->eid].holders--;
	if (h->group)
		h->group->refs--;
	h->group = NULL;
	h->eid = NIL;
	return unclaim(set, h);
}

/* Brings the ends in line with the addresses; ends that stay keep what they have. */
static int owner_ends(struct policy_set *set, struct owner *o, const struct addr *addrs, size_t n)
{
	static const struct addr none;
	struct holder *h;
	size_t w = 0;
	int r = 0;

	if (!n && !o->node) {
		addrs = &none;
		n = 1;
	}
	h = calloc(n + 1, sizeof(*h));
	if (!h)
		return -ENOMEM;
	for (size_t i = 0; i < n && !r; i++) {
		struct holder *was = NULL;
		bool twice = false;

		if (n > 1 && addr_is_zero(&addrs[i]))
			continue;
		for (size_t k = 0; k < w && !twice; k++)
			twice = !addr_cmp(&h[k].addr, &addrs[i]);
		if (twice)
			continue;
		for (size_t k = 0; k < o->nh && !was; k++)
			if (!addr_cmp(&o->h[k].addr, &addrs[i]))
				was = &o->h[k];
		h[w] = (struct holder){ .addr = addrs[i], .owner = o, .eid = NIL, .mid = NIL };
		if (was) {
			h[w].eid = was->eid;
			h[w].group = was->group;
			was->eid = NIL; /* handed over */
			was->group = NULL;
		}
		w++;
	}
	for (size_t k = 0; k < o->nh && !r; k++)
		r = holder_gone(set, &o->h[k]);
	free(o->h);
	o->h = h;
	o->nh = w;
	for (size_t k = 0; k < w && !r; k++)
		r = claim(set, &h[k]);
	return r;
}

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

static int dup_field(const char *from, char **to)
{
	*to = strdup(from ? from : "");
	return *to ? 0 : -ENOMEM;
}

/* The part of a workload's key without its uid. */
static size_t name_len(const struct owner *o)
{
	return 2 * sizeof(uint32_t) + strlen(o->ns) + strlen(o->name);
}

static struct owner *owner_new(struct policy_set *set, const struct bytes *key, const char *ns,
			       const char *name, const char *uid)
{
	struct owner *o = calloc(1, sizeof(*o));

	if (!o)
		return NULL;
	o->idn = NIL;
	o->key = malloc(key->n);
	if (!o->key || dup_field(ns, &o->ns) || dup_field(name, &o->name) || dup_field(uid, &o->uid) ||
	    htab_set(set->owners, key->v, key->n, o, NULL)) {
		owner_free(set, o);
		return NULL;
	}
	memcpy(o->key, key->v, key->n);
	o->keylen = key->n;
	if (ns && htab_set(set->owners_by_name, o->key, name_len(o), o, NULL)) {
		htab_del(set->owners, o->key, o->keylen);
		owner_free(set, o);
		return NULL;
	}
	return o;
}

void owner_free(struct policy_set *set, struct owner *o)
{
	(void)set;
	if (!o)
		return;
	free(o->ns);
	free(o->name);
	free(o->uid);
	free(o->key);
	free(o->h);
	vec_done(&o->single);
	free(o);
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

static int owner_leaves(struct policy_set *set, struct owner *o)
{
	int r = 0;

	for (size_t i = 0; i < o->nh && !r; i++)
		r = holder_gone(set, &o->h[i]);
	if (o->idn != NIL)
		idn_unref(set, o->idn);
	if (o->npset)
		intern_unref(set->npsets, o->npset);
	o->idn = NIL;
	o->npset = 0;
	o->gone = true;
	htab_del(set->owners, o->key, o->keylen);
	if (!o->node && htab_get(set->owners_by_name, o->key, name_len(o)) == o)
		htab_del(set->owners_by_name, o->key, name_len(o));
	/* Holders' memory stays while records may point to it: until the plan is made or dropped. */
	return r ? r : vec_push(&set->owner_dead, o);
}

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
		r = r ?: owner_ends(set, o, w->addrs, w->naddrs);
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
	bool host = given(x->next->node) && same(n->name, x->next->node), fresh = false;
	int r = 0;

	x->key.n = x->body.n = 0;
	bytes_u32(&x->key, NIL); /* no string is that long: nodes are apart from workloads */
	bytes_str(&x->key, n->name);
	bytes_labels(&x->body, &n->labels);
	bytes_put(&x->body, n->addrs, n->naddrs * sizeof(*n->addrs));
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
		r = r ?: owner_ends(set, o, n->addrs, n->naddrs);
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

static void addrrec_free(void *p)
{
	struct addrrec *a = p;

	if (a)
		vec_done(&a->claims);
	free(a);
}

static int free_owner(void *p)
{
	owner_free(NULL, p);
	return 0;
}

static void owner_done(void *p)
{
	(void)free_owner(p);
}

void owners_done(struct policy_set *set)
{
	htab_free(set->owners, owner_done);
	for (size_t i = 0; i < set->owner_dead.n; i++)
		owner_free(set, set->owner_dead.v[i]);
	htab_free(set->addrs, addrrec_free);
	htab_free(set->nets, free);
	vec_done(&set->addr_dirty);
	vec_done(&set->net_dirty);
	vec_done(&set->owner_dirty);
	vec_done(&set->owner_dead);
	if (set->uni)
		universe_drop(set, set->uni);
	if (set->uni_old)
		universe_drop(set, set->uni_old);
	for (size_t i = 0; i < set->nignored; i++)
		free(set->ignored[i]);
	free(set->ignored);
}
