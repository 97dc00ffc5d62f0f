/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A run owns four handles: the process, its two outputs and the time limit. It is over when the
 * process is gone and its standard output closed, or when the time is; the memory goes with the
 * last handle. The plugin gets a session of its own, so that what it started dies with it.
 */
#include "kube/exec.h"

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "base/buf.h"
#include "base/cleanup.h"
#include "base/json.h"
#include "base/text.h"
#include "kube/base64.h"
#include "kube/config_priv.h"

struct kube_exec_run {
	uv_process_t process;
	uv_pipe_t out, err;
	uv_timer_t limit;
	unsigned open; /* handles not closed yet */
	bool exited, out_over, ended;
	int64_t code;
	int signal;
	char *api_version, *command, *hint;
	struct buf text, said;
	char chunk[4096];
	kube_exec_fn *done;
	void *arg;
};

static void run_free(struct kube_exec_run *x)
{
	if (x->text.data)
		explicit_bzero(x->text.data, x->text.cap);
	buf_done(&x->text);
	buf_done(&x->said);
	free(x->api_version);
	free(x->command);
	free(x->hint);
	explicit_bzero(x->chunk, sizeof(x->chunk));
	free(x);
}

static void handle_closed(uv_handle_t *h)
{
	struct kube_exec_run *x = h->data;

	if (--x->open == 0)
		run_free(x);
}

static void run_close(struct kube_exec_run *x)
{
	uv_handle_t *all[] = { (uv_handle_t *)&x->out, (uv_handle_t *)&x->err, (uv_handle_t *)&x->limit,
			       (uv_handle_t *)&x->process };

	x->ended = true;
	if (!x->exited) { /* its handle stays until it was waited for */
		(void)kill(-x->process.pid, SIGKILL);
		all[3] = all[0];
	}
	for (size_t i = 0; i < ARRAY_SIZE(all); i++)
		if (all[i]->type != UV_UNKNOWN_HANDLE && !uv_is_closing(all[i]))
			uv_close(all[i], handle_closed);
}

void kube_exec_cancel(struct kube_exec_run *x)
{
	if (x && !x->ended)
		run_close(x);
}

static void run_end(struct kube_exec_run *x, int err, const char *text, struct kube_credential *got)
{
	kube_exec_fn *done = x->done;
	void *arg = x->arg;
	auto_cleanup(buf_done) struct buf b;

	buf_init(&b, 8192);
	if (err) {
		buf_printf(&b, "credential plugin %s: %s", x->command, text);
		if (x->said.len) {
			buf_adds(&b, ": ");
			text_escape(&b, x->said.data);
		}
		if (x->hint) {
			buf_adds(&b, " - ");
			text_escape(&b, x->hint);
		}
	}
	run_close(x);
	done(arg, err, b.data ?: "", got);
}

static void look(struct kube_exec_run *x)
{
	auto_cleanup(kube_credential_done) struct kube_credential got = {};
	struct fail_list f = {};
	struct timespec now;
	char text[128];
	int r;

	if (!x->exited || !x->out_over || x->ended)
		return;
	if (x->signal || x->code) {
		snprintf(text, sizeof(text), x->signal ? "killed by signal %d" : "exit status %d",
			 x->signal ?: (int)x->code);
		run_end(x, -ENOKEY, text, NULL);
		return;
	}
	clock_gettime(CLOCK_REALTIME, &now);
	r = kube_credential_parse(x->text.data ?: "", x->text.len, x->api_version,
				  (int64_t)now.tv_sec * 1000000000 + now.tv_nsec, &f, &got);
	run_end(x, r ? -ENOKEY : 0, r && f.n ? f.items[0].message : "out of memory", &got);
	fail_list_done(&f);
}

static void process_over(uv_process_t *p, int64_t code, int sig)
{
	struct kube_exec_run *x = p->data;

	x->exited = true;
	if (x->ended) {
		uv_close((uv_handle_t *)p, handle_closed);
		return;
	}
	x->code = code;
	x->signal = sig;
	look(x);
}

static void on_alloc(uv_handle_t *h, size_t want, uv_buf_t *b)
{
	struct kube_exec_run *x = h->data;

	(void)want;
	*b = uv_buf_init(x->chunk, sizeof(x->chunk));
}

static void on_out(uv_stream_t *s, ssize_t n, const uv_buf_t *b)
{
	struct kube_exec_run *x = s->data;

	if (n > 0 && buf_add(&x->text, b->base, (size_t)n) < 0)
		run_end(x, -ENOKEY, x->text.err == -E2BIG ? "it said more than 1 MiB" : "out of memory", NULL);
	if (n >= 0)
		return;
	uv_read_stop(s);
	x->out_over = true;
	look(x);
}

static void on_err(uv_stream_t *s, ssize_t n, const uv_buf_t *b)
{
	struct kube_exec_run *x = s->data;

	if (n > 0 && x->said.len < KUBE_EXEC_ERR_MAX) {
		size_t room = KUBE_EXEC_ERR_MAX - x->said.len, k = (size_t)n < room ? (size_t)n : room;

		(void)buf_add(&x->said, b->base, k); /* only words for people */
	}
	if (n < 0)
		uv_read_stop(s);
}

static void on_limit(uv_timer_t *t)
{
	run_end(t->data, -ENOKEY, "it did not answer in time", NULL);
}

