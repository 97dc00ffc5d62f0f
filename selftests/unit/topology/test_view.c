/* SPDX-License-Identifier: Apache-2.0 */
/* Lifting, filtering, folding and merging: what a view holds. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <cmocka.h>

#include "base/cleanup.h"
#include "topology/graph.h"

static void pod(struct graph *g, const char *name, const char *controller, const char *label, uint32_t flags)
{
	char ref[64], group[64] = "", by_label[64] = "";

	snprintf(ref, sizeof(ref), "shop/pod/%s", name);
	if (controller)
		snprintf(group, sizeof(group), "shop/%s", controller);
	if (label)
		snprintf(by_label, sizeof(by_label), "shop/%s", label);
	assert_int_equal(graph_node_add(g, &(struct graph_node){ .ref = ref, .flags = flags,
		.at = { [GRAPH_CONTROLLER] = group, [GRAPH_LABEL] = by_label } }), 0);
}

static int link_add(struct graph *g, const char *id, const char *src, const char *dst, const char *port,
		    enum graph_state st, enum cw_outcome out, enum cw_outcome in)
{
	return graph_access_add(g, &(struct graph_access){ .id = id, .src = src, .dst = dst, .port = port,
		.state = st, .outcome = { out, in }, .flows = 10, .answered = 10, .bytes = 5000,
		.first_ns = 1000, .last_ns = 2000 });
}

/* shop: web x2, cart (as a group only), rogue; data/db; one outside address */
static struct graph *sample(void)
{
	struct graph *g = graph_new();

	assert_non_null(g);
	assert_int_equal(graph_namespace_add(g, "shop", CW_MODE_ENFORCE), 0);
	pod(g, "web-1", "deploy/web", "app=web", 0);
	pod(g, "web-2", "deploy/web", "app=web", GRAPH_NODE_BLIND);
	pod(g, "rogue", NULL, NULL, GRAPH_NODE_QUARANTINED);
	assert_int_equal(link_add(g, "51c0", "shop/deploy/web", "shop/deploy/cart", "tcp/9090", GRAPH_CONFIRMED,
				  CW_OUT_ALLOW, CW_OUT_ALLOW), 0);
	assert_int_equal(link_add(g, "e1aa", "shop/deploy/web", "data/sts/db", "tcp/5432", GRAPH_PENDING,
				  CW_OUT_NO_RULE, CW_OUT_ALLOW), 0);
	assert_int_equal(link_add(g, "8a90", "shop/deploy/cart", "data/sts/db", "tcp/5432", GRAPH_PENDING,
				  CW_OUT_NO_RULE, CW_OUT_ALLOW), 0);
	assert_int_equal(link_add(g, "c405", "shop/deploy/web", "203.0.113.99", "tcp/25", GRAPH_PENDING,
				  CW_OUT_DROP, CW_OUT_NONE), 0);
	assert_int_equal(link_add(g, "ffff", "shop/pod/rogue", "data/sts/db", "tcp/1", GRAPH_HELD,
				  CW_OUT_NO_RULE, CW_OUT_NO_RULE), 0);
	return g;
}

static const struct graph_vnode *find(const struct graph_view *v, const char *ref)
{
	for (size_t i = 0; i < v->nnodes; i++)
		if (!strcmp(v->nodes[i].ref, ref))
			return &v->nodes[i];
	return NULL;
}

static struct graph_view *make(const struct graph *g, struct graph_query q)
{
	struct graph_view *v = NULL;

	assert_int_equal(graph_view_make(g, &q, &v), 0);
	for (size_t i = 1; i < v->nnodes; i++)
		assert_true(strcmp(v->nodes[i - 1].ref, v->nodes[i].ref) < 0);
	for (size_t i = 1; i < v->nedges; i++)
		assert_true(strcmp(v->edges[i - 1].id, v->edges[i].id) < 0);
	return v;
}

