/* SPDX-License-Identifier: Apache-2.0 */
/*
 * receiver.h - what is told, as one line per thing, kept as a receiver keeps it; and objects as short
 * literals ('single quotes'). An address told at two workloads at once fails the test.
 */
#pragma once

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include "base/buf.h"
#include "base/cleanup.h"
#include "base/htab.h"
#include "base/json.h"
#include "cluster/cluster.h"

#define MAYBE __attribute__((unused)) static

struct seen {
	struct htab *things;	/* "workload shop/web-1" -> line */
	struct htab *addrs;	/* address -> "shop/web-1" */
	unsigned puts, dels, faults;
	int fail_after;		/* calls until one fails with -EIO; 0: never */
	bool failed;
};

MAYBE void seen_init(struct seen *s)
{
	*s = (struct seen){ .things = htab_new(), .addrs = htab_new() };
}

MAYBE void seen_done(struct seen *s)
{
	htab_free(s->things, free);
	htab_free(s->addrs, free);
}

MAYBE int seen_fails(struct seen *s)
{
	if (!s->fail_after || --s->fail_after)
		return 0;
	s->failed = true;
	return -EIO;
}

MAYBE void seen_put(struct seen *s, const char *key, struct buf *line)
{
	void *old = NULL;

	assert_int_equal(htab_set(s->things, key, strlen(key), buf_take(line, NULL), &old), 0);
	free(old);
	s->puts++;
}

MAYBE void seen_del(struct seen *s, const char *key)
{
	char *old = htab_del(s->things, key, strlen(key));

	if (!old)
		fail_msg("%s is told to be gone and was never there", key);
	free(old);
	s->dels++;
}

/* Its addresses are free again. */
MAYBE void seen_release(struct seen *s, const char *who)
{
	const void *k;
	size_t it = 0, len;
	void *v;

	while (htab_next(s->addrs, &it, &k, &len, &v)) {
		if (strcmp(v, who) != 0)
			continue;
		free(v);
		(void)htab_del(s->addrs, k, len);
	}
}

MAYBE void line_labels(struct buf *b, const struct labels *l)
{
	auto_free char *text = labels_str(l);

	for (size_t i = 1; i < l->n; i++)
		assert_true(strcmp(l->v[i - 1].key, l->v[i].key) < 0);
	buf_printf(b, " {%s}", text);
}

MAYBE int seen_workload(void *arg, const struct workload *w)
{
	struct seen *s = arg;
	char key[512], who[400], text[ADDR_STR_MAX];
	struct workload copy;
	struct buf b;

	if (seen_fails(s))
		return -EIO;
	assert_int_equal(workload_copy(w, &copy), 0);
	workload_done(&copy);
	snprintf(who, sizeof(who), "%s/%s", w->ns, w->name);
	snprintf(key, sizeof(key), "workload %s", who);
	seen_release(s, who);
	buf_init(&b, 1 << 20);
	buf_printf(&b, "%s", w->uid ? w->uid : "-");
	line_labels(&b, &w->labels);
	buf_printf(&b, " %s/%s", w->controller_kind ? w->controller_kind : "", w->controller_name ? w->controller_name : "");
	buf_printf(&b, " sa=%s node=%s", w->service_account ? w->service_account : "", w->node ? w->node : "");
	buf_adds(&b, " [");
	for (size_t i = 0; i < w->naddrs; i++) {
		void *old = NULL;

		buf_printf(&b, "%s%s", i ? " " : "", addr_str(&w->addrs[i], text));
		assert_int_equal(htab_set(s->addrs, text, strlen(text), strdup(who), &old), 0);
		if (old)
			fail_msg("%s is at %s and at %s", text, (char *)old, who);
	}
	buf_adds(&b, "] (");
	for (size_t i = 0; i < w->nports; i++)
		buf_printf(&b, "%s%s=%u/%u", i ? " " : "", w->ports[i].name, w->ports[i].proto, w->ports[i].port);
	buf_printf(&b, ") mode=%s <", w->mode_label ? w->mode_label : "");
	for (size_t i = 0; i < w->nimages; i++)
		buf_printf(&b, "%s%s@%.14s", i ? " " : "", w->images[i].name,
			   w->images[i].digest ? w->images[i].digest : "");
	buf_adds(&b, ">");
	seen_put(s, key, &b);
	return 0;
}

