/* SPDX-License-Identifier: Apache-2.0 */
#include "cni-adapters/plugin/call.h"

#include <ctype.h>
#include <errno.h>
#include <string.h>

#include "base/buf.h"
#include "base/cleanup.h"
#include "base/strparse.h"

static const char *const versions[] = { "0.3.0", "0.3.1", "0.4.0", "1.0.0", "1.1.0" };
#define VERSION_040 2
#define VERSION_110 4

int cni_fail(struct cni_error *e, enum cni_code code, const char *msg, const char *fmt, ...)
{
	va_list ap;

	e->code = code;
	snprintf(e->msg, sizeof(e->msg), "%s", msg);
	va_start(ap, fmt);
	vsnprintf(e->details, sizeof(e->details), fmt, ap);
	va_end(ap);
	return -EINVAL;
}

static int version_index(const char *v)
{
	for (int i = 0; i < (int)ARRAY_SIZE(versions); i++)
		if (!strcmp(v, versions[i]))
			return i;
	return -1;
}

/* ---- environment ---------------------------------------------------------------------------- */

static bool id_ok(const char *s)
{
	if (!isalnum((unsigned char)*s) || strlen(s) > CNI_ID_MAX)
		return false;
	for (; *s; s++)
		if (!isalnum((unsigned char)*s) && !strchr("_.-", *s))
			return false;
	return true;
}

static bool ifname_ok(const char *s)
{
	if (!*s || strlen(s) > CNI_IFNAME_MAX || !strcmp(s, ".") || !strcmp(s, ".."))
		return false;
	for (; *s; s++)
		if (*s == '/' || *s == ':' || isspace((unsigned char)*s) || iscntrl((unsigned char)*s))
			return false;
	return true;
}

static int args_one(const char *k, size_t klen, const char *v, size_t vlen, struct cni_call *c,
		    struct cni_error *e)
{
	const struct { const char *key; char *to; size_t max; } known[] = {
		{ "K8S_POD_NAMESPACE", c->pod_ns, sizeof(c->pod_ns) },
		{ "K8S_POD_NAME", c->pod_name, sizeof(c->pod_name) },
		{ "K8S_POD_UID", c->pod_uid, sizeof(c->pod_uid) },
	};

	for (size_t i = 0; i < ARRAY_SIZE(known); i++) {
		if (strlen(known[i].key) != klen || memcmp(known[i].key, k, klen))
			continue;
		if (vlen >= known[i].max)
			return cni_fail(e, CNI_E_ENV, "CNI_ARGS: a value is too long", "%s, %zu bytes", known[i].key, vlen);
		memcpy(known[i].to, v, vlen);
		known[i].to[vlen] = 0;
	}
	return 0;
}

/* KEY=VALUE;KEY=VALUE. Keys of others are theirs, IgnoreUnknown or not. */
static int args_read(const char *s, struct cni_call *c, struct cni_error *e)
{
	int r = 0;

	if (strlen(s) > 65536)
		return cni_fail(e, CNI_E_ENV, "CNI_ARGS is too long", "at most 65536 bytes");
	while (*s && !r) {
		size_t n = strcspn(s, ";");
		const char *eq = memchr(s, '=', n);

		if (n && !eq)
			return cni_fail(e, CNI_E_ENV, "CNI_ARGS is not KEY=VALUE;...", "at \"%.*s\"", (int)(n < 60 ? n : 60), s);
		if (n)
			r = args_one(s, (size_t)(eq - s), eq + 1, n - (size_t)(eq - s) - 1, c, e);
		s += n + (s[n] == ';');
	}
	if (r)
		return r;
	if (*c->pod_ns && !is_dns_label(c->pod_ns))
		return cni_fail(e, CNI_E_ENV, "K8S_POD_NAMESPACE is no namespace", "\"%s\"", c->pod_ns);
	if (*c->pod_name && !is_dns_name(c->pod_name))
		return cni_fail(e, CNI_E_ENV, "K8S_POD_NAME is no name of a pod", "\"%s\"", c->pod_name);
	if (*c->pod_uid && !id_ok(c->pod_uid))
		return cni_fail(e, CNI_E_ENV, "K8S_POD_UID is no uid", "\"%s\"", c->pod_uid);
	if (!*c->pod_ns != !*c->pod_name)
		return cni_fail(e, CNI_E_ENV, "CNI_ARGS names half a pod", "K8S_POD_NAMESPACE and K8S_POD_NAME belong together");
	return 0;
}

