/* SPDX-License-Identifier: Apache-2.0 */
/* fuzz_kubeconfig.c - kubeconfig files, what credential plugins say, and the server's refusals. Files named
 * inside are not there: relative paths count from a directory that does not exist. */
#include <assert.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"
#include "base/json.h"
#include "kube/config.h"
#include "kube/exec.h"
#include "kube/status.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void warn(void *arg, const char *text)
{
	(void)arg;
	assert(text && *text);
}

static bool clean(const char *s)
{
	for (; s && *s; s++)
		if ((unsigned char)*s <= ' ' || (unsigned char)*s >= 0x7f)
			return false;
	return true;
}

static void kubeconfig(const char *s, size_t n)
{
	struct kube_config c = {}, copy = {};
	struct fail_list f = {};
	int r = kube_config_parse(s, n, "config", "/nonexistent", NULL, &f, warn, NULL, &c);

	assert((r == 0) == (f.n == 0));
	if (r == 0) {
		assert(c.server && c.namespace_ && c.origin && clean(c.token));
		assert(!c.cert_pem == !c.key_pem);
		assert(!c.exec || (c.exec->command && c.exec->args && c.exec->env && c.exec->api_version));
		assert(kube_config_copy(&c, &copy) == 0);
		kube_config_done(&copy);
	} else {
		assert(!c.server);
	}
	kube_config_done(&c);
	fail_list_done(&f);
}

static void credential(const char *s, size_t n)
{
	struct kube_credential c = {};
	struct fail_list f = {};
	int r = kube_credential_parse(s, n, "client.authentication.k8s.io/v1", 1000000000, &f, &c);

	assert((r == 0) == (f.n == 0));
	assert(r || ((c.token || c.cert_pem) && clean(c.token) && !c.cert_pem == !c.key_pem));
	kube_credential_done(&c);
	fail_list_done(&f);
}

static void status(const char *s, size_t n)
{
	auto_cleanup(cJSON_Deletep) cJSON *j = NULL;
	struct kube_status st;

	(void)json_parse(s, n, "answer", NULL, &j);
	assert(kube_status_read(j, 500, &st) == 0);
	assert(st.reason && st.message && st.ncauses <= KUBE_CAUSES_MAX && kube_status_errno(&st) < 0);
	assert(strlen(st.message) <= KUBE_STATUS_TEXT_MAX);
	kube_status_done(&st);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	kubeconfig((const char *)data, size);
	credential((const char *)data, size);
	status((const char *)data, size);
	return 0;
}
