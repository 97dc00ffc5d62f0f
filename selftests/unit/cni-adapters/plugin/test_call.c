/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <cmocka.h>

#include "base/buf.h"
#include "base/cleanup.h"
#include "base/file.h"
#include "cni-adapters/plugin/ask.h"
#include "cni-adapters/plugin/record.h"
#include "cni-adapters/plugin/run.h"

/* "KEY=VALUE\nKEY=VALUE\n" */
static const char *env(void *arg, const char *name)
{
	static char buf[8][8192];
	static int at;
	size_t n = strlen(name);

	for (const char *p = arg; p && *p; p = strchr(p, '\n') ? strchr(p, '\n') + 1 : NULL) {
		if (strncmp(p, name, n) || p[n] != '=')
			continue;
		at = (at + 1) % 8;
		snprintf(buf[at], sizeof(buf[at]), "%.*s", (int)strcspn(p + n + 1, "\n"), p + n + 1);
		return buf[at];
	}
	return NULL;
}

#define ADD "CNI_COMMAND=ADD\nCNI_CONTAINERID=c1\nCNI_NETNS=/run/netns/x\nCNI_IFNAME=eth0\n"
#define CONF "\"cniVersion\":\"1.0.0\",\"name\":\"n\",\"type\":\"cellwall-cni\""
#define PREV ",\"prevResult\":{\"ips\":[]}"

static void reads(void **state)
{
	static const struct { const char *env, *in; int code; const char *say; } t[] = {
		{ ADD, "{" CONF PREV "}", 0, "" },
		{ ADD "CNI_ARGS=IgnoreUnknown=1;K8S_POD_NAMESPACE=shop;K8S_POD_NAME=web-1;K8S_POD_UID=1-2;Other=;;\n", "{" CONF PREV "}", 0, "" },
		{ ADD, "{" CONF PREV ",\"agentDown\":\"closed\",\"timeout\":\"2s\",\"socket\":\"/a/b.sock\"}", 0, "" },
		{ ADD, "{" CONF "}", CNI_E_CONFIG, "in a chain" },
		{ ADD, "{" CONF ",\"prevResult\":null}", CNI_E_CONFIG, "in a chain" },
		{ ADD, "{" CONF ",\"prevResult\":[]}", CNI_E_DECODE, "prevResult" },
		{ ADD, "[]", CNI_E_DECODE, "standard input" }, { ADD, "", CNI_E_DECODE, "standard input" },
		{ ADD, "{\"name\":\"n\"" PREV "}", CNI_E_VERSION, "0.1.0" },
		{ ADD, "{\"cniVersion\":7}", CNI_E_CONFIG, "cniVersion" },
		{ ADD, "{\"cniVersion\":\"1.2.0\",\"name\":\"n\"" PREV "}", CNI_E_VERSION, "1.2.0" },
		{ ADD, "{\"cniVersion\":\"1.0.0\"" PREV "}", CNI_E_CONFIG, "name" },
		{ ADD, "{" CONF PREV ",\"agentDown\":\"maybe\"}", CNI_E_CONFIG, "agentDown" },
		{ ADD, "{" CONF PREV ",\"timeout\":\"1h\"}", CNI_E_CONFIG, "timeout" },
		{ ADD, "{" CONF PREV ",\"timeout\":5}", CNI_E_CONFIG, "timeout" },
		{ ADD, "{" CONF PREV ",\"socket\":\"x\"}", CNI_E_CONFIG, "socket" },
		{ ADD, "{" CONF PREV ",\"socket\":\"/dir/\"}", CNI_E_CONFIG, "socket" },
		{ "CNI_COMMAND=ADD\nCNI_NETNS=/x\nCNI_IFNAME=eth0\n", "{" CONF PREV "}", CNI_E_ENV, "CNI_CONTAINERID" },
		{ "CNI_COMMAND=ADD\nCNI_CONTAINERID=../x\nCNI_NETNS=/x\nCNI_IFNAME=eth0\n", "{" CONF PREV "}", CNI_E_ENV, "CNI_CONTAINERID" },
		{ "CNI_COMMAND=ADD\nCNI_CONTAINERID=c\nCNI_IFNAME=eth0\n", "{" CONF PREV "}", CNI_E_ENV, "CNI_NETNS" },
		{ "CNI_COMMAND=ADD\nCNI_CONTAINERID=c\nCNI_NETNS=x\nCNI_IFNAME=eth0\n", "{" CONF PREV "}", CNI_E_ENV, "CNI_NETNS" },
		{ "CNI_COMMAND=ADD\nCNI_CONTAINERID=c\nCNI_NETNS=/x\n", "{" CONF PREV "}", CNI_E_ENV, "CNI_IFNAME" },
		{ "CNI_COMMAND=ADD\nCNI_CONTAINERID=c\nCNI_NETNS=/x\nCNI_IFNAME=0123456789abcdef\n", "{" CONF PREV "}", CNI_E_ENV, "CNI_IFNAME" },
		{ ADD "CNI_ARGS=K8S_POD_NAME=x\n", "{" CONF PREV "}", CNI_E_ENV, "half a pod" },
		{ ADD "CNI_ARGS=x\n", "{" CONF PREV "}", CNI_E_ENV, "KEY=VALUE" },
		{ ADD "CNI_ARGS=K8S_POD_NAMESPACE=A_B;K8S_POD_NAME=x\n", "{" CONF PREV "}", CNI_E_ENV, "namespace" },
		{ "CNI_COMMAND=DEL\nCNI_CONTAINERID=c\nCNI_IFNAME=eth0\n", "{" CONF "}", 0, "" },
		{ "CNI_COMMAND=CHECK\nCNI_CONTAINERID=c\nCNI_NETNS=/x\nCNI_IFNAME=eth0\n", "{\"cniVersion\":\"0.3.1\",\"name\":\"n\"" PREV "}", CNI_E_VERSION, "CHECK" },
		{ "CNI_COMMAND=GC\n", "{\"cniVersion\":\"1.1.0\",\"name\":\"n\"}", CNI_E_CONFIG, "attachments" },
		{ "CNI_COMMAND=GC\n", "{\"cniVersion\":\"1.1.0\",\"name\":\"n\",\"cni.dev/valid-attachments\":{}}", CNI_E_CONFIG, "a list" },
		{ "CNI_COMMAND=GC\n", "{\"cniVersion\":\"1.1.0\",\"name\":\"n\",\"cni.dev/valid-attachments\":[]}", 0, "" },
		{ "CNI_COMMAND=STATUS\n", "{\"cniVersion\":\"1.0.0\",\"name\":\"n\"}", CNI_E_VERSION, "STATUS" },
		{ "CNI_COMMAND=VERSION\n", "{\"cniVersion\":\"9.0.0\"}", 0, "" },
		{ "CNI_COMMAND=FIX\n", "{}", CNI_E_ENV, "CNI_COMMAND" }, { "", "{}", CNI_E_ENV, "CNI_COMMAND" },
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(t); i++) {
		struct cni_error e;
		struct cni_call c;
		int r = cni_call_read(env, (void *)t[i].env, t[i].in, strlen(t[i].in), &c, &e);

		if (r != (t[i].code ? -EINVAL : 0) || (int)e.code != t[i].code ||
		    !(strstr(e.msg, t[i].say) || strstr(e.details, t[i].say)))
			print_message("  case %zu: %d code %d '%s' '%s'\n", i, r, (int)e.code, e.msg, e.details);
		assert_int_equal(r, t[i].code ? -EINVAL : 0);
		assert_int_equal(e.code, t[i].code);
		assert_true(strstr(e.msg, t[i].say) || strstr(e.details, t[i].say));
	}
}