static void lifts_to_each_level(void **state)
{
	static const struct {
		enum graph_level level;
		size_t nodes, edges;
		const char *has, *has_not;
	} rows[] = {
		/* at pod level the group stays where only the group is known */
		{ GRAPH_POD, 7, 4, "shop/pod/web-2", "shop/app=web" },
		{ GRAPH_CONTROLLER, 5, 4, "shop/deploy/web", "shop/pod/web-1" },
		/* the deployment takes its label group from its pods, which agree */
		{ GRAPH_LABEL, 5, 4, "shop/app=web", "shop/deploy/web" },
		{ GRAPH_SERVICE, 5, 4, "shop/deploy/web", "shop/pod/web-1" },
		{ GRAPH_NAMESPACE, 3, 3, "ns/shop", "shop/deploy/web" },
	};
	auto_cleanup(graph_freep) struct graph *g = sample();

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		auto_cleanup(graph_view_freep) struct graph_view *v =
			make(g, (struct graph_query){ .level = rows[i].level });

		if (v->nnodes != rows[i].nodes)
			for (size_t k = 0; k < v->nnodes; k++)
				print_message("%s: %s\n", graph_level_str(rows[i].level), v->nodes[k].ref);
		assert_int_equal(v->nnodes, rows[i].nodes);
		assert_int_equal(v->nedges, rows[i].edges);
		assert_non_null(find(v, rows[i].has));
		assert_null(find(v, rows[i].has_not));
		assert_int_equal(v->held, 1);
	}
}

static void counts_members_and_flags(void **state)
{
	auto_cleanup(graph_freep) struct graph *g = sample();
	auto_cleanup(graph_view_freep) struct graph_view *v =
		make(g, (struct graph_query){ .level = GRAPH_CONTROLLER });
	const struct graph_vnode *web = find(v, "shop/deploy/web"), *cart = find(v, "shop/deploy/cart");
	const struct graph_vnode *rogue = find(v, "shop/pod/rogue"), *out = find(v, "203.0.113.99");

	(void)state;
	assert_int_equal(web->members, 2);
	assert_int_equal(web->flags, GRAPH_NODE_BLIND);
	assert_string_equal(web->kind, "deploy");
	assert_string_equal(web->name, "web");
	assert_int_equal(cart->members, 1);
	assert_int_equal(rogue->flags, GRAPH_NODE_QUARANTINED);
	assert_int_equal(rogue->held, 1);
	assert_true(out->outside);
	assert_string_equal(out->ns, "");
	assert_int_equal(v->nnamespaces, 2);
	assert_false(v->namespaces[0].has_mode); /* data */
	assert_int_equal(v->namespaces[1].mode, CW_MODE_ENFORCE);
}

static void filters(void **state)
{
	static const char *const data[] = { "data" }, *const none[] = { "dat" };
	static const struct {
		struct graph_query q;
		size_t edges, filtered, held;
	} rows[] = {
		{ { .namespaces = data, .nnamespaces = 1 }, 2, 2, 1 },
		{ { .namespaces = none, .nnamespaces = 1 }, 0, 4, 1 },
		{ { .since_ns = 2000 }, 4, 0, 1 },
		{ { .since_ns = 2001 }, 0, 4, 1 },
		{ { .until_ns = 1000 }, 4, 0, 1 },
		{ { .until_ns = 999 }, 0, 4, 1 },
		{ { .states = 1u << GRAPH_CONFIRMED }, 1, 4, 0 },
		{ { .states = 1u << GRAPH_HELD }, 1, 4, 0 },
		{ { .outcomes = 1u << CW_OUT_DROP }, 1, 3, 1 },
		{ { .outcomes = 1u << CW_OUT_NO_RULE }, 2, 2, 1 },
	};
	auto_cleanup(graph_freep) struct graph *g = sample();

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		struct graph_query q = rows[i].q;
		auto_cleanup(graph_view_freep) struct graph_view *v = NULL;

		q.level = GRAPH_CONTROLLER;
		v = make(g, q);
		assert_int_equal(v->nedges, rows[i].edges);
		assert_int_equal(v->filtered, rows[i].filtered);
		assert_int_equal(v->held, rows[i].held);
	}
}

