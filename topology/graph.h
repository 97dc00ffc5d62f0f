/* SPDX-License-Identifier: Apache-2.0 */
/*
 * graph.h - who talks to whom: a graph of workloads and accesses, looked at from a level.
 *
 * Pure: no I/O, no clock, no globals. `struct graph` collects nodes and accesses in any order;
 * graph_view_make() lifts, filters and folds them into a `struct graph_view`, which is sorted
 * plain data; exports and diffs read views only. The same set of inputs gives the same view and
 * the same bytes, whatever order it was added in.
 *
 * A node is named by its REF ("shop/deploy/web", "shop/pod/web-1", "shop/app=web", "shop/svc/web",
 * "ns/shop", "node/n1", "fqdn/pay.example.com", an address or CIDR, or a bare reserved word).
 * Names are hostile: any UTF-8 without NUL up to GRAPH_NAME_MAX bytes is taken and every export
 * escapes for its own format.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "cw_abi.h"

struct buf;
struct cJSON;
struct fail_list;
struct graph;

#define GRAPH_NAME_MAX 1024u	    /* bytes of one name */
#define GRAPH_NODES_MAX 200000u	    /* nodes of one graph */
#define GRAPH_ACCESSES_MAX 1000000u /* accesses of one graph */
#define GRAPH_NAMESPACES_MAX 50000u
#define GRAPH_MAX_NODES_DEFAULT 60u /* a drawing beyond it cannot be read: the level rises */
#define GRAPH_EXPORT_MAX (512u << 20) /* bytes of one export */

/* From fine to coarse, but for label and service, which stand beside controller. */
enum graph_level {
	GRAPH_POD,
	GRAPH_CONTROLLER,
	GRAPH_LABEL,
	GRAPH_SERVICE,
	GRAPH_NAMESPACE,
	GRAPH_LEVELS
};

enum graph_state { GRAPH_PENDING, GRAPH_CONFIRMED, GRAPH_REJECTED, GRAPH_HELD, GRAPH_STATES };

#define GRAPH_NODE_QUARANTINED 0x01u
#define GRAPH_NODE_BLIND 0x02u /* an interface that nobody judges */
#define GRAPH_NODE_LATE 0x04u  /* packets came before the identity */
#define GRAPH_NODE_FLAGS 0x07u

/*
 * One node as it is added. Only `ref` is required: ns, kind and name are read off the REF when
 * NULL. at[level] is the REF of the group that the node belongs to at that level. NULL means: the
 * node itself at pod level and at its own level; the controller's where there is no label or
 * service group; "ns/<namespace>" at namespace level; outside nodes are themselves everywhere.
 * A group that is added as a node takes missing at[] from its members where they agree.
 */
struct graph_node {
	const char *ref, *ns, *kind, *name;
	const char *at[GRAPH_LEVELS];
	uint32_t members; /* workloads behind it; 0: one, or as many as were added as its members */
	uint32_t flags;	  /* GRAPH_NODE_* */
};

/*
 * One access as it is added. src and dst are REFs; an end that was not added as a node is added.
 * A group ("shop/deploy/web") or a single workload ("shop/pod/web-1") are both fine.
 */
struct graph_access {
	const char *id;	     /* access id, "3f9a"; (id, src, dst) is unique in the graph */
	const char *src, *dst; /* in a view: as drawn */
	const char *port;    /* "tcp/5432", "icmp/echo-request", "any" */
	const char *service; /* "svc/web", NULL: not through a service */
	const char *rule;    /* rule behind the verdict, NULL */
	enum graph_state state;
	enum cw_outcome outcome[2]; /* by enum cw_side */
	uint64_t flows, answered, bytes; /* answered: flows that saw a reply */
	int64_t first_ns, last_ns;	 /* Unix time; 0: not known */
};

struct graph *graph_new(void);
void graph_free(struct graph *g);
void graph_freep(struct graph **g); /* for auto_cleanup */

/*
 * All adders copy their strings. 0; -EINVAL (missing or empty name, a REF that starts with '(',
 * which is kept for folded nodes, an enum or flag out of range); -EILSEQ not UTF-8; -ENAMETOOLONG; -E2BIG the graph
 * is full; -ENOMEM. On failure the node or access is not added.
 */
