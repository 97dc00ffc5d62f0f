/* SPDX-License-Identifier: Apache-2.0 */
/*
 * nodes.c - the nodes of the state: what the cluster says of them, and what they say of themselves. The two
 * are kept apart, so that neither takes away what the other said. The first node is the controller's own.
 */
#define LOG_UNIT "controller"

#include <errno.h>
#include <string.h>

#include "base/cleanup.h"
#include "base/log.h"
#include "controller/priv.h"

/* What nodes said before the start is believed for so long; who lives says it again. */
#define STORED_NS (24 * 3600 * 1000000000ll)

struct place {
	size_t at;	/* in state.nodes */
	bool known;	/* the cluster has it */
	bool stored;	/* it was not heard of since the start */
};

static int addrs_take(struct addr **to, size_t *nto, const struct addr *a, size_t n)
{
	struct addr *copy = reallocarray(NULL, n ? n : 1, sizeof(*a));

	if (!copy)
		return -ENOMEM;
	if (n)
		memcpy(copy, a, n * sizeof(*a));
	free(*to);
	*to = copy;
	*nto = n;
	return 0;
}

static bool same_addrs(const struct addr *a, size_t na, const struct addr *b, size_t nb)
{
	return na == nb && (!na || !memcmp(a, b, na * sizeof(*a)));
}

/* ---- the controller's own -------------------------------------------------------------------- */

/* As its agent found them, and those that only others know of. */
static int own_addrs(struct controller *c)
{
	struct node_info *me = &c->state.nodes[0];
	auto_free struct addr *all = reallocarray(NULL, c->nown_found + c->nown_known + 1, sizeof(*all));
	size_t n = 0;

	if (!all)
		return -ENOMEM;
	for (size_t i = 0; i < c->nown_found + c->nown_known; i++) {
		const struct addr *a = i < c->nown_found ? &c->own_found[i] : &c->own_known[i - c->nown_found];
		bool twice = false;

		for (size_t k = 0; k < n; k++)
			twice = twice || !memcmp(&all[k], a, sizeof(*a));
		if (!twice)
			all[n++] = *a;
	}
	if (same_addrs(all, n, me->addrs, me->naddrs))
		return 0;
	controller_dirty(c);
	return addrs_take(&me->addrs, &me->naddrs, all, n);
}

int controller_node_addrs(struct controller *c, const struct addr *a, size_t n)
{
	return addrs_take(&c->own_found, &c->nown_found, a, n) ?: own_addrs(c);
}

static int own_known(struct controller *c, const struct node_info *n)
{
	struct labels l = {};
	int e = labels_copy(&n->labels, &l);

	if (e)
		return e;
	labels_done(&c->state.nodes[0].labels);
	c->state.nodes[0].labels = l;
	controller_dirty(c);
	return addrs_take(&c->own_known, &c->nown_known, n->addrs, n->naddrs) ?: own_addrs(c);
}

/* ---- the others -------------------------------------------------------------------------------- */

static struct place *place(const struct controller *c, const char *name)
{
	return htab_get(c->nodes, name, strlen(name));
}

static int place_make(struct controller *c, const char *name, struct place **ret)
{
	bool own = !strcmp(name, c->node_name);
	struct policy_state *st = &c->state;
	struct place *p = place(c, name);
	struct node_info *v;

	if (p) {
		*ret = p;
		return 0;
	}
	p = calloc(1, sizeof(*p));
	v = own || !p ? st->nodes : reallocarray(st->nodes, st->nnodes + 1, sizeof(*v));
	if (!p || !v) {
		free(p);
		return -ENOMEM;
	}
	st->nodes = v;
	if (!own) {
		p->at = st->nnodes;
		v[p->at] = (struct node_info){ .name = strdup(name) };
	}
	if (!v[p->at].name || htab_set(c->nodes, name, strlen(name), p, NULL)) {
		if (!own)
			node_info_done(&v[p->at]);
		free(p);
		return -ENOMEM;
	}
	st->nnodes += !own;
	*ret = p;
	return 0;
}

