/* SPDX-License-Identifier: Apache-2.0 */
/* msg.c - bodies of the opening, of the state's frames, and of receipts. */
#include "wire/msg_priv.h"

static void held_put(struct json_put *p, const struct msg_held *h)
{
	json_put_open(p, "held", '{');
	json_put_u64(p, "epoch", h->epoch);
	json_put_u64(p, "revision", h->revision);
	json_put_u64(p, "digest", h->digest);
	json_put_u64(p, "count", h->count);
	json_put_close(p, '}');
}

int msg_put_hello(struct buf *b, const struct msg_hello *m)
{
	auto_msg_out struct msg_out o;
	struct json_put *p = msg_begin(&o);

	json_put_num(p, "min", m->min);
	json_put_num(p, "max", m->max);
	json_put_str(p, "node", m->node);
	json_put_str(p, "software", m->software);
	json_put_u64(p, "instance", m->instance);
	held_put(p, &m->held);
	json_put_u64(p, "generation", m->generation);
	json_put_num(p, "entriesMax", m->entries_max);
	json_put_str(p, "capabilities", m->capabilities);
	return msg_end(&o, b, FRAME_HELLO);
}

int msg_get_hello(const struct frame *fr, struct msg_hello *ret)
{
	auto_cleanup(cJSON_Deletep) cJSON *o = NULL;
	struct msg_hello m = {};
	const cJSON *h;
	int err = msg_tree(fr, &o);

	h = json_get(o, "held");
	m.min = (unsigned)json_get_num(o, "min", 1, 255, &err);
	m.max = (unsigned)json_get_num(o, "max", 1, 255, &err);
	json_get_chars(o, "node", m.node, sizeof(m.node), &err);
	json_get_chars(o, "software", m.software, sizeof(m.software), &err);
	m.instance = json_get_u64(o, "instance", &err);
	m.held.epoch = json_get_u64(h, "epoch", &err);
	m.held.revision = json_get_u64(h, "revision", &err);
	m.held.digest = json_get_u64(h, "digest", &err);
	m.held.count = json_get_u64(h, "count", &err);
	m.generation = json_get_u64(o, "generation", &err);
	m.entries_max = (uint32_t)json_get_num(o, "entriesMax", 0, UINT32_MAX, &err);
	json_get_chars(o, "capabilities", m.capabilities, sizeof(m.capabilities), &err);
	if (!err && (m.min > m.max || !*m.node))
		err = -EBADMSG;
	if (!err)
		*ret = m;
	return err;
}

int msg_put_welcome(struct buf *b, const struct msg_welcome *m)
{
	auto_msg_out struct msg_out o;
	struct json_put *p = msg_begin(&o);

	json_put_num(p, "version", m->version);
	json_put_str(p, "controller", m->controller);
	json_put_u64(p, "instance", m->instance);
	json_put_num(p, "pingMs", m->ping_ms);
	json_put_num(p, "idleMs", m->idle_ms);
	return msg_end(&o, b, FRAME_WELCOME);
}

int msg_get_welcome(const struct frame *fr, struct msg_welcome *ret)
{
	auto_cleanup(cJSON_Deletep) cJSON *o = NULL;
	struct msg_welcome m = {};
	int err = msg_tree(fr, &o);

	m.version = (unsigned)json_get_num(o, "version", 1, 255, &err);
	json_get_chars(o, "controller", m.controller, sizeof(m.controller), &err);
	m.instance = json_get_u64(o, "instance", &err);
	m.ping_ms = (uint32_t)json_get_num(o, "pingMs", 0, 3600000, &err);
	m.idle_ms = (uint32_t)json_get_num(o, "idleMs", 0, 3600000, &err);
	if (!err)
		*ret = m;
	return err;
}

int msg_put_refuse(struct buf *b, const struct msg_refuse *m)
{
	auto_msg_out struct msg_out o;
	struct json_put *p = msg_begin(&o);

	json_put_str(p, "code", m->code);
	json_put_str(p, "text", m->text);
	json_put_num(p, "retryMs", m->retry_ms);
	return msg_end(&o, b, FRAME_REFUSE);
}

int msg_get_refuse(const struct frame *fr, struct msg_refuse *ret)
{
	auto_cleanup(cJSON_Deletep) cJSON *o = NULL;
	struct msg_refuse m = {};
	int err = msg_tree(fr, &o);

	json_get_chars(o, "code", m.code, sizeof(m.code), &err);
	json_get_chars(o, "text", m.text, sizeof(m.text), &err);
	m.retry_ms = (uint32_t)json_get_num(o, "retryMs", 0, 86400000, &err);
	if (!err)
		*ret = m;
	return err;
}

/* ---- enrolment ------------------------------------------------------------------------------- */

#define PEM_MAX 16384u

static void get_text(const cJSON *o, const char *key, char **to, int *err)
{
	json_get_str(o, key, to, err);
	if (!*err && (!*to || strlen(*to) > PEM_MAX))
		*err = -EBADMSG;
}

void msg_enrol_done(struct msg_enrol *m)
{
	free(m->token);
	free(m->csr);
	*m = (struct msg_enrol){};
}

int msg_put_enrol(struct buf *b, const struct msg_enrol *m)
{
	auto_msg_out struct msg_out o;
	struct json_put *p = msg_begin(&o);

	json_put_str(p, "node", m->node);
	json_put_str(p, "token", m->token);
	json_put_str(p, "csr", m->csr);
	return msg_end(&o, b, FRAME_ENROL);
}

