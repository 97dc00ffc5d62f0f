/* SPDX-License-Identifier: Apache-2.0 */
/* Services of a state: what stands behind each, and who is member of the selectors that name it. */
#include "policy/service.h"

#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"

static bool same(const char *a, const char *b)
{
	return !strcmp(a ? a : "", b ? b : "");
}

/* ---- what stands behind ----------------------------------------------------------------------------- */

static void ends_done(struct svc *s)
{
	for (size_t i = 0; i < s->ends.n; i++) {
		free(s->ends.v[i].pod);
		free(s->ends.v[i].port);
	}
	vec_done(&s->ends);
}

static void svc_free(void *p)
{
	struct svc *s = p;

	if (!s)
		return;
	service_done(&s->s);
	ends_done(s);
	free(s);
}

/* The workloads of a namespace that has services. */
struct nswls {
	struct { const struct workload **v; size_t n, cap; } w;
	struct bytes bytes;
	uint64_t digest;
};

static void nswls_free(void *p)
{
	struct nswls *n = p;

	if (n) {
		vec_done(&n->w);
		free(n->bytes.v);
	}
	free(n);
}

static const struct workload *pod_of(const struct nswls *n, const char *name)
{
	for (size_t i = 0; n && given(name) && i < n->w.n; i++)
		if (same(n->w.v[i]->name, name))
			return n->w.v[i];
	return NULL;
}

static uint16_t target_of(const struct service_port *p, const struct workload *w)
{
	if (p->target)
		return p->target;
	if (!given(p->target_name))
		return p->port;
	for (size_t i = 0; w && i < w->nports; i++)
		if (w->ports[i].proto == p->proto && same(w->ports[i].name, p->target_name))
			return w->ports[i].port;
	return 0;
}

static int end_add(struct svc *s, const struct service *from, const struct addr *a, const struct workload *w,
		   bool ready, const uint16_t *ports)
{
	struct svc_end e = { .ready = ready };

	if (a)
		e.addr = *a;
	e.port = calloc(from->nports + 1, sizeof(*e.port));
	if (w)
		e.pod = strdup(w->name);
	if (!e.port || (w && !e.pod) || vec_push(&s->ends, e)) {
		free(e.port);
		free(e.pod);
		return -ENOMEM;
	}
	for (size_t i = 0; i < from->nports; i++)
		e.port[i] = ports ? ports[i] : target_of(&from->ports[i], w);
	return 0;
}

static bool has_addr(const struct workload *w, const struct addr *a)
{
	for (size_t i = 0; i < w->naddrs; i++)
		if (!addr_cmp(&w->addrs[i], a))
			return true;
	return false;
}

static int resolve(struct svc *s, const struct service *from, const struct nswls *n)
{
	int r = 0;

	ends_done(s);
	for (size_t i = 0; from->selector.set && n && i < n->w.n && !r; i++) {
		const struct workload *w = n->w.v[i];

		if (!label_selector_matches(&from->selector, &w->labels))
			continue;
		if (!w->naddrs)
			r = end_add(s, from, NULL, w, true, NULL);
		for (size_t k = 0; k < w->naddrs && !r; k++)
			r = end_add(s, from, &w->addrs[k], w, true, NULL);
	}
	for (size_t i = 0; i < from->nbackends && !r; i++) {
		const struct service_backend *b = &from->backends[i];
		const struct workload *w = pod_of(n, b->pod);

		/* A pod on its node's addresses is reached by them, not by its name. */
		if (w && !addr_is_zero(&b->addr) && w->naddrs && !has_addr(w, &b->addr))
			w = NULL;
		if (w || !addr_is_zero(&b->addr))
			r = end_add(s, from, &b->addr, w, b->ready, b->ports);
	}
	return r;
}

