/* SPDX-License-Identifier: Apache-2.0 */
#include "kube/config.h"

#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/addr.h"
#include "base/cleanup.h"
#include "base/file.h"
#include "base/strparse.h"
#include "kube/config_priv.h"

void kube_secret_free(char *s)
{
	if (s)
		explicit_bzero(s, strlen(s));
	free(s);
}

void kube_secret_freep(char **s)
{
	kube_secret_free(*s);
}

bool kube_token_trim(char *s)
{
	size_t from = strspn(s, " \t\r\n"), n = strlen(s + from);

	while (n && strchr(" \t\r\n", s[from + n - 1]))
		n--;
	memmove(s, s + from, n);
	s[n] = '\0';
	for (const char *p = s; *p; p++)
		if ((unsigned char)*p <= ' ' || (unsigned char)*p >= 0x7f)
			return false;
	return n > 0;
}

bool kube_is_pem(const char *s)
{
	return strstr(s, "-----BEGIN ") != NULL;
}

static void list_free(char **l, void (*free_item)(char *))
{
	for (char **p = l; p && *p; p++)
		free_item(*p);
	free(l);
}

static void exec_free(struct kube_exec *e)
{
	if (!e)
		return;
	free(e->api_version);
	free(e->command);
	free(e->hint);
	list_free(e->args, kube_secret_free); /* secrets are handed over in both */
	list_free(e->env, kube_secret_free);
	free(e);
}

void kube_config_done(struct kube_config *c)
{
	free(c->origin);
	free(c->server);
	free(c->namespace_);
	free(c->ca_pem);
	free(c->ca_path);
	free(c->tls_server_name);
	kube_secret_free(c->proxy); /* may hold a password */
	free(c->cert_pem);
	kube_secret_free(c->key_pem);
	free(c->cert_path);
	free(c->key_path);
	kube_secret_free(c->token);
	free(c->token_path);
	exec_free(c->exec);
	*c = (struct kube_config){};
}

static int dup_to(char **to, const char *from)
{
	if (!from)
		return 0;
	*to = strdup(from);
	return *to ? 0 : -ENOMEM;
}

static int list_dup(char ***to, char **from)
{
	size_t n = 0;

	while (from && from[n])
		n++;
	*to = calloc(n + 1, sizeof(**to));
	if (!*to)
		return -ENOMEM;
	for (size_t i = 0; i < n; i++)
		if (dup_to(&(*to)[i], from[i]) < 0)
			return -ENOMEM;
	return 0;
}

static int exec_copy(const struct kube_exec *e, struct kube_exec **ret)
{
	struct kube_exec *x;

	if (!e)
		return 0;
	*ret = x = calloc(1, sizeof(*x)); /* freed with the config, half-built too */
	if (!x)
		return -ENOMEM;
	x->cluster_info = e->cluster_info;
	if (dup_to(&x->api_version, e->api_version) || dup_to(&x->command, e->command) ||
	    dup_to(&x->hint, e->hint) || list_dup(&x->args, e->args) || list_dup(&x->env, e->env))
		return -ENOMEM;
	return 0;
}

int kube_config_copy(const struct kube_config *c, struct kube_config *ret)
{
	struct kube_config n = { .insecure = c->insecure };

	if (dup_to(&n.origin, c->origin) || dup_to(&n.server, c->server) || dup_to(&n.namespace_, c->namespace_) ||
	    dup_to(&n.ca_pem, c->ca_pem) || dup_to(&n.ca_path, c->ca_path) ||
	    dup_to(&n.tls_server_name, c->tls_server_name) || dup_to(&n.proxy, c->proxy) ||
	    dup_to(&n.cert_pem, c->cert_pem) || dup_to(&n.key_pem, c->key_pem) ||
	    dup_to(&n.cert_path, c->cert_path) || dup_to(&n.key_path, c->key_path) ||
	    dup_to(&n.token, c->token) || dup_to(&n.token_path, c->token_path) || exec_copy(c->exec, &n.exec)) {
		kube_config_done(&n);
		return -ENOMEM;
	}
	*ret = n;
	return 0;
}

