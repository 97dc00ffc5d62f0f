/* SPDX-License-Identifier: Apache-2.0 */
/*
 * One pass over the bytes with a stack of brackets. Only structure is judged here (brackets,
 * commas, quotes); each item is then judged whole by json_parse(). What is not wanted (unknown
 * fields of the list, managedFields, the rest of an oversized item) is walked over and not kept.
 */
#include "kube/json_items.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/buf.h"
#include "base/cleanup.h"
#include "base/json.h"

#define STACK_MAX (JSON_DEPTH_MAX + 8u) /* the list's own levels, then those of an item */
#define KEY_MAX 24u			/* longer keys are none of those below */
#define KEEP_CAP (256u << 10)		/* a larger item's memory is given back after it */

enum state {
	VALUE,	     /* a value must come */
	VALUE_OR_END, /* after '[': a value, or ']' */
	KEY_OR_END,  /* after '{' */
	KEY,	     /* after ',' in an object */
	COLON,
	AFTER,	     /* after a value: ',' or the closing bracket */
	STRING,
	ESCAPE,
	HEX,
	SCALAR,	     /* a number or a word */
	RAW,	     /* inside what is nested too deeply: brackets are only counted */
	RAW_STRING,
	RAW_ESCAPE,
	DONE,	     /* a list: only white space may follow */
};

enum key { K_NONE, K_KIND, K_VERSION, K_METADATA, K_ITEMS, K_OBJECT, K_NAME, K_NAMESPACE, K_MANAGED };

struct word { /* a short string on its way in */
	char s[KUBE_NAME_MAX];
	size_t n;
	bool bad; /* too long, or with escapes: not kept */
};

struct json_items {
	enum json_items_kind kind;
	size_t item_max;
	struct json_items_ops ops;
	void *arg;
	int err;

	enum state st;
	bool in_key;	  /* the string under way is a key */
	unsigned hex, hex_n; /* of a \u escape */
	unsigned depth, raw; /* open brackets; those above the stack */
	char stack[STACK_MAX];
	unsigned char key[STACK_MAX + 1]; /* the key under way in the object at that depth */
	char scalar_first;

	bool managed; /* keeps managedFields */
	bool in_item, in_meta, muted; /* where the bytes go; muted: managedFields */
	size_t item_bytes;	      /* of the item, kept or not */
	int skip;		      /* the item under way is left out: why */
	struct buf item, meta;
	struct word keyword, *capture; /* capture: NULL or one of the following */
	struct word list_kind, list_version, name, namespace_;
	bool has_items;

	char version[KUBE_NAME_MAX]; /* resourceVersion of the list */
	char *token;		     /* continue */
	uint64_t count, skipped;
	size_t held_max;
};

static void word_reset(struct word *w)
{
	w->n = 0;
	w->bad = false;
	w->s[0] = '\0';
}

static void word_add(struct word *w, const char *p, size_t n)
{
	if (w->bad || n >= sizeof(w->s) - w->n) {
		w->bad = true;
		w->s[0] = '\0';
		return;
	}
	memcpy(w->s + w->n, p, n);
	w->n += n;
	w->s[w->n] = '\0';
}

int json_items_new(enum json_items_kind kind, size_t item_max, const struct json_items_ops *ops, void *arg,
		   struct json_items **ret)
{
	struct json_items *s;

	if (item_max > JSON_BYTES_MAX)
		return -EINVAL;
	s = calloc(1, sizeof(*s));
	if (!s)
		return -ENOMEM;
	s->kind = kind;
	s->item_max = item_max ?: KUBE_ITEM_BYTES_MAX;
	s->ops = *ops;
	s->arg = arg;
	buf_init(&s->item, s->item_max);
	buf_init(&s->meta, KUBE_LIST_META_BYTES_MAX);
	*ret = s;
	return 0;
}

void json_items_keep_managed(struct json_items *s)
{
	s->managed = true;
}

void json_items_free(struct json_items *s)
{
	if (!s)
		return;
	buf_done(&s->item);
	buf_done(&s->meta);
	free(s->token);
	free(s);
}

void json_items_freep(struct json_items **s)
{
	json_items_free(*s);
}

