/* SPDX-License-Identifier: Apache-2.0 */
#include "policy/space.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"

/* ---- addresses of nobody ---------------------------------------------------------------------- */

struct nets { struct prefix *v; size_t n, cap; };

static int net_cmp(const void *x, const void *y)
{
	const struct prefix *a = x, *b = y;
	int r;

	if (a->v6 != b->v6)
		return (int)a->v6 - (int)b->v6;
	r = memcmp(a->addr.b, b->addr.b, 16);
	return r ? r : (int)a->plen - (int)b->plen;
}

static struct addr prefix_last(const struct prefix *p)
{
	struct addr a = p->addr;

	for (unsigned i = p->v6 ? p->plen : p->plen + 96u; i < 128; i++)
		a.b[i / 8] |= (uint8_t)(0x80 >> i % 8);
	return a;
}

/* False when there is no next address. */
static bool addr_next(struct addr *a)
{
	for (int i = 15; i >= 0; i--)
		if (++a->b[i])
			return true;
	return false;
}

static bool addr_owned(const struct policy_set *set, const struct addr *a)
{
	const struct addrrec *rec = htab_get(set->addrs, a->b, 16);

	return rec && rec->claims.n;
}

/* First address from `from` on that is in v[at], in no longer prefix of the list, and nobody's. */
static bool net_free(const struct policy_set *set, const struct nets *l, size_t at, struct addr from, struct addr *ret)
{
	struct addr last = prefix_last(&l->v[at]), end;

	for (size_t i = at + 1; i <= l->n; i++) {
		bool kid = i < l->n && prefix_covers(&l->v[at], &l->v[i]);

		end = kid ? l->v[i].addr : last;
		while (memcmp(from.b, end.b, 16) < (kid ? 0 : 1)) {
			if (!addr_owned(set, &from)) {
				*ret = from;
				return true;
			}
			if (!memcmp(from.b, last.b, 16) || !addr_next(&from))
				return false;
		}
		if (!kid)
			return false;
		end = prefix_last(&l->v[i]);
		if (memcmp(from.b, end.b, 16) > 0)
			continue;
		if (!memcmp(end.b, last.b, 16))
			return false;
		from = end;
		(void)addr_next(&from); /* below `last`, so there is one */
	}
	return false;
}

static const struct prefix *net_longest(const struct nets *l, const struct addr *a)
{
	const struct prefix *best = NULL;

	for (size_t i = 0; i < l->n; i++)
		if (prefix_has(&l->v[i], a) && (!best || best->plen < l->v[i].plen))
			best = &l->v[i];
	return best;
}

/* An address to show; one that reads well where there is a choice. */
static bool net_witness(const struct policy_set *set, const struct nets *l, size_t at, struct addr *ret)
{
	const struct prefix *p = &l->v[at];
	struct addr a = p->addr;

	if (!p->plen && !addr_parse(p->v6 ? "2001:db8::1" : "192.0.2.1", &a) && net_longest(l, &a) == p &&
	    !addr_owned(set, &a)) {
		*ret = a;
		return true;
	}
	a = p->addr;
	if (p->plen + 1 < (p->v6 ? 128 : 32) && addr_next(&a) && net_free(set, l, at, a, ret))
		return true;
	return net_free(set, l, at, p->addr, ret);
}

static uint32_t net_slot(const struct policy_set *set, const struct prefix *p)
{
	const struct universe_net *u = universe_cover(set->uni, p);
	unsigned char key[18];
	const struct netrec *n;

	memcpy(key, u->p.addr.b, 16);
	key[16] = u->p.plen;
	key[17] = u->p.v6 != 0;
	n = htab_get(set->nets, key, sizeof(key));
	return n ? n->eid : NIL;
}

static int nets_collect(const struct space *s, struct nets *ret)
{
	size_t w = 0;

	for (int k = 0; k < SPACE_SETS; k++)
		for (int v6 = 0; v6 < 2; v6++)
			for (size_t i = 0; i < universe_count(s->set[k]->uni, v6); i++)
				if (vec_push(ret, universe_at(s->set[k]->uni, v6, i)->p))
					return -ENOMEM;
	if (ret->n)
		qsort(ret->v, ret->n, sizeof(*ret->v), net_cmp);
	for (size_t i = 0; i < ret->n; i++)
		if (!i || net_cmp(&ret->v[w - 1], &ret->v[i]))
			ret->v[w++] = ret->v[i];
	ret->n = w;
	return 0;
}

