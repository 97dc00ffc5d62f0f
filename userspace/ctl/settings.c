/* SPDX-License-Identifier: Apache-2.0 */
/* settings.c - flag > CELLWALL_* > ~/.config/cellwall/config.yaml > /etc/cellwall/cellwall.yaml > default. */
#include <string.h>

#include "base/cleanup.h"
#include "base/file.h"
#include "base/strparse.h"
#include "base/text.h"
#include "ctl/ctl.h"

#define SETTINGS_BYTES_MAX 65536u

static const struct setting table[SET_COUNT] = {
	[SET_SERVER] = { "server", "CELLWALL_SERVER", FLAG_SERVER, "unix:///run/cellwall/api.sock", NULL, 0 },
	[SET_OUTPUT] = { "output", "CELLWALL_OUTPUT", FLAG_OUTPUT, "table", NULL, 0 },
	[SET_LANG] = { "lang", "CELLWALL_LANG", FLAG_LANG, "en", NULL, 0 },
	[SET_COLOR] = { "color", "CELLWALL_COLOR", FLAG_COLOR, "auto", NULL, 0 },
	[SET_TIMEOUT] = { "timeout", "CELLWALL_TIMEOUT", FLAG_TIMEOUT, "30s", NULL, 0 },
	[SET_TIME] = { "time", "CELLWALL_TIME", FLAG_TIME, "", NULL, 0 },
	[SET_PAGER] = { "pager", "CELLWALL_PAGER", FLAG_COUNT, "less -FRX", NULL, 0 },
	[SET_AMBIGUOUS] = { "ambiguous", "CELLWALL_AMBIGUOUS", FLAG_COUNT, "narrow", NULL, 0 },
};

const char *setting_from_str(enum origin_of from)
{
	static const char *const w[FROM_COUNT] = { "default", "/etc/cellwall/cellwall.yaml",
						   "~/.config/cellwall/config.yaml", "environment", "flag" };

	return w[from];
}

static void set(struct ctl *c, unsigned id, const char *value, enum origin_of from)
{
	char *copy = strdup(value);

	if (!copy)
		return;
	free(c->settings[id].value);
	c->settings[id].value = copy;
	c->settings[id].from = from;
}

/* A broken file of settings must not keep an administrator from the daemon: it is told, and the
 * command goes on with the rest. */
static void file_load(struct ctl *c, const char *path, enum origin_of from)
{
	struct yaml_docs docs = {};
	struct fail_list f = {};
	auto_free char *text = NULL;
	size_t len;

	if (read_all_path(path, SETTINGS_BYTES_MAX, &text, &len) < 0)
		return;
	if (yaml_parse(text, len, path, &f, &docs) < 0 || docs.n > 1 ||
	    (docs.n && !cJSON_IsObject(docs.docs[0].root))) {
		fprintf(c->io.err, "cellwall: %s: %s\n", path,
			f.n ? f.items[0].message : "not one document of keys");
		fail_list_done(&f);
		yaml_docs_done(&docs);
		return;
	}
	for (const cJSON *j = docs.n ? docs.docs[0].root->child : NULL; j; j = j->next) {
		unsigned id;

		for (id = 0; id < SET_COUNT && strcmp(table[id].key, j->string); id++)
			;
		if (id == SET_COUNT || !cJSON_IsString(j))
			fprintf(c->io.err, "cellwall: %s:%u: %s \"%s\"\n", path, yaml_line(&docs, j),
				id == SET_COUNT ? "unknown key" : "not a text:", j->string);
		else
			set(c, id, j->valuestring, from);
	}
	yaml_docs_done(&docs);
}

static bool locale_is_chinese(void)
{
	static const char *const vars[] = { "LC_ALL", "LC_MESSAGES", "LANG" };

	for (size_t i = 0; i < ARRAY_SIZE(vars); i++) {
		const char *v = getenv(vars[i]);

		if (v && *v)
			return !strncmp(v, "zh", 2);
	}
	return false;
}

void settings_load(struct ctl *c)
{
	const char *home = getenv("HOME"), *xdg = getenv("XDG_CONFIG_HOME");
	char path[4096];

	memcpy(c->settings, table, sizeof(table));
	for (unsigned i = 0; i < SET_COUNT; i++)
		set(c, i, table[i].dflt, FROM_DEFAULT);
	file_load(c, c->io.etc_config ?: "/etc/cellwall/cellwall.yaml", FROM_ETC);
	if (xdg && *xdg)
		snprintf(path, sizeof(path), "%s/cellwall/config.yaml", xdg);
	else
		snprintf(path, sizeof(path), "%s/.config/cellwall/config.yaml", home ?: "");
	if (*path && ((xdg && *xdg) || home))
		file_load(c, path, FROM_HOME);
	for (unsigned i = 0; i < SET_COUNT; i++) {
		const char *v = getenv(table[i].env);

		if (v && *v)
			set(c, i, v, FROM_ENV);
	}
	if (c->settings[SET_LANG].from == FROM_DEFAULT && locale_is_chinese()) {
		set(c, SET_LANG, "zh", FROM_ENV);
		c->settings[SET_LANG].env = "LC_MESSAGES";
	}
	c->lang = !strcmp(c->settings[SET_LANG].value, "zh") ? LANG_ZH : LANG_EN;
}

