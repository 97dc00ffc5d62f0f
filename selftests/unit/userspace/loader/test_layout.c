/* SPDX-License-Identifier: Apache-2.0 */
#include <bpf/btf.h>
#include <bpf/libbpf.h>
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>
#include <cmocka.h>

#include "base/buf.h"
#include "base/cleanup.h"
#include "loader/layout.h"

#include "cw_tiny.skel.h"
#include "cw_tiny2.skel.h"

static struct bpf_object *open_bytes(const void *p, size_t n)
{
	LIBBPF_OPTS(bpf_object_open_opts, o, .object_name = "t");
	struct bpf_object *obj = bpf_object__open_mem(p, n, &o);

	assert_non_null(obj);
	return obj;
}

static struct bpf_object *open_tiny(int version)
{
	size_t n;
	const void *p = version == 1 ? cw_tiny__elf_bytes(&n) : cw_tiny2__elf_bytes(&n);

	return open_bytes(p, n);
}

/* The two differ in nothing but the fields of one struct of the same size. */
static void hash_tells_fields(void **state)
{
	struct bpf_object *a = open_tiny(1), *b = open_tiny(1), *c = open_tiny(2);
	uint64_t ha, hb, hc, hs, hf;

	(void)state;
	assert_int_equal(bpf_map__value_size(bpf_object__find_map_by_name(a, "cw_flow4")),
			 bpf_map__value_size(bpf_object__find_map_by_name(c, "cw_flow4")));
	assert_int_equal(layout_hash(a, &ha), 0);
	assert_int_equal(layout_hash(b, &hb), 0);
	assert_int_equal(layout_hash(c, &hc), 0);
	assert_true(ha == hb);
	assert_true(ha != hc);
	assert_int_equal(bpf_map__set_max_entries(bpf_object__find_map_by_name(b, "cw_flow4"), 64), 0);
	assert_int_equal(layout_hash(b, &hs), 0);
	assert_true(ha != hs);
	assert_int_equal(bpf_map__set_max_entries(bpf_object__find_map_by_name(b, "cw_flow4"), 4096), 0);
	assert_int_equal(bpf_map__set_map_flags(bpf_object__find_map_by_name(b, "cw_flow4"), 2), 0);
	assert_int_equal(layout_hash(b, &hf), 0);
	assert_true(ha != hf);
	/* A program array is no part of a set. */
	assert_int_equal(bpf_map__set_max_entries(bpf_object__find_map_by_name(a, "cw_calls"), 9), 0);
	assert_int_equal(layout_hash(a, &hb), 0);
	assert_true(ha == hb);
	bpf_object__close(a);
	bpf_object__close(b);
	bpf_object__close(c);
}

static uint32_t type_of(const struct bpf_object *o, const char *name)
{
	int id = btf__find_by_name_kind(bpf_object__btf(o), name, BTF_KIND_STRUCT);

	assert_true(id > 0);
	return (uint32_t)id;
}

static void type_text(void **state)
{
	struct bpf_object *o = open_tiny(1);
	struct buf b;

	(void)state;
	buf_init(&b, 4096);
	assert_int_equal(layout_type(bpf_object__btf(o), type_of(o, "tiny_side"), &b), 0);
	assert_string_equal(b.data, "struct{ep@0/0:u4,group@32/0:u4,gen@64/0:u4,verdict@96/0:u2,"
				    "outcome@112/0:u1,reason@120/0:u1,}");
	buf_done(&b);
	bpf_object__close(o);
}

static void leaves(void **state)
{
	struct bpf_object *o = open_tiny(1);
	struct leaf l[64];
	uint32_t n = 0;

	(void)state;
	assert_int_equal(layout_leaves(bpf_object__btf(o), type_of(o, "tiny_flow"), l, 64, &n), 0);
	assert_int_equal(n, 2 * 6 + 7);
	assert_string_equal(l[0].path, "side[0].ep");
	assert_string_equal(l[8].path, "side[1].gen");
	assert_int_equal(l[8].offset, 16 + 8);
	assert_int_equal(l[8].size, 4);
	assert_string_equal(l[14].path, "narrowed");
	assert_int_equal(l[14].offset, 40);
	assert_int_equal(l[14].size, 8);
	n = 77;
	assert_int_equal(layout_leaves(bpf_object__btf(o), type_of(o, "tiny_flow"), l, 5, &n), -E2BIG);
	assert_int_equal(n, 77);
	bpf_object__close(o);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(hash_tells_fields),
		cmocka_unit_test(type_text),
		cmocka_unit_test(leaves),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
