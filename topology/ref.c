/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>
#include <string.h>

#include "base/addr.h"
#include "base/cleanup.h"
#include "topology/graph_priv.h"

static bool is_address(const char *s)
{
	struct prefix p;

	/* a fold prefix from configuration may be written with host bits: still an address */
	int r = prefix_parse(s, &p);

	return r == 0 || r == -EDOM;
}

static bool is_reserved(const char *s)
{
	static const char *const words[] = { "host", "remote-node", "world", "unknown", "multicast" };

	for (size_t i = 0; i < ARRAY_SIZE(words); i++)
		if (!strcmp(s, words[i]))
			return true;
	return false;
}

static void set(struct ref_parts *p, const char *kind, const char *name)
{
	p->kind = kind;
	p->kind_len = strlen(kind);
	p->name = name;
	p->name_len = strlen(name);
}

void graph_ref_split(const char *ref, struct ref_parts *ret)
{
	const char *slash = strchr(ref, '/'), *rest, *second;

	*ret = (struct ref_parts){ .ns = "", .outside = true };
	if (!strcmp(ref, GRAPH_FOLDED_NS)) {
		set(ret, "folded", ref);
		ret->outside = false;
		return;
	}
	if (!strcmp(ref, GRAPH_FOLDED_OUTSIDE)) {
		set(ret, "folded", ref);
		return;
	}
	if (is_reserved(ref)) {
		set(ret, "reserved", ref);
		return;
	}
	if (!slash || is_address(ref)) {
		set(ret, "world", ref);
		return;
	}
	rest = slash + 1;
	second = strchr(rest, '/');
	if (!strncmp(ref, "fqdn/", 5)) {
		set(ret, "fqdn", rest);
		return;
	}
	if (!second && !strncmp(ref, "node/", 5)) {
		set(ret, "node", rest);
		return;
	}
	if (!second && !strncmp(ref, "unknown/", 8)) {
		set(ret, "unknown", rest);
		return;
	}
	ret->outside = false;
	if (!second && !strncmp(ref, "ns/", 3) && !strchr(rest, '=')) {
		set(ret, "ns", rest);
		ret->ns = rest;
		ret->ns_len = ret->name_len;
		return;
	}
	ret->ns = ref;
	ret->ns_len = (size_t)(slash - ref);
	if (!second || strchr(rest, '=')) {
		set(ret, "labels", rest);
		return;
	}
	set(ret, rest, second + 1);
	ret->kind_len = (size_t)(second - rest);
}

bool graph_kind_foldable(const char *kind)
{
	return strcmp(kind, "reserved") != 0;
}
