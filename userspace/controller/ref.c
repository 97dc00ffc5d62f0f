/* SPDX-License-Identifier: Apache-2.0 */
#include "controller/ref.h"

#include <ctype.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "base/cleanup.h"
#include "base/strparse.h"

bool str_set(const char *s)
{
	return s && *s;
}

bool str_eq(const char *a, const char *b)
{
	return !strcmp(a ? a : "", b ? b : "");
}

bool same_kind(const char *a, const char *b)
{
	if (!str_set(a) || !str_set(b))
		return false;
	return !strcasecmp(a, b) || !strcasecmp(kind_short(a), kind_short(b));
}

void ref_done(struct ref *r)
{
	free(r->ns);
	free(r->name);
	free(r->ctrl_kind);
	labels_done(&r->labels);
	memset(r, 0, sizeof(*r));
}

bool ref_is_workloads(const struct ref *r)
{
	return r->kind == REF_CLUSTER || r->kind == REF_NAMESPACE || r->kind == REF_CONTROLLER ||
	       r->kind == REF_WORKLOAD || r->kind == REF_ACCOUNT || r->kind == REF_LABELS;
}

static int bad(struct fail_list *f, const char *at, const char *s)
{
	char where[160];

	snprintf(where, sizeof(where), "%s: \"%.100s\"", at ? at : "argument", s);
	return fail_add(f, -EINVAL, "ref.syntax", where,
			"ns/NAME, NS/KIND/NAME, NS/KEY=VALUE, an address or CIDR, or a reserved word",
			"cellwall workload list", "this is not a REF");
}

static int take_text(char **to, const char *s, size_t n)
{
	*to = strndup(s, n);
	return *to ? 0 : -ENOMEM;
}

/* NS/KIND/NAME */
static int parse_three(const char *ns, size_t nns, const char *kind, size_t nkind, const char *name,
		       struct ref *r)
{
	static const struct { const char *word; enum ref_kind kind; } words[] = {
		{ "pod", REF_WORKLOAD }, { "svc", REF_SERVICE }, { "sa", REF_ACCOUNT },
	};
	char k[64];

	if (!nkind || nkind >= sizeof(k) || !is_dns_name(name))
		return -EINVAL;
	memcpy(k, kind, nkind);
	k[nkind] = 0;
	for (size_t i = 0; i < nkind; i++)
		if (!isalnum((unsigned char)k[i]) && k[i] != '.' && k[i] != '-')
			return -EINVAL;
	r->kind = REF_CONTROLLER;
	for (size_t i = 0; i < ARRAY_SIZE(words); i++)
		if (!strcasecmp(k, words[i].word))
			r->kind = words[i].kind;
	if (take_text(&r->ns, ns, nns) || take_text(&r->name, name, strlen(name)))
		return -ENOMEM;
	if (!is_dns_label(r->ns))
		return -EINVAL;
	if (r->kind == REF_CONTROLLER) {
		const char *l = kind_long(k);

		if (take_text(&r->ctrl_kind, l ? l : k, strlen(l ? l : k)))
			return -ENOMEM;
	}
	return 0;
}

static int parse(const char *s, bool cluster, struct ref *r)
{
	const char *slash = strchr(s, '/'), *second;
	uint32_t id;
	int e;

	if (!reserved_parse(s, &id)) {
		r->kind = REF_RESERVED;
		r->reserved = id;
		return 0;
	}
	if (cluster && !strcmp(s, "cluster")) {
		r->kind = REF_CLUSTER;
		return 0;
	}
	if (!prefix_parse(s, &r->cidr)) {
		r->kind = REF_CIDR;
		return 0;
	}
	if (!slash || slash == s)
		return -EINVAL;
	if (!strncmp(s, "fqdn/", 5)) {
		const char *n = s + 5;

		r->kind = REF_FQDN;
		if (!is_dns_name(!strncmp(n, "*.", 2) ? n + 2 : n))
			return -EINVAL;
		return take_text(&r->name, n, strlen(n));
	}
	if (strchr(slash, '=')) {
		r->kind = REF_LABELS;
		if (take_text(&r->ns, s, (size_t)(slash - s)))
			return -ENOMEM;
		if (!is_dns_label(r->ns))
			return -EINVAL;
		e = labels_parse(slash + 1, &r->labels);
		return e ? e : r->labels.n ? 0 : -EINVAL;
	}
	second = strchr(slash + 1, '/');
	if (second)
		return parse_three(s, (size_t)(slash - s), slash + 1, (size_t)(second - slash - 1),
				   second + 1, r);
	if (strncmp(s, "ns/", 3) || !is_dns_label(s + 3))
		return -EINVAL;
	r->kind = REF_NAMESPACE;
	return take_text(&r->ns, s + 3, strlen(s + 3));
}

