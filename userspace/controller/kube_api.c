/* SPDX-License-Identifier: Apache-2.0 */
/* kube_api.c - the port to a real API server: which collections it serves, following them, writing. */
#define LOG_UNIT "kubernetes"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/log.h"
#include "controller/kube_priv.h"
#include "kube/apply.h"
#include "kube/discovery.h"
#include "kube/watch.h"

#define REFRESH_MS 15000u /* CRDs may be installed later */
#define STATUS_MANAGER "cellwall-status" /* so that writing a status is not taken for writing the object */

#define APIS_MAX 3
struct follow {
	const char *apis[APIS_MAX];	/* the first that is served */
	const char *resource;
	bool core;			/* served by every server there is */
	bool optional;			/* without the right to read it, only a comfort is missing */
};

static const struct follow follows[CLUSTER_KIND_COUNT] = {
	[CLUSTER_NAMESPACE] = { { "v1" }, "namespaces", true, false },
	[CLUSTER_NODE] = { { "v1" }, "nodes", true, false },
	[CLUSTER_POD] = { { "v1" }, "pods", true, false },
	[CLUSTER_SERVICE] = { { "v1" }, "services", true, false },
	[CLUSTER_ENDPOINT_SLICE] = { { "discovery.k8s.io/v1", "discovery.k8s.io/v1beta1" }, "endpointslices", false, false },
	[CLUSTER_REPLICASET] = { { "apps/v1" }, "replicasets", false, false },
	[CLUSTER_JOB] = { { "batch/v1" }, "jobs", false, false },
	[CLUSTER_DEPLOYMENT] = { { "apps/v1" }, "deployments", false, true },
	[CLUSTER_STATEFULSET] = { { "apps/v1" }, "statefulsets", false, true },
	[CLUSTER_DAEMONSET] = { { "apps/v1" }, "daemonsets", false, true },
	[CLUSTER_CRONJOB] = { { "batch/v1", "batch/v1beta1" }, "cronjobs", false, true },
	[CLUSTER_NETWORK_POLICY] = { { "networking.k8s.io/v1" }, "networkpolicies", false, false },
	[CLUSTER_ADMIN_POLICY] = { { "policy.networking.k8s.io/v1alpha1" }, "adminnetworkpolicies", false, false },
	[CLUSTER_BASELINE_POLICY] = { { "policy.networking.k8s.io/v1alpha1" }, "baselineadminnetworkpolicies", false, false },
	[CLUSTER_CLUSTER_POLICY] = { { "policy.networking.k8s.io/v1alpha2" }, "clusternetworkpolicies", false, false },
	[CLUSTER_ACCESS_RULE] = { { "cellwall.io/v1alpha1" }, "accessrules", false, false },
	[CLUSTER_CLUSTER_ACCESS_RULE] = { { "cellwall.io/v1alpha1" }, "clusteraccessrules", false, false },
	[CLUSTER_MODE_PROFILE] = { { "cellwall.io/v1alpha1" }, "modeprofiles", false, false },
	[CLUSTER_QUARANTINE] = { { "cellwall.io/v1alpha1" }, "quarantines", false, false },
};

struct link;
struct feed {
	struct link *l;
	enum cluster_kind kind;
	const char *api;	/* followed at; NULL: not */
	struct kube_watch *watch;
	bool refused;		/* optional, and we may not read it */
};

struct link {
	struct kube *k;
	struct kube_client *client;
	struct kube_discoverer *discoverer;
	struct feed feeds[CLUSTER_KIND_COUNT];
	char *address, *version;
	bool closing;
	void (*closed)(void *arg);
	void *closed_arg;
};

/* ---- following ---------------------------------------------------------------------------------- */

static void on_begin(void *arg)
{
	struct feed *f = arg;

	kube_begin(f->l->k, f->kind);
}

static void on_object(void *arg, const cJSON *obj)
{
	struct feed *f = arg;

	kube_object(f->l->k, f->kind, obj);
}

static void on_gone(void *arg, const cJSON *obj)
{
	struct feed *f = arg;

	kube_gone(f->l->k, f->kind, obj);
}

static void on_end(void *arg)
{
	struct feed *f = arg;

	kube_end(f->l->k, f->kind);
}

static uint32_t mask_of(const struct link *l)
{
	uint32_t mask = 0;

	for (int i = 0; i < CLUSTER_KIND_COUNT; i++)
		mask |= (uint32_t)(l->feeds[i].api && !l->feeds[i].refused) << i;
	return mask;
}

