/* SPDX-License-Identifier: Apache-2.0 */
#include "fake_api.h"

#include <sys/stat.h>

#include "base/file.h"
#include "kube/base64.h"
#include "kube/exec.h"

static char dir[64];
static char warned[1024];

static int make_dir(void **state)
{
	(void)state;
	snprintf(dir, sizeof(dir), "/tmp/cwt-kube-XXXXXX");
	return mkdtemp(dir) ? 0 : -1;
}

static int drop_dir(void **state)
{
	static const char *const names[] = { "token", "ca.crt", "namespace", "config", "key.pem", "cert.pem", "sub" };
	char path[128];

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(names); i++) {
		snprintf(path, sizeof(path), "%s/%s", dir, names[i]);
		(void)remove(path);
	}
	return rmdir(dir);
}

static void put(const char *name, const char *text, unsigned mode)
{
	char path[128];

	snprintf(path, sizeof(path), "%s/%s", dir, name);
	assert_int_equal(write_file_atomic(path, text, strlen(text), mode), 0);
}

static void on_warn(void *arg, const char *text)
{
	(void)arg;
	snprintf(warned + strlen(warned), sizeof(warned) - strlen(warned), "%s\n", text);
}

#define PEM "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n"

static void in_cluster(void **state)
{
	static const struct { const char *name, *host, *port, *token, *ca, *ns; int r; const char *server, *fault; } rows[] = {
		{ "usual", "10.96.0.1", "443", "abc\n", PEM, "cellwall", 0, "https://10.96.0.1:443", NULL },
		{ "IPv6", "fd00::1", "443", "abc", PEM, "cellwall\n", 0, "https://[fd00::1]:443", NULL },
		{ "no namespace file", "kubernetes.default", "443", "abc", PEM, NULL, 0, "https://kubernetes.default:443", NULL },
		{ "not in a cluster", NULL, "443", "abc", PEM, "x", -ENOENT, NULL, "kube.not-in-cluster" },
		{ "no port", "10.96.0.1", "", "abc", PEM, "x", -ENOENT, NULL, "kube.not-in-cluster" },
		{ "bad host", "10.96.0.1/x", "443", "abc", PEM, "x", -EINVAL, NULL, "kube.service-host" },
		{ "bad port", "10.96.0.1", "443x", "abc", PEM, "x", -EINVAL, NULL, "kube.service-port" },
		{ "no token", "10.96.0.1", "443", NULL, PEM, "x", -ENOENT, NULL, "kube.service-account" },
		{ "empty token", "10.96.0.1", "443", " \n", PEM, "x", -EINVAL, NULL, "kube.service-account" },
		{ "token of two lines", "10.96.0.1", "443", "a\nb", PEM, "x", -EINVAL, NULL, "kube.service-account" },
		{ "no certificate", "10.96.0.1", "443", "abc", "x", "x", -EINVAL, NULL, "kube.service-account" },
		{ "bad namespace", "10.96.0.1", "443", "abc", PEM, "../x", -EINVAL, NULL, "kube.service-account" },
	};
	char path[128];

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		struct kube_config c = { .insecure = true };
		struct fail_list f = {};

		print_message("  %s\n", rows[i].name);
		for (int k = 0; k < 3; k++) {
			const char *names[] = { "token", "ca.crt", "namespace" };
			const char *texts[] = { rows[i].token, rows[i].ca, rows[i].ns };

			snprintf(path, sizeof(path), "%s/%s", dir, names[k]);
			(void)remove(path);
			if (texts[k])
				put(names[k], texts[k], 0600);
		}
		unsetenv("KUBERNETES_SERVICE_HOST");
		if (rows[i].host)
			setenv("KUBERNETES_SERVICE_HOST", rows[i].host, 1);
		setenv("KUBERNETES_SERVICE_PORT", rows[i].port, 1);
		assert_int_equal(kube_config_in_cluster(dir, &f, &c), rows[i].r);
		if (rows[i].r) {
			assert_int_equal(f.n, 1);
			assert_string_equal(f.items[0].name, rows[i].fault);
			assert_true(c.insecure && !c.server); /* untouched */
		} else {
			assert_int_equal(f.n, 0);
			assert_string_equal(c.server, rows[i].server);
			assert_string_equal(c.token, "abc");
			assert_string_equal(c.namespace_, rows[i].ns ? "cellwall" : "default");
			snprintf(path, sizeof(path), "%s/token", dir);
			assert_string_equal(c.token_path, path);
			kube_config_done(&c);
		}
		fail_list_done(&f);
	}
}

