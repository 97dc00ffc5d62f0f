/* SPDX-License-Identifier: Apache-2.0 */
#include "cni-adapters/plugin/run.h"

#include <errno.h>
#include <string.h>

#include "base/buf.h"
#include "base/cleanup.h"
#include "cni-adapters/plugin/ask.h"
#include "cni-adapters/plugin/record.h"

/* An agent that is just being replaced is back within this time. Where nothing may start without it
 * the whole time limit is given. */
#define RETRY_MS 1500
#define RETRY_STEP_MS 20

struct run {
	const struct cni_call *c;
	struct cni_error e;
	struct buf *err;
};

static int post(const struct cni_call *c, const char *path, const struct buf *body, int64_t deadline,
		struct ask_answer *ret)
{
	return ask(c->socket, body ? "POST" : "GET", path, body ? body->data : NULL, body ? body->len : 0, deadline, ret);
}

/* Asks again while nobody is there, or the agent went away in the middle: asking twice is the same
 * as asking once. */
static int post_patient(const struct cni_call *c, const char *path, const struct buf *body, struct ask_answer *ret)
{
	int64_t start = ask_now_ms(), deadline = start + c->timeout_ms, patience = start + RETRY_MS;
	int r;

	if (patience > deadline || c->closed)
		patience = deadline;
	for (;;) {
		r = post(c, path, body, deadline, ret);
		if (r == -ECONNRESET && patience < deadline)
			patience = ask_now_ms() + RETRY_MS < deadline ? ask_now_ms() + RETRY_MS : deadline;
		if ((r != -ENOENT && r != -ECONNREFUSED && r != -ECONNRESET) || ask_now_ms() >= patience)
			return r;
		ask_sleep_ms(RETRY_STEP_MS);
	}
}

/* The first fault of an answer that is none of 2xx: NAME and text. */
static void fault_of(const struct ask_answer *a, char *name, size_t nmax, char *text, size_t tmax)
{
	struct span root, items, it = { };

	snprintf(name, nmax, "HTTP %d", a->status);
	snprintf(text, tmax, "the agent refused");
	if (span_read(a->body, a->len, &root, NULL) || span_get(root, "items", &items) || !span_next(items, &it))
		return;
	if (span_get_str(it, "name", name, nmax))
		snprintf(name, nmax, "HTTP %d", a->status);
	if (span_get_str(it, "message", text, tmax))
		snprintf(text, tmax, "the agent refused");
}

static int no_agent(struct run *x, int r)
{
	return cni_fail(&x->e, CNI_E_AGAIN, "try again later: the cellwall agent does not answer", "%s: %s", x->c->socket,
			r == -ENOENT ? "no such socket" : strerror(-r));
}

static void answer_done(struct ask_answer *a)
{
	free(a->body);
}

/* Open: the workload starts, and the agent looks at what is noted when it is back. */
static int add(struct run *x)
{
	auto_cleanup(answer_done) struct ask_answer a = { };
	auto_cleanup(buf_done) struct buf body;
	const struct cni_call *c = x->c;
	char name[64], text[400];
	int noted, r;

	buf_init(&body, CNI_RECORD_MAX);
	cni_call_body(c, &body);
	if (body.err)
		return cni_fail(&x->e, CNI_E_IO, "no memory", "%zu bytes", body.len);
	noted = cni_record_put(c->dir, c->id, c->ifname, body.data, body.len);
	r = post_patient(c, "/v1/cni/add", &body, &a);
	if (!r && a.status == 200) {
		/* The agent is there and cannot be told of this one after its restart. */
		if (noted)
			buf_printf(x->err, "cellwall-cni: cannot note the attachment in %s: %s\n", c->dir, strerror(-noted));
		return 0;
	}
	if (r)
		(void)no_agent(x, r);
	else {
		fault_of(&a, name, sizeof(name), text, sizeof(text));
		(void)cni_fail(&x->e, a.status == 503 ? CNI_E_AGAIN : a.status == 400 ? CNI_E_CONFIG : CNI_E_ATTACH,
			       "the cellwall agent did not attach the interface", "%s: %s", name, text);
	}
	if (c->closed) {
		(void)cni_record_del(c->dir, c->id, c->ifname);
		return -EINVAL;
	}
	buf_printf(x->err, "cellwall-cni: %s %s starts without being judged yet (agentDown: open): %s: %s\n",
		   *c->pod_name ? c->pod_name : c->id, c->ifname, x->e.msg, x->e.details);
	x->e = (struct cni_error){ };
	return 0;
}

