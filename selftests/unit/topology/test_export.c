/* SPDX-License-Identifier: Apache-2.0 */
/* What the exports look like, that foreign readers take them, and that order does not matter. */
#include <errno.h>
#include <signal.h>
#include <spawn.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include "story.h"

extern char **environ;

static const struct graph_export about = { .comment = true, .cluster = "prod-hz", .generation = 44,
	.since_ns = STORY_NOW_NS - 24 * HOUR_NS, .until_ns = STORY_NOW_NS };

static const char expected_dot[] =
	"digraph cellwall {\n"
	"  graph [rankdir=LR, labeljust=l, nodesep=0.4, ranksep=0.8, fontname=\"sans-serif\"]; node [shape=box, style=\"rounded,filled\", fillcolor=\"#F4F6F8\", color=\"#4A5560\"];\n"
	"  node [fontname=\"sans-serif\"]; edge [fontname=\"sans-serif\", fontsize=12];\n"
	"  subgraph \"cluster_ns/data\" { label=\"data [alert]\"; color=\"#B8860B\"; style=dashed; penwidth=2;\n"
	"    \"data/sts/db\" [label=\"db\\nsts\"];\n"
	"  }\n"
	"  subgraph \"cluster_ns/ops\" { label=\"ops [learn]\"; color=\"#767676\"; penwidth=2;\n"
	"    \"ops/deploy/metrics\" [label=\"metrics\\ndeploy\\nBLIND\", style=\"rounded,filled,dashed\"];\n"
	"  }\n"
	"  subgraph \"cluster_ns/shop\" { label=\"shop [enforce]\"; color=\"#0072B2\"; penwidth=2;\n"
	"    \"shop/deploy/cart\" [label=\"cart\\ndeploy x2\"];\n"
	"    \"shop/deploy/web\" [label=\"web\\ndeploy x2\"];\n"
	"    \"shop/pod/rogue\" [label=\"rogue\\npod\\nQUARANTINED\\n1 held as scan\", peripheries=2, color=\"#8C1D18\", fontcolor=\"#8C1D18\"];\n"
	"  }\n"
	"  \"198.51.100.0/24\" [shape=ellipse, label=\"198.51.100.0/24\\nworld\"];\n"
	"  \"203.0.113.99\" [shape=ellipse, label=\"203.0.113.99\\nworld\"];\n"
	"  \"fqdn/pay.example.com\" [shape=ellipse, label=\"pay.example.com\\nfqdn\"];\n"
	"  \"198.51.100.0/24\" -> \"shop/deploy/web\" [id=\"3f9a\", label=\"tcp/8080\", color=\"#0072B2\", style=solid, arrowhead=normal, penwidth=5];\n"
	"  \"shop/deploy/web\" -> \"shop/deploy/cart\" [id=\"51c0\", label=\"tcp/9090\", color=\"#0072B2\", style=solid, arrowhead=normal, penwidth=3];\n"
	"  \"shop/deploy/cart\" -> \"data/sts/db\" [id=\"8a90\", label=\"tcp/5432\", color=\"#0072B2\", style=solid, arrowhead=normal, penwidth=3];\n"
	"  \"shop/deploy/cart\" -> \"fqdn/pay.example.com\" [id=\"9e42\", label=\"tcp/443\", color=\"#0072B2\", style=solid, arrowhead=normal, penwidth=4];\n"
	"  \"ops/deploy/metrics\" -> \"shop/deploy/web\" [id=\"a101\", label=\"tcp/80,443 +1 no-rule\", color=\"#767676\", style=dashed, arrowhead=normal, penwidth=2, tooltip=\"tcp/80, tcp/443, tcp/9100: egress no-rule, ingress allow\"];\n"
	"  \"ops/deploy/metrics\" -> \"shop/deploy/web\" [id=\"a104\", label=\"udp/53 block\", color=\"#8C1D18\", style=dotted, arrowhead=tee, penwidth=1];\n"
	"  \"ops/deploy/metrics\" -> \"data/sts/db\" [id=\"b001\", label=\"tcp/9100 alert\", color=\"#B8860B\", style=solid, arrowhead=odiamond, penwidth=1, tooltip=\"tcp/9100: egress alert, ingress allow\"];\n"
	"  \"shop/deploy/web\" -> \"203.0.113.99\" [id=\"c405\", label=\"tcp/25 block\", color=\"#8C1D18\", style=dashed, arrowhead=tee, penwidth=1];\n"
	"  \"shop/pod/rogue\" -> \"data/sts/db\" [id=\"f03b\", label=\"tcp/5432 would-block\", color=\"#8C1D18\", style=dashed, arrowhead=onormal, penwidth=2];\n"
	"}\n";

