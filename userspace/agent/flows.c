/* SPDX-License-Identifier: Apache-2.0 */
/* flows.c - live flows for people and for plans, their expiry, and events by name. */
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "agent/priv.h"

#define SWEEP_BUDGET 20000u	/* entries looked at per tick */

/* Idle seconds by state: as in the data path, which expires by itself; this frees the room. */
static uint32_t idle_limit_s(uint8_t proto, uint8_t state)
{
	if (state == CW_FLOW_CLOSED)
		return 10;
	switch (proto) {
	case IPPROTO_TCP:
	case IPPROTO_SCTP:
		return state == CW_FLOW_OPEN ? 3600 : state == CW_FLOW_FIN ? 120 : 60;
	case IPPROTO_UDP:
		return state == CW_FLOW_OPEN ? 180 : 60;
	case IPPROTO_ICMP:
	case IPPROTO_ICMPV6:
		return 30;
	default:
		return 600;
	}
}

/* "shop/pod/web-1", a reserved word, or the address. */
void agent_ref(struct agent *a, uint32_t zone, const struct addr *addr, char *out, size_t n)
{
	char text[ADDR_STR_MAX];
	struct policy_wl w;
	struct policy_eid e;
	struct cw_addr m;

	if (!policy_set_addr(a->policy, zone, addr, &m)) {
		if (m.wl && !policy_set_wl_by_number(a->policy, m.wl, &w)) {
			snprintf(out, n, "%s/pod/%s", w.ns, w.name);
			return;
		}
		if (m.realm == CW_REALM_POD && !policy_set_eid_describe(a->policy, m.eid, &e) && e.ns && e.name) {
			snprintf(out, n, "%s/pod/%s", e.ns, e.name);
			return;
		}
		if (m.realm == CW_REALM_HOST || m.realm == CW_REALM_NODE) {
			snprintf(out, n, "%s", m.realm == CW_REALM_HOST ? "host" : "remote-node");
			return;
		}
	}
	snprintf(out, n, "%s", addr_str(addr, text));
}

static void fill_flow(struct agent *a, const struct maps_clock *c, const struct flow_row *r, struct node_flow *f)
{
	bool b_orig = r->flow.flags & CW_FLOW_F_B_ORIG;
	struct policy_eid e;
	struct cw_addr dst;

	memset(f, 0, sizeof(*f));
	f->src = b_orig ? r->b : r->a;
	f->dst = b_orig ? r->a : r->b;
	f->sport = b_orig ? r->pb : r->pa;
	f->dport = b_orig ? r->pa : r->pb;
	f->proto = r->proto;
	f->state = r->flow.state;
	f->family = r->v6 ? 6 : 4;
	f->answered = r->flow.flags & CW_FLOW_F_ANSWERED;
	f->guessed = r->flow.flags & CW_FLOW_F_GUESSED;
	f->seeded = r->flow.flags & CW_FLOW_F_SEEDED;
	f->age_ms = clock_age_ms(c, r->flow.born);
	f->idle_ms = clock_age_ms(c, r->flow.seen);
	for (int s = 0; s < 2; s++) {
		f->outcome[s] = r->flow.side[s].outcome;
		f->reason[s] = r->flow.side[s].reason;
		if (r->flow.side[s].ep)
			(void)verdict_load(a->maps, r->flow.side[s].verdict, &f->verdict[s]);
	}
	agent_ref(a, r->zone, &f->src, f->src_ref, sizeof(f->src_ref));
	agent_ref(a, r->zone, &f->dst, f->dst_ref, sizeof(f->dst_ref));
	if (f->outcome[CW_EGRESS] != CW_OUT_NONE && !policy_set_addr(a->policy, r->zone, &f->dst, &dst) &&
	    !policy_set_service(a->policy, &f->dst, (enum cw_realm)dst.realm, CW_AXIS(f->proto, f->dport), &e))
		snprintf(f->dst_ref, sizeof(f->dst_ref), "%s/svc/%s", e.svc_ns, e.svc_name);
}

