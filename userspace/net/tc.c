/* SPDX-License-Identifier: Apache-2.0 */
#include "net/tc.h"

#include <errno.h>
#include <linux/if_ether.h>
#include <linux/pkt_cls.h>
#include <linux/rtnetlink.h>

#include "base/cleanup.h"
#include "net/attr.h"
#include "net/request.h"

struct tc {
	struct nl_sock *s;
};

int tc_open(int netns_fd, struct tc **ret)
{
	auto_free struct tc *t = calloc(1, sizeof(*t));
	int r;

	if (!t)
		return -ENOMEM;
	r = request_open(netns_fd, &t->s);
	if (r < 0)
		return r;
	*ret = take_ptr(t);
	return 0;
}

void tc_close(struct tc *t)
{
	if (!t)
		return;
	nl_socket_free(t->s);
	free(t);
}

void tc_closep(struct tc **t)
{
	tc_close(*t);
}

static uint32_t parent_of(enum tc_dir dir)
{
	return TC_H_MAKE(TC_H_CLSACT, dir == TC_INGRESS ? TC_H_MIN_INGRESS : TC_H_MIN_EGRESS);
}

static struct nl_msg *msg_new(int type, int flags, const struct tcmsg *head)
{
	struct nl_msg *m = nlmsg_alloc_simple(type, flags);

	if (m && nlmsg_append(m, (void *)head, sizeof(*head), NLMSG_ALIGNTO) < 0) {
		nlmsg_free(m);
		m = NULL;
	}
	return m;
}

/* ---- the qdisc ---- */

static struct tcmsg qdisc_head(uint32_t ifindex)
{
	return (struct tcmsg){
		.tcm_ifindex = (int)ifindex,
		.tcm_parent = TC_H_CLSACT,
		.tcm_handle = TC_H_MAKE(TC_H_CLSACT, 0),
	};
}

static int take_kind(void *arg, struct nlmsghdr *h)
{
	const struct nlattr *v[TCA_MAX + 1] = { NULL };
	struct attr_set all = { v, TCA_MAX };

	if (h->nlmsg_type == RTM_NEWQDISC && h->nlmsg_len >= NLMSG_HDRLEN + sizeof(struct tcmsg) &&
	    mnl_attr_parse(h, sizeof(struct tcmsg), attr_collect, &all) >= 0)
		attr_str(v[TCA_KIND], arg, TC_KIND_MAX);
	return 0;
}

int tc_clsact_has(struct tc *t, uint32_t ifindex)
{
	const struct tcmsg head = qdisc_head(ifindex);
	/* The answer is a notification, which comes to the one who asks only on request. */
	auto_cleanup(nlmsg_freep) struct nl_msg *m = msg_new(RTM_GETQDISC, NLM_F_ECHO, &head);
	char kind[TC_KIND_MAX] = "";
	int r;

	if (!m)
		return -ENOMEM;
	r = request_run(t->s, m, take_kind, kind, NULL);
	/* -EINVAL: the place exists, is empty now, and so has not the handle asked for. */
	if (r == -ENOENT || r == -EINVAL || (!r && !kind[0]))
		return 0;
	if (r < 0)
		return r;
	return !strcmp(kind, "clsact") ? 1 : -EBUSY;
}

int tc_clsact_add(struct tc *t, uint32_t ifindex, bool *ret_made)
{
	const struct tcmsg head = qdisc_head(ifindex);
	auto_cleanup(nlmsg_freep) struct nl_msg *m =
		msg_new(RTM_NEWQDISC, NLM_F_CREATE | NLM_F_EXCL, &head);
	int r;

	if (!m || nla_put_string(m, TCA_KIND, "clsact") < 0)
		return -ENOMEM;
	r = request_run(t->s, m, NULL, NULL, NULL);
	if (!r) {
		*ret_made = true;
		return 0;
	}
	if (r != -EEXIST)
		return r;
	r = tc_clsact_has(t, ifindex);
	if (r < 0)
		return r;
	if (!r) /* went away between the two requests */
		return -EAGAIN;
	*ret_made = false;
	return 0;
}

