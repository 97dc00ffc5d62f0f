/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"
#include "base/json.h"
#include "base/strparse.h"
#include "kube/config_priv.h"
#include "kube/exec.h"

void kube_credential_done(struct kube_credential *c)
{
	kube_secret_free(c->token);
	free(c->cert_pem);
	kube_secret_free(c->key_pem);
	*c = (struct kube_credential){};
}

static int dup_field(const cJSON *o, const char *key, char **ret)
{
	const char *s = json_str(o, key);

	if (!s || !*s)
		return 0;
	*ret = strdup(s);
	return *ret ? 0 : -ENOMEM;
}

static int bad(struct fail_list *f, const char *what)
{
	return fail_add(f, -EBADMSG, "kube.exec-credential", "the plugin's output",
			"an ExecCredential of the version asked for", NULL, "%s", what);
}

/* Fills c, half of it on error. */
static int credential_read(const cJSON *j, const char *api_version, int64_t now_ns, struct fail_list *f,
			   struct kube_credential *c)
{
	const char *kind = json_str(j, "kind"), *api = json_str(j, "apiVersion"), *until;
	const cJSON *st = json_get(j, "status");

	if (!kind || strcmp(kind, "ExecCredential"))
		return bad(f, "it is no ExecCredential");
	if (!api || strcmp(api, api_version))
		return bad(f, "it is of another version than the kubeconfig asks for");
	if (!cJSON_IsObject(st))
		return bad(f, "it has no status");
	if (dup_field(st, "token", &c->token) || dup_field(st, "clientCertificateData", &c->cert_pem) ||
	    dup_field(st, "clientKeyData", &c->key_pem))
		return -ENOMEM;
	if (!c->cert_pem != !c->key_pem)
		return bad(f, "a certificate comes without its key, or a key without its certificate");
	if (!c->cert_pem && !c->token)
		return bad(f, "it holds neither a token nor a certificate");
	if ((c->cert_pem && !kube_is_pem(c->cert_pem)) || (c->key_pem && !kube_is_pem(c->key_pem)))
		return bad(f, "its certificate or key is no PEM");
	if (c->token && !kube_token_trim(c->token))
		return bad(f, "its token holds characters no token has");
	until = json_str(st, "expirationTimestamp");
	if (until && parse_time_ns(until, &c->expires_ns) < 0)
		return bad(f, "its expirationTimestamp is no time");
	if (until && c->expires_ns <= now_ns)
		return bad(f, "it has expired already");
	return 0;
}

int kube_credential_parse(const char *s, size_t len, const char *api_version, int64_t now_ns,
			  struct fail_list *f, struct kube_credential *ret)
{
	auto_cleanup(cJSON_Deletep) cJSON *j = NULL;
	struct kube_credential c = {};
	int r = json_parse(s, len, "the plugin's output", f, &j);

	if (r < 0)
		return r == -ENOMEM ? r : -EBADMSG;
	r = credential_read(j, api_version, now_ns, f, &c);
	if (r < 0)
		kube_credential_done(&c);
	else
		*ret = c;
	return r;
}
