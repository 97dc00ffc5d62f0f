/* SPDX-License-Identifier: Apache-2.0 */
#include "kube/csr.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"
#include "base/json.h"
#include "kube/apply.h"
#include "kube/base64.h"
#include "kube/client_priv.h"

#define CSR_API "certificates.k8s.io/v1"
#define TIMEOUT_MS 60000u
#define POLL_MS 1000u
#define LIFETIME_MIN_S 600u /* the API server's own minimum */

struct kube_csr {
	struct kube_client *c;
	kube_csr_fn *done;
	void *arg;
	bool approve;
	uint32_t poll_ms;
	uint64_t until_ms;
	char *name; /* once created */
	struct kube_call *call;
	uv_timer_t timer;
};

static void timer_closed(uv_handle_t *h)
{
	struct kube_csr *r = h->data;

	free(r->name);
	free(r);
}

static struct kube_ref ref_of(const struct kube_csr *r, const char *sub)
{
	return (struct kube_ref){ .api = CSR_API, .resource = "certificatesigningrequests", .name = r->name, .sub = sub };
}

/* Takes the request off the server, if we may; the server does it after an hour anyway. */
static void csr_close(struct kube_csr *r)
{
	struct kube_ref ref = ref_of(r, NULL);

	kube_call_cancel(take_ptr(r->call));
	if (r->name)
		(void)kube_delete(r->c, &ref, NULL, NULL, NULL, NULL, NULL);
	uv_close((uv_handle_t *)&r->timer, timer_closed);
}

void kube_csr_cancel(struct kube_csr *r)
{
	if (r)
		csr_close(r);
}

static void over(struct kube_csr *r, int err, const char *text, const char *cert)
{
	kube_csr_fn *done = r->done;
	void *arg = r->arg;

	csr_close(r);
	done(arg, err, text, cert);
}

static void failed(struct kube_csr *r, const struct kube_reply *p)
{
	over(r, p->err, p->a->err ? p->a->text : "the answer is no object", NULL);
}

static void on_timer(uv_timer_t *t);

/* The condition of that type, or NULL. */
static const cJSON *condition(const cJSON *o, const char *type)
{
	const cJSON *c;

	cJSON_ArrayForEach(c, json_get(json_get(o, "status"), "conditions")) {
		const char *s = json_str(c, "type");

		if (s && !strcmp(s, type))
			return c;
	}
	return NULL;
}

static void looked(void *arg, const struct kube_reply *p)
{
	struct kube_csr *r = arg;
	const char *cert = json_str(json_get(p->obj, "status"), "certificate");
	const cJSON *denied = condition(p->obj, "Denied"), *broken = condition(p->obj, "Failed");
	auto_free char *pem = NULL;
	char text[512];
	size_t len;

	r->call = NULL;
	if (p->err && p->err != -EAGAIN && p->err != -ECONNREFUSED && p->err != -ECONNRESET && p->err != -ETIMEDOUT) {
		failed(r, p);
		return;
	}
	if (denied || broken) {
		kube_line(text, sizeof(text), json_str(denied ?: broken, "message") ?: "the request was refused");
		over(r, denied ? -EACCES : -EKEYREJECTED, text, NULL);
		return;
	}
	if (cert && *cert) {
		if (base64_decode(cert, KUBE_PEM_BYTES_MAX, &pem, &len) < 0 || strlen(pem) != len ||
		    !strstr(pem, "-----BEGIN CERTIFICATE-----"))
			over(r, -EBADMSG, "what the signer answered is no certificate", NULL);
		else
			over(r, 0, "", pem);
		return;
	}
	if (uv_now(kube_client_loop(r->c)) >= r->until_ms) {
		over(r, -ETIMEDOUT, condition(p->obj, "Approved") ? "no signer has signed the request"
								    : "nobody has approved the request", NULL);
		return;
	}
	uv_timer_start(&r->timer, on_timer, r->poll_ms, 0);
}

static void on_timer(uv_timer_t *t)
{
	struct kube_csr *r = t->data;
	struct kube_ref ref = ref_of(r, NULL);
	int e = kube_get(r->c, &ref, looked, r, &r->call);

	if (e < 0)
		over(r, e, strerror(-e), NULL);
}

static void approved(void *arg, const struct kube_reply *p)
{
	struct kube_csr *r = arg;

	r->call = NULL;
	if (p->err)
		failed(r, p);
	else
		uv_timer_start(&r->timer, on_timer, 0, 0);
}

