/* SPDX-License-Identifier: Apache-2.0 */
/* msg_ask.c - bodies of events, guards, counters, questions and answers. */
#include "wire/msg_priv.h"

void msg_flow_put(struct json_put *p, const char *key, const struct node_flow *fl)
{
	static const char *const side[2] = { [CW_EGRESS] = "egress", [CW_INGRESS] = "ingress" };

	json_put_open(p, key, '{');
	msg_addr_put(p, "src", &fl->src);
	msg_addr_put(p, "dst", &fl->dst);
	json_put_num(p, "sport", fl->sport);
	json_put_num(p, "dport", fl->dport);
	json_put_num(p, "proto", fl->proto);
	json_put_num(p, "state", fl->state);
	json_put_num(p, "family", fl->family);
	json_put_true(p, "answered", fl->answered);
	json_put_true(p, "guessed", fl->guessed);
	json_put_true(p, "seeded", fl->seeded);
	json_put_u64(p, "ageMs", fl->age_ms);
	json_put_u64(p, "idleMs", fl->idle_ms);
	for (int s = 0; s < 2; s++) {
		json_put_open(p, side[s], '{');
		json_put_num(p, "outcome", fl->outcome[s]);
		json_put_num(p, "reason", fl->reason[s]);
		msg_verdict_put(p, "verdict", &fl->verdict[s]);
		json_put_close(p, '}');
	}
	json_put_str(p, "srcRef", fl->src_ref);
	json_put_str(p, "dstRef", fl->dst_ref);
	json_put_close(p, '}');
}

void msg_flow_get(const cJSON *o, struct node_flow *ret, int *err)
{
	static const char *const side[2] = { [CW_EGRESS] = "egress", [CW_INGRESS] = "ingress" };

	if (!*err && o && !cJSON_IsObject(o))
		*err = -EBADMSG;
	msg_addr_get(o, "src", &ret->src, err);
	msg_addr_get(o, "dst", &ret->dst, err);
	ret->sport = (uint16_t)json_get_num(o, "sport", 0, 65535, err);
	ret->dport = (uint16_t)json_get_num(o, "dport", 0, 65535, err);
	ret->proto = (uint8_t)json_get_num(o, "proto", 0, 255, err);
	ret->state = (uint8_t)json_get_num(o, "state", 0, CW_FLOW_STATES - 1, err);
	ret->family = (uint8_t)json_get_num(o, "family", 0, 255, err);
	ret->answered = json_get_true(o, "answered", err);
	ret->guessed = json_get_true(o, "guessed", err);
	ret->seeded = json_get_true(o, "seeded", err);
	ret->age_ms = json_get_u64(o, "ageMs", err);
	ret->idle_ms = json_get_u64(o, "idleMs", err);
	for (int s = 0; s < 2; s++) {
		const cJSON *v = json_get(o, side[s]);

		ret->outcome[s] = (enum cw_outcome)json_get_num(v, "outcome", 0, CW_OUT_COUNT - 1, err);
		ret->reason[s] = msg_reason_get(v, err);
		msg_verdict_get(json_get(v, "verdict"), &ret->verdict[s], err);
	}
	json_get_chars(o, "srcRef", ret->src_ref, sizeof(ret->src_ref), err);
	json_get_chars(o, "dstRef", ret->dst_ref, sizeof(ret->dst_ref), err);
}

/* ---- events ---------------------------------------------------------------------------------- */

static void bytes_addr_put(struct json_put *p, const char *key, const uint8_t v[16])
{
	struct addr a;

	memcpy(a.b, v, sizeof(a.b));
	msg_addr_put(p, key, &a);
}

static void bytes_addr_get(const cJSON *o, const char *key, uint8_t v[16], int *err)
{
	struct addr a = {};

	msg_addr_get(o, key, &a, err);
	memcpy(v, a.b, sizeof(a.b));
}