/* One line for one look; a line of another state or verdict is another line. */
static void merges_into_lines(void **state)
{
	auto_cleanup(graph_freep) struct graph *g = graph_new();
	auto_cleanup(graph_view_freep) struct graph_view *v = NULL;
	const struct graph_vedge *e;

	(void)state;
	assert_int_equal(link_add(g, "b", "a/deploy/x", "a/deploy/y", "tcp/443", 0, CW_OUT_ALLOW, CW_OUT_ALLOW), 0);
	assert_int_equal(link_add(g, "c", "a/deploy/x", "a/deploy/y", "tcp/80", 0, CW_OUT_ALLOW, CW_OUT_ALLOW), 0);
	assert_int_equal(link_add(g, "d", "a/deploy/x", "a/deploy/y", "tcp/90", 0, CW_OUT_ALLOW, CW_OUT_DROP), 0);
	assert_int_equal(link_add(g, "a", "a/deploy/x", "a/deploy/y", "udp/53", GRAPH_CONFIRMED, CW_OUT_ALLOW, CW_OUT_ALLOW), 0);
	v = make(g, (struct graph_query){ .level = GRAPH_CONTROLLER });
	assert_int_equal(v->nedges, 3);
	e = &v->edges[1];
	assert_string_equal(e->id, "b");
	assert_int_equal(e->naccesses, 2);
	assert_int_equal(e->flows, 20);
	/* ports as numbers: 80 before 443 */
	assert_string_equal(v->accesses[e->first_access].port, "tcp/80");
	assert_string_equal(v->accesses[e->first_access + 1].port, "tcp/443");
}

/* One access seen between four pairs of pods: four lines at pod level, one access above. */
static void joins_pairs_of_one_access(void **state)
{
	static const char *const webs[] = { "shop/pod/web-1", "shop/pod/web-2" };
	static const char *const dbs[] = { "data/pod/db-0", "data/pod/db-1" };
	auto_cleanup(graph_freep) struct graph *g = sample();
	auto_cleanup(graph_view_freep) struct graph_view *pods = NULL, *groups = NULL;
	bool drop = true;

	(void)state;
	for (int d = 0; d < 2; d++)
		assert_int_equal(graph_node_add(g, &(struct graph_node){ .ref = dbs[d],
			.at = { [GRAPH_CONTROLLER] = "data/sts/db2" } }), 0);
	for (int w = 0; w < 2; w++)
		for (int d = 0; d < 2; d++, drop = false)
			assert_int_equal(link_add(g, "7777", webs[w], dbs[d], "tcp/5432", GRAPH_PENDING,
						  CW_OUT_ALLOW, drop ? CW_OUT_DROP : CW_OUT_ALLOW), 0);
	assert_int_equal(link_add(g, "7777", webs[0], dbs[0], "tcp/5432", 0, 0, 0), -EEXIST);
	pods = make(g, (struct graph_query){ .level = GRAPH_POD });
	assert_int_equal(pods->nedges, 8);
	assert_string_equal(pods->edges[1].id, "7777/shop/pod/web-1/data/pod/db-0");
	groups = make(g, (struct graph_query){ .level = GRAPH_CONTROLLER });
	assert_int_equal(groups->nedges, 5);
	assert_string_equal(groups->edges[1].id, "7777");
	assert_int_equal(groups->edges[1].naccesses, 1);
	assert_int_equal(groups->edges[1].flows, 40);
	assert_int_equal(groups->edges[1].outcome[CW_INGRESS], CW_OUT_DROP);
}

static void refuses_bad_input(void **state)
{
	char longname[GRAPH_NAME_MAX + 2];
	auto_cleanup(graph_freep) struct graph *g = graph_new();

	(void)state;
	memset(longname, 'a', sizeof(longname) - 1);
	longname[sizeof(longname) - 1] = '\0';
	assert_int_equal(graph_node_add(g, &(struct graph_node){ .ref = "" }), -EINVAL);
	assert_int_equal(graph_node_add(g, &(struct graph_node){ .ref = GRAPH_FOLDED_NS }), -EINVAL);
	assert_int_equal(graph_node_add(g, &(struct graph_node){ .ref = "a/pod/b", .flags = 8 }), -EINVAL);
	assert_int_equal(graph_node_add(g, &(struct graph_node){ .ref = "a/pod/\xff" }), -EILSEQ);
	assert_int_equal(graph_node_add(g, &(struct graph_node){ .ref = "a/pod/\xed\xa0\x80" }), -EILSEQ);
	assert_int_equal(graph_node_add(g, &(struct graph_node){ .ref = longname }), -ENAMETOOLONG);
	assert_int_equal(graph_namespace_add(g, "x", CW_MODE_COUNT), -EINVAL);
	assert_int_equal(link_add(g, "1", "a", "b", "tcp/1", GRAPH_STATES, 0, 0), -EINVAL);
	assert_int_equal(link_add(g, "1", "a", "b", "tcp/1", 0, CW_OUT_COUNT, 0), -EINVAL);
	assert_int_equal(link_add(g, "1", "a", "b", "tcp/\xc3(", 0, 0, 0), -EILSEQ);
	assert_int_equal(link_add(g, "1", "(x)", "b", "tcp/1", 0, 0, 0), -EINVAL);
	assert_int_equal(link_add(g, "1", "a", GRAPH_FOLDED_NS, "tcp/1", 0, 0, 0), -EINVAL);
	longname[GRAPH_NAME_MAX] = '\0';
	assert_int_equal(graph_node_add(g, &(struct graph_node){ .ref = longname }), 0);
	/* the replacement character itself is a character */
	assert_int_equal(graph_node_add(g, &(struct graph_node){ .ref = "a/pod/\xef\xbf\xbd" }), 0);
}

