/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>
#include <string.h>

#include "base/cleanup.h"
#include "topology/words.h"

static const char *const levels[GRAPH_LEVELS] = {
	[GRAPH_POD] = "pod", [GRAPH_CONTROLLER] = "controller", [GRAPH_LABEL] = "label",
	[GRAPH_SERVICE] = "service", [GRAPH_NAMESPACE] = "namespace",
};
static const char *const states[GRAPH_STATES] = {
	[GRAPH_PENDING] = "pending", [GRAPH_CONFIRMED] = "confirmed",
	[GRAPH_REJECTED] = "rejected", [GRAPH_HELD] = "held",
};
static const char *const formats[GRAPH_FORMATS] = {
	[GRAPH_DOT] = "dot", [GRAPH_JSON] = "json", [GRAPH_GRAPHML] = "graphml",
	[GRAPH_MERMAID] = "mermaid", [GRAPH_CSV] = "csv",
};
static const char *const outcomes[CW_OUT_COUNT] = {
	[CW_OUT_NONE] = "-", [CW_OUT_ALLOW] = "allow", [CW_OUT_ALERT] = "alert",
	[CW_OUT_NO_RULE] = "no-rule", [CW_OUT_WOULD_BLOCK] = "would-block", [CW_OUT_DROP] = "block",
};
static const char *const modes[CW_MODE_COUNT] = {
	[CW_MODE_OFF] = "off", [CW_MODE_LEARN] = "learn", [CW_MODE_ALERT] = "alert",
	[CW_MODE_ENFORCE] = "enforce",
};

static int find(const char *const *words, size_t n, const char *s)
{
	for (size_t i = 0; s && i < n; i++)
		if (!strcmp(words[i], s))
			return (int)i;
	return -EINVAL;
}

const char *graph_level_str(enum graph_level l)
{
	return (unsigned)l < GRAPH_LEVELS ? levels[l] : NULL;
}

const char *graph_state_str(enum graph_state s)
{
	return (unsigned)s < GRAPH_STATES ? states[s] : NULL;
}

const char *graph_format_str(enum graph_format f)
{
	return (unsigned)f < GRAPH_FORMATS ? formats[f] : NULL;
}

const char *graph_outcome_str(enum cw_outcome o)
{
	return (unsigned)o < CW_OUT_COUNT ? outcomes[o] : NULL;
}

const char *graph_mode_str(enum cw_mode m)
{
	return (unsigned)m < CW_MODE_COUNT ? modes[m] : NULL;
}

const char *graph_format_mime(enum graph_format f)
{
	static const char *const mime[GRAPH_FORMATS] = {
		[GRAPH_DOT] = "text/vnd.graphviz; charset=utf-8",
		[GRAPH_JSON] = "application/json",
		[GRAPH_GRAPHML] = "application/graphml+xml; charset=utf-8",
		[GRAPH_MERMAID] = "text/vnd.mermaid; charset=utf-8",
		[GRAPH_CSV] = "text/csv; charset=utf-8",
	};

	return (unsigned)f < GRAPH_FORMATS ? mime[f] : NULL;
}

#define PARSER(name, type, words)                                \
	int name(const char *s, type *ret)                       \
	{                                                        \
		int i = find(words, ARRAY_SIZE(words), s);       \
								 \
		if (i < 0)                                       \
			return i;                                \
		*ret = (type)i;                                  \
		return 0;                                        \
	}
PARSER(graph_level_parse, enum graph_level, levels)
PARSER(graph_state_parse, enum graph_state, states)
PARSER(graph_format_parse, enum graph_format, formats)
PARSER(graph_outcome_parse, enum cw_outcome, outcomes)
PARSER(graph_mode_parse, enum cw_mode, modes)

enum cw_outcome graph_stricter(enum cw_outcome a, enum cw_outcome b)
{
	/* not the enum's order: an alert is a rule's word, no-rule would be blocked one day */
	static const uint8_t rank[CW_OUT_COUNT] = {
		[CW_OUT_NONE] = 0, [CW_OUT_ALLOW] = 1, [CW_OUT_NO_RULE] = 2, [CW_OUT_ALERT] = 3,
		[CW_OUT_WOULD_BLOCK] = 4, [CW_OUT_DROP] = 5,
	};

	return rank[a] >= rank[b] ? a : b;
}