static void on_state(void *arg, enum kube_watch_state s, int err, const char *text)
{
	struct feed *f = arg;

	if (s == KUBE_WATCH_LOST && follows[f->kind].optional && err == -EACCES && !f->refused) {
		/* Waiting for a right that nobody means to give would hold everything up. */
		log_warn(0, "labels cellwall.io/mode on %s are not seen: they may not be read", follows[f->kind].resource);
		f->refused = true;
		kube_kinds(f->l->k, mask_of(f->l));
		return;
	}
	if (s == KUBE_WATCH_SYNCED && f->refused) {
		f->refused = false;
		kube_kinds(f->l->k, mask_of(f->l));
	}
	if (!f->refused)
		kube_following(f->l->k, f->kind, s == KUBE_WATCH_SYNCED, text);
}

static void on_skipped(void *arg, const char *ns, const char *name, int err)
{
	struct feed *f = arg;

	kube_skipped(f->l->k, f->kind, ns, name, err == -E2BIG ? "the object is too large" : "the object cannot be read");
}

static const struct kube_watch_ops watch_ops = {
	.begin = on_begin, .object = on_object, .gone = on_gone, .end = on_end, .state = on_state, .skipped = on_skipped,
};

static void follow(struct link *l, struct feed *f)
{
	const struct kube_ref ref = { .api = f->api, .resource = follows[f->kind].resource };
	struct kube_watch_spec spec = { .kind = cluster_kind_str(f->kind), .api_version = f->api,
					.managed = kube_is_document(f->kind) };
	auto_free char *path = NULL;
	int e = kube_path_make(&ref, &path);

	spec.path = path;
	e = e ?: kube_watch_new(l->client, &spec, &watch_ops, f, &f->watch);
	if (e) {
		log_err(e, "cannot follow %s", follows[f->kind].resource);
		kube_following(l->k, f->kind, false, "no memory to follow it");
	}
}

static const char *served_at(const struct kube_discovery *d, const struct follow *w)
{
	if (w->core)
		return w->apis[0];
	for (size_t i = 0; i < APIS_MAX && w->apis[i]; i++)
		if (kube_discovery_has(d, w->apis[i], w->resource))
			return w->apis[i];
	return NULL;
}

static void on_served(void *arg, const struct kube_discovery *d)
{
	struct link *l = arg;
	bool start[CLUSTER_KIND_COUNT] = {};
	char *version = strdup(kube_discovery_version(d) ? kube_discovery_version(d) : "");

	if (version) {
		free(l->version);
		l->version = version;
	}
	for (int i = 0; i < CLUSTER_KIND_COUNT; i++) {
		struct feed *f = &l->feeds[i];
		const char *api = follows[i].resource ? served_at(d, &follows[i]) : NULL;

		if (api == f->api)
			continue;
		kube_watch_close(f->watch);
		f->watch = NULL;
		f->api = api;
		f->refused = false;
		start[i] = api != NULL;
	}
	kube_kinds(l->k, mask_of(l));
	for (int i = 0; i < CLUSTER_KIND_COUNT; i++)
		if (start[i])
			follow(l, &l->feeds[i]);
}

static void on_unserved(void *arg, int err, const char *text)
{
	struct link *l = arg;

	(void)err;
	kube_unreachable(l->k, text);
}

/* ---- writing -------------------------------------------------------------------------------------- */

struct write { kube_done_fn *done; void *arg; };

static void answered(void *arg, const struct kube_reply *r)
{
	struct write *w = arg;
	const struct kube_in in = { .err = r->err, .text = r->err ? r->a->text : "", .obj = r->obj };

	w->done(w->arg, &in);
	free(w);
}

