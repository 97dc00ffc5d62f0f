/* SPDX-License-Identifier: Apache-2.0 */
/* story.h - the graph that the topology tests tell: shop, data, ops, and one hostile namespace. */
#pragma once

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include "base/buf.h"
#include "base/cleanup.h"
#include "base/json.h"
#include "topology/graph.h"

#define HOUR_NS (3600ll * 1000000000ll)
#define STORY_NOW_NS (1773304560ll * 1000000000ll) /* 2026-03-12 08:36 UTC */

static const struct graph_node story_nodes[] = {
	{ .ref = "shop/pod/web-1", .at = { [GRAPH_CONTROLLER] = "shop/deploy/web" } },
	{ .ref = "shop/pod/web-2", .at = { [GRAPH_CONTROLLER] = "shop/deploy/web" } },
	{ .ref = "shop/pod/cart-1", .at = { [GRAPH_CONTROLLER] = "shop/deploy/cart" } },
	{ .ref = "shop/pod/cart-2", .at = { [GRAPH_CONTROLLER] = "shop/deploy/cart" } },
	{ .ref = "shop/pod/rogue", .flags = GRAPH_NODE_QUARANTINED },
	{ .ref = "data/pod/db-0", .at = { [GRAPH_CONTROLLER] = "data/sts/db" } },
	{ .ref = "ops/pod/metrics-1", .at = { [GRAPH_CONTROLLER] = "ops/deploy/metrics" }, .flags = GRAPH_NODE_BLIND },
};
static const struct graph_access story_accesses[] = {
	{ .id = "3f9a", .src = "198.51.100.0/24", .dst = "shop/deploy/web", .port = "tcp/8080", .service = "svc/web",
	  .state = GRAPH_CONFIRMED, .outcome = { CW_OUT_NONE, CW_OUT_ALLOW }, .flows = 918204, .answered = 918204,
	  .bytes = 3000000000, .first_ns = STORY_NOW_NS - 240 * HOUR_NS, .last_ns = STORY_NOW_NS },
	{ .id = "51c0", .src = "shop/deploy/web", .dst = "shop/deploy/cart", .port = "tcp/9090",
	  .state = GRAPH_CONFIRMED, .outcome = { CW_OUT_ALLOW, CW_OUT_ALLOW }, .flows = 402117, .answered = 402117,
	  .bytes = 400000, .first_ns = STORY_NOW_NS - 240 * HOUR_NS, .last_ns = STORY_NOW_NS },
	{ .id = "8a90", .src = "shop/deploy/cart", .dst = "data/sts/db", .port = "tcp/5432",
	  .state = GRAPH_CONFIRMED, .outcome = { CW_OUT_ALLOW, CW_OUT_ALLOW }, .flows = 201998, .answered = 201998,
	  .bytes = 9000000 },
	{ .id = "9e42", .src = "shop/deploy/cart", .dst = "fqdn/pay.example.com", .port = "tcp/443",
	  .state = GRAPH_CONFIRMED, .outcome = { CW_OUT_ALLOW, CW_OUT_NONE }, .flows = 8120, .answered = 8120,
	  .bytes = 70000000 },
	{ .id = "c405", .src = "shop/deploy/web", .dst = "203.0.113.99", .port = "tcp/25", .rule = "no-smtp",
	  .state = GRAPH_PENDING, .outcome = { CW_OUT_DROP, CW_OUT_NONE }, .flows = 16, .bytes = 960 },
	{ .id = "f03b", .src = "shop/pod/rogue", .dst = "data/sts/db", .port = "tcp/5432", .rule = "db-only-shop-apps",
	  .state = GRAPH_PENDING, .outcome = { CW_OUT_WOULD_BLOCK, CW_OUT_WOULD_BLOCK }, .flows = 614, .answered = 614,
	  .bytes = 50000 },
	{ .id = "a101", .src = "ops/deploy/metrics", .dst = "shop/deploy/web", .port = "tcp/80",
	  .state = GRAPH_PENDING, .outcome = { CW_OUT_NO_RULE, CW_OUT_ALLOW }, .flows = 5, .answered = 5, .bytes = 5000 },
	{ .id = "a102", .src = "ops/deploy/metrics", .dst = "shop/deploy/web", .port = "tcp/443",
	  .state = GRAPH_PENDING, .outcome = { CW_OUT_NO_RULE, CW_OUT_ALLOW }, .flows = 5, .answered = 5, .bytes = 5000 },
	{ .id = "a103", .src = "ops/deploy/metrics", .dst = "shop/deploy/web", .port = "tcp/9100",
	  .state = GRAPH_PENDING, .outcome = { CW_OUT_NO_RULE, CW_OUT_ALLOW }, .flows = 5, .answered = 5, .bytes = 5000 },
	{ .id = "a104", .src = "ops/deploy/metrics", .dst = "shop/deploy/web", .port = "udp/53",
	  .state = GRAPH_REJECTED, .outcome = { CW_OUT_DROP, CW_OUT_NONE }, .flows = 5, .bytes = 500 },
	{ .id = "b001", .src = "ops/deploy/metrics", .dst = "data/sts/db", .port = "tcp/9100",
	  .state = GRAPH_CONFIRMED, .outcome = { CW_OUT_ALERT, CW_OUT_ALLOW }, .flows = 1, .answered = 1, .bytes = 500 },
	{ .id = "e000", .src = "shop/pod/rogue", .dst = "ops/deploy/metrics", .port = "tcp/1",
	  .state = GRAPH_HELD, .outcome = { CW_OUT_NO_RULE, CW_OUT_NO_RULE }, .flows = 1 },
};