int graph_namespace_add(struct graph *g, const char *name, enum cw_mode mode); /* again: replaces */
/* A REF that is there already: flags are ORed, the larger members count, the rest is added. */
int graph_node_add(struct graph *g, const struct graph_node *n);
/* Also -EEXIST: an access with this id between these ends is there. One access may be added once
 * for each pair of workloads; where they meet in one line of a view it is one access again. */
int graph_access_add(struct graph *g, const struct graph_access *a);

/* ---- views -------------------------------------------------------------------------------- */

struct graph_query {
	enum graph_level level;
	const char *const *namespaces; /* nodes of these and what they talk to; none: everything */
	size_t nnamespaces;
	int64_t since_ns, until_ns; /* accesses seen within [since, until]; 0: open */
	uint32_t states;   /* 1u << enum graph_state; 0: all but held, which is counted */
	uint32_t outcomes; /* 1u << enum cw_outcome of the stricter side; 0: all */
	size_t max_nodes;  /* 0: never fold */
};

/* A node of a view. All strings belong to the view. */
struct graph_vnode {
	const char *ref, *ns, *kind, *name; /* ns "" outside every namespace */
	uint32_t members; /* workloads behind it */
	uint32_t flags;	  /* GRAPH_NODE_*, of any member */
	uint32_t held;	  /* accesses from it held apart as a scan and not drawn */
	bool outside;	  /* address, CIDR, FQDN, node, or reserved word */
};

/* Accesses between the same two nodes in the same state and with the same verdicts: one line. */
struct graph_vedge {
	const char *id;	     /* the smallest access id among its accesses; where two lines share
			      * it (pod level), "ID/SRC/DST" */
	uint32_t src, dst;   /* index into nodes */
	enum graph_state state;
	enum cw_outcome outcome[2];
	uint64_t flows, answered, bytes; /* sums, saturating */
	int64_t first_ns, last_ns;
	uint32_t first_access, naccesses; /* into accesses; sorted by protocol, port, id */
};

struct graph_vns {
	const char *name;
	enum cw_mode mode;
	bool has_mode;
};

struct graph_view {
	enum graph_level asked, level; /* differ: the level rose by itself */
	struct graph_vnode *nodes;	/* sorted by ref */
	size_t nnodes;
	struct graph_vedge *edges;	/* sorted by id */
	size_t nedges;
	struct graph_access *accesses; /* grouped by edge, one for each id */
	size_t naccesses;
	struct graph_vns *namespaces;	/* sorted by name: those of the nodes */
	size_t nnamespaces;
	/* what is not drawn as it is */
	size_t nodes_asked;	  /* nodes that the asked level has */
	size_t folded_namespaces; /* gone into the node "(folded namespaces)" */
	size_t folded_outside;	  /* outside nodes gone into "world" and the like */
	size_t held;		  /* accesses held apart as scan */
	size_t filtered;	  /* accesses left out by window, state, outcome or namespace */
	struct graph_strings *strings; /* owner of the text above */
};

#define GRAPH_FOLDED_NS "(folded namespaces)"
#define GRAPH_FOLDED_OUTSIDE "(folded addresses)"

/* 0, -EINVAL, -ENOMEM. *ret is a new view, independent of g. */
int graph_view_make(const struct graph *g, const struct graph_query *q, struct graph_view **ret);
void graph_view_free(struct graph_view *v);
void graph_view_freep(struct graph_view **v);

/* The side that decides the colour: block, would-block, alert, no-rule, allow, not judged. */
enum cw_outcome graph_stricter(enum cw_outcome a, enum cw_outcome b);
const char *graph_level_str(enum graph_level l);
int graph_level_parse(const char *s, enum graph_level *ret);
const char *graph_state_str(enum graph_state s);
int graph_state_parse(const char *s, enum graph_state *ret);

/* ---- exports ------------------------------------------------------------------------------ */

