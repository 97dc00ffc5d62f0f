/* SPDX-License-Identifier: Apache-2.0 */
#include "kube/cred.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>

#include "base/cleanup.h"
#include "base/file.h"
#include "base/log.h"
#include "kube/config_priv.h"
#include "kube/exec.h"

#define RECHECK_MS 1000u     /* files are looked at that often at most */
#define REREAD_MS 60000u     /* and read that often even if they look the same */
#define EXPIRY_MARGIN_NS (10 * INT64_C(1000000000)) /* a plugin's credential is renewed that early, at most */

/* A file that may be replaced while we run. */
struct live_file {
	const char *path;  /* NULL: none */
	char *text;
	bool pem;
	bool secret;
	struct timespec mtime;
	uint64_t ino, size;
	uint64_t looked_ms, read_ms;
};

struct kube_cred {
	uv_loop_t *loop;
	const struct kube_config *cfg;
	struct kube_cred_ops ops;
	void *arg;
	struct live_file token, ca, cert, key;
	struct kube_credential plugin;
	bool have;	   /* plugin holds something */
	int64_t renew_ns;  /* when to ask it again; 0: when it is refused */
	struct kube_exec_run *run;
};

static void say(struct kube_cred *c, int level, const char *path, int err)
{
	auto_free char *text = NULL;

	if (!c->ops.log)
		return;
	if (asprintf(&text, err ? "%s cannot be used (%s): what was read before stays" : "%s was read again", path,
		     err == -EINVAL ? "not what it should hold" : strerror(-err)) < 0)
		return;
	c->ops.log(c->arg, level, text);
}

static int live_open(struct live_file *l, const char *path, const char *text, bool pem, bool secret)
{
	l->path = path;
	l->pem = pem;
	l->secret = secret;
	if (!text)
		return 0;
	l->text = strdup(text);
	return l->text ? 0 : -ENOMEM;
}

static void live_done(struct live_file *l)
{
	kube_secret_free(l->text);
	l->text = NULL;
}

static void live_look(struct kube_cred *c, struct live_file *l, bool force)
{
	auto_cleanup(kube_secret_freep) char *text = NULL;
	uint64_t now = uv_now(c->loop);
	struct stat st;
	bool same;
	int r;

	if (!l->path || (!force && l->looked_ms && now - l->looked_ms < RECHECK_MS))
		return;
	l->looked_ms = now ?: 1;
	if (stat(l->path, &st) < 0) {
		say(c, LOG_L_WARN, l->path, -errno);
		return;
	}
	same = st.st_mtim.tv_sec == l->mtime.tv_sec && st.st_mtim.tv_nsec == l->mtime.tv_nsec &&
	       (uint64_t)st.st_ino == l->ino && (uint64_t)st.st_size == l->size;
	if (same && !force && now - l->read_ms < REREAD_MS)
		return;
	r = read_all_path(l->path, l->pem ? KUBE_PEM_BYTES_MAX : KUBE_TOKEN_BYTES_MAX, &text, NULL);
	if (r == 0 && (l->pem ? !kube_is_pem(text) : !kube_token_trim(text)))
		r = -EINVAL;
	if (r < 0) {
		say(c, LOG_L_WARN, l->path, r);
		return;
	}
	l->mtime = st.st_mtim;
	l->ino = st.st_ino;
	l->size = (uint64_t)st.st_size;
	l->read_ms = now;
	if (l->text && !strcmp(l->text, text))
		return;
	if (l->text)
		say(c, LOG_L_INFO, l->path, 0);
	kube_secret_free(l->text);
	l->text = take_ptr(text);
}

int kube_cred_new(uv_loop_t *loop, const struct kube_config *cfg, const struct kube_cred_ops *ops, void *arg,
		  struct kube_cred **ret)
{
	struct kube_cred *c = calloc(1, sizeof(*c));

	if (!c)
		return -ENOMEM;
	c->loop = loop;
	c->cfg = cfg;
	c->ops = *ops;
	c->arg = arg;
	if (live_open(&c->token, cfg->token_path, cfg->token, false, true) ||
	    live_open(&c->ca, cfg->ca_path, cfg->ca_pem, true, false) ||
	    live_open(&c->cert, cfg->cert_path, cfg->cert_pem, true, false) ||
	    live_open(&c->key, cfg->key_path, cfg->key_pem, true, true)) {
		kube_cred_free(c);
		return -ENOMEM;
	}
	*ret = c;
	return 0;
}

void kube_cred_free(struct kube_cred *c)
{
	if (!c)
		return;
	kube_exec_cancel(c->run);
	kube_credential_done(&c->plugin);
	live_done(&c->token);
	live_done(&c->ca);
	live_done(&c->cert);
	live_done(&c->key);
	free(c);
}

static int64_t now_ns(void)
{
	struct timespec now;

	clock_gettime(CLOCK_REALTIME, &now);
	return (int64_t)now.tv_sec * 1000000000 + now.tv_nsec;
}

static void plugin_done(void *arg, int err, const char *text, struct kube_credential *got)
{
	struct kube_cred *c = arg;

	c->run = NULL;
	if (err == 0) {
		kube_credential_done(&c->plugin);
		c->plugin = *got;
		*got = (struct kube_credential){};
		c->have = true;
		c->renew_ns = 0;
		if (c->plugin.expires_ns) {
			/* A short life is not all margin: the plugin would run for each request. */
			int64_t quarter = (c->plugin.expires_ns - now_ns()) / 4;

			c->renew_ns = c->plugin.expires_ns - (quarter < EXPIRY_MARGIN_NS ? quarter : EXPIRY_MARGIN_NS);
		}
	}
	c->ops.ready(c->arg, err, text);
}

/* kubectl lets a certificate or token of the user win over the plugin. */
static bool plugin_wanted(const struct kube_cred *c)
{
	return c->cfg->exec && !c->cfg->cert_pem && !c->cfg->token && !c->cfg->token_path;
}

static int plugin_get(struct kube_cred *c)
{
	if (c->run)
		return -EAGAIN;
	if (c->have && (!c->renew_ns || now_ns() < c->renew_ns))
		return 0;
	return kube_exec_start(c->loop, c->cfg, KUBE_EXEC_TIMEOUT_MS, plugin_done, c, &c->run) ?: -EAGAIN;
}

int kube_cred_get(struct kube_cred *c, struct kube_cred_view *ret)
{
	int r;

	live_look(c, &c->token, false);
	live_look(c, &c->ca, false);
	live_look(c, &c->cert, false);
	live_look(c, &c->key, false);
	*ret = (struct kube_cred_view){ c->token.text, c->cert.text, c->key.text, c->ca.text };
	if (!plugin_wanted(c))
		return 0;
	r = plugin_get(c);
	if (r < 0)
		return r;
	ret->token = c->plugin.token;
	ret->cert_pem = c->plugin.cert_pem;
	ret->key_pem = c->plugin.key_pem;
	return 0;
}

bool kube_cred_refused(struct kube_cred *c, const char *token)
{
	if (plugin_wanted(c)) {
		/* Another call may have brought a new one already. */
		if (c->have && (!token || !c->plugin.token || !strcmp(token, c->plugin.token)))
			c->have = false;
		return true;
	}
	if (!c->token.path)
		return false;
	live_look(c, &c->token, true);
	return token && c->token.text && strcmp(token, c->token.text) != 0;
}
