/* SPDX-License-Identifier: Apache-2.0 */
/* Hostile names stay inside their quotes, never act, and never make two nodes look like one. */
#include "topology/escape.h"
#include "story.h"

typedef void esc_fn(struct buf *b, const char *s);

static char *escaped(esc_fn *fn, const char *s)
{
	auto_cleanup(buf_done) struct buf b = {};

	buf_init(&b, 65536);
	fn(&b, s);
	assert_int_equal(b.err, 0);
	return buf_take(&b, NULL);
}

/* A tiny reader of each format: does the text end where its quotes end? */
static bool dot_closed(const char *s)
{
	for (; *s; s++) {
		if (*s == '\\') {
			if (!*++s)
				return false;
		} else if (*s == '"' || (unsigned char)*s < 0x20) {
			return false;
		}
	}
	return true;
}

static bool json_closed(const char *s)
{
	if (strpbrk(s, "<>&"))
		return false;
	return dot_closed(s);
}

static bool xml_closed(const char *s)
{
	for (const char *p = s; *p; p++)
		if ((unsigned char)*p < 0x20)
			return false;
	return !strpbrk(s, "<>\"'");
}

static bool mermaid_closed(const char *s)
{
	return !strpbrk(s, "\"[](){}<>|`\\&%~^\n\r\t");
}

