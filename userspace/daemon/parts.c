/* SPDX-License-Identifier: Apache-2.0 */
/* parts.c - each part of the process from the configuration. */
#include <errno.h>
#include <netdb.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#define LOG_UNIT "cellwalld"
#include "agent/agent.h"
#include "base/cleanup.h"
#include "base/file.h"
#include "base/json.h"
#include "base/log.h"
#include "controller/controller.h"
#include "controller/kube.h"
#include "controller/local.h"
#include "daemon/cni.h"
#include "daemon/daemon.h"
#include "daemon/lead.h"
#include "daemon/tls.h"
#include "fleet/fleet.h"
#include "http/http_server.h"
#include "link/uplink.h"

static struct cJSON *config_json(void *arg)
{
	struct daemon *d = arg;

	return config_show(&d->cfg, false);
}

static const char *or_null(const char *s)
{
	return s && *s ? s : NULL;
}

/* ---- agent ---------------------------------------------------------------------------------- */

int daemon_open_agent(struct daemon *d, struct fail_list *f)
{
	const struct config *c = &d->cfg;
	auto_free char *dir = NULL, *cni_dir = NULL;
	struct agent_config ac = {
		.node = c->node, .pin_root = c->pin_root, .hook = (enum agent_hook)c->hook, .closed = c->closed,
		.flows = (uint32_t)c->flows, .accesses = (uint32_t)c->accesses, .pairs = (uint32_t)c->pairs,
		.policy_entries = (uint32_t)c->policy_entries, .addrs = (uint32_t)c->addresses,
		.endpoints = (uint32_t)c->endpoints, .groups = (uint32_t)c->groups, .rows = (uint32_t)c->rows,
		.share_accesses = (uint32_t)c->share_accesses, .share_pairs = (uint32_t)c->share_pairs,
		.ring_bytes = (uint32_t)c->event_bytes, .drain_ms = (uint32_t)c->drain_ms,
		.repair_ms = (uint32_t)c->repair_ms, .event_gap_ms = (uint32_t)c->event_gap_ms,
		.local_node = (uint32_t)c->local_node, .shield_pps = (uint32_t)c->shield_pps,
		.probe_ms = (uint32_t)c->probe_ms,
		.resolvers = c->resolvers.v, .nresolvers = c->resolvers.n,
		.dns_min_ttl = (uint32_t)(c->dns_min_ttl_ms / 1000), .dns_grace = (uint32_t)(c->dns_grace_ms / 1000),
		.dns_names = (uint32_t)c->dns_names, .expedite = c->expedite == CONFIG_EXPEDITE_AUTO,
		.find = c->role == CONFIG_ROLE_AGENT || daemon_has_kube(c),
		.cni_conf_dir = c->cni_conf_dir, .cni_wait_ms = (uint32_t)c->cni_wait_ms,
	};

	if (asprintf(&dir, "%s/agent", c->state_dir) < 0) {
		dir = NULL;
		return fail_add(f, -ENOMEM, "agent.memory", NULL, NULL, NULL, "no memory");
	}
	cni_dir = daemon_cni_dir(c);
	if (!cni_dir)
		return fail_add(f, -ENOMEM, "agent.memory", NULL, NULL, NULL, "no memory");
	ac.state_dir = dir;
	ac.cni_dir = cni_dir;
	return agent_new(&d->loop, &ac, f, &d->agent);
}

int daemon_open_uplink(struct daemon *d, struct fail_list *f)
{
	const struct config *c = &d->cfg;
	auto_cleanup(fail_list_done) struct fail_list told = { };
	auto_free char *dir = NULL;
	struct uplink_config uc = {
		.node = c->node, .controllers = (const char *const *)c->controllers.v, .ncontrollers = c->controllers.n,
		.ca = or_null(c->tls_ca), .cert = or_null(c->tls_cert), .key = or_null(c->tls_key),
		.token = or_null(c->tls_token), .spool_bytes = c->spool_bytes,
	};
	int r;

	if (asprintf(&dir, "%s/agent", c->state_dir) < 0) {
		dir = NULL;
		return fail_add(f, -ENOMEM, "agent.memory", NULL, NULL, NULL, "no memory");
	}
	uc.state_dir = dir;
	uc.node_addrs = agent_node_addrs(d->agent, &uc.nnode_addrs);
	r = uplink_new(&d->loop, &uc, agent_ops(), d->agent, &told, &d->uplink);
	for (size_t i = 0; i < told.n; i++) {
		const struct fail *t = &told.items[i];

		if (r < 0)
			fail_add(f, r, t->name, t->at, t->expected, t->next, "%s", t->message);
		else
			log_warn(0, "%s; file='%s'", t->message, t->at ?: "");
	}
	return r;
}

/* ---- controller --------------------------------------------------------------------------------- */

