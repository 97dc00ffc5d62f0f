/* SPDX-License-Identifier: Apache-2.0 */
/*
 * ctl.h - the `cellwall` program: one command table makes the parser, the help, the completions
 * and the man page. Commands fetch JSON from the daemon and hand it to a view.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>

#include "base/buf.h"
#include "base/fail.h"
#include "base/json.h"
#include "ctl/msg.h"

enum {
	EXIT_OK = 0,
	EXIT_NO = 1,	     /* the answer is no */
	EXIT_USAGE = 2,	     /* wrong use or bad input, nothing changed */
	EXIT_INCOMPLETE = 3,
	EXIT_REFUSED = 6,    /* by the system, nothing changed */
	EXIT_UNREACHABLE = 7,
	EXIT_REVERTED = 8,   /* changed, then reverted */
	EXIT_INTERRUPTED = 130,
};

enum flag_kind {
	FK_BOOL, FK_TEXT, FK_CHOICE, FK_CHOICES, FK_DURATION, FK_TIME, FK_COUNT, FK_REF, FK_PORT,
	FK_NS, FK_FILE, FK_OUTPUT,
};
enum flag {
#define F(id, ...) FLAG_##id,
#include "ctl/flags.def"
#undef F
	FLAG_COUNT
};
typedef unsigned __int128 flagset;
_Static_assert(FLAG_COUNT <= 128, "flagset has a bit per flag");
#define FB(id) ((flagset)1 << FLAG_##id)
struct flag_def {
	const char *name;
	char letter;
	enum flag_kind kind;
	const char *value, *choices;
	const char *help[LANG_COUNT];
};
extern const struct flag_def flag_defs[FLAG_COUNT];

/* Flags of every command; the others are named in the command table. */
#define FS_GLOBAL (FB(OUTPUT) | FB(LANG) | FB(COLOR) | FB(TIME) | FB(NO_PAGER) | FB(SERVER) | \
		   FB(TIMEOUT) | FB(QUIET) | FB(VERBOSE) | FB(HELP))
#define FS_TABLE (FB(COLUMNS) | FB(SORT_BY) | FB(NO_HEADERS))
#define FS_LIST (FS_TABLE | FB(LIMIT) | FB(WATCH) | FB(INPUT))
#define FS_WINDOW (FB(SINCE) | FB(UNTIL))
#define FS_FILTER (FB(SRC) | FB(DST) | FB(PEER) | FB(PORT) | FB(VERDICT) | FB(SIDE) | FB(REASON) | \
		   FB(SEARCH) | FB(NOT))
#define FS_ASK (FB(DRY_RUN) | FB(YES) | FB(EXIT_CODE))
#define FS_FLOWS (FB(KEEP) | FB(CUT) | FB(RESET))
#define FS_CHANGE (FS_ASK | FS_FLOWS | FB(CONFIRM) | FB(ACCEPT))
/* Picking accesses for a bulk decision. */
#define FS_PICK (FB(NAMESPACE) | FB(SRC) | FB(DST) | FB(PEER) | FB(PORT) | FB(STATE) | FB(ANSWERED) | \
		 FB(SEARCH))

struct ctl;
struct command {
	const char *words; /* "access list|accesses" */
	const char *args;
	unsigned least, most;
	flagset flags;
	int (*run)(struct ctl *c); /* exit code */
	const char *help[LANG_COUNT];
	const char *examples[3];
};
extern const struct command commands[];
extern const size_t ncommands;

#define CTL_ARGS_MAX 1024u
#define CTL_REPEAT_MAX 256u

enum format { FMT_TABLE, FMT_WIDE, FMT_JSON, FMT_YAML, FMT_CSV, FMT_NAME, FMT_OTHER };
struct output {
	enum format format;
	char name[16]; /* the word given: topology has formats of its own */
	const char *file; /* NULL: standard output */
};
#define OUTPUTS_MAX 8u

enum time_style { TIME_DEFAULT, TIME_AGE, TIME_LOCAL, TIME_ISO };

/* What the process gives; tests give their own. */
struct ctl_io {
	FILE *in, *out, *err;
	bool in_tty, out_tty, err_tty;
	int width, height; /* of the terminal; width 0: not limited */
	int64_t now_ns;	   /* 0: the clock */
	const char *etc_config; /* NULL: /etc/cellwall/cellwall.yaml */
	unsigned watch_rounds; /* 0: until interrupted */
};

/* Where a setting came from, for `config show`. */
enum origin_of { FROM_DEFAULT, FROM_ETC, FROM_HOME, FROM_ENV, FROM_FLAG, FROM_COUNT };
struct setting {
	const char *key;  /* of the YAML files */
	const char *env;
	enum flag flag;	  /* FLAG_COUNT: none */
	const char *dflt;
	char *value;
	enum origin_of from;
};
enum setting_id {
	SET_SERVER, SET_OUTPUT, SET_LANG, SET_COLOR, SET_TIMEOUT, SET_TIME, SET_PAGER, SET_AMBIGUOUS,
	SET_COUNT
};

