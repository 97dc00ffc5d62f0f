/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include <sys/stat.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/json.h"
#include "base/log.h"
#include "base/text.h"
#include "config/config.h"

static const cJSON *row(const cJSON *list, const char *key)
{
	const cJSON *o;

	cJSON_ArrayForEach(o, list)
		if (strcmp(json_str(o, "key"), key) == 0)
			return o;
	return NULL;
}

static void defaults(void **state)
{
	struct config c;

	(void)state;
	assert_int_equal(config_default(&c), 0);
	assert_string_equal(c.cluster, "local");
	assert_string_equal(c.node, "");
	assert_int_equal(c.mode, CW_MODE_LEARN); /* installing changes no traffic */
	assert_int_equal(c.unmatched, CW_ACT_BLOCK);
	assert_int_equal(c.enforce_always, 0);
	assert_int_equal(c.cluster_cidrs.n, 0);
	assert_int_equal(c.scan_ports, 100);
	assert_int_equal(c.scan_window_ms, 60000);
	assert_false(c.closed);
	assert_int_equal(c.policy_entries, 65536);
	assert_string_equal(c.socket, "/run/cellwall/api.sock");
	assert_string_equal(c.pin_root, CW_PIN_ROOT);
	assert_string_equal(c.inventory, "");
	assert_int_equal(c.log_level, LOG_L_INFO);
	assert_true(c.ignore_labels.n > 3);
	config_done(&c);
	config_done(&c);
}

/* Every key has a default in its own range, both languages, and a place of its own. */
static void table(void **state)
{
	(void)state;
	assert_true(config_nkeys > 30);
	for (size_t i = 0; i < config_nkeys; i++) {
		const struct config_key *k = &config_keys[i];

		print_message("  %s\n", k->path);
		assert_true(strlen(k->doc_en) > 5 && strlen(k->doc_zh) > 5);
		assert_true(text_width(k->doc_zh) > (int)strlen(k->doc_zh) / 3);
		assert_int_equal(k->nwords > 0, k->type == CONFIG_WORD || k->type == CONFIG_WORDS);
		for (size_t j = 0; j < i; j++) {
			assert_string_not_equal(config_keys[j].path, k->path);
			assert_int_not_equal(config_keys[j].offset, k->offset);
		}
	}
}

static void values(void **state)
{
	static const char s[] =
		"cluster: prod-hz\nnode: n1\nmode: {default: alert, unmatched: allow}\n"
		"enforceAlways: [networkpolicy, admin]\n"
		"clusterCIDRs: [10.20.0.0/16, 10.96.0.0/12, \"fd00:20::/48\"]\n"
		"learn: {foldCIDRs: [198.51.100.0/24], scan: {ports: 7, peers: 8, window: 1m30s}, ignoreLabels: []}\n"
		"start: {unresolved: closed}\nlocalNode: rules\n"
		"maps: {policyEntries: 131072, flows: 1024}\nevents: {bytes: 4096}\n"
		"api: {socket: /run/x.sock, writeUIDs: [1000, 1001], writeGIDs: [4294967294]}\n"
		"paths: {inventory: /etc/cellwall/inventory.yaml}\nlog: {level: debug, format: json}\nattach:\n";
	struct config c;
	char text[PREFIX_STR_MAX];

	(void)state;
	assert_int_equal(config_parse("f", s, strlen(s), NULL, &c), 0);
	assert_string_equal(c.cluster, "prod-hz");
	assert_int_equal(c.mode, CW_MODE_ALERT);
	assert_int_equal(c.unmatched, CW_ACT_ALLOW);
	assert_int_equal(c.enforce_always, 1u << CW_TIER_NETWORKPOLICY | 1u << CW_TIER_ADMIN);
	assert_int_equal(c.local_node, CW_CTL_LOCAL_NODE_RULES);
	assert_int_equal(c.cluster_cidrs.n, 3);
	assert_string_equal(prefix_str(&c.cluster_cidrs.v[2], text), "fd00:20::/48");
	assert_int_equal(c.fold_cidrs.n, 1);
	assert_int_equal(c.ignore_labels.n, 0);
	assert_int_equal(c.scan_window_ms, 90000);
	assert_true(c.closed);
	assert_int_equal(c.policy_entries, 131072);
	assert_int_equal(c.write_uids.v[1], 1001);
	assert_true(c.write_gids.v[0] == 4294967294u);
	assert_int_equal(c.log_format, CONFIG_LOG_JSON);
	config_done(&c);
}

/* The printed default file is read back as the defaults, in both languages; each key from its line. */
static void default_file(void **state)
{
	(void)state;
	for (int zh = 0; zh < 2; zh++) {
		auto_free char *s = config_default_text(zh), *a = NULL, *b = NULL;
		cJSON *ja, *jb, *o;
		struct config c, d;

		assert_non_null(s);
		assert_int_equal(config_parse("d", s, strlen(s), NULL, &c), 0);
		assert_int_equal(config_default(&d), 0);
		for (size_t i = 0; i < config_nkeys; i++)
			assert_true(c.from[i].line > 1);
		ja = config_show(&c, zh);
		jb = config_show(&d, zh);
		assert_int_equal(cJSON_GetArraySize(ja), config_nkeys);
		cJSON_ArrayForEach(o, ja) {
			assert_true(cJSON_Compare(json_get(o, "value"), json_get(o, "default"), true));
			assert_int_equal(strncmp(json_str(o, "source"), "d:", 2), 0);
			cJSON_ReplaceItemInObject(o, "source", cJSON_CreateString("default"));
		}
		a = cJSON_Print(ja);
		b = cJSON_Print(jb);
		assert_string_equal(a, b);
		cJSON_Delete(ja);
		cJSON_Delete(jb);
		config_done(&c);
		config_done(&d);
	}
}

