/* SPDX-License-Identifier: Apache-2.0 */
/* cmd_misc.c - lab, config show, version. */
#include <errno.h>
#include <inttypes.h>
#include <string.h>

#include "base/strparse.h"
#include "ctl/cmd.h"
#include "ctl/grid.h"
#include "config/config.h"
#include "lab/lab.h"

/* ---- lab ------------------------------------------------------------------------------------- */

static struct lab_options lab_options(const struct ctl *c)
{
	return (struct lab_options){ .dir = flag_str(c, FLAG_DIR), .helper = flag_str(c, FLAG_HELPER) };
}

static int lab_exit(struct ctl *c, int r, const cJSON *doc, const struct view *v)
{
	if (r < 0)
		return c->fails.n ? EXIT_REFUSED : usage_fail(c, "lab.failed", NULL, NULL, NULL, M_E_LAB, "error",
							     strerror(-r), NULL);
	return emit(c, doc, v);
}

static void lab_human(struct ctl *c, const cJSON *doc, struct buf *b)
{
	const cJSON *node = json_get(doc, "node"), *w;
	struct grid g = {};
	char n[24], cmd[512];

	put_line(c, b, M_LAB_UP, "n", num_str(n, cJSON_GetArraySize(json_get(doc, "workloads"))), "dir",
		 json_str(doc, "dir"), "netns", json_str(node, "netns"), NULL);
	cJSON_ArrayForEach(w, json_get(doc, "workloads")) {
		const cJSON *a, *ctrl = json_get(w, "controller");
		struct buf t;

		grid_row(&g);
		buf_init(&t, 1024);
		buf_printf(&t, "%s/pod/%s", json_str(w, "namespace") ?: "-", json_str(w, "name") ?: "-");
		grid_take(&g, 0, &t);
		buf_init(&t, 1024);
		if (cJSON_IsObject(ctrl))
			buf_printf(&t, "%s/%s", json_str(ctrl, "kind") ?: "-", json_str(ctrl, "name") ?: "-");
		grid_take(&g, 1, &t);
		buf_init(&t, 4096);
		cJSON_ArrayForEach(a, json_get(w, "addresses")) {
			buf_adds(&t, t.len ? ", " : "");
			put_str(&t, cJSON_IsString(a) ? a->valuestring : NULL);
		}
		grid_take(&g, 2, &t);
	}
	grid_print(&g, "  ", b);
	snprintf(cmd, sizeof(cmd), "nsenter --net=%.200s cellwalld --config %.200s", json_str(node, "netns") ?: "-",
		 json_str(doc, "config") ?: "-");
	put_next(c, b, cmd);
	snprintf(cmd, sizeof(cmd), "cellwall --server %.200s access list", json_str(doc, "server") ?: "-");
	put_next(c, b, cmd);
}

int cmd_lab_up(struct ctl *c)
{
	static const struct view v = { .items = "workloads", .before = lab_human };
	struct lab_options o = lab_options(c);
	auto_cleanup(cJSON_Deletep) cJSON *doc = NULL;
	int r = lab_up(&o, &c->fails, &doc);

	return lab_exit(c, r, doc, &v);
}

int cmd_lab_list(struct ctl *c)
{
	static const struct view v = { .items = "workloads", .before = lab_human };
	struct lab_options o = lab_options(c);
	auto_cleanup(cJSON_Deletep) cJSON *doc = NULL;
	int r = lab_list(&o, &c->fails, &doc);

	return lab_exit(c, r, doc, &v);
}

static void families_text(struct ctl *c, const cJSON *a, struct buf *b)
{
	const cJSON *f;
	bool any = false;

	(void)c;
	cJSON_ArrayForEach(f, json_get(a, "families")) {
		buf_printf(b, "%sIPv%d", any ? "," : "", f->valueint);
		any = true;
	}
}

static const struct col traffic_cols[] = {
	{ "src", M_H_SOURCE, COL_STR, COL_CUT, NULL, 0 },
	{ "dst", M_H_DESTINATION, COL_STR, COL_CUT, NULL, 0 },
	{ "port", M_H_PORT, COL_STR, 0, NULL, 0 },
	{ "families", M_H_FAMILY, COL_STR, 0, families_text, 0 },
	{ "requests", M_H_REQUESTS, COL_NUM, 0, NULL, 0 },
	{ "answered", M_H_ANSWERED, COL_NUM, 0, NULL, 0 },
};

