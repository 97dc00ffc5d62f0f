/* SPDX-License-Identifier: Apache-2.0 */
#include "selftests/judge/wires.h"

#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/buf.h"
#include "base/cleanup.h"
#include "net/netns.h"
#include "selftests/judge/ip_batch.h"
#include "selftests/judge/kernel.h"

#define LINES_MAX (4u << 20)
#define POD_INDEX 1000u	/* interface number of endpoint 0's link in its node */

/* The two ends of a link, as neighbours know them. */
#define UP_V4 "169.254.1.1"
#define UP_V6 "fe80::1"
#define DOWN_V4 "169.254.2.1"
#define DOWN_V6 "fe80::2"

struct wire_node {
	struct view *view;
	struct addr *addrs;
	size_t naddrs;
	int netns;
	uint64_t ino;
	uint32_t n;
	bool wanted;
};

struct wire_pod {
	char *ns, *name;
	struct wire_node *node;
	struct addr *addrs;
	size_t naddrs;
	int netns;
	bool wired, wanted;
};

struct wires {
	struct wire_node *nodes[WORLD_NODES_MAX];
	struct wire_pod *pods[WIRES_PODS_MAX + 1]; /* by endpoint */
	struct addr *outside;
	size_t noutside;
	int *of_pod;		/* by number in the world: endpoint */
	struct wire_node *of_view[WORLD_NODES_MAX];
	int here;
};

static void pod_mac(uint32_t ep, uint8_t ret[6])
{
	memcpy(ret, (uint8_t[6]){ 2, 0, 6, 0, (uint8_t)(ep >> 8), (uint8_t)ep }, 6);
}

/* ---- namespaces ------------------------------------------------------------------------------------------- */

static int sysctls(void *arg)
{
	static const struct { const char *path, *value; } t[] = {
		{ "/proc/sys/net/ipv6/conf/all/accept_dad", "0" },
		{ "/proc/sys/net/ipv6/conf/default/accept_dad", "0" },
		{ "/proc/sys/net/ipv6/conf/default/accept_ra", "0" },
		{ "/proc/sys/net/ipv6/conf/default/router_solicitations", "0" },
		{ "/proc/sys/net/ipv6/conf/all/forwarding", "1" },
		{ "/proc/sys/net/ipv4/ip_forward", "1" },
		{ "/proc/sys/net/ipv4/conf/all/rp_filter", "0" },
		{ "/proc/sys/net/ipv4/conf/default/rp_filter", "0" },
		{ "/proc/sys/net/ipv4/conf/all/send_redirects", "0" },
		{ "/proc/sys/net/ipv4/conf/default/send_redirects", "0" },
	};

	(void)arg;
	for (size_t i = 0; i < ARRAY_SIZE(t); i++) {
		auto_close int fd = open(t[i].path, O_WRONLY | O_CLOEXEC);

		if (fd < 0 || write(fd, t[i].value, strlen(t[i].value)) < 0)
			return -errno;
	}
	return 0;
}

static int fresh(void *arg)
{
	int r;

	if (unshare(CLONE_NEWNET))
		return -errno;
	r = sysctls(NULL);
	return r ?: netns_open_self(arg);
}

/* Held by its descriptor alone. */
static int netns_new(const struct wires *s, int *ret)
{
	return netns_run(s->here, fresh, ret);
}

int wires_new(struct fail_list *f, struct wires **ret)
{
	struct wires *s = calloc(1, sizeof(*s));
	int r = s ? 0 : -ENOMEM;

	if (!r) {
		s->here = -1;
		r = netns_open_self(&s->here);
		r = r ?: sysctls(NULL);
		r = r ?: ip_batch(-1, "link set lo up\n", false, f);
	}
	if (r) {
		wires_free(s);
		return f->n ? r : fail_add(f, r, "judge.netns", NULL, NULL, NULL, "%s", strerror(-r));
	}
	*ret = s;
	return 0;
}

static int outside_clear(const struct wires *s, struct fail_list *f)
{
	auto_cleanup(buf_done) struct buf b = {};
	char a[ADDR_STR_MAX];

	buf_init(&b, LINES_MAX);
	for (size_t i = 0; i < s->noutside; i++)
		buf_printf(&b, "addr del %s/%s dev lo\n", addr_str(&s->outside[i], a),
			   addr_is_v4(&s->outside[i]) ? "32" : "128");
	return b.err ? b.err : ip_batch(-1, b.data ?: "", true, f);
}