MAYBE int seen_workload_del(void *arg, const char *ns, const char *name, const char *uid)
{
	struct seen *s = arg;
	char key[512];
	const char *line;

	if (seen_fails(s))
		return -EIO;
	snprintf(key, sizeof(key), "workload %s/%s", ns, name);
	line = htab_get(s->things, key, strlen(key));
	if (line && *uid && strncmp(line, uid, strlen(uid)) != 0)
		fail_msg("%s is told gone as %s and was %s", key, uid, line);
	seen_del(s, key);
	seen_release(s, key + strlen("workload "));
	return 0;
}

MAYBE int seen_namespace(void *arg, const struct cluster_meta *meta, const struct namespace *n, bool has_mode,
			 enum cw_mode mode)
{
	struct seen *s = arg;
	char key[512];
	struct buf b;

	if (seen_fails(s))
		return -EIO;
	assert_string_equal(meta->name, n->name);
	snprintf(key, sizeof(key), "namespace %s", n->name);
	buf_init(&b, 1 << 20);
	buf_printf(&b, "%s%smode=%s confirm=%llu", meta->manager ? meta->manager : "", meta->manager ? " " : "", has_mode ? cw_mode_str(mode) : "", (unsigned long long)meta->confirm_ms);
	line_labels(&b, &n->labels);
	seen_put(s, key, &b);
	return 0;
}

MAYBE int seen_namespace_del(void *arg, const char *name)
{
	char key[512];

	if (seen_fails(arg))
		return -EIO;
	snprintf(key, sizeof(key), "namespace %s", name);
	seen_del(arg, key);
	return 0;
}

MAYBE int seen_node(void *arg, const struct node_info *n, const struct prefix *cidrs, size_t ncidrs)
{
	struct seen *s = arg;
	char key[512], text[PREFIX_STR_MAX];
	struct buf b;

	if (seen_fails(s))
		return -EIO;
	snprintf(key, sizeof(key), "node %s", n->name);
	buf_init(&b, 1 << 20);
	buf_adds(&b, "[");
	for (size_t i = 0; i < n->naddrs; i++)
		buf_printf(&b, "%s%s", i ? " " : "", addr_str(&n->addrs[i], text));
	buf_adds(&b, "] (");
	for (size_t i = 0; i < ncidrs; i++)
		buf_printf(&b, "%s%s", i ? " " : "", prefix_str(&cidrs[i], text));
	buf_adds(&b, ")");
	line_labels(&b, &n->labels);
	seen_put(s, key, &b);
	return 0;
}

MAYBE int seen_node_del(void *arg, const char *name)
{
	char key[512];

	if (seen_fails(arg))
		return -EIO;
	snprintf(key, sizeof(key), "node %s", name);
	seen_del(arg, key);
	return 0;
}

MAYBE int seen_service(void *arg, const struct service *v)
{
	struct seen *s = arg;
	char key[512], text[ADDR_STR_MAX];
	struct service copy;
	struct buf b;

	if (seen_fails(s))
		return -EIO;
	assert_int_equal(service_copy(v, &copy), 0);
	service_done(&copy);
	snprintf(key, sizeof(key), "service %s/%s", v->ns, v->name);
	buf_init(&b, 1 << 20);
	buf_adds(&b, "[");
	for (size_t i = 0; i < v->naddrs; i++)
		buf_printf(&b, "%s%s", i ? " " : "", addr_str(&v->addrs[i], text));
	buf_adds(&b, "]");
	for (size_t i = 0; i < v->nports; i++)
		buf_printf(&b, " %s:%u/%u>%u%s^%u", v->ports[i].name ? v->ports[i].name : "", v->ports[i].proto,
			   v->ports[i].port, v->ports[i].target, v->ports[i].target_name ? v->ports[i].target_name : "",
			   v->ports[i].node_port);
	buf_adds(&b, " |");
	for (size_t i = 0; i < v->nbackends; i++) {
		buf_printf(&b, " %s(%s)%s", addr_str(&v->backends[i].addr, text),
			   v->backends[i].pod ? v->backends[i].pod : "", v->backends[i].ready ? "+" : "-");
		for (size_t p = 0; p < v->nports; p++)
			buf_printf(&b, "%s%u", p ? "," : "", v->backends[i].ports[p]);
	}
	seen_put(s, key, &b);
	return 0;
}

MAYBE int seen_service_del(void *arg, const char *ns, const char *name)
{
	char key[512];

	if (seen_fails(arg))
		return -EIO;
	snprintf(key, sizeof(key), "service %s/%s", ns, name);
	seen_del(arg, key);
	return 0;
}

