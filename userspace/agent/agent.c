/* SPDX-License-Identifier: Apache-2.0 */
/* agent.c - the node agent's life: open, start, close. */
#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <sys/random.h>
#include <time.h>

#define LOG_UNIT "agent"
#include "agent/cni.h"
#include "base/cleanup.h"
#include "base/log.h"
#include "base/vec.h"

#define NO_EPOCH 0xffffffffu
#define SWEEP_MS 500u
#define CLOCK_TRIES 20
#define LISTEN_MS 10000u
#define LINKS_SETTLE_MS 20u
#define LINKS_LATER_MS 100u
#define LINKS_REST_MS 500u
#define LINKS_REST_EACH_MS 20u
#define LINKS_REST_OFF_MAX 120u /* a minute, while workloads start all the time */

uint64_t agent_mono_ns(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (uint64_t)t.tv_sec * 1000000000ull + (uint64_t)t.tv_nsec;
}

void agent_note(struct agent *a, const char *reason, const struct agent_wl *w, const char *fmt, ...)
{
	char text[256], ref[320] = "";
	va_list ap;

	if (!a->sink || !a->sink->note)
		return;
	va_start(ap, fmt);
	vsnprintf(text, sizeof(text), fmt, ap);
	va_end(ap);
	if (w)
		snprintf(ref, sizeof(ref), "%s/pod/%s", w->ns, w->name);
	a->sink->note(a->sink_arg, reason, w ? ref : NULL, text);
}

/* Every workload has its share of the tables, so that none can fold another's accesses. */
void agent_share(struct agent *a)
{
	uint32_t n = a->nwls > 8 ? (uint32_t)a->nwls : 8;
	struct ctl_settings s = {
		.local_node = a->cfg.local_node,
		.event_gap = (uint32_t)((uint64_t)a->cfg.event_gap_ms * a->hz / 1000),
		.ephemeral_min = 32768,
	};

	s.share_accesses = a->cfg.share_accesses ? a->cfg.share_accesses : a->room.accesses / n;
	s.share_pairs = a->cfg.share_pairs ? a->cfg.share_pairs : a->room.pairs / n;
	if (!s.event_gap)
		s.event_gap = 1;
	ctl_set(a->maps, &s);
	agent_dns_share(a);
}

/* 1: other addresses than before. */
static int read_node(struct agent *a)
{
	auto_cleanup(link_table_done) struct link_table t = { };
	struct { struct addr *v; size_t n, cap; } all = { };
	auto_close int fd = -1;
	int r = netns_open_self(&fd);

	if (!r)
		r = netns_key(fd, &a->node_key);
	if (!r)
		r = link_table_fill(fd, &t);
	for (size_t i = 0; !r && i < t.n; i++)
		for (size_t k = 0; k < t.v[i].naddrs; k++)
			if (!(t.v[i].flags & 0x8) && vec_push(&all, t.v[i].addrs[k].addr))
				r = -ENOMEM;
	if (r < 0) {
		vec_done(&all);
		return r;
	}
	if (a->node_addrs && all.n == a->nnode_addrs && (!all.n || !memcmp(all.v, a->node_addrs, all.n * sizeof(*all.v)))) {
		vec_done(&all);
		return 0;
	}
	free(a->node_addrs);
	a->node_addrs = all.v;
	a->nnode_addrs = all.n;
	return 1;
}

const struct addr *agent_node_addrs(const struct agent *a, size_t *n)
{
	*n = a->nnode_addrs;
	return a->node_addrs;
}

static uint32_t or_default(uint32_t v, uint32_t d)
{
	return v ? v : d;
}

