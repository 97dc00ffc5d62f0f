/* SPDX-License-Identifier: Apache-2.0 */
#include <stdlib.h>
#include <string.h>

#include "topology/graph_priv.h"

struct graph_strings {
	struct htab *t;
};

struct graph_strings *graph_strings_new(void)
{
	struct graph_strings *t = calloc(1, sizeof(*t));

	if (!t)
		return NULL;
	t->t = htab_new();
	if (!t->t) {
		free(t);
		return NULL;
	}
	return t;
}

void graph_strings_free(struct graph_strings *t)
{
	if (!t)
		return;
	htab_free(t->t, free);
	free(t);
}

const char *graph_strings_addn(struct graph_strings *t, const char *s, size_t n)
{
	char *p;

	if (!n)
		return "";
	p = htab_get(t->t, s, n);
	if (p)
		return p;
	p = malloc(n + 1);
	if (!p)
		return NULL;
	memcpy(p, s, n);
	p[n] = '\0';
	if (htab_set(t->t, p, n, p, NULL) < 0) {
		free(p);
		return NULL;
	}
	return p;
}

const char *graph_strings_add(struct graph_strings *t, const char *s)
{
	return s ? graph_strings_addn(t, s, strlen(s)) : "";
}
