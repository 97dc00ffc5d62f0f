/* SPDX-License-Identifier: Apache-2.0 */
/* rig_run.c - frames in, verdicts out, and what was left behind. */
#include <arpa/inet.h>
#include <bpf/bpf.h>
#include <bpf/libbpf.h>
#include <errno.h>
#include <linux/bpf.h>
#include <netinet/in.h>
#include <unistd.h>

#include "selftests/prog_run/rig.h"

/* ---- running ------------------------------------------------------------------------------------- */

static int run_xdp(struct rig *r, int pod, bool from_pod, const struct pkt *p, const struct rig_opt *o)
{
	uint32_t ifindex = 1; /* loopback stands for every device */
	struct cw_shield s = { .ep = (uint32_t)pod, .flags = from_pod ? 0 : CW_SHIELD_TO_POD };
	struct xdp_md ctx = { .data_end = (uint32_t)p->len, .ingress_ifindex = ifindex };
	LIBBPF_OPTS(bpf_test_run_opts, t, .data_in = p->b, .data_size_in = (uint32_t)p->len, .repeat = 1,
		    .ctx_in = &ctx, .ctx_size_in = sizeof(ctx));

	if (o && o->repeat)
		t.repeat = (int)o->repeat;
	assert_int_equal(shield_map_set(r->m, ifindex, &s), 0);
	assert_int_equal(bpf_prog_test_run_opts(r->xdp_fd, &t), 0);
	assert_int_equal(shield_map_del(r->m, ifindex), 0);
	return t.retval == XDP_PASS ? PASS : t.retval == XDP_DROP ? DROP : (int)t.retval + 1000;
}

int rig_run_opt(struct rig *r, int pod, bool from_pod, const struct pkt *p, const struct rig_opt *o)
{
	struct __sk_buff ctx = { .cb = { CW_CB((uint32_t)pod, from_pod) } };
	LIBBPF_OPTS(bpf_test_run_opts, t, .data_in = p->b, .data_size_in = (uint32_t)p->len, .repeat = 1,
		    .ctx_in = &ctx, .ctx_size_in = sizeof(ctx), .data_out = r->out, .data_size_out = sizeof(r->out));

	if (r->via_xdp)
		return run_xdp(r, pod, from_pod, p, o);
	if (o) {
		t.repeat = o->repeat ? (int)o->repeat : 1;
		ctx.gso_size = o->gso_size;
		ctx.gso_segs = o->gso_segs;
		ctx.mark = o->mark;
	}
	assert_int_equal(bpf_prog_test_run_opts(r->main_fd, &t), 0);
	r->out_len = t.data_size_out;
	return (int)t.retval;
}

int rig_run(struct rig *r, int pod, bool from_pod, const struct pkt *p)
{
	return rig_run_opt(r, pod, from_pod, p, NULL);
}

struct pkt frame_l3(int pod, bool from_pod, const char *src, const char *dst)
{
	struct pkt p;

	pkt_init(&p);
	pkt_eth(&p, from_pod ? MAC[pod] : MAC_GW, from_pod ? MAC_GW : MAC[pod]);
	pkt_ip(&p, src, dst);
	return p;
}

struct pkt frame_tcp(int pod, bool from_pod, const char *src, const char *dst, uint16_t sport, uint16_t dport,
		     uint8_t flags)
{
	struct pkt p = frame_l3(pod, from_pod, src, dst);

	pkt_tcp(&p, sport, dport, flags);
	if (!(flags & (PKT_SYN | PKT_RST)))
		pkt_data(&p, 10);
	pkt_finish(&p);
	return p;
}

struct pkt frame_udp(int pod, bool from_pod, const char *src, const char *dst, uint16_t sport, uint16_t dport)
{
	struct pkt p = frame_l3(pod, from_pod, src, dst);

	pkt_udp(&p, sport, dport);
	pkt_data(&p, 18);
	pkt_finish(&p);
	return p;
}

struct pkt frame_icmp(int pod, bool from_pod, const char *src, const char *dst, uint8_t type, uint8_t code,
		      uint16_t id)
{
	struct pkt p = frame_l3(pod, from_pod, src, dst);

	pkt_icmp(&p, type, code, (uint32_t)id << 16 | 1);
	pkt_data(&p, 32);
	pkt_finish(&p);
	return p;
}

int send_tcp(struct rig *r, int pod, bool from_pod, const char *src, const char *dst, uint16_t sport,
	     uint16_t dport, uint8_t flags)
{
	struct pkt p = frame_tcp(pod, from_pod, src, dst, sport, dport, flags);

	return rig_run(r, pod, from_pod, &p);
}