static int listen_on(struct daemon *d, const char *at, struct fail_list *f)
{
	const struct addrinfo hints = { .ai_socktype = SOCK_STREAM, .ai_flags = AI_PASSIVE | AI_NUMERICSERV };
	char host[256], port[8];
	struct addrinfo *all = NULL;
	bool any = *at == ':' && at[1] != ':';
	int r;

	if (any)
		snprintf(port, sizeof(port), "%.6s", at + 1);
	else if (uplink_address_parse(at, host, port))
		return fail_add(f, -EINVAL, "config.address", at, "HOST:PORT, [IPV6]:PORT or :PORT", NULL,
				"this is no address to listen on");
	r = getaddrinfo(any ? "::" : host, port, &hints, &all);
	r = r && any ? getaddrinfo("0.0.0.0", port, &hints, &all) : r;
	if (r)
		return fail_add(f, -EADDRNOTAVAIL, "config.address", at, "an address of this host", NULL,
				"cannot listen there: %s", gai_strerror(r));
	r = fleet_listen(d->fleet, all->ai_addr, any ? NULL : f, NULL);
	if (r < 0 && any) { /* without IPv6 */
		freeaddrinfo(all);
		all = NULL;
		if (!getaddrinfo("0.0.0.0", port, &hints, &all))
			r = fleet_listen(d->fleet, all->ai_addr, f, NULL);
	}
	freeaddrinfo(all);
	if (!r)
		log_info("waiting for agents; at='%s'", at);
	return r;
}

int daemon_open_fleet(struct daemon *d, struct fail_list *f)
{
	const struct config *c = &d->cfg;
	struct fleet_config fc = { .name = c->node, .enrol = tls_enrol };
	int r;

	if (d->agent && !c->listen.n)
		return 0; /* alone: joined directly */
	r = tls_open(&d->loop, c, f, &d->tls);
	if (r < 0)
		return r;
	fc.enrol_arg = d->tls;
	if (d->agent) {
		fc.local = agent_ops();
		fc.local_node = d->agent;
		fc.local_name = c->node;
	}
	r = fleet_new(&d->loop, &fc, f, &d->fleet);
	if (!r)
		tls_serve(d->tls, d->fleet);
	return r;
}

bool daemon_has_kube(const struct config *c)
{
	return c->kube == CONFIG_KUBE_ON ||
	       (c->kube == CONFIG_KUBE_AUTO && (or_null(c->kubeconfig) || controller_kube_in_cluster()));
}

static int open_kube(struct daemon *d, struct fail_list *f)
{
	const struct config *c = &d->cfg;
	const struct controller_kube_client kc = {
		.kubeconfig = or_null(c->kubeconfig), .context = or_null(c->kube_context),
		.cfg = { .write_rules = c->kube_write != 0, .own_cidrs = !c->cluster_cidrs.n },
	};

	return daemon_has_kube(c) ? controller_kube_open(d->controller, &kc, f) : 0;
}

int daemon_open_controller(struct daemon *d, struct fail_list *f)
{
	static const char *const everywhere[] = { ":7946" };
	const struct config *c = &d->cfg;
	auto_free char *store = NULL;
	struct controller_config cc = {
		.cluster = c->cluster, .node = c->node,
		.inventory_path = c->inventory && *c->inventory ? c->inventory : NULL,
		.default_mode = (enum cw_mode)c->mode, .default_action = (enum cw_action)c->unmatched,
		.enforce_always = (uint32_t)c->enforce_always, .local_node = (uint32_t)c->local_node,
		.cluster_cidrs = c->cluster_cidrs.v, .ncluster_cidrs = c->cluster_cidrs.n,
		.ignore_labels = (const char *const *)c->ignore_labels.v, .nignore_labels = c->ignore_labels.n,
		.fold_cidrs = c->fold_cidrs.v, .nfold_cidrs = c->fold_cidrs.n,
		.scan_ports = (uint32_t)c->scan_ports, .scan_peers = (uint32_t)c->scan_peers,
		.scan_window_s = (uint32_t)(c->scan_window_ms / 1000), .generations = (uint32_t)c->generations,
		.write_uids = c->write_uids.v, .nwrite_uids = c->write_uids.n,
		.write_gids = c->write_gids.v, .nwrite_gids = c->write_gids.n,
		.config_json = config_json, .config_arg = d,
	};
	const char *const *at = (const char *const *)c->listen.v;
	size_t n = c->listen.n;
	int r;

	if (asprintf(&store, "%s/cellwall.db", c->state_dir) < 0) {
		store = NULL;
		return fail_add(f, -ENOMEM, "store.memory", NULL, NULL, NULL, "no memory");
	}
	cc.store_path = store;
	if (d->agent)
		cc.node_addrs = agent_node_addrs(d->agent, &cc.nnode_addrs);
	r = d->fleet ? controller_new(&d->loop, &cc, fleet_ops(), d->fleet, f, &d->controller) :
		       controller_new(&d->loop, &cc, agent_ops(), d->agent, f, &d->controller);
	r = r ?: open_kube(d, f);
	if (r < 0 || !d->fleet)
		return r;
	fleet_set_sink(d->fleet, controller_sink(d->controller), d->controller);
	if (!n) {
		at = everywhere;
		n = 1;
	}
	for (size_t i = 0; i < n && !r; i++)
		r = listen_on(d, at[i], f);
	return r;
}

