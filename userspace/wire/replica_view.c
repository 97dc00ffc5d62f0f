/* SPDX-License-Identifier: Apache-2.0 */
/* replica_view.c - the copy as a policy_state, as bytes, and back. */
#include "wire/replica_priv.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"
#include "policy/model_doc.h"

static int decode(struct rep *x, const struct rec_bytes *b)
{
	switch (b->kind) {
	case REC_SETTINGS:
		return model_doc_to_settings(b->text, &x->u.settings);
	case REC_NODE:
		return model_doc_to_node(b->text, &x->u.node);
	case REC_NAMESPACE:
		return model_doc_to_namespace(b->text, &x->u.ns);
	case REC_WORKLOAD:
		return model_doc_to_workload(b->text, &x->u.wl);
	case REC_SERVICE:
		return model_doc_to_service(b->text, &x->u.svc);
	case REC_RULE:
		return model_doc_to_rule(b->text, &x->u.rule);
	case REC_KPOLICY:
		return model_doc_to_kpolicy(b->text, &x->u.kpolicy);
	case REC_MODE:
		return model_doc_to_mode(b->text, &x->u.mode);
	case REC_QUARANTINE:
		return model_doc_to_quarantine(b->text, &x->u.quar);
	default:
		return 0;
	}
}

/* What a record is called follows from what it says: two names for one thing would be two things. */
static bool is_called(const struct rep *x, const char *key)
{
	char want[REC_KEY_SIZE] = "";
	int n = 0;

	switch (x->kind) {
	case REC_SETTINGS:
		break;
	case REC_NODE:
		n = snprintf(want, sizeof(want), "%s", x->u.node.name);
		break;
	case REC_NAMESPACE:
		n = snprintf(want, sizeof(want), "%s", x->u.ns.name);
		break;
	case REC_WORKLOAD:
		n = rec_key_two(x->u.wl.ns, x->u.wl.name, want);
		break;
	case REC_SERVICE:
		n = rec_key_two(x->u.svc.ns, x->u.svc.name, want);
		break;
	case REC_RULE:
		n = rec_key_rule(x->u.rule.id, "", x->u.rule.ns, x->u.rule.name, want);
		break;
	case REC_KPOLICY:
		n = rec_key_rule(x->u.kpolicy.id, kpolicy_kind_str(x->u.kpolicy.kind), x->u.kpolicy.ns,
				 x->u.kpolicy.name, want);
		break;
	default: /* places in an order */
		return true;
	}
	return n >= 0 && (size_t)n < sizeof(want) && !strcmp(want, key);
}

int rep_decode(struct rep *x, const struct rec_bytes *b)
{
	int e = decode(x, b);

	return e ? e : is_called(x, b->key) ? 0 : -EBADMSG;
}

void rep_clear(struct rep *x)
{
	free(x->key);
	x->key = NULL;
	switch (x->kind) {
	case REC_SETTINGS:
		policy_state_done(&x->u.settings);
		break;
	case REC_NODE:
		node_info_done(&x->u.node);
		break;
	case REC_NAMESPACE:
		namespace_done(&x->u.ns);
		break;
	case REC_WORKLOAD:
		workload_done(&x->u.wl);
		break;
	case REC_SERVICE:
		service_done(&x->u.svc);
		break;
	case REC_RULE:
		rule_done(&x->u.rule);
		break;
	case REC_KPOLICY:
		kpolicy_done(&x->u.kpolicy);
		break;
	case REC_MODE:
		mode_setting_done(&x->u.mode);
		break;
	case REC_QUARANTINE:
		quarantine_done(&x->u.quar);
		break;
	default:
		break;
	}
	memset(&x->u, 0, sizeof(x->u));
}

/* ---- as a state ------------------------------------------------------------------------------ */

#define VIEW(list, count, rec_kind, member) ({						\
	const struct kind_list *l_ = &r->kind[rec_kind];				\
	v.list = l_->n ? reallocarray(NULL, l_->n, sizeof(*v.list)) : NULL;		\
	for (size_t i_ = 0; v.list && i_ < l_->n; i_++)					\
		v.list[i_] = l_->v[i_]->u.member;					\
	v.count = v.list ? l_->n : 0;							\
	v.list || !l_->n; })