/* ---- going ----------------------------------------------------------------------------------------------------- */

static int hook(const struct wire_pod *p, uint32_t ep, enum hook_dir dir, bool attach, struct hook_state *st)
{
	struct hook h = { .netns = p->node->ino, .ifindex = POD_INDEX + ep, .ep = ep, .dir = dir,
			  .from_pod = dir == HOOK_INGRESS };

	(void)snprintf(h.key, sizeof(h.key), "cwj/%u", ep);
	if (attach)
		return hooks_attach(kernel_hooks(p->node->view->kernel), &h, p->node->netns, st);
	return hooks_detach(kernel_hooks(p->node->view->kernel), &h, p->node->netns);
}

static void pod_free(struct wire_pod *p)
{
	if (p->netns >= 0)
		close(p->netns);
	free(p->ns);
	free(p->name);
	free(p->addrs);
	free(p);
}

static void pod_drop(struct wires *s, uint32_t ep)
{
	struct wire_pod *p = s->pods[ep];
	char line[64];

	s->pods[ep] = NULL;
	if (p->node->view) {
		for (int d = HOOK_INGRESS; d <= HOOK_EGRESS; d++)
			(void)hook(p, ep, d, false, NULL); /* the link goes all the same */
		(void)kernel_ep_clear(p->node->view->kernel, ep);
	}
	(void)snprintf(line, sizeof(line), "link del cwj-p%u\n", ep);
	(void)ip_batch(p->node->netns, line, true, NULL);
	pod_free(p);
}

static void node_drop(struct wires *s, size_t i)
{
	struct wire_node *n = s->nodes[i];
	char line[64];

	for (uint32_t ep = 1; ep <= WIRES_PODS_MAX; ep++)
		if (s->pods[ep] && s->pods[ep]->node == n)
			pod_drop(s, ep);
	s->nodes[i] = NULL;
	(void)snprintf(line, sizeof(line), "link del cwj-n%u\n", n->n);
	(void)ip_batch(-1, line, true, NULL);
	if (n->netns >= 0)
		close(n->netns);
	free(n->addrs);
	free(n);
}

void wires_free(struct wires *s)
{
	if (!s)
		return;
	/* The programs go too: links need not be parted from them one by one. */
	for (uint32_t ep = 1; ep <= WIRES_PODS_MAX; ep++)
		if (s->pods[ep])
			pod_free(s->pods[ep]);
	memset(s->pods, 0, sizeof(s->pods));
	for (size_t i = 0; i < WORLD_NODES_MAX; i++)
		if (s->nodes[i])
			node_drop(s, i);
	if (s->noutside)
		(void)outside_clear(s, NULL);
	if (s->here >= 0)
		close(s->here);
	free(s->outside);
	free(s->of_pod);
	free(s);
}

void wires_forget(struct wires *s, const struct view *v)
{
	for (size_t i = 0; i < WORLD_NODES_MAX; i++)
		if (s->nodes[i] && s->nodes[i]->view == v)
			node_drop(s, i);
}

/* ---- what stands on ---------------------------------------------------------------------------------------------- */

static bool same_addrs(const struct addr *a, size_t na, const struct addr *b, size_t nb)
{
	return na == nb && (!na || !memcmp(a, b, na * sizeof(*a)));
}