static void shows(void **state)
{
	static const char s[] = "learn:\n  scan:\n    window: 90m\nenforceAlways: [admin]\napi: {writeUIDs: [7]}\n";
	struct config c;
	cJSON *j;

	(void)state;
	assert_int_equal(config_parse("/etc/x.yaml", s, strlen(s), NULL, &c), 0);
	assert_int_equal(config_set(&c, "maps.flows", "4096", "--set", NULL), 0);
	j = config_show(&c, false);
	assert_string_equal(json_str(row(j, "learn.scan.window"), "value"), "90m");
	assert_string_equal(json_str(row(j, "learn.scan.window"), "default"), "1m");
	assert_string_equal(json_str(row(j, "learn.scan.window"), "source"), "/etc/x.yaml:3");
	assert_string_equal(json_str(row(j, "maps.flows"), "source"), "--set");
	assert_int_equal(json_i64(row(j, "maps.flows"), "value", 0), 4096);
	assert_string_equal(json_str(row(j, "role"), "source"), "default");
	assert_string_equal(cJSON_GetStringValue(cJSON_GetArrayItem(json_get(row(j, "enforceAlways"), "value"), 0)), "admin");
	cJSON_Delete(j);
	config_done(&c);
}

static void sets(void **state)
{
	static const struct { const char *path, *value; int r; const char *name, *at; } t[] = {
		{ "maps.flows", "2048", 0, NULL, NULL },
		{ "api.socket", "/tmp/x.sock", 0, NULL, NULL },
		{ "node", "", 0, NULL, NULL },
		{ "clusterCIDRs", "[10.0.0.0/8]", 0, NULL, NULL },
		{ "clusterCIDRs", "[10.0.0.0/8, x]", -EINVAL, "config.cidr", "--set, clusterCIDRs[1]: \"x\"" },
		{ "learn.ignoreLabels", "[a, \"b c\"]", -EINVAL, "config.label-key", "--set, learn.ignoreLabels[1]: \"b c\"" },
		{ "maps.flows", "1", -EINVAL, "config.range", "--set, maps.flows: 1" },
		{ "maps.flow", "4096", -EINVAL, "config.unknown-field", "--set" },
		{ "maps", "{}", -EINVAL, "config.unknown-field", "--set" },
		{ "log.level", "[", -EBADMSG, "yaml.syntax", "--set:2:1" },
	};
	struct config c;

	(void)state;
	assert_int_equal(config_default(&c), 0);
	for (size_t i = 0; i < ARRAY_SIZE(t); i++) {
		struct fail_list f = {};
		auto_free char *before = NULL, *after = NULL;
		cJSON *j;

		print_message("  %s=%s\n", t[i].path, t[i].value);
		j = config_show(&c, false);
		before = cJSON_Print(j);
		cJSON_Delete(j);
		assert_int_equal(config_set(&c, t[i].path, t[i].value, "--set", &f), t[i].r);
		j = config_show(&c, false);
		after = cJSON_Print(j);
		cJSON_Delete(j);
		if (t[i].r) {
			assert_int_equal(f.n, 1);
			assert_string_equal(f.items[0].name, t[i].name);
			assert_string_equal(f.items[0].at, t[i].at);
			assert_string_equal(before, after); /* a refused value changes nothing */
		} else {
			assert_string_not_equal(before, after);
		}
		fail_list_done(&f);
	}
	assert_int_equal(c.flows, 2048);
	assert_int_equal(c.cluster_cidrs.n, 1);
	config_done(&c);
}

static void files(void **state)
{
	char path[] = "/tmp/cw-config-XXXXXX";
	int fd = mkstemp(path);
	struct fail_list f = {};
	struct config c = {};

	(void)state;
	assert_true(fd >= 0);
	assert_int_equal(write(fd, "node: n9\n", 9), 9);
	close(fd);
	assert_int_equal(config_load(path, false, NULL, &c), 0);
	assert_string_equal(c.node, "n9");
	config_done(&c);
	assert_int_equal(truncate(path, 0), 0); /* an empty file is the defaults */
	assert_int_equal(config_load(path, false, NULL, &c), 0);
	config_done(&c);
	assert_int_equal(truncate(path, CONFIG_BYTES_MAX + 1), 0);
	assert_int_equal(config_load(path, false, &f, &c), -E2BIG);
	unlink(path);
	assert_int_equal(config_load(path, true, NULL, &c), 0);
	config_done(&c);
	assert_int_equal(config_load(path, false, &f, &c), -ENOENT);
	assert_int_equal(f.n, 2);
	assert_string_equal(f.items[1].name, "config.unreadable");
	fail_list_done(&f);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(defaults), cmocka_unit_test(table), cmocka_unit_test(values),
		cmocka_unit_test(default_file), cmocka_unit_test(shows), cmocka_unit_test(sets),
		cmocka_unit_test(files),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