int replica_view(const struct replica *r, const char *node, struct policy_state *ret)
{
	const struct kind_list *settings = &r->kind[REC_SETTINGS];
	struct policy_state v = {};

	if (settings->n)
		v = settings->v[0]->u.settings; /* borrowed lists and all */
	v.generation = r->generation;
	v.node = (char *)node;
	if (!VIEW(rules, nrules, REC_RULE, rule) || !VIEW(modes, nmodes, REC_MODE, mode) ||
	    !VIEW(quarantines, nquarantines, REC_QUARANTINE, quar) ||
	    !VIEW(workloads, nworkloads, REC_WORKLOAD, wl) || !VIEW(namespaces, nnamespaces, REC_NAMESPACE, ns) ||
	    !VIEW(kpolicies, nkpolicies, REC_KPOLICY, kpolicy) || !VIEW(services, nservices, REC_SERVICE, svc) ||
	    !VIEW(nodes, nnodes, REC_NODE, node)) {
		replica_view_done(&v);
		return -ENOMEM;
	}
	*ret = v;
	return 0;
}

void replica_view_done(struct policy_state *v)
{
	free(v->rules);
	free(v->modes);
	free(v->quarantines);
	free(v->workloads);
	free(v->namespaces);
	free(v->kpolicies);
	free(v->services);
	free(v->nodes);
	*v = (struct policy_state){};
}

int replica_state(const struct replica *r, const char *node, struct policy_state *ret)
{
	struct policy_state v;
	int e = replica_view(r, node, &v);

	if (e)
		return e;
	e = policy_state_copy(&v, ret);
	replica_view_done(&v);
	return e;
}

/* ---- as bytes -------------------------------------------------------------------------------- */

struct dump {
	struct buf plain, frames;
	struct msg_commit commit;
	int (*fn)(void *arg, const void *p, size_t n);
	void *arg;
	int stopped;
};

static int dump_out(struct dump *d)
{
	if (d->plain.len)
		(void)frame_put_zlib(&d->frames, FRAME_RECORDS, d->plain.data, d->plain.len);
	d->plain.len = 0;
	if (d->frames.err || d->plain.err)
		return d->frames.err ? d->frames.err : d->plain.err;
	if (d->frames.len)
		d->stopped = d->fn(d->arg, d->frames.data, d->frames.len);
	d->frames.len = 0;
	return d->stopped;
}

static int dump_one(void *arg, const struct rec_bytes *b)
{
	struct dump *d = arg;

	rec_put(&d->plain, b);
	d->commit.digest += rec_hash(b);
	d->commit.count++;
	return d->plain.len > REC_PLAIN ? dump_out(d) : 0;
}

/*
 * Written from what was understood: where a newer controller said more, the digest of the bytes is
 * another one, and the controller sends a snapshot after a restart. Keys follow from the records, but for those
 * that stand for an order, which is the same.
 */
int replica_each(const struct replica *r, int (*fn)(void *arg, const void *p, size_t n), void *arg)
{
	const struct msg_sync sync = { .snapshot = true, .epoch = r->held.epoch, .revision = r->held.revision,
				       .generation = r->generation };
	struct dump d = { .fn = fn, .arg = arg, .commit.revision = r->held.revision };
	struct policy_state v;
	int e;

	if (!r->held.epoch)
		return 0;
	e = replica_view(r, NULL, &v);
	if (e)
		return e;
	buf_init(&d.plain, FRAME_PLAIN_MAX);
	buf_init(&d.frames, FRAME_PLAIN_MAX * 2);
	(void)msg_put_sync(&d.frames, &sync);
	e = rec_each(&v, NULL, dump_one, &d);
	replica_view_done(&v);
	e = e ? e : dump_out(&d);
	if (!e) {
		(void)msg_put_commit(&d.frames, &d.commit);
		e = dump_out(&d);
	}
	buf_done(&d.plain);
	buf_done(&d.frames);
	return e;
}

int replica_load(struct replica *r, const void *p, size_t n, size_t *ret_used)
{
	struct frame_reader fr = { .max = FRAME_BODY_MAX };
	const char *at = p;
	size_t left = n, used = 0;
	struct msg_sync sync;
	struct frame f;
	int e;

	while ((e = frame_read(&fr, &at, &left, &f)) == 1) {
		e = replica_take(r, &f, &sync);
		if (e < 0)
			break;
		if (e == 1)
			used = n - left;
	}
	frame_reader_done(&fr);
	replica_drop(r);
	*ret_used = used;
	return e == -ENOMEM ? e : e < 0 && !used ? -EBADMSG : 0;
}