/* Names that try to leave their place in some format, or to look like another. */
static const char *const hostile[] = {
	"\"];evil[label=\"x", "back\\slash\\", "\\", "\\\"", "line\nfeed\r\n\ttab", "</title><script>alert(1)</script>",
	"&lt;b&gt; &amp; \\N", "]]><!-- -- -->", "\xe2\x80\xae" "gnp.exe", "zero\xe2\x80\x8bwidth", "zero\\u{200b}width",
	"=cmd|' /C calc'!A0", "+1", "-1", "@sum(A1)", "a,b;\"c\"", "\"]:::x\n end\n  subgraph", "%%{init: {}}%%",
	"`code`", "|\"--> n_x", "end", "\x01\x1f\x7f", "\xc2\x85", "\xef\xbf\xbf", "\xf0\x9f\x98\x80", "\xe7\xbd\x91\xe7\xbb\x9c",
	"#quot;", "digraph {}", "' onload='x", "${HOME} $(id)",
};

static inline void story_add(struct graph *g, size_t i)
{
	const size_t nodes = ARRAY_SIZE(story_nodes), accesses = ARRAY_SIZE(story_accesses);

	if (i < nodes)
		assert_int_equal(graph_node_add(g, &story_nodes[i]), 0);
	else if (i < nodes + accesses)
		assert_int_equal(graph_access_add(g, &story_accesses[i - nodes]), 0);
	else if (i == nodes + accesses)
		assert_int_equal(graph_namespace_add(g, "shop", CW_MODE_ENFORCE), 0);
	else if (i == nodes + accesses + 1)
		assert_int_equal(graph_namespace_add(g, "data", CW_MODE_ALERT), 0);
	else
		assert_int_equal(graph_namespace_add(g, "ops", CW_MODE_LEARN), 0);
}
#define STORY_STEPS (ARRAY_SIZE(story_nodes) + ARRAY_SIZE(story_accesses) + 3)

static inline struct graph *story(void)
{
	struct graph *g = graph_new();

	assert_non_null(g);
	for (size_t i = 0; i < STORY_STEPS; i++)
		story_add(g, i);
	return g;
}

/* Every hostile text as namespace, workload, port, service, rule, access id and outside address. */
static inline struct graph *hostile_graph(void)
{
	struct graph *g = graph_new();
	char src[256], dst[256];

	assert_non_null(g);
	for (size_t i = 0; i < ARRAY_SIZE(hostile); i++) {
		const char *s = hostile[i];

		snprintf(src, sizeof(src), "%s/pod/%s", s, s);
		snprintf(dst, sizeof(dst), "%s", s);
		assert_int_equal(graph_namespace_add(g, s, CW_MODE_ENFORCE), 0);
		assert_int_equal(graph_node_add(g, &(struct graph_node){ .ref = src, .ns = s, .kind = s, .name = s }), 0);
		assert_int_equal(graph_access_add(g, &(struct graph_access){ .id = s, .src = src, .dst = dst,
			.port = s, .service = s, .rule = s, .outcome = { CW_OUT_ALLOW, CW_OUT_DROP } }), 0);
	}
	return g;
}

static inline struct graph_view *view_of(const struct graph *g, enum graph_level level, size_t max_nodes)
{
	struct graph_view *v = NULL;

	assert_int_equal(graph_view_make(g, &(struct graph_query){ .level = level, .max_nodes = max_nodes }, &v), 0);
	return v;
}

static inline char *export_of(const struct graph_view *v, enum graph_format f, const struct graph_export *opt)
{
	auto_cleanup(buf_done) struct buf b = {};
	char *s;

	buf_init(&b, GRAPH_EXPORT_MAX);
	assert_int_equal(graph_export(v, f, opt, &b), 0);
	s = buf_take(&b, NULL);
	assert_non_null(s);
	return s;
}