static int port_send(void *port, const struct kube_out *o, kube_done_fn *done, void *arg)
{
	struct link *l = port;
	const struct kube_ref ref = {
		.api = l->feeds[o->kind].api, .resource = follows[o->kind].resource, .namespace_ = o->ns, .name = o->name,
		.sub = o->verb == KUBE_STATUS ? "status" : NULL,
	};
	const struct kube_write how = { .manager = o->verb == KUBE_STATUS ? STATUS_MANAGER : NULL,
					.force = o->verb == KUBE_APPLY };
	struct write *w;
	int e;

	if (l->closing)
		return -ECANCELED;
	if (!ref.api)
		return -ENOENT;
	w = calloc(1, sizeof(*w));
	if (!w)
		return -ENOMEM;
	*w = (struct write){ done, arg };
	if (o->verb == KUBE_APPLY)
		e = kube_apply(l->client, &ref, o->body, &how, answered, w, NULL);
	else if (o->verb == KUBE_DELETE)
		e = kube_delete(l->client, &ref, o->uid, NULL, answered, w, NULL);
	else
		e = kube_merge(l->client, &ref, o->body, &how, answered, w, NULL);
	if (e)
		free(w);
	return e;
}

static void port_server(void *port, struct kube_server *ret)
{
	const struct link *l = port;

	ret->address = l->address ? l->address : "";
	ret->version = l->version ? l->version : "";
}

/* ---- life ------------------------------------------------------------------------------------------ */

static void link_free(struct link *l)
{
	free(l->address);
	free(l->version);
	free(l);
}

static void client_closed(void *arg)
{
	struct link *l = arg;
	void (*closed)(void *arg) = l->closed;
	void *closed_arg = l->closed_arg;

	link_free(l);
	closed(closed_arg);
}

static void port_close(void *port, void (*closed)(void *arg), void *arg)
{
	struct link *l = port;

	l->closing = true;
	l->closed = closed;
	l->closed_arg = arg;
	for (int i = 0; i < CLUSTER_KIND_COUNT; i++)
		kube_watch_close(l->feeds[i].watch);
	kube_discoverer_close(l->discoverer);
	kube_client_close(l->client, client_closed, l);
}

static const struct kube_port port_ops = { .send = port_send, .server = port_server, .close = port_close };

static void on_log(void *arg, int level, const char *text)
{
	(void)arg;
	log_write((enum log_level)level, LOG_UNIT, 0, "%s", text);
}

static void on_warn(void *arg, const char *text)
{
	(void)arg;
	log_warn(0, "%s", text);
}

bool controller_kube_in_cluster(void)
{
	const char *host = getenv("KUBERNETES_SERVICE_HOST");

	return host && *host && access(KUBE_SERVICE_ACCOUNT_DIR "/token", R_OK) == 0;
}

int controller_kube_open(struct controller *c, const struct controller_kube_client *cfg, struct fail_list *f)
{
	static const char *const resources_of[] = {
		"discovery.k8s.io/v1", "discovery.k8s.io/v1beta1", "apps/v1", "batch/v1", "batch/v1beta1", "networking.k8s.io/v1",
		"policy.networking.k8s.io/v1alpha1", "policy.networking.k8s.io/v1alpha2", "cellwall.io/v1alpha1", NULL
	};
	static const struct kube_discovery_spec spec = { .resources_of = resources_of, .refresh_ms = REFRESH_MS };
	static const struct kube_discovery_ops ops = { .changed = on_served, .fault = on_unserved };
	static const struct kube_client_opts opts = { .log = on_log };
	auto_cleanup(kube_config_done) struct kube_config kc = {};
	struct link *l;
	int e;

	if (cfg->kubeconfig)
		e = kube_config_file(cfg->kubeconfig, cfg->context, f, on_warn, NULL, &kc);
	else
		e = kube_config_in_cluster(NULL, f, &kc);
	if (e)
		return e;
	l = calloc(1, sizeof(*l));
	if (!l)
		return -ENOMEM;
	for (int i = 0; i < CLUSTER_KIND_COUNT; i++)
		l->feeds[i] = (struct feed){ .l = l, .kind = (enum cluster_kind)i };
	l->address = strdup(kc.server);
	e = l->address ? kube_client_new(c->loop, &kc, &opts, f, &l->client) : -ENOMEM;
	if (e) {
		link_free(l);
		return e;
	}
	e = controller_kube_new(c, &cfg->cfg, &port_ops, l, &l->k);
	if (e) {
		kube_client_close(l->client, NULL, NULL);
		link_free(l);
		return fail_add(f, e, "kubernetes.store", NULL, "a readable store", NULL,
				"what was agreed with the API server cannot be read");
	}
	/* From here on everything is closed with the controller. */
	e = kube_discoverer_new(l->client, &spec, &ops, l, &l->discoverer);
	if (e)
		return fail_add(f, e, "kubernetes.memory", NULL, NULL, NULL, "cannot look what the API server serves");
	return 0;
}