enum graph_format { GRAPH_DOT, GRAPH_JSON, GRAPH_GRAPHML, GRAPH_MERMAID, GRAPH_CSV, GRAPH_FORMATS };
const char *graph_format_str(enum graph_format f); /* dot json graphml mermaid csv */
int graph_format_parse(const char *s, enum graph_format *ret);
const char *graph_format_mime(enum graph_format f);

struct graph_export {
	bool no_legend; /* dot */
	bool dark;	/* dot, mermaid: the palette for a dark ground */
	bool comment;	/* dot, mermaid, graphml: cluster, window and generation in a comment */
	const char *cluster; /* NULL: not said. These four also go into the JSON's meta */
	int64_t since_ns, until_ns;
	uint64_t generation; /* 0: not said */
};

/*
 * Appends the whole document. 0, or the buffer's error (-ENOMEM, -E2BIG).
 * JSON: {apiVersion, kind: "Topology", meta: {cluster, since, until, generation, level, askedLevel,
 * nodesAsked, foldedNamespaces, foldedOutside, held, filtered}, namespaces: [{name, mode}],
 * nodes: [{id, kind, namespace, name, members, outside, quarantined, blind, late, held}],
 * edges: [{id, src, dst, label, ports, verdict, egress, ingress, state, flows, answered, bytes,
 * first, last, accesses: [{id, src, dst, port, service, rule, flows, answered, bytes, first, last}]}]}
 * CSV: one row per access.
 */
int graph_export(const struct graph_view *v, enum graph_format f, const struct graph_export *opt,
		 struct buf *out);
/*
 * Reads a Topology document back as a graph at the level it was exported at (it cannot be made
 * finer), so that saved files can be shown and compared. 0, -EBADMSG with the fault in f, -ENOMEM.
 */
int graph_from_json(const struct cJSON *j, struct fail_list *f, struct graph **ret);

struct graph_tree {
	const char *const *namespaces; /* trees drawn; none: all of the view */
	size_t nnamespaces;
	const char *const *expand; /* REFs, or "deploy/web" in any drawn namespace; "all" */
	size_t nexpand;
	const char *heading; /* right of the first line: window and generation; NULL */
	int width;	     /* columns, names are cut to fit; 0: never cut (piped) */
	bool color;
};
/* `topology show`: an ASCII tree for the terminal. 0, or the buffer's error. */
int graph_tree_print(const struct graph_view *v, const struct graph_tree *opt, struct buf *out);

/* ---- differences -------------------------------------------------------------------------- */

enum graph_change { GRAPH_NEW, GRAPH_GONE, GRAPH_CHANGED };
struct graph_diff_item {
	enum graph_change change;
	const char *id, *src, *dst, *port; /* drawn REFs; id of the newer side */
	enum cw_outcome before[2], after[2]; /* CW_OUT_NONE where there is none */
	enum graph_state state_before, state_after;
	uint64_t flows; /* of the side that has it, the newer one if both */
};
struct graph_diff { /* borrows its text from both views */
	struct graph_diff_item *items; /* sorted by source, destination, port */
	size_t n, added, gone, changed, same;
	const char **nodes_added, **nodes_gone; /* drawn REFs, sorted */
	size_t nnodes_added, nnodes_gone;
};
/* Compares by drawn source, drawn destination and port; both views stay alive as long as *ret.
 * -EINVAL when the views are of different levels. */
int graph_diff_make(const struct graph_view *before, const struct graph_view *after,
		    struct graph_diff *ret);
void graph_diff_done(struct graph_diff *d);
/*
 * {apiVersion, kind: "TopologyDiff", level, from, to, counts: {new, gone, verdict, same}, nodes:
 * {new, gone}, items: [{change: new|gone|verdict, id, src, dst, port, was, becomes, flows}]}; was
 * and becomes are "EGRESS / INGRESS", null where there is none. from and to: text or NULL.
 */
int graph_diff_json(const struct graph_diff *d, enum graph_level level, const char *from, const char *to,
		    struct buf *out);
/* Lines "+ src -> dst tcp/5432  allow / allow", "- ...", "~ ...  allow / allow -> block / -". */
int graph_diff_text(const struct graph_diff *d, int width, struct buf *out);
