/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The library says which sockets and which time it waits for; the loop waits. All beginnings of
 * calls come from one timer (pump), so that callbacks of the library may start and cancel calls
 * though the library itself must not be entered there.
 */
#include "kube/client.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"
#include "base/log.h"
#include "kube/client_priv.h"

struct sock {
	uv_poll_t poll;
	struct kube_client *c;
	curl_socket_t fd;
};

static void client_free(struct kube_client *c)
{
	void (*closed)(void *arg) = c->closed;
	void *arg = c->closed_arg;

	kube_config_done(&c->cfg);
	curl_slist_free_all(c->connect_to);
	free(c->agent);
	free(c->base);
	free(c->host_header);
	free(c);
	if (closed)
		closed(arg);
}

static void handle_closed(uv_handle_t *h)
{
	struct kube_client *c = h->data;

	if (--c->open == 0)
		client_free(c);
}

static void sock_closed(uv_handle_t *h)
{
	struct sock *s = (struct sock *)h;
	struct kube_client *c = s->c;

	free(s);
	if (--c->open == 0)
		client_free(c);
}

/* Transfers that are over, and calls that were cancelled while the library was on the stack. */
static void reap(struct kube_client *c)
{
	struct kube_call *call, *next;
	CURLMsg *m;
	int left;

	if (c->inside)
		return;
	while ((m = curl_multi_info_read(c->multi, &left))) {
		CURLcode code = m->data.result;
		char *p = NULL;

		if (m->msg != CURLMSG_DONE)
			continue;
		curl_easy_getinfo(m->easy_handle, CURLINFO_PRIVATE, &p);
		call = (struct kube_call *)p;
		if (call->dead)
			kube_call_free(call);
		else
			kube_call_over(call, code);
	}
	for (call = c->calls; call; call = next) {
		next = call->next;
		if (call->dead && !call->finished)
			kube_call_free(call);
	}
}

static void socket_ready(uv_poll_t *h, int status, int events)
{
	struct sock *s = (struct sock *)h;
	struct kube_client *c = s->c;
	int bits = (events & UV_READABLE ? CURL_CSELECT_IN : 0) | (events & UV_WRITABLE ? CURL_CSELECT_OUT : 0);
	int running;

	if (status < 0)
		bits = CURL_CSELECT_ERR;
	c->inside++;
	(void)curl_multi_socket_action(c->multi, s->fd, bits, &running); /* failures show on the transfers */
	c->inside--;
	reap(c);
}

static int socket_want(CURL *easy, curl_socket_t fd, int what, void *arg, void *sp)
{
	struct kube_client *c = arg;
	struct sock *s = sp;
	int events = (what & CURL_POLL_IN ? UV_READABLE : 0) | (what & CURL_POLL_OUT ? UV_WRITABLE : 0);

	(void)easy;
	if (what == CURL_POLL_REMOVE) {
		if (s) {
			uv_poll_stop(&s->poll);
			uv_close((uv_handle_t *)&s->poll, sock_closed);
			(void)curl_multi_assign(c->multi, fd, NULL);
		}
		return 0;
	}
	if (!s) {
		s = calloc(1, sizeof(*s));
		if (!s || uv_poll_init_socket(c->loop, &s->poll, fd)) {
			free(s);
			return -1;
		}
		s->c = c;
		s->fd = fd;
		c->open++;
		(void)curl_multi_assign(c->multi, fd, s);
	}
	return uv_poll_start(&s->poll, events, socket_ready) ? -1 : 0;
}

static void time_up(uv_timer_t *t)
{
	struct kube_client *c = t->data;
	int running;

	c->inside++;
	(void)curl_multi_socket_action(c->multi, CURL_SOCKET_TIMEOUT, 0, &running);
	c->inside--;
	reap(c);
}

static int time_want(CURLM *multi, long ms, void *arg)
{
	struct kube_client *c = arg;

	(void)multi;
	if (c->torn)
		return 0;
	if (ms < 0)
		uv_timer_stop(&c->curl_timer);
	else
		uv_timer_start(&c->curl_timer, time_up, (uint64_t)ms, 0);
	return 0;
}

