/* SPDX-License-Identifier: Apache-2.0 */
/*
 * keys.c - whom this agent is by certificate: files that somebody keeps up to date, or one that is
 * asked for with the service account token and renewed after two thirds of its life.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define LOG_UNIT "link"
#include "base/cleanup.h"
#include "base/file.h"
#include "base/log.h"
#include "link/priv.h"
#include "wire/ca.h"

#define TOKEN_MAX 16384u
#define RENEW_RETRY_MS 60000u

static void look(const char *path, struct seen_file *ret)
{
	struct stat st;

	memset(ret, 0, sizeof(*ret));
	if (!path || stat(path, &st))
		return;
	ret->mtime = st.st_mtim;
	ret->size = st.st_size;
	ret->ino = st.st_ino;
}

static int load(struct uplink *u, struct fail_list *f)
{
	const int64_t now_s = uplink_now_ns() / 1000000000;
	const struct wire_identity *who;
	struct wire_keys *k = NULL;
	auto_free char *pem = NULL, *ca = NULL;
	struct cert_info info;
	size_t n, n_ca;
	int r;

	r = read_all_path(u->cert, CERT_PEM_MAX, &pem, &n);
	if (r)
		return r == -ENOENT ? r : fail_add(f, r, "cert.read", u->cert, NULL, NULL, "cannot read the certificate: %s",
						    strerror(-r));
	r = cert_read(pem, &info);
	/* One that was issued by an authority that is no more is as good as none. */
	if (u->issued && !read_all_path(u->ca, CERT_PEM_MAX, &ca, &n_ca) && !cert_is_of(pem, ca, now_s))
		r = -ENOENT;
	explicit_bzero(pem, n); /* one of ours holds its key too */
	r = r ?: wire_keys_load(u->cert, u->key, u->ca, false, f, &k);
	if (r == -ENOENT && u->issued) {
		wire_keys_unref(u->keys);
		u->keys = NULL;
		u->until_s = 0;
	}
	if (r)
		return f->n || r == -ENOENT ? r : fail_add(f, r, "cert.read", u->cert, "a certificate for cellwall:node:NAME", NULL,
					   "the certificate cannot be used");
	who = wire_keys_identity(k);
	if (who->role != WIRE_NODE || strcmp(who->name, u->name))
		r = fail_add(f, -EINVAL, "cert.name", u->cert, u->name, NULL, "the certificate is for %s, not for this node",
			     who->role == WIRE_NODE ? who->name : "a controller");
	else if (info.until_s <= now_s)
		r = u->issued ? -ENOENT : fail_add(f, -EKEYEXPIRED, "cert.expired", u->cert, "a certificate that holds", NULL,
						   "the certificate has expired");
	if (r) {
		wire_keys_unref(k);
		return r;
	}
	wire_keys_unref(u->keys);
	u->keys = k;
	u->from_s = info.from_s;
	u->until_s = info.until_s;
	return 0;
}

int keys_read(struct uplink *u, struct fail_list *f)
{
	const char *const paths[] = { u->cert, u->key, u->ca };
	struct seen_file now[3];
	int r;

	for (int i = 0; i < 3; i++)
		look(paths[i], &now[i]);
	if (u->keys && u->until_s * 1000000000ll <= uplink_now_ns()) {
		wire_keys_unref(u->keys);
		u->keys = NULL;
		u->until_s = 0;
	}
	if (u->keys && !memcmp(now, u->seen, sizeof(now)))
		return 0;
	r = load(u, f);
	/* Files that are being replaced are looked at again; what was read before goes on. */
	if (!r)
		memcpy(u->seen, now, sizeof(now));
	return r;
}

/* ---- asking for one ------------------------------------------------------------------------------ */

static int read_token(struct uplink *u, char **ret)
{
	size_t n;
	int r = u->token ? read_all_path(u->token, TOKEN_MAX, ret, &n) : -ENOENT;

	if (r)
		return r;
	(*ret)[strcspn(*ret, " \t\r\n")] = 0;
	return 0;
}

static void on_ready(void *arg, struct wire_conn *c)
{
	struct uplink *u = arg;
	auto_cleanup(msg_enrol_done) struct msg_enrol m = { };
	auto_cleanup(buf_done) struct buf b = { };
	int r;

	buf_init(&b, FRAME_FIRST_MAX);
	snprintf(m.node, sizeof(m.node), "%s", u->name);
	cert_key_free(u->enrol_key);
	u->enrol_key = NULL;
	r = read_token(u, &m.token);
	if (r)
		connect_problem(u, "cannot read the token %s: %s", u->token ?: "(none is configured)", strerror(-r));
	u->told = u->told || r;
	r = r ?: cert_key_new(&u->enrol_key);
	r = r ?: cert_request_new(u->enrol_key, &m.csr);
	r = r ?: msg_put_enrol(&b, &m);
	r = r ?: wire_conn_send_buf(c, &b);
	if (r)
		wire_conn_close(c, r, "cannot ask for a certificate");
}

