/* SPDX-License-Identifier: Apache-2.0 */
#include "daemon/tls.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>

#define LOG_UNIT "cellwalld"
#include "base/cleanup.h"
#include "base/file.h"
#include "base/log.h"
#include "base/strparse.h"
#include "daemon/enrol.h"
#include "fleet/fleet.h"
#include "wire/ca.h"

#define LOOK_MS 10000u
#define HOSTS_MAX 32u

struct seen { struct timespec mtime; off_t size; ino_t ino; };

struct tls {
	const struct config *cfg;
	struct ca *ca;		/* NULL: certificates are given as files */
	struct wire_keys *keys;
	int64_t from_s, until_s; /* of our own certificate; 0: from files */
	struct seen seen[3];
	struct fleet *fleet;
	struct enrol *enrol;
	uv_timer_t look;
	bool closing;
	void (*done)(void *arg);
	void *done_arg;
};

static int64_t now_s(void)
{
	return (int64_t)time(NULL);
}

static bool is_set(const char *s)
{
	return s && *s;
}

/* ---- hosts ------------------------------------------------------------------------------------- */

struct hosts { char text[HOSTS_MAX][256]; const char *v[HOSTS_MAX]; size_t n; };

static void hosts_add(struct hosts *h, const char *s, size_t n)
{
	if (!n || n >= sizeof(h->text[0]) || h->n == HOSTS_MAX)
		return;
	memcpy(h->text[h->n], s, n);
	h->text[h->n][n] = 0;
	for (char *p = h->text[h->n]; *p; p++)
		*p = *p >= 'A' && *p <= 'Z' ? (char)(*p + 32) : *p;
	for (size_t i = 0; i < h->n; i++)
		if (!strcmp(h->text[i], h->text[h->n]))
			return;
	h->v[h->n] = h->text[h->n];
	h->n++;
}

/* The host of "HOST:PORT", "[V6]:PORT", ":PORT", "HOST". */
static void hosts_add_address(struct hosts *h, const char *s)
{
	const char *end = *s == '[' ? strchr(s, ']') : strrchr(s, ':');

	if (*s == '[')
		hosts_add(h, s + 1, end ? (size_t)(end - s - 1) : 0);
	else
		hosts_add(h, s, end && strchr(s, ':') == end ? (size_t)(end - s) : strlen(s));
}

static void hosts_of(const struct config *cfg, struct hosts *h)
{
	char name[65] = "";

	h->n = 0;
	for (size_t i = 0; i < cfg->host_names.n; i++)
		hosts_add_address(h, cfg->host_names.v[i]);
	for (size_t i = 0; i < cfg->listen.n; i++)
		hosts_add_address(h, cfg->listen.v[i]);
	if (!gethostname(name, sizeof(name) - 1))
		hosts_add(h, name, strlen(name));
}

/* ---- credentials -------------------------------------------------------------------------------- */

static void look_at(const char *path, struct seen *ret)
{
	struct stat st;

	memset(ret, 0, sizeof(*ret));
	if (!is_set(path) || stat(path, &st))
		return;
	ret->mtime = st.st_mtim;
	ret->size = st.st_size;
	ret->ino = st.st_ino;
}

/* A certificate of our own authority, for this run: its key never leaves the process. */
static int own_keys(struct tls *t, struct fail_list *f, struct wire_keys **ret)
{
	char *key = NULL;
	auto_free char *req = NULL, *cert = NULL, *ca = NULL;
	struct cert_ask ask = { .name = { .role = WIRE_CONTROLLER }, .now_s = now_s(), .life_s = CERT_CONTROLLER_LIFE_S };
	struct wire_keys_source src = { .allow_nobody = t->enrol != NULL };
	struct hosts *h = calloc(1, sizeof(*h));
	struct cert_info info;
	size_t n;
	int r = h ? cert_key_new(&key) : -ENOMEM;

	r = r ?: cert_request_new(key, &req);
	if (!r) {
		hosts_of(t->cfg, h);
		ask.hosts = h->v;
		ask.nhosts = h->n;
		r = ca_issue(t->ca, &ask, req, f, &cert);
	}
	if (!r && is_set(t->cfg->tls_ca)) {
		r = read_all_path(t->cfg->tls_ca, CERT_PEM_MAX, &ca, &n);
		if (r)
			fail_add(f, r, "cert.read", t->cfg->tls_ca, NULL, NULL, "cannot read the authority: %s", strerror(-r));
	}
	if (!r) {
		src.cert = cert;
		src.cert_len = strlen(cert);
		src.key = key;
		src.key_len = strlen(key);
		src.ca = ca ?: ca_cert(t->ca);
		src.ca_len = strlen(src.ca);
		src.cert_name = src.key_name = "the controller's own certificate";
		src.ca_name = ca ? t->cfg->tls_ca : "the controller's authority";
		r = wire_keys_new(&src, f, ret);
	}
	r = r ?: cert_read(cert, &info);
	if (!r) {
		t->from_s = info.from_s;
		t->until_s = info.until_s;
	}
	cert_key_free(key);
	free(h);
	return r;
}

