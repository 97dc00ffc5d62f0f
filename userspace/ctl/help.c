/* SPDX-License-Identifier: Apache-2.0 */
/* help.c - help from the command and flag tables, and the search in all of them. */
#include <stdio.h>
#include <string.h>
#include <strings.h>

#include "base/cleanup.h"
#include "base/text.h"
#include "ctl/ctl.h"
#include "ctl/grid.h"

static void flag_row(struct ctl *c, struct grid *g, enum flag f)
{
	const struct flag_def *d = &flag_defs[f];
	struct buf b;

	buf_init(&b, 512);
	if (d->letter)
		buf_printf(&b, "-%c, ", d->letter);
	else
		buf_adds(&b, "    ");
	buf_printf(&b, "--%s", d->name);
	if (d->value)
		buf_printf(&b, " %s", d->value);
	grid_row(g);
	grid_take(g, 0, &b);
	buf_init(&b, 1024);
	buf_adds(&b, d->help[c->lang]);
	if (d->choices)
		buf_printf(&b, " (%s)", d->choices);
	grid_take(g, 1, &b);
}

/* The commands, all or those of one noun; how many. */
static size_t commands_put(struct ctl *c, const char *noun, struct buf *b)
{
	size_t len = noun ? strlen(noun) : 0, n = 0;
	struct grid g = {};

	for (size_t i = 0; i < ncommands; i++) {
		const char *words = commands[i].words;
		char w[64];
		struct buf t;

		if (noun && (strncmp(words, noun, len) || !strchr(" |", words[len])))
			continue;
		n++;
		buf_init(&t, 512);
		buf_printf(&t, "%s%s%s", command_words(&commands[i], w), *commands[i].args ? " " : "",
			   commands[i].args);
		grid_row(&g);
		grid_take(&g, 0, &t);
		grid_set(&g, 1, commands[i].help[c->lang]);
	}
	grid_print(&g, "  ", b);
	return n;
}

static void overview_put(struct ctl *c, struct buf *b)
{
	buf_adds(b, msg_text(M_HELP_HEAD, c->lang));
	buf_adds(b, "\n\n");
	(void)commands_put(c, NULL, b);
	buf_adds(b, "\n");
	buf_adds(b, msg_text(M_HELP_FOOT, c->lang));
	buf_adds(b, "\n");
}

void help_print(struct ctl *c, const struct command *cmd, struct buf *b)
{
	struct grid g = {};
	char w[64];

	if (!cmd) {
		overview_put(c, b);
		return;
	}
	buf_printf(b, "%s\n\n", cmd->help[c->lang]);
	buf_printf(b, "%s cellwall %s%s%s [--flags]\n\n", msg_text(M_HELP_USAGE, c->lang), command_words(cmd, w),
		   *cmd->args ? " " : "", cmd->args);
	for (size_t i = 0; i < ARRAY_SIZE(cmd->examples) && cmd->examples[i]; i++)
		buf_printf(b, "  %s\n", cmd->examples[i]);
	buf_adds(b, "\n");
	for (unsigned f = 0; f < FLAG_COUNT; f++)
		if (cmd->flags >> f & 1)
			flag_row(c, &g, f);
	if (g.n) {
		grid_print(&g, "  ", b);
		buf_adds(b, "\n");
	}
	buf_adds(b, msg_text(M_HELP_GLOBAL, c->lang));
	buf_adds(b, "\n");
}

/* ---- search ---------------------------------------------------------------------------------- */

static size_t search_put(struct ctl *c, const char *word, struct buf *b)
{
	struct grid g = {};
	size_t found = 0;

	for (size_t i = 0; i < ncommands; i++) {
		const struct command *cmd = &commands[i];
		char w[64];

		if (!strcasestr(cmd->words, word) && !strcasestr(cmd->help[LANG_EN], word) &&
		    !strstr(cmd->help[LANG_ZH], word))
			continue;
		grid_row(&g);
		grid_set(&g, 0, command_words(cmd, w));
		grid_set(&g, 1, cmd->help[c->lang]);
		found++;
	}
	grid_print(&g, "  ", b);
	return found + explain_search(c, word, b);
}

int cmd_help(struct ctl *c)
{
	const struct command *cmd;
	unsigned used;
	struct buf b;
	int r = 0;

	buf_init(&b, 1u << 20);
	if (flag_given(c, FLAG_MAN)) {
		if (!c->nargs)
			man_print(&b);
		else if (!strcmp(c->args[0], "cellwalld.yaml"))
			man_config_print(&b);
		else
			r = usage_fail(c, "cli.help", c->args[0], "cellwalld.yaml", "cellwall help --man", M_E_HELP,
				       "word", c->args[0], NULL);
	} else if (!c->nargs) {
		help_print(c, NULL, &b);
	} else {
		cmd = command_find(c->args, c->nargs, &used);
		if (cmd && used == c->nargs)
			help_print(c, cmd, &b);
		else if (!(c->nargs == 1 && commands_put(c, c->args[0], &b)) && !search_put(c, c->args[0], &b))
			r = usage_fail(c, "cli.help", c->args[0], NULL, "cellwall help", M_E_HELP, "word",
				       c->args[0], NULL);
	}
	if (!r)
		r = emit_text(c, NULL, b.data ?: "", b.len);
	buf_done(&b);
	return r;
}