int ref_parse(const char *s, const char *at, bool cluster, struct fail_list *f, struct ref *ret)
{
	struct ref r = {};
	int e;

	if (!s || !*s || strlen(s) > REF_MAX)
		return bad(f, at, s ? s : "");
	e = parse(s, cluster, &r);
	if (e) {
		ref_done(&r);
		return e == -ENOMEM ? e : bad(f, at, s);
	}
	*ret = r;
	return 0;
}

bool ref_matches_workload(const struct ref *r, const struct workload *w)
{
	if (r->ns && !str_eq(r->ns, w->ns))
		return false;
	switch (r->kind) {
	case REF_CLUSTER:
	case REF_NAMESPACE:
		return true;
	case REF_WORKLOAD:
		return str_eq(r->name, w->name);
	case REF_CONTROLLER:
		return same_kind(r->ctrl_kind, w->controller_kind) && str_eq(r->name, w->controller_name);
	case REF_ACCOUNT:
		return str_eq(r->name, str_set(w->service_account) ? w->service_account : "default");
	case REF_LABELS:
		for (size_t i = 0; i < r->labels.n; i++) {
			const char *v = labels_get(&w->labels, r->labels.v[i].key);

			if (!v || !str_eq(v, r->labels.v[i].value))
				return false;
		}
		return true;
	case REF_CIDR:
		for (size_t i = 0; i < w->naddrs; i++)
			if (prefix_has(&r->cidr, &w->addrs[i]))
				return true;
		return false;
	default:
		return false;
	}
}

bool ref_matches_text(const struct ref *r, const char *text, const struct policy_state *st)
{
	struct ref t = {};
	bool yes = false;

	if (!str_set(text) || ref_parse(text, NULL, false, NULL, &t))
		return false;
	if (r->kind == REF_CIDR && t.kind == REF_CIDR) {
		yes = prefix_covers(&r->cidr, &t.cidr);
	} else if (r->kind == REF_RESERVED) {
		/* An address without an owner in the cluster is shown as itself and belongs to the world. */
		yes = (t.kind == REF_RESERVED && t.reserved == r->reserved) ||
		      (r->reserved == CW_ID_WORLD && (t.kind == REF_CIDR || t.kind == REF_FQDN));
	} else if (r->kind == REF_FQDN || r->kind == REF_SERVICE) {
		yes = r->kind == t.kind && str_eq(r->ns, t.ns) && str_eq(r->name, t.name);
	} else if (t.kind == REF_SERVICE) {
		yes = r->kind == REF_NAMESPACE && str_eq(r->ns, t.ns);
	} else if (t.kind == REF_WORKLOAD) {
		const struct workload *w = state_workload(st, t.ns, t.name);
		const struct workload gone = { .ns = t.ns, .name = t.name };

		yes = ref_matches_workload(r, w ? w : &gone);
	} else if (t.kind == REF_CONTROLLER) {
		const struct workload *w[1];

		if (r->kind == REF_NAMESPACE)
			yes = str_eq(r->ns, t.ns);
		else if (r->kind == REF_CONTROLLER)
			yes = str_eq(r->ns, t.ns) && same_kind(r->ctrl_kind, t.ctrl_kind) && str_eq(r->name, t.name);
		else if (ref_find(&t, st, w, 1))
			yes = ref_matches_workload(r, w[0]);
	} else if (t.kind == REF_LABELS) {
		yes = str_eq(r->ns, t.ns) && r->kind == REF_NAMESPACE;
		if (r->kind == REF_LABELS && str_eq(r->ns, t.ns)) {
			yes = true;
			for (size_t i = 0; i < r->labels.n; i++)
				if (!str_eq(labels_get(&t.labels, r->labels.v[i].key), r->labels.v[i].value))
					yes = false;
		}
	}
	ref_done(&t);
	return yes;
}