static int file_keys(struct tls *t, struct fail_list *f, struct wire_keys **ret)
{
	auto_free char *path = NULL;
	const char *ca = t->cfg->tls_ca;

	if (!is_set(ca)) {
		if (!t->ca)
			return fail_add(f, -EINVAL, "config.missing", "controller.tls.ca", "the authority of the agents", NULL,
					"nothing says which agents to believe");
		if (asprintf(&path, "%s/ca.crt", t->cfg->tls_authority) < 0) {
			path = NULL;
			return -ENOMEM;
		}
		ca = path;
	}
	return wire_keys_load(t->cfg->tls_cert, t->cfg->tls_key, ca, t->enrol != NULL, f, ret);
}

static int load(struct tls *t, struct fail_list *f)
{
	struct wire_keys *k = NULL;
	struct seen now[3];
	int r;

	look_at(t->cfg->tls_cert, &now[0]);
	look_at(t->cfg->tls_key, &now[1]);
	look_at(t->cfg->tls_ca, &now[2]);
	r = is_set(t->cfg->tls_cert) ? file_keys(t, f, &k) : own_keys(t, f, &k);
	if (r)
		return r;
	wire_keys_unref(t->keys);
	t->keys = k;
	memcpy(t->seen, now, sizeof(now));
	if (t->fleet)
		fleet_set_keys(t->fleet, k);
	return 0;
}

static void on_look(uv_timer_t *timer)
{
	struct tls *t = timer->data;
	auto_cleanup(fail_list_done) struct fail_list f = { };
	struct seen now[3];

	look_at(t->cfg->tls_cert, &now[0]);
	look_at(t->cfg->tls_key, &now[1]);
	look_at(t->cfg->tls_ca, &now[2]);
	if (!memcmp(now, t->seen, sizeof(now)) && (!t->until_s || now_s() < t->from_s + (t->until_s - t->from_s) / 3 * 2))
		return;
	if (load(t, &f))
		log_warn(0, "credentials that changed cannot be used, keeping the former ones; reason='%s'",
			 f.n ? f.items[0].message : "");
	else
		log_info("credentials read again");
}

/* ---- life ------------------------------------------------------------------------------------------ */

static int open_authority(const struct config *cfg, struct fail_list *f, struct ca **ret)
{
	auto_free char *dir = NULL;
	bool own = !is_set(cfg->tls_authority);

	if (own && asprintf(&dir, "%s/ca", cfg->state_dir) < 0) {
		dir = NULL;
		return -ENOMEM;
	}
	return ca_open(own ? dir : cfg->tls_authority, true, now_s(), f, ret);
}

int tls_open(uv_loop_t *loop, const struct config *cfg, struct fail_list *f, struct tls **ret)
{
	struct tls *t;
	int r;

	if (is_set(cfg->tls_cert) != is_set(cfg->tls_key))
		return fail_add(f, -EINVAL, "config.missing", is_set(cfg->tls_cert) ? "controller.tls.key" : "controller.tls.cert",
				"both files, or none", NULL, "a certificate and its key go together");
	t = calloc(1, sizeof(*t));
	if (!t)
		return -ENOMEM;
	t->cfg = cfg;
	uv_timer_init(loop, &t->look);
	t->look.data = t;
	*ret = t; /* closed by the caller from here on, also after a failure */
	r = is_set(cfg->tls_cert) && !is_set(cfg->tls_authority) ? 0 : open_authority(cfg, f, &t->ca);
	if (!r && t->ca)
		r = enrol_new(loop, cfg, t->ca, f, &t->enrol);
	r = r ?: load(t, f);
	if (!r)
		uv_timer_start(&t->look, on_look, LOOK_MS, LOOK_MS);
	return r;
}