/* The bytes from..to go where they belong. */
static int put(struct json_items *s, const char *from, const char *to)
{
	size_t n = (size_t)(to - from);
	int r;

	if (s->in_meta)
		return buf_add(&s->meta, from, n);
	if (!s->in_item)
		return 0;
	s->item_bytes += n;
	if (s->skip || s->muted)
		return 0;
	r = buf_add(&s->item, from, n);
	if (r == -E2BIG) {
		buf_done(&s->item);
		s->skip = r;
		return 0;
	}
	if (s->item.cap + s->meta.cap > s->held_max)
		s->held_max = s->item.cap + s->meta.cap;
	return r;
}

static enum key key_of(const struct word *w)
{
	static const struct { const char *s; enum key k; } words[] = {
		{ "kind", K_KIND }, { "apiVersion", K_VERSION }, { "metadata", K_METADATA },
		{ "items", K_ITEMS }, { "object", K_OBJECT }, { "name", K_NAME },
		{ "namespace", K_NAMESPACE }, { "managedFields", K_MANAGED },
	};

	if (w->bad || w->n >= KEY_MAX)
		return K_NONE;
	for (size_t i = 0; i < ARRAY_SIZE(words); i++)
		if (!strcmp(w->s, words[i].s))
			return words[i].k;
	return K_NONE;
}

/* The key under way is one of an item's own metadata. */
static bool in_item_metadata(const struct json_items *s)
{
	unsigned at = s->kind == JSON_ITEMS_LIST ? 4 : 3;

	return s->in_item && s->depth == at && s->key[at - 1] == K_METADATA &&
	       (s->kind == JSON_ITEMS_LIST || s->key[1] == K_OBJECT);
}

/* Before the first byte of a value. */
static int value_begin(struct json_items *s, char first)
{
	bool list = s->kind == JSON_ITEMS_LIST;
	enum key k = s->depth ? s->key[s->depth] : K_NONE;

	s->capture = NULL;
	if (s->depth == 0 && first != '{')
		return -EBADMSG;
	if (s->in_item) {
		if (!in_item_metadata(s))
			return 0;
		if (k == K_MANAGED && !s->managed)
			s->muted = true;
		else if (first == '"' && (k == K_NAME || k == K_NAMESPACE))
			s->capture = k == K_NAME ? &s->name : &s->namespace_;
	} else if (list ? s->depth == 2 && s->key[1] == K_ITEMS && s->stack[1] == '[' : s->depth == 0) {
		s->in_item = true;
		s->item_bytes = 0;
		s->skip = 0;
		word_reset(&s->name);
		word_reset(&s->namespace_);
	} else if (list && s->depth == 1 && k == K_METADATA) {
		s->meta.len = 0;
		s->in_meta = true;
	} else if (list && s->depth == 1 && k == K_ITEMS) {
		if (s->has_items || (first != '[' && first != 'n'))
			return -EBADMSG; /* twice, or neither an array nor null */
		s->has_items = true;
	} else if (list && s->depth == 1 && first == '"' && (k == K_KIND || k == K_VERSION)) {
		s->capture = k == K_KIND ? &s->list_kind : &s->list_version;
	}
	if (s->capture)
		word_reset(s->capture);
	return 0;
}

static void skip_tell(struct json_items *s, int err)
{
	struct json_items_skip k = { s->namespace_.s, s->name.s, err, s->item_bytes };

	s->skipped++;
	if (s->ops.skipped)
		s->ops.skipped(s->arg, &k);
}

static int item_end(struct json_items *s)
{
	auto_cleanup(cJSON_Deletep) cJSON *j = NULL;
	int r = s->skip;

	s->in_item = false;
	if (!r)
		r = json_parse(s->item.data ?: "", s->item.len, "item", NULL, &j);
	if (!r && !cJSON_IsObject(j))
		r = -EBADMSG;
	s->item.len = 0;
	if (s->item.cap > KEEP_CAP)
		buf_done(&s->item);
	if (r == -ENOMEM)
		return r;
	if (r) {
		skip_tell(s, r);
		return 0;
	}
	s->count++;
	r = s->ops.item(s->arg, take_ptr(j));
	return r < 0 ? r : 0;
}