/* Nothing keeps a workload from going away. */
static int del(struct run *x)
{
	auto_cleanup(answer_done) struct ask_answer a = { };
	auto_cleanup(buf_done) struct buf body;
	const struct cni_call *c = x->c;
	int r = cni_record_del(c->dir, c->id, c->ifname);

	buf_init(&body, CNI_RECORD_MAX);
	cni_call_body(c, &body);
	if (r)
		buf_printf(x->err, "cellwall-cni: cannot remove a note from %s: %s\n", c->dir, strerror(-r));
	r = body.err ?: post(c, "/v1/cni/del", &body, ask_now_ms() + c->timeout_ms, &a);
	if (r || a.status != 200)
		buf_printf(x->err, "cellwall-cni: the agent was not told (%s); it finds out by itself\n",
			   r ? strerror(-r) : "it refused");
	return 0;
}

static int check(struct run *x)
{
	auto_cleanup(answer_done) struct ask_answer a = { };
	auto_cleanup(buf_done) struct buf body;
	char name[64], text[400];
	int r;

	buf_init(&body, CNI_RECORD_MAX);
	cni_call_body(x->c, &body);
	r = body.err ?: post_patient(x->c, "/v1/cni/check", &body, &a);
	if (!r && a.status == 200)
		return 0;
	if (r && !x->c->closed) {
		buf_printf(x->err, "cellwall-cni: not checked: %s: %s\n", x->c->socket, strerror(-r));
		return 0;
	}
	if (r)
		return no_agent(x, r);
	fault_of(&a, name, sizeof(name), text, sizeof(text));
	return cni_fail(&x->e, a.status == 404 ? CNI_E_UNKNOWN_CONTAINER : CNI_E_MISSING,
			"the attachment does not stand", "%s: %s", name, text);
}

/* What stays is told to the agent; the notes of the others are removed by it. */
static int gc(struct run *x)
{
	auto_cleanup(answer_done) struct ask_answer a = { };
	auto_cleanup(buf_done) struct buf body;
	char name[64], text[400];
	int r;

	buf_init(&body, CNI_RECORD_MAX);
	cni_call_body(x->c, &body);
	r = body.err ?: post_patient(x->c, "/v1/cni/gc", &body, &a);
	if (r)
		return no_agent(x, r);
	if (a.status == 200)
		return 0;
	fault_of(&a, name, sizeof(name), text, sizeof(text));
	return cni_fail(&x->e, CNI_E_IO, "the agent did not collect", "%s: %s", name, text);
}

/* Open: workloads can start, whatever the agent does. */
static int status(struct run *x)
{
	auto_cleanup(answer_done) struct ask_answer a = { };
	int r = post(x->c, "/v1/cni/status", NULL, ask_now_ms() + x->c->timeout_ms, &a);
	char name[64], text[400];

	if ((!r && a.status == 200) || !x->c->closed)
		return 0;
	if (r)
		return cni_fail(&x->e, CNI_E_UNAVAILABLE, "the cellwall agent does not answer", "%s: %s", x->c->socket,
				strerror(-r));
	fault_of(&a, name, sizeof(name), text, sizeof(text));
	return cni_fail(&x->e, CNI_E_UNAVAILABLE, "the cellwall agent is not ready", "%s: %s", name, text);
}

int cni_run(cni_env_fn *env, void *arg, const char *in, size_t len, struct buf *out, struct buf *err)
{
	static int (*const command[])(struct run *x) = { [CNI_ADD] = add, [CNI_DEL] = del, [CNI_CHECK] = check,
							 [CNI_GC] = gc, [CNI_STATUS] = status };
	struct cni_call c;
	struct run x = { .c = &c, .err = err };
	int r = cni_call_read(env, arg, in, len, &c, &x.e);

	/* A workload that cannot be described must go all the same. */
	if (r && c.command == CNI_DEL && x.e.code != CNI_E_ENV) {
		buf_printf(err, "cellwall-cni: DEL: %s: %s\n", x.e.msg, x.e.details);
		return 0;
	}
	if (!r && c.command == CNI_VERSION) {
		cni_version_json(&c, out);
		return 0;
	}
	if (!r)
		r = command[c.command](&x);
	if (r) {
		cni_error_json(&c, &x.e, out);
		return 1;
	}
	if (c.command == CNI_ADD) {
		buf_add(out, c.prev.p, c.prev.n);
		buf_add(out, "\n", 1);
	}
	return 0;
}