static int load(struct agent *a, struct fail_list *f)
{
	const struct agent_config *c = &a->cfg;
	uint32_t accesses = or_default(c->accesses, CW_MAX_ACCESSES), mark = 0;
	struct loader_size sizes[] = {
		{ "cw_ep", or_default(c->endpoints, CW_MAX_EPS) },
		{ "cw_gate", or_default(c->endpoints, CW_MAX_EPS) },
		{ "cw_probe", or_default(c->endpoints, CW_MAX_EPS) * 2 },
		{ "cw_frag", or_default(c->endpoints, CW_MAX_EPS) * CW_FRAG_SLOTS },
		{ "cw_flow4", or_default(c->flows, CW_MAX_FLOWS) },
		{ "cw_flow6", or_default(c->flows, CW_MAX_FLOWS) / 2 },
		{ "cw_access0", accesses },
		{ "cw_access1", accesses },
		{ "cw_acct", 2 * (accesses + accesses / 4) },
		{ "cw_pair0", or_default(c->pairs, CW_MAX_PAIRS) },
		{ "cw_pair1", or_default(c->pairs, CW_MAX_PAIRS) },
		{ "cw_peers", or_default(c->policy_entries, 65536) },
		{ "cw_addr4", or_default(c->addrs, CW_MAX_ADDRS) },
		{ "cw_addr6", or_default(c->addrs, CW_MAX_ADDRS) },
		{ "cw_word", 2 * or_default(c->groups, CW_MAX_GROUPS) },
		{ "cw_since", 2 * or_default(c->groups, CW_MAX_GROUPS) },
		{ "cw_rows", or_default(c->rows, CW_MAX_ROWS) },
		{ "cw_events", or_default(c->ring_bytes, 1u << 20) },
	};
	struct loader_const consts[5];
	struct loader_config lc = {
		.root = a->pin_root, .sizes = sizes, .nsizes = ARRAY_SIZE(sizes), .fresh = true,
		.consts = consts, .nconsts = ARRAY_SIZE(consts),
	};
	struct loader_image tc = loader_image_tc(), xdp = loader_image_xdp();
	const char *bad = NULL;
	struct ctl_counters cc;
	int r = -ENODATA;

	/* A measurement that was disturbed (a busy machine) is taken again. */
	for (int i = 0; i < CLOCK_TRIES && r == -ENODATA; i++)
		r = loader_hz(&a->hz);
	if (r < 0)
		return fail_add(f, r, "agent.clock", NULL, NULL, NULL, "cannot measure the kernel's tick rate");
	/* A mark nobody can guess: what carries it is our own answer. */
	while (!mark)
		if (getrandom(&mark, sizeof(mark), 0) != sizeof(mark))
			return fail_add(f, -EIO, "agent.random", NULL, NULL, NULL, "no random numbers");
	while (!a->probe_magic)
		if (getrandom(&a->probe_magic, sizeof(a->probe_magic), 0) != sizeof(a->probe_magic))
			return fail_add(f, -EIO, "agent.random", NULL, NULL, NULL, "no random numbers");
	consts[0] = (struct loader_const){ "cw_hz", a->hz };
	consts[1] = (struct loader_const){ "cw_mark", mark };
	consts[2] = (struct loader_const){ "cw_dns_min_ttl", c->dns_min_ttl };
	consts[3] = (struct loader_const){ "cw_dns_grace", c->dns_grace };
	consts[4] = (struct loader_const){ "cw_probe_magic", a->probe_magic };
	r = loader_set_load(&tc, &lc, f, &a->set);
	if (r < 0)
		return r;
	/* XDP is for shields only: without it everything else works. */
	r = loader_set_add(a->set, &xdp, consts, ARRAY_SIZE(consts), NULL);
	if (r < 0) {
		log_warn(r, "no XDP on this kernel: no shield, and no guard before packet sockets");
		a->cfg.shield_pps = 0;
	}
	r = maps_open(loader_fd_of, a->set, &a->maps, &bad);
	if (r < 0)
		return fail_add(f, r, "agent.maps", bad, NULL, NULL, "map of an unexpected shape");
	maps_room(a->maps, &a->room);
	ctl_read(a->maps, &cc);
	a->instance = cc.instance;
	r = agent_dns_open(a);
	if (r < 0)
		return fail_add(f, r, "agent.dns", NULL, NULL, NULL, "cannot note the resolvers: %s", strerror(-r));
	agent_share(a);
	return 0;
}