/* ---- filters ---- */

struct dump {
	int (*fn)(void *arg, const struct tc_filter *f);
	void *arg;
	size_t listed;	/* filters given to fn */
	size_t all;	/* messages, also heads of chains and priorities */
};

static int take_filter(void *arg, struct nlmsghdr *h)
{
	const struct nlattr *v[TCA_MAX + 1] = { NULL }, *bpf[TCA_BPF_MAX + 1] = { NULL };
	struct attr_set all = { v, TCA_MAX }, nest = { bpf, TCA_BPF_MAX };
	const struct tcmsg *head = mnl_nlmsg_get_payload(h);
	struct dump *d = arg;
	struct tc_filter f = { 0 };

	if (h->nlmsg_type != RTM_NEWTFILTER || h->nlmsg_len < NLMSG_HDRLEN + sizeof(*head))
		return 0;
	d->all++;
	if (mnl_attr_parse(h, sizeof(*head), attr_collect, &all) < 0)
		return -EBADMSG;
	if (!v[TCA_OPTIONS]) /* the head of a priority, before its filters */
		return 0;
	if (++d->listed > TC_FILTERS_MAX)
		return -E2BIG;
	f.handle = head->tcm_handle;
	f.prio = (uint16_t)(head->tcm_info >> 16);
	f.proto = ntohs((uint16_t)head->tcm_info);
	f.chain = attr_u32(v[TCA_CHAIN], 0);
	attr_str(v[TCA_KIND], f.kind, sizeof(f.kind));
	if (!strcmp(f.kind, "bpf")) {
		if (mnl_attr_parse_nested(v[TCA_OPTIONS], attr_collect, &nest) < 0)
			return -EBADMSG;
		attr_str(bpf[TCA_BPF_NAME], f.name, sizeof(f.name));
		f.prog_id = attr_u32(bpf[TCA_BPF_ID], 0);
		f.direct_action = attr_u32(bpf[TCA_BPF_FLAGS], 0) & TCA_BPF_FLAG_ACT_DIRECT;
	}
	return d->fn ? d->fn(d->arg, &f) : 0;
}

static int dump_run(struct tc *t, uint32_t ifindex, enum tc_dir dir, struct dump *d)
{
	const struct tcmsg head = { .tcm_ifindex = (int)ifindex, .tcm_parent = parent_of(dir) };
	auto_cleanup(nlmsg_freep) struct nl_msg *m = msg_new(RTM_GETTFILTER, NLM_F_DUMP, &head);

	return m ? request_run(t->s, m, take_filter, d, NULL) : -ENOMEM;
}

int tc_filter_dump(struct tc *t, uint32_t ifindex, enum tc_dir dir,
		   int (*fn)(void *arg, const struct tc_filter *f), void *arg)
{
	struct dump d = { .fn = fn, .arg = arg };

	return dump_run(t, ifindex, dir, &d);
}

int tc_clsact_del(struct tc *t, uint32_t ifindex)
{
	const struct tcmsg head = qdisc_head(ifindex);
	auto_cleanup(nlmsg_freep) struct nl_msg *m = msg_new(RTM_DELQDISC, 0, &head);
	int r;

	if (!m)
		return -ENOMEM;
	r = tc_clsact_has(t, ifindex);
	if (r <= 0)
		return r;
	for (int dir = TC_INGRESS; dir <= TC_EGRESS; dir++) {
		struct dump d = { 0 };

		r = dump_run(t, ifindex, dir, &d);
		if (r < 0)
			return r;
		if (d.all)
			return -ENOTEMPTY;
	}
	r = request_run(t->s, m, NULL, NULL, NULL);
	return r == -ENOENT || r == -EINVAL ? 0 : r;
}

bool tc_filter_is(const struct tc_filter *f, const struct tc_slot *s)
{
	return !strcmp(f->kind, "bpf") && !f->chain && f->handle == s->handle &&
	       f->prio == s->prio && f->proto == ETH_P_ALL && !strcmp(f->name, s->name);
}