int msg_put_event(struct buf *b, const struct msg_event *m)
{
	const struct cw_event *e = &m->ev;
	auto_msg_out struct msg_out o;
	struct json_put *p = msg_begin(&o);

	json_put_u64(p, "ktime", e->ktime);
	json_put_num(p, "type", e->type);
	json_put_num(p, "ep", e->ep);
	json_put_num(p, "wl", e->wl);
	json_put_num(p, "src", e->src);
	json_put_num(p, "dst", e->dst);
	json_put_num(p, "index", e->verdict);
	bytes_addr_put(p, "saddr", e->saddr);
	bytes_addr_put(p, "daddr", e->daddr);
	json_put_num(p, "sport", e->sport);
	json_put_num(p, "dport", e->dport);
	json_put_num(p, "proto", e->proto);
	json_put_num(p, "family", e->family);
	json_put_num(p, "side", e->side);
	json_put_num(p, "outcome", e->outcome);
	json_put_num(p, "reason", e->reason);
	json_put_num(p, "mode", e->mode);
	json_put_num(p, "ethertype", e->ethertype);
	json_put_num(p, "len", e->len);
	msg_flow_put(p, "who", &m->who);
	msg_verdict_put(p, "verdict", &m->verdict);
	return msg_end(&o, b, FRAME_EVENT);
}

int msg_get_event(const struct frame *fr, struct msg_event *ret)
{
	auto_cleanup(cJSON_Deletep) cJSON *o = NULL;
	struct msg_event m = {};
	struct cw_event *e = &m.ev;
	int err = msg_tree(fr, &o);

	e->ktime = json_get_u64(o, "ktime", &err);
	e->type = (uint32_t)json_get_num(o, "type", 1, CW_EV_COUNT - 1, &err);
	e->ep = (uint32_t)json_get_num(o, "ep", 0, UINT32_MAX, &err);
	e->wl = (uint32_t)json_get_num(o, "wl", 0, UINT32_MAX, &err);
	e->src = (uint32_t)json_get_num(o, "src", 0, UINT32_MAX, &err);
	e->dst = (uint32_t)json_get_num(o, "dst", 0, UINT32_MAX, &err);
	e->verdict = (uint32_t)json_get_num(o, "index", 0, UINT32_MAX, &err);
	bytes_addr_get(o, "saddr", e->saddr, &err);
	bytes_addr_get(o, "daddr", e->daddr, &err);
	e->sport = (uint16_t)json_get_num(o, "sport", 0, 65535, &err);
	e->dport = (uint16_t)json_get_num(o, "dport", 0, 65535, &err);
	e->proto = (uint8_t)json_get_num(o, "proto", 0, 255, &err);
	e->family = (uint8_t)json_get_num(o, "family", 0, 255, &err);
	e->side = (uint8_t)json_get_num(o, "side", 0, CW_INGRESS, &err);
	e->outcome = (uint8_t)json_get_num(o, "outcome", 0, CW_OUT_COUNT - 1, &err);
	e->reason = (uint8_t)msg_reason_get(o, &err);
	e->mode = (uint8_t)json_get_num(o, "mode", 0, CW_MODE_COUNT - 1, &err);
	e->ethertype = (uint16_t)json_get_num(o, "ethertype", 0, 65535, &err);
	e->len = (uint32_t)json_get_num(o, "len", 0, UINT32_MAX, &err);
	msg_flow_get(json_get(o, "who"), &m.who, &err);
	msg_verdict_get(json_get(o, "verdict"), &m.verdict, &err);
	if (!err)
		*ret = m;
	return err;
}

/* ---- guards and counters --------------------------------------------------------------------- */

static const char *const guard_ways[2] = { "fromPod", "toPod" };
static const char *const guard_states[] = { "guarded", "bypassable", "blind" };

static const char *word(const char *s, const char *const *words, size_t n, const char *otherwise)
{
	for (size_t i = 0; s && i < n; i++)
		if (!strcmp(s, words[i]))
			return words[i];
	return otherwise;
}