/* The list's metadata is whole. */
static int meta_end(struct json_items *s)
{
	auto_cleanup(cJSON_Deletep) cJSON *j = NULL;
	const char *v;
	int r;

	s->in_meta = false;
	r = json_parse(s->meta.data ?: "", s->meta.len, "metadata", NULL, &j);
	if (r < 0)
		return r;
	v = json_str(j, "resourceVersion");
	if (v && strlen(v) < sizeof(s->version))
		memcpy(s->version, v, strlen(v) + 1);
	v = json_str(j, "continue");
	if (v && *v) {
		free(s->token);
		s->token = strdup(v);
		if (!s->token)
			return -ENOMEM;
	}
	return 0;
}

/* After the last byte of a value, which `put` has seen; depth is that of what holds it. */
static int value_end(struct json_items *s)
{
	int r = 0;

	s->capture = NULL;
	s->st = AFTER;
	if (s->muted && in_item_metadata(s)) {
		static const char null[] = "null";

		s->muted = false;
		r = put(s, null, null + 4);
	}
	if (r == 0 && s->in_meta && s->depth == 1)
		r = meta_end(s);
	if (r == 0 && s->in_item && s->depth == (s->kind == JSON_ITEMS_LIST ? 2 : 0))
		r = item_end(s);
	if (s->depth == 0)
		s->st = s->kind == JSON_ITEMS_LIST ? DONE : VALUE;
	return r;
}

static bool is_space(char c)
{
	return c == ' ' || c == '\t' || c == '\n' || c == '\r';
}

static bool is_scalar(char c)
{
	return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') || c == '-' || c == '+' || c == '.' || c == 'E';
}

static int open_bracket(struct json_items *s, char c)
{
	if (s->depth == STACK_MAX) {
		if (!s->in_item)
			return -E2BIG;
		s->skip = s->skip ?: -E2BIG;
		s->raw = 1;
		s->st = RAW;
		return 0;
	}
	s->stack[s->depth++] = c;
	s->key[s->depth] = K_NONE;
	s->st = c == '{' ? KEY_OR_END : VALUE_OR_END;
	return 0;
}

/*
 * One byte outside strings. *used: false when the byte only ended a scalar and is to be seen again.
 * Sets *after when the byte was the last of a value, so that it is put away before value_end().
 */
static int step(struct json_items *s, char c, bool *used, bool *after)
{
	int r;

	switch (s->st) {
	case VALUE_OR_END:
		if (c == ']')
			goto close;
		__attribute__((fallthrough));
	case VALUE:
		r = value_begin(s, c);
		if (r < 0)
			return r;
		if (c == '{' || c == '[')
			return open_bracket(s, c);
		s->st = c == '"' ? STRING : SCALAR;
		s->in_key = false;
		return c == '"' || is_scalar(c) ? 0 : -EBADMSG;
	case KEY_OR_END:
		if (c == '}')
			goto close;
		__attribute__((fallthrough));
	case KEY:
		if (c != '"')
			return -EBADMSG;
		s->st = STRING;
		s->in_key = true;
		word_reset(&s->keyword);
		s->capture = &s->keyword;
		return 0;
	case COLON:
		s->st = VALUE;
		return c == ':' ? 0 : -EBADMSG;
	case AFTER:
		if (c == ',') {
			s->st = s->stack[s->depth - 1] == '{' ? KEY : VALUE;
			return 0;
		}
		if (c != (s->stack[s->depth - 1] == '{' ? '}' : ']'))
			return -EBADMSG;
close:
		s->depth--;
		*after = true;
		return 0;
	case SCALAR:
		if (is_scalar(c))
			return 0;
		*used = false;
		*after = true;
		return 0;
	case RAW:
		if (c == '"')
			s->st = RAW_STRING;
		else if (c == '{' || c == '[')
			s->raw++;
		else if ((c == '}' || c == ']') && --s->raw == 0)
			*after = true;
		return 0;
	default: /* DONE */
		return -EBADMSG;
	}
}

