/* SPDX-License-Identifier: Apache-2.0 */
#include "daemon/lead.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>

#define LOG_UNIT "lead"
#include "base/cleanup.h"
#include "base/log.h"
#include "daemon/daemon.h"
#include "kube/lease.h"

struct lead {
	struct kube_client *kube;
	struct kube_lease *lease;
	struct lead_ops ops;
	void *arg;
	char identity[280];
	bool closing;
	void (*done)(void *arg);
	void *done_arg;
};

int daemon_kube_config(const struct config *cfg, struct fail_list *f, struct kube_config *ret)
{
	if (cfg->kubeconfig && *cfg->kubeconfig)
		return kube_config_file(cfg->kubeconfig, cfg->kube_context && *cfg->kube_context ? cfg->kube_context : NULL, f,
					NULL, NULL, ret);
	return kube_config_in_cluster(NULL, f, ret);
}

static void on_started(void *arg)
{
	struct lead *l = arg;

	log_info("this controller leads; identity='%s'", l->identity);
	l->ops.started(l->arg);
}

static void on_stopped(void *arg)
{
	struct lead *l = arg;

	if (l->closing)
		return;
	log_warn(0, "this controller leads no longer; identity='%s'", l->identity);
	l->ops.lost(l->arg);
}

static void on_leader(void *arg, const char *identity)
{
	struct lead *l = arg;

	if (strcmp(identity, l->identity))
		log_info("standing by; leader='%s'", identity);
}

static void on_fault(void *arg, int err, const char *text)
{
	(void)arg;
	log_warn(0, "cannot take or renew the lease; reason='%s' err=%d", text, err);
}

int lead_new(uv_loop_t *loop, const struct config *cfg, const struct lead_ops *ops, void *arg, struct fail_list *f,
	     struct lead **ret)
{
	static const struct kube_lease_ops lease_ops = {
		.started = on_started, .stopped = on_stopped, .leader = on_leader, .fault = on_fault,
	};
	auto_cleanup(kube_config_done) struct kube_config kc = { };
	struct kube_lease_spec spec = { .name = cfg->lease };
	uint32_t rnd = 0;
	struct lead *l;
	int r;

	if (!daemon_has_kube(cfg))
		return fail_add(f, -EINVAL, "config.lease", "controller.lease", "a Kubernetes API server", NULL,
				"there is no Kubernetes to hold a lease of");
	r = daemon_kube_config(cfg, f, &kc);
	if (r)
		return r;
	l = calloc(1, sizeof(*l));
	if (!l)
		return -ENOMEM;
	l->ops = *ops;
	l->arg = arg;
	if (getrandom(&rnd, sizeof(rnd), 0) != sizeof(rnd))
		rnd = (uint32_t)uv_hrtime();
	snprintf(l->identity, sizeof(l->identity), "%.253s_%08x", cfg->node, rnd);
	r = kube_client_new(loop, &kc, NULL, f, &l->kube);
	if (r) {
		free(l);
		return r;
	}
	spec.namespace_ = kc.namespace_;
	spec.identity = l->identity;
	*ret = l; /* closed by the caller from here on, also after a failure */
	r = kube_lease_new(l->kube, &spec, &lease_ops, l, &l->lease);
	return r ? fail_add(f, r, "config.lease", cfg->lease, "the name of a Lease", NULL, "cannot stand for the lease: %s",
			    strerror(-r)) : 0;
}

const char *lead_who(const struct lead *l)
{
	return l->lease ? kube_lease_leader(l->lease) : "";
}

static void on_kube_closed(void *arg)
{
	struct lead *l = arg;
	void (*done)(void *arg) = l->done;
	void *done_arg = l->done_arg;

	free(l);
	if (done)
		done(done_arg);
}

static void on_lease_closed(void *arg)
{
	struct lead *l = arg;

	l->lease = NULL;
	kube_client_close(l->kube, on_kube_closed, l);
}

void lead_close(struct lead *l, void (*done)(void *arg), void *arg)
{
	if (l->closing)
		return;
	l->closing = true;
	l->done = done;
	l->done_arg = arg;
	if (l->lease)
		kube_lease_close(l->lease, on_lease_closed, l);
	else
		on_lease_closed(l);
}
