/* SPDX-License-Identifier: Apache-2.0 */
/*
 * migrate.c - flows into a set of another layout.
 *
 * The kernel keeps the type information of every map, so the old layout is read from the old
 * map itself and no release needs to know the layouts of those before. What each field of the
 * new entry is made of:
 *
 *   in both, same width          copied
 *   in both, other width         copied if the value fits, else zero
 *   only in the new entry        zero
 *   side[x].gen                  zero: judged again at the next packet
 *   side[x].group, .verdict      zero: numbers of the old set's tables
 *   acct                         an epoch that is over: registers again at the next packet
 *
 * A field whose meaning changes must therefore change its name: the order of a key's ends too.
 */
#include <bpf/bpf.h>
#include <bpf/btf.h>
#include <bpf/libbpf.h>
#include <errno.h>
#include <linux/bpf.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"
#include "cw_abi.h"
#include "loader/layout.h"
#include "loader/object_priv.h"

#define LEAVES_MAX 256u
#define ENTRY_SIZE_MAX 1024u
#define BATCH 1024u
#define BATCH_MAX (1u << 20)

struct table {
	int fd;
	uint32_t key_size, value_size;
	struct leaf *key, *value;
	uint32_t nkey, nvalue;
};

/* One field to copy. */
struct move {
	uint32_t from, from_size, to, to_size;
};

static void btf_freep(struct btf **b)
{
	btf__free(*b);
}

static void table_done(struct table *t)
{
	free(t->key);
	free(t->value);
}

static int table_open(int fd, struct table *ret)
{
	auto_cleanup(btf_freep) struct btf *btf = NULL;
	auto_cleanup(table_done) struct table t = { .fd = fd };
	struct bpf_map_info info = {};
	uint32_t len = sizeof(info);
	int r = bpf_obj_get_info_by_fd(fd, &info, &len);

	if (r < 0)
		return r;
	if (!info.btf_id || info.key_size > ENTRY_SIZE_MAX || info.value_size > ENTRY_SIZE_MAX)
		return -ENOTSUP;
	btf = btf__load_from_kernel_by_id(info.btf_id);
	if (!btf)
		return -errno;
	t.key_size = info.key_size;
	t.value_size = info.value_size;
	t.key = calloc(LEAVES_MAX, sizeof(*t.key));
	t.value = calloc(LEAVES_MAX, sizeof(*t.value));
	if (!t.key || !t.value)
		return -ENOMEM;
	r = layout_leaves(btf, info.btf_key_type_id, t.key, LEAVES_MAX, &t.nkey);
	if (!r)
		r = layout_leaves(btf, info.btf_value_type_id, t.value, LEAVES_MAX, &t.nvalue);
	if (r < 0)
		return r;
	*ret = t;
	t.key = t.value = NULL;
	return 0;
}

static const struct leaf *leaf_find(const struct leaf *l, uint32_t n, const char *path)
{
	for (uint32_t i = 0; i < n; i++) {
		if (!strcmp(l[i].path, path))
			return &l[i];
	}
	return NULL;
}

/* Does the path end in this field? */
static bool leaf_is(const struct leaf *l, const char *field)
{
	size_t n = strlen(l->path), k = strlen(field);

	return n >= k && !strcmp(l->path + n - k, field) &&
	       (n == k || l->path[n - k - 1] == '.');
}

/* A key must say the same thing on both sides: same fields, same widths. */
static int key_moves(const struct table *old, const struct table *new, struct move *out)
{
	const struct leaf *o;

	if (old->nkey != new->nkey)
		return -ENOTSUP;
	for (uint32_t i = 0; i < new->nkey; i++) {
		o = leaf_find(old->key, old->nkey, new->key[i].path);
		if (!o || o->size != new->key[i].size)
			return -ENOTSUP;
		out[i] = (struct move){ o->offset, o->size, new->key[i].offset, new->key[i].size };
	}
	return (int)new->nkey;
}

static int value_moves(const struct table *old, const struct table *new, struct move *out, int *ret_acct)
{
	static const char *const zeroed[] = { "gen", "group", "verdict" };
	const struct leaf *o;
	int n = 0;

	for (uint32_t i = 0; i < new->nvalue; i++) {
		const struct leaf *l = &new->value[i];
		bool skip = false;

		for (size_t k = 0; k < ARRAY_SIZE(zeroed); k++)
			skip |= leaf_is(l, zeroed[k]);
		if (leaf_is(l, "acct") && l->size == sizeof(uint32_t)) {
			*ret_acct = (int)l->offset;
			continue;
		}
		o = leaf_find(old->value, old->nvalue, l->path);
		if (!skip && o)
			out[n++] = (struct move){ o->offset, o->size, l->offset, l->size };
	}
	return n;
}

/* Zero where the value does not fit. Sizes are 1, 2, 4 or 8. */
static void move_run(const struct move *m, int n, const unsigned char *from, unsigned char *to)
{
	for (int i = 0; i < n; i++) {
		uint64_t v = 0;

		memcpy(&v, from + m[i].from, m[i].from_size);
		if (m[i].to_size < 8 && v >> (8 * m[i].to_size))
			v = 0;
		memcpy(to + m[i].to, &v, m[i].to_size);
	}
}

struct carry {
	struct table old, new;
	struct move key[LEAVES_MAX], value[LEAVES_MAX];
	int nkey, nvalue, acct; /* acct: offset, -1 none */
	uint32_t acct_value;
};

static void carry_one(const struct carry *c, const unsigned char *key, const unsigned char *value,
		      unsigned char *to_key, unsigned char *to_value)
{
	memset(to_key, 0, c->new.key_size);
	memset(to_value, 0, c->new.value_size);
	move_run(c->key, c->nkey, key, to_key);
	move_run(c->value, c->nvalue, value, to_value);
	if (c->acct >= 0)
		memcpy(to_value + c->acct, &c->acct_value, sizeof(c->acct_value));
}

