/* SPDX-License-Identifier: Apache-2.0 */
/* api_nodes.c - the nodes behind this controller: who has what was decided last, and who has not. */
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "controller/api_routes.h"
#include "controller/priv.h"

static const char *standing_word(enum node_standing s)
{
	static const char *const words[] = {
		[NODE_CURRENT] = "current", [NODE_BEHIND] = "behind", [NODE_REFUSED] = "refused", [NODE_LOST] = "lost",
	};

	return words[s];
}

/* The one node that is joined directly. */
static struct node_status own_node(const struct controller *c)
{
	struct node_status n = { .local = true, .generation = c->receipt.generation, .receipt = c->receipt,
				 .connected_ns = c->started_ns, .seen_ns = controller_now(c) };

	snprintf(n.name, sizeof(n.name), "%s", c->node_name);
	snprintf(n.software, sizeof(n.software), "%s", CW_VERSION);
	n.standing = c->in_sync ? NODE_CURRENT : c->sync_error ? NODE_REFUSED : NODE_BEHIND;
	snprintf(n.reason, sizeof(n.reason), "%s", c->sync_error ?: "");
	return n;
}

static int each_node(struct controller *c, int (*fn)(void *arg, const struct node_status *n), void *arg)
{
	struct node_status own;

	if (c->ops->nodes)
		return c->ops->nodes(c->node, fn, arg);
	own = own_node(c);
	return fn(arg, &own);
}

/* ---- sums, for status --------------------------------------------------------------------------- */

struct node_sums { size_t n[NODE_LOST + 1], total; bool local; };

static int sum_node(void *arg, const struct node_status *n)
{
	struct node_sums *s = arg;

	s->n[n->standing]++;
	s->total++;
	s->local |= n->local;
	return 0;
}

void nodes_status(struct controller *c, cJSON *o)
{
	struct node_sums s = {};
	cJSON *k;

	(void)each_node(c, sum_node, &s);
	put_str(o, "role", s.local ? "all" : "controller");
	k = cJSON_AddObjectToObject(o, "nodes");
	put_num(k, "total", (double)s.total);
	for (int i = NODE_CURRENT; i <= NODE_LOST; i++)
		put_num(k, standing_word((enum node_standing)i), (double)s.n[i]);
}

/* ---- list ------------------------------------------------------------------------------------------- */

struct node_list { cJSON *items; size_t total, limit; };

static int list_node(void *arg, const struct node_status *n)
{
	struct node_list *l = arg;
	cJSON *o;

	if (l->total++ >= l->limit)
		return 0;
	o = cJSON_CreateObject();
	put_str(o, "name", n->name);
	put_str(o, "state", standing_word(n->standing));
	put_str(o, "reason", n->reason);
	put_str(o, "address", n->addr);
	put_str(o, "version", n->software);
	cJSON_AddBoolToObject(o, "local", n->local);
	put_num(o, "generation", (double)n->generation);
	put_num(o, "revision", (double)n->revision);
	put_time(o, "connected", n->connected_ns);
	put_time(o, "seen", n->seen_ns);
	put_num(o, "afterUs", n->receipt.after_us);
	put_num(o, "entries", n->receipt.entries);
	put_num(o, "entriesMax", n->receipt.entries_max);
	put_push(l->items, o);
	return 0;
}

int api_node_list(struct api *a, cJSON **ret)
{
	struct node_list l = {};
	struct list_meta m = {};
	int e = api_q_limit(a, &l.limit);

	if (e)
		return e;
	l.items = cJSON_CreateArray();
	e = each_node(a->c, list_node, &l);
	if (e < 0) {
		cJSON_Delete(l.items);
		return e;
	}
	m.total = l.total;
	m.truncated = l.total > l.limit ? l.total - l.limit : 0;
	*ret = api_list(a->c, "NodeList", &m, l.items);
	return *ret ? 0 : -ENOMEM;
}
