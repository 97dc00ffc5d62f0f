/* SPDX-License-Identifier: Apache-2.0 */
#include "maps/dns_maps.h"

#include <bpf/bpf.h>
#include <string.h>

#include "base/cleanup.h"
#include "base/htab.h"
#include "maps/maps_priv.h"

static struct cw_ctl *ctl_of(const struct maps *m)
{
	return m->mem[M_CTL];
}

static int absent_is_fine(int r)
{
	return r == -ENOENT ? 0 : r;
}

/* Is stamp a before b? Stamps wrap. */
static bool before(uint32_t a, uint32_t b)
{
	return (int32_t)(a - b) < 0;
}

/* ---- resolvers ----------------------------------------------------------------------------------- */

static int resolver_key(const struct prefix *p, struct cw_net4_key *k4, struct cw_net6_key *k6)
{
	if (p->plen > (p->v6 ? 128 : 32) || !p->v6 != addr_is_v4(&p->addr))
		return -EINVAL;
	*k4 = (struct cw_net4_key){ .plen = 32u + p->plen };
	memcpy(&k4->addr, p->addr.b + 12, 4);
	*k6 = (struct cw_net6_key){ .plen = 32u + p->plen };
	memcpy(k6->addr, p->addr.b, 16);
	return 0;
}

int dns_resolver_set(struct maps *m, const struct prefix *p, enum cw_resolver v)
{
	uint32_t value = v;
	struct cw_net4_key k4;
	struct cw_net6_key k6;
	int r = resolver_key(p, &k4, &k6);

	if (r < 0)
		return r;
	return map_full(p->v6 ? bpf_map_update_elem(m->fd[M_RESOLVER6], &k6, &value, BPF_ANY) :
				bpf_map_update_elem(m->fd[M_RESOLVER4], &k4, &value, BPF_ANY));
}

int dns_resolver_del(struct maps *m, const struct prefix *p)
{
	struct cw_net4_key k4;
	struct cw_net6_key k6;
	int r = resolver_key(p, &k4, &k6);

	if (r < 0)
		return r;
	return absent_is_fine(p->v6 ? bpf_map_delete_elem(m->fd[M_RESOLVER6], &k6) :
				      bpf_map_delete_elem(m->fd[M_RESOLVER4], &k4));
}

void dns_share(struct maps *m, uint32_t names)
{
	__atomic_store_n(&ctl_of(m)->share_names, names, __ATOMIC_RELAXED);
}

/* ---- names --------------------------------------------------------------------------------------- */

int dns_hash(const struct maps *m, const char *name, uint64_t *ret)
{
	union {
		char text[CW_DNS_TEXT];
		__u64 words[CW_DNS_TEXT / 8];
	} t = {};
	size_t n = strnlen(name, CW_DNS_NAME_MAX + 1);

	if (!n || n > CW_DNS_NAME_MAX || name[0] == '.' || name[n - 1] == '.')
		return -EINVAL;
	for (size_t i = 0; i < n; i++)
		if (name[i] <= ' ' || name[i] > '~' || (name[i] >= 'A' && name[i] <= 'Z'))
			return -EINVAL;
	memcpy(t.text, name, n);
	*ret = cw_dns_hash_text(t.words, (uint32_t)n, ctl_of(m)->instance);
	return 0;
}

int dns_name_get(const struct maps *m, uint64_t hash, struct cw_dns_name *ret)
{
	struct cw_dns_name v;
	int r = bpf_map_lookup_elem(m->fd[M_DNS_NAME], &hash, &v);

	if (r)
		return r;
	v.text[sizeof(v.text) - 1] = '\0';
	*ret = v;
	return 0;
}

int dns_name_class(struct maps *m, uint64_t hash, uint32_t cls)
{
	struct cw_dns_name v;
	int r = bpf_map_lookup_elem(m->fd[M_DNS_NAME], &hash, &v);

	if (r || v.cls == cls)
		return r;
	v.cls = cls;
	return bpf_map_update_elem(m->fd[M_DNS_NAME], &hash, &v, BPF_EXIST);
}