static int new_parts(struct agent *a, struct fail_list *f)
{
	auto_free char *mark = NULL;
	int r, xdp_fd;

	r = features_probe(a->pin_root, &a->feat);
	if (r < 0)
		return fail_add(f, r, "agent.bpf", NULL, "CAP_BPF, CAP_PERFMON and CAP_NET_ADMIN", NULL,
				"BPF is not permitted here");
	if (!features_has(&a->feat, FEAT_BPFFS))
		return fail_add(f, -ENOTSUP, "agent.bpffs", a->pin_root, "a directory on a BPF file system",
				"mount -t bpf bpf /sys/fs/bpf", "no BPF file system at the pin root");
	if (a->cfg.hook == AGENT_HOOK_CLSACT)
		features_force(&a->feat, FEAT_TCX, false);
	if (a->cfg.hook == AGENT_HOOK_TCX && !features_has(&a->feat, FEAT_TCX))
		return fail_add(f, -ENOTSUP, "agent.tcx", NULL, "Linux 6.6 or newer, or hook: auto", NULL,
				"this kernel has no tcx");
	r = load(a, f);
	if (r < 0)
		return r;
	r = hooks_open(a->pin_root, loader_set_entry_fd(a->set), &a->feat, &a->hooks);
	if (r < 0)
		return fail_add(f, r, "agent.hooks", a->pin_root, NULL, NULL, "cannot open the attachments");
	/* Without it a way that only XDP can judge is blind. */
	r = loader_set_use_xdp(a->set, "cw_xdp_main", &xdp_fd);
	if (!r)
		r = hooks_set_xdp_entry(a->hooks, xdp_fd);
	if (r < 0 && r != -ENOENT)
		log_warn(r, "packets that packet sockets take before TC cannot be judged here");
	r = agent_standing(a);
	if (!r)
		r = read_node(a);
	if (r >= 0)
		r = agent_guard_standing(a);
	if (!r)
		r = names_open(a->state_dir, a->instance, true, &a->names);
	if (r < 0)
		return fail_add(f, r, "agent.state", a->state_dir, "a writable directory", NULL,
				"cannot read what is there: %s", strerror(-r));
	a->ep_by_num = calloc(a->room.eps, sizeof(*a->ep_by_num));
	a->wl_of_ep = calloc(a->room.eps, sizeof(*a->wl_of_ep));
	a->by_num = htab_new();
	a->seen = htab_new();
	if (!a->ep_by_num || !a->wl_of_ep || !a->by_num || !a->seen)
		return fail_add(f, -ENOMEM, "agent.memory", NULL, NULL, NULL, "no memory");
	r = agent_policy_open(a, f);
	if (r < 0)
		return r;
	if (asprintf(&mark, "%s/rcu-expedited", a->state_dir) < 0) {
		mark = NULL;
		return fail_add(f, -ENOMEM, "agent.memory", NULL, NULL, NULL, "no memory");
	}
	if (hooks_expedite(a->hooks, mark, a->cfg.expedite) == -EROFS)
		log_info("the kernel's RCU waits cannot be shortened here, attaching takes some 10 ms each");
	r = agent_former_open(a);
	if (r < 0)
		return fail_add(f, r, "agent.former", a->pin_root, NULL, NULL,
				"cannot read what a former process left");
	if (!a->former.in_force) {
		r = loader_set_activate(a->set);
		if (r < 0)
			return fail_add(f, r, "agent.activate", NULL, NULL, NULL, "cannot put the programs in force");
	}
	return 0;
}

static void parts_free(struct agent *a)
{
	for (size_t i = 0; i < a->nwls; i++)
		agent_wl_free(a->wls[i]);
	free(a->wls);
	free(a->ep_by_num);
	free(a->wl_of_ep);
	free(a->standing);
	policy_plan_free(a->plan);
	policy_set_free(a->policy);
	names_free(a->names);
	names_free(a->former.names);
	maps_free(a->former.maps);
	free(a->former.name);
	htab_free(a->by_num, NULL);
	htab_free(a->seen, NULL);
	hooks_free(a->hooks);
	agent_cni_free(a);
	agent_find_free(a);
	agent_dns_free(a);
	maps_free(a->maps);
	loader_set_free(a->set);
	free(a->node_addrs);
	free(a->pin_root);
	free(a->state_dir);
	free(a->cni_conf_dir);
	free(a->passed);
	free(a);
}

