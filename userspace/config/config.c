/* SPDX-License-Identifier: Apache-2.0 */
/* config.c - text to struct config, by the key table. */
#include "config/config.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"
#include "base/doc.h"
#include "base/file.h"
#include "base/strparse.h"

static void *field(struct config *c, const struct config_key *k)
{
	return (char *)c + k->offset;
}

/* ---- one value of each type: 0 with faults counted, or -ENOMEM ----------------------------------- */

static int read_word(struct doc *d, const struct config_key *k, const cJSON *v, uint64_t *ret)
{
	const char *yes = cJSON_IsTrue(v) ? "true" : cJSON_IsFalse(v) ? "false" : NULL;
	size_t i;

	/* Where these are among the words, a file may have them without quotes. */
	for (i = 0; yes && i < k->nwords; i++) {
		if (strcmp(k->words[i], yes))
			continue;
		*ret = k->values[i];
		return 0;
	}
	if (doc_word(d, v, k->words, k->nwords, &i))
		*ret = k->values[i];
	return 0;
}

struct list_ctx {
	const struct config_key *k;
	void *dst;
};

static int words_item(struct doc *d, const cJSON *v, void *ctx)
{
	struct list_ctx *x = ctx;
	uint64_t bit;
	size_t i;

	if (!doc_word(d, v, x->k->words, x->k->nwords, &i))
		return 0;
	bit = x->k->values[i];
	if (*(uint64_t *)x->dst & bit)
		return doc_fault(d, v, "duplicate", "each word once", "this word is given twice");
	*(uint64_t *)x->dst |= bit;
	return 0;
}

static int prefixes_item(struct doc *d, const cJSON *v, void *ctx)
{
	struct config_prefixes *p = ((struct list_ctx *)ctx)->dst;
	struct prefix one;
	const char *s;

	if (!doc_text(d, v, 256, &s))
		return 0;
	switch (prefix_parse(s, &one)) {
	case 0:
		break;
	case -ERANGE:
		return doc_fault(d, v, "cidr-length",
				 strchr(s, ':') ? "a length from 0 to 128" : "a length from 0 to 32",
				 "the prefix length is out of range");
	case -EDOM:
		return doc_fault(d, v, "cidr-host-bits", "no bits set beyond the length",
				 "bits are set beyond the prefix length");
	default:
		return doc_fault(d, v, "cidr", "ADDRESS/LENGTH, such as 10.0.0.0/8 or fd00:20::/48",
				 "this is no address prefix");
	}
	for (size_t i = 0; i < p->n; i++)
		if (prefix_cmp(&p->v[i], &one) == 0)
			return doc_fault(d, v, "duplicate", "each prefix once", "this prefix is given twice");
	p->v[p->n++] = one;
	return 0;
}

static int label_keys_item(struct doc *d, const cJSON *v, void *ctx)
{
	struct config_texts *t = ((struct list_ctx *)ctx)->dst;
	const char *s;

	if (!doc_text(d, v, 512, &s))
		return 0;
	if (!is_label_key(s))
		return doc_fault(d, v, "label-key", "NAME or PREFIX/NAME", "this is no valid label key");
	t->v[t->n] = strdup(s);
	if (!t->v[t->n])
		return -ENOMEM;
	t->n++;
	return 0;
}

/* Its form only: whether it is somewhere is found out by going there. */
static bool is_host_port(const char *s, bool may_lack_host)
{
	const char *end = s, *port = NULL;
	uint64_t n;

	if (*s == '[') {
		end = strchr(s, ']');
		if (!end || end == s + 1 || (end[1] && end[1] != ':'))
			return false;
		port = end[1] ? end + 2 : NULL;
		s++;
	} else {
		const char *colon = strchr(s, ':');

		port = colon && !strchr(colon + 1, ':') ? colon + 1 : NULL; /* two: a bare IPv6 address */
		end = port ? colon : s + strlen(s);
	}
	if ((end == s && !(may_lack_host && port)) || end - s > 253)
		return false;
	for (const char *p = s; p < end; p++)
		if (!strchr("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789.-:%_", *p))
			return false;
	return !port || (strlen(port) <= 5 && parse_u64(port, 1, 65535, &n) == 0);
}

static int hosts_item(struct doc *d, const cJSON *v, void *ctx)
{
	struct list_ctx *x = ctx;
	struct config_texts *t = x->dst;
	const char *s;

	if (!doc_text(d, v, 270, &s))
		return 0;
	if (!is_host_port(s, x->k->max))
		return doc_fault(d, v, "address", x->k->max ? "HOST:PORT, [IPV6]:PORT or :PORT" : "HOST, HOST:PORT or [IPV6]:PORT",
				 "this is no network address");
	t->v[t->n] = strdup(s);
	if (!t->v[t->n])
		return -ENOMEM;
	t->n++;
	return 0;
}