static void traffic_after(struct ctl *c, const cJSON *doc, struct buf *b)
{
	const cJSON *ns, *at = json_get(doc, "attack");
	char n1[24], n2[24], n3[24], n4[24];

	cJSON_ArrayForEach(ns, json_get(doc, "namespaces"))
		put_line(c, b, M_LAB_ANSWERED, "namespace", json_str(ns, "name"), "answered",
			 num_str(n1, json_i64(ns, "answered", 0)), "expected",
			 num_str(n2, json_i64(ns, "expected", 0)), NULL);
	if (json_i64(at, "probes", 0) || json_i64(at, "forged", 0))
		put_line(c, b, M_LAB_ATTACK, "delivered", num_str(n1, json_i64(at, "delivered", 0)), "probes",
			 num_str(n2, json_i64(at, "probes", 0)), "forgedDelivered",
			 num_str(n3, json_i64(at, "forgedDelivered", 0)), "forged",
			 num_str(n4, json_i64(at, "forged", 0)), NULL);
}

int cmd_lab_traffic(struct ctl *c)
{
	static const struct view v = { .cols = traffic_cols, .ncols = ARRAY_SIZE(traffic_cols),
				       .items = "accesses", .after = traffic_after };
	struct lab_options o = lab_options(c);
	struct lab_traffic_options t = { .plan = flag_given(c, FLAG_ATTACK) ? LAB_ATTACK : LAB_NORMAL,
					 .seconds = 20, .quiet = flag_given(c, FLAG_ALONE) };
	auto_cleanup(cJSON_Deletep) cJSON *doc = NULL;
	int r;

	if (flag_given(c, FLAG_SECONDS) &&
	    parse_u32(flag_str(c, FLAG_SECONDS), 1, LAB_SECONDS_MAX, &t.seconds) < 0)
		return usage_fail(c, "cli.flag-value", "--seconds", "1 to 3600", NULL, M_E_FLAG_VALUE, "flag",
				  "seconds", "value", flag_str(c, FLAG_SECONDS), NULL);
	if (flag_given(c, FLAG_PROBES) &&
	    parse_u32(flag_str(c, FLAG_PROBES), 1, LAB_PROBES_MAX, &t.probes) < 0)
		return usage_fail(c, "cli.flag-value", "--probes", "1 to 1000000", NULL, M_E_FLAG_VALUE, "flag",
				  "probes", "value", flag_str(c, FLAG_PROBES), NULL);
	if (flag_given(c, FLAG_FORGED) &&
	    parse_u32(flag_str(c, FLAG_FORGED), 1, LAB_PROBES_MAX, &t.forged) < 0)
		return usage_fail(c, "cli.flag-value", "--forged", "1 to 1000000", NULL, M_E_FLAG_VALUE, "flag",
				  "forged", "value", flag_str(c, FLAG_FORGED), NULL);
	if ((t.quiet || t.forged) && t.plan != LAB_ATTACK)
		return usage_fail(c, "cli.arguments", t.quiet ? "--alone" : "--forged", "--attack beside it",
				  "cellwall lab traffic --attack --alone", M_E_FLAG_VALUE, "flag",
				  t.quiet ? "alone" : "forged", "value", t.quiet ? "true" : flag_str(c, FLAG_FORGED), NULL);
	r = lab_traffic(&o, &t, &c->fails, &doc);
	return lab_exit(c, r, doc, &v);
}

static void down_human(struct ctl *c, const cJSON *doc, struct buf *b)
{
	const cJSON *left = json_get(doc, "left"), *gone = json_get(doc, "removed");
	char n[6][24];

	put_line(c, b, M_LAB_DOWN, "processes", num_str(n[0], json_i64(gone, "processes", 0)), "namespaces",
		 num_str(n[1], json_i64(gone, "namespaces", 0)), "links", num_str(n[2], json_i64(left, "links", 0)),
		 "left", num_str(n[3], json_i64(left, "namespaces", 0)), "running",
		 num_str(n[4], json_i64(left, "processes", 0)), "files", num_str(n[5], json_i64(left, "files", 0)),
		 NULL);
}

int cmd_lab_down(struct ctl *c)
{
	static const struct view v = { .before = down_human };
	struct lab_options o = lab_options(c);
	auto_cleanup(cJSON_Deletep) cJSON *doc = NULL;
	int r = lab_down(&o, &c->fails, &doc);

	return lab_exit(c, r, doc, &v);
}

/* ---- config show ----------------------------------------------------------------------------- */

static void value_text(struct ctl *c, const cJSON *item, struct buf *b)
{
	const cJSON *v = json_get(item, "value");
	auto_free char *text = NULL;

	(void)c;
	if (cJSON_IsString(v)) {
		put_str(b, v->valuestring);
		return;
	}
	text = v ? cJSON_PrintUnformatted(v) : NULL;
	put_str(b, text);
}

