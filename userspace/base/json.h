/* SPDX-License-Identifier: Apache-2.0 */
/*
 * json.h - JSON and YAML from outside, with limits, as one checked cJSON tree.
 *
 * Bytes, depth and nodes are bounded before the library allocates. Duplicate keys and
 * trailing bytes are refused. Getters are case-sensitive and report faults with field path.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <cjson/cJSON.h>

#include "base/fail.h"

#define JSON_BYTES_MAX (16u << 20)
#define JSON_DEPTH_MAX 64u
#define JSON_NODES_MAX 1000000u

void cJSON_Deletep(cJSON **j); /* for auto_cleanup */

/* 0; -E2BIG a limit; -EBADMSG not JSON; -ENOMEM. `f` gets one fault with the byte offset's
 * line and column; `what` names the source in it ("body", a file name). */
int json_parse(const char *s, size_t len, const char *what, struct fail_list *f, cJSON **ret);

/* Where a YAML node stood: kept beside the tree so that faults can name file:line. */
struct yaml_pos; /* opaque map from cJSON node to line */
struct yaml_doc {
	cJSON *root;     /* owned */
	unsigned index;  /* 1-based document number in the file */
	unsigned line;   /* first line of the document */
};
struct yaml_docs {
	struct yaml_doc *docs;
	size_t n;
	struct yaml_pos *pos;
};
/*
 * All documents of a YAML stream (JSON is YAML): core schema scalars (strings, ints, floats,
 * bools, null), no tags, no merge keys; anchors and aliases are refused, duplicate keys too.
 * Same limits as JSON. Empty documents are skipped.
 */
int yaml_parse(const char *s, size_t len, const char *what, struct fail_list *f, struct yaml_docs *ret);
void yaml_docs_done(struct yaml_docs *d);
/* Line of a node (1-based), 0 if unknown (JSON input or foreign node). */
unsigned yaml_line(const struct yaml_docs *d, const cJSON *node);
/* Block-style YAML text of a tree, keys in their order, strings quoted only where needed. malloc'ed. */
char *yaml_print(const cJSON *j);

/* Field access. obj may be NULL (treated as an empty object). */
const cJSON *json_get(const cJSON *obj, const char *key);
const char *json_str(const cJSON *obj, const char *key);	     /* NULL if absent or not a string */
bool json_bool(const cJSON *obj, const char *key, bool dflt);
double json_num(const cJSON *obj, const char *key, double dflt);
int64_t json_i64(const cJSON *obj, const char *key, int64_t dflt);  /* integers up to 2^53 */
