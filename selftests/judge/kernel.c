/* SPDX-License-Identifier: Apache-2.0 */
#include "selftests/judge/kernel.h"

#include <bpf/bpf.h>
#include <errno.h>
#include <linux/bpf.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/vec.h"
#include "loader/object.h"
#include "maps/addr_maps.h"
#include "maps/dns_maps.h"
#include "policy/compile.h"

#define NAME_SECONDS 3600u
#define BPF_AT "/run" /* the BPF file system covers it, for this process only */

struct kernel {
	struct loader_set *set;
	struct maps *maps;
	struct hooks *hooks;
	int prog, now;
	bool names;	/* some stand */
	char root[64];
};

/* The clusters of questions are small; flows of earlier questions stay. */
static const struct loader_size sizes[] = {
	{ "cw_flow4", 65536 }, { "cw_flow6", 65536 }, { "cw_word", 8192 }, { "cw_since", 8192 }, { "cw_wl", 4096 },
	{ "cw_ep", 1024 }, { "cw_gate", 1024 }, { "cw_frag", 1024 * CW_FRAG_SLOTS }, { "cw_rows", 1048576 },
	{ "cw_peers", 262144 }, { "cw_addr4", 16384 }, { "cw_addr6", 16384 }, { "cw_access0", 16384 },
	{ "cw_access1", 16384 }, { "cw_acct", 2 * 16384 }, { "cw_pair0", 4096 }, { "cw_pair1", 4096 },
	{ "cw_events", 1 << 16 }, { "cw_verdicts", 16384 }, { "cw_vstat", 16384 },
};

static uint32_t tick_rate;
static bool entered;
static unsigned made;

int kernel_enter(bool netns, struct fail_list *f)
{
	if (entered)
		return 0;
	if (geteuid())
		return fail_add(f, -EPERM, "judge.root", NULL, NULL, NULL, "this engine needs root");
	if (unshare(CLONE_NEWNS | (netns ? CLONE_NEWNET : 0)) ||
	    mount("none", "/", NULL, MS_REC | MS_PRIVATE, NULL) || mount("bpf", BPF_AT, "bpf", 0, "mode=0700"))
		return fail_add(f, -errno, "judge.namespaces", NULL, NULL, NULL, "no namespaces of our own: %s",
				strerror(errno));
	/* A measurement that a busy machine disturbed is taken again. */
	for (int i = 0, r = -ENODATA; i < 20 && r == -ENODATA; i++)
		r = loader_hz(&tick_rate);
	if (!tick_rate)
		return fail_add(f, -ENODATA, "judge.clock", NULL, NULL, NULL, "cannot measure the kernel's tick rate");
	entered = true;
	return 0;
}

static int load(struct kernel *k, bool attached, struct fail_list *f)
{
	const struct loader_const consts[] = { { "cw_hz", tick_rate } };
	const struct loader_config cfg = {
		.root = k->root, .sizes = sizes, .nsizes = ARRAY_SIZE(sizes), .consts = consts,
		.nconsts = ARRAY_SIZE(consts), .fresh = true,
	};
	/* Everything is counted, nothing is told: nobody reads here. */
	const struct ctl_settings ctl = { .share_accesses = 1u << 20, .share_pairs = 1u << 20,
					  .event_gap = 1u << 30, .ephemeral_min = 32768,
					  .local_node = CW_CTL_LOCAL_NODE_ALLOW };
	const struct loader_image tc = loader_image_tc();
	const char *bad = NULL;
	static struct features feat; /* of this machine */
	static bool probed;
	int r = loader_set_load(&tc, &cfg, f, &k->set);

	if (r)
		return r;
	r = maps_open(loader_fd_of, k->set, &k->maps, &bad);
	if (r)
		return fail_add(f, r, "judge.maps", bad, NULL, NULL, "map of an unexpected shape");
	ctl_set(k->maps, &ctl);
	k->prog = loader_set_prog_fd(k->set, "cw_main");
	k->now = loader_set_prog_fd(k->set, "cw_now");
	if (k->prog < 0 || k->now < 0)
		return fail_add(f, -ENOENT, "judge.program", NULL, NULL, NULL, "no program cw_main or cw_now");
	if (!attached)
		return 0;
	r = loader_set_activate(k->set);
	r = r ?: probed ? 0 : features_probe(k->root, &feat);
	probed = !r;
	r = r ?: hooks_open(k->root, loader_set_entry_fd(k->set), &feat, &k->hooks);
	return r ? fail_add(f, r, "judge.hooks", NULL, NULL, NULL, "cannot open the attachments: %s", strerror(-r)) : 0;
}

