/* SPDX-License-Identifier: Apache-2.0 */
/* api_diff.c - every verdict that two rule sets give differently. Changes nothing. */
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#include "base/cleanup.h"
#include "controller/api_routes.h"
#include "controller/rule_set.h"
#include "controller/view.h"
#include "policy/diff.h"

#define DIFF_SHOWN_MAX 5000u /* items in one answer; the others are counted */

struct diffing {
	struct policy_state a, b;
	struct policy_diff d;
};

static void diffing_done(struct diffing *x)
{
	policy_diff_done(&x->d);
	policy_state_done(&x->a);
	policy_state_done(&x->b);
}

static const char *effect_word(const struct diff_item *it)
{
	if (it->by.action == CW_ACT_BLOCK)
		return "breaks";
	return it->was.action == CW_ACT_BLOCK ? "opens" : "differs";
}

static int put_names(cJSON *o, const char *key, struct diff_names *l)
{
	cJSON *arr = cJSON_AddArrayToObject(o, key);

	for (size_t i = 0; i < l->n; i++)
		put_push(arr, cJSON_CreateString(l->v[i]));
	diff_names_done(l);
	return 0;
}

static void put_by(cJSON *o, const char *key, const struct policy_state *st, const struct diff_verdict *d)
{
	struct cw_verdict v = { .rule = d->rule, .action = d->action, .tier = d->tier };
	enum cw_reason why = CW_R_NONE;

	if (d->action == CW_ACT_BLOCK)
		why = d->tier == CW_TIER_DEFAULT ? CW_R_DEFAULT : d->tier == CW_TIER_QUARANTINE ? CW_R_QUARANTINE :
		      d->flags & CW_V_ISOLATED ? CW_R_ISOLATED : CW_R_RULE;
	put_item(o, key, view_by(st, &v, why));
}

/* A pair and a point that can be asked about with `query`. */
static void put_witness(cJSON *o, const struct policy_diff *d, const struct diff_item *it)
{
	const struct diff_end *s = &d->ends[it->wit_src], *t = &d->ends[it->wit_dst];
	char src[600], dst[600], port[40];
	cJSON *w = cJSON_AddObjectToObject(o, "witness");

	put_str(w, "src", diff_end_text(s, it->wit_v6, src));
	put_str(w, "dst", diff_end_text(t, it->wit_v6, dst));
	put_str(w, "port", axis_str(it->wit_axis, port));
	put_str(w, "family", it->wit_v6 ? "IPv6" : "IPv4");
}

static int item_view(const struct diffing *x, const struct diff_item *it, cJSON *to)
{
	struct diff_names src = {}, dst = {}, ports = {};
	cJSON *o = cJSON_CreateObject();
	int e = o ? 0 : -ENOMEM;

	e = e ?: diff_names_make(&x->d, it, false, &src);
	e = e ?: diff_names_make(&x->d, it, true, &dst);
	e = e ?: diff_ports_text(it->ports, it->nports, &ports);
	if (!e) {
		put_str(o, "effect", effect_word(it));
		put_str(o, "was", cw_action_str(it->was.action));
		put_str(o, "becomes", cw_action_str(it->by.action));
		put_str(o, "side", it->side < 0 ? "both" : it->side == CW_EGRESS ? "egress" : "ingress");
	}
	if (!e)
		e = put_names(o, "src", &src) ?: put_names(o, "dst", &dst) ?: put_names(o, "ports", &ports);
	if (e) {
		diff_names_done(&src);
		diff_names_done(&dst);
		diff_names_done(&ports);
		cJSON_Delete(o);
		return e;
	}
	put_by(o, "wasBy", &x->a, &it->was);
	put_by(o, "by", &x->b, &it->by);
	put_witness(o, &x->d, it);
	put_push(to, o);
	return 0;
}

static int answer(const struct api *a, const struct diffing *x, double ms, cJSON **ret)
{
	cJSON *o = api_object("RuleDiff"), *items;
	size_t n[3] = {};
	int e = 0;

	if (!o)
		return -ENOMEM;
	for (size_t i = 0; i < x->d.n; i++)
		n[x->d.items[i].by.action == CW_ACT_BLOCK ? 0 : x->d.items[i].was.action == CW_ACT_BLOCK ? 1 : 2] +=
			x->d.items[i].nports;
	put_num(o, "generation", (double)a->c->state.generation);
	put_num(o, "ranges", (double)x->d.ranges);
	put_num(o, "breaks", (double)n[0]);
	put_num(o, "opens", (double)n[1]);
	put_num(o, "differs", (double)n[2]);
	put_num(o, "ends", (double)x->d.nends);
	put_num(o, "rulesA", (double)(x->a.nrules + x->a.nkpolicies));
	put_num(o, "rulesB", (double)(x->b.nrules + x->b.nkpolicies));
	put_num(o, "total", (double)x->d.n);
	put_num(o, "truncated", x->d.n > DIFF_SHOWN_MAX ? (double)(x->d.n - DIFF_SHOWN_MAX) : 0);
	put_num(o, "tookMs", ms);
	items = cJSON_AddArrayToObject(o, "items");
	for (size_t i = 0; i < x->d.n && i < DIFF_SHOWN_MAX && !e; i++)
		e = item_view(x, &x->d.items[i], items);
	if (e) {
		cJSON_Delete(o);
		return e;
	}
	*ret = o;
	return 0;
}

int api_diff(struct api *a, cJSON **ret)
{
	static const char *const keys[] = { "a", "b", NULL };
	auto_cleanup(cJSON_Deletep) cJSON *body = NULL;
	auto_cleanup(diffing_done) struct diffing x = {};
	struct timespec t0, t1;
	int e, e2;

	clock_gettime(CLOCK_MONOTONIC, &t0);
	e = api_body(a, keys, true, &body);
	if (e)
		return e;
	/* Faults of both sets in one run. */
	e = rule_set_read(a, json_get(body, "a"), "body.a", &x.a);
	e2 = rule_set_read(a, json_get(body, "b"), "body.b", &x.b);
	e = e ?: e2;
	e = e ?: policy_diff_make(&x.a, &x.b, &a->f, &x.d);
	if (e)
		return e == -E2BIG ? -ENOSPC : e;
	clock_gettime(CLOCK_MONOTONIC, &t1);
	return answer(a, &x, (double)(t1.tv_sec - t0.tv_sec) * 1e3 + (double)(t1.tv_nsec - t0.tv_nsec) / 1e6, ret);
}