static void dot_is_what_the_page_says(void **state)
{
	auto_cleanup(graph_freep) struct graph *g = story();
	auto_cleanup(graph_view_freep) struct graph_view *v = view_of(g, GRAPH_CONTROLLER, 60);
	auto_free char *plain = export_of(v, GRAPH_DOT, &(struct graph_export){ .no_legend = true });
	auto_free char *full = export_of(v, GRAPH_DOT, &about);

	(void)state;
	assert_string_equal(plain, expected_dot);
	assert_non_null(strstr(full, "digraph cellwall {  // cluster prod-hz, 2026-03-11T08:36:00Z to "
				     "2026-03-12T08:36:00Z, generation 44\n"));
	assert_non_null(strstr(full, "subgraph \"cluster_legend\""));
}

static void folded_says_so_first(void **state)
{
	auto_cleanup(graph_freep) struct graph *g = story();
	auto_cleanup(graph_view_freep) struct graph_view *v = view_of(g, GRAPH_POD, 6);
	auto_free char *s = export_of(v, GRAPH_DOT, NULL);

	(void)state;
	assert_non_null(strstr(s, "label=\"folded from pod to namespace: 14 nodes to 6\"; labelloc=t;"));
	assert_non_null(strstr(s, "\"ns/shop\" [label=\"shop [enforce]\\n5 workloads\\nQUARANTINED"));
}

/* The same facts in any order give the same bytes in every format. */
static void order_does_not_matter(void **state)
{
	static const enum graph_level levels[] = { GRAPH_POD, GRAPH_CONTROLLER, GRAPH_NAMESPACE };
	auto_cleanup(graph_freep) struct graph *first = story();
	size_t order[STORY_STEPS];

	(void)state;
	srand(7);
	for (int round = 0; round < 20; round++) {
		auto_cleanup(graph_freep) struct graph *g = graph_new();

		for (size_t i = 0; i < STORY_STEPS; i++)
			order[i] = i;
		for (size_t i = STORY_STEPS - 1; i; i--) {
			size_t k = (size_t)rand() % (i + 1), t = order[i];

			order[i] = order[k];
			order[k] = t;
		}
		for (size_t i = 0; i < STORY_STEPS; i++)
			story_add(g, order[i]);
		for (size_t l = 0; l < ARRAY_SIZE(levels); l++) {
			auto_cleanup(graph_view_freep) struct graph_view *a = view_of(first, levels[l], 0);
			auto_cleanup(graph_view_freep) struct graph_view *b = view_of(g, levels[l], 0);

			for (int f = 0; f < GRAPH_FORMATS; f++) {
				auto_free char *sa = export_of(a, (enum graph_format)f, &about);
				auto_free char *sb = export_of(b, (enum graph_format)f, &about);

				assert_string_equal(sa, sb);
			}
		}
	}
}

/* Feeds text to a program; its exit status, or -ENOENT when it is not installed. */
static int feed(const char *const argv[], const char *text)
{
	int in = memfd_create("in", MFD_CLOEXEC), out = memfd_create("out", MFD_CLOEXEC), status = 0, r;
	posix_spawn_file_actions_t fa;
	pid_t pid;

	assert_true(in >= 0 && out >= 0);
	assert_int_equal(write(in, text, strlen(text)), (ssize_t)strlen(text));
	assert_int_equal(lseek(in, 0, SEEK_SET), 0);
	posix_spawn_file_actions_init(&fa);
	posix_spawn_file_actions_adddup2(&fa, in, 0);
	posix_spawn_file_actions_adddup2(&fa, out, 1);
	r = posix_spawnp(&pid, argv[0], &fa, NULL, (char *const *)argv, environ);
	posix_spawn_file_actions_destroy(&fa);
	close(in);
	close(out);
	if (r)
		return -r;
	assert_int_equal(waitpid(pid, &status, 0), pid);
	return WIFEXITED(status) ? WEXITSTATUS(status) : 128;
}

