/* SPDX-License-Identifier: Apache-2.0 */
/* Both languages are whole, with the same placeholders; the command and flag tables are sane. */
#include <glob.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include "base/cleanup.h"
#include "base/file.h"
#include "cw_abi.h"
#include "ctl/ctl.h"
#include "ctl/explain.h"
#include "policy/model.h"

/* Every {name} of a is in b. */
static bool placeholders_in(const char *a, const char *b)
{
	for (const char *p = strchr(a, '{'); p; p = strchr(p + 1, '{')) {
		const char *end = strchr(p, '}');
		char name[64];

		if (!end)
			return false;
		snprintf(name, sizeof(name), "%.*s", (int)(end - p + 1), p);
		if (!strstr(b, name))
			return false;
	}
	return true;
}

static bool has_chinese(const char *s)
{
	for (; *s; s++)
		if ((unsigned char)*s >= 0xe3)
			return true;
	return false;
}

static void messages(void **state)
{
	(void)state;
	for (unsigned m = 0; m < M_COUNT; m++) {
		const char *en = msg_text(m, LANG_EN), *zh = msg_text(m, LANG_ZH);

		if (!en || !zh || !*en || !*zh || !placeholders_in(en, zh) || !placeholders_in(zh, en))
			fail_msg("message %s: \"%s\" / \"%s\"", msg_id(m), en, zh);
		for (const char *p = en; *p; p++)
			if ((unsigned char)*p >= 0x80)
				fail_msg("message %s: English is ASCII", msg_id(m));
	}
}

static void tables_have_both_languages(void **state)
{
	(void)state;
	for (unsigned f = 0; f < FLAG_COUNT; f++)
		if (!*flag_defs[f].help[LANG_EN] || !has_chinese(flag_defs[f].help[LANG_ZH]))
			fail_msg("flag --%s", flag_defs[f].name);
	for (size_t i = 0; i < ncommands; i++)
		if (!*commands[i].help[LANG_EN] || !has_chinese(commands[i].help[LANG_ZH]) || !commands[i].examples[0])
			fail_msg("command %s", commands[i].words);
}

/* Sentences may say "times" or the side in their own language's words, all else is the same. */
static void explain_rows(void **state)
{
	static const struct { const char *en, *zh; } pairs[] = {
		{ "{times}", "{count}" }, { "{side}", "{side_zh}" }, { "{by_rule}", "{by_rule_zh}" },
	};

	(void)state;
	for (size_t i = 0; i < explain_nsubjects; i++) {
		const struct explain_row *r = &explain_subjects[i];

		assert_true(has_chinese(r->text[LANG_ZH]));
		for (size_t k = 0; k < ARRAY_SIZE(pairs); k++)
			if (!strstr(r->text[LANG_EN], pairs[k].en) != !strstr(r->text[LANG_ZH], pairs[k].zh))
				fail_msg("explain %s: %s", r->key, pairs[k].en);
		if (!strstr(r->text[LANG_EN], "{who}") || !strstr(r->text[LANG_ZH], "{who}") || !*r->next)
			fail_msg("explain %s", r->key);
	}
	for (size_t i = 0; i < explain_nnames; i++)
		if (!*explain_names[i].text[LANG_EN] || !has_chinese(explain_names[i].text[LANG_ZH]) ||
		    strncmp(explain_names[i].next, "cellwall ", 9 * !strstr(explain_names[i].next, "systemctl")))
			fail_msg("explain %s", explain_names[i].key);
}

/* A reason the kernel can give always has its sentence. */
static void every_reason_is_explained(void **state)
{
	(void)state;
	for (unsigned r = CW_R_NONE + 1; r < CW_R_COUNT; r++)
		if (!explain_text(cw_reason_str(r), LANG_EN, NULL))
			fail_msg("reason %s", cw_reason_str(r));
}

/* Dotted words of the sources that name a place in a document or a file, not a fault. */
static bool is_place(const char *s)
{
	static const char *const places[] = {
		"adapter.h", "cellwalld.yaml", "meta.level", "metadata.annotations", "metadata.labels",
		"metadata.name", "body.a", "body.allow", "body.as",
		"body.b",
		"body.documents", "body.filter", "body.items", "body.mode", "body.origin", "body.ref", "body.refs",
		"body.selector", "body.since", "body.until", "controller.address", "controller.lease", "agent.pem",
		"spool.db", "ca.crt",
	};

	for (size_t i = 0; i < ARRAY_SIZE(places); i++)
		if (!strcmp(places[i], s))
			return true;
	return false;
}

static bool is_word(const char *s, size_t n, bool dotted)
{
	size_t dots = 0;

	for (size_t i = 0; i < n; i++) {
		dots += s[i] == '.';
		if (s[i] != '.' && s[i] != '-' && (s[i] < 'a' || s[i] > 'z') && (s[i] < '0' || s[i] > '9'))
			return false;
	}
	return n > 2 && n < 60 && dots == dotted && s[0] >= 'a' && s[n - 1] != '.' && s[n - 1] != '-';
}

/* Documents of Kubernetes, of the inventory and of the settings have fault names of their own. */
static const char *doc_prefix(const char *file)
{
	static const struct { const char *in, *prefix; } rows[] = {
		{ "/config/", "config." }, { "/cluster/", "kube." }, { "/kpolicy", "policy." },
		{ "/service_doc", "inventory." }, { "/inventory_doc", "inventory." },
	};

	for (size_t i = 0; i < ARRAY_SIZE(rows); i++)
		if (strstr(file, rows[i].in))
			return rows[i].prefix;
	return "rule.";
}