static bool mermaid_id_closed(const char *s)
{
	return !strncmp(s, "n_", 2) && s[strspn(s, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_")] == '\0';
}

static bool csv_closed(const char *s)
{
	size_t n = strlen(s);

	if (*s != '"')
		return !strpbrk(s, ",\"\r\n;") && !strchr("=+-@", *s ? *s : 'x');
	if (n < 2 || s[n - 1] != '"' || strchr("=+-@", s[1]))
		return false;
	for (size_t i = 1; i + 1 < n; i++)
		if (s[i] == '"' && (i + 2 >= n || s[++i] != '"'))
			return false;
	return true;
}

static bool comment_closed(const char *s)
{
	return !strstr(s, "--") && !strchr(s, '\n');
}

static bool visible(const char *s)
{
	for (; *s; s++)
		if ((unsigned char)*s < 0x20 || *s == 0x7f)
			return false;
	return true;
}

static const struct { const char *name; esc_fn *fn; bool (*closed)(const char *s); } formats[] = {
	{ "dot", esc_dot, dot_closed },
	{ "json", esc_json, json_closed },
	{ "xml", esc_xml, xml_closed },
	{ "xml comment", esc_xml_comment, comment_closed },
	{ "mermaid", esc_mermaid, mermaid_closed },
	{ "mermaid id", esc_mermaid_id, mermaid_id_closed },
	{ "csv", esc_csv, csv_closed },
	{ "visible", esc_visible, visible },
};

static void nothing_leaves_its_quotes(void **state)
{
	(void)state;
	for (size_t f = 0; f < ARRAY_SIZE(formats); f++) {
		for (size_t i = 0; i < ARRAY_SIZE(hostile); i++) {
			auto_free char *s = escaped(formats[f].fn, hostile[i]);

			if (!formats[f].closed(s))
				fail_msg("%s: %s", formats[f].name, s);
			assert_null(strstr(s, "\xe2\x80\xae")); /* no bidi override survives anywhere */
			assert_null(strstr(s, "\xe2\x80\x8b"));
		}
	}
}

static void different_names_stay_different(void **state)
{
	(void)state;
	for (size_t f = 0; f < ARRAY_SIZE(formats); f++) {
		for (size_t i = 0; i < ARRAY_SIZE(hostile); i++) {
			for (size_t k = 0; k < i; k++) {
				auto_free char *a = escaped(formats[f].fn, hostile[i]);
				auto_free char *b = escaped(formats[f].fn, hostile[k]);

				assert_string_not_equal(a, b);
			}
		}
	}
}

static void exact_escapes(void **state)
{
	static const struct { esc_fn *fn; const char *in, *out; } rows[] = {
		{ esc_visible, "a\xe2\x80\xae" "b", "a\\u{202e}b" },
		{ esc_visible, "a\\b", "a\\u{5c}b" },
		{ esc_dot, "a\"b\\c&d", "a\\\"b\\\\u{5c}c&amp;d" },
		{ esc_dot, "\n", "\\\\u{a}" },
		{ esc_json, "a\"\\\n\xe2\x80\xa8</", "a\\\"\\\\\\u000a\\u2028\\u003c/" },
		{ esc_json, "\xf3\xa0\x80\x81", "\\udb40\\udc01" },
		{ esc_xml, "<a b='\"'>&\x01", "&lt;a b=&#39;&quot;&#39;&gt;&amp;\\u{1}" },
		{ esc_xml_comment, "a---b", "a-\\u{2d}-b" },
		{ esc_mermaid, "x\"[y]", "x#34;#91;y#93;" },
		{ esc_mermaid_id, "a/b_c", "n_a_2fb_5fc" },
		{ esc_csv, "=1+1", "\"'=1+1\"" },
		{ esc_csv, "plain", "plain" },
		{ esc_csv, "a,\"b\"", "\"a,\"\"b\"\"\"" },
		{ esc_csv, "\t=1", "\\u{9}=1" },
		{ esc_csv, "", "" },
		/* a bad byte that slipped in becomes the replacement character, in every format valid */
		{ esc_json, "\xff", "\xef\xbf\xbd" },
		{ esc_xml, "\xff", "\xef\xbf\xbd" },
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		auto_free char *s = escaped(rows[i].fn, rows[i].in);

		assert_string_equal(s, rows[i].out);
	}
}

/* Statement lines of a DOT or Mermaid file do not multiply, whatever the names say. */
static void hostile_names_add_no_statements(void **state)
{
	auto_cleanup(graph_freep) struct graph *g = hostile_graph();
	auto_cleanup(graph_view_freep) struct graph_view *v = view_of(g, GRAPH_POD, 0);
	auto_free char *dot = export_of(v, GRAPH_DOT, &(struct graph_export){ .no_legend = true });
	auto_free char *mm = export_of(v, GRAPH_MERMAID, NULL), *csv = export_of(v, GRAPH_CSV, NULL);
	size_t n = ARRAY_SIZE(hostile), lines = 0, frames = 0;

	(void)state;
	/* a destination with a slash reads as a REF and gets a frame: begin and end */
	for (size_t i = 0; i < n; i++)
		frames += strchr(hostile[i], '/') ? 2 : 0;
	for (const char *p = dot; (p = strchr(p, '\n')); p++)
		lines++;
	/* three of start, per name: cluster, its end, node, edge; outside ones; the end */
	assert_int_equal(lines, 3 + 3 * n + n + n + 1 + frames);
	lines = 0;
	for (const char *p = mm; (p = strchr(p, '\n')); p++)
		lines++;
	assert_int_equal(lines, 1 + 3 * n + n + n + 2 + frames);
	lines = 0;
	for (const char *p = csv; (p = strchr(p, '\n')); p++)
		lines++;
	assert_int_equal(lines, 1 + n);
}

static void hostile_names_in_tree_and_diff(void **state)
{
	auto_cleanup(graph_freep) struct graph *g = hostile_graph(), *none = graph_new();
	auto_cleanup(graph_view_freep) struct graph_view *v = view_of(g, GRAPH_POD, 0), *empty = view_of(none, GRAPH_POD, 0);
	auto_cleanup(graph_diff_done) struct graph_diff d = {};
	auto_cleanup(cJSON_Deletep) cJSON *j = NULL;
	auto_cleanup(buf_done) struct buf b = {}, t = {};

	(void)state;
	buf_init(&b, 1 << 20);
	buf_init(&t, 1 << 20);
	assert_int_equal(graph_tree_print(v, &(struct graph_tree){ .width = 100 }, &t), 0);
	assert_int_equal(graph_diff_make(empty, v, &d), 0);
	assert_int_equal(d.added, ARRAY_SIZE(hostile));
	assert_int_equal(graph_diff_text(&d, 100, &t), 0);
	for (const char *p = t.data; *p; p++)
		assert_true(*p == '\n' || ((unsigned char)*p >= 0x20 && *p != 0x7f));
	assert_null(strstr(t.data, "\xe2\x80\xae"));
	assert_int_equal(graph_diff_json(&d, GRAPH_POD, "T1 \"x\"", NULL, &b), 0);
	assert_int_equal(json_parse(b.data, b.len, "diff", NULL, &j), 0);
	assert_int_equal(cJSON_GetArraySize(json_get(j, "items")), (int)ARRAY_SIZE(hostile));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(nothing_leaves_its_quotes),
		cmocka_unit_test(different_names_stay_different),
		cmocka_unit_test(exact_escapes),
		cmocka_unit_test(hostile_names_add_no_statements),
		cmocka_unit_test(hostile_names_in_tree_and_diff),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
