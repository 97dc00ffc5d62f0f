/* SPDX-License-Identifier: Apache-2.0 */
/* complete.c - completion scripts, and the candidates that they ask this program for. */
#include <stdio.h>
#include <string.h>

#include "base/cleanup.h"
#include "ctl/ctl.h"
#include "http/http_client.h"

#define DAEMON_MS 300

static const char bash_script[] =
	"_cellwall() {\n"
	"  local IFS=$'\\n' cur=\"${COMP_WORDS[COMP_CWORD]}\"\n"
	"  COMPREPLY=($(compgen -W \"$(cellwall __complete \"$COMP_CWORD\" \"${COMP_WORDS[@]}\" 2>/dev/null)\" -- \"$cur\"))\n"
	"}\n"
	"complete -o default -F _cellwall cellwall\n";
static const char zsh_script[] =
	"#compdef cellwall\n"
	"_cellwall() {\n"
	"  local -a list\n"
	"  list=(${(f)\"$(cellwall __complete $((CURRENT-1)) \"${words[@]}\" 2>/dev/null)\"})\n"
	"  if (( $#list )); then compadd -a list; else _files; fi\n"
	"}\n"
	"compdef _cellwall cellwall\n";
static const char fish_script[] =
	"function __cellwall_complete\n"
	"  set -l words (commandline -opc) (commandline -ct)\n"
	"  cellwall __complete (math (count $words) - 1) $words 2>/dev/null\n"
	"end\n"
	"complete -c cellwall -f -a '(__cellwall_complete)'\n";

/* kubectl's plugin completion: the words typed so far, the last one unfinished; the line that ends
 * the list tells it not to offer files. */
static int complete_words(struct ctl *c)
{
	const char *argv[CTL_ARGS_MAX + 4] = { "cellwall", "__complete", NULL, "cellwall" };
	int argc = 4, r;
	char at[16];

	snprintf(at, sizeof(at), "%u", c->nargs > 1 ? c->nargs - 1 : 1);
	argv[2] = at;
	for (unsigned i = 1; i < c->nargs; i++)
		argv[argc++] = c->args[i];
	r = complete_run(c, argc, (char **)argv);
	fprintf(c->io.out, ":4\n");
	return r;
}

int cmd_completion(struct ctl *c)
{
	static const struct { const char *shell, *script; } t[] = {
		{ "bash", bash_script }, { "zsh", zsh_script }, { "fish", fish_script },
	};

	if (!strcmp(c->args[0], "words"))
		return complete_words(c);
	for (size_t i = 0; i < ARRAY_SIZE(t) && c->nargs == 1; i++)
		if (!strcmp(t[i].shell, c->args[0]))
			return emit_text(c, NULL, t[i].script, strlen(t[i].script));
	return usage_fail(c, "cli.shell", c->args[0], "bash, zsh, fish", "cellwall completion bash", M_E_SHELL, NULL);
}

/* ---- candidates ------------------------------------------------------------------------------ */