#define HEAD "apiVersion: v1\nkind: Config\ncurrent-context: lab\n"
#define CONTEXTS "contexts:\n- name: lab\n  context: {cluster: c, user: u, namespace: shop}\n- name: other\n  context: {cluster: none, user: u}\n"
#define CLUSTERS "clusters:\n- name: c\n  cluster:\n    server: https://10.0.0.1:6443/\n"
#define USERS "users:\n- name: u\n  user:\n"

static const struct {
	const char *name, *text, *context;
	int r;
	const char *fault, *at; /* of the first fault */
	size_t faults;
} table[] = {
	{ "token", HEAD CONTEXTS CLUSTERS USERS "    token: abc\n", NULL, 0, NULL, NULL, 0 },
	{ "JSON", "{\"kind\":\"Config\",\"current-context\":\"lab\",\"contexts\":[{\"name\":\"lab\",\"context\":{\"cluster\":\"c\"}}],"
		  "\"clusters\":[{\"name\":\"c\",\"cluster\":{\"server\":\"http://x\"}}]}", NULL, 0, NULL, NULL, 0 },
	{ "files beside it", HEAD CONTEXTS CLUSTERS "    certificate-authority: ca.crt\n" USERS
			     "    client-certificate: cert.pem\n    client-key: key.pem\n", NULL, 0, NULL, NULL, 0 },
	{ "exec", HEAD CONTEXTS CLUSTERS USERS "    exec:\n      apiVersion: client.authentication.k8s.io/v1\n      command: ./get\n"
		  "      args: [a, b]\n      env: [{name: A, value: b}]\n      provideClusterInfo: true\n      interactiveMode: IfAvailable\n", NULL, 0, NULL, NULL, 0 },
	{ "unknown fields are for others", HEAD "preferences: {colors: true}\nextensions: []\n" CONTEXTS CLUSTERS "    x: y\n" USERS "    token: abc\n", NULL, 0, NULL, NULL, 0 },
	{ "no such context", HEAD CONTEXTS CLUSTERS USERS "    token: abc\n", "nowhere", -EINVAL, "kubeconfig.missing-name", "config:4, contexts", 1 },
	{ "no such cluster", HEAD CONTEXTS CLUSTERS USERS "    token: abc\n", "other", -EINVAL, "kubeconfig.missing-name", "config:9, clusters", 1 },
	{ "no context", "kind: Config\n" CONTEXTS CLUSTERS USERS "    token: a\n", NULL, -EINVAL, "kubeconfig.context", "config:1, current-context", 1 },
	{ "another kind", "apiVersion: v1\nkind: Pod\n", NULL, -EINVAL, "kubeconfig.kind", "config:1", 1 },
	{ "two documents", HEAD "---\n" HEAD, NULL, -EINVAL, "kubeconfig.document", "config", 1 },
	{ "empty", "", NULL, -EINVAL, "kubeconfig.document", "config", 1 },
	{ "no YAML", "a: [", NULL, -EINVAL, "yaml.syntax", NULL, 1 },
	{ "basic auth", HEAD CONTEXTS CLUSTERS USERS "    username: a\n    password: b\n", NULL, -EINVAL, "kubeconfig.basic-auth", "config:16, users[name=u].user.username", 2 },
	{ "auth-provider", HEAD CONTEXTS CLUSTERS USERS "    auth-provider: {name: gcp}\n", NULL, -EINVAL, "kubeconfig.auth-provider", "config:16, users[name=u].user.auth-provider", 1 },
	{ "impersonation", HEAD CONTEXTS CLUSTERS USERS "    token: a\n    as: root\n", NULL, -EINVAL, "kubeconfig.impersonation", "config:17, users[name=u].user.as", 1 },
	{ "certificate without a key", HEAD CONTEXTS CLUSTERS USERS "    client-certificate: cert.pem\n", NULL, -EINVAL, "kubeconfig.client-certificate", NULL, 1 },
	{ "missing file", HEAD CONTEXTS CLUSTERS "    certificate-authority: gone.crt\n" USERS "    token: a\n", NULL, -EINVAL, "kubeconfig.file", "config:13, clusters[name=c].cluster.certificate-authority", 1 },
	{ "bad base64", HEAD CONTEXTS CLUSTERS "    certificate-authority-data: '!!!!'\n" USERS "    token: a\n", NULL, -EINVAL, "kubeconfig.base64", "config:13, clusters[name=c].cluster.certificate-authority-data", 1 },
	{ "base64 of no PEM", HEAD CONTEXTS CLUSTERS "    certificate-authority-data: aGVsbG8=\n" USERS "    token: a\n", NULL, -EINVAL, "kubeconfig.pem", NULL, 1 },
	{ "insecure with a CA", HEAD CONTEXTS CLUSTERS "    insecure-skip-tls-verify: true\n    certificate-authority: ca.crt\n" USERS "    token: a\n", NULL, -EINVAL, "kubeconfig.insecure", NULL, 1 },
	{ "no server", HEAD CONTEXTS "clusters:\n- name: c\n  cluster: {}\n", NULL, -EINVAL, "kubeconfig.server", NULL, 2 },
	{ "bad server", HEAD CONTEXTS "clusters:\n- name: c\n  cluster: {server: 'ftp://x'}\n" USERS "    token: a\n", NULL, -EINVAL, "kubeconfig.server", "config:11, clusters[name=c].cluster.server", 1 },
	{ "server a number", HEAD CONTEXTS "clusters:\n- name: c\n  cluster: {server: 5}\n" USERS "    token: a\n", NULL, -EINVAL, "kubeconfig.type", NULL, 2 },
	{ "bad proxy", HEAD CONTEXTS CLUSTERS "    proxy-url: gopher://x\n" USERS "    token: a\n", NULL, -EINVAL, "kubeconfig.proxy", NULL, 1 },
	{ "bad server name", HEAD CONTEXTS CLUSTERS "    tls-server-name: a b\n" USERS "    token: a\n", NULL, -EINVAL, "kubeconfig.server-name", NULL, 1 },
	{ "header in a token", HEAD CONTEXTS CLUSTERS USERS "    token: \"a\\r\\nX: y\"\n", NULL, -EINVAL, "kubeconfig.token", NULL, 1 },
	{ "exec of an old version", HEAD CONTEXTS CLUSTERS USERS "    exec: {apiVersion: client.authentication.k8s.io/v1alpha1, command: x}\n", NULL, -EINVAL, "kubeconfig.exec", NULL, 1 },
	{ "exec that asks people", HEAD CONTEXTS CLUSTERS USERS "    exec: {apiVersion: client.authentication.k8s.io/v1, command: x, interactiveMode: Always}\n", NULL, -EINVAL, "kubeconfig.exec", NULL, 1 },
	{ "exec without a command, bad env", HEAD CONTEXTS CLUSTERS USERS "    exec: {apiVersion: client.authentication.k8s.io/v1, env: [{value: x}]}\n", NULL, -EINVAL, "kubeconfig.exec", NULL, 2 },
	{ "lists that are none", HEAD "contexts: 5\n", NULL, -EINVAL, "kubeconfig.field", NULL, 1 },
	{ "bad namespace", HEAD "contexts:\n- name: lab\n  context: {cluster: c, namespace: A/B}\n" CLUSTERS, NULL, -EINVAL, "kubeconfig.namespace", NULL, 1 },
};

