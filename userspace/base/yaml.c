/* SPDX-License-Identifier: Apache-2.0 */
/*
 * YAML through libyaml's events, so that every limit is checked before a node is made, and
 * aliases never expand. Syntax faults end the file; faults of single nodes (tags, duplicate
 * keys, numbers that would lose digits) are all collected.
 */
#include "base/json.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <yaml.h>

#include "base/cleanup.h"
#include "base/json_tree.h"
#include "base/vec.h"
#include "base/yaml_scalar.h"

#define DOCS_MAX 10000u

struct node_line {
	const cJSON *node;
	unsigned line;
};
struct yaml_pos {
	struct node_line *v; /* sorted by node once the stream is read */
	size_t n, cap;
};

struct level {
	cJSON *node;
	char *key; /* mapping: the key that waits for its value */
	unsigned key_line;
};

struct reader {
	yaml_parser_t parser;
	const char *what;
	struct fail_list *f;
	struct level stack[JSON_DEPTH_MAX];
	unsigned depth;
	unsigned nodes, faults;
	struct yaml_doc doc; /* being read */
	struct {
		struct yaml_doc *v;
		size_t n, cap;
	} docs;
	unsigned ndocs;
	struct yaml_pos *pos;
};

static void pos_free(struct yaml_pos *p)
{
	if (p)
		free(p->v);
	free(p);
}

void yaml_docs_done(struct yaml_docs *d)
{
	for (size_t i = 0; i < d->n; i++)
		cJSON_Delete(d->docs[i].root);
	free(d->docs);
	pos_free(d->pos);
	*d = (struct yaml_docs){};
}

static int fault(struct reader *r, int err, const yaml_mark_t *m, const char *name,
		 const char *expected, const char *message)
{
	char at[512];

	snprintf(at, sizeof(at), "%.400s:%zu:%zu", r->what, m->line + 1, m->column + 1);
	r->faults++;
	return fail_add(r->f, err, name, at, expected, NULL, "%s", message);
}

static int limit_fault(struct reader *r, const yaml_mark_t *m, const char *message)
{
	char expected[80];

	snprintf(expected, sizeof(expected), "at most %u MiB, %u levels, %u values, %u documents",
		 JSON_BYTES_MAX >> 20, JSON_DEPTH_MAX, JSON_NODES_MAX, DOCS_MAX);
	return fault(r, -E2BIG, m, "yaml.limit", expected, message);
}

static int nomem(struct reader *r)
{
	return fail_add(r->f, -ENOMEM, "yaml.memory", r->what, NULL, NULL, "out of memory");
}

/* Puts a finished or just opened node where it belongs; takes it in every case. */
static int place(struct reader *r, cJSON *node, const yaml_mark_t *m)
{
	struct level *top = r->depth ? &r->stack[r->depth - 1] : NULL;
	struct node_line line = { node, (unsigned)m->line + 1 };
	bool ok;

	/* A member stands where its key stands: that is the line to correct. */
	if (top && cJSON_IsObject(top->node))
		line.line = top->key_line;
	if (!node)
		return nomem(r);
	if (!top) {
		r->doc.root = node;
		ok = true;
	} else if (cJSON_IsArray(top->node)) {
		ok = cJSON_AddItemToArray(top->node, node);
	} else {
		ok = cJSON_AddItemToObject(top->node, top->key, node);
		free(take_ptr(top->key));
	}
	if (!ok) {
		cJSON_Delete(node);
		return nomem(r);
	}
	return vec_push(r->pos, line) < 0 ? nomem(r) : 0;
}

/* The next node inside a mapping that has no key yet is a key. */
static bool wants_key(const struct reader *r)
{
	return r->depth && cJSON_IsObject(r->stack[r->depth - 1].node) &&
	       !r->stack[r->depth - 1].key;
}

static int count(struct reader *r, const yaml_mark_t *m)
{
	return ++r->nodes > JSON_NODES_MAX ? limit_fault(r, m, "too many values") : 0;
}

static void check_marks(struct reader *r, const yaml_event_t *e, const void *anchor, const void *tag)
{
	if (anchor)
		fault(r, 0, &e->start_mark, "yaml.alias", "plain values", "anchors are not accepted");
	if (tag)
		fault(r, 0, &e->start_mark, "yaml.tag", "values without tags", "tags are not accepted");
}

