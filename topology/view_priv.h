/* SPDX-License-Identifier: Apache-2.0 */
/* view_priv.h - a view while it is being made: shared by view.c (what) and view_lines.c (how). */
#pragma once

#include "topology/graph_priv.h"

/* A group that is drawn, while the view is being made. */
struct target {
	const char *ref;
	const char *ns, *kind, *name;
	uint32_t members, held, flags;
	size_t accesses; /* weight, when namespaces are folded */
	bool drawn, blocked, outside, foldable, borrows_ns;
	uint32_t index; /* in the view */
};

struct maker {
	const struct graph *g;
	const struct graph_query *q;
	struct graph_view *v;
	struct graph_strings *strings;
	struct htab *focus;	   /* namespaces asked for, or NULL */
	const char *(*at)[GRAPH_LEVELS]; /* per node: explicit or inferred group, interned in g */
	bool *is_group;		   /* per node: other nodes are its members */
	uint32_t *kept;		   /* accesses that pass the filter */
	size_t nkept;
	struct htab *at_ref;	   /* target REF -> index + 1 */
	struct { struct target *v; size_t n, cap; } targets;
	uint32_t *target_of;	   /* per node */
};

/* Last steps: sorted nodes, lines and namespaces of the view from the chosen targets. 0 or -ENOMEM. */
int view_make_nodes(struct maker *m);
int view_make_edges(struct maker *m);
int view_make_namespaces(struct maker *m);