struct ctl {
	struct ctl_io io;
	const struct command *cmd;
	const char *args[CTL_ARGS_MAX]; /* without the command's words */
	unsigned nargs;
	flagset given;
	struct { const char **v; size_t n, cap; } values[FLAG_COUNT]; /* in the order given */
	flagset negated; /* filters after --not */
	struct setting settings[SET_COUNT];
	struct output outputs[OUTPUTS_MAX];
	size_t noutputs;
	enum lang lang;
	bool color;
	enum time_style time;
	uint32_t timeout_ms;
	struct http_client *client;
	struct fail_list fails;
	cJSON *input; /* --input, read once */
	void *watch;  /* state of --watch between rounds */
};

/* The whole program but for exit(): parses, runs, prints. argv[0] is the program's name. */
int ctl_main(int argc, char **argv, const struct ctl_io *io);

/* ---- flags ----------------------------------------------------------------------------------- */

/* Parses argv into c; 0 or an exit code after having filled c->fails. */
int args_parse(struct ctl *c, int argc, char **argv);
static inline bool flag_given(const struct ctl *c, enum flag f) { return c->given >> f & 1; }
/* The last value given, or NULL. */
const char *flag_str(const struct ctl *c, enum flag f);
/* All values joined with commas (malloc'ed), NULL when not given. */
char *flag_join(const struct ctl *c, enum flag f);
/* The command's first form without alias: "access list". out: 64 bytes. */
const char *command_words(const struct command *cmd, char out[64]);
/* The command that words begin; *ret_used of them. NULL: none. */
const struct command *command_find(const char *const *words, unsigned n, unsigned *ret_used);
static inline flagset command_flags(const struct command *cmd) { return cmd->flags | FS_GLOBAL; }

/* ---- settings (settings.c) ------------------------------------------------------------------- */

/* Values from the files and the environment; flags are laid over by settings_apply. */
void settings_load(struct ctl *c);
int settings_apply(struct ctl *c);
void settings_done(struct ctl *c);
const char *setting_from_str(enum origin_of from);

/* ---- errors (errors.c) ----------------------------------------------------------------------- */

/* Adds a fault of the command line with translated texts and returns EXIT_USAGE. */
int usage_fail(struct ctl *c, const char *name, const char *at, const char *expected,
	       const char *next, enum msg m, ...) __attribute__((sentinel));
/* Prints c->fails as people or machines want them, and forgets them. */
void fails_print(struct ctl *c);
int exit_of_status(int status);

/* ---- the daemon (api.c) ---------------------------------------------------------------------- */

#define QUERY_PAIRS_MAX 40u
struct query {
	struct { const char *name; char *value; } v[QUERY_PAIRS_MAX];
	size_t n;
};
/* value NULL adds nothing. The value is copied. */
void query_add(struct query *q, const char *name, const char *value);
void query_done(struct query *q);
/* Adds namespace, window, limit and filter flags as the API names them. */
void query_flags(struct ctl *c, struct query *q);
/* Body may be NULL. 0: *ret is the answer (owned by the caller). Otherwise the exit code, with
 * the faults in c->fails. */
int api_call(struct ctl *c, const char *method, const char *path, const struct query *q,
	     const cJSON *body, cJSON **ret);
/* The same for an answer that is not JSON. */
int api_text(struct ctl *c, const char *path, const struct query *q, char **ret, size_t *ret_len);
/* GET, or the --input file. */
int api_get(struct ctl *c, const char *path, const struct query *q, cJSON **ret);
/* An exit code after having added the fault for a transport error. */
int api_unreachable(struct ctl *c, int err);
/* Opens the connection if not open yet. 0 or an exit code. */
int api_open(struct ctl *c);

/* ---- output ---------------------------------------------------------------------------------- */

enum col_kind { COL_STR, COL_NUM, COL_AGE, COL_WHEN, COL_VERDICT, COL_BOOL, COL_LIST };
#define COL_CUT 1u   /* a name: may be cut in the middle */
#define COL_WIDE 2u  /* only with -o wide */
#define COL_OPT 4u   /* goes when the terminal is too narrow, and that is said */
struct col {
	const char *key; /* key of the item, and name for --columns and csv */
	enum msg title;
	enum col_kind kind;
	unsigned flags;
	/* appends the text; NULL: by kind from `key` */
	void (*text)(struct ctl *c, const cJSON *item, struct buf *b);
	int min_width; /* for --follow, where rows are not known in advance */
};
struct view {
	const struct col *cols;
	size_t ncols;
	const char *items;    /* key of the array; NULL: "items" */
	const char *name_key; /* for -o name; NULL: no such format */
	/* before and after the table, or all of it when there are no cols */
	void (*before)(struct ctl *c, const cJSON *doc, struct buf *b);
	void (*after)(struct ctl *c, const cJSON *doc, struct buf *b);
};