static void kubeconfigs(void **state)
{
	(void)state;
	put("ca.crt", PEM, 0644);
	put("cert.pem", PEM, 0644);
	put("key.pem", "-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----\n", 0600);
	for (size_t i = 0; i < ARRAY_SIZE(table); i++) {
		struct kube_config c = {}, copy = {};
		struct fail_list f = {};

		print_message("  %s\n", table[i].name);
		assert_int_equal(kube_config_parse(table[i].text, strlen(table[i].text), "config", dir, table[i].context, &f,
						   NULL, NULL, &c), table[i].r);
		assert_int_equal(f.n, table[i].faults);
		if (table[i].fault)
			assert_string_equal(f.items[0].name, table[i].fault);
		if (table[i].at)
			assert_string_equal(f.items[0].at, table[i].at);
		if (!table[i].r) {
			assert_int_equal(kube_config_copy(&c, &copy), 0);
			assert_string_equal(copy.server, c.server);
			kube_config_done(&copy);
		} else {
			assert_null(c.server);
		}
		kube_config_done(&c);
		fail_list_done(&f);
	}
}

/* The fields themselves, once. */
static void fields(void **state)
{
	auto_free char *b64 = base64_encode(PEM, strlen(PEM)), *text = NULL;
	char path[128], want[128];
	struct kube_config c;
	struct fail_list f = {};

	(void)state;
	put("token", "abc", 0600);
	put("key.pem", "-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----\n", 0644);
	put("cert.pem", PEM, 0644);
	assert_true(asprintf(&text, HEAD CONTEXTS CLUSTERS "    certificate-authority-data: %s\n    tls-server-name: api.test\n"
			     "    proxy-url: http://proxy:3128\n" USERS "    client-certificate: cert.pem\n    client-key: key.pem\n"
			     "    token: abc\n    tokenFile: token\n    exec:\n      apiVersion: client.authentication.k8s.io/v1beta1\n"
			     "      command: sub/get\n      args: [a, 'b c']\n      env: [{name: A, value: b}, {name: E}]\n"
			     "      installHint: get it\n", b64) > 0);
	put("config", text, 0600);
	snprintf(path, sizeof(path), "%s/config", dir);
	warned[0] = '\0';
	assert_int_equal(kube_config_file(path, "lab", &f, on_warn, NULL, &c), 0);
	assert_string_equal(c.server, "https://10.0.0.1:6443");
	assert_string_equal(c.namespace_, "shop");
	assert_string_equal(c.ca_pem, PEM);
	assert_null(c.ca_path);
	assert_string_equal(c.tls_server_name, "api.test");
	assert_string_equal(c.proxy, "http://proxy:3128");
	assert_string_equal(c.cert_pem, PEM);
	snprintf(want, sizeof(want), "%s/key.pem", dir);
	assert_string_equal(c.key_path, want);
	assert_non_null(strstr(warned, "can be read by others"));
	snprintf(want, sizeof(want), "%s/token", dir);
	assert_string_equal(c.token_path, want);
	snprintf(want, sizeof(want), "%s/sub/get", dir);
	assert_string_equal(c.exec->command, want);
	assert_string_equal(c.exec->args[1], "b c");
	assert_null(c.exec->args[2]);
	assert_string_equal(c.exec->env[0], "A=b");
	assert_string_equal(c.exec->env[1], "E=");
	assert_string_equal(c.exec->hint, "get it");
	assert_non_null(strstr(c.origin, "context lab"));
	kube_config_done(&c);
	/* What is honoured, but said. */
	put("config", HEAD CONTEXTS CLUSTERS "    insecure-skip-tls-verify: true\n" USERS "    token: abc\n", 0600);
	warned[0] = '\0';
	assert_int_equal(kube_config_file(path, NULL, &f, on_warn, NULL, &c), 0);
	assert_true(c.insecure);
	assert_non_null(strstr(warned, "insecure-skip-tls-verify"));
	kube_config_done(&c);
	assert_int_equal(f.n, 0);
	assert_int_equal(kube_config_file("/nonexistent/config", NULL, &f, NULL, NULL, &c), -ENOENT);
	assert_int_equal(f.n, 1);
	fail_list_done(&f);
}

