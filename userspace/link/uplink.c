/* SPDX-License-Identifier: Apache-2.0 */
/* uplink.c - life of the agent's end: open what is on disk, start, tick, close. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <time.h>

#define LOG_UNIT "link"
#include "base/cleanup.h"
#include "base/file.h"
#include "base/log.h"
#include "link/priv.h"

int64_t uplink_now_ns(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_REALTIME, &ts);
	return (int64_t)ts.tv_sec * 1000000000ll + ts.tv_nsec;
}

static int copy_str(char **to, const char *s)
{
	if (!s || !*s)
		return 0;
	*to = strdup(s);
	return *to ? 0 : -ENOMEM;
}

static int path_in(char **to, const char *dir, const char *name)
{
	if (asprintf(to, "%s/%s", dir, name) >= 0)
		return 0;
	*to = NULL;
	return -ENOMEM;
}

static int check_config(const struct uplink_config *cfg, struct fail_list *f)
{
	char host[256], port[8];

	if (!cfg->node || !*cfg->node || strlen(cfg->node) > 63)
		return fail_add(f, -EINVAL, "config.missing", "node", "a name of at most 63 characters", NULL,
				"an agent needs a name");
	if (!cfg->ncontrollers || cfg->ncontrollers > UPLINK_CONTROLLERS_MAX)
		return fail_add(f, -EINVAL, "config.missing", "controller.address", "1 to 16 addresses, HOST:PORT", NULL,
				"an agent needs the address of a controller");
	if (!cfg->ca || !*cfg->ca)
		return fail_add(f, -EINVAL, "config.missing", "controller.tls.ca", "the authority's certificate", NULL,
				"an agent needs to know whom to believe");
	if ((cfg->cert != NULL) != (cfg->key != NULL))
		return fail_add(f, -EINVAL, "config.missing", cfg->cert ? "controller.tls.key" : "controller.tls.cert",
				"both files, or none", NULL, "a certificate and its key go together");
	for (size_t i = 0; i < cfg->ncontrollers; i++)
		if (uplink_address_parse(cfg->controllers[i], host, port))
			return fail_add(f, -EINVAL, "config.address", cfg->controllers[i], "HOST, HOST:PORT or [ADDRESS]:PORT",
					NULL, "this is no address of a controller");
	return 0;
}

static int copy_config(struct uplink *u, const struct uplink_config *cfg)
{
	int r = copy_str(&u->name, cfg->node);

	r = r ?: copy_str(&u->state_dir, cfg->state_dir);
	r = r ?: copy_str(&u->ca, cfg->ca);
	r = r ?: copy_str(&u->token, cfg->token);
	u->issued = !cfg->cert;
	r = r ?: u->issued ? path_in(&u->cert, cfg->state_dir, "agent.pem") : copy_str(&u->cert, cfg->cert);
	r = r ?: u->issued ? path_in(&u->key, cfg->state_dir, "agent.pem") : copy_str(&u->key, cfg->key);
	if (r)
		return r;
	u->controllers = calloc(cfg->ncontrollers, sizeof(*u->controllers));
	if (!u->controllers)
		return -ENOMEM;
	for (; u->ncontrollers < cfg->ncontrollers && !r; u->ncontrollers++)
		r = copy_str(&u->controllers[u->ncontrollers], cfg->controllers[u->ncontrollers]);
	return r ?: node_addrs_take(u, cfg->node_addrs, cfg->nnode_addrs);
}

static void uplink_free(struct uplink *u)
{
	apply_done(u);
	report_done(u);
	keys_done(u);
	uv_freeaddrinfo(u->found);
	for (size_t i = 0; i < u->ncontrollers; i++)
		free(u->controllers[i]);
	free(u->controllers);
	free(u->node_addrs);
	free(u->name);
	free(u->state_dir);
	free(u->ca);
	free(u->cert);
	free(u->key);
	free(u->token);
	free(u);
}

int uplink_new(uv_loop_t *loop, const struct uplink_config *cfg, const struct node_ops *ops, void *node,
	       struct fail_list *f, struct uplink **ret)
{
	auto_free char *spool = NULL;
	struct uplink *u;
	int r = check_config(cfg, f);

	if (r)
		return r;
	r = mkdir_p(cfg->state_dir, 0700);
	if (r)
		return fail_add(f, r, "state.dir", cfg->state_dir, "a directory that can be made", NULL,
				"cannot make the agent's directory: %s", strerror(-r));
	u = calloc(1, sizeof(*u));
	if (!u)
		return -ENOMEM;
	u->loop = loop;
	u->ops = ops;
	u->node = node;
	u->applied = true; /* nothing was refused yet */
	u->owed = POLICY_KEEP;
	u->event_tokens = EVENTS_PER_S;
	u->version_min = cfg->version_min ?: WIRE_VERSION_MIN;
	u->version_max = cfg->version_max ?: WIRE_VERSION;
	if (getrandom(&u->instance, sizeof(u->instance), 0) != sizeof(u->instance))
		u->instance = uv_hrtime();
	u->addresses = htab_new();
	r = u->addresses ? copy_config(u, cfg) : -ENOMEM;
	r = r ?: path_in(&spool, u->state_dir, "spool.db");
	r = r ?: spool_open(spool, cfg->spool_bytes ?: UPLINK_SPOOL_BYTES, f, &u->spool);
	r = r ?: apply_load(u, f);
	if (r) {
		uplink_free(u);
		return r;
	}
	uv_timer_init(loop, &u->retry);
	uv_timer_init(loop, &u->tick);
	u->retry.data = u->tick.data = u;
	u->handles = 2;
	*ret = u;
	return 0;
}

