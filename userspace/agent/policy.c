/* SPDX-License-Identifier: Apache-2.0 */
/* policy.c - a desired state into the maps: prepare, commit, and collecting what is retired. */
#include <errno.h>
#include <stdio.h>
#include <string.h>

#define LOG_UNIT "agent"
#include "agent/cni.h"
#include "base/cleanup.h"
#include "base/log.h"
#include "loader/grace.h"
#include "maps/dns_maps.h"
#include "maps/sink.h"

static int on_wl_group(void *arg, uint32_t wl, uint32_t group, uint32_t eid)
{
	struct agent *a = arg;
	struct policy_wl pw;
	struct agent_wl *w;

	(void)group;
	(void)eid;
	if (group)
		agent_dns_wl_taken(a, wl);
	else
		agent_dns_wl_gone(a, wl);
	/* The set describes the number while it still has it; a number that goes is looked up. */
	if (!policy_set_wl_by_number(a->policy, wl, &pw)) {
		w = agent_wl_find(a, pw.ns, pw.name);
		if (w && !agent_wl_is(w, pw.uid))
			return 0; /* its successor, of whom nobody told yet */
		if (w && w->wl != wl) {
			if (w->wl)
				(void)htab_del_u64(a->by_num, w->wl);
			w->report |= !w->wl; /* found before anybody wanted to know */
			w->wl = wl;
			(void)htab_set_u64(a->by_num, wl, w);
		}
	} else {
		w = htab_get_u64(a->by_num, wl);
	}
	if (!w)
		return 0;
	w->group = group;
	w->eid = eid;
	if (!group) {
		(void)htab_del_u64(a->by_num, w->wl);
		w->wl = 0;
	}
	agent_wl_publish(a, w);
	return 0;
}

/* The maps' sink with one stop on the way: the agent hears of workload numbers. */
struct agent_sink {
	struct policy_sink maps;
	struct agent *a;
};
#define TO_MAPS(name, params, args)						\
	static int to_##name params						\
	{									\
		const struct policy_sink *m = &((struct agent_sink *)arg)->maps; \
										\
		return m->name args;						\
	}
TO_MAPS(verdict_write, (void *arg, uint32_t i, const struct cw_verdict *v), (m->arg, i, v))
TO_MAPS(rows_write, (void *arg, uint32_t i, const uint64_t *v, size_t n), (m->arg, i, v, n))
TO_MAPS(rowtab_write, (void *arg, uint32_t i, const uint64_t *v, size_t n), (m->arg, i, v, n))
TO_MAPS(peers_set, (void *arg, const struct cw_peer_key *k, const uint32_t *c, size_t n), (m->arg, k, c, n))
TO_MAPS(peers_del, (void *arg, const struct cw_peer_key *k, size_t n), (m->arg, k, n))
TO_MAPS(word_store, (void *arg, uint32_t i, uint64_t w), (m->arg, i, w))
TO_MAPS(since_store, (void *arg, uint32_t i, uint64_t s), (m->arg, i, s))
TO_MAPS(addr_set, (void *arg, uint32_t z, const struct addr *a, const struct cw_addr *v), (m->arg, z, a, v))
TO_MAPS(addr_del, (void *arg, uint32_t z, const struct addr *a), (m->arg, z, a))
TO_MAPS(net_set, (void *arg, uint32_t z, const struct prefix *p, const struct cw_addr *v), (m->arg, z, p, v))
TO_MAPS(net_del, (void *arg, uint32_t z, const struct prefix *p), (m->arg, z, p))
TO_MAPS(backends_write, (void *arg, uint32_t i, const struct cw_backend *v, size_t n), (m->arg, i, v, n))
TO_MAPS(svc_set, (void *arg, const struct cw_svc_key *k, const struct cw_svc *v), (m->arg, k, v))
TO_MAPS(svc_del, (void *arg, const struct cw_svc_key *k), (m->arg, k))
TO_MAPS(pattern_set, (void *arg, const char *p, uint32_t c), (m->arg, p, c))
TO_MAPS(pattern_del, (void *arg, const char *p), (m->arg, p))
TO_MAPS(named_set, (void *arg, uint32_t e, uint32_t c, uint32_t n), (m->arg, e, c, n))
TO_MAPS(named_del, (void *arg, uint32_t e, uint32_t c), (m->arg, e, c))
TO_MAPS(names_store, (void *arg, uint32_t n), (m->arg, n))
TO_MAPS(settle, (void *arg), (m->arg))