static int ids_item(struct doc *d, const cJSON *v, void *ctx)
{
	struct list_ctx *x = ctx;
	struct config_ids *ids = x->dst;
	uint64_t n;

	if (doc_u64(d, v, 0, x->k->max, &n))
		ids->v[ids->n++] = (uint32_t)n;
	return 0;
}

static void texts_done(struct config_texts *t)
{
	for (size_t i = 0; i < t->n; i++)
		free(t->v[i]);
	free(t->v);
	*t = (struct config_texts){};
}

static void list_done(enum config_type type, void *list)
{
	if (type == CONFIG_LABEL_KEYS || type == CONFIG_HOSTS)
		texts_done(list);
	else
		free(((struct config_prefixes *)list)->v);
}

/* Lists replace what stood there, whole or not at all. All begin with their pointer. */
static int read_list(struct doc *d, const struct config_key *k, const cJSON *v, void *dst, size_t size,
		     int (*item)(struct doc *d, const cJSON *v, void *ctx))
{
	union {
		struct config_prefixes prefixes;
		struct config_texts texts;
		struct config_ids ids;
	} list = {};
	struct list_ctx x = { k, &list };
	unsigned before = d->faults;
	int r = 0;

	_Static_assert(sizeof(struct config_prefixes) == sizeof(list), "lists look alike");
	_Static_assert(sizeof(struct config_texts) == sizeof(list), "lists look alike");
	_Static_assert(sizeof(struct config_ids) == sizeof(list), "lists look alike");
	if (cJSON_IsArray(v) && v->child && cJSON_GetArraySize(v) <= CONFIG_LIST_MAX) {
		list.prefixes.v = calloc((size_t)cJSON_GetArraySize(v), size);
		if (!list.prefixes.v)
			return -ENOMEM;
	}
	if (!cJSON_IsArray(v) || v->child) /* an empty list is how one says none */
		r = doc_list(d, v, CONFIG_LIST_MAX, item, &x);
	if (r < 0 || d->faults != before) {
		list_done(k->type, &list);
		return r;
	}
	list_done(k->type, dst);
	memcpy(dst, &list, sizeof(list));
	return 0;
}

static int read_words(struct doc *d, const struct config_key *k, const cJSON *v, uint64_t *ret)
{
	uint64_t bits = 0;
	struct list_ctx x = { k, &bits };
	unsigned before = d->faults;
	int r = 0;

	if (!cJSON_IsArray(v) || v->child)
		r = doc_list(d, v, CONFIG_LIST_MAX, words_item, &x);
	if (r == 0 && d->faults == before)
		*ret = bits;
	return r;
}

static int read_duration(struct doc *d, const struct config_key *k, const cJSON *v, uint64_t *ret)
{
	char expected[80];
	const char *s;
	uint64_t ms;
	int r;

	snprintf(expected, sizeof(expected), "a time such as 250ms, 60s, 15m or 1h30m, from %" PRIu64
		 "ms to %" PRIu64 "s", k->min, k->max / 1000);
	if (cJSON_IsNumber(v))
		return doc_fault(d, v, "duration", expected, "the number has no unit");
	if (!doc_text(d, v, 64, &s))
		return 0;
	r = parse_duration_ms(s, k->max, &ms);
	if (r == -EINVAL)
		return doc_fault(d, v, "duration", expected, "this is no length of time");
	if (r < 0 || ms < k->min)
		return doc_fault(d, v, "range", expected, "the time is out of range");
	*ret = ms;
	return 0;
}

static int replace(char **dst, const char *s)
{
	char *c = strdup(s);

	if (!c)
		return -ENOMEM;
	free(*dst);
	*dst = c;
	return 0;
}

static int read_name(struct doc *d, const struct config_key *k, const cJSON *v, char **ret)
{
	const char *s;

	if (!doc_text(d, v, 1024, &s))
		return 0;
	if (!(k->min == 0 && !*s) && !is_dns_name(s))
		return doc_fault(d, v, "name", "lowercase letters, digits, '-' and '.', at most 253",
				 "this is no valid name");
	return replace(ret, s);
}

static int read_text(struct doc *d, const struct config_key *k, const cJSON *v, char **ret)
{
	const char *s;

	if (!doc_text(d, v, k->max, &s))
		return 0;
	for (const char *p = s; *p; p++)
		if ((unsigned char)*p < 0x20 || *p == 0x7f)
			return doc_fault(d, v, "text", "no control characters", "this is more than a line of text");
	return replace(ret, s);
}

static int read_path(struct doc *d, const struct config_key *k, const cJSON *v, char **ret)
{
	const char *s;

	if (!doc_text(d, v, k->max, &s))
		return 0;
	if (!(k->min == 0 && !*s) && s[0] != '/')
		return doc_fault(d, v, "path", "a path that begins with /",
				 "the path is %s", *s ? "not absolute" : "empty");
	for (const char *p = s; *p; p++)
		if ((unsigned char)*p < 0x20 || *p == 0x7f)
			return doc_fault(d, v, "path", "no control characters", "this is no path");
	return replace(ret, s);
}