static int on_key(struct reader *r, const yaml_event_t *e, const char *text, size_t len, bool plain)
{
	struct level *top = &r->stack[r->depth - 1];

	if (plain && len == 2 && memcmp(text, "<<", 2) == 0)
		fault(r, 0, &e->start_mark, "yaml.merge-key", "the keys themselves",
		      "merge keys are not accepted");
	if (plain && len == 0)
		fault(r, 0, &e->start_mark, "yaml.key", "a key before the colon", "the key is missing");
	top->key_line = (unsigned)e->start_mark.line + 1;
	top->key = strndup(text, len);
	return top->key ? 0 : nomem(r);
}

static int on_scalar(struct reader *r, const yaml_event_t *e)
{
	const char *text = (const char *)e->data.scalar.value;
	size_t len = e->data.scalar.length;
	bool plain = e->data.scalar.style == YAML_PLAIN_SCALAR_STYLE;
	enum yaml_scalar kind = YAML_STRING;
	cJSON *node = NULL;
	double num = 0;
	int rc = count(r, &e->start_mark);

	if (rc < 0)
		return rc;
	check_marks(r, e, e->data.scalar.anchor, e->data.scalar.tag);
	if (memchr(text, '\0', len)) {
		fault(r, 0, &e->start_mark, "yaml.nul", "text without NUL", "a NUL character in a string");
		text = "";
		len = 0;
		plain = false;
	}
	if (wants_key(r))
		return on_key(r, e, text, len, plain);
	if (plain)
		kind = yaml_scalar_kind(text, len, &num);
	switch (kind) {
	case YAML_NULL:
		node = cJSON_CreateNull();
		break;
	case YAML_TRUE:
	case YAML_FALSE:
		node = cJSON_CreateBool(kind == YAML_TRUE);
		break;
	case YAML_BAD_NUMBER:
		fault(r, 0, &e->start_mark, "yaml.number",
		      "a decimal number of at most 15 digits, or the text in quotes",
		      "this number has no exact reading");
		node = cJSON_CreateNumber(0);
		break;
	case YAML_NUMBER:
		node = cJSON_CreateNumber(num);
		break;
	case YAML_STRING:
		node = cJSON_CreateString(text);
		break;
	}
	return place(r, node, &e->start_mark);
}

static int on_open(struct reader *r, const yaml_event_t *e)
{
	bool map = e->type == YAML_MAPPING_START_EVENT;
	cJSON *node;
	int rc = count(r, &e->start_mark);

	if (rc < 0)
		return rc;
	if (map)
		check_marks(r, e, e->data.mapping_start.anchor, e->data.mapping_start.tag);
	else
		check_marks(r, e, e->data.sequence_start.anchor, e->data.sequence_start.tag);
	if (wants_key(r))
		return fault(r, -EBADMSG, &e->start_mark, "yaml.key", "text before the colon",
			     "a key must be plain text");
	if (r->depth >= JSON_DEPTH_MAX)
		return limit_fault(r, &e->start_mark, "nested too deeply");
	node = map ? cJSON_CreateObject() : cJSON_CreateArray();
	rc = place(r, node, &e->start_mark);
	if (rc == 0)
		r->stack[r->depth++] = (struct level){ .node = node };
	return rc;
}

static int on_close(struct reader *r)
{
	cJSON *node = r->stack[--r->depth].node;
	const cJSON *dup = NULL;
	char at[512];

	if (!cJSON_IsObject(node))
		return 0;
	if (json_dup_key(node, &dup) < 0)
		return nomem(r);
	if (dup) {
		unsigned line = 0;

		/* Not sorted yet, but recent: searched from the end. */
		for (size_t i = r->pos->n; i-- && !line;)
			if (r->pos->v[i].node == dup)
				line = r->pos->v[i].line;
		snprintf(at, sizeof(at), "%.200s:%u, key \"%.200s\"", r->what, line, dup->string);
		r->faults++;
		fail_add(r->f, 0, "yaml.duplicate-key", at, "each key once", NULL,
			 "a key is given twice");
	}
	return 0;
}

static int on_doc_end(struct reader *r)
{
	if (cJSON_IsNull(r->doc.root)) {
		/* Positions of a deleted node would name a later one at the same address. */
		r->pos->n--;
		cJSON_Delete(take_ptr(r->doc.root));
		return 0;
	}
	if (vec_push(&r->docs, r->doc) < 0)
		return nomem(r);
	r->doc.root = NULL;
	return 0;
}