int msg_get_enrol(const struct frame *fr, struct msg_enrol *ret)
{
	auto_cleanup(cJSON_Deletep) cJSON *o = NULL;
	struct msg_enrol m = {};
	int err = msg_tree(fr, &o);

	json_get_chars(o, "node", m.node, sizeof(m.node), &err);
	get_text(o, "token", &m.token, &err);
	get_text(o, "csr", &m.csr, &err);
	if (err)
		msg_enrol_done(&m);
	else
		*ret = m;
	return err;
}

void msg_cert_done(struct msg_cert *m)
{
	free(m->cert);
	m->cert = NULL;
}

int msg_put_cert(struct buf *b, const struct msg_cert *m)
{
	auto_msg_out struct msg_out o;
	struct json_put *p = msg_begin(&o);

	json_put_str(p, "cert", m->cert);
	return msg_end(&o, b, FRAME_CERT);
}

int msg_get_cert(const struct frame *fr, struct msg_cert *ret)
{
	auto_cleanup(cJSON_Deletep) cJSON *o = NULL;
	struct msg_cert m = {};
	int err = msg_tree(fr, &o);

	get_text(o, "cert", &m.cert, &err);
	if (err)
		msg_cert_done(&m);
	else
		*ret = m;
	return err;
}

/* ---- state and receipts ---------------------------------------------------------------------- */

int msg_put_sync(struct buf *b, const struct msg_sync *m)
{
	auto_msg_out struct msg_out o;
	struct json_put *p = msg_begin(&o);

	json_put_true(p, "snapshot", m->snapshot);
	json_put_u64(p, "epoch", m->epoch);
	json_put_u64(p, "revision", m->revision);
	json_put_u64(p, "base", m->base);
	json_put_u64(p, "generation", m->generation);
	json_put_num(p, "flows", m->flows);
	return msg_end(&o, b, FRAME_SYNC);
}

int msg_get_sync(const struct frame *fr, struct msg_sync *ret)
{
	auto_cleanup(cJSON_Deletep) cJSON *o = NULL;
	struct msg_sync m = {};
	int err = msg_tree(fr, &o);

	m.snapshot = json_get_true(o, "snapshot", &err);
	m.epoch = json_get_u64(o, "epoch", &err);
	m.revision = json_get_u64(o, "revision", &err);
	m.base = json_get_u64(o, "base", &err);
	m.generation = json_get_u64(o, "generation", &err);
	m.flows = (enum policy_flows)json_get_num(o, "flows", 0, POLICY_KEEP, &err);
	if (!err && (!m.epoch || !m.revision))
		err = -EBADMSG;
	if (!err)
		*ret = m;
	return err;
}

int msg_put_commit(struct buf *b, const struct msg_commit *m)
{
	auto_msg_out struct msg_out o;
	struct json_put *p = msg_begin(&o);

	json_put_u64(p, "revision", m->revision);
	json_put_u64(p, "digest", m->digest);
	json_put_u64(p, "count", m->count);
	return msg_end(&o, b, FRAME_COMMIT);
}

int msg_get_commit(const struct frame *fr, struct msg_commit *ret)
{
	auto_cleanup(cJSON_Deletep) cJSON *o = NULL;
	struct msg_commit m = {};
	int err = msg_tree(fr, &o);

	m.revision = json_get_u64(o, "revision", &err);
	m.digest = json_get_u64(o, "digest", &err);
	m.count = json_get_u64(o, "count", &err);
	if (!err)
		*ret = m;
	return err;
}

int msg_put_receipt(struct buf *b, const struct msg_receipt *m)
{
	const struct node_receipt *r = &m->receipt;
	auto_msg_out struct msg_out o;
	struct json_put *p = msg_begin(&o);

	json_put_u64(p, "revision", m->revision);
	json_put_str(p, "node", r->node);
	json_put_true(p, "applied", r->applied);
	json_put_u64(p, "generation", r->generation);
	json_put_num(p, "afterUs", r->after_us);
	json_put_num(p, "entries", r->entries);
	json_put_num(p, "entriesMax", r->entries_max);
	json_put_num(p, "rows", r->rows);
	json_put_num(p, "groups", r->groups);
	json_put_num(p, "verdicts", r->verdicts);
	json_put_num(p, "flowsCut", r->flows_cut);
	json_put_str(p, "note", r->note);
	return msg_end(&o, b, FRAME_RECEIPT);
}

static uint32_t get_u32(const cJSON *o, const char *key, int *err)
{
	return (uint32_t)json_get_num(o, key, 0, UINT32_MAX, err);
}

int msg_get_receipt(const struct frame *fr, struct msg_receipt *ret)
{
	auto_cleanup(cJSON_Deletep) cJSON *o = NULL;
	struct msg_receipt m = {};
	struct node_receipt *r = &m.receipt;
	int err = msg_tree(fr, &o);

	m.revision = json_get_u64(o, "revision", &err);
	json_get_chars(o, "node", r->node, sizeof(r->node), &err);
	r->applied = json_get_true(o, "applied", &err);
	r->generation = json_get_u64(o, "generation", &err);
	r->after_us = get_u32(o, "afterUs", &err);
	r->entries = get_u32(o, "entries", &err);
	r->entries_max = get_u32(o, "entriesMax", &err);
	r->rows = get_u32(o, "rows", &err);
	r->groups = get_u32(o, "groups", &err);
	r->verdicts = get_u32(o, "verdicts", &err);
	r->flows_cut = get_u32(o, "flowsCut", &err);
	json_get_chars(o, "note", r->note, sizeof(r->note), &err);
	if (!err)
		*ret = m;
	return err;
}
