/* SPDX-License-Identifier: Apache-2.0 */
/*
 * run.c - life of the process. Start: lock, agent (data path loaded, standing attachments found),
 * credentials and fleet, controller (store), API socket, state handed to the nodes, ready. Stop in
 * reverse; what is in force in the kernel stays in force.
 */
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/socket.h>
#include <sys/un.h>

#define LOG_UNIT "cellwalld"
#include "agent/agent.h"
#include "base/cleanup.h"
#include "base/file.h"
#include "base/log.h"
#include "controller/controller.h"
#include "controller/local.h"
#include "daemon/daemon.h"
#include "daemon/lead.h"
#include "daemon/tls.h"
#include "fleet/fleet.h"
#include "http/http_server.h"
#include "link/uplink.h"

void daemon_print_fails(const struct fail_list *l)
{
	for (size_t i = 0; i < l->n; i++) {
		const struct fail *f = &l->items[i];

		fprintf(stderr, "error[%s]: %s\n", f->name, f->message);
		if (f->at)
			fprintf(stderr, "  at:       %s\n", f->at);
		if (f->expected)
			fprintf(stderr, "  expected: %s\n", f->expected);
		if (f->next)
			fprintf(stderr, "  next:     %s\n", f->next);
	}
}

/* Tells the service manager (sd_notify(3) protocol: one datagram to $NOTIFY_SOCKET). */
static void notify(const char *state)
{
	const char *path = getenv("NOTIFY_SOCKET");
	struct sockaddr_un to = { .sun_family = AF_UNIX };
	size_t n = path ? strlen(path) : 0;
	auto_close int fd = -1;

	if (n < 2 || n >= sizeof(to.sun_path) || (path[0] != '/' && path[0] != '@'))
		return;
	memcpy(to.sun_path, path, n);
	if (path[0] == '@')
		to.sun_path[0] = 0;
	fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	if (fd < 0 || sendto(fd, state, strlen(state), MSG_NOSIGNAL, (struct sockaddr *)&to,
			     (socklen_t)(offsetof(struct sockaddr_un, sun_path) + n)) < 0)
		log_warn(-errno, "cannot notify the service manager");
}

/* ---- stopping ------------------------------------------------------------------------------ */

/* One part at a time: each is gone before what it uses. */
static void stop_next(void *arg);

static void http_closed(void *arg)
{
	((struct daemon *)arg)->http = NULL;
	stop_next(arg);
}

static void uplink_closed(void *arg)
{
	((struct daemon *)arg)->uplink = NULL;
	stop_next(arg);
}

static void controller_closed(void *arg)
{
	((struct daemon *)arg)->controller = NULL;
	stop_next(arg);
}

static void tls_closed(void *arg)
{
	((struct daemon *)arg)->tls = NULL;
	stop_next(arg);
}

static void fleet_closed(void *arg)
{
	((struct daemon *)arg)->fleet = NULL;
	stop_next(arg);
}

static void lead_closed(void *arg)
{
	((struct daemon *)arg)->lead = NULL;
	stop_next(arg);
}

static void agent_closed(void *arg)
{
	((struct daemon *)arg)->agent = NULL;
	stop_next(arg);
}

static void stop_next(void *arg)
{
	struct daemon *d = arg;

	if (d->http) {
		http_server_close(d->http, http_closed, d);
		return;
	}
	local_api_free(d->local);
	d->local = NULL;
	/* Nobody is left to report to. */
	if (d->agent)
		agent_set_sink(d->agent, NULL, NULL);
	if (d->fleet)
		fleet_set_sink(d->fleet, NULL, NULL);
	if (d->uplink)
		uplink_close(d->uplink, uplink_closed, d);
	else if (d->tls)
		tls_close(d->tls, tls_closed, d);
	else if (d->controller)
		controller_close(d->controller, controller_closed, d);
	else if (d->fleet)
		fleet_close(d->fleet, fleet_closed, d);
	else if (d->lead)
		lead_close(d->lead, lead_closed, d);
	else if (d->agent)
		agent_close(d->agent, agent_closed, d);
	else
		d->stopped = true;
}

static void stop(struct daemon *d)
{
	if (d->stopping)
		return;
	d->stopping = true;
	uv_close((uv_handle_t *)&d->term, NULL);
	uv_close((uv_handle_t *)&d->intr, NULL);
	uv_close((uv_handle_t *)&d->hup, NULL);
	/* What the kernel has counted by now is committed before the store or the spool closes. */
	if (d->agent && (d->controller || d->uplink))
		(void)agent_ops()->drain(d->agent);
	stop_next(d);
}

static void on_stop(uv_signal_t *s, int num)
{
	struct daemon *d = s->data;

	log_info("stopping; signal=%d%s", num, d->agent ? " (enforcement stays in force)" : "");
	notify("STOPPING=1");
	stop(d);
}

/* Reload: the log level and format; what else changed takes a restart, which loses nothing. */
static void on_hup(uv_signal_t *s, int num)
{
	struct daemon *d = s->data;
	struct fail_list f = { };
	struct config next = { };

	(void)num;
	if (config_load(d->cfg_path, true, &f, &next) < 0) {
		daemon_print_fails(&f);
		log_warn(0, "configuration has faults, keeping the one in force; file='%s'", d->cfg_path);
	} else {
		log_set_level((enum log_level)next.log_level);
		log_set_json(next.log_format == CONFIG_LOG_JSON);
		config_done(&next);
		log_info("reloaded log settings; other keys take effect with a restart");
	}
	fail_list_done(&f);
}

