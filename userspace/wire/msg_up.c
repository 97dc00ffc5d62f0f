/* SPDX-License-Identifier: Apache-2.0 */
/* msg_up.c - bodies of what nodes report with a number: accesses, epochs, notes, addresses. */
#include "wire/msg_priv.h"

#include "policy/model.h"

void msg_addr_put(struct json_put *p, const char *key, const struct addr *a)
{
	char text[ADDR_STR_MAX];

	if (!addr_is_zero(a))
		json_put_member(p, key, addr_str(a, text));
}

void msg_addr_get(const cJSON *o, const char *key, struct addr *ret, int *err)
{
	char text[ADDR_STR_MAX] = "";

	json_get_chars(o, key, text, sizeof(text), err);
	if (!*err && *text && addr_parse(text, ret) < 0)
		*err = -EBADMSG;
}

/* 16 bytes that are no address of their own as far as anybody here knows: as hexadecimal digits. */
static void put_bytes(struct json_put *p, const char *key, const uint8_t *v, size_t n)
{
	static const char hex[] = "0123456789abcdef";
	char text[65];
	bool any = false;

	for (size_t i = 0; i < n; i++) {
		text[2 * i] = hex[v[i] >> 4];
		text[2 * i + 1] = hex[v[i] & 15];
		any = any || v[i];
	}
	text[2 * n] = 0;
	json_put_str(p, key, any ? text : NULL);
}

static void get_bytes(const cJSON *o, const char *key, uint8_t *to, size_t n, int *err)
{
	static const char hex[] = "0123456789abcdef";
	char text[65] = "";

	json_get_chars(o, key, text, 2 * n + 1, err);
	if (*err || !*text)
		return;
	for (size_t i = 0; i < n; i++) {
		const char *hi = text[2 * i] ? strchr(hex, text[2 * i]) : NULL;
		const char *lo = hi && text[2 * i + 1] ? strchr(hex, text[2 * i + 1]) : NULL;

		if (!lo) {
			*err = -EBADMSG;
			return;
		}
		to[i] = (uint8_t)((hi - hex) << 4 | (lo - hex));
	}
}

void msg_verdict_put(struct json_put *p, const char *key, const struct cw_verdict *v)
{
	json_put_open(p, key, '{');
	json_put_num(p, "rule", v->rule);
	json_put_num(p, "action", v->action);
	json_put_num(p, "tier", v->tier);
	json_put_num(p, "flags", v->flags);
	json_put_num(p, "advAction", v->adv_action);
	json_put_num(p, "advRule", v->adv_rule);
	json_put_num(p, "advTier", v->adv_tier);
	json_put_close(p, '}');
}

void msg_verdict_get(const cJSON *o, struct cw_verdict *ret, int *err)
{
	ret->rule = (uint32_t)json_get_num(o, "rule", 0, UINT32_MAX, err);
	ret->action = (uint8_t)json_get_num(o, "action", 0, CW_ACT_COUNT - 1, err);
	ret->tier = (uint8_t)json_get_num(o, "tier", 0, CW_TIER_COUNT - 1, err);
	ret->flags = (uint8_t)json_get_num(o, "flags", 0, 255, err);
	ret->adv_action = (uint8_t)json_get_num(o, "advAction", 0, CW_ACT_COUNT - 1, err);
	ret->adv_rule = (uint32_t)json_get_num(o, "advRule", 0, UINT32_MAX, err);
	ret->adv_tier = (uint8_t)json_get_num(o, "advTier", 0, CW_TIER_COUNT - 1, err);
}

/* A later version may have reasons of its own: what it tells is worth more than why. */
enum cw_reason msg_reason_get(const cJSON *o, int *err)
{
	int64_t r = json_get_num(o, "reason", 0, 255, err);

	return r < CW_R_COUNT ? (enum cw_reason)r : CW_R_NONE;
}

/* ---- accesses -------------------------------------------------------------------------------- */

