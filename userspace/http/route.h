/* SPDX-License-Identifier: Apache-2.0 */
/* route.h - path patterns to routes. Pure; the server's and the fuzzer's. */
#pragma once

#include "http/http_server.h"

#define ROUTE_SEGS_MAX 16u

struct route_entry {
	const struct http_route *route;
	void *arg;
};
struct route_table {
	struct route_entry *v;
	size_t n, cap;
};
struct route_span { const char *name; size_t name_len; const char *at; size_t len; };
struct route_match {
	const struct route_entry *entry;
	struct route_span caps[HTTP_PARAMS_MAX]; /* point into the pattern and the path */
	size_t ncaps;
	unsigned methods; /* bits of enum http_method that exist for the path, set also without a match */
};

void route_table_done(struct route_table *t);
/* 0, -EINVAL, -EEXIST, -ENOSPC, -ENOMEM. */
int route_table_add(struct route_table *t, const struct http_route *r, void *arg);
/* 0, -ENOENT (no such path), -EPERM (path known, method not; methods says which are). */
int route_table_find(const struct route_table *t, enum http_method m, const char *path,
		     struct route_match *ret);
