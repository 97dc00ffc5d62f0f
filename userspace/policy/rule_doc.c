/* SPDX-License-Identifier: Apache-2.0 */
/* rule_doc.c - a text of documents to typed arrays; AccessRule and ClusterAccessRule. */
#include "policy/rule_doc.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"
#include "base/htab.h"
#include "policy/doc_priv.h"

enum kind { KIND_RULE, KIND_CLUSTER_RULE, KIND_MODE, KIND_QUARANTINE, KIND_INVENTORY, KIND_COUNT };
static const char *const kind_words[KIND_COUNT] = {
	"AccessRule", "ClusterAccessRule", "ModeProfile", "Quarantine", "Inventory",
};
static const char *const kind_prefix[KIND_COUNT] = {
	"rule", "rule", "mode", "quarantine", "inventory",
};

static int claim_here(struct doc_job *j, const cJSON *v, const char *space, const char *ns, const char *name)
{
	struct doc_pos pos = j->pos;
	const struct doc_pos *first;
	int r;

	pos.line = yaml_line(j->d.yaml, v);
	r = docs_claim(j->names, space, ns, name, &pos, &first);
	if (r < 0 || !first)
		return r;
	return doc_fault(&j->d, v, "duplicate", "each one once", "%s %s%s%s was given before, at %s:%u",
			 space, ns ? ns : "", ns ? "/" : "", name, first->file, first->line);
}

/* The name of a document with metadata. */
static int claim_doc(struct doc_job *j, const cJSON *root, const char *space, const char *ns, const char *name)
{
	size_t mark = doc_enter(&j->d, "metadata.name");
	int r = claim_here(j, json_get(json_get(root, "metadata"), "name"), space, ns, name);

	doc_leave(&j->d, mark);
	return r;
}

#define PUSH(docs, list, value, pos) ({ \
	int r_ = docs_grow((void **)&(docs)->list, &(docs)->list##_at, (docs)->n##list, sizeof(*(docs)->list)); \
	if (r_ == 0) { \
		(docs)->list##_at[(docs)->n##list] = (pos); \
		(docs)->list[(docs)->n##list++] = (value); \
	} \
	r_; })

/* ---- metadata --------------------------------------------------------------------------------- */

struct head {
	char *name, *ns;
	struct labels labels;
	const cJSON *labels_at;
};

static void head_done(struct head *h)
{
	free(h->name);
	free(h->ns);
	labels_done(&h->labels);
}

static int h_name(struct doc *d, const cJSON *v, void *ctx)
{
	return read_dns_name(d, v, &((struct head *)ctx)->name);
}

static int h_namespace(struct doc *d, const cJSON *v, void *ctx)
{
	return read_dns_label(d, v, &((struct head *)ctx)->ns);
}

static int h_labels(struct doc *d, const cJSON *v, void *ctx)
{
	struct head *h = ctx;

	h->labels_at = v;
	return read_labels(d, v, &h->labels);
}

static int read_head(struct doc *d, const cJSON *v, enum kind kind, struct head *h)
{
	static const struct doc_field rule[] = {
		{ "name", h_name, true }, { "namespace", h_namespace, true }, { "labels", h_labels, false },
	};
	static const struct doc_field cluster_rule[] = {
		{ "name", h_name, true }, { "labels", h_labels, false },
	};
	static const struct doc_field other[] = { { "name", h_name, true } };

	if (kind == KIND_RULE)
		return doc_object(d, v, rule, ARRAY_SIZE(rule), h);
	if (kind == KIND_CLUSTER_RULE)
		return doc_object(d, v, cluster_rule, ARRAY_SIZE(cluster_rule), h);
	return doc_object(d, v, other, ARRAY_SIZE(other), h);
}

/* ---- rules ------------------------------------------------------------------------------------ */

struct rule_ctx {
	struct rule r;
	const cJSON *reject, *to;
};

static int r_action(struct doc *d, const cJSON *v, void *ctx)
{
	static const char *const words[] = { "allow", "alert", "block" };
	struct rule_ctx *x = ctx;
	size_t i;

	if (doc_word(d, v, words, ARRAY_SIZE(words), &i))
		x->r.action = (enum cw_action)(CW_ACT_ALLOW + i);
	return 0;
}

