/* SPDX-License-Identifier: Apache-2.0 */
/* man.c - cellwall(1) from the command and flag tables, cellwalld.yaml(5) from the table of keys. */
#include <stdio.h>
#include <string.h>

#include "base/cleanup.h"
#include "config/config.h"
#include "ctl/ctl.h"

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

void man_config_print(struct buf *b)
{
	buf_adds(b, ".TH CELLWALLD.YAML 5\n.SH NAME\ncellwalld.yaml \\- configuration of cellwalld\n"
		    ".SH DESCRIPTION\n.I /etc/cellwall/cellwalld.yaml\n"
		    "is one YAML document. Every key may be left out; unknown and duplicate keys are errors, and all "
		    "errors are reported in one run. A key written as a.b stands inside the object a.\n"
		    ".SH KEYS\n");
	for (size_t i = 0; i < config_nkeys; i++) {
		const struct config_key *k = &config_keys[i];

		buf_adds(b, ".TP\n.B ");
		roff_put(b, k->path);
		buf_adds(b, "\n");
		roff_put(b, k->doc_en);
		if (k->nwords) {
			buf_adds(b, "\nOne of: ");
			for (size_t w = 0; w < k->nwords; w++) {
				buf_adds(b, w ? ", " : "");
				roff_put(b, k->words[w]);
			}
			buf_adds(b, ".");
		}
		buf_adds(b, "\nDefault: ");
		roff_put(b, *k->dflt ? k->dflt : "\"\"");
		buf_adds(b, "\n");
	}
	buf_adds(b, ".SH SEE ALSO\n.BR cellwalld (8),\n.BR cellwall (1)\n");
}