MAYBE const char *doc_key(const struct cluster_meta *m, char out[700])
{
	snprintf(out, 700, "%s %s%s%s", cluster_kind_str(m->kind), m->ns ? m->ns : "", m->ns ? "/" : "", m->name);
	return out;
}

MAYBE int seen_document(void *arg, const struct cluster_meta *m, const struct rule *r, const struct mode_setting *mode,
			const struct quarantine *q, const struct kpolicy *k)
{
	struct seen *s = arg;
	char key[700];
	struct buf b;

	if (seen_fails(s))
		return -EIO;
	assert_int_equal(!!r + !!mode + !!q + !!k, 1);
	buf_init(&b, 1 << 20);
	buf_printf(&b, "%s g%lld by %s confirm=%llu ", m->uid, (long long)m->generation, m->manager ? m->manager : "",
		   (unsigned long long)m->confirm_ms);
	if (r)
		buf_printf(&b, "rule %s/%s %s %s", r->ns ? r->ns : "", r->name, cw_action_str(r->action),
			   rule_origin_str(r->origin));
	else if (mode)
		buf_printf(&b, "mode %s %s", mode->name, cw_mode_str(mode->mode));
	else if (q)
		buf_printf(&b, "quarantine %s %s/%s %s", q->name, q->ns, q->pod ? q->pod : q->controller_name, q->reason);
	else
		buf_printf(&b, "policy %s %s", k->name, k->json);
	seen_put(s, doc_key(m, key), &b);
	return 0;
}

MAYBE int seen_document_del(void *arg, const struct cluster_meta *m)
{
	char key[700];

	if (seen_fails(arg))
		return -EIO;
	seen_del(arg, doc_key(m, key));
	return 0;
}

MAYBE int seen_fault(void *arg, const struct cluster_meta *m, const struct fail_list *f, bool refused)
{
	struct seen *s = arg;
	char key[712], *old;
	struct buf b;

	if (seen_fails(s))
		return -EIO;
	s->faults++;
	memcpy(key, "fault ", 6);
	doc_key(m, key + 6);
	if (!f->n) {
		old = htab_del(s->things, key, strlen(key));
		assert_non_null(old);
		free(old);
		return 0;
	}
	buf_init(&b, 1 << 20);
	buf_printf(&b, "%s", refused ? "refused" : "remark");
	for (size_t i = 0; i < f->n; i++)
		buf_printf(&b, " %s: %s", f->items[i].name, f->items[i].at ? f->items[i].at : "");
	seen_put(s, key, &b);
	return 0;
}

MAYBE const struct cluster_ops seen_ops = {
	seen_workload, seen_workload_del, seen_namespace, seen_namespace_del, seen_node, seen_node_del,
	seen_service, seen_service_del, seen_document, seen_document_del, seen_fault,
};

/* 'quotes' to "quotes". */
MAYBE cJSON *object(const char *literal)
{
	auto_free char *text = strdup(literal);
	struct fail_list f = {};
	cJSON *j = NULL;

	for (char *p = text; *p; p++)
		if (*p == '\'')
			*p = '"';
	if (json_parse(text, strlen(text), "literal", &f, &j) < 0)
		fail_msg("%s: %s", f.n ? f.items[0].message : "?", text);
	return j;
}

MAYBE int put(struct cluster *c, enum cluster_kind kind, const char *literal)
{
	auto_cleanup(cJSON_Deletep) cJSON *j = object(literal);

	return cluster_put(c, kind, j, NULL);
}

MAYBE int del(struct cluster *c, enum cluster_kind kind, const char *literal)
{
	auto_cleanup(cJSON_Deletep) cJSON *j = object(literal);

	return cluster_del(c, kind, j);
}

MAYBE const char *line(const struct seen *s, const char *key)
{
	const char *have = htab_get(s->things, key, strlen(key));

	return have ? have : "";
}

/* key's line contains text; "" : there is none. */
MAYBE void expect_(const struct seen *s, const char *key, const char *text, const char *file, int at)
{
	const char *have = line(s, key);

	if (*text ? strstr(have, text) != NULL : !*have)
		return;
	print_error("%s:%d: %s is \"%s\", not \"%s\"\n", file, at, key, have, text);
	fail();
}
#define expect(s, key, text) expect_(s, key, text, __FILE__, __LINE__)

MAYBE void changes(struct cluster *c, struct seen *s)
{
	assert_int_equal(cluster_changes(c, &seen_ops, s), 0);
	assert_false(cluster_has_changes(c));
}
