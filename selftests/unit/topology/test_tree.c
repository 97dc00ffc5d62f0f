/* SPDX-License-Identifier: Apache-2.0 */
/* The terminal tree and the diff of two views. */
#include <errno.h>

#include "base/text.h"
#include "story.h"

static char *tree_of(const struct graph_view *v, const struct graph_tree *opt)
{
	auto_cleanup(buf_done) struct buf b = {};

	buf_init(&b, 1 << 20);
	assert_int_equal(graph_tree_print(v, opt, &b), 0);
	return buf_take(&b, NULL);
}

static void tree_is_what_the_page_says(void **state)
{
	static const char *const shop[] = { "shop" };
	auto_cleanup(graph_freep) struct graph *g = story();
	auto_cleanup(graph_view_freep) struct graph_view *v = NULL;
	auto_free char *s = NULL;

	(void)state;
	assert_int_equal(graph_view_make(g, &(struct graph_query){ .level = GRAPH_CONTROLLER, .namespaces = shop,
		.nnamespaces = 1 }, &v), 0);
	s = tree_of(v, &(struct graph_tree){ .namespaces = shop, .nnamespaces = 1,
		.heading = "24 h to 2026-03-12 08:36, generation 44" });
	assert_string_equal(s,
		"shop [enforce]                                          24 h to 2026-03-12 08:36, generation 44\n"
		"|- deploy/cart  x2   2 accesses, all allow and confirmed (--expand deploy/cart)\n"
		"|- deploy/web  x2\n"
		"|  |- -> 203.0.113.99        tcp/25         block / -                  16 tries     pending, never answered\n"
		"|  |- -> shop/deploy/cart    tcp/9090       allow / allow              402 k flows  confirmed\n"
		"|  |- <- 198.51.100.0/24     tcp/8080       - / allow                  918 k flows  confirmed, via svc/web\n"
		"|  |- <- ops/deploy/metrics  tcp/80,443 +1  no-rule / allow            15 flows     pending\n"
		"|  `- <- ops/deploy/metrics  udp/53         block / -                  5 tries      rejected, never answered\n"
		"`- pod/rogue  QUARANTINED  1 held as scan\n"
		"   `- -> data/sts/db         tcp/5432       would-block / would-block  614 flows    pending\n"
		"not shown: 1 held as scan, 1 outside this scope, window or filter\n");
}

static void tree_expands_and_cuts(void **state)
{
	static const char *const cart[] = { "deploy/cart" };
	auto_cleanup(graph_freep) struct graph *g = story();
	auto_cleanup(graph_view_freep) struct graph_view *v = view_of(g, GRAPH_CONTROLLER, 60);
	auto_free char *s = tree_of(v, &(struct graph_tree){ .expand = cart, .nexpand = 1, .width = 90 });
	auto_free char *c = tree_of(v, &(struct graph_tree){ .color = true });

	(void)state;
	assert_non_null(strstr(s, "|- deploy/cart  x2\n|  |- -> data/sts/db      tcp/5432       allow / allow"));
	assert_non_null(strstr(s, "shop/dep../cart  tcp/9090"));
	assert_non_null(strstr(c, "\033[31mblock\033[0m / -"));
	assert_non_null(strstr(c, "\033[4;31mwould-block\033[0m / \033[4;31mwould-block\033[0m"));
	assert_null(strstr(s, "\033"));
}

static void empty_views_say_so(void **state)
{
	auto_cleanup(graph_freep) struct graph *g = graph_new();
	auto_cleanup(graph_view_freep) struct graph_view *v = view_of(g, GRAPH_CONTROLLER, 60);
	auto_free char *s = tree_of(v, NULL);

	(void)state;
	assert_string_equal(s, "no workloads in this view\n");
}

static struct graph *edited(size_t drop, enum cw_outcome web_smtp)
{
	struct graph *g = graph_new();

	for (size_t i = 0; i < STORY_STEPS; i++) {
		size_t k = i - ARRAY_SIZE(story_nodes);

		if (k < ARRAY_SIZE(story_accesses) && k == drop)
			continue;
		if (k < ARRAY_SIZE(story_accesses) && !strcmp(story_accesses[k].id, "c405")) {
			struct graph_access a = story_accesses[k];

			a.outcome[CW_EGRESS] = web_smtp;
			assert_int_equal(graph_access_add(g, &a), 0);
			continue;
		}
		story_add(g, i);
	}
	return g;
}

static void diff_new_gone_changed(void **state)
{
	auto_cleanup(graph_freep) struct graph *ga = edited(3, CW_OUT_WOULD_BLOCK), *gb = edited(0, CW_OUT_DROP);
	auto_cleanup(graph_view_freep) struct graph_view *a = view_of(ga, GRAPH_CONTROLLER, 0);
	auto_cleanup(graph_view_freep) struct graph_view *b = view_of(gb, GRAPH_CONTROLLER, 0);
	auto_cleanup(graph_view_freep) struct graph_view *ns = view_of(gb, GRAPH_NAMESPACE, 0);
	auto_cleanup(graph_diff_done) struct graph_diff d = {}, same = {};
	auto_cleanup(buf_done) struct buf text = {};

	(void)state;
	assert_int_equal(graph_diff_make(a, ns, &d), -EINVAL);
	assert_int_equal(graph_diff_make(a, b, &d), 0);
	assert_int_equal(d.added, 1);
	assert_int_equal(d.gone, 1);
	assert_int_equal(d.changed, 1);
	assert_int_equal(d.same, 8);
	assert_int_equal(d.nnodes_added, 1);
	assert_string_equal(d.nodes_added[0], "fqdn/pay.example.com");
	assert_int_equal(d.nnodes_gone, 1);
	assert_string_equal(d.nodes_gone[0], "198.51.100.0/24");
	buf_init(&text, 1 << 16);
	assert_int_equal(graph_diff_text(&d, 0, &text), 0);
	assert_string_equal(text.data,
		"- 198.51.100.0/24 -> shop/deploy/web tcp/8080  - / allow\n"
		"+ shop/deploy/cart -> fqdn/pay.example.com tcp/443  allow / -\n"
		"~ shop/deploy/web -> 203.0.113.99 tcp/25  would-block / - -> block / -\n"
		"+1 new  -1 gone  ~1 verdict changed  =8 unchanged\n");
	assert_int_equal(graph_diff_make(b, b, &same), 0);
	assert_int_equal(same.n, 0);
	assert_int_equal(same.same, b->naccesses);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(tree_is_what_the_page_says),
		cmocka_unit_test(tree_expands_and_cuts),
		cmocka_unit_test(empty_views_say_so),
		cmocka_unit_test(diff_new_gone_changed),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