static void ref_put(struct json_put *p, const char *key, const struct workload_ref *w)
{
	if (!given(w->ns) && !given(w->name))
		return;
	json_put_open(p, key, '{');
	json_put_str(p, "ns", w->ns);
	json_put_str(p, "name", w->name);
	json_put_str(p, "uid", w->uid);
	json_put_close(p, '}');
}

static void ref_get(const cJSON *o, const char *key, struct workload_ref *w, int *err)
{
	const cJSON *v = json_get(o, key);

	json_get_str(v, "ns", &w->ns, err);
	json_get_str(v, "name", &w->name, err);
	json_get_str(v, "uid", &w->uid, err);
}

static void key_put(struct json_put *p, const struct cw_access_key *k)
{
	json_put_open(p, "key", '{');
	json_put_num(p, "src", k->src);
	json_put_num(p, "dst", k->dst);
	put_bytes(p, "addr", k->addr, sizeof(k->addr));
	json_put_num(p, "port", k->port);
	json_put_num(p, "proto", k->proto);
	json_put_num(p, "family", k->family);
	json_put_num(p, "srcWl", k->src_wl);
	json_put_num(p, "dstWl", k->dst_wl);
	json_put_close(p, '}');
}

static void key_get(const cJSON *o, struct cw_access_key *k, int *err)
{
	const cJSON *v = json_get(o, "key");

	k->src = (uint32_t)json_get_num(v, "src", 0, UINT32_MAX, err);
	k->dst = (uint32_t)json_get_num(v, "dst", 0, UINT32_MAX, err);
	get_bytes(v, "addr", k->addr, sizeof(k->addr), err);
	k->port = (uint16_t)json_get_num(v, "port", 0, 65535, err);
	k->proto = (uint8_t)json_get_num(v, "proto", 0, 255, err);
	k->family = (uint8_t)json_get_num(v, "family", 0, 255, err);
	k->src_wl = (uint16_t)json_get_num(v, "srcWl", 0, 65535, err);
	k->dst_wl = (uint16_t)json_get_num(v, "dstWl", 0, 65535, err);
}

static void side_put(struct json_put *p, const struct node_access *a, enum cw_side s)
{
	json_put_open(p, s == CW_EGRESS ? "egress" : "ingress", '{');
	json_put_open(p, "cnt", '[');
	for (int k = 0; k < CW_OUT_COUNT; k++)
		json_put_u64_item(p, a->cnt[s][k]);
	json_put_close(p, ']');
	json_put_num(p, "outcome", a->outcome[s]);
	json_put_num(p, "reason", a->reason[s]);
	msg_verdict_put(p, "verdict", &a->verdict[s]);
	json_put_close(p, '}');
}

static void side_get(const cJSON *o, struct node_access *a, enum cw_side s, int *err)
{
	const cJSON *v = json_get(o, s == CW_EGRESS ? "egress" : "ingress"), *x;
	size_t n = 0;

	/* Outcomes that this build does not know yet are left out. */
	x = json_get_items(v, "cnt", 64, &n, err);
	for (size_t k = 0; x && !*err && k < CW_OUT_COUNT; x = x->next, k++)
		a->cnt[s][k] = json_item_u64(x, err);
	a->outcome[s] = (enum cw_outcome)json_get_num(v, "outcome", 0, CW_OUT_COUNT - 1, err);
	a->reason[s] = msg_reason_get(v, err);
	msg_verdict_get(json_get(v, "verdict"), &a->verdict[s], err);
}