/* ---- ends ------------------------------------------------------------------------------------------ */

/* While it is built: an end and what its atom is made of. */
struct proto { struct diff_end e; const struct group *g[SPACE_SETS]; uint32_t ix[SPACE_SETS], nx[SPACE_SETS]; };
struct protos { struct proto *v; size_t n, cap; };

static int nets_add(const struct space *s, struct protos *to)
{
	struct nets l = {};
	int r = nets_collect(s, &l);

	for (size_t i = 0; i < l.n && !r; i++) {
		const struct prefix *p = &l.v[i];
		struct proto x = { .e = { .kind = DIFF_NET, .net = *p, .owner = NIL, .fam = p->v6 ? 2 : 1 },
				   .nx = { NIL, NIL } };

		if (!net_witness(s->set[0], &l, i, &x.e.addr[p->v6 != 0]))
			continue;
		for (int k = 0; k < SPACE_SETS; k++)
			x.ix[k] = net_slot(s->set[k], p);
		if (x.ix[0] == NIL || x.ix[1] == NIL)
			continue;
		x.e.realm = s->set[0]->eids.v[x.ix[0]].key.realm;
		r = vec_push(to, x);
	}
	vec_done(&l);
	return r;
}

static const struct holder *holder_in(const struct policy_set *set, const struct owner *o, const struct addr *a)
{
	if (!addr_is_zero(a)) {
		const struct addrrec *rec = htab_get(set->addrs, a->b, 16);
		const struct holder *h = rec ? addr_winner(set, rec) : NULL;

		return h && h->owner == o ? h : NULL;
	}
	for (size_t i = 0; i < o->nh; i++)
		if (addr_is_zero(&o->h[i].addr))
			return &o->h[i];
	return NULL;
}

static bool proto_same(const struct proto *a, const struct proto *b)
{
	return a->g[0] == b->g[0] && a->g[1] == b->g[1] && a->ix[0] == b->ix[0] && a->ix[1] == b->ix[1];
}

/* One end for the addresses of an owner that all mean the same; else one for each address. */
static int owner_add(const struct space *s, const struct owner *o, const struct owner *ob, uint32_t number,
		     struct protos *to)
{
	const struct ident_info *info = o->node ? NULL : s->set[0]->idns.v[o->idn].info;
	size_t first = to->n;
	bool same = true;

	for (size_t h = 0; h < o->nh; h++) {
		const struct addr *a = &o->h[h].addr;
		const struct holder *ha = holder_in(s->set[0], o, a), *hb = holder_in(s->set[1], ob, a);
		bool none = addr_is_zero(a), v6 = !none && !addr_is_v4(a);
		struct proto x = { .e = { .kind = o->node ? DIFF_NODE : DIFF_WORKLOAD, .ns = o->ns, .name = o->name,
					  .ctl_kind = info && info->controller_kind ? info->controller_kind : "",
					  .ctl_name = info && info->controller_name ? info->controller_name : "",
					  .owner = number, .fam = none ? 3 : v6 ? 2 : 1 },
				   .nx = { NIL, NIL } };

		if (!ha || !hb || ha->eid == NIL || hb->eid == NIL)
			continue; /* another owner has the address */
		x.g[0] = ha->group;
		x.g[1] = hb->group;
		x.ix[0] = ha->eid;
		x.ix[1] = hb->eid;
		x.e.addr[v6] = *a;
		x.e.realm = s->set[0]->eids.v[ha->eid].key.realm;
		if (vec_push(to, x))
			return -ENOMEM;
		same &= proto_same(&to->v[first], &x);
	}
	for (size_t i = first; i < to->n && !same; i++)
		to->v[i].e.part = true;
	while (same && to->n > first + 1) {
		struct diff_end *e = &to->v[first].e, *x = &to->v[--to->n].e;

		for (int v6 = 0; v6 < 2; v6++)
			if (x->fam & 1 << v6 && !addr_is_zero(&x->addr[v6]))
				e->addr[v6] = x->addr[v6];
		e->fam |= x->fam;
	}
	return 0;
}