int dns_name_del(struct maps *m, uint64_t hash)
{
	return absent_is_fine(bpf_map_delete_elem(m->fd[M_DNS_NAME], &hash));
}

int dns_name_restore(struct maps *m, uint64_t hash, const struct cw_dns_name *v)
{
	int r = bpf_map_update_elem(m->fd[M_DNS_NAME], &hash, v, BPF_NOEXIST);

	return r == -EEXIST ? 0 : map_full(r);
}

struct names_arg {
	int (*fn)(void *arg, uint64_t hash, const struct cw_dns_name *v);
	void *arg;
	int r;
};

static int names_one(void *arg, const void *key, const void *value)
{
	struct names_arg *w = arg;
	struct cw_dns_name v;
	uint64_t hash;

	memcpy(&hash, key, sizeof(hash));
	memcpy(&v, value, sizeof(v));
	v.text[sizeof(v.text) - 1] = '\0';
	w->r = w->fn(w->arg, hash, &v);
	return w->r ? -ECANCELED : 0;
}

int dns_name_walk(const struct maps *m, int (*fn)(void *arg, uint64_t hash, const struct cw_dns_name *v), void *arg)
{
	struct names_arg w = { .fn = fn, .arg = arg };
	int r = map_walk(m, M_DNS_NAME, sizeof(uint64_t), sizeof(struct cw_dns_name), names_one, &w);

	return w.r ? w.r : r;
}

/* ---- mappings ------------------------------------------------------------------------------------ */

static struct cw_fqdn_key key_of(uint32_t wl, const struct addr *a)
{
	struct cw_fqdn_key k = { .wl = wl };

	memcpy(k.addr, a->b, 16);
	return k;
}

/* The data path adds to the figure at the same time. */
static void charge(struct maps *m, uint32_t wl, int n)
{
	struct cw_wl *w = m->mem[M_WL];

	if (wl && wl < m->max[M_WL])
		__atomic_add_fetch(&w[wl].names, (uint32_t)n, __ATOMIC_RELAXED);
}

/* A name's slot: its own, an empty one, or the one that ended first. NULL: all live. */
static struct cw_fqdn_name *slot_of(struct cw_fqdn *v, uint64_t hash, uint32_t now)
{
	struct cw_fqdn_name *old = NULL;

	for (unsigned i = 0; i < CW_FQDN_NAMES; i++)
		if (v->name[i].hash == hash)
			return &v->name[i];
	for (unsigned i = 0; i < CW_FQDN_NAMES; i++) {
		if (!v->name[i].hash)
			return &v->name[i];
		if (before(v->name[i].until, now) && (!old || before(v->name[i].until, old->until)))
			old = &v->name[i];
	}
	return old;
}

static int addr_put(struct maps *m, const struct cw_fqdn_key *k, uint64_t hash, uint32_t now, uint32_t until)
{
	struct cw_fqdn v = {};
	struct cw_fqdn_name *s;
	int r = bpf_map_lookup_elem(m->fd[M_FQDN], k, &v);

	if (r && r != -ENOENT)
		return r;
	s = slot_of(&v, hash, now);
	if (!s)
		return -ENOSPC;
	if (s->hash != hash || before(s->until, until))
		*s = (struct cw_fqdn_name){ .hash = hash, .until = until };
	if (!r)
		return bpf_map_update_elem(m->fd[M_FQDN], k, &v, BPF_EXIST);
	r = bpf_map_update_elem(m->fd[M_FQDN], k, &v, BPF_NOEXIST);
	if (!r)
		charge(m, k->wl, 1);
	return map_full(r);
}

static int name_put(struct maps *m, uint64_t hash, const char *name, uint32_t cls, uint32_t now)
{
	struct cw_dns_name v = { .cls = cls, .last = now, .len = (uint8_t)strlen(name) }, old;
	int r;

	memcpy(v.text, name, v.len);
	r = dns_name_get(m, hash, &old);
	if (!r && strcmp(old.text, v.text))
		return -EEXIST;
	if (!r && old.cls == cls)
		return 0;
	return map_full(bpf_map_update_elem(m->fd[M_DNS_NAME], &hash, &v, BPF_ANY));
}