/* ---- API ------------------------------------------------------------------------------------------ */

static int local_state(void *arg, struct policy_state *ret)
{
	return uplink_state(((struct daemon *)arg)->uplink, ret);
}

static void local_state_done(void *arg, struct policy_state *st)
{
	(void)arg;
	uplink_state_done(st);
}

static const char *local_controller(void *arg)
{
	struct daemon *d = arg;

	if (d->lead)
		return lead_who(d->lead);
	return d->cfg.controllers.n ? d->cfg.controllers.v[0] : NULL;
}

static struct cJSON *local_uplink(void *arg)
{
	struct uplink_status s;
	cJSON *o = cJSON_CreateObject(), *k;
	int64_t since_ms;

	uplink_status_get(((struct daemon *)arg)->uplink, &s);
	since_ms = s.since_ns / 1000000;
	cJSON_AddStringToObject(o, "state", s.state);
	cJSON_AddStringToObject(o, "controller", s.controller);
	cJSON_AddStringToObject(o, "address", s.address);
	cJSON_AddStringToObject(o, "problem", s.problem);
	cJSON_AddBoolToObject(o, "inSync", !strcmp(s.state, "connected") && s.applied);
	cJSON_AddBoolToObject(o, "applied", s.applied);
	cJSON_AddBoolToObject(o, "fromDisk", s.from_disk);
	cJSON_AddNumberToObject(o, "revision", (double)s.revision);
	cJSON_AddNumberToObject(o, "generation", (double)s.generation);
	cJSON_AddNumberToObject(o, "sinceUnixMs", (double)since_ms);
	cJSON_AddNumberToObject(o, "certificateUntilUnix", (double)s.cert_until_s);
	cJSON_AddNumberToObject(o, "connects", (double)s.connects);
	k = cJSON_AddObjectToObject(o, "spool");
	cJSON_AddNumberToObject(k, "rows", (double)s.spool.rows);
	cJSON_AddNumberToObject(k, "bytes", (double)s.spool.bytes);
	cJSON_AddNumberToObject(k, "bytesMax", (double)s.spool.bytes_max);
	cJSON_AddNumberToObject(k, "replaced", (double)s.spool.replaced);
	cJSON_AddNumberToObject(k, "refused", (double)s.spool.refused);
	cJSON_AddNumberToObject(k, "taken", (double)s.spool.taken);
	cJSON_AddNumberToObject(o, "eventsDropped", (double)s.events_dropped);
	cJSON_AddNumberToObject(o, "notesDropped", (double)s.notes_dropped);
	return o;
}

static int open_local(struct daemon *d)
{
	struct local_api_config lc = {
		.cluster = d->cfg.cluster, .node = d->cfg.node, .controller = local_controller,
		.config_json = config_json, .arg = d,
	};

	if (d->agent) {
		lc.ops = agent_ops();
		lc.ops_node = d->agent;
		lc.state = local_state;
		lc.state_done = local_state_done;
		lc.uplink = local_uplink;
	}
	return local_api_new(&lc, &d->local);
}

static int make_dir_of(const char *path, struct fail_list *f)
{
	auto_free char *dir = strdup(path);
	char *slash = dir ? strrchr(dir, '/') : NULL;
	int r;

	if (!dir)
		return fail_add(f, -ENOMEM, "api.memory", NULL, NULL, NULL, "no memory");
	if (!slash || slash == dir)
		return 0;
	*slash = 0;
	r = mkdir_p(dir, 0755);
	return r < 0 ? fail_add(f, r, "api.socket", path, "a directory that can be made", NULL,
				"cannot make the socket's directory: %s", strerror(-r)) : 0;
}

int daemon_open_api(struct daemon *d, struct fail_list *f)
{
	struct http_server_config hc = { .authorize = controller_authorize, .authorize_arg = d->controller };
	int r = make_dir_of(d->cfg.socket, f);

	if (r < 0)
		return r;
	if (!d->controller) {
		r = open_local(d);
		if (r < 0)
			return fail_add(f, r, "api.memory", NULL, NULL, NULL, "no memory");
		hc.authorize = local_api_authorize;
		hc.authorize_arg = d->local;
	}
	r = http_server_new(&d->loop, &hc, &d->http);
	if (r < 0)
		return fail_add(f, r, "api.server", NULL, NULL, NULL, "cannot make the API server");
	r = d->controller ? controller_routes(d->controller, d->http) : local_api_routes(d->local, d->http);
	if (r < 0)
		return fail_add(f, r, "api.routes", NULL, NULL, NULL, "cannot add the API's routes");
	if (d->agent) {
		r = daemon_cni_open(d->agent, &d->cfg, d->http, f);
		if (r < 0)
			return r;
	}
	/* Everybody on the machine may ask; who may change things is the peer's identity. */
	return http_server_listen_unix(d->http, d->cfg.socket, 0666, (uid_t)-1, (gid_t)-1, f);
}
