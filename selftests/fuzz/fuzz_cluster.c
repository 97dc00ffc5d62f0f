/* SPDX-License-Identifier: Apache-2.0 */
/*
 * fuzz_cluster.c - any JSON as any kind of object, in any order. Each line is one event: a letter for the kind
 * ('a' the first; a capital: deleted), and the object; '<' and '>' with a letter begin and end a list, '!' hands
 * over. Every refusal has a fault; what is handed over is well-formed; no address is at two workloads; when
 * everything is gone nothing is left.
 */
#include <assert.h>
#include <errno.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/htab.h"
#include "base/json.h"
#include "base/strparse.h"
#include "cluster/cluster.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

struct world { struct htab *workloads, *addrs, *others; }; /* others: "kind ns/name" of what is there */

static size_t key_of(char out[800], const char *kind, const char *ns, const char *name)
{
	int n = snprintf(out, 800, "%s %s/%s", kind, ns ? ns : "", name);

	assert(n > 0 && n < 800 && is_dns_name(name) && (!ns || is_dns_label(ns)));
	return (size_t)n;
}

static void labels_ok(const struct labels *l)
{
	assert(l->n <= CLUSTER_LABELS_MAX + 1);
	for (size_t i = 0; i < l->n; i++) {
		assert(is_label_key(l->v[i].key) && is_label_value(l->v[i].value));
		assert(!i || strcmp(l->v[i - 1].key, l->v[i].key) < 0);
	}
}

static void release(struct world *w, void *who)
{
	const void *k;
	size_t it = 0, len;
	void *v;

	while (htab_next(w->addrs, &it, &k, &len, &v))
		if (v == who)
			(void)htab_del(w->addrs, k, len);
}

static int workload_put(void *arg, const struct workload *wl)
{
	struct world *w = arg;
	char key[800];
	size_t n = key_of(key, "workload", wl->ns, wl->name);
	char *have = htab_get(w->workloads, key, n);
	struct workload copy;

	labels_ok(&wl->labels);
	assert(workload_copy(wl, &copy) == 0);
	workload_done(&copy);
	assert(!wl->controller_kind == !wl->controller_name);
	if (!have) {
		have = strdup(wl->uid ? wl->uid : "");
		assert(have && htab_set(w->workloads, key, n, have, NULL) == 0);
	}
	assert(strcmp(have, wl->uid ? wl->uid : "") == 0); /* a successor comes after its predecessor's end */
	release(w, have);
	for (size_t i = 0; i < wl->naddrs; i++) {
		assert(!htab_has(w->addrs, &wl->addrs[i], sizeof(wl->addrs[i])));
		assert(htab_set(w->addrs, &wl->addrs[i], sizeof(wl->addrs[i]), have, NULL) == 0);
	}
	for (size_t i = 0; i < wl->nports; i++)
		assert(is_port_name(wl->ports[i].name) && wl->ports[i].port);
	return 0;
}

static int workload_del(void *arg, const char *ns, const char *name, const char *uid)
{
	struct world *w = arg;
	char key[800];
	char *have = htab_del(w->workloads, key, key_of(key, "workload", ns, name));

	assert(have && strcmp(have, uid) == 0);
	release(w, have);
	free(have);
	return 0;
}

static int here(struct world *w, const char *kind, const char *ns, const char *name, bool put)
{
	static char there;
	char key[800];
	size_t n = key_of(key, kind, ns, name);

	if (put)
		assert(htab_set(w->others, key, n, &there, NULL) == 0);
	else
		assert(htab_del(w->others, key, n));
	return 0;
}

static int namespace_put(void *arg, const struct cluster_meta *m, const struct namespace *n, bool has_mode, enum cw_mode mode)
{
	labels_ok(&n->labels);
	assert(strcmp(labels_get(&n->labels, "kubernetes.io/metadata.name"), n->name) == 0);
	assert(!has_mode || mode < CW_MODE_COUNT);
	assert(m->kind == CLUSTER_NAMESPACE);
	return here(arg, "ns", NULL, n->name, true);
}

static int namespace_del(void *arg, const char *name)
{
	return here(arg, "ns", NULL, name, false);
}

static int node_put(void *arg, const struct node_info *n, const struct prefix *cidrs, size_t ncidrs)
{
	labels_ok(&n->labels);
	assert(!ncidrs || cidrs[ncidrs - 1].plen <= 128);
	return here(arg, "node", NULL, n->name, true);
}

static int node_del(void *arg, const char *name)
{
	return here(arg, "node", NULL, name, false);
}

