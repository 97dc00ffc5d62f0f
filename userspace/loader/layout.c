/* SPDX-License-Identifier: Apache-2.0 */
#include "loader/layout.h"

#include <bpf/btf.h>
#include <bpf/libbpf.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/buf.h"
#include "base/cleanup.h"
#include "base/htab.h"
#include "base/vec.h"
#include "cw_abi.h"

#define LAYOUT_TEXT_MAX (1u << 20)
#define LAYOUT_SEED 0x63656c6c77616c6cull /* any constant: the hash must be the same tomorrow */
#define LEAF_ARRAY_MAX 4096u

/* ---- shape of a type ------------------------------------------------------------------------ */

static int type_add(const struct btf *btf, uint32_t id, struct buf *out, unsigned depth);

static int members_add(const struct btf *btf, const struct btf_type *t, struct buf *out, unsigned depth)
{
	const struct btf_member *m = btf_members(t);
	int r;

	buf_printf(out, "%s{", btf_is_union(t) ? "union" : "struct");
	for (uint32_t i = 0; i < btf_vlen(t); i++) {
		buf_printf(out, "%s@%u/%u:", btf__name_by_offset(btf, m[i].name_off),
			   btf_member_bit_offset(t, i), btf_member_bitfield_size(t, i));
		r = type_add(btf, m[i].type, out, depth + 1);
		if (r < 0)
			return r;
		buf_adds(out, ",");
	}
	return buf_adds(out, "}");
}

static int type_add(const struct btf *btf, uint32_t id, struct buf *out, unsigned depth)
{
	int real = btf__resolve_type(btf, id);
	const struct btf_type *t = real < 0 ? NULL : btf__type_by_id(btf, (uint32_t)real);

	if (depth > LAYOUT_DEPTH_MAX)
		return -E2BIG;
	if (!t || !id)
		return buf_adds(out, "void");
	switch (btf_kind(t)) {
	case BTF_KIND_INT:
	case BTF_KIND_ENUM:
	case BTF_KIND_ENUM64:
		return buf_printf(out, "u%u", t->size);
	case BTF_KIND_PTR:
		return buf_adds(out, "ptr");
	case BTF_KIND_ARRAY:
		buf_printf(out, "[%u]", btf_array(t)->nelems);
		return type_add(btf, btf_array(t)->type, out, depth + 1);
	case BTF_KIND_STRUCT:
	case BTF_KIND_UNION:
		return members_add(btf, t, out, depth);
	default:
		return buf_printf(out, "kind%u/%u", btf_kind(t), t->size);
	}
}

int layout_type(const struct btf *btf, uint32_t type_id, struct buf *out)
{
	int r = type_add(btf, type_id, out, 0);

	return r < 0 ? r : out->err;
}

/* ---- leaves ----------------------------------------------------------------------------------- */

struct leaves {
	const struct btf *btf;
	struct leaf *out;
	uint32_t n, max;
};

static int leaves_add(struct leaves *l, uint32_t id, const char *path, uint32_t offset, unsigned depth)
{
	int real = btf__resolve_type(l->btf, id);
	const struct btf_type *t = real < 0 ? NULL : btf__type_by_id(l->btf, (uint32_t)real);
	char sub[LEAF_PATH_MAX];
	int64_t size;
	int r = 0;

	if (!t || depth > LAYOUT_DEPTH_MAX)
		return -ENOTSUP;
	if (btf_is_int(t) || btf_is_any_enum(t)) {
		if (t->size > 8)
			return -ENOTSUP;
		if (l->n >= l->max)
			return -E2BIG;
		(void)snprintf(l->out[l->n].path, LEAF_PATH_MAX, "%s", path);
		l->out[l->n].offset = offset;
		l->out[l->n++].size = t->size;
		return 0;
	}
	if (btf_is_array(t)) {
		size = btf__resolve_size(l->btf, btf_array(t)->type);
		if (size < 0 || btf_array(t)->nelems > LEAF_ARRAY_MAX)
			return -ENOTSUP;
		for (uint32_t i = 0; !r && i < btf_array(t)->nelems; i++) {
			if (snprintf(sub, sizeof(sub), "%s[%u]", path, i) >= (int)sizeof(sub))
				return -E2BIG;
			r = leaves_add(l, btf_array(t)->type, sub, offset + i * (uint32_t)size, depth + 1);
		}
		return r;
	}
	if (!btf_is_struct(t))
		return -ENOTSUP;
	for (uint32_t i = 0; !r && i < btf_vlen(t); i++) {
		const struct btf_member *m = btf_members(t) + i;
		uint32_t bit = btf_member_bit_offset(t, i);

		if (btf_member_bitfield_size(t, i) || bit % 8)
			return -ENOTSUP;
		if (snprintf(sub, sizeof(sub), "%s%s%s", path, *path ? "." : "",
			     btf__name_by_offset(l->btf, m->name_off)) >= (int)sizeof(sub))
			return -E2BIG;
		r = leaves_add(l, m->type, sub, offset + bit / 8, depth + 1);
	}
	return r;
}

int layout_leaves(const struct btf *btf, uint32_t type_id, struct leaf *out, uint32_t max, uint32_t *ret_n)
{
	struct leaves l = { .btf = btf, .out = out, .max = max };
	int r = leaves_add(&l, type_id, "", 0, 0);

	if (r < 0)
		return r;
	*ret_n = l.n;
	return 0;
}

/* ---- hash of an object -------------------------------------------------------------------------- */

int layout_is_set_map(const struct bpf_map *m)
{
	return !bpf_map__is_internal(m) && bpf_map__type(m) != BPF_MAP_TYPE_PROG_ARRAY;
}

static int map_cmp(const void *a, const void *b)
{
	return strcmp(bpf_map__name(*(const struct bpf_map *const *)a),
		      bpf_map__name(*(const struct bpf_map *const *)b));
}

int layout_hash(const struct bpf_object *obj, uint64_t *ret)
{
	struct { const struct bpf_map **v; size_t n, cap; } maps = {};
	const struct btf *btf = bpf_object__btf(obj);
	const struct bpf_map *m;
	struct buf text;
	int r = 0;

	buf_init(&text, LAYOUT_TEXT_MAX);
	buf_printf(&text, "abi %u\n", CW_ABI_VERSION);
	bpf_object__for_each_map(m, obj) {
		if (layout_is_set_map(m) && vec_push(&maps, m)) {
			r = -ENOMEM;
			goto out;
		}
	}
	if (maps.n)
		qsort(maps.v, maps.n, sizeof(*maps.v), map_cmp);
	for (size_t i = 0; i < maps.n; i++) {
		m = maps.v[i];
		buf_printf(&text, "%s %d %u %u %u %u ", bpf_map__name(m), (int)bpf_map__type(m),
			   bpf_map__key_size(m), bpf_map__value_size(m), bpf_map__map_flags(m),
			   bpf_map__max_entries(m));
		if (btf) {
			r = layout_type(btf, bpf_map__btf_key_type_id(m), &text);
			if (r < 0)
				goto out;
			buf_adds(&text, " ");
			r = layout_type(btf, bpf_map__btf_value_type_id(m), &text);
			if (r < 0)
				goto out;
		}
		buf_adds(&text, "\n");
	}
	r = text.err;
	if (!r)
		*ret = hash_bytes(LAYOUT_SEED, text.data, text.len);
out:
	vec_done(&maps);
	buf_done(&text);
	return r;
}