static void teardown(struct kube_client *c)
{
	while (c->calls) {
		struct kube_call *call = c->calls;

		if (call->dead)
			kube_call_free(call);
		else
			kube_call_fail(call, -ECANCELED, "the client was closed");
	}
	c->torn = true;
	kube_cred_free(c->cred);
	c->inside++;
	(void)curl_multi_cleanup(c->multi); /* gives the sockets back through socket_want() */
	c->inside--;
	uv_close((uv_handle_t *)&c->curl_timer, handle_closed);
	uv_close((uv_handle_t *)&c->pump, handle_closed);
}

/* Starts what is due; false when it has to wait for a credential. */
static bool begin(struct kube_client *c, struct kube_call *call)
{
	struct kube_cred_view cred;
	char text[160];
	int r;

	r = kube_cred_get(c->cred, &cred);
	if (r == -EAGAIN)
		return false;
	if (r < 0) {
		snprintf(text, sizeof(text), "credential plugin %.100s: %s", c->cfg.exec->command, strerror(-r));
		kube_call_fail(call, -ENOKEY, text);
		return true;
	}
	r = kube_call_begin(call, &cred);
	if (r < 0)
		kube_call_fail(call, r, "the request could not be started");
	return true;
}

/* The next call that something has to be done about now; *wait: until one becomes due. */
static struct kube_call *next_due(struct kube_client *c, uint64_t now, bool no_begin, uint64_t *wait)
{
	struct kube_call *call;

	for (call = c->calls; call; call = call->next) {
		uint64_t at;

		if (call->dead || call->finished || (call->easy && !call->rq.idle_ms) || (!call->easy && no_begin))
			continue;
		at = call->easy ? call->heard_ms + call->rq.idle_ms : call->due_ms;
		if (at <= now)
			return call;
		if (at - now < *wait)
			*wait = at - now;
	}
	return NULL;
}

static void pump(uv_timer_t *t)
{
	struct kube_client *c = t->data;
	uint64_t wait = UINT64_MAX, now = uv_now(c->loop);
	struct kube_call *call;
	bool no_credential = false;

	if (c->closing) {
		teardown(c);
		return;
	}
	/* From the start each time: callbacks change the list. */
	while ((call = next_due(c, now, no_credential, &wait))) {
		if (call->easy)
			kube_call_fail(call, -ETIMEDOUT, "nothing came from the API server for too long");
		else if (!begin(c, call))
			no_credential = true; /* ready() kicks */
	}
	reap(c);
	if (wait != UINT64_MAX && !c->closing)
		uv_timer_start(&c->pump, pump, wait, 0);
}

void kube_client_kick(struct kube_client *c)
{
	if (!c->torn)
		uv_timer_start(&c->pump, pump, 0, 0);
}

static void cred_ready(void *arg, int err, const char *text)
{
	struct kube_client *c = arg;
	struct kube_call *call, *again;

	/* Without a credential none of the waiting can begin. */
	while (err) {
		again = NULL;
		for (call = c->calls; call && !again; call = call->next)
			if (!call->easy && !call->dead && !call->finished && call->due_ms <= uv_now(c->loop))
				again = call;
		if (!again)
			break;
		kube_call_fail(again, err, text);
	}
	if (err && c->o.log)
		c->o.log(c->o.arg, LOG_L_WARN, text);
	kube_client_kick(c);
}

static void cred_log(void *arg, int level, const char *text)
{
	struct kube_client *c = arg;

	if (c->o.log)
		c->o.log(c->o.arg, level, text);
}

static void url_freep(CURLU **u)
{
	curl_url_cleanup(*u);
}

static void curl_freep(char **s)
{
	curl_free(*s);
}

