/* SPDX-License-Identifier: Apache-2.0 */
/*
 * doc_check.c - what `cellwall rule apply` says to each document of a catalogue (the format of
 * selftests/errors: "=== name", "--- kind", the input, then "--- want" or here "--- schema").
 *
 *	doc-check FILE...
 *
 * One JSON object a line: {file, name, doc, refused: [error names], schema}. doc is the document as a
 * tree, null where the text is no single YAML document; schema is the text after "--- schema", which
 * the cluster's API server is held against.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/buf.h"
#include "base/cleanup.h"
#include "base/file.h"
#include "base/json.h"
#include "policy/rule_doc.h"

struct part {
	struct buf name, kind, input, schema;
};

/* What stands above the lines of a spec, by kind of input. */
static const struct { const char *kind, *head; } heads[] = {
	{ "doc", NULL },
	{ "rule spec", "apiVersion: cellwall.io/v1alpha1\nkind: ClusterAccessRule\nmetadata: {name: r}\nspec:\n" },
	{ "own rule spec",
	  "apiVersion: cellwall.io/v1alpha1\nkind: AccessRule\nmetadata: {name: r, namespace: default}\nspec:\n" },
	{ "mode spec", "apiVersion: cellwall.io/v1alpha1\nkind: ModeProfile\nmetadata: {name: m}\nspec:\n" },
	{ "quarantine spec", "apiVersion: cellwall.io/v1alpha1\nkind: Quarantine\nmetadata: {name: q}\nspec:\n" },
};

static void whole(const struct part *p, struct buf *b)
{
	const char *head = NULL, *text = p->input.data ? p->input.data : "";

	for (size_t i = 0; i < ARRAY_SIZE(heads); i++)
		if (p->kind.data && strcmp(heads[i].kind, p->kind.data) == 0)
			head = heads[i].head;
	buf_adds(b, head ? head : "");
	for (; *text; text += strcspn(text, "\n") + 1) {
		buf_adds(b, head ? "  " : "");
		buf_add(b, text, strcspn(text, "\n"));
		buf_adds(b, "\n");
		if (!text[strcspn(text, "\n")])
			break;
	}
}

static void print_one(const char *file, const struct part *p)
{
	struct fail_list faults = {}, ignored = {};
	struct rule_docs docs = {};
	struct yaml_docs y = {};
	cJSON *out = cJSON_CreateObject(), *names = cJSON_CreateArray();
	auto_free char *line = NULL;
	struct buf b;

	buf_init(&b, 1 << 20);
	whole(p, &b);
	if (rule_docs_parse("f.yaml", b.data ? b.data : "", b.len, NULL, &faults, &docs) == 0)
		rule_docs_done(&docs);
	for (size_t i = 0; i < faults.n; i++)
		cJSON_AddItemToArray(names, cJSON_CreateString(faults.items[i].name));
	cJSON_AddStringToObject(out, "file", file);
	cJSON_AddStringToObject(out, "name", p->name.data);
	if (yaml_parse(b.data ? b.data : "", b.len, "f.yaml", &ignored, &y) == 0 && y.n == 1)
		cJSON_AddItemToObject(out, "doc", cJSON_Duplicate(y.docs[0].root, 1));
	else
		cJSON_AddNullToObject(out, "doc");
	cJSON_AddItemToObject(out, "refused", names);
	cJSON_AddStringToObject(out, "schema", p->schema.data ? p->schema.data : "");
	line = cJSON_PrintUnformatted(out);
	puts(line ? line : "null");
	cJSON_Delete(out);
	yaml_docs_done(&y);
	fail_list_done(&faults);
	fail_list_done(&ignored);
	buf_done(&b);
}

static void part_reset(struct part *p)
{
	buf_done(&p->name);
	buf_done(&p->kind);
	buf_done(&p->input);
	buf_done(&p->schema);
	buf_init(&p->name, 4096);
	buf_init(&p->kind, 4096);
	buf_init(&p->input, 1 << 20);
	buf_init(&p->schema, 4096);
}

static int check(const char *file)
{
	auto_free char *text = NULL;
	struct part p = {};
	struct buf *to = NULL;
	const char *line, *end;
	int r = read_all_path(file, 4 << 20, &text, NULL);

	if (r < 0) {
		fprintf(stderr, "doc-check: %s: %s\n", file, strerror(-r));
		return r;
	}
	part_reset(&p);
	for (line = text;; line = end) {
		size_t n = strcspn(line, "\n");

		end = line + n + (line[n] == '\n');
		if ((!*line || strncmp(line, "=== ", 4) == 0) && p.name.len) {
			print_one(file, &p);
			part_reset(&p);
		}
		if (!*line)
			break;
		if (strncmp(line, "=== ", 4) == 0) {
			buf_add(&p.name, line + 4, n - 4);
			to = NULL;
		} else if (strncmp(line, "--- want", 8) == 0) {
			to = NULL;
		} else if (strncmp(line, "--- schema", 10) == 0) {
			to = &p.schema;
		} else if (strncmp(line, "--- ", 4) == 0 && !p.kind.len) {
			buf_add(&p.kind, line + 4, n - 4);
			to = &p.input;
		} else if (to == &p.schema) {
			buf_add(to, line, n);
		} else if (to) {
			buf_add(to, line, (size_t)(end - line));
		}
	}
	part_reset(&p);
	return 0;
}

int main(int argc, char **argv)
{
	int rc = 0;

	for (int i = 1; i < argc; i++)
		if (check(argv[i]) < 0)
			rc = 1;
	return rc;
}