static void reads_refs(void **state)
{
	static const struct { const char *ref, *ns, *kind, *name; bool outside; } rows[] = {
		{ "shop/deploy/web", "shop", "deploy", "web", false },
		{ "shop/app=web,tier=front", "shop", "labels", "app=web,tier=front", false },
		{ "shop/app.kubernetes.io/name=web", "shop", "labels", "app.kubernetes.io/name=web", false },
		{ "ns/shop", "shop", "ns", "shop", false },
		{ "ns/app=web", "ns", "labels", "app=web", false },
		{ "ns/deploy/web", "ns", "deploy", "web", false },
		{ "node/n1", "", "node", "n1", true },
		{ "node/pod/x", "node", "pod", "x", false },
		{ "fqdn/pay.example.com", "", "fqdn", "pay.example.com", true },
		{ "203.0.113.99", "", "world", "203.0.113.99", true },
		{ "198.51.100.0/24", "", "world", "198.51.100.0/24", true },
		{ "2001:db8::/32", "", "world", "2001:db8::/32", true },
		{ "unknown/10.20.2.31", "", "unknown", "10.20.2.31", true },
		{ "world", "", "reserved", "world", true },
		{ "remote-node", "", "reserved", "remote-node", true },
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		auto_cleanup(graph_freep) struct graph *g = graph_new();
		auto_cleanup(graph_view_freep) struct graph_view *v = NULL;

		assert_int_equal(link_add(g, "1", rows[i].ref, rows[i].ref, "tcp/1", 0, 0, 0), 0);
		v = make(g, (struct graph_query){ .level = GRAPH_CONTROLLER });
		assert_int_equal(v->nnodes, 1);
		assert_string_equal(v->nodes[0].ns, rows[i].ns);
		assert_string_equal(v->nodes[0].kind, rows[i].kind);
		assert_string_equal(v->nodes[0].name, rows[i].name);
		assert_int_equal(v->nodes[0].outside, rows[i].outside);
	}
}

