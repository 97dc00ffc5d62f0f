/* SPDX-License-Identifier: Apache-2.0 */
#include "daemon/enrol.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#define LOG_UNIT "enrol"
#include "base/cleanup.h"
#include "base/json.h"
#include "base/log.h"
#include "daemon/daemon.h"
#include "fleet/fleet.h"
#include "kube/apply.h"
#include "kube/token.h"

#define PUBLISH_MS 2000u	/* until the authority is where agents find it */
#define PUBLISH_MAX_MS 60000u
#define CONFIG_MAP "cellwall-ca"

/* One agent that asks, from the review of its token to the look at its pod. */
struct asking {
	struct enrol *n;
	struct asking *next, **pprev;
	struct fleet_enrol *e;
	struct kube_call *call;
	char node[64];
	char *csr, *pod, *pod_uid;
};

struct enrol {
	struct kube_client *kube;
	const struct ca *ca;
	struct asking *asking;
	size_t nasking;
	uv_timer_t publish;
	struct kube_call *publishing;
	uint32_t publish_ms;
	bool closing, timer_closed, kube_closed;
	void (*done)(void *arg);
	void *done_arg;
};

static void asking_free(struct asking *a)
{
	*a->pprev = a->next;
	if (a->next)
		a->next->pprev = a->pprev;
	a->n->nasking--;
	free(a->csr);
	free(a->pod);
	free(a->pod_uid);
	free(a);
}

