/* SPDX-License-Identifier: Apache-2.0 */
#include "maps/flow_maps.h"

#include <arpa/inet.h>
#include <bpf/bpf.h>
#include <bpf/libbpf.h>
#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"
#include "maps/maps_priv.h"

#define FLOW_BATCH 512u
#define FLOW_BATCH_MAX 65536u	/* entries of one bucket; far above any table's worst */

union flow_key {
	struct cw_flow4_key k4;
	struct cw_flow6_key k6;
};

static enum map_id flow_id(bool v6)
{
	return v6 ? M_FLOW6 : M_FLOW4;
}

static size_t key_len(bool v6)
{
	return v6 ? sizeof(struct cw_flow6_key) : sizeof(struct cw_flow4_key);
}

/* The order of the data path: 32-bit words as the processor reads them, the last first, then ports. */
static bool row_in_order(const struct flow_row *r)
{
	uint32_t a[4], b[4];

	memcpy(a, r->a.b, 16);
	memcpy(b, r->b.b, 16);
	for (int i = 3; i >= 0; i--) {
		if (a[i] != b[i])
			return a[i] < b[i];
	}
	return r->pa <= r->pb;
}

static struct flow_row row_order(const struct flow_row *r)
{
	struct flow_row o = *r;

	if (!row_in_order(r)) {
		o.a = r->b;
		o.b = r->a;
		o.pa = r->pb;
		o.pb = r->pa;
		o.flow.flags ^= CW_FLOW_F_B_ORIG;
	}
	return o;
}

static int row_key(const struct flow_row *r, union flow_key *ret)
{
	memset(ret, 0, sizeof(*ret));
	if (addr_is_v4(&r->a) == !!r->v6 || addr_is_v4(&r->b) == !!r->v6)
		return -EINVAL;
	if (r->v6) {
		memcpy(ret->k6.a, r->a.b, 16);
		memcpy(ret->k6.b, r->b.b, 16);
		ret->k6.pa = htons(r->pa);
		ret->k6.pb = htons(r->pb);
		ret->k6.zone = r->zone;
		ret->k6.proto = r->proto;
	} else {
		memcpy(&ret->k4.a, r->a.b + 12, 4);
		memcpy(&ret->k4.b, r->b.b + 12, 4);
		ret->k4.pa = htons(r->pa);
		ret->k4.pb = htons(r->pb);
		ret->k4.zone = r->zone;
		ret->k4.proto = r->proto;
	}
	return 0;
}

static void key_row(bool v6, const void *key, struct flow_row *ret)
{
	union flow_key k = {};

	memcpy(&k, key, key_len(v6));
	memset(ret, 0, sizeof(*ret));
	ret->v6 = v6;
	if (v6) {
		memcpy(ret->a.b, k.k6.a, 16);
		memcpy(ret->b.b, k.k6.b, 16);
		ret->pa = ntohs(k.k6.pa);
		ret->pb = ntohs(k.k6.pb);
		ret->zone = k.k6.zone;
		ret->proto = k.k6.proto;
	} else {
		ret->a.b[10] = ret->a.b[11] = ret->b.b[10] = ret->b.b[11] = 0xff;
		memcpy(ret->a.b + 12, &k.k4.a, 4);
		memcpy(ret->b.b + 12, &k.k4.b, 4);
		ret->pa = ntohs(k.k4.pa);
		ret->pb = ntohs(k.k4.pb);
		ret->zone = k.k4.zone;
		ret->proto = k.k4.proto;
	}
}

/* One batch of the table the cursor is in. Returns entries shown. */
static int walk_batch(struct maps *m, struct flow_cursor *c,
		      int (*fn)(void *arg, const struct flow_row *r), void *arg)
{
	LIBBPF_OPTS(bpf_map_batch_opts, o);
	bool v6 = c->v6;
	auto_free unsigned char *keys = NULL;
	auto_free struct cw_flow *values = NULL;
	struct flow_row row;
	uint64_t in = c->token, out = 0;
	uint32_t n;
	int r, rf;

	if (!c->batch)
		c->batch = FLOW_BATCH;
	for (;;) {
		keys = calloc(c->batch, key_len(v6));
		values = calloc(c->batch, sizeof(*values));
		if (!keys || !values)
			return -ENOMEM;
		n = c->batch;
		r = bpf_map_lookup_batch(m->fd[flow_id(v6)], c->started ? &in : NULL, &out, keys, values, &n, &o);
		if (r != -ENOSPC || c->batch >= FLOW_BATCH_MAX)
			break;
		c->batch *= 4; /* one bucket holds more than a batch; nothing was skipped */
		free(take_ptr(keys));
		free(take_ptr(values));
	}
	if (r < 0 && r != -ENOENT)
		return r;
	c->token = (uint32_t)out;
	c->started = 1;
	if (r == -ENOENT) { /* the end of this table */
		c->started = 0;
		c->done = c->v6;
		c->v6 = 1;
	}
	for (uint32_t i = 0; i < n; i++) {
		key_row(v6, keys + i * key_len(v6), &row);
		row.flow = values[i];
		rf = fn(arg, &row);
		if (rf < 0)
			return rf;
		if (rf > 0)
			(void)bpf_map_delete_elem(m->fd[flow_id(v6)], keys + i * key_len(v6));
	}
	return (int)n;
}

int flow_map_walk(struct maps *m, struct flow_cursor *c, uint32_t budget,
		  int (*fn)(void *arg, const struct flow_row *r), void *arg)
{
	uint32_t seen = 0;
	int r;

	while (!c->done && seen < budget) {
		r = walk_batch(m, c, fn, arg);
		if (r < 0)
			return r;
		seen += (uint32_t)r;
	}
	return (int)seen;
}

int flow_map_seed(struct maps *m, const struct flow_row *r)
{
	struct flow_row o = row_order(r);
	union flow_key k;
	int e = row_key(&o, &k);

	return e < 0 ? e : map_full(bpf_map_update_elem(m->fd[flow_id(r->v6)], &k, &o.flow, BPF_NOEXIST));
}

int flow_map_get(const struct maps *m, const struct flow_row *key, struct cw_flow *ret)
{
	struct flow_row o = row_order(key);
	struct cw_flow f = { };
	union flow_key k;
	int r = row_key(&o, &k);

	if (!r)
		r = bpf_map_lookup_elem(m->fd[flow_id(key->v6)], &k, &f);
	if (!r)
		*ret = f;
	return r;
}

int flow_map_del(struct maps *m, const struct flow_row *key)
{
	struct flow_row o = row_order(key);
	union flow_key k;
	int r = row_key(&o, &k);

	if (!r)
		r = bpf_map_delete_elem(m->fd[flow_id(key->v6)], &k);
	return r == -ENOENT ? 0 : r;
}

static int count_one(void *arg, const struct flow_row *r)
{
	(void)r;
	++*(uint64_t *)arg;
	return 0;
}

int flow_map_count(struct maps *m, uint64_t *ret)
{
	struct flow_cursor c = {};
	uint64_t n = 0;
	int r;

	do {
		r = flow_map_walk(m, &c, UINT32_MAX, count_one, &n);
	} while (r >= 0 && !c.done);
	if (r < 0)
		return r;
	*ret = n;
	return 0;
}
