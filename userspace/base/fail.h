/* SPDX-License-Identifier: Apache-2.0 */
/*
 * fail.h - errors that people read: what, where, expected, next.
 *
 * A function that can refuse outside input takes `struct fail_list *` and returns a negative
 * errno after adding one fail per fault found. Names are stable and dotted ("rule.port-range"):
 * docs, `explain` and tests quote them.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>

struct cJSON;

#define FAIL_LIST_MAX 200 /* faults kept; further ones are only counted */

struct fail {
	char *name;     /* "rule.port-range" */
	char *message;  /* lower case, no full stop, no line break */
	char *at;       /* file:line, document, field path, or argument; may be NULL */
	char *expected; /* may be NULL */
	char *next;     /* a command that runs when pasted, or an action; may be NULL */
};

struct fail_list {
	struct fail *items;
	size_t n;
	size_t dropped; /* faults beyond FAIL_LIST_MAX */
};

/*
 * Adds a fault; any text but name and message may be NULL. Strings are copied, control and
 * bidi characters from outside are escaped by the printers, not here. `l` may be NULL (the
 * fault is then not kept). Always returns `err`, so that a caller can fail in one statement.
 */
int fail_add(struct fail_list *l, int err, const char *name, const char *at, const char *expected,
	     const char *next, const char *fmt, ...) __attribute__((format(printf, 7, 8)));
/* Frees the items; the list is empty and usable again. */
void fail_list_done(struct fail_list *l);
/* {"kind":"ErrorList","items":[{name,message,at,expected,next}],"dropped":N}; NULL: no memory. */
struct cJSON *fail_list_to_json(const struct fail_list *l);
/* Reads what fail_list_to_json wrote; unknown fields are ignored. 0 or -EBADMSG. */
int fail_list_from_json(const struct cJSON *j, struct fail_list *l);