/* Once nobody says anything of it. */
static void place_drop(struct controller *c, const char *name)
{
	struct policy_state *st = &c->state;
	struct place *p = place(c, name);
	struct node_info *n, *last = &st->nodes[st->nnodes - 1];

	if (!p || p->known || st->nodes[p->at].ntold)
		return;
	n = &st->nodes[p->at];
	if (p->at) {
		struct node_info gone = *n;

		if (n != last) { /* the last one takes its place */
			*n = *last;
			place(c, n->name)->at = p->at;
		}
		st->nnodes--;
		free(htab_del(c->nodes, name, strlen(name)));
		node_info_done(&gone); /* name may be its own */
	} else {
		free(htab_del(c->nodes, name, strlen(name)));
	}
	controller_dirty(c);
}

int nodes_known(struct controller *c, const struct node_info *n)
{
	struct node_info copy = {}, *to;
	struct place *p;
	int e;

	if (!strcmp(n->name, c->node_name)) /* its own agent knows more of its addresses */
		return own_known(c, n);
	e = node_info_copy(n, &copy);
	e = e ?: place_make(c, n->name, &p);
	if (e) {
		node_info_done(&copy);
		return e;
	}
	to = &c->state.nodes[p->at];
	free(copy.told);
	copy.told = take_ptr(to->told);
	copy.ntold = to->ntold;
	node_info_done(to);
	*to = copy;
	p->known = true;
	controller_dirty(c);
	return 0;
}

int nodes_unknown(struct controller *c, const char *name)
{
	struct place *p = place(c, name);
	struct node_info *n;

	if (!strcmp(name, c->node_name))
		return addrs_take(&c->own_known, &c->nown_known, NULL, 0) ?: own_addrs(c);
	if (!p || !p->known)
		return 0;
	n = &c->state.nodes[p->at];
	labels_done(&n->labels);
	n->labels = (struct labels){};
	free(n->addrs);
	n->addrs = NULL;
	n->naddrs = 0;
	p->known = false;
	controller_dirty(c);
	place_drop(c, name);
	return 0;
}

static int told(struct controller *c, const char *name, const struct addr *a, size_t n, struct place **ret)
{
	struct node_info *to;
	int e = place_make(c, name, ret);

	if (e)
		return e;
	to = &c->state.nodes[(*ret)->at];
	if (same_addrs(a, n, to->told, to->ntold))
		return 0;
	e = addrs_take(&to->told, &to->ntold, a, n);
	if (!e)
		controller_dirty(c);
	return e ?: 1;
}

int nodes_told(struct controller *c, const char *name, const struct addr *a, size_t n)
{
	struct place *p;
	int e = !n && !place(c, name) ? 0 : told(c, name, a, n, &p);

	if (e > 0) {
		const struct node_info row = { .name = (char *)name, .told = (struct addr *)a, .ntold = n };

		/* It says so again: what is lost with the power counts for nothing. */
		if (store_node_put(c->store, &row))
			c->store_errors++;
		log_info("a node tells its addresses; node='%s' addresses=%zu", name, n);
	}
	if (e >= 0 && place(c, name)) {
		place(c, name)->stored = false;
		place_drop(c, name);
	}
	return e < 0 ? e : 0;
}

/* ---- life ---------------------------------------------------------------------------------------- */

static int load_one(void *arg, const struct node_info *n)
{
	struct controller *c = arg;
	struct place *p;
	int e = told(c, n->name, n->told, n->ntold, &p);

	if (e >= 0)
		p->stored = c->nodes_stored = true;
	return e < 0 ? e : 0;
}

int nodes_load(struct controller *c)
{
	return store_node_each(c->store, load_one, c);
}

void nodes_tick(struct controller *c)
{
	size_t it = 0, len;
	const void *key;
	void *v;

	if (!c->nodes_stored || controller_now(c) - c->started_ns < STORED_NS)
		return;
	c->nodes_stored = false;
	while (htab_next(c->nodes, &it, &key, &len, &v)) {
		const struct place *p = v;
		auto_free char *name = p->stored ? strdup(c->state.nodes[p->at].name) : NULL;

		if (name && nodes_told(c, name, NULL, 0))
			c->nodes_stored = true;
	}
}