static void keep(struct wires *s, const struct world *w, struct view *const *views)
{
	for (size_t i = 0; i < WORLD_NODES_MAX; i++) {
		struct wire_node *n = s->nodes[i];

		if (!n)
			continue;
		n->wanted = false;
		for (size_t k = 0; k < w->nviews; k++)
			if (n->view == views[k] && same_addrs(n->addrs, n->naddrs, w->views[k].addrs, w->views[k].naddrs)) {
				n->wanted = true;
				s->of_view[k] = n;
			}
	}
	for (uint32_t ep = 1; ep <= WIRES_PODS_MAX; ep++)
		if (s->pods[ep])
			s->pods[ep]->wanted = false;
	for (size_t i = 0; i < w->st.nworkloads; i++) {
		const struct workload *l = &w->st.workloads[i];

		for (uint32_t ep = 1; ep <= WIRES_PODS_MAX; ep++) {
			struct wire_pod *p = s->pods[ep];

			if (!p || !p->node->wanted || p->node != s->of_view[w->pods[i].view] || strcmp(p->ns, l->ns) ||
			    strcmp(p->name, l->name) || !same_addrs(p->addrs, p->naddrs, l->addrs, l->naddrs))
				continue;
			p->wanted = true;
			s->of_pod[i] = (int)ep;
		}
	}
	for (uint32_t ep = 1; ep <= WIRES_PODS_MAX; ep++)
		if (s->pods[ep] && !s->pods[ep]->wanted)
			pod_drop(s, ep);
	for (size_t i = 0; i < WORLD_NODES_MAX; i++)
		if (s->nodes[i] && !s->nodes[i]->wanted)
			node_drop(s, i);
}

/* ---- making ------------------------------------------------------------------------------------------------------ */

static struct addr *addrs_dup(const struct addr *a, size_t n)
{
	struct addr *c = malloc((n + !n) * sizeof(*c));

	if (c && n)
		memcpy(c, a, n * sizeof(*c));
	return c;
}

static int lines_run(int netns, struct buf *b, struct fail_list *f)
{
	return b->err ? b->err : ip_batch(netns, b->data ?: "", false, f);
}

/* To an address behind a node. */
static void route_here(struct buf *b, const struct addr *a, uint32_t n)
{
	char s[ADDR_STR_MAX];

	if (addr_is_v4(a))
		buf_printf(b, "route replace %s/32 via " DOWN_V4 " dev cwj-n%u onlink\n", addr_str(a, s), n);
	else
		buf_printf(b, "route replace %s/128 via " DOWN_V6 " dev cwj-n%u\n", addr_str(a, s), n);
}

/* The lower end of a link: its addresses, and the way out. */
static void lower_end(struct buf *b, const char *dev, const char *gateway_mac, const struct addr *a, size_t n)
{
	char s[ADDR_STR_MAX];

	buf_printf(b, "link set lo up\nlink set %s addrgenmode none up\n"
		      "neigh add " UP_V4 " lladdr %s dev %s nud permanent\n"
		      "neigh add " UP_V6 " lladdr %s dev %s nud permanent\n", dev, gateway_mac, dev, gateway_mac, dev);
	for (size_t i = 0; i < n; i++)
		buf_printf(b, "addr add %s/%s dev %s%s\n", addr_str(&a[i], s), addr_is_v4(&a[i]) ? "32" : "128", dev,
			   addr_is_v4(&a[i]) ? "" : " nodad");
	buf_printf(b, "route add default via " UP_V4 " dev %s onlink\nroute add default via " UP_V6 " dev %s\n",
		   dev, dev);
}

static int node_wire(const struct wire_node *n, struct fail_list *f)
{
	auto_cleanup(buf_done) struct buf here = {}, there = {};
	char mac[24];
	int r;

	buf_init(&here, LINES_MAX);
	buf_init(&there, LINES_MAX);
	buf_printf(&here, "link add cwj-n%u address 02:00:03:00:00:%02x type veth peer name up0 address "
			  "02:00:04:00:00:%02x netns /proc/%d/fd/%d\nlink set cwj-n%u addrgenmode none up\n"
			  "neigh add " DOWN_V4 " lladdr 02:00:04:00:00:%02x dev cwj-n%u nud permanent\n"
			  "neigh add " DOWN_V6 " lladdr 02:00:04:00:00:%02x dev cwj-n%u nud permanent\n",
		   n->n, n->n, n->n, (int)getpid(), n->netns, n->n, n->n, n->n, n->n, n->n);
	(void)snprintf(mac, sizeof(mac), "02:00:03:00:00:%02x", n->n);
	lower_end(&there, "up0", mac, n->addrs, n->naddrs);
	r = lines_run(-1, &here, f);
	r = r ?: lines_run(n->netns, &there, f);
	buf_done(&here);
	buf_init(&here, LINES_MAX);
	for (size_t i = 0; i < n->naddrs; i++)
		route_here(&here, &n->addrs[i], n->n);
	return r ?: lines_run(-1, &here, f);
}