#define CRED(api, status) "{\"kind\":\"ExecCredential\",\"apiVersion\":\"" api "\",\"status\":" status "}"
#define V1 "client.authentication.k8s.io/v1"

static void credentials(void **state)
{
	static const struct { const char *name, *in; int r; const char *token; int64_t until_s; } rows[] = {
		{ "token", CRED(V1, "{\"token\":\"abc\"}"), 0, "abc", 0 },
		{ "with an end", CRED(V1, "{\"token\":\"abc\",\"expirationTimestamp\":\"2033-05-18T03:33:20Z\"}"), 0, "abc", 2000000000 },
		{ "certificate", CRED(V1, "{\"clientCertificateData\":\"-----BEGIN X\",\"clientKeyData\":\"-----BEGIN Y\"}"), 0, NULL, 0 },
		{ "expired", CRED(V1, "{\"token\":\"abc\",\"expirationTimestamp\":\"2001-01-01T00:00:00Z\"}"), -EBADMSG, NULL, 0 },
		{ "bad end", CRED(V1, "{\"token\":\"abc\",\"expirationTimestamp\":\"soon\"}"), -EBADMSG, NULL, 0 },
		{ "another version", CRED("client.authentication.k8s.io/v1beta1", "{\"token\":\"abc\"}"), -EBADMSG, NULL, 0 },
		{ "another kind", "{\"kind\":\"X\",\"apiVersion\":\"" V1 "\",\"status\":{\"token\":\"abc\"}}", -EBADMSG, NULL, 0 },
		{ "no status", "{\"kind\":\"ExecCredential\",\"apiVersion\":\"" V1 "\"}", -EBADMSG, NULL, 0 },
		{ "nothing in it", CRED(V1, "{}"), -EBADMSG, NULL, 0 },
		{ "half a pair", CRED(V1, "{\"token\":\"t\",\"clientKeyData\":\"-----BEGIN Y\"}"), -EBADMSG, NULL, 0 },
		{ "no PEM", CRED(V1, "{\"clientCertificateData\":\"x\",\"clientKeyData\":\"-----BEGIN Y\"}"), -EBADMSG, NULL, 0 },
		{ "header in the token", CRED(V1, "{\"token\":\"a\\nX: y\"}"), -EBADMSG, NULL, 0 },
		{ "not JSON", "Please log in:", -EBADMSG, NULL, 0 },
		{ "empty", "", -EBADMSG, NULL, 0 },
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		struct kube_credential c = {};
		struct fail_list f = {};

		print_message("  %s\n", rows[i].name);
		assert_int_equal(kube_credential_parse(rows[i].in, strlen(rows[i].in), V1, 1000000000LL * 1000000000, &f, &c),
				 rows[i].r);
		assert_int_equal(f.n, rows[i].r ? 1 : 0);
		if (rows[i].token)
			assert_string_equal(c.token, rows[i].token);
		else
			assert_null(c.token);
		assert_int_equal(c.expires_ns, rows[i].until_s * 1000000000);
		kube_credential_done(&c);
		fail_list_done(&f);
	}
}