static void service_bytes(struct bytes *b, const struct service *s)
{
	struct selector sel = { .kind = SEL_WORKLOAD, .labels = s->selector };

	bytes_labels(b, &s->labels);
	bytes_selector(b, &sel);
	bytes_u32(b, (uint32_t)s->naddrs);
	bytes_put(b, s->addrs, s->naddrs * sizeof(*s->addrs));
	bytes_u32(b, (uint32_t)s->nports);
	for (size_t i = 0; i < s->nports; i++) {
		const struct service_port *p = &s->ports[i];

		bytes_str(b, p->name);
		bytes_u32(b, (uint32_t)p->proto << 16 | p->port);
		bytes_u32(b, (uint32_t)p->node_port << 16 | p->target);
		bytes_str(b, p->target_name);
	}
	bytes_u32(b, (uint32_t)s->nbackends);
	for (size_t i = 0; i < s->nbackends; i++) {
		const struct service_backend *e = &s->backends[i];

		bytes_put(b, e->addr.b, 16);
		bytes_str(b, e->pod);
		bytes_u32(b, (uint32_t)e->ready << 1 | (e->ports != NULL));
		if (e->ports)
			bytes_put(b, e->ports, s->nports * sizeof(*e->ports));
	}
}

static void key_of(struct bytes *b, const char *ns, const char *name)
{
	b->n = 0;
	bytes_str(b, ns);
	bytes_str(b, name);
}

/* All workloads of the namespaces that services are in. */
static int index_workloads(struct policy_set *set, const struct policy_state *next, struct htab *by_ns)
{
	const char *last = NULL;
	struct nswls *n = NULL;
	struct bytes b = {};
	size_t it = 0, klen;
	const void *k;
	void *v;
	int r = 0;

	for (size_t i = 0; i < next->nservices && !r; i++) {
		const char *ns = next->services[i].ns;

		if (htab_has(by_ns, ns, strlen(ns)))
			continue;
		n = calloc(1, sizeof(*n));
		if (!n || htab_set(by_ns, ns, strlen(ns), n, NULL)) {
			free(n);
			r = -ENOMEM;
		}
	}
	for (size_t i = 0; i < next->nworkloads && !r; i++) {
		const struct workload *w = &next->workloads[i];
		const char *ns = w->ns ? w->ns : "";
		uint64_t digest = workload_digest(set, w, &b);

		r = vec_push(&set->wl_digests, digest); /* the walk over the owners needs it, too */
		if (!last || strcmp(last, ns)) /* mostly they come namespace by namespace */
			n = htab_get(by_ns, ns, strlen(ns));
		last = ns;
		if (!n)
			continue;
		r = r ?: vec_push(&n->w, w);
		bytes_str(&n->bytes, w->name);
		bytes_put(&n->bytes, &digest, sizeof(digest));
		r = r ?: n->bytes.err ?: b.err;
	}
	while (htab_next(by_ns, &it, &k, &klen, &v)) {
		n = v;
		n->digest = hash_bytes(set->seed, n->bytes.v, n->bytes.n);
	}
	free(b.v);
	return r;
}

static int service_one(struct policy_set *set, const struct service *from, const struct nswls *n, struct bytes *key)
{
	struct service head = *from;
	struct svc *s;
	uint64_t digest;
	int r;

	key->n = 0;
	bytes_put(key, &n->digest, sizeof(n->digest));
	service_bytes(key, from);
	digest = hash_bytes(set->seed, key->v, key->n);
	key_of(key, from->ns, from->name);
	if (key->err)
		return key->err;
	s = htab_get(set->services, key->v, key->n);
	if (s && s->seen)
		return 0; /* named twice: the first stands */
	if (!s) {
		s = calloc(1, sizeof(*s));
		if (!s || htab_set(set->services, key->v, key->n, s, NULL)) {
			free(s);
			return -ENOMEM;
		}
		s->number = set->next_eid++;
		s->digest = ~digest;
		if (htab_set_u64(set->svc_by_number, s->number, s))
			return -ENOMEM;
	}
	s->seen = true;
	if (s->digest == digest && !s->gone)
		return 0;
	s->digest = digest;
	s->version = ++set->svc_version;
	s->gone = false;
	s->dead_seq = 0;
	head.nbackends = 0;
	head.selector = (struct label_selector){};
	service_done(&s->s);
	r = service_copy(&head, &s->s);
	r = r ?: resolve(s, from, n);
	set->svc_dirty = true;
	return r;
}

