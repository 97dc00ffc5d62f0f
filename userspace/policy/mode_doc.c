/* SPDX-License-Identifier: Apache-2.0 */
/* mode_doc.c - the specs of ModeProfile and Quarantine. */
#include "policy/doc_priv.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"
#include "base/strparse.h"

struct target {
	bool cluster;
	char *ns, *kind, *name, *workload, *uid;
	struct label_selector ns_labels;
};

static void target_done(struct target *t)
{
	free(t->ns);
	free(t->kind);
	free(t->name);
	free(t->workload);
	free(t->uid);
	label_selector_done(&t->ns_labels);
}

static int t_cluster(struct doc *d, const cJSON *v, void *ctx)
{
	struct target *t = ctx;
	bool on;

	if (doc_bool(d, v, &on)) {
		if (!on)
			return doc_fault(d, v, "target", "cluster: true", "a target cannot be nothing");
		t->cluster = true;
	}
	return 0;
}

static int t_namespace(struct doc *d, const cJSON *v, void *ctx)
{
	return read_dns_label(d, v, &((struct target *)ctx)->ns);
}

static int t_ns_labels(struct doc *d, const cJSON *v, void *ctx)
{
	struct target *t = ctx;

	t->ns_labels.set = true;
	if (cJSON_IsObject(v) && !v->child)
		return doc_fault(d, v, "target", "at least one label; everything is cluster: true",
				 "no label is given");
	return read_labels(d, v, &t->ns_labels.match);
}

static int t_controller(struct doc *d, const cJSON *v, void *ctx)
{
	struct target *t = ctx;

	return read_controller(d, v, &t->kind, &t->name);
}

static int t_workload(struct doc *d, const cJSON *v, void *ctx)
{
	return read_dns_name(d, v, &((struct target *)ctx)->workload);
}

static int t_uid(struct doc *d, const cJSON *v, void *ctx)
{
	return read_uid(d, v, &((struct target *)ctx)->uid);
}

/* ---- ModeProfile ---------------------------------------------------------------------------- */

static int m_target(struct doc *d, const cJSON *v, void *ctx)
{
	static const struct doc_field fields[] = {
		{ "cluster", t_cluster, false },	  { "namespace", t_namespace, false },
		{ "namespaceLabels", t_ns_labels, false }, { "controller", t_controller, false },
		{ "workload", t_workload, false },
	};
	struct mode_setting *m = ctx;
	struct target t = {};
	unsigned before = d->faults;
	int r = doc_object(d, v, fields, ARRAY_SIZE(fields), &t), wide;

	if (r == 0 && d->faults == before) {
		wide = t.cluster + (t.ns != NULL) + t.ns_labels.set;
		if (wide != 1 || (t.kind && t.workload) || ((t.kind || t.workload) && !t.ns)) {
			doc_fault(d, v, "target",
				  "cluster, namespace, namespaceLabels, namespace + controller, or namespace + workload",
				  "the target is not one thing");
		} else {
			m->scope = t.workload ? MODE_WORKLOAD : t.kind ? MODE_CONTROLLER :
				   t.cluster ? MODE_CLUSTER : MODE_NAMESPACE;
			m->ns = take_ptr(t.ns);
			m->controller_kind = take_ptr(t.kind);
			m->controller_name = take_ptr(t.name);
			m->workload = take_ptr(t.workload);
			m->ns_labels = t.ns_labels;
			t.ns_labels = (struct label_selector){};
		}
	}
	target_done(&t);
	return r;
}

static int m_mode(struct doc *d, const cJSON *v, void *ctx)
{
	static const char *const words[] = { "off", "learn", "alert", "enforce" };
	size_t i;

	if (doc_word(d, v, words, ARRAY_SIZE(words), &i))
		((struct mode_setting *)ctx)->mode = (enum cw_mode)i;
	return 0;
}

static int m_default(struct doc *d, const cJSON *v, void *ctx)
{
	static const char *const words[] = { "block", "allow" };
	size_t i;

	if (doc_word(d, v, words, ARRAY_SIZE(words), &i))
		((struct mode_setting *)ctx)->dflt = i ? CW_ACT_ALLOW : CW_ACT_BLOCK;
	return 0;
}

