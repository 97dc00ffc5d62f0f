/* SPDX-License-Identifier: Apache-2.0 */
/* The kubeconfig format, v1: named clusters, users and contexts; fields that change nothing here are
 * passed over, those that would change who we are and cannot be honoured are refused. */
#include <errno.h>
#include <limits.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "base/cleanup.h"
#include "base/file.h"
#include "base/json.h"
#include "base/strparse.h"
#include "kube/base64.h"
#include "kube/config.h"
#include "kube/config_priv.h"

#define PATH_TEXT_MAX 320

struct reading {
	const char *file, *dir;
	struct yaml_docs docs;
	struct fail_list *f;
	unsigned faults;
	void (*warn)(void *arg, const char *text);
	void *arg;
	char where[PATH_TEXT_MAX]; /* "users[name=admin].user" */
	int err;		   /* -ENOMEM */
};

/* One fault at where.field, at the line of the node. */
static void fault(struct reading *d, const cJSON *node, const char *field, const char *name, const char *expected,
		  const char *next, const char *fmt, ...) __attribute__((format(printf, 7, 8)));
static void fault(struct reading *d, const cJSON *node, const char *field, const char *name, const char *expected,
		  const char *next, const char *fmt, ...)
{
	unsigned line = node ? yaml_line(&d->docs, node) : 0;
	auto_free char *at = NULL, *text = NULL;
	char colon[16] = "";
	va_list ap;

	d->faults++;
	if (line)
		snprintf(colon, sizeof(colon), ":%u", line);
	va_start(ap, fmt);
	if (vasprintf(&text, fmt, ap) < 0)
		text = NULL;
	va_end(ap);
	if (asprintf(&at, "%s%s%s%s%s%s", d->file, colon, d->where[0] || field ? ", " : "", d->where,
		     d->where[0] && field ? "." : "", field ?: "") < 0)
		at = NULL;
	(void)fail_add(d->f, -EINVAL, name, at, expected, next, "%s", text ?: "out of memory");
}