static int r_reject(struct doc *d, const cJSON *v, void *ctx)
{
	struct rule_ctx *x = ctx;

	x->reject = v;
	(void)doc_bool(d, v, &x->r.reject);
	return 0;
}

static int r_mode(struct doc *d, const cJSON *v, void *ctx)
{
	static const char *const words[] = { "enforce", "alert" };
	struct rule_ctx *x = ctx;
	size_t i;

	if (doc_word(d, v, words, ARRAY_SIZE(words), &i))
		x->r.mode = i ? CW_MODE_ALERT : CW_MODE_ENFORCE;
	return 0;
}

static int r_enabled(struct doc *d, const cJSON *v, void *ctx)
{
	(void)doc_bool(d, v, &((struct rule_ctx *)ctx)->r.enabled);
	return 0;
}

struct side {
	const char *ns;
	bool to;
	struct selector *v;
	size_t n;
};

static int side_item(struct doc *d, const cJSON *v, void *ctx)
{
	struct side *s = ctx;
	unsigned before = d->faults;
	int r = read_selector(d, v, s->ns, s->to, &s->v[s->n]);

	s->n += r == 0 && d->faults == before;
	return r;
}

static int read_side(struct doc *d, const cJSON *v, const char *ns, bool to, struct selector **ret,
		     size_t *ret_n)
{
	struct side s = { .ns = ns, .to = to };
	int r;

	if (cJSON_IsArray(v) && (unsigned)cJSON_GetArraySize(v) <= RULE_DOC_LIST_MAX) {
		s.v = calloc((size_t)cJSON_GetArraySize(v) + 1, sizeof(*s.v));
		if (!s.v)
			return -ENOMEM;
	}
	if (cJSON_IsArray(v) && !v->child)
		r = doc_fault(d, v, "empty-list", "at least one item; everyone is {any: true}",
			      "the list is empty");
	else
		r = doc_list(d, v, RULE_DOC_LIST_MAX, side_item, &s);
	*ret = s.v;
	*ret_n = s.n;
	return r;
}

static int r_from(struct doc *d, const cJSON *v, void *ctx)
{
	struct rule_ctx *x = ctx;

	return read_side(d, v, x->r.ns, false, &x->r.from, &x->r.nfrom);
}

static int r_to(struct doc *d, const cJSON *v, void *ctx)
{
	struct rule_ctx *x = ctx;

	x->to = v;
	return read_side(d, v, x->r.ns, true, &x->r.to, &x->r.nto);
}

static int r_ports(struct doc *d, const cJSON *v, void *ctx)
{
	struct rule_ctx *x = ctx;

	return read_ports(d, v, &x->r.ports, &x->r.nports);
}

/* What depends on two fields, whichever came first. */
static void check_rule(struct doc *d, const struct rule_ctx *x)
{
	const cJSON *item;
	size_t i = 0, mark;

	if (x->reject && x->r.reject && x->r.action && x->r.action != CW_ACT_BLOCK) {
		mark = doc_enter(d, "reject");
		doc_fault(d, x->reject, "reject-action", "action: block, or no reject",
			  "reject answers what a rule blocks; this one says %s", cw_action_str(x->r.action));
		doc_leave(d, mark);
	}
	if (x->r.action != CW_ACT_BLOCK || !cJSON_IsArray(x->to))
		return;
	cJSON_ArrayForEach(item, x->to) {
		const cJSON *fqdn = json_get(item, "fqdn");

		if (fqdn) {
			mark = doc_enter(d, "to");
			doc_enter_index(d, i);
			doc_enter(d, "fqdn");
			doc_fault(d, fqdn, "fqdn-block", "action: allow or alert; to block, use cidr",
				  "a name cannot be blocked, as an address may serve other names too");
			doc_leave(d, mark);
		}
		i++;
	}
}