/* dir/name into *ret_path, its text into *ret (NULL: only looked at). */
static int account_file(const char *dir, const char *name, size_t max, struct fail_list *f, char **ret_path,
			char **ret)
{
	auto_cleanup(kube_secret_freep) char *text = NULL;
	auto_free char *path = NULL;
	size_t len;
	int r;

	if (asprintf(&path, "%s/%s", dir, name) < 0) {
		path = NULL;
		return -ENOMEM;
	}
	r = read_all_path(path, max, &text, &len);
	if (r == -E2BIG)
		return fail_add(f, r, "kube.service-account", path, "a file the kubelet wrote", NULL,
				"the file is larger than %zu bytes", max);
	if (r < 0)
		return fail_add(f, r, "kube.service-account", path, "a file the kubelet mounts",
				"set automountServiceAccountToken: true for this pod, or give a kubeconfig",
				"it cannot be read: %s", strerror(-r));
	if (strlen(text) != len)
		return fail_add(f, -EINVAL, "kube.service-account", path, "text", NULL, "the file holds a NUL byte");
	*ret = take_ptr(text);
	if (ret_path)
		*ret_path = take_ptr(path);
	return 0;
}

static int server_url(struct fail_list *f, char **ret)
{
	const char *host = getenv("KUBERNETES_SERVICE_HOST"), *port = getenv("KUBERNETES_SERVICE_PORT");
	struct addr a;
	uint32_t n;
	bool v6;

	if (!host || !*host || !port || !*port)
		return fail_add(f, -ENOENT, "kube.not-in-cluster", NULL,
				"KUBERNETES_SERVICE_HOST and KUBERNETES_SERVICE_PORT in the environment",
				"run it in a pod, or give a kubeconfig", "this is not a pod of a cluster");
	v6 = addr_parse(host, &a) == 0 && !addr_is_v4(&a);
	if (!v6 && addr_parse(host, &a) < 0 && !is_dns_name(host))
		return fail_add(f, -EINVAL, "kube.service-host", "KUBERNETES_SERVICE_HOST", "an address or a name",
				NULL, "it is neither");
	if (parse_u32(port, 1, 65535, &n) < 0)
		return fail_add(f, -EINVAL, "kube.service-port", "KUBERNETES_SERVICE_PORT", "1 to 65535", NULL,
				"it is no port");
	if (asprintf(ret, v6 ? "https://[%s]:%u" : "https://%s:%u", host, n) < 0) {
		*ret = NULL;
		return -ENOMEM;
	}
	return 0;
}

/* Fills c, half of it on error. */
static int account_read(const char *dir, struct fail_list *f, struct kube_config *c)
{
	int r = server_url(f, &c->server);

	if (r == 0)
		r = account_file(dir, "token", KUBE_TOKEN_BYTES_MAX, f, &c->token_path, &c->token);
	if (r == 0)
		r = account_file(dir, "ca.crt", KUBE_PEM_BYTES_MAX, f, &c->ca_path, &c->ca_pem);
	if (r < 0)
		return r;
	r = account_file(dir, "namespace", 4096, NULL, NULL, &c->namespace_);
	if (r == -ENOENT) /* older kubelets may leave it out */
		r = dup_to(&c->namespace_, "default");
	else if (r < 0 && r != -ENOMEM)
		return fail_add(f, r, "kube.service-account", "namespace", "a file the kubelet mounts", NULL,
				"it cannot be read: %s", strerror(-r));
	if (r == 0)
		r = dup_to(&c->origin, "in-cluster");
	if (r < 0 || !c->token || !c->ca_pem || !c->namespace_)
		return r ?: -ENOMEM;
	if (!kube_token_trim(c->token))
		return fail_add(f, -EINVAL, "kube.service-account", c->token_path, "a bearer token", NULL,
				"the file holds no token");
	if (!kube_is_pem(c->ca_pem))
		return fail_add(f, -EINVAL, "kube.service-account", c->ca_path, "certificates in PEM", NULL,
				"the file holds no certificate");
	c->namespace_[strcspn(c->namespace_, " \t\r\n")] = '\0';
	if (!is_dns_label(c->namespace_))
		return fail_add(f, -EINVAL, "kube.service-account", "namespace", "a name of a namespace", NULL,
				"the file holds no name");
	return 0;
}

int kube_config_in_cluster(const char *dir, struct fail_list *f, struct kube_config *ret)
{
	struct kube_config c = {};
	int r = account_read(dir ?: KUBE_SERVICE_ACCOUNT_DIR, f, &c);

	if (r < 0)
		kube_config_done(&c);
	else
		*ret = c;
	return r;
}