static void base64(void **state)
{
	static const struct { const char *in; int r; const char *want; } rows[] = {
		{ "", 0, "" }, { "Zg==", 0, "f" }, { "Zm8=", 0, "fo" }, { "Zm9v", 0, "foo" }, { "Zm\n9v\n", 0, "foo" },
		{ "Zg=", -EINVAL, NULL }, { "Zg", -EINVAL, NULL }, { "Zh==", -EINVAL, NULL }, { "Z===", -EINVAL, NULL },
		{ "Zg==Zg==", -EINVAL, NULL }, { "Zm9v!", -EINVAL, NULL }, { "_-8=", -EINVAL, NULL },
		{ "AAAAAAAAAAAAAAAAAAAA", -E2BIG, NULL },
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		auto_free char *out = NULL, *back = NULL;
		size_t n = 77;

		assert_int_equal(base64_decode(rows[i].in, 10, &out, &n), rows[i].r);
		if (rows[i].r) {
			assert_int_equal(n, 77);
			continue;
		}
		assert_string_equal(out, rows[i].want);
		back = base64_encode(out, n);
		assert_true(strchr(rows[i].in, '\n') || !strcmp(back, rows[i].in));
	}
}

static void backoff(void **state)
{
	(void)state;
	assert_int_equal(kube_backoff_ms(0, 100, 1000, 0), 50);
	assert_int_equal(kube_backoff_ms(0, 100, 1000, UINT32_MAX), 100);
	assert_int_equal(kube_backoff_ms(2, 100, 1000, UINT32_MAX), 400);
	assert_int_equal(kube_backoff_ms(4, 100, 1000, 0), 500);
	assert_int_equal(kube_backoff_ms(UINT32_MAX, 100, 1000, UINT32_MAX), 1000);
	assert_int_equal(kube_backoff_ms(5, 0, 1000, 7), 0);
	assert_int_equal(kube_backoff_ms(40, UINT32_MAX, UINT32_MAX, UINT32_MAX), UINT32_MAX);
	assert_int_equal(kube_retry_after_ms("5", 0), 5000);
	assert_int_equal(kube_retry_after_ms("99999", 0), 600000);
	assert_int_equal(kube_retry_after_ms("Thu, 01 Jan 1970 00:01:00 GMT", 50), 10000);
	assert_int_equal(kube_retry_after_ms("Thu, 01 Jan 1970 00:01:00 GMT", 70), 0);
	assert_int_equal(kube_retry_after_ms("-1", 0), 0);
	assert_int_equal(kube_retry_after_ms("soon", 0), 0);
	assert_int_equal(kube_retry_after_ms("", 0), 0);
}