static bool put(cJSON *o, const char *key, const char *value)
{
	return !value || cJSON_AddStringToObject(o, key, value);
}

/* KUBERNETES_EXEC_INFO: what the plugin may want to know. */
static char *info_make(const struct kube_config *cfg)
{
	auto_cleanup(cJSON_Deletep) cJSON *j = cJSON_CreateObject();
	auto_free char *text = NULL, *ca = NULL;
	cJSON *spec, *cluster;
	char *all = NULL;

	if (!j || !put(j, "apiVersion", cfg->exec->api_version) || !put(j, "kind", "ExecCredential"))
		return NULL;
	spec = cJSON_AddObjectToObject(j, "spec");
	if (!spec || !cJSON_AddFalseToObject(spec, "interactive"))
		return NULL;
	if (cfg->exec->cluster_info) {
		ca = cfg->ca_pem ? base64_encode(cfg->ca_pem, strlen(cfg->ca_pem)) : NULL;
		cluster = cJSON_AddObjectToObject(spec, "cluster");
		if (!cluster || !put(cluster, "server", cfg->server) ||
		    !put(cluster, "tls-server-name", cfg->tls_server_name) || !put(cluster, "proxy-url", cfg->proxy) ||
		    !put(cluster, "certificate-authority-data", ca) ||
		    !cJSON_AddBoolToObject(cluster, "insecure-skip-tls-verify", cfg->insecure))
			return NULL;
	}
	text = cJSON_PrintUnformatted(j);
	if (!text || asprintf(&all, "KUBERNETES_EXEC_INFO=%s", text) < 0)
		return NULL;
	return all;
}

/* Ours, without what the list names, and the list; only the array is to be freed. */
static char **env_make(char **list, char *info)
{
	size_t n = 0, k = 0;
	char **env;

	while (environ[n])
		n++;
	while (list && list[k])
		k++;
	env = calloc(n + k + 2, sizeof(*env));
	if (!env)
		return NULL;
	n = 0;
	for (char **e = environ; *e; e++) {
		size_t name = strcspn(*e, "=") + 1;
		bool again = !strncmp(*e, info, name);

		for (size_t i = 0; i < k && !again; i++)
			again = !strncmp(*e, list[i], name);
		if (!again)
			env[n++] = *e;
	}
	for (size_t i = 0; i < k; i++)
		env[n++] = list[i];
	env[n] = info;
	return env;
}

static int spawn(struct kube_exec_run *x, uv_loop_t *loop, const struct kube_config *cfg)
{
	struct kube_exec *e = cfg->exec;
	auto_cleanup(kube_secret_freep) char *info = info_make(cfg);
	auto_free char **env = info ? env_make(e->env, info) : NULL, **args = NULL;
	size_t n = 0;
	uv_stdio_container_t io[3] = {
		{ .flags = UV_IGNORE },
		{ .flags = UV_CREATE_PIPE | UV_WRITABLE_PIPE, .data.stream = (uv_stream_t *)&x->out },
		{ .flags = UV_CREATE_PIPE | UV_WRITABLE_PIPE, .data.stream = (uv_stream_t *)&x->err },
	};
	uv_process_options_t o = { .exit_cb = process_over, .file = e->command, .stdio_count = 3, .stdio = io,
				   .flags = UV_PROCESS_DETACHED };

	while (e->args && e->args[n])
		n++;
	args = calloc(n + 2, sizeof(*args));
	if (!args || !env)
		return -ENOMEM;
	args[0] = e->command;
	for (size_t i = 0; i < n; i++)
		args[i + 1] = e->args[i];
	o.args = args;
	o.env = env;
	return uv_spawn(loop, &x->process, &o);
}

int kube_exec_start(uv_loop_t *loop, const struct kube_config *cfg, uint32_t timeout_ms, kube_exec_fn *done,
		    void *arg, struct kube_exec_run **ret)
{
	struct kube_exec_run *x = calloc(1, sizeof(*x));
	int r;

	if (!x)
		return -ENOMEM;
	buf_init(&x->text, KUBE_EXEC_OUT_MAX);
	buf_init(&x->said, KUBE_EXEC_ERR_MAX);
	x->done = done;
	x->arg = arg;
	x->api_version = strdup(cfg->exec->api_version);
	x->command = strdup(cfg->exec->command);
	x->hint = cfg->exec->hint ? strdup(cfg->exec->hint) : NULL;
	if (!x->api_version || !x->command || (cfg->exec->hint && !x->hint)) {
		run_free(x);
		return -ENOMEM;
	}
	x->process.data = x->out.data = x->err.data = x->limit.data = x;
	if (uv_timer_init(loop, &x->limit) || uv_pipe_init(loop, &x->out, 0) || uv_pipe_init(loop, &x->err, 0)) {
		run_free(x); /* these only fail for wrong arguments */
		return -EINVAL;
	}
	x->open = 3;
	r = spawn(x, loop, cfg);
	if (x->process.type != UV_UNKNOWN_HANDLE)
		x->open++;
	if (r < 0) {
		x->exited = true;
		run_close(x);
		return r;
	}
	uv_read_start((uv_stream_t *)&x->out, on_alloc, on_out);
	uv_read_start((uv_stream_t *)&x->err, on_alloc, on_err);
	uv_timer_start(&x->limit, on_limit, timeout_ms, 0);
	*ret = x;
	return 0;
}
