/* SPDX-License-Identifier: Apache-2.0 */
/* layout.h - what makes two sets of maps the same, as one number. */
#pragma once

#include <stdint.h>

struct bpf_object;
struct bpf_map;
struct btf;
struct buf;

/*
 * Hash over ABI version and, for every map that belongs to a set (not internal ones, not
 * program arrays), name, kind, sizes, flags and the full shape of key and value: field names,
 * offsets, widths. Independent of the order of maps and of type numbers. The object is open,
 * not necessarily loaded. 0 or -ENOMEM, -E2BIG (types nested beyond LAYOUT_DEPTH_MAX).
 */
#define LAYOUT_DEPTH_MAX 16u
int layout_hash(const struct bpf_object *obj, uint64_t *ret);
/* Is this map one of the set, i.e. does it live as long as the set? */
int layout_is_set_map(const struct bpf_map *m);

/* Appends the shape of a type as text: "cw_flow{side@0:[2]cw_flow_side{ep@0:u4,...". Bits in offsets. */
int layout_type(const struct btf *btf, uint32_t type_id, struct buf *out);

/*
 * The leaves of a type: every integer with its path ("side[1].gen"), offset and size in bytes.
 * -ENOTSUP for bit fields and floats, -E2BIG beyond max.
 */
#define LEAF_PATH_MAX 96u
struct leaf {
	char path[LEAF_PATH_MAX];
	uint32_t offset, size;
};
int layout_leaves(const struct btf *btf, uint32_t type_id, struct leaf *out, uint32_t max, uint32_t *ret_n);
