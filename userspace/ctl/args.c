/* SPDX-License-Identifier: Apache-2.0 */
/* args.c - argv to a command, its arguments and its flags, by the tables. */
#include <string.h>

#include "base/cleanup.h"
#include "base/strparse.h"
#include "base/vec.h"
#include "ctl/ctl.h"
#include "policy/model.h"

#define ARG_BYTES_MAX 65536u
#define WORDS_MAX 512u

const struct flag_def flag_defs[FLAG_COUNT] = {
#define F(id, name, letter, kind, value, choices, en, zh) \
	[FLAG_##id] = { name, letter, kind, value, choices, { en, zh } },
#include "ctl/flags.def"
#undef F
};

const struct command commands[] = {
#define C(id, words, args, least, most, flags, run, en, zh, ...) \
	{ words, args, least, most, flags, run, { en, zh }, { __VA_ARGS__ } },
#include "ctl/commands.def"
#undef C
};
const size_t ncommands = ARRAY_SIZE(commands);

/* ---- commands -------------------------------------------------------------------------------- */

const char *command_words(const struct command *cmd, char out[64])
{
	size_t n = strcspn(cmd->words, "|");

	memcpy(out, cmd->words, n < 63 ? n : 63);
	out[n < 63 ? n : 63] = '\0';
	return out;
}

/* How many of the words one form ("access list", "accesses") takes, 0: it does not match. */
static unsigned form_match(const char *form, size_t len, const char *const *words, unsigned n)
{
	unsigned used = 0;

	while (len) {
		size_t w = 0;

		while (w < len && form[w] != ' ')
			w++;
		if (used == n || strlen(words[used]) != w || memcmp(words[used], form, w))
			return 0;
		used++;
		form += w;
		len -= w;
		if (len) {
			form++;
			len--;
		}
	}
	return used;
}

const struct command *command_find(const char *const *words, unsigned n, unsigned *ret_used)
{
	const struct command *best = NULL;

	*ret_used = 0;
	for (size_t i = 0; i < ncommands; i++) {
		const char *p = commands[i].words;

		while (p) {
			size_t len = strcspn(p, "|");
			unsigned used = form_match(p, len, words, n);

			if (used > *ret_used) {
				*ret_used = used;
				best = &commands[i];
			}
			p = p[len] ? p + len + 1 : NULL;
		}
	}
	return best;
}

/* First words of all forms, or second words of those that begin with `first`. */
static size_t words_collect(const char *first, char (*out)[32], const char **list, size_t max)
{
	size_t n = 0;

	for (size_t i = 0; i < ncommands; i++) {
		const char *p = commands[i].words;

		while (p && n < max) {
			size_t len = strcspn(p, "|"), w = strcspn(p, " |"), k;
			const char *at = p;

			if (first) {
				bool match = strlen(first) == w && !memcmp(p, first, w) && w < len;

				at = match ? p + w + 1 : NULL;
				w = match ? len - w - 1 : 0;
			}
			if (at && w < 32) {
				memcpy(out[n], at, w);
				out[n][w] = '\0';
				for (k = 0; k < n && strcmp(out[k], out[n]); k++)
					;
				if (k == n) {
					list[n] = out[n];
					n++;
				}
			}
			p = p[len] ? p + len + 1 : NULL;
		}
	}
	return n;
}

static char *list_join(const char *const *list, size_t n)
{
	struct buf b;

	buf_init(&b, 8192);
	for (size_t i = 0; i < n; i++)
		buf_printf(&b, "%s%s", i ? ", " : "", list[i]);
	return buf_take(&b, NULL);
}

static char *expected_words(struct ctl *c, const char *const *list, size_t n, const char *given)
{
	auto_free char *all = list_join(list, n);
	const char *near = given ? nearest_word(given, list, n) : NULL;
	struct buf b;

	buf_init(&b, 8192);
	msg_put(&b, c->lang, near ? M_ONE_OF_NEAR : M_ONE_OF, "list", all, "near", near, NULL);
	return buf_take(&b, NULL);
}

static int unknown_command(struct ctl *c, const char *const *words, unsigned n)
{
	char store[128][32];
	const char *list[128];
	size_t k = words_collect(words[0], store, list, ARRAY_SIZE(list));
	auto_free char *expected = NULL, *at = NULL, *next = NULL;
	struct buf b;

	buf_init(&b, 1024);
	if (k) { /* the noun is known */
		expected = expected_words(c, list, k, n > 1 ? words[1] : NULL);
		buf_printf(&b, "cellwall help %s", words[0]);
		next = buf_take(&b, NULL);
		buf_init(&b, ARG_BYTES_MAX);
		buf_printf(&b, n > 1 ? "%s %s" : "%s", words[0], n > 1 ? words[1] : "");
		at = buf_take(&b, NULL);
		return usage_fail(c, "cli.unknown-command", at, expected, next,
				  n > 1 ? M_E_UNKNOWN_VERB : M_E_MISSING_VERB, "noun", words[0], "verb",
				  n > 1 ? words[1] : "", NULL);
	}
	k = words_collect(NULL, store, list, ARRAY_SIZE(list));
	expected = expected_words(c, list, k, words[0]);
	return usage_fail(c, "cli.unknown-command", words[0], expected, "cellwall help",
			  M_E_UNKNOWN_COMMAND, "word", words[0], NULL);
}

/* ---- flag values ----------------------------------------------------------------------------- */

static int bad_value(struct ctl *c, enum flag f, const char *value, const char *expected)
{
	char next[128], at[512], w[64];

	snprintf(at, sizeof(at), "--%s %.400s", flag_defs[f].name, value);
	snprintf(next, sizeof(next), "cellwall help%s%s", c->cmd ? " " : "", c->cmd ? command_words(c->cmd, w) : "");
	return usage_fail(c, "cli.flag-value", at, expected, next, M_E_FLAG_VALUE, "flag",
			  flag_defs[f].name, "value", value, NULL);
}

static bool choice_has(const char *choices, const char *s, size_t n)
{
	while (choices) {
		size_t len = strcspn(choices, ",");

		if (len == n && !memcmp(choices, s, n))
			return true;
		choices = choices[len] ? choices + len + 1 : NULL;
	}
	return false;
}

static int choice_check(struct ctl *c, enum flag f, const char *value)
{
	const struct flag_def *d = &flag_defs[f];
	const char *list[16], *p;
	char store[16][24];
	size_t n = 0;

	for (p = d->choices; p && n < 16; n++) {
		size_t len = strcspn(p, ",");

		memcpy(store[n], p, len);
		store[n][len] = '\0';
		list[n] = store[n];
		p = p[len] ? p + len + 1 : NULL;
	}
	p = value;
	while (p) {
		size_t len = d->kind == FK_CHOICES ? strcspn(p, ",") : strlen(p);

		if (!choice_has(d->choices, p, len)) {
			auto_free char *word = strndup(p, len);
			auto_free char *expected = expected_words(c, list, n, word);

			return bad_value(c, f, value, expected);
		}
		p = p[len] ? p + len + 1 : NULL;
	}
	return 0;
}

static int port_check(struct ctl *c, enum flag f, const char *value)
{
	struct port_spec p = {};
	int r = port_spec_parse(value, &p);

	port_spec_done(&p);
	return r ? bad_value(c, f, value,
			     msg_text(M_X_PORT, c->lang)) : 0;
}

static int value_check(struct ctl *c, enum flag f, const char *v)
{
	uint64_t u;
	int64_t t;

	if (strlen(v) > ARG_BYTES_MAX)
		return bad_value(c, f, "...", msg_text(M_X_SHORTER, c->lang));
	switch (flag_defs[f].kind) {
	case FK_CHOICE:
	case FK_CHOICES:
		return choice_check(c, f, v);
	case FK_DURATION:
		return parse_duration_ms(v, UINT32_MAX * 10ull, &u) < 0 || !u ?
			       bad_value(c, f, v, msg_text(M_X_DURATION, c->lang)) : 0;
	case FK_TIME:
		return parse_duration_ms(v, UINT64_MAX / 4, &u) < 0 && parse_time_ns(v, &t) < 0 ?
			       bad_value(c, f, v, msg_text(M_X_TIME, c->lang)) : 0;
	case FK_COUNT:
		return parse_u64(v, 0, 100000000, &u) < 0 ?
			       bad_value(c, f, v, msg_text(M_X_COUNT, c->lang)) : 0;
	case FK_PORT:
		return port_check(c, f, v);
	case FK_NS:
	case FK_REF:
	case FK_FILE:
		return *v ? 0 : bad_value(c, f, v, msg_text(M_X_NOT_EMPTY, c->lang));
	case FK_BOOL:
	case FK_TEXT:
	case FK_OUTPUT: /* read in settings.c */
		break;
	}
	return 0;
}

static int flag_add(struct ctl *c, enum flag f, const char *value)
{
	if (c->values[f].n >= CTL_REPEAT_MAX)
		return bad_value(c, f, value, msg_text(M_X_FEWER, c->lang));
	c->given |= (flagset)1 << f;
	if (vec_push(&c->values[f], value))
		return EXIT_REFUSED;
	return 0;
}

const char *flag_str(const struct ctl *c, enum flag f)
{
	return c->values[f].n ? c->values[f].v[c->values[f].n - 1] : NULL;
}

char *flag_join(const struct ctl *c, enum flag f)
{
	struct buf b;

	if (!flag_given(c, f))
		return NULL;
	buf_init(&b, CTL_REPEAT_MAX * ARG_BYTES_MAX);
	for (size_t i = 0; i < c->values[f].n; i++)
		buf_printf(&b, "%s%s", i ? "," : "", c->values[f].v[i]);
	return buf_take(&b, NULL);
}

/* ---- argv ------------------------------------------------------------------------------------ */

static int unknown_flag(struct ctl *c, const char *arg, size_t len)
{
	const char *list[FLAG_COUNT];
	auto_free char *word = strndup(arg + 2, len > 2 ? len - 2 : 0);
	const char *near;
	char expected[128] = "", next[96], w[64];
	size_t n = 0;

	for (unsigned f = 0; f < FLAG_COUNT; f++)
		if (!c->cmd || command_flags(c->cmd) >> f & 1)
			list[n++] = flag_defs[f].name;
	near = word ? nearest_word(word, list, n) : NULL;
	if (near)
		snprintf(expected, sizeof(expected), "--%s", near);
	snprintf(next, sizeof(next), "cellwall help%s%s", c->cmd ? " " : "", c->cmd ? command_words(c->cmd, w) : "");
	return usage_fail(c, "cli.unknown-flag", arg, near ? expected : NULL, next, M_E_UNKNOWN_FLAG, "flag",
			  arg, NULL);
}

/* One "--name[=value]"; *i moves over a value that stands apart. */
static int long_flag(struct ctl *c, int argc, char **argv, int *i, enum flag *ret)
{
	const char *arg = argv[*i], *eq = strchr(arg, '=');
	size_t len = eq ? (size_t)(eq - arg) : strlen(arg);
	const char *value = eq ? eq + 1 : NULL;
	unsigned f;

	for (f = 0; f < FLAG_COUNT; f++)
		if (strlen(flag_defs[f].name) == len - 2 && !memcmp(flag_defs[f].name, arg + 2, len - 2))
			break;
	if (f == FLAG_COUNT)
		return unknown_flag(c, arg, len);
	*ret = f;
	if (flag_defs[f].kind == FK_BOOL) {
		if (value)
			return bad_value(c, f, value, msg_text(M_X_NO_VALUE, c->lang));
		return flag_add(c, f, "1");
	}
	if (!value) {
		if (*i + 1 >= argc)
			return usage_fail(c, "cli.flag-value", arg, flag_defs[f].value, "cellwall help",
					  M_E_FLAG_NO_VALUE, "flag", flag_defs[f].name, NULL);
		value = argv[++*i];
	}
	return flag_add(c, f, value);
}

/* "-Aw", "-n shop", "-nshop". */
static int short_flags(struct ctl *c, int argc, char **argv, int *i, enum flag *ret)
{
	for (const char *p = argv[*i] + 1; *p; p++) {
		unsigned f;
		int r;

		for (f = 0; f < FLAG_COUNT && flag_defs[f].letter != *p; f++)
			;
		if (f == FLAG_COUNT)
			return usage_fail(c, "cli.unknown-flag", argv[*i], "-n -A -l -o -f -w -y -q -v -h",
					  "cellwall help", M_E_UNKNOWN_FLAG, "flag", argv[*i], NULL);
		*ret = f;
		if (flag_defs[f].kind == FK_BOOL) {
			r = flag_add(c, f, "1");
			if (r)
				return r;
			continue;
		}
		if (p[1])
			return flag_add(c, f, p[1] == '=' ? p + 2 : p + 1);
		if (*i + 1 >= argc)
			return usage_fail(c, "cli.flag-value", argv[*i], flag_defs[f].value,
					  "cellwall help", M_E_FLAG_NO_VALUE, "flag", flag_defs[f].name,
					  NULL);
		return flag_add(c, f, argv[++*i]);
	}
	return 0;
}

static const flagset filters = FB(SRC) | FB(DST) | FB(PEER) | FB(PORT) | FB(VERDICT) | FB(REASON) |
			       FB(SEARCH) | FB(RULE) | FB(ORIGIN) | FB(STATE) | FB(ANSWERED) | FB(SIDE);

static int not_check(struct ctl *c, bool *pending, enum flag f)
{
	if (f == FLAG_NOT) {
		*pending = true;
		return 0;
	}
	if (!*pending)
		return 0;
	*pending = false;
	if (!(filters >> f & 1))
		return usage_fail(c, "cli.not", flag_defs[f].name, "--not --src REF", NULL, M_E_NOT, NULL);
	c->negated |= (flagset)1 << f;
	return 0;
}

static int count_check(struct ctl *c)
{
	char w[64], usage[160], next[96], at[32];

	if (c->nargs >= c->cmd->least && c->nargs <= c->cmd->most)
		return 0;
	snprintf(usage, sizeof(usage), "cellwall %s%s%s", command_words(c->cmd, w),
		 *c->cmd->args ? " " : "", c->cmd->args);
	snprintf(next, sizeof(next), "cellwall help %s", w);
	snprintf(at, sizeof(at), "%u", c->nargs);
	return usage_fail(c, "cli.arguments", c->nargs > c->cmd->most ? c->args[c->cmd->most] : w, usage,
			  next, c->nargs > c->cmd->most ? M_E_MANY_ARGS : M_E_FEW_ARGS, "command", w,
			  "n", at, NULL);
}

static int flags_check(struct ctl *c)
{
	char w[64], next[96];
	int r = 0;

	command_words(c->cmd, w);
	snprintf(next, sizeof(next), "cellwall help %s", w);
	for (unsigned f = 0; f < FLAG_COUNT; f++) {
		char name[40];

		if (!(c->given >> f & 1))
			continue;
		snprintf(name, sizeof(name), "--%s", flag_defs[f].name);
		if (!(command_flags(c->cmd) >> f & 1))
			r = usage_fail(c, "cli.flag-not-here", name, NULL, next, M_E_FLAG_NOT_HERE, "flag",
				       name, "command", w, NULL);
		for (size_t i = 0; i < c->values[f].n; i++)
			r = value_check(c, f, c->values[f].v[i]) ?: r;
	}
	if (flag_given(c, FLAG_EXIT_CODE) && !flag_given(c, FLAG_DRY_RUN))
		r = usage_fail(c, "cli.exit-code", "--exit-code", "--dry-run --exit-code", NULL,
			       M_E_EXIT_CODE, NULL);
	if (flag_given(c, FLAG_NAMESPACE) && flag_given(c, FLAG_ALL))
		r = usage_fail(c, "cli.scope", "-n -A", "-n NS, -A", NULL, M_E_SCOPE_TWICE, NULL);
	return r;
}

/* Faults of the parser itself already speak the asked-for language. */
static void lang_early(struct ctl *c, int argc, char **argv)
{
	for (int i = 1; i < argc; i++) {
		const char *v = !strncmp(argv[i], "--lang=", 7)			? argv[i] + 7 :
				!strcmp(argv[i], "--lang") && i + 1 < argc ? argv[i + 1] :
									     "";

		if (!strcmp(v, "zh"))
			c->lang = LANG_ZH;
		else if (!strcmp(v, "en"))
			c->lang = LANG_EN;
	}
}

/* The command as far as words without a dash tell: faults of flags name it. */
static void command_early(struct ctl *c, int argc, char **argv)
{
	const char *words[8] = {};
	unsigned n = 0, used;

	for (int i = 1; i < argc && n < ARRAY_SIZE(words); i++)
		if (argv[i][0] != '-')
			words[n++] = argv[i];
	c->cmd = command_find(words, n, &used);
}

int args_parse(struct ctl *c, int argc, char **argv)
{
	const char *words[WORDS_MAX];
	bool pending_not = false;
	unsigned n = 0, used;
	int r;

	lang_early(c, argc, argv);
	command_early(c, argc, argv);
	for (int i = 1; i < argc; i++) {
		enum flag f = FLAG_COUNT;
		const char *a = argv[i];

		if (!strcmp(a, "--")) {
			for (i++; i < argc && n < WORDS_MAX; i++)
				words[n++] = argv[i];
			break;
		}
		if (a[0] != '-' || !a[1]) { /* "-" is standard input */
			if (n == WORDS_MAX)
				return usage_fail(c, "cli.arguments", a, NULL, NULL, M_E_MANY_ARGS,
						  "command", "", NULL);
			words[n++] = a;
			continue;
		}
		r = a[1] == '-' ? long_flag(c, argc, argv, &i, &f) : short_flags(c, argc, argv, &i, &f);
		if (!r && f != FLAG_COUNT)
			r = not_check(c, &pending_not, f);
		if (r)
			return r;
	}
	if (pending_not)
		return usage_fail(c, "cli.not", "--not", "--not --src REF", NULL, M_E_NOT, NULL);
	if (!n) /* the overview is the help command without words */
		words[n++] = "help";
	c->cmd = command_find(words, n, &used);
	if (!c->cmd)
		return flag_given(c, FLAG_HELP) ? 0 : unknown_command(c, words, n);
	for (unsigned k = used; k < n && c->nargs < CTL_ARGS_MAX; k++)
		c->args[c->nargs++] = words[k];
	if (flag_given(c, FLAG_HELP))
		return 0;
	r = flags_check(c);
	return r ?: count_check(c);
}