/* The first string of a call that is no argument of a call inside it. */
static const char *own_string(const char *p)
{
	for (int depth = 0; *p && depth >= 0; p++) {
		if (*p == '"' && depth == 0)
			return p;
		depth += (*p == '(') - (*p == ')');
	}
	return NULL;
}

static void name_check(const char *file, const char *name, size_t *io_names, size_t *io_missing)
{
	++*io_names;
	if (explain_text(name, LANG_EN, NULL) && explain_text(name, LANG_ZH, NULL))
		return;
	++*io_missing;
	print_error("%s: no explanation of \"%s\"\n", file, name);
}

/* Every string literal of a source: whole dotted names, and the words that calls below are given. */
static void names_of(const char *file, const char *text, size_t *io_names, size_t *io_missing)
{
	static const struct { const char *call; bool of_document; } calls[] = {
		{ "doc_fault(", true }, { "rd_fault(", true }, { "fault_at(", true }, { "agent_note(", false },
		{ "controller_note(", false },
	};

	for (const char *p = strchr(text, '"'); p; p = strchr(p, '"')) {
		const char *end = p + 1;
		char name[64];

		while (*end && *end != '"' && *end != '\n')
			end += *end == '\\' && end[1] ? 2 : 1;
		if (*end == '"' && is_word(p + 1, (size_t)(end - p - 1), true)) {
			snprintf(name, sizeof(name), "%.*s", (int)(end - p - 1), p + 1);
			if (!is_place(name))
				name_check(file, name, io_names, io_missing);
		}
		p = *end ? end + 1 : end;
	}
	for (size_t i = 0; i < ARRAY_SIZE(calls); i++)
		for (const char *p = strstr(text, calls[i].call); p; p = strstr(p + 1, calls[i].call)) {
			const char *stop = strchr(p, ';'), *q = own_string(p + strlen(calls[i].call));
			const char *end = q ? strchr(q + 1, '"') : NULL;
			char name[64];

			if (!end || !stop || q > stop || !is_word(q + 1, (size_t)(end - q - 1), false))
				continue;
			snprintf(name, sizeof(name), "%s%.*s", calls[i].of_document ? doc_prefix(file) : "",
				 (int)(end - q - 1), q + 1);
			name_check(file, name, io_names, io_missing);
		}
}

/* What the programs may say by name can be asked about: read from the sources themselves. */
static void every_name_in_the_sources_is_explained(void **state)
{
	static const char *const where[] = { "userspace/*/*.c", "topology/*.c", "cni-adapters/*.c",
					     "cni-adapters/plugin/*.c" };
	size_t names = 0, missing = 0;
	glob_t g = {};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(where); i++)
		assert_int_equal(glob(where[i], i ? GLOB_APPEND : 0, NULL, &g), 0);
	for (size_t i = 0; i < g.gl_pathc; i++) {
		auto_free char *text = NULL;
		size_t len;

		if (!strcmp(g.gl_pathv[i], "userspace/config/keys.c")) /* names of settings: cellwall help --man says what they do */
			continue;
		assert_int_equal(read_all_path(g.gl_pathv[i], 4u << 20, &text, &len), 0);
		names_of(g.gl_pathv[i], text, &names, &missing);
	}
	globfree(&g);
	assert_int_equal(missing, 0);
	assert_true(names > 300);
}

/* What is suggested can be typed: "cellwall WORDS ..." of examples and next commands exists. */
static void check_command(const char *text)
{
	const char *words[4];
	char copy[512];
	unsigned n = 0, used;
	char *p = copy;

	if (strncmp(text, "cellwall ", 9))
		return;
	snprintf(copy, sizeof(copy), "%s", text + 9);
	while (n < 3 && p) {
		words[n++] = p;
		p = strchr(p, ' ');
		if (p)
			*p++ = '\0';
	}
	if (!command_find(words, n, &used))
		fail_msg("no such command: %s", text);
}

static void suggested_commands_exist(void **state)
{
	(void)state;
	for (size_t i = 0; i < ncommands; i++)
		for (size_t e = 0; e < 3 && commands[i].examples[e]; e++)
			check_command(commands[i].examples[e]);
	for (size_t i = 0; i < explain_nsubjects; i++)
		check_command(explain_subjects[i].next);
	for (size_t i = 0; i < explain_nnames; i++)
		check_command(explain_names[i].next);
}

static void letters_are_the_agreed_ones(void **state)
{
	char seen[256] = "";

	(void)state;
	for (unsigned f = 0; f < FLAG_COUNT; f++) {
		char l = flag_defs[f].letter;

		if (!l)
			continue;
		assert_non_null(strchr("nAlofwyqvh", l));
		assert_null(strchr(seen, l));
		strncat(seen, &l, 1);
		for (unsigned g = 0; g < f; g++)
			assert_string_not_equal(flag_defs[f].name, flag_defs[g].name);
	}
}

/* No flag that nothing reads: each belongs to some command or to all. */
static void no_dead_flags(void **state)
{
	flagset used = FS_GLOBAL;

	(void)state;
	for (size_t i = 0; i < ncommands; i++)
		used |= commands[i].flags;
	for (unsigned f = 0; f < FLAG_COUNT; f++)
		if (!(used >> f & 1))
			fail_msg("--%s is in no command", flag_defs[f].name);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(messages), cmocka_unit_test(tables_have_both_languages),
		cmocka_unit_test(explain_rows), cmocka_unit_test(every_reason_is_explained),
		cmocka_unit_test(every_name_in_the_sources_is_explained),
		cmocka_unit_test(suggested_commands_exist), cmocka_unit_test(letters_are_the_agreed_ones),
		cmocka_unit_test(no_dead_flags),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