/* ---- starting ------------------------------------------------------------------------------- */

/* One daemon per state directory. */
static int lock_state(struct daemon *d, struct fail_list *f)
{
	auto_free char *path = NULL;
	int r = mkdir_p(d->cfg.state_dir, 0700);

	if (r < 0)
		return fail_add(f, r, "state.dir", d->cfg.state_dir, "a directory that can be made", NULL,
				"cannot make the state directory: %s", strerror(-r));
	if (asprintf(&path, "%s/lock", d->cfg.state_dir) < 0)
		return fail_add(f, -ENOMEM, "state.memory", NULL, NULL, NULL, "no memory");
	d->lock = open(path, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600);
	if (d->lock < 0 || flock(d->lock, LOCK_EX | LOCK_NB))
		return fail_add(f, -errno, "state.locked", d->cfg.state_dir, "a state directory of its own",
				"cellwall status", "another cellwalld uses this state directory");
	return 0;
}

/* What is wrong but must not keep the process away: it is mended while it runs. */
static void soft(struct fail_list *f)
{
	daemon_print_fails(f);
	fail_list_done(f);
}

static int start_agent(struct daemon *d, struct fail_list *f)
{
	const struct node_sink *sink = d->uplink ? uplink_sink() : controller_sink(d->controller);

	agent_set_sink(d->agent, sink, d->uplink ? (void *)d->uplink : d->controller);
	return agent_start(d->agent, f);
}

static int start_parts(struct daemon *d, struct fail_list *f)
{
	struct fail_list s = { };
	int r = 0;

	if (daemon_has_agent(d))
		r = daemon_open_agent(d, f);
	if (!r && daemon_has_controller(d)) {
		r = daemon_open_fleet(d, f);
		r = r ?: daemon_open_controller(d, f);
	} else if (!r) {
		r = daemon_open_uplink(d, f);
	}
	if (!r && d->agent)
		r = start_agent(d, f);
	if (r < 0)
		return r;
	if (d->controller && !d->agent) {
		/* Agents are told nothing before the stored state is handed over. */
		if (controller_start(d->controller, &s) < 0)
			soft(&s);
		return daemon_open_api(d, f);
	}
	/* Enforced before anybody may ask: an agent needs nobody for what it had. */
	if (d->uplink && uplink_start(d->uplink, &s) < 0)
		soft(&s);
	r = daemon_open_api(d, f);
	if (r < 0)
		return r;
	if (d->controller && controller_start(d->controller, &s) < 0)
		soft(&s);
	return 0;
}

static void say_ready(const struct daemon *d)
{
	static const char *const roles[] = { "all", "agent", "controller" };

	log_info("ready; role=%s socket='%s' node='%s'", roles[d->cfg.role], d->cfg.socket, d->cfg.node);
	notify("READY=1");
}

/* ---- of several controllers ------------------------------------------------------------------- */

static void standby_over(void *arg)
{
	struct daemon *d = arg;
	struct fail_list f = { };

	d->http = NULL;
	if (d->stopping) {
		stop_next(d);
		return;
	}
	local_api_free(d->local);
	d->local = NULL;
	if (start_parts(d, &f) < 0) {
		daemon_print_fails(&f);
		d->failed = true;
		stop(d);
	} else {
		say_ready(d);
	}
	fail_list_done(&f);
}

static void on_leading(void *arg)
{
	struct daemon *d = arg;

	http_server_close(d->http, standby_over, d);
}

/* Another one may lead in a moment: whoever starts us again makes us a candidate. */
static void on_lost(void *arg)
{
	struct daemon *d = arg;

	d->failed = true;
	stop(d);
}

static const struct lead_ops lead_ops = { .started = on_leading, .lost = on_lost };

static int start(struct daemon *d, struct fail_list *f)
{
	int r = lock_state(d, f);

	if (r || d->cfg.role != CONFIG_ROLE_CONTROLLER || !d->cfg.lease || !*d->cfg.lease)
		return r ?: start_parts(d, f);
	r = daemon_open_api(d, f);
	return r ?: lead_new(&d->loop, &d->cfg, &lead_ops, d, f, &d->lead);
}

int daemon_run(struct daemon *d)
{
	struct fail_list f = { };
	int r = uv_loop_init(&d->loop);

	if (r)
		return log_err(r, "cannot make the event loop");
	uv_signal_init(&d->loop, &d->term);
	uv_signal_init(&d->loop, &d->intr);
	uv_signal_init(&d->loop, &d->hup);
	d->term.data = d->intr.data = d->hup.data = d;
	uv_signal_start(&d->term, on_stop, SIGTERM);
	uv_signal_start(&d->intr, on_stop, SIGINT);
	uv_signal_start(&d->hup, on_hup, SIGHUP);
	r = start(d, &f);
	if (r < 0) {
		daemon_print_fails(&f);
		stop(d);
	} else {
		say_ready(d);
	}
	fail_list_done(&f);
	while (!d->stopped && uv_run(&d->loop, UV_RUN_ONCE))
		;
	/* A name server that does not answer is not waited for. */
	for (int i = 0; i < 10 && uv_run(&d->loop, UV_RUN_NOWAIT); i++)
		;
	if (uv_loop_close(&d->loop))
		log_warn(0, "event loop closed with handles open");
	return r ?: d->failed ? -ECANCELED : 0;
}