/* Writes doc in each asked-for format. 0 or an exit code. */
int emit(struct ctl *c, const cJSON *doc, const struct view *v);
/* The same once for plain text (dot, yaml of the daemon, ...): standard output or the file. */
int emit_text(struct ctl *c, const struct output *o, const char *s, size_t n);
/* Indented JSON with a line end; hidden characters are escaped. */
void put_json(struct buf *b, const cJSON *j);
/* True unless standard output is for machines. */
bool wants_human(const struct ctl *c);
/* GET + emit, with --watch and --limit. */
int list_run(struct ctl *c, const char *path, struct query *q, const struct view *v);
/* GET with follow=1: one row or one JSON line each. */
int follow_run(struct ctl *c, const char *path, struct query *q, const struct view *v);

void table_print(struct ctl *c, const cJSON *items, const struct view *v, bool wide, struct buf *b);
void csv_print(struct ctl *c, const cJSON *items, const struct view *v, struct buf *b);
/* Resolves --columns and --sort-by. 0 or EXIT_USAGE. */
int columns_check(struct ctl *c, const struct view *v);

/* Texts. b gets escaped text: control and bidi characters are made visible. */
void put_str(struct buf *b, const char *s);
void put_num(struct buf *b, int64_t n);			   /* 918,204 */
void put_time(struct ctl *c, struct buf *b, const char *rfc3339, enum time_style dflt);
void put_duration(struct buf *b, int64_t ms);		   /* "6d 02h", "12m 05s", "0.4 s" */
/* The same as texts of their own, in local time; the caller frees. NULL: no memory. */
char *time_text(struct ctl *c, const char *rfc3339);
char *duration_text(int64_t ms);
void put_micros(struct buf *b, int64_t us);		   /* "87 us", "3.1 ms", "0.4 s" */
void put_verdict(struct ctl *c, struct buf *b, const char *word);
void put_by(struct ctl *c, struct buf *b, const cJSON *by); /* "manual no-smtp" */
/* A sentence of the catalogue, wrapped; "next" lines below it. */
void put_line(struct ctl *c, struct buf *b, enum msg m, ...) __attribute__((sentinel));
void put_next(struct ctl *c, struct buf *b, const char *command);

/* ---- changes (plan.c) ------------------------------------------------------------------------ */

struct change {
	const char *method, *path; /* POST by default */
	cJSON *body;		   /* owned by the caller; may be NULL */
	bool at_once;		   /* never asks (quarantine) */
	const char *again;	   /* command to show when --accept or -y is missing; may be NULL */
	/* prints the result for people; NULL: plan_done_print */
	void (*done)(struct ctl *c, const cJSON *plan, struct buf *b);
};
/* Plan, show, ask, make. Exit code. */
int change_run(struct ctl *c, const struct change *ch);
void plan_print(struct ctl *c, const cJSON *plan, struct buf *b);
void plan_done_print(struct ctl *c, const cJSON *plan, struct buf *b);

/* ---- REFs and documents ---------------------------------------------------------------------- */

/* "-n shop deploy/web" is "shop/deploy/web". malloc'ed, NULL after a fault was added. */
char *ref_complete(struct ctl *c, const char *arg, const char *next);
/* A whole file, or standard input for "-". 0 or a negative errno. */
int input_read(struct ctl *c, const char *path, size_t max, char **ret, size_t *ret_len);
/* [{file, text}] of files, folders and -. 0 or an exit code. */
int documents_of(struct ctl *c, const char *const *paths, size_t n, cJSON **ret);
/* `documents`, if -f is given. 0 or an exit code. */
int documents_put(struct ctl *c, cJSON *body);

/* ---- help, completion, explain --------------------------------------------------------------- */

void help_print(struct ctl *c, const struct command *cmd, struct buf *b); /* NULL: overview */
void man_print(struct buf *b);
void man_config_print(struct buf *b); /* cellwalld.yaml(5), from the table of its keys */
/* `cellwall __complete N WORD...`: candidates for word N, one a line. */
int complete_run(struct ctl *c, int argc, char **argv);
/* Sentence for a subject of the daemon's Explanation; false: no such key. */
bool explain_put(struct ctl *c, struct buf *b, const cJSON *explanation);
/* Finds word in reasons and errors for `help WORD`; appends what matches. */
size_t explain_search(struct ctl *c, const char *word, struct buf *b);
/* The sentence on an error or reason in the asked-for language, or NULL. */
const char *explain_text(const char *name, enum lang lang, const char **ret_next);

#define C(id, words, args, least, most, flags, run, ...) int run(struct ctl *c);
#include "ctl/commands.def"
#undef C