static void warn(struct reading *d, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
static void warn(struct reading *d, const char *fmt, ...)
{
	auto_free char *text = NULL;
	va_list ap;

	if (!d->warn)
		return;
	va_start(ap, fmt);
	if (vasprintf(&text, fmt, ap) < 0)
		text = NULL;
	va_end(ap);
	if (text)
		d->warn(d->arg, text);
}

/* A string field; NULL when absent, null, empty, or of another type (then a fault). */
static const char *text_of(struct reading *d, const cJSON *obj, const char *key)
{
	const cJSON *v = json_get(obj, key);

	if (!v || cJSON_IsNull(v))
		return NULL;
	if (!cJSON_IsString(v)) {
		fault(d, v, key, "kubeconfig.type", "a string", NULL, "the field is no string");
		return NULL;
	}
	return *v->valuestring ? v->valuestring : NULL;
}

static bool bool_of(struct reading *d, const cJSON *obj, const char *key)
{
	const cJSON *v = json_get(obj, key);

	if (!v || cJSON_IsNull(v))
		return false;
	if (!cJSON_IsBool(v))
		fault(d, v, key, "kubeconfig.type", "true or false", NULL, "the field is neither true nor false");
	return cJSON_IsTrue(v);
}

static char *own(struct reading *d, const char *s)
{
	char *c = s ? strdup(s) : NULL;

	if (s && !c)
		d->err = -ENOMEM;
	return c;
}

static char *path_own(struct reading *d, const char *s)
{
	char *p = NULL;

	if (*s == '/' || !d->dir)
		return own(d, s);
	if (asprintf(&p, "%s/%s", d->dir, s) < 0) {
		p = NULL;
		d->err = -ENOMEM;
	}
	return p;
}

/* list[name=want].key, or NULL with a fault. Duplicate names: the first one counts, as for kubectl. */
static const cJSON *named(struct reading *d, const cJSON *root, const char *list, const char *key, const char *want)
{
	const cJSON *l = json_get(root, list), *e;

	d->where[0] = '\0';
	if (!cJSON_IsArray(l)) {
		fault(d, l ?: root, list, "kubeconfig.field", "a list of {name, ...}", NULL, "%s is no list", list);
		return NULL;
	}
	cJSON_ArrayForEach(e, l) {
		const char *name = json_str(e, "name");
		const cJSON *v;

		if (!name || strcmp(name, want))
			continue;
		snprintf(d->where, sizeof(d->where), "%s[name=%.200s].%s", list, want, key);
		v = json_get(e, key);
		if (cJSON_IsObject(v))
			return v;
		fault(d, v ?: e, NULL, "kubeconfig.field", "an object", NULL, "it is no object");
		return NULL;
	}
	fault(d, l, list, "kubeconfig.missing-name", "an entry of that name", NULL, "there is no \"%s\"", want);
	return NULL;
}

/* base64 PEM in key-data, or a file in key; data wins, as for kubectl. */
static char *pem_of(struct reading *d, const cJSON *obj, const char *key, bool secret, char **ret_path)
{
	char data_key[64];
	const char *data, *path;
	auto_cleanup(kube_secret_freep) char *pem = NULL;
	auto_free char *full = NULL;
	struct stat st;
	size_t len = 0;
	int r;

	snprintf(data_key, sizeof(data_key), "%s-data", key);
	data = text_of(d, obj, data_key);
	path = text_of(d, obj, key);
	if (!data && !path)
		return NULL;
	if (data) {
		r = base64_decode(data, KUBE_PEM_BYTES_MAX, &pem, &len);
	} else {
		full = path_own(d, path);
		r = full ? read_all_path(full, KUBE_PEM_BYTES_MAX, &pem, &len) : -ENOMEM;
		if (secret && r == 0 && stat(full, &st) == 0 && (st.st_mode & 077))
			warn(d, "the key %s can be read by others than its owner", full);
	}
	key = data ? data_key : key;
	if (r == -ENOMEM) {
		d->err = r;
	} else if (r == -E2BIG) {
		fault(d, json_get(obj, key), key, "kubeconfig.pem", "PEM text", NULL, "it is larger than %u bytes",
		      KUBE_PEM_BYTES_MAX);
	} else if (r < 0 && data) {
		fault(d, json_get(obj, key), key, "kubeconfig.base64", "PEM text in base64", NULL, "it is not base64");
	} else if (r < 0) {
		fault(d, json_get(obj, key), key, "kubeconfig.file", "a file that can be read", NULL,
		      "%s cannot be read: %s", full, strerror(-r));
	} else if (strlen(pem) != len || !kube_is_pem(pem)) {
		fault(d, json_get(obj, key), key, "kubeconfig.pem", "PEM text (-----BEGIN ...)", NULL, "it is no PEM");
	} else {
		*ret_path = take_ptr(full);
		return take_ptr(pem);
	}
	return NULL;
}

static void read_cluster(struct reading *d, const cJSON *c, struct kube_config *to)
{
	const char *s = text_of(d, c, "server"), *proxy = text_of(d, c, "proxy-url");
	size_t n;

	if (!s) {
		fault(d, json_get(c, "server") ?: c, "server", "kubeconfig.server", "https://host:port", NULL,
		      "the cluster has no server");
	} else if (strncmp(s, "https://", 8) && strncmp(s, "http://", 7)) {
		fault(d, json_get(c, "server"), "server", "kubeconfig.server", "https://host:port", NULL,
		      "it is no https or http URL");
	} else {
		to->server = own(d, s);
		n = to->server ? strlen(to->server) : 0;
		while (n && to->server[n - 1] == '/')
			to->server[--n] = '\0';
		if (!strncmp(s, "http://", 7))
			warn(d, "%s: the API server is talked to without encryption", d->file);
	}
	if (proxy && strncmp(proxy, "http://", 7) && strncmp(proxy, "https://", 8) && strncmp(proxy, "socks5://", 9))
		fault(d, json_get(c, "proxy-url"), "proxy-url", "kubeconfig.proxy", "http://, https:// or socks5://",
		      NULL, "it is no URL of a proxy");
	to->proxy = own(d, proxy);
	to->tls_server_name = own(d, text_of(d, c, "tls-server-name"));
	if (to->tls_server_name && !is_dns_name(to->tls_server_name))
		fault(d, json_get(c, "tls-server-name"), "tls-server-name", "kubeconfig.server-name", "a DNS name",
		      NULL, "it is no DNS name");
	to->insecure = bool_of(d, c, "insecure-skip-tls-verify");
	to->ca_pem = pem_of(d, c, "certificate-authority", false, &to->ca_path);
	if (to->insecure && to->ca_pem)
		fault(d, json_get(c, "insecure-skip-tls-verify"), "insecure-skip-tls-verify", "kubeconfig.insecure",
		      "one of the two", NULL, "a certificate authority is given and not to be looked at");
	else if (to->insecure)
		warn(d, "%s: insecure-skip-tls-verify is set: anybody on the path can pose as the API server",
		     d->file);
}

/* The strings of a list into a NULL-terminated one. */
static char **strings_of(struct reading *d, const cJSON *obj, const char *key, size_t max,
			 char *(*one)(struct reading *d, const cJSON *e))
{
	const cJSON *l = json_get(obj, key), *e;
	bool list = l && cJSON_IsArray(l);
	size_t n = 0;
	char **v;

	if (l && !cJSON_IsNull(l) && !list)
		fault(d, l, key, "kubeconfig.type", "a list", NULL, "the field is no list");
	v = calloc((size_t)(list ? cJSON_GetArraySize(l) : 0) + 1, sizeof(*v));
	if (!v)
		d->err = -ENOMEM;
	for (e = list && v ? l->child : NULL; e; e = e->next) {
		if (n == max) {
			fault(d, e, key, "kubeconfig.exec", "fewer of them", NULL, "more than %zu are given", max);
			break;
		}
		v[n] = one(d, e);
		if (!v[n]) {
			fault(d, e, key, "kubeconfig.exec", "text", NULL, "an entry cannot be used");
			break;
		}
		n++;
	}
	return v;
}

static char *arg_of(struct reading *d, const cJSON *e)
{
	return own(d, cJSON_GetStringValue(e));
}

static char *env_of(struct reading *d, const cJSON *e)
{
	const char *name = json_str(e, "name"), *value = json_str(e, "value");
	char *s = NULL;

	if (!name || !*name || strchr(name, '='))
		return NULL;
	if (asprintf(&s, "%s=%s", name, value ?: "") < 0) {
		s = NULL;
		d->err = -ENOMEM;
	}
	return s;
}

static void read_exec(struct reading *d, const cJSON *x, struct kube_config *to)
{
	const char *api, *command, *mode;
	struct kube_exec *e;

	if (!cJSON_IsObject(x)) {
		fault(d, x, "exec", "kubeconfig.type", "an object", NULL, "the field is no object");
		return;
	}
	to->exec = e = calloc(1, sizeof(*e));
	if (!e) {
		d->err = -ENOMEM;
		return;
	}
	strncat(d->where, ".exec", sizeof(d->where) - strlen(d->where) - 1);
	api = text_of(d, x, "apiVersion");
	command = text_of(d, x, "command");
	mode = text_of(d, x, "interactiveMode");
	if (!api || (strcmp(api, "client.authentication.k8s.io/v1") && strcmp(api, "client.authentication.k8s.io/v1beta1")))
		fault(d, json_get(x, "apiVersion") ?: x, "apiVersion", "kubeconfig.exec",
		      "client.authentication.k8s.io/v1 or /v1beta1", NULL, "the version is not known");
	if (!command)
		fault(d, x, "command", "kubeconfig.exec", "a program", NULL, "no command is given");
	if (mode && !strcmp(mode, "Always"))
		fault(d, json_get(x, "interactiveMode"), "interactiveMode", "kubeconfig.exec", "Never or IfAvailable",
		      NULL, "nobody is there to answer the plugin");
	e->api_version = own(d, api);
	e->command = command && strchr(command, '/') ? path_own(d, command) : own(d, command);
	e->hint = own(d, text_of(d, x, "installHint"));
	e->cluster_info = bool_of(d, x, "provideClusterInfo");
	e->args = strings_of(d, x, "args", KUBE_EXEC_ARGS_MAX, arg_of);
	e->env = strings_of(d, x, "env", KUBE_EXEC_ENV_MAX, env_of);
}

static void read_user(struct reading *d, const cJSON *u, struct kube_config *to)
{
	static const struct { const char *key, *name, *expected; } refused[] = {
		{ "username", "kubeconfig.basic-auth", "a client certificate, a token, or an exec plugin" },
		{ "password", "kubeconfig.basic-auth", "a client certificate, a token, or an exec plugin" },
		{ "auth-provider", "kubeconfig.auth-provider", "an exec plugin (Kubernetes removed auth-provider in 1.26)" },
		{ "as", "kubeconfig.impersonation", "a user of its own" },
		{ "as-uid", "kubeconfig.impersonation", "a user of its own" },
		{ "as-groups", "kubeconfig.impersonation", "a user of its own" },
		{ "as-user-extra", "kubeconfig.impersonation", "a user of its own" },
	};
	const char *token, *path;
	const cJSON *x;

	for (size_t i = 0; i < ARRAY_SIZE(refused); i++) {
		x = json_get(u, refused[i].key);
		if (x && !cJSON_IsNull(x))
			fault(d, x, refused[i].key, refused[i].name, refused[i].expected, NULL,
			      "this way to log in is not supported");
	}
	to->cert_pem = pem_of(d, u, "client-certificate", false, &to->cert_path);
	to->key_pem = pem_of(d, u, "client-key", true, &to->key_path);
	if (!to->cert_pem != !to->key_pem && !d->faults)
		fault(d, u, NULL, "kubeconfig.client-certificate", "both, or none", NULL,
		      to->cert_pem ? "a client certificate is given without its key"
				   : "a client key is given without its certificate");
	token = text_of(d, u, "token");
	path = text_of(d, u, "tokenFile");
	to->token = own(d, token);
	if (to->token && !kube_token_trim(to->token))
		fault(d, json_get(u, "token"), "token", "kubeconfig.token", "a bearer token", NULL,
		      "it holds characters no token has");
	if (path)
		to->token_path = path_own(d, path);
	x = json_get(u, "exec");
	if (x && !cJSON_IsNull(x))
		read_exec(d, x, to);
}

static int read_root(struct reading *d, const char *context, struct kube_config *to)
{
	const cJSON *root = d->docs.n ? d->docs.docs[0].root : NULL, *ctx, *part;
	const char *kind = json_str(root, "kind"), *api = json_str(root, "apiVersion"), *cluster, *user, *ns;

	if (d->docs.n != 1 || !cJSON_IsObject(root)) {
		fault(d, NULL, NULL, "kubeconfig.document", "one object of kind Config", NULL,
		      d->docs.n > 1 ? "the file holds several documents" : "the file holds no object");
		return 0;
	}
	if ((kind && strcmp(kind, "Config")) || (api && strcmp(api, "v1"))) {
		fault(d, root, NULL, "kubeconfig.kind", "apiVersion v1, kind Config", NULL, "this is no kubeconfig");
		return 0;
	}
	if (!context)
		context = text_of(d, root, "current-context");
	if (!context) {
		fault(d, json_get(root, "current-context") ?: root, "current-context", "kubeconfig.context",
		      "the name of a context", NULL, "no context is chosen");
		return 0;
	}
	ctx = named(d, root, "contexts", "context", context);
	if (!ctx)
		return 0;
	cluster = text_of(d, ctx, "cluster");
	user = text_of(d, ctx, "user");
	ns = text_of(d, ctx, "namespace");
	if (ns && !is_dns_label(ns))
		fault(d, json_get(ctx, "namespace"), "namespace", "kubeconfig.namespace", "a name of a namespace",
		      NULL, "it is no such name");
	to->namespace_ = own(d, ns ?: "default");
	if (!cluster)
		fault(d, ctx, "cluster", "kubeconfig.context", "the name of a cluster", NULL,
		      "the context names no cluster");
	if (cluster && (part = named(d, root, "clusters", "cluster", cluster)))
		read_cluster(d, part, to);
	if (user && (part = named(d, root, "users", "user", user)))
		read_user(d, part, to);
	if (asprintf(&to->origin, "%s, context %s", d->file, context) < 0) {
		to->origin = NULL;
		return -ENOMEM;
	}
	return d->err;
}

int kube_config_parse(const char *text, size_t len, const char *file, const char *dir, const char *context,
		      struct fail_list *f, void (*warn_fn)(void *arg, const char *text), void *arg,
		      struct kube_config *ret)
{
	struct kube_config c = {};
	struct reading d = { .file = file, .dir = dir, .f = f, .warn = warn_fn, .arg = arg };
	int r;

	if (len > KUBE_CONFIG_BYTES_MAX)
		return fail_add(f, -E2BIG, "kubeconfig.size", file, "a kubeconfig", NULL,
				"the file is larger than %u MiB", KUBE_CONFIG_BYTES_MAX >> 20);
	r = yaml_parse(text, len, file, f, &d.docs);
	if (r == -EBADMSG)
		r = -EINVAL;
	if (r < 0)
		return r;
	r = read_root(&d, context, &c);
	yaml_docs_done(&d.docs);
	if (r == 0)
		r = d.err ?: d.faults ? -EINVAL : 0;
	if (r < 0)
		kube_config_done(&c);
	else
		*ret = c;
	return r;
}

int kube_config_file(const char *path, const char *context, struct fail_list *f,
		     void (*warn_fn)(void *arg, const char *text), void *arg, struct kube_config *ret)
{
	auto_cleanup(kube_secret_freep) char *text = NULL;
	auto_free char *named_dir = NULL, *dir = NULL;
	const char *slash = strrchr(path, '/');
	size_t len;
	int r;

	r = read_all_path(path, KUBE_CONFIG_BYTES_MAX, &text, &len);
	if (r < 0)
		return fail_add(f, r, "kubeconfig.file", path, "a kubeconfig that can be read", NULL, "%s",
				r == -E2BIG ? "the file is too large" : strerror(-r));
	/* Where the file was named, not where a link leads: so it is for kubectl. */
	named_dir = slash ? strndup(path, (size_t)(slash - path) + 1) : strdup(".");
	dir = named_dir ? realpath(named_dir, NULL) : NULL;
	if (!dir)
		return named_dir ? -errno : -ENOMEM;
	return kube_config_parse(text, len, path, dir, context, f, warn_fn, arg, ret);
}