static void bodies(void **state)
{
	auto_cleanup(buf_done) struct buf b;
	struct cni_error e;
	struct cni_call c;
	static const char in[] = "{" CONF ",\"prevResult\":{\"ips\":[ 1.50 ]} }";
	char args[] = ADD "CNI_ARGS=K8S_POD_NAMESPACE=shop;K8S_POD_NAME=web;K8S_POD_UID=u\n";

	(void)state;
	assert_int_equal(cni_call_read(env, args, in, strlen(in), &c, &e), 0);
	assert_string_equal(c.socket, CNI_SOCKET_DEFAULT);
	assert_string_equal(c.dir, "/run/cellwall/cni");
	assert_false(c.closed);
	assert_int_equal(c.timeout_ms, CNI_TIMEOUT_MS);
	buf_init(&b, 4096);
	cni_call_body(&c, &b);
	assert_string_equal(b.data, "{\"network\":\"n\",\"containerID\":\"c1\",\"ifname\":\"eth0\",\"netns\":\"/run/netns/x\","
			    "\"namespace\":\"shop\",\"name\":\"web\",\"uid\":\"u\",\"result\":{\"ips\":[ 1.50 ]}}");
	buf_done(&b);
	buf_init(&b, 4096);
	cni_json_str(&b, "a\"\\\n\x7f");
	assert_string_equal(b.data, "\"a\\\"\\\\\\u000a\\u007f\"");
}