int dns_put(struct maps *m, uint32_t wl, const struct addr *a, const char *name, uint32_t cls, uint32_t now,
	    uint32_t until)
{
	struct cw_fqdn_key k = key_of(wl, a);
	uint64_t hash;
	int r = dns_hash(m, name, &hash);

	if (!r)
		r = name_put(m, hash, name, cls, now);
	return r ? r : addr_put(m, &k, hash, now, until);
}

int dns_del(struct maps *m, uint32_t wl, const struct addr *a)
{
	struct cw_fqdn_key k = key_of(wl, a);
	int r = bpf_map_delete_elem(m->fd[M_FQDN], &k);

	if (!r)
		charge(m, wl, -1);
	return absent_is_fine(r);
}

/* Empties the slots whose time is over. How many there are; *ret_live: how many are left. */
static unsigned prune(struct cw_fqdn *v, uint32_t now, unsigned *ret_live)
{
	unsigned over = 0, live = 0;

	for (unsigned i = 0; i < CW_FQDN_NAMES; i++) {
		if (!v->name[i].hash)
			continue;
		if (before(v->name[i].until, now)) {
			v->name[i] = (struct cw_fqdn_name){ };
			over++;
		} else {
			live++;
		}
	}
	*ret_live = live;
	return over;
}

int dns_expire(struct maps *m, const struct cw_fqdn_key *k, uint32_t now)
{
	unsigned over, live;
	struct cw_fqdn v;
	int r = bpf_map_lookup_elem(m->fd[M_FQDN], k, &v);

	if (r)
		return absent_is_fine(r);
	over = prune(&v, now, &live);
	/* A name that comes to the address between these two calls is lost, and has to be asked again. */
	if (live)
		return over ? absent_is_fine(bpf_map_update_elem(m->fd[M_FQDN], k, &v, BPF_EXIST)) : 0;
	r = bpf_map_lookup_and_delete_elem(m->fd[M_FQDN], k, &v);
	if (r == -ENOTSUP || r == -EINVAL || r == -524 /* ENOTSUPP */) /* before Linux 5.14 */
		r = bpf_map_delete_elem(m->fd[M_FQDN], k);
	if (r)
		return absent_is_fine(r);
	(void)prune(&v, now, &live);
	if (live && !bpf_map_update_elem(m->fd[M_FQDN], k, &v, BPF_NOEXIST))
		return 0; /* renewed between the look and the deletion: back before anybody asks */
	charge(m, k->wl, -1);
	return 1;
}

int dns_addr_get(const struct maps *m, uint32_t wl, const struct addr *a, struct cw_fqdn *ret)
{
	struct cw_fqdn_key k = key_of(wl, a);
	struct cw_fqdn v;
	int r = bpf_map_lookup_elem(m->fd[M_FQDN], &k, &v);

	if (!r)
		*ret = v;
	return r;
}

struct addrs_arg {
	int (*fn)(void *arg, const struct cw_fqdn_key *k, const struct cw_fqdn *v);
	void *arg;
	int r;
};

static int addrs_one(void *arg, const void *key, const void *value)
{
	struct addrs_arg *w = arg;
	struct cw_fqdn_key k;
	struct cw_fqdn v;

	memcpy(&k, key, sizeof(k));
	memcpy(&v, value, sizeof(v));
	w->r = w->fn(w->arg, &k, &v);
	return w->r ? -ECANCELED : 0;
}

int dns_addr_walk(const struct maps *m, int (*fn)(void *arg, const struct cw_fqdn_key *k, const struct cw_fqdn *v),
		  void *arg)
{
	struct addrs_arg w = { .fn = fn, .arg = arg };
	int r = map_walk(m, M_FQDN, sizeof(struct cw_fqdn_key), sizeof(struct cw_fqdn), addrs_one, &w);

	return w.r ? w.r : r;
}