static int service_put(void *arg, const struct service *s)
{
	struct service copy;

	labels_ok(&s->labels);
	assert(service_copy(s, &copy) == 0);
	service_done(&copy);
	for (size_t i = 0; i < s->nports; i++)
		assert(s->ports[i].port && s->ports[i].proto && !(s->ports[i].target && s->ports[i].target_name));
	for (size_t i = 0; i < s->nbackends; i++) {
		uint32_t any = !s->nports;

		for (size_t p = 0; p < s->nports; p++)
			any |= s->backends[i].ports[p];
		assert(any && !addr_is_zero(&s->backends[i].addr));
	}
	return here(arg, "svc", s->ns, s->name, true);
}

static int service_del(void *arg, const char *ns, const char *name)
{
	return here(arg, "svc", ns, name, false);
}

static int document_put(void *arg, const struct cluster_meta *m, const struct rule *r, const struct mode_setting *mode,
			const struct quarantine *q, const struct kpolicy *k)
{
	const char *name = r ? r->name : mode ? mode->name : q ? q->name : k->name;

	assert(!!r + !!mode + !!q + !!k == 1 && strcmp(name, m->name) == 0);
	assert(!r || strcmp(r->ns ? r->ns : "", m->ns ? m->ns : "") == 0);
	assert(!k || strcmp(k->ns ? k->ns : "", m->ns ? m->ns : "") == 0);
	return here(arg, cluster_kind_str(m->kind), m->ns, m->name, true);
}

static int document_del(void *arg, const struct cluster_meta *m)
{
	return here(arg, cluster_kind_str(m->kind), m->ns, m->name, false);
}

static int fault(void *arg, const struct cluster_meta *m, const struct fail_list *f, bool refused)
{
	(void)arg;
	(void)refused;
	assert(m->name && m->uid);
	for (size_t i = 0; i < f->n; i++)
		assert(f->items[i].name && f->items[i].message);
	return 0;
}

static const struct cluster_ops ops = {
	workload_put, workload_del, namespace_put, namespace_del, node_put, node_del, service_put, service_del,
	document_put, document_del, fault,
};

static void hand_over(struct cluster *c, struct world *w)
{
	assert(cluster_changes(c, &ops, w) == 0);
	assert(!cluster_has_changes(c));
}

static void event(struct cluster *c, struct world *w, const char *s, size_t n)
{
	cJSON *j = NULL;
	int kind, r;

	if (s[0] == '!') {
		hand_over(c, w);
		return;
	}
	if (n < 2)
		return;
	kind = (s[0] == '<' || s[0] == '>' ? s[1] : s[0] | 0x20) - 'a';
	if (kind < 0 || kind >= CLUSTER_KIND_COUNT)
		return;
	if (s[0] == '<') {
		cluster_begin(c, (enum cluster_kind)kind);
	} else if (s[0] == '>') {
		(void)cluster_end(c, (enum cluster_kind)kind); /* -EINVAL where none was begun */
	} else if (json_parse(s + 1, n - 1, "input", NULL, &j) == 0) {
		struct fail_list f = {};

		r = s[0] & 0x20 ? cluster_put(c, (enum cluster_kind)kind, j, &f) : cluster_del(c, (enum cluster_kind)kind, j);
		assert(r == 0 || r == -EINVAL);
		assert(r == 0 || f.n || !(s[0] & 0x20));
		fail_list_done(&f);
	}
	cJSON_Delete(j);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct world w = { htab_new(), htab_new(), htab_new() };
	struct cluster *c = cluster_new(7);
	struct cluster_counts counts;
	struct prefix *cidrs = NULL;
	size_t at = 0, n, ncidrs;

	assert(c && w.workloads && w.addrs && w.others);
	while (at < size) {
		const uint8_t *end = memchr(data + at, '\n', size - at);

		n = end ? (size_t)(end - data) - at : size - at;
		if (n)
			event(c, &w, (const char *)data + at, n);
		at += n + 1;
	}
	assert(cluster_cidrs(c, &cidrs, &ncidrs) == 0);
	free(cidrs);
	hand_over(c, &w);
	for (int k = 0; k < CLUSTER_KIND_COUNT; k++) {
		cluster_begin(c, (enum cluster_kind)k);
		assert(cluster_end(c, (enum cluster_kind)k) == 0);
	}
	hand_over(c, &w);
	cluster_counts(c, &counts);
	assert(!counts.strings && !counts.addresses && !counts.contested && !counts.faults && !counts.workloads);
	assert(!htab_count(w.workloads) && !htab_count(w.addrs) && !htab_count(w.others));
	cluster_free(c);
	htab_free(w.workloads, free);
	htab_free(w.addrs, NULL);
	htab_free(w.others, NULL);
	return 0;
}
