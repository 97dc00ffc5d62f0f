/* SPDX-License-Identifier: Apache-2.0 */
/*
 * ident.h - label identities: one number for each distinct (namespace, namespace labels, labels
 * that count, controller, service account). Cluster-wide and stable: numbers are preloaded from
 * the store, handed out upwards and never handed out twice.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "policy/model.h"

#define IDENT_MAX 1000000u /* label identities kept at a time */

/* What a label identity stands for. NULL and "" are the same. */
struct ident_info {
	char *ns;
	struct labels ns_labels; /* with kubernetes.io/metadata.name */
	struct labels labels;	 /* without the ignored ones */
	char *controller_kind, *controller_name;
	char *service_account;
};
void ident_info_done(struct ident_info *i);
int ident_info_copy(const struct ident_info *from, struct ident_info *to);
/* Canonical text of the attributes: injective, one line of JSON; malloc'ed. What a store keeps. */
char *ident_info_str(const struct ident_info *i);
/* Reads what ident_info_str wrote. 0, -EBADMSG, -ENOMEM. */
int ident_info_parse(const char *s, struct ident_info *ret);

struct ident_table;

struct ident_table *ident_table_new(void);
void ident_table_free(struct ident_table *t);
size_t ident_table_count(const struct ident_table *t);
/* A number from the store, before any is handed out. -EEXIST: number or attributes are taken;
 * -ERANGE: a reserved number. */
int ident_table_preload(struct ident_table *t, uint32_t number, const struct ident_info *info);
/* Number of the attributes, a new one if they are new. Takes a reference. -ENOMEM, -ENOSPC. */
int ident_table_get(struct ident_table *t, const struct ident_info *info, uint32_t *ret);
const struct ident_info *ident_table_info(const struct ident_table *t, uint32_t number); /* or NULL */
void ident_table_ref(struct ident_table *t, uint32_t number);
/* Gives a reference back; the entry stays known (its number is stable) until ident_table_prune. */
void ident_table_unref(struct ident_table *t, uint32_t number);
/* Forgets unreferenced entries with numbers below `below`. Their numbers are not handed out again. */
size_t ident_table_prune(struct ident_table *t, uint32_t below);
/* In no order; a non-zero return of fn ends the walk and is returned. */
int ident_table_each(const struct ident_table *t,
		     int (*fn)(void *arg, uint32_t number, const struct ident_info *info), void *arg);