void tls_serve(struct tls *t, struct fleet *fl)
{
	t->fleet = fl;
	fleet_set_keys(fl, t->keys);
}

void tls_enrol(void *arg, struct fleet_enrol *e, const char *node, const char *token, const char *csr)
{
	struct tls *t = arg;

	if (t->enrol && !t->closing)
		enrol_ask(t->enrol, e, node, token, csr);
	else
		fleet_enrol_answer(e, NULL, "this controller issues no certificates over the wire");
}

static void closed(struct tls *t)
{
	void (*done)(void *arg) = t->done;
	void *arg = t->done_arg;

	wire_keys_unref(t->keys);
	ca_free(t->ca);
	free(t);
	if (done)
		done(arg);
}

static void on_enrol_closed(void *arg)
{
	struct tls *t = arg;

	t->enrol = NULL;
	closed(t);
}

static void on_look_closed(uv_handle_t *h)
{
	struct tls *t = h->data;

	if (t->enrol)
		enrol_close(t->enrol, on_enrol_closed, t);
	else
		closed(t);
}

void tls_close(struct tls *t, void (*done)(void *arg), void *arg)
{
	if (t->closing)
		return;
	t->closing = true;
	t->done = done;
	t->done_arg = arg;
	uv_close((uv_handle_t *)&t->look, on_look_closed);
}

/* ---- by hand ----------------------------------------------------------------------------------------- */

static int write_in(const char *dir, const char *name, const char *ext, const char *text, unsigned mode,
		    struct fail_list *f)
{
	auto_free char *path = NULL;
	int r;

	if (asprintf(&path, "%s/%s%s", dir, name, ext) < 0) {
		path = NULL;
		return -ENOMEM;
	}
	r = write_file_atomic(path, text, strlen(text), mode);
	return r ? fail_add(f, r, "cert.write", path, "a directory that can be written", NULL, "cannot write: %s",
			    strerror(-r)) : 0;
}

int tls_issue(const struct config *cfg, const char *role, const char *name, const char *dir, struct fail_list *f)
{
	bool node = !strcmp(role, "node");
	struct cert_ask ask = { .now_s = now_s(), .life_s = 365 * 86400 };
	auto_free char *req = NULL, *cert = NULL;
	char *key = NULL;
	struct hosts *h;
	struct ca *ca;
	int r;

	if (!node && strcmp(role, "controller"))
		return fail_add(f, -EINVAL, "usage.value", role, "node NAME, or controller HOST[,HOST...]", NULL,
				"a certificate is for a node or a controller");
	r = open_authority(cfg, f, &ca);
	if (r)
		return r;
	h = calloc(1, sizeof(*h));
	r = h ? cert_key_new(&key) : -ENOMEM;
	r = r ?: cert_request_new(key, &req);
	if (!r && node) {
		ask.name.role = WIRE_NODE;
		if (strlen(name) >= sizeof(ask.name.name))
			r = fail_add(f, -EINVAL, "cert.name", name, "at most 63 characters", NULL, "the name is too long");
		else
			snprintf(ask.name.name, sizeof(ask.name.name), "%s", name);
	} else if (!r) {
		ask.name.role = WIRE_CONTROLLER;
		for (const char *p = name; *p; p += strcspn(p, ",") + (p[strcspn(p, ",")] == ','))
			hosts_add(h, p, strcspn(p, ","));
		ask.hosts = h->v;
		ask.nhosts = h->n;
	}
	r = r ?: ca_issue(ca, &ask, req, f, &cert);
	r = r ?: write_in(dir, node ? name : "controller", ".key", key, 0600, f);
	r = r ?: write_in(dir, node ? name : "controller", ".crt", cert, 0644, f);
	r = r ?: write_in(dir, "ca", ".crt", ca_cert(ca), 0644, f);
	cert_key_free(key);
	free(h);
	ca_free(ca);
	return r;
}