static void folds_step_by_step(void **state)
{
	static const struct {
		enum graph_level ask, get;
		size_t max, nodes, namespaces, outside;
	} rows[] = {
		{ GRAPH_POD, GRAPH_POD, 0, 320, 0, 0 },
		{ GRAPH_POD, GRAPH_POD, 320, 320, 0, 0 },
		{ GRAPH_POD, GRAPH_CONTROLLER, 319, 120, 0, 0 }, /* 10 ns * 10 controllers + 20 outside */
		{ GRAPH_POD, GRAPH_NAMESPACE, 119, 30, 0, 0 },
		{ GRAPH_LABEL, GRAPH_NAMESPACE, 60, 30, 0, 0 },
		{ GRAPH_POD, GRAPH_NAMESPACE, 29, 11, 0, 20 },
		{ GRAPH_POD, GRAPH_NAMESPACE, 11, 11, 0, 20 },
		{ GRAPH_POD, GRAPH_NAMESPACE, 10, 10, 2, 20 },
		{ GRAPH_POD, GRAPH_NAMESPACE, 3, 3, 9, 20 },
		{ GRAPH_POD, GRAPH_NAMESPACE, 1, 2, 10, 20 }, /* two folded nodes are the least there is */
	};
	auto_cleanup(graph_freep) struct graph *g = graph_new();
	char id[16], ref[64], group[64], out[64];
	int n = 0;

	(void)state;
	for (int i = 0; i < 300; i++) {
		snprintf(ref, sizeof(ref), "ns%d/pod/p%d", i % 10, i);
		snprintf(group, sizeof(group), "ns%d/deploy/d%d", i % 10, i / 10 % 10);
		snprintf(out, sizeof(out), "203.0.113.%d", i % 20);
		assert_int_equal(graph_node_add(g, &(struct graph_node){ .ref = ref,
			.at = { [GRAPH_CONTROLLER] = group } }), 0);
		snprintf(id, sizeof(id), "%04d", n++);
		assert_int_equal(link_add(g, id, ref, out, "tcp/443", 0, CW_OUT_ALLOW, CW_OUT_NONE), 0);
	}
	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		auto_cleanup(graph_view_freep) struct graph_view *v =
			make(g, (struct graph_query){ .level = rows[i].ask, .max_nodes = rows[i].max });
		uint64_t flows = 0;

		assert_int_equal(v->asked, rows[i].ask);
		assert_int_equal(v->level, rows[i].get);
		assert_int_equal(v->nnodes, rows[i].nodes);
		assert_int_equal(v->folded_namespaces, rows[i].namespaces);
		assert_int_equal(v->folded_outside, rows[i].outside);
		assert_int_equal(v->naccesses, 300); /* whatever is folded, no access is lost */
		for (size_t k = 0; k < v->nedges; k++)
			flows += v->edges[k].flows;
		assert_int_equal(flows, 3000);
	}
}

static void folding_keeps_what_matters(void **state)
{
	auto_cleanup(graph_freep) struct graph *g = graph_new();
	auto_cleanup(graph_view_freep) struct graph_view *v = NULL;
	char ref[64], id[16];

	(void)state;
	for (int i = 0; i < 50; i++) {
		snprintf(ref, sizeof(ref), "n%02d/pod/p", i);
		snprintf(id, sizeof(id), "%04d", i);
		assert_int_equal(link_add(g, id, ref, "n00/pod/p", "tcp/1", 0, CW_OUT_ALLOW,
					  i == 33 ? CW_OUT_DROP : CW_OUT_ALLOW), 0);
	}
	assert_int_equal(graph_node_add(g, &(struct graph_node){ .ref = "n44/pod/p",
		.flags = GRAPH_NODE_QUARANTINED }), 0);
	v = make(g, (struct graph_query){ .level = GRAPH_POD, .max_nodes = 4 });
	assert_int_equal(v->nnodes, 4);
	assert_non_null(find(v, "ns/n00")); /* busiest */
	assert_non_null(find(v, "ns/n33")); /* blocked */
	assert_non_null(find(v, "ns/n44")); /* quarantined */
	assert_non_null(find(v, GRAPH_FOLDED_NS));
	assert_int_equal(find(v, GRAPH_FOLDED_NS)->members, 47);
}

static void sums_saturate(void **state)
{
	auto_cleanup(graph_freep) struct graph *g = graph_new();
	auto_cleanup(graph_view_freep) struct graph_view *v = NULL;

	(void)state;
	for (int i = 0; i < 3; i++)
		assert_int_equal(graph_access_add(g, &(struct graph_access){ .id = (const char *[]){ "a", "b", "c" }[i],
			.src = "x/pod/a", .dst = "x/pod/b", .port = "tcp/1", .flows = UINT64_MAX - 1, .bytes = UINT64_MAX }), 0);
	v = make(g, (struct graph_query){ .level = GRAPH_POD });
	assert_int_equal(v->edges[0].flows, UINT64_MAX);
	assert_int_equal(v->edges[0].bytes, UINT64_MAX);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(lifts_to_each_level),
		cmocka_unit_test(counts_members_and_flags),
		cmocka_unit_test(filters),
		cmocka_unit_test(merges_into_lines),
		cmocka_unit_test(joins_pairs_of_one_access),
		cmocka_unit_test(refuses_bad_input),
		cmocka_unit_test(reads_refs),
		cmocka_unit_test(folds_step_by_step),
		cmocka_unit_test(folding_keeps_what_matters),
		cmocka_unit_test(sums_saturate),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
