/* SPDX-License-Identifier: Apache-2.0 */
/*
 * main.c - cellwalld: controller and agent in one process on one loop.
 *
 * Start: arguments, log, configuration, agent (data path loaded, standing attachments found),
 * controller (store), API socket, state handed to the node, ready. Stop in reverse; what is in
 * force in the kernel stays in force.
 */
#include <errno.h>
#include <fcntl.h>
#include <getopt.h>
#include <grp.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/file.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <uv.h>

#define LOG_UNIT "cellwalld"
#include "agent/agent.h"
#include "base/cleanup.h"
#include "base/file.h"
#include "base/json.h"
#include "base/log.h"
#include "config/config.h"
#include "controller/controller.h"
#include "daemon/uninstall.h"
#include "http/http_server.h"
#include "loader/features.h"

struct daemon {
	uv_loop_t loop;
	uv_signal_t term, intr, hup;
	struct config cfg;
	const char *cfg_path;
	struct agent *agent;
	struct controller *controller;
	struct http_server *http;
	int lock;
	bool stopping;
};

static void print_fails(const struct fail_list *l)
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

static struct cJSON *config_json(void *arg)
{
	struct daemon *d = arg;

	return config_show(&d->cfg, false);
}

/* ---- stopping ------------------------------------------------------------------------------ */

static void agent_closed(void *arg)
{
	struct daemon *d = arg;

	d->agent = NULL;
}

static void controller_closed(void *arg)
{
	struct daemon *d = arg;

	d->controller = NULL;
	agent_close(d->agent, agent_closed, d);
}

static void http_closed(void *arg)
{
	struct daemon *d = arg;

	d->http = NULL;
	if (d->controller)
		controller_close(d->controller, controller_closed, d);
	else
		agent_close(d->agent, agent_closed, d);
}

static void stop(struct daemon *d)
{
	if (d->stopping)
		return;
	d->stopping = true;
	uv_close((uv_handle_t *)&d->term, NULL);
	uv_close((uv_handle_t *)&d->intr, NULL);
	uv_close((uv_handle_t *)&d->hup, NULL);
	/* What the kernel has counted by now is committed before the store closes. */
	if (d->agent && d->controller)
		(void)agent_ops()->drain(d->agent);
	if (d->http)
		http_server_close(d->http, http_closed, d);
	else
		http_closed(d);
}