static int take_cert(struct uplink *u, const char *pem)
{
	auto_cleanup(buf_done) struct buf b = { };
	struct cert_info info;
	int r;

	if (!u->enrol_key || cert_read(pem, &info) || !cert_key_fits(pem, u->enrol_key) ||
	    info.name.role != WIRE_NODE || strcmp(info.name.name, u->name))
		return -EBADMSG;
	/* Both in one file: there is no moment at which they do not belong together. */
	buf_init(&b, 2 * CERT_PEM_MAX);
	buf_adds(&b, pem);
	buf_adds(&b, "\n");
	buf_adds(&b, u->enrol_key);
	r = b.err ?: write_file_atomic(u->cert, b.data, b.len, 0600);
	if (b.data)
		explicit_bzero(b.data, b.len);
	if (r) {
		connect_problem(u, "cannot keep the certificate in %s: %s", u->cert, strerror(-r));
		u->told = true;
		return r;
	}
	log_info("certificate issued; node='%s' hours=%lld", u->name, (long long)(info.until_s - info.from_s) / 3600);
	return 0;
}

static int on_frame(void *arg, struct wire_conn *c, const struct frame *fr)
{
	struct uplink *u = arg;
	struct msg_refuse no;
	struct msg_cert m = { };
	int r;

	if (fr->type == FRAME_REFUSE && !msg_get_refuse(fr, &no)) {
		u->retry_ms = no.retry_ms > 60000 ? 60000 : no.retry_ms;
		connect_problem(u, "controller %s issues no certificate (%s): %s", u->address, no.code, no.text);
		u->told = true;
		return -EACCES;
	}
	if (fr->type != FRAME_CERT)
		return 0;
	r = msg_get_cert(fr, &m);
	r = r ?: take_cert(u, m.cert);
	msg_cert_done(&m);
	if (r)
		return r;
	u->enrolled = true;
	wire_conn_close(c, 0, "done");
	return 0;
}

static void on_closed(void *arg, struct wire_conn *c, int err, const char *why)
{
	struct uplink *u = arg;
	auto_cleanup(fail_list_done) struct fail_list f = { };
	bool done = u->enrolled;

	(void)c;
	(void)err;
	u->enrol = NULL;
	cert_key_free(u->enrol_key);
	u->enrol_key = NULL;
	if (u->closing) {
		connect_closed_check(u);
		return;
	}
	if (done && keys_read(u, &f))
		connect_problem(u, "the certificate that was issued cannot be used: %s", f.n ? f.items[0].message : "");
	if (!done && !u->told)
		connect_problem(u, "no certificate from controller %s: %s", u->address, why);
	u->enrol_at = uv_now(u->loop) + RENEW_RETRY_MS;
	if (u->state != UP_ENROLLING)
		return; /* a renewal beside a connection that stands */
	if (done && u->keys)
		connect_soon(u, 0);
	else
		connect_failed(u);
}

static const struct wire_conn_ops enrol_ops = { .ready = on_ready, .frame = on_frame, .closed = on_closed };

int keys_enrol(struct uplink *u)
{
	auto_cleanup(fail_list_done) struct fail_list f = { };
	struct wire_conn_config cfg = { .loop = u->loop, .ops = &enrol_ops, .arg = u };
	int r;

	if (u->enrol)
		return -EALREADY;
	r = wire_keys_load(NULL, NULL, u->ca, false, &f, &cfg.keys);
	if (r) {
		connect_problem(u, "cannot use the authority %s: %s", u->ca, f.n ? f.items[0].message : strerror(-r));
		return r;
	}
	u->enrolled = false;
	r = wire_conn_connect(&cfg, (const struct sockaddr *)&u->peer, u->peer_host, &u->enrol);
	wire_keys_unref(cfg.keys);
	if (r)
		connect_problem(u, "cannot connect to controller %s: %s", u->address, strerror(-r));
	return r;
}

void keys_tick(struct uplink *u)
{
	auto_cleanup(fail_list_done) struct fail_list f = { };
	const int64_t now_s = uplink_now_ns() / 1000000000;
	int r;

	if (u->ticks % FILES_TICKS == 0 && u->keys) {
		r = keys_read(u, &f);
		if (r && r != -ENOENT)
			connect_problem(u, "%s", f.n ? f.items[0].message : strerror(-r));
	}
	if (u->issued && u->keys && connect_is_up(u) && !u->enrol && uv_now(u->loop) >= u->enrol_at &&
	    now_s >= u->from_s + (u->until_s - u->from_s) / 3 * 2)
		(void)keys_enrol(u); /* told, and tried again */
}

void keys_done(struct uplink *u)
{
	wire_keys_unref(u->keys);
	u->keys = NULL;
	cert_key_free(u->enrol_key);
	u->enrol_key = NULL;
}
