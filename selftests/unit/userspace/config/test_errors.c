/* SPDX-License-Identifier: Apache-2.0 */
/* test_errors.c - the catalogue of malformed files: documents, configuration, JSON, YAML. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/json.h"
#include "config/config.h"
#include "policy/rule_doc.h"
#include "selftests/harness/error_cases.h"

#define DIR "selftests/errors/"

static const char rule_head[] = "apiVersion: cellwall.io/v1alpha1\nkind: ClusterAccessRule\n"
				"metadata: {name: r}\nspec:\n";
static const char own_rule_head[] = "apiVersion: cellwall.io/v1alpha1\nkind: AccessRule\n"
				    "metadata: {name: r, namespace: shop}\nspec:\n";
static const char mode_head[] = "apiVersion: cellwall.io/v1alpha1\nkind: ModeProfile\n"
				"metadata: {name: m}\nspec:\n";
static const char quarantine_head[] = "apiVersion: cellwall.io/v1alpha1\nkind: Quarantine\n"
				      "metadata: {name: q}\nspec:\n";
static const char inventory_head[] = "apiVersion: cellwall.io/v1alpha1\nkind: Inventory\n"
				     "metadata: {name: i}\nspec:\n";

static void parse_doc(const char *text, size_t len, struct fail_list *f)
{
	struct rule_docs d = {};
	int r = rule_docs_parse("f.yaml", text, len, "cellwall rule apply -f f.yaml --dry-run", f, &d);

	assert_int_equal(r < 0, f->n > 0);
	if (r < 0) /* nothing comes out of a file with a fault */
		assert_true(!d.nrules && !d.nmodes && !d.nquarantines && !d.nworkloads && !d.nkpolicies &&
			    !d.nfiles);
	rule_docs_done(&d);
}

/* The lines of a spec, put under a head of four lines. */
static void parse_spec(const char *head, const char *text, size_t len, struct fail_list *f)
{
	struct buf b;

	buf_init(&b, 1 << 20);
	buf_adds(&b, head);
	for (const char *p = text; p < text + len;) {
		size_t n = strcspn(p, "\n") + 1;

		buf_adds(&b, "  ");
		buf_add(&b, p, n);
		p += n;
	}
	parse_doc(b.data, b.len, f);
	buf_done(&b);
}

static void parse_config(const char *text, size_t len, struct fail_list *f)
{
	struct config c = {};
	int r = config_parse("cellwalld.yaml", text, len, f, &c);

	assert_int_equal(r < 0, f->n > 0);
	if (r < 0)
		assert_null(c.socket);
	config_done(&c);
}

static void parse_workload(const char *text, size_t len, struct fail_list *f)
{
	struct inventory_workload w = {};
	cJSON *j = NULL;

	if (json_parse(text, len, "body", f, &j) == 0 &&
	    inventory_workload_parse(j, "body", f, &w) == 0)
		inventory_workload_done(&w);
	cJSON_Delete(j);
}

static void run(const char *kind, const char *text, size_t len, struct fail_list *f)
{
	struct yaml_docs y = {};
	cJSON *j = NULL;

	if (strcmp(kind, "doc") == 0) {
		parse_doc(text, len, f);
	} else if (strcmp(kind, "rule spec") == 0) {
		parse_spec(rule_head, text, len, f);
	} else if (strcmp(kind, "own rule spec") == 0) {
		parse_spec(own_rule_head, text, len, f);
	} else if (strcmp(kind, "mode spec") == 0) {
		parse_spec(mode_head, text, len, f);
	} else if (strcmp(kind, "quarantine spec") == 0) {
		parse_spec(quarantine_head, text, len, f);
	} else if (strcmp(kind, "inventory spec") == 0) {
		parse_spec(inventory_head, text, len, f);
	} else if (strcmp(kind, "config") == 0) {
		parse_config(text, len, f);
	} else if (strcmp(kind, "workload") == 0) {
		parse_workload(text, len, f);
	} else if (strcmp(kind, "json") == 0) {
		(void)json_parse(text, len, "body", f, &j);
		cJSON_Delete(j);
	} else if (strcmp(kind, "yaml") == 0) {
		if (yaml_parse(text, len, "f.yaml", f, &y) == 0)
			yaml_docs_done(&y);
	} else {
		fail_msg("no such kind of input: %s", kind);
	}
}

static void catalogue(void **state)
{
	static const struct { const char *path; size_t least; } files[] = {
		{ DIR "rules.txt", 50 }, { DIR "modes.txt", 12 }, { DIR "inventory.txt", 15 },
		{ DIR "config.txt", 20 }, { DIR "syntax.txt", 15 }, { DIR "kubernetes.txt", 100 },
	};

	(void)state;
	for (size_t i = 0; i < sizeof(files) / sizeof(files[0]); i++) {
		size_t n;
		int bad = error_cases_run(files[i].path, run, &n);

		print_message("  %s: %zu cases, %d differ\n", files[i].path, n, bad);
		assert_int_equal(bad, 0);
		/* A catalogue that is not read at all must not pass. */
		assert_true(getenv("ERROR_CASES_PRINT") || n >= files[i].least);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = { cmocka_unit_test(catalogue) };

	return cmocka_run_group_tests(tests, NULL, NULL);
}
