/* SPDX-License-Identifier: Apache-2.0 */
/* export_csv.c - one row for each access (RFC 4180), for spreadsheets and one-to-one comparison. */
#include <inttypes.h>

#include "base/buf.h"
#include "base/strparse.h"
#include "topology/escape.h"
#include "topology/export_priv.h"
#include "topology/words.h"

static void field(struct buf *b, const char *s)
{
	esc_csv(b, s);
	buf_adds(b, ",");
}

/* Our own words: "-" is no formula. */
static void word(struct buf *b, const char *s)
{
	buf_printf(b, "%s,", s);
}

void export_csv(const struct graph_view *v, struct buf *b)
{
	char t[32];

	buf_adds(b, "id,edge,source,source_namespace,destination,destination_namespace,port,service,verdict,egress,"
		    "ingress,state,rule,flows,answered,bytes,first,last\r\n");
	for (size_t i = 0; i < v->nedges && !b->err; i++) {
		const struct graph_vedge *e = &v->edges[i];

		for (uint32_t k = 0; k < e->naccesses; k++) {
			const struct graph_access *a = &v->accesses[e->first_access + k];

			field(b, a->id);
			field(b, e->id);
			field(b, a->src);
			field(b, v->nodes[e->src].ns);
			field(b, a->dst);
			field(b, v->nodes[e->dst].ns);
			field(b, a->port);
			field(b, a->service);
			word(b, graph_outcome_str(export_outcome(e)));
			word(b, graph_outcome_str(a->outcome[CW_EGRESS]));
			word(b, graph_outcome_str(a->outcome[CW_INGRESS]));
			word(b, graph_state_str(a->state));
			field(b, a->rule);
			buf_printf(b, "%" PRIu64 ",%" PRIu64 ",%" PRIu64 ",", a->flows, a->answered, a->bytes);
			buf_printf(b, "%s,", a->first_ns ? time_str(a->first_ns, t) : "");
			buf_printf(b, "%s\r\n", a->last_ns ? time_str(a->last_ns, t) : "");
		}
	}
}