static int owners_add(struct space *s, struct protos *to)
{
	size_t it = 0, len;
	const void *key;
	void *v;
	bool host = false, node = false;
	int r = 0;

	while (!r && htab_next(s->set[0]->owners, &it, &key, &len, &v)) {
		const struct owner *o = v, *ob = htab_get(s->set[1]->owners, key, len);

		if (o->gone || !ob || ob->gone)
			continue;
		host |= o->node && o->host;
		node |= o->node && !o->host;
		r = owner_add(s, o, ob, s->nowners++, to);
	}
	/* Whoever has no address in the inventory can be meant by a rule all the same. */
	for (uint32_t id = CW_ID_HOST; id <= CW_ID_REMOTE_NODE && !r; id++) {
		struct proto x = { .e = { .kind = DIFF_HOST, .fam = 3, .owner = NIL }, .nx = { NIL, NIL } };

		if (id == CW_ID_HOST ? host : node)
			continue;
		x.e.realm = id == CW_ID_HOST ? CW_REALM_HOST : CW_REALM_NODE;
		x.ix[0] = eid_slot(s->set[0], id);
		x.ix[1] = eid_slot(s->set[1], id);
		if (x.ix[0] != NIL && x.ix[1] != NIL)
			r = vec_push(to, x);
	}
	return r;
}

/* ---- names ----------------------------------------------------------------------------------------- */

struct texts { const char **v; size_t n, cap; };

static int texts_order(const void *x, const void *y)
{
	return strcmp(*(const char *const *)x, *(const char *const *)y);
}

/* Patterns that either set wants, each once. */
static int patterns_collect(const struct space *s, struct texts *ret)
{
	size_t w = 0;

	for (int k = 0; k < SPACE_SETS; k++) {
		size_t it = 0, len;
		const void *key;
		void *v;

		while (htab_next(s->set[k]->dns.patterns, &it, &key, &len, &v)) {
			const struct pattern *p = v;

			if (p->sels.n && vec_push(ret, p->text))
				return -ENOMEM;
		}
	}
	if (ret->n)
		qsort(ret->v, ret->n, sizeof(*ret->v), texts_order);
	for (size_t i = 0; i < ret->n; i++)
		if (!i || strcmp(ret->v[w - 1], ret->v[i]))
			ret->v[w++] = ret->v[i];
	ret->n = w;
	return 0;
}

/* Slot of an address of the world once it goes by a name; NIL: no rule knows the name. */
static uint32_t named_slot(const struct policy_set *set, uint32_t base, const char *pattern)
{
	char name[CW_DNS_NAME_MAX + 32];
	const struct cross *x;
	uint32_t cls;

	snprintf(name, sizeof(name), "%s%s", *pattern == '*' ? DIFF_ANY_LABEL : "", pattern + (*pattern == '*'));
	cls = name_class_of(set, name, true);
	x = cls == NIL ? NULL : cross_find(set, base, cls);
	return x ? x->eid : NIL;
}

static int names_add(const struct space *s, struct protos *to)
{
	size_t nets = to->n, worlds = 0;
	struct texts l = {};
	int r = patterns_collect(s, &l);

	for (size_t i = 0; i < nets; i++)
		worlds += to->v[i].e.kind == DIFF_NET && to->v[i].e.realm == CW_REALM_WORLD;
	if (!r && (uint64_t)worlds * l.n > DIFF_NAMED_MAX)
		r = -E2BIG;
	for (size_t i = 0; i < nets && !r; i++) {
		if (to->v[i].e.kind != DIFF_NET || to->v[i].e.realm != CW_REALM_WORLD)
			continue;
		for (size_t k = 0; k < l.n && !r; k++) {
			struct proto x = to->v[i];

			x.e.kind = DIFF_NAME;
			x.e.fqdn = l.v[k];
			for (int j = 0; j < SPACE_SETS; j++)
				x.nx[j] = named_slot(s->set[j], x.ix[j], l.v[k]);
			if (x.nx[0] != NIL || x.nx[1] != NIL)
				r = vec_push(to, x);
		}
	}
	free(l.v);
	return r;
}

static int text_cmp(const char *a, const char *b)
{
	return strcmp(a ? a : "", b ? b : "");
}

static int proto_cmp(const void *x, const void *y)
{
	const struct diff_end *a = &((const struct proto *)x)->e, *b = &((const struct proto *)y)->e;
	int r;

	if (a->kind != b->kind)
		return (int)a->kind - (int)b->kind;
	if (a->kind == DIFF_NET)
		return net_cmp(&a->net, &b->net);
	if (a->kind == DIFF_NAME)
		return strcmp(a->fqdn, b->fqdn) ?: net_cmp(&a->net, &b->net);
	r = text_cmp(a->ns, b->ns);
	r = r ?: text_cmp(a->ctl_kind, b->ctl_kind);
	r = r ?: text_cmp(a->ctl_name, b->ctl_name);
	r = r ?: text_cmp(a->name, b->name);
	r = r ?: (int)a->realm - (int)b->realm;
	r = r ?: memcmp(a->addr[0].b, b->addr[0].b, 16);
	return r ?: memcmp(a->addr[1].b, b->addr[1].b, 16);
}