int read_mode_spec(struct doc *d, const cJSON *v, struct mode_setting *m)
{
	static const struct doc_field fields[] = {
		{ "target", m_target, true }, { "mode", m_mode, true }, { "default", m_default, false },
	};

	return doc_object(d, v, fields, ARRAY_SIZE(fields), m);
}

/* ---- Quarantine ------------------------------------------------------------------------------- */

static int q_target(struct doc *d, const cJSON *v, void *ctx)
{
	static const struct doc_field fields[] = {
		{ "namespace", t_namespace, true }, { "pod", t_workload, false },
		{ "uid", t_uid, false },	    { "controller", t_controller, false },
	};
	struct quarantine *q = ctx;
	struct target t = {};
	unsigned before = d->faults;
	int r = doc_object(d, v, fields, ARRAY_SIZE(fields), &t);

	if (r == 0 && d->faults == before) {
		if (!t.workload == !t.kind || (t.kind && t.uid)) {
			doc_fault(d, v, "target", "namespace + pod (+ uid), or namespace + controller",
				  "the target is not one thing");
		} else {
			q->ns = take_ptr(t.ns);
			q->pod = take_ptr(t.workload);
			q->uid = take_ptr(t.uid);
			q->controller_kind = take_ptr(t.kind);
			q->controller_name = take_ptr(t.name);
		}
	}
	target_done(&t);
	return r;
}

static int q_reason(struct doc *d, const cJSON *v, void *ctx)
{
	const char *s;

	if (!doc_text(d, v, RULE_DOC_TEXT_MAX, &s))
		return 0;
	if (!s[strspn(s, " \t\r\n")])
		return doc_fault(d, v, "reason", "a few words", "the reason is empty");
	return set_str(&((struct quarantine *)ctx)->reason, s);
}

static int q_until(struct doc *d, const cJSON *v, void *ctx)
{
	struct quarantine *q = ctx;
	const char *s;

	if (!doc_text(d, v, 64, &s))
		return 0;
	if (parse_time_ns(s, &q->until_ns) < 0)
		return doc_fault(d, v, "time", "RFC 3339, such as \"2026-03-13T08:33:00Z\"",
				 "this is no point in time");
	return 0;
}

static int a_cidr(struct doc *d, const cJSON *v, void *ctx)
{
	struct quarantine *q = ctx;

	(void)read_prefix(d, v, &q->allow[q->nallow].cidr); /* a fault is counted, the whole refused */
	return 0;
}

static int a_ports(struct doc *d, const cJSON *v, void *ctx)
{
	struct quarantine *q = ctx;

	return read_ports(d, v, &q->allow[q->nallow].ports, &q->allow[q->nallow].nports);
}

static int allow_item(struct doc *d, const cJSON *v, void *ctx)
{
	static const struct doc_field fields[] = { { "cidr", a_cidr, true }, { "ports", a_ports, false } };
	struct quarantine *q = ctx;
	int r = doc_object(d, v, fields, ARRAY_SIZE(fields), q);

	q->nallow++; /* also after a fault: quarantine_done frees it */
	return r;
}

static int q_allow(struct doc *d, const cJSON *v, void *ctx)
{
	struct quarantine *q = ctx;

	if (cJSON_IsArray(v) && (unsigned)cJSON_GetArraySize(v) <= RULE_DOC_LIST_MAX) {
		q->allow = calloc((size_t)cJSON_GetArraySize(v) + 1, sizeof(*q->allow));
		if (!q->allow)
			return -ENOMEM;
	}
	return doc_list(d, v, RULE_DOC_LIST_MAX, allow_item, q);
}

int read_quarantine_spec(struct doc *d, const cJSON *v, struct quarantine *q)
{
	static const struct doc_field fields[] = {
		{ "target", q_target, true }, { "reason", q_reason, true }, { "until", q_until, false },
		{ "allow", q_allow, false },
	};

	return doc_object(d, v, fields, ARRAY_SIZE(fields), q);
}