int agent_new(uv_loop_t *loop, const struct agent_config *cfg, struct fail_list *f, struct agent **ret)
{
	struct agent *a = calloc(1, sizeof(*a));
	int r;

	if (!a)
		return fail_add(f, -ENOMEM, "agent.memory", NULL, NULL, NULL, "no memory");
	a->loop = loop;
	a->cfg = *cfg;
	a->cfg.drain_ms = or_default(cfg->drain_ms, 1000);
	a->cfg.repair_ms = or_default(cfg->repair_ms, 100);
	a->cfg.event_gap_ms = or_default(cfg->event_gap_ms, 1000);
	a->cfg.cni_wait_ms = or_default(cfg->cni_wait_ms, 1000);
	a->cfg.dns_min_ttl = or_default(cfg->dns_min_ttl, 60);
	a->cfg.dns_grace = or_default(cfg->dns_grace, 300);
	a->cfg.dns_names = or_default(cfg->dns_names, 1000);
	a->resting = NO_EPOCH;
	snprintf(a->node, sizeof(a->node), "%s", cfg->node);
	a->pin_root = strdup(cfg->pin_root ? cfg->pin_root : CW_PIN_ROOT);
	a->state_dir = strdup(cfg->state_dir);
	a->cni_conf_dir = cfg->cni_conf_dir ? strdup(cfg->cni_conf_dir) : NULL;
	/* Those that wait for the network lock must not keep others from looking. */
	(void)setenv("UV_THREADPOOL_SIZE", "12", 0);
	r = a->pin_root && a->state_dir && (a->cni_conf_dir || !cfg->cni_conf_dir) && !agent_cni_open(a) &&
	    !agent_find_open(a) ?
	    new_parts(a, f) :
	    fail_add(f, -ENOMEM, "agent.memory", NULL, NULL, NULL, "no memory");
	if (r < 0) {
		parts_free(a);
		return r;
	}
	*ret = a;
	return 0;
}

void agent_set_sink(struct agent *a, const struct node_sink *sink, void *arg)
{
	a->sink = sink;
	a->sink_arg = arg;
}

static void on_drain(uv_timer_t *t)
{
	struct agent *a = t->data;

	if (agent_former_pending(a))
		return; /* its counters come first, and need its names resolved */
	agent_drain_tick(a);
	agent_shield(a);
}

static void on_repair(uv_timer_t *t)
{
	struct agent *a = t->data;

	agent_takeover_try(a);
	agent_repair(a);
	agent_guard_tick(a);
	agent_cni_tick(a);
	agent_find_tick(a);
}

static void on_sweep(uv_timer_t *t)
{
	agent_sweep(t->data);
	agent_dns_tick(t->data);
}

static void on_listen(uv_timer_t *t)
{
	agent_listeners(t->data);
}

/* A network plugin makes its bridge when the first workload comes, and probes come from there. */
static void node_changed(struct agent *a)
{
	if (!a->node_dirty)
		return;
	a->node_dirty = false;
	if (read_node(a) > 0 && a->sink && a->sink->node_addresses)
		a->sink->node_addresses(a->sink_arg, a->node_addrs, a->nnode_addrs);
}

static void on_links(uv_timer_t *t)
{
	struct agent *a = t->data;
	bool all = a->links_all;

	a->links_all = false;
	node_changed(a);
	if (agent_links_changed(a, all))
		uv_timer_start(t, on_links, LINKS_LATER_MS, 0);
}

/* Not soon again: each look at all of them costs a few milliseconds a workload. */
static void on_links_rest(uv_timer_t *t)
{
	struct agent *a = t->data;

	node_changed(a);
	if (agent_cni_waiting(a) && ++a->rest_off < LINKS_REST_OFF_MAX) {
		uv_timer_start(t, on_links_rest, LINKS_REST_MS, 0);
		return;
	}
	a->rest_off = 0;
	(void)agent_links_changed(a, true); /* all: none is left */
}

/* Changes come in bursts (a pair, its addresses, its bridge): one look serves them all. */
static void links_soon(struct agent *a)
{
	if (!a->closing && !uv_is_active((uv_handle_t *)&a->links_timer))
		uv_timer_start(&a->links_timer, on_links, LINKS_SETTLE_MS, 0);
}

static void on_resync(void *arg)
{
	struct agent *a = arg;

	a->links_all = true;
	links_soon(a);
}

/* The workloads it concerns are looked at now, the rest at leisure: in a storm of starting
 * workloads each would otherwise be looked at for each. */
