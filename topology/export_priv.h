/* SPDX-License-Identifier: Apache-2.0 */
/* export_priv.h - what the exports of one view share. */
#pragma once

#include "topology/graph.h"

struct buf;

struct palette {
	const char *allow, *alert, *block, *grey;
	const char *ink, *fill, *line, *ground; /* ink and ground: NULL on light ground */
};
/* Any two of the four stay apart for protan, deutan and tritan sight. */
const struct palette *export_palette(bool dark);
const char *export_color(const struct palette *p, enum cw_outcome o);

/* "tcp/80,443 +3": the first two ports of a line and how many more. Unescaped; cut at a safe size. */
#define EXPORT_PORTS_MAX 160u
const char *export_ports(const struct graph_view *v, const struct graph_vedge *e, char out[EXPORT_PORTS_MAX]);
/* The same with the verdict's word whenever it is not allow: "tcp/25 block". */
#define EXPORT_LABEL_MAX (EXPORT_PORTS_MAX + 16u)
const char *export_label(const struct graph_view *v, const struct graph_vedge *e, char out[EXPORT_LABEL_MAX]);
/* Distinct ports of a line; equal ones stand side by side in its accesses. */
size_t export_port_count(const struct graph_view *v, const struct graph_vedge *e);
enum cw_outcome export_outcome(const struct graph_vedge *e);
/* Solid lines: confirmed, or every side that judged it has a rule that lets it pass. */
bool export_decided(const struct graph_vedge *e);
/* "cluster prod-hz, 2026-03-11T08:36:00Z to 2026-03-12T08:36:00Z, generation 44"; raw text. */
void export_about(const struct graph_export *opt, struct buf *b);
/* "folded from controller to namespace: 120 nodes to 12"; returns false where nothing is folded. */
bool export_folded(const struct graph_view *v, struct buf *b);
/* Second line of a node: "deploy x2", "world"; "" for none. */
#define EXPORT_KIND_MAX 64u
const char *export_kind(const struct graph_vnode *n, char out[EXPORT_KIND_MAX]);
/* Mode word of a namespace, NULL if not known. */
const char *export_mode(const struct graph_view *v, const char *ns);
const struct graph_vns *export_ns(const struct graph_view *v, const char *ns);

/* Node indices by namespace, then REF; malloc'ed, NULL: no memory. */
uint32_t *export_by_ns(const struct graph_view *v);

void export_dot(const struct graph_view *v, const struct graph_export *opt, struct buf *b);
void export_json(const struct graph_view *v, const struct graph_export *opt, struct buf *b);
void export_graphml(const struct graph_view *v, const struct graph_export *opt, struct buf *b);
void export_mermaid(const struct graph_view *v, const struct graph_export *opt, struct buf *b);
void export_csv(const struct graph_view *v, struct buf *b);