/* The two labels that mean something; they are fields of the rule, not labels of it. */
static int take_origin(struct doc *d, struct head *h, struct rule *r)
{
	const char *origin = labels_get(&h->labels, LABEL_ORIGIN);
	const char *access = labels_get(&h->labels, LABEL_ACCESS);
	const cJSON *at = h->labels_at;
	size_t mark = doc_enter(d, "metadata.labels");
	size_t n = 0;

	if (origin && strcmp(origin, "learned") != 0) {
		doc_enter(d, LABEL_ORIGIN);
		doc_fault(d, json_get(at, LABEL_ORIGIN), "origin", "learned, or no such label",
			  "a document cannot claim this origin");
	} else if (access && !origin) {
		doc_enter(d, LABEL_ACCESS);
		doc_fault(d, json_get(at, LABEL_ACCESS), "origin", LABEL_ORIGIN ": learned beside it",
			  "only a learned rule comes from an access");
	}
	doc_leave(d, mark);
	r->origin = origin ? ORIGIN_LEARNED : ORIGIN_MANUAL;
	if (access && *access && set_str(&r->access, access) < 0)
		return -ENOMEM;
	for (size_t i = 0; i < h->labels.n; i++) {
		struct kv *kv = &h->labels.v[i];

		if (strcmp(kv->key, LABEL_ORIGIN) == 0 || strcmp(kv->key, LABEL_ACCESS) == 0) {
			free(kv->key);
			free(kv->value);
		} else {
			h->labels.v[n++] = *kv;
		}
	}
	h->labels.n = n;
	r->labels = h->labels;
	h->labels = (struct labels){};
	return 0;
}

static int read_rule(struct doc_job *j, const cJSON *root, const cJSON *spec, struct head *h)
{
	static const struct doc_field fields[] = {
		{ "action", r_action, true }, { "reject", r_reject, false }, { "mode", r_mode, false },
		{ "enabled", r_enabled, false }, { "from", r_from, true }, { "to", r_to, true },
		{ "ports", r_ports, false },
	};
	struct rule_ctx x = { .r = { .enabled = true, .mode = CW_MODE_ENFORCE } };
	struct doc *d = &j->d;
	unsigned before = d->faults;
	size_t mark;
	int r = take_origin(d, h, &x.r);

	x.r.name = take_ptr(h->name);
	x.r.ns = take_ptr(h->ns);
	if (r == 0 && spec) {
		mark = doc_enter(d, "spec");
		r = doc_object(d, spec, fields, ARRAY_SIZE(fields), &x);
		if (r == 0)
			check_rule(d, &x);
		doc_leave(d, mark);
	}
	if (r == 0 && x.r.name)
		r = claim_doc(j, root, "rule", x.r.ns, x.r.name);
	if (r == 0 && d->faults == before) {
		r = PUSH(&j->got, rules, x.r, j->pos);
		if (r == 0)
			return 0;
	}
	rule_done(&x.r);
	return r;
}

/* ---- the other kinds ---------------------------------------------------------------------------- */

static int read_mode(struct doc_job *j, const cJSON *root, const cJSON *spec, struct head *h)
{
	struct mode_setting m = { .name = take_ptr(h->name) };
	unsigned before = j->d.faults;
	size_t mark = doc_enter(&j->d, "spec");
	int r = spec ? read_mode_spec(&j->d, spec, &m) : 0;

	doc_leave(&j->d, mark);
	if (r == 0 && m.name)
		r = claim_doc(j, root, "mode profile", NULL, m.name);
	if (r == 0 && j->d.faults == before) {
		r = PUSH(&j->got, modes, m, j->pos);
		if (r == 0)
			return 0;
	}
	mode_setting_done(&m);
	return r;
}

static int read_quarantine(struct doc_job *j, const cJSON *root, const cJSON *spec, struct head *h)
{
	struct quarantine q = { .name = take_ptr(h->name) };
	unsigned before = j->d.faults;
	size_t mark = doc_enter(&j->d, "spec");
	int r = spec ? read_quarantine_spec(&j->d, spec, &q) : 0;

	doc_leave(&j->d, mark);
	if (r == 0 && q.name)
		r = claim_doc(j, root, "quarantine", NULL, q.name);
	if (r == 0 && j->d.faults == before) {
		r = PUSH(&j->got, quarantines, q, j->pos);
		if (r == 0)
			return 0;
	}
	quarantine_done(&q);
	return r;
}