int dns_stats(const struct maps *m, uint64_t ret[CW_DNS_COUNTS])
{
	auto_free uint64_t *cpu = calloc(m->ncpu, sizeof(*cpu));
	uint64_t sum[CW_DNS_COUNTS] = {};

	if (!cpu)
		return -ENOMEM;
	for (uint32_t i = 0; i < CW_DNS_COUNTS; i++) {
		int r = bpf_map_lookup_elem(m->fd[M_DNS_STAT], &i, cpu);

		if (r < 0)
			return r;
		for (unsigned c = 0; c < m->ncpu; c++)
			sum[i] += cpu[c];
	}
	memcpy(ret, sum, sizeof(sum));
	return 0;
}

/* ---- from another set ------------------------------------------------------------------------------ */

static int shape_check(int fd, uint32_t key, uint32_t value)
{
	struct bpf_map_info info = {};
	uint32_t len = sizeof(info);
	int r = bpf_obj_get_info_by_fd(fd, &info, &len);

	if (r < 0)
		return r;
	return info.type == BPF_MAP_TYPE_HASH && info.key_size == key && info.value_size == value ? 0 : -ENOTSUP;
}

struct carry {
	struct maps *m;
	const struct dns_carry *c;
	struct htab *numbers;	/* of a name there to here */
	uint32_t addrs;
};

static int carry_name(void *arg, uint64_t hash, const struct cw_dns_name *v)
{
	struct carry *x = arg;
	uint64_t here;
	int r = dns_hash(x->m, v->text, &here);

	if (!r)
		r = name_put(x->m, here, v->text, x->c->cls_of ? x->c->cls_of(x->c->arg, v->text) : 0, v->last);
	if (!r)
		r = htab_set_u64(x->numbers, hash, (void *)(uintptr_t)here);
	return r == -ENOMEM ? r : 0; /* what has no room is asked again */
}

static int carry_addr(void *arg, const struct cw_fqdn_key *k, const struct cw_fqdn *v)
{
	struct carry *x = arg;
	struct cw_fqdn_key to = *k;
	struct cw_fqdn sum = {};
	bool more = false;
	int r;

	to.wl = x->c->wl_of(x->c->arg, k->wl);
	if (!to.wl)
		return 0;
	r = bpf_map_lookup_elem(x->m->fd[M_FQDN], &to, &sum);
	for (unsigned i = 0; i < CW_FQDN_NAMES; i++) {
		uint64_t here = v->name[i].hash ? (uintptr_t)htab_get_u64(x->numbers, v->name[i].hash) : 0;
		struct cw_fqdn_name *s = here ? slot_of(&sum, here, x->c->now) : NULL;

		if (!s || (s->hash == here && !before(s->until, v->name[i].until)))
			continue;
		*s = (struct cw_fqdn_name){ .hash = here, .until = v->name[i].until };
		more = true;
	}
	if (!more)
		return 0;
	if (!r) {
		r = bpf_map_update_elem(x->m->fd[M_FQDN], &to, &sum, BPF_EXIST);
	} else {
		r = bpf_map_update_elem(x->m->fd[M_FQDN], &to, &sum, BPF_NOEXIST);
		if (!r)
			charge(x->m, to.wl, 1);
	}
	x->addrs += !r;
	return r == -ENOMEM ? r : 0;
}
int dns_carry(struct maps *m, const struct dns_carry *c, uint32_t *ret_addrs)
{
	struct carry x = { .m = m, .c = c, .numbers = htab_new() };
	struct maps from = { }; /* only what a walk needs */
	int r = shape_check(c->fqdn_fd, sizeof(struct cw_fqdn_key), sizeof(struct cw_fqdn));

	if (!r)
		r = shape_check(c->name_fd, sizeof(uint64_t), sizeof(struct cw_dns_name));
	if (!r && !x.numbers)
		r = -ENOMEM;
	from.fd[M_FQDN] = c->fqdn_fd;
	from.fd[M_DNS_NAME] = c->name_fd;
	from.no_batch = m->no_batch;
	if (!r)
		r = dns_name_walk(&from, carry_name, &x);
	if (!r)
		r = dns_addr_walk(&from, carry_addr, &x);
	htab_free(x.numbers, NULL);
	if (!r)
		*ret_addrs = x.addrs;
	return r;
}
