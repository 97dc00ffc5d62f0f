/* SPDX-License-Identifier: Apache-2.0 */
/*
 * fuzz_topology.c - names from outside through every export. The first byte picks the kind of
 * run: a graph made of the bytes, or the bytes as a saved document. The JSON export must read
 * back as the same JSON; every other export must be free of raw control characters.
 */
#include <assert.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "base/buf.h"
#include "base/json.h"
#include "topology/graph.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#define NAMES_MAX 64

static char *export_text(const struct graph_view *v, enum graph_format f)
{
	static const struct graph_export opt = { .comment = true, .cluster = "c", .generation = 1 };
	struct buf b;
	char *s;

	buf_init(&b, 64u << 20);
	assert(graph_export(v, f, &opt, &b) == 0);
	s = buf_take(&b, NULL);
	assert(s);
	return s;
}

static void check(const struct graph *g, enum graph_level level, size_t max_nodes)
{
	struct graph_view *v = NULL, *again = NULL;
	struct graph_diff d = {};
	struct graph *back = NULL;
	cJSON *j = NULL;
	struct buf b;
	char *s, *s2;

	assert(graph_view_make(g, &(struct graph_query){ .level = level, .max_nodes = max_nodes }, &v) == 0);
	for (int f = 0; f < GRAPH_FORMATS; f++) {
		s = export_text(v, (enum graph_format)f);
		for (const char *p = s; *p; p++)
			assert((unsigned char)*p >= 0x20 || *p == '\n' || (f == GRAPH_CSV && *p == '\r'));
		free(s);
	}
	buf_init(&b, 64u << 20);
	assert(graph_tree_print(v, &(struct graph_tree){ .width = 80 }, &b) == 0);
	assert(graph_diff_make(v, v, &d) == 0 && d.n == 0);
	graph_diff_done(&d);
	buf_done(&b);
	s = export_text(v, GRAPH_JSON);
	assert(json_parse(s, strlen(s), "export", NULL, &j) == 0);
	assert(graph_from_json(j, NULL, &back) == 0);
	assert(graph_view_make(back, &(struct graph_query){ .level = v->level }, &again) == 0);
	assert(again->nnodes == v->nnodes && again->nedges == v->nedges && again->naccesses == v->naccesses);
	for (size_t i = 0; i < v->nnodes; i++)
		assert(!strcmp(v->nodes[i].ref, again->nodes[i].ref) && !strcmp(v->nodes[i].ns, again->nodes[i].ns));
	s2 = export_text(again, GRAPH_CSV);
	free(s);
	s = export_text(v, GRAPH_CSV);
	assert(!strcmp(s, s2));
	free(s);
	free(s2);
	cJSON_Delete(j);
	graph_free(back);
	graph_view_free(again);
	graph_view_free(v);
}

/* NUL-separated names; each access takes the next five. */
static void from_names(const uint8_t *data, size_t size, enum graph_level level, size_t max_nodes)
{
	char *text = malloc(size + 1), *name[NAMES_MAX];
	struct graph *g = graph_new();
	size_t n = 0;

	assert(text && g);
	memcpy(text, data, size);
	text[size] = '\0';
	for (size_t at = 0; at <= size && n < NAMES_MAX; at += strlen(text + at) + 1)
		name[n++] = text + at;
	for (size_t i = 0; i + 4 < n; i += 5) {
		/* refused names are part of the game */
		(void)graph_namespace_add(g, name[i], CW_MODE_ALERT);
		(void)graph_node_add(g, &(struct graph_node){ .ref = name[i + 1], .ns = name[i], .kind = name[i + 2],
			.at = { [GRAPH_CONTROLLER] = name[i + 3], [GRAPH_LABEL] = name[i + 2] } });
		(void)graph_access_add(g, &(struct graph_access){ .id = name[i + 4], .src = name[i + 1], .dst = name[i + 3],
			.port = name[i + 2], .rule = name[i], .service = name[i + 2], .state = i % 3,
			.outcome = { i % CW_OUT_COUNT, i / 5 % CW_OUT_COUNT }, .flows = i, .bytes = (uint64_t)i << 40 });
	}
	check(g, level, max_nodes);
	graph_free(g);
	free(text);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct fail_list f = {};
	struct graph *g = NULL;
	cJSON *j = NULL;

	if (!size)
		return 0;
	if (data[0] & 1) {
		from_names(data + 1, size - 1, (enum graph_level)(data[0] / 2 % GRAPH_LEVELS), data[0] / 16);
		return 0;
	}
	if (json_parse((const char *)data + 1, size - 1, "file", &f, &j) == 0) {
		if (graph_from_json(j, &f, &g) == 0) {
			check(g, GRAPH_CONTROLLER, data[0] / 16);
			graph_free(g);
		} else {
			assert(f.n == 1);
		}
	}
	cJSON_Delete(j);
	fail_list_done(&f);
	return 0;
}