static int read_power(struct doc *d, const struct config_key *k, const cJSON *v, uint64_t *ret)
{
	uint64_t n;

	if (!doc_u64(d, v, k->min, k->max, &n))
		return 0;
	if (n & (n - 1))
		return doc_fault(d, v, "range", "a power of two, such as 1048576",
				 "the number is no power of two");
	*ret = n;
	return 0;
}

static int read_value(struct doc *d, const struct config_key *k, const cJSON *v, struct config *c)
{
	static const char *const doors[] = { "open", "closed" };
	void *dst = field(c, k);
	size_t i;

	switch (k->type) {
	case CONFIG_WORD:
		return read_word(d, k, v, dst);
	case CONFIG_WORDS:
		return read_words(d, k, v, dst);
	case CONFIG_NUMBER:
		(void)doc_u64(d, v, k->min, k->max, dst);
		return 0;
	case CONFIG_POWER:
		return read_power(d, k, v, dst);
	case CONFIG_DURATION:
		return read_duration(d, k, v, dst);
	case CONFIG_NAME:
		return read_name(d, k, v, dst);
	case CONFIG_TEXT:
		return read_text(d, k, v, dst);
	case CONFIG_PATH:
		return read_path(d, k, v, dst);
	case CONFIG_PREFIXES:
		return read_list(d, k, v, dst, sizeof(struct prefix), prefixes_item);
	case CONFIG_LABEL_KEYS:
		return read_list(d, k, v, dst, sizeof(char *), label_keys_item);
	case CONFIG_HOSTS:
		return read_list(d, k, v, dst, sizeof(char *), hosts_item);
	case CONFIG_IDS:
		return read_list(d, k, v, dst, sizeof(uint32_t), ids_item);
	case CONFIG_CLOSED:
		if (doc_word(d, v, doors, ARRAY_SIZE(doors), &i))
			*(bool *)dst = i == 1;
		return 0;
	}
	return 0;
}

/* ---- the tree ----------------------------------------------------------------------------------- */

static int set_from(struct config_from *from, const char *file, unsigned line)
{
	from->line = line;
	return replace(&from->file, file);
}

/* The words that may follow `prefix` ("" or "learn.scan."), each once. */
static size_t words_at(const char *prefix, const char **ret, char (*room)[32], size_t max)
{
	size_t n = 0, len = strlen(prefix);

	for (size_t i = 0; i < config_nkeys && n < max; i++) {
		const char *rest = config_keys[i].path + len;
		bool seen = false;

		if (strncmp(config_keys[i].path, prefix, len) != 0)
			continue;
		snprintf(room[n], sizeof(room[n]), "%.*s", (int)strcspn(rest, "."), rest);
		for (size_t k = 0; k < n && !seen; k++)
			seen = strcmp(ret[k], room[n]) == 0;
		if (!seen) {
			ret[n] = room[n];
			n++;
		}
	}
	return n;
}

#define PATH_MAX_LEN 96

static int read_tree(struct doc *d, const cJSON *obj, const char *prefix, struct config *c)
{
	const char *words[CONFIG_KEYS_MAX];
	char room[CONFIG_KEYS_MAX][32];
	size_t nwords = words_at(prefix, words, room, CONFIG_KEYS_MAX), w;
	const cJSON *m;
	int r = 0;

	if (!cJSON_IsObject(obj))
		return doc_object(d, obj, NULL, 0, NULL); /* says what was found */
	cJSON_ArrayForEach(m, obj) {
		char path[PATH_MAX_LEN];
		size_t mark, i;

		for (w = 0; w < nwords && strcmp(words[w], m->string) != 0; w++)
			;
		if (w == nwords) {
			doc_unknown(d, m, words, nwords);
			continue;
		}
		snprintf(path, sizeof(path), "%s%s", prefix, words[w]);
		for (i = 0; i < config_nkeys && strcmp(config_keys[i].path, path) != 0; i++)
			;
		mark = doc_enter(d, m->string);
		if (i < config_nkeys) {
			r = read_value(d, &config_keys[i], m, c);
			if (r == 0)
				r = set_from(&c->from[i], d->file, yaml_line(d->yaml, m));
		} else {
			size_t n = strlen(path);

			snprintf(path + n, sizeof(path) - n, ".");
			/* A section without anything in it is what a commented-out section looks like. */
			if (!cJSON_IsNull(m))
				r = read_tree(d, m, path, c);
		}
		doc_leave(d, mark);
		if (r < 0)
			return r;
	}
	return 0;
}