static void on_change(void *arg, const struct link_change *c)
{
	struct agent *a = arg;
	bool soon = agent_links_touch(a, c);

	/* Link-local ones, of which each pair of a workload brings one, may wait. */
	if (c->in_nsid == LINK_NSID_OWN && (c->kind == LINK_ADDR_SET || c->kind == LINK_ADDR_GONE)) {
		a->node_dirty = true;
		soon |= c->kind == LINK_ADDR_SET && c->addr.scope == 0;
	}
	if (soon)
		links_soon(a);
	if (!a->closing && !uv_is_active((uv_handle_t *)&a->links_rest))
		uv_timer_start(&a->links_rest, on_links_rest, LINKS_REST_MS + LINKS_REST_EACH_MS * a->nwls, 0);
}

static const struct link_watch_ops watch_ops = { .change = on_change, .resync = on_resync };

static void timer(struct agent *a, uv_timer_t *t, uv_timer_cb cb, uint64_t ms)
{
	uv_timer_init(a->loop, t);
	t->data = a;
	uv_timer_start(t, cb, ms, ms);
	a->handles++;
}

int agent_start(struct agent *a, struct fail_list *f)
{
	struct event_reader_config ec = { 0 };
	int r;

	r = event_reader_open(a->loop, loader_set_map_fd(a->set, "cw_events"), &ec, agent_event, a, &a->events);
	if (r < 0)
		return fail_add(f, r, "agent.events", NULL, NULL, NULL, "cannot read the event ring");
	a->handles++;
	uv_timer_init(a->loop, &a->links_timer);
	a->links_timer.data = a;
	uv_timer_init(a->loop, &a->links_rest);
	a->links_rest.data = a;
	a->handles += 2;
	a->links = true;
	r = link_watch_open(a->loop, -1, LINK_WATCH_ALL, 0, &watch_ops, a, &a->watch);
	if (r < 0)
		return fail_add(f, r, "agent.links", NULL, "CAP_NET_ADMIN and CAP_NET_BROADCAST", NULL,
				"cannot watch interfaces");
	a->handles++;
	agent_cni_start(a);
	timer(a, &a->drain_timer, on_drain, a->cfg.drain_ms);
	timer(a, &a->repair_timer, on_repair, a->cfg.repair_ms);
	timer(a, &a->sweep_timer, on_sweep, SWEEP_MS);
	timer(a, &a->listen_timer, on_listen, LISTEN_MS);
	a->started = true;
	return 0;
}

const struct node_ops *agent_ops(void)
{
	static const struct node_ops ops = {
		.prepare = agent_prepare, .commit = agent_commit, .abort = agent_abort,
		.flows = agent_flows, .flows_cut = agent_flows_cut, .guards = agent_guards,
		.drain = agent_drain, .counters = agent_counters,
		.workload_attach = agent_workload_attach, .workload_detach = agent_workload_detach,
	};

	return &ops;
}

static void close_check(struct agent *a)
{
	void (*done)(void *arg) = a->close_done;
	void *arg = a->close_arg;

	if (!a->closing || a->jobs || a->handles)
		return;
	parts_free(a);
	if (done)
		done(arg);
}

void agent_job_done(struct agent *a)
{
	a->jobs--;
	close_check(a);
}

static void part_closed(void *arg)
{
	struct agent *a = arg;

	a->handles--;
	close_check(a);
}

static void timer_closed(uv_handle_t *h)
{
	part_closed(h->data);
}

void agent_close(struct agent *a, void (*done)(void *arg), void *arg)
{
	if (!a || a->closing)
		return;
	a->closing = true;
	a->close_done = done;
	a->close_arg = arg;
	a->handles++; /* until this call is through */
	if (a->started) {
		uv_close((uv_handle_t *)&a->drain_timer, timer_closed);
		uv_close((uv_handle_t *)&a->repair_timer, timer_closed);
		uv_close((uv_handle_t *)&a->sweep_timer, timer_closed);
		uv_close((uv_handle_t *)&a->listen_timer, timer_closed);
	}
	if (a->links) {
		uv_close((uv_handle_t *)&a->links_timer, timer_closed);
		uv_close((uv_handle_t *)&a->links_rest, timer_closed);
	}
	agent_cni_close(a, timer_closed);
	agent_cni_install_close(a, timer_closed);
	if (a->watch)
		link_watch_close(a->watch, part_closed, a);
	if (a->events)
		event_reader_close(take_ptr(a->events), part_closed, a);
	part_closed(a);
}