struct walk {
	struct agent *a;
	struct maps_clock clock;
	int (*fn)(void *arg, const struct node_flow *fl);
	void *arg;
	bool cut_only;
	int r;
};

static bool expired(const struct maps_clock *c, const struct flow_row *r)
{
	return clock_age_ms(c, r->flow.seen) > idle_limit_s(r->proto, r->flow.state) * 1000ull;
}

static bool same_meaning(const struct cw_addr *a, const struct cw_addr *b)
{
	return a->eid == b->eid && a->group == b->group && a->realm == b->realm;
}

/* As the next packet will be judged: a service address by what stands behind it. */
static int judge_flow(struct agent *a, bool next, const struct cw_addr *local, enum cw_side side,
		      const struct cw_addr *p, const struct addr *peer, uint32_t axis, struct policy_judgement *ret)
{
	enum cw_realm realm = (enum cw_realm)p->realm;
	int r = -ENOENT;

	if (side == CW_EGRESS)
		r = next ? policy_plan_judge_service(a->plan, local->group, local->wl, peer, realm, axis, ret) :
			   policy_set_judge_service(a->policy, local->group, local->wl, peer, realm, axis, ret);
	if (r == 1)
		ret->outcome = CW_OUT_ALLOW; /* himself */
	if (r != -ENOENT)
		return r < 0 ? r : 0;
	return next ? policy_plan_judge(a->plan, local->group, side, p->eid, realm, axis, ret) :
		      policy_set_judge(a->policy, local->group, side, p->eid, realm, axis, ret);
}

/* Would the plan drop this side, which passes now? Judged as the next packet will be. */
static bool side_cut(struct agent *a, const struct flow_row *r, enum cw_side side)
{
	const struct cw_flow_side *s = &r->flow.side[side];
	bool b_orig = r->flow.flags & CW_FLOW_F_B_ORIG;
	const struct addr *src = b_orig ? &r->b : &r->a, *dst = b_orig ? &r->a : &r->b;
	const struct addr *local = side == CW_EGRESS ? src : dst, *peer = side == CW_EGRESS ? dst : src;
	uint16_t dport = b_orig ? r->pa : r->pb;
	struct policy_judgement j;
	struct cw_addr l, p, now_l, now_p;
	bool known, stands;
	uint32_t axis;

	if (!s->ep)
		return false;
	if (policy_plan_addr(a->plan, r->zone, local, &l) ||
	    policy_plan_addr(a->plan, r->zone, peer, &p) || !l.group)
		return false;
	if (side == CW_INGRESS && p.realm == CW_REALM_HOST && a->cfg.local_node == CW_CTL_LOCAL_NODE_ALLOW)
		return false;
	axis = CW_AXIS(r->proto, dport);
	known = !policy_set_addr(a->policy, r->zone, local, &now_l) &&
		!policy_set_addr(a->policy, r->zone, peer, &now_p) && now_l.group;
	/* A flow that stands still keeps its old outcome until its next packet: what an earlier change
	 * has ended already is not this one's doing. */
	stands = policy_set_stands(a->policy, s->group, side, s->gen);
	if (!stands && known && !judge_flow(a, false, &now_l, side, &now_p, peer, axis, &j) && j.outcome == CW_OUT_DROP)
		return false;
	/* What was kept through a change stays kept where this one changes nothing. */
	if (stands && known && same_meaning(&l, &now_l) && same_meaning(&p, &now_p) &&
	    !policy_plan_rejudges(a->plan, s->group, side))
		return false;
	if (judge_flow(a, true, &l, side, &p, peer, axis, &j))
		return false;
	return j.outcome == CW_OUT_DROP;
}