static int take_workload(void *arg, struct doc *d, const cJSON *v, struct inventory_workload *w)
{
	struct doc_job *j = arg;
	struct doc_pos pos = j->pos;
	unsigned before = d->faults;
	char text[ADDR_STR_MAX];
	int r = claim_here(j, v, "workload", w->w.ns, w->w.name);

	if (r == 0)
		r = claim_here(j, v, "network namespace", NULL, w->netns);
	for (size_t i = 0; r == 0 && i < w->w.naddrs; i++)
		r = claim_here(j, v, "address", NULL, addr_str(&w->w.addrs[i], text));
	if (r == 0 && d->faults == before) {
		pos.line = yaml_line(d->yaml, v);
		r = PUSH(&j->got, workloads, *w, pos);
		if (r == 0)
			return 0;
	}
	inventory_workload_done(w);
	return r;
}

static int take_namespace(void *arg, struct doc *d, const cJSON *v, struct namespace *n)
{
	struct doc_job *j = arg;
	struct doc_pos pos = j->pos;
	unsigned before = d->faults;
	int r = claim_here(j, v, "namespace", NULL, n->name);

	if (r == 0 && d->faults == before) {
		pos.line = yaml_line(d->yaml, v);
		r = PUSH(&j->got, namespaces, *n, pos);
		if (r == 0)
			return 0;
	}
	namespace_done(n);
	return r;
}

static int take_service(void *arg, struct doc *d, const cJSON *v, struct service *s)
{
	struct doc_job *j = arg;
	struct doc_pos pos = j->pos;
	unsigned before = d->faults;
	int r = claim_here(j, v, "service", s->ns, s->name);

	if (r == 0 && d->faults == before) {
		pos.line = yaml_line(d->yaml, v);
		r = PUSH(&j->got, services, *s, pos);
		if (r == 0)
			return 0;
	}
	service_done(s);
	return r;
}

static int read_inventory(struct doc_job *j, const cJSON *spec)
{
	const struct inventory_sink sink = { take_workload, take_namespace, take_service, j };
	size_t mark = doc_enter(&j->d, "spec");
	int r = spec ? read_inventory_spec(&j->d, spec, &sink) : 0;

	doc_leave(&j->d, mark);
	return r;
}

/* ---- one document --------------------------------------------------------------------------------- */

static bool known_kind(struct doc *d, const cJSON *root, enum kind *ret)
{
	static const char *const versions[] = { RULE_DOC_API };
	const cJSON *api = json_get(root, "apiVersion"), *kind = json_get(root, "kind");
	bool ok = true;
	size_t mark, i = 0;

	mark = doc_enter(d, "apiVersion");
	if (!api) {
		doc_fault(d, root, "missing-field", "apiVersion: " RULE_DOC_API, "the field \"apiVersion\" is missing");
		ok = false;
	} else if (!doc_word(d, api, versions, ARRAY_SIZE(versions), &i)) {
		ok = false;
	}
	doc_leave(d, mark);
	mark = doc_enter(d, "kind");
	if (!kind) {
		doc_fault(d, root, "missing-field", "AccessRule, ClusterAccessRule, ModeProfile, Quarantine or Inventory",
			  "the field \"kind\" is missing");
		ok = false;
	} else if (!doc_word(d, kind, kind_words, ARRAY_SIZE(kind_words), &i)) {
		ok = false;
	}
	doc_leave(d, mark);
	*ret = (enum kind)i;
	return ok;
}

