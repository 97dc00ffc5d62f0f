/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>
#include <string.h>

#include "base/cleanup.h"
#include "base/text.h"
#include "base/vec.h"
#include "topology/graph_priv.h"

struct graph *graph_new(void)
{
	struct graph *g = calloc(1, sizeof(*g));

	if (!g)
		return NULL;
	g->strings = graph_strings_new();
	g->node_at = htab_new();
	g->access_at = htab_new();
	g->ns_at = htab_new();
	if (!g->strings || !g->node_at || !g->access_at || !g->ns_at) {
		graph_free(g);
		return NULL;
	}
	return g;
}

void graph_free(struct graph *g)
{
	if (!g)
		return;
	graph_strings_free(g->strings);
	vec_done(&g->nodes);
	vec_done(&g->accesses);
	vec_done(&g->namespaces);
	if (g->node_at)
		htab_free(g->node_at, NULL);
	if (g->access_at)
		htab_free(g->access_at, NULL);
	if (g->ns_at)
		htab_free(g->ns_at, NULL);
	free(g);
}

void graph_freep(struct graph **g)
{
	graph_free(*g);
}

/* utf8_next() answers U+FFFD for a bad byte and for the character itself: tell them apart. */
static bool is_utf8(const char *s)
{
	for (;;) {
		const char *at = s;
		uint32_t cp = utf8_next(&s);

		if (!cp)
			return true;
		if (cp == 0xfffd && s - at != 3)
			return false;
	}
}

int graph_name_check(const char *s)
{
	if (!s)
		return 0;
	if (strnlen(s, GRAPH_NAME_MAX + 1) > GRAPH_NAME_MAX)
		return -ENAMETOOLONG;
	return is_utf8(s) ? 0 : -EILSEQ;
}

static int check_names(const char *const *names, size_t n)
{
	for (size_t i = 0; i < n; i++) {
		int r = graph_name_check(names[i]);

		if (r < 0)
			return r;
	}
	return 0;
}

static bool is_set(const char *s)
{
	return s && *s;
}

int graph_namespace_add(struct graph *g, const char *name, enum cw_mode mode)
{
	struct gns ns = { .mode = mode };
	uintptr_t at;
	int r;

	if (!is_set(name) || (unsigned)mode >= CW_MODE_COUNT)
		return -EINVAL;
	r = graph_name_check(name);
	if (r < 0)
		return r;
	at = (uintptr_t)htab_get(g->ns_at, name, strlen(name));
	if (at) {
		g->namespaces.v[at - 1].mode = mode;
		return 0;
	}
	if (g->namespaces.n >= GRAPH_NAMESPACES_MAX)
		return -E2BIG;
	ns.name = graph_strings_add(g->strings, name);
	if (!ns.name || vec_reserve(&g->namespaces, g->namespaces.n + 1) < 0 ||
	    htab_set(g->ns_at, name, strlen(name), (void *)(g->namespaces.n + 1), NULL) < 0)
		return -ENOMEM;
	g->namespaces.v[g->namespaces.n++] = ns;
	return 0;
}

/* Two callers who contradict each other: the smaller text stays, so that order does not matter. */
static const char *agree(const char *old, const char *new)
{
	return !old || strcmp(new, old) < 0 ? new : old;
}

static int node_slot(struct graph *g, const char *ref, uint32_t *ret)
{
	uintptr_t known = (uintptr_t)htab_get(g->node_at, ref, strlen(ref));
	struct gnode new = {};
	struct ref_parts p;

	if (known) {
		*ret = (uint32_t)(known - 1);
		return 0;
	}
	if (g->nodes.n >= GRAPH_NODES_MAX)
		return -E2BIG;
	graph_ref_split(ref, &p);
	new.outside = p.outside;
	new.ref = graph_strings_add(g->strings, ref);
	new.ns = graph_strings_addn(g->strings, p.ns, p.ns_len);
	new.kind = graph_strings_addn(g->strings, p.kind, p.kind_len);
	new.name = graph_strings_addn(g->strings, p.name, p.name_len);
	if (!new.ref || !new.ns || !new.kind || !new.name ||
	    vec_reserve(&g->nodes, g->nodes.n + 1) < 0 ||
	    htab_set(g->node_at, ref, strlen(ref), (void *)(g->nodes.n + 1), NULL) < 0)
		return -ENOMEM;
	g->nodes.v[g->nodes.n++] = new;
	*ret = (uint32_t)(g->nodes.n - 1);
	return 0;
}