static int approve(struct kube_csr *r, const cJSON *obj)
{
	auto_cleanup(cJSON_Deletep) cJSON *o = cJSON_Duplicate(obj, true);
	struct kube_ref ref = ref_of(r, "approval");
	cJSON *status, *list, *c;

	if (!o)
		return -ENOMEM;
	cJSON_DeleteItemFromObjectCaseSensitive(o, "status");
	status = cJSON_AddObjectToObject(o, "status");
	list = status ? cJSON_AddArrayToObject(status, "conditions") : NULL;
	c = cJSON_CreateObject();
	if (!list || !c || !cJSON_AddItemToArray(list, c)) {
		cJSON_Delete(c);
		return -ENOMEM;
	}
	if (!cJSON_AddStringToObject(c, "type", "Approved") || !cJSON_AddStringToObject(c, "status", "True") ||
	    !cJSON_AddStringToObject(c, "reason", "CellwallApproved") ||
	    !cJSON_AddStringToObject(c, "message", "approved by cellwall for itself"))
		return -ENOMEM;
	return kube_replace(r->c, &ref, o, NULL, approved, r, &r->call);
}

static void created(void *arg, const struct kube_reply *p)
{
	struct kube_csr *r = arg;
	const char *name = json_str(json_get(p->obj, "metadata"), "name");
	int e;

	r->call = NULL;
	if (p->err) {
		failed(r, p);
		return;
	}
	r->name = name ? strdup(name) : NULL;
	if (!r->name) {
		over(r, -EBADMSG, "the answer names no object", NULL);
		return;
	}
	if (!r->approve) {
		uv_timer_start(&r->timer, on_timer, 0, 0);
		return;
	}
	e = approve(r, p->obj);
	if (e < 0)
		over(r, e, strerror(-e), NULL);
}

static cJSON *request_make(const struct kube_csr_spec *spec)
{
	auto_cleanup(cJSON_Deletep) cJSON *o = cJSON_CreateObject();
	auto_free char *pem = base64_encode(spec->request_pem, strlen(spec->request_pem));
	cJSON *meta, *s, *list;

	if (!o || !pem || !cJSON_AddStringToObject(o, "apiVersion", CSR_API) ||
	    !cJSON_AddStringToObject(o, "kind", "CertificateSigningRequest"))
		return NULL;
	meta = cJSON_AddObjectToObject(o, "metadata");
	s = cJSON_AddObjectToObject(o, "spec");
	if (!meta || !s || !cJSON_AddStringToObject(meta, "generateName", spec->prefix) ||
	    !cJSON_AddStringToObject(s, "request", pem) || !cJSON_AddStringToObject(s, "signerName", spec->signer) ||
	    (spec->lifetime_s && !cJSON_AddNumberToObject(s, "expirationSeconds", spec->lifetime_s)))
		return NULL;
	list = cJSON_AddArrayToObject(s, "usages");
	for (const char *const *u = spec->usages; list && *u; u++) {
		cJSON *one = cJSON_CreateString(*u);

		if (!one || !cJSON_AddItemToArray(list, one)) {
			cJSON_Delete(one);
			return NULL;
		}
	}
	return list ? take_ptr(o) : NULL;
}

int kube_csr_new(struct kube_client *c, const struct kube_csr_spec *spec, kube_csr_fn *done, void *arg,
		 struct kube_csr **ret)
{
	struct kube_ref ref = { .api = CSR_API, .resource = "certificatesigningrequests" };
	auto_cleanup(cJSON_Deletep) cJSON *o = NULL;
	struct kube_csr *r;
	int e;

	if (!spec->prefix || !*spec->prefix || !spec->request_pem || strlen(spec->request_pem) > KUBE_PEM_BYTES_MAX ||
	    !spec->signer || !strchr(spec->signer, '/') || !spec->usages ||
	    (spec->lifetime_s && spec->lifetime_s < LIFETIME_MIN_S))
		return -EINVAL;
	o = request_make(spec);
	r = o ? calloc(1, sizeof(*r)) : NULL;
	if (!r)
		return -ENOMEM;
	r->c = c;
	r->done = done;
	r->arg = arg;
	r->approve = spec->approve;
	r->poll_ms = spec->poll_ms ?: POLL_MS;
	r->until_ms = uv_now(kube_client_loop(c)) + (spec->timeout_ms ?: TIMEOUT_MS);
	e = kube_create(c, &ref, o, NULL, created, r, &r->call);
	if (e < 0) {
		free(r);
		return e;
	}
	(void)uv_timer_init(kube_client_loop(c), &r->timer); /* cannot fail */
	r->timer.data = r;
	*ret = r;
	return 0;
}