int kernel_new(bool attached, struct fail_list *f, struct kernel **ret)
{
	struct kernel *k = calloc(1, sizeof(*k));
	int r;

	if (!k)
		return fail_add(f, -ENOMEM, "judge.memory", NULL, NULL, NULL, "no memory");
	/* Each node has a pin root of its own, as if it were a machine of its own. */
	(void)snprintf(k->root, sizeof(k->root), BPF_AT "/cwj-%u", made++);
	r = load(k, attached, f);
	if (r) {
		kernel_free(k);
		return r;
	}
	*ret = k;
	return 0;
}

void kernel_free(struct kernel *k)
{
	if (!k)
		return;
	hooks_free(k->hooks);
	maps_free(k->maps);
	loader_set_free(k->set);
	(void)loader_uninstall(k->root); /* pins that stay go with the process */
	free(k);
}

struct maps *kernel_maps(struct kernel *k)
{
	return k->maps;
}

struct hooks *kernel_hooks(struct kernel *k)
{
	return k->hooks;
}

int kernel_ep_put(struct kernel *k, const struct policy_set *set, const char *ns, const char *name, uint32_t ep,
		  const uint8_t mac[6], uint32_t ifindex)
{
	struct cw_ep v = { .flags = CW_EP_ATTACHED, .ifindex = ifindex };
	struct policy_wl wl;
	int r = policy_set_wl(set, ns, name, &wl);

	if (r)
		return r;
	v.wl = wl.wl;
	v.group = wl.group;
	v.eid = wl.eid;
	memcpy(v.mac, mac, 6);
	return ep_map_set(k->maps, ep, &v);
}

int kernel_ep_clear(struct kernel *k, uint32_t ep)
{
	return ep_map_clear(k->maps, ep);
}

int kernel_name_put(struct kernel *k, const struct policy_set *set, const char *ns, const char *name,
		    const struct addr *a, const char *domain)
{
	struct maps_clock c;
	struct policy_wl wl;
	uint32_t now;
	int r = policy_set_wl(set, ns, name, &wl);

	r = r ?: maps_clock(k->maps, k->now, tick_rate, &c);
	if (r)
		return r;
	now = (uint32_t)c.jiffies;
	k->names = true;
	return dns_put(k->maps, wl.wl, a, domain, policy_set_name_class(set, domain), now, now + NAME_SECONDS * tick_rate);
}

struct names {
	struct { struct cw_fqdn_key *v; size_t n, cap; } addrs;
	struct { uint64_t *v; size_t n, cap; } names;
};

static int names_addr(void *arg, const struct cw_fqdn_key *key, const struct cw_fqdn *v)
{
	struct names *n = arg;

	(void)v;
	return vec_push(&n->addrs, *key);
}

static int names_name(void *arg, uint64_t hash, const struct cw_dns_name *v)
{
	struct names *n = arg;

	(void)v;
	return vec_push(&n->names, hash);
}

int kernel_names_clear(struct kernel *k)
{
	struct names n = {};
	struct addr a;
	int r;

	if (!k->names)
		return 0;
	r = dns_addr_walk(k->maps, names_addr, &n);
	r = r ?: dns_name_walk(k->maps, names_name, &n);
	for (size_t i = 0; i < n.addrs.n && !r; i++) {
		memcpy(a.b, n.addrs.v[i].addr, sizeof(a.b));
		r = dns_del(k->maps, n.addrs.v[i].wl, &a);
	}
	for (size_t i = 0; i < n.names.n && !r; i++)
		r = dns_name_del(k->maps, n.names.v[i]);
	vec_done(&n.addrs);
	vec_done(&n.names);
	k->names = r != 0;
	return r;
}

int kernel_run(struct kernel *k, uint32_t ep, bool from_pod, const void *frame, uint32_t len)
{
	struct __sk_buff ctx = { .cb = { CW_CB(ep, from_pod) } };
	LIBBPF_OPTS(bpf_test_run_opts, t, .data_in = frame, .data_size_in = len, .repeat = 1, .ctx_in = &ctx,
		    .ctx_size_in = sizeof(ctx));

	if (bpf_prog_test_run_opts(k->prog, &t))
		return -(errno > 1 ? errno : EIO);
	return (int)t.retval;
}