static int reclass_one(void *arg, uint64_t hash, const struct cw_dns_name *v)
{
	struct agent *a = arg;
	char name[sizeof(v->text) + 1] = {};
	uint32_t cls;
	int r;

	memcpy(name, v->text, v->len);
	cls = policy_set_name_class(a->policy, name);
	if (cls == v->cls)
		return 0;
	r = dns_name_class(a->maps, hash, cls);
	return r == -ENOENT ? 0 : r;
}

/* The patterns changed: every name that is known gets its class anew. */
static int to_names_reclass(void *arg)
{
	struct agent *a = ((struct agent_sink *)arg)->a;

	return dns_name_walk(a->maps, reclass_one, a);
}

static bool to_addr_used(void *arg, uint32_t z, const struct addr *a)
{
	const struct policy_sink *m = &((struct agent_sink *)arg)->maps;

	return !m->addr_used || m->addr_used(m->arg, z, a);
}

static bool to_net_used(void *arg, uint32_t z, const struct prefix *p)
{
	const struct policy_sink *m = &((struct agent_sink *)arg)->maps;

	return !m->net_used || m->net_used(m->arg, z, p);
}

static int to_wl_group(void *arg, uint32_t wl, uint32_t group, uint32_t eid)
{
	return on_wl_group(((struct agent_sink *)arg)->a, wl, group, eid);
}

static void sink_of(struct agent *a, struct agent_sink *s, struct policy_sink *ret)
{
	maps_sink(a->maps, &s->maps);
	s->a = a;
	*ret = (struct policy_sink){
		.arg = s, .verdict_write = to_verdict_write, .rows_write = to_rows_write,
		.rowtab_write = to_rowtab_write, .peers_set = to_peers_set, .peers_del = to_peers_del,
		.word_store = to_word_store, .since_store = to_since_store, .addr_set = to_addr_set, .addr_del = to_addr_del,
		.net_set = to_net_set, .net_del = to_net_del, .addr_used = to_addr_used,
		.pattern_set = to_pattern_set, .pattern_del = to_pattern_del, .named_set = to_named_set,
		.named_del = to_named_del, .names_store = to_names_store, .names_reclass = to_names_reclass,
		.backends_write = to_backends_write, .svc_set = to_svc_set, .svc_del = to_svc_del,
		.net_used = to_net_used, .wl_group = to_wl_group, .settle = s->maps.settle ? to_settle : NULL,
	};
}

int agent_policy_open(struct agent *a, struct fail_list *f)
{
	struct policy_limits lim = { };
	int r;

	maps_limits(a->maps, &lim);
	r = policy_set_new(&lim, &a->policy);

	if (r < 0)
		return fail_add(f, r, "agent.memory", NULL, NULL, NULL, "no memory for the policy set");
	return 0;
}

static void receipt_fill(struct agent *a, const struct policy_stats *st, struct node_receipt *r)
{
	snprintf(r->node, sizeof(r->node), "%s", a->node);
	r->generation = a->generation;
	r->entries = st->peers + st->addrs4 + st->addrs6;
	r->entries_max = policy_set_limits(a->policy)->peers;
	r->rows = st->rows;
	r->groups = st->groups;
	r->verdicts = st->verdicts;
}

int agent_prepare(void *node, const struct policy_state *next, struct fail_list *f,
		  struct node_receipt *ret)
{
	struct fail_list own = { };
	struct policy_plan_info info;
	struct agent *a = node;
	int r;