/* ---- atoms --------------------------------------------------------------------------------------- */

static int atoms_make(struct space *s, const struct protos *p)
{
	auto_free uint32_t *fill = NULL;
	struct htab *by = htab_new();
	int r = by ? 0 : -ENOMEM;

	for (size_t i = 0; i < p->n && !r; i++) {
		const struct proto *x = &p->v[i];
		uint64_t key[4] = { (uintptr_t)x->g[0], (uintptr_t)x->g[1], (uint64_t)x->ix[0] << 32 | x->ix[1],
				    (uint64_t)x->nx[0] << 32 | x->nx[1] };
		size_t at = (size_t)(uintptr_t)htab_get(by, key, sizeof(key));

		if (!at) {
			r = vec_push(&s->atoms, ((struct space_atom){ { x->g[0], x->g[1] }, { x->ix[0], x->ix[1] },
								      { x->nx[0], x->nx[1] }, x->e.realm, 0, 0 }));
			at = s->atoms.n;
			r = r ?: htab_set(by, key, sizeof(key), (void *)(uintptr_t)at, NULL);
		}
		r = r ?: vec_push(&s->ends, x->e);
		if (!r) {
			s->ends.v[i].atom = (uint32_t)at - 1;
			s->atoms.v[at - 1].n++;
		}
	}
	htab_free(by, NULL);
	s->by_atom = calloc(s->ends.n + 1, sizeof(*s->by_atom));
	fill = calloc(s->atoms.n + 1, sizeof(*fill));
	if (r || !s->by_atom || !fill)
		return -ENOMEM;
	for (size_t i = 1; i < s->atoms.n; i++)
		s->atoms.v[i].first = s->atoms.v[i - 1].first + s->atoms.v[i - 1].n;
	for (size_t i = 0; i < s->ends.n; i++) {
		uint32_t a = s->ends.v[i].atom;

		s->by_atom[s->atoms.v[a].first + fill[a]++] = (uint32_t)i;
	}
	return 0;
}

int space_new(const struct policy_set *a, const struct policy_set *b, struct space **ret)
{
	struct space *s = calloc(1, sizeof(*s));
	struct protos p = {};
	int r;

	if (!s)
		return -ENOMEM;
	s->set[0] = a;
	s->set[1] = b;
	r = owners_add(s, &p);
	r = r ?: nets_add(s, &p);
	r = r ?: names_add(s, &p);
	if (!r && p.n)
		qsort(p.v, p.n, sizeof(*p.v), proto_cmp);
	r = r ?: atoms_make(s, &p);
	vec_done(&p);
	if (r) {
		space_free(s);
		return r;
	}
	*ret = s;
	return 0;
}

void space_free(struct space *s)
{
	if (!s)
		return;
	vec_done(&s->ends);
	vec_done(&s->atoms);
	free(s->by_atom);
	free(s);
}

/* ---- rows ------------------------------------------------------------------------------------------- */

int space_rows(const struct policy_set *set, const struct group *g, enum cw_side s, struct u32s *ret)
{
	const struct side *sd = &g->side[s];

	if (vec_reserve(ret, set->eids.n))
		return -ENOMEM;
	ret->n = set->eids.n;
	for (size_t i = 0; i < set->eids.n; i++)
		ret->v[i] = sd->drow[set->eids.v[i].key.realm % CW_REALM_COUNT];
	for (size_t i = 0; i < sd->t.n; i++)
		ret->v[sd->t.v[i].ix] = sd->t.v[i].row;
	return 0;
}

const uint64_t *space_row(const struct policy_set *set, uint32_t row, size_t *ret_n)
{
	static const uint64_t none[1];

	if (row)
		return row_data(set, row, ret_n);
	*ret_n = 1;
	return none;
}

struct cw_verdict space_verdict(const struct policy_set *set, uint32_t index)
{
	const struct cw_verdict *v = index ? intern_bytes(set->verdicts_in, index, NULL) : NULL;

	return v ? *v : set->verdicts[0];
}

bool space_pair(const struct diff_end *src, const struct diff_end *dst)
{
	return src->kind != DIFF_NAME && src->fam & dst->fam && (src->owner == NIL || src->owner != dst->owner);
}
