/* SPDX-License-Identifier: Apache-2.0 */
/*
 * json_fields.h - JSON between machines: compact text written straight into a buffer, and fields read
 * back with one sticky error. Documents that people write are read by doc.h.
 *
 * What is not set is not written, and what is absent reads as not set. 64-bit numbers are strings, as
 * JSON's numbers are doubles. The same value always gives the same bytes.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/buf.h"
#include "base/json.h"

/* Failures stick in the buffer. */
struct json_put { struct buf *b; bool comma; };

/* bracket is '{' or '['; key NULL inside a list and at the top. */
void json_put_open(struct json_put *p, const char *key, char bracket);
void json_put_close(struct json_put *p, char bracket); /* '}' or ']' */
void json_put_str(struct json_put *p, const char *key, const char *s);	/* NULL and "": nothing */
void json_put_item(struct json_put *p, const char *s);			/* an item of a list, whatever it is */
void json_put_member(struct json_put *p, const char *key, const char *s); /* a member, "" too */
void json_put_num(struct json_put *p, const char *key, int64_t v);	/* below 2^53; 0: nothing */
void json_put_num_item(struct json_put *p, int64_t v);			/* an item of a list */
void json_put_u64(struct json_put *p, const char *key, uint64_t v);	/* a string; 0: nothing */
void json_put_i64(struct json_put *p, const char *key, int64_t v);
void json_put_u64_item(struct json_put *p, uint64_t v);
void json_put_true(struct json_put *p, const char *key, bool v);	/* false: nothing */
void json_put_raw(struct json_put *p, const char *key, const char *json, size_t len); /* text that is JSON */

/*
 * The first fault sticks in *err: 0, -EBADMSG or -ENOMEM; after one nothing is read. Numbers are whole.
 * `min` > 0 makes a number required.
 */
void json_get_str(const cJSON *o, const char *key, char **to, int *err);	/* malloc'ed */
void json_get_chars(const cJSON *o, const char *key, char *to, size_t size, int *err); /* longer: -EBADMSG */
int64_t json_get_num(const cJSON *o, const char *key, int64_t min, int64_t max, int *err);
int64_t json_get_i64(const cJSON *o, const char *key, int *err);
uint64_t json_get_u64(const cJSON *o, const char *key, int *err);
bool json_get_true(const cJSON *o, const char *key, int *err);
uint64_t json_item_u64(const cJSON *v, int *err);
/* First item of a list of at most max, and zeroed room for them; NULL: none. */
const cJSON *json_get_list(const cJSON *o, const char *key, size_t max, size_t size, void **to, size_t *n, int *err);
/* The same for items that have room already: *n is how many there are. */
const cJSON *json_get_items(const cJSON *o, const char *key, size_t max, size_t *n, int *err);
