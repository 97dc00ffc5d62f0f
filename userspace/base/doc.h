/* SPDX-License-Identifier: Apache-2.0 */
/*
 * doc.h - reading a checked tree field by field, with every fault named by its place:
 * "rules/db.yaml:14, document 2, spec.ports[0]: "tcp/9000-8000"".
 *
 * Readers return 0 also when they found faults (doc.faults counts them), so that one run tells
 * all of them; a negative errno ends the reading (-ENOMEM).
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/json.h"

#define DOC_PATH_MAX 512

struct doc {
	const char *file;	/* as people named it */
	const struct yaml_docs *yaml; /* for lines; NULL: none are known */
	unsigned number;	/* document in the file; 0: not worth saying */
	const char *object;	/* "NetworkPolicy shop/api", named before the path; NULL: not needed */
	bool null_absent;	/* a known field of an object that is null counts as not given */
	const char *prefix;	/* of fault names: "rule" gives rule.type, rule.unknown-field, ... */
	const char *next;	/* follows "correct line N, then"; NULL: nothing does */
	struct fail_list *f;
	unsigned faults;
	char path[DOC_PATH_MAX]; /* of the field being read */
	size_t path_len;
	unsigned lines[FAIL_LIST_MAX]; /* of f->items that came from here */
};

/* Extends the path by ".key" or "[i]"; the result is what doc_leave() wants back. */
size_t doc_enter(struct doc *d, const char *key);
size_t doc_enter_index(struct doc *d, size_t i);
void doc_leave(struct doc *d, size_t mark);

/* One fault at the current path; a scalar node is quoted. `name` without the prefix. Returns 0. */
int doc_fault(struct doc *d, const cJSON *node, const char *name, const char *expected,
	      const char *fmt, ...) __attribute__((format(printf, 5, 6)));

struct doc_field {
	const char *key;
	int (*read)(struct doc *d, const cJSON *v, void *ctx);
	bool required;
};
/* Reads the members in file order; unknown and missing ones are faults, the former with a guess. */
int doc_object(struct doc *d, const cJSON *obj, const struct doc_field *fields, size_t n, void *ctx);
/* Calls read() for each item of a list of 1..max items. */
int doc_list(struct doc *d, const cJSON *list, size_t max,
	     int (*read)(struct doc *d, const cJSON *v, void *ctx), void *ctx);

/* The unknown field m: its name, all that are known here, and a guess. Returns 0. */
int doc_unknown(struct doc *d, const cJSON *m, const char *const *words, size_t n);
/* Puts the faults from f->items[first] on in the order of their lines: checks of two fields at
 * once come late. All of them must have come from this doc. */
void doc_sort(struct doc *d, size_t first);

/* Typed values; false after a fault was added. The text of doc_text lives in the tree. */
bool doc_text(struct doc *d, const cJSON *v, size_t max, const char **ret);
bool doc_bool(struct doc *d, const cJSON *v, bool *ret);
bool doc_u64(struct doc *d, const cJSON *v, uint64_t min, uint64_t max, uint64_t *ret);
/* One of n words, by index; names them and guesses when it is none. */
bool doc_word(struct doc *d, const cJSON *v, const char *const *words, size_t n, size_t *ret);