static int on_event(struct reader *r, const yaml_event_t *e)
{
	switch (e->type) {
	case YAML_DOCUMENT_START_EVENT:
		if (++r->ndocs > DOCS_MAX)
			return limit_fault(r, &e->start_mark, "too many documents");
		if (e->data.document_start.tag_directives.start !=
		    e->data.document_start.tag_directives.end)
			fault(r, 0, &e->start_mark, "yaml.tag", "no %TAG line", "tags are not accepted");
		r->doc = (struct yaml_doc){ .index = r->ndocs,
					    .line = (unsigned)e->start_mark.line + 1 };
		return 0;
	case YAML_DOCUMENT_END_EVENT:
		return on_doc_end(r);
	case YAML_ALIAS_EVENT:
		/* Ends the file: what it stood for is unknown, so is what follows. */
		return fault(r, -EBADMSG, &e->start_mark, "yaml.alias", "plain values",
			     "aliases are not accepted");
	case YAML_SCALAR_EVENT:
		return on_scalar(r, e);
	case YAML_SEQUENCE_START_EVENT:
	case YAML_MAPPING_START_EVENT:
		return on_open(r, e);
	case YAML_SEQUENCE_END_EVENT:
	case YAML_MAPPING_END_EVENT:
		return on_close(r);
	default:
		return 0;
	}
}

static int syntax_fault(struct reader *r)
{
	const yaml_parser_t *p = &r->parser;
	yaml_mark_t m = p->problem_mark;
	char message[256];

	if (p->error == YAML_MEMORY_ERROR)
		return nomem(r);
	if (p->error == YAML_READER_ERROR) {
		/* The reader knows the byte, not the line. */
		m = p->mark;
		snprintf(message, sizeof(message), "%s at byte %zu", p->problem, p->problem_offset);
		return fault(r, -EBADMSG, &m, "yaml.encoding", "UTF-8 text without control characters",
			     message);
	}
	snprintf(message, sizeof(message), "%s%s%s", p->context ? p->context : "",
		 p->context ? ", " : "", p->problem ? p->problem : "cannot be read");
	return fault(r, -EBADMSG, &m, "yaml.syntax", "YAML 1.2", message);
}

static int line_cmp(const void *a, const void *b)
{
	uintptr_t x = (uintptr_t)((const struct node_line *)a)->node;
	uintptr_t y = (uintptr_t)((const struct node_line *)b)->node;

	return (x > y) - (x < y);
}

static int read_stream(struct reader *r)
{
	for (;;) {
		yaml_event_t e;
		bool end;
		int rc;

		if (!yaml_parser_parse(&r->parser, &e))
			return syntax_fault(r);
		end = e.type == YAML_STREAM_END_EVENT;
		rc = on_event(r, &e);
		yaml_event_delete(&e);
		if (rc < 0)
			return rc;
		if (end)
			return r->faults ? -EBADMSG : 0;
	}
}

int yaml_parse(const char *s, size_t len, const char *what, struct fail_list *f, struct yaml_docs *ret)
{
	struct reader r = { .what = what, .f = f };
	yaml_mark_t start = {};
	int rc;

	if (len > JSON_BYTES_MAX)
		return limit_fault(&r, &start, "the text is too long");
	r.pos = calloc(1, sizeof(*r.pos));
	if (!r.pos)
		return nomem(&r);
	if (!yaml_parser_initialize(&r.parser)) {
		pos_free(r.pos);
		return nomem(&r);
	}
	yaml_parser_set_encoding(&r.parser, YAML_UTF8_ENCODING);
	yaml_parser_set_input_string(&r.parser, (const unsigned char *)s, len);
	rc = read_stream(&r);
	yaml_parser_delete(&r.parser);
	for (unsigned i = 0; i < r.depth; i++)
		free(r.stack[i].key);
	cJSON_Delete(r.doc.root);
	if (rc == 0) {
		if (r.pos->n)
			qsort(r.pos->v, r.pos->n, sizeof(*r.pos->v), line_cmp);
		*ret = (struct yaml_docs){ .docs = r.docs.v, .n = r.docs.n, .pos = r.pos };
		return 0;
	}
	for (size_t i = 0; i < r.docs.n; i++)
		cJSON_Delete(r.docs.v[i].root);
	vec_done(&r.docs);
	pos_free(r.pos);
	return rc;
}

unsigned yaml_line(const struct yaml_docs *d, const cJSON *node)
{
	struct node_line want = { .node = node }, *found;

	if (!d->pos || !d->pos->n)
		return 0;
	found = bsearch(&want, d->pos->v, d->pos->n, sizeof(want), line_cmp);
	return found ? found->line : 0;
}
