/* SPDX-License-Identifier: Apache-2.0 */
/* graph_priv.h - inside of the topology room: the collected graph and its text. */
#pragma once

#include "base/htab.h"
#include "topology/graph.h"

/* Interned text: equal strings have equal pointers within one owner. */
struct graph_strings;
struct graph_strings *graph_strings_new(void);
void graph_strings_free(struct graph_strings *t);
/* NULL and "" give "". NULL: no memory. */
const char *graph_strings_add(struct graph_strings *t, const char *s);
const char *graph_strings_addn(struct graph_strings *t, const char *s, size_t n);

/* A REF taken apart. Slices point into the REF, or to constant text. */
struct ref_parts {
	const char *ns, *kind, *name;
	size_t ns_len, kind_len, name_len;
	bool outside;
};
void graph_ref_split(const char *ref, struct ref_parts *ret);
/* The kinds that a fold may gather: addresses, names and nodes, never the reserved words. */
bool graph_kind_foldable(const char *kind);

struct gnode {
	const char *ref, *ns, *kind, *name; /* "" where there is none */
	const char *said[3];		    /* ns, kind, name as a caller gave them; NULL: read off the REF */
	const char *at[GRAPH_LEVELS];	    /* NULL: not said */
	uint32_t members, flags;
	uint32_t held; /* read back from a saved view */
	bool outside;
};

struct gaccess {
	const char *id, *port, *service, *rule;
	uint32_t src, dst; /* index into nodes */
	enum graph_state state;
	enum cw_outcome outcome[2];
	uint64_t flows, answered, bytes;
	int64_t first_ns, last_ns;
};

struct gns {
	const char *name;
	enum cw_mode mode;
};

struct graph {
	struct graph_strings *strings;
	struct { struct gnode *v; size_t n, cap; } nodes;
	struct { struct gaccess *v; size_t n, cap; } accesses;
	struct { struct gns *v; size_t n, cap; } namespaces;
	struct htab *node_at;	/* REF -> index + 1 */
	struct htab *access_at; /* id, src, dst */
	struct htab *ns_at;	/* name -> index + 1 */
};

/* Adds a node as graph_node_add does, the kept names of folded nodes allowed. *ret: its index. */
int graph_node_put(struct graph *g, const struct graph_node *n, uint32_t *ret);
/* 0, -EINVAL, -EILSEQ, -ENAMETOOLONG */
int graph_name_check(const char *s);

/* tcp/80 < tcp/443 < udp/53: protocol as text, port as number */
int graph_port_cmp(const char *a, const char *b);
uint64_t graph_sat_add(uint64_t a, uint64_t b);