	memset(ret, 0, sizeof(*ret));
	agent_abort(a);
	r = policy_set_prepare(a->policy, next, f ? f : &own, &a->plan);
	if (r < 0) {
		const struct fail_list *l = f ? f : &own;
		struct policy_stats st;

		policy_set_stats(a->policy, &st);
		receipt_fill(a, &st, ret);
		snprintf(ret->note, sizeof(ret->note), "%s",
			 l->n ? l->items[l->n - 1].message : strerror(-r));
		fail_list_done(&own);
		return r;
	}
	fail_list_done(&own);
	r = agent_dns_prepare(a, next);
	if (r < 0) {
		agent_abort(a);
		return r;
	}
	r = agent_find_note(a, next);
	if (r < 0) {
		agent_abort(a);
		return r;
	}
	policy_plan_info(a->plan, &info);
	receipt_fill(a, &info.after, ret);
	a->plan_generation = next->generation;
	return 0;
}

void agent_abort(void *node)
{
	struct agent *a = node;

	policy_plan_free(a->plan);
	a->plan = NULL;
}

struct gc_job {
	uv_work_t work;
	struct agent *a;
	uint64_t seq;
	int r;
};

static void gc_wait(uv_work_t *w)
{
	struct gc_job *j = w->data;

	j->r = grace_wait();
}

static void gc_start(struct agent *a);

static void gc_done(uv_work_t *w, int status)
{
	struct gc_job *j = w->data;
	struct agent *a = j->a;
	struct policy_sink sink;
	struct agent_sink ms;
	int r = status ? status : j->r;

	a->gc_busy = false;
	if (!r && !a->closing && !a->plan) {
		sink_of(a, &ms, &sink);
		r = policy_set_gc(a->policy, &sink, j->seq);
		if (r > 0)
			gc_start(a);
	}
	if (r < 0 && r != -EBUSY && !a->closing)
		log_warn(r, "cannot collect retired policy, retrying with the next change");
	free(j);
	agent_job_done(a);
}

static void gc_start(struct agent *a)
{
	struct gc_job *j;

	if (a->gc_busy || a->closing)
		return;
	j = calloc(1, sizeof(*j));
	if (!j)
		return; /* what is retired only costs room until the next change */
	j->a = a;
	j->work.data = j;
	j->seq = policy_set_seq(a->policy);
	if (uv_queue_work(a->loop, &j->work, gc_wait, gc_done)) {
		free(j);
		return;
	}
	a->gc_busy = true;
	a->jobs++;
}

int agent_commit(void *node, enum policy_flows how, struct node_receipt *ret)
{
	struct agent *a = node;
	uint64_t t0;
	struct policy_sink sink;
	struct policy_stats st;
	struct agent_sink ms;
	int r;

	memset(ret, 0, sizeof(*ret));
	if (!a->plan)
		return -ENOENT;
	/* What the new numbers mean must be on disk before the kernel can count under them. */
	r = names_note(a->names, a->policy);
	if (r < 0) {
		snprintf(ret->note, sizeof(ret->note), "cannot note identities in %s", a->state_dir);
		agent_abort(a);
		return log_err(r, "cannot note identities; dir='%s'", a->state_dir);
	}
	t0 = agent_mono_ns();
	sink_of(a, &ms, &sink);
	policy_plan_flows(a->plan, how);
	r = policy_set_commit(a->policy, take_ptr(a->plan), &sink);
	if (r < 0) {
		snprintf(ret->note, sizeof(ret->note), "the maps refused a write: %s", strerror(-r));
		log_err(r, "cannot write the policy");
	} else {
		a->generation = a->plan_generation;
		ret->applied = true;
		agent_dns_commit(a);
	}
	policy_set_stats(a->policy, &st);
	receipt_fill(a, &st, ret);
	if (r < 0)
		return r;
	ret->after_us = (uint32_t)((agent_mono_ns() - t0) / 1000);
	if (!a->first_commit_ns)
		a->first_commit_ns = agent_mono_ns();
	agent_share(a);
	gc_start(a);
	agent_shield(a);
	agent_cni_kick(a);
	agent_find_kick(a);
	return 0;
}