static int node_make(struct wires *s, const struct world_view *v, struct view *view, struct fail_list *f,
		     struct wire_node **ret)
{
	struct wire_node *n = calloc(1, sizeof(*n));
	struct netns_key key;
	size_t i = 0;
	int r;

	while (i < WORLD_NODES_MAX && s->nodes[i])
		i++;
	if (!n || i == WORLD_NODES_MAX) {
		free(n);
		return -ENOMEM;
	}
	n->netns = -1;
	n->n = (uint32_t)i + 1;
	n->view = view;
	n->wanted = true;
	s->nodes[i] = n;
	n->addrs = addrs_dup(v->addrs, v->naddrs);
	n->naddrs = v->naddrs;
	r = n->addrs ? netns_new(s, &n->netns) : -ENOMEM;
	r = r ?: netns_key(n->netns, &key);
	if (!r) {
		n->ino = key.ino;
		r = node_wire(n, f);
	}
	if (r)
		node_drop(s, i);
	else
		*ret = n;
	return r;
}

static int pod_make(struct wires *s, const struct workload *l, struct wire_node *node, int *ret)
{
	struct wire_pod *p = calloc(1, sizeof(*p));
	uint32_t ep = 1;
	int r;

	while (ep <= WIRES_PODS_MAX && s->pods[ep])
		ep++;
	if (!p || ep > WIRES_PODS_MAX) {
		free(p);
		return -ENOMEM;
	}
	p->netns = -1;
	p->node = node;
	p->wanted = true;
	p->ns = strdup(l->ns);
	p->name = strdup(l->name);
	p->addrs = addrs_dup(l->addrs, l->naddrs);
	p->naddrs = l->naddrs;
	r = p->ns && p->name && p->addrs ? netns_new(s, &p->netns) : -ENOMEM;
	if (r) {
		pod_free(p);
		return r;
	}
	s->pods[ep] = p;
	*ret = (int)ep;
	return 0;
}

/* The node's ends of all links to new pods in one go, and the routes to them. */
static int pods_wire(struct wires *s, struct wire_node *n, struct fail_list *f)
{
	auto_cleanup(buf_done) struct buf here = {}, there = {};
	char a[ADDR_STR_MAX];
	int r;

	buf_init(&here, LINES_MAX);
	buf_init(&there, LINES_MAX);
	for (uint32_t ep = 1; ep <= WIRES_PODS_MAX; ep++) {
		const struct wire_pod *p = s->pods[ep];
		uint32_t hi = ep >> 8, lo = ep & 0xff;

		if (!p || p->node != n || p->wired)
			continue;
		buf_printf(&there, "link add cwj-p%u index %u address 02:00:05:00:%02x:%02x type veth peer name eth0 "
				   "address 02:00:06:00:%02x:%02x netns /proc/%d/fd/%d\n"
				   "link set cwj-p%u addrgenmode none up\n",
			   ep, POD_INDEX + ep, hi, lo, hi, lo, (int)getpid(), p->netns, ep);
		for (size_t i = 0; i < p->naddrs; i++) {
			(void)addr_str(&p->addrs[i], a);
			buf_printf(&there, "neigh add %s lladdr 02:00:06:00:%02x:%02x dev cwj-p%u nud permanent\n"
					   "route add %s/%s dev cwj-p%u\n", a, hi, lo, ep, a,
				   addr_is_v4(&p->addrs[i]) ? "32" : "128", ep);
			route_here(&here, &p->addrs[i], n->n);
		}
	}
	r = lines_run(n->netns, &there, f);
	return r ?: lines_run(-1, &here, f);
}

static int pod_guard(struct wire_pod *p, uint32_t ep, struct fail_list *f)
{
	auto_cleanup(buf_done) struct buf b = {};
	struct hook_state st;
	char mac[24];
	int r = 0;

	for (int d = HOOK_INGRESS; d <= HOOK_EGRESS && !r; d++)
		r = hook(p, ep, d, true, &st);
	if (r)
		return fail_add(f, r, "judge.attach", p->name, NULL, NULL, "cannot attach: %s", strerror(-r));
	buf_init(&b, LINES_MAX);
	(void)snprintf(mac, sizeof(mac), "02:00:05:00:%02x:%02x", ep >> 8, ep & 0xff);
	lower_end(&b, "eth0", mac, p->addrs, p->naddrs);
	r = lines_run(p->netns, &b, f);
	if (!r)
		p->wired = true;
	return r;
}

