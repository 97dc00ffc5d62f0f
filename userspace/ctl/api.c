/* SPDX-License-Identifier: Apache-2.0 */
/* api.c - requests to the daemon, and what its refusals mean for the exit code. */
#include <errno.h>
#include <string.h>

#include "base/cleanup.h"
#include "ctl/ctl.h"
#include "http/http_client.h"

#define LIMIT_ON_TERMINAL "500"

void query_add(struct query *q, const char *name, const char *value)
{
	if (!value || q->n == QUERY_PAIRS_MAX)
		return;
	q->v[q->n].name = name;
	q->v[q->n].value = strdup(value);
	q->n += q->v[q->n].value != NULL;
}

void query_done(struct query *q)
{
	for (size_t i = 0; i < q->n; i++)
		free(q->v[i].value);
	q->n = 0;
}

static const struct { enum flag flag; const char *name; } filter_names[] = {
	{ FLAG_SRC, "src" }, { FLAG_DST, "dst" }, { FLAG_PEER, "peer" }, { FLAG_PORT, "port" },
	{ FLAG_VERDICT, "verdict" }, { FLAG_SIDE, "side" }, { FLAG_REASON, "reason" },
	{ FLAG_RULE, "rule" }, { FLAG_ORIGIN, "origin" }, { FLAG_STATE, "state" },
	{ FLAG_SEARCH, "search" }, { FLAG_SELECTOR, "selector" }, { FLAG_SINCE, "since" },
	{ FLAG_UNTIL, "until" }, { FLAG_SEVERITY, "severity" }, { FLAG_ACKED, "acked" },
	{ FLAG_ACTION, "action" }, { FLAG_NAMESPACE, "namespace" }, { FLAG_ANSWERED, "answered" },
};

void query_flags(struct ctl *c, struct query *q)
{
	struct buf negated;

	buf_init(&negated, 1024);
	for (size_t i = 0; i < ARRAY_SIZE(filter_names); i++) {
		auto_free char *v = flag_join(c, filter_names[i].flag);

		query_add(q, filter_names[i].name, v);
		if (c->negated >> filter_names[i].flag & 1)
			buf_printf(&negated, "%s%s", negated.len ? "," : "", filter_names[i].name);
	}
	if (negated.len)
		query_add(q, "not", negated.data);
	buf_done(&negated);
	if (flag_given(c, FLAG_LIMIT))
		query_add(q, "limit", flag_str(c, FLAG_LIMIT));
	else if ((c->cmd->flags & FB(LIMIT)) && c->io.out_tty && wants_human(c))
		query_add(q, "limit", LIMIT_ON_TERMINAL);
}

int api_unreachable(struct ctl *c, int err)
{
	const char *server = c->settings[SET_SERVER].value;
	enum msg m = err == -ENOENT	     ? M_E_NO_SOCKET :
		     err == -ECONNREFUSED ? M_E_CONN_REFUSED :
		     err == -EACCES	     ? M_E_CONN_DENIED :
		     err == -ETIMEDOUT    ? M_E_CONN_TIMEOUT :
		     err == -ECONNRESET   ? M_E_CONN_LOST :
					       M_E_CONN_OTHER;
	char expected[96];

	if (err == -EINTR)
		return EXIT_INTERRUPTED;
	snprintf(expected, sizeof(expected), "%s", msg_text(M_X_DAEMON, c->lang));
	usage_fail(c, err == -EACCES ? "server.forbidden" : "server.unreachable", server, expected,
		   err == -EACCES ? NULL : "systemctl status cellwalld", m, "error", strerror(-err), NULL);
	return EXIT_UNREACHABLE;
}

int api_open(struct ctl *c)
{
	int r;

	if (c->client)
		return 0;
	r = http_client_new(c->settings[SET_SERVER].value, c->timeout_ms, &c->client);
	if (r == -EINVAL)
		return usage_fail(c, "cli.server", c->settings[SET_SERVER].value,
				  "unix:///run/cellwall/api.sock, http://HOST:PORT", NULL, M_E_SERVER, NULL);
	return r < 0 ? api_unreachable(c, r) : 0;
}

/* An answer that is no success: its faults, or one that says what came instead. */
static int refusal(struct ctl *c, const struct http_answer *a)
{
	auto_cleanup(cJSON_Deletep) cJSON *j = NULL;
	char status[16];

	snprintf(status, sizeof(status), "%d", a->status);
	if (json_parse(a->body, a->len, "answer", NULL, &j) < 0 ||
	    fail_list_from_json(j, &c->fails) < 0 || !c->fails.n)
		usage_fail(c, "server.answer", c->settings[SET_SERVER].value, NULL, NULL, M_E_ANSWER,
			   "status", status, NULL);
	return exit_of_status(a->status);
}

static int call(struct ctl *c, const char *method, const char *path, const struct query *q,
		const cJSON *body, struct http_answer *ret)
{
	struct http_pair pairs[QUERY_PAIRS_MAX];
	auto_free char *text = NULL;
	struct http_call hc = { .method = method, .path = path, .query = pairs };
	int r = api_open(c);

	if (r)
		return r;
	for (size_t i = 0; q && i < q->n; i++)
		pairs[hc.nquery++] = (struct http_pair){ q->v[i].name, q->v[i].value };
	if (body) {
		text = cJSON_PrintUnformatted(body);
		if (!text)
			return api_unreachable(c, -ENOMEM);
		hc.body = text;
		hc.body_len = strlen(text);
	}
	r = http_client_call(c->client, &hc, ret);
	if (flag_given(c, FLAG_VERBOSE)) {
		fprintf(c->io.err, "> %s %s", method, path);
		for (size_t i = 0; i < hc.nquery; i++)
			fprintf(c->io.err, "%c%s=%s", i ? '&' : '?', pairs[i].name, pairs[i].value);
		if (r < 0)
			fprintf(c->io.err, "  %s\n", strerror(-r));
		else
			fprintf(c->io.err, "  %d, %zu bytes\n", ret->status, ret->len);
	}
	if (r < 0)
		return api_unreachable(c, r);
	if (ret->status / 100 == 2)
		return 0;
	r = refusal(c, ret);
	http_answer_done(ret);
	return r;
}

int api_call(struct ctl *c, const char *method, const char *path, const struct query *q,
	     const cJSON *body, cJSON **ret)
{
	struct http_answer a = {};
	int r = call(c, method, path, q, body, &a);

	if (r)
		return r;
	if (json_parse(a.body, a.len, "answer", &c->fails, ret) < 0)
		r = EXIT_REFUSED;
	http_answer_done(&a);
	return r;
}

int api_text(struct ctl *c, const char *path, const struct query *q, char **ret, size_t *ret_len)
{
	struct http_answer a = {};
	int r = call(c, "GET", path, q, NULL, &a);

	if (r)
		return r;
	*ret = a.body;
	*ret_len = a.len;
	return 0;
}

static int answer_saved(struct ctl *c, cJSON **ret)
{
	const char *path = flag_str(c, FLAG_INPUT);
	auto_free char *text = NULL;
	size_t len = 0;
	int r;

	r = input_read(c, path, JSON_BYTES_MAX, &text, &len);
	if (r < 0)
		return usage_fail(c, "cli.input", path, NULL, NULL, M_E_READ, "error", strerror(-r), NULL);
	return json_parse(text, len, path, &c->fails, ret) < 0 ? EXIT_USAGE : 0;
}

int api_get(struct ctl *c, const char *path, const struct query *q, cJSON **ret)
{
	if (flag_given(c, FLAG_INPUT))
		return answer_saved(c, ret);
	return api_call(c, "GET", path, q, NULL, ret);
}