/* What stands at the slot's priority. */
struct look {
	const struct tc_slot *s;
	bool ours, foreign, other_kind;
	struct tc_filter f;
};

static int look_at(void *arg, const struct tc_filter *f)
{
	struct look *l = arg;

	if (f->prio != l->s->prio || f->chain)
		return 0;
	if (tc_filter_is(f, l->s)) {
		l->ours = true;
		l->f = *f;
	} else if (strcmp(f->kind, "bpf") || f->proto != ETH_P_ALL) {
		l->other_kind = true;
	} else if (f->handle == l->s->handle) {
		l->foreign = true;
	}
	return 0;
}

static int slot_look(struct tc *t, const struct tc_slot *s, struct look *l)
{
	*l = (struct look){ .s = s };
	if (!s->ifindex || !s->handle || !s->prio || !s->name ||
	    strnlen(s->name, TC_NAME_MAX) == TC_NAME_MAX)
		return -EINVAL;
	return tc_filter_dump(t, s->ifindex, s->dir, look_at, l);
}

static struct tcmsg slot_head(const struct tc_slot *s)
{
	return (struct tcmsg){
		.tcm_ifindex = (int)s->ifindex,
		.tcm_parent = parent_of(s->dir),
		.tcm_handle = s->handle,
		.tcm_info = TC_H_MAKE((uint32_t)s->prio << 16, htons(ETH_P_ALL)),
	};
}

int tc_filter_get(struct tc *t, const struct tc_slot *s, struct tc_filter *ret)
{
	struct look l;
	int r = slot_look(t, s, &l);

	if (r < 0)
		return r;
	if (!l.ours)
		return l.foreign ? -EEXIST : -ENOENT;
	*ret = l.f;
	return 0;
}

int tc_filter_set(struct tc *t, const struct tc_slot *s, int prog_fd)
{
	auto_cleanup(nlmsg_freep) struct nl_msg *m = NULL;
	const struct tcmsg head = slot_head(s);
	struct nlattr *nest;
	struct look l;
	int r;

	r = slot_look(t, s, &l);
	if (r < 0)
		return r;
	if (l.foreign)
		return -EEXIST;
	if (l.other_kind)
		return -EBUSY;
	/* Ours is replaced in one step; a new one must not replace what came in between. */
	m = msg_new(RTM_NEWTFILTER, NLM_F_CREATE | (l.ours ? 0 : NLM_F_EXCL), &head);
	if (!m || nla_put_string(m, TCA_KIND, "bpf") < 0)
		return -ENOMEM;
	nest = nla_nest_start(m, TCA_OPTIONS);
	if (!nest || nla_put_u32(m, TCA_BPF_FD, (uint32_t)prog_fd) < 0 ||
	    nla_put_string(m, TCA_BPF_NAME, s->name) < 0 ||
	    nla_put_u32(m, TCA_BPF_FLAGS, TCA_BPF_FLAG_ACT_DIRECT) < 0)
		return -ENOMEM;
	nla_nest_end(m, nest);
	r = request_run(t->s, m, NULL, NULL, NULL);
	/* The kernel answers -EINVAL also for a missing qdisc. */
	if (r == -EINVAL && !tc_clsact_has(t, s->ifindex))
		return -ENOENT;
	return r;
}

int tc_filter_del(struct tc *t, const struct tc_slot *s)
{
	auto_cleanup(nlmsg_freep) struct nl_msg *m = NULL;
	const struct tcmsg head = slot_head(s);
	struct look l;
	int r;

	r = slot_look(t, s, &l);
	if (r < 0)
		return r;
	if (!l.ours)
		return l.foreign ? -EEXIST : 0;
	m = msg_new(RTM_DELTFILTER, 0, &head);
	if (!m || nla_put_string(m, TCA_KIND, "bpf") < 0)
		return -ENOMEM;
	r = request_run(t->s, m, NULL, NULL, NULL);
	return r == -ENOENT ? 0 : r;
}