int services_diff(struct policy_set *set, const struct policy_state *next, struct fail_list *f)
{
	size_t it = 0, klen;
	struct bytes key = {};
	struct htab *by_ns;
	const void *k;
	void *v;
	int r;

	if (next->nservices > SERVICES_MAX)
		return fail_add(f, -E2BIG, "state.services", NULL, NULL, NULL, "%zu services, at most %u", next->nservices,
				SERVICES_MAX);
	set->wl_digests.n = 0;
	if (!next->nservices && !htab_count(set->services))
		return 0;
	by_ns = htab_new();
	if (!by_ns)
		return -ENOMEM;
	while (htab_next(set->services, &it, &k, &klen, &v))
		((struct svc *)v)->seen = false;
	r = index_workloads(set, next, by_ns);
	for (size_t i = 0; i < next->nservices && !r; i++) {
		const struct service *s = &next->services[i];

		r = service_one(set, s, htab_get(by_ns, s->ns, strlen(s->ns)), &key);
	}
	it = 0;
	while (!r && htab_next(set->services, &it, &k, &klen, &v)) {
		struct svc *s = v;

		if (s->seen || s->gone)
			continue;
		s->gone = set->svc_dirty = true;
		s->version = ++set->svc_version;
		ends_done(s);
	}
	htab_free(by_ns, nswls_free);
	free(key.v);
	return r;
}

const struct svc *service_find(const struct policy_set *set, const char *ns, const char *name)
{
	struct bytes key = {};
	struct svc *s = NULL;

	key_of(&key, ns, name);
	if (!key.err)
		s = htab_get(set->services, key.v, key.n);
	free(key.v);
	return s && !s->gone ? s : NULL;
}

bool service_view(const struct svc *s, struct policy_eid *ret)
{
	if (s)
		*ret = (struct policy_eid){ .eid = s->number, .svc_ns = s->s.ns, .svc_name = s->s.name };
	return s != NULL;
}

/* ---- members of the selectors --------------------------------------------------------------------------- */

static void list_free(void *p)
{
	struct u32s *l = p;

	if (l)
		free(l->v);
	free(l);
}

#define MEMBER_MAX 600u

/* Asked for every workload each time, so it takes no memory. 0: names that nobody can have. */
static size_t member_key(const char *ns, const char *pod, char out[MEMBER_MAX])
{
	size_t a = strlen(ns ? ns : ""), b = strlen(pod ? pod : "");

	if (a + b + 1 > MEMBER_MAX)
		return 0;
	memcpy(out, ns ? ns : "", a + 1);
	memcpy(out + a + 1, pod ? pod : "", b);
	return a + 1 + b;
}

static int member_add(struct policy_set *set, const char *ns, const char *pod, uint32_t id)
{
	char key[MEMBER_MAX];
	size_t n = member_key(ns, pod, key);
	struct u32s *l = n ? htab_get(set->svc_members, key, n) : NULL;

	if (!n)
		return 0;
	if (!l) {
		l = calloc(1, sizeof(*l));
		if (!l || htab_set(set->svc_members, key, n, l, NULL)) {
			free(l);
			return -ENOMEM;
		}
	}
	/* Selectors come one after the other, so a pod's second address finds its entry last. */
	return l->n && l->v[l->n - 1] == id ? 0 : vec_push(l, id);
}