static void access_put(struct json_put *p, const struct node_access *a)
{
	json_put_open(p, NULL, '{');
	ref_put(p, "srcWl", &a->src_wl);
	ref_put(p, "dstWl", &a->dst_wl);
	json_put_true(p, "dstService", a->dst_service);
	json_put_num(p, "srcReserved", a->src_reserved);
	json_put_num(p, "dstReserved", a->dst_reserved);
	msg_addr_put(p, "srcAddr", &a->src_addr);
	msg_addr_put(p, "dstAddr", &a->dst_addr);
	json_put_str(p, "dstFqdn", a->dst_fqdn);
	json_put_num(p, "proto", a->proto);
	json_put_num(p, "family", a->family);
	json_put_num(p, "port", a->port);
	json_put_u64(p, "instance", a->instance);
	json_put_num(p, "epoch", a->epoch);
	key_put(p, &a->key);
	json_put_u64(p, "flows", a->flows);
	json_put_u64(p, "answered", a->answered);
	json_put_u64(p, "packets", a->packets);
	json_put_u64(p, "bytes", a->bytes);
	json_put_u64(p, "guessed", a->guessed);
	side_put(p, a, CW_EGRESS);
	side_put(p, a, CW_INGRESS);
	json_put_i64(p, "first", a->first_ns);
	json_put_i64(p, "last", a->last_ns);
	json_put_close(p, '}');
}

static void access_get(const cJSON *o, struct node_access *a, int *err)
{
	if (!*err && !cJSON_IsObject(o))
		*err = -EBADMSG;
	ref_get(o, "srcWl", &a->src_wl, err);
	ref_get(o, "dstWl", &a->dst_wl, err);
	a->dst_service = json_get_true(o, "dstService", err);
	a->src_reserved = (uint32_t)json_get_num(o, "srcReserved", 0, CW_ID_FIRST_USER - 1, err);
	a->dst_reserved = (uint32_t)json_get_num(o, "dstReserved", 0, CW_ID_FIRST_USER - 1, err);
	msg_addr_get(o, "srcAddr", &a->src_addr, err);
	msg_addr_get(o, "dstAddr", &a->dst_addr, err);
	json_get_str(o, "dstFqdn", &a->dst_fqdn, err);
	a->proto = (uint8_t)json_get_num(o, "proto", 0, 255, err);
	a->family = (uint8_t)json_get_num(o, "family", 0, 255, err);
	a->port = (uint16_t)json_get_num(o, "port", 0, 65535, err);
	a->instance = json_get_u64(o, "instance", err);
	a->epoch = (uint32_t)json_get_num(o, "epoch", 0, UINT32_MAX, err);
	key_get(o, &a->key, err);
	a->flows = json_get_u64(o, "flows", err);
	a->answered = json_get_u64(o, "answered", err);
	a->packets = json_get_u64(o, "packets", err);
	a->bytes = json_get_u64(o, "bytes", err);
	a->guessed = json_get_u64(o, "guessed", err);
	side_get(o, a, CW_EGRESS, err);
	side_get(o, a, CW_INGRESS, err);
	a->first_ns = json_get_i64(o, "first", err);
	a->last_ns = json_get_i64(o, "last", err);
}

static void access_done(struct node_access *a)
{
	free(a->src_wl.ns);
	free(a->src_wl.name);
	free(a->src_wl.uid);
	free(a->dst_wl.ns);
	free(a->dst_wl.name);
	free(a->dst_wl.uid);
	free(a->dst_fqdn);
}

void msg_batch_done(struct msg_batch *m)
{
	for (size_t i = 0; i < m->naccesses; i++)
		access_done(&m->accesses[i]);
	free(m->accesses);
	free(m->folds);
	*m = (struct msg_batch){};
}

int msg_put_batch(struct buf *b, const struct msg_batch *m)
{
	auto_msg_out struct msg_out o;
	struct json_put *p = msg_begin(&o);

	json_put_u64(p, "seq", m->seq);
	if (m->naccesses) {
		json_put_open(p, "accesses", '[');
		for (size_t i = 0; i < m->naccesses; i++)
			access_put(p, &m->accesses[i]);
		json_put_close(p, ']');
	}
	if (m->nfolds) {
		json_put_open(p, "folds", '[');
		for (size_t i = 0; i < m->nfolds; i++) {
			const struct node_fold *f = &m->folds[i];

			json_put_open(p, NULL, '{');
			json_put_str(p, "ns", f->ns);
			json_put_str(p, "name", f->name);
			json_put_u64(p, "instance", f->instance);
			json_put_u64(p, "pairFlows", f->pair_flows);
			json_put_u64(p, "foldedFlows", f->folded_flows);
			json_put_u64(p, "foldedDrops", f->folded_drops);
			json_put_u64(p, "lost", f->lost);
			json_put_close(p, '}');
		}
		json_put_close(p, ']');
	}
	return msg_end(&o, b, FRAME_BATCH);
}