static void on_stop(uv_signal_t *s, int num)
{
	struct daemon *d = s->data;

	log_info("stopping; signal=%d (enforcement stays in force)", num);
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
		print_fails(&f);
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

static int open_agent(struct daemon *d, struct fail_list *f)
{
	const struct config *c = &d->cfg;
	auto_free char *dir = NULL;
	struct agent_config ac = {
		.node = c->node, .pin_root = c->pin_root, .hook = (enum agent_hook)c->hook, .closed = c->closed,
		.flows = (uint32_t)c->flows, .accesses = (uint32_t)c->accesses, .pairs = (uint32_t)c->pairs,
		.policy_entries = (uint32_t)c->policy_entries, .addrs = (uint32_t)c->addresses,
		.endpoints = (uint32_t)c->endpoints, .groups = (uint32_t)c->groups, .rows = (uint32_t)c->rows,
		.share_accesses = (uint32_t)c->share_accesses, .share_pairs = (uint32_t)c->share_pairs,
		.ring_bytes = (uint32_t)c->event_bytes, .drain_ms = (uint32_t)c->drain_ms,
		.repair_ms = (uint32_t)c->repair_ms, .event_gap_ms = (uint32_t)c->event_gap_ms,
		.local_node = (uint32_t)c->local_node, .shield_pps = (uint32_t)c->shield_pps,
		.resolvers = c->resolvers.v, .nresolvers = c->resolvers.n,
		.dns_min_ttl = (uint32_t)(c->dns_min_ttl_ms / 1000), .dns_grace = (uint32_t)(c->dns_grace_ms / 1000),
		.dns_names = (uint32_t)c->dns_names,
	};

	if (asprintf(&dir, "%s/agent", c->state_dir) < 0)
		return fail_add(f, -ENOMEM, "agent.memory", NULL, NULL, NULL, "no memory");
	ac.state_dir = dir;
	return agent_new(&d->loop, &ac, f, &d->agent);
}

static int open_controller(struct daemon *d, struct fail_list *f)
{
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

	if (asprintf(&store, "%s/cellwall.db", c->state_dir) < 0)
		return fail_add(f, -ENOMEM, "store.memory", NULL, NULL, NULL, "no memory");
	cc.store_path = store;
	cc.node_addrs = agent_node_addrs(d->agent, &cc.nnode_addrs);
	return controller_new(&d->loop, &cc, agent_ops(), d->agent, f, &d->controller);
}

static int open_api(struct daemon *d, struct fail_list *f)
{
	struct http_server_config hc = { .authorize = controller_authorize, .authorize_arg = d->controller };
	auto_free char *dir = strdup(d->cfg.socket);
	char *slash = dir ? strrchr(dir, '/') : NULL;
	int r;

	if (!dir)
		return fail_add(f, -ENOMEM, "api.memory", NULL, NULL, NULL, "no memory");
	if (slash && slash != dir) {
		*slash = 0;
		r = mkdir_p(dir, 0755);
		if (r < 0)
			return fail_add(f, r, "api.socket", d->cfg.socket, "a directory that can be made", NULL,
					"cannot make the socket's directory: %s", strerror(-r));
	}
	r = http_server_new(&d->loop, &hc, &d->http);
	if (r < 0)
		return fail_add(f, r, "api.server", NULL, NULL, NULL, "cannot make the API server");
	r = controller_routes(d->controller, d->http);
	if (r < 0)
		return fail_add(f, r, "api.routes", NULL, NULL, NULL, "cannot add the API's routes");
	/* Everybody on the machine may ask; who may change things is the peer's identity. */
	return http_server_listen_unix(d->http, d->cfg.socket, 0666, (uid_t)-1, (gid_t)-1, f);
}

static int start(struct daemon *d, struct fail_list *f)
{
	struct fail_list soft = { };
	int r = lock_state(d, f);

	if (!r)
		r = open_agent(d, f);
	if (!r)
		r = open_controller(d, f);
	if (r < 0)
		return r;
	agent_set_sink(d->agent, controller_sink(d->controller), d->controller);
	r = agent_start(d->agent, f);
	if (!r)
		r = open_api(d, f);
	if (r < 0)
		return r;
	/* A stored state that the node refuses must not keep the daemon away: it is mended by API. */
	if (controller_start(d->controller, &soft) < 0)
		print_fails(&soft);
	fail_list_done(&soft);
	return 0;
}

static int run(struct daemon *d)
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
		print_fails(&f);
		stop(d);
	} else {
		log_info("ready; socket='%s' node='%s'", d->cfg.socket, d->cfg.node);
		notify("READY=1");
	}
	fail_list_done(&f);
	uv_run(&d->loop, UV_RUN_DEFAULT);
	if (uv_loop_close(&d->loop))
		log_warn(0, "event loop closed with handles open");
	return r;
}

/* ---- other ways to be called --------------------------------------------------------------------- */

static int print_features(const char *pin_root)
{
	struct features feat;
	int r = features_probe(pin_root, &feat);

	if (r < 0) {
		fprintf(stderr, "error[agent.bpf]: BPF is not permitted here: %s\n", strerror(-r));
		return 6;
	}
	for (int i = 0; i < FEAT_COUNT; i++)
		printf("%-24s %-4s %s%s%s\n", feature_str(i), feat.f[i].on ? "yes" : "no", feature_text(i),
		       feat.f[i].on ? "" : ": ", feat.f[i].on ? "" : strerror(-feat.f[i].err));
	return 0;
}

static void usage(FILE *f)
{
	fputs("usage: cellwalld [--config FILE] [--set KEY=VALUE]... [--check | --features | --uninstall]\n"
	      "\n"
	      "  --config FILE      configuration (default " CONFIG_PATH_DEFAULT ", may be absent)\n"
	      "  --set KEY=VALUE    one key over the file, e.g. --set mode.default=alert\n"
	      "  --check            check the configuration and exit\n"
	      "  --features         print what this kernel can do and exit\n"
	      "  --uninstall        remove all attachments, programs and maps and exit\n"
	      "  --version\n", f);
}