char *ref_text(const struct ref *r)
{
	auto_free char *l = NULL;
	char pfx[PREFIX_STR_MAX];
	char *s = NULL;
	int n = -1;

	switch (r->kind) {
	case REF_CLUSTER:
		return strdup("cluster");
	case REF_NAMESPACE:
		n = asprintf(&s, "ns/%s", r->ns);
		break;
	case REF_CONTROLLER:
		n = asprintf(&s, "%s/%s/%s", r->ns, kind_short(r->ctrl_kind), r->name);
		break;
	case REF_WORKLOAD:
		n = asprintf(&s, "%s/pod/%s", r->ns, r->name);
		break;
	case REF_ACCOUNT:
		n = asprintf(&s, "%s/sa/%s", r->ns, r->name);
		break;
	case REF_SERVICE:
		n = asprintf(&s, "%s/svc/%s", r->ns, r->name);
		break;
	case REF_LABELS:
		l = labels_str(&r->labels);
		n = l ? asprintf(&s, "%s/%s", r->ns, l) : -1;
		break;
	case REF_CIDR:
		if (r->cidr.plen == (r->cidr.v6 ? 128 : 32))
			return strdup(addr_str(&r->cidr.addr, pfx));
		return strdup(prefix_str(&r->cidr, pfx));
	case REF_FQDN:
		n = asprintf(&s, "fqdn/%s", r->name);
		break;
	case REF_RESERVED:
		return strdup(reserved_str(r->reserved));
	case REF_NONE:
		break;
	}
	return n < 0 ? NULL : s;
}

size_t ref_find(const struct ref *r, const struct policy_state *st, const struct workload **ret, size_t max)
{
	size_t n = 0;

	for (size_t i = 0; i < st->nworkloads; i++) {
		if (!ref_matches_workload(r, &st->workloads[i]))
			continue;
		if (n < max)
			ret[n] = &st->workloads[i];
		n++;
	}
	return n;
}

#define NEAREST_MAX 4096u /* candidates a suggestion looks at */

char *ref_nearest(const struct ref *r, const struct policy_state *st)
{
	const char **words;
	const char *hit = NULL;
	struct ref near = *r;
	size_t n = 0;
	char *s = NULL;

	words = calloc(NEAREST_MAX, sizeof(*words));
	if (!words)
		return NULL;
	for (size_t i = 0; i < st->nworkloads && n < NEAREST_MAX; i++) {
		const struct workload *w = &st->workloads[i];

		if (r->kind == REF_NAMESPACE)
			words[n++] = w->ns;
		else if (r->kind == REF_WORKLOAD && str_eq(w->ns, r->ns))
			words[n++] = w->name;
		else if (r->kind == REF_CONTROLLER && str_eq(w->ns, r->ns) && w->controller_name &&
			 same_kind(w->controller_kind, r->ctrl_kind))
			words[n++] = w->controller_name;
	}
	for (size_t i = 0; r->kind == REF_NAMESPACE && i < st->nnamespaces && n < NEAREST_MAX; i++)
		words[n++] = st->namespaces[i].name;
	if (n)
		hit = nearest_word(r->kind == REF_NAMESPACE ? r->ns : r->name, words, n);
	if (hit) {
		if (r->kind == REF_NAMESPACE)
			near.ns = (char *)hit;
		else
			near.name = (char *)hit;
		s = ref_text(&near);
	}
	free(words);
	return s;
}

const struct workload *state_workload(const struct policy_state *st, const char *ns, const char *name)
{
	for (size_t i = 0; i < st->nworkloads; i++)
		if (str_eq(st->workloads[i].name, name) && str_eq(st->workloads[i].ns, ns))
			return &st->workloads[i];
	return NULL;
}

const struct namespace *state_namespace(const struct policy_state *st, const char *ns)
{
	for (size_t i = 0; i < st->nnamespaces; i++)
		if (str_eq(st->namespaces[i].name, ns))
			return &st->namespaces[i];
	return NULL;
}

char *workload_pod_ref(const struct workload *w)
{
	char *s = NULL;

	return asprintf(&s, "%s/pod/%s", w->ns, w->name) < 0 ? NULL : s;
}

char *workload_group_ref(const struct workload *w)
{
	char *s = NULL;

	if (!str_set(w->controller_kind) || !str_set(w->controller_name))
		return workload_pod_ref(w);
	return asprintf(&s, "%s/%s/%s", w->ns, kind_short(w->controller_kind), w->controller_name) < 0 ?
		NULL : s;
}