static void foreign_readers_take_it(const struct graph *g)
{
	static const struct { enum graph_format f; const char *const argv[5]; } readers[] = {
		{ GRAPH_DOT, { "dot", "-Tsvg" } },
		{ GRAPH_GRAPHML, { "xmllint", "--noout", "--nonet", "-" } },
	};
	static const enum graph_level levels[] = { GRAPH_CONTROLLER, GRAPH_NAMESPACE };

	for (size_t l = 0; l < ARRAY_SIZE(levels); l++) {
		auto_cleanup(graph_view_freep) struct graph_view *v = view_of(g, levels[l], 0);

		for (size_t i = 0; i < ARRAY_SIZE(readers); i++) {
			auto_free char *s = export_of(v, readers[i].f, &about);
			int r = feed(readers[i].argv, s);

			if (r == -ENOENT)
				print_message("SKIPPED in part: %s is not installed\n", readers[i].argv[0]);
			else if (r)
				fail_msg("%s refuses the export: exit %d", readers[i].argv[0], r);
		}
	}
}

static void dot_and_xmllint_take_the_story(void **state)
{
	auto_cleanup(graph_freep) struct graph *g = story();

	(void)state;
	foreign_readers_take_it(g);
}

static void dot_and_xmllint_take_hostile_names(void **state)
{
	auto_cleanup(graph_freep) struct graph *g = hostile_graph();

	(void)state;
	foreign_readers_take_it(g);
}

static void json_comes_back(const struct graph *g, enum graph_level level)
{
	auto_cleanup(graph_view_freep) struct graph_view *v = view_of(g, level, 0), *again = NULL;
	auto_cleanup(graph_freep) struct graph *back = NULL;
	auto_cleanup(cJSON_Deletep) cJSON *j = NULL;
	auto_free char *s = export_of(v, GRAPH_JSON, &about), *s2 = NULL;

	assert_int_equal(json_parse(s, strlen(s), "export", NULL, &j), 0);
	assert_int_equal(cJSON_GetArraySize(json_get(j, "nodes")), (int)v->nnodes);
	assert_int_equal(cJSON_GetArraySize(json_get(j, "edges")), (int)v->nedges);
	for (size_t i = 0; i < v->nnodes; i++)
		assert_string_equal(json_str(cJSON_GetArrayItem(json_get(j, "nodes"), (int)i), "id"), v->nodes[i].ref);
	assert_int_equal(graph_from_json(j, NULL, &back), 0);
	again = view_of(back, level, 0);
	s2 = export_of(again, GRAPH_JSON, &about);
	assert_string_equal(s, s2);
}

static void json_round_trips(void **state)
{
	auto_cleanup(graph_freep) struct graph *g = story(), *h = hostile_graph();

	(void)state;
	for (int l = 0; l < GRAPH_LEVELS; l++) {
		json_comes_back(g, (enum graph_level)l);
		json_comes_back(h, (enum graph_level)l);
	}
}

