/* SPDX-License-Identifier: Apache-2.0 */
/* help.c - help and the man page, from the command and flag tables. */
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

static void overview_put(struct ctl *c, struct buf *b)
{
	struct grid g = {};

	buf_adds(b, msg_text(M_HELP_HEAD, c->lang));
	buf_adds(b, "\n\n");
	for (size_t i = 0; i < ncommands; i++) {
		char w[64];
		struct buf t;

		buf_init(&t, 512);
		buf_printf(&t, "%s%s%s", command_words(&commands[i], w), *commands[i].args ? " " : "",
			   commands[i].args);
		grid_row(&g);
		grid_take(&g, 0, &t);
		grid_set(&g, 1, commands[i].help[c->lang]);
	}
	grid_print(&g, "  ", b);
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

/* ---- search ----------------------------------------------------------------------------------------- */

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
		man_print(&b);
	} else if (!c->nargs) {
		help_print(c, NULL, &b);
	} else {
		cmd = command_find(c->args, c->nargs, &used);
		if (cmd && used == c->nargs)
			help_print(c, cmd, &b);
		else if (!search_put(c, c->args[0], &b))
			r = usage_fail(c, "cli.help", c->args[0], NULL, "cellwall help", M_E_HELP, "word",
				       c->args[0], NULL);
	}
	if (!r)
		r = emit_text(c, NULL, b.data ?: "", b.len);
	buf_done(&b);
	return r;
}

/* ---- man page ------------------------------------------------------------------------------------------ */

/* Text for troff: a leading dot and backslashes would be commands, a hyphen would be typeset. */
static void roff_put(struct buf *b, const char *s)
{
	if (*s == '.' || *s == '\'')
		buf_adds(b, "\\&");
	for (; *s; s++) {
		if (*s == '\\')
			buf_adds(b, "\\e");
		else if (*s == '-')
			buf_adds(b, "\\-");
		else
			buf_add(b, s, 1);
	}
}

static void man_flag(struct buf *b, enum flag f)
{
	const struct flag_def *d = &flag_defs[f];

	buf_adds(b, ".TP\n.B ");
	if (d->letter)
		buf_printf(b, "\\-%c, ", d->letter);
	roff_put(b, "--");
	roff_put(b, d->name);
	if (d->value) {
		buf_adds(b, " ");
		roff_put(b, d->value);
	}
	buf_adds(b, "\n");
	roff_put(b, d->help[LANG_EN]);
	if (d->choices) {
		buf_adds(b, " (");
		roff_put(b, d->choices);
		buf_adds(b, ")");
	}
	buf_adds(b, "\n");
}

static void man_commands(struct buf *b)
{
	buf_adds(b, ".SH COMMANDS\n");
	for (size_t i = 0; i < ncommands; i++) {
		const struct command *cmd = &commands[i];
		char w[64];
		bool first = true;

		buf_adds(b, ".TP\n.B ");
		roff_put(b, command_words(cmd, w));
		buf_adds(b, " ");
		roff_put(b, cmd->args);
		buf_adds(b, "\n");
		roff_put(b, cmd->help[LANG_EN]);
		buf_adds(b, ".\n");
		for (unsigned f = 0; f < FLAG_COUNT; f++) {
			if (!(cmd->flags >> f & 1))
				continue;
			buf_adds(b, first ? "Flags: \\-\\-" : ", \\-\\-");
			roff_put(b, flag_defs[f].name);
			first = false;
		}
		buf_adds(b, first ? "" : ".\n");
		for (size_t e = 0; e < ARRAY_SIZE(cmd->examples) && cmd->examples[e]; e++) {
			buf_adds(b, ".br\n");
			roff_put(b, cmd->examples[e]);
			buf_adds(b, "\n");
		}
	}
}

void man_print(struct buf *b)
{
	static const struct { const char *code, *text; } codes[] = {
		{ "0", "done, or the answer is yes" },
		{ "1", "the answer is no: query blocked, ready not ready, simulate found a difference, "
		       "--dry-run --exit-code with changes" },
		{ "2", "wrong use or bad input; nothing was changed" },
		{ "3", "incomplete" },
		{ "6", "refused by the system; nothing was changed" },
		{ "7", "the daemon could not be reached" },
		{ "8", "changed, then reverted" },
		{ "130", "interrupted" },
	};
	static const struct { const char *name, *text; } env[] = {
		{ "CELLWALL_SERVER", "socket or address of cellwalld" },
		{ "CELLWALL_OUTPUT, CELLWALL_LANG, CELLWALL_COLOR, CELLWALL_TIMEOUT, CELLWALL_TIME",
		  "as the flags of the same names" },
		{ "CELLWALL_PAGER, PAGER", "pager for long output on a terminal" },
		{ "CELLWALL_AMBIGUOUS", "wide: ambiguous characters take two columns" },
		{ "NO_COLOR, TERM, COLUMNS, EDITOR, VISUAL, LC_ALL, LC_MESSAGES, LANG", "as usual" },
	};

	buf_adds(b, ".TH CELLWALL 1\n.SH NAME\ncellwall \\- see and control who talks to whom between containers\n"
		    ".SH SYNOPSIS\n.B cellwall\n.I COMMAND\n[\\-\\-flags] [arguments]\n.SH DESCRIPTION\n"
		    "Talks to cellwalld over its unix socket. Reading never asks. A change that can drop "
		    "traffic shows its plan and asks; without a terminal it needs \\-y.\n"
		    "A REF names a thing everywhere alike: ns/shop, shop/deploy/web, shop/app=web, an address "
		    "or CIDR, fqdn/NAME, and the words host remote\\-node world unknown multicast.\n");
	man_commands(b);
	buf_adds(b, ".SH GLOBAL FLAGS\n");
	for (unsigned f = 0; f < FLAG_COUNT; f++)
		if (FS_GLOBAL >> f & 1)
			man_flag(b, f);
	buf_adds(b, ".SH FLAGS OF COMMANDS\n");
	for (unsigned f = 0; f < FLAG_COUNT; f++)
		if (!(FS_GLOBAL >> f & 1))
			man_flag(b, f);
	buf_adds(b, ".SH EXIT STATUS\n");
	for (size_t i = 0; i < ARRAY_SIZE(codes); i++) {
		buf_printf(b, ".TP\n.B %s\n", codes[i].code);
		roff_put(b, codes[i].text);
		buf_adds(b, "\n");
	}
	buf_adds(b, ".SH ENVIRONMENT\n");
	for (size_t i = 0; i < ARRAY_SIZE(env); i++) {
		buf_printf(b, ".TP\n.B %s\n", env[i].name);
		roff_put(b, env[i].text);
		buf_adds(b, "\n");
	}
	buf_adds(b, ".SH FILES\n.TP\n.I /etc/cellwall/cellwall.yaml\n.TQ\n.I ~/.config/cellwall/config.yaml\n"
		    "Settings: server, output, lang, color, timeout, time, pager, ambiguous. A flag comes before "
		    "the environment, that before the user's file, that before the system's.\n"
		    ".SH SEE ALSO\n.BR cellwalld (8),\n.BR cellwalld.yaml (5)\n");
}