/* Bytes of a string, from p on; returns where it stopped looking. *after as above. */
static const char *in_string(struct json_items *s, const char *p, const char *end, bool *after)
{
	const char *q = p;

	while (q < end && *q != '"' && *q != '\\')
		q++;
	if (s->capture)
		word_add(s->capture, p, (size_t)(q - p));
	if (q == end)
		return q;
	if (*q == '\\') {
		s->st = ESCAPE;
		if (s->capture) {
			s->capture->bad = true;
			s->capture->s[0] = '\0';
		}
	} else if (s->in_key) {
		s->key[s->depth] = (unsigned char)key_of(&s->keyword);
		s->capture = NULL;
		s->st = COLON;
	} else {
		*after = true;
	}
	return q + 1;
}

/* A byte after a backslash. *nul: it ended a \u0000. */
static int in_escape(struct json_items *s, char c, bool *nul)
{
	char l = (char)(c | 0x20);

	if (s->st == ESCAPE) {
		s->st = c == 'u' ? HEX : STRING;
		s->hex = s->hex_n = 0;
		return strchr("\"\\/bfnrtu", c) && c ? 0 : -EBADMSG;
	}
	if (c >= '0' && c <= '9')
		s->hex = s->hex << 4 | (unsigned)(c - '0');
	else if (l >= 'a' && l <= 'f')
		s->hex = s->hex << 4 | (unsigned)(l - 'a' + 10);
	else
		return -EBADMSG;
	if (++s->hex_n == 4) {
		s->st = STRING;
		*nul = s->hex == 0;
	}
	return 0;
}

static int feed(struct json_items *s, const char *p, size_t n)
{
	const char *end = p + n, *from = p; /* from: what was not put away yet */
	bool was;
	int r = 0;

	while (p < end) {
		bool used = true, after = false, nul = false;

		was = s->in_item || s->in_meta;
		switch (s->st) {
		case STRING:
			p = in_string(s, p, end, &after);
			break;
		case ESCAPE:
		case HEX:
			r = in_escape(s, *p++, &nul);
			break;
		case RAW_STRING:
			while (p < end && *p != '"' && *p != '\\')
				p++;
			if (p < end)
				s->st = *p++ == '"' ? RAW : RAW_ESCAPE;
			break;
		case RAW_ESCAPE:
			s->st = RAW_STRING;
			p++;
			break;
		default:
			if (is_space(*p) && s->st != SCALAR) {
				p++;
				break;
			}
			{
				bool muted = s->muted;
				const char *at = p;

				r = step(s, *p, &used, &after);
				p += used;
				/* What was before the first byte of an item, of the metadata or of
				 * what is muted belongs elsewhere. */
				if (r == 0 && s->muted && !muted) {
					s->muted = false;
					r = put(s, from, at);
					s->muted = true;
					from = at;
				} else if (!was && (s->in_item || s->in_meta)) {
					from = at;
				}
			}
		}
		if (r == 0 && (after || nul || p == end)) {
			r = put(s, from, p);
			from = p;
		}
		/* The four digits are in the buffer now. */
		if (r == 0 && nul && s->in_item && !s->skip && !s->muted && s->item.len >= 4)
			memcpy(s->item.data + s->item.len - 4, "fffd", 4);
		if (r == 0 && after)
			r = value_end(s);
		if (r < 0)
			return r;
	}
	return 0;
}

int json_items_feed(struct json_items *s, const char *p, size_t n)
{
	if (!s->err && n)
		s->err = feed(s, p, n);
	return s->err;
}

int json_items_end(struct json_items *s)
{
	bool whole = s->kind == JSON_ITEMS_LIST ? s->st == DONE && s->has_items : s->depth == 0 && s->st == VALUE;

	if (!s->err && !whole)
		s->err = -EBADMSG;
	return s->err;
}

const char *json_items_list_kind(const struct json_items *s)
{
	return s->list_kind.s;
}

const char *json_items_list_version(const struct json_items *s)
{
	return s->list_version.s;
}

const char *json_items_resource_version(const struct json_items *s)
{
	return s->version;
}

const char *json_items_continue(const struct json_items *s)
{
	return s->token ?: "";
}

uint64_t json_items_count(const struct json_items *s)
{
	return s->count;
}

uint64_t json_items_skipped(const struct json_items *s)
{
	return s->skipped;
}

size_t json_items_held_max(const struct json_items *s)
{
	return s->held_max;
}