int services_index(struct policy_set *set)
{
	struct bytes ids = {};
	uint64_t digest;
	int r;

	for (size_t i = 1; i < set->sels.n; i++)
		if (set->sels.v[i] && set->sels.v[i]->refs && set->sels.v[i]->kind == SELK_BACKENDS)
			bytes_u32(&ids, (uint32_t)i);
	digest = hash_bytes(set->seed, ids.v, ids.n);
	r = ids.err;
	if (r || (!set->svc_dirty && digest == set->svc_sels_digest)) {
		free(ids.v);
		return r;
	}
	htab_free(set->svc_members, list_free);
	set->svc_members = htab_new();
	if (!set->svc_members)
		r = -ENOMEM;
	for (size_t i = 0; i < ids.n / sizeof(uint32_t) && !r; i++) {
		const struct svc *s;
		struct sel *sel;
		uint32_t id;

		memcpy(&id, ids.v + i * sizeof(id), sizeof(id));
		sel = set->sels.v[id];
		s = service_find(set, sel->s.ns, sel->s.service);
		for (size_t k = 0; s && k < s->ends.n && !r; k++)
			if (s->ends.v[k].pod && svc_part_fits(sel->s.fqdn, s, &s->ends.v[k]))
				r = member_add(set, s->s.ns, s->ends.v[k].pod, id);
	}
	set->svc_sels_digest = digest;
	free(ids.v);
	return r;
}

const struct u32s *services_of_pod(const struct policy_set *set, const char *ns, const char *name)
{
	static const struct u32s none;
	const struct u32s *l;
	char key[MEMBER_MAX];
	size_t n;

	if (!htab_count(set->svc_members))
		return &none;
	n = member_key(ns, name, key);
	l = n ? htab_get(set->svc_members, key, n) : NULL;
	return l ? l : &none;
}

/* ---- birth and death ---------------------------------------------------------------------------------------- */

int services_init(struct policy_set *set)
{
	set->services = htab_new();
	set->svc_by_number = htab_new();
	set->svc_members = htab_new();
	set->svc_entries = htab_new();
	set->svc_blocks = htab_new();
	if (!set->services || !set->svc_by_number || !set->svc_members || !set->svc_entries || !set->svc_blocks)
		return -ENOMEM;
	return extents_init(&set->backends_x, set->lim.backends, 0, 0);
}

void services_done(struct policy_set *set)
{
	htab_free(set->svc_entries, free);
	htab_free(set->svc_blocks, free);
	for (size_t i = 0; i < set->svc_retired.n; i++)
		free(set->svc_retired.v[i]);
	vec_done(&set->svc_retired);
	htab_free(set->svc_members, list_free);
	htab_free(set->svc_by_number, NULL);
	htab_free(set->services, svc_free);
	vec_done(&set->backends_x);
	vec_done(&set->wl_digests);
}

/* Services that left long ago: nobody counts under their number any more. */
static bool services_forget(struct policy_set *set, uint64_t upto)
{
	size_t it = 0, klen;
	bool more = false;
	const void *k;
	void *v;

	while (htab_next(set->services, &it, &k, &klen, &v)) {
		struct svc *s = v;

		if (!s->gone || !s->dead_seq)
			continue;
		if (s->dead_seq > upto) {
			more = true;
			continue;
		}
		htab_del_u64(set->svc_by_number, s->number);
		htab_del(set->services, k, klen);
		svc_free(s);
	}
	return more;
}

bool services_collect(struct policy_set *set, uint64_t upto)
{
	size_t w = 0;

	for (size_t i = 0; i < set->svc_retired.n; i++) {
		struct svc_block *b = set->svc_retired.v[i];

		if (b->seq > upto) {
			set->svc_retired.v[w++] = b;
			continue;
		}
		(void)extents_put(&set->backends_x, b->at, b->n); /* without memory that room stays taken */
		free(b);
	}
	set->svc_retired.n = w;
	return services_forget(set, upto) || w;
}