void msg_guards_done(struct msg_guards *m)
{
	free(m->v);
	*m = (struct msg_guards){};
}

int msg_put_guards(struct buf *b, const struct msg_guards *m)
{
	auto_msg_out struct msg_out o;
	struct json_put *p = msg_begin(&o);

	json_put_open(p, "guards", '[');
	for (size_t i = 0; i < m->n && i < MSG_GUARDS_MAX; i++) {
		const struct node_guard *g = &m->v[i];

		json_put_open(p, NULL, '{');
		json_put_str(p, "workload", g->workload);
		json_put_str(p, "iface", g->iface);
		json_put_num(p, "ifindex", g->ifindex);
		json_put_str(p, "hook", g->hook);
		json_put_str(p, "state", g->state);
		json_put_str(p, "reason", g->reason);
		json_put_i64(p, "startGap", g->start_gap_ns);
		json_put_str(p, "wiring", g->wiring);
		json_put_i64(p, "proof", g->proof_ns);
		for (int w = 0; w < 2; w++) {
			const struct node_guard_way *y = &g->way[w];

			if (!y->hook || !y->state)
				continue;
			json_put_open(p, guard_ways[w], '{');
			json_put_str(p, "hook", y->hook);
			json_put_str(p, "state", y->state);
			json_put_str(p, "reason", y->reason);
			json_put_num(p, "sent", y->sent);
			json_put_num(p, "seen", y->seen);
			json_put_close(p, '}');
		}
		json_put_close(p, '}');
	}
	json_put_close(p, ']');
	return msg_end(&o, b, FRAME_GUARDS);
}

int msg_get_guards(const struct frame *fr, struct msg_guards *ret)
{
	auto_cleanup(cJSON_Deletep) cJSON *o = NULL;
	struct msg_guards m = {};
	const cJSON *x;
	int err = msg_tree(fr, &o);

	x = json_get_list(o, "guards", MSG_GUARDS_MAX, sizeof(*m.v), (void **)&m.v, &m.n, &err);
	for (size_t i = 0; x && !err; x = x->next, i++) {
		struct node_guard *g = &m.v[i];

		if (!cJSON_IsObject(x))
			err = -EBADMSG;
		json_get_chars(x, "workload", g->workload, sizeof(g->workload), &err);
		json_get_chars(x, "iface", g->iface, sizeof(g->iface), &err);
		g->ifindex = (uint32_t)json_get_num(x, "ifindex", 0, UINT32_MAX, &err);
		g->hook = word(json_str(x, "hook"), node_guard_hooks, NODE_GUARD_HOOKS, "-");
		/* What is not known to be guarded is not called so. */
		g->state = word(json_str(x, "state"), guard_states, ARRAY_SIZE(guard_states), "blind");
		json_get_chars(x, "reason", g->reason, sizeof(g->reason), &err);
		g->start_gap_ns = json_get_i64(x, "startGap", &err);
		/* An agent of a release before does not tell these. */
		if (!json_get(x, "wiring"))
			continue;
		json_get_chars(x, "wiring", g->wiring, sizeof(g->wiring), &err);
		g->proof_ns = json_get_i64(x, "proof", &err);
		for (int w = 0; w < 2; w++) {
			const cJSON *y = json_get(x, guard_ways[w]);

			if (!y)
				continue;
			g->way[w].hook = word(json_str(y, "hook"), node_guard_hooks, NODE_GUARD_HOOKS, "-");
			g->way[w].state = word(json_str(y, "state"), guard_states, ARRAY_SIZE(guard_states), "blind");
			json_get_chars(y, "reason", g->way[w].reason, sizeof(g->way[w].reason), &err);
			g->way[w].sent = (uint32_t)json_get_num(y, "sent", 0, UINT32_MAX, &err);
			g->way[w].seen = (uint32_t)json_get_num(y, "seen", 0, UINT32_MAX, &err);
		}
	}
	if (err)
		msg_guards_done(&m);
	else
		*ret = m;
	return err;
}