static int env_read(cni_env_fn *env, void *arg, struct cni_call *c, struct cni_error *e)
{
	const char *id = env(arg, "CNI_CONTAINERID") ?: "", *netns = env(arg, "CNI_NETNS") ?: "";
	const char *ifname = env(arg, "CNI_IFNAME") ?: "", *args = env(arg, "CNI_ARGS") ?: "";

	if (c->command > CNI_CHECK)
		return 0;
	if (!id_ok(id))
		return cni_fail(e, CNI_E_ENV, "CNI_CONTAINERID is missing or wrong",
				"letters, digits, '.', '_', '-', at most %u", CNI_ID_MAX);
	if (!ifname_ok(ifname))
		return cni_fail(e, CNI_E_ENV, "CNI_IFNAME is missing or wrong", "the name of an interface, at most %u bytes",
				CNI_IFNAME_MAX);
	if (c->command != CNI_DEL && *netns != '/')
		return cni_fail(e, CNI_E_ENV, "CNI_NETNS is missing or wrong", "an absolute path");
	if (strlen(netns) >= sizeof(c->netns))
		return cni_fail(e, CNI_E_ENV, "CNI_NETNS is too long", "at most %zu bytes", sizeof(c->netns) - 1);
	snprintf(c->id, sizeof(c->id), "%s", id);
	snprintf(c->ifname, sizeof(c->ifname), "%s", ifname);
	snprintf(c->netns, sizeof(c->netns), "%s", netns);
	return args_read(args, c, e);
}

/* ---- configuration -------------------------------------------------------------------------- */

static int conf_str(const struct cni_call *c, const char *key, const char *dflt, char *to, size_t max,
		    struct cni_error *e)
{
	int r = span_get_str(c->conf, key, to, max);

	if (r == -ENOENT) {
		snprintf(to, max, "%s", dflt);
		return 0;
	}
	return r ? cni_fail(e, CNI_E_CONFIG, "a field has a wrong value", "%s: a string of at most %zu bytes", key,
			    max - 1) : 0;
}

static int conf_read(struct cni_call *c, struct cni_error *e)
{
	char down[16], timeout[32], dir[108];
	uint64_t ms;
	char *slash;
	int r;

	r = conf_str(c, "name", "", c->network, sizeof(c->network), e);
	r = r ?: conf_str(c, "socket", CNI_SOCKET_DEFAULT, c->socket, sizeof(c->socket), e);
	r = r ?: conf_str(c, "agentDown", "open", down, sizeof(down), e);
	r = r ?: conf_str(c, "timeout", "10s", timeout, sizeof(timeout), e);
	if (r)
		return r;
	if (!*c->network)
		return cni_fail(e, CNI_E_CONFIG, "the network has no name", "name: a string");
	if (*c->socket != '/' || !(slash = strrchr(c->socket, '/')) || !slash[1])
		return cni_fail(e, CNI_E_CONFIG, "a field has a wrong value", "socket: an absolute path, not \"%s\"", c->socket);
	snprintf(dir, sizeof(dir), "%.*s", (int)(slash - c->socket), c->socket);
	snprintf(c->dir, sizeof(c->dir), "%s/cni", dir);
	if (strcmp(down, "open") && strcmp(down, "closed"))
		return cni_fail(e, CNI_E_CONFIG, "a field has a wrong value", "agentDown: open or closed, not \"%s\"", down);
	c->closed = !strcmp(down, "closed");
	if (parse_duration_ms(timeout, CNI_TIMEOUT_MS_MAX, &ms) || !ms)
		return cni_fail(e, CNI_E_CONFIG, "a field has a wrong value", "timeout: a time like 10s, at most %us, not \"%s\"",
				CNI_TIMEOUT_MS_MAX / 1000, timeout);
	c->timeout_ms = (uint32_t)ms;
	return 0;
}

static int version_read(struct cni_call *c, struct cni_error *e)
{
	char v[32];
	int r = span_get_str(c->conf, "cniVersion", v, sizeof(v));

	/* Before 0.2.0 it could be left out. */
	if (r == -ENOENT)
		snprintf(v, sizeof(v), "0.1.0");
	else if (r)
		return cni_fail(e, CNI_E_CONFIG, "a field has a wrong value", "cniVersion: a version");
	if (version_index(v) >= 0) {
		snprintf(c->version, sizeof(c->version), "%s", versions[version_index(v)]);
		return 0;
	}
	if (c->command == CNI_VERSION)
		return 0; /* is answered with what there is */
	return cni_fail(e, CNI_E_VERSION, "incompatible CNI version", "the configuration is %s; supported are 0.3.0, 0.3.1, "
			"0.4.0, 1.0.0 and 1.1.0", v);
}