int msg_get_batch(const struct frame *fr, struct msg_batch *ret)
{
	auto_cleanup(cJSON_Deletep) cJSON *o = NULL;
	struct msg_batch m = {};
	const cJSON *x;
	int err = msg_tree(fr, &o);

	m.seq = json_get_u64(o, "seq", &err);
	x = json_get_list(o, "accesses", MSG_BATCH_MAX, sizeof(*m.accesses), (void **)&m.accesses, &m.naccesses, &err);
	for (size_t i = 0; x && !err; x = x->next, i++)
		access_get(x, &m.accesses[i], &err);
	x = json_get_list(o, "folds", MSG_BATCH_MAX, sizeof(*m.folds), (void **)&m.folds, &m.nfolds, &err);
	for (size_t i = 0; x && !err; x = x->next, i++) {
		struct node_fold *f = &m.folds[i];

		if (!cJSON_IsObject(x))
			err = -EBADMSG;
		json_get_chars(x, "ns", f->ns, sizeof(f->ns), &err);
		json_get_chars(x, "name", f->name, sizeof(f->name), &err);
		f->instance = json_get_u64(x, "instance", &err);
		f->pair_flows = json_get_u64(x, "pairFlows", &err);
		f->folded_flows = json_get_u64(x, "foldedFlows", &err);
		f->folded_drops = json_get_u64(x, "foldedDrops", &err);
		f->lost = json_get_u64(x, "lost", &err);
	}
	if (err)
		msg_batch_done(&m);
	else
		*ret = m;
	return err;
}

/* ---- the rest with numbers ------------------------------------------------------------------- */

int msg_put_epoch_done(struct buf *b, const struct msg_epoch_done *m)
{
	auto_msg_out struct msg_out o;
	struct json_put *p = msg_begin(&o);

	json_put_u64(p, "seq", m->seq);
	json_put_u64(p, "instance", m->instance);
	json_put_num(p, "epoch", m->epoch);
	return msg_end(&o, b, FRAME_EPOCH_DONE);
}

int msg_get_epoch_done(const struct frame *fr, struct msg_epoch_done *ret)
{
	auto_cleanup(cJSON_Deletep) cJSON *o = NULL;
	struct msg_epoch_done m = {};
	int err = msg_tree(fr, &o);

	m.seq = json_get_u64(o, "seq", &err);
	m.instance = json_get_u64(o, "instance", &err);
	m.epoch = (uint32_t)json_get_num(o, "epoch", 0, UINT32_MAX, &err);
	if (!err)
		*ret = m;
	return err;
}

void msg_note_done(struct msg_note *m)
{
	free(m->reason);
	free(m->workload);
	free(m->text);
	*m = (struct msg_note){};
}

int msg_put_note(struct buf *b, const struct msg_note *m)
{
	auto_msg_out struct msg_out o;
	struct json_put *p = msg_begin(&o);

	json_put_u64(p, "seq", m->seq);
	json_put_str(p, "reason", m->reason);
	json_put_str(p, "workload", m->workload);
	json_put_str(p, "text", m->text);
	return msg_end(&o, b, FRAME_NOTE);
}

int msg_get_note(const struct frame *fr, struct msg_note *ret)
{
	auto_cleanup(cJSON_Deletep) cJSON *o = NULL;
	struct msg_note m = {};
	int err = msg_tree(fr, &o);

	m.seq = json_get_u64(o, "seq", &err);
	json_get_str(o, "reason", &m.reason, &err);
	json_get_str(o, "workload", &m.workload, &err);
	json_get_str(o, "text", &m.text, &err);
	if (!err && !given(m.reason))
		err = -EBADMSG;
	if (err)
		msg_note_done(&m);
	else
		*ret = m;
	return err;
}