static int output_parse(struct ctl *c, const char *s)
{
	static const struct { const char *word; enum format f; } words[] = {
		{ "table", FMT_TABLE }, { "wide", FMT_WIDE }, { "json", FMT_JSON }, { "yaml", FMT_YAML },
		{ "csv", FMT_CSV },	{ "name", FMT_NAME }, { "dot", FMT_OTHER },
		{ "graphml", FMT_OTHER }, { "mermaid", FMT_OTHER }, { "tree", FMT_OTHER },
	};
	bool graph = c->cmd && c->cmd->run == cmd_topology_export;
	size_t len = strcspn(s, "=");
	struct output *o = &c->outputs[c->noutputs];

	if (c->noutputs == OUTPUTS_MAX)
		return usage_fail(c, "cli.output", s, NULL, NULL, M_E_OUTPUTS, NULL);
	for (size_t i = 0; i < ARRAY_SIZE(words); i++) {
		if (strlen(words[i].word) != len || memcmp(words[i].word, s, len))
			continue;
		if (words[i].f == FMT_OTHER && !graph)
			break;
		*o = (struct output){ .format = words[i].f, .file = s[len] ? s + len + 1 : NULL };
		snprintf(o->name, sizeof(o->name), "%s", words[i].word);
		if (o->file && !*o->file)
			break;
		c->noutputs++;
		return 0;
	}
	return usage_fail(c, "cli.output", s,
			  graph ? "dot, json, graphml, mermaid, csv, tree; dot=FILE" :
				  "table, wide, json, yaml, csv, name; json=FILE",
			  NULL, M_E_OUTPUT, "value", s, NULL);
}

static int setting_fail(struct ctl *c, enum setting_id id, const char *expected)
{
	const struct setting *s = &c->settings[id];
	char at[256];

	snprintf(at, sizeof(at), "%s: %s \"%.100s\"",
		 s->from == FROM_ENV ? s->env : setting_from_str(s->from), s->key, s->value);
	return usage_fail(c, "cli.setting", at, expected, NULL, M_E_SETTING, "key", s->key, NULL);
}

int settings_apply(struct ctl *c)
{
	const char *v, *columns = getenv("COLUMNS"), *term = getenv("TERM"), *nocolor = getenv("NO_COLOR");
	uint64_t ms;
	uint32_t w;
	int r;

	for (unsigned i = 0; i < SET_COUNT; i++)
		if (table[i].flag != FLAG_COUNT && flag_given(c, table[i].flag))
			set(c, i, flag_str(c, table[i].flag), FROM_FLAG);
	v = c->settings[SET_LANG].value;
	if (strcmp(v, "en") && strcmp(v, "zh"))
		return setting_fail(c, SET_LANG, "en, zh");
	c->lang = !strcmp(v, "zh") ? LANG_ZH : LANG_EN;

	v = c->settings[SET_COLOR].value;
	if (strcmp(v, "auto") && strcmp(v, "always") && strcmp(v, "never"))
		return setting_fail(c, SET_COLOR, "auto, always, never");
	c->color = !strcmp(v, "always") || (!strcmp(v, "auto") && c->io.out_tty && !(nocolor && *nocolor) &&
					    !(term && !strcmp(term, "dumb")));

	v = c->settings[SET_TIME].value;
	c->time = !*v ? TIME_DEFAULT : !strcmp(v, "age") ? TIME_AGE : !strcmp(v, "local") ? TIME_LOCAL : TIME_ISO;
	if (*v && c->time == TIME_ISO && strcmp(v, "iso"))
		return setting_fail(c, SET_TIME, "age, local, iso");

	if (parse_duration_ms(c->settings[SET_TIMEOUT].value, 3600000, &ms) < 0 || !ms)
		return setting_fail(c, SET_TIMEOUT, msg_text(M_X_DURATION, c->lang));
	c->timeout_ms = (uint32_t)ms;

	v = c->settings[SET_AMBIGUOUS].value;
	if (strcmp(v, "narrow") && strcmp(v, "wide"))
		return setting_fail(c, SET_AMBIGUOUS, "narrow, wide");
	text_set_ambiguous_wide(!strcmp(v, "wide"));

	if (c->io.out_tty && columns && parse_u32(columns, 20, 1000, &w) == 0)
		c->io.width = (int)w;

	if (flag_given(c, FLAG_OUTPUT)) {
		for (size_t i = 0; i < c->values[FLAG_OUTPUT].n; i++) {
			r = output_parse(c, c->values[FLAG_OUTPUT].v[i]);
			if (r)
				return r;
		}
		return 0;
	}
	if (c->cmd && c->cmd->run == cmd_topology_export) /* the table of other commands is no graph */
		return output_parse(c, "dot");
	return output_parse(c, c->settings[SET_OUTPUT].value);
}

void settings_done(struct ctl *c)
{
	for (unsigned i = 0; i < SET_COUNT; i++)
		free(c->settings[i].value);
}