int graph_node_put(struct graph *g, const struct graph_node *n, uint32_t *ret)
{
	const char *const given[] = { n->ns, n->kind, n->name };
	const char *at[GRAPH_LEVELS] = {}, *said[ARRAY_SIZE(given)] = {};
	struct gnode *to;
	uint32_t slot;
	int r;

	if (!is_set(n->ref) || n->flags & ~GRAPH_NODE_FLAGS)
		return -EINVAL;
	r = graph_name_check(n->ref);
	if (r == 0)
		r = check_names(given, ARRAY_SIZE(given));
	if (r == 0)
		r = check_names(n->at, GRAPH_LEVELS);
	if (r < 0)
		return r;
	for (size_t i = 0; i < ARRAY_SIZE(given); i++)
		if (is_set(given[i]) && !(said[i] = graph_strings_add(g->strings, given[i])))
			return -ENOMEM;
	for (int l = 0; l < GRAPH_LEVELS; l++) {
		if (!is_set(n->at[l]))
			continue;
		if (n->at[l][0] == '(')
			return -EINVAL;
		at[l] = graph_strings_add(g->strings, n->at[l]);
		if (!at[l])
			return -ENOMEM;
	}
	r = node_slot(g, n->ref, &slot);
	if (r < 0)
		return r;
	to = &g->nodes.v[slot];
	for (size_t i = 0; i < ARRAY_SIZE(given); i++)
		if (said[i])
			to->said[i] = agree(to->said[i], said[i]);
	for (int l = 0; l < GRAPH_LEVELS; l++)
		if (at[l])
			to->at[l] = agree(to->at[l], at[l]);
	to->ns = to->said[0] ? to->said[0] : to->ns;
	to->kind = to->said[1] ? to->said[1] : to->kind;
	to->name = to->said[2] ? to->said[2] : to->name;
	to->outside = to->outside && !*to->ns;
	to->flags |= n->flags;
	to->members = n->members > to->members ? n->members : to->members;
	*ret = slot;
	return 0;
}

int graph_node_add(struct graph *g, const struct graph_node *n)
{
	uint32_t at;

	if (is_set(n->ref) && n->ref[0] == '(')
		return -EINVAL;
	return graph_node_put(g, n, &at);
}

/* A folded node of a saved view is there already; nobody may name one into being. */
static bool may_name(const struct graph *g, const char *ref)
{
	return ref[0] != '(' || htab_has(g->node_at, ref, strlen(ref));
}

int graph_access_add(struct graph *g, const struct graph_access *a)
{
	struct { uint32_t src, dst; char id[GRAPH_NAME_MAX]; } key;
	struct gaccess to = {
		.state = a->state, .outcome = { a->outcome[0], a->outcome[1] }, .flows = a->flows,
		.answered = a->answered, .bytes = a->bytes, .first_ns = a->first_ns, .last_ns = a->last_ns,
	};
	size_t len;
	int r;

	if (!is_set(a->id) || !is_set(a->src) || !is_set(a->dst) || !is_set(a->port) ||
	    (unsigned)a->state >= GRAPH_STATES || (unsigned)a->outcome[0] >= CW_OUT_COUNT ||
	    (unsigned)a->outcome[1] >= CW_OUT_COUNT)
		return -EINVAL;
	r = check_names((const char *const[]){ a->id, a->src, a->dst, a->port, a->service, a->rule }, 6);
	if (r < 0)
		return r;
	if (!may_name(g, a->src) || !may_name(g, a->dst))
		return -EINVAL;
	if (g->accesses.n >= GRAPH_ACCESSES_MAX)
		return -E2BIG;
	to.id = graph_strings_add(g->strings, a->id);
	to.port = graph_strings_add(g->strings, a->port);
	to.service = graph_strings_add(g->strings, a->service);
	to.rule = graph_strings_add(g->strings, a->rule);
	if (!to.id || !to.port || !to.service || !to.rule ||
	    vec_reserve(&g->accesses, g->accesses.n + 1) < 0)
		return -ENOMEM;
	r = graph_node_put(g, &(struct graph_node){ .ref = a->src }, &to.src);
	if (r == 0)
		r = graph_node_put(g, &(struct graph_node){ .ref = a->dst }, &to.dst);
	if (r < 0)
		return r;
	len = strlen(to.id);
	key.src = to.src;
	key.dst = to.dst;
	memcpy(key.id, to.id, len);
	if (htab_has(g->access_at, &key, offsetof(__typeof__(key), id) + len))
		return -EEXIST;
	if (htab_set(g->access_at, &key, offsetof(__typeof__(key), id) + len, (void *)1, NULL) < 0)
		return -ENOMEM;
	g->accesses.v[g->accesses.n++] = to;
	return 0;
}

static int half_cmp(const char *a, size_t na, const char *b, size_t nb)
{
	int r = memcmp(a, b, na < nb ? na : nb);

	return r ? r : (na > nb) - (na < nb);
}

int graph_port_cmp(const char *a, const char *b)
{
	const char *sa = strchr(a, '/'), *sb = strchr(b, '/');
	size_t na = sa ? (size_t)(sa - a) : strlen(a), nb = sb ? (size_t)(sb - b) : strlen(b);
	int r = half_cmp(a, na, b, nb);
	size_t da, db;

	if (r)
		return r;
	a += na;
	b += nb;
	if (sa && sb) {
		/* digits without leading zeros: the longer number is the larger */
		da = strspn(a + 1, "0123456789");
		db = strspn(b + 1, "0123456789");
		if (da && db && da != db)
			return da < db ? -1 : 1;
	}
	return strcmp(a, b);
}

uint64_t graph_sat_add(uint64_t a, uint64_t b)
{
	uint64_t r;

	return __builtin_add_overflow(a, b, &r) ? UINT64_MAX : r;
}