void msg_addresses_done(struct msg_addresses *m)
{
	free(m->ns);
	free(m->name);
	free(m->addrs);
	*m = (struct msg_addresses){};
}

static void addrs_put(struct json_put *p, const struct addr *a, size_t n)
{
	char text[ADDR_STR_MAX];

	json_put_open(p, "addrs", '[');
	for (size_t i = 0; i < n && i < MSG_ADDRS_MAX; i++)
		json_put_item(p, addr_str(&a[i], text));
	json_put_close(p, ']');
}

static void addrs_get(const cJSON *o, struct addr **to, size_t *n, int *err)
{
	const cJSON *x = json_get_list(o, "addrs", MSG_ADDRS_MAX, sizeof(**to), (void **)to, n, err);

	for (size_t i = 0; x && !*err; x = x->next, i++)
		if (!cJSON_IsString(x) || addr_parse(x->valuestring, &(*to)[i]) < 0)
			*err = -EBADMSG;
}

int msg_put_addresses(struct buf *b, const struct msg_addresses *m)
{
	auto_msg_out struct msg_out o;
	struct json_put *p = msg_begin(&o);

	json_put_u64(p, "seq", m->seq);
	json_put_str(p, "ns", m->ns);
	json_put_str(p, "name", m->name);
	addrs_put(p, m->addrs, m->naddrs);
	return msg_end(&o, b, FRAME_ADDRESSES);
}

int msg_get_addresses(const struct frame *fr, struct msg_addresses *ret)
{
	auto_cleanup(cJSON_Deletep) cJSON *o = NULL;
	struct msg_addresses m = {};
	int err = msg_tree(fr, &o);

	m.seq = json_get_u64(o, "seq", &err);
	json_get_str(o, "ns", &m.ns, &err);
	json_get_str(o, "name", &m.name, &err);
	addrs_get(o, &m.addrs, &m.naddrs, &err);
	if (!err && (!given(m.ns) || !given(m.name)))
		err = -EBADMSG;
	if (err)
		msg_addresses_done(&m);
	else
		*ret = m;
	return err;
}

void msg_node_addresses_done(struct msg_node_addresses *m)
{
	free(m->addrs);
	*m = (struct msg_node_addresses){};
}

int msg_put_node_addresses(struct buf *b, const struct msg_node_addresses *m)
{
	auto_msg_out struct msg_out o;

	addrs_put(msg_begin(&o), m->addrs, m->naddrs);
	return msg_end(&o, b, FRAME_NODE_ADDRESSES);
}

int msg_get_node_addresses(const struct frame *fr, struct msg_node_addresses *ret)
{
	auto_cleanup(cJSON_Deletep) cJSON *o = NULL;
	struct msg_node_addresses m = {};
	int err = msg_tree(fr, &o);

	/* Without the list it says nothing, which is not the same as that there are none. */
	if (!err && !json_get(o, "addrs"))
		err = -EBADMSG;
	addrs_get(o, &m.addrs, &m.naddrs, &err);
	if (err)
		msg_node_addresses_done(&m);
	else
		*ret = m;
	return err;
}

int msg_put_ack(struct buf *b, uint64_t seq)
{
	auto_msg_out struct msg_out o;
	struct json_put *p = msg_begin(&o);

	json_put_u64(p, "seq", seq);
	return msg_end(&o, b, FRAME_ACK);
}

int msg_get_ack(const struct frame *fr, uint64_t *ret_seq)
{
	auto_cleanup(cJSON_Deletep) cJSON *o = NULL;
	int err = msg_tree(fr, &o);
	uint64_t seq = json_get_u64(o, "seq", &err);

	if (!err)
		*ret_seq = seq;
	return err;
}