const struct node_sink *uplink_sink(void)
{
	return &report_sink;
}

static void on_tick(uv_timer_t *t)
{
	struct uplink *u = t->data;

	u->ticks++;
	if (u->state == UP_GREETING && u->conn && uv_now(u->loop) > u->greet_by)
		wire_conn_close(u->conn, -ETIMEDOUT, "no answer to the greeting");
	keys_tick(u);
	apply_tick(u);
	report_tick(u);
}

int uplink_start(struct uplink *u, struct fail_list *f)
{
	int r = apply_start(u, f);

	u->started = true;
	uv_timer_start(&u->tick, on_tick, TICK_MS, TICK_MS);
	connect_soon(u, 0);
	return r;
}

/* ---- closing ----------------------------------------------------------------------------------------- */

void connect_closed_check(struct uplink *u)
{
	void (*done)(void *arg) = u->done;
	void *arg = u->done_arg;

	if (!u->closing || u->handles || u->conn || u->enrol)
		return;
	uplink_free(u);
	if (done)
		done(arg);
}

static void on_handle_closed(uv_handle_t *h)
{
	struct uplink *u = h->data;

	u->handles--;
	connect_closed_check(u);
}

void uplink_close(struct uplink *u, void (*done)(void *arg), void *arg)
{
	if (!u || u->closing)
		return;
	report_pump(u); /* one batch more, if the connection takes it at once */
	u->closing = true;
	u->done = done;
	u->done_arg = arg;
	connect_resolve_drop(u);
	if (u->conn)
		wire_conn_close(u->conn, 0, "the agent stops");
	if (u->enrol)
		wire_conn_close(u->enrol, 0, "the agent stops");
	uv_close((uv_handle_t *)&u->retry, on_handle_closed);
	uv_close((uv_handle_t *)&u->tick, on_handle_closed);
}

/* ---- for people ---------------------------------------------------------------------------------------- */

void uplink_status_get(const struct uplink *u, struct uplink_status *ret)
{
	static const char *const words[] = {
		[UP_WAITING] = "waiting", [UP_RESOLVING] = "connecting", [UP_CONNECTING] = "connecting",
		[UP_GREETING] = "connecting", [UP_CONNECTED] = "connected", [UP_ENROLLING] = "enrolling",
		[UP_CLOSED] = "closed",
	};

	memset(ret, 0, sizeof(*ret));
	ret->state = words[u->state];
	memcpy(ret->controller, u->controller, sizeof(ret->controller));
	memcpy(ret->address, u->address, sizeof(ret->address));
	snprintf(ret->problem, sizeof(ret->problem), "%s", *u->problem ? u->problem : u->refused);
	ret->since_ns = u->since_ns;
	ret->applied = u->applied && replica_held(u->replica).revision;
	ret->revision = replica_held(u->replica).revision;
	ret->generation = u->applied_generation;
	ret->from_disk = u->from_disk;
	ret->cert_until_s = u->until_s;
	spool_figures_get(u->spool, &ret->spool);
	ret->events_dropped = u->events_dropped;
	ret->notes_dropped = u->notes_dropped;
	ret->connects = u->connects;
}

int uplink_state(const struct uplink *u, struct policy_state *ret)
{
	return replica_view(u->replica, u->name, ret);
}

void uplink_state_done(struct policy_state *st)
{
	replica_view_done(st);
}