/* Takes the server's URL apart and sets base, host_header, connect_to. */
static int base_make(struct kube_client *c, struct fail_list *f)
{
	auto_cleanup(url_freep) CURLU *u = curl_url();
	auto_cleanup(curl_freep) char *scheme = NULL, *host = NULL, *port = NULL, *user = NULL, *query = NULL,
				      *frag = NULL, *path = NULL;
	auto_free char *to = NULL;
	size_t n;

	if (!u)
		return -ENOMEM;
	if (curl_url_set(u, CURLUPART_URL, c->cfg.server, 0) || curl_url_get(u, CURLUPART_SCHEME, &scheme, 0) ||
	    curl_url_get(u, CURLUPART_HOST, &host, 0) ||
	    curl_url_get(u, CURLUPART_PORT, &port, CURLU_DEFAULT_PORT) || curl_url_get(u, CURLUPART_PATH, &path, 0) ||
	    (strcmp(scheme, "https") && strcmp(scheme, "http")) || !*host ||
	    curl_url_get(u, CURLUPART_USER, &user, 0) != CURLUE_NO_USER ||
	    curl_url_get(u, CURLUPART_QUERY, &query, 0) != CURLUE_NO_QUERY ||
	    curl_url_get(u, CURLUPART_FRAGMENT, &frag, 0) != CURLUE_NO_FRAGMENT)
		return fail_add(f, -EINVAL, "kube.server", c->cfg.origin, "https://host[:port][/prefix]", NULL,
				"\"%s\" is no URL of an API server", c->cfg.server);
	n = strlen(path);
	while (n && path[n - 1] == '/')
		path[--n] = '\0';
	if (asprintf(&c->base, "%s://%s:%s%s", scheme, c->cfg.tls_server_name ?: host, port, path) < 0) {
		c->base = NULL;
		return -ENOMEM;
	}
	if (!c->cfg.tls_server_name)
		return 0;
	if (asprintf(&to, "::%s:%s", host, port) < 0) {
		to = NULL;
		return -ENOMEM;
	}
	c->connect_to = curl_slist_append(NULL, to);
	if (asprintf(&c->host_header, "Host: %s:%s", host, port) < 0)
		c->host_header = NULL;
	return c->connect_to && c->host_header ? 0 : -ENOMEM;
}

static int global_init(void)
{
	static bool started; /* one loop thread */

	if (!started && curl_global_init(CURL_GLOBAL_DEFAULT))
		return -ENOMEM;
	started = true;
	return 0;
}

int kube_client_new(uv_loop_t *loop, const struct kube_config *cfg, const struct kube_client_opts *o,
		    struct fail_list *f, struct kube_client **ret)
{
	const struct kube_cred_ops ops = { .ready = cred_ready, .log = cred_log };
	struct kube_client *c;
	int r = global_init();

	if (r < 0)
		return r;
	c = calloc(1, sizeof(*c));
	if (!c)
		return -ENOMEM;
	c->loop = loop;
	c->o = o ? *o : (struct kube_client_opts){};
	c->http1 = c->o.http_version && !strcmp(c->o.http_version, "1.1");
	c->agent = strdup(c->o.user_agent ?: "cellwall/" CW_VERSION);
	r = c->agent ? kube_config_copy(cfg, &c->cfg) : -ENOMEM;
	if (r == 0)
		r = base_make(c, f);
	if (r == 0)
		r = kube_cred_new(loop, &c->cfg, &ops, c, &c->cred);
	if (r == 0) {
		c->multi = curl_multi_init();
		r = c->multi ? 0 : -ENOMEM;
	}
	if (r < 0) {
		kube_cred_free(c->cred);
		client_free(c);
		return r;
	}
	curl_multi_setopt(c->multi, CURLMOPT_SOCKETFUNCTION, socket_want);
	curl_multi_setopt(c->multi, CURLMOPT_SOCKETDATA, c);
	curl_multi_setopt(c->multi, CURLMOPT_TIMERFUNCTION, time_want);
	curl_multi_setopt(c->multi, CURLMOPT_TIMERDATA, c);
	curl_multi_setopt(c->multi, CURLMOPT_PIPELINING, CURLPIPE_MULTIPLEX);
	(void)uv_timer_init(loop, &c->curl_timer); /* cannot fail */
	(void)uv_timer_init(loop, &c->pump);
	c->curl_timer.data = c->pump.data = c;
	c->open = 2;
	*ret = c;
	return 0;
}

void kube_client_close(struct kube_client *c, void (*closed)(void *arg), void *arg)
{
	if (!c) {
		if (closed)
			closed(arg);
		return;
	}
	if (c->closing)
		return;
	c->closing = true;
	c->closed = closed;
	c->closed_arg = arg;
	kube_client_kick(c);
}

uv_loop_t *kube_client_loop(struct kube_client *c)
{
	return c->loop;
}

const struct kube_config *kube_client_config(const struct kube_client *c)
{
	return &c->cfg;
}

uint64_t kube_client_connections(const struct kube_client *c)
{
	return c->connections;
}

uint64_t kube_client_calls(const struct kube_client *c)
{
	return c->made;
}