int send_udp(struct rig *r, int pod, bool from_pod, const char *src, const char *dst, uint16_t sport,
	     uint16_t dport)
{
	struct pkt p = frame_udp(pod, from_pod, src, dst, sport, dport);

	return rig_run(r, pod, from_pod, &p);
}

int send_icmp(struct rig *r, int pod, bool from_pod, const char *src, const char *dst, uint8_t type,
	      uint8_t code, uint16_t id)
{
	struct pkt p = frame_icmp(pod, from_pod, src, dst, type, code, id);

	return rig_run(r, pod, from_pod, &p);
}

/* ---- clearing -------------------------------------------------------------------------------------- */

static void empty_hash(int fd, size_t key_size)
{
	unsigned char key[64];

	assert_true(key_size <= sizeof(key));
	while (!bpf_map_get_next_key(fd, NULL, key))
		assert_int_equal(bpf_map_delete_elem(fd, key), 0);
}

/* Zeroes an array, per CPU or not. */
static void empty_array(int fd, size_t value_size)
{
	size_t each = ((value_size + 7) & ~7ul) * (size_t)libbpf_num_possible_cpus();
	struct bpf_map_info info = {};
	uint32_t len = sizeof(info), n;
	auto_free uint32_t *keys = NULL;
	auto_free void *zero = NULL;

	assert_int_equal(bpf_obj_get_info_by_fd(fd, &info, &len), 0);
	n = info.max_entries;
	keys = calloc(n, sizeof(*keys));
	zero = calloc(n, each);
	assert_non_null(keys);
	assert_non_null(zero);
	for (uint32_t i = 0; i < n; i++)
		keys[i] = i;
	assert_int_equal(bpf_map_update_batch(fd, keys, zero, &n, NULL), 0);
}

void rig_clear(struct rig *r)
{
	empty_hash(rig_map(r, "cw_flow4"), sizeof(struct cw_flow4_key));
	empty_hash(rig_map(r, "cw_flow6"), sizeof(struct cw_flow6_key));
	empty_hash(rig_map(r, "cw_access0"), sizeof(struct cw_access_key));
	empty_hash(rig_map(r, "cw_access1"), sizeof(struct cw_access_key));
	empty_hash(rig_map(r, "cw_pair0"), sizeof(struct cw_pair_key));
	empty_hash(rig_map(r, "cw_pair1"), sizeof(struct cw_pair_key));
	empty_array(rig_map(r, "cw_reasons"), sizeof(struct cw_reason_stat));
	empty_array(rig_map(r, "cw_frag"), sizeof(struct cw_frag));
	empty_array(rig_map(r, "cw_gate"), 136);
	empty_array(rig_map(r, "cw_wl"), sizeof(struct cw_wl));
	empty_array(rig_map(r, "cw_acct"), sizeof(struct cw_traffic));
	empty_array(rig_map(r, "cw_vstat"), sizeof(struct cw_vstat));
	r->ctl->next_slot[0] = r->ctl->next_slot[1] = 0;
	r->ctl->events_lost = r->ctl->access_lost = r->ctl->flow_full = r->ctl->slot_sink = 0;
	(void)rig_events(r);
	r->nev = 0;
}

/* ---- counters and events ------------------------------------------------------------------------------- */

struct cw_reason_stat rig_reason(struct rig *r, enum cw_reason reason)
{
	struct cw_reason_stat all[CW_R_COUNT];

	assert_int_equal(reasons_read(r->m, all), 0);
	return all[reason];
}

uint64_t rig_reasons_sum(struct rig *r, bool dropped)
{
	struct cw_reason_stat all[CW_R_COUNT];
	uint64_t n = 0;

	assert_int_equal(reasons_read(r->m, all), 0);
	for (int i = 0; i < CW_R_COUNT; i++)
		n += dropped ? all[i].dropped : all[i].would;
	return n;
}

uint32_t rig_events(struct rig *r)
{
	assert_true(ring_buffer__consume(r->rb) >= 0);
	return r->nev;
}

struct want { struct cw_access_key k; struct access_row row; unsigned n; };

static int match_access(void *arg, const struct access_row *row)
{
	struct want *w = arg;

	if (row->key.src == w->k.src && row->key.dst == w->k.dst && row->key.proto == w->k.proto &&
	    row->key.port == w->k.port) {
		w->row = *row;
		w->n++;
	}
	return 0;
}