static int outside_put(struct wires *s, const struct world *w, struct fail_list *f)
{
	auto_cleanup(buf_done) struct buf b = {};
	struct addr *now = malloc((w->noutside + 1) * sizeof(*now));
	char a[ADDR_STR_MAX];
	size_t n = 0;
	int r;

	if (!now)
		return -ENOMEM;
	for (size_t i = 0; i < w->noutside; i++)
		now[n++] = w->outside[i].addr;
	r = outside_clear(s, f);
	buf_init(&b, LINES_MAX);
	for (size_t i = 0; i < n; i++)
		buf_printf(&b, "addr replace %s/%s dev lo%s\n", addr_str(&now[i], a), addr_is_v4(&now[i]) ? "32" : "128",
			   addr_is_v4(&now[i]) ? "" : " nodad");
	r = r ?: lines_run(-1, &b, f);
	free(s->outside);
	s->outside = now;
	s->noutside = n;
	return r;
}

static bool same_outside(const struct wires *s, const struct world *w)
{
	for (size_t i = 0; i < w->noutside && i < s->noutside; i++)
		if (addr_cmp(&s->outside[i], &w->outside[i].addr))
			return false;
	return s->noutside == w->noutside;
}

int wires_put(struct wires *s, const struct world *w, struct view *const views[WORLD_NODES_MAX],
	      struct fail_list *f)
{
	int r = 0;

	free(s->of_pod);
	s->of_pod = calloc(w->st.nworkloads + 1, sizeof(*s->of_pod));
	if (!s->of_pod)
		return fail_add(f, -ENOMEM, "judge.memory", NULL, NULL, NULL, "no memory");
	memset(s->of_view, 0, sizeof(s->of_view));
	keep(s, w, views);
	for (size_t i = 0; i < w->nviews && !r; i++)
		if (!s->of_view[i])
			r = node_make(s, &w->views[i], views[i], f, &s->of_view[i]);
	for (size_t i = 0; i < w->st.nworkloads && !r; i++)
		if (!s->of_pod[i])
			r = pod_make(s, &w->st.workloads[i], s->of_view[w->pods[i].view], &s->of_pod[i]);
	for (size_t i = 0; i < w->nviews && !r; i++)
		r = pods_wire(s, s->of_view[i], f);
	for (uint32_t ep = 1; ep <= WIRES_PODS_MAX && !r; ep++)
		if (s->pods[ep] && !s->pods[ep]->wired)
			r = pod_guard(s->pods[ep], ep, f);
	if (!r && !same_outside(s, w))
		r = outside_put(s, w, f);
	if (!r)
		return 0;
	/* Half a picture is of no use to the next question. */
	for (size_t i = 0; i < WORLD_NODES_MAX; i++)
		if (s->nodes[i])
			node_drop(s, i);
	return f->n ? r : fail_add(f, r, "judge.wires", NULL, NULL, NULL, "%s", strerror(-r));
}

int wires_endpoints(struct wires *s, const struct world *w, struct view *const views[WORLD_NODES_MAX],
	      struct fail_list *f)
{
	for (size_t i = 0; i < w->st.nworkloads; i++) {
		uint32_t ep = (uint32_t)s->of_pod[i];
		const struct workload *l = &w->st.workloads[i];
		struct view *v = views[w->pods[i].view];
		uint8_t mac[6];
		int r;

		pod_mac(ep, mac);
		r = kernel_ep_put(v->kernel, v->set, l->ns, l->name, ep, mac, POD_INDEX + ep);
		if (r)
			return fail_add(f, r, "judge.endpoint", l->name, NULL, NULL, "%s", strerror(-r));
	}
	return 0;
}

int wires_netns(const struct wires *s, const struct world_end *e)
{
	switch (e->kind) {
	case END_POD:
		return s->pods[s->of_pod[e->i]]->netns;
	case END_NODE:
		return s->of_view[e->i]->netns;
	default:
		return s->here;
	}
}