static int config_read(const char *file, const char *text, size_t len, struct fail_list *f, struct config *c)
{
	struct doc d = { .file = file, .prefix = "config", .f = f };
	struct yaml_docs y = {};
	int r;

	if (len > CONFIG_BYTES_MAX)
		return fail_add(f, -E2BIG, "config.limit", file, "at most 1 MiB", NULL,
				"the file is too long");
	r = yaml_parse(text, len, file, f, &y);
	if (r < 0)
		return r;
	d.yaml = &y;
	if (y.n > 1)
		doc_fault(&d, y.docs[1].root, "documents", "one document", "there is a second document");
	if (y.n)
		r = read_tree(&d, y.docs[0].root, "", c);
	if (r == 0 && d.faults)
		r = -EINVAL;
	yaml_docs_done(&y);
	return r;
}

int config_default(struct config *ret)
{
	struct config c = {};
	int r = 0;

	for (size_t i = 0; i < config_nkeys && r == 0; i++) {
		struct doc d = { .file = config_keys[i].path, .prefix = "config" };
		const char *text = config_keys[i].dflt;
		struct yaml_docs y = {};
		auto_cleanup(cJSON_Deletep) cJSON *empty = cJSON_CreateString("");

		/* An empty plain scalar would be no document at all. */
		r = yaml_parse(text, strlen(text), d.file, NULL, &y);
		if (r == 0)
			r = read_value(&d, &config_keys[i], y.n ? y.docs[0].root : empty, &c);
		if (r == 0 && d.faults)
			r = -EINVAL; /* a mistake in the table: the unit test meets it */
		yaml_docs_done(&y);
	}
	if (r < 0) {
		config_done(&c);
		return r;
	}
	*ret = c;
	return 0;
}

int config_parse(const char *file, const char *text, size_t len, struct fail_list *f, struct config *ret)
{
	struct config c = {};
	int r = config_default(&c);

	if (r == 0)
		r = config_read(file, text, len, f, &c);
	if (r < 0) {
		config_done(&c);
		return r;
	}
	*ret = c;
	return 0;
}

int config_load(const char *path, bool optional, struct fail_list *f, struct config *ret)
{
	auto_free char *text = NULL;
	size_t len;
	int r = read_all_path(path, CONFIG_BYTES_MAX, &text, &len);

	if (r == -ENOENT && optional)
		return config_default(ret);
	if (r == -E2BIG)
		return fail_add(f, r, "config.limit", path, "at most 1 MiB", NULL, "the file is too long");
	if (r < 0)
		return fail_add(f, r, "config.unreadable", path, "a file that this user can read", NULL,
				"cannot read the configuration: %s", strerror(-r));
	return config_parse(path, text, len, f, ret);
}

int config_set(struct config *c, const char *path, const char *value, const char *source,
	       struct fail_list *f)
{
	struct doc d = { .file = source, .prefix = "config", .f = f };
	auto_cleanup(cJSON_Deletep) cJSON *empty = cJSON_CreateString("");
	const char *words[CONFIG_KEYS_MAX], *near;
	struct yaml_docs y = {};
	char hint[128] = "a key of `cellwall config default`";
	size_t i;
	int r;

	for (i = 0; i < config_nkeys && strcmp(config_keys[i].path, path) != 0; i++)
		words[i] = config_keys[i].path;
	if (i == config_nkeys) {
		near = nearest_word(path, words, config_nkeys);
		if (near)
			snprintf(hint, sizeof(hint), "a key of `cellwall config default`; did you mean %s?", near);
		return fail_add(f, -EINVAL, "config.unknown-field", source, hint, NULL,
				"unknown key \"%.80s\"", path);
	}
	r = yaml_parse(value, strlen(value), source, f, &y);
	if (r < 0)
		return r;
	doc_enter(&d, path);
	if (!empty)
		r = -ENOMEM;
	else if (y.n > 1)
		doc_fault(&d, NULL, "documents", "one value", "there is more than one value");
	else
		r = read_value(&d, &config_keys[i], y.n ? y.docs[0].root : empty, c);
	if (r == 0 && d.faults)
		r = -EINVAL;
	if (r == 0)
		r = set_from(&c->from[i], source, 0);
	yaml_docs_done(&y);
	return r;
}

void config_done(struct config *c)
{
	for (size_t i = 0; i < config_nkeys; i++) {
		void *p = field(c, &config_keys[i]);

		switch (config_keys[i].type) {
		case CONFIG_NAME:
		case CONFIG_TEXT:
		case CONFIG_PATH:
			free(*(char **)p);
			break;
		case CONFIG_LABEL_KEYS:
		case CONFIG_HOSTS:
		case CONFIG_PREFIXES:
		case CONFIG_IDS:
			list_done(config_keys[i].type, p);
			break;
		default:
			break;
		}
		free(c->from[i].file);
	}
	*c = (struct config){};
}