static void statuses(void **state)
{
	static const struct { const char *in; int http, err; const char *reason, *token; size_t causes; uint32_t after; } rows[] = {
		{ "{\"kind\":\"Status\",\"code\":409,\"reason\":\"AlreadyExists\",\"message\":\"m\"}", 409, -EEXIST, "AlreadyExists", NULL, 0, 0 },
		{ "{\"kind\":\"Status\",\"code\":409,\"reason\":\"Conflict\",\"message\":\"m\",\"details\":{\"causes\":[{\"reason\":\"FieldManagerConflict\",\"field\":\".spec\",\"message\":\"conflict with x\"},{}]}}", 409, -EBUSY, "Conflict", NULL, 2, 0 },
		{ "{\"kind\":\"Status\",\"code\":410,\"reason\":\"Expired\",\"metadata\":{\"continue\":\"abc\"}}", 410, -ESTALE, "Expired", "abc", 0, 0 },
		{ "{\"kind\":\"Status\",\"message\":\"m\",\"details\":{\"retryAfterSeconds\":3}}", 500, -EAGAIN, "", NULL, 0, 3 },
		{ "{\"kind\":\"Status\",\"code\":7}", 422, -EINVAL, "", NULL, 0, 0 },
		{ "{\"kind\":\"Pod\",\"code\":404}", 403, -EACCES, "", NULL, 0, 0 },
		{ "[]", 404, -ENOENT, "", NULL, 0, 0 },
		{ "", 418, -EPROTO, "", NULL, 0, 0 },
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		auto_cleanup(cJSON_Deletep) cJSON *j = cJSON_Parse(rows[i].in);
		struct kube_status s;

		assert_int_equal(kube_status_read(j, rows[i].http, &s), 0);
		assert_int_equal(kube_status_errno(&s), rows[i].err);
		assert_string_equal(s.reason, rows[i].reason);
		assert_int_equal(s.ncauses, rows[i].causes);
		assert_int_equal(s.retry_after_s, rows[i].after);
		assert_true(rows[i].token ? s.token && !strcmp(s.token, rows[i].token) : !s.token);
		assert_non_null(s.message);
		kube_status_done(&s);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(in_cluster, make_dir, drop_dir),
		cmocka_unit_test_setup_teardown(kubeconfigs, make_dir, drop_dir),
		cmocka_unit_test_setup_teardown(fields, make_dir, drop_dir),
		cmocka_unit_test(credentials),
		cmocka_unit_test(base64),
		cmocka_unit_test(backoff),
		cmocka_unit_test(statuses),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