static void answers(void **state)
{
	static const struct { const char *s; int r, status; const char *body; } t[] = {
		{ "HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\n{}", 0, 200, "{}" },
		{ "HTTP/1.1 200 OK\r\nContent-Length:  2\r\n\r\n{}tail", 0, 200, "{}" },
		{ "HTTP/1.1 404 Not Found\r\n\r\nall", 0, 404, "all" },
		{ "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nab\r\nA\r\n0123456789\r\n0\r\n\r\n", 0, 200, "ab0123456789" },
		{ "HTTP/1.1 200 OK\r\ncontent-length: 3\r\n\r\n{}", -EPROTO, 0, NULL },
		{ "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n5\r\nab\r\n", -EPROTO, 0, NULL },
		{ "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\nzz\r\nab\r\n", -EPROTO, 0, NULL },
		{ "HTTP/1.1 999 What\r\n\r\n", -EPROTO, 0, NULL }, { "HTTP/1.1 200", -EPROTO, 0, NULL }, { "SSH-2.0\r\n\r\n", -EPROTO, 0, NULL },
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(t); i++) {
		struct ask_answer a = { };

		assert_int_equal(ask_parse(t[i].s, strlen(t[i].s), &a), t[i].r);
		if (!t[i].r) {
			assert_int_equal(a.status, t[i].status);
			assert_string_equal(a.body, t[i].body);
		}
		free(a.body);
	}
}

/* Nobody at the socket: what passes and what does not. */
static void no_agent(void **state)
{
	char dir[] = "/tmp/cw-cni-XXXXXX", in[512], envs[512];
	static const struct { const char *cmd, *down; int rc; const char *out, *note; } t[] = {
		{ "ADD", "open", 0, "{\"ips\":[],\"x\":1e3}\n", "yes" }, { "DEL", "open", 0, "", "no" },
		{ "ADD", "closed", 1, "\"code\":11", "no" }, { "CHECK", "closed", 1, "\"code\":11", "no" },
		{ "CHECK", "open", 0, "", "no" }, { "STATUS", "open", 0, "", "no" }, { "STATUS", "closed", 1, "\"code\":50", "no" },
		{ "GC", "open", 1, "\"code\":11", "no" },
	};

	(void)state;
	assert_non_null(mkdtemp(dir));
	for (size_t i = 0; i < ARRAY_SIZE(t); i++) {
		auto_cleanup(buf_done) struct buf out, err;
		char note[128];

		buf_init(&out, 4096);
		buf_init(&err, 4096);
		snprintf(in, sizeof(in), "{\"cniVersion\":\"1.1.0\",\"name\":\"n\",\"socket\":\"%s/api.sock\",\"agentDown\":\"%s\",\"timeout\":\"50ms\","
			 "\"prevResult\":{\"ips\":[],\"x\":1e3},\"cni.dev/valid-attachments\":[]}", dir, t[i].down);
		snprintf(envs, sizeof(envs), "CNI_COMMAND=%s\nCNI_CONTAINERID=c1\nCNI_NETNS=/x\nCNI_IFNAME=eth0\n", t[i].cmd);
		assert_int_equal(cni_run(env, envs, in, strlen(in), &out, &err), t[i].rc);
		if (*t[i].out)
			assert_non_null(strstr(out.data, t[i].out));
		else
			assert_int_equal(out.len, 0);
		snprintf(note, sizeof(note), "%s/cni/c1.eth0", dir);
		assert_int_equal(!access(note, F_OK), *t[i].note == 'y');
	}
	snprintf(in, sizeof(in), "%s/cni", dir);
	assert_int_equal(rmdir(in), 0);
	assert_int_equal(rmdir(dir), 0);
}

static void records(void **state)
{
	char dir[] = "/tmp/cw-cni-XXXXXX", path[64];
	auto_free char *text = NULL;

	(void)state;
	assert_non_null(mkdtemp(dir));
	assert_int_equal(cni_record_put(dir, "id", "eth0", "{}", 2), 0);
	assert_int_equal(cni_record_put(dir, "id", "eth0", "{ }", 3), 0);
	snprintf(path, sizeof(path), "%s/id.eth0", dir);
	assert_int_equal(read_all_path(path, 100, &text, NULL), 0);
	assert_string_equal(text, "{ }");
	/* Open to others: not believed, so not used. */
	assert_int_equal(chmod(dir, 0777), 0);
	assert_int_equal(cni_record_put(dir, "id", "eth1", "{}", 2), -EPERM);
	assert_int_equal(chmod(dir, 0700), 0);
	assert_int_equal(cni_record_del(dir, "id", "eth0"), 0);
	assert_int_equal(cni_record_del(dir, "id", "eth0"), 0);
	assert_int_equal(rmdir(dir), 0);
	assert_int_equal(cni_record_del(dir, "id", "eth0"), 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = { cmocka_unit_test(reads), cmocka_unit_test(bodies), cmocka_unit_test(answers),
					    cmocka_unit_test(no_agent), cmocka_unit_test(records) };

	return cmocka_run_group_tests(tests, NULL, NULL);
}
