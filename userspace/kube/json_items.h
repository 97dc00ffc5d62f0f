/* SPDX-License-Identifier: Apache-2.0 */
/*
 * json_items.h - cuts a list ({"kind":..,"metadata":{..},"items":[{..},..]}) or a stream of JSON
 * objects into its items while the bytes come in, so that the memory needed is that of one item.
 * Pure: no I/O. An item that breaks its limits is skipped and told by name, the rest goes on.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <cjson/cJSON.h>

/* Default limit of an item. etcd holds 1.5 MiB, each byte of which JSON may write as six (\u003c): with
 * less, whoever may make a pod could make one that is never seen. */
#define KUBE_ITEM_BYTES_MAX (12u << 20)
#define KUBE_LIST_META_BYTES_MAX (64u << 10) /* of the list's own metadata */
#define KUBE_NAME_MAX 254u		  /* with NUL */

enum json_items_kind {
	JSON_ITEMS_LIST,   /* one object with `items` */
	JSON_ITEMS_STREAM, /* objects one after the other: a watch */
};

struct json_items_skip {
	const char *namespace_, *name; /* as far as they were seen; "" unknown */
	int err;		       /* -E2BIG a limit, -EBADMSG not a JSON object */
	size_t bytes;		       /* of the item */
};

struct json_items_ops {
	/* One item, parsed and checked; the callee owns it. Negative stops: feed() returns it. */
	int (*item)(void *arg, cJSON *item);
	void (*skipped)(void *arg, const struct json_items_skip *s); /* may be NULL */
};

struct json_items;

/* item_max: bytes, 0 for KUBE_ITEM_BYTES_MAX. For STREAM names are looked for in `object`. */
int json_items_new(enum json_items_kind kind, size_t item_max, const struct json_items_ops *ops, void *arg,
		   struct json_items **ret);
/* For items whose writer is asked for: metadata.managedFields is kept. Before the first byte. */
void json_items_keep_managed(struct json_items *s);
void json_items_free(struct json_items *s);
void json_items_freep(struct json_items **s);
/*
 * Any number of bytes, cut anywhere. 0; -EBADMSG (brackets, commas and quotes do not make such a
 * document, so that where the next item begins is not known), -E2BIG (the list's own fields), -ENOMEM,
 * or what item() returned. An error sticks.
 *
 * Two things change on the way: metadata.managedFields of an item becomes null, for it is often half
 * of it and nobody reads it; and \u0000 in its strings becomes \ufffd, for C strings end there, and
 * nobody shall hide an object by putting one into an annotation.
 */
int json_items_feed(struct json_items *s, const char *p, size_t n);
/* The bytes are over: 0, or -EBADMSG when something is missing at the end. */
int json_items_end(struct json_items *s);

/* The list's own fields as far as they came; "" unknown. They live until free. */
const char *json_items_list_kind(const struct json_items *s);
const char *json_items_list_version(const struct json_items *s);  /* apiVersion */
const char *json_items_resource_version(const struct json_items *s);
const char *json_items_continue(const struct json_items *s);
uint64_t json_items_count(const struct json_items *s);	  /* items handed out */
uint64_t json_items_skipped(const struct json_items *s);
/* What is held at most so far, in bytes, of input; for tests. */
size_t json_items_held_max(const struct json_items *s);
