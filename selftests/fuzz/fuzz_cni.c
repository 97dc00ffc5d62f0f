/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What the chained plugin reads and what is read of it. First byte: which. Standard input and
 * environment of the plugin (the environment up to a NUL), an answer of the agent, a node's network
 * configuration, a note of an attachment.
 */
#include <stdlib.h>
#include <string.h>

#include "agent/cni.h"
#include "base/buf.h"
#include "base/cleanup.h"
#include "cni-adapters/conflist.h"
#include "cni-adapters/plugin/ask.h"
#include "cni-adapters/plugin/call.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* One line for each variable, in this order. */
static const char *env(void *arg, const char *name)
{
	static const char *const names[] = { "CNI_COMMAND", "CNI_CONTAINERID", "CNI_IFNAME", "CNI_NETNS", "CNI_ARGS" };
	static char buf[5][4096];
	const char *p = arg;

	for (size_t i = 0; i < ARRAY_SIZE(names) && *p; i++) {
		size_t n = strcspn(p, "\n");

		if (!strcmp(names[i], name)) {
			n = n < sizeof(buf[i]) ? n : sizeof(buf[i]) - 1;
			memcpy(buf[i], p, n);
			buf[i][n] = 0;
			return buf[i];
		}
		p += n + (p[n] == '\n');
	}
	return NULL;
}

static void must_be_json(const struct buf *b)
{
	struct span v;

	if (!b->err && span_read(b->data, b->len, &v, NULL))
		abort();
}

static void call(const char *s, size_t n)
{
	size_t k = strlen(s); /* ended by the copy's NUL at the latest */
	auto_cleanup(buf_done) struct buf body, err;
	struct cni_error e;
	struct cni_call c;

	buf_init(&body, 1u << 20);
	buf_init(&err, 1u << 20);
	if (k >= n)
		return;
	if (!cni_call_read(env, (void *)s, s + k + 1, n - k - 1, &c, &e)) {
		if (c.command == CNI_ADD && !c.prev.p)
			abort();
		cni_call_body(&c, &body);
		must_be_json(&body);
	} else {
		if (!e.code || !*e.msg)
			abort();
		cni_error_json(&c, &e, &err);
		must_be_json(&err);
	}
}

/* What is put in comes out again, and twice is once. */
static void conf(const char *s, size_t n)
{
	static const struct conflist_part part = { .socket = "/run/\"x\"/api.sock", .closed = true, .timeout_ms = 1 };
	auto_free char *with = NULL, *again = NULL, *without = NULL, *twice = NULL;
	size_t k = 0, m = 0;
	int r = conflist_text_add(s, n, true, &part, &with, &k);

	if (r == CONFLIST_CHANGED) {
		if (conflist_text_add(with, k, true, &part, &again, &m) != CONFLIST_AS_WANTED ||
		    conflist_text_del(with, k, &without, &m) != CONFLIST_CHANGED ||
		    conflist_text_del(without, m, &twice, &k) != CONFLIST_AS_WANTED)
			abort();
	}
	free(take_ptr(with));
	if (conflist_text_add(s, n, false, &part, &with, &k) == CONFLIST_CHANGED) {
		free(take_ptr(again));
		if (conflist_text_add(with, k, true, &part, &again, &m) != CONFLIST_AS_WANTED)
			abort();
	}
}

static void note(const char *s, size_t n)
{
	auto_cleanup(fail_list_done) struct fail_list f = { };
	auto_cleanup(cJSON_Deletep) cJSON *o = NULL;
	struct cni_attachment *at = calloc(1, sizeof(*at));

	if (at && !json_parse(s, n, "note", &f, &o) && !cni_attachment_read(o, &f, at)) {
		if (!at->id || !at->ns || !*at->name || at->naddrs > CNI_ADDRS_MAX)
			abort();
		cni_attachment_free(at);
	} else {
		free(at);
	}
}

static void answer(const char *s, size_t n)
{
	struct ask_answer a = { };

	if (!ask_parse(s, n, &a) && (a.status < 100 || !a.body || strlen(a.body) > a.len))
		abort();
	free(a.body);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static void (*const fn[])(const char *s, size_t n) = { call, conf, note, answer };
	char *s = size ? malloc(size) : NULL;

	if (!s)
		return 0;
	memcpy(s, data + 1, size - 1);
	s[size - 1] = 0;
	fn[data[0] % ARRAY_SIZE(fn)](s, size - 1);
	free(s);
	return 0;
}