int docs_read(struct doc_job *j, const cJSON *root, bool in_list)
{
	static const struct doc_field named[] = {
		{ "apiVersion", NULL, true }, { "kind", NULL, true }, { "metadata", NULL, true },
		{ "spec", NULL, true },
	};
	static const struct doc_field inventory[] = {
		{ "apiVersion", NULL, true }, { "kind", NULL, true }, { "metadata", NULL, false },
		{ "spec", NULL, true },
	};
	struct doc *d = &j->d;
	struct head h = {};
	const cJSON *meta, *spec;
	enum kpolicy_kind kube;
	enum kind kind;
	size_t mark;
	int r;

	d->prefix = "doc";
	if (!cJSON_IsObject(root))
		return doc_object(d, root, NULL, 0, NULL);
	if (kpolicy_doc_kind(root, &kube))
		return kpolicy_doc_read(d, root, kube, &j->pos, j->names, &j->got);
	if (!in_list && docs_is_list(root))
		return docs_read_list(j, root);
	if (kpolicy_doc_api(root))
		return kpolicy_doc_unknown(d, root);
	if (!known_kind(d, root, &kind))
		return 0;
	d->prefix = kind_prefix[kind];
	r = kind == KIND_INVENTORY ? doc_object(d, root, inventory, ARRAY_SIZE(inventory), NULL)
				   : doc_object(d, root, named, ARRAY_SIZE(named), NULL);
	meta = json_get(root, "metadata");
	spec = json_get(root, "spec");
	if (r == 0 && meta) {
		mark = doc_enter(d, "metadata");
		r = read_head(d, meta, kind, &h);
		doc_leave(d, mark);
	}
	if (r == 0) {
		switch (kind) {
		case KIND_RULE:
		case KIND_CLUSTER_RULE:
			r = read_rule(j, root, spec, &h);
			break;
		case KIND_MODE:
			r = read_mode(j, root, spec, &h);
			break;
		case KIND_QUARANTINE:
			r = read_quarantine(j, root, spec, &h);
			break;
		case KIND_INVENTORY:
			r = read_inventory(j, spec);
			break;
		case KIND_COUNT:
			break;
		}
	}
	head_done(&h);
	return r;
}

static int read_all(struct doc_job *j, const struct yaml_docs *y)
{
	size_t first = j->d.f ? j->d.f->n : 0, bad = 0;
	bool policy = false;
	int r = 0;

	j->d.yaml = y;
	for (size_t i = 0; r == 0 && i < y->n; i++) {
		unsigned before = j->d.faults;
		enum kpolicy_kind kube;

		j->d.number = y->docs[y->n - 1].index > 1 ? y->docs[i].index : 0;
		j->pos.document = y->docs[i].index;
		j->pos.line = yaml_line(y, y->docs[i].root);
		r = docs_read(j, y->docs[i].root, false);
		if (j->d.faults != before) {
			bad++;
			policy = kpolicy_doc_kind(y->docs[i].root, &kube);
		}
	}
	if (r == 0 && policy && bad == 1 && y->n > 1)
		r = kpolicy_doc_next(j->d.f, first, y->n - 1);
	if (r == 0 && !y->n)
		doc_fault(&j->d, NULL, "empty", "at least one document", "there is no document in this file");
	if (r == 0 && j->d.faults)
		r = -EINVAL;
	return r;
}

int rule_docs_parse(const char *file, const char *text, size_t len, const char *next,
		    struct fail_list *f, struct rule_docs *docs)
{
	struct doc_job j = { .d = { .file = file, .prefix = "doc", .next = next, .f = f } };
	size_t first = f ? f->n : 0;
	struct yaml_docs y = {};
	int r;

	r = yaml_parse(text, len, file, f, &y);
	if (r < 0)
		return r;
	j.names = htab_new();
	j.got.files = calloc(1, sizeof(char *));
	if (j.got.files)
		j.got.files[0] = strdup(file);
	if (j.got.files && j.got.files[0])
		j.got.nfiles = 1;
	r = j.names && j.got.nfiles ? docs_claim_former(j.names, docs) : -ENOMEM;
	if (r == 0) {
		j.pos.file = j.got.files[0];
		r = read_all(&j, &y);
		doc_sort(&j.d, first);
	}
	if (r == 0)
		r = docs_move(&j.got, docs);
	htab_free(j.names, free);
	rule_docs_done(&j.got);
	yaml_docs_done(&y);
	return r;
}

int rule_doc_parse(const cJSON *obj, const char *what, struct fail_list *f, struct rule_docs *ret)
{
	static const struct yaml_docs no_lines;
	struct doc_job j = { .d = { .file = what, .yaml = &no_lines, .prefix = "doc", .f = f }, .names = htab_new() };
	int r = j.names ? docs_read(&j, obj, true) : -ENOMEM;

	htab_free(j.names, free);
	if (r == 0 && j.d.faults)
		r = -EINVAL;
	if (r < 0)
		rule_docs_done(&j.got);
	else
		*ret = j.got;
	return r;
}