bool rig_access(struct rig *r, uint32_t src, uint32_t dst, uint8_t proto, uint16_t port, struct access_row *ret)
{
	struct want w = { .k = { .src = src, .dst = dst, .proto = proto, .port = port } };

	assert_int_equal(access_map_walk(r->m, r->ctl->epoch, match_access, &w), 0);
	if (w.n == 1)
		*ret = w.row;
	return w.n == 1;
}

static int count_access(void *arg, const struct access_row *row)
{
	(void)row;
	++*(uint32_t *)arg;
	return 0;
}

uint32_t rig_accesses(struct rig *r)
{
	uint32_t n = 0;

	assert_int_equal(access_map_walk(r->m, r->ctl->epoch, count_access, &n), 0);
	return n;
}

/* ---- flows -------------------------------------------------------------------------------------------- */

union flow_key { struct cw_flow4_key k4; struct cw_flow6_key k6; };

/* The key as conntrack.h orders it: by 32-bit words as the processor reads them, the last first. */
static int flow_key(struct rig *r, const char *a, uint16_t pa, const char *b, uint16_t pb, uint8_t proto,
		    union flow_key *ret)
{
	struct addr x = rig_addr(a), y = rig_addr(b);
	bool v4 = addr_is_v4(&x);
	uint32_t xw[4], yw[4];
	int order = 0;

	memset(ret, 0, sizeof(*ret));
	memcpy(xw, x.b, 16);
	memcpy(yw, y.b, 16);
	for (int i = 3; i >= 0 && !order; i--)
		order = xw[i] < yw[i] ? -1 : xw[i] > yw[i];
	if (order > 0 || (!order && pa > pb)) {
		uint16_t pt = pa;
		struct addr t = x;

		x = y;
		y = t;
		pa = pb;
		pb = pt;
	}
	if (v4) {
		memcpy(&ret->k4.a, x.b + 12, 4);
		memcpy(&ret->k4.b, y.b + 12, 4);
		ret->k4.pa = htons(pa);
		ret->k4.pb = htons(pb);
		ret->k4.proto = proto;
		return rig_map(r, "cw_flow4");
	}
	memcpy(ret->k6.a, x.b, 16);
	memcpy(ret->k6.b, y.b, 16);
	ret->k6.pa = htons(pa);
	ret->k6.pb = htons(pb);
	ret->k6.proto = proto;
	return rig_map(r, "cw_flow6");
}

bool rig_flow(struct rig *r, const char *a, uint16_t pa, const char *b, uint16_t pb, uint8_t proto,
	      struct cw_flow *ret)
{
	union flow_key k;
	int fd = flow_key(r, a, pa, b, pb, proto, &k);

	return !bpf_map_lookup_elem(fd, &k, ret);
}

void rig_flow_put(struct rig *r, const char *a, uint16_t pa, const char *b, uint16_t pb, uint8_t proto,
		  const struct cw_flow *f)
{
	union flow_key k;
	int fd = flow_key(r, a, pa, b, pb, proto, &k);

	assert_int_equal(bpf_map_update_elem(fd, &k, f, BPF_ANY), 0);
}

void rig_flow_age(struct rig *r, const char *a, uint16_t pa, const char *b, uint16_t pb, uint8_t proto, uint32_t secs)
{
	struct cw_flow f;

	assert_true(rig_flow(r, a, pa, b, pb, proto, &f));
	f.seen = rig_jiffies(r) - secs * r->hz;
	rig_flow_put(r, a, pa, b, pb, proto, &f);
}

uint32_t rig_flows(struct rig *r)
{
	uint64_t n = 0;

	assert_int_equal(flow_map_count(r->m, &n), 0);
	return (uint32_t)n;
}

void rig_frags_age(struct rig *r, uint32_t secs)
{
	int fd = rig_map(r, "cw_frag");
	struct cw_frag f;

	for (uint32_t i = 0; !bpf_map_lookup_elem(fd, &i, &f); i++) {
		if (!f.pass)
			continue;
		f.seen -= secs * r->hz;
		assert_int_equal(bpf_map_update_elem(fd, &i, &f, 0), 0);
	}
}

uint32_t rig_jiffies(struct rig *r)
{
	struct maps_clock c;

	assert_int_equal(maps_clock(r->m, bpf_program__fd(bpf_object__find_program_by_name(r->tc, "cw_now")),
				    r->hz, &c), 0);
	return (uint32_t)c.jiffies;
}