static void refuse(struct asking *a, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
static void refuse(struct asking *a, const char *fmt, ...)
{
	char why[256];
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(why, sizeof(why), fmt, ap);
	va_end(ap);
	log_warn(0, "no certificate is given; node='%s' reason='%s'", a->node, why);
	fleet_enrol_answer(a->e, NULL, why);
	asking_free(a);
}

static void issue(struct asking *a)
{
	auto_cleanup(fail_list_done) struct fail_list f = { };
	struct cert_ask ask = { .name = { .role = WIRE_NODE }, .now_s = (int64_t)time(NULL), .life_s = CERT_LIFE_S };
	auto_free char *cert = NULL;

	snprintf(ask.name.name, sizeof(ask.name.name), "%s", a->node);
	if (ca_issue(a->n->ca, &ask, a->csr, &f, &cert)) {
		refuse(a, "%s", f.n ? f.items[0].message : "the certificate cannot be made");
		return;
	}
	log_info("certificate given; node='%s'", a->node);
	fleet_enrol_answer(a->e, cert, NULL);
	asking_free(a);
}

static const char *text_at(const cJSON *o, const char *section, const char *key)
{
	const cJSON *in = cJSON_GetObjectItemCaseSensitive(o, section);
	const char *s = cJSON_GetStringValue(cJSON_GetObjectItemCaseSensitive(in, key));

	return s ? s : "";
}

static void on_pod(void *arg, const struct kube_reply *r)
{
	struct asking *a = arg;

	a->call = NULL;
	if (r->err)
		refuse(a, "the pod of the token cannot be asked for: %s", r->a->text);
	else if (strcmp(text_at(r->obj, "metadata", "uid"), a->pod_uid))
		refuse(a, "the pod that the token was made for is no more");
	else if (strcmp(text_at(r->obj, "spec", "nodeName"), a->node))
		refuse(a, "the token's pod runs on another node than %s", a->node);
	else
		issue(a);
}

static void on_review(void *arg, int err, const char *text, const struct kube_token_user *u)
{
	struct asking *a = arg;
	struct kube_ref ref = { .api = "v1", .resource = "pods" };
	const char *ours = kube_client_config(a->n->kube)->namespace_;
	int r;

	a->call = NULL;
	if (err) {
		refuse(a, "the token is not accepted: %s", text);
		return;
	}
	/* Anybody may have a token made for this audience: only the agent's account is an agent's. */
	if (strcmp(u->namespace_, ours) || strcmp(u->service_account, ENROL_ACCOUNT)) {
		refuse(a, "the token is of %s, not of %s/%s", u->username, ours, ENROL_ACCOUNT);
		return;
	}
	if (*u->node_name) {
		if (strcmp(u->node_name, a->node))
			refuse(a, "the token is of node %s, not of %s", u->node_name, a->node);
		else
			issue(a);
		return;
	}
	if (!*u->pod_name || !*u->pod_uid) {
		refuse(a, "the token is bound to no pod, so that nobody knows its node");
		return;
	}
	a->pod = strdup(u->pod_name);
	a->pod_uid = strdup(u->pod_uid);
	ref.namespace_ = ours;
	ref.name = a->pod;
	r = a->pod && a->pod_uid ? kube_get(a->n->kube, &ref, on_pod, a, &a->call) : -ENOMEM;
	if (r)
		refuse(a, "the pod of the token cannot be asked for: %s", strerror(-r));
}

void enrol_ask(struct enrol *n, struct fleet_enrol *e, const char *node, const char *token, const char *csr)
{
	static const char *const audiences[] = { ENROL_AUDIENCE, NULL };
	struct asking *a;
	int r;

	if (n->closing || n->nasking >= ENROL_WAITING_MAX) {
		fleet_enrol_answer(e, NULL, "too many ask at once, try again");
		return;
	}
	a = calloc(1, sizeof(*a));
	if (!a) {
		fleet_enrol_answer(e, NULL, "no memory");
		return;
	}
	a->n = n;
	a->e = e;
	a->pprev = &n->asking;
	a->next = n->asking;
	if (a->next)
		a->next->pprev = &a->next;
	n->asking = a;
	n->nasking++;
	snprintf(a->node, sizeof(a->node), "%s", node);
	a->csr = strdup(csr);
	r = a->csr ? kube_token_review(n->kube, token, audiences, on_review, a, &a->call) : -ENOMEM;
	if (r)
		refuse(a, "the token cannot be reviewed: %s", strerror(-r));
}

/* ---- the authority, where agents find it --------------------------------------------------------- */

static void publish_again(struct enrol *n, uint32_t ms);

static void on_published(void *arg, const struct kube_reply *r)
{
	struct enrol *n = arg;

	n->publishing = NULL;
	if (!r->err) {
		log_info("the authority is published; configmap='%s/%s'", kube_client_config(n->kube)->namespace_, CONFIG_MAP);
		return;
	}
	log_warn(0, "the authority is not published, trying again; configmap='%s/%s' reason='%s'",
		 kube_client_config(n->kube)->namespace_, CONFIG_MAP, r->a->text);
	n->publish_ms = n->publish_ms * 2 > PUBLISH_MAX_MS ? PUBLISH_MAX_MS : n->publish_ms * 2;
	publish_again(n, n->publish_ms);
}

static void on_publish(uv_timer_t *t)
{
	struct enrol *n = t->data;
	const char *ns = kube_client_config(n->kube)->namespace_;
	const struct kube_ref ref = { .api = "v1", .resource = "configmaps", .namespace_ = ns, .name = CONFIG_MAP };
	const struct kube_write w = { .force = true };
	auto_cleanup(cJSON_Deletep) cJSON *o = cJSON_CreateObject();
	cJSON *k;
	int r;

	cJSON_AddStringToObject(o, "apiVersion", "v1");
	cJSON_AddStringToObject(o, "kind", "ConfigMap");
	k = cJSON_AddObjectToObject(o, "metadata");
	cJSON_AddStringToObject(k, "name", CONFIG_MAP);
	cJSON_AddStringToObject(k, "namespace", ns);
	k = cJSON_AddObjectToObject(k, "labels");
	cJSON_AddStringToObject(k, "app.kubernetes.io/part-of", "cellwall");
	k = cJSON_AddObjectToObject(o, "data");
	r = cJSON_AddStringToObject(k, "ca.crt", ca_cert(n->ca)) ?
	    kube_apply(n->kube, &ref, o, &w, on_published, n, &n->publishing) : -ENOMEM;
	if (r) {
		log_warn(r, "cannot publish the authority, trying again");
		publish_again(n, PUBLISH_MAX_MS);
	}
}

static void publish_again(struct enrol *n, uint32_t ms)
{
	if (!n->closing)
		uv_timer_start(&n->publish, on_publish, ms, 0);
}

/* ---- life ------------------------------------------------------------------------------------------ */

int enrol_new(uv_loop_t *loop, const struct config *cfg, const struct ca *ca, struct fail_list *f, struct enrol **ret)
{
	auto_cleanup(kube_config_done) struct kube_config kc = { };
	struct enrol *n;
	int r;

	if (!daemon_has_kube(cfg))
		return 0;
	r = daemon_kube_config(cfg, f, &kc);
	if (r < 0)
		return r;
	n = calloc(1, sizeof(*n));
	if (!n)
		return -ENOMEM;
	n->ca = ca;
	n->publish_ms = PUBLISH_MS;
	r = kube_client_new(loop, &kc, NULL, f, &n->kube);
	if (r < 0) {
		free(n);
		return r;
	}
	uv_timer_init(loop, &n->publish);
	n->publish.data = n;
	publish_again(n, 0);
	*ret = n;
	return 0;
}

static void close_check(struct enrol *n)
{
	void (*done)(void *arg) = n->done;
	void *arg = n->done_arg;

	if (!n->timer_closed || !n->kube_closed)
		return;
	free(n);
	if (done)
		done(arg);
}

static void on_timer_closed(uv_handle_t *h)
{
	struct enrol *n = h->data;

	n->timer_closed = true;
	close_check(n);
}

static void on_kube_closed(void *arg)
{
	struct enrol *n = arg;

	n->kube_closed = true;
	close_check(n);
}

void enrol_close(struct enrol *n, void (*done)(void *arg), void *arg)
{
	if (n->closing)
		return;
	n->closing = true;
	n->done = done;
	n->done_arg = arg;
	while (n->asking) {
		kube_call_cancel(n->asking->call);
		refuse(n->asking, "the controller stops");
	}
	kube_call_cancel(n->publishing);
	uv_close((uv_handle_t *)&n->publish, on_timer_closed);
	kube_client_close(n->kube, on_kube_closed, n);
}