/* A daemon that still runs would be left blind: it would neither judge nor know why. */
static bool is_running(const struct config *c)
{
	auto_free char *path = NULL;
	auto_close int fd = -1;

	if (asprintf(&path, "%s/lock", c->state_dir) < 0)
		return false;
	fd = open(path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
	return fd >= 0 && flock(fd, LOCK_EX | LOCK_NB) && errno == EWOULDBLOCK;
}

static int uninstall(const struct config *c)
{
	int r;

	if (is_running(c)) {
		fprintf(stderr, "error[agent.running]: a cellwalld still runs with this state directory, nothing was removed\n"
			"  at:       %s\n  next:     systemctl stop cellwalld\n", c->state_dir);
		return 6;
	}
	r = uninstall_all(c->pin_root);
	if (r < 0) {
		fprintf(stderr, "error[agent.uninstall]: cannot remove everything under %s: %s\n", c->pin_root,
			strerror(-r));
		return 6;
	}
	printf("removed attachments, programs and maps under %s; traffic is as without cellwall\n", c->pin_root);
	return 0;
}

int main(int argc, char **argv)
{
	static const struct option opts[] = {
		{ "config", required_argument, NULL, 'c' }, { "set", required_argument, NULL, 's' },
		{ "check", no_argument, NULL, 'k' },	    { "features", no_argument, NULL, 'f' },
		{ "uninstall", no_argument, NULL, 'u' },    { "version", no_argument, NULL, 'V' },
		{ "help", no_argument, NULL, 'h' },	    { }
	};
	struct daemon d = { .cfg_path = CONFIG_PATH_DEFAULT, .lock = -1 };
	struct rlimit inf = { RLIM_INFINITY, RLIM_INFINITY };
	struct { char *key, *value; } sets[CONFIG_KEYS_MAX];
	struct fail_list f = { };
	bool optional = true;
	size_t nsets = 0;
	int o, what = 0, r;

	while ((o = getopt_long(argc, argv, "hV", opts, NULL)) != -1) {
		switch (o) {
		case 'c':
			d.cfg_path = optarg;
			optional = false;
			break;
		case 's':
			if (nsets == CONFIG_KEYS_MAX || !strchr(optarg, '=')) {
				fprintf(stderr, "error[usage.set]: --set wants KEY=VALUE, at most %d times\n", CONFIG_KEYS_MAX);
				return 2;
			}
			sets[nsets].key = optarg;
			sets[nsets].value = strchr(optarg, '=') + 1;
			sets[nsets++].value[-1] = 0;
			break;
		case 'k':
		case 'f':
		case 'u':
			what = o;
			break;
		case 'V':
			puts("cellwalld " CW_VERSION);
			return 0;
		case 'h':
			usage(stdout);
			return 0;
		default:
			usage(stderr);
			return 2;
		}
	}
	if (optind != argc) {
		fprintf(stderr, "error[usage.argument]: unexpected argument \"%s\"\n", argv[optind]);
		return 2;
	}
	r = config_load(d.cfg_path, optional, &f, &d.cfg);
	for (size_t i = 0; !r && i < nsets; i++)
		r = config_set(&d.cfg, sets[i].key, sets[i].value, "--set", &f);
	if (r < 0) {
		print_fails(&f);
		fail_list_done(&f);
		return 2;
	}
	if (!d.cfg.node || !*d.cfg.node) {
		char host[65] = "";

		if (gethostname(host, sizeof(host) - 1) || !*host)
			snprintf(host, sizeof(host), "node");
		free(d.cfg.node);
		d.cfg.node = strdup(host);
	}
	log_set_level((enum log_level)d.cfg.log_level);
	log_set_json(d.cfg.log_format == CONFIG_LOG_JSON);
	/* Kernels before 5.11 charge maps against this limit; where it cannot be raised they say so. */
	(void)setrlimit(RLIMIT_MEMLOCK, &inf);
	signal(SIGPIPE, SIG_IGN);
	if (what == 'k')
		puts("the configuration is valid");
	else if (what == 'f')
		r = print_features(d.cfg.pin_root);
	else if (what == 'u')
		r = uninstall(&d.cfg);
	else
		r = run(&d) < 0 ? 6 : 0;
	config_done(&d.cfg);
	fail_list_done(&f);
	if (d.lock >= 0)
		close(d.lock);
	return r;
}