/* What a command needs beside. */
static int command_needs(struct cni_call *c, struct cni_error *e)
{
	int v = version_index(c->version);
	struct span valid;

	if (c->command == CNI_CHECK && v < VERSION_040)
		return cni_fail(e, CNI_E_VERSION, "incompatible CNI version", "CHECK came with 0.4.0, the configuration is %s",
				c->version);
	if ((c->command == CNI_GC || c->command == CNI_STATUS) && v < VERSION_110)
		return cni_fail(e, CNI_E_VERSION, "incompatible CNI version",
				"GC and STATUS came with 1.1.0, the configuration is %s", c->version);
	if (!span_get(c->conf, "prevResult", &c->prev) && span_kind(c->prev) != '{') {
		if (span_kind(c->prev) != 'n')
			return cni_fail(e, CNI_E_DECODE, "prevResult is no object", "it must be the result of the plugin before");
		c->prev = (struct span){ };
	}
	if ((c->command == CNI_ADD || c->command == CNI_CHECK) && !c->prev.p)
		return cni_fail(e, CNI_E_CONFIG, "cellwall-cni must stand in a chain",
				"there is no prevResult: put it last in \"plugins\" of a conflist, behind the plugin that makes the interface");
	if (c->command != CNI_GC)
		return 0;
	if (span_get(c->conf, "cni.dev/valid-attachments", &valid) && span_get(c->conf, "cni.dev/attachments", &valid))
		return cni_fail(e, CNI_E_CONFIG, "GC without a list of attachments", "cni.dev/valid-attachments is missing");
	if (span_kind(valid) != '[')
		return cni_fail(e, CNI_E_CONFIG, "a field has a wrong value", "cni.dev/valid-attachments: a list");
	c->valid = valid;
	return 0;
}

int cni_call_read(cni_env_fn *env, void *arg, const char *in, size_t len, struct cni_call *ret,
		  struct cni_error *e)
{
	static const char *const commands[] = { "ADD", "DEL", "CHECK", "GC", "STATUS", "VERSION" };
	const char *cmd = env(arg, "CNI_COMMAND") ?: "";
	size_t i, at = 0;
	int r;

	memset(ret, 0, sizeof(*ret));
	memset(e, 0, sizeof(*e));
	snprintf(ret->version, sizeof(ret->version), "1.1.0");
	for (i = 0; i < ARRAY_SIZE(commands) && strcmp(cmd, commands[i]); i++)
		;
	if (i == ARRAY_SIZE(commands))
		return cni_fail(e, CNI_E_ENV, "CNI_COMMAND is missing or unknown", "one of ADD, DEL, CHECK, GC, STATUS, VERSION");
	ret->command = (enum cni_command)i;
	r = span_read(in, len, &ret->conf, &at);
	if (r == -E2BIG)
		return cni_fail(e, CNI_E_DECODE, "the configuration is nested too deep", "at most %u levels", SPAN_DEPTH_MAX);
	if (r || span_kind(ret->conf) != '{')
		return cni_fail(e, CNI_E_DECODE, "standard input is no configuration", "a JSON object, fault at byte %zu", at);
	r = version_read(ret, e);
	if (r || ret->command == CNI_VERSION)
		return r;
	r = env_read(env, arg, ret, e);
	r = r ?: conf_read(ret, e);
	return r ?: command_needs(ret, e);
}

/* ---- what is written ------------------------------------------------------------------------ */

void cni_json_str(struct buf *b, const char *s)
{
	buf_add(b, "\"", 1);
	for (; *s; s++) {
		unsigned char ch = (unsigned char)*s;

		if (ch < 0x20 || ch == 0x7f)
			buf_printf(b, "\\u%04x", ch);
		else if (ch == '"' || ch == '\\')
			buf_printf(b, "\\%c", ch);
		else
			buf_add(b, s, 1);
	}
	buf_add(b, "\"", 1);
}

static void member(struct buf *b, const char *key, const char *value)
{
	if (!*value)
		return;
	buf_printf(b, ",\"%s\":", key);
	cni_json_str(b, value);
}

void cni_call_body(const struct cni_call *c, struct buf *b)
{
	buf_adds(b, "{\"network\":");
	cni_json_str(b, c->network);
	member(b, "containerID", c->id);
	member(b, "ifname", c->ifname);
	member(b, "netns", c->netns);
	if (*c->pod_ns) {
		member(b, "namespace", c->pod_ns);
		member(b, "name", c->pod_name);
		member(b, "uid", c->pod_uid);
	}
	if (c->command == CNI_GC) {
		buf_adds(b, ",\"valid\":");
		buf_add(b, c->valid.p, c->valid.n);
	} else if (c->prev.p) {
		buf_adds(b, ",\"result\":");
		buf_add(b, c->prev.p, c->prev.n);
	}
	buf_adds(b, "}");
}

void cni_error_json(const struct cni_call *c, const struct cni_error *e, struct buf *b)
{
	buf_adds(b, "{\"cniVersion\":");
	cni_json_str(b, c->version);
	buf_printf(b, ",\"code\":%d,\"msg\":", (int)e->code);
	cni_json_str(b, e->msg);
	member(b, "details", e->details);
	buf_adds(b, "}\n");
}

void cni_version_json(const struct cni_call *c, struct buf *b)
{
	buf_adds(b, "{\"cniVersion\":");
	cni_json_str(b, c->version);
	buf_adds(b, ",\"supportedVersions\":[");
	for (size_t i = 0; i < ARRAY_SIZE(versions); i++)
		buf_printf(b, "%s\"%s\"", i ? "," : "", versions[i]);
	buf_adds(b, "]}\n");
}