static int walk_one(void *arg, const struct flow_row *r)
{
	struct walk *w = arg;
	struct node_flow f;

	if (expired(&w->clock, r) || r->flow.state == CW_FLOW_CLOSED)
		return 0;
	/* What one side drops has ended already. */
	if (w->cut_only && (r->flow.side[0].outcome == CW_OUT_DROP || r->flow.side[1].outcome == CW_OUT_DROP ||
			    (!side_cut(w->a, r, CW_EGRESS) && !side_cut(w->a, r, CW_INGRESS))))
		return 0;
	fill_flow(w->a, &w->clock, r, &f);
	w->r = w->fn(w->arg, &f);
	return w->r ? -ECANCELED : 0; /* positive would delete the entry */
}

static int walk_flows(struct agent *a, bool cut_only, int (*fn)(void *, const struct node_flow *), void *arg)
{
	struct walk w = { .a = a, .fn = fn, .arg = arg, .cut_only = cut_only };
	struct flow_cursor c = { };
	int r = maps_clock(a->maps, loader_set_prog_fd(a->set, "cw_now"), a->hz, &w.clock);

	while (!r && !c.done) {
		r = flow_map_walk(a->maps, &c, SWEEP_BUDGET, walk_one, &w);
		if (r > 0)
			r = 0;
	}
	return w.r ? w.r : r;
}

int agent_flows(void *node, int (*fn)(void *arg, const struct node_flow *fl), void *arg)
{
	return walk_flows(node, false, fn, arg);
}

int agent_flows_cut(void *node, int (*fn)(void *arg, const struct node_flow *fl), void *arg)
{
	struct agent *a = node;

	return a->plan ? walk_flows(a, true, fn, arg) : -ENOENT;
}

struct sweep {
	struct agent *a;
	struct maps_clock clock;
};

static int sweep_one(void *arg, const struct flow_row *r)
{
	struct sweep *s = arg;
	struct cw_flow now;

	if (!expired(&s->clock, r))
		return 0;
	/* It may have come back to life since the batch was read. */
	if (flow_map_get(s->a->maps, r, &now) || now.seen != r->flow.seen)
		return 0;
	s->a->swept++;
	return 1;
}

/* A piece of the flow table per call; what is over gives its room back. */
void agent_sweep(struct agent *a)
{
	struct sweep s = { .a = a };

	if (maps_clock(a->maps, loader_set_prog_fd(a->set, "cw_now"), a->hz, &s.clock))
		return;
	if (a->sweep.done)
		a->sweep = (struct flow_cursor){ };
	(void)flow_map_walk(a->maps, &a->sweep, SWEEP_BUDGET, sweep_one, &s); /* the next call goes on */
}

/* An event by name. The tables may have moved on since: names are of now. */
void agent_event(void *arg, const struct cw_event *ev)
{
	struct agent *a = arg;
	struct cw_verdict v = { };
	struct node_flow f = {
		.sport = ev->sport, .dport = ev->dport, .proto = ev->proto, .family = ev->family,
	};

	if (!a->sink || !a->sink->event)
		return;
	memcpy(f.src.b, ev->saddr, 16);
	memcpy(f.dst.b, ev->daddr, 16);
	f.outcome[ev->side & 1] = ev->outcome;
	f.reason[ev->side & 1] = ev->reason;
	(void)verdict_load(a->maps, ev->verdict, &v);
	f.verdict[ev->side & 1] = v;
	agent_ref(a, 0, &f.src, f.src_ref, sizeof(f.src_ref));
	agent_ref(a, 0, &f.dst, f.dst_ref, sizeof(f.dst_ref));
	if (ev->type == CW_EV_GUARD && ev->wl) {
		struct policy_wl w;

		/* Who sent or got it is known by the interface, whatever the packet says. */
		if (!policy_set_wl_by_number(a->policy, ev->wl, &w))
			snprintf(ev->side == CW_EGRESS ? f.src_ref : f.dst_ref, sizeof(f.src_ref),
				 "%s/pod/%s", w.ns, w.name);
	}
	a->sink->event(a->sink_arg, ev, &f, &v);
}