int msg_put_counters(struct buf *b, const struct cJSON *counters)
{
	char *text = cJSON_PrintUnformatted(counters);
	auto_msg_out struct msg_out o;
	struct json_put *p = msg_begin(&o);

	if (text)
		json_put_raw(p, "counters", text, strlen(text));
	else
		o.body.err = -ENOMEM;
	cJSON_free(text);
	return msg_end(&o, b, FRAME_COUNTERS);
}

int msg_get_counters(const struct frame *fr, struct cJSON **ret)
{
	auto_cleanup(cJSON_Deletep) cJSON *o = NULL;
	int err = msg_tree(fr, &o);
	cJSON *c = err ? NULL : cJSON_DetachItemFromObjectCaseSensitive(o, "counters");

	if (!err && !cJSON_IsObject(c)) {
		cJSON_Delete(c);
		return -EBADMSG;
	}
	if (!err)
		*ret = c;
	return err;
}

/* ---- questions ------------------------------------------------------------------------------- */

int msg_put_ask(struct buf *b, const struct msg_ask *m)
{
	auto_msg_out struct msg_out o;
	struct json_put *p = msg_begin(&o);

	json_put_u64(p, "id", m->id);
	json_put_num(p, "what", m->what);
	json_put_str(p, "ns", m->ns);
	json_put_str(p, "name", m->name);
	json_put_str(p, "netns", m->netns);
	json_put_num(p, "limit", m->limit);
	return msg_end(&o, b, FRAME_ASK);
}

int msg_get_ask(const struct frame *fr, struct msg_ask *ret)
{
	auto_cleanup(cJSON_Deletep) cJSON *o = NULL;
	struct msg_ask m = {};
	int err = msg_tree(fr, &o);

	m.id = json_get_u64(o, "id", &err);
	m.what = (enum msg_ask_what)json_get_num(o, "what", 0, 255, &err); /* an unknown one is answered as such */
	json_get_chars(o, "ns", m.ns, sizeof(m.ns), &err);
	json_get_chars(o, "name", m.name, sizeof(m.name), &err);
	json_get_chars(o, "netns", m.netns, sizeof(m.netns), &err);
	m.limit = (uint32_t)json_get_num(o, "limit", 0, UINT32_MAX, &err);
	if (!err)
		*ret = m;
	return err;
}

void msg_answer_done(struct msg_answer *m)
{
	free(m->flows);
	*m = (struct msg_answer){};
}

int msg_put_answer(struct buf *b, const struct msg_answer *m)
{
	auto_msg_out struct msg_out o;
	struct json_put *p = msg_begin(&o);

	json_put_u64(p, "id", m->id);
	json_put_num(p, "err", -m->err);
	json_put_str(p, "note", m->note);
	if (m->nflows) {
		json_put_open(p, "flows", '[');
		for (size_t i = 0; i < m->nflows && i < MSG_FLOWS_MAX; i++)
			msg_flow_put(p, NULL, &m->flows[i]);
		json_put_close(p, ']');
	}
	return msg_end(&o, b, FRAME_ANSWER);
}

int msg_get_answer(const struct frame *fr, struct msg_answer *ret)
{
	auto_cleanup(cJSON_Deletep) cJSON *o = NULL;
	struct msg_answer m = {};
	const cJSON *x;
	int err = msg_tree(fr, &o);

	m.id = json_get_u64(o, "id", &err);
	m.err = -(int)json_get_num(o, "err", 0, 4095, &err);
	json_get_chars(o, "note", m.note, sizeof(m.note), &err);
	x = json_get_list(o, "flows", MSG_FLOWS_MAX, sizeof(*m.flows), (void **)&m.flows, &m.nflows, &err);
	for (size_t i = 0; x && !err; x = x->next, i++)
		msg_flow_get(x, &m.flows[i], &err);
	if (err)
		msg_answer_done(&m);
	else
		*ret = m;
	return err;
}
