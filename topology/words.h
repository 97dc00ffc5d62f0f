/* SPDX-License-Identifier: Apache-2.0 */
/* words.h - inside of the topology room: tokens that the exports share. */
#pragma once

#include "topology/graph.h"

const char *graph_outcome_str(enum cw_outcome o); /* "-", allow, alert, no-rule, would-block, block */
int graph_outcome_parse(const char *s, enum cw_outcome *ret);
const char *graph_mode_str(enum cw_mode m);
int graph_mode_parse(const char *s, enum cw_mode *ret);
