/* SPDX-License-Identifier: Apache-2.0 */
/* 10,000 nodes and 100,000 accesses: exported in time, folded to what a person can read. */
#include <time.h>

#include "story.h"

#define NODES 10000u
#define ACCESSES 100000u
#define EXPORT_SECONDS 2.0 /* for one export, lifting included; sanitizers get ten times that */

#if defined(__SANITIZE_ADDRESS__)
#define SLOWER 10.0
#elif defined(__has_feature)
#if __has_feature(address_sanitizer)
#define SLOWER 10.0
#endif
#endif
#ifndef SLOWER
#define SLOWER 1.0
#endif

static double cpu_seconds(void)
{
	struct timespec t;

	clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &t);
	return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

static struct graph *big(void)
{
	struct graph *g = graph_new();
	char ref[64], dst[64], group[64], id[16], port[16];
	uint64_t x = 88172645463325252ull; /* xorshift: the same graph each time */

	for (unsigned i = 0; i < NODES; i++) {
		snprintf(ref, sizeof(ref), "team-%03u/pod/app-%u", i % 200, i);
		snprintf(group, sizeof(group), "team-%03u/deploy/app-%u", i % 200, i / 200 % 10);
		assert_int_equal(graph_node_add(g, &(struct graph_node){ .ref = ref,
			.at = { [GRAPH_CONTROLLER] = group } }), 0);
	}
	for (unsigned i = 0; i < ACCESSES; i++) {
		unsigned a, b;

		x ^= x << 13;
		x ^= x >> 7;
		x ^= x << 17;
		a = (unsigned)(x % NODES);
		b = (unsigned)(x / NODES % NODES);
		snprintf(ref, sizeof(ref), "team-%03u/pod/app-%u", a % 200, a);
		snprintf(dst, sizeof(dst), "team-%03u/pod/app-%u", b % 200, b);
		snprintf(id, sizeof(id), "%08x", i);
		snprintf(port, sizeof(port), "tcp/%u", 1 + (unsigned)(x >> 40) % 2000);
		assert_int_equal(graph_access_add(g, &(struct graph_access){ .id = id, .src = ref, .dst = dst,
			.port = port, .state = x >> 20 & 1, .outcome = { CW_OUT_ALLOW, CW_OUT_ALLOW }, .flows = i }), 0);
	}
	return g;
}

static void exports_in_time(void **state)
{
	auto_cleanup(graph_freep) struct graph *g = big();

	(void)state;
	for (int f = 0; f < GRAPH_FORMATS; f++) {
		double t = cpu_seconds();
		auto_cleanup(graph_view_freep) struct graph_view *v = view_of(g, GRAPH_POD, 0);
		auto_free char *s = export_of(v, (enum graph_format)f, NULL);

		t = cpu_seconds() - t;
		assert_int_equal(v->nnodes, NODES);
		assert_int_equal(v->naccesses, ACCESSES);
		print_message("%s: %.1f MB in %.2f s\n", graph_format_str((enum graph_format)f),
			      (double)strlen(s) / 1e6, t);
		assert_true(t < EXPORT_SECONDS * SLOWER);
	}
}

static void folds_to_sixty(void **state)
{
	auto_cleanup(graph_freep) struct graph *g = big();
	auto_cleanup(graph_view_freep) struct graph_view *v = view_of(g, GRAPH_POD, GRAPH_MAX_NODES_DEFAULT);
	auto_free char *s = export_of(v, GRAPH_DOT, NULL);

	(void)state;
	assert_int_equal(v->level, GRAPH_NAMESPACE);
	assert_true(v->nnodes <= 60);
	assert_int_equal(v->folded_namespaces, 200 - 59);
	/* every access is still in some line: at most one for each pair, state and verdict */
	assert_true(v->nedges <= 60 * 60 * 2);
	assert_non_null(strstr(s, "label=\"folded from pod to namespace: 10000 nodes to 60, 141 namespaces in one node\""));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(exports_in_time),
		cmocka_unit_test(folds_to_sixty),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