/* Writes n entries; a batch stops at the first that stands already, and goes on behind it. */
static void carry_write(const struct carry *c, unsigned char *keys, unsigned char *values, uint32_t n,
			struct loader_carried *sum)
{
	LIBBPF_OPTS(bpf_map_batch_opts, o, .elem_flags = BPF_NOEXIST);
	uint32_t done = 0, some;
	int r;

	while (done < n) {
		unsigned char *k = keys + (size_t)done * c->new.key_size;
		unsigned char *v = values + (size_t)done * c->new.value_size;

		some = n - done;
		r = bpf_map_update_batch(c->new.fd, k, v, &some, &o);
		if (r < 0 && r != -EEXIST && r != -E2BIG && r != -ENOMEM) {
			/* No such call on this kernel, and then `some` tells nothing. */
			r = bpf_map_update_elem(c->new.fd, k, v, BPF_NOEXIST);
			some = !r;
		}
		sum->flows += some;
		sum->refused += r < 0;
		done += some + (r < 0);
	}
}

struct carry_mem {
	unsigned char *keys, *values, *to_keys, *to_values;
};

static void carry_mem_done(struct carry_mem *m)
{
	free(m->keys);
	free(m->values);
	free(m->to_keys);
	free(m->to_values);
}

static int carry_mem_get(const struct carry *c, uint32_t batch, struct carry_mem *m)
{
	carry_mem_done(m);
	m->keys = calloc(batch, c->old.key_size);
	m->values = calloc(batch, c->old.value_size);
	m->to_keys = calloc(batch, c->new.key_size);
	m->to_values = calloc(batch, c->new.value_size);
	return m->keys && m->values && m->to_keys && m->to_values ? 0 : -ENOMEM;
}

static int carry_all(const struct carry *c, struct loader_carried *sum)
{
	LIBBPF_OPTS(bpf_map_batch_opts, o);
	auto_cleanup(carry_mem_done) struct carry_mem mem = {};
	uint64_t token = 0; /* the kernel uses four bytes of it for hash maps */
	uint32_t batch = BATCH, n;
	bool first = true;
	int r = carry_mem_get(c, batch, &mem);

	if (r < 0)
		return r;
	do {
		n = batch;
		r = bpf_map_lookup_batch(c->old.fd, first ? NULL : &token, &token, mem.keys, mem.values, &n, &o);
		if (r == -ENOSPC && batch < BATCH_MAX) { /* one bucket holds more: nothing was moved on */
			batch *= 4;
			r = carry_mem_get(c, batch, &mem);
			if (r < 0)
				return r;
			continue;
		}
		if (r < 0 && r != -ENOENT)
			return r;
		first = false;
		for (uint32_t i = 0; i < n; i++)
			carry_one(c, mem.keys + (size_t)i * c->old.key_size,
				  mem.values + (size_t)i * c->old.value_size,
				  mem.to_keys + (size_t)i * c->new.key_size,
				  mem.to_values + (size_t)i * c->new.value_size);
		carry_write(c, mem.to_keys, mem.to_values, n, sum);
	} while (r != -ENOENT);
	return 0;
}

/* The low bits of the epoch before the one in use: "over", whatever the table. */
static uint32_t acct_over(const struct loader_set *s)
{
	int fd = loader_set_map_fd(s, "cw_ctl");
	struct bpf_map_info info = {};
	uint32_t len = sizeof(info), zero = 0;
	struct cw_ctl ctl = {};

	if (fd < 0 || bpf_obj_get_info_by_fd(fd, &info, &len) || info.value_size != sizeof(ctl) ||
	    bpf_map_lookup_elem(fd, &zero, &ctl))
		return CW_ACCT(0xfffu, 0);
	return CW_ACCT(ctl.epoch - 1, 0);
}

static int table_carry(struct loader_set *s, const char *old_name, const char *map, struct loader_carried *sum)
{
	auto_free struct carry *c = calloc(1, sizeof(*c));
	auto_close int old_fd = -1;
	char path[PATH_MAX];
	int new_fd = loader_set_map_fd(s, map), r;

	if (!c)
		return -ENOMEM;
	if (new_fd < 0)
		return new_fd;
	r = pin_path(path, "%s/%s/map_%s", s->root, old_name, map);
	if (r < 0)
		return r;
	old_fd = bpf_obj_get(path);
	if (old_fd < 0)
		return old_fd;
	r = table_open(old_fd, &c->old);
	if (!r)
		r = table_open(new_fd, &c->new);
	if (r < 0)
		goto out;
	r = c->nkey = key_moves(&c->old, &c->new, c->key);
	if (r < 0)
		goto out;
	c->acct = -1;
	c->acct_value = acct_over(s);
	c->nvalue = value_moves(&c->old, &c->new, c->value, &c->acct);
	r = carry_all(c, sum);
	if (!r)
		sum->tables++;
out:
	table_done(&c->old);
	table_done(&c->new);
	return r;
}

int loader_migrate_flows(struct loader_set *s, const char *old_name, struct loader_carried *ret)
{
	static const char *const maps[] = { "cw_flow4", "cw_flow6" };
	struct loader_carried sum = {};
	uint64_t layout;
	uint32_t abi, n;
	int r = set_name_parse(old_name, &abi, &layout, &n);

	if (r < 0 || !strcmp(old_name, s->name))
		return -EINVAL;
	for (size_t i = 0; i < ARRAY_SIZE(maps); i++) {
		r = table_carry(s, old_name, maps[i], &sum);
		if (r < 0 && r != -ENOTSUP && r != -ENOENT)
			return r;
	}
	*ret = sum;
	return 0;
}