static const struct col config_cols[] = {
	{ "key", M_H_KEY, COL_STR, 0, NULL, 0 },
	{ "value", M_H_VALUE, COL_STR, COL_CUT, value_text, 0 },
	{ "source", M_H_FROM, COL_STR, COL_CUT, NULL, 0 },
};

/* The daemon's values follow those of this program; without it the answer is incomplete. */
int cmd_config_show(struct ctl *c)
{
	static const struct view v = { .cols = config_cols, .ncols = ARRAY_SIZE(config_cols), .name_key = "key" };
	auto_cleanup(cJSON_Deletep) cJSON *doc = cJSON_CreateObject(), *daemon = NULL;
	const cJSON *it;
	cJSON *items;
	int r, e;

	cJSON_AddStringToObject(doc, "apiVersion", "cellwall.io/v1");
	cJSON_AddStringToObject(doc, "kind", "ConfigList");
	items = cJSON_AddArrayToObject(doc, "items");
	for (unsigned i = 0; i < SET_COUNT; i++) {
		const struct setting *s = &c->settings[i];
		cJSON *o = cJSON_CreateObject();
		char key[32];

		snprintf(key, sizeof(key), "cli.%s", s->key);
		cJSON_AddStringToObject(o, "key", key);
		cJSON_AddStringToObject(o, "value", s->value);
		cJSON_AddStringToObject(o, "source", s->from == FROM_ENV ? s->env : setting_from_str(s->from));
		cJSON_AddItemToArray(items, o);
	}
	r = api_call(c, "GET", "/v1/config", NULL, NULL, &daemon);
	if (!r)
		cJSON_ArrayForEach(it, json_get(daemon, "items"))
			cJSON_AddItemToArray(items, cJSON_Duplicate(it, true));
	e = emit(c, doc, &v);
	return e ?: r ? EXIT_INCOMPLETE : 0;
}

static void config_ok(struct ctl *c, const cJSON *doc, struct buf *b)
{
	put_line(c, b, M_CONFIG_OK, "file", json_str(doc, "file"), NULL);
}

int cmd_config_check(struct ctl *c)
{
	static const struct view v = { .before = config_ok };
	auto_cleanup(cJSON_Deletep) cJSON *doc = cJSON_CreateObject();
	const char *path = c->nargs ? c->args[0] : CONFIG_PATH_DEFAULT;
	auto_cleanup(config_done) struct config cfg = {};

	if (config_load(path, false, &c->fails, &cfg) < 0)
		return EXIT_USAGE;
	cJSON_AddStringToObject(doc, "apiVersion", "cellwall.io/v1");
	cJSON_AddStringToObject(doc, "kind", "ConfigCheck");
	cJSON_AddStringToObject(doc, "file", path);
	cJSON_AddItemToObject(doc, "items", config_show(&cfg, c->lang == LANG_ZH));
	return emit(c, doc, &v);
}

int cmd_config_default(struct ctl *c)
{
	auto_free char *text = config_default_text(c->lang == LANG_ZH);

	if (!text)
		return api_unreachable(c, -ENOMEM);
	return emit_text(c, &c->outputs[0], text, strlen(text));
}

/* ---- version --------------------------------------------------------------------------------- */

static void version_human(struct ctl *c, const cJSON *doc, struct buf *b)
{
	char abi[24];

	buf_printf(b, "cellwall   %s\n", json_str(doc, "client") ?: "-");
	if (json_str(doc, "version")) {
		snprintf(abi, sizeof(abi), "%" PRId64, json_i64(doc, "abi", 0));
		put_line(c, b, M_VERSION_DAEMON, "version", json_str(doc, "version"), "abi", abi, NULL);
	} else {
		put_line(c, b, M_VERSION_NO_DAEMON, "server", c->settings[SET_SERVER].value, NULL);
	}
}

int cmd_version(struct ctl *c)
{
	static const struct view v = { .before = version_human };
	auto_cleanup(cJSON_Deletep) cJSON *doc = NULL;

	if (api_call(c, "GET", "/v1/version", NULL, NULL, &doc)) {
		fail_list_done(&c->fails); /* the program's own version needs no daemon */
		doc = cJSON_CreateObject();
		cJSON_AddStringToObject(doc, "apiVersion", "cellwall.io/v1");
		cJSON_AddStringToObject(doc, "kind", "Version");
	}
	cJSON_AddStringToObject(doc, "client", CW_VERSION);
	return emit(c, doc, &v);
}