/* Shells expand what they are offered: only words that mean themselves everywhere. */
static void offer(struct ctl *c, const char *word, const char *cur)
{
	static const char plain[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-_./,:=@%+";

	if (!strncmp(word, cur, strlen(cur)) && word[0] && !word[strspn(word, plain)])
		fprintf(c->io.out, "%s\n", word);
}

static void offer_choices(struct ctl *c, const char *choices, const char *cur)
{
	const char *comma = strrchr(cur, ',');
	size_t keep = comma ? (size_t)(comma - cur) + 1 : 0;

	while (choices) {
		size_t n = strcspn(choices, ",");
		struct buf b;

		buf_init(&b, 4096);
		buf_add(&b, cur, keep);
		buf_add(&b, choices, n);
		offer(c, b.data ?: "", cur);
		buf_done(&b);
		choices = choices[n] ? choices + n + 1 : NULL;
	}
}

/* Names that the daemon knows; silence when it does not answer at once. */
static void offer_list(struct ctl *c, const char *path, const char *key, const char *cur)
{
	auto_cleanup(cJSON_Deletep) cJSON *doc = NULL;
	struct query q = {};
	const cJSON *it;

	c->timeout_ms = DAEMON_MS;
	query_add(&q, "limit", "500");
	if (api_call(c, "GET", path, strcmp(path, "/v1/namespaces") && strcmp(path, "/v1/quarantines") ? &q : NULL,
		     NULL, &doc) == 0)
		cJSON_ArrayForEach(it, json_get(doc, "items")) {
			const cJSON *v = json_get(it, key);
			char n[24];

			if (cJSON_IsNumber(v)) {
				snprintf(n, sizeof(n), "%.0f", v->valuedouble);
				offer(c, n, cur);
			} else if (cJSON_IsString(v)) {
				offer(c, v->valuestring, cur);
			}
		}
	query_done(&q);
	fail_list_done(&c->fails);
}

static void offer_arg(struct ctl *c, const struct command *cmd, const char *cur)
{
	const char *a = cmd->args;

	if (strstr(a, "MODE"))
		offer_choices(c, "off,learn,alert,enforce", cur);
	if (strstr(a, "bash"))
		offer_choices(c, "bash,zsh,fish", cur);
	if (strstr(a, "GEN"))
		offer_list(c, "/v1/changes", "generation", cur);
	if (!strncmp(cmd->words, "rule ", 5) && strstr(a, "NAME") && cmd->run != cmd_rule_create)
		offer_list(c, "/v1/rules", "name", cur);
	if (!strncmp(cmd->words, "access ", 7) && strstr(a, "ID"))
		offer_list(c, "/v1/accesses", "id", cur);
	if (cmd->run == cmd_alerts_ack || cmd->run == cmd_explain)
		offer_list(c, "/v1/alerts", "id", cur);
	if (cmd->run == cmd_service_show || cmd->run == cmd_service_remove || cmd->run == cmd_query)
		offer_list(c, "/v1/services", "ref", cur);
	if (cmd->run == cmd_quarantine_release)
		offer_list(c, "/v1/quarantines", "ref", cur);
	else if ((strstr(a, "REF") && cmd->run != cmd_service_show && cmd->run != cmd_service_remove) ||
		 cmd->run == cmd_query)
		offer_list(c, "/v1/workloads", "ref", cur);
}

static void offer_flag_value(struct ctl *c, enum flag f, const char *cur)
{
	switch (flag_defs[f].kind) {
	case FK_CHOICE:
	case FK_CHOICES:
		offer_choices(c, flag_defs[f].choices, cur);
		break;
	case FK_NS:
		offer_list(c, "/v1/namespaces", "name", cur);
		break;
	case FK_REF:
		offer_list(c, "/v1/workloads", "ref", cur);
		break;
	case FK_OUTPUT:
		offer_choices(c, "table,wide,json,yaml,csv,name", cur);
		break;
	default:
		break;
	}
}

static enum flag flag_of(const char *w)
{
	for (unsigned f = 0; f < FLAG_COUNT; f++)
		if ((w[0] == '-' && w[1] == '-' && !strcmp(w + 2, flag_defs[f].name)) ||
		    (w[0] == '-' && flag_defs[f].letter && w[1] == flag_defs[f].letter && !w[2]))
			return f;
	return FLAG_COUNT;
}

/* The next word of each command that begins with the words given. */
static void offer_words(struct ctl *c, const char *const *words, unsigned n, const char *cur)
{
	for (size_t i = 0; i < ncommands; i++) {
		const char *p = commands[i].words;

		do { /* each form of its words */
			size_t len = strcspn(p, "|");
			auto_free char *form = strndup(p, len);
			char *at = form;
			unsigned k = 0;

			while (at && k < n) {
				size_t w = strcspn(at, " ");

				if (strlen(words[k]) != w || memcmp(words[k], at, w))
					break;
				k++;
				at = at[w] ? at + w + 1 : NULL;
			}
			if (at && k == n) {
				bool seen = false;

				at[strcspn(at, " ")] = '\0';
				for (size_t e = 0; e < i && !seen; e++) { /* a noun once */
					size_t w = strlen(at);

					seen = n == 0 && !strncmp(commands[e].words, at, w) &&
					       strchr(" |", commands[e].words[w]);
				}
				if (!seen)
					offer(c, at, cur);
			}
			p = p[len] ? p + len + 1 : NULL;
		} while (p);
	}
}

int complete_run(struct ctl *c, int argc, char **argv)
{
	const char *words[64], *cur = "";
	enum flag pending = FLAG_COUNT;
	const struct command *cmd;
	unsigned n = 0, used;
	char *end;
	long at;

	if (argc < 3)
		return EXIT_USAGE;
	at = strtol(argv[2], &end, 10);
	if (*end || at < 1)
		return EXIT_USAGE;
	if (at + 3 < argc)
		cur = argv[at + 3];
	for (int i = 4; i < argc && i < at + 3 && n < ARRAY_SIZE(words); i++) {
		enum flag f = argv[i][0] == '-' ? flag_of(argv[i]) : FLAG_COUNT;

		if (pending != FLAG_COUNT) {
			pending = FLAG_COUNT;
			continue;
		}
		if (f != FLAG_COUNT && flag_defs[f].kind != FK_BOOL)
			pending = f;
		else if (argv[i][0] != '-')
			words[n++] = argv[i];
	}
	cmd = command_find(words, n, &used);
	if (pending != FLAG_COUNT) {
		offer_flag_value(c, pending, cur);
	} else if (cur[0] == '-') {
		for (unsigned f = 0; f < FLAG_COUNT; f++) {
			char name[40];

			if (cmd && !(command_flags(cmd) >> f & 1))
				continue;
			snprintf(name, sizeof(name), "--%s", flag_defs[f].name);
			offer(c, name, cur);
		}
	} else {
		offer_words(c, words, n, cur);
		if (cmd)
			offer_arg(c, cmd, cur);
	}
	fflush(c->io.out);
	return 0;
}