static void bad_documents_are_refused(void **state)
{
	static const struct { const char *text, *at; } rows[] = {
		{ "{}", "kind" },
		{ "[]", "kind" },
		{ "{\"kind\":\"Topology\"}", "meta.level" },
		{ "{\"kind\":\"Topology\",\"meta\":{\"level\":\"x\"}}", "meta.level" },
		{ "{\"kind\":\"Topology\",\"meta\":{\"level\":\"pod\"},\"nodes\":[{}]}", "nodes[0].id" },
		{ "{\"kind\":\"Topology\",\"meta\":{\"level\":\"pod\"},\"nodes\":[{\"id\":\"(x\"}]}", "nodes[0].id" },
		{ "{\"kind\":\"Topology\",\"meta\":{\"level\":\"pod\"},\"nodes\":[{\"id\":\"\"}]}", "nodes[0]" },
		{ "{\"kind\":\"Topology\",\"meta\":{\"level\":\"pod\"},\"namespaces\":[{\"name\":\"a\",\"mode\":\"x\"}]}",
		  "namespaces[0].mode" },
		{ "{\"kind\":\"Topology\",\"meta\":{\"level\":\"pod\"},\"namespaces\":[{\"mode\":\"off\"}]}",
		  "namespaces[0].name" },
		{ "{\"kind\":\"Topology\",\"meta\":{\"level\":\"pod\"},\"edges\":[{}]}", "edges[0].state" },
		{ "{\"kind\":\"Topology\",\"meta\":{\"level\":\"pod\"},\"edges\":[{\"state\":\"held\",\"egress\":\"-\"}]}",
		  "edges[0].ingress" },
		{ "{\"kind\":\"Topology\",\"meta\":{\"level\":\"pod\"},\"nodes\":[{\"id\":\"a/pod/b\"}],\"edges\":[{\"state\":"
		  "\"held\",\"egress\":\"-\",\"ingress\":\"-\",\"src\":\"a/pod/b\",\"dst\":\"a/pod/c\",\"accesses\":[{\"id\":"
		  "\"1\",\"port\":\"tcp/1\"}]}]}", "edges[0].accesses" },
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		auto_cleanup(cJSON_Deletep) cJSON *j = NULL;
		struct fail_list f = {};
		struct graph *g = NULL;

		assert_int_equal(json_parse(rows[i].text, strlen(rows[i].text), "doc", NULL, &j), 0);
		assert_int_equal(graph_from_json(j, &f, &g), -EBADMSG);
		assert_null(g);
		assert_int_equal(f.n, 1);
		assert_string_equal(f.items[0].name, "topology.document");
		assert_string_equal(f.items[0].at, rows[i].at);
		fail_list_done(&f);
	}
}

static void csv_and_mermaid_lines(void **state)
{
	auto_cleanup(graph_freep) struct graph *g = story();
	auto_cleanup(graph_view_freep) struct graph_view *v = view_of(g, GRAPH_CONTROLLER, 60);
	auto_free char *csv = export_of(v, GRAPH_CSV, NULL), *mm = export_of(v, GRAPH_MERMAID, &about);
	size_t lines = 0;

	(void)state;
	for (const char *p = csv; (p = strchr(p, '\n')); p++)
		lines++;
	assert_int_equal(lines, 1 + v->naccesses);
	assert_non_null(strstr(csv, "c405,c405,shop/deploy/web,shop,203.0.113.99,,tcp/25,,block,block,-,pending,no-smtp,"
				    "16,0,960,,\r\n"));
	assert_non_null(strstr(csv, "a103,a101,ops/deploy/metrics,ops,shop/deploy/web,shop,tcp/9100,,no-rule,no-rule,allow,"
				    "pending,,5,5,5000,,\r\n"));
	assert_non_null(strstr(mm, "%% cluster prod-hz, "));
	assert_non_null(strstr(mm, "flowchart LR\n"));
	assert_non_null(strstr(mm, "  subgraph sn_shop[\"shop #91;enforce#93;\"]\n"));
	assert_non_null(strstr(mm, "    n_shop_2fpod_2frogue[\"rogue<br/>pod<br/>QUARANTINED<br/>1 held as scan\"]:::quarantined\n"));
	assert_non_null(strstr(mm, "  n_shop_2fdeploy_2fweb -.-x|\"tcp/25 block\"| n_203_2e0_2e113_2e99\n"));
	assert_non_null(strstr(mm, "  n_shop_2fdeploy_2fweb -->|\"tcp/9090\"| n_shop_2fdeploy_2fcart\n"));
	assert_non_null(strstr(mm, "  linkStyle 0,1,2,3 stroke:#0072B2\n"));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(dot_is_what_the_page_says),
		cmocka_unit_test(folded_says_so_first),
		cmocka_unit_test(order_does_not_matter),
		cmocka_unit_test(dot_and_xmllint_take_the_story),
		cmocka_unit_test(dot_and_xmllint_take_hostile_names),
		cmocka_unit_test(json_round_trips),
		cmocka_unit_test(bad_documents_are_refused),
		cmocka_unit_test(csv_and_mermaid_lines),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
